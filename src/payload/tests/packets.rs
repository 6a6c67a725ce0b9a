//! DNS, ICMP, SCTP, and fragments.

use super::super::fragments::Fragments;
use super::*;
use crate::capture::{LinkType, Record};
use crate::decode::{Decoder, Tunnels};

#[test]
fn a_lookup_has_its_answers_and_its_latency() {
    let fields = Play::datagrams(17, [40_000, 9953])
        .say(End::A, &dns_query(7, "Example.org", 1))
        .say(End::A, &dns_query(8, "none.example", 28))
        .say(End::B, &dns_response(7, "Example.org", 1, 0, &[([192, 0, 2, 1], 300), ([192, 0, 2, 2], 60)]))
        .say(End::B, &dns_response(8, "none.example", 28, 3, &[]))
        .end()
        .unwrap();
    assert_eq!(cell(&fields, "dns_name"), serde_json::json!(["Example.org", "none.example"]));
    assert_eq!(cell(&fields, "dns_type"), serde_json::json!([1, 28]));
    assert_eq!(cell(&fields, "dns_rcode"), serde_json::json!([0, 3]));
    assert_eq!(cell(&fields, "dns_answers"), serde_json::json!([["192.0.2.1", "192.0.2.2"], []]));
    assert_eq!(cell(&fields, "dns_ttl"), serde_json::json!([60, null]));
    assert_eq!(cell(&fields, "dns_latency_ns"), serde_json::json!([2000, 2000]));
}

#[test]
fn messages_over_tcp_stand_behind_their_length() {
    let framed = |message: Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    let queries = [framed(dns_query(1, "a.example", 1)), framed(dns_query(2, "b.example", 1))].concat();
    let answer = framed(dns_response(2, "b.example", 1, 0, &[([192, 0, 2, 9], 1)]));
    let fields = dialogue([40_000, 53], &queries, &answer).unwrap();
    assert_eq!(cell(&fields, "dns_name"), serde_json::json!(["a.example", "b.example"]));
    assert_eq!(cell(&fields, "dns_answers"), serde_json::json!([[], ["192.0.2.9"]]));
}

#[test]
fn a_name_that_points_to_itself_ends_the_message_and_not_the_program() {
    let mut message = dns_query(1, "", 1);
    message.splice(12..13, [0xc0, 12]);
    let fields = Play::datagrams(17, [40_000, 53]).say(End::A, &message).end().unwrap();
    assert_eq!(cell(&fields, "dns_queries"), 1);
    assert_eq!(fields.dns.unwrap().lookups, []);
}

#[test]
fn a_message_with_an_unknown_type_or_no_end_keeps_its_question() {
    let odd = dns_query(1, "odd.example", 0xabcd);
    let mut cut = dns_response(2, "cut.example", 1, 0, &[([192, 0, 2, 1], 300)]);
    cut.truncate(cut.len() - 3);
    let fields = Play::datagrams(17, [40_000, 53]).say(End::A, &odd).say(End::B, &cut).end().unwrap();
    assert_eq!(cell(&fields, "dns_name"), serde_json::json!(["odd.example", "cut.example"]));
    assert_eq!(cell(&fields, "dns_rcode"), serde_json::json!([null, 0]));
}

#[test]
fn announcements_without_a_question_are_kept_once() {
    let mut record = dns_response(0, "host.local", 1, 0, &[([192, 0, 2, 1], 120)]);
    // No question; the record's own name in its place.
    record[5] = 0;
    let name = dns_name("host.local");
    let at = 12 + name.len() + 4;
    record.splice(12..at + 2, name);
    let fields = Play::datagrams(17, [5353, 5353]).say(End::A, &record).say(End::A, &record).end().unwrap();
    let lookups = fields.dns.unwrap().lookups;
    assert_eq!(lookups.len(), 1);
    assert_eq!((lookups[0].name.as_str(), lookups[0].queries, lookups[0].responses), ("host.local", 0, 2));
    assert_eq!(lookups[0].answers, ["192.0.2.1"]);
}

#[test]
fn datagrams_that_only_resemble_names_are_not_dns() {
    let mut name_service = dns_query(1, "CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 32);
    assert_eq!(Play::datagrams(17, [137, 137]).say(End::A, &name_service).end(), None);
    name_service.push(0);
    assert_eq!(Play::datagrams(17, [137, 9999]).say(End::A, &name_service).end(), None);
    assert_eq!(Play::datagrams(17, [1, 2]).say(End::A, &[0x80; 60]).end(), None);
}

#[test]
fn icmp_and_sctp_count_what_was_exchanged() {
    let fields =
        Play::datagrams(1, [0, 0]).say(End::A, &[8, 0, 1]).say(End::B, &[0, 0]).say(End::A, &[8, 0]).end().unwrap();
    assert_eq!(cell(&fields, "icmp_types"), serde_json::json!([8, 0]));
    assert_eq!(cell(&fields, "icmp_counts"), serde_json::json!([2, 1]));

    // SACK, then DATA of 17 bytes with its padding, then DATA whose length lies.
    let mut chunks = vec![3, 0, 0, 4, 0, 3, 0, 17];
    chunks.resize(8 + 16, 0);
    chunks.extend([0, 3, 0, 3, 9, 9, 9, 9]);
    let fields = Play::datagrams(132, [1, 2]).say(End::A, &chunks).end().unwrap();
    assert_eq!(cell(&fields, "sctp_chunks"), serde_json::json!([3, 0]));
    assert_eq!(cell(&fields, "sctp_counts"), serde_json::json!([1, 2]));
}

/// A raw IPv4 fragment of UDP from 192.0.2.1 to 192.0.2.2.
fn fragment(id: u8, offset: usize, more: bool, data: &[u8]) -> Vec<u8> {
    let field = (offset / 8) as u16 | u16::from(more) << 13;
    let [high, low] = field.to_be_bytes();
    let length = (20 + data.len()) as u8;
    [&[0x45, 0, 0, length, 0, id, high, low, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2][..], data].concat()
}

/// The same in IPv6.
fn fragment_v6(id: u8, offset: usize, more: bool, data: &[u8]) -> Vec<u8> {
    let [high, low] = (offset as u16 | u16::from(more)).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, 0, (8 + data.len()) as u8, 44, 64];
    packet.extend([[1; 16], [2; 16]].concat());
    packet.extend([17, 0, high, low, 0, 0, 0, id]);
    packet.extend(data);
    packet
}

fn push(fragments: &mut Fragments, seconds: i64, packet: &[u8]) -> Option<Vec<u8>> {
    let record = Record {
        link: LinkType(101),
        time: Timestamp::from_seconds(seconds),
        captured: packet.len() as u32,
        wire: packet.len() as u32,
        ..Record::default()
    };
    let decoded = Decoder::new(Tunnels::Inner).decode(&record, packet).unwrap();
    fragments.push(&decoded, packet, ()).map(|whole| {
        assert_eq!(whole.protocol, 17);
        whole.bytes
    })
}

#[test]
fn fragments_come_together_in_any_order_and_the_first_bytes_stay() {
    let datagram: Vec<u8> = (0..40).collect();
    for make in [fragment, fragment_v6] {
        let mut fragments = Fragments::default();
        assert_eq!(push(&mut fragments, 0, &make(1, 24, false, &datagram[24..])), None);
        assert_eq!(push(&mut fragments, 1, &make(2, 0, true, &[0; 8])), None);
        assert_eq!(push(&mut fragments, 1, &make(1, 8, true, &datagram[8..24])), None);
        assert_eq!(push(&mut fragments, 2, &make(1, 8, true, &[0xff; 24])), None);
        assert_eq!(push(&mut fragments, 3, &make(1, 0, true, &datagram[..16])), Some(datagram.clone()));
        assert_eq!(fragments.waiting(), 1);
        fragments.forget_before(Timestamp::from_seconds(66));
        assert_eq!(fragments.waiting(), 0);
    }
}

#[test]
fn fragments_wait_in_packet_time_and_in_number() {
    let mut fragments = Fragments::default();
    assert_eq!(push(&mut fragments, 0, &fragment(1, 0, true, &[1; 8])), None);
    assert_eq!(push(&mut fragments, 65, &fragment(1, 8, false, &[2; 8])), None, "too late");
    for id in 2..40 {
        assert_eq!(push(&mut fragments, 65, &fragment(id, 0, true, &[1; 8])), None);
    }
    assert_eq!(fragments.waiting(), super::super::fragments::OPEN);
    assert_eq!(fragments.take_let_go(), 39 - super::super::fragments::OPEN as u64);
    assert_eq!(push(&mut fragments, 65, &fragment(2, 8, false, &[2; 8])), None, "the oldest went");
    assert!(push(&mut fragments, 65, &fragment(39, 8, false, &[2; 8])).is_some());
}

#[test]
fn a_pair_of_hosts_holds_no_datagrams_of_long_ago() {
    use super::super::fragments::{OPEN, PERIOD};
    let seconds = PERIOD / crate::time::NS_PER_SECOND;
    // Forwards, backwards, and to and fro.
    let orders: [fn(i64) -> i64; 3] = [|nth| nth, |nth| 1000 - nth, |nth| nth % 2 * 500 + nth / 2];
    for order in orders {
        let mut fragments = Fragments::default();
        for nth in 0..1000 {
            for id in 0..30 {
                assert_eq!(push(&mut fragments, order(nth) * seconds, &fragment(id, 0, true, &[1; 8])), None);
            }
            assert!(fragments.waiting() <= 3 * OPEN, "{nth}: {}", fragments.waiting());
        }
    }
}

/// Every pair of hosts has its own room, but not as many pairs as there may be.
#[test]
fn fragments_of_any_number_of_pairs_have_a_bound() {
    const STRETCH: u32 = 40_000;
    let from = |host: u32, mut packet: Vec<u8>| {
        packet[12..16].copy_from_slice(&host.to_be_bytes());
        packet
    };
    let (head, tail) = (fragment(1, 0, true, &[1; 8]), fragment(1, 8, false, &[2; 8]));
    // Two workers: one has the pairs that matter, the other as many as come.
    let (mut few, mut many) = (Fragments::default(), Fragments::default());
    for stretch in 0..10 {
        assert_eq!(push(&mut few, 0, &from(stretch, head.clone())), None);
        for host in 0..STRETCH {
            assert_eq!(push(&mut many, 0, &from(1_000_000 * stretch + host, head.clone())), None);
        }
        few.end_stretch(STRETCH + 1);
        many.end_stretch(STRETCH + 1);
        assert!((few.waiting() + many.waiting()) as u64 <= super::super::fragments::WAITING);
    }
    // Three stretches are within the bound, a fourth is not.
    assert_eq!((few.waiting(), few.take_let_go()), (3, 7));
    assert_eq!((many.waiting() as u32, many.take_let_go() as u32), (3 * STRETCH, 7 * STRETCH));
    let comes_together: Vec<bool> =
        (0..10).map(|host| push(&mut few, 0, &from(host, tail.clone())).is_some()).collect();
    assert_eq!(comes_together, (0..10).map(|host| host > 6).collect::<Vec<_>>());
}

#[test]
fn a_fragment_that_cannot_be_is_none() {
    let mut fragments = Fragments::default();
    assert_eq!(push(&mut fragments, 0, &fragment(1, 65_528, false, &[1; 16])), None, "beyond the longest datagram");
    assert_eq!(push(&mut fragments, 0, &fragment(1, 8, true, &[1; 9])), None, "not the last, and no multiple of 8");
    let (mut v4, mut v6) = (fragment(1, 8, false, &[1; 8]), fragment_v6(1, 8, false, &[1; 8]));
    v4[3] += 8;
    v6[5] += 8;
    assert_eq!([v4, v6].map(|lie| push(&mut fragments, 0, &lie)), [None, None], "claims more than there was");
    assert_eq!(fragments.waiting(), 0);
}
