//! Who is there: clients with their ports, servers inside, sites outside, scanners.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::dice::Dice;
use super::frame::Host;

/// Ports that a client takes its own from, as Linux does.
const PORTS: std::ops::RangeInclusive<u16> = 32_768..=60_999;

/// The prefix of everything that speaks IPv6.
const V6: u128 = 0x2001_0db8 << 96;

/// Sites by name.
pub(super) const SITES: [&str; 24] = [
    "www.example.com",
    "cdn.example.com",
    "shop.example.com",
    "news.example.com",
    "mail.example.com",
    "img.example.com",
    "api.example.com",
    "static.example.com",
    "www.example.net",
    "video.example.net",
    "docs.example.net",
    "search.example.net",
    "maps.example.net",
    "login.example.net",
    "wiki.example.net",
    "forum.example.net",
    "www.example.org",
    "blog.example.org",
    "mirror.example.org",
    "files.example.org",
    "git.example.org",
    "status.example.org",
    "events.example.org",
    "media.example.org",
];

/// The router that stands for everything outside.
pub(super) const GATEWAY: [u8; 6] = [0x02, 0, 0x5e, 0, 0, 0x01];

/// A server inside, by the last byte of its address.
pub(super) fn server(last: u8, v6: bool) -> Host {
    let ip = match v6 {
        true => IpAddr::V6(Ipv6Addr::from_bits(V6 | u128::from(last))),
        false => IpAddr::V4(Ipv4Addr::new(10, 20, 0, last)),
    };
    Host { ip, mac: [0x02, 0, 0, 0, 0, last] }
}

/// Last bytes of the servers' addresses.
pub(super) mod last {
    pub(in super::super) const ROUTER: u8 = 1;
    pub(in super::super) const FTP: u8 = 21;
    pub(in super::super) const SHELL: u8 = 22;
    pub(in super::super) const FILES: u8 = 45;
    pub(in super::super) const VOICE: u8 = 50;
    pub(in super::super) const DNS: u8 = 53;
    pub(in super::super) const WWW: u8 = 80;
    pub(in super::super) const NTP: u8 = 123;
}

/// A site outside.
pub(super) fn site(number: usize, v6: bool) -> Host {
    const NETS: [[u8; 3]; 3] = [[192, 0, 2], [198, 51, 100], [203, 0, 113]];
    let [a, b, c] = NETS[number % 3];
    let last = 10 + (number / 3) as u8;
    let ip = match v6 {
        true => IpAddr::V6(Ipv6Addr::from_bits(V6 | (0x80 << 64) | (number as u128 + 1))),
        false => IpAddr::V4(Ipv4Addr::new(a, b, c, last)),
    };
    Host { ip, mac: GATEWAY }
}

/// A host of the scanned network: 254 to a /24, from 10.20.0.1 on.
pub(super) fn neighbour(number: u64) -> Host {
    let bits = u32::from(Ipv4Addr::new(10, 20, 0, 1)) + (number / 254 * 256 + number % 254) as u32;
    Host { ip: IpAddr::V4(Ipv4Addr::from_bits(bits)), mac: [0x02, 0, 0, 0, 0x01, number as u8] }
}

/// A scanner outside, in the network for benchmarks (RFC 2544).
pub(super) fn scanner(number: u32) -> Host {
    let ip = Ipv4Addr::new(198, 18, (number / 250) as u8, (number % 250 + 1) as u8);
    Host { ip: IpAddr::V4(ip), mac: GATEWAY }
}

/// One client: a host with ports to spend.
struct Client {
    address: u64,
    port: u16,
    pinged: bool,
}

/// All clients.
pub(super) struct World {
    clients: Vec<Client>,
    addresses: u64,
}

/// A client's side of a new conversation.
#[derive(Clone, Copy)]
pub(super) struct Caller {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) vlan: Option<u16>,
}

impl World {
    pub(super) fn new(hosts: u32) -> World {
        let client = |address| Client { address, port: *PORTS.start(), pinged: false };
        World { clients: (0..u64::from(hosts)).map(client).collect(), addresses: u64::from(hosts) }
    }

    pub(super) fn any(&self, dice: &mut Dice) -> usize {
        dice.below(self.clients.len() as u64) as usize
    }

    /// A port that this client has not used yet. One that used them all goes on under an address nobody had.
    pub(super) fn call(&mut self, client: usize, v6: bool) -> Caller {
        let client = &mut self.clients[client];
        if client.port > *PORTS.end() {
            *client = Client { address: self.addresses, port: *PORTS.start(), pinged: false };
            self.addresses += 1;
        }
        client.port += 1;
        Caller { host: host(client.address, v6), port: client.port - 1, vlan: vlan(client.address) }
    }

    /// A client that has not sent an echo from its address yet; echoes have no ports to tell them apart.
    pub(super) fn ping(&mut self, client: usize) -> Option<Caller> {
        let client = &mut self.clients[client];
        let first = !std::mem::replace(&mut client.pinged, true);
        first.then(|| Caller { host: host(client.address, false), port: 0, vlan: vlan(client.address) })
    }

    pub(super) fn host(&self, client: usize) -> Caller {
        let address = self.clients[client].address;
        Caller { host: host(address, false), port: 0, vlan: vlan(address) }
    }
}

/// Clients live in 10.32.0.0/11 and above, 250 to a /24.
fn host(number: u64, v6: bool) -> Host {
    let bits = (u32::from(Ipv4Addr::new(10, 32, 0, 2))).wrapping_add((number / 250 * 256 + number % 250) as u32);
    let ip = match v6 {
        true => IpAddr::V6(Ipv6Addr::from_bits(V6 | (0x20 << 64) | (u128::from(number) + 1))),
        false => IpAddr::V4(Ipv4Addr::from_bits(bits)),
    };
    let [a, b, c, d] = (number as u32).to_be_bytes();
    Host { ip, mac: [0x06, 0, a, b, c, d] }
}

/// Every eighth client sits in a tagged network.
fn vlan(number: u64) -> Option<u16> {
    (number % 8 == 3).then_some(30)
}
