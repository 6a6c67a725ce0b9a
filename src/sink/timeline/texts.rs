//! Texts by number, one behind the other: a million names are two blocks of memory.

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Texts {
    text: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Texts {
    /// Those that `write` appends for each of a list.
    pub(super) fn of<T>(list: impl IntoIterator<Item = T>, mut write: impl FnMut(T, &mut Vec<u8>)) -> Texts {
        let mut texts = Texts::default();
        for item in list {
            write(item, &mut texts.text);
            texts.ends.push(texts.text.len());
        }
        texts
    }

    /// A text; nothing where there is none.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &[u8] {
        let place = number as usize;
        let begin = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(place).copied().unwrap_or(begin);
        self.text.get(begin..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_by_its_number() {
        let texts = Texts::of(["a", "", "bc"], |text, out| out.extend_from_slice(text.as_bytes()));
        assert_eq!([0, 1, 2, 3, u32::MAX].map(|number| texts.get(number)), [&b"a"[..], b"", b"bc", b"", b""]);
        assert_eq!(Texts::default().get(0), b"");
    }
}
