//! What a folder says of all packets: totals of hosts and of flags, and how many packets there are in each hundredth of the time.

use hashbrown::HashMap;

use super::json::Json;
use crate::views::timeline::flags::flag_type;
use crate::views::timeline::{Host, Hosts, Packet};

/// Totals under way. They grow with hosts, not with packets.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) packets: u64,
    pub(super) tcp: u64,
    /// The first time and the last.
    pub(super) times: Option<(i64, i64)>,
    /// Hosts that were seen, by number.
    seen: Vec<bool>,
    /// Hosts in the order in which TCP packets named them.
    of_hosts: Vec<(Host, OfHost)>,
    /// Their places there, by number.
    places: Vec<Option<usize>>,
    /// Names of flags in the order in which they came, and their places by name.
    flags: Vec<(String, u64)>,
    flag_places: HashMap<String, usize>,
    /// Those of the usual flags, by what these are: a quicker way.
    usual: Vec<Option<usize>>,
}

#[derive(Clone, Copy, Debug)]
struct OfHost {
    sent: Sum,
    received: Sum,
    first: i64,
    last: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    packets: u64,
    bytes: u64,
}

impl Totals {
    /// Counts a packet, its time and its hosts, and nothing else.
    pub(super) fn note(&mut self, packet: &Packet) {
        self.packets += 1;
        let (first, last) = self.times.unwrap_or((packet.time, packet.time));
        self.times = Some((first.min(packet.time), last.max(packet.time)));
        for host in [packet.src, packet.dst] {
            *at(&mut self.seen, host) = true;
        }
    }

    /// Counts a packet.
    pub(super) fn add(&mut self, packet: &Packet) {
        self.note(packet);
        if packet.protocol == Some(6) {
            self.tcp += 1;
            let place = self.flag_place(packet.flags);
            self.flags[place].1 += 1;
            self.of(packet.src, packet.time).sent.add(packet.length);
            self.of(packet.dst, packet.time).received.add(packet.length);
        }
    }

    fn flag_place(&mut self, flags: Option<i64>) -> usize {
        let usual = flags.and_then(|flags| u8::try_from(flags).ok()).map(u32::from);
        if let Some(place) = usual.and_then(|flags| *at(&mut self.usual, flags)) {
            return place;
        }
        let name = flag_type(flags);
        let place = *self.flag_places.entry_ref(&*name).or_insert_with(|| {
            self.flags.push((name.clone().into_owned(), 0));
            self.flags.len() - 1
        });
        if let Some(flags) = usual {
            *at(&mut self.usual, flags) = Some(place);
        }
        place
    }

    fn of(&mut self, host: Host, time: i64) -> &mut OfHost {
        let place = *at(&mut self.places, host).get_or_insert_with(|| {
            let nothing = OfHost { sent: Sum::default(), received: Sum::default(), first: time, last: time };
            self.of_hosts.push((host, nothing));
            self.of_hosts.len() - 1
        });
        let of = &mut self.of_hosts[place].1;
        (of.first, of.last) = (of.first.min(time), of.last.max(time));
        of
    }

    /// All hosts that were seen.
    pub(super) fn hosts(&self) -> impl Iterator<Item = Host> {
        (0..).zip(&self.seen).filter(|(_, seen)| **seen).map(|(host, _)| host)
    }

    /// Names of all hosts that were seen, sorted.
    pub(super) fn names<'h>(&self, hosts: &'h Hosts) -> Vec<&'h str> {
        let mut names: Vec<&str> = self.hosts().map(|host| hosts.name(host)).collect();
        names.sort_unstable();
        names
    }

    /// Orders what is written of hosts and flags by name; else it comes as packets did, which in the original's files it does.
    pub(super) fn sort(&mut self, hosts: &Hosts) {
        self.of_hosts.sort_by_key(|(host, _)| hosts.name(*host));
        self.flags.sort();
    }

    /// Writes the totals of hosts.
    pub(super) fn write_hosts(&self, json: &mut Json, hosts: &Hosts) {
        json.open(b'{');
        for (host, of) in &self.of_hosts {
            json.key_of(hosts.name(*host));
            json.open(b'{');
            json.int("sent_packets", of.sent.packets);
            json.int("recv_packets", of.received.packets);
            json.int("sent_bytes", of.sent.bytes);
            json.int("recv_bytes", of.received.bytes);
            json.int("first_ts", of.first);
            json.int("last_ts", of.last);
            json.close(b'}');
        }
        json.close(b'}');
    }

    /// Writes the totals of flags.
    pub(super) fn write_flags(&self, json: &mut Json) {
        json.open(b'{');
        for (name, n) in &self.flags {
            json.key_of(name);
            json.integer(*n);
        }
        json.close(b'}');
    }
}

impl Sum {
    fn add(&mut self, length: i64) {
        self.packets += 1;
        self.bytes = self.bytes.saturating_add(u64::try_from(length).unwrap_or(0));
    }
}

fn at<T: Clone + Default>(list: &mut Vec<T>, number: u32) -> &mut T {
    let place = number as usize;
    if list.len() <= place {
        list.resize(place + 1, T::default());
    }
    &mut list[place]
}

/// Parts of the time.
const BINS: usize = 100;

/// Packets by the part of the time that they lie in. Ends are outside, so packets of the last time lie in none; unless that is the only time.
#[derive(Debug)]
pub(super) struct Bins {
    first: i64,
    last: i64,
    /// Where parts begin, the last one ends, and how many packets each has.
    edges: [f64; BINS + 1],
    /// The first whole number that is not before each edge.
    begins: [i128; BINS + 1],
    /// Edges that are not behind the last time that was added; the next is often between the same.
    begun: usize,
    counts: [u64; BINS],
}

impl Bins {
    pub(super) fn new((first, last): (i64, i64)) -> Bins {
        let width = (i128::from(last) - i128::from(first)) as f64 / BINS as f64;
        let edges = std::array::from_fn(|n| first as f64 + n as f64 * width);
        // An edge is at or below a whole number if it is so rounded up, and numbers beyond 2^53 are compared as they are.
        let begins = edges.map(|edge: f64| edge.ceil() as i128);
        Bins { first, last, edges, begins, begun: 0, counts: [0; BINS] }
    }

    pub(super) fn add(&mut self, time: i64) {
        let time = i128::from(time);
        let (before, behind) = self.begins.split_at(self.begun);
        if before.last().is_some_and(|&begin| begin > time) || behind.first().is_some_and(|&begin| begin <= time) {
            self.begun = self.begins.partition_point(|&begin| begin <= time);
        }
        if let Some(count) = self.begun.checked_sub(1).and_then(|bin| self.counts.get_mut(bin)) {
            *count += 1;
        }
    }

    /// Counts a packet in the last part, where its end is not outside.
    pub(super) fn add_last(&mut self) {
        self.counts[BINS - 1] += 1;
    }

    /// Number, begin, end and packets of each; `packets` are all.
    pub(super) fn counted(&self, packets: u64) -> impl Iterator<Item = [i128; 4]> {
        let whole = (self.first == self.last).then(|| [0, self.first.into(), self.last.into(), packets.into()]);
        let parts = (0..).zip(self.edges.windows(2).zip(self.counts));
        let parts = parts.map(|(n, (edges, count))| [n, edges[0] as i128, edges[1] as i128, count.into()]);
        let has_parts = whole.is_none();
        whole.into_iter().chain(parts.filter(move |_| has_parts))
    }

    /// Writes them.
    pub(super) fn write(&self, json: &mut Json, packets: u64) {
        for [n, start, end, count] in self.counted(packets) {
            json.item();
            json.open(b'{');
            json.int("bin", n);
            json.int("start", start);
            json.int("end", end);
            json.int("count", count);
            json.close(b'}');
        }
    }
}
