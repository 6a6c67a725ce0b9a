//! What is told of files, and when: what stood there at the start first, and what is complete as far as lines take it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use super::{File, Files, MOMENT, Open, State, Told};
use crate::watch::arrivals::{Arrival, Seen, sensor_of};

impl Files {
    /// The first look is over: what it found and is not complete is waited for.
    pub(in crate::watch::arrivals) fn stand(&mut self, now: Instant) {
        let open = self.files.iter().filter(|(_, file)| matches!(file.state, State::Open(_)));
        self.stood = open.map(|(path, _)| path.clone()).collect();
        self.standing.clone_from(&self.stood);
        self.stands_until = now.checked_add(self.stable + MOMENT);
    }

    /// Waits no longer for what has become complete, is being written or has had its time, of what stood there at the start.
    pub(in crate::watch::arrivals) fn settle(&mut self, now: Instant) {
        if self.stands_until.is_none_or(|until| until <= now) {
            self.standing.clear();
        }
        while let Some(path) = self.standing.first() {
            // The end of one that is being written is told when it comes.
            let waits = matches!(self.files.get(path), Some(File { state: State::Open(Open { held: false, .. }), .. }));
            if waits {
                return;
            }
            self.standing.pop_first();
        }
        self.stood.clear();
    }

    /// Whether what stood there at the start is waited for, and what comes is to be told behind it.
    pub(in crate::watch::arrivals) fn is_settling(&self) -> bool {
        !self.standing.is_empty()
    }

    /// Files that have lost one of their names are told again by the others, so that it is known where they lie.
    fn tell_again(&mut self) {
        let unlinked = std::mem::take(&mut self.unlinked);
        if unlinked.is_empty() {
            return;
        }
        for (path, File { stamp, state, .. }) in &self.files {
            if matches!(state, State::Complete { .. }) && unlinked.contains(&(stamp.device, stamp.inode)) {
                self.ready.entry(sensor_of(&self.folder, path)).or_default().insert(path.clone());
            }
        }
    }

    /// What is new, in the order in which it is to be told: nothing that was told already stands against it.
    pub(in crate::watch::arrivals) fn news(&mut self, now: Instant) -> Vec<Seen> {
        let growing = self.look_into(now);
        self.tell_again();
        let folder = self.folder.as_path();
        let gone = std::mem::take(&mut self.gone).into_iter();
        let seen = |(path, untold): (PathBuf, _)| Seen::Gone { sensor: sensor_of(folder, &path), path, untold };
        let mut news: Vec<Seen> = gone.map(seen).collect();
        let mut complete = Vec::new();
        self.settle(now);
        let is_settling = self.is_settling();
        self.ready.retain(|sensor, ready| {
            let room = self.room.queue.room(sensor, self.room.most);
            if room == 0 {
                self.room.queue.tell(sensor, 0, ready.len());
                return !ready.is_empty();
            }
            let came = |path: &PathBuf| is_settling && !self.stood.contains(path);
            let waits: BTreeSet<PathBuf> = ready.extract_if(.., came).collect();
            let told = complete.len();
            for path in take_oldest(ready, room, &self.files) {
                if let Some(file) = self.files.get_mut(&path)
                    && let State::Complete { identity, .. } = &file.state
                {
                    file.told = Told::Complete;
                    complete.push(Arrival { sensor: sensor.clone(), identity: identity.clone(), path });
                }
            }
            ready.extend(waits);
            self.room.queue.tell(sensor, complete.len() - told, ready.len());
            !ready.is_empty()
        });
        if !complete.is_empty() {
            complete.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            news.push(Seen::Complete(complete));
        }
        news.extend(growing);
        news
    }

    /// Whether files are complete that no line has room for.
    pub(in crate::watch::arrivals) fn is_behind(&self) -> bool {
        !self.ready.is_empty()
    }
}

/// Takes so many paths, those of the files that were changed first.
fn take_oldest(ready: &mut BTreeSet<PathBuf>, most: usize, files: &BTreeMap<PathBuf, File>) -> BTreeSet<PathBuf> {
    if ready.len() <= most {
        return std::mem::take(ready);
    }
    let changed = |path: &PathBuf| files.get(path).and_then(|file| file.stamp.modified);
    let mut by_time: Vec<_> = ready.iter().map(|path| (changed(path), path)).collect();
    let (oldest, ..) = by_time.select_nth_unstable(most);
    let oldest: BTreeSet<PathBuf> = oldest.iter().map(|(_, path)| (*path).clone()).collect();
    ready.retain(|path| !oldest.contains(path));
    oldest
}
