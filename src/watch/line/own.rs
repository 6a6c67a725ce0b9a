//! Records that a capture has by itself: they are made when it has come, whatever its place among the others.

use super::aside::last_packet;
use super::feeding::{FORGET, LineFeed};
use crate::engine::FileReport;
use crate::error::Result;
use crate::time::Timestamp;
use crate::watch::Identity;
use crate::watch::arrivals::Arrival;
use crate::watch::journal::Fed;
use crate::watch::products::{Made, make, rival};
use crate::watch::spans::hour;

impl LineFeed<'_> {
    /// Notes a capture whose own records are wanted, if they are not out.
    pub(super) fn wants_own(&mut self, arrival: &Arrival) -> Result<()> {
        if self.line.settings.by_capture() && !self.journal.has_own(&arrival.identity)? {
            self.waiting.own.insert(arrival.path.clone(), arrival.clone());
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
        if !self.is_still(&arrival) {
            return Ok(());
        }
        if let Some(rival) = rival(&path)
            && let Ok(identity) = Identity::of(&rival)
            && self.journal.has_own(&identity)?
        {
            let [name, other] = [&path, &rival].map(|path| path.display());
            let reason = format!("{name}: its records would take the place of those of {other}; rename one of them");
            tracing::warn!(sensor = %self.line.sensor, "{reason}");
            self.line.health.trouble(reason);
            self.ended.quarantined += 1;
            return Ok(());
        }
        self.reading = Some((path.clone(), arrival.identity.clone()));
        self.begin();
        let made = make(&self.line.settings, self.output, &arrival, &self.progress);
        self.permit = None;
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                // What is read for too long is put aside by the run, which looks for it in `reading`.
                match self.line.control.is_overdue() {
                    true => drop(self.waiting.own.remove(&path)),
                    false => self.reading = None,
                }
                return Err(error);
            }
        };
        self.line.control.reading(false);
        self.reading = None;
        match made {
            Err(error) => self.failed(arrival, &error),
            // What it has become comes by itself, and its records take the place of these.
            Ok(_) if !self.is_still(&arrival) => Ok(()),
            Ok(Made { report, files }) => {
                if self.line.settings.by_hour().next().is_none() {
                    self.counted(&arrival, report)?;
                }
                self.journal.commit_own(&self.line.sensor, &arrival.identity, &files)?;
                for (product, file) in files {
                    self.line.health.records(&product, &self.line.sensor, file.rows);
                    self.line.health.hour_out(&product, &self.line.sensor, Timestamp(hour(file.hour.0)));
                }
                Ok(())
            }
        }
    }

    /// Whether a file is what it was when it came; says so if it is gone.
    fn is_still(&mut self, arrival: &Arrival) -> bool {
        match Identity::of(&arrival.path) {
            Ok(identity) => identity == arrival.identity,
            Err(error) => {
                let reason = format!("{}: its records are not made: {error}", arrival.path.display());
                tracing::warn!(sensor = %self.line.sensor, "{reason}");
                self.line.health.lost(&self.line.sensor, &arrival.path);
                self.line.health.trouble(reason);
                self.ended.quarantined += 1;
                false
            }
        }
    }

    /// Where nothing is made by the hour, no run reads the capture, and this is all that becomes of it.
    fn counted(&mut self, arrival: &Arrival, report: FileReport) -> Result<()> {
        if self.journal.knows(&arrival.identity)?.is_some() {
            return Ok(());
        }
        let Arrival { path, identity, .. } = arrival.clone();
        let last = last_packet(&report, None);
        let fed = Fed { path: path.clone(), identity, first: report.capture.first_time, next: None };
        let place = self.journal.fed(&self.line.sensor, &fed)?;
        self.read.insert(path.clone());
        self.became(place, &path, Some(report), None, last)?;
        if self.ended.files.is_multiple_of(FORGET) { self.forget() } else { Ok(()) }
    }
}
