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

/// Counts the contacts of every source in the entries of all workers, which are sorted, and appends those that `matter`,
/// by source. Both directions of a pair of hosts lie in one worker, so a source's counts add up.
pub(crate) fn count<E: Entry>(
    workers: &[&[E]],
    policy: ScanPolicy,
    matter: impl Fn(&Contacts) -> bool,
    out: &mut Vec<Contacts>,
) {
    let mut rest: Vec<&[E]> = workers.to_vec();
    while let Some(source) = rest.iter().filter_map(|list| list.first()).map(Entry::src).min() {
        let mut sums = [Running::default(); 3];
        for list in &mut rest {
            for running in &mut sums {
                running.dst = None;
            }
            while let Some(head) = list.first().filter(|head| head.src() == source) {
                let mut flows = 0;
                let mut answered = false;
                while let Some(flow) = list.get(flows).filter(|flow| flow.same_group(head)) {
                    answered |= flow.answered();
                    flows += 1;
                }
                let slot = match policy {
                    ScanPolicy::Guarded => head.transport() as usize,
                    ScanPolicy::Original => 0,
                };
                sums[slot].contact(head.dst(), answered);
                *list = &list[flows..];
            }
        }
        for (sum, transport) in sums.iter().zip(Transport::ALL) {
            let contacts = Contacts {
                src: address(source, E::V6),
                transport: (policy == ScanPolicy::Guarded).then_some(transport),
                dsts: sum.dsts,
                most_ports: sum.most_ports,
                contacts: sum.contacts,
                failed: sum.failed,
            };
            if matter(&contacts) {
                out.push(contacts);
            }
        }
    }
}
