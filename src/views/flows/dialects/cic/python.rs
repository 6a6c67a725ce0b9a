//! cicflowmeter of PyPI: the columns of a port to Python, and where it is not followed.
//!
//! `cic-py` is version 0.4.2, which 0.5.0 does not differ from in its columns; where flows end, 0.5.0 asks the machine's clock, which
//! nobody can repeat. `cic-py-0.2` is 0.2.0, which Python up to 3.11 gets. Flows end in [sweeps](crate::views::flows::swept), which
//! see the traffic of all inputs as that of one file, so one thread owns all flows.
//!
//! Kept as they are, each by its switch: lengths are those of frames, headers those of IP; the first packet counts twice (0.4.2);
//! a single gap has no statistics; `cwr_flag_count` is `fwd_urg_flags`, and subflows are flows; padding is payload; active and
//! idle times are 0 (0.4.2) or made of gaps (0.2.0), whose bulks bear no pause longer than a millisecond.
//!
//! # Where it is right and the original is not
//!
//! | difference | switch | the original | here | source |
//! |---|---|---|---|---|
//! | `crash` | | a flow that begins behind 240 s of silence with a packet backward has none forward, and the program ends there | it is a row; of packets forward all is 0 | seen by running cicflowmeter 0.4.2 |
//! | `empty` | | without flows the file is empty | a header without rows | seen by running cicflowmeter 0.4.2 |
//! | `local_time` | | times are of the machine's zone | UTC, unless `--time-zone` says otherwise | code of cicflowmeter 0.4.2 |
//! | `fine_times` | | times finer than microseconds count | only where flows are cut | code of cicflowmeter 0.4.2 |
//! | `order` | | rows as sweeps end flows | in stretches as they end, by first packet in each | seen by running cicflowmeter 0.4.2 |
//! | `tunnels` | | only UDP gets past its filter, VXLAN with the outer addresses and the inner ports | the innermost of both, unless `--tunnels outer` | code of cicflowmeter 0.4.2: its filter `ip and (tcp or udp)`, and scapy |
//! | `layers` | | IPv4 counts only behind the link layer, not behind MPLS or PPPoE | behind these too | code of cicflowmeter 0.4.2: its filter `ip and (tcp or udp)` |
//! | `lengths` | | payload of which it read more is as long as it would write it | as it was captured | code of cicflowmeter 0.4.2, which measures layers of scapy |
//! | `malformed` | | a packet counts as far as it can be read | it stands in the ledger | code of cicflowmeter 0.4.2, which reads by scapy |
//! | `text` | | rates of bulks have 28 digits, lines end with CR and LF | floats, and LF | seen by running cicflowmeter 0.4.2 |

use super::super::sums::Figures;
use super::super::{Difference, difference};
use super::bulk::Done;
use super::columns::{Figured, Item, Layout, MAX, MEAN, MIN, STD, SUM, VAR, item, or_none, or_zero, table};
use super::switches::{Subflow, Unit};
use crate::views::flows::columns::Kind::{Float, Integer, Text};
use crate::views::flows::{Cell, Cells};

/// What the table in the module's documentation says.
pub(super) const DIFFERENCES: &[Difference] = &[
    difference(
        "crash",
        "seen by running cicflowmeter 0.4.2",
        "a flow that begins behind 240 s of silence with a packet backward has none forward, and the program ends there",
        "it is a row; of packets forward all is 0",
    ),
    difference(
        "empty",
        "seen by running cicflowmeter 0.4.2",
        "without flows the file is empty",
        "a header without rows",
    ),
    difference(
        "local_time",
        "code of cicflowmeter 0.4.2",
        "times are of the machine's zone",
        "UTC, unless `--time-zone` says otherwise",
    ),
    difference(
        "fine_times",
        "code of cicflowmeter 0.4.2",
        "times finer than microseconds count",
        "only where flows are cut",
    ),
    difference(
        "order",
        "seen by running cicflowmeter 0.4.2",
        "rows as sweeps end flows",
        "in stretches as they end, by first packet in each",
    ),
    difference(
        "tunnels",
        "code of cicflowmeter 0.4.2: its filter `ip and (tcp or udp)`, and scapy",
        "only UDP gets past its filter, VXLAN with the outer addresses and the inner ports",
        "the innermost of both, unless `--tunnels outer`",
    ),
    difference(
        "layers",
        "code of cicflowmeter 0.4.2: its filter `ip and (tcp or udp)`",
        "IPv4 counts only behind the link layer, not behind MPLS or PPPoE",
        "behind these too",
    ),
    difference(
        "lengths",
        "code of cicflowmeter 0.4.2, which measures layers of scapy",
        "payload of which it read more is as long as it would write it",
        "as it was captured",
    ),
    difference(
        "malformed",
        "code of cicflowmeter 0.4.2, which reads by scapy",
        "a packet counts as far as it can be read",
        "it stands in the ledger",
    ),
    difference(
        "text",
        "seen by running cicflowmeter 0.4.2",
        "rates of bulks have 28 digits, lines end with CR and LF",
        "floats, and LF",
    ),
];

/// What Python writes as 0 and not as 0.0: where nothing was divided.
const NOTHING: Cell<'static> = Cell::Count(0);

impl Figured<'_> {
    fn length_of_time(&self) -> Cell<'static> {
        let micros = self.duration as f64;
        (if self.switches.time == Unit::Seconds { micros / 1e6 } else { micros }).into()
    }

    fn rate_or_0(&self, n: i128) -> Cell<'static> {
        match self.rate(n) {
            Cell::Float(0.0) if self.duration == 0 => NOTHING,
            rate => rate,
        }
    }

    fn side_rate_or_0(&self, side: usize) -> Cell<'static> {
        if self.duration == 0 { NOTHING } else { self.side_rate(side) }
    }

    fn ratio(&self) -> Cell<'static> {
        if self.side(0).lengths.count == 0 { NOTHING } else { self.down_up().into() }
    }

    fn of_bulks_or_0(&self, side: usize, what: fn(&Done) -> u64) -> Cell<'static> {
        if self.side(side).bulk.done.bulks == 0 { NOTHING } else { self.of_bulks(side, what) }
    }

    fn bulk_rate_or_0(&self, side: usize) -> Cell<'static> {
        if self.side(side).bulk.done.time == 0 { NOTHING } else { self.bulk_rate(side) }
    }

    fn of_subflows(&self, n: u64) -> Cell<'static> {
        if self.switches.subflow == Subflow::Whole { n.into() } else { self.subflow(n) }
    }
}

/// A figure that is a whole number.
fn whole(figures: &Option<Figures>, figure: fn(&Figures) -> f64) -> Cell<'static> {
    figures.as_ref().map_or(NOTHING, |figures| Cell::Integer(figure(figures) as i64))
}

table! {
    /// All columns but those of who talked to whom.
    item(("Timestamp", "timestamp"), Text, "", "time of the first packet, in UTC or the zone of --time-zone"; |f| f.started()),
    item(("Flow Duration", "flow_duration"), Float, "µs", "from the first packet to the last, as `duration` says"; |f| f.length_of_time()),
    item(("Flow Bytes/s", "flow_byts_s"), Float, "bytes/s", "lengths / duration; without duration what `zero_duration` says"; |f| f.rate_or_0(f.side(0).lengths.sum + f.side(1).lengths.sum)),
    item(("Flow Packets/s", "flow_pkts_s"), Float, "packets/s", "packets / duration; without duration what `zero_duration` says"; |f| f.rate_or_0(f.packets.into())),
    item(("Fwd Packets/s", "fwd_pkts_s"), Float, "packets/s", "packets forward / duration; 0 without duration"; |f| f.side_rate_or_0(0)),
    item(("Bwd Packets/s", "bwd_pkts_s"), Float, "packets/s", "packets backward / duration; 0 without duration"; |f| f.side_rate_or_0(1)),
    item(("Total Fwd Packet", "tot_fwd_pkts"), Integer, "packets", "packets forward: from the source"; |f| f.side(0).lengths.count.into()),
    item(("Total Bwd packets", "tot_bwd_pkts"), Integer, "packets", "packets backward"; |f| f.side(1).lengths.count.into()),
    item(("Total Length of Fwd Packet", "totlen_fwd_pkts"), Integer, "bytes", "sum of lengths forward; what these are of `length` says"; |f| whole(&f.lengths[0], SUM)),
    item(("Total Length of Bwd Packet", "totlen_bwd_pkts"), Integer, "bytes", "sum of lengths backward"; |f| whole(&f.lengths[1], SUM)),
    item(("Fwd Packet Length Max", "fwd_pkt_len_max"), Integer, "bytes", "greatest length forward"; |f| whole(&f.lengths[0], MAX)),
    item(("Fwd Packet Length Min", "fwd_pkt_len_min"), Integer, "bytes", "least length forward"; |f| whole(&f.lengths[0], MIN)),
    item(("Fwd Packet Length Mean", "fwd_pkt_len_mean"), Float, "bytes", "mean length forward"; |f| or_none(&f.lengths[0], MEAN)),
    item(("Fwd Packet Length Std", "fwd_pkt_len_std"), Float, "bytes", "standard deviation of lengths forward, as `std` says"; |f| or_zero(&f.lengths[0], STD)),
    item(("Bwd Packet Length Max", "bwd_pkt_len_max"), Integer, "bytes", "greatest length backward"; |f| whole(&f.lengths[1], MAX)),
    item(("Bwd Packet Length Min", "bwd_pkt_len_min"), Integer, "bytes", "least length backward"; |f| whole(&f.lengths[1], MIN)),
    item(("Bwd Packet Length Mean", "bwd_pkt_len_mean"), Float, "bytes", "mean length backward"; |f| or_none(&f.lengths[1], MEAN)),
    item(("Bwd Packet Length Std", "bwd_pkt_len_std"), Float, "bytes", "standard deviation of lengths backward, as `std` says"; |f| or_zero(&f.lengths[1], STD)),
    item(("Packet Length Max", "pkt_len_max"), Integer, "bytes", "greatest length"; |f| whole(&f.both, MAX)),
    item(("Packet Length Min", "pkt_len_min"), Integer, "bytes", "least length"; |f| whole(&f.both, MIN)),
    item(("Packet Length Mean", "pkt_len_mean"), Float, "bytes", "mean length"; |f| or_none(&f.both, MEAN)),
    item(("Packet Length Std", "pkt_len_std"), Float, "bytes", "standard deviation of lengths, as `std` says"; |f| or_zero(&f.both, STD)),
    item(("Packet Length Variance", "pkt_len_var"), Float, "bytes^2", "variance of lengths, as `std` says"; |f| or_zero(&f.both, VAR)),
    item(("Fwd Header Length", "fwd_header_len"), Integer, "bytes", "sum of headers forward, those that `header` says"; |f| f.side(0).headers.into()),
    item(("Bwd Header Length", "bwd_header_len"), Integer, "bytes", "sum of headers backward"; |f| f.side(1).headers.into()),
    item(("Fwd Seg Size Min", "fwd_seg_size_min"), Integer, "bytes", "least header forward; 0 without packets forward"; |f| f.least_header(0).into()),
    item(("Fwd Act Data Pkts", "fwd_act_data_pkts"), Integer, "packets", "packets forward with payload"; |f| f.side(0).data.into()),
    item(("Flow IAT Mean", "flow_iat_mean"), Float, "µs", "mean gap between packets"; |f| or_none(&f.gaps, MEAN)),
    item(("Flow IAT Max", "flow_iat_max"), Float, "µs", "greatest gap between packets"; |f| or_none(&f.gaps, MAX)),
    item(("Flow IAT Min", "flow_iat_min"), Float, "µs", "least gap between packets"; |f| or_none(&f.gaps, MIN)),
    item(("Flow IAT Std", "flow_iat_std"), Float, "µs", "standard deviation of gaps between packets, as `std` says"; |f| or_none(&f.gaps, STD)),
    item(("Fwd IAT Total", "fwd_iat_tot"), Float, "µs", "sum of gaps forward"; |f| or_none(&f.side_gaps[0], SUM)),
    item(("Fwd IAT Max", "fwd_iat_max"), Float, "µs", "greatest gap forward"; |f| or_none(&f.side_gaps[0], MAX)),
    item(("Fwd IAT Min", "fwd_iat_min"), Float, "µs", "least gap forward"; |f| or_none(&f.side_gaps[0], MIN)),
    item(("Fwd IAT Mean", "fwd_iat_mean"), Float, "µs", "mean gap forward"; |f| or_none(&f.side_gaps[0], MEAN)),
    item(("Fwd IAT Std", "fwd_iat_std"), Float, "µs", "standard deviation of gaps forward, as `std` says"; |f| or_none(&f.side_gaps[0], STD)),
    item(("Bwd IAT Total", "bwd_iat_tot"), Float, "µs", "sum of gaps backward"; |f| or_none(&f.side_gaps[1], SUM)),
    item(("Bwd IAT Max", "bwd_iat_max"), Float, "µs", "greatest gap backward"; |f| or_none(&f.side_gaps[1], MAX)),
    item(("Bwd IAT Min", "bwd_iat_min"), Float, "µs", "least gap backward"; |f| or_none(&f.side_gaps[1], MIN)),
    item(("Bwd IAT Mean", "bwd_iat_mean"), Float, "µs", "mean gap backward"; |f| or_none(&f.side_gaps[1], MEAN)),
    item(("Bwd IAT Std", "bwd_iat_std"), Float, "µs", "standard deviation of gaps backward, as `std` says"; |f| or_none(&f.side_gaps[1], STD)),
    item(("Fwd PSH Flags", "fwd_psh_flags"), Integer, "packets", "packets forward with PSH"; |f| f.side(0).psh.into()),
    item(("Bwd PSH Flags", "bwd_psh_flags"), Integer, "packets", "packets backward with PSH"; |f| f.side(1).psh.into()),
    item(("Fwd URG Flags", "fwd_urg_flags"), Integer, "packets", "packets forward with URG"; |f| f.side(0).urg.into()),
    item(("Bwd URG Flags", "bwd_urg_flags"), Integer, "packets", "packets backward with URG"; |f| f.side(1).urg.into()),
    item(("FIN Flag Count", "fin_flag_cnt"), Integer, "packets", "packets with FIN"; |f| f.flag(0)),
    item(("SYN Flag Count", "syn_flag_cnt"), Integer, "packets", "packets with SYN"; |f| f.flag(1)),
    item(("RST Flag Count", "rst_flag_cnt"), Integer, "packets", "packets with RST"; |f| f.flag(2)),
    item(("PSH Flag Count", "psh_flag_cnt"), Integer, "packets", "packets with PSH"; |f| f.flag(3)),
    item(("ACK Flag Count", "ack_flag_cnt"), Integer, "packets", "packets with ACK"; |f| f.flag(4)),
    item(("URG Flag Count", "urg_flag_cnt"), Integer, "packets", "packets with URG"; |f| f.flag(5)),
    item(("ECE Flag Count", "ece_flag_cnt"), Integer, "packets", "packets with ECE"; |f| f.flag(6)),
    item(("Down/Up Ratio", "down_up_ratio"), Float, "", "packets backward / packets forward; 0 without these"; |f| f.ratio()),
    item(("Average Packet Size", "pkt_size_avg"), Float, "bytes", "mean length"; |f| or_none(&f.both, MEAN)),
    item(("FWD Init Win Bytes", "init_fwd_win_byts"), Integer, "bytes", "window field of the packet forward that `init_win_fwd` says, not scaled"; |f| f.first_window()),
    item(("Bwd Init Win Bytes", "init_bwd_win_byts"), Integer, "bytes", "window field of the packet backward that `init_win_bwd` says, not scaled"; |f| f.window(f.side(1).window)),
    item(("Active Max", "active_max"), Float, "µs", "greatest of active times; what these are `activity` says"; |f| or_none(&f.active, MAX)),
    item(("Active Min", "active_min"), Float, "µs", "least of active times"; |f| or_none(&f.active, MIN)),
    item(("Active Mean", "active_mean"), Float, "µs", "mean of active times"; |f| or_none(&f.active, MEAN)),
    item(("Active Std", "active_std"), Float, "µs", "standard deviation of active times, as `std` says"; |f| or_none(&f.active, STD)),
    item(("Idle Max", "idle_max"), Float, "µs", "greatest of idle times; what these are `activity` says"; |f| or_none(&f.idle, MAX)),
    item(("Idle Min", "idle_min"), Float, "µs", "least of idle times"; |f| or_none(&f.idle, MIN)),
    item(("Idle Mean", "idle_mean"), Float, "µs", "mean of idle times"; |f| or_none(&f.idle, MEAN)),
    item(("Idle Std", "idle_std"), Float, "µs", "standard deviation of idle times, as `std` says"; |f| or_none(&f.idle, STD)),
    item(("Fwd Bytes/Bulk Avg", "fwd_byts_b_avg"), Float, "bytes", "payload of bulks / bulks, forward"; |f| f.of_bulks_or_0(0, |done| done.size)),
    item(("Fwd Packet/Bulk Avg", "fwd_pkts_b_avg"), Float, "packets", "packets of bulks / bulks, forward"; |f| f.of_bulks_or_0(0, |done| done.packets)),
    item(("Bwd Bytes/Bulk Avg", "bwd_byts_b_avg"), Float, "bytes", "payload of bulks / bulks, backward"; |f| f.of_bulks_or_0(1, |done| done.size)),
    item(("Bwd Packet/Bulk Avg", "bwd_pkts_b_avg"), Float, "packets", "packets of bulks / bulks, backward"; |f| f.of_bulks_or_0(1, |done| done.packets)),
    item(("Fwd Bulk Rate Avg", "fwd_blk_rate_avg"), Float, "bytes/s", "payload of bulks / their duration, forward"; |f| f.bulk_rate_or_0(0)),
    item(("Bwd Bulk Rate Avg", "bwd_blk_rate_avg"), Float, "bytes/s", "payload of bulks / their duration, backward"; |f| f.bulk_rate_or_0(1)),
    item(("Fwd Segment Size Avg", "fwd_seg_size_avg"), Float, "bytes", "mean length forward"; |f| or_none(&f.lengths[0], MEAN)),
    item(("Bwd Segment Size Avg", "bwd_seg_size_avg"), Float, "bytes", "mean length backward"; |f| or_none(&f.lengths[1], MEAN)),
    item(("CWR Flag Count", "cwr_flag_count"), Integer, "packets", "packets with CWR; with `cwr_is_urg` packets forward with URG"; |f| f.cwr()),
    item(("Subflow Fwd Packets", "subflow_fwd_pkts"), Float, "packets", "packets forward / subflows"; |f| f.of_subflows(f.side(0).lengths.count)),
    item(("Subflow Bwd Packets", "subflow_bwd_pkts"), Float, "packets", "packets backward / subflows"; |f| f.of_subflows(f.side(1).lengths.count)),
    item(("Subflow Fwd Bytes", "subflow_fwd_byts"), Float, "bytes", "lengths forward / subflows"; |f| f.of_subflows(f.side(0).lengths.sum as u64)),
    item(("Subflow Bwd Bytes", "subflow_bwd_byts"), Float, "bytes", "lengths backward / subflows"; |f| f.of_subflows(f.side(1).lengths.sum as u64)),
}
