//! Rows of the bridge as a table.

use std::io::Write;
use std::path::PathBuf;

use super::about::{About, closing};
use super::file::{Form, TableFile};
use super::rows::Rows;
use super::schema::{Style, schema};
use crate::error::Result;
use crate::sink::Metrics;
use crate::sink::bridge::BridgeSink;
use crate::views::buckets::BucketCounts;
use crate::views::buckets::bridge::{COLUMNS, Row, Value};
use crate::views::flows::{Cell, FeatureColumn};

/// The columns, under the bridge's names.
#[must_use]
pub fn columns() -> Vec<FeatureColumn> {
    COLUMNS.iter().map(|column| column.about).collect()
}

/// Rows of the bridge as rows of a table.
#[derive(Debug)]
pub struct BridgeRows(Rows);

impl BridgeRows {
    /// None so far.
    #[must_use]
    pub fn new(about: &About) -> BridgeRows {
        // There is no address, and no length of time but those that are named with their unit.
        let (list, style) = (columns(), Style::default());
        let schema = schema(&list, style, about.dialect, about.metadata());
        BridgeRows(Rows::new(&list, style, schema))
    }

    /// Appends a row.
    ///
    /// # Errors
    /// As [`Rows::end`].
    pub fn push(&mut self, row: &Row) -> Result<()> {
        for column in COLUMNS {
            self.0.cell(&match (column.get)(row) {
                // What another clock shows may be beyond 292 years; then it is as far as the number goes.
                Value::Number(number) => Cell::Integer(number.clamp(i64::MIN.into(), i64::MAX.into()) as i64),
                Value::Word(word) => Cell::Text(word.into()),
                Value::Flag(flag) => Cell::Flag(flag),
            });
        }
        self.0.end()
    }

    /// The rows.
    pub fn rows(&mut self) -> &mut Rows {
        &mut self.0
    }
}

/// Writes rows of the bridge into a file.
pub struct BridgeTable<W: Write + Send> {
    rows: BridgeRows,
    file: TableFile<W>,
}

impl<W: Write + Send> BridgeTable<W> {
    /// Begins the table; `name` names `out` in errors.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(out: W, name: impl Into<PathBuf>, form: Form, about: &About) -> Result<BridgeTable<W>> {
        let mut rows = BridgeRows::new(about);
        let file = TableFile::create(out, name, form, rows.rows().schema())?;
        Ok(BridgeTable { rows, file })
    }

    /// Ends the run: completes the file with what it counted, and gives the stream back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self, metrics: &Metrics<'_, BucketCounts>) -> Result<W> {
        self.file.close(self.rows.rows(), closing(metrics))
    }
}

impl<W: Write + Send> BridgeSink for BridgeTable<W> {
    fn on_row(&mut self, row: &Row) -> Result<()> {
        self.rows.push(row)?;
        self.file.fill(self.rows.rows())
    }
}
