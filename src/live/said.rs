//! What tcpdump says on standard error: that it listens, its last words, and at the end its counts.

use std::collections::VecDeque;

/// Lines that are kept.
const LINES: usize = 20;

/// Bytes of a line that are kept.
const LINE: usize = 512;

/// tcpdump's own counts, in packets. "Received by filter" may exceed what was captured: on a loopback interface Linux shows
/// every packet twice, and what was still on its way when tcpdump was stopped counts, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that were captured.
    pub captured: u64,
    /// Packets that passed the filter.
    pub received: u64,
    /// Packets that were lost because nobody took them in time.
    pub dropped_by_kernel: u64,
    /// Packets that the interface lost; 0 where it does not tell.
    pub dropped_by_interface: u64,
}

/// What was said so far, in bounded memory however much it is.
#[derive(Debug, Default)]
pub(super) struct Said {
    line: Vec<u8>,
    lines: VecDeque<String>,
    listening: bool,
    counts: [Option<u64>; 4],
}

impl Said {
    /// Takes the next bytes.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' => self.end_of_line(),
                // What is beyond is read, since tcpdump waits for that, and forgotten.
                _ if self.line.len() < LINE => self.line.push(byte),
                _ => {}
            }
        }
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self) {
        self.end_of_line();
    }

    fn end_of_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).trim().to_owned();
        self.line.clear();
        if line.starts_with("tcpdump: listening on ") || line.starts_with("listening on ") {
            self.listening = true;
        } else if let Some((place, count)) = count(&line) {
            self.counts[place] = Some(count);
        } else if !line.is_empty() {
            if self.lines.len() == LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(line);
        }
    }

    /// It captures.
    pub(super) fn listening(&self) -> bool {
        self.listening
    }

    /// Its counts, once it has said them.
    pub(super) fn counts(&self) -> Option<Counts> {
        let [captured, received, dropped_by_kernel, dropped_by_interface] = self.counts;
        Some(Counts {
            captured: captured?,
            received: received?,
            dropped_by_kernel: dropped_by_kernel?,
            dropped_by_interface: dropped_by_interface.unwrap_or(0),
        })
    }

    /// The last lines, without that it listens and without counts; oldest first.
    pub(super) fn last_words(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

/// `3 packets captured`, with the place of that count.
fn count(line: &str) -> Option<(usize, u64)> {
    let (number, rest) = line.split_once(' ')?;
    let rest = rest.strip_prefix("packets ").or_else(|| rest.strip_prefix("packet "))?;
    let names = ["captured", "received by filter", "dropped by kernel", "dropped by interface"];
    Some((names.iter().position(|name| *name == rest)?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> Said {
        let mut said = Said::default();
        // As pipes may cut it.
        for byte in text.bytes() {
            said.hear(&[byte]);
        }
        said.finish();
        said
    }

    #[test]
    fn counts_are_read_as_tcpdump_writes_them() {
        let said = heard(
            "tcpdump: listening on lo, link-type EN10MB (Ethernet), snapshot length 128 bytes\n\
             \n1 packet captured\n4 packets received by filter\n0 packets dropped by kernel\n2 packets dropped by interface\n",
        );
        let counts = Counts { captured: 1, received: 4, dropped_by_kernel: 0, dropped_by_interface: 2 };
        assert_eq!((said.listening(), said.counts(), said.last_words().len()), (true, Some(counts), 0));
        // That of macOS and of versions before 4.99, without the last line.
        let said = heard(
            "listening on en0, link-type\n30 packets captured\n31 packets received by filter\n7 packets dropped by kernel",
        );
        let counts = Counts { captured: 30, received: 31, dropped_by_kernel: 7, dropped_by_interface: 0 };
        assert_eq!((said.listening(), said.counts()), (true, Some(counts)));
    }

    #[test]
    fn counts_that_are_not_there_are_none() {
        for text in [
            "",
            "3 packets captured\n4 packets received by filter\n",
            "x packets captured\n4 packets received by filter\n0 packets dropped by kernel\n",
            "99999999999999999999 packets captured\n4 packets received by filter\n0 packets dropped by kernel\n",
        ] {
            assert_eq!(heard(text).counts(), None, "{text}");
        }
    }

    #[test]
    fn last_words_are_the_last_and_bounded() {
        let said = heard(
            "tcpdump: WARNING: x\ntcpdump: listening on lo\ntcpdump: pcap_loop: The interface disappeared\n0 packets captured\n",
        );
        assert_eq!(said.last_words(), ["tcpdump: WARNING: x", "tcpdump: pcap_loop: The interface disappeared"]);
        let mut said = Said::default();
        for n in 0..1000 {
            said.hear(format!("{n} {}\n", "\u{fffd}\0x".repeat(5000)).as_bytes());
        }
        said.hear(&[0xff; 100_000]);
        let words = said.last_words();
        assert_eq!((words.len(), words[0].starts_with("980 ")), (LINES, true));
        assert!(words.iter().all(|line| line.len() <= 3 * LINE) && said.line.len() <= LINE);
    }
}
