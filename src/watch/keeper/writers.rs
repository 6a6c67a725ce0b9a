//! Whether a file may still be written: by what the system says, and where that says nothing, not at all.

use std::fs::File;
use std::path::Path;

/// Who has a file open for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writers {
    /// Nobody.
    Nobody,
    /// Somebody has, whoever that is.
    Somebody,
    /// That cannot be known: the file system is not of this machine alone, or the file is of another user.
    Unknown,
}

/// Asks for a file that is open for reading, and has this path.
pub(super) fn writers(file: &File, path: &Path) -> Writers {
    if crate::watch::arrivals::is_remote(path) { Writers::Unknown } else { lease::ask(file) }
}

/// A lease on reading is given where nobody has the file open for writing, and to its owner and who may act for all (CAP_LEASE) alone. No process
/// has to be looked into for that, so it is also known of those of other users and in containers.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod lease {
    use std::fs::File;
    use std::io::{Error, ErrorKind};
    use std::os::fd::AsRawFd;

    use libc::{F_RDLCK, F_SETLEASE, F_UNLCK, SIGURG, c_int, fcntl};

    use super::Writers;

    /// `F_SETSIG`, which libc does not have everywhere.
    const F_SETSIG: c_int = 10;

    /// Takes a lease and gives it back. Whoever opens the file for writing just then waits for that, and no longer.
    pub(super) fn ask(file: &File) -> Writers {
        let set = |command, value: c_int| {
            // SAFETY: these take a number, and touch no memory of this process; the descriptor is open as long as its file is borrowed.
            unsafe { fcntl(file.as_raw_fd(), command, value) != -1 }
        };
        // Whom the lease is in the way of has us told, by a signal that would end us; this one is ignored unless somebody wants it.
        if !set(F_SETSIG, SIGURG) {
            return Writers::Unknown;
        }
        if set(F_SETLEASE, F_RDLCK as c_int) {
            set(F_SETLEASE, F_UNLCK as c_int);
            return Writers::Nobody;
        }
        match Error::last_os_error().kind() {
            ErrorKind::WouldBlock => Writers::Somebody,
            _ => Writers::Unknown,
        }
    }
}

/// Elsewhere no system call tells it.
#[cfg(not(target_os = "linux"))]
mod lease {
    pub(super) fn ask(_: &std::fs::File) -> super::Writers {
        super::Writers::Unknown
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn who_writes_is_known_until_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcap");
        let mut writer = File::create(&path).unwrap();
        let asks = || writers(&File::open(&path).unwrap(), &path);
        // Some file systems of containers know no leases.
        let told = asks();
        assert!([Writers::Somebody, Writers::Unknown].contains(&told), "{told:?}");
        writer.write_all(b"it goes on").unwrap();
        let again = File::options().append(true).open(&path).unwrap();
        drop(writer);
        assert_eq!(asks(), told);
        drop(again);
        if told == Writers::Somebody {
            let reader = File::open(&path).unwrap();
            assert_eq!(asks(), Writers::Nobody);
            drop(reader);
        }
        // It is as it was: whoever wants to write may.
        File::options().append(true).open(&path).unwrap().write_all(b".").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"it goes on.");
    }
}
