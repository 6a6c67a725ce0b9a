//! The commands `timeline` and `view` over captures, as a script uses them.

use std::path::Path;
use std::process::Stdio;

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{PcapLayout, PcapWriter};

use crate::command::{Ran, command, run};
use crate::flows::{frame, pcap, segment, udp};
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, SYN, Sent};
use crate::run::{file, gzip, zstd};
use crate::traffic::START;

/// A connection and a datagram.
fn packets() -> Vec<Sent> {
    let at = |ms: i64| START + ms * SECOND / 1000;
    vec![
        segment(at(0), true, SYN, 100, 0, 0),
        segment(at(1), false, SYN | ACK, 500, 101, 0),
        segment(at(2), true, ACK, 101, 501, 0),
        segment(at(3), true, ACK, 101, 501, 40),
        segment(at(4), true, ACK, 101, 501, 40),
        udp(at(5), 2),
        segment(at(6), false, FIN | ACK, 501, 141, 0),
        segment(at(7), true, FIN | ACK, 141, 502, 0),
        segment(at(8), false, ACK, 502, 142, 0),
    ]
}

fn timeline(arguments: &[&str]) -> Ran {
    run(["timeline"].iter().chain(arguments))
}

#[test]
fn captures_become_folders_of_all_versions_that_are_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let capture = capture.to_str().unwrap();
    for (layout, versions) in [("2.0", &[""][..]), ("3.3+5.0", &["v3.3", "v5.0"]), ("all", &["v2.0", "v3.3", "v5.0"])] {
        for mode in ["correct", "original"] {
            let out = dir.path().join("out");
            let out = out.to_str().unwrap();
            let ran = timeline(&[capture, "-o", out, "--layout", layout, "--mode", mode, "--force"]);
            assert_eq!(ran.code, Some(0), "{}", ran.said);
            assert!(ran.said.contains("9 in the timeline") && ran.said.contains("in 1 flow"), "{}", ran.said);
            for version in versions {
                assert!(Path::new(out).join(version).join("manifest.json").is_file(), "{version}");
            }
            let checked = timeline(&["--check", out]);
            assert_eq!(
                (checked.code, checked.out.matches("in order").count()),
                (Some(0), versions.len()),
                "{checked:?}"
            );
        }
    }
}

#[test]
fn what_is_chosen_is_in_the_ledger_and_what_is_of_tables_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let (capture, out) = (capture.to_str().unwrap(), dir.path().join("out"));
    let out = out.to_str().unwrap();
    let ran = timeline(&[capture, "-o", out, "--hosts", "10.0.0.1", "--to", &(START / SECOND + 1).to_string()]);
    assert!(ran.said.contains("8 in the timeline") && ran.said.contains("1 filtered"), "{}", ran.said);
    for (options, why) in
        [(&["--ip-map", capture][..], "cannot be read as a map"), (&["--hosts", "mail"], "mail is no address")]
    {
        let ran = timeline(&[&[capture, "-o", out, "--force"], options].concat());
        assert!(ran.code != Some(0) && ran.said.contains(why), "{ran:?}");
    }
    let broken = file(dir.path(), "broken.pcap", b"\0\x01 no capture \0");
    let ran = timeline(&[broken.to_str().unwrap(), "-o", out, "--force"]);
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(Path::new(out).join("packets.csv").is_file(), "what was there stays");
}

#[test]
fn of_most_packets_the_first_are_taken_and_the_others_over_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let out = dir.path().join("out");
    let run = |most: &str, more: &[&str]| {
        let fixed = [capture.to_str().unwrap(), "-o", out.to_str().unwrap(), "--force", "--max-records", most];
        let ran = timeline(&[&fixed, more].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        ran.said
    };
    for (most, kept, over) in [("0", 9, 0), ("3", 3, 6), ("9", 9, 0), ("100", 9, 0)] {
        let said = run(most, &[]);
        assert!(said.contains(&format!("= {kept} in the timeline")), "{said}");
        assert_eq!(said.contains(&format!("{over} over a limit")), over > 0, "{said}");
    }
    let said = run("2", &["--hosts", "10.0.0.1", "--threads", "4"]);
    assert!(said.contains("= 2 in the timeline + 1 filtered + 6 over a limit"), "{said}");
    let table = std::fs::read_to_string(out.join("packets.csv")).unwrap();
    let flags: Vec<_> = table.lines().skip(1).map(|line| line.split(',').nth(6).unwrap()).collect();
    assert_eq!(flags, ["SYN", "SYN+ACK"]);
}

/// What is in no flow is counted by why, and the sum is that of all packets.
#[test]
fn every_packet_of_a_timeline_is_in_a_flow_or_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
    for (n, packet) in packets().iter().enumerate() {
        let frame = frame(packet);
        // One ends behind its ports, and one is a later fragment.
        let whole = frame.len() as u32;
        let mut frame = frame[..if n == 3 { 14 + 20 + 8 } else { frame.len() }].to_vec();
        if n == 4 {
            frame[20..22].copy_from_slice(&[0, 9]);
        }
        writer.record(Timestamp(packet.time), whole, &frame).unwrap();
    }
    let capture = file(dir.path(), "a.pcap", &writer.finish().unwrap());
    let table = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length,protocol\n\
        1700000000000000,a,b,1,2,2,60,6\n1700000000000001,a,b,0,2,2,60,6\n1700000000000002,a,,1,2,x,60,6\n\
        1700000000000003,a,b,1,2,0,60,17\n";
    let table = file(dir.path(), "t.csv", table.as_bytes());
    let header = "of TCP without its header, cut or later fragments";
    let ends = "of TCP without ports or names of hosts";
    for (input, mode, code, expected) in [
        (&capture, "correct", 0, format!("= 6 in flows + 1 not TCP + 2 {header}")),
        (&capture, "original", 0, format!("= 7 in flows + 1 not TCP + 1 {ends}")),
        (&table, "correct", 3, format!("= 2 in flows + 1 not TCP + 1 {header}")),
        (&table, "original", 3, format!("= 1 in flows + 1 not TCP + 2 {ends}")),
    ] {
        let out = dir.path().join("out");
        let [input, out] = [input, &out].map(|path| path.to_str().unwrap());
        let ran = timeline(&[input, "-o", out, "--mode", mode, "--force"]);
        assert_eq!(ran.code, Some(code), "{}", ran.said);
        assert!(ran.said.contains(&format!("{expected}\n")), "{input} {mode}: {}", ran.said);
        let checked = timeline(&["--check", out]);
        assert_eq!(checked.code, Some(0), "{input} {mode}: {}", checked.out);
    }
}

/// A folder goes into its place by its name, so the one that one stands in is not replaced.
#[test]
fn a_place_without_a_name_or_that_leads_nowhere_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let inside = dir.path().join("here");
    std::fs::create_dir(&inside).unwrap();
    let run = |place: &str| {
        let mut command = command(["timeline", capture.to_str().unwrap(), "--force", "-o", place]);
        Ran::of(command.current_dir(&inside).output().unwrap())
    };
    for place in [".", "./", "..", "../here/..", "/"] {
        let ran = run(place);
        assert_eq!(ran.code, Some(2), "{place}: {}", ran.said);
        assert!(ran.said.contains("name one in it, such as") && ran.said.contains("timeline"), "{}", ran.said);
    }
    assert_eq!((std::fs::read_dir(&inside).unwrap().count(), std::fs::read_dir(dir.path()).unwrap().count()), (0, 2));
    assert_eq!(run("../here/out").code, Some(0));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", inside.join("loose")).unwrap();
        let ran = run("loose");
        assert_eq!(ran.code, Some(1), "{}", ran.said);
        assert!(ran.said.contains("loose: cannot write: it is a link to what is not there; remove it"), "{}", ran.said);
        assert!(!ran.said.contains("os error") && !inside.join("nowhere").exists(), "{}", ran.said);
    }
}

#[test]
fn help_has_no_option_that_is_refused() {
    let ran = timeline(&["--help"]);
    assert!(ran.out.contains("--sensor") && !ran.out.contains("--by-sensor"), "{}", ran.out);
    assert!(run(["buckets", "--help"]).out.contains("--by-sensor"));
}

/// Tables and folders whose lines or quotes do not end are not held whole, and are told of.
#[test]
fn what_has_no_end_is_refused_early() {
    let dir = tempfile::tempdir().unwrap();
    let header = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length\n";
    let row = "1700000000000000,a,b,1,2,2,60\n";
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    let many = 3 << 20;
    for (text, code, kept) in [
        ([header, row, &"7".repeat(many)].concat(), 3, "in line 3; 1 packet before it kept"),
        ([header, row, row, "1,\"", &"a\n".repeat(many / 2)].concat(), 3, "in line 4; 2 packets before it kept"),
        ("7".repeat(many), 1, "the header cannot be read"),
    ] {
        let table = file(dir.path(), "t.csv", text.as_bytes());
        let ran = timeline(&[table.to_str().unwrap(), "-o", out, "--force"]);
        assert_eq!(ran.code, Some(code), "{}", ran.said);
        assert!(ran.said.contains("longer than 1 MiB") && ran.said.contains(kept), "{}", ran.said);
    }
    let packets = Path::new(out).join("packets.csv");
    let begin = std::fs::metadata(&packets).unwrap().len();
    let text = std::fs::read_to_string(&packets).unwrap() + &"7".repeat(many);
    std::fs::write(&packets, text).unwrap();
    let said = format!("the line that begins at byte {begin} is longer than 1 MiB");
    let page = dir.path().join("page.html");
    let ran = run(["view", "-q", out, "--save", page.to_str().unwrap()]);
    assert!(ran.code == Some(1) && ran.said.contains("packets.csv") && ran.said.contains(&said), "{}", ran.said);
    let ran = timeline(&["--check", out]);
    assert!(ran.code == Some(3) && ran.out.contains(&said), "{}", ran.out);
}

#[test]
fn a_name_that_viewers_cannot_read_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let table = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length\n1700000000000000,\"a,b\",c,1,2,2,60\n";
    let table = file(dir.path(), "t.csv", table.as_bytes());
    let out = dir.path().join("out");
    let ran = timeline(&[table.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains("\"a,b\"") && ran.said.contains("--ip-map"), "{}", ran.said);
    for layout in ["2.0", "3.3+5.0", "all"] {
        let ran = timeline(&[table.to_str().unwrap(), "-o", out.to_str().unwrap(), "--layout", layout]);
        let said =
            "t.csv, line 2: the host \"a,b\" cannot be written, for viewers know no quotes; give it another name";
        assert!(ran.code == Some(1) && ran.said.contains(said), "{layout}: {}", ran.said);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left");
}

/// What no packet can be is left out of a correct timeline, and taken by the original's.
#[test]
fn rows_that_no_packet_can_be_of_are_left_out_by_reason() {
    let dir = tempfile::tempdir().unwrap();
    let header = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length,seg_len";
    let rows = [
        "1700000000000000,a,b,1,2,2,60,0",
        "1700000000000001,a,b,70000,2,2,60,0",
        "1700000000000002,c,b,1,-80,2,60,0",
        "1700000000000003,a,b,1,2,70000,60,0",
        "1700000000000004,a,b,1,2,-2,60,0",
        "1700000000000005,a,b,1,2,2,-60,0",
        "1700000000000006,a,b,1,2,2,60,-1",
        "-5,a,b,1,2,2,60,0",
        "9007199254740993,a,b,1,2,2,60,0",
        "1700000000000007,a,b,1,2,2",
        "1700000000000008,a,b,1,2,16,60,",
        "1700000000000009,a,b,65535,0,4095,4294967295,4294967295",
    ];
    let table = file(dir.path(), "t.csv", format!("{header}\n{}\n", rows.join("\n")).as_bytes());
    let out = dir.path().join("out");
    let [table, out] = [&table, &out].map(|path| path.to_str().unwrap());
    let ran = timeline(&[table, "-o", out]);
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    for said in [
        "t.csv: 2 rows have a port that is not 0 to 65535: left out; line 3 is the first: src_port 70000\n",
        "t.csv: 2 rows have flags that are not 0 to 4095: left out; line 5 is the first: flags 70000\n",
        "t.csv: 2 rows have a length that is not 0 to 4294967295, or a longer payload: left out; line 7 is the first: length -60\n",
        "t.csv: 2 rows have a time before 1970 or beyond 2^53 microseconds: left out; line 9 is the first: timestamp -5\n",
        "t.csv: 1 row has fewer cells than the header: left out; line 11: 6 of 8 cells\n",
        "12 rows = 3 packets + left out: 2 bad port, 2 bad flags, 2 bad length, 2 bad time, 1 short row\n",
        "3 packets, 3 of TCP, of 2 hosts in 2 flows",
    ] {
        assert!(ran.said.contains(said), "{said}: {}", ran.said);
    }
    for layout in ["2.0", "all"] {
        let ran = timeline(&[table, "-o", out, "--force", "--layout", layout]);
        assert_eq!(ran.code, Some(3), "{}", ran.said);
        let checked = timeline(&["--check", out]);
        assert_eq!(checked.code, Some(0), "{}", checked.out);
    }
    let ran = timeline(&[table, "-o", out, "--force", "--mode", "original"]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.said.contains("12 packets") && !ran.said.contains("left out"), "{}", ran.said);
}

/// What standard input is, is told by as much of it as it takes, and nothing of it is lost.
#[test]
fn a_packed_stream_is_known_by_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    // Too much for one read, and nothing that packs well.
    let mixed = |n: u32| n.wrapping_mul(0x9e37_79b9) ^ n.wrapping_mul(0x85eb_ca6b) >> 13;
    let sent: Vec<Sent> = (0..5000).map(|n| segment(START + i64::from(n), true, SYN, mixed(n), mixed(!n), 0)).collect();
    let capture = pcap(&sent);
    let mut table = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length,seq_num\n".to_owned();
    (0..5000).for_each(|n| table += &format!("1700000000000000,a,b,1,2,2,60,{}\n", mixed(n)));
    for (what, bytes) in [("capture", &capture[..]), ("table", table.as_bytes())] {
        for packed in [gzip(bytes), zstd(bytes), bytes.to_vec()] {
            assert!(packed.len() > 3 * 8192, "{}", packed.len());
            let mut run = command(["timeline", "-", "-o", "out", "--force"]);
            run.current_dir(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = run.spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            for part in [&packed[..11], &packed[11..9000], &packed[9000..]] {
                std::io::Write::write_all(&mut stdin, part).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            drop(stdin);
            let ran = Ran::of(child.wait_with_output().unwrap());
            assert!(ran.code == Some(0) && ran.said.contains("5,000 packets, 5,000 of TCP"), "{what}: {}", ran.said);
        }
    }
}

/// What cannot be unpacked far enough to tell a table from a capture is damaged, and no table.
#[test]
fn a_damaged_packed_capture_is_called_one() {
    let dir = tempfile::tempdir().unwrap();
    let capture = pcap(&packets());
    let mut spoiled = gzip(&capture);
    spoiled[10] ^= 0xff;
    let [gz, zst] = [gzip(&capture), zstd(&capture)];
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    for (name, bytes, status, what) in [
        ("head.pcap.gz", &gz[..12], "truncated", "the gzip stream is cut"),
        ("cut.pcap.gz", &gz[..gz.len() / 2], "truncated", "the gzip stream is cut"),
        ("spoiled.pcap.gz", &spoiled, "corrupt", "the gzip stream is damaged"),
        ("head.pcap.zst", &zst[..7], "truncated", "the zstd stream is cut"),
        ("cut.pcap.zst", &zst[..zst.len() - 9], "truncated", "the zstd stream is cut"),
    ] {
        let capture = file(dir.path(), name, bytes);
        let capture = capture.to_str().unwrap();
        let page = dir.path().join("page.html");
        for arguments in [
            &["timeline", capture, "-o", out, "--force"][..],
            &["buckets", capture],
            &["view", capture, "--save", page.to_str().unwrap()],
        ] {
            let ran = run(arguments);
            let told = ran.said.lines().any(|line| {
                let at =
                    line.split_once(" at byte ").is_some_and(|(_, at)| at.starts_with(|c: char| c.is_ascii_digit()));
                line.starts_with(&format!("{capture}: {status}")) && at && line.contains(what)
            });
            assert!(told && matches!(ran.code, Some(1 | 3)), "{arguments:?}: {ran:?}");
            assert!(!ran.said.contains("columns") && !ran.said.contains("header"), "{arguments:?}: {}", ran.said);
        }
    }
}

/// Flows are written as they end, and listed as they begin.
#[test]
fn the_index_has_flows_in_the_order_of_their_starts() {
    let dir = tempfile::tempdir().unwrap();
    let at = |s: i64| START + s * SECOND;
    let other = |sent: Sent| Sent { src: (sent.src.0, 39_000), ..sent };
    let sent = [
        segment(at(0), true, SYN, 100, 0, 0),
        other(segment(at(1), true, SYN, 100, 0, 0)),
        // Silent for longer than a flow may be, so the first ends here.
        other(segment(at(9), true, SYN, 700, 0, 0)),
        segment(at(10), true, SYN, 900, 0, 0),
        Sent { src: ("10.0.0.1".parse().unwrap(), 38_000), ..segment(at(10), true, SYN, 1, 0, 0) },
    ];
    let capture = file(dir.path(), "same", &pcap(&sent));
    let out = dir.path().join("out/same");
    let [capture, out] = [&capture, &out].map(|path| path.to_str().unwrap());
    let ran = timeline(&[capture, "-o", out, "--flow-timeout", "5", "--flows-per-file", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let index = std::fs::read_to_string(Path::new(out).join("flows/flows_index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let listed = index.as_array().unwrap().iter().map(|flow| {
        let start = (flow["startTime"].as_i64().unwrap() - START / 1000) / 1_000_000;
        let chunk = flow["chunk_file"].as_str().unwrap().to_owned();
        (start, flow["initiatorPort"].as_i64().unwrap(), chunk, flow["chunk_index"].as_i64().unwrap())
    });
    let [first, second, third] = [0, 1, 2].map(|n| format!("chunk_0000{n}.json"));
    assert_eq!(
        listed.collect::<Vec<_>>(),
        [
            (0, 40_000, first.clone(), 1),
            (1, 39_000, first, 0),
            (9, 39_000, second.clone(), 0),
            (10, 38_000, third, 0),
            (10, 40_000, second, 1),
        ]
    );
    let ran = timeline(&["--check", out]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let ran = run(["view", out, "--save", "-"]);
    assert!(ran.code == Some(0) && ran.said.contains("5 packets, 5 flows, 2 hosts"), "{}", ran.said);
}

#[test]
fn a_table_without_protocols_is_of_tcp() {
    let dir = tempfile::tempdir().unwrap();
    let table = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length\n1700000000000000,a,b,1,2,2,60\n";
    let table = file(dir.path(), "t.csv", table.as_bytes());
    let out = dir.path().join("out");
    let ran = timeline(&[table.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert!(ran.code == Some(0) && ran.said.contains("1 of TCP") && ran.said.contains("1 flow"), "{}", ran.said);
}

/// Where no handshake was seen, who began a flow is a guess, and folders say so.
#[test]
fn a_guess_is_called_one() {
    let dir = tempfile::tempdir().unwrap();
    for (name, from, guessed) in [("whole", 0, 0), ("middle", 3, 1)] {
        let capture = file(dir.path(), name, &pcap(&packets()[from..]));
        let out = dir.path().join("out");
        let ran = timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap(), "--force"]);
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        let chunk = std::fs::read_to_string(out.join("flows/chunk_00000.json")).unwrap();
        assert_eq!(chunk.matches("\"initiator_guessed\": true").count(), guessed, "{name}");
        assert_eq!(timeline(&["--check", out.to_str().unwrap()]).code, Some(0));
    }
}

/// Bins that count too few are found, and what is wrong is told in JSON and briefly.
#[test]
fn a_check_finds_bins_that_count_nothing_and_is_brief() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let out = dir.path().join("out");
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    let change = |name: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(out.join(name)).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(out.join(name), text.replace(from, to)).unwrap();
    };
    change("indices/bins.json", "\"count\": 1", "\"count\": 0");
    change("ips/unique_ips.json", "10.0.0.2", "10.0.0.9");
    let ran = timeline(&["--check", out.to_str().unwrap()]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.out.contains("bins.json: 0 packets, of 9"), "{}", ran.out);
    assert!(ran.out.contains("unique_ips.json: it has not 10.0.0.2") && !ran.out.contains("String("), "{}", ran.out);
    assert!(ran.out.lines().all(|line| line.len() < 400), "{}", ran.out);
}

/// A page of a capture and one of its folder tell the same, and neither takes the place of what it shows.
#[test]
fn a_page_is_the_same_of_a_capture_and_of_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = pcap(&packets());
    let capture = file(dir.path(), "same", &bytes);
    let folder = dir.path().join("folder/same");
    let (capture, folder) = (capture.to_str().unwrap(), folder.to_str().unwrap());
    assert_eq!(timeline(&[capture, "-o", folder]).code, Some(0));
    let page = |input: &str| {
        let place = dir.path().join("page.html");
        let ran = run(["view", "-q", input, "--save", place.to_str().unwrap()]);
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        std::fs::read_to_string(place).unwrap()
    };
    let unexplained = |page: &str| {
        let at = page.find("\"unexplained\"").expect("it tells what has no step");
        page[at..].chars().take(60).collect::<String>()
    };
    let [of_capture, of_folder] = [capture, folder].map(page);
    assert!(unexplained(&of_capture).contains("retransmission"), "{}", unexplained(&of_capture));
    assert_eq!(unexplained(&of_capture), unexplained(&of_folder));
    for input in [capture, dir.path().to_str().unwrap()] {
        let ran = run(["view", "-q", input, "--save", capture]);
        assert!(ran.code == Some(2) && ran.said.contains("would take the place of an input"), "{ran:?}");
    }
    assert!(std::fs::read(capture).unwrap() == bytes);
}

/// Steps are found by their packets, in whatever order they stand, and equal packets are taken in turn.
#[test]
fn steps_in_reverse_make_the_same_page() {
    let dir = tempfile::tempdir().unwrap();
    let mut many = packets()[..3].to_vec();
    // The same time and number, so that only their acknowledgements tell some apart.
    many.extend((0..40).map(|n| segment(START + SECOND, true, ACK, 101, 501 + n / 2, 40)));
    let capture = file(dir.path(), "a.pcap", &pcap(&many));
    let out = dir.path().join("out");
    assert_eq!(timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap(), "--mode", "original"]).code, Some(0));
    let page = || {
        let place = dir.path().join("page.html");
        let ran = run(["view", "-q", out.to_str().unwrap(), "--save", place.to_str().unwrap()]);
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        std::fs::read_to_string(place).unwrap()
    };
    let before = page();
    let chunk = out.join("flows/chunk_00000.json");
    let mut flows: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&chunk).unwrap()).unwrap();
    let steps = flows[0]["phases"]["dataTransfer"].as_array_mut().unwrap();
    assert_eq!(steps.len(), 40);
    steps.reverse();
    std::fs::write(&chunk, flows.to_string()).unwrap();
    assert!(page() == before);
    // One more than there are packets of its kind.
    let steps = flows[0]["phases"]["dataTransfer"].as_array_mut().unwrap();
    steps.push(steps[0].clone());
    std::fs::write(&chunk, flows.to_string()).unwrap();
    let ran = run(["view", "-q", out.to_str().unwrap(), "--save", dir.path().join("other.html").to_str().unwrap()]);
    assert!(ran.code == Some(1) && ran.said.contains("its packet is not among packets"), "{}", ran.said);
}

/// A run that waits for its input is ended, and leaves nothing under a temporary name.
#[cfg(unix)]
#[test]
fn nothing_stays_of_a_run_that_a_signal_ended() {
    for (signal, code) in [("INT", 130), ("HUP", 129)] {
        for arguments in [&["timeline", "-", "-o", "out"][..], &["flows", "-", "-o", "out.csv"]] {
            let dir = tempfile::tempdir().unwrap();
            let mut run = command(arguments);
            let mut child = run.current_dir(dir.path()).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            std::io::Write::write_all(&mut stdin, &pcap(&packets())).unwrap();
            while std::fs::read_dir(dir.path()).unwrap().next().is_none() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            let kill = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
            assert!(kill.unwrap().success());
            assert_eq!(child.wait().unwrap().code(), Some(code), "{signal} {arguments:?}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{signal} {arguments:?}");
        }
    }
}

/// What a killed run left goes with the next run to the same place, and not while the run lives.
#[cfg(unix)]
#[test]
fn a_killed_run_is_cleared_away_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let begun = |layout: &str| {
        let mut run = command(["timeline", "-", "-o", "out", "--force", "--layout", layout]);
        let mut child = run.current_dir(dir.path()).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, &pcap(&packets())).unwrap();
        let under_way = format!(".{}-", child.id());
        let marked = || {
            let mut entries = std::fs::read_dir(dir.path()).unwrap().flatten();
            entries.any(|entry| {
                let ours = entry.file_name().to_string_lossy().contains(&under_way);
                ours && entry.path().join(".under-way").exists()
            })
        };
        while !marked() {
            assert!(child.try_wait().unwrap().is_none(), "it runs");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        (child, stdin)
    };
    let next = || {
        let mut run = command(["timeline", capture.to_str().unwrap(), "-o", "out", "--force"]);
        let ran = Ran::of(run.current_dir(dir.path()).output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        ran.said
    };
    let there = || std::fs::read_dir(dir.path()).unwrap().count();
    for layout in ["2.0", "all"] {
        let (mut child, stdin) = begun(layout);
        assert!(!next().contains("was killed"), "it lives");
        assert_eq!(there(), 3, "capture, folder, and what is under way");
        child.kill().unwrap();
        child.wait().unwrap();
        drop(stdin);
        assert_eq!(there(), 3);
        let said = next();
        assert_eq!(said.matches(".tmp: removed; a run that was killed had left it").count(), 1, "{said}");
        assert_eq!(there(), 2);
    }
    assert_eq!(timeline(&["--check", dir.path().join("out").to_str().unwrap()]).code, Some(0));
}

/// Nothing of anybody else's is replaced, however deep it lies.
#[test]
fn a_stranger_in_a_timeline_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let out = dir.path().join("out");
    let (capture, place) = (capture.to_str().unwrap(), out.to_str().unwrap());
    let again = || timeline(&[capture, "-o", place, "--layout", "all", "--force"]);
    assert_eq!(again().code, Some(0));
    for name in ["v2.0/flows/sub", "v3.3/resolutions/raw/my.csv", "v5.0/indices/flow_list/notes.txt", "notes.txt"] {
        let stranger = out.join(name);
        std::fs::write(&stranger, "mine").unwrap();
        let ran = again();
        let said = format!("it holds {name}, which is no part of a timeline; name another folder");
        assert!(ran.code == Some(1) && ran.said.contains(&said), "{ran:?}");
        assert_eq!(std::fs::read_to_string(&stranger).unwrap(), "mine");
        std::fs::remove_file(stranger).unwrap();
    }
    assert_eq!(again().code, Some(0));
}

/// Who began a flow is the same host in its list and in bins, also where that is not who began it.
#[test]
fn lists_and_bins_of_flows_name_the_same_host() {
    let dir = tempfile::tempdir().unwrap();
    // The server speaks first.
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()[6..]));
    let out = dir.path().join("out");
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap(), "--layout", "3.3+5.0"]);
    let folder = out.join("v5.0/indices");
    let list = std::fs::read_dir(folder.join("flow_list")).unwrap().map(|entry| entry.unwrap().path());
    let list = list.filter(|path| path.extension().is_some_and(|end| end == "csv")).last().unwrap();
    let list = std::fs::read_to_string(list).unwrap();
    let first = list.lines().nth(1).unwrap().split(',').nth(4).unwrap();
    let side = first.split(':').nth(2).unwrap();
    let bins: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("flow_bins_1s.json")).unwrap()).unwrap();
    let (pair, of) = bins[0]["flows_by_ip_pair"].as_object().unwrap().iter().next().unwrap();
    let (low, high) = pair.split_once("<->").unwrap();
    let begun =
        |host: &str| of["initiated_by"][host].as_object().unwrap().values().filter_map(|n| n.as_u64()).sum::<u64>();
    assert_eq!([begun(low), begun(high)], if side == "1" { [1, 0] } else { [0, 1] }, "{of}");
    assert_eq!(side, "0", "{list}");
}

/// A table may lack columns that flows have; and what flows have alone is told of.
#[test]
fn packets_of_a_table_without_numbers_are_those_of_flows() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let out = dir.path().join("out");
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    let table = out.join("packets.csv");
    let text = std::fs::read_to_string(&table).unwrap();
    let page = dir.path().join("page.html");
    let shown = |text: &str| {
        std::fs::write(&table, text).unwrap();
        run(["view", out.to_str().unwrap(), "--save", page.to_str().unwrap()])
    };
    let without = |gone: &[usize]| -> String {
        let row = |line: &str| {
            let cells = line.split(',').enumerate().filter(|(at, _)| !gone.contains(at));
            cells.map(|(_, cell)| cell).collect::<Vec<_>>().join(",") + "\n"
        };
        text.lines().map(row).collect()
    };
    for gone in [&[][..], &[7], &[8], &[7, 8]] {
        let ran = shown(&without(gone));
        assert!(ran.code == Some(0) && ran.said.contains("9 packets"), "{gone:?}: {ran:?}");
    }
    let ran = shown(&text.replacen(",101,501,", ",101,502,", 1));
    assert!(ran.code == Some(3) && ran.said.contains("1 packet of flows not among those of packets.csv"), "{ran:?}");
}

/// What is no file, or too long to be held, is not read.
#[cfg(unix)]
#[test]
fn a_check_reads_regular_files_of_sound_length() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let out = dir.path().join("out");
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    let (manifest, hosts) = (out.join("manifest.json"), out.join("ips/unique_ips.json"));
    let long = |path: &Path, length: u64| std::fs::File::create(path).unwrap().set_len(length).unwrap();
    let checked = || timeline(&["--check", out.to_str().unwrap()]);
    long(&hosts, (1 << 30) + 1);
    let ran = checked();
    assert!(ran.code == Some(3) && ran.out.contains("unique_ips.json: expected value"), "{ran:?}");
    std::fs::remove_file(&hosts).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &hosts).unwrap();
    let ran = checked();
    assert!(ran.code == Some(3) && ran.out.contains("unique_ips.json: is not a regular file"), "{ran:?}");
    long(&manifest, (16 << 20) + 1);
    let ran = checked();
    assert!(ran.code == Some(1) && ran.said.contains("it is longer than 16 MiB"), "{ran:?}");
    std::fs::remove_file(&manifest).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &manifest).unwrap();
    let ran = checked();
    assert!(ran.code == Some(1) && ran.said.contains("it is not a regular file"), "{ran:?}");
    std::fs::remove_file(&manifest).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&manifest).status().unwrap().success());
    let ran = checked();
    assert!(ran.code == Some(1) && ran.said.contains("it is not a regular file"), "{ran:?}");
}

/// Of several versions each finding says which it is of, and what lies beside them is told.
#[test]
fn a_check_of_several_versions_names_them() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let out = dir.path().join("out");
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap(), "--layout", "all"]);
    let checked = || timeline(&["--check", out.to_str().unwrap()]);
    let ran = checked();
    assert!(ran.code == Some(0) && !ran.out.contains("is no version"), "{ran:?}");
    std::fs::write(out.join("v5.0/odd"), "").unwrap();
    std::fs::write(out.join("v3.3.zip"), "").unwrap();
    std::fs::create_dir(out.join("v6.0")).unwrap();
    std::fs::write(out.join("v2.0/ips/flag_stats.json"), "{}").unwrap();
    let ran = checked();
    assert_eq!(ran.code, Some(3));
    for said in
        ["v2.0/ips/flag_stats.json: ", "note: v5.0/odd: ", "note: v3.3.zip: it is no version", "note: v6.0: it is"]
    {
        assert!(ran.out.lines().any(|line| line.starts_with(said)), "{said}: {}", ran.out);
    }
}

/// A filter that leaves nothing is no damage.
#[test]
fn a_filter_that_leaves_nothing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let ran = run(["buckets", capture.to_str().unwrap(), "--filter", "icmp"]);
    assert!(ran.code == Some(0) && ran.said.contains("not one of its 9 packets passes --filter"), "{ran:?}");
    assert!(!ran.said.contains("sound IP"), "{ran:?}");
}

/// What lies elsewhere is checked, and noted.
#[cfg(unix)]
#[test]
fn a_check_tells_of_links() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let [out, aside] = ["out", "aside"].map(|name| dir.path().join(name));
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    std::fs::create_dir(&aside).unwrap();
    for name in ["packets.csv", "flows", "manifest.json"] {
        std::fs::rename(out.join(name), aside.join(name)).unwrap();
        symlink(aside.join(name), out.join(name)).unwrap();
    }
    let ran = timeline(&["--check", out.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for name in ["packets.csv", "flows", "manifest.json"] {
        let said = format!("note: {name}: is a symbolic link; ");
        assert_eq!(ran.out.matches(&said).count(), 1, "{}", ran.out);
    }
    assert!(!ran.out.contains("is no part"), "{}", ran.out);
    std::fs::remove_file(aside.join("packets.csv")).unwrap();
    let ran = timeline(&["--check", out.to_str().unwrap()]);
    assert!(ran.code == Some(3) && ran.out.contains("packets.csv: No such file"), "{}", ran.out);
}

/// What would be passed over beside the other options is refused, with the way out.
#[test]
fn an_option_that_changes_nothing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let table = file(dir.path(), "t.csv", b"timestamp,src_ip,dst_ip,src_port,dst_port,flags,length\n1,a,b,1,2,2,60\n");
    let (capture, table) = (capture.to_str().unwrap(), table.to_str().unwrap());
    let (out, page) = (dir.path().join("out"), dir.path().join("page.html"));
    let (out, page) = (out.to_str().unwrap(), page.to_str().unwrap());
    let cases: [(&[&str], &str); 14] = [
        (&["timeline", capture, "-o", out, "--read-rows", "9"], "add --mode original"),
        (&["timeline", table, "-o", out, "--chunk-read-size", "500000", "--mode", "correct"], "add --mode original"),
        (&["timeline", capture, "-o", out, "--mode", "original", "--reorder", "9"], "leave out one of the two"),
        (&["timeline", capture, "-o", out, "--layout", "3.3+5.0", "--flows-per-file", "9"], "take --layout all"),
        (&["timeline", table, "-o", out, "--tunnels", "outer"], "--tunnels is about captures"),
        (&["timeline", "--check", out, "--mode", "original"], "cannot be used with '--mode"),
        (&["timeline", "--check", out, "--force"], "cannot be used with '--force"),
        (&["timeline", "--check", out, "--from", "2024-01-01"], "cannot be used with '--from"),
        (&["timeline", "--check", out, "--no-rst"], "cannot be used with '--no-rst"),
        (&["buckets", capture, "--dialect", "bridge", "--filter", "tcp"], "cannot be used with '--filter"),
        (&["buckets", capture, "--dialect", "bridge", "--no-pure-acks"], "cannot be used with '--no-pure-acks"),
        (&["buckets", capture, "--dialect", "bridge", "--by-sensor"], "cannot be used with '--by-sensor"),
        (&["view", capture, "--most-packets", "9"], "--save <FILE>"),
        (&["view", capture, "--save", page, "--open"], "cannot be used with '--open"),
    ];
    for (arguments, said) in cases {
        let ran = run(arguments);
        assert!(ran.code == Some(2) && ran.said.contains(said), "{arguments:?}: {ran:?}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing was written");
    let ran = timeline(&[capture, "-o", out, "--mode", "original", "--read-rows", "9", "--flows-per-file", "9"]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}

/// What is no timeline is called what it is.
#[test]
fn a_check_of_something_else_says_what_it_is_and_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let [out, empty, other] = ["out", "empty", "other"].map(|name| dir.path().join(name));
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    [&empty, &other].into_iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    for name in ["a.txt", "b.txt", "c.txt", "d.txt"] {
        file(&other, name, b"");
    }
    let manifest = out.join("manifest.json");
    for (path, said) in [
        (&capture, "is a file, and --check is about folders; name the folder of a timeline".to_owned()),
        (
            &manifest,
            format!("is a file, and --check is about folders; name the folder of a timeline: {}", out.display()),
        ),
        (&empty, "is an empty folder, and no timeline; `pcap-compactor timeline CAPTURE -o DIR` makes one".into()),
        (&other, "is no timeline: it has no manifest.json, but a.txt, b.txt, c.txt and 1 more; `pcap-compactor".into()),
        (&dir.path().to_owned(), "is no timeline, and has no manifest.json; name a folder in it: out".into()),
        (&dir.path().join("none"), "No such file or directory (os error 2); name the folder of a timeline".into()),
    ] {
        let ran = timeline(&["--check", path.to_str().unwrap()]);
        let said = format!("{}: {said}", path.display());
        assert!(ran.code == Some(1) && ran.said.contains(&said), "{said}\n{}", ran.said);
    }
}

#[test]
fn packets_that_come_too_late_to_be_put_in_order_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut late = packets();
    let first = late.remove(0);
    late.push(Sent { time: first.time - 30 * SECOND / 1000, ..first });
    let capture = file(dir.path(), "a.pcap", &pcap(&late));
    let out = dir.path().join("out");
    let run =
        |ms: &str| timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap(), "--force", "--reorder", ms]);
    let said = "1 packet of these came behind later ones";
    assert!(run("20").said.contains(said) && !run("50").said.contains(said), "{:?}", run("20"));
}
