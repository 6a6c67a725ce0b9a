//! Columns that are alike share their memory.
//!
//! Of flows of one packet, mean, least and greatest are one number; of UDP all that TCP tells is missing. About half of the columns of such a batch
//! are equal to another one. Memory that is touched for the first time costs more than the numbers that fill it, so whoever holds batches
//! should hold such columns once.
//!
//! Alike is what is equal bit by bit, of one type: 0.0 is not -0.0, and what is no number is equal to itself. Equal columns may count as
//! different, different ones never as alike.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_data::ArrayData;

/// The different columns of a batch.
#[derive(Default)]
pub(super) struct Different(Vec<(ArrayRef, ArrayData)>);

impl Different {
    /// The column, or the first one that is like it.
    pub(super) fn first_like(&mut self, column: ArrayRef) -> ArrayRef {
        let data = column.to_data();
        if let Some((known, _)) = self.0.iter().find(|(_, known)| are_alike(known, &data)) {
            return Arc::clone(known);
        }
        self.0.push((Arc::clone(&column), data));
        column
    }
}

/// Whether they are; columns that are not differ in their first numbers as a rule.
fn are_alike(one: &ArrayData, other: &ArrayData) -> bool {
    let (items, others) = (one.child_data(), other.child_data());
    (one.len(), one.offset()) == (other.len(), other.offset())
        && one.buffers() == other.buffers()
        && one.nulls() == other.nulls()
        && one.data_type() == other.data_type()
        && items.len() == others.len()
        && items.iter().zip(others).all(|(items, others)| are_alike(items, others))
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{Int64Builder, ListBuilder};
    use arrow_array::{Float64Array, Int64Array, StringArray};

    use super::*;

    fn list(items: &[i64]) -> ArrayRef {
        let mut lists = ListBuilder::new(Int64Builder::new());
        lists.values().append_slice(items);
        lists.append(true);
        Arc::new(lists.finish())
    }

    #[test]
    fn only_equal_bits_of_one_type_are_alike() {
        let columns: [ArrayRef; 11] = [
            Arc::new(Float64Array::from(vec![0.0, f64::NAN])),
            Arc::new(Float64Array::from(vec![-0.0, f64::NAN])),
            Arc::new(Float64Array::from(vec![Some(0.0), None])),
            Arc::new(Float64Array::from(vec![None, Some(0.0)])),
            Arc::new(Float64Array::from(vec![0.0])),
            Arc::new(Int64Array::from(vec![Some(0), None])),
            Arc::new(Int64Array::from(vec![0, 0])),
            Arc::new(StringArray::from(vec!["", ""])),
            Arc::new(StringArray::from(vec![Some(""), None])),
            list(&[1, 2]),
            list(&[1, 3]),
        ];
        let mut different = Different::default();
        // Each column is the first of its kind, and the same once more is not.
        for column in &columns {
            assert!(Arc::ptr_eq(&different.first_like(Arc::clone(column)), column));
        }
        for column in &columns {
            let again = arrow_array::make_array(column.to_data());
            assert!(Arc::ptr_eq(&different.first_like(again), column));
        }
        let not_shared: ArrayRef = Arc::new(Float64Array::from(vec![0.0, f64::NAN]));
        assert!(Arc::ptr_eq(&different.first_like(not_shared), &columns[0]));
        assert!(Arc::ptr_eq(&different.first_like(list(&[1, 3])), &columns[10]));
    }
}
