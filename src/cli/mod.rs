//! Commands, one file each.

mod demo;
mod inspect;
mod synth;
mod text;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

#[derive(clap::Parser)]
#[command(name = "pcap-compactor", version, about, max_term_width = 100)]
struct Cli {
    /// Say nothing but errors on standard error.
    #[arg(long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Inspect(inspect::Args),
    Synth(synth::Args),
    Demo(demo::Args),
}

/// What all commands are told.
pub(crate) struct Shared {
    pub(crate) quiet: bool,
    pub(crate) color: bool,
}

/// How a command ended; the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    Partial = 3,
    #[expect(dead_code, reason = "the commands here check no ledger of their own")]
    Broken = 4,
}

pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let shared = Shared { quiet: cli.quiet, color };
    let ended = match &cli.command {
        Command::Inspect(args) => inspect::run(args, &shared),
        Command::Synth(args) => synth::run(args, &shared),
        Command::Demo(args) => demo::run(args, &shared),
    };
    let exit = ended.unwrap_or_else(|error| {
        text::complain("error", &format!("{error:#}"));
        Exit::Failed
    });
    ExitCode::from(exit as u8)
}
