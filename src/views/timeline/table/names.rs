//! The hosts of cells: addresses, the numbers of addresses, and any text.

use std::borrow::Cow;
use std::fmt;

use hashbrown::HashMap;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::super::number::{Number, number};
use super::super::{Host, Hosts};

/// Addresses by number.
#[derive(Clone, Debug, Default)]
pub struct Names {
    by_number: HashMap<i64, Box<str>>,
    clash: Option<(i64, [Box<str>; 2])>,
}

impl Names {
    /// The first number that several addresses have, and the first two of these; the last has it, as in the original.
    #[must_use]
    pub fn clash(&self) -> Option<(i64, [&str; 2])> {
        self.clash.as_ref().map(|(number, [a, b])| (*number, [&**a, &**b]))
    }
}

/// From `{"10.0.0.1": 1, ...}`; of several addresses with one number the last has it, and [`Names::clash`] tells of it.
impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Names, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of addresses, each with its number")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Names, A::Error> {
                let (mut entries, mut places) = (Vec::<(String, i64)>::new(), HashMap::new());
                while let Some((name, number)) = map.next_entry::<String, i64>()? {
                    // An address that comes again keeps its first place.
                    let place = *places.entry(name.clone()).or_insert(entries.len());
                    match entries.get_mut(place) {
                        Some(entry) => entry.1 = number,
                        None => entries.push((name, number)),
                    }
                }
                let mut names = Names::default();
                for (name, number) in entries {
                    let before = names.by_number.insert(number, name.as_str().into());
                    if let Some(before) = before.filter(|_| names.clash.is_none()) {
                        names.clash = Some((number, [before, name.into()]));
                    }
                }
                Ok(names)
            }
        }
        from.deserialize_map(Map)
    }
}

/// The hosts of short cells that were seen a moment ago: most come again soon.
#[derive(Debug)]
pub(super) struct Recent(Vec<(u128, Host)>);

impl Default for Recent {
    fn default() -> Recent {
        // No cell has this key: it would be longer than short.
        Recent(vec![(u128::MAX, 0); 1 << Recent::BITS])
    }
}

impl Recent {
    const BITS: u32 = 10;

    pub(super) fn host(&mut self, cell: &[u8], names: &Names, hosts: &mut Hosts) -> Option<Host> {
        let Some(key) = Recent::key(cell) else { return host(cell, names, hosts) };
        let mixed = ((key >> 64) as u64 ^ key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let recent = &mut self.0[(mixed >> (u64::BITS - Recent::BITS)) as usize];
        if recent.0 != key {
            *recent = (key, host(cell, names, hosts)?);
        }
        Some(recent.1)
    }

    /// A cell of up to 15 bytes and its length as a number.
    fn key(cell: &[u8]) -> Option<u128> {
        let mut bytes = [0; 16];
        bytes[15] = u8::try_from(cell.len()).ok()?;
        bytes[..15].get_mut(..cell.len())?.copy_from_slice(cell);
        Some(u128::from_le_bytes(bytes))
    }
}

/// The host of a cell; nothing if it is not UTF-8.
fn host(cell: &[u8], names: &Names, hosts: &mut Hosts) -> Option<Host> {
    let text = std::str::from_utf8(cell).ok()?;
    // No number has two dots or a colon, nor has what pandas takes for none.
    if cell.contains(&b':') || cell.iter().filter(|byte| **byte == b'.').count() > 1 {
        return Some(hosts.number(text));
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
    let name = match number(cell) {
        Number::None => Cow::Borrowed(""),
        Number::Is(n) if is_number => match names.by_number.get(&n) {
            Some(name) => Cow::Borrowed(&**name),
            None => Cow::Owned(n.to_string()),
        },
        _ => Cow::Borrowed(text),
    };
    Some(hosts.number(&name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cell_has_its_host_recent_or_not(cells in prop::collection::vec("[0-9]{0,3}|10[.]0[.]0[.][0-9]|nan|[a-é]{0,2}|x{14,17}", 0..300)) {
            let (mut recent, names) = (Recent::default(), Names::default());
            let [mut quick, mut slow] = [Hosts::default(), Hosts::default()];
            for cell in cells.iter().map(String::as_bytes) {
                prop_assert_eq!(recent.host(cell, &names, &mut quick), host(cell, &names, &mut slow));
            }
        }
    }

    #[test]
    fn a_number_is_translated_and_text_stays() {
        let by_number = HashMap::from([(1, "10.0.0.1".into()), (2, "fe80::1".into())]);
        let names = Names { by_number, clash: None };
        let mut hosts = Hosts::default();
        let cells = ["1", "2.0", "007", "10.0.0.9", "1.2.3", "nan", "", "1e5", "café", "inf"];
        let named = cells.map(|cell| {
            let host = host(cell.as_bytes(), &names, &mut hosts).unwrap();
            hosts.name(host).to_owned()
        });
        assert_eq!(named, ["10.0.0.1", "fe80::1", "7", "10.0.0.9", "1.2.3", "", "", "1e5", "café", "inf"]);
        assert_eq!(host(b"\xff", &names, &mut hosts), None);
    }
}
