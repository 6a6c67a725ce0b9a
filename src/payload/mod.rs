//! What the payload of a flow says: TLS, HTTP/1, DNS, QUIC, SSH, mail and file commands, ICMP, SCTP.
//!
//! A [`Conversation`] is the state of one flow. It is shown the flow's packets in capture order, and yields [`Fields`]
//! when the flow has ended:
//!
//! ```
//! use pcap_compactor::Timestamp;
//! use pcap_compactor::payload::{Conversation, End, Limits, Segment};
//!
//! let limits = Limits::default();
//! let mut conversation = Conversation::default();
//! let banner = b"SSH-2.0-OpenSSH_9.6\r\n";
//! let segment = Segment {
//!     from: End::B,
//!     time: Timestamp(0),
//!     protocol: 6,
//!     ports: [22, 50_000],
//!     seq: 1,
//!     flags: 0x18,
//!     payload: banner,
//!     cut: 0,
//! };
//! conversation.push(&segment, &limits);
//! let fields = conversation.finish(&limits).unwrap();
//! assert_eq!(fields.ssh.unwrap().server.as_deref(), Some("SSH-2.0-OpenSSH_9.6"));
//! ```
//!
//! Protocols are told by content; a port only decides where content leaves it open. A flow that nothing was recognised in
//! holds no memory beyond the `Conversation` itself, and is given up after [`ATTEMPTS`] looks at each direction. TCP payload
//! is put in order of sequence; IP fragments are put together by [`fragments`] before they get here.
//!
//! For any bytes: no panic, memory within [`Limits`], time linear in the bytes. What cannot be read is left out and the
//! rest stays. Nothing is decrypted but QUIC's Initial packets, whose keys are public; nothing is decompressed.

pub mod columns;
pub mod commands;
pub mod dns;
pub mod fields;
pub mod fragments;
pub mod http;
pub mod icmp;
pub mod quic;
pub mod sctp;
pub mod segment;
pub mod ssh;
pub mod tls;

mod conversation;
mod detect;
mod protocol;
mod stream;
mod text;

pub use columns::{COLUMNS, Cell, Column};
pub use conversation::{ATTEMPTS, Conversation};
pub use fields::{Fields, Limits};
pub use segment::{End, Segment};

#[cfg(test)]
mod tests;
