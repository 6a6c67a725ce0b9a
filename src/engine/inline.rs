//! One thread: reads, decodes, resolves and merges in turn; the files of a plan, or those of a feed as they come.

use std::collections::VecDeque;

use super::feed::{DISORDER, Feed, Next};
use super::plan::{Plan, Planned};
use super::reader::{BATCH, Reader};
use super::view::{Mark, View};
use super::worker::{Worker, merge};
use super::{Engine, FileReport, Report};
use crate::capture::Records;
use crate::decode::{Decoder, Packet};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;

/// Runs the files of a plan.
pub(super) fn run(engine: &Engine, plan: Plan, views: &mut [&mut dyn View]) -> Result<Report> {
    let mut report = Report { failed: plan.failed, ..Report::default() };
    let mut run = Run::new(engine, views, 0);
    let mut files: VecDeque<Planned> = plan.files;
    while let Some(file) = files.pop_front() {
        let (read, failed) = run.file(file)?;
        report.files.extend(read);
        report.failed.extend(failed);
    }
    run.close(None)?;
    Ok(report)
}

/// Runs the files of a feed, which hears of each; the report has no files, for there is no end to them.
pub(super) fn stream(engine: &Engine, feed: &mut dyn Feed, views: &mut [&mut dyn View]) -> Result<Report> {
    let mut report = Report::default();
    let mut run = Run::new(engine, views, DISORDER);
    let mut number = 0;
    loop {
        match feed.next()? {
            Next::File { path, next } => match Planned::one(path, number, next, engine.io) {
                Ok(file) => {
                    number = number.wrapping_add(1);
                    let path = file.path.clone();
                    let (read, failed) = run.file(file)?;
                    if let Some(read) = &read {
                        read.tally.intake.check(&read.path.display().to_string())?;
                        report.total.merge(&read.tally);
                    }
                    feed.read(&path, read, failed)?;
                }
                Err((path, error)) => feed.read(&path, None, Some(error))?,
            },
            Next::Quiet { until, follows } => run.quiet(until, follows)?,
            Next::End => break,
        }
    }
    run.close(None)?;
    Ok(report)
}

/// A run under way.
struct Run<'r, 'v> {
    engine: &'r Engine,
    views: &'r mut [&'v mut dyn View],
    worker: Worker,
    decoder: Decoder,
    records: Records,
    packets: Vec<Packet>,
    marks: bool,
    batches: bool,
    /// How far the clock stays behind the last packet, nanoseconds.
    behind: i64,
}

impl<'r, 'v> Run<'r, 'v> {
    fn new(engine: &'r Engine, views: &'r mut [&'v mut dyn View], behind: i64) -> Run<'r, 'v> {
        Run {
            engine,
            behind,
            worker: Worker::new(views),
            decoder: Decoder::new(engine.tunnels),
            records: Records::default(),
            packets: Vec::with_capacity(BATCH),
            marks: views.iter().any(|view| view.wants_marks()),
            batches: views.iter().any(|view| view.wants_batches()),
            views,
        }
    }

    /// Reads a file: what became of it, if it could be opened, and why it was not read to its end, if it was not.
    fn file(&mut self, file: Planned) -> Result<(Option<FileReport>, Option<Error>)> {
        let Run { engine, views, worker, records, packets, .. } = self;
        let (number, next) = (file.number, file.next);
        let (path, first) = (file.path.clone(), file.first);
        let capture = match file.open(engine.io) {
            Ok(capture) => capture,
            Err(error) => return Ok((None, Some(error))),
        };
        merge(vec![worker.begin(number, first, next)], views)?;
        let mut reader =
            Reader::new(path, capture, self.decoder, engine.dedup, engine.filter.clone(), &engine.progress)
                .with_marks(self.marks.then_some(next))
                .behind(self.behind, first);
        let mut watermark = engine.lateness_ns.map(Watermark::new);
        let mut failed = None;
        loop {
            match reader.batch(records, packets) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if matches!(error.kind(), ErrorKind::Stopped) => return Err(error),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
            let mut from = 0;
            if let Some(watermark) = &mut watermark {
                for at in 0..packets.len() {
                    if let Some(before) = watermark.moved(packets[at].time) {
                        worker.packets(&packets[from..=at], records.bytes());
                        merge(vec![worker.close(Some(before))], views)?;
                        from = at + 1;
                    }
                }
            }
            worker.packets(&packets[from..], records.bytes());
            if let Some(mark) = reader.mark() {
                merge(vec![worker.mark(mark)], views)?;
            }
            if self.batches {
                merge(vec![worker.hand_over()], views)?;
            }
        }
        if let Some(mark) = reader.last_mark() {
            merge(vec![worker.mark(mark)], views)?;
        }
        records.clear();
        let file = reader.finish();
        for view in &mut **views {
            view.file(number, &file)?;
        }
        Ok((Some(file), failed))
    }

    /// No packet before `until` will come; whether one behind it will is known.
    fn quiet(&mut self, until: Timestamp, follows: bool) -> Result<()> {
        let Run { views, worker, .. } = self;
        worker.quiet(until, follows);
        merge(vec![worker.close(Some(until))], views)?;
        let mark = Mark { newest: until, last: until, end: until, next_file: Timestamp::MAX, fragments: 0 };
        merge(vec![worker.mark(mark)], views)
    }

    fn close(&mut self, before: Option<Timestamp>) -> Result<()> {
        merge(vec![self.worker.close(before)], self.views)
    }
}

/// How far capture time has come in a stream. Packet by packet, so that it does not show how many come at once.
pub(super) struct Watermark {
    lateness: i64,
    newest: Option<i64>,
}

impl Watermark {
    pub(super) fn new(lateness: i64) -> Watermark {
        Watermark { lateness, newest: None }
    }

    /// Takes the next packet's time. When it begins a second that none before it has reached: the time that is now
    /// behind by the lateness.
    #[inline]
    pub(super) fn moved(&mut self, time: Timestamp) -> Option<Timestamp> {
        if self.newest.is_some_and(|newest| time.seconds() <= newest) {
            return None;
        }
        self.newest = Some(time.seconds());
        Some(Timestamp(time.0.saturating_sub(self.lateness)))
    }
}
