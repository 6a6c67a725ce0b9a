//! Dialects: flows as other programs write them.
//!
//! A dialect is data over seams that are there anyway: which packets count ([`Dialect::filter`]), when flows end and who is
//! their client ([`Dialect::settings`]), a table of [`Column`]s over the record, an accumulator that is a [`Feature`] and
//! gives the columns behind it, and a [`Notation`]. What the original does wrongly is a [`Difference`], right unless the
//! switch of that name is set; an accumulator has switches, never a copy of itself.
//!
//! Columns do not depend on the data. Rows are in the order of flows: by first packet unless the settings say otherwise, and
//! the same in every run.

pub mod cic;
pub mod comparison;
pub mod nexus;
pub mod nf;
mod sums;
mod switches;
pub mod wa1kpcap;
mod zone;

use std::str::FromStr;
use std::sync::Arc;

use super::columns::{Column, Columns};
use super::feature::{Feature, FeatureColumn};
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::filter::Filter;
pub use crate::sink::notation::Notation;
use switches::among;
pub use switches::{Switch, Value};
pub use zone::Zone;

/// Flows as another program writes them.
#[derive(Clone, Debug)]
pub struct Dialect {
    name: &'static str,
    about: &'static str,
    filter: Filter,
    rules: fn(Settings) -> Settings,
    columns: &'static [Column],
    accumulator: Arc<dyn Feature>,
    notation: Notation,
    differences: &'static [Difference],
    /// What can be set by name.
    switches: Option<Switched>,
}

/// Switches of a dialect, and whose.
#[derive(Clone, Debug)]
enum Switched {
    Cic(cic::Preset, cic::Switches, Zone),
    Wa1kpcap(wa1kpcap::Switches),
}

/// Where a dialect deliberately differs from the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name, and that of its switch where it has one.
    pub name: &'static str,
    /// A switch brings the original's way back.
    pub switch: bool,
    /// What the original does.
    pub original: &'static str,
    /// What stands here instead, and why.
    pub here: &'static str,
    /// Where it was found: a publication, an issue or pull request (`owner/repository#number`) or a commit
    /// (`owner/repository@commit`) on GitHub, documentation, the original's code, or a run of it.
    pub source: &'static str,
}

const fn difference(
    name: &'static str,
    source: &'static str,
    original: &'static str,
    here: &'static str,
) -> Difference {
    Difference { name, switch: false, original, here, source }
}

impl Dialect {
    /// The names of all dialects.
    pub const NAMES: [&str; 12] = [
        "wa1kpcap",
        "cic",
        "cic-java",
        "cic-engelen",
        "cic-2018",
        "cic-2017",
        "cic-py",
        "cic-py-0.2",
        "lycos",
        "nexus",
        "nf-v2",
        "nf-v3",
    ];

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Which program and version it is of.
    #[must_use]
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// The packets that count in it.
    #[must_use]
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// How it writes numbers and lists in CSV.
    #[must_use]
    pub fn notation(&self) -> Notation {
        self.notation
    }

    /// Where it deliberately differs from the original.
    #[must_use]
    pub fn differences(&self) -> &'static [Difference] {
        self.differences
    }

    /// Its columns in their order.
    #[must_use]
    pub fn columns(&self) -> Vec<FeatureColumn> {
        self.columns.iter().map(FeatureColumn::from).chain(self.accumulator.columns()).collect()
    }

    /// The usual settings, with when flows end, who is their client and what is written as the dialect has them. What it
    /// says nothing of stays.
    #[must_use]
    pub fn settings(&self, usual: Settings) -> Settings {
        let features = vec![Arc::clone(&self.accumulator)];
        let columns = Columns::of(self.columns).with(&features);
        let usual = match &self.switches {
            Some(Switched::Cic(_, switches, _)) => switches.settings(usual),
            Some(Switched::Wa1kpcap(_)) | None => usual,
        };
        Settings { columns, features, ..(self.rules)(usual) }
    }

    /// The switches that can be set by name, as they stand.
    #[must_use]
    pub fn switches(&self) -> Vec<Switch> {
        match &self.switches {
            Some(Switched::Cic(_, switches, _)) => switches.list(),
            Some(Switched::Wa1kpcap(switches)) => switches.list(),
            None => Vec::new(),
        }
    }

    /// With a switch set.
    ///
    /// # Errors
    /// There is no such switch or value; the message has the nearest.
    pub fn set(self, switch: &str, value: &str) -> Result<Dialect> {
        match self.switches {
            Some(Switched::Cic(preset, mut switches, zone)) => {
                switches.set(switch, value)?;
                Ok(cic::in_zone(preset, switches, zone))
            }
            Some(Switched::Wa1kpcap(mut switches)) => {
                switches.set(switch, value)?;
                Ok(wa1kpcap::dialect(switches))
            }
            None => Err(Error::config(format!("the dialect {} has no switches to be set", self.name))),
        }
    }

    /// With times that are civil text in a zone, not in UTC.
    ///
    /// # Errors
    /// It has none.
    pub fn in_zone(self, zone: Zone) -> Result<Dialect> {
        match self.switches {
            _ if self.name == "nexus" => Ok(nexus::in_zone(zone)),
            Some(Switched::Cic(preset, switches, _)) if switches.has_civil_times() => {
                Ok(cic::in_zone(preset, switches, zone))
            }
            _ => Err(Error::config(format!("the dialect {} has no times that are of a zone", self.name))),
        }
    }
}

impl FromStr for Dialect {
    type Err = Error;
    /// The dialect of a name, with everything right that has a switch.
    fn from_str(name: &str) -> Result<Dialect> {
        if let Some(preset) = cic::Preset::ALL.into_iter().find(|preset| preset.name() == name) {
            return Ok(cic::dialect(preset, preset.switches()));
        }
        match name {
            "wa1kpcap" => Ok(wa1kpcap::dialect(wa1kpcap::Switches::default())),
            "nexus" => Ok(nexus::dialect()),
            "nf-v2" => Ok(nf::dialect(nf::Version::V2)),
            "nf-v3" => Ok(nf::dialect(nf::Version::V3)),
            _ => Err(Error::config(format!("there is no dialect `{name}`; {}", among(name, &Dialect::NAMES)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The file whose documentation has the table of a dialect's differences.
    fn source(name: &str) -> &'static str {
        match name {
            "wa1kpcap" => include_str!("wa1kpcap/mod.rs"),
            "nexus" => include_str!("nexus/mod.rs"),
            "nf-v2" | "nf-v3" => include_str!("nf/mod.rs"),
            "lycos" => include_str!("cic/lycos.rs"),
            "cic-py" | "cic-py-0.2" => include_str!("cic/python.rs"),
            _ => include_str!("cic/mod.rs"),
        }
    }

    /// Whether it is a publication, a thread or commit of a repository, documentation, data, code, or a run.
    fn can_be_followed(source: &str) -> bool {
        let kinds = ["seen by running ", "code of ", "rows of ", "NetFlow version ", "nProbe user's guide"];
        let is_in_repository = |part: &str| {
            part.split_once(['#', '@']).is_some_and(|(repository, place)| {
                repository.matches('/').count() == 1 && place.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        };
        let is_published = |part: &str| ["20", "("].iter().all(|of| part.contains(of));
        let mut parts = source.split("; ");
        parts
            .all(|part| kinds.iter().any(|kind| part.starts_with(kind)) || is_in_repository(part) || is_published(part))
    }

    #[test]
    fn the_documentation_has_every_difference_and_each_that_has_a_switch_can_be_had() {
        for name in Dialect::NAMES {
            let dialect: Dialect = name.parse().unwrap();
            let is_row = |line: &&str| line.starts_with("//! | `") && line.matches('|').count() == 6;
            let documented: Vec<_> = source(name).lines().filter(is_row).collect();
            let row = |difference: &Difference| {
                let Difference { name, switch, original, here, source } = difference;
                let switch = if *switch { "yes | " } else { "| " };
                format!("//! | `{name}` | {switch}{original} | {here} | {source} |")
            };
            assert_eq!(documented, dialect.differences().iter().map(row).collect::<Vec<_>>());
            let switches = dialect.switches();
            let sources = dialect.differences().iter().map(|difference| difference.source);
            for source in sources.chain(switches.iter().map(|switch| switch.source)) {
                assert!(can_be_followed(source), "{name}: {source}");
            }
            for difference in dialect.differences().iter().filter(|difference| difference.switch) {
                assert!(switches.iter().any(|switch| switch.name == difference.name), "{difference:?}");
            }
        }
    }

    #[test]
    fn every_value_of_every_switch_can_be_set_by_name() {
        for name in ["wa1kpcap", "cic"] {
            let dialect: Dialect = name.parse().unwrap();
            assert!(!dialect.switches().is_empty());
            for Switch { name, value, values, about, .. } in dialect.switches() {
                assert!(
                    values.iter().any(|of| of.name == value) && !about.is_empty() && !about.starts_with(' '),
                    "{name}"
                );
                for Value { name: value, about } in values {
                    assert!(!about.is_empty() || matches!(value, "no" | "yes"), "{name}={value}");
                    let set = dialect.clone().set(name, value).unwrap();
                    let now = set.switches().into_iter().find(|now| now.name == name).unwrap();
                    assert_eq!((now.value, set.name), (value, dialect.name));
                }
            }
        }
    }

    #[test]
    fn the_nearest_names_are_told() {
        let said = |dialect: &str, name, value| {
            let dialect: Dialect = dialect.parse().unwrap();
            dialect.set(name, value).unwrap_err().to_string()
        };
        assert!(said("cic", "zero_duratoin", "inf").contains("`zero_duration`"));
        assert!(said("cic", "std", "populaton").contains("`population`"));
        assert!(said("wa1kpcap", "float-time", "yes").contains("`float_times`"));
        assert!(said("wa1kpcap", "float_times", "yess").contains("`yes`, of no, yes"));
        assert!(said("nexus", "float_times", "yes").contains("nexus has no switches"));
    }

    #[test]
    fn a_dialect_is_found_by_its_name_and_no_column_stands_twice() {
        for name in Dialect::NAMES {
            let dialect: Dialect = name.parse().unwrap();
            assert_eq!(dialect.name(), name);
            let columns = dialect.columns();
            let names: BTreeSet<_> = columns.iter().map(|column| column.name).collect();
            assert_eq!(names.len(), columns.len());
            assert!(columns.iter().all(|column| !column.about.is_empty()));
            let written: Vec<_> = dialect.settings(Settings::default()).columns.names().collect();
            assert_eq!(written, columns.iter().map(|column| column.name).collect::<Vec<_>>());
        }
        assert!("wa2kpcap".parse::<Dialect>().unwrap_err().to_string().contains("wa1kpcap"));
    }
}
