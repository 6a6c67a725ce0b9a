//! Turns packet captures into hourly flow groups with scans collapsed, and accounts for every packet.
//!
//! This holds for any input: the ledger balances (every packet and byte read is in a record, in a scan summary, or counted by the reason it
//! is not); output is a function of packets, configuration and version, byte for byte, whatever the threads, the order of files or the way
//! they are read; nothing is lost to a rerun; and hostile bytes are counted, not feared.
//!
//! ```no_run
//! use pcap_compactor::sink::jsonl::{JsonLines, Lines};
//! use pcap_compactor::{Config, Input, Job};
//!
//! # fn main() -> pcap_compactor::Result<()> {
//! let mut out = JsonLines::new(std::io::stdout(), "standard output", Lines::default());
//! let report = Job::new(Config::default()).run(vec![Input::file("capture.pcap")], &mut out)?;
//! assert!(report.failed.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! [`Job`] is the main job whole. [`Engine`] runs any [`engine::view::View`]s in one pass; [`views::groups::Groups`] is one. The
//! library prints nothing, reads no environment, pins no thread and sets no allocator unless it is told to.

pub mod app;
pub mod capture;
pub mod config;
pub mod decode;
pub mod engine;
pub mod error;
pub mod filter;
pub mod flow;
pub mod job;
#[cfg(feature = "watch")]
pub mod live;
#[cfg(feature = "payload")]
pub mod payload;
pub mod scan;
pub mod sink;
pub mod synth;
pub mod table;
pub mod time;
pub mod views;
#[cfg(feature = "watch")]
pub mod watch;

mod prefetch;
mod stable;

pub use config::Config;
pub use engine::{Engine, Input};
pub use error::{Error, ErrorKind, Result};
pub use job::Job;
pub use time::Timestamp;
