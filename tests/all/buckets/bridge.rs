//! The rows of the bridge.

use std::io::Write;
use std::path::{Path, PathBuf};

use pcap_compactor::Timestamp;
use pcap_compactor::capture::{PcapLayout, PcapWriter};

use super::ethernet;
use crate::command::run;
use crate::run::file;
use crate::traffic::START;

/// The folder of the bridge's references; nothing, and a loud word, where there is none.
fn references() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("PCAP_COMPACTOR_CORPUS").map_or(beside, PathBuf::from).join("reference/buckets");
    if folder.is_dir() {
        return Some(folder);
    }
    let missing = format!("no references in {}: set PCAP_COMPACTOR_CORPUS", folder.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    writeln!(std::io::stderr(), "LEFT OUT: the bridge's rows against references; {missing}")
        .expect("standard error takes text");
    None
}

#[test]
fn rows_of_the_bridge_are_those_of_its_references() {
    let Some(folder) = references() else { return };
    for (capture, options, reference) in [
        ("a_us_le.pcap", &[][..], "a_us_le.netflow.jsonl"),
        ("a_us_le.pcap", &["--every", "1s"], "a_us_le.1000ms.jsonl"),
        ("a_us_le.pcap", &["--mono-origin", "1699999990000000000"], "a_us_le.origin.jsonl"),
        ("b_ns_be.pcap", &[], "b_ns_be.netflow.jsonl"),
        ("empty.pcap", &[], "empty.netflow.jsonl"),
    ] {
        let capture = folder.join(capture);
        let arguments = ["buckets", "-q", "--dialect", "bridge", capture.to_str().unwrap()];
        let ran = run(arguments.iter().chain(options));
        assert_eq!((ran.code, ran.said.as_str()), (Some(0), ""));
        assert!(ran.out == std::fs::read_to_string(folder.join(reference)).unwrap(), "{reference}");
    }
}

/// What the bridge makes of one frame of each kind, by its rules: frames without IPv4 are `in`, cut headers have no ports, flags are
/// the lowest six, options are stepped over, fragments have ports that nobody sent.
#[test]
fn the_bridge_reads_headers_where_they_usually_are() {
    const BRIDGE: [u8; 4] = [10, 200, 0, 1];
    const GUEST: [u8; 4] = [10, 200, 0, 10];
    let tcp = |flags: u8| [&[156, 64, 1, 187, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags], &[0; 6][..]].concat();
    let options = |mut frame: Vec<u8>| {
        frame[14] = 0x46;
        frame.splice(34..34, [1; 4]);
        frame
    };
    let tagged = |mut frame: Vec<u8>| {
        frame.splice(12..12, [0x81, 0, 0, 5]);
        frame
    };
    let port_53 = [156, 64, 0, 53, 0, 8, 0, 0];
    for (frame, expected) in [
        (vec![1, 2, 3], "1 0 0 0 0 0 0 0 0 0 0"),
        (ethernet(6, GUEST, BRIDGE, &tcp(0x02)), "1 0 1 0 0 0 1 0 1 1 1"),
        (ethernet(6, BRIDGE, GUEST, &tcp(0x12)), "0 1 1 0 0 0 1 0 1 1 0"),
        (ethernet(6, BRIDGE, GUEST, &tcp(0xc5)), "0 1 0 1 1 0 1 0 1 1 0"),
        (ethernet(6, BRIDGE, GUEST, &tcp(0x02)[..19]), "0 1 0 0 0 0 1 0 1 0 0"),
        (options(ethernet(6, BRIDGE, GUEST, &tcp(0x02))), "0 1 1 0 0 0 1 0 1 1 1"),
        (tagged(ethernet(6, BRIDGE, GUEST, &tcp(0x02))), "1 0 0 0 0 0 0 0 0 0 0"),
        (ethernet(17, GUEST, BRIDGE, &port_53), "1 0 0 0 0 1 0 1 1 1 0"),
        (ethernet(17, GUEST, BRIDGE, &port_53[..7]), "1 0 0 0 0 1 0 0 1 0 0"),
        (ethernet(1, GUEST, BRIDGE, &port_53), "1 0 0 0 0 0 0 0 1 0 0"),
    ] {
        let mut writer = PcapWriter::new(Vec::new(), PcapLayout::default()).unwrap();
        writer.record(Timestamp(START), frame.len() as u32 + 1000, &frame).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "one.pcap", &writer.finish().unwrap());
        let ran = run(["buckets", "-q", "--dialect", "bridge", path.to_str().unwrap()]);
        let row = &ran.lines()[0];
        let keys = ["pkts_in", "pkts_out", "syn_count", "fin_count", "rst_count", "udp_count", "tcp_count"];
        let more = ["dns_query_count", "unique_dst_ips", "unique_dst_ports", "tcp_new_flows"];
        let said: Vec<String> = keys.iter().chain(&more).map(|key| row[*key].to_string()).collect();
        assert_eq!(said.join(" "), expected, "{frame:?}");
        assert_eq!(row["bytes_in"].as_u64().unwrap() + row["bytes_out"].as_u64().unwrap(), frame.len() as u64);
    }
}
