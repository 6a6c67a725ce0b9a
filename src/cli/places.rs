//! Where results go: no output takes the place of another, or of what is read.
//!
//! Places are compared, not spellings: relative or absolute, through linked folders, there already or not. Another name of
//! the same bytes (a hard link) is another place, since files are replaced and never written into. Pipes and devices may be
//! shared.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::Usage;

/// An option, and the path that it names.
pub(crate) type Named = (&'static str, PathBuf);

/// Where records go that are written into no file.
pub(crate) fn standard_output() -> Named {
    ("standard output", "/dev/stdout".into())
}

/// What to say where records are neither wanted nor written, but `--output` is there.
pub(crate) fn no_file_of_nothing() -> Usage {
    Usage("--format none writes no records, so there is nothing for --output; leave out one of the two".into())
}

/// Refuses an output that would take the place of an earlier one, or of something that is read.
///
/// # Errors
/// There is one; the text names both and the place.
pub(crate) fn apart(
    outputs: impl IntoIterator<Item = Named>,
    read: impl IntoIterator<Item = Named>,
) -> Result<(), Usage> {
    let mut taken: Vec<Named> = Vec::new();
    for (option, path) in outputs {
        let Some(place) = place(&path) else { continue };
        // A file is in the way of the folder of another one, too.
        let meet = |other: &Path| other.starts_with(&place) || place.starts_with(other);
        if let Some((other, _)) = taken.iter().find(|(other, path)| *other != option && meet(path)) {
            return Err(conflict(option, other, &place));
        }
        taken.push((option, place));
    }
    let taken: HashMap<PathBuf, &str> = taken.into_iter().map(|(option, place)| (place, option)).collect();
    for (name, path) in read {
        let Ok(path) = path.canonicalize() else { continue };
        if let Some(option) = taken.get(&path) {
            return Err(conflict(option, name, &path));
        }
    }
    Ok(())
}

/// If one of two folders lies in the other, or both are the same: the inner and the outer one, as they were given.
pub(crate) fn nested<'p>(a: &'p Path, b: &'p Path) -> Option<(&'p Path, &'p Path)> {
    let (place, other) = (resolved(a)?, resolved(b)?);
    match () {
        () if place.starts_with(&other) => Some((a, b)),
        () if other.starts_with(&place) => Some((b, a)),
        () => None,
    }
}

fn conflict(option: &str, other: &str, place: &Path) -> Usage {
    Usage(format!("{option} would take the place of {other}: {}; give it another name", place.display()))
}

/// The place that a path stands for; nothing if it is shared, or cannot be told.
fn place(path: &Path) -> Option<PathBuf> {
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        return None;
    }
    // What a link leads to is replaced, also if it is not there yet.
    match path.read_link() {
        Ok(target) if path.canonicalize().is_err() => resolved(&path.parent()?.join(target)),
        _ => resolved(path),
    }
}

/// A path without links, as far as it is there.
fn resolved(path: &Path) -> Option<PathBuf> {
    if let Ok(there) = path.canonicalize() {
        return Some(there);
    }
    let last = path.components().next_back()?;
    let folder = match path.parent()? {
        here if here.as_os_str().is_empty() => std::env::current_dir().ok()?,
        folder => resolved(folder)?,
    };
    match last {
        Component::Normal(name) => Some(folder.join(name)),
        Component::ParentDir => folder.parent().map(Path::to_owned),
        _ => None,
    }
}
