//! The accumulator: a flow's packets one by one, and what is worked out of them when it has ended.

use super::Switches;
use super::block::{BLOCKS, Desk, WIDTH};
use super::columns::seconds;
use super::steps::{Step, Steps};
use crate::decode::packet::protocol;
use crate::time::{NS_PER_SECOND, Timestamp};
use crate::views::flows::columns::Kind;
use crate::views::flows::{Cell, Cells, Feature, FeatureColumn, FeatureState, FlowPacket, Plain, Roles};

/// The feature behind the columns.
#[derive(Debug)]
pub(super) struct Packets(pub(super) Switches);

impl Feature for Packets {
    fn columns(&self) -> Vec<FeatureColumn> {
        BLOCKS.into_iter().flatten().chain(FLOW).chain(SEQUENCES).collect()
    }

    fn start(&self) -> Box<dyn FeatureState> {
        Box::new(State { switches: self.0, steps: Steps::default() })
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
    column("feature.duration", Float, "s", "latest less earliest time, or as `summed_duration` says"),
];

/// Columns of packets one by one.
const SEQUENCES: [FeatureColumn; 9] = [
    column("feature.packet_lengths", Integers, "bytes", "frame lengths on the wire; negative if down"),
    column("feature.ip_lengths", Integers, "bytes", "IP lengths; negative if down"),
    column("feature.trans_lengths", Integers, "bytes", "lengths of TCP or UDP header and payload; negative if down"),
    column("feature.app_lengths", Integers, "bytes", "lengths of captured TCP or UDP payload; negative if down"),
    column("feature.timestamps", Floats, "s", "times since 1970"),
    column("feature.iats", Floats, "s", "times to the packet before, negative where time goes back; see `float_times`"),
    column("feature.payload_bytes", Integers, "bytes", "as feature.app_lengths; 0 for UDP with `udp_without_payload`"),
    column("feature.tcp_flags", Integers, "", "TCP flags, FIN 1 to CWR 128; empty for other protocols"),
    column("feature.tcp_window_sizes", Integers, "", "TCP window fields, not scaled; empty for other protocols"),
];

/// The packets of a flow.
#[derive(Debug)]
struct State {
    switches: Switches,
    steps: Steps,
}

/// Ticks of a float time, in which differences of times since 1972 are whole.
const TICKS: f64 = (1_u64 << 36) as f64;

impl State {
    /// How many units of the times between packets make a second.
    fn unit(&self) -> f64 {
        if self.switches.float_times { TICKS } else { NS_PER_SECOND as f64 }
    }

    /// The time from one packet to the next.
    fn gap(&self, before: i64, time: i64) -> i64 {
        if self.switches.float_times {
            return ((seconds(Timestamp(time)) - seconds(Timestamp(before))) * TICKS).round() as i64;
        }
        time.saturating_sub(before)
    }

    /// The duration of a flow with these times between packets, and this earliest and latest time.
    fn duration(&self, gaps: &[i64], [first, last]: [i64; 2]) -> f64 {
        if self.switches.summed_duration {
            let sum = gaps.iter().map(|gap| gap.saturating_abs()).fold(0, i64::saturating_add);
            return sum as f64 / self.unit();
        }
        last.saturating_sub(first) as f64 / NS_PER_SECOND as f64
    }
}

impl FeatureState for State {
    fn packet(&mut self, packet: &FlowPacket) {
        let sample = &packet.sample;
        let udp = packet.protocol == protocol::UDP;
        let counts = udp || packet.tcp_flags.is_some();
        let payload = if counts { packet.captured_payload } else { 0 };
        // Of TCP, what was captured; of UDP, what its header says.
        let cut = if udp { 0 } else { sample.payload - payload.min(sample.payload) };
        let transport = if counts { sample.l4.saturating_sub(cut) } else { 0 };
        self.steps.push(Step {
            time: packet.time.0,
            lengths: [sample.frame, sample.ip, transport, payload],
            window: sample.window.unwrap_or(0),
            flags: packet.tcp_flags.unwrap_or(0),
            tcp: packet.tcp_flags.is_some() && sample.window.is_some(),
            udp,
            from_high: packet.from_high,
        });
    }

    fn finish(&self, Roles { client_high, .. }: Roles, cells: &mut Cells) {
        let steps = &self.steps;
        let mut lengths = [0, 1, 2, 3].map(|place| cells.numbers(place));
        let mut times = cells.floats(4);
        let mut iats = cells.floats(5);
        let mut payload = cells.numbers(6);
        let [mut flags, mut windows] = [7, 8].map(|place| cells.numbers(place));
        for list in lengths.iter_mut().chain([&mut payload, &mut flags, &mut windows]) {
            list.reserve_exact(steps.len());
        }
        times.reserve_exact(steps.len());
        let mut gaps = Vec::with_capacity(steps.len());
        let mut range = [i64::MAX, i64::MIN];
        let mut before = None;
        for step in steps.iter() {
            gaps.extend(before.map(|before| self.gap(before, step.time)));
            before = Some(step.time);
            range = [range[0].min(step.time), range[1].max(step.time)];
            let sign = if step.from_high == client_high { 1 } else { -1 };
            for (list, length) in lengths.iter_mut().zip(step.lengths) {
                list.push(sign * i64::from(length));
            }
            times.push(seconds(Timestamp(step.time)));
            if step.tcp {
                flags.push(step.flags.into());
                windows.push(step.window.into());
            }
        }
        // Of one flow either all packets have a TCP header or none, but for what was cut off.
        if steps.iter().next().is_some_and(|first| first.udp) {
            flags.clear();
            windows.clear();
        }
        let unit = self.unit();
        iats.extend(gaps.iter().map(|&gap| gap as f64 / unit));

        let mut desk = Desk::default();
        for list in &lengths {
            desk.block(list, 1.0, cells);
        }
        let app = cells.len() - WIDTH..cells.len();
        desk.block(&gaps, unit, cells);
        payload.extend_from_slice(&lengths[3]);
        if self.switches.udp_without_payload {
            payload.iter_mut().zip(steps.iter()).filter(|(_, step)| step.udp).for_each(|(length, _)| *length = 0);
            desk.block(&payload, 1.0, cells);
        } else {
            cells.again(app);
        }
        desk.block(&flags, 1.0, cells);
        desk.block(&windows, 1.0, cells);

        let [mut packets, mut bytes] = [[0_u64; 2]; 2];
        for &length in &lengths[0] {
            let side = usize::from(length <= 0);
            packets[side] += 1;
            bytes[side] += length.unsigned_abs();
        }
        let ratio = |[up, down]: [u64; 2]| if down == 0 { 0.0 } else { up as f64 / down as f64 };
        let duration = self.duration(&gaps, range);
        cells.put([Plain::Count(steps.len() as u64), Plain::Count(bytes[0] + bytes[1])]);
        cells.put([ratio(packets), ratio(bytes), duration].map(Plain::Float));

        let of_tcp = |list: Vec<i64>| if list.is_empty() { Cell::Absent } else { Cell::Numbers(list) };
        for list in lengths {
            cells.push(Cell::Numbers(list));
        }
        cells.push(Cell::Floats(times));
        cells.push(Cell::Floats(iats));
        cells.push(Cell::Numbers(payload));
        cells.push(of_tcp(flags));
        cells.push(of_tcp(windows));
    }
}
