//! What versions 2.0 and 5.0 say of all packets: totals of hosts and of flags, the list of hosts, and the hundredths of the time.

use std::collections::BTreeMap;

use serde_json::Value;

use super::folder::Folder;
use crate::sink::timeline::totals::Bins;

pub(super) const HOSTS: &str = "ips/ip_stats.json";
pub(super) const FLAGS: &str = "ips/flag_stats.json";
pub(super) const NAMES: &str = "ips/unique_ips.json";
pub(super) const BINS: &str = "indices/bins.json";

const THEN: &str = "viewers of stored totals show that number";

/// What a host sent and got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OfHost {
    /// Packets, sent and received, then bytes.
    sums: [i64; 4],
    /// First and last; nothing before the first.
    times: Option<(i64, i64)>,
}

const SUMS: [&str; 4] = ["sent_packets", "recv_packets", "sent_bytes", "recv_bytes"];

impl OfHost {
    /// Adds a packet.
    pub(super) fn add(&mut self, sent: bool, length: i64, time: i64) {
        let at = usize::from(!sent);
        self.sums[at] += 1;
        self.sums[2 + at] = self.sums[2 + at].saturating_add(length.max(0));
        let (first, last) = self.times.unwrap_or((time, time));
        self.times = Some((first.min(time), last.max(time)));
    }

    /// Adds what another has.
    pub(super) fn join(&mut self, other: &OfHost) {
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, n)| *sum = sum.saturating_add(n));
        let Some((first, last)) = other.times else { return };
        let times = self.times.unwrap_or((first, last));
        self.times = Some((times.0.min(first), times.1.max(last)));
    }
}

/// What is wrong with hosts, while their file is read: the first, and how many more there are.
#[derive(Default)]
struct Few {
    first: Option<String>,
    others: u64,
}

impl Few {
    fn add(&mut self, what: String) {
        match &self.first {
            None => self.first = Some(what),
            Some(_) => self.others += 1,
        }
    }

    fn tell(self, folder: &mut Folder<'_>) {
        let Some(first) = self.first else { return };
        match self.others {
            0 => folder.problem(HOSTS, first, THEN),
            others => folder.problem(HOSTS, format_args!("{first}, and {others} more like it"), THEN),
        }
    }
}

/// Totals of flags, by name; nothing where they cannot be read.
pub(super) fn flags(folder: &mut Folder<'_>) -> BTreeMap<String, Value> {
    folder.whole(FLAGS).unwrap_or_default()
}

/// Totals of flags, which have to be these.
pub(super) fn flags_are(folder: &mut Folder<'_>, seen: &BTreeMap<String, i64>) {
    let says = flags(folder);
    let names: std::collections::BTreeSet<&String> = says.keys().chain(seen.keys()).collect();
    for name in names {
        let (says, is) = (says.get(name).unwrap_or(&Value::Null), seen.get(name).copied().unwrap_or(0));
        folder.findings.equal(FLAGS, name, says, &is.into(), THEN);
        no_packets(folder, name, says);
    }
}

/// Tells of flags of which there are no packets: only those of packets are there.
pub(super) fn no_packets(folder: &mut Folder<'_>, name: &str, says: &Value) {
    if says.as_u64() == Some(0) {
        folder.problem(FLAGS, format_args!("{name} is 0, and no packet has these flags"), THEN);
    }
}

/// Totals of hosts, which have to be these.
pub(super) fn hosts_are(folder: &mut Folder<'_>, seen: &BTreeMap<String, OfHost>) {
    let mut hosts = 0;
    let mut wrong = Few::default();
    let take = |host: String, says: Value| {
        let Some(of) = seen.get(&host) else { return wrong.add(format!("{host} has no TCP packets")) };
        hosts += 1;
        let (first, last) = of.times.unwrap_or_default();
        let is = SUMS.into_iter().zip(of.sums).chain([("first_ts", first), ("last_ts", last)]);
        for (name, is) in is.filter(|(name, is)| says[*name].as_i64() != Some(*is)) {
            wrong.add(format!("{name} of {host} says {}, but it is {is}", says[name]));
        }
    };
    let read = folder.each(HOSTS, take);
    wrong.tell(folder);
    if read && hosts < seen.len() {
        let what = format_args!("it has {hosts} hosts of TCP packets, of {}", seen.len());
        folder.problem(HOSTS, what, "viewers of stored totals do not show the others");
    }
}

/// Totals of hosts against what lists have of packets, whose lengths they have not. `exact` where no packet is in no list.
pub(super) fn hosts_of_lists(
    folder: &mut Folder<'_>,
    seen: &BTreeMap<String, OfHost>,
    tcp: i64,
    range: (i64, i64),
    exact: bool,
) {
    let mut sums = [0_i64; 4];
    let mut known = 0;
    let mut wrong = Few::default();
    let take = |host: String, says: Value| {
        let is = seen.get(&host).copied().unwrap_or_default();
        known += usize::from(seen.contains_key(&host));
        for (at, name) in SUMS.into_iter().enumerate() {
            let n = says[name].as_u64().and_then(|n| i64::try_from(n).ok());
            sums[at] = sums[at].saturating_add(n.unwrap_or(0));
            match n {
                None => wrong.add(format!("{name} of {host} is {}, and no number", says[name])),
                Some(n) if at < 2 && (n < is.sums[at] || exact && n != is.sums[at]) => {
                    wrong.add(format!("{host}: {name} is {n}, and lists have {}", is.sums[at]));
                }
                _ => {}
            }
        }
        let times = says["first_ts"].as_i64().zip(says["last_ts"].as_i64());
        let (first, last) = is.times.unwrap_or((range.1, range.0));
        match times {
            Some((a, b)) if range.0 <= a && a <= b && b <= range.1 => {
                if a > first || b < last || exact && (a, b) != (first, last) {
                    wrong.add(format!(
                        "{host}: first_ts and last_ts are {a} and {b}, and lists have {first} and {last}"
                    ));
                }
            }
            _ => wrong.add(format!("{host}: first_ts and last_ts are outside the time of the folder")),
        }
    };
    let read = folder.each(HOSTS, take);
    wrong.tell(folder);
    if !read {
        return;
    }
    for (name, sum) in SUMS.into_iter().zip(sums).take(2) {
        folder.findings.equal(HOSTS, &format!("the sum of {name}"), &sum, &tcp, THEN);
    }
    folder.findings.equal(HOSTS, "the sum of sent_bytes", &sums[2], &sums[3], THEN);
    if known < seen.len() {
        folder.problem(HOSTS, format_args!("it has {known} hosts of lists, of {}", seen.len()), THEN);
    }
}

/// The list of hosts: sorted, so many, and these among them, or only these.
pub(super) fn names<'h>(folder: &mut Folder<'_>, seen: impl Iterator<Item = &'h String>, hosts: i64, only: bool) {
    let mut seen = seen.peekable();
    let (mut count, mut before) = (0_i64, None::<String>);
    let mut wrong: Option<String> = None;
    let read = folder.elements(NAMES, |name| {
        count += 1;
        let Some(name) = name.as_str() else {
            wrong.get_or_insert_with(|| format!("element {count} is {name}, and no name"));
            return;
        };
        if before.as_deref().is_some_and(|before| before >= name) {
            wrong.get_or_insert_with(|| format!("element {count}, {name}, is not sorted"));
        }
        before = Some(name.to_owned());
        match seen.peek() {
            Some(next) if next.as_str() == name => _ = seen.next(),
            Some(next) if next.as_str() < name => {
                wrong.get_or_insert_with(|| format!("it has not {next}, which has packets; {name} stands there"));
            }
            _ if only => _ = wrong.get_or_insert_with(|| format!("it has {name}, which has no packets")),
            _ => {}
        }
    });
    if !read {
        return;
    }
    if let Some(next) = seen.next() {
        wrong.get_or_insert_with(|| format!("it has not {next}, which has packets"));
    }
    let then = "viewers of stored hosts list other ones";
    if let Some(wrong) = wrong {
        folder.problem(NAMES, wrong, then);
    }
    folder.findings.equal(NAMES, "its length, by unique_ips of the manifest,", &hosts, &count, then);
}

/// The hundredths of the time, against the packets of which the times are known: all, if `exact`. Those of the last time are counted apart,
/// for the original has them in no hundredth: these alone may be missing, or one, if it is not known which they are, and only where the last
/// hundredth has no room for them.
pub(super) fn hundredths(folder: &mut Folder<'_>, bins: &Bins, at_last: i64, packets: i64, exact: bool) {
    let mut is: Vec<[i64; 4]> = bins.counted(packets.unsigned_abs()).map(|bin| bin.map(clamp)).collect();
    if packets == 0 {
        is.clear();
    }
    let is_one = is.len() == 1;
    let (mut says, mut place): (Vec<i64>, usize) = (Vec::new(), 0);
    let mut wrong: Option<String> = None;
    let read = folder.elements(BINS, |bin| {
        let told = ["bin", "start", "end", "count"].map(|name| bin[name].as_i64());
        match (is.get(place), told) {
            (Some([n, start, end, _]), [Some(a), Some(b), Some(c), Some(count)])
                if (a, b, c) == (*n, *start, *end) && count >= 0 =>
            {
                says.push(count);
            }
            (None, _) => _ = wrong.get_or_insert_with(|| format!("it has more than {} bins", is.len())),
            (Some([n, start, end, _]), _) => {
                let what = || format!("element {place} is {bin}, where bin {n} from {start} to {end} has its place");
                wrong.get_or_insert_with(what);
            }
        }
        place += 1;
    });
    if !read {
        return;
    }
    if place < is.len() {
        wrong.get_or_insert_with(|| format!("it has {place} bins, of {}", is.len()));
    }
    let then = "viewers of stored bins draw other numbers of packets";
    let sum = says.iter().fold(0_i64, |sum, n| sum.saturating_add(*n));
    let without_last = packets.saturating_sub(sum);
    let at_end = if exact { at_last } else { at_last.max(1) };
    let has_room = is.last().zip(says.last()).is_some_and(|([.., is], says)| *says >= is.saturating_add(at_end));
    let leaves_last = !is_one && without_last > 0 && without_last == at_end && !has_room;
    if let Some(last) = is.last_mut().filter(|_| !is_one && !leaves_last) {
        last[3] = last[3].saturating_add(at_last);
    }
    if sum != packets && !leaves_last {
        folder.problem(BINS, format_args!("{sum} packets, of {packets}"), then);
    }
    for ([n, _, _, is], says) in is.iter().zip(&says).filter(|_| wrong.is_none()) {
        if says < is || exact && says != is {
            folder.problem(BINS, format_args!("bin {n}: count is {says}, and {is} packets are of its time"), then);
        }
    }
    if let Some(wrong) = wrong {
        folder.problem(BINS, wrong, then);
    }
    if leaves_last {
        folder.findings.hidden.push(format!("{without_last} packets of the last time, which no bin counts"));
    }
}

fn clamp(n: i128) -> i64 {
    i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX })
}
