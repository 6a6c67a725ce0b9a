//! The presets of CICFlowMeter against what the programs wrote of the same captures.
//!
//! Every value of every row is compared; rows are a multiset by 5-tuple and start. Integers and text are equal, reals within
//! 1e-9, relative. Rows that stand for no packets of theirs (section 2.1 of the description of the originals) are left out by
//! the table below, and must occur.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use pcap_compactor::Engine;
use pcap_compactor::sink::flows::{FlowWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::dialects::Dialect;
use pcap_compactor::views::flows::dialects::cic::{CIC, Preset, Switches, dialect};
use pcap_compactor::views::flows::{FlowJob, Settings};

use crate::command::run;
use crate::csv::parse;
use crate::model::SECOND;
use crate::run::{file, inputs};
use crate::traffic::{Body, Frame, START, pcap, v4};

const CAPTURES: [&str; 6] =
    ["443-firefox", "WebattackRCE", "bittorrent", "iphone", "synthetic_edges", "synthetic_edges_snap96"];

/// Section 2.1: flow identifiers of rows whose addresses are bytes of something else, and how many of them there are in all
/// captures of a reference.
const GHOSTS: [(&str, &str, [usize; 3]); 2] =
    [("ARP", "8.6.0.1", [3, 3, 3]), ("a bridge's spanning tree", "136.142.2.3", [0, 2, 0])];

type Row = Vec<(String, String)>;

fn reference() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("PCAP_COMPACTOR_CORPUS").map_or(beside, PathBuf::from).join("reference/cic");
    if folder.join("pcap").is_dir() {
        return Some(folder);
    }
    let missing = format!("no references in {}: set PCAP_COMPACTOR_CORPUS", folder.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    writeln!(std::io::stderr(), "LEFT OUT: CICFlowMeter's own output; {missing}").expect("standard error takes text");
    None
}

/// What a dialect writes of a capture.
fn written(capture: &Path, dialect: &Dialect, threads: usize) -> String {
    let settings = dialect.settings(Settings::default());
    let mut writer = FlowWriter::new(Vec::new(), "memory", Form::Csv, settings.columns.clone(), Times::Seconds)
        .notation(dialect.notation());
    let engine = Engine::builder().threads(threads).filter(dialect.filter().clone());
    FlowJob::new(settings).engine(engine).run(inputs(&[capture.to_owned()]), &mut writer).expect("it can be read");
    String::from_utf8(writer.into_inner()).expect("it is text")
}

/// The rows of a table by their header; headers of 2024 have blanks.
fn rows(text: &str) -> Vec<Row> {
    let mut table = parse(&text.replace('\r', "")).into_iter();
    let header: Vec<_> = table.next().expect("a header").iter().map(|name| name.trim().to_owned()).collect();
    table.map(|row| header.iter().cloned().zip(row).collect()).collect()
}

fn cell<'r>(row: &'r Row, name: &str) -> &'r str {
    row.iter().find(|(column, _)| column == name).map_or("", |(_, cell)| cell)
}

/// Rows by who talked and when they began.
fn by_start(rows: Vec<Row>) -> BTreeMap<Vec<String>, Vec<Row>> {
    let mut found: BTreeMap<Vec<String>, Vec<Row>> = BTreeMap::new();
    for row in rows {
        let key = row.iter().take(7).map(|(_, cell)| cell.clone()).collect();
        found.entry(key).or_default().push(row);
    }
    // What begins in one second between the same ends is told apart by its values.
    for same in found.values_mut() {
        same.sort_by_key(|row| row[7..12].iter().map(|(_, cell)| cell.clone()).collect::<Vec<_>>());
    }
    found
}

fn same(ours: &str, theirs: &str) -> bool {
    ours == theirs
        || match (ours.parse::<f64>(), theirs.parse::<f64>()) {
            // Integers are equal as text, and reals look alike.
            (Ok(a), Ok(b)) => {
                let shape = |text: &str| (text.contains('.'), text.contains('E'));
                shape(ours) == shape(theirs) && ours.contains('.') && (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
            }
            _ => false,
        }
}

fn compare(preset: Preset, folder: &str, place: usize, least: usize) {
    let Some(reference) = reference() else { return };
    let dialect = dialect(preset, preset.switches());
    let (mut wrong, mut compared, mut ghosts) = (Vec::new(), 0, [0; GHOSTS.len()]);
    for capture in CAPTURES {
        let text = std::fs::read_to_string(reference.join(folder).join(format!("{capture}.pcap_Flow.csv")));
        let mut theirs = rows(&text.expect("the reference is there"));
        theirs.retain(|row| {
            let ghost = GHOSTS.iter().position(|(_, address, _)| cell(row, "Src IP") == *address);
            ghost.map(|ghost| ghosts[ghost] += 1).is_none()
        });
        let ours = rows(&written(&reference.join(format!("pcap/{capture}.pcap")), &dialect, 1));
        let (mut theirs, mut ours) = (by_start(theirs), by_start(ours));
        for (key, theirs) in std::mem::take(&mut theirs) {
            let ours = ours.remove(&key).unwrap_or_default();
            if ours.len() != theirs.len() {
                wrong.push(format!("{capture}: {} rows of {}, not {}", ours.len(), key.join(" "), theirs.len()));
            }
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours.len(), theirs.len());
                for ((name, ours), (column, theirs)) in ours.iter().zip(theirs) {
                    assert_eq!(name, column);
                    compared += 1;
                    if !same(ours, theirs) {
                        wrong.push(format!("{capture}: {} {name}: {ours}, not {theirs}", key.join(" ")));
                    }
                }
            }
        }
        wrong.extend(ours.into_keys().map(|key| format!("{capture}: {} is not there", key.join(" "))));
    }
    assert!(wrong.is_empty(), "{} of {compared} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= least, "only {compared} values were compared");
    for ((what, address, times), found) in GHOSTS.iter().zip(ghosts) {
        assert_eq!(found, times[place], "rows of {what}, {address}");
    }
}

#[test]
fn every_value_of_the_program_of_2022_is_the_same() {
    compare(Preset::Java, "java_master_98a5eba", 0, 7_500);
}

#[test]
fn every_value_of_the_fork_is_the_same() {
    compare(Preset::Engelen, "java_engelen_4dd5319", 1, 80_000);
}

#[test]
fn every_value_of_the_program_of_2018_is_the_same() {
    compare(Preset::Of2018, "java_2018_99dc827", 2, 7_500);
}
