//! Input and places that are not as they should be.

use std::fs;

use pcap_compactor::capture::Input;
use pcap_compactor::engine::Progress;
use pcap_compactor::sink::timeline::{About, Chunked};
use pcap_compactor::views::timeline::Mode;
use pcap_compactor::views::timeline::flags::{ACK, SYN};
use pcap_compactor::views::timeline::original::{Options, Original};
use pcap_compactor::views::timeline::table::{self, Names};
use pcap_compactor::{ErrorKind, Result, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use super::{HEADER, Place, T, files, row, small, table};
use crate::command::{Ran, command};
use crate::properties::cases;
use crate::run::gzip;

#[test]
fn a_table_without_its_columns_is_named_and_nothing_is_written() {
    let place =
        Place::new(&[("other.csv", b"time,src_ip\n1,a\n"), ("empty.csv", b""), ("good.csv", small().as_bytes())]);
    for (name, said) in [
        ("other.csv", "other.csv, line 1: no table of packets, for want of columns: flags; there are: time, src_ip"),
        ("empty.csv", "the file is empty"),
    ] {
        let ran = place.run(&[name]);
        assert!(ran.code == Some(1) && ran.said.contains(said), "{}", ran.said);
        assert_eq!(place.names(), ["empty.csv", "good.csv", "other.csv"]);
    }
    let ran = place.run(&["other.csv", "good.csv", "empty.csv"]);
    assert!(ran.code == Some(3) && ran.said.contains("for want of columns"), "{}", ran.said);
    assert_eq!(place.json("out/manifest.json")["total_packets"], 2);
}

/// Of what is not there the original takes 0 or no address.
#[test]
fn a_table_may_lack_columns_but_flags_and_is_told_of() {
    let place = Place::new(&[
        ("some.csv", b"flags,src_ip,dst_ip,src_port\n2,a,b,7\n"),
        ("whole.csv", small().as_bytes()),
        ("flags.csv", b"flags\n16\n"),
    ]);
    let ran = place.run(&["some.csv"]);
    let said = "some.csv: 1 row has not all columns: as in the original, taken for 0, or for no address; line 2: timestamp, dst_port, length\n";
    assert!(ran.code == Some(3) && ran.said.contains(said), "{}", ran.said);
    assert!(place.text("out/packets.csv").ends_with("\n0,a,b,7,0,2,SYN,0,0,0,\n"));
    std::fs::remove_dir_all(place.path("out")).unwrap();
    let ran = place.run(&["flags.csv", "whole.csv"]);
    assert_eq!((ran.code, &place.json("out/manifest.json")["total_packets"]), (Some(3), &3.into()), "{}", ran.said);
    assert!(place.text("out/packets.csv").contains("\n0,,,0,0,16,ACK,0,0,0,\n"));
}

#[test]
fn rows_that_are_wrong_are_left_out_and_counted() {
    let good = |time| row(T + time, "a", "b", (1, 2), ACK);
    let rows = [
        good(0),
        good(1).replace(&(T + 1).to_string(), "soon"),
        good(2) + ",7",
        "   ".into(),
        good(3).replace(",1,2,", ",http,,"),
        good(4).replace(&(T + 4).to_string(), "inf"),
        format!("{}.5,a,b,1,2,16", T + 5),
    ];
    let mut bytes = table(&rows).into_bytes();
    bytes.extend_from_slice(format!("{},\u{1}b,b,1,2,16\n", T + 6).as_bytes());
    let at = bytes.iter().rposition(|&byte| byte == 1).unwrap();
    bytes[at] = 0xff;
    let place = Place::new(&[("in.csv", &bytes)]);
    let ran = place.run(&["in.csv"]);
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    for said in [
        "in.csv: 2 rows have no time: left out; line 3 is the first: timestamp soon\n",
        "in.csv: 1 row has more cells than the header: left out; line 4: 11 of 10 cells\n",
        "in.csv: 1 row has no decimal number in column src_port: taken for none; line 6: src_port http\n",
        "in.csv: 1 row has an address that is not UTF-8: left out; line 9: src_ip \u{fffd}b\n",
    ] {
        assert!(ran.said.contains(said), "{said}: {}", ran.said);
    }
    let packets = place.text("out/packets.csv");
    let rows: Vec<_> = packets.lines().skip(1).collect();
    let times = [0, 3, 5].map(|time| T + time);
    assert_eq!(
        rows,
        [
            format!("{},a,b,1,2,16,ACK,1,0,60,6", times[0]),
            format!("{},a,b,0,0,16,ACK,1,0,60,6", times[1]),
            format!("{},a,b,1,2,16,ACK,0,0,0,", times[2]),
        ]
    );
}

#[test]
fn a_packed_table_that_is_cut_keeps_what_lies_before() {
    let rows: Vec<String> = (0..20_000).map(|n| row(T + n * n, "a", "b", ((n % 60_000) as u16 + 1, 80), SYN)).collect();
    let packed = gzip(table(&rows).as_bytes());
    let place = Place::new(&[("in.csv.gz", &packed[..packed.len() / 2])]);
    let ran = place.run(&["in.csv.gz"]);
    assert!(
        ran.code == Some(3)
            && ran.said.contains(&format!("in.csv.gz: the gzip stream is cut at byte {}, in line", packed.len() / 2)),
        "{}",
        ran.said
    );
    let packets = place.json("out/manifest.json")["total_packets"].as_u64().unwrap();
    assert!(packets > 1000 && ran.said.contains("packets before it kept"), "{packets}");
}

#[test]
fn captures_and_tables_are_not_mixed() {
    let place = Place::new(&[("in.csv", small().as_bytes()), ("a.pcap", &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0])]);
    let ran = place.run(&["in.csv", "a.pcap"]);
    assert!(ran.code == Some(2) && ran.said.contains("in.csv and a.pcap are not both"), "{}", ran.said);
}

#[test]
fn a_map_that_is_none_is_refused() {
    for map in [&b"{\"a\": \"1\"}"[..], b"[1]", b"{", b""] {
        let place = Place::new(&[("in.csv", small().as_bytes()), ("map.json", map)]);
        let ran = place.run(&["in.csv", "--ip-map", "map.json"]);
        assert!(ran.code == Some(1) && ran.said.contains("map.json: cannot be read as a map"), "{}", ran.said);
        assert_eq!(place.names(), ["in.csv", "map.json"]);
    }
}

/// The original takes times of any unit, and so does its mode; but it says so.
#[test]
fn times_of_another_unit_are_taken_and_remarked_on() {
    for (time, unit, way) in [
        ("1700000000", "seconds", "multiply it by 1,000,000"),
        ("1700000000000", "milliseconds", "multiply it by 1,000"),
        ("1700000000000000000", "nanoseconds", "divide it by 1,000"),
    ] {
        let rows = [row(T, "a", "b", (1, 2), SYN), row(T, "b", "a", (2, 1), SYN | ACK)];
        let rows = rows.map(|row| row.replace(&T.to_string(), time));
        let place = Place::new(&[("in.csv", table(&rows).as_bytes())]);
        let ran = place.run(&["in.csv"]);
        let said = format!(
            "in.csv: column timestamp: {time} looks like {unit}; times are microseconds since 1970 here, so {way}; as in the original, \
             times are taken as they are; line 2 is the first\n"
        );
        assert!(ran.code == Some(3) && ran.said.matches(&said).count() == 1, "{ran:?}");
        let packets = place.text("out/packets.csv");
        assert_eq!(packets.lines().skip(1).filter(|row| row.starts_with(&format!("{time},"))).count(), 2, "{packets}");
    }
    let place = Place::new(&[("in.csv", small().as_bytes())]);
    assert_eq!(place.run(&["in.csv"]).code, Some(0));
}

/// Two addresses of one number cannot be told apart; the original takes the last.
#[test]
fn two_addresses_of_one_number_are_refused_but_by_the_original() {
    let rows = table(&[row(T, "1", "2", (1, 2), ACK)]);
    let place = Place::new(&[
        ("in.csv", rows.as_bytes()),
        ("map.json", br#"{"10.0.0.1": 1, "10.0.0.2": 2, "10.0.0.3": 1, "10.0.0.4": 2}"#),
    ]);
    let run = |mode: &str| {
        let mut command = command(["timeline", "in.csv", "--ip-map", "map.json", "-o", "out", "--mode", mode]);
        Ran::of(command.current_dir(place.0.path()).output().unwrap())
    };
    let ran = run("correct");
    let said = "map.json: 10.0.0.1 and 10.0.0.3 both have the number 1; give each its own";
    assert!(ran.code == Some(1) && ran.said.contains(said), "{ran:?}");
    assert_eq!(place.names(), ["in.csv", "map.json"]);
    assert_eq!(run("original").code, Some(0));
    assert!(place.text("out/packets.csv").contains(",10.0.0.3,10.0.0.4,"));
}

#[test]
fn a_folder_is_replaced_only_if_it_is_a_timeline_and_only_when_asked() {
    let place = Place::new(&[("in.csv", small().as_bytes())]);
    fs::write(place.path("other.csv"), table(&[row(T, "x", "y", (1, 2), ACK)])).unwrap();
    fs::create_dir(place.path("out")).unwrap();
    assert_eq!(place.run(&["in.csv"]).code, Some(0), "an empty folder is as good as none");
    let before = files(&place.path("out"));
    let ran = place.run(&["other.csv"]);
    assert!(ran.code == Some(1) && ran.said.contains("exists already; --force replaces it"), "{}", ran.said);
    assert_eq!(files(&place.path("out")), before);

    fs::write(place.path("out/thesis.txt"), "ten years").unwrap();
    let ran = place.run(&["other.csv", "--force"]);
    assert!(ran.code == Some(1) && ran.said.contains("it holds thesis.txt, which is no part"), "{}", ran.said);
    assert_eq!(place.text("out/thesis.txt"), "ten years");
    fs::remove_file(place.path("out/thesis.txt")).unwrap();

    fs::rename(place.path("in.csv"), place.path("out/packets.csv")).unwrap();
    let ran = place.run(&["out/packets.csv", "--force"]);
    assert!(ran.code == Some(2) && ran.said.contains("lies in --output"), "{}", ran.said);

    assert_eq!(place.run(&["other.csv", "--force"]).code, Some(0));
    assert_eq!(place.json("out/ips/unique_ips.json"), serde_json::json!(["x", "y"]));
    assert_eq!(place.names(), ["other.csv", "out"]);
}

#[test]
fn a_file_in_the_way_stays() {
    let place = Place::new(&[("in.csv", small().as_bytes()), ("out", b"mine"), ("wall", b"mine")]);
    let ran = place.run(&["in.csv", "--force"]);
    assert!(ran.code == Some(1) && ran.said.contains("a file is there"), "{}", ran.said);
    let mut command = command(["timeline", "in.csv", "--mode", "original", "-o", "wall/out"]);
    let ran = Ran::of(command.current_dir(place.0.path()).output().unwrap());
    assert!(ran.code == Some(1) && ran.said.contains("wall"), "{}", ran.said);
    assert_eq!((place.text("out"), place.text("wall"), place.names().len()), ("mine".into(), "mine".into(), 3));
}

/// A limit on the size of files stands for a disk that is full.
#[cfg(unix)]
#[test]
fn a_write_that_fails_leaves_nothing() {
    let rows: Vec<String> = (0..2000).map(|n| row(T + n, "a", "b", (n as u16 + 1, 80), SYN)).collect();
    let place = Place::new(&[("in.csv", table(&rows).as_bytes())]);
    let ran = |blocks: &str| {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" timeline in.csv --mode original -o out");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_pcap-compactor")]);
        Ran::of(shell.current_dir(place.0.path()).output().unwrap())
    };
    // packets.csv, and then flows, which are larger.
    for blocks in ["16", "400"] {
        let ran = ran(blocks);
        assert!(ran.code == Some(1) && ran.said.contains("cannot write"), "{blocks}: {ran:?}");
        assert_eq!(place.names(), ["in.csv"], "{blocks}");
    }
    assert_eq!(ran("unlimited").code, Some(0));
}

/// Runs `in.csv` by the library, into `out`.
fn embedded(place: &Place, options: Options, progress: &Progress) -> Result<table::TableReport> {
    let about = About {
        created: Timestamp(0),
        sources: Vec::new(),
        choice: options.choice.clone(),
        context: None,
        mode: Mode::Original,
    };
    let mut sink = Chunked::create(&place.path("out"), false, 2, about)?;
    let inputs = [Input::File(place.path("in.csv"))];
    let mut machine = Original::new(options);
    let mut reports = table::run(&inputs, &Names::default(), Mode::Original, progress, &mut machine, &mut sink)?;
    Ok(reports.remove(0))
}

#[test]
fn a_run_that_is_stopped_leaves_nothing() {
    let place = Place::new(&[("in.csv", small().as_bytes())]);
    let progress = Progress::default();
    progress.stop();
    let error = embedded(&place, Options::default(), &progress).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Stopped));
    assert_eq!(place.names(), ["in.csv"]);
}

const NUMBERS: &[i64] = &[i64::MIN, i64::MAX, 0, 1, -1, 6, 16, 18, 17, T];
const OTHERS: &[&[u8]] =
    &[b"\"a,\n\"", b"\"", b"nan", b"1e300", b"", b"0x2", b"\xff", b"\r", b"9223372036854775808", b"\xf0\x9f\x98\x80"];

/// Cells as bad as they get.
fn cell() -> impl Strategy<Value = Vec<u8>> {
    let text = |n: i64| n.to_string().into_bytes();
    prop_oneof![
        4 => proptest::sample::select(NUMBERS).prop_map(text),
        4 => (0_i64..4).prop_map(text),
        1 => proptest::sample::select(OTHERS).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn no_cells_make_it_panic_or_write_what_does_not_add_up(
        rows in proptest::collection::vec(proptest::collection::vec(cell(), 1..12), 0..30),
        read_rows in 1_u64..9,
    ) {
        let mut bytes = format!("{HEADER}\n").into_bytes();
        for row in &rows {
            bytes.extend(row.join(&b','));
            bytes.push(b'\n');
        }
        let place = Place::new(&[("in.csv", &bytes)]);
        let report = embedded(&place, Options { read_rows, ..Options::default() }, &Progress::default()).unwrap();
        prop_assert!(report.failed.is_none());
        let manifest = place.json("out/manifest.json");
        prop_assert_eq!(&manifest["total_packets"], &Value::from(report.packets));
        let index = place.json("out/flows/flows_index.json");
        let index = index.as_array().unwrap();
        prop_assert_eq!(&manifest["total_flows"], &Value::from(index.len()));
        prop_assert_eq!(&manifest["total_chunks"], &Value::from(index.len().div_ceil(2)));
        let listed: u64 = index.iter().map(|flow| flow["totalPackets"].as_u64().unwrap()).sum();
        prop_assert!(listed <= manifest["tcp_packets"].as_u64().unwrap());
        let sent: u64 = place.json("out/ips/ip_stats.json").as_object().unwrap().values().map(|host| host["sent_packets"].as_u64().unwrap()).sum();
        let flagged: u64 = place.json("out/ips/flag_stats.json").as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        prop_assert_eq!([sent, flagged].map(Value::from), [manifest["tcp_packets"].clone(), manifest["tcp_packets"].clone()]);
        for flow in index {
            let file = place.json(&format!("out/flows/{}", flow["chunk_file"].as_str().unwrap()));
            let whole = &file[usize::try_from(flow["chunk_index"].as_u64().unwrap()).unwrap()];
            prop_assert_eq!(&whole["key"], &flow["key"]);
            prop_assert!(whole["packets"].as_array().unwrap().len() as u64 <= flow["totalPackets"].as_u64().unwrap());
        }
    }
}
