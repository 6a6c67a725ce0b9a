//! The package's family of exceptions, which `pcap_compactor/errors.py` defines.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use pcap_compactor::engine::ledger::Tally;
use pcap_compactor::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::calls::{call, call_named};

pyo3::import_exception!(pcap_compactor.errors, EngineError);
pyo3::import_exception!(pcap_compactor.errors, InputError);
pyo3::import_exception!(pcap_compactor.errors, OptionError);

/// Something is wrong with one place: of an input, or of a file that options name.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) path: Option<PathBuf>,
    pub(crate) offset: Option<u64>,
    pub(crate) message: String,
}

impl Problem {
    /// What the library says.
    pub(crate) fn of(error: &Error) -> Problem {
        Problem { path: path(error).map(Path::to_owned), offset: None, message: error.to_string() }
    }

    /// The file as Python has names of files, which no name is lost in.
    pub(crate) fn place(&self) -> Option<&OsStr> {
        self.path.as_deref().map(Path::as_os_str)
    }

    /// As an exception of an input.
    pub(crate) fn raised(&self, py: Python<'_>) -> PyErr {
        self.exception(py).unwrap_or_else(|error| error)
    }

    fn exception(&self, py: Python<'_>) -> PyResult<PyErr> {
        let about = PyDict::new(py);
        about.set_item("path", self.place())?;
        about.set_item("offset", self.offset)?;
        let exception = call_named(py.get_type::<InputError>().as_any(), (&self.message,), &about)?;
        Ok(PyErr::from_value(exception))
    }
}

fn path(error: &Error) -> Option<&Path> {
    match error.kind() {
        ErrorKind::Io { path, .. } | ErrorKind::Table { path, .. } | ErrorKind::Watch { path, .. } => Some(path),
        _ => None,
    }
}

/// What the library says, as an exception.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    match error.kind() {
        ErrorKind::Config(message) => OptionError::new_err(message.clone()),
        ErrorKind::Io { .. } | ErrorKind::Table { .. } => Problem::of(error).raised(py),
        _ => EngineError::new_err(error.to_string()),
    }
}

/// The metrics of a run that ended early, a line of JSON.
pub(crate) fn metrics_of_part(tally: &Tally) -> String {
    serde_json::json!({ "complete": false, "ledger": tally.intake, "malformed_by": tally.malformed_by }).to_string()
}

/// An exception with what a run had counted: as its `metrics`, and as a note below its traceback. Of one that takes no attributes a warning
/// tells.
pub(crate) fn with_ledger(py: Python<'_>, error: PyErr, tally: &Tally) -> PyErr {
    let line = metrics_of_part(tally);
    let tell = || -> PyResult<()> {
        let note = py.import("pcap_compactor.errors")?.getattr("note_ledger")?;
        call(&note, (error.value(py), &line, tally.intake.read.packets)).map(drop)
    };
    if tell().is_err() {
        let message = format!("a run ended early, and its exception takes no attributes; it had counted {line}");
        // Where warnings are errors the exception is still the one to raise.
        let _ = crate::pass::warn(py, &[Problem { path: None, offset: None, message }]);
    }
    error
}
