//! What the journal has is fed again, from where packets are needed on.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

use super::Order;
use super::captures::{is_taken, last};
use super::feeding::{LineFeed, Passing};
use super::waiting::SETTLING;
use crate::engine::feed::Next;
use crate::error::{Error, Result};
use crate::time::Timestamp;
use crate::watch::Identity;
use crate::watch::arrivals::Arrival;
use crate::watch::journal::{Became, Entry, Fed};
use crate::watch::spans::hour;

impl LineFeed<'_> {
    /// Begins with the first entry of a sequence of which packets are needed; what stands before it is known.
    pub(super) fn skip_to(&mut self, sequence: Vec<Entry>, needs: Timestamp) {
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
        let identities: HashSet<&Identity> = sequence
            .iter()
            .filter_map(|entry| match entry {
                Entry::File { fed, .. } => Some(&fed.identity),
                Entry::Quiet { .. } => None,
            })
            .collect();
        self.waiting.grown.retain(|identity| identities.contains(identity));
        self.waiting.unreadable.retain(|identity, _| identities.contains(identity));
        let from = sequence.iter().position(is_needed).unwrap_or(sequence.len());
        let mut sequence = VecDeque::from(sequence);
        for entry in sequence.drain(..from) {
            match entry {
                Entry::Quiet { until, .. } => self.speak(until),
                Entry::File { fed, became, .. } => {
                    self.position = self.position.max(fed.first.unwrap_or(Timestamp::MIN));
                    self.behind(became.and_then(|became| became.last), fed.next);
                    self.latest = self.latest.take().max(fed.first.map(|first| (first, fed.path)));
                }
            }
        }
        for Passing { hours, waits } in &self.passing {
            hours.resume(hour(self.position.0.saturating_sub(*waits)));
        }
        self.replay = sequence;
    }

    /// Takes out of the sequence what begins it, is of hours that are out, and is gone.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&Fed) -> Result<bool>) -> Result<()> {
        let mut needs = Timestamp::MAX;
        for product in self.settings.by_hour() {
            needs = needs.min(self.journal.out(&self.line.sensor, &product.name())?.needs);
        }
        let (mut gone, mut failed) = (HashSet::new(), Ok(()));
        let stays = |entry: &Entry| match entry {
            Entry::File { fed, became, .. } => {
                let is_over = became.as_ref().is_some_and(|became| became.last.is_none_or(|last| last < needs));
                let is_gone = is_over
                    && is_gone(fed).unwrap_or_else(|error| {
                        failed = Err(error);
                        false
                    });
                gone.extend(is_gone.then(|| fed.path.clone()));
                !is_gone
            }
            Entry::Quiet { until, .. } => *until >= needs,
        };
        let first = self.journal.first(&self.line.sensor, stays)?;
        failed?;
        let Some(first) = first else { return Ok(()) };
        self.journal.forget(&self.line.sensor, first.place())?;
        self.read.retain(|path| !gone.contains(path));
        Ok(())
    }

    /// The same while files come, of those that do not lie where they did: one that has another name by now was told.
    pub(super) fn forget_gone(&mut self) -> Result<()> {
        self.forget(|fed| Ok(!fed.path.exists()))
    }

    /// Files whose names others have taken, and of which packets are needed, are read again where they lie, or lost.
    pub(super) fn misses(&mut self, needs: Timestamp) -> Result<()> {
        for (identity, path) in self.journal.lost(&self.line.sensor, needs)? {
            if Identity::of(&path).is_ok_and(|now| now == identity) {
                self.journal.unknow(&identity, &path)?;
                let arrival = Arrival { sensor: self.line.sensor.to_string(), path, identity };
                self.waiting.orders.push_back(Order::Complete(vec![arrival]));
                continue;
            }
            self.ended.quarantined += u64::from(self.line.loses(self.journal, &identity, &path)?);
        }
        Ok(())
    }

    /// Whether another has taken the name of a file.
    fn has_lost_its_name(&self, fed: &Fed, became: Option<&Became>) -> bool {
        let is_grown = self.waiting.grown.contains(&fed.identity);
        !is_grown && last(fed, became).is_some_and(|last| is_taken(&fed.path, last))
    }

    /// Where a file of the sequence lies, if it does. One that is not where it was is looked for among those that are told at the start.
    fn found(&mut self, fed: &Fed) -> Result<Option<PathBuf>> {
        let lies_at = |path: &Path| Identity::of(path).ok().as_ref() == Some(&fed.identity);
        let until = self.began + 2 * (self.settings.stable + SETTLING);
        loop {
            if lies_at(&fed.path) {
                return Ok(Some(fed.path.clone()));
            }
            // It may have been told under another name since then, also by another line.
            let known = self.journal.whose(&fed.identity)?.map(|(_, path)| path);
            if let Some(path) = known.filter(|path| *path != fed.path && lies_at(path)) {
                return Ok(Some(path));
            }
            if self.waiting.grown.contains(&fed.identity) {
                return Ok(None);
            }
            match self.line.inbox.recv_deadline(until) {
                Ok(order) => self.take(order)?,
                Err(_) => return Ok(None),
            }
        }
    }

    /// The next entry of the journal, if its file is still as it was.
    pub(super) fn replayed(&mut self) -> Result<Option<Next>> {
        while let Some(entry) = self.replay.pop_front() {
            match entry {
                Entry::Quiet { until, follows, .. } => {
                    self.speak(until);
                    return Ok(Some(Next::Quiet { until, follows }));
                }
                Entry::File { place, mut fed, became } => {
                    // Also of one that is another now: hours may be out up to it.
                    self.position = self.position.max(fed.first.unwrap_or(Timestamp::MIN));
                    self.latest = self.latest.take().max(fed.first.map(|first| (first, fed.path.clone())));
                    let given_up = self.waiting.unreadable.get(&fed.identity).cloned();
                    let found = if given_up.is_none() { self.found(&fed)? } else { None };
                    if let Some(path) = found {
                        fed.path = path;
                        self.place = Some((place, became));
                        self.reading = Some((fed.path.clone(), fed.identity));
                        self.first = fed.first;
                        self.next = fed.next;
                        return Ok(Some(Next::File { path: fed.path, next: fed.next }));
                    }
                    if given_up.is_none()
                        && let Err(error) = Identity::of(&fed.path)
                    {
                        self.unreadable(&fed.path, &fed.identity, Error::io("read", &fed.path, error))?;
                    }
                    let given_up = self.waiting.unreadable.get(&fed.identity);
                    let path = fed.path.display().to_string();
                    if let Some(why) = given_up {
                        tracing::warn!(path, sensor = %self.line.sensor, "a capture that is still needed cannot be read: {why}");
                        self.line.health.trouble(format!("{why}; what hours to come have of it is lost"));
                        let why = "it cannot be read, and hours that are not out need it";
                        self.line.health.lost(&self.line.sensor, &fed.path, why);
                        self.ended.quarantined += 1;
                    } else if self.has_lost_its_name(&fed, became.as_ref()) {
                        self.ended.quarantined += u64::from(self.line.loses(self.journal, &fed.identity, &fed.path)?);
                    } else if fed.path.exists() || self.waiting.grown.contains(&fed.identity) {
                        tracing::info!(path, sensor = %self.line.sensor, "has become another, and is read anew");
                        self.waiting.passed_over.insert(fed.path.clone());
                    } else if became.as_ref().is_some_and(had_no_packets) {
                        tracing::info!(path, sensor = %self.line.sensor, "is gone, and had no packets");
                    } else if self.journal.was_removed(&fed.identity)? {
                        // It was to go though it was needed, and was counted then.
                        let why = "was removed though it was needed, and flows that began there or before are cut";
                        self.line.health.trouble(format!("{path}: {why}"));
                        tracing::warn!(path, sensor = %self.line.sensor, "{why}");
                    } else {
                        self.line.health.trouble(format!("{path}: is gone, and what hours to come have of it is lost"));
                        let why = "it is gone, and hours that are not out need it";
                        self.line.health.lost(&self.line.sensor, &fed.path, why);
                        tracing::warn!(path, sensor = %self.line.sensor, "a capture that is still needed is gone");
                        self.ended.quarantined += 1;
                    }
                    if became.is_none() {
                        self.journal.read(place, &Became::unread())?;
                        if !self.waiting.passed_over.contains(&fed.path) {
                            self.journal.lose(&fed.identity, Became::UNREAD)?;
                        }
                    }
                }
            }
        }
        Ok(None)
    }
}

/// Whether nothing is lost with a file that is gone.
fn had_no_packets(became: &Became) -> bool {
    became.packets == 0 && !became.is_unread()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::watch::health::Health;
    use crate::watch::journal::{Advance, Journal, Out};
    use crate::watch::line::waiting::Waiting;
    use crate::watch::line::{Control, Ended, Line};
    use crate::watch::outlet::Outlet;
    use crate::watch::output::Output;
    use crate::watch::permits::Permits;
    use crate::watch::wild::Seen;
    use crate::watch::{Product, Settings};

    #[test]
    fn of_files_that_are_gone_and_over_nothing_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let journal = Rc::new(Journal::open(&path).unwrap());
        let output = Rc::new(Output::open(&path).unwrap());
        let identity = |n: u64| Identity { device: 1, inode: n, size: 7, digest: "d".into() };
        for n in 0..5 {
            let fed = Fed {
                path: format!("{n}.pcap").into(),
                identity: identity(n),
                first: Some(Timestamp(n as i64)),
                next: None,
            };
            let place = journal.fed("s", &fed).unwrap();
            let last = Some(Timestamp(n as i64));
            journal.read(place, &Became { packets: 1, last, ..Became::default() }).unwrap();
        }
        let out = Out { until: Timestamp(9), needs: Timestamp(3) };
        let out = Advance { product: "groups".into(), out, file: None, gone: Vec::new() };
        journal.commit("s", &[out], None).unwrap();
        let settings = Settings::new(folder.path().into(), path, vec![Product::parse("groups").unwrap()]);
        let (_orders, inbox) = crossbeam_channel::unbounded();
        let line = Line {
            sensor: "s".into(),
            settings: Arc::new(settings),
            health: Arc::new(Health::new(Duration::from_secs(60), 0)),
            inbox,
            permits: Permits::new(1),
            control: Arc::new(Control::default()),
        };
        let outlet = Outlet::new(&output, &line.sensor, &journal, &line.health);
        let (mut waiting, mut ended) = (Waiting::default(), Ended::default());
        waiting.grown.extend([3, 7].map(identity));
        waiting.unreadable.extend([4, 8].map(|n| (identity(n), "why".to_owned())));
        let mut feed = LineFeed {
            line: &line,
            output: &output,
            outlet: &outlet,
            progress: Arc::default(),
            seen: Arc::new(Seen::new(&line.settings.config)),
            late: Arc::default(),
            journal: &journal,
            waiting: &mut waiting,
            read: HashSet::new(),
            began: Instant::now(),
            ended: &mut ended,
            replay: VecDeque::new(),
            place: None,
            reading: None,
            first: None,
            next: None,
            position: Timestamp::MIN,
            latest: None,
            clock: Rc::new(Cell::new(Timestamp::MIN)),
            top: Timestamp::MIN,
            spoken: i64::MIN,
            passing: Vec::new(),
            settings: Arc::clone(&line.settings),
            permit: None,
            why: None,
        };
        // Another name may be told of one that nobody removed.
        feed.forget(|fed| journal.was_removed(&fed.identity)).unwrap();
        feed.skip_to(journal.sequence("s").unwrap(), Timestamp(3));
        assert_eq!(feed.read.len(), 5);
        assert!(feed.waiting.grown.iter().eq(&[identity(3)]) && feed.waiting.unreadable.keys().eq(&[identity(4)]));
        feed.forget_gone().unwrap();
        assert_eq!(feed.read, ["3.pcap", "4.pcap"].map(PathBuf::from).into());
        assert_eq!(journal.sequence("s").unwrap().len(), 2);
    }
}
