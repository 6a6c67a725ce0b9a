//! A clean stop: the first SIGINT, SIGTERM or SIGHUP asks the run to end at its next batch, the second ends it at once. Of a stream whose
//! normal end that is, it ends the input instead, and the run with it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use pcap_compactor::capture::end_stdin;
use pcap_compactor::engine::Progress;
use pcap_compactor::sink::atomic::remove_unfinished;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use super::say;

/// How long a run may take to stop cleanly.
const GRACE: Duration = Duration::from_secs(3);

static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// The process is being ended at once.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Stops `progress` when a signal comes.
pub(crate) fn watch(progress: &Arc<Progress>) -> anyhow::Result<()> {
    let progress = Arc::clone(progress);
    listen(GRACE, move || progress.stop())
}

/// Lets a signal end standard input alone. What that run has yet to write it has to write soon.
pub(crate) fn end_streams() -> anyhow::Result<()> {
    listen(GRACE, || {})
}

/// Calls `stop` when a signal comes, ends standard input, which a run may wait for, and ends the process if it is still there after `grace`.
pub(crate) fn listen(grace: Duration, stop: impl Fn() + Send + 'static) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    // A file that may grow no more is an error of the write, which is told and leaves nothing half-written.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    end_stdin(came);
    thread::spawn(move || {
        for signal in &mut signals {
            if SIGNAL.swap(signal, Ordering::Relaxed) != 0 {
                end(signal);
            }
            stop();
            // A read that waits for a pipe with a name does not see that.
            thread::spawn(move || {
                thread::sleep(grace);
                say("pcap-compactor: stopped");
                end(signal);
            });
        }
    });
    Ok(())
}

/// Ends the process. What is half-written has a temporary name, under which nothing stays. To remove that may take longer than the grace
/// lasts, and whoever comes second has nothing left to remove.
pub(crate) fn end(signal: i32) -> ! {
    if ENDING.swap(true, Ordering::SeqCst) {
        give_way();
    }
    remove_unfinished();
    std::process::exit(128 + signal)
}

/// Does not return once the process is being [ended](end): what a run meets from then on, it meets because its files go, and if it left
/// first, some would stay, and the exit code would not be the signal's.
pub(crate) fn give_way() {
    while ENDING.load(Ordering::SeqCst) {
        thread::park();
    }
}

/// A signal has ended a stream, which is how streams end: there is nothing to say, and the exit code tells of the signal.
#[derive(Debug)]
pub(crate) struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ended by a signal")
    }
}

impl std::error::Error for Ended {}

/// A signal has come.
pub(crate) fn came() -> bool {
    SIGNAL.load(Ordering::Relaxed) != 0
}

/// 130 after SIGINT, 143 after SIGTERM, 129 after SIGHUP.
pub(crate) fn exit_code() -> u8 {
    u8::try_from(128 + SIGNAL.load(Ordering::Relaxed)).unwrap_or(130)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Nothing else in these tests asks whether the process ends.
    #[test]
    fn who_fails_while_the_process_is_ended_does_not_leave_first() {
        give_way();
        ENDING.store(true, Ordering::SeqCst);
        let (left, leaves) = mpsc::channel();
        thread::spawn(move || {
            give_way();
            left.send(())
        });
        assert_eq!(leaves.recv_timeout(Duration::from_millis(200)), Err(mpsc::RecvTimeoutError::Timeout));
    }
}
