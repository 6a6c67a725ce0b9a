//! What the packets of one flow tell: statistics, TCP sequence analysis, the flow's community id.
//!
//! These are the pieces of which the rows of flow products are made. Each is a plain value that is fed packets in the
//! order of the flow and knows nothing of tables, views or formats.
//!
//! - [`statistics`]: lengths, times and windows, each for both directions, up and down; formulas in [`moments`].
//! - [`sequence`]: what each TCP segment is: new, repeated, out of order, a keep-alive, a probe.
//! - [`community_id`]: the name that other tools give the flow.

pub mod community_id;
pub mod moments;
pub mod sequence;
pub mod statistics;

mod counts;
mod log;
mod sketch;
pub(crate) mod varint;
mod wide;

pub use counts::Seed;

/// A direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Side {
    /// From the client.
    Up = 0,
    /// To the client.
    Down = 1,
}

/// The lengths of one packet of a flow, in bytes, and its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which way it went.
    pub side: Side,
    /// The frame.
    pub frame: u32,
    /// The IP packet, header included.
    pub ip: u32,
    /// The transport header and payload.
    pub l4: u32,
    /// The transport payload.
    pub payload: u32,
    /// The window field of a TCP header, not scaled; `None` where there is none.
    pub window: Option<u16>,
}

#[cfg(test)]
pub(crate) mod oracle;
#[cfg(test)]
mod tests;
