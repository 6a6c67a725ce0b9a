//! Memory-mapped files, and what happens when one shrinks under its reader.
//!
//! A page of a map whose file has become shorter cannot be read any more: the kernel sends `SIGBUS`. A program may
//! [install a guard](install_shrink_guard) that then names the file and exits with status 1. The library never
//! installs it by itself; without it the signal takes its default course.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// A file mapped for reading, known to the guard while it lives.
pub(super) struct Map {
    // Declared before the map, so that the guard forgets the range before it is unmapped.
    _entry: registry::Entry,
    bytes: Mmap,
}

impl Map {
    /// Maps the whole of `file`, as long as it is now; `path` is for the guard's message.
    pub(super) fn new(file: &File, path: &Path) -> io::Result<Map> {
        // SAFETY: the map is only ever read, as plain bytes that carry no invariant, so another process that writes to
        // the file changes data and breaks no type. That the bytes behind a `&[u8]` may change is the price of
        // mapping that every reader of this kind pays; the walk re-reads no length it has checked. A file that
        // shrinks raises SIGBUS, which ends the process and corrupts nothing. `--io read` avoids both.
        let bytes = unsafe { Mmap::map(file)? };
        Ok(Map { _entry: registry::Entry::new(&bytes, path), bytes })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}

/// Makes the process name the file and exit with status 1 when a mapped capture shrinks while it is read.
///
/// Replaces the process-wide action for `SIGBUS`; for programs, not for libraries. Faults outside of mapped captures
/// take the default action. Does nothing where there is no such signal.
pub fn install_shrink_guard() {
    #[cfg(unix)]
    registry::install();
}

#[cfg(unix)]
mod registry {
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

    /// More maps than this at once are read all the same, but not named by the guard.
    const SLOTS: usize = 1024;

    /// One live map. `start` is 0 while the slot is free and 1 while it is being filled.
    struct Slot {
        start: AtomicUsize,
        end: AtomicUsize,
        line: AtomicPtr<Vec<u8>>,
    }

    static LIVE: [Slot; SLOTS] = [const {
        Slot { start: AtomicUsize::new(0), end: AtomicUsize::new(0), line: AtomicPtr::new(ptr::null_mut()) }
    }; SLOTS];

    const TAIL: &[u8] = b": the file shrank while it was read through a memory map; read it again with --io read\n";

    /// Keeps one map's range and message in the table.
    pub(super) struct Entry(Option<&'static Slot>);

    impl Entry {
        pub(super) fn new(bytes: &[u8], path: &Path) -> Entry {
            let start = bytes.as_ptr() as usize;
            let free =
                LIVE.iter().find(|slot| slot.start.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok());
            if let Some(slot) = free {
                let line = Box::new([path.as_os_str().as_bytes(), TAIL].concat());
                slot.line.store(Box::into_raw(line), Ordering::Relaxed);
                // The kernel maps whole pages; the cut one at the end faults within the same page.
                slot.end.store(start.saturating_add(bytes.len()), Ordering::Relaxed);
                slot.start.store(start, Ordering::Release);
            }
            Entry(free)
        }
    }

    impl Drop for Entry {
        fn drop(&mut self) {
            if let Some(slot) = self.0 {
                slot.start.store(1, Ordering::Release);
                let line = slot.line.swap(ptr::null_mut(), Ordering::AcqRel);
                if !line.is_null() {
                    // SAFETY: the pointer came from `Box::into_raw` in `Entry::new` and the swap took it out, so it
                    // is freed once. The guard reads it only for a fault inside this entry's map, which a live
                    // reader caused, and while there is a reader this entry is not dropped.
                    drop(unsafe { Box::from_raw(line) });
                }
                slot.start.store(0, Ordering::Release);
            }
        }
    }

    /// The handler: only atomics, `write`, `_exit`, `signal` and `raise`, all async-signal-safe.
    extern "C" fn on_bus(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: with SA_SIGINFO the kernel passes a valid `siginfo_t`.
        let address = unsafe { (*info).si_addr() } as usize;
        for slot in &LIVE {
            let start = slot.start.load(Ordering::Acquire);
            if start > 1 && (start..slot.end.load(Ordering::Relaxed)).contains(&address) {
                let line = slot.line.load(Ordering::Acquire);
                if !line.is_null() {
                    // SAFETY: the fault lies in this slot's map, so its reader and with it the entry and the line
                    // are alive; `write` and `_exit` take plain values and are async-signal-safe.
                    unsafe {
                        libc::write(libc::STDERR_FILENO, (*line).as_ptr().cast(), (*line).len());
                        libc::_exit(1);
                    }
                }
            }
        }
        // SAFETY: both calls are async-signal-safe; the signal is blocked until the handler returns and then takes
        // its default action.
        unsafe {
            libc::signal(libc::SIGBUS, libc::SIG_DFL);
            libc::raise(libc::SIGBUS);
        }
    }

    pub(super) fn install() {
        // SAFETY: an all-zero `sigaction` is a valid value of that C struct; the handler has the signature that
        // SA_SIGINFO asks for and stays valid for the life of the process.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_bus as extern "C" fn(_, _, _) as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut());
        }
    }
}

#[cfg(not(unix))]
mod registry {
    pub(super) struct Entry;

    impl Entry {
        pub(super) fn new(_: &[u8], _: &std::path::Path) -> Entry {
            Entry
        }
    }
}
