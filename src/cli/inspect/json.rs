//! A file's description as one JSON object.

use pcap_compactor::Timestamp;
use pcap_compactor::decode::packet::Tunnel;
use pcap_compactor::engine::FileReport;
use pcap_compactor::time::utc;
use serde::Serialize;

use super::names::known_link;
use super::{File, hints};

/// A file as JSON. Times are integers of nanoseconds and text.
#[derive(Serialize)]
pub(super) struct Json<'a> {
    path: std::borrow::Cow<'a, str>,
    format: &'a str,
    compression: &'a str,
    status: &'a str,
    offset: Option<u64>,
    message: Option<&'a str>,
    link_types: Vec<Link>,
    packets: u64,
    wire_bytes: u64,
    captured_bytes: u64,
    first_time: Option<String>,
    first_time_ns: Option<i64>,
    last_time: Option<String>,
    last_time_ns: Option<i64>,
    without_time: u64,
    dropped: u64,
    accepted: u64,
    not_ip: u64,
    malformed: u64,
    not_ip_by: Named,
    malformed_by: Named,
    unsupported_link_types: Named,
    transports: Named,
    tunnels: Named,
    snapped_packets: u64,
    snapped_at: Option<u32>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Link {
    number: u16,
    name: &'static str,
}

/// Counts by name, in the order given.
struct Named(Vec<(String, u64)>);

impl Serialize for Named {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, n)| (name, n)))
    }
}

impl<'a> Json<'a> {
    pub(super) fn of(file: &'a File) -> Json<'a> {
        let FileReport { path, capture, tally, .. } = &file.report;
        let intake = &tally.intake;
        let transports = [("tcp", tally.tcp), ("udp", tally.udp), ("fragment", tally.fragment), ("other", tally.other)];
        let tunnels = Tunnel::ALL.iter().zip(tally.tunnels).skip(1).filter(|&(_, n)| n > 0);
        Json {
            path: path.to_string_lossy(),
            format: capture.format.name(),
            compression: capture.compression.name(),
            status: capture.status.name(),
            offset: capture.offset,
            message: capture.message.as_deref(),
            link_types: capture
                .link_types
                .iter()
                .map(|&link| Link { number: link.0, name: known_link(link) })
                .collect(),
            packets: intake.read.packets,
            wire_bytes: intake.read.wire_bytes,
            captured_bytes: intake.read.captured_bytes,
            first_time: capture.min_time.map(utc),
            first_time_ns: capture.min_time.map(Timestamp::ns),
            last_time: capture.max_time.map(utc),
            last_time_ns: capture.max_time.map(Timestamp::ns),
            without_time: capture.without_time,
            dropped: capture.dropped,
            accepted: intake.accepted.packets,
            not_ip: intake.not_ip.packets,
            malformed: intake.malformed.packets,
            not_ip_by: Named(tally.not_ip_by.iter().map(|(what, &n)| (what.name().into_owned(), n)).collect()),
            malformed_by: Named(tally.malformed_by.iter().map(|(why, &n)| (why.name().to_owned(), n)).collect()),
            unsupported_link_types: Named(
                tally.unsupported_links.iter().map(|(n, &frames)| (n.to_string(), frames)).collect(),
            ),
            transports: Named(transports.map(|(name, n)| (name.to_owned(), n)).into()),
            tunnels: Named(tunnels.map(|(tunnel, n)| (tunnel.name().to_owned(), n)).collect()),
            snapped_packets: file.snapped.packets,
            snapped_at: (file.snapped.packets > 0).then_some(file.snapped.most),
            notes: hints(file),
        }
    }
}
