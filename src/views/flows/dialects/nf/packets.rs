//! The accumulator: sums of a flow's packets by end, in a size that does not grow with them.
//!
//! Its cells stand between those of the record, so it has no columns of its own: [`columns`](super::columns) names them, by
//! [`Kept`].

use super::super::sums::Sums;
use crate::decode::packet::protocol;
use crate::flow::Side;
use crate::flow::sequence::{Class, Connection, Segment};
use crate::views::flows::{Cell, Cells, Feature, FeatureColumn, FeatureState, FlowPacket, FlowRecord, Roles};

/// The feature behind the columns.
#[derive(Debug)]
pub(super) struct Packets;

impl Feature for Packets {
    fn columns(&self) -> Vec<FeatureColumn> {
        Vec::new()
    }

    fn start(&self) -> Box<dyn FeatureState> {
        Box::new(State::default())
    }
}

/// What the accumulator's cells are, in their order. Those of the source stand in front of those of the destination.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    InBytes,
    OutBytes,
    TcpFlags,
    ClientFlags,
    ServerFlags,
    DurationIn,
    DurationOut,
    Longest,
    Shortest,
    InSecondBytes,
    OutSecondBytes,
    InThroughput,
    OutThroughput,
    InAgainBytes,
    InAgainPackets,
    OutAgainBytes,
    OutAgainPackets,
    UpTo128,
    UpTo256,
    UpTo512,
    UpTo1024,
    UpTo1514,
    InWindow,
    OutWindow,
    InGapMin,
    InGapMax,
    InGapMean,
    InGapStd,
    OutGapMin,
    OutGapMax,
    OutGapMean,
    OutGapStd,
}

impl Kept {
    /// Its cell in a record.
    pub(super) fn of(self, record: &FlowRecord) -> Cell<'_> {
        record.features.show(self as usize, |cell| cell.owned())
    }
}

/// What is known of the packets so far.
#[derive(Debug, Default)]
struct State {
    /// By end: low, high.
    ends: [End; 2],
    connection: Connection,
    /// Packets by IP length, up to 128, 256, 512, 1024 and 1514 bytes.
    sizes: [u64; 5],
    /// Least and greatest IP length.
    lengths: Option<[u32; 2]>,
}

/// What one end sent. Times are milliseconds since 1970.
#[derive(Debug, Default)]
struct End {
    bytes: u64,
    flags: u8,
    window: u16,
    /// Bytes and packets that had been seen.
    again: [u64; 2],
    /// Time of its earliest and latest packet.
    times: Option<[i64; 2]>,
    gaps: Sums,
}

impl End {
    fn time(&mut self, time: i64) {
        let Some([earliest, latest]) = &mut self.times else {
            self.times = Some([time; 2]);
            return;
        };
        // What comes behind its time has no gap in front of it.
        self.gaps.add((time - *latest).max(0));
        (*earliest, *latest) = (time.min(*earliest), time.max(*latest));
    }

    fn duration(&self) -> u64 {
        self.times.map_or(0, |[earliest, latest]| latest.abs_diff(earliest))
    }

    /// Least, greatest and mean gap, and the standard deviation.
    fn gaps(&self) -> [u64; 4] {
        let figures = self.gaps.figures(false);
        figures.map_or([0; 4], |gaps| [gaps.min, gaps.max, gaps.mean, gaps.std()].map(|gap| gap as u64))
    }
}

impl State {
    /// From the first packet to the last, ms.
    fn duration(&self) -> u64 {
        let times = self.ends.iter().filter_map(|end| end.times);
        let span = times.reduce(|[a, b], [c, d]| [a.min(c), b.max(d)]);
        span.map_or(0, |[earliest, latest]| latest.abs_diff(earliest))
    }

    /// Whether a packet's sequence numbers had all been seen.
    fn repeats(&mut self, packet: &FlowPacket, flags: u8) -> bool {
        let Some((seq, ack)) = packet.numbers else { return false };
        let side = if packet.from_high { Side::Down } else { Side::Up };
        let (window, payload) = (packet.sample.window.unwrap_or(0), packet.sample.payload);
        self.connection.add(side, &Segment { seq, ack, flags, window, payload }).class == Class::Retransmission
    }
}

impl FeatureState for State {
    fn packet(&mut self, packet: &FlowPacket) {
        let length = packet.sample.ip;
        let repeats = packet.protocol == protocol::TCP && self.repeats(packet, packet.tcp_flags.unwrap_or(0));
        let end = &mut self.ends[usize::from(packet.from_high)];
        end.time(packet.time.ns().div_euclid(1_000_000));
        end.bytes += u64::from(length);
        end.flags |= packet.tcp_flags.unwrap_or(0);
        end.window = end.window.max(packet.sample.window.unwrap_or(0));
        if repeats {
            end.again = [end.again[0] + u64::from(length), end.again[1] + 1];
        }
        let [least, greatest] = self.lengths.unwrap_or([length; 2]);
        self.lengths = Some([least.min(length), greatest.max(length)]);
        if let Some(size) = [128, 256, 512, 1024, 1514].iter().position(|&most| length <= most) {
            self.sizes[size] += 1;
        }
    }

    fn finish(&self, Roles { client_high, .. }: Roles, cells: &mut Cells) {
        let [low, high] = &self.ends;
        let sides = if client_high { [high, low] } else { [low, high] };
        let duration = self.duration();
        let seconds = (duration / 1000 + 1) as f64;
        let throughput = |bytes: u64| {
            let bits = u128::from(bytes) * 8 * 1000 / (u128::from(duration) + 1);
            u64::try_from(bits).unwrap_or(u64::MAX)
        };
        let [least, greatest] = self.lengths.unwrap_or([0; 2]);

        cells.extend(sides.map(|side| side.bytes.into()));
        cells.push((low.flags | high.flags).into());
        cells.extend(sides.map(|side| side.flags.into()));
        cells.extend(sides.map(|side| side.duration().into()));
        cells.extend([greatest, least].map(Cell::from));
        cells.extend(sides.map(|side| (side.bytes as f64 / seconds).into()));
        cells.extend(sides.map(|side| throughput(side.bytes).into()));
        cells.extend(sides.iter().flat_map(|side| side.again).map(Cell::from));
        cells.extend(self.sizes.map(Cell::from));
        cells.extend(sides.map(|side| side.window.into()));
        cells.extend(sides.iter().flat_map(|side| side.gaps()).map(Cell::from));
    }
}
