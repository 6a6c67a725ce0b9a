//! The last record of a run: the view's counts, the ledger, and every file.
//!
//! Nothing in it depends on threads, time of day or machine.

use std::ops::AddAssign;

use super::jsonl::string;
use crate::engine::FileReport;
use crate::engine::ledger::{Amount, Outcome, Tally};
use crate::views::buckets::BucketCounts;
use crate::views::flows::{EndReason, FlowCounts};
use crate::views::groups::GroupCounts;

/// What a view counts beyond the ledger, by name.
pub trait Counted {
    /// Tells each count in the order in which they are written.
    fn each(&self, tell: impl FnMut(&'static str, u64));
}

/// The original's names.
impl Counted for GroupCounts {
    fn each(&self, mut tell: impl FnMut(&'static str, u64)) {
        tell("groups_emitted", self.groups_emitted);
        tell("scan_candidates", self.scan_candidates);
        tell("scans_collapsed", self.scans_collapsed);
        tell("scan_outliers_kept", self.scan_outliers_kept);
        tell("http_enriched", self.http_enriched);
        tell("ftp_enriched", self.ftp_enriched);
        tell("smb_enriched", self.smb_enriched);
        tell("sampling_applied", self.sampling_applied);
    }
}

impl Counted for FlowCounts {
    fn each(&self, mut tell: impl FnMut(&'static str, u64)) {
        const ENDED: [&str; EndReason::ALL.len()] =
            ["ended_fin", "ended_rst", "ended_reuse", "ended_idle", "ended_active", "ended_eof", "ended_over_limit"];
        tell("flows_emitted", self.flows);
        ENDED.into_iter().zip(self.ended).for_each(|(name, n)| tell(name, n));
        tell("packets_behind", self.packets_behind);
        tell("flows_behind", self.flows_behind);
        tell("forgotten_holes", self.forgotten_holes);
        tell("app_gaps", self.app_gaps);
        tell("app_left_out", self.app_left_out);
        tell("tls_certs_unread", self.unread_certificates);
        tell("datagrams_let_go", self.datagrams_let_go);
        tell("flows_over_limit", self.flows_over_limit);
    }
}

impl Counted for BucketCounts {
    fn each(&self, mut tell: impl FnMut(&'static str, u64)) {
        tell("buckets_emitted", self.rows);
        tell("gap_rows", self.gaps);
        tell("late_by_width", self.late);
    }
}

/// Everything a run counted: of the groups view, or another's `C`.
#[derive(Debug)]
pub struct Metrics<'a, C = GroupCounts> {
    /// Files found, those that could not be read included.
    pub segments_seen: u64,
    /// Every file that was opened, by path.
    pub files: &'a [FileReport],
    /// The sum over all files.
    pub total: &'a Tally,
    /// What became of the accepted packets.
    pub outcome: Outcome,
    /// The view's counts.
    pub counts: C,
    /// The sensor, where sensors run apart and these metrics are of one.
    pub sensor: Option<&'a str>,
}

/// Metrics that own what they tell.
#[derive(Clone, Debug)]
pub struct OwnedMetrics<C = GroupCounts> {
    segments_seen: u64,
    files: Vec<FileReport>,
    total: Tally,
    outcome: Outcome,
    counts: C,
    sensor: Option<String>,
}

impl<C: Copy + Counted + AddAssign> OwnedMetrics<C> {
    /// The metrics.
    #[must_use]
    pub fn borrow(&self) -> Metrics<'_, C> {
        Metrics {
            segments_seen: self.segments_seen,
            files: &self.files,
            total: &self.total,
            outcome: self.outcome,
            counts: self.counts,
            sensor: self.sensor.as_deref(),
        }
    }

    /// Adds what another run counted to what was counted so far, if anything was.
    pub fn gather(sum: &mut Option<OwnedMetrics<C>>, other: &Metrics<'_, C>) {
        match sum {
            Some(sum) => sum.add(other),
            None => *sum = Some(Metrics { sensor: None, ..*other }.to_owned()),
        }
    }

    /// Adds what another run counted; its files take their places by path.
    fn add(&mut self, other: &Metrics<'_, C>) {
        self.segments_seen += other.segments_seen;
        self.files.extend_from_slice(other.files);
        self.files.sort_by(|a, b| (&a.path, &a.sensor).cmp(&(&b.path, &b.sensor)));
        self.total.merge(other.total);
        self.outcome += other.outcome;
        self.counts += other.counts;
    }
}

impl<C: Copy + Counted> Metrics<'_, C> {
    /// A copy that owns what it tells.
    #[must_use]
    pub fn to_owned(&self) -> OwnedMetrics<C> {
        OwnedMetrics {
            segments_seen: self.segments_seen,
            files: self.files.to_vec(),
            total: self.total.clone(),
            outcome: self.outcome,
            counts: self.counts,
            sensor: self.sensor.map(str::to_owned),
        }
    }

    /// Files read that hold a supported format.
    fn segments_valid(&self) -> u64 {
        use crate::capture::Status;
        let valid = |file: &&FileReport| !matches!(file.capture.status, Status::Unsupported | Status::Empty);
        self.files.iter().filter(valid).count() as u64
    }

    /// Appends the record as a line of JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut json = Object { out, first: true };
        json.open();
        json.text("type", "metrics");
        if let Some(sensor) = self.sensor {
            json.text("sensor", sensor);
        }
        json.number("segments_seen", self.segments_seen);
        json.number("segments_valid", self.segments_valid());
        json.number("packets_processed", self.outcome.kept.packets + self.outcome.collapsed.packets);
        self.counts.each(|name, n| json.number(name, n));
        let total = self.total;
        let intake = &total.intake;
        let ledger: [(&str, Amount); 10] = [
            ("read", intake.read),
            ("kept", self.outcome.kept),
            ("collapsed", self.outcome.collapsed),
            ("filtered", intake.filtered + self.outcome.filtered),
            ("out_of_window", self.outcome.out_of_window),
            ("duplicate", intake.duplicate),
            ("late", self.outcome.late),
            ("not_ip", intake.not_ip),
            ("malformed", intake.malformed),
            ("over_limit", self.outcome.over_limit),
        ];
        json.object("ledger", |json| {
            for (name, amount) in ledger {
                json.object(name, |json| {
                    json.number("packets", amount.packets);
                    json.number("wire_bytes", amount.wire_bytes);
                    json.number("captured_bytes", amount.captured_bytes);
                });
            }
        });
        json.object("malformed_by", |json| {
            for (reason, n) in &total.malformed_by {
                json.number(reason.name(), *n);
            }
        });
        json.object("not_ip_by", |json| {
            for (what, n) in &total.not_ip_by {
                json.number(&what.name(), *n);
            }
        });
        json.object("transports", |json| {
            json.number("tcp", total.tcp);
            json.number("udp", total.udp);
            json.number("fragment", total.fragment);
            json.number("other", total.other);
        });
        json.object("tcp_flag_packets", |json| {
            json.number("syn", total.flags.syn);
            json.number("ack", total.flags.ack);
            json.number("rst", total.flags.rst);
            json.number("fin", total.flags.fin);
        });
        json.object("tunnels", |json| {
            for (tunnel, n) in crate::decode::packet::Tunnel::ALL.iter().zip(total.tunnels).skip(1) {
                if n > 0 {
                    json.number(tunnel.name(), n);
                }
            }
        });
        json.key("files");
        json.out.push(b'[');
        for (i, file) in self.files.iter().enumerate() {
            if i > 0 {
                json.out.push(b',');
            }
            let capture = &file.capture;
            let mut json = Object { out: json.out, first: true };
            json.open();
            json.text("path", &file.path.to_string_lossy());
            if let Some(sensor) = &file.sensor {
                json.text("sensor", sensor);
            }
            json.text("format", capture.format.name());
            json.text("compression", capture.compression.name());
            json.key("link_types");
            let links: Vec<String> = capture.link_types.iter().map(|link| link.0.to_string()).collect();
            json.out.extend_from_slice(format!("[{}]", links.join(",")).as_bytes());
            json.number("packets", file.tally.intake.read.packets);
            json.number("wire_bytes", file.tally.intake.read.wire_bytes);
            json.number("accepted", file.tally.intake.accepted.packets);
            json.number("without_time", capture.without_time);
            json.text("status", capture.status.name());
            match capture.offset {
                Some(offset) => json.number("offset", offset),
                None => json.null("offset"),
            }
            match &capture.message {
                Some(message) => json.text("message", message),
                None => json.null("message"),
            }
            json.close();
        }
        json.out.push(b']');
        json.close();
        json.out.push(b'\n');
    }
}

/// A JSON object under construction.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Object<'_> {
    fn open(&mut self) {
        self.out.push(b'{');
        self.first = true;
    }

    fn close(&mut self) {
        self.out.push(b'}');
        self.first = false;
    }

    fn key(&mut self, key: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        string(key, self.out);
        self.out.push(b':');
    }

    fn number(&mut self, key: &str, n: u64) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        string(text, self.out);
    }

    fn null(&mut self, key: &str) {
        self.key(key);
        self.out.extend_from_slice(b"null");
    }

    fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.open();
        fill(self);
        self.close();
    }
}
