//! Deterministic traffic with known truth: for the demonstration, for tests, and for trying the tool without a capture.
//!
//! One seed makes the same bytes on every machine: only integers are used, and one generator in one order. Frames come
//! in order of time, with sound lengths and checksums, and every conversation is a 5-tuple of its own. [`Truth`] says
//! what was made, so that whatever reads it can be checked.
//!
//! Memory follows the conversations that are open at once, not the packets. The traffic is plausible, not a model of any
//! network: names and external addresses are those reserved for documentation (RFC 2606, 5737, 3849, 2544).
//!
//! ```
//! let spec = pcap_compactor::synth::Spec { packets: 5_000, ..Default::default() };
//! let (capture, truth) = pcap_compactor::synth::write(&spec, Vec::new())?;
//! assert_eq!(truth.packets, 5_000);
//! # Ok::<(), std::io::Error>(())
//! ```

mod apps;
mod dice;
mod frame;
mod scan;
mod talk;
mod traffic;
mod truth;
mod web;
mod world;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use crate::capture::{Format, LinkType, PcapLayout, PcapWriter, PcapngWriter};
use crate::error::{Error, Result};
use crate::time::Timestamp;
pub use truth::{ScanKind, Scanner, Truth};

/// What to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Frames, exactly. Default 200,000.
    pub packets: u64,
    /// Start, in seconds since the epoch; a whole hour. Default 2023-10-19T13:00:00Z.
    pub hour: u32,
    /// Hours that the traffic covers, 1 to 8,760. Default 2.
    pub hours: u32,
    /// Clients that are active at once, 1 to 1,000,000. One that runs out of ports goes on under a new address. Default 40.
    pub hosts: u32,
    /// Scanners, horizontal and vertical in turn, 0 to 10,000. Default 2.
    pub scanners: u32,
    /// Everything random follows from it. Default 42.
    pub seed: u64,
    /// Pcap or pcapng; both hold the same frames at the same times. Default pcap.
    pub format: Format,
    /// Only Ethernet frames of the smallest size: TCP without options or payload. Default no.
    pub min64: bool,
}

impl Default for Spec {
    fn default() -> Spec {
        Spec {
            packets: 200_000,
            hour: 1_697_720_400,
            hours: 2,
            hosts: 40,
            scanners: 2,
            seed: 42,
            format: Format::Pcap,
            min64: false,
        }
    }
}

impl Spec {
    /// Checks every bound.
    ///
    /// # Errors
    /// Names the first value that is out of its bounds, and the bounds.
    pub fn check(&self) -> Result<()> {
        let bounds = |name: &str, value: u32, low: u32, high: u32| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::config(format!("{name} = {value} is out of bounds: {low} to {high}")))
        };
        bounds("hours", self.hours, 1, 8760)?;
        bounds("hosts", self.hosts, 1, 1_000_000)?;
        bounds("scanners", self.scanners, 0, 10_000)?;
        if !self.hour.is_multiple_of(3600) {
            return Err(Error::config(format!("hour = {} is not the start of an hour", self.hour)));
        }
        if self.hour.checked_add(self.hours * 3600).is_none() {
            return Err(Error::config("a capture cannot hold times after 2106-02-07"));
        }
        if self.format == Format::Unknown {
            return Err(Error::config("format must be pcap or pcapng"));
        }
        let fewest = traffic::fixed_packets(self);
        if self.packets < fewest {
            let (scanners, packets) = (self.scanners, self.packets);
            return Err(Error::config(format!(
                "packets = {packets} is too few: {scanners} scanners and the oddities need {fewest}"
            )));
        }
        Ok(())
    }

    /// The first instant.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        Timestamp::from_seconds(i64::from(self.hour))
    }

    /// The first instant behind the last hour.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        Timestamp::from_seconds(i64::from(self.hour) + i64::from(self.hours) * 3600)
    }
}

/// Makes the traffic and hands over each frame: its time, its length on the wire, and its captured bytes.
///
/// # Errors
/// `InvalidInput` when [`Spec::check`] fails, and whatever `take` returns.
pub fn frames(spec: &Spec, take: impl FnMut(Timestamp, u32, &[u8]) -> io::Result<()>) -> io::Result<Truth> {
    spec.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    traffic::run(spec, take)
}

/// Writes the traffic as a capture of Ethernet frames with times in nanoseconds. Wrap files in a `BufWriter`.
///
/// # Errors
/// As [`frames`], and those of the writer.
pub fn write<W: Write>(spec: &Spec, out: W) -> io::Result<(W, Truth)> {
    const SNAPSHOT: u32 = 262_144;
    match spec.format {
        Format::Pcapng => {
            let mut writer = PcapngWriter::new(out, false)?;
            let interface = writer.interface(LinkType(1), SNAPSHOT, 9, 0)?;
            let truth =
                frames(spec, |time, wire, frame| writer.packet(interface, time.ns().unsigned_abs(), wire, frame))?;
            Ok((writer.finish()?, truth))
        }
        Format::Pcap | Format::Unknown => {
            let mut writer = PcapWriter::new(out, PcapLayout { snapshot: SNAPSHOT, ..PcapLayout::default() })?;
            let truth = frames(spec, |time, wire, frame| writer.record(time, wire, frame))?;
            Ok((writer.finish()?, truth))
        }
    }
}
