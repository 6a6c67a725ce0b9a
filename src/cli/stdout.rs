//! Standard output, refused where there is none.
//!
//! Before `main`, the standard library puts `/dev/null` in the place of a stream that was closed, lest the next file that is
//! opened takes it. Whatever is printed would then be gone without an error, and `compact X >&-` would pass for a success. So
//! the place is looked at earlier, when the loader runs the initialisers. A stream that leads to `/dev/null` on purpose
//! is open, and cannot be told from the stand-in afterwards.
#![allow(unsafe_code)]

use std::io::{self, Stdout, StdoutLock};
use std::sync::atomic::{AtomicBool, Ordering};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Standard output, for this thread alone.
///
/// # Errors
/// It was closed when the program began.
pub(crate) fn lock() -> anyhow::Result<StdoutLock<'static>> {
    Ok(open()?.lock())
}

/// Standard output, for whichever thread writes.
///
/// # Errors
/// As [`lock`].
pub(crate) fn open() -> anyhow::Result<Stdout> {
    if CLOSED.load(Ordering::Relaxed) {
        anyhow::bail!("standard output is closed; redirect it to a file or a pipe");
    }
    Ok(io::stdout())
}

/// Elsewhere it counts as open.
#[cfg(target_os = "linux")]
mod early {
    use super::{CLOSED, Ordering};

    extern "C" fn look() {
        // SAFETY: asks for the flags of a descriptor, which takes plain values and changes nothing.
        if unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } == -1 {
            CLOSED.store(true, Ordering::Relaxed);
        }
    }

    // SAFETY: the section holds functions of this type, which the loader calls once each; this one needs nothing that is
    // not there yet.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static LOOK: extern "C" fn() = look;
}
