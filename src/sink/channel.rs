//! A bounded queue between the engine and whoever takes its records.
//!
//! With [`Backpressure::Block`] the engine waits while the queue is full. With [`Backpressure::DropOldest`] the oldest
//! waiting group makes room and is counted; scans, window ends and metrics are never dropped and may exceed the bound.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

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

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    groups: usize,
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
            while self.0.policy == Backpressure::Block && queue.groups >= self.0.capacity && !queue.receiver_gone {
                queue = self.0.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.groups >= self.0.capacity
                && let Some(oldest) = queue.events.iter().position(|event| matches!(event, Event::Group(_)))
            {
                queue.events.remove(oldest);
                queue.dropped += 1;
                queue.groups -= 1;
            }
            queue.groups += 1;
        }
        if queue.receiver_gone {
            return Err(Error::sink("the receiver of the records is gone"));
        }
        queue.events.push_back(event);
        self.0.changed.notify_all();
        Ok(())
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
            if let Some(event) = queue.events.pop_front() {
                if let Event::Group(_) = event {
                    queue.groups -= 1;
                    self.0.changed.notify_all();
                }
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
