//! Shared ownership of a byte range: of a memory map, or of a chunk that was read.

use std::sync::Arc;

use super::map::Map;

/// Bytes that a batch of records lies in, kept alive by every clone.
#[derive(Clone, Default)]
pub struct Bytes {
    owner: Owner,
    start: usize,
    length: usize,
}

#[derive(Clone, Default)]
enum Owner {
    #[default]
    Nobody,
    Map(Arc<Map>),
    Chunk(Arc<Vec<u8>>),
}

impl Bytes {
    pub(super) fn of_map(map: &Arc<Map>, start: usize, length: usize) -> Bytes {
        Bytes { owner: Owner::Map(Arc::clone(map)), start, length }
    }

    pub(super) fn of_chunk(chunk: &Arc<Vec<u8>>, start: usize, length: usize) -> Bytes {
        Bytes { owner: Owner::Chunk(Arc::clone(chunk)), start, length }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        let whole: &[u8] = match &self.owner {
            Owner::Nobody => &[],
            Owner::Map(map) => map.as_slice(),
            Owner::Chunk(chunk) => chunk,
        };
        whole.get(self.start..self.start.saturating_add(self.length)).unwrap_or_default()
    }
}
