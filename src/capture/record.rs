//! One stored frame, and the batch of them that leaves a reader.

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use crate::time::Timestamp;

/// A link type as registered at tcpdump.org (`LINKTYPE_*`): 1 is Ethernet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkType(pub u16);

/// What a record says of its own time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// The record carries a time.
    #[default]
    Known,
    /// The record has none (pcapng simple packet block); its time reads 0.
    Missing,
    /// The record's time does not fit 64-bit nanoseconds; its time reads 0.
    Unrepresentable,
}

/// One stored frame: where its bytes are and what the capture says of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record {
    /// When the frame was captured.
    pub time: Timestamp,
    /// Offset of the frame's first byte from the start of its batch's bytes.
    pub offset: u32,
    /// Bytes of the frame that the capture holds.
    pub captured: u32,
    /// Bytes that the frame had on the wire.
    pub wire: u32,
    /// Link type of the interface it was captured on.
    pub link: LinkType,
    /// Whether `time` means anything.
    pub stamp: Stamp,
}

/// Records of one file in file order, with the bytes they lie in.
#[derive(Default)]
pub struct Records {
    pub(crate) bytes: Bytes,
    pub(crate) list: Vec<Record>,
}

impl Records {
    /// The records, in file order.
    #[must_use]
    pub fn list(&self) -> &[Record] {
        &self.list
    }

    /// The bytes that [`Record::offset`] counts from.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The captured bytes of one of this batch's records.
    #[must_use]
    pub fn frame(&self, record: &Record) -> &[u8] {
        let start = record.offset as usize;
        self.bytes().get(start..start + record.captured as usize).unwrap_or_default()
    }

    /// Forgets the records and lets go of their bytes; keeps the allocation.
    pub fn clear(&mut self) {
        self.list.clear();
        self.bytes = Bytes::default();
    }
}
