//! The rows of a dialect, each with the flow that it is of.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Dialect;
use crate::engine::{Builder, Input, Report};
use crate::error::Result;
use crate::filter::Filter;
use crate::sink::Metrics;
use crate::sink::flows::FlowSink;
use crate::time::Timestamp;
use crate::views::flows::columns::Piece;
use crate::views::flows::{Cell, Columns, FlowCounts, FlowJob, FlowRecord, Settings};

/// The flow of a row: its ends, the smaller first, whoever is the client; its protocol; its earliest packet; and its number among
/// those for which these are equal, in the order of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    ends: [(IpAddr, u16); 2],
    protocol: u8,
    first: Timestamp,
    number: u32,
}

/// How many times the captures are read; readable from other threads while two dialects are compared.
#[derive(Debug, Default)]
pub struct Runs {
    begun: AtomicU64,
    expected: AtomicU64,
}

impl Runs {
    /// How many times in all, as far as that is known: what one run explains, others need not be tried for, and what it leaves
    /// may need more. At least 2, and in the end those that there were.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.expected.load(Ordering::Relaxed).max(2)
    }

    /// There will be so many more.
    pub(super) fn expect(&self, more: usize) {
        self.expected.store(self.begun.load(Ordering::Relaxed) + more as u64, Ordering::Relaxed);
    }

    fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs dialects over captures.
#[derive(Clone, Debug)]
pub(super) struct Runner {
    pub(super) engine: Builder,
    pub(super) filter: Filter,
    pub(super) usual: Settings,
    pub(super) captures: Vec<PathBuf>,
    pub(super) runs: Arc<Runs>,
}

impl Runner {
    /// Shows each row of a dialect.
    pub(super) fn run(
        &self,
        dialect: &Dialect,
        mut each: impl FnMut(Place, &[Cell<'static>]) -> Result<()>,
    ) -> Result<Report> {
        self.runs.begin();
        let settings = dialect.settings(self.usual.clone());
        let engine = self.engine.clone().filter(self.filter.clone().and(dialect.filter().clone()));
        // Many rows come when all has been read, and a stop is to be heeded then, too.
        let each = |place, cells: &[Cell<'static>]| {
            self.engine.stopped()?;
            each(place, cells)
        };
        let mut rows = Rows { columns: settings.columns.clone(), cells: Vec::new(), numbers: HashMap::new(), each };
        FlowJob::new(settings).engine(engine).run(self.captures.iter().map(Input::file).collect(), &mut rows)
    }
}

struct Rows<F> {
    columns: Columns,
    cells: Vec<Cell<'static>>,
    /// How many rows there have been of a place, by its first.
    numbers: HashMap<Place, u32>,
    each: F,
}

impl<F: FnMut(Place, &[Cell<'static>]) -> Result<()>> FlowSink for Rows<F> {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        let cells = &mut self.cells;
        cells.clear();
        self.columns.show(flow, |piece| match piece {
            Piece::Cell(cell) => cells.push(cell.owned()),
            Piece::Run(run, places) => cells.extend(places.map(|at| run.show(at, |cell| cell.owned()))),
            Piece::Figures(count, figures) => {
                cells.push(count.into());
                cells.extend(figures.map(Cell::from));
            }
            #[cfg(feature = "payload")]
            Piece::Said(cell) => cells.push(crate::sink::said::text(&cell).into()),
        });
        let mut ends = [(flow.src_ip, flow.src_port), (flow.dst_ip, flow.dst_port)];
        ends.sort();
        let mut place = Place { ends, protocol: flow.protocol, first: flow.first_ts, number: 0 };
        let number = self.numbers.entry(place).or_default();
        (place.number, *number) = (*number, *number + 1);
        (self.each)(place, cells)
    }

    fn on_metrics(&mut self, _: &Metrics<FlowCounts>) -> Result<()> {
        Ok(())
    }
}
