//! The packets of a flow, with the steps that they take.

use std::fmt;
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::slice;

use super::hosts::Host;
use super::packed::{Before, Placed, tell};
use super::record::{Packet, Phase, Step};
use super::verdict::Verdict;

/// The packets of a flow by time, and the step of each that takes one.
///
/// Those of a machine stay in the few bytes in which they waited for the end of their flow, about twelve each, and are unpacked as they are asked
/// for. Those of a folder are listed.
#[derive(Clone)]
pub struct Packets(Kept);

#[derive(Clone)]
enum Kept {
    Listed(Vec<Packet>, Vec<Step>),
    Packed(Packed),
}

impl Packets {
    /// Packets in the order of time, and steps in the order of packets, of each at most one.
    #[must_use]
    pub fn new(packets: Vec<Packet>, steps: Vec<Step>) -> Packets {
        Packets(Kept::Listed(packets, steps))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Kept::Listed(packets, _) => packets.len(),
            Kept::Packed(packed) => packed.count,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first.
    #[must_use]
    pub fn first(&self) -> Option<Packet> {
        self.iter().next()
    }

    /// The one at a place; found by going through those before it.
    #[must_use]
    pub fn get(&self, place: u32) -> Option<Packet> {
        self.iter().nth(place as usize)
    }

    /// All, one behind the other.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.with_steps())
    }

    /// All, with what they do.
    #[must_use]
    pub fn with_steps(&self) -> WithSteps<'_> {
        WithSteps(match &self.0 {
            Kept::Listed(packets, steps) => Way::Listed(packets.iter().enumerate(), steps.iter().peekable()),
            Kept::Packed(packed) => Way::Packed(packed.placed().enumerate(), &packed.ends),
        })
    }

    /// What they do.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        self.with_steps().filter_map(|(_, step)| step)
    }

    /// How many take a step of a phase.
    #[must_use]
    pub fn count_of(&self, phase: Phase) -> usize {
        match &self.0 {
            Kept::Listed(_, steps) => steps.iter().filter(|step| step.phase == phase).count(),
            Kept::Packed(packed) => packed.steps[phase as usize],
        }
    }

    /// Those that take a step of a phase.
    pub fn of_phase(&self, phase: Phase) -> impl Iterator<Item = (Packet, Step)> {
        let of = move |(packet, step): (Packet, Option<Step>)| Some((packet, step.filter(|step| step.phase == phase)?));
        self.with_steps().filter_map(of).take(self.count_of(phase))
    }
}

impl Default for Packets {
    fn default() -> Packets {
        Packets::new(Vec::new(), Vec::new())
    }
}

impl From<Vec<Packet>> for Packets {
    fn from(packets: Vec<Packet>) -> Packets {
        Packets::new(packets, Vec::new())
    }
}

impl From<Packed> for Packets {
    fn from(packed: Packed) -> Packets {
        Packets(Kept::Packed(packed))
    }
}

impl PartialEq for Packets {
    fn eq(&self, other: &Packets) -> bool {
        self.with_steps().eq(other.with_steps())
    }
}

impl Eq for Packets {}

impl fmt::Debug for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.with_steps()).finish()
    }
}

impl<'p> IntoIterator for &'p Packets {
    type Item = Packet;
    type IntoIter = Iter<'p>;

    fn into_iter(self) -> Iter<'p> {
        self.iter()
    }
}

/// Packets of a flow.
#[derive(Clone, Debug)]
pub struct Iter<'p>(WithSteps<'p>);

impl Iterator for Iter<'_> {
    type Item = Packet;

    #[inline]
    fn next(&mut self) -> Option<Packet> {
        self.0.next().map(|(packet, _)| packet)
    }
}

/// Packets of a flow with what they do.
#[derive(Clone, Debug)]
pub struct WithSteps<'p>(Way<'p>);

#[derive(Clone, Debug)]
enum Way<'p> {
    Listed(std::iter::Enumerate<slice::Iter<'p, Packet>>, Peekable<slice::Iter<'p, Step>>),
    Packed(std::iter::Enumerate<Unpacked<'p>>, &'p [End; 2]),
}

impl Iterator for WithSteps<'_> {
    type Item = (Packet, Option<Step>);

    #[inline]
    fn next(&mut self) -> Option<(Packet, Option<Step>)> {
        match &mut self.0 {
            Way::Listed(packets, steps) => {
                let (place, packet) = packets.next()?;
                Some((*packet, steps.next_if(|step| step.packet as usize == place).copied()))
            }
            Way::Packed(all, ends) => {
                let (place, Placed { packet, from, verdict }) = all.next()?;
                let [(src, src_port), (dst, dst_port)] = [ends[from], ends[1 - from]];
                let step = verdict.phase().map(|phase| Step { packet: number(place), phase, name: verdict.name() });
                Some((Packet { src, src_port, dst, dst_port, ..packet }, step))
            }
        }
    }
}

/// A host and a port.
pub(super) type End = (Host, i64);

/// The packets of a machine's flow.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    ends: [End; 2],
    count: usize,
    /// How many are steps, by phase.
    steps: [usize; 3],
}

/// Packets without their ends.
#[derive(Clone, Debug)]
struct Unpacked<'p> {
    rest: &'p [u8],
    before: Before,
}

impl Iterator for Unpacked<'_> {
    type Item = Placed;

    #[inline]
    fn next(&mut self) -> Option<Placed> {
        self.before.read(&mut self.rest)
    }
}

impl Packed {
    /// Packets between these ends, as `before` has written them. [`Packed::tell`] has yet to count their steps.
    pub(super) fn new(bytes: Vec<u8>, before: &Before, ends: [End; 2]) -> Packed {
        let mut packed = Packed { bytes, ends, count: 0, steps: [0; 3] };
        if before.goes_back() {
            let mut all: Vec<Placed> = packed.placed().collect();
            all.sort_by_key(|placed| placed.packet.time);
            packed.bytes.clear();
            let mut before = Before::default();
            all.iter().for_each(|placed| before.write(placed, &mut packed.bytes));
        }
        packed
    }

    fn placed(&self) -> Unpacked<'_> {
        Unpacked { rest: &self.bytes, before: Before::default() }
    }

    /// Goes through the packets by time, asks what each is, with its place, and counts. The one at which it breaks off is the last that stays.
    pub(super) fn tell(&mut self, mut what: impl FnMut(u32, &Placed) -> ControlFlow<Verdict, Verdict>) {
        (self.count, self.steps) = (0, [0; 3]);
        let (mut at, mut before) = (0, Before::default());
        loop {
            let mut rest = &self.bytes[at..];
            let Some(placed) = before.read(&mut rest) else { return };
            let end = self.bytes.len() - rest.len();
            let told = what(number(self.count), &placed);
            let (ControlFlow::Continue(verdict) | ControlFlow::Break(verdict)) = told;
            tell(&mut self.bytes[at], verdict);
            self.count += 1;
            if let Some(phase) = verdict.phase() {
                self.steps[phase as usize] += 1;
            }
            if told.is_break() {
                return self.bytes.truncate(end);
            }
            at = end;
        }
    }
}

fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: [End; 2] = [(3, 80), (7, 40_000)];

    /// Packets at these times, the even ones from the first end.
    fn packed(times: &[i64]) -> Packed {
        let (mut bytes, mut before) = (Vec::new(), Before::default());
        for (n, &time) in times.iter().enumerate() {
            let packet = Packet { time, seq: n as i64, ..Packet::default() };
            before.write(&Placed { packet, from: n % 2, verdict: Verdict::NoAck }, &mut bytes);
        }
        Packed::new(bytes, &before, ENDS)
    }

    #[test]
    fn packets_are_in_the_order_of_time_and_between_their_ends() {
        let mut packed = packed(&[10, 30, 20, 30]);
        packed.tell(|_, placed| ControlFlow::Continue(placed.verdict));
        let packets = Packets::from(packed);
        let all: Vec<_> = packets.iter().map(|packet| (packet.time, packet.seq, packet.src, packet.dst_port)).collect();
        assert_eq!(all, [(10, 0, 3, 40_000), (20, 2, 3, 40_000), (30, 1, 7, 80), (30, 3, 7, 80)]);
        assert_eq!((packets.len(), packets.steps().count()), (4, 0));
        assert_eq!((packets.first(), packets.get(3).map(|packet| packet.seq)), (packets.get(0), Some(3)));
        assert_eq!(packets.get(4), None);
    }

    #[test]
    fn packed_and_listed_are_the_same() {
        let mut packed = packed(&[1, 2, 3, 4, 5]);
        packed.tell(|place, _| match place {
            0 => ControlFlow::Continue(Verdict::Syn),
            1 => ControlFlow::Continue(Verdict::Retransmission),
            2 => ControlFlow::Continue(Verdict::Data),
            _ => ControlFlow::Break(Verdict::Rst),
        });
        let packed = Packets::from(packed);
        let step = |packet, phase, name| Step { packet, phase, name };
        let steps = vec![
            step(0, Phase::Establishment, "syn"),
            step(2, Phase::DataTransfer, "data"),
            step(3, Phase::Closing, "rst"),
        ];
        let listed = Packets::new(packed.iter().collect(), steps);
        assert_eq!((&packed, packed.len()), (&listed, 4));
        assert_ne!(packed, Packets::from(packed.iter().collect::<Vec<_>>()), "without steps");
        for phase in [Phase::Establishment, Phase::DataTransfer, Phase::Closing] {
            assert_eq!((packed.count_of(phase), listed.count_of(phase)), (1, 1));
            assert!(packed.of_phase(phase).eq(listed.of_phase(phase)));
        }
    }
}
