//! `timeline --mode original`: against what tcp_data_loader_streaming.py wrote of the same tables, and its state machine case by case.

mod command;
mod cuts;
mod mistakes;
mod other;
mod reference;
mod refused;
mod steps;

use std::fs;
use std::path::{Path, PathBuf};

use pcap_compactor::Result;
use pcap_compactor::views::timeline::flags::{ACK, FIN, PSH, RST, SYN};
use pcap_compactor::views::timeline::original::{Options, Original};
use pcap_compactor::views::timeline::{Close, Flow, Hosts, Machine, Packet, Reason, TimelineSink};
use serde_json::Value;

use crate::command::{Ran, command};

pub(super) const SA: i64 = SYN | ACK;
pub(super) const FA: i64 = FIN | ACK;
pub(super) const PA: i64 = PSH | ACK;
/// Microseconds.
pub(super) const SECOND: i64 = 1_000_000;

/// All files under a folder with what they hold, without the time of making.
pub(super) fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().is_file());
    let without_time = |text: String| match text.find("  \"created\": ") {
        Some(at) => {
            let end = at + text[at..].find('\n').unwrap();
            [&text[..at], &text[end..]].concat()
        }
        None => text,
    };
    let hold = |path: &Path| without_time(fs::read_to_string(path).unwrap());
    files.map(|entry| (entry.path().strip_prefix(folder).unwrap().to_owned(), hold(entry.path()))).collect()
}

/// Keeps what a machine says.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) packets: Vec<Packet>,
    pub(super) flows: Vec<Flow>,
    pub(super) finished: u32,
    pub(super) hosts: usize,
}

impl TimelineSink for Kept {
    fn packet(&mut self, packet: &Packet, _: &Hosts) -> Result<()> {
        self.packets.push(*packet);
        Ok(())
    }
    fn flow(&mut self, flow: &Flow, _: &Hosts) -> Result<()> {
        assert!(flow.packets.iter().all(|packet| self.packets.contains(&packet)), "packets come before their flow");
        self.flows.push(flow.clone());
        Ok(())
    }
    fn finish(&mut self, hosts: &Hosts) -> Result<()> {
        self.finished += 1;
        self.hosts = hosts.names().len();
        Ok(())
    }
}

/// Hosts of tests: two, then one without a name.
pub(super) fn hosts() -> Hosts {
    let mut hosts = Hosts::default();
    assert_eq!(["10.0.0.10", "10.0.0.2", ""].map(|name| hosts.number(name)), [0, 1, 2]);
    hosts
}

/// A packet of the client, or the server, which is host 1.
pub(super) fn sent(by_client: bool, flags: i64, seq: i64, ack: i64, length: i64) -> Packet {
    let ((src, src_port), (dst, dst_port)) = if by_client { ((0, 4000), (1, 80)) } else { ((1, 80), (0, 4000)) };
    let (flags, protocol) = (Some(flags), Some(6));
    Packet { src, dst, src_port, dst_port, flags, seq, ack, length, protocol, ..Packet::default() }
}

pub(super) fn c(flags: i64, seq: i64, ack: i64, length: i64) -> Packet {
    sent(true, flags, seq, ack, length)
}

pub(super) fn s(flags: i64, seq: i64, ack: i64, length: i64) -> Packet {
    sent(false, flags, seq, ack, length)
}

/// A handshake, and what follows.
pub(super) fn open(more: &[Packet]) -> Vec<Packet> {
    [&[c(SYN, 100, 0, 60), s(SA, 500, 101, 60), c(ACK, 101, 501, 52)], more].concat()
}

/// Runs packets, a microsecond from one to the next where they have no time.
pub(super) fn flows(options: Options, packets: &[Packet]) -> Vec<Flow> {
    let (hosts, mut kept, mut machine) = (hosts(), Kept::default(), Original::new(options));
    for (n, packet) in (1..).zip(packets) {
        let time = if packet.time == 0 { n } else { packet.time };
        machine.packet(Packet { time, ..*packet }, &hosts, &mut kept).unwrap();
    }
    machine.finish(&hosts, &mut kept).unwrap();
    assert_eq!(kept.finished, 0, "the sink is finished by who runs the machine");
    kept.flows
}

pub(super) fn flow(packets: &[Packet]) -> Flow {
    let [flow] = flows(Options::default(), packets).try_into().expect("it is one flow");
    flow
}

/// State, close and reason; steps with their packets, and the invalid one.
pub(super) fn told(flow: &Flow) -> String {
    let mut text = flow.state.name().to_owned();
    text += &format!(" {} {} |", flow.close.map_or("-", Close::name), flow.reason.map_or("-", Reason::name));
    for step in flow.packets.steps() {
        text += &format!(" {}@{}", step.name, step.packet);
    }
    flow.invalid_packet.map_or(text.clone(), |place| format!("{text} !{place}"))
}

pub(super) const HEADER: &str = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,seq_num,ack_num,length,protocol";

/// A time of 2023.
pub(super) const T: i64 = 1_700_000_000_000_000;

/// A row of TCP.
pub(super) fn row(time: i64, src: &str, dst: &str, ports: (u16, u16), flags: i64) -> String {
    format!("{time},{src},{dst},{},{},{flags},1,0,60,6", ports.0, ports.1)
}

pub(super) fn table(rows: &[String]) -> String {
    format!("{HEADER}\n{}\n", rows.join("\n"))
}

/// A folder with files, in which the command is run.
pub(super) struct Place(pub(super) tempfile::TempDir);

impl Place {
    pub(super) fn new(files: &[(&str, &[u8])]) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            fs::write(place.path(name), bytes).unwrap();
        }
        place
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// Runs `timeline` in the mode of the original into `out`.
    pub(super) fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = command(["timeline", "--mode", "original", "-o", "out"]);
        Ran::of(command.args(arguments).current_dir(self.0.path()).output().unwrap())
    }

    /// What lies here, hidden or not.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub(super) fn small() -> String {
    table(&[
        row(T, "10.0.0.1", "10.0.0.2", (4000, 80), SYN),
        row(T + 200, "10.0.0.2", "10.0.0.1", (80, 4000), RST | ACK),
    ])
}
