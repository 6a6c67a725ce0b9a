//! What a run says of its input, and the exit code that goes with it.

use std::fs;
use std::path::Path;

use crate::command::run;
use crate::run::{file, number};
use crate::traffic::{Body, Frame, START, pcap, v4};

fn capture() -> Vec<u8> {
    let body = Body::Tcp { src_port: 40_000, dst_port: 80, flags: 0x02, payload: Vec::new() };
    pcap(&[
        Frame::new(START, v4(10, 0, 0, 1), v4(10, 0, 0, 2), body.clone()),
        Frame::new(START, v4(10, 0, 0, 1), v4(10, 0, 0, 3), body),
    ])
}

#[test]
fn without_any_capture_the_exit_code_is_1_and_with_a_damaged_one_3() {
    let dir = tempfile::tempdir().unwrap();
    let good = capture();
    let sound = file(dir.path(), "sound", &good);
    let cases: [(&str, &[u8], i32); 6] = [
        ("text", b"These are no packets, and there are more than 24 bytes of them.\n", 1),
        ("short", b"abc", 1),
        ("empty", b"", 1),
        ("cut", &good[..good.len() - 1], 3),
        ("cut in its header", &good[..20], 3),
        ("without packets", &good[..24], 0),
    ];
    for (name, bytes, code) in cases {
        let path = file(dir.path(), name, bytes);
        for command in ["compact", "inspect"] {
            let ran = run([Path::new(command), &path]);
            assert_eq!(ran.code, Some(code), "{command} {name}: {}", ran.said);
            assert!(code == 0 || command == "inspect" || ran.said.contains(name), "it is named: {}", ran.said);
            // Beside a sound one it makes the run a partial one.
            let ran = run([Path::new(command), &path, &sound]);
            assert_eq!(ran.code, Some(if code == 0 { 0 } else { 3 }), "{command} {name}: {}", ran.said);
        }
        // The account is given in any case.
        assert_eq!(number(&run([Path::new("compact"), &path]).metrics()["segments_seen"]), 1);
    }
    let missing = run(["compact", "/nowhere/at/all"]);
    assert_eq!(missing.code, Some(1), "{}", missing.said);
}

#[test]
fn an_empty_file_is_told_alike_named_and_found_in_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("empty.pcap"), "").unwrap();
    let empty = dir.path().join("empty.pcap");
    let (named, found) = (run([Path::new("compact"), &empty]), run([Path::new("compact"), dir.path()]));
    assert_eq!((named.code, &named.out), (found.code, &found.out));
    assert_eq!(named.metrics()["files"][0]["status"], "empty");
    let line = format!("{}: empty: the file is empty", empty.display());
    for ran in [named, found] {
        assert!(ran.said.lines().any(|said| said == line), "{}", ran.said);
    }
}
