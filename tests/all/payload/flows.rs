//! What the flows view says of payload.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pcap_compactor::capture::{PcapLayout, PcapWriter};
use pcap_compactor::flow::sequence::Class;
use pcap_compactor::payload::{Fields, Limits};
use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::flows::{FlowSink, FlowWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::columns::{Group, Kind, all};
use pcap_compactor::views::flows::{Columns, FlowCounts, FlowJob, FlowRecord, Lifetime, Settings};
use pcap_compactor::{Engine, Result, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use super::{Read, agrees_with_tshark};
use crate::command::run;
use crate::corpus::corpus;
use crate::model::SECOND;
use crate::properties::cases;
use crate::run::{PLAIN, WAYS, Way, file, inputs};

fn settings() -> Settings {
    Settings { columns: Columns::parse("@default,@app").unwrap(), ..Settings::default() }
}

/// The flows of a run.
#[derive(Default)]
struct Seen(Vec<FlowRecord>);

impl FlowSink for Seen {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.0.push(flow.clone());
        Ok(())
    }

    fn on_metrics(&mut self, _: &Metrics<FlowCounts>) -> Result<()> {
        Ok(())
    }
}

fn job(settings: &Settings, way: Way) -> FlowJob {
    FlowJob::new(settings.clone()).engine(Engine::builder().threads(way.threads).io(way.io))
}

fn flows(paths: &[PathBuf], settings: &Settings) -> Vec<FlowRecord> {
    let mut seen = Seen::default();
    job(settings, PLAIN).run(inputs(paths), &mut seen).expect("the run ends well");
    seen.0
}

fn written(paths: &[PathBuf], settings: &Settings, form: Form, way: Way) -> String {
    let mut out = Vec::new();
    let mut writer = FlowWriter::new(&mut out, "memory", form, settings.columns.clone(), Times::Seconds);
    job(settings, way).run(inputs(paths), &mut writer).expect("the run ends well");
    drop(writer);
    String::from_utf8(out).expect("what is written is UTF-8")
}

// Packets.

/// Ends of packets: addresses end in these bytes, and the ports.
const CLIENT: (u8, u16) = (1, 40_000);
const SERVER: (u8, u16) = (2, 5300);

fn ipv4(from: (u8, u16), to: (u8, u16), protocol: u8, id: u16, fragment: u16, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0];
    frame.extend((20 + content.len() as u16).to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend(fragment.to_be_bytes());
    frame.extend([64, protocol, 0, 0, 10, 0, 0, from.0, 10, 0, 0, to.0]);
    frame.extend(content);
    frame
}

fn udp(from: (u8, u16), to: (u8, u16), payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len() as u16).to_be_bytes();
    [&from.1.to_be_bytes()[..], &to.1.to_be_bytes(), &length, &[0, 0], payload].concat()
}

fn tcp(from: (u8, u16), to: (u8, u16), flags: u8, seq: u32, payload: &[u8]) -> Vec<u8> {
    let numbers = [seq.to_be_bytes(), 1_u32.to_be_bytes()].concat();
    let segment =
        [&from.1.to_be_bytes()[..], &to.1.to_be_bytes(), &numbers, &[0x50, flags, 1, 0, 0, 0, 0, 0], payload].concat();
    ipv4(from, to, 6, 0, 0, &segment)
}

/// A DNS query for the address of `name.test`, in UDP.
fn query(name: &str) -> Vec<u8> {
    let mut message = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.len() as u8];
    message.extend(name.as_bytes());
    message.extend(b"\x04test\0\0\x01\0\x01");
    udp(CLIENT, SERVER, &message)
}

fn capture(dir: &Path, packets: &[(i64, Vec<u8>)]) -> PathBuf {
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).expect("memory takes bytes");
    for (time, frame) in packets {
        let time = Timestamp(1_700_000_000 * SECOND + time);
        writer.record(time, frame.len() as u32, frame).expect("the time fits");
    }
    file(dir, "made.pcap", &writer.finish().expect("memory takes bytes"))
}

fn say(packets: &[(i64, Vec<u8>)], settings: &Settings) -> Vec<FlowRecord> {
    let dir = tempfile::tempdir().unwrap();
    flows(&[capture(dir.path(), packets)], settings)
}

/// The names that a flow asked for.
fn names(flow: &FlowRecord) -> Vec<&str> {
    let dns = flow.app.as_deref().and_then(|fields| fields.dns.as_deref());
    dns.iter().flat_map(|dns| &dns.lookups).map(|lookup| lookup.name.trim_end_matches(".test")).collect()
}

fn ssh(flow: &FlowRecord) -> Option<&str> {
    flow.app.as_deref()?.ssh.as_deref()?.client.as_deref()
}

// Real captures.

fn read(path: &Path) -> Read {
    let mut read = Read::default();
    for flow in flows(&[path.to_owned()], &settings()) {
        let (a, b) = ((flow.src_ip, flow.src_port), (flow.dst_ip, flow.dst_port));
        let said = read.entry((a.min(b), a.max(b), flow.protocol)).or_default();
        said.extend(flow.app.map(|fields| *fields));
    }
    read
}

#[test]
fn flows_say_what_tshark_says() {
    let Some(corpus) = corpus() else { return };
    agrees_with_tshark(&corpus, read);
}

#[test]
fn no_way_of_running_shows_in_what_flows_say() {
    let Some(corpus) = corpus() else { return };
    let paths: Vec<PathBuf> = corpus.captures.values().cloned().collect();
    for form in [Form::Digest, Form::Lines] {
        let plain = written(&paths, &settings(), form, PLAIN);
        for way in WAYS {
            assert!(written(&paths, &settings(), form, way) == plain, "{way:?}");
        }
    }
}

#[test]
fn what_is_said_changes_no_other_column() {
    let Some(corpus) = corpus() else { return };
    let paths: Vec<PathBuf> = corpus.captures.values().cloned().collect();
    let others = Columns::parse("@all").unwrap();
    let without = written(&paths, &Settings { columns: others.clone(), ..Settings::default() }, Form::Lines, PLAIN);
    let with =
        written(&paths, &Settings { columns: others.and(Group::Ssh), ..Settings::default() }, Form::Lines, PLAIN);
    assert_eq!(without.lines().count(), with.lines().count());
    for (without, with) in without.lines().zip(with.lines()) {
        assert!(
            without.contains("\"metrics\"") || with.starts_with(without.trim_end_matches('}')),
            "{without}\n{with}"
        );
    }
}

/// Whether JSON is what the cells of a column are said to be.
fn is(value: &Value, kind: Kind) -> bool {
    let all = |kind| value.as_array().is_some_and(|list| list.iter().all(|value| value.is_null() || is(value, kind)));
    match kind {
        Kind::Boolean => value.is_boolean(),
        Kind::Integer => value.is_u64(),
        Kind::Float | Kind::Time | Kind::Duration => value.is_number(),
        Kind::Text | Kind::Address => value.is_string(),
        Kind::Integers => all(Kind::Integer),
        Kind::Floats => all(Kind::Float),
        Kind::Texts => all(Kind::Text),
        Kind::Times => all(Kind::Time),
        Kind::TextLists => all(Kind::Texts),
    }
}

/// A cell as it stands in the map of fields, where times are texts.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains('.') => text.parse().map_or_else(|_| value.clone(), Value::Number),
        Value::Array(list) => list.iter().map(plain).collect(),
        other => other.clone(),
    }
}

#[test]
fn cells_are_the_fields_and_of_the_kinds_that_the_schema_says() {
    let Some(corpus) = corpus() else { return };
    let columns: Vec<_> = all().filter(|column| column.group.is_payload()).collect();
    let mut filled = BTreeSet::new();
    for path in corpus.captures.values() {
        let paths = [path.clone()];
        let lines = written(&paths, &settings(), Form::Lines, PLAIN);
        for (flow, line) in flows(&paths, &settings()).iter().zip(lines.lines()) {
            let line: Value = serde_json::from_str(line).expect("a line is JSON");
            let said = serde_json::to_value(flow.app.as_deref().unwrap_or(&Fields::default())).unwrap();
            for column in &columns {
                let cell = &line[column.name];
                if !cell.is_null() {
                    assert!(is(cell, column.kind), "{}: {cell}", column.name);
                    filled.insert(column.name);
                }
                let times = column.kind == Kind::Times;
                let expected = said.get(column.name).unwrap_or(&Value::Null);
                assert_eq!(cell, &if times { plain(expected) } else { expected.clone() }, "{}", column.name);
            }
        }
    }
    assert!(filled.len() > 60, "{filled:?}");
}

#[test]
fn lists_are_json_in_csv() {
    let dir = tempfile::tempdir().unwrap();
    let path = capture(dir.path(), &[(0, ipv4(CLIENT, SERVER, 17, 1, 0, &query("a\"b")))]);
    let columns = Columns::parse("dst_port,app,dns_name,dns_answers,tls_sni").unwrap();
    let text = written(&[path], &Settings { columns, ..settings() }, Form::Csv, PLAIN);
    assert_eq!(text.lines().nth(1), Some(r#"5300,"[""dns""]","[""a\""b.test""]","[[]]","#));
}

#[test]
fn tight_limits_cost_words_and_nothing_else() {
    let Some(corpus) = corpus() else { return };
    let tight = Settings { payload: Limits { stream: 2000, items: 3, text: 500, details: true }, ..settings() };
    let none = Settings { payload: Limits { stream: 0, items: 0, text: 0, details: true }, ..settings() };
    for path in corpus.captures.values() {
        let count = |settings| flows(std::slice::from_ref(path), settings).len();
        assert_eq!(count(&tight), count(&none));
        for flow in flows(std::slice::from_ref(path), &tight) {
            let Some(fields) = flow.app else { continue };
            let http = fields.http.as_deref().map_or(0, |http| http.requests.len() + http.responses.len());
            assert!(http + fields.dns.as_deref().map_or(0, |dns| dns.lookups.len()) <= 3);
        }
    }
}

// Which flow a word is of.

#[test]
fn a_connection_on_used_ports_has_words_of_its_own() {
    let connection = |at: i64, first: u32, words: &[u8]| {
        vec![
            (at, tcp(CLIENT, SERVER, 0x02, first, b"")),
            (at + 1, tcp(SERVER, CLIENT, 0x12, 7000, b"")),
            (at + 2, tcp(CLIENT, SERVER, 0x18, first + 1, words)),
            (at + 3, tcp(CLIENT, SERVER, 0x14, first + 1 + words.len() as u32, b"")),
        ]
    };
    // All within the reorder window, or far apart.
    for step in [10, SECOND] {
        let packets = [connection(0, 100, b"SSH-2.0-one\r\n"), connection(step, 90_000, b"SSH-2.0-two\r\n")].concat();
        let third = connection(2 * step, 500, b"GET /three HTTP/1.1\r\nHost: h\r\n\r\n");
        let packets = [packets, third].concat();
        for reorder in [0, SECOND / 100, 400 * SECOND] {
            let said = say(&packets, &Settings { reorder, ..settings() });
            let banners: Vec<_> = said.iter().map(ssh).collect();
            assert_eq!(banners, [Some("SSH-2.0-one"), Some("SSH-2.0-two"), None], "{step} {reorder}");
            let http = said[2].app.as_deref().and_then(|fields| fields.http.as_deref());
            assert_eq!(http.map(|http| http.request_count), Some(1));
            assert_eq!(said[2].app.as_deref().map(Fields::apps), Some(vec!["http"]));
        }
    }
}

#[test]
fn a_flow_that_begins_with_its_answer_has_words_of_its_own() {
    let words = |seq, words: &[u8]| tcp(CLIENT, SERVER, 0x18, seq, words);
    let packets = [
        (0, words(100, b"SSH-2.0-one\r\n")),
        (1, tcp(SERVER, CLIENT, 0x14, 7000, b"")),
        (2, tcp(SERVER, CLIENT, 0x12, 40_000, b"")),
        (3, words(200, b"SSH-2.0-two\r\n")),
    ];
    let packets = [&[(-1, tcp(SERVER, CLIENT, 0x10, 7000, b""))][..], &packets].concat();
    let said = say(&packets, &settings());
    assert_eq!(said.iter().map(ssh).collect::<Vec<_>>(), [Some("SSH-2.0-one"), Some("SSH-2.0-two")]);
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn words_stand_in_the_record_in_which_their_packet_counts(
        steps in prop::collection::vec(prop_oneof![
            6 => 0..3_i64,
            6 => (0..15_i64).prop_map(|n| n * SECOND / 1000),
            3 => (-12..0_i64).prop_map(|n| n * SECOND / 1000),
            3 => (0..9_i64).prop_map(|n| n * SECOND),
            1 => (0..20_i64).prop_map(|n| n * SECOND),
        ], 1..60),
        idle in prop::sample::select(vec![0, SECOND / 200, 2 * SECOND, 5 * SECOND, i64::MAX]),
        active in prop::sample::select(vec![None, Some(0), Some(SECOND / 100), Some(7 * SECOND)]),
        reorder in prop::sample::select(vec![0, 1, SECOND / 100, 3 * SECOND]),
    ) {
        // Time that goes back by more than the timeout, while a packet waits, is the exception.
        prop_assume!(reorder == 0 || reorder > idle || idle > SECOND);
        let mut now = 0;
        let packets: Vec<_> = steps.iter().enumerate().map(|(n, step)| {
            now += step;
            (now, ipv4(CLIENT, SERVER, 17, 1, 0, &query(&format!("n{n}"))))
        }).collect();
        let lifetime = Lifetime { udp_idle: Some(idle), active, ..Lifetime::default() };
        let said = say(&packets, &Settings { lifetime, reorder, ..settings() });
        for flow in &said {
            prop_assert_eq!(names(flow).len() as u64, flow.amount.packets);
            for name in names(flow) {
                let time = Timestamp(1_700_000_000 * SECOND + packets[name[1..].parse::<usize>().unwrap()].0);
                prop_assert!(flow.first_ts <= time && time <= flow.last_ts);
            }
        }
    }
}

/// A query in three fragments.
fn fragments(name: &str, id: u16) -> Vec<Vec<u8>> {
    let datagram = query(name);
    let cut = |at: usize, end: usize, more: u16| {
        ipv4(CLIENT, SERVER, 17, id, more << 13 | (at / 8) as u16, &datagram[at..end.min(datagram.len())])
    };
    vec![cut(0, 16, 1), cut(16, 32, 1), cut(32, usize::MAX, 0)]
}

#[test]
fn a_datagram_in_fragments_is_of_the_flow_with_its_ports() {
    let all = fragments("fragmented", 9);
    let name = "fragmented";
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
        for gap in [0, 1, SECOND / 50, 20 * SECOND] {
            let packets: Vec<_> = order.iter().zip(0..).map(|(&n, place)| (gap * place, all[n].clone())).collect();
            let said = say(&packets, &settings());
            let found: Vec<_> = said.iter().map(|flow| (flow.dst_port, flow.amount.packets, names(flow))).collect();
            assert!(found.contains(&(5300, 1, vec![name])), "{order:?} {gap}: {found:?}");
            assert!(found.contains(&(0, 2, vec![])), "{order:?} {gap}: {found:?}");
        }
    }
    // The flow of the first fragment is over before the others come.
    let late = [(0, all[0].clone()), (55 * SECOND, all[1].clone()), (56 * SECOND, all[2].clone())];
    let next = |at: i64, name| (at * SECOND, ipv4(CLIENT, SERVER, 17, 1, 0, &query(name)));
    let packets = [&late[..1], &[next(50, "next"), next(51, "more")], &late[1..]].concat();
    let short = Lifetime { udp_idle: Some(30 * SECOND), ..Lifetime::default() };
    let said = say(&packets, &Settings { lifetime: short, ..settings() });
    let of_ports = said.iter().filter(|flow| flow.dst_port == 5300);
    assert_eq!(of_ports.map(names).collect::<Vec<_>>(), [vec![], vec!["next", "more"]]);
}

#[test]
fn fragments_that_overlap_or_never_end_are_bounded_and_the_first_bytes_stay() {
    let datagram = query("overlapped");
    let mut packets = vec![(0, ipv4(CLIENT, SERVER, 17, 9, 1 << 13, &datagram[..24]))];
    packets.push((1, ipv4(CLIENT, SERVER, 17, 9, 1 << 13 | 2, &[b'x'; 8])));
    packets.push((2, ipv4(CLIENT, SERVER, 17, 9, 3, &datagram[24..])));
    // Many datagrams that never end.
    packets.extend((100..3000).map(|id| (3, ipv4(CLIENT, SERVER, 17, id, 1 << 13, &[0; 1400]))));
    packets.extend(fragments("last", 7).into_iter().map(|frame| (4, frame)));
    let said = say(&packets, &settings());
    let names: Vec<_> = said.iter().flat_map(names).collect();
    assert_eq!(names, ["overlapped", "last"]);
}

// Hostile words.

#[test]
fn a_name_that_points_to_itself_and_overlapping_segments_do_no_harm() {
    let mut looped = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    looped.extend([0xc0, 12, 0, 1, 0, 1]);
    let port = (2, 53);
    let packets = [
        (0, ipv4(CLIENT, port, 17, 1, 0, &udp(CLIENT, port, &looped))),
        (1, tcp(CLIENT, SERVER, 0x02, 99, b"")),
        (2, tcp(CLIENT, SERVER, 0x18, 104, b"2.0-later\r\n")),
        (3, tcp(CLIENT, SERVER, 0x18, 100, b"SSH-")),
        (4, tcp(CLIENT, SERVER, 0x18, 100, b"XXXXXXXXXXXXX")),
        (5, tcp(CLIENT, SERVER, 0x18, 108, b"forged\r\n")),
    ];
    let said = say(&packets, &settings());
    assert_eq!(said.len(), 2);
    assert_eq!(said.iter().find_map(ssh), Some("SSH-2.0-later"));
}

/// A server's hello and a certificate that is none, in one segment.
fn unreadable_certificate() -> Vec<u8> {
    let message = |kind: u8, body: &[u8]| [&[kind, 0, 0, body.len() as u8][..], body].concat();
    let hello = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
    let chain = [&[0, 0, 8, 0, 0, 5][..], b"what?"].concat();
    let words = [message(2, &hello), message(11, &chain)].concat();
    let record = [&[22, 3, 3, 0, words.len() as u8][..], &words].concat();
    tcp(SERVER, CLIENT, 0x18, 1, &record)
}

#[test]
fn a_certificate_that_cannot_be_read_leaves_its_cells_empty_and_is_counted() {
    let packets = [(0, unreadable_certificate())];
    let said = say(&packets, &settings());
    let dir = tempfile::tempdir().unwrap();
    let lines = written(&[capture(dir.path(), &packets)], &settings(), Form::Lines, PLAIN);
    let line: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((said.len(), &line["tls_certs_unread"]), (1, &1.into()));
    assert_eq!(line["tls_cert_subject"], serde_json::json!([null]));
    assert_eq!(line["tls_cert_sha256"][0].as_str().map(str::len), Some(64));
}

#[test]
fn a_flow_that_changes_its_protocol_says_both() {
    let connect = b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\n\r\n";
    let hello = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2f, 1, 0]].concat();
    let hello = [&[1, 0, 0, hello.len() as u8][..], &hello].concat();
    let record = [&[22, 3, 1, 0, hello.len() as u8][..], &hello].concat();
    let packets = [
        (0, tcp(CLIENT, SERVER, 0x18, 1, connect)),
        (1, tcp(SERVER, CLIENT, 0x18, 1, answer)),
        (2, tcp(CLIENT, SERVER, 0x18, 1 + connect.len() as u32, &record)),
    ];
    let said = say(&packets, &settings());
    assert_eq!(said[0].app.as_deref().map(Fields::apps), Some(vec!["http", "tls"]));
}

/// First fragments of forged hosts, without end: datagrams of others come together across some of them, and not across too
/// many, on any number of threads.
#[test]
fn a_flood_of_fragments_is_bounded_and_counted() {
    let forged = |n: u32| {
        let mut frame = ipv4((0, 0), (3, 0), 17, 1, 0x2000, &udp((0, 9), (3, 9), &[0; 8]));
        frame[26..30].copy_from_slice(&(0x0b00_0000 + n).to_be_bytes());
        frame
    };
    let message = query("a");
    let head = ipv4(CLIENT, SERVER, 17, 7, 0x2000, &message[..16]);
    let tail = ipv4(CLIENT, SERVER, 17, 7, 2, &message[16..]);
    for (between, name, let_go) in [(100_000, Some("a"), false), (200_000, None, true)] {
        let mut packets = vec![(0, head.clone())];
        packets.extend((0..between).map(|n| (1, forged(n))));
        packets.push((2, tail.clone()));
        let dir = tempfile::tempdir().unwrap();
        let paths = [capture(dir.path(), &packets)];
        let settings = Settings { columns: Columns::parse("src_ip,@dns").unwrap(), ..settings() };
        let plain = written(&paths, &settings, Form::Lines, PLAIN);
        let last: Value = serde_json::from_str(plain.lines().last().unwrap()).unwrap();
        assert_eq!(last["datagrams_let_go"].as_u64().unwrap() > 0, let_go);
        assert_eq!(plain.contains("a.test"), name.is_some());
        for way in WAYS.into_iter().step_by(2) {
            assert!(written(&paths, &settings, Form::Lines, way) == plain, "{way:?}");
        }
    }
}

/// A forged acknowledgement claims bytes that were never sent. What is sent in their place is no repetition.
#[test]
fn a_length_beyond_the_frame_hides_no_request() {
    let request = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut forged = tcp(CLIENT, SERVER, 0x10, 1, b"");
    forged[16..18].copy_from_slice(&60_000_u16.to_be_bytes());
    let packets = [
        (0, tcp(CLIENT, SERVER, 0x02, 0, b"")),
        (1, tcp(SERVER, CLIENT, 0x12, 0, b"")),
        (2, forged),
        (3, tcp(CLIENT, SERVER, 0x18, 1, &request[..9])),
        (4, tcp(CLIENT, SERVER, 0x18, 10, &request[9..])),
    ];
    for no_retransmissions in [false, true] {
        let settings = Settings { columns: Columns::parse("@all,@app").unwrap(), no_retransmissions, ..settings() };
        let said = say(&packets, &settings);
        assert_eq!(said.len(), 1);
        let (up, app) = (&said[0].sides[0], said[0].app.as_deref());
        assert_eq!((up.packets, up.payload_bytes), (4, request.len() as u64));
        assert_eq!(up.segments.classes[Class::Retransmission as usize], 0);
        let http = app.and_then(|fields| fields.http.as_deref()).expect("a request");
        assert_eq!(http.requests[0].target.as_deref(), Some("/x"));
    }
}

// The command line.

#[test]
fn app_appends_columns_that_do_not_depend_on_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let full = capture(dir.path(), &[(0, ipv4(CLIENT, SERVER, 17, 1, 0, &query("a")))]);
    let empty =
        file(dir.path(), "empty.pcap", &PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap().finish().unwrap());
    let header = |arguments: &[&str], path: &Path| {
        let ran = run([&["flows", "-q", "--format", "csv", path.to_str().unwrap()], arguments].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.out.lines().next().unwrap_or_default().to_owned()
    };
    let (usual, app) = (header(&[], &full), header(&["--app"], &full));
    assert!(app.starts_with(&format!("{usual},app,app_gaps,")) && app.ends_with("sctp_counts"));
    assert_eq!(app, header(&["--app"], &empty));
    assert_eq!(
        header(&["--app=ssh", "--columns", "src_ip"], &full),
        "src_ip,app,app_gaps,app_left_out,ssh_client,ssh_server"
    );
    assert_eq!(header(&["--columns", "tls_sni"], &full), "tls_sni");
    let ran = run(["flows", "--app=telnet", full.to_str().unwrap()]);
    assert_eq!((ran.code, ran.said.lines().count()), (Some(2), 1), "{ran:?}");
    let schema = run(["schema", "flows"]);
    assert!(schema.out.contains("\ndns_ttl\tlist of integers\ts\t@dns\tno\t"));
}

#[test]
fn limits_are_settable() {
    let dir = tempfile::tempdir().unwrap();
    let packets: Vec<_> = (0..5).map(|n| (n, ipv4(CLIENT, SERVER, 17, 1, 0, &query(&format!("n{n}"))))).collect();
    let path = capture(dir.path(), &packets);
    let ran = run(["flows", "-q", "--app", "--app-items", "2", path.to_str().unwrap()]);
    let flow = &ran.lines()[0];
    assert_eq!((flow["dns_name"].as_array().map(Vec::len), &flow["app_left_out"]), (Some(2), &3.into()));
    for (option, least) in [("--app-buffer", "1024"), ("--app-text", "0")] {
        let ran = run(["flows", "-q", "--app", option, least, path.to_str().unwrap()]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}

#[test]
fn limits_that_were_reached_are_in_the_metrics_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut packets: Vec<_> = (0..4).map(|n| (n, ipv4(CLIENT, SERVER, 17, 1, 0, &query(&format!("n{n}"))))).collect();
    packets.push((4, unreadable_certificate()));
    let get = |seq| tcp((3, 40_000), SERVER, 0x18, seq, b"GET / HTTP/1.1\r\n\r\n");
    packets.extend([(5, get(1)), (6, get(100))]);
    let path = capture(dir.path(), &packets);
    let ran = run(["flows", "--app", "--app-items", "2", path.to_str().unwrap()]);
    let (lines, metrics) = (ran.lines(), ran.metrics());
    let counts = [
        ("app_gaps", 1, "1 gap in TCP payload"),
        ("app_left_out", 2, "2 things that payload said did not fit into --app-items"),
        ("tls_certs_unread", 1, "1 certificate could not be read"),
    ];
    for (name, n, says) in counts {
        let by_flow: u64 = lines[..lines.len() - 1].iter().filter_map(|line| line[name].as_u64()).sum();
        assert_eq!((by_flow, &metrics[name]), (n, &n.into()), "{name}: {ran:?}");
        assert!(ran.said.contains(says), "{says}: {ran:?}");
    }
    // Not a word where there is nothing to tell.
    let path = capture(dir.path(), &packets[..2]);
    let ran = run(["flows", "--app", path.to_str().unwrap()]);
    for (name, _, says) in counts {
        assert_eq!(ran.metrics()[name], 0, "{name}");
        assert!(!ran.said.contains(&says[2..]), "{says}: {ran:?}");
    }
}
