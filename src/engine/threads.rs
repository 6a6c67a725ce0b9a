//! Many threads: readers decode, workers own shards, the calling thread reads too and merges.
//!
//! Each file has a bounded channel to each worker. Readers take files in order and announce them to every worker in that
//! order, so a worker sees whole files one after another, in order, whoever decoded them; a reader that is ahead waits
//! at its full channels. Buffers come back through a return channel. There is no lock but the one under which a reader
//! takes its next file.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, unbounded};

use super::inline::Watermark;
use super::plan::{Plan, Planned};
use super::reader::{BATCH, Reader};
use super::view::{Mark, Part, View};
use super::worker::{Worker, merge};
use super::{Engine, FileReport, Progress, Report};
use crate::capture::Bytes;
use crate::capture::Records;
use crate::decode::{Decoder, Packet, PairSeed};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;

/// Batches under way from one file to one worker.
const DEPTH: usize = 8;

/// What a reader sends a worker.
enum Message {
    Packets {
        packets: Vec<Packet>,
        bytes: Bytes,
    },
    /// No packet that is not late will come for windows that end here or before.
    Close(Timestamp),
    /// A marker inside the file, or at its end.
    Mark(Mark),
    /// The end of a batch.
    Batch,
}

/// A file as a worker hears of it.
struct Announced {
    number: u32,
    first: Timestamp,
    next: Timestamp,
    messages: Receiver<Message>,
}

/// What the calling thread is told.
enum News {
    /// What a worker closed, with the number of the marker.
    Closed(u64, Vec<Option<Part>>),
    /// A file has been read; comes in front of what its packets complete.
    Read(u32, Box<FileReport>),
}

/// Where readers take their files, and announce them.
struct Desk {
    plan: Plan,
    /// A view wants markers inside files.
    marks: bool,
    /// A view wants to be asked behind every batch.
    batches: bool,
    workers: Vec<Sender<Announced>>,
}

pub(super) fn run(engine: &Engine, plan: Plan, views: &mut [&mut dyn View]) -> Result<Report> {
    let mut report = Report::default();
    let (readers, workers) = split(engine, plan.files.len(), views.iter().any(|view| view.wants_order()));
    let decoder = Decoder::new(engine.tunnels);
    let pairs = PairSeed::random();
    let cores = if engine.pin { core_affinity::get_core_ids().unwrap_or_default() } else { Vec::new() };
    let (parts_in, parts_out) = unbounded::<News>();
    let (back_in, back_out) = unbounded::<Vec<Packet>>();
    let mut announce = Vec::new();
    let mut worker_inputs = Vec::new();
    for _ in 0..workers {
        let (sender, receiver) = unbounded::<Announced>();
        announce.push(sender);
        worker_inputs.push(receiver);
    }
    let marks = views.iter().any(|view| view.wants_marks());
    let batches = views.iter().any(|view| view.wants_batches());
    let desk = Mutex::new(Desk { plan, marks, batches, workers: announce });
    let shards: Vec<Worker> = (0..workers).map(|_| Worker::new(views)).collect();

    thread::scope(|scope| {
        for (i, (worker, input)) in shards.into_iter().zip(worker_inputs).enumerate() {
            let core = cores.get((readers + i) % cores.len().max(1)).copied();
            let (parts, back) = (parts_in.clone(), back_in.clone());
            scope.spawn(move || {
                core.map(core_affinity::set_for_current);
                work(worker, &input, &parts, &back);
            });
        }
        drop(back_in);
        let others: Vec<_> = (1..readers)
            .map(|i| {
                let core = cores.get(i % cores.len().max(1)).copied();
                let (desk, pairs, back, news) = (&desk, &pairs, back_out.clone(), parts_in.clone());
                scope.spawn(move || {
                    core.map(core_affinity::set_for_current);
                    let mut done = Done::default();
                    while let Some(file) = next(desk, &mut done, engine, workers)? {
                        read(file, engine, decoder, pairs, &back, &news, &mut done, || Ok(()))?;
                    }
                    Ok::<Done, Error>(done)
                })
            })
            .collect();

        let news = parts_in;
        if let Some(core) = cores.first().copied() {
            core_affinity::set_for_current(core);
        }
        let mut merger = Merger {
            news: parts_out,
            workers,
            waiting: BTreeMap::new(),
            next: 0,
            views,
            files: Vec::new(),
            progress: &engine.progress,
        };
        let mut done = Done::default();
        let mine = (|| {
            while let Some(file) = next(&desk, &mut done, engine, workers)? {
                read(file, engine, decoder, &pairs, &back_out, &news, &mut done, || merger.poll())?;
            }
            Ok(())
        })();
        drop(news);
        // Without the announcements' senders, workers end when the files that were announced have been read.
        {
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            desk.workers.clear();
            report.failed.append(&mut desk.plan.failed);
            if mine.is_err() {
                desk.plan.files.clear();
                engine.progress.stop();
            }
        }
        let merged = mine.and_then(|()| merger.finish());
        if merged.is_err() {
            engine.progress.stop();
            // Workers that are ahead of the merge must not wait for it.
            while merger.news.recv().is_ok() {}
        }
        report.files.append(&mut merger.files);
        report.failed.append(&mut done.failed);
        let mut stopped = None;
        for other in others {
            match other.join() {
                Ok(Ok(mut done)) => {
                    report.failed.append(&mut done.failed);
                }
                Ok(Err(error)) => stopped = Some(error),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        merged?;
        stopped.map_or(Ok(()), Err)
    })?;
    Ok(report)
}

/// How many threads read and how many own shards. Reading and decoding a packet costs about as much as a third to a half of
/// what the flow table and the views cost.
///
/// Closing by lateness follows the packets as they were read, so then one thread reads. A view that wants all packets in order
/// has one worker.
fn split(engine: &Engine, files: usize, in_order: bool) -> (usize, usize) {
    let readers = if engine.lateness_ns.is_some() { 1 } else { (engine.threads / 3).clamp(1, files.max(1)) };
    (readers, if in_order { 1 } else { engine.threads.saturating_sub(readers).max(1) })
}

#[derive(Default)]
struct Done {
    failed: Vec<Error>,
}

/// A file with its channels.
struct Taken {
    number: u32,
    reader_path: std::path::PathBuf,
    capture: crate::capture::Capture,
    /// When the next file begins, where markers are wanted.
    marks: Option<Timestamp>,
    batches: bool,
    channels: Vec<Sender<Message>>,
}

/// Takes the next file that opens, and announces it to all workers.
fn next(desk: &Mutex<Desk>, done: &mut Done, engine: &Engine, workers: usize) -> Result<Option<Taken>> {
    loop {
        let mut desk = desk.lock().map_err(|_| ErrorKind::Invariant("a reader panicked".into()))?;
        let Some(file) = desk.plan.files.pop_front() else { return Ok(None) };
        let Planned { number, first, next, .. } = file;
        let path = file.path.clone();
        let capture = match file.open(engine.io) {
            Ok(capture) => capture,
            Err(error) => {
                done.failed.push(error);
                continue;
            }
        };
        let mut channels = Vec::with_capacity(workers);
        for worker in &desk.workers {
            let (sender, messages) = bounded(DEPTH);
            channels.push(sender);
            // A worker that is gone has panicked; the scope will say so.
            let _ = worker.send(Announced { number, first, next, messages });
        }
        let marks = desk.marks.then_some(next);
        let batches = desk.batches;
        return Ok(Some(Taken { number, reader_path: path, capture, marks, batches, channels }));
    }
}

/// Reads a file to its end.
fn read(
    file: Taken,
    engine: &Engine,
    decoder: Decoder,
    pairs: &PairSeed,
    back: &Receiver<Vec<Packet>>,
    news: &Sender<News>,
    done: &mut Done,
    mut between: impl FnMut() -> Result<()>,
) -> Result<()> {
    let Taken { number, reader_path, capture, marks, batches, channels } = file;
    let workers = channels.len() as u64;
    let mut reader = Reader::new(reader_path, capture, decoder, engine.dedup, engine.filter.clone(), &engine.progress)
        .with_marks(marks);
    let mut records = Records::default();
    let mut watermark = engine.lateness_ns.map(Watermark::new);
    // With one worker its share is the batch, written over what was there; else packets are dealt out when the whole batch
    // is decoded, and in front of a marker all shares are sent.
    let whole = channels.len() == 1 && watermark.is_none();
    let fresh = || {
        let mut used = back.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH));
        if !whole {
            used.clear();
        }
        used
    };
    let mut shares: Vec<Vec<Packet>> = channels.iter().map(|_| fresh()).collect();
    let mut packets = Vec::new();
    let tell = |message: &dyn Fn() -> Message| {
        for channel in &channels {
            let _ = channel.send(message());
        }
    };
    loop {
        let decoded = if whole { &mut shares[0] } else { &mut packets };
        let more = match reader.batch(&mut records, decoded) {
            Ok(more) => more,
            Err(error) if matches!(error.kind(), ErrorKind::Stopped) => return Err(error),
            Err(error) => {
                done.failed.push(error);
                false
            }
        };
        if !more {
            break;
        }
        let send = |shares: &mut [Vec<Packet>]| {
            for (channel, share) in channels.iter().zip(shares) {
                if !share.is_empty() {
                    let packets = std::mem::replace(share, fresh());
                    let _ = channel.send(Message::Packets { packets, bytes: records.bytes.clone() });
                }
            }
        };
        if !whole {
            for packet in &packets {
                let shard = (u64::from(pairs.of(packet)) * workers) >> 32;
                shares[shard as usize].push(*packet);
                if let Some(before) = watermark.as_mut().and_then(|watermark| watermark.moved(packet.time)) {
                    send(&mut shares);
                    for channel in &channels {
                        let _ = channel.send(Message::Close(before));
                    }
                }
            }
        }
        send(&mut shares);
        if let Some(mark) = reader.mark() {
            tell(&|| Message::Mark(mark));
        }
        if batches {
            tell(&|| Message::Batch);
        }
        between()?;
    }
    if let Some(mark) = reader.last_mark() {
        tell(&|| Message::Mark(mark));
    }
    // The workers take the file for finished when its channels end, so the news of it goes first.
    let _ = news.send(News::Read(number, Box::new(reader.finish())));
    drop(channels);
    Ok(())
}

/// A worker's life: files in order, and a hand-over at each marker.
fn work(mut worker: Worker, files: &Receiver<Announced>, parts: &Sender<News>, back: &Sender<Vec<Packet>>) {
    let mut marker = 0;
    let mut hand_over = |closed| {
        let _ = parts.send(News::Closed(marker, closed));
        marker += 1;
    };
    for file in files {
        hand_over(worker.begin(file.number, file.first, file.next));
        for message in &file.messages {
            match message {
                Message::Packets { packets, bytes } => {
                    worker.packets(&packets, bytes.as_slice());
                    drop(bytes);
                    let _ = back.send(packets);
                }
                Message::Close(before) => hand_over(worker.close(Some(before))),
                Message::Mark(mark) => hand_over(worker.mark(mark)),
                Message::Batch => hand_over(worker.hand_over()),
            }
        }
    }
    hand_over(worker.close(None));
}

/// Merges what workers hand over, marker by marker.
struct Merger<'a, 'v> {
    news: Receiver<News>,
    workers: usize,
    waiting: BTreeMap<u64, Vec<Vec<Option<Part>>>>,
    next: u64,
    views: &'a mut [&'v mut dyn View],
    files: Vec<FileReport>,
    progress: &'a Progress,
}

impl Merger<'_, '_> {
    /// Merges what is there.
    fn poll(&mut self) -> Result<()> {
        loop {
            match self.news.try_recv() {
                Ok(news) => self.take(news)?,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Merges until all workers are done.
    fn finish(&mut self) -> Result<()> {
        while let Ok(news) = self.news.recv() {
            self.take(news)?;
        }
        Ok(())
    }

    fn take(&mut self, news: News) -> Result<()> {
        // After a stop, files end before they have been read: what closes behind them is not whole.
        self.progress.stopped()?;
        match news {
            News::Closed(marker, parts) => self.waiting.entry(marker).or_default().push(parts),
            News::Read(number, file) => {
                for view in &mut *self.views {
                    view.file(number, &file)?;
                }
                self.files.push(*file);
            }
        }
        while self.waiting.get(&self.next).is_some_and(|parts| parts.len() == self.workers) {
            let parts = self.waiting.remove(&self.next).unwrap_or_default();
            self.next += 1;
            merge(parts, self.views)?;
        }
        Ok(())
    }
}
