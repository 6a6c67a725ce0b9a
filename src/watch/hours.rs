//! The file of an hour: rows in one order, whatever came when, and the file whole when the hour is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::health::Health;
use super::journal::{Journal, Out, Written};
use super::output::Output;
use super::spans::{HOUR, hour};
use crate::capture::hour_folder;
use crate::error::Result;
use crate::sink::atomic::AtomicFile;
use crate::sink::scratch::Scratch;
use crate::sink::sorted::{Record, Sorted};
use crate::time::Timestamp;

/// Where the hours of a product of a sensor lie, and up to where they are out.
pub(super) struct Place {
    output: Rc<Output>,
    pub(super) sensor: Arc<str>,
    pub(super) product: String,
    extension: &'static str,
    journal: Rc<Journal>,
    pub(super) health: Arc<Health>,
    out: Out,
}

impl Place {
    /// Goes on where the journal says.
    pub(super) fn new(
        output: &Rc<Output>,
        (sensor, product, extension): (&Arc<str>, String, &'static str),
        journal: &Rc<Journal>,
        health: &Arc<Health>,
    ) -> Result<Place> {
        let out = journal.out(sensor, &product)?;
        Ok(Place {
            output: Rc::clone(output),
            sensor: Arc::clone(sensor),
            product,
            extension,
            journal: Rc::clone(journal),
            health: Arc::clone(health),
            out,
        })
    }

    /// Up to where hours are out, nanoseconds.
    pub(super) fn until(&self) -> i64 {
        self.out.until.0
    }

    /// The path of an hour, from the output's folder on.
    pub(super) fn of_hour(&self, hour: i64) -> PathBuf {
        let name = format!("{}.{}", hour_folder(Timestamp(hour)), self.extension);
        Path::new(&self.product).join(&*self.sensor).join(name)
    }

    /// Begins the file of such a path.
    pub(super) fn create(&self, path: &Path) -> Result<AtomicFile> {
        self.output.create(path)
    }

    /// Writes it whole.
    pub(super) fn write_whole(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.output.write_whole(path, bytes)
    }

    /// Notes that what ends at `until` or before is out; for what comes, packets since `needs` are needed.
    pub(super) fn commit(&mut self, until: i64, needs: i64, written: Option<&Written>) -> Result<()> {
        let out = Out { until: Timestamp(until), needs: Timestamp(needs) };
        self.journal.commit(&self.sensor, &self.product, out, written)?;
        self.out = out;
        if let Some(Written { hour, rows, .. }) = written {
            self.health.records(&self.product, &self.sensor, *rows);
            self.health.hour_out(&self.product, &self.sensor, *hour);
        }
        Ok(())
    }
}

/// A row in its order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    order: i64,
    text: Vec<u8>,
}

impl Record for Line {
    type Before = ();

    fn write(&self, (): &mut (), out: &mut Vec<u8>) {
        out.extend_from_slice(&self.order.to_le_bytes());
        out.extend_from_slice(&self.text);
    }

    fn read((): &mut (), bytes: &mut &[u8]) -> Line {
        let (order, text) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
        Line { order: i64::from_le_bytes(*order), text: text.to_vec() }
    }

    fn beside(&self) -> usize {
        self.text.len()
    }
}

/// The hours of a product that are under way.
pub(super) struct Hours {
    place: Place,
    /// The first line of each file.
    header: Vec<u8>,
    open: BTreeMap<i64, (Sorted<Line>, u64)>,
    /// What the clock has passed in this run, whether or not it was out before.
    passed: i64,
}

impl Hours {
    pub(super) fn new(place: Place, header: Vec<u8>) -> Hours {
        Hours { place, header, open: BTreeMap::new(), passed: i64::MIN }
    }

    /// Takes a row of a time. Rows of an hour stand in the order of `order`, then of their text. One of an hour that was passed is of the
    /// first that was not; one of an hour that is out was written before.
    pub(super) fn row(&mut self, time: i64, order: i64, text: Vec<u8>) -> Result<()> {
        let hour = hour(time).max(self.passed);
        if hour < self.place.until() {
            return Ok(());
        }
        let scratch = || Scratch::with_output(self.place.output.path().to_owned());
        let (rows, count) = self.open.entry(hour).or_insert_with(|| (Sorted::new(scratch()), 0));
        *count += 1;
        rows.push(Line { order, text })
    }

    /// Nothing of hours that end at `until` or before will come.
    pub(super) fn pass(&mut self, until: i64, needs: i64) -> Result<()> {
        self.passed = self.passed.max(until);
        if until <= self.place.until() {
            return Ok(());
        }
        while let Some(first) = self.open.first_entry().filter(|first| first.key().saturating_add(HOUR) <= until) {
            let (hour, (rows, count)) = first.remove_entry();
            let path = self.place.of_hour(hour);
            let mut file = self.place.create(&path)?;
            let mut bytes = self.header.len() as u64;
            file.append(|out| out.extend_from_slice(&self.header))?;
            rows.each(|line| {
                bytes += line.text.len() as u64;
                file.append(|out| out.extend_from_slice(&line.text))
            })?;
            file.commit()?;
            let written = Written { path, hour: Timestamp(hour), bytes, rows: count };
            let end = hour.saturating_add(HOUR);
            let is_last = self.open.keys().next().is_none_or(|next| next.saturating_add(HOUR) > until);
            // Until all are out, the others may need what they needed before.
            let needs = if is_last { needs } else { self.place.out.needs.0 };
            self.place.commit(end, needs, Some(&written))?;
        }
        if until > self.place.until() { self.place.commit(until, needs, None) } else { Ok(()) }
    }

    /// Nothing will come at all.
    pub(super) fn finish(&mut self) -> Result<()> {
        let Some((&last, _)) = self.open.last_key_value() else { return Ok(()) };
        let until = last.saturating_add(HOUR);
        self.pass(until, until)
    }
}
