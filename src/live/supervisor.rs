//! A capture that goes on: files in a folder, and another tcpdump when one dies.

use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select, unbounded};

use super::capture::Capture;
use super::episode::{Ended, Episode};
use super::failure::Failure;
use super::store::{Folder, Output, Written};

/// What happens, in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// tcpdump listens, as the process of this number.
    Started {
        /// The number.
        process: u32,
    },
    /// A file has begun. One that cannot take even one packet is removed again.
    Opened {
        /// The file.
        path: PathBuf,
    },
    /// A file is finished; nothing will be added.
    Finished(Written),
    /// tcpdump ended unasked, or nothing could be written. Its file is finished.
    Died(Box<Ended>),
    /// It could not be started again.
    Refused(Failure),
    /// It will be started again, so long after this. What comes by then is not captured.
    Restarting {
        /// The time.
        after: Duration,
    },
    /// It ended because it was asked to; nothing comes behind this.
    Stopped(Box<Ended>),
}

/// How long is waited before tcpdump is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The first time; each further time is twice as long. Default 1 s.
    pub first: Duration,
    /// The longest. Default 60 s.
    pub longest: Duration,
    /// After it has run so long, the next time is the first one. Default 60 s.
    pub well: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        let minute = Duration::from_secs(60);
        Patience { first: Duration::from_secs(1), longest: minute, well: minute }
    }
}

impl Patience {
    /// How long to wait, behind a wait of `before` (nothing: there was none) and a run of `lasted`.
    fn next(&self, before: Option<Duration>, lasted: Duration) -> Duration {
        match before {
            Some(before) if lasted < self.well => before.saturating_mul(2).min(self.longest),
            _ => self.first.min(self.longest),
        }
    }
}

/// A capture that is kept going. Dropped, it is stopped.
#[derive(Debug)]
pub struct Supervisor {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts a capture into a folder, and hands over what will happen. Events wait for whoever reads them, in any number: a few for
    /// each file. Without a reader the capture goes on.
    ///
    /// # Errors
    /// As [`Episode::start`]: what does not begin at all is not tried again. [`Failure::Setting`]: a number of packets is set.
    pub fn start(
        capture: Capture,
        folder: Folder,
        patience: Patience,
    ) -> Result<(Supervisor, Receiver<Event>), Failure> {
        if capture.packets.is_some() {
            return Err(Failure::Setting("a capture that goes on has no number of packets".to_owned()));
        }
        let (tell, events) = unbounded();
        let episode = begin(&capture, &folder, &tell)?;
        let (stop, stopped) = bounded(0);
        let work = move || Keeper { capture, folder, patience, tell, stopped }.keep(episode);
        let thread = thread::Builder::new().name("supervisor".into()).spawn(work);
        let thread = thread.map_err(|source| Failure::NotRun { program: "a thread".into(), source })?;
        Ok((Supervisor { stop: Some(stop), thread: Some(thread) }, events))
    }

    /// Stops it as [`Episode::stop`] does, and waits for that. The last event is [`Event::Stopped`], unless it was between two
    /// runs of tcpdump. A tcpdump that is about to begin is waited for.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // One that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

/// Begins an episode whose events are told.
fn begin(capture: &Capture, folder: &Folder, tell: &Sender<Event>) -> Result<Episode, Failure> {
    let files = tell.clone();
    // Whoever does not read events does not want them.
    Episode::told(capture, Output::Folder(folder.clone()), move |event| _ = files.send(event))
}

/// What the thread has.
struct Keeper {
    capture: Capture,
    folder: Folder,
    patience: Patience,
    tell: Sender<Event>,
    /// Hears that it should stop.
    stopped: Receiver<()>,
}

impl Keeper {
    fn keep(self, mut episode: Episode) {
        let tell = |event| _ = self.tell.send(event);
        let mut waited = None;
        loop {
            let ended = select! {
                recv(self.stopped) -> _ => {
                    if let Ok(ended) = episode.stop() {
                        tell(Event::Stopped(Box::new(ended)));
                    }
                    return;
                }
                recv(episode.ended()) -> ended => ended,
            };
            let mut lasted = Duration::ZERO;
            if let Ok(ended) = ended {
                lasted = ended.lasted;
                tell(Event::Died(Box::new(ended)));
            }
            episode = loop {
                let after = self.patience.next(waited, lasted);
                (waited, lasted) = (Some(after), Duration::ZERO);
                tell(Event::Restarting { after });
                if self.stopped.recv_timeout(after) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                match begin(&self.capture, &self.folder, &self.tell) {
                    Ok(episode) => break episode,
                    Err(failure) => tell(Event::Refused(failure)),
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_behind_a_good_run() {
        let (patience, second) = (Patience::default(), Duration::from_secs(1));
        let mut before = None;
        let waits: Vec<u64> = (0..8)
            .map(|_| {
                before = Some(patience.next(before, 59 * second));
                before.unwrap().as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(patience.next(before, 60 * second), second);
    }
}
