//! The last record of a run: the original's counts, the ledger, and every file.
//!
//! Nothing in it depends on threads, time of day or machine.

use super::jsonl::string;
use crate::engine::FileReport;
use crate::engine::ledger::{Amount, Outcome, Tally};
use crate::views::groups::GroupCounts;

/// Everything a run counted.
#[derive(Debug)]
pub struct Metrics<'a> {
    /// Files found, those that could not be read included.
    pub segments_seen: u64,
    /// Every file that was opened, by path.
    pub files: &'a [FileReport],
    /// The sum over all files.
    pub total: &'a Tally,
    /// What became of the accepted packets.
    pub outcome: Outcome,
    /// The groups view's counts.
    pub counts: GroupCounts,
    /// The sensor, where sensors run apart and these metrics are of one.
    pub sensor: Option<&'a str>,
}

/// Metrics that own what they tell.
#[derive(Clone, Debug)]
pub struct OwnedMetrics {
    segments_seen: u64,
    files: Vec<FileReport>,
    total: Tally,
    outcome: Outcome,
    counts: GroupCounts,
    sensor: Option<String>,
}

impl OwnedMetrics {
    /// The metrics.
    #[must_use]
    pub fn borrow(&self) -> Metrics<'_> {
        Metrics {
            segments_seen: self.segments_seen,
            files: &self.files,
            total: &self.total,
            outcome: self.outcome,
            counts: self.counts,
            sensor: self.sensor.as_deref(),
        }
    }

    /// Adds what another run counted; its files take their places by path.
    pub(super) fn add(&mut self, other: &Metrics<'_>) {
        self.segments_seen += other.segments_seen;
        self.files.extend_from_slice(other.files);
        self.files.sort_by(|a, b| (&a.path, &a.sensor).cmp(&(&b.path, &b.sensor)));
        self.total.merge(other.total);
        self.outcome += other.outcome;
        self.counts += other.counts;
    }
}

impl Metrics<'_> {
    /// A copy that owns what it tells.
    #[must_use]
    pub fn to_owned(&self) -> OwnedMetrics {
        OwnedMetrics {
            segments_seen: self.segments_seen,
            files: self.files.to_vec(),
            total: self.total.clone(),
            outcome: self.outcome,
            counts: self.counts,
            sensor: self.sensor.map(str::to_owned),
        }
    }

    /// The eleven counts by the original's names, in its order. `segments_valid` are files read that hold a supported
    /// format; `packets_processed` are packets in groups or collapsed.
    #[must_use]
    pub fn originals(&self) -> [(&'static str, u64); 11] {
        use crate::capture::Status;
        let valid = |file: &&FileReport| !matches!(file.capture.status, Status::Unsupported | Status::Empty);
        let counts = &self.counts;
        [
            ("segments_seen", self.segments_seen),
            ("segments_valid", self.files.iter().filter(valid).count() as u64),
            ("packets_processed", self.outcome.kept.packets + self.outcome.collapsed.packets),
            ("groups_emitted", counts.groups_emitted),
            ("scan_candidates", counts.scan_candidates),
            ("scans_collapsed", counts.scans_collapsed),
            ("scan_outliers_kept", counts.scan_outliers_kept),
            ("http_enriched", counts.http_enriched),
            ("ftp_enriched", counts.ftp_enriched),
            ("smb_enriched", counts.smb_enriched),
            ("sampling_applied", counts.sampling_applied),
        ]
    }

    /// Appends the record as a line of JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut json = Object { out, first: true };
        json.open();
        json.text("type", "metrics");
        if let Some(sensor) = self.sensor {
            json.text("sensor", sensor);
        }
        for (name, n) in self.originals() {
            json.number(name, n);
        }
        let total = self.total;
        let intake = &total.intake;
        let ledger: [(&str, Amount); 10] = [
            ("read", intake.read),
            ("kept", self.outcome.kept),
            ("collapsed", self.outcome.collapsed),
            ("filtered", intake.filtered),
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
