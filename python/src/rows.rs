//! Rows of a batch as dictionaries.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use pcap_compactor::Timestamp;
use pcap_compactor::sink::jsonl::Times;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyNone, PyString};

use crate::errors::EngineError;

/// The rows from `from` to `to`, a dictionary each.
pub(crate) fn rows<'py>(
    py: Python<'py>,
    batch: &RecordBatch,
    (from, to): (usize, usize),
    times: Times,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let rows: Vec<Bound<'py, PyDict>> = (from..to).map(|_| PyDict::new(py)).collect();
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let name = PyString::intern(py, field.name());
        for (row, at) in rows.iter().zip(from..to) {
            row.set_item(&name, value(py, column, at, times)?)?;
        }
    }
    Ok(rows)
}

/// A value as the JSON of the command line would be read.
fn value<'py>(py: Python<'py>, array: &dyn Array, at: usize, times: Times) -> PyResult<Bound<'py, PyAny>> {
    if array.is_null(at) {
        return Ok(PyNone::get(py).to_owned().into_any());
    }
    Ok(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(at).into_pyobject(py)?.to_owned().into_any(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(at).into_pyobject(py)?.into_any(),
        DataType::Float64 => match array.as_primitive::<Float64Type>().value(at) {
            number if number.is_finite() => number.into_pyobject(py)?.into_any(),
            // JSON has no other numbers.
            _ => PyNone::get(py).to_owned().into_any(),
        },
        DataType::Utf8 => PyString::new(py, array.as_string::<i32>().value(at)).into_any(),
        DataType::FixedSizeBinary(_) => PyBytes::new(py, array.as_fixed_size_binary().value(at)).into_any(),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let ns = array.as_primitive::<TimestampNanosecondType>().value(at);
            match times {
                Times::Nanoseconds => ns.into_pyobject(py)?.into_any(),
                Times::Seconds => seconds(Timestamp(ns)).into_pyobject(py)?.into_any(),
            }
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(at);
            let values = (0..items.len()).map(|at| value(py, &items, at, times)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, values)?.into_any()
        }
        other => return Err(EngineError::new_err(format!("no column is of type {other}"))),
    })
}

/// The number nearest to a time in seconds: what its decimals read as.
pub(crate) fn seconds(time: Timestamp) -> f64 {
    time.to_string().parse().unwrap_or(f64::NAN)
}
