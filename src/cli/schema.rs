//! `schema`: what the columns of a product are.

use clap::ValueEnum;
use pcap_compactor::views::flows::columns::{Group, all};
use pcap_compactor::views::flows::dialects::Dialect;
use pcap_compactor::views::flows::dialects::cic::{Switch, Switches};

use super::{Exit, text};

/// Arguments of `schema`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Whose columns.
    #[arg(value_enum)]
    product: Product,
    /// Those of a dialect of `flows`, and behind an empty line where it is right and the program is not, and its
    /// switches.
    #[arg(long, value_name = "NAME")]
    dialect: Option<Dialect>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Product {
    /// Those of `flows`.
    Flows,
}

/// Runs `schema`: one line a column, its fields parted by tabs.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut out = String::new();
    match (args.product, &args.dialect) {
        (Product::Flows, Some(dialect)) => of_dialect(dialect, &mut out),
        (Product::Flows, None) => {
            out.push_str("column\ttype\tunit\tgroup\tdefault\tmeaning\n");
            for column in all() {
                let unit = if column.unit.is_empty() { "-" } else { column.unit };
                let (kind, group) = (column.kind.name(), Group::about(column.group).0);
                let default = if column.default { "yes" } else { "no" };
                out.push_str(&format!("{}\t{kind}\t{unit}\t@{group}\t{default}\t{}\n", column.name, column.about));
            }
        }
    }
    text::print(&out)?;
    Ok(Exit::Ok)
}

fn of_dialect(dialect: &Dialect, out: &mut String) {
    let or_none = |text: &'static str| if text.is_empty() { "-" } else { text };
    out.push_str("column\ttype\tunit\tmeaning\n");
    for column in dialect.columns() {
        let (kind, unit) = (column.kind.name(), or_none(column.unit));
        out.push_str(&format!("{}\t{kind}\t{unit}\t{}\n", column.name, column.about));
    }
    out.push_str("\ndifference\tswitch\tsection\toriginal\there\n");
    for difference in dialect.differences() {
        let switch = if difference.switch { "yes" } else { "no" };
        let (name, section, original, here) =
            (difference.name, difference.section, difference.original, difference.here);
        out.push_str(&format!("{name}\t{switch}\t{section}\t{original}\t{here}\n"));
    }
    let switches = dialect.switches();
    if !switches.is_empty() {
        out.push_str("\nswitch\tvalue\tvalues\tmeaning\n");
    }
    for Switch { name, value, about } in switches {
        let values = Switches::values(name).unwrap_or_default().join(", ");
        out.push_str(&format!("{name}\t{value}\t{values}\t{about}\n"));
    }
}
