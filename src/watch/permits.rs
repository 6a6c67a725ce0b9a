//! How many captures are read at once.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// How many lines may read at once; fewer than none are left when it has become fewer.
#[derive(Clone)]
pub(super) struct Permits(Arc<(Mutex<isize>, Condvar)>);

/// The right to read; given back when it is dropped.
pub(super) struct Permit(Permits);

impl Permits {
    pub(super) fn new(all: usize) -> Permits {
        Permits(Arc::new((Mutex::new(all.cast_signed()), Condvar::new())))
    }

    /// There are so many from now on, and not as many as before.
    pub(super) fn change(&self, before: usize, now: usize) {
        let (left, freed) = &*self.0;
        *left.lock().unwrap_or_else(PoisonError::into_inner) += now.cast_signed() - before.cast_signed();
        freed.notify_all();
    }

    /// Waits for a right.
    pub(super) fn take(&self) -> Permit {
        let (left, freed) = &*self.0;
        let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
        while *left <= 0 {
            left = freed.wait(left).unwrap_or_else(PoisonError::into_inner);
        }
        *left -= 1;
        Permit(self.clone())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (left, freed) = &*self.0.0;
        *left.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use crossbeam_channel::bounded;

    use super::*;

    #[test]
    fn how_many_may_read_changes_at_once_and_when_those_that_do_have_read() {
        let permits = Permits::new(1);
        let first = permits.take();
        let (taken, takes) = bounded(0);
        thread::scope(|scope| {
            scope.spawn(|| taken.send(permits.take()));
            assert!(takes.recv_timeout(Duration::from_millis(50)).is_err());
            permits.change(1, 2);
            let second = takes.recv_timeout(Duration::from_secs(60)).unwrap();
            permits.change(2, 1);
            drop(first);
            scope.spawn(|| taken.send(permits.take()));
            assert!(takes.recv_timeout(Duration::from_millis(50)).is_err());
            drop(second);
            takes.recv_timeout(Duration::from_secs(60)).unwrap();
        });
    }
}
