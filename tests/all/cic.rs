//! The presets of CICFlowMeter against what the programs wrote of the same captures.
//!
//! Every value of every row is compared; rows are a multiset by 5-tuple and start. Integers and text are equal, reals within
//! 1e-9, relative. Rows that stand for no packets of theirs are left out by the table below, and must occur. What no
//! program can be asked, what a single switch does, is held against a capture made here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::sink::flows::{FlowWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::dialects::Dialect;
use pcap_compactor::views::flows::dialects::cic::{CIC, ENGELEN, JAVA, Preset, Switches, dialect};
use pcap_compactor::views::flows::{FlowJob, Settings};
use pcap_compactor::{Engine, Timestamp};

use crate::command::run;
use crate::csv::parse;
use crate::flows::{frame, segment, udp};
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, SYN, Sent};
use crate::run::{file, inputs};
use crate::traffic::START;

pub(crate) const CAPTURES: [&str; 6] =
    ["443-firefox", "WebattackRCE", "bittorrent", "iphone", "synthetic_edges", "synthetic_edges_snap96"];

/// Flow identifiers of rows whose addresses are bytes of something else, and how many of them there are in all
/// captures of a reference.
const GHOSTS: [(&str, &str, [usize; 3]); 2] =
    [("ARP", "8.6.0.1", [3, 3, 3]), ("a bridge's spanning tree", "136.142.2.3", [0, 2, 0])];

pub(crate) type Row = Vec<(String, String)>;

pub(crate) fn reference() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("PCAP_COMPACTOR_CORPUS").map_or(beside, PathBuf::from).join("reference/cic");
    if folder.join("pcap").is_dir() {
        return Some(folder);
    }
    let missing = format!("no references in {}: set PCAP_COMPACTOR_CORPUS", folder.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    writeln!(std::io::stderr(), "LEFT OUT: CICFlowMeter's own output; {missing}").expect("standard error takes text");
    None
}

/// What a dialect writes of a capture.
pub(crate) fn written(captures: &[PathBuf], dialect: &Dialect, threads: usize) -> String {
    let settings = dialect.settings(Settings::default());
    let mut writer = FlowWriter::new(Vec::new(), "memory", Form::Csv, settings.columns.clone(), Times::Seconds)
        .notation(dialect.notation());
    let engine = Engine::builder().threads(threads).filter(dialect.filter().clone());
    FlowJob::new(settings).engine(engine).run(inputs(captures), &mut writer).expect("it can be read");
    String::from_utf8(writer.into_inner()).expect("it is text")
}

/// The rows of a table by their header; headers of 2024 have blanks.
pub(crate) fn rows(text: &str) -> Vec<Row> {
    let mut table = parse(&text.replace('\r', "")).into_iter();
    let header: Vec<_> = table.next().expect("a header").iter().map(|name| name.trim().to_owned()).collect();
    table.map(|row| header.iter().cloned().zip(row).collect()).collect()
}

pub(crate) fn cell<'r>(row: &'r Row, name: &str) -> &'r str {
    row.iter().find(|(column, _)| column == name).map_or("", |(_, cell)| cell)
}

/// Rows by who talked and when they began, which so many columns tell. What is of one second is told apart by its values.
pub(crate) fn by_start(rows: Vec<Row>, columns: usize, values: Range<usize>) -> BTreeMap<Vec<String>, Vec<Row>> {
    let mut found: BTreeMap<Vec<String>, Vec<Row>> = BTreeMap::new();
    for row in rows {
        let key = row.iter().take(columns).map(|(_, cell)| cell.clone()).collect();
        found.entry(key).or_default().push(row);
    }
    for same in found.values_mut() {
        same.sort_by_key(|row| row[values.clone()].iter().map(|(_, cell)| cell.clone()).collect::<Vec<_>>());
    }
    found
}

fn same(ours: &str, theirs: &str) -> bool {
    ours == theirs
        || match (ours.parse::<f64>(), theirs.parse::<f64>()) {
            // Integers are equal as text, and reals look alike.
            (Ok(a), Ok(b)) => {
                let shape = |text: &str| (text.contains('.'), text.contains('E'));
                shape(ours) == shape(theirs) && ours.contains('.') && (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
            }
            _ => false,
        }
}

fn compare(preset: Preset, folder: &str, place: usize, least: usize) {
    let Some(reference) = reference() else { return };
    let dialect = dialect(preset, preset.switches());
    let (mut wrong, mut compared, mut ghosts) = (Vec::new(), 0, [0; GHOSTS.len()]);
    for capture in CAPTURES {
        let text = std::fs::read_to_string(reference.join(folder).join(format!("{capture}.pcap_Flow.csv")));
        let mut theirs = rows(&text.expect("the reference is there"));
        theirs.retain(|row| {
            let ghost = GHOSTS.iter().position(|(_, address, _)| cell(row, "Src IP") == *address);
            ghost.map(|ghost| ghosts[ghost] += 1).is_none()
        });
        let ours = rows(&written(&[reference.join(format!("pcap/{capture}.pcap"))], &dialect, 1));
        let [mut theirs, mut ours] = [theirs, ours].map(|rows| by_start(rows, 7, 7..12));
        for (key, theirs) in std::mem::take(&mut theirs) {
            let ours = ours.remove(&key).unwrap_or_default();
            if ours.len() != theirs.len() {
                wrong.push(format!("{capture}: {} rows of {}, not {}", ours.len(), key.join(" "), theirs.len()));
            }
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours.len(), theirs.len());
                for ((name, ours), (column, theirs)) in ours.iter().zip(theirs) {
                    assert_eq!(name, column);
                    compared += 1;
                    if !same(ours, theirs) {
                        wrong.push(format!("{capture}: {} {name}: {ours}, not {theirs}", key.join(" ")));
                    }
                }
            }
        }
        wrong.extend(ours.into_keys().map(|key| format!("{capture}: {} is not there", key.join(" "))));
    }
    assert!(wrong.is_empty(), "{} of {compared} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= least, "only {compared} values were compared");
    for ((what, address, times), found) in GHOSTS.iter().zip(ghosts) {
        assert_eq!(found, times[place], "rows of {what}, {address}");
    }
}

#[test]
fn every_value_of_the_program_of_2022_is_the_same() {
    compare(Preset::Java, "java_master_98a5eba", 0, 7_500);
}

#[test]
fn every_value_of_the_fork_is_the_same() {
    compare(Preset::Engelen, "java_engelen_4dd5319", 1, 80_000);
}

#[test]
fn every_value_of_the_program_of_2018_is_the_same() {
    compare(Preset::Of2018, "java_2018_99dc827", 2, 7_500);
}

/// The names of 2017 stand over the values of 2022, one of them twice.
#[test]
fn the_names_of_2017_are_over_the_values_of_2022() {
    let capture = Captured::new(&everything());
    let [then, now] = [Preset::Of2017, Preset::Java].map(|preset| rows(&capture.written(preset, preset.switches())));
    let header: Vec<_> = then[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        header[..7],
        ["Flow ID", "Source IP", "Source Port", "Destination IP", "Destination Port", "Protocol", "Timestamp"]
    );
    assert_eq!((header.len(), header[61], header[72]), (85, "Fwd Header Length.1", "Init_Win_bytes_forward"));
    for (then, now) in then.iter().zip(&now) {
        let twice = cell(now, "Fwd Header Length");
        let mut values: Vec<_> = now.iter().map(|(_, cell)| cell.as_str()).collect();
        values.insert(61, twice);
        assert_eq!(then.iter().map(|(_, cell)| cell.as_str()).collect::<Vec<_>>(), values);
    }
}

const PSH: u8 = 8;
const URG: u8 = 32;
const RST: u8 = 4;

/// A time in milliseconds.
pub(crate) fn ms(n: i64) -> i64 {
    START + n * SECOND / 1000
}

/// A connection of which all that is counted occurs: flags, a bulk each way, pauses of 1 s and of 5 s, and both FINs.
pub(crate) fn busy() -> Vec<Sent> {
    let sent = |at, up, flags, payload, window| Sent { window, ..segment(ms(at), up, flags, 0, 0, payload) };
    let mut packets = vec![sent(0, true, SYN, 0, 1000), sent(10, false, SYN | ACK, 0, 0), sent(20, true, ACK, 0, 400)];
    packets.extend((30..34).map(|at| sent(at, true, PSH | ACK, 100, 300)));
    packets.push(sent(40, false, PSH | URG | ACK, 50, 200));
    packets.push(sent(41, true, ACK, 10, 300));
    packets.extend((42..47).map(|at| sent(at, false, ACK, 1000, 200)));
    packets.push(sent(2_000, true, ACK, 7, 300));
    packets.push(sent(9_000, false, ACK, 3, 199));
    packets.push(sent(17_000, true, FIN | ACK, 0, 300));
    packets.push(sent(17_100, false, FIN | ACK, 0, 198));
    packets.push(sent(17_200, true, ACK, 0, 299));
    packets
}

/// Traffic in which every switch makes a difference.
pub(crate) fn everything() -> Vec<Sent> {
    let host = |n: u8| Ipv4Addr::new(10, 0, 1, n).into();
    let back = |sent: Sent| Sent { src: sent.dst, dst: sent.src, ..sent };
    let tcp = |n, at, up, flags, window| {
        let sent = Sent { window, src: (host(n), 40_000), ..segment(ms(at), true, flags, 0, 0, 0) };
        if up { sent } else { back(sent) }
    };
    let of = |protocol, at, payload| Sent { protocol, payload, ..udp(ms(at), 1000 + u32::from(protocol)) };
    let mut packets = busy();
    // The same ports again.
    packets.extend([segment(ms(20_000), true, SYN, 77, 0, 0), segment(ms(20_010), false, SYN | ACK, 88, 78, 0)]);
    // One packet, and one without payload; a dialogue that goes on, and one that falls silent.
    packets.extend([udp(ms(0), 1), Sent { payload: 0, ..udp(ms(0), 2) }]);
    packets.extend([0, 50_000, 110_000].map(|at| udp(ms(at), 3)));
    packets.extend([back(udp(ms(125_000), 3)), udp(ms(126_000), 3)]);
    packets.extend([udp(ms(0), 4), back(udp(ms(130_000), 4))]);
    // The same of TCP.
    packets.extend([tcp(1, 0, true, ACK, 700), tcp(1, 60_000, true, ACK, 701)]);
    packets.extend([tcp(1, 121_000, false, ACK, 800), tcp(1, 122_000, true, ACK, 900)]);
    packets.extend([tcp(2, 0, true, ACK, 1), tcp(2, 130_000, false, ACK, 1)]);
    // The answer first; a SYN on ports that were not closed; a reset.
    packets.extend([tcp(3, 0, false, SYN | ACK, 1), tcp(3, 10, true, ACK, 1)]);
    packets.extend([tcp(4, 0, true, SYN, 1), Sent { seq: 9, ..tcp(4, 2_000, true, SYN, 1) }]);
    packets.extend([tcp(5, 0, true, SYN, 1), tcp(5, 1, false, RST, 1), tcp(5, 2, true, ACK, 1)]);
    // Exactly 120 s apart; a reset behind a pause.
    packets.extend([udp(ms(0), 11), udp(ms(120_000), 11)]);
    packets.extend([tcp(10, 0, true, SYN, 1), tcp(10, 7_000, false, RST, 1)]);
    // What is urgent, and a window that opens.
    packets.extend([tcp(6, 5, true, URG | ACK, 1), tcp(8, 0, true, ACK, 0), tcp(8, 10, true, ACK, 1)]);
    // ICMP that goes on, an ICMP error, SCTP, ESP, IPv6.
    packets.extend([Sent { flags: 8, ..of(1, 0, 8) }, Sent { flags: 8, ..of(1, 100_000, 8) }]);
    packets.push(back(Sent { flags: 0, ..of(1, 121_000, 8) }));
    packets.push(Sent { flags: 3, dst: (host(9), 0), ..of(1, 0, 36) });
    packets.extend([of(132, 0, 20), of(50, 0, 20)]);
    let v6 = |n: u16, port| (std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into(), port);
    packets.push(Sent { src: v6(1, 1000), dst: v6(2, 2000), ..udp(ms(0), 0) });
    // A host with itself, both ways.
    let alone = Sent { src: (host(7), 1000), dst: (host(7), 2000), ..udp(ms(0), 0) };
    packets.extend([alone.clone(), back(Sent { time: ms(1), ..alone })]);
    // A little out of order, and much; order in the capture is that here.
    let mut late = vec![];
    late.extend([5_000, 5_010, 5_004, 5_100].map(|at| udp(ms(at), 5)));
    late.extend([6_000, 6_100, 6_200, 5_900].map(|at| udp(ms(at), 6)));
    // Something without payload comes between two packets of the other end, of which the earlier comes last.
    let silent = |at| Sent { payload: 0, ..udp(ms(at), 8) };
    late.extend([udp(ms(6_000), 8), back(udp(ms(6_050), 8)), silent(6_070), silent(6_090), back(udp(ms(5_900), 8))]);
    late.extend([6_100, 6_120, 6_140].map(|at| udp(ms(at), 8)));
    // Cut off by the snap length.
    packets.push(Sent { payload: 300, ..udp(ms(0), 7) });
    packets.sort_by_key(|packet| packet.time);
    let at = packets.partition_point(|packet| packet.time < ms(5_000));
    packets.splice(at..at, late);
    packets
}

/// Bytes that are captured of a frame; only one above has more.
const SNAP: usize = 160;

/// A capture that is there while this is.
pub(crate) struct Captured {
    _folder: tempfile::TempDir,
    pub(crate) paths: Vec<PathBuf>,
}

impl Captured {
    pub(crate) fn new(packets: &[Sent]) -> Captured {
        Captured::in_files(&[packets])
    }

    pub(crate) fn in_files(files: &[&[Sent]]) -> Captured {
        let folder = tempfile::tempdir().unwrap();
        let write = |(n, packets): (usize, &&[Sent])| {
            let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
            for packet in *packets {
                let bytes = frame(packet);
                let cut = if packet.payload == 300 { SNAP } else { bytes.len() };
                writer.record(Timestamp(packet.time), bytes.len() as u32, &bytes[..cut]).unwrap();
            }
            file(folder.path(), &format!("{n}.pcap"), &writer.finish().unwrap())
        };
        let paths = files.iter().enumerate().map(write).collect();
        Captured { _folder: folder, paths }
    }

    fn written(&self, preset: Preset, switches: Switches) -> String {
        written(&self.paths, &dialect(preset, switches), 1)
    }
}

/// Rows by who talked, those between the same ends as they follow one another.
fn sorted(rows: &[Row]) -> Vec<Row> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| row[1..5].to_vec());
    rows
}

/// The columns that a switch changes; `rows` where there are others.
fn changed(before: &[Row], after: &[Row]) -> BTreeSet<String> {
    let [before, after] = [before, after].map(sorted);
    let ends = |rows: &[Row]| rows.iter().map(|row| row[1..5].to_vec()).collect::<Vec<_>>();
    if ends(&before) != ends(&after) {
        return BTreeSet::from(["rows".to_owned()]);
    }
    let cells = before.iter().flatten().zip(after.iter().flatten());
    cells.filter(|(before, after)| before != after).map(|((name, _), _)| name.clone()).collect()
}

/// Every value that `cic` has not: what it changes.
#[rustfmt::skip]
pub(crate) const SWITCHES: &[(&str, &str, &[&str])] = &[
    ("packets", "ipv4", &["rows"]),
    ("packets", "ipv4-without-icmp-errors", &["rows"]),
    ("packets", "ipv4-five", &["rows"]),
    ("packets", "ipv4-tcp-udp", &["rows"]),
    ("sweeps", "yes", &["rows"]),
    ("tcp_end", "closed", &["rows"]),
    ("tcp_end", "first-bwd-fin", &["rows"]),
    ("tcp_end", "first-fin", &["rows"]),
    ("tcp_end", "any-fin", &[
        "ACK Flag Count", "Average Packet Size", "Bwd Header Length", "Bwd IAT Mean", "Bwd IAT Std", "Bwd IAT Total",
        "Bwd Packet Length Mean", "Bwd Packet Length Std", "Bwd Packets/s", "Bwd Segment Size Avg", "Down/Up Ratio",
        "FIN Flag Count", "Flow Bytes/s", "Flow Duration", "Flow IAT Mean", "Flow IAT Std", "Flow Packets/s",
        "Fwd Header Length", "Fwd IAT Max", "Fwd IAT Mean", "Fwd IAT Min", "Fwd IAT Std", "Fwd IAT Total",
        "Fwd Packet Length Mean", "Fwd Packet Length Std", "Fwd Packets/s", "Fwd Segment Size Avg",
        "Packet Length Mean", "Packet Length Std", "Packet Length Variance", "Subflow Bwd Packets",
        "Subflow Fwd Packets", "Total Bwd packets", "Total Fwd Packet",
    ]),
    ("tcp_end", "none", &["rows"]),
    ("idle_timeout", "udp-120s", &["rows"]),
    ("idle_timeout", "off", &["rows"]),
    ("timeout_inclusive", "yes", &["rows"]),
    ("goes_on", "always", &["rows"]),
    ("goes_on", "never", &["rows"]),
    ("synack_swaps", "no", &["rows"]),
    ("leave_out_single", "yes", &["rows"]),
    ("order", "capture", &[
        "Flow IAT Max", "Flow IAT Mean", "Flow IAT Min", "Flow IAT Std", "Fwd Bulk Rate Avg", "Fwd IAT Max",
        "Fwd IAT Mean", "Fwd IAT Min", "Fwd IAT Std", "Fwd IAT Total",
    ]),
    ("direction_compare", "ip", &[
        "Bwd Header Length", "Bwd Packet Length Max", "Bwd Packet Length Mean", "Bwd Packet Length Min",
        "Bwd Packet Length Std", "Bwd Packets/s", "Bwd Segment Size Avg", "Down/Up Ratio", "Fwd Act Data Pkts",
        "Fwd Header Length", "Fwd IAT Max", "Fwd IAT Mean", "Fwd IAT Min", "Fwd IAT Std", "Fwd IAT Total",
        "Fwd Packets/s", "Subflow Bwd Bytes", "Subflow Bwd Packets", "Subflow Fwd Bytes", "Subflow Fwd Packets",
        "Total Bwd packets", "Total Fwd Packet", "Total Length of Bwd Packet", "Total Length of Fwd Packet",
    ]),
    ("first_packet", "forward", &[
        "Bwd Header Length", "Bwd Init Win Bytes", "Bwd Packet Length Max", "Bwd Packet Length Mean",
        "Bwd Packet Length Min", "Bwd Packet Length Std", "Bwd Packets/s", "Bwd Segment Size Avg", "Down/Up Ratio",
        "FWD Init Win Bytes", "Fwd Act Data Pkts", "Fwd Header Length", "Fwd IAT Max", "Fwd IAT Mean", "Fwd IAT Min",
        "Fwd IAT Std", "Fwd IAT Total", "Fwd Packets/s", "Subflow Bwd Bytes", "Subflow Bwd Packets",
        "Subflow Fwd Bytes", "Subflow Fwd Packets", "Total Bwd packets", "Total Fwd Packet",
        "Total Length of Bwd Packet", "Total Length of Fwd Packet",
    ]),
    ("first_packet", "backward", &[
        "Bwd Header Length", "Bwd IAT Max", "Bwd IAT Mean", "Bwd IAT Min", "Bwd IAT Std", "Bwd IAT Total",
        "Bwd Init Win Bytes", "Bwd Packet Length Max", "Bwd Packet Length Mean", "Bwd Packet Length Min",
        "Bwd Packet Length Std", "Bwd Packets/s", "Bwd Segment Size Avg", "Bwd URG Flags", "Down/Up Ratio",
        "FWD Init Win Bytes", "Fwd Act Data Pkts", "Fwd Bulk Rate Avg", "Fwd Bytes/Bulk Avg", "Fwd Header Length",
        "Fwd IAT Max", "Fwd IAT Mean", "Fwd IAT Min", "Fwd IAT Std", "Fwd IAT Total", "Fwd Packet Length Max",
        "Fwd Packet Length Mean", "Fwd Packet Length Min", "Fwd Packet Length Std", "Fwd Packet/Bulk Avg",
        "Fwd Packets/s", "Fwd Seg Size Min", "Fwd Segment Size Avg", "Fwd URG Flags", "Subflow Bwd Bytes",
        "Subflow Bwd Packets", "Subflow Fwd Bytes", "Subflow Fwd Packets", "Total Bwd packets", "Total Fwd Packet",
        "Total Length of Bwd Packet", "Total Length of Fwd Packet",
    ]),
    ("first_packet_twice", "yes", &[
        "ACK Flag Count", "Average Packet Size", "Bwd Header Length", "Bwd IAT Max", "Bwd IAT Mean", "Bwd IAT Min",
        "Bwd IAT Std", "Bwd IAT Total", "Bwd Packets/s", "Down/Up Ratio", "Flow Bytes/s", "Flow IAT Mean",
        "Flow IAT Min", "Flow IAT Std", "Flow Packets/s", "Fwd Act Data Pkts", "Fwd Header Length", "Fwd IAT Max",
        "Fwd IAT Mean", "Fwd IAT Min", "Fwd IAT Std", "Fwd IAT Total", "Fwd Packet Length Mean",
        "Fwd Packet Length Std", "Fwd Packets/s", "Fwd Segment Size Avg", "Fwd URG Flags", "Packet Length Mean",
        "Packet Length Std", "Packet Length Variance", "SYN Flag Count", "Subflow Bwd Bytes", "Subflow Bwd Packets",
        "Subflow Fwd Bytes", "Subflow Fwd Packets", "Total Bwd packets", "Total Fwd Packet",
        "Total Length of Bwd Packet", "Total Length of Fwd Packet", "URG Flag Count",
    ]),
    ("first_payload_twice", "yes", &[
        "Average Packet Size", "Packet Length Mean", "Packet Length Std", "Packet Length Variance",
    ]),
    ("flags", "first", &[
        "ACK Flag Count", "FIN Flag Count", "PSH Flag Count", "RST Flag Count", "SYN Flag Count", "URG Flag Count",
    ]),
    ("psh_urg", "first", &["Bwd PSH Flags", "Bwd URG Flags", "Fwd PSH Flags"]),
    ("cwr_is_urg", "yes", &["CWR Flag Count"]),
    ("gaps_from_latest", "yes", &["Flow IAT Max", "Flow IAT Mean", "Flow IAT Std"]),
    ("single_gap_is_zero", "yes", &[
        "Active Max", "Active Mean", "Active Min", "Active Std", "Bwd IAT Max", "Bwd IAT Mean", "Bwd IAT Min",
        "Bwd IAT Std", "Bwd IAT Total", "Flow IAT Max", "Flow IAT Mean", "Flow IAT Min", "Fwd IAT Max", "Fwd IAT Mean",
        "Fwd IAT Min", "Fwd IAT Std", "Fwd IAT Total", "Idle Max", "Idle Mean", "Idle Min", "Idle Std",
    ]),
    ("bulk", "per-direction-of-data", &["Fwd Bulk Rate Avg", "Fwd Bytes/Bulk Avg", "Fwd Packet/Bulk Avg"]),
    ("bulk", "merged-backward", &[
        "Bwd Bulk Rate Avg", "Bwd Bytes/Bulk Avg", "Bwd Packet/Bulk Avg", "Fwd Bulk Rate Avg", "Fwd Bytes/Bulk Avg",
        "Fwd Packet/Bulk Avg",
    ]),
    ("bulk", "off", &[
        "Bwd Bulk Rate Avg", "Bwd Bytes/Bulk Avg", "Bwd Packet/Bulk Avg", "Fwd Bulk Rate Avg", "Fwd Bytes/Bulk Avg",
        "Fwd Packet/Bulk Avg",
    ]),
    ("bulk_pause", "1ms", &["Fwd Bulk Rate Avg", "Fwd Bytes/Bulk Avg", "Fwd Packet/Bulk Avg"]),
    ("division", "integer", &[
        "Bwd Bulk Rate Avg", "Bwd Bytes/Bulk Avg", "Bwd Packet/Bulk Avg", "Down/Up Ratio", "Fwd Bulk Rate Avg",
        "Fwd Bytes/Bulk Avg", "Fwd Packet/Bulk Avg", "Subflow Bwd Bytes", "Subflow Bwd Packets", "Subflow Fwd Bytes",
        "Subflow Fwd Packets",
    ]),
    ("subflow", "gaps", &[
        "Subflow Bwd Bytes", "Subflow Bwd Packets", "Subflow Fwd Bytes", "Subflow Fwd Packets",
    ]),
    ("subflow", "whole", &[
        "Subflow Bwd Bytes", "Subflow Bwd Packets", "Subflow Fwd Bytes", "Subflow Fwd Packets",
    ]),
    ("init_win_fwd", "of-first-packet", &["FWD Init Win Bytes"]),
    ("init_win_fwd", "first-nonzero", &["FWD Init Win Bytes"]),
    ("init_win_bwd", "first-nonzero", &["Bwd Init Win Bytes"]),
    ("init_win_bwd", "last", &["Bwd Init Win Bytes"]),
    ("no_window", "minus-one", &["Bwd Init Win Bytes", "FWD Init Win Bytes"]),
    ("act_data_skip_first", "yes", &["Fwd Act Data Pkts"]),
    ("seg_size_min", "from-zero", &["Fwd Seg Size Min"]),
    ("activity", "gaps", &[
        "Active Max", "Active Mean", "Active Min", "Active Std", "Idle Max", "Idle Mean", "Idle Min", "Idle Std",
    ]),
    ("activity", "off", &[
        "Active Max", "Active Mean", "Active Min", "Active Std", "Idle Max", "Idle Mean", "Idle Min", "Idle Std",
    ]),
    ("last_active_period", "yes", &["Active Max", "Active Mean", "Active Min", "Active Std"]),
    ("fin_keeps_idle", "yes", &["Idle Max", "Idle Mean", "Idle Std"]),
    ("fin_keeps_idle", "fin-or-rst", &["Idle Max", "Idle Mean", "Idle Min", "Idle Std"]),
    ("length", "frame", &[
        "Average Packet Size", "Bwd Packet Length Max", "Bwd Packet Length Mean", "Bwd Packet Length Min",
        "Bwd Segment Size Avg", "Flow Bytes/s", "Fwd Packet Length Max", "Fwd Packet Length Mean",
        "Fwd Packet Length Min", "Fwd Segment Size Avg", "Packet Length Max", "Packet Length Mean", "Packet Length Min",
        "Subflow Bwd Bytes", "Subflow Fwd Bytes", "Total Length of Bwd Packet", "Total Length of Fwd Packet",
    ]),
    ("length_source", "captured", &[
        "Average Packet Size", "Fwd Packet Length Max", "Fwd Packet Length Mean", "Fwd Packet Length Min",
        "Fwd Segment Size Avg", "Packet Length Max", "Packet Length Mean", "Packet Length Min", "Subflow Fwd Bytes",
        "Total Length of Fwd Packet",
    ]),
    ("length_source", "captured-padded", &[
        "Average Packet Size", "Fwd Packet Length Max", "Fwd Packet Length Mean", "Fwd Packet Length Min",
        "Fwd Segment Size Avg", "Packet Length Max", "Packet Length Mean", "Packet Length Min", "Subflow Fwd Bytes",
        "Total Length of Fwd Packet",
    ]),
    ("header", "ip", &["Bwd Header Length", "Fwd Header Length", "Fwd Seg Size Min"]),
    ("header", "ip-of-tcp", &["Fwd Header Length", "Fwd Seg Size Min"]),
    ("std", "population", &[
        "Bwd IAT Std", "Bwd Packet Length Std", "Flow IAT Std", "Fwd IAT Std", "Fwd Packet Length Std", "Idle Std",
        "Packet Length Std", "Packet Length Variance",
    ]),
    ("zero_duration", "inf", &["Flow Bytes/s", "Flow Packets/s"]),
    ("zero_duration", "zero", &["Flow Bytes/s", "Flow Packets/s"]),
    ("zero_duration", "empty", &["Flow Bytes/s", "Flow Packets/s"]),
    ("duration", "last-less-first", &[
        "Bwd Packets/s", "Flow Bytes/s", "Flow Duration", "Flow Packets/s", "Fwd Packets/s",
    ]),
    ("duration", "latest-less-first", &[
        "Bwd Packets/s", "Flow Bytes/s", "Flow Duration", "Flow Packets/s", "Fwd Packets/s",
    ]),
    ("time", "s", &[
        "Active Max", "Active Mean", "Active Min", "Bwd IAT Max", "Bwd IAT Mean", "Bwd IAT Min", "Bwd IAT Std",
        "Bwd IAT Total", "Flow Duration", "Flow IAT Max", "Flow IAT Mean", "Flow IAT Min", "Flow IAT Std",
        "Fwd IAT Max", "Fwd IAT Mean", "Fwd IAT Min", "Fwd IAT Std", "Fwd IAT Total", "Idle Max", "Idle Mean",
        "Idle Min", "Idle Std",
    ]),
    ("timestamp", "12h-utc", &["Timestamp"]),
    ("timestamp", "epoch-us", &["Timestamp"]),
    ("timestamp", "seconds-utc", &["Timestamp"]),
    ("protocols", "five", &["Flow ID", "Protocol"]),
    ("protocols", "five-with-lengths", &[
        "Average Packet Size", "Flow ID", "Fwd Act Data Pkts", "Fwd Header Length", "Fwd Packet Length Max",
        "Fwd Packet Length Mean", "Fwd Packet Length Min", "Fwd Seg Size Min", "Fwd Segment Size Avg",
        "Packet Length Max", "Packet Length Mean", "Packet Length Min", "Protocol", "Subflow Fwd Bytes",
        "Total Length of Fwd Packet",
    ]),
    ("protocols", "tcp-udp", &[
        "Average Packet Size", "Flow ID", "Fwd Act Data Pkts", "Fwd Header Length", "Fwd Packet Length Max",
        "Fwd Packet Length Mean", "Fwd Packet Length Min", "Fwd Seg Size Min", "Fwd Segment Size Avg",
        "Packet Length Max", "Packet Length Mean", "Packet Length Min", "Protocol", "Subflow Fwd Bytes",
        "Total Length of Fwd Packet",
    ]),
];

#[test]
fn every_switch_changes_what_it_says_and_nothing_else() {
    let capture = Captured::new(&everything());
    let before = rows(&capture.written(Preset::Corrected, CIC));
    let mut tried = BTreeSet::new();
    let mut wrong = Vec::new();
    for switch in CIC.list() {
        for value in switch.values.iter().map(|value| value.name).filter(|value| *value != switch.value) {
            let mut switches = CIC;
            switches.set(switch.name, value).unwrap();
            let changes = changed(&before, &rows(&capture.written(Preset::Corrected, switches)));
            let entry = SWITCHES.iter().find(|(name, of, _)| (*name, *of) == (switch.name, value));
            let expected: BTreeSet<String> =
                entry.map_or(&[][..], |(.., columns)| columns).iter().map(|c| (*c).to_owned()).collect();
            tried.insert((switch.name, value));
            assert!(!changes.is_empty(), "{}={value} changes nothing", switch.name);
            if changes != expected {
                wrong.push(format!("(\"{}\", \"{value}\", &{changes:?}),", switch.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(tried.len(), SWITCHES.len());
}

/// A preset is nothing but its switches: with those of another, `cic` says the same in all columns that both have.
#[test]
fn what_presets_differ_in_are_switches() {
    let capture = Captured::new(&everything());
    for (preset, switches) in [(Preset::Engelen, ENGELEN), (Preset::Java, JAVA)] {
        let [ours, theirs] = [Preset::Corrected, preset].map(|preset| rows(&capture.written(preset, switches)));
        assert!(ours.len() > 10 && ours.len() == theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!(ours.iter().all(|(name, value)| cell(theirs, name) == value), "{ours:?}, {theirs:?}");
        }
        assert_ne!(ours, rows(&capture.written(Preset::Corrected, CIC)));
    }
}

#[test]
fn bulks_subflows_and_periods_are_those_of_the_packets() {
    const NAMES: [&str; 16] = [
        "Total Fwd Packet",
        "Total Bwd packets",
        "Fwd Bytes/Bulk Avg",
        "Fwd Packet/Bulk Avg",
        "Fwd Bulk Rate Avg",
        "Bwd Bytes/Bulk Avg",
        "Bwd Packet/Bulk Avg",
        "Bwd Bulk Rate Avg",
        "Subflow Fwd Packets",
        "Subflow Fwd Bytes",
        "Subflow Bwd Packets",
        "Subflow Bwd Bytes",
        "Active Mean",
        "Active Std",
        "Idle Mean",
        "Idle Std",
    ];
    let capture = Captured::new(&busy());
    let values = |preset: Preset| {
        let rows = rows(&capture.written(preset, preset.switches()));
        assert_eq!(rows.len(), 1);
        NAMES.map(|name| cell(&rows[0], name).to_owned())
    };
    // 400 bytes in 3 ms forward, then 5,000 in 4 ms backward; three pauses, of which 7 s and 8 s are idle.
    let corrected = [
        "10",
        "9",
        "400.0",
        "4.0",
        "133333.33333333334",
        "5000.0",
        "5.0",
        "1250000.0",
        "2.5",
        "104.25",
        "2.25",
        "1263.25",
        "2000000.0",
        "0.0",
        "7500000.0",
        "707106.7811865475",
    ];
    assert_eq!(values(Preset::Corrected), corrected);
    // The last ACK is of another flow, which is left out; both directions are one bulk of eleven packets in 16 ms.
    let of_2022 = [
        "9",
        "9",
        "0",
        "0",
        "0",
        "5460",
        "11",
        "341250",
        "3",
        "139",
        "3",
        "1684",
        "2000000.0",
        "0.0",
        "7500000.0",
        "707106.7811865475",
    ];
    assert_eq!(values(Preset::Java), of_2022);
}

#[test]
fn the_command_sets_switches_and_lists_them() {
    // A second FIN of the client is left out by the program of 2022.
    let mut packets = busy();
    packets.insert(packets.len() - 2, segment(ms(17_050), true, FIN | ACK, 0, 0, 0));
    let capture = Captured::new(&packets);
    let path = capture.paths[0].to_str().unwrap();
    let flows = |words: &[&'static str]| run(["flows", path].into_iter().chain(words.iter().copied()));

    let usual = flows(&["--dialect", "cic"]);
    let set = flows(&["--dialect", "cic", "--set", "std=population", "--set", "timestamp=12h-utc"]);
    assert_eq!((usual.code, set.code), (Some(0), Some(0)), "{}{}", usual.said, set.said);
    let [usual, set] = [usual, set].map(|ran| rows(&ran.out));
    assert_eq!(
        [cell(&usual[0], "Timestamp"), cell(&set[0], "Timestamp")],
        ["2023-10-19 12:00:00", "19/10/2023 12:00:00 PM"]
    );
    assert_eq!([cell(&usual[0], "Idle Mean"), cell(&set[0], "Idle Std")], ["7500000.0", "500000.0"]);

    let java = flows(&["--dialect", "cic-java", "--format", "jsonl"]);
    let filtered = &java.metrics()["ledger"]["filtered"]["packets"];
    assert_eq!((java.records().len(), filtered.as_u64()), (1, Some(2)), "{filtered}");

    let schema = run(["schema", "flows", "--dialect", "cic-engelen"]).out;
    let [columns, differences, switches] = schema.split("\n\n").collect::<Vec<_>>()[..] else { panic!("{schema}") };
    let header = flows(&["--dialect", "cic-engelen"]).out;
    let names: Vec<_> = columns.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    assert_eq!((header.lines().next().unwrap().split(',').collect::<Vec<_>>(), names.len()), (names.clone(), 94));
    assert!(
        differences.contains("counted as that\tseen by running ahlashkari/CICFlowMeter@98a5eba\n"),
        "{differences}"
    );
    assert!(switches.contains("\tahlashkari/CICFlowMeter#124; Liu, "), "{switches}");
    assert!(switches.contains("\nsubflow\tgaps\tgaps+1, gaps, whole\twhat subflows are. gaps+1: Stretches"));

    for (wrong, said) in [
        (&["--dialect", "cic", "--set", "stdd=population"][..], "`std`"),
        (&["--dialect", "cic", "--set", "stdd=population"], "`pcap-compactor schema flows --dialect cic`"),
        (&["--dialect", "cic", "--set", "="], "write NAME=VALUE"),
        (&["--dialect", "cic", "--set", "=sample"], "write NAME=VALUE"),
        (&["--dialect", "cic", "--set", "std="], "write NAME=VALUE"),
        (&["--dialect", "cic", "--set", "std=populaton"], "`population`"),
        (&["--dialect", "cic", "--set", "std"], "std=population"),
        (&["--dialect", "wa1kpcap", "--set", "float_time=yes"], "`float_times`"),
        (&["--dialect", "nexus", "--set", "std=sample"], "has no switches"),
        (&["--dialect", "cic-jave"], "`cic-java`"),
        (&["--set", "std=sample"], "--dialect"),
    ] {
        let ran = flows(wrong);
        assert!(ran.code == Some(2) && ran.said.contains(said), "{wrong:?}: {:?} {}", ran.code, ran.said);
    }
}
