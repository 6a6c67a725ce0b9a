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
    for file in plan.files {
        let number = file.number;
        merge(vec![worker.begin(number, file.first)], views)?;
        let path = file.path.clone();
        let capture = match file.open(engine.io) {
            Ok(capture) => capture,
            Err(error) => {
                report.failed.push(error);
                continue;
            }
        };
        let mut reader = Reader::new(path, capture, decoder, engine.dedup, &engine.progress);
        let mut newest = Timestamp::MIN;
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
            worker.packets(&packets, records.bytes());
            if let Some(before) = engine.watermark(packets.iter().map(|packet| packet.time).max(), &mut newest) {
                merge(vec![worker.close(Some(before))], views)?;
            }
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

impl Engine {
    /// With a lateness: what has fallen behind the newest packet by that much, once it moves on by a second.
    pub(super) fn watermark(&self, batch: Option<Timestamp>, newest: &mut Timestamp) -> Option<Timestamp> {
        let lateness = self.lateness_ns?;
        let now = batch?;
        if now.seconds() <= newest.seconds() && *newest != Timestamp::MIN {
            return None;
        }
        *newest = now;
        Some(Timestamp(now.0.saturating_sub(lateness)))
    }
}
