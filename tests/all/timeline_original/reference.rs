//! What the original wrote.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::files;
use crate::command::{Ran, command};

/// The folder of the original's output.
fn reference() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("PCAP_COMPACTOR_CORPUS").map_or(beside, PathBuf::from).join("reference/timearcs");
    if folder.join("out_default").is_dir() {
        return Some(folder);
    }
    let missing = format!("no references in {}: set PCAP_COMPACTOR_CORPUS", folder.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    writeln!(std::io::stderr(), "LEFT OUT: TimeArcs' own output; {missing}").expect("standard error takes text");
    None
}

#[test]
fn every_folder_of_the_original_is_the_same_byte_for_byte() {
    let Some(reference) = reference() else { return };
    let filter = [
        "--filter-ips=10.0.0.3",
        "--filter-time-start=1700000000000000",
        "--filter-time-end=1700000003000000",
        "--attack-context=port scan",
    ];
    let cases: [(&str, &str, &[&str], i32); 8] = [
        ("out_default", "tiny_input.csv", &[], 0),
        ("out_dotted", "tiny_input_dotted.csv", &[], 0),
        ("out_read8_chunk3", "tiny_input.csv", &["--read-rows=8", "--flows-per-file=3"], 0),
        ("out_filter", "tiny_input.csv", &filter, 0),
        ("out_edge_input", "edge_input.csv", &[], 0),
        ("out_edge_hexflags", "edge_hexflags.csv", &[], 3),
        ("out_idle_input", "idle_input.csv", &[], 0),
        ("out_idle_read3", "idle_input.csv", &["--read-rows=3"], 0),
    ];
    for (name, input, options, code) in cases {
        let around = tempfile::tempdir().unwrap();
        let out = around.path().join("out");
        let mut command = command(["timeline", input, "--mode", "original", "--ip-map", "ip_map.json", "-o"]);
        let ran = Ran::of(command.arg(&out).args(options).current_dir(&reference).output().unwrap());
        assert_eq!(ran.code, Some(code), "{name}: {}", ran.said);
        let (ours, theirs) = (files(&out), files(&reference.join(name)));
        assert!(theirs.len() >= 8, "{name}: {theirs:?}");
        assert_eq!(ours, theirs, "{name}");
        assert_eq!(
            ran.said.contains("in column flags: taken for none; line 2 is the first"),
            code == 3,
            "{}",
            ran.said
        );
    }
}
