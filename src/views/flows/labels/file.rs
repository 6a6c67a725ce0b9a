//! Reads a file of rules; every mistake has its place.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::rule::Rule;
use crate::error::Error;
use crate::filter::protocol_number;
use crate::time::NS_PER_SECOND;

/// What a file says.
pub(super) struct Read {
    pub(super) rules: Vec<Rule>,
    pub(super) default: Option<Arc<str>>,
    pub(super) attackers: Option<Vec<IpNet>>,
}

/// What is wrong, and where, in bytes.
#[derive(Debug)]
pub(super) struct Mistake {
    at: usize,
    reason: String,
}

impl Mistake {
    pub(super) fn new(at: usize, reason: impl Into<String>) -> Mistake {
        Mistake { at, reason: reason.into() }
    }

    pub(super) fn tell(self, text: &str) -> Error {
        let (line, column) = Lines::of(text).position(self.at);
        Error::config(format!("line {line}, column {column}: {}", self.reason))
    }
}

/// Where lines of a text begin, so that each place costs no walk through it.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Lines<'t> {
        Lines { text, starts: std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect() }
    }

    /// The line of a byte, from 1 on.
    pub(super) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|&start| start <= at)
    }

    /// Line and column of a byte, both from 1 on.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let at = self.text.floor_char_boundary(at.min(self.text.len()));
        let line = self.line(at);
        // The first line begins at 0.
        (line, self.text[self.starts[line - 1]..at].chars().count() + 1)
    }
}

type Value<'t> = Spanned<DeValue<'t>>;
type Found<T> = Result<T, Mistake>;

const KEYS: [&str; 4] = ["zone", "default", "attackers", "rule"];
const OF_RULES: [&str; 10] =
    ["label", "from", "to", "src", "dst", "src_port", "dst_port", "protocol", "direction", "priority"];

/// Bytes as text.
pub(super) fn text(bytes: &[u8]) -> Found<&str> {
    str::from_utf8(bytes).map_err(|error| Mistake::new(error.valid_up_to(), "this byte is not UTF-8"))
}

/// Reads rules.
pub(super) fn read(text: &str) -> Found<Read> {
    let table = DeTable::parse(text)
        .map_err(|error| Mistake::new(error.span().map_or(0, |span| span.start), error.message().replace('\n', " ")))?;
    let table = table.get_ref();
    only(table, &KEYS)?;
    let zone = get(table, "zone").map_or(Ok(TimeZone::UTC), zone)?;
    let rules = get(table, "rule").map_or(Ok(Vec::new()), |value| {
        let array = value.get_ref().as_array().ok_or_else(|| wrong(value, "rules begin with [[rule]]"))?;
        array.iter().map(|value| rule(value, &zone)).collect()
    })?;
    Ok(Read {
        rules,
        default: get(table, "default").map(label).transpose()?,
        attackers: get(table, "attackers").map(|value| each(value, net)).transpose()?,
    })
}

fn rule(value: &Value<'_>, zone: &TimeZone) -> Found<Rule> {
    let table = value.get_ref().as_table().ok_or_else(|| wrong(value, "rules begin with [[rule]]"))?;
    only(table, &OF_RULES)?;
    let at = value.span().start;
    let label = get(table, "label").ok_or_else(|| Mistake::new(at, "the rule has no `label`"))?;
    let list = |key: &str| get(table, key).map_or(Ok(Vec::new()), |value| each(value, net));
    let ports = |key: &str| get(table, key).map_or(Ok(Vec::new()), |value| each(value, ports));
    let time = |key: &str| get(table, key).map(|value| time(value, zone)).transpose();
    let window = time("from")?.unwrap_or(i64::MIN)..time("to")?.unwrap_or(i64::MAX);
    if window.is_empty() {
        return Err(
            get(table, "to").map_or_else(|| Mistake::new(at, "empty"), |to| wrong(to, "`to` is not after `from`"))
        );
    }
    Ok(Rule {
        label: self::label(label)?,
        priority: get(table, "priority").map_or(Ok(0), integer)?,
        window,
        src: list("src")?,
        dst: list("dst")?,
        src_ports: ports("src_port")?,
        dst_ports: ports("dst_port")?,
        protocols: get(table, "protocol").map_or(Ok(Vec::new()), |value| each(value, protocol))?,
        either: get(table, "direction").map_or(Ok(true), direction)?,
        at,
    })
}

fn get<'v, 't>(table: &'v DeTable<'t>, key: &str) -> Option<&'v Value<'t>> {
    table.iter().find(|(known, _)| known.get_ref() == key).map(|(_, value)| value)
}

/// Refuses keys that mean nothing.
fn only(table: &DeTable<'_>, keys: &[&str]) -> Found<()> {
    match table.keys().find(|key| !keys.contains(&&**key.get_ref())) {
        Some(key) => Err(Mistake::new(
            key.span().start,
            format!("`{}` means nothing here; there are {}", key.get_ref(), keys.join(", ")),
        )),
        None => Ok(()),
    }
}

fn wrong(value: &Value<'_>, reason: impl Into<String>) -> Mistake {
    Mistake::new(value.span().start, reason)
}

/// One value, or each of a list.
fn each<T>(value: &Value<'_>, read: fn(&Value<'_>) -> Found<T>) -> Found<Vec<T>> {
    match value.get_ref() {
        // An empty list would stand for any.
        DeValue::Array(list) if list.is_empty() => Err(wrong(value, "the list is empty; leave it out for any")),
        DeValue::Array(list) => list.iter().map(read).collect(),
        _ => Ok(vec![read(value)?]),
    }
}

fn text_of<'v>(value: &'v Value<'_>) -> Found<&'v str> {
    value.get_ref().as_str().ok_or_else(|| wrong(value, format!("this is {}, not text", value.get_ref().type_str())))
}

fn label(value: &Value<'_>) -> Found<Arc<str>> {
    match text_of(value)? {
        "" => Err(wrong(value, "the label is empty")),
        label => Ok(label.into()),
    }
}

fn integer(value: &Value<'_>) -> Found<i64> {
    let number = value.get_ref().as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
    number.ok_or_else(|| wrong(value, "this is no integer of 64 bits"))
}

fn net(value: &Value<'_>) -> Found<IpNet> {
    let text = text_of(value)?;
    let net = text.parse::<IpNet>().or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into()));
    let net = net.map_err(|_| wrong(value, format!("`{text}` is no address and no network, as 10.0.0.0/8")))?;
    if net.trunc() != net {
        return Err(wrong(value, format!("`{text}` has bits behind its prefix; the network is {}", net.trunc())));
    }
    Ok(net)
}

fn ports(value: &Value<'_>) -> Found<RangeInclusive<u16>> {
    let reason = "this is no port (0 to 65535) and no range of ports, as \"8000-8010\"";
    let text = match value.get_ref() {
        DeValue::Integer(_) => integer(value)?.to_string(),
        _ => text_of(value)?.to_owned(),
    };
    let (from, to) = text.split_once('-').unwrap_or((&text, &text));
    let port = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong(value, reason));
    let range = port(from)?..=port(to)?;
    if range.is_empty() { Err(wrong(value, "the range ends before it begins")) } else { Ok(range) }
}

fn protocol(value: &Value<'_>) -> Found<u8> {
    if let DeValue::Integer(_) = value.get_ref() {
        return u8::try_from(integer(value)?).map_err(|_| wrong(value, "protocols are 0 to 255"));
    }
    let name = text_of(value)?;
    let known = protocol_number(&name.to_ascii_lowercase()).or_else(|| name.parse().ok());
    known.ok_or_else(|| wrong(value, format!("`{name}` is no protocol; write tcp, udp, icmp, or a number")))
}

fn direction(value: &Value<'_>) -> Found<bool> {
    match text_of(value)? {
        "either" => Ok(true),
        "forward" => Ok(false),
        other => Err(wrong(value, format!("`{other}` is no direction; there are forward, either"))),
    }
}

fn zone(value: &Value<'_>) -> Found<TimeZone> {
    let name = text_of(value)?;
    TimeZone::get(name).map_err(|_| {
        wrong(value, format!("there is no time zone `{name}`; write a name of the IANA database, as America/Moncton"))
    })
}

/// A time in ns since 1970: with an offset, or as the clocks of the zone show it; or whole seconds since 1970.
fn time(value: &Value<'_>, zone: &TimeZone) -> Found<i64> {
    let text = match value.get_ref() {
        DeValue::Integer(_) => {
            let seconds = integer(value)?.checked_mul(NS_PER_SECOND);
            return seconds.ok_or_else(|| wrong(value, "times are of the years 1677 to 2262"));
        }
        DeValue::Datetime(time) => time.to_string(),
        _ => text_of(value)?.to_owned(),
    };
    let time = if let Ok(time) = text.parse::<jiff::Timestamp>() {
        time
    } else {
        let clock: DateTime = text.parse().map_err(|_| {
            wrong(value, format!("`{text}` is no time; write 2017-07-05T10:43, or with an offset -03:00"))
        })?;
        zone.to_ambiguous_timestamp(clock).unambiguous().map_err(|_| {
            wrong(value, format!("clocks showed {text} twice or never, as they were changed; write it with an offset"))
        })?
    };
    i64::try_from(time.as_nanosecond()).map_err(|_| wrong(value, "times are of the years 1677 to 2262"))
}
