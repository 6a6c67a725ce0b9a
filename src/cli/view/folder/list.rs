//! Layout 5.0: flows by pair of hosts, each a line with its packets as `delta:flags:direction`, maybe with TCP numbers.
//!
//! It has no lengths, and layout 3.3, which has them, has no TCP numbers: where both are there, each gets from the other what it lacks. Lists are
//! read twice for that, so that flows need not be held.

use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use pcap_compactor::views::timeline::flags::{ACK, SYN};
use pcap_compactor::views::timeline::{Close, Flow, Host, Hosts, Packet, Reason, Sides, State, TimelineSink};
use serde::Deserialize;

use super::{is_plain, json, table};

const HEADER: &str = "start_time,src_port,dst_port,close_type,packets";

/// What became of a flow, by `close_type`.
const KINDS: [(State, Option<Close>, Option<Reason>); 10] = [
    (State::New, None, None),
    (State::Closed, Some(Close::Graceful), None),
    (State::Aborted, Some(Close::Abortive), None),
    (State::Ongoing, Some(Close::Open), None),
    (State::Invalid, Some(Close::Invalid), Some(Reason::RstDuringHandshake)),
    (State::Invalid, Some(Close::Invalid), Some(Reason::InvalidAck)),
    (State::Invalid, Some(Close::Invalid), Some(Reason::InvalidSynAck)),
    (State::Invalid, Some(Close::Invalid), Some(Reason::IncompleteNoSynAck)),
    (State::Invalid, Some(Close::Invalid), Some(Reason::IncompleteNoAck)),
    (State::Invalid, Some(Close::Invalid), None),
];

#[derive(Deserialize)]
struct Index {
    pairs: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    /// `host<->host`.
    pair: String,
    file: String,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Read {
    pub(super) flows: u64,
    /// Packets of flows that are not among the packets.
    pub(super) strangers: u64,
}

/// Hands over `packets`, which get the numbers that flows have for them, then flows, whose packets get lengths.
///
/// # Errors
/// As [`super::read`].
pub(super) fn read(
    folder: &Path,
    packets: &mut [Packet],
    hosts: &mut Hosts,
    sink: &mut impl TimelineSink,
) -> anyhow::Result<Read> {
    let mut among = Among::new(packets);
    let mut starts = Vec::new();
    each(folder, hosts, &mut |flow, _| {
        starts.push((flow.start, starts.len()));
        for packet in &flow.packets {
            if let Some(place) = among.find(packets, &packet) {
                (packets[place].seq, packets[place].ack) = (packet.seq, packet.ack);
            }
        }
        Ok(())
    })?;
    packets.iter().try_for_each(|packet| sink.packet(packet, hosts))?;
    // Lists are in the order of pairs, numbers in that of starts.
    starts.sort_unstable();
    let mut numbers = vec![0; starts.len()];
    for (number, &(_, place)) in (1..).zip(&starts) {
        numbers[place] = number;
    }
    among.taken.fill(0);
    let mut read = Read::default();
    each(folder, hosts, &mut |mut flow, hosts| {
        let number = usize::try_from(read.flows).ok().and_then(|place| numbers.get(place));
        flow.number = *number.ok_or_else(|| anyhow!("the folder was changed while it was read"))?;
        read.flows += 1;
        let mut found = Vec::with_capacity(flow.packets.len());
        for packet in &flow.packets {
            let place = among.find(packets, &packet);
            read.strangers += u64::from(place.is_none());
            found.push(place.map_or(packet, |place| packets[place]));
        }
        flow.total_bytes = found.iter().fold(0, |sum: i64, packet| sum.saturating_add(packet.length));
        flow.packets = found.into();
        Ok(sink.flow(&flow, hosts)?)
    })?;
    Ok(read)
}

/// What both layouts say of a packet.
type Key = (i64, Host, Host, i64, i64, i64);

fn key(packet: &Packet) -> Key {
    let Packet { time, src, dst, src_port, dst_port, flags, .. } = *packet;
    (time, src, dst, src_port, dst_port, flags.unwrap_or(0))
}

/// Finds the packets of flows among those of a table; equal ones are taken in turn.
struct Among {
    /// Places of packets, in the order of keys.
    order: Vec<usize>,
    /// How many were taken of those that are equal, at the place of the first.
    taken: Vec<usize>,
}

impl Among {
    fn new(packets: &[Packet]) -> Among {
        let mut order: Vec<usize> = (0..packets.len()).collect();
        order.sort_by_key(|&place| key(&packets[place]));
        Among { taken: vec![0; order.len()], order }
    }

    fn find(&mut self, packets: &[Packet], packet: &Packet) -> Option<usize> {
        let found = self.take(packets, key(packet));
        if found.is_some() || packet.src != packet.dst {
            return found;
        }
        // Of a host that talks with itself, no list tells which end sent.
        let Packet { src_port, dst_port, .. } = *packet;
        self.take(packets, key(&Packet { src_port: dst_port, dst_port: src_port, ..*packet }))
    }

    fn take(&mut self, packets: &[Packet], key: Key) -> Option<usize> {
        let first = self.order.partition_point(|&place| self::key(&packets[place]) < key);
        let taken = self.taken.get_mut(first)?;
        let place = *self.order.get(first + *taken)?;
        if self::key(&packets[place]) != key {
            return None;
        }
        *taken += 1;
        Some(place)
    }
}

/// Hands over every flow of every list; its number is not known yet.
fn each(
    folder: &Path,
    hosts: &mut Hosts,
    act: &mut impl FnMut(Flow, &Hosts) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let place = folder.join("indices/flow_list");
    let path = place.join("index.json");
    let index: Index = json(&path)?;
    for Entry { pair, file } in index.pairs {
        let ends = pair.split_once("<->");
        let (a, b) = ends.ok_or_else(|| anyhow!("{}: pair {pair:?} is not two hosts", path.display()))?;
        ensure!(is_plain(&file), "{}: file {file:?} of {pair} is no file name", path.display());
        let ends = [hosts.number(a), hosts.number(b)];
        let mut header = false;
        table::lines(&place.join(file), |line| {
            if !header {
                ensure!(line == HEADER, "the header is not {HEADER}");
                header = true;
            } else if !line.is_empty() {
                let mut flow = flow(line, ends)?;
                flow.key = pair.clone();
                act(flow, hosts)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// A flow from its line, between two hosts.
fn flow(line: &str, [a, b]: [Host; 2]) -> anyhow::Result<Flow> {
    let cells: Vec<&str> = line.splitn(5, ',').collect();
    let [start, src_port, dst_port, kind, listed] = cells[..] else { bail!("it has only {} fields", cells.len()) };
    let start = number("start_time", start)?;
    // Those of who sent the first packet, and of the other.
    let ports = (number("src_port", src_port)?, number("dst_port", dst_port)?);
    let known = usize::try_from(number("close_type", kind)?).ok().and_then(|kind| KINDS.get(kind));
    let &(state, close, reason) = known.ok_or_else(|| anyhow!("close_type {kind:?} is none that is known"))?;
    let listed = listed.strip_prefix('"').and_then(|listed| listed.strip_suffix('"'));
    let mut packets: Vec<Packet> = Vec::new();
    let mut first = None;
    for text in listed.context("packets are not in quotes")?.split(',') {
        let parts: Vec<&str> = text.split(':').collect();
        let ([delta, flags, way] | [delta, flags, way, _, _]) = parts[..] else { bail!("{text:?} is no packet") };
        let up = match way {
            "1" => true,
            "0" => false,
            _ => bail!("{text:?} goes neither way"),
        };
        let (src, dst) = if up { (a, b) } else { (b, a) };
        let (src_port, dst_port) = if *first.get_or_insert(up) == up { ports } else { (ports.1, ports.0) };
        let time = start.checked_add(number("delta", delta)?);
        let one = |at: usize| parts.get(at).map_or(Ok(0), |part| number("a number of", part));
        packets.push(Packet {
            time: time.ok_or_else(|| anyhow!("{text:?} is later than there is time"))?,
            src,
            dst,
            src_port,
            dst_port,
            flags: Some(number("flags", flags)?),
            seq: one(3)?,
            ack: one(4)?,
            protocol: Some(6),
            ..Packet::default()
        });
    }
    let [one, ..] = packets[..] else { bail!("it has no packet") };
    let sides =
        Sides { initiator: one.src, responder: one.dst, initiator_port: one.src_port, responder_port: one.dst_port };
    Ok(Flow {
        sides: Some(sides),
        // Who sent a SYN first began it; of others nothing says it.
        guessed: one.flags.is_none_or(|flags| flags & (SYN | ACK) != SYN),
        state,
        close,
        reason,
        start,
        end: packets.iter().map(|packet| packet.time).max().unwrap_or(start),
        total_packets: packets.len() as u64,
        packets: packets.into(),
        ..Flow::default()
    })
}

fn number(name: &str, text: &str) -> anyhow::Result<i64> {
    text.parse().map_err(|_| anyhow!("{name} {text:?} is no whole number of 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_flow_whose_first_packet_says_where_the_ports_are() {
        let flow = flow("1000,443,50000,1,\"0:18:0:7:8,5:16:1:8:8\"", [3, 4]).unwrap();
        let ends = |packet: Packet| (packet.time, packet.src, packet.src_port, packet.dst, packet.dst_port, packet.seq);
        let packets: Vec<_> = flow.packets.iter().map(ends).collect();
        assert_eq!(packets, [(1000, 4, 443, 3, 50_000, 7), (1005, 3, 50_000, 4, 443, 8)]);
        assert_eq!((flow.close, flow.guessed, flow.start, flow.end), (Some(Close::Graceful), true, 1000, 1005));
        for wrong in [
            "",
            "1,2,3,4",
            "x,1,2,3,\"0:2:1\"",
            "1,1,2,10,\"0:2:1\"",
            "1,1,2,-1,\"0:2:1\"",
            "1,1,2,3,0:2:1",
            "1,1,2,3,\"\"",
            "1,1,2,3,\"0:2:2\"",
            "1,1,2,3,\"0:2:1:5\"",
            "9223372036854775807,1,2,3,\"1:2:1\"",
            "1,1,2,3,\"",
        ] {
            assert!(self::flow(wrong, [0, 1]).is_err(), "{wrong}");
        }
    }
}
