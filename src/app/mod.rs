//! What payload says: readers of application protocols that add a section to a group.
//!
//! An [`Enricher`] sees the captured TCP payload of packets sent to a port of one of its services. It writes
//! what it finds into [`Notes`], which the groups view keeps a slice and a sender, merges in any order, and hands back
//! to [`Enricher::finish`] when the window closes. Only the notes of the client's side are asked for. An enricher
//! keeps no state of its own, so the result cannot depend on the order of packets, files or threads.

pub mod ftp;
pub mod http;
pub mod lexicon;
pub mod notes;
pub mod sample;
pub mod smb;

pub use notes::{Notes, Section, Segment};

/// Reads one application protocol for the groups view.
///
/// A library user adds one by handing it to [`crate::views::groups::Groups`]; nothing in the engine names a protocol.
pub trait Enricher: Send + Sync {
    /// The service labels whose payload it wants, as in the service map (`http`).
    fn services(&self) -> &[&str];

    /// Reads the captured payload of one TCP segment and notes what it says.
    fn read(&self, segment: &Segment<'_>, notes: &mut Notes);

    /// Turns a slice's notes into its section, or nothing when there is nothing to tell.
    fn finish(&self, notes: Notes) -> Option<Section>;
}
