//! What the original does wrong, and the mode with it.

use pcap_compactor::views::timeline::flags::{ACK, RST, SYN};
use pcap_compactor::views::timeline::original::Options;

use super::{FA, PA, SA, c, flow, flows, open, s, told};

#[test]
fn packets_behind_a_bad_handshake_are_counted_and_not_listed() {
    let bad = flow(&[c(SYN, 100, 0, 60), s(SA, 3, 999, 60), c(ACK, 101, 4, 52), c(ACK, 101, 4, 52)]);
    assert_eq!((bad.total_packets, bad.packets.len(), bad.total_bytes), (4, 2, 224));
    assert_eq!((bad.start, bad.end), (1, 4));
    let bad = flow(&[&open(&[])[..2], &[c(ACK, 1, 1, 52), c(ACK, 1, 1, 52)]].concat());
    assert_eq!((bad.total_packets, bad.packets.len()), (4, 3));
    // Behind a RST they are listed.
    let reset = flow(&[c(SYN, 100, 0, 60), s(RST, 0, 0, 40), c(ACK, 101, 4, 52)]);
    assert_eq!((reset.total_packets, reset.packets.len()), (3, 3));
}

#[test]
fn the_tail_of_a_closed_flow_is_another_in_the_next_chunk() {
    let talk = open(&[c(FA, 101, 501, 52), s(FA, 501, 102, 52), c(ACK, 102, 502, 52)]);
    let options = |read_rows| Options { read_rows, ..Options::default() };
    let whole = flows(options(6), &talk);
    assert_eq!(
        whole.iter().map(told).collect::<Vec<_>>(),
        ["data_transfer graceful - | syn@0 syn_ack@1 ack@2 fin@3 fin@4 data@5"]
    );
    let cut = flows(options(4), &talk);
    let ids: Vec<_> = cut.iter().map(|flow| (flow.number, flow.packets.len(), flow.sides.is_some())).collect();
    assert_eq!(ids, [(1, 4, true), (2, 2, false)]);
    assert_eq!(told(&cut[1]), "closed graceful - | fin@0");
    assert_eq!(cut[0].key, cut[1].key);
}

#[test]
fn only_a_syn_tells_who_began() {
    for packets in [vec![s(SA, 500, 101, 60), c(ACK, 101, 501, 52)], vec![c(PA, 1, 1, 99), s(RST, 1, 0, 40)]] {
        assert_eq!(flow(&packets).sides, None);
    }
}

#[test]
fn data_in_the_third_packet_spoils_a_handshake() {
    let [syn, sa] = [c(SYN, 10, 0, 60), s(SA, 20, 11, 60)];
    let spoilt = flow(&[syn, sa, c(PA, 11, 21, 300), s(ACK, 21, 261, 52)]);
    assert_eq!(told(&spoilt), "invalid invalid invalid_ack | syn@0 syn_ack@1 !3");
}

#[test]
fn numbers_do_not_wrap_around() {
    let wrapped = flow(&[c(SYN, 0xffff_ffff, 0, 60), s(SA, 500, 0, 60), c(ACK, 0, 501, 52)]);
    assert_eq!(told(&wrapped), "invalid invalid invalid_synack | syn@0 !1");
    assert_eq!(wrapped.expected_ack, Some(1 << 32));
}

#[test]
fn a_late_syn_is_nothing_and_ports_used_anew_are_one_flow() {
    let again = [c(SYN, 9000, 0, 60), s(SA, 7000, 9001, 60), c(ACK, 9001, 7001, 52)];
    let late = flow(&open(&again[..1]));
    assert_eq!(told(&late), "ongoing open - | syn@0 syn_ack@1 ack@2");
    let fin = [c(FA, 101, 501, 0)];
    let both = flow(&open(&[&fin[..], &again[..]].concat()));
    assert_eq!(told(&both), "data_transfer graceful - | syn@0 syn_ack@1 ack@2 fin@3 data@6");
    assert_eq!((both.expected_ack, both.syn_packet, both.syn_ack_packet), (Some(101), Some(0), Some(1)));
}

#[test]
fn what_is_sent_twice_counts_twice() {
    let data = c(PA, 101, 501, 99);
    let twice = flow(&open(&[data, data]));
    assert_eq!(told(&twice), "ongoing open - | syn@0 syn_ack@1 ack@2 data@3 data@4");
    assert_eq!(twice.total_bytes, 60 + 60 + 52 + 99 + 99);
}
