//! The lines of JSON: their fields in their order, and the values of the records they stand for.

use pcap_compactor::Config;
use proptest::prelude::*;
use serde_json::Value;

use crate::model::{Range, SECOND};
use crate::properties::cases;
use crate::run::{PLAIN, file, inputs, job, say};
use crate::traffic::{Body, Frame, START, frames, pcap, v4};

/// The lines as they are written, metrics included.
fn raw(frames: &[Frame], config: &Config) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut out = Vec::new();
    let mut sink = pcap_compactor::sink::jsonl::JsonLines::new(&mut out, "memory", Default::default());
    let path = file(dir.path(), "shape.pcap", &pcap(frames));
    job(config, Range::default(), PLAIN).run(inputs(&[path]), &mut sink).unwrap();
    drop(sink);
    String::from_utf8(out).unwrap()
}

fn tcp(time: i64, from_client: bool, dst_port: u16, flags: u8, payload: &[u8]) -> Frame {
    let (client, server) = (v4(192, 0, 2, 1), v4(192, 0, 2, 80));
    let payload = payload.to_vec();
    match from_client {
        true => Frame::new(time, client, server, Body::Tcp { src_port: 40_000, dst_port, flags, payload }),
        false => Frame::new(time, server, client, Body::Tcp { src_port: dst_port, dst_port: 40_000, flags, payload }),
    }
}

#[test]
fn a_group_is_written_as_the_issue_has_it() {
    let lines = raw(
        &[
            tcp(START + 1, true, 80, 0x02, b""),
            tcp(START + 2, false, 80, 0x12, b""),
            tcp(START + SECOND, true, 80, 0x18, b"GET /a?q=' HTTP/1.1\r\n\r\n"),
            tcp(START + 3 * SECOND, false, 80, 0x11, b""),
        ],
        &Config::default(),
    );
    assert_eq!(
        lines.lines().next().unwrap(),
        concat!(
            r#"{"type":"group","key":{"src_ip":"192.0.2.1","dst_ip":"192.0.2.80","dst_port":80,"transport":"tcp","#,
            r#""service":"http"},"first_ts":1697716800.000000001,"last_ts":1697716803.000000000,"#,
            r#""duration_s":2.999999999,"counts":{"pkts_up":2,"pkts_dn":2,"bytes_up":131,"bytes_dn":108},"#,
            r#""tcp_flags":{"syn":2,"ack":3,"rst":0,"fin":1},"tokens":{"pkts_up_bin":1,"pkts_dn_bin":1,"#,
            r#""bytes_up_bin":7,"bytes_dn_bin":6,"dur_bin":1,"syn_bin":2,"ack_bin":3,"rst_bin":0,"fin_bin":1},"#,
            r#""http":{"uri_tokens":["'","a","q"],"uri_tokens_total":3},"#,
            r#""lineage_hour":[1697716800,1697720400],"flows":1,"direction":"syn"}"#,
        )
    );
}

#[test]
fn commands_are_counted_by_name_under_their_protocol() {
    let lines = raw(&[tcp(START, true, 21, 0x18, b"USER a\r\nuser b\r\nPASV\r\n")], &Config::default());
    let group: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(group["ftp"].to_string(), r#"{"PASV":1,"USER":2}"#);
    assert!(group.get("http").is_none() && group.get("smb").is_none());
    let lines = raw(&[tcp(START, true, 445, 0x18, &crate::traffic::smb2_negotiate())], &Config::default());
    let group: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(group["smb"].to_string(), r#"{"SMB2_NEGOTIATE":1}"#);
}

#[test]
fn a_scan_is_written_as_the_issue_has_it() {
    let frames: Vec<Frame> = (1..=3).map(|port| tcp(START + i64::from(port), true, port, 0x02, b"")).collect();
    let lines = raw(&frames, &Config { scan_unique_ports_threshold: 2, ..Config::default() });
    let line = lines.lines().next().unwrap();
    let targets = line.find("\"sample_targets\"").unwrap()..line.find(",\"transport\"").unwrap();
    assert_eq!(
        [&line[..targets.start], &line[targets.end..]].concat(),
        concat!(
            r#"{"type":"scan","src_ip":"192.0.2.1","window":[1697716800,1697720400],"unique_dsts":1,"unique_ports":3,"#,
            r#""syn_only_ratio":1.0,,"transport":"tcp","kind":"vertical","forest":"none","answered":0,"groups":3,"#,
            r#""packets":3,"bytes":162}"#,
        )
    );
    for port in 1..=3 {
        assert!(line[targets.clone()].contains(&format!(r#"["192.0.2.80",{port}]"#)), "{line}");
    }
}

#[test]
fn the_metrics_have_every_field_in_its_order_and_come_last_and_once() {
    let lines = raw(&[tcp(START, true, 80, 0x02, b"")], &Config::default());
    assert_eq!(lines.lines().filter(|line| line.starts_with(r#"{"type":"metrics""#)).count(), 1);
    let metrics = lines.lines().last().unwrap();
    let mut at = 0;
    for key in "type segments_seen segments_valid packets_processed groups_emitted scan_candidates scans_collapsed \
                scan_outliers_kept http_enriched ftp_enriched smb_enriched sampling_applied ledger read packets \
                wire_bytes captured_bytes kept collapsed filtered out_of_window duplicate late not_ip malformed \
                over_limit malformed_by not_ip_by transports tcp udp fragment other tcp_flag_packets syn ack rst fin \
                tunnels files path format compression link_types packets wire_bytes accepted without_time status \
                offset message"
        .split_whitespace()
    {
        let key = format!("\"{key}\":");
        at += metrics[at..].find(&key).unwrap_or_else(|| panic!("{key} behind byte {at} of {metrics}")) + key.len();
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_line_says_what_its_record_says(frames in frames(100)) {
        let config = Config { scan_unique_dsts_threshold: 1, ..Config::default() };
        let dir = tempfile::tempdir().unwrap();
        let (said, _) = say(&[file(dir.path(), "shape.pcap", &pcap(&frames))], &config, Range::default(), PLAIN);
        let lines = raw(&frames, &config);
        let mut values = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let exact = |ns: i64| format!("{}.{:09}", ns / SECOND, ns % SECOND);
        for (_, groups, scans) in &said.windows {
            for group in groups {
                let value = values.next().unwrap();
                prop_assert_eq!(value["key"]["src_ip"].as_str().unwrap(), group.key.src_ip.to_string());
                prop_assert_eq!(value["key"]["dst_ip"].as_str().unwrap(), group.key.dst_ip.to_string());
                prop_assert_eq!(value["key"]["dst_port"].as_u64(), Some(u64::from(group.key.dst_port)));
                prop_assert_eq!(value["first_ts"].to_string(), exact(group.first_ts.0));
                prop_assert_eq!(value["last_ts"].to_string(), exact(group.last_ts.0));
                prop_assert_eq!(value["duration_s"].to_string(), exact(group.duration_ns()));
                prop_assert_eq!(value["counts"]["bytes_dn"].as_u64(), Some(group.counts.bytes_dn));
                prop_assert_eq!(value["tokens"]["dur_bin"].as_i64(), Some(i64::from(group.tokens.dur_bin)));
                prop_assert_eq!(value["flows"].as_u64(), Some(group.flows));
            }
            for scan in scans {
                let value = values.next().unwrap();
                prop_assert_eq!(&value["type"], "scan");
                prop_assert_eq!(value["syn_only_ratio"].as_f64(), Some(scan.syn_only_ratio));
                prop_assert_eq!(value["sample_targets"].as_array().unwrap().len(), scan.sample_targets.len());
            }
        }
        prop_assert_eq!(&values.next().unwrap()["type"], "metrics");
        prop_assert!(values.next().is_none());
    }
}
