//! A bounded sample of tokens that does not depend on the order in which they come.
//!
//! Every occurrence of a token has a draw of its own: 64 bits that follow from the run's seed and from where the token
//! stands (who sent it to whom, in which flow, when, at which byte), and from nothing else. A sample keeps the occurrences
//! with the smallest draws and the exact number of all of them, so parts of it can be made by any worker and merged in any
//! order. The probability of the Bernoulli trial depends on that number and is therefore applied last, in [`Sample::finish`].
//!
//! A reservoir would need less thought, but its content depends on the order of arrival; a trial at intake would need
//! the final number of tokens before it is known.
//!
//! Memory: at most `capacity` occurrences of at most [`MAX_TOKEN_BYTES`] bytes. An empty sample owns no memory.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::notes::Segment;
use crate::table::key::FiveTuple;
use crate::time::Timestamp;

/// Longest token text that is kept, in bytes; a longer one is cut at the character before. It still counts as one.
pub const MAX_TOKEN_BYTES: usize = 1024;

/// How many occurrences a sample keeps for a budget of `budget` tokens: 128 for the default of 40, never fewer.
///
/// The number that passes the trial is binomial with mean `budget` and a standard deviation below its root, so more
/// than 3.2 times the budget lies 14 deviations out at 40 tokens.
#[must_use]
pub fn capacity(budget: usize) -> usize {
    (budget.saturating_mul(16) / 5).max(128)
}

/// One occurrence of a token. Ordered by draw, then by where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Occurrence {
    draw: u64,
    time: Timestamp,
    flow: FiveTuple,
    position: u32,
    text: Box<str>,
}

impl Occurrence {
    fn by_place(&self, other: &Self) -> Ordering {
        (self.time, &self.flow, self.position, &self.text).cmp(&(other.time, &other.flow, other.position, &other.text))
    }
}

#[derive(Clone, Debug)]
struct Kept {
    capacity: usize,
    total: u64,
    /// The largest draw is on top.
    smallest: BinaryHeap<Occurrence>,
}

/// The occurrences with the smallest draws, and how many there were in all.
#[derive(Clone, Debug, Default)]
pub struct Sample(Option<Box<Kept>>);

impl Sample {
    /// Adds one occurrence of a token at byte `position` of `segment`'s payload.
    ///
    /// `text` is only called when the occurrence is kept. All parts of one sample are given the same `capacity`; were
    /// they not, the largest would hold from then on.
    pub fn add(
        &mut self,
        capacity: usize,
        draws: &Draws,
        segment: &Segment<'_>,
        position: u32,
        text: impl FnOnce() -> String,
    ) {
        let kept = self.0.get_or_insert_with(|| Box::new(Kept { capacity: 0, total: 0, smallest: BinaryHeap::new() }));
        kept.capacity = kept.capacity.max(capacity);
        kept.total = kept.total.saturating_add(1);
        let draw = draws.at(position);
        // A draw above the largest kept can be told without its text; an equal one cannot.
        if kept.smallest.len() >= kept.capacity && kept.smallest.peek().is_none_or(|top| draw > top.draw) {
            return;
        }
        let time = segment.packet.time;
        kept.push(Occurrence { draw, time, flow: segment.flow, position, text: cut(text()).into_boxed_str() });
    }

    /// Occurrences added, kept or not.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.as_ref().map_or(0, |kept| kept.total)
    }

    /// Adds what `other` holds. Commutative and associative.
    pub fn merge(&mut self, other: Sample) {
        let Some(mut theirs) = other.0 else { return };
        let Some(ours) = &mut self.0 else {
            self.0 = Some(theirs);
            return;
        };
        if ours.smallest.len() < theirs.smallest.len() {
            std::mem::swap(ours, &mut theirs);
        }
        ours.capacity = ours.capacity.max(theirs.capacity);
        ours.total = ours.total.saturating_add(theirs.total);
        for occurrence in theirs.smallest {
            ours.push(occurrence);
        }
    }

    /// The tokens that the trial leaves, in the order in which they stand, and whether there was a trial.
    ///
    /// With no more occurrences than `budget` all are kept and there is none. Otherwise each is kept with probability
    /// `budget / total`: when its draw is below that share of 2^64, in exact integers. The number kept is binomial
    /// with mean `budget`; it may exceed it, and may by luck leave nothing out.
    #[must_use]
    pub fn finish(self, budget: usize) -> (Vec<String>, bool) {
        let Some(kept) = self.0 else { return (Vec::new(), false) };
        let sampled = kept.total > budget as u64;
        let (budget, total) = (budget as u128, u128::from(kept.total));
        let mut passed: Vec<Occurrence> = kept
            .smallest
            .into_iter()
            .filter(|occurrence| !sampled || u128::from(occurrence.draw) * total < budget << 64)
            .collect();
        passed.sort_unstable_by(Occurrence::by_place);
        (passed.into_iter().map(|occurrence| occurrence.text.into_string()).collect(), sampled)
    }
}

impl Kept {
    fn push(&mut self, occurrence: Occurrence) {
        if self.smallest.len() < self.capacity {
            self.smallest.push(occurrence);
        } else if let Some(mut top) = self.smallest.peek_mut()
            && occurrence < *top
        {
            *top = occurrence;
        }
    }
}

/// Two samples are equal when they keep the same occurrences of equally many.
impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        let content = |sample: &Sample| {
            let kept = sample.0.clone()?;
            Some((kept.capacity, kept.total, kept.smallest.into_sorted_vec()))
        };
        content(self) == content(other)
    }
}

/// The draws of the tokens of one segment.
///
/// Each is the first output of a Xoshiro256++ seeded with a hash of the run's seed, the sender's address and port, the
/// receiver's address and port, the protocol, the packet's time in nanoseconds, and the byte position. Sender, receiver
/// and protocol name both the 5-tuple and the group as seen from the sender. The hash is a chain of the SplitMix64 finaliser
/// (Steele, Lea, Flood 2014; constants of Vigna's `splitmix64.c`) over these fields as 64-bit words, and thus the same
/// on every platform.
#[derive(Clone, Copy, Debug)]
pub struct Draws(u64);

impl Draws {
    /// The draws of `segment` in a run with this seed.
    #[must_use]
    pub fn of(seed: u64, segment: &Segment<'_>) -> Draws {
        let packet = segment.packet;
        let ports = u64::from(packet.src_port) << 32 | u64::from(packet.dst_port) << 16;
        let kind = u64::from(packet.protocol) << 1 | u64::from(packet.v6);
        let words = [
            (packet.src >> 64) as u64,
            packet.src as u64,
            (packet.dst >> 64) as u64,
            packet.dst as u64,
            ports | kind,
            packet.time.ns().cast_unsigned(),
        ];
        Draws(words.into_iter().fold(mix(seed), absorb))
    }

    /// The draw of the token at this byte of the payload.
    #[must_use]
    pub fn at(&self, position: u32) -> u64 {
        Xoshiro256PlusPlus::seed_from_u64(absorb(self.0, u64::from(position))).next_u64()
    }
}

fn absorb(state: u64, word: u64) -> u64 {
    mix(state.rotate_left(23) ^ word)
}

fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_TOKEN_BYTES {
        let end = (0..=MAX_TOKEN_BYTES).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::packet::Packet;
    use proptest::prelude::*;

    fn packet(host: u8, port: u16, ns: i64) -> Packet {
        Packet {
            src: 0x0a00_0000 | u128::from(host),
            dst: 0xc0a8_0001,
            src_port: port,
            dst_port: 80,
            protocol: 6,
            time: Timestamp(ns),
            ..Packet::default()
        }
    }

    /// Adds `tokens` tokens of one packet, named by their number.
    fn fill(sample: &mut Sample, seed: u64, packet: &Packet, tokens: u32) {
        let segment = Segment { payload: b"x", packet, flow: FiveTuple::of(packet).0 };
        let draws = Draws::of(seed, &segment);
        for position in 0..tokens {
            sample.add(128, &draws, &segment, position, || position.to_string());
        }
    }

    #[test]
    fn an_empty_sample_is_one_word_and_yields_nothing() {
        assert_eq!(size_of::<Sample>(), size_of::<usize>());
        assert_eq!(Sample::default().total(), 0);
        assert_eq!(Sample::default().finish(40), (Vec::new(), false));
    }

    #[test]
    fn tokens_within_the_budget_are_all_kept_in_order_of_time_flow_and_position() {
        let mut sample = Sample::default();
        fill(&mut sample, 1, &packet(1, 1000, 20), 2);
        fill(&mut sample, 1, &packet(1, 2000, 10), 1);
        fill(&mut sample, 1, &packet(1, 500, 20), 3);
        assert_eq!(sample.clone().finish(6), (["0", "0", "1", "2", "0", "1"].map(String::from).to_vec(), false));
        assert!(sample.finish(5).1);
    }

    #[test]
    fn a_budget_of_nothing_keeps_nothing() {
        let mut sample = Sample::default();
        fill(&mut sample, 1, &packet(1, 1000, 20), 2);
        assert_eq!(sample.finish(0), (Vec::new(), true));
    }

    #[test]
    fn draws_are_the_same_in_every_build() {
        let packet = packet(1, 1000, 20);
        let segment = Segment { payload: b"x", packet: &packet, flow: FiveTuple::of(&packet).0 };
        let draws = Draws::of(42, &segment);
        assert_eq!([draws.at(0), draws.at(1)], [11_515_607_937_348_001_124, 5_291_405_149_567_777_184]);
    }

    #[test]
    fn every_field_of_the_place_changes_the_draw() {
        let base = packet(1, 1000, 20);
        let draw = |packet: &Packet, seed, position| {
            let segment = Segment { payload: b"x", packet, flow: FiveTuple::of(packet).0 };
            Draws::of(seed, &segment).at(position)
        };
        let swapped = Packet { src: base.dst, dst: base.src, ..base };
        let others = [
            draw(&base, 7, 3),
            draw(&base, 8, 3),
            draw(&base, 7, 4),
            draw(&swapped, 7, 3),
            draw(&Packet { src: base.src | 1 << 64, ..base }, 7, 3),
            draw(&Packet { src_port: 80, dst_port: 1000, ..base }, 7, 3),
            draw(&Packet { protocol: 17, ..base }, 7, 3),
            draw(&Packet { v6: true, ..base }, 7, 3),
            draw(&Packet { time: Timestamp(21), ..base }, 7, 3),
        ];
        assert_eq!(others.iter().collect::<std::collections::BTreeSet<_>>().len(), others.len());
    }

    #[test]
    fn long_tokens_are_cut_at_a_character() {
        let packet = packet(1, 1000, 20);
        let segment = Segment { payload: b"x", packet: &packet, flow: FiveTuple::of(&packet).0 };
        let mut sample = Sample::default();
        sample.add(128, &Draws::of(1, &segment), &segment, 0, || "x".to_owned() + &"é".repeat(4000));
        assert_eq!(sample.finish(1).0[0].len(), MAX_TOKEN_BYTES - 1);
    }

    /// 600 seeds of 1,000 tokens and a budget of 40: the mean kept and each position's share lie within 5 sigma.
    #[test]
    fn the_trial_is_fair() {
        let (seeds, tokens, budget) = (600_u32, 1000_u32, 40_usize);
        let mut kept_at = vec![0_u32; tokens as usize];
        for seed in 0..seeds {
            let mut sample = Sample::default();
            fill(&mut sample, seed.into(), &packet(1, 1000, 20), tokens);
            for text in sample.finish(budget).0 {
                kept_at[text.parse::<usize>().unwrap()] += 1;
            }
        }
        let p = budget as f64 / f64::from(tokens);
        let sigma = |trials: u32| (f64::from(trials) * p * (1.0 - p)).sqrt();
        let all: u32 = kept_at.iter().sum();
        let trials = seeds * tokens;
        assert!((f64::from(all) - f64::from(trials) * p).abs() < 5.0 * sigma(trials), "kept {all} of {trials}");
        for (position, &kept) in kept_at.iter().enumerate() {
            assert!((f64::from(kept) - f64::from(seeds) * p).abs() < 5.0 * sigma(seeds), "{position}: {kept}");
        }
    }

    proptest! {
        /// Packets with up to 60 tokens each are split over parts, merged in any order: the sample is the same.
        #[test]
        fn any_split_and_any_order_of_merging_give_the_same_sample(
            packets in prop::collection::vec((0_u8..3, 1_u16..4, 0_i64..5, 0_u32..60, 0_usize..4), 0..24),
            order in Just([0_usize, 1, 2, 3]).prop_shuffle(),
            nested: bool,
            budget in 0_usize..128,
        ) {
            let mut whole = Sample::default();
            let mut parts = vec![Sample::default(); 4];
            for &(host, port, ns, tokens, _) in &packets {
                fill(&mut whole, 5, &packet(host, port, ns), tokens);
            }
            for &(host, port, ns, tokens, part) in packets.iter().rev() {
                fill(&mut parts[part], 5, &packet(host, port, ns), tokens);
            }
            let mut parts: Vec<Sample> = order.into_iter().map(|i| parts[i].clone()).collect();
            if nested {
                let last = parts.pop().unwrap();
                parts[2].merge(last);
            }
            let mut merged = Sample::default();
            for part in parts {
                merged.merge(part);
            }
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(merged.finish(budget), whole.finish(budget));
        }
    }
}
