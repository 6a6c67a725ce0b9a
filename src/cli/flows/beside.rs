//! The file beside a table of flows that says what the table is: its dialect, its columns, and the options that decide their
//! values. It depends on nothing else, so equal options write equal bytes.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use pcap_compactor::sink::decided::{self, Flows};
#[cfg(feature = "tables")]
use pcap_compactor::sink::tables::About;
use pcap_compactor::views::flows::Settings;
use pcap_compactor::views::flows::dialects::{Dialect, Zone};
use serde::{Deserialize, Serialize};

use super::Args;
use crate::cli::Usage;
use crate::cli::schema::Schema;

/// Where it is; nothing beside a pipe or a device.
pub(super) fn place(table: &Path) -> Option<PathBuf> {
    if super::is_a_stream(table) {
        return None;
    }
    let mut name = table.file_name()?.to_owned();
    name.push(".schema.json");
    Some(table.with_file_name(name))
}

/// Refuses a place where a file is that no run wrote.
///
/// # Errors
/// There is one; the text says how else.
pub(super) fn replaceable(place: &Path) -> Result<(), Usage> {
    #[derive(Deserialize)]
    struct Ours {
        program: String,
    }
    let ours = || {
        let file = BufReader::new(File::open(place).ok()?);
        serde_json::from_reader::<_, Ours>(file).ok().filter(|ours| ours.program == env!("CARGO_PKG_NAME"))
    };
    if place.is_file() && ours().is_none() {
        return Err(Usage(format!(
            "{}: is no schema that a run wrote, and would be replaced; take --no-schema, or name another --output",
            place.display()
        )));
    }
    Ok(())
}

/// What it holds.
pub(super) fn text(args: &Args, dialect: Option<&Dialect>, settings: &Settings) -> anyhow::Result<String> {
    let [label, config] = named(args);
    let beside = Beside {
        program: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        format: args.format().ending(),
        schema: Schema::new(dialect, settings.columns.list()),
        options: decided(args, dialect, settings, [&label, &config].map(|path| path.as_deref())),
    };
    Ok(serde_json::to_string_pretty(&beside)? + "\n")
}

/// What a table of typed columns says of itself.
#[cfg(feature = "tables")]
pub(super) fn about(args: &Args, dialect: Option<&Dialect>, settings: &Settings) -> anyhow::Result<About> {
    let [label, config] = named(args);
    let decided = decided(args, dialect, settings, [&label, &config].map(|path| path.as_deref()));
    Ok(About::new("flows", dialect.map(Dialect::name), &decided)?)
}

/// The files of rules and of settings, as they were named.
fn named(args: &Args) -> [Option<String>; 2] {
    [&args.label, &args.config].map(|path| path.as_ref().map(|path| path.display().to_string()))
}

/// The options as they stand.
fn decided<'a>(
    args: &'a Args,
    dialect: Option<&'a Dialect>,
    settings: &'a Settings,
    [label, config]: [Option<&'a str>; 2],
) -> Flows<'a> {
    let beside = decided::Beside {
        dialect,
        packets: args.reading.packets(),
        no_dialect_filter: false,
        max_flows: args.max_flows,
        split_by_protocol: args.split_by_protocol,
        source_file: args.source_file,
        times: args.writing.times(),
        time_zone: args.time_zone.as_ref().map_or("UTC", Zone::name),
        label,
        config,
    };
    Flows::new(settings, beside)
}

#[derive(Serialize)]
struct Beside<'a> {
    program: &'static str,
    version: &'static str,
    format: &'static str,
    options: Flows<'a>,
    #[serde(flatten)]
    schema: Schema,
}
