//! The bins of flows of version 5.0 against its lists.

use hashbrown::{HashMap, HashSet};
use serde::de::{IgnoredAny, MapAccess};
use serde_json::{Map, Value};

use super::findings::short;
use super::folder::Folder;
use super::list::{self, Seen, name_of};
use super::started::{Counted, Sum, is_broken_off, sums};
use super::stream::{Array, Held, Members, Object, Whole, plain};
use crate::sink::timeline::flow_bins::{KINDS, WIDTHS};

pub(super) const INDEX: &str = "indices/flow_bins_index.json";

/// Pairs that are counted once more to tell where their bins differ.
const TOLD: usize = 10;

const THEN: &str = "viewers draw other numbers of flows at this width";

/// Reads the index of bins, and the bins of all widths. `with_ends` where lists have all packets of their flows, so that the ends of these
/// are known.
pub(super) fn check(
    folder: &mut Folder<'_>,
    seen: &mut Seen,
    flows: i64,
    pairs: i64,
    range: (i64, i64),
    with_ends: bool,
) {
    let Some(index) = folder.whole::<Value>(INDEX) else { return };
    let number = "viewers print that number";
    folder.findings.equal(INDEX, "total_flows", &index["total_flows"].as_i64(), &Some(flows), number);
    folder.findings.equal(INDEX, "total_ip_pairs", &index["total_ip_pairs"].as_i64(), &Some(pairs), number);
    let times = &index["time_range"];
    let says = ["start_us", "end_us"].map(|name| folder.number(INDEX, times, name));
    folder.findings.equal(INDEX, "time_range", &says, &range.into(), "viewers draw bins at other times");
    let minutes = (i128::from(range.1) - i128::from(range.0)) / 60_000_000;
    let says = times["duration_minutes"].as_f64().map(|minutes| minutes.floor() as i128);
    folder.findings.equal(INDEX, "duration_minutes", &says, &Some(minutes), "viewers choose another width of bins");
    let Some(resolutions) = index["resolutions"].as_object() else {
        return folder.problem(INDEX, "resolutions is no object", "viewers draw no flows over time");
    };
    if !resolutions.contains_key("hour") {
        folder.problem(INDEX, "the resolution hour is missing", "viewers take it when no other fits, and draw nothing");
    }
    for (name, told) in resolutions {
        let Some(at) = WIDTHS.iter().position(|(known, ..)| known == name) else {
            folder.problem(INDEX, format_args!("no viewer knows the resolution {name}"), "its bins are not drawn");
            continue;
        };
        limits(folder, name, told, at);
        let width = folder.number(INDEX, told, "bin_width_us");
        let then = "viewers draw bins of that width";
        folder.findings.equal(INDEX, &format!("bin_width_us of {name}"), &width, &WIDTHS[at].1, then);
        match told["file"].as_str() {
            Some(file) => self::file(folder, seen, &format!("indices/{file}"), at, told, range),
            None => folder.problem(INDEX, format_args!("{name} has no file"), "its bins are not drawn"),
        }
    }
    order(folder, resolutions);
    let named: Vec<(usize, &str)> =
        (0..).zip(WIDTHS).filter_map(|(at, (name, ..))| Some((at, resolutions.get(name)?["file"].as_str()?))).collect();
    locate(folder, seen, &named, range, with_ends);
}

/// For which stretches of time viewers take a resolution.
fn limits(folder: &mut Folder<'_>, name: &str, told: &Value, at: usize) {
    let (usual, is_last) = (WIDTHS[at].2, at + 1 == WIDTHS.len());
    let key = if is_last { "use_when_range_minutes_gt" } else { "use_when_range_minutes_lte" };
    match told[key].as_f64() {
        Some(minutes) if minutes >= 0.0 => {
            if minutes != usual as f64 {
                let what = format_args!("{key} of {name} is {minutes}, where {usual} is usual");
                folder.findings.note(INDEX, what, "viewers take these bins for other stretches of time");
            }
        }
        _ => {
            let what = format_args!("{key} of {name} is {}, and no number of minutes", told[key]);
            folder.problem(INDEX, what, "viewers never take these bins");
        }
    }
}

/// Of the resolutions, the names in the order in which they stand.
#[derive(Default)]
struct Names(Vec<String>);

impl Members for Names {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        self.0.push(name);
        map.next_value::<IgnoredAny>().map(drop)
    }
}

/// An index of which the resolutions are wanted.
#[derive(Default)]
struct Index(Names);

impl Members for Index {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        match name.as_str() {
            "resolutions" => self.0 = map.next_value_seed(Object(Names::default()))?,
            _ => _ = map.next_value::<IgnoredAny>()?,
        }
        Ok(())
    }
}

/// Viewers take the first resolution, as they stand, whose limit is not below the time range. So limits have to rise. They pass over
/// 10min, and take hour where none fits.
fn order(folder: &mut Folder<'_>, resolutions: &Map<String, Value>) {
    let Some(Index(Names(names))) = folder.members(INDEX, |_| Index::default()) else { return };
    let mut highest: Option<(f64, &str)> = None;
    for name in names.iter().filter(|name| *name != "10min") {
        let limit = resolutions.get(name).and_then(|told| told["use_when_range_minutes_lte"].as_f64());
        let Some(limit) = limit else { continue };
        match highest {
            Some((other, before)) if other >= limit => {
                let what = format_args!("{name}, for up to {limit} minutes, stands behind {before}, for up to {other}");
                folder.problem(INDEX, what, "viewers take the first that fits, and never these bins");
            }
            _ => highest = Some((limit, name)),
        }
    }
}

/// A bin under way.
struct Bin<'b, F> {
    held: Held,
    /// What it says beside its flows.
    rest: Map<String, Value>,
    /// Flows that stand before the number of their bin.
    early: Map<String, Value>,
    take: &'b mut F,
}

impl<F: FnMut(i64, &str, &Value)> Members for Bin<'_, F> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        if name != "flows_by_ip_pair" {
            self.rest.insert(name, plain(map.next_value()?));
            return Ok(());
        }
        let (take, early) = (&mut *self.take, &mut self.early);
        match self.rest.get("bin").and_then(Value::as_i64) {
            Some(bin) => {
                let take = Whole(self.held.here(), |pair: String, of: Value| take(bin, &pair, &of));
                map.next_value_seed(Object(take)).map(drop)
            }
            None => {
                let of: Map<String, Value> = map.next_value()?;
                early.extend(of.into_iter().map(|(pair, of)| (pair, plain(of))));
                Ok(())
            }
        }
    }
}

/// Hands over pairs of bins, and what a bin says beside them.
fn bins(
    folder: &mut Folder<'_>,
    file: &str,
    mut take: impl FnMut(&mut Folder<'_>, i64, &str, &Value),
    mut bin: impl FnMut(&mut Folder<'_>, &Map<String, Value>, u64),
) {
    let Some(text) = folder.open(file) else { return };
    let mut array = Array::new(text);
    loop {
        let mut pairs = 0;
        let mut count = |bin: i64, pair: &str, of: &Value| {
            pairs += 1;
            take(folder, bin, pair, of);
        };
        let of = Bin { held: array.held(), rest: Map::new(), early: Map::new(), take: &mut count };
        let next = array.next(Object(of));
        match next.map(|next| next.map(|bin| (bin.rest, bin.early))) {
            Ok(Some((rest, early))) => {
                let number = rest.get("bin").and_then(Value::as_i64).unwrap_or(-1);
                early.iter().for_each(|(pair, of)| count(number, pair, of));
                bin(folder, &rest, pairs);
            }
            Ok(None) => return,
            Err(error) => return folder.problem(file, error, "viewers draw no flows at this width"),
        }
    }
}

/// Reads the bins of a width, and takes off what they have of pairs.
fn file(folder: &mut Folder<'_>, seen: &mut Seen, file: &str, at: usize, told: &Value, range: (i64, i64)) {
    let width = WIDTHS[at].1;
    let (mut count, mut before) = (0_u64, i64::MIN);
    let pair = |folder: &mut Folder<'_>, bin: i64, pair: &str, of: &Value| match sums(pair, of) {
        Err(why) => folder.problem(file, format_args!("bin {bin}, {pair}: {why}"), THEN),
        Ok(sums) => match seen.pairs.get(pair) {
            None => folder.problem(file, format_args!("bin {bin}: no list is of {pair}"), THEN),
            Some(&number) => {
                if sums.is_empty() {
                    folder.problem(file, format_args!("bin {bin}: no flows of {pair}"), "viewers draw nothing for it");
                }
                for (kind, sum) in &sums {
                    let end = sum.range.1;
                    if is_broken_off(*kind) && end > range.1 {
                        let (kind, last) = (KINDS[*kind], range.1);
                        let what =
                            format_args!("bin {bin}, {pair}: {kind} ends at {end}, and the last packet is of {last}");
                        folder.problem(file, what, "viewers draw it outside, or not");
                    }
                    seen.prints[number as usize].add(at, bin, *kind, sum, false);
                }
            }
        },
    };
    bins(folder, file, pair, |folder, bin, pairs| {
        let number = bin.get("bin").and_then(Value::as_i64).unwrap_or(-1);
        let start = range.0.saturating_add(number.saturating_mul(width));
        let is = [start, start.saturating_add(width)];
        let says = ["start", "end"].map(|name| bin.get(name).and_then(Value::as_i64));
        if number < 0 || number <= before || says != is.map(Some) {
            let what = format_args!(
                "element {count}: bin {number} from {} to {} is not where it should be, behind bin {before} and from {} to {}",
                short(&says[0]),
                short(&says[1]),
                is[0],
                is[1]
            );
            folder.problem(file, what, "viewers draw its flows at another time");
        }
        if pairs == 0 {
            folder.problem(file, format_args!("bin {number} has no flows"), "viewers draw nothing for it");
        }
        before = number;
        count += 1;
    });
    let then = "viewers print that number";
    let name = format!("bins_with_data of {}", WIDTHS[at].0);
    folder.findings.equal(INDEX, &name, &told["bins_with_data"].as_u64(), &Some(count), then);
}

/// Says where bins and lists differ.
fn locate(folder: &mut Folder<'_>, seen: &Seen, named: &[(usize, &str)], range: (i64, i64), with_ends: bool) {
    let mut suspects: HashSet<String> = HashSet::new();
    let mut others = [0_u64; WIDTHS.len()];
    for (number, prints) in (0..).zip(&seen.prints) {
        let wrong: Vec<usize> = named.iter().map(|(at, _)| *at).filter(|at| !prints.agree(*at, with_ends)).collect();
        if wrong.is_empty() {
            continue;
        }
        if suspects.len() < TOLD {
            suspects.insert(name_of(&seen.pairs, number));
        } else {
            wrong.iter().for_each(|at| others[*at] += 1);
        }
    }
    if suspects.is_empty() {
        return;
    }
    let mut counted: HashMap<String, Counted> = HashMap::new();
    list::again(folder, &suspects, |pair, row| {
        let since = row.start.saturating_sub(range.0);
        counted.entry_ref(pair).or_default().add(since, row.kind, row.by_low, (row.start, row.end));
    });
    for &(at, file) in named {
        let file = format!("indices/{file}");
        let mut left = counted.clone();
        let pair = |folder: &mut Folder<'_>, bin: i64, pair: &str, of: &Value| {
            if !suspects.contains(pair) {
                return;
            }
            for (kind, says) in sums(pair, of).unwrap_or_default() {
                let is = left.get_mut(pair).and_then(|of| of.0.remove(&(at, bin, kind)));
                if !is.is_some_and(|is| agree(&is, &says, with_ends, kind)) {
                    let what = format_args!(
                        "bin {bin}, {pair}: {} of {}, and by its list {}",
                        told(Some(says)),
                        KINDS[kind],
                        told(is)
                    );
                    folder.problem(&file, what, THEN);
                }
            }
        };
        bins(folder, &file, pair, |_, _, _| {});
        for (pair, of) in &left {
            for ((_, bin, kind), sum) in of.0.iter().filter(|((width, ..), _)| *width == at) {
                let what = format_args!(
                    "bin {bin}, {pair}: nothing of {}, and by its list {}",
                    KINDS[*kind],
                    told(Some(*sum))
                );
                folder.problem(&file, what, THEN);
            }
        }
        for _ in 0..others[at] {
            folder.problem(&file, "other pairs differ from their lists", THEN);
        }
    }
}

fn agree(is: &Sum, says: &Sum, with_ends: bool, kind: usize) -> bool {
    let may_end_later = !with_ends && is_broken_off(kind);
    is.by == says.by
        && is.range.0 == says.range.0
        && (is.range.1 == says.range.1 || may_end_later && says.range.1 > is.range.1)
}

/// Flows that each side began, and their times.
fn told(sum: Option<Sum>) -> String {
    match sum {
        None => "none".into(),
        Some(Sum { by: [low, high], range: (first, last) }) => {
            format!("{low} begun by the first host and {high} by the second from {first} to {last}")
        }
    }
}
