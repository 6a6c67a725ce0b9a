//! A row of a list of version 5.0: a flow with its packets. It may be as long as its flow, so it is read cell by cell.

use std::io::{self, BufRead};

use super::PORTS;
use crate::capture::Pieces;
use crate::sink::timeline::flow_bins::KINDS;

/// Flags have 12 bits in a TCP header.
const FLAGS: std::ops::Range<i64> = 0..1 << 12;

/// Sequence numbers.
const NUMBERS: std::ops::Range<i64> = 0..1 << 32;

/// What a row says of its flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) start: i64,
    /// When its last packet came.
    pub(super) end: i64,
    /// The place of what became of it in [`KINDS`].
    pub(super) kind: usize,
    /// The first host of the pair sent its first packet.
    pub(super) by_low: bool,
    /// Its packets have sequence and acknowledgement numbers.
    pub(super) has_numbers: bool,
    /// What tells it from others.
    pub(super) print: u64,
}

/// What a row says of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) time: i64,
    pub(super) flags: i64,
    /// From the first host of the pair to the second.
    pub(super) up: bool,
}

/// The next row, or what is wrong with it first; its packets are handed over.
///
/// # Errors
/// It cannot be read.
pub(super) fn read(
    cells: &mut Pieces<impl BufRead>,
    mut packet: impl FnMut(Packet),
) -> io::Result<Option<Result<Row, String>>> {
    let (mut row, mut last, mut wrong) = (Row::default(), None, None);
    let mut parts = None;
    let (mut head, mut sum) = ([0; 4], 0_u64);
    let mut at = 0_u64;
    while let Some((cell, is_last)) = cells.cell()? {
        let mut take = || -> Result<(), String> {
            match at {
                0 => {
                    row.start = number(cell)?;
                    head[0] = row.start;
                }
                1 => head[1] = port(cell)?,
                2 => head[2] = port(cell)?,
                3 => {
                    let kind = usize::try_from(number(cell)?).ok().filter(|kind| *kind < KINDS.len());
                    row.kind = kind.ok_or_else(|| format!("no close_type is {cell}"))?;
                    head[3] = row.kind as i64;
                }
                _ => {
                    let inside = if at == 4 { cell.strip_prefix('"') } else { Some(cell) };
                    let inside = inside.and_then(|cell| if is_last { cell.strip_suffix('"') } else { Some(cell) });
                    let inside = inside.ok_or_else(|| "packets are not in quotes".to_owned())?;
                    let Written { delta, flags, up, numbers } = parse(inside)?;
                    if last.map_or(delta != 0, |last| delta < last) {
                        return Err(format!("{inside:?} is not in the order of time, or the first not at 0"));
                    }
                    if *parts.get_or_insert(numbers.is_some()) != numbers.is_some() {
                        return Err(format!("{inside:?} has other parts than the packets before it"));
                    }
                    if last.is_none() {
                        row.by_low = up;
                    }
                    last = Some(delta);
                    let time = row.start.saturating_add(delta);
                    sum = sum.wrapping_add(of_packet(time, flags, up, numbers.unwrap_or_default()));
                    packet(Packet { time, flags, up });
                }
            }
            Ok(())
        };
        if let (Err(why), None) = (take(), &wrong) {
            wrong = Some(why);
        }
        at += 1;
        if is_last {
            break;
        }
    }
    if at == 0 {
        return Ok(None);
    }
    if at < 5 && wrong.is_none() {
        wrong = Some("fewer than five cells".into());
    }
    row.has_numbers = parts == Some(true);
    row.print = of_flow(head, sum);
    row.end = row.start.saturating_add(last.unwrap_or(0));
    Ok(Some(wrong.map_or(Ok(row), Err)))
}

/// What tells a packet of a flow from others.
pub(super) fn of_packet(time: i64, flags: i64, up: bool, numbers: [i64; 2]) -> u64 {
    super::print(&(time, flags, up, numbers))
}

/// What tells a flow from others: start, ports and kind, and the sum of its packets.
pub(super) fn of_flow(head: [i64; 4], packets: u64) -> u64 {
    super::print(&(head, packets))
}

/// A packet as it is written.
struct Written {
    /// Microseconds since the first.
    delta: i64,
    flags: i64,
    up: bool,
    /// Sequence and acknowledgement number.
    numbers: Option<[i64; 2]>,
}

fn parse(packet: &str) -> Result<Written, String> {
    let parts: Vec<&str> = packet.split(':').collect();
    let ([delta, flags, way] | [delta, flags, way, _, _]) = parts[..] else {
        return Err(format!("{packet:?} is no packet"));
    };
    let (delta, flags) = (number(delta)?, number(flags)?);
    let mut numbers = [0; 2];
    for (number, part) in numbers.iter_mut().zip(parts.iter().skip(3)) {
        *number = self::number(part)?;
        if !NUMBERS.contains(number) {
            return Err(format!("{packet:?}: {part} is no number of TCP"));
        }
    }
    if !matches!(way, "0" | "1") {
        return Err(format!("{packet:?} goes nowhere"));
    }
    if !FLAGS.contains(&flags) {
        return Err(format!("{packet:?}: no TCP packet has these flags"));
    }
    Ok(Written { delta, flags, up: way == "1", numbers: (parts.len() > 3).then_some(numbers) })
}

fn port(text: &str) -> Result<i64, String> {
    let port = number(text)?;
    if PORTS.contains(&port) { Ok(port) } else { Err(format!("{port} is no port")) }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse::<i64>().map_err(|_| format!("{text:?} is no whole number"))
}
