//! FTP commands, counted by verb.
//!
//! A line is a command when it starts with a known verb, in any case, that a space or the line's end follows. Lines end
//! with CR LF, a bare LF, or the segment; Telnet controls before a verb (sent ahead of `ABOR`) are skipped. A command that two
//! segments share is counted where its verb stands whole. Arguments are never kept.

use memchr::memchr_iter;

use super::Enricher;
use super::notes::{Body, Notes, Section, Segment};

/// RFC 959, 775 (`X...`), 2228 (security), 2389, 2428, 2640, 3659, 7151, and what servers commonly add; sorted.
const VERBS: [&str; 62] = [
    "ABOR", "ACCT", "ADAT", "ALLO", "APPE", "AUTH", "CCC", "CDUP", "CLNT", "CONF", "CWD", "DELE", "ENC", "EPRT",
    "EPSV", "FEAT", "HELP", "HOST", "LANG", "LIST", "MDTM", "MFMT", "MIC", "MKD", "MLSD", "MLST", "MODE", "NLST",
    "NOOP", "OPTS", "PASS", "PASV", "PBSZ", "PORT", "PROT", "PWD", "QUIT", "REIN", "REST", "RETR", "RMD", "RNFR",
    "RNTO", "SITE", "SIZE", "SMNT", "STAT", "STOR", "STOU", "STRU", "SYST", "TYPE", "USER", "XCRC", "XCUP", "XCWD",
    "XMD5", "XMKD", "XPWD", "XRMD", "XSHA", "XSHA1",
];

/// Counts the client's verbs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ftp;

impl Enricher for Ftp {
    fn services(&self) -> &[&str] {
        &["ftp"]
    }

    fn read(&self, segment: &Segment<'_>, notes: &mut Notes) {
        let payload = segment.payload;
        let mut start = 0;
        for end in memchr_iter(b'\n', payload).chain([payload.len()]) {
            if let Some(verb) = verb(&payload[start..end]) {
                *notes.counts.entry(verb).or_default() += 1;
            }
            start = end + 1;
        }
    }

    fn finish(&self, notes: Notes) -> Option<Section> {
        (!notes.counts.is_empty()).then_some(Section { name: "ftp", body: Body::Counts(notes.counts) })
    }
}

/// The known verb that a line starts with.
fn verb(line: &[u8]) -> Option<&'static str> {
    let controls = line.iter().take_while(|&&byte| byte >= 0xf0).count();
    let line = &line[controls..];
    // Bytes of anything but text end here.
    if !line.first()?.is_ascii_alphabetic() {
        return None;
    }
    let mut upper = [0; 5];
    let mut length = 0;
    for &byte in line {
        if !byte.is_ascii_alphanumeric() {
            break;
        }
        *upper.get_mut(length)? = byte.to_ascii_uppercase();
        length += 1;
    }
    let ended = matches!(line.get(length..), Some([] | [b' ', ..] | [b'\r']));
    let place = VERBS.binary_search_by(|verb| verb.as_bytes().cmp(&upper[..length])).ok()?;
    ended.then_some(VERBS[place])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::packet::Packet;
    use crate::table::key::FiveTuple;
    use proptest::prelude::*;

    fn counts(payload: &[u8]) -> Vec<(&'static str, u64)> {
        let packet = Packet::default();
        let mut notes = Notes::default();
        Ftp.read(&Segment { payload, packet: &packet, flow: FiveTuple::of(&packet).0 }, &mut notes);
        match Ftp.finish(notes) {
            Some(Section { name: "ftp", body: Body::Counts(counts) }) => counts.into_iter().collect(),
            None => Vec::new(),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn the_verbs_are_sorted() {
        assert!(VERBS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn verbs_are_counted_whatever_their_case_and_line_end() {
        let payload = b"USER bob\r\npass x\nSyst\r\nUSER\r\n\r\nPWD\nQUIT";
        assert_eq!(counts(payload), [("PASS", 1), ("PWD", 1), ("QUIT", 1), ("SYST", 1), ("USER", 2)]);
    }

    #[test]
    fn telnet_controls_before_a_verb_are_skipped() {
        assert_eq!(counts(b"\xff\xf4\xff\xf2ABOR\r\n"), [("ABOR", 1)]);
        assert_eq!(counts(b"\xf2abor\r\n"), [("ABOR", 1)]);
    }

    #[test]
    fn a_verb_needs_a_space_or_the_line_end_behind_it() {
        for junk in [
            &b"USERS x\r\n"[..],
            b" USER x\r\n",
            b"USER\tx\r\n",
            b"USE",
            b"220 USER ok\r\n",
            b"USER\rx\n",
            b"\0\x01\n\n\xff",
        ] {
            assert_eq!(counts(junk), []);
        }
    }

    proptest! {
        #[test]
        fn lines_are_counted_one_by_one(
            lines in prop::collection::vec(prop_oneof!["(?i)(user|pass|retr|xsha1|list)( x)?", "[ -~]{0,8}"], 0..20)
        ) {
            let whole: u64 = counts(lines.join("\r\n").as_bytes()).into_iter().map(|(_, n)| n).sum();
            let single: u64 = lines.iter().flat_map(|line| counts(line.as_bytes())).map(|(_, n)| n).sum();
            prop_assert_eq!(whole, single);
        }
    }
}
