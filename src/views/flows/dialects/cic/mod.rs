//! CICFlowMeter, the Java program, its forks and its port to [Python](python): presets over one accumulator.
//!
//! But in the port, times are microseconds, lengths those of the transport's payload, and a flow ends 120 s from its start at the
//! latest. What the programs do differently, right or wrong, is a [switch](Switches); a preset is a value for each.
//!
//! | preset | program | columns |
//! |---|---|---|
//! | `cic` | none: what the corrections come to, under the names of `cic-java` | 84 |
//! | `cic-java` | CICFlowMeter, commit 98a5eba of January 2022 | 84 |
//! | `cic-engelen` | the fork of Engelen, Liu and others, commit 4dd5319 of June 2024 | 94 |
//! | `cic-2018` | CICFlowMeter, commit 99dc827 of June 2019, as in 2018 | 84 |
//! | `cic-2017` | `cic-java` under the names of CIC-IDS2017 | 85 |
//! | `cic-py` | cicflowmeter of PyPI, version 0.4.2 | 82 |
//! | `cic-py-0.2` | the same, version 0.2.0 | 82 |
//! | [`lycos`] | LycoSTand, of April 2021 | 83 |
//!
//! The data sets CIC-IDS2017 and CSE-CIC-IDS2018 were made by builds that were not published: `cic-2017` and `cic-2018` have their
//! names, but not their values to the last digit. `Fwd Header Length` is there twice in that of 2017; the second is
//! `Fwd Header Length.1` here, as pandas calls it when it reads either.
//!
//! `cic` forgets what has fallen silent, and so does the port in its sweeps. The other programs do not, and the presets that follow
//! them hold every 5-tuple to the end, but for UDP of `cic-engelen`; that also holds every distinct segment, 16 bytes each.
//!
//! # Where it is right and the original is not
//!
//! What differs between presets is not here, but in their switches. The table is not about `lycos` and `cic-py`, which have their
//! [own](lycos) [tables](python).
//!
//! | difference | switch | the original | here | source |
//! |---|---|---|---|---|
//! | `ghosts` | | what is not IPv4 is read as if it were: ARP becomes 8.0.6.4, IPv6 134.221.96.4 | not IPv4, and counted as that | seen by running ahlashkari/CICFlowMeter@98a5eba |
//! | `icmp_errors` | | of ICMP errors the ports, protocol and lengths are those of the packet that they quote | left out where `packets` says so, else ICMP | seen by running ahlashkari/CICFlowMeter@98a5eba |
//! | `protocol_zero` | | between two hosts all is one flow that has no number here | a flow for each protocol | Rosay, Cheval, Carlier, Leroux 2022, Network Intrusion Detection: A Comprehensive Analysis of CIC-IDS2017 (ICISSP); seen by running ahlashkari/CICFlowMeter@98a5eba |
//! | `sctp_ports` | | SCTP has no ports, but in the fork | it has | code of ahlashkari/CICFlowMeter@98a5eba and GintsEngelen/CICFlowMeter@4dd5319 |
//! | `link_types` | | frames that do not begin with Ethernet are dropped | 16 link types; others are counted | ahlashkari/CICFlowMeter#59; ahlashkari/CICFlowMeter#140 |
//! | `order` | | rows as flows end, those that are left in the order of a hash | in stretches as they end, by first packet in each | seen by running ahlashkari/CICFlowMeter@98a5eba |
//! | `precision` | | means and variances are updated value by value in floats | exact, rounded once | code of ahlashkari/CICFlowMeter@98a5eba |
//! | `local_time` | | times are of the machine's zone | UTC, unless `--time-zone` says otherwise | ahlashkari/CICFlowMeter#173 |

mod bulk;
mod columns;
mod ends;
pub mod lycos;
pub mod python;
mod state;
mod switches;

use std::sync::Arc;

pub use switches::{
    Activity, BulkPause, Bulks, Compare, Counted, Division, Duration, FirstPacket, Header, Idle, InitWinBwd,
    InitWinFwd, KeepsIdle, Length, LengthSource, NoWindow, Order, Packets, Protocols, SegSizeMin, Std, Subflow,
    Switches, TimeText, Unit, ZeroDuration,
};

use super::{Dialect, Difference, Notation, Switched, Zone, difference};
use crate::filter::Filter;
use crate::views::flows::{GoesOn, TcpEnd};
use columns::Layout;
pub use lycos::LYCOS;
use state::{Accumulator, Cic};

/// A dialect of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// `cic`.
    Corrected,
    /// `cic-java`.
    Java,
    /// `cic-engelen`.
    Engelen,
    /// `cic-2018`.
    Of2018,
    /// `cic-2017`.
    Of2017,
    /// `cic-py`.
    Python,
    /// `cic-py-0.2`.
    Python02,
    /// `lycos`.
    Lycos,
}

/// What the corrections come to.
pub const CIC: Switches = Switches {
    packets: Packets::All,
    sweeps: false,
    tcp_end: TcpEnd::States,
    idle_timeout: Idle::All,
    timeout_inclusive: false,
    goes_on: GoesOn::TcpAndUdp,
    synack_swaps: true,
    leave_out_single: false,
    order: Order::Time,
    direction_compare: Compare::IpAndPort,
    first_packet: FirstPacket::BySource,
    first_packet_twice: false,
    first_payload_twice: false,
    flags: Counted::All,
    psh_urg: Counted::All,
    cwr_is_urg: false,
    gaps_from_latest: false,
    single_gap_is_zero: false,
    bulk: Bulks::PerDirection,
    bulk_pause: BulkPause::Second,
    division: Division::Real,
    subflow: Subflow::Stretches,
    init_win_fwd: InitWinFwd::First,
    init_win_bwd: InitWinBwd::First,
    no_window: NoWindow::Zero,
    act_data_skip_first: false,
    seg_size_min: SegSizeMin::OfDirection,
    activity: Activity::Periods,
    last_active_period: false,
    fin_keeps_idle: KeepsIdle::No,
    length: Length::Payload,
    length_source: LengthSource::Headers,
    header: Header::Transport,
    std: Std::Sample,
    zero_duration: ZeroDuration::MinusOne,
    duration: Duration::Span,
    time: Unit::Micros,
    timestamp: TimeText::Iso,
    protocols: Protocols::All,
};

/// The fork of Engelen, Liu and others.
pub const ENGELEN: Switches = Switches {
    packets: Packets::Ipv4,
    idle_timeout: Idle::Udp,
    order: Order::Capture,
    direction_compare: Compare::Ip,
    subflow: Subflow::Gaps,
    init_win_fwd: InitWinFwd::OfFirstPacket,
    init_win_bwd: InitWinBwd::FirstNonzero,
    seg_size_min: SegSizeMin::FromZero,
    length_source: LengthSource::Captured,
    duration: Duration::LastLessFirst,
    protocols: Protocols::Five,
    ..CIC
};

/// The program of 2022.
pub const JAVA: Switches = Switches {
    packets: Packets::WithoutIcmpErrors,
    tcp_end: TcpEnd::BackwardFin,
    idle_timeout: Idle::Off,
    goes_on: GoesOn::Always,
    synack_swaps: false,
    leave_out_single: true,
    first_packet: FirstPacket::Forward,
    first_payload_twice: true,
    psh_urg: Counted::First,
    bulk: Bulks::MergedBackward,
    division: Division::Integer,
    init_win_bwd: InitWinBwd::Last,
    act_data_skip_first: true,
    zero_duration: ZeroDuration::Inf,
    timestamp: TimeText::TwelveHours,
    protocols: Protocols::TcpUdp,
    ..ENGELEN
};

/// The program of 2018.
pub const OF_2018: Switches = Switches {
    tcp_end: TcpEnd::FirstFin,
    first_packet: FirstPacket::Backward,
    flags: Counted::First,
    bulk: Bulks::Off,
    subflow: Subflow::Whole,
    no_window: NoWindow::MinusOne,
    fin_keeps_idle: KeepsIdle::Fin,
    ..JAVA
};

/// The port to Python, version 0.4.2.
pub const PYTHON: Switches = Switches {
    packets: Packets::TcpUdp,
    sweeps: true,
    tcp_end: TcpEnd::Never,
    idle_timeout: Idle::Off,
    goes_on: GoesOn::Never,
    synack_swaps: false,
    order: Order::Capture,
    first_packet_twice: true,
    cwr_is_urg: true,
    gaps_from_latest: true,
    single_gap_is_zero: true,
    bulk: Bulks::OfData,
    subflow: Subflow::Whole,
    init_win_fwd: InitWinFwd::FirstNonzero,
    init_win_bwd: InitWinBwd::FirstNonzero,
    activity: Activity::Off,
    length: Length::Frame,
    length_source: LengthSource::Padded,
    header: Header::Ip,
    std: Std::Population,
    zero_duration: ZeroDuration::Zero,
    duration: Duration::LatestLessFirst,
    time: Unit::Seconds,
    timestamp: TimeText::Seconds,
    ..CIC
};

/// The port to Python, version 0.2.0.
pub const PYTHON_02: Switches = Switches {
    first_packet_twice: false,
    bulk_pause: BulkPause::Millisecond,
    init_win_bwd: InitWinBwd::Last,
    activity: Activity::Gaps,
    header: Header::IpOfTcp,
    duration: Duration::Span,
    time: Unit::Micros,
    ..PYTHON
};

impl Preset {
    /// Every preset.
    pub const ALL: [Preset; 8] = [
        Preset::Corrected,
        Preset::Java,
        Preset::Engelen,
        Preset::Of2018,
        Preset::Of2017,
        Preset::Python,
        Preset::Python02,
        Preset::Lycos,
    ];

    /// Its name as a dialect.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Corrected => "cic",
            Preset::Java => "cic-java",
            Preset::Engelen => "cic-engelen",
            Preset::Of2018 => "cic-2018",
            Preset::Of2017 => "cic-2017",
            Preset::Python => "cic-py",
            Preset::Python02 => "cic-py-0.2",
            Preset::Lycos => "lycos",
        }
    }

    /// Its switches.
    #[must_use]
    pub const fn switches(self) -> Switches {
        match self {
            Preset::Corrected => CIC,
            Preset::Java | Preset::Of2017 => JAVA,
            Preset::Engelen => ENGELEN,
            Preset::Of2018 => OF_2018,
            Preset::Python => PYTHON,
            Preset::Python02 => PYTHON_02,
            Preset::Lycos => LYCOS,
        }
    }

    /// What its columns are, by the names of 2022: the same in all presets that have a column.
    pub(super) fn meanings(self) -> Vec<&'static str> {
        let ends = ends::columns(Layout::Classic, Protocols::All).iter().map(|column| column.name);
        let ends: Vec<_> = match self.layout() {
            Layout::Python => vec!["Src IP", "Dst IP", "Src Port", "Dst Port", "Protocol"],
            _ => ends.collect(),
        };
        ends.into_iter().chain(self.layout().meanings()).collect()
    }

    fn about(self) -> &'static str {
        match self {
            Preset::Corrected => "CICFlowMeter, with all corrections",
            Preset::Java => "CICFlowMeter 98a5eba (2022), with its errors",
            Preset::Engelen => "CICFlowMeter of Engelen, Liu and others, 4dd5319 (2024)",
            Preset::Of2018 => "CICFlowMeter 99dc827 (2019), as in 2018, with its errors",
            Preset::Of2017 => "CICFlowMeter 98a5eba (2022), with its errors, under the names of 2017",
            Preset::Python => "cicflowmeter 0.4.2 of PyPI, with its errors",
            Preset::Python02 => "cicflowmeter 0.2.0 of PyPI, with its errors",
            Preset::Lycos => "LycoSTand (2021), as of LYCOS-IDS2017",
        }
    }

    fn layout(self) -> Layout {
        match self {
            Preset::Corrected | Preset::Java => Layout::Classic,
            Preset::Engelen => Layout::Extended,
            Preset::Of2018 => Layout::Short,
            Preset::Of2017 => Layout::Long,
            Preset::Python | Preset::Python02 => Layout::Python,
            Preset::Lycos => Layout::Lycos,
        }
    }
}

/// The dialect of a preset, with these switches.
#[must_use]
pub fn dialect(preset: Preset, switches: Switches) -> Dialect {
    in_zone(preset, switches, Zone::default())
}

/// As [`dialect`], with times of a zone.
pub(super) fn in_zone(preset: Preset, switches: Switches, zone: Zone) -> Dialect {
    let layout = preset.layout();
    let (notation, differences) = match layout {
        Layout::Lycos => (Notation::Python, lycos::DIFFERENCES),
        Layout::Python => (Notation::Python, python::DIFFERENCES),
        _ => (Notation::Java, DIFFERENCES),
    };
    Dialect {
        name: preset.name(),
        about: preset.about(),
        filter: Filter::parse(switches.filter()).expect("a test parses it"),
        rules: |usual| usual,
        columns: ends::columns(layout, switches.protocols),
        accumulator: Arc::new(Accumulator(Arc::new(Cic { switches, layout, zone: zone.clone() }))),
        notation,
        differences,
        switches: Some(Switched::Cic(preset, switches, zone)),
    }
}

/// What the table in the module's documentation says.
const DIFFERENCES: &[Difference] = &[
    difference(
        "ghosts",
        "seen by running ahlashkari/CICFlowMeter@98a5eba",
        "what is not IPv4 is read as if it were: ARP becomes 8.0.6.4, IPv6 134.221.96.4",
        "not IPv4, and counted as that",
    ),
    difference(
        "icmp_errors",
        "seen by running ahlashkari/CICFlowMeter@98a5eba",
        "of ICMP errors the ports, protocol and lengths are those of the packet that they quote",
        "left out where `packets` says so, else ICMP",
    ),
    difference(
        "protocol_zero",
        "Rosay, Cheval, Carlier, Leroux 2022, Network Intrusion Detection: A Comprehensive Analysis of CIC-IDS2017 (ICISSP); seen by running ahlashkari/CICFlowMeter@98a5eba",
        "between two hosts all is one flow that has no number here",
        "a flow for each protocol",
    ),
    difference(
        "sctp_ports",
        "code of ahlashkari/CICFlowMeter@98a5eba and GintsEngelen/CICFlowMeter@4dd5319",
        "SCTP has no ports, but in the fork",
        "it has",
    ),
    difference(
        "link_types",
        "ahlashkari/CICFlowMeter#59; ahlashkari/CICFlowMeter#140",
        "frames that do not begin with Ethernet are dropped",
        "16 link types; others are counted",
    ),
    difference(
        "order",
        "seen by running ahlashkari/CICFlowMeter@98a5eba",
        "rows as flows end, those that are left in the order of a hash",
        "in stretches as they end, by first packet in each",
    ),
    difference(
        "precision",
        "code of ahlashkari/CICFlowMeter@98a5eba",
        "means and variances are updated value by value in floats",
        "exact, rounded once",
    ),
    difference(
        "local_time",
        "ahlashkari/CICFlowMeter#173",
        "times are of the machine's zone",
        "UTC, unless `--time-zone` says otherwise",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_of_the_kind_that_switches_make_of_them() {
        use crate::views::flows::columns::Kind::{self, Float, Integer, Text};
        let of = |dialect: &Dialect, name: &str| {
            let columns = dialect.columns();
            let column = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).unwrap();
            (column.kind, column.unit)
        };
        let set = |name: &str, switch, value| name.parse::<Dialect>().unwrap().set(switch, value).unwrap();
        let time: [(&str, (Kind, &str)); 3] =
            [("iso-utc", (Text, "")), ("epoch-us", (Integer, "µs")), ("seconds-utc", (Text, ""))];
        for (value, kind) in time {
            for name in ["cic", "cic-py", "lycos"] {
                assert_eq!(of(&set(name, "timestamp", value), "timestamp"), kind, "{name}, {value}");
            }
        }
        assert_eq!(of(&set("cic", "time", "us"), "Flow Duration"), (Integer, "µs"));
        assert_eq!(of(&set("cic", "time", "s"), "Flow Duration"), (Float, "s"));
    }

    #[test]
    fn presets_have_filters_and_the_columns_of_their_programs() {
        for (preset, columns) in Preset::ALL.into_iter().zip([84, 84, 94, 84, 85, 82, 82, 83]) {
            let dialect = dialect(preset, preset.switches());
            let packets = dialect.switches().into_iter().find(|switch| switch.name == "packets").unwrap();
            for packets in packets.values.iter().map(|value| value.name) {
                assert_eq!(dialect.clone().set("packets", packets).unwrap().columns().len(), columns);
            }
        }
    }
}
