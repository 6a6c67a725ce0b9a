//! One thread: reads, decodes, resolves and merges in turn.

use super::plan::Plan;
use super::reader::{BATCH, Reader};
use super::view::View;
use super::worker::{Worker, merge};
use super::{Engine, Report};
use crate::capture::Records;
use crate::decode::{Decoder, Packet};
use crate::error::{ErrorKind, Result};
use crate::time::Timestamp;

pub(super) fn run(engine: &Engine, plan: Plan, views: &mut [&mut dyn View]) -> Result<Report> {
    let mut report = Report { failed: plan.failed, ..Report::default() };
    let mut worker = Worker::new(views);
    let decoder = Decoder::new(engine.tunnels);
    let mut records = Records::default();
    let mut packets: Vec<Packet> = Vec::with_capacity(BATCH);
    let marks = views.iter().any(|view| view.wants_marks());
    let batches = views.iter().any(|view| view.wants_batches());
    for file in plan.files {
        let (number, next) = (file.number, file.next);
        let (path, first) = (file.path.clone(), file.first);
        let capture = match file.open(engine.io) {
            Ok(capture) => capture,
            Err(error) => {
                report.failed.push(error);
                continue;
            }
        };
        merge(vec![worker.begin(number, first, next)], views)?;
        let mut reader = Reader::new(path, capture, decoder, engine.dedup, engine.filter.clone(), &engine.progress)
            .with_marks(marks.then_some(next));
        let mut watermark = engine.lateness_ns.map(Watermark::new);
        loop {
            match reader.batch(&mut records, &mut packets) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if matches!(error.kind(), ErrorKind::Stopped) => return Err(error),
                Err(error) => {
                    report.failed.push(error);
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
            if batches {
                merge(vec![worker.hand_over()], views)?;
            }
        }
        if let Some(mark) = reader.last_mark() {
            merge(vec![worker.mark(mark)], views)?;
        }
        records.clear();
        let file = reader.finish();
        for view in &mut *views {
            view.file(number, &file)?;
        }
        report.files.push(file);
    }
    merge(vec![worker.close(None)], views)?;
    Ok(report)
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
