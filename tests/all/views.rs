//! The seam for products: views that the engine has never heard of, beside the groups and alone.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pcap_compactor::engine::ledger::Intake;
use pcap_compactor::engine::view::{Batch, Part, ShardView, View};
use pcap_compactor::table::FlowTable;
use pcap_compactor::table::key::FiveTuple;
use pcap_compactor::{Config, Engine, Result, Timestamp};
use proptest::prelude::*;

use crate::model::{Range, Seen};
use crate::properties::cases;
use crate::run::{PLAIN, THREADS, Way, file, inputs, job, lines};
use crate::traffic::{Frame, captured, frames, pcap};

/// Packets and wire bytes that a host sent.
type Hosts = BTreeMap<IpAddr, (u64, u64)>;

/// Counts by host. It needs no flows.
#[derive(Default)]
struct HostView {
    hosts: Hosts,
    intake: Option<Intake>,
}

#[derive(Default)]
struct HostShard(Hosts);

impl View for HostView {
    fn wants_flows(&self) -> bool {
        false
    }

    fn shard(&self) -> Box<dyn ShardView> {
        Box::new(HostShard::default())
    }

    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        for part in parts {
            let shard = part.downcast::<HostShard>().expect("a view is handed its own parts");
            for (host, (packets, bytes)) in shard.0 {
                let sum = self.hosts.entry(host).or_default();
                *sum = (sum.0 + packets, sum.1 + bytes);
            }
        }
        Ok(())
    }

    fn finish(&mut self, intake: &Intake) -> Result<()> {
        assert!(self.intake.replace(*intake).is_none(), "a run ends once");
        Ok(())
    }
}

impl ShardView for HostShard {
    fn packets(&mut self, batch: &Batch<'_>) {
        for packet in batch.packets {
            assert_eq!(batch.frame(packet).len(), packet.captured as usize);
            let sum = self.0.entry(packet.src_ip()).or_default();
            *sum = (sum.0 + 1, sum.1 + u64::from(packet.wire));
        }
    }

    fn close(&mut self, _: Option<Timestamp>, _: &FlowTable) -> Option<Part> {
        // Counts add up, so every marker may take what there is.
        Some(Box::new(std::mem::take(self)))
    }
}

/// Packets by flow over the whole run, counted by flow id: it keeps every flow.
#[derive(Default)]
struct FlowView(BTreeMap<FiveTuple, u64>);

#[derive(Default)]
struct FlowShard(Vec<u64>);

impl View for FlowView {
    fn shard(&self) -> Box<dyn ShardView> {
        Box::new(FlowShard::default())
    }

    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        for part in parts {
            let flows = part.downcast::<Vec<(FiveTuple, u64)>>().expect("a view is handed its own parts");
            for (flow, packets) in *flows {
                assert!(self.0.insert(flow, packets).is_none(), "{flow:?} is in one shard, under one id");
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &Intake) -> Result<()> {
        Ok(())
    }
}

impl ShardView for FlowShard {
    fn packets(&mut self, batch: &Batch<'_>) {
        self.0.resize(batch.table.ids().max(self.0.len()), 0);
        for (packet, flow) in batch.packets.iter().zip(batch.flows) {
            assert_eq!((batch.table.tuple(flow.id), flow.from_high), FiveTuple::of(packet));
            self.0[flow.id as usize] += 1;
        }
    }

    fn close(&mut self, before: Option<Timestamp>, table: &FlowTable) -> Option<Part> {
        if before.is_some() {
            return None;
        }
        let flows = self.0.iter().enumerate().filter(|(_, packets)| **packets > 0);
        Some(Box::new(flows.map(|(id, packets)| (table.tuple(id as u32), *packets)).collect::<Vec<_>>()))
    }

    fn keeps(&self, flow: u32) -> bool {
        self.0.get(flow as usize).is_some_and(|packets| *packets > 0)
    }
}

fn plain_hosts<'s>(packets: impl Iterator<Item = &'s Seen>) -> Hosts {
    let mut hosts = Hosts::new();
    for packet in packets {
        let sum = hosts.entry(packet.src).or_default();
        *sum = (sum.0 + 1, sum.1 + packet.wire);
    }
    hosts
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn views_run_beside_the_groups_and_alone(
        files in prop::collection::vec(frames(80), 1..5),
        threads in prop::sample::select(THREADS.to_vec()),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let write = |(n, frames): (usize, &Vec<Frame>)| file(dir.path(), &format!("{n}.pcap"), &pcap(frames));
        let paths: Vec<_> = files.iter().enumerate().map(write).collect();
        let seen: Vec<Seen> = files.iter().flat_map(|frames| captured(frames).packets).collect();
        let expected = plain_hosts(seen.iter());
        let way = Way { threads, ..PLAIN };
        let config = Config { window_seconds: 600, ..Config::default() };

        let (mut hosts, mut flows) = (HostView::default(), FlowView::default());
        let mut said = Vec::new();
        let mut sink = pcap_compactor::sink::jsonl::JsonLines::new(&mut said, "memory", Default::default());
        job(&config, Range::default(), way).run_beside(inputs(&paths), &mut sink, &mut [&mut hosts, &mut flows]).unwrap();
        drop(sink);
        prop_assert_eq!(&hosts.hosts, &expected);
        prop_assert_eq!(hosts.intake.unwrap().accepted.packets, seen.len() as u64);
        prop_assert_eq!(flows.0.values().sum::<u64>(), seen.len() as u64);
        // The groups do not notice.
        let alone = lines(&paths, &config, Range::default(), way);
        prop_assert!(crate::run::records(&alone) == crate::run::records(&said[..said.len() - 1]));

        let engine = Engine::builder().threads(threads).build();
        let mut alone = HostView::default();
        engine.run(inputs(&paths), &mut [&mut alone]).unwrap();
        prop_assert_eq!(&alone.hosts, &expected);
        let mut alone = FlowView::default();
        engine.run(inputs(&paths), &mut [&mut alone]).unwrap();
        prop_assert_eq!(alone.0, flows.0);
        // And without any view the input is still read and counted.
        let report = engine.run(inputs(&paths), &mut []).unwrap();
        prop_assert_eq!(report.total.intake.accepted.packets, seen.len() as u64);
    }
}
