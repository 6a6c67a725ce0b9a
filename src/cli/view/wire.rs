//! A scene as a page reads it: JSON, in which a column of numbers is base64 of little-endian bytes.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pcap_compactor::views::timeline::{Class, Ending, Level, Line, NOBODY, Phase, Scene};
use serde_json::{Map, Value, json};

/// Rows that a page gets before it asks for more.
pub(super) const COARSE_ROWS: usize = 100_000;

/// A column of one kind of number; `f64` holds whole numbers up to 2^53.
fn column<T, const N: usize>(kind: &str, values: impl Iterator<Item = T>, bytes: impl Fn(T) -> [u8; N]) -> Value {
    let bytes: Vec<u8> = values.flat_map(bytes).collect();
    json!({ kind: STANDARD.encode(bytes) })
}

fn f64s(values: impl Iterator<Item = f64>) -> Value {
    column("f64", values, f64::to_le_bytes)
}

fn u32s(values: impl Iterator<Item = u32>) -> Value {
    column("u32", values, u32::to_le_bytes)
}

fn u8s(values: impl Iterator<Item = u8>) -> Value {
    column("u8", values, |value| [value])
}

/// The finest scale of at most so many rows, or the coarsest; nothing where there is no packet.
pub(super) fn finest(scene: &Scene, most_rows: usize) -> Option<usize> {
    let levels = scene.levels();
    levels.iter().position(|level| level.rows.len() <= most_rows).or(levels.len().checked_sub(1))
}

/// What every page needs first: hosts in rows, flows, and packets at the finest scale of at most so many rows.
pub(super) fn scene(scene: &Scene, title: &str, most_rows: usize) -> Value {
    let (first, last) = scene.times().unwrap_or((0, 0));
    let levels = scene.levels();
    let coarse = finest(scene, most_rows);
    let packets = levels.first().map_or(0, |level| level.rows.len());
    json!({
        "title": title,
        // As text, because it may be beyond what a page counts exactly.
        "first": first.to_string(),
        "span": last.abs_diff(first),
        "packets": packets,
        "hosts": scene.hosts(),
        "order": u32s(scene.order().iter().copied()),
        "classes": Class::NAMES,
        "endings": Ending::NAMES,
        "steps": scene.steps(),
        "levels": levels.iter().map(|level| json!({"width": level.width, "rows": level.rows.len()})).collect::<Vec<_>>(),
        "coarse": coarse.map(|level| bins(scene, level, 0, u64::MAX)),
        "flows": flows(scene.lines(), first),
    })
}

/// The rows of a scale whose bins touch `from..to`, microseconds behind the first packet. `level` is one that there is.
pub(super) fn bins(scene: &Scene, level: usize, from: u64, to: u64) -> Value {
    let Level { width, rows } = &scene.levels()[level];
    let upto = if to == u64::MAX { rows.len() } else { rows.between(0, to).end };
    let first = rows.between(from / width * width, u64::MAX).start.min(upto);
    let range = first..upto;
    let mut out = Map::new();
    out.insert("level".into(), level.into());
    out.insert("time".into(), f64s(rows.time[range.clone()].iter().map(|&time| time as f64)));
    out.insert("src".into(), u32s(rows.src[range.clone()].iter().copied()));
    out.insert("dst".into(), u32s(rows.dst[range.clone()].iter().copied()));
    out.insert("class".into(), u8s(rows.class[range.clone()].iter().copied()));
    out.insert("bytes".into(), f64s(rows.bytes[range.clone()].iter().map(|&bytes| bytes as f64)));
    if rows.flow.is_empty() {
        out.insert("count".into(), u32s(rows.count[range].iter().copied()));
    } else {
        out.insert("flow".into(), u32s(rows.flow[range].iter().copied()));
    }
    out.into()
}

fn flows(lines: &[Line], first: i64) -> Value {
    let numbers = |of: fn(&Line) -> f64| f64s(lines.iter().map(of));
    let counts = |of: fn(&Line) -> u32| u32s(lines.iter().map(of));
    let words = |of: fn(&Line) -> &'static str| {
        let mut names: Vec<&str> = Vec::new();
        let places = lines.iter().map(|line| {
            let name = of(line);
            let place = names.iter().position(|&known| known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            u8::try_from(place).expect("states and reasons are few")
        });
        let places = u8s(places);
        json!({"names": names, "places": places})
    };
    let since = |time: i64| time.abs_diff(first) as f64;
    let unexplained: Map<String, Value> = (0..)
        .zip(lines)
        .filter(|(_, line)| !line.unexplained.is_empty())
        .map(|(place, line): (usize, _)| (place.to_string(), json!(line.unexplained)))
        .collect();
    json!({
        "number": numbers(|line| line.number as f64),
        "start": f64s(lines.iter().map(|line| since(line.start))),
        "end": f64s(lines.iter().map(|line| since(line.end))),
        "initiator": counts(|line| line.initiator),
        "responder": counts(|line| line.responder),
        "initiatorPort": numbers(|line| line.initiator_port as f64),
        "responderPort": numbers(|line| line.responder_port as f64),
        "packets": numbers(|line| line.packets as f64),
        "bytes": numbers(|line| line.bytes as f64),
        "establishment": counts(|line| line.phases[0]),
        "data": counts(|line| line.phases[1]),
        "closing": counts(|line| line.phases[2]),
        "ending": u8s(lines.iter().map(|line| line.ending as u8)),
        "known": u8s(lines.iter().map(|line| u8::from(line.sides))),
        "byTimeout": u8s(lines.iter().map(|line| u8::from(line.by_timeout))),
        "brokenBy": counts(|line| line.broken_by.unwrap_or(NOBODY)),
        "state": words(|line| line.state.name()),
        "reason": words(|line| line.reason.map_or("", |reason| reason.name())),
        "unexplained": unexplained,
    })
}

/// The packets of flows: those of one, or of all in their order.
pub(super) fn packets(scene: &Scene, listed: Range<usize>) -> Value {
    let first = scene.times().map_or(0, |times| times.0);
    let packets = &scene.listed()[listed];
    json!({
        "time": f64s(packets.iter().map(|packet| packet.time.abs_diff(first) as f64)),
        "seq": f64s(packets.iter().map(|packet| packet.seq as f64)),
        "ack": f64s(packets.iter().map(|packet| packet.ack as f64)),
        "length": f64s(packets.iter().map(|packet| packet.length as f64)),
        "payload": f64s(packets.iter().map(|packet| packet.payload.map_or(-1.0, f64::from))),
        "flags": f64s(packets.iter().map(|packet| packet.flags.map_or(-1.0, |flags| flags as f64))),
        "class": u8s(packets.iter().map(|packet| packet.class as u8)),
        "forward": u8s(packets.iter().map(|packet| u8::from(packet.forward))),
        "phase": u8s(packets.iter().map(|packet| packet.step.map_or(0, |(phase, _)| match phase {
            Phase::Establishment => 1,
            Phase::DataTransfer => 2,
            Phase::Closing => 3,
        }))),
        "step": u8s(packets.iter().map(|packet| packet.step.map_or(0, |(_, step)| step))),
    })
}
