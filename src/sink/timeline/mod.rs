//! Timelines as folders of files, which viewers open.

mod cells;
#[cfg(feature = "cli")]
pub mod check;
mod chunked;
mod flow_bins;
mod flows;
mod folders;
mod json;
mod manifest;
mod names;
mod several;
mod texts;
mod times;
mod totals;
mod v3;
mod v5;

pub use chunked::Chunked;
pub use folders::{Folders, Layout, Summary, VERSIONS};
pub use names::{are_timelines, is_timeline, timeline_around};
pub use several::Several;
pub use v3::Multires;
pub use v5::{FlowList, PART};

use crate::time::Timestamp;
use crate::views::timeline::{Choice, Mode};

/// What a folder says of how it came about.
#[derive(Clone, Debug)]
pub struct About {
    /// When it was made; written in UTC, to the microsecond.
    pub created: Timestamp,
    /// What was read, as it was named.
    pub sources: Vec<String>,
    /// Which packets were taken.
    pub choice: Choice,
    /// What the packets are thought to be of, such as an attack.
    pub context: Option<String>,
    /// The machine that made the flows.
    pub mode: Mode,
}

/// What lies in folders of timelines.
pub const PARTS: [&str; 6] = ["manifest.json", "packets.csv", "flows", "ips", "indices", "resolutions"];
