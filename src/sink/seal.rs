//! What a file holds, in two numbers: enough to tell later whether it still holds that.
//!
//! It finds what was cut, overwritten or edited. It is no defence against somebody who wants to go unnoticed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crc32fast::Hasher;
use serde::{Deserialize, Serialize};

/// Length and CRC-32 (ISO 3309, as in gzip) of a file's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    length: u64,
    crc32: u32,
}

impl Seal {
    /// Bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads a file to its end.
    ///
    /// # Errors
    /// It cannot be opened or read.
    pub fn of(path: &Path) -> io::Result<Seal> {
        let mut file = File::open(path)?;
        let mut sealer = Sealer::default();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(sealer.seal()),
                Ok(read) => sealer.add(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Seals bytes as they go by.
#[derive(Clone, Debug, Default)]
pub(super) struct Sealer {
    length: u64,
    crc: Hasher,
}

impl Sealer {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.crc.update(bytes);
    }

    pub(super) fn seal(&self) -> Seal {
        Seal { length: self.length, crc32: self.crc.clone().finalize() }
    }
}
