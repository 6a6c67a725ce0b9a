//! Flows as a spreadsheet (Office Open XML, ECMA-376 part 1): one sheet, a header, and cells of their kind.
//!
//! Numbers are numbers, with all their digits, of which Excel keeps 15. Truths are truths. All else is text that stands in its
//! cell, so nothing is a formula. What is infinite is the text `inf`, as with pandas; what is absent or undefined has no cell.
//! Nothing says when or by whom it was made, so equal flows are equal bytes.

use super::flows::{json, plain};
use super::jsonl::Times;
use super::notation::{self, Notation};
#[cfg(feature = "payload")]
use super::said;
use super::text::Text;
use super::zip::{Archive, File};
use crate::error::{Error, Result};
use crate::views::flows::columns::Piece;
use crate::views::flows::{Cell, Columns, FlowRecord};

/// The most that a sheet has, and UTF-16 units that a cell has.
const ROWS: u32 = 1 << 20;
const COLUMNS: usize = 1 << 14;
const UNITS: usize = 32_767;

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#;

/// What is in front of the sheet.
const PARTS: [(&str, &str); 4] = [
    (
        "[Content_Types].xml",
        r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>"#,
    ),
    (
        "_rels/.rels",
        r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
    ),
    (
        "xl/workbook.xml",
        r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>"#,
    ),
    (
        "xl/_rels/workbook.xml.rels",
        r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
    ),
];

/// A sheet under way.
pub(super) struct Sheet {
    archive: Archive,
    file: Option<File>,
    /// Names of its columns: A, B, ... AA.
    letters: Vec<String>,
    row: u32,
}

impl Sheet {
    /// Begins a sheet: the header goes into `out`.
    pub(super) fn new(columns: &Columns, out: &mut Vec<u8>) -> Sheet {
        let mut archive = Archive::new();
        for (name, text) in PARTS {
            let mut file = archive.begin(name);
            let whole = [DECLARATION, text].concat();
            archive.add(&mut file, whole.as_bytes()).and_then(|()| archive.end(file)).expect("the parts are small");
        }
        let file = Some(archive.begin("xl/worksheets/sheet1.xml"));
        let letters: Vec<_> = (0..columns.names().count()).map(letters).collect();
        let mut sheet = Sheet { archive, file, letters, row: 0 };
        out.extend_from_slice(DECLARATION.as_bytes());
        out.extend_from_slice(
            br#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>"#,
        );
        sheet.begin_row(out);
        for (at, name) in columns.names().enumerate() {
            sheet.text(at, name, out);
        }
        out.extend_from_slice(b"</row>");
        sheet
    }

    fn begin_row(&mut self, out: &mut Vec<u8>) {
        self.row += 1;
        out.extend_from_slice(format!("<row r=\"{}\">", self.row).as_bytes());
    }

    /// Appends a flow to `out`.
    ///
    /// # Errors
    /// A sheet has no room for it.
    pub(super) fn flow(
        &mut self,
        columns: &Columns,
        flow: &FlowRecord,
        (times, notation): (Times, Notation),
        text: &mut Text,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.fits()?;
        self.begin_row(out);
        let (mut at, mut long) = (0, None);
        let mut write = |cell: &Cell<'_>, text: &mut Text, out: &mut Vec<u8>| {
            if !self.cell(at, cell, (times, notation), text, out) {
                long = long.or(Some(at));
            }
            at += 1;
        };
        columns.show(flow, |piece| match piece {
            Piece::Cell(cell) => write(cell, text, out),
            Piece::Run(cells, places) => places.for_each(|place| cells.show(place, |cell| write(cell, text, out))),
            #[cfg(feature = "payload")]
            Piece::Said(cell) => {
                let cell = said::cell(&cell, times, text);
                write(&cell, text, out);
            }
            Piece::Figures(count, figures) => {
                write(&Cell::Count(count), text, out);
                figures.into_iter().for_each(|figure| write(&Cell::Float(figure), text, out));
            }
        });
        out.extend_from_slice(b"</row>");
        match long.and_then(|at| columns.names().nth(at)) {
            Some(name) => Err(Error::sink(format!(
                "row {} has more than the 32,767 characters of a spreadsheet's cell in `{name}`; write CSV, or leave out the column",
                self.row
            ))),
            None => Ok(()),
        }
    }

    /// Refuses a further row where there is no room.
    fn fits(&self) -> Result<()> {
        if self.row == ROWS {
            return Err(Error::sink(
                "a spreadsheet has 1,048,576 rows, and there are more flows; write CSV, or fewer: --max-flows 1048575, \
                 --split-by-protocol, a table for --each capture",
            ));
        }
        if self.letters.len() > COLUMNS {
            return Err(Error::sink("a spreadsheet has 16,384 columns, and there are more; write CSV, or fewer"));
        }
        Ok(())
    }

    /// Writes a cell; false if it is too long.
    fn cell(&self, at: usize, cell: &Cell<'_>, how: (Times, Notation), room: &mut Text, out: &mut Vec<u8>) -> bool {
        let (times, notation) = how;
        match cell {
            Cell::Absent => true,
            Cell::Text(text) => self.text(at, text, out),
            Cell::Flag(flag) => self.value(at, " t=\"b\"", out, |out| out.push(b'0' + u8::from(*flag))),
            Cell::Float(n) if n.is_nan() => true,
            Cell::Float(n) if n.is_infinite() => self.text(at, if *n > 0.0 { "inf" } else { "-inf" }, out),
            Cell::Count(_) | Cell::Integer(_) | Cell::Float(_) | Cell::Time(_) | Cell::Span(_) => {
                self.value(at, "", out, |out| plain(cell, times, room, out))
            }
            Cell::Id(_) | Cell::Address(_) => {
                let mut name = Vec::new();
                plain(cell, times, room, &mut name);
                self.text(at, &String::from_utf8_lossy(&name), out)
            }
            Cell::Numbers(_) | Cell::Floats(_) | Cell::List(_) => {
                let list = if notation == Notation::Json {
                    let mut list = Vec::new();
                    json(cell, times, room, &mut list);
                    String::from_utf8_lossy(&list).into_owned()
                } else {
                    notation::repr(cell, room)
                };
                self.text(at, &list, out)
            }
        }
    }

    fn begin(&self, at: usize, kind: &str, out: &mut Vec<u8>) {
        let (letters, row) = (self.letters.get(at).map_or("", String::as_str), self.row);
        out.extend_from_slice(format!("<c r=\"{letters}{row}\"{kind}>").as_bytes());
    }

    fn value(&self, at: usize, kind: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.begin(at, kind, out);
        out.extend_from_slice(b"<v>");
        write(out);
        out.extend_from_slice(b"</v></c>");
        true
    }

    fn text(&self, at: usize, text: &str, out: &mut Vec<u8>) -> bool {
        self.begin(at, " t=\"inlineStr\"", out);
        out.extend_from_slice(b"<is><t xml:space=\"preserve\">");
        escape(text, out);
        out.extend_from_slice(b"</t></is></c>");
        text.len() <= UNITS || text.encode_utf16().count() <= UNITS
    }

    /// Puts what was gathered of the sheet into the archive, and what is ready of that in its place.
    ///
    /// # Errors
    /// It is the last, and the archive is too long.
    pub(super) fn pack(&mut self, buffer: &mut Vec<u8>, last: bool) -> Result<()> {
        if let Some(file) = &mut self.file {
            if last {
                buffer.extend_from_slice(b"</sheetData></worksheet>");
            }
            self.archive.add(file, buffer)?;
        }
        buffer.clear();
        if last && let Some(file) = self.file.take() {
            self.archive.end(file)?;
            self.archive.finish()?;
        }
        self.archive.take(buffer);
        Ok(())
    }
}

/// The name of a column: A is 0.
fn letters(column: usize) -> String {
    let last = char::from(b'A' + (column % 26) as u8);
    match column / 26 {
        0 => last.into(),
        more => letters(more - 1) + last.encode_utf8(&mut [0; 4]),
    }
}

/// Text of XML. Characters that it cannot have, and what would be taken for one, are written as `_x000D_` (22.9.2.19).
fn escape(text: &str, out: &mut Vec<u8>) {
    for (at, c) in text.char_indices() {
        match c {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '\t' | '\n' => out.push(c as u8),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => out.extend_from_slice(format!("_x{:04X}_", u32::from(c)).as_bytes()),
            '_' if is_escape(&text.as_bytes()[at..]) => out.extend_from_slice(b"_x005F_"),
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn is_escape(text: &[u8]) -> bool {
    matches!(text, [b'_', b'x', digits @ .., ] if digits.len() >= 5
        && digits[..4].iter().all(u8::is_ascii_hexdigit) && digits[4] == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_letters() {
        let names = [0, 25, 26, 51, 52, 701, 702, 16_383].map(letters);
        assert_eq!(names, ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA", "XFD"]);
    }

    #[test]
    fn text_is_xml_and_reads_back_the_same() {
        let escaped = |text: &str| {
            let mut out = Vec::new();
            escape(text, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(escaped("a<b>&\"'é\t\n"), "a&lt;b&gt;&amp;\"'é\t\n");
        assert_eq!(escaped("\0\r\u{1f}\u{ffff}"), "_x0000__x000D__x001F__xFFFF_");
        assert_eq!(escaped("_x000d_ _x00_ _xgggg_ __x0041_"), "_x005F_x000d_ _x00_ _xgggg_ __x005F_x0041_");
    }

    #[test]
    fn a_sheet_has_so_many_rows_and_columns_and_no_more() {
        let mut sheet = Sheet::new(&Columns::default(), &mut Vec::new());
        sheet.row = ROWS - 1;
        assert!(sheet.fits().is_ok());
        sheet.row = ROWS;
        assert!(sheet.fits().unwrap_err().to_string().contains("--max-flows 1048575"));
        sheet.row = 1;
        sheet.letters = (0..=COLUMNS).map(letters).collect();
        assert!(sheet.fits().unwrap_err().to_string().contains("16,384 columns"));
    }

    #[test]
    fn a_cell_has_so_many_characters_and_no_more() {
        let sheet = Sheet::new(&Columns::default(), &mut Vec::new());
        let fits = |text: String| sheet.text(0, &text, &mut Vec::new());
        assert!(fits("a".repeat(UNITS)) && !fits("a".repeat(UNITS + 1)));
        // Of characters beyond the first plane two units make one.
        assert!(fits("é".repeat(UNITS)) && !fits("😀".repeat(UNITS / 2 + 1)));
    }
}
