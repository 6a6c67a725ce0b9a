//! What a check found. Of findings that are alike one is told, and how many there are.

use std::fmt;
use std::path::Path;

use serde::Serialize;

/// Kinds of findings that are told; the others are counted.
const MOST: usize = 100;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The format, as the manifest names it.
    pub format: String,
    /// What is wrong, a sentence each that begins with the file and ends with what a viewer makes of it. Of those that are alike the first
    /// is told, with the number of the others; of all the first hundred.
    pub problems: Vec<String>,
    /// How many more there are.
    pub more: u64,
    /// What is right, and not shown.
    pub hidden: Vec<String>,
    /// What is right, and unusual.
    pub notes: Vec<String>,
    /// Problems and notes by what they have in common.
    kinds: Vec<Kind>,
}

/// Findings that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    shelf: String,
    what: String,
    is_note: bool,
    /// Where the first is told.
    place: usize,
    others: u64,
}

impl Findings {
    /// Nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Tells of something wrong, and of what a viewer makes of it; whatever is so in the files of one folder is one kind.
    pub(super) fn problem(&mut self, file: &str, what: impl fmt::Display, then: &str) {
        self.tell(false, file, then, what, then);
    }

    /// The same, where what a viewer makes of it is not what makes findings alike.
    pub(super) fn of_kind(&mut self, kind: &str, file: &str, what: impl fmt::Display, then: &str) {
        self.tell(false, file, kind, what, then);
    }

    /// Tells of something unusual.
    pub(super) fn note(&mut self, file: &str, what: impl fmt::Display, then: &str) {
        self.tell(true, file, then, what, then);
    }

    /// Notes that a member is not there, where null would say the same.
    pub(super) fn lacks(&mut self, file: &str, name: &str, of: &str) {
        let of = if of.is_empty() { String::new() } else { format!("{of}: ") };
        self.tell(true, file, name, format_args!("{of}{name} is missing"), "viewers take it for null");
    }

    /// Says so where two things that have to be equal are not.
    pub(super) fn equal<T: PartialEq + Serialize>(&mut self, file: &str, name: &str, says: &T, is: &T, then: &str) {
        if says != is {
            let what = format_args!("{name} says {}, but it is {}", short(says), short(is));
            self.tell(false, file, name, what, then);
        }
    }

    /// The same of one of many that are alike.
    pub(super) fn alike<T: PartialEq + Serialize>(&mut self, file: &str, name: &str, says: &T, is: &T, then: &str) {
        if says != is {
            self.problem(file, format_args!("{name} says {}, but it is {}", short(says), short(is)), then);
        }
    }

    fn tell(&mut self, is_note: bool, file: &str, kind: &str, what: impl fmt::Display, then: &str) {
        let shelf = shelf(file);
        let known = |known: &&mut Kind| known.shelf == shelf && known.what == kind && known.is_note == is_note;
        if let Some(known) = self.kinds.iter_mut().find(known) {
            known.others += 1;
            return;
        }
        let list = if is_note { &mut self.notes } else { &mut self.problems };
        if list.len() >= MOST {
            self.more += u64::from(!is_note);
            return;
        }
        let what = cut(what.to_string());
        self.kinds.push(Kind { shelf, what: kind.to_owned(), is_note, place: list.len(), others: 0 });
        list.push(if then.is_empty() { format!("{file}: {what}") } else { format!("{file}: {what}; {then}") });
    }

    /// Adds the numbers of those that were not told.
    pub(super) fn finish(mut self) -> Findings {
        for Kind { is_note, place, others, .. } in std::mem::take(&mut self.kinds) {
            let list = if is_note { &mut self.notes } else { &mut self.problems };
            if let Some(told) = list.get_mut(place).filter(|_| others > 0) {
                told.push_str(&format!(" (and {others} more like it)"));
            }
        }
        self
    }
}

/// Where files lie whose findings may be alike: those of a folder that end alike.
fn shelf(file: &str) -> String {
    let path = Path::new(file);
    match path.parent().filter(|folder| *folder != Path::new("")) {
        Some(folder) if !file.ends_with("index.json") => {
            let end = path.extension().unwrap_or_default();
            format!("{}/{}", folder.display(), end.display())
        }
        _ => file.to_owned(),
    }
}

/// A value as JSON, if that is short.
pub(super) fn short(value: &impl Serialize) -> String {
    cut_at(100, serde_json::to_string(value).unwrap_or_else(|_| "no JSON".into()))
}

/// What values of any length may stand in, as far as it is read.
fn cut(text: String) -> String {
    cut_at(1000, text)
}

fn cut_at(most: usize, text: String) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_told_once_and_counted() {
        let mut findings = Findings::default();
        for n in 0..5 {
            findings.problem(&format!("flows/chunk_{n}.json"), format_args!("flow {n}"), "it is not shown");
            findings.note("packets.csv", n, "");
        }
        findings.problem("packets.csv", "line 2", "it is not shown");
        findings.equal("manifest.json", "a", &1, &2, "");
        findings.equal("manifest.json", "b", &1, &2, "");
        let findings = findings.finish();
        let problems = [
            "flows/chunk_0.json: flow 0; it is not shown (and 4 more like it)",
            "packets.csv: line 2; it is not shown",
            "manifest.json: a says 1, but it is 2",
            "manifest.json: b says 1, but it is 2",
        ];
        assert_eq!(findings.problems, problems);
        assert_eq!(findings.notes, ["packets.csv: 0 (and 4 more like it)"]);
    }

    #[test]
    fn kinds_are_bounded() {
        let mut findings = Findings::default();
        (0..150).for_each(|n| findings.problem("a", n, &n.to_string()));
        assert_eq!((findings.problems.len(), findings.more), (MOST, 50));
    }
}
