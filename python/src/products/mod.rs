//! The products that a query may be about.

pub(crate) mod bridge;
pub(crate) mod buckets;
pub(crate) mod flows;
pub(crate) mod groups;
