//! One pass over the captures: the engine in a thread of its own, and its batches as they come.
//!
//! The engine never asks for the interpreter, so it cannot wait for one who waits for it. Whoever takes batches looks after signals and
//! progress meanwhile, in a thread that came from Python; another one may hold up a third that waits for it, and has a [`Teller`].

use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use pcap_compactor::engine::Progress;
use pcap_compactor::engine::ledger::Tally;
use pcap_compactor::{Error, Result};
use pyo3::prelude::*;

use crate::calls::call;
use crate::errors::{EngineError, Problem, metrics_of_part, raised, with_ledger};
use crate::product::{Done, Outlet, Product};
use crate::reading::Found;
use crate::teller::Teller;

/// Batches that wait; with the one that grows and the one that is looked at, what a pass holds.
const WAITING: usize = 2;

/// How often signals and progress are looked after.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// How long an engine may take to stop.
const GRACE: Duration = Duration::from_secs(2);

/// What the last pass came to, as everybody who knows the query may ask.
#[derive(Default)]
pub(crate) struct Last {
    pub(crate) done: Option<Arc<Done>>,
    /// What it had counted when it ended early, a line of JSON.
    part: Option<String>,
    /// One that was left, until somebody asks what it had counted.
    left: Option<Arc<Left>>,
    /// Why it ended early.
    pub(crate) failure: Option<PyErr>,
}

/// A query, and what is known of its last pass.
pub(crate) struct Shared {
    pub(crate) product: Box<dyn Product>,
    pub(crate) schema: SchemaRef,
    last: Mutex<Last>,
}

impl Shared {
    pub(crate) fn new(product: Box<dyn Product>) -> Shared {
        Shared { schema: product.schema(), product, last: Mutex::default() }
    }

    pub(crate) fn last<T>(&self, look: impl FnOnce(&mut Last) -> T) -> T {
        look(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The metrics of the last pass, a line of JSON; of one that ended early the ledger. An engine that was left is waited for, so the
    /// thread had better not be attached to the interpreter.
    pub(crate) fn metrics(&self) -> Option<String> {
        if let Some(left) = self.last(|last| last.left.clone()) {
            let part = metrics_of_part(&left.ended());
            self.last(|last| {
                // Unless another pass has begun meanwhile.
                if last.left.take_if(|its| Arc::ptr_eq(its, &left)).is_some() {
                    last.part = Some(part);
                }
            });
        }
        self.last(|last| last.done.as_ref().map(|done| done.metrics.clone()).or_else(|| last.part.clone()))
    }

    fn note(&self, tally: &Tally) {
        self.last(|last| last.part = Some(metrics_of_part(tally)));
    }
}

/// A pass that begins when its first batch is asked for.
pub(crate) struct Pass {
    shared: Arc<Shared>,
    /// The thread that is known to have come from Python last.
    home: ThreadId,
    teller: Teller,
    /// The process that it was made in, the only one in which its engine runs.
    process: u32,
    /// Told how far the pass is: bytes, of how many, packets, and whether that is the end.
    report: Option<Arc<Py<PyAny>>>,
    state: State,
}

enum State {
    New,
    Running(Running),
    /// They are there already.
    Known(std::vec::IntoIter<RecordBatch>),
    Over,
}

struct Running {
    batches: Receiver<RecordBatch>,
    thread: JoinHandle<Result<Done>>,
    progress: Arc<Progress>,
    bytes: u64,
    problems: Vec<Problem>,
    looked: Instant,
}

impl Pass {
    pub(crate) fn new(shared: Arc<Shared>, report: Option<Py<PyAny>>) -> Pass {
        Pass::at(State::New, shared, report)
    }

    /// A pass over batches that are there already.
    pub(crate) fn known(shared: Arc<Shared>, batches: Vec<RecordBatch>) -> Pass {
        Pass::at(State::Known(batches.into_iter()), shared, None)
    }

    fn at(state: State, shared: Arc<Shared>, report: Option<Py<PyAny>>) -> Pass {
        let (home, teller) = (thread::current().id(), Teller::default());
        Pass { shared, home, teller, process: process::id(), report: report.map(Arc::new), state }
    }

    /// Notes that this thread came from Python: nobody holds the interpreter and waits for it.
    pub(crate) fn come_from_python(&mut self) {
        self.home = thread::current().id();
    }

    /// The next batch. The thread need not be attached to the interpreter, and had better not be.
    pub(crate) fn next_batch(&mut self) -> PyResult<Option<RecordBatch>> {
        let next = self.take();
        let running = if next.is_err() { self.stop() } else { None };
        next.map_err(|error| {
            let tally = running.map(|running| running.leave().ended());
            Python::attach(|py| {
                let error = tally.into_iter().fold(error, |error, tally| self.ended(py, error, &tally));
                self.shared.last(|last| last.failure = Some(error.clone_ref(py)));
                error
            })
        })
    }

    /// Asks the engine to stop; no batch will follow.
    fn stop(&mut self) -> Option<Running> {
        match std::mem::replace(&mut self.state, State::Over) {
            // What it holds is the parent's, and so are its locks.
            State::Running(running) if process::id() != self.process => {
                std::mem::forget(running);
                None
            }
            State::Running(running) => {
                running.progress.stop();
                Some(running)
            }
            _ => None,
        }
    }

    /// Ends the pass early. What it had counted is there for who asks; nobody waits here.
    pub(crate) fn give_up(&mut self) {
        if let Some(running) = self.stop() {
            let left = Arc::new(running.leave());
            self.shared.last(|last| last.left = Some(left));
        }
    }

    /// Why the pass ended early, with what it had counted.
    fn ended(&self, py: Python<'_>, error: PyErr, tally: &Tally) -> PyErr {
        self.shared.note(tally);
        with_ledger(py, error, tally)
    }

    fn take(&mut self) -> PyResult<Option<RecordBatch>> {
        if process::id() != self.process && matches!(self.state, State::Running(_)) {
            // Nobody would ever send: of threads only the one that forked goes on.
            return Err(EngineError::new_err(
                "this pass began before the process was forked, and its engine runs in the parent alone; begin another one here",
            ));
        }
        if let State::New = self.state {
            self.state = State::Over;
            self.shared.last(|last| *last = Last::default());
            let found = self.shared.product.sources().find().map_err(of_engine)?;
            self.state = State::Running(Running::begin(&self.shared, found).map_err(of_engine)?);
        }
        loop {
            let running = match &mut self.state {
                State::Running(running) => running,
                State::Known(batches) => return Ok(batches.next()),
                State::New | State::Over => return Ok(None),
            };
            let batch = running.batches.recv_timeout(LOOK.saturating_sub(running.looked.elapsed()));
            if running.looked.elapsed() >= LOOK {
                running.looked = Instant::now();
                let far = running.far(false);
                if thread::current().id() == self.home {
                    // While the interpreter collects garbage or ends there is nobody to ask.
                    Python::try_attach(|py| look_after(py, far, self.report.as_deref())).unwrap_or(Ok(()))?;
                } else if let Some(report) = self.report.clone() {
                    self.teller.tell(move |py| look_after(py, far, Some(&report)))?;
                }
            }
            match batch {
                Ok(batch) => return Ok(Some(batch)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Running(running) => {
                let progress = Arc::clone(&running.progress);
                let end = self.end(running);
                // Nobody will ask what comes of what is still told.
                self.teller = Teller::default();
                end.map_err(|error| Python::attach(|py| self.ended(py, error, &progress.tally())))
            }
            _ => Ok(None),
        }
    }

    /// The engine is at its end.
    fn end(&mut self, mut running: Running) -> PyResult<Option<RecordBatch>> {
        let (far, report) = (running.far(true), self.report.clone());
        self.tell(move |py| look_after(py, far, report.as_deref()))?;
        let mut problems = std::mem::take(&mut running.problems);
        let ran = running.thread.join().unwrap_or_else(|_| Err(Error::sink("the engine failed; please report this")));
        let mut done = ran.map_err(of_engine)?;
        problems.append(&mut done.problems);
        done.problems = problems;
        let done = Arc::new(done);
        self.shared.last(|last| last.done = Some(Arc::clone(&done)));
        if done.captures == 0 {
            return Err(Python::attach(|py| match done.problems.first() {
                Some(problem) => problem.raised(py),
                None => EngineError::new_err("none of the inputs is a capture that can be read"),
            }));
        }
        if !done.problems.is_empty() {
            self.tell(move |py| warn(py, &done.problems))?;
        }
        Ok(None)
    }

    /// Tells Python something at the end of a pass.
    fn tell(&mut self, what: impl FnOnce(Python<'_>) -> PyResult<()> + Send + 'static) -> PyResult<()> {
        if thread::current().id() == self.home {
            Python::try_attach(what).unwrap_or(Ok(()))
        } else {
            self.teller.tell_last(what)
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// A pass that was asked to stop.
struct Left {
    thread: JoinHandle<Result<Done>>,
    progress: Arc<Progress>,
}

impl Left {
    /// What had been read when it stopped. One that waits for a pipe may take long, and is not waited for.
    fn ended(&self) -> Tally {
        let until = Instant::now() + GRACE;
        while !self.thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        self.progress.tally()
    }
}

/// How far a pass is: bytes, of how many, packets, and whether that is the end.
type Far = (u64, u64, u64, bool);

impl Running {
    fn far(&self, is_end: bool) -> Far {
        (self.progress.bytes(), self.bytes, self.progress.packets(), is_end)
    }

    /// Takes no more batches.
    fn leave(self) -> Left {
        Left { thread: self.thread, progress: self.progress }
    }

    fn begin(shared: &Arc<Shared>, found: Found) -> Result<Running> {
        let (sender, batches) = bounded(WAITING);
        let progress = Arc::new(Progress::default());
        let (bytes, problems) = (found.bytes(), found.problems.clone());
        let (shared, its_progress) = (Arc::clone(shared), Arc::clone(&progress));
        let engine = move || shared.product.run(&found, &its_progress, &Outlet(sender));
        let thread = thread::Builder::new().name("pcap-compactor".into()).spawn(engine).map_err(Error::sink)?;
        Ok(Running { batches, thread, progress, bytes, problems, looked: Instant::now() })
    }
}

/// Lets a signal end the pass, and tells how far it is.
fn look_after(py: Python<'_>, far: Far, report: Option<&Py<PyAny>>) -> PyResult<()> {
    py.check_signals()?;
    report.map_or(Ok(()), |report| call(report.bind(py), far).map(drop))
}

/// Warns of what could not be read.
pub(crate) fn warn(py: Python<'_>, problems: &[Problem]) -> PyResult<()> {
    let warn = py.import("pcap_compactor.errors")?.getattr("warn")?;
    problems.iter().try_for_each(|problem| call(&warn, (&problem.message, problem.place(), problem.offset)).map(drop))
}

/// What the engine says, as an exception.
pub(crate) fn of_engine(error: Error) -> PyErr {
    Python::attach(|py| raised(py, &error))
}

/// A pass as readers of Arrow want it.
pub(crate) struct Stream {
    schema: SchemaRef,
    pass: Pass,
    /// Nobody asks for the failure behind it.
    alone: bool,
}

impl Stream {
    pub(crate) fn new(pass: Pass, alone: bool) -> Stream {
        Stream { schema: Arc::clone(&pass.shared.schema), pass, alone }
    }
}

impl Iterator for Stream {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pass.next_batch().map_err(|error| self.told(&error)).transpose()
    }
}

impl Stream {
    /// An exception as Arrow has room for it. That of Ctrl-C comes again when the reader is back.
    fn told(&self, error: &PyErr) -> ArrowError {
        let told = Python::try_attach(|py| {
            let is_interrupt = error.is_instance_of::<pyo3::exceptions::PyKeyboardInterrupt>(py);
            if is_interrupt && self.alone {
                // It is of the main thread, which signals go to.
                let _ = py.import("_thread").and_then(|thread| thread.call_method0("interrupt_main"));
            }
            let text = || call(&py.import("builtins")?.getattr("str")?, (error.value(py),))?.extract::<String>();
            if is_interrupt { "interrupted".to_owned() } else { text().unwrap_or_else(|_| "an exception".to_owned()) }
        });
        ArrowError::ExternalError(told.unwrap_or_else(|| "stopped".to_owned()).into())
    }
}

impl RecordBatchReader for Stream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
