//! `diff-dialects`: two dialects over the same captures; what differs, by how much, and why.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use pcap_compactor::ErrorKind;
use pcap_compactor::capture::Input;
use pcap_compactor::engine::Progress;
use pcap_compactor::engine::ledger::Outcome;
use pcap_compactor::views::flows::Settings;
use pcap_compactor::views::flows::dialects::Dialect;
use pcap_compactor::views::flows::dialects::comparison::{Comparer, Comparison, MOST_ROWS, Reason, Runs, Spread};

use super::progress::Bar;
use super::reading::{Reading, Sources};
use super::summary::{complaints, is_capture};
use super::text::{self, Align, Style, Table, count, things};
use super::units::Found;
use super::{Exit, Shared, Usage, interrupt};

/// Arguments of `diff-dialects`.
#[derive(clap::Args)]
#[command(after_help = "\
A row of the one is held against that of the same flow in the other: same ends, protocol and earliest packet. Within the \
CICFlowMeter family each difference is put down to the switches that make it, which are found by setting them in A as they \
stand in B, one by one, then together. Several captures are one, as for `flows`. They are read once for each trial, and rows \
are compared in memory.

Examples:
  pcap-compactor diff-dialects cic cic-engelen capture.pcap
  pcap-compactor diff-dialects cic-java cic-2018 captures/ --format json
  pcap-compactor diff-dialects cic nexus capture.pcap --filter tcp")]
pub(crate) struct Args {
    /// The first dialect.
    #[arg(value_name = "A")]
    first: Dialect,
    /// The second.
    #[arg(value_name = "B")]
    second: Dialect,
    #[command(flatten)]
    sources: Sources,
    /// A report for people, or the same as JSON.
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    format: Format,
    /// Flows that either may have; they take 3 to 8 KB each, by how much differs.
    #[arg(long, value_name = "N", default_value_t = MOST_ROWS, help_heading = "Processing")]
    max_flows: usize,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Runs `diff-dialects`.
pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    let clip = args.sources.range()?;
    let (found, exit) = args.sources.find("diff-dialects", clip, shared)?;
    let bytes = found.bytes();
    let captures = captures(found)?;
    let (progress, runs) = (Arc::new(Progress::default()), Arc::new(Runs::default()));
    interrupt::watch(&progress)?;
    let (engine, filter) = (args.reading.engine(&progress), args.reading.filter.filter());
    let comparer = Comparer::new(engine, filter, Settings { clip, ..Settings::default() }, captures);
    let comparer = comparer.most_rows(args.max_flows).runs(Arc::clone(&runs));
    let bar = Bar::show(&progress, move || bytes * runs.expected(), shared.quiet);
    let compared = comparer.compare(&args.first, &args.second);
    drop(bar);
    let (comparison, report) = compared.map_err(|error| match error.kind() {
        ErrorKind::Sink(reason) => {
            anyhow::anyhow!("{reason}; allow more with --max-flows, or take fewer with --filter")
        }
        _ => error.into(),
    })?;
    let exit = exit.max(complaints(&report, &Outcome::default(), shared.quiet));
    let read = report.files.iter().filter(|file| is_capture(&file.capture)).count() as u64;
    if read == 0 {
        anyhow::bail!("none of the inputs is a capture that can be read");
    }
    text::print(&match args.format {
        Format::Json => serde_json::to_string_pretty(&comparison)? + "\n",
        Format::Text => told(&comparison, [&args.first, &args.second], read, Style { color: shared.color }),
    })?;
    Ok(exit)
}

/// The captures, each of which can be read more than once.
fn captures(found: Found) -> Result<Vec<PathBuf>, Usage> {
    let mut captures = Vec::new();
    for unit in found.units {
        if unit.sensor.is_some() {
            return Err(Usage("diff-dialects takes all sensors together; leave out --by-sensor".into()));
        }
        for input in unit.inputs {
            match input {
                Input::File(path) if path.is_file() => captures.push(path),
                input => {
                    let path = input.path().display();
                    return Err(Usage(format!("{path}: can be read only once, and is to be read for each dialect")));
                }
            }
        }
    }
    Ok(captures)
}

/// The report for people.
fn told(comparison: &Comparison, dialects: [&Dialect; 2], captures: u64, style: Style) -> String {
    let [first, second] = comparison.dialects;
    let mut out = format!("{first} against {second}, over {}\n\n", things(captures, "capture"));
    let mut rows = Table::new([Align::Left, Align::Right, Align::Left]);
    rows.head(["flows", "rows", "why"]);
    rows.row(["in both".into(), count(comparison.rows), String::new()]);
    for (dialect, lone) in comparison.dialects.iter().zip(&comparison.only_rows) {
        rows.row([format!("in {dialect} alone"), count(lone.rows), why(&lone.why)]);
    }
    out += &rows.render(style);

    let differing: Vec<_> = comparison.columns.iter().filter(|column| column.rows > 0).collect();
    let (all, n) = (things(comparison.columns.len() as u64, "column"), differing.len());
    // Writing to a string cannot fail.
    let _ =
        writeln!(out, "\n{all} of both, {} of which {}", count(n as u64), if n == 1 { "differs" } else { "differ" });
    if n > 0 {
        let mut columns = Table::new([
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Left,
        ]);
        columns.head(["column", "rows", "max", "median", "relative max", "median", "why"]);
        for column in differing {
            let [max, median, max_relative, median_relative] =
                column.spread.as_ref().map_or_else(Default::default, sizes);
            let [name, other] = column.names;
            let name = if name == other { name.to_owned() } else { format!("{name} = {other}") };
            let unit = if column.unit.is_empty() { String::new() } else { format!(" ({})", column.unit) };
            columns.row([
                name + &unit,
                count(column.rows),
                max,
                median,
                max_relative,
                median_relative,
                why(&column.why),
            ]);
        }
        out += &columns.render(style);
    }
    for (dialect, columns) in
        comparison.dialects.iter().zip(&comparison.only_columns).filter(|(_, only)| !only.is_empty())
    {
        let _ = writeln!(out, "\nin {dialect} alone: {}", columns.join(", "));
    }
    if comparison.one_family {
        out += &switches(comparison, style);
    } else {
        out += "\nThe two are of different programs, so no switch tells why. What is known to differ:\n";
        for dialect in dialects {
            for difference in dialect.differences() {
                let (name, original, here) = (difference.name, difference.original, difference.here);
                let _ = writeln!(out, "  {} {name}: {original}; here {here}", dialect.name());
            }
        }
    }
    out
}

/// What each switch was found to do.
fn switches(comparison: &Comparison, style: Style) -> String {
    if comparison.switches.is_empty() {
        return "\nNo switch stands differently.\n".into();
    }
    let [first, second] = comparison.dialects;
    let mut out = String::from("\nvalues and rows by the switch that makes the difference, alone or with others\n");
    let mut table = Table::new([Align::Left, Align::Left, Align::Left, Align::Right, Align::Right, Align::Left]);
    table.head(["switch", first, second, "alone", "with others", "decides"]);
    for switch in &comparison.switches {
        let [ours, theirs] = switch.stands.map(str::to_owned);
        table.row([
            switch.name.into(),
            ours,
            theirs,
            count(switch.alone),
            count(switch.with_others),
            switch.about.into(),
        ]);
    }
    out += &table.render(style);
    if comparison.unreduced > 0 {
        let values = things(comparison.unreduced, "value");
        let _ = writeln!(out, "{values} may have fewer switches as their reason; no more sets of them were tried");
    }
    out
}

/// `std 12, order+duration 3`.
fn why(reasons: &[Reason]) -> String {
    let reason = |Reason { switches, values }: &Reason| format!("{} {}", switches.join("+"), count(*values));
    reasons.iter().map(reason).collect::<Vec<_>>().join(", ")
}

fn sizes(spread: &Spread) -> [String; 4] {
    let percent = |part: f64| format!("{} %", figure(part * 100.0));
    [figure(spread.max), figure(spread.median), percent(spread.max_relative), percent(spread.median_relative)]
}

/// A number with four digits that count.
fn figure(n: f64) -> String {
    match n.abs() {
        0.0 => "0".into(),
        1e-3..1e15 => {
            let decimals = (3 - n.abs().log10().floor() as i32).clamp(0, 6) as usize;
            let text = format!("{n:.decimals$}");
            match text.split_once('.') {
                Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                None => text,
            }
        }
        _ => format!("{n:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_four_digits_that_count() {
        let numbers = [0.0, 1.0, 12.5, 1234.56, 123_456.7, 0.001_234_56, 0.000_012_345_6, 2e15, 99.999_9];
        let texts = ["0", "1", "12.5", "1235", "123457", "0.001235", "1.235e-5", "2.000e15", "100"];
        assert_eq!(numbers.map(figure), texts);
    }
}
