//! The switches by which programs of the family differ: a preset is a set of them, and each can be set by name.

use super::super::switches::{Named, switches};
use crate::time::NS_PER_SECOND;
use crate::views::flows::{ClientRule, GoesOn, Lifetime, Settings, TcpEnd};

macro_rules! values {
    ($($(#[$of:meta])* $switch:ident { $($(#[doc = $about:literal])+ $value:ident = $name:literal,)+ })+) => { $(
        $(#[$of])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $switch { $($(#[doc = $about])+ $value,)+ }
        impl Named for $switch {
            const ALL: &'static [(&'static str, $switch, &'static str)] =
                &[$(($name, $switch::$value, concat!($($about),+))),+];
        }
    )+ };
}

impl Named for TcpEnd {
    const ALL: &'static [(&'static str, TcpEnd, &'static str)] = &[
        (
            TcpEnd::States.name(),
            TcpEnd::States,
            "By a SYN behind a RST, or behind an ACK that follows FINs of both ends; ICMP of another type and code ends one too.",
        ),
        (TcpEnd::Closed.name(), TcpEnd::Closed, "When both FINs were acknowledged, or by a RST."),
        (
            TcpEnd::BackwardFin.name(),
            TcpEnd::BackwardFin,
            "At once, by the first FIN backward or any RST; further FINs forward are left out.",
        ),
        (TcpEnd::FirstFin.name(), TcpEnd::FirstFin, "At once, by the first FIN."),
        (
            TcpEnd::AnyFin.name(),
            TcpEnd::AnyFin,
            "At once, by any FIN or RST; for 240 s what follows is left out, up to a SYN.",
        ),
        (TcpEnd::Never.name(), TcpEnd::Never, "Not at all."),
    ];
}

impl Named for GoesOn {
    const ALL: &'static [(&'static str, GoesOn, &'static str)] = &[
        ("tcp-udp", GoesOn::TcpAndUdp, "Those of TCP and UDP."),
        ("always", GoesOn::Always, "All."),
        ("never", GoesOn::Never, "None."),
    ];
}

values! {
    /// Which packets count.
    Packets {
        /// IPv4 and IPv6.
        All = "all",
        /// IPv4.
        Ipv4 = "ipv4",
        /// IPv4, without ICMP messages that quote a packet.
        WithoutIcmpErrors = "ipv4-without-icmp-errors",
        /// IPv4 of ICMP, IGMP, TCP, UDP and SCTP.
        FiveOfIpv4 = "ipv4-five",
        /// TCP and UDP over IPv4 without a VLAN tag, but for later fragments.
        TcpUdp = "ipv4-tcp-udp",
    }
    /// What silence ends a flow.
    Idle {
        /// 120 s.
        All = "120s",
        /// 120 s of UDP alone.
        Udp = "udp-120s",
        /// None.
        Off = "off",
    }
    /// How packets are ordered in a flow.
    Order {
        /// By time, as far as they come within 10 ms.
        Time = "time",
        /// As they come.
        Capture = "capture",
    }
    /// Which direction a flow's first packet is of.
    FirstPacket {
        /// By who sent it.
        BySource = "by-source",
        /// Forward, also where the flow goes on from another and the destination sent it.
        Forward = "forward",
        /// Backward.
        Backward = "backward",
    }
    /// Packets that are counted for flags.
    Counted {
        /// All.
        All = "all",
        /// The first of the flow.
        First = "first",
    }
    /// How bulks are found.
    Bulks {
        /// Apart, and each direction interrupts the other.
        PerDirection = "per-direction",
        /// The same, but that packets without payload interrupt none, which shows where time goes back.
        OfData = "per-direction-of-data",
        /// Of both directions together, as backward.
        MergedBackward = "merged-backward",
        /// Not.
        Off = "off",
    }
    /// How numbers are divided.
    Division {
        /// With fractions.
        Real = "real",
        /// Rounded down.
        Integer = "integer",
    }
    /// What subflows are.
    Subflow {
        /// Stretches between pauses longer than 1 s.
        Stretches = "gaps+1",
        /// The pauses; without one all is 0.
        Gaps = "gaps",
        /// The flow.
        Whole = "whole",
    }
    /// The first window forward.
    InitWinFwd {
        /// Of the first packet forward.
        First = "first",
        /// Of the flow's first packet, if that is forward.
        OfFirstPacket = "of-first-packet",
        /// The first that is not 0.
        FirstNonzero = "first-nonzero",
    }
    /// What lengths of packets are of.
    Length {
        /// The transport's payload.
        Payload = "payload",
        /// The frame, as it was captured.
        Frame = "frame",
    }
    /// Which header is measured.
    Header {
        /// The transport's.
        Transport = "transport",
        /// That of IP.
        Ip = "ip",
        /// That of IP, but for UDP its own.
        IpOfTcp = "ip-of-tcp",
    }
    /// The longest pause in a bulk.
    BulkPause {
        /// 1 s.
        Second = "1s",
        /// 1 ms.
        Millisecond = "1ms",
    }
    /// What active and idle times are.
    Activity {
        /// Periods, parted by silence of more than 5 s.
        Periods = "periods",
        /// Gaps of more than 1 ms, idle by what each has over the one before if that is more than 5 ms.
        Gaps = "gaps",
        /// Nothing.
        Off = "off",
    }
    /// The unit of times.
    Unit {
        /// Microseconds.
        Micros = "us",
        /// Seconds.
        Seconds = "s",
    }
    /// The first window backward.
    InitWinBwd {
        /// Of the first packet backward.
        First = "first",
        /// The first that is not 0.
        FirstNonzero = "first-nonzero",
        /// Of the last packet backward.
        Last = "last",
    }
    /// What stands for a window that was not seen.
    NoWindow {
        /// 0.
        Zero = "zero",
        /// -1, also for what has no windows.
        MinusOne = "minus-one",
    }
    /// The least header.
    SegSizeMin {
        /// Of the direction's packets that have one.
        OfDirection = "of-direction",
        /// The same if the flow's first packet is of the direction; else 0.
        FromZero = "from-zero",
    }
    /// In front of which packets silence is not idle.
    KeepsIdle {
        /// None.
        No = "no",
        /// Those with FIN.
        Fin = "yes",
        /// Those with FIN or RST.
        FinOrRst = "fin-or-rst",
    }
    /// Where lengths are from.
    LengthSource {
        /// Headers.
        Headers = "ip-header",
        /// What was captured.
        Captured = "captured",
        /// All that was captured behind the transport's header, padding too.
        Padded = "captured-padded",
    }
    /// The standard deviation and variance.
    Std {
        /// Divided by n - 1.
        Sample = "sample",
        /// Divided by n.
        Population = "population",
    }
    /// What stands for bytes and packets per second of a flow without duration.
    ZeroDuration {
        /// -1.
        MinusOne = "minus-one",
        /// Infinity, or NaN for 0 bytes; text in JSON, which has no such numbers.
        Inf = "inf",
        /// 0, also where the duration is negative.
        Zero = "zero",
        /// Nothing.
        Empty = "empty",
    }
    /// The duration.
    Duration {
        /// Latest less earliest time.
        Span = "span",
        /// Time of the last packet less that of the first, negative where time goes back.
        LastLessFirst = "last-less-first",
        /// Latest time less that of the first packet.
        LatestLessFirst = "latest-less-first",
    }
    /// Time as text; of UTC, unless a zone is asked for.
    TimeText {
        /// `2017-07-06 12:00:30`, with milli- or microseconds unless they are 0.
        Iso = "iso-utc",
        /// `06/07/2017 12:00:30 PM`.
        TwelveHours = "12h-utc",
        /// Microseconds since 1970.
        Micros = "epoch-us",
        /// `2017-07-06 12:00:30`.
        Seconds = "seconds-utc",
    }
    /// By what the direction of a packet is known.
    Compare {
        /// The source's address and port.
        IpAndPort = "ip+port",
        /// Its address: all packets between ports of one host are forward.
        Ip = "ip",
    }
    /// Which protocols have a number, and lengths if they have ports.
    Protocols {
        /// All.
        All = "all",
        /// ICMP, IGMP, TCP, UDP and SCTP; others are 0.
        Five = "five",
        /// TCP and UDP; others are 0.
        TcpUdp = "tcp-udp",
        /// As five, and of ICMP and IGMP what is behind their first 8 bytes is payload.
        FiveWithLengths = "five-with-lengths",
    }
}

switches! {
    /// All switches.
    struct Switches {
        /// which packets count
        packets: Packets
            from "ahlashkari/CICFlowMeter#49; seen by running ahlashkari/CICFlowMeter@98a5eba, of TCP and UDP alone cicflowmeter 0.4.2",
        /// whether flows end in sweeps alone, whatever the next three say: every 1,000 packets, and behind each of a flow that is longer
        /// than 120 s, those that are silent for 240 s or 90 s long; they are of two ends, whatever the protocol
        sweeps: bool
            from "seen by running cicflowmeter 0.4.2",
        /// how FIN, RST and SYN end flows of TCP
        tcp_end: TcpEnd
            from "Engelen, Rimmer, Joosen 2021, Troubleshooting an Intrusion Detection Dataset: the CICIDS2017 Case Study (WTMC); ahlashkari/CICFlowMeter#167",
        /// the silence that ends a flow, beside 120 s from its start
        idle_timeout: Idle
            from "code of ahlashkari/CICFlowMeter@98a5eba and GintsEngelen/CICFlowMeter@4dd5319",
        /// whether a packet exactly 120 s from the start is of the next flow
        timeout_inclusive: bool
            from "code of LycoSTand (2021)",
        /// which flows that ended 120 s from their start go on with the same source and destination
        goes_on: GoesOn
            from "seen by running ahlashkari/CICFlowMeter@98a5eba and GintsEngelen/CICFlowMeter@4dd5319",
        /// whether a flow that begins with SYN and ACK was begun by its receiver
        synack_swaps: bool
            from "GintsEngelen/CICFlowMeter@e9a9875",
        /// whether flows of one packet are left out
        leave_out_single: bool
            from "GintsEngelen/CICFlowMeter@c9d0050",
        /// how packets are ordered in a flow
        order: Order
            from "Lanvin and others 2022 (CRiSIS, hal-03775466); GintsEngelen/CICFlowMeter#10",
        /// by what the direction of a packet is known
        direction_compare: Compare
            from "code of ahlashkari/CICFlowMeter@98a5eba",
        /// which direction the first packet of a flow is of
        first_packet: FirstPacket
            from "ahlashkari/CICFlowMeter#45; seen by running ahlashkari/CICFlowMeter@98a5eba and ahlashkari/CICFlowMeter@99dc827",
        /// whether the first packet of a flow counts twice, but for bulks
        first_packet_twice: bool
            from "seen by running cicflowmeter 0.4.2",
        /// whether the payload of the first packet counts twice in the lengths of both directions
        first_payload_twice: bool
            from "ahlashkari/CICFlowMeter#94; Liu, Engelen, Lynar, Essam, Joosen 2022, Error Prevalence in NIDS datasets (CNS); GintsEngelen/CICFlowMeter@43e5f4f",
        /// packets whose flags are counted
        flags: Counted
            from "seen by running ahlashkari/CICFlowMeter@99dc827",
        /// packets whose PSH and URG are counted by direction
        psh_urg: Counted
            from "Engelen, Rimmer, Joosen 2021, Troubleshooting an Intrusion Detection Dataset: the CICIDS2017 Case Study (WTMC)",
        /// whether CWR counts what URG forward does
        cwr_is_urg: bool
            from "seen by running cicflowmeter 0.4.2",
        /// whether gaps of the flow begin at its latest packet, not at that before
        gaps_from_latest: bool
            from "code of cicflowmeter 0.4.2",
        /// whether the statistics of a single gap or period are 0
        single_gap_is_zero: bool
            from "seen by running cicflowmeter 0.4.2",
        /// how bulks are found
        bulk: Bulks
            from "ahlashkari/CICFlowMeter#124; Liu, Engelen, Lynar, Essam, Joosen 2022, Error Prevalence in NIDS datasets (CNS)",
        /// the longest pause in a bulk
        bulk_pause: BulkPause
            from "seen by running cicflowmeter 0.2.0",
        /// how the ratio, subflows and bulks divide
        division: Division
            from "Liu, Engelen, Lynar, Essam, Joosen 2022, Error Prevalence in NIDS datasets (CNS); GintsEngelen/CICFlowMeter@4b28b62; GintsEngelen/CICFlowMeter@381bc30",
        /// what subflows are
        subflow: Subflow
            from "ahlashkari/CICFlowMeter#41; GintsEngelen/CICFlowMeter@381bc30",
        /// the first window forward
        init_win_fwd: InitWinFwd
            from "seen by running GintsEngelen/CICFlowMeter@4dd5319",
        /// the first window backward
        init_win_bwd: InitWinBwd
            from "Rosay, Cheval, Carlier, Leroux 2022, Network Intrusion Detection: A Comprehensive Analysis of CIC-IDS2017 (ICISSP); GintsEngelen/CICFlowMeter#14",
        /// what stands for a window that was not seen
        no_window: NoWindow
            from "seen by running ahlashkari/CICFlowMeter@99dc827",
        /// whether the first packet of a flow never has data
        act_data_skip_first: bool
            from "seen by running ahlashkari/CICFlowMeter@98a5eba",
        /// the least header of a direction
        seg_size_min: SegSizeMin
            from "seen by running GintsEngelen/CICFlowMeter@4dd5319",
        /// what active and idle times are
        activity: Activity
            from "seen by running cicflowmeter 0.4.2 and cicflowmeter 0.2.0",
        /// whether the active period in which a flow ends counts
        last_active_period: bool
            from "seen by running ahlashkari/CICFlowMeter@98a5eba",
        /// in front of which packets silence is not idle
        fin_keeps_idle: KeepsIdle
            from "code of ahlashkari/CICFlowMeter@98a5eba and of LycoSTand (2021)",
        /// what lengths of packets are of
        length: Length
            from "seen by running cicflowmeter 0.4.2",
        /// where lengths of payload are from
        length_source: LengthSource
            from "seen by running ahlashkari/CICFlowMeter@98a5eba and cicflowmeter 0.4.2",
        /// which header is measured
        header: Header
            from "seen by running cicflowmeter 0.4.2 and cicflowmeter 0.2.0",
        /// standard deviation and variance
        std: Std
            from "seen by running cicflowmeter 0.4.2",
        /// bytes and packets per second of a flow without duration
        zero_duration: ZeroDuration
            from "seen by running ahlashkari/CICFlowMeter@98a5eba and GintsEngelen/CICFlowMeter@4dd5319",
        /// the duration
        duration: Duration
            from "code of ahlashkari/CICFlowMeter@98a5eba and cicflowmeter 0.4.2",
        /// the unit of times
        time: Unit
            from "seen by running cicflowmeter 0.4.2 and cicflowmeter 0.2.0",
        /// the time as text
        timestamp: TimeText
            from "ahlashkari/CICFlowMeter#173; GintsEngelen/CICFlowMeter#4",
        /// which protocols have a number, and lengths if they have ports
        protocols: Protocols
            from "Rosay, Cheval, Carlier, Leroux 2022, Network Intrusion Detection: A Comprehensive Analysis of CIC-IDS2017 (ICISSP)",
    }
}

/// The longest time from a flow's first packet to its last, and the longest silence where there is one.
const TIMEOUT: i64 = 120 * NS_PER_SECOND;

impl Switches {
    /// Whether times are civil, and so of a zone.
    pub(in super::super) fn has_civil_times(&self) -> bool {
        self.timestamp != TimeText::Micros
    }

    /// The settings of flows that they ask for.
    pub(in super::super) fn settings(&self, usual: Settings) -> Settings {
        let idle = |all: bool| all.then_some(TIMEOUT);
        let all = self.idle_timeout == Idle::All;
        let lifetime = Lifetime {
            tcp_idle: idle(all),
            udp_idle: idle(self.idle_timeout != Idle::Off),
            other_idle: idle(all),
            active: Some(TIMEOUT - i64::from(self.timeout_inclusive)),
            tcp_end: self.tcp_end,
            goes_on: self.goes_on,
        };
        Settings {
            lifetime: if self.sweeps { Lifetime::NEVER } else { lifetime },
            sweeps: self.sweeps,
            reorder: if self.order == Order::Time && !self.sweeps { usual.reorder } else { 0 },
            sequences: 0,
            no_retransmissions: false,
            min_packets: usual.min_packets.max(if self.leave_out_single { 2 } else { 0 }),
            client: if self.synack_swaps { ClientRule::Opener } else { ClientRule::FirstPacket },
            one_host_is_forward: self.direction_compare == Compare::Ip,
            ..usual
        }
    }

    /// The filter that they ask for.
    pub(super) fn filter(&self) -> &'static str {
        match self.packets {
            Packets::All => "ip or ip6",
            Packets::Ipv4 => "ip",
            Packets::WithoutIcmpErrors => {
                "ip and not (icmp[0] = 3 or icmp[0] = 4 or icmp[0] = 5 or icmp[0] = 11 or icmp[0] = 12)"
            }
            Packets::FiveOfIpv4 => "ip and (icmp or igmp or tcp or udp or sctp)",
            Packets::TcpUdp => "ip and (tcp or udp) and ip[6:2] & 0x1fff = 0 and not vlan",
        }
    }
}
