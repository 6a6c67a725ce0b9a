//! The names that files of a timeline have, by whatever program: a folder that takes a timeline's place takes the place of these alone.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::VERSIONS;

/// Bytes of the longest manifest that is read.
pub(super) const LONGEST_MANIFEST: u64 = 16 << 20;

/// Whether a folder is a timeline, and nothing else lies in it, at any depth. Every entry is looked at, no file but the manifest is read.
///
/// # Errors
/// What it is or has instead, as a sentence goes on: `it holds ips/notes.txt, which is no part of a timeline`.
pub fn is_timeline(folder: &Path) -> Result<(), String> {
    only_parts(folder, "")
}

/// Whether a folder is a timeline, or holds timelines of versions, and nothing else lies in it.
///
/// # Errors
/// As [`is_timeline`].
pub fn are_timelines(folder: &Path) -> Result<(), String> {
    if folder.join("manifest.json").exists() {
        return is_timeline(folder);
    }
    let unread = |error: std::io::Error| format!("it cannot be read: {error}");
    for entry in fs::read_dir(folder).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let is_folder = entry.file_type().map_err(unread)?.is_dir();
        let version = VERSIONS.into_iter().find(|version| is_folder && entry.file_name() == *version);
        let name = entry.file_name();
        let version = version.ok_or_else(|| stranger(&name.to_string_lossy()))?;
        only_parts(&entry.path(), &format!("{version}/"))?;
    }
    Ok(())
}

/// The timeline around a place: a folder on the way to it that has a manifest of one, or holds nothing but versions of one.
#[must_use]
pub fn timeline_around(place: &Path) -> Option<PathBuf> {
    let place = std::path::absolute(place).ok()?;
    let around = place.parent()?;
    // What is not there yet is in what is.
    let there = around.ancestors().find(|folder| folder.exists())?.canonicalize().ok()?;
    let holds_versions = |folder: &Path| {
        let has_one = VERSIONS.iter().any(|version| names_a_format(&folder.join(version).join("manifest.json")));
        has_one && are_timelines(folder).is_ok()
    };
    let is_one = |folder: &&Path| names_a_format(&folder.join("manifest.json")) || holds_versions(folder);
    // Of a version among others, the folder around all.
    there.ancestors().filter(is_one).last().map(Path::to_owned)
}

fn stranger(name: &str) -> String {
    format!("it holds {name}, which is no part of a timeline")
}

/// Looks at a folder that is called `within` where it is told of.
fn only_parts(folder: &Path, within: &str) -> Result<(), String> {
    if !names_a_format(&folder.join("manifest.json")) {
        return Err(format!("it has no {within}manifest.json that names a format of timelines"));
    }
    for entry in WalkDir::new(folder).min_depth(1) {
        let entry = entry.map_err(|error| format!("it cannot be read: {error}"))?;
        let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let names: Option<Vec<&str>> = path.iter().map(|name| name.to_str()).collect();
        let (is_folder, is_file) = (entry.file_type().is_dir(), entry.file_type().is_file());
        if !names.is_some_and(|names| is_folder && is_shelf(&names) || is_file && is_part(&names)) {
            return Err(stranger(&format!("{within}{}", path.display())));
        }
    }
    Ok(())
}

/// Whether a folder inside a timeline is called so.
fn is_shelf(names: &[&str]) -> bool {
    match names {
        ["flows" | "ips" | "indices" | "resolutions"] | ["indices", "flow_list"] => true,
        // Versions 2.2 and 3.0 are of other programs.
        ["flows", "by_pair"] => true,
        ["flows", "by_pair", pair] => pair.contains("__"),
        ["resolutions", level] => LEVELS.contains(level),
        _ => false,
    }
}

/// Whether a file inside a timeline is called so.
fn is_part(names: &[&str]) -> bool {
    match names {
        ["manifest.json" | "packets.csv"]
        | ["flows", "flows_index.json" | "chunks_meta.json" | "pairs_meta.json"]
        | ["ips", "ip_stats.json" | "flag_stats.json" | "unique_ips.json"]
        | ["indices", "bins.json" | "ip_order.txt"]
        | ["indices", "flow_list", "index.json"]
        | ["resolutions", _, "index.json" | "data.csv"] => true,
        ["flows", name] | ["flows", "by_pair", _, name] => is_chunk(name, ".json"),
        ["indices", name] => name.starts_with("flow_bins_") && (name.ends_with(".json") || name.ends_with(".json.gz")),
        ["indices", "flow_list", name] => name.contains("__") && name.ends_with(".csv"),
        ["resolutions", _, name] => is_chunk(name, ".csv"),
        _ => false,
    }
}

const LEVELS: [&str; 8] = ["hours", "minutes", "10s", "seconds", "100ms", "10ms", "1ms", "raw"];

/// Whether a name is `chunk_`, digits, and an end.
fn is_chunk(name: &str, end: &str) -> bool {
    let number = name.strip_prefix("chunk_").and_then(|rest| rest.strip_suffix(end));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a manifest names a format of timelines.
fn names_a_format(path: &Path) -> bool {
    let mut text = String::new();
    let is_read = path.symlink_metadata().is_ok_and(|there| there.is_file())
        && File::open(path).is_ok_and(|file| file.take(LONGEST_MANIFEST).read_to_string(&mut text).is_ok());
    let value = text.split_once("\"format\"").map(|(_, rest)| rest.trim_start());
    let value = value.and_then(|rest| rest.strip_prefix(':')).map(str::trim_start);
    is_read
        && ["\"chunked", "\"multires_packets", "\"flow_list"]
            .iter()
            .any(|format| value.is_some_and(|value| value.starts_with(format)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "{\"version\": \"2.0\", \"format\" : \"chunked\"}";

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_timeline_is_known_by_its_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = |text| write(folder.path(), "manifest.json", text);
        assert!(is_timeline(folder.path()).is_err());
        manifest(MANIFEST);
        write(folder.path(), "packets.csv", "");
        assert_eq!(is_timeline(folder.path()), Ok(()));
        manifest("{\"format\": \"extension\"}");
        assert!(is_timeline(folder.path()).unwrap_err().contains("no manifest.json that names"));
        manifest("{\"format\": \"flow_list_csv\"}");
        assert_eq!(is_timeline(folder.path()), Ok(()));
        assert!(is_timeline(&folder.path().join("none")).is_err());
    }

    #[test]
    fn whatever_else_lies_in_it_is_named_however_deep() {
        let parts = [
            "packets.csv",
            "flows/flows_index.json",
            "flows/chunk_00000.json",
            "flows/by_pair/10-0-0-1__10-0-0-2/chunk_00000.json",
            "ips/ip_stats.json",
            "indices/flow_bins_1s.json",
            "indices/flow_bins_hour.json.gz",
            "indices/flow_list/index.json",
            "indices/flow_list/a__b_part2.csv",
            "resolutions/hours/data.csv",
            "resolutions/raw/chunk_000000.csv",
        ];
        let strangers = [
            "thesis.txt",
            "flows/sub/a",
            "flows/chunk_.json",
            "flows/chunk_00000.json/a",
            "flows/notes.json",
            "ips/notes.txt",
            "indices/flow_list/notes.txt",
            "indices/flow_list/old/a__b.csv",
            "resolutions/raw/my.csv",
            "resolutions/mine/data.csv",
            "flows/by_pair/a__b/c/chunk_00000.json",
            "packets.csv/a",
        ];
        for name in strangers {
            let folder = tempfile::tempdir().unwrap();
            let (one, around) = (folder.path().join("v5.0"), folder.path());
            write(&one, "manifest.json", MANIFEST);
            parts.iter().filter(|part| !name.starts_with(*part)).for_each(|part| write(&one, part, ""));
            assert_eq!((is_timeline(&one), are_timelines(&one), are_timelines(around)), (Ok(()), Ok(()), Ok(())));
            write(&one, name, "dear");
            // A folder of strangers is one.
            let named = |said: &str, within: &str| {
                let rest = said.strip_prefix("it holds ").and_then(|rest| rest.split_once(", which is no part"));
                let named = rest.and_then(|(named, _)| named.strip_prefix(within));
                named.is_some_and(|named| name == named || name.strip_prefix(named).is_some_and(|n| n.starts_with('/')))
            };
            let (said, around_said) = (is_timeline(&one).unwrap_err(), are_timelines(around).unwrap_err());
            assert!(named(&said, "") && named(&around_said, "v5.0/"), "{name}: {said}; {around_said}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_no_part() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "manifest.json", MANIFEST);
        std::os::unix::fs::symlink("/etc", folder.path().join("ips")).unwrap();
        assert!(is_timeline(folder.path()).unwrap_err().contains("it holds ips,"));
    }
}
