//! When flows may have to end: each flow stands once in a list by time.
//!
//! A flow that lives on is not moved. It is found where its deadline once was, and only then put where it has come to
//! be, so that a flow costs a look for each of its timeouts and a marker costs what it ends.

use std::collections::BTreeMap;

/// Flows by the time when they are to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    slots: BTreeMap<i64, Vec<u32>>,
}

/// Nanoseconds of a slot, as a power of two: 4.3 s.
const SLOT: u32 = 32;

/// The slot of a deadline.
pub(crate) fn slot(deadline: i64) -> i64 {
    deadline >> SLOT
}

impl Deadlines {
    /// Looks at a flow when this time has passed. Returns the slot in which it stands.
    pub(crate) fn insert(&mut self, deadline: i64, flow: u32) -> i64 {
        let slot = slot(deadline);
        self.slots.entry(slot).or_default().push(flow);
        slot
    }

    /// Takes out all flows whose deadline may lie before `now`, with their slots; those of which it does not are put back
    /// by the caller.
    pub(crate) fn passed(&mut self, now: i64) -> Vec<(i64, u32)> {
        let later = self.slots.split_off(&(slot(now) + 1));
        std::mem::replace(&mut self.slots, later)
            .into_iter()
            .flat_map(|(slot, flows)| flows.into_iter().map(move |flow| (slot, flow)))
            .collect()
    }
}
