//! What the engine's run is fed with: what the journal has, then files in their order, and where none come, the wall clock.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{RecvTimeoutError, Select, TryRecvError};

use super::aside::{damage, last_packet};
use super::waiting::Waiting;
use super::{Ended, Line, Why};
use crate::engine::feed::{DISORDER, Feed, Next};
use crate::engine::{FileReport, Progress};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;
use crate::watch::arrivals::Arrival;
use crate::watch::hours::Hourly;
use crate::watch::journal::{Became, Entry, Journal};
use crate::watch::outlet::Outlet;
use crate::watch::output::Output;
use crate::watch::permits::Permit;
use crate::watch::punctual::Late;
use crate::watch::spans::{HOUR, hour};
use crate::watch::wild::Seen;
use crate::watch::{Identity, Product, Settings};

/// How far a product is.
pub(super) struct Passing {
    pub(super) hours: Hourly,
    /// How long behind the end of an hour a record of it may have to be waited for when no packet comes, nanoseconds.
    pub(super) waits: i64,
}

impl Passing {
    /// When the clock has to speak for the next hour, of those that end at `last` or before; it shows `now`, and has spoken at `spoken`.
    fn due(&self, now: i64, spoken: i64, last: i64) -> Option<i64> {
        let behind = |time: i64| hour(time).saturating_add(HOUR).min(last).saturating_add(self.waits);
        let passed = self.hours.passed();
        if passed >= last {
            return None;
        }
        // Windows close as the next file begins.
        let is_rows = matches!(self.hours, Hourly::Rows(_)) && passed > i64::MIN;
        match is_rows.then(|| behind(passed)) {
            // A packet waits for another one, say: without a packet the clock has to say that none comes before it.
            Some(due) if due <= now && spoken < now => Some(now),
            Some(due) if due > now => Some(due),
            _ => {
                let from = Some(now.max(passed)).filter(|from| *from > i64::MIN)?;
                Some(behind(from.saturating_sub(self.waits))).filter(|due| *due > now)
            }
        }
    }
}

/// What the engine's run is fed with.
pub(super) struct LineFeed<'l> {
    pub(super) line: &'l Line,
    pub(super) output: &'l Output,
    pub(super) outlet: &'l Outlet,
    pub(super) progress: Arc<Progress>,
    /// What the views have seen of the file.
    pub(super) seen: Arc<Seen>,
    /// Packets of it that are late for products.
    pub(super) late: Arc<Late>,
    pub(super) journal: &'l Rc<Journal>,
    pub(super) waiting: &'l mut Waiting,
    /// Files of the sequence.
    pub(super) read: HashSet<PathBuf>,
    pub(super) began: Instant,
    pub(super) ended: &'l mut Ended,
    pub(super) replay: VecDeque<Entry>,
    /// The file that is being read: its place in the sequence, and what had become of it if it is not read for the first time.
    pub(super) place: Option<(i64, Option<Became>)>,
    pub(super) reading: Option<(PathBuf, Identity)>,
    /// Its first packet, as it was looked at before.
    pub(super) first: Option<Timestamp>,
    /// When the file behind it begins, as the run was told.
    pub(super) next: Option<Timestamp>,
    /// No file may begin before this.
    pub(super) position: Timestamp,
    /// The file that begins last, with its time; that of equal ones which comes last by path.
    pub(super) latest: Option<(Timestamp, PathBuf)>,
    /// What the run's clock shows: what is over by then has left.
    pub(super) clock: Rc<Cell<Timestamp>>,
    /// The latest packet.
    pub(super) top: Timestamp,
    /// What the wall clock said last, in packet time.
    pub(super) spoken: i64,
    /// Up to where the products by the hour are.
    pub(super) passing: Vec<Passing>,
    pub(super) settings: Arc<Settings>,
    pub(super) permit: Option<Permit>,
    pub(super) why: Option<Why>,
}

impl LineFeed<'_> {
    /// The wall clock has spoken.
    pub(super) fn speak(&mut self, until: Timestamp) {
        self.spoken = self.spoken.max(until.0);
        self.position = self.position.max(until);
    }

    /// A file is behind: as far as the clock may be at the end of it. That goes by its latest packet, as some views do, whichever is its last.
    pub(super) fn behind(&mut self, last: Option<Timestamp>, next: Option<Timestamp>) {
        let Some(last) = last else { return };
        self.top = self.top.max(last);
        let clock = Timestamp(last.0.saturating_sub(DISORDER)).min(next.unwrap_or(Timestamp::MAX));
        self.position = self.position.max(clock);
    }

    /// Reading begins, when it is this line's turn.
    pub(super) fn begin(&mut self) {
        let path = self.reading.as_ref().map(|(path, _)| path.as_path());
        let finished = path.and_then(|path| fs::metadata(path).ok()?.modified().ok());
        let lag = finished.and_then(|finished| finished.elapsed().ok()).unwrap_or_default();
        self.line.health.lag(&self.line.sensor, lag.max(Duration::from_millis(1)));
        self.permit = Some(self.line.permits.take());
        self.line.control.reading(path);
        self.line.health.reading(&self.line.sensor, path);
    }

    /// Reading is over.
    pub(super) fn over(&mut self) -> Option<(PathBuf, Identity)> {
        self.permit = None;
        self.line.control.reading(None);
        self.line.health.reading(&self.line.sensor, None);
        self.reading.take()
    }

    /// Ends the run where it stands: what is not out is made again by the next.
    pub(super) fn leave(&mut self, why: Why) -> Result<Next> {
        self.why = Some(why);
        Err(ErrorKind::Stopped.into())
    }

    /// When, in packet time, something is complete next if no packet comes.
    fn due(&self) -> Option<i64> {
        let top = hour(self.top.0).checked_add(HOUR).filter(|_| self.top > Timestamp::MIN);
        let again = self.passing.iter().map(|passing| passing.hours.again()).max().filter(|again| *again > i64::MIN);
        // Each product's next hour that is not passed, up to that of the latest packet, or of what had packets before and has none now.
        let last = top.max(again)?;
        let now = self.position.max(self.clock.get()).0.max(self.spoken);
        self.passing.iter().filter_map(|passing| passing.due(now, self.spoken, last)).min()
    }

    /// Takes an order of those that come by then, if one does; whether more may come at all.
    fn hear_until(&mut self, then: Instant) -> Result<bool> {
        match self.line.inbox.recv_deadline(then) {
            Ok(order) => self.take(order)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        }
        Ok(true)
    }

    /// The wall clock speaks, if it is time; else how long it is until then.
    fn quiet(&mut self) -> Result<std::result::Result<Next, Option<Duration>>> {
        let Some(due) = self.due() else { return Ok(Err(None)) };
        let growing = self.waiting.growing.values().copied().min();
        let long = self.settings.by_hour().filter_map(|product| product.long_gap(&self.settings.config)).min();
        // What is in a file behind a long gap says whether that is one.
        let is_near = |first: Timestamp| long.is_none_or(|long| first.0.saturating_sub(self.top.0) < long);
        let follows = growing.is_some_and(is_near);
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
            Some(_) if follows => {}
            _ if left.is_zero() => {}
            _ => return Ok(Err(Some(left))),
        }
        self.speak(Timestamp(due));
        // Then the empty buckets up to there are of their hour, which is still open.
        self.journal.quiet(&self.line.sensor, Timestamp(due), follows)?;
        Ok(Ok(Next::Quiet { until: Timestamp(due), follows }))
    }
}

impl LineFeed<'_> {
    /// Notes what became of a file that was read for the first time.
    pub(super) fn became(&mut self, place: i64, path: &Path, report: Option<&FileReport>, what: &Became) -> Result<()> {
        if let Some(damage) = &what.damage {
            tracing::warn!(path = %path.display(), sensor = %self.line.sensor, "{damage}");
            self.line.health.trouble(format!("{}: {damage}", path.display()));
        }
        // Counted when it is noted: what is not is read again.
        self.journal.read(place, what)?;
        tracing::info!(path = %path.display(), sensor = %self.line.sensor, packets = what.packets, "read");
        self.ended.files += 1;
        self.ended.packets += what.packets;
        if let Some(report) = report {
            self.line.health.file(&self.line.sensor, report);
        }
        Ok(())
    }
}

impl LineFeed<'_> {
    /// Says that packets of a file are in no record.
    fn in_none(&self, path: &Path, what: &str) {
        let reason = format!("{}: {what}", path.display());
        tracing::warn!(sensor = %self.line.sensor, "{reason}");
        self.line.health.trouble(reason);
    }

    /// So many packets of a file are of a wild time.
    fn are_wild(&self, path: &Path, wild: u64) {
        if wild > 0 {
            let what = "packets of a time more than a day ahead, which then went back: no hour has them";
            self.in_none(path, &format!("{wild} {what}"));
            self.line.health.wild(&self.line.sensor, wild);
        }
    }

    /// Whether a file was overwritten where it lies while it was read, or another took its name before: nobody knows what of it was read. What has grown
    /// was read as it was.
    fn has_become_another(&self, path: &Path, identity: &Identity, report: Option<&FileReport>) -> bool {
        let Ok(now) = Identity::of(path) else { return false };
        if now == *identity || identity.has_grown_to(path).unwrap_or(false) {
            return false;
        }
        let is_overwritten = (now.device, now.inode) == (identity.device, identity.inode);
        is_overwritten || report.is_some_and(|report| report.capture.first_time != self.first)
    }

    /// A disk did not give a file to its end. One that is new comes in again when it is tried again, and holds up no other until then; one that
    /// hours to come need is waited for.
    fn broke_off(&mut self, place: i64, is_new: bool, path: PathBuf, identity: Identity, error: Error) -> Result<()> {
        if !is_new {
            return self.unreadable(&path, &identity, error);
        }
        self.journal.unfed(place)?;
        let arrival = Arrival { sensor: self.line.sensor.to_string(), path, identity };
        self.failed_within(arrival, &error)
    }

    /// A file that hours to come need cannot be read: an error, by which the line begins again, as often as it is tried; then it is passed over.
    pub(super) fn unreadable(&mut self, path: &Path, identity: &Identity, error: Error) -> Result<()> {
        if !path.is_file() {
            // The next run looks for it elsewhere.
            return Ok(());
        }
        self.line.health.failed(&self.line.sensor);
        let tries = self.waiting.tried(path, identity) + 1;
        if tries < self.settings.tries {
            self.waiting.broke.insert(path.to_owned(), (identity.clone(), tries));
            return Err(error);
        }
        self.waiting.broke.remove(path);
        self.waiting.unreadable.insert(identity.clone(), error.to_string());
        Ok(())
    }
}

impl Feed for LineFeed<'_> {
    fn next(&mut self) -> Result<Next> {
        self.permit = None;
        loop {
            if self.line.control.is_leaving() {
                return self.leave(Why::Finished);
            }
            if self.make_own()? {
                continue;
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
            let missed = self.miss();
            let again = [self.try_again()?, missed].into_iter().flatten().min();
            self.again_in_time()?;
            if !self.waiting.own.is_empty() {
                continue;
            }
            let settling = self.settling()?;
            if let Some(next) = self.file(settling.is_some())? {
                self.begin();
                return Ok(next);
            }
            if let Some(wait) = settling {
                match self.hear_until(Instant::now() + wait)? {
                    true => continue,
                    false => return self.leave(Why::Finished),
                }
            }
            if let Some(close) = self.waiting.finish
                && (self.waiting.failing.is_empty() || !close)
            {
                // What has vanished may have another name, or is missed.
                if let Some(missed) = missed {
                    match self.hear_until(missed)? {
                        true => continue,
                        false => return self.leave(Why::Finished),
                    }
                }
                if !close {
                    return self.leave(Why::Finished);
                }
                self.outlet.hold();
                return Ok(Next::End);
            }
            let quiet = match self.quiet()? {
                Ok(next) => return Ok(next),
                Err(quiet) => quiet,
            };
            self.line.health.lag(&self.line.sensor, Duration::ZERO);
            let again = again.map(|at| at.saturating_duration_since(Instant::now()));
            self.line.control.idle(quiet.is_none() && self.waiting.is_empty());
            // A clock that was set shows within a minute.
            let wait = [quiet, again, Some(Duration::from_secs(60))].into_iter().flatten().min().unwrap_or_default();
            let mut told = Select::new();
            told.recv(&self.line.inbox);
            let _ = told.ready_timeout(wait);
            // Before what it is told is taken: see [`Control::is_idle_for`].
            self.line.control.idle(false);
        }
    }

    fn read(&mut self, path: &Path, report: Option<FileReport>, failed: Option<Error>) -> Result<()> {
        let reading = self.over();
        let Some((place, before)) = self.place.take() else { return Ok(()) };
        if let Some(error) = failed {
            let Some((path, identity)) = reading else { return Err(error) };
            self.broke_off(place, before.is_none(), path, identity, error)?;
            // What the run has of it by now is in no hour that is out.
            return self.leave(Why::Again).map(drop);
        }
        self.waiting.broke.remove(path);
        if let Some((path, identity)) = reading
            && self.has_become_another(&path, &identity, report.as_ref())
        {
            // The next run looks for what it was.
            if before.is_none() {
                self.journal.unfed(place)?;
                self.has_vanished(identity, path, self.first);
            }
            return self.leave(Why::Again).map(drop);
        }
        // What is no packet of any view may be the last of the file; a wild time is not.
        let last = report.as_ref().and_then(|report| last_packet(report, self.seen.newest()));
        self.behind(last, self.next);
        let mut lates = self.late.take();
        let (wild, late) = report.as_ref().map_or((0, 0), |_| (self.seen.wild(), self.seen.late()));
        let what = Became {
            packets: report.as_ref().map_or(0, |report| report.tally.intake.read.packets),
            last,
            seen: report.as_ref().and_then(|_| self.seen.span()),
            wild,
            damage: report.as_ref().and_then(damage),
        };
        if let Some(before) = before {
            // What is wild may show by the file behind it alone, which was not there before.
            if what != before {
                self.journal.read(place, &what)?;
                self.are_wild(path, wild.saturating_sub(before.wild));
            }
            return Ok(());
        }
        self.became(place, path, report.as_ref(), &what)?;
        self.are_wild(path, wild);
        if late > 0 && self.settings.by_hour().any(Product::has_windows) {
            lates.insert("groups".into(), late);
        }
        self.line.health.late_packets(&self.line.sensor, lates.values().copied().max().unwrap_or(0));
        let mut of_products: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        lates.iter().for_each(|(product, late)| of_products.entry(*late).or_default().push(product));
        for (late, products) in of_products {
            let products = products.join(", ");
            self.in_none(
                path,
                &format!("{late} packets were over when the file began: no record of {products} has them"),
            );
        }
        if self.ended.files.is_multiple_of(FORGET) { self.forget_gone() } else { Ok(()) }
    }
}

/// Files from one look for those that are gone to the next.
pub(super) const FORGET: u64 = 256;
