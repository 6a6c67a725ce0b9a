//! Metrics as text, in version 0.0.4 of the format that Prometheus reads.

use std::fmt::{Display, Write};
use std::sync::atomic::Ordering::Relaxed;

use super::{Health, Product, Sensor, UNKNOWN, lock, resident, seconds};
use crate::engine::ledger::Amount;

/// A text that grows by families.
struct Text(String);

/// A family under way: its name and its text.
struct Family<'t>(&'static str, &'t mut String);

impl Text {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        // Writing to a string cannot fail, here and below.
        let _ = write!(self.0, "# HELP pcap_compactor_{name} {help}\n# TYPE pcap_compactor_{name} {kind}\n");
        Family(name, &mut self.0)
    }

    fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }
}

impl Family<'_> {
    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let Family(name, text) = self;
        let _ = write!(text, "pcap_compactor_{name}");
        for (n, (label, value)) in labels.iter().enumerate() {
            let _ = write!(text, "{}{label}=\"", if n == 0 { '{' } else { ',' });
            for c in value.chars() {
                match c {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    // A terminal would obey some, and two names stay two.
                    c if c.is_control() => {
                        let _ = write!(text, "\\{}", c.escape_unicode());
                    }
                    c => text.push(c),
                }
            }
            text.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(text, "{end} {value}");
    }
}

impl Health {
    /// All counters and gauges, as a scraper wants them: `text/plain; version=0.0.4`. Times are in seconds, sizes in bytes.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut text = Text(String::new());
        let (well, _) = self.healthy();
        text.gauge("build_info", "The version that runs; the value says nothing.")
            .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        text.gauge("start_time_seconds", "When the process began.").sample(&[], seconds(self.begun));
        text.gauge("healthy", "Whether all is well, as /healthz says.").sample(&[], u8::from(well));
        let stopping = u8::from(self.stopping.load(Relaxed));
        text.gauge("stopping", "Whether it has been asked to end.").sample(&[], stopping);
        self.sensors(&mut text);
        self.products(&mut text);
        let free = self.free.load(Relaxed);
        let mut family = text.gauge("disk_free_bytes", "Free space where records and captures are.");
        if free != UNKNOWN {
            family.sample(&[], free);
        }
        text.gauge("disk_least_free_bytes", "Free space below which is warned.")
            .sample(&[], self.least_free.load(Relaxed));
        text.gauge(
            "captures_kept_for_hours",
            "Captures past their time that hours still need, to come, or made again if files that wait want it; or that may still be written.",
        )
        .sample(&[], self.kept_for_hours.load(Relaxed));
        text.counter("captures_removed_unread_total", "Captures that came too late to be read and were removed.")
            .sample(&[], self.removed_unread.load(Relaxed));
        text.counter("captures_removed_needed_total", "Captures that were removed though hours to come need them.")
            .sample(&[], self.removed_needed.load(Relaxed));
        if let Some(capture) = *lock(&self.capture) {
            text.gauge("capture_running", "Whether tcpdump runs.").sample(&[], u8::from(capture.running));
            text.counter("capture_begun_total", "How often tcpdump began.").sample(&[], capture.begun);
            let help = "Packets by tcpdump's own count, of runs that have ended.";
            let mut family = text.counter("capture_packets_total", help);
            family.sample(&[("state", "received")], capture.received);
            family.sample(&[("state", "captured")], capture.captured);
            family.sample(&[("state", "dropped")], capture.dropped);
        }
        if let Some(bytes) = resident() {
            text.gauge("resident_memory_bytes", "Memory that the process holds.").sample(&[], bytes);
        }
        text.0
    }

    fn sensors(&self, text: &mut Text) {
        type Of = fn(&Sensor) -> u64;
        let counters: [(&'static str, &str, Of); 8] = [
            ("files_read_total", "Files that were read.", |of| of.files),
            ("files_damaged_total", "Files that were read to where they are damaged.", |of| of.damaged),
            ("file_failures_total", "Times that a file could not be read.", |of| of.failures),
            ("files_quarantined_total", "Files that were put aside.", |of| of.quarantined),
            ("files_late_total", "Files that came too late to be read.", |of| of.late),
            (
                "captures_lost_total",
                "Captures that were gone, or could not be read, before they were read or their hours were out.",
                |of| of.lost.len() as u64,
            ),
            ("wild_packets_total", "Packets of a wild time, which are in no hour.", |of| of.wild),
            (
                "late_packets_total",
                "Packets of hours that had ended when their file began, which are in no group.",
                |of| of.late_packets,
            ),
        ];
        let gauges: [(&'static str, &str, Of); 2] = [
            ("live_flows", "Flows that have not ended.", |of| of.live_flows),
            ("line_failed", "Whether the sensor's line came to an end that it should not have.", |of| {
                u64::from(of.failed().is_some())
            }),
        ];
        let sensors = lock(&self.sensors);
        for (name, help, of) in counters {
            let mut family = text.counter(name, help);
            sensors.iter().for_each(|(sensor, values)| family.sample(&[("sensor", sensor)], of(values)));
        }
        for (name, help, of) in gauges {
            let mut family = text.gauge(name, help);
            sensors.iter().for_each(|(sensor, values)| family.sample(&[("sensor", sensor)], of(values)));
        }
        let mut family = text.gauge("files_waiting", "Complete files that are not read yet.");
        sensors.keys().for_each(|sensor| family.sample(&[("sensor", sensor)], self.queue.waiting(sensor)));
        let mut family = text.gauge("reading_seconds", "How long the file has been read that is being read.");
        for (sensor, values) in &*sensors {
            let long = values.reading.as_ref().map_or(0.0, |(.., since)| since.elapsed().as_secs_f64());
            family.sample(&[("sensor", sensor)], format_args!("{long:.3}"));
        }
        let mut family = text.gauge("lag_seconds", "How long ago the newest complete file ended that is not out.");
        for (sensor, values) in &*sensors {
            family.sample(&[("sensor", sensor)], format_args!("{:.3}", values.lag().as_secs_f64()));
        }
        type Part = fn(&Amount) -> u64;
        let parts: [(&'static str, &str, Part); 3] = [
            ("packets_total", "Packets that were read, by what became of them.", |of| of.packets),
            ("wire_bytes_total", "Their bytes on the wire.", |of| of.wire_bytes),
            ("captured_bytes_total", "Their bytes that were captured.", |of| of.captured_bytes),
        ];
        for (name, help, part) in parts {
            let mut family = text.counter(name, help);
            for (sensor, values) in &*sensors {
                let intake = &values.tally.intake;
                let outcomes = [
                    ("accepted", &intake.accepted),
                    ("filtered", &intake.filtered),
                    ("duplicate", &intake.duplicate),
                    ("not_ip", &intake.not_ip),
                    ("malformed", &intake.malformed),
                ];
                for (outcome, amount) in outcomes {
                    family.sample(&[("sensor", sensor), ("outcome", outcome)], part(amount));
                }
            }
        }
        let mut family = text.counter("malformed_packets_total", "Malformed packets, by what is wrong with them.");
        for (sensor, values) in &*sensors {
            for (reason, packets) in &values.tally.malformed_by {
                family.sample(&[("sensor", sensor), ("reason", reason.name())], packets);
            }
        }
    }

    fn products(&self, text: &mut Text) {
        type Of = fn(&Product) -> u64;
        let counters: [(&'static str, &str, Of); 4] = [
            ("records_total", "Records that were made.", |of| of.records),
            ("hours_out_total", "Hours that are out.", |of| of.hours),
            ("late_records_total", "Records that stand in the next hour, for packets of hours that were out.", |of| {
                of.late
            }),
            ("stray_records_total", "Records of hours that were out too early, which is an error.", |of| of.stray),
        ];
        let products = lock(&self.products);
        for (name, help, of) in counters {
            let mut family = text.counter(name, help);
            for ((product, sensor), values) in &*products {
                family.sample(&[("product", product), ("sensor", sensor)], of(values));
            }
        }
        let mut family = text.gauge("newest_hour_seconds", "When the newest hour that is out begins.");
        for ((product, sensor), values) in &*products {
            if let Some(newest) = values.newest {
                family.sample(&[("product", product), ("sensor", sensor)], newest.seconds());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::capture::Status;
    use crate::decode::reject::Malformed;
    use crate::engine::FileReport;

    /// The samples of an exposition by name and labels, which must be what its families say they are.
    fn read(text: &str) -> BTreeMap<String, f64> {
        let mut kinds = BTreeMap::new();
        let mut samples = BTreeMap::new();
        let mut family = "";
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                family = help.split_once(' ').unwrap().0;
                assert!(family.starts_with("pcap_compactor_") && !kinds.contains_key(family), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(name == family && name.ends_with("_total") == (kind == "counter"), "{line}");
                kinds.insert(name, kind);
            } else {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                let name = sample.split_once('{').map_or(sample, |(name, _)| name);
                assert!(name == family && kinds.contains_key(name), "{line}");
                assert!(samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(), "{line}");
            }
        }
        samples
    }

    #[test]
    fn every_sample_has_its_family_and_its_value() {
        let health = Health::new(Duration::from_secs(60), 1000);
        let empty = read(&health.prometheus());
        assert_eq!(empty["pcap_compactor_healthy"], 1.0);
        assert!(!empty.contains_key("pcap_compactor_disk_free_bytes"));
        let mut report =
            FileReport { path: "x".into(), sensor: None, capture: Default::default(), tally: Default::default() };
        report.tally.intake.accepted = Amount { packets: 5, wire_bytes: 500, captured_bytes: 300 };
        report.tally.intake.malformed = Amount::one(60, 20);
        report.tally.malformed_by = [(Malformed::IpTruncated, 1)].into();
        health.file("a", &report);
        report.capture.status = Status::Truncated;
        health.file("a", &report);
        health.failed("a");
        health.queue("a", 4);
        health.live_flows("a", 9);
        health.records("groups", "a", 7);
        health.records("groups", "a", 1);
        health.hour_out("groups", "a", crate::Timestamp::from_seconds(7200));
        health.hour_out("groups", "a", crate::Timestamp::from_seconds(3600));
        health.disk_free(10);
        health.capturing(true);
        health.capture_counts(9, 8, 1);
        health.capture_counts(1, 1, 0);
        let read = read(&health.prometheus());
        let is =
            |name: &str, value: f64| assert_eq!(read.get(&format!("pcap_compactor_{name}")), Some(&value), "{name}");
        is("packets_total{sensor=\"a\",outcome=\"accepted\"}", 10.0);
        is("wire_bytes_total{sensor=\"a\",outcome=\"malformed\"}", 120.0);
        is("captured_bytes_total{sensor=\"a\",outcome=\"accepted\"}", 600.0);
        is("malformed_packets_total{sensor=\"a\",reason=\"ip.truncated\"}", 2.0);
        is("files_read_total{sensor=\"a\"}", 2.0);
        is("files_damaged_total{sensor=\"a\"}", 1.0);
        is("file_failures_total{sensor=\"a\"}", 1.0);
        is("files_waiting{sensor=\"a\"}", 4.0);
        is("live_flows{sensor=\"a\"}", 9.0);
        is("records_total{product=\"groups\",sensor=\"a\"}", 8.0);
        is("hours_out_total{product=\"groups\",sensor=\"a\"}", 2.0);
        is("newest_hour_seconds{product=\"groups\",sensor=\"a\"}", 7200.0);
        is("capture_packets_total{state=\"received\"}", 10.0);
        is("capture_begun_total", 1.0);
        is("disk_free_bytes", 10.0);
        is("healthy", 0.0);
    }

    #[test]
    fn names_of_sensors_cannot_leave_their_quotes() {
        let health = Health::new(Duration::from_secs(60), 0);
        health.queue("a\\b\"} 1\n# c", 2);
        health.queue("\u{1b}[2J", 3);
        let text = health.prometheus();
        assert!(text.contains("\npcap_compactor_files_waiting{sensor=\"a\\\\b\\\"} 1\\n# c\"} 2\n"), "{text}");
        assert!(text.contains("\npcap_compactor_files_waiting{sensor=\"\\\\u{1b}[2J\"} 3\n"), "{text}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
        assert!(text.lines().all(|line| line.starts_with("pcap_compactor_") || line.starts_with("# ")), "{text}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_more_than_nothing() {
        let read = read(&Health::new(Duration::from_secs(60), 0).prometheus());
        assert!(read["pcap_compactor_resident_memory_bytes"] > 1e6);
    }
}
