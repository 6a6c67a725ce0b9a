//! Telling Python from a thread that must not wait for the interpreter.
//!
//! A library may read a stream in a thread of its own while the one that called it holds the interpreter and waits. Who waits for the
//! interpreter there waits for ever. So what is to be told is told by a thread that nobody waits for, or not for long.

use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use pcap_compactor::Error;
use pyo3::prelude::*;

use crate::pass::of_engine;

/// How long the end of a pass waits until all is told. Where the interpreter is free it takes microseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is told, one thing behind another. Of what nobody asks any more, since this is dropped, an exception is written where Python
/// writes those that it can raise nowhere.
#[derive(Default)]
pub(crate) struct Teller {
    /// What comes of the last thing.
    last: Option<Receiver<PyResult<()>>>,
}

impl Teller {
    /// Tells something, if what was told before has been heard; who comes too late for this comes for the next.
    ///
    /// # Errors
    /// What was told before raised an exception.
    pub(crate) fn tell(&mut self, what: impl FnOnce(Python<'_>) -> PyResult<()> + Send + 'static) -> PyResult<()> {
        match self.last.as_ref().map(Receiver::try_recv) {
            Some(Ok(came)) => came?,
            Some(Err(TryRecvError::Empty)) => return Ok(()),
            Some(Err(TryRecvError::Disconnected)) | None => {}
        }
        self.last = Some(begin(None, what)?);
        Ok(())
    }

    /// Tells something behind all else, and waits a while until it is heard. It is heard later, too.
    ///
    /// # Errors
    /// What was told, or what was told before, raised an exception.
    pub(crate) fn tell_last(&mut self, what: impl FnOnce(Python<'_>) -> PyResult<()> + Send + 'static) -> PyResult<()> {
        let told = begin(self.last.take(), what)?;
        match told.recv_timeout(PATIENCE) {
            Ok(came) => came,
            Err(_) => {
                self.last = Some(told);
                Ok(())
            }
        }
    }
}

/// Tells something in a thread of its own, behind what is told before.
fn begin(
    before: Option<Receiver<PyResult<()>>>,
    what: impl FnOnce(Python<'_>) -> PyResult<()> + Send + 'static,
) -> PyResult<Receiver<PyResult<()>>> {
    // What comes of it changes hands, or stays with the thread: it lies nowhere unseen.
    let (sender, told) = bounded(0);
    let tell = move || {
        // One that ended without a word was not heard, as the interpreter ended.
        let came = before.and_then(|before| before.recv().ok()).unwrap_or(Ok(()));
        // While the interpreter ends there is nobody to tell.
        let came = came.and_then(|()| Python::try_attach(what).unwrap_or(Ok(())));
        if let Err(unsent) = sender.send(came)
            && let Err(error) = unsent.into_inner()
        {
            // Nobody asks any more: the pass is over.
            let _ = Python::try_attach(|py| error.write_unraisable(py, None));
        }
    };
    thread::Builder::new().name("pcap-teller".into()).spawn(tell).map_err(|error| of_engine(Error::sink(error)))?;
    Ok(told)
}
