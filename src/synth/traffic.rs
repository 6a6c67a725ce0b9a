//! The clock: everything that is going to be sent, in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

use super::Spec;
use super::apps::{Author, question};
use super::dice::Dice;
use super::frame::{Frame, Host, Noise, Way};
use super::scan::{LOGIN_PORT, PROBE_PORT, Scan};
use super::talk::{Answer, Carrier, MICRO, MILLI, Parties, SECOND, Script, Talk};
use super::truth::{Scanner, Truth};
use super::world::{GATEWAY, SITES, World, last, server, site};
use crate::time::Timestamp;

/// Frames that every capture holds but the smallest-frame ones: a query and its answer in two fragments, a switch's
/// name, a frame that was cut.
const ODDITIES: u64 = 5;

/// Frames that do not depend on chance.
pub(super) fn fixed_packets(spec: &Spec) -> u64 {
    // Scanners differ in what they probe by their number modulo 4, and otherwise in address and time alone.
    let of_kind = |kind: u32| u64::from(spec.scanners.saturating_sub(kind).div_ceil(4));
    let scans: u64 = (0..4).map(|kind| of_kind(kind) * Scan::new(spec, kind).packets()).sum();
    scans + if spec.min64 { 0 } else { ODDITIES }
}

/// What a frame is, for the truth.
#[derive(Clone, Copy)]
enum Class {
    Tcp,
    Udp,
    Fragment,
    Other,
    Arp,
    Lldp,
    Cut,
}

enum Event {
    /// A client does something new.
    Arrival,
    /// A scanner probes its next target.
    Probe(usize),
    /// A conversation goes on.
    Talk(Box<Talk>),
    /// A frame that is ready.
    Frame(Box<Ready>),
}

struct Ready {
    bytes: Vec<u8>,
    wire: u32,
    class: Class,
    vlan: bool,
}

/// Events of one time keep the order in which they were planned.
struct Planned {
    time: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Planned) -> bool {
        (self.time, self.number) == (other.time, other.number)
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Planned) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Planned) -> std::cmp::Ordering {
        (self.time, self.number).cmp(&(other.time, other.number))
    }
}

struct Traffic<'s> {
    spec: &'s Spec,
    dice: Dice,
    world: World,
    scans: Vec<Scan>,
    plan: BinaryHeap<Reverse<Planned>>,
    planned: u64,
    frame: Frame,
    truth: Truth,
    /// Packets that no conversation has claimed yet.
    budget: u64,
    /// Arrivals so far, and the packets they claimed.
    arrivals: [u64; 2],
    /// Nanoseconds from the start of the traffic to its end.
    length: u64,
}

/// Makes all of it.
pub(super) fn run(spec: &Spec, mut take: impl FnMut(Timestamp, u32, &[u8]) -> io::Result<()>) -> io::Result<Truth> {
    let mut dice = Dice::new(spec.seed);
    let noise = Noise::new(|| dice.bits());
    let mut traffic = Traffic::new(spec, dice);
    while let Some(Reverse(Planned { time, event, .. })) = traffic.plan.pop() {
        let stamp = Timestamp(spec.start().ns() + time as i64);
        match event {
            Event::Arrival => traffic.arrive(time),
            Event::Probe(number) => traffic.probe(time, number),
            Event::Talk(mut talk) => {
                let next = talk.send(&mut traffic.frame, &noise);
                let frame = traffic.frame.bytes();
                take(stamp, frame.len() as u32, frame)?;
                traffic.truth.count(&talk.parties, frame.len() as u64);
                if let Some(gap) = next {
                    traffic.plan(time + gap, Event::Talk(talk));
                }
            }
            Event::Frame(ready) => {
                take(stamp, ready.wire, &ready.bytes)?;
                traffic.truth.frame(ready.class, u64::from(ready.wire), ready.bytes.len() as u64, ready.vlan);
            }
        }
    }
    Ok(traffic.truth)
}

impl Truth {
    fn frame(&mut self, class: Class, wire: u64, captured: u64, vlan: bool) {
        self.packets += 1;
        self.wire_bytes += wire;
        self.captured_bytes += captured;
        self.vlan_packets += u64::from(vlan);
        *match class {
            Class::Tcp => &mut self.tcp_packets,
            Class::Udp => &mut self.udp_packets,
            Class::Fragment => &mut self.fragment_packets,
            Class::Other => &mut self.other_packets,
            Class::Arp => &mut self.arp_packets,
            Class::Lldp => &mut self.lldp_packets,
            Class::Cut => &mut self.cut_packets,
        } += 1;
    }

    fn count(&mut self, parties: &Parties, length: u64) {
        let class = match parties.carrier {
            Carrier::Tcp => Class::Tcp,
            Carrier::Udp => Class::Udp,
            Carrier::Echo => Class::Other,
        };
        self.frame(class, length, length, parties.vlan.is_some());
        self.ipv6_packets += u64::from(parties.client.ip.is_ipv6());
    }
}

impl<'s> Traffic<'s> {
    fn new(spec: &'s Spec, dice: Dice) -> Traffic<'s> {
        let mut traffic = Traffic {
            spec,
            dice,
            world: World::new(spec.hosts),
            scans: (0..spec.scanners).map(|number| Scan::new(spec, number)).collect(),
            plan: BinaryHeap::new(),
            planned: 0,
            frame: Frame::default(),
            truth: Truth { start: spec.hour, end: spec.hour + spec.hours * 3600, ..Truth::default() },
            budget: 0,
            arrivals: [0; 2],
            length: u64::from(spec.hours) * 3600 * SECOND,
        };
        for number in 0..traffic.scans.len() {
            let scan = Scan::new(spec, number as u32);
            traffic.truth.scanners.push(Scanner {
                src_ip: scan.src.ip,
                kind: scan.kind,
                targets: scan.targets(),
                answered: Vec::new(),
                login: None,
                answered_packets: 0,
                packets: 0,
            });
            traffic.plan(scan.start, Event::Probe(number));
        }
        if !spec.min64 {
            traffic.oddities();
        }
        traffic.budget = spec.packets.saturating_sub(fixed_packets(spec));
        let start = traffic.dice.below(SECOND);
        traffic.plan(start, Event::Arrival);
        traffic
    }

    fn plan(&mut self, time: u64, event: Event) {
        self.planned += 1;
        self.plan.push(Reverse(Planned { time, number: self.planned, event }));
    }

    fn ready(&mut self, time: u64, class: Class, vlan: bool) {
        let bytes = self.frame.bytes().to_vec();
        let wire = bytes.len() as u32;
        self.plan(time, Event::Frame(Box::new(Ready { bytes, wire, class, vlan })));
    }

    /// Frames of kinds that are rare.
    fn oddities(&mut self) {
        self.frame.lldp([0x02, 0, 0x5e, 0, 0, 0x02]);
        self.ready(60 * SECOND, Class::Lldp, false);

        let way = Way { from: server(last::DNS, false), to: server(last::WWW, false), vlan: None };
        self.frame.udp(&way, 7, [9, 9], &[], &[]);
        let bytes = self.frame.bytes()[..14 + 12].to_vec();
        self.plan(90 * SECOND, Event::Frame(Box::new(Ready { bytes, wire: 60, class: Class::Cut, vlan: false })));

        let caller = self.world.call(0, false);
        let dns = server(last::DNS, false);
        let id = self.dice.bits() as u16;
        let host = SITES[0];
        let query = Author { dice: &mut self.dice, said: &mut self.truth.said }.query(id, host);
        let mut answer = question(id, 0x8180, 0, host);
        answer.resize(2400, 0);
        self.truth.five_tuples += 1;
        let time = 120 * SECOND;
        let (up, down) = (
            Way { from: caller.host, to: dns, vlan: caller.vlan },
            Way { from: dns, to: caller.host, vlan: caller.vlan },
        );
        self.frame.udp(&up, 8, [caller.port, 53], &query, &[]);
        self.ready(time, Class::Udp, caller.vlan.is_some());
        let parts = self.frame.fragments(&down, 9, [53, caller.port], &answer, 1480);
        for (number, (bytes, class)) in parts.into_iter().zip([Class::Udp, Class::Fragment]).enumerate() {
            let (wire, vlan) = (bytes.len() as u32, caller.vlan.is_some());
            let ready = Ready { bytes, wire, class, vlan };
            self.plan(time + 8 * MILLI + number as u64 * 12 * MICRO, Event::Frame(Box::new(ready)));
        }
    }

    /// Starts a conversation; arrivals end long enough before the traffic for all that they start.
    fn begin(&mut self, time: u64, parties: Parties, mut script: Script) {
        script.squeeze(self.length - time);
        self.truth.five_tuples += 1;
        let talk = Talk::new(parties, script, !self.spec.min64, self.dice.bits());
        self.plan(time, Event::Talk(Box::new(talk)));
    }

    fn author(&mut self) -> Author<'_> {
        Author { dice: &mut self.dice, said: &mut self.truth.said }
    }

    fn probe(&mut self, time: u64, number: usize) {
        let scan = &mut self.scans[number];
        let Some(probe) = scan.next() else { return };
        let (src, gap) = (scan.src, scan.gap);
        let target = (probe.target.ip, probe.port);
        let parties = |ports, vlan| Parties { client: src, server: probe.target, ports, vlan, carrier: Carrier::Tcp };
        let mut script = Script::default();
        script.probe(probe.answer, self.dice.between(200 * MICRO, 5 * MILLI));
        let packets = script.len();
        let truth = &mut self.truth.scanners[number];
        truth.packets += packets;
        if probe.answer == Answer::Open {
            truth.answered.push(target);
            truth.answered_packets += packets;
        }
        self.begin(time, parties([PROBE_PORT, probe.port], None), script);
        if probe.login {
            let script = self.author().ftp("admin");
            let truth = &mut self.truth.scanners[number];
            truth.login = Some(target);
            truth.answered_packets += script.len();
            truth.packets += script.len();
            self.begin(time + 20 * SECOND, parties([LOGIN_PORT, probe.port], None), script);
        }
        let jitter = self.dice.below(gap / 4 + 1);
        self.plan(time + gap - gap / 8 + jitter, Event::Probe(number));
    }

    /// A client does something, if packets are left; then plans when one does again.
    fn arrive(&mut self, time: u64) {
        if self.budget == 0 {
            return;
        }
        let before = self.budget;
        let client = self.world.any(&mut self.dice);
        if self.spec.min64 {
            self.bare(time, client);
        } else {
            self.visit(time, client);
        }
        let [count, claimed] = &mut self.arrivals;
        *count += 1;
        *claimed += before - self.budget;
        // Time left over arrivals left, at the mean size so far.
        let left = (self.budget.saturating_mul(*count) / (*claimed).max(1)).max(1);
        let room = self.length.saturating_sub(time + 30 * SECOND);
        let gap = self.dice.below(2 * (room / (left + 1)) + 1);
        self.plan(time + gap, Event::Arrival);
    }

    /// Takes a script's packets out of the budget, if it holds them. What it does not hold was never said, so what the
    /// script's author has counted is taken back.
    fn claim(&mut self, write: impl FnOnce(&mut Author<'_>) -> Script) -> Option<Script> {
        let mut said = self.truth.said;
        let script = write(&mut Author { dice: &mut self.dice, said: &mut said });
        if script.len() > self.budget {
            return None;
        }
        self.budget -= script.len();
        self.truth.said = said;
        Some(script)
    }

    fn bare(&mut self, time: u64, client: usize) {
        match self.claim(|author| author.bare()) {
            Some(script) => {
                let number = self.site();
                self.tcp(time, client, site(number, false), 443, false, script);
            }
            None => self.fill(time, client),
        }
    }

    /// Sites in front are busier.
    fn site(&mut self) -> usize {
        let sites = SITES.len() as u64;
        self.dice.below(sites).min(self.dice.below(sites)) as usize
    }

    fn tcp(&mut self, time: u64, client: usize, server: Host, port: u16, v6: bool, script: Script) {
        self.exchange(time, client, server, port, v6, Carrier::Tcp, script);
    }

    fn exchange(
        &mut self,
        time: u64,
        client: usize,
        server: Host,
        port: u16,
        v6: bool,
        carrier: Carrier,
        script: Script,
    ) {
        let caller = self.world.call(client, v6);
        let ports = [caller.port, port];
        self.begin(time, Parties { client: caller.host, server, ports, vlan: caller.vlan, carrier }, script);
    }

    fn visit(&mut self, time: u64, client: usize) {
        let v6 = self.dice.one_in(18);
        let number = self.site();
        match self.dice.below(100) {
            0..72 => {
                let tls = self.dice.below(72) < 30;
                self.look_up(time, client, number, v6);
                let mut start = time + 40 * MILLI;
                for _ in 0..self.dice.between(1, 3) {
                    let host = SITES[number];
                    let script = self.claim(|author| if tls { author.tls(host) } else { author.http(host) });
                    let Some(script) = script else { return self.fill(time, client) };
                    let port = if tls { 443 } else { 80 };
                    self.tcp(start, client, site(number, v6), port, v6, script);
                    start += self.dice.below(300 * MILLI);
                }
            }
            72..80 => match self.claim(|author| author.smb()) {
                Some(script) => self.tcp(time, client, server(last::FILES, v6), 445, v6, script),
                None => self.fill(time, client),
            },
            80..83 => match self.claim(|author| author.ftp("anna")) {
                Some(script) => self.tcp(time, client, server(last::FTP, v6), 21, v6, script),
                None => self.fill(time, client),
            },
            83..85 => match self.claim(|author| author.ssh()) {
                Some(script) => self.tcp(time, client, server(last::SHELL, v6), 22, v6, script),
                None => self.fill(time, client),
            },
            85 => match self.claim(|author| author.call()) {
                Some(script) => {
                    let port = 16_384 + 2 * self.dice.below(5000) as u16;
                    self.exchange(time, client, server(last::VOICE, v6), port, v6, Carrier::Udp, script);
                }
                None => self.fill(time, client),
            },
            86..90 => self.fill(time, client),
            90..95 => {
                let times = self.dice.between(1, 4);
                self.ping(time, client, times);
            }
            _ => self.look_up(time, client, number, v6),
        }
    }

    /// Asks for a name; so does whatever has no other use for two packets.
    fn look_up(&mut self, time: u64, client: usize, number: usize, v6: bool) {
        match self.claim(|author| author.dns(SITES[number])) {
            Some(script) => {
                self.exchange(time, client, server(last::DNS, v6), 53, v6, Carrier::Udp, script);
            }
            None => self.fill(time, client),
        }
    }

    fn ping(&mut self, time: u64, client: usize, times: u64) {
        if self.budget < 2 * times {
            return self.fill(time, client);
        }
        match self.world.ping(client) {
            Some(caller) => {
                self.budget -= 2 * times;
                let script = self.author().ping(times);
                let router = server(last::ROUTER, false);
                let parties = Parties {
                    client: caller.host,
                    server: router,
                    ports: [0; 2],
                    vlan: caller.vlan,
                    carrier: Carrier::Echo,
                };
                self.begin(time, parties, script);
            }
            None => self.fill(time, client),
        }
    }

    /// The smallest exchanges: they use up a budget to the last packet.
    fn fill(&mut self, time: u64, client: usize) {
        if !self.spec.min64
            && self.dice.one_in(2)
            && let Some(script) = self.claim(|author| author.ntp())
        {
            return self.exchange(time, client, server(last::NTP, false), 123, false, Carrier::Udp, script);
        }
        if self.budget == 0 {
            return;
        }
        let caller = self.world.host(client);
        let router = Host { mac: GATEWAY, ..server(last::ROUTER, false) };
        let ask = Way { from: caller.host, to: router, vlan: caller.vlan };
        self.frame.arp(&ask, false);
        self.ready(time, Class::Arp, caller.vlan.is_some());
        self.budget -= 1;
        if self.budget > 0 {
            self.frame.arp(&Way { from: router, to: caller.host, vlan: caller.vlan }, true);
            self.ready(time + 200 * MICRO, Class::Arp, caller.vlan.is_some());
            self.budget -= 1;
        }
    }
}
