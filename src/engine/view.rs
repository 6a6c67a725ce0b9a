//! The seam for products: a view, its part in every worker, and what they are handed.
//!
//! One [`View`] a run makes one [`ShardView`] a worker. A shard view sees the packets of its share of all host pairs in
//! capture order, a batch at a time, and at each marker hands over a part; the view merges the parts of all workers. A
//! view that was not asked for does not exist, and the engine knows none by name.

use std::any::Any;

use crate::decode::packet::Packet;
use crate::engine::FileReport;
use crate::engine::ledger::Intake;
use crate::error::Result;
use crate::table::{FlowRef, FlowTable};
use crate::time::Timestamp;

/// Packets of one file and one shard, in capture order.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// The packets.
    pub packets: &'a [Packet],
    /// Their flows, one a packet; empty when no view of the run wants flows.
    pub flows: &'a [FlowRef],
    /// The flows of the packets that come next, at most as many as a batch has, so that a view can ask for what it has of
    /// them in good time: one after each packet that it takes, for a core waits for few lines at once.
    pub next: &'a [FlowRef],
    /// The bytes that [`Packet::frame`] counts from.
    pub bytes: &'a [u8],
    /// The table that knows the flows' 5-tuples.
    pub table: &'a FlowTable,
}

impl Batch<'_> {
    /// The captured bytes of a packet's frame.
    #[must_use]
    pub fn frame(&self, packet: &Packet) -> &[u8] {
        let start = packet.frame as usize;
        self.bytes.get(start..start + packet.captured as usize).unwrap_or_default()
    }
}

/// A marker inside a file: every [`MARK`] records of it, and at its end. Where it stands depends on the file alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The newest of the records since the marker before, in this file.
    pub newest: Timestamp,
    /// The last of these records: one wild time among them does not show here. A run without an end stays behind it.
    pub last: Timestamp,
    /// The time of the last record itself, however far behind a run without an end stays.
    pub end: Timestamp,
    /// When the next file begins, which may be before this one ends; the latest time if there is none.
    pub next_file: Timestamp,
    /// Fragments among the packets since the marker before, in this file, of all shards.
    pub fragments: u32,
}

/// Records from one [`Mark`] of a file to the next.
pub const MARK: usize = 65_536;

/// What a shard view hands over at a marker; only its own view looks inside.
pub type Part = Box<dyn Any + Send>;

/// How long a view looks back in packet time, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hindsight {
    /// Behind a marker of no file, which says that no packet before it will come, records that are to come are of a time that lies no further
    /// before it; those of empty time between packets aside.
    pub records: i64,
    /// A 5-tuple that has been silent for longer is as one that was never seen.
    pub flows: i64,
    /// A packet may need those of other 5-tuples, as fragments of a datagram have the ports of the first alone; but none from before the last
    /// multiple of this. Nothing where it needs none.
    pub period: i64,
}

impl Hindsight {
    /// That of two views.
    #[must_use]
    pub fn max(self, other: Hindsight) -> Hindsight {
        Hindsight {
            records: self.records.max(other.records),
            flows: self.flows.max(other.flows),
            period: self.period.max(other.period),
        }
    }

    /// From when on all packets are needed where one of a time is, nanoseconds.
    #[must_use]
    pub fn begin(self, time: i64) -> i64 {
        if self.period == 0 { time } else { time.div_euclid(self.period).saturating_mul(self.period) }
    }
}

/// A product computed from packets. What it makes follows from packets, files and markers alone, whatever other views there are in the run.
pub trait View {
    /// Whether its shards need flow ids. A run in which no view does keeps no flow table.
    fn wants_flows(&self) -> bool {
        true
    }

    /// Whether its shards are told of markers inside files. In a run in which no view wants them there are none.
    fn wants_marks(&self) -> bool {
        false
    }

    /// Whether one shard has to see all packets, in the order of the capture. In a run in which a view does, there is one worker.
    fn wants_order(&self) -> bool {
        false
    }

    /// Whether its shards are asked for what is complete behind every batch, so that it leaves a stream at once.
    fn wants_batches(&self) -> bool {
        false
    }

    /// How long its shards look back, behind the time that a marker tells.
    fn hindsight(&self) -> Hindsight {
        Hindsight::default()
    }

    /// Its part in one worker.
    fn shard(&self) -> Box<dyn ShardView>;

    /// Takes the parts of all workers at one marker, in worker order, and emits what is complete.
    ///
    /// # Errors
    /// What its sink says; the run stops.
    fn merge(&mut self, parts: Vec<Part>) -> Result<()>;

    /// A file has been read to its end; called in the order of numbers among the files of one reader, in front of the
    /// merges of what its packets complete.
    ///
    /// # Errors
    /// As [`View::merge`].
    fn file(&mut self, _number: u32, _report: &FileReport) -> Result<()> {
        Ok(())
    }

    /// Called once behind the last merge, with what became of all frames.
    ///
    /// # Errors
    /// As [`View::merge`], and when the view's ledger does not balance.
    fn finish(&mut self, intake: &Intake) -> Result<()>;
}

/// One worker's share of a view.
pub trait ShardView: Send {
    /// The packets that follow are of the file with this number; all files with smaller numbers are behind us. The next file
    /// begins at `next`, which may be before this one ends; the latest time if there is none.
    fn file(&mut self, _number: u32, _next: Timestamp) {}

    /// Takes packets.
    fn packets(&mut self, batch: &Batch<'_>);

    /// Takes a marker: no packet that is not late will come for windows that end at or before `before`; `None` is the
    /// end of the run. Returns what is complete, or nothing.
    fn close(&mut self, before: Option<Timestamp>, table: &FlowTable) -> Option<Part>;

    /// Takes a marker inside a file; returns what is complete, or nothing.
    fn mark(&mut self, _mark: Mark, _table: &FlowTable) -> Option<Part> {
        None
    }

    /// Asked behind every batch, in a run in which a view [wants](View::wants_batches) that: what is complete by what it has seen itself, or nothing.
    /// A view that does not want it hands over nothing, so that it makes the same beside one that does.
    fn hand_over(&mut self) -> Option<Part> {
        None
    }

    /// Asked behind a marker, when what it handed over there is taken: all records that are yet to come are of this time or later. Packets that come
    /// though they are of a time before the marker's may make others. A record of a window is of its begin. A view of which nobody waits for records has no say in it.
    fn settled(&self) -> Timestamp {
        Timestamp::MAX
    }

    /// No packet before `until` will come, though none from then on has come yet; `follows` is whether it is known that one will.
    /// What windows end there is [closed](ShardView::close) next, and then comes a marker, which is of no file.
    fn quiet(&mut self, _until: Timestamp, _follows: bool) {}

    /// Moves the ids of flows that it has come to need no more since it was last asked to `flows`; asked behind each marker.
    /// The table then forgets them if no view [keeps](ShardView::keeps) them, and may forget others that none does.
    fn ended(&mut self, _flows: &mut Vec<u32>) {}

    /// Whether it still needs a flow's id.
    fn keeps(&self, _flow: u32) -> bool {
        false
    }
}
