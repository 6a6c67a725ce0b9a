//! Timelines as folders of files, which viewers open.

#[cfg(feature = "cli")]
pub mod check;
mod chunked;
mod flow_bins;
mod flows;
mod folders;
mod json;
mod manifest;
mod several;
mod sorted;
mod texts;
mod times;
mod totals;
mod v3;
mod v5;

use std::fs;
use std::path::Path;

pub use chunked::Chunked;
pub use folders::{Folders, Layout, Summary, VERSIONS, are_timelines};
pub use several::Several;
pub use v3::Multires;
pub use v5::{FlowList, PART};

use crate::time::Timestamp;
use crate::views::timeline::{Choice, Mode};

/// What a folder says of how it came about.
#[derive(Clone, Debug)]
pub struct About {
    /// When it was made; written in UTC, to the microsecond.
    pub created: Timestamp,
    /// What was read, as it was named.
    pub sources: Vec<String>,
    /// Which packets were taken.
    pub choice: Choice,
    /// What the packets are thought to be of, such as an attack.
    pub context: Option<String>,
    /// The machine that made the flows.
    pub mode: Mode,
}

/// What lies in folders of timelines.
pub const PARTS: [&str; 6] = ["manifest.json", "packets.csv", "flows", "ips", "indices", "resolutions"];

/// Whether a folder is a timeline, by whatever program: its manifest names a format of theirs, and nothing else lies beside it.
#[must_use]
pub fn is_timeline(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let ours = |entry: fs::DirEntry| PARTS.iter().any(|part| entry.file_name() == *part);
    let known = entries.into_iter().all(|entry| entry.is_ok_and(ours));
    known && fs::read_to_string(folder.join("manifest.json")).is_ok_and(|text| has_format(&text))
}

/// Whether a manifest names a format of timelines.
fn has_format(manifest: &str) -> bool {
    let value = manifest.split_once("\"format\"").map(|(_, rest)| rest.trim_start());
    let value = value.and_then(|rest| rest.strip_prefix(':')).map(str::trim_start);
    ["\"chunked", "\"multires_packets", "\"flow_list"]
        .iter()
        .any(|format| value.is_some_and(|value| value.starts_with(format)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_is_known_by_its_manifest_and_by_what_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert!(!is_timeline(folder.path()));
        write("manifest.json", "{\"version\": \"2.0\", \"format\" : \"chunked\"}");
        write("packets.csv", "");
        assert!(is_timeline(folder.path()));
        write("manifest.json", "{\"format\": \"extension\"}");
        assert!(!is_timeline(folder.path()));
        write("manifest.json", "{\"format\": \"flow_list_csv\"}");
        assert!(is_timeline(folder.path()));
        write("thesis.txt", "");
        assert!(!is_timeline(folder.path()));
        assert!(!is_timeline(&folder.path().join("none")));
    }
}
