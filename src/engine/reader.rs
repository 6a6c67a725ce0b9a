//! Reads one file: records, duplicates, decoding, the filter, and the first half of the ledger.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;

use super::ledger::Amount;
use super::view::{MARK, Mark};
use super::{FileReport, Progress};
use crate::capture::Capture;
use crate::capture::{Record, Records};
use crate::decode::packet::{Fragment, tcp_flag};
use crate::decode::{Decoder, Packet};
use crate::engine::ledger::Tally;
use crate::error::Result;
use crate::filter::Filter;
use crate::time::Timestamp;

/// Records a batch. Their packets, 48 KiB, lie in the second-level cache between decoding and the flow table.
pub(super) const BATCH: usize = 512;

/// One file on its way through the decoder.
pub(super) struct Reader<'p> {
    path: PathBuf,
    capture: Capture,
    decoder: Decoder,
    dedup: Option<Dedup>,
    filter: Option<Arc<Filter>>,
    tally: Tally,
    progress: &'p Progress,
    told: u64,
    marks: Option<Marks>,
    /// How far behind the last record markers say that it is, and before which they do not for that.
    behind: (i64, Timestamp),
}

/// How far it is to the next marker, and what it will say.
struct Marks {
    records: usize,
    mark: Mark,
}

impl<'p> Reader<'p> {
    pub(super) fn new(
        path: PathBuf,
        capture: Capture,
        decoder: Decoder,
        dedup: usize,
        filter: Option<Arc<Filter>>,
        progress: &'p Progress,
    ) -> Reader<'p> {
        let dedup = (dedup > 0).then(|| Dedup::new(dedup));
        Reader {
            path,
            capture,
            decoder,
            dedup,
            filter,
            tally: Tally::default(),
            progress,
            told: 0,
            marks: None,
            behind: (0, Timestamp::MIN),
        }
    }

    /// Sets markers, for views that want them; `next_file` is when the next file begins.
    pub(super) fn with_marks(mut self, next_file: Option<Timestamp>) -> Reader<'p> {
        let mark = |next_file| Mark {
            newest: Timestamp::MIN,
            last: Timestamp::MIN,
            end: Timestamp::MIN,
            next_file,
            fragments: 0,
        };
        self.marks = next_file.map(|next_file| Marks { records: 0, mark: mark(next_file) });
        self
    }

    /// Lets markers stay so far behind the last record, in nanoseconds, but not behind the first one for that.
    pub(super) fn behind(mut self, ns: i64, first: Timestamp) -> Reader<'p> {
        self.behind = (ns, first);
        self
    }

    /// The marker that stands behind the last batch, if there is one.
    pub(super) fn mark(&mut self) -> Option<Mark> {
        self.marks.as_ref().filter(|marks| marks.records == MARK)?;
        self.last_mark()
    }

    /// The marker at the end of the file, where markers are wanted and none stands there already.
    pub(super) fn last_mark(&mut self) -> Option<Mark> {
        let marks = self.marks.as_mut().filter(|marks| marks.records > 0)?;
        let next = Mark { newest: Timestamp::MIN, fragments: 0, ..marks.mark };
        marks.records = 0;
        Some(std::mem::replace(&mut marks.mark, next))
    }

    /// Reads a batch and replaces `packets` with its packets; false at the end of the file.
    #[inline]
    pub(super) fn batch(&mut self, records: &mut Records, packets: &mut Vec<Packet>) -> Result<bool> {
        self.progress.stopped()?;
        // A batch ends where a marker stands.
        let room = self.marks.as_ref().map_or(BATCH, |marks| BATCH.min(MARK - marks.records));
        let more = self.capture.fill(records, room);
        if !matches!(more, Ok(true)) {
            // Standard input may have ended because the run is to stop.
            self.progress.stopped()?;
        }
        let more = more?;
        let (list, bytes) = (records.list(), records.bytes());
        if let Some(marks) = &mut self.marks {
            marks.records += list.len();
            marks.mark.newest = list.iter().fold(marks.mark.newest, |newest, record| newest.max(record.time));
            let (behind, first) = self.behind;
            let stays = |time: Timestamp| Timestamp(time.0.saturating_sub(behind)).max(first.min(time));
            if let Some(record) = list.last() {
                (marks.mark.last, marks.mark.end) = (stays(record.time), record.time);
            }
        }
        let read = list.iter().fold(Amount::default(), |sum, record| sum + Amount::one(record.wire, record.captured));
        let mut refused = Amount::default();
        let (mut flags, mut fragments) = (0, 0);
        // What earlier batches left is written over.
        packets.resize(list.len(), Packet::default());
        let mut used = 0;
        for record in list {
            let (start, Some(packet)) = (record.offset as usize, packets.get_mut(used)) else { break };
            let frame = bytes.get(start..start + record.captured as usize).unwrap_or_default();
            if let Some(dedup) = &mut self.dedup
                && dedup.seen(record, frame)
            {
                let amount = Amount::one(record.wire, record.captured);
                self.tally.intake.duplicate += amount;
                refused += amount;
                continue;
            }
            match self.decoder.decode_into(record, frame, packet) {
                Ok(()) => {
                    if let Some(filter) = &self.filter
                        && !filter.matches(packet, record.link, frame)
                    {
                        let amount = Amount::one(record.wire, record.captured);
                        self.tally.intake.filtered += amount;
                        refused += amount;
                        continue;
                    }
                    used += 1;
                    self.tally.accept(packet);
                    flags += tcp_flag::lanes(packet.tcp_flags);
                    fragments += u32::from(packet.fragment != Fragment::Whole);
                }
                Err(reject) => {
                    refused += Amount::one(record.wire, record.captured);
                    self.tally.reject(record, reject);
                }
            }
        }
        packets.truncate(used);
        self.tally.add_flags(flags);
        if let Some(marks) = &mut self.marks {
            marks.mark.fragments += fragments;
        }
        self.tally.intake.read += read;
        self.tally.intake.accepted += read - refused;
        let at = self.capture.report().bytes_read;
        self.progress.add(at.saturating_sub(self.told), records.list().len() as u64);
        self.told = at;
        Ok(more)
    }

    pub(super) fn finish(mut self) -> FileReport {
        let (report, intake) = (self.capture.report(), &self.tally.intake);
        tracing::debug!(
            path = ?self.path,
            status = report.status.name(),
            packets = intake.read.packets,
            accepted = intake.accepted.packets,
            "file read"
        );
        let path = std::mem::take(&mut self.path);
        FileReport { path, sensor: None, capture: report.clone(), tally: self.tally.clone() }
    }
}

/// Read to its end or given up, what was read of it was read.
impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.progress.ended(&self.tally);
    }
}

/// The last frames of a file, by time, wire length and a keyed hash of their bytes.
struct Dedup {
    room: usize,
    hash: RandomState,
    /// How many of the last frames are equal.
    known: HashMap<Frame, u32>,
    order: VecDeque<Frame>,
}

/// Time, wire length, hash of the bytes.
type Frame = (i64, u32, u64);

impl Dedup {
    fn new(room: usize) -> Dedup {
        Dedup { room, hash: RandomState::new(), known: HashMap::new(), order: VecDeque::new() }
    }

    /// Whether the frame equals one of the last, and makes it the last.
    fn seen(&mut self, record: &Record, frame: &[u8]) -> bool {
        let key = (record.time.0, record.wire, self.hash.hash_one(frame));
        let equal = self.known.entry(key).or_default();
        let seen = *equal > 0;
        *equal += 1;
        self.order.push_back(key);
        if self.order.len() > self.room
            && let Some(oldest) = self.order.pop_front()
            && let Some(equal) = self.known.get_mut(&oldest)
        {
            *equal -= 1;
            if *equal == 0 {
                self.known.remove(&oldest);
            }
        }
        seen
    }
}
