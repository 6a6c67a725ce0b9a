//! The columns of statistics: twelve figures of six quantities, for both directions, up and down.

use super::cell::Cell;
use super::columns::{Column, Group, Kind, Source};
use super::record::FlowRecord;
use crate::flow::moments::Figures;

fn figure(record: &FlowRecord, quantity: usize, sides: usize, of: fn(&Figures) -> f64) -> Cell<'_> {
    record.figures.as_ref().map_or(Cell::Absent, |figures| Cell::Float(of(&figures[quantity][sides])))
}

macro_rules! table {
    ($($group:ident $quantity:literal $sides:literal $prefix:literal $unit:literal $square:literal $what:literal;)*) => {
        /// Twelve columns for each quantity and direction. Formulas are those of [`crate::flow::moments`].
        pub(super) const STATISTICS: &[[Column; 12]] = &[$([
            Column {
                name: concat!($prefix, "_count"), kind: Kind::Integer, unit: "", group: Group::$group, default: false,
                about: concat!("number of ", $what),
                cell: Source::Record(|r| r.figures.as_ref().map(|figures| figures[$quantity][$sides].count).into()),
            },
            table!(@ $group $quantity $sides $prefix "_sum" $unit "sum of " $what sum),
            table!(@ $group $quantity $sides $prefix "_mean" $unit "sum / count of " $what mean),
            table!(@ $group $quantity $sides $prefix "_std" $unit "root of the variance of " $what std),
            table!(@ $group $quantity $sides $prefix "_var" $square "second central moment of " $what var),
            table!(@ $group $quantity $sides $prefix "_min" $unit "least of " $what min),
            table!(@ $group $quantity $sides $prefix "_max" $unit "greatest of " $what max),
            table!(@ $group $quantity $sides $prefix "_range" $unit "max - min of " $what range),
            table!(@ $group $quantity $sides $prefix "_median" $unit "middle one, or mean of the two middle ones, of " $what median),
            table!(@ $group $quantity $sides $prefix "_skew" "" "m3 / m2^1.5 of " $what skew),
            table!(@ $group $quantity $sides $prefix "_kurt" "" "m4 / m2^2 - 3 of " $what kurt),
            table!(@ $group $quantity $sides $prefix "_cv" "" "std / mean of " $what cv),
        ]),*];
    };
    (@ $group:ident $quantity:literal $sides:literal $prefix:literal $suffix:literal $unit:literal $formula:literal $what:literal $field:ident) => {
        Column {
            name: concat!($prefix, $suffix), kind: Kind::Float, unit: $unit, group: Group::$group, default: false,
            about: concat!($formula, $what),
            cell: Source::Record(|r| figure(r, $quantity, $sides, |figures| figures.$field)),
        }
    };
}

table! {
    FrameLen 0 0 "frame_len" "bytes" "bytes^2" "frame lengths";
    FrameLen 0 1 "frame_len_up" "bytes" "bytes^2" "frame lengths from the client";
    FrameLen 0 2 "frame_len_dn" "bytes" "bytes^2" "frame lengths from the server";
    IpLen 1 0 "ip_len" "bytes" "bytes^2" "IP lengths";
    IpLen 1 1 "ip_len_up" "bytes" "bytes^2" "IP lengths from the client";
    IpLen 1 2 "ip_len_dn" "bytes" "bytes^2" "IP lengths from the server";
    L4Len 2 0 "l4_len" "bytes" "bytes^2" "transport lengths";
    L4Len 2 1 "l4_len_up" "bytes" "bytes^2" "transport lengths from the client";
    L4Len 2 2 "l4_len_dn" "bytes" "bytes^2" "transport lengths from the server";
    PayloadLen 3 0 "payload_len" "bytes" "bytes^2" "payload lengths";
    PayloadLen 3 1 "payload_len_up" "bytes" "bytes^2" "payload lengths from the client";
    PayloadLen 3 2 "payload_len_dn" "bytes" "bytes^2" "payload lengths from the server";
    Iat 4 0 "iat" "s" "s^2" "times between packets";
    Iat 4 1 "iat_up" "s" "s^2" "times between packets from the client";
    Iat 4 2 "iat_dn" "s" "s^2" "times between packets from the server";
    Window 5 0 "window" "" "" "TCP window fields";
    Window 5 1 "window_up" "" "" "TCP window fields from the client";
    Window 5 2 "window_dn" "" "" "TCP window fields from the server";
}
