//! The columns of payload among those of flows.

use std::sync::LazyLock;

use crate::payload::columns::{COLUMNS, Column as Of, Kind as Holds};
use crate::views::flows::columns::{Column, Group, Kind, Source};

static TABLE: LazyLock<Vec<Column>> = LazyLock::new(|| COLUMNS.iter().map(column).collect());

/// Those of [`COLUMNS`], in that order.
pub(in crate::views::flows) fn columns() -> impl Iterator<Item = &'static Column> {
    TABLE.iter()
}

fn column(of: &Of) -> Column {
    let kind = match of.kind {
        Holds::Flag => Kind::Boolean,
        Holds::Number => Kind::Integer,
        Holds::Text => Kind::Text,
        Holds::Numbers => Kind::Integers,
        Holds::Texts => Kind::Texts,
        Holds::Times => Kind::Times,
        Holds::TextLists => Kind::TextLists,
    };
    let protocol = of.name.split('_').next();
    let group = Group::ALL.into_iter().find(|group| group.is_payload() && Some(group.about().0) == protocol);
    Column {
        name: of.name,
        kind,
        unit: of.unit,
        about: of.about,
        group: group.unwrap_or(Group::App),
        default: false,
        cell: Source::Payload(of.cell),
    }
}
