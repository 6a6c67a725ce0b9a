//! Rows by number, in blocks that never move: growing copies nothing, and they leave a block at a time.

use std::ops::{Index, IndexMut};

/// Rows of a block.
const BLOCK: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Rows<T>(Vec<Vec<T>>);

impl<T> Default for Rows<T> {
    fn default() -> Rows<T> {
        Rows(Vec::new())
    }
}

impl<T: Default> Rows<T> {
    /// Makes a row for every id below `len`.
    #[inline]
    pub(crate) fn reach(&mut self, len: usize) {
        if len > self.len() {
            self.grow(len);
        }
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        for block in 0..len.div_ceil(BLOCK) {
            if block == self.0.len() {
                self.0.push(Vec::with_capacity(BLOCK));
            }
            self.0[block].resize_with(BLOCK.min(len - block * BLOCK), T::default);
        }
    }
}

impl<T> Rows<T> {
    /// Appends a row, and tells its number.
    pub(crate) fn push(&mut self, row: T) -> u32 {
        let place = self.len() as u32;
        match self.0.last_mut() {
            Some(last) if last.len() < BLOCK => last.push(row),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(row);
                self.0.push(block);
            }
        }
        place
    }

    pub(crate) fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * BLOCK + last.len())
    }

    /// The row of an id, if there is one.
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.0.get(id as usize / BLOCK)?.get(id as usize % BLOCK)
    }

    /// As [`Rows::get`], to be changed.
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.0.get_mut(id as usize / BLOCK)?.get_mut(id as usize % BLOCK)
    }

    /// Where a row lies, for a prefetch.
    #[inline]
    pub(crate) fn address(&self, id: u32) -> usize {
        let block = self.0.get(id as usize / BLOCK).map_or(0, |block| block.as_ptr().addr());
        block.wrapping_add(id as usize % BLOCK * size_of::<T>())
    }

    /// All rows with their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(self.0.iter().flatten())
    }

    /// All rows, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flatten()
    }

    /// All rows, in order.
    pub(crate) fn into_rows(self) -> impl Iterator<Item = T> {
        self.0.into_iter().flatten()
    }

    /// Lets go of the rows of the highest ids, a block; the id of its first row, and the rows.
    pub(crate) fn pop(&mut self) -> Option<(u32, Vec<T>)> {
        let rows = self.0.pop()?;
        Some(((self.0.len() * BLOCK) as u32, rows))
    }
}

impl<T> Index<u32> for Rows<T> {
    type Output = T;
    #[inline]
    fn index(&self, id: u32) -> &T {
        &self.0[id as usize / BLOCK][id as usize % BLOCK]
    }
}

impl<T> IndexMut<u32> for Rows<T> {
    #[inline]
    fn index_mut(&mut self, id: u32) -> &mut T {
        &mut self.0[id as usize / BLOCK][id as usize % BLOCK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stay_as_more_come_and_leave_from_the_end() {
        let mut rows = Rows::<u32>::default();
        for len in 1..5000 {
            rows.reach(len);
            rows[len as u32 - 1] = len as u32;
            assert_eq!(rows.get(len as u32), None);
        }
        rows.reach(3);
        assert!(rows.iter().all(|(id, &row)| row == id + 1));
        assert_eq!(rows.address(4000) - rows.address(3999), 4);
        let mut ids = Vec::new();
        while let Some((first, block)) = rows.pop() {
            assert!(block.iter().zip(first..).all(|(&row, id)| row == id + 1));
            ids.push(first);
        }
        assert_eq!(ids, [4096, 3072, 2048, 1024, 0]);
    }

    #[test]
    fn rows_are_appended_behind_those_that_are_there() {
        let mut rows = Rows::<u32>::default();
        for n in 0..3000_u32 {
            assert_eq!(rows.len(), n as usize);
            assert_eq!(rows.push(n), n);
            assert_eq!(rows[n], n);
        }
        assert!(rows.iter().all(|(place, &row)| row == place));
        assert!(rows.iter_mut().zip(0..).all(|(row, place)| *row == place));
        assert_eq!(rows.pop().map(|(first, block)| (first, block.len())), Some((2048, 952)));
        assert!(rows.into_rows().zip(0..2048).all(|(row, place)| row == place));
    }
}
