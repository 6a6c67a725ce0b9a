//! Memory-mapped files, and what happens when one shrinks under its reader.
//!
//! A page of a map whose file has become shorter cannot be read any more: the kernel sends `SIGBUS`. A program may
//! [install a guard](install_shrink_guard) that then puts a page of zeros there and remembers that it did, so that the
//! walk ends at the last record that is still whole. The library never installs it by itself; without it the signal
//! takes its default course.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// A file mapped for reading, known to the guard while it lives.
pub(super) struct Map {
    // Declared before the map, so that the guard forgets the range before it is unmapped.
    entry: registry::Entry,
    bytes: Mmap,
    file: File,
}

impl Map {
    /// Maps the whole of `file`, as long as it is now.
    pub(super) fn new(file: File) -> io::Result<Map> {
        // SAFETY: the map is only ever read, as plain bytes that carry no invariant, so another process that writes to
        // the file changes data and breaks no type. That the bytes behind a `&[u8]` may change is the price of
        // mapping that every reader of this kind pays; the walk re-reads no length it has checked. A file that
        // shrinks raises SIGBUS, which ends the process or reads as zeros and corrupts nothing. `--io read` avoids both.
        let bytes = unsafe { Mmap::map(&file)? };
        Ok(Map { entry: registry::Entry::new(&bytes), bytes, file })
    }

    /// How many bytes from the start are still the file's. Asks the system: the zeros that fill the last page of a file that
    /// shrank raise no signal.
    pub(super) fn length(&self) -> usize {
        let length = self.file.metadata().map_or(0, |metadata| metadata.len());
        usize::try_from(length).unwrap_or(usize::MAX).min(self.entry.missing())
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}

/// Makes a mapped capture that shrinks while it is read end where it ends now, as one that is read does.
///
/// What has been walked and not decoded at that moment, one batch at most, decodes as damaged frames. Replaces the
/// process-wide action for `SIGBUS`; for programs, not for libraries. Faults outside of mapped captures take the
/// default action. Does nothing where there is no such signal.
pub fn install_shrink_guard() {
    #[cfg(unix)]
    registry::install();
}

#[cfg(unix)]
mod registry {
    use std::ptr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// More maps than this at once are read all the same, but not guarded.
    const SLOTS: usize = 1024;

    /// One live map. `start` is 0 while the slot is free and 1 while it is being filled.
    struct Slot {
        start: AtomicUsize,
        end: AtomicUsize,
        /// The lowest page found missing, from the start of the map.
        missing: AtomicUsize,
    }

    static LIVE: [Slot; SLOTS] = [const {
        Slot { start: AtomicUsize::new(0), end: AtomicUsize::new(0), missing: AtomicUsize::new(usize::MAX) }
    }; SLOTS];

    /// Bytes of a page; 0 until the guard is installed.
    static PAGE: AtomicUsize = AtomicUsize::new(0);

    /// Keeps one map's range in the table.
    pub(super) struct Entry(Option<&'static Slot>);

    impl Entry {
        pub(super) fn new(bytes: &[u8]) -> Entry {
            let start = bytes.as_ptr() as usize;
            let free =
                LIVE.iter().find(|slot| slot.start.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok());
            if let Some(slot) = free {
                slot.missing.store(usize::MAX, Ordering::Relaxed);
                // The kernel maps whole pages; the cut one at the end faults within the same page.
                slot.end.store(start.saturating_add(bytes.len()), Ordering::Relaxed);
                slot.start.store(start, Ordering::Release);
            }
            Entry(free)
        }

        /// Where the first page that was found missing begins; `usize::MAX` if none was.
        pub(super) fn missing(&self) -> usize {
            self.0.map_or(usize::MAX, |slot| slot.missing.load(Ordering::Acquire))
        }
    }

    impl Drop for Entry {
        fn drop(&mut self) {
            if let Some(slot) = self.0 {
                slot.start.store(0, Ordering::Release);
            }
        }
    }

    /// The handler: only atomics and system calls.
    extern "C" fn on_bus(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: with SA_SIGINFO the kernel passes a valid `siginfo_t`.
        let address = unsafe { (*info).si_addr() } as usize;
        let size = PAGE.load(Ordering::Relaxed);
        for slot in &LIVE {
            let start = slot.start.load(Ordering::Acquire);
            if start > 1 && (start..slot.end.load(Ordering::Relaxed)).contains(&address) {
                let page = address & !(size - 1);
                slot.missing.fetch_min(page - start, Ordering::AcqRel);
                // SAFETY: the page lies in a live map of a capture, which is only read, as plain bytes; it is replaced by
                // one of zeros that is readable in the same way, and unmapped with the rest of the map. `mmap` is a
                // plain system call.
                let zeros = unsafe {
                    libc::mmap(
                        ptr::without_provenance_mut(page),
                        size,
                        libc::PROT_READ,
                        libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANON,
                        -1,
                        0,
                    )
                };
                if zeros != libc::MAP_FAILED {
                    return;
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
        // SAFETY: the call takes and returns plain values.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        PAGE.store(usize::try_from(page).unwrap_or(4096).max(1), Ordering::Relaxed);
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
        pub(super) fn new(_: &[u8]) -> Entry {
            Entry
        }
        pub(super) fn missing(&self) -> usize {
            usize::MAX
        }
    }
}
