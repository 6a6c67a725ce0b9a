//! A bounded queue between the engine and whoever takes its records.
//!
//! With [`Backpressure::Block`] the engine waits while the queue is full. With [`Backpressure::DropOldest`] the oldest
//! waiting group makes room and is counted; scans, window ends and metrics are never dropped and may exceed the bound.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::metrics::OwnedMetrics;
use super::{Metrics, Sink};
use crate::config::Backpressure;
use crate::engine::FileReport;
use crate::error::{Error, Result};
use crate::scan::summary::ScanSummary;
use crate::views::groups::{Aside, GroupRecord, WindowTotals};

/// A record on its way.
#[derive(Clone, Debug)]
pub enum Event {
    /// The records that follow are of this sensor.
    Sensor(String),
    /// A group.
    Group(Box<GroupRecord>),
    /// A scan summary.
    Scan(Box<ScanSummary>),
    /// A window is complete.
    Window(Box<WindowTotals>),
    /// A file has been read, and what of it went to no window.
    File(Box<(FileReport, Aside)>),
    /// The metrics; the last event.
    Metrics(Box<OwnedMetrics>),
}

/// What waits, numbered in the order it came. Groups wait apart, so that the oldest of them is at hand.
#[derive(Default)]
struct Queue {
    groups: VecDeque<(u64, Box<GroupRecord>)>,
    others: VecDeque<(u64, Event)>,
    sent: u64,
    dropped: u64,
    sender_gone: bool,
    receiver_gone: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    capacity: usize,
    policy: Backpressure,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's end.
pub struct ChannelSink(Arc<Shared>);

/// The taker's end: an iterator that ends behind the metrics, or when the run failed.
pub struct Events(Arc<Shared>);

/// Makes a queue for at most `capacity` waiting groups.
#[must_use]
pub fn channel(capacity: usize, policy: Backpressure) -> (ChannelSink, Events) {
    let shared =
        Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new(), capacity: capacity.max(1), policy });
    (ChannelSink(Arc::clone(&shared)), Events(shared))
}

impl ChannelSink {
    fn send(&self, event: Event) -> Result<()> {
        let mut queue = self.0.lock();
        if let Event::Group(_) = event {
            while self.0.policy == Backpressure::Block && queue.groups.len() >= self.0.capacity && !queue.receiver_gone
            {
                queue = self.0.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
        if queue.receiver_gone {
            return Err(Error::sink("the receiver of the records is gone"));
        }
        let number = queue.sent;
        queue.sent += 1;
        match event {
            Event::Group(group) => {
                if queue.groups.len() >= self.0.capacity && queue.groups.pop_front().is_some() {
                    queue.dropped += 1;
                }
                queue.groups.push_back((number, group));
            }
            other => queue.others.push_back((number, other)),
        }
        self.0.changed.notify_all();
        Ok(())
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.others.is_empty()
    }

    /// The event that came first of those that wait.
    fn take(&mut self) -> Option<Event> {
        let number_of_group = self.groups.front().map(|(number, _)| *number);
        match self.others.front() {
            Some((number, _)) if number_of_group.is_none_or(|group| *number < group) => {
                self.others.pop_front().map(|(_, event)| event)
            }
            _ => self.groups.pop_front().map(|(_, group)| Event::Group(group)),
        }
    }
}

impl Sink for ChannelSink {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.send(Event::Sensor(sensor.to_owned()))
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        self.send(Event::Group(Box::new(group.clone())))
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.send(Event::Scan(Box::new(scan.clone())))
    }

    fn on_file(&mut self, file: &FileReport, aside: &Aside) -> Result<()> {
        self.send(Event::File(Box::new((file.clone(), *aside))))
    }

    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        self.send(Event::Window(Box::new(*totals)))
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        self.send(Event::Metrics(Box::new(metrics.to_owned())))
    }
}

impl Drop for ChannelSink {
    fn drop(&mut self) {
        self.0.lock().sender_gone = true;
        self.0.changed.notify_all();
    }
}

impl Events {
    /// At most so many of the events that wait; if none does, it waits for one, but no longer than this. Nothing when there will be none.
    pub fn within(&mut self, timeout: Duration, most: usize) -> Option<Vec<Event>> {
        let mut queue = self.0.lock();
        if queue.is_empty() && !queue.sender_gone {
            let waited =
                self.0.changed.wait_timeout_while(queue, timeout, |queue| queue.is_empty() && !queue.sender_gone);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let events: Vec<Event> = std::iter::from_fn(|| queue.take()).take(most).collect();
        self.0.changed.notify_all();
        (!events.is_empty() || !queue.sender_gone).then_some(events)
    }

    /// Groups dropped so far to make room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut queue = self.0.lock();
        loop {
            if let Some(event) = queue.take() {
                self.0.changed.notify_all();
                return Some(event);
            }
            if queue.sender_gone {
                return None;
            }
            queue = self.0.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.0.lock().receiver_gone = true;
        self.0.changed.notify_all();
    }
}
