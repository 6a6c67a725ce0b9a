//! What manifests of versions 2.0 and 5.0 say beside numbers: where files are, what was read, and which packets were taken.

use std::net::IpAddr;

use serde_json::Value;

use super::MANIFEST;
use super::findings::{Findings, short};
use super::folder::Folder;
use crate::capture::days_from_civil;

/// What every manifest says beside, null where there is none.
const TOLD: [&str; 5] = ["created", "source_file", "source_files", "attack_context", "filter_applied"];

/// Checks `structure`, which has to name these files, the sources and the filter.
pub(super) fn check(folder: &mut Folder<'_>, manifest: &Value, structure: &[(&str, &str)]) {
    let then = "whoever follows it finds nothing";
    for (name, path) in structure {
        let is = &manifest["structure"][name];
        folder.findings.equal(MANIFEST, &format!("structure.{name}"), &is.as_str(), &Some(*path), then);
    }
    let others = manifest["structure"].as_object().into_iter().flatten();
    let others = others.filter(|(name, _)| structure.iter().all(|(known, _)| known != name));
    for (name, path) in others {
        let is_there = path.as_str().is_some_and(|path| {
            let inside =
                std::path::Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
            inside && folder.path.join(path).exists()
        });
        if !is_there {
            let what = format_args!("structure.{name} is {}, which is not there", short(path));
            folder.findings.problem(MANIFEST, what, then);
        }
    }
    for name in TOLD.into_iter().filter(|name| manifest.get(name).is_none()) {
        folder.findings.lacks(MANIFEST, name, "");
    }
    created(folder, manifest);
    sources(folder, manifest);
    context(folder, &manifest["attack_context"]);
    filter(folder, &manifest["filter_applied"], manifest);
}

/// The time of making: as Python writes it, of whatever zone.
pub(super) fn created(folder: &mut Folder<'_>, manifest: &Value) {
    let created = &manifest["created"];
    if !created.is_null() && !created.as_str().is_some_and(is_time) {
        let what = format_args!("created is {}, and no time such as 2026-11-20T22:57:42.026103", short(created));
        folder.problem(MANIFEST, what, "nobody can tell when it was made");
    }
}

fn is_time(text: &str) -> bool {
    let Some((date, time)) = text.split_at_checked(10) else { return false };
    let Some((clock, rest)) = time.split_at_checked(9) else { return false };
    let [date, clock] = [(date, "-"), (clock.strip_prefix(['T', ' ']).unwrap_or_default(), ":")].map(|(text, by)| {
        let parts: Vec<u32> = text.split(by).map_while(digits).collect();
        <[u32; 3]>::try_from(parts).ok()
    });
    let is_date = date.is_some_and(|[year, month, day]| days_from_civil(year.into(), month, day).is_some());
    let is_clock = clock.is_some_and(|[hour, minute, second]| hour < 24 && minute < 60 && second < 60);
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let is_zone = zone.is_empty() || zone == "Z" || zone.starts_with(['+', '-']) && zone.len() == 6;
    is_date && is_clock && is_zone
}

/// A number of nothing but digits.
fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The one source, or null where there are several.
fn sources(folder: &mut Folder<'_>, manifest: &Value) {
    let (one, then) = (&manifest["source_file"], "viewers name another source");
    if !one.is_null() && !one.is_string() {
        folder.problem(MANIFEST, format_args!("source_file is {}, and no name", short(one)), then);
    }
    let Some(list) = manifest.get("source_files") else { return };
    match list.as_array() {
        Some(list) if list.iter().all(Value::is_string) => {
            let is = if let [only] = &list[..] { only } else { &Value::Null };
            folder.findings.equal(MANIFEST, "source_file, by source_files,", one, is, then);
        }
        _ => folder.problem(MANIFEST, format_args!("source_files is {}, and no list of names", short(list)), then),
    }
}

/// What the packets are thought to be of.
fn context(folder: &mut Folder<'_>, context: &Value) {
    let is_sound = context["type"].is_string() && context["source"] == "attack_timearcs_selection";
    if !context.is_null() && !is_sound {
        let what = format_args!("attack_context is {}, and has not both type and its usual source", short(context));
        folder.problem(MANIFEST, what, "viewers do not name the attack");
    }
}

/// Which packets were taken: limits of time, which have to be around all of them.
fn filter(folder: &mut Folder<'_>, filter: &Value, manifest: &Value) {
    let then = "viewers name a filter that was not applied";
    let Some(filter) = filter.as_object() else {
        if !filter.is_null() {
            folder.problem(MANIFEST, "filter_applied is no object", then);
        }
        return;
    };
    let range = ["start", "end"].map(|name| manifest["time_range"][name].as_i64().unwrap_or(0));
    let has_packets = manifest["total_packets"] != 0;
    for (side, name) in ["time_start", "time_end"].into_iter().enumerate() {
        let us = filter.get(&format!("{name}_us")).unwrap_or(&Value::Null);
        match (us.is_null(), us.as_i64()) {
            (true, _) => {}
            (_, Some(us)) if !has_packets || (side == 0 && us <= range[0]) || (side == 1 && us >= range[1]) => {}
            _ => {
                let what =
                    format_args!("filter_applied.{name}_us is {us}, and packets are from {} to {}", range[0], range[1]);
                folder.problem(MANIFEST, what, then);
            }
        }
        let minutes = match filter.get(&format!("{name}_minutes")) {
            Some(minutes) => minutes,
            None if manifest["version"] == "2.0" => &Value::Null,
            None => continue,
        };
        // The original takes 0 for none.
        let is = us.as_i64().filter(|&us| us != 0).map(|us| us.div_euclid(60_000_000));
        let key = format!("filter_applied.{name}_minutes");
        folder.findings.equal(MANIFEST, &key, minutes, &is.map_or(Value::Null, Value::from), then);
    }
    if !filter
        .get("ips")
        .is_none_or(|ips| ips.is_null() || ips.as_array().is_some_and(|list| list.iter().all(Value::is_string)))
    {
        folder.problem(MANIFEST, "filter_applied.ips is no list of names", then);
    }
}

/// The hosts of a filter, one of which each packet has.
pub(super) struct Filter<'m>(Option<Vec<(&'m str, Option<IpAddr>)>>);

impl<'m> Filter<'m> {
    pub(super) fn of(manifest: &'m Value) -> Filter<'m> {
        let list = manifest["filter_applied"]["ips"].as_array();
        let names = |list: &'m Vec<Value>| {
            list.iter().filter_map(Value::as_str).map(|name| (name, name.trim().parse().ok())).collect()
        };
        Filter(list.map(names))
    }

    /// Tells of two hosts that have packets, if neither passes.
    pub(super) fn look(&self, findings: &mut Findings, a: &str, b: &str) {
        let Some(names) = &self.0 else { return };
        let passes =
            |host: &str| names.iter().any(|(name, of)| *name == host || of.is_some_and(|of| host.parse() == Ok(of)));
        if !passes(a) && !passes(b) {
            let what = format_args!("filter_applied.ips has neither {a} nor {b}, which have packets");
            findings.problem(MANIFEST, what, "viewers name a filter that was not applied");
        }
    }

    /// Tells of names that are there twice.
    pub(super) fn finish(&self, findings: &mut Findings) {
        let names = self.0.as_deref().unwrap_or_default();
        for (n, (name, _)) in names.iter().enumerate() {
            if names.iter().take(n).any(|(other, _)| other == name) {
                findings.note(MANIFEST, format_args!("filter_applied.ips has {name} twice"), "");
            }
        }
    }
}
