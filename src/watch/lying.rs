//! Records that lie in an output whose journal is new: the one that knew them is lost, or was moved away.
//!
//! What they were made of may be gone by now, so a file of an hour stays as it is, whatever captures are there; what these make of its hour is counted, and
//! written nowhere. It is known from now on, and goes as others do when it is over its age or size.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use walkdir::WalkDir;

use super::arrivals::is_gone;
use super::health::Health;
use super::journal::{Hour, Journal, Written};
use super::made_with;
use super::settings::Settings;
use crate::capture::{days_from_civil, hour_folder};
use crate::error::{Error, Result};
use crate::time::Timestamp;

/// Lets a journal that is new know what lies in the output.
///
/// # Errors
/// A folder of records cannot be looked through, or the journal cannot be written.
pub(super) fn adopt(journal: &Journal, settings: &Settings, health: &Health) -> Result<()> {
    if !made_with::is_new(journal)? {
        return Ok(());
    }
    let lying = lying(settings)?;
    journal.adopt(&lying)?;
    let stay = lying.iter().filter(|hour| hour.stays).count();
    if stay > 0 {
        let what = format!(
            "{}: {stay} files of hours lie there that the journal, which is new, does not know: they stay as they are. To make hours again of captures \
             that are all there, stop, move these files and the journal ({}) away, and start",
            settings.output.display(),
            journal.path().display()
        );
        tracing::warn!("{what}");
        health.trouble(what);
    }
    Ok(())
}

/// All that the products of these settings may have made.
///
/// # Errors
/// A folder of records cannot be looked through.
fn lying(settings: &Settings) -> Result<Vec<Hour>> {
    let mut lying = Vec::new();
    for product in &settings.products {
        for (name, extension) in product.folders() {
            for (path, modified, bytes) in files(&settings.output, Path::new(&name))? {
                let Some(sensor) = path.iter().nth(1).and_then(OsStr::to_str) else { continue };
                if path.extension().is_none_or(|end| end != extension) {
                    continue;
                }
                // When a capture began nobody knows any more. It is made again with the same name.
                let by_capture = product.is_by_capture();
                let hour = if by_capture { Some(modified) } else { hour_of(&path) };
                let Some(hour) = hour else { continue };
                let sensor = sensor.to_owned();
                let file = Written { path, hour, bytes, rows: 0 };
                lying.push(Hour { sensor, product: name.clone(), file, stays: !by_capture });
            }
        }
    }
    Ok(lying)
}

/// Files below a folder of the output, from the output on, with when they were changed and their bytes. No link is followed.
fn files(output: &Path, folder: &Path) -> Result<Vec<(PathBuf, Timestamp, u64)>> {
    let mut files = Vec::new();
    let folder = output.join(folder);
    for entry in WalkDir::new(&folder).follow_root_links(false) {
        let found = entry.and_then(|entry| Ok((entry.metadata()?, entry)));
        match found {
            Ok((there, entry)) if there.is_file() => {
                let changed = there.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                let since = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let changed = Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
                let path = entry.path().strip_prefix(output).unwrap_or(entry.path());
                files.push((path.to_owned(), changed, there.len()));
            }
            Ok(_) => {}
            Err(error) if error.io_error().is_some_and(is_gone) => {}
            Err(error) => {
                let path = error.path().unwrap_or(&folder).to_owned();
                return Err(Error::io("look through", &path, error.into()));
            }
        }
    }
    Ok(files)
}

/// The hour of `PRODUCT/SENSOR/YYYY/MM/DD/HH.EXT`, if it is the name of one.
fn hour_of(path: &Path) -> Option<Timestamp> {
    let hour = path.with_extension("");
    let parts: Vec<&str> = hour.iter().skip(2).map(|part| part.to_str().unwrap_or_default()).collect();
    let &[year, month, day, in_day] = &parts[..] else { return None };
    let days = days_from_civil(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
    let hours = days.checked_mul(24)?.checked_add(in_day.parse().ok()?)?;
    let begins = Timestamp::from_seconds(hours.checked_mul(3600)?);
    (hour_folder(begins) == parts.join("/")).then_some(begins)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::watch::Product;

    #[test]
    fn what_lies_there_is_found_by_products_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("out");
        let put = |name: &str| {
            let path = output.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "seven b").unwrap();
        };
        let hours = ["groups/s/2023/10/19/13.csv", "scans/s/2023/10/19/13.jsonl", "groups/t/1969/12/31/23.csv"];
        let captures = ["flows-cic/s/a/x.csv", "flows-cic/t/x.pcapng.csv"];
        hours.iter().chain(&captures).for_each(|name| put(name));
        let others = [
            "2023/10/19/13.jsonl",
            "2023/10/19/24.csv",
            "2023/02/30/13.csv",
            "2023/10/19/1.csv",
            "2023/10/19/13/13.csv",
            "13.csv",
        ];
        others.iter().for_each(|name| put(&format!("groups/s/{name}")));
        put("flows/s/2023/10/19/13.csv");
        std::os::unix::fs::symlink("s", output.join("groups/link")).unwrap();
        let products =
            ["groups@csv", "flows:cic/capture", "buckets"].map(|name| Product::parse(name).unwrap()).to_vec();
        let found = lying(&Settings::new(dir.path().join("in"), output, products)).unwrap();
        let mut of_hours: Vec<_> = found.iter().filter(|hour| hour.stays).collect();
        of_hours.sort_by_key(|hour| hour.file.path.clone());
        let told =
            |hour: &&Hour| (hour.file.path.clone(), hour.sensor.clone(), hour.file.hour.seconds(), hour.file.bytes);
        let expected = [
            (hours[0].into(), "s".into(), 1_697_720_400, 7),
            (hours[2].into(), "t".into(), -3600, 7),
            (hours[1].into(), "s".into(), 1_697_720_400, 7),
        ];
        assert_eq!(of_hours.iter().map(told).collect::<Vec<_>>(), expected);
        let mut of_captures: Vec<_> = found.iter().filter(|hour| !hour.stays).map(|hour| &hour.file.path).collect();
        of_captures.sort();
        assert_eq!(of_captures, captures.map(Path::new));
    }
}
