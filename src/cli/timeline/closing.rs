//! The closing lines of timelines: what became of rows and packets, which add up.

use pcap_compactor::sink::timeline::Summary;
use pcap_compactor::views::timeline::table::TableReport;

use crate::cli::text::{count, things};

/// What became of the rows of tables, which add up to all; nothing where all are packets.
pub(super) fn rows_of(reports: &[TableReport]) -> Option<String> {
    let (mut rows, mut packets, mut left_out) = (0, 0, Vec::<(&str, u64)>::new());
    for report in reports {
        rows += report.rows;
        packets += report.packets;
        for remark in report.remarks.iter().filter(|remark| remark.fault.leaves_out()) {
            let name = remark.fault.name();
            match left_out.iter_mut().find(|(other, _)| *other == name) {
                Some((_, sum)) => *sum += remark.rows,
                None => left_out.push((name, remark.rows)),
            }
        }
    }
    let parts: Vec<String> = left_out.iter().map(|(name, rows)| format!("{} {name}", count(*rows))).collect();
    let sum = format!("{} = {} + left out: {}", things(rows, "row"), things(packets, "packet"), parts.join(", "));
    (rows > packets).then_some(sum)
}

/// What became of the packets, which add up to all.
pub(super) fn sum(summary: &Summary) -> String {
    let parts = summary.apart.into_iter().zip([
        "not TCP",
        "of TCP without its header, cut or later fragments",
        "of TCP without ports or names of hosts",
    ]);
    let parts =
        parts.filter(|(packets, _)| *packets > 0).map(|(packets, what)| format!(" + {} {what}", count(packets)));
    format!("= {} in flows{}", count(summary.in_flows), parts.collect::<String>())
}

/// Packets that came too late to be put in order.
pub(super) fn behind(summary: &Summary) -> Option<String> {
    let packets = things(summary.behind, "packet");
    let line = format!(
        "{packets} of these came behind later ones by more than --reorder puts right: of which flow they are was decided as they came"
    );
    (summary.behind > 0).then_some(line)
}

/// Names that viewers and `--check` do not read, of which `first` is one.
pub(super) fn odd_names(summary: &Summary, first: Option<&str>) -> Option<String> {
    let (hosts, first) = (things(summary.odd_names, "host"), first?);
    Some(format!(
        "{hosts} of a name with a comma, a quote or an end of line: as in the original, they are written as they are, and neither viewers, `view` nor \
         `--check` read them; {first} is the first; give others in the table or with --ip-map"
    ))
}

/// The closing line.
pub(super) fn closing(summary: &Summary) -> String {
    let Summary { packets, tcp, hosts, flows, without_initiator, .. } = *summary;
    let hidden = match without_initiator {
        0 => String::new(),
        n => format!(
            "; who began {} of them is not known, and viewers hide {}",
            count(n),
            if n == 1 { "it" } else { "them" }
        ),
    };
    let [packets, hosts, flows] = [things(packets, "packet"), things(hosts as u64, "host"), things(flows, "flow")];
    format!("{packets}, {} of TCP, of {hosts} in {flows}{hidden}", count(tcp))
}
