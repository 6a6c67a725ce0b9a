//! The products. One folder each: its record, its share in a worker, its merge.

pub mod buckets;
pub mod flows;
pub mod groups;
pub(crate) mod in_order;
pub(crate) mod rows;
pub mod timeline;
