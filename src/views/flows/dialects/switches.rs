//! Switches of dialects: fields of a struct, whose values have names and can be set by them.

use crate::error::{Error, Result};

/// A switch as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Its name.
    pub name: &'static str,
    /// The value that it has.
    pub value: &'static str,
    /// The values that it may have.
    pub values: Vec<Value>,
    /// What it decides.
    pub about: &'static str,
    /// Where it was found that programs differ in it, as of a [`Difference`](super::Difference).
    pub source: &'static str,
}

/// A value that a switch may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its name.
    pub name: &'static str,
    /// What it means, in a sentence; nothing of yes and no where the switch says it.
    pub about: &'static str,
}

/// Values with names.
pub(super) trait Named: Copy + PartialEq + 'static {
    /// All values, their names and meanings.
    const ALL: &'static [(&'static str, Self, &'static str)];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, value, _)| *value == self).map_or("", |(name, ..)| name)
    }
}

impl Named for bool {
    const ALL: &'static [(&'static str, bool, &'static str)] = &[("no", false, ""), ("yes", true, "")];
}

/// A switch that has this value.
pub(super) fn switch<T: Named>(name: &'static str, value: T, about: &'static str, source: &'static str) -> Switch {
    let values = T::ALL.iter().map(|&(name, _, about)| Value { name, about: about.trim_ascii_start() }).collect();
    Switch { name, value: value.name(), values, about: about.trim_ascii_start(), source }
}

/// The value of a name.
pub(super) fn find<T: Named>(switch: &str, value: &str) -> Result<T> {
    let found = T::ALL.iter().find(|(name, ..)| *name == value);
    found.map(|(_, value, _)| *value).ok_or_else(|| {
        let names: Vec<_> = T::ALL.iter().map(|(name, ..)| *name).collect();
        Error::config(format!("`{switch}` cannot be `{value}`; {}", among(value, &names)))
    })
}

/// There is no switch of this name among those.
pub(super) fn unknown<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Error {
    let names: Vec<_> = names.into_iter().collect();
    let there = nearest(name, names.iter().copied())
        .map_or_else(|| format!("there are {}", names.join(", ")), |near| format!("the nearest is `{near}`"));
    Error::config(format!("there is no switch `{name}`; {there}"))
}

/// Declares the switches of a program. What documents one is also what [`Switch::about`] says; `from` is its [source](Switch::source).
macro_rules! switches {
    ($(#[$of:meta])* struct $switches:ident {
        $($(#[doc = $about:literal])+ $name:ident: $kind:ident from $source:literal,)+
    }) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $switches { $($(#[doc = $about])+ #[doc = concat!("\n\nSource: ", $source)] pub $name: $kind,)+ }

        impl $switches {
            /// Every switch as it stands.
            #[must_use]
            pub fn list(&self) -> Vec<$crate::views::flows::dialects::Switch> {
                use $crate::views::flows::dialects::switches::switch;
                vec![$(switch(stringify!($name), self.$name, concat!($($about),+), $source)),+]
            }

            /// Sets a switch to a value.
            ///
            /// # Errors
            /// A name or value that there is not; the message has the nearest.
            pub fn set(&mut self, name: &str, value: &str) -> $crate::Result<()> {
                use $crate::views::flows::dialects::switches::{find, unknown};
                match name {
                    $(stringify!($name) => self.$name = find(name, value)?,)+
                    _ => return Err(unknown(name, [$(stringify!($name)),+])),
                }
                Ok(())
            }
        }
    };
}
pub(super) use switches;

/// What there is in place of a word, and what is meant if that shows.
pub(super) fn among(word: &str, names: &[&str]) -> String {
    let all = names.join(", ");
    match nearest(word, names.iter().copied()) {
        Some(near) => format!("the nearest is `{near}`, of {all}"),
        None => format!("there are {all}"),
    }
}

/// The name that is the fewest letters away, if no more than a third of them differ: what has less in common was not meant.
pub(super) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let letters = |text: &str| text.chars().count();
    let (away, near) = names.into_iter().map(|name| (distance(word, name), name)).min_by_key(|(away, _)| *away)?;
    (3 * away <= letters(word).max(letters(near))).then_some(near)
}

/// Letters to be put in, taken out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (at, left) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], at + 1);
        for (place, right) in b.chars().enumerate() {
            let changed = corner + usize::from(left != right);
            corner = row[place + 1];
            row[place + 1] = changed.min(corner + 1).min(row[place] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_little_in_common_is_not_told_as_meant() {
        let names = ["population", "sample"];
        assert_eq!(among("popluation", &names), "the nearest is `population`, of population, sample");
        assert_eq!(among("xyz", &names), "there are population, sample");
        assert_eq!(nearest("ampl", names), Some("sample"), "two of six");
        assert_eq!(nearest("amp", names), None, "three of six");
        assert_eq!(nearest("x", []), None);
        let said = unknown("velocity", names).to_string();
        assert!(said.ends_with("there is no switch `velocity`; there are population, sample"), "{said}");
    }
}
