//! Records as tables of typed columns, for programs: Parquet, and Arrow's file format (Feather, version 2).
//!
//! A table says what it is by itself. Each column has its unit, what it means and its dialect with it; the file has the version that wrote
//! it, what decided its values, the captures that were read, and the ledger. See [`schema`] for the types, [`about`] for the words.
//!
//! ```text
//! record -> cells -> Rows (one builder a column) -> batch -> TableFile -> Parquet or Arrow
//!                                                        \-> whoever takes batches
//! ```
//!
//! Rows that wait for their file, as those of an hour do, are packed cells until then (`packed.rs`).
//!
//! Rows leave in groups of a bounded size ([`file::GROUP`]), so memory does not grow with a capture. Nothing in a file depends on threads, time of day
//! or machine: equal records are equal bytes.

pub mod about;
mod alike;
mod block;
pub mod bridge;
pub mod buckets;
mod column;
pub mod file;
pub mod flows;
pub mod groups;
#[cfg(feature = "watch")]
mod packed;
pub mod rows;
pub mod schema;

pub use about::About;
pub use file::{Form, TableFile};
pub use schema::{Addresses, Style};
