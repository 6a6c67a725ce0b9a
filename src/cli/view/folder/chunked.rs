//! Layout 2.0: packets.csv, and the flows that flows_index.json lists in chunks.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use pcap_compactor::views::timeline::{
    Close, Flow, Host, Hosts, Packet, Packets, Phase, Reason, Sides, State, Step, TimelineSink, correct,
};
use pcap_compactor::{Error, ErrorKind};
use serde::Deserialize;
use serde_json::Value;

use super::super::super::interrupt;
use super::table::{self, Table, protocol_number};
use super::{is_plain, json};

/// A line of flows_index.json; what else it has is in the chunk as well.
#[derive(Deserialize)]
struct Entry {
    id: String,
    chunk_file: String,
    chunk_index: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    id: String,
    key: String,
    initiator: Option<String>,
    responder: Option<String>,
    initiator_port: Option<i64>,
    responder_port: Option<i64>,
    state: String,
    phases: Phases,
    establishment_complete: bool,
    data_transfer_started: bool,
    closing_started: bool,
    close_type: Option<String>,
    start_time: i64,
    end_time: i64,
    total_packets: u64,
    total_bytes: i64,
    invalid_reason: Option<String>,
    invalid_packet: Option<StoredPacket>,
    packets: Vec<StoredPacket>,
    #[serde(default)]
    ongoing: bool,
    #[serde(default, rename = "completed_by_timeout")]
    by_timeout: bool,
    #[serde(default, rename = "initiator_guessed")]
    guessed: bool,
    /// Packets without a step, by why.
    #[serde(default)]
    unexplained: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Phases {
    establishment: Vec<StoredStep>,
    data_transfer: Vec<StoredStep>,
    closing: Vec<StoredStep>,
}

#[derive(Deserialize)]
struct StoredStep {
    packet: StoredPacket,
    phase: String,
}

#[derive(Clone, Deserialize, PartialEq, Eq, Hash)]
struct StoredPacket {
    timestamp: i64,
    src_ip: String,
    dst_ip: String,
    src_port: i64,
    dst_port: i64,
    flags: i64,
    flag_type: String,
    seq_num: i64,
    ack_num: i64,
    length: i64,
    #[serde(default)]
    protocol: Value,
    /// Bytes of payload, where a folder says it.
    #[serde(default)]
    seg_len: Option<u32>,
}

/// Hands over all packets; where the manifest says `none` passed the filters, there may be no such file.
pub(super) fn packets(
    path: &Path,
    none: bool,
    hosts: &mut Hosts,
    sink: &mut impl TimelineSink,
) -> anyhow::Result<Table> {
    if none && std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(Table::default());
    }
    table::packets(path, hosts, &mut |packet, hosts| Ok(sink.packet(&packet, hosts)?))
}

/// Hands over all flows, and says how many there are.
pub(super) fn flows(folder: &Path, hosts: &mut Hosts, sink: &mut impl TimelineSink) -> anyhow::Result<u64> {
    let index = folder.join("flows_index.json");
    let entries: Vec<Entry> = json(&index)?;
    let all = entries.len() as u64;
    // The index may have them in the order of their starts, and files in which they ended: each file is read once.
    let mut entries: Vec<(usize, Entry)> = entries.into_iter().enumerate().collect();
    entries.sort_by(|(_, a), (_, b)| a.chunk_file.cmp(&b.chunk_file));
    let mut open: Option<(String, PathBuf, Vec<Option<Stored>>)> = None;
    for (at, entry) in entries {
        ensure!(!interrupt::came(), Error::from(ErrorKind::Stopped));
        let here = || format!("{}: flow {at} ({})", index.display(), entry.id);
        if open.as_ref().is_none_or(|(name, ..)| *name != entry.chunk_file) {
            let plain = is_plain(&entry.chunk_file);
            ensure!(plain, "{}: chunk_file {:?} is no file name", here(), entry.chunk_file);
            let path = folder.join(&entry.chunk_file);
            let chunk = json(&path).with_context(here)?;
            open = Some((entry.chunk_file.clone(), path, chunk));
        }
        let Some((_, path, chunk)) = &mut open else { continue };
        let stored = chunk.get_mut(entry.chunk_index).and_then(Option::take);
        let place = format!("{}: [{}]", path.display(), entry.chunk_index);
        let stored = stored.ok_or_else(|| anyhow!("{}: {place} is not there, or taken by another", here()))?;
        ensure!(stored.id == entry.id, "{place} is {}, where the index has {}", stored.id, entry.id);
        let flow = stored.flow(hosts).with_context(|| format!("{place} ({})", entry.id))?;
        sink.flow(&flow, hosts)?;
    }
    Ok(all)
}

/// What a name in a folder stands for.
fn named<T: Copy>(what: &str, text: &str, known: &[(&str, T)]) -> anyhow::Result<T> {
    let found = known.iter().find(|(name, _)| *name == text);
    found.map(|&(_, value)| value).ok_or_else(|| anyhow!("{what} {text:?} is none that is known"))
}

const STATES: [State; 9] = [
    State::New,
    State::Establishing,
    State::Established,
    State::DataTransfer,
    State::Ongoing,
    State::Closing,
    State::Closed,
    State::Aborted,
    State::Invalid,
];
const CLOSES: [Close; 4] = [Close::Graceful, Close::Abortive, Close::Invalid, Close::Open];
const REASONS: [Reason; 5] = [
    Reason::InvalidSynAck,
    Reason::InvalidAck,
    Reason::RstDuringHandshake,
    Reason::IncompleteNoSynAck,
    Reason::IncompleteNoAck,
];
const STEPS: [&str; 8] = ["syn", "syn_ack", "ack", "data", "ack_data", "fin", "ack_close", "rst"];

/// Why packets have no step, in words that are known.
fn unexplained(stored: &BTreeMap<String, u64>) -> anyhow::Result<Vec<(&'static str, u64)>> {
    let known = correct::UNEXPLAINED.map(|why| (why, why));
    stored.iter().map(|(why, &packets)| Ok((named("unexplained", why, &known)?, packets))).collect()
}

impl Stored {
    fn flow(self, hosts: &mut Hosts) -> anyhow::Result<Flow> {
        let number = self.id.strip_prefix("flow_").and_then(|digits| digits.parse().ok());
        let close = |text: &String| named("closeType", text, &CLOSES.map(|close| (close.name(), close)));
        let reason = |text: &String| named("invalidReason", text, &REASONS.map(|reason| (reason.name(), reason)));
        let sides = match (&self.initiator, &self.responder) {
            (Some(initiator), Some(responder)) => Some(Sides {
                initiator: hosts.number(initiator),
                responder: hosts.number(responder),
                initiator_port: self.initiator_port.unwrap_or(0),
                responder_port: self.responder_port.unwrap_or(0),
            }),
            _ => None,
        };
        let mut places: HashMap<&StoredPacket, Vec<u32>> = HashMap::new();
        for (place, packet) in (0..).zip(&self.packets).collect::<Vec<_>>().into_iter().rev() {
            places.entry(packet).or_default().push(place);
        }
        let invalid_packet = self.invalid_packet.as_ref().and_then(|packet| {
            self.packets.iter().position(|other| other == packet).and_then(|place| u32::try_from(place).ok())
        });
        let mut steps = Vec::new();
        let parts = [
            (Phase::Establishment, &self.phases.establishment),
            (Phase::DataTransfer, &self.phases.data_transfer),
            (Phase::Closing, &self.phases.closing),
        ];
        for (phase, stored) in parts {
            for (at, StoredStep { packet, phase: name }) in stored.iter().enumerate() {
                let here = || format!("phases, {phase:?} [{at}]");
                let name = named("phase", name, &STEPS.map(|step| (step, step))).with_context(here)?;
                // Packets that are equal in every respect are taken in turn.
                let place = places.get_mut(packet).and_then(Vec::pop);
                let place = place.ok_or_else(|| anyhow!("its packet is not among packets")).with_context(here)?;
                steps.push(Step { packet: place, phase, name });
            }
        }
        steps.sort_by_key(|step| step.packet);
        let packets = self.packets.iter().map(|packet| packet.packet(hosts)).collect();
        Ok(Flow {
            number: number.ok_or_else(|| anyhow!("the id is not flow_ and a number"))?,
            sides,
            state: named("state", &self.state, &STATES.map(|state| (state.name(), state)))?,
            close: self.close_type.as_ref().map(close).transpose()?,
            reason: self.invalid_reason.as_ref().map(reason).transpose()?,
            key: self.key,
            established: self.establishment_complete,
            data: self.data_transfer_started,
            closing: self.closing_started,
            ongoing: self.ongoing,
            by_timeout: self.by_timeout,
            start: self.start_time,
            end: self.end_time,
            total_packets: self.total_packets,
            total_bytes: self.total_bytes,
            invalid_packet,
            guessed: self.guessed,
            unexplained: unexplained(&self.unexplained)?,
            packets: Packets::new(packets, steps),
            ..Flow::default()
        })
    }
}

impl StoredPacket {
    fn packet(&self, hosts: &mut Hosts) -> Packet {
        let host = |hosts: &mut Hosts, name: &str| -> Host { hosts.number(name) };
        Packet {
            time: self.timestamp,
            src: host(hosts, &self.src_ip),
            dst: host(hosts, &self.dst_ip),
            src_port: self.src_port,
            dst_port: self.dst_port,
            flags: (self.flag_type != "INVALID").then_some(self.flags),
            seq: self.seq_num,
            ack: self.ack_num,
            length: self.length,
            payload: self.seg_len,
            protocol: match &self.protocol {
                Value::Number(number) => number.as_i64(),
                Value::String(text) => protocol_number(text),
                _ => None,
            },
        }
    }
}
