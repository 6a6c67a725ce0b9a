//! The hosts of a timeline, by number in the order in which they were first seen.

use std::net::{IpAddr, Ipv6Addr};

use hashbrown::HashMap;

/// A host's number.
pub type Host = u32;

/// Names by number. A name is an address, or whatever a CSV says instead.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, Host>,
    /// Those of addresses: most are of version 4, which are found sooner among themselves.
    v4: HashMap<u32, Host>,
    v6: HashMap<Ipv6Addr, Host>,
}

impl Hosts {
    /// The number of a name; a new one if it has none.
    pub fn number(&mut self, name: &str) -> Host {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).expect("fewer than 2^32 hosts");
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }

    /// The number of an address, as of its text.
    pub fn of_address(&mut self, address: IpAddr) -> Host {
        let known = match address {
            IpAddr::V4(address) => self.v4.get(&address.to_bits()),
            IpAddr::V6(address) => self.v6.get(&address),
        };
        if let Some(&number) = known {
            return number;
        }
        let number = self.number(&address.to_string());
        match address {
            IpAddr::V4(address) => self.v4.insert(address.to_bits(), number),
            IpAddr::V6(address) => self.v6.insert(address, number),
        };
        number
    }

    /// The name of a host; empty for what is none.
    #[must_use]
    pub fn name(&self, host: Host) -> &str {
        self.names.get(host as usize).map_or("", |name| name)
    }

    /// All names, by number.
    #[must_use]
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_an_address_of_one_text_are_one_host() {
        let mut hosts = Hosts::default();
        assert_eq!(hosts.number("fe80::1"), 0);
        assert_eq!(hosts.of_address("10.0.0.1".parse().unwrap()), 1);
        assert_eq!(hosts.number("10.0.0.1"), 1);
        assert_eq!(hosts.of_address("fe80:0::1".parse().unwrap()), 0);
        assert_eq!((hosts.name(1), hosts.name(7), hosts.names().len()), ("10.0.0.1", "", 2));
    }
}
