//! What the records of an output are made with, beside captures: one list of products, and one set of settings of groups.

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

/// Whether nothing is known of an output yet.
///
/// # Errors
/// The journal cannot be read.
pub(super) fn is_new(journal: &Journal) -> Result<bool> {
    Ok(journal.fixed(ALL)?.is_none())
}

/// Makes sure that an output goes on as it began.
///
/// # Errors
/// Its records were made with other settings, which are named; or the journal cannot be read or written.
pub(super) fn hold(journal: &Journal, settings: &Settings) -> Result<()> {
    let groups = toml::to_string(&settings.config).map_err(|error| Error::config(error.to_string()))?;
    // In whatever order they are named, they make the same.
    let in_order = |mut products: Vec<String>| (products.sort_unstable(), products.join(" ")).1;
    let products = in_order(settings.products.iter().map(Product::full_name).collect());
    let digest = format!("{:08x}", crc32fast::hash(groups.as_bytes()));
    let all = format!("{products}{REST}{digest}");
    let before = journal.fix(ALL, &all)?.unwrap_or(all);
    let (made, with) = before.split_once(REST).unwrap_or((&before, ""));
    let made = in_order(made.split(' ').map(str::to_owned).collect());
    if made == products && with == digest {
        // A journal of before them has the digest alone, of the same.
        journal.fix(GROUPS, &groups)?;
        return Ok(());
    }
    let mut others = Vec::new();
    if made != products {
        others.push(format!("products {made}, now {products}"));
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
