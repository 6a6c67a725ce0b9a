//! Flows as JSON: whole, in a file of several; and in short, in the index.

use super::json::{Json, integer, string};
use crate::error::Result;
use crate::views::timeline::flags::flag_type;
use crate::views::timeline::{Close, Flow, Host, Hosts, Mode, Packet, Phase, Reason};

/// A flow's name.
fn id(flow: &Flow) -> String {
    let mut number = itoa::Buffer::new();
    let digits = number.format(flow.number);
    ["flow_", &"000000"[digits.len().min(6)..], digits].concat()
}

/// Writes a flow with its packets, as an item of a list that nothing is around. What is written is shown to `spill` now and then: as
/// text, a flow is many times as large as its packets are.
pub(super) fn whole(
    json: &mut Json,
    flow: &Flow,
    hosts: &Hosts,
    mode: Mode,
    packets: &mut Packets,
    spill: &mut dyn FnMut(&mut Json) -> Result<()>,
) -> Result<()> {
    json.open(b'{');
    ends(json, flow, hosts);
    json.text("state", flow.state.name());
    json.key("phases");
    json.open(b'{');
    for (name, phase) in PHASES {
        json.key(name);
        json.open(b'[');
        for (packet, step) in flow.packets.of_phase(phase) {
            json.item();
            PACKET.put(json.laid_out());
            packets.of_steps.packet(json, &packet, hosts, mode);
            let out = json.laid_out();
            STEP.put(out);
            out.extend_from_slice(step.name.as_bytes());
            DESCRIPTION.put(out);
            out.extend_from_slice(description(step.name).as_bytes());
            STEP_END.put(out);
            spill(json)?;
        }
        json.close(b']');
    }
    json.close(b'}');
    json.flag("establishmentComplete", flow.established);
    json.flag("dataTransferStarted", flow.data);
    json.flag("closingStarted", flow.closing);
    json.text_or_null("closeType", flow.close.map(Close::name));
    extent(json, flow);
    json.text_or_null("invalidReason", flow.reason.map(Reason::name));
    json.int_or_null("expectedSeqNum", flow.expected_seq);
    json.int_or_null("expectedAckNum", flow.expected_ack);
    let alone =
        [("invalidPacket", flow.invalid_packet), ("synPacket", flow.syn_packet), ("synAckPacket", flow.syn_ack_packet)];
    for (name, place) in alone {
        json.key(name);
        match place.and_then(|place| flow.packets.get(place)) {
            Some(packet) => packets.alone.packet(json, &packet, hosts, mode),
            None => json.null(),
        }
    }
    json.key("packets");
    json.open(b'[');
    for packet in &flow.packets {
        json.item();
        packets.listed.packet(json, &packet, hosts, mode);
        spill(json)?;
    }
    json.close(b']');
    if flow.ongoing {
        json.flag("ongoing", true);
    }
    if flow.by_timeout {
        json.flag("completed_by_timeout", true);
    }
    if mode == Mode::Correct {
        json.key("unexplained");
        json.open(b'{');
        for &(why, packets) in &flow.unexplained {
            json.int(why, packets);
        }
        json.close(b'}');
        if flow.guessed {
            json.flag("initiator_guessed", true);
        }
    }
    json.close(b'}');
    Ok(())
}

/// Writes what the index has of a flow that is at `place` of a file.
pub(super) fn short(json: &mut Json, flow: &Flow, hosts: &Hosts, file: &str, place: usize) {
    json.open(b'{');
    ends(json, flow, hosts);
    json.text("state", flow.state.name());
    json.text_or_null("closeType", flow.close.map(Close::name));
    extent(json, flow);
    json.flag("establishmentComplete", flow.established);
    json.flag("dataTransferStarted", flow.data);
    json.flag("closingStarted", flow.closing);
    json.text_or_null("invalidReason", flow.reason.map(Reason::name));
    json.flag("ongoing", flow.ongoing);
    let counts = ["establishment_packets", "data_transfer_packets", "closing_packets"];
    for (name, (_, phase)) in counts.into_iter().zip(PHASES) {
        json.int(name, flow.packets.count_of(phase));
    }
    json.text("chunk_file", file);
    json.int("chunk_index", place);
    json.close(b'}');
}

const PHASES: [(&str, Phase); 3] =
    [("establishment", Phase::Establishment), ("dataTransfer", Phase::DataTransfer), ("closing", Phase::Closing)];

fn ends(json: &mut Json, flow: &Flow, hosts: &Hosts) {
    json.text("id", &id(flow));
    json.text("key", &flow.key);
    json.text_or_null("initiator", flow.sides.map(|sides| hosts.name(sides.initiator)));
    json.text_or_null("responder", flow.sides.map(|sides| hosts.name(sides.responder)));
    json.int_or_null("initiatorPort", flow.sides.map(|sides| sides.initiator_port));
    json.int_or_null("responderPort", flow.sides.map(|sides| sides.responder_port));
}

fn extent(json: &mut Json, flow: &Flow) {
    json.int("startTime", flow.start);
    json.int("endTime", flow.end);
    json.int("totalPackets", flow.total_packets);
    json.int("totalBytes", flow.total_bytes);
}

/// Text between two values, so short that copying all of it is quicker than asking how much there is.
struct Piece {
    text: [u8; 32],
    length: usize,
}

impl Piece {
    /// `before`, a line that begins `depth` containers deep, a name, and `behind`.
    const fn new(before: &str, depth: usize, name: &str, behind: &str) -> Piece {
        let mut piece = Piece { text: [b' '; 32], length: 0 };
        piece.add(before);
        piece.add("\n");
        piece.length += 2 * depth;
        if !name.is_empty() {
            piece.add("\"");
            piece.add(name);
            piece.add("\": ");
        }
        piece.add(behind);
        piece
    }

    const fn add(&mut self, text: &str) {
        let mut at = 0;
        while at < text.len() {
            self.text[self.length] = text.as_bytes()[at];
            self.length += 1;
            at += 1;
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.length;
        out.extend_from_slice(&self.text);
        out.truncate(end);
    }
}

const PACKET: Piece = Piece::new("{", 5, "packet", "");
const STEP: Piece = Piece::new(",", 5, "phase", "\"");
const DESCRIPTION: Piece = Piece::new("\",", 5, "description", "\"");
const STEP_END: Piece = Piece::new("\"", 4, "", "}");

/// Packets as the folder has them: in steps, in the list of all, and as one of three that stand out.
#[derive(Debug, Default)]
pub(super) struct Packets {
    of_steps: Deep<6>,
    listed: Deep<4>,
    alone: Deep<3>,
}

/// Who sent to whom, and how that is laid out.
type Way = (Option<[(Host, i64); 2]>, Vec<u8>);

/// Packets whose members are `DEPTH` containers deep. Most of a folder is packets, so they are laid out flat, and what comes again and
/// again is laid out once.
#[derive(Debug)]
struct Deep<const DEPTH: usize> {
    /// The last two ways: most flows have no more.
    ways: [Way; 2],
    /// By flags of eight bits, where they were seen.
    flags: Vec<Vec<u8>>,
}

impl<const DEPTH: usize> Default for Deep<DEPTH> {
    fn default() -> Deep<DEPTH> {
        Deep { ways: Default::default(), flags: vec![Vec::new(); 1 << u8::BITS] }
    }
}

impl<const DEPTH: usize> Deep<DEPTH> {
    const TIMESTAMP: Piece = Piece::new("{", DEPTH, "timestamp", "");
    const SRC_IP: Piece = Piece::new(",", DEPTH, "src_ip", "");
    const DST_IP: Piece = Piece::new(",", DEPTH, "dst_ip", "");
    const SRC_PORT: Piece = Piece::new(",", DEPTH, "src_port", "");
    const DST_PORT: Piece = Piece::new(",", DEPTH, "dst_port", "");
    const FLAGS: Piece = Piece::new(",", DEPTH, "flags", "");
    const FLAG_TYPE: Piece = Piece::new(",", DEPTH, "flag_type", "\"");
    const SEQ_NUM: Piece = Piece::new("\",", DEPTH, "seq_num", "");
    const ACK_NUM: Piece = Piece::new(",", DEPTH, "ack_num", "");
    const LENGTH: Piece = Piece::new(",", DEPTH, "length", "");
    const PROTOCOL: Piece = Piece::new(",", DEPTH, "protocol", "");
    const SEG_LEN: Piece = Piece::new(",", DEPTH, "seg_len", "");
    const END: Piece = Piece::new("", DEPTH - 1, "", "}");

    fn packet(&mut self, json: &mut Json, packet: &Packet, hosts: &Hosts, mode: Mode) {
        let out = json.laid_out();
        number(&Self::TIMESTAMP, packet.time, out);
        out.extend_from_slice(self.way(packet, hosts));
        let usual = packet.flags.and_then(|flags| self.flags.get_mut(usize::try_from(flags).ok()?));
        match usual {
            Some(known) => {
                if known.is_empty() {
                    Self::lay_out_flags(packet.flags, known);
                }
                out.extend_from_slice(known);
            }
            None => Self::lay_out_flags(packet.flags, out),
        }
        number(&Self::SEQ_NUM, packet.seq, out);
        number(&Self::ACK_NUM, packet.ack, out);
        number(&Self::LENGTH, packet.length, out);
        Self::PROTOCOL.put(out);
        match packet.protocol {
            Some(protocol) => integer(protocol, out),
            None => out.extend_from_slice(b"\"\""),
        }
        if let (Mode::Correct, Some(payload)) = (mode, packet.payload) {
            number(&Self::SEG_LEN, payload.into(), out);
        }
        Self::END.put(out);
    }

    fn way(&mut self, packet: &Packet, hosts: &Hosts) -> &[u8] {
        let ends = [(packet.src, packet.src_port), (packet.dst, packet.dst_port)];
        if let Some(place) = self.ways.iter().position(|(known, _)| *known == Some(ends)) {
            return &self.ways[place].1;
        }
        self.ways.swap(0, 1);
        let (known, out) = &mut self.ways[0];
        *known = Some(ends);
        out.clear();
        Self::SRC_IP.put(out);
        string(hosts.name(packet.src), out);
        Self::DST_IP.put(out);
        string(hosts.name(packet.dst), out);
        number(&Self::SRC_PORT, packet.src_port, out);
        number(&Self::DST_PORT, packet.dst_port, out);
        out
    }

    fn lay_out_flags(flags: Option<i64>, out: &mut Vec<u8>) {
        number(&Self::FLAGS, flags.unwrap_or(0), out);
        Self::FLAG_TYPE.put(out);
        out.extend_from_slice(flag_type(flags).as_bytes());
    }
}

fn number(before: &Piece, n: i64, out: &mut Vec<u8>) {
    before.put(out);
    integer(n, out);
}

/// What a step is called for people.
pub(super) fn description(step: &str) -> &str {
    match step {
        "syn" => "Connection Request",
        "syn_ack" => "Connection Acceptance",
        "ack" => "Connection Established",
        "data" => "Data Transfer",
        "ack_data" => "Data Acknowledgment",
        "fin" => "Close Request",
        "ack_close" => "Close Acknowledgment",
        "rst" => "Connection Aborted",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A packet inside so many containers, member by member.
    fn by_member(depth: usize, packet: &Packet, hosts: &Hosts, mode: Mode) -> Vec<u8> {
        let mut json = Json::default();
        (1..depth).for_each(|_| json.open(b'['));
        json.open(b'{');
        json.int("timestamp", packet.time);
        json.text("src_ip", hosts.name(packet.src));
        json.text("dst_ip", hosts.name(packet.dst));
        json.int("src_port", packet.src_port);
        json.int("dst_port", packet.dst_port);
        json.int("flags", packet.flags.unwrap_or(0));
        json.text("flag_type", &flag_type(packet.flags));
        json.int("seq_num", packet.seq);
        json.int("ack_num", packet.ack);
        json.int("length", packet.length);
        match packet.protocol {
            Some(protocol) => json.int("protocol", protocol),
            None => json.text("protocol", ""),
        }
        if let (Mode::Correct, Some(payload)) = (mode, packet.payload) {
            json.int("seg_len", payload);
        }
        json.close(b'}');
        json.take()
    }

    /// The same, as the first and once more.
    fn flat<const DEPTH: usize>(packet: &Packet, hosts: &Hosts, mode: Mode) -> [Vec<u8>; 2] {
        let mut deep = Deep::<DEPTH>::default();
        [(); 2].map(|()| {
            let mut json = Json::default();
            (1..DEPTH).for_each(|_| json.open(b'['));
            deep.packet(&mut json, packet, hosts, mode);
            json.take()
        })
    }

    #[test]
    fn a_number_has_six_digits_or_more() {
        let name = |number| id(&Flow { number, ..Flow::default() });
        assert_eq!(
            [0, 42, 999_999, 1_000_000].map(name),
            ["flow_000000", "flow_000042", "flow_999999", "flow_1000000"]
        );
    }

    proptest! {
        #[test]
        fn a_packet_is_laid_out_flat_as_it_is_member_by_member(
            [time, src_port, dst_port, seq, ack, length] in any::<[i64; 6]>(),
            flags in prop_oneof![any::<Option<i64>>(), prop::option::of(0..300_i64)],
            protocol in any::<Option<i64>>(),
            payload in any::<Option<u32>>(),
            [src, dst] in [0..4_u32, 0..4_u32],
            correct: bool,
        ) {
            let packet = Packet { time, src, dst, src_port, dst_port, flags, seq, ack, length, payload, protocol };
            let mode = if correct { Mode::Correct } else { Mode::Original };
            let mut hosts = Hosts::default();
            for name in ["10.0.0.1", "say \"é\"", "fe80::1"] {
                hosts.number(name);
            }
            prop_assert_eq!(flat::<3>(&packet, &hosts, mode), [(); 2].map(|()| by_member(3, &packet, &hosts, mode)));
            prop_assert_eq!(flat::<4>(&packet, &hosts, mode), [(); 2].map(|()| by_member(4, &packet, &hosts, mode)));
            prop_assert_eq!(flat::<6>(&packet, &hosts, mode), [(); 2].map(|()| by_member(6, &packet, &hosts, mode)));
        }
    }
}
