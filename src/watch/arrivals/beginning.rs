//! What the first bytes of a file say of it.

use std::io::{self, Cursor};
use std::path::Path;

use crate::capture::identity::{open, part};
use crate::capture::{Capture, is_capture};
use crate::time::Timestamp;

/// Bytes within which a first packet is looked for: the longest packet that is believed, and what stands before it.
const SOUGHT: u64 = 512 << 10;

/// Endings of names that promise a capture.
const ENDINGS: [&[u8]; 3] = [b".pcap", b".pcapng", b".cap"];

/// The beginning of a file that is not complete.
pub(super) enum Beginning {
    /// Too little to say anything.
    Open,
    /// A capture, and when its first packet was; nothing if it is not there yet.
    Capture(Option<Timestamp>),
    /// A capture whose first packet is too far in, or something else.
    Vain,
}

/// Reads it.
pub(super) fn beginning(path: &Path) -> io::Result<Beginning> {
    let (file, metadata) = open(path)?;
    match part(&file, 0, 4)?.first_chunk() {
        None => return Ok(Beginning::Open),
        Some(magic) if !is_capture(*magic) => return Ok(Beginning::Vain),
        Some(_) => {}
    }
    let bytes = part(&file, 0, SOUGHT.min(metadata.len()))?;
    let whole = bytes.len() as u64 >= SOUGHT;
    // Whatever is wrong with it is told by whoever reads it.
    let capture = Capture::from_reader(path, Box::new(Cursor::new(bytes)));
    Ok(match capture.and_then(|mut capture| capture.first_time()) {
        Ok(Some(first)) => Beginning::Capture(Some(first)),
        _ if whole => Beginning::Vain,
        _ => Beginning::Capture(None),
    })
}

/// Whether a name promises a capture, compressed or not.
pub(in crate::watch) fn promises(path: &Path) -> bool {
    let name = path.file_name().map_or_else(Vec::new, |name| name.as_encoded_bytes().to_ascii_lowercase());
    let plain = [&b".gz"[..], b".zst"].iter().find_map(|ending| name.strip_suffix(*ending)).unwrap_or(&name);
    ENDINGS.iter().any(|ending| plain.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_promise_captures() {
        for name in ["a.pcap", "a.PCAPNG", "a.cap", "a.pcap.gz", "a.pcapng.ZST", "x.y.cap.zst"] {
            assert!(promises(Path::new(name)), "{name}");
        }
        for name in ["a.pcap1", "pcap", "a.gz", "a.txt", "a.pcap.bz2", "a.cap.gz.gz", ".."] {
            assert!(!promises(Path::new(name)), "{name}");
        }
    }
}
