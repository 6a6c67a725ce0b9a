//! Where results go: files that appear whole, pipes and devices that stay what they are.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use serde_json::Value;

use crate::command::{fifo, run};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_the_demonstration_keeps_is_whole_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().to_str().unwrap();
    let demo = || run(["demo", "--packets", "20000", "--keep", keep]);
    assert_eq!(demo().code, Some(0));
    assert_eq!(names(folder.path()), ["demo.jsonl", "demo.pcap"]);
    let records = fs::read_to_string(folder.path().join("demo.jsonl")).unwrap();
    let last: Value = serde_json::from_str(records.lines().last().unwrap()).unwrap();
    assert_eq!(last["type"], "metrics");
    fs::write(folder.path().join("demo.pcap"), "mine").unwrap();
    let again = demo();
    assert_eq!(again.code, Some(1));
    assert!(again.said.contains("demo.pcap: cannot create: it exists already; name another folder"), "{}", again.said);
    assert_eq!(fs::read(folder.path().join("demo.pcap")).unwrap(), b"mine");
    assert_eq!(names(folder.path()), ["demo.jsonl", "demo.pcap"]);
}

#[test]
fn a_made_capture_replaces_a_file_only_when_asked_and_a_device_or_pipe_never() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pcap");
    let synth =
        |out: &Path, options: &[&str]| run(["synth", out.to_str().unwrap(), "--packets", "2000"].iter().chain(options));
    assert_eq!(synth(&file, &[]).code, Some(0));
    let made = fs::read(&file).unwrap();
    let refused = synth(&file, &["--seed", "1"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.said.contains("a.pcap: cannot create: it exists already; --force replaces it"), "{}", refused.said);
    assert_eq!(fs::read(&file).unwrap(), made);
    assert_eq!(synth(&file, &["--seed", "1", "--force"]).code, Some(0));
    assert_ne!(fs::read(&file).unwrap(), made);
    for device in ["/dev/null", "/dev/zero"] {
        assert_eq!(synth(Path::new(device), &["--force"]).code, Some(0));
        assert!(fs::metadata(device).unwrap().file_type().is_char_device());
    }
    let pipe = fifo(folder.path());
    for options in [&[][..], &["--force"]] {
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        assert_eq!(synth(&pipe, options).code, Some(0));
        assert!(reader.join().unwrap() == made, "the capture went into the pipe");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    }
    assert_eq!(names(folder.path()), ["a.pcap", "fifo"]);
}
