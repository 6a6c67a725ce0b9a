//! All files of a sensor as one run that does not end.

mod aside;
mod captures;
mod control;
mod feeding;
mod own;
mod replay;
mod turning;
mod waiting;

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError};

pub(super) use self::control::Control;
use self::feeding::{LineFeed, Passing};
use self::waiting::{Coming, Waiting};
use super::arrivals::Arrival;
use super::health::Health;
use super::hours::{Hourly, end};
use super::journal::{Journal, State};
use super::outlet::Outlet;
use super::output::Output;
use super::permits::Permits;
use super::products::Making;
use super::punctual::Late;
use super::spans::{LONGEST, Needs, News, Spans};
use super::wild::{Seen, tame};
use super::{Identity, Product, Settings};
use crate::engine::Engine;
use crate::engine::view::{Hindsight, View};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;

/// What a line is told.
pub(super) enum Order {
    /// Files are complete.
    Complete(Vec<Arrival>),
    /// A file that grows begins at this time.
    Growing(PathBuf, Timestamp),
    /// A file is gone; what it was, if it was complete and the line was not told.
    Gone(PathBuf, Option<Identity>),
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

impl Ended {
    pub(super) fn add(&mut self, other: Ended) {
        self.files += other.files;
        self.packets += other.packets;
        self.waiting += other.waiting;
        self.quarantined += other.quarantined;
    }
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

/// The sensor whose line panics.
#[cfg(test)]
pub(super) const PANICS: &str = "panics";

/// Why a pass over the files ended.
enum Why {
    /// Files have come that begin before what was read.
    TurnBack(Vec<Coming>),
    /// A file was given up.
    Again,
    /// Nothing more is wanted.
    Finished,
}

impl Line {
    /// Says of a new file that another holds the same: each is a capture by itself, and what both hold counts twice.
    fn tells_double(&self, journal: &Journal, arrival: &Arrival) -> Result<()> {
        let Arrival { path, identity, .. } = arrival;
        if let Some(other) = journal.like(&self.sensor, identity, path)? {
            let what = format!("holds what {} held, which was read: these packets count twice", other.display());
            tracing::warn!(path = %path.display(), sensor = %self.sensor, "{what}");
            self.health.trouble(format!("{}: {what}", path.display()));
        }
        Ok(())
    }

    /// Says that hours to come lack a file whose name another has, unless that was said.
    fn loses(&self, journal: &Journal, identity: &Identity, path: &Path) -> Result<bool> {
        if journal.is_lost(identity)? {
            return Ok(false);
        }
        let why = "another has its name, and hours that are not out need it";
        journal.lose(identity, why)?;
        tracing::warn!(path = %path.display(), sensor = %self.sensor, "{why}");
        self.health.lost(&self.sensor, path, why);
        self.health.trouble(format!("{}: {why}; what they have of it is lost", path.display()));
        Ok(true)
    }

    /// Works until it is told to end.
    pub(super) fn run(mut self) -> Result<Ended> {
        #[cfg(test)]
        assert_ne!(&*self.sensor, PANICS, "as is asked of it");
        let mut waiting = Waiting::default();
        let mut ended = Ended::default();
        let (output, journal) = loop {
            // The output first: it is not made anew here if it is gone.
            let path = &self.settings.output;
            match Output::open(path).and_then(|output| Ok((Rc::new(output), Rc::new(Journal::open(path)?)))) {
                Ok(begun) => break begun,
                Err(error) => self.pause(error, &mut waiting)?,
            }
        };
        loop {
            self.settings = waiting.settings.take().unwrap_or(self.settings);
            let passed = match self.pass(&output, &journal, &mut waiting, &mut ended) {
                Ok(Why::TurnBack(coming)) => match turning::turn_back(&self, &journal, &waiting, coming.clone()) {
                    Ok(late) => {
                        ended.quarantined += late;
                        Ok(Why::Again)
                    }
                    Err(error) => {
                        // Those that were late are known by now; the others wait as before.
                        let knows = |coming: &Coming| journal.knows(&coming.arrival.identity).ok().flatten();
                        let (known, new): (Vec<_>, Vec<_>) =
                            coming.into_iter().partition(|coming| knows(coming).is_some());
                        waiting.files.extend(new.into_iter().map(Coming::keyed));
                        let known: Vec<_> =
                            known.into_iter().filter(|coming| knows(coming) != Some(State::Late)).collect();
                        // It has two names, and was read under the other meanwhile, by another line.
                        let is_taken = known.iter().any(|coming| knows(coming) != Some(State::Refused));
                        let again: Vec<Arrival> = known.into_iter().map(|coming| coming.arrival).collect();
                        waiting.orders.extend((!again.is_empty()).then_some(Order::Complete(again)));
                        if is_taken { Ok(Why::Again) } else { Err(error) }
                    }
                },
                passed => passed,
            };
            self.settings = waiting.settings.take().unwrap_or(self.settings);
            // Files that turned it back were taken out of those that wait.
            self.health.queue(&self.sensor, waiting.count());
            match passed {
                Ok(Why::Finished) => {
                    ended.waiting = waiting.count() as u64;
                    return Ok(ended);
                }
                Ok(_) => {}
                Err(error) => self.pause(error, &mut waiting)?,
            }
        }
    }

    /// Waits until it begins again behind an error: of a full disk, say. Nothing is lost by that, and what is not out is made again. The error comes
    /// back where another try is not wanted, or mends nothing.
    fn pause(&self, error: Error, waiting: &mut Waiting) -> Result<()> {
        if waiting.finish.is_some()
            || self.control.is_stopped()
            || matches!(error.kind(), ErrorKind::DamagedJournal { .. })
        {
            return Err(error);
        }
        let delay = self.settings.retry_delay;
        tracing::error!(sensor = %self.sensor, "{error}; it begins again in {delay:?}");
        self.health.line_failed(&self.sensor, &error.to_string());
        // What it is told meanwhile waits, but for the end.
        let again = Instant::now() + delay;
        loop {
            match self.inbox.recv_deadline(again) {
                Ok(Order::Settings(settings)) => waiting.settings = Some(settings),
                Ok(order) => {
                    if matches!(order, Order::Finish { .. }) {
                        waiting.finish = Some(false);
                    }
                    waiting.orders.push_back(order);
                }
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(error),
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
        let outlet = Outlet::new(output, &self.sensor, journal, &self.health);
        let mut makings = Vec::new();
        for product in settings.by_hour() {
            makings.push(Making::new(product, &outlet, &settings.config)?);
        }
        let hours: Vec<_> = makings.iter().map(Making::hours).collect();
        let late = Arc::new(Late::default());
        let (mut passing, mut of_views) = (Vec::new(), Vec::new());
        let mut hindsight = Hindsight::default();
        for making in &mut makings {
            let of_view = making.view(&settings.config, &self.sensor, &late)?.hindsight();
            hindsight = hindsight.max(of_view);
            passing.push(Passing { hours: making.hours(), waits: of_view.records });
            of_views.push(of_view);
        }
        let needs = |((hours, product), hindsight): ((&Hourly, &Product), Hindsight)| {
            let product = product.clone();
            Needs { standing: hours.standing(), late: Box::new(move |first| product.late_since(first)), hindsight }
        };
        let products = hours.iter().zip(settings.by_hour()).zip(of_views).map(needs).collect();
        let of_product = hours.clone();
        let (health, sensor) = (Arc::clone(&self.health), Arc::clone(&self.sensor));
        let clock = Rc::new(Cell::new(Timestamp::MIN));
        let tells = Rc::clone(&clock);
        let hears = move |news: News| match news {
            News::Clock(now, flows) => {
                tells.set(Timestamp(now));
                health.live_flows(&sensor, flows);
                Ok(())
            }
            News::Passed(passed) => of_product.get(passed.product).map_or(Ok(()), |hours| hours.pass(&passed)),
        };
        let spans = Spans::new(products, hindsight.flows, Rc::new(RefCell::new(hears)));
        let (mut needs, mut is_cut) = (Timestamp::MAX, false);
        for product in settings.by_hour() {
            let out = journal.out(&self.sensor, &product.name())?;
            needs = needs.min(out.needs);
            is_cut |= product.has_flows() && out.until.0.checked_sub(LONGEST) == Some(out.needs.0);
        }
        if is_cut {
            let what = format!("flows that go on since before {needs} are cut there: they live for more than a day");
            tracing::warn!(sensor = %self.sensor, "{what}");
            self.health.trouble(format!("{}: {what}", self.sensor));
        }
        let progress = self.control.begin();
        let mut feed = LineFeed {
            line: self,
            output,
            outlet: &outlet,
            progress: Arc::clone(&progress),
            seen: Arc::new(Seen::new(&settings.config)),
            late: Arc::clone(&late),
            journal,
            read: HashSet::new(),
            began: Instant::now(),
            waiting,
            ended,
            replay: VecDeque::new(),
            place: None,
            reading: None,
            first: None,
            next: None,
            position: Timestamp::MIN,
            latest: None,
            clock,
            top: Timestamp::MIN,
            spoken: i64::MIN,
            passing,
            settings: Arc::clone(settings),
            permit: None,
            why: None,
        };
        self.health.line_began(&self.sensor);
        if settings.by_capture() {
            feed.settle()?;
        }
        feed.waiting.passed_over.clear();
        feed.misses(needs)?;
        feed.forget(|fed| journal.was_removed(&fed.identity))?;
        feed.skip_to(journal.sequence(&self.sensor)?, needs);
        let engine = Engine::builder().progress(progress).build();
        let mut views = Vec::new();
        for making in &mut makings {
            // The first one tells what all see.
            let seen = views.is_empty().then(|| Arc::clone(&feed.seen));
            views.push(tame(making.view(&settings.config, &self.sensor, &late)?, seen));
        }
        let mut views: Vec<&mut dyn View> = views.iter_mut().map(|view| view as &mut dyn View).collect();
        let mut spans = tame(Box::new(spans), None);
        if !hours.is_empty() {
            // Last, so that at each marker it hears what the others say, and rows come before what has been passed.
            views.push(&mut spans);
        }
        let ran = engine.stream(&mut feed, &mut views);
        self.health.reading(&self.sensor, None);
        match (ran, feed.why.take()) {
            (Err(_), Some(why)) => Ok(why),
            (Ok(_), _) => {
                end(&outlet, &hours, feed.position)?;
                Ok(Why::Finished)
            }
            (Err(_), None) if self.control.is_overdue() => {
                let reading = feed.reading.take();
                reading.map_or(Ok(()), |(path, identity)| {
                    let reason = format!("reading it took longer than {:?}", feed.settings.timeout);
                    feed.ended.quarantined += 1;
                    aside::quarantine(
                        self,
                        output,
                        journal,
                        &Arrival { sensor: self.sensor.to_string(), path, identity },
                        (&reason, 1),
                    )
                })?;
                Ok(Why::Again)
            }
            (Err(error), None) => Err(error),
        }
    }
}
