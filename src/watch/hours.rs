//! The file of an hour: rows in one order, whatever came when, and the file whole when the hour is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::journal::Written;
use super::outlet::{Outlet, Place};
#[cfg(feature = "tables")]
use super::products::{of_hour, table};
use super::spans::{HOUR, Passed, hour};
use super::standing::Standing;
use crate::error::Result;
use crate::sink::atomic::AtomicFile;
use crate::sink::scratch::Scratch;
use crate::sink::sorted::{Record, Sorted};
#[cfg(feature = "tables")]
use crate::sink::tables::{About, Form, Style, rows::Rows, schema::schema};
use crate::time::Timestamp;
#[cfg(feature = "tables")]
use crate::views::flows::FeatureColumn;

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
        let scratch = || Scratch::with_output(self.place.folder().to_owned());
        let (rows, count) = self.open.entry(hour).or_insert_with(|| (Sorted::new(scratch()), 0));
        *count += 1;
        rows.push(Line { order, row })
    }

    /// Says how many rows stand in an hour that they are not of, as far as that was not said.
    fn tell_moved(&mut self) {
        let Moved { late, stray } = self.moved;
        let (new_late, new_stray) = (late - self.told.late, stray - self.told.stray);
        self.told = self.moved;
        let (product, Outlet { sensor, health, .. }) = (&self.place.product, self.place.outlet());
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

    /// Nothing of hours that end there or before will come.
    pub(super) fn pass(&mut self, passed: &Passed) -> Result<()> {
        let Passed { until, needs, is_quiet, .. } = *passed;
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
        while let Some(first) = self.open.first_entry().filter(|first| first.key().saturating_add(HOUR) <= until) {
            let (hour, (rows, count)) = first.remove_entry();
            let written = match self.place.stays(hour)? {
                true => {
                    self.place.left_out(hour, count);
                    None
                }
                false => {
                    let bytes = self.write(hour, self.place.create(hour)?, rows)?;
                    Some(Written { path: self.place.of_hour(hour), hour: Timestamp(hour), bytes, rows: count })
                }
            };
            let end = hour.saturating_add(HOUR);
            let is_last = self.open.keys().next().is_none_or(|next| next.saturating_add(HOUR) > until);
            // Until all are out, the others may need what they needed before. Behind the last of them is nothing until the end.
            let needs = if is_last { needs.min(end) } else { self.place.needs() };
            self.place.commit(end, needs, written.as_ref())?;
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
                table.close(&mut cells, of_hour(&self.place.outlet().sensor, Timestamp(hour)))?
            }
        };
        Ok(file.commit()?.length())
    }

    /// Up to where hours have rows or are out, nanoseconds.
    fn reaches(&self) -> i64 {
        let last = self.open.last_key_value().map_or(i64::MIN, |(last, _)| last.saturating_add(HOUR));
        last.max(self.place.until())
    }

    /// Nothing will come at all.
    fn end(&mut self, until: i64) -> Result<()> {
        self.pass(&Passed { product: 0, until, needs: until, is_quiet: false })?;
        self.place.end(until)
    }
}

/// How the hours of a product pass.
#[derive(Clone)]
pub(super) enum Hourly {
    /// Its rows have hours of their own.
    Rows(Rc<RefCell<Hours>>),
    /// They are written as windows close; of what, and what of it comes out.
    Windows(Arc<Standing>, [Place; 2]),
}

impl Hourly {
    /// What its view tells.
    pub(super) fn standing(&self) -> Arc<Standing> {
        match self {
            Hourly::Rows(hours) => Arc::clone(hours.borrow().standing()),
            Hourly::Windows(standing, _) => Arc::clone(standing),
        }
    }

    /// Up to where hours have been passed or are out, nanoseconds.
    pub(super) fn passed(&self) -> i64 {
        match self {
            Hourly::Rows(hours) => hours.borrow().passed(),
            Hourly::Windows(_, places) => places[0].until().min(places[1].until()),
        }
    }

    /// See [`Hours::resume`].
    pub(super) fn resume(&self, until: i64) {
        if let Hourly::Rows(hours) = self {
            hours.borrow_mut().resume(until);
        }
    }

    /// See [`Hours::pass`].
    pub(super) fn pass(&self, passed: &Passed) -> Result<()> {
        match self {
            Hourly::Rows(hours) => hours.borrow_mut().pass(passed),
            // Of windows that had records the files are there, and nothing reaches from one into the next.
            Hourly::Windows(_, places) => {
                let until = passed.until;
                let mut behind = places.iter().filter(|place| place.until() < until);
                behind.try_for_each(|place| place.commit(until, until, None))
            }
        }
    }

    /// Up to where hours had files when the run began, though they were not out; the earliest time if none had.
    pub(super) fn again(&self) -> i64 {
        match self {
            Hourly::Rows(hours) => hours.borrow().place.again(),
            Hourly::Windows(_, places) => places[0].again().max(places[1].again()),
        }
    }

    /// Up to where hours have records or are out, nanoseconds.
    fn reaches(&self) -> i64 {
        match self {
            Hourly::Rows(hours) => hours.borrow().reaches(),
            Hourly::Windows(_, places) => places[0].until().max(places[1].until()),
        }
    }

    fn end(&self, until: i64) -> Result<()> {
        match self {
            Hourly::Rows(hours) => hours.borrow_mut().end(until),
            Hourly::Windows(_, places) => places.iter().try_for_each(|place| place.end(until)),
        }
    }
}

/// Nothing will come at all: all products are out up to one time, and nothing is behind. A file that begins before that turns back, if it does not
/// for its `position`.
pub(super) fn end(outlet: &Outlet, products: &[Hourly], position: Timestamp) -> Result<()> {
    let Some(until) = products.iter().map(Hourly::reaches).max() else { return Ok(()) };
    products.iter().try_for_each(|product| product.end(until))?;
    outlet.end(Some(Timestamp(until)).filter(|until| *until > position))
}
