//! Our own capture into the watched folder.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use pcap_compactor::live::{Capture, Ended, Event, Failure, Folder, Patience, Supervisor};
use pcap_compactor::watch::Pipeline;
use pcap_compactor::watch::health::Health;
use tracing::{debug, error, info, warn};

use super::amounts::Length;
use crate::cli::text::{bytes, count, things};

/// The part that speaks.
const PART: &str = "Capture";

/// How long a capture is away at least when the disk is full, lest it comes and goes.
const PAUSE: Duration = Duration::from_secs(60);

/// A capture that is kept going, but for full disks, until it is closed.
pub(super) struct Tap {
    capture: Capture,
    folder: Folder,
    running: Option<(Option<Supervisor>, Receiver<Event>)>,
    /// Since when it is away because the disk is full.
    paused: Option<Instant>,
    closed: bool,
}

impl Tap {
    /// Begins to capture.
    ///
    /// # Errors
    /// As [`Supervisor::start`].
    pub(super) fn open(capture: Capture, folder: Folder, health: &Health) -> Result<Tap, Failure> {
        let mut tap = Tap { capture, folder, running: None, paused: None, closed: false };
        tap.begin(health)?;
        Ok(tap)
    }

    fn begin(&mut self, health: &Health) -> Result<(), Failure> {
        let (supervisor, events) = Supervisor::start(self.capture.clone(), self.folder.clone(), Patience::default())?;
        let Capture { interface, filter, .. } = &self.capture;
        let filter = if filter.is_empty() { String::new() } else { format!(", only `{filter}`") };
        info!(target: PART, "capturing on {interface}{filter} into {}", self.folder.path.display());
        health.capturing(true);
        self.running = Some((Some(supervisor), events));
        Ok(())
    }

    /// Stops capturing for good; what comes by then is still written. It does not wait for that.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.end();
    }

    fn end(&mut self) {
        if let Some(supervisor) = self.running.as_mut().and_then(|(supervisor, _)| supervisor.take()) {
            // Where no thread can be had, it is dropped here, which waits.
            let _ = thread::Builder::new().name("stop".into()).spawn(move || supervisor.stop());
        }
    }

    /// Whether it is closed, and everything is told.
    pub(super) fn is_over(&self) -> bool {
        self.closed && self.running.is_none()
    }

    /// What will be told.
    pub(super) fn events(&self) -> Option<&Receiver<Event>> {
        self.running.as_ref().map(|(_, events)| events)
    }

    /// Tells what happened by now. With `pause` it is to be away.
    pub(super) fn look(&mut self, pipeline: &Pipeline, health: &Health, pause: bool) {
        while let Some((_, events)) = &self.running {
            match events.try_recv() {
                Ok(event) => self.tell(event, pipeline, health),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    health.capturing(false);
                    self.running = None;
                }
            }
        }
        match self.paused {
            _ if self.closed => {}
            None if pause => {
                warn!(target: PART, "the disk is full: nothing is captured until there is room");
                health.trouble("the disk is full: nothing was captured any more");
                self.paused = Some(Instant::now());
                self.end();
            }
            Some(since) if !pause && since.elapsed() >= PAUSE && self.running.is_none() => match self.begin(health) {
                Ok(()) => self.paused = None,
                Err(failure) => {
                    error!(target: PART, "{failure}");
                    health.trouble(failure.to_string());
                    self.paused = Some(Instant::now());
                }
            },
            _ => {}
        }
    }

    fn tell(&self, event: Event, pipeline: &Pipeline, health: &Health) {
        match event {
            Event::Started { process } => {
                health.capturing(true);
                info!(target: PART, "tcpdump captures, as process {process}");
            }
            Event::Opened { path } => debug!(target: PART, "{}: begun", path.display()),
            Event::Finished(written) => {
                let (packets, size) = (things(written.packets, "packet"), bytes(written.bytes));
                info!(target: PART, "{}: finished, {packets}, {size}", written.path.display());
                pipeline.finished(written.path);
            }
            Event::Died(ended) => {
                health.capturing(false);
                let why = match (&ended.failure, ended.last_words.is_empty()) {
                    (Some(failure), _) => failure.to_string(),
                    (None, false) => ended.last_words.join(" "),
                    (None, true) => ended.status.map_or("it said nothing".to_owned(), |status| status.to_string()),
                };
                error!(target: PART, "tcpdump died: {why}");
                health.trouble(format!("tcpdump died: {why}"));
                counted(&ended, health);
            }
            Event::Refused(failure) => {
                error!(target: PART, "tcpdump does not start: {failure}");
                health.trouble(format!("tcpdump does not start: {failure}"));
            }
            Event::Restarting { after } => info!(target: PART, "tcpdump is started again in {}", Length(after)),
            Event::Stopped(ended) => {
                health.capturing(false);
                if ended.killed {
                    warn!(target: PART, "tcpdump did not end when it was asked to, and was killed");
                }
                counted(&ended, health);
            }
            other => debug!(target: PART, "{other:?}"),
        }
    }
}

/// Tells tcpdump's counts.
fn counted(ended: &Ended, health: &Health) {
    let Some(counts) = ended.counts else { return };
    let dropped = counts.dropped_by_kernel.saturating_add(counts.dropped_by_interface);
    health.capture_counts(counts.received, counts.captured, dropped);
    let (captured, received) = (count(counts.captured), count(counts.received));
    match dropped {
        0 => info!(target: PART, "{captured} captured, {received} received by filter, none dropped"),
        _ => {
            let lost = things(dropped, "packet");
            warn!(target: PART, "{captured} captured, {received} received by filter; {lost} dropped, which a narrower --bpf or a smaller --snaplen helps");
            health.trouble(format!("{lost} dropped by the kernel or the interface"));
        }
    }
}
