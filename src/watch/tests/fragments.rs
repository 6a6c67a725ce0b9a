//! Datagrams whose fragments lie in several captures, and on both sides of an hour.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::silent::{Body, ELEVEN, captures, packet, udp};
use super::traffic::{Framed, Work, compare};
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

/// Made in one run, and with a restart behind some of the captures.
fn both(files: &[Vec<Framed>], before: usize) -> [BTreeMap<PathBuf, String>; 2] {
    let traffic = captures(files);
    let run = |parts: std::ops::Range<usize>, close: bool| {
        let work = Work::start(traffic.settings_for(&["flows:nf-v3"]));
        work.tell(Order::Complete(traffic.arrivals(&traffic.parts[parts])));
        work.finish(close);
    };
    run(0..files.len(), true);
    let whole = traffic.made();
    fs::remove_dir_all(traffic.output()).unwrap();
    run(0..before, false);
    run(0..files.len(), true);
    [whole, traffic.made()]
}

fn asks(made: &BTreeMap<PathBuf, String>) -> bool {
    made.values().any(|rows| rows.contains("4660"))
}

/// A packet of the flow that asks the question.
fn goes_on(behind: i64) -> Framed {
    packet(behind * S, [4000, 53], Body::Udp)
}

#[test]
fn what_a_fragment_says_is_there_behind_a_restart() {
    let question = question();
    // The flow goes on in the next hour, and all fragments with it are before.
    let last = fragment(-60, 16, false, &question[16..]);
    let first = fragment(-25, 0, true, &question[..16]);
    let goes_on = [-5, 20].map(goes_on).to_vec();
    let files = [vec![udp(-700), last], vec![first], goes_on, vec![udp(1500), udp(1600)], vec![udp(1700)]];
    let [whole, restarted] = both(&files, 4);
    assert!(asks(&whole), "the question is read: {whole:?}");
    compare(&restarted, &whole);
}

/// Whether the second is of the first says whether the third is of the second.
#[test]
fn fragments_that_hang_on_one_another_make_the_same_behind_a_restart() {
    let question = question();
    let others = fragment(-80, 0, true, &question[..8]);
    let last = fragment(-20, 16, false, &question[16..]);
    let first = fragment(-15, 0, true, &question[..16]);
    let goes_on = [5, 20].map(goes_on).to_vec();
    let files =
        [vec![udp(-700)], vec![others], vec![last], vec![first], goes_on, vec![udp(1500), udp(1600)], vec![udp(1700)]];
    let [whole, restarted] = both(&files, 6);
    assert!(!asks(&whole), "the last one is of others: {whole:?}");
    compare(&restarted, &whole);
}

#[test]
fn no_datagram_goes_on_in_the_next_hour() {
    let question = question();
    let last = fragment(-10, 16, false, &question[16..]);
    let first = fragment(1, 0, true, &question[..16]);
    let [whole, restarted] = both(&[vec![udp(-600), last], vec![first, udp(1500)], vec![udp(1600), udp(1700)]], 2);
    assert!(!asks(&whole), "it goes on: {whole:?}");
    compare(&restarted, &whole);
}
