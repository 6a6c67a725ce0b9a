//! The threads of a pipeline: one hears of files and hands them to lines, each line is one, the keeper one.

use std::any::Any;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::Settings;
use super::arrivals::{Arrival, Arrivals, Room, Seen, sensor_of};
use super::health::Health;
use super::journal::{Journal, Lock};
use super::line::{Control, Ended, Line, Order};
use super::looks::Looks;
use super::lying::adopt;
use super::made_with;
use super::queue::MOST;
use super::unreadable::Unreadable;
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
        let room = Room { queue: Arc::clone(health.queues()), most: if once { usize::MAX } else { MOST } };
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

/// Hears of files and hands them on.
struct Router {
    settings: Arc<Settings>,
    looks: Looks,
    health: Arc<Health>,
    journal: Journal,
    /// Of sensors that have something to do.
    lines: BTreeMap<String, Handle>,
    /// What lines came to that have ended since nothing was left to do.
    rested: Ended,
    /// Why one of them could not.
    failed: Option<Error>,
    /// Tells that a line failed for good.
    over: Sender<()>,
    permits: Permits,
    now: Arc<AtomicBool>,
    /// Where all is worked off once, the files, until all are there: so they are read in their order.
    held: Option<BTreeMap<PathBuf, Arrival>>,
    unreadable: Unreadable,
    _lock: Lock,
}

/// A line.
struct Handle {
    orders: Sender<Order>,
    /// For its thread.
    inbox: Receiver<Order>,
    control: Arc<Control>,
    thread: Begun,
}

/// Whether a line is under way.
enum Begun {
    Thread(JoinHandle<Result<Ended>>),
    /// There was no thread to be had. It is tried again then; what it is told waits.
    Not(Instant),
}

/// How deep files lie in the output folder: `PRODUCT/SENSOR/YYYY/MM/DD/HH.EXT`.
const DEPTH: usize = 6;

/// How long a line has nothing to do before it ends. One of a sensor whose files come one by one is not begun for each of them.
const REST: Duration = Duration::from_secs(1);

/// Lines above which large pages of memory cost more than they save time: each line has tables of its own, mostly small ones.
#[cfg(target_os = "linux")]
const MANY: usize = 16;

/// How long files that are there at the start are waited for.
const SETTLING: Duration = Duration::from_millis(500);

/// How long is waited for files that were finished just before the end.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// The same at most, where files come one behind the other.
const LONGEST_LAST_WORDS: Duration = Duration::from_secs(2);

impl Router {
    fn run(
        mut self,
        arrivals: Arrivals,
        seen: &Receiver<Seen>,
        commands: &Receiver<Command>,
        overs: &Receiver<()>,
        once: bool,
    ) -> Result<Ended> {
        // Sensors whose hours are open go on, whether or not files come.
        for sensor in self.journal.unfinished(&self.settings.by_hour_names())? {
            self.line(&sensor);
        }
        self.look(&arrivals)?;
        let mut looked = Instant::now();
        let mut last_seen = Instant::now();
        let mut finish = None;
        loop {
            let look = self.settings.look.saturating_sub(looked.elapsed());
            let settled = if once { SETTLING / 10 } else { look };
            let wait = look.min(settled).min(self.settings.slow() / 4).max(Duration::from_millis(10));
            crossbeam_channel::select! {
                recv(seen) -> news => match news {
                    Ok(news) => {
                        last_seen = Instant::now();
                        self.hear(news);
                    }
                    Err(_) => return Err(Error::sink("files are not watched any more")),
                },
                recv(commands) -> command => match command {
                    Ok(Command::Stop(how)) => finish = Some(how),
                    Ok(Command::Reload(settings)) => {
                        self.reload(*settings);
                        self.looks.take(Arc::clone(&self.settings));
                    }
                    Ok(Command::Finished(path)) => arrivals.finished(path),
                    Err(_) => finish = Some(Stop::Now),
                },
                // None ends before it is told to but by what another try does not mend. Whoever starts us again begins at a good place.
                recv(overs) -> _ => return self.finish(Stop::Now, false, commands),
                default(wait) => {}
            }
            if let Some(how) = finish {
                self.health.stopping();
                // What was finished last is told a moment later.
                let enough = Instant::now() + LONGEST_LAST_WORDS;
                while how == Stop::Finish
                    && !once
                    && Instant::now() < enough
                    && let Ok(news) = seen.recv_timeout(LAST_WORDS)
                {
                    self.hear(news);
                }
                if once {
                    self.lines.values().for_each(|line| line.control.leave());
                }
                return self.finish(how, false, commands);
            }
            // What still grows is not waited for; what was not looked at is, however many there are. That first: it is told before.
            let enough = if arrivals.is_idle() { SETTLING } else { SETTLING + self.settings.stable * 5 };
            if once && !arrivals.is_at_work() && seen.is_empty() && last_seen.elapsed() >= enough {
                let held = self.held.take().unwrap_or_default();
                self.hear(Seen::Complete(held.into_values().collect()));
                return self.finish(Stop::Finish, true, commands);
            }
            self.watch_over();
            if !once {
                self.rest();
            }
            if looked.elapsed() >= self.settings.look {
                looked = Instant::now();
                self.look(&arrivals)?;
            }
        }
    }

    /// Gives up what is read for too long, and says what is read for long. Begins lines that could not begin.
    fn watch_over(&mut self) {
        let mut due = Vec::new();
        for (sensor, line) in &self.lines {
            watch_over(sensor, &line.control, &self.settings, &self.health);
            due.extend(matches!(line.thread, Begun::Not(again) if again <= Instant::now()).then(|| sensor.clone()));
        }
        for sensor in due {
            if let Some(line) = self.lines.get_mut(&sensor) {
                line.thread = begin(&sensor, &self.settings, &self.health, &self.permits, &self.over, line);
            }
        }
    }

    /// Ends lines that have nothing to do until a file comes, as a stop would end them: what begins again then goes on as from the journal.
    fn rest(&mut self) {
        #[cfg(target_os = "linux")]
        let before = self.lines.len();
        // In this order: nobody else tells lines anything.
        let is_idle = |_: &String, line: &mut Handle| line.orders.is_empty() && line.control.is_idle_for(REST);
        for (sensor, line) in self.lines.extract_if(.., is_idle) {
            let _ = line.orders.send(Order::Finish { close: false });
            let Begun::Thread(thread) = line.thread else { continue };
            match joined(&sensor, thread) {
                Ok(ended) => self.rested.add(ended),
                // It has told that it is over.
                Err(error) => self.failed = Some(error),
            }
            self.health.live_flows(&sensor, 0);
        }
        #[cfg(target_os = "linux")]
        if before > MANY && self.lines.len() <= MANY {
            let _ = rustix::thread::disable_transparent_huge_pages(false);
        }
    }

    /// Removes what is over, and looks at the room. Only a damaged journal ends all.
    fn look(&mut self, arrivals: &Arrivals) -> Result<()> {
        self.journal.is_there()?;
        self.changes_unreadable(Unreadable::forget_gone);
        self.looks.look(&self.journal, &self.journal.sensors()?, arrivals.is_settled())
    }

    fn hear(&mut self, news: Seen) {
        if let Seen::Complete(arrivals) = &news {
            self.changes_unreadable(|unreadable| unreadable.came(arrivals));
        }
        match news {
            Seen::Complete(arrivals) if self.held.is_some() => {
                if let Some(held) = &mut self.held {
                    held.extend(arrivals.into_iter().map(|arrival| (arrival.path.clone(), arrival)));
                }
            }
            Seen::Complete(arrivals) => {
                let mut by_sensor: BTreeMap<String, Vec<_>> = BTreeMap::new();
                for arrival in arrivals {
                    by_sensor.entry(arrival.sensor.clone()).or_default().push(arrival);
                }
                for (sensor, arrivals) in by_sensor {
                    self.tell(&sensor, Order::Complete(arrivals));
                }
            }
            Seen::Growing { sensor, path, first } => self.tell(&sensor, Order::Growing(path, first)),
            Seen::Gone { sensor, path } => {
                if let Some(held) = &mut self.held
                    && held.remove(&path).is_some()
                {
                    self.health.queues().take(&sensor, 1, 0);
                }
                // A line that has ended has nothing to do with it.
                if self.lines.contains_key(&sensor) {
                    self.tell(&sensor, Order::Gone(path));
                }
            }
            Seen::Unreadable { path, error } => {
                self.health.failed(&self.sensor_of(&path));
                self.changes_unreadable(|unreadable| unreadable.insert(path));
                self.say(&error);
            }
            Seen::Trouble(error) => self.say(&error),
        }
    }

    /// Whose a file or a folder is.
    fn sensor_of(&self, path: &Path) -> String {
        let file = if path.is_dir() { path.join("file") } else { path.to_owned() };
        sensor_of(&self.settings.folder, &file)
    }

    /// Changes what cannot be read, which is counted among what waits.
    fn changes_unreadable(&mut self, change: impl FnOnce(&mut Unreadable)) {
        let before = self.unreadable.count();
        change(&mut self.unreadable);
        if self.unreadable.count() == before {
            return;
        }
        let mut sensors: BTreeMap<String, usize> = BTreeMap::new();
        for path in self.unreadable.there() {
            *sensors.entry(self.sensor_of(path)).or_default() += 1;
        }
        self.health.queues().unreadable(&sensors);
    }

    fn say(&self, error: &Error) {
        tracing::warn!("{error}");
        self.health.trouble(error.to_string());
    }

    fn tell(&mut self, sensor: &str, order: Order) {
        // One that failed for good has told so.
        let _ = self.line(sensor).orders.send(order);
    }

    /// The line of a sensor, which begins if there is none.
    fn line(&mut self, sensor: &str) -> &Handle {
        let Router { lines, settings, health, permits, over, .. } = self;
        // Of the whole process. Where the system does not hear of it, lines are larger.
        #[cfg(target_os = "linux")]
        if lines.len() == MANY && !lines.contains_key(sensor) {
            let _ = rustix::thread::disable_transparent_huge_pages(true);
        }
        lines.entry(sensor.to_owned()).or_insert_with(|| {
            let (orders, inbox) = unbounded();
            let thread = Begun::Not(Instant::now());
            let mut line = Handle { orders, inbox, control: Arc::default(), thread };
            line.thread = begin(sensor, settings, health, permits, over, &line);
            line
        })
    }

    fn reload(&mut self, settings: Settings) {
        let old = &self.settings;
        let folder = old.folder.clone();
        let (output, products, config) = (old.output.clone(), old.products.clone(), old.config.clone());
        self.permits.change(old.workers.max(1), settings.workers.max(1));
        self.settings = Arc::new(Settings { folder, output, products, config, ..settings });
        for line in self.lines.values() {
            let _ = line.orders.send(Order::Settings(Arc::clone(&self.settings)));
        }
    }

    /// Lets all lines come to an end.
    fn finish(mut self, how: Stop, close: bool, commands: &Receiver<Command>) -> Result<Ended> {
        for line in self.lines.values() {
            let _ = line.orders.send(Order::Finish { close });
            if how == Stop::Now {
                line.control.stop();
            }
        }
        let (mut sum, mut failed) = (self.rested, self.failed.take());
        // All are told, whichever is waited for.
        let told = |line: &Handle| (line.orders.clone(), Arc::clone(&line.control));
        let all: Vec<(Sender<Order>, Arc<Control>)> = self.lines.values().map(told).collect();
        for (sensor, line) in std::mem::take(&mut self.lines) {
            let Begun::Thread(thread) = line.thread else {
                tracing::warn!(sensor, "there was no thread to be had for it; what waits is left for the next start");
                continue;
            };
            while !thread.is_finished() {
                if self.now.load(Ordering::Relaxed) {
                    all.iter().for_each(|(_, control)| control.stop());
                }
                if close && matches!(commands.try_recv(), Ok(Command::Stop(Stop::Finish))) {
                    for (orders, control) in &all {
                        control.leave();
                        let _ = orders.send(Order::Finish { close: false });
                    }
                }
                watch_over(&sensor, &line.control, &self.settings, &self.health);
                thread::sleep(Duration::from_millis(5));
            }
            match joined(&sensor, thread) {
                Ok(ended) => sum.add(ended),
                Err(error) => failed = Some(error),
            }
        }
        sum.waiting += self.health.queues().unheard();
        // What could not be looked at is left, too.
        for path in self.unreadable.there() {
            tracing::warn!(path = %path.display(), "could not be read, and is left for the next start");
            sum.waiting += 1;
        }
        if close && failed.is_none() {
            self.looks.look(&self.journal, &self.journal.sensors()?, true)?;
        }
        failed.map_or(Ok(sum), Err)
    }
}

/// Begins a line, if there is a thread to be had.
fn begin(
    sensor: &str,
    settings: &Arc<Settings>,
    health: &Arc<Health>,
    permits: &Permits,
    over: &Sender<()>,
    handle: &Handle,
) -> Begun {
    let line = Line {
        sensor: sensor.into(),
        settings: Arc::clone(settings),
        health: Arc::clone(health),
        inbox: handle.inbox.clone(),
        permits: permits.clone(),
        control: Arc::clone(&handle.control),
    };
    let over = over.clone();
    let thread = thread::Builder::new().name(format!("watch {sensor}")).spawn(move || {
        let ended = whole(line);
        if ended.is_err() {
            let _ = over.send(());
        }
        ended
    });
    thread.map_or_else(
        |error| {
            let delay = settings.retry_delay;
            tracing::error!(sensor, "no thread can be started: {error}; it is tried again in {delay:?}");
            health.line_failed(sensor, &format!("no thread can be started: {error}"));
            Begun::Not(Instant::now() + delay)
        },
        Begun::Thread,
    )
}

/// What a line came to that ends.
fn joined(sensor: &str, thread: JoinHandle<Result<Ended>>) -> Result<Ended> {
    match thread.join() {
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::Stopped) => Ok(Ended::default()),
        Ok(ended) => ended.inspect_err(|error| tracing::error!(sensor, "{error}")),
        Err(panic) => Err(panicked(&format!("the line of {sensor}"), panic.as_ref())),
    }
}

/// A line from its begin to its end. A panic is an error of it, and known at once.
fn whole(line: Line) -> Result<Ended> {
    let (sensor, health) = (Arc::clone(&line.sensor), Arc::clone(&line.health));
    let ran = catch_unwind(AssertUnwindSafe(|| line.run()));
    let ended = ran.unwrap_or_else(|panic| Err(panicked(&format!("the line of {sensor}"), panic.as_ref())));
    if let Err(error) = &ended
        && !matches!(error.kind(), ErrorKind::Stopped)
    {
        health.line_failed(&sensor, &error.to_string());
    }
    ended
}

/// What a thread that panicked leaves behind, as an error.
fn panicked(what: &str, panic: &(dyn Any + Send)) -> Error {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ErrorKind::Invariant(format!("{what} panicked: {}", said.unwrap_or("it does not say why"))).into()
}

/// See [`Router::watch_over`].
fn watch_over(sensor: &str, control: &Control, settings: &Settings, health: &Health) {
    if let Some(path) = control.slow_after(settings.slow()) {
        let (long, longest) = (settings.slow(), settings.timeout);
        let path = path.display();
        let reason = format!(
            "{path}: has been read for more than {long:?}; its sensor waits, and gives it up after {longest:?}"
        );
        tracing::warn!(sensor, "{reason}");
        health.trouble(reason);
    }
    control.give_up_after(settings.timeout);
}

/// How many lines may read at once; fewer than none are left when it has become fewer.
#[derive(Clone)]
pub(super) struct Permits(Arc<(Mutex<isize>, Condvar)>);

/// The right to read; given back when it is dropped.
pub(super) struct Permit(Permits);

impl Permits {
    pub(super) fn new(all: usize) -> Permits {
        Permits(Arc::new((Mutex::new(all.cast_signed()), Condvar::new())))
    }

    /// There are so many from now on, and not as many as before.
    fn change(&self, before: usize, now: usize) {
        let (left, freed) = &*self.0;
        *left.lock().unwrap_or_else(PoisonError::into_inner) += now.cast_signed() - before.cast_signed();
        freed.notify_all();
    }

    /// Waits for a right.
    pub(super) fn take(&self) -> Permit {
        let (left, freed) = &*self.0;
        let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
        while *left <= 0 {
            left = freed.wait(left).unwrap_or_else(PoisonError::into_inner);
        }
        *left -= 1;
        Permit(self.clone())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (left, freed) = &*self.0.0;
        *left.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_may_read_changes_at_once_and_when_those_that_do_have_read() {
        let permits = Permits::new(1);
        let first = permits.take();
        let (taken, takes) = bounded(0);
        thread::scope(|scope| {
            scope.spawn(|| taken.send(permits.take()));
            assert!(takes.recv_timeout(Duration::from_millis(50)).is_err());
            permits.change(1, 2);
            let second = takes.recv_timeout(Duration::from_secs(60)).unwrap();
            permits.change(2, 1);
            drop(first);
            scope.spawn(|| taken.send(permits.take()));
            assert!(takes.recv_timeout(Duration::from_millis(50)).is_err());
            drop(second);
            takes.recv_timeout(Duration::from_secs(60)).unwrap();
        });
    }
}
