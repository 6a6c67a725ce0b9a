//! Flows as a table.

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
use crate::sink::flows::FlowSink;
#[cfg(feature = "payload")]
use crate::sink::said;
use crate::views::flows::columns::Piece;
use crate::views::flows::{Cell, Columns, FlowCounts, FlowRecord};

/// Flows as rows of their columns.
#[derive(Debug)]
pub struct FlowRows {
    columns: Columns,
    rows: Rows,
}

impl FlowRows {
    /// Rows of such columns.
    #[must_use]
    pub fn new(columns: Columns, style: Style, about: &About) -> FlowRows {
        let list = columns.list();
        let schema = schema(&list, style, about.dialect, about.metadata());
        FlowRows { columns, rows: Rows::new(&list, style, schema) }
    }

    /// Appends a flow.
    ///
    /// # Errors
    /// As [`Rows::end`].
    pub fn push(&mut self, flow: &FlowRecord) -> Result<()> {
        let rows = &mut self.rows;
        self.columns.show(flow, |piece| match piece {
            Piece::Run(cells, places) => rows.run(cells, places),
            piece => each_cell(piece, |cell| rows.cell(cell)),
        });
        rows.end()
    }

    /// The rows.
    pub fn rows(&mut self) -> &mut Rows {
        &mut self.rows
    }
}

/// Shows the cells of a piece, in the order of columns.
#[inline]
fn each_cell(piece: Piece<'_>, mut to: impl FnMut(&Cell<'_>)) {
    match piece {
        Piece::Cell(cell) => to(cell),
        Piece::Run(cells, places) => places.for_each(|at| cells.show(at, &mut to)),
        #[cfg(feature = "payload")]
        Piece::Said(cell) => to(&said::typed(&cell)),
        Piece::Figures(count, figures) => {
            to(&Cell::Count(count));
            figures.into_iter().for_each(|figure| to(&Cell::Float(figure)));
        }
    }
}

/// A flow as a row of packed cells, for [`Rows::packed`].
#[cfg(feature = "watch")]
pub(crate) fn packed(columns: &Columns, flow: &FlowRecord) -> Vec<u8> {
    let mut row = Vec::new();
    columns.show(flow, |piece| each_cell(piece, |cell| packed::put(cell, &mut row)));
    row
}

/// Writes flows into a file.
pub struct FlowTable<W: Write + Send> {
    flows: FlowRows,
    file: Option<TableFile<W>>,
    done: Option<W>,
}

impl<W: Write + Send> FlowTable<W> {
    /// Begins the table; `name` names `out` in errors.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(
        out: W,
        name: impl Into<PathBuf>,
        form: Form,
        columns: Columns,
        style: Style,
        about: &About,
    ) -> Result<FlowTable<W>> {
        let mut flows = FlowRows::new(columns, style, about);
        let file = Some(TableFile::create(out, name, form, flows.rows().schema())?);
        Ok(FlowTable { flows, file, done: None })
    }

    /// Gives the stream back, if the metrics have come, which complete the file.
    pub fn into_inner(self) -> Option<W> {
        self.done
    }
}

impl<W: Write + Send> FlowSink for FlowTable<W> {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.flows.push(flow)?;
        match &mut self.file {
            Some(file) => file.fill(&mut self.flows.rows),
            None => Ok(()),
        }
    }

    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        self.done = Some(file.close(&mut self.flows.rows, closing(metrics))?);
        Ok(())
    }
}
