//! Temporary root of the capture branch.
pub mod capture;
pub mod error;
pub mod time;
