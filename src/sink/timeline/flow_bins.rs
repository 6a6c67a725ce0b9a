//! How many flows begin in bins of five widths, by pair of hosts: the files `flow_bins_*.json` of version 5.0.
//!
//! Flows are put in the order of their start. Then one walk fills all bins: a level has one bin open, and hands it to the next coarser when the
//! next begins. Bins begin at multiples of their width since the first packet; those without flows are not there.

use super::cells::{count, number};
use super::json::string;
use super::texts::Texts;
use crate::error::Result;
use crate::flow::varint::{LONGEST, append, put, take, unzigzag, zigzag};
use crate::sink::folder::{AtomicFolder, Part};
use crate::sink::sorted::{Record, Sorted};
use crate::views::timeline::{Host, Hosts};

/// Widths of bins: name, microseconds, and the longest time range in minutes for which a viewer takes it; the last takes the others. Each
/// is a multiple of the one before.
pub(super) const WIDTHS: [(&str, i64, u64); 5] = [
    ("1s", 1_000_000, 10),
    ("10s", 10_000_000, 120),
    ("1min", 60_000_000, 1440),
    ("10min", 600_000_000, 7200),
    ("hour", 3_600_000_000, 7200),
];

/// What became of flows, by the number that the list has for it.
pub(super) const KINDS: [&str; 10] = [
    "open",
    "graceful",
    "abortive",
    "ongoing",
    "rst_during_handshake",
    "invalid_ack",
    "invalid_synack",
    "incomplete_no_synack",
    "incomplete_no_ack",
    "unknown_invalid",
];

/// The first kind that is invalid.
pub(super) const INVALID: usize = 4;

/// A flow as bins count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Short {
    pub(super) start: i64,
    /// Its place among all, which orders those of one start.
    pub(super) number: u64,
    pub(super) end: i64,
    pub(super) pair: u32,
    pub(super) kind: u8,
    /// The first host of the pair sent its first packet.
    pub(super) by_low: bool,
}

impl Record for Short {
    /// The start.
    type Before = i64;

    fn write(&self, before: &mut i64, out: &mut Vec<u8>) {
        let mut bytes = [0; 5 * LONGEST];
        let begun = std::mem::replace(before, self.start);
        let mut at = put(&mut bytes, 0, zigzag(self.start.wrapping_sub(begun)));
        at = put(&mut bytes, at, self.number);
        at = put(&mut bytes, at, zigzag(self.end.wrapping_sub(self.start)));
        at = put(&mut bytes, at, self.pair.into());
        at = put(&mut bytes, at, u64::from(self.kind) << 1 | u64::from(self.by_low));
        append(out, &bytes, at);
    }

    fn read(before: &mut i64, bytes: &mut &[u8]) -> Short {
        let (start, number) = (before.wrapping_add(unzigzag(take(bytes))), take(bytes));
        let (end, pair, kind) = (start.wrapping_add(unzigzag(take(bytes))), take(bytes) as u32, take(bytes));
        *before = start;
        Short { start, number, end, pair, kind: (kind >> 1) as u8, by_low: kind & 1 == 1 }
    }
}

/// What a bin counts apart: the pair's place in the list, the kind, and whether the pair's second host sent the first packet. One number
/// is compared sooner than three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u64);

impl Key {
    fn new(rank: u32, kind: u8, by_high: bool) -> Key {
        Key(u64::from(rank) << 16 | u64::from(kind) << 8 | u64::from(by_high))
    }

    fn rank(self) -> u32 {
        (self.0 >> 16) as u32
    }

    fn kind(self) -> usize {
        usize::from((self.0 >> 8) as u8)
    }

    fn by_high(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Flows, the earliest start and the latest end.
type Sum = (u64, i64, i64);

/// A level with its open bin and its file.
struct Level {
    width: i64,
    at: i64,
    /// As they come; a key may come again.
    bin: Vec<(Key, Sum)>,
    file: Part,
    written: u64,
}

/// Pairs as the list has them.
pub(super) struct Pairs {
    /// Their places in the list, by number.
    pub(super) ranks: Vec<u32>,
    /// Their hosts, by place.
    pub(super) hosts: Vec<[Host; 2]>,
}

/// Writes the bins of all widths; how many each has.
pub(super) fn write(
    flows: Sorted<Short>,
    pairs: &Pairs,
    first: i64,
    folder: &AtomicFolder,
    hosts: &Hosts,
) -> Result<[u64; WIDTHS.len()]> {
    let names = Texts::of(hosts.names(), |name, out| string(name, out));
    let mut levels = Vec::new();
    for (name, width, _) in WIDTHS {
        let mut file = folder.file(&format!("indices/flow_bins_{name}.json"))?;
        file.append(b"[")?;
        levels.push(Level { width, at: 0, bin: Vec::new(), file, written: 0 });
    }
    let mut leave = |level: &mut Level, bin: &[(Key, Sum)]| level.write(bin, first, pairs, &names);
    flows.each(|flow| {
        let rank = pairs.ranks.get(flow.pair as usize).copied().unwrap_or(u32::MAX);
        let key = Key::new(rank, flow.kind, !flow.by_low);
        add(&mut levels, flow.start.saturating_sub(first), key, (1, flow.start, flow.end), &mut leave)
    })?;
    for from in 0..levels.len() {
        close(&mut levels[from..], &mut leave)?;
    }
    let mut written = [0; WIDTHS.len()];
    for (written, mut level) in written.iter_mut().zip(levels) {
        level.file.append(b"]")?;
        level.file.close()?;
        *written = level.written;
    }
    Ok(written)
}

/// Adds to the finest of levels, at a time since the first packet; bins that are complete are written and go on.
fn add(
    levels: &mut [Level],
    time: i64,
    key: Key,
    sum: Sum,
    leave: &mut impl FnMut(&mut Level, &[(Key, Sum)]) -> Result<()>,
) -> Result<()> {
    let Some(finest) = levels.first_mut() else { return Ok(()) };
    let at = time.div_euclid(finest.width);
    if at != finest.at {
        close(levels, leave)?;
    }
    let Some(finest) = levels.first_mut() else { return Ok(()) };
    finest.at = at;
    finest.bin.push((key, sum));
    Ok(())
}

/// Writes the open bin of the finest of levels, and adds it to the next.
fn close(levels: &mut [Level], leave: &mut impl FnMut(&mut Level, &[(Key, Sum)]) -> Result<()>) -> Result<()> {
    let Some((finest, others)) = levels.split_first_mut() else { return Ok(()) };
    if finest.bin.is_empty() {
        return Ok(());
    }
    let mut bin = std::mem::take(&mut finest.bin);
    // Bins of the finer level are in order already, and a stable sort makes use of that.
    bin.sort_by_key(|&(key, _)| key);
    bin.dedup_by(|(key, sum), (known, all)| {
        let again = key == known;
        if again {
            *all = together(*all, *sum);
        }
        again
    });
    leave(finest, &bin)?;
    let begin = finest.at.saturating_mul(finest.width);
    bin.drain(..).try_for_each(|(key, sum)| add(others, begin, key, sum, leave))?;
    finest.bin = bin;
    Ok(())
}

impl Level {
    /// Writes a bin, whose sums are in order.
    fn write(&mut self, bin: &[(Key, Sum)], first: i64, pairs: &Pairs, names: &Texts) -> Result<()> {
        let start = first.saturating_add(self.at.saturating_mul(self.width));
        let comma = if self.written == 0 { "" } else { "," };
        self.written += 1;
        let head = format!(
            "{comma}{{\"bin\":{},\"start\":{start},\"end\":{},\"flows_by_ip_pair\":{{",
            self.at,
            start.saturating_add(self.width)
        );
        self.file.append(head.as_bytes())?;
        for (nth, sums) in bin.chunk_by(|(a, _), (b, _)| a.rank() == b.rank()).enumerate() {
            let Some((key, _)) = sums.first() else { continue };
            let hosts = pairs.hosts.get(key.rank() as usize).copied().unwrap_or_default();
            self.file.append_with(|out| {
                if nth > 0 {
                    out.push(b',');
                }
                pair(hosts, names, sums, out);
            })?;
        }
        self.file.append(b"}}")
    }
}

/// Writes the flows of a pair in a bin.
fn pair(hosts: [Host; 2], names: &Texts, sums: &[(Key, Sum)], out: &mut Vec<u8>) {
    // Keys are in the order of kinds.
    let kinds = || sums.chunk_by(|(a, _), (b, _)| a.kind() == b.kind()).filter_map(of_kind);
    let both = |kind: usize| kinds().find(|&(known, _)| known == kind).map_or(0, |(_, (flows, ..))| flows);
    let of_side = |by_high: bool| {
        let side = sums.iter().filter(move |(key, _)| key.by_high() == by_high);
        side.map(|&(key, (flows, ..))| (key.kind(), flows))
    };
    let comma = |flows: u64, out: &mut Vec<u8>| count(flows, b',', out);
    out.extend_from_slice(unclosed(names.get(hosts[0])));
    out.extend_from_slice(b"<->");
    out.extend_from_slice(names.get(hosts[1]).get(1..).unwrap_or_default());
    out.extend_from_slice(b":{\"graceful\":");
    count(both(1), b',', out);
    out.extend_from_slice(b"\"abortive\":");
    count(both(2), b',', out);
    out.extend_from_slice(b"\"invalid\":");
    let invalid = kinds().filter(|&(kind, _)| kind >= INVALID).map(|(kind, (flows, ..))| (kind, flows));
    members(invalid, comma, out);
    out.extend_from_slice(b",\"ongoing\":");
    count(both(3), b',', out);
    out.extend_from_slice(b"\"open\":");
    count(both(0), b',', out);
    out.extend_from_slice(b"\"initiated_by\":{");
    names.put(hosts[0], out);
    out.push(b':');
    members(of_side(false), comma, out);
    if hosts[0] != hosts[1] {
        out.push(b',');
        names.put(hosts[1], out);
        out.push(b':');
        members(of_side(true), comma, out);
    }
    out.extend_from_slice(b"},\"ranges\":");
    let range = |(_, start, end): Sum, out: &mut Vec<u8>| {
        out.push(b'[');
        number(start, b',', out);
        number(end, b']', out);
        out.push(b',');
    };
    members(kinds(), range, out);
    out.push(b'}');
}

/// A string without the quote at its end.
fn unclosed(string: &[u8]) -> &[u8] {
    string.split_last().map_or(b"", |(_, rest)| rest)
}

/// All flows of a kind, of which these are the sums.
fn of_kind(sums: &[(Key, Sum)]) -> Option<(usize, Sum)> {
    let (key, _) = sums.first()?;
    Some((key.kind(), sums.iter().map(|&(_, sum)| sum).reduce(together)?))
}

fn together(a: Sum, b: Sum) -> Sum {
    (a.0 + b.0, a.1.min(b.1), a.2.max(b.2))
}

/// Writes an object by kind. What writes a value puts a comma behind it.
fn members<T>(values: impl Iterator<Item = (usize, T)>, write: impl Fn(T, &mut Vec<u8>), out: &mut Vec<u8>) {
    out.push(b'{');
    let empty = out.len();
    for (kind, value) in values {
        out.push(b'"');
        out.extend_from_slice(KINDS.get(kind).map_or(b"", |name| name.as_bytes()));
        out.extend_from_slice(b"\":");
        write(value, out);
    }
    if out.len() > empty {
        out.pop();
    }
    out.push(b'}');
}
