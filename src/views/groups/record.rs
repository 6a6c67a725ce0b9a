//! What the groups view emits: groups, and the windows they belong to.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::tokens::Tokens;
use crate::app::Section;
use crate::decode::packet::protocol;
use crate::engine::ledger::Amount;
use crate::table::direction::Direction;
use crate::time::Timestamp;

/// The transport of a group's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Transport {
    /// TCP.
    Tcp = 0,
    /// UDP.
    Udp = 1,
    /// Any other protocol.
    Other = 2,
}

impl Transport {
    /// Every transport, in order of output.
    pub const ALL: [Transport; 3] = [Transport::Tcp, Transport::Udp, Transport::Other];

    /// The transport of an IP protocol number.
    #[inline]
    #[must_use]
    pub const fn of(number: u8) -> Transport {
        match number {
            protocol::TCP => Transport::Tcp,
            protocol::UDP => Transport::Udp,
            _ => Transport::Other,
        }
    }

    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Other => "other",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What makes packets one group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// The client.
    pub src_ip: IpAddr,
    /// The server.
    pub dst_ip: IpAddr,
    /// The server's port; 0 where the protocol has none.
    pub dst_port: u16,
    /// TCP, UDP or other.
    pub transport: Transport,
    /// Service by `dst_port`.
    pub service: Arc<str>,
}

impl GroupKey {
    /// Whether two keys of one run are equal: cheaper than comparing the names of services, which a run shares.
    #[inline]
    pub(crate) fn same(&self, other: &GroupKey) -> bool {
        self.dst_port == other.dst_port
            && self.transport == other.transport
            && self.dst_ip == other.dst_ip
            && self.src_ip == other.src_ip
            && Arc::ptr_eq(&self.service, &other.service)
    }
}

/// Packets and bytes by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets from the client.
    pub pkts_up: u64,
    /// Packets from the server.
    pub pkts_dn: u64,
    /// Bytes from the client, by the configured measure.
    pub bytes_up: u64,
    /// Bytes from the server.
    pub bytes_dn: u64,
}

/// Packets with each TCP flag set, both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags {
    /// SYN, SYN+ACK included.
    pub syn: u64,
    /// ACK.
    pub ack: u64,
    /// RST.
    pub rst: u64,
    /// FIN.
    pub fin: u64,
}

/// A half-open time range in capture time: `start <= t < end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant behind it.
    pub end: Timestamp,
}

/// One slice of a group in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRecord {
    /// What its packets have in common.
    pub key: GroupKey,
    /// Earliest packet.
    pub first_ts: Timestamp,
    /// Latest packet.
    pub last_ts: Timestamp,
    /// Packets and bytes by direction.
    pub counts: Counts,
    /// Packets by TCP flag.
    pub tcp_flags: TcpFlags,
    /// The nine quantised values.
    pub tokens: Tokens,
    /// What enrichers found; at most one.
    pub section: Option<Section>,
    /// The window, clipped to the time range that was asked for.
    pub window: Window,
    /// 5-tuples inside, protocol number included.
    pub flows: u64,
    /// The weakest evidence that decided the direction of any of them.
    pub direction: Direction,
    /// All its packets, in the ledger's measures.
    pub amount: Amount,
}

impl GroupRecord {
    /// `last_ts - first_ts` in nanoseconds.
    #[must_use]
    pub fn duration_ns(&self) -> i64 {
        self.last_ts.0.saturating_sub(self.first_ts.0)
    }
}
