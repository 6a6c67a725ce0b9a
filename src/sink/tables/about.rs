//! What a table says of itself, by names that begin with `pcap_compactor.`:
//!
//! | name | what |
//! |---|---|
//! | `version` | of the program that wrote it |
//! | `product` | `groups`, `scans`, `flows` or `buckets` |
//! | `dialect` | of flows, if they are of one |
//! | `settings` | what decided the values, JSON |
//! | `inputs` | captures: name as given, bytes, and SHA-1 of their first and last 4 KiB behind one another, JSON |
//! | `metrics` | the line of metrics that JSON Lines end with, ledger and all |
//!
//! The last two are known at the end, and stand in the file's own metadata; the others also in that of the schema. Files that `watch` writes
//! have no metrics, and those of an hour no inputs; they have there, too:
//!
//! | name | what |
//! |---|---|
//! | `sensor` | whose records they are |
//! | `hour` | of a file of an hour: when it begins, UTC |

use std::collections::HashMap;
use std::fs;

use serde::Serialize;

use crate::capture::{Compression, Identity, Status};
use crate::engine::FileReport;
use crate::error::{Error, Result};
use crate::sink::Metrics;
use crate::sink::jsonl;
use crate::sink::metrics::Counted;

/// What is known of a table before it is written.
#[derive(Clone, Debug)]
pub struct About {
    /// What its rows are.
    pub product: &'static str,
    /// Whose columns they have, if not our own.
    pub dialect: Option<&'static str>,
    /// What decided the values, as JSON; empty if nothing is to be said.
    pub settings: String,
}

impl About {
    /// Of a product, or its dialect, with what decided its values ([`crate::sink::decided`]).
    ///
    /// # Errors
    /// They are nothing that JSON has.
    pub fn new(product: &'static str, dialect: Option<&'static str>, decided: &impl Serialize) -> Result<About> {
        Ok(About { product, dialect, settings: serde_json::to_string(decided).map_err(Error::sink)? })
    }

    /// The same for the schema.
    #[must_use]
    pub fn metadata(&self) -> HashMap<String, String> {
        let told = [
            ("pcap_compactor.version", env!("CARGO_PKG_VERSION")),
            ("pcap_compactor.product", self.product),
            ("pcap_compactor.dialect", self.dialect.unwrap_or_default()),
            ("pcap_compactor.settings", &self.settings),
        ];
        let told = told.into_iter().filter(|(_, what)| !what.is_empty());
        told.map(|(name, what)| (name.to_owned(), what.to_owned())).collect()
    }
}

/// What is known at the end.
pub(super) fn closing<C: Copy + Counted>(metrics: &Metrics<'_, C>) -> [(&'static str, String); 2] {
    let mut line = Vec::new();
    metrics.write(&mut line);
    let line = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
    [("pcap_compactor.inputs", inputs(metrics.files)), ("pcap_compactor.metrics", line)]
}

/// Captures as JSON. One that is no file, or is not there any more as it was read, has its name alone.
fn inputs(files: &[FileReport]) -> String {
    let mut out = vec![b'['];
    for (place, file) in files.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        jsonl::capture(&file.path, identity(file).as_ref(), &mut out);
    }
    out.push(b']');
    String::from_utf8_lossy(&out).into_owned()
}

/// What a capture is, also behind a link. Another may have its name by now, or it may have grown: that is seen where it was read to its end
/// and has another length.
fn identity(file: &FileReport) -> Option<Identity> {
    let identity = Identity::of(&fs::canonicalize(&file.path).ok()?).ok()?;
    let capture = &file.capture;
    let is_whole = capture.status == Status::Complete && capture.compression == Compression::None;
    Some(identity).filter(|identity| !is_whole || identity.size == capture.bytes_read)
}
