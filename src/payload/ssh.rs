//! SSH: the identification lines (RFC 4253, section 4.2).

use super::protocol::{Context, Foreign};
use super::segment::End;
use super::stream::{Shown, Step};

/// What the identification lines say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ssh {
    /// The client's, such as `SSH-2.0-OpenSSH_9.6`.
    pub client: Option<String>,
    /// The server's.
    pub server: Option<String>,
}

/// What an identification line begins with.
pub(super) const START: &[u8] = b"SSH-";

/// Lines that a server may send in front of its identification.
const LINES: u8 = 64;
/// The longest line: RFC 4253 has 255 bytes, old servers more.
const LINE: usize = 1024;

/// Reads both directions of an SSH connection up to their identification.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SshReader {
    lines: [u8; 2],
}

impl SshReader {
    pub(super) fn read(&mut self, from: End, shown: Shown<'_>, context: &mut Context<'_>) -> Result<Step, Foreign> {
        let Shown::Bytes(bytes) = shown else { return Ok(Step::Closed) };
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            return Ok(if bytes.len() < LINE { Step::Wants(bytes.len() + 1) } else { Step::Closed });
        };
        let line = bytes[..end].trim_ascii_end();
        if line.starts_with(START) {
            let text = context.fields.text(line, context.limits);
            let client = context.is_client(from);
            let ssh = context.fields.ssh.get_or_insert_default();
            if client {
                ssh.client = text
            } else {
                ssh.server = text
            }
            return Ok(Step::Closed);
        }
        let lines = &mut self.lines[from as usize];
        *lines += 1;
        Ok(if *lines < LINES { Step::Took(end as u64 + 1) } else { Step::Closed })
    }
}
