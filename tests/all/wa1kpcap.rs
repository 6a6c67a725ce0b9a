//! The wa1kpcap dialect against what wa1kpcap 0.2.0 wrote of the same captures.
//!
//! Every value of every row is compared, joined by flow, but for what the tables below name: each exclusion says
//! why, and must be used. Sequences are compared packet by packet. What payload says is compared in builds that read it.
//! Integers and text are equal; reals within 1e-9, relative.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use pcap_compactor::Engine;
use pcap_compactor::filter::Filter;
use pcap_compactor::sink::flows::{FlowWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::dialects::Dialect;
use pcap_compactor::views::flows::dialects::wa1kpcap::{Switches, dialect};
use pcap_compactor::views::flows::{FlowJob, Settings};

use crate::command::run;
use crate::csv::parse;
use crate::run::{file, inputs};
use crate::traffic::{Body, Frame, START, pcap, v4};

type Row = BTreeMap<String, String>;

/// A value that is not compared, or not as it stands.
struct Exclusion {
    why: &'static str,
    applies: fn(&Place) -> bool,
}

/// Where a value stands.
struct Place<'p> {
    capture: &'p str,
    column: &'p str,
    /// What stands there, and here.
    cells: [&'p str; 2],
    row: &'p Row,
    /// All switches of the dialect are set to what the original does.
    original: bool,
}

impl Place<'_> {
    fn is_in(&self, captures: &[&str]) -> bool {
        captures.contains(&self.capture)
    }

    fn is_of(&self, block: &str) -> bool {
        let rest = self.column.strip_prefix("feature.").and_then(|column| column.strip_prefix(block));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    fn is_flow(&self, key: &str) -> bool {
        self.row["key"] == key
    }
}

const EXCLUDED: &[Exclusion] = &[
    #[cfg(not(feature = "payload"))]
    Exclusion {
        why: "this build reads no payload",
        applies: |p| {
            let [theirs, ours] = p.cells;
            match p.column {
                "tls" | "dns" => ours.is_empty(),
                "ext_protocol" => theirs.starts_with(ours.trim_end_matches(']')) && theirs.matches(", ").count() > 1,
                _ => false,
            }
        },
    },
    #[cfg(feature = "payload")]
    Exclusion {
        why: "the version there is of the first record, and certificates had to be taken out",
        applies: |p| {
            p.column == "tls" && p.cells[0] != p.cells[1] && p.cells.map(names_in_tls)[0] == names_in_tls(p.cells[1])
        },
    },
    #[cfg(feature = "payload")]
    Exclusion { why: "HTTP is not read there", applies: |p| p.is_only_here("http", "HTTP") },
    #[cfg(feature = "payload")]
    Exclusion {
        why: "DNS is only read in datagrams of port 53 there",
        applies: |p| {
            let read_there =
                p.row["protocol"] == "UDP" && [&p.row["src_port"], &p.row["dst_port"]].contains(&&"53".into());
            !read_there && p.is_only_here("dns", "DNS")
        },
    },
    Exclusion {
        why: "payload_bytes of UDP are 0 there",
        applies: |p| !p.original && p.is_of("payload_bytes") && p.row["protocol"] == "UDP",
    },
    Exclusion {
        why: "pcapng times in nanoseconds are taken for microseconds",
        applies: |p| {
            p.is_in(&[
                "http.pcapng",
                "http2.pcapng",
                "nsec.pcapng",
                "quic_frags_ch_in_multiple_packets.pcapng",
                "tls_1.2_unidirectional_server.pcapng",
            ]) && (matches!(p.column, "start_time" | "end_time" | "duration" | "feature.duration")
                || p.is_of("timestamps")
                || p.is_of("iats"))
        },
    },
    Exclusion {
        why: "feature.duration adds up magnitudes where time goes back",
        applies: |p| !p.original && p.capture == "tsback.pcap" && p.column == "feature.duration",
    },
    Exclusion {
        why: "IP length 0 makes its lengths negative",
        applies: |p| {
            let lengths = ["ip_lengths", "trans_lengths", "app_lengths", "payload_bytes"];
            p.capture == "ip_len0.pcap" && lengths.iter().any(|block| p.is_of(block))
        },
    },
    Exclusion {
        why: "a first fragment has the length of the datagram there, a later one none",
        applies: |p| {
            p.is_of("trans_lengths") && p.is_in(&["dns_fragmented.pcap", "ipfrag.pcap", "ip_fragmented_garbage.pcap"])
        },
    },
    Exclusion {
        why: "TCP headers that are cut off by a fragment are read there",
        applies: |p| {
            p.capture == "ip_fragmented_garbage.pcap"
                && (p.is_of("tcp_flags") || p.is_of("tcp_window") || p.is_of("tcp_window_sizes"))
        },
    },
    Exclusion {
        why: "segments that fill a hole, and those of the next connection with lower numbers, are dropped there",
        applies: |p| !p.kept_repetitions() && p.after_the_ends() && p.is_filled(),
    },
    Exclusion {
        why: "the same ends in two VLANs are two flows there",
        applies: |p| p.capture == "vlan.pcap" && p.after_the_ends(),
    },
];

impl Place<'_> {
    /// The reference was made without dropping repetitions.
    fn kept_repetitions(&self) -> bool {
        self.row.contains_key(NOFILTER)
    }

    /// The column of a protocol, or its name at the end of the others, where the original has nothing.
    #[cfg(feature = "payload")]
    fn is_only_here(&self, column: &str, name: &str) -> bool {
        let [theirs, ours] = self.cells;
        match self.column {
            "ext_protocol" => ours == format!("{}, '{name}']", theirs.trim_end_matches(']')),
            own => own == column && theirs.is_empty() && ours.starts_with('{'),
        }
    }

    /// Behind the columns that say who talked.
    fn after_the_ends(&self) -> bool {
        !matches!(self.column, "key" | "protocol" | "src_ip" | "dst_ip" | "src_port" | "dst_port" | "ext_protocol")
            && !matches!(self.column, "tls" | "http" | "dns")
    }

    fn is_filled(&self) -> bool {
        match self.capture {
            "multi.pcap" => {
                self.is_flow("2409:8900:1bf0:5c:c916:c8be:87dd:1846:9087 -> 2409:8c02:24c:54:3e::a:80 (TCP)")
            }
            capture => ["cut.pcap", "ooo.pcap", "tcp_two_conns_lower_isn.pcap"].contains(&capture),
        }
    }
}

/// Marks rows of references without filters.
const NOFILTER: &str = "(no filter)";

/// Flows that have no counterpart: capture, how many here and how many there, the same without filters, and why.
const APART: &[(&str, [usize; 2], [usize; 2], &str)] = &[
    ("6in4tunnel.pcap", [7, 1], [10, 1], "6in4 is not followed there; three of those inside are ICMPv6"),
    ("dns.pcap", [1, 0], [1, 0], "PPPoE is not read there"),
    ("dns_fragmented.pcap", [3, 3], [3, 3], "payload of later IPv6 fragments is read as ports there"),
    ("multi.pcap", [0, 1], [0, 0], "ICMPv6 behind extension headers passes the filter there"),
    ("sctp.cap", [2, 2], [2, 2], "SCTP has no ports there"),
    ("sctp.pcap", [2, 1], [2, 1], "SCTP has no ports there"),
    ("ip_len10.pcap", [0, 1], [0, 1], "an IP length below its header is malformed here"),
    ("ipip.pcap", [1, 1], [1, 1], "IP in IP is not followed there"),
    ("ipv4_228.pcap", [1, 0], [1, 0], "the link type is unknown there"),
    ("ppp9.pcap", [1, 0], [1, 0], "the link type is unknown there"),
    ("raw12.pcap", [2, 0], [2, 0], "the link type is unknown there"),
    ("vlan.pcap", [0, 1], [0, 1], "the same ends in two VLANs are two flows there"),
];

/// Captures whose references without filters are missing: a certificate ended the export.
const BROKEN: [&str; 6] = [
    "dns_dot.pcap",
    "http_ipv6.pcap",
    "long_tls_certificate.pcap",
    "multi.pcap",
    "single.pcap",
    "tls_1.2_unidirectional_server.pcapng",
];

/// Captures that the original does not read, and why.
const UNREAD: &[(&str, &str)] = &[
    ("junk.pcap", "it is no capture"),
    ("nrb_first.pcapng", "a block between the header and the first interface ends its reading"),
];

fn reference() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("PCAP_COMPACTOR_CORPUS").map_or(beside, PathBuf::from).join("reference/wa1kpcap");
    if folder.join("captures").is_dir() {
        return Some(folder);
    }
    let missing = format!("no references in {}: set PCAP_COMPACTOR_CORPUS", folder.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    writeln!(std::io::stderr(), "LEFT OUT: wa1kpcap's own output; {missing}").expect("standard error takes text");
    None
}

fn rows(text: &str) -> Vec<Row> {
    let mut lines = parse(text).into_iter();
    let header = lines.next().unwrap_or_default();
    lines.map(|cells| header.iter().cloned().zip(cells).collect()).collect()
}

/// What the dialect writes of a capture, by key.
fn ours(capture: &Path, dialect: &Dialect, filtered: bool) -> BTreeMap<String, Row> {
    let mut settings = dialect.settings(Settings::default());
    let mut filter = dialect.filter().clone();
    if !filtered {
        settings.no_retransmissions = false;
        filter = Filter::default();
    }
    let mut out = Vec::new();
    let writer = FlowWriter::new(&mut out, "memory", Form::Csv, settings.columns.clone(), Times::Seconds);
    let mut writer = writer.notation(dialect.notation());
    let engine = Engine::builder().filter(filter);
    let report = FlowJob::new(settings).engine(engine).run(inputs(&[capture.to_path_buf()]), &mut writer);
    report.expect("the run ends well");
    drop(writer);
    let rows = rows(&String::from_utf8(out).expect("CSV is UTF-8"));
    let all = rows.len();
    let by_key: BTreeMap<String, Row> = rows.into_iter().map(|row| (row["key"].clone(), row)).collect();
    assert_eq!(by_key.len(), all, "a flow stands twice");
    by_key
}

/// Whether two cells say the same; `slack` is an absolute difference that reals may have as well.
fn same(ours: &str, theirs: &str, slack: f64) -> bool {
    if ours == theirs {
        return true;
    }
    let list = |text: &str| text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).map(str::to_owned);
    if let (Some(a), Some(b)) = (list(ours), list(theirs)) {
        let (a, b): (Vec<_>, Vec<_>) = (a.split(", ").collect(), b.split(", ").collect());
        return a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, slack));
    }
    match (ours.parse::<f64>(), theirs.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= slack.max(1e-9 * a.abs().max(b.abs())),
        _ => false,
    }
}

/// The difference that the arithmetic of the original explains, beside 1e-9.
fn slack(place: &Place) -> f64 {
    let number = |column: &str| place.row.get(column).and_then(|cell| cell.parse::<f64>().ok()).unwrap_or(0.0);
    // Times are floats of seconds. Two of them are off by half a unit in the last place each.
    let grain = number("end_time") * f64::EPSILON;
    let block = |stat: &str| place.column.rsplit_once('.').is_some_and(|(_, last)| last == stat);
    if matches!(place.column, "duration" | "feature.duration") {
        return grain.max(2_f64.powi(-37));
    }
    // With the switch only these are left: it multiplies the times of pcapng by 1e-6 where it divides those of pcap, and
    // the switch counts in ticks of 2^-36 s.
    let pcapng = ["dns.pcap", "tls_2_reasms_b.pcapng", "tls_missing_ch_frag.pcap"];
    let of_time = match place.is_of("iats") {
        true if place.original && !place.is_in(&pcapng) => 2_f64.powi(-37),
        true => grain,
        false => 0.0,
    };
    if of_time > 0.0 && block("var") {
        return 2.0 * of_time * number("feature.iats.std") + of_time * of_time;
    }
    // The variance is the difference of two sums, each good to some units in the last place.
    let squares = |prefix: &str| {
        let name = place.column.rsplit_once('.').map_or("", |(block, _)| block);
        number(&format!("{name}.{prefix}mean")).powi(2) + number(&format!("{name}.{prefix}std")).powi(2)
    };
    let cancelled = |prefix: &str| squares(prefix) * 16.0 * f64::EPSILON;
    match place.column.rsplit_once('.').map_or("", |(_, last)| last) {
        "var" => cancelled(""),
        "std" => of_time + cancelled("").sqrt().min(cancelled("") / number(place.column).max(f64::MIN_POSITIVE)),
        "up_std" => of_time + cancelled("up_").sqrt(),
        "down_std" => of_time + cancelled("down_").sqrt(),
        "sum" | "up_sum" | "down_sum" => of_time * number("packet_count"),
        "range" => 2.0 * of_time,
        _ => of_time,
    }
}

/// What a cell of TLS says beside version and certificates.
#[cfg(feature = "payload")]
fn names_in_tls(cell: &str) -> Option<&str> {
    let (_, rest) = cell.strip_prefix("{'version': ")?.split_once([',', '}'])?;
    let rest = rest.trim_end_matches('}');
    Some(rest.split_once("'cert_subject'").map_or(rest, |(names, _)| names).trim_matches([',', ' ']))
}

/// What a comparison came to.
#[derive(Default)]
struct Score {
    compared: usize,
    excluded: [usize; EXCLUDED.len()],
    wrong: Vec<String>,
    apart: BTreeMap<String, [usize; 2]>,
    broken: Vec<String>,
}

fn compare(switches: Switches, filtered: bool) -> Option<Score> {
    let folder = reference()?;
    let dialect = dialect(switches);
    let mut score = Score::default();
    for (captures, outputs) in [("captures", "v0.2.0_native"), ("captures_synthetic", "v0.2.0_native_synthetic")] {
        for entry in std::fs::read_dir(folder.join(captures)).expect("the folder can be listed") {
            let path = entry.expect("the folder can be listed").path();
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            let kind = if filtered { "default" } else { "nofilter" };
            let read =
                |suffix| std::fs::read_to_string(folder.join(outputs).join(format!("{name}.{kind}.{suffix}.csv")));
            // A certificate ends its export; then there may be one with certificates taken out.
            let Ok(text) = read("certnone").or_else(|_| read("to_csv")) else {
                let unread = UNREAD.iter().any(|(capture, _)| *capture == name);
                let failed = folder.join(outputs).join(format!("{name}.{kind}.to_csv.ERROR.txt")).exists();
                assert!(unread || (!filtered && failed), "{name} has no reference");
                if !unread {
                    score.broken.push(name);
                }
                continue;
            };
            let mut ours = ours(&path, &dialect, filtered);
            let mut apart = [0; 2];
            for mut row in rows(&text) {
                if !filtered {
                    row.insert(NOFILTER.to_owned(), String::new());
                }
                let Some(found) = ours.remove(&row["key"]) else {
                    apart[1] += 1;
                    continue;
                };
                hold(&name, &row, &found, switches == Switches::ORIGINAL, &mut score);
            }
            apart[0] = ours.len();
            if apart != [0; 2] {
                score.apart.insert(name, apart);
            }
        }
    }
    Some(score)
}

fn hold(capture: &str, row: &Row, found: &Row, original: bool, score: &mut Score) {
    let missing = row.keys().find(|column| *column != NOFILTER && !found.contains_key(*column));
    assert_eq!(missing, None, "there is no such column");
    for (column, ours) in found {
        // A column that is not there is empty.
        let theirs = row.get(column).map_or("", String::as_str);
        let place = Place { capture, column, cells: [theirs, ours], row, original };
        if let Some(at) = EXCLUDED.iter().position(|exclusion| (exclusion.applies)(&place)) {
            score.excluded[at] += 1;
            continue;
        }
        score.compared += 1;
        if !same(ours, theirs, slack(&place)) {
            score.wrong.push(format!("{capture}, {}, {column}: {theirs:.90} there, {ours:.90} here", row["key"]));
        }
    }
}

fn check(score: &Score, filtered: bool, least: usize) {
    let flows =
        |&(capture, with, without, _): &(&str, _, _, _)| (capture.to_owned(), if filtered { with } else { without });
    let named: BTreeMap<String, [usize; 2]> = APART.iter().map(flows).filter(|(_, flows)| *flows != [0; 2]).collect();
    assert!(score.wrong.is_empty(), "{} wrong of {}:\n{}", score.wrong.len(), score.compared, score.wrong.join("\n"));
    assert_eq!(score.apart, named, "flows without counterpart");
    assert!(score.compared >= least, "only {} values were compared", score.compared);
}

#[test]
fn every_value_that_the_original_has_right_is_the_same() {
    let Some(score) = compare(Switches::default(), true) else { return };
    check(&score, true, 40_000);
    assert!(score.broken.is_empty(), "{:?}", score.broken);
    for (exclusion, times) in EXCLUDED.iter().zip(score.excluded) {
        assert!(times > 0, "nothing is excluded for this: {}", exclusion.why);
    }
}

#[test]
fn with_its_switches_values_are_those_of_the_original_where_it_is_wrong() {
    let Some(score) = compare(Switches::ORIGINAL, true) else { return };
    check(&score, true, 43_000);
}

#[test]
fn without_filters_too() {
    let Some(mut score) = compare(Switches::default(), false) else { return };
    check(&score, false, 10_000);
    score.broken.sort_unstable();
    assert_eq!(score.broken, BROKEN);
}

/// The export cannot tell which version is right, nor what a certificate says. But the original also dumped what it had read:
/// the suite that the server chose is of a version, and the certificate has the names in it.
#[cfg(feature = "payload")]
#[test]
fn versions_and_certificates_are_those_of_the_handshake() {
    let Some(folder) = reference() else { return };
    let dialect = dialect(Switches::default());
    let (mut versions, mut certificates) = (0, 0);
    for entry in std::fs::read_dir(folder.join("captures")).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
        let dump = std::fs::read_to_string(folder.join("v0.2.0_native").join(format!("{name}.default.full.json")));
        let dump: serde_json::Value = serde_json::from_str(&dump.expect("there is a dump")).expect("it is JSON");
        let ours = ours(&path, &dialect, true);
        for flow in dump["flows"].as_array().expect("there are flows") {
            let (tls, Some(row)) = (&flow["tls"], flow["key"].as_str().and_then(|key| ours.get(key))) else { continue };
            let cell = &row["tls"];
            if let Some(suite) = tls["cipher_suite"].as_u64() {
                let older = ["'3.1'", "'3.2'", "'3.3'"].iter().any(|version| cell.contains(version));
                assert_eq!(older, suite >> 8 != 0x13, "{name}, {}: {suite:04x}, {cell}", row["key"]);
                versions += 1;
            }
            let der = tls["certificate"].as_str().and_then(|der| der.strip_prefix("hex:"));
            assert_eq!(cell.contains("'cert_subject'"), der.is_some(), "{name}, {}: {cell}", row["key"]);
            let Some(der) = der else { continue };
            let names = cell.split("CN=").skip(1).map(|rest| rest.split(['\'', ',']).next().unwrap_or(rest));
            let hex = |name: &str| name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
            let names: Vec<&str> = names.collect();
            assert!(!names.is_empty() && names.iter().all(|name| der.contains(&hex(name))), "{name}: {cell}");
            certificates += 1;
        }
    }
    assert!(versions >= 50 && certificates >= 20, "only {versions} versions and {certificates} certificates");
}

/// In builds that read no payload the cells are empty, and the schema says so.
#[test]
fn what_payload_says_is_in_the_shapes_of_the_original() {
    let host = |last| v4(192, 0, 2, last);
    let tcp = |client: u8, dst_port, payload: Vec<u8>| {
        let body = Body::Tcp { src_port: 40_000, dst_port, flags: 0x18, payload };
        Frame::new(START + i64::from(client), host(client), host(80), body)
    };
    let ask = |name: &[&[u8]]| {
        let name: Vec<u8> = name.iter().flat_map(|label| [&[label.len() as u8], *label].concat()).collect();
        let payload = [&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &name, &[0, 0, 1, 0, 1]].concat();
        Frame::new(START + 9, host(4), host(53), Body::Udp { src_port: 50_000, dst_port: 53, payload })
    };
    let long = |content: &[u8]| [&(content.len() as u16).to_be_bytes()[..], content].concat();
    let extension = |kind: u8, content: &[u8]| [&[0, kind][..], &long(content)].concat();
    let extensions = [
        extension(0, &long(&[&[0][..], &long(b"a.example")].concat())),
        extension(16, &long(b"\x05http9\x08http/1.1")),
    ];
    let hello = [&[3, 3][..], &[7; 32], &[0], &long(&[0xc0, 0x2f]), &[1, 0], &long(&extensions.concat())].concat();
    let hello = [&[22, 3, 1][..], &long(&[&[1, 0][..], &long(&hello)].concat())].concat();
    let frames = [
        tcp(1, 8888, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec()),
        tcp(2, 8443, hello),
        tcp(3, 8443, [&[23, 3, 3][..], &long(&[9; 40])].concat()),
        ask(&[b"it's", b"example"]),
        ask(&[b"it's", b"example"]),
        ask(&[b"b", b"example"]),
    ];
    let folder = tempfile::tempdir().unwrap();
    let capture = file(folder.path(), "a.pcap", &pcap(&frames));
    let rows: Vec<Row> = ours(&capture, &dialect(Switches::default()), true).into_values().collect();
    let said = |column: &str| rows.iter().map(|row| row[column].as_str()).collect::<Vec<_>>();
    let read = cfg!(feature = "payload");
    let when_read = |cells: [&'static str; 4]| if read { cells } else { [""; 4] };
    assert_eq!(said("http"), when_read(["{'host': 'a.example', 'user_agent': None}", "", "", ""]));
    assert_eq!(said("tls"), when_read(["", "{'version': None, 'sni': ['a.example']}", "{'version': None}", ""]));
    assert_eq!(said("dns"), when_read(["", "", "", r#"{'queries': ["it's.example", 'b.example']}"#]));
    let tails = when_read([", 'HTTP'", ", 'TLS', 'HTTPS'", ", 'TLS'", ", 'DNS'"]);
    let stacks = tails.iter().zip(["TCP", "TCP", "TCP", "UDP"]).map(|(tail, name)| format!("['IPv4', '{name}'{tail}]"));
    assert_eq!(said("ext_protocol"), stacks.collect::<Vec<_>>());

    let schema = run(["schema", "flows", "--dialect", "wa1kpcap"]).out;
    assert_eq!(schema.matches("this build reads no payload").count(), if read { 0 } else { 4 });
}

#[test]
fn the_command_writes_csv_or_lines_and_lists_the_columns_of_the_dialect() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (capture, out) = (path("a.pcap"), path("a.csv"));
    assert_eq!(run(["synth", &capture, "--packets", "3000"]).code, Some(0));
    let csv = run(["flows", &capture, "--dialect", "wa1kpcap"]);
    assert_eq!(csv.code, Some(0), "{}", csv.said);
    assert_eq!(run(["flows", &capture, "--dialect", "wa1kpcap", "--threads", "3", "-o", &out]).code, Some(0));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), csv.out);

    let schema = run(["schema", "flows", "--dialect", "wa1kpcap"]).out;
    let (columns, differences) = schema.split_once("\n\n").unwrap();
    let names: Vec<&str> = columns.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(csv.out.lines().next().unwrap().split(',').collect::<Vec<_>>(), names);
    let of = |line: &&str| line.starts_with("retransmissions\tno\t");
    assert!(differences.lines().find(of).unwrap().ends_with("\tseen by running wa1kpcap 0.2.0"), "{differences}");

    let lines = run(["flows", &capture, "--dialect", "wa1kpcap", "--format", "jsonl"]);
    let rows = rows(&csv.out);
    assert_eq!(lines.records().len(), rows.len());
    for (line, row) in lines.lines().iter().zip(&rows) {
        assert_eq!(line["key"], row["key"]);
        assert_eq!(line["feature.packet_count"].to_string(), row["feature.packet_count"]);
        assert_eq!(line["feature.packet_lengths"].as_array().unwrap().len(), line["packet_count"]);
    }
    // What the dialect leaves out is accounted for.
    let ledger = &lines.metrics()["ledger"];
    let packets = |part: &str| ledger[part]["packets"].as_u64().unwrap();
    assert_eq!(packets("kept"), rows.iter().map(|row| row["packet_count"].parse::<u64>().unwrap()).sum::<u64>());

    for wrong in [
        ["--dialect", "wa2kpcap"],
        ["--reorder", "5"],
        ["--flow-end", "never"],
        ["--columns", "src_ip"],
        ["--app", "-q"],
    ] {
        let ran = run(["flows", &capture, "--dialect", "wa1kpcap"].into_iter().chain(wrong));
        assert_eq!(ran.code, Some(2), "{wrong:?}: {}", ran.said);
    }
}

#[test]
fn the_command_sets_switches_and_lists_them() {
    let folder = tempfile::tempdir().unwrap();
    let packets = [0, 10_000_000, 5_000_000].map(|ns| crate::flows::udp(START + ns, 1));
    let capture = file(folder.path(), "a.pcap", &crate::flows::pcap(&packets));
    const COLUMNS: [&str; 3] = ["feature.duration", "feature.iats", "feature.payload_bytes"];
    let cells = |set: &[&'static str]| {
        let ran =
            run(["flows", capture.to_str().unwrap(), "--dialect", "wa1kpcap"].into_iter().chain(set.iter().copied()));
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        COLUMNS.map(|column| rows(&ran.out)[0][column].clone())
    };
    let [duration, gaps, payload] = ["0.01", "[0.01, -0.005]", "[12, 12, 12]"];
    assert_eq!(cells(&[]), [duration, gaps, payload]);
    assert_eq!(cells(&["--set", "summed_duration=yes"]), ["0.015", gaps, payload]);
    assert_eq!(cells(&["--set", "udp_without_payload=yes"]), [duration, gaps, "[0, 0, 0]"]);
    // Half a microsecond is the most that floats of these times are off.
    let floats = cells(&["--set", "float_times=yes"]);
    assert_eq!([&floats[0], &floats[2]], [duration, payload]);
    assert_eq!(floats[1], "[0.009999990463256836, -0.004999876022338867]");

    let schema = run(["schema", "flows", "--dialect", "wa1kpcap"]).out;
    let [_, differences, switches] = schema.split("\n\n").collect::<Vec<_>>()[..] else { panic!("{schema}") };
    assert!(differences.contains("\nfloat_times\tyes\t"));
    assert!(switches.contains("\nfloat_times\tno\tno, yes\twhether times between packets are "), "{switches}");
}
