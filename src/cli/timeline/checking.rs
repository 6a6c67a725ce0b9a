//! `timeline --check`: what is wrong with a folder, and what viewers would not show of it.

use std::path::{Path, PathBuf};

use anyhow::bail;
use pcap_compactor::sink::timeline::{VERSIONS, check};

use crate::cli::text::{print, printable};
use crate::cli::{Exit, Shared};

/// Says what is wrong with a folder.
pub(super) fn check_folder(folder: &Path, shared: &Shared) -> anyhow::Result<Exit> {
    let has_versions = VERSIONS.iter().any(|version| folder.join(version).is_dir());
    let has_manifest = |folder: &Path| folder.join("manifest.json").symlink_metadata().is_ok();
    if !has_manifest(folder) && !has_versions {
        bail!("{}: {}", folder.display(), no_timeline(folder, has_manifest));
    }
    if !has_manifest(folder) {
        let checked = check::check_versions(folder)?;
        let exits = checked.iter().map(|(version, findings)| tell_findings(folder, Some(version), findings, shared));
        let exits = exits.collect::<anyhow::Result<Vec<_>>>()?;
        let beside = check::beside_versions(folder)?;
        let beside = beside.iter().filter(|_| !shared.quiet);
        let note = |name: &String| format!("note: {}: it is no version; viewers do not read it\n", printable(name));
        print(&beside.map(note).collect::<String>())?;
        return Ok(exits.into_iter().max().unwrap_or(Exit::Ok));
    }
    tell_findings(folder, None, &check::check(folder)?, shared)
}

/// What lies where a folder without a manifest should be, and the way out.
fn no_timeline(path: &Path, has_manifest: impl Fn(&Path) -> bool) -> String {
    const SHOWN: usize = 3;
    /// Folders around a file of a timeline.
    const DEEPEST: usize = 3;
    let made = "`pcap-compactor timeline CAPTURE -o DIR` makes one";
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()),
        Err(error) if path.symlink_metadata().is_err() => return format!("{error}; name the folder of a timeline"),
        Err(_) if path.is_file() => {
            let parent = path.ancestors().skip(1).take(DEEPEST).find(|parent| has_manifest(parent));
            let parent = parent.map_or_else(String::new, |parent| match parent.as_os_str().is_empty() {
                true => ": .".to_owned(),
                false => format!(": {}", parent.display()),
            });
            return format!("is a file, and --check is about folders; name the folder of a timeline{parent}");
        }
        Err(error) => return format!("cannot be read as a folder: {error}; name the folder of a timeline"),
    };
    let mut entries: Vec<PathBuf> = entries.collect();
    entries.sort_unstable();
    let named = |entries: &[PathBuf]| -> String {
        let names: Vec<_> = entries.iter().filter_map(|entry| Some(entry.file_name()?.to_string_lossy())).collect();
        let more = names.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", names.into_iter().take(SHOWN).collect::<Vec<_>>().join(", "))
    };
    let inside: Vec<PathBuf> = entries.iter().filter(|entry| has_manifest(entry)).cloned().collect();
    match (entries.is_empty(), inside.is_empty()) {
        (true, _) => format!("is an empty folder, and no timeline; {made}"),
        (_, false) => format!("is no timeline, and has no manifest.json; name a folder in it: {}", named(&inside)),
        (_, true) => format!("is no timeline: it has no manifest.json, but {}; {made}", named(&entries)),
    }
}

/// Says what was found in a folder, or in one of its versions.
fn tell_findings(
    folder: &Path,
    version: Option<&str>,
    findings: &check::Findings,
    shared: &Shared,
) -> anyhow::Result<Exit> {
    let (place, version, of) = match version {
        Some(version) => (folder.join(version), format!("{version}/"), format!("{version}: ")),
        None => (folder.to_owned(), String::new(), String::new()),
    };
    let mut out = String::new();
    for problem in &findings.problems {
        out.push_str(&format!("{version}{}\n", printable(problem)));
    }
    if findings.more > 0 {
        out.push_str(&format!("{of}and {} more\n", findings.more));
    }
    for hidden in findings.hidden.iter().filter(|_| !shared.quiet) {
        out.push_str(&format!("not shown: {of}{}\n", printable(hidden)));
    }
    for note in findings.notes.iter().filter(|_| !shared.quiet) {
        out.push_str(&format!("note: {version}{}\n", printable(note)));
    }
    if findings.is_clean() && !shared.quiet {
        out.push_str(&format!("{}: {} is in order\n", place.display(), findings.format));
    }
    print(&out)?;
    Ok(if findings.is_clean() { Exit::Ok } else { Exit::Partial })
}
