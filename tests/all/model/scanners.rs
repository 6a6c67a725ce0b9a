//! Who is a candidate, and who of them is collapsed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use pcap_compactor::config::{Config, ScanPolicy};
use pcap_compactor::scan::forest::{Label, labels};

use super::{Expected, Key};

/// A source that is collapsed.
pub(super) struct Scanner {
    pub(super) ratio: f64,
    pub(super) kind: &'static str,
    pub(super) forest: &'static str,
}

/// A source by address and transport, or by address alone in the original's policy.
pub(super) type Source = (IpAddr, Option<u8>);

/// What a source touched, and whether it was answered.
type Contacts<'k> = Vec<(&'k Key, bool)>;

/// The scanners of a window.
pub(super) fn scanners(
    contacts: &BTreeMap<Key, bool>,
    config: &Config,
    ratio: impl Fn(IpAddr) -> f64,
    expected: &mut Expected,
) -> BTreeMap<Source, Scanner> {
    let guarded = config.scan_policy == ScanPolicy::Guarded;
    let mut sources: BTreeMap<Source, Contacts> = BTreeMap::new();
    for (key, &answered) in contacts {
        sources.entry((key.0, guarded.then_some(key.3))).or_default().push((key, answered));
    }
    let mut suspects = Vec::new();
    for (source, contacts) in sources {
        let dsts: BTreeSet<IpAddr> = contacts.iter().map(|(key, _)| key.1).collect();
        // A port of TCP and one of UDP are two.
        let most_ports = dsts.iter().map(|dst| contacts.iter().filter(|(key, _)| key.1 == *dst).count() as u64).max();
        let horizontal = dsts.len() as u64 > config.scan_unique_dsts_threshold;
        let vertical = most_ports.is_some_and(|ports| ports > config.scan_unique_ports_threshold);
        if !(horizontal || guarded && vertical) {
            continue;
        }
        expected.candidates += 1;
        let failed = contacts.iter().filter(|(_, answered)| !answered).count();
        if guarded && failed * 3 <= contacts.len() * 2 {
            continue;
        }
        let kind = match (horizontal, vertical) {
            (true, true) => "block",
            (false, true) => "vertical",
            _ => "horizontal",
        };
        // Only TCP has SYNs.
        let ratio = if source.1.is_none_or(|transport| transport == 0) { ratio(source.0) } else { 0.0 };
        suspects.push((source, ratio, kind));
    }
    let fitted: Vec<f64> = suspects.iter().filter(|s| !guarded || s.0.1 == Some(0)).map(|s| s.1).collect();
    let mut found = None;
    if fitted.len() >= 3 {
        let (trees, seed) = (config.iforest_estimators as usize, config.iforest_random_state);
        found = Some(labels(&fitted, trees, config.iforest_contamination, seed).into_iter());
    }
    let median = {
        let mut sorted = fitted.clone();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        if n == 0 { 0.0 } else { (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0 }
    };
    let mut scanners = BTreeMap::new();
    for (source, ratio, kind) in suspects {
        let judged = !guarded || source.1 == Some(0);
        let label = if judged { found.as_mut().and_then(Iterator::next) } else { None };
        let collapsed =
            if guarded { !(label == Some(Label::Outlier) && ratio < median) } else { label == Some(Label::Inlier) };
        let forest = match label {
            None => "none",
            Some(Label::Inlier) => "inlier",
            Some(Label::Outlier) => "outlier",
        };
        if collapsed {
            scanners.insert(source, Scanner { ratio, kind, forest });
        } else {
            expected.spared += 1;
        }
    }
    scanners
}
