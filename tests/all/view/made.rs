//! Timeline folders that are made here: conversations of a few kinds, as many as are asked for, the same every time.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// When everything begins, in microseconds.
pub(crate) const START: i64 = 1_700_000_000_000_000;

/// A folder under way.
#[derive(Default)]
pub(crate) struct Made {
    packets: Vec<(i64, String)>,
    flows: Vec<Value>,
    /// Flows of which packets are listed: every how many.
    pub(crate) listed_every: usize,
}

/// How a conversation ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Graceful,
    Abortive,
    Open,
    Unanswered,
}

/// Who talks with whom.
pub(crate) struct Ends<'a> {
    pub(crate) client: &'a str,
    pub(crate) client_port: u16,
    pub(crate) server: &'a str,
    pub(crate) server_port: u16,
}

/// A packet of a conversation: up or down, flags, length, and which step it is.
type Said = (bool, i64, i64, &'static str);

fn name(flags: i64) -> &'static str {
    match flags {
        2 => "SYN",
        4 => "RST",
        16 => "ACK",
        17 => "FIN+ACK",
        18 => "SYN+ACK",
        24 => "PSH+ACK",
        _ => "OTHER_0",
    }
}

impl Made {
    /// A packet that is in no flow.
    pub(crate) fn lone(&mut self, time: i64, src: &str, dst: &str) {
        self.packets.push((time, format!("{time},{src},{dst},53,53,0,NONE,0,0,90,17\n")));
    }

    /// A conversation with `data` segments, `gap` microseconds from packet to packet.
    pub(crate) fn talk(&mut self, start: i64, gap: i64, ends: &Ends<'_>, kind: Kind, data: usize) {
        let mut said: Vec<Said> = vec![(true, 2, 74, "syn")];
        if kind != Kind::Unanswered {
            said.extend([(false, 18, 74, "syn_ack"), (true, 16, 66, "ack")]);
            for at in 0..data {
                let up = at % 5 == 0;
                said.push((
                    up,
                    if at % 3 == 2 { 16 } else { 24 },
                    if at % 3 == 2 { 66 } else { 200 + (at as i64 * 397) % 1300 },
                    "data",
                ));
            }
        }
        match kind {
            Kind::Graceful => said.extend([(true, 17, 66, "fin"), (false, 17, 66, "fin"), (true, 16, 66, "ack_close")]),
            Kind::Abortive => said.push((false, 4, 60, "rst")),
            Kind::Open | Kind::Unanswered => {}
        }
        let number = self.flows.len() + 1;
        let listed = self.listed_every < 2 || number % self.listed_every == 1;
        let (mut packets, mut phases) = (Vec::new(), [const { Vec::new() }; 3]);
        let (mut counts, mut bytes, mut seq) = ([0; 3], 0, [1000i64, 9000]);
        for (at, (up, flags, length, step)) in (0..).zip(&said) {
            let time = start + at * gap;
            let (src, src_port, dst, dst_port) = if *up {
                (ends.client, ends.client_port, ends.server, ends.server_port)
            } else {
                (ends.server, ends.server_port, ends.client, ends.client_port)
            };
            let (own, other) = (seq[usize::from(!up)], seq[usize::from(*up)]);
            let ack = if *flags == 2 { 0 } else { other };
            let line =
                format!("{time},{src},{dst},{src_port},{dst_port},{flags},{},{own},{ack},{length},6\n", name(*flags));
            self.packets.push((time, line));
            seq[usize::from(!up)] += (length - 66).max(i64::from(flags & 3 != 0));
            bytes += length;
            let phase = match *step {
                "syn" | "syn_ack" | "ack" => 0,
                "data" => 1,
                _ => 2,
            };
            counts[phase] += 1;
            if listed {
                let packet = json!({
                    "timestamp": time, "src_ip": src, "dst_ip": dst, "src_port": src_port, "dst_port": dst_port, "flags": flags,
                    "flag_type": name(*flags), "seq_num": own, "ack_num": ack, "length": length, "protocol": 6,
                });
                phases[phase].push(json!({"packet": packet, "phase": step, "description": ""}));
                packets.push(packet);
            }
        }
        let (state, close, reason) = match kind {
            Kind::Graceful => ("closed", Some("graceful"), None),
            Kind::Abortive => ("aborted", Some("abortive"), None),
            Kind::Open => ("ongoing", Some("open"), None),
            Kind::Unanswered => ("invalid", Some("invalid"), Some("incomplete_no_synack")),
        };
        let [establishment, transfer, closing] = phases;
        self.flows.push(json!({
            "id": format!("flow_{number:06}"),
            "key": format!("{}:{}-{}:{}", ends.client, ends.client_port, ends.server, ends.server_port),
            "initiator": ends.client, "responder": ends.server,
            "initiatorPort": ends.client_port, "responderPort": ends.server_port, "state": state,
            "phases": {"establishment": establishment, "dataTransfer": transfer, "closing": closing},
            "establishmentComplete": kind != Kind::Unanswered, "dataTransferStarted": data > 0, "closingStarted": kind == Kind::Graceful,
            "closeType": close, "startTime": start, "endTime": start + (said.len() as i64 - 1) * gap,
            "totalPackets": said.len(), "totalBytes": bytes, "invalidReason": reason,
            "expectedSeqNum": null, "expectedAckNum": null, "invalidPacket": null, "synPacket": null, "synAckPacket": null,
            "packets": packets, "ongoing": kind == Kind::Open,
            "establishment_packets": counts[0], "data_transfer_packets": counts[1], "closing_packets": counts[2],
        }));
    }

    /// Conversations of a small office until there are `packets`, over `span` microseconds.
    pub(crate) fn office(packets: usize, span: i64, listed_every: usize) -> Made {
        let mut made = Made { listed_every, ..Made::default() };
        let mut seed = 42u64;
        let mut dice = |n: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % n
        };
        while made.packets.len() < packets {
            let (client, server) = (dice(24), dice(6).min(dice(6)));
            let kind = match dice(20) {
                0..=11 => Kind::Graceful,
                12..=14 => Kind::Abortive,
                15..=17 => Kind::Open,
                _ => Kind::Unanswered,
            };
            let (client, server_name) = (format!("10.1.0.{}", client + 2), format!("192.0.2.{}", server * 10 + 1));
            let ends = Ends {
                client: &client,
                client_port: 32_768 + (made.flows.len() % 28_000) as u16,
                server: &server_name,
                server_port: [443, 80, 25, 22, 993, 8080][server],
            };
            // Busy and quiet times.
            let at = dice(1000) as i64;
            let wave = (at * at / 1000 + dice(1000) as i64) / 2;
            let data = dice(18) + dice(8) * dice(6);
            made.talk(
                START + wave * (span / 1000) + dice(1000) as i64 * (span / 1_000_000),
                200 + dice(40_000) as i64,
                &ends,
                kind,
                data,
            );
        }
        made
    }

    /// Writes the folder.
    pub(crate) fn write(mut self, folder: &Path) {
        self.packets.sort_by_key(|(time, _)| *time);
        fs::create_dir_all(folder.join("flows")).unwrap();
        let manifest = json!({"version": "2.0", "format": "chunked", "total_packets": self.packets.len(), "total_flows": self.flows.len()});
        fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
        let mut text =
            String::from("timestamp,src_ip,dst_ip,src_port,dst_port,flags,flag_type,seq_num,ack_num,length,protocol\n");
        self.packets.iter().try_for_each(|(_, line)| text.write_str(line)).unwrap();
        if !self.packets.is_empty() {
            fs::write(folder.join("packets.csv"), text).unwrap();
        }
        let mut index = Vec::new();
        for (number, chunk) in self.flows.chunks(200).enumerate() {
            let name = format!("chunk_{number:05}.json");
            for (place, flow) in chunk.iter().enumerate() {
                let mut line = flow.clone();
                let fields = line.as_object_mut().unwrap();
                fields.remove("phases");
                fields.remove("packets");
                fields.insert("chunk_file".into(), name.clone().into());
                fields.insert("chunk_index".into(), place.into());
                index.push(line);
            }
            fs::write(folder.join("flows").join(name), Value::from(chunk).to_string()).unwrap();
        }
        fs::write(folder.join("flows/flows_index.json"), Value::from(index).to_string()).unwrap();
    }
}
