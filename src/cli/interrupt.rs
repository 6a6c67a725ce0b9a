//! A clean stop: the first SIGINT, SIGTERM or SIGHUP asks the run to end at its next batch, the second ends it at once. Of a stream whose
//! normal end that is, it ends the input instead, and the run with it.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use pcap_compactor::engine::Progress;
use pcap_compactor::sink::atomic::remove_unfinished;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

/// How long a run may take to stop cleanly.
const GRACE: Duration = Duration::from_secs(3);

static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Stops `progress` when a signal comes.
pub(crate) fn watch(progress: &Arc<Progress>) -> anyhow::Result<()> {
    let progress = Arc::clone(progress);
    listen(GRACE, move || progress.stop())
}

/// Lets a signal end [`stdin`] alone. What that run has yet to write it has to write soon.
pub(crate) fn end_streams() -> anyhow::Result<()> {
    listen(GRACE, || {})
}

/// Standard input, which ends when a signal comes.
#[cfg(unix)]
pub(crate) fn stdin() -> io::Result<Box<dyn Read + Send>> {
    use std::os::fd::AsFd;
    let file = io::stdin().as_fd().try_clone_to_owned()?.into();
    Ok(Box::new(Stdin { file, until: None }))
}

/// Standard input, which no signal ends here.
#[cfg(not(unix))]
pub(crate) fn stdin() -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(io::stdin()))
}

#[cfg(unix)]
struct Stdin {
    file: std::fs::File,
    /// When it ends, once a signal has come.
    until: Option<std::time::Instant>,
}

#[cfg(unix)]
impl Read for Stdin {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        // How often a signal is looked for; of one who writes and got it too, the last words come within that.
        const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        // One who never stops to write does not hold up the end.
        const LAST: Duration = Duration::from_millis(500);
        loop {
            let had_come = came();
            if had_come
                && *self.until.get_or_insert_with(|| std::time::Instant::now() + LAST) < std::time::Instant::now()
            {
                return Ok(0);
            }
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&LOOK)) {
                Ok(0) if had_come => return Ok(0),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.file.read(into),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Calls `stop` when a signal comes, and ends the process if it is still there after `grace`.
pub(crate) fn listen(grace: Duration, stop: impl Fn() + Send + 'static) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    // A file that may grow no more is an error of the write, which is told and leaves nothing half-written.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    thread::spawn(move || {
        for signal in &mut signals {
            if SIGNAL.swap(signal, Ordering::Relaxed) != 0 {
                end(signal);
            }
            stop();
            // A read that waits for a pipe does not see that.
            thread::spawn(move || {
                thread::sleep(grace);
                end(signal);
            });
        }
    });
    Ok(())
}

/// Ends the process. What is half-written has a temporary name, under which nothing stays.
pub(crate) fn end(signal: i32) -> ! {
    remove_unfinished();
    std::process::exit(128 + signal)
}

/// A signal has come.
pub(crate) fn came() -> bool {
    SIGNAL.load(Ordering::Relaxed) != 0
}

/// 130 after SIGINT, 143 after SIGTERM, 129 after SIGHUP.
pub(crate) fn exit_code() -> u8 {
    u8::try_from(128 + SIGNAL.load(Ordering::Relaxed)).unwrap_or(130)
}
