//! Files of the folder: which grow, which are complete, and since when.
//!
//! It is told what happened and when, looks at the file itself, and believes what it sees there.

mod telling;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::beginning::{Beginning, beginning, promises};
use super::trouble::{Cause, Trouble};
use super::{Room, Seen, sensor_of};
use crate::capture::identity::{Identity, numbers, open};
use crate::capture::is_capture;

/// How long a file stays as it is before its successor completes it.
const MOMENT: Duration = Duration::from_millis(200);

/// How long the end of writing is waited for, which is told. Only a write without an open file makes this too long.
const HELD: Duration = Duration::from_secs(3600);

/// Where a file is, and how it was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        let (device, inode) = numbers(metadata);
        Stamp { device, inode, size: metadata.len(), modified: metadata.modified().ok() }
    }

    /// Of what has this name, if that is a file.
    fn at(path: &Path) -> io::Result<Option<Stamp>> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(metadata.is_file().then(|| Stamp::of(&metadata))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the last change is so long ago; one in the future is not.
    fn is_older(&self, than: Duration) -> bool {
        self.modified.and_then(|modified| modified.elapsed().ok()).is_some_and(|age| age >= than)
    }

    fn is_same_file(&self, other: &Stamp) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// Whether nothing has this name, or nothing can.
pub(in crate::watch) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// One file.
struct File {
    stamp: Stamp,
    /// The last look through all folders that found it.
    round: u64,
    told: Told,
    /// It was said of this name that it is no capture.
    passed_over: bool,
    state: State,
}

/// What was last told of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Growing,
    Complete,
}

enum State {
    Open(Open),
    Complete {
        identity: Identity,
        /// By its successor alone.
        guessed: bool,
        /// It had another name, too.
        linked: bool,
    },
    /// No capture, and passed over.
    Foreign,
}

/// A file that is not complete.
struct Open {
    /// Its place among all that began to grow.
    born: u64,
    /// Since when it is as its stamp says.
    quiet: Instant,
    /// Somebody writes, and it will be told when that ends.
    held: bool,
    /// It has a successor.
    followed: bool,
    /// It was looked at as a successor.
    counted: bool,
    /// Its first packet is looked for.
    sought: bool,
    /// When it will be looked at.
    due: Option<Instant>,
}

/// What a folder's files tell of one another.
#[derive(Default)]
struct Place {
    newest: Option<PathBuf>,
    /// A file grew behind its successor: several are written at once, and none follows another.
    parallel: bool,
}

/// What says that a file is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// Who writes it says so.
    Finished,
    /// It was closed, or put here.
    Closed,
    /// It has a successor, and has not grown for a moment.
    Followed,
    /// It has not changed for long enough.
    Stable,
}

/// All files.
pub(super) struct Files {
    folder: PathBuf,
    stable: Duration,
    files: BTreeMap<PathBuf, File>,
    places: BTreeMap<PathBuf, Place>,
    due: BinaryHeap<Reverse<(Instant, PathBuf)>>,
    /// Files that may have got a first packet.
    touched: BTreeSet<PathBuf>,
    /// A file that grows and is between two names.
    moving: Option<(Stamp, Instant)>,
    born: u64,
    round: u64,
    /// Complete and not told, by sensor.
    ready: BTreeMap<String, BTreeSet<PathBuf>>,
    room: Room,
    gone: Vec<(PathBuf, Option<Identity>)>,
    /// Devices and numbers of files of which a name is gone, and that had several.
    unlinked: BTreeSet<(u64, u64)>,
    /// Files that stood there at the start and were not complete.
    stood: BTreeSet<PathBuf>,
    /// Those of them that are not yet.
    standing: BTreeSet<PathBuf>,
    /// Until when these are waited for.
    stands_until: Option<Instant>,
}

impl Files {
    pub(super) fn new(folder: PathBuf, stable: Duration, room: Room) -> Files {
        Files {
            folder,
            stable,
            files: BTreeMap::new(),
            places: BTreeMap::new(),
            due: BinaryHeap::new(),
            touched: BTreeSet::new(),
            moving: None,
            born: 0,
            round: 0,
            ready: BTreeMap::new(),
            room,
            gone: Vec::new(),
            unlinked: BTreeSet::new(),
            stood: BTreeSet::new(),
            standing: BTreeSet::new(),
            stands_until: None,
        }
    }

    /// When a file is to be looked at next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// It is new, as far as was told.
    pub(super) fn appeared(&mut self, path: &Path, stamp: Stamp, now: Instant) {
        match self.files.get(path) {
            Some(file) if file.stamp.is_same_file(&stamp) => {}
            Some(_) => self.reopen(path, stamp, false, now),
            None => self.begin(path, stamp, false, now),
        }
    }

    /// Whoever made it, with nothing in it yet, has it open.
    pub(super) fn opened(&mut self, path: &Path) {
        if let Some(File { stamp: Stamp { size: 0, .. }, state: State::Open(open), .. }) = self.files.get_mut(path) {
            open.held = true;
        }
    }

    /// It was written to.
    pub(super) fn grew(&mut self, path: &Path, now: Instant) {
        match self.files.get_mut(path) {
            Some(File { state: State::Open(open), .. }) => {
                (open.held, open.quiet) = (true, now);
                if open.sought || !open.counted {
                    self.touched.insert(path.to_owned());
                }
            }
            known => {
                let known = known.is_some();
                match Stamp::at(path) {
                    Ok(Some(stamp)) if !known => self.begin(path, stamp, true, now),
                    Ok(Some(stamp)) if !self.is_as_known(path, &stamp) => self.reopen(path, stamp, true, now),
                    // What removed it is told as well.
                    _ => {}
                }
            }
        }
    }

    /// It was given this name.
    pub(super) fn came(&mut self, path: &Path, stamp: Stamp, trouble: &mut Trouble, now: Instant) {
        match self.moving.take() {
            Some((moving, then)) if moving.is_same_file(&stamp) && now.saturating_duration_since(then) < MOMENT => {
                self.left(path);
                self.begin(path, stamp, true, now);
            }
            _ => self.judge(path, Because::Closed, trouble, now),
        }
    }

    /// It will be under another name; if somebody writes, that goes on.
    pub(super) fn went(&mut self, path: &Path, now: Instant) {
        if let Some(File { stamp, state: State::Open(Open { held: true, .. }), .. }) = self.files.get(path) {
            self.moving = Some((*stamp, now));
        }
        self.left(path);
    }

    /// It is no more under this name.
    pub(super) fn left(&mut self, path: &Path) {
        self.retract(path);
        if let Some(File { stamp, state: State::Complete { linked: true, .. }, .. }) = self.files.remove(path) {
            self.unlinked.insert((stamp.device, stamp.inode));
        }
    }

    /// A folder is no more under this name, or is not to be looked into any more.
    pub(super) fn left_below(&mut self, folder: &Path) {
        let files: Vec<PathBuf> = below(&self.files, folder).map(|(path, _)| path.clone()).collect();
        files.iter().for_each(|path| self.left(path));
        let places: Vec<PathBuf> = below(&self.places, folder).map(|(path, _)| path.clone()).collect();
        places.iter().for_each(|path| _ = self.places.remove(path));
    }

    /// A look through all folders begins.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// It was found in a look through its folder; `at_start` is the first of all.
    pub(super) fn found(&mut self, path: &Path, stamp: Stamp, at_start: bool, trouble: &mut Trouble, now: Instant) {
        let Some(file) = self.files.get_mut(path) else {
            if at_start && stamp.is_older(self.stable) {
                return self.judge(path, Because::Stable, trouble, now);
            }
            return self.begin(path, stamp, false, now);
        };
        file.round = self.round;
        match &file.state {
            State::Open(_) if file.stamp != stamp => self.wait(path, stamp, now),
            // It could not be read when it was due.
            State::Open(Open { due: None, .. }) => self.judge(path, Because::Stable, trouble, now),
            State::Open(_) => {}
            _ => {
                if !self.is_as_known(path, &stamp) {
                    self.reopen(path, stamp, false, now);
                }
            }
        }
    }

    /// What lies below this folder was not looked for.
    pub(super) fn keep_below(&mut self, folder: &Path) {
        let round = self.round;
        let from = (Bound::Included(folder), Bound::Unbounded);
        let files = self.files.range_mut::<Path, _>(from).take_while(|(path, _)| path.starts_with(folder));
        files.for_each(|(_, file)| file.round = round);
    }

    /// A look through all folders ends: what it did not find is gone.
    pub(super) fn end_round(&mut self) {
        let gone = self.files.iter().filter(|(_, file)| file.round != self.round).map(|(path, _)| path.clone());
        for path in gone.collect::<Vec<_>>() {
            self.left(&path);
        }
    }

    /// Something was not told: nobody is known to write any more.
    pub(super) fn let_go(&mut self, now: Instant) {
        let let_go = |(path, file): (&PathBuf, &mut File)| match &mut file.state {
            State::Open(open) if open.held => {
                (open.held, open.quiet) = (false, now);
                Some(path.clone())
            }
            _ => None,
        };
        let paths: Vec<PathBuf> = self.files.iter_mut().filter_map(let_go).collect();
        paths.iter().for_each(|path| self.schedule(path));
    }

    /// Looks at files whose time it is.
    pub(super) fn look(&mut self, trouble: &mut Trouble, now: Instant) {
        while let Some(Reverse((at, _))) = self.due.peek()
            && *at <= now
            && let Some(Reverse((at, path))) = self.due.pop()
        {
            let patience = self.patience(&path);
            let Some(File { stamp: before, state: State::Open(open), .. }) = self.files.get_mut(&path) else {
                continue;
            };
            if open.due != Some(at) {
                continue;
            }
            open.due = None;
            match Stamp::at(&path) {
                Ok(None) => self.left(&path),
                Ok(Some(stamp)) if stamp != *before => self.wait(&path, stamp, now),
                Ok(Some(_)) if open.quiet.checked_add(patience).is_some_and(|end| end <= now) => {
                    let because = if open.followed { Because::Followed } else { Because::Stable };
                    self.judge(&path, because, trouble, now);
                }
                Ok(Some(_)) => self.schedule(&path),
                Err(error) => self.refuse(&path, error, trouble),
            }
        }
    }

    /// Something says that it is complete. If it is, it will be told so.
    pub(super) fn judge(&mut self, path: &Path, because: Because, trouble: &mut Trouble, now: Instant) {
        let stamp = match Stamp::at(path) {
            Ok(Some(stamp)) => stamp,
            Ok(None) => return self.left(path),
            Err(error) => return self.refuse(path, error, trouble),
        };
        if !self.files.contains_key(path) {
            self.insert(path, stamp, false, now);
        }
        if because == Because::Closed && stamp.size == 0 {
            // Often it is opened again and written to.
            return self.go_on(path, stamp, now);
        }
        let read = || open(path).and_then(|(file, there)| Ok((Identity::read(file, &there)?, there.nlink() > 1)));
        let read = self.room.at.reads(path, read);
        let ((identity, magic), linked) = match read {
            Ok(read) => read,
            Err(error) if is_gone(&error) => return self.left(path),
            Err(error) => return self.refuse(path, error, trouble),
        };
        trouble.over(path);
        if !matches!(Stamp::at(path), Ok(Some(after)) if after == stamp) || identity.size != stamp.size {
            return self.go_on(path, stamp, now);
        }
        let is_foreign = !magic.is_some_and(is_capture) && !promises(path);
        let Some(file) = self.files.get_mut(path) else { return };
        file.stamp = stamp;
        match &file.state {
            State::Complete { identity: known, .. } if *known == identity => return,
            State::Complete { .. } => self.retract(path),
            State::Foreign if is_foreign => return,
            State::Open(_) | State::Foreign => {}
        }
        if is_foreign {
            self.retract(path);
        } else {
            self.ready.entry(sensor_of(&self.folder, path)).or_default().insert(path.to_owned());
        }
        let Some(file) = self.files.get_mut(path) else { return };
        if is_foreign && !std::mem::replace(&mut file.passed_over, true) {
            tracing::info!(path = %path.display(), "is no capture, by its name and what it holds: it stays where it is, and is not read");
        }
        file.state = match is_foreign {
            true => State::Foreign,
            false => State::Complete { identity, guessed: because == Because::Followed, linked },
        };
    }

    /// It cannot be read. The next look through all folders tries it again.
    fn refuse(&mut self, path: &Path, error: io::Error, trouble: &mut Trouble) {
        trouble.say(Cause::Unreadable(path.to_owned()), "read", path, error);
        if let Some(File { state: State::Open(open), .. }) = self.files.get_mut(path) {
            (open.held, open.due) = (false, None);
        }
    }

    /// Looks for first packets of what grows, and for successors.
    fn look_into(&mut self, now: Instant) -> Vec<Seen> {
        let (mut growing, mut newer) = (Vec::new(), Vec::new());
        for path in std::mem::take(&mut self.touched) {
            let Some(File { told, state: State::Open(open), .. }) = self.files.get_mut(&path) else { continue };
            // What cannot be read is told when it should be complete.
            let Ok(beginning) = self.room.at.reads(&path, || beginning(&path)) else { continue };
            if let Beginning::Capture(Some(first)) = beginning
                && open.sought
            {
                *told = Told::Growing;
                growing.push(Seen::Growing { sensor: sensor_of(&self.folder, &path), path: path.clone(), first });
            }
            open.sought &= matches!(beginning, Beginning::Open | Beginning::Capture(None));
            let counts = matches!(beginning, Beginning::Capture(_)) || promises(&path);
            let is_known = counts || matches!(beginning, Beginning::Vain);
            if is_known && !std::mem::replace(&mut open.counted, true) && counts {
                newer.push((open.born, path));
            }
        }
        newer.sort_unstable();
        for (_, path) in newer {
            self.follow(path, now);
        }
        growing
    }

    /// It is the newest of its folder; the one before need not be closed to be complete.
    fn follow(&mut self, path: PathBuf, now: Instant) {
        let Some(folder) = path.parent() else { return };
        let place = self.places.entry(folder.to_owned()).or_default();
        let Some(before) = place.newest.replace(path) else { return };
        if place.parallel {
            return;
        }
        let Some(file) = self.files.get_mut(&before) else { return };
        if let State::Open(open) = &mut file.state
            && let Ok(Some(stamp)) = Stamp::at(&before)
        {
            file.stamp = stamp;
            (open.followed, open.quiet) = (true, now);
            self.schedule(&before);
        }
    }

    /// A file that is not complete, not known so far.
    fn begin(&mut self, path: &Path, stamp: Stamp, held: bool, now: Instant) {
        self.insert(path, stamp, held, now);
        self.touched.insert(path.to_owned());
        self.schedule(path);
    }

    /// The same, of one that will be judged now.
    fn insert(&mut self, path: &Path, stamp: Stamp, held: bool, now: Instant) {
        self.born += 1;
        let open = Open { born: self.born, quiet: now, held, followed: false, counted: false, sought: true, due: None };
        let passed_over = self.files.get(path).is_some_and(|file| file.passed_over);
        let file = File { stamp, round: self.round, told: Told::Nothing, passed_over, state: State::Open(open) };
        self.files.insert(path.to_owned(), file);
    }

    /// It was closed, but is not complete.
    fn go_on(&mut self, path: &Path, stamp: Stamp, now: Instant) {
        match self.files.get_mut(path) {
            Some(File { state: State::Open(open), .. }) => {
                open.held = false;
                self.wait(path, stamp, now);
            }
            _ => self.reopen(path, stamp, false, now),
        }
    }

    /// A known file is not complete any more, or is another.
    fn reopen(&mut self, path: &Path, stamp: Stamp, held: bool, now: Instant) {
        if matches!(self.files.get(path), Some(File { state: State::Complete { guessed: true, .. }, .. }))
            && let Some(place) = path.parent().and_then(|folder| self.places.get_mut(folder))
        {
            place.parallel = true;
        }
        let is_same = self.files.get(path).is_some_and(|file| file.stamp.is_same_file(&stamp));
        self.retract(path);
        self.begin(path, stamp, held, now);
        if let Some(File { state: State::Open(open), .. }) = self.files.get_mut(path) {
            // What is written on follows nothing.
            open.counted = is_same;
        }
    }

    /// A file that grows has grown.
    fn wait(&mut self, path: &Path, stamp: Stamp, now: Instant) {
        if let Some(file) = self.files.get_mut(path)
            && let State::Open(open) = &mut file.state
        {
            file.stamp = stamp;
            open.quiet = now;
            self.touched.insert(path.to_owned());
            self.schedule(path);
        }
    }

    /// Sees to it that it will be looked at.
    fn schedule(&mut self, path: &Path) {
        let patience = self.patience(path);
        if let Some(File { state: State::Open(open), .. }) = self.files.get_mut(path)
            && let Some(at) = open.quiet.checked_add(patience)
            && open.due.is_none_or(|due| at < due)
        {
            open.due = Some(at);
            self.due.push(Reverse((at, path.to_owned())));
        }
    }

    /// How long a file has to stay as it is.
    fn patience(&self, path: &Path) -> Duration {
        let Some(File { state: State::Open(open), .. }) = self.files.get(path) else { return self.stable };
        let parallel = || path.parent().and_then(|folder| self.places.get(folder)).is_some_and(|place| place.parallel);
        match open {
            Open { followed: true, .. } if !parallel() => MOMENT,
            Open { held: true, .. } => HELD.max(self.stable),
            _ => self.stable,
        }
    }

    /// Whether a file is what it was when it was judged, whatever its times say.
    fn is_as_known(&mut self, path: &Path, stamp: &Stamp) -> bool {
        let Some(file) = self.files.get_mut(path) else { return false };
        if file.stamp == *stamp {
            return true;
        }
        let State::Complete { identity, .. } = &file.state else { return false };
        let same = identity.size == stamp.size && Identity::of(path).is_ok_and(|now| now == *identity);
        if same {
            file.stamp = *stamp;
        }
        same
    }

    /// What was told of it is true no more.
    fn retract(&mut self, path: &Path) {
        let ready = self.ready.get_mut(&sensor_of(&self.folder, path));
        let was_ready = ready.is_some_and(|ready| ready.remove(path));
        let Some(file) = self.files.get_mut(path) else { return };
        let untold = match &file.state {
            State::Complete { identity, .. } if was_ready => Some(identity.clone()),
            _ => None,
        };
        if std::mem::replace(&mut file.told, Told::Nothing) != Told::Nothing || untold.is_some() {
            self.gone.push((path.to_owned(), untold));
        }
    }
}

/// What a map has for paths in a folder and its folders; a path comes behind its folder, and in front of what lies beside it.
pub(super) fn below<'m, T>(
    map: &'m BTreeMap<PathBuf, T>,
    folder: &'m Path,
) -> impl Iterator<Item = (&'m PathBuf, &'m T)> {
    map.range::<Path, _>((Bound::Included(folder), Bound::Unbounded))
        .take_while(move |(path, _)| path.starts_with(folder))
}
