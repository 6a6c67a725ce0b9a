//! Flows, plainly: every packet of a flow is held in memory, the reorder stage is a sorted list, every figure is computed
//! from the whole list, and markers are walked one by one over all 5-tuples.
//!
//! What a TCP segment is by its sequence numbers is left to [`Connection`], which has a model of its own.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pcap_compactor::flow::Side;
use pcap_compactor::flow::sequence::{Class, Connection, Segment};
use pcap_compactor::views::flows::{Lifetime, MOST, QUIET, TcpEnd};

/// A packet as it is sent, and as the model sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) time: i64,
    pub(crate) src: (IpAddr, u16),
    pub(crate) dst: (IpAddr, u16),
    pub(crate) protocol: u8,
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) ttl: u8,
    pub(crate) payload: u32,
    /// Link-layer padding.
    pub(crate) padding: u32,
}

impl Sent {
    pub(crate) fn lengths(&self) -> [u32; 4] {
        let l4 = self.payload
            + match self.protocol {
                6 => 20,
                17 => 8,
                _ => 0,
            };
        let ip = l4 + if self.src.0.is_ipv4() { 20 } else { 40 };
        [ip + 14 + self.padding, ip, l4, self.payload]
    }

    fn tuple(&self) -> Tuple {
        (self.src.min(self.dst), self.src.max(self.dst), self.protocol)
    }

    fn end(&self) -> usize {
        usize::from(self.src > self.dst)
    }

    fn has(&self, flag: u8) -> bool {
        self.protocol == 6 && self.flags & flag != 0
    }

    fn segment(&self) -> Segment {
        Segment { seq: self.seq, ack: self.ack, flags: self.flags, window: self.window, payload: self.payload }
    }
}

pub(crate) type Tuple = ((IpAddr, u16), (IpAddr, u16), u8);

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// What the rules are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) lifetime: Lifetime,
    pub(crate) reorder: i64,
    pub(crate) sequences: usize,
    pub(crate) no_retransmissions: bool,
    pub(crate) min_packets: u64,
}

/// A flow that must be told of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) src: (IpAddr, u16),
    pub(crate) dst: (IpAddr, u16),
    pub(crate) protocol: u8,
    pub(crate) reason: &'static str,
    pub(crate) direction: &'static str,
    pub(crate) behind: u64,
    /// Its packets in packet time, each with 0 for up and 1 for down.
    pub(crate) packets: Vec<(Sent, usize)>,
    pub(crate) classes: [[u32; 7]; 2],
    pub(crate) duplicate_acks: [u32; 2],
    pub(crate) zero_windows: [u32; 2],
    pub(crate) handshake: Option<i64>,
}

/// A file: its packets, and the time of its first record.
pub(crate) struct File<'a> {
    pub(crate) packets: &'a [Sent],
}

#[derive(Default)]
struct State {
    /// Packets that wait, by time and arrival.
    waiting: Vec<Sent>,
    left: Option<i64>,
    /// Packets of the current flow, and which were behind.
    flow: Vec<Sent>,
    behind: u64,
    connection: Connection,
    verdicts: Vec<Option<pcap_compactor::flow::sequence::Verdict>>,
}

/// Everything that must be told, in order, and how many packets are filtered.
pub(crate) fn expect(files: &[File<'_>], rules: &Rules) -> (Vec<Row>, u64) {
    let mut states: BTreeMap<Tuple, State> = BTreeMap::new();
    let mut order: Vec<&File<'_>> = files.iter().collect();
    order.sort_by_key(|file| file.packets.first().map_or(i64::MIN, |packet| packet.time));
    let mut said = Said { rules: *rules, rows: Vec::new(), told: 0, filtered: 0, newest: i64::MIN };
    for (place, file) in order.iter().enumerate() {
        let first = file.packets.first().map_or(i64::MIN, |packet| packet.time);
        said.mark(first, &mut states);
        for packet in file.packets {
            let state = states.entry(packet.tuple()).or_default();
            said.arrive(packet, state);
        }
        let newest = file.packets.iter().map(|packet| packet.time).max().unwrap_or(i64::MIN);
        said.newest = said.newest.max(newest);
        let next = order.get(place + 1).map_or(i64::MAX, |file| file.packets.first().map_or(i64::MIN, |p| p.time));
        let last = file.packets.last().map_or(i64::MIN, |packet| packet.time);
        said.mark(last.min(next), &mut states);
    }
    let newest = said.newest;
    for mut state in std::mem::take(&mut states).into_values() {
        said.end(&mut state, newest);
    }
    said.tell();
    (said.rows, said.filtered)
}

struct Said {
    rules: Rules,
    rows: Vec<Row>,
    /// Rows of markers behind us.
    told: usize,
    filtered: u64,
    newest: i64,
}

impl Said {
    fn idle(&self, protocol: u8) -> i64 {
        let life = &self.rules.lifetime;
        let idle = match protocol {
            6 => life.tcp_idle,
            17 => life.udp_idle,
            _ => life.other_idle,
        };
        idle.unwrap_or(i64::MAX)
    }

    /// Why a flow is over at a time, by the clock alone.
    fn over(&self, flow: &[Sent], time: i64) -> Option<&'static str> {
        let (idle, active) = (self.idle(flow[0].protocol), self.rules.lifetime.active.unwrap_or(i64::MAX));
        let last = flow.iter().map(|packet| packet.time).max().unwrap();
        let by = |from: i64, limit: i64| (time.saturating_sub(from) > limit).then(|| from.saturating_add(limit));
        match (by(last, idle), by(flow[0].time, active)) {
            (Some(idle), Some(active)) if active < idle => Some("active"),
            (Some(_), _) => Some("idle"),
            (None, Some(_)) => Some("active"),
            (None, None) => None,
        }
    }

    fn arrive(&mut self, packet: &Sent, state: &mut State) {
        let late = state.left.is_some_and(|left| packet.time < left)
            || state.waiting.last().is_some_and(|newest| packet.time < newest.time.saturating_sub(self.rules.reorder));
        let earliest = state.flow.iter().chain(&state.waiting).map(|packet| packet.time).min();
        if late && earliest.is_some_and(|earliest| earliest.saturating_sub(packet.time) > self.idle(packet.protocol)) {
            for waiting in std::mem::take(&mut state.waiting) {
                self.take(&waiting, state);
            }
            self.close(state, "idle");
            state.left = None;
        }
        if self.rules.reorder == 0 || state.left.is_some_and(|left| packet.time < left) {
            self.take(packet, state);
            return;
        }
        let at = state.waiting.partition_point(|other| other.time <= packet.time);
        state.waiting.insert(at, packet.clone());
        let newest = state.waiting.last().unwrap().time;
        while state.waiting[0].time < newest.saturating_sub(self.rules.reorder) || state.waiting.len() > MOST + 1 {
            let first = state.waiting.remove(0);
            self.take(&first, state);
        }
    }

    fn take(&mut self, packet: &Sent, state: &mut State) {
        state.left = Some(state.left.map_or(packet.time, |left| left.max(packet.time)));
        if !state.flow.is_empty() {
            let reason = if let Some(reason) = self.over(&state.flow, packet.time) {
                Some(reason)
            } else if self.rules.lifetime.tcp_end == TcpEnd::Closed && reopens(&state.flow, packet) {
                Some("reuse")
            } else {
                None
            };
            if let Some(reason) = reason {
                self.close(state, reason);
            }
        }
        let side = if packet.end() == 0 { Side::Up } else { Side::Down };
        let verdict = (packet.protocol == 6).then(|| state.connection.add(side, &packet.segment()));
        let repeats = verdict.is_some_and(|verdict| verdict.class == Class::Retransmission);
        if self.rules.no_retransmissions && repeats {
            self.filtered += 1;
            return;
        }
        state.behind += u64::from(state.flow.iter().any(|other| other.time > packet.time));
        state.flow.push(packet.clone());
        state.verdicts.push(verdict);
    }

    /// Ends all that is over at a time.
    fn mark(&mut self, now: i64, states: &mut BTreeMap<Tuple, State>) {
        self.newest = self.newest.max(now);
        let over = |state: &State, said: &Said| {
            // Which flow a packet that waits is of is open, so its time alone tells.
            let newest = state.flow.iter().chain(&state.waiting).map(|packet| packet.time).max().unwrap();
            let protocol = state.flow.iter().chain(&state.waiting).next().unwrap().protocol;
            let limit = said.idle(protocol).min(said.rules.lifetime.active.unwrap_or(i64::MAX));
            now.saturating_sub(newest) > limit
        };
        let mut gone: Vec<State> = Vec::new();
        let keys: Vec<Tuple> = states.iter().filter(|(_, state)| over(state, self)).map(|(key, _)| *key).collect();
        gone.extend(keys.iter().filter_map(|key| states.remove(key)));
        for mut state in gone {
            self.end(&mut state, now);
        }
        states.values_mut().for_each(|state| self.settle(now, state));
        self.tell();
    }

    /// Ends a flow that is over at a time though packets wait, which are of the next one. What nothing that is yet to come goes before is taken first.
    fn settle(&mut self, now: i64, state: &mut State) {
        let Some(last) = state.flow.iter().map(|packet| packet.time).max().or(state.waiting.first().map(|p| p.time))
        else {
            return;
        };
        let protocol = state.flow.iter().chain(&state.waiting).next().unwrap().protocol;
        let limit = self.idle(protocol).min(self.rules.lifetime.active.unwrap_or(i64::MAX));
        if now.saturating_sub(last) <= limit {
            return;
        }
        while state.waiting.first().is_some_and(|first| first.time < now.saturating_sub(self.rules.reorder)) {
            let first = state.waiting.remove(0);
            self.take(&first, state);
        }
        let (Some(last), Some(first)) = (state.flow.iter().map(|packet| packet.time).max(), state.waiting.first())
        else {
            return;
        };
        let is_silent = |time: i64| time.saturating_sub(last) > self.idle(protocol);
        if is_silent(now)
            && is_silent(first.time)
            && let Some(reason) = self.over(&state.flow, first.time)
        {
            self.close(state, reason);
        }
    }

    fn end(&mut self, state: &mut State, now: i64) {
        for packet in std::mem::take(&mut state.waiting) {
            self.take(&packet, state);
        }
        let reason = self.over(&state.flow, now).unwrap_or("eof");
        self.close(state, reason);
    }

    /// Puts in order what has ended since the last marker.
    fn tell(&mut self) {
        let key = |row: &Row| {
            let first = row.packets.iter().map(|(packet, _)| packet.time).min();
            (first, row.src.min(row.dst), row.src.max(row.dst), row.protocol)
        };
        self.rows[self.told..].sort_by_key(key);
        self.told = self.rows.len();
    }

    fn close(&mut self, state: &mut State, reason: &'static str) {
        let flow = std::mem::take(&mut state.flow);
        let verdicts = std::mem::take(&mut state.verdicts);
        let behind = std::mem::take(&mut state.behind);
        state.connection = Connection::default();
        if (flow.len() as u64) < self.rules.min_packets {
            self.filtered += flow.len() as u64;
            return;
        }
        let reason =
            if self.rules.lifetime.tcp_end == TcpEnd::Closed { closed(&flow).unwrap_or(reason) } else { reason };
        let (direction, client) = direction(&flow);
        let sides: Vec<usize> = flow.iter().map(|packet| usize::from(packet.end() != client)).collect();
        let (mut classes, mut duplicate_acks, mut zero_windows) = ([[0; 7]; 2], [0; 2], [0; 2]);
        for (verdict, &side) in verdicts.iter().zip(&sides) {
            if let Some(verdict) = verdict {
                classes[side][verdict.class as usize] += 1;
                duplicate_acks[side] += u32::from(verdict.duplicate_ack);
                zero_windows[side] += u32::from(verdict.zero_window);
            }
        }
        let (low, high, protocol) = flow[0].tuple();
        let (src, dst) = if client == 0 { (low, high) } else { (high, low) };
        let handshake = handshake(&flow);
        let packets = flow.into_iter().zip(sides).collect();
        self.rows.push(Row {
            src,
            dst,
            protocol,
            reason,
            direction,
            behind,
            packets,
            classes,
            duplicate_acks,
            zero_windows,
            handshake,
        });
    }
}

/// How the connection that a flow is was closed.
fn closed(flow: &[Sent]) -> Option<&'static str> {
    let fin_of = |end: usize| {
        let place = flow.iter().position(|packet| packet.end() == end && packet.has(FIN) && !packet.has(RST))?;
        let packet = &flow[place];
        let behind = packet.seq.wrapping_add(packet.payload).wrapping_add(1 + u32::from(packet.has(SYN)));
        // The first acknowledgement of it.
        let acknowledges = |other: &&(usize, &Sent)| {
            other.0 > place
                && other.1.end() != end
                && other.1.has(ACK)
                && !other.1.has(RST)
                && (other.1.ack.wrapping_sub(behind) as i32) >= 0
        };
        flow.iter().enumerate().collect::<Vec<_>>().iter().find(acknowledges).map(|(at, _)| *at)
    };
    let fin = fin_of(0).zip(fin_of(1)).map(|(a, b)| a.max(b));
    let rst = flow.iter().position(|packet| packet.has(RST));
    match (fin, rst) {
        (Some(fin), Some(rst)) if rst < fin => Some("rst"),
        (Some(_), _) => Some("fin"),
        (None, Some(_)) => Some("rst"),
        (None, None) => None,
    }
}

/// Whether a packet is a SYN of another connection than the flow before it.
fn reopens(flow: &[Sent], packet: &Sent) -> bool {
    if !packet.has(SYN) || packet.has(RST) {
        return false;
    }
    let initial = |end: usize| {
        let first = flow.iter().find(|other| other.end() == end && !other.has(RST))?;
        Some(if first.has(SYN) { first.seq } else { first.seq.wrapping_sub(1) })
    };
    let (own, other) = (initial(packet.end()), initial(1 - packet.end()));
    let last = flow.iter().map(|other| other.time).max().unwrap();
    let quiet = packet.time.saturating_sub(last) >= QUIET;
    match (closed(flow).is_some(), packet.has(ACK)) {
        (true, false) => own != Some(packet.seq),
        (true, true) => own.is_some_and(|own| own != packet.seq),
        (false, false) => own.is_some_and(|own| own != packet.seq) && (other.is_none() || quiet),
        (false, true) => false,
    }
}

/// The evidence, and the end that is the client.
fn direction(flow: &[Sent]) -> (&'static str, usize) {
    let (low, high, _) = flow[0].tuple();
    if low == high {
        return (evidence(flow).0, 0);
    }
    evidence(flow)
}

fn evidence(flow: &[Sent]) -> (&'static str, usize) {
    let (low, high, protocol) = flow[0].tuple();
    let earliest = |of: &dyn Fn(&Sent) -> Option<usize>| {
        flow.iter().filter_map(|packet| Some((packet.time, of(packet)?))).min().map(|(_, client)| client)
    };
    if let Some(client) = earliest(&|packet| (packet.has(SYN) && !packet.has(ACK)).then_some(packet.end())) {
        return ("syn", client);
    }
    if let Some(client) = earliest(&|packet| (packet.has(SYN) && packet.has(ACK)).then_some(1 - packet.end())) {
        return ("synack", client);
    }
    if let Some(client) = earliest(&|packet| (protocol == 1 && packet.flags == 8).then_some(packet.end())) {
        return ("request", client);
    }
    let only = |server: &dyn Fn(u16) -> bool| match (server(low.1), server(high.1)) {
        (true, false) => Some(1),
        (false, true) => Some(0),
        _ => None,
    };
    if let Some(client) = only(&|port| [80, 8080, 21, 445, 22, 53].contains(&port)) {
        return ("service_port", client);
    }
    if let Some(client) = only(&|port| port < 1024) {
        return ("low_port", client);
    }
    ("first_packet", earliest(&|packet| Some(packet.end())).unwrap())
}

fn handshake(flow: &[Sent]) -> Option<i64> {
    let mut syn: Option<&Sent> = None;
    let mut answered = false;
    for packet in flow.iter().filter(|packet| packet.protocol == 6) {
        if packet.has(SYN) && !packet.has(ACK) && !answered {
            syn = Some(packet);
            continue;
        }
        let Some(syn) = syn else { continue };
        if !packet.has(ACK) || packet.has(RST) {
            continue;
        }
        if packet.has(SYN) {
            answered |= packet.end() != syn.end();
        } else if answered && packet.end() == syn.end() {
            return Some((packet.time - syn.time).max(0));
        }
    }
    None
}
