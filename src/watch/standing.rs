//! How far a product by the hour is: what its view says at each marker, told to what passes its hours.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use crate::engine::view::View;
use crate::time::Timestamp;
use crate::watch::sifted::{Sift, Sifted};

/// See the module.
#[derive(Debug)]
pub(super) struct Standing {
    settled: AtomicI64,
    late: AtomicU64,
}

impl Default for Standing {
    fn default() -> Standing {
        Standing { settled: AtomicI64::new(i64::MIN), late: AtomicU64::new(0) }
    }
}

impl Standing {
    /// As the last marker stood: all records that are yet to come are of this time or later, nanoseconds.
    pub(super) fn settled(&self) -> i64 {
        self.settled.load(Relaxed)
    }

    /// Packets that came for hours that had been passed: each may make a record of them.
    pub(super) fn late(&self) -> u64 {
        self.late.load(Relaxed)
    }

    /// Another such packet.
    pub(super) fn is_late(&self) {
        self.late.fetch_add(1, Relaxed);
    }
}

/// A view that tells at each marker what is settled.
pub(super) fn told<'v>(view: Box<dyn View + 'v>, standing: Arc<Standing>) -> Sifted<'v> {
    Sifted::new(view, move |_| Told { standing: Arc::clone(&standing) })
}

struct Told {
    standing: Arc<Standing>,
}

impl Sift for Told {
    fn settled(&mut self, settled: Timestamp) {
        self.standing.settled.store(settled.0, Relaxed);
    }
}
