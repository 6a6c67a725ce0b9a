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

use super::{Args, Done, Run, beside, tables, write};
use crate::cli::Usage;
use crate::cli::places::Named;
use crate::cli::units::{Found, Unit};

/// A capture, and where its table goes.
pub(super) struct Table {
    unit: Unit,
    path: PathBuf,
}

/// Every capture by itself.
///
/// # Errors
/// A capture has no name.
pub(super) fn apart(args: &Args, units: &[Unit]) -> std::result::Result<Vec<Unit>, Usage> {
    let option = if args.each { "--each" } else { "--source-file" };
    let inputs = units.iter().flat_map(|unit| unit.inputs.iter().map(|input| (&unit.sensor, input)));
    let unit = |(sensor, input): (&Option<String>, &Input)| match input {
        Input::Stdin => Err(Usage(format!("{option} goes by the names of captures, and standard input has no name"))),
        Input::File(_) => Ok(Unit { sensor: sensor.clone(), inputs: vec![input.clone()] }),
    };
    inputs.map(unit).collect()
}

/// The tables of a run.
///
/// # Errors
/// Two captures would share one, or a capture has no name.
pub(super) fn tables(args: &Args, folder: &Path, found: &Found) -> std::result::Result<Vec<Table>, Usage> {
    let mut places: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut tables = Vec::new();
    for unit in apart(args, &found.units)? {
        let Some(capture) = unit.inputs.first().map(|input| input.path().to_owned()) else { continue };
        let mut name = OsString::from(args.sources.inside(&capture));
        name.push(format!(".{}", args.format().ending()));
        let path = folder.join(name);
        if let Some(other) = places.insert(path.clone(), capture.clone()) {
            let [other, capture, path] = [&other, &capture, &path].map(|path| path.display());
            return Err(Usage(format!(
                "{other} and {capture} would both become {path}; name a folder that holds both, or run them apart"
            )));
        }
        tables.push(Table { unit, path });
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
    let tables = tables.iter().flat_map(|table| tables::places(args, &table.path)).map(|path| ("--output", path));
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
        let create = if args.force { AtomicFile::create } else { AtomicFile::create_new };
        let create = |place: PathBuf| create(&place).map(|file| (place, file));
        let files = tables::places(args, &path).into_iter().map(create).collect::<Result<_>>()?;
        let (files, of_table) = write(run, vec![unit], None, files)?;
        if let Some(metrics) = &of_table.metrics {
            all.on_metrics(&metrics.borrow())?;
        }
        if of_table.has_captures() {
            for file in files {
                file.commit()?;
            }
        }
        done.push(of_table);
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
