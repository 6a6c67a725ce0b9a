//! What the records of an output are made with, beside captures: one list of products, and one set of settings of groups.

use std::collections::BTreeSet;

use super::Product;
use super::journal::Journal;
use super::settings::Settings;
use crate::config::differing;
use crate::error::{Error, Result};

/// Names of what the journal holds.
const ALL: &str = "settings";
const GROUPS: &str = "groups";

/// Between the products and the digest of the rest.
const REST: &str = " with settings ";

/// Products by their full names: in whatever order they are listed, they make the same.
#[must_use]
pub fn full_names(products: &[Product]) -> BTreeSet<String> {
    products.iter().map(Product::full_name).collect()
}

/// Whether nothing is known of an output yet.
///
/// # Errors
/// The journal cannot be read.
pub(super) fn is_new(journal: &Journal) -> Result<bool> {
    Ok(journal.fixed(ALL)?.is_none())
}

fn joined<'n>(names: impl Iterator<Item = &'n String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Makes sure that an output goes on as it began.
///
/// # Errors
/// Its records were made with other settings, which are named; or the journal cannot be read or written.
pub(super) fn hold(journal: &Journal, settings: &Settings) -> Result<()> {
    let groups = toml::to_string(&settings.config).map_err(|error| Error::config(error.to_string()))?;
    let products = full_names(&settings.products);
    let digest = format!("{:08x}", crc32fast::hash(groups.as_bytes()));
    let all = format!("{}{REST}{digest}", joined(products.iter()));
    let before = journal.fix(ALL, &all)?.unwrap_or(all);
    let (made, with) = before.split_once(REST).unwrap_or((&before, ""));
    let made: BTreeSet<String> = made.split(' ').map(str::to_owned).collect();
    if made == products && with == digest {
        // A journal of before them has the digest alone, of the same.
        journal.fix(GROUPS, &groups)?;
        return Ok(());
    }
    let mut others = Vec::new();
    if made != products {
        let what = [("dropped", made.difference(&products)), ("added", products.difference(&made))];
        let what = what.map(|(what, names)| (what, joined(names))).into_iter().filter(|(_, names)| !names.is_empty());
        let what: Vec<String> = what.map(|(what, names)| format!("{what}: {names}")).collect();
        others.push(format!("products {}", what.join(", ")));
    }
    if with != digest {
        let tables = |before: String| Some((before.parse().ok()?, groups.parse().ok()?));
        match journal.fixed(GROUPS)?.and_then(tables) {
            Some((before, now)) => others.push(format!("[groups] {}", differing(&before, &now).join(", "))),
            None => others.push("[groups]".to_owned()),
        }
    }
    Err(Error::config(format!(
        "{}: its hours were made with other settings ({}); take these, or name another output, which begins with the captures that are still there",
        settings.output.display(),
        others.join("; ")
    )))
}
