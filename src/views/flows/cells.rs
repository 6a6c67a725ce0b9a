//! The cells of features: numbers lie together and own nothing, so that making, reading and letting go of them costs next to
//! nothing; what owns memory lies apart, and lists are filled again flow by flow.

use std::ops::Range;

use super::cell::Cell;

/// A cell that owns nothing, or the place of one that does. Whatever has eight bytes has them in one place, so that a cell
/// becomes one of these by moving a word; with a truth in a byte of its own, parts of words would be moved.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plain {
    Absent,
    True,
    False,
    Count(u64),
    Integer(i64),
    Float(f64),
    Other(usize),
}

const _: () = assert!(size_of::<Plain>() == 16);

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Cells {
    plain: Vec<Plain>,
    others: Vec<Cell<'static>>,
    /// So many of the others are of this flow; those behind them were of flows before.
    used: usize,
}

impl Cells {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plain.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    /// Lets go of all; lists may be filled again.
    pub(super) fn clear(&mut self) {
        self.plain.clear();
        self.used = 0;
    }

    /// Appends a cell.
    #[inline(always)]
    pub fn push(&mut self, cell: Cell<'static>) {
        let plain = place(cell, &mut self.others, &mut self.used);
        self.plain.push(plain);
    }

    /// Appends several.
    #[inline(always)]
    pub fn extend(&mut self, cells: impl IntoIterator<Item = Cell<'static>>) {
        let (others, used) = (&mut self.others, &mut self.used);
        self.plain.extend(cells.into_iter().map(|cell| place(cell, others, used)));
    }

    /// Appends cells that own nothing.
    #[inline]
    pub(crate) fn put<const N: usize>(&mut self, cells: [Plain; N]) {
        self.plain.extend_from_slice(&cells);
    }

    /// Appends the cells of these places once more; none of them may own anything.
    pub(crate) fn again(&mut self, places: Range<usize>) {
        self.plain.extend_from_within(places);
    }

    /// Puts another cell in the place of one, if there is one.
    pub(super) fn set(&mut self, at: usize, cell: Cell<'static>) {
        if let Some(plain) = self.plain.get_mut(at) {
            *plain = place(cell, &mut self.others, &mut self.used);
        }
    }

    /// An empty list for a cell of [`Cell::Numbers`] before which so many others that are lists or text will come; in the
    /// memory that the flow before had for it.
    #[must_use]
    pub fn numbers(&mut self, behind: usize) -> Vec<i64> {
        let Some(Cell::Numbers(list)) = self.others.get_mut(self.used + behind) else { return Vec::new() };
        list.clear();
        std::mem::take(list)
    }

    /// As [`Cells::numbers`], for one of [`Cell::Floats`].
    #[must_use]
    pub fn floats(&mut self, behind: usize) -> Vec<f64> {
        let Some(Cell::Floats(list)) = self.others.get_mut(self.used + behind) else { return Vec::new() };
        list.clear();
        std::mem::take(list)
    }

    /// Shows a cell, or that none is there.
    #[inline]
    pub fn show<R>(&self, at: usize, to: impl FnOnce(&Cell<'_>) -> R) -> R {
        let cell = match self.plain.get(at) {
            None | Some(Plain::Absent) => Cell::Absent,
            Some(Plain::True) => Cell::Flag(true),
            Some(Plain::False) => Cell::Flag(false),
            Some(&Plain::Count(n)) => Cell::Count(n),
            Some(&Plain::Integer(n)) => Cell::Integer(n),
            Some(&Plain::Float(n)) => Cell::Float(n),
            Some(&Plain::Other(other)) => return to(self.other(other)),
        };
        let said = to(&cell);
        // It owns nothing, and calling what lets go of any cell costs more than making one.
        std::mem::forget(cell);
        said
    }

    pub(crate) fn plain(&self) -> &[Plain] {
        &self.plain
    }

    pub(crate) fn other(&self, place: usize) -> &Cell<'static> {
        &self.others[place]
    }
}

#[inline(always)]
fn place(cell: Cell<'static>, others: &mut Vec<Cell<'static>>, used: &mut usize) -> Plain {
    match cell {
        Cell::Absent => Plain::Absent,
        Cell::Flag(true) => Plain::True,
        Cell::Flag(false) => Plain::False,
        Cell::Count(n) => Plain::Count(n),
        Cell::Integer(n) => Plain::Integer(n),
        Cell::Float(n) => Plain::Float(n),
        other => keep(other, others, used),
    }
}

#[inline(never)]
fn keep(cell: Cell<'static>, others: &mut Vec<Cell<'static>>, used: &mut usize) -> Plain {
    let at = *used;
    match others.get_mut(at) {
        Some(place) => *place = cell,
        None => others.push(cell),
    }
    *used += 1;
    Plain::Other(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(cells: &Cells) -> Vec<Cell<'static>> {
        (0..cells.len()).map(|at| cells.show(at, |cell| cell.owned())).collect()
    }

    #[test]
    fn cells_stay_in_order_and_lists_are_filled_again() {
        let mut cells = Cells::default();
        let list = [Cell::from(1_u64), "text".into(), Cell::Numbers(vec![1, 2, 3]), Cell::Integer(-4), true.into()];
        cells.extend(list.clone());
        cells.push(2.5.into());
        assert_eq!(all(&cells)[..5], list);
        assert_eq!((cells.len(), cells.show(9, |cell| cell.owned())), (6, Cell::Absent));
        cells.set(0, "label".into());
        assert_eq!(cells.show(0, |cell| cell.owned()), "label".into());

        cells.clear();
        assert!(cells.is_empty());
        assert_eq!(cells.floats(1).capacity(), 0);
        let mut numbers = cells.numbers(1);
        assert!(numbers.is_empty() && numbers.capacity() >= 3);
        numbers.push(7);
        cells.push("other".into());
        cells.push(Cell::Numbers(numbers));
        assert_eq!(all(&cells), ["other".into(), Cell::Numbers(vec![7])]);
        assert_eq!(cells.numbers(9).capacity(), 0);
    }
}
