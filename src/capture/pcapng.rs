//! pcapng: sections, interfaces, and the walk over blocks (draft-ietf-opsawg-pcapng).
//!
//! ```text
//! block    0      4        8         length - 4   length
//!          | type | length | body ... | length     |
//! enhanced packet block, body from 8
//!          8           12          16         20         24     28
//!          | interface | time high | time low | captured | wire | frame ...
//! ```
//!
//! Packets come from enhanced, simple and obsolete packet blocks. Interface statistics add to the drops. Every other
//! block is stepped over. A section starts anew: its own byte order, its own interfaces.

use pcap_parser::{
    EPB_MAGIC, IDB_MAGIC, ISB_MAGIC, OptionCode, PcapNGOption, SHB_MAGIC, SPB_MAGIC, nom, parse_option_be,
    parse_option_le,
};

use super::clock::Clock;
use super::record::{LinkType, Record, Stamp};
use super::report::Status;
use super::walk::{BLOCK_LIMIT, LookAhead, Stop, captured_limit, u16_of, u32_of};
use crate::time::Timestamp;

/// The obsolete packet block, which pcap-parser has no name for.
const PACKET_BLOCK: u32 = 2;

/// Interfaces of one section; a real file has a handful, and a hostile one must not fill the memory.
const INTERFACES: usize = 65_536;

/// The byte-order magic of a section header, as its value.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Reader state of a pcapng file.
#[derive(Debug, Default)]
pub(super) struct Pcapng {
    big: bool,
    interfaces: Vec<Interface>,
    /// Link types of all sections; sorted, each once.
    links: Vec<LinkType>,
    /// Drops of earlier sections and of packet blocks.
    dropped: u64,
}

#[derive(Debug)]
struct Interface {
    link: LinkType,
    snapshot: u32,
    clock: Clock,
    dropped: u64,
}

/// Why the walk left the blocks of a byte order.
enum Leave {
    Section,
    Stop(Stop),
}

impl From<Stop> for Leave {
    fn from(stop: Stop) -> Leave {
        Leave::Stop(stop)
    }
}

impl Pcapng {
    /// Whether a file that starts so may be pcapng.
    pub(super) fn recognises(magic: [u8; 4]) -> bool {
        u32::from_be_bytes(magic) == SHB_MAGIC
    }

    /// Link types of the interfaces seen so far; sorted, each once.
    pub(super) fn links(&self) -> &[LinkType] {
        &self.links
    }

    /// Packets that the capturing side says it dropped, as far as read.
    pub(super) fn dropped(&self) -> u64 {
        self.interfaces.iter().fold(self.dropped, |sum, interface| sum.saturating_add(interface.dropped))
    }

    /// Appends the packets of whole blocks of `window` until `list` holds `limit`; says how many bytes the blocks
    /// took, and why it stopped.
    pub(super) fn walk(
        &mut self,
        window: &[u8],
        ahead: &mut LookAhead,
        list: &mut Vec<Record>,
        limit: usize,
    ) -> (usize, Stop) {
        let mut at = 0;
        loop {
            let leave = if self.big {
                self.blocks::<true>(window, &mut at, ahead, list, limit)
            } else {
                self.blocks::<false>(window, &mut at, ahead, list, limit)
            };
            match leave {
                Leave::Stop(stop) => return (at, stop),
                Leave::Section => match self.section(window.get(at..).unwrap_or_default()) {
                    Ok(length) => at += length,
                    Err(stop) => return (at, stop),
                },
            }
        }
    }

    /// The section header at the start of `rest`; returns its length.
    fn section(&mut self, rest: &[u8]) -> Result<usize, Stop> {
        let Some((head, _)) = rest.split_first_chunk::<12>() else {
            return Err(Stop::More(12));
        };
        let [_, _, _, _, l0, l1, l2, l3, order @ ..] = *head;
        let (big, length) = match (u32::from_le_bytes(order), u32::from_be_bytes(order)) {
            (BYTE_ORDER, _) => (false, u32::from_le_bytes([l0, l1, l2, l3])),
            (_, BYTE_ORDER) => (true, u32::from_be_bytes([l0, l1, l2, l3])),
            _ => return Err(Stop::corrupt("a pcapng section header has no byte order that is known")),
        };
        let block = if big { block::<true>(rest, length)? } else { block::<false>(rest, length)? };
        let Some([m0, m1]) = block.get(12..28).and_then(<[u8]>::first_chunk::<2>) else {
            return Err(Stop::corrupt("a pcapng section header is too short"));
        };
        let major = if big { u16_of::<true>([*m0, *m1]) } else { u16_of::<false>([*m0, *m1]) };
        if major != 1 {
            return Err(Stop::Damage(
                Status::Unsupported,
                format!("pcapng version {major} is not supported, only version 1"),
            ));
        }
        self.dropped = self.dropped();
        self.interfaces.clear();
        self.big = big;
        Ok(block.len())
    }

    #[inline(never)]
    fn blocks<const BIG: bool>(
        &mut self,
        window: &[u8],
        at: &mut usize,
        ahead: &mut LookAhead,
        list: &mut Vec<Record>,
        limit: usize,
    ) -> Leave {
        loop {
            if list.len() >= limit {
                return Stop::Full.into();
            }
            let rest = window.get(*at..).unwrap_or_default();
            let Some((head, _)) = rest.split_first_chunk::<8>() else {
                return Stop::More(8).into();
            };
            let [k0, k1, k2, k3, l0, l1, l2, l3] = *head;
            let kind = u32_of::<BIG>([k0, k1, k2, k3]);
            if kind == SHB_MAGIC {
                return Leave::Section;
            }
            let block = match block::<BIG>(rest, u32_of::<BIG>([l0, l1, l2, l3])) {
                Ok(block) => block,
                Err(stop) => return stop.into(),
            };
            ahead.at(window, *at);
            let read = if kind == EPB_MAGIC {
                self.enhanced::<BIG>(block, *at, list)
            } else {
                self.other::<BIG>(kind, block, *at, list)
            };
            match read {
                Ok(()) => *at += block.len(),
                Err(message) => return Stop::corrupt(message).into(),
            }
        }
    }

    #[inline(always)]
    fn enhanced<const BIG: bool>(&self, block: &[u8], at: usize, list: &mut Vec<Record>) -> Result<(), String> {
        let Some((head, room)) = block.split_first_chunk::<28>() else {
            return Err("an enhanced packet block is too short".into());
        };
        let word = |i: usize| u32_of::<BIG>([head[i], head[i + 1], head[i + 2], head[i + 3]]);
        self.packet(word(8), word(12), word(16), word(20), word(24), room.len(), at, list)
    }

    /// A packet of a block whose frame starts 28 bytes into it; `room` includes the trailing length.
    #[inline(always)]
    fn packet(
        &self,
        interface: u32,
        high: u32,
        low: u32,
        captured: u32,
        wire: u32,
        room: usize,
        at: usize,
        list: &mut Vec<Record>,
    ) -> Result<(), String> {
        let Some(source) = self.interfaces.get(interface as usize) else {
            return Err(format!("a packet names interface {interface}, which the section does not have"));
        };
        if captured as usize + 4 > room {
            return Err(format!("a packet claims {captured} captured bytes, more than its block holds"));
        }
        if captured > captured_limit(source.snapshot) {
            return Err(format!("a packet claims {captured} captured bytes, more than the snapshot length allows"));
        }
        let (time, stamp) = source.clock.time(u64::from(high) << 32 | u64::from(low));
        list.push(Record { time, offset: (at + 28) as u32, captured, wire, link: source.link, stamp });
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn other<const BIG: bool>(
        &mut self,
        kind: u32,
        block: &[u8],
        at: usize,
        list: &mut Vec<Record>,
    ) -> Result<(), String> {
        let body = block.get(..block.len().saturating_sub(4)).unwrap_or_default();
        match kind {
            SPB_MAGIC => self.simple::<BIG>(block, at, list),
            PACKET_BLOCK => self.obsolete::<BIG>(block, at, list),
            IDB_MAGIC => self.interface::<BIG>(body),
            ISB_MAGIC => self.statistics::<BIG>(body),
            _ => Ok(()),
        }
    }

    fn simple<const BIG: bool>(&self, block: &[u8], at: usize, list: &mut Vec<Record>) -> Result<(), String> {
        let Some((&[.., w0, w1, w2, w3], room)) = block.split_first_chunk::<12>() else {
            return Err("a simple packet block is too short".into());
        };
        let Some(room) = room.len().checked_sub(4) else {
            return Err("a simple packet block is too short".into());
        };
        let Some(source) = self.interfaces.first() else {
            return Err("a simple packet block has no interface in front of it".into());
        };
        let wire = u32_of::<BIG>([w0, w1, w2, w3]);
        let snapshot = if source.snapshot == 0 { u32::MAX } else { source.snapshot };
        let captured = wire.min(snapshot).min(room as u32);
        if captured > captured_limit(source.snapshot) {
            return Err(format!("a packet claims {captured} captured bytes, more than the snapshot length allows"));
        }
        list.push(Record {
            time: Timestamp::default(),
            offset: (at + 12) as u32,
            captured,
            wire,
            link: source.link,
            stamp: Stamp::Missing,
        });
        Ok(())
    }

    fn obsolete<const BIG: bool>(&mut self, block: &[u8], at: usize, list: &mut Vec<Record>) -> Result<(), String> {
        let Some((head, room)) = block.split_first_chunk::<28>() else {
            return Err("a packet block is too short".into());
        };
        let word = |i: usize| u32_of::<BIG>([head[i], head[i + 1], head[i + 2], head[i + 3]]);
        let half = |i: usize| u16_of::<BIG>([head[i], head[i + 1]]);
        self.packet(u32::from(half(8)), word(12), word(16), word(20), word(24), room.len(), at, list)?;
        // All ones: the capturing side does not know.
        if half(10) != u16::MAX {
            self.dropped = self.dropped.saturating_add(u64::from(half(10)));
        }
        Ok(())
    }

    /// `body` is the block without its trailing length.
    fn interface<const BIG: bool>(&mut self, body: &[u8]) -> Result<(), String> {
        let Some(([_, _, _, _, _, _, _, _, k0, k1, _, _, s0, s1, s2, s3], options)) = body.split_first_chunk::<16>()
        else {
            return Err("an interface description is too short".into());
        };
        if self.interfaces.len() >= INTERFACES {
            return Err(format!("a section describes more than {INTERFACES} interfaces"));
        }
        let link = LinkType(u16_of::<BIG>([*k0, *k1]));
        let (mut resolution, mut offset) = (6, 0);
        each_option::<BIG>(options, |code, value| match (code, value) {
            (OptionCode::IfTsresol, [value, ..]) => resolution = *value,
            (OptionCode::IfTsoffset, value) => offset = u64_of::<BIG>(value).map_or(offset, |value| value as i64),
            _ => {}
        });
        self.interfaces.push(Interface {
            link,
            snapshot: u32_of::<BIG>([*s0, *s1, *s2, *s3]),
            clock: Clock::new(resolution, offset),
            dropped: 0,
        });
        if let Err(place) = self.links.binary_search(&link) {
            self.links.insert(place, link);
        }
        Ok(())
    }

    /// `body` is the block without its trailing length.
    fn statistics<const BIG: bool>(&mut self, body: &[u8]) -> Result<(), String> {
        let Some((&[_, _, _, _, _, _, _, _, i0, i1, i2, i3, ..], options)) = body.split_first_chunk::<20>() else {
            return Err("interface statistics are too short".into());
        };
        // Statistics of an interface that is not there say nothing about any packet: stepped over.
        if let Some(interface) = self.interfaces.get_mut(u32_of::<BIG>([i0, i1, i2, i3]) as usize) {
            let (mut card, mut system) = (0, 0);
            each_option::<BIG>(options, |code, value| match code {
                OptionCode::IsbIfDrop => card = u64_of::<BIG>(value).unwrap_or(0),
                OptionCode::IsbOsDrop => system = u64_of::<BIG>(value).unwrap_or(0),
                _ => {}
            });
            interface.dropped = card.saturating_add(system);
        }
        Ok(())
    }
}

/// The whole block of the given length at the start of `rest`.
#[inline(always)]
fn block<const BIG: bool>(rest: &[u8], length: u32) -> Result<&[u8], Stop> {
    if !(12..=BLOCK_LIMIT).contains(&length) || !length.is_multiple_of(4) {
        return Err(bad_length(length));
    }
    let Some(block) = rest.get(..length as usize) else {
        return Err(Stop::More(length as usize));
    };
    match block.last_chunk::<4>() {
        Some(trailer) if u32_of::<BIG>(*trailer) == length => Ok(block),
        _ => Err(Stop::corrupt(format!("a pcapng block of {length} bytes has another length at its end"))),
    }
}

#[cold]
fn bad_length(length: u32) -> Stop {
    Stop::corrupt(format!("a pcapng block claims a length of {length} bytes"))
}

/// Calls `take` with every option in front of the end of options or of the first one that is cut; the value is
/// without its padding.
fn each_option<const BIG: bool>(bytes: &[u8], mut take: impl FnMut(OptionCode, &[u8])) {
    let mut rest = bytes;
    let parse = |rest| -> nom::IResult<&[u8], PcapNGOption<'_>, ()> {
        if BIG { parse_option_be(rest) } else { parse_option_le(rest) }
    };
    while let Ok((next, option)) = parse(rest) {
        if option.code == OptionCode::EndOfOpt {
            break;
        }
        if let Ok(value) = option.as_bytes() {
            take(option.code, value);
        }
        rest = next;
    }
}

fn u64_of<const BIG: bool>(value: &[u8]) -> Option<u64> {
    let value = *value.first_chunk::<8>()?;
    Some(if BIG { u64::from_be_bytes(value) } else { u64::from_le_bytes(value) })
}
