//! Timelines: every TCP packet of a capture in its flow, with what it does there.
//!
//! ```text
//! capture or CSV -> Packet -> Machine (correct.rs | original.rs) -> Flow -> TimelineSink: folders, page
//! ```
//!
//! A timeline is for eyes: hosts, packets over time, and flows with the steps of the TCP state machine that their packets took. Two machines
//! make the steps: [`correct`](Mode::Correct), and [`original`](Mode::Original), which does what tcp_data_loader_streaming.py of
//! TimeArcs does, its mistakes included. Both hand the same records to the same sinks.
//!
//! Times are microseconds since 1970, as viewers in JavaScript need them: nanoseconds are beyond 2^53. Nanoseconds of a capture are
//! rounded down.

#[cfg(feature = "cli")]
pub(crate) mod again;
mod apart;
mod cells;
mod choice;
mod connection;
pub mod correct;
pub mod flags;
mod hosts;
mod machine;
mod number;
pub mod original;
mod packed;
pub mod packets;
mod record;
mod reorder;
mod scene;
mod spill;
pub mod table;
mod verdict;
pub mod view;

pub use apart::Apart;
pub use choice::{Choice, Chosen};
pub use correct::Correct;
pub use hosts::{Host, Hosts};
pub use machine::Machine;
pub use packets::Packets;
pub use record::{Close, Flow, Packet, Phase, Reason, Sides, State, Step};
pub use scene::{COARSE_ROWS, Class, Ending, Level, Line, Listed, NOBODY, Rows, Scene, Told};
pub use view::{Timeline, TimelineJob};

use crate::error::Result;

/// Which state machine makes the steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// As TCP is: both directions, modulo 2^32, independent of how input is cut.
    #[default]
    Correct,
    /// As the original, bit for bit.
    Original,
}

/// Receives a timeline. Packets come as they were captured, flows as they end; a flow's packets have come before it.
pub trait TimelineSink {
    /// A packet, TCP or not.
    ///
    /// # Errors
    /// Whatever stops the run; see [`Error::sink`](crate::Error::sink).
    fn packet(&mut self, packet: &Packet, hosts: &Hosts) -> Result<()>;

    /// A flow that is over, with all its packets.
    ///
    /// # Errors
    /// As [`TimelineSink::packet`].
    fn flow(&mut self, flow: &Flow, hosts: &Hosts) -> Result<()>;

    /// There is no more; called once, last, by whoever runs the machine.
    ///
    /// # Errors
    /// As [`TimelineSink::packet`].
    fn finish(&mut self, hosts: &Hosts) -> Result<()>;
}
