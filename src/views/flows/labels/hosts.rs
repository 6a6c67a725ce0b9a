//! Which rules could be about a flow, by the hosts that they name.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::rule::{Rule, Subject};

/// Rules by host. Files with a rule for each of many hosts are usual, and a flow has two.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    /// Places of rules of which an end is one of some hosts.
    named: HashMap<IpAddr, Vec<usize>>,
    /// Places of the others.
    others: Vec<usize>,
}

impl Hosts {
    pub(super) fn of(rules: &[Rule]) -> Hosts {
        let mut hosts = Hosts::default();
        for (place, rule) in rules.iter().enumerate() {
            match [&rule.src, &rule.dst].into_iter().find(|nets| !nets.is_empty() && nets.iter().all(is_host)) {
                Some(nets) => nets.iter().for_each(|net| hosts.named.entry(net.addr()).or_default().push(place)),
                None => hosts.others.push(place),
            }
        }
        hosts
    }

    /// Places of the rules that could be about a flow, whichever of its ends is the client, in order.
    pub(super) fn places(&self, flow: &Subject) -> Vec<usize> {
        let named = [flow.src.0, flow.dst.0].into_iter().filter_map(|host| self.named.get(&host)).flatten();
        let mut places: Vec<usize> = self.others.iter().chain(named).copied().collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

fn is_host(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}
