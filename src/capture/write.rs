//! Minimal writers for pcap and pcapng: synthetic traffic, and captures that tests build in code.
//!
//! They write what they are told, lies included: a wire length below the captured one, or a link type that nobody
//! knows. They do not compress and do not split files.

use std::io::{self, ErrorKind, Write};

use super::record::LinkType;
use crate::time::{NS_PER_SECOND, Timestamp};

/// How a classic pcap is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcapLayout {
    /// Most significant byte first.
    pub big_endian: bool,
    /// Times in nanoseconds instead of microseconds.
    pub nanoseconds: bool,
    /// The modified format with longer record headers; its times are in microseconds.
    pub modified: bool,
    /// Minor version; 4 is current. Below 3 the two lengths of a record are swapped.
    pub minor: u16,
    /// Snapshot length.
    pub snapshot: u32,
    /// Link type.
    pub link: LinkType,
}

/// Little-endian nanoseconds, version 2.4, snapshot length 262,144, Ethernet.
impl Default for PcapLayout {
    fn default() -> PcapLayout {
        PcapLayout {
            big_endian: false,
            nanoseconds: true,
            modified: false,
            minor: 4,
            snapshot: 262_144,
            link: LinkType(1),
        }
    }
}

/// Writes a classic pcap. Wrap files in a `BufWriter`.
pub struct PcapWriter<W> {
    out: W,
    layout: PcapLayout,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the global header.
    ///
    /// # Errors
    ///
    /// Those of the writer underneath.
    pub fn new(out: W, layout: PcapLayout) -> io::Result<PcapWriter<W>> {
        let mut writer = PcapWriter { out, layout };
        let magic: u32 = match (layout.modified, layout.nanoseconds) {
            (true, _) => 0xa1b2_cd34,
            (false, true) => 0xa1b2_3c4d,
            (false, false) => 0xa1b2_c3d4,
        };
        writer.words(&[magic])?;
        let versions = if layout.big_endian { [2, layout.minor] } else { [layout.minor, 2] };
        writer.words(&[u32::from(versions[0]) << 16 | u32::from(versions[1])])?;
        writer.words(&[0, 0, layout.snapshot, u32::from(layout.link.0)])?;
        Ok(writer)
    }

    /// Writes a record; `wire` is the frame's length on the wire. Times are cut to the layout's resolution.
    ///
    /// # Errors
    ///
    /// Those of the writer underneath; `InvalidInput` for times before 1970 or after February 2106 and for frames of
    /// 4 GiB and more.
    pub fn record(&mut self, time: Timestamp, wire: u32, frame: &[u8]) -> io::Result<()> {
        let invalid = |_| io::Error::from(ErrorKind::InvalidInput);
        let seconds = u32::try_from(time.seconds()).map_err(invalid)?;
        let fraction = time.ns().rem_euclid(NS_PER_SECOND) as u32;
        let captured = u32::try_from(frame.len()).map_err(invalid)?;
        let fraction = if self.layout.nanoseconds && !self.layout.modified { fraction } else { fraction / 1000 };
        let lengths = if self.layout.minor < 3 { [wire, captured] } else { [captured, wire] };
        self.words(&[seconds, fraction, lengths[0], lengths[1]])?;
        if self.layout.modified {
            self.words(&[0, 0])?;
        }
        self.out.write_all(frame)
    }

    /// Flushes, and hands back the writer underneath.
    ///
    /// # Errors
    ///
    /// Those of the writer underneath.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn words(&mut self, words: &[u32]) -> io::Result<()> {
        write_words(&mut self.out, self.layout.big_endian, words)
    }
}

/// Writes a pcapng, block by block. Wrap files in a `BufWriter`.
pub struct PcapngWriter<W> {
    out: W,
    big: bool,
    interfaces: u32,
}

impl<W: Write> PcapngWriter<W> {
    /// Writes the first section header.
    ///
    /// # Errors
    ///
    /// Those of the writer underneath, as for all methods.
    pub fn new(out: W, big_endian: bool) -> io::Result<PcapngWriter<W>> {
        let mut writer = PcapngWriter { out, big: big_endian, interfaces: 0 };
        writer.section(big_endian)?;
        Ok(writer)
    }

    /// Starts another section, without interfaces.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn section(&mut self, big_endian: bool) -> io::Result<()> {
        self.big = big_endian;
        self.interfaces = 0;
        let mut body = self.encode(&[0x1a2b_3c4d]);
        body.extend(self.half(1));
        body.extend(self.half(0));
        body.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &body)
    }

    /// Describes an interface and returns its number; `resolution` and `offset` are those of `if_tsresol` and
    /// `if_tsoffset`, left out where they are the default (6 and 0).
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn interface(&mut self, link: LinkType, snapshot: u32, resolution: u8, offset: i64) -> io::Result<u32> {
        let mut body = Vec::new();
        body.extend(self.half(link.0));
        body.extend(self.half(0));
        body.extend(self.encode(&[snapshot]));
        if resolution != 6 {
            body.extend(self.option(9, &[resolution]));
        }
        if offset != 0 {
            body.extend(self.option(14, &self.long(offset as u64)));
        }
        if resolution != 6 || offset != 0 {
            body.extend([0; 4]);
        }
        self.block(1, &body)?;
        self.interfaces += 1;
        Ok(self.interfaces - 1)
    }

    /// An enhanced packet block; `ticks` count by the interface's clock.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn packet(&mut self, interface: u32, ticks: u64, wire: u32, frame: &[u8]) -> io::Result<()> {
        let head = [interface, (ticks >> 32) as u32, ticks as u32, frame.len() as u32, wire];
        let mut body = self.encode(&head);
        body.extend_from_slice(frame);
        self.block(6, &body)
    }

    /// A simple packet block: no time, interface 0.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn simple(&mut self, wire: u32, frame: &[u8]) -> io::Result<()> {
        let mut body = self.encode(&[wire]);
        body.extend_from_slice(frame);
        self.block(3, &body)
    }

    /// An obsolete packet block, which counts the packets dropped in front of it.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn obsolete(&mut self, interface: u16, drops: u16, ticks: u64, wire: u32, frame: &[u8]) -> io::Result<()> {
        let mut body = Vec::new();
        body.extend(self.half(interface));
        body.extend(self.half(drops));
        body.extend(self.encode(&[(ticks >> 32) as u32, ticks as u32, frame.len() as u32, wire]));
        body.extend_from_slice(frame);
        self.block(2, &body)
    }

    /// Interface statistics: packets dropped by the interface and by the system since it was opened.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn statistics(&mut self, interface: u32, by_interface: u64, by_system: u64) -> io::Result<()> {
        let mut body = self.encode(&[interface, 0, 0]);
        body.extend(self.option(5, &self.long(by_interface)));
        body.extend(self.option(7, &self.long(by_system)));
        body.extend([0; 4]);
        self.block(5, &body)
    }

    /// Any block: its body is padded and put between the two lengths.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = (body.len() + padding + 12) as u32;
        write_words(&mut self.out, self.big, &[kind, length])?;
        self.out.write_all(body)?;
        self.out.write_all(&[0; 3][..padding])?;
        write_words(&mut self.out, self.big, &[length])
    }

    /// Flushes, and hands back the writer underneath.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn encode(&self, words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| if self.big { word.to_be_bytes() } else { word.to_le_bytes() }).collect()
    }

    fn half(&self, value: u16) -> [u8; 2] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn long(&self, value: u64) -> [u8; 8] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut option = Vec::new();
        option.extend(self.half(code));
        option.extend(self.half(value.len() as u16));
        option.extend_from_slice(value);
        option.resize(option.len().next_multiple_of(4), 0);
        option
    }
}

fn write_words(out: &mut impl Write, big: bool, words: &[u32]) -> io::Result<()> {
    for word in words {
        out.write_all(&if big { word.to_be_bytes() } else { word.to_le_bytes() })?;
    }
    Ok(())
}
