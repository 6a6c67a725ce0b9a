//! Files that come into a folder, each told when it is complete.
//!
//! # When a file is complete
//!
//! 1. When it was closed by somebody who could write, or was renamed to its name: the system tells it (inotify), and it is passed on
//!    within milliseconds. An empty file waits for rule 3, since it is often opened again. A file that is renamed while it is
//!    written to goes on growing.
//! 2. When its successor is there, a newer capture in the same folder, and it has not grown for 0.2 s since. If it grows later after all,
//!    several are written in that folder at once, and the rule holds there no more.
//! 3. When it has kept its size and its time of change for [`Settings::stable`]: what stood there at the start, what came with its
//!    folder, and everything where the system does not tell (network file systems, no more watches to be had). At the start, one
//!    that was last changed longer ago than that is complete at once, and what comes while others are waited for is told with them. A file that
//!    is known to be written to waits for its end instead.
//! 4. When who writes it says so ([`Arrivals::finished`]).
//!
//! A file that changes later is told to be gone, and to be complete anew when it is. What comes to the same [`Identity`] has not changed. A
//! file that stands still in the hands of its writer from before the start, for an hour, or behind an event that was lost, is not told from a complete
//! one, so that may happen to it; the keeper lets none go that may still be written.
//!
//! # What is taken
//!
//! Regular files, in all folders of the folder, also those that come later, that begin as a capture or a compressed file does. Others, also
//! empty ones, are taken if their name promises a capture (`.pcap`, `.pcapng`, `.cap`, each also with `.gz` or `.zst`), so that
//! whoever reads them can say what is wrong; else that is said, and they are passed over. Names that are hidden or end as those of unfinished files do (`.tmp`, `.part`, …) are passed over,
//! of files and of folders, and so are folders of output. No link is followed.
//!
//! # What it costs
//!
//! It waits for events, and looks through all folders every [`Settings::look`], so an event that was missed costs only time;
//! where the system does not tell, as often as every [`Settings::stable`]. Of a file it keeps path and identity; so files that were read and stay
//! in the folder cost memory, some hundred bytes each. Waiting goes by a clock that
//! is never set; a time of change that lies in the future makes a file wait, and no longer than others.

pub(super) mod at;
mod beginning;
mod events;
mod files;
mod folders;
mod lookout;
mod trouble;

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use self::at::At;
pub(super) use self::beginning::promises;
use self::events::{Events, Heard};
pub(super) use self::files::is_gone;
pub(super) use self::folders::is_remote;
use self::lookout::Lookout;
use super::queue::Queue;
use super::{Identity, LOCAL, Settings};
use crate::error::{Error, Result};
use crate::time::Timestamp;

/// A file that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Whose it is.
    pub sensor: String,
    /// Where it is; begins as [`Settings::folder`] does.
    pub path: PathBuf,
    /// What it is.
    pub identity: Identity,
}

/// What was seen.
#[derive(Debug)]
pub enum Seen {
    /// Files that are complete now. What is found together comes together, sorted by path, and so does all that stands there at the
    /// start and was not changed lately; but of a pipeline's line that is behind, only as much as it takes.
    Complete(Vec<Arrival>),
    /// A file that grows and holds a packet. Told once until it is complete, as soon as it is known.
    Growing {
        /// Whose it is.
        sensor: String,
        /// Where it is.
        path: PathBuf,
        /// When its first packet was.
        first: Timestamp,
    },
    /// A file is gone or has become another, which will be told anew.
    Gone {
        /// Whose it was.
        sensor: String,
        /// Where it was.
        path: PathBuf,
        /// What it was, if it was complete, and was not told or is to be told again.
        untold: Option<Identity>,
    },
    /// A file or folder cannot be read. It is tried again, and told again only if it could be read in between.
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// Why.
        error: Error,
    },
    /// Something else to say, once a cause: links, folders that do not tell. It goes on.
    Trouble(Error),
}

/// The sensor of a file: the first folder on the way to it, [`LOCAL`] if there is none. A name that is no UTF-8 is escaped, as `\\xff`;
/// in one that looks as if it were, each `\\` is two, so no two folders are one sensor. Others may hold control characters.
#[must_use]
pub fn sensor_of(folder: &Path, path: &Path) -> String {
    let mut parts = path.strip_prefix(folder).unwrap_or(Path::new("")).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(sensor)), Some(_)) => match sensor.to_str() {
            Some(sensor) if sensor.contains("\\x") => sensor.replace('\\', "\\\\"),
            Some(sensor) => sensor.to_owned(),
            None => sensor.as_encoded_bytes().escape_ascii().to_string(),
        },
        _ => LOCAL.to_owned(),
    }
}

/// How much the lines of sensors take.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// What they have.
    pub(super) queue: Arc<Queue>,
    /// What is read before they have it.
    pub(super) at: Arc<At>,
    /// What each may have.
    pub(super) most: usize,
}

impl Default for Room {
    fn default() -> Room {
        Room { queue: Arc::default(), at: Arc::default(), most: usize::MAX }
    }
}

/// How far the thread is.
#[derive(Debug, Default)]
struct Signs {
    /// All that is there has been told.
    idle: AtomicBool,
    /// It waits for what happens.
    waits: AtomicBool,
    /// What stood there at the start has been told.
    settled: AtomicBool,
}

/// A folder that is watched, until this is dropped.
#[derive(Debug)]
pub struct Arrivals {
    finished: Sender<PathBuf>,
    signs: Arc<Signs>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Arrivals {
    /// Watches the folder of the settings, of which it also takes `stable` and `look` (at least 100 ms), and tells what it sees. A full
    /// channel is waited for.
    ///
    /// # Errors
    /// The folder cannot be listed, or there is no thread to be had. A system that does not tell what happens is
    /// [`Seen::Trouble`], and is looked at instead.
    pub fn start(settings: &Settings, seen: Sender<Seen>) -> Result<Arrivals> {
        Arrivals::hearing(Events::start(&settings.folder), settings, seen, Room::default())
    }

    /// The same, for lines that have so much room.
    pub(super) fn within(room: Room, settings: &Settings, seen: Sender<Seen>) -> Result<Arrivals> {
        Arrivals::hearing(Events::start(&settings.folder), settings, seen, room)
    }

    fn hearing(
        events: io::Result<(Events, Receiver<Heard>)>,
        settings: &Settings,
        seen: Sender<Seen>,
        room: Room,
    ) -> Result<Arrivals> {
        let folder = settings.folder.as_path();
        std::fs::read_dir(folder).map_err(|error| Error::io("list", folder, error))?;
        let (finished, told) = unbounded();
        let (stop, stopped) = bounded(0);
        let signs = Arc::<Signs>::default();
        let lookout = Lookout::new(settings, events, told, stopped, seen, room, Arc::clone(&signs));
        let thread = thread::Builder::new().name("arrivals".into()).spawn(move || lookout.run());
        let thread = thread.map_err(|error| Error::io("watch", folder, error))?;
        Ok(Arrivals { finished, signs, stop: Some(stop), thread: Some(thread) })
    }

    /// Whether all files that are there have been told as complete.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.signs.idle.load(Ordering::Acquire)
    }

    /// Whether it looks at files, and may have something to tell when it has: at the start until all that is there was looked at, and told if
    /// it is complete.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        !self.signs.waits.load(Ordering::Acquire)
    }

    /// Whether what stood there at the start has been told, as far as it was complete within [`Settings::stable`]. What comes meanwhile is told
    /// with it, so that it is known which of them is first.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.signs.settled.load(Ordering::Acquire)
    }

    /// Who writes a file of the folder says that it is complete. What does not lie in the folder, or is passed over by its name, is not told.
    pub fn finished(&self, path: PathBuf) {
        // Without a thread, nobody is there to be told.
        let _ = self.finished.send(path);
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // One that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
