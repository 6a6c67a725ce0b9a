//! Texts by number, one behind the other: a million names are two blocks of memory.

use super::cells::{self, SHORT};

/// See the module.
#[derive(Debug)]
pub(super) struct Texts {
    text: Vec<u8>,
    /// Where each begins, and where the last ends.
    bounds: Vec<usize>,
}

impl Default for Texts {
    fn default() -> Texts {
        Texts { text: Vec::new(), bounds: vec![0] }
    }
}

impl Texts {
    /// Those that `write` appends for each of a list.
    pub(super) fn of<T>(list: impl IntoIterator<Item = T>, mut write: impl FnMut(T, &mut Vec<u8>)) -> Texts {
        let mut texts = Texts::default();
        for item in list {
            texts.add(|out| write(item, out));
        }
        texts
    }

    /// Adds the one that `write` appends.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.text);
        self.bounds.push(self.text.len());
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// A text; nothing where there is none.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &[u8] {
        let (begin, end) = self.place(number);
        self.text.get(begin..end).unwrap_or_default()
    }

    /// Appends a text to a list.
    #[inline]
    pub(super) fn put(&self, number: u32, out: &mut Vec<u8>) {
        let (begin, end) = self.place(number);
        match self.text.get(begin..).and_then(|rest| rest.first_chunk::<SHORT>()) {
            Some(text) if end - begin <= SHORT => cells::put(text, end - begin, out),
            _ => out.extend_from_slice(self.get(number)),
        }
    }

    #[inline]
    fn place(&self, number: u32) -> (usize, usize) {
        let bounds = self.bounds.get(number as usize..).and_then(|bounds| bounds.first_chunk());
        bounds.map_or((0, 0), |&[begin, end]| (begin, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_by_its_number() {
        let long = "a".repeat(SHORT + 1);
        let all = ["a", "", "bc", &long, "d", "de"];
        let texts = Texts::of(all, |text, out| out.extend_from_slice(text.as_bytes()));
        for (number, text) in (0..).zip(all).chain([(6, ""), (u32::MAX, "")]) {
            assert_eq!(texts.get(number), text.as_bytes());
            let mut out = b"before".to_vec();
            texts.put(number, &mut out);
            assert_eq!(out, ["before", text].concat().as_bytes());
        }
        assert_eq!(Texts::default().get(0), b"");
    }
}
