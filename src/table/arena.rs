//! Rows of plain data in an anonymous memory map.
//!
//! Promises: rows start zeroed, indices stay valid until [`Arena::clear`], growth doubles and moves no row where the
//! system can remap pages. From a huge page on the map asks for those, which cost a tenth of small ones to touch first.
//! Does not promise stable addresses.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::MmapMut;

/// Below this many bytes the rows live on the heap, where small runs are cheapest. Above it the allocator keeps a region for
/// each size that growth passes through, and touching the first bytes of one clears a huge page.
const MAP_FROM: usize = 64 << 10;

/// A growable array of zero-initialised rows.
pub struct Arena<T> {
    store: Store,
    len: usize,
    rows: PhantomData<T>,
}

enum Store {
    Heap(Vec<u64>),
    Map(MmapMut),
}

impl Store {
    fn bytes(&self) -> &[u8] {
        match self {
            Store::Heap(words) => bytemuck::cast_slice(words),
            Store::Map(map) => map,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Store::Heap(words) => bytemuck::cast_slice_mut(words),
            Store::Map(map) => map,
        }
    }
}

impl<T: Pod> Default for Arena<T> {
    fn default() -> Self {
        Arena { store: Store::Heap(Vec::new()), len: 0, rows: PhantomData }
    }
}

impl<T: Pod> Arena<T> {
    /// Rows in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no row is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Rows that fit before the next growth.
    fn room(&self) -> usize {
        self.store.bytes().len() / size_of::<T>()
    }

    /// Makes the arena at least `len` rows long; new rows are zero.
    #[inline]
    pub fn reach(&mut self, len: usize) {
        if len > self.len {
            if len > self.room() {
                self.grow(len);
            }
            self.len = len;
        }
    }

    /// Appends a row.
    #[inline]
    pub fn push(&mut self, row: T) {
        let at = self.len;
        self.reach(at + 1);
        self[at] = row;
    }

    /// Appends rows that lie together.
    #[inline]
    pub fn extend<const N: usize>(&mut self, rows: [T; N]) {
        let at = self.len;
        self.reach(at + N);
        self[at..].copy_from_slice(&rows);
    }

    /// Lets go of all rows and their memory.
    pub fn clear(&mut self) {
        *self = Arena::default();
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        let bytes = (len * size_of::<T>()).max(self.store.bytes().len() * 2).max(64 * size_of::<T>());
        if bytes < MAP_FROM
            && let Store::Heap(words) = &mut self.store
        {
            words.resize(bytes.div_ceil(8), 0);
            return;
        }
        let bytes = bytes.next_multiple_of(if bytes < HUGE { PAGE } else { HUGE });
        #[cfg(target_os = "linux")]
        if let Store::Map(map) = &mut self.store
            && remap(map, bytes)
        {
            advise(map);
            return;
        }
        let mut map = MmapMut::map_anon(bytes).expect("the system has memory for the flow table");
        advise(&map);
        let old = self.store.bytes();
        map[..old.len()].copy_from_slice(old);
        self.store = Store::Map(map);
    }
}

const HUGE: usize = 2 << 20;
const PAGE: usize = 4 << 10;

fn advise(map: &MmapMut) {
    #[cfg(target_os = "linux")]
    if map.len() >= HUGE {
        // A refusal (no huge pages configured) only costs speed.
        let _ = map.advise(memmap2::Advice::HugePage);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = map;
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn remap(map: &mut MmapMut, bytes: usize) -> bool {
    // SAFETY: no slice of the map is alive across this call (it is borrowed mutably), and the map only grows; the new
    // pages of an anonymous map read as zero.
    // Gain (`perf/run stages`, a million cold flows): growing by copying costs a second copy of the table and its
    // page faults, about 0.1 s of 0.6 s.
    unsafe { map.remap(bytes, memmap2::RemapOptions::new().may_move(true)) }.is_ok()
}

impl<T: Pod> Deref for Arena<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        let bytes = self.len * size_of::<T>();
        bytemuck::cast_slice(&self.store.bytes()[..bytes])
    }
}

impl<T: Pod> DerefMut for Arena<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        let bytes = self.len * size_of::<T>();
        bytemuck::cast_slice_mut(&mut self.store.bytes_mut()[..bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_start_zeroed_and_keep_their_values_through_growth() {
        let mut arena = Arena::<u64>::default();
        for i in 0..400_000u64 {
            arena.push(i);
        }
        arena.reach(500_000);
        assert!(arena[..400_000].iter().enumerate().all(|(i, &v)| v == i as u64));
        assert!(arena[400_000..].iter().all(|&v| v == 0));
        arena.clear();
        arena.reach(10);
        assert_eq!(&arena[..], &[0; 10]);
    }
}
