//! Frames built from the inside out: each function puts its header in front of a payload.

use crate::decode::packet::Tunnel;

/// The ends of the innermost packets that tests build.
pub(super) const INNER_SRC: u128 = 0x0a00_0001;
pub(super) const INNER_DST: u128 = 0x0a00_0002;
/// The ends of the packets around them.
pub(super) const OUTER_SRC: u128 = 0xc0a8_0001;
pub(super) const OUTER_DST: u128 = 0xc0a8_0002;

pub(super) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn be16(n: usize) -> [u8; 2] {
    u16::try_from(n).expect("test frames are short").to_be_bytes()
}

pub(super) fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&src.to_be_bytes(), &dst.to_be_bytes(), &be16(8 + payload.len()), &[0, 0], payload])
}

pub(super) fn tcp(src: u16, dst: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let fixed = [0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0x20, 0, 0, 0, 0, 0];
    join(&[&src.to_be_bytes(), &dst.to_be_bytes(), &fixed, payload])
}

/// IPv4 with these flag and fragment offset bits.
pub(super) fn ipv4_part(src: u128, dst: u128, protocol: u8, part: u16, payload: &[u8]) -> Vec<u8> {
    join(&[
        &[0x45, 0],
        &be16(20 + payload.len()),
        &[0, 7],
        &part.to_be_bytes(),
        &[64, protocol, 0, 0],
        &(src as u32).to_be_bytes(),
        &(dst as u32).to_be_bytes(),
        payload,
    ])
}

pub(super) fn ipv4(src: u128, dst: u128, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_part(src, dst, protocol, 0, payload)
}

pub(super) fn ipv6(src: u128, dst: u128, next: u8, payload: &[u8]) -> Vec<u8> {
    join(&[&[0x60, 0, 0, 0], &be16(payload.len()), &[next, 64], &src.to_be_bytes(), &dst.to_be_bytes(), payload])
}

/// The packet that tests put inside everything else: UDP 1000 to 2000 with four bytes.
pub(super) fn inner() -> Vec<u8> {
    ipv4(INNER_SRC, INNER_DST, 17, &udp(1000, 2000, b"data"))
}

/// The same over IPv6.
pub(super) fn inner6() -> Vec<u8> {
    ipv6(INNER_SRC, INNER_DST, 17, &udp(1000, 2000, b"data"))
}

/// An outer IPv4 packet of this protocol.
pub(super) fn outer(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4(OUTER_SRC, OUTER_DST, protocol, payload)
}

/// An outer IPv4 packet with UDP to this port.
pub(super) fn outer_udp(port: u16, payload: &[u8]) -> Vec<u8> {
    outer(17, &udp(40_000, port, payload))
}

pub(super) fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &kind.to_be_bytes(), payload])
}

/// Every tunnel by name, around one inner packet; the outer packet is IPv4 without a link header.
pub(super) fn tunnels() -> Vec<(&'static str, Tunnel, Vec<u8>)> {
    let ip = inner();
    let frame = ethernet(0x0800, &ip);
    let ppp = join(&[&[0xff, 0x03, 0x00, 0x21], &ip]);
    let gre = |flags: u16, kind: u16, options: &[u8], payload: &[u8]| {
        outer(47, &join(&[&flags.to_be_bytes(), &kind.to_be_bytes(), options, payload]))
    };
    let gtp = |flags: u8, options: &[u8]| {
        outer_udp(2152, &join(&[&[flags, 255], &be16(options.len() + ip.len()), &[0, 0, 0, 9], options, &ip]))
    };
    let teredo = |prefix: &[u8]| outer_udp(3544, &join(&[prefix, &inner6()]));
    vec![
        ("ip in ip", Tunnel::IpInIp, outer(4, &ip)),
        ("6in4", Tunnel::SixInFour, outer(41, &inner6())),
        ("gre", Tunnel::Gre, gre(0, 0x0800, &[], &ip)),
        ("gre, checksum, key, sequence", Tunnel::Gre, gre(0xb000, 0x0800, &[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1], &ip)),
        ("gre, routing", Tunnel::Gre, gre(0x4000, 0x0800, &[0, 0, 0, 0, 8, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0], &ip)),
        ("gre, ethernet", Tunnel::Gre, gre(0x2000, 0x6558, &[1, 0, 0, 8], &frame)),
        ("gre, mpls", Tunnel::Gre, gre(0, 0x8847, &[], &join(&[&[0, 1, 0x01, 64], &ip]))),
        ("gre, ppp", Tunnel::Gre, gre(0, 0x880b, &[], &ppp)),
        ("pptp", Tunnel::Gre, gre(0x3081, 0x880b, &[0, 9, 0, 6, 0, 0, 0, 1, 0, 0, 0, 1], &ppp)),
        ("erspan i", Tunnel::Erspan, gre(0, 0x88be, &[], &frame)),
        ("erspan ii", Tunnel::Erspan, gre(0x1000, 0x88be, &[0, 0, 0, 1, 0x10, 1, 0xfd, 5, 0, 0, 0, 0], &frame)),
        (
            "erspan iii",
            Tunnel::Erspan,
            gre(0x1000, 0x22eb, &[0, 0, 0, 1, 0x20, 1, 0xfc, 3, 0, 0, 0, 0, 0, 0, 0, 0], &frame),
        ),
        (
            "erspan iii with subheader",
            Tunnel::Erspan,
            gre(0x1000, 0x22eb, &join(&[&[0, 0, 0, 1, 0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[0; 8]]), &frame),
        ),
        ("vxlan", Tunnel::Vxlan, outer_udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, 5, 0], &frame]))),
        ("vxlan, old port", Tunnel::Vxlan, outer_udp(8472, &join(&[&[8, 0, 0, 0, 0, 0, 5, 0], &frame]))),
        ("vxlan, policy", Tunnel::Vxlan, outer_udp(4789, &join(&[&[0x88, 0x08, 1, 2, 0, 0, 5, 0], &frame]))),
        ("vxlan-gpe", Tunnel::Vxlan, outer_udp(4790, &join(&[&[0x0c, 0, 0, 1, 0, 0, 5, 0], &ip]))),
        ("geneve", Tunnel::Geneve, outer_udp(6081, &join(&[&[0, 0, 0x65, 0x58, 0, 0, 5, 0], &frame]))),
        (
            "geneve with options",
            Tunnel::Geneve,
            outer_udp(6081, &join(&[&[2, 0, 0x08, 0x00, 0, 0, 5, 0], &[0; 8], &ip])),
        ),
        ("gtp-u", Tunnel::GtpU, gtp(0x30, &[])),
        ("gtp-u, sequence", Tunnel::GtpU, gtp(0x32, &[0, 1, 0, 0])),
        ("gtp-u, extensions", Tunnel::GtpU, gtp(0x34, &[0, 0, 0, 0x85, 1, 0, 0, 0xc0, 1, 0, 0, 0])),
        ("teredo", Tunnel::Teredo, teredo(&[])),
        ("teredo, origin", Tunnel::Teredo, teredo(&[0, 0, 1, 2, 3, 4, 5, 6])),
        ("teredo, authentication", Tunnel::Teredo, teredo(&[0, 1, 1, 2, 7, 7, 7, 1, 2, 3, 4, 5, 6, 7, 8, 0])),
        ("l2tp", Tunnel::L2tp, outer_udp(1701, &join(&[&[0, 2, 0, 1, 0, 2], &ppp]))),
        (
            "l2tp, all options",
            Tunnel::L2tp,
            outer_udp(1701, &join(&[&[0x4a, 2], &be16(16 + ppp.len()), &[0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 9, 9], &ppp])),
        ),
    ]
}

/// Every link type's number, around one inner packet; more than once where the header has forms.
pub(super) fn links() -> Vec<(&'static str, u16, Vec<u8>)> {
    let ip = inner();
    let six = inner6();
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ip]);
    let sll = |protocol: u16, payload: &[u8]| join(&[&[0, 0, 0, 1, 0, 6], &[0; 8], &protocol.to_be_bytes(), payload]);
    let sll2 = |protocol: u16, payload: &[u8]| join(&[&protocol.to_be_bytes(), &[0; 18], payload]);
    let log = |read: fn(u16) -> [u8; 2], family: u8| {
        let length = u16::try_from(4 + ip.len()).expect("test frames are short");
        let header = [&read(8)[..], &read(1), &[8, 0, 0, 0], &read(6), &read(10), &[0; 4]].concat();
        join(&[&[family, 0, 0, 0], &header, &read(length), &read(9), &ip])
    };
    vec![
        ("null", 0, join(&[&[2, 0, 0, 0], &ip])),
        ("null, big-endian", 0, join(&[&[0, 0, 0, 2], &ip])),
        ("null, IPv6 on Darwin", 0, join(&[&[30, 0, 0, 0], &six])),
        ("null, IPv6 on FreeBSD", 0, join(&[&[28, 0, 0, 0], &six])),
        ("null, IPv6 on OpenBSD", 0, join(&[&[0, 0, 0, 24], &six])),
        ("null, IPv6 on Linux", 0, join(&[&[0, 0, 0, 10], &six])),
        ("ethernet", 1, ethernet(0x0800, &ip)),
        ("ethernet, IPv6", 1, ethernet(0x86dd, &six)),
        ("ethernet, llc", 1, ethernet(3 + ip.len() as u16, &join(&[&[6, 6, 3], &ip]))),
        ("ethernet, snap", 1, ethernet(8 + ip.len() as u16, &snap)),
        ("ethernet, pppoe", 1, ethernet(0x8864, &join(&[&[0x11, 0, 0, 1, 0, 0, 0, 0x21], &ip]))),
        ("ethernet, mpls", 1, ethernet(0x8847, &join(&[&[0, 1, 0, 64, 0, 1, 1, 64], &ip]))),
        ("ethernet, mpls, IPv6", 1, ethernet(0x8848, &join(&[&[0, 1, 1, 64], &six]))),
        (
            "ethernet, pseudowire with control word",
            1,
            ethernet(0x8847, &join(&[&[0, 1, 1, 64, 0, 0, 0, 0], &ethernet(0x0800, &ip)])),
        ),
        ("ethernet, pseudowire", 1, ethernet(0x8847, &join(&[&[0, 1, 1, 64], &ethernet(0x0800, &ip)]))),
        ("ppp", 9, join(&[&[0, 0x21], &ip])),
        ("ppp, IPv6", 9, join(&[&[0xff, 3, 0, 0x57], &six])),
        ("ppp, mpls", 9, join(&[&[0xff, 3, 2, 0x81, 0, 1, 1, 64], &ip])),
        ("fddi", 10, join(&[&[0x50], &[0; 12], &snap])),
        ("raw, 12", 12, ip.clone()),
        ("raw, 14", 14, six.clone()),
        ("raw, 101", 101, ip.clone()),
        ("ppp serial", 50, join(&[&[0xff, 3, 0x21], &ip])),
        ("ppp serial, cisco", 50, join(&[&[0x0f, 0, 8, 0], &ip])),
        ("pppoe", 51, join(&[&[0x11, 0, 0, 1, 0, 0, 0, 0x21], &ip])),
        ("loop", 108, join(&[&[0, 0, 0, 2], &ip])),
        ("loop, IPv6", 108, join(&[&[0, 0, 0, 24], &six])),
        ("cooked", 113, sll(0x0800, &ip)),
        ("cooked, llc", 113, sll(4, &join(&[&[6, 6, 3], &ip]))),
        ("cooked, vlan", 113, sll(0x8100, &join(&[&[0, 9, 8, 0], &ip]))),
        ("ppi", 192, join(&[&[0, 0, 12, 0, 1, 0, 0, 0, 9, 9, 9, 9], &ethernet(0x0800, &ip)])),
        ("ipv4", 228, ip.clone()),
        ("ipv6", 229, six.clone()),
        ("nflog", 239, log(u16::to_le_bytes, 2)),
        ("nflog, big-endian", 239, log(u16::to_be_bytes, 2)),
        ("nflog, bridge", 239, log(u16::to_le_bytes, 7)),
        ("cooked 2", 276, sll2(0x0800, &ip)),
        ("cooked 2, IPv6", 276, sll2(0x86dd, &six)),
    ]
}

/// Every supported link type.
pub(super) const LINK_TYPES: [u16; 16] = [0, 1, 9, 10, 12, 14, 50, 51, 101, 108, 113, 192, 228, 229, 239, 276];
