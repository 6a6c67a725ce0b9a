//! Which datagrams come together, whatever was before.

use proptest::prelude::*;

use crate::capture::{LinkType, Record};
use crate::decode::{Decoder, Tunnels};
use crate::payload::fragments::{Fragments, PERIOD};
use crate::time::{NS_PER_SECOND as S, Timestamp};

/// When, the identification, which eight bytes, and whether more follow.
type Sent = (i64, u8, u16, bool);

/// What each fragment completes, of those since a time.
fn completed(sent: &[Sent], since: i64) -> Vec<Option<Vec<u8>>> {
    let mut fragments = Fragments::default();
    let mut completed = Vec::new();
    for (nth, (time, id, part, more)) in sent.iter().enumerate().filter(|(_, (time, ..))| *time >= since) {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 28, 0, *id];
        frame.extend((part | if *more { 0x2000 } else { 0 }).to_be_bytes());
        frame.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1]);
        frame.extend([nth as u8; 8]);
        let length = frame.len() as u32;
        let link = LinkType(1);
        let record = Record { time: Timestamp(*time), captured: length, wire: length, link, ..Record::default() };
        let packet = Decoder::new(Tunnels::Inner).decode(&record, &frame).unwrap();
        completed.push(fragments.push(&packet, &frame, ()).map(|whole| whole.bytes));
    }
    completed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_comes_together_in_a_period_hangs_on_nothing_before(
        fragments in prop::collection::vec((
            prop::sample::select(&[0_i64, 1, 20, 63, 64, 65, 130][..]), -1..2_i64, 0..3_u8, 0..3_u16, any::<bool>(),
        ), 1..200),
        from in 0..3_i64,
    ) {
        let mut clock = -PERIOD;
        let sent: Vec<Sent> = fragments.into_iter().map(|(seconds, back, id, part, more)| {
            clock += seconds * S;
            (clock + back * S / 10, id, part, more)
        }).collect();
        let since = from * PERIOD;
        let whole = completed(&sent, i64::MIN);
        let there = sent.iter().zip(whole).filter(|((time, ..), _)| *time >= since).map(|(_, whole)| whole);
        prop_assert_eq!(there.collect::<Vec<_>>(), completed(&sent, since));
    }
}

#[test]
fn a_datagram_comes_together_within_a_period_and_not_beyond() {
    for (second, is_whole) in [(PERIOD - 2, true), (PERIOD - 1, false), (PERIOD, true), (-2, true), (-1, false)] {
        let completed = completed(&[(second, 1, 0, true), (second + 1, 1, 1, false)], i64::MIN);
        assert_eq!(completed[1].is_some(), is_whole, "{second}");
    }
}
