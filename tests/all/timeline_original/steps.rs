//! The state machine.

use pcap_compactor::views::timeline::flags::{ACK, FIN, PSH, RST, SYN};
use pcap_compactor::views::timeline::{Close, Packet, State};

use super::{FA, PA, SA, c, flow, open, s, told};

fn steps_of(cases: &[(&str, Vec<Packet>, &str)]) {
    for (what, packets, expected) in cases {
        let flow = flow(packets);
        assert_eq!(told(&flow), *expected, "{what}");
        // What is told of a flow agrees with its steps.
        let has = |names: &[&str]| flow.packets.steps().any(|step| names.contains(&step.name));
        assert_eq!(flow.established, has(&["ack"]), "{what}");
        assert_eq!((flow.data, flow.closing), (has(&["data", "ack_data"]), has(&["fin"])), "{what}");
        assert_eq!(
            (flow.ongoing, flow.state == State::Ongoing),
            (flow.close == Some(Close::Open), flow.ongoing),
            "{what}"
        );
        assert_eq!(flow.total_packets, packets.len() as u64, "{what}");
        assert_eq!(flow.total_bytes, packets.iter().map(|packet| packet.length).sum::<i64>(), "{what}");
        assert!(flow.unexplained.is_empty() && !flow.by_timeout, "{what}");
    }
}

#[test]
fn a_syn_without_ack_begins() {
    let syn = c(SYN, 100, 0, 60);
    steps_of(&[
        ("the first", vec![syn], "invalid invalid incomplete_no_synack | syn@0"),
        ("with FIN too", vec![c(SYN | FIN, 100, 0, 60)], "invalid invalid incomplete_no_synack | syn@0"),
        ("another is none", vec![syn, s(SYN, 1, 0, 60)], "invalid invalid incomplete_no_synack | syn@0"),
        ("behind a RST too", vec![s(RST, 1, 0, 40), syn], "invalid invalid incomplete_no_synack | rst@0 syn@1 !0"),
        ("but not with RST", vec![c(SYN | RST, 100, 0, 60)], "aborted abortive - | rst@0 !0"),
    ]);
    let flow = flow(&[s(SYN, 7, 0, 60), syn]);
    let sides = flow.sides.unwrap();
    assert_eq!((sides.initiator, sides.initiator_port, sides.responder, sides.responder_port), (1, 80, 0, 4000));
    assert_eq!((flow.expected_ack, flow.expected_seq, flow.syn_packet), (Some(8), None, Some(0)));
}

#[test]
fn a_syn_ack_answers_the_syn() {
    let (syn, sa) = (c(SYN, 100, 0, 60), s(SA, 500, 101, 60));
    steps_of(&[
        ("its number", vec![syn, sa], "invalid invalid incomplete_no_ack | syn@0 syn_ack@1"),
        ("as often as it comes", vec![syn, sa, sa], "invalid invalid incomplete_no_ack | syn@0 syn_ack@1 syn_ack@2"),
        ("by whoever it is sent", vec![syn, c(SA, 5, 101, 60)], "invalid invalid incomplete_no_ack | syn@0 syn_ack@1"),
        ("or another number", vec![syn, s(SA, 500, 102, 60)], "invalid invalid invalid_synack | syn@0 !1"),
        ("without SYN", vec![sa], "new - - | syn_ack@0"),
        ("without SYN, twice", vec![sa, sa], "new - - | syn_ack@0"),
        ("behind the handshake", open(&[s(SA, 9, 9, 60)]), "ongoing open - | syn@0 syn_ack@1 ack@2"),
        (
            "with RST it is a RST",
            vec![syn, s(SA | RST, 500, 101, 60)],
            "invalid invalid rst_during_handshake | syn@0 rst@1 !1",
        ),
    ]);
    let flow = flow(&open(&[]));
    assert_eq!((flow.expected_ack, flow.expected_seq, flow.syn_ack_packet), (Some(101), Some(501), Some(1)));
}

#[test]
fn a_pure_ack_completes_the_handshake() {
    let [syn, sa, ack] = [c(SYN, 100, 0, 60), s(SA, 500, 101, 60), c(ACK, 101, 501, 52)];
    steps_of(&[
        ("both numbers", vec![syn, sa, ack], "ongoing open - | syn@0 syn_ack@1 ack@2"),
        ("another ack", vec![syn, sa, c(ACK, 101, 502, 52)], "invalid invalid invalid_ack | syn@0 syn_ack@1 !2"),
        ("another seq", vec![syn, sa, c(ACK, 100, 501, 52)], "invalid invalid invalid_ack | syn@0 syn_ack@1 !2"),
        ("without SYN+ACK, any", vec![syn, s(ACK, 77, 33, 52)], "ongoing open - | syn@0 ack@1"),
        (
            "with PSH it is none",
            vec![syn, sa, c(PA, 101, 501, 99)],
            "invalid invalid incomplete_no_ack | syn@0 syn_ack@1",
        ),
        (
            "0 passes for none",
            vec![syn, s(SA, -1, 101, 60), c(ACK, 7, 7, 52)],
            "ongoing open - | syn@0 syn_ack@1 ack@2",
        ),
        (
            "behind a RST it stays so",
            [&[s(RST, 1, 0, 40)], &open(&[])[..]].concat(),
            "established abortive - | rst@0 syn@1 syn_ack@2 ack@3 !0",
        ),
    ]);
}

#[test]
fn acknowledgements_are_data_by_their_length() {
    let hs = "syn@0 syn_ack@1 ack@2";
    let fin = c(FA, 101, 501, 52);
    steps_of(&[
        (
            "with length",
            open(&[c(PA, 101, 501, 99), s(ACK, 501, 148, 52)]),
            &format!("ongoing open - | {hs} data@3 data@4"),
        ),
        ("without", open(&[s(ACK, 501, 101, 0)]), &format!("ongoing open - | {hs} ack_data@3")),
        ("less than nothing", open(&[s(ACK, 501, 101, -1)]), &format!("ongoing open - | {hs} ack_data@3")),
        (
            "behind a FIN without",
            open(&[fin, s(ACK, 501, 102, 0)]),
            &format!("closed graceful - | {hs} fin@3 ack_close@4"),
        ),
        (
            "behind a FIN with",
            open(&[fin, s(ACK, 501, 102, 52)]),
            &format!("data_transfer graceful - | {hs} fin@3 data@4"),
        ),
        ("before a handshake", vec![c(PA, 101, 501, 99), s(ACK, 501, 200, 52)], "new - - |"),
    ]);
}

#[test]
fn fin_and_rst_end_a_flow_wherever_they_stand() {
    let hs = "syn@0 syn_ack@1 ack@2";
    let (fin, rst) = (c(FA, 101, 501, 0), s(RST, 501, 0, 40));
    steps_of(&[
        ("both FINs", open(&[fin, s(FA, 501, 102, 0)]), &format!("closed graceful - | {hs} fin@3 fin@4")),
        ("a FIN alone", vec![c(FIN, 1, 0, 60)], "closed graceful - | fin@0"),
        ("a FIN in the handshake", vec![c(SYN, 1, 0, 60), s(FIN, 1, 0, 60)], "closed graceful - | syn@0 fin@1"),
        (
            "a RST in the handshake",
            vec![c(SYN, 1, 0, 60), s(RST | ACK, 0, 2, 40)],
            "invalid invalid rst_during_handshake | syn@0 rst@1 !1",
        ),
        (
            "that acknowledges nothing of it",
            vec![c(SYN, 1000, 0, 60), s(RST | ACK, 0, 500, 40), s(SA, 5000, 1001, 60), c(ACK, 1001, 5001, 52)],
            "invalid invalid rst_during_handshake | syn@0 rst@1 !1",
        ),
        (
            "without ACK",
            vec![c(SYN, 1000, 0, 60), s(RST, 0, 0, 40), s(SA, 5000, 1001, 60)],
            "invalid invalid rst_during_handshake | syn@0 rst@1 !1",
        ),
        (
            "and nothing behind it",
            vec![c(SYN, 1, 0, 60), rst, fin, rst],
            "invalid invalid rst_during_handshake | syn@0 rst@1 !1",
        ),
        ("a RST behind the handshake", open(&[rst]), &format!("aborted abortive - | {hs} rst@3 !3")),
        ("two", open(&[rst, rst]), &format!("aborted abortive - | {hs} rst@3 rst@4 !4")),
        ("a RST alone", vec![rst], "aborted abortive - | rst@0 !0"),
        ("a RST behind a FIN", open(&[fin, rst]), &format!("aborted abortive - | {hs} fin@3 rst@4 !4")),
        ("a FIN behind a RST", open(&[rst, fin]), &format!("closed graceful - | {hs} rst@3 fin@4 !3")),
        ("RST and FIN are RST", open(&[c(FIN | RST, 1, 1, 40)]), &format!("aborted abortive - | {hs} rst@3 !3")),
    ]);
}

#[test]
fn what_has_no_flags_is_no_step() {
    let none = Packet { flags: None, ..c(0, 1, 1, 60) };
    steps_of(&[
        ("no bits", vec![c(0, 1, 0, 60)], "new - - |"),
        ("no number", vec![none, none], "new - - |"),
        ("other bits", open(&[c(0x20 | 0x100, 1, 0, 60)]), "ongoing open - | syn@0 syn_ack@1 ack@2"),
        ("FIN among others", vec![c(0, 1, 0, 60), c(FIN | PSH | 0x20, 1, 0, 60)], "closed graceful - | fin@1"),
        (
            "the bits of ECN are none",
            vec![c(SYN | 0xc0, 1, 0, 60), s(SA | 0x40, 5, 2, 60)],
            "invalid invalid incomplete_no_ack | syn@0 syn_ack@1",
        ),
    ]);
}
