//! What payload says: of DNS and FTP.

use crate::payload::dns::Lookup;
use crate::views::flows::FlowRecord;

/// Identifier and type of the first query. What is announced without a question is none.
pub(super) fn query(record: &FlowRecord) -> (u16, u16) {
    let mut asked = lookups(record).iter().filter(|lookup| lookup.queries > 0 || lookup.rcode.is_some());
    asked.next().map_or((0, 0), |lookup| (lookup.id, lookup.kind))
}

/// Time to live of the first A record, s.
pub(super) fn answer_ttl(record: &FlowRecord) -> u32 {
    lookups(record).iter().find_map(|lookup| lookup.a_ttl).unwrap_or(0)
}

/// Code of the last reply to a command.
pub(super) fn ftp_code(record: &FlowRecord) -> u16 {
    let ftp = record.app.as_ref().and_then(|said| said.ftp.as_ref());
    ftp.and_then(|ftp| ftp.code).unwrap_or(0)
}

fn lookups(record: &FlowRecord) -> &[Lookup] {
    let dns = record.app.as_ref().and_then(|said| said.dns.as_ref());
    dns.map_or(&[], |dns| &dns.lookups)
}
