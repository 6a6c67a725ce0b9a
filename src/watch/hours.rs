//! The file of an hour: rows in one order, whatever came when, and the file whole when the hour is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::health::Health;
use super::journal::{Journal, Out, Written};
use super::output::Output;
#[cfg(feature = "tables")]
use super::products::{of_hour, table};
use super::spans::{HOUR, hour};
use super::standing::Standing;
use crate::capture::hour_folder;
use crate::error::Result;
use crate::sink::atomic::AtomicFile;
use crate::sink::scratch::Scratch;
use crate::sink::sorted::{Record, Sorted};
#[cfg(feature = "tables")]
use crate::sink::tables::{About, Form, Style, rows::Rows, schema::schema};
use crate::time::Timestamp;
#[cfg(feature = "tables")]
use crate::views::flows::FeatureColumn;

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

    /// Removes the files of hours up to a time that were out before, are made again, and have no rows now: `has_rows` says which have.
    fn clear(&self, until: i64, has_rows: impl Fn(i64) -> bool) -> Result<()> {
        let stands = |hour: i64, path: &PathBuf| !has_rows(hour) && *path == self.of_hour(hour);
        let hours = self.journal.hours(&self.sensor, &self.product, self.out.until, Timestamp(until))?;
        for (_, path) in hours.iter().filter(|(hour, path)| stands(hour.0, path)) {
            self.output.remove(path)?;
            self.journal.unwrite(path)?;
        }
        Ok(())
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
    row: Vec<u8>,
}

impl Record for Line {
    type Before = ();

    fn write(&self, (): &mut (), out: &mut Vec<u8>) {
        out.extend_from_slice(&self.order.to_le_bytes());
        out.extend_from_slice(&self.row);
    }

    fn read((): &mut (), bytes: &mut &[u8]) -> Line {
        let (order, row) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
        Line { order: i64::from_le_bytes(*order), row: row.to_vec() }
    }

    fn beside(&self) -> usize {
        self.row.len()
    }
}

/// How rows stand in files.
pub(super) enum Layout {
    /// As they are, behind a first line.
    Text(Vec<u8>),
    /// In a table of these columns, whose cells they are, packed.
    #[cfg(feature = "tables")]
    Table(Form, Vec<FeatureColumn>, About),
}

/// The hours of a product that are under way.
pub(super) struct Hours {
    place: Place,
    standing: Arc<Standing>,
    layout: Layout,
    open: BTreeMap<i64, (Sorted<Line>, u64)>,
    /// What a clock has passed, where no packet said so.
    spoken: i64,
    /// Rows of hours that had been passed.
    moved: Moved,
    /// What was said of these.
    told: Moved,
    /// The last row with packets stands in such an hour, and is of one that came late.
    is_late: bool,
}

/// Rows that stand in an hour that they are not of, since the hour before was out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moved {
    /// Of packets that came late, and empty ones behind these.
    late: u64,
    /// Others: they should have been waited for.
    stray: u64,
}

/// A row and where it stands.
pub(super) struct Placed {
    /// What it is of, nanoseconds.
    pub(super) time: i64,
    /// Its place among the rows of the hour; of equal ones their bytes decide.
    pub(super) order: i64,
    /// It tells of a time without packets.
    pub(super) is_empty: bool,
    /// As its [`Layout`] wants it.
    pub(super) row: Vec<u8>,
}

impl Hours {
    pub(super) fn new(place: Place, layout: Layout) -> Hours {
        let (standing, open) = (Arc::default(), BTreeMap::new());
        let (moved, told) = (Moved::default(), Moved::default());
        Hours { place, standing, layout, open, spoken: i64::MIN, moved, told, is_late: false }
    }

    /// What its view tells.
    pub(super) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// Up to where hours have been passed or are out, nanoseconds.
    pub(super) fn passed(&self) -> i64 {
        self.standing.passed().max(self.place.until())
    }

    /// It goes on where hours up to `until` had been passed: what comes for these came late the first time, too.
    pub(super) fn resume(&mut self, until: i64) {
        self.standing.pass(until.min(self.place.until()));
    }

    /// Takes a row. One of an hour that is out was written before. One of an hour that was passed is of the first that was not, and that is counted:
    /// only packets that came late make such, and a gap that nobody knew of when the clock passed its hour.
    pub(super) fn row(&mut self, row: Placed) -> Result<()> {
        let Placed { time, order, is_empty, row } = row;
        let own = hour(time);
        let hour = own.max(self.standing.passed());
        if !is_empty {
            self.is_late = own < hour && self.standing.excuses(time);
        }
        if hour < self.place.until() {
            return Ok(());
        }
        // Rows of a gap stand behind the bucket that it begins behind.
        if own < hour && !(is_empty && own < self.spoken) {
            *(if self.is_late { &mut self.moved.late } else { &mut self.moved.stray }) += 1;
        }
        let scratch = || Scratch::with_output(self.place.output.path().to_owned());
        let (rows, count) = self.open.entry(hour).or_insert_with(|| (Sorted::new(scratch()), 0));
        *count += 1;
        rows.push(Line { order, row })
    }

    /// Says how many rows stand in an hour that they are not of, as far as that was not said.
    fn tell_moved(&mut self) {
        let Moved { late, stray } = self.moved;
        let (new_late, new_stray) = (late - self.told.late, stray - self.told.stray);
        self.told = self.moved;
        let Place { product, sensor, health, .. } = &self.place;
        health.moved(product, sensor, new_late, new_stray);
        if new_late > 0 {
            let what = format!(
                "{product}: {new_late} records of hours that were out stand in the next: their packets came late"
            );
            tracing::warn!(%sensor, "{what}");
            health.trouble(format!("{sensor}: {what}"));
        }
        if new_stray > 0 {
            let what = format!(
                "{product}: {new_stray} records stand in the hour behind their own, which was out too early: this is an error of the program; \
                 please report it"
            );
            tracing::error!(%sensor, "{what}");
            health.trouble(format!("{sensor}: {what}"));
        }
    }

    /// Nothing of hours that end at `until` or before will come; a clock says so if `is_quiet`.
    pub(super) fn pass(&mut self, until: i64, needs: i64, is_quiet: bool) -> Result<()> {
        self.standing.pass(until);
        if is_quiet {
            self.spoken = self.spoken.max(until);
        }
        if until <= self.place.until() {
            return Ok(());
        }
        if self.moved != self.told {
            self.tell_moved();
        }
        self.place.clear(until, |hour| self.open.contains_key(&hour))?;
        while let Some(first) = self.open.first_entry().filter(|first| first.key().saturating_add(HOUR) <= until) {
            let (hour, (rows, count)) = first.remove_entry();
            let path = self.place.of_hour(hour);
            let bytes = self.write(hour, self.place.create(&path)?, rows)?;
            let written = Written { path, hour: Timestamp(hour), bytes, rows: count };
            let end = hour.saturating_add(HOUR);
            let is_last = self.open.keys().next().is_none_or(|next| next.saturating_add(HOUR) > until);
            // Until all are out, the others may need what they needed before.
            let needs = if is_last { needs } else { self.place.out.needs.0 };
            self.place.commit(end, needs, Some(&written))?;
        }
        if until > self.place.until() { self.place.commit(until, needs, None) } else { Ok(()) }
    }

    /// Writes the file of an hour, and tells how long it is.
    #[cfg_attr(not(feature = "tables"), expect(unused_variables, reason = "text does not say of which hour it is"))]
    fn write(&self, hour: i64, mut file: AtomicFile, rows: Sorted<Line>) -> Result<u64> {
        let file = match &self.layout {
            Layout::Text(header) => {
                file.append(|out| out.extend_from_slice(header))?;
                rows.each(|line| file.append(|out| out.extend_from_slice(&line.row)))?;
                file
            }
            #[cfg(feature = "tables")]
            Layout::Table(form, columns, about) => {
                let schema = schema(columns, Style::default(), about.dialect, about.metadata());
                let mut cells = Rows::new(columns, Style::default(), schema);
                let mut table = table(file, *form, cells.schema())?;
                rows.each(|line| {
                    cells.packed(&line.row)?;
                    table.fill(&mut cells)
                })?;
                table.close(&mut cells, of_hour(&self.place.sensor, Timestamp(hour)))?
            }
        };
        Ok(file.commit()?.length())
    }

    /// Nothing will come at all.
    pub(super) fn finish(&mut self) -> Result<()> {
        let Some((&last, _)) = self.open.last_key_value() else { return Ok(()) };
        let until = last.saturating_add(HOUR);
        self.pass(until, until, false)
    }
}
