//! Bulks: at least four packets with payload of one direction, none later than a second behind the one before, or by the switch
//! a millisecond, and payload of the other direction between none of them.

/// Packets of a bulk, at least.
const LEAST: u64 = 4;

/// The bulks of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bulk {
    /// Where what may become a bulk began.
    start: Option<i64>,
    packets: u64,
    size: u64,
    /// Time of the last packet with payload.
    last: Option<i64>,
    pub(super) done: Done,
}

/// What all bulks of a direction come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) bulks: u64,
    pub(super) packets: u64,
    pub(super) size: u64,
    /// Microseconds.
    pub(super) time: i64,
}

impl Done {
    /// Where time jumps back and forth by centuries, there is an end to what can be added up.
    fn last_for(&mut self, time: i64) {
        self.time = self.time.saturating_add(time);
    }
}

impl Bulk {
    /// Takes a packet at `time`; `pause` is the longest inside a bulk, both in microseconds. `other` is of the other direction,
    /// where that interrupts.
    pub(super) fn take(&mut self, time: i64, payload: u32, pause: i64, other: Option<&Bulk>) {
        if other.is_some_and(|other| other.last > self.start) {
            self.start = None;
        }
        if payload == 0 {
            return;
        }
        let size = u64::from(payload);
        let last = self.last.replace(time).unwrap_or(time);
        match self.start {
            Some(start) if time - last <= pause => {
                self.packets += 1;
                self.size += size;
                if self.packets == LEAST {
                    self.done.bulks += 1;
                    self.done.packets += LEAST;
                    self.done.size += self.size;
                    self.done.last_for(time - start);
                } else if self.packets > LEAST {
                    self.done.packets += 1;
                    self.done.size += size;
                    self.done.last_for(time - last);
                }
            }
            _ => (self.start, self.packets, self.size) = (Some(time), 1, size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: i64 = 1_000_000;

    #[test]
    fn four_in_a_row_are_a_bulk_unless_a_pause_or_the_other_side_comes_between() {
        let mut bulk = Bulk::default();
        for (place, payload) in [(0, 10), (1, 0), (2, 10), (3, 10)] {
            bulk.take(place * PAUSE / 2, payload, PAUSE, None);
        }
        assert_eq!(bulk.done, Done::default());
        bulk.take(2 * PAUSE, 10, PAUSE, None);
        bulk.take(3 * PAUSE, 7, PAUSE, None);
        assert_eq!(bulk.done, Done { bulks: 1, packets: 5, size: 47, time: 3 * PAUSE });
        bulk.take(4 * PAUSE + 1, 10, PAUSE, None);
        assert_eq!((bulk.done.packets, bulk.packets), (5, 1));

        let (mut bulk, mut other) = (Bulk::default(), Bulk::default());
        for time in 0..3 {
            bulk.take(time, 10, PAUSE, Some(&other));
        }
        // At the time of its first packet it does not interrupt.
        other.take(0, 1, PAUSE, Some(&bulk));
        bulk.take(3, 10, PAUSE, Some(&other));
        assert_eq!(bulk.done.bulks, 1);
        other.take(4, 1, PAUSE, Some(&bulk));
        bulk.take(5, 10, PAUSE, Some(&other));
        assert_eq!(bulk.packets, 1);
    }
}
