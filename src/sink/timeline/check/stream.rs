//! JSON that is read piece by piece, so that of a file of any length little is held.
//!
//! Text is counted as it is read, and let go of when what it said was taken. What is held at once has a bound, so that neither a string without
//! end nor a list of zeros fills the memory.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Bytes of text of the longest element that is held: a sound one has a few thousand.
pub(super) const LONGEST_ELEMENT: u64 = 1 << 20;

/// Bytes of text of the longest file that is held whole: an index that names more than 50,000 files.
pub(super) const LONGEST_WHOLE: u64 = 16 << 20;

/// How many bytes of text are held, and how many were so at a place that one comes back to.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    now: Rc<Cell<u64>>,
    here: u64,
}

impl Held {
    /// With the bytes that are held now.
    pub(super) fn here(&self) -> Held {
        Held { now: Rc::clone(&self.now), here: self.now.get() }
    }

    /// What was read since is not held any more.
    fn let_go(&self) {
        self.now.set(self.here);
    }
}

/// Text of which no more than so many bytes are held.
pub(super) struct Bounded<R> {
    text: R,
    held: Held,
    most: u64,
}

impl<R> Bounded<R> {
    pub(super) fn new(text: R, held: &Held, most: u64) -> Bounded<R> {
        Bounded { text, held: held.here(), most }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.text.read(buffer)?;
        let now = self.held.now.get() + n as u64;
        self.held.now.set(now);
        if now > self.most {
            let what = if self.most == LONGEST_WHOLE { "a file that is read whole" } else { "an element" };
            let most = self.most >> 20;
            let what = format!("{what} is longer than {most} MiB, and none of a timeline is; make the folder anew");
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        Ok(n)
    }
}

/// A value whose whole numbers are written as such: `45.0` and `45e0` are 45 in JavaScript.
pub(super) fn plain(mut value: Value) -> Value {
    /// From here on a number is not exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match &mut value {
        Value::Number(number) if number.is_f64() => {
            if let Some(n) = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= EXACT) {
                *number = (n as i64).into();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| *value = plain(value.take())),
        Value::Object(members) => members.values_mut().for_each(|value| *value = plain(value.take())),
        _ => {}
    }
    value
}

/// Takes the elements of an array as they are read.
pub(super) struct Elements<F>(pub(super) Held, pub(super) F);

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
            (self.1)(plain(value));
            self.0.let_go();
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
pub(super) struct Whole<F>(pub(super) Held, pub(super) F);

impl<F: FnMut(String, Value)> Members for Whole<F> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        let value = map.next_value()?;
        (self.1)(name, plain(value));
        self.0.let_go();
        Ok(())
    }
}

/// A file that is an array of objects, which are asked for one by one.
pub(super) struct Array<R> {
    text: R,
    taken: u64,
    held: Held,
}

impl<R: BufRead> Array<R> {
    pub(super) fn new(text: R) -> Array<R> {
        Array { text, taken: 0, held: Held::default() }
    }

    /// The bytes of the next element that are held.
    pub(super) fn held(&self) -> Held {
        self.held.clone()
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
        self.held.let_go();
        let text = Bounded::new(&mut self.text, &self.held, LONGEST_ELEMENT);
        let mut deserializer = serde_json::Deserializer::from_reader(text);
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

    /// More than is held at once, in pieces that are let go of; keys and spaces count, too.
    #[test]
    fn files_of_many_elements_are_read() {
        let many = LONGEST_ELEMENT / 16 + 1;
        let list = format!("[{}]", vec!["\"0123456789ab\",  "; many as usize].concat() + "0");
        let object = (0..many).map(|n| format!("\"10.0.{n:06}\": 0, ")).collect::<String>();
        let object = format!("{{{object}\"a\": 0}}");
        for text in [&list, &object] {
            assert!(text.len() as u64 > LONGEST_ELEMENT);
            let held = Held::default();
            let mut reader =
                serde_json::Deserializer::from_reader(Bounded::new(text.as_bytes(), &held, LONGEST_ELEMENT));
            let mut seen = 0;
            if text.starts_with('[') {
                Elements(held.here(), |_| seen += 1).deserialize(&mut reader).unwrap();
            } else {
                Object(Whole(held.here(), |_, _| seen += 1)).deserialize(&mut reader).map(drop).unwrap();
            }
            assert_eq!(seen, many + 1);
        }
        let text = format!("[{}{{}}]", "{\"a\": [0, 0]},\n".repeat(many as usize));
        assert_eq!(read(&text, 1000).unwrap().len() as u64, many + 1);
    }

    #[test]
    fn an_element_without_end_is_refused() {
        let n = LONGEST_ELEMENT as usize;
        for text in [format!("[{{}}, {{\"a\": \"{}", "7".repeat(n)), "[{\"a\": [".to_owned() + &"0,".repeat(n / 2)] {
            let error = read(&text, 1000).unwrap_err().to_string();
            assert!(error.contains("an element is longer than 1 MiB"), "{error}");
        }
        // What is kept of an object counts, however many members there are.
        let members: String = (0..n / 8).map(|n| format!("\"{n}\":0,")).collect();
        let error = read(&format!("[{{{members}\"a\":0}}]"), 1000).unwrap_err().to_string();
        assert!(error.contains("an element is longer than 1 MiB"), "{error}");
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
