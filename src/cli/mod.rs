//! The command line. One file a command; this one knows their names, and turns results into exit codes.

mod buckets;
mod capture;
mod compact;
mod config;
mod demo;
mod diff_dialects;
mod filter;
mod flows;
mod http;
mod inspect;
mod interrupt;
mod journal;
mod labels;
mod places;
mod progress;
mod reading;
mod schema;
mod status;
mod stdout;
mod summary;
mod synth;
mod text;
mod timeline;
mod units;
mod view;
mod watch;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use pcap_compactor::ErrorKind;

/// Turns packet captures into hourly flow groups with scans collapsed, and accounts for every packet.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "\
Exit codes: 0 all input read and accounted for; 1 failed, or no input is a capture; 2 wrong usage; \
3 finished, but some input was damaged, unsupported, late or skipped (the ledger in the metrics says what); \
4 a bug of ours; 130 or 143 stopped. A damaged capture is a capture: alone it is 3, and what lies before the \
damage is in the output.

New here? Run `pcap-compactor demo`, then `pcap-compactor compact YOUR.pcap | head`."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print nothing but results and errors.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Tell of every file as it is read.
    #[arg(long, short, global = true)]
    verbose: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Turn captures into flow groups, scan summaries and a ledger.
    Compact(Box<compact::Args>),
    /// Turn captures into one row a flow: times, counts, TCP behaviour, statistics, sequences.
    Flows(Box<flows::Args>),
    /// Turn captures into one row a stretch of time: packets in and out, kinds, new flows, DNS, destinations.
    Buckets(Box<buckets::Args>),
    /// Turn packets into a timeline for viewers: every TCP packet in its flow, with what it does there.
    Timeline(Box<timeline::Args>),
    /// List the columns that a command can write, with type, unit and meaning.
    Schema(schema::Args),
    /// Tell what differs between two dialects of `flows` over captures, by how much, and by which switch.
    DiffDialects(Box<diff_dialects::Args>),
    /// Tell what is in captures: format, link types, packets, times, damage, and what would be left out.
    Inspect(inspect::Args),
    /// Capture packets from an interface into a file, with tcpdump.
    Capture(capture::Args),
    /// Watch a folder, and turn the captures that appear there into records, an hour at a time, for as long as it takes.
    Watch(Box<watch::Args>),
    /// Tell how a watcher is: what waits, what is out, what went wrong.
    Status(status::Args),
    /// Write a deterministic capture whose truth is known.
    Synth(synth::Args),
    /// Show a timeline as a page in the browser, or save it as one file.
    View(view::Args),
    /// Make traffic, compact it, and show the result: what a newcomer runs first.
    Demo(demo::Args),
    /// Print all settings as TOML, with what they mean: the defaults, or those of a file.
    Config(config::Args),
    /// Print a shell's completion script: `pcap-compactor completions bash > /etc/bash_completion.d/pcap-compactor`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// What all commands share.
pub(crate) struct Shared {
    /// Print nothing but results and errors.
    pub(crate) quiet: bool,
    /// Tell of every file.
    pub(crate) verbose: bool,
    /// Colour may be used on standard output.
    pub(crate) color: bool,
}

/// How a command ended; the larger of two wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// All input was read and accounted for.
    Ok = 0,
    /// It failed, or none of the input is a capture; the reason has been said.
    Failed = 1,
    /// The arguments make no sense together; the reason has been said.
    Usage = 2,
    /// Finished, but some input was damaged, unsupported, late or skipped.
    Partial = 3,
}

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => {
            let code = u8::try_from(said.exit_code()).unwrap_or(Exit::Usage as u8);
            return match said.print() {
                Err(error) if code == 0 => fail(&anyhow::Error::new(error).context("standard output: cannot write")),
                _ => ExitCode::from(code),
            };
        }
    };
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let shared = Shared { quiet: cli.quiet, verbose: cli.verbose, color };
    pcap_compactor::capture::install_shrink_guard();
    // A watcher has its own way to tell.
    if cli.verbose && !matches!(cli.command, Command::Watch(_)) {
        let events = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG);
        let events = events.with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).without_time();
        // What cannot be written there is lost; to complain of it there would be a panic.
        events.with_target(false).log_internal_errors(false).init();
    }
    let done = match &cli.command {
        Command::Compact(args) => compact::run(args, &shared),
        Command::Flows(args) => flows::run(args, &shared),
        Command::Buckets(args) => buckets::run(args, &shared),
        Command::Timeline(args) => timeline::run(args, &shared),
        Command::Schema(args) => schema::run(args),
        Command::DiffDialects(args) => diff_dialects::run(args, &shared),
        Command::Inspect(args) => inspect::run(args, &shared),
        Command::Capture(args) => capture::run(args, &shared),
        Command::Watch(args) => watch::run(args, &shared),
        Command::Status(args) => status::run(args, &shared),
        Command::Synth(args) => synth::run(args, &shared),
        Command::View(args) => view::run(args, &shared),
        Command::Demo(args) => demo::run(args, &shared),
        Command::Config(args) => config::run(args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "pcap-compactor", &mut script);
            stdout::lock()
                .and_then(|mut out| out.write_all(&script).context("standard output: cannot write"))
                .map(|()| Exit::Ok)
        }
    };
    interrupt::give_way();
    match done {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => fail(&error),
    }
}

/// Says what went wrong, on one line, and picks the exit code.
fn fail(error: &anyhow::Error) -> ExitCode {
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<pcap_compactor::Error>()).map(|error| error.kind());
    let gone = |source: &io::Error| source.kind() == io::ErrorKind::BrokenPipe;
    if matches!(kind, Some(ErrorKind::Io { source, .. }) if gone(source))
        || error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(gone))
    {
        // Whoever read our output has seen enough.
        return ExitCode::from(141);
    }
    if error.is::<interrupt::Ended>() {
        return ExitCode::from(interrupt::exit_code());
    }
    let code = match kind {
        Some(ErrorKind::Stopped) => interrupt::exit_code(),
        Some(ErrorKind::Invariant(_)) => 4,
        Some(ErrorKind::Config(_)) => 2,
        _ if error.is::<Usage>() => 2,
        _ => 1,
    };
    say(&format!("pcap-compactor: {error:#}"));
    ExitCode::from(code)
}

/// Adds the way out to the error of a file that is there already and is not to be replaced.
pub(crate) fn taken(error: pcap_compactor::Error, way_out: &str) -> anyhow::Error {
    match error.kind() {
        ErrorKind::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
            anyhow::anyhow!("{error}; {way_out}")
        }
        _ => error.into(),
    }
}

/// The command line makes no sense; the text says how it would.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Writes a line to standard error; control characters that came with a path are shown, not sent.
pub(crate) fn say(line: &str) {
    // There is nowhere left to say that standard error is gone.
    let _ = writeln!(io::stderr(), "{}", text::printable(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_page_names_all_commands() {
        let page = include_str!("../../packaging/pcap-compactor.1");
        for command in Cli::command().get_subcommands() {
            let name = command.get_name().replace('-', "\\-");
            assert!(page.contains(&format!(".TP\n.B {name}\n")), "{name}");
        }
    }
}
