//! What the system tells of folders, in the few words that matter here.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, EventHandler, RecommendedWatcher, RecursiveMode, Watcher};

/// Whether the system tells that a file was closed.
const TELLS_CLOSE: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Words that wait to be heard; when there are more, all is looked through once more.
const WAITING: usize = 16_384;

/// Something happened to a file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is new.
    Appeared(PathBuf),
    /// Whoever made it has it open.
    Opened(PathBuf),
    /// It was written to.
    Grew(PathBuf),
    /// It was closed by somebody who could write.
    Closed(PathBuf),
    /// It has this name now.
    Came(PathBuf),
    /// It has this name no more.
    Went(PathBuf),
    /// It is no more.
    Left(PathBuf),
    /// Something, which a look will show.
    Changed(PathBuf),
    /// Something was not told.
    Lost,
}

/// Folders that are watched, each by itself.
pub(super) struct Events {
    /// Nothing once it has failed: its thread is gone, and whatever is asked of it panics.
    watcher: Option<RecommendedWatcher>,
    given: PathBuf,
    absolute: PathBuf,
    lost: Arc<AtomicBool>,
}

impl Events {
    /// Begins to hear; nothing is watched yet. Paths will begin as `folder` does.
    pub(super) fn start(folder: &Path) -> io::Result<(Events, Receiver<Heard>)> {
        let (tell, heard) = bounded(WAITING);
        let (given, absolute) = (folder.to_owned(), std::path::absolute(folder)?);
        let lost = Arc::new(AtomicBool::new(false));
        let ear = Ear {
            tell,
            given: given.clone(),
            absolute: absolute.clone(),
            lost: Arc::clone(&lost),
            made: PathBuf::new(),
        };
        let watcher = notify::recommended_watcher(ear).map_err(plain)?;
        Ok((Events { watcher: Some(watcher), given, absolute, lost }, heard))
    }

    /// Watches a folder, not what lies in its folders.
    pub(super) fn watch(&mut self, folder: &Path) -> io::Result<()> {
        let folder = self.absolute(folder);
        self.ask(|watcher| watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(plain))
    }

    /// Ends that.
    pub(super) fn unwatch(&mut self, folder: &Path) {
        let folder = self.absolute(folder);
        // One that is gone is not watched any more.
        let _ = self.ask(|watcher| watcher.unwatch(&folder).map_err(plain));
    }

    /// Whether nothing is told any more, or ever will be.
    pub(super) fn is_over(&self) -> bool {
        self.watcher.is_none()
    }

    /// Asks its thread, which may have panicked.
    fn ask<T>(&mut self, what: impl FnOnce(&mut RecommendedWatcher) -> io::Result<T>) -> io::Result<T> {
        let over = || Err(io::Error::other(OVER));
        let Some(watcher) = &mut self.watcher else { return over() };
        catch_unwind(AssertUnwindSafe(|| what(watcher))).unwrap_or_else(|_| {
            self.end();
            over()
        })
    }

    /// Nothing more is to be told.
    fn end(&mut self) {
        let watcher = self.watcher.take();
        // It says goodbye to its thread, and panics where that is gone.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(watcher)));
    }

    /// Whether something was not told since this was asked last.
    pub(super) fn lost(&self) -> bool {
        self.lost.swap(false, Ordering::AcqRel)
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.given).map_or_else(|_| path.to_owned(), |rest| self.absolute.join(rest))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.end();
    }
}

/// Why nothing is told any more.
pub(super) const OVER: &str = "the system's events cannot be read any more";

/// Hears on the watcher's own thread, and never waits: that thread also answers us.
struct Ear {
    tell: Sender<Heard>,
    given: PathBuf,
    absolute: PathBuf,
    lost: Arc<AtomicBool>,
    /// What appeared just before.
    made: PathBuf,
}

impl EventHandler for Ear {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.tell(Heard::Lost),
            Ok(event) => {
                let EventKind::Modify(ModifyKind::Name(RenameMode::Both)) = event.kind else {
                    return event.paths.into_iter().for_each(|path| self.hear(event.kind, path));
                };
            }
            Err(error) => {
                tracing::debug!(%error, "an event of a folder is lost");
                self.tell(Heard::Lost);
            }
        }
    }
}

impl Ear {
    fn hear(&mut self, kind: EventKind, path: PathBuf) {
        let path = path.strip_prefix(&self.absolute).map_or(path.clone(), |rest| self.given.join(rest));
        let made = std::mem::take(&mut self.made);
        let heard = match kind {
            EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) if !TELLS_CLOSE => Heard::Changed(path),
            EventKind::Create(_) => {
                self.made.clone_from(&path);
                Heard::Appeared(path)
            }
            // Whoever makes a file by opening it is told at once behind that; a link that is made is not opened.
            EventKind::Access(AccessKind::Open(_)) if made == path => Heard::Opened(path),
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Heard::Closed(path),
            EventKind::Modify(ModifyKind::Data(_)) => Heard::Grew(path),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Heard::Came(path),
            EventKind::Modify(ModifyKind::Name(_)) => Heard::Went(path),
            EventKind::Remove(_) => Heard::Left(path),
            _ => return,
        };
        self.tell(heard);
    }

    fn tell(&self, heard: Heard) {
        if let Err(TrySendError::Full(_)) = self.tell.try_send(heard) {
            self.lost.store(true, Ordering::Release);
        }
    }
}

/// The system's error, or one in its words.
fn plain(error: notify::Error) -> io::Error {
    match error.kind {
        notify::ErrorKind::Io(error) => error,
        notify::ErrorKind::PathNotFound => io::ErrorKind::NotFound.into(),
        notify::ErrorKind::MaxFilesWatch => {
            io::Error::other("the system takes no more watches (fs.inotify.max_user_watches)")
        }
        _ => io::Error::other(error.to_string()),
    }
}
