//! What tables say of themselves. Nothing in it depends on the run that writes them: not on how far that is, nor on where folders lie.

use std::path::Path;

#[cfg(feature = "tables")]
use serde::Serialize;

use crate::capture::{Identity, hour_folder};
#[cfg(feature = "tables")]
use crate::config::{Config, Measure};
#[cfg(feature = "tables")]
use crate::error::{Error, Result};
use crate::sink::jsonl;
use crate::time::Timestamp;
#[cfg(feature = "tables")]
use crate::views::{buckets, flows};

/// What a file says at its end, by name; text says nothing.
pub(in crate::watch) type Told = Vec<(&'static str, String)>;

/// Of a file of an hour of a sensor.
pub(in crate::watch) fn of_hour(sensor: &str, hour: Timestamp) -> Told {
    let begins = hour_folder(hour).replacen('/', "-", 2).replacen('/', "T", 1) + ":00:00Z";
    vec![("pcap_compactor.sensor", sensor.to_owned()), ("pcap_compactor.hour", begins)]
}

/// Of a file of a capture of a sensor, which is named from the watched folder on.
pub(super) fn of_capture(sensor: &str, name: &Path, identity: &Identity) -> Told {
    let mut inputs = vec![b'['];
    jsonl::capture(name, Some(identity), &mut inputs);
    inputs.push(b']');
    let inputs = String::from_utf8_lossy(&inputs).into_owned();
    vec![("pcap_compactor.sensor", sensor.to_owned()), ("pcap_compactor.inputs", inputs)]
}

/// What decided the values of a product, beside its dialect. Lengths of time are in nanoseconds; none is no limit.
#[cfg(feature = "tables")]
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Decided<'s> {
    Groups {
        config: &'s Config,
    },
    Flows {
        tcp_timeout_ns: Option<i64>,
        udp_timeout_ns: Option<i64>,
        other_timeout_ns: Option<i64>,
        active_timeout_ns: Option<i64>,
        tcp_end: &'static str,
        client: &'static str,
        reorder_ns: i64,
        min_packets: u64,
        no_retransmissions: bool,
        bytes: Measure,
        service_ports: Vec<u16>,
    },
    Buckets {
        widths_ns: &'s [i64],
        bytes: Measure,
        reorder_ns: i64,
        gap_limit: u64,
    },
}

#[cfg(feature = "tables")]
impl Decided<'_> {
    pub(super) fn flows(settings: &flows::Settings) -> Decided<'static> {
        let life = settings.lifetime;
        Decided::Flows {
            tcp_timeout_ns: life.tcp_idle,
            udp_timeout_ns: life.udp_idle,
            other_timeout_ns: life.other_idle,
            active_timeout_ns: life.active,
            tcp_end: life.tcp_end.name(),
            client: settings.client.name(),
            reorder_ns: settings.reorder,
            min_packets: settings.min_packets,
            no_retransmissions: settings.no_retransmissions,
            bytes: settings.bytes,
            service_ports: settings.service_ports.iter().copied().collect(),
        }
    }

    pub(super) fn buckets(settings: &buckets::Settings) -> Decided<'_> {
        Decided::Buckets {
            widths_ns: &settings.widths,
            bytes: settings.bytes,
            reorder_ns: settings.reorder,
            gap_limit: settings.gap_limit,
        }
    }

    /// With the product's full name, as JSON.
    pub(super) fn json(&self, product: &str) -> Result<String> {
        #[derive(Serialize)]
        struct Whole<'d> {
            product: &'d str,
            #[serde(flatten)]
            decided: &'d Decided<'d>,
        }
        serde_json::to_string(&Whole { product, decided: self }).map_err(Error::sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::NS_PER_SECOND;

    #[test]
    fn an_hour_is_named_by_its_beginning() {
        for (hours, begins) in
            [(0, "1970-01-01T00:00:00Z"), (-1, "1969-12-31T23:00:00Z"), (489_555, "2025-11-06T03:00:00Z")]
        {
            let told = of_hour("gate", Timestamp(hours * 3600 * NS_PER_SECOND));
            assert_eq!(told, [("pcap_compactor.sensor", "gate".into()), ("pcap_compactor.hour", begins.into())]);
        }
    }
}
