//! The thread that stays with a tcpdump from its first word to its last byte: it hears what is said, stores what comes, and
//! ends it.
//!
//! It never waits for one pipe while another fills, and never for longer than a moment, so nothing that tcpdump does can
//! hold it up: not silence, not endless talk, not a signal ignored, not a child that keeps the pipes open.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::episode::Ended;
use super::failure::Failure;
use super::said::Said;
use super::store::Store;
use super::stream::{CHUNK, Stream};

/// How long it may take to say that it listens: a name in a filter may have to be looked up.
const BEGIN: Duration = Duration::from_secs(30);

/// How long packets may be on their way from the interface to the pipe; those that came before a stop are waited for.
const ON_THE_WAY: Duration = Duration::from_millis(200);

/// The same where they are handed over some at a time, the first of them a second later at most.
const ON_THE_WAY_TOGETHER: Duration = Duration::from_millis(1300);

/// How long it may take to end when it is asked to.
const END: Duration = Duration::from_secs(5);

/// How long what it left in its pipes may take to read.
const REST: Duration = Duration::from_secs(5);

/// How often is looked at what no pipe tells.
const TICK: Duration = Duration::from_millis(100);

/// Bytes of a pipe; with more, it goes on while a disk is slow.
#[cfg(target_os = "linux")]
const PIPE: usize = 1 << 20;

/// How long a pipe of so many bytes is left alone behind a read of little: tcpdump writes each packet by itself, and to wake somebody
/// each time costs it almost as much again.
const LITTLE: Duration = Duration::from_millis(2);

/// What others may ask and know while it runs.
#[derive(Debug, Default)]
pub(super) struct Watch {
    stop: AtomicBool,
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Watch {
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Packets and bytes that are written.
    pub(super) fn written(&self) -> (u64, u64) {
        (self.packets.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// How far it is; times are the latest for the next step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Beginning(Instant),
    Capturing,
    LettingCome(Instant),
    Ending(Instant),
    Killed,
}

/// One tcpdump.
pub(super) struct Pump {
    child: Child,
    status: Option<ExitStatus>,
    gone: bool,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    said: Said,
    stream: Stream,
    store: Store,
    watch: Arc<Watch>,
    /// Hears that it captures.
    ready: Option<Sender<()>>,
    unbuffered: bool,
    /// Its pipe has [`PIPE`] bytes.
    large: bool,
    /// Little came, and the pipe can be left alone for a moment.
    rest: bool,
    /// There is a place for packets.
    prepared: bool,
    phase: Phase,
    stopped: bool,
    failure: Option<Failure>,
}

impl Pump {
    pub(super) fn new(mut child: Child, store: Store, watch: Arc<Watch>, ready: Sender<()>, unbuffered: bool) -> Pump {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        // Where that is not allowed, it has its usual 64 KiB.
        #[cfg(target_os = "linux")]
        let large = out.as_ref().is_some_and(|out| rustix::pipe::fcntl_setpipe_size(out, PIPE).is_ok());
        #[cfg(not(target_os = "linux"))]
        let large = false;
        Pump {
            child,
            status: None,
            gone: false,
            out,
            err,
            said: Said::default(),
            stream: Stream::new(),
            store,
            watch,
            ready: Some(ready),
            unbuffered,
            large,
            rest: false,
            prepared: false,
            phase: Phase::Beginning(Instant::now() + BEGIN),
            stopped: false,
            failure: None,
        }
    }

    /// Stays with it until it has ended.
    pub(super) fn run(mut self) -> Ended {
        let start = Instant::now();
        let mut looked = start;
        while !self.gone {
            let moved = self.turn(TICK);
            if !moved || looked.elapsed() >= TICK {
                looked = Instant::now();
                self.look();
                self.store.tick();
            }
            self.steer();
            if std::mem::take(&mut self.rest) {
                thread::sleep(LITTLE);
            }
        }
        // What it left lies in the pipes. Their ends are not waited for: a child of its own may have them, too.
        let rest = Instant::now() + REST;
        while Instant::now() < rest && self.turn(Duration::ZERO) {}
        self.said.finish();
        self.hear();
        while Instant::now() < rest && self.turn(Duration::ZERO) {}
        Ended {
            status: self.status,
            stopped: self.stopped,
            killed: self.phase == Phase::Killed,
            counts: self.said.counts(),
            written: self.store.finish(),
            last_words: self.said.last_words(),
            failure: self.failure.take(),
            lasted: start.elapsed(),
        }
    }

    /// Looks whether it is still there.
    fn look(&mut self) {
        match self.child.try_wait() {
            Ok(status) => (self.gone, self.status) = (status.is_some(), status),
            // Somebody else has waited for it, as a parent does that ignores its children.
            Err(_) => self.gone = true,
        }
    }

    /// Waits for something to read, and reads it; false if there was nothing.
    fn turn(&mut self, wait: Duration) -> bool {
        // Packets lie in their pipe until there is a place for them.
        let [out, err] = readable(self.out.as_ref().filter(|_| self.prepared), self.err.as_ref(), wait);
        if err {
            hear_once(&mut self.err, &mut self.said);
        }
        if let Some(pipe) = self.out.as_mut().filter(|_| out) {
            match self.stream.read(pipe, &mut self.store) {
                Ok(Some(bytes)) => self.rest = self.large && bytes < CHUNK / 2,
                Ok(None) => self.out = None,
                Err(failure) => self.fail(failure),
            }
            let written = self.store.total();
            self.watch.packets.store(written.packets, Ordering::Relaxed);
            self.watch.bytes.store(written.bytes, Ordering::Relaxed);
        }
        self.hear();
        out || err
    }

    /// Makes a place for packets once it listens, and tells whoever waits for that.
    fn hear(&mut self) {
        if !matches!(self.phase, Phase::Beginning(_)) {
            return;
        }
        if !self.prepared && self.said.listening() {
            match self.store.prepare(self.child.id()) {
                Ok(()) => self.prepared = true,
                Err(failure) => return self.fail(failure),
            }
        }
        if self.prepared && self.stream.begun() {
            self.phase = Phase::Capturing;
            if let Some(ready) = self.ready.take() {
                // Nobody waits any more if this fails.
                let _ = ready.send(());
            }
        }
    }

    /// Nothing of it can be stored any more.
    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        // Without a reader it ends, if not by the signal.
        self.out = None;
        self.interrupt();
    }

    /// Takes the next step if it is time for it.
    fn steer(&mut self) {
        let now = Instant::now();
        let asked = self.watch.stop.load(Ordering::Relaxed);
        match self.phase {
            Phase::Beginning(_) if asked => {
                self.stopped = true;
                self.interrupt();
            }
            Phase::Beginning(until) if now >= until => self.fail(Failure::Silent { waited: BEGIN }),
            Phase::Capturing if asked => {
                self.stopped = true;
                let wait = if self.unbuffered { ON_THE_WAY } else { ON_THE_WAY_TOGETHER };
                self.phase = Phase::LettingCome(now + wait);
            }
            Phase::LettingCome(until) if now >= until => self.interrupt(),
            Phase::Ending(until) if now >= until => {
                self.phase = Phase::Killed;
                // It is gone already if this fails.
                let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            }
            _ => {}
        }
    }

    /// Asks it to end.
    fn interrupt(&mut self) {
        if !matches!(self.phase, Phase::Ending(_) | Phase::Killed) {
            self.phase = Phase::Ending(Instant::now() + END);
            // The number of one that is gone may be another's.
            if !self.gone {
                let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
            }
        }
    }
}

/// One that was not stayed with to its end.
impl Drop for Pump {
    fn drop(&mut self) {
        if !self.gone {
            end(&mut self.child);
        }
    }
}

/// Kills a process with all its children, and takes its status.
fn end(child: &mut Child) {
    // It is gone already if one of these fails.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.wait();
}

/// Which of two pipes have something, or have ended; waits for that.
fn readable(out: Option<&ChildStdout>, err: Option<&ChildStderr>, wait: Duration) -> [bool; 2] {
    let wanted = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    let mut pipes: Vec<PollFd<'_>> = out.map(|pipe| wanted(pipe.as_fd())).into_iter().collect();
    pipes.extend(err.map(|pipe| wanted(pipe.as_fd())));
    // Without pipes there is only its end to wait for, which is near.
    let wait = if pipes.is_empty() { wait.min(TICK / 10) } else { wait };
    let timeout = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
    if poll(&mut pipes, Some(&timeout)).is_err() {
        return [false; 2];
    }
    let mut has = pipes.iter().map(|pipe| !pipe.revents().is_empty());
    let mut next = |there: bool| there && has.next().unwrap_or(false);
    [next(out.is_some()), next(err.is_some())]
}

/// Reads once from a pipe that has something.
fn hear_once(pipe: &mut Option<ChildStderr>, said: &mut Said) {
    let mut bytes = [0; 1 << 14];
    match pipe.as_mut().map(|pipe| pipe.read(&mut bytes)) {
        Some(Ok(n @ 1..)) => said.hear(&bytes[..n]),
        Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
        _ => *pipe = None,
    }
}

/// Waits for a process that says something and ends: its status and words.
///
/// # Errors
/// It does not end.
pub(super) fn hear_out(child: &mut Child) -> Result<(ExitStatus, String), Failure> {
    let mut pipe = child.stderr.take();
    let mut said = Said::default();
    let until = Instant::now() + BEGIN;
    loop {
        let [_, err] = readable(None, pipe.as_ref(), TICK);
        if err {
            hear_once(&mut pipe, &mut said);
        }
        let status = child.try_wait().ok().flatten();
        if let Some(status) = status.filter(|_| !err || pipe.is_none()) {
            said.finish();
            return Ok((status, said.last_words().join(" ")));
        }
        if Instant::now() >= until {
            end(child);
            return Err(Failure::Silent { waited: BEGIN });
        }
    }
}
