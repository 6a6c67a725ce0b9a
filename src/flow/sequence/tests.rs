use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use tcp_flag::{ACK, FIN, RST, SYN};

/// One direction, the obvious way: the set of all numbers that were seen.
#[derive(Default)]
struct Seen {
    numbers: HashSet<u32>,
    next: Option<u32>,
    syn: Option<u32>,
    window: Option<u16>,
    ack: Option<u32>,
    /// Where the sender was at its first segment, which may have taken no number.
    began: Option<u32>,
}

impl Seen {
    /// How far `number` lies behind (negative) or ahead of what was seen.
    fn position(&self, number: u32) -> i64 {
        self.next.map_or(0, |next| i64::from(number.wrapping_sub(next) as i32))
    }

    fn class(&mut self, segment: &Segment, peer_window: Option<u16>) -> Class {
        if segment.flags & RST != 0 {
            return Class::Empty;
        }
        let at = self.position(segment.seq);
        let control = segment.flags & (SYN | FIN) != 0;
        if let Some(next) = self.next
            && !control
            && segment.payload <= 1
        {
            if segment.seq == next.wrapping_sub(1) {
                return Class::KeepAlive;
            }
            if at == 0 && segment.payload == 1 && peer_window == Some(0) {
                return Class::ZeroWindowProbe;
            }
        }
        let length = segment.payload + (segment.flags & (SYN | FIN)).count_ones();
        let first = self.next.is_none();
        let end = segment.seq.wrapping_add(length);
        let floor = self.syn.map_or(i64::MIN, |syn| self.position(syn));
        let mut seen = 0;
        for number in (0..length).map(|n| segment.seq.wrapping_add(n)) {
            // Nothing precedes the SYN.
            seen += u32::from(self.numbers.contains(&number) || self.position(number) < floor);
        }
        self.numbers.extend((0..length).map(|n| segment.seq.wrapping_add(n)));
        if first {
            self.began = Some(segment.seq);
        }
        if first || (length > 0 && self.position(end) > 0) {
            self.next = Some(end);
        }
        if segment.flags & SYN != 0 {
            self.syn = Some(segment.seq);
        }
        match (length, seen) {
            (0, _) => Class::Empty,
            (_, 0) if at >= 0 => Class::New,
            (_, 0) => Class::OutOfOrder,
            (length, seen) if seen < length => Class::PartialOverlap,
            _ => Class::Retransmission,
        }
    }
}

/// Both directions, the obvious way.
#[derive(Default)]
struct Model([Seen; 2]);

impl Model {
    fn add(&mut self, side: Side, segment: &Segment) -> Verdict {
        let (me, other) = (side as usize, 1 - side as usize);
        let has = |flag| segment.flags & flag != 0;
        let own = &self.0[me];
        let fits = match own.syn {
            Some(syn) => syn == segment.seq,
            // The least number that the sender was seen at follows the SYN.
            None => {
                own.next.is_none()
                    || own.numbers.iter().chain(&own.next).chain(&own.began).min_by_key(|&&n| own.position(n))
                        == Some(&segment.seq.wrapping_add(1))
            }
        };
        let reopens = has(SYN) && !fits;
        if reopens {
            self.0[me] = Seen::default();
            if !has(ACK) {
                self.0[other] = Seen::default();
            }
        }
        let bare = !has(SYN | FIN | RST);
        let outstanding = self.0[other].next.is_some_and(|next| (next.wrapping_sub(segment.ack) as i32) > 0);
        let peer_window = self.0[other].window;
        let own = &mut self.0[me];
        let class = own.class(segment, peer_window.filter(|_| bare));
        let repeated = own.ack == Some(segment.ack) && own.window == Some(segment.window) && has(ACK);
        let duplicate_ack = bare && segment.payload == 0 && repeated && outstanding;
        if !has(RST) {
            own.window = Some(segment.window);
            if has(ACK) {
                own.ack = Some(segment.ack);
            }
        }
        Verdict { class, duplicate_ack, zero_window: bare && segment.window == 0, reopens }
    }
}

fn data(seq: u32, payload: u32) -> Segment {
    Segment { seq, ack: 1, flags: ACK, window: 100, payload }
}

fn classes(segments: &[Segment]) -> Vec<Class> {
    let mut connection = Connection::default();
    segments.iter().map(|segment| connection.add(Side::Up, segment).class).collect()
}

fn hold(base: u32, segments: &[(Side, Segment)]) -> Result<Connection, TestCaseError> {
    let (mut connection, mut model) = (Connection::default(), Model::default());
    for (at, (side, segment)) in segments.iter().enumerate() {
        let segment = Segment { seq: segment.seq.wrapping_add(base), ack: segment.ack.wrapping_add(base), ..*segment };
        prop_assert_eq!(connection.add(*side, &segment), model.add(*side, &segment), "segment {}: {:?}", at, segment);
    }
    Ok(connection)
}

fn segments(most: usize) -> impl Strategy<Value = Vec<(Side, Segment)>> {
    let flags = prop_oneof![
        40 => Just(ACK), 2 => Just(ACK | FIN), 1 => Just(ACK | SYN), 1 => Just(SYN), 1 => Just(RST), 1 => Just(0)
    ];
    let side = prop_oneof![3 => Just(Side::Up), 1 => Just(Side::Down)];
    let payload = prop_oneof![2 => Just(0_u32), 2 => Just(1), 6 => 2..40_u32];
    let window = prop_oneof![1 => Just(0), 3 => Just(100), 1 => any::<u16>()];
    // Few numbers, so that ranges meet in every way.
    let numbers = prop_oneof![0..300_u32, (0..15_u32).prop_map(|n| n * 20)];
    let segment = (side, numbers, 0..60_u32, flags, payload, window);
    let segment = segment
        .prop_map(|(side, seq, ack, flags, payload, window)| (side, Segment { seq, ack, flags, window, payload }));
    prop::collection::vec(segment, 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn segments_are_classified_as_by_the_set_of_seen_numbers(segments in segments(40)) {
        for base in [0, u32::MAX - 150, 1 << 31, (1 << 31) - 100] {
            let connection = hold(base, &segments)?;
            prop_assert_eq!(connection.forgotten_holes(), 0);
        }
    }

    #[test]
    fn any_segments_leave_the_list_of_holes_in_order(
        segments in prop::collection::vec((any::<u32>(), 0..31, any::<u8>(), any::<u32>(), 0..32), 0..300)
    ) {
        let mut connection = Connection::default();
        let mut seq = 0_u32;
        for (step, near, flags, payload, small) in segments {
            seq = seq.wrapping_add((step as i32 >> near) as u32);
            let segment = Segment { seq, ack: step, flags, window: 1, payload: payload >> small };
            connection.add(Side::Up, &segment);
            let half = &connection.halves[0];
            let holes = half.holes.as_ref().map_or(&[][..], |holes| &holes.list);
            prop_assert!(holes.len() <= HOLES);
            let behind = |number: u32| i64::from(half.next.wrapping_sub(number));
            let edges: Vec<i64> = holes.iter().flatten().map(|&number| behind(number)).collect();
            prop_assert!(edges.is_sorted_by(|a, b| a >= b), "{edges:?}");
            prop_assert!(edges.chunks(2).all(|hole| hole[0] > hole[1]), "{edges:?}");
            prop_assert!(edges.iter().all(|&edge| edge >= 0 && edge <= behind(half.start)), "{edges:?} {}", behind(half.start));
            prop_assert!(behind(half.start) <= REACH);
        }
    }
}

#[test]
fn a_syn_in_the_midst_of_what_its_sender_has_passed_is_of_another_connection() {
    let syn = Segment { flags: SYN | ACK, ..data(119, 0) };
    let mut connection = Connection::default();
    let verdicts = [data(0, 0), data(120, 1), syn].map(|segment| connection.add(Side::Up, &segment));
    assert_eq!(verdicts.map(|verdict| verdict.reopens), [false, false, true]);
}

#[test]
fn a_late_segment_that_fills_a_hole_is_no_retransmission() {
    use Class::*;
    let sent = [data(0, 10), data(20, 10), data(30, 10), data(10, 10), data(10, 10), data(35, 10), data(45, 5)];
    assert_eq!(classes(&sent), [New, New, New, OutOfOrder, Retransmission, PartialOverlap, New]);
}

#[test]
fn numbers_wrap() {
    use Class::*;
    let base = u32::MAX - 14;
    let sent = [data(base, 10), data(5, 10), data(u32::MAX - 4, 10), data(base, 30), data(15, 1)];
    assert_eq!(classes(&sent), [New, New, OutOfOrder, Retransmission, New]);
}

#[test]
fn syn_and_fin_take_a_number_each() {
    use Class::*;
    let syn = Segment { flags: SYN, payload: 0, ..data(99, 0) };
    let fin = Segment { flags: FIN | ACK, ..data(110, 0) };
    let sent = [syn, syn, data(100, 10), fin, fin, Segment { payload: 10, ..fin }.back(10), data(111, 0)];
    assert_eq!(classes(&sent), [New, Retransmission, New, New, Retransmission, Retransmission, Empty]);
}

impl Segment {
    fn back(self, by: u32) -> Segment {
        Segment { seq: self.seq.wrapping_sub(by), ..self }
    }
}

#[test]
fn what_precedes_the_first_segment_of_a_capture_is_out_of_order_unless_that_was_the_syn() {
    use Class::*;
    assert_eq!(
        classes(&[data(100, 10), data(80, 10), data(85, 15), data(85, 15)]),
        [New, OutOfOrder, PartialOverlap, Retransmission]
    );
    let syn = Segment { flags: SYN, ..data(99, 0) };
    assert_eq!(classes(&[data(100, 10), syn, data(90, 9)]), [New, OutOfOrder, Retransmission]);
}

#[test]
fn keep_alives_and_probes() {
    use Class::*;
    assert_eq!(
        classes(&[data(100, 10), data(109, 0), data(109, 1), data(109, 2), data(111, 1)]),
        [New, KeepAlive, KeepAlive, PartialOverlap, New]
    );
    let mut connection = Connection::default();
    assert_eq!(connection.add(Side::Up, &data(100, 10)).class, New);
    let closed = Segment { window: 0, ..data(1, 0) };
    let verdict = connection.add(Side::Down, &closed);
    assert!(verdict.zero_window && verdict.class == Empty);
    assert_eq!(connection.add(Side::Up, &data(110, 1)).class, ZeroWindowProbe);
    assert_eq!(connection.add(Side::Up, &data(110, 1)).class, ZeroWindowProbe);
    let reset = Segment { window: 0, flags: RST | ACK, ..data(1, 0) };
    assert!(!connection.add(Side::Down, &reset).zero_window);
    assert!(!connection.add(Side::Down, &data(1, 0)).zero_window);
    assert_eq!(connection.add(Side::Up, &data(110, 1)).class, New);
}

#[test]
fn an_acknowledgement_is_a_duplicate_only_while_data_is_outstanding() {
    let mut connection = Connection::default();
    let ack = |ack, window| Segment { seq: 1, ack, flags: ACK, window, payload: 0 };
    connection.add(Side::Up, &data(100, 10));
    assert!(!connection.add(Side::Down, &ack(110, 9)).duplicate_ack);
    assert!(!connection.add(Side::Down, &ack(110, 9)).duplicate_ack, "nothing is outstanding");
    connection.add(Side::Up, &data(120, 10));
    assert!(connection.add(Side::Down, &ack(110, 9)).duplicate_ack);
    assert!(!connection.add(Side::Down, &ack(110, 10)).duplicate_ack, "a window update");
    assert!(!connection.add(Side::Down, &Segment { payload: 1, ..ack(110, 10) }).duplicate_ack, "data");
}

#[test]
fn another_initial_number_is_another_connection() {
    use Class::*;
    let mut connection = Connection::default();
    let syn = |seq| Segment { seq, ack: 0, flags: SYN, window: 1, payload: 0 };
    assert!(!connection.add(Side::Up, &syn(5000)).reopens);
    connection.add(Side::Down, &Segment { flags: SYN | ACK, ..syn(100) });
    connection.add(Side::Up, &data(5001, 10));
    assert_eq!(connection.add(Side::Up, &syn(5000)).class, Retransmission);
    let verdict = connection.add(Side::Up, &syn(70));
    assert!(verdict.reopens && verdict.class == New);
    let answer = connection.add(Side::Down, &Segment { flags: SYN | ACK, ..syn(4) });
    assert!(!answer.reopens && answer.class == New);
    assert_eq!(connection.add(Side::Up, &data(71, 10)).class, New);
}

#[test]
fn holes_beyond_the_bound_are_counted() {
    let mut connection = Connection::default();
    for n in 0..=HOLES as u32 + 3 {
        assert_eq!(connection.add(Side::Up, &data(n * 100, 10)).class, Class::New);
    }
    assert_eq!(connection.forgotten_holes(), 3);
    assert_eq!(connection.add(Side::Up, &data(10, 90)).class, Class::Retransmission, "a forgotten hole counts as seen");
    assert_eq!(connection.add(Side::Up, &data(310, 90)).class, Class::OutOfOrder);
}

#[test]
fn a_transfer_may_be_longer_than_the_numbers() {
    let mut connection = Connection::default();
    let step = 1 << 20;
    for n in 0..10_000_u32 {
        let seq = n.wrapping_mul(step);
        assert_eq!(connection.add(Side::Up, &data(seq, step)).class, Class::New);
        if n > 0 && n % 100 == 0 {
            assert_eq!(connection.add(Side::Up, &data(seq.wrapping_sub(step), step)).class, Class::Retransmission);
        }
    }
    assert_eq!(connection.bytes(), size_of::<Connection>());
}

#[test]
fn a_direction_without_holes_takes_32_bytes() {
    assert_eq!(size_of::<Half>(), 32);
    assert_eq!(size_of::<Connection>(), 64);
}
