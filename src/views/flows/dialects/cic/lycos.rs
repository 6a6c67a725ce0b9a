//! LycoSTand: the 83 columns of LYCOS-IDS2017, of the program of April 2021.
//!
//! A FIN or RST ends a flow at once, and its ports are closed for 240 s but to a SYN; else it ends 120 s from its start. Payload and
//! headers are those of the transport, also of ICMP and IGMP. What is divided by nothing is 0.
//!
//! # Where it is right and the original is not
//!
//! | difference | switch | the original | here | source |
//! |---|---|---|---|---|
//! | `protocols` | | two ends have one flow, whatever the protocol | one for each protocol | code of LycoSTand (2021) |
//! | `open_flows` | | flows that last at the end of the capture are lost if they began less than 120 s before | they are written | code of LycoSTand (2021) |
//! | `fragments` | | later fragments are read as if they began with a header | of a flow without ports and lengths | code of LycoSTand (2021) |
//! | `lengths` | | IP lengths below those of the headers, and 0 of segmentation offload, go around below 0 | no payload, and the rest of the frame | code of LycoSTand (2021) |
//! | `malformed` | | headers are read behind the end of what was captured | it stands in the ledger | code of LycoSTand (2021) |
//! | `link_types` | | Ethernet without VLAN tags | 16 link types, tags and tunnels | code of LycoSTand (2021) |
//! | `first_window` | | of TCP without packets forward it is 0 | -1, as of those without packets backward | code of LycoSTand (2021) |
//! | `time_back` | | where time goes back, bulks go on without it | it counts as it is | code of LycoSTand (2021) |
//! | `precision` | | means and variances are updated value by value in floats | exact, rounded once | code of LycoSTand (2021) |
//! | `decimals` | | six decimals, and a blank in front of `bwd_bulk_rate_mean` | as many as there are, no blank | code of LycoSTand (2021) |
//! | `order` | | rows as flows end | in stretches as they end, by first packet in each | code of LycoSTand (2021) |

use super::super::sums::Sums;
use super::super::{Difference, difference};
use super::columns::{Figured, Item, Layout, MAX, MEAN, MIN, STD, VAR, item, or_zero, table};
use super::switches::{
    Duration, Idle, KeepsIdle, NoWindow, Order, Packets, Protocols, Switches, TimeText, ZeroDuration,
};
use crate::views::flows::columns::Kind::{Float, Integer, Text};
use crate::views::flows::{Cell, Cells, GoesOn, TcpEnd};

/// What LycoSTand does.
pub const LYCOS: Switches = Switches {
    packets: Packets::FiveOfIpv4,
    tcp_end: TcpEnd::AnyFin,
    idle_timeout: Idle::Off,
    timeout_inclusive: true,
    goes_on: GoesOn::Always,
    order: Order::Capture,
    no_window: NoWindow::MinusOne,
    fin_keeps_idle: KeepsIdle::FinOrRst,
    zero_duration: ZeroDuration::Zero,
    duration: Duration::LastLessFirst,
    timestamp: TimeText::Micros,
    protocols: Protocols::FiveWithLengths,
    ..super::CIC
};

/// A sum that is written as an integer.
fn total(sums: &Sums) -> Cell<'static> {
    Cell::Integer(i64::try_from(sums.sum).unwrap_or(i64::MAX))
}

table! {
    /// All columns but those of who talked to whom.
    item(("Timestamp", "timestamp"), Integer, "µs", "time of the first packet, since 1970"; |f| f.started()),
    item(("Flow Duration", "flow_duration"), Integer, "µs", "from the first packet to the last, as `duration` says"; |f| Cell::Integer(f.duration)),
    item(("Down/Up Ratio", "down_up_ratio"), Float, "", "bwd_pkt_cnt / fwd_pkt_cnt; 0 without the latter"; |f| f.down_up().into()),
    item(("Packet Length Max", "pkt_len_max"), Float, "bytes", "greatest payload; where its length is from `length_source` says"; |f| or_zero(&f.both, MAX)),
    item(("Packet Length Min", "pkt_len_min"), Float, "bytes", "least payload"; |f| or_zero(&f.both, MIN)),
    item(("Packet Length Mean", "pkt_len_mean"), Float, "bytes", "mean payload"; |f| or_zero(&f.both, MEAN)),
    item(("Packet Length Variance", "pkt_len_var"), Float, "bytes^2", "variance of payload, as `std` says"; |f| or_zero(&f.both, VAR)),
    item(("Packet Length Std", "pkt_len_std"), Float, "bytes", "standard deviation of payload, as `std` says"; |f| or_zero(&f.both, STD)),
    item(("Flow Bytes/s", "bytes_per_s"), Float, "bytes/s", "payload / flow_duration; without duration what `zero_duration` says"; |f| f.rate(f.side(0).lengths.sum + f.side(1).lengths.sum)),
    item(("Flow Packets/s", "pkt_per_s"), Float, "packets/s", "packets / flow_duration; without duration what `zero_duration` says"; |f| f.rate(f.packets.into())),
    item(("Fwd Packets/s", "fwd_pkt_per_s"), Float, "packets/s", "fwd_pkt_cnt / flow_duration; 0 without duration"; |f| f.side_rate(0)),
    item(("Bwd Packets/s", "bwd_pkt_per_s"), Float, "packets/s", "bwd_pkt_cnt / flow_duration; 0 without duration"; |f| f.side_rate(1)),
    item(("Total Fwd Packet", "fwd_pkt_cnt"), Integer, "packets", "packets forward: from the source"; |f| f.side(0).lengths.count.into()),
    item(("Total Length of Fwd Packet", "fwd_pkt_len_tot"), Integer, "bytes", "sum of payload forward"; |f| total(&f.side(0).lengths)),
    item(("Fwd Packet Length Max", "fwd_pkt_len_max"), Float, "bytes", "greatest payload forward"; |f| or_zero(&f.lengths[0], MAX)),
    item(("Fwd Packet Length Min", "fwd_pkt_len_min"), Float, "bytes", "least payload forward"; |f| or_zero(&f.lengths[0], MIN)),
    item(("Fwd Packet Length Mean", "fwd_pkt_len_mean"), Float, "bytes", "mean payload forward"; |f| or_zero(&f.lengths[0], MEAN)),
    item(("Fwd Packet Length Std", "fwd_pkt_len_std"), Float, "bytes", "standard deviation of payload forward, as `std` says"; |f| or_zero(&f.lengths[0], STD)),
    item(("Fwd Header Length", "fwd_pkt_hdr_len_tot"), Integer, "bytes", "sum of transport headers forward"; |f| f.side(0).headers.into()),
    item(("Fwd Seg Size Min", "fwd_pkt_hdr_len_min"), Integer, "bytes", "least transport header forward"; |f| f.least_header(0).into()),
    item(("Fwd Act Data Pkts", "fwd_non_empty_pkt_cnt"), Integer, "packets", "packets forward with payload"; |f| f.side(0).data.into()),
    item(("Total Bwd packets", "bwd_pkt_cnt"), Integer, "packets", "packets backward"; |f| f.side(1).lengths.count.into()),
    item(("Total Length of Bwd Packet", "bwd_pkt_len_tot"), Integer, "bytes", "sum of payload backward"; |f| total(&f.side(1).lengths)),
    item(("Bwd Packet Length Max", "bwd_pkt_len_max"), Float, "bytes", "greatest payload backward"; |f| or_zero(&f.lengths[1], MAX)),
    item(("Bwd Packet Length Min", "bwd_pkt_len_min"), Float, "bytes", "least payload backward"; |f| or_zero(&f.lengths[1], MIN)),
    item(("Bwd Packet Length Mean", "bwd_pkt_len_mean"), Float, "bytes", "mean payload backward"; |f| or_zero(&f.lengths[1], MEAN)),
    item(("Bwd Packet Length Std", "bwd_pkt_len_std"), Float, "bytes", "standard deviation of payload backward, as `std` says"; |f| or_zero(&f.lengths[1], STD)),
    item(("Bwd Header Length", "bwd_pkt_hdr_len_tot"), Integer, "bytes", "sum of transport headers backward"; |f| f.side(1).headers.into()),
    item(("Bwd Seg Size Min", "bwd_pkt_hdr_len_min"), Integer, "bytes", "least transport header backward"; |f| f.least_header(1).into()),
    item(("Bwd Act Data Pkts", "bwd_non_empty_pkt_cnt"), Integer, "packets", "packets backward with payload"; |f| f.side(1).data.into()),
    item(("Flow IAT Max", "iat_max"), Float, "µs", "greatest gap between packets"; |f| or_zero(&f.gaps, MAX)),
    item(("Flow IAT Min", "iat_min"), Float, "µs", "least gap between packets"; |f| or_zero(&f.gaps, MIN)),
    item(("Flow IAT Mean", "iat_mean"), Float, "µs", "mean gap between packets"; |f| or_zero(&f.gaps, MEAN)),
    item(("Flow IAT Std", "iat_std"), Float, "µs", "standard deviation of gaps between packets, as `std` says"; |f| or_zero(&f.gaps, STD)),
    item(("Fwd IAT Total", "fwd_iat_tot"), Integer, "µs", "sum of gaps between packets forward"; |f| total(&f.side(0).gaps)),
    item(("Fwd IAT Max", "fwd_iat_max"), Float, "µs", "greatest gap forward"; |f| or_zero(&f.side_gaps[0], MAX)),
    item(("Fwd IAT Min", "fwd_iat_min"), Float, "µs", "least gap forward"; |f| or_zero(&f.side_gaps[0], MIN)),
    item(("Fwd IAT Mean", "fwd_iat_mean"), Float, "µs", "mean gap forward"; |f| or_zero(&f.side_gaps[0], MEAN)),
    item(("Fwd IAT Std", "fwd_iat_std"), Float, "µs", "standard deviation of gaps forward, as `std` says"; |f| or_zero(&f.side_gaps[0], STD)),
    item(("Bwd IAT Total", "bwd_iat_tot"), Integer, "µs", "sum of gaps between packets backward"; |f| total(&f.side(1).gaps)),
    item(("Bwd IAT Max", "bwd_iat_max"), Float, "µs", "greatest gap backward"; |f| or_zero(&f.side_gaps[1], MAX)),
    item(("Bwd IAT Min", "bwd_iat_min"), Float, "µs", "least gap backward"; |f| or_zero(&f.side_gaps[1], MIN)),
    item(("Bwd IAT Mean", "bwd_iat_mean"), Float, "µs", "mean gap backward"; |f| or_zero(&f.side_gaps[1], MEAN)),
    item(("Bwd IAT Std", "bwd_iat_std"), Float, "µs", "standard deviation of gaps backward, as `std` says"; |f| or_zero(&f.side_gaps[1], STD)),
    item(("Active Max", "active_max"), Float, "µs", "longest active period, parted by gaps > 5 s"; |f| or_zero(&f.active, MAX)),
    item(("Active Min", "active_min"), Float, "µs", "shortest active period"; |f| or_zero(&f.active, MIN)),
    item(("Active Mean", "active_mean"), Float, "µs", "mean of active periods"; |f| or_zero(&f.active, MEAN)),
    item(("Active Std", "active_std"), Float, "µs", "standard deviation of active periods, as `std` says"; |f| or_zero(&f.active, STD)),
    item(("Idle Max", "idle_max"), Float, "µs", "greatest gap > 5 s"; |f| or_zero(&f.idle, MAX)),
    item(("Idle Min", "idle_min"), Float, "µs", "least gap > 5 s"; |f| or_zero(&f.idle, MIN)),
    item(("Idle Mean", "idle_mean"), Float, "µs", "mean of gaps > 5 s"; |f| or_zero(&f.idle, MEAN)),
    item(("Idle Std", "idle_std"), Float, "µs", "standard deviation of gaps > 5 s, as `std` says"; |f| or_zero(&f.idle, STD)),
    item(("SYN Flag Count", "flag_SYN"), Integer, "packets", "packets with SYN"; |f| f.flag(1)),
    item(("FIN Flag Count", "flag_fin"), Integer, "packets", "packets with FIN"; |f| f.flag(0)),
    item(("RST Flag Count", "flag_rst"), Integer, "packets", "packets with RST"; |f| f.flag(2)),
    item(("ACK Flag Count", "flag_ack"), Integer, "packets", "packets with ACK"; |f| f.flag(4)),
    item(("PSH Flag Count", "flag_psh"), Integer, "packets", "packets with PSH"; |f| f.flag(3)),
    item(("Fwd PSH Flags", "fwd_flag_psh"), Integer, "packets", "packets forward with PSH"; |f| f.side(0).psh.into()),
    item(("Bwd PSH Flags", "bwd_flag_psh"), Integer, "packets", "packets backward with PSH"; |f| f.side(1).psh.into()),
    item(("URG Flag Count", "flag_urg"), Integer, "packets", "packets with URG"; |f| f.flag(5)),
    item(("Fwd URG Flags", "fwd_flag_urg"), Integer, "packets", "packets forward with URG"; |f| f.side(0).urg.into()),
    item(("Bwd URG Flags", "bwd_flag_urg"), Integer, "packets", "packets backward with URG"; |f| f.side(1).urg.into()),
    item(("CWR Flag Count", "flag_cwr"), Integer, "packets", "packets with CWR"; |f| f.flag(7)),
    item(("ECE Flag Count", "flag_ece"), Integer, "packets", "packets with ECE"; |f| f.flag(6)),
    item(("Fwd Bytes/Bulk Avg", "fwd_bulk_bytes_mean"), Float, "bytes", "payload of bulks / bulks, forward"; |f| f.of_bulks(0, |done| done.size)),
    item(("Fwd Packet/Bulk Avg", "fwd_bulk_pkt_mean"), Float, "packets", "packets of bulks / bulks, forward"; |f| f.of_bulks(0, |done| done.packets)),
    item(("Fwd Bulk Rate Avg", "fwd_bulk_rate_mean"), Float, "bytes/s", "payload of bulks / their duration, forward"; |f| f.bulk_rate(0)),
    item(("Bwd Bytes/Bulk Avg", "bwd_bulk_bytes_mean"), Float, "bytes", "payload of bulks / bulks, backward"; |f| f.of_bulks(1, |done| done.size)),
    item(("Bwd Packet/Bulk Avg", "bwd_bulk_pkt_mean"), Float, "packets", "packets of bulks / bulks, backward"; |f| f.of_bulks(1, |done| done.packets)),
    item(("Bwd Bulk Rate Avg", "bwd_bulk_rate_mean"), Float, "bytes/s", "payload of bulks / their duration, backward"; |f| f.bulk_rate(1)),
    item(("Subflow Fwd Bytes", "fwd_subflow_bytes_mean"), Float, "bytes", "payload forward / subflows, parted by gaps > 1 s"; |f| f.subflow(f.side(0).lengths.sum as u64)),
    item(("Subflow Fwd Packets", "fwd_subflow_pkt_mean"), Float, "packets", "packets forward / subflows"; |f| f.subflow(f.side(0).lengths.count)),
    item(("Subflow Bwd Bytes", "bwd_subflow_bytes_mean"), Float, "bytes", "payload backward / subflows"; |f| f.subflow(f.side(1).lengths.sum as u64)),
    item(("Subflow Bwd Packets", "bwd_subflow_pkt_mean"), Float, "packets", "packets backward / subflows"; |f| f.subflow(f.side(1).lengths.count)),
    item(("FWD Init Win Bytes", "fwd_tcp_init_win_bytes"), Integer, "bytes", "window field of the first packet forward, not scaled; -1 without"; |f| f.first_window()),
    item(("Bwd Init Win Bytes", "bwd_tcp_init_win_bytes"), Integer, "bytes", "window field of the first packet backward, not scaled; -1 without"; |f| f.window(f.side(1).window)),
    item(("Label", "label"), Text, "", "by the rules of --label; NeedLabel where no rule is about the flow"; |f| f.state.cic.layout.label().into()),
}

/// What the table in the module's documentation says.
pub(super) const DIFFERENCES: &[Difference] = &[
    difference(
        "protocols",
        "code of LycoSTand (2021)",
        "two ends have one flow, whatever the protocol",
        "one for each protocol",
    ),
    difference(
        "open_flows",
        "code of LycoSTand (2021)",
        "flows that last at the end of the capture are lost if they began less than 120 s before",
        "they are written",
    ),
    difference(
        "fragments",
        "code of LycoSTand (2021)",
        "later fragments are read as if they began with a header",
        "of a flow without ports and lengths",
    ),
    difference(
        "lengths",
        "code of LycoSTand (2021)",
        "IP lengths below those of the headers, and 0 of segmentation offload, go around below 0",
        "no payload, and the rest of the frame",
    ),
    difference(
        "malformed",
        "code of LycoSTand (2021)",
        "headers are read behind the end of what was captured",
        "it stands in the ledger",
    ),
    difference(
        "link_types",
        "code of LycoSTand (2021)",
        "Ethernet without VLAN tags",
        "16 link types, tags and tunnels",
    ),
    difference(
        "first_window",
        "code of LycoSTand (2021)",
        "of TCP without packets forward it is 0",
        "-1, as of those without packets backward",
    ),
    difference(
        "time_back",
        "code of LycoSTand (2021)",
        "where time goes back, bulks go on without it",
        "it counts as it is",
    ),
    difference(
        "precision",
        "code of LycoSTand (2021)",
        "means and variances are updated value by value in floats",
        "exact, rounded once",
    ),
    difference(
        "decimals",
        "code of LycoSTand (2021)",
        "six decimals, and a blank in front of `bwd_bulk_rate_mean`",
        "as many as there are, no blank",
    ),
    difference(
        "order",
        "code of LycoSTand (2021)",
        "rows as flows end",
        "in stretches as they end, by first packet in each",
    ),
];
