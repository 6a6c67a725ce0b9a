//! Handshake messages out of handshake bytes, wherever records or frames cut them.

use super::super::fields::Limits;

/// Types of handshake messages (RFC 8446, section 4; RFC 5246, section 7.4).
pub(in crate::payload) mod kind {
    pub(in crate::payload) const CLIENT_HELLO: u8 = 1;
    pub(in crate::payload) const SERVER_HELLO: u8 = 2;
    pub(in crate::payload) const CERTIFICATE: u8 = 11;

    /// Whether a type is one of any TLS version.
    pub(in crate::payload) fn exists(kind: u8) -> bool {
        matches!(kind, 0..=6 | 8 | 11..=16 | 20..=25 | 67)
    }
}

/// A handshake message, or what there is of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::payload) struct Message<'b> {
    pub(in crate::payload) kind: u8,
    pub(in crate::payload) body: &'b [u8],
    pub(in crate::payload) whole: bool,
}

/// The handshake bytes of one direction.
#[derive(Clone, Debug, Default)]
pub(in crate::payload) struct Messages {
    /// A message that is not complete, from its first byte.
    buffer: Vec<u8>,
    /// Bytes left of a message that nobody wants.
    skip: usize,
}

const HEADER: usize = 4;

impl Messages {
    /// Takes the next handshake bytes and hands over the messages that are complete by them and say something.
    pub(in crate::payload) fn push(&mut self, mut bytes: &[u8], limits: &Limits, each: &mut impl FnMut(Message<'_>)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            if self.buffer.len() < HEADER && !self.buffer.is_empty() {
                let missing = (HEADER - self.buffer.len()).min(bytes.len());
                self.buffer.extend_from_slice(&bytes[..missing]);
                bytes = &bytes[missing..];
                if self.buffer.len() < HEADER {
                    return;
                }
            }
            let start = if self.buffer.is_empty() { bytes } else { &self.buffer[..] };
            let Some((kind, length)) = header(start) else {
                self.buffer.extend_from_slice(bytes);
                return;
            };
            let wanted = matches!(kind, kind::CLIENT_HELLO | kind::SERVER_HELLO | kind::CERTIFICATE);
            if !wanted || HEADER + length > limits.stream {
                // What of it is in the buffer is its header alone.
                let here = if self.buffer.is_empty() { HEADER } else { 0 };
                self.buffer.clear();
                self.skip = length;
                bytes = &bytes[here..];
                continue;
            }
            if self.buffer.is_empty() {
                let Some((message, after)) = bytes.split_at_checked(HEADER + length) else {
                    self.buffer.extend_from_slice(bytes);
                    return;
                };
                each(Message { kind, body: &message[HEADER..], whole: true });
                bytes = after;
                continue;
            }
            let missing = (HEADER + length - self.buffer.len()).min(bytes.len());
            self.buffer.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.buffer.len() == HEADER + length {
                each(Message { kind, body: &self.buffer[HEADER..], whole: true });
                self.buffer.clear();
            }
        }
    }

    /// No more bytes follow: hands over what there is of a message that is not complete.
    pub(in crate::payload) fn end(&mut self, each: &mut impl FnMut(Message<'_>)) {
        let buffer = std::mem::take(&mut self.buffer);
        self.skip = 0;
        if let Some((kind, _)) = header(&buffer) {
            each(Message { kind, body: &buffer[HEADER..], whole: false });
        }
    }
}

/// Type and body length.
fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let [kind, a, b, c] = *bytes.first_chunk()?;
    Some((kind, u32::from_be_bytes([0, a, b, c]) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_the_bytes_gives_the_same_messages() {
        let bytes = [&[1, 0, 0, 2, 7, 8][..], &[20, 0, 0, 3, 0, 0, 0], &[11, 0, 0, 0], &[2, 0, 0, 1, 9]].concat();
        for cut in 1..bytes.len() {
            let mut found = Vec::new();
            let mut messages = Messages::default();
            for chunk in bytes.chunks(cut) {
                messages.push(chunk, &Limits::default(), &mut |m| found.push((m.kind, m.body.to_vec(), m.whole)));
            }
            messages.end(&mut |_| panic!("nothing is left"));
            assert_eq!(found, [(1, vec![7, 8], true), (11, vec![], true), (2, vec![9], true)]);
        }
    }

    #[test]
    fn a_message_above_the_limit_is_skipped_and_one_without_its_end_says_so() {
        let mut messages = Messages::default();
        let limits = Limits { stream: 6, ..Limits::default() };
        let mut found = Vec::new();
        let mut each = |m: Message<'_>| found.push((m.kind, m.body.to_vec(), m.whole));
        messages.push(&[1, 0, 0, 3, 0, 0, 0, 2, 0, 0, 2, 5], &limits, &mut each);
        messages.end(&mut each);
        assert_eq!(found, [(2, vec![5], false)]);
    }
}
