//! What rules of labels came to, as people read it.

use pcap_compactor::views::flows::labels::{Offset, Overlap, Report};

use super::say;
use super::text::{count, things};

/// Says what the rules of labels came to.
pub(crate) fn tell(report: &Report) {
    let labels: Vec<_> = report.labels.iter().map(|(label, flows)| format!("{label} {}", count(*flows))).collect();
    let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
    say(&format!("labels: {labels}; {} without a rule", things(report.unmatched, "flow")));
    if report.of_attackers > 0 {
        say(&format!("{} of attackers without a rule, such as", things(report.of_attackers, "flow")));
        report.examples.iter().for_each(|example| say(&format!("  {example}")));
    }
    report.idle.iter().for_each(|idle| say(&idle.to_string()));
    for Overlap { line, hidden, flows } in &report.overlaps {
        let flows = things(*flows, "flow");
        say(&format!("{flows} matched the rules of lines {line} and {hidden}; that of line {line} has priority"));
    }
    if let Some(Offset { minutes, matches, now }) = report.offset {
        let (sign, hours, rest) = (if minutes < 0 { '-' } else { '+' }, minutes.abs() / 60, minutes.abs() % 60);
        say(&format!(
            "with clocks moved by {sign}{hours}:{rest:02} rules with `from` and `to` would match {} times, not {}: is `zone` right?",
            count(matches),
            count(now)
        ));
    }
}
