//! Reads timeline folders: version 2.0, which has packets and flows; and 3.3 with packets, 5.0 with flows, alone or side by side.

mod chunked;
mod list;
mod table;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use pcap_compactor::views::timeline::{Hosts, Packet, Scene, TimelineSink};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::text::{bytes, count, things};
use super::origin::Origin;

/// The file that makes a folder one of ours.
pub(super) const MANIFEST: &str = "manifest.json";

/// What a folder has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// 2.0: packets, and flows with steps.
    Chunked,
    /// 3.3: packets.
    Packets,
    /// 5.0: flows, and which packets they have.
    Flows,
}

/// A folder of one version.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) folder: PathBuf,
    version: Version,
    manifest: Value,
}

/// What lies at a place.
#[derive(Debug)]
pub(super) enum Found {
    /// A timeline, of one version or of two that belong together.
    Timeline(Vec<Part>),
    /// A manifest that is no timeline's, with what is wrong with it as one.
    Foreign(anyhow::Error),
    /// No manifest.
    Nothing,
}

/// Looks for a timeline. Where versions lie side by side, that with flows whole is enough.
///
/// # Errors
/// It is a timeline of a version that cannot be read.
pub(super) fn find(input: &Path) -> anyhow::Result<Found> {
    let inside = |versions: &[&str]| -> Vec<PathBuf> {
        let folders = versions.iter().map(|version| input.join(version));
        folders.filter(|folder| folder.join(MANIFEST).is_file()).collect()
    };
    let folders = [&[""][..], &["v2.0"], &["v3.3", "v5.0"]].map(inside).into_iter().find(|found| !found.is_empty());
    let mut parts = Vec::new();
    for folder in folders.unwrap_or_default() {
        let path = folder.join(MANIFEST);
        let manifest: Value = match json_within(&path, MOST_OF_A_MANIFEST) {
            Ok(manifest) => manifest,
            Err(error) => return Ok(Found::Foreign(error)),
        };
        let (version, format) = (manifest["version"].as_str(), manifest["format"].as_str());
        let Some(format) =
            format.filter(|format| ["chunked", "multires", "flow_list"].iter().any(|known| format.starts_with(known)))
        else {
            return Ok(Found::Foreign(anyhow!("{}: it names no format of timelines", path.display())));
        };
        let version = match (version, format) {
            (Some("2.0"), "chunked") => Version::Chunked,
            (Some("3.3"), "multires_packets") => Version::Packets,
            (Some("5.0"), "flow_list_csv") => Version::Flows,
            _ => bail!(
                "{}: this is version {}, format {format}; only version 2.0, format chunked, version 3.3, format multires_packets, and \
                 version 5.0, format flow_list_csv, can be viewed",
                path.display(),
                version.unwrap_or("nothing"),
            ),
        };
        parts.push(Part { folder, version, manifest });
    }
    Ok(if parts.is_empty() { Found::Nothing } else { Found::Timeline(parts) })
}

/// Reads a timeline into a scene, packets first.
///
/// # Errors
/// A file is missing, or does not hold what the layout says; the text names the file and the place.
pub(super) fn read(parts: &[Part], sink: &mut Scene) -> anyhow::Result<Origin> {
    let mut hosts = Hosts::default();
    let of = |version| parts.iter().find(|part| part.version == version);
    let mut warnings = Vec::new();
    let (packets, flows) = match of(Version::Chunked) {
        Some(Part { folder, manifest, .. }) => {
            let none = manifest["total_packets"].as_u64() == Some(0);
            let table = chunked::packets(&folder.join("packets.csv"), none, &mut hosts, sink)?;
            sink.join_without(table.without_seq, table.without_ack);
            (Some(table.packets), Some(chunked::flows(&folder.join("flows"), &mut hosts, sink)?))
        }
        None => {
            let (raw, list) = (of(Version::Packets), of(Version::Flows));
            let mut packets = raw.map_or(Ok(Vec::new()), |part| raw_packets(&part.folder, &mut hosts))?;
            let mut flows = 0;
            match list {
                Some(part) => {
                    let read = list::read(&part.folder, &mut packets, &mut hosts, sink)?;
                    flows = read.flows;
                    if raw.is_some() && read.strangers > 0 {
                        let strangers = things(read.strangers, "packet");
                        warnings.push(format!("{strangers} of flows not among the packets; their length is not known"));
                    }
                }
                None => packets.iter().try_for_each(|packet| sink.packet(packet, &hosts))?,
            }
            (raw.map(|_| packets.len() as u64), list.map(|_| flows))
        }
    };
    sink.finish(&hosts)?;
    if of(Version::Chunked).is_some() && sink.strangers() > 0 {
        let strangers = things(sink.strangers(), "packet");
        warnings.push(format!("{strangers} of flows not among those of packets.csv; they are shown beside them"));
    }
    Ok(origin(parts, packets, flows, warnings))
}

/// What a folder of version 3.3 or 5.0 lacks by itself, and where that would be.
pub(super) fn lacks(parts: &[Part]) -> Option<String> {
    let [Part { folder, version, .. }] = parts else { return None };
    let (what, names) = match version {
        Version::Chunked => return None,
        Version::Packets => ("no flows", ["v3.3", "v5.0"]),
        Version::Flows => ("neither packets that are in no flow nor lengths", ["v5.0", "v3.3"]),
    };
    // Without a slash behind it.
    let folder: PathBuf = folder.components().collect();
    let place = if folder.file_name().is_some() { folder.clone() } else { folder.canonicalize().unwrap_or_default() };
    let [own, other] = names;
    let beside = place.with_file_name(other);
    // The two are viewed together by these names.
    let is_pair = place.ends_with(own) && matches!(find(&beside), Ok(Found::Timeline(_)));
    let folder = folder.display();
    Some(match is_pair {
        true => format!(
            "{folder}: it has {what}, which would be in {}; view the folder around the two to see both",
            beside.display()
        ),
        false => {
            let (own, other) = (&own[1..], &other[1..]);
            format!(
                "{folder}: it has {what}, which would be in a folder of version {other} beside it; named v{own} and v{other} in one folder, \
                 both are shown by viewing that"
            )
        }
    })
}

/// What manifests say, and how it compares with what was there.
fn origin(parts: &[Part], packets: Option<u64>, flows: Option<u64>, warnings: Vec<String>) -> Origin {
    let names: Vec<&str> = parts.iter().filter_map(|part| part.manifest["version"].as_str()).collect();
    let read = [(packets, "packet"), (flows, "flow")];
    let counts: Vec<String> = read.iter().filter_map(|&(n, thing)| n.map(|n| things(n, thing))).collect();
    let summary = format!("A timeline folder of version {}: {}", names.join(" and "), counts.join(", "));
    let mut origin = Origin::new(summary, warnings);
    for Part { folder, version, manifest } in parts {
        let has = |what: Version| *version == what || *version == Version::Chunked;
        for (name, what, n) in [("total_packets", Version::Packets, packets), ("total_flows", Version::Flows, flows)] {
            let says = manifest[name].as_u64();
            if let (true, Some(says), Some(n)) = (has(what), says, n)
                && says != n
            {
                let path = folder.join(MANIFEST);
                origin.warnings.push(format!(
                    "{}: {name} is {}, but {} are there",
                    path.display(),
                    count(says),
                    count(n)
                ));
            }
        }
        match version {
            Version::Chunked => {}
            Version::Packets => origin.fact("version 3.3", "has packets, but no TCP numbers"),
            Version::Flows => {
                origin.steps = false;
                origin.fact("version 5.0", "has flows, but not what their packets do, nor how long they are");
            }
        }
        for (key, value) in manifest.as_object().into_iter().flatten() {
            let text = match value {
                // Where things lie is no news of what they are, and times are at the top of the page.
                Value::Object(_) if matches!(key.as_str(), "structure" | "resolutions" | "time_range") => continue,
                Value::Object(members) if members.values().all(Value::is_null) => continue,
                Value::Null | Value::Bool(_) => continue,
                Value::Array(list) if list.iter().all(Value::is_string) => {
                    list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
                }
                Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), count),
                Value::String(text) => text.clone(),
                Value::Array(_) | Value::Object(_) => value.to_string(),
            };
            origin.fact(key, &text);
        }
    }
    origin
}

/// The packets of a folder of version 3.3, at the finest resolution, at which they are single.
fn raw_packets(folder: &Path, hosts: &mut Hosts) -> anyhow::Result<Vec<Packet>> {
    #[derive(serde::Deserialize)]
    struct Index {
        data_file: Option<String>,
        #[serde(default)]
        chunks: Vec<Chunk>,
    }
    #[derive(serde::Deserialize)]
    struct Chunk {
        file: String,
    }
    let place = folder.join("resolutions/raw");
    let index = place.join("index.json");
    let Index { data_file, chunks } = json(&index)?;
    let mut packets = Vec::new();
    for file in data_file.into_iter().chain(chunks.into_iter().map(|chunk| chunk.file)) {
        ensure!(is_plain(&file), "{}: {file:?} is no file name", index.display());
        table::packets(&place.join(file), hosts, &mut |mut packet, _| {
            // Nothing says which are TCP, but only they have flags.
            packet.protocol = packet.protocol.filter(|_| packet.flags != Some(0));
            packets.push(packet);
            Ok(())
        })?;
    }
    Ok(packets)
}

/// Bytes of a manifest, and of any other file of JSON, which is held whole: 16 MiB, and 1 GiB, some two million flows of an index.
const MOST_OF_A_MANIFEST: u64 = 16 << 20;
const MOST_OF_A_FILE: u64 = 1 << 30;

fn json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    json_within(path, MOST_OF_A_FILE)
}

/// A file of JSON of at most so many bytes.
fn json_within<T: DeserializeOwned>(path: &Path, most: u64) -> anyhow::Result<T> {
    regular(path)?;
    let unread = || format!("{}: cannot read", path.display());
    let file = File::open(path).with_context(unread)?;
    let long = file.metadata().with_context(unread)?.len();
    let mut text = Vec::new();
    // It may grow while it is read.
    let read = if long > most { long } else { file.take(most + 1).read_to_end(&mut text).with_context(unread)? as u64 };
    ensure!(
        read <= most,
        "{}: it has {}, and at most {} are read at once; view the capture that the folder is of, or a part of it (`timeline --from --to`)",
        path.display(),
        bytes(read),
        bytes(most)
    );
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// Refuses what never ends.
fn regular(path: &Path) -> anyhow::Result<()> {
    let is_other = fs::metadata(path).is_ok_and(|there| !there.is_file());
    ensure!(!is_other, "{}: is not a regular file", path.display());
    Ok(())
}

/// Whether a name leads to a file in the folder it is said of.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != ".." && !name.contains(['/', '\\', ':', '\0'])
}
