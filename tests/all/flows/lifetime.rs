//! When flows begin, end and leave.

use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::flows::FlowSink;
use pcap_compactor::views::flows::{
    ClientRule, EndReason, FlowCounts, FlowJob, FlowRecord, GoesOn, Lifetime, Settings, TcpEnd,
};
use pcap_compactor::{Engine, Result};

use super::{all, connection, flows_of, pcap, say, segment, udp};
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, RST, SYN, Sent};
use crate::run::{PLAIN, file, inputs};
use crate::traffic::START;

/// Counts flows by the marker at which they left.
#[derive(Default)]
struct ByMarker {
    left: Vec<u64>,
    now: u64,
}

impl FlowSink for ByMarker {
    fn on_flow(&mut self, _: &FlowRecord) -> Result<()> {
        self.now += 1;
        Ok(())
    }

    fn on_marker(&mut self) -> Result<()> {
        self.left.push(std::mem::take(&mut self.now));
        Ok(())
    }

    fn on_metrics(&mut self, _: &Metrics<FlowCounts>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_million_flows_of_one_packet_leave_as_they_end() {
    let dir = tempfile::tempdir().unwrap();
    let many = 1_000_000_u32;
    let packets: Vec<Sent> = (0..many).map(|n| udp(START + i64::from(n) * SECOND / 1000, n)).collect();
    let paths = [file(dir.path(), "many.pcap", &pcap(&packets))];
    for threads in [1, 3] {
        let mut left = ByMarker::default();
        let engine = Engine::builder().threads(threads);
        let lifetime = Lifetime { udp_idle: Some(SECOND), ..Lifetime::default() };
        let settings = Settings { lifetime, columns: all(), ..Settings::default() };
        FlowJob::new(settings).engine(engine).run(inputs(&paths), &mut left).unwrap();
        assert_eq!(left.left.iter().sum::<u64>(), u64::from(many));
        // All but those of the last second have left at each marker.
        for (place, pair) in left.left.iter().take(15).enumerate() {
            assert!((64_000..=66_600).contains(pair), "{place}: {:?}", left.left);
        }
    }
}

#[test]
fn a_closed_connection_ends_with_the_next_one_and_keeps_what_trails() {
    let mut packets = connection(START, 1000, 5000);
    packets.push(segment(START + SECOND, false, RST, 6002, 0, 0));
    packets.extend(connection(START + 2 * SECOND, 70_000, 90_000));
    let flows = flows_of(&packets, &Settings { columns: all(), ..Settings::default() });
    let said: Vec<_> = flows.iter().map(|flow| (flow.end_reason.name(), flow.amount.packets)).collect();
    assert_eq!(said, [("fin", 9), ("fin", 8)]);
    assert!(flows.iter().all(|flow| flow.handshake_ns == Some(50_000_000) && flow.direction.name() == "syn"));
    let again = flows_of(&packets, &Settings { lifetime: Lifetime::NEVER, ..Settings::default() });
    assert_eq!((again.len(), again[0].end_reason.name()), (1, "eof"));
}

#[test]
fn ports_are_used_anew_when_nobody_answered_or_nothing_was_said_for_a_while() {
    let settings = Settings::default();
    let reasons = |packets: &[Sent]| -> Vec<(&str, u64)> {
        flows_of(packets, &settings).iter().map(|flow| (flow.end_reason.name(), flow.amount.packets)).collect()
    };
    let syn = |at: i64, seq: u32| segment(START + at, true, SYN, seq, 0, 0);
    // The same SYN again is the same connection; another is another, for nobody has answered.
    assert_eq!(reasons(&[syn(0, 1), syn(SECOND, 1), syn(2 * SECOND, 7)]), [("reuse", 2), ("eof", 1)]);
    let open = [
        segment(START, true, SYN, 1, 0, 0),
        segment(START + 1, false, SYN | ACK, 9, 2, 0),
        segment(START + 2, true, ACK, 2, 10, 50),
    ];
    let with = |at: i64| [open.as_slice(), &[syn(at, 77)]].concat();
    assert_eq!(reasons(&with(SECOND / 2)), [("eof", 4)], "a stray SYN cuts no connection at work");
    assert_eq!(reasons(&with(3 * SECOND)), [("reuse", 3), ("eof", 1)]);
    assert_eq!(reasons(&with(301 * SECOND)), [("idle", 3), ("eof", 1)]);
}

#[test]
fn markers_cut_no_flow_that_the_active_timeout_does_not() {
    let step = 3 * SECOND / 10;
    let settings = Settings {
        lifetime: Lifetime { active: Some(SECOND / 2), ..Lifetime::default() },
        columns: all(),
        ..Settings::default()
    };
    // Each flow has two packets: the next is beyond the timeout. Enough for markers inside of the file.
    let (tuples, rounds) = (20, 8000);
    let packets: Vec<Sent> = (0..rounds * tuples)
        .map(|n| udp(START + i64::from(n / tuples) * step + i64::from(n % tuples) * SECOND / 100, n % tuples))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let whole = [file(dir.path(), "whole.pcap", &pcap(&packets))];
    let parts: Vec<_> =
        packets.chunks(7777).zip(0..).map(|(part, n)| file(dir.path(), &format!("{n}.pcap"), &pcap(part))).collect();
    let said = |paths: &[std::path::PathBuf]| {
        let mut flows = say(paths, settings.clone(), PLAIN).flows;
        flows.sort_by_key(|flow| (flow.first_ts, flow.src_ip));
        flows.iter().map(|flow| (flow.flow_id(), flow.end_reason, flow.amount.packets)).collect::<Vec<_>>()
    };
    let flows = said(&whole);
    assert_eq!(flows.len(), (rounds * tuples / 2) as usize);
    assert!(flows.iter().all(|&(_, _, packets)| packets == 2));
    let active = flows.iter().filter(|(_, reason, _)| *reason == EndReason::Active).count();
    assert_eq!(active, flows.len() - tuples as usize);
    assert!(said(&parts) == flows);
}

#[test]
fn rules_that_look_at_flags_end_flows_at_once_or_with_the_next_syn() {
    let mut packets = connection(START, 1000, 5000);
    // The client's FIN comes twice.
    packets.insert(6, Sent { time: START + SECOND / 10, ..packets[5].clone() });
    packets.extend(connection(START + 2 * SECOND, 70_000, 90_000));
    let said = |tcp_end| -> Vec<(&str, u64)> {
        let lifetime = Lifetime { tcp_end, ..Lifetime::default() };
        // The ledger is asked by the sink of these tests.
        let flows = flows_of(&packets, &Settings { lifetime, client: ClientRule::FirstPacket, ..Settings::default() });
        flows.iter().map(|flow| (flow.end_reason.name(), flow.amount.packets)).collect()
    };
    assert_eq!(said(TcpEnd::Closed), [("fin", 9), ("fin", 8)]);
    assert_eq!(said(TcpEnd::States), [("reuse", 9), ("eof", 8)]);
    assert_eq!(said(TcpEnd::Never), [("eof", 17)]);
    // The second FIN is left out; the last ACK and what follows are of another flow.
    assert_eq!(said(TcpEnd::BackwardFin), [("fin", 7), ("fin", 8), ("eof", 1)]);
    // What a FIN begins it does not end; the next one does.
    assert_eq!(said(TcpEnd::FirstFin), [("fin", 6), ("fin", 2), ("fin", 7), ("eof", 2)]);
    // What follows the first FIN is left out, up to the next SYN.
    assert_eq!(said(TcpEnd::AnyFin), [("fin", 6), ("fin", 6)]);
}

/// Longer than the idle timeout, and across files.
#[test]
fn ports_stay_closed_behind_a_fin() {
    let at = |second: i64, flags| segment(START + second * SECOND, true, flags, 1, 1, 10);
    // Before the FIN by 1 s, behind it by 100 s and 239 s, and by 240 s.
    let packets = [at(10, SYN), at(11, FIN | ACK), at(10, ACK), at(111, ACK), at(250, ACK), at(251, ACK), at(252, ACK)];
    let lifetime = Lifetime { tcp_idle: Some(5 * SECOND), tcp_end: TcpEnd::AnyFin, ..Lifetime::default() };
    let settings = Settings { lifetime, reorder: 0, ..Settings::default() };
    let dir = tempfile::tempdir().unwrap();
    for cuts in [&[][..], &[3, 4, 5], &[4]] {
        let mut rest = &packets[..];
        let mut paths = Vec::new();
        for (n, &cut) in cuts.iter().chain(&[packets.len()]).enumerate() {
            let part;
            (part, rest) = rest.split_at(cut - (packets.len() - rest.len()));
            paths.push(file(dir.path(), &format!("{n}.pcap"), &pcap(part)));
        }
        let said = say(&paths, settings.clone(), PLAIN);
        let flows: Vec<_> = said.flows.iter().map(|flow| (flow.end_reason.name(), flow.amount.packets)).collect();
        assert_eq!(flows, [("fin", 2), ("eof", 2)], "{cuts:?}");
        assert_eq!(said.metrics["ledger"]["filtered"]["packets"], 3);
    }
}

#[test]
fn what_goes_on_behind_the_active_timeout_keeps_its_client() {
    let at = |second: i64, up: bool| segment(START + second * SECOND, up, ACK, 1, 1, 10);
    let packets = [at(0, true), at(5, true), at(11, false), at(12, true), at(33, false)];
    let clients = |goes_on| -> Vec<(u16, u64)> {
        let lifetime =
            Lifetime { tcp_idle: Some(20 * SECOND), active: Some(10 * SECOND), goes_on, ..Lifetime::default() };
        let flows = flows_of(&packets, &Settings { lifetime, client: ClientRule::FirstPacket, ..Settings::default() });
        flows.iter().map(|flow| (flow.src_port, flow.amount.packets)).collect()
    };
    // But not behind the idle timeout.
    assert_eq!(clients(GoesOn::TcpAndUdp), [(40_000, 2), (40_000, 2), (80, 1)]);
    assert_eq!(clients(GoesOn::Never), [(40_000, 2), (80, 2), (80, 1)]);
}

/// While a FIN waits, what comes behind it may be of the next flow.
#[cfg(feature = "payload")]
#[test]
fn payload_behind_a_fin_that_ends_at_once_is_of_the_next_flow() {
    use crate::run::PLAIN;
    use crate::traffic::{Body, Frame, v4};
    use pcap_compactor::views::flows::Columns;

    let sent = |ms: i64, flags, payload: &[u8]| {
        let body = Body::Tcp { src_port: 40_000, dst_port: 80, flags, payload: payload.to_vec() };
        Frame::new(START + ms * SECOND / 1000, v4(10, 0, 0, 1), v4(9, 0, 0, 1), body)
    };
    let frames = [sent(0, ACK, b""), sent(100, FIN | ACK, b""), sent(105, ACK, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")];
    let dir = tempfile::tempdir().unwrap();
    let paths = [file(dir.path(), "a.pcap", &crate::traffic::pcap(&frames))];
    let lifetime = Lifetime { tcp_end: TcpEnd::FirstFin, ..Lifetime::default() };
    let columns = Columns::parse("@app").unwrap();
    let flows = super::say(&paths, Settings { lifetime, columns, ..Settings::default() }, PLAIN).flows;
    let requests =
        |flow: &FlowRecord| flow.app.as_ref().and_then(|app| app.http.as_ref()).map(|http| http.requests.len());
    assert_eq!(flows.iter().map(requests).collect::<Vec<_>>(), [None, Some(1)]);
}
