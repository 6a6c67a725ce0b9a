//! One run of tcpdump, from its start to its counts.

use std::process::ExitStatus;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::capture::Capture;
use super::failure::Failure;
use super::pump::{Pump, Watch};
use super::said::Counts;
use super::store::{Output, Store, Written};
use super::supervisor::Event;

/// A capture under way. Dropped, it is stopped.
#[derive(Debug)]
pub struct Episode {
    watch: Arc<Watch>,
    process: u32,
    ended: Receiver<Ended>,
    /// It has been handed out.
    over: bool,
}

/// How an episode came to its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended {
    /// tcpdump's exit status; nothing where the system has lost it.
    pub status: Option<ExitStatus>,
    /// It was asked to end.
    pub stopped: bool,
    /// It did not end when it was asked to, and was killed. What it had not written by then is lost.
    pub killed: bool,
    /// tcpdump's own counts; nothing if it said none, because it was killed for example.
    pub counts: Option<Counts>,
    /// What was written in all.
    pub written: Written,
    /// tcpdump's last words, in lines; oldest first.
    pub last_words: Vec<String>,
    /// Why nothing more could be written, if that ended it.
    pub failure: Option<Failure>,
    /// How long it lasted.
    pub lasted: Duration,
}

impl Ended {
    /// Whether it ended without an error: by a stop, or by itself, as with the number of packets that was asked for.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.failure.is_none() && !self.killed && (self.stopped || self.status.is_some_and(|status| status.success()))
    }
}

impl Episode {
    /// Starts a capture, and waits until tcpdump listens: packets from then on are captured. In a file, the header is there
    /// then.
    ///
    /// # Errors
    /// As [`Capture::compile`]; the output cannot be written, or is there already; tcpdump does not begin, for which it has 30 s. Then no process is left.
    pub fn start(capture: &Capture, output: Output) -> Result<Episode, Failure> {
        Episode::told(capture, output, |_| {})
    }

    /// As [`Episode::start`], and tells of its files.
    pub(super) fn told(
        capture: &Capture,
        output: Output,
        tell: impl FnMut(Event) + Send + 'static,
    ) -> Result<Episode, Failure> {
        capture.check()?;
        if let Output::Folder(folder) = &output {
            folder.check()?;
        }
        if !capture.filter.is_empty() {
            capture.compile()?;
        }
        let child = capture.run()?;
        let process = child.id();
        let watch = Arc::new(Watch::default());
        let ((ready, begun), (end, ended)) = (bounded(1), bounded(1));
        let pump = Pump::new(child, Store::new(output, Box::new(tell)), Arc::clone(&watch), ready, capture.unbuffered);
        let work = move || _ = end.send(pump.run());
        if let Err(source) = thread::Builder::new().name("capture".into()).spawn(work) {
            return Err(Failure::NotRun { program: capture.program.clone(), source });
        }
        if begun.recv().is_ok() {
            return Ok(Episode { watch, process, ended, over: false });
        }
        let ended = ended.recv().map_err(|_| lost())?;
        Err(ended.failure.unwrap_or_else(|| Failure::not_begun(&capture.interface, ended.last_words.join(" "))))
    }

    /// The number of tcpdump's process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process
    }

    /// Packets, and bytes with headers, that are written so far.
    #[must_use]
    pub fn written(&self) -> (u64, u64) {
        self.watch.written()
    }

    /// Waits so long for an end that comes by itself; nothing if it goes on, or has been handed out before.
    pub fn wait(&mut self, time: Duration) -> Option<Ended> {
        self.ended.recv_timeout(time).inspect(|_| self.over = true).ok()
    }

    /// Ends it: what has come by now is still written, which takes up to 0.2 s if the capture is unbuffered, else 1.3 s; then tcpdump is
    /// asked to end, and killed after 5 s.
    ///
    /// # Errors
    /// Its end has been handed out by [`Episode::wait`].
    pub fn stop(mut self) -> Result<Ended, Failure> {
        self.watch.stop();
        self.over = true;
        self.ended.recv().map_err(|_| lost())
    }

    /// Its end, for whoever waits for more than that.
    pub(super) fn ended(&self) -> &Receiver<Ended> {
        &self.ended
    }
}

fn lost() -> Failure {
    Failure::NoCapture("how it ended is not known any more".to_owned())
}

impl Drop for Episode {
    fn drop(&mut self) {
        if !self.over {
            self.watch.stop();
            // Its end is of no interest, but when it comes is: then no process is left.
            let _ = self.ended.recv();
        }
    }
}
