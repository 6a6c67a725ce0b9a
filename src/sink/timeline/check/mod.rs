//! Whether the folder of a timeline is what a viewer takes, whoever wrote it; and what the viewer would not show.
//!
//! Every file is read, and what can be counted anew is: bins and totals from packets, or from the lists of flows where a version has no
//! packets; the index from the files that it names. What is held grows with hosts, pairs of hosts and keys of flows, by a few dozen bytes each,
//! and not with packets: of these there are sums, by which it is seen that two files have the same, and what differs is looked for once more.
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

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use hashbrown::HashSet;
use serde_json::Value;

pub use self::findings::Findings;
use self::findings::short;
use self::folder::Folder;
use super::names::LONGEST_MANIFEST;
use crate::error::{Error, Result};
use crate::views::timeline::flags::flag_type;

const MANIFEST: &str = "manifest.json";

/// Checks a folder of version 2.0, 3.3 or 5.0.
///
/// # Errors
/// It has no manifest that can be read: a regular file of at most 16 MiB. What is in the manifest and in other files is found, and no error.
pub fn check(folder: &Path) -> Result<Findings> {
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
        Ok(manifest) => manifest,
        Err(error) => {
            findings.problem(MANIFEST, error, "viewers load nothing");
            return Ok(findings.finish());
        }
    };
    findings.format = manifest["format"].as_str().unwrap_or_default().to_owned();
    let mut folder = Folder { path: folder, findings: &mut findings, known: HashSet::new(), packets: 0, flows: 0 };
    match (manifest["format"].as_str(), manifest["version"].as_str()) {
        (Some("chunked"), Some("2.0")) => {
            chunked::check(&mut folder, &manifest);
            strays::check(&mut folder, strays::of_chunks);
        }
        (Some("multires_packets"), Some("3.3")) => {
            multires::check(&mut folder, &manifest);
            strays::check(&mut folder, strays::of_resolutions);
        }
        (Some("flow_list_csv"), Some("5.0")) => {
            list::check(&mut folder, &manifest);
            strays::check(&mut folder, strays::of_lists);
        }
        (format, version) => {
            let known = "chunked 2.0, multires_packets 3.3 and flow_list_csv 5.0 are known";
            let what = format!("format {} of version {}: {known}", short(&format), short(&version));
            folder.problem(MANIFEST, what, "viewers refuse it, or read it as another");
        }
    }
    Ok(findings.finish())
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
