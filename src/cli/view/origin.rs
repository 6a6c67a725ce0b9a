//! Where a scene is from, what became of what was read, and what was wrong with it: what standard error tells, for those who see only the page.

use pcap_compactor::engine::Report;
use pcap_compactor::engine::ledger::{Amount, Outcome};
use serde::Serialize;

use super::super::inspect::names::{malformed_text, not_ip_name};
use super::super::summary::parts;
use super::super::text::{count, printable, things};

/// Lines of a kind; those beyond are counted.
const MOST_LINES: usize = 200;

/// See the module.
#[derive(Debug, Default, Serialize)]
pub(super) struct Origin {
    /// In a line.
    pub(super) summary: String,
    /// What was wrong, a line each.
    pub(super) warnings: Vec<String>,
    /// What became of packets.
    ledger: Vec<Entry>,
    /// What else is known: what of, and what.
    facts: Vec<(String, String)>,
    /// It says what packets do in their flows.
    pub(super) steps: bool,
}

/// Packets of one fate.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    packets: u64,
    /// On the wire, where they were counted.
    bytes: Option<u64>,
    /// They are among those of the entry before that is not a part.
    part: bool,
}

impl Origin {
    pub(super) fn new(summary: String, warnings: Vec<String>) -> Origin {
        Origin { summary, warnings, steps: true, ..Origin::default() }
    }

    pub(super) fn fact(&mut self, of: &str, what: &str) {
        self.facts.push((of.to_owned(), what.to_owned()));
    }

    /// Of captures: what was wrong with them, what was left out for good reason, and how a run ended.
    pub(super) fn of_captures(
        warnings: Vec<String>,
        left_out: &[String],
        report: &Report,
        outcome: &Outcome,
    ) -> Origin {
        let intake = &report.total.intake;
        let (read, kept) = (intake.read.packets, outcome.kept.packets);
        let kept = if kept == read { "all".to_owned() } else { count(kept) };
        let files = things(report.files.len() as u64, "file");
        let summary = format!("{} read from {files}, {kept} in the timeline", things(read, "packet"));
        let mut origin = Origin::new(summary, warnings);
        let entry = |name: &str, Amount { packets, wire_bytes, .. }: Amount| Entry {
            name: name.to_owned(),
            packets,
            bytes: Some(wire_bytes),
            part: false,
        };
        origin.ledger.push(entry("read", intake.read));
        for (name, amount) in parts(intake, outcome, "in the timeline") {
            origin.ledger.push(entry(name, amount));
            let mut part = |name: String, packets| {
                origin.ledger.push(Entry { name, packets, bytes: None, part: true });
            };
            match name {
                "not IP" => report.total.not_ip_by.iter().for_each(|(why, &n)| part(not_ip_name(*why), n)),
                "malformed" => {
                    report.total.malformed_by.iter().for_each(|(why, &n)| part(malformed_text(*why).to_owned(), n))
                }
                _ => {}
            }
        }
        for file in report.files.iter().take(MOST_LINES) {
            let capture = &file.capture;
            let told = format!("{}, {}", things(file.tally.intake.read.packets, "packet"), capture.status.name());
            origin.fact(&file.path.display().to_string(), &told);
        }
        if let Some(more) = report.files.len().checked_sub(MOST_LINES).filter(|&more| more > 0) {
            origin.fact("more files", &count(more as u64));
        }
        for line in left_out.iter().take(MOST_LINES) {
            origin.fact("left out", line);
        }
        if let Some(more) = left_out.len().checked_sub(MOST_LINES).filter(|&more| more > 0) {
            origin.fact("more left out", &count(more as u64));
        }
        origin.tidy()
    }

    /// With text that hides or reorders nothing, and no more lines than are read.
    pub(super) fn tidy(mut self) -> Origin {
        if let Some(more) = self.warnings.len().checked_sub(MOST_LINES).filter(|&more| more > 0) {
            self.warnings.truncate(MOST_LINES);
            self.warnings.push(format!("and {} more", count(more as u64)));
        }
        let texts = self.facts.iter_mut().flat_map(|(of, what)| [of, what]);
        for text in texts.chain(&mut self.warnings) {
            *text = printable(text).into_owned();
        }
        self
    }
}
