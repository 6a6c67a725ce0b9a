//! The folder of version 3.3, `multires_packets`: packets, and how many there are in bins of seven widths, so that a viewer reads what it can draw.
//!
//! Packets are put in the order of time first. Then one walk writes them and fills all bins: a level has one bin open, and
//! hands it to the level above when the next begins. So late packets are in their bins, and a gap costs nothing, however long.
//!
//! Bins begin at multiples of their width since 1970. A row stands for the packets of a bin from one host to another with the same flags,
//! in the order of the first of them.

use std::hash::BuildHasher;
use std::path::Path;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::cells::{count, number};
use super::json::Json;
use super::manifest::{finished, iso, plain, source, span, time_range, write};
use super::texts::Texts;
use super::totals::Totals;
use super::{About, is_timeline};
use crate::error::Result;
use crate::flow::varint::{LONGEST, append, put, take, unzigzag, zigzag};
use crate::sink::folder::{AtomicFolder, Part};
use crate::sink::scratch::Scratch;
use crate::sink::sorted::{Record, Sorted};
use crate::views::timeline::flags::flag_type;
use crate::views::timeline::{Flow, Host, Hosts, Packet, TimelineSink};

/// A level of bins: its name, the width of its bins in microseconds, and whether it is one file.
type Level = (&'static str, i64, bool);

/// The levels, the coarsest first, as the manifest has them. Each width is a multiple of the next.
const LEVELS: [Level; 7] = [
    ("hours", 3_600_000_000, true),
    ("minutes", 60_000_000, true),
    ("10s", 10_000_000, true),
    ("seconds", 1_000_000, true),
    ("100ms", 100_000, false),
    ("10ms", 10_000, false),
    ("1ms", 1_000, false),
];

/// Microseconds of a file of packets.
const SLOT: i64 = 60_000_000;

/// Rows of a file, but for those of one bin, or one time.
const ROWS: u64 = 100_000;

/// Writes the folder.
#[derive(Debug)]
pub struct Multires {
    /// Nothing when it is visible.
    folder: Option<AtomicFolder>,
    about: About,
    packets: Option<Sorted<Row>>,
    totals: Totals,
}

impl Multires {
    /// Starts the folder at `path`, in place of a timeline if `replaces`.
    ///
    /// # Errors
    /// As [`AtomicFolder::create`].
    pub fn create(path: &Path, replaces: bool, about: About) -> Result<Multires> {
        Ok(Multires::fill(AtomicFolder::create(path, replaces, is_timeline)?, about))
    }

    /// As [`Multires::create`], in a folder of another that is under way.
    pub(super) fn inside(around: &AtomicFolder, name: &str, about: About) -> Result<Multires> {
        Ok(Multires::fill(around.inside(name, is_timeline)?, about))
    }

    fn fill(folder: AtomicFolder, about: About) -> Multires {
        let packets = Some(Sorted::new(Scratch::beside(&folder)));
        Multires { folder: Some(folder), about, packets, totals: Totals::default() }
    }
}

/// A packet as a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    time: i64,
    /// Its place among all, which orders those of one time.
    number: u64,
    src: Host,
    dst: Host,
    src_port: i64,
    dst_port: i64,
    flags: Option<i64>,
    length: i64,
}

impl Record for Row {
    /// Time and number.
    type Before = (i64, u64);

    fn write(&self, before: &mut (i64, u64), out: &mut Vec<u8>) {
        let mut bytes = [0; 8 * LONGEST];
        let mut at = 0;
        let (time, number) = std::mem::replace(before, (self.time, self.number));
        for n in [
            self.time.wrapping_sub(time),
            self.number.wrapping_sub(number) as i64,
            self.src_port,
            self.dst_port,
            self.length,
        ] {
            at = put(&mut bytes, at, zigzag(n));
        }
        for host in [self.src, self.dst] {
            at = put(&mut bytes, at, host.into());
        }
        if let Some(flags) = self.flags {
            at = put(&mut bytes, at, zigzag(flags));
        }
        append(out, &bytes, at);
    }

    fn read(before: &mut (i64, u64), bytes: &mut &[u8]) -> Row {
        let [time, number, src_port, dst_port, length] = std::array::from_fn(|_| unzigzag(take(bytes)));
        let [src, dst] = std::array::from_fn(|_| take(bytes) as Host);
        let flags = (!bytes.is_empty()).then(|| unzigzag(take(bytes)));
        let (time, number) = (before.0.wrapping_add(time), before.1.wrapping_add(number as u64));
        *before = (time, number);
        Row { time, number, src, dst, src_port, dst_port, flags, length }
    }
}

impl TimelineSink for Multires {
    fn packet(&mut self, packet: &Packet, _: &Hosts) -> Result<()> {
        let Packet { time, src, dst, src_port, dst_port, flags, length, .. } = *packet;
        let number = self.totals.packets;
        self.totals.note(packet);
        let row = Row { time, number, src, dst, src_port, dst_port, flags, length };
        self.packets.as_mut().ok_or_else(finished)?.push(row)
    }

    fn flow(&mut self, _: &Flow, _: &Hosts) -> Result<()> {
        Ok(())
    }

    /// Makes the folder visible.
    fn finish(&mut self, hosts: &Hosts) -> Result<()> {
        let (packets, folder) = (self.packets.take().ok_or_else(finished)?, self.folder.take().ok_or_else(finished)?);
        let times = self.totals.times.unwrap_or_default();
        let mut raw = Raw { table: Table::new("raw", RAW_HEADER, false), first: times.0, slot: None, last: None };
        let mut levels: Vec<Open> = LEVELS.iter().map(|&level| Open::new(level)).collect();
        let mut cells = Cells::new(&self.totals, hosts)?;
        packets.each(|row| {
            let flags = cells.number(row.flags);
            raw.add(&row, flags, &folder, &cells)?;
            let key = (row.src, row.dst, flags);
            add(&mut levels, row.time, key, (1, row.length), &mut |level, bin| level.write(bin, &folder, &cells))
        })?;
        for left in (1..=levels.len()).rev() {
            close(&mut levels[..left], &mut |level, bin| level.write(bin, &folder, &cells))?;
        }
        raw.table.end_chunk(times.1.saturating_add(1), raw.slot.map(|slot| raw.end(slot)))?;
        let chunks = raw.table.finish(&folder)?;
        write(&folder, "resolutions/raw/index.json", |json| index(json, &chunks, 1, times, Some(SLOT)))?;
        let mut written = Vec::new();
        for level in levels {
            let (name, width, single) = level.level;
            let (range, table) = (level.range.unwrap_or_default(), level.table.finish(&folder)?);
            write(&folder, &format!("resolutions/{name}/index.json"), |json| index(json, &table, width, range, None))?;
            written.push((name, width, single, table));
        }
        let unique = self.totals.hosts().count();
        write(&folder, "manifest.json", |json| {
            json.open(b'{');
            json.text("version", "3.3");
            json.text("format", "multires_packets");
            json.text("created", &iso(self.about.created));
            source(json, &self.about);
            json.int("total_packets", self.totals.packets);
            json.int("unique_ips", unique);
            time_range(json, times);
            json.key("resolutions");
            json.open(b'{');
            for (name, width, single, table) in &written {
                json.key(name);
                json.open(b'{');
                json.int("resolution_microseconds", *width);
                json.int("total_bins", table.rows);
                if !single {
                    json.int("total_chunks", table.chunks.len());
                }
                json.text("index", &format!("resolutions/{name}/index.json"));
                if *single {
                    json.text("data", &format!("resolutions/{name}/data.csv"));
                }
                json.close(b'}');
            }
            json.key("raw");
            json.open(b'{');
            json.int("resolution_microseconds", 1);
            json.int("total_packets", chunks.rows);
            json.int("total_chunks", chunks.chunks.len());
            json.int("chunk_duration_seconds", SLOT / 1_000_000);
            json.text("index", "resolutions/raw/index.json");
            json.close(b'}');
            json.close(b'}');
            json.close(b'}');
        })?;
        folder.commit()
    }
}

/// What cells of rows say: hosts with the comma behind them.
struct Cells {
    hosts: Texts,
    /// Names of flags, with nothing behind them.
    flags: Texts,
    /// Their numbers, by value.
    numbers: HashMap<Option<i64>, u32>,
    /// Those that a header can have, by value.
    usual: [Option<u32>; 256],
}

impl Cells {
    /// Cells for these hosts.
    ///
    /// # Errors
    /// One that was seen has a name that does not fit a cell.
    fn new(totals: &Totals, hosts: &Hosts) -> Result<Cells> {
        totals.hosts().try_for_each(|host| plain(hosts.name(host)).map(drop))?;
        let hosts = Texts::of(hosts.names(), |name, out| {
            out.extend_from_slice(name.as_bytes());
            out.push(b',');
        });
        Ok(Cells { hosts, flags: Texts::default(), numbers: HashMap::new(), usual: [None; 256] })
    }

    /// The number of the name of flags.
    fn number(&mut self, flags: Option<i64>) -> u32 {
        let usual = flags.and_then(|flags| usize::try_from(flags).ok()).filter(|&flags| flags < self.usual.len());
        if let Some(number) = usual.and_then(|flags| self.usual[flags]) {
            return number;
        }
        let number = *self.numbers.entry(flags).or_insert_with(|| {
            let name = flag_type(flags);
            let next = u32::try_from(self.flags.len()).expect("fewer than 2^32 names of flags");
            let known = (0..next).find(|&known| self.flags.get(known) == name.as_bytes());
            known.unwrap_or_else(|| {
                self.flags.add(|out| out.extend_from_slice(name.as_bytes()));
                next
            })
        });
        if let Some(flags) = usual {
            self.usual[flags] = Some(number);
        }
        number
    }
}

/// From whom, to whom, and the number of the flags' name.
type Key = (Host, Host, u32);

/// Packets and bytes.
type Sum = (u64, i64);

/// Rows of a bin that are looked through one by one.
const FEW: usize = 8;

/// The bin of a level that packets go to.
#[derive(Debug, Default)]
struct Bin {
    start: i64,
    /// Its last moment.
    last: i64,
    rows: Vec<(Key, Sum)>,
    /// Places of rows by their keys, once there are more than a few.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Bin {
    fn sum(&mut self, key: Key) -> &mut Sum {
        let Bin { rows, places, hasher, .. } = self;
        let next = rows.len();
        let place = if next <= FEW {
            rows.iter().position(|(known, _)| *known == key).unwrap_or(next)
        } else {
            let known = |place: &u32| &rows[*place as usize].0;
            let next = u32::try_from(next).expect("fewer than 2^32 rows of a bin fit into memory");
            let hash = |key: &Key| hasher.hash_one(key);
            let entry = places.entry(hash(&key), |place| *known(place) == key, |place| hash(known(place)));
            *entry.or_insert(next).get() as usize
        };
        if place == next {
            rows.push((key, (0, 0)));
            if next == FEW {
                for (place, (key, _)) in (0..).zip(&*rows) {
                    let hash = |key: &Key| hasher.hash_one(key);
                    places.insert_unique(hash(key), place, |&place| hash(&rows[place as usize].0));
                }
            }
        }
        &mut rows[place].1
    }

    /// Places it so that it holds a time.
    fn begin(&mut self, time: i64, width: i64) {
        let into = time.rem_euclid(width);
        (self.start, self.last) = (time.saturating_sub(into), time.saturating_add(width - 1 - into));
    }

    fn clear(&mut self) {
        if self.rows.len() > FEW {
            self.places.clear();
        }
        self.rows.clear();
    }
}

/// A level with its open bin and the file that takes it.
struct Open {
    level: Level,
    bin: Bin,
    table: Table,
    range: Option<(i64, i64)>,
    /// What the rows of a bin begin with.
    times: Vec<u8>,
}

/// Adds to the finest of levels; bins that are complete are written and go up.
fn add(
    levels: &mut [Open],
    time: i64,
    key: Key,
    (count, bytes): Sum,
    write: &mut impl FnMut(&mut Open, &Bin) -> Result<()>,
) -> Result<()> {
    let Some(finest) = levels.last() else { return Ok(()) };
    if !finest.bin.rows.is_empty() && !(finest.bin.start..=finest.bin.last).contains(&time) {
        close(levels, write)?;
    }
    let Some(finest) = levels.last_mut() else { return Ok(()) };
    if finest.bin.rows.is_empty() {
        finest.bin.begin(time, finest.level.1);
    }
    let sum = finest.bin.sum(key);
    *sum = (sum.0 + count, sum.1.saturating_add(bytes));
    Ok(())
}

/// Writes the open bin of the finest of levels, and adds it to the level above.
fn close(levels: &mut [Open], write: &mut impl FnMut(&mut Open, &Bin) -> Result<()>) -> Result<()> {
    let Some((finest, above)) = levels.split_last_mut() else { return Ok(()) };
    let mut bin = std::mem::take(&mut finest.bin);
    if bin.rows.is_empty() {
        return Ok(());
    }
    write(finest, &bin)?;
    for &(key, sum) in &bin.rows {
        add(above, bin.start, key, sum, write)?;
    }
    bin.clear();
    finest.bin = bin;
    Ok(())
}

impl Open {
    fn new(level: Level) -> Open {
        let table = Table::new(level.0, BIN_HEADER, level.2);
        Open { level, bin: Bin::default(), table, range: None, times: Vec::new() }
    }

    fn write(&mut self, bin: &Bin, folder: &AtomicFolder, cells: &Cells) -> Result<()> {
        let (start, end) = (bin.start, bin.start.saturating_add(self.level.1));
        self.range = Some((self.range.map_or(start, |(first, _)| first), end));
        if self.table.in_chunk >= ROWS {
            self.table.end_chunk(start, None)?;
        }
        let times = &mut self.times;
        times.clear();
        number(start, b',', times);
        times.extend_from_within(..);
        number(end, b',', times);
        let file = self.table.rows(bin.rows.len(), (start, end), folder)?;
        for rows in bin.rows.chunks(AT_ONCE) {
            file.append_with(|out| {
                for &((src, dst, flags), (packets, bytes)) in rows {
                    out.extend_from_slice(times);
                    cells.hosts.put(src, out);
                    cells.hosts.put(dst, out);
                    count(packets, b',', out);
                    number(bytes, b',', out);
                    cells.flags.put(flags, out);
                    out.push(b'\n');
                }
            })?;
        }
        Ok(())
    }
}

/// The packets themselves.
struct Raw {
    table: Table,
    first: i64,
    slot: Option<i64>,
    last: Option<i64>,
}

impl Raw {
    fn end(&self, slot: i64) -> i64 {
        self.first.saturating_add(slot.saturating_add(1).saturating_mul(SLOT))
    }

    fn add(&mut self, row: &Row, flags: u32, folder: &AtomicFolder, cells: &Cells) -> Result<()> {
        let slot = row.time.saturating_sub(self.first) / SLOT;
        let mut begin = self.first.saturating_add(slot.saturating_mul(SLOT));
        if let Some(before) = self.slot.filter(|&before| before != slot) {
            self.table.end_chunk(begin, Some(self.end(before)))?;
        } else if self.table.in_chunk >= ROWS && self.last != Some(row.time) {
            self.table.end_chunk(row.time, None)?;
            begin = row.time;
        }
        (self.slot, self.last) = (Some(slot), Some(row.time));
        let end = self.end(slot);
        self.table.rows(1, (begin, end), folder)?.append_with(|out| {
            number(row.time, b',', out);
            cells.hosts.put(row.src, out);
            cells.hosts.put(row.dst, out);
            for n in [row.src_port, row.dst_port, row.flags.unwrap_or(0)] {
                number(n, b',', out);
            }
            cells.flags.put(flags, out);
            out.push(b',');
            number(row.length, b'\n', out);
        })
    }
}

const BIN_HEADER: &[u8] = b"timestamp,bin_start,bin_end,src_ip,dst_ip,count,total_bytes,flag_type\n";
const RAW_HEADER: &[u8] = b"timestamp,src_ip,dst_ip,src_port,dst_port,flags,flag_type,length\n";

/// Rows that are appended at once.
const AT_ONCE: usize = 256;

/// A file of a table: where what it tells begins and ends, and its rows.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    start: i64,
    end: i64,
    rows: u64,
}

/// A table in one file, or in files one after the other.
#[derive(Debug)]
struct Table {
    name: &'static str,
    header: &'static [u8],
    single: bool,
    open: Option<Part>,
    in_chunk: u64,
    rows: u64,
    chunks: Vec<Chunk>,
}

impl Table {
    fn new(name: &'static str, header: &'static [u8], single: bool) -> Table {
        Table { name, header, single, open: None, in_chunk: 0, rows: 0, chunks: Vec::new() }
    }

    /// Where the next so many rows go, which tell of a range of time.
    fn rows(&mut self, rows: usize, (start, end): (i64, i64), folder: &AtomicFolder) -> Result<&mut Part> {
        if self.open.is_none() {
            self.chunks.push(Chunk { start, end, rows: 0 });
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.end = chunk.end.max(end);
            chunk.rows += rows as u64;
        }
        self.in_chunk += rows as u64;
        self.rows += rows as u64;
        self.file(folder)
    }

    /// The file that is open.
    fn file(&mut self, folder: &AtomicFolder) -> Result<&mut Part> {
        match &mut self.open {
            Some(file) => Ok(file),
            none => {
                let name = if self.single { "data.csv".to_owned() } else { chunk(self.chunks.len() - 1) };
                let mut file = folder.file(&format!("resolutions/{}/{name}", self.name))?;
                file.append(self.header)?;
                Ok(none.insert(file))
            }
        }
    }

    /// The next row will be in the next file, which begins at `next` where that is before the end of this.
    fn end_chunk(&mut self, next: i64, end: Option<i64>) -> Result<()> {
        if self.single {
            return Ok(());
        }
        self.in_chunk = 0;
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.end = end.unwrap_or(chunk.end.min(next));
        }
        self.open.take().map_or(Ok(()), Part::close)
    }

    fn finish(mut self, folder: &AtomicFolder) -> Result<Table> {
        if self.single {
            self.file(folder)?;
        }
        self.open.take().map_or(Ok(()), Part::close)?;
        Ok(self)
    }
}

fn chunk(number: usize) -> String {
    format!("chunk_{number:06}.csv")
}

/// Writes the index of a table; `slot` is the time of a file.
fn index(json: &mut Json, table: &Table, width: i64, range: (i64, i64), slot: Option<i64>) {
    json.open(b'{');
    json.text("resolution", table.name);
    json.int("resolution_microseconds", width);
    if let Some(slot) = slot {
        json.int("chunk_duration_microseconds", slot);
    }
    json.int("total_count", table.rows);
    span(json, range);
    if table.single {
        json.text("data_file", "data.csv");
    } else {
        json.key("chunks");
        json.open(b'[');
        for (number, Chunk { start, end, rows }) in table.chunks.iter().enumerate() {
            json.item();
            json.open(b'{');
            json.text("file", &chunk(number));
            json.int("index", number);
            json.int("start", *start);
            json.int("end", *end);
            json.int("count", *rows);
            json.close(b'}');
        }
        json.close(b']');
    }
    json.close(b'}');
}
