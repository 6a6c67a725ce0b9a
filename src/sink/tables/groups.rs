//! Groups and scan summaries as tables.

use std::io::Write;
use std::path::PathBuf;

use super::about::{About, closing};
use super::file::{Form, TableFile};
use super::rows::Rows;
use super::schema::{Style, schema};
use crate::app::notes::Body;
use crate::error::Result;
use crate::scan::summary::ScanSummary;
use crate::sink::{Metrics, Sink};
use crate::views::flows::columns::Kind;
use crate::views::flows::{Cell, FeatureColumn};
use crate::views::groups::GroupRecord;

/// Columns of a record, each with where its cells are from, and what appends them to a row. That is written out column by column: what a
/// cell is is known where it is taken then.
macro_rules! columns {
    ($list:ident, $put:ident, $record:ty: $(column($name:literal, $kind:ident, $unit:literal, $about:literal, $cell:expr),)*) => {
        const $list: &[FeatureColumn] =
            &[$(FeatureColumn { name: $name, kind: Kind::$kind, unit: $unit, about: $about }),*];

        fn $put(record: &$record, rows: &mut Rows) {
            $(
                let cell: fn(&$record) -> Cell<'_> = $cell;
                rows.cell(&cell(record));
            )*
        }
    };
}

/// The sensor, which a record does not have, and is the first column.
const SENSOR: FeatureColumn = FeatureColumn {
    name: "sensor",
    kind: Kind::Text,
    unit: "",
    about: "where it was seen; nothing where sensors do not run apart",
};

fn bin(n: i32) -> Cell<'static> {
    Cell::Integer(n.into())
}

fn texts<'t>(texts: impl Iterator<Item = &'t str>) -> Cell<'t> {
    Cell::List(texts.map(Cell::from).collect())
}

#[rustfmt::skip]
columns! { GROUPS, put_group, GroupRecord:
    column("src_ip", Address, "", "the client", |g| g.key.src_ip.into()),
    column("dst_ip", Address, "", "the server", |g| g.key.dst_ip.into()),
    column("dst_port", Integer, "", "the server's port; 0 where the protocol has none", |g| g.key.dst_port.into()),
    column("transport", Text, "", "TCP, UDP or OTHER", |g| g.key.transport.name().into()),
    column("service", Text, "", "service by dst_port", |g| (&*g.key.service).into()),
    column("first_ts", Time, "s", "earliest packet", |g| g.first_ts.into()),
    column("last_ts", Time, "s", "latest packet", |g| g.last_ts.into()),
    column("duration_s", Duration, "s", "last_ts - first_ts", |g| Cell::Span(g.duration_ns())),
    column("pkts_up", Integer, "packets", "packets from the client", |g| g.counts.pkts_up.into()),
    column("pkts_dn", Integer, "packets", "packets from the server", |g| g.counts.pkts_dn.into()),
    column("bytes_up", Integer, "bytes", "bytes from the client, by the configured measure", |g| g.counts.bytes_up.into()),
    column("bytes_dn", Integer, "bytes", "bytes from the server, by the configured measure", |g| g.counts.bytes_dn.into()),
    column("syn", Integer, "packets", "TCP with SYN", |g| g.tcp_flags.syn.into()),
    column("ack", Integer, "packets", "TCP with ACK", |g| g.tcp_flags.ack.into()),
    column("rst", Integer, "packets", "TCP with RST", |g| g.tcp_flags.rst.into()),
    column("fin", Integer, "packets", "TCP with FIN", |g| g.tcp_flags.fin.into()),
    column("pkts_up_bin", Integer, "", "pkts_up, quantised", |g| bin(g.tokens.pkts_up_bin)),
    column("pkts_dn_bin", Integer, "", "pkts_dn, quantised", |g| bin(g.tokens.pkts_dn_bin)),
    column("bytes_up_bin", Integer, "", "bytes_up, quantised", |g| bin(g.tokens.bytes_up_bin)),
    column("bytes_dn_bin", Integer, "", "bytes_dn, quantised", |g| bin(g.tokens.bytes_dn_bin)),
    column("dur_bin", Integer, "", "duration in seconds, quantised; negative below one second", |g| bin(g.tokens.dur_bin)),
    column("syn_bin", Integer, "", "syn, quantised", |g| g.tokens.syn_bin.into()),
    column("ack_bin", Integer, "", "ack, quantised", |g| g.tokens.ack_bin.into()),
    column("rst_bin", Integer, "", "rst, quantised", |g| g.tokens.rst_bin.into()),
    column("fin_bin", Integer, "", "fin, quantised", |g| g.tokens.fin_bin.into()),
    column("section", Text, "", "the protocol that was looked into", |g| g.section.as_ref().map(|section| section.name).into()),
    column("uri_tokens", Texts, "", "tokens that were kept", |g| match g.section.as_ref().map(|section| &section.body) {
        Some(Body::Tokens { tokens, .. }) => texts(tokens.iter().map(String::as_str)),
        _ => Cell::Absent,
    }),
    column("uri_tokens_total", Integer, "tokens", "tokens before sampling", |g| match g.section.as_ref().map(|section| &section.body) {
        Some(Body::Tokens { total, .. }) => (*total).into(),
        _ => Cell::Absent,
    }),
    column("commands", Texts, "", "commands that were seen", |g| match g.section.as_ref().map(|section| &section.body) {
        Some(Body::Counts(counts)) => texts(counts.keys().copied()),
        _ => Cell::Absent,
    }),
    column("command_counts", Integers, "commands", "how often each of them was", |g| match g.section.as_ref().map(|section| &section.body) {
        Some(Body::Counts(counts)) => Cell::List(counts.values().map(|n| Cell::Count(*n)).collect()),
        _ => Cell::Absent,
    }),
    column("window_start", Time, "s", "first instant of the window", |g| g.window.start.into()),
    column("window_end", Time, "s", "first instant behind the window", |g| g.window.end.into()),
    column("flows", Integer, "flows", "5-tuples inside, protocol number included", |g| g.flows.into()),
    column("direction", Text, "", "the weakest evidence that told the client of any of them", |g| g.direction.name().into()),
}

#[rustfmt::skip]
columns! { SCANS, put_scan, ScanSummary:
    column("src_ip", Address, "", "the scanner", |s| s.src_ip.into()),
    column("window_start", Time, "s", "first instant of the window", |s| s.window.start.into()),
    column("window_end", Time, "s", "first instant behind the window", |s| s.window.end.into()),
    column("unique_dsts", Integer, "addresses", "distinct destinations of the source, answered ones included", |s| s.unique_dsts.into()),
    column("unique_ports", Integer, "ports", "distinct ports of the source on all destinations", |s| s.unique_ports.into()),
    column("syn_only_ratio", Float, "", "packets with SYN and without ACK, over all TCP packets of its flows; 0 without TCP", |s| s.syn_only_ratio.into()),
    column("sample_dsts", Texts, "", "addresses of at most 20 distinct targets: those with the smallest seeded hash, in that order", |s| {
        Cell::List(s.sample_targets.iter().map(|(address, _)| address.to_string().into()).collect())
    }),
    column("sample_ports", Integers, "", "ports of these targets", |s| {
        Cell::Numbers(s.sample_targets.iter().map(|(_, port)| i64::from(*port)).collect())
    }),
    column("transport", Text, "", "the transport", |s| s.transport.name().into()),
    column("kind", Text, "", "the shape", |s| s.kind.name().into()),
    column("forest", Text, "", "what the isolation forest said: inlier, outlier, or none where there were too few to fit one", |s| s.forest_name().into()),
    column("answered", Integer, "contacts", "contacts that were answered by more than RST", |s| s.answered.into()),
    column("groups", Integer, "groups", "groups that it stands for", |s| s.groups.into()),
    column("packets", Integer, "packets", "packets that it stands for", |s| s.amount.packets.into()),
    column("bytes", Integer, "bytes", "bytes that it stands for, by the configured measure", |s| s.bytes.into()),
}

fn list(columns: &[FeatureColumn]) -> Vec<FeatureColumn> {
    [SENSOR].iter().chain(columns).copied().collect()
}

/// The columns of groups.
#[must_use]
pub fn group_columns() -> Vec<FeatureColumn> {
    list(GROUPS)
}

/// The columns of scan summaries.
#[must_use]
pub fn scan_columns() -> Vec<FeatureColumn> {
    list(SCANS)
}

/// Records of a kind as rows.
#[derive(Debug)]
pub struct RecordRows<R> {
    put: fn(&R, &mut Rows),
    sensor: Option<String>,
    rows: Rows,
}

impl RecordRows<GroupRecord> {
    /// Groups as rows.
    #[must_use]
    pub fn groups(style: Style, about: &About) -> RecordRows<GroupRecord> {
        RecordRows::of(GROUPS, put_group, style, about)
    }
}

impl RecordRows<ScanSummary> {
    /// Scan summaries as rows.
    #[must_use]
    pub fn scans(style: Style, about: &About) -> RecordRows<ScanSummary> {
        RecordRows::of(SCANS, put_scan, style, about)
    }
}

impl<R> RecordRows<R> {
    fn of(columns: &[FeatureColumn], put: fn(&R, &mut Rows), style: Style, about: &About) -> RecordRows<R> {
        let list = list(columns);
        let schema = schema(&list, style, about.dialect, about.metadata());
        RecordRows { put, sensor: None, rows: Rows::new(&list, style, schema) }
    }

    /// All rows that follow are of this sensor.
    pub fn turn_to(&mut self, sensor: &str) {
        self.sensor = Some(sensor.to_owned());
    }

    /// Appends a record.
    ///
    /// # Errors
    /// As [`Rows::end`].
    pub fn push(&mut self, record: &R) -> Result<()> {
        self.rows.cell(&self.sensor.as_deref().into());
        (self.put)(record, &mut self.rows);
        self.rows.end()
    }

    /// The rows.
    pub fn rows(&mut self) -> &mut Rows {
        &mut self.rows
    }
}

/// Writes groups into a file; scan summaries have none there.
pub struct GroupTable<W: Write + Send> {
    groups: RecordRows<GroupRecord>,
    file: Option<TableFile<W>>,
    done: Option<W>,
}

impl<W: Write + Send> GroupTable<W> {
    /// Begins the table; `name` names `out` in errors.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(out: W, name: impl Into<PathBuf>, form: Form, style: Style, about: &About) -> Result<GroupTable<W>> {
        let mut groups = RecordRows::groups(style, about);
        let file = Some(TableFile::create(out, name, form, groups.rows().schema())?);
        Ok(GroupTable { groups, file, done: None })
    }

    /// Gives the stream back, if the metrics have come, which complete the file.
    pub fn into_inner(self) -> Option<W> {
        self.done
    }
}

impl<W: Write + Send> Sink for GroupTable<W> {
    fn on_sensor(&mut self, sensor: &str) -> Result<()> {
        self.groups.turn_to(sensor);
        Ok(())
    }

    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        self.groups.push(group)?;
        match &mut self.file {
            Some(file) => file.fill(&mut self.groups.rows),
            None => Ok(()),
        }
    }

    fn on_scan(&mut self, _: &ScanSummary) -> Result<()> {
        Ok(())
    }

    fn on_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        self.done = Some(file.close(&mut self.groups.rows, closing(metrics))?);
        Ok(())
    }
}
