//! The bodies of the fuzz targets, each on a few hundred inputs: sound ones, and damaged ones that are the same in every run.

pub(crate) mod bodies;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pcap_compactor::Config;
use pcap_compactor::synth::{self, Spec};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::damage::built;
use crate::run::{gzip, zstd};

/// Tries a body on every seed as it is, and on so many that are damaged.
fn try_on(body: fn(&[u8]), seeds: &[Vec<u8>], damaged: u64) {
    let attempt = |what: String, bytes: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| body(bytes))).is_err() {
            panic!("{what}: {bytes:02x?}");
        }
    };
    for (n, seed) in seeds.iter().enumerate() {
        attempt(format!("seed {n}"), seed);
    }
    for n in 0..damaged {
        let mut dice = Xoshiro256PlusPlus::seed_from_u64(n);
        let mut upto = |below: usize| (dice.next_u64() % below.max(1) as u64) as usize;
        let mut bytes = seeds[upto(seeds.len())].clone();
        for _ in 0..=upto(8) {
            damage(&mut bytes, seeds, &mut upto);
        }
        attempt(format!("damage {n}"), &bytes);
    }
}

/// One step away from what is sound.
fn damage(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], upto: &mut impl FnMut(usize) -> usize) {
    let (at, end) = (upto(bytes.len() + 1), upto(bytes.len() + 1));
    let (at, end) = (at.min(end), at.max(end));
    match upto(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << upto(8),
        1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][upto(5)],
        2 => bytes.truncate(end),
        3 => drop(bytes.drain(at..end.min(at + 1 + upto(64)))),
        4 => {
            let again = bytes[at..end.min(at + 64)].to_vec();
            bytes.splice(at..at, again);
        }
        5 => {
            let noise: Vec<u8> = (0..upto(16)).map(|_| upto(256) as u8).collect();
            bytes.splice(at..at, noise);
        }
        _ => {
            let other = &seeds[upto(seeds.len())];
            bytes.truncate(at);
            bytes.extend_from_slice(&other[upto(other.len() + 1)..]);
        }
    }
}

/// Small captures of every kind, some of them compressed.
fn captures() -> Vec<Vec<u8>> {
    let mut captures: Vec<Vec<u8>> = built().into_iter().map(|(_, bytes)| bytes).collect();
    let packed: Vec<Vec<u8>> = captures.iter().step_by(5).flat_map(|bytes| [gzip(bytes), zstd(bytes)]).collect();
    captures.extend(packed);
    captures
}

/// The frames of made-up traffic, by hosts few enough that they meet again.
fn frames() -> Vec<Vec<u8>> {
    let spec = Spec { packets: 2_000, hosts: 5, scanners: 1, hours: 1, ..Spec::default() };
    let mut frames = Vec::new();
    synth::frames(&spec, |_, _, frame| {
        frames.push(frame.to_vec());
        Ok(())
    })
    .unwrap();
    frames
}

#[test]
fn any_capture_is_read_alike_however_it_comes() {
    try_on(bodies::capture, &captures(), 2_000);
}

#[test]
fn any_frame_is_decoded_alike_by_both_decoders() {
    let seeds: Vec<Vec<u8>> =
        frames().into_iter().flat_map(|frame| [1, 12].map(|link| [&[link], &frame[..]].concat())).collect();
    try_on(bodies::decode, &seeds, 5_000);
    // What is behind the Ethernet header of one is a raw packet of the other, and the bytes of all are frames of any link type.
    let raw: Vec<Vec<u8>> = (0..=255)
        .flat_map(|link| frames().into_iter().step_by(97).map(move |frame| [&[link], &frame[14..]].concat()))
        .collect();
    try_on(bodies::decode, &raw, 5_000);
}

#[test]
fn any_capture_goes_from_end_to_end_with_its_ledger_balanced() {
    try_on(bodies::compact, &captures(), 300);
}

/// The frames of made-up traffic as the bodies cut them out of bytes, some in each.
fn packed_frames() -> Vec<Vec<u8>> {
    let packed = |frames: &[Vec<u8>]| -> Vec<u8> {
        frames
            .iter()
            .enumerate()
            .flat_map(|(n, frame)| {
                let units = (frame.len().saturating_sub(14) / 4).min(31);
                let head = (n % 3 * 64) as u8 | units as u8;
                [head].into_iter().chain(frame[..14 + units * 4].iter().copied())
            })
            .collect()
    };
    frames().chunks(40).map(packed).collect()
}

#[test]
fn any_timeline_has_each_packet_once() {
    try_on(bodies::timeline, &captures(), 300);
    try_on(bodies::timeline, &packed_frames(), 300);
}

#[test]
fn any_packets_go_from_end_to_end_with_their_ledger_balanced() {
    try_on(bodies::packets, &packed_frames(), 300);
}

#[test]
fn flows_of_any_bytes_hold_each_packet_once_and_go_forward_in_time() {
    try_on(bodies::flows, &captures(), 150);
    try_on(bodies::flows, &packed_frames(), 300);
}

#[test]
fn any_payload_is_read_alike_in_any_order() {
    let http = [
        "GET /a/b?q=1%27%20or%20'1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /%252e%252e/ HTTP/1.1\r\n\r\n",
        "GET * HTTP/1.0\n\n",
        "PUT ",
    ];
    let ftp = ["USER anonymous\r\nPASS x\r\nRETR a\r\n", "stor b\nQUIT\n", "RETR"];
    let smb2 = |command: u8, next: u8| {
        let mut message = [&b"\xfeSMB\x40\0\0\0\0\0\0\0"[..], &[command, 0, 0, 0, 0, 0, 0, 0, next, 0, 0, 0]].concat();
        message.resize(64, 0);
        message
    };
    let smb1 = [&b"\0\0\0\x50\xffSMB\x73\0\0\0\0\x18"[..], &[0; 22], &[2, 0x75, 0, 40, 0, 0, 0], &[0; 40]].concat();
    let smb = [[vec![0, 0, 0, 128], smb2(5, 64), smb2(6, 0)].concat(), smb2(0, 0), smb1];
    let text = |texts: [&str; 3]| texts.map(|text| text.as_bytes().to_vec());
    try_on(bodies::http, &text(http), 2_000);
    try_on(bodies::ftp, &text(ftp), 2_000);
    try_on(bodies::smb, &smb, 2_000);
}

#[test]
fn any_text_is_a_configuration_within_its_bounds_or_none() {
    let seeds = [Config::default().to_toml(), "window_seconds = 1\nbytes = \"captured\"".into(), String::new()];
    try_on(bodies::config, &seeds.map(String::into_bytes), 2_000);
}
