//! Community ID version 1: a flow's name that other tools give it too (Zeek, Suricata, Arkime, Wireshark).
//!
//! The specification is <https://github.com/corelight/community-id-spec>: `1:` and the base64 of the SHA-1 of seed,
//! smaller endpoint's address, larger one's, protocol, a zero byte, and the two ports, all in network order. The
//! smaller endpoint is that with the smaller (address, port).
//!
//! ICMP and ICMPv6 have types in place of ports. A request's type is paired with its reply's, so both directions have
//! one name. Where a type has no counterpart the flow has one direction only: type and code stand as ports, and
//! endpoints are not put in order. Other protocols are named by their addresses alone.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::decode::packet::protocol;

/// Who talks to whom, from either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Sender of a packet.
    pub src: IpAddr,
    /// Its receiver.
    pub dst: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Ports of TCP, UDP or SCTP: source, destination. Of ICMP and ICMPv6: type and code of a packet that went this
    /// way. Else it does not matter.
    pub ports: [u16; 2],
}

/// The community id of a flow; the specification's default seed is 0.
#[must_use]
pub fn community_id(endpoints: &Endpoints, seed: u16) -> String {
    let &Endpoints { src, dst, protocol, .. } = endpoints;
    let (ports, one_way) = ports(endpoints);
    let [mut first, mut second] = [(src, ports.map_or(0, |ports| ports[0])), (dst, ports.map_or(0, |ports| ports[1]))];
    if !one_way && first > second {
        std::mem::swap(&mut first, &mut second);
    }
    let mut hash = Sha1::new();
    hash.update(seed.to_be_bytes());
    for (address, _) in [first, second] {
        match address {
            IpAddr::V4(address) => hash.update(address.octets()),
            IpAddr::V6(address) => hash.update(address.octets()),
        }
    }
    hash.update([protocol, 0]);
    if ports.is_some() {
        hash.update(first.1.to_be_bytes());
        hash.update(second.1.to_be_bytes());
    }
    // Two characters and four for every three bytes of twenty.
    let mut id = String::with_capacity(30);
    id.push_str("1:");
    STANDARD.encode_string(hash.finalize(), &mut id);
    id
}

/// What stands as ports, and whether the flow has only one direction.
fn ports(endpoints: &Endpoints) -> (Option<[u16; 2]>, bool) {
    let [first, second] = endpoints.ports;
    let counterpart = match endpoints.protocol {
        protocol::TCP | protocol::UDP | protocol::SCTP => return (Some([first, second]), false),
        protocol::ICMP => icmp_counterpart(first),
        protocol::ICMPV6 => icmpv6_counterpart(first),
        _ => return (None, false),
    };
    (Some([first, counterpart.unwrap_or(second)]), counterpart.is_none())
}

/// Types that ask and answer one another: echo (RFC 792), timestamp, information, address mask (RFC 950), router
/// discovery (RFC 1256).
fn icmp_counterpart(kind: u16) -> Option<u16> {
    Some(match kind {
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

/// Types that ask and answer one another: echo (RFC 4443), listener discovery (RFC 2710), router and neighbour
/// discovery (RFC 4861), node information (RFC 4620), home agent discovery (RFC 6275).
fn icmpv6_counterpart(kind: u16) -> Option<u16> {
    Some(match kind {
        128 => 129,
        129 => 128,
        130 => 131,
        131 => 130,
        133 => 134,
        134 => 133,
        135 => 136,
        136 => 135,
        139 => 140,
        140 => 139,
        144 => 145,
        145 => 144,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The baseline of the specification (`baseline/baseline_deflt.json`, `baseline/baseline_seed1.json`): protocol,
    /// addresses, ports, and the id with seeds 0 and 1.
    const BASELINE: [(u8, &str, &str, u16, u16, &str, &str); 23] = [
        (
            58,
            "fe80::200:86ff:fe05:80da",
            "fe80::260:97ff:fe07:69ea",
            135,
            136,
            "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
            "1:kHa1FhMYIT6Ym2Vm2AOtoOARDzY=",
        ),
        (
            58,
            "fe80::260:97ff:fe07:69ea",
            "fe80::200:86ff:fe05:80da",
            136,
            135,
            "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
            "1:kHa1FhMYIT6Ym2Vm2AOtoOARDzY=",
        ),
        (
            58,
            "fe80::260:97ff:fe07:69ea",
            "fe80::200:86ff:fe05:80da",
            135,
            136,
            "1:zavyT/cezQr1fmImYCwYnMXbgck=",
            "1:2hSqmsDZ2kdcY9kbiUzOEBic0iM=",
        ),
        (
            58,
            "fe80::200:86ff:fe05:80da",
            "fe80::260:97ff:fe07:69ea",
            136,
            135,
            "1:zavyT/cezQr1fmImYCwYnMXbgck=",
            "1:2hSqmsDZ2kdcY9kbiUzOEBic0iM=",
        ),
        (
            58,
            "3ffe:501:1800:2345::2",
            "3ffe:507:0:1:200:86ff:fe05:80da",
            3,
            0,
            "1:2ObVBgIn28oZvibYZhZMBgh7WdQ=",
            "1:lVEtCZpYu84Xqaa++3lXFyuu2n4=",
        ),
        (
            58,
            "3ffe:501:410:0:2c0:dfff:fe47:33e",
            "3ffe:507:0:1:200:86ff:fe05:80da",
            1,
            4,
            "1:hLZd0XGWojozrvxqE0dWB1iM6R0=",
            "1:W8MHwXpWzpoSTD+cGcaJr4u0ys8=",
        ),
        (
            58,
            "3ffe:507:0:1:200:86ff:fe05:80da",
            "3ffe:501:0:1001::2",
            128,
            129,
            "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
            "1:GfZxjAkDk2MkegpBYHV6tadtFXQ=",
        ),
        (
            58,
            "3ffe:501:0:1001::2",
            "3ffe:507:0:1:200:86ff:fe05:80da",
            129,
            128,
            "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
            "1:GfZxjAkDk2MkegpBYHV6tadtFXQ=",
        ),
        (
            58,
            "fe80::200:86ff:fe05:80da",
            "ff02::2",
            133,
            134,
            "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=",
            "1:L7Ka0ZMYu+J3bL4ulW2PrqyXNo8=",
        ),
        (
            58,
            "fe80::260:97ff:fe07:69ea",
            "ff02::1",
            134,
            133,
            "1:pkvHqCL88/tg1k4cPigmZXUtL00=",
            "1:K/ee5UCqAMAQXDorP5nSa2CGLjc=",
        ),
        (1, "192.168.0.89", "192.168.0.1", 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", "1:03g6IloqVBdcZlPyX8r0hgoE7kA="),
        (1, "192.168.0.1", "192.168.0.89", 0, 8, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", "1:03g6IloqVBdcZlPyX8r0hgoE7kA="),
        (1, "10.0.0.1", "10.0.0.2", 11, 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM=", "1:XjUibYHaafLQ3pxQeiMI8g25q20="),
        (
            6,
            "2001:470:e5bf:dead:4957:2174:e82c:4887",
            "2607:f8b0:400c:c03::1a",
            63943,
            25,
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
            "1:eJYTW6AOzFLlSUoESovMjnu7rMw=",
        ),
        (
            6,
            "2607:f8b0:400c:c03::1a",
            "2001:470:e5bf:dead:4957:2174:e82c:4887",
            25,
            63943,
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
            "1:eJYTW6AOzFLlSUoESovMjnu7rMw=",
        ),
        (
            132,
            "192.168.170.8",
            "192.168.170.56",
            7,
            7,
            "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs=",
            "1:5w3ZRjeKBzqT3zsaEECDGjUbYeg=",
        ),
        (
            132,
            "192.168.170.56",
            "192.168.170.8",
            7,
            7,
            "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs=",
            "1:5w3ZRjeKBzqT3zsaEECDGjUbYeg=",
        ),
        (
            6,
            "128.232.110.120",
            "66.35.250.204",
            34855,
            80,
            "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
            "1:3V71V58M3Ksw/yuFALMcW0LAHvc=",
        ),
        (
            6,
            "66.35.250.204",
            "128.232.110.120",
            80,
            34855,
            "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
            "1:3V71V58M3Ksw/yuFALMcW0LAHvc=",
        ),
        (17, "192.168.1.52", "8.8.8.8", 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=", "1:Q9We8WO3piVF8yEQBNJF4uiSVrI="),
        (17, "8.8.8.8", "192.168.1.52", 53, 54585, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=", "1:Q9We8WO3piVF8yEQBNJF4uiSVrI="),
        (46, "10.1.12.1", "10.1.12.2", 0, 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw=", "1:rYir8gphR31noO9iDRQmF/BteEI="),
        (46, "10.1.12.2", "10.1.12.1", 0, 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw=", "1:rYir8gphR31noO9iDRQmF/BteEI="),
    ];

    #[test]
    fn ids_are_those_of_the_specification() {
        for (protocol, src, dst, first, second, id, seeded) in BASELINE {
            let endpoints =
                Endpoints { src: src.parse().unwrap(), dst: dst.parse().unwrap(), protocol, ports: [first, second] };
            assert_eq!(community_id(&endpoints, 0), id, "{endpoints:?}");
            assert_eq!(community_id(&endpoints, 1), seeded, "{endpoints:?}");
        }
    }

    #[test]
    fn equal_addresses_are_ordered_by_port() {
        let address = IpAddr::from([127, 0, 0, 1]);
        let id = |ports| community_id(&Endpoints { src: address, dst: address, protocol: 6, ports }, 0);
        assert_eq!(id([80, 1234]), id([1234, 80]));
        assert_ne!(id([80, 1234]), id([80, 1235]));
    }
}
