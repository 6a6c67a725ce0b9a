//! `inspect`: what is in captures, and what of it would not be counted as packets, and why.

mod json;
pub(crate) mod names;

use std::any::Any;
use std::fmt::Write as _;
use std::path::PathBuf;

use pcap_compactor::capture::{self, Compression, Format, LinkType, Status, expand};
use pcap_compactor::decode::packet::Tunnel;
use pcap_compactor::engine::ledger::{Intake, Tally};
use pcap_compactor::engine::view::{Batch, Part, ShardView, View};
use pcap_compactor::engine::{Engine, FileReport, Input};
use pcap_compactor::table::FlowTable;
use pcap_compactor::time::utc;
use pcap_compactor::{ErrorKind, Timestamp};

use json::Json;
use names::{link_name, malformed_text, not_ip_name};

use super::summary::is_capture;
use super::text::{self, Align, Style, Table, bytes, count, percent, printable, span, things};
use super::units::weight;
use super::{Exit, Shared};

/// Show what is in captures: format, times, link types, damage, and what of it is no IP packet and why.
///
/// Every frame is read and decoded, and nothing is written. Exit code 0: all is well; 3: something is damaged,
/// unsupported or passed over; 1: no input is a capture.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pcap-compactor inspect capture.pcap
  pcap-compactor inspect captures/ --json | jq .status")]
pub(crate) struct Args {
    /// Files, folders (searched through), or `-` for standard input; pcap and pcapng, also in gzip and zstd
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// One JSON object a file, one a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    let style = Style { color: shared.color };
    let expanded = expand(&args.inputs);
    let mut outcome = Outcome::default();
    for error in &expanded.failed {
        outcome.failed += 1;
        text::complain("error", &error.to_string());
    }
    for skipped in &expanded.skipped {
        outcome.skipped += u64::from(weight(skipped) != Exit::Ok);
        if !shared.quiet {
            text::complain("note", &skipped.to_string());
        }
    }
    let mut total = Total::default();
    for input in &expanded.captures {
        let file = match look(input)? {
            Ok(file) => file,
            Err(error) => {
                outcome.failed += 1;
                text::complain("error", &error.to_string());
                continue;
            }
        };
        if let Some(error) = &file.error {
            outcome.failed += 1;
            text::complain("error", error);
        }
        outcome.take(&file.report);
        let shown = match args.json {
            true => format!("{}\n", serde_json::to_string(&Json::of(&file))?),
            false => describe(&file, style),
        };
        if !text::print(&shown)? {
            return Ok(Exit::Ok);
        }
        total.add(&file);
    }
    if !args.json && total.files > 1 {
        text::print(&total.describe(style))?;
    }
    Ok(outcome.exit())
}

/// Files by what became of them.
#[derive(Default)]
struct Outcome {
    complete: u64,
    /// Captures of which something is missing.
    partial: u64,
    no_captures: u64,
    failed: u64,
    skipped: u64,
}

impl Outcome {
    fn take(&mut self, file: &FileReport) {
        let whole = file.capture.status == Status::Complete && file.tally.unsupported_links.is_empty();
        match is_capture(&file.capture) {
            true if whole => self.complete += 1,
            true => self.partial += 1,
            false => self.no_captures += 1,
        }
    }

    fn exit(&self) -> Exit {
        match (self.complete + self.partial, self.partial + self.no_captures + self.failed + self.skipped) {
            (0, _) => Exit::Failed,
            (_, 0) => Exit::Ok,
            _ => Exit::Partial,
        }
    }
}

/// One file, read to its end.
struct File {
    report: FileReport,
    snapped: Snapped,
    /// What the system said when it could not be read on.
    error: Option<String>,
}

/// Reads a file. The inner error is the file's; the outer one ends the command.
fn look(input: &capture::Input) -> anyhow::Result<Result<File, pcap_compactor::Error>> {
    let path = input.path();
    let input = match input {
        // A signal ends the program itself: it writes nothing that would have to be finished.
        capture::Input::Stdin => Input::stream(path, Box::new(std::io::stdin())),
        capture::Input::File(path) => Input::file(path),
    };
    let mut snapped = Snapped::default();
    let mut report = Engine::builder().build().run(vec![input], &mut [&mut snapped])?;
    let error = report.failed.pop();
    Ok(match (report.files.pop(), error) {
        (Some(report), error) => Ok(File { report, snapped, error: error.map(|error| error.to_string()) }),
        (None, Some(error)) => Err(error),
        (None, None) => Err(ErrorKind::Invariant("a file has neither a report nor an error".into()).into()),
    })
}

/// Packets that the capture holds less of than the wire did.
#[derive(Clone, Copy, Default)]
struct Snapped {
    packets: u64,
    /// Most captured bytes of one of them.
    most: u32,
    /// How many of them have that many.
    at_most: u64,
}

impl Snapped {
    fn add(&mut self, other: Snapped) {
        self.packets += other.packets;
        if other.most > self.most {
            (self.most, self.at_most) = (other.most, 0);
        }
        if other.most == self.most {
            self.at_most += other.at_most;
        }
    }
}

impl View for Snapped {
    fn wants_flows(&self) -> bool {
        false
    }

    fn shard(&self) -> Box<dyn ShardView> {
        Box::<Snapped>::default()
    }

    fn merge(&mut self, parts: Vec<Part>) -> pcap_compactor::Result<()> {
        for part in parts {
            let part: Box<dyn Any> = part;
            self.add(*part.downcast::<Snapped>().expect("a shard of this view made it"));
        }
        Ok(())
    }

    fn finish(&mut self, _: &Intake) -> pcap_compactor::Result<()> {
        Ok(())
    }
}

impl ShardView for Snapped {
    fn packets(&mut self, batch: &Batch<'_>) {
        for packet in batch.packets.iter().filter(|packet| packet.captured < packet.wire) {
            self.add(Snapped { packets: 1, most: packet.captured, at_most: 1 });
        }
    }

    fn close(&mut self, _: Option<Timestamp>, _: &FlowTable) -> Option<Part> {
        Some(Box::new(std::mem::take(self)))
    }
}

/// A file as text.
fn describe(file: &File, style: Style) -> String {
    let FileReport { path, capture, tally, .. } = &file.report;
    let mut text = format!("{}\n", style.bold(&printable(&path.to_string_lossy())));
    let mut facts = Table::new([Align::Left, Align::Left]);
    let mut fact = |name: &str, value: String| facts.row([name.to_owned(), value]);
    fact(
        "format",
        match (capture.format, capture.compression) {
            (Format::Unknown, Compression::None) => "not recognised".into(),
            (Format::Unknown, compression) => format!("not recognised, in {}", compression.name()),
            (format, Compression::None) => format.name().into(),
            (format, compression) => format!("{}, in {}", format.name(), compression.name()),
        },
    );
    let status = capture.status.name();
    fact(
        "status",
        match capture.offset {
            Some(offset) => format!("{status} at byte {}", count(offset)),
            None => status.into(),
        },
    );
    if let Some(message) = &capture.message {
        wrap(&printable(message), 66).into_iter().for_each(|line| fact("", line));
    }
    let intake = &tally.intake;
    if capture.format != Format::Unknown {
        let links: Vec<String> = capture.link_types.iter().map(|&link| link_name(link)).collect();
        let links = if links.is_empty() { "none".into() } else { links.join(", ") };
        wrap(&links, 66)
            .into_iter()
            .enumerate()
            .for_each(|(i, line)| fact(if i == 0 { "link types" } else { "" }, line));
        fact("packets", count(intake.read.packets));
        let wire = intake.read.wire_bytes;
        fact("bytes", format!("{} on the wire, {} captured", count(wire), count(intake.read.captured_bytes)));
    }
    if let (Some(first), Some(last)) = (capture.min_time, capture.max_time) {
        fact("first time", utc(first));
        fact("last time", format!("{}  ({})", utc(last), span(first, last)));
    }
    if capture.dropped > 0 {
        fact("drops", format!("{} dropped while capturing", things(capture.dropped, "packet")));
    }
    text += &facts.render(style);
    if intake.read.packets > 0 {
        text.push('\n');
        text += &ledger(tally, style);
    }
    let hints = hints(file);
    if !hints.is_empty() {
        text.push('\n');
    }
    for hint in hints {
        for (i, line) in wrap(&hint, 70).into_iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {}{line}", if i == 0 { "note: " } else { "      " });
        }
    }
    text.push('\n');
    text
}

/// What became of the frames, so that it adds up.
fn ledger(tally: &Tally, style: Style) -> String {
    let intake = &tally.intake;
    let accepted =
        [("TCP", tally.tcp), ("UDP", tally.udp), ("other", tally.other), ("later fragments", tally.fragment)];
    let tunnels = Tunnel::ALL.iter().zip(tally.tunnels).skip(1);
    let inside: Vec<(String, u64)> = tunnels.map(|(tunnel, n)| (format!("inside {}", tunnel.name()), n)).collect();
    let reasons =
        tally.malformed_by.iter().map(|(why, &n)| format!("{} {}: {}", why.name(), count(n), malformed_text(*why)));
    let details = [
        vec![listed(accepted.map(|(name, n)| (name.to_owned(), n)).into()), listed(inside)],
        vec![listed(tally.not_ip_by.iter().map(|(&what, &n)| (not_ip_name(what), n)).collect())],
        reasons.collect(),
    ];
    let mut table = Table::new([Align::Left, Align::Right, Align::Right, Align::Left]);
    table.head(["", "packets", "wire bytes", ""]);
    let amounts = [("IP packets", intake.accepted), ("not IP", intake.not_ip), ("malformed", intake.malformed)];
    for ((name, amount), details) in amounts.into_iter().zip(details) {
        let mut lines = details.iter().filter(|detail| !detail.is_empty()).flat_map(|detail| wrap(detail, 40));
        let first = lines.next().unwrap_or_default();
        table.row([name.into(), count(amount.packets), count(amount.wire_bytes), first]);
        lines.for_each(|line| table.row([String::new(), String::new(), String::new(), line]));
    }
    table.rule();
    table.row(["read".into(), count(intake.read.packets), count(intake.read.wire_bytes), String::new()]);
    table.render(style)
}

/// Names with their counts, those that were met.
fn listed(of: Vec<(String, u64)>) -> String {
    let met = of.into_iter().filter(|&(_, n)| n > 0).map(|(name, n)| format!("{name} {}", count(n)));
    met.collect::<Vec<_>>().join(", ")
}

/// What a user should know of a file before counting on it.
fn hints(file: &File) -> Vec<String> {
    let FileReport { capture, tally, .. } = &file.report;
    let mut hints = Vec::new();
    for (&link, &n) in &tally.unsupported_links {
        let name = link_name(LinkType(link));
        hints.push(format!("link type {name} is not supported: {} cannot be decoded", things(n, "frame")));
    }
    let (snapped, accepted) = (&file.snapped, tally.intake.accepted.packets);
    if snapped.packets > 0 {
        let share = percent(snapped.packets, accepted);
        // Most of them at one length is a snap length; a spread is something else.
        let at = match snapped.at_most.saturating_mul(10) >= snapped.packets.saturating_mul(9) {
            true => format!("snapped at {} bytes", snapped.most),
            false => format!("cut, at most {} bytes are left", snapped.most),
        };
        hints.push(format!("{share} of the IP packets are {at}: byte counts use the lengths on the wire, but what lay behind the cut (HTTP, FTP and SMB content) cannot be read"));
    }
    if capture.dropped > 0 {
        let share = percent(capture.dropped, capture.dropped.saturating_add(capture.packets));
        hints.push(format!(
            "by the capture's own statistics {share} of the packets were dropped: all counts are too low"
        ));
    }
    if capture.without_time > 0 {
        hints.push(format!(
            "{} without a time: those that are IP count as of 1970-01-01",
            things(capture.without_time, "frame")
        ));
    }
    if capture.first_time != capture.min_time || capture.last_time != capture.max_time {
        hints.push("frames are not in order of time; that does no harm, unless they belong to an hour that ended before the file's first frame: those are late and left out; `reordercap IN OUT` sorts a file".into());
    }
    let read = tally.intake.read.packets;
    if read > 0 && accepted == 0 {
        hints.push("no frame is an IP packet: a run over this file has no groups".into());
    }
    hints
}

/// Sums over files.
#[derive(Default)]
struct Total {
    files: u64,
    tally: Tally,
    statuses: [u64; 5],
    dropped: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

const STATUSES: [Status; 5] =
    [Status::Complete, Status::Truncated, Status::Corrupt, Status::Unsupported, Status::Empty];

impl Total {
    fn add(&mut self, file: &File) {
        let FileReport { capture, tally, .. } = &file.report;
        self.files += 1;
        self.tally.merge(tally);
        self.dropped += capture.dropped;
        for (n, status) in self.statuses.iter_mut().zip(STATUSES) {
            *n += u64::from(status == capture.status);
        }
        self.first = self.first.into_iter().chain(capture.min_time).min();
        self.last = self.last.into_iter().chain(capture.max_time).max();
    }

    fn describe(&self, style: Style) -> String {
        let statuses: Vec<String> = STATUSES
            .iter()
            .zip(self.statuses)
            .filter(|&(_, n)| n > 0)
            .map(|(status, n)| format!("{} {}", count(n), status.name()))
            .collect();
        let mut text = format!("{}\n", style.bold(&things(self.files, "file")));
        let mut facts = Table::new([Align::Left, Align::Left]);
        facts.row(["status".into(), statuses.join(", ")]);
        facts.row(["bytes".into(), format!("{} on the wire", bytes(self.tally.intake.read.wire_bytes))]);
        if let (Some(first), Some(last)) = (self.first, self.last) {
            facts.row(["first time".into(), utc(first)]);
            facts.row(["last time".into(), format!("{}  ({})", utc(last), span(first, last))]);
        }
        if self.dropped > 0 {
            facts.row(["drops".into(), format!("{} dropped while capturing", things(self.dropped, "packet"))]);
        }
        text += &facts.render(style);
        text.push('\n');
        text + &ledger(&self.tally, style)
    }
}

/// Lines of at most `width` characters, broken at spaces where there are some.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a first line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcap_compactor::capture::{PcapLayout, PcapWriter};
    use pcap_compactor::synth::{self, Spec};

    fn file_of(bytes: Vec<u8>) -> File {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in\x1bner.pcap");
        std::fs::write(&path, bytes).unwrap();
        look(&capture::Input::File(path)).unwrap().unwrap()
    }

    fn plain(file: &File) -> String {
        describe(file, Style { color: false })
    }

    #[test]
    fn made_traffic_is_described_whole_within_80_columns() {
        let (bytes, truth) = synth::write(&Spec { packets: 3000, ..Spec::default() }, Vec::new()).unwrap();
        let file = file_of(bytes);
        let text = plain(&file);
        assert!(text.contains("in\\u{1b}ner.pcap") && !text.contains('\x1b'), "{text}");
        for expected in [
            "format      pcap\n",
            "status      complete\n",
            "link types  1 (Ethernet)\n",
            "packets     3,000\n",
            "first time  2023-10-19T13:0",
            &format!("ARP {}, LLDP 1\n", truth.arp_packets),
            "60  ip.truncated 1: its IP header is cut, or\n",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(text.lines().skip(1).all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn hints_say_why_packets_would_be_missing() {
        let layout = PcapLayout { link: LinkType(105), ..PcapLayout::default() };
        let mut writer = PcapWriter::new(Vec::new(), layout).unwrap();
        (0..123).for_each(|n| writer.record(Timestamp(n), 100, &[0; 40]).unwrap());
        let file = file_of(writer.finish().unwrap());
        assert!(
            hints(&file).contains(&"link type 105 (IEEE 802.11) is not supported: 123 frames cannot be decoded".into())
        );
        assert!(hints(&file).iter().any(|hint| hint.starts_with("no frame is an IP packet")));

        let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
        let spec = Spec { packets: 2000, ..Spec::default() };
        synth::frames(&spec, |time, wire, frame| writer.record(time, wire, &frame[..frame.len().min(64)])).unwrap();
        let file = file_of(writer.finish().unwrap());
        assert!(
            hints(&file)[0].contains("of the IP packets are snapped at 64 bytes: byte counts use"),
            "{:?}",
            hints(&file)
        );
    }

    #[test]
    fn damage_is_named_with_its_place() {
        let (mut bytes, _) = synth::write(&Spec { packets: 2000, ..Spec::default() }, Vec::new()).unwrap();
        bytes.truncate(bytes.len() - 1);
        let file = file_of(bytes);
        let text = plain(&file);
        assert!(text.contains("status      truncated at byte "), "{text}");
        assert!(text.contains("packets     1,999\n"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&serde_json::to_string(&Json::of(&file)).unwrap()).unwrap();
        assert_eq!(json["status"], "truncated");
        assert_eq!(json["offset"], file.report.capture.offset.unwrap());
        assert_eq!(json["link_types"][0]["name"], "Ethernet");
    }

    #[test]
    fn exit_codes_follow_the_worst_that_was_met() {
        let exit = |statuses: &[Status], failed, skipped| {
            let mut outcome = Outcome { failed, skipped, ..Outcome::default() };
            let mut file = file_of(Vec::new()).report;
            statuses.iter().for_each(|&status| {
                file.capture.status = status;
                outcome.take(&file);
            });
            outcome.exit()
        };
        assert_eq!(exit(&[Status::Complete], 0, 0), Exit::Ok);
        assert_eq!(exit(&[Status::Complete], 1, 0), Exit::Partial);
        assert_eq!(exit(&[Status::Complete], 0, 1), Exit::Partial);
        assert_eq!(exit(&[Status::Complete, Status::Unsupported], 0, 0), Exit::Partial);
        assert_eq!(exit(&[Status::Corrupt], 0, 0), Exit::Partial);
        assert_eq!(exit(&[Status::Unsupported], 0, 0), Exit::Failed);
        assert_eq!(exit(&[Status::Empty], 0, 0), Exit::Failed);
        assert_eq!(exit(&[], 1, 0), Exit::Failed);
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrap("aaaaaaaa b", 5), ["aaaaaaaa", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
