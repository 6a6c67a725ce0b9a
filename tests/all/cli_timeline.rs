//! The commands `timeline` and `view` over captures, as a script uses them.

mod check;
mod inputs;
mod places;

use std::path::Path;

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{PcapLayout, PcapWriter};

use crate::command::{Ran, run};
use crate::flows::{frame, pcap, segment, udp};
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, SYN, Sent};
use crate::run::file;
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

#[test]
fn help_has_no_option_that_is_refused() {
    let ran = timeline(&["--help"]);
    assert!(ran.out.contains("--sensor") && !ran.out.contains("--by-sensor"), "{}", ran.out);
    assert!(run(["buckets", "--help"]).out.contains("--by-sensor"));
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

/// A filter that leaves nothing is no damage.
#[test]
fn a_filter_that_leaves_nothing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let ran = run(["buckets", capture.to_str().unwrap(), "--filter", "icmp"]);
    assert!(ran.code == Some(0) && ran.said.contains("not one of its 9 packets passes --filter"), "{ran:?}");
    assert!(!ran.said.contains("sound IP"), "{ran:?}");
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
        (&["view", capture, "--most-packets", "9"], "add --save FILE"),
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
    assert!(run("5").said.contains(said) && !run("50").said.contains(said), "{:?}", run("5"));
}
