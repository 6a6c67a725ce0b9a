//! A column under way.

use std::net::IpAddr;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int64Builder, ListBuilder, PrimitiveBuilder,
    StringBuilder, TimestampNanosecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};

use super::block;
use super::schema::{Addresses, Style, time};
use crate::sink::jsonl::{self, Times};
use crate::time::NS_PER_SECOND;
use crate::views::flows::Cell;
use crate::views::flows::columns::Kind;

/// Cells of one kind; see [`super::schema`].
#[derive(Debug)]
pub(super) enum Column {
    Flags(BooleanBuilder),
    Integers(Int64Builder),
    Floats(Float64Builder),
    Texts(StringBuilder, Vec<u8>),
    Bytes(FixedSizeBinaryBuilder),
    Times(TimestampNanosecondBuilder),
    IntegerLists(ListBuilder<Int64Builder>),
    FloatLists(ListBuilder<Float64Builder>),
    TextLists(ListBuilder<StringBuilder>),
    TimeLists(ListBuilder<TimestampNanosecondBuilder>),
    ListsOfTextLists(ListBuilder<ListBuilder<StringBuilder>>),
}

/// What a column's cells are on their way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Integer,
    Float,
    Time,
    /// No number; its cells go there one by one.
    Other,
}

/// A cell is not of its column's kind.
#[derive(Debug)]
pub(super) struct Stranger;

type Put = Result<(), Stranger>;

fn times(room: usize) -> TimestampNanosecondBuilder {
    TimestampNanosecondBuilder::with_capacity(room).with_data_type(time())
}

/// Bytes of a text, where none has been seen.
const TEXT: usize = 16;

impl Column {
    /// A column with room for so many cells.
    pub(super) fn new(kind: Kind, style: Style, room: usize) -> Column {
        let texts = || StringBuilder::with_capacity(room, room * TEXT);
        match kind {
            Kind::Boolean => Column::Flags(BooleanBuilder::with_capacity(room)),
            Kind::Integer => Column::Integers(Int64Builder::with_capacity(room)),
            Kind::Duration if style.times == Times::Nanoseconds => Column::Integers(Int64Builder::with_capacity(room)),
            Kind::Float | Kind::Duration => Column::Floats(Float64Builder::with_capacity(room)),
            Kind::Address if style.addresses == Addresses::Binary => {
                Column::Bytes(FixedSizeBinaryBuilder::with_capacity(room, 16))
            }
            Kind::Text | Kind::Address => Column::Texts(texts(), Vec::new()),
            Kind::Time => Column::Times(times(room)),
            Kind::Integers => Column::IntegerLists(ListBuilder::with_capacity(Int64Builder::new(), room)),
            Kind::Floats => Column::FloatLists(ListBuilder::with_capacity(Float64Builder::new(), room)),
            Kind::Texts => Column::TextLists(ListBuilder::with_capacity(StringBuilder::new(), room)),
            Kind::Times => Column::TimeLists(ListBuilder::with_capacity(times(0), room)),
            Kind::TextLists => {
                let inner = ListBuilder::new(StringBuilder::new());
                Column::ListsOfTextLists(ListBuilder::with_capacity(inner, room))
            }
        }
    }

    pub(super) fn form(&self) -> Form {
        match self {
            Column::Integers(_) => Form::Integer,
            Column::Floats(_) => Form::Float,
            Column::Times(_) => Form::Time,
            _ => Form::Other,
        }
    }

    /// Appends numbers of its form; a bit of `absent` is 1 where there is none. Columns of [`Form::Other`] take none.
    pub(super) fn append(&mut self, numbers: &[u64], absent: u64) {
        match self {
            Column::Integers(integers) => extend(integers, numbers, absent, u64::cast_signed),
            Column::Floats(floats) => extend(floats, numbers, absent, f64::from_bits),
            Column::Times(times) => extend(times, numbers, absent, u64::cast_signed),
            _ => {}
        }
    }

    /// Appends a cell of a column of [`Form::Other`]; how many items a list has.
    pub(super) fn push(&mut self, cell: &Cell<'_>) -> Result<usize, Stranger> {
        match self {
            Column::Flags(flags) => match cell {
                Cell::Flag(flag) => flags.append_value(*flag),
                Cell::Absent => flags.append_null(),
                _ => return Err(Stranger),
            },
            Column::Texts(texts, room) => text(texts, cell, room)?,
            Column::Bytes(bytes) => match cell {
                Cell::Address(address) => bytes.append_value(sixteen(*address)).map_err(|_| Stranger)?,
                Cell::Absent => bytes.append_null(),
                _ => return Err(Stranger),
            },
            lists => return lists.push_list(cell),
        }
        Ok(0)
    }

    fn push_list(&mut self, cell: &Cell<'_>) -> Result<usize, Stranger> {
        match self {
            Column::IntegerLists(lists) => fill(lists, cell, |values, cell| match cell {
                Cell::Numbers(items) => {
                    values.append_slice(items);
                    Ok(())
                }
                cell => each(cell, |cell| integer(cell).map(|item| values.append_option(item))),
            })?,
            Column::FloatLists(lists) => fill(lists, cell, |values, cell| match cell {
                Cell::Floats(items) => {
                    values.append_slice(items);
                    Ok(())
                }
                Cell::Numbers(items) => {
                    items.iter().for_each(|n| values.append_value(*n as f64));
                    Ok(())
                }
                cell => each(cell, |cell| float(cell).map(|item| values.append_option(item))),
            })?,
            Column::TextLists(lists) => fill(lists, cell, |values, cell| each(cell, |cell| item(values, cell)))?,
            Column::TimeLists(lists) => fill(lists, cell, |values, cell| {
                each(cell, |cell| time_of(cell).map(|item| values.append_option(item)))
            })?,
            Column::ListsOfTextLists(lists) => fill(lists, cell, |inner, cell| {
                each(cell, |cell| fill(inner, cell, |values, cell| each(cell, |cell| item(values, cell))))
            })?,
            _ => return Err(Stranger),
        }
        Ok(match cell {
            Cell::Numbers(items) => items.len(),
            Cell::Floats(items) => items.len(),
            Cell::List(items) => items.len(),
            _ => 0,
        })
    }

    /// What was appended; it is empty then. If as much is to follow, there is room for that again: growing would copy all, for every
    /// batch anew. Else nothing is held beyond what there is.
    pub(super) fn finish(&mut self, again: bool) -> ArrayRef {
        let mut done: ArrayRef = match self {
            Column::Flags(flags) => Arc::new(flags.finish()),
            Column::Integers(integers) => Arc::new(integers.finish()),
            Column::Floats(floats) => Arc::new(floats.finish()),
            Column::Texts(texts, _) => Arc::new(texts.finish()),
            Column::Bytes(bytes) => Arc::new(bytes.finish()),
            Column::Times(times) => Arc::new(times.finish()),
            Column::IntegerLists(lists) => Arc::new(lists.finish()),
            Column::FloatLists(lists) => Arc::new(lists.finish()),
            Column::TextLists(lists) => Arc::new(lists.finish()),
            Column::TimeLists(lists) => Arc::new(lists.finish()),
            Column::ListsOfTextLists(lists) => Arc::new(lists.finish()),
        };
        if again {
            self.make_room_as_for(&done);
        } else {
            done.shrink_to_fit();
        }
        done
    }

    /// Makes room for as many cells, and a little more where their size differs.
    fn make_room_as_for(&mut self, done: &ArrayRef) {
        let rows = done.len();
        let more = |n: usize| n + n / 8;
        let items = || more(done.as_list::<i32>().values().len());
        match self {
            Column::Flags(flags) => *flags = BooleanBuilder::with_capacity(rows),
            Column::Integers(integers) => *integers = Int64Builder::with_capacity(rows),
            Column::Floats(floats) => *floats = Float64Builder::with_capacity(rows),
            Column::Texts(texts, _) => {
                *texts = StringBuilder::with_capacity(rows, more(done.as_string::<i32>().value_data().len()));
            }
            Column::Bytes(bytes) => *bytes = FixedSizeBinaryBuilder::with_capacity(rows, 16),
            Column::Times(list) => *list = times(rows),
            Column::IntegerLists(lists) => {
                *lists = ListBuilder::with_capacity(Int64Builder::with_capacity(items()), rows);
            }
            Column::FloatLists(lists) => {
                *lists = ListBuilder::with_capacity(Float64Builder::with_capacity(items()), rows);
            }
            Column::TimeLists(lists) => *lists = ListBuilder::with_capacity(times(items()), rows),
            // Of these there are few.
            Column::TextLists(_) | Column::ListsOfTextLists(_) => {}
        }
    }
}

/// Appends a list, whose items `put` appends.
fn fill<B: ArrayBuilder>(
    lists: &mut ListBuilder<B>,
    cell: &Cell<'_>,
    put: impl FnOnce(&mut B, &Cell<'_>) -> Put,
) -> Put {
    let is_there = !matches!(cell, Cell::Absent);
    if is_there {
        put(lists.values(), cell)?;
    }
    lists.append(is_there);
    Ok(())
}

fn each(cell: &Cell<'_>, put: impl FnMut(&Cell<'_>) -> Put) -> Put {
    match cell {
        Cell::List(items) => items.iter().try_for_each(put),
        _ => Err(Stranger),
    }
}

/// Appends numbers, each made from its 64 bits.
fn extend<T: ArrowPrimitiveType>(
    builder: &mut PrimitiveBuilder<T>,
    numbers: &[u64],
    absent: u64,
    number: fn(u64) -> T::Native,
) {
    let mut all = [T::Native::default(); block::ROWS];
    let all = &mut all[..numbers.len()];
    all.iter_mut().zip(numbers).for_each(|(to, bits)| *to = number(*bits));
    if absent == 0 {
        builder.append_slice(all);
    } else {
        let is_there: [bool; block::ROWS] = std::array::from_fn(|row| absent >> row & 1 == 0);
        builder.append_values(all, &is_there[..all.len()]);
    }
}

/// A whole number. Where one is missing, dialects have text without a character.
#[inline]
pub(super) fn integer(cell: &Cell<'_>) -> Result<Option<i64>, Stranger> {
    match cell {
        Cell::Count(n) => i64::try_from(*n).map(Some).map_err(|_| Stranger),
        Cell::Integer(n) | Cell::Span(n) => Ok(Some(*n)),
        Cell::Flag(flag) => Ok(Some((*flag).into())),
        Cell::Absent => Ok(None),
        Cell::Text(text) if text.is_empty() => Ok(None),
        _ => Err(Stranger),
    }
}

/// A number; a length of time in seconds. Dialects may have text in its place: no character where it is missing, else whatever Rust reads as a
/// number, which `NaN` and `Infinity` are, too.
#[inline]
pub(super) fn float(cell: &Cell<'_>) -> Result<Option<f64>, Stranger> {
    match cell {
        Cell::Float(n) => Ok(Some(*n)),
        Cell::Count(n) => Ok(Some(*n as f64)),
        Cell::Integer(n) => Ok(Some(*n as f64)),
        Cell::Span(ns) => Ok(Some(*ns as f64 / NS_PER_SECOND as f64)),
        Cell::Absent => Ok(None),
        Cell::Text(text) if text.is_empty() => Ok(None),
        Cell::Text(text) => text.parse().map(Some).map_err(|_| Stranger),
        _ => Err(Stranger),
    }
}

/// A point in time, in nanoseconds since 1970.
#[inline]
pub(super) fn time_of(cell: &Cell<'_>) -> Result<Option<i64>, Stranger> {
    match cell {
        Cell::Time(time) => Ok(Some(time.0)),
        Cell::Absent => Ok(None),
        _ => Err(Stranger),
    }
}

/// A text of a list.
fn item(values: &mut StringBuilder, cell: &Cell<'_>) -> Put {
    match cell {
        Cell::Text(text) => values.append_value(text),
        Cell::Absent => values.append_null(),
        _ => return Err(Stranger),
    }
    Ok(())
}

/// Text, a name, or an address.
#[inline]
fn text(values: &mut StringBuilder, cell: &Cell<'_>, room: &mut Vec<u8>) -> Put {
    room.clear();
    match cell {
        Cell::Absent => values.append_null(),
        Cell::Text(text) => values.append_value(text),
        Cell::Id(id) => jsonl::hex(*id, room),
        Cell::Address(address) => jsonl::address(*address, room),
        _ => return Err(Stranger),
    }
    if !room.is_empty() {
        values.append_value(str::from_utf8(room).map_err(|_| Stranger)?);
    }
    Ok(())
}

/// An address as sixteen bytes.
fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
