//! Every way through the states of a connection.

use pcap_compactor::views::timeline::{Close, Flow, Phase, Reason, Sides, State};
use proptest::prelude::*;

use super::{ACK, FIN, PSH, RST, Row, SYN, flows, handshake, steps};
use crate::properties::cases;

/// The only flow of packets.
fn flow(rows: &[Row]) -> Flow {
    let mut flows = flows(rows);
    assert_eq!(flows.len(), 1, "{flows:#?}");
    let flow = flows.remove(0);
    assert_eq!(flow.packets.len(), rows.len());
    assert_eq!(flow.total_packets as usize, rows.len());
    let unexplained: u64 = flow.unexplained.iter().map(|(_, n)| n).sum();
    assert_eq!(flow.packets.steps().count() + unexplained as usize, rows.len());
    flow
}

/// State, close type, reason.
fn end(flow: &Flow) -> (State, Option<Close>, Option<Reason>) {
    (flow.state, flow.close, flow.reason)
}

const CLOSED: (State, Option<Close>, Option<Reason>) = (State::Closed, Some(Close::Graceful), None);
const OPEN: (State, Option<Close>, Option<Reason>) = (State::Ongoing, Some(Close::Open), None);
const ABORTED: (State, Option<Close>, Option<Reason>) = (State::Aborted, Some(Close::Abortive), None);

fn invalid(reason: Reason) -> (State, Option<Close>, Option<Reason>) {
    (State::Invalid, Some(Close::Invalid), Some(reason))
}

fn behind(mut rows: Vec<Row>, more: &[Row]) -> Vec<Row> {
    rows.extend_from_slice(more);
    rows
}

#[test]
fn a_connection_is_opened_used_and_closed() {
    let rows = behind(
        handshake(0, 100, 500),
        &[
            (3, true, PSH | ACK, 101, 501, 100),
            (4, false, ACK, 501, 201, 0),
            (5, false, ACK, 501, 201, 1000),
            (6, true, FIN | ACK, 201, 1501, 0),
            (7, false, FIN | ACK, 1501, 202, 0),
            (8, true, ACK, 202, 1502, 0),
        ],
    );
    let flow = flow(&rows);
    assert_eq!(end(&flow), CLOSED);
    assert_eq!(steps(&flow), ["syn", "syn_ack", "ack", "data", "ack_data", "data", "fin", "fin", "ack_close"]);
    assert_eq!(
        [flow.established, flow.data, flow.closing, flow.ongoing, flow.by_timeout],
        [true, true, true, false, false]
    );
    assert_eq!((flow.expected_seq, flow.expected_ack), (Some(501), Some(101)));
    assert_eq!((flow.syn_packet, flow.syn_ack_packet, flow.invalid_packet), (Some(0), Some(1), None));
    assert_eq!(flow.sides, Some(Sides { initiator: 0, responder: 1, initiator_port: 40_000, responder_port: 80 }));
    assert_eq!(flow.key, "10.0.0.10:80-10.0.0.9:40000", "in the order of text");
    let phases: Vec<Phase> = flow.packets.steps().map(|step| step.phase).collect();
    assert!(phases.is_sorted());
    assert_eq!((flow.start, flow.end - flow.start, flow.total_bytes), (super::START, 8000, 9 * 54 + 1100));
}

#[test]
fn numbers_wrap() {
    let last = (1 << 32) - 1;
    let flow = flow(&behind(
        handshake(0, last, last - 1),
        &[
            (3, true, ACK, 0, last, 10),
            (4, false, ACK, last, 10, 3),
            (5, false, FIN | ACK, 2, 10, 0),
            (6, true, FIN | ACK, 10, 3, 0),
            (7, false, ACK, 3, 11, 0),
        ],
    ));
    assert_eq!((end(&flow), flow.unexplained.len(), flow.expected_ack), (CLOSED, 0, Some(0)));
}

#[test]
fn data_and_push_may_complete_the_handshake() {
    let mut rows = handshake(0, 10, 20);
    rows[2] = (2, true, PSH | ACK, 11, 21, 246);
    rows.push((3, false, ACK, 21, 257, 0));
    let flow = flow(&rows);
    assert_eq!((end(&flow), flow.established, flow.data), (OPEN, true, true));
    assert_eq!(steps(&flow), ["syn", "syn_ack", "ack", "ack_data"]);
}

#[test]
fn a_syn_may_carry_data_and_the_answer_come_before_the_handshake_is_complete() {
    let rows = [
        (0, true, SYN, 100, 0, 50),
        (1, false, SYN | ACK, 500, 151, 0),
        (2, false, PSH | ACK, 501, 151, 30),
        (3, true, ACK, 151, 531, 0),
    ];
    let whole = flow(&rows);
    assert_eq!((end(&whole), whole.established, whole.data), (OPEN, true, true));
    assert_eq!(steps(&whole), ["syn", "syn_ack", "data", "ack"]);
    // Data in a SYN may be refused.
    let mut refused = rows[..2].to_vec();
    refused[1].4 = 101;
    assert_eq!(steps(&flow(&refused)), ["syn", "syn_ack"]);
    let early = flow(&rows[..3]);
    assert_eq!((end(&early), early.established, early.data), (invalid(Reason::IncompleteNoAck), false, true));
}

#[test]
fn what_is_repeated_in_the_handshake_changes_nothing() {
    let rows = [
        (0, true, SYN, 100, 0, 0),
        (1, true, SYN, 100, 0, 0),
        (2, false, SYN | ACK, 500, 101, 0),
        (3, false, SYN | ACK, 500, 101, 0),
        (4, true, ACK, 101, 501, 0),
        (5, false, SYN | ACK, 500, 101, 0),
        (6, true, ACK, 101, 501, 0),
        (7, true, SYN, 100, 0, 0),
    ];
    let flow = flow(&rows);
    assert_eq!(end(&flow), OPEN);
    assert_eq!(steps(&flow), ["syn", "-", "syn_ack", "-", "ack", "-", "-", "-"]);
    assert_eq!(flow.unexplained, [("retransmission", 5)]);
    assert!(!flow.data);
}

/// A FIN that overtook data makes no repetition of them.
#[test]
fn data_that_a_fin_overtook_are_data() {
    let overtaken = |more: &[Row]| {
        let mut rows = handshake(0, 100, 500);
        rows.push((300, true, FIN | ACK, 201, 501, 0));
        rows.extend_from_slice(more);
        flow(&rows)
    };
    // Whole, in part, once more, and what stands behind the FIN.
    let whole = overtaken(&[
        (350, true, PSH | ACK, 101, 501, 50),
        (351, true, PSH | ACK, 101, 501, 100),
        (352, true, PSH | ACK, 151, 501, 50),
        (353, true, FIN | ACK, 201, 501, 0),
        (354, true, PSH | ACK, 201, 501, 9),
        (400, false, ACK, 501, 202, 0),
    ]);
    assert_eq!(steps(&whole)[3..], ["fin", "data", "data", "-", "-", "-", "ack_close"]);
    assert_eq!(whole.unexplained, [("retransmission", 2), ("after_close", 1)]);
    assert_eq!((end(&whole), whole.data), ((State::Closing, Some(Close::Graceful), None), true));
    // With another FIN, and when both sides had said all.
    let late = overtaken(&[
        (350, false, FIN | ACK, 501, 202, 0),
        (351, true, ACK, 202, 502, 0),
        (352, true, FIN | PSH | ACK, 101, 501, 100),
        (353, true, FIN | PSH | ACK, 101, 501, 100),
    ]);
    assert_eq!(steps(&late)[3..], ["fin", "fin", "ack_close", "data", "-"]);
    assert_eq!((end(&late), late.data, late.unexplained), (CLOSED, true, vec![("retransmission", 1)]));
    assert!(!overtaken(&[(350, false, ACK, 501, 202, 0)]).data);
}

#[test]
fn data_that_is_repeated_late_or_kept_alive_is_told_apart() {
    let flow = flow(&behind(
        handshake(0, 100, 500),
        &[
            (3, true, ACK, 101, 501, 100),
            (4, true, ACK, 301, 501, 100),
            (5, true, ACK, 201, 501, 100),
            (6, true, ACK, 101, 501, 100),
            (7, false, ACK, 501, 401, 0),
            (8, true, ACK, 400, 501, 0),
            (9, false, ACK, 501, 401, 0),
        ],
    ));
    assert_eq!(steps(&flow)[3..], ["data", "data", "data", "-", "ack_data", "-", "ack_data"]);
    assert_eq!(flow.unexplained, [("retransmission", 1), ("keep_alive", 1)]);
}

#[test]
fn one_half_may_close_long_before_the_other() {
    let rows = behind(
        handshake(0, 100, 500),
        &[
            (3, true, FIN | ACK, 101, 501, 0),
            (4, false, ACK, 501, 102, 0),
            (5, false, ACK, 501, 102, 700),
            (6, true, ACK, 102, 1201, 0),
            (7, false, FIN | ACK, 1201, 102, 0),
            (8, true, ACK, 102, 1202, 0),
        ],
    );
    let whole = flow(&rows);
    assert_eq!((end(&whole), whole.data), (CLOSED, true));
    assert_eq!(steps(&whole)[3..], ["fin", "ack_close", "data", "ack_data", "fin", "ack_close"]);
    assert_eq!(end(&flow(&rows[..6])), (State::Closing, Some(Close::Graceful), None));
    assert_eq!(end(&flow(&rows[..8])), CLOSED, "both have said all");
}

#[test]
fn the_tail_of_a_connection_stays_in_it() {
    let flow = flow(&behind(
        handshake(0, 100, 500),
        &[
            (3, true, FIN | ACK, 101, 501, 0),
            (4, false, FIN | ACK, 501, 102, 0),
            (5, true, ACK, 102, 502, 0),
            (60_000, false, FIN | ACK, 501, 102, 0),
            (60_001, true, ACK, 102, 502, 0),
            (60_002, true, ACK, 102, 502, 9),
            (60_003, false, RST, 502, 0, 0),
        ],
    ));
    assert_eq!(end(&flow), CLOSED, "what is closed stays closed");
    assert_eq!(steps(&flow)[3..], ["fin", "fin", "ack_close", "-", "ack_close", "-", "-"]);
    assert_eq!(flow.unexplained, [("retransmission", 1), ("after_close", 2)]);
}

#[test]
fn both_may_open_at_once() {
    let rows = [
        (0, false, SYN, 500, 0, 0),
        (1, true, SYN, 100, 0, 0),
        (2, false, SYN | ACK, 500, 101, 0),
        (3, true, SYN | ACK, 100, 501, 0),
        (4, true, ACK, 101, 501, 5),
    ];
    let flow = flow(&rows);
    assert_eq!((end(&flow), flow.established), (OPEN, true));
    assert_eq!(steps(&flow), ["syn", "syn", "syn_ack", "syn_ack", "data"]);
    assert_eq!(flow.sides.unwrap().initiator, 1);
}

#[test]
fn a_reset_counts_where_its_receiver_takes_it() {
    let open = behind(handshake(0, 100, 500), &[(3, true, PSH | ACK, 101, 501, 10), (4, false, ACK, 501, 111, 0)]);
    for seq in [501, 502, 501 + 65_535] {
        let flow = flow(&behind(open.clone(), &[(5, false, RST, seq, 0, 0)]));
        assert_eq!((end(&flow), flow.invalid_packet, steps(&flow)[5]), (ABORTED, Some(5), "rst"), "{seq}");
    }
    for seq in [400, 500, 501 + 65_536, 501 + (1 << 31)] {
        let flow = flow(&behind(open.clone(), &[(5, false, RST, seq, 0, 0), (6, true, ACK, 111, 501, 1)]));
        assert_eq!((end(&flow), flow.invalid_packet), (OPEN, None), "{seq}");
        assert_eq!(flow.unexplained, [("out_of_window_rst", 1)]);
        assert_eq!(steps(&flow)[5..], ["-", "data"]);
    }
    let after = flow(&behind(open, &[(5, false, RST, 501, 0, 0), (6, true, FIN | ACK, 111, 501, 0)]));
    assert_eq!((end(&after), after.closing), (ABORTED, false), "what is reset stays so");
    assert_eq!(after.unexplained, [("after_close", 1)]);
}

#[test]
fn a_reset_behind_one_fin_aborts_and_behind_both_does_not() {
    let one = behind(handshake(0, 100, 500), &[(3, true, FIN | ACK, 101, 501, 0)]);
    assert_eq!(end(&flow(&behind(one.clone(), &[(4, false, RST, 501, 0, 0)]))), ABORTED);
    let both = behind(one, &[(4, false, FIN | ACK, 501, 102, 0), (5, true, RST | ACK, 102, 502, 0)]);
    assert_eq!((end(&flow(&both)), steps(&flow(&both))[5]), (CLOSED, "rst"));
}

#[test]
fn a_handshake_may_be_refused_or_stay_without_answer() {
    let refused = flow(&[(0, true, SYN, 7, 0, 0), (1, false, RST | ACK, 0, 8, 0)]);
    assert_eq!((end(&refused), refused.invalid_packet), (invalid(Reason::RstDuringHandshake), Some(1)));
    let stray = flow(&[(0, true, SYN, 7, 0, 0), (1, false, RST | ACK, 0, 9, 0)]);
    assert_eq!(end(&stray), invalid(Reason::IncompleteNoSynAck));
    assert_eq!(stray.unexplained, [("out_of_window_rst", 1)]);
    assert_eq!(end(&flow(&handshake(0, 1, 2)[..1])), invalid(Reason::IncompleteNoSynAck));
    assert_eq!(end(&flow(&handshake(0, 1, 2)[..2])), invalid(Reason::IncompleteNoAck));
}

/// Who has sent a SYN takes a RST only if that acknowledges the SYN, and no more than was sent (RFC 9293, section 3.10.7.3).
#[test]
fn a_reset_that_a_caller_would_not_take_does_not_split_its_connection() {
    for (flags, ack) in
        [(RST | ACK, 500), (RST | ACK, 1000), (RST | ACK, 1002), (RST | ACK, 1 << 31), (RST, 0), (RST, 1001)]
    {
        let rows = [
            (0, true, SYN, 1000, 0, 0),
            (1, false, flags, 0, ack, 0),
            (2, false, SYN | ACK, 5000, 1001, 0),
            (3, true, ACK, 1001, 5001, 0),
            (4, true, PSH | ACK, 1001, 5001, 10),
        ];
        let whole = flow(&rows);
        assert_eq!((end(&whole), whole.invalid_packet), (OPEN, None), "{flags} {ack}");
        assert_eq!(steps(&whole), ["syn", "-", "syn_ack", "ack", "data"], "{flags} {ack}");
        assert_eq!(whole.unexplained, [("out_of_window_rst", 1)], "{flags} {ack}");
    }
    // What a SYN carries may be refused with it, or not be looked at.
    for ack in [1001, 1030, 1051] {
        let refused = flow(&[(0, true, SYN, 1000, 0, 50), (1, false, RST | ACK, 0, ack, 0)]);
        assert_eq!((end(&refused), refused.invalid_packet), (invalid(Reason::RstDuringHandshake), Some(1)), "{ack}");
    }
    // Numbers wrap.
    let last = (1 << 32) - 1;
    let refused = |ack| flow(&[(0, true, SYN, last, 0, 0), (1, false, RST | ACK, 0, ack, 0)]).invalid_packet;
    assert_eq!([last, 0, 1].map(refused), [None, Some(1), None]);
    // A SYN+ACK that was not captured, but was acknowledged, tells the numbers of the other side.
    let one_way = [(0, true, SYN, 1000, 0, 0), (1, true, ACK, 1001, 5001, 0)];
    for (seq, is_taken) in [(5001, true), (5600, true), (4000, false)] {
        let reset = flow(&behind(one_way.to_vec(), &[(2, true, ACK, 1001, 5001, 0), (3, false, RST, seq, 0, 0)]));
        assert_eq!(reset.invalid_packet.is_some(), is_taken, "{seq}");
    }
}

#[test]
fn wrong_numbers_in_a_handshake_are_its_reason_only_if_nothing_completes_it() {
    let rows = [
        (0, true, SYN, 1000, 0, 0),
        (1, false, SYN | ACK, 3, 999, 0),
        (2, true, ACK, 1001, 4, 0),
        (3, false, SYN | ACK, 7, 1001, 0),
        (4, true, ACK, 1001, 8, 0),
    ];
    let wrong = flow(&rows[..3]);
    assert_eq!((end(&wrong), wrong.invalid_packet), (invalid(Reason::InvalidSynAck), Some(1)));
    assert_eq!(wrong.unexplained, [("unexpected_ack", 2)]);
    assert_eq!((end(&flow(&rows)), flow(&rows).invalid_packet), (OPEN, None));
    let mut late = handshake(0, 100, 500);
    late[2].4 = 600;
    let wrong = flow(&late);
    assert_eq!((end(&wrong), wrong.invalid_packet), (invalid(Reason::InvalidAck), Some(2)));
    assert_eq!(end(&flow(&behind(late, &[(3, true, ACK, 101, 501, 0)]))), OPEN);
}

#[test]
fn a_challenge_is_no_answer() {
    let mut rows = vec![(0, true, SYN, 100, 0, 0), (1, false, ACK, 77, 33, 0)];
    let challenged = flow(&rows);
    assert_eq!((end(&challenged), challenged.established), (invalid(Reason::IncompleteNoSynAck), false));
    rows.extend([(2, false, SYN | ACK, 500, 101, 0), (3, true, ACK, 101, 501, 0)]);
    let whole = flow(&rows);
    assert_eq!((end(&whole), steps(&whole)), (OPEN, vec!["syn", "-", "syn_ack", "ack"]));
    assert_eq!(whole.unexplained, [("unexpected_ack", 1)]);
    // A bare ACK behind a SYN says nothing; data does, as where one direction was captured.
    let one_way = [(0, true, SYN, 100, 0, 0), (1, true, ACK, 101, 501, 0), (2, true, PSH | ACK, 101, 501, 9)];
    assert_eq!(end(&flow(&one_way[..2])), invalid(Reason::IncompleteNoSynAck));
    assert_eq!((end(&flow(&one_way)), flow(&one_way).established), (OPEN, true));
}

#[test]
fn a_syn_inside_a_connection_that_is_challenged_begins_nothing() {
    let flow = flow(&behind(
        handshake(0, 100, 500),
        &[
            (3, true, SYN, 9000, 0, 0),
            (4, true, SYN, 9000, 0, 0),
            (5, false, ACK, 501, 101, 0),
            (6, true, RST, 101, 0, 0),
        ],
    ));
    assert_eq!(end(&flow), ABORTED);
    assert_eq!(steps(&flow)[3..], ["-", "-", "-", "rst"]);
    assert_eq!(flow.unexplained, [("retransmission", 1), ("unexpected_syn", 2)]);
}

#[test]
fn a_connection_that_is_seen_from_the_middle_has_states_and_sides() {
    let data = flow(&[(0, false, PSH | ACK, 501, 101, 99), (1, true, ACK, 101, 600, 0)]);
    assert_eq!((end(&data), data.established, data.data), (OPEN, true, true));
    assert_eq!(steps(&data), ["data", "ack_data"]);
    assert_eq!(data.sides.unwrap().initiator, 0, "the lower port answers");
    let probe = flow(&[(0, false, ACK, 1, 1, 0), (1, true, RST, 1, 0, 0)]);
    assert_eq!((end(&probe), probe.established, probe.invalid_packet), (ABORTED, false, Some(1)));
    let silent = flow(&[(0, false, ACK, 1, 1, 0)]);
    assert_eq!((end(&silent), silent.established), (OPEN, false));
    let closing = flow(&[(0, true, FIN | ACK, 5, 9, 0), (1, false, FIN | ACK, 9, 6, 0), (2, true, ACK, 6, 10, 0)]);
    assert_eq!((end(&closing), steps(&closing)), (CLOSED, vec!["fin", "fin", "ack_close"]));
}

#[test]
fn the_syn_may_be_missing_or_late() {
    let rows = [(0, false, SYN | ACK, 500, 101, 0), (1, true, ACK, 101, 501, 0), (2, true, PSH | ACK, 101, 501, 9)];
    let missing = flow(&rows);
    assert_eq!((end(&missing), steps(&missing)), (OPEN, vec!["syn_ack", "ack", "data"]));
    assert_eq!((missing.sides.unwrap().initiator, missing.established), (0, true));
    let mut late = rows.to_vec();
    late.insert(1, (1, true, SYN, 100, 0, 0));
    assert_eq!(steps(&flow(&late)), ["syn_ack", "syn", "ack", "data"]);
    // Out of order by time, not by arrival.
    let mut crossed = handshake(0, 100, 500);
    crossed.swap(0, 1);
    assert_eq!(steps(&flow(&crossed)), ["syn", "syn_ack", "ack"]);
}

#[test]
fn what_was_not_captured_does_not_confuse_what_was() {
    // Half a gigabyte at a time, acknowledged by the side that was captured.
    let step = 1 << 29;
    let one_way: Vec<Row> =
        (0..16).map(|n| (3 + n, true, PSH | ACK, 101 + n, (501 + n * step) % (1 << 32), 1)).collect();
    let whole = flow(&behind(handshake(0, 100, 500), &one_way));
    assert_eq!((whole.unexplained.len(), steps(&whole)[18]), (0, "data"));
    // Two gigabytes of both sides are missing.
    let (c, s) = (101 + (1 << 31), 501 + (1 << 31));
    let gap = [
        (3, true, PSH | ACK, c, s, 5),
        (4, false, ACK, s, c + 5, 0),
        (5, true, PSH | ACK, c + 5, s, 5),
        (6, false, ACK, s, c + 10, 9),
    ];
    let whole = flow(&behind(handshake(0, 100, 500), &gap));
    assert_eq!(whole.unexplained, [("unexpected_ack", 1)]);
    assert_eq!(steps(&whole)[3..], ["-", "ack_data", "data", "data"]);
}

#[test]
fn probes_without_ack_are_no_steps() {
    let flow = flow(&[(0, true, 0, 100, 0, 0), (1, true, FIN | PSH | 32, 100, 0, 0)]);
    assert_eq!((end(&flow), flow.closing), ((State::New, None, None), false));
    assert_eq!(flow.unexplained, [("no_ack", 2)]);
}

#[test]
fn ends_of_one_port_are_told_by_who_spoke_first() {
    let mut packet = super::packet(&(0, false, ACK, 1, 1, 5));
    packet.src_port = packet.dst_port;
    let said = super::run(Default::default(), &[packet]);
    assert_eq!(said.flows[0].sides.unwrap().initiator, 1);
}

/// Packets of two ends with numbers that often fit.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let flags = prop::sample::select(vec![
        SYN,
        SYN | ACK,
        ACK,
        ACK,
        ACK,
        PSH | ACK,
        FIN | ACK,
        FIN | ACK,
        RST,
        RST | ACK,
        FIN,
        0,
    ]);
    let row = (any::<bool>(), flags, 0..4_i64, 0..4_i64, 0..3_u32);
    prop::collection::vec(row, 1..16).prop_map(|rows| {
        let row = |(n, (up, flags, seq, ack, payload)): (i64, (bool, i64, i64, i64, u32))| {
            let (seq, ack) = if up { (100 + seq, 500 + ack) } else { (500 + seq, 100 + ack) };
            let syn = flags & SYN != 0;
            (
                n * 1000,
                up,
                flags,
                if syn && seq % 4 > 0 { seq / 100 * 100 } else { seq },
                ack,
                if syn { 0 } else { payload },
            )
        };
        (0..).zip(rows).map(row).collect()
    })
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn only_differences_of_numbers_matter(rows in rows(), client in 0..1_i64 << 32, server in 0..1_i64 << 32) {
        let moved: Vec<Row> = rows
            .iter()
            .map(|&(ms, up, flags, seq, ack, payload)| {
                let [own, other] = if up { [client, server] } else { [server, client] };
                (ms, up, flags, (seq + own) % (1 << 32), (ack + other) % (1 << 32), payload)
            })
            .collect();
        let (flows, moved) = (flows(&rows), flows(&moved));
        prop_assert_eq!(flows.len(), moved.len());
        for (flow, moved) in flows.iter().zip(&moved) {
            prop_assert_eq!(end(flow), end(moved));
            prop_assert_eq!(steps(flow), steps(moved));
            prop_assert_eq!(&flow.unexplained, &moved.unexplained);
            prop_assert_eq!((flow.established, flow.data, flow.sides), (moved.established, moved.data, moved.sides));
        }
    }

    #[test]
    fn what_is_over_stays_as_it_is(rows in rows()) {
        let mut over = None;
        for end_of_part in 1..=rows.len() {
            let first = flows(&rows[..end_of_part]).remove(0);
            let now = end(&first);
            if let Some(over) = over {
                prop_assert_eq!(now, over);
            }
            let reset = now.2 == Some(Reason::RstDuringHandshake);
            if matches!(now.0, State::Closed | State::Aborted) || reset {
                over = Some(now);
            }
        }
    }
}

/// In a simultaneous open both ask and both answer: what counts is the question of who asked first, and the other's answer.
#[test]
fn of_two_answers_the_responders_counts() {
    for up in [true, false] {
        let [asks, answers] = [(0, up, SYN, 100, 0, 0), (1, !up, SYN, 200, 0, 0)];
        let [mine, theirs] = [(2, up, SYN | ACK, 100, 201, 0), (3, !up, SYN | ACK, 200, 101, 0)];
        let both = flow(&[asks, answers, mine, theirs]);
        assert_eq!((both.expected_ack, both.expected_seq), (Some(101), Some(201)), "{up}");
        assert_eq!((both.syn_packet, both.syn_ack_packet), (Some(0), Some(3)), "{up}");
        let early = flow(&[asks, answers, mine]);
        assert_eq!(
            (early.expected_ack, early.expected_seq, early.syn_ack_packet),
            (Some(101), Some(101), Some(2)),
            "{up}"
        );
        // Nobody's SYN was captured.
        let unasked = flow(&[(0, up, SYN | ACK, 100, 200, 0), (1, !up, SYN | ACK, 200, 101, 0)]);
        assert_eq!((unasked.expected_ack, unasked.expected_seq), (None, Some(101)), "{up}");
        assert_eq!((unasked.syn_packet, unasked.syn_ack_packet), (None, Some(0)), "{up}");
    }
}
