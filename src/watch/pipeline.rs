//! The threads of a pipeline: one hears of files and hands them to lines, each line is one, the keeper one.

mod router;

use std::any::Any;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use self::router::Router;
use super::arrivals::{Arrivals, Room};
use super::health::Health;
use super::journal::Journal;
use super::line::Ended;
use super::looks::Looks;
use super::lying::adopt;
use super::permits::Permits;
use super::queue::MOST;
use super::unreadable::Unreadable;
use super::{Settings, made_with};
use crate::error::{Error, ErrorKind, Result};
use crate::sink::atomic::sweep;

/// How a pipeline ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Works off the files that are complete; what is open stays open, and goes on at the next start. Where all is worked off once,
    /// it only finishes the file that is being read.
    Finish,
    /// In the middle of a file; nothing is lost by that either.
    Now,
}

/// What its thread is told.
enum Command {
    Stop(Stop),
    Reload(Box<Settings>),
    Finished(PathBuf),
}

/// A pipeline at work. Dropped, it is stopped at once.
///
/// On Linux, the process has no transparent huge pages as long as a pipeline works on many sensors at once: each would cost some megabytes more.
pub struct Pipeline {
    commands: Sender<Command>,
    ended: Receiver<Result<Ended>>,
    /// Asks runs to stop in the middle.
    now: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How deep files lie in the output folder: `PRODUCT/SENSOR/YYYY/MM/DD/HH.EXT`.
const DEPTH: usize = 6;

impl Pipeline {
    /// Starts.
    ///
    /// # Errors
    /// Settings that cannot be, a folder that is not there, another pipeline at work there, or a journal that cannot be opened.
    pub fn start(settings: Settings, health: Arc<Health>) -> Result<Pipeline> {
        Pipeline::begin(settings, health, false)
    }

    /// Works off what is there, closes all hours, and ends.
    ///
    /// # Errors
    /// As [`Pipeline::start`], and whatever stops a line.
    pub fn once(settings: Settings, health: Arc<Health>) -> Result<Ended> {
        let mut pipeline = Pipeline::begin(settings, health, true)?;
        loop {
            if let Some(ended) = pipeline.wait(Duration::from_secs(3600)) {
                return ended;
            }
        }
    }

    /// As [`Pipeline::once`], but not waited for.
    ///
    /// # Errors
    /// As [`Pipeline::start`].
    pub fn start_once(settings: Settings, health: Arc<Health>) -> Result<Pipeline> {
        Pipeline::begin(settings, health, true)
    }

    fn begin(settings: Settings, health: Arc<Health>, once: bool) -> Result<Pipeline> {
        check(&settings)?;
        let lock = Journal::lock(&settings.output, &settings.folder)?;
        let journal = Journal::open(&settings.output)?;
        // What one that was killed was writing; nobody else writes there now.
        sweep(&settings.output, DEPTH);
        adopt(&journal, &settings, &health)?;
        made_with::hold(&journal, &settings)?;
        let settings = Arc::new(settings);
        let looks = Looks::begin(Arc::clone(&settings), Arc::clone(&health))?;
        let (seen, sees) = unbounded();
        // What is worked off once is told all together, for the order.
        let room = Room {
            queue: Arc::clone(health.queues()),
            at: Arc::clone(health.at()),
            most: if once { usize::MAX } else { MOST },
        };
        let arrivals = Arrivals::within(room, &settings, seen)?;
        let (commands, commanded) = unbounded();
        let (tell, ended) = bounded(1);
        let (over, overs) = unbounded();
        let now = Arc::new(AtomicBool::new(false));
        let router = Router {
            permits: Permits::new(settings.workers.max(1)),
            settings,
            looks,
            health,
            journal,
            lines: BTreeMap::new(),
            rested: Ended::default(),
            failed: None,
            over,
            now: Arc::clone(&now),
            held: once.then(BTreeMap::new),
            unreadable: Unreadable::default(),
            _lock: lock,
        };
        let thread = thread::Builder::new().name("watch".into()).spawn(move || {
            let _ = tell.send(router.run(arrivals, &sees, &commanded, &overs, once));
        });
        let thread = thread.map_err(|source| Error::sink(format!("no thread can be started: {source}")))?;
        Ok(Pipeline { commands, ended, now, thread: Some(thread) })
    }

    /// What it came to, if it ends within a time.
    pub fn wait(&mut self, timeout: Duration) -> Option<Result<Ended>> {
        match self.ended.recv_timeout(timeout) {
            Ok(ended) => Some(ended),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(match self.thread.take().map(JoinHandle::join) {
                Some(Err(panic)) => Err(panicked("the pipeline", panic.as_ref())),
                _ => Ok(Ended::default()),
            }),
        }
    }

    /// Has something, or is disconnected, when [`Pipeline::wait`] would not wait: for who waits for other things, too.
    #[must_use]
    pub fn ended(&self) -> &Receiver<Result<Ended>> {
        &self.ended
    }

    /// Asks it to end; [`Pipeline::wait`] tells when it has.
    pub fn stop(&self, how: Stop) {
        if how == Stop::Now {
            self.now.store(true, Ordering::Relaxed);
        }
        let _ = self.commands.send(Command::Stop(how));
    }

    /// Takes over what may change: all but folders, products and the settings of groups.
    pub fn reload(&self, settings: Settings) {
        let _ = self.commands.send(Command::Reload(Box::new(settings)));
    }

    /// A file in the watched folder is complete.
    pub fn finished(&self, path: PathBuf) {
        let _ = self.commands.send(Command::Finished(path));
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop(Stop::Now);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Refuses settings under which nothing could work.
fn check(settings: &Settings) -> Result<()> {
    settings.config.check()?;
    let refused = |message: String| Err(Error::config(message));
    if settings.products.is_empty() {
        return refused("nothing is to be made: name a product".into());
    }
    for (nth, product) in settings.products.iter().enumerate() {
        if settings.products[..nth].iter().any(|other| other.name() == product.name()) {
            return refused(format!("the product {product} stands twice"));
        }
    }
    if !settings.config.window_seconds.is_multiple_of(3600) {
        return refused("windows of groups are whole hours here: window_seconds = 3600".into());
    }
    let place = |path: &Path| absolute(path).map_err(|source| Error::io("open", path, source));
    if !settings.folder.is_dir() {
        return refused(format!("{}: is no folder that can be watched", settings.folder.display()));
    }
    let (folder, output) = (place(&settings.folder)?, place(&settings.output)?);
    if lies_in(&output, &folder) || lies_in(&folder, &output) {
        return refused(format!(
            "{}: records cannot go into the folder that is watched, nor around it; name another",
            settings.output.display()
        ));
    }
    Ok(())
}

/// Whether a folder is another one or lies in it, also under a name by which that is mounted once more.
pub(super) fn lies_in(inner: &Path, outer: &Path) -> bool {
    let key = |path: &Path| std::fs::metadata(path).ok().map(|there| (there.dev(), there.ino()));
    let is_outer = |folder: &Path| key(outer).is_some_and(|outer| key(folder) == Some(outer));
    inner.starts_with(outer) || inner.ancestors().any(is_outer)
}

/// A path without links as far as it is there.
fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    let whole = std::path::absolute(path)?;
    let mut rest = PathBuf::new();
    let mut there = whole.as_path();
    loop {
        match there.canonicalize() {
            Ok(real) => return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) }),
            Err(error) => match (there.parent(), there.file_name()) {
                (Some(parent), Some(name)) => {
                    rest = if rest.as_os_str().is_empty() { name.into() } else { Path::new(name).join(&rest) };
                    there = parent;
                }
                _ => return Err(error),
            },
        }
    }
}

/// What a thread that panicked leaves behind, as an error.
fn panicked(what: &str, panic: &(dyn Any + Send)) -> Error {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ErrorKind::Invariant(format!("{what} panicked: {}", said.unwrap_or("it does not say why"))).into()
}
