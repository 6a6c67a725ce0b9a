use proptest::prelude::*;

use super::super::oracle::largest_error;
use super::super::tests::{any_sample, plain_sample};
use super::*;

/// All values of a quantity, the obvious way.
fn values(packets: &[(i64, Sample)], quantity: Quantity, sides: Sides) -> Vec<(i64, u64)> {
    let chosen = packets.iter().filter(|(_, sample)| sides == Sides::Both || sides as u8 == sample.side as u8 + 1);
    let one = |value: i64| (value, 1);
    match quantity {
        Quantity::Frame => chosen.map(|(_, sample)| one(sample.frame.into())).collect(),
        Quantity::Ip => chosen.map(|(_, sample)| one(sample.ip.into())).collect(),
        Quantity::L4 => chosen.map(|(_, sample)| one(sample.l4.into())).collect(),
        Quantity::Payload => chosen.map(|(_, sample)| one(sample.payload.into())).collect(),
        Quantity::Window => chosen.filter_map(|(_, sample)| sample.window).map(|window| one(window.into())).collect(),
        Quantity::Time => {
            let times: Vec<i64> = chosen.map(|&(time, _)| time).collect();
            times.windows(2).map(|pair| one(pair[1] - pair[0])).collect()
        }
    }
}

/// The largest error of all eighteen sets, and how many medians were marked.
fn hold(packets: &[(i64, Sample)], bounds: &Bounds) -> (f64, usize) {
    let mut statistics = Statistics::default();
    let mut before = packets.first().map_or(0, |(time, _)| *time);
    for (time, sample) in packets {
        statistics.add(time - before, sample, bounds);
        before = *time;
    }
    let mut room = Room::default();
    // Room that was used before must not matter.
    let other = Sample { side: Side::Down, frame: 1, ip: 2, l4: 3, payload: 4, window: Some(5) };
    let mut before = Statistics::default();
    before.add(0, &other, bounds);
    before.add(8, &other, bounds);
    let _ = room.lay_out(&before).summary(Quantity::Time, Sides::Both, Form::Population);
    let mut laid_out = room.lay_out(&statistics);
    let (mut worst, mut marked) = (0.0_f64, 0);
    for quantity in Quantity::ALL {
        let summaries = laid_out.summaries(quantity, Form::Population);
        for (sides, at_once) in Sides::ALL.into_iter().zip(summaries) {
            let true_values = values(packets, quantity, sides);
            let summary = laid_out.summary(quantity, sides, Form::Population);
            assert_eq!(at_once, summary);
            worst = worst.max(largest_error(&summary, &true_values, Form::Population));
            marked += usize::from(!summary.median_is_exact);
            let pairs = laid_out.pairs(quantity, sides);
            assert_eq!(pairs.is_some(), summary.median_is_exact);
            if let Some(pairs) = pairs {
                let mut all: Vec<i64> =
                    pairs.iter().flat_map(|&(value, n)| std::iter::repeat_n(value, n as usize)).collect();
                all.sort_unstable();
                let mut expected: Vec<i64> = true_values.iter().map(|&(value, _)| value).collect();
                expected.sort_unstable();
                assert_eq!(all, expected);
            }
        }
    }
    (worst, marked)
}

fn packets(most: usize) -> impl Strategy<Value = Vec<(i64, Sample)>> {
    let sample = prop_oneof![20 => plain_sample(), 1 => any_sample()];
    let gap = (-1_000_000_000..60_000_000_000_i64, 0..36);
    prop::collection::vec((gap, sample), 0..most).prop_map(|packets| {
        let mut now = 1_700_000_000_000_000_000;
        let step = |((gap, shift), sample)| {
            now += gap >> shift;
            (now, sample)
        };
        packets.into_iter().map(step).collect()
    })
}

proptest! {
    #[test]
    fn small_flows(packets in packets(12)) {
        let (worst, marked) = hold(&packets, &Bounds::default());
        prop_assert!(worst < 1e-14 && marked == 0, "{worst:e}, {marked}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn flows_that_leave_the_log(packets in packets(600)) {
        let (worst, marked) = hold(&packets, &Bounds::default());
        prop_assert!(worst < 1e-14 && marked == 0, "{worst:e}, {marked}");
    }

    #[test]
    fn flows_beyond_the_bounds(packets in packets(600), times in 0..300_u32, shapes in 0..300_u32) {
        let (worst, marked) = hold(&packets, &Bounds { times, shapes, ..Bounds::default() });
        prop_assert!(worst < 1e-14, "{worst:e}");
        prop_assert!(packets.len() < 500 || marked > 0);
    }
}

/// A download: data down, acknowledgements up, each with another window.
fn download(packets: u32) -> impl Iterator<Item = (i64, Sample)> {
    let mut draw = 1_u64;
    let mut now = 1_700_000_000_000_000_000_i64;
    (0..packets).map(move |n| {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        now += (draw >> 44) as i64;
        let payload = if n % 3 == 0 {
            0
        } else if n % 50 == 1 {
            (draw >> 32) as u32 % 1448
        } else {
            1448
        };
        let side = if n % 3 == 0 { Side::Up } else { Side::Down };
        let window = Some(if n % 3 == 0 { 500 + (draw >> 58) as u16 } else { 509 });
        (now, Sample { side, frame: payload + 66, ip: payload + 52, l4: payload + 32, payload, window })
    })
}

fn bytes(packets: u32) -> usize {
    let bounds = Bounds::default();
    let mut statistics = Statistics::default();
    let mut before = 0;
    for (time, sample) in download(packets) {
        statistics.add(time - before, &sample, &bounds);
        before = time;
    }
    statistics.bytes()
}

#[test]
fn a_flow_takes_what_it_says() {
    let table = [1, 3, 10, 30, 100, 1000, 4000, 1_000_000].map(|packets| (packets, bytes(packets)));
    for (packets, most) in [(1, 64), (10, 160), (30, 450), (100, 1300), (1000, 9_000), (1_000_000, 110_000)] {
        let bytes = bytes(packets);
        assert!(bytes <= most, "{packets} packets: {bytes}; {table:?}");
    }
}

#[test]
fn a_million_packets() {
    let packets: Vec<_> = download(1_000_000).collect();
    let (worst, marked) = hold(&packets, &Bounds::default());
    assert!(worst < 1e-14, "{worst:e}");
    assert_eq!(marked, 3);
}

#[test]
fn times_across_the_whole_range_do_not_overflow() {
    let mut statistics = Statistics::default();
    let bounds = Bounds { times: 2, ..Bounds::default() };
    let sample = Sample { side: Side::Up, frame: 60, ip: 40, l4: 20, payload: 0, window: None };
    for n in 0..1000 {
        statistics.add(if n % 2 == 0 { i64::MIN } else { i64::MAX }, &sample, &bounds);
    }
    let mut room = Room::default();
    let summary = room.lay_out(&statistics).summary(Quantity::Time, Sides::Up, Form::Population);
    assert_eq!((summary.count, summary.min, summary.max, summary.sum), (999, -LIMIT, LIMIT, i128::from(LIMIT)));
    assert!(summary.std.is_finite() && (summary.kurt + 2.0).abs() < 1e-5);
}
