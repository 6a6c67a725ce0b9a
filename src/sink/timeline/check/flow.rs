//! A flow of version 2.0 in its file: against its entry in the index, and against itself. Its packets are read one by one, and gone through as
//! by the machine that made it: of a flow that is otherwise in order, all that is said has to be what its packets come to. Which machine that
//! was tells `unexplained`, which the original's flows do not have.

use std::cell::Cell;

use hashbrown::HashMap;
use serde::de::MapAccess;
use serde_json::{Map, Value, json};

use super::findings::{Findings, short};
use super::packets::{Sums, Told, key};
use super::stream::{Elements, Held, Members, Object, plain};
use super::{flow_row, print};
use crate::sink::timeline::flow_bins::KINDS;
use crate::sink::timeline::flows::description;
use crate::views::timeline::again::Again;
use crate::views::timeline::correct::UNEXPLAINED;
use crate::views::timeline::{Close, Mode, Packet, Phase, Reason};

/// What index and file have both.
const BOTH: [&str; 16] = [
    "id",
    "key",
    "initiator",
    "responder",
    "initiatorPort",
    "responderPort",
    "state",
    "closeType",
    "startTime",
    "endTime",
    "totalPackets",
    "totalBytes",
    "establishmentComplete",
    "dataTransferStarted",
    "closingStarted",
    "invalidReason",
];

/// What only the file has, null where there is none, beside phases and packets.
const ALONE: [&str; 5] = ["expectedSeqNum", "expectedAckNum", "invalidPacket", "synPacket", "synAckPacket"];

/// Phases, what the index calls their number of packets, and what packets do in them.
const PHASES: [(&str, &str, &[&str]); 3] = [
    ("establishment", "establishment_packets", &["syn", "syn_ack", "ack"]),
    ("dataTransfer", "data_transfer_packets", &["data", "ack_data"]),
    ("closing", "closing_packets", &["fin", "ack_close", "rst"]),
];

/// The same, as machines have them.
const PHASES_OF_MACHINES: [Phase; 3] = [Phase::Establishment, Phase::DataTransfer, Phase::Closing];

/// The reasons for which the original lists no packet behind the one that they are about.
const BROKEN_OFF: [&str; 2] = ["invalid_synack", "invalid_ack"];

const THEN: &str = "viewers show the flow otherwise than its packets are";

/// A flow as it is read.
pub(super) struct Flow<'s> {
    sums: &'s mut Sums,
    held: Held,
    /// Members but phases and packets.
    rest: Map<String, Value>,
    /// Hashes of steps, with the place of their names among those of their phase, by phase.
    steps: [Vec<(u64, u8)>; 3],
    phases: usize,
    packets: Listed,
    /// Its packets gone through by each machine.
    again: [Again; 2],
    /// What is wrong with its packets first.
    wrong: Option<String>,
}

/// Packets of the list.
#[derive(Default)]
struct Listed {
    is_there: bool,
    count: u64,
    bytes: i64,
    times: Option<(i64, i64)>,
    prints: Vec<u64>,

    /// The ends of the first.
    key: String,
    /// Its hosts.
    hosts: [String; 2],
    /// Its ports, and its pair of hosts in the order of their text.
    ports: [i64; 2],
    pair: String,
    /// What tells them from others, summed.
    sum: u64,
}

impl<'s> Flow<'s> {
    pub(super) fn new(sums: &'s mut Sums, held: Held) -> Flow<'s> {
        let (steps, packets) = (Default::default(), Listed::default());
        let again = [Mode::Correct, Mode::Original].map(Again::new);
        Flow { sums, held, rest: Map::new(), steps, phases: 0, packets, again, wrong: None }
    }

    /// Takes a packet of the list.
    fn packet(&mut self, packet: &Value) {
        let place = self.packets.count;
        self.packets.count += 1;
        self.packets.prints.push(print(&packet.to_string()));
        if let Err(why) = self.told(packet) {
            self.wrong.get_or_insert_with(|| format!("packet {place}: {why}"));
        }
    }

    fn told(&mut self, value: &Value) -> Result<(), String> {
        let packet = Told::of(value, self.sums.has).map_err(|name| format!("{name} is {}", value[name]))?;
        let listed = &mut self.packets;
        listed.bytes = listed.bytes.saturating_add(packet.length);
        let (first, last) = listed.times.unwrap_or((packet.time, packet.time));
        listed.times = Some((first, packet.time.max(last)));
        let ends = packet.key();
        if listed.key.is_empty() {
            listed.key.clone_from(&ends);
            listed.ports = [packet.src_port, packet.dst_port];
            listed.hosts = [packet.src.to_owned(), packet.dst.to_owned()];
            listed.pair = format!("{}<->{}", packet.src.min(packet.dst), packet.src.max(packet.dst));
        }
        let up = packet.src <= packet.dst;
        listed.sum = listed.sum.wrapping_add(flow_row::of_packet(packet.time, packet.flags, up, packet.numbers));
        if !self.sums.listed(&packet) {
            return Err("it is not TCP, or has neither flags nor ports".into());
        }
        if packet.time < last {
            return Err("it is earlier than the one before, and they are not in the order of time".into());
        }
        if ends != listed.key {
            return Err(format!("it is not between the ends of {}", listed.key));
        }
        if !packet.is_well_spelled() {
            return Err(format!("flags {} are not {}", packet.flags, packet.name));
        }
        if value["protocol"].is_null() {
            return Err("protocol is missing".into());
        }
        let payload = &value["seg_len"];
        if !payload.is_null() && !payload.as_i64().is_some_and(|n| (0..=packet.length).contains(&n)) {
            return Err(format!("seg_len is {payload} of {} bytes", packet.length));
        }
        let number = |name| value[name].as_i64().ok_or_else(|| format!("{name} is {}", value[name]));
        let host = |name: &str| u32::from(name != listed.hosts[0]);
        let packet = Packet {
            time: packet.time,
            src: host(packet.src),
            dst: host(packet.dst),
            src_port: packet.src_port,
            dst_port: packet.dst_port,
            flags: Some(packet.flags),
            seq: number("seq_num")?,
            ack: number("ack_num")?,
            length: packet.length,
            payload: payload.as_u64().and_then(|n| u32::try_from(n).ok()),
            protocol: Some(6),
        };
        self.again.iter_mut().for_each(|again| again.take(&packet));
        Ok(())
    }

    /// What tells it from others, as a list of version 5.0 has it; nothing where it has no packets.
    pub(super) fn print(&self) -> u64 {
        let (reason, close) = (self.rest.get("invalidReason"), self.rest.get("closeType"));
        let name = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let kind = match (name(reason), name(close).as_deref()) {
            (Some(reason), _) => reason,
            (None, Some("invalid")) => "unknown_invalid".into(),
            (None, Some("open")) => "ongoing".into(),
            (None, Some(close)) => close.into(),
            (None, None) => "open".into(),
        };
        let kind = KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len()) as i64;
        let start = self.rest.get("startTime").and_then(Value::as_i64).unwrap_or(0);
        let [src, dst] = self.packets.ports;
        match self.packets.count {
            0 => 0,
            _ => print(&(self.packets.pair.as_str(), flow_row::of_flow([start, src, dst, kind], self.packets.sum))),
        }
    }

    /// Takes a step of a phase.
    fn step(&mut self, phase: usize, step: &Value, before: &mut i64) {
        let (title, _, names) = PHASES[phase];
        let place = self.steps[phase].len();
        let name = step["phase"].as_str().unwrap_or_default();
        let known = names.iter().position(|known| *known == name);
        let time = step["packet"]["timestamp"].as_i64().unwrap_or(i64::MIN);
        let wrong = if known.is_none() {
            format!("a step of {title} is {}", step["phase"])
        } else if step["description"] != description(name) {
            format!("step {place} of {title} is described as {}, and not {}", step["description"], description(name))
        } else if time < *before {
            format!("step {place} of {title} is earlier than the one before")
        } else {
            String::new()
        };
        *before = time;
        if !wrong.is_empty() {
            self.wrong.get_or_insert(wrong);
        }
        let number = known.and_then(|known| u8::try_from(known).ok()).unwrap_or(u8::MAX);
        self.steps[phase].push((print(&step["packet"].to_string()), number));
    }
}

impl Members for Flow<'_> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        match name.as_str() {
            "packets" => {
                self.packets.is_there = true;
                map.next_value_seed(Elements(self.held.here(), |packet: Value| self.packet(&packet)))
            }
            "phases" => map.next_value_seed(Object(Phases(self))).map(drop),
            _ => {
                self.rest.insert(name, plain(map.next_value()?));
                Ok(())
            }
        }
    }
}

struct Phases<'f, 's>(&'f mut Flow<'s>);

impl Members for Phases<'_, '_> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        match PHASES.iter().position(|(phase, ..)| *phase == name) {
            Some(phase) => {
                self.0.phases += 1;
                let mut before = i64::MIN;
                let held = self.0.held.here();
                map.next_value_seed(Elements(held, |step: Value| self.0.step(phase, &step, &mut before)))
            }
            None => map.next_value::<serde::de::IgnoredAny>().map(drop),
        }
    }
}

/// Compares a flow with its entry; how many packets it counts and rightly does not list.
pub(super) fn compare(findings: &mut Findings, file: &str, flow: Flow<'_>, entry: &Value) -> u64 {
    let Flow { sums, rest, steps, phases, packets, again, wrong, .. } = flow;
    let flow = Value::Object(rest);
    let here = short(&flow["id"]);
    for name in BOTH.into_iter().chain(ALONE).filter(|name| flow.get(name).is_none()) {
        findings.lacks(file, name, &here);
    }
    let is_sound = Cell::new(wrong.is_none());
    let mut tell = |kind: &str, what: &str| {
        is_sound.set(false);
        findings.of_kind(kind, file, format_args!("{here}: {what}"), THEN);
    };
    for name in BOTH {
        if flow[name] != entry[name] {
            tell(name, &format!("{name} is {}, and {} in the index", flow[name], entry[name]));
        }
    }
    if flow["ongoing"].as_bool().unwrap_or(false) != entry["ongoing"].as_bool().unwrap_or(false) {
        tell("ongoing", &format!("ongoing is {}, and {} in the index", flow["ongoing"], entry["ongoing"]));
    }
    for name in ["ongoing", "completed_by_timeout", "initiator_guessed"] {
        if !flow[name].is_null() && flow[name] != true {
            tell(name, &format!("{name} is {}, and is only there where it is true", flow[name]));
        }
    }
    if phases < PHASES.len() {
        tell("phases", "not each of establishment, dataTransfer and closing is there");
    }
    if !packets.is_there {
        tell("packets", "packets is no list");
        return 0;
    }
    if let Some(wrong) = wrong {
        tell("packet", &wrong);
    }
    for ((phase, count, _), steps) in PHASES.into_iter().zip(&steps) {
        if Some(steps.len() as u64) != entry[count].as_u64() {
            tell(phase, &format!("{} packets are of {phase}, and {} in the index", steps.len(), entry[count]));
        }
    }
    let places = places(&mut tell, &steps, &packets);
    alone(&mut tell, &flow, &steps, &places, &packets);
    ends(&mut tell, &flow, &packets);
    let unlisted = totals(&mut tell, &flow, &steps, &packets, sums);
    if is_sound.get() {
        course(&mut tell, &flow, &steps, &packets, again);
    }
    unlisted
}

/// What a flow comes to by its packets.
fn course(
    tell: &mut impl FnMut(&str, &str),
    flow: &Value,
    steps: &[Vec<(u64, u8)>; 3],
    packets: &Listed,
    [correct, original]: [Again; 2],
) {
    let is_correct = flow["unexplained"].is_object();
    let again = if is_correct { correct } else { original };
    let listed = again.taken() as u64;
    if listed < packets.count {
        tell("broken off", &format!("it lists packets behind packet {listed}, with which its handshake was given up"));
        return;
    }
    let (is, steps_of) = again.end();
    let host = |of: Option<u32>| of.map_or(Value::Null, |host| json!(packets.hosts[host.min(1) as usize]));
    let mut members = vec![
        ("state", json!(is.state.name())),
        ("closeType", json!(is.close.map(Close::name))),
        ("invalidReason", json!(is.reason.map(Reason::name))),
        ("establishmentComplete", json!(is.established)),
        ("dataTransferStarted", json!(is.data)),
        ("closingStarted", json!(is.closing)),
        ("ongoing", if is.ongoing { json!(true) } else { Value::Null }),
        ("initiator", host(is.sides.map(|sides| sides.initiator))),
        ("responder", host(is.sides.map(|sides| sides.responder))),
        ("initiatorPort", json!(is.sides.map(|sides| sides.initiator_port))),
        ("responderPort", json!(is.sides.map(|sides| sides.responder_port))),
        ("expectedSeqNum", json!(is.expected_seq)),
        ("expectedAckNum", json!(is.expected_ack)),
    ];
    if is_correct {
        members.push(("initiator_guessed", if is.guessed { json!(true) } else { Value::Null }));
        let unexplained = is.unexplained.iter().map(|&(why, n)| (why.to_owned(), json!(n)));
        members.push(("unexplained", Value::Object(unexplained.collect())));
    }
    for (name, is) in members.into_iter().filter(|(name, is)| flow[*name] != *is) {
        tell(name, &format!("{name} is {}, and by its packets {is}", flow[name]));
    }
    for (name, place) in
        [("invalidPacket", is.invalid_packet), ("synPacket", is.syn_packet), ("synAckPacket", is.syn_ack_packet)]
    {
        let says = Some(&flow[name]).filter(|packet| !packet.is_null()).map(|packet| print(&packet.to_string()));
        if says != place.and_then(|place| packets.prints.get(place as usize)).copied() {
            let is = place.map_or_else(|| "none".to_owned(), |place| format!("packet {place}"));
            tell(name, &format!("{name} is not what it is by its packets, {is}"));
        }
    }
    for (((title, _, names), phase), says) in PHASES.into_iter().zip(PHASES_OF_MACHINES).zip(steps) {
        let are = steps_of(phase);
        let is_step = |((print, name), (place, is)): (&(u64, u8), &(usize, &str))| {
            packets.prints.get(*place) == Some(print) && names.get(usize::from(*name)) == Some(is)
        };
        let alike = says.iter().zip(&are).take_while(|pair| is_step(*pair)).count();
        let said = says.get(alike).map_or("not there", |(_, name)| names.get(usize::from(*name)).unwrap_or(&"unknown"));
        match are.get(alike) {
            Some((place, name)) => {
                tell(title, &format!("step {alike} of {title} is {said}, and by its packets {name}, packet {place}"));
            }
            None if says.len() > alike => {
                tell(title, &format!("step {alike} of {title} is {said}, and by its packets there is none"));
            }
            None => {}
        }
    }
}

/// Where the packets of steps are in the list, by phase, up to one that is no packet of its own or not in the order of the list. Packets that
/// are alike stand for one another.
fn places(tell: &mut impl FnMut(&str, &str), steps: &[Vec<(u64, u8)>; 3], packets: &Listed) -> [Vec<usize>; 3] {
    let mut left: HashMap<u64, u64> = HashMap::new();
    packets.prints.iter().for_each(|&packet| *left.entry(packet).or_default() += 1);
    let mut places: [Vec<usize>; 3] = Default::default();
    for (((phase, ..), steps), places) in PHASES.into_iter().zip(steps).zip(&mut places) {
        let mut ahead = packets.prints.iter().enumerate();
        for (number, (step, _)) in steps.iter().enumerate() {
            let wrong = match left.get_mut(step) {
                None => "is not among packets",
                Some(0) => "is of another step too",
                Some(left) => {
                    *left -= 1;
                    match ahead.find(|(_, packet)| *packet == step) {
                        Some((place, _)) => {
                            places.push(place);
                            continue;
                        }
                        None => "is listed before that of the step before",
                    }
                }
            };
            tell("listed", &format!("packet {number} of {phase} {wrong}"));
            break;
        }
    }
    places
}

/// Whether a handshake was under way at its SYN+ACK: a SYN had come, and since then neither an ACK that ended it nor the first FIN nor a RST.
fn is_asked(steps: &[Vec<(u64, u8)>; 3], places: &[Vec<usize>; 3], answer: u64) -> bool {
    let called = |phase: usize, number: u8| {
        let steps = steps[phase].iter().zip(&places[phase]).filter(move |((_, of), _)| *of == number);
        steps.map(|((step, _), place)| (*step, *place))
    };
    let places = |phase, number| called(phase, number).map(|(_, place)| place);
    let Some(answer) = called(0, 1).filter(|(step, _)| *step == answer).map(|(_, place)| place).next_back() else {
        return false;
    };
    let asked = places(0, 0).filter(|&place| place < answer).max();
    // Behind one FIN another changes nothing.
    let ended = places(0, 2).chain(places(2, 0).take(1)).chain(places(2, 2));
    asked.is_some() && asked > ended.filter(|&place| place < answer).max()
}

/// The packets that stand out, and the numbers that follow from them.
fn alone(
    tell: &mut impl FnMut(&str, &str),
    flow: &Value,
    steps: &[Vec<(u64, u8)>; 3],
    places: &[Vec<usize>; 3],
    packets: &Listed,
) {
    let invalid = &flow["invalidPacket"];
    if !invalid.is_null() && !packets.prints.contains(&print(&invalid.to_string())) {
        tell("invalidPacket", "invalidPacket is not among packets");
    }
    for (name, number) in [("synPacket", 0), ("synAckPacket", 1)] {
        let mut called = steps[0].iter().filter(|(_, of)| *of == number).peekable();
        let is_sound = match flow[name].is_null() {
            true => called.peek().is_none(),
            false => {
                let print = print(&flow[name].to_string());
                called.any(|(step, _)| *step == print)
            }
        };
        if !is_sound {
            tell(name, &format!("{name} is not the packet of such a step"));
        }
    }
    let [syn, answer] = [&flow["synPacket"], &flow["synAckPacket"]];
    let behind = |packet: &Value| packet["seq_num"].as_i64().map(|seq| seq.saturating_add(1));
    // The original expects nothing of a SYN+ACK that no SYN waits for.
    let expects = flow["unexplained"].is_object() || is_asked(steps, places, print(&answer.to_string()));
    for (name, is) in [("expectedAckNum", behind(syn)), ("expectedSeqNum", behind(answer).filter(|_| expects))] {
        let says = &flow[name];
        let is_sound = match (says.as_i64(), is) {
            // The original does not count modulo 2^32.
            (Some(says), Some(is)) => (i128::from(says) - i128::from(is)).rem_euclid(1 << 32) == 0,
            (None, None) => says.is_null(),
            _ => false,
        };
        if !is_sound {
            tell(name, &format!("{name} is {says}, and by the handshake {}", short(&is)));
        }
    }
}

/// Who the ends are.
fn ends(tell: &mut impl FnMut(&str, &str), flow: &Value, packets: &Listed) {
    let ends = flow["key"].as_str().unwrap_or_default();
    let side = |who, port| flow[who].as_str().zip(flow[port].as_i64());
    if let Some((a, b)) = side("initiator", "initiatorPort").zip(side("responder", "responderPort"))
        && key(a, b) != ends
    {
        tell("initiator", &format!("initiator and responder are not the ends of {ends}"));
    }
    if packets.count > 0 && packets.key != ends {
        tell("key", &format!("packet 0 is not between the ends of {ends}"));
    }
}

/// What a flow says of all its packets; how many it counts and rightly does not list.
fn totals(
    tell: &mut impl FnMut(&str, &str),
    flow: &Value,
    steps: &[Vec<(u64, u8)>; 3],
    packets: &Listed,
    sums: &mut Sums,
) -> u64 {
    let total = flow["totalPackets"].as_u64().unwrap_or(0);
    if let Some(unexplained) = flow["unexplained"].as_object() {
        let known = unexplained.iter().all(|(name, n)| UNEXPLAINED.contains(&name.as_str()) && n.as_u64() > Some(0));
        let explained: usize = steps.iter().map(Vec::len).sum();
        let others = unexplained.values().filter_map(Value::as_u64).fold(explained as u64, u64::saturating_add);
        if !known || others != total {
            tell(
                "unexplained",
                &format!("{explained} packets are steps and {} are not explained, of {total}", flow["unexplained"]),
            );
        }
        let has_late_syn = unexplained.contains_key("unexpected_syn");
        let has_handshake = !flow["synPacket"].is_null() || !flow["synAckPacket"].is_null() || has_late_syn;
        if flow["initiator_guessed"] == true && has_handshake {
            tell("initiator_guessed", "initiator_guessed is true, and a SYN or SYN+ACK says who began");
        }
        if flow["initiator_guessed"].is_null() && !has_handshake && !flow["initiator"].is_null() {
            tell("initiator_guessed", "initiator_guessed is missing, and neither SYN nor SYN+ACK says who began");
        }
    }
    let broken_off = flow["invalidReason"].as_str().is_some_and(|why| BROKEN_OFF.contains(&why))
        && packets.prints.last() == Some(&print(&flow["invalidPacket"].to_string()));
    match total.checked_sub(packets.count) {
        Some(0) => {}
        Some(unlisted) if broken_off => {
            let bytes = flow["totalBytes"].as_i64().unwrap_or(0);
            sums.unlisted(flow["key"].as_str().unwrap_or_default(), unlisted, bytes.wrapping_sub(packets.bytes));
            bounds(tell, flow, packets, sums);
            return unlisted;
        }
        _ => {
            tell("totalPackets", &format!("it lists {} of {total} packets", packets.count));
            return 0;
        }
    }
    if packets.times != flow["startTime"].as_i64().zip(flow["endTime"].as_i64()) && packets.count > 0 {
        tell("startTime", "startTime and endTime are not those of its packets");
    }
    if flow["totalBytes"].as_i64() != Some(packets.bytes) {
        tell("totalBytes", &format!("totalBytes is {}, and packets have {}", flow["totalBytes"], packets.bytes));
    }
    0
}

/// What a flow can say of packets that it does not list. They come behind those that it lists, of which the first is never left out.
fn bounds(tell: &mut impl FnMut(&str, &str), flow: &Value, packets: &Listed, sums: &Sums) {
    let Some((first, last)) = packets.times else { return };
    if flow["startTime"].as_i64() != Some(first) {
        tell("startTime", &format!("startTime is {}, and its first packet is of {first}", flow["startTime"]));
    }
    let latest = sums.latest();
    if !flow["endTime"].as_i64().is_some_and(|end| (last..=latest).contains(&end)) {
        let what = format!(
            "endTime is {}, which is not from {last}, the last packet that it lists, to {latest}",
            flow["endTime"]
        );
        tell("endTime", &format!("{what}, the last of all"));
    }
    if sums.has_usual_lengths() && flow["totalBytes"].as_i64().is_none_or(|bytes| bytes < packets.bytes) {
        let what =
            format!("totalBytes is {}, and the packets that it lists alone have {}", flow["totalBytes"], packets.bytes);
        tell("totalBytes", &what);
    }
}
