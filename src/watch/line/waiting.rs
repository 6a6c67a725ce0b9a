//! The order of arrivals: complete files wait here until all that begin before them have been read.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::aside::{begins, is_put_back, quarantine, tomorrow};
use super::captures::Captures;
use super::feeding::LineFeed;
use super::turning::lacks;
use super::{Order, Why};
use crate::engine::feed::Next;
use crate::error::{Error, Result};
use crate::time::Timestamp;
use crate::watch::Identity;
use crate::watch::arrivals::Arrival;
use crate::watch::journal::{Entry, Fed, State};
use crate::watch::settings::Settings;

/// A complete file that waits, with the time of its first packet.
#[derive(Clone, Debug)]
pub(super) struct Coming {
    pub(super) arrival: Arrival,
    pub(super) first: Option<Timestamp>,
    /// It was read before, when it held something else.
    pub(super) replaces: bool,
}

/// A file that was to be read and is not there any more.
#[derive(Debug)]
pub(super) struct Vanished {
    path: PathBuf,
    /// Its first packet, if that was known.
    first: Option<Timestamp>,
    /// Since when that is known.
    since: Instant,
}

impl Vanished {
    /// What is lost with it, if it has not come under another name; nothing is where what has its name has its packets, too, as far as that tells.
    fn is_lost(&self, identity: &Identity) -> Option<&'static str> {
        if !self.path.exists() {
            return Some("it vanished before it was read");
        }
        let now = Identity::of(&self.path).ok();
        let is_same = now.is_some_and(|now| (now.size, &now.digest) == (identity.size, &identity.digest));
        // One that begins no later is what it was, mended or grown.
        let begins = || self.first.zip(begins(&self.path).ok().flatten());
        let has_grown = || identity.has_grown_to(&self.path).unwrap_or(false);
        let is_it = is_same || has_grown() || begins().is_some_and(|(before, now)| now <= before);
        (!is_it).then_some("another took its name before it was read")
    }
}

impl Coming {
    /// With its place among those that wait. One without packets goes first: it changes nothing.
    pub(super) fn keyed(self) -> ((Timestamp, PathBuf), Coming) {
        ((self.first.unwrap_or(Timestamp::MIN), self.arrival.path.clone()), self)
    }
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
    /// Files that a disk did not give to their ends, and how often it did not.
    pub(super) broke: HashMap<PathBuf, (Identity, u32)>,
    /// Files of the sequence that hours to come need and that were given up: what was wrong with them.
    pub(super) unreadable: HashMap<Identity, String>,
    /// Files that were to be read and are not there any more.
    pub(super) vanished: HashMap<Identity, Vanished>,
    /// Files of the sequence that have become others: what hours to come need of them the run does not have.
    pub(super) passed_over: HashSet<PathBuf>,
    /// What files of the sequence were before they grew and got another name.
    pub(super) grown: HashSet<Identity>,
    /// A file has come that was read: it may have been away.
    pub(super) is_back: bool,
    /// Files that were too late and are told again, and where they lie now.
    pub(super) late_again: HashMap<Identity, PathBuf>,
    /// What the line was told while it could not work.
    pub(super) orders: VecDeque<Order>,
    /// When something came last.
    pub(super) heard: Option<Instant>,
    /// Since when the first is late.
    pub(super) late: Option<Instant>,
    pub(super) finish: Option<bool>,
    /// Other settings, for the runs that follow.
    pub(super) settings: Option<Arc<Settings>>,
}

impl Waiting {
    /// How many files wait.
    pub(super) fn count(&self) -> usize {
        // Where both are wanted they are mostly the same.
        self.files.len().max(self.own.len())
    }

    /// How often this file could not be read by now: what has the name of another that could not begins anew, and what has grown does not.
    pub(super) fn tried(&self, path: &Path, identity: &Identity) -> u32 {
        let failing = self.failing.get(path).map(|(arrival, tries, _)| (&arrival.identity, *tries));
        let broke = self.broke.get(path).map(|(broke, tries)| (broke, *tries));
        let of_it = [failing, broke].into_iter().flatten().filter(|(before, _)| is_one(before, identity));
        of_it.map(|(_, tries)| tries).max().unwrap_or(0)
    }

    /// Whether this file could not be read a moment ago, for other products: then it is not tried twice before it is tried again.
    fn is_failing(&self, path: &Path, identity: &Identity) -> bool {
        self.failing.get(path).is_some_and(|(before, ..)| is_one(&before.identity, identity))
    }

    /// When the file behind one that is read begins. Where none is known, that is no later than any clock can show: what is of a later time is wild.
    pub(super) fn next(&self, file: &(Timestamp, PathBuf)) -> Timestamp {
        let waits = self.files.range(file..).next().map(|((first, _), _)| *first);
        let grows = self.growing.values().copied().min();
        [waits, grows].into_iter().flatten().fold(tomorrow(), Timestamp::min)
    }

    /// Whether nothing waits, nothing is to be tried again, and no file is known to come.
    pub(super) fn is_empty(&self) -> bool {
        let is_tried = !(self.failing.is_empty() && self.broke.is_empty() && self.unreadable.is_empty());
        let may_come = !(self.growing.is_empty() && self.vanished.is_empty());
        self.count() == 0 && self.orders.is_empty() && self.finish.is_none() && !is_tried && !may_come
    }
}

/// Whether they are of one file, whatever its size.
fn is_one(before: &Identity, now: &Identity) -> bool {
    (before.device, before.inode) == (now.device, now.inode)
}

impl LineFeed<'_> {
    pub(super) fn take(&mut self, order: Order) -> Result<()> {
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
            Order::Gone(path, untold) => {
                self.waiting.growing.remove(&path);
                self.waiting.failing.remove(&path);
                self.waiting.broke.remove(&path);
                let gone = self.waiting.files.extract_if(.., |(_, waiting), _| *waiting == path);
                let gone: Vec<_> = gone.map(|(_, coming)| (coming.arrival.identity, coming.first)).collect();
                let own = self.waiting.own.remove(&path).map(|arrival| arrival.identity);
                let untold = untold.filter(|untold| matches!(self.journal.knows(untold), Ok(None)));
                for identity in own.into_iter().chain(untold) {
                    self.has_vanished(identity, path.clone(), None);
                }
                gone.into_iter().for_each(|(identity, first)| self.has_vanished(identity, path.clone(), first));
            }
            Order::Settings(settings) => {
                self.settings = Arc::clone(&settings);
                self.waiting.settings = Some(settings);
            }
            Order::Finish { close } => self.waiting.finish = Some(close),
        }
        self.line.health.take(&self.line.sensor, come_to, self.waiting.count());
        failed
    }

    /// What is known of a file, if it is not to be read.
    fn known(&self, arrival: &Arrival) -> Result<Option<State>> {
        // One that only gets no records by itself is still to be read for hours.
        let is_new = |state: &State| *state == State::Refused && self.line.settings.by_hour().next().is_some();
        Ok(self.journal.knows(&arrival.identity)?.filter(|state| !is_new(state)))
    }

    /// Puts a file into its place, unless it is known or cannot be read.
    fn look_at(&mut self, arrival: Arrival) -> Result<()> {
        self.waiting.vanished.remove(&arrival.identity);
        self.may_be_in_time(&arrival)?;
        self.is_there_again(&arrival)?;
        // What is wrong with the output is no matter of the files that follow.
        if let Err(error) = is_put_back(self.line, self.output, self.journal, &arrival) {
            tracing::warn!(path = %arrival.path.display(), sensor = %self.line.sensor, "{error}");
        }
        if let Some(state) = self.known(&arrival)? {
            let failed = self.waiting.failing.remove(&arrival.path);
            let is_it = failed.as_ref().is_some_and(|(before, ..)| before.identity == arrival.identity);
            if failed.is_some() && !is_it {
                // That was another, whose name it has now.
                self.waiting.broke.remove(&arrival.path);
            }
            if let Some((sensor, path)) = self.journal.whose(&arrival.identity)?
                && sensor != arrival.sensor
            {
                return self.is_theirs(&arrival, &sensor, &path);
            }
            if state != State::Quarantined {
                // It may have been read by the run, and then the power failed; one that came too late for hours has records by itself.
                self.wants_own(&arrival)?;
                // It was read for hours, and could not be for these.
                if let Some((_, tries, _)) = failed.filter(|_| is_it && self.waiting.own.contains_key(&arrival.path)) {
                    self.waiting.broke.insert(arrival.path.clone(), (arrival.identity.clone(), tries));
                }
            }
            // It may have got another name, also one under which another was read. Of one that has two, the last that was told is known; when it
            // loses that, the other is told again.
            if self.journal.moved(&arrival.identity, &arrival.path)? {
                let known = if state == State::Quarantined { "put aside" } else { "read" };
                tracing::info!(path = %arrival.path.display(), sensor = %self.line.sensor, "was {known} under another name");
                self.read.insert(arrival.path);
            }
            return Ok(());
        }
        self.has_grown(&arrival)?;
        let path = &arrival.path;
        let begins = begins(path);
        // It was told while the line read others, say.
        if Identity::of(path).is_ok_and(|now| now != arrival.identity) {
            self.has_vanished(arrival.identity, arrival.path, None);
            return Ok(());
        }
        match begins {
            Ok(first) => {
                self.waiting.failing.remove(path);
                self.wants_own(&arrival)?;
                if self.line.settings.by_hour().next().is_none() {
                    return Ok(());
                }
                let replaces = self.read.contains(&arrival.path);
                self.waiting.files.extend([Coming { arrival, first, replaces }.keyed()]);
            }
            Err(error) => self.failed(arrival, &error)?,
        }
        Ok(())
    }

    /// A file that grew and got another name between two looks is the one that it was, and comes in its place.
    fn has_grown(&mut self, arrival: &Arrival) -> Result<()> {
        let Arrival { path, identity, .. } = arrival;
        let is_it = |before: &Identity| {
            let is_shorter = before.size < identity.size;
            let has_its_number = (before.device, before.inode) == (identity.device, identity.inode);
            // One that cannot be read is told to be so when it is opened.
            has_its_number && is_shorter && before.has_grown_to(path).unwrap_or(false)
        };
        self.waiting.vanished.retain(|before, _| !is_it(before));
        for (before, name) in self.journal.shorter(&self.line.sensor, identity)? {
            if name == *path || !is_it(&before) {
                continue;
            }
            let (path, sensor) = (path.display(), &self.line.sensor);
            tracing::info!(%path, sensor = %sensor, "was read as {}, and has grown", name.display());
            self.journal.moved(&before, &arrival.path)?;
            self.read.remove(&name);
            self.read.insert(arrival.path.clone());
            self.waiting.grown.insert(before);
        }
        // Its own records may be all that is known of it, as of one that waits for its hour.
        for before in self.journal.shorter_own(identity)?.iter().filter(|before| is_it(before)) {
            self.leave_names(before, &arrival.path)?;
        }
        Ok(())
    }

    /// A file that another had taken the name of, and that has it again, is read again in the place of that one, and so is one that hours lack: nothing
    /// is known of it then.
    fn is_there_again(&mut self, arrival: &Arrival) -> Result<()> {
        if self.journal.is_lost(&arrival.identity)?
            && let Some((_, path)) = self.journal.whose(&arrival.identity)?
        {
            return self.journal.unknow(&arrival.identity, &path);
        }
        if !matches!(self.journal.knows(&arrival.identity)?, None | Some(State::Done))
            || !self.read.contains(&arrival.path)
        {
            return Ok(());
        }
        let has_name = |entry: &Entry| matches!(entry, Entry::File { fed, .. } if fed.path == arrival.path);
        match self.journal.first(&self.line.sensor, has_name)? {
            Some(_) => self.journal.unknow(&arrival.identity, &arrival.path),
            None => Ok(()),
        }
    }

    /// Notes whether files that were too late may not be so any more: what they lacked may be there again.
    fn may_be_in_time(&mut self, arrival: &Arrival) -> Result<()> {
        match self.journal.knows(&arrival.identity)? {
            Some(State::Late) => drop(self.waiting.late_again.insert(arrival.identity.clone(), arrival.path.clone())),
            Some(State::Fed | State::Done) => self.waiting.is_back = true,
            _ => {}
        }
        Ok(())
    }

    /// Files that were too late are taken after all where what they lacked is there: those that are told again, and all when a file comes back.
    pub(super) fn again_in_time(&mut self) -> Result<()> {
        if self.waiting.late_again.is_empty() && !self.waiting.is_back {
            return Ok(());
        }
        let sensor = &*self.line.sensor;
        let mut late = self.journal.aside()?;
        late.retain(|aside| aside.state == State::Late && aside.sensor == sensor);
        let sequence = if late.is_empty() { Vec::new() } else { self.journal.sequence(sensor)? };
        let mut captures = Captures::new(self.line, self.journal, &sequence)?;
        for aside in late {
            let told = self.waiting.late_again.get(&aside.identity);
            let path = told.unwrap_or(&aside.path);
            if told.is_none() && (!self.waiting.is_back || Identity::of(path).ok().as_ref() != Some(&aside.identity)) {
                continue;
            }
            let Ok(Some(first)) = begins(path) else { continue };
            let from = captures.turns_to(self.line, self.journal, first)?;
            if !captures.can_turn_back(self.line, self.journal, from)? {
                continue;
            }
            tracing::info!(path = %path.display(), sensor, "was too late, and is not any more: the captures that it needs are there again");
            let replaces = self.read.contains(path);
            let arrival = Arrival { sensor: sensor.to_owned(), path: path.clone(), identity: aside.identity };
            self.waiting.files.extend([Coming { arrival, first: Some(first), replaces }.keyed()]);
        }
        self.waiting.late_again.clear();
        self.waiting.is_back = false;
        self.line.health.queue(&self.line.sensor, self.waiting.count());
        Ok(())
    }

    /// A file of another sensor has come into the folder of this one: it stays with that, and nothing of it is made a second time.
    fn is_theirs(&mut self, arrival: &Arrival, theirs: &str, before: &Path) -> Result<()> {
        let Arrival { path, identity, .. } = arrival;
        if path == before {
            return Ok(());
        }
        // It may have two names.
        if Identity::of(before).ok().as_ref() != Some(identity) {
            self.journal.moved_out(identity, before, path)?;
        }
        let sensor = &self.line.sensor;
        tracing::warn!(path = %path.display(), sensor = %sensor, "was read as {}, of the sensor {theirs}, which keeps its records", before.display());
        let told = format!("{}: was read as of the sensor {theirs}, which keeps its records", path.display());
        self.line.health.trouble(told);
        match self.journal.own_of(identity)?.is_empty() {
            // These nobody has yet.
            true => self.wants_own(arrival),
            false => Ok(()),
        }
    }

    /// A file cannot be read: it is tried again, or set aside.
    pub(super) fn failed(&mut self, arrival: Arrival, error: &Error) -> Result<()> {
        let (line, path) = (self.line, arrival.path.clone());
        line.health.failed(&line.sensor);
        if !path.exists() {
            self.waiting.failing.remove(&path);
            self.has_vanished(arrival.identity, path, None);
            return Ok(());
        }
        let tries = self.waiting.tried(&path, &arrival.identity) + 1;
        if tries < self.settings.tries {
            tracing::warn!(path = %path.display(), sensor = %line.sensor, tries, "cannot be read: {error}; it is tried again");
            self.waiting.failing.insert(path, (arrival, tries, Instant::now() + self.settings.retry_delay));
            return Ok(());
        }
        // The path stands beside it.
        let said = error.to_string();
        let reason = said.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&said);
        self.waiting.failing.remove(&path);
        self.waiting.own.remove(&path);
        if self.known(&arrival)?.is_some() {
            // Hours know it, and may need it where it is.
            return self.refuse(&arrival, &format!("its records are not made: {reason}"));
        }
        if let Err(error) = quarantine(line, self.output, self.journal, &arrival, (reason, tries)) {
            // Others are read meanwhile.
            let delay = self.settings.retry_delay;
            tracing::error!(path = %path.display(), sensor = %line.sensor, "{error}; it is put aside in {delay:?}");
            line.health.line_failed(&line.sensor, &error.to_string());
            line.health.line_began(&line.sensor);
            self.waiting.failing.insert(path, (arrival, tries - 1, Instant::now() + delay));
            return Ok(());
        }
        self.waiting.files.retain(|(_, waits), coming| *waits != path || coming.arrival.identity != arrival.identity);
        line.health.queue(&line.sensor, self.waiting.count());
        self.ended.quarantined += 1;
        Ok(())
    }

    /// The same of one whose begin can be read: how often it was tried is known when that is read again.
    pub(super) fn failed_within(&mut self, arrival: Arrival, error: &Error) -> Result<()> {
        let Arrival { path, identity, .. } = arrival.clone();
        if self.waiting.is_failing(&path, &identity) && path.exists() {
            tracing::warn!(path = %path.display(), sensor = %self.line.sensor, "cannot be read for other products either: {error}");
            self.line.health.failed(&self.line.sensor);
            return Ok(());
        }
        self.failed(arrival, error)?;
        match self.waiting.failing.get(&path) {
            Some((_, tries, _)) => drop(self.waiting.broke.insert(path, (identity, *tries))),
            None => drop(self.waiting.broke.remove(&path)),
        }
        Ok(())
    }

    /// A file that was to be read is not there any more; its first packet, if that is known.
    pub(super) fn has_vanished(&mut self, identity: Identity, path: PathBuf, first: Option<Timestamp>) {
        self.waiting.vanished.insert(identity, Vanished { path, first, since: Instant::now() });
    }

    /// Misses files that vanished and have not come under another name by now; when the next one is due.
    pub(super) fn miss(&mut self) -> Option<Instant> {
        let now = Instant::now();
        for (identity, vanished) in self.waiting.vanished.extract_if(|_, vanished| vanished.since + 2 * SETTLING <= now)
        {
            // Another sensor may have it by now.
            let is_known =
                matches!(self.journal.whose(&identity), Ok(Some((sensor, _))) if sensor != *self.line.sensor);
            let Some(why) = vanished.is_lost(&identity).filter(|_| !is_known) else { continue };
            let (health, sensor, path) = (&self.line.health, &self.line.sensor, vanished.path);
            tracing::warn!(path = %path.display(), sensor = %sensor, "{why}");
            health.lost(sensor, &path, why);
            health.trouble(format!("{}: {why}", path.display()));
            self.ended.quarantined += 1;
        }
        self.waiting.vanished.values().map(|vanished| vanished.since + 2 * SETTLING).min()
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

    /// How long to wait before turning back: files that come in disorder come together, and each turn reads much again. Those that are not late
    /// do not wait for that.
    pub(super) fn settling(&mut self) -> Result<Option<Duration>> {
        let first = self.waiting.files.first_key_value().map(|((first, _), _)| *first);
        let is_late = first.is_some_and(|first| first > Timestamp::MIN && first < self.position);
        // One that cannot be read yet may be.
        let may_be_late = is_late || !self.waiting.failing.is_empty();
        self.line.health.queues().set_late(&self.line.sensor, may_be_late);
        if !is_late || self.waiting.finish.is_some() {
            self.waiting.late = None;
            return Ok(None);
        }
        let heard = self.waiting.heard.map_or(Duration::MAX, |heard| heard.elapsed());
        let late = self.waiting.late.get_or_insert_with(Instant::now).elapsed();
        let left = LONGEST_SETTLING.saturating_sub(late);
        let wait = SETTLING.saturating_sub(heard).min(left);
        if !wait.is_zero() {
            return Ok(Some(wait));
        }
        // What it needs may be between two names.
        let lacks = !left.is_zero() && first.map_or(Ok(false), |first| lacks(self.line, self.journal, first))?;
        Ok(lacks.then_some(left.min(SETTLING)))
    }

    /// The next file, if one waits; while it settles, of those that are not late.
    pub(super) fn file(&mut self, settles: bool) -> Result<Option<Next>> {
        loop {
            let first = match settles {
                true => self.waiting.files.range((self.position, PathBuf::new())..).next().map(|(key, _)| key.clone()),
                false => self.waiting.files.keys().next().cloned(),
            };
            let Some((key, coming)) = first.and_then(|first| self.waiting.files.remove_entry(&first)) else {
                return Ok(None);
            };
            // One that had no packet has its place by its first one, if it has some by now.
            if coming.first.is_none()
                && let Ok(identity) = Identity::of(&key.1)
                && identity != coming.arrival.identity
            {
                self.look_at(Arrival { identity, ..coming.arrival })?;
                self.again_in_time()?;
                continue;
            }
            // Another has taken its name.
            if Identity::of(&key.1).is_ok_and(|identity| identity != coming.arrival.identity) {
                self.has_vanished(coming.arrival.identity, key.1, coming.first);
                continue;
            }
            // Also one that begins with the last that was read, and goes before it.
            let precedes = || coming.first.is_some() && self.latest.as_ref().is_some_and(|latest| key < *latest);
            let is_late = coming.first.is_some_and(|first| first < self.position) || precedes();
            if is_late || coming.replaces && !self.takes_name(&coming)? {
                let late = self.late(coming);
                return self.leave(Why::TurnBack(late)).map(Some);
            }
            let next = Some(self.waiting.next(&key));
            let (path, first) = (key.1.clone(), coming.first);
            self.line.tells_double(self.journal, &coming.arrival)?;
            let fed = Fed { path: path.clone(), identity: coming.arrival.identity.clone(), first, next };
            let place = match self.journal.fed(&self.line.sensor, &fed) {
                Ok(place) => place,
                Err(error) => {
                    let arrival = coming.arrival.clone();
                    self.waiting.files.insert(key.clone(), coming);
                    if self.known(&arrival)?.is_none() {
                        return Err(error);
                    }
                    // It has two names, and was read under the other meanwhile, maybe by another line.
                    self.look_at(arrival)?;
                    self.waiting.files.remove(&key);
                    continue;
                }
            };
            self.read.insert(path.clone());
            self.latest = self.latest.take().max(first.is_some().then(|| key.clone()));
            self.reading = Some((path.clone(), fed.identity));
            self.first = first;
            self.next = next;
            self.place = Some((place, None));
            self.position = self.position.max(first.unwrap_or(Timestamp::MIN));
            self.line.health.queue(&self.line.sensor, self.waiting.count());
            return Ok(Some(Next::File { path, next }));
        }
    }

    /// Whether what had the name of a file is all before it, as in a ring of files. That stays read, and is no step of the sequence any more.
    fn takes_name(&self, coming: &Coming) -> Result<bool> {
        let Coming { arrival: Arrival { path, .. }, first, .. } = coming;
        if self.waiting.passed_over.contains(path) {
            return Ok(false);
        }
        first.map_or(Ok(false), |first| self.journal.loses_name(&self.line.sensor, path, first))
    }

    /// Takes out a file that needs hours to be made again, and with it all that wait and are late. Of one that has two names, the second waits on.
    fn late(&mut self, coming: Coming) -> Vec<Coming> {
        let later = self.waiting.files.split_off(&(self.position, PathBuf::new()));
        let waiting = std::mem::replace(&mut self.waiting.files, later);
        let mut seen = HashSet::new();
        let all = [coming].into_iter().chain(waiting.into_values());
        let (late, again): (Vec<_>, Vec<_>) = all.partition(|coming| seen.insert(coming.arrival.identity.clone()));
        self.waiting.files.extend(again.into_iter().map(Coming::keyed));
        late
    }
}

/// How long nothing has to come before a line turns back.
pub(super) const SETTLING: Duration = Duration::from_secs(1);

/// How long it waits for that, where files come all the time.
const LONGEST_SETTLING: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_of_a_file_and_not_of_its_name() {
        let identity = |inode, size| Identity { device: 1, inode, size, digest: String::new() };
        let path = Path::new("in/s/a.pcap");
        let mut waiting = Waiting::default();
        assert_eq!(waiting.tried(path, &identity(1, 5)), 0);
        let arrival = Arrival { sensor: "s".into(), path: path.to_owned(), identity: identity(1, 5) };
        waiting.failing.insert(path.to_owned(), (arrival, 2, Instant::now()));
        // It has grown; another has its name; another has another.
        let asked = [identity(1, 9), identity(2, 5)];
        assert_eq!(asked.clone().map(|now| waiting.tried(path, &now)), [2, 0]);
        assert_eq!(asked.clone().map(|now| waiting.is_failing(path, &now)), [true, false]);
        assert_eq!(waiting.tried(Path::new("in/s/b.pcap"), &identity(1, 5)), 0);
        waiting.broke.insert(path.to_owned(), (identity(2, 5), 1));
        assert_eq!(asked.clone().map(|now| waiting.tried(path, &now)), [2, 1]);
        waiting.failing.clear();
        assert_eq!(asked.map(|now| waiting.tried(path, &now)), [0, 1]);
    }
}
