//! Which columns of two dialects are of one thing.

use super::super::{Dialect, Switched};
use crate::views::flows::columns::Kind;
use crate::views::flows::{Cell, FeatureColumn};

/// Names of one thing in dialects of different programs, that of CICFlowMeter first. Where two of them have a name in common,
/// it is taken for one thing anyway, unless it is a number in one and none in the other.
const SAME: &[&[&str]] = &[
    &["Src IP", "src_ip", "IPV4_SRC_ADDR"],
    &["Dst IP", "dst_ip", "IPV4_DST_ADDR"],
    &["Src Port", "src_port", "L4_SRC_PORT"],
    &["Dst Port", "dst_port", "L4_DST_PORT"],
    &["Protocol", "PROTOCOL"],
    &["start_time", "FLOW_START_MILLISECONDS"],
    &["end_time", "FLOW_END_MILLISECONDS"],
    &["Flow Duration", "duration_seconds", "duration", "FLOW_DURATION_MILLISECONDS"],
    &["Total Fwd Packet", "forward_packets", "up_packet_count", "IN_PKTS"],
    &["Total Bwd packets", "backward_packets", "down_packet_count", "OUT_PKTS"],
    &["total_packets", "packet_count"],
    &["total_bytes", "byte_count"],
    &["forward_bytes", "up_byte_count"],
    &["backward_bytes", "down_byte_count"],
    &["feature.ip_lengths.up_sum", "IN_BYTES"],
    &["feature.ip_lengths.down_sum", "OUT_BYTES"],
    &["feature.ip_lengths.min", "MIN_IP_PKT_LEN"],
    &["feature.ip_lengths.max", "MAX_IP_PKT_LEN"],
    &["Flow Packets/s", "packets_per_second"],
    &["Flow IAT Mean", "avg_inter_arrival_ms", "feature.iats.mean"],
    &["Flow IAT Max", "max_inter_arrival_ms", "feature.iats.max"],
    &["Flow IAT Min", "min_inter_arrival_ms", "feature.iats.min"],
    &["Fwd IAT Mean", "SRC_TO_DST_IAT_AVG"],
    &["Fwd IAT Max", "SRC_TO_DST_IAT_MAX"],
    &["Fwd IAT Min", "SRC_TO_DST_IAT_MIN"],
    &["Bwd IAT Mean", "DST_TO_SRC_IAT_AVG"],
    &["Bwd IAT Max", "DST_TO_SRC_IAT_MAX"],
    &["Bwd IAT Min", "DST_TO_SRC_IAT_MIN"],
    &["FIN Flag Count", "fin_count"],
    &["RST Flag Count", "rst_count"],
    &["ACK Flag Count", "ack_count"],
    &["Label", "Attack"],
];

/// What each column of a dialect is of.
fn meanings(dialect: &Dialect) -> Vec<&'static str> {
    match &dialect.switches {
        Some(Switched::Cic(preset, ..)) => preset.meanings(),
        _ => dialect.columns().iter().map(|column| meaning(column.name)).collect(),
    }
}

fn meaning(name: &'static str) -> &'static str {
    SAME.iter().find(|names| names.contains(&name)).map_or(name, |names| names[0])
}

/// A column of two dialects.
pub(super) struct Pair {
    pub(super) names: [&'static str; 2],
    pub(super) unit: &'static str,
    /// Its places.
    pub(super) at: [usize; 2],
    /// What brings numbers of the second to the unit of the first.
    factor: f64,
    /// The farthest apart that numbers may be called one where that is not 1, in the unit of the first.
    near: f64,
    /// Its numbers are names, so it means nothing how far apart they are.
    names_things: bool,
}

/// Columns whose numbers are names.
const NAMES: [&str; 3] = ["Src Port", "Dst Port", "Protocol"];

/// The columns that two dialects have in common, in the order of the first.
pub(super) fn pairs(first: &Dialect, second: &Dialect) -> Vec<Pair> {
    let [columns, others] = [first, second].map(Dialect::columns);
    let theirs = meanings(second);
    // A program writes one thing as text or as a number, as its switches say. Of two programs these are two things: the 0 and 1
    // of one `Label` are none of the words of another.
    let family = matches!([&first.switches, &second.switches], [Some(Switched::Cic(..)), Some(Switched::Cic(..))]);
    let alike = |ours: Kind, theirs: Kind| family || is_number(ours) == is_number(theirs);
    let pair = |(at, (meaning, ours)): (usize, (&'static str, FeatureColumn))| {
        let same = |(other, of): (&&str, &FeatureColumn)| *other == meaning && alike(ours.kind, of.kind);
        let other = theirs.iter().zip(&others).position(same)?;
        let units = [seconds(ours.unit), seconds(others[other].unit)];
        let factor = if let [Some(ours), Some(theirs)] = units { theirs / ours } else { 1.0 };
        let near = units[0].map_or(f64::INFINITY, |seconds| NEAR_SECONDS / seconds);
        let names = [ours.name, others[other].name];
        Some(Pair { names, unit: ours.unit, at: [at, other], factor, near, names_things: NAMES.contains(&meaning) })
    };
    meanings(first).into_iter().zip(columns).enumerate().filter_map(pair).collect()
}

fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Integer | Kind::Float)
}

/// A unit of time in seconds.
fn seconds(unit: &str) -> Option<f64> {
    match unit {
        "s" => Some(1.0),
        "ms" => Some(1e-3),
        "µs" => Some(1e-6),
        _ => None,
    }
}

/// The nearest two numbers may be that are called one after one of them was brought to another unit, relative.
const NEAR: f64 = 1e-9;

/// As [`NEAR`] of times, s: of those since 1970 a billionth is more than a second.
const NEAR_SECONDS: f64 = 1e-6;

impl Pair {
    /// Whether two cells say the same. An integer and a float do if they are equal.
    pub(super) fn same(&self, ours: &Cell<'_>, theirs: &Cell<'_>) -> bool {
        match self.numbers(ours, theirs) {
            Some([a, b]) if self.factor != 1.0 => (a - b).abs() <= self.near.min(NEAR * a.abs().max(b.abs())),
            Some([a, b]) => a == b && whole(ours).zip(whole(theirs)).is_none_or(|(a, b)| a == b),
            None => ours == theirs,
        }
    }

    /// Two numbers that can be taken from one another, in the unit of the first.
    pub(super) fn amounts(&self, ours: &Cell<'_>, theirs: &Cell<'_>) -> Option<[f64; 2]> {
        self.numbers(ours, theirs).filter(|_| !self.names_things)
    }

    /// Two numbers, in the unit of the first.
    fn numbers(&self, ours: &Cell<'_>, theirs: &Cell<'_>) -> Option<[f64; 2]> {
        Some([number(ours)?, number(theirs)? * self.factor])
    }
}

fn number(cell: &Cell<'_>) -> Option<f64> {
    match *cell {
        Cell::Count(n) => Some(n as f64),
        Cell::Integer(n) => Some(n as f64),
        Cell::Float(n) if n.is_finite() => Some(n),
        _ => None,
    }
}

/// A whole number, which a float may not tell from its neighbour.
fn whole(cell: &Cell<'_>) -> Option<i128> {
    match *cell {
        Cell::Count(n) => Some(n.into()),
        Cell::Integer(n) => Some(n.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Dialect {
        name.parse().unwrap()
    }

    #[test]
    fn columns_of_the_family_are_matched_by_what_they_are() {
        const FAMILY: [&str; 5] = ["cic", "cic-java", "cic-engelen", "cic-2018", "cic-2017"];
        for [first, second] in FAMILY.into_iter().flat_map(|first| FAMILY.map(|second| [first, second])) {
            let [columns, others] = [first, second].map(|name| of(name).columns());
            let pairs = pairs(&of(first), &of(second));
            // Each has at least the 84, and no formula of the one stands over another of the other.
            assert_eq!(pairs.len(), if first == second { columns.len() } else { 84 });
            for Pair { at: [ours, theirs], factor, .. } in pairs {
                let [ours, theirs] = [columns[ours], others[theirs]];
                assert_eq!((ours.unit, ours.about, factor), (theirs.unit, theirs.about, 1.0));
            }
        }
    }

    #[test]
    fn every_name_of_the_table_is_that_of_a_column_and_times_come_to_one_unit() {
        let all: Vec<_> = Dialect::NAMES.iter().flat_map(|name| of(name).columns()).collect();
        for name in SAME.iter().copied().flatten() {
            assert!(all.iter().any(|column| column.name == *name), "{name}");
        }
        let pairs = pairs(&of("cic"), &of("nexus"));
        let duration = pairs.iter().find(|pair| pair.names == ["Flow Duration", "duration_seconds"]).unwrap();
        assert!(duration.same(&Cell::Integer(1_234_567), &Cell::Float(1.234_567)));
        assert!(!duration.same(&Cell::Integer(1_234_567), &Cell::Float(1.234_568)));
        let packets = pairs.iter().find(|pair| pair.names[1] == "forward_packets").unwrap();
        assert!(packets.same(&Cell::Count(2), &Cell::Float(2.0)) && !packets.same(&Cell::Count(2), &Cell::Count(3)));
        assert!(!packets.same(&Cell::Count(u64::MAX), &Cell::Count(u64::MAX - 1)));
        assert!(!packets.same(&Cell::Count(0), &Cell::Absent) && packets.same(&Cell::Absent, &Cell::Absent));
    }

    #[test]
    fn labels_are_paired_by_what_they_are_and_not_by_their_spelling() {
        let names = |first: &str, second: &str| pairs(&of(first), &of(second)).iter().map(|pair| pair.names).collect();
        let paired: Vec<_> = names("nf-v3", "cic");
        assert_eq!(
            paired,
            [
                ["IPV4_SRC_ADDR", "Src IP"],
                ["L4_SRC_PORT", "Src Port"],
                ["IPV4_DST_ADDR", "Dst IP"],
                ["L4_DST_PORT", "Dst Port"],
                ["PROTOCOL", "Protocol"],
                ["IN_PKTS", "Total Fwd Packet"],
                ["OUT_PKTS", "Total Bwd packets"],
                ["FLOW_DURATION_MILLISECONDS", "Flow Duration"],
                ["SRC_TO_DST_IAT_MIN", "Fwd IAT Min"],
                ["SRC_TO_DST_IAT_MAX", "Fwd IAT Max"],
                ["SRC_TO_DST_IAT_AVG", "Fwd IAT Mean"],
                ["DST_TO_SRC_IAT_MIN", "Bwd IAT Min"],
                ["DST_TO_SRC_IAT_MAX", "Bwd IAT Max"],
                ["DST_TO_SRC_IAT_AVG", "Bwd IAT Mean"],
                ["Attack", "Label"],
            ]
        );
        let paired: Vec<_> = names("cic", "nf-v2");
        assert_eq!(paired.last(), Some(&["Label", "Attack"]));
        let paired: Vec<_> = names("nf-v3", "nf-v2");
        assert!(paired.len() == 44 && paired.iter().all(|[ours, theirs]| ours == theirs), "{paired:?}");
        // One is text, and the other a number.
        for [first, second, name] in [["nexus", "wa1kpcap", "start_time"], ["nexus", "nf-v3", "protocol"]] {
            let paired: Vec<_> = names(first, second);
            assert!(paired.iter().all(|names| names[0] != name), "{paired:?}");
        }
    }

    #[test]
    fn times_since_1970_are_told_apart_to_a_millisecond() {
        let pairs = pairs(&of("nf-v3"), &of("wa1kpcap"));
        let start = pairs.iter().find(|pair| pair.names == ["FLOW_START_MILLISECONDS", "start_time"]).unwrap();
        let at = |seconds| start.same(&Cell::Integer(1_499_342_430_123), &Cell::Float(seconds));
        assert!(at(1_499_342_430.123) && !at(1_499_342_430.124) && !at(1_499_342_430.123_01));
    }
}
