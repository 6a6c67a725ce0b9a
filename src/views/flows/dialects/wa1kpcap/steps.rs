//! A flow's packets, kept until it has ended: sixteen bytes for most.

/// One packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Nanoseconds since 1970.
    pub(super) time: i64,
    /// Lengths: of the frame, from the IP header on, from the transport header on, and of the payload.
    pub(super) lengths: [u32; 4],
    pub(super) window: u16,
    pub(super) flags: u8,
    /// It has flags and a window.
    pub(super) tcp: bool,
    pub(super) udp: bool,
    pub(super) from_high: bool,
}

/// One packet that comes less than 2^32 ns behind the one before it, none of its lengths beyond 65,535 bytes; or word of
/// one that is kept whole.
#[derive(Clone, Copy, Debug)]
struct Narrow {
    gap: u32,
    lengths: [u16; 4],
    window: u16,
    flags: u8,
    bits: u8,
}

const _: () = assert!(size_of::<Narrow>() == 16);

const TCP: u8 = 1;
const UDP: u8 = 1 << 1;
const FROM_HIGH: u8 = 1 << 2;
/// The packet is the next of those that are kept whole.
const WHOLE: u8 = 1 << 3;

/// How many packets lie together at most. Growing further would copy them, and touch memory that is empty behind them.
const BLOCK: usize = 512;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// Blocks that are full, and those behind them.
    full: Vec<Box<[Narrow]>>,
    narrow: Vec<Narrow>,
    #[expect(clippy::box_collection, reason = "most flows have none")]
    whole: Option<Box<Vec<Step>>>,
    /// Time of the first packet, and of the last.
    first: i64,
    last: i64,
}

impl Steps {
    pub(super) fn push(&mut self, step: Step) {
        if self.narrow.len() == BLOCK {
            self.full.push(std::mem::replace(&mut self.narrow, Vec::with_capacity(BLOCK)).into());
        }
        if self.len() == 0 {
            (self.first, self.last) = (step.time, step.time);
        }
        let gap = u32::try_from(step.time.wrapping_sub(self.last));
        self.last = step.time;
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        let [frame, ip, transport, payload] = step.lengths.map(u16::try_from);
        self.narrow.push(match (gap, frame, ip, transport, payload) {
            (Ok(gap), Ok(frame), Ok(ip), Ok(transport), Ok(payload)) => Narrow {
                gap,
                lengths: [frame, ip, transport, payload],
                window: step.window,
                flags: step.flags,
                bits: bit(step.tcp, TCP) | bit(step.udp, UDP) | bit(step.from_high, FROM_HIGH),
            },
            _ => {
                self.whole.get_or_insert_default().push(step);
                Narrow { gap: 0, lengths: [0; 4], window: 0, flags: 0, bits: WHOLE }
            }
        });
    }

    pub(super) fn len(&self) -> usize {
        self.full.len() * BLOCK + self.narrow.len()
    }

    /// All packets as they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = Step> {
        let mut whole = self.whole.iter().flat_map(|steps| steps.iter());
        let mut time = self.first;
        let narrow = self.full.iter().flat_map(|block| block.iter()).chain(&self.narrow);
        narrow.map(move |&Narrow { gap, lengths, window, flags, bits }| {
            let is = |bit| bits & bit != 0;
            let step = Step {
                time: time.wrapping_add(gap.into()),
                lengths: lengths.map(u32::from),
                window,
                flags,
                tcp: is(TCP),
                udp: is(UDP),
                from_high: is(FROM_HIGH),
            };
            let step = if is(WHOLE) { whole.next().copied().unwrap_or(step) } else { step };
            time = step.time;
            step
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn step()(
            time in prop_oneof![9 => 0..20_000_000_000_i64, 1 => any::<i64>()],
            lengths in prop::array::uniform4(prop_oneof![9 => 0..70_000_u32, 1 => any::<u32>()]),
            (window, flags, tcp, udp, from_high) in any::<(u16, u8, bool, bool, bool)>(),
        ) -> Step {
            Step { time, lengths, window, flags, tcp, udp, from_high }
        }
    }

    proptest! {
        #[test]
        fn packets_come_back_as_they_were(mut list in prop_oneof![prop::collection::vec(step(), 0..40), prop::collection::vec(step(), 500..1100)], sorted: bool) {
            if sorted {
                list.sort_by_key(|step| step.time);
            }
            let mut steps = Steps::default();
            list.iter().for_each(|&step| steps.push(step));
            prop_assert_eq!(steps.len(), list.len());
            prop_assert_eq!(steps.iter().collect::<Vec<_>>(), list);
        }
    }
}
