//! Hears of files and hands them to lines, which it begins and ends.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::{Command, Stop, panicked};
use crate::error::{Error, ErrorKind, Result};
use crate::watch::Settings;
use crate::watch::arrivals::{Arrival, Arrivals, Seen, sensor_of};
use crate::watch::health::Health;
use crate::watch::journal::{Journal, Lock};
use crate::watch::line::{Control, Ended, Line, Order};
use crate::watch::looks::Looks;
use crate::watch::permits::Permits;
use crate::watch::unreadable::Unreadable;

/// Hears of files and hands them on.
pub(super) struct Router {
    pub(super) settings: Arc<Settings>,
    pub(super) looks: Looks,
    pub(super) health: Arc<Health>,
    pub(super) journal: Journal,
    /// Of sensors that have something to do.
    pub(super) lines: BTreeMap<String, Handle>,
    /// What lines came to that have ended since nothing was left to do.
    pub(super) rested: Ended,
    /// Why one of them could not.
    pub(super) failed: Option<Error>,
    /// Tells that a line failed for good.
    pub(super) over: Sender<()>,
    pub(super) permits: Permits,
    pub(super) now: Arc<AtomicBool>,
    /// Where all is worked off once, the files, until all are there: so they are read in their order.
    pub(super) held: Option<BTreeMap<PathBuf, Arrival>>,
    pub(super) unreadable: Unreadable,
    pub(super) _lock: Lock,
}

/// A line.
pub(super) struct Handle {
    orders: Sender<Order>,
    /// For its thread.
    inbox: Receiver<Order>,
    control: Arc<Control>,
    thread: Begun,
}

/// Whether a line is under way.
pub(super) enum Begun {
    Thread(JoinHandle<Result<Ended>>),
    /// There was no thread to be had. It is tried again then; what it is told waits.
    Not(Instant),
}

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
    /// Works until it is told to end, or all is worked off.
    pub(super) fn run(
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
        if let Some(path) = self.health.at().slow_after(self.settings.slow()) {
            let (path, long) = (path.display(), self.settings.slow());
            let reason = format!(
                "{path}: its begin or its end has been read for more than {long:?}; no file is looked at until the disk gives them"
            );
            tracing::warn!("{reason}");
            self.health.trouble(reason);
        }
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
            Seen::Gone { sensor, path, untold } => {
                let held = self.held.as_mut().and_then(|held| held.remove(&path));
                if held.is_some() {
                    self.health.queues().take(&sensor, 1, 0);
                }
                // A line that has ended has nothing to do with it.
                if self.held.is_some() || self.lines.contains_key(&sensor) {
                    self.tell(&sensor, Order::Gone(path, held.map(|arrival| arrival.identity).or(untold)));
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
