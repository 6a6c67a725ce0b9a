//! The pipeline of a sensor: captures arrive, records come out, and a restart at any moment changes nothing.
//!
//! ```text
//! folder -> arrivals -> (a line for each sensor: order -> engine -> hours) -> records
//!                          \______________ journal ______________/
//!                keeper (retention, disk)      health (metrics, status)
//! ```
//!
//! # Files
//!
//! [`arrivals`] says which files are complete: by close or rename, by a successor, or by not having grown. A file is known by its [`Identity`].
//! The first folder below the watched one names the sensor; files beside these folders are of the sensor [`LOCAL`].
//!
//! # A line
//!
//! All files of a sensor are one run of the engine that does not end ([`Engine::stream`](crate::engine::Engine::stream)), so flows live across
//! files. A line puts files in the order of their first packets (`line/waiting.rs`), feeds the run (`feeding.rs`, after a restart `replay.rs`), and
//! turns back (`turning.rs`). When packets come no more, the wall clock takes their place: at the end of an hour and the time of a rotation and a
//! grace, the run is told that no packet before will come.
//!
//! A line is there while its sensor has something to do: it begins with a file, or at a start with what the journal says is not finished
//! ([`Journal::unfinished`](journal::Journal::unfinished)), and ends a moment after nothing is left, neither to read nor for the clock to close. That is an ordered stop of the
//! line alone: nothing is closed by it, and the one that begins with the next file goes on from the journal, as after a restart.
//!
//! # Hours and captures
//!
//! A product by the hour has a file an hour (`hours.rs`), `OUT/<product>/<sensor>/YYYY/MM/DD/HH.<ext>`. A group is of the hour of its window, a flow of
//! the hour of its last packet, a bucket of the hour in which it begins. A file appears whole, when the hour is complete: nothing of it can come any
//! more, by what the view says that makes it (`standing.rs`). A view says at each marker from when on records are still to come, so nobody else has to
//! guess what it holds. A record of an hour that is out stands in the first that is not, and is counted (`hours.rs`): packets that come late
//! inside their file make such, and nothing else does; but the rows of a gap that began before the wall clock closed its hour stand there, too.
//! Such packets are in no group, and those of a wild time in no hour: they are counted (`wild.rs`).
//!
//! A product by the capture has a file for each, `OUT/<product>/<sensor>/<its place in the sensor's folder>.<ext>`: what the commands make of it
//! (`products/by_capture.rs`), when it has come, whatever its place among the others. The journal has which captures have theirs. Where nothing is made by
//! the hour, no run reads a capture a second time.
//!
//! # Exactly once
//!
//! Output is a pure function of files, their order, and the moments at which the wall clock spoke. The journal has these, and for each
//! product up to where its hours are out. Live flows are not journalled: after a crash, files are read again from where the oldest flow began that
//! can still be in an hour to come (`spans.rs`), in the same order, and what is out already is not written again. An hour's file is written before the
//! journal says so; if that is lost, the same bytes are written again in its place. Where the journal itself is lost, what hours it had written lie
//! there and stay as they are (`lying.rs`): captures that they are made of may be gone. For all products one place (`outlet.rs`) knows what is out, and what
//! lies there of hours that are made again, or that somebody was stopped at: it goes if they have no records any more. Where a run ends because no more
//! is wanted than there is, all products are out in one step.
//!
//! A file that begins before where the run's clock has come to turns the line back: hours from there on count as not out, and are made again from
//! the captures that are held. The clock stays a little behind the last packet, so that disorder between two files turns nothing back. The journal
//! has, for each time up to which hours were out, from where captures are needed for that. If one of these is gone, the file is `late`, and nothing
//! of it is in an hour: to make flows again without their beginnings would cut what is out whole. A capture that is only away is waited for, and
//! when it is back later, late files are looked at again.

pub mod arrivals;

pub mod health;
mod hours;
pub mod journal;

pub mod keeper;
mod line;
mod looks;
mod lying;
mod made_with;
mod outlet;
mod output;
mod permits;
mod pipeline;
mod products;
mod punctual;
mod queue;
mod settings;
mod sifted;
mod spans;
mod standing;
#[cfg(test)]
mod tests;
mod unreadable;
mod wild;

pub use crate::capture::Identity;
pub use line::Ended;
pub use made_with::full_names;
pub use pipeline::{Pipeline, Stop};
pub use products::Product;
pub use settings::{Keep, Settings, WhenFull};

/// The sensor of files that lie in the watched folder itself.
pub const LOCAL: &str = "local";
