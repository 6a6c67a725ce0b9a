//! A view that is shown some packets of a run, beside others that see all.

use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::FileReport;
use crate::engine::ledger::{Amount, Intake};
use crate::engine::view::{Hindsight, Part, ShardView, View};
use crate::error::Result;

/// What is kept from a view, by all of its shards.
#[derive(Clone, Debug, Default)]
pub(super) struct LeftOut(Arc<Mutex<Amount>>);

impl LeftOut {
    pub(super) fn add(&self, amount: Amount) {
        if !amount.is_nothing() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) += amount;
        }
    }
}

/// Makes the shard that sifts in front of one of the view's.
type Sieve<'v> = Box<dyn Fn(Box<dyn ShardView>, LeftOut) -> Box<dyn ShardView> + 'v>;

/// See the module.
pub(super) struct Sifted<'v> {
    view: Box<dyn View + 'v>,
    sieve: Sieve<'v>,
    left_out: LeftOut,
}

impl<'v> Sifted<'v> {
    /// What shards that `sieve` makes hand on is all that the view sees; they tell what they leave out.
    pub(super) fn new(
        view: Box<dyn View + 'v>,
        sieve: impl Fn(Box<dyn ShardView>, LeftOut) -> Box<dyn ShardView> + 'v,
    ) -> Sifted<'v> {
        Sifted { view, sieve: Box::new(sieve), left_out: LeftOut::default() }
    }
}

impl View for Sifted<'_> {
    fn wants_flows(&self) -> bool {
        self.view.wants_flows()
    }

    fn wants_marks(&self) -> bool {
        self.view.wants_marks()
    }

    fn wants_order(&self) -> bool {
        self.view.wants_order()
    }

    fn wants_batches(&self) -> bool {
        self.view.wants_batches()
    }

    fn hindsight(&self) -> Hindsight {
        self.view.hindsight()
    }

    fn shard(&self) -> Box<dyn ShardView> {
        (self.sieve)(self.view.shard(), self.left_out.clone())
    }

    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        self.view.merge(parts)
    }

    fn file(&mut self, number: u32, report: &FileReport) -> Result<()> {
        self.view.file(number, report)
    }

    fn finish(&mut self, intake: &Intake) -> Result<()> {
        let left_out = *self.left_out.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.view.finish(&Intake { accepted: intake.accepted - left_out, ..*intake })
    }
}
