//! The thread that hears, looks and tells.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select};

use super::events::{Events, Heard};
use super::files::{Because, Files, Stamp};
use super::folders::{Folders, Kind, kind};
use super::trouble::Trouble;
use super::{Room, Seen, Signs};
use crate::capture::by_name;
use crate::watch::Settings;

/// The shortest time from one look through all folders to the next.
const SHORTEST: Duration = Duration::from_millis(100);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is heard together is told together, up to so much.
const TOGETHER: usize = 8192;

/// What the thread has.
pub(super) struct Lookout {
    root: PathBuf,
    files: Files,
    folders: Folders,
    trouble: Trouble,
    heard: Receiver<Heard>,
    finished: Receiver<PathBuf>,
    stopped: Receiver<()>,
    seen: Sender<Seen>,
    look: Duration,
    poll: Duration,
    /// When all folders are looked through next.
    next: Instant,
    /// When that may be at the soonest.
    soonest: Instant,
    signs: Arc<Signs>,
}

impl Lookout {
    /// `events` are those of the folder, or why there are none.
    pub(super) fn new(
        settings: &Settings,
        events: io::Result<(Events, Receiver<Heard>)>,
        finished: Receiver<PathBuf>,
        stopped: Receiver<()>,
        seen: Sender<Seen>,
        room: Room,
        signs: Arc<Signs>,
    ) -> Lookout {
        let root = settings.folder.clone();
        let look = settings.look.max(SHORTEST);
        let poll = settings.stable.clamp(SHORTEST, look);
        let mut trouble = Trouble::default();
        let (events, heard, why) = match events {
            Ok((events, heard)) => (Some(events), heard, None),
            Err(error) => (None, never(), Some(error)),
        };
        let mut folders = Folders::new(root.clone(), events, poll);
        if let Some(why) = why {
            folders.poll(&root, why, &mut trouble);
        }
        let files = Files::new(root.clone(), settings.stable, room);
        let now = Instant::now();
        Lookout {
            root,
            files,
            folders,
            trouble,
            heard,
            finished,
            stopped,
            seen,
            look,
            poll,
            next: now,
            soonest: now,
            signs,
        }
    }

    /// Stays until it is stopped, or nobody is there to be told.
    pub(super) fn run(mut self) {
        self.look_through(true);
        let mut goes_on = self.tell();
        self.files.stand(Instant::now());
        while goes_on {
            let now = Instant::now();
            self.files.settle(now);
            if !self.files.is_settling() {
                self.signs.settled.store(true, Ordering::Release);
            }
            let is_told = !self.files.is_behind();
            self.signs.idle.store(self.files.next().is_none() && self.heard.is_empty() && is_told, Ordering::Release);
            let next = self.files.next().map_or(self.next, |due| due.min(self.next));
            let next = if is_told { next } else { next.min(now + SHORTEST) };
            self.signs.waits.store(true, Ordering::Release);
            select! {
                recv(self.stopped) -> _ => return,
                recv(self.heard) -> heard => match heard {
                    Ok(heard) => self.hear(heard),
                    // Without the thread that tells, what is left is to look.
                    Err(_) => {
                        self.heard = never();
                        self.folders.deaf(&mut self.trouble);
                        self.hear(Heard::Lost);
                    }
                },
                recv(self.finished) -> path => match path {
                    Ok(path) => self.finish(&path),
                    Err(_) => return,
                },
                default(next.saturating_duration_since(now)) => {}
            }
            self.signs.waits.store(false, Ordering::Release);
            for _ in 1..TOGETHER {
                let Ok(heard) = self.heard.try_recv() else { break };
                self.hear(heard);
            }
            if self.folders.lost() {
                self.hear(Heard::Lost);
            }
            self.files.look(&mut self.trouble, Instant::now());
            if Instant::now() >= self.next {
                self.look_through(false);
            }
            goes_on = self.tell();
        }
    }

    fn look_through(&mut self, at_start: bool) {
        self.folders.look_through(&mut self.files, at_start, &mut self.trouble);
        self.trouble.forget_gone();
        let wait = if self.folders.is_polled() { self.poll } else { self.look };
        let now = Instant::now();
        self.soonest = now + SHORTEST;
        // What is too long for the clock is the same as a day.
        self.next = now.checked_add(wait).unwrap_or(now + DAY);
    }

    fn hear(&mut self, heard: Heard) {
        self.signs.waits.store(false, Ordering::Release);
        let now = Instant::now();
        match heard {
            Heard::Appeared(path) => match self.kind(&path) {
                Some((Kind::Folder, _)) => self.search(path),
                Some((Kind::File, stamp)) => self.files.appeared(&path, stamp, now),
                None => {}
            },
            Heard::Came(path) => match self.kind(&path) {
                Some((Kind::Folder, _)) => self.search(path),
                Some((Kind::File, stamp)) => self.files.came(&path, stamp, &mut self.trouble, now),
                None => {}
            },
            Heard::Changed(path) => match self.kind(&path) {
                Some((Kind::Folder, _)) => self.search(path),
                Some((Kind::File, stamp)) => self.files.found(&path, stamp, false, &mut self.trouble, now),
                None => self.leave(&path),
            },
            Heard::Opened(path) => self.files.opened(&path),
            Heard::Grew(path) if by_name(&path).is_none() => self.files.grew(&path, now),
            Heard::Closed(path) if by_name(&path).is_none() => {
                self.files.judge(&path, Because::Closed, &mut self.trouble, now);
            }
            Heard::Went(path) => {
                self.files.went(&path, now);
                self.leave(&path);
            }
            Heard::Left(path) => self.leave(&path),
            Heard::Grew(_) | Heard::Closed(_) => {}
            Heard::Lost => {
                self.files.let_go(now);
                self.look_soon();
            }
        }
    }

    /// Who writes a file says that it is complete.
    fn finish(&mut self, path: &Path) {
        let Some(path) = self.inside(path) else {
            tracing::debug!(file = %path.display(), "finished, but not in the watched folder");
            return;
        };
        let parts = path.ancestors().take_while(|part| *part != self.root);
        if parts.into_iter().all(|part| by_name(part).is_none()) {
            self.files.judge(&path, Because::Finished, &mut self.trouble, Instant::now());
        }
    }

    /// The path as those of the watched folder are.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        if path.starts_with(&self.root) {
            return Some(path.to_owned());
        }
        let (path, root) = (std::path::absolute(path).ok()?, std::path::absolute(&self.root).ok()?);
        Some(self.root.join(path.strip_prefix(root).ok()?))
    }

    fn kind(&mut self, path: &Path) -> Option<(Kind, Stamp)> {
        // What is gone already is told to be.
        let metadata = fs::symlink_metadata(path).ok()?;
        Some((kind(path, metadata.file_type(), &mut self.trouble)?, Stamp::of(&metadata)))
    }

    /// Looks through a folder that is new under its name.
    fn search(&mut self, folder: PathBuf) {
        // If a look found it before it was told, its watch may have gone with its name before.
        if self.folders.left(&folder) {
            self.files.let_go(Instant::now());
        }
        self.folders.search(folder, &mut self.files, false, &mut self.trouble);
    }

    /// A name is gone, of a file or of a folder with all in it.
    fn leave(&mut self, path: &Path) {
        self.files.left(path);
        if self.folders.left(path) {
            if path.is_dir() {
                // Another is there already, and its watch may have gone with that of the one before.
                self.hear(Heard::Lost);
            } else {
                self.files.left_below(path);
            }
        }
    }

    fn look_soon(&mut self) {
        self.next = self.next.min(self.soonest);
    }

    /// Tells what is new; whether anybody is there to be told.
    fn tell(&mut self) -> bool {
        let trouble = self.trouble.take().into_iter();
        for seen in trouble.chain(self.files.news(Instant::now())) {
            select! {
                recv(self.stopped) -> _ => return false,
                send(self.seen, seen) -> sent => if sent.is_err() { return false },
            }
        }
        true
    }
}
