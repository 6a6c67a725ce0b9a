//! TLS, QUIC and HTTP.

use super::super::quic::{InitialKeys, Version};
use super::*;

const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

#[test]
fn tls_is_read_on_any_port_and_says_what_was_offered_and_chosen() {
    let fields = dialogue([50_000, 9999], &client_hello("example.org"), &server_hello(0xc02f, false)).unwrap();
    let tls = fields.tls.unwrap();
    assert_eq!(tls.sni.as_deref(), Some("example.org"));
    assert_eq!(tls.alpn_offered, ["h2", "http/1.1"]);
    assert_eq!((tls.version, tls.cipher, tls.alpn.as_deref()), (Some(0x0303), Some(0xc02f), Some("h2")));
    assert_eq!(tls.client_version, Some(0x0304));
    let offered = tls.offered.unwrap();
    assert_eq!(offered.ciphers, [0x3a3a, 0x1301, 0xc02f]);
    assert_eq!(offered.extensions, [0x0a0a, 0, 10, 11, 13, 16, 43]);
    assert_eq!(offered.groups, [0x2a2a, 29, 23]);
    assert!(tls.ja4.unwrap().starts_with("t13d0206h2_"));
    assert!(tls.ja3.is_some() && tls.ja3s.is_some());
}

#[test]
fn a_certificate_chain_is_flat_and_one_that_cannot_be_read_is_counted() {
    let chain = certificates(&[&certificate(), b"not a certificate"]);
    // Messages lie across records, records across segments.
    let message = [server_hello_message(0xc02f, false, &[8; 32]), chain].concat();
    let (one, two) = message.split_at(300);
    let server = [record(22, one), record(22, two), record(20, &[1])].concat();
    let mut play = Play::tcp([50_000, 443]).say(End::A, &client_hello("example.org"));
    for segment in server.chunks(97) {
        play = play.say(End::B, segment);
    }
    let tls = play.end().unwrap().tls.unwrap();
    assert_eq!((tls.certificates.len(), tls.unread_certificates), (2, 1));
    let leaf = &tls.certificates[0];
    assert_eq!(leaf.subject.as_deref(), Some("CN=example.org"));
    assert_eq!(leaf.issuer.as_deref(), Some("O=Test\\, Inc, CN=Root"));
    assert_eq!(leaf.serial.as_deref(), Some("1234"));
    assert_eq!(
        (leaf.not_before, leaf.not_after),
        (Some(Timestamp(0)), Some(Timestamp::from_seconds(i64::from(i32::MAX))))
    );
    assert_eq!(leaf.names, ["example.org", "192.0.2.1"]);
    assert_eq!((leaf.key_type.as_deref(), leaf.key_bits), (Some("rsa"), Some(512)));
    assert_eq!(leaf.signature.as_deref(), Some("sha256WithRSAEncryption"));
    assert_eq!(tls.certificates[1].subject, None);
    assert_eq!(tls.certificates[1].sha256.len(), 64);
}

#[test]
fn without_details_the_own_certificate_is_read_and_nothing_is_hashed() {
    let chain =
        [server_hello_message(0xc02f, false, &[8; 32]), certificates(&[&certificate(), &certificate()])].concat();
    let mut play = Play::tcp([50_000, 443]);
    play.limits.details = false;
    let tls =
        play.say(End::A, &client_hello("example.org")).say(End::B, &record(22, &chain)).end().unwrap().tls.unwrap();
    assert_eq!((tls.sni.as_deref(), tls.cipher), (Some("example.org"), Some(0xc02f)));
    assert_eq!((tls.ja3, tls.ja3s, tls.ja4), (None, None, None));
    assert_eq!(tls.certificates.len(), 1);
    let own = &tls.certificates[0];
    assert_eq!(own.subject.as_deref(), Some("CN=example.org"));
    assert_eq!(own.issuer.as_deref(), Some("O=Test\\, Inc, CN=Root"));
    assert_eq!((own.serial.as_deref(), &*own.sha256), (None, ""));
}

#[test]
fn a_certificate_that_cannot_be_read_whole_has_its_names_with_details_and_without() {
    let mut broken = certificate();
    let time = broken.windows(13).position(|bytes| bytes == b"700101000000Z").unwrap();
    broken[time + 12] = b'X';
    for details in [true, false] {
        let chain = [server_hello_message(0xc02f, false, &[8; 32]), certificates(&[&broken])].concat();
        let mut play = Play::tcp([50_000, 443]);
        play.limits.details = details;
        let fields = play.say(End::A, &client_hello("example.org")).say(End::B, &record(22, &chain)).end();
        let tls = fields.unwrap().tls.unwrap();
        let own = &tls.certificates[0];
        assert_eq!(own.subject.as_deref(), Some("CN=example.org"));
        assert_eq!(own.issuer.as_deref(), Some("O=Test\\, Inc, CN=Root"));
        assert_eq!((own.serial.as_deref(), own.not_before, own.signature.as_deref()), (None, None, None));
        assert_eq!((own.sha256.len(), tls.unread_certificates), if details { (64, 1) } else { (0, 0) });
    }
}

#[test]
fn a_second_hello_does_not_replace_the_first_and_the_choice_is_the_last() {
    let retry = record(22, &server_hello_message(0x1301, true, &RETRY));
    let change = record(20, &[1]);
    let fields = Play::tcp([50_000, 443])
        .say(End::A, &client_hello("first.example"))
        .say(End::B, &[retry, change.clone()].concat())
        .say(End::A, &[change, client_hello("second.example")].concat())
        .say(End::B, &server_hello(0x1302, true))
        .end();
    let tls = fields.unwrap().tls.unwrap();
    assert_eq!((tls.hello_retry, tls.cipher, tls.version), (true, Some(0x1302), Some(0x0304)));
    assert_eq!(tls.sni.as_deref(), Some("first.example"));
    assert_eq!(tls.group, Some(29));
}

#[test]
fn ja3s_of_a_server_hello_is_the_published_one() {
    // Salesforce publishes the hashes: of the servers of Trickbot and Emotet in the README of salesforce/ja3, of Tor in
    // "TLS Fingerprinting with JA3 and JA3S" (2019). The text of the first is in StamusNetworks/suricata-4-analysts,
    // source/tls-threat-hunting.rst; those of the others were looked for until one had the hash.
    let published = [
        ("769,49172,65281-11", "623de93db17d313345d7ea481e7443cf"),
        ("771,60,65281", "80b3a14bccc8598a1f3bbe83e71f735f"),
        ("771,49199,65281-11-15", "a95ca7eab4d47d051a5cd4fb7b6005dc"),
        // Of SSL 3.0, by Wireshark.
        ("768,49169,65281", "59e3f99fd4b68388f5ba9349e0ca71a4"),
    ];
    for (text, hash) in published {
        let fields = dialogue([50_000, 443], &client_hello("example.org"), &server_hello_of_ja3s(text)).unwrap();
        let tls = fields.tls.unwrap();
        assert_eq!(tls.ja3s.as_deref(), Some(hash), "{text}");
        let numbers: Vec<String> = tls.server_extensions.iter().map(u16::to_string).collect();
        assert!(text.ends_with(&format!(",{}", numbers.join("-"))), "{text}: {numbers:?}");
    }
}

#[test]
fn half_a_hello_says_what_it_says_but_has_no_fingerprint() {
    let hello = client_hello("example.org");
    let mut play = Play::tcp([50_000, 443]);
    play.at(End::A, 1001, 0x18, &hello[..hello.len() - 5], 5);
    let tls = play.end().unwrap().tls.unwrap();
    assert_eq!(tls.sni.as_deref(), Some("example.org"));
    assert_eq!((tls.ja3, tls.ja4), (None, None));
}

#[test]
fn tls_is_found_behind_other_words() {
    let hello = client_hello("example.org");
    let sni = |fields: Option<Fields>| fields.and_then(|fields| fields.tls?.sni);
    let proxy = Play::tcp([50_000, 1080]).say(End::A, &[5, 1, 0]).say(End::B, &[5, 0]).say(End::A, &[5, 1, 0, 3]);
    assert_eq!(sni(proxy.say(End::A, &hello).end()).as_deref(), Some("example.org"));

    let connect = Play::tcp([50_000, 3128])
        .say(End::A, b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")
        .say(End::B, b"HTTP/1.1 200 Connection established\r\n\r\n")
        .say(End::A, &hello)
        .say(End::B, &server_hello(0x1301, true));
    let fields = connect.end().unwrap();
    assert_eq!(fields.apps(), ["http", "tls"]);
    assert_eq!(fields.tls.unwrap().cipher, Some(0x1301));

    let mail = Play::tcp([50_000, 25])
        .say(End::B, b"220 mail.example.org ESMTP\r\n")
        .say(End::A, b"EHLO me\r\nSTARTTLS\r\n")
        .say(End::B, b"250 STARTTLS\r\n220 go ahead\r\n")
        .say(End::A, &hello);
    let fields = mail.end().unwrap();
    assert_eq!(fields.smtp.unwrap().commands, ["EHLO", "STARTTLS"]);
    assert!(fields.tls.is_some());
}

#[test]
fn a_warning_in_front_of_the_server_hello_does_not_hide_it() {
    let server = [record(21, &[1, 112]), server_hello(0xc02f, false)].concat();
    let tls = dialogue([50_000, 443], &client_hello("example.org"), &server).unwrap().tls.unwrap();
    assert_eq!(tls.cipher, Some(0xc02f));
}

#[test]
fn a_connection_that_was_there_before_is_tls_by_its_records() {
    let fields = dialogue([50_000, 9999], &record(23, &[7; 17]), &record(23, &[9; 40])).unwrap();
    assert_eq!(fields.apps(), ["tls"]);
    assert_eq!(cell(&fields, "tls_version"), serde_json::Value::Null);
    assert!(dialogue([50_000, 9999], &record(23, &[7; 16]), &[]).is_none());
    assert!(dialogue([50_000, 9999], &[23, 3, 4, 0, 17, 0], &[]).is_none());
}

#[test]
fn dtls_messages_come_together_from_fragments_in_any_order() {
    let hello = client_hello_message("example.org", 0xfefd, &[2, 0xaa, 0xbb]);
    let mut server = server_hello_message(0xc02f, false, &[8; 32]);
    server[4..6].copy_from_slice(&[0xfe, 0xfd]);
    let length = hello.len() - 4;
    let fields = Play::datagrams(17, [40_000, 5000])
        .say(End::A, &dtls_fragment(&hello, 0, 60, length - 60))
        .say(End::A, &dtls_fragment(&hello, 0, 0, 60))
        .say(End::B, &dtls_fragment(&server, 0, 0, server.len() - 4))
        .end();
    let tls = fields.unwrap().tls.unwrap();
    assert_eq!(tls.sni.as_deref(), Some("example.org"));
    assert_eq!((tls.version, tls.cipher), (Some(0xfefd), Some(0xc02f)));
    assert!(tls.ja4.unwrap().starts_with("d13d"));
}

#[test]
fn quic_is_read_from_crypto_frames_in_any_order_over_packets() {
    let destination = [1, 2, 3, 4, 5, 6, 7, 8];
    let hello = client_hello_message("example.org", 0x0303, &[]);
    let server = server_hello_message(0x1301, true, &[8; 32]);
    let (one, two) = hello.split_at(100);
    for version in [Version::V1, Version::V2, Version(0xff00_001d)] {
        let keys = InitialKeys::new(version, &destination).unwrap();
        let packet = |client, frames: &[u8]| quic_initial(version, &keys, client, &destination, frames);
        // The end comes first; the beginning lies in two frames of two packets of one datagram.
        let datagram = [packet(true, &crypto(50, &one[50..])), packet(true, &crypto(0, &one[..70]))].concat();
        let fields = Play::datagrams(17, [40_000, 443])
            .say(End::A, &packet(true, &crypto(100, two)))
            .say(End::A, &datagram)
            .say(End::B, &packet(false, &[&[2, 0, 0, 0, 0][..], &crypto(0, &server)].concat()))
            .end()
            .unwrap();
        assert_eq!(fields.apps(), ["quic", "tls"]);
        assert_eq!(fields.quic.as_ref().map(|quic| (quic.version, quic.initials)), Some((version, 4)));
        let tls = fields.tls.unwrap();
        assert_eq!(tls.sni.as_deref(), Some("example.org"));
        assert_eq!((tls.version, tls.cipher), (Some(0x0304), Some(0x1301)));
        assert!(tls.ja4.unwrap().starts_with("q13d0206h2_"));
    }
}

#[test]
fn quic_follows_a_server_that_changes_the_version_and_a_retry() {
    let [first, second] = [[1; 8], [2; 8]];
    let hello = client_hello_message("example.org", 0x0303, &[]);
    let server = server_hello_message(0x1301, true, &[8; 32]);
    let keys = |version, destination: &[u8]| InitialKeys::new(version, destination).unwrap();
    let one = quic_initial(Version::V1, &keys(Version::V1, &first), true, &first, &crypto(0, &hello[..50]));
    let two = quic_initial(Version::V1, &keys(Version::V1, &second), true, &second, &crypto(50, &hello[50..]));
    let answer = quic_initial(Version::V2, &keys(Version::V2, &second), false, &[], &crypto(0, &server));
    let fields =
        Play::datagrams(17, [40_000, 443]).say(End::A, &one).say(End::A, &two).say(End::B, &answer).end().unwrap();
    assert_eq!(fields.quic.unwrap().version, Version::V2);
    let tls = fields.tls.unwrap();
    assert_eq!((tls.sni.as_deref(), tls.cipher), (Some("example.org"), Some(0x1301)));
}

const REQUEST: &[u8] = b"GET /a?b=c HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test/1\r\n\r\n";

#[test]
fn pipelined_requests_and_their_responses_are_all_read() {
    let post =
        b"POST /form HTTP/1.1\r\nhost: example.org\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nGET / xyz";
    let head = b"HEAD /h HTTP/1.1\r\nHost: example.org\r\n\r\n";
    let responses = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html\r\n\r\n\
        5;x=y\r\nHTTP/\r\n0\r\nTrailer: x\r\n\r\n\
        HTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nHTTP\
        HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n";
    let fields = dialogue([50_000, 8123], &[REQUEST, post, head].concat(), responses).unwrap();
    assert_eq!(cell(&fields, "http_method"), serde_json::json!(["GET", "POST", "HEAD"]));
    assert_eq!(cell(&fields, "http_target"), serde_json::json!(["/a?b=c", "/form", "/h"]));
    assert_eq!(cell(&fields, "http_user_agent"), serde_json::json!(["test/1", null, null]));
    assert_eq!(cell(&fields, "http_request_content_length"), serde_json::json!([null, 9, null]));
    assert_eq!(cell(&fields, "http_status"), serde_json::json!([200, 100, 404, 304]));
    assert_eq!(cell(&fields, "http_content_type"), serde_json::json!(["text/html", null, null, null]));
    assert_eq!(cell(&fields, "http_pipelined"), 2);
}

#[test]
fn a_body_that_was_lost_does_not_hide_the_next_response() {
    let fields = Play::tcp([50_000, 80])
        .say(End::A, REQUEST)
        .say(End::B, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc")
        .lose(End::B, 99_997)
        .say(End::A, REQUEST)
        .say(End::B, b"HTTP/1.1 204 No Content\r\n\r\n")
        .end()
        .unwrap();
    assert_eq!(cell(&fields, "http_status"), serde_json::json!([200, 204]));
    assert_eq!(fields.gaps, 0);
}

#[test]
fn reading_goes_on_behind_a_gap_and_a_head_without_its_end_counts() {
    let mut play = Play::tcp([50_000, 80]);
    play.at(End::A, 1001, 0x18, &REQUEST[..45], 30);
    play.next[0] = 1001 + 75;
    let fields = play.say(End::A, b"rest of something\r\n\r\n").say(End::A, REQUEST).end().unwrap();
    assert_eq!(cell(&fields, "http_host"), serde_json::json!(["example.org", "example.org"]));
    assert_eq!((fields.gaps, cell(&fields, "http_requests")), (1, 2.into()));
}

#[test]
fn odd_requests_are_read_as_they_are() {
    let odd = b"GET /with space\xff HTTP/1.1\r\nHost : a\r\nhost: b\r\n\r\n";
    let fields = dialogue([50_000, 80], odd, b"").unwrap();
    let request = &fields.http.unwrap().requests[0];
    assert_eq!(request.target.as_deref(), Some("/with space\\xff"));
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let mut play = Play::tcp([50_000, 80]);
    play.limits = Limits { items: 2, ..Limits::default() };
    let fields = play.say(End::A, &REQUEST.repeat(5)).end().unwrap();
    let http = fields.http.as_ref().unwrap();
    assert_eq!((http.requests.len(), http.request_count, fields.left_out), (2, 5, 3));
}

#[test]
fn messages_in_datagrams_are_read_and_those_of_other_protocols_are_not() {
    let search = b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n\r\n";
    let fields = Play::datagrams(17, [50_000, 1900]).say(End::A, search).say(End::A, search).end().unwrap();
    assert_eq!(cell(&fields, "http_method"), serde_json::json!(["M-SEARCH", "M-SEARCH"]));
    let sip = b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm\r\n\r\n";
    assert_eq!(Play::datagrams(17, [5060, 5060]).say(End::A, sip).end(), None);
    assert_eq!(Play::tcp([5060, 5060]).say(End::A, sip).end(), None);
}
