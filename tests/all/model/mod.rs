//! The reference: what the groups view must say of a set of packets, in the plainest words there are.
//!
//! It is written from the design, not from the engine: every packet of the input is held in memory, every question is
//! answered by a scan over all of them, and nothing is clever. Two things are left to the engine's own parts, which
//! have golden tests of their own: the labels of the Isolation Forest and the commands of FTP and SMB. Which tokens of a
//! sample stay is left open: the model says which may ([`Tokens`]).

pub(crate) mod flows;
mod payload;
mod scanners;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use pcap_compactor::config::{Config, Measure, ScanPolicy};

use payload::section;
use scanners::{Scanner, scanners};

pub(crate) const SECOND: i64 = 1_000_000_000;

/// A packet as the model sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) time: i64,
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) protocol: u8,
    /// Flags of a TCP header that says any.
    pub(crate) flags: Option<u8>,
    pub(crate) wire: u64,
    pub(crate) captured: u64,
    pub(crate) part: Part,
    /// The first byte behind the IP header, of packets that have a transport header.
    pub(crate) first_byte: Option<u8>,
    /// The captured transport payload.
    pub(crate) payload: Vec<u8>,
}

/// Whether a packet is part of a fragmented datagram, and of which: identification, and the protocol field in IPv4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    Whole,
    First(u32, u8),
    Later(u32, u8),
    /// A fragment whose datagram cannot be told.
    Stray,
}

/// A file: the time of its first record, and its packets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captured {
    pub(crate) first_record: Option<i64>,
    pub(crate) packets: Vec<Seen>,
}

/// How the run is set up beyond its configuration.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    pub(crate) clip: Option<(i64, i64)>,
    pub(crate) single: bool,
}

/// One end of a flow: ordered IPv4 before IPv6, then by number, then by port.
type End = (IpAddr, u16);
type Flow = (End, End, u8);
type Span = (i64, i64);
/// `src_ip`, `dst_ip`, `dst_port`, transport by its place in the output.
type Key = (IpAddr, IpAddr, u16, u8);

pub(crate) const TRANSPORTS: [&str; 3] = ["tcp", "udp", "other"];

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) window: Span,
    pub(crate) key: (IpAddr, IpAddr, u16, &'static str, String),
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// Packets up and down, bytes up and down.
    pub(crate) counts: [u64; 4],
    /// SYN, ACK, RST, FIN.
    pub(crate) flags: [u64; 4],
    pub(crate) tokens: [i64; 9],
    pub(crate) flows: u64,
    pub(crate) direction: &'static str,
    pub(crate) section: Section,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Section {
    None,
    Counts(&'static str, BTreeMap<String, u64>),
    Tokens(Tokens),
}

/// What a group's `http` section may be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tokens {
    /// Lexicon entries, which always stay and come first.
    pub(crate) marks: Vec<String>,
    /// Every other token in the order of its occurrence.
    pub(crate) others: Vec<String>,
    pub(crate) total: u64,
    pub(crate) budget: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scan {
    pub(crate) src: IpAddr,
    pub(crate) window: Span,
    pub(crate) unique_dsts: u64,
    pub(crate) unique_ports: u64,
    pub(crate) syn_only_ratio: f64,
    /// All its targets; a summary shows 20 of them.
    pub(crate) targets: BTreeSet<(IpAddr, u16)>,
    pub(crate) transport: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) forest: &'static str,
    pub(crate) answered: u64,
    pub(crate) groups: u64,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// Packets, wire bytes, captured bytes.
pub(crate) type Sum = [u64; 3];

/// Everything that the engine must say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// By window: its groups, then its scans.
    pub(crate) windows: Vec<(Span, Vec<Group>, Vec<Scan>)>,
    pub(crate) kept: Sum,
    pub(crate) collapsed: Sum,
    pub(crate) out_of_window: Sum,
    pub(crate) late: Sum,
    pub(crate) candidates: u64,
    pub(crate) spared: u64,
}

pub(crate) fn expect(files: &[Captured], config: &Config, range: Range) -> Expected {
    let mut expected = Expected::default();
    let mut windows: BTreeMap<Span, Vec<&Seen>> = BTreeMap::new();
    for file in files {
        for packet in &file.packets {
            match window_of(packet.time, config, range) {
                None => add(&mut expected.out_of_window, packet),
                // Its own file began behind the end of its window.
                Some(window) if file.first_record.is_some_and(|first| window.1 <= first) => {
                    add(&mut expected.late, packet);
                }
                Some(window) => windows.entry(window).or_default().push(packet),
            }
        }
    }
    for (window, packets) in windows {
        let (groups, scans) = emit(window, &packets, config, &mut expected);
        expected.windows.push((window, groups, scans));
    }
    expected
}

fn add(sum: &mut Sum, packet: &Seen) {
    sum[0] += 1;
    sum[1] += packet.wire;
    sum[2] += packet.captured;
}

fn window_of(time: i64, config: &Config, range: Range) -> Option<Span> {
    if let Some((from, to)) = range.clip {
        if time < from || time >= to {
            return None;
        }
        if range.single {
            return Some((from, to));
        }
    }
    let length = config.window_seconds as i64 * SECOND;
    let start = time.div_euclid(length) * length;
    let (from, to) = range.clip.unwrap_or((i64::MIN, i64::MAX));
    Some((start.max(from), (start + length).min(to)))
}

fn transport(protocol: u8) -> u8 {
    match protocol {
        6 => 0,
        17 => 1,
        _ => 2,
    }
}

// Fragments.

/// The ports and protocol of each packet, with those of later fragments taken from the first. The protocol is another
/// only in IPv6, where that of the first fragment is the datagram's (RFC 8200, section 4.5).
fn ports(packets: &[&Seen]) -> Vec<(u16, u16, u8)> {
    let slot = |time: i64| time.div_euclid(64 * SECOND);
    let firsts: Vec<&&Seen> = packets.iter().filter(|packet| matches!(packet.part, Part::First(..))).collect();
    packets
        .iter()
        .map(|later| {
            let Part::Later(identification, protocol) = later.part else {
                return (later.src_port, later.dst_port, later.protocol);
            };
            let own = slot(later.time);
            for near in [own, own - 1, own + 1] {
                let found = firsts
                    .iter()
                    .filter(|first| first.part == Part::First(identification, protocol))
                    .filter(|first| (first.src, first.dst) == (later.src, later.dst))
                    .filter(|first| slot(first.time) == near);
                let found = found.map(|first| (first.time, first.src_port, first.dst_port, first.protocol)).min();
                if let Some((_, src_port, dst_port, protocol)) = found {
                    return (src_port, dst_port, protocol);
                }
            }
            (0, 0, later.protocol)
        })
        .collect()
}

// Direction.

const EVIDENCE: [&str; 7] = ["syn", "synack", "request", "service_port", "learned", "low_port", "first_packet"];

/// What became clear of one flow.
#[derive(Clone, Debug)]
struct Directed {
    client: End,
    server: End,
    /// Place in [`EVIDENCE`].
    rank: usize,
    answered: bool,
}

fn is_name_service(port: u16) -> bool {
    [53, 5353, 5355].contains(&port)
}

/// What a packet says by itself: its rank, and whether its sender is the client.
fn testimony(packet: &Seen) -> Option<(usize, bool)> {
    if let Some(flags) = packet.flags
        && flags & 0x02 != 0
    {
        return Some(if flags & 0x10 == 0 { (0, true) } else { (1, false) });
    }
    match (packet.protocol, packet.first_byte) {
        (1, Some(8)) | (58, Some(128)) => return Some((2, true)),
        _ => {}
    }
    let one_end = is_name_service(packet.src_port) != is_name_service(packet.dst_port);
    if packet.protocol == 17 && one_end && packet.first_byte.is_some() && packet.payload.len() >= 12 {
        return Some((2, packet.payload[2] & 0x80 == 0));
    }
    None
}

fn directions(packets: &[&Seen], ports: &[(u16, u16, u8)], config: &Config) -> BTreeMap<Flow, Directed> {
    let mut flows: BTreeMap<Flow, Vec<usize>> = BTreeMap::new();
    for (at, packet) in packets.iter().enumerate() {
        flows.entry(flow_of(packet, ports[at])).or_default().push(at);
    }
    let sender = |at: usize| (packets[at].src, ports[at].0);
    let receiver = |at: usize| (packets[at].dst, ports[at].1);
    let turned = |flow: &Flow, client: End| if client == flow.0 { flow.1 } else { flow.0 };

    // Evidence of packets: strongest rank, then earliest, then the smaller client.
    let mut directed: BTreeMap<Flow, (usize, End)> = BTreeMap::new();
    for (flow, members) in &flows {
        let claims = members.iter().filter_map(|&at| {
            let (rank, from_client) = testimony(packets[at])?;
            Some((rank, packets[at].time, if from_client { sender(at) } else { receiver(at) }))
        });
        if let Some((rank, _, client)) = claims.min() {
            directed.insert(*flow, (rank, client));
        }
    }
    // What they teach of other flows: which ends are servers, between which two hosts.
    let mut servers: BTreeSet<((IpAddr, IpAddr), End)> = BTreeSet::new();
    for (flow, &(_, client)) in &directed {
        servers.insert((hosts(flow), turned(flow, client)));
    }
    for (flow, members) in &flows {
        if directed.contains_key(flow) {
            continue;
        }
        let in_map = |end: End| config.service_port_map.keys().any(|port| port.0 == end.1);
        let taught = |end: End| servers.contains(&(hosts(flow), end));
        let low = |end: End| end.1 < 1024;
        let one_of = |is_server: &dyn Fn(End) -> bool| match (is_server(flow.0), is_server(flow.1)) {
            (true, false) => Some(flow.1),
            (false, true) => Some(flow.0),
            _ => None,
        };
        let by_ports = [(3, one_of(&in_map)), (4, one_of(&taught)), (5, one_of(&low))];
        let found = by_ports.into_iter().find_map(|(rank, client)| Some((rank, client?)));
        let earliest = || members.iter().map(|&at| (packets[at].time, sender(at))).min();
        let client = found.or_else(|| Some((6, earliest()?.1))).expect("a flow has a packet");
        directed.insert(*flow, client);
    }
    directed
        .into_iter()
        .map(|(flow, (rank, client))| {
            let server = turned(&flow, client);
            let not_rst = |at: usize| packets[at].flags.is_none_or(|flags| flags & 0x04 == 0);
            // Of a flow between equal ends everything is sent by the client.
            let answered = server != client && flows[&flow].iter().any(|&at| sender(at) == server && not_rst(at));
            (flow, Directed { client, server, rank, answered })
        })
        .collect()
}

fn flow_of(packet: &Seen, ports: (u16, u16, u8)) -> Flow {
    let (a, b) = ((packet.src, ports.0), (packet.dst, ports.1));
    (a.min(b), a.max(b), ports.2)
}

fn hosts(flow: &Flow) -> (IpAddr, IpAddr) {
    (flow.0.0, flow.1.0)
}

// Groups.

fn emit(window: Span, packets: &[&Seen], config: &Config, expected: &mut Expected) -> (Vec<Group>, Vec<Scan>) {
    let ports = ports(packets);
    let directed = directions(packets, &ports, config);

    let mut members: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (at, packet) in packets.iter().enumerate() {
        let flow = &directed[&flow_of(packet, ports[at])];
        let key = (flow.client.0, flow.server.0, flow.server.1, transport(ports[at].2));
        members.entry(key).or_default().push(at);
    }
    let answered: BTreeMap<Key, bool> = members
        .iter()
        .map(|(key, members)| (*key, members.iter().any(|&at| directed[&flow_of(packets[at], ports[at])].answered)))
        .collect();
    let ratio = |src: IpAddr| {
        let own = members.iter().filter(|(key, _)| key.0 == src).flat_map(|(_, members)| members);
        let flags: Vec<u8> = own.filter_map(|&at| packets[at].flags).collect();
        let syn_only = flags.iter().filter(|&&flags| flags & 0x12 == 0x02).count();
        if flags.is_empty() { 0.0 } else { syn_only as f64 / flags.len() as f64 }
    };
    let scanners = scanners(&answered, config, ratio, expected);

    let mut groups = Vec::new();
    let mut scans: BTreeMap<(IpAddr, u8), Scan> = BTreeMap::new();
    for (key, members) in &members {
        let scanner = scanners.get(&(key.0, Some(key.3))).or_else(|| scanners.get(&(key.0, None)));
        if let Some(scanner) = scanner {
            scans.entry((key.0, key.3)).or_insert_with(|| summary(key, window, scanner, &answered));
        }
        for slice in slices(members, packets, config) {
            let probes = slice.iter().all(|&at| !directed[&flow_of(packets[at], ports[at])].answered);
            if scanner.is_some() && (probes || config.scan_policy == ScanPolicy::Original) {
                let scan = scans.get_mut(&(key.0, key.3)).expect("made above");
                scan.groups += 1;
                for &at in &slice {
                    scan.packets += 1;
                    scan.bytes += bytes(packets[at], config);
                    add(&mut expected.collapsed, packets[at]);
                }
            } else {
                slice.iter().for_each(|&at| add(&mut expected.kept, packets[at]));
                groups.push(group(window, *key, &slice, packets, &ports, &directed, config));
            }
        }
    }
    (groups, scans.into_values().collect())
}

/// A summary that stands for nothing yet.
fn summary(key: &Key, window: Span, scanner: &Scanner, answered: &BTreeMap<Key, bool>) -> Scan {
    let contacts: Vec<&Key> = answered.keys().filter(|other| other.0 == key.0 && other.3 == key.3).collect();
    Scan {
        src: key.0,
        window,
        unique_dsts: contacts.iter().map(|key| key.1).collect::<BTreeSet<_>>().len() as u64,
        unique_ports: contacts.iter().map(|key| key.2).collect::<BTreeSet<_>>().len() as u64,
        syn_only_ratio: scanner.ratio,
        targets: contacts.iter().map(|key| (key.1, key.2)).collect(),
        transport: TRANSPORTS[usize::from(key.3)],
        kind: scanner.kind,
        forest: scanner.forest,
        answered: contacts.iter().filter(|key| answered[key]).count() as u64,
        groups: 0,
        packets: 0,
        bytes: 0,
    }
}

/// The maximal runs whose gaps are at most the idle time.
fn slices(members: &[usize], packets: &[&Seen], config: &Config) -> Vec<Vec<usize>> {
    let mut sorted = members.to_vec();
    sorted.sort_by_key(|&at| packets[at].time);
    let idle = i128::from(config.idle_split_seconds) * i128::from(SECOND);
    let mut slices: Vec<Vec<usize>> = Vec::new();
    for at in sorted {
        let last = slices.last().and_then(|slice| slice.last()).map(|&last| packets[last].time);
        match last {
            Some(last) if i128::from(packets[at].time) - i128::from(last) <= idle => {
                slices.last_mut().expect("it has a last packet").push(at);
            }
            _ => slices.push(vec![at]),
        }
    }
    slices
}

fn bytes(packet: &Seen, config: &Config) -> u64 {
    match config.bytes {
        Measure::Wire => packet.wire,
        Measure::Captured => packet.captured,
    }
}

fn group(
    window: Span,
    key: Key,
    slice: &[usize],
    packets: &[&Seen],
    ports: &[(u16, u16, u8)],
    directed: &BTreeMap<Flow, Directed>,
    config: &Config,
) -> Group {
    let flow = |at: usize| flow_of(packets[at], ports[at]);
    let from_client = |at: usize| directed[&flow(at)].client == (packets[at].src, ports[at].0);
    let mut counts = [0; 4];
    let mut flags = [0; 4];
    for &at in slice {
        let side = usize::from(!from_client(at));
        counts[side] += 1;
        counts[2 + side] += bytes(packets[at], config);
        for (count, bit) in flags.iter_mut().zip([0x02, 0x10, 0x04, 0x01]) {
            *count += u64::from(packets[at].flags.is_some_and(|flags| flags & bit != 0));
        }
    }
    let first = packets[slice[0]].time;
    let last = packets[slice[slice.len() - 1]].time;
    let flows: BTreeSet<Flow> = slice.iter().map(|&at| flow(at)).collect();
    let weakest = flows.iter().map(|flow| directed[flow].rank).max().expect("a slice has a packet");
    let service = config.service_port_map.iter().find(|(port, _)| port.0 == key.2);
    let service = service.map_or("unknown".to_owned(), |(_, name)| name.clone());
    let base = config.count_log_base;
    let mut tokens = [0; 9];
    for (token, count) in tokens.iter_mut().zip(counts) {
        *token = floor_log(count, 1, base);
    }
    tokens[4] = floor_log(u64::try_from(last - first).expect("it is sorted"), SECOND as u64, config.duration_log_base);
    for (token, count) in tokens[5..].iter_mut().zip(flags) {
        *token = count as i64;
    }
    let client: Vec<usize> = slice.iter().copied().filter(|&at| from_client(at)).collect();
    Group {
        window,
        section: section(&service, &client, packets, ports, config),
        key: (key.0, key.1, key.2, TRANSPORTS[usize::from(key.3)], service),
        first,
        last,
        counts,
        flags,
        tokens,
        flows: flows.len() as u64,
        direction: EVIDENCE[weakest],
    }
}

/// The largest `k` with `base^k <= n / unit`, by trying; 0 for nothing. Bases are whole numbers here.
pub(crate) fn floor_log(n: u64, unit: u64, base: f64) -> i64 {
    assert!(base.fract() == 0.0 && base >= 2.0, "the model knows no base {base}");
    let (base, unit) = (base as u128, u128::from(unit));
    let mut n = u128::from(n);
    if n == 0 {
        return 0;
    }
    let mut k = 0;
    while n < unit {
        n *= base;
        k -= 1;
    }
    let mut power = unit;
    while power * base <= n {
        power *= base;
        k += 1;
    }
    k
}
