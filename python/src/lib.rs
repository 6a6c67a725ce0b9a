//! The compiled part of the Python package `pcap_compactor`: the engine's records as tables of Arrow, and as Python objects.
//!
//! A query (`query.rs`) is a product by some options; a pass over it (`pass.rs`) runs the engine in a thread of its own and hands out
//! batches through a bounded channel. An hour (`hour.rs`) hands records to a sink that is written in Python. What people see is in
//! `pcap_compactor/`, in Python.

mod calls;
mod errors;
mod hour;
mod options;
mod pass;
mod product;
mod products;
mod query;
mod reading;
mod rows;
mod teller;

/// What the engine and Arrow allocate; Python's objects are Python's. Whatever leaves takes with it what frees it, which is here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the package is made from.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use super::hour::run_hour;
    #[pymodule_export]
    use super::query::{Query, RowPass};
    #[pymodule_export]
    use super::reading::{check_config, default_config, load_config, mistake_of_filter, segments_of};

    /// A map whose file shrinks ends a capture, not the process.
    #[pymodule_init]
    fn init() {
        pcap_compactor::capture::install_shrink_guard();
    }

    /// The version of the engine.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const version: &str = env!("CARGO_PKG_VERSION");
}
