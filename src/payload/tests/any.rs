//! Any bytes, and any way of cutting them.

use proptest::prelude::*;

use super::*;

/// Conversations worth cutting: ports, and what A and B say.
fn scripts() -> Vec<([u16; 2], Vec<u8>, Vec<u8>)> {
    let chain = certificates(&[&certificate(), b"x"]);
    let framed = |message: Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    vec![
        (
            [50_000, 4433],
            [client_hello("example.org"), record(20, &[1]), record(22, &[5; 40])].concat(),
            [server_hello(0xc02f, false), record(22, &chain), record(20, &[1]), record(23, &[6; 40])].concat(),
        ),
        (
            [50_000, 8000],
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /p HTTP/1.1\r\nContent-Length: 7\r\n\r\n1234567GET /z HTTP/1.0\r\n\r\n".to_vec(),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nxxHTTP/1.0 200 OK\r\n\r\nrest".to_vec(),
        ),
        (
            [50_000, 53],
            [framed(dns_query(1, "a.example", 1)), framed(dns_query(2, "b.example", 1))].concat(),
            framed(dns_response(2, "b.example", 1, 0, &[([192, 0, 2, 9], 1)])),
        ),
        ([50_000, 22], b"SSH-2.0-a\r\nxxxxxxxxxx".to_vec(), b"SSH-2.0-b\nxxxxxxx".to_vec()),
        (
            [50_000, 21],
            b"USER me\r\nPASS x\r\nLIST\r\nQUIT\r\n".to_vec(),
            b"220 FTP\r\n331 x\r\n230 y\r\n150 z\r\n221 bye\r\n".to_vec(),
        ),
        ([50_000, 143], b"a LOGIN x {3}\r\nabc\r\nb LIST\r\n".to_vec(), b"* OK hi\r\na OK\r\n".to_vec()),
    ]
}

/// Plays a script with its bytes cut at places, in an order, some of them twice.
fn cut(script: &([u16; 2], Vec<u8>, Vec<u8>), cuts: &[usize], order: &[usize], by_byte: bool) -> Option<Fields> {
    let (ports, a, b) = script;
    let mut play = Play::tcp(*ports);
    // The server's word comes first where it greets; the ends do not overtake each other.
    let turns = if matches!(ports[1], 21 | 143) { [(End::B, b), (End::A, a)] } else { [(End::A, a), (End::B, b)] };
    for (from, bytes) in turns {
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut % bytes.len()).chain([0, bytes.len()]).collect();
        if by_byte {
            places = (0..=bytes.len()).collect();
        }
        places.sort_unstable();
        let mut pieces: Vec<(usize, usize)> = places.windows(2).map(|pair| (pair[0], pair[1])).collect();
        for (index, &turn) in order.iter().enumerate() {
            let (index, turn) = (index % pieces.len(), turn % pieces.len());
            pieces.swap(index, turn);
            let twice = pieces[turn];
            pieces.push(twice);
        }
        let start = play.next[from as usize];
        for (at, end) in pieces {
            play.at(from, start.wrapping_add(at as u32), 0x18, &bytes[at..end], 0);
        }
    }
    play.end()
}

#[test]
fn a_byte_at_a_time_says_the_same() {
    for script in scripts() {
        let whole = cut(&script, &[], &[], false);
        assert!(whole.is_some());
        assert_eq!(cut(&script, &[], &[], true), whole);
    }
}

proptest! {
    #[test]
    fn cuts_order_and_repeats_of_segments_do_not_show(
        cuts in prop::collection::vec(any::<usize>(), 0..30),
        order in prop::collection::vec(any::<usize>(), 0..30),
    ) {
        for script in scripts() {
            prop_assert_eq!(cut(&script, &cuts, &order, false), cut(&script, &[], &[], false), "{:?}", script.0);
        }
    }

    #[test]
    fn any_packets_are_taken_within_the_limits(
        packets in prop::collection::vec(
            (any::<bool>(), any::<u16>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..200), 0_u32..20),
            0..30,
        ),
        start in 0_usize..12,
        protocol in prop_oneof![Just(6_u8), Just(17), Just(1), Just(132)],
        port in prop_oneof![Just(53_u16), Just(21), Just(25), Just(143), Just(443), Just(9999)],
    ) {
        // A known beginning, so that more than detection is tried.
        let starts = [
            client_hello("example.org"),
            server_hello(0x1301, true),
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            b"220 FTP\r\n".to_vec(),
            b"* OK\r\n".to_vec(),
            dns_query(1, "a.b", 1),
            dns_response(1, "a.b", 1, 0, &[([1, 2, 3, 4], 5)]),
            dtls_fragment(&client_hello_message("a", 0xfefd, &[0]), 0, 0, 60),
            crypto(0, b"abc"),
            vec![0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x40, 0x64],
            Vec::new(),
        ];
        let mut play = Play::datagrams(protocol, [50_000, port]);
        play.limits = Limits { stream: 500, items: 5, text: 300, details: true };
        for (index, (a, seq, flags, payload, cut)) in packets.into_iter().enumerate() {
            let from = if a { End::A } else { End::B };
            let payload = if index < 2 { [&starts[start], &payload[..]].concat() } else { payload };
            play.at(from, u32::from(seq % 1500), flags, &payload, cut);
        }
        if let Some(fields) = play.end() {
            prop_assert!(fields.http.as_ref().is_none_or(|http| http.requests.len() + http.responses.len() <= 5));
            serde_json::to_string(&fields).unwrap();
        }
    }

    #[test]
    fn damage_to_a_message_costs_no_more_than_the_message(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        script in 0_usize..6,
    ) {
        let mut script = scripts().swap_remove(script);
        let at = at.index(script.2.len());
        script.2[at] = byte;
        cut(&script, &[], &[], false);
        let at = at % script.1.len();
        script.1[at] = byte;
        cut(&script, &[], &[], false);
    }
}
