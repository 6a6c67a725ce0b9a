//! Buckets: the bridge's rows byte for byte, all others against a plain model.

mod bridge;
mod command;
mod counts;
mod model;
mod time;

use std::path::PathBuf;

use pcap_compactor::Engine;
use pcap_compactor::Input;
use pcap_compactor::sink::buckets::{BucketWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::buckets::{BucketJob, Settings};

use crate::model::SECOND;

pub(super) const MS: i64 = SECOND / 1000;

/// A frame of Ethernet and IPv4, whatever is behind.
pub(super) fn ethernet(protocol: u8, src: [u8; 4], dst: [u8; 4], rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0];
    frame.extend(src);
    frame.extend(dst);
    frame.extend(rest);
    frame
}

/// The rows of captures as CSV without its header, times in nanoseconds.
pub(super) fn written(paths: &[PathBuf], settings: Settings, threads: usize) -> String {
    let how = (Form::Csv, Times::Nanoseconds);
    let mut writer = BucketWriter::new(Vec::new(), "memory", how, None, false, false);
    let job = BucketJob::new(settings).unwrap().engine(Engine::builder().threads(threads));
    let report = job.run(paths.iter().map(Input::file).collect(), &mut writer).unwrap();
    assert!(report.failed.is_empty());
    String::from_utf8(writer.finish().unwrap().0).unwrap()
}
