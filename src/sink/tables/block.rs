//! Numbers on their way to their columns.
//!
//! A column is a place in memory that grows. A row that goes to hundreds of them touches as many places, and each costs a miss. So numbers lie
//! row by row here, and go to their columns when there are [`ROWS`] rows: columns of a line of memory together, so each line is read once.

use super::column::Column;

/// Rows of a block: one a bit of a word.
pub(super) const ROWS: usize = 64;

/// Columns that fill a line of memory.
const TOGETHER: usize = 8;

/// Rows of numbers, as 64 bits whatever they are; cells of other columns are left out.
#[derive(Debug)]
pub(super) struct Block {
    width: usize,
    rows: usize,
    /// Row by row.
    numbers: Vec<u64>,
    /// A word a column, a bit a row: where there is no number.
    absent: Vec<u64>,
}

impl Block {
    /// A block of so many columns.
    pub(super) fn new(width: usize) -> Block {
        Block { width, rows: 0, numbers: vec![0; width * ROWS], absent: vec![0; width] }
    }

    /// The places of the row under way from this column on; words in which its bit, which is the last, is set where there is no number.
    #[inline]
    pub(super) fn row(&mut self, at: usize) -> (&mut [u64], &mut [u64], u64) {
        let start = self.rows * self.width;
        let numbers = &mut self.numbers[start..start + self.width];
        (numbers.get_mut(at..).unwrap_or_default(), self.absent.get_mut(at..).unwrap_or_default(), 1 << self.rows)
    }

    /// Puts a number, or none, into a place of the row under way.
    #[inline]
    pub(super) fn put(&mut self, at: usize, number: Option<u64>) {
        if number.is_none() {
            self.absent[at] |= 1 << self.rows;
        }
        self.numbers[self.rows * self.width + at] = number.unwrap_or(0);
    }

    /// Ends the row under way; if it was the last of the block, all go to their columns.
    #[inline]
    pub(super) fn end(&mut self, columns: &mut [Column]) {
        self.rows += 1;
        if self.rows == ROWS {
            self.hand_over(columns);
        }
    }

    /// Hands numbers to their columns, and is empty then.
    pub(super) fn hand_over(&mut self, columns: &mut [Column]) {
        let mut turned = [[0; ROWS]; TOGETHER];
        for (group, columns) in columns.chunks_mut(TOGETHER).enumerate() {
            let first = group * TOGETHER;
            for (row, numbers) in self.numbers.chunks_exact(self.width).take(self.rows).enumerate() {
                for (column, number) in turned.iter_mut().zip(&numbers[first..]) {
                    column[row] = *number;
                }
            }
            for ((column, numbers), absent) in columns.iter_mut().zip(&turned).zip(&self.absent[first..]) {
                column.append(&numbers[..self.rows], *absent);
            }
        }
        self.absent.fill(0);
        self.rows = 0;
    }
}
