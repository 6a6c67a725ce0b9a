//! Tests of the general decoder, on frames built in code.

mod fast;
mod frames;
mod hostile;
mod ip;
mod link;
mod transport;
mod tunnel;

use super::{Decoder, Packet, Reject, Tunnels};
use crate::capture::{LinkType, Record};
use crate::time::Timestamp;

const ETHERNET: u16 = 1;
const RAW: u16 = 101;

/// The record of a frame that was captured whole.
fn record(link: u16, frame: &[u8]) -> Record {
    let length = u32::try_from(frame.len()).expect("test frames are short");
    Record {
        time: Timestamp(1_700_000_000_123_456_789),
        offset: 64,
        captured: length,
        wire: length,
        link: LinkType(link),
        ..Record::default()
    }
}

fn decode(link: u16, frame: &[u8]) -> Result<Packet, Reject> {
    Decoder::new(Tunnels::Inner).general(&record(link, frame), frame)
}

fn decode_outer(link: u16, frame: &[u8]) -> Result<Packet, Reject> {
    Decoder::new(Tunnels::Outer).general(&record(link, frame), frame)
}

/// What a frame holds of which only `kept` bytes were captured.
fn decode_cut(link: u16, frame: &[u8], kept: usize) -> Result<Packet, Reject> {
    let mut record = record(link, frame);
    record.captured = u32::try_from(kept).expect("test frames are short");
    Decoder::new(Tunnels::Inner).general(&record, &frame[..kept])
}
