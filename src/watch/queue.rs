//! How many complete files of each sensor wait, and how many its line may be told of.
//!
//! A line holds so many and no more. What is complete beyond that stays with the arrivals, which have to know it anyway, and is told when there is
//! room, the oldest first. So no line that falls behind holds up another, and all that waits is counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Files that a line is told of at most and has not read.
pub(super) const MOST: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue {
    sensors: Mutex<BTreeMap<String, Waits>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Waits {
    /// Complete, and not told.
    left: usize,
    /// Told, and not come to.
    told: usize,
    /// With the line, to be read.
    held: usize,
    /// Of these, some may need captures of hours that are out.
    late: bool,
    /// Files and folders that cannot be read, and are tried again.
    unreadable: usize,
}

impl Waits {
    fn with_line(self) -> usize {
        self.told.saturating_add(self.held)
    }
}

impl Queue {
    /// How many more a line takes, of which it may hold `most`: none until half of them are read, so that they come in long runs of their order.
    pub(super) fn room(&self, sensor: &str, most: usize) -> usize {
        let waiting = self.lock().get(sensor).map_or(0, |waits| waits.with_line());
        if waiting <= most / 2 { most - waiting } else { 0 }
    }

    /// Files are told, and so many are left.
    pub(super) fn tell(&self, sensor: &str, files: usize, left: usize) {
        let mut sensors = self.lock();
        if let Some(waits) = sensors.get_mut(sensor) {
            (waits.told, waits.left) = (waits.told.saturating_add(files), left);
        } else {
            sensors.insert(sensor.to_owned(), Waits { left, told: files, ..Waits::default() });
        }
    }

    /// The line has come to files that it was told of, and holds so many.
    pub(super) fn take(&self, sensor: &str, files: usize, held: usize) {
        let mut sensors = self.lock();
        let waits = sensors.entry(sensor.to_owned()).or_default();
        (waits.told, waits.held) = (waits.told.saturating_sub(files), held);
    }

    /// The line of a sensor holds files that may need captures of hours that are out, or none.
    pub(super) fn set_late(&self, sensor: &str, late: bool) {
        let mut sensors = self.lock();
        match sensors.get_mut(sensor) {
            Some(waits) => waits.late = late,
            None => drop(sensors.insert(sensor.to_owned(), Waits { late, ..Waits::default() })),
        }
    }

    /// So many files and folders of sensors cannot be read; of others none.
    pub(super) fn unreadable(&self, of: &BTreeMap<String, usize>) {
        let mut sensors = self.lock();
        sensors.values_mut().for_each(|waits| waits.unreadable = 0);
        for (sensor, unreadable) in of {
            sensors.entry(sensor.clone()).or_default().unreadable = *unreadable;
        }
    }

    /// Whether it does.
    pub(super) fn has_late(&self, sensor: &str) -> bool {
        self.lock().get(sensor).is_some_and(|waits| waits.late)
    }

    /// Whether the line of a sensor has come to all that it was told.
    pub(super) fn is_heard(&self, sensor: &str) -> bool {
        self.lock().get(sensor).is_none_or(|waits| waits.told == 0)
    }

    /// Files of a sensor that wait, wherever.
    pub(super) fn waiting(&self, sensor: &str) -> u64 {
        self.lock()
            .get(sensor)
            .map_or(0, |waits| waits.with_line().saturating_add(waits.left).saturating_add(waits.unreadable) as u64)
    }

    /// Files of all sensors that no line has come to.
    pub(super) fn unheard(&self) -> u64 {
        self.lock().values().map(|waits| waits.told.saturating_add(waits.left) as u64).sum()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Waits>> {
        self.sensors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_again_when_half_is_read_and_what_waits_is_counted() {
        let queue = Queue::default();
        assert_eq!(queue.room("a", 10), 10);
        queue.tell("a", 10, 7);
        queue.tell("b", 1, 0);
        assert_eq!((queue.room("a", 10), queue.waiting("a"), queue.unheard()), (0, 17, 18));
        queue.take("a", 10, 8);
        assert_eq!((queue.room("a", 10), queue.waiting("a"), queue.unheard()), (0, 15, 8));
        queue.take("a", 0, 6);
        assert_eq!(queue.room("a", 10), 0);
        queue.take("a", 0, 5);
        assert_eq!((queue.room("a", 10), queue.room("b", 10)), (5, 9));
    }
}
