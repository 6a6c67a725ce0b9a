//! The ledger: every packet, wire byte and captured byte of a run, by what became of it.

use std::collections::BTreeMap;
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

use crate::capture::Record;
use crate::decode::packet::Fragment;
use crate::decode::packet::{Packet, Tunnel, protocol};
use crate::decode::reject::{Malformed, NotIp, Reject};
use crate::error::{ErrorKind, Result};

/// Packets with their wire and captured bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Packets (stored frames).
    pub packets: u64,
    /// Bytes they had on the wire.
    pub wire_bytes: u64,
    /// Bytes of them that were captured.
    pub captured_bytes: u64,
}

impl Amount {
    /// One packet.
    #[inline]
    #[must_use]
    pub fn one(wire: u32, captured: u32) -> Amount {
        Amount { packets: 1, wire_bytes: u64::from(wire), captured_bytes: u64::from(captured) }
    }

    /// Whether it is of no packets.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.packets == 0
    }
}

impl AddAssign for Amount {
    #[inline]
    fn add_assign(&mut self, other: Amount) {
        self.packets += other.packets;
        self.wire_bytes += other.wire_bytes;
        self.captured_bytes += other.captured_bytes;
    }
}

impl Add for Amount {
    type Output = Amount;
    #[inline]
    fn add(mut self, other: Amount) -> Amount {
        self += other;
        self
    }
}

impl Sub for Amount {
    type Output = Amount;
    fn sub(self, other: Amount) -> Amount {
        Amount {
            packets: self.packets - other.packets,
            wire_bytes: self.wire_bytes - other.wire_bytes,
            captured_bytes: self.captured_bytes - other.captured_bytes,
        }
    }
}

/// What became of the frames of one file, or of all: `read = accepted + filtered + duplicate + not_ip + malformed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intake {
    /// Frames that the reader delivered.
    pub read: Amount,
    /// Decoded and handed to the views.
    pub accepted: Amount,
    /// Left out by a filter that was asked for.
    pub filtered: Amount,
    /// Left out by `--dedup`.
    pub duplicate: Amount,
    /// Frames without IP.
    pub not_ip: Amount,
    /// Frames cut or wrong below or in the IP header.
    pub malformed: Amount,
}

impl AddAssign for Intake {
    fn add_assign(&mut self, other: Intake) {
        self.read += other.read;
        self.accepted += other.accepted;
        self.filtered += other.filtered;
        self.duplicate += other.duplicate;
        self.not_ip += other.not_ip;
        self.malformed += other.malformed;
    }
}

/// What became of the accepted packets in one view:
/// `accepted = kept + collapsed + out_of_window + late + over_limit + filtered`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// In records.
    pub kept: Amount,
    /// Stood for by scan summaries.
    pub collapsed: Amount,
    /// Outside the time range that was asked for.
    pub out_of_window: Amount,
    /// Of a window that ended before their own file began, or was closed by `--lateness`.
    pub late: Amount,
    /// Beyond a limit that was asked for.
    pub over_limit: Amount,
    /// Left out by the view as it was asked to; the metrics add it to what filters left out before.
    #[serde(default, skip_serializing_if = "Amount::is_nothing")]
    pub filtered: Amount,
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Outcome) {
        self.kept += other.kept;
        self.collapsed += other.collapsed;
        self.out_of_window += other.out_of_window;
        self.late += other.late;
        self.over_limit += other.over_limit;
        self.filtered += other.filtered;
    }
}

/// Checks that both sides balance in all three measures.
///
/// # Errors
/// [`ErrorKind::Invariant`] with both sides, which ends a run with exit code 4.
pub fn balance(name: &str, whole: Amount, parts: &[Amount]) -> Result<()> {
    let mut sum = Amount::default();
    for &part in parts {
        sum += part;
    }
    if sum == whole {
        return Ok(());
    }
    Err(ErrorKind::Invariant(format!("the ledger of {name} does not balance: {whole:?} in, {sum:?} accounted for"))
        .into())
}

impl Intake {
    /// Checks `read = accepted + filtered + duplicate + not_ip + malformed`.
    ///
    /// # Errors
    /// As [`balance`].
    pub fn check(&self, name: &str) -> Result<()> {
        let parts = [self.accepted, self.filtered, self.duplicate, self.not_ip, self.malformed];
        balance(name, self.read, &parts)
    }
}

/// Packets with each flag set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagCounts {
    /// SYN.
    pub syn: u64,
    /// ACK.
    pub ack: u64,
    /// RST.
    pub rst: u64,
    /// FIN.
    pub fin: u64,
}

/// Counts of the decoder, by file or for a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The ledger's first half.
    pub intake: Intake,
    /// Malformed frames by reason.
    pub malformed_by: BTreeMap<Malformed, u64>,
    /// Frames without IP by what they carry.
    #[serde(with = "pairs")]
    pub not_ip_by: BTreeMap<NotIp, u64>,
    /// Frames by unsupported link type.
    pub unsupported_links: BTreeMap<u16, u64>,
    /// Accepted TCP packets whose flags are known, later fragments apart. One whose header is cut before the flags, or
    /// invalid, is in groups by its ports and counted under `other` here.
    pub tcp: u64,
    /// Accepted UDP packets, later fragments apart.
    pub udp: u64,
    /// Accepted later fragments.
    pub fragment: u64,
    /// Accepted packets of other protocols, and TCP packets without flags.
    pub other: u64,
    /// Accepted TCP packets by flag.
    pub flags: FlagCounts,
    /// Accepted packets by innermost tunnel; those that were in none are not counted.
    pub tunnels: [u64; Tunnel::ALL.len()],
}

impl Tally {
    /// Counts a packet that the views will see.
    #[inline]
    pub fn accept(&mut self, packet: &Packet) {
        if packet.fragment == Fragment::Later {
            self.fragment += 1;
        } else {
            match packet.protocol {
                protocol::TCP if packet.has_flags => self.tcp += 1,
                protocol::UDP => self.udp += 1,
                _ => self.other += 1,
            }
        }
        if packet.tunnel != Tunnel::None {
            self.tunnels[packet.tunnel as usize] += 1;
        }
    }

    /// Counts flags that were summed over fewer than 65,536 packets with [`tcp_flag::lanes`].
    pub(super) fn add_flags(&mut self, lanes: u64) {
        self.flags.syn += lanes & 0xffff;
        self.flags.ack += lanes >> 16 & 0xffff;
        self.flags.rst += lanes >> 32 & 0xffff;
        self.flags.fin += lanes >> 48;
    }

    /// Counts a frame that yields no packet.
    #[cold]
    pub fn reject(&mut self, record: &Record, reject: Reject) {
        let amount = Amount::one(record.wire, record.captured);
        match reject {
            Reject::NotIp(what) => {
                self.intake.not_ip += amount;
                *self.not_ip_by.entry(what).or_default() += 1;
            }
            Reject::Malformed(reason) => {
                self.intake.malformed += amount;
                *self.malformed_by.entry(reason).or_default() += 1;
                if reason == Malformed::LinkType {
                    *self.unsupported_links.entry(record.link.0).or_default() += 1;
                }
            }
        }
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: &Tally) {
        self.intake += other.intake;
        for (&reason, n) in &other.malformed_by {
            *self.malformed_by.entry(reason).or_default() += n;
        }
        for (&what, n) in &other.not_ip_by {
            *self.not_ip_by.entry(what).or_default() += n;
        }
        for (&link, n) in &other.unsupported_links {
            *self.unsupported_links.entry(link).or_default() += n;
        }
        self.tcp += other.tcp;
        self.udp += other.udp;
        self.fragment += other.fragment;
        self.other += other.other;
        self.flags.syn += other.flags.syn;
        self.flags.ack += other.flags.ack;
        self.flags.rst += other.flags.rst;
        self.flags.fin += other.flags.fin;
        for (sum, n) in self.tunnels.iter_mut().zip(other.tunnels) {
            *sum += n;
        }
    }
}

/// A map as a list of pairs, for formats whose keys are text.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::decode::reject::NotIp;

    pub(super) fn serialize<S: Serializer>(map: &BTreeMap<NotIp, u64>, to: S) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<NotIp, u64>, D::Error> {
        Ok(Vec::<(NotIp, u64)>::deserialize(from)?.into_iter().collect())
    }
}
