//! A stretch of a frame: what one layer may read.
//!
//! A span knows three things that a slice does not keep together: the captured bytes, where they start in the
//! frame, and how many bytes the stretch had on the wire by the headers around it. Reads outside it yield `None`.

/// A stretch of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'f> {
    bytes: &'f [u8],
    start: usize,
    wire: usize,
}

impl<'f> Span<'f> {
    /// A whole frame. A record that claims less on the wire than it holds has what it holds.
    pub(super) fn frame(bytes: &'f [u8], wire: u32) -> Span<'f> {
        Span { bytes, start: 0, wire: bytes.len().max(wire as usize) }
    }

    /// The captured bytes.
    pub(super) fn bytes(self) -> &'f [u8] {
        self.bytes
    }

    /// Offset of the first byte from the start of the frame.
    pub(super) fn start(self) -> usize {
        self.start
    }

    /// Bytes on the wire; never fewer than captured.
    pub(super) fn wire(self) -> usize {
        self.wire
    }

    /// What follows the first `length` bytes, all of which must be captured.
    pub(super) fn skip(self, length: usize) -> Option<Span<'f>> {
        let bytes = self.bytes.get(length..)?;
        Some(Span { bytes, start: self.start + length, wire: self.wire - length })
    }

    /// The first `length` bytes, or all where there are fewer.
    pub(super) fn first(self, length: usize) -> Span<'f> {
        let bytes = self.bytes.get(..length).unwrap_or(self.bytes);
        Span { bytes, start: self.start, wire: self.wire.min(length) }
    }

    /// The byte at `at`.
    pub(super) fn u8(self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// The big-endian 16-bit number at `at`.
    pub(super) fn u16(self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(self.array(at)?))
    }

    /// The big-endian 32-bit number at `at`.
    pub(super) fn u32(self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(self.array(at)?))
    }

    /// `N` bytes from `at`.
    pub(super) fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }
}
