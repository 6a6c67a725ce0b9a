//! What must hold for any bytes at all, one function for each part that reads them.
//!
//! Each has two callers: a cargo-fuzz target in `fuzz/`, which looks for bytes that break it for as long as it is let, and
//! [`super`], which tries a few hundred in every run of the tests. A body panics where its promise is broken.

use std::io::{self, Read};
use std::path::Path;

use pcap_compactor::app::ftp::Ftp;
use pcap_compactor::app::http::Http;
use pcap_compactor::app::lexicon::Lexicon;
use pcap_compactor::app::smb::Smb;
use pcap_compactor::app::{Enricher, Notes, Section, Segment};
use pcap_compactor::capture::{Capture, LinkType, PcapLayout, PcapWriter, Record, Records, Report, Stamp, Status};
use pcap_compactor::decode::packet::Fragment;
use pcap_compactor::decode::{Decoder, Packet, Tunnels};
use pcap_compactor::engine::ledger::{Amount, balance};
use pcap_compactor::sink::buckets::{BucketWriter, Form as Rows};
use pcap_compactor::sink::flows::{FlowSink, FlowWriter, Form};
use pcap_compactor::sink::jsonl::{JsonLines, Lines, Times};
use pcap_compactor::sink::{Discard, Metrics, Sink};
use pcap_compactor::table::key::FiveTuple;
use pcap_compactor::views::buckets::{BucketJob, Settings as BucketSettings};
use pcap_compactor::views::flows::dialects::Dialect;
use pcap_compactor::views::flows::{Columns, FlowCounts, FlowJob, FlowRecord, Lifetime, Settings};
use pcap_compactor::views::timeline::{self, Correct, Flow, Hosts, TimelineJob, TimelineSink};
use pcap_compactor::{Config, Engine, Input, Job, Timestamp};

/// Hands out a few bytes a call, as a slow pipe would.
struct Drip {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Drip {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let size = out.len().min(1 + self.at % 61).min(self.bytes.len() - self.at);
        out[..size].copy_from_slice(&self.bytes[self.at..self.at + size]);
        self.at += size;
        Ok(size)
    }
}

/// The bytes at once, and the bytes in drips.
fn readers(bytes: &[u8]) -> [Box<dyn Read + Send>; 2] {
    [Box::new(io::Cursor::new(bytes.to_vec())), Box::new(Drip { bytes: bytes.to_vec(), at: 0 })]
}

/// Records looked at: few bytes of a compressed file may stand for many.
const RECORDS: u64 = 100_000;

/// Time, link type, wire length and bytes of a record.
type Row = (i64, u16, u32, Vec<u8>);

fn read(reader: Box<dyn Read + Send>) -> (Vec<Row>, Report) {
    let mut capture = Capture::from_reader(Path::new("any"), reader).expect("memory can be read");
    let (mut rows, mut batch) = (Vec::new(), Records::default());
    while (rows.len() as u64) < RECORDS && capture.fill(&mut batch, 100).expect("memory can be read") {
        for record in batch.list() {
            let frame = batch.frame(record);
            assert_eq!(frame.len(), record.captured as usize);
            rows.push((record.time.ns(), record.link.0, record.wire, frame.to_vec()));
        }
    }
    (rows, capture.report().clone())
}

/// Any bytes as a capture: they are read alike however they come, and the account is true.
pub(crate) fn capture(bytes: &[u8]) {
    let [(rows, report), (slow, slow_report)] = readers(bytes).map(read);
    let least = rows.len().min(slow.len());
    assert_eq!(rows[..least], slow[..least]);
    if rows.len() as u64 >= RECORDS {
        return;
    }
    assert_eq!(rows.len(), slow.len());
    assert_eq!(Report { bytes_read: 0, ..report.clone() }, Report { bytes_read: 0, ..slow_report });
    assert_eq!(report.packets, rows.len() as u64);
    assert_eq!(report.captured_bytes, rows.iter().map(|(.., frame)| frame.len() as u64).sum::<u64>());
    assert_eq!(report.offset.is_some(), !matches!(report.status, Status::Complete | Status::Empty), "{report:?}");
    assert_eq!(report.message.is_some(), report.status != Status::Complete, "{report:?}");
}

/// Link types that are decoded.
const LINKS: [u16; 16] = [0, 1, 9, 10, 12, 14, 50, 51, 101, 108, 113, 192, 228, 229, 239, 276];

/// Any bytes as a frame, the first of them telling its link type: both decoders agree, and what they say lies in the frame.
pub(crate) fn decode(bytes: &[u8]) {
    let Some((&first, frame)) = bytes.split_first() else { return };
    let link = LINKS.get(usize::from(first)).copied().unwrap_or(if first < 128 { 1 } else { u16::from(first) });
    let captured = frame.len() as u32;
    let record = Record {
        time: Timestamp(0),
        offset: 0,
        captured,
        wire: captured + u32::from(first & 64),
        link: LinkType(link),
        stamp: Stamp::Known,
    };
    for tunnels in [Tunnels::Inner, Tunnels::Outer] {
        let decoder = Decoder::new(tunnels);
        let decoded = decoder.decode(&record, frame);
        assert_eq!(decoded, decoder.general(&record, frame));
        let Ok(packet) = decoded else { continue };
        let (ip, transport, payload) = (packet.ip_offset, packet.transport_offset, packet.payload_offset);
        assert!(ip <= transport && transport <= payload && usize::from(transport) <= frame.len(), "{packet:?}");
        assert!(packet.payload_length <= packet.ip_length, "{packet:?}");
        assert!(u32::from(ip) + packet.ip_length <= record.wire, "{packet:?}");
        assert!(packet.payload(frame).len() <= frame.len());
        assert!(packet.has_flags || packet.tcp_flags == 0, "{packet:?}");
        if packet.fragment == Fragment::Later {
            assert_eq!((packet.src_port, packet.dst_port, packet.payload_length), (0, 0, 0));
        }
    }
}

/// Lines of JSON, and whether the ledger they end in balances.
struct Checked<'o>(JsonLines<&'o mut Vec<u8>>);

impl Sink for Checked<'_> {
    fn on_group(&mut self, group: &pcap_compactor::views::groups::GroupRecord) -> pcap_compactor::Result<()> {
        self.0.on_group(group)
    }

    fn on_scan(&mut self, scan: &pcap_compactor::scan::summary::ScanSummary) -> pcap_compactor::Result<()> {
        self.0.on_scan(scan)
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> pcap_compactor::Result<()> {
        let (intake, outcome) = (&metrics.total.intake, &metrics.outcome);
        intake.check("the input")?;
        let parts = [outcome.kept, outcome.collapsed, outcome.out_of_window, outcome.late, outcome.over_limit];
        balance("the output", intake.accepted, &parts)?;
        self.0.on_metrics(metrics)
    }
}

fn lines(reader: Box<dyn Read + Send>, threads: usize) -> (u64, Vec<u8>) {
    // Low thresholds and short windows, so that few packets go all ways; duplicates are looked for, too.
    let config = Config {
        window_seconds: 60,
        idle_split_seconds: 2,
        scan_unique_dsts_threshold: 2,
        scan_unique_ports_threshold: 2,
        iforest_estimators: 32,
        http_uri_token_budget: 2,
        ..Config::default()
    };
    let mut out = Vec::new();
    let job = Job::new(config).engine(Engine::builder().threads(threads).dedup(2));
    let mut sink = Checked(JsonLines::new(&mut out, "memory", Lines::default()));
    let report = job.run(vec![Input::stream("any", reader)], &mut sink).expect("any input ends well");
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    (report.total.intake.read.packets, out)
}

/// A capture from end to end: the ledger balances, and neither threads nor the way it comes show in the output.
fn compact_whole(bytes: &[u8]) -> u64 {
    let [at_once, in_drips] = readers(bytes);
    let (packets, out) = lines(at_once, 1);
    assert_eq!((packets, out), lines(in_drips, 3));
    packets
}

/// Any bytes as a capture, from end to end.
pub(crate) fn compact(bytes: &[u8]) {
    compact_whole(bytes);
}

/// A capture of any bytes as Ethernet frames, and how many they are: each of a length and at a time that the byte in front
/// of it tells.
fn framed(bytes: &[u8]) -> (Vec<u8>, u64) {
    const STEPS: [i64; 4] = [0, 1_000_000, 3_000_000_000, 61_000_000_000];
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).expect("memory takes bytes");
    let (mut rest, mut time, mut frames) = (bytes, 1_697_716_800_000_000_000, 0);
    while let Some((&head, behind)) = rest.split_first() {
        time += STEPS[usize::from(head >> 6)] * if head & 32 == 0 { 1 } else { -1 };
        let (frame, next) = behind.split_at(behind.len().min(14 + usize::from(head & 31) * 4));
        writer.record(Timestamp(time), frame.len() as u32, frame).expect("memory takes bytes");
        (rest, frames) = (next, frames + 1);
    }
    (writer.finish().expect("memory takes bytes"), frames)
}

/// Any bytes as Ethernet frames, from end to end.
pub(crate) fn packets(bytes: &[u8]) {
    let (capture, frames) = framed(bytes);
    assert_eq!(compact_whole(&capture), frames);
}

/// What is written of flows, and whether each packet is in one of them or counted.
pub(crate) struct Flows<'o> {
    writer: FlowWriter<&'o mut Vec<u8>>,
    pub(crate) kept: Amount,
}

impl<'o> Flows<'o> {
    pub(crate) fn new(writer: FlowWriter<&'o mut Vec<u8>>) -> Flows<'o> {
        Flows { writer, kept: Amount::default() }
    }
}

impl FlowSink for Flows<'_> {
    fn on_flow(&mut self, flow: &FlowRecord) -> pcap_compactor::Result<()> {
        assert!(flow.first_ts <= flow.last_ts && flow.duration_ns() >= 0, "{flow:?}");
        assert_eq!(flow.amount.packets, flow.sides.iter().map(|side| side.packets).sum::<u64>(), "{flow:?}");
        assert!(flow.amount.packets > 0, "{flow:?}");
        self.kept += flow.amount;
        self.writer.on_flow(flow)
    }

    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> pcap_compactor::Result<()> {
        let (intake, outcome) = (&metrics.total.intake, &metrics.outcome);
        intake.check("the input")?;
        balance("the output", intake.accepted, &[self.kept, outcome.filtered, outcome.out_of_window])?;
        assert_eq!((outcome.kept, metrics.counts.ended.iter().sum::<u64>()), (self.kept, metrics.counts.flows));
        self.writer.on_metrics(metrics)
    }
}

fn flow_lines(reader: Box<dyn Read + Send>, settings: &Settings, threads: usize) -> (u64, Vec<u8>) {
    let mut out = Vec::new();
    let lines = FlowWriter::new(&mut out, "memory", Form::Lines, settings.columns.clone(), Times::Seconds);
    let job = FlowJob::new(settings.clone()).engine(Engine::builder().threads(threads).dedup(2));
    let mut sink = Flows::new(lines);
    let report = job.run(vec![Input::stream("any", reader)], &mut sink).expect("any input ends well");
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    (report.total.intake.read.packets, out)
}

/// Flows of a capture with all that can be said of them, and in dialects: neither threads nor the way it comes show.
fn flows_whole(bytes: &[u8]) -> u64 {
    let columns = if cfg!(feature = "payload") { "@all,@app" } else { "@all" };
    // Short timeouts and low bounds, so that few packets go all ways.
    let all = Settings {
        lifetime: Lifetime {
            tcp_idle: Some(60_000_000_000),
            udp_idle: Some(2_000_000_000),
            active: Some(100_000_000_000),
            ..Lifetime::default()
        },
        sequences: 3,
        columns: Columns::parse(columns).expect("there are such columns"),
        #[cfg(feature = "payload")]
        payload: pcap_compactor::payload::Limits { stream: 2_000, items: 3, text: 300, details: true },
        ..Settings::default()
    };
    let dialects = Dialect::NAMES.map(|name| {
        let dialect: Dialect = name.parse().expect("it is the name of one");
        dialect.settings(Settings::default())
    });
    let packets: Vec<u64> = std::iter::once(all)
        .chain(dialects)
        .map(|settings| {
            let [at_once, in_drips] = readers(bytes);
            let (packets, out) = flow_lines(at_once, &settings, 1);
            assert_eq!((packets, out), flow_lines(in_drips, &settings, 3));
            packets
        })
        .collect();
    assert!(packets.iter().all(|&others| others == packets[0]), "{packets:?}");
    packets[0]
}

/// Any bytes as a capture, and as Ethernet frames, whose flows and buckets are written.
pub(crate) fn flows(bytes: &[u8]) {
    flows_whole(bytes);
    buckets(bytes);
    let (capture, frames) = framed(bytes);
    assert_eq!(flows_whole(&capture), frames);
    buckets(&capture);
}

/// Any bytes as a capture whose buckets are written: the same at once and in drips, on one thread and on three.
fn buckets(bytes: &[u8]) {
    let settings = BucketSettings {
        widths: vec![1_000_000, 60_000_000_000],
        local: vec!["10.0.0.0/8".parse().expect("it is a network")],
        gap_limit: 10,
        ..BucketSettings::default()
    };
    let rows = |reader, threads| {
        let how = (Rows::Csv, Times::Nanoseconds);
        let mut writer = BucketWriter::new(Vec::new(), "memory", how, None, false, true);
        let job = BucketJob::new(settings.clone()).expect("the widths are in order");
        let input = vec![Input::stream("any", reader)];
        job.engine(Engine::builder().threads(threads)).run(input, &mut writer).expect("memory takes bytes");
        writer.finish().expect("memory takes bytes").0
    };
    let [at_once, in_drips] = readers(bytes);
    assert!(rows(at_once, 1) == rows(in_drips, 3));
}

/// What a timeline tells.
#[derive(Debug, Default, PartialEq)]
struct Told {
    packets: Vec<timeline::Packet>,
    flows: Vec<Flow>,
}

impl TimelineSink for Told {
    fn packet(&mut self, packet: &timeline::Packet, _: &Hosts) -> pcap_compactor::Result<()> {
        self.packets.push(*packet);
        Ok(())
    }

    fn flow(&mut self, flow: &Flow, _: &Hosts) -> pcap_compactor::Result<()> {
        assert!(flow.packets.iter().is_sorted_by_key(|packet| packet.time), "{flow:?}");
        assert_eq!(flow.packets.len() as u64, flow.total_packets);
        let unexplained: u64 = flow.unexplained.iter().map(|(_, n)| n).sum();
        assert_eq!(flow.packets.steps().count() as u64 + unexplained, flow.total_packets, "{flow:?}");
        self.flows.push(flow.clone());
        Ok(())
    }

    fn finish(&mut self, _: &Hosts) -> pcap_compactor::Result<()> {
        let with_flags = self.packets.iter().filter(|packet| packet.protocol == Some(6) && packet.flags.is_some());
        let listed: usize = self.flows.iter().map(|flow| flow.packets.len()).sum();
        assert_eq!(with_flags.count(), listed, "each packet is in one flow");
        Ok(())
    }
}

/// The timeline of a capture: neither threads, nor the way it comes, nor what fits into memory shows.
fn timeline_whole(bytes: &[u8]) -> u64 {
    let tell = |reader, threads, budget| {
        let settings =
            timeline::correct::Settings { timeout: 60_000_000, budget, ..timeline::correct::Settings::default() };
        let job = TimelineJob::default().engine(Engine::builder().threads(threads));
        let mut told = Told::default();
        let inputs = vec![Input::stream("any", reader)];
        let (report, outcome) = job.run(inputs, &mut Correct::new(settings), &mut told).expect("any input ends well");
        assert!(report.failed.is_empty(), "{:?}", report.failed);
        assert_eq!(told.packets.len() as u64, outcome.kept.packets);
        (report.total.intake.read.packets, told)
    };
    let [at_once, in_drips] = readers(bytes);
    let told = tell(at_once, 1, 1 << 20);
    assert_eq!(told, tell(in_drips, 3, 50));
    told.0
}

/// Any bytes as a capture, and as Ethernet frames, whose timeline is told.
pub(crate) fn timeline(bytes: &[u8]) {
    timeline_whole(bytes);
    let (capture, frames) = framed(bytes);
    assert_eq!(timeline_whole(&capture), frames);
}

/// What an enricher makes of segments: the same in any order.
fn enrich(enricher: &dyn Enricher, bytes: &[u8]) -> Option<Section> {
    let note = |payload: &[u8], time: i64| {
        let packet = Packet { time: Timestamp(time), ..Packet::default() };
        let mut notes = Notes::default();
        if !payload.is_empty() {
            enricher.read(&Segment { payload, packet: &packet, flow: FiveTuple::of(&packet).0 }, &mut notes);
        }
        notes
    };
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    let merged = |order: [(&[u8], i64); 3]| {
        let mut notes = Notes::default();
        order.into_iter().for_each(|(payload, time)| notes.merge(note(payload, time)));
        enricher.finish(notes)
    };
    let section = merged([(bytes, 1), (head, 2), (tail, 3)]);
    assert_eq!(section, merged([(tail, 3), (bytes, 1), (head, 2)]));
    section
}

/// Any bytes as what a client sends to a web server.
pub(crate) fn http(bytes: &[u8]) {
    enrich(&Http::new(Lexicon::default(), 4, 42), bytes);
}

/// Any bytes as what a client sends to an FTP server.
pub(crate) fn ftp(bytes: &[u8]) {
    enrich(&Ftp, bytes);
}

/// Any bytes as what a client sends to a file server.
pub(crate) fn smb(bytes: &[u8]) {
    enrich(&Smb, bytes);
}

/// Any bytes as a configuration: what is taken keeps its bounds, prints, reads back as itself, and runs.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(config) = Config::from_toml(text) else { return };
    config.check().expect("what was read has been checked");
    assert_eq!(Config::from_toml(&config.to_toml()).expect("what is printed can be read"), config);
    Job::new(config).run(Vec::new(), &mut Discard).expect("it runs");
}
