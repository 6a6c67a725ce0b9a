//! `schema`: what the columns of a product are.

use clap::ValueEnum;
use pcap_compactor::views::flows::columns::{Group, all};

use super::{Exit, text};

/// Arguments of `schema`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Whose columns.
    #[arg(value_enum)]
    product: Product,
}

#[derive(Clone, Copy, ValueEnum)]
enum Product {
    /// Those of `flows`.
    Flows,
}

/// Runs `schema`: one line a column, its fields parted by tabs.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut out = String::new();
    match args.product {
        Product::Flows => {
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
