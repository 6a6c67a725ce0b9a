//! The commands `timeline` and `view` over captures, as a script uses them.

use std::path::Path;
use std::process::Stdio;

use crate::command::{Ran, command, run};
use crate::flows::{pcap, segment, udp};
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
    for (options, why) in [
        (&["--max-records", "3"][..], "tables of packets"),
        (&["--ip-map", capture], "cannot be read as a map"),
        (&["--hosts", "mail"], "mail is no address"),
    ] {
        let ran = timeline(&[&[capture, "-o", out, "--force"], options].concat());
        assert!(ran.code != Some(0) && ran.said.contains(why), "{ran:?}");
    }
    let broken = file(dir.path(), "broken.pcap", b"\0\x01 no capture \0");
    let ran = timeline(&[broken.to_str().unwrap(), "-o", out, "--force"]);
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(Path::new(out).join("packets.csv").is_file(), "what was there stays");
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
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left");
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
    assert!(ran.out.contains("unique_ips.json: it says [\"10.0.0.1\"") && !ran.out.contains("String("), "{}", ran.out);
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

/// A run that waits for its input is ended, and leaves nothing under a temporary name.
#[cfg(unix)]
#[test]
fn nothing_stays_of_a_run_that_a_signal_ended() {
    for (signal, code) in [("INT", 130), ("HUP", 129)] {
        for arguments in [&["timeline", "-", "-o", "out"][..], &["buckets", "-", "-o", "out.csv"]] {
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
