//! JSON that is read piece by piece, so that of a file of any length little is held.

use std::fmt;
use std::io::{self, BufRead, ErrorKind};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Takes the elements of an array as they are read.
pub(super) struct Elements<F>(pub(super) F);

impl<'de, F: FnMut(Value)> DeserializeSeed<'de> for Elements<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Value)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element()? {
            (self.0)(value);
        }
        Ok(())
    }
}

/// Takes the members of an object as they are read.
pub(super) trait Members {
    /// Takes the value that comes next in `map`, which is called `name`.
    ///
    /// # Errors
    /// It cannot be read.
    fn member<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error>;
}

/// An object whose members go to what takes them, which comes back.
pub(super) struct Object<M>(pub(super) M);

impl<'de, M: Members> DeserializeSeed<'de> for Object<M> {
    type Value = M;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<M, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, M: Members> Visitor<'de> for Object<M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<M, A::Error> {
        while let Some(name) = map.next_key()? {
            self.0.member(name, &mut map)?;
        }
        Ok(self.0)
    }
}

/// Takes each member whole.
pub(super) struct Whole<F>(pub(super) F);

impl<F: FnMut(String, Value)> Members for Whole<F> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        let value = map.next_value()?;
        (self.0)(name, value);
        Ok(())
    }
}

/// A file that is an array of objects, which are asked for one by one.
pub(super) struct Array<R> {
    text: R,
    taken: u64,
}

impl<R: BufRead> Array<R> {
    pub(super) fn new(text: R) -> Array<R> {
        Array { text, taken: 0 }
    }

    /// The next element; nothing behind the last.
    ///
    /// # Errors
    /// It cannot be read, or something else stands there.
    pub(super) fn next<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> io::Result<Option<S::Value>> {
        let refused = |taken: u64, what: &str| {
            Err(io::Error::new(ErrorKind::InvalidData, format!("{what} stands where element {taken} would begin")))
        };
        match (self.mark()?, self.taken) {
            (Some(b'['), 0) | (Some(b','), 1..) => self.text.consume(1),
            (Some(b']'), 1..) => {
                self.text.consume(1);
                return self.end();
            }
            (None, _) => return refused(self.taken, "the end of the file"),
            _ => return refused(self.taken, "what is no array"),
        }
        match self.mark()? {
            Some(b'{') => {}
            Some(b']') if self.taken == 0 => {
                self.text.consume(1);
                return self.end();
            }
            _ => return refused(self.taken, "what is no object"),
        }
        let mut deserializer = serde_json::Deserializer::from_reader(&mut self.text);
        let taken = self.taken;
        self.taken += 1;
        let wrong =
            |error| io::Error::new(ErrorKind::InvalidData, format!("element {taken}, from its own begin: {error}"));
        seed.deserialize(&mut deserializer).map(Some).map_err(wrong)
    }

    fn end<T>(&mut self) -> io::Result<Option<T>> {
        match self.mark()? {
            None => Ok(None),
            Some(_) => Err(io::Error::new(ErrorKind::InvalidData, "something stands behind the array")),
        }
    }

    /// The next byte that is no space.
    fn mark(&mut self) -> io::Result<Option<u8>> {
        loop {
            let waiting = match self.text.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                waiting => waiting?,
            };
            let spaces = waiting.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let mark = waiting.get(spaces).copied();
            let is_end = waiting.is_empty();
            self.text.consume(spaces);
            if mark.is_some() || is_end {
                return Ok(mark);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;
    use std::marker::PhantomData;

    use super::*;

    fn read(text: &str, window: usize) -> io::Result<Vec<Value>> {
        let mut array = Array::new(BufReader::with_capacity(window, text.as_bytes()));
        std::iter::from_fn(|| array.next(PhantomData).transpose()).collect()
    }

    #[test]
    fn elements_come_one_by_one_through_any_window() {
        for text in ["[]", " [ ] \n", "[{}]", "[{\"a\": [1, {\"b\": \"]},\"}]},\n {}]\n"] {
            for window in [1, 3, 1000] {
                let expected: Vec<Value> = serde_json::from_str(text).unwrap();
                assert_eq!(read(text, window).unwrap(), expected, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_array_of_objects_is_refused() {
        for (text, why) in [
            ("", "the end of the file stands where element 0"),
            ("[", "what is no object stands where element 0"),
            ("{}", "what is no array"),
            ("[{},]", "what is no object stands where element 1"),
            ("[{}", "the end of the file stands where element 1"),
            ("[{}{}]", "what is no array stands where element 1"),
            ("[{}]]", "something stands behind"),
            ("[{\"a\"}]", "element 0, from its own begin"),
            ("[1]", "what is no object"),
        ] {
            let error = read(text, 5).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
