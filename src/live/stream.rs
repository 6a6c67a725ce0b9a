//! What comes through the pipe: a pcap header once, then records. Only whole ones are passed on.

use std::io::{self, ErrorKind, Read};

use super::failure::Failure;
use super::store::Store;
use crate::capture::{HEADER, LookAhead, Pcap, Record, Stop};

/// Bytes that are read at once.
pub(super) const CHUNK: usize = 1 << 18;

/// The stream so far, of which the last record may be incomplete.
pub(super) struct Stream {
    buffer: Vec<u8>,
    filled: usize,
    pcap: Option<Pcap>,
    records: Vec<Record>,
}

impl Stream {
    pub(super) fn new() -> Stream {
        Stream { buffer: vec![0; CHUNK], filled: 0, pcap: None, records: Vec::new() }
    }

    /// The header has come.
    pub(super) fn begun(&self) -> bool {
        self.pcap.is_some()
    }

    /// Reads once, and passes on what is whole: how many bytes were read, nothing at the end.
    pub(super) fn read(&mut self, from: &mut impl Read, store: &mut Store) -> Result<Option<usize>, Failure> {
        let read = match from.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Ok(None),
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => return Ok(Some(0)),
            Err(error) => return Err(no_capture(&error)),
        };
        self.filled += read;
        let window = &self.buffer[..self.filled];
        let mut at = 0;
        let pcap = match &self.pcap {
            Some(pcap) => pcap,
            None => {
                let Some(header) = window.first_chunk::<HEADER>() else { return Ok(Some(read)) };
                let pcap = Pcap::new(header).map_err(damage)?;
                store.begin(header)?;
                at = HEADER;
                self.pcap.insert(pcap)
            }
        };
        self.records.clear();
        let (used, stop) = pcap.walk(&window[at..], &mut LookAhead::off(), &mut self.records, usize::MAX);
        store.records(&window[at..at + used], &self.records)?;
        at += used;
        let needed = match stop {
            Stop::More(bytes) => bytes,
            Stop::Full => 0,
            damaged => return Err(damage(damaged)),
        };
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        if self.buffer.len() < needed {
            // The walk bounds it.
            self.buffer.resize(needed, 0);
        }
        Ok(Some(read))
    }
}

fn no_capture(error: &io::Error) -> Failure {
    Failure::NoCapture(error.to_string())
}

fn damage(stop: Stop) -> Failure {
    match stop {
        Stop::Damage(_, message) => Failure::NoCapture(message),
        other => Failure::NoCapture(format!("{other:?}")),
    }
}
