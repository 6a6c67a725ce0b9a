//! What stands in place of `words` in builds that read no payload: 0.

use crate::views::flows::FlowRecord;

pub(super) fn query(_: &FlowRecord) -> (u16, u16) {
    (0, 0)
}

pub(super) fn answer_ttl(_: &FlowRecord) -> u32 {
    0
}

pub(super) fn ftp_code(_: &FlowRecord) -> u16 {
    0
}
