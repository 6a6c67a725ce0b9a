//! Where packets go: one file, files that are cut by time and size, or a writer.
//!
//! A file can be read while it grows: it begins with its header, and each write ends with a whole record. Where a write fails, what
//! is behind the last whole record is cut off.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::supervisor::Event;
use crate::capture::{Record, civil_from_days};
use crate::sink::atomic::{folder_of, temporary_name};
use crate::time::Timestamp;

/// How long behind a file's time its last packets may come.
const SLACK: Duration = Duration::from_secs(2);

/// Files that may begin in one second, of one name each.
const A_SECOND: u32 = 1000;

/// Where a capture goes.
#[non_exhaustive]
pub enum Output {
    /// One file.
    File {
        /// Its place; folders are made if they are missing. What is a pipe or a device is written into.
        path: PathBuf,
        /// Whether it may take the place of a file that is there.
        replace: bool,
    },
    /// Files in a folder.
    Folder(Folder),
    /// A writer, in blocks of whole records; the name is for messages.
    Writer(Box<dyn Write + Send>, &'static str),
}

/// A folder of files that follow one another.
///
/// A file is named by the UTC second of its first packet, `capture_YYYYMMDD_HHMMSS.pcap`. If there is one of that name, it is
/// `capture_YYYYMMDD_HHMMSS_001.pcap`, and so on: no file is ever written over. A stretch of time without packets has no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The folder; it is made if it is missing.
    pub path: PathBuf,
    /// What names begin with: letters, digits and `._-`, not beginning with `.` or `-`, at most 64 bytes. Default `capture`.
    pub prefix: String,
    /// A file ends where a multiple of this since 1970 is reached by packet time, so the first may be shorter; whole seconds, 1 s to 1 day.
    /// Default 60 s. Without further packets it is finished some 2 s behind that. A packet that comes later yet goes into the next.
    pub every: Duration,
    /// A file also ends before the packet that would make it larger than so many bytes, but holds one packet at least;
    /// 4096 or more. Default: none.
    pub size: Option<u64>,
}

impl Folder {
    /// Files of a minute.
    pub fn new(path: impl Into<PathBuf>) -> Folder {
        Folder { path: path.into(), prefix: "capture".into(), every: Duration::from_secs(60), size: None }
    }

    /// Checks all values.
    ///
    /// # Errors
    /// [`Failure::Setting`]: one is out of its bounds.
    pub fn check(&self) -> Result<(), Failure> {
        let refused = |message: String| Err(Failure::Setting(message));
        let Folder { prefix, every, size, .. } = self;
        let letters = prefix.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if !letters || prefix.starts_with(['.', '-']) || !(1..=64).contains(&prefix.len()) {
            return refused(format!(
                "`{prefix}` cannot begin the name of a file here: 1 to 64 letters, digits and `._-`"
            ));
        }
        if every.subsec_nanos() != 0 || !(1..=86_400).contains(&every.as_secs()) {
            return refused(format!("files of {every:?} are not made, only of whole seconds from 1 s to 1 day"));
        }
        match size {
            Some(size @ ..4096) => refused(format!("files of {size} bytes are not made, only of 4096 and more")),
            _ => Ok(()),
        }
    }

    /// Creates the file whose first packet comes at `time`.
    fn create(&self, time: Timestamp) -> Result<(File, PathBuf), Failure> {
        let failed = |path: &Path, source| Failure::Write { path: path.to_owned(), source };
        let stem = format!("{}_{}", self.prefix, second(time));
        for n in 0..A_SECOND {
            let name = if n == 0 { format!("{stem}.pcap") } else { format!("{stem}_{n:03}.pcap") };
            let path = self.path.join(name);
            let error = match File::create_new(&path) {
                Ok(file) => return Ok((file, path)),
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::AlreadyExists => {}
                ErrorKind::NotFound => {
                    fs::create_dir_all(&self.path).map_err(|source| failed(&self.path, source))?;
                    return File::create_new(&path).map_err(|source| failed(&path, source)).map(|file| (file, path));
                }
                _ => return Err(failed(&path, error)),
            }
        }
        Err(failed(&self.path.join(stem), ErrorKind::AlreadyExists.into()))
    }
}

/// `20251019_150000`, in UTC.
fn second(time: Timestamp) -> String {
    let seconds = time.seconds();
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    format!("{year:04}{month:02}{day:02}_{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// A file that is finished, or what was written in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The file; of a writer its name, of a folder the folder.
    pub path: PathBuf,
    /// Packets in it.
    pub packets: u64,
    /// Bytes of it, headers included.
    pub bytes: u64,
    /// Times of its first and its last packet, in the order in which they came.
    pub times: Option<(Timestamp, Timestamp)>,
}

impl Written {
    fn count(&mut self, packets: usize, first: Timestamp, last: Timestamp) {
        self.packets += packets as u64;
        self.times = Some((self.times.map_or(first, |(first, _)| first), last));
    }
}

/// What is written into.
enum Sink {
    File(File),
    Writer(Box<dyn Write + Send>),
}

/// Where a file of a folder ends.
#[derive(Clone, Copy)]
struct Cut {
    /// The packet time at which the next one begins.
    until: Timestamp,
    /// When that time is over by the clock, so that it is finished without a packet, and also if times have gone back.
    over: Instant,
    /// The most bytes.
    size: u64,
}

/// What grows.
struct Open {
    out: Sink,
    written: Written,
    cut: Option<Cut>,
}

impl Open {
    /// How many of the records, which lie one behind the other from byte `from` on, still belong here, and where they end.
    fn room(&self, from: usize, records: &[Record]) -> (usize, usize) {
        let end = |record: &Record| record.offset as usize + record.captured as usize;
        let Some(cut) = self.cut else { return (records.len(), records.last().map_or(from, end)) };
        if self.written.packets > 0 && Instant::now() >= cut.over {
            return (0, from);
        }
        let (mut n, mut to) = (0, from);
        for record in records {
            let grown = self.written.bytes + (end(record) - from) as u64;
            if (record.time >= cut.until || grown > cut.size) && self.written.packets + n as u64 > 0 {
                break;
            }
            (n, to) = (n + 1, end(record));
        }
        (n, to)
    }

    /// Whether it is a file of a folder without a packet, or a file without even a header, as behind a failure.
    fn is_useless(&self) -> bool {
        let empty = if self.cut.is_some() { self.written.packets == 0 } else { self.written.bytes == 0 };
        // What is no file was there before.
        empty && matches!(&self.out, Sink::File(file) if file.metadata().is_ok_and(|there| there.is_file()))
    }

    /// Writes whole records, or none of them.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let done = match &mut self.out {
            Sink::File(file) => file.write_all(bytes).inspect_err(|_| {
                // A device cannot be cut, and a disk that fails altogether neither.
                let _ = file.set_len(self.written.bytes);
            }),
            Sink::Writer(out) => out.write_all(bytes).and_then(|()| out.flush()),
        };
        done.map_err(|source| Failure::Write { path: self.written.path.clone(), source })?;
        self.written.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Takes records, and tells of files.
pub(super) struct Store {
    output: Output,
    tell: Box<dyn FnMut(Event) + Send>,
    header: Vec<u8>,
    open: Option<Open>,
    total: Written,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("total", &self.total).finish_non_exhaustive()
    }
}

impl Store {
    pub(super) fn new(output: Output, tell: Box<dyn FnMut(Event) + Send>) -> Store {
        let path = match &output {
            Output::File { path, .. } => path.clone(),
            Output::Folder(folder) => folder.path.clone(),
            Output::Writer(_, name) => (*name).into(),
        };
        Store { output, tell, header: Vec::new(), open: None, total: Written { path, ..Written::default() } }
    }

    /// tcpdump captures, as a process of this number: what is there from the beginning is made.
    pub(super) fn prepare(&mut self, process: u32) -> Result<(), Failure> {
        (self.tell)(Event::Started { process });
        let failed = |path: &Path, source| Failure::Write { path: path.to_owned(), source };
        let out = match &mut self.output {
            Output::File { path, replace } => {
                Sink::File(create(path, *replace).map_err(|source| failed(path, source))?)
            }
            Output::Folder(folder) => {
                return fs::create_dir_all(&folder.path).map_err(|source| failed(&folder.path, source));
            }
            Output::Writer(out, _) => Sink::Writer(std::mem::replace(out, Box::new(io::sink()))),
        };
        let written = Written { path: self.total.path.clone(), ..Written::default() };
        self.open = Some(Open { out, written, cut: None });
        Ok(())
    }

    /// Takes the header of all files.
    pub(super) fn begin(&mut self, header: &[u8]) -> Result<(), Failure> {
        self.header = header.to_vec();
        let Some(open) = &mut self.open else { return Ok(()) };
        open.write(header)?;
        self.total.bytes += header.len() as u64;
        Ok(())
    }

    /// Takes whole records, which fill `bytes`.
    pub(super) fn records(&mut self, bytes: &[u8], mut records: &[Record]) -> Result<(), Failure> {
        let mut from = 0;
        while let [first, ..] = records {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.begin_file(first.time)?,
            };
            let (n, to) = open.room(from, records);
            let (run, rest) = records.split_at(n);
            if let Some(last) = run.last() {
                let wrote = open.write(&bytes[from..to]);
                if wrote.is_ok() {
                    open.written.count(run.len(), first.time, last.time);
                    self.total.count(run.len(), first.time, last.time);
                    self.total.bytes += (to - from) as u64;
                }
                self.open = Some(open);
                wrote?;
            } else {
                (self.tell)(Event::Finished(open.written));
            }
            (from, records) = (to, rest);
        }
        Ok(())
    }

    /// Begins the file whose first packet comes at `time`.
    fn begin_file(&mut self, time: Timestamp) -> Result<Open, Failure> {
        let Output::Folder(folder) = &self.output else {
            return Err(Failure::NoCapture("records came before it began".to_owned()));
        };
        let (file, path) = folder.create(time)?;
        let every = i64::try_from(folder.every.as_nanos()).unwrap_or(i64::MAX);
        let until = Timestamp(time.window_start(every).ns().saturating_add(every));
        let left = Duration::from_nanos(until.ns().abs_diff(time.ns()));
        let cut = Cut { until, over: Instant::now() + left + SLACK, size: folder.size.unwrap_or(u64::MAX) };
        let written = Written { path: path.clone(), ..Written::default() };
        let mut open = Open { out: Sink::File(file), written, cut: Some(cut) };
        if let Err(failure) = open.write(&self.header) {
            // A full disk: an empty file is of no use.
            let _ = fs::remove_file(&path);
            return Err(failure);
        }
        self.total.bytes += self.header.len() as u64;
        (self.tell)(Event::Opened { path });
        Ok(open)
    }

    /// Time passes: finishes the file whose time is over.
    pub(super) fn tick(&mut self) {
        if self.open.as_ref().and_then(|open| open.cut).is_some_and(|cut| Instant::now() >= cut.over) {
            self.finish_file();
        }
    }

    /// Finishes the file that grows.
    fn finish_file(&mut self) {
        match self.open.take() {
            Some(open) if open.is_useless() => _ = fs::remove_file(&open.written.path),
            Some(open) => (self.tell)(Event::Finished(open.written)),
            None => {}
        }
    }

    /// Nothing more will come; says what was written in all.
    pub(super) fn finish(&mut self) -> Written {
        self.finish_file();
        self.total.clone()
    }

    /// What was written so far.
    pub(super) fn total(&self) -> &Written {
        &self.total
    }
}

/// Creates the one file of a capture, in place of another if it may.
fn create(path: &Path, replace: bool) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        return OpenOptions::new().write(true).open(path);
    }
    // A link stays, and what it leads to is replaced.
    let target = if replace { path.canonicalize().unwrap_or_else(|_| path.to_owned()) } else { path.to_owned() };
    fs::create_dir_all(folder_of(&target))?;
    if !replace || target.symlink_metadata().is_err() {
        return File::create_new(&target);
    }
    // Whoever reads the old file goes on reading the old file.
    let temporary = folder_of(&target).join(temporary_name(&target));
    let file = File::create_new(&temporary)?;
    fs::rename(&temporary, &target).inspect_err(|_| _ = fs::remove_file(&temporary))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Capture, Io, PcapLayout, PcapWriter, Records};
    use crossbeam_channel::{Receiver, unbounded};

    const START: i64 = 1_760_886_000;

    /// Bytes of a capture, without and with its header; records of 16 + 60 bytes.
    fn stream(times: &[f64]) -> (Vec<u8>, Vec<u8>) {
        let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
        for time in times {
            writer.record(Timestamp(START * 1_000_000_000 + (time * 1e9) as i64), 60, &[7; 60]).unwrap();
        }
        let bytes = writer.finish().unwrap();
        (bytes[..24].to_vec(), bytes[24..].to_vec())
    }

    fn records(bytes: &[u8]) -> Vec<Record> {
        let record = |n: usize| {
            let at = n * 76;
            let word = |at: usize| i64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()));
            let time = Timestamp(word(at) * 1_000_000_000 + word(at + 4));
            Record { time, offset: at as u32 + 16, captured: 60, wire: 60, ..Record::default() }
        };
        (0..bytes.len() / 76).map(record).collect()
    }

    fn store(output: Output) -> (Store, Receiver<Event>) {
        let (tell, told) = unbounded();
        (Store::new(output, Box::new(move |event| drop(tell.send(event)))), told)
    }

    fn finished(told: &Receiver<Event>) -> Vec<(String, u64)> {
        let name =
            |written: Written| (written.path.file_name().unwrap().to_string_lossy().into_owned(), written.packets);
        told.try_iter()
            .filter_map(|event| if let Event::Finished(written) = event { Some(name(written)) } else { None })
            .collect()
    }

    /// Stores packets in a folder, so many at a time; names and packets of its files, which must be whole.
    fn stored(folder: &Folder, times: &[f64], at_once: usize) -> Vec<(String, u64)> {
        let (mut store, told) = store(Output::Folder(folder.clone()));
        let (header, bytes) = stream(times);
        store.prepare(1).unwrap();
        store.begin(&header).unwrap();
        for part in bytes.chunks(76 * at_once) {
            store.records(part, &records(part)).unwrap();
        }
        let total = store.finish();
        let files = finished(&told);
        assert_eq!(total.packets, times.len() as u64);
        for (name, packets) in &files {
            let path = folder.path.join(name);
            assert_eq!(read(&path), *packets);
        }
        assert_eq!(
            total.bytes,
            files.iter().map(|(name, _)| fs::metadata(folder.path.join(name)).unwrap().len()).sum::<u64>()
        );
        files
    }

    fn read(path: &Path) -> u64 {
        let mut capture = Capture::open(path, Io::Read).unwrap();
        let mut records = Records::default();
        let mut packets = 0;
        while capture.fill(&mut records, 1000).unwrap() {
            packets += records.list().len() as u64;
        }
        packets
    }

    fn named(files: &[(&str, u64)]) -> Vec<(String, u64)> {
        files.iter().map(|(name, packets)| (format!("capture_20251019_{name}.pcap"), *packets)).collect()
    }

    #[test]
    fn files_are_cut_at_multiples_of_their_time_whatever_comes_at_once() {
        // 15:00:00 UTC. The packet at 61.5 is late, and goes where there is room.
        let times = [5.25, 59.999, 60.0, 119.0, 61.5, 120.5, 600.0, 600.0];
        let expected = named(&[("150005", 2), ("150100", 3), ("150200", 1), ("151000", 2)]);
        for at_once in 1..=times.len() {
            let dir = tempfile::tempdir().unwrap();
            assert_eq!(stored(&Folder::new(dir.path().join("new")), &times, at_once), expected, "{at_once}");
        }
    }

    #[test]
    fn a_file_grows_to_its_size_and_no_name_is_used_twice() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder { size: Some(4096), ..Folder::new(dir.path()) };
        // 24 + 53 * 76 = 4052.
        let expected = named(&[("150000", 53), ("150000_001", 53), ("150000_002", 14)]);
        assert_eq!(stored(&folder, &[0.5; 120], 120), expected);
        let expected = named(&[("150000_003", 53), ("150000_004", 1)]);
        assert_eq!(stored(&folder, &[0.5; 54], 7), expected, "as behind a restart within the second");
        let mut sorted = expected.clone();
        sorted.sort();
        assert_eq!(sorted, expected);
    }

    #[test]
    fn a_file_without_further_packets_is_finished_by_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, told) =
            store(Output::Folder(Folder { every: Duration::from_secs(1), ..Folder::new(dir.path()) }));
        let (header, bytes) = stream(&[0.9]);
        store.prepare(1).unwrap();
        store.begin(&header).unwrap();
        store.records(&bytes, &records(&bytes)).unwrap();
        store.tick();
        assert_eq!(finished(&told), []);
        std::thread::sleep(SLACK + Duration::from_millis(150));
        store.tick();
        assert_eq!(finished(&told), named(&[("150000", 1)]));
        // A clock that was set back cuts by the time that has passed, too.
        let (_, bytes) = stream(&[-3600.0]);
        store.records(&bytes, &records(&bytes)).unwrap();
        assert_eq!(store.finish().packets, 2);
        assert_eq!(finished(&told), named(&[("140000", 1)]));
    }

    #[test]
    fn one_file_is_there_from_the_beginning_and_replaces_only_what_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.pcap");
        let file = |replace| store(Output::File { path: path.clone(), replace }).0;
        let (header, bytes) = stream(&[0.0, 1.0]);
        let mut first = file(false);
        first.prepare(1).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        first.begin(&header).unwrap();
        first.records(&bytes, &records(&bytes)).unwrap();
        assert_eq!(read(&path), 2, "before it is finished");
        let refused = file(false).prepare(1).unwrap_err();
        assert!(
            matches!(&refused, Failure::Write { source, .. } if source.kind() == ErrorKind::AlreadyExists),
            "{refused}"
        );
        let mut second = file(true);
        second.prepare(1).unwrap();
        first.records(&bytes, &records(&bytes)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"", "they do not meet");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_with_its_name() {
        let mut store = store(Output::File { path: "/dev/full".into(), replace: false }).0;
        store.prepare(1).unwrap();
        let failure = store.begin(&stream(&[]).0).unwrap_err().to_string();
        assert!(failure.starts_with("/dev/full: the disk is full"), "{failure}");
        assert_eq!(store.finish(), Written { path: "/dev/full".into(), ..Written::default() });
    }

    #[test]
    fn settings_of_folders_have_bounds() {
        let folder = Folder::new("x");
        folder.check().unwrap();
        for prefix in ["", ".x", "-x", "a/b", "ä", "a\0", &"x".repeat(65)] {
            assert!(Folder { prefix: prefix.into(), ..folder.clone() }.check().is_err(), "{prefix}");
        }
        for every in [Duration::ZERO, Duration::from_millis(1500), Duration::from_secs(86_401)] {
            assert!(Folder { every, ..folder.clone() }.check().is_err(), "{every:?}");
        }
        assert!(Folder { size: Some(4095), ..folder.clone() }.check().is_err());
        Folder { size: Some(4096), every: Duration::from_secs(86_400), prefix: "a.b_c-1".into(), ..folder }
            .check()
            .unwrap();
    }
}
