//! The rows of a level of version 3.3, one by one, through all its files; and whether each is right by itself.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashSet};

use super::findings::Findings;
use super::folder::{Folder, Text, cells, integer};
use super::{Extent, PORTS, is_called};
use crate::capture::Pieces;

const BINS: &str = "timestamp,bin_start,bin_end,src_ip,dst_ip,count,total_bytes,flag_type";
const RAW: &str = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,flag_type,length";

/// Names of hosts and of flags, by number.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).expect("fewer than 2^32 names fit into memory");
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }

    pub(super) fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", |name| name)
    }
}

/// From whom, to whom, and the name of the flags.
pub(super) type Key = [u32; 3];

/// Packets and bytes.
pub(super) type Sum = (i64, i64);

/// A row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) start: i64,
    pub(super) key: Key,
    pub(super) sum: Sum,
    /// What tells a packet from others.
    pub(super) print: u64,
}

/// What an index says of a file.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) file: String,
    pub(super) number: usize,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) count: i64,
}

/// A level that is read.
pub(super) struct Level {
    pub(super) name: &'static str,
    pub(super) width: i64,
    /// What the index says of rows and times.
    pub(super) total: i64,
    pub(super) says: (i64, i64),
    /// What was read.
    pub(super) rows: i64,
    pub(super) packets: i64,
    pub(super) times: Extent,
    pub(super) hosts: HashSet<u32>,
    /// The file that is read, or was last.
    pub(super) file: String,
    place: String,
    /// Files that are to be read, with what the index says of them, if it says something.
    waiting: VecDeque<(String, Option<Chunk>)>,
    open: Option<Open>,
    /// Where slots of raw files begin, and how long they are.
    slot: Option<(i64, i64)>,
    /// The end of the file before, as the index has it.
    before: Option<i64>,
    last: Option<i64>,
    next: Option<Row>,
}

struct Open {
    text: Pieces<Text>,
    line: u64,
    rows: i64,
    times: Extent,
    chunk: Option<Chunk>,
}

impl Level {
    pub(super) fn new(
        name: &'static str,
        width: i64,
        place: String,
        whole: Option<String>,
        chunks: Vec<Chunk>,
        slot: Option<(i64, i64)>,
        total: i64,
        says: (i64, i64),
    ) -> Level {
        let chunks = chunks.into_iter().map(|chunk| (format!("{place}/{}", chunk.file), Some(chunk)));
        let waiting = whole.into_iter().map(|file| (file, None)).chain(chunks).collect();
        Level {
            name,
            width,
            total,
            says,
            rows: 0,
            packets: 0,
            times: Extent::default(),
            hosts: HashSet::new(),
            file: String::new(),
            place,
            waiting,
            open: None,
            slot,
            before: None,
            last: None,
            next: None,
        }
    }

    /// The next row, which stays.
    pub(super) fn peek(&mut self, folder: &mut Folder<'_>, names: &mut Names) -> Option<Row> {
        if self.next.is_none() {
            self.next = self.read(folder, names);
        }
        self.next
    }

    /// The next row.
    pub(super) fn take(&mut self, folder: &mut Folder<'_>, names: &mut Names) -> Option<Row> {
        self.peek(folder, names);
        self.next.take()
    }

    fn read(&mut self, folder: &mut Folder<'_>, names: &mut Names) -> Option<Row> {
        loop {
            let Some(open) = &mut self.open else {
                self.begin(folder)?;
                continue;
            };
            open.line += 1;
            let line = match open.text.line() {
                Ok(Some(line)) => line,
                Ok(None) => {
                    self.end(folder);
                    continue;
                }
                Err(error) => {
                    folder.findings.problem(&self.file, error, "viewers do not see the rows behind it");
                    self.end(folder);
                    continue;
                }
            };
            open.rows += 1;
            let header = if self.width == 1 { RAW } else { BINS };
            let width = header.split(',').count();
            let Some(cells) = cells(folder.findings, &self.file, open.line, line, width) else { continue };
            let row = row(folder.findings, names, &self.file, self.width, open.line, &cells);
            let within = open.chunk.as_ref().is_none_or(|chunk| chunk.start <= row.start && row.start < chunk.end);
            if !within {
                let what = format_args!("line {} is outside the time that the index has for it", row.line);
                folder.findings.problem(&self.file, what, "viewers do not load it with that time");
            }
            if self.last.is_some_and(|last| row.start < last) {
                let what = format_args!("line {} is earlier than the row before it", row.line);
                folder.findings.problem(&self.file, what, "viewers that search by time miss it");
            }
            open.times.add(row.start);
            self.last = Some(row.start);
            self.times.add(row.start);
            self.rows += 1;
            self.packets = self.packets.saturating_add(row.sum.0);
            self.hosts.extend(&row.key[..2]);
            return Some(row);
        }
    }

    /// Opens the next file, and reads its first line; nothing where there is none.
    fn begin(&mut self, folder: &mut Folder<'_>) -> Option<()> {
        let (file, chunk) = self.waiting.pop_front()?;
        self.file = file;
        let Some(mut text) = folder.pieces(&self.file) else { return Some(()) };
        let header = if self.width == 1 { RAW } else { BINS };
        match text.line() {
            Ok(first) => {
                let then = "viewers find cells by it, and show none";
                folder.findings.alike(&self.file, "its first line", &first.unwrap_or_default(), &header, then);
            }
            Err(error) => folder.findings.problem(&self.file, error, "viewers do not see what is in it"),
        }
        self.open = Some(Open { text, line: 1, rows: 0, times: Extent::default(), chunk });
        Some(())
    }

    /// Says whether the file that was read is as its index says.
    fn end(&mut self, folder: &mut Folder<'_>) {
        let Some(Open { rows, times, chunk: Some(chunk), .. }) = self.open.take() else { return };
        let file = format!("{}/index.json", self.place);
        let Chunk { number, start, end, count, .. } = chunk;
        let then = "viewers print that number";
        folder.findings.alike(&file, &format!("count of chunk {number}"), &count, &rows, then);
        let (first, last) = times.range();
        let next = self.waiting.front().and_then(|(_, next)| next.as_ref()).map(|next| next.start);
        // Where a slot of raw packets begins in which a time lies.
        let slot = |time: i64| {
            let (origin, width) = self.slot?;
            Some(time.saturating_sub(time.saturating_sub(origin).rem_euclid(width)))
        };
        let begins = [Some(first), self.before, slot(first)];
        let behind = last.saturating_add(self.width);
        let ends =
            [Some(behind), next, slot(last).zip(self.slot).map(|(begin, (_, width))| begin.saturating_add(width))];
        let load = "viewers load it for times of which it has nothing";
        if rows > 0 && !begins.contains(&Some(start)) {
            let what = format_args!("start of chunk {number} says {start}, but its first row is of {first}");
            folder.findings.problem(&file, what, load);
        }
        if rows > 0 && !ends.contains(&Some(end)) {
            let what = format_args!("end of chunk {number} says {end}, but its last row ends at {behind}");
            folder.findings.problem(&file, what, load);
        }
        self.before = Some(end);
    }
}

/// A row of these cells.
fn row(findings: &mut Findings, names: &mut Names, file: &str, width: i64, line: u64, cells: &[&str]) -> Row {
    let mut number = |at: usize| integer(findings, file, line, cells.get(at).copied().unwrap_or_default());
    let text = |at: usize| cells.get(at).copied().unwrap_or_default();
    if width == 1 {
        let [start, src_port, dst_port, flags, length] = [0, 3, 4, 5, 7].map(&mut number);
        for port in [src_port, dst_port].into_iter().filter(|port| !PORTS.contains(port)) {
            findings.problem(file, format_args!("line {line}: {port} is no port"), "viewers show it");
        }
        if !is_called(flags, text(6)) {
            let what = format_args!("line {line}: flags {flags} are not {}", text(6));
            findings.problem(file, what, "viewers give the packet another colour");
        }
        if length < 0 {
            findings.problem(file, format_args!("line {line}: {length} is no length"), "viewers sum it up");
        }
        let print = super::print(&(start, text(1), text(2), src_port, dst_port, flags, text(6), length));
        return Row { line, start, key: [1, 2, 6].map(|at| names.number(text(at))), sum: (1, length), print };
    }
    let [start, begin, end, count, bytes] = [0, 1, 2, 5, 6].map(&mut number);
    if begin != start || end.saturating_sub(begin) != width || begin.rem_euclid(width) != 0 || count < 1 {
        let what = format_args!("line {line}: that is no bin of {width} microseconds");
        findings.problem(file, what, "viewers draw it at another place, or not");
    }
    Row { line, start, key: [3, 4, 7].map(|at| names.number(text(at))), sum: (count, bytes), print: 0 }
}
