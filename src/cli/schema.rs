//! `schema`: what the columns of a product are, for people; and the same beside a table of flows, for programs.

use std::str::FromStr;

use clap::ValueEnum;
use pcap_compactor::views::flows::FeatureColumn;
use pcap_compactor::views::flows::columns::{Group, all};
use pcap_compactor::views::flows::dialects::{self, Dialect};
use serde::Serialize;

use super::{Exit, Usage, text};

/// Arguments of `schema`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Whose columns.
    #[arg(value_enum)]
    product: Product,
    /// Those of a dialect of `flows`, and behind an empty line where it is right and the program is not, and its
    /// switches, each with where that was found: owner/repository#number is a thread on GitHub, @ a commit. Of `buckets`: bridge.
    #[arg(long, value_name = "NAME")]
    dialect: Option<Named>,
}

/// A dialect of some product.
#[derive(Clone)]
enum Named {
    Flows(Dialect),
    Bridge,
}

impl FromStr for Named {
    type Err = pcap_compactor::Error;
    fn from_str(name: &str) -> Result<Named, pcap_compactor::Error> {
        if name == "bridge" { Ok(Named::Bridge) } else { name.parse().map(Named::Flows) }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Product {
    /// Those of `flows`.
    Flows,
    /// Those of `buckets`.
    Buckets,
}

/// Runs `schema`: one line a column, its fields parted by tabs.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let out = match (args.product, &args.dialect) {
        (Product::Flows, Some(Named::Flows(dialect))) => Schema::new(Some(dialect), dialect.columns()).text(),
        (Product::Flows, None) => of_flows(),
        (Product::Buckets, None) => of_buckets(),
        (Product::Buckets, Some(Named::Bridge)) => of_bridge(),
        (Product::Flows, Some(Named::Bridge)) => return Err(Usage("bridge is a dialect of buckets".into()).into()),
        (Product::Buckets, Some(Named::Flows(dialect))) => {
            return Err(Usage(format!("{} is a dialect of flows; that of buckets is bridge", dialect.name())).into());
        }
    };
    text::print(&out)?;
    Ok(Exit::Ok)
}

fn of_flows() -> String {
    let mut out = String::from("column\ttype\tunit\tgroup\tdefault\tmeaning\n");
    for column in all() {
        let (kind, group) = (column.kind.name(), Group::about(column.group).0);
        let default = if column.default { "yes" } else { "no" };
        let unit = or_none(column.unit);
        out.push_str(&format!("{}\t{kind}\t{unit}\t@{group}\t{default}\t{}\n", column.name, column.about));
    }
    out
}

fn of_buckets() -> String {
    let mut out = String::from("column\ttype\tunit\tmeaning\n");
    for FeatureColumn { name, kind, unit, about } in pcap_compactor::views::buckets::HEAD {
        out.push_str(&format!("{name}\t{}\t{unit}\t{about}\n", kind.name()));
    }
    for column in pcap_compactor::views::buckets::COLUMNS {
        out.push_str(&format!("{}\tinteger\t{}\t{}\n", column.name, column.unit, column.about));
    }
    out
}

fn of_bridge() -> String {
    let mut out = String::from("column\ttype\tunit\tmeaning\n");
    for column in pcap_compactor::views::buckets::bridge::COLUMNS {
        let FeatureColumn { name, kind, unit, about } = column.about;
        out.push_str(&format!("{name}\t{}\t{}\t{about}\n", kind.name(), or_none(unit)));
    }
    out
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// What a table of flows says: of which dialect it is, its columns, and what decides their values.
#[derive(Serialize)]
pub(crate) struct Schema {
    dialect: Option<&'static str>,
    /// The program and version that the dialect is of.
    of: Option<&'static str>,
    columns: Vec<Column>,
    /// Where the dialect deliberately differs from the program.
    differences: Vec<Difference>,
    switches: Vec<Switch>,
}

#[derive(Serialize)]
struct Column {
    name: &'static str,
    r#type: &'static str,
    unit: &'static str,
    meaning: &'static str,
}

#[derive(Serialize)]
struct Difference {
    name: &'static str,
    switch: bool,
    original: &'static str,
    here: &'static str,
    /// Where it was found.
    source: &'static str,
}

#[derive(Serialize)]
struct Switch {
    name: &'static str,
    value: &'static str,
    values: Vec<&'static str>,
    /// With that of each value.
    meaning: String,
    /// Where it was found that programs differ in it.
    source: &'static str,
}

impl Schema {
    pub(crate) fn new(dialect: Option<&Dialect>, columns: Vec<FeatureColumn>) -> Schema {
        let column =
            |FeatureColumn { name, kind, unit, about }| Column { name, r#type: kind.name(), unit, meaning: about };
        let switch = |dialects::Switch { name, value, values, about, source }| {
            let told = values.iter().filter(|value| !value.about.is_empty());
            let told: String =
                told.map(|value| format!(". {}: {}", value.name, value.about.trim_end_matches('.'))).collect();
            let values = values.iter().map(|value| value.name).collect();
            Switch { name, value, values, meaning: format!("{about}{told}"), source }
        };
        let differences = dialect.map_or(&[][..], Dialect::differences).iter().map(|difference| Difference {
            name: difference.name,
            switch: difference.switch,
            original: difference.original,
            here: difference.here,
            source: difference.source,
        });
        Schema {
            dialect: dialect.map(Dialect::name),
            of: dialect.map(Dialect::about),
            columns: columns.into_iter().map(column).collect(),
            differences: differences.collect(),
            switches: dialect.map(Dialect::switches).unwrap_or_default().into_iter().map(switch).collect(),
        }
    }

    /// Columns, differences and switches, an empty line between them.
    fn text(&self) -> String {
        let mut out = String::from("column\ttype\tunit\tmeaning\n");
        for Column { name, r#type, unit, meaning } in &self.columns {
            out.push_str(&format!("{name}\t{type}\t{}\t{meaning}\n", or_none(unit)));
        }
        out.push_str("\ndifference\tswitch\toriginal\there\tsource\n");
        for Difference { name, switch, original, here, source } in &self.differences {
            let switch = if *switch { "yes" } else { "no" };
            out.push_str(&format!("{name}\t{switch}\t{original}\t{here}\t{source}\n"));
        }
        if !self.switches.is_empty() {
            out.push_str("\nswitch\tvalue\tvalues\tmeaning\tsource\n");
        }
        for Switch { name, value, values, meaning, source } in &self.switches {
            let values = values.join(", ");
            out.push_str(&format!("{name}\t{value}\t{values}\t{meaning}\t{source}\n"));
        }
        out
    }
}
