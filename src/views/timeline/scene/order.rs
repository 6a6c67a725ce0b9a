//! Which hosts are busy, and which is in which row.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::hosts::Host;
use super::Rows;

/// Hosts that are told apart, at most.
const MOST_BUSY: usize = 1000;

/// Hosts by how much they do.
#[derive(Debug, Default)]
pub(super) struct Busy {
    /// The busiest first.
    hosts: Vec<Host>,
    /// So many of them are busy.
    n: usize,
    is_busy: Vec<bool>,
}

impl Busy {
    /// All hosts are busy where there are few. Where there are many, those are that have more packets than the first that would have no place:
    /// among hosts that do as little, nothing chooses. But where all do the same, the first are.
    pub(super) fn of(packets: &Rows, hosts: usize) -> Busy {
        let mut counts = vec![0u64; hosts];
        for ends in [&packets.src, &packets.dst] {
            for (&host, &count) in ends.iter().zip(&packets.count) {
                counts[host as usize] += u64::from(count);
            }
        }
        let count = |host: &Host| counts[*host as usize];
        let mut hosts: Vec<Host> = (0..hosts as Host).collect();
        hosts.sort_by_key(|host| (Reverse(count(host)), *host));
        let n = match hosts.get(MOST_BUSY).map(count) {
            None => hosts.len(),
            Some(less) => match hosts.partition_point(|host| count(host) > less) {
                0 => MOST_BUSY,
                n => n,
            },
        };
        let mut is_busy = vec![false; hosts.len()];
        hosts[..n].iter().for_each(|&host| is_busy[host as usize] = true);
        Busy { hosts, n, is_busy }
    }

    /// How many are busy.
    pub(super) fn n(&self) -> usize {
        self.n
    }

    /// A busy host itself; for others, the number behind the last host.
    pub(super) fn named(&self, host: Host) -> Host {
        if self.is(host) { host } else { self.hosts.len() as Host }
    }

    fn is(&self, host: Host) -> bool {
        self.is_busy.get(host as usize).is_some_and(|&busy| busy)
    }
}

/// The busiest host first; then always the one that exchanged most packets with those that have a row. Hosts that have nothing to do with
/// them begin anew, the busiest first. Those that are not busy come last.
pub(super) fn order(rows: Option<&Rows>, busy: &Busy) -> Vec<Host> {
    let hosts = busy.hosts.len();
    let mut pairs: Vec<(Host, Host, u64)> = Vec::new();
    if let Some(rows) = rows {
        let both = |row: &usize| [rows.src[*row], rows.dst[*row]].into_iter().all(|host| busy.is(host));
        pairs.extend((0..rows.len()).filter(both).flat_map(|row| {
            let (src, dst, count) = (rows.src[row], rows.dst[row], u64::from(rows.count[row]));
            [(src, dst, count), (dst, src, count)]
        }));
    }
    pairs.sort_unstable();
    let mut begins = vec![0; hosts + 1];
    for &(src, _, _) in &pairs {
        begins[src as usize + 1] += 1;
    }
    for at in 0..hosts {
        begins[at + 1] += begins[at];
    }

    let mut placed = vec![false; hosts];
    let mut near = vec![0u64; hosts];
    let mut order = Vec::with_capacity(hosts);
    let mut next = BinaryHeap::new();
    for &first in &busy.hosts {
        next.push((0, Reverse(first)));
        while let Some((_, Reverse(host))) = next.pop() {
            if std::mem::replace(&mut placed[host as usize], true) {
                continue;
            }
            order.push(host);
            for &(_, peer, count) in &pairs[begins[host as usize]..begins[host as usize + 1]] {
                if !placed[peer as usize] {
                    near[peer as usize] += count;
                    next.push((near[peer as usize], Reverse(peer)));
                }
            }
        }
    }
    order
}
