//! Flows as JSON: whole, in a file of several; and in short, in the index.

use super::json::Json;
use crate::error::Result;
use crate::views::timeline::flags::flag_type;
use crate::views::timeline::{Close, Flow, Hosts, Mode, Packet, Phase, Reason, Step};

/// A flow's name.
fn id(flow: &Flow) -> String {
    format!("flow_{:06}", flow.number)
}

/// Writes a flow with its packets. What is written is shown to `spill` now and then: as text, a flow is many times as large as its
/// packets are.
pub(super) fn whole(
    json: &mut Json,
    flow: &Flow,
    hosts: &Hosts,
    mode: Mode,
    spill: &mut dyn FnMut(&mut Json) -> Result<()>,
) -> Result<()> {
    let packet = |json: &mut Json, packet: &Packet| self::packet(json, packet, hosts, mode);
    let place = |json: &mut Json, name, place: Option<u32>| {
        json.key(name);
        match place.and_then(|place| flow.packets.get(place as usize)) {
            Some(there) => packet(json, there),
            None => json.null(),
        }
    };
    json.open(b'{');
    ends(json, flow, hosts);
    json.text("state", flow.state.name());
    json.key("phases");
    json.open(b'{');
    for (name, phase) in PHASES {
        json.key(name);
        json.open(b'[');
        for step in steps(flow, phase) {
            json.item();
            json.open(b'{');
            place(json, "packet", Some(step.packet));
            json.text("phase", step.name);
            json.text("description", description(step.name));
            json.close(b'}');
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
    place(json, "invalidPacket", flow.invalid_packet);
    place(json, "synPacket", flow.syn_packet);
    place(json, "synAckPacket", flow.syn_ack_packet);
    json.key("packets");
    json.open(b'[');
    for there in &flow.packets {
        json.item();
        packet(json, there);
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
        json.int(name, steps(flow, phase).count());
    }
    json.text("chunk_file", file);
    json.int("chunk_index", place);
    json.close(b'}');
}

const PHASES: [(&str, Phase); 3] =
    [("establishment", Phase::Establishment), ("dataTransfer", Phase::DataTransfer), ("closing", Phase::Closing)];

fn steps(flow: &Flow, phase: Phase) -> impl Iterator<Item = &Step> {
    flow.steps.iter().filter(move |step| step.phase == phase)
}

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

fn packet(json: &mut Json, packet: &Packet, hosts: &Hosts, mode: Mode) {
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
    json.key("protocol");
    match packet.protocol {
        Some(protocol) => json.integer(protocol),
        None => json.string(""),
    }
    if let (Mode::Correct, Some(payload)) = (mode, packet.payload) {
        json.int("seg_len", payload);
    }
    json.close(b'}');
}

/// What a step is called for people.
fn description(step: &str) -> &str {
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
