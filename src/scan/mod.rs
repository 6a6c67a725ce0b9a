//! Scans: who touches many hosts or ports and is mostly not answered.
//!
//! [`contacts`] counts what every source touched, out of flows sorted by group; [`verdict`] picks candidates and decides;
//! [`forest`] is the Isolation Forest the original decides by; [`summary`] is what stands for what was collapsed.

pub mod contacts;
pub mod forest;
pub mod summary;
pub mod verdict;
