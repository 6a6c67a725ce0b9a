//! Cuts through the command line: 200 of them, one process each.

use std::process::Command;

use pcap_compactor::capture::Status;
use serde_json::Value;

use crate::damage::{built, expected, units};
use crate::run::{balances, file, number};

#[test]
fn a_cut_capture_ends_with_its_exit_code_and_a_balanced_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let captures: Vec<_> = built().into_iter().filter(|(name, _)| name.contains("four")).collect();
    for n in 0..200 {
        let (name, bytes) = &captures[n % captures.len()];
        // Every region of a file is met: a step that shares no factor with its length does that.
        let cut = (n / captures.len() * 1009 + n * 7) % (bytes.len() + 1);
        let path = file(dir.path(), "cut", &bytes[..cut]);
        let run = Command::new(env!("CARGO_BIN_EXE_pcap-compactor")).arg("compact").arg(&path).output().unwrap();
        let (packets, status, offset) = expected(&units(bytes), cut);
        let errors = String::from_utf8_lossy(&run.stderr);
        let lines = String::from_utf8(run.stdout).unwrap();
        let metrics: Value = serde_json::from_str(lines.lines().last().expect("there are metrics")).unwrap();
        assert_eq!(metrics["type"], "metrics");
        balances(&metrics);
        // A record without a time reads 0, which is late behind a record that has one.
        let whole = status == Status::Complete && number(&metrics["ledger"]["late"]["packets"]) == 0;
        let exit = match status {
            Status::Empty | Status::Unsupported => 1,
            _ if whole => 0,
            _ => 3,
        };
        assert_eq!(run.status.code(), Some(exit), "{name} cut at {cut}: {errors}");
        let told = &metrics["files"][0];
        assert_eq!(told["path"], path.display().to_string());
        assert_eq!(number(&told["packets"]), packets, "{name} cut at {cut}");
        assert_eq!((told["status"].as_str(), told["offset"].as_u64()), (Some(status.name()), offset));
        if status != Status::Complete {
            assert!(errors.contains(&path.display().to_string()), "{name} cut at {cut} is named: {errors}");
        }
    }
}
