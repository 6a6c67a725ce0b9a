//! The configuration as TOML that tells what each value is for, and reads back as the same configuration.

use super::Config;

/// Every key but the service map, in order, and what it means.
const KEYS: [(&str, &str); 16] = [
    ("window_seconds", "length of a window, from the epoch; 1 to 10^9"),
    ("idle_split_seconds", "a longer gap ends a slice; 0 to 10^9"),
    ("unknown_service_label", "the only value, as in the original"),
    ("scan_unique_dsts_threshold", "more destinations make a source a candidate"),
    ("scan_unique_ports_threshold", "or more ports on one destination"),
    ("scan_policy", "\"guarded\" or \"original\""),
    ("iforest_contamination", "share of candidates that the forest may call outliers; 0 to 0.5"),
    ("iforest_estimators", "trees; 32 to 100,000"),
    ("iforest_random_state", "seed of everything random; 0 to 2^63 - 1"),
    ("count_log_base", "base of count and byte tokens; 1.01 to 10^6"),
    ("duration_log_base", "base of the duration token; 1.01 to 10^6"),
    ("http_uri_token_budget", "tokens of HTTP targets a group keeps, in expectation; 1 to 100,000"),
    ("http_always_keep_lexicon", "entries that are kept beyond that: words match whole, the others anywhere"),
    ("emitter_queue_capacity", "records that wait for the writer with drop_oldest; 1024 to 10^8"),
    ("emitter_backpressure_policy", "\"block\" or \"drop_oldest\""),
    ("bytes", "\"wire\" or \"captured\""),
];

/// Where the meaning stands, behind values that end before it.
const COLUMN: usize = 39;

impl Config {
    /// Every key with its value and what it means, as TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let values = toml::Table::try_from(self).expect("values within their bounds are TOML");
        let mut text = String::new();
        for (key, meaning) in KEYS {
            let Some(value) = values.get(key) else { continue };
            let line = format!("{key} = {value}");
            if line.len() < COLUMN {
                text += &format!("{line:COLUMN$}# {meaning}\n");
            } else {
                text += &format!("# {meaning}\n{line}\n");
            }
        }
        text += "\n# service by destination port\n[service_port_map]\n";
        for (port, service) in &self.service_port_map {
            text += &format!("{} = {}\n", port.0, toml::Value::from(service.as_str()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Backpressure, Measure, Port, ScanPolicy};

    #[test]
    fn every_key_is_printed_with_its_meaning() {
        let values = toml::Table::try_from(Config::default()).unwrap();
        let mut keys: Vec<&str> = KEYS.iter().map(|(key, _)| *key).chain(["service_port_map"]).collect();
        keys.sort_unstable();
        assert_eq!(keys, values.keys().collect::<Vec<_>>());
        assert!(KEYS.iter().all(|(_, meaning)| Config::default().to_toml().contains(meaning)));
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same() {
        let other = Config {
            window_seconds: 1,
            idle_split_seconds: 1_000_000_000,
            service_port_map: [(Port(65_535), "a \"b\"\n".into()), (Port(0), "c".into())].into(),
            scan_policy: ScanPolicy::Original,
            scan_unique_dsts_threshold: i64::MAX as u64,
            scan_unique_ports_threshold: i64::MAX as u64,
            iforest_contamination: 0.0,
            iforest_random_state: i64::MAX as u64,
            count_log_base: 1e6,
            duration_log_base: 1.01,
            http_always_keep_lexicon: vec!["'\"\\".into(), "ü".into(), "# no comment".into()],
            emitter_backpressure_policy: Backpressure::DropOldest,
            bytes: Measure::Captured,
            ..Config::default()
        };
        let bare = Config { service_port_map: [].into(), http_always_keep_lexicon: vec![], ..Config::default() };
        for config in [Config::default(), other, bare] {
            config.check().unwrap();
            let text = config.to_toml();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
        }
    }

    #[test]
    fn the_readme_shows_what_is_printed() {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
        assert!(readme.contains(&format!("```toml\n{}```", Config::default().to_toml())));
    }
}
