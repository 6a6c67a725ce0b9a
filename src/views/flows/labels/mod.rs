//! Labels: what flows are known to be, by rules that say between whom and when.
//!
//! A file of rules is TOML:
//!
//! ```toml
//! zone = "America/Moncton"      # of times without an offset; UTC unless said
//! default = "BENIGN"            # of flows that no rule is about; none unless said
//! attackers = ["172.16.0.1"]    # whose flows ought to have a rule; the sources of all rules unless said
//!
//! [[rule]]
//! label = "DoS Hulk"
//! from = "2017-07-05T10:43"     # on or after; any time unless said
//! to = "2017-07-05T11:00"       # before
//! src = "172.16.0.1"            # addresses and networks, one or a list; any unless said
//! dst = ["192.168.10.0/24"]
//! dst_port = [80, "8000-8010"]  # ports and ranges; so `src_port`
//! protocol = "tcp"              # names or numbers
//! direction = "forward"         # src is the client; `either`, unless said: or dst is
//! priority = 10                 # of several rules the greatest counts; 0 unless said
//! ```
//!
//! A flow is where its first packet is in time. Rules of one priority and different labels that one flow could match are
//! refused: their order in the file would decide silently.
//!
//! The [`Report`] tells what labels published with captures were found to get wrong: flows of attackers without a label,
//! rules that match nothing or that others hide, and a clock that is off, as of a zone that was mistaken.

mod file;
mod hosts;
mod rule;
mod tally;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;

use crate::error::{Error, Result};
use crate::views::flows::FlowRecord;
use hosts::Hosts;
use rule::{Rule, Subject};
use tally::Tally;

pub use tally::{Idle, Offset, Overlap, Report};

/// Rules, and what they came to so far.
#[derive(Debug)]
pub struct Labels {
    /// The greatest priority first, then as in the file.
    rules: Vec<Rule>,
    hosts: Hosts,
    default: Option<Arc<str>>,
    attackers: Vec<IpNet>,
    tally: Mutex<Tally>,
}

impl Labels {
    /// Reads a file of rules.
    ///
    /// # Errors
    /// It cannot be read, is not UTF-8, or as [`Labels::from_toml`].
    pub fn load(path: &Path) -> Result<Labels> {
        let bytes = std::fs::read(path).map_err(|source| Error::io("read", path, source))?;
        let text = file::text(&bytes).map_err(|mistake| mistake.tell(&String::from_utf8_lossy(&bytes)));
        let labels = text.and_then(Labels::from_toml);
        labels.map_err(|error| Error::config(format!("{}: {error}", path.display())))
    }

    /// Reads rules.
    ///
    /// # Errors
    /// No TOML, an unknown key, a value that is none of its kind, or two rules of one priority and different labels that
    /// one flow could match. The message names line and column.
    pub fn from_toml(text: &str) -> Result<Labels> {
        let read = file::read(text).map_err(|mistake| mistake.tell(text))?;
        let mut rules = read.rules;
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
        let lines = file::Lines::of(text);
        if let Some([first, second]) = rule::undecided(&rules) {
            let forward = if first.meets_forward(second) {
                ""
            } else {
                ", or both `direction = \"forward\"` if their `src` is always the client"
            };
            let reason = format!(
                "one flow can match this rule and that of line {}, of the same priority and another label; \
                 give one of them a greater `priority`{forward}",
                lines.line(first.at)
            );
            return Err(file::Mistake::new(second.at, reason).tell(text));
        }
        let sources = || rules.iter().flat_map(|rule| rule.src.iter().copied()).collect();
        let attackers = read.attackers.unwrap_or_else(sources);
        let lines = rules.iter().map(|rule| lines.line(rule.at)).collect();
        let (hosts, tally) = (Hosts::of(&rules), Mutex::new(Tally::new(lines)));
        Ok(Labels { attackers, default: read.default, tally, hosts, rules })
    }

    /// The same rules, which have come to nothing yet, for another run.
    #[must_use]
    pub fn anew(&self) -> Labels {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner).anew();
        Labels {
            rules: self.rules.clone(),
            hosts: self.hosts.clone(),
            default: self.default.clone(),
            attackers: self.attackers.clone(),
            tally: Mutex::new(tally),
        }
    }

    /// The label of a flow, which is counted in the report.
    #[must_use]
    pub fn label(&self, flow: &FlowRecord) -> Option<Arc<str>> {
        self.label_of(&Subject::of(flow))
    }

    fn label_of(&self, subject: &Subject) -> Option<Arc<str>> {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Option<usize> = None;
        let rules = self.hosts.places(subject).into_iter().map(|place| (place, &self.rules[place]));
        for (place, rule) in rules.filter(|(_, rule)| rule.is_about(subject)) {
            tally.could_match(&rule.window, subject.first);
            if !rule.window.contains(&subject.first) {
                continue;
            }
            match found {
                None => found = Some(place),
                Some(first) if self.rules[first].label != rule.label => tally.hide(first, place),
                Some(_) => {}
            }
        }
        match found {
            Some(place) => tally.match_rule(place, &self.rules[place].label),
            None => tally.miss(self.attackers.iter().any(|net| net.contains(&subject.src.0)).then_some(subject)),
        }
        found.map(|place| Arc::clone(&self.rules[place].label)).or_else(|| self.default.clone())
    }

    /// What the rules came to for all flows that were labelled.
    #[must_use]
    pub fn report(&self) -> Report {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.report(self.rules.iter().map(|rule| &*rule.label))
    }
}

#[cfg(test)]
mod tests;
