//! One table for each capture: where it goes, and the run over all of them.
//!
//! Captures are apart: no flow goes on in the next. A table has its capture's whole name, and lies where the capture lay in the
//! folder that was named, so no two captures of one folder share one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use pcap_compactor::Result;
use pcap_compactor::capture::Input;
use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::atomic::{AtomicFile, write_whole};
use pcap_compactor::sink::flows::{FlowRuns, FlowSink};
use pcap_compactor::views::flows::{FlowCounts, FlowRecord};

use super::{Args, Done, Run, beside, write};
use crate::cli::Usage;
use crate::cli::places::Named;
use crate::cli::summary::is_capture;
use crate::cli::units::{Found, Unit};

/// A capture, and where its table goes.
pub(super) struct Table {
    unit: Unit,
    path: PathBuf,
}

/// The tables of a run.
///
/// # Errors
/// Two captures would share one, or a capture has no name.
pub(super) fn tables(args: &Args, folder: &Path, found: &Found) -> std::result::Result<Vec<Table>, Usage> {
    let mut places: BTreeMap<PathBuf, &Path> = BTreeMap::new();
    let mut tables = Vec::new();
    for unit in &found.units {
        for input in &unit.inputs {
            let Input::File(capture) = input else {
                return Err(Usage("--each names tables as captures, and standard input has no name".into()));
            };
            let mut name = OsString::from(args.sources.inside(capture));
            name.push(format!(".{}", args.format().ending()));
            let path = folder.join(name);
            if let Some(other) = places.insert(path.clone(), capture) {
                let [other, capture, path] = [other, capture, &path].map(Path::display);
                return Err(Usage(format!(
                    "{other} and {capture} would both become {path}; name a folder that holds both, or run them apart"
                )));
            }
            let unit = Unit { sensor: unit.sensor.clone(), inputs: vec![input.clone()] };
            tables.push(Table { unit, path });
        }
    }
    Ok(tables)
}

fn schema(folder: &Path) -> PathBuf {
    folder.join("schema.json")
}

fn ledger(folder: &Path) -> PathBuf {
    folder.join("metrics.json")
}

/// What is written.
pub(super) fn outputs(args: &Args, folder: &Path, tables: &[Table]) -> Vec<Named> {
    let tables = tables.iter().map(|table| ("--output", table.path.clone()));
    let schema = (!args.no_schema).then(|| ("the schema in --output", schema(folder)));
    tables.chain(schema).chain([("the metrics in --output", ledger(folder))]).collect()
}

/// Writes the tables, and when all are there the ledger of all. What is no capture gets none.
pub(super) fn run(run: &Run<'_>, folder: &Path, tables: Vec<Table>) -> anyhow::Result<Vec<Done>> {
    let args = run.args;
    if !args.force {
        outputs(args, folder, &tables).iter().try_for_each(|(_, path)| vacant(path))?;
    }
    // It tells of the run before.
    match fs::remove_file(ledger(folder)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{}: cannot remove", ledger(folder).display()));
        }
        _ => {}
    }
    if !args.no_schema {
        write_whole(&schema(folder), beside::text(args, run.dialect, &run.settings)?.as_bytes())?;
    }
    let mut all = FlowRuns::new(Ledger::default());
    let mut done = Vec::new();
    for Table { unit, path } in tables {
        let file = if args.force { AtomicFile::create(&path) } else { AtomicFile::create_new(&path) };
        let (file, of_table) = write(run, vec![unit], None, file?)?;
        for (report, outcome, counts) in &of_table {
            let (files, total, (outcome, counts)) = (&report.files, &report.total, (*outcome, *counts));
            all.on_metrics(&Metrics { segments_seen: 1, files, total, outcome, counts, sensor: None })?;
        }
        if of_table.iter().flat_map(|(report, ..)| &report.files).any(|file| is_capture(&file.capture)) {
            file.commit()?;
        }
        done.extend(of_table);
    }
    write_whole(&ledger(folder), &all.finish()?.0)?;
    Ok(done)
}

fn vacant(path: &Path) -> anyhow::Result<()> {
    match path.symlink_metadata() {
        Ok(_) => anyhow::bail!("{}: cannot create: it exists already; --force replaces it", path.display()),
        Err(_) => Ok(()),
    }
}

/// The metrics as they are written.
#[derive(Default)]
struct Ledger(Vec<u8>);

impl FlowSink for Ledger {
    fn on_flow(&mut self, _: &FlowRecord) -> Result<()> {
        Ok(())
    }

    fn on_metrics(&mut self, metrics: &Metrics<FlowCounts>) -> Result<()> {
        metrics.write(&mut self.0);
        Ok(())
    }
}
