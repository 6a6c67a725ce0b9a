//! Standard input: looked at before it is read, and ended by a signal.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// What has been read of standard input, and will be once more.
static AHEAD: Mutex<VecDeque<u8>> = Mutex::new(VecDeque::new());

/// Whether it has to end.
static HAS_TO_END: OnceLock<fn() -> bool> = OnceLock::new();

pub(super) fn ahead() -> MutexGuard<'static, VecDeque<u8>> {
    AHEAD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Standard input from its first byte, whatever [`beginning`](super::beginning) has looked at.
#[derive(Clone, Copy, Debug)]
pub struct Stdin;

impl Read for Stdin {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut ahead = ahead();
        if !ahead.is_empty() {
            return ahead.read(into);
        }
        drop(ahead);
        more(into)
    }
}

/// Ends standard input, wherever it is read, soon after `when` becomes true: it is asked every 100 ms. A pipe on which nothing comes would hold a
/// run that is to stop, or that a stream makes. Who writes has that long for last words, and half a second if it goes on. Only the first call
/// counts; elsewhere than on Unix none does.
pub fn end_stdin(when: fn() -> bool) {
    let _ = HAS_TO_END.set(when);
}

/// Bytes that nobody has read.
#[cfg(unix)]
pub(super) fn more(into: &mut [u8]) -> io::Result<usize> {
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    const LAST: Duration = Duration::from_millis(500);
    /// When it ends, once it has to.
    static UNTIL: OnceLock<Instant> = OnceLock::new();
    // Not by way of its buffer, in which bytes are that no poll sees.
    let stdin = io::stdin();
    loop {
        let has_to_end = HAS_TO_END.get().is_some_and(|when| when());
        if has_to_end && *UNTIL.get_or_init(|| Instant::now() + LAST) < Instant::now() {
            return Ok(0);
        }
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&LOOK)) {
            Ok(0) if has_to_end => return Ok(0),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => match rustix::io::read(&stdin, &mut *into) {
                Err(Errno::INTR) => {}
                read => return Ok(read?),
            },
            Err(error) => return Err(error.into()),
        }
    }
}

/// Bytes that nobody has read.
#[cfg(not(unix))]
pub(super) fn more(into: &mut [u8]) -> io::Result<usize> {
    io::stdin().read(into)
}
