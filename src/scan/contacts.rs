//! Distinct destinations, ports and failures of every source, out of entries sorted by group.
//!
//! A contact is a destination and port of a source, by transport. It failed when nothing, or only RST, came back.

use std::net::IpAddr;

use crate::config::ScanPolicy;
use crate::decode::packet::address;
use crate::views::groups::{Entry, Transport};

/// What one source touched with one transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contacts {
    /// The source.
    pub src: IpAddr,
    /// The transport; nothing when all are counted together, as the original does.
    pub transport: Option<Transport>,
    /// Distinct destinations.
    pub dsts: u64,
    /// Most distinct ports on one destination.
    pub most_ports: u64,
    /// Distinct destinations and ports.
    pub contacts: u64,
    /// Those that failed.
    pub failed: u64,
}

#[derive(Clone, Copy, Default)]
struct Running {
    dst: Option<u128>,
    ports: u64,
    dsts: u64,
    most_ports: u64,
    contacts: u64,
    failed: u64,
}

impl Running {
    #[inline]
    fn contact(&mut self, dst: u128, answered: bool) {
        if self.dst != Some(dst) {
            self.dst = Some(dst);
            self.dsts += 1;
            self.ports = 0;
        }
        self.ports += 1;
        self.most_ports = self.most_ports.max(self.ports);
        self.contacts += 1;
        self.failed += u64::from(!answered);
    }
}

/// Counts the contacts of every source in `entries`, which are sorted, and appends them in the same order.
pub(crate) fn count<E: Entry>(entries: &[E], policy: ScanPolicy, out: &mut Vec<Contacts>) {
    for of_source in entries.chunk_by(|a, b| a.src() == b.src()) {
        let mut running = [Running::default(); 3];
        for of_contact in of_source.chunk_by(Entry::same_group) {
            let Some(first) = of_contact.first() else { continue };
            let slot = match policy {
                ScanPolicy::Guarded => first.transport() as usize,
                ScanPolicy::Original => 0,
            };
            running[slot].contact(first.dst(), of_contact.iter().any(Entry::answered));
        }
        let Some(first) = of_source.first() else { continue };
        let src = address(first.src(), E::V6);
        for (found, transport) in running.iter().zip(Transport::ALL).filter(|(found, _)| found.contacts > 0) {
            out.push(Contacts {
                src,
                transport: (policy == ScanPolicy::Guarded).then_some(transport),
                dsts: found.dsts,
                most_ports: found.most_ports,
                contacts: found.contacts,
                failed: found.failed,
            });
        }
    }
}

/// Joins the counts of workers: a source's destinations lie each in one worker, so they add up.
pub(crate) fn join(mut all: Vec<Contacts>) -> Vec<Contacts> {
    all.sort_by_key(|contacts| (contacts.src, contacts.transport));
    let mut joined: Vec<Contacts> = Vec::with_capacity(all.len());
    for next in all {
        match joined.last_mut() {
            Some(last) if (last.src, last.transport) == (next.src, next.transport) => {
                last.dsts += next.dsts;
                last.most_ports = last.most_ports.max(next.most_ports);
                last.contacts += next.contacts;
                last.failed += next.failed;
            }
            _ => joined.push(next),
        }
    }
    joined
}
