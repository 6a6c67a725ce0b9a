//! Captures from an interface, made by tcpdump.
//!
//! tcpdump captures; its packets come through a pipe, and are put into files here. That is for five reasons: a file holds whole
//! records only, whatever ends tcpdump; a name is never used twice, where `tcpdump -w` would empty the file that has it;
//! files are cut by packet time, and one is finished on time though no packet comes; tcpdump, which gives up its
//! privileges, needs no right to write; and when this process is killed, tcpdump ends at the next packet that matches, since
//! nobody reads its pipe any more. No packet is lost from one file to the next: one tcpdump writes for all of them.
//!
//! [`Capture`] says what is captured, [`Output`] where it goes. [`Episode`] is one run of tcpdump; [`Supervisor`] starts it again
//! when it dies, for as long as it takes, and tells what happens. No shell is involved, and nothing is printed.
//!
//! It does not read packets beyond their times and lengths, delete old files, or force files to the disk: they are the operating system's
//! to write. Unix only.

mod capture;
mod episode;
mod failure;
mod pump;
mod said;
mod store;
mod stream;
mod supervisor;

pub use capture::{Capture, LONGEST_FILTER, LONGEST_NAME, LONGEST_SNAPLEN};
pub use episode::{Ended, Episode};
pub use failure::Failure;
pub use said::Counts;
pub use store::{Folder, Output, Written};
pub use supervisor::{Event, Patience, Supervisor};
