//! Which columns are written: named one by one, by group, or the default.

use std::ops::Range;
use std::sync::Arc;

use super::cell::Cell;
use super::cells::Cells;
use super::columns::{Column, SOURCE_FILE, Source, all};
use super::feature::{Feature, FeatureColumn};
use super::group::Group;
use super::record::FlowRecord;
use super::statistics::STATISTICS;
use crate::error::{Error, Result};
use crate::flow::moments::Figures;

/// What is written in one go.
#[derive(Clone, Debug)]
enum Pick {
    Table(&'static Column),
    /// All columns of a quantity and direction: their place in [`STATISTICS`].
    Figures(usize),
    /// Those of all features.
    Features(Vec<FeatureColumn>),
}

/// Cells of a flow.
pub(crate) enum Piece<'p> {
    Cell(&'p Cell<'p>),
    /// Those of features in these places; beyond the last there is nothing.
    Run(&'p Cells, Range<usize>),
    /// Twelve: a count, and numbers.
    Figures(u64, [f64; 11]),
    /// One of what payload says.
    #[cfg(feature = "payload")]
    Said(crate::payload::Cell<'p>),
}

/// The columns that are written, in order.
#[derive(Clone, Debug)]
pub struct Columns(Vec<Pick>);

impl Default for Columns {
    fn default() -> Columns {
        Columns(all().filter(|column| column.default).map(Pick::Table).collect())
    }
}

impl Columns {
    /// Those of a table.
    #[must_use]
    pub fn of(table: &'static [Column]) -> Columns {
        Columns(table.iter().map(Pick::Table).collect())
    }

    /// The columns that a list names, in its order, each once: names of columns, and groups as `@tcp`, `@stats` (all
    /// statistics), `@app` (all that payload says), `@default`, or `@all` (all but what payload says).
    ///
    /// # Errors
    /// A name that no column or group has; the message says what there is.
    pub fn parse(list: &str) -> Result<Columns> {
        let columns = Columns(Vec::new()).and_named(list)?;
        if columns.0.is_empty() {
            return Err(Error::config("no columns are named"));
        }
        Ok(columns)
    }

    /// Whether a list names columns of sequences, by name or as their group; `@all` does not.
    #[must_use]
    pub fn names_sequences(list: &str) -> bool {
        let of_sequences = |name: &str| all().any(|column| column.name == name && column.group == Group::Sequences);
        list.split(',').map(str::trim).any(|word| match word.strip_prefix('@') {
            Some(group) => group == Group::Sequences.about().0,
            None => of_sequences(word),
        })
    }

    /// With the columns that a list names behind, as [`Columns::parse`] reads it, as far as none of their names is there.
    ///
    /// # Errors
    /// A name that no column or group has; the message says what there is.
    pub fn and_named(mut self, list: &str) -> Result<Columns> {
        for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            self.add(word, word.strip_prefix('@'))?;
        }
        Ok(Columns(together(self.0)))
    }

    /// With what payload says behind, as far as it is not there: of the protocols that a list names, as `tls,dns`, or of
    /// all (`app`).
    ///
    /// # Errors
    /// A name that is no protocol's, or a build that reads no payload; the message says what there is.
    pub fn and_of_payload(mut self, list: &str) -> Result<Columns> {
        if cfg!(not(feature = "payload")) {
            return Err(unread("--app"));
        }
        let groups = Group::ALL.into_iter().filter(|group| group.is_payload());
        for word in list.split(',').map(str::trim) {
            let Some(named) = groups.clone().find(|group| group.about().0 == word) else {
                let names: Vec<_> = groups.map(|group| group.about().0).collect();
                return Err(Error::config(format!(
                    "`{word}` is no protocol of payload; there are {}",
                    names.join(", ")
                )));
            };
            let wanted = |group| named == Group::App || group == named || group == Group::App;
            self = groups.clone().filter(|&group| wanted(group)).fold(self, Columns::and);
        }
        Ok(self)
    }

    /// Adds the columns of a group, or the one of a name, as far as they are not there.
    fn add(&mut self, word: &str, group: Option<&str>) -> Result<()> {
        let mut found = false;
        for column in all().filter(|column| match group {
            Some("all") => !column.group.is_payload(),
            Some("app") => column.group.is_payload(),
            Some("default") => column.default,
            Some("stats") => column.group.is_statistics(),
            Some(group) => column.group.about().0 == group,
            None => column.name == word,
        }) {
            found = true;
            self.put(column);
        }
        if found {
            return Ok(());
        }
        if cfg!(not(feature = "payload")) && is_of_payload(word) {
            return Err(unread(word));
        }
        let groups: Vec<_> = Group::ALL.iter().map(|group| format!("@{}", group.about().0)).collect();
        Err(Error::config(format!(
            "there is no column `{word}`; `pcap-compactor schema flows` lists them; groups are @default, @all, @stats, {}",
            groups.join(", ")
        )))
    }

    fn put(&mut self, column: &'static Column) {
        if self.names().all(|name| name != column.name) {
            self.0.push(Pick::Table(column));
        }
    }

    /// With those of a group behind, as far as they are not there.
    #[must_use]
    pub fn and(mut self, group: Group) -> Columns {
        all().filter(|column| column.group == group).for_each(|column| self.put(column));
        self
    }

    /// With the column of labels behind, if there is none, as a dialect may have.
    #[must_use]
    pub fn and_label(mut self) -> Columns {
        if !self.names().any(|name| name.eq_ignore_ascii_case("label")) {
            all().filter(|column| column.name == "label").for_each(|column| self.put(column));
        }
        self
    }

    /// With the name of a flow's capture behind; see [`Settings::source_file`](super::Settings::source_file).
    #[must_use]
    pub fn and_source_file(mut self) -> Columns {
        self.put(&SOURCE_FILE);
        self
    }

    /// With those of features behind.
    #[must_use]
    pub fn with(mut self, features: &[Arc<dyn Feature>]) -> Columns {
        self.0.push(Pick::Features(features.iter().flat_map(|feature| feature.columns()).collect()));
        self
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().flat_map(|pick| -> Box<dyn Iterator<Item = &'static str> + '_> {
            match pick {
                Pick::Table(column) => Box::new(std::iter::once(column.name)),
                Pick::Figures(place) => Box::new(STATISTICS[*place].iter().map(|column| column.name)),
                Pick::Features(columns) => Box::new(columns.iter().map(|column| column.name)),
            }
        })
    }

    /// What each of them is.
    #[must_use]
    pub fn list(&self) -> Vec<FeatureColumn> {
        let mut list = Vec::new();
        for pick in &self.0 {
            match pick {
                Pick::Table(column) => list.push(FeatureColumn::from(*column)),
                Pick::Figures(place) => list.extend(STATISTICS[*place].iter().map(FeatureColumn::from)),
                Pick::Features(columns) => list.extend(columns),
            }
        }
        list
    }

    /// Shows the cells of a flow. They are lent: a cell that is moved as it is made is read before it is written.
    #[inline]
    pub(crate) fn show(&self, record: &FlowRecord, mut to: impl FnMut(Piece<'_>)) {
        for pick in &self.0 {
            match pick {
                Pick::Table(column) => match column.cell {
                    Source::Record(cell) => {
                        // Most cells own nothing, and a look is cheaper than the call that drops them.
                        let cell = cell(record);
                        to(Piece::Cell(&cell));
                        if !cell.owns() {
                            std::mem::forget(cell);
                        }
                    }
                    #[cfg(feature = "payload")]
                    Source::Payload(cell) => to(Piece::Said(record.app.as_deref().map(cell).into())),
                },
                Pick::Features(columns) => {
                    // Those without columns, which the table of a dialect takes, are in front.
                    let from = record.features.len().saturating_sub(columns.len());
                    to(Piece::Run(&record.features, from..from + columns.len()));
                }
                Pick::Figures(place) => {
                    let figures = record.figures.as_ref().map(|figures| figures[place / 3][place % 3]);
                    let Figures { count, sum, mean, std, var, min, max, range, median, skew, kurt, cv } =
                        figures.unwrap_or_default();
                    to(Piece::Figures(count, [sum, mean, std, var, min, max, range, median, skew, kurt, cv]));
                }
            }
        }
    }

    fn any(&self, of: impl Fn(&Column) -> bool) -> bool {
        self.0.iter().any(|pick| match pick {
            Pick::Table(column) => of(column),
            Pick::Figures(place) => of(&STATISTICS[*place][0]),
            Pick::Features(_) => false,
        })
    }

    /// Which quantities have statistics, in the order of [`Quantity::ALL`](crate::flow::statistics::Quantity::ALL).
    pub(super) fn quantities(&self) -> [bool; 6] {
        let groups = [Group::FrameLen, Group::IpLen, Group::L4Len, Group::PayloadLen, Group::Iat, Group::Window];
        groups.map(|group| self.any(|column| column.group == group))
    }

    /// Whether payload has to be read.
    #[must_use]
    pub fn need_payload(&self) -> bool {
        self.any(|column| column.group.is_payload())
    }

    pub(super) fn need_tcp(&self) -> bool {
        self.any(|column| matches!(column.group, Group::Tcp | Group::Flags))
    }
}

fn unread(word: &str) -> Error {
    Error::config(format!(
        "`{word}` is of payload, which this build does not read; build it with `cargo build --release --features full`"
    ))
}

/// Whether a column or group would be of what payload says.
fn is_of_payload(word: &str) -> bool {
    let protocol = word.trim_start_matches('@').split('_').next();
    Group::ALL.iter().any(|group| group.is_payload() && Some(group.about().0) == protocol)
}

/// Puts all columns of a quantity and direction together where they stand so.
fn together(picks: Vec<Pick>) -> Vec<Pick> {
    let mut rest = picks.as_slice();
    let mut together = Vec::with_capacity(picks.len());
    let is = |pick: &Pick, column: &Column| matches!(pick, Pick::Table(own) if own.name == column.name);
    while let Some(first) = rest.first() {
        let block = STATISTICS.iter().position(|block| {
            rest.get(..block.len()).is_some_and(|picks| picks.iter().zip(block).all(|(pick, column)| is(pick, column)))
        });
        together.push(block.map_or_else(|| first.clone(), Pick::Figures));
        rest = &rest[block.map_or(1, |place| STATISTICS[place].len())..];
    }
    together
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_first_columns_never_move_and_the_default_is_narrow() {
        let first = [
            "flow_id",
            "sensor",
            "src_ip",
            "dst_ip",
            "src_port",
            "dst_port",
            "protocol",
            "first_ts",
            "last_ts",
            "duration_s",
            "pkts_up",
            "pkts_dn",
            "bytes_up",
            "bytes_dn",
            "payload_bytes_up",
            "payload_bytes_dn",
            "end_reason",
            "direction",
            "community_id",
        ];
        let names: Vec<_> = Columns::default().names().collect();
        assert_eq!(names[..first.len()], first);
        assert!(names.len() <= 60);
    }

    #[test]
    fn a_list_names_sequences_by_column_or_group() {
        for list in ["@sequences", "src_ip, seq_time_ns", "seq_left_out,@tcp"] {
            assert!(Columns::names_sequences(list), "{list}");
        }
        // A name of nothing is refused as such, whatever it has in it.
        for list in ["@all", "@default,src_ip", "seq_", "my_seq_time_ns", "@sequences_of", ""] {
            assert!(!Columns::names_sequences(list), "{list}");
        }
    }

    #[test]
    fn names_are_distinct_and_a_list_keeps_its_order() {
        let names: Vec<_> = all().map(|column| column.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        let of_headers: Vec<_> = all().filter(|column| !column.group.is_payload()).map(|column| column.name).collect();
        assert_eq!(Columns::parse("@all").unwrap().names().collect::<Vec<_>>(), of_headers);
        let picked = Columns::parse("iat_mean, src_ip,@window,iat_mean").unwrap();
        let names: Vec<_> = picked.names().collect();
        assert_eq!((&names[..3], names.len()), (&["iat_mean", "src_ip", "window_count"][..], 2 + 36));
        assert!(Columns::parse("src_ipp").unwrap_err().to_string().contains("`src_ipp`"));
        assert!(Columns::parse("").is_err());
    }
}
