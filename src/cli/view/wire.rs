//! A scene as a page reads it: JSON, in which a column of numbers is base64 of little-endian bytes.
//!
//! Everything here is written as it is made, because there may be a hundred megabytes of it, for several readers.

use std::borrow::Borrow;
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pcap_compactor::views::timeline::{Class, Ending, Level, Line, Listed, NOBODY, Phase, Rows, Scene};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::origin::Origin;

/// Writes a value.
pub(super) fn write(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    Ok(serde_json::to_writer(out, value)?)
}

/// A column of one kind of number, as bytes.
struct Column<I> {
    kind: &'static str,
    values: I,
}

/// `f64` holds whole numbers up to 2^53.
fn f64s(values: impl Iterator<Item = f64> + Clone) -> impl Serialize {
    Column { kind: "f64", values: values.map(f64::to_le_bytes) }
}

fn u32s(values: impl Iterator<Item = u32> + Clone) -> impl Serialize {
    Column { kind: "u32", values: values.map(u32::to_le_bytes) }
}

fn u8s(values: impl Iterator<Item = u8> + Clone) -> impl Serialize {
    Column { kind: "u8", values: values.map(|value| [value]) }
}

impl<const N: usize, I: Iterator<Item = [u8; N]> + Clone> Serialize for Column<I> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(1))?;
        map.serialize_entry(self.kind, &Base64(self.values.clone()))?;
        map.end()
    }
}

struct Base64<I>(I);

impl<const N: usize, I: Iterator<Item = [u8; N]> + Clone> Serialize for Base64<I> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<const N: usize, I: Iterator<Item = [u8; N]> + Clone> fmt::Display for Base64<I> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of a multiple of three bytes nothing is left over, so pieces can stand one after the other.
        const PIECE: usize = 3 << 10;
        let (mut bytes, mut text) = (Vec::with_capacity(PIECE), String::with_capacity(PIECE / 3 * 4));
        let mut values = self.0.clone();
        loop {
            bytes.clear();
            bytes.extend(values.by_ref().take(PIECE / N).flatten());
            if bytes.is_empty() {
                return Ok(());
            }
            text.clear();
            STANDARD.encode_string(&bytes, &mut text);
            out.write_str(&text)?;
        }
    }
}

/// The finest scale of at most so many rows, or the coarsest, which has at most [`COARSE_ROWS`](pcap_compactor::views::timeline::COARSE_ROWS); nothing where there is no packet.
pub(super) fn finest(scene: &Scene, most_rows: usize) -> Option<usize> {
    let levels = scene.levels();
    levels.iter().position(|level| level.rows.len() <= most_rows).or(levels.len().checked_sub(1))
}

/// What every page needs first: hosts in rows, flows, and packets at the finest scale of at most so many rows, or else the coarsest.
pub(super) struct Whole<'s> {
    pub(super) scene: &'s Scene,
    pub(super) title: &'s str,
    pub(super) origin: &'s Origin,
    pub(super) most_rows: usize,
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Shape {
            width: u64,
            rows: usize,
        }
        let scene = self.scene;
        let (first, last) = scene.times().unwrap_or((0, 0));
        let levels = scene.levels();
        let shapes: Vec<Shape> =
            levels.iter().map(|level| Shape { width: level.width, rows: level.rows.len() }).collect();
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("title", self.title)?;
        map.serialize_entry("origin", self.origin)?;
        // As text, because it may be beyond what a page counts exactly.
        map.serialize_entry("first", &first.to_string())?;
        map.serialize_entry("span", &last.abs_diff(first))?;
        map.serialize_entry("packets", &levels.first().map_or(0, |level| level.rows.len()))?;
        map.serialize_entry("hosts", scene.hosts())?;
        map.serialize_entry("order", &u32s(scene.order().iter().copied()))?;
        map.serialize_entry("busy", &scene.busy())?;
        map.serialize_entry("told", scene.told().name())?;
        map.serialize_entry("classes", &Class::NAMES)?;
        map.serialize_entry("endings", &Ending::NAMES)?;
        map.serialize_entry("steps", scene.steps())?;
        map.serialize_entry("levels", &shapes)?;
        let coarse = finest(scene, self.most_rows);
        map.serialize_entry("coarse", &coarse.map(|level| Bins { scene, level, from: 0, to: u64::MAX }))?;
        map.serialize_entry("flows", &Flows { lines: scene.lines(), first })?;
        map.end()
    }
}

/// The rows of a scale whose bins touch `from..to`, microseconds behind the first packet. `level` is one that there is.
pub(super) struct Bins<'s> {
    pub(super) scene: &'s Scene,
    pub(super) level: usize,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Serialize for Bins<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Level { width, rows } = &self.scene.levels()[self.level];
        let upto = if self.to == u64::MAX { rows.len() } else { rows.between(0, self.to).end };
        let first = rows.between(self.from / width * width, u64::MAX).start.min(upto);
        Columns { level: self.level, rows, range: first..upto }.serialize(out)
    }
}

/// Rows of a scale.
pub(super) struct Columns<R> {
    pub(super) level: usize,
    pub(super) rows: R,
    pub(super) range: Range<usize>,
}

impl<R: Borrow<Rows>> Serialize for Columns<R> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Columns { level, rows, range } = self;
        let rows = rows.borrow();
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("level", level)?;
        map.serialize_entry("time", &f64s(rows.time[range.clone()].iter().map(|&time| time as f64)))?;
        map.serialize_entry("src", &u32s(rows.src[range.clone()].iter().copied()))?;
        map.serialize_entry("dst", &u32s(rows.dst[range.clone()].iter().copied()))?;
        map.serialize_entry("class", &u8s(rows.class[range.clone()].iter().copied()))?;
        map.serialize_entry("bytes", &f64s(rows.bytes[range.clone()].iter().map(|&bytes| bytes as f64)))?;
        if rows.flow.is_empty() {
            map.serialize_entry("count", &u32s(rows.count[range.clone()].iter().copied()))?;
        } else {
            map.serialize_entry("flow", &u32s(rows.flow[range.clone()].iter().copied()))?;
        }
        map.end()
    }
}

struct Flows<'s> {
    lines: &'s [Line],
    first: i64,
}

impl Serialize for Flows<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Flows { lines, first } = *self;
        let numbers = |of: fn(&Line) -> f64| f64s(lines.iter().map(of));
        let counts = |of: fn(&Line) -> u32| u32s(lines.iter().map(of));
        let yes = |of: fn(&Line) -> bool| u8s(lines.iter().map(move |line| u8::from(of(line))));
        let since = move |time: i64| time.abs_diff(first) as f64;
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("number", &numbers(|line| line.number as f64))?;
        map.serialize_entry("start", &f64s(lines.iter().map(move |line| since(line.start))))?;
        map.serialize_entry("end", &f64s(lines.iter().map(move |line| since(line.end))))?;
        map.serialize_entry("initiator", &counts(|line| line.initiator))?;
        map.serialize_entry("responder", &counts(|line| line.responder))?;
        map.serialize_entry("initiatorPort", &numbers(|line| line.initiator_port as f64))?;
        map.serialize_entry("responderPort", &numbers(|line| line.responder_port as f64))?;
        map.serialize_entry("packets", &numbers(|line| line.packets as f64))?;
        map.serialize_entry("bytes", &numbers(|line| line.bytes as f64))?;
        map.serialize_entry("establishment", &counts(|line| line.phases[0]))?;
        map.serialize_entry("data", &counts(|line| line.phases[1]))?;
        map.serialize_entry("closing", &counts(|line| line.phases[2]))?;
        map.serialize_entry("ending", &u8s(lines.iter().map(|line| line.ending as u8)))?;
        map.serialize_entry("known", &yes(|line| line.sides))?;
        map.serialize_entry("byTimeout", &yes(|line| line.by_timeout))?;
        map.serialize_entry("brokenBy", &counts(|line| line.broken_by.unwrap_or(NOBODY)))?;
        map.serialize_entry("state", &Words { lines, of: |line| line.state.name() })?;
        map.serialize_entry("reason", &Words { lines, of: |line| line.reason.map_or("", |reason| reason.name()) })?;
        map.serialize_entry("unexplained", &Unexplained(lines))?;
        map.end()
    }
}

/// Words of flows, of which there are few different ones: these, and the place of each flow's.
struct Words<'s> {
    lines: &'s [Line],
    of: fn(&Line) -> &'static str,
}

impl Serialize for Words<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Words { lines, of } = *self;
        let mut names: Vec<&str> = Vec::new();
        for name in lines.iter().map(of) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let place = |line| names.iter().position(|&known| known == of(line)).and_then(|place| u8::try_from(place).ok());
        let place = |line| place(line).expect("states and reasons are few");
        let mut map = out.serialize_map(Some(2))?;
        map.serialize_entry("names", &names)?;
        map.serialize_entry("places", &u8s(lines.iter().map(place)))?;
        map.end()
    }
}

/// Why packets have no step, by the place of their flow.
struct Unexplained<'s>(&'s [Line]);

impl Serialize for Unexplained<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let some = self.0.iter().enumerate().filter(|(_, line)| !line.unexplained.is_empty());
        out.collect_map(some.map(|(place, line)| (place, &line.unexplained[..])))
    }
}

/// The packets of flows: those of one, or of all in their order.
pub(super) struct Packets<'s> {
    pub(super) scene: &'s Scene,
    pub(super) listed: Range<usize>,
}

impl Serialize for Packets<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let first = self.scene.times().map_or(0, |times| times.0);
        let packets = &self.scene.listed()[self.listed.clone()];
        let numbers = |of: fn(&Listed) -> f64| f64s(packets.iter().map(of));
        let bytes = |of: fn(&Listed) -> u8| u8s(packets.iter().map(of));
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("time", &f64s(packets.iter().map(move |packet| packet.time.abs_diff(first) as f64)))?;
        map.serialize_entry("seq", &numbers(|packet| packet.seq as f64))?;
        map.serialize_entry("ack", &numbers(|packet| packet.ack as f64))?;
        map.serialize_entry("length", &numbers(|packet| packet.length as f64))?;
        map.serialize_entry("payload", &numbers(|packet| packet.payload.map_or(-1.0, f64::from)))?;
        map.serialize_entry("flags", &numbers(|packet| packet.flags.map_or(-1.0, |flags| flags as f64)))?;
        map.serialize_entry("class", &bytes(|packet| packet.class as u8))?;
        map.serialize_entry("forward", &bytes(|packet| u8::from(packet.forward)))?;
        let phase = |packet: &Listed| match packet.step {
            None => 0,
            Some((Phase::Establishment, _)) => 1,
            Some((Phase::DataTransfer, _)) => 2,
            Some((Phase::Closing, _)) => 3,
        };
        map.serialize_entry("phase", &bytes(phase))?;
        map.serialize_entry("step", &bytes(|packet| packet.step.map_or(0, |(_, step)| step)))?;
        map.end()
    }
}

/// Where the packets of each flow are among all.
pub(super) struct Places<'s>(pub(super) &'s Scene);

impl Serialize for Places<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.0.lines().iter().map(|line| [line.listed.start, line.listed.end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_in_pieces_is_its_bytes_in_base64() {
        for n in [0, 1, 2, 767, 768, 769, 3000u32] {
            let bytes: Vec<u8> = (0..n).flat_map(|value| (value * 77_777).to_le_bytes()).collect();
            let text = serde_json::to_string(&u32s((0..n).map(|value| value * 77_777))).unwrap();
            assert_eq!(text, format!("{{\"u32\":\"{}\"}}", STANDARD.encode(bytes)));
        }
        assert_eq!(
            serde_json::to_string(&f64s([0.5, -1.0].into_iter())).unwrap(),
            "{\"f64\":\"AAAAAAAA4D8AAAAAAADwvw==\"}"
        );
    }
}
