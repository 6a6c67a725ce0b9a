//! The accumulator: a flow's packets one by one, and what is worked out of them when it has ended.

use super::Switches;
use super::block::{BLOCKS, Desk, WIDTH};
use super::columns::seconds;
use crate::decode::packet::protocol;
use crate::time::{NS_PER_SECOND, Timestamp};
use crate::views::flows::columns::Kind;
use crate::views::flows::{Cell, Feature, FeatureColumn, FeatureState, FlowPacket, Roles};

/// The feature behind the columns.
#[derive(Debug)]
pub(super) struct Packets(pub(super) Switches);

impl Feature for Packets {
    fn columns(&self) -> Vec<FeatureColumn> {
        BLOCKS.into_iter().flatten().chain(FLOW).chain(SEQUENCES).collect()
    }

    fn start(&self) -> Box<dyn FeatureState> {
        Box::new(State { switches: self.0, steps: Vec::new() })
    }
}

const fn column(name: &'static str, kind: Kind, unit: &'static str, about: &'static str) -> FeatureColumn {
    FeatureColumn { name, kind, unit, about }
}

use Kind::{Float, Floats, Integer, Integers};

/// Columns of the flow as a whole.
const FLOW: [FeatureColumn; 5] = [
    column("feature.packet_count", Integer, "packets", "packets"),
    column("feature.total_bytes", Integer, "bytes", "sum of frame lengths on the wire"),
    column("feature.up_down_pkt_ratio", Float, "", "packets up / packets down; 0 if none went down"),
    column("feature.up_down_byte_ratio", Float, "", "frame bytes up / frame bytes down; 0 if none went down"),
    column("feature.duration", Float, "s", "latest less earliest time"),
];

/// Columns of packets one by one.
const SEQUENCES: [FeatureColumn; 9] = [
    column("feature.packet_lengths", Integers, "bytes", "frame lengths on the wire; negative if down"),
    column("feature.ip_lengths", Integers, "bytes", "IP lengths; negative if down"),
    column("feature.trans_lengths", Integers, "bytes", "lengths of TCP or UDP header and payload; negative if down"),
    column("feature.app_lengths", Integers, "bytes", "lengths of captured TCP or UDP payload; negative if down"),
    column("feature.timestamps", Floats, "s", "times since 1970"),
    column("feature.iats", Floats, "s", "times to the packet before, negative where time goes back"),
    column("feature.payload_bytes", Integers, "bytes", "lengths of captured TCP or UDP payload; negative if down"),
    column("feature.tcp_flags", Integers, "", "TCP flags, FIN 1 to CWR 128; empty for other protocols"),
    column("feature.tcp_window_sizes", Integers, "", "TCP window fields, not scaled; empty for other protocols"),
];

/// One packet.
#[derive(Clone, Copy, Debug)]
struct Step {
    time: i64,
    frame: u32,
    ip: u32,
    trans: u32,
    app: u32,
    window: u16,
    flags: u8,
    tcp: bool,
    udp: bool,
    from_high: bool,
}

/// The packets of a flow.
#[derive(Debug)]
struct State {
    switches: Switches,
    steps: Vec<Step>,
}

/// Ticks of a float time, in which differences of times since 1972 are whole.
const TICKS: f64 = (1_u64 << 36) as f64;

impl State {
    /// How many units of the times between packets make a second.
    fn unit(&self) -> f64 {
        if self.switches.float_times { TICKS } else { NS_PER_SECOND as f64 }
    }

    /// Times between packets.
    fn gaps(&self) -> Vec<i64> {
        let floats = self.switches.float_times;
        let gap = move |pair: &[Step]| match *pair {
            [a, b] if floats => ((seconds(Timestamp(b.time)) - seconds(Timestamp(a.time))) * TICKS).round() as i64,
            [a, b] => b.time.saturating_sub(a.time),
            _ => 0,
        };
        self.steps.windows(2).map(gap).collect()
    }

    fn duration(&self, gaps: &[i64]) -> f64 {
        if self.switches.summed_duration {
            let sum = gaps.iter().map(|gap| gap.saturating_abs()).fold(0, i64::saturating_add);
            return sum as f64 / self.unit();
        }
        let times = || self.steps.iter().map(|step| step.time);
        let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        last.saturating_sub(first) as f64 / NS_PER_SECOND as f64
    }

    /// A length of each packet, negative if it went down.
    fn signed(&self, client_high: bool, length: impl Fn(&Step) -> u32) -> Vec<i64> {
        let signed = |step: &Step| {
            let length = i64::from(length(step));
            if step.from_high == client_high { length } else { -length }
        };
        self.steps.iter().map(signed).collect()
    }

    /// A field of the TCP header of each packet that has one.
    fn tcp(&self, field: impl Fn(&Step) -> i64) -> Vec<i64> {
        // Of one flow either all packets have one or none, but for what was cut off.
        if self.steps.first().is_none_or(|first| first.udp) {
            return Vec::new();
        }
        let mut fields = Vec::with_capacity(self.steps.len());
        fields.extend(self.steps.iter().filter(|step| step.tcp).map(field));
        fields
    }
}

impl FeatureState for State {
    fn packet(&mut self, packet: &FlowPacket) {
        let sample = &packet.sample;
        let udp = packet.protocol == protocol::UDP;
        let counts = udp || packet.tcp_flags.is_some();
        let app = if counts { packet.captured_payload } else { 0 };
        // Of TCP, what was captured; of UDP, what its header says.
        let cut = if udp { 0 } else { sample.payload - app.min(sample.payload) };
        self.steps.push(Step {
            time: packet.time.0,
            frame: sample.frame,
            ip: sample.ip,
            trans: if counts { sample.l4.saturating_sub(cut) } else { 0 },
            app,
            window: sample.window.unwrap_or(0),
            flags: packet.tcp_flags.unwrap_or(0),
            tcp: packet.tcp_flags.is_some() && sample.window.is_some(),
            udp,
            from_high: packet.from_high,
        });
    }

    fn finish(&self, Roles { client_high, .. }: Roles, cells: &mut Vec<Cell<'static>>) {
        let steps = &self.steps;
        let frame = self.signed(client_high, |step| step.frame);
        let ip = self.signed(client_high, |step| step.ip);
        let trans = self.signed(client_high, |step| step.trans);
        let app = self.signed(client_high, |step| step.app);
        let (gaps, unit) = (self.gaps(), self.unit());
        let flags = self.tcp(|step| step.flags.into());
        let windows = self.tcp(|step| step.window.into());

        cells.reserve(BLOCKS.len() * WIDTH + FLOW.len() + SEQUENCES.len());
        let mut desk = Desk::default();
        for lengths in [&frame, &ip, &trans, &app] {
            desk.block(lengths, 1.0, cells);
        }
        desk.block(&gaps, unit, cells);
        let payload = if self.switches.udp_without_payload {
            let payload = self.signed(client_high, |step| if step.udp { 0 } else { step.app });
            desk.block(&payload, 1.0, cells);
            payload
        } else {
            let same = cells.len() - 2 * WIDTH..cells.len() - WIDTH;
            cells.extend_from_within(same);
            app.clone()
        };
        desk.block(&flags, 1.0, cells);
        desk.block(&windows, 1.0, cells);

        let [mut packets, mut bytes] = [[0_u64; 2]; 2];
        for &length in &frame {
            let side = usize::from(length <= 0);
            packets[side] += 1;
            bytes[side] += length.unsigned_abs();
        }
        let ratio = |[up, down]: [u64; 2]| if down == 0 { 0.0 } else { up as f64 / down as f64 };
        cells.push((steps.len() as u64).into());
        cells.push((bytes[0] + bytes[1]).into());
        cells.push(ratio(packets).into());
        cells.push(ratio(bytes).into());
        cells.push(self.duration(&gaps).into());

        let of_tcp = |list: Vec<i64>| if list.is_empty() { Cell::Absent } else { Cell::Numbers(list) };
        cells.extend([frame, ip, trans, app].map(Cell::Numbers));
        cells.push(Cell::Floats(steps.iter().map(|step| seconds(Timestamp(step.time))).collect()));
        cells.push(Cell::Floats(gaps.iter().map(|&gap| gap as f64 / unit).collect()));
        cells.push(Cell::Numbers(payload));
        cells.push(of_tcp(flags));
        cells.push(of_tcp(windows));
    }
}
