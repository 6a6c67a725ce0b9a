//! The order of arrivals: complete files wait here until all that begin before them have been read.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::aside::{begins, quarantine, tomorrow};
use super::feeding::LineFeed;
use super::{Order, Why};
use crate::engine::feed::Next;
use crate::error::{Error, Result};
use crate::time::Timestamp;
use crate::watch::Identity;
use crate::watch::arrivals::Arrival;
use crate::watch::journal::{Fed, State};

/// A complete file that waits, with the time of its first packet.
#[derive(Clone, Debug)]
pub(super) struct Coming {
    pub(super) arrival: Arrival,
    pub(super) first: Option<Timestamp>,
    /// It was read before, when it held something else.
    pub(super) replaces: bool,
}

/// Files that are complete and not yet read.
#[derive(Default)]
pub(super) struct Waiting {
    /// In the order in which they are read.
    pub(super) files: BTreeMap<(Timestamp, PathBuf), Coming>,
    /// Those whose own records are not made, by path.
    pub(super) own: BTreeMap<PathBuf, Arrival>,
    /// The first packets of files that grow.
    pub(super) growing: HashMap<PathBuf, Timestamp>,
    /// Files that could not be read, how often, and when they are tried again.
    pub(super) failing: HashMap<PathBuf, (Arrival, u32, Instant)>,
    /// Where files lie now that were read under another name.
    pub(super) moved: HashMap<Identity, PathBuf>,
    /// What the line was told while it could not work.
    pub(super) orders: VecDeque<Order>,
    /// When something came last.
    pub(super) heard: Option<Instant>,
    pub(super) finish: Option<bool>,
}

impl Waiting {
    /// How many files wait.
    pub(super) fn count(&self) -> usize {
        // Where both are wanted they are mostly the same.
        self.files.len().max(self.own.len())
    }
}

impl LineFeed<'_> {
    pub(super) fn take(&mut self, order: Order) -> Result<()> {
        match order {
            Order::Complete(arrivals) => {
                self.waiting.heard = Some(Instant::now());
                for arrival in arrivals {
                    self.waiting.growing.remove(&arrival.path);
                    self.look_at(arrival)?;
                }
            }
            Order::Growing(path, first) => drop(self.waiting.growing.insert(path, first)),
            Order::Gone(path) => {
                self.waiting.growing.remove(&path);
                self.waiting.failing.remove(&path);
                self.waiting.own.remove(&path);
                self.waiting.files.retain(|(_, waiting), _| *waiting != path);
            }
            Order::Settings(settings) => self.settings = settings,
            Order::Finish { close } => self.waiting.finish = Some(close),
        }
        self.line.health.queue(&self.line.sensor, self.waiting.count());
        Ok(())
    }

    /// Puts a file into its place, unless it is known or cannot be read.
    fn look_at(&mut self, arrival: Arrival) -> Result<()> {
        if let Some(state) = self.journal.knows(&arrival.identity)? {
            // It may have been read by the run, and then the power failed; one that came too late for hours has records by itself.
            if state != State::Quarantined {
                self.wants_own(&arrival)?;
            }
            // It may have got another name.
            if !self.read.contains(&arrival.path) && self.journal.moved(&arrival.identity, &arrival.path)? {
                tracing::info!(path = %arrival.path.display(), sensor = %self.line.sensor, "was read under another name");
                self.read.insert(arrival.path.clone());
                self.waiting.moved.insert(arrival.identity, arrival.path);
            }
            return Ok(());
        }
        let path = &arrival.path;
        match begins(path) {
            Ok(first) => {
                self.waiting.failing.remove(path);
                self.wants_own(&arrival)?;
                if self.line.settings.by_hour().next().is_none() {
                    return Ok(());
                }
                let path = &arrival.path;
                // One without packets goes first: it changes nothing.
                let key = (first.unwrap_or(Timestamp::MIN), path.clone());
                let replaces = self.read.contains(path);
                self.waiting.files.insert(key, Coming { arrival, first, replaces });
            }
            Err(error) => self.failed(arrival, &error)?,
        }
        Ok(())
    }

    /// A file cannot be read: it is tried again, or set aside.
    pub(super) fn failed(&mut self, arrival: Arrival, error: &Error) -> Result<()> {
        let (line, path) = (self.line, arrival.path.clone());
        line.health.failed(&line.sensor);
        if !path.exists() {
            tracing::warn!(path = %path.display(), sensor = %line.sensor, "it vanished before it was read");
            self.waiting.failing.remove(&path);
            return Ok(());
        }
        let tries = self.waiting.failing.get(&path).map_or(0, |(_, tries, _)| *tries) + 1;
        if tries < self.settings.tries {
            tracing::warn!(path = %path.display(), sensor = %line.sensor, tries, "cannot be read: {error}; it is tried again");
            self.waiting.failing.insert(path, (arrival, tries, Instant::now() + self.settings.retry_delay));
            return Ok(());
        }
        self.waiting.failing.remove(&path);
        self.ended.quarantined += 1;
        quarantine(line, self.journal, &arrival, &error.to_string())
    }

    /// Tries files again whose time has come; when the next one is due.
    pub(super) fn try_again(&mut self) -> Result<Option<Instant>> {
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

    /// How long to wait before turning back: files that come in disorder come together, and each turn reads much again.
    pub(super) fn settling(&self) -> Option<Duration> {
        let ((first, _), _) = self.waiting.files.first_key_value()?;
        let is_late = *first > Timestamp::MIN && *first < self.position;
        let heard = self.waiting.heard.map_or(Duration::MAX, |heard| heard.elapsed());
        (is_late && self.waiting.finish.is_none())
            .then(|| SETTLING.saturating_sub(heard))
            .filter(|wait| !wait.is_zero())
    }

    /// The next file, if one waits.
    pub(super) fn file(&mut self) -> Result<Option<Next>> {
        let Some(((_, path), coming)) = self.waiting.files.pop_first() else { return Ok(None) };
        let next = self.waiting.files.first_key_value().map(|((first, _), _)| *first);
        let growing = self.waiting.growing.values().copied().min();
        // Where none is known, it begins no later than any clock can show: what is of a later time is wild.
        let next = [next, growing, Some(tomorrow())].into_iter().flatten().min();
        if coming.replaces || coming.first.is_some_and(|first| first < self.position) {
            let later = self.waiting.files.split_off(&(self.position, PathBuf::new()));
            let late = std::mem::replace(&mut self.waiting.files, later);
            return self.leave(Why::TurnBack([coming].into_iter().chain(late.into_values()).collect())).map(Some);
        }
        let Coming { arrival, first, .. } = coming;
        self.read.insert(path.clone());
        self.reading = Some((path.clone(), arrival.identity.clone()));
        let fed = Fed { path: path.clone(), identity: arrival.identity, first, next };
        let place = self.journal.fed(&self.line.sensor, &fed)?;
        self.place = Some((place, true));
        self.position = self.position.max(first.unwrap_or(Timestamp::MIN));
        self.line.health.queue(&self.line.sensor, self.waiting.count());
        Ok(Some(Next::File { path, next }))
    }
}

/// How long nothing has to come before a line turns back.
pub(super) const SETTLING: Duration = Duration::from_secs(1);
