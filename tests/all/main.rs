//! Integration tests: the engine against a plain model of what it must say, over random traffic and over real captures.
//!
//! Captures of the corpus are read from `PCAP_COMPACTOR_CORPUS`, or from `../shared` beside the project. Where there is
//! no such folder the tests over it say so on standard error and pass, but fail where `CI` is set.
//! `PROPTEST_CASES` sets how many cases each property is tried on.

#![allow(clippy::panic, clippy::unwrap_used, reason = "clippy knows tests, but not what helps them")]

mod command;
mod model;
mod most;
mod run;
mod traffic;

mod alone;
mod bad_input;
mod buckets;
mod cic;
mod cic_edges;
mod cic_py;
mod cli_damage;
mod cli_flows;
mod cli_tables;
mod cli_timeline;
#[cfg(unix)]
mod cli_watch;
mod comparison;
mod corpus;
mod csv;
mod cuts;
mod damage;
mod filter;
mod flows;
mod fuzz;
mod inputs;
mod live;
mod lycos;
mod nexus;
mod nf;
mod outputs;
#[cfg(feature = "payload")]
mod payload;
mod properties;
mod queue;
mod resume;
mod sampling;
mod sensors;
mod settings;
mod shape;
mod sheet;
mod split;
#[cfg(feature = "tables")]
mod tables;
mod timeline;
mod timeline_original;
mod traps;
mod verdicts;
mod view;
mod views;
mod wa1kpcap;
#[cfg(unix)]
mod watch;
#[cfg(feature = "watch")]
mod watch_arrivals;
mod zones;
