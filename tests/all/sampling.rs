//! The sample of HTTP tokens: binomial, repeatable, and no one's who looks at the order of packets.

use pcap_compactor::Config;
use pcap_compactor::app::notes::Body;
use proptest::prelude::*;

use crate::model::{Range, SECOND};
use crate::properties::cases;
use crate::run::{PLAIN, Said, file, say};
use crate::traffic::{Body as FrameBody, Frame, START, herald, pcap, v4};

const SLICES: usize = 400;
const TOKENS: usize = 250;

/// Requests of one client, `TOKENS` tokens in each of `SLICES` slices.
fn requests() -> Vec<Frame> {
    let (client, server) = (v4(10, 0, 0, 1), v4(10, 0, 0, 2));
    let mut frames = vec![herald(START)];
    for slice in 0..SLICES {
        for request in 0..TOKENS / 10 {
            let path: String = (0..10).map(|n| format!("/t{}", request * 10 + n)).collect();
            let time = START + slice as i64 * 121 * SECOND + request as i64;
            let payload = format!("GET {path} HTTP/1.1\r\n\r\n").into_bytes();
            let src_port = 40_000 + (request % 7) as u16;
            frames.push(Frame::new(
                time,
                client,
                server,
                FrameBody::Tcp { src_port, dst_port: 80, flags: 0x18, payload },
            ));
        }
    }
    frames
}

/// The numbers of the tokens that each slice kept.
fn kept(said: &Said) -> Vec<Vec<usize>> {
    let numbers = |body: &Body| match body {
        Body::Tokens { tokens, total, sampled } => {
            assert_eq!((*total, *sampled), (TOKENS as u64, true));
            tokens.iter().map(|token| token[1..].parse().expect("a token is t and a number")).collect()
        }
        Body::Counts(_) => panic!("these are tokens"),
    };
    said.groups().map(|group| numbers(&group.section.as_ref().expect("it has requests").body)).collect()
}

fn run(frames: &[Frame], seed: u64) -> Vec<Vec<usize>> {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { iforest_random_state: seed, window_seconds: 100_000, ..Config::default() };
    kept(&say(&[file(dir.path(), "requests.pcap", &pcap(frames))], &config, Range::default(), PLAIN).0)
}

#[test]
fn how_many_tokens_stay_is_binomial_and_each_is_as_likely() {
    let kept = run(&requests(), 42);
    assert_eq!(kept.len(), SLICES);
    let (n, p) = (TOKENS as f64, 40.0 / TOKENS as f64);
    let sizes: Vec<f64> = kept.iter().map(|slice| slice.len() as f64).collect();
    let mean = sizes.iter().sum::<f64>() / SLICES as f64;
    let variance = sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>() / (SLICES - 1) as f64;
    let expected = n * p * (1.0 - p);
    // Five standard errors.
    assert!((mean - 40.0).abs() < 5.0 * (expected / SLICES as f64).sqrt(), "mean {mean}");
    assert!((variance - expected).abs() < 5.0 * expected * (2.0 / SLICES as f64).sqrt(), "variance {variance}");
    // Position in the slice does not matter.
    let mut each = [0_u32; TOKENS];
    kept.iter().flatten().for_each(|&token| each[token] += 1);
    let spread = (SLICES as f64 * p * (1.0 - p)).sqrt();
    for (token, &times) in each.iter().enumerate() {
        assert!((f64::from(times) - SLICES as f64 * p).abs() < 6.0 * spread, "token {token}: {times} times");
    }
    // Slices are independent draws: no two are the same.
    let mut distinct = kept;
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), SLICES);
}

#[test]
fn another_seed_is_another_sample() {
    let frames = &requests()[..=TOKENS / 10];
    assert_eq!(run(frames, 7), run(frames, 7));
    assert_ne!(run(frames, 7), run(frames, 8));
}

proptest! {
    #![proptest_config(cases(20))]

    #[test]
    fn the_order_of_packets_does_not_choose(shuffled in Just(requests()[1..=2 * TOKENS / 10].to_vec()).prop_shuffle()) {
        let shuffled = [&[herald(START)], &shuffled[..]].concat();
        prop_assert_eq!(run(&shuffled, 42), run(&requests()[..=2 * TOKENS / 10], 42));
    }
}
