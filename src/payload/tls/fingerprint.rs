//! JA3, JA3S and JA4: what a hello looks like, whoever sends it.

use std::fmt::Write;

use md5::{Digest, Md5};
use sha2::Sha256;

use super::super::text::{hex, push_hex};

/// What a client hello offers, in its order, GREASE values included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The version field of the hello itself.
    pub version: u16,
    /// Versions of the `supported_versions` extension.
    pub versions: Vec<u16>,
    /// Cipher suites.
    pub ciphers: Vec<u16>,
    /// Extension types.
    pub extensions: Vec<u16>,
    /// Named groups (elliptic curves).
    pub groups: Vec<u16>,
    /// Elliptic curve point formats.
    pub point_formats: Vec<u8>,
    /// Signature algorithms.
    pub signature_algorithms: Vec<u16>,
    /// The first application protocol.
    pub alpn: Option<Vec<u8>>,
}

impl ClientHello {
    /// The highest version offered that is no GREASE value.
    #[must_use]
    pub fn highest_version(&self) -> u16 {
        let offered = self.versions.iter().copied().filter(|&version| !is_grease(version));
        // DTLS counts down (RFC 6347, section 4.1).
        let dtls = |version: u16| version >> 8 == 0xfe;
        offered.max_by_key(|&version| if dtls(version) { !version } else { version }).unwrap_or(self.version)
    }
}

/// What a server hello chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// The version field of the hello itself.
    pub version: u16,
    /// The cipher suite.
    pub cipher: u16,
    /// Extension types in order.
    pub extensions: Vec<u16>,
}

/// What carries a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// TLS over TCP.
    Tcp,
    /// QUIC.
    Quic,
    /// DTLS.
    Dtls,
}

/// Values that clients make up so that servers stay tolerant (RFC 8701): 0x0a0a, 0x1a1a to 0xfafa.
#[must_use]
pub const fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// JA3 of a client hello (Salesforce, 2017): MD5 over version, cipher suites, extensions, groups and point formats in
/// decimal, without GREASE values.
#[must_use]
pub fn ja3(hello: &ClientHello) -> String {
    let mut text = String::with_capacity(512);
    dashed(&mut text, std::iter::once(hello.version));
    for list in [&hello.ciphers, &hello.extensions, &hello.groups] {
        text.push(',');
        dashed(&mut text, list.iter().copied().filter(|&value| !is_grease(value)));
    }
    text.push(',');
    dashed(&mut text, hello.point_formats.iter().map(|&format| u16::from(format)));
    hex(&Md5::digest(text.as_bytes()))
}

/// JA3S of a server hello: MD5 over version, cipher suite and extensions in decimal.
#[must_use]
pub fn ja3s(hello: &ServerHello) -> String {
    let mut text = format!("{},{},", hello.version, hello.cipher);
    dashed(&mut text, hello.extensions.iter().copied());
    hex(&Md5::digest(text.as_bytes()))
}

fn dashed(text: &mut String, values: impl Iterator<Item = u16>) {
    let mut digits = itoa::Buffer::new();
    for (index, value) in values.enumerate() {
        if index > 0 {
            text.push('-');
        }
        text.push_str(digits.format(value));
    }
}

/// JA4 of a client hello (FoxIO, 2023, JA4.md): carrier, version, whether a name was asked for, counts and first
/// application protocol; then hashes of the sorted cipher suites, and of the sorted extensions with the signature
/// algorithms.
#[must_use]
pub fn ja4(hello: &ClientHello, carrier: Carrier) -> String {
    let plain = |list: &[u16]| list.iter().copied().filter(|&value| !is_grease(value)).collect::<Vec<_>>();
    let (mut ciphers, mut extensions) = (plain(&hello.ciphers), plain(&hello.extensions));
    let mut text = String::with_capacity(36);
    text.push(match carrier {
        Carrier::Tcp => 't',
        Carrier::Quic => 'q',
        Carrier::Dtls => 'd',
    });
    text.push_str(ja4_version(hello.highest_version()));
    text.push(if extensions.contains(&0) { 'd' } else { 'i' });
    let _ = write!(text, "{:02}{:02}", ciphers.len().min(99), extensions.len().min(99));
    text.extend(ja4_alpn(hello.alpn.as_deref().unwrap_or_default()));

    ciphers.sort_unstable();
    extensions.retain(|&kind| kind != 0 && kind != 16);
    extensions.sort_unstable();
    let mut behaviour = commas(&extensions);
    let algorithms = plain(&hello.signature_algorithms);
    if !algorithms.is_empty() {
        behaviour.push('_');
        behaviour.push_str(&commas(&algorithms));
    }
    for list in [commas(&ciphers), behaviour] {
        text.push('_');
        text.push_str(&short_hash(&list));
    }
    text
}

fn ja4_version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// First and last character of the first protocol; of its hexadecimal form where one of them is no letter or digit.
fn ja4_alpn(protocol: &[u8]) -> [char; 2] {
    let (Some(&first), Some(&last)) = (protocol.first(), protocol.last()) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 15)]
}

fn commas(list: &[u16]) -> String {
    let mut text = String::with_capacity(list.len() * 5);
    for (index, value) in list.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        value.to_be_bytes().into_iter().for_each(|byte| push_hex(&mut text, byte));
    }
    text
}

/// The first twelve digits of SHA-256; zeros for nothing.
fn short_hash(text: &str) -> String {
    if text.is_empty() { "000000000000".to_owned() } else { hex(&Sha256::digest(text.as_bytes())[..6]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ja3_gives_the_published_hashes() {
        // From the README of salesforce/ja3.
        let hello = ClientHello {
            version: 769,
            ciphers: vec![47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
            extensions: vec![0, 10, 11],
            groups: vec![23, 24, 25],
            point_formats: vec![0],
            ..ClientHello::default()
        };
        assert_eq!(ja3(&hello), "ada70206e40642a3e4461f35503241d5");
        let bare = ClientHello {
            version: 769,
            ciphers: vec![4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99],
            ..ClientHello::default()
        };
        assert_eq!(ja3(&bare), "de350869b8c85de67a350c8d186f11e6");
        let long = ClientHello {
            version: 769,
            ciphers: vec![
                255, 49162, 49172, 136, 135, 57, 56, 49167, 49157, 132, 53, 49159, 49161, 49169, 49171, 69, 68, 51, 50,
                49164, 49166, 49154, 49156, 150, 65, 4, 5, 47, 49160, 49170, 22, 19, 49165, 49155, 65279, 10,
            ],
            extensions: vec![0, 10, 11, 35],
            ..hello
        };
        assert_eq!(ja3(&long), "2aef69b4ba1938c3a400de4188743185");
        // From the results that ntop/nDPI keeps of its captures.
        let of =
            |cipher, extensions: &[u16]| ja3s(&ServerHello { version: 771, cipher, extensions: extensions.to_vec() });
        assert_eq!(of(49199, &[65281, 11]), "303951d4c50efb2e991652225a6f02b1");
        assert_eq!(of(49200, &[65281, 11, 16]), "ef6b224ce027c8e21e5a25d8a58255a3");
        assert_eq!(of(49195, &[0, 65281, 11, 35, 13172]), "6806b8fe92d7d465715d771eb102ff04");
    }

    #[test]
    fn grease_does_not_show() {
        let plain =
            ClientHello { version: 771, ciphers: vec![4865], extensions: vec![0, 43], ..ClientHello::default() };
        let greased = ClientHello {
            ciphers: vec![0x0a0a, 4865],
            extensions: vec![0x5a5a, 0, 43, 0xfafa],
            groups: vec![0x1a1a],
            versions: vec![0x7a7a],
            signature_algorithms: vec![0x2a2a],
            ..plain.clone()
        };
        assert_eq!(ja3(&greased), ja3(&plain));
        assert_eq!(ja4(&greased, Carrier::Tcp), ja4(&plain, Carrier::Tcp));
        assert!(!is_grease(0x0a1a) && !is_grease(0xefef));
    }

    /// JA4 and the raw form in the order of the hello (`ja4_ro`), as FoxIO publishes them for its captures: one of each
    /// kind, and two orders of the same.
    const PUBLISHED: [(&str, &str); 11] = [
        (
            "t13d1615h2_46e7e9700bed_45f260be83e2",
            "t13d1615h2_1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035,000a_0000,0017,ff01,000a,\
             000b,0023,0010,0005,000d,0012,0033,002d,002b,001b,0015_0403,0804,0401,0503,0805,0501,0806,0601,0201",
        ),
        (
            "t13d1516h2_8daaf6152771_e5627efa2ab1",
            "t13d1516h2_1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035_001b,0000,0033,0010,4469,\
             0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015_0403,0804,0401,0503,0805,0501,0806,0601",
        ),
        (
            "t13d1516h2_8daaf6152771_e5627efa2ab1",
            "t13d1516h2_1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035_000d,0000,000a,0005,000b,\
             002b,001b,ff01,0033,4469,002d,0023,0017,0012,0010,0015_0403,0804,0401,0503,0805,0501,0806,0601",
        ),
        (
            "t10d230100_6a57a6f57151_000000000000",
            "t10d230100_0039,0038,0035,0016,0013,000a,0033,0032,002f,009a,0099,0096,0005,0004,0015,0012,0009,0014,0011,0008,\
             0006,0003,00ff_0000",
        ),
        (
            "t12d4605h2_85626a9a5f7f_aaf95bb78ec9",
            "t12d4605h2_c030,c02c,c028,c024,c014,c00a,009f,006b,0039,cca9,cca8,ccaa,ff85,00c4,0088,0081,009d,003d,0035,00c0,\
             0084,c02f,c02b,c027,c023,c013,c009,009e,0067,0033,00be,0045,009c,003c,002f,00ba,0041,c011,c007,0005,0004,c012,\
             c008,0016,000a,00ff_0000,000b,000a,000d,0010_0601,0603,efef,0501,0503,0401,0403,eeee,eded,0301,0303,0201,0203",
        ),
        (
            "t12d190800_d83cc789557e_7af1ed941c26",
            "t12d190800_c02c,c02b,c030,c02f,c024,c023,c028,c027,c00a,c009,c014,c013,009d,009c,003d,003c,0035,002f,000a_0000,\
             0005,000a,000b,000d,0023,0017,ff01_0804,0805,0806,0401,0501,0201,0403,0503,0203,0202,0601,0603",
        ),
        (
            "t13d1516h2_8daaf6152771_9b887d9acb53",
            "t13d1516h2_1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035_000d,0010,0000,000b,0023,\
             4469,ff01,0033,000a,002d,002b,0005,0017,0012,001b,0029_0403,0804,0401,0503,0805,0501,0806,0601",
        ),
        (
            "t13d2613h2_2802a3db6c62_845d286b0d67",
            "t13d2613h2_1301,1302,1303,c02c,c02b,c024,c023,c00a,c009,cca9,c030,c02f,c028,c027,c014,c013,cca8,009d,009c,003d,\
             003c,0035,002f,c008,c012,000a_ff01,0000,0017,000d,0005,0012,0010,000b,0033,002d,002b,000a,0015_0403,0804,0401,\
             0503,0203,0805,0805,0501,0806,0601,0201",
        ),
        (
            "t13d1517h1_8daaf6152771_6cdcb247c39b",
            "t13d1517h1_1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035_0000,0017,0005,002b,0012,\
             0023,000a,0033,0010,002d,001b,4469,000b,000d,ff01,0015,0029_0403,0804,0401,0503,0805,0501,0806,0601",
        ),
        (
            "t13d151400_8daaf6152771_de4a06bb82e3",
            "t13d151400_1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035_0033,002b,001b,0000,0012,\
             002d,000d,000a,0005,0023,0017,ff01,000b,0015_0403,0804,0401,0503,0805,0501,0806,0601",
        ),
        (
            "t13d1715h2_5b57614c22b0_3d5424432f57",
            "t13d1715h2_1301,1303,1302,c02b,c02f,cca9,cca8,c02c,c030,c00a,c009,c013,c014,009c,009d,002f,0035_0000,0017,ff01,\
             000a,000b,0023,0010,0005,0022,0033,002b,000d,002d,001c,0015_0403,0503,0603,0804,0805,0806,0401,0501,0601,0203,\
             0201",
        ),
    ];

    #[test]
    fn ja4_gives_the_published_fingerprints() {
        for (published, raw) in PUBLISHED {
            let mut parts = raw.split('_');
            let head = parts.next().unwrap();
            let mut list = || -> Vec<u16> {
                let digits = parts.next().unwrap_or_default().split(',').filter(|digits| !digits.is_empty());
                digits.map(|digits| u16::from_str_radix(digits, 16).unwrap()).collect()
            };
            let (ciphers, extensions, signature_algorithms) = (list(), list(), list());
            let alpn = (!head.ends_with("00")).then(|| head.as_bytes()[8..].to_vec());
            let version = if head.starts_with("t10") { 0x0301 } else { 0x0303 };
            let versions = if head.starts_with("t13") { vec![0x3a3a, 0x0304, 0x0303] } else { Vec::new() };
            let hello = ClientHello {
                version,
                versions,
                ciphers,
                extensions,
                signature_algorithms,
                alpn,
                ..Default::default()
            };
            assert_eq!(ja4(&hello, Carrier::Tcp), published);
        }
    }

    #[test]
    fn ja4_writes_versions_and_protocols_as_its_description_says() {
        let of = |protocol: &[u8]| ja4_alpn(protocol).iter().collect::<String>();
        let pairs: [(&[u8], &str); 9] = [
            (b"", "00"),
            (b"h", "hh"),
            (b"http/1.1", "h1"),
            (&[0xab], "ab"),
            (&[0x20], "20"),
            (&[0xab, 0xcd], "ad"),
            (&[0x30, 0xab], "3b"),
            (&[0x61, 0x20], "60"),
            (&[0x30, 0xab, 0xcd, 0x31], "01"),
        ];
        for (protocol, written) in pairs {
            assert_eq!(of(protocol), written);
        }
        let dtls = ClientHello { version: 0xfefd, versions: vec![0xfefd, 0xfefc], ..ClientHello::default() };
        assert!(ja4(&dtls, Carrier::Dtls).starts_with("dd3i000000_000000000000_000000000000"));
        let many = ClientHello { version: 2, ciphers: vec![1; 120], ..ClientHello::default() };
        assert!(ja4(&many, Carrier::Quic).starts_with("qs2i9900"));
    }
}
