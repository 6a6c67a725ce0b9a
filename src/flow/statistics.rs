//! Statistics of a flow: six quantities, each for both directions together, up and down.
//!
//! Frame, IP, L4 and payload lengths in bytes; TCP windows as they stand in the header; inter-arrival times in ns. The
//! times of a direction are those between packets of that direction, so those of a flow are not their union. A time is
//! the difference to the packet before it in the order of adding, and negative where a capture goes back in time.
//!
//! A flow is kept in three stages, each bounded, so that small flows are small and large flows do not grow:
//!
//! 1. Its packets as bytes, up to [`LOG`] bytes, 110 packets of TCP.
//! 2. Counts of its distinct lengths and windows, and its times as a list. The log is emptied into them whenever it is
//!    full.
//! 3. Exact power sums and a histogram of times, from [`Bounds::times`] on; medians of times are
//!    marked then. So are lengths of further distinct shapes, from [`Bounds::shapes`] on.
//!
//! All figures but the marked medians are exact functions of the multisets (see [`super::moments`]), whatever the
//! stage.

use std::ops::Range;

use super::counts::{Counts, Key, Seed};
use super::log::Log;
use super::moments::{Form, LIMIT, Summary, summarise};
use super::sketch::Sketch;
use super::varint::{self, append, put, take, unzigzag, zigzag};
use super::{Sample, Side};

/// Bytes of the packet log of a flow.
pub const LOG: usize = 1024;

/// A quantity that packets of a flow have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Quantity {
    /// Bytes of the frame.
    Frame = 0,
    /// Bytes of the IP packet.
    Ip = 1,
    /// Bytes of transport header and payload.
    L4 = 2,
    /// Bytes of payload.
    Payload = 3,
    /// The TCP window field; only TCP packets have it.
    Window = 4,
    /// Nanoseconds since the packet before; the first packet has none.
    Time = 5,
}

impl Quantity {
    /// Every quantity, in the order of columns.
    pub const ALL: [Quantity; 6] =
        [Quantity::Frame, Quantity::Ip, Quantity::L4, Quantity::Payload, Quantity::Time, Quantity::Window];
}

/// How much of a flow is kept exactly.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Packets whose times are kept as a list. A flow with more has exact moments of times, and medians that are
    /// marked.
    pub times: u32,
    /// Distinct combinations of the four lengths that are counted apart. Packets with further ones have exact moments
    /// of lengths, and their flow medians that are marked.
    pub shapes: u32,
    /// The secret of the tables of counts.
    pub seed: Seed,
}

impl Default for Bounds {
    /// 4,096 times, 65,536 shapes.
    fn default() -> Bounds {
        Bounds { times: 4096, shapes: 65_536, seed: Seed::random() }
    }
}

/// The statistics of one flow while it lasts.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    log: Log,
    folded: Option<Box<Folded>>,
}

impl Statistics {
    /// Adds the flow's next packet, which came `gap` nanoseconds behind the one before; that of the first is not read.
    /// Beyond ±73 years a gap counts as that.
    #[inline]
    pub fn add(&mut self, gap: i64, sample: &Sample, bounds: &Bounds) {
        let gap = gap.clamp(-LIMIT, LIMIT);
        if !self.log.fits(LOG) {
            self.fold(bounds);
        }
        self.log.push(gap, sample);
    }

    /// Empties the log into counts.
    #[cold]
    fn fold(&mut self, bounds: &Bounds) {
        let folded = self.folded.get_or_insert_default();
        for (gap, sample) in self.log.iter() {
            folded.add(gap, &sample, bounds);
        }
        self.log.clear();
    }

    /// Asks for the memory that the next packet goes to.
    #[inline]
    pub(crate) fn ask(&self) {
        self.log.ask();
    }

    /// Bytes that the flow takes, this value included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.log.heap()
            + self.folded.as_ref().map_or(0, |folded| size_of::<Folded>() + folded.heap())
    }
}

/// The four lengths of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape([u32; 4]);

impl Shape {
    fn of(sample: &Sample) -> Shape {
        Shape([sample.frame, sample.ip, sample.l4, sample.payload])
    }
}

impl Key for Shape {
    fn words(&self) -> [u64; 2] {
        let [frame, ip, l4, payload] = self.0;
        [u64::from(frame) << 32 | u64::from(ip), u64::from(l4) << 32 | u64::from(payload)]
    }
}

/// What is left of packets that have left the log.
#[derive(Clone, Debug, Default)]
struct Folded {
    shapes: Counts<Shape>,
    windows: Counts<u16>,
    times: Times,
    /// Lengths beyond the bound on shapes, by quantity and side.
    other_shapes: Option<Box<[[Sketch; 2]; 4]>>,
}

impl Folded {
    fn add(&mut self, gap: i64, sample: &Sample, bounds: &Bounds) {
        let side = sample.side as usize;
        let shape = Shape::of(sample);
        if self.shapes.len() < bounds.shapes as usize {
            self.shapes.add(shape, side, bounds.seed);
        } else if !self.shapes.add_known(shape, side, bounds.seed) {
            let others = self.other_shapes.get_or_insert_default();
            for (sketches, length) in others.iter_mut().zip(shape.0) {
                sketches[side].add(length.into(), bounds.seed);
            }
        }
        if let Some(window) = sample.window {
            self.windows.add(window, side, bounds.seed);
        }
        self.times.add(gap, sample.side, bounds);
    }

    /// What stands for values that were not kept.
    fn sketches(&self, quantity: Quantity, sides: Sides) -> &[Sketch] {
        match (quantity, &self.times, &self.other_shapes) {
            (Quantity::Window, ..) => &[],
            (Quantity::Time, Times::Sketches(sketches), _) => std::slice::from_ref(&sketches.1[sides as usize]),
            (Quantity::Time, Times::List { .. }, _) | (_, _, None) => &[],
            (length, _, Some(others)) => &others[length as usize][sides.range()],
        }
    }

    fn heap(&self) -> usize {
        let others = self.other_shapes.iter().flat_map(|others| others.iter().flatten());
        let others: usize = others.map(|sketch| size_of::<Sketch>() + sketch.heap()).sum();
        self.shapes.heap() + self.windows.heap() + self.times.heap() + others
    }
}

/// The times of packets that have left the log.
#[derive(Clone, Debug)]
enum Times {
    /// Each packet's gap and side, as varints.
    List { bytes: Vec<u8>, packets: u32 },
    /// Gaps of the flow, of up and of down.
    Sketches(Box<(Clock, [Sketch; 3])>),
}

impl Default for Times {
    fn default() -> Times {
        Times::List { bytes: Vec::new(), packets: 0 }
    }
}

impl Times {
    fn add(&mut self, gap: i64, side: Side, bounds: &Bounds) {
        match self {
            Times::List { packets, .. } if *packets >= bounds.times => {
                let mut sketches = Box::<(Clock, [Sketch; 3])>::default();
                for (gap, side) in self.list() {
                    sketch(&mut sketches, gap, side, bounds.seed);
                }
                sketch(&mut sketches, gap, side, bounds.seed);
                *self = Times::Sketches(sketches);
            }
            Times::List { bytes, packets } => {
                let mut record = [0; varint::LONGEST];
                // Gaps are within ±2^61, so there is room for the side.
                let end = put(&mut record, 0, zigzag(gap) << 1 | side as u64);
                append(bytes, &record, end);
                *packets += 1;
            }
            Times::Sketches(sketches) => sketch(sketches, gap, side, bounds.seed),
        }
    }

    /// Gaps and sides while there is a list.
    fn list(&self) -> impl Iterator<Item = (i64, Side)> {
        let mut bytes = match self {
            Times::List { bytes, .. } => bytes.as_slice(),
            Times::Sketches(_) => &[],
        };
        std::iter::from_fn(move || {
            (!bytes.is_empty()).then(|| {
                let number = take(&mut bytes);
                (unzigzag(number >> 1), if number & 1 == 0 { Side::Up } else { Side::Down })
            })
        })
    }

    fn heap(&self) -> usize {
        match self {
            Times::List { bytes, .. } => bytes.capacity(),
            Times::Sketches(sketches) => size_of_val(&**sketches) + sketches.1.iter().map(Sketch::heap).sum::<usize>(),
        }
    }
}

fn sketch((clock, sketches): &mut (Clock, [Sketch; 3]), gap: i64, side: Side, seed: Seed) {
    let gaps = clock.tick(gap, side);
    for (gap, which) in gaps.into_iter().zip([0, 1 + side as usize]) {
        if let Some(gap) = gap {
            sketches[which].add(gap, seed);
        }
    }
}

/// Turns the gaps of a flow into gaps of the flow and of its directions.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    begun: bool,
    /// Time since the first packet.
    now: i128,
    /// When the newest packet of a side came.
    sides: [Option<i128>; 2],
}

impl Clock {
    /// Takes the next packet; gives the gap of the flow, which the first packet has not, and that of the packet's side.
    #[inline]
    fn tick(&mut self, gap: i64, side: Side) -> [Option<i64>; 2] {
        self.now += i128::from(gap);
        let before = self.sides[side as usize].replace(self.now);
        let limit = i128::from(LIMIT);
        let of_side = before.map(|before| (self.now - before).clamp(-limit, limit) as i64);
        let of_flow = self.begun.then_some(gap);
        self.begun = true;
        [of_flow, of_side]
    }
}

/// Which packets of a flow a summary is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Sides {
    /// Both directions.
    Both = 0,
    /// Up.
    Up = 1,
    /// Down.
    Down = 2,
}

impl Sides {
    /// All three, in the order of columns.
    pub const ALL: [Sides; 3] = [Sides::Both, Sides::Up, Sides::Down];

    /// The sides as indices.
    fn range(self) -> Range<usize> {
        match self {
            Sides::Both => 0..2,
            Sides::Up => 0..1,
            Sides::Down => 1..2,
        }
    }
}

/// Room to lay out the values of one flow after another.
#[derive(Debug, Default)]
pub struct Room {
    /// Lengths of up and of down, with how often they occur.
    shapes: [Vec<(Shape, u64)>; 2],
    windows: [Vec<(u16, u64)>; 2],
    /// Gaps of the flow, of up and of down.
    gaps: [Vec<i64>; 3],
    /// Which way packets went.
    seen: [bool; 2],
    pairs: Vec<(i64, u64)>,
}

impl Room {
    /// Lays out a flow's values, to be summarised.
    pub fn lay_out<'r>(&'r mut self, statistics: &'r Statistics) -> Values<'r> {
        self.shapes.iter_mut().for_each(Vec::clear);
        self.windows.iter_mut().for_each(Vec::clear);
        self.gaps.iter_mut().for_each(Vec::clear);
        self.seen = [false; 2];
        let folded = statistics.folded.as_deref();
        let mut clock = Clock::default();
        if let Some(folded) = folded {
            for (&shape, times) in folded.shapes.iter() {
                counted(&mut self.shapes, shape, times);
                self.see(times.map(|times| times > 0));
            }
            for (&window, times) in folded.windows.iter() {
                counted(&mut self.windows, window, times);
            }
            for (gap, side) in folded.times.list() {
                self.gap(clock.tick(gap, side), side);
            }
            if let Some(others) = &folded.other_shapes {
                self.see([0, 1].map(|side| others[0][side].count() > 0));
            }
            if let Times::Sketches(sketches) = &folded.times {
                clock = sketches.0;
            }
        }
        for (gap, sample) in statistics.log.iter() {
            let side = sample.side as usize;
            self.seen[side] = true;
            count(&mut self.shapes[side], Shape::of(&sample));
            if let Some(window) = sample.window {
                count(&mut self.windows[side], window);
            }
            self.gap(clock.tick(gap, sample.side), sample.side);
        }
        Values { folded, room: self }
    }

    fn see(&mut self, sides: [bool; 2]) {
        self.seen.iter_mut().zip(sides).for_each(|(seen, side)| *seen |= side);
    }

    fn gap(&mut self, [of_flow, of_side]: [Option<i64>; 2], side: Side) {
        self.gaps[0].extend(of_flow);
        self.gaps[1 + side as usize].extend(of_side);
    }
}

/// Counts a key that is likely to be one of the first few of the list; elsewhere it may stand twice.
#[inline]
fn count<K: Copy + Eq>(list: &mut Vec<(K, u64)>, key: K) {
    match list.iter_mut().take(8).find(|(known, _)| *known == key) {
        Some((_, times)) => *times += 1,
        None => list.push((key, 1)),
    }
}

fn counted<K>(lists: &mut [Vec<(K, u64)>; 2], key: K, times: [u32; 2])
where
    K: Copy,
{
    for (list, times) in lists.iter_mut().zip(times) {
        if times > 0 {
            list.push((key, times.into()));
        }
    }
}

/// The values of a flow.
#[derive(Debug)]
pub struct Values<'r> {
    folded: Option<&'r Folded>,
    room: &'r mut Room,
}

impl<'r> Values<'r> {
    /// Summarises a quantity over both directions, up and down. Where all packets went one way, once is enough.
    #[must_use]
    pub fn summaries(&mut self, quantity: Quantity, form: Form) -> [Summary; 3] {
        let both = self.summary(quantity, Sides::Both, form);
        match self.room.seen {
            [true, true] => {
                let [up, down] = [Sides::Up, Sides::Down].map(|sides| self.summary(quantity, sides, form));
                [both, up, down]
            }
            [_, false] => [both, both, Summary::default()],
            [false, true] => [both, Summary::default(), both],
        }
    }

    /// Summarises a quantity over a direction, or both.
    #[must_use]
    pub fn summary(&mut self, quantity: Quantity, sides: Sides, form: Form) -> Summary {
        let sketches = self.collect(quantity, sides);
        summarise(&mut self.room.pairs, sketches, form)
    }

    /// The values of a quantity over a direction, or both, in no order: (value, how often). `None` where the flow had
    /// more than its [`Bounds`] let it keep.
    pub fn pairs(&mut self, quantity: Quantity, sides: Sides) -> Option<&mut Vec<(i64, u64)>> {
        let sketches = self.collect(quantity, sides);
        let whole = sketches.iter().all(|sketch| sketch.count() == 0);
        whole.then_some(&mut self.room.pairs)
    }

    /// Puts the values that were kept into the room's pairs; returns what stands for the others.
    fn collect(&mut self, quantity: Quantity, sides: Sides) -> &'r [Sketch] {
        let Room { shapes, windows, gaps, pairs, .. } = &mut *self.room;
        pairs.clear();
        match quantity {
            Quantity::Time => pairs.extend(gaps[sides as usize].iter().map(|&gap| (gap, 1))),
            Quantity::Window => {
                for side in &windows[sides.range()] {
                    pairs.extend(side.iter().map(|&(window, times)| (i64::from(window), times)));
                }
            }
            length => {
                for side in &shapes[sides.range()] {
                    let of = |&(Shape(lengths), times): &(Shape, u64)| (lengths[length as usize].into(), times);
                    pairs.extend(side.iter().map(of));
                }
            }
        }
        self.folded.map_or(&[], |folded| folded.sketches(quantity, sides))
    }
}

#[cfg(test)]
mod tests;
