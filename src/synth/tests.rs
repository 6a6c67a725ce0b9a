use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use super::frame::{fold, sum};
use super::*;
use crate::app::notes::Body;
use crate::decode::packet::{Fragment, protocol};
use crate::decode::reject::{Malformed, NotIp};
use crate::engine::ledger::{Amount, Intake};
use crate::engine::view::{Batch, Part, ShardView, View};
use crate::engine::{Engine, Input, Report};
use crate::scan::summary::{Kind, ScanSummary};
use crate::sink::{Metrics, Sink};
use crate::table::FlowTable;
use crate::table::key::FiveTuple;
use crate::views::groups::GroupRecord;
use crate::{Config, Job};

fn small() -> Spec {
    Spec { packets: 12_000, ..Spec::default() }
}

/// FNV-1a, 64 bits.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn one_seed_makes_the_same_bytes_on_every_machine() {
    let (bytes, _) = write(&small(), Vec::new()).unwrap();
    assert_eq!(digest(&bytes), 7_438_004_132_086_791_289, "if the traffic was changed on purpose, so is this digest");
    assert_eq!(write(&small(), Vec::new()).unwrap().0, bytes);
    assert_ne!(write(&Spec { seed: 43, ..small() }, Vec::new()).unwrap().0, bytes);
}

#[test]
fn there_are_exactly_as_many_frames_as_told_in_order_of_time_and_within_the_hours() {
    for packets in [1500, 1501, 1502, 1503, 9999, 30_000] {
        for min64 in [false, true] {
            let spec = Spec { packets, min64, hours: 3, ..Spec::default() };
            let (mut count, mut last) = (0, spec.start());
            let truth = frames(&spec, |time, wire, frame| {
                assert!(last <= time && time < spec.end(), "{time} behind {last}");
                assert!(frame.len() as u32 <= wire && wire >= 60);
                assert!(!min64 || wire == 60);
                (count, last) = (count + 1, time);
                Ok(())
            });
            assert_eq!((count, truth.unwrap().packets), (packets, packets));
            assert!(packets < 9999 || last.ns() > spec.end().ns() - 600_000_000_000, "it ends early: {last}");
        }
    }
}

#[test]
fn every_checksum_is_sound() {
    let mut checked = 0;
    frames(&small(), |_, wire, frame| {
        let mut ip = &frame[14..];
        let mut kind = u16::from_be_bytes([frame[12], frame[13]]);
        if kind == 0x8100 {
            kind = u16::from_be_bytes([frame[16], frame[17]]);
            ip = &frame[18..];
        }
        let (transport, number, addresses) = match kind {
            _ if (frame.len() as u32) < wire => return Ok(()),
            0x0800 => {
                assert_eq!(fold(sum(&ip[..20])), 0xffff);
                if ip[6] & 0x3f != 0 || ip[7] != 0 {
                    return Ok(());
                }
                let length = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
                (&ip[20..length], ip[9], &ip[12..20])
            }
            0x86dd => {
                let length = usize::from(u16::from_be_bytes([ip[4], ip[5]]));
                (&ip[40..40 + length], ip[6], &ip[8..40])
            }
            _ => return Ok(()),
        };
        let pseudo =
            if number == protocol::ICMP { 0 } else { sum(addresses) + transport.len() as u64 + u64::from(number) };
        assert_eq!(fold(pseudo + sum(transport)), 0xffff, "{frame:02x?}");
        checked += 1;
        Ok(())
    })
    .unwrap();
    assert!(checked > 11_000);
}

#[test]
fn bounds_are_named() {
    let error = |spec: Spec| spec.check().unwrap_err().to_string();
    assert!(error(Spec { hours: 0, ..Spec::default() }).starts_with("hours = 0 is out of bounds: 1 to"));
    assert!(error(Spec { hour: 1, ..Spec::default() }).contains("not the start of an hour"));
    assert!(error(Spec { packets: 10, ..Spec::default() }).contains("too few"));
    assert!(write(&Spec { hosts: 0, ..Spec::default() }, Vec::new()).is_err());
    Spec { packets: 0, scanners: 0, min64: true, ..Spec::default() }.check().unwrap();
}

/// Collects 5-tuples, later fragments apart, and IPv6 packets.
#[derive(Default)]
struct Tuples {
    found: BTreeSet<FiveTuple>,
    v6: u64,
}

impl View for Tuples {
    fn wants_flows(&self) -> bool {
        false
    }
    fn shard(&self) -> Box<dyn ShardView> {
        Box::<Tuples>::default()
    }
    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        for part in parts {
            let part: Box<dyn Any> = part;
            let mut part = part.downcast::<Tuples>().unwrap();
            self.found.append(&mut part.found);
            self.v6 += part.v6;
        }
        Ok(())
    }
    fn finish(&mut self, _: &Intake) -> Result<()> {
        Ok(())
    }
}

impl ShardView for Tuples {
    fn packets(&mut self, batch: &Batch<'_>) {
        for packet in batch.packets.iter().filter(|packet| packet.fragment != Fragment::Later) {
            self.found.insert(FiveTuple::of(packet).0);
            self.v6 += u64::from(packet.v6);
        }
    }
    fn close(&mut self, _: Option<Timestamp>, _: &FlowTable) -> Option<Part> {
        Some(Box::new(std::mem::take(self)))
    }
}

/// Keeps what is compared.
#[derive(Default)]
struct Kept {
    groups: Vec<GroupRecord>,
    scans: Vec<ScanSummary>,
    sections: BTreeMap<String, u64>,
    collapsed: Amount,
}

impl Sink for Kept {
    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        if let Some(section) = &group.section
            && let Body::Counts(counts) = &section.body
        {
            for (name, n) in counts {
                *self.sections.entry((*name).to_string()).or_default() += n;
            }
        }
        self.groups.push(group.clone());
        Ok(())
    }
    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.scans.push(scan.clone());
        Ok(())
    }
    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        self.collapsed = metrics.outcome.collapsed;
        Ok(())
    }
}

fn run(bytes: Vec<u8>) -> (Report, Kept, Tuples) {
    let (mut kept, mut tuples) = (Kept::default(), Tuples::default());
    let input = Input::stream("synth", Box::new(Cursor::new(bytes)));
    let job = Job::new(Config::default()).engine(Engine::builder().threads(2));
    let report = job.run_beside(vec![input], &mut kept, &mut [&mut tuples]).unwrap();
    (report, kept, tuples)
}

#[test]
fn what_the_engine_finds_is_the_truth() {
    for spec in [
        Spec { packets: 40_000, ..Spec::default() },
        Spec { packets: 8_000, seed: 7, hours: 1, hosts: 3, scanners: 1, format: Format::Pcapng, ..Spec::default() },
        Spec { packets: 20_000, scanners: 0, hours: 4, ..Spec::default() },
        Spec { packets: 20_000, min64: true, ..Spec::default() },
    ] {
        let (bytes, truth) = write(&spec, Vec::new()).unwrap();
        let (report, kept, tuples) = run(bytes);
        let total = &report.total;
        assert_eq!(total.intake.read.packets, truth.packets);
        assert_eq!(total.intake.read.wire_bytes, truth.wire_bytes);
        assert_eq!(total.intake.read.captured_bytes, truth.captured_bytes);
        assert_eq!(
            [total.tcp, total.udp, total.fragment, total.other],
            [truth.tcp_packets, truth.udp_packets, truth.fragment_packets, truth.other_packets]
        );
        let not_ip = |kind| total.not_ip_by.get(&NotIp::EtherType(kind)).copied().unwrap_or_default();
        assert_eq!([not_ip(0x0806), not_ip(0x88cc)], [truth.arp_packets, truth.lldp_packets]);
        let cut = total.malformed_by.get(&Malformed::IpTruncated).copied().unwrap_or_default();
        assert_eq!((cut, total.intake.malformed.packets), (truth.cut_packets, truth.cut_packets));
        assert_eq!((tuples.found.len() as u64, tuples.v6), (truth.five_tuples, truth.ipv6_packets));

        let command = |name: &str| kept.sections.get(name).copied().unwrap_or_default();
        assert_eq!([command("USER"), command("PASS")], [truth.said.ftp_logins; 2]);
        assert_eq!(command("SMB2_NEGOTIATE"), truth.said.smb_sessions);
        let smb: u64 = kept.sections.iter().filter(|(name, _)| name.starts_with("SMB2")).map(|(_, n)| n).sum();
        assert_eq!(smb, truth.said.smb_requests);

        assert_eq!(kept.scans.len(), truth.scanners.len());
        let mut collapsed = 0;
        for (found, made) in kept.scans.iter().zip(&truth.scanners) {
            assert_eq!(found.src_ip, made.src_ip);
            let (kind, dsts, ports) = match made.kind {
                ScanKind::Horizontal => (Kind::Horizontal, made.targets, 1),
                ScanKind::Vertical => (Kind::Vertical, 1, made.targets),
            };
            assert_eq!((found.kind, found.unique_dsts, found.unique_ports), (kind, dsts, ports));
            assert_eq!(found.answered, made.answered.len() as u64);
            assert_eq!(found.groups, made.targets - made.answered.len() as u64);
            assert_eq!(found.amount.packets, made.packets - made.answered_packets);
            collapsed += found.amount.packets;
            let of_scanner: Vec<_> = kept.groups.iter().filter(|group| group.key.src_ip == made.src_ip).collect();
            let targets: BTreeSet<_> = of_scanner.iter().map(|group| (group.key.dst_ip, group.key.dst_port)).collect();
            assert_eq!(targets, made.answered.iter().copied().collect(), "what answered stays, and nothing else");
        }
        assert_eq!(kept.collapsed.packets, collapsed);
    }
}

#[test]
fn pcap_and_pcapng_hold_the_same_frames() {
    let (pcap, truth) = write(&small(), Vec::new()).unwrap();
    let (pcapng, other) = write(&Spec { format: Format::Pcapng, ..small() }, Vec::new()).unwrap();
    assert_eq!(truth, other);
    let records = |bytes| run(bytes).1.groups;
    assert!(records(pcap) == records(pcapng));
}

#[test]
fn the_mix_is_what_was_promised() {
    let truth = frames(&Spec { packets: 60_000, ..Spec::default() }, |_, _, _| Ok(())).unwrap();
    let percent = |part: u64| part * 100 / truth.packets;
    assert!((3..=8).contains(&percent(truth.ipv6_packets)), "{truth:?}");
    assert!((8..=20).contains(&percent(truth.vlan_packets)), "{truth:?}");
    let said = truth.said;
    assert!(said.http_requests > 500 && said.http_attacks > 0 && said.dns_queries > 300, "{truth:?}");
    assert!(said.tls_sessions > 100 && said.smb_sessions > 10 && said.ftp_logins > 3, "{truth:?}");
    assert!(said.ntp_requests > 10 && said.pings > 5 && truth.arp_packets > 10, "{truth:?}");
    assert_eq!(truth.fragment_packets, 1);
    assert_eq!(truth.scanners[0].login, Some(("10.20.0.21".parse().unwrap(), 21)));
}

#[test]
fn memory_follows_open_conversations_because_ports_are_never_used_twice() {
    // One client, and so many conversations that it runs out of ports.
    let spec = Spec { packets: 600_000, hosts: 1, scanners: 0, min64: true, ..Spec::default() };
    let (bytes, truth) = write(&spec, Vec::new()).unwrap();
    let (_, _, tuples) = run(bytes);
    assert_eq!(tuples.found.len() as u64, truth.five_tuples);
    assert!(truth.five_tuples > 30_000);
}
