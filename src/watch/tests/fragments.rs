//! Datagrams whose fragments lie in two captures, and on both sides of an hour.

use std::fs;

use super::silent::{ELEVEN, captures, udp};
use super::traffic::{Framed, Traffic, Work, compare};
use crate::time::{NS_PER_SECOND as S, Timestamp};
use crate::watch::line::Order;

/// A fragment of a UDP datagram from 10.0.0.1 to 10.0.1.1, so many seconds behind 11 h.
fn fragment(behind: i64, from: usize, has_more: bool, bytes: &[u8]) -> Framed {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
    frame.extend((20 + bytes.len() as u16).to_be_bytes());
    frame.extend([0, 77]);
    frame.extend((from as u16 / 8 + if has_more { 0x2000 } else { 0 }).to_be_bytes());
    frame.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1]);
    frame.extend(bytes);
    (Timestamp(ELEVEN + behind * S), frame)
}

/// A question for the address of a.example.
fn question() -> Vec<u8> {
    let mut datagram = vec![0x0f, 0xa0, 0, 53, 0, 8 + 12 + 11 + 4, 0, 0];
    datagram.extend([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    datagram.extend(*b"\x01a\x07example\0\0\x01\0\x01");
    datagram
}

fn run(traffic: &Traffic, parts: std::ops::Range<usize>, close: bool) {
    let work = Work::start(traffic.settings_for(&["flows:nf-v3"]));
    work.tell(Order::Complete(traffic.arrivals(&traffic.parts[parts])));
    work.finish(close);
}

#[test]
fn what_a_fragment_before_the_hour_says_is_there_behind_a_restart() {
    let question = question();
    let last = fragment(-10, 16, false, &question[16..]);
    let first = fragment(1, 0, true, &question[..16]);
    let traffic = captures(&[vec![udp(-600), last], vec![first, udp(1500)], vec![udp(1600), udp(1700)]]);
    run(&traffic, 0..3, true);
    let whole = traffic.made();
    assert!(whole.values().any(|rows| rows.contains("4660")), "the question is read: {whole:?}");
    fs::remove_dir_all(traffic.output()).unwrap();
    run(&traffic, 0..2, false);
    run(&traffic, 0..3, true);
    compare(&traffic.made(), &whole);
}
