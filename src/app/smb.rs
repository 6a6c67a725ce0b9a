//! SMB1 and SMB2/3 commands, counted by name.
//!
//! A segment is read from a message's start: the four bytes of the direct-TCP and NetBIOS session header (RFC 1002, section
//! 4.3.1; MS-SMB2, section 2.1) and then the protocol id, or the protocol id alone where the session header came in
//! a segment of its own. Further messages follow by the length in that header, further commands of an SMB2 compound by
//! `NextCommand`, and those of an SMB1 chain by `AndXOffset` (MS-CIFS, section 2.2.3.4): a session set up and a share
//! connected to are often one message. Only requests count: those without SMB2's `SERVER_TO_REDIR` (MS-SMB2, section 2.2.1) or SMB1's `REPLY` flag
//! (MS-CIFS, section 2.2.3.1). Encrypted and compressed messages hide their command and count as what they are.
//!
//! A segment that starts inside a message is left at once. Every step goes forward by a header at least, so time is linear in
//! the segment whatever it says.

use super::Enricher;
use super::notes::{Body, Notes, Section, Segment};

/// Smallest SMB2 header, and so the smallest step within a compound.
const SMB2_HEADER: usize = 64;

/// SMB1's header, behind which the first command's parameters lie.
const SMB1_HEADER: usize = 32;

/// The SMB1 commands that another may follow in the message, by their number (MS-CIFS, section 2.2.3.4, and the obsolete
/// security package).
const ANDX: [u8; 9] = [0x24, 0x2d, 0x2e, 0x2f, 0x73, 0x74, 0x75, 0x7e, 0xa2];

/// In the place of the next command's number: there is none.
const NO_ANDX: u8 = 0xff;

/// Commands by their number (MS-SMB2, section 2.2.1.2).
const SMB2: [&str; 20] = [
    "SMB2_NEGOTIATE",
    "SMB2_SESSION_SETUP",
    "SMB2_LOGOFF",
    "SMB2_TREE_CONNECT",
    "SMB2_TREE_DISCONNECT",
    "SMB2_CREATE",
    "SMB2_CLOSE",
    "SMB2_FLUSH",
    "SMB2_READ",
    "SMB2_WRITE",
    "SMB2_LOCK",
    "SMB2_IOCTL",
    "SMB2_CANCEL",
    "SMB2_ECHO",
    "SMB2_QUERY_DIRECTORY",
    "SMB2_CHANGE_NOTIFY",
    "SMB2_QUERY_INFO",
    "SMB2_SET_INFO",
    "SMB2_OPLOCK_BREAK",
    "SMB2_SERVER_TO_CLIENT_NOTIFICATION",
];

/// Counts the client's commands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Smb;

impl Enricher for Smb {
    fn services(&self) -> &[&str] {
        &["smb"]
    }

    fn read(&self, segment: &Segment<'_>, notes: &mut Notes) {
        let mut count = |name| *notes.counts.entry(name).or_default() += 1;
        let mut rest = segment.payload;
        if is_message(rest) {
            read_message(rest, &mut count);
            return;
        }
        while let Some((&[kind, a, b, c], body)) = rest.split_first_chunk() {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let message = &body[..length.min(body.len())];
            match kind {
                0x00 if is_message(message) => read_message(message, &mut count),
                // Session request and keep-alive (RFC 1002, sections 4.3.2 and 4.3.7).
                0x81 | 0x85 => {}
                _ => return,
            }
            rest = body.get(length..).unwrap_or_default();
        }
    }

    fn finish(&self, notes: Notes) -> Option<Section> {
        (!notes.counts.is_empty()).then_some(Section { name: "smb", body: Body::Counts(notes.counts) })
    }
}

fn is_message(bytes: &[u8]) -> bool {
    matches!(bytes, [0xfc..=0xff, b'S', b'M', b'B', ..])
}

/// Counts the commands of one message, as far as it was captured.
fn read_message(message: &[u8], count: &mut impl FnMut(&'static str)) {
    match message.first() {
        Some(0xfc) => count("SMB2_COMPRESSED"),
        Some(0xfd) => count("SMB2_ENCRYPTED"),
        Some(0xfe) => read_compound(message, count),
        _ => read_chain(message, count),
    }
}

fn read_chain(message: &[u8], count: &mut impl FnMut(&'static str)) {
    let (Some(&first), Some(flags)) = (message.get(4), message.get(9)) else { return };
    if flags & 0x80 != 0 {
        return;
    }
    count(smb1(first));
    let (mut command, mut at) = (first, SMB1_HEADER);
    while ANDX.contains(&command)
        && let Some(&[words, next, _, low, high]) = message.get(at..).and_then(<[u8]>::first_chunk)
        && words >= 2
        && next != NO_ANDX
    {
        let offset = usize::from(u16::from_le_bytes([low, high]));
        // Behind this command's words and the length of its bytes; as far as the message was captured.
        if offset < at + 1 + 2 * usize::from(words) + 2 || offset >= message.len() {
            return;
        }
        count(smb1(next));
        (command, at) = (next, offset);
    }
}

fn read_compound(mut message: &[u8], count: &mut impl FnMut(&'static str)) {
    while message.starts_with(b"\xfeSMB") {
        let Some(header) = message.first_chunk::<20>() else { return };
        let command = u16::from_le_bytes([header[12], header[13]]);
        // The flags are little-endian, so their lowest bit is in the first byte.
        if header[16] & 1 == 0 {
            count(SMB2.get(usize::from(command)).copied().unwrap_or("SMB2_UNKNOWN"));
        }
        let next = message.get(20..24).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes) as usize;
        if next < SMB2_HEADER {
            return;
        }
        message = message.get(next..).unwrap_or_default();
    }
}

/// Name of an SMB1 command (MS-CIFS, section 2.2.2.1).
fn smb1(command: u8) -> &'static str {
    match command {
        0x00 => "SMB1_CREATE_DIRECTORY",
        0x01 => "SMB1_DELETE_DIRECTORY",
        0x02 => "SMB1_OPEN",
        0x03 => "SMB1_CREATE",
        0x04 => "SMB1_CLOSE",
        0x05 => "SMB1_FLUSH",
        0x06 => "SMB1_DELETE",
        0x07 => "SMB1_RENAME",
        0x08 => "SMB1_QUERY_INFORMATION",
        0x09 => "SMB1_SET_INFORMATION",
        0x0a => "SMB1_READ",
        0x0b => "SMB1_WRITE",
        0x0c => "SMB1_LOCK_BYTE_RANGE",
        0x0d => "SMB1_UNLOCK_BYTE_RANGE",
        0x0e => "SMB1_CREATE_TEMPORARY",
        0x0f => "SMB1_CREATE_NEW",
        0x10 => "SMB1_CHECK_DIRECTORY",
        0x11 => "SMB1_PROCESS_EXIT",
        0x12 => "SMB1_SEEK",
        0x13 => "SMB1_LOCK_AND_READ",
        0x14 => "SMB1_WRITE_AND_UNLOCK",
        0x1a => "SMB1_READ_RAW",
        0x1b => "SMB1_READ_MPX",
        0x1c => "SMB1_READ_MPX_SECONDARY",
        0x1d => "SMB1_WRITE_RAW",
        0x1e => "SMB1_WRITE_MPX",
        0x1f => "SMB1_WRITE_MPX_SECONDARY",
        0x20 => "SMB1_WRITE_COMPLETE",
        0x21 => "SMB1_QUERY_SERVER",
        0x22 => "SMB1_SET_INFORMATION2",
        0x23 => "SMB1_QUERY_INFORMATION2",
        0x24 => "SMB1_LOCKING_ANDX",
        0x25 => "SMB1_TRANSACTION",
        0x26 => "SMB1_TRANSACTION_SECONDARY",
        0x27 => "SMB1_IOCTL",
        0x28 => "SMB1_IOCTL_SECONDARY",
        0x29 => "SMB1_COPY",
        0x2a => "SMB1_MOVE",
        0x2b => "SMB1_ECHO",
        0x2c => "SMB1_WRITE_AND_CLOSE",
        0x2d => "SMB1_OPEN_ANDX",
        0x2e => "SMB1_READ_ANDX",
        0x2f => "SMB1_WRITE_ANDX",
        0x30 => "SMB1_NEW_FILE_SIZE",
        0x31 => "SMB1_CLOSE_AND_TREE_DISC",
        0x32 => "SMB1_TRANSACTION2",
        0x33 => "SMB1_TRANSACTION2_SECONDARY",
        0x34 => "SMB1_FIND_CLOSE2",
        0x35 => "SMB1_FIND_NOTIFY_CLOSE",
        0x70 => "SMB1_TREE_CONNECT",
        0x71 => "SMB1_TREE_DISCONNECT",
        0x72 => "SMB1_NEGOTIATE",
        0x73 => "SMB1_SESSION_SETUP_ANDX",
        0x74 => "SMB1_LOGOFF_ANDX",
        0x75 => "SMB1_TREE_CONNECT_ANDX",
        0x7e => "SMB1_SECURITY_PACKAGE_ANDX",
        0x80 => "SMB1_QUERY_INFORMATION_DISK",
        0x81 => "SMB1_SEARCH",
        0x82 => "SMB1_FIND",
        0x83 => "SMB1_FIND_UNIQUE",
        0x84 => "SMB1_FIND_CLOSE",
        0xa0 => "SMB1_NT_TRANSACT",
        0xa1 => "SMB1_NT_TRANSACT_SECONDARY",
        0xa2 => "SMB1_NT_CREATE_ANDX",
        0xa4 => "SMB1_NT_CANCEL",
        0xa5 => "SMB1_NT_RENAME",
        0xc0 => "SMB1_OPEN_PRINT_FILE",
        0xc1 => "SMB1_WRITE_PRINT_FILE",
        0xc2 => "SMB1_CLOSE_PRINT_FILE",
        0xc3 => "SMB1_GET_PRINT_QUEUE",
        0xd8 => "SMB1_READ_BULK",
        0xd9 => "SMB1_WRITE_BULK",
        0xda => "SMB1_WRITE_BULK_DATA",
        0xfe => "SMB1_INVALID",
        0xff => "SMB1_NO_ANDX_COMMAND",
        _ => "SMB1_UNKNOWN",
    }
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
        Smb.read(&Segment { payload, packet: &packet, flow: FiveTuple::of(&packet).0 }, &mut notes);
        match Smb.finish(notes) {
            Some(Section { name: "smb", body: Body::Counts(counts) }) => counts.into_iter().collect(),
            None => Vec::new(),
            other => unreachable!("{other:?}"),
        }
    }

    fn smb2(command: u16, flags: u32, next: u32) -> Vec<u8> {
        let mut header = b"\xfeSMB\x40\0".to_vec();
        header.resize(12, 0);
        header.extend(command.to_le_bytes());
        header.extend([0, 0]);
        header.extend(flags.to_le_bytes());
        header.extend(next.to_le_bytes());
        header.resize(SMB2_HEADER, 0);
        header
    }

    fn smb1(command: u8, flags: u8) -> Vec<u8> {
        let mut header = vec![0xff, b'S', b'M', b'B', command, 0, 0, 0, 0, flags];
        header.resize(35, 0);
        header
    }

    fn session(message: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(message.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(message);
        bytes
    }

    #[test]
    fn requests_count_behind_the_session_header_and_without_it() {
        assert_eq!(counts(&session(&smb2(0, 0, 0))), [("SMB2_NEGOTIATE", 1)]);
        assert_eq!(counts(&smb2(5, 0, 0)), [("SMB2_CREATE", 1)]);
        assert_eq!(counts(&session(&smb1(0x72, 0x18))), [("SMB1_NEGOTIATE", 1)]);
        assert_eq!(counts(&smb1(0x15, 0)), [("SMB1_UNKNOWN", 1)]);
        assert_eq!(counts(&smb2(0x0105, 0, 0)), [("SMB2_UNKNOWN", 1)]);
    }

    #[test]
    fn responses_do_not_count() {
        assert_eq!(counts(&session(&smb2(0, 1, 0))), []);
        assert_eq!(counts(&session(&smb1(0x72, 0x98))), []);
    }

    #[test]
    fn messages_of_one_segment_and_commands_of_a_compound_all_count() {
        let compound = [smb2(5, 0, 64), smb2(16, 4, 72), vec![0; 8], smb2(6, 4, 0)].concat();
        let payload =
            [session(&compound), vec![0x85, 0, 0, 0], session(&smb1(0xa2, 0)), session(&smb2(6, 0, 0))[..24].to_vec()];
        let expected = [("SMB1_NT_CREATE_ANDX", 1), ("SMB2_CLOSE", 2), ("SMB2_CREATE", 1), ("SMB2_QUERY_INFO", 1)];
        assert_eq!(counts(&payload.concat()), expected);
    }

    #[test]
    fn encrypted_and_compressed_messages_count_as_such() {
        let payload = [session(b"\xfdSMB0123"), session(b"\xfcSMB0123")].concat();
        assert_eq!(counts(&payload), [("SMB2_COMPRESSED", 1), ("SMB2_ENCRYPTED", 1)]);
    }

    #[test]
    fn next_command_that_does_not_go_forward_ends_the_compound() {
        for next in [1, 63, 65, u32::MAX] {
            assert_eq!(counts(&session(&smb2(5, 0, next))), [("SMB2_CREATE", 1)]);
        }
    }

    /// A request whose commands are chained: each with so many words, and so many bytes behind them.
    fn chain(commands: &[(u8, u8, u16)]) -> Vec<u8> {
        let mut message = smb1(commands[0].0, 0x18);
        message.truncate(SMB1_HEADER);
        for (n, &(_, words, bytes)) in commands.iter().enumerate() {
            let end = message.len() + 3 + 2 * usize::from(words) + usize::from(bytes);
            let mut block = vec![words];
            block.extend([commands.get(n + 1).map_or(NO_ANDX, |next| next.0), 0]);
            block.extend(u16::try_from(end).unwrap().to_le_bytes());
            block.resize(1 + 2 * usize::from(words), 0);
            block.extend(bytes.to_le_bytes());
            message.extend(block);
            message.resize(end, 0);
        }
        message
    }

    #[test]
    fn chained_commands_of_smb1_all_count() {
        let message = chain(&[(0x73, 12, 101), (0x75, 4, 20)]);
        assert_eq!(counts(&session(&message)), [("SMB1_SESSION_SETUP_ANDX", 1), ("SMB1_TREE_CONNECT_ANDX", 1)]);
        let message = chain(&[(0x2d, 15, 9), (0x2e, 12, 0), (0x04, 3, 0)]);
        let expected = [("SMB1_CLOSE", 1), ("SMB1_OPEN_ANDX", 1), ("SMB1_READ_ANDX", 1)];
        assert_eq!(counts(&session(&message)), expected);
        // As far as it was captured: the last one's first byte is behind the others.
        let last = message.len() - 3 - 2 * 3;
        assert_eq!(counts(&session(&message)[..4 + last + 1]), expected);
        assert_eq!(counts(&session(&message)[..4 + last]), expected[1..]);
        // A reply's chain is the server's.
        let mut reply = message;
        reply[9] |= 0x80;
        assert_eq!(counts(&session(&reply)), []);
    }

    #[test]
    fn a_chain_ends_where_nothing_can_follow_or_the_offset_does_not_go_forward() {
        let two = chain(&[(0x73, 12, 8), (0x75, 4, 0)]);
        let alone = [("SMB1_SESSION_SETUP_ANDX", 1)];
        for offset in [0, 32, 58, u16::MAX] {
            let mut message = two.clone();
            message[SMB1_HEADER + 3..SMB1_HEADER + 5].copy_from_slice(&offset.to_le_bytes());
            assert_eq!(counts(&session(&message)), alone, "{offset}");
        }
        for (at, byte) in [(SMB1_HEADER, 1), (SMB1_HEADER + 1, NO_ANDX)] {
            let mut message = two.clone();
            message[at] = byte;
            assert_eq!(counts(&session(&message)), alone, "byte {at}");
        }
        // What is no AndX command has no next one, whatever its words say.
        let mut message = two;
        message[4] = 0x32;
        assert_eq!(counts(&session(&message)), [("SMB1_TRANSACTION2", 1)]);
    }

    #[test]
    fn anything_else_is_left_alone() {
        for junk in [
            &b""[..],
            b"\xfeSM",
            b"\0\0\0\x04\xfeSMB",
            b"\0\0\0\0\0\0\0\0",
            b"\xffSMBr\0\0\0\0",
            b"data \xfeSMB",
            b"\x82\0\0\0",
        ] {
            assert_eq!(counts(junk), []);
        }
    }

    proptest! {
        /// Bytes of hostile headers: signatures, lengths and offsets that point anywhere, also at themselves.
        #[test]
        fn no_more_commands_are_counted_than_headers_fit(
            words in prop::collection::vec(
                prop_oneof![
                    Just(*b"\xfeSMB"), Just(*b"\xffSMB"), Just(*b"\xfdSMB"), Just([0, 0, 0, 8]), Just([0x85, 0, 0, 0]),
                    Just([64, 0, 0, 0]), Just([0x73; 4]), Just([2, 0x75, 0, 39]), any::<[u8; 4]>(),
                ],
                0..400,
            )
        ) {
            let payload = words.concat();
            let counted: u64 = counts(&payload).into_iter().map(|(_, n)| n).sum();
            prop_assert!(counted <= payload.len() as u64 / 7 + 1);
        }
    }
}
