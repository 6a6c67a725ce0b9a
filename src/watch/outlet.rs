//! What is out of a sensor: where the hours of its products lie, up to where they are out, and what has to go.
//!
//! The journal knows the file of an hour before it appears, and for each product up to where hours are out. Files of later ones are of no worth: their
//! hours are made again since a file came late, or somebody was stopped when they had appeared. When such an hour goes out it is written anew, or
//! nothing of it is there any more, and then its file goes. So it is for all products, whatever makes their records.
//!
//! The end of a run is one step of the journal for all products: either what comes later turns back, and each of them is made again, or none is out.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::health::Health;
use super::journal::{Advance, Journal, Out, Written};
use super::output::Output;
use crate::capture::hour_folder;
use crate::error::Result;
use crate::sink::atomic::AtomicFile;
use crate::time::Timestamp;

/// Where the products of a sensor come out.
pub(super) struct Outlet {
    output: Rc<Output>,
    pub(super) sensor: Arc<str>,
    journal: Rc<Journal>,
    pub(super) health: Arc<Health>,
    /// At the end of a run: what the journal is to be told at once.
    held: RefCell<Option<Vec<Advance>>>,
}

impl Outlet {
    pub(super) fn new(
        output: &Rc<Output>,
        sensor: &Arc<str>,
        journal: &Rc<Journal>,
        health: &Arc<Health>,
    ) -> Rc<Outlet> {
        Rc::new(Outlet {
            output: Rc::clone(output),
            sensor: Arc::clone(sensor),
            journal: Rc::clone(journal),
            health: Arc::clone(health),
            held: RefCell::default(),
        })
    }

    /// The run ends: nothing is out from now on but all [at once](Outlet::end).
    pub(super) fn hold(&self) {
        self.held.replace(Some(Vec::new()));
    }

    /// Tells the journal what was held; and that no packet before `until` comes any more, unless it turns back.
    pub(super) fn end(&self, until: Option<Timestamp>) -> Result<()> {
        let steps = self.held.take().unwrap_or_default();
        self.journal.commit(&self.sensor, &steps, until)?;
        steps.iter().for_each(|step| self.tell(step));
        Ok(())
    }

    fn note(&self, step: Advance) -> Result<()> {
        if let Some(held) = &mut *self.held.borrow_mut() {
            held.push(step);
            return Ok(());
        }
        self.journal.commit(&self.sensor, std::slice::from_ref(&step), None)?;
        self.tell(&step);
        Ok(())
    }

    fn tell(&self, step: &Advance) {
        if let Some(Written { hour, rows, .. }) = step.file {
            self.health.records(&step.product, &self.sensor, rows);
            self.health.hour_out(&step.product, &self.sensor, hour);
        }
    }
}

/// The hours of a product of a sensor. Clones are of the same.
#[derive(Clone)]
pub(super) struct Place {
    outlet: Rc<Outlet>,
    pub(super) product: Rc<str>,
    extension: &'static str,
    /// How long what has a file is, nanoseconds; a multiple of an hour.
    length: i64,
    out: Rc<Cell<Out>>,
    /// The end of the last hour that had a file when the run began and was not out.
    again: i64,
}

impl Place {
    /// Goes on where the journal says.
    pub(super) fn new(outlet: &Rc<Outlet>, product: String, extension: &'static str, length: i64) -> Result<Place> {
        let out = outlet.journal.out(&outlet.sensor, &product)?;
        let mut place = Place {
            outlet: Rc::clone(outlet),
            product: product.into(),
            extension,
            length,
            out: Rc::new(Cell::new(out)),
            again: i64::MIN,
        };
        let last = place.stale(i64::MAX)?.pop();
        place.again = last.map_or(i64::MIN, |(hour, _)| hour.0.saturating_add(length));
        Ok(place)
    }

    pub(super) fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// Where its files are made.
    pub(super) fn folder(&self) -> &Path {
        self.outlet.output.path()
    }

    /// Up to where hours are out, nanoseconds.
    pub(super) fn until(&self) -> i64 {
        self.out.get().until.0
    }

    /// What needs packets before this is out, nanoseconds.
    pub(super) fn needs(&self) -> i64 {
        self.out.get().needs.0
    }

    /// Up to where hours had files when the run began, though they were not out; the earliest time if none had.
    pub(super) fn again(&self) -> i64 {
        self.again
    }

    /// The path of an hour, from the output's folder on.
    pub(super) fn of_hour(&self, hour: i64) -> PathBuf {
        let name = format!("{}.{}", hour_folder(Timestamp(hour)), self.extension);
        Path::new(&*self.product).join(&*self.outlet.sensor).join(name)
    }

    /// Begins the file of an hour, which the journal knows from now on.
    pub(super) fn create(&self, hour: i64) -> Result<AtomicFile> {
        let path = self.of_hour(hour);
        self.outlet.journal.appears(&self.outlet.sensor, &self.product, &path, Timestamp(hour))?;
        self.outlet.output.create(&path)
    }

    /// Whether the file of an hour lay there before the journal, and stays as it is.
    pub(super) fn stays(&self, hour: i64) -> Result<bool> {
        let path = self.of_hour(hour);
        // One that somebody has moved away since then is made.
        Ok(self.outlet.journal.stays(&path)? && self.outlet.output.path().join(path).symlink_metadata().is_ok())
    }

    /// Says that an hour is over whose file stays, and so many records that were made for it are written nowhere.
    pub(super) fn left_out(&self, hour: i64, rows: u64) {
        if rows == 0 {
            return;
        }
        let path = self.outlet.output.path().join(self.of_hour(hour));
        let what = format!(
            "lay there before the journal and stays as it is: {rows} records that captures still make of its hour are not written"
        );
        tracing::warn!(path = %path.display(), sensor = %self.outlet.sensor, "{what}");
        self.outlet.health.trouble(format!("{}: {what}", path.display()));
    }

    /// Files of hours that end by a time, are not out, and do not stay.
    fn stale(&self, until: i64) -> Result<Vec<(Timestamp, PathBuf)>> {
        // Those that end behind a time begin here or behind.
        let behind = |time: i64| time.saturating_sub(self.length - 1);
        let Outlet { journal, sensor, .. } = &*self.outlet;
        let range = [self.until(), until].map(|time| Timestamp(behind(time)));
        let mut hours = journal.hours(sensor, &self.product, range[0], range[1])?;
        // A product may have been by the capture before.
        hours.retain(|(hour, path)| *path == self.of_hour(hour.0));
        Ok(hours)
    }

    /// Notes that what ends at `until` or before is out; for what comes, packets since `needs` are needed. Of hours that go out by this only the one
    /// that was written has records.
    pub(super) fn commit(&self, until: i64, needs: i64, written: Option<&Written>) -> Result<()> {
        self.advance(until, needs, written, until)
    }

    /// Nothing will come at all: what ends at `until` or before is out, and nothing is behind.
    pub(super) fn end(&self, until: i64) -> Result<()> {
        self.advance(until, until, None, i64::MAX)
    }

    fn advance(&self, until: i64, needs: i64, written: Option<&Written>, clears: i64) -> Result<()> {
        let mut gone = Vec::new();
        for (_, path) in self.stale(clears)?.into_iter().filter(|(_, path)| written.is_none_or(|new| new.path != *path))
        {
            self.outlet.output.remove(&path)?;
            gone.push(path);
        }
        let out = Out { until: Timestamp(until), needs: Timestamp(needs) };
        if out == self.out.get() && written.is_none() && gone.is_empty() {
            return Ok(());
        }
        self.outlet.note(Advance { product: self.product.to_string(), out, file: written.cloned(), gone })?;
        self.out.set(out);
        Ok(())
    }
}
