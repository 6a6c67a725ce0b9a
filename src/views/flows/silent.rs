//! What stands in place of `said` in builds that read no payload: nothing, of no size.

use std::convert::Infallible;

use super::arrival::Arrival;
use super::columns::Column;
use super::flow::Flow;
use super::settings::Plan;
use crate::decode::Packet;
use crate::table::{Ends, FlowRef, FlowTable};

/// No words.
pub(super) type Words = Option<Infallible>;

#[derive(Debug, Default)]
pub(super) struct Said(());

impl Said {
    pub(super) fn ask(&self) {}

    pub(super) fn take(&mut self, _: &Arrival, _: &mut Held, _: impl Fn() -> Ends, _: &Plan) {}

    pub(super) fn finish(&mut self, _: &Plan) -> Words {
        None
    }
}

#[derive(Debug, Default)]
pub(super) struct Held(());

#[derive(Debug, Default)]
pub(super) struct Listener(());

impl Listener {
    pub(super) fn hear(&mut self, _: &Packet, _: &[u8], _: &mut Arrival, _: &mut Flow, _: &mut Held, _: i64, _: &Plan) {
    }

    pub(super) fn join<'r>(
        &mut self,
        _: &Packet,
        _: &[u8],
        _: FlowRef,
        _: &FlowTable,
        _: &Plan,
        _: impl FnOnce(u32) -> Option<(&'r mut Flow, &'r mut Held)>,
    ) {
    }

    pub(super) fn end_stretch(&mut self, _: u32, _: i64) -> u64 {
        0
    }
}

pub(super) fn columns() -> impl Iterator<Item = &'static Column> {
    std::iter::empty()
}
