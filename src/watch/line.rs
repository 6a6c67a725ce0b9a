//! All files of a sensor as one run that does not end.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};

use super::arrivals::Arrival;
use super::health::Health;
use super::journal::{Became, Entry, Fed, Journal, Out, State};
use super::output::Output;
use super::pipeline::{Permit, Permits};
use super::products::Making;
use super::spans::{HOUR, News, Passed, Spans, hour};
use super::{Identity, Settings};
use crate::capture::{Capture, Io, Report, Status};
use crate::engine::feed::{Feed, Next};
use crate::engine::view::View;
use crate::engine::{Engine, FileReport, Progress};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;

/// What a line is told.
pub(super) enum Order {
    /// Files are complete.
    Complete(Vec<Arrival>),
    /// A file that grows begins at this time.
    Growing(PathBuf, Timestamp),
    /// A file is gone.
    Gone(PathBuf),
    /// Other settings.
    Settings(Arc<Settings>),
    /// Works off what is there, and ends. The hours that are open are closed if all is to be.
    Finish { close: bool },
}

/// What a line came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Files that were read.
    pub files: u64,
    /// Packets in them.
    pub packets: u64,
    /// Files that were not come to.
    pub waiting: u64,
    /// Files that could not be read, came too late, or were gone when they were needed.
    pub quarantined: u64,
}

/// See the module.
pub(super) struct Line {
    pub(super) sensor: Arc<str>,
    pub(super) settings: Arc<Settings>,
    pub(super) health: Arc<Health>,
    pub(super) inbox: Receiver<Order>,
    pub(super) permits: Permits,
    pub(super) control: Arc<Control>,
}

/// How a line is stopped in the middle of a file.
#[derive(Debug, Default)]
pub(super) struct Control {
    run: Mutex<Run>,
}

#[derive(Debug, Default)]
struct Run {
    /// Of the engine's run that is under way.
    progress: Arc<Progress>,
    /// What is read, and since when.
    reading: Option<Instant>,
    /// It was read for too long.
    overdue: bool,
    /// Nothing more is to be done.
    stopped: bool,
    /// Nothing more behind the file that is being read.
    leaving: bool,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops it for good.
    pub(super) fn stop(&self) {
        let mut run = self.lock();
        run.stopped = true;
        run.progress.stop();
    }

    /// Lets it end behind the file that is being read.
    pub(super) fn leave(&self) {
        self.lock().leaving = true;
    }

    /// Gives up a file that has been read for longer than this.
    pub(super) fn give_up_after(&self, longest: Duration) {
        let mut run = self.lock();
        if run.reading.is_some_and(|since| since.elapsed() > longest) {
            run.overdue = true;
            run.progress.stop();
        }
    }

    /// A run of the engine begins.
    fn begin(&self) -> Arc<Progress> {
        let mut run = self.lock();
        run.progress = Arc::default();
        (run.reading, run.overdue) = (None, false);
        if run.stopped {
            run.progress.stop();
        }
        Arc::clone(&run.progress)
    }

    /// A file is read, or is not any more.
    fn reading(&self, now: bool) {
        self.lock().reading = now.then(Instant::now);
    }

    fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    fn is_leaving(&self) -> bool {
        self.lock().leaving
    }

    fn is_overdue(&self) -> bool {
        self.lock().overdue
    }
}

/// Why a pass over the files ended.
enum Why {
    /// Files have come that begin before what was read.
    TurnBack(Vec<Coming>),
    /// A file was given up.
    Again,
    /// Nothing more is wanted.
    Finished,
}

/// A complete file that waits, with the time of its first packet.
#[derive(Clone, Debug)]
struct Coming {
    arrival: Arrival,
    first: Option<Timestamp>,
    /// It was read before, when it held something else.
    replaces: bool,
}

impl Coming {
    /// With its place among those that wait. One without packets goes first: it changes nothing.
    fn keyed(self) -> ((Timestamp, PathBuf), Coming) {
        ((self.first.unwrap_or(Timestamp::MIN), self.arrival.path.clone()), self)
    }
}

impl Line {
    /// Works until it is told to end.
    pub(super) fn run(self) -> Result<Ended> {
        // The output first: it is not made anew here if it is gone.
        let path = &self.settings.output;
        let begun = Output::open(path).and_then(|output| Ok((Rc::new(output), Rc::new(Journal::open(path)?))));
        let (output, journal) = begun.inspect_err(|error| {
            tracing::error!(sensor = %self.sensor, "{error}");
            self.health.line_failed(&self.sensor, &error.to_string());
        })?;
        let mut waiting = Waiting::default();
        let mut ended = Ended::default();
        loop {
            let passed = match self.pass(&output, &journal, &mut waiting, &mut ended) {
                Ok(Why::TurnBack(coming)) => match turn_back(&self, &journal, coming.clone()) {
                    Ok(late) => {
                        ended.quarantined += late;
                        Ok(Why::Again)
                    }
                    Err(error) => {
                        // Those that were late are known by now; the others wait as before.
                        let waits = |coming: &Coming| !matches!(journal.knows(&coming.arrival.identity), Ok(Some(_)));
                        waiting.files.extend(coming.into_iter().filter(waits).map(Coming::keyed));
                        Err(error)
                    }
                },
                passed => passed,
            };
            match passed {
                Ok(Why::Finished) => {
                    ended.waiting = waiting.files.len() as u64;
                    return Ok(ended);
                }
                Ok(_) => {}
                Err(error) if waiting.finish.is_some() || self.control.is_stopped() => return Err(error),
                // A full disk, say: nothing is lost, and what is not out is made again.
                Err(error) => {
                    let delay = self.settings.retry_delay;
                    tracing::error!(sensor = %self.sensor, "{error}; it begins again in {} s", delay.as_secs());
                    self.health.line_failed(&self.sensor, &error.to_string());
                    // What it is told meanwhile waits, but for the end.
                    let again = Instant::now() + delay;
                    loop {
                        match self.inbox.recv_deadline(again) {
                            Ok(order) => {
                                if matches!(order, Order::Finish { .. }) {
                                    waiting.finish = Some(false);
                                }
                                waiting.orders.push_back(order);
                            }
                            Err(RecvTimeoutError::Timeout) => break,
                            Err(RecvTimeoutError::Disconnected) => return Err(error),
                        }
                    }
                }
            }
        }
    }

    /// A run of the engine, from where packets are needed on.
    fn pass(
        &self,
        output: &Rc<Output>,
        journal: &Rc<Journal>,
        waiting: &mut Waiting,
        ended: &mut Ended,
    ) -> Result<Why> {
        let settings = &self.settings;
        let mut makings = Vec::new();
        for product in &settings.products {
            let making = Making::new(product, output, &self.sensor, journal, &self.health, &settings.config)?;
            makings.push(making);
        }
        let hours: Vec<_> = makings.iter().filter_map(Making::hours).collect();
        let silence = makings.iter().map(Making::silence).max().unwrap_or(0);
        let margins: Vec<i64> = hours.iter().map(|(_, margin)| *margin).collect();
        let of_margin = hours.clone();
        let (health, sensor) = (Arc::clone(&self.health), Arc::clone(&self.sensor));
        let hears = move |news: News| match news {
            News::Live(flows) => {
                health.live_flows(&sensor, flows);
                Ok(())
            }
            News::Passed(Passed { margin, until, needs }) => {
                of_margin.get(margin).map_or(Ok(()), |(hours, _)| hours.borrow_mut().pass(until, needs))
            }
        };
        let mut spans = Spans::new(&margins, silence, Rc::new(RefCell::new(hears)));
        let mut needs = Timestamp::MAX;
        for product in &settings.products {
            needs = needs.min(journal.out(&self.sensor, &product.name())?.needs);
        }
        let mut feed = LineFeed {
            line: self,
            output,
            journal,
            read: HashSet::new(),
            began: Instant::now(),
            waiting,
            ended,
            replay: VecDeque::new(),
            place: None,
            reading: None,
            position: Timestamp::MIN,
            top: Timestamp::MIN,
            spoken: i64::MIN,
            margins: margins.iter().copied().chain([0]).collect(),
            settings: Arc::clone(settings),
            permit: None,
            why: None,
        };
        self.health.line_began(&self.sensor);
        feed.skip_to(journal.sequence(&self.sensor)?, needs);
        let engine = Engine::builder().progress(self.control.begin()).build();
        let mut views = Vec::new();
        for making in &mut makings {
            views.push(making.view(&settings.config, &self.sensor)?);
        }
        let mut views: Vec<&mut dyn View> = views.iter_mut().map(|view| &mut **view as &mut dyn View).collect();
        if !margins.is_empty() {
            // Last, so that at each marker rows come before what has been passed.
            views.push(&mut spans);
        }
        let ran = engine.stream(&mut feed, &mut views);
        match (ran, feed.why.take()) {
            (Err(_), Some(why)) => Ok(why),
            (Ok(_), _) => {
                hours.iter().try_for_each(|(hours, _)| hours.borrow_mut().finish())?;
                Ok(Why::Finished)
            }
            (Err(_), None) if self.control.is_overdue() => {
                let reading = feed.reading.take();
                reading.map_or(Ok(()), |(path, identity)| {
                    let reason = format!("reading it took longer than {} s", settings.timeout.as_secs());
                    feed.ended.quarantined += 1;
                    quarantine(
                        self,
                        output,
                        journal,
                        &Arrival { sensor: self.sensor.to_string(), path, identity },
                        &reason,
                    )
                })?;
                Ok(Why::Again)
            }
            (Err(error), None) => Err(error),
        }
    }
}

/// Puts files, the earliest first, in their places in the sequence; hours from there on are not out any more.
///
/// Tells how many are too late for that.
fn turn_back(line: &Line, journal: &Journal, mut coming: Vec<Coming>) -> Result<u64> {
    let mut late = 0;
    let sequence = journal.sequence(&line.sensor)?;
    // What was read of a file that is another now is not there any more.
    let replaced: HashSet<PathBuf> = coming.iter().map(|coming| coming.arrival.path.clone()).collect();
    let is_other = |entry: &Entry| matches!(entry, Entry::File { fed, .. } if replaced.contains(&fed.path));
    let earliest = |entry: &Entry| match entry {
        Entry::File { fed, .. } if replaced.contains(&fed.path) => fed.first,
        _ => None,
    };
    let before = sequence.iter().filter_map(earliest).min();
    let sequence: Vec<Entry> = sequence.into_iter().filter(|entry| !is_other(entry)).collect();
    while let Some(Coming { arrival: Arrival { path, identity, .. }, first, .. }) = coming.first() {
        if can_turn_back(line, journal, &sequence, first.unwrap_or(Timestamp::MIN))? {
            break;
        }
        let reason = "it begins before hours that are out, and captures of these are gone";
        line.health.late_file(&line.sensor);
        line.health.trouble(format!("{}: late: {reason}", path.display()));
        tracing::warn!(path = %path.display(), sensor = %line.sensor, "late: {reason}");
        journal.set_aside(&line.sensor, path, identity, State::Late, reason)?;
        coming.remove(0);
        late += 1;
    }
    let Some(first) = coming.first().map(|coming| coming.first.unwrap_or(Timestamp::MIN)) else { return Ok(late) };
    let first = before.map_or(first, |before| before.min(first));
    let from = Timestamp(hour(first.0));
    tracing::info!(sensor = %line.sensor, files = coming.len(), "files begin before what was read: hours are made again");
    let mut outs = Vec::new();
    for product in &line.settings.products {
        let out = journal.out(&line.sensor, &product.name())?;
        let (until, needs) = if out.until <= from { (out.until, out.needs) } else { (from, Timestamp::MIN) };
        // Scans are out with their groups.
        if product.name() == "groups" {
            outs.push(("scans".into(), Out { until, needs }));
        }
        outs.push((product.name(), Out { until, needs }));
    }
    let new = coming.into_iter().map(|Coming { arrival: Arrival { path, identity, .. }, first, .. }| Entry::File {
        place: 0,
        fed: Fed { path, identity, first, next: None },
        became: None,
    });
    // The wall clock was wrong.
    let stays = |entry: &Entry| !matches!(entry, Entry::Quiet { until, .. } if *until > first);
    let mut entries: Vec<Entry> = sequence.into_iter().filter(stays).chain(new).collect();
    // Those without packets stay behind what they stood behind.
    let mut before = Timestamp::MIN;
    let mut begins: Vec<Timestamp> = Vec::with_capacity(entries.len());
    for entry in &entries {
        before = match entry {
            Entry::File { fed, .. } => fed.first.unwrap_or(before),
            Entry::Quiet { until, .. } => *until,
        };
        begins.push(before);
    }
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&at| begins[at]);
    let mut next = None;
    for &at in order.iter().rev() {
        if let Entry::File { fed, .. } = &mut entries[at] {
            fed.next = next;
            next = fed.first.or(next);
        }
    }
    let mut entries: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    let entries: Vec<Entry> = order.into_iter().filter_map(|at| entries[at].take()).collect();
    journal.turn_back(&line.sensor, &entries, &outs)?;
    Ok(late)
}

/// Whether no hour from a time on is out, or the captures of all of them are held.
fn can_turn_back(line: &Line, journal: &Journal, sequence: &[Entry], first: Timestamp) -> Result<bool> {
    let from = Timestamp(hour(first.0));
    let mut is_out = false;
    for product in &line.settings.products {
        is_out |= journal.out(&line.sensor, &product.name())?.until > from;
    }
    if !is_out {
        return Ok(true);
    }
    let forgotten = journal.forgotten(&line.sensor)?.is_some_and(|last| last >= from);
    let gone = sequence.iter().any(|entry| match entry {
        Entry::File { fed, became, .. } => {
            let reaches = became.as_ref().is_none_or(|became| became.last.is_some_and(|last| last >= from));
            // One that has become another is told anew, and read anew.
            reaches && !fed.path.exists()
        }
        Entry::Quiet { .. } => false,
    });
    Ok(!gone && !forgotten)
}

/// Files that are complete and not yet read.
#[derive(Default)]
struct Waiting {
    /// In the order in which they are read.
    files: BTreeMap<(Timestamp, PathBuf), Coming>,
    /// The first packets of files that grow.
    growing: HashMap<PathBuf, Timestamp>,
    /// Files that could not be read, how often, and when they are tried again.
    failing: HashMap<PathBuf, (Arrival, u32, Instant)>,
    /// Files that were to be read and are not there any more, and since when that is known.
    vanished: HashMap<Identity, (PathBuf, Instant)>,
    /// Where files lie now that were read under another name.
    moved: HashMap<Identity, PathBuf>,
    /// What the line was told while it could not work.
    orders: VecDeque<Order>,
    /// When something came last.
    heard: Option<Instant>,
    /// Since when the first is late.
    late: Option<Instant>,
    finish: Option<bool>,
}

/// What the engine's run is fed with.
struct LineFeed<'l> {
    line: &'l Line,
    output: &'l Output,
    journal: &'l Rc<Journal>,
    waiting: &'l mut Waiting,
    /// Files of the sequence.
    read: HashSet<PathBuf>,
    began: Instant,
    ended: &'l mut Ended,
    replay: VecDeque<Entry>,
    /// The file that is being read: its place in the sequence, and whether it is read for the first time.
    place: Option<(i64, bool)>,
    reading: Option<(PathBuf, Identity)>,
    /// No file may begin before this.
    position: Timestamp,
    /// The latest packet.
    top: Timestamp,
    /// What the wall clock said last, in packet time.
    spoken: i64,
    /// How far behind the end of an hour something may wait.
    margins: Vec<i64>,
    settings: Arc<Settings>,
    permit: Option<Permit>,
    why: Option<Why>,
}

impl LineFeed<'_> {
    /// Begins with the first entry of a sequence of which packets are needed; what stands before it is known.
    fn skip_to(&mut self, sequence: Vec<Entry>, needs: Timestamp) {
        let is_needed = |entry: &Entry| match entry {
            Entry::File { became: Some(became), .. } => became.last.is_some_and(|last| last >= needs),
            Entry::File { became: None, .. } => true,
            Entry::Quiet { .. } => false,
        };
        self.read = sequence
            .iter()
            .filter_map(|entry| match entry {
                Entry::File { fed, .. } => Some(fed.path.clone()),
                Entry::Quiet { .. } => None,
            })
            .collect();
        let from = sequence.iter().position(is_needed).unwrap_or(sequence.len());
        let mut sequence = VecDeque::from(sequence);
        for entry in sequence.drain(..from) {
            match entry {
                Entry::Quiet { until, .. } => self.speak(until),
                Entry::File { fed, became, .. } => {
                    self.position = self.position.max(fed.first.unwrap_or(Timestamp::MIN));
                    self.top = self.top.max(became.and_then(|became| became.last).unwrap_or(Timestamp::MIN));
                }
            }
        }
        self.replay = sequence;
    }

    /// The wall clock has spoken.
    fn speak(&mut self, until: Timestamp) {
        self.spoken = self.spoken.max(until.0);
        self.position = self.position.max(until);
    }

    /// Reading begins, when it is this line's turn.
    fn begin(&mut self) {
        let path = self.reading.as_ref().map(|(path, _)| path);
        let finished = path.and_then(|path| fs::metadata(path).ok()?.modified().ok());
        let lag = finished.and_then(|finished| finished.elapsed().ok()).unwrap_or_default();
        self.line.health.lag(&self.line.sensor, lag.max(Duration::from_millis(1)));
        self.permit = Some(self.line.permits.take());
        self.line.control.reading(true);
    }

    /// Ends the run where it stands: what is not out is made again by the next.
    fn leave(&mut self, why: Why) -> Result<Next> {
        self.why = Some(why);
        Err(ErrorKind::Stopped.into())
    }

    /// Takes out of the sequence what begins it, is of hours that are out, and is gone.
    fn forget(&self) -> Result<()> {
        let mut needs = Timestamp::MAX;
        for product in &self.settings.products {
            needs = needs.min(self.journal.out(&self.line.sensor, &product.name())?.needs);
        }
        let stays = |entry: &Entry| match entry {
            Entry::File { fed, became, .. } => {
                let over = became.as_ref().is_some_and(|became| became.last.is_none_or(|last| last < needs));
                !over || fed.path.exists()
            }
            Entry::Quiet { until, .. } => *until >= needs,
        };
        let first = self.journal.sequence(&self.line.sensor)?.into_iter().find(stays);
        first.map_or(Ok(()), |first| self.journal.forget(&self.line.sensor, first.place()))
    }

    /// Where a file of the sequence lies, if it does. One that is not where it was is looked for among those that are told at the start.
    fn found(&mut self, fed: &Fed) -> Result<Option<PathBuf>> {
        let lies_at = |path: &Path| Identity::of(path).ok().as_ref() == Some(&fed.identity);
        let until = self.began + 2 * (self.settings.stable + SETTLING);
        loop {
            if lies_at(&fed.path) {
                return Ok(Some(fed.path.clone()));
            }
            if let Some(path) = self.waiting.moved.get(&fed.identity).filter(|path| lies_at(path)) {
                return Ok(Some(path.clone()));
            }
            match self.line.inbox.recv_deadline(until) {
                Ok(order) => self.take(order)?,
                Err(_) => return Ok(None),
            }
        }
    }

    /// The next entry of the journal, if its file is still as it was.
    fn replayed(&mut self) -> Result<Option<Next>> {
        while let Some(entry) = self.replay.pop_front() {
            match entry {
                Entry::Quiet { until, .. } => {
                    self.speak(until);
                    return Ok(Some(Next::Quiet(until)));
                }
                Entry::File { place, mut fed, became } => {
                    if let Some(path) = self.found(&fed)? {
                        fed.path = path;
                        self.position = self.position.max(fed.first.unwrap_or(Timestamp::MIN));
                        self.place = Some((place, became.is_none()));
                        self.reading = Some((fed.path.clone(), fed.identity));
                        return Ok(Some(Next::File { path: fed.path, next: fed.next }));
                    }
                    let path = fed.path.display().to_string();
                    if fed.path.exists() {
                        tracing::info!(path, sensor = %self.line.sensor, "has become another, and is read anew");
                    } else {
                        self.line.health.trouble(format!("{path}: is gone, and what hours to come have of it is lost"));
                        self.line.health.lost(&self.line.sensor, &fed.path);
                        tracing::warn!(path, sensor = %self.line.sensor, "a capture that is still needed is gone");
                        self.ended.quarantined += 1;
                    }
                    if became.is_none() {
                        let became =
                            Became { packets: 0, last: None, damage: Some("it was gone before it was read".into()) };
                        self.journal.read(place, &became)?;
                    }
                }
            }
        }
        Ok(None)
    }

    fn take(&mut self, order: Order) -> Result<()> {
        let mut come_to = 0;
        let mut failed = Ok(());
        match order {
            Order::Complete(arrivals) => {
                self.waiting.heard = Some(Instant::now());
                let mut arrivals = arrivals.into_iter();
                while let Some(arrival) = arrivals.next() {
                    self.waiting.growing.remove(&arrival.path);
                    failed = self.look_at(arrival.clone());
                    if failed.is_err() {
                        // A full disk, say. They are looked at when the line works again.
                        let rest = [arrival].into_iter().chain(arrivals).collect();
                        self.waiting.orders.push_front(Order::Complete(rest));
                        break;
                    }
                    come_to += 1;
                }
            }
            Order::Growing(path, first) => drop(self.waiting.growing.insert(path, first)),
            Order::Gone(path) => {
                self.waiting.growing.remove(&path);
                self.waiting.failing.remove(&path);
                let gone: Vec<_> = self.waiting.files.extract_if(.., |(_, waiting), _| *waiting == path).collect();
                for (_, coming) in gone {
                    self.waiting.vanished.insert(coming.arrival.identity, (path.clone(), Instant::now()));
                }
            }
            Order::Settings(settings) => self.settings = settings,
            Order::Finish { close } => self.waiting.finish = Some(close),
        }
        self.line.health.take(&self.line.sensor, come_to, self.waiting.files.len());
        failed
    }

    /// Puts a file into its place, unless it is known or cannot be read.
    fn look_at(&mut self, arrival: Arrival) -> Result<()> {
        if self.journal.knows(&arrival.identity)?.is_some() {
            // It may have got another name.
            if !self.read.contains(&arrival.path) && self.journal.moved(&arrival.identity, &arrival.path)? {
                tracing::info!(path = %arrival.path.display(), sensor = %self.line.sensor, "was read under another name");
                self.read.insert(arrival.path.clone());
                self.waiting.moved.insert(arrival.identity, arrival.path);
            }
            return Ok(());
        }
        self.waiting.vanished.remove(&arrival.identity);
        let path = &arrival.path;
        match begins(path) {
            Ok(first) => {
                self.waiting.failing.remove(path);
                let replaces = self.read.contains(path);
                self.waiting.files.extend([Coming { arrival, first, replaces }.keyed()]);
            }
            Err(error) => self.failed(arrival, &error)?,
        }
        Ok(())
    }

    /// A file cannot be read: it is tried again, or set aside.
    fn failed(&mut self, arrival: Arrival, error: &Error) -> Result<()> {
        let (line, path) = (self.line, arrival.path.clone());
        line.health.failed(&line.sensor);
        if !path.exists() {
            self.waiting.failing.remove(&path);
            self.waiting.vanished.insert(arrival.identity, (path, Instant::now()));
            return Ok(());
        }
        let tries = self.waiting.failing.get(&path).map_or(0, |(_, tries, _)| *tries) + 1;
        if tries < self.settings.tries {
            tracing::warn!(path = %path.display(), sensor = %line.sensor, tries, "cannot be read: {error}; it is tried again");
            self.waiting.failing.insert(path, (arrival, tries, Instant::now() + self.settings.retry_delay));
            return Ok(());
        }
        // The path stands beside it.
        let said = error.to_string();
        let reason = said.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&said);
        if let Err(error) = quarantine(line, self.output, self.journal, &arrival, reason) {
            // Others are read meanwhile.
            let delay = self.settings.retry_delay;
            tracing::error!(path = %path.display(), sensor = %line.sensor, "{error}; it is put aside in {} s", delay.as_secs());
            line.health.line_failed(&line.sensor, &error.to_string());
            line.health.line_began(&line.sensor);
            self.waiting.failing.insert(path, (arrival, tries - 1, Instant::now() + delay));
            return Ok(());
        }
        self.waiting.failing.remove(&path);
        self.ended.quarantined += 1;
        Ok(())
    }

    /// Misses files that vanished and have not come under another name by now; when the next one is due.
    fn miss(&mut self) -> Option<Instant> {
        let now = Instant::now();
        for (_, (path, _)) in self.waiting.vanished.extract_if(|_, (_, since)| *since + 2 * SETTLING <= now) {
            // What took its name is told anew.
            if !path.exists() {
                let (health, sensor) = (&self.line.health, &self.line.sensor);
                tracing::warn!(path = %path.display(), sensor = %sensor, "it vanished before it was read");
                health.lost(sensor, &path);
                health.trouble(format!("{}: vanished before it was read", path.display()));
            }
        }
        self.waiting.vanished.values().map(|(_, since)| *since + 2 * SETTLING).min()
    }

    /// Tries files again whose time has come; when the next one is due.
    fn try_again(&mut self) -> Result<Option<Instant>> {
        let now = Instant::now();
        let due: Vec<PathBuf> =
            self.waiting.failing.iter().filter(|(_, (.., at))| *at <= now).map(|(path, _)| path.clone()).collect();
        for path in due {
            if let Some((arrival, ..)) = self.waiting.failing.get(&path) {
                let mut arrival = arrival.clone();
                // It may have become another meanwhile.
                if let Ok(identity) = Identity::of(&path) {
                    arrival.identity = identity;
                }
                self.look_at(arrival)?;
            }
        }
        Ok(self.waiting.failing.values().map(|(.., at)| *at).min())
    }

    /// How long to wait before turning back: files that come in disorder come together, and each turn reads much again. Those that are not late
    /// do not wait for that.
    fn settling(&mut self) -> Option<Duration> {
        let first = self.waiting.files.first_key_value().map(|((first, _), _)| *first);
        let is_late = first.is_some_and(|first| first > Timestamp::MIN && first < self.position);
        if !is_late || self.waiting.finish.is_some() {
            self.waiting.late = None;
            return None;
        }
        let heard = self.waiting.heard.map_or(Duration::MAX, |heard| heard.elapsed());
        let late = self.waiting.late.get_or_insert_with(Instant::now).elapsed();
        Some(SETTLING.saturating_sub(heard).min(LONGEST_SETTLING.saturating_sub(late))).filter(|wait| !wait.is_zero())
    }

    /// The next file, if one waits; while it settles, of those that are not late.
    fn file(&mut self, settles: bool) -> Result<Option<Next>> {
        let first = match settles {
            true => self.waiting.files.range((self.position, PathBuf::new())..).next().map(|(key, _)| key.clone()),
            false => self.waiting.files.keys().next().cloned(),
        };
        let Some((key, coming)) = first.and_then(|first| self.waiting.files.remove_entry(&first)) else {
            return Ok(None);
        };
        let path = key.1.clone();
        let next = self.waiting.files.range(&key..).next().map(|((first, _), _)| *first);
        let growing = self.waiting.growing.values().copied().min();
        let next = [next, growing].into_iter().flatten().min();
        if coming.replaces || coming.first.is_some_and(|first| first < self.position) {
            let later = self.waiting.files.split_off(&(self.position, PathBuf::new()));
            let late = std::mem::replace(&mut self.waiting.files, later);
            return self.leave(Why::TurnBack([coming].into_iter().chain(late.into_values()).collect())).map(Some);
        }
        let first = coming.first;
        let fed = Fed { path: path.clone(), identity: coming.arrival.identity.clone(), first, next };
        let place = match self.journal.fed(&self.line.sensor, &fed) {
            Ok(place) => place,
            Err(error) => {
                self.waiting.files.insert(key, coming);
                return Err(error);
            }
        };
        self.read.insert(path.clone());
        self.reading = Some((path.clone(), fed.identity));
        self.place = Some((place, true));
        self.position = self.position.max(first.unwrap_or(Timestamp::MIN));
        self.line.health.queue(&self.line.sensor, self.waiting.files.len());
        Ok(Some(Next::File { path, next }))
    }

    /// When, in packet time, something is complete next if no packet comes.
    fn due(&self) -> Option<i64> {
        let end = hour(self.top.0).checked_add(HOUR).filter(|_| self.top > Timestamp::MIN)?;
        // Behind the margin, so that the clock has passed it.
        let ends = self.margins.iter().map(|margin| end.saturating_add(*margin));
        ends.filter(|end| *end > self.spoken).min()
    }

    /// The wall clock speaks, if it is time; else how long it is until then.
    fn quiet(&mut self) -> Result<std::result::Result<Next, Option<Duration>>> {
        let Some(due) = self.due() else { return Ok(Err(None)) };
        let growing = self.waiting.growing.values().copied().min();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let patience = self.settings.rotation + self.settings.grace;
        let at = Duration::from_nanos(u64::try_from(due).unwrap_or(0)) + patience;
        // Of captures of long ago it says nothing while more of them come.
        let heard = self.waiting.heard.get_or_insert_with(Instant::now).elapsed();
        let left = at.saturating_sub(now).max(patience.saturating_sub(heard));
        match growing {
            // One that grows and begins before it is waited for.
            Some(first) if first.0 < due => return Ok(Err(None)),
            // One that begins behind it says that all before has come.
            Some(_) => {}
            None if left.is_zero() => {}
            None => return Ok(Err(Some(left))),
        }
        self.speak(Timestamp(due));
        self.journal.quiet(&self.line.sensor, Timestamp(due))?;
        Ok(Ok(Next::Quiet(Timestamp(due))))
    }
}

impl Feed for LineFeed<'_> {
    fn next(&mut self) -> Result<Next> {
        self.permit = None;
        loop {
            if self.line.control.is_leaving() {
                return self.leave(Why::Finished);
            }
            if let Some(next) = self.replayed()? {
                self.begin();
                return Ok(next);
            }
            while let Some(order) = self.waiting.orders.pop_front() {
                self.take(order)?;
            }
            loop {
                match self.line.inbox.try_recv() {
                    Ok(order) => self.take(order)?,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return self.leave(Why::Finished),
                }
            }
            let again = [self.try_again()?, self.miss()].into_iter().flatten().min();
            let settling = self.settling();
            if let Some(next) = self.file(settling.is_some())? {
                self.begin();
                return Ok(next);
            }
            if let Some(wait) = settling {
                match self.line.inbox.recv_timeout(wait) {
                    Ok(order) => self.take(order)?,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return self.leave(Why::Finished),
                }
                continue;
            }
            if let Some(close) = self.waiting.finish
                && (self.waiting.failing.is_empty() || !close)
            {
                return if close { Ok(Next::End) } else { self.leave(Why::Finished) };
            }
            let quiet = match self.quiet()? {
                Ok(next) => return Ok(next),
                Err(quiet) => quiet,
            };
            self.line.health.lag(&self.line.sensor, Duration::ZERO);
            let again = again.map(|at| at.saturating_duration_since(Instant::now()));
            // A clock that was set shows within a minute.
            let wait = [quiet, again, Some(Duration::from_secs(60))].into_iter().flatten().min().unwrap_or_default();
            match self.line.inbox.recv_timeout(wait) {
                Ok(order) => self.take(order)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.leave(Why::Finished),
            }
        }
    }

    fn read(&mut self, path: &Path, report: Option<FileReport>, failed: Option<Error>) -> Result<()> {
        self.permit = None;
        self.line.control.reading(false);
        self.reading = None;
        let Some((place, is_new)) = self.place.take() else { return Ok(()) };
        let capture = report.as_ref().map(|report| &report.capture);
        // One wild time is not what the next hour waits for.
        let tomorrow = tomorrow();
        let last = capture.and_then(|capture| capture.max_time.filter(|time| time.0 <= tomorrow).or(capture.last_time));
        self.top = self.top.max(last.unwrap_or(Timestamp::MIN));
        if !is_new {
            return Ok(());
        }
        let packets = report.as_ref().map_or(0, |report| report.tally.intake.read.packets);
        let damage = failed.map(|error| error.to_string()).or_else(|| report.as_ref().and_then(damage));
        if let Some(damage) = &damage {
            tracing::warn!(path = %path.display(), sensor = %self.line.sensor, "{damage}");
            self.line.health.trouble(format!("{}: {damage}", path.display()));
        }
        tracing::info!(path = %path.display(), sensor = %self.line.sensor, packets, "read");
        self.ended.files += 1;
        self.ended.packets += packets;
        if let Some(report) = &report {
            self.line.health.file(&self.line.sensor, report);
        }
        self.journal.read(place, &Became { packets, last, damage })?;
        if self.ended.files.is_multiple_of(FORGET) { self.forget() } else { Ok(()) }
    }
}

/// How long nothing has to come before a line turns back.
const SETTLING: Duration = Duration::from_secs(1);

/// How long it waits for that, where files come all the time.
const LONGEST_SETTLING: Duration = Duration::from_secs(10);

/// Files from one look for those that are gone to the next.
const FORGET: u64 = 256;

/// The time of a file's first packet, if it is a capture.
fn begins(path: &Path) -> Result<Option<Timestamp>> {
    // It may have become a pipe, which is not waited for.
    super::identity::open(path).map_err(|source| Error::io("read", path, source))?;
    let refused = |message: String| Err(ErrorKind::Watch { path: path.to_owned(), message }.into());
    let mut capture = Capture::open(path, Io::Auto)?;
    let first = capture.first_time()?;
    let report = capture.report();
    if first.is_none() && matches!(report.status, Status::Unsupported | Status::Corrupt) {
        return refused(fault(report));
    }
    if first.is_some_and(|first| first.0 > tomorrow()) {
        let why = "its first packet is of a time to come, and nothing could follow it; mend its times, or the clock";
        return refused(why.to_owned());
    }
    Ok(first)
}

/// A time that no clock can show yet, nanoseconds.
fn tomorrow() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from((now + A_DAY).as_nanos()).unwrap_or(i64::MAX)
}

/// How far the clocks of sensors may be ahead.
const A_DAY: Duration = Duration::from_secs(86_400);

/// What was wrong with a file that was read.
fn damage(report: &FileReport) -> Option<String> {
    matches!(report.capture.status, Status::Truncated | Status::Corrupt | Status::Unsupported)
        .then(|| fault(&report.capture))
}

/// Says it for people.
fn fault(report: &Report) -> String {
    let at = report.offset.map_or(String::new(), |offset| format!(" at byte {offset}"));
    format!("{}{at}: {}", report.status.name(), report.message.as_deref().unwrap_or("no more is known"))
}

/// Takes a file that cannot be read out of the way, with a report of the reason beside it.
fn quarantine(line: &Line, output: &Output, journal: &Journal, arrival: &Arrival, reason: &str) -> Result<()> {
    let Arrival { path, identity, .. } = arrival;
    let folder = Path::new("quarantine").join(&*line.sensor);
    // Where it cannot be moved, it stays, and is known.
    let (mut name, moved) = output.take_in(path, &folder)?;
    let stays = if moved { "moved here" } else { "left where it is" };
    let text = format!("{}\n{reason}\ntried {} times; {stays}\n", path.display(), line.settings.tries);
    name.push(".reason.txt");
    output.write_whole(&folder.join(name), text.as_bytes())?;
    tracing::error!(path = %path.display(), sensor = %line.sensor, "quarantined: {reason}");
    line.health.quarantined(&line.sensor);
    line.health.trouble(format!("{}: {reason}", path.display()));
    journal.set_aside(&line.sensor, path, identity, State::Quarantined, reason)
}
