//! The digest of `--format none`: a hash over every field of every record, in order.

use std::io::Write;

use super::{Metrics, Sink};
use crate::app::notes::Body;
use crate::error::{Error, Result};
use crate::scan::summary::ScanSummary;
use crate::stable::StableHash;
use crate::views::groups::{GroupKey, GroupRecord, Window};

/// Digests records instead of writing them.
#[derive(Clone, Debug)]
pub struct Digest {
    hash: StableHash,
    records: u64,
    /// The key and the window of the last group, and their hash.
    key: Option<(GroupKey, Window)>,
    key_hash: u64,
}

impl Default for Digest {
    fn default() -> Digest {
        Digest { hash: StableHash::new(0), records: 0, key: None, key_hash: 0 }
    }
}

impl Digest {
    /// Records digested.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The digest so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.hash.finish()
    }

    /// The records that follow are of this sensor.
    pub fn sensor(&mut self, sensor: &str) {
        self.hash.text(sensor);
    }

    /// Adds a group.
    pub fn group(&mut self, group: &GroupRecord) {
        self.records += 1;
        // The slices of a group follow one another, and most of a key is slow to hash.
        if !self.key.as_ref().is_some_and(|(key, window)| *window == group.window && key.same(&group.key)) {
            let mut hash = StableHash::new(1);
            hash.address(group.key.src_ip);
            hash.address(group.key.dst_ip);
            hash.text(&group.key.service);
            hash.number(u64::from(group.key.dst_port) << 8 | group.key.transport as u64);
            window(&mut hash, group.window);
            self.key_hash = hash.finish();
            self.key = Some((group.key.clone(), group.window));
        }
        let hash = &mut self.hash;
        let (counts, flags, tokens) = (&group.counts, &group.tcp_flags, &group.tokens);
        let both = |high: i32, low: i32| u64::from(high as u32) << 32 | u64::from(low as u32);
        hash.numbers([
            self.key_hash,
            group.flows,
            group.first_ts.0 as u64,
            group.last_ts.0 as u64,
            counts.pkts_up,
            counts.pkts_dn,
            counts.bytes_up,
            counts.bytes_dn,
            flags.syn,
            flags.ack,
            flags.rst,
            flags.fin,
            tokens.syn_bin,
            tokens.ack_bin,
            tokens.rst_bin,
            tokens.fin_bin,
            both(tokens.pkts_up_bin, tokens.pkts_dn_bin),
            both(tokens.bytes_up_bin, tokens.bytes_dn_bin),
            both(tokens.dur_bin, 0),
            group.direction as u64,
        ]);
        match &group.section {
            None => hash.number(0),
            Some(section) => {
                hash.text(section.name);
                match &section.body {
                    Body::Tokens { tokens, total, .. } => {
                        hash.number(*total);
                        hash.number(tokens.len() as u64);
                        tokens.iter().for_each(|token| hash.text(token));
                    }
                    Body::Counts(counts) => {
                        for (name, n) in counts {
                            hash.text(name);
                            hash.number(*n);
                        }
                    }
                }
            }
        }
    }

    /// Adds a scan summary.
    pub fn scan(&mut self, scan: &ScanSummary) {
        self.records += 1;
        let hash = &mut self.hash;
        hash.address(scan.src_ip);
        window(hash, scan.window);
        hash.number(scan.unique_dsts);
        hash.number(scan.unique_ports);
        hash.number(scan.syn_only_ratio.to_bits());
        hash.number(scan.sample_targets.len() as u64);
        for (dst, port) in &scan.sample_targets {
            hash.address(*dst);
            hash.number(u64::from(*port));
        }
        hash.text(scan.transport.name());
        hash.text(scan.kind.name());
        hash.text(scan.forest_name());
        for n in [scan.answered, scan.groups, scan.amount.packets, scan.bytes] {
            hash.number(n);
        }
    }
}

fn window(hash: &mut StableHash, window: Window) {
    hash.number(window.start.0 as u64);
    hash.number(window.end.0 as u64);
}

/// Writes `{"type":"digest",...}` and the metrics line, and no record.
pub struct DigestLines<W: Write> {
    digest: Digest,
    out: W,
}

impl<W: Write> DigestLines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> DigestLines<W> {
        DigestLines { digest: Digest::default(), out }
    }
}

impl<W: Write> Sink for DigestLines<W> {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.digest.sensor(sensor);
        Ok(())
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        self.digest.group(group);
        Ok(())
    }

    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.digest.scan(scan);
        Ok(())
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        let (records, digest) = (self.digest.records(), self.digest.value());
        let mut lines =
            format!("{{\"type\":\"digest\",\"records\":{records},\"digest\":\"{digest:016x}\"}}\n").into_bytes();
        metrics.write(&mut lines);
        let written = self.out.write_all(&lines).and_then(|()| self.out.flush());
        written.map_err(|source| Error::io("write", "standard output".as_ref(), source))
    }
}
