//! When flows may have to end: each flow stands once in a list by time.
//!
//! A flow that lives on is not moved. It is found where its deadline once was, and only then put where it has come to
//! be, so that a flow costs a look for each of its timeouts and a marker costs what it ends.

use std::collections::BTreeMap;

/// Flows by the time when they are to be looked at.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    slots: BTreeMap<i64, Vec<u32>>,
}

/// Nanoseconds of a slot, as a power of two: 4.3 s.
const SLOT: u32 = 32;

impl Deadlines {
    /// Looks at a flow when this time has passed.
    pub(super) fn insert(&mut self, deadline: i64, flow: u32) {
        self.slots.entry(deadline >> SLOT).or_default().push(flow);
    }

    /// Takes out flows whose deadline lay before `now`, with their whole slots.
    pub(super) fn passed(&mut self, now: i64) -> Option<Vec<u32>> {
        let slot = self.slots.first_entry()?;
        (*slot.key() < now >> SLOT).then(|| slot.remove())
    }
}
