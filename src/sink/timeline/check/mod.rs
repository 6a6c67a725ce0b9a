//! Whether the folder of a timeline is what a viewer takes, whoever wrote it; and what the viewer would not show.
//!
//! Every file is read, and what can be counted anew is: bins and totals from packets, or from the lists of flows where a version has no
//! packets; the index from the files that it names. What is held grows with hosts, pairs of hosts and keys of flows, by a few dozen bytes each,
//! and not with packets: of these there are sums, by which it is seen that two files have the same, and what differs is looked for once more.
//!
//! In version 3.3 a row that is earlier than the one before it, in its file or in the file before, is told at every level, because viewers that
//! search by time miss it. Raw packets have microseconds of their own. A row of a bin has no time but that of the bin, and viewers sum up what a
//! bin has, so the order of rows inside a bin is not told. packets.csv of version 2.0 is in the order of the capture by its format, whatever
//! the times; that some are earlier than those before them is noted.
//!
//! A folder of the original's is right if the original wrote it so: what it hides is told, and no problem.

mod bins_of_flows;
mod chunked;
mod findings;
mod flow;
mod flow_row;
mod folder;
mod level;
mod list;
mod manifest;
mod multires;
mod packets;
mod recount;
mod started;
mod strays;
mod stream;
mod totals;
mod twice;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use serde_json::Value;

pub use self::findings::Findings;
use self::findings::short;
use self::folder::Folder;
use super::VERSIONS;
use super::names::LONGEST_MANIFEST;
use crate::error::{Error, Result};
use crate::views::timeline::flags::flag_type;

const MANIFEST: &str = "manifest.json";

/// Checks a folder of version 2.0, 3.3 or 5.0.
///
/// # Errors
/// It has no manifest that can be read: a regular file of at most 16 MiB. What is in the manifest and in other files is found, and no error.
pub fn check(folder: &Path) -> Result<Findings> {
    look(folder).map(|(findings, _)| findings)
}

/// Checks the versions of a folder that hold the same side by side, `v2.0`, `v3.3` and `v5.0`, those of which are there: whether the last two
/// are both there, as viewers need them, and where each is sound, whether they have the same packets and flows.
///
/// # Errors
/// As [`check`].
pub fn check_versions(folder: &Path) -> Result<Vec<(&'static str, Findings)>> {
    let mut checked = Vec::new();
    let mut sums = [None; VERSIONS.len()];
    for (version, sum) in VERSIONS.into_iter().zip(&mut sums) {
        let inside = folder.join(version);
        if inside.is_dir() {
            let (findings, of) = look(&inside)?;
            *sum = findings.is_clean().then_some(of);
            checked.push((version, findings));
        }
    }
    // Viewers take packets from the one and flows from the other.
    for (version, other) in [(VERSIONS[1], VERSIONS[2]), (VERSIONS[2], VERSIONS[1])] {
        let is_there = checked.iter().any(|(known, _)| *known == other);
        if let (Some((_, findings)), false) = (checked.iter_mut().find(|(known, _)| *known == version), is_there) {
            let of = if other == VERSIONS[1] { "packets" } else { "flows" };
            findings.problems.push(format!("{MANIFEST}: {other} is missing beside it; viewers have no {of} to show"));
        }
    }
    let [v2, v3, v5] = sums;
    let packets = v2.and_then(|sums| sums.packets).zip(v3.and_then(|sums| sums.packets));
    let flows = v2.and_then(|sums| sums.flows).zip(v5.and_then(|sums| sums.flows));
    let others = [
        (VERSIONS[1], packets, "resolutions/raw", "packets", "packets.csv", "time, ends, flags or length"),
        (VERSIONS[2], flows, "indices/flow_list", "flows", "flows", "start, ends, what became of them, or packets"),
    ];
    for (version, sums, place, what, other, by) in others {
        let findings = checked.iter_mut().find(|(known, _)| *known == version);
        if let (Some((_, findings)), true) = (findings, sums.is_some_and(|(a, b)| a != b)) {
            let what = format!(
                "{place}: it has other {what} than {other} of version 2.0, by {by}; viewers of the two show different ones"
            );
            findings.problems.push(what);
        }
    }
    Ok(checked)
}

/// Names of what lies beside the versions of a folder, and is none.
///
/// # Errors
/// The folder cannot be looked through.
pub fn beside_versions(folder: &Path) -> Result<Vec<String>> {
    let failed = |source| Error::io("read", folder, source);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !VERSIONS.contains(&name.as_str()) || !entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What two versions of the same packets have both.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    packets: Option<u64>,
    flows: Option<u64>,
}

/// Checks a folder, and sums up its packets and flows.
fn look(folder: &Path) -> Result<(Findings, Sums)> {
    let path = folder.join(MANIFEST);
    let refused = |what| Error::io("read", &path, std::io::Error::other(what));
    match std::fs::metadata(&path) {
        Ok(there) if !there.is_file() => return Err(refused("it is not a regular file")),
        Ok(there) if there.len() > LONGEST_MANIFEST => return Err(refused("it is longer than 16 MiB")),
        _ => {}
    }
    let text = std::fs::read_to_string(&path).map_err(|source| Error::io("read", &path, source))?;
    let mut findings = Findings::default();
    let manifest: Value = match serde_json::from_str(&text) {
        Ok(manifest) => stream::plain(manifest),
        Err(error) => {
            findings.problem(MANIFEST, error, "viewers load nothing");
            return Ok((findings.finish(), Sums::default()));
        }
    };
    findings.format = manifest["format"].as_str().unwrap_or_default().to_owned();
    let mut folder = Folder::new(folder, &mut findings);
    folder.twice.look(MANIFEST, &text);
    folder.note_links(MANIFEST);
    let mut sums = Sums::default();
    match (manifest["format"].as_str(), manifest["version"].as_str()) {
        (Some("chunked"), Some("2.0")) => {
            chunked::check(&mut folder, &manifest)?;
            strays::check(&mut folder, strays::of_chunks);
            sums = Sums { packets: Some(folder.packets), flows: Some(folder.flows) };
        }
        (Some("multires_packets"), Some("3.3")) => {
            multires::check(&mut folder, &manifest);
            strays::check(&mut folder, strays::of_resolutions);
            sums.packets = folder.has_packets.then_some(folder.packets);
        }
        (Some("flow_list_csv"), Some("5.0")) => {
            list::check(&mut folder, &manifest);
            strays::check(&mut folder, strays::of_lists);
            sums.flows = folder.has_packets.then_some(folder.flows);
        }
        (format, version) => {
            let known = "chunked 2.0, multires_packets 3.3 and flow_list_csv 5.0 are known";
            let what = format!("format {} of version {}: {known}", short(&format), short(&version));
            folder.problem(MANIFEST, what, "viewers refuse it, or read it as another");
        }
    }
    folder.twice.tell(folder.findings);
    Ok((findings.finish(), sums))
}

/// What tells a value from others.
fn print(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Whether a set of flags is called so. Where there was no number, 0 stands in its place.
fn is_called(flags: i64, name: &str) -> bool {
    name == flag_type(Some(flags)) || (name == "INVALID" && flags == 0)
}

/// Ports.
const PORTS: std::ops::RangeInclusive<i64> = 0..=65_535;

/// The lowest number and the highest.
#[derive(Clone, Copy, Debug, Default)]
struct Extent(Option<(i64, i64)>);

impl Extent {
    fn add(&mut self, n: i64) {
        self.0 = Some(self.0.map_or((n, n), |(low, high)| (low.min(n), high.max(n))));
    }

    fn range(self) -> (i64, i64) {
        self.0.unwrap_or_default()
    }
}
