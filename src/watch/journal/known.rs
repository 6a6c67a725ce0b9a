//! What a journal tells, and is told.

use std::path::PathBuf;

use crate::time::Timestamp;
use crate::watch::Identity;

/// A file that is handed to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fed {
    /// Where it lay.
    pub path: PathBuf,
    /// What it is.
    pub identity: Identity,
    /// The time of its first packet; nothing if it has none.
    pub first: Option<Timestamp>,
    /// What the run is told with it: no packet before will come behind it.
    pub next: Option<Timestamp>,
}

/// What became of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Became {
    /// Packets read.
    pub packets: u64,
    /// The time of the latest packet; nothing if there was none.
    pub last: Option<Timestamp>,
    /// The first packet that views had and that is not before the file's first one, and the latest of these; nothing if there was none.
    pub seen: Option<[Timestamp; 2]>,
    /// Packets of a wild time, which no hour has.
    pub wild: u64,
    /// What ended it too early.
    pub damage: Option<String>,
}

impl Became {
    /// What is wrong with a file that was gone before anything of it was read.
    pub(in crate::watch) const UNREAD: &str = "it was gone before it was read";

    /// Of such a file.
    pub(in crate::watch) fn unread() -> Became {
        Became { damage: Some(Became::UNREAD.into()), ..Became::default() }
    }

    /// Whether it is such a file.
    pub(in crate::watch) fn is_unread(&self) -> bool {
        self.damage.as_deref() == Some(Became::UNREAD)
    }
}

/// A step of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file.
    File {
        /// Where it stands.
        place: i64,
        /// What was handed over.
        fed: Fed,
        /// What became of it; nothing before it is read.
        became: Option<Became>,
    },
    /// The wall clock spoke.
    Quiet {
        /// Where it stands.
        place: i64,
        /// No packet before this comes behind it.
        until: Timestamp,
        /// It was known that one from then on does.
        follows: bool,
    },
}

impl Entry {
    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> i64 {
        match self {
            Entry::File { place, .. } | Entry::Quiet { place, .. } => *place,
        }
    }
}

/// How far a product of a sensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Out {
    /// Hours before this are out; [`Timestamp::MIN`] if none is.
    pub until: Timestamp,
    /// What is to come needs no packet before this.
    pub needs: Timestamp,
}

impl Out {
    /// Nothing is out.
    pub const NOTHING: Out = Out { until: Timestamp::MIN, needs: Timestamp::MIN };
}

/// A file of an hour, or of a capture by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it lies, from the output folder on.
    pub path: PathBuf,
    /// When its hour begins; of a capture, its first packet, or 1970 if it has none.
    pub hour: Timestamp,
    /// Bytes.
    pub bytes: u64,
    /// Records in it.
    pub rows: u64,
}

/// A step of a product of a sensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The product.
    pub product: String,
    /// How far it is behind this step.
    pub out: Out,
    /// The file of an hour that is out by it.
    pub file: Option<Written>,
    /// Files of hours that had some and have no records now.
    pub gone: Vec<PathBuf>,
}

/// A file of an hour, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hour {
    /// The sensor.
    pub sensor: String,
    /// The product.
    pub product: String,
    /// The file.
    pub file: Written,
    /// It lay there before the journal, and stays as it is.
    pub stays: bool,
}

/// Records that a capture has by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Where they lie in the folder of each product, without their ending. One capture has a place.
    pub records: PathBuf,
    /// Where the capture lay when they were made.
    pub capture: PathBuf,
    /// What it is.
    pub identity: Identity,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is in the sequence of its sensor.
    Fed,
    /// It came when its hours were out and could not be made anew.
    Late,
    /// It could not be read.
    Quarantined,
    /// It was in the sequence, and nothing needs it any more.
    Done,
    /// It gets no records by itself, and is in no sequence, or not yet.
    Refused,
}

/// A file beside the sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Its sensor.
    pub sensor: String,
    /// Where it lay.
    pub path: PathBuf,
    /// What it is.
    pub identity: Identity,
    /// [`State::Late`], [`State::Quarantined`], or [`State::Refused`], whatever else became of it.
    pub state: State,
    /// Why.
    pub reason: String,
}

/// How much the journal holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files in sequences.
    pub fed: u64,
    /// Of these, files that are not read yet.
    pub unread: u64,
    /// Files that came too late.
    pub late: u64,
    /// Files that could not be read.
    pub quarantined: u64,
    /// Files that nothing needs any more and that were not removed from here.
    pub done: u64,
    /// Files in no sequence that get no records by themselves.
    pub refused: u64,
    /// Files of hours.
    pub hours: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Records in these.
    pub rows: u64,
}

/// A file of the watched folder that was given to the pipeline and is not removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::watch) struct Held {
    /// Its row.
    pub(in crate::watch) id: i64,
    pub(in crate::watch) sensor: String,
    pub(in crate::watch) path: PathBuf,
    pub(in crate::watch) identity: Identity,
    /// Whether nothing of it is to be read any more: it is read, or no part of a sequence.
    pub(in crate::watch) read: bool,
    /// It came too late, and nothing of it was read.
    pub(in crate::watch) late: bool,
    /// Its latest packet, if it is known to have one.
    pub(in crate::watch) last: Option<Timestamp>,
    /// Whether the records that it has by itself are out under its name.
    pub(in crate::watch) own: bool,
    /// Whether it gets none under this name.
    pub(in crate::watch) refused: bool,
}
