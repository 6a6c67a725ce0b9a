//! Calling what is written in Python.
//!
//! Before 3.14, Python ends a thread that asks for the interpreter while that is ending by `pthread_exit`, which unwinds its stack. Frames of
//! Rust do not survive that: the process aborts. A daemon thread comes to it wherever it lets go of the interpreter, so in any callback. It
//! stays where it is instead until the process has ended, as with 3.14, and as PyO3 has it where a thread attaches.

use std::hint::black_box;
use std::mem::{forget, transmute};
use std::ptr::null_mut;
use std::thread;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Calls something with a tuple of arguments.
///
/// # Errors
/// What it raises.
pub(crate) fn call<'py, T>(what: &Bound<'py, PyAny>, given: T) -> PyResult<Bound<'py, PyAny>>
where
    T: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error: Into<PyErr>>,
{
    called(what, &given.into_pyobject(what.py()).map_err(Into::into)?, None)
}

/// Calls something, with arguments by name as well.
///
/// # Errors
/// What it raises.
pub(crate) fn call_named<'py, T>(
    what: &Bound<'py, PyAny>,
    given: T,
    named: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>>
where
    T: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error: Into<PyErr>>,
{
    called(what, &given.into_pyobject(what.py()).map_err(Into::into)?, Some(named))
}

/// What PyO3's own call does, except that what is called may unwind.
#[allow(unsafe_code)]
fn called<'py>(
    what: &Bound<'py, PyAny>,
    given: &Bound<'py, PyTuple>,
    named: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    type Call = unsafe extern "C" fn(*mut PyObject, *mut PyObject, *mut PyObject) -> *mut PyObject;
    type MayUnwind = unsafe extern "C-unwind" fn(*mut PyObject, *mut PyObject, *mut PyObject) -> *mut PyObject;
    // The compiler must not see which function it is, of which PyO3 says that it never unwinds.
    let call: Call = black_box(ffi::PyObject_Call);
    // SAFETY: a function may be called by an ABI that differs from its own in `-unwind` alone.
    let call = unsafe { transmute::<Call, MayUnwind>(call) };
    let stays = Stays;
    // SAFETY: this thread is attached, as `what` tells; all of them live longer than the call; no dictionary is allowed.
    let back = unsafe { call(what.as_ptr(), given.as_ptr(), named.map_or(null_mut(), |named| named.as_ptr())) };
    forget(stays);
    // SAFETY: it gives back a reference of ours, or none and an exception.
    unsafe { Bound::from_owned_ptr_or_err(what.py(), back) }
}

/// Dropped by nothing but unwinding: no frame behind it is left, for it never comes back.
struct Stays;

impl Drop for Stays {
    fn drop(&mut self) {
        loop {
            thread::park();
        }
    }
}
