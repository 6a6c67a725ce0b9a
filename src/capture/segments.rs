//! The capture files of sensors, kept in folders by UTC hour: `root/<sensor>/YYYY/MM/DD/HH/`.
//!
//! A rotation may write its last packets after the hour has turned, so for a window of time the hours that overlap
//! it are listed and the one before. Folders whose names are no dates are left alone. Files that are still being
//! written are not listed as segments but as skipped.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::civil::days_from_civil;
use super::inputs::{Identity, examine, identity};
use super::reader::is_settled;
use super::skipped::{Cause, Skipped, is_output};
use crate::error::{Error, Result};
use crate::time::{NS_PER_SECOND, Timestamp};

const HOUR_NS: i128 = 3600 * NS_PER_SECOND as i128;

/// One file of a sensor's rotation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// The name of the sensor's folder.
    pub sensor: String,
    /// Start of the UTC hour that the file's folder stands for.
    pub hour: Timestamp,
    /// The file.
    pub path: PathBuf,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Segments {
    /// Files to read: by sensor, hour and name.
    pub list: Vec<Segment>,
    /// Files that are not read, and why.
    pub skipped: Vec<Skipped>,
    /// What is there and cannot be read.
    pub failed: Vec<Error>,
    /// Sensors without a file to read.
    pub silent: Vec<String>,
}

/// Lists the segments under `root` for the half-open window from `from` to `to`.
///
/// `sensors` are names of folders in `root`, read in that order; none means all of them, by name. Files written to
/// within the last minute are looked at again after `settle`, once for all of them; those that changed are skipped.
///
/// # Errors
///
/// `root` or a sensor's folder is missing or cannot be listed. What is unreadable inside them is collected.
pub fn segments(root: &Path, sensors: &[String], from: Timestamp, to: Timestamp, settle: Duration) -> Result<Segments> {
    let sensors = folders(root, sensors)?;
    let window =
        Window { from: i128::from(from.ns()).div_euclid(HOUR_NS) * HOUR_NS - HOUR_NS, to: i128::from(to.ns()) };
    let mut found = Segments::default();
    let mut fresh = Vec::new();
    let mut seen = HashSet::new();
    for (sensor, folder) in &sensors {
        if from < to {
            for (hour, folder) in window.hours(folder)? {
                found.files(sensor, hour, &folder, &mut fresh, &mut seen);
            }
        }
    }
    if !fresh.is_empty() {
        thread::sleep(settle);
        let changed: Vec<PathBuf> = fresh.into_iter().filter(Fresh::has_changed).map(|fresh| fresh.path).collect();
        found.list.retain(|segment| !changed.contains(&segment.path));
        found.skipped.extend(changed.iter().map(|path| Skipped::new(path, Cause::Changing)));
    }
    let speaks: HashSet<&str> = found.list.iter().map(|segment| segment.sensor.as_str()).collect();
    found.silent =
        sensors.into_iter().map(|(sensor, _)| sensor).filter(|name| !speaks.contains(name.as_str())).collect();
    Ok(found)
}

/// The first and the last hour that any of these sensors has a folder of; `None` if there is no such folder.
///
/// # Errors
///
/// As for [`segments`].
pub fn hours(root: &Path, sensors: &[String]) -> Result<Option<(Timestamp, Timestamp)>> {
    let ever = Window { from: i128::MIN, to: i128::MAX };
    let mut span: Option<(Timestamp, Timestamp)> = None;
    for (_, folder) in folders(root, sensors)? {
        for (hour, _) in ever.hours(&folder)? {
            let (first, last) = span.unwrap_or((hour, hour));
            span = Some((first.min(hour), last.max(hour)));
        }
    }
    Ok(span)
}

/// Sensors with their folders: those named, or all of them.
fn folders(root: &Path, sensors: &[String]) -> Result<Vec<(String, PathBuf)>> {
    if !root.is_dir() {
        return Err(missing(root, "there is no such folder; name the sensors' root"));
    }
    let sensors = if sensors.is_empty() { all_sensors(root)? } else { sensors.to_vec() };
    let folder = |sensor: String| {
        let mut parts = Path::new(&sensor).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == sensor.as_str()) {
            return Err(Error::config(format!("the sensor \"{sensor}\" is no name of a folder in {}", root.display())));
        }
        let folder = root.join(&sensor);
        if folder.is_dir() {
            return Ok((sensor, folder));
        }
        Err(missing(
            &folder,
            "there is no such sensor folder; check the sensor's name, or leave it out to read all of them",
        ))
    };
    sensors.into_iter().map(folder).collect()
}

fn missing(folder: &Path, way_out: &'static str) -> Error {
    Error::io("list", folder, io::Error::new(io::ErrorKind::NotFound, way_out))
}

/// A file that was written to lately, as it was.
struct Fresh {
    path: PathBuf,
    length: u64,
}

impl Fresh {
    fn has_changed(&self) -> bool {
        fs::metadata(&self.path).map_or(true, |metadata| metadata.len() != self.length)
    }
}

impl Segments {
    fn files(
        &mut self,
        sensor: &str,
        hour: Timestamp,
        folder: &Path,
        fresh: &mut Vec<Fresh>,
        seen: &mut HashSet<Identity>,
    ) {
        let files = match listed(folder) {
            Ok(files) => files,
            Err(error) => return self.failed.push(error),
        };
        for path in files.into_iter().filter(|path| !path.is_dir()) {
            match examine(&path) {
                Ok(Ok(metadata)) if !seen.insert(identity(&path, &metadata)) => {
                    self.skipped.push(Skipped::new(&path, Cause::Repeated));
                }
                Ok(Ok(metadata)) => {
                    if !is_settled(&metadata) {
                        fresh.push(Fresh { path: path.clone(), length: metadata.len() });
                    }
                    self.list.push(Segment { sensor: sensor.to_owned(), hour, path });
                }
                Ok(Err(cause)) => self.skipped.push(Skipped::new(&path, cause)),
                Err(source) => self.failed.push(Error::io("open", &path, source)),
            }
        }
    }
}

fn all_sensors(root: &Path) -> Result<Vec<String>> {
    let mut sensors = Vec::new();
    for path in listed(root)? {
        if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && !name.starts_with('.')
            && path.is_dir()
            && !is_output(&path)
        {
            sensors.push(name.to_owned());
        }
    }
    if sensors.is_empty() {
        return Err(missing(root, "there are no sensor folders; captures are looked for in ROOT/SENSOR/YYYY/MM/DD/HH"));
    }
    Ok(sensors)
}

/// Hours to list, in nanoseconds since the epoch; wider than `i64` so that no border overflows.
struct Window {
    from: i128,
    to: i128,
}

impl Window {
    /// The hour folders of a sensor that start in the window, in order of time.
    fn hours(&self, sensor: &Path) -> Result<Vec<(Timestamp, PathBuf)>> {
        let mut hours = Vec::new();
        for (year, folder) in numbered(sensor, 4)? {
            let year = i64::from(year);
            if !self.touches(days_from_civil(year, 1, 1), days_from_civil(year, 12, 31)) {
                continue;
            }
            for (month, folder) in numbered(&folder, 2)? {
                let last = (28..=31).rev().find_map(|day| days_from_civil(year, month, day));
                if !self.touches(days_from_civil(year, month, 1), last) {
                    continue;
                }
                for (day, folder) in numbered(&folder, 2)? {
                    let day = days_from_civil(year, month, day);
                    if !self.touches(day, day) {
                        continue;
                    }
                    for (hour, folder) in numbered(&folder, 2)? {
                        let start = day.map(|day| (i128::from(day) * 24 + i128::from(hour)) * HOUR_NS);
                        if let Some(start) = start.filter(|start| hour < 24 && (self.from..self.to).contains(start))
                            && let Ok(start) = i64::try_from(start)
                        {
                            hours.push((Timestamp(start), folder));
                        }
                    }
                }
            }
        }
        Ok(hours)
    }

    /// Whether the window has a part in the days from `first` to `last`, both included.
    fn touches(&self, first: Option<i64>, last: Option<i64>) -> bool {
        match (first, last) {
            (Some(first), Some(last)) => {
                i128::from(first) * 24 * HOUR_NS < self.to && (i128::from(last) + 1) * 24 * HOUR_NS > self.from
            }
            _ => false,
        }
    }
}

/// Folders whose names are numbers of exactly so many digits, in order.
fn numbered(folder: &Path, digits: usize) -> Result<Vec<(u32, PathBuf)>> {
    let mut numbered = Vec::new();
    for path in listed(folder)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.len() == digits
            && name.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(number) = name.parse()
            && path.is_dir()
        {
            numbered.push((number, path));
        }
    }
    Ok(numbered)
}

/// Paths of a folder's entries, sorted.
fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> io::Result<Vec<PathBuf>> { fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect() };
    let mut paths = list().map_err(|error| Error::io("list", folder, error))?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    /// 2023-10-19T13:00:00Z.
    const ONE: i64 = 1_697_720_400;

    fn file(root: &Path, path: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // A capture by its content, whatever its name.
        let text = path.extension().is_some_and(|extension| extension == "txt");
        fs::write(path, if text { &[b'n'; 4] } else { &[0xd4, 0xc3, 0xb2, 0xa1] }).unwrap();
    }

    fn list(root: &Path, sensors: &[&str], from: i64, to: i64) -> Result<Vec<String>> {
        let sensors: Vec<String> = sensors.iter().map(|&name| name.to_owned()).collect();
        let (from, to) = (Timestamp::from_seconds(from), Timestamp::from_seconds(to));
        let found = segments(root, &sensors, from, to, Duration::ZERO)?;
        Ok(found.list.iter().map(|s| s.path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn the_hours_of_the_window_and_the_one_before_are_listed_for_every_sensor_in_order() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for hour in ["11", "12", "13", "14"] {
            file(root, &format!("north/2023/10/19/{hour}/b.pcap"));
            file(root, &format!("north/2023/10/19/{hour}/a.PCAP.GZ"));
        }
        file(root, "alps/2023/10/19/13/x.zst");
        file(root, "north/2023/10/19/24/never.pcap");
        file(root, "north/2023/13/19/10/never.pcap");
        file(root, "north/2023/10/19/1/never.pcap");
        file(root, "north/notes/never.pcap");
        let expected = [
            "alps/2023/10/19/13/x.zst",
            "north/2023/10/19/12/a.PCAP.GZ",
            "north/2023/10/19/12/b.pcap",
            "north/2023/10/19/13/a.PCAP.GZ",
            "north/2023/10/19/13/b.pcap",
        ];
        assert_eq!(list(root, &[], ONE, ONE + HOUR).unwrap(), expected);
        assert_eq!(list(root, &[], ONE + 1, ONE + 2).unwrap(), expected);
        assert_eq!(list(root, &["alps"], ONE, ONE + HOUR).unwrap(), expected[..1]);
        assert_eq!(list(root, &[], ONE, ONE).unwrap(), [""; 0]);
        let all = segments(root, &[], Timestamp::MIN, Timestamp::MAX, Duration::ZERO).unwrap();
        assert_eq!(all.list.len(), 9);
        assert_eq!(all.list[0].hour, Timestamp::from_seconds(ONE));
    }

    #[test]
    fn midnight_and_new_year_reach_back_into_the_folder_before() {
        let root = tempfile::tempdir().unwrap();
        file(root.path(), "s/2023/12/31/23/a.pcap");
        file(root.path(), "s/2024/01/01/00/b.pcap");
        let year = 1_704_067_200;
        assert_eq!(
            list(root.path(), &[], year, year + HOUR).unwrap(),
            ["s/2023/12/31/23/a.pcap", "s/2024/01/01/00/b.pcap"]
        );
    }

    #[test]
    fn unfinished_and_foreign_files_are_named_with_the_reason() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a.pcap.tmp", "b.pcap~", ".c.pcap", "d.txt", "e.pcap1"] {
            file(root.path(), &format!("s/2023/10/19/13/{name}"));
        }
        let (from, to) = (Timestamp::from_seconds(ONE), Timestamp::from_seconds(ONE + HOUR));
        let found = segments(root.path(), &[], from, to, Duration::ZERO).unwrap();
        let causes: Vec<Cause> = found.skipped.iter().map(|skipped| skipped.cause).collect();
        assert_eq!(causes, [Cause::Hidden, Cause::Unfinished, Cause::Unfinished, Cause::NotACapture]);
        assert_eq!(found.list.len(), 1);
    }

    #[test]
    fn a_file_that_grows_while_it_is_looked_at_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        file(root.path(), "s/2023/10/19/13/a.pcap");
        file(root.path(), "s/2023/10/19/13/b.pcap");
        let growing = root.path().join("s/2023/10/19/13/a.pcap");
        let (from, to) = (Timestamp::from_seconds(ONE), Timestamp::from_seconds(ONE + HOUR));
        let found = thread::scope(|scope| {
            let listing = scope.spawn(|| segments(root.path(), &[], from, to, Duration::from_millis(400)));
            thread::sleep(Duration::from_millis(150));
            fs::write(&growing, "more than before").unwrap();
            listing.join().unwrap().unwrap()
        });
        assert_eq!(found.skipped, [Skipped::new(&growing, Cause::Changing)]);
        assert_eq!(found.list.len(), 1);
    }

    #[test]
    fn sensors_without_files_are_named_and_what_hours_there_are_is_known() {
        let root = tempfile::tempdir().unwrap();
        assert!(hours(root.path(), &[]).is_err());
        file(root.path(), "alps/2023/10/19/13/a.pcap");
        file(root.path(), "north/2023/10/18/05/a.pcap");
        fs::create_dir_all(root.path().join("east")).unwrap();
        let silent = |from: i64, to: i64| {
            let (from, to) = (Timestamp::from_seconds(from), Timestamp::from_seconds(to));
            segments(root.path(), &[], from, to, Duration::ZERO).unwrap().silent
        };
        assert_eq!(silent(ONE, ONE + HOUR), ["east", "north"]);
        assert_eq!(silent(0, ONE + HOUR), ["east"]);
        let span = |sensors: &[&str]| {
            let sensors: Vec<String> = sensors.iter().map(|&name| name.to_owned()).collect();
            hours(root.path(), &sensors).unwrap().map(|(first, last)| (first.seconds(), last.seconds()))
        };
        assert_eq!(span(&[]), Some((ONE - 32 * HOUR, ONE)));
        assert_eq!(span(&["alps"]), Some((ONE, ONE)));
        assert_eq!(span(&["east"]), None);
    }

    #[test]
    fn a_missing_root_or_sensor_is_an_error_that_names_it() {
        let root = tempfile::tempdir().unwrap();
        let error = list(&root.path().join("no"), &[], 0, HOUR).unwrap_err().to_string();
        assert!(error.contains("/no: cannot list: there is no such folder"), "{error}");
        let error = list(root.path(), &[], 0, HOUR).unwrap_err().to_string();
        assert!(error.contains("no sensor folders"), "{error}");
        fs::create_dir(root.path().join("here")).unwrap();
        let error = list(root.path(), &["gone"], 0, HOUR).unwrap_err().to_string();
        assert!(error.contains("gone: cannot list: there is no such sensor folder"), "{error}");
    }
}
