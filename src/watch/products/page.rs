//! Files of groups and of scan summaries under way.

use std::sync::Arc;

use super::told::Told;
use super::{Format, Product, TIMES};
use crate::config::Config;
use crate::error::Result;
use crate::scan::summary::ScanSummary;
use crate::sink::atomic::AtomicFile;
use crate::sink::csv;
use crate::sink::jsonl::Lines;
#[cfg(feature = "tables")]
use crate::sink::tables::{About, Form, Style, TableFile, groups::RecordRows};
use crate::views::groups::GroupRecord;

/// How groups and scan summaries of a sensor are written.
pub(super) struct Pen {
    format: Format,
    lines: Lines,
    rows: csv::Rows,
    #[cfg(feature = "tables")]
    tables: (About, Arc<str>),
}

/// A file of such records.
pub(super) enum Page<R: 'static> {
    /// With what appends a record.
    Text(AtomicFile, fn(&mut Pen, &R, &mut Vec<u8>)),
    #[cfg(feature = "tables")]
    Table(Box<RecordRows<R>>, Box<TableFile<AtomicFile>>),
}

impl Pen {
    #[cfg_attr(not(feature = "tables"), expect(unused_variables, reason = "text does not say what decided it"))]
    pub(super) fn new(product: &Product, config: &Config, sensor: &Arc<str>) -> Result<Pen> {
        let (mut lines, mut rows) = (Lines::new(TIMES), csv::Rows::new(TIMES));
        lines.turn_to(sensor);
        rows.turn_to(sensor);
        Ok(Pen {
            format: product.format,
            lines,
            rows,
            #[cfg(feature = "tables")]
            tables: (product.about(config)?, Arc::clone(sensor)),
        })
    }

    /// Begins a file of groups.
    pub(super) fn groups(&self, mut file: AtomicFile) -> Result<Page<GroupRecord>> {
        match self.format {
            Format::Jsonl => Ok(Page::Text(file, |pen, group, out| pen.lines.group(group, out))),
            Format::Csv => {
                file.append(|out| out.extend_from_slice(csv::header().as_bytes()))?;
                Ok(Page::Text(file, |pen, group, out| pen.rows.row(group, out)))
            }
            #[cfg(feature = "tables")]
            Format::Table(form) => self.table(RecordRows::groups(Style::default(), &self.tables.0), file, form),
        }
    }

    /// Begins a file of scan summaries, which are no CSV.
    pub(super) fn scans(&self, file: AtomicFile) -> Result<Page<ScanSummary>> {
        match self.format {
            Format::Jsonl | Format::Csv => Ok(Page::Text(file, |pen, scan, out| pen.lines.scan(scan, out))),
            #[cfg(feature = "tables")]
            Format::Table(form) => {
                let about = About { product: super::SCANS, ..self.tables.0.clone() };
                self.table(RecordRows::scans(Style::default(), &about), file, form)
            }
        }
    }

    #[cfg(feature = "tables")]
    fn table<R>(&self, mut rows: RecordRows<R>, file: AtomicFile, form: Form) -> Result<Page<R>> {
        rows.turn_to(&self.tables.1);
        let table = super::table(file, form, rows.rows().schema())?;
        Ok(Page::Table(Box::new(rows), Box::new(table)))
    }
}

impl<R> Page<R> {
    /// Appends a record.
    pub(super) fn put(&mut self, record: &R, pen: &mut Pen) -> Result<()> {
        match self {
            Page::Text(file, write) => file.append(|out| write(pen, record, out)),
            #[cfg(feature = "tables")]
            Page::Table(rows, file) => {
                rows.push(record)?;
                file.fill(rows.rows())
            }
        }
    }

    /// Completes it, but does not make it visible.
    pub(super) fn end(self, told: Told) -> Result<AtomicFile> {
        match self {
            Page::Text(file, _) => {
                drop(told);
                Ok(file)
            }
            #[cfg(feature = "tables")]
            Page::Table(mut rows, file) => file.close(rows.rows(), told),
        }
    }
}
