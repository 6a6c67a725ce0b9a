use proptest::prelude::*;

use super::*;
use crate::capture::{Record, Stamp};
use crate::decode::{Decoder, Tunnels};
use crate::time::Timestamp;

/// An Ethernet frame: VLAN tags, an IPv4 header, and what follows it.
fn frame(tags: &[u16], protocol: u8, src: [u8; 4], dst: [u8; 4], fragment: u16, rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    for tag in tags {
        frame.extend_from_slice(&[0x81, 0]);
        frame.extend_from_slice(&tag.to_be_bytes());
    }
    frame.extend_from_slice(&[8, 0, 0x45, 0]);
    frame.extend_from_slice(&(20 + rest.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[0, 1]);
    frame.extend_from_slice(&fragment.to_be_bytes());
    frame.extend_from_slice(&[64, protocol, 0, 0]);
    frame.extend_from_slice(&src);
    frame.extend_from_slice(&dst);
    frame.extend_from_slice(rest);
    frame
}

fn tcp(ports: [u16; 2], flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut rest = Vec::new();
    rest.extend_from_slice(&ports[0].to_be_bytes());
    rest.extend_from_slice(&ports[1].to_be_bytes());
    rest.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 1, 0, 0, 0, 0, 0]);
    rest.extend_from_slice(payload);
    rest
}

fn ask(filter: &Filter, frame: &[u8]) -> bool {
    filter.matches(&decoded(frame).unwrap(), LinkType(1), frame)
}

fn decoded(frame: &[u8]) -> Option<Packet> {
    let record = Record {
        time: Timestamp(0),
        stamp: Stamp::Known,
        link: LinkType(1),
        offset: 0,
        captured: frame.len() as u32,
        wire: frame.len() as u32,
    };
    Decoder::new(Tunnels::Inner).decode(&record, frame).ok()
}

fn holds(expression: &str, frame: &[u8]) -> bool {
    ask(&Filter::parse(expression).unwrap_or_else(|mistake| panic!("{mistake}")), frame)
}

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [192, 168, 1, 2];

#[test]
fn and_and_or_bind_alike_from_left_to_right() {
    let udp = frame(&[], 17, A, B, 0, &[0, 53, 0, 99, 0, 8, 0, 0]);
    assert!(!holds("udp or tcp and port 80", &udp), "(udp or tcp) and port 80");
    assert!(holds("udp or (tcp and port 80)", &udp));
    assert!(holds("not tcp and udp", &udp), "(not tcp) and udp");
    assert!(!holds("not not tcp or ! ! ! udp", &udp));
}

#[test]
fn qualifiers_carry_over_to_names_alone() {
    let packet = frame(&[], 6, A, B, 0, &tcp([1000, 443], 2, &[]));
    for expression in [
        "port 80 or 443",
        "dst port 80 or 443",
        "tcp dst port 80 or 81 or https",
        "port (80 or 443)",
        "src host 1.1.1.1 or 10.0.0.1",
        "10.0.0.1 and 192.168.1.2",
        "src 10.0.0.0/8 and not 11.0.0.0/8",
        "net 11 or 10",
        "not host 1.1.1.1 and 10.0.0.1 and 10.0.0.2 or port 443",
        "src or dst host (10.0.0.2 or 192.168.1.2)",
        "(port 80) or 443",
        "proto 17 or tcp",
    ] {
        assert!(holds(expression, &packet), "{expression}");
    }
    for expression in [
        "src port 80 or 443",
        "dst host 1.1.1.1 or 10.0.0.1",
        "src and dst port 443 or 1000",
        "host 10.0.0.1 and not 192.168.1.2",
    ] {
        assert!(!holds(expression, &packet), "{expression}");
    }
}

#[test]
fn tags_are_looked_through_and_can_be_asked_for() {
    let packet = frame(&[5, 7], 6, A, B, 0, &tcp([1000, 443], 2, &[]));
    for expression in [
        "tcp port 443",
        "vlan",
        "vlan 5",
        "vlan 5 and vlan 7",
        "vlan 7 and tcp",
        "ether proto 0x8100 and ether proto \\ip",
        "not vlan 6",
    ] {
        assert!(holds(expression, &packet), "{expression}");
    }
    // Behind a length, a SNAP header and a PPPoE one.
    let plain = frame(&[], 6, A, B, 0, &tcp([1000, 443], 2, &[]));
    let session = [&[2; 12][..], &[0, 58, 0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0, 0x20, 9, 0x88, 0x64]].concat();
    let session = [&session[..], &[0x11, 0, 0, 1, 0, 42, 0, 0x21], &plain[14..]].concat();
    assert!(holds("vlan and vlan 9 and tcp port 443", &session) && !holds("vlan 5", &session));
    assert!(!holds("vlan", &plain) && !holds("ether proto 0x8100", &plain));
}

/// What the decoder knows of a fragment is asked in place of its header: `= 0` and `!= 0` are what `< 1` and `>= 1` are.
#[test]
fn the_offset_of_a_fragment_is_what_its_header_says() {
    let segment = tcp([1000, 443], 2, &[]);
    let parts = [0, 0x2000, 0x4000, 0x8000, 1, 0x2001, 0x1fff, 0xffff];
    for (part, later) in parts.into_iter().zip([false, false, false, false, true, true, true, true]) {
        let packet = frame(&[], 6, A, B, part, &segment);
        for (known, read) in [("= 0", "< 1"), ("!= 0", ">= 1")] {
            let [known, read] = [known, read].map(|ends| holds(&format!("ip[6:2] & 0x1fff {ends}"), &packet));
            assert_eq!(known, read, "{part:#x}");
        }
        assert_eq!(holds("ip[6:2] & 0x1fff != 0", &packet), later, "{part:#x}");
    }
    let six = [&[2; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64], &[1; 32], &segment].concat();
    assert!(holds("ip6 and tcp", &six));
    assert!(!holds("ip[6:2] & 0x1fff = 0 or ip[6:2] & 0x1fff != 0", &six));
}

#[test]
fn later_fragments_have_a_protocol_but_no_ports_and_no_header() {
    let later = frame(&[], 6, A, B, 0x2010, &tcp([0, 0], 2, &[]));
    assert!(holds("tcp and not port 0 and not tcp[13] & 2 != 0", &later));
}

#[test]
fn bytes_that_were_not_captured_match_nothing() {
    let packet = frame(&[], 6, A, B, 0, &tcp([1000, 443], 2, b"GET "));
    assert!(holds("tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420", &packet));
    assert!(!holds("tcp[200] = 0", &packet) && !holds("not tcp[200] = 0", &packet));
    assert!(holds("udp or not tcp[200] = 0 or tcp", &packet) == holds("not tcp[200] = 0 or tcp", &packet));
    assert!(holds("tcp or tcp[200] = 0", &packet), "not looked at");
    assert!(!holds("tcp[0xffffffff:4] = 0", &packet) && !holds("1 / (tcp[4] & 0) = 1", &packet));
}

#[test]
fn flags_can_be_left_out_without_an_expression() {
    let of = |flags, payload: &[u8]| frame(&[], 6, A, B, 0, &tcp([1, 2], flags, payload));
    let filter = Filter::default().without_pure_acks(true).without_rst(true);
    let kept =
        [of(0x10, b"x"), of(0x12, &[]), of(0x18, &[]), of(0x11, &[]), of(0, &[]), frame(&[], 17, A, B, 0, &[0; 8])];
    let left_out = [of(0x10, &[]), of(0x50, &[]), of(0x04, &[]), of(0x14, b"why")];
    assert!(kept.iter().all(|frame| ask(&filter, frame)) && !left_out.iter().any(|frame| ask(&filter, frame)));
    assert!(Filter::default().is_open() && !filter.is_open() && Filter::parse(" \t").unwrap().is_open());
}

/// The marked part of an expression, and the reason.
fn mistake(text: &str) -> (String, String) {
    let mistake = Filter::parse(text).expect_err(text);
    (text[mistake.at()].to_owned(), mistake.reason().to_owned())
}

#[test]
fn mistakes_have_a_place_and_a_way_out() {
    for (text, marked, way_out) in [
        ("tcp prot 80", "prot", "`port`"),
        ("port 70000", "70000", "up to 65535"),
        ("port", "", "missing"),
        ("port 80 443", "443", "`and` or `or`"),
        ("80", "80", "`port 80`"),
        ("https", "https", "`port https`"),
        ("port 80-90", "80-90", "portrange 80-90"),
        ("host example.com", "example.com", "not looked up"),
        ("host 10.1", "10.1", "net 10.1"),
        ("host 10.0.0.0/8", "/", "`and` or `or`"),
        ("net 10.0.0.1/8", "10.0.0.1/8", "10.0.0.0 has not"),
        ("net 10.0.0.0/33", "33", "up to 32"),
        ("net 10.0.0.0 mask 8", "8", "255.255.0.0"),
        ("tcp host 10.0.0.1", "tcp", "`and`"),
        ("tcp src 10.0.0.1", "tcp", "`port` may be missing"),
        ("ip port 80", "ip", "`tcp`, `udp` and `sctp`"),
        ("ether host 10.0.0.1", "ether", "link layer"),
        ("ether", "ether", "ether proto"),
        ("vlan 5000", "5000", "up to 4095"),
        ("less", "", "missing"),
        ("(tcp or udp", "", "`)` is missing"),
        ("tcp)", ")", "never opened"),
        ("tcp or", "", "must follow"),
        ("and tcp", "and", "unknown"),
        ("tcp[13] & 2", "", "compare"),
        ("tcp[13] & tcp-sin != 0", "tcp-sin", "no number"),
        ("tcp[13:3] = 0", "3", "1, 2 or 4"),
        ("tcp[13 = 2", "=", "`]`"),
        ("len > 10 / 0", "0", "division"),
        ("gre[0] = 1", "gre", "has no bytes"),
        ("tcp ; udp", ";", "no meaning"),
        ("gateway 10.0.0.1", "gateway", "not supported"),
        ("((tcp[13] & 2) ! = 0)", "!", "compare"),
    ] {
        let (at, reason) = mistake(text);
        assert_eq!(at, marked, "{text}: {reason}");
        assert!(reason.contains(way_out), "{text}: {reason}");
    }
    let shown = Filter::parse("tcp and hots 10.0.0.1").unwrap_err().to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[1..], ["  tcp and hots 10.0.0.1", "          ^^^^"]);
}

#[test]
fn depth_is_bounded() {
    let nested = |n: usize| format!("{}tcp{}", "(".repeat(n), ")".repeat(n));
    assert!(Filter::parse(&nested(100)).is_ok());
    assert!(Filter::parse(&nested(20_000)).is_err());
    assert!(Filter::parse(&"(".repeat(60_000)).is_err());
    assert!(Filter::parse(&format!("{}tcp", "not ".repeat(10_001))).is_ok(), "these do not nest");
    assert!(Filter::parse(&format!("tcp{}", " or udp".repeat(9_000))).is_ok());
    assert!(Filter::parse(&format!("tcp{}", " or udp and ip".repeat(4_000))).is_err());
    assert!(Filter::parse(&format!("tcp[0]{} = 1", "+tcp[0]".repeat(5_000))).is_err());
    assert!(Filter::parse(&format!("{}1 = 1", "-".repeat(30_000))).is_err());
    assert!(Filter::parse(&"x".repeat(70_000)).is_err());
}

/// Words of the language, in any order.
fn words() -> impl Strategy<Value = String> {
    const WORDS: &str = "tcp udp ip ip6 src dst host net port portrange proto ether vlan less and or not ( ) 10.0.0.1 80 1-5 ::1 / 8 mask \
                         tcp[ ] : 2 tcpflags & != = - << len \\tcp multicast";
    let words: Vec<&str> = WORDS.split(' ').collect();
    // Mostly such as stand where they can.
    let tests = [
        "tcp",
        "udp port 5",
        "not ip6",
        "port 80 or",
        "and",
        "or",
        "host 10.0.0.1",
        "ip[6:2] & 0x1fff = 0",
        "not (icmp or udp)",
    ];
    let some =
        prop::collection::vec(prop_oneof![prop::sample::select(words), prop::sample::select(tests.to_vec())], 0..16);
    some.prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,60}") {
        if let Err(mistake) = Filter::parse(&text) {
            prop_assert!(text.get(mistake.at()).is_some());
            prop_assert!(!mistake.to_string().is_empty());
        }
    }

    #[test]
    fn any_words_are_read_or_refused(words in words(), payload: [u8; 24]) {
        if let Ok(filter) = Filter::parse(&words) {
            ask(&filter, &frame(&[3], 6, A, B, 0, &tcp([80, 1], 0x12, &payload)));
        }
    }

    #[test]
    fn what_a_protocol_settles_is_what_the_condition_says(words in words(), protocol: u8, port in 0..9_u16, part in 0..2_u16) {
        let rest = tcp([port, 80], 0x12, b"x");
        let four = frame(&[3], protocol, A, B, part, &rest);
        let six = [&[2; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0, 0, rest.len() as u8, protocol, 64], &[1; 32], &rest].concat();
        if let Ok(Some(asked)) = Filter::parse(&words).map(|filter| filter.expression) {
            for frame in [four, six] {
                let Some(packet) = decoded(&frame) else { continue };
                let subject = Subject { packet: &packet, link: LinkType(1), frame: &frame };
                let said = asked.clone().into_expression().holds(&subject).unwrap_or(false);
                prop_assert_eq!(asked.matches(&subject), said, "{}", words);
            }
        }
    }
}
