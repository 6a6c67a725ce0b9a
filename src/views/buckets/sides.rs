//! Who is local, and so which way a packet goes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::row::Way;
use crate::decode::Packet;

/// Hosts that are local: all of a network, or the owner of an Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// Addresses.
    Net(IpNet),
    /// An Ethernet address.
    Mac([u8; 6]),
}

impl FromStr for Local {
    type Err = String;
    fn from_str(text: &str) -> Result<Local, String> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Local::Net(net.trunc()));
        }
        if let Ok(host) = text.parse::<IpAddr>() {
            return Ok(Local::Net(host.into()));
        }
        let mac: Vec<Option<u8>> = text.split([':', '-']).map(octet).collect();
        match mac.into_iter().collect::<Option<Vec<u8>>>().map(<[u8; 6]>::try_from) {
            Some(Ok(mac)) => Ok(Local::Mac(mac)),
            _ => {
                Err("write a network, an address or an Ethernet address: 10.200.0.0/24, fe80::1, 02:00:00:00:00:01"
                    .into())
            }
        }
    }
}

fn octet(text: &str) -> Option<u8> {
    let hex = matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Local::Net(net) => net.fmt(f),
            Local::Mac([a, b, c, d, e, g]) => write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"),
        }
    }
}

/// A network, as packets have addresses.
#[derive(Clone, Copy, Debug)]
struct Net {
    v6: bool,
    address: u128,
    mask: u128,
}

/// All that is local. A packet's end is, if its address is in one of the networks, or the frame's Ethernet address is one of those.
#[derive(Clone, Debug, Default)]
pub(super) struct Sides {
    nets: Vec<Net>,
    macs: Vec<[u8; 6]>,
}

/// Ethernet, as a link type.
const ETHERNET: u16 = 1;

impl Sides {
    pub(super) fn new(local: &[Local]) -> Sides {
        let mut sides = Sides::default();
        for local in local {
            match local {
                Local::Mac(mac) => sides.macs.push(*mac),
                Local::Net(IpNet::V4(net)) => sides.nets.push(Net {
                    v6: false,
                    address: u32::from(net.network()).into(),
                    mask: u32::from(net.netmask()).into(),
                }),
                Local::Net(IpNet::V6(net)) => {
                    sides.nets.push(Net { v6: true, address: net.network().into(), mask: net.netmask().into() });
                }
            }
        }
        sides
    }

    /// Which way a packet goes; `frame` tells its captured bytes.
    #[inline]
    pub(super) fn way<'f>(&self, packet: &Packet, frame: impl Fn() -> &'f [u8]) -> Way {
        let in_net = |address| self.nets.iter().any(|net| net.v6 == packet.v6 && address & net.mask == net.address);
        let (mut from, mut to) = (in_net(packet.src), in_net(packet.dst));
        if !self.macs.is_empty()
            && packet.link.0 == ETHERNET
            && let Some((ends, _)) = frame().split_at_checked(12)
        {
            let is_local = |mac: &[u8]| self.macs.iter().any(|local| local == mac);
            to |= is_local(&ends[..6]);
            from |= is_local(&ends[6..]);
        }
        match (from, to) {
            (false, true) => Way::In,
            (true, false) => Way::Out,
            (true, true) => Way::Local,
            (false, false) => Way::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::LinkType;

    fn packet(src: &str, dst: &str, link: u16) -> Packet {
        let bits = |text: &str| match text.parse().unwrap() {
            IpAddr::V4(v4) => u32::from(v4).into(),
            IpAddr::V6(v6) => u128::from(v6),
        };
        Packet { src: bits(src), dst: bits(dst), v6: src.contains(':'), link: LinkType(link), ..Packet::default() }
    }

    #[test]
    fn local_hosts_are_named_by_network_or_ethernet_address() {
        let locals: Vec<Local> = ["10.200.0.9/24", "192.0.2.1", "2001:db8::/32", "02-00-00-00-00-0a"]
            .map(|text| text.parse().unwrap())
            .into();
        let written: Vec<String> = locals.iter().map(Local::to_string).collect();
        assert_eq!(written, ["10.200.0.0/24", "192.0.2.1/32", "2001:db8::/32", "02:00:00:00:00:0a"]);
        let sides = Sides::new(&locals);
        let ethernet = [&[2, 0, 0, 0, 0, 10][..], &[2, 0, 0, 0, 0, 11]].concat();
        for (src, dst, link, frame, way) in [
            ("10.200.0.1", "10.200.1.1", 101, &[][..], Way::Out),
            ("10.200.1.1", "10.200.0.255", 101, &[], Way::In),
            ("192.0.2.1", "10.200.0.1", 101, &[], Way::Local),
            ("192.0.2.2", "10.201.0.1", 101, &[], Way::Unknown),
            ("2001:db9::1", "2001:db8::1", 101, &[], Way::In),
            ("::10.200.0.1", "::1", 101, &[], Way::Unknown),
            ("192.0.2.2", "10.201.0.1", 1, &ethernet, Way::In),
            ("10.200.0.1", "10.201.0.1", 1, &ethernet, Way::Local),
            ("192.0.2.2", "10.201.0.1", 1, &ethernet[..11], Way::Unknown),
            ("192.0.2.2", "10.201.0.1", 113, &ethernet, Way::Unknown),
        ] {
            assert_eq!(sides.way(&packet(src, dst, link), || frame), way, "{src} {dst}");
        }
        assert_eq!(Sides::default().way(&packet("10.0.0.1", "10.0.0.2", 1), || &ethernet), Way::Unknown);
        for text in ["", "10.200.0.0/33", "02:00:00:00:00", "02:00:00:00:00:00:00", "02:00:00:00:00:+1", "host"] {
            assert!(text.parse::<Local>().is_err(), "{text}");
        }
    }
}
