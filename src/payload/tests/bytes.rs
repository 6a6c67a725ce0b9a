//! Messages to play.

use super::super::quic::seal::seal;
use super::super::quic::{InitialKeys, Version};

fn u16s(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// Bytes behind their length in two bytes.
fn long(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &long(content)].concat()
}

/// A handshake message.
pub(super) fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// A TLS record.
pub(super) fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &long(content)].concat()
}

/// The message of a client hello that asks for a name and offers `h2` and `http/1.1`.
pub(super) fn client_hello_message(name: &str, version: u16, cookie: &[u8]) -> Vec<u8> {
    let names = [&[0][..], &long(name.as_bytes())].concat();
    let extensions = [
        extension(0x0a0a, &[]),
        extension(0, &long(&names)),
        extension(10, &long(&u16s(&[0x2a2a, 29, 23]))),
        extension(11, &[1, 0]),
        extension(13, &long(&u16s(&[0x0403, 0x0804]))),
        extension(16, &long(b"\x02h2\x08http/1.1")),
        extension(43, &[6, 0x1a, 0x1a, 3, 4, 3, 3]),
    ]
    .concat();
    let body = [
        &version.to_be_bytes()[..],
        &[7; 32],
        &[32],
        &[9; 32],
        cookie,
        &long(&u16s(&[0x3a3a, 0x1301, 0xc02f])),
        &[1, 0],
        &long(&extensions),
    ]
    .concat();
    handshake(1, &body)
}

/// A record with a client hello.
pub(super) fn client_hello(name: &str) -> Vec<u8> {
    record(22, &client_hello_message(name, 0x0303, &[]))
}

/// The message of a server hello, of TLS 1.3 or 1.2.
pub(super) fn server_hello_message(cipher: u16, thirteen: bool, random: &[u8; 32]) -> Vec<u8> {
    let extensions = if thirteen {
        [extension(43, &[3, 4]), extension(51, &[0, 29, 0, 1, 5])].concat()
    } else {
        extension(16, &long(b"\x02h2"))
    };
    hello_of_server(0x0303, random, cipher, &extensions)
}

fn hello_of_server(version: u16, random: &[u8; 32], cipher: u16, extensions: &[u8]) -> Vec<u8> {
    let (version, cipher) = (version.to_be_bytes(), cipher.to_be_bytes());
    handshake(2, &[&version[..], random, &[0], &cipher, &[0], &long(extensions)].concat())
}

/// A record with the server hello of which a JA3S text is: version, cipher suite and extensions in decimal.
pub(super) fn server_hello_of_ja3s(text: &str) -> Vec<u8> {
    let number = |text: &str| text.parse::<u16>().expect("it is a number");
    let fields: Vec<&str> = text.split(',').collect();
    let [version, cipher, extensions] = fields[..] else { panic!("three fields: {text}") };
    let answer = |kind: &str| match number(kind) {
        // RFC 8422, section 5.2; RFC 6520; RFC 5746.
        11 => extension(11, &[1, 0]),
        15 => extension(15, &[1]),
        65281 => extension(65281, &[0]),
        other => panic!("no server's answer of this kind is known here: {other}"),
    };
    let extensions: Vec<u8> = extensions.split('-').flat_map(answer).collect();
    record(22, &hello_of_server(number(version), &[8; 32], number(cipher), &extensions))
}

/// A record with a server hello.
pub(super) fn server_hello(cipher: u16, thirteen: bool) -> Vec<u8> {
    record(22, &server_hello_message(cipher, thirteen, &[8; 32]))
}

/// A certificate message.
pub(super) fn certificates(chain: &[&[u8]]) -> Vec<u8> {
    let three = |length: usize| (length as u32).to_be_bytes()[1..].to_vec();
    let list: Vec<u8> = chain.iter().flat_map(|der| [&three(der.len())[..], der].concat()).collect();
    handshake(11, &[&three(list.len())[..], &list].concat())
}

/// A DER value.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ ..=127 => vec![short as u8],
        long => [&[0x82][..], &(long as u16).to_be_bytes()].concat(),
    };
    [&[tag][..], &length, content].concat()
}

/// A certificate of `example.org` with an RSA key of 512 bits, whose signature is nonsense.
pub(super) fn certificate() -> Vec<u8> {
    let algorithm = |oid: &[u8]| der(0x30, &[der(6, oid), der(5, &[])].concat());
    let sha256_with_rsa = algorithm(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b]);
    let name = |kind: u8, text: &str| {
        let attribute = der(0x30, &[der(6, &[0x55, 4, kind]), der(0x0c, text.as_bytes())].concat());
        der(0x31, &attribute)
    };
    let modulus = [&[0, 0x80][..], &[3; 63]].concat();
    let rsa = der(0x30, &[der(2, &modulus), der(2, &[1, 0, 1])].concat());
    let key = der(
        0x30,
        &[algorithm(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]), der(3, &[&[0][..], &rsa].concat())].concat(),
    );
    let names = der(0x30, &[der(0x82, b"example.org"), der(0x87, &[192, 0, 2, 1])].concat());
    let alternative = der(0x30, &[der(6, &[0x55, 0x1d, 0x11]), der(4, &names)].concat());
    let to_be_signed = der(
        0x30,
        &[
            der(0xa0, &der(2, &[2])),
            der(2, &[0x12, 0x34]),
            sha256_with_rsa.clone(),
            der(0x30, &[name(10, "Test, Inc"), name(3, "Root")].concat()),
            der(0x30, &[der(0x17, b"700101000000Z"), der(0x17, b"380119031407Z")].concat()),
            der(0x30, &name(3, "example.org")),
            key,
            der(0xa3, &der(0x30, &alternative)),
        ]
        .concat(),
    );
    der(0x30, &[to_be_signed, sha256_with_rsa, der(3, &[&[0][..], &[1; 64]].concat())].concat())
}

/// A DNS name in wire form.
pub(super) fn dns_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> = labels.flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}

/// A DNS query for a name and type.
pub(super) fn dns_query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    [u16s(&[id, 0x0100, 1, 0, 0, 0]), dns_name(name), u16s(&[kind, 1])].concat()
}

/// Its response, with addresses of a time to live, or a response code.
pub(super) fn dns_response(id: u16, name: &str, kind: u16, rcode: u16, answers: &[([u8; 4], u32)]) -> Vec<u8> {
    let mut bytes =
        [u16s(&[id, 0x8180 | rcode, 1, answers.len() as u16, 0, 0]), dns_name(name), u16s(&[kind, 1])].concat();
    for (address, ttl) in answers {
        bytes.extend([&[0xc0, 12, 0, 1, 0, 1][..], &ttl.to_be_bytes(), &[0, 4], address].concat());
    }
    bytes
}

/// A DTLS record of epoch 0 with a fragment of a handshake message.
pub(super) fn dtls_fragment(message: &[u8], number: u16, offset: usize, length: usize) -> Vec<u8> {
    let body = &message[4..];
    let three = |number: usize| (number as u32).to_be_bytes()[1..].to_vec();
    let header = [&message[..4], &number.to_be_bytes(), &three(offset), &three(length)].concat();
    let fragment = [&header[..], &body[offset..offset + length]].concat();
    [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, number as u8][..], &long(&fragment)].concat()
}

/// A CRYPTO frame.
pub(super) fn crypto(offset: u16, bytes: &[u8]) -> Vec<u8> {
    let varint = |number: u16| (number | 0x4000).to_be_bytes();
    [&[6][..], &varint(offset), &varint(bytes.len() as u16), bytes].concat()
}

/// An Initial packet of a client or a server.
pub(super) fn quic_initial(
    version: Version,
    keys: &InitialKeys,
    client: bool,
    destination: &[u8],
    frames: &[u8],
) -> Vec<u8> {
    let mut payload = frames.to_vec();
    payload.resize(frames.len().max(100), 0);
    let first = if version == Version::V2 { 0xd0 } else { 0xc0 };
    let length = (payload.len() as u16 + 1 + 16) | 0x4000;
    let header = [
        &[first][..],
        &version.0.to_be_bytes(),
        &[destination.len() as u8],
        destination,
        &[0, 0],
        &length.to_be_bytes(),
        &[0],
    ]
    .concat();
    seal(if client { &keys.client } else { &keys.server }, &header, 1, &payload)
}
