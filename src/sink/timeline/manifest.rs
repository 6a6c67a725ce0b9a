//! What manifests of several layouts say in the same words.

use super::About;
use super::json::Json;
use crate::capture::civil_from_days;
use crate::error::{Error, ErrorKind, Result};
use crate::sink::folder::AtomicFolder;
use crate::time::Timestamp;

/// An object of the first time, the last, and what lies between.
pub(super) fn time_range(json: &mut Json, (start, end): (i64, i64)) {
    json.key("time_range");
    json.open(b'{');
    json.int("start", start);
    json.int("end", end);
    json.int("duration", i128::from(end) - i128::from(start));
    json.close(b'}');
}

/// `start` and `end`.
pub(super) fn span(json: &mut Json, (start, end): (i64, i64)) {
    json.key("time_range");
    json.open(b'{');
    json.int("start", start);
    json.int("end", end);
    json.close(b'}');
}

/// The one source, or null where there are several.
pub(super) fn source(json: &mut Json, about: &About) {
    let one = if let [source] = &about.sources[..] { Some(source.as_str()) } else { None };
    json.text_or_null("source_file", one);
}

/// A list of strings.
pub(super) fn strings<'s>(json: &mut Json, name: &'static str, list: impl IntoIterator<Item = &'s str>) {
    json.key(name);
    items(json, list);
}

/// A list of strings without a name.
pub(super) fn items<'s>(json: &mut Json, list: impl IntoIterator<Item = &'s str>) {
    json.open(b'[');
    for text in list {
        json.item();
        json.string(text);
    }
    json.close(b']');
}

/// What the packets are thought to be of, and which were taken.
pub(super) fn choice(json: &mut Json, about: &About) {
    choice_and(json, about, |_| {});
}

/// The same, and more on which were taken.
pub(super) fn choice_and(json: &mut Json, about: &About, more: impl FnOnce(&mut Json)) {
    json.key("attack_context");
    match &about.context {
        Some(context) => {
            json.open(b'{');
            json.text("type", context);
            json.text("source", "attack_timearcs_selection");
            json.close(b'}');
        }
        None => json.null(),
    }
    json.key("filter_applied");
    json.open(b'{');
    match &about.choice.hosts {
        Some(hosts) => strings(json, "ips", hosts.iter().map(String::as_str)),
        None => json.text_or_null("ips", None),
    }
    json.int_or_null("time_start_us", about.choice.from);
    json.int_or_null("time_end_us", about.choice.to);
    more(json);
    json.close(b'}');
}

/// A time as Python's `isoformat` has it, without a zone: microseconds where there are some.
pub(super) fn iso(time: Timestamp) -> String {
    let (seconds, us) = (time.seconds(), time.ns().rem_euclid(1_000_000_000) / 1000);
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = if us > 0 { format!(".{us:06}") } else { String::new() };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}")
}

/// Writes a file of JSON.
pub(super) fn write(folder: &AtomicFolder, name: &str, with: impl FnOnce(&mut Json)) -> Result<()> {
    let mut json = Json::to(folder.file(name)?);
    with(&mut json);
    json.finish()
}

/// A name as a cell of a table that knows no quotes.
///
/// # Errors
/// The name has what would end the cell.
pub(super) fn plain(name: &str) -> Result<&str> {
    let why = match () {
        () if !is_plain(name) => Some("for viewers know no quotes"),
        () if name.as_bytes().windows(3).any(|three| three == b"<->") => Some("for viewers part a pair of hosts there"),
        () => None,
    };
    if let Some(why) = why {
        let message = format!("cannot be written, {why}; give it another name, in the table or with --ip-map");
        return Err(ErrorKind::Name(format!("the host {} {message}", shown(name))).into());
    }
    Ok(name)
}

/// A name in quotes, as far as it is read at a glance.
pub(super) fn shown(name: &str) -> String {
    const MOST: usize = 40;
    match name.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &name[..end]),
        None => format!("{name:?}"),
    }
}

/// Whether a name is a cell without quotes.
pub(super) fn is_plain(name: &str) -> bool {
    name.bytes().fold(true, |all, byte| all & !matches!(byte, b',' | b'"' | b'\r' | b'\n'))
}

pub(super) fn finished() -> Error {
    Error::sink("the timeline is finished")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_making_is_as_python_has_it() {
        assert_eq!(iso(Timestamp(1_700_000_000_000_000_000)), "2023-11-14T22:13:20");
        assert_eq!(iso(Timestamp(1_700_000_000_000_042_999)), "2023-11-14T22:13:20.000042");
        assert_eq!(iso(Timestamp(-1)), "1969-12-31T23:59:59.999999");
    }
}
