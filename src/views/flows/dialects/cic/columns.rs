//! The columns: one table, of which layouts are selections under names of their own.

use super::super::sums::{Figures, Sums};
use super::bulk::Done;
use super::lycos;
use super::python;
use super::state::{ActiveIdle, Direction, State};
use super::switches::{
    Activity, Division, Duration, InitWinFwd, NoWindow, SegSizeMin, Std, Subflow, Switches, TimeText, Unit,
    ZeroDuration,
};
use crate::capture::civil_from_days;
use crate::views::flows::columns::Kind;
use crate::views::flows::{Cell, Cells, FeatureColumn};

/// Which columns there are, and what they are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// The 84 of 2022.
    Classic,
    /// Those, and ten more between them.
    Extended,
    /// The 84 of 2018, with short names.
    Short,
    /// The 85 of 2017, with long names; one is there twice.
    Long,
    /// The 83 of LycoSTand, in an order of their own.
    Lycos,
    /// The 82 of Python, a table of its own.
    Python,
}

/// Names of 2017 that are no longer in use, by those of 2022.
const LONG: [(&str, &str); 18] = [
    ("Total Fwd Packet", "Total Fwd Packets"),
    ("Total Bwd packets", "Total Backward Packets"),
    ("Total Length of Fwd Packet", "Total Length of Fwd Packets"),
    ("Total Length of Bwd Packet", "Total Length of Bwd Packets"),
    ("Packet Length Min", "Min Packet Length"),
    ("Packet Length Max", "Max Packet Length"),
    ("Fwd Segment Size Avg", "Avg Fwd Segment Size"),
    ("Bwd Segment Size Avg", "Avg Bwd Segment Size"),
    ("Fwd Bytes/Bulk Avg", "Fwd Avg Bytes/Bulk"),
    ("Fwd Packet/Bulk Avg", "Fwd Avg Packets/Bulk"),
    ("Fwd Bulk Rate Avg", "Fwd Avg Bulk Rate"),
    ("Bwd Bytes/Bulk Avg", "Bwd Avg Bytes/Bulk"),
    ("Bwd Packet/Bulk Avg", "Bwd Avg Packets/Bulk"),
    ("Bwd Bulk Rate Avg", "Bwd Avg Bulk Rate"),
    ("FWD Init Win Bytes", "Init_Win_bytes_forward"),
    ("Bwd Init Win Bytes", "Init_Win_bytes_backward"),
    ("Fwd Act Data Pkts", "act_data_pkt_fwd"),
    ("Fwd Seg Size Min", "min_seg_size_forward"),
];

/// The name that a column had in 2017.
fn long(name: &'static str) -> &'static str {
    LONG.iter().find(|(now, _)| *now == name).map_or(name, |(_, then)| then)
}

/// What a cell is made of.
pub(super) struct Figured<'f> {
    pub(super) state: &'f State,
    pub(super) switches: Switches,
    /// Microseconds.
    pub(super) duration: i64,
    pub(super) packets: u64,
    pub(super) lengths: [Option<Figures>; 2],
    pub(super) both: Option<Figures>,
    /// In the unit of times, as those below.
    pub(super) gaps: Option<Figures>,
    pub(super) side_gaps: [Option<Figures>; 2],
    pub(super) active: Option<Figures>,
    pub(super) idle: Option<Figures>,
}

impl<'f> Figured<'f> {
    pub(super) fn of(state: &'f State) -> Figured<'f> {
        let (switches, flow) = (state.cic.switches, &state.flow);
        let sample = switches.std == Std::Sample;
        let [forth, back] = &flow.sides;
        let mut both = forth.lengths.and(&back.lengths);
        if switches.first_payload_twice {
            both.add(flow.first_payload.into());
        }
        let ActiveIdle { mut active, idle } = flow.times.as_deref().copied().unwrap_or_default();
        let periods = switches.activity == Activity::Periods;
        if switches.last_active_period && periods && flow.last > flow.active_since {
            active.add(flow.last - flow.active_since);
        }
        let figures = |sums: &Sums| sums.figures(sample);
        let times = |sums: &Sums| {
            let counts = !switches.single_gap_is_zero || sums.count > 1;
            sums.figures(sample).filter(|_| counts).map(|times| match switches.time {
                Unit::Micros => times,
                Unit::Seconds => times.per(1e6),
            })
        };
        Figured {
            state,
            switches,
            duration: match switches.duration {
                Duration::Span => flow.latest - flow.earliest,
                Duration::LastLessFirst => flow.last - flow.start,
                Duration::LatestLessFirst => flow.latest - flow.start,
            },
            packets: forth.lengths.count + back.lengths.count,
            lengths: [figures(&forth.lengths), figures(&back.lengths)],
            both: figures(&both),
            gaps: times(&flow.gaps),
            side_gaps: [times(&forth.gaps), times(&back.gaps)],
            active: times(&active),
            idle: times(&idle),
        }
    }

    pub(super) fn side(&self, side: usize) -> &Direction {
        &self.state.flow.sides[side]
    }

    fn seconds(&self) -> f64 {
        self.duration as f64 / 1e6
    }

    /// A time in its unit.
    fn time(&self, micros: i64) -> Cell<'static> {
        match self.switches.time {
            Unit::Micros => Cell::Integer(micros),
            Unit::Seconds => (micros as f64 / 1e6).into(),
        }
    }

    /// Packets with a flag, from FIN on.
    pub(super) fn flag(&self, bit: usize) -> Cell<'static> {
        self.state.flow.flags[bit].into()
    }

    /// Packets with CWR.
    pub(super) fn cwr(&self) -> Cell<'static> {
        if self.switches.cwr_is_urg { self.side(0).urg.into() } else { self.flag(7) }
    }

    /// Something a second, of the flow.
    pub(super) fn rate(&self, n: i128) -> Cell<'static> {
        let zero = self.switches.zero_duration;
        if self.duration > 0 || self.duration < 0 && zero != ZeroDuration::Zero {
            return (n as f64 / self.seconds()).into();
        }
        match zero {
            ZeroDuration::MinusOne => Cell::Integer(-1),
            ZeroDuration::Inf if n == 0 => "NaN".into(),
            ZeroDuration::Inf => "Infinity".into(),
            ZeroDuration::Zero => 0.0.into(),
            ZeroDuration::Empty => Cell::Absent,
        }
    }

    /// Packets a second, of a direction.
    pub(super) fn side_rate(&self, side: usize) -> Cell<'static> {
        let packets = self.side(side).lengths.count as f64;
        (if self.duration > 0 { packets / self.seconds() } else { 0.0 }).into()
    }

    /// A part, where division by nothing is 0.
    pub(super) fn part(&self, n: u64, of: u64) -> Cell<'static> {
        match self.switches.division {
            Division::Integer => n.checked_div(of).unwrap_or(0).into(),
            Division::Real => ratio(n, of).into(),
        }
    }

    pub(super) fn subflow(&self, n: u64) -> Cell<'static> {
        let pauses = self.state.flow.pauses;
        self.part(
            n,
            match self.switches.subflow {
                Subflow::Stretches => pauses + 1,
                Subflow::Gaps => pauses,
                Subflow::Whole => 1,
            },
        )
    }

    pub(super) fn down_up(&self) -> f64 {
        let [forth, back] = [0, 1].map(|side| self.side(side).lengths.count);
        match self.switches.division {
            Division::Integer => back.checked_div(forth).unwrap_or(0) as f64,
            Division::Real => ratio(back, forth),
        }
    }

    /// Something of bulks, a bulk.
    pub(super) fn of_bulks(&self, side: usize, what: fn(&Done) -> u64) -> Cell<'static> {
        let done = &self.side(side).bulk.done;
        self.part(what(done), done.bulks)
    }

    /// Bytes a second in bulks.
    pub(super) fn bulk_rate(&self, side: usize) -> Cell<'static> {
        let done = self.side(side).bulk.done;
        let rate = if done.time == 0 { 0.0 } else { done.size as f64 / (done.time as f64 / 1e6) };
        match self.switches.division {
            Division::Integer => Cell::Integer(rate as i64),
            Division::Real => rate.into(),
        }
    }

    pub(super) fn window(&self, window: Option<u16>) -> Cell<'static> {
        let none = if self.switches.no_window == NoWindow::MinusOne { -1 } else { 0 };
        Cell::Integer(window.map_or(none, i64::from))
    }

    pub(super) fn first_window(&self) -> Cell<'static> {
        let first = self.side(0).first_window;
        self.window(match self.switches.init_win_fwd {
            InitWinFwd::First => first,
            InitWinFwd::OfFirstPacket => first.filter(|_| !self.state.flow.first_backward),
            InitWinFwd::FirstNonzero => self.side(0).window,
        })
    }

    pub(super) fn least_header(&self, side: usize) -> u32 {
        let of_first = usize::from(self.state.flow.first_backward) == side;
        let counts = self.switches.seg_size_min == SegSizeMin::OfDirection || of_first;
        self.side(side).least_header.filter(|_| counts).unwrap_or(0)
    }

    /// A part of an ICMP header.
    fn icmp(&self, place: usize) -> Cell<'static> {
        let icmp = self.state.extra.as_ref().and_then(|extra| extra.icmp);
        Cell::Integer(icmp.map_or(-1, |icmp| icmp[place].into()))
    }

    fn repeated(&self) -> [u64; 2] {
        self.state.extra.as_ref().map_or([0; 2], |extra| extra.repeated)
    }

    /// Microseconds.
    fn connection(&self) -> i64 {
        self.state.extra.as_ref().map_or(0, |extra| extra.connection(&self.state.flow))
    }

    /// The time of the first packet.
    pub(super) fn started(&self) -> Cell<'static> {
        let time = self.state.flow.start;
        if self.switches.timestamp == TimeText::Micros {
            return Cell::Integer(time);
        }
        self.time_text(self.state.cic.zone.local(time)).into()
    }

    fn time_text(&self, time: i64) -> String {
        let (day, of_day) = (time.div_euclid(86_400_000_000), time.rem_euclid(86_400_000_000));
        let (year, month, day) = civil_from_days(day);
        let (second, micro) = (of_day / 1_000_000, of_day % 1_000_000);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        // Before the year 0 and after 9999 there are none in 64 bits of nanoseconds.
        let [year, month, day] = [year, i64::from(month), i64::from(day)];
        let mut text = String::with_capacity(32);
        if self.switches.timestamp == TimeText::TwelveHours {
            digits::<2>(&mut text, day, "/");
            digits::<2>(&mut text, month, "/");
            digits::<4>(&mut text, year, " ");
            digits::<2>(&mut text, (hour + 11) % 12 + 1, ":");
            digits::<2>(&mut text, minute, ":");
            digits::<2>(&mut text, second, if hour < 12 { " AM" } else { " PM" });
            return text;
        }
        digits::<4>(&mut text, year, "-");
        digits::<2>(&mut text, month, "-");
        digits::<2>(&mut text, day, " ");
        digits::<2>(&mut text, hour, ":");
        digits::<2>(&mut text, minute, ":");
        match micro {
            _ if micro == 0 || self.switches.timestamp == TimeText::Seconds => digits::<2>(&mut text, second, ""),
            _ => {
                digits::<2>(&mut text, second, ".");
                match micro % 1000 {
                    0 => digits::<3>(&mut text, micro / 1000, ""),
                    _ => digits::<6>(&mut text, micro, ""),
                }
            }
        }
        text
    }
}

/// Appends a number of so many digits, and what stands behind it. A row has one time, and formatting it took as long as writing
/// ten of its numbers.
fn digits<const COUNT: usize>(text: &mut String, mut number: i64, behind: &str) {
    let mut digits = [b'0'; COUNT];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    text.extend(digits.map(char::from));
    text.push_str(behind);
}

fn ratio(n: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { n as f64 / of as f64 }
}

/// A figure, or the 0 that stands where there is none.
pub(super) fn or_none(figures: &Option<Figures>, figure: fn(&Figures) -> f64) -> Cell<'static> {
    figures.as_ref().map_or(Cell::Count(0), |figures| figure(figures).into())
}

/// A figure, or 0.0.
pub(super) fn or_zero(figures: &Option<Figures>, figure: fn(&Figures) -> f64) -> Cell<'static> {
    figures.as_ref().map_or(0.0, figure).into()
}

/// A column.
pub(super) struct Item {
    /// Its name, and the one that other layouts have for the same thing.
    name: &'static str,
    short: &'static str,
    /// The one layout that has it, if not all do.
    pub(super) only: Option<Layout>,
    kind: Kind,
    unit: &'static str,
    about: &'static str,
}

pub(super) const fn item(
    (name, short): (&'static str, &'static str),
    kind: Kind,
    unit: &'static str,
    about: &'static str,
) -> Item {
    Item { name, short, only: None, kind, unit, about }
}

const fn only(
    layout: Layout,
    names: (&'static str, &'static str),
    kind: Kind,
    unit: &'static str,
    about: &'static str,
) -> Item {
    Item { only: Some(layout), ..item(names, kind, unit, about) }
}

const fn extra(name: &'static str, unit: &'static str, about: &'static str) -> Item {
    only(Layout::Extended, (name, name), Kind::Integer, unit, about)
}

/// A table of columns, each with what its cell is. The cells of a row are made by one function, in which each stands in its place:
/// a call for each took twice the time.
macro_rules! table {
    ($(#[$about:meta])* $($item:ident($($is:expr),+; |$figured:ident| $cell:expr),)+) => {
        $(#[$about])*
        pub(super) const TABLE: &[Item] = &[$($item($($is),+)),+];

        pub(super) fn fill(layout: Layout, figured: &Figured<'_>, cells: &mut Cells) {
            $(if const { $item($($is),+).only }.is_none_or(|only| only == layout) {
                let $figured = figured;
                cells.push($cell);
            })+
        }
    };
}
pub(super) use table;

use Kind::{Float, Integer, Text};

pub(super) const MAX: fn(&Figures) -> f64 = |figures| figures.max;
pub(super) const MIN: fn(&Figures) -> f64 = |figures| figures.min;
pub(super) const MEAN: fn(&Figures) -> f64 = |figures| figures.mean;
pub(super) const SUM: fn(&Figures) -> f64 = |figures| figures.sum;
pub(super) const STD: fn(&Figures) -> f64 = Figures::std;
pub(super) const VAR: fn(&Figures) -> f64 = |figures| figures.var;

table! {
    /// All columns but those of who talked to whom.
    item(("Timestamp", "Timestamp"), Text, "", "time of the first packet, in UTC or the zone of --time-zone"; |f| f.started()),
    item(("Flow Duration", "Flow Duration"), Integer, "µs", "from the first packet to the last, as `duration` says"; |f| f.time(f.duration)),
    item(("Total Fwd Packet", "Tot Fwd Pkts"), Integer, "packets", "packets forward: from the source"; |f| f.side(0).lengths.count.into()),
    item(("Total Bwd packets", "Tot Bwd Pkts"), Integer, "packets", "packets backward"; |f| f.side(1).lengths.count.into()),
    item(("Total Length of Fwd Packet", "TotLen Fwd Pkts"), Float, "bytes", "sum of payload forward; what stands for payload `length` and `length_source` say"; |f| or_zero(&f.lengths[0], SUM)),
    item(("Total Length of Bwd Packet", "TotLen Bwd Pkts"), Float, "bytes", "sum of payload backward"; |f| or_zero(&f.lengths[1], SUM)),
    item(("Fwd Packet Length Max", "Fwd Pkt Len Max"), Float, "bytes", "greatest payload forward"; |f| or_none(&f.lengths[0], MAX)),
    item(("Fwd Packet Length Min", "Fwd Pkt Len Min"), Float, "bytes", "least payload forward"; |f| or_none(&f.lengths[0], MIN)),
    item(("Fwd Packet Length Mean", "Fwd Pkt Len Mean"), Float, "bytes", "mean payload forward"; |f| or_none(&f.lengths[0], MEAN)),
    item(("Fwd Packet Length Std", "Fwd Pkt Len Std"), Float, "bytes", "standard deviation of payload forward, as `std` says"; |f| or_none(&f.lengths[0], STD)),
    item(("Bwd Packet Length Max", "Bwd Pkt Len Max"), Float, "bytes", "greatest payload backward"; |f| or_none(&f.lengths[1], MAX)),
    item(("Bwd Packet Length Min", "Bwd Pkt Len Min"), Float, "bytes", "least payload backward"; |f| or_none(&f.lengths[1], MIN)),
    item(("Bwd Packet Length Mean", "Bwd Pkt Len Mean"), Float, "bytes", "mean payload backward"; |f| or_none(&f.lengths[1], MEAN)),
    item(("Bwd Packet Length Std", "Bwd Pkt Len Std"), Float, "bytes", "standard deviation of payload backward, as `std` says"; |f| or_none(&f.lengths[1], STD)),
    item(("Flow Bytes/s", "Flow Byts/s"), Float, "bytes/s", "payload / duration; without duration what `zero_duration` says"; |f| f.rate(f.side(0).lengths.sum + f.side(1).lengths.sum)),
    item(("Flow Packets/s", "Flow Pkts/s"), Float, "packets/s", "packets / duration; without duration what `zero_duration` says"; |f| f.rate(f.packets.into())),
    item(("Flow IAT Mean", "Flow IAT Mean"), Float, "µs", "mean gap between packets"; |f| or_zero(&f.gaps, MEAN)),
    item(("Flow IAT Std", "Flow IAT Std"), Float, "µs", "standard deviation of gaps between packets, as `std` says"; |f| or_zero(&f.gaps, STD)),
    item(("Flow IAT Max", "Flow IAT Max"), Float, "µs", "greatest gap between packets"; |f| or_zero(&f.gaps, MAX)),
    item(("Flow IAT Min", "Flow IAT Min"), Float, "µs", "least gap between packets"; |f| or_zero(&f.gaps, MIN)),
    item(("Fwd IAT Total", "Fwd IAT Tot"), Float, "µs", "sum of gaps between packets forward"; |f| or_none(&f.side_gaps[0], SUM)),
    item(("Fwd IAT Mean", "Fwd IAT Mean"), Float, "µs", "mean gap forward"; |f| or_none(&f.side_gaps[0], MEAN)),
    item(("Fwd IAT Std", "Fwd IAT Std"), Float, "µs", "standard deviation of gaps forward, as `std` says"; |f| or_none(&f.side_gaps[0], STD)),
    item(("Fwd IAT Max", "Fwd IAT Max"), Float, "µs", "greatest gap forward"; |f| or_none(&f.side_gaps[0], MAX)),
    item(("Fwd IAT Min", "Fwd IAT Min"), Float, "µs", "least gap forward"; |f| or_none(&f.side_gaps[0], MIN)),
    item(("Bwd IAT Total", "Bwd IAT Tot"), Float, "µs", "sum of gaps between packets backward"; |f| or_none(&f.side_gaps[1], SUM)),
    item(("Bwd IAT Mean", "Bwd IAT Mean"), Float, "µs", "mean gap backward"; |f| or_none(&f.side_gaps[1], MEAN)),
    item(("Bwd IAT Std", "Bwd IAT Std"), Float, "µs", "standard deviation of gaps backward, as `std` says"; |f| or_none(&f.side_gaps[1], STD)),
    item(("Bwd IAT Max", "Bwd IAT Max"), Float, "µs", "greatest gap backward"; |f| or_none(&f.side_gaps[1], MAX)),
    item(("Bwd IAT Min", "Bwd IAT Min"), Float, "µs", "least gap backward"; |f| or_none(&f.side_gaps[1], MIN)),
    item(("Fwd PSH Flags", "Fwd PSH Flags"), Integer, "packets", "packets forward with PSH, of those that `psh_urg` says"; |f| f.side(0).psh.into()),
    item(("Bwd PSH Flags", "Bwd PSH Flags"), Integer, "packets", "packets backward with PSH, of those that `psh_urg` says"; |f| f.side(1).psh.into()),
    item(("Fwd URG Flags", "Fwd URG Flags"), Integer, "packets", "packets forward with URG, of those that `psh_urg` says"; |f| f.side(0).urg.into()),
    item(("Bwd URG Flags", "Bwd URG Flags"), Integer, "packets", "packets backward with URG, of those that `psh_urg` says"; |f| f.side(1).urg.into()),
    extra("Fwd RST Flags", "packets", "packets forward with RST"; |f| f.side(0).rst.into()),
    extra("Bwd RST Flags", "packets", "packets backward with RST"; |f| f.side(1).rst.into()),
    item(("Fwd Header Length", "Fwd Header Len"), Integer, "bytes", "sum of headers forward, those that `header` says"; |f| f.side(0).headers.into()),
    item(("Bwd Header Length", "Bwd Header Len"), Integer, "bytes", "sum of headers backward"; |f| f.side(1).headers.into()),
    item(("Fwd Packets/s", "Fwd Pkts/s"), Float, "packets/s", "packets forward / duration; 0 without duration"; |f| f.side_rate(0)),
    item(("Bwd Packets/s", "Bwd Pkts/s"), Float, "packets/s", "packets backward / duration; 0 without duration"; |f| f.side_rate(1)),
    item(("Packet Length Min", "Pkt Len Min"), Float, "bytes", "least payload"; |f| or_none(&f.both, MIN)),
    item(("Packet Length Max", "Pkt Len Max"), Float, "bytes", "greatest payload"; |f| or_none(&f.both, MAX)),
    item(("Packet Length Mean", "Pkt Len Mean"), Float, "bytes", "mean payload"; |f| or_none(&f.both, MEAN)),
    item(("Packet Length Std", "Pkt Len Std"), Float, "bytes", "standard deviation of payload, as `std` says"; |f| or_none(&f.both, STD)),
    item(("Packet Length Variance", "Pkt Len Var"), Float, "bytes^2", "variance of payload, as `std` says"; |f| or_none(&f.both, VAR)),
    item(("FIN Flag Count", "FIN Flag Cnt"), Integer, "packets", "packets with FIN, of those that `flags` says"; |f| f.flag(0)),
    item(("SYN Flag Count", "SYN Flag Cnt"), Integer, "packets", "packets with SYN, of those that `flags` says"; |f| f.flag(1)),
    item(("RST Flag Count", "RST Flag Cnt"), Integer, "packets", "packets with RST, of those that `flags` says"; |f| f.flag(2)),
    item(("PSH Flag Count", "PSH Flag Cnt"), Integer, "packets", "packets with PSH, of those that `flags` says"; |f| f.flag(3)),
    item(("ACK Flag Count", "ACK Flag Cnt"), Integer, "packets", "packets with ACK, of those that `flags` says"; |f| f.flag(4)),
    item(("URG Flag Count", "URG Flag Cnt"), Integer, "packets", "packets with URG, of those that `flags` says"; |f| f.flag(5)),
    item(("CWR Flag Count", "CWE Flag Count"), Integer, "packets", "packets with CWR, of those that `flags` says; with `cwr_is_urg` packets forward with URG"; |f| f.cwr()),
    item(("ECE Flag Count", "ECE Flag Cnt"), Integer, "packets", "packets with ECE, of those that `flags` says"; |f| f.flag(6)),
    item(("Down/Up Ratio", "Down/Up Ratio"), Float, "", "packets backward / packets forward; 0 without these"; |f| f.down_up().into()),
    item(("Average Packet Size", "Pkt Size Avg"), Float, "bytes", "sum of payload / packets"; |f| (f.both.map_or(0.0, |both| both.sum) / f.packets.max(1) as f64).into()),
    item(("Fwd Segment Size Avg", "Fwd Seg Size Avg"), Float, "bytes", "mean payload forward"; |f| or_zero(&f.lengths[0], MEAN)),
    item(("Bwd Segment Size Avg", "Bwd Seg Size Avg"), Float, "bytes", "mean payload backward"; |f| or_zero(&f.lengths[1], MEAN)),
    only(Layout::Long, ("Fwd Header Length.1", ""), Integer, "bytes", "Fwd Header Length"; |f| f.side(0).headers.into()),
    item(("Fwd Bytes/Bulk Avg", "Fwd Byts/b Avg"), Float, "bytes", "payload of bulks / bulks, forward; what bulks are `bulk` says"; |f| f.of_bulks(0, |done| done.size)),
    item(("Fwd Packet/Bulk Avg", "Fwd Pkts/b Avg"), Float, "packets", "packets of bulks / bulks, forward"; |f| f.of_bulks(0, |done| done.packets)),
    item(("Fwd Bulk Rate Avg", "Fwd Blk Rate Avg"), Float, "bytes/s", "payload of bulks / their duration, forward"; |f| f.bulk_rate(0)),
    item(("Bwd Bytes/Bulk Avg", "Bwd Byts/b Avg"), Float, "bytes", "payload of bulks / bulks, backward; what bulks are `bulk` says"; |f| f.of_bulks(1, |done| done.size)),
    item(("Bwd Packet/Bulk Avg", "Bwd Pkts/b Avg"), Float, "packets", "packets of bulks / bulks, backward"; |f| f.of_bulks(1, |done| done.packets)),
    item(("Bwd Bulk Rate Avg", "Bwd Blk Rate Avg"), Float, "bytes/s", "payload of bulks / their duration, backward"; |f| f.bulk_rate(1)),
    item(("Subflow Fwd Packets", "Subflow Fwd Pkts"), Float, "packets", "packets forward / subflows; what these are `subflow` says"; |f| f.subflow(f.side(0).lengths.count)),
    item(("Subflow Fwd Bytes", "Subflow Fwd Byts"), Float, "bytes", "payload forward / subflows"; |f| f.subflow(f.side(0).lengths.sum as u64)),
    item(("Subflow Bwd Packets", "Subflow Bwd Pkts"), Float, "packets", "packets backward / subflows"; |f| f.subflow(f.side(1).lengths.count)),
    item(("Subflow Bwd Bytes", "Subflow Bwd Byts"), Float, "bytes", "payload backward / subflows"; |f| f.subflow(f.side(1).lengths.sum as u64)),
    item(("FWD Init Win Bytes", "Init Fwd Win Byts"), Integer, "bytes", "window field of the packet forward that `init_win_fwd` says, not scaled"; |f| f.first_window()),
    item(("Bwd Init Win Bytes", "Init Bwd Win Byts"), Integer, "bytes", "window field of the packet backward that `init_win_bwd` says, not scaled"; |f| f.window(f.side(1).window)),
    item(("Fwd Act Data Pkts", "Fwd Act Data Pkts"), Integer, "packets", "packets forward with payload"; |f| f.side(0).data.into()),
    extra("Bwd Act Data Pkts", "packets", "packets backward with payload"; |f| f.side(1).data.into()),
    item(("Fwd Seg Size Min", "Fwd Seg Size Min"), Integer, "bytes", "least header forward, as `seg_size_min` says"; |f| f.least_header(0).into()),
    extra("Bwd Seg Size Min", "bytes", "least header backward, as `seg_size_min` says"; |f| f.least_header(1).into()),
    item(("Active Mean", "Active Mean"), Float, "µs", "mean of active periods, parted by gaps > 5 s"; |f| or_none(&f.active, MEAN)),
    item(("Active Std", "Active Std"), Float, "µs", "standard deviation of active periods, as `std` says"; |f| or_none(&f.active, STD)),
    item(("Active Max", "Active Max"), Float, "µs", "longest active period"; |f| or_none(&f.active, MAX)),
    item(("Active Min", "Active Min"), Float, "µs", "shortest active period"; |f| or_none(&f.active, MIN)),
    item(("Idle Mean", "Idle Mean"), Float, "µs", "mean of gaps > 5 s"; |f| or_none(&f.idle, MEAN)),
    item(("Idle Std", "Idle Std"), Float, "µs", "standard deviation of gaps > 5 s, as `std` says"; |f| or_none(&f.idle, STD)),
    item(("Idle Max", "Idle Max"), Float, "µs", "greatest gap > 5 s"; |f| or_none(&f.idle, MAX)),
    item(("Idle Min", "Idle Min"), Float, "µs", "least gap > 5 s"; |f| or_none(&f.idle, MIN)),
    extra("ICMP Code", "", "code of the first ICMP message; else -1"; |f| f.icmp(1)),
    extra("ICMP Type", "", "type of the first ICMP message; else -1"; |f| f.icmp(0)),
    extra("Fwd TCP Retrans. Count", "packets", "segments forward whose numbers, payload length and window were seen before"; |f| f.repeated()[0].into()),
    extra("Bwd TCP Retrans. Count", "packets", "the same backward"; |f| f.repeated()[1].into()),
    extra("Total TCP Retrans. Count", "packets", "the same in both directions"; |f| f.repeated().iter().sum::<u64>().into()),
    extra("Total Connection Flow Time", "µs", "duration with that of the flows it goes on from; 0 but for TCP and UDP"; |f| f.time(f.connection())),
    item(("Label", "Label"), Text, "", "by the rules of --label; a constant where no rule is about the flow"; |f| f.state.cic.layout.label().into()),
}

impl Layout {
    pub(super) fn has_extra(self) -> bool {
        self == Layout::Extended
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Layout::Short => "No Label",
            Layout::Lycos => "NeedLabel",
            Layout::Classic | Layout::Extended | Layout::Long | Layout::Python => "NeedManualLabel",
        }
    }

    fn items(self) -> impl Iterator<Item = &'static Item> {
        let table = match self {
            Layout::Lycos => lycos::TABLE,
            Layout::Python => python::TABLE,
            _ => TABLE,
        };
        table.iter().filter(move |item| item.only.is_none_or(|only| only == self))
    }

    /// What each column is called where no other name is in use.
    pub(super) fn meanings(self) -> impl Iterator<Item = &'static str> {
        self.items().map(|item| item.name)
    }

    pub(super) fn columns(self, switches: &Switches) -> Vec<FeatureColumn> {
        let column = |&Item { name: meaning, short, kind, unit, about, .. }: &Item| {
            let name = match self {
                Layout::Classic | Layout::Extended => meaning,
                Layout::Long => long(meaning),
                Layout::Short | Layout::Python | Layout::Lycos => short,
            };
            let (kind, unit) = match (meaning, unit) {
                ("Timestamp", _) if switches.timestamp == TimeText::Micros => (Integer, "µs"),
                ("Timestamp", _) => (Text, ""),
                (_, "µs") if switches.time == Unit::Seconds => (Float, "s"),
                _ => (kind, unit),
            };
            FeatureColumn { name, kind, unit, about }
        };
        self.items().map(column).collect()
    }

    pub(super) fn cells(self, figured: &Figured<'_>, cells: &mut Cells) {
        match self {
            Layout::Lycos => lycos::fill(self, figured, cells),
            Layout::Python => python::fill(self, figured, cells),
            _ => fill(self, figured, cells),
        }
    }
}
