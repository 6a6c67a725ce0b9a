//! What an enricher has noted of one sender in one slice, mergeable in any order.

use std::collections::BTreeMap;

use super::sample::Sample;
use crate::decode::packet::Packet;
use crate::table::key::FiveTuple;

/// One TCP segment as an enricher sees it.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// The captured payload, without link-layer padding; never empty.
    pub payload: &'a [u8],
    /// The packet that carried it.
    pub packet: &'a Packet,
    /// Its flow.
    pub flow: FiveTuple,
}

/// Everything noted: counts by name, marks that were seen, and a sample of tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// How often each thing was seen.
    pub counts: BTreeMap<&'static str, u64>,
    /// Marks seen at least once, by number (an entry of a lexicon, say).
    pub marks: std::collections::BTreeSet<u16>,
    /// Tokens, of which a bounded sample is kept.
    pub sample: Sample,
}

impl Notes {
    /// Adds what `other` holds. Commutative and associative.
    pub fn merge(&mut self, other: Notes) {
        for (name, n) in other.counts {
            *self.counts.entry(name).or_default() += n;
        }
        self.marks.extend(other.marks);
        self.sample.merge(other.sample);
    }

    /// Whether nothing was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.marks.is_empty() && self.sample.total() == 0
    }
}

/// A group's section of one application protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The field's name in the record: `http`.
    pub name: &'static str,
    /// What it holds.
    pub body: Body,
}

/// What a section holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `{"uri_tokens": [...], "uri_tokens_total": n}`.
    Tokens {
        /// The tokens kept: marks first, then the sample in order of occurrence.
        tokens: Vec<String>,
        /// Occurrences of tokens before sampling.
        total: u64,
        /// Whether the sample's Bernoulli trial was applied; it may by luck have left none out.
        sampled: bool,
    },
    /// Counts by name.
    Counts(BTreeMap<&'static str, u64>),
}
