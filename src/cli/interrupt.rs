//! A clean stop: the first SIGINT or SIGTERM asks the run to end at its next batch, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use pcap_compactor::engine::Progress;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long a run may take to stop cleanly.
const GRACE: Duration = Duration::from_secs(3);

static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Stops `progress` when a signal comes.
pub(crate) fn watch(progress: &Arc<Progress>) -> anyhow::Result<()> {
    let progress = Arc::clone(progress);
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        for signal in &mut signals {
            if SIGNAL.swap(signal, Ordering::Relaxed) != 0 {
                std::process::exit(128 + signal);
            }
            progress.stop();
            // A read that waits for a pipe does not see that. What is half-written has a temporary name.
            thread::spawn(move || {
                thread::sleep(GRACE);
                std::process::exit(128 + signal);
            });
        }
    });
    Ok(())
}

/// A signal has come.
pub(crate) fn came() -> bool {
    SIGNAL.load(Ordering::Relaxed) != 0
}

/// 130 after SIGINT, 143 after SIGTERM.
pub(crate) fn exit_code() -> u8 {
    u8::try_from(128 + SIGNAL.load(Ordering::Relaxed)).unwrap_or(130)
}
