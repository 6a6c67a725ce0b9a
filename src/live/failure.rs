//! Why there is no capture, or no more of it, and what helps.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

/// What went wrong. The text says what to do about it where that is known, and has tcpdump's own words where there are any.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// A setting is out of its bounds.
    Setting(String),
    /// There is no such program.
    NotInstalled {
        /// The program that was looked for.
        program: PathBuf,
    },
    /// The program is there and cannot be run.
    NotRun {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such interface.
    NoInterface {
        /// The interface that was asked for.
        interface: String,
        /// Those that there are.
        existing: Vec<String>,
    },
    /// We may not capture on it.
    NotPermitted {
        /// The interface.
        interface: String,
        /// tcpdump's words.
        said: String,
    },
    /// The filter makes no sense on this interface.
    Filter {
        /// The filter.
        filter: String,
        /// tcpdump's words.
        said: String,
    },
    /// tcpdump ended before it captured, for another reason.
    NotBegun {
        /// tcpdump's words.
        said: String,
    },
    /// tcpdump neither captures nor ends.
    Silent {
        /// How long it was waited for.
        waited: Duration,
    },
    /// What tcpdump writes is no capture.
    NoCapture(String),
    /// The output cannot be written.
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Failure {
    /// What tcpdump says when it ends before it captures.
    pub(super) fn not_begun(interface: &str, said: String) -> Failure {
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if has(&["ermission", "not permitted"]) {
            Failure::NotPermitted { interface: interface.to_owned(), said }
        } else if has(&["No such device", "no such device"]) {
            Failure::NoInterface { interface: interface.to_owned(), existing: interfaces() }
        } else {
            Failure::NotBegun { said }
        }
    }
}

/// The interfaces there are, by name; none where the system does not list them. Unlike `/sys/class/net`, this list is that of our own
/// network namespace in any container.
fn interfaces() -> Vec<String> {
    let list = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let mut names: Vec<String> =
        list.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim().to_owned()).collect();
    names.sort();
    names
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Setting(message) => f.write_str(message),
            Failure::NotInstalled { program } => write!(
                f,
                "{}: there is no such program; install tcpdump (`apt install tcpdump`, `dnf install tcpdump`)",
                program.display()
            ),
            Failure::NotRun { program, source } if source.kind() == ErrorKind::PermissionDenied => write!(
                f,
                "{}: not permitted to run it ({source}); it has to be executable, and where it has capabilities of its own, the service or the \
                 container has to have them, too: `--cap-add NET_RAW --cap-add NET_ADMIN`",
                program.display()
            ),
            Failure::NotRun { program, source } => write!(f, "{}: cannot be run: {source}", program.display()),
            Failure::NoInterface { interface, existing } => {
                let existing = match existing.join(", ") {
                    none if none.is_empty() => "`tcpdump -D` lists those that there are".to_owned(),
                    names => format!("there are {names}, and `any` for all of them"),
                };
                write!(f, "{interface}: there is no such interface; {existing}")
            }
            Failure::NotPermitted { interface, said } => write!(
                f,
                "{interface}: not permitted to capture; run it as root (sudo), or let tcpdump do it for everybody: \
                 `sudo setcap cap_net_raw,cap_net_admin=eip $(command -v tcpdump)` ({said})"
            ),
            Failure::Filter { filter, said } => write!(f, "the filter `{filter}` is refused: {said}"),
            Failure::NotBegun { said } if said.is_empty() => f.write_str("tcpdump ended at once and said nothing"),
            Failure::NotBegun { said } => f.write_str(said),
            Failure::Silent { waited } => {
                write!(f, "tcpdump neither captures nor ends; it was given {} s", waited.as_secs())
            }
            Failure::NoCapture(message) => write!(f, "what tcpdump writes is no capture: {message}"),
            Failure::Write { path, source } if source.kind() == ErrorKind::StorageFull => {
                write!(f, "{}: the disk is full; all packets up to there are kept", path.display())
            }
            Failure::Write { path, source } => write!(f, "{}: cannot write: {source}", path.display()),
        }
    }
}

// The message already tells the cause.
impl std::error::Error for Failure {}
