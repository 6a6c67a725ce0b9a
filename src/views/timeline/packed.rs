//! The packets of a live flow in few bytes: differences to the packet before, as varints.

use super::record::Packet;
use super::verdict::Verdict;
use crate::flow::varint::{LONGEST, append, put, take, unzigzag, zigzag};

/// It was sent by the end that sorts behind.
const FROM_HIGH: u8 = 1;
const FLAGS: u8 = 1 << 1;
const PAYLOAD: u8 = 1 << 2;
const PROTOCOL: u8 = 1 << 3;
/// The verdict stands in the bits from here.
const VERDICT: u32 = 4;
const _: () = assert!(Verdict::ALL.len() <= 1 << (u8::BITS - VERDICT));

/// A packet of a flow, and what it is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// Of no hosts and no ports: they are the flow's.
    pub(super) packet: Packet,
    pub(super) from: usize,
    pub(super) verdict: Verdict,
}

/// What `correct` says that putting packets in order takes.
const _: () = assert!(size_of::<Placed>() <= 112);

/// What the next packet is told by; the same to who writes and who reads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    time: i64,
    seq: [i64; 2],
    ack: [i64; 2],
    goes_back: bool,
}

/// Says anew what the packet is that begins with this byte.
pub(super) fn tell(head: &mut u8, verdict: Verdict) {
    *head = (*head & ((1 << VERDICT) - 1)) | ((verdict as u8) << VERDICT);
}

impl Before {
    /// Appends a packet.
    pub(super) fn write(&mut self, placed: &Placed, out: &mut Vec<u8>) {
        let Placed { packet, from, verdict } = *placed;
        self.goes_back |= packet.time < self.time;
        let mut head = (verdict as u8) << VERDICT;
        let mut bytes = [0; 1 + 7 * LONGEST];
        let mut at = 1;
        let mut signed = |n: i64| at = put(&mut bytes, at, zigzag(n));
        signed(packet.time.wrapping_sub(self.time));
        signed(packet.seq.wrapping_sub(self.seq[from]));
        signed(packet.ack.wrapping_sub(self.ack[from]));
        signed(packet.length);
        if from == 1 {
            head |= FROM_HIGH;
        }
        if let Some(flags) = packet.flags {
            head |= FLAGS;
            signed(flags);
        }
        if let Some(payload) = packet.payload {
            head |= PAYLOAD;
            signed(payload.into());
        }
        if let Some(protocol) = packet.protocol {
            head |= PROTOCOL;
            signed(protocol);
        }
        bytes[0] = head;
        if out.capacity() == 0 {
            // For a handful of packets; to begin with one is to grow with each.
            out.reserve(64);
        }
        append(out, &bytes, at);
        self.advance(&packet, from);
    }

    /// Whether a packet that was written may be earlier than one before it. Those that begin before 1970 seem to be.
    pub(super) fn goes_back(&self) -> bool {
        self.goes_back
    }

    /// Takes a packet from the front; nothing at the end.
    #[inline]
    pub(super) fn read(&mut self, bytes: &mut &[u8]) -> Option<Placed> {
        let (&head, rest) = bytes.split_first()?;
        *bytes = rest;
        let from = usize::from(head & FROM_HIGH);
        let mut signed = || unzigzag(take(bytes));
        let packet = Packet {
            time: self.time.wrapping_add(signed()),
            seq: self.seq[from].wrapping_add(signed()),
            ack: self.ack[from].wrapping_add(signed()),
            length: signed(),
            flags: (head & FLAGS != 0).then(&mut signed),
            payload: (head & PAYLOAD != 0).then(|| signed() as u32),
            protocol: (head & PROTOCOL != 0).then(&mut signed),
            ..Packet::default()
        };
        self.advance(&packet, from);
        Some(Placed { packet, from, verdict: *Verdict::ALL.get(usize::from(head >> VERDICT))? })
    }

    fn advance(&mut self, packet: &Packet, from: usize) {
        self.time = packet.time;
        self.seq[from] = packet.seq;
        self.ack[from] = packet.ack;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packets_come_back_as_they_went_in(
            rows in prop::collection::vec((any::<[i64; 4]>(), any::<Option<i64>>(), any::<Option<u32>>(), any::<Option<i64>>(), 0..2_usize, 0..15_usize), 0..20)
        ) {
            let mut placed = Vec::new();
            for ([time, seq, ack, length], flags, payload, protocol, from, verdict) in rows {
                let packet = Packet { time, seq, ack, length, flags, payload, protocol, ..Packet::default() };
                placed.push(Placed { packet, from, verdict: Verdict::ALL[verdict] });
            }
            let (mut bytes, mut before) = (Vec::new(), Before::default());
            placed.iter().for_each(|placed| before.write(placed, &mut bytes));
            let (mut rest, mut before) = (&bytes[..], Before::default());
            let back: Vec<Placed> = std::iter::from_fn(|| before.read(&mut rest)).collect();
            prop_assert_eq!(back, placed);
        }
    }

    #[test]
    fn a_usual_packet_takes_few_bytes() {
        let packet = |n: i64| Packet {
            time: 1_700_000_000_000_000 + n * 120,
            seq: 4_000_000_000 + n * 1448,
            ack: 77,
            length: 1514,
            flags: Some(16),
            payload: Some(1448),
            protocol: Some(6),
            ..Packet::default()
        };
        let (mut bytes, mut before) = (Vec::new(), Before::default());
        for n in 0..100 {
            before.write(&Placed { packet: packet(n), from: 0, verdict: Verdict::Data }, &mut bytes);
        }
        assert!(bytes.len() < 100 * 14, "{}", bytes.len());
    }
}
