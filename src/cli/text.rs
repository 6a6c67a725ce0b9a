//! Text for people: numbers, sizes, times, tables, and what makes text from files safe to show.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use pcap_compactor::Timestamp;

use super::stdout;

/// Writes to standard output. False when nobody reads it any more, which ends a command early and well.
///
/// # Errors
/// Standard output is closed, or refuses for another reason.
pub(crate) fn print(text: &str) -> anyhow::Result<bool> {
    let mut out = stdout::lock()?;
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(anyhow::Error::new(error).context("cannot write to standard output")),
    }
}

/// One line on standard error; there is nobody to tell if that fails.
pub(crate) fn complain(kind: &str, message: &str) {
    let _ = writeln!(io::stderr().lock(), "{kind}: {}", printable(message));
}

/// Text as it may be shown on a terminal: characters that move the cursor, colour, hide or reorder are escaped.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let unsafe_to_show = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if !text.chars().any(unsafe_to_show) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if unsafe_to_show(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe.into()
}

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 packet`, `2 packets`.
pub(crate) fn things(n: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Bytes in decimal units, three digits or so: `78.1 MB`.
pub(crate) fn bytes(n: u64) -> String {
    scaled(n, &["bytes", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// A rate or a size in thousands: `1.8 million`.
pub(crate) fn rough(n: u64) -> String {
    scaled(n, &["", "thousand", "million", "billion"]).trim_end().to_owned()
}

fn scaled(n: u64, units: &[&str]) -> String {
    let (mut value, mut unit) = (n as f64, 0);
    // What rounds to a thousand belongs to the next unit.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.95 {
        format!("{value:.0} {}", units[unit])
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// A share in whole percent, but never 0 or 100 for what is neither.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    match u128::from(part) * 100 / u128::from(whole.max(1)) {
        0 if part > 0 => "less than 1 %".into(),
        n => format!("{n} %"),
    }
}

/// How long it is from one time to another: `1 h 59 min 58 s`, `3.250 s`, `12 us`.
pub(crate) fn span(from: Timestamp, to: Timestamp) -> String {
    let ns = to.ns().abs_diff(from.ns());
    let seconds = ns / 1_000_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match seconds {
        0 if ns < 1000 => format!("{ns} ns"),
        0 if ns < 1_000_000 => format!("{} us", ns / 1000),
        0 => format!("{} ms", ns / 1_000_000),
        1..60 => format!("{seconds}.{:03} s", ns / 1_000_000 % 1000),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {minutes} min {} s", seconds % 60),
        _ => format!("{} {hours} h {minutes} min", things(days, "day")),
    }
}

/// Text in bold, dim or green, where there is colour.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub(crate) color: bool,
}

impl Style {
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Where a column's text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// What stands left in a column makes it no wider than this for the other rows.
const WIDEST: usize = 48;

/// Rows in columns as wide as they need be. What is longer than a column stands whole, and moves only the rest of its own row.
pub(crate) struct Table {
    columns: Vec<Align>,
    rows: Vec<Row>,
    indent: usize,
}

enum Row {
    Cells(Vec<String>),
    Head(Vec<String>),
    /// A line under the columns that stand right: a sum follows.
    Rule,
}

impl Table {
    pub(crate) fn new<const N: usize>(columns: [Align; N]) -> Table {
        Table { columns: columns.into(), rows: Vec::new(), indent: 2 }
    }

    pub(crate) fn head<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(Row::Head(cells.map(str::to_owned).into()));
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(Row::Cells(cells.into()));
    }

    pub(crate) fn rule(&mut self) {
        self.rows.push(Row::Rule);
    }

    /// The table as lines, no blanks at their ends.
    pub(crate) fn render(&self, style: Style) -> String {
        let mut widths = vec![0; self.columns.len()];
        for row in &self.rows {
            if let Row::Cells(cells) | Row::Head(cells) = row {
                for ((width, cell), align) in widths.iter_mut().zip(cells).zip(&self.columns) {
                    let length = cell.chars().count();
                    *width = (*width).max(if *align == Align::Left { length.min(WIDEST) } else { length });
                }
            }
        }
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(self.indent);
            for (at, (&width, &align)) in widths.iter().zip(&self.columns).enumerate() {
                let gap = if at > 0 { "  " } else { "" };
                let cell = match row {
                    Row::Cells(cells) | Row::Head(cells) => cells.get(at).map_or("", String::as_str).to_owned(),
                    Row::Rule if align == Align::Right => "-".repeat(width),
                    Row::Rule => String::new(),
                };
                // Writing to a string cannot fail.
                let _ = match align {
                    Align::Left => write!(line, "{gap}{cell:<width$}"),
                    Align::Right => write!(line, "{gap}{cell:>width$}"),
                };
            }
            let line = line.trim_end();
            match row {
                Row::Head(_) | Row::Rule => text += &style.dim(line),
                Row::Cells(_) => text += line,
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_moves_no_other_row() {
        let mut table = Table::new([Align::Left, Align::Right]);
        let long = "x".repeat(250);
        table.row([long.clone(), "1".into()]);
        table.row(["gate".into(), "22".into()]);
        let text = table.render(Style { color: false });
        assert_eq!(text, format!("  {long}   1\n  gate{}  22\n", " ".repeat(WIDEST - 4)));
    }

    #[test]
    fn spans_are_as_exact_as_somebody_can_use() {
        let of = |ns| span(Timestamp(0), Timestamp(ns));
        assert_eq!([of(0), of(999), of(12_345), of(12_345_678)], ["0 ns", "999 ns", "12 us", "12 ms"]);
        assert_eq!([of(3_250_000_000), of(61_900_000_000)], ["3.250 s", "1 min 1 s"]);
        assert_eq!([of(7_199_000_000_000), of(90_061_000_000_000)], ["1 h 59 min 59 s", "1 day 1 h 1 min"]);
        assert!(span(Timestamp::MIN, Timestamp::MAX).starts_with("213,503 days"));
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [bytes(0), bytes(999), bytes(1000), bytes(78_140_000)],
            ["0 bytes", "999 bytes", "1.0 kB", "78.1 MB"]
        );
        assert_eq!([bytes(999_499), bytes(999_500), bytes(123_456_789)], ["999 kB", "1.0 MB", "123 MB"]);
        assert_eq!([rough(12), rough(1_800_000), rough(u64::MAX)], ["12", "1.8 million", "18446744074 billion"]);
        assert_eq!(
            [percent(0, 0), percent(1, 1000), percent(999, 1000), percent(5, 5), percent(u64::MAX - 1, u64::MAX)],
            ["0 %", "less than 1 %", "99 %", "100 %", "99 %"]
        );
        assert_eq!([things(1, "file"), things(2, "file")], ["1 file", "2 files"]);
    }

    #[test]
    fn text_from_files_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\n\u{9b}c\u{202e}d"), "a\\u{1b}[31mb\\n\\u{9b}c\\u{202e}d");
        assert_eq!(printable("plain, ü, 文"), "plain, ü, 文");
    }

    #[test]
    fn columns_line_up_and_rules_stand_under_numbers() {
        let mut table = Table::new([Align::Left, Align::Right, Align::Left]);
        table.head(["what", "packets", "why"]);
        table.row(["in groups".into(), "1,234".into(), String::new()]);
        table.row(["x".into(), "12,345,678".into(), "because".into()]);
        table.rule();
        table.row(["sum".into(), "1".into(), String::new()]);
        let plain = table.render(Style { color: false });
        assert_eq!(
            plain,
            "  what          packets  why\n  in groups       1,234\n  x          12,345,678  because\n             ----------\n  sum                 1\n"
        );
        let colored = table.render(Style { color: true });
        assert!(colored.starts_with("\x1b[2m  what"));
        assert_eq!(colored.replace("\x1b[2m", "").replace("\x1b[0m", ""), plain);
    }
}
