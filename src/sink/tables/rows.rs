//! Rows on their way into batches.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};

use super::alike::Different;
use super::block::Block;
use super::column::{self, Column, Form, Stranger};
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
    forms: Vec<Form>,
    /// Numbers of the last rows.
    block: Block,
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
        let columns: Vec<Column> = columns.iter().map(|column| Column::new(column.kind, style, ROWS)).collect();
        let forms = columns.iter().map(Column::form).collect();
        let block = Block::new(columns.len());
        Rows { schema: Arc::new(schema), columns, forms, block, at: 0, strange: None, rows: 0, items: 0 }
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Appends the next cell of a row. Where it is made its kind is known, so for most numbers this is a look at the column and a move.
    #[inline(always)]
    pub fn cell(&mut self, cell: &Cell<'_>) {
        let at = self.at;
        self.at += 1;
        match (self.forms.get(at), cell) {
            (Some(Form::Integer), Cell::Count(n)) if n.cast_signed() >= 0 => self.block.put(at, Some(*n)),
            (Some(Form::Integer), Cell::Integer(n)) => self.block.put(at, Some(n.cast_unsigned())),
            (Some(Form::Float), Cell::Float(n)) => self.block.put(at, Some(n.to_bits())),
            (Some(Form::Time), Cell::Time(time)) => self.block.put(at, Some(time.0.cast_unsigned())),
            _ => self.any(at, cell),
        }
    }

    #[inline(never)]
    fn any(&mut self, at: usize, cell: &Cell<'_>) {
        let number = match self.forms.get(at) {
            Some(Form::Integer) => column::integer(cell).map(|number| number.map(i64::cast_unsigned)),
            Some(Form::Float) => column::float(cell).map(|number| number.map(f64::to_bits)),
            Some(Form::Time) => column::time_of(cell).map(|number| number.map(i64::cast_unsigned)),
            Some(Form::Other) => match self.columns[at].push(cell) {
                Ok(items) => {
                    self.items += items;
                    return;
                }
                Err(stranger) => Err(stranger),
            },
            None => Err(Stranger),
        };
        match number {
            Ok(number) => self.block.put(at, number),
            Err(Stranger) => self.strange = self.strange.or(Some(at)),
        }
    }

    /// Appends the cells of features in these places. Most are numbers, and there are many.
    pub(super) fn run(&mut self, cells: &Cells, mut places: Range<usize>) {
        while !places.is_empty() {
            let plain = cells.plain().get(places.clone()).unwrap_or_default();
            let forms = self.forms.get(self.at..).unwrap_or_default();
            let (numbers, absent, bit) = self.block.row(self.at);
            let mut run = 0;
            for (((number, absent), form), plain) in numbers.iter_mut().zip(absent).zip(forms).zip(plain) {
                *number = match (form, *plain) {
                    (Form::Float, Plain::Float(n)) => n.to_bits(),
                    (Form::Integer, Plain::Count(n)) if n.cast_signed() >= 0 => n,
                    (Form::Float | Form::Integer, Plain::Absent) => {
                        *absent |= bit;
                        0
                    }
                    _ => break,
                };
                run += 1;
            }
            self.at += run;
            places.start += run;
            if let Some(at) = places.next() {
                cells.show(at, |cell| self.cell(cell));
            }
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
        self.items += at;
        self.block.end(&mut self.columns);
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
        self.block.hand_over(&mut self.columns);
        // Of columns that were full the next will be as long.
        let full = self.rows >= ROWS;
        let mut different = Different::default();
        let columns = self.columns.iter_mut().map(|column| different.first_like(column.finish(full))).collect();
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
    use arrow_array::{Array, ArrayRef};

    use super::*;
    use crate::sink::tables::schema::schema;
    use crate::time::Timestamp;
    use crate::views::flows::columns::Kind;

    const KINDS: [Kind; 5] = [Kind::Integer, Kind::Float, Kind::Text, Kind::Time, Kind::Integers];

    fn rows_of(columns: usize) -> Rows {
        let list: Vec<FeatureColumn> = (0..columns)
            .map(|at| FeatureColumn { name: "column", kind: KINDS[at % KINDS.len()], unit: "", about: "" })
            .collect();
        Rows::new(&list, Style::default(), schema(&list, Style::default(), None, HashMap::new()))
    }

    /// The cell of this row and column; every seventh is missing.
    fn cell(row: usize, column: usize) -> Cell<'static> {
        let n = (row * 1000 + column) as i64;
        match KINDS[column % KINDS.len()] {
            _ if (row + column).is_multiple_of(7) => Cell::Absent,
            Kind::Integer => Cell::Integer(-n),
            Kind::Float => Cell::Float(n as f64 + 0.5),
            Kind::Time => Cell::Time(Timestamp(n)),
            Kind::Text => n.to_string().into(),
            _ => Cell::Numbers(vec![n; row % 3]),
        }
    }

    fn back(array: &ArrayRef, row: usize, column: usize) -> Cell<'static> {
        match KINDS[column % KINDS.len()] {
            _ if array.is_null(row) => Cell::Absent,
            Kind::Integer => Cell::Integer(array.as_primitive::<Int64Type>().value(row)),
            Kind::Float => Cell::Float(array.as_primitive::<Float64Type>().value(row)),
            Kind::Time => Cell::Time(Timestamp(array.as_primitive::<TimestampNanosecondType>().value(row))),
            Kind::Text => array.as_string::<i32>().value(row).to_owned().into(),
            _ => {
                let items = array.as_list::<i32>().value(row);
                Cell::Numbers(items.as_primitive::<Int64Type>().values().to_vec())
            }
        }
    }

    #[test]
    fn every_cell_comes_back_from_where_it_went() {
        for columns in [0, 1, 5, 8, 21] {
            for count in [0, 1, 63, 64, 65, 200] {
                let mut rows = rows_of(columns);
                // The second batch has nothing of the first.
                for first in [0, 5] {
                    for row in 0..count {
                        (0..columns).for_each(|column| rows.cell(&cell(first + row, column)));
                        rows.end().unwrap();
                    }
                    let batch = rows.take().unwrap();
                    assert_eq!((batch.num_rows(), batch.num_columns()), (count, columns));
                    for (at, array) in batch.columns().iter().enumerate() {
                        for row in 0..count {
                            assert_eq!(
                                back(array, row, at),
                                cell(first + row, at),
                                "row {row} of {count}, column {at}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn cells_of_features_go_the_same_way() {
        let of_features =
            [Kind::Integer, Kind::Float, Kind::Integer, Kind::Float, Kind::Float, Kind::Text, Kind::Float];
        let list = of_features.map(|kind| FeatureColumn { name: "column", kind, unit: "", about: "" });
        let new = || Rows::new(&list, Style::default(), schema(&list, Style::default(), None, HashMap::new()));
        let (mut fast, mut slow) = (new(), new());
        for row in 0..130_u64 {
            let absent = |cell: Cell<'static>, every: u64| if row.is_multiple_of(every) { Cell::Absent } else { cell };
            let mut cells = Cells::default();
            cells.extend([
                absent(Cell::Count(row), 3),
                absent(Cell::Float(f64::NAN), 5),
                Cell::Integer(-1),
                Cell::Count(row),
                Cell::Float(-0.0),
                absent("text".into(), 2),
            ]);
            // The last column is of a place behind all.
            fast.run(&cells, 0..7);
            (0..7).for_each(|at| cells.show(at, |cell| slow.cell(cell)));
            fast.end().unwrap();
            slow.end().unwrap();
        }
        let (fast, slow) = (fast.take().unwrap(), slow.take().unwrap());
        for (fast, slow) in fast.columns().iter().zip(slow.columns()) {
            // By bits, as what is no number is not equal to itself.
            let (fast, slow) = (fast.to_data(), slow.to_data());
            assert_eq!((fast.buffers(), fast.nulls()), (slow.buffers(), slow.nulls()));
        }
        assert_eq!(fast.column(6).null_count(), 130);
        assert_eq!(fast.column(4).as_primitive::<Float64Type>().value(0).to_bits(), (-0.0_f64).to_bits());
    }

    #[test]
    fn what_is_no_cell_of_its_column_is_named() {
        let mut rows = rows_of(2);
        rows.cell(&Cell::Text("text".into()));
        rows.cell(&Cell::Float(1.0));
        assert!(rows.end().unwrap_err().to_string().contains("`column` is not of its kind"));
        let mut rows = rows_of(2);
        (0..3).for_each(|_| rows.cell(&Cell::Absent));
        assert!(rows.end().unwrap_err().to_string().contains("`none` is not of its kind"));
        let mut rows = rows_of(2);
        rows.cell(&Cell::Absent);
        assert!(rows.end().unwrap_err().to_string().contains("a row has 1 cells, of 2"));
        let mut rows = rows_of(1);
        rows.cell(&Cell::Count(u64::MAX));
        rows.end().unwrap_err();
    }
}
