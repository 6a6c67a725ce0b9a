//! Rows against a plain model of what they must say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::views::buckets::Settings;
use proptest::prelude::*;

use super::{MS, written};
use crate::flows::{frame, segment};
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, RST, SYN, Sent};
use crate::run::file;
use crate::traffic::START;

/// What decides rows, for the model.
#[derive(Clone, Debug)]
struct How {
    width: i64,
    from_start: bool,
    reorder: i64,
    gap_limit: u64,
    /// 10.0.0.0/8 is local.
    local: bool,
}

impl How {
    fn settings(&self) -> Settings {
        let local = if self.local { vec!["10.0.0.0/8".parse().unwrap()] } else { Vec::new() };
        let How { width, from_start, reorder, gap_limit, .. } = *self;
        Settings { widths: vec![width], from_start, local, reorder, gap_limit, ..Settings::default() }
    }

    fn way(&self, packet: &Sent) -> usize {
        let is_local = |host: IpAddr| self.local && matches!(host, IpAddr::V4(host) if host.octets()[0] == 10);
        match (is_local(packet.src.0), is_local(packet.dst.0)) {
            (false, true) => 0,
            (true, false) => 1,
            (true, true) => 2,
            (false, false) => 3,
        }
    }
}

/// When a 5-tuple was last seen, and whether a FIN or RST was.
type Known = (i64, bool);

/// Which packets open a flow: the first of their 5-tuple in a while, or a SYN behind a FIN or RST.
#[derive(Default)]
struct Flows {
    known: BTreeMap<(u8, [(IpAddr, u16); 2]), Known>,
    /// Time and number of those that wait.
    waiting: BTreeSet<(i64, usize)>,
    new: BTreeSet<usize>,
}

impl Flows {
    /// Takes the packets before a time that have waited, in the order of time.
    fn take(&mut self, packets: &[Sent], before: i64) {
        while let Some(&(time, n)) = self.waiting.first().filter(|(time, _)| *time < before) {
            self.waiting.pop_first();
            let packet = &packets[n];
            let mut ends = [packet.src, packet.dst];
            ends.sort_unstable();
            let timeout = match packet.protocol {
                6 => 300,
                17 => 120,
                _ => 60,
            };
            let has = |flags: u8, those: u8| packet.protocol == 6 && packet.flags & flags == those;
            let (opens, closes) = (has(SYN | ACK, SYN), has(FIN, FIN) || has(RST, RST));
            let (last, closed) = self.known.entry((packet.protocol, ends)).or_insert((i64::MIN / 2, false));
            let is_new = time - *last > timeout * SECOND || *closed && opens;
            if is_new {
                self.new.insert(n);
            }
            (*last, *closed) = (time.max(*last), *closed && !is_new || closes);
        }
    }
}

/// The rows of packets as CSV, by the rules alone.
fn model(packets: &[Sent], how: &How) -> String {
    let mut flows = Flows::default();
    let origin = if how.from_start { packets.first().map_or(0, |packet| packet.time) } else { 0 };
    let number = |time: i64| (time - origin).div_euclid(how.width);
    let mut buckets: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    let mut late: BTreeMap<i64, u64> = BTreeMap::new();
    // The bucket that leaves next.
    let mut next: Option<i64> = None;
    let (mut clock, mut last) = (i64::MIN, None::<i64>);
    for (n, packet) in packets.iter().enumerate() {
        let is_late = next.is_some_and(|next| number(packet.time) < next);
        if is_late {
            *late.entry(*buckets.keys().last().unwrap()).or_default() += 1;
        } else {
            buckets.entry(number(packet.time)).or_default().push(n);
            flows.waiting.insert((packet.time, n));
        }
        let reached = last.replace(packet.time).map_or(i64::MIN, |last| last.min(packet.time));
        if reached <= clock {
            continue;
        }
        clock = reached;
        let now = clock.saturating_sub(how.reorder);
        flows.take(packets, now);
        while let Some((&first, _)) = buckets.range(next.unwrap_or(i64::MIN)..).next() {
            if origin + (first + 1) * how.width <= now {
                next = Some(first + 1);
                continue;
            }
            // Empty ones in front of it leave alone if they are a row each however late it comes.
            let until = first.min(number(now));
            let few = |next: i64| (first - next) as u64 <= how.gap_limit || until == first;
            next = next.map(|next| if next < until && few(next) { until } else { next });
            break;
        }
    }
    flows.take(packets, i64::MAX);
    let new = flows.new;
    let mut text = String::new();
    let mut next = None;
    for (&at, members) in &buckets {
        let empty = next.map_or(0, |next: i64| (at - next) as u64);
        if empty > how.gap_limit {
            line(&mut text, how, origin, at - empty as i64, empty, &[], 0, &new);
        } else {
            (0..empty as i64).for_each(|n| line(&mut text, how, origin, at - empty as i64 + n, 1, &[], 0, &new));
        }
        let members: Vec<(usize, &Sent)> = members.iter().map(|&n| (n, &packets[n])).collect();
        line(&mut text, how, origin, at, 1, &members, late.get(&at).copied().unwrap_or(0), &new);
        next = Some(at + 1);
    }
    text
}

fn line(
    text: &mut String,
    how: &How,
    origin: i64,
    at: i64,
    n: u64,
    packets: &[(usize, &Sent)],
    late: u64,
    new: &BTreeSet<usize>,
) {
    write!(text, "{},{},{n}", origin + at * how.width, how.width).unwrap();
    let count = |is: &dyn Fn(usize, &Sent) -> bool| packets.iter().filter(|(n, packet)| is(*n, packet)).count() as u64;
    let by_way = |of: &dyn Fn(&[&Sent]) -> u64| -> Vec<u64> {
        (0..4)
            .map(|way| {
                let of_way = packets.iter().map(|(_, packet)| *packet).filter(|packet| how.way(packet) == way);
                of(&of_way.collect::<Vec<_>>())
            })
            .collect()
    };
    let is_tcp = |packet: &Sent| packet.protocol == 6;
    let has_ports = |packet: &&&Sent| matches!(packet.protocol, 6 | 17);
    let mut numbers = by_way(&|packets| packets.len() as u64);
    numbers.extend(by_way(&|packets| packets.iter().map(|packet| frame(packet).len() as u64).sum()));
    numbers.extend([
        count(&|_, packet| is_tcp(packet)),
        count(&|_, packet| packet.protocol == 17),
        count(&|_, packet| matches!(packet.protocol, 1 | 58)),
        count(&|_, packet| !matches!(packet.protocol, 1 | 6 | 17 | 58)),
        count(&|_, packet| packet.src.0.is_ipv6()),
        0,
        0,
        count(&|_, packet| is_tcp(packet) && packet.flags & (SYN | ACK) == SYN),
        count(&|_, packet| is_tcp(packet) && packet.flags & (SYN | ACK) == SYN | ACK),
        count(&|_, packet| is_tcp(packet) && packet.flags & FIN != 0),
        count(&|_, packet| is_tcp(packet) && packet.flags & RST != 0),
        count(&|n, packet| new.contains(&n) && is_tcp(packet)),
        count(&|n, packet| new.contains(&n) && packet.protocol == 17),
        count(&|n, packet| new.contains(&n) && !matches!(packet.protocol, 6 | 17)),
    ]);
    // Over TCP the header is enough, for in front of it stands how long the rest is.
    let needed = |packet: &Sent| if is_tcp(packet) { 14 } else { QUERY.len() as u32 };
    numbers.extend([count(&|_, packet| is_to_53(packet) && packet.payload >= needed(packet)), 0, 0]);
    numbers.extend(by_way(&|packets| packets.iter().map(|packet| packet.dst.0).collect::<BTreeSet<_>>().len() as u64));
    numbers.extend(by_way(&|packets| {
        let ports = packets.iter().filter(has_ports).map(|packet| (packet.protocol, packet.dst.1));
        ports.collect::<BTreeSet<_>>().len() as u64
    }));
    numbers.push(late);
    numbers.iter().for_each(|number| write!(text, ",{number}").unwrap());
    text.push('\n');
}

/// Asks for the root.
const QUERY: [u8; 17] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];

fn is_to_53(packet: &Sent) -> bool {
    matches!(packet.protocol, 6 | 17) && (packet.src.1 == 53 || packet.dst.1 == 53)
}

/// A capture in which what goes to port 53, or comes from there, is as much of a query as has room.
fn pcap(packets: &[Sent]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
    for packet in packets {
        let mut frame = frame(packet);
        if is_to_53(packet) {
            let length = [0, QUERY.len() as u8];
            let said = [if packet.protocol == 6 { &length[..] } else { &[] }, &QUERY].concat();
            let payload = frame.len() - packet.payload as usize;
            frame[payload..].iter_mut().zip(said).for_each(|(byte, said)| *byte = said);
        }
        writer.record(Timestamp(packet.time), frame.len() as u32, &frame).unwrap();
    }
    writer.finish().unwrap()
}

fn packet() -> impl Strategy<Value = Sent> {
    let host = prop_oneof![
        4 => (1..5_u8).prop_map(|n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))),
        4 => (1..5_u8).prop_map(|n| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))),
    ];
    let port = || prop_oneof![Just(53_u16), Just(80), 40_000..40_003_u16];
    let ends = (host.clone(), port(), host, port(), any::<prop::sample::Index>());
    let kind = (prop_oneof![4 => Just(6_u8), 4 => Just(17), 1 => Just(1), 1 => Just(89)], 0..32_u8, 0..40_u32);
    (ends, kind).prop_map(|((src, src_port, dst, dst_port, six), (protocol, flags, payload))| {
        let is_tcp = protocol == 6;
        let has_ports = matches!(protocol, 6 | 17);
        let v6 = |host: IpAddr| match host {
            IpAddr::V4(host) => IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(host.to_bits()))),
            host => host,
        };
        // ICMP would be another protocol there.
        let six = six.index(5) == 0 && protocol != 1;
        let end = |host, port| (if six { v6(host) } else { host }, if has_ports { port } else { 0 });
        let (src, dst) = (end(src, src_port), end(dst, dst_port));
        let flags = if is_tcp { flags } else { 0 };
        Sent { protocol, flags, src, dst, payload: payload + u32::from(protocol == 89), ..segment(0, true, 0, 1, 1, 0) }
    })
}

/// Packets close to one another, but for pauses, and some that are behind their time.
fn packets() -> impl Strategy<Value = Vec<Sent>> {
    let step = prop_oneof![
        20 => 0..60 * MS,
        4 => -300 * MS..0,
        2 => 0..3 * SECOND,
        1 => Just(130 * SECOND),
        1 => Just(301 * SECOND),
        1 => -40 * SECOND..0,
    ];
    prop::collection::vec((packet(), step), 0..120).prop_map(|steps| {
        let mut time = START;
        let at = |(packet, step): (Sent, i64)| {
            time += step;
            Sent { time, ..packet }
        };
        steps.into_iter().map(at).collect()
    })
}

fn how() -> impl Strategy<Value = How> {
    let width = prop_oneof![Just(100 * MS), Just(SECOND), Just(7 * MS), Just(60 * SECOND)];
    let reorder = prop_oneof![Just(0), Just(200 * MS), Just(SECOND)];
    (width, any::<bool>(), reorder, prop_oneof![Just(0_u64), Just(5), Just(40)], any::<bool>())
        .prop_map(|(width, from_start, reorder, gap_limit, local)| How { width, from_start, reorder, gap_limit, local })
}

proptest! {
    #![proptest_config(crate::properties::cases(300))]

    #[test]
    fn rows_are_those_of_the_model_on_any_number_of_threads(packets in packets(), how in how()) {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "a.pcap", &pcap(&packets));
        let expected = model(&packets, &how);
        for threads in [1, 3] {
            prop_assert_eq!(&written(std::slice::from_ref(&path), how.settings(), threads), &expected);
        }
    }

    /// A capture that is cut into files has the rows of the whole, wherever it is cut, as long as nothing is late.
    #[test]
    fn rows_of_files_are_those_of_the_whole(packets in packets(), cut in any::<prop::sample::Index>(), how in how()) {
        let mut packets = packets;
        packets.sort_by_key(|packet| packet.time);
        let cut = cut.index(packets.len() + 1);
        let folder = tempfile::tempdir().unwrap();
        let whole = file(folder.path(), "whole.pcap", &pcap(&packets));
        let parts = [("a.pcap", &packets[..cut]), ("b.pcap", &packets[cut..])];
        let parts = parts.map(|(name, packets)| file(folder.path(), name, &pcap(packets)));
        let expected = written(&[whole], how.settings(), 1);
        for threads in [1, 4] {
            prop_assert_eq!(&written(&parts, how.settings(), threads), &expected);
        }
    }
}
