//! A view that is shown some packets of a run, beside others that see all.

use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::FileReport;
use crate::engine::ledger::{Amount, Intake};
use crate::engine::view::{Batch, Hindsight, Mark, Part, ShardView, View};
use crate::error::Result;
use crate::table::FlowTable;
use crate::time::Timestamp;

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

/// What stands in front of a shard of a view. Whatever it has no say in is handed on as it comes.
pub(super) trait Sift: Send {
    /// The packets that follow are of another file; the one behind it begins at `next`.
    fn file(&mut self, _next: Timestamp) {}

    /// Hands packets on to the shard.
    fn packets(&mut self, batch: &Batch<'_>, shard: &mut dyn ShardView) {
        shard.packets(batch);
    }

    /// Windows are closed, up to `before` or all.
    fn close(&mut self, _before: Option<Timestamp>) {}

    /// The marker as the shard is to take it.
    fn mark(&mut self, mark: Mark) -> Mark {
        mark
    }

    /// What the shard has [settled](ShardView::settled) by a marker that it has taken.
    fn settled(&mut self, _settled: Timestamp) {}

    /// No packet before `until` will come.
    fn quiet(&mut self, _until: Timestamp) {}

    /// Moves the flows that the shard is never to hear of to `flows`.
    fn ended(&mut self, _flows: &mut Vec<u32>) {}
}

/// A shard that sees what is left by what stands in front of it.
struct SiftedShard<S> {
    sift: S,
    shard: Box<dyn ShardView>,
}

/// Puts what sifts in front of a shard; it tells what it leaves out.
type Sieve<'v> = Box<dyn Fn(Box<dyn ShardView>, LeftOut) -> Box<dyn ShardView> + 'v>;

/// See the module.
pub(super) struct Sifted<'v> {
    view: Box<dyn View + 'v>,
    sieve: Sieve<'v>,
    left_out: LeftOut,
}

impl<'v> Sifted<'v> {
    /// What `sift` makes stands in front of each of the view's shards, and tells what it leaves out.
    pub(super) fn new<S: Sift + 'static>(view: Box<dyn View + 'v>, sift: impl Fn(LeftOut) -> S + 'v) -> Sifted<'v> {
        let sieve: Sieve<'v> = Box::new(move |shard, left_out| Box::new(SiftedShard { sift: sift(left_out), shard }));
        Sifted { view, sieve, left_out: LeftOut::default() }
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

impl<S: Sift> ShardView for SiftedShard<S> {
    fn file(&mut self, number: u32, next: Timestamp) {
        self.sift.file(next);
        self.shard.file(number, next);
    }

    fn packets(&mut self, batch: &Batch<'_>) {
        self.sift.packets(batch, &mut *self.shard);
    }

    fn close(&mut self, before: Option<Timestamp>, table: &FlowTable) -> Option<Part> {
        self.sift.close(before);
        self.shard.close(before, table)
    }

    fn mark(&mut self, mark: Mark, table: &FlowTable) -> Option<Part> {
        let part = self.shard.mark(self.sift.mark(mark), table);
        self.sift.settled(self.shard.settled());
        part
    }

    fn hand_over(&mut self) -> Option<Part> {
        self.shard.hand_over()
    }

    fn settled(&self) -> Timestamp {
        self.shard.settled()
    }

    fn quiet(&mut self, until: Timestamp, follows: bool) {
        self.sift.quiet(until);
        self.shard.quiet(until, follows);
    }

    fn ended(&mut self, flows: &mut Vec<u32>) {
        self.sift.ended(flows);
        self.shard.ended(flows);
    }

    fn keeps(&self, flow: u32) -> bool {
        self.shard.keeps(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says what it is asked, and answers by numbers.
    #[derive(Default)]
    struct Said(Arc<Mutex<Vec<&'static str>>>);

    impl Said {
        fn say(&self, what: &'static str) {
            self.0.lock().unwrap().push(what);
        }
    }

    impl ShardView for Said {
        fn file(&mut self, number: u32, next: Timestamp) {
            assert_eq!((number, next), (3, Timestamp(4)));
            self.say("file");
        }

        fn packets(&mut self, _: &Batch<'_>) {
            self.say("packets");
        }

        fn close(&mut self, before: Option<Timestamp>, _: &FlowTable) -> Option<Part> {
            self.say("close");
            before.map(|before| Box::new(before) as Part)
        }

        fn mark(&mut self, mark: Mark, _: &FlowTable) -> Option<Part> {
            self.say("mark");
            Some(Box::new(mark.newest))
        }

        fn hand_over(&mut self) -> Option<Part> {
            self.say("hand over");
            Some(Box::new(Timestamp(6)))
        }

        fn settled(&self) -> Timestamp {
            Timestamp(7)
        }

        fn quiet(&mut self, until: Timestamp, follows: bool) {
            assert_eq!((until, follows), (Timestamp(8), true));
            self.say("quiet");
        }

        fn ended(&mut self, flows: &mut Vec<u32>) {
            flows.push(9);
        }

        fn keeps(&self, flow: u32) -> bool {
            flow == 10
        }
    }

    struct Nothing;

    impl Sift for Nothing {}

    #[test]
    fn what_has_no_say_hands_everything_on() {
        let said = Arc::default();
        let (mut shard, table) =
            (SiftedShard { sift: Nothing, shard: Box::new(Said(Arc::clone(&said))) }, FlowTable::new());
        let time = |part: Option<Part>| *part.unwrap().downcast::<Timestamp>().unwrap();
        shard.file(3, Timestamp(4));
        shard.packets(&Batch { packets: &[], flows: &[], next: &[], bytes: &[], table: &table });
        assert!(shard.close(None, &table).is_none());
        assert_eq!(time(shard.close(Some(Timestamp(5)), &table)), Timestamp(5));
        let [newest, last, end, next_file] = [1, 2, 3, 4].map(Timestamp);
        assert_eq!(time(shard.mark(Mark { newest, last, end, next_file, fragments: 0 }, &table)), newest);
        assert_eq!((time(shard.hand_over()), shard.settled()), (Timestamp(6), Timestamp(7)));
        shard.quiet(Timestamp(8), true);
        let mut ended = Vec::new();
        shard.ended(&mut ended);
        assert_eq!((ended, shard.keeps(10), shard.keeps(11)), (vec![9], true, false));
        assert_eq!(*said.lock().unwrap(), ["file", "packets", "close", "close", "mark", "hand over", "quiet"]);
    }
}
