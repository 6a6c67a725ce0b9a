//! Rows on their way into batches.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};

use super::column::{Column, Stranger};
#[cfg(feature = "watch")]
use super::packed;
use super::schema::Style;
use crate::error::{Error, ErrorKind, Result};
use crate::views::flows::{Cell, Cells, FeatureColumn, Plain};

/// The most rows of a batch, and about the most items, lists being as many as they have.
const ROWS: usize = 1 << 13;
const ITEMS: usize = 1 << 22;

/// Cells in the order of columns, row by row.
#[derive(Debug)]
pub struct Rows {
    schema: SchemaRef,
    columns: Vec<Column>,
    /// The column of the next cell.
    at: usize,
    /// A cell that was no cell of its column.
    strange: Option<usize>,
    rows: usize,
    items: usize,
}

impl Rows {
    /// Rows of such columns, which `schema` has as well ([`super::schema::schema`]).
    #[must_use]
    pub fn new(columns: &[FeatureColumn], style: Style, schema: Schema) -> Rows {
        let columns = columns.iter().map(|column| Column::new(column.kind, style, ROWS)).collect();
        Rows { schema: Arc::new(schema), columns, at: 0, strange: None, rows: 0, items: 0 }
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Appends the next cell of a row.
    #[inline]
    pub fn cell(&mut self, cell: &Cell<'_>) {
        match self.columns.get_mut(self.at).map(|column| column.push(cell)) {
            Some(Ok(items)) => self.items += items,
            Some(Err(Stranger)) | None => self.strange = self.strange.or(Some(self.at)),
        }
        self.at += 1;
    }

    /// Appends the cells of features in these places. Most are numbers, and there are many.
    #[inline]
    pub(super) fn run(&mut self, cells: &Cells, places: Range<usize>) {
        for at in places {
            match (self.columns.get_mut(self.at), cells.plain().get(at)) {
                (Some(Column::Floats(floats)), Some(&Plain::Float(n))) => floats.append_value(n),
                (Some(Column::Integers(integers)), Some(&Plain::Count(n))) if i64::try_from(n).is_ok() => {
                    integers.append_value(n.cast_signed());
                }
                _ => {
                    cells.show(at, |cell| self.cell(cell));
                    continue;
                }
            }
            self.items += 1;
            self.at += 1;
        }
    }

    /// Ends a row.
    ///
    /// # Errors
    /// A cell was not of its column's kind, or there were more or fewer cells than columns.
    pub fn end(&mut self) -> Result<()> {
        let at = std::mem::take(&mut self.at);
        if let Some(at) = self.strange {
            let name = self.schema.fields().get(at).map_or("none", |field| field.name());
            return Err(ErrorKind::Invariant(format!("a cell of column `{name}` is not of its kind")).into());
        }
        if at != self.columns.len() {
            return Err(ErrorKind::Invariant(format!("a row has {at} cells, of {}", self.columns.len())).into());
        }
        self.rows += 1;
        Ok(())
    }

    /// Appends a row of packed cells. Behind an error they are of no use.
    ///
    /// # Errors
    /// They are none, or as [`Rows::end`].
    #[cfg(feature = "watch")]
    pub(crate) fn packed(&mut self, mut cells: &[u8]) -> Result<()> {
        while !cells.is_empty() {
            let Some(cell) = packed::take(&mut cells) else {
                return Err(ErrorKind::Invariant("a row that waited for its table is damaged".into()).into());
            };
            self.cell(&cell);
        }
        self.end()
    }

    /// Whether they are enough for a batch.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.rows >= ROWS || self.items >= ITEMS
    }

    /// Takes all rows as a batch.
    ///
    /// # Errors
    /// Something is wrong with them.
    pub fn take(&mut self) -> Result<RecordBatch> {
        // Of columns that were full the next will be as long.
        let full = self.rows >= ROWS;
        let columns = self.columns.iter_mut().map(|column| column.finish(full)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        self.items = 0;
        RecordBatch::try_new_with_options(self.schema(), columns, &options).map_err(Error::sink)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
}
