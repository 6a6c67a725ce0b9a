//! `config`: every setting with its value and what it means, as a file that `compact --config` reads.

use std::path::PathBuf;

use pcap_compactor::Config;

use super::{Exit, text};

/// Print all settings as TOML, with what they mean: the defaults, or those of a file.
///
/// What is printed is a file for `compact --config`. A file need not hold every setting; what it leaves out is at its default.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pcap-compactor config > settings.toml
  pcap-compactor config settings.toml")]
pub(crate) struct Args {
    /// A file whose settings to check and print
    file: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let config = args.file.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
    text::print(&config.to_toml())?;
    Ok(Exit::Ok)
}
