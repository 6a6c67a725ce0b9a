//! How far a product by the hour is: what its view says at each marker, told to what passes its hours; and which packets came for hours that had
//! been passed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::spans::{HOUR, hour};
use crate::engine::view::{Batch, ShardView, View};
use crate::time::Timestamp;
use crate::watch::sifted::{Sift, Sifted};

/// Hours further than this before those to come count as one, nanoseconds.
const FAR: i64 = 1000 * HOUR;

/// See the module. A run without an end has one thread, so all that comes between two markers finds it as the first has left it.
#[derive(Debug)]
pub(super) struct Standing {
    settled: AtomicI64,
    passed: AtomicI64,
    /// Packets that came late since hours were passed last, by the hour of the record that each may make.
    late: Mutex<BTreeMap<i64, u64>>,
}

impl Default for Standing {
    fn default() -> Standing {
        Standing { settled: AtomicI64::new(i64::MIN), passed: AtomicI64::new(i64::MIN), late: Mutex::default() }
    }
}

impl Standing {
    /// As the last marker stood: all records that are yet to come are of this time or later, nanoseconds.
    pub(super) fn settled(&self) -> i64 {
        self.settled.load(Relaxed)
    }

    /// What ends here or before has been passed, whether or not it was out before, nanoseconds.
    pub(super) fn passed(&self) -> i64 {
        self.passed.load(Relaxed)
    }

    /// Hours up to here are passed. What came late for others before has left by then: its time is further back than what the view held.
    pub(super) fn pass(&self, until: i64) {
        if self.passed.fetch_max(until, Relaxed) < until {
            self.late().clear();
        }
    }

    /// A packet has come whose record, if it makes one, is of an hour that was passed.
    fn note_late(&self, time: i64) {
        *self.late().entry(self.near(time)).or_default() += 1;
    }

    /// Whether a record of an hour that was passed is of a packet that came late: the last of a flow did, or one of a bucket, so each makes one
    /// at most, and of its own hour.
    pub(super) fn excuses(&self, time: i64) -> bool {
        match self.late().get_mut(&self.near(time)) {
            Some(late @ 1..) => {
                *late -= 1;
                true
            }
            _ => false,
        }
    }

    /// The hour of a time, as late packets are counted by.
    fn near(&self, time: i64) -> i64 {
        hour(time).max(self.passed().saturating_sub(FAR))
    }

    fn late(&self) -> MutexGuard<'_, BTreeMap<i64, u64>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A view that tells at each marker what is settled, and which of its packets come late. A record of a packet is of a multiple of `width`
/// nanoseconds, the last one up to the packet's time.
pub(super) fn told<'v>(view: impl View + 'v, width: i64, standing: &Arc<Standing>) -> Sifted<'v> {
    let standing = Arc::clone(standing);
    Sifted::new(Box::new(view), move |_| Told { standing: Arc::clone(&standing), width })
}

struct Told {
    standing: Arc<Standing>,
    width: i64,
}

impl Sift for Told {
    fn packets(&mut self, batch: &Batch<'_>, shard: &mut dyn ShardView) {
        let passed = self.standing.passed();
        let record = |time: i64| time.div_euclid(self.width).saturating_mul(self.width);
        let times = batch.packets.iter().map(|packet| packet.time.0);
        // No record is behind its packet.
        times.filter(|time| time.saturating_sub(self.width) < passed).map(record).for_each(|time| {
            if time < passed {
                self.standing.note_late(time);
            }
        });
        shard.packets(batch);
    }

    fn settled(&mut self, settled: Timestamp) {
        self.standing.settled.store(settled.0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_packet_excuses_one_record_of_its_hour_until_the_next_is_passed() {
        let standing = Standing::default();
        standing.pass(11 * HOUR);
        standing.note_late(10 * HOUR + 1);
        assert!(!standing.excuses(10 * HOUR - 1), "of another hour");
        assert!(standing.excuses(11 * HOUR - 1));
        assert!(!standing.excuses(11 * HOUR - 1), "it has made one");
        standing.note_late(10 * HOUR);
        standing.pass(11 * HOUR);
        assert!(standing.excuses(10 * HOUR), "nothing was passed");
        standing.note_late(10 * HOUR);
        standing.pass(12 * HOUR);
        assert!(!standing.excuses(10 * HOUR), "it made none");
    }

    #[test]
    fn late_packets_of_any_time_take_bounded_memory() {
        let standing = Standing::default();
        standing.pass(0);
        (1..100_000).for_each(|ago| standing.note_late(-ago * HOUR));
        assert_eq!(standing.late().len() as i64, FAR / HOUR);
        assert!(standing.excuses(i64::MIN));
    }
}
