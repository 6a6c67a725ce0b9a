//! Candidates, and which of them are scanners.

use std::net::IpAddr;

use super::contacts::Contacts;
use super::forest::{Label, labels};
use super::summary::Kind;
use crate::config::{Config, ScanPolicy};
use crate::views::groups::Transport;

/// A source that is collapsed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scanner {
    /// The source.
    pub src: IpAddr,
    /// With which transport; nothing for all.
    pub transport: Option<Transport>,
    /// Its share of SYN-only packets.
    pub syn_only_ratio: f64,
    /// The shape.
    pub kind: Kind,
    /// What the forest said.
    pub forest: Option<Label>,
}

/// The verdict of one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Sources over a threshold.
    pub candidates: u64,
    /// Candidates that the forest spared.
    pub spared: u64,
    /// Who is collapsed, by address.
    pub scanners: Vec<Scanner>,
}

/// Fewest candidates for which a forest is fitted.
const FOREST_FROM: usize = 3;

fn is_horizontal(contacts: &Contacts, config: &Config) -> bool {
    contacts.dsts > config.scan_unique_dsts_threshold
}

fn is_vertical(contacts: &Contacts, config: &Config) -> bool {
    contacts.most_ports > config.scan_unique_ports_threshold
}

/// Whether more than two thirds of the contacts failed. Half is not enough: of a busy client's short conversations two in
/// five may show one packet only, and among a thousand clients with fifty of them some exceed half by chance.
fn mostly_failed(contacts: &Contacts) -> bool {
    contacts.failed.saturating_mul(3) > contacts.contacts.saturating_mul(2)
}

/// Whether a source is over a threshold; the original knows only that of destinations.
#[must_use]
pub fn is_candidate(contacts: &Contacts, config: &Config) -> bool {
    is_horizontal(contacts, config) || (config.scan_policy == ScanPolicy::Guarded && is_vertical(contacts, config))
}

/// Decides among `candidates`, which are sorted by source; `ratio` tells the share of SYN-only packets among a source's TCP packets.
pub fn decide(
    candidates: &[Contacts],
    config: &Config,
    mut ratio: impl FnMut(IpAddr, Option<Transport>) -> f64,
) -> Verdict {
    let guarded = config.scan_policy == ScanPolicy::Guarded;
    let mut verdict = Verdict { candidates: candidates.len() as u64, ..Verdict::default() };
    let suspects: Vec<&Contacts> = candidates.iter().filter(|c| !guarded || mostly_failed(c)).collect();
    let ratios: Vec<f64> = suspects.iter().map(|c| ratio(c.src, c.transport)).collect();

    // SYN-only packets tell TCP scanners apart; other transports have none, and no forest in the guarded policy.
    let fitted: Vec<usize> =
        (0..suspects.len()).filter(|&i| !guarded || suspects[i].transport == Some(Transport::Tcp)).collect();
    let mut forest: Vec<Option<Label>> = vec![None; suspects.len()];
    let mut median = 0.0;
    if fitted.len() >= FOREST_FROM {
        let values: Vec<f64> = fitted.iter().map(|&i| ratios[i]).collect();
        let trees = config.iforest_estimators as usize;
        let found = labels(&values, trees, config.iforest_contamination, config.iforest_random_state);
        for (&i, label) in fitted.iter().zip(found) {
            forest[i] = Some(label);
        }
        median = median_of(values);
    }
    for ((suspect, ratio), label) in suspects.into_iter().zip(ratios).zip(forest) {
        let collapsed = match config.scan_policy {
            ScanPolicy::Guarded => label != Some(Label::Outlier) || ratio >= median,
            ScanPolicy::Original => label == Some(Label::Inlier),
        };
        if !collapsed {
            verdict.spared += 1;
            continue;
        }
        let kind = match (is_horizontal(suspect, config), is_vertical(suspect, config)) {
            (true, true) => Kind::Block,
            (false, true) => Kind::Vertical,
            _ => Kind::Horizontal,
        };
        verdict.scanners.push(Scanner {
            src: suspect.src,
            transport: suspect.transport,
            syn_only_ratio: ratio,
            kind,
            forest: label,
        });
    }
    verdict
}

/// The middle value, or the mean of the two middle ones.
fn median_of(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (0, Some(a), Some(b)) => (a + b) / 2.0,
        (_, _, Some(b)) => *b,
        _ => 0.0,
    }
}
