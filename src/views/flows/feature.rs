//! The seam for features of a caller's own: state for every flow, and columns.

use std::fmt::Debug;

use super::cells::Cells;
use super::columns::{Column, Kind};
use crate::flow::Sample;
use crate::time::Timestamp;

/// A column of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureColumn {
    /// Its name.
    pub name: &'static str,
    /// What its cells are.
    pub kind: Kind,
    /// Their unit; empty if they have none.
    pub unit: &'static str,
    /// What they say.
    pub about: &'static str,
}

impl From<&Column> for FeatureColumn {
    fn from(&Column { name, kind, unit, about, .. }: &Column) -> FeatureColumn {
        FeatureColumn { name, kind, unit, about }
    }
}

/// What a caller computes for every flow.
pub trait Feature: Debug + Send + Sync {
    /// Its columns.
    fn columns(&self) -> Vec<FeatureColumn>;

    /// The state of a new flow.
    fn start(&self) -> Box<dyn FeatureState>;
}

/// The state of one flow.
pub trait FeatureState: Debug + Send {
    /// Takes the flow's next packet, in packet time.
    fn packet(&mut self, packet: &FlowPacket);

    /// Appends a cell for each column; a feature without columns may leave cells to a table of columns. Which end is the client is
    /// known only now.
    fn finish(&self, roles: Roles, cells: &mut Cells);

    /// The state of a flow that [goes on](super::GoesOn) from this one, which has ended; nothing: a new one.
    fn heir(&mut self) -> Option<Box<dyn FeatureState>> {
        None
    }
}

/// What the two ends of a flow are to one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// The client is the high end of the 5-tuple, not the low one.
    pub client_high: bool,
    /// Both are the same host.
    pub one_host: bool,
}

/// A packet of a flow as features see it.
#[derive(Clone, Copy, Debug)]
pub struct FlowPacket {
    /// When it was captured.
    pub time: Timestamp,
    /// Its sender is the high end of the flow's 5-tuple.
    pub from_high: bool,
    /// IP protocol number.
    pub protocol: u8,
    /// The flags of a TCP header.
    pub tcp_flags: Option<u8>,
    /// Its lengths and its window. The side is `Up` for the low end's packets.
    pub sample: Sample,
    /// Bytes of its transport payload that were captured; the sample's are by the headers.
    pub captured_payload: u32,
    /// Bytes of its frame that were captured.
    pub captured: u32,
    /// Bytes of its frame in front of the innermost IP header that was followed.
    pub ip_offset: u16,
    /// Its VLAN: the last tag in front of the outermost IP header.
    pub vlan: Option<u16>,
    /// It has a UDP header: it is UDP, and no later fragment.
    pub udp: bool,
    /// It has an SCTP header: it is SCTP, and no later fragment.
    pub sctp: bool,
    /// Sequence and acknowledgement number of a TCP header.
    pub numbers: Option<(u32, u32)>,
    /// Type and code of an ICMP or ICMPv6 message.
    pub icmp: Option<[u8; 2]>,
    /// The client is the high end, where that follows from the flow's first packet ([`ClientRule`](super::ClientRule)).
    pub client_high: bool,
    /// Both ends are one address.
    pub one_host: bool,
}
