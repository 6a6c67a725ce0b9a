//! Buckets as a table.

use std::io::Write;
use std::path::PathBuf;

use super::about::{About, closing};
use super::file::{Form, TableFile};
#[cfg(feature = "watch")]
use super::packed;
use super::rows::Rows;
use super::schema::{Style, schema};
use crate::error::Result;
use crate::sink::Metrics;
use crate::sink::buckets::BucketSink;
use crate::sink::metrics::OwnedMetrics;
use crate::views::buckets::{self, BucketCounts, COLUMNS, Row};
use crate::views::flows::columns::Kind;
use crate::views::flows::{Cell, FeatureColumn};

/// Buckets as rows.
#[derive(Debug)]
pub struct BucketRows {
    rows: Rows,
    sensors: bool,
    sensor: Option<String>,
    mono_origin: Option<i64>,
}

/// The columns of buckets, as a table has them: with `sensors` whose they are, with `mono` what another clock shows.
#[must_use]
pub fn columns(sensors: bool, mono: bool) -> Vec<FeatureColumn> {
    let front =
        sensors.then_some(FeatureColumn { name: "sensor", kind: Kind::Text, unit: "", about: "where it was seen" });
    let head = buckets::HEAD.iter().filter(|column| mono || column.name != "t_mono_ns").copied();
    let count = |column: &buckets::Column| FeatureColumn {
        name: column.name,
        kind: Kind::Integer,
        unit: column.unit,
        about: column.about,
    };
    front.into_iter().chain(head).chain(COLUMNS.iter().map(count)).collect()
}

impl BucketRows {
    /// Rows as [`crate::sink::buckets::BucketWriter`] has them.
    #[must_use]
    pub fn new(mono_origin: Option<i64>, sensors: bool, style: Style, about: &About) -> BucketRows {
        let list = columns(sensors, mono_origin.is_some());
        let schema = schema(&list, style, about.dialect, about.metadata());
        BucketRows { rows: Rows::new(&list, style, schema), sensors, sensor: None, mono_origin }
    }

    /// The rows that follow are of this sensor.
    pub fn turn_to(&mut self, sensor: Option<&str>) {
        self.sensor = sensor.map(str::to_owned);
    }

    /// Appends a bucket.
    ///
    /// # Errors
    /// As [`Rows::end`].
    pub fn push(&mut self, row: &Row) -> Result<()> {
        let BucketRows { rows, sensor, .. } = self;
        if self.sensors {
            rows.cell(&sensor.as_deref().into());
        }
        each_cell(row, self.mono_origin, |cell| rows.cell(cell));
        rows.end()
    }

    /// The rows.
    pub fn rows(&mut self) -> &mut Rows {
        &mut self.rows
    }
}

/// Shows the cells of a bucket behind its sensor, in the order of columns.
fn each_cell(row: &Row, mono_origin: Option<i64>, mut to: impl FnMut(&Cell<'_>)) {
    to(&Cell::Time(row.start));
    to(&Cell::Span(row.width));
    to(&Cell::Count(row.buckets));
    if let Some(origin) = mono_origin {
        // Beyond 292 years it is as far as the number goes.
        to(&Cell::Integer(row.start.0.saturating_sub(origin)));
    }
    COLUMNS.iter().for_each(|column| to(&Cell::Count((column.get)(&row.counts))));
}

/// A bucket of a sensor as a row of packed cells, for [`Rows::packed`]; no other clock is shown.
#[cfg(feature = "watch")]
pub(crate) fn packed(sensor: &str, row: &Row) -> Vec<u8> {
    let mut cells = Vec::new();
    packed::put(&sensor.into(), &mut cells);
    each_cell(row, None, |cell| packed::put(cell, &mut cells));
    cells
}

/// Writes buckets into a file.
pub struct BucketTable<W: Write + Send> {
    buckets: BucketRows,
    file: TableFile<W>,
    metrics: Option<OwnedMetrics<BucketCounts>>,
}

impl<W: Write + Send> BucketTable<W> {
    /// Begins the table; `name` names `out` in errors. The rest is as with [`BucketRows::new`].
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(
        out: W,
        name: impl Into<PathBuf>,
        form: Form,
        (mono_origin, sensors): (Option<i64>, bool),
        style: Style,
        about: &About,
    ) -> Result<BucketTable<W>> {
        let mut buckets = BucketRows::new(mono_origin, sensors, style, about);
        let file = TableFile::create(out, name, form, buckets.rows().schema())?;
        Ok(BucketTable { buckets, file, metrics: None })
    }

    /// Ends the runs: completes the file, and gives the stream back with the metrics of all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> Result<(W, Option<OwnedMetrics<BucketCounts>>)> {
        let about = self.metrics.as_ref().map(|metrics| closing(&metrics.borrow()));
        Ok((self.file.close(&mut self.buckets.rows, about.into_iter().flatten())?, self.metrics))
    }
}

impl<W: Write + Send> BucketSink for BucketTable<W> {
    fn on_sensor(&mut self, sensor: Option<&str>) -> Result<()> {
        self.buckets.turn_to(sensor);
        Ok(())
    }

    fn on_bucket(&mut self, row: &Row) -> Result<()> {
        self.buckets.push(row)?;
        self.file.fill(&mut self.buckets.rows)
    }

    fn on_metrics(&mut self, metrics: &Metrics<BucketCounts>) -> Result<()> {
        OwnedMetrics::gather(&mut self.metrics, metrics);
        Ok(())
    }
}
