//! Packets for the tests of the pieces.

use proptest::prelude::*;

use super::{Sample, Side};

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Up), Just(Side::Down)]
}

/// A packet with any lengths at all.
pub(super) fn any_sample() -> impl Strategy<Value = Sample> {
    (side(), any::<[u32; 4]>(), any::<Option<u16>>()).prop_map(|(side, [frame, ip, l4, payload], window)| Sample {
        side,
        frame,
        ip,
        l4,
        payload,
        window,
    })
}

/// A packet whose lengths agree, as nearly all do.
pub(super) fn plain_sample() -> impl Strategy<Value = Sample> {
    let headers = (prop_oneof![Just(14), Just(18), 0..200_u32], prop_oneof![Just(20_u32), Just(40)], 0..16_u32);
    (side(), headers, 0..2000_u32, any::<Option<u16>>()).prop_map(|(side, (link, header, words), payload, window)| {
        let l4 = payload + words * 4;
        let ip = l4 + header;
        Sample { side, frame: ip + link, ip, l4, payload, window }
    })
}
