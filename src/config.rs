//! What a run may be told: the original's knobs under their names, and ours.
//!
//! Every field has its default, its bound and its effect; a file with an unknown key is refused.

mod differing;
mod printed;

use std::collections::BTreeMap;
use std::path::Path;

pub use differing::differing;
use serde::{Deserialize, Serialize};

use crate::app::lexicon::DEFAULT;
use crate::error::{Error, Result};
use crate::views::groups::tokens::MIN_BASE;

/// Knobs of the groups view and its scan detection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Length of a tumbling window in seconds, counted from the epoch; 1 to 10^9. Default 3600.
    pub window_seconds: u64,
    /// A gap longer than this many seconds ends a slice; 0 to 10^9. Default 120.
    pub idle_split_seconds: u64,
    /// Service of a port that is not in the map; only `unknown`, as in the original.
    pub unknown_service_label: String,
    /// Service by destination port.
    pub service_port_map: BTreeMap<Port, String>,
    /// A source with more distinct destinations than this in a window is a scan candidate; up to 2^63 - 1. Default 50.
    pub scan_unique_dsts_threshold: u64,
    /// A source with more distinct ports than this on one destination is a scan candidate; up to 2^63 - 1. Default 100.
    pub scan_unique_ports_threshold: u64,
    /// Who is collapsed. Default `guarded`.
    pub scan_policy: ScanPolicy,
    /// Share of candidates that the Isolation Forest calls outliers; 0 (none) to 0.5. Default 0.14.
    pub iforest_contamination: f64,
    /// Trees of the forest; 32 to 100,000. Default 256.
    pub iforest_estimators: u32,
    /// Seed of everything random: forest, token sampling, sample targets; up to 2^63 - 1, as TOML has it. Default 42.
    pub iforest_random_state: u64,
    /// Base of the count and byte tokens; 1.01 to 10^6. Default 2.
    pub count_log_base: f64,
    /// Base of the duration token; 1.01 to 10^6. Default 2.
    pub duration_log_base: f64,
    /// Tokens of HTTP targets a group keeps, in expectation; 1 to 100,000. Default 40.
    pub http_uri_token_budget: u32,
    /// Entries that are always kept when a target holds them.
    pub http_always_keep_lexicon: Vec<String>,
    /// Records that wait between the engine and the writer; 1024 to 10^8. Default 50,000.
    pub emitter_queue_capacity: usize,
    /// What happens when that queue is full. Default `block`.
    pub emitter_backpressure_policy: Backpressure,
    /// Which length the byte counters use. Default `wire`.
    pub bytes: Measure,
}

/// A port number as a key of [`Config::service_port_map`]; in TOML, keys are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Port(pub u16);

impl From<Port> for String {
    fn from(port: Port) -> String {
        port.0.to_string()
    }
}

impl TryFrom<String> for Port {
    type Error = String;
    fn try_from(text: String) -> std::result::Result<Port, String> {
        text.parse().map(Port).map_err(|_| format!("`{text}` is not a port (0 to 65535)"))
    }
}

/// Who is collapsed into a scan summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanPolicy {
    /// Candidates whose contacts mostly failed; what was answered stays.
    #[default]
    Guarded,
    /// As the original: the forest's majority, with everything it sent.
    Original,
}

/// What a full queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backpressure {
    /// The engine waits.
    #[default]
    Block,
    /// The oldest waiting group is dropped and counted; scans and metrics never are.
    DropOldest,
}

/// Which length counts as a packet's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Bytes on the wire, by the record.
    #[default]
    Wire,
    /// Bytes that the capture holds.
    Captured,
}

impl Default for Config {
    fn default() -> Config {
        let services = [(80, "http"), (8080, "http"), (21, "ftp"), (445, "smb"), (22, "ssh"), (53, "dns")];
        Config {
            window_seconds: 3600,
            idle_split_seconds: 120,
            unknown_service_label: "unknown".into(),
            service_port_map: services.into_iter().map(|(port, name)| (Port(port), name.into())).collect(),
            scan_unique_dsts_threshold: 50,
            scan_unique_ports_threshold: 100,
            scan_policy: ScanPolicy::Guarded,
            iforest_contamination: 0.14,
            iforest_estimators: 256,
            iforest_random_state: 42,
            count_log_base: 2.0,
            duration_log_base: 2.0,
            http_uri_token_budget: 40,
            http_always_keep_lexicon: DEFAULT.map(String::from).into(),
            emitter_queue_capacity: 50_000,
            emitter_backpressure_policy: Backpressure::Block,
            bytes: Measure::Wire,
        }
    }
}

impl Config {
    /// Reads a TOML file and checks it.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, has an unknown key, or a value out of bounds; the message names it.
    pub fn load(path: &Path) -> Result<Config> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
        Config::from_toml(&text).map_err(|error| Error::config(format!("{}: {error}", path.display())))
    }

    /// Reads TOML and checks it.
    ///
    /// # Errors
    /// It is no TOML, has an unknown key, or a value out of bounds; the message names it.
    pub fn from_toml(text: &str) -> Result<Config> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let feeds = |end: usize| text.bytes().take(end).filter(|&byte| byte == b'\n').count();
            let line = 1 + error.span().map_or(0, |span| feeds(span.start));
            Error::config(format!("line {line}: {}", error.message().replace('\n', " ")))
        })?;
        config.check()?;
        Ok(config)
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// Names the first field that is out of its bounds, and the bounds.
    pub fn check(&self) -> Result<()> {
        let whole = |name: &str, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Error::config(format!("{name} = {value} is out of bounds: {low} to {high}")))
            }
        };
        whole("window_seconds", self.window_seconds, 1, 1_000_000_000)?;
        whole("idle_split_seconds", self.idle_split_seconds, 0, 1_000_000_000)?;
        whole("iforest_estimators", u64::from(self.iforest_estimators), 32, 100_000)?;
        whole("http_uri_token_budget", u64::from(self.http_uri_token_budget), 1, 100_000)?;
        let top = i64::MAX.unsigned_abs();
        whole("scan_unique_dsts_threshold", self.scan_unique_dsts_threshold, 0, top)?;
        whole("scan_unique_ports_threshold", self.scan_unique_ports_threshold, 0, top)?;
        whole("iforest_random_state", self.iforest_random_state, 0, top)?;
        whole("emitter_queue_capacity", self.emitter_queue_capacity as u64, 1024, 100_000_000)?;
        if !(0.0..=0.5).contains(&self.iforest_contamination) {
            let value = self.iforest_contamination;
            return Err(Error::config(format!("iforest_contamination = {value} is out of bounds: 0 to 0.5")));
        }
        for (name, base) in [("count_log_base", self.count_log_base), ("duration_log_base", self.duration_log_base)] {
            if !(MIN_BASE..=1e6).contains(&base) {
                return Err(Error::config(format!("{name} = {base} is out of bounds: {MIN_BASE} to 10^6")));
            }
        }
        if self.unknown_service_label != "unknown" {
            return Err(Error::config("unknown_service_label can only be \"unknown\""));
        }
        if self.service_port_map.values().any(String::is_empty) {
            return Err(Error::config("service_port_map has an empty service name"));
        }
        if self.http_always_keep_lexicon.iter().any(String::is_empty) || self.http_always_keep_lexicon.len() > 65_535 {
            return Err(Error::config("http_always_keep_lexicon needs 0 to 65535 entries, none of them empty"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_originals_and_pass_their_own_bounds() {
        let config = Config::default();
        config.check().unwrap();
        assert_eq!(config.http_always_keep_lexicon.len(), 15);
    }

    #[test]
    fn unknown_keys_and_values_out_of_bounds_are_refused_by_name() {
        assert!(toml::from_str::<Config>("window_secs = 1").unwrap_err().to_string().contains("window_secs"));
        let config: Config = toml::from_str("iforest_contamination = 0.6").unwrap();
        assert!(config.check().unwrap_err().to_string().contains("iforest_contamination"));
        assert!(toml::from_str::<Config>("[service_port_map]\n70000 = \"x\"").is_err());
    }
}
