//! Which host is in which row.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::hosts::Host;
use super::Rows;

/// The busiest host first; then always the one that exchanged most packets with those that have a row. Hosts that have nothing to do with
/// them begin anew, the busiest first.
pub(super) fn order(rows: Option<&Rows>, hosts: usize) -> Vec<Host> {
    let mut pairs: Vec<(Host, Host, u64)> = Vec::new();
    if let Some(rows) = rows {
        pairs.extend((0..rows.len()).flat_map(|row| {
            let (src, dst, count) = (rows.src[row], rows.dst[row], u64::from(rows.count[row]));
            [(src, dst, count), (dst, src, count)]
        }));
    }
    pairs.sort_unstable();
    let mut busy = vec![0u64; hosts];
    let mut begins = vec![0; hosts + 1];
    for &(src, _, count) in &pairs {
        busy[src as usize] += count;
        begins[src as usize + 1] += 1;
    }
    for at in 0..hosts {
        begins[at + 1] += begins[at];
    }
    let mut rest: Vec<Host> = (0..hosts as Host).collect();
    rest.sort_by_key(|&host| (Reverse(busy[host as usize]), host));

    let mut placed = vec![false; hosts];
    let mut near = vec![0u64; hosts];
    let mut order = Vec::with_capacity(hosts);
    let mut next = BinaryHeap::new();
    for first in rest {
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
