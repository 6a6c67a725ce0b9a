//! The accumulator: counts, sums and extremes of a flow.

use super::columns::{civil, micros};
use crate::decode::packet::tcp_flag;
use crate::views::flows::columns::Kind;
use crate::views::flows::dialects::Zone;
use crate::views::flows::{Cell, Cells, Feature, FeatureColumn, FeatureState, FlowPacket, Roles};

/// The feature behind the columns.
#[derive(Debug)]
pub(super) struct Counts {
    /// Of times.
    pub(super) zone: Zone,
}

impl Feature for Counts {
    fn columns(&self) -> Vec<FeatureColumn> {
        COLUMNS.to_vec()
    }

    fn start(&self) -> Box<dyn FeatureState> {
        Box::new(State { zone: self.zone.clone(), ..State::default() })
    }
}

const fn column(name: &'static str, kind: Kind, unit: &'static str, about: &'static str) -> FeatureColumn {
    FeatureColumn { name, kind, unit, about }
}

const fn packets(name: &'static str, about: &'static str) -> FeatureColumn {
    column(name, Integer, "packets", about)
}

const fn bytes(name: &'static str, about: &'static str) -> FeatureColumn {
    column(name, Integer, "bytes", about)
}

use Kind::{Boolean, Float, Integer, Text};

const COLUMNS: &[FeatureColumn] = &[
    column(
        "start_time",
        Text,
        "",
        "time of the packet that came first, YYYY-MM-DD HH:MM:SS.ffffff in UTC or the zone of --time-zone",
    ),
    column("end_time", Text, "", "time of the packet that came last, likewise"),
    column("duration_seconds", Float, "s", "end_time - start_time"),
    packets("total_packets", "packets"),
    packets("forward_packets", "packets from src"),
    packets("backward_packets", "packets from dst"),
    column("is_bidirectional", Boolean, "", "both are not 0"),
    column("forward_backward_ratio", Float, "", "forward_packets / backward_packets; infinite without the latter"),
    bytes("total_bytes", "captured bytes of frames"),
    bytes("forward_bytes", "those from src"),
    bytes("backward_bytes", "those from dst"),
    bytes("total_payload_bytes", "captured bytes from the TCP or UDP header to the end of the frame"),
    bytes("forward_payload_bytes", "those from src"),
    bytes("backward_payload_bytes", "those from dst"),
    column("packets_per_second", Float, "packets/s", "total_packets / duration_seconds; 0 where that is not positive"),
    column("bytes_per_second", Float, "bytes/s", "total_bytes / duration_seconds; 0 where that is not positive"),
    bytes("min_packet_size", "least captured bytes of a frame"),
    bytes("max_packet_size", "most captured bytes of a frame"),
    column("avg_packet_size", Float, "bytes", "total_bytes / total_packets"),
    column("avg_inter_arrival_ms", Float, "ms", "mean of times from packet to packet; 0 without any"),
    column("min_inter_arrival_ms", Float, "ms", "least of them; negative where time goes back"),
    column("max_inter_arrival_ms", Float, "ms", "greatest of them"),
    column("tcp_flags", Text, "", "sets of flags that segments had (F S R P A U E C), sorted, parted by commas"),
    packets("syn_count", "segments with SYN, without ACK"),
    packets("fin_count", "segments with FIN"),
    packets("rst_count", "segments with RST"),
    packets("ack_count", "segments with ACK"),
    column(
        "connection_state",
        Text,
        "",
        "Established (SYN, neither FIN nor RST), Closed (SYN and FIN), Reset (RST), Ongoing (no SYN); of others Unknown",
    ),
];

/// What is known of the packets so far; times are microseconds.
#[derive(Debug, Default)]
struct State {
    zone: Zone,
    /// Time of the packet that came first.
    first: i64,
    /// Time of the packet that came last.
    last: i64,
    /// Least and greatest time from packet to packet.
    gaps: Option<[i64; 2]>,
    /// Least and greatest frame.
    frames: [u32; 2],
    /// By end, as the two below.
    packets: [u64; 2],
    bytes: [u64; 2],
    payload: [u64; 2],
    flags: FlagSets,
    syn: u64,
    fin: u64,
    rst: u64,
    ack: u64,
}

impl State {
    fn time(&mut self, time: i64) {
        if self.packets == [0; 2] {
            self.first = time;
        } else {
            let gap = time.saturating_sub(self.last);
            let [least, greatest] = self.gaps.unwrap_or([gap; 2]);
            self.gaps = Some([least.min(gap), greatest.max(gap)]);
        }
        self.last = time;
    }

    fn frame(&mut self, length: u32) {
        let [least, greatest] = if self.packets == [0; 2] { [length; 2] } else { self.frames };
        self.frames = [least.min(length), greatest.max(length)];
    }

    fn segment(&mut self, flags: u8) {
        let has = |flag| flags & flag != 0;
        self.flags.add(flags);
        self.syn += u64::from(has(tcp_flag::SYN) && !has(tcp_flag::ACK));
        self.fin += u64::from(has(tcp_flag::FIN));
        self.rst += u64::from(has(tcp_flag::RST));
        self.ack += u64::from(has(tcp_flag::ACK));
    }

    /// Mean, least and greatest time from packet to packet.
    fn gaps(&self) -> [f64; 3] {
        let Some([least, greatest]) = self.gaps else { return [0.0; 3] };
        let gaps = self.packets.iter().sum::<u64>() - 1;
        let milliseconds = |micros| seconds(micros) * 1000.0;
        [milliseconds(self.last.saturating_sub(self.first)) / gaps as f64, milliseconds(least), milliseconds(greatest)]
    }

    fn connection(&self) -> &'static str {
        match (self.syn, self.fin, self.rst) {
            _ if self.flags.is_empty() => "Unknown",
            (1.., 0, 0) => "Established",
            (1.., 1.., _) => "Closed",
            (_, _, 1..) => "Reset",
            _ => "Ongoing",
        }
    }
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// Captured bytes of a frame behind its second layer, where that is TCP or UDP. Layers are counted from the outside: a VLAN tag
/// is one, and Ethernet may be missing.
fn payload(packet: &FlowPacket) -> u32 {
    if packet.tcp_flags.is_none() && !packet.udp {
        return 0;
    }
    let (ip, sample) = (u32::from(packet.ip_offset), &packet.sample);
    let header = ip.saturating_add(sample.ip.saturating_sub(sample.l4));
    let behind = match (packet.vlan, ip) {
        (Some(_), _) => ip.min(TAGGED),
        (None, 0) => header.saturating_add(sample.l4.saturating_sub(sample.payload)),
        (None, _) => header,
    };
    packet.captured.saturating_sub(behind)
}

/// Bytes of an Ethernet header and one tag.
const TAGGED: u32 = 18;

impl FeatureState for State {
    fn packet(&mut self, packet: &FlowPacket) {
        self.time(micros(packet.time));
        self.frame(packet.captured);
        if let Some(flags) = packet.tcp_flags {
            self.segment(flags);
        }
        let end = usize::from(packet.from_high);
        self.packets[end] += 1;
        self.bytes[end] += u64::from(packet.captured);
        self.payload[end] += u64::from(payload(packet));
    }

    fn finish(&self, roles: Roles, cells: &mut Cells) {
        let duration = seconds(self.last.saturating_sub(self.first));
        let rate = |n: u64| if duration > 0.0 { n as f64 / duration } else { 0.0 };
        let split = |[low, high]: [u64; 2]| match roles {
            // What a host sends to itself is all forward.
            Roles { one_host: true, .. } => [low + high, low + high, 0],
            Roles { client_high: false, .. } => [low + high, low, high],
            Roles { client_high: true, .. } => [low + high, high, low],
        };
        let packets = split(self.packets);
        let bytes = split(self.bytes);

        cells.extend([self.first, self.last].map(|time| civil(self.zone.local(time)).into()));
        cells.push(duration.into());
        cells.extend(packets.map(Cell::from));
        cells.push((!packets.contains(&0)).into());
        cells.push((packets[1] as f64 / packets[2] as f64).into());
        cells.extend(bytes.map(Cell::from));
        cells.extend(split(self.payload).map(Cell::from));
        cells.extend([rate(packets[0]), rate(bytes[0])].map(Cell::from));
        cells.extend(self.frames.map(Cell::from));
        cells.push((bytes[0] as f64 / packets[0] as f64).into());
        cells.extend(self.gaps().map(Cell::from));
        cells.push(self.flags.text().into());
        cells.extend([self.syn, self.fin, self.rst, self.ack].map(Cell::from));
        cells.push(self.connection().into());
    }
}

/// Which of the 256 sets of TCP flags there were.
#[derive(Debug, Default)]
struct FlagSets([u64; 4]);

impl FlagSets {
    fn add(&mut self, flags: u8) {
        self.0[usize::from(flags / 64)] |= 1 << (flags % 64);
    }

    fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// Their letters, sorted, parted by commas.
    fn text(&self) -> String {
        let there = (0..=u8::MAX).filter(|&flags| self.0[usize::from(flags / 64)] >> (flags % 64) & 1 == 1);
        let letters = |flags: u8| "FSRPAUEC".char_indices().filter(move |(bit, _)| flags >> bit & 1 == 1);
        let mut sets: Vec<String> = there.map(|flags| letters(flags).map(|(_, letter)| letter).collect()).collect();
        sets.sort_unstable();
        sets.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_flags_are_sorted_as_text_and_none_is_one_too() {
        let text = |sets: &[u8]| {
            let mut flags = FlagSets::default();
            sets.iter().for_each(|&set| flags.add(set));
            flags.text()
        };
        assert_eq!(text(&[]), "");
        assert_eq!(text(&[0x18, 0x02, 0x12, 0x18, 0x11, 0x10]), "A,FA,PA,S,SA");
        assert_eq!(text(&[0x10, 0]), ",A");
        assert_eq!(text(&[0xff, 0xc2, 0x80]), "C,FSRPAUEC,SEC");
        assert_eq!(text(&(0..=255).collect::<Vec<_>>()).split(',').count(), 256);
    }
}
