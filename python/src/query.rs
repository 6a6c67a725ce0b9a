//! A query: a product by some options. It looks whether there is something to read when it is made, and reads that when somebody takes its
//! rows; it may be asked again.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_schema::ArrowError;
use arrow_schema::ffi::FFI_ArrowSchema;
use pcap_compactor::sink::jsonl::Times;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyCapsule, PyDict};

use crate::errors::{EngineError, OptionError, Problem};
use crate::options::Options;
use crate::pass::{Pass, Shared, Stream, of_engine};
use crate::products::bridge::Bridge;
use crate::products::buckets::Buckets;
use crate::products::flows::Flows;
use crate::products::groups::{Groups, Which};
use crate::reading::{Sources, style};
use crate::rows::rows;

/// A product by some options.
#[pyclass(frozen, module = "pcap_compactor._core")]
pub(crate) struct Query {
    shared: Arc<Shared>,
    /// Of scan summaries: the groups that they were left out of.
    groups: Option<Arc<Shared>>,
    times: Times,
}

/// A column: its name, its type in Arrow, its unit, what it means.
type About = (String, String, Option<String>, Option<String>);

/// Something that could not be read: the path, the offset, and what is to be said.
type Told = (Option<OsString>, Option<u64>, String);

#[pymethods]
impl Query {
    /// A query about `groups`, `scans`, `flows` or `buckets`. Scans that a whole pass over `groups` has
    /// come by need no pass of their own.
    #[new]
    #[pyo3(signature = (product, inputs, options, groups))]
    fn new(
        product: &str,
        inputs: Vec<PathBuf>,
        options: Bound<'_, PyDict>,
        groups: Option<&Bound<'_, Query>>,
    ) -> PyResult<Query> {
        let py = options.py();
        let options = Options::new(options);
        let sources = Sources::of(&options, inputs)?;
        let shared = match product {
            "groups" => Shared::new(Box::new(Groups::of(Which::Groups, sources, &options)?)),
            "scans" => Shared::new(Box::new(Groups::of(Which::Scans, sources, &options)?)),
            "flows" => Shared::new(Box::new(Flows::of(sources, &options)?)),
            "buckets" if options.has("dialect")? => Shared::new(Box::new(Bridge::of(sources, &options)?)),
            "buckets" => Shared::new(Box::new(Buckets::of(sources, &options)?)),
            other => return Err(OptionError::new_err(format!("there is no product `{other}`"))),
        };
        let sources = shared.product.sources().clone();
        py.detach(|| sources.find()).map_err(of_engine)?.something(py)?;
        let groups = groups.map(|groups| Arc::clone(&groups.get().shared));
        Ok(Query { shared: Arc::new(shared), groups, times: style(&options)?.times })
    }

    /// Its columns.
    #[getter]
    fn columns(&self) -> Vec<About> {
        let schema = &self.shared.schema;
        let about = |field: &arrow_schema::FieldRef| {
            let told = |key| field.metadata().get(key).cloned();
            (field.name().clone(), field.data_type().to_string(), told("unit"), told("meaning"))
        };
        schema.fields().iter().map(about).collect()
    }

    /// The schema, as Arrow's C data interface has it.
    fn schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.shared.schema.as_ref()).map_err(of_arrow)?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// A pass as Arrow's C stream; `alone` if nobody asks for the failure behind it.
    fn stream<'py>(&self, py: Python<'py>, report: Option<Py<PyAny>>, alone: bool) -> PyResult<Bound<'py, PyCapsule>> {
        let stream = FFI_ArrowArrayStream::new(Box::new(Stream::new(self.begin(report), alone)));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    /// A pass as rows.
    fn rows(&self, report: Option<Py<PyAny>>) -> RowPass {
        RowPass { pass: Mutex::new((self.begin(report), None)), times: self.times }
    }

    /// The metrics of the last pass, a line of JSON; of one that ended early the ledger.
    #[getter]
    fn metrics(&self, py: Python<'_>) -> Option<String> {
        py.detach(|| self.shared.metrics())
    }

    /// What the last pass could not read.
    #[getter]
    fn problems(&self) -> Vec<Told> {
        let told = |problem: &Problem| (problem.place().map(OsStr::to_owned), problem.offset, problem.message.clone());
        self.shared
            .last(|last| last.done.as_ref().map_or_else(Vec::new, |done| done.problems.iter().map(told).collect()))
    }

    /// Why the last pass ended early.
    #[getter]
    fn failure(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.shared
            .last(|last| last.failure.as_ref().map(|error| error.clone_ref(py)))
            .map(|error| error.into_value(py).into_any())
    }
}

impl Query {
    fn begin(&self, report: Option<Py<PyAny>>) -> Pass {
        let done = self.groups.as_ref().and_then(|groups| groups.last(|last| last.done.clone()));
        match done {
            Some(done) => Pass::known(Arc::clone(&self.shared), done.scans.clone()),
            None => Pass::new(Arc::clone(&self.shared), report),
        }
    }
}

fn of_arrow(error: ArrowError) -> PyErr {
    EngineError::new_err(error.to_string())
}

/// Rows that are made at once.
const ROWS: usize = 256;

/// A pass whose rows are dictionaries.
#[pyclass(frozen, module = "pcap_compactor._core")]
pub(crate) struct RowPass {
    pass: Mutex<(Pass, Option<(RecordBatch, usize)>)>,
    times: Times,
}

#[pymethods]
impl RowPass {
    /// Some more rows; nothing at the end.
    fn more<'py>(&self, py: Python<'py>) -> PyResult<Option<Vec<Bound<'py, PyDict>>>> {
        // Until its rows are made: another thread that asks meanwhile gets those behind them.
        let mut held = self.lock(py);
        let (pass, rest) = &mut *held;
        pass.come_from_python();
        let next = match rest.take() {
            Some(rest) => Some(rest),
            None => py.detach(|| pass.next_batch())?.map(|batch| (batch, 0)),
        };
        let Some((batch, from)) = next else { return Ok(None) };
        let to = (from + ROWS).min(batch.num_rows());
        let made = rows(py, &batch, (from, to), self.times)?;
        *rest = (to < batch.num_rows()).then_some((batch, to));
        Ok(Some(made))
    }

    /// Ends the pass early.
    fn stop(&self, py: Python<'_>) {
        self.lock(py).0.give_up();
    }
}

impl RowPass {
    /// Waits without the interpreter's lock, which who holds this one may need.
    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, (Pass, Option<(RecordBatch, usize)>)> {
        self.pass.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }
}
