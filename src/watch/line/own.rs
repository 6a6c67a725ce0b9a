//! Records that a capture has by itself: they are made when it has come, whatever its place among the others.

use std::path::Path;

use super::aside::{damage, last_packet};
use super::feeding::{FORGET, LineFeed};
use crate::engine::FileReport;
use crate::error::{Error, Result};
use crate::time::Timestamp;
use crate::watch::Identity;
use crate::watch::arrivals::Arrival;
use crate::watch::journal::{Became, Fed, Own, State};
use crate::watch::products::{Made, files, make, place};
use crate::watch::spans::hour;

impl LineFeed<'_> {
    /// Notes a capture whose own records are wanted, if they are not out under its name.
    pub(super) fn wants_own(&mut self, arrival: &Arrival) -> Result<()> {
        if !self.line.settings.by_capture() {
            return Ok(());
        }
        if self.journal.own_of(&arrival.identity)?.iter().any(|own| own.capture == arrival.path) {
            return self.leave_names(&arrival.identity, &arrival.path);
        }
        self.waiting.own.insert(arrival.path.clone(), arrival.clone());
        Ok(())
    }

    /// Removes the records that a capture has under other names than this. Those of other sensors stay: their line may be writing there.
    pub(super) fn leave_names(&self, identity: &Identity, name: &Path) -> Result<()> {
        for own in self.journal.own_of(identity)? {
            let is_here = own.records.starts_with(&*self.line.sensor);
            // It may have several names at once.
            let has_it = || Identity::of(&own.capture).is_ok_and(|identity| identity == own.identity);
            if own.capture == name || !is_here || has_it() {
                continue;
            }
            if let Err(error) = self.clear(&own.records) {
                // They are tried again when the capture is told again.
                tracing::warn!(sensor = %self.line.sensor, "{error}");
            }
        }
        Ok(())
    }

    /// Removes what lies at a place of records; nobody has records there then.
    fn clear(&self, records: &Path) -> Result<()> {
        let files = files(&self.line.settings, records);
        self.journal.unsettle(&self.line.sensor, records)?;
        files.iter().try_for_each(|file| self.output.remove(file))?;
        self.journal.disown(records, &files)
    }

    /// Clears places where files were being written or removed when the watcher was stopped: of what is there nobody knows whose it is. The
    /// captures are told at the start, and what is wanted there is made again.
    pub(super) fn settle(&self) -> Result<()> {
        let unsettled = self.journal.unsettled()?.into_iter();
        for records in unsettled.filter(|records| records.starts_with(&*self.line.sensor)) {
            // Where that cannot be done, others are made, and it is tried again when the line begins again.
            if let Err(error) = self.clear(&records) {
                tracing::warn!(sensor = %self.line.sensor, "{error}");
            }
        }
        Ok(())
    }

    /// Makes the own records of the first capture that wants some; whether there was one.
    pub(super) fn make_own(&mut self) -> Result<bool> {
        let Some((path, arrival)) = self.waiting.own.first_key_value() else { return Ok(false) };
        let (path, arrival) = (path.clone(), arrival.clone());
        // If that fails, it still wants them.
        self.own(arrival)?;
        self.waiting.own.remove(&path);
        Ok(true)
    }

    fn own(&mut self, arrival: Arrival) -> Result<()> {
        let path = arrival.path.clone();
        self.line.health.queue(&self.line.sensor, self.waiting.count());
        if !self.is_still(&arrival)? {
            return Ok(());
        }
        let records = place(&self.line.settings.folder, &arrival);
        if let Some(rival) = self.journal.own_at(&records)?
            && rival.capture != path
            && Identity::of(&rival.capture).is_ok_and(|identity| identity == rival.identity)
        {
            let other = rival.capture.display();
            return self.refuse(
                &arrival,
                &format!("its records would take the place of those of {other}; rename one of them"),
            );
        }
        self.reading = Some((path.clone(), arrival.identity.clone()));
        self.begin();
        let appears = || self.journal.unsettle(&self.line.sensor, &records);
        let made = make(&self.line.settings, self.output, &arrival, &self.progress, appears);
        self.permit = None;
        let made = match made {
            Ok(made) => made,
            // Others have a place.
            Err(error) if self.output.is_of_path(&error) => {
                self.over();
                return self.refuse(&arrival, &format!("its records have no place; rename it: {error}"));
            }
            Err(error) => {
                // What is read for too long is put aside by the run, which looks for it in `reading`.
                match self.line.control.is_overdue() {
                    true => drop(self.waiting.own.remove(&path)),
                    false => drop(self.over()),
                }
                return Err(error);
            }
        };
        self.over();
        match made {
            Err(error) => self.failed_within(arrival, &error),
            // What it has become comes by itself, and its records take the place of these.
            Ok(_) if !self.is_still(&arrival)? => Ok(()),
            Ok(Made { report, files: made }) => {
                self.waiting.broke.remove(&path);
                if self.line.settings.by_hour().next().is_none() {
                    self.counted(&arrival, report)?;
                }
                // Without bytes it has none, and what had its name before has none there either.
                if made.is_empty() {
                    self.clear(&records)?;
                }
                let own = Own { records, capture: path, identity: arrival.identity.clone() };
                self.journal.commit_own(&self.line.sensor, &own, &made)?;
                self.leave_names(&arrival.identity, &arrival.path)?;
                for (product, file) in made {
                    self.line.health.records(&product, &self.line.sensor, file.rows);
                    self.line.health.hour_out(&product, &self.line.sensor, Timestamp(hour(file.hour.0)));
                }
                Ok(())
            }
        }
    }

    /// A capture gets no records as long as it has its name.
    pub(super) fn refuse(&mut self, arrival: &Arrival, reason: &str) -> Result<()> {
        let Arrival { sensor, path, identity } = arrival;
        self.waiting.broke.remove(path);
        let is_all = self.line.settings.by_hour().next().is_none();
        self.journal.refuse(sensor, path, identity, reason, is_all)?;
        self.has_none(format!("{}: {reason}", path.display()));
        Ok(())
    }

    /// Says that a capture gets no records, and why.
    fn has_none(&mut self, reason: String) {
        tracing::warn!(sensor = %self.line.sensor, "{reason}");
        self.line.health.trouble(reason);
        self.ended.quarantined += 1;
    }

    /// Whether a file is what it was when it came. It says so if it is gone; one that cannot be looked at is tried again.
    fn is_still(&mut self, arrival: &Arrival) -> Result<bool> {
        let path = &arrival.path;
        match Identity::of(path) {
            Ok(identity) if identity == arrival.identity => return Ok(true),
            Ok(_) => {}
            Err(error) if path.is_file() => {
                self.failed_within(arrival.clone(), &Error::io("read", path, error))?;
                return Ok(false);
            }
            // It was over its age, and has them.
            Err(_) if self.journal.was_removed(&arrival.identity)? => {}
            Err(error) => {
                self.line.health.lost(&self.line.sensor, path, "it was gone before its records were made");
                self.has_none(format!("{}: its records are not made: {error}", path.display()));
            }
        }
        self.waiting.broke.remove(path);
        Ok(false)
    }

    /// Where nothing is made by the hour, no run reads the capture, and this is all that becomes of it.
    fn counted(&mut self, arrival: &Arrival, report: FileReport) -> Result<()> {
        if !matches!(self.journal.knows(&arrival.identity)?, None | Some(State::Refused)) {
            return Ok(());
        }
        let Arrival { path, identity, .. } = arrival.clone();
        let last = last_packet(&report, None);
        let fed = Fed { path: path.clone(), identity, first: report.capture.first_time, next: None };
        let place = self.journal.fed(&self.line.sensor, &fed)?;
        self.read.insert(path.clone());
        let packets = report.tally.intake.read.packets;
        let what = Became { packets, last, damage: damage(&report), ..Became::default() };
        self.became(place, &path, Some(&report), &what)?;
        if self.ended.files.is_multiple_of(FORGET) { self.forget_gone() } else { Ok(()) }
    }
}
