//! The types that columns have in tables.
//!
//! | cells | type |
//! |---|---|
//! | yes or no | boolean |
//! | counts and codes | 64-bit integer |
//! | numbers | 64-bit float; infinite and undefined ones as they are |
//! | text, names of 64 bits | UTF-8 |
//! | times | nanoseconds since 1970, UTC |
//! | lengths of time | seconds as 64-bit floats; with [`Times::Nanoseconds`] 64-bit integers |
//! | addresses | text, or 16 bytes |
//! | lists | lists of these |
//!
//! What is absent is null.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};

use crate::sink::jsonl::Times;
use crate::views::flows::FeatureColumn;
use crate::views::flows::columns::Kind;

/// How addresses stand in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// As people write them.
    #[default]
    Text,
    /// Sixteen bytes in network order; of IPv4 those of `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2).
    Binary,
}

/// What is left to the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// How addresses stand in it.
    pub addresses: Addresses,
    /// How lengths of time do; points in time are nanoseconds either way.
    pub times: Times,
}

/// A list of such items.
fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// The type of a point in time.
pub(super) fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// The type of a column's cells.
#[must_use]
pub fn data_type(kind: Kind, style: Style) -> DataType {
    match kind {
        Kind::Boolean => DataType::Boolean,
        Kind::Integer => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Text => DataType::Utf8,
        Kind::Time => time(),
        Kind::Duration if style.times == Times::Nanoseconds => DataType::Int64,
        Kind::Duration => DataType::Float64,
        Kind::Address if style.addresses == Addresses::Binary => DataType::FixedSizeBinary(16),
        Kind::Address => DataType::Utf8,
        Kind::Integers => list(DataType::Int64),
        Kind::Floats => list(DataType::Float64),
        Kind::Texts => list(DataType::Utf8),
        Kind::Times => list(time()),
        Kind::TextLists => list(list(DataType::Utf8)),
    }
}

/// A column with what is known of it.
fn field(column: &FeatureColumn, style: Style, dialect: Option<&str>) -> Field {
    let is_short = column.kind == Kind::Duration && style.times == Times::Nanoseconds;
    let unit = match column.kind {
        Kind::Time | Kind::Times => "ns",
        _ if is_short => "ns",
        _ => column.unit,
    };
    let told = [("unit", unit), ("meaning", column.about), ("dialect", dialect.unwrap_or_default())];
    let told = told.into_iter().filter(|(_, what)| !what.is_empty());
    let metadata: HashMap<String, String> = told.map(|(name, what)| (name.to_owned(), what.to_owned())).collect();
    Field::new(column.name, data_type(column.kind, style), true).with_metadata(metadata)
}

/// The schema of a table: its columns, each with `unit`, `meaning` and, if it is of one, `dialect`; and for the table what `about` says.
#[must_use]
pub fn schema(
    columns: &[FeatureColumn],
    style: Style,
    dialect: Option<&str>,
    about: HashMap<String, String>,
) -> Schema {
    let fields: Vec<Field> = columns.iter().map(|column| field(column, style, dialect)).collect();
    Schema::new_with_metadata(fields, about)
}
