//! FTP, SMTP, IMAP and POP3: which commands were given. Their arguments are not kept: they hold passwords.

use super::detect::starts_with;
use super::fields::Fields;
use super::protocol::{Context, Foreign};
use super::segment::End;
use super::stream::{Shown, Step};
use super::tls;

/// What the lines of a command protocol say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commands {
    /// The server's first line.
    pub greeting: Option<String>,
    /// The client's commands in order, in capital letters, up to [`Limits::items`](super::Limits::items).
    pub commands: Vec<&'static str>,
    /// All commands.
    pub count: u32,
    /// Code of the server's last reply to a command, of FTP: three digits.
    pub code: Option<u16>,
}

/// A protocol of commands and replies in lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ftp,
    Smtp,
    Imap,
    Pop,
}

/// RFC 959 with RFC 2228, 2389, 2428, 2640, 3659 and what servers added.
const FTP: [&str; 59] = [
    "USER", "PASS", "ACCT", "CWD", "CDUP", "SMNT", "QUIT", "REIN", "PORT", "PASV", "TYPE", "STRU", "MODE", "RETR",
    "STOR", "STOU", "APPE", "ALLO", "REST", "RNFR", "RNTO", "ABOR", "DELE", "RMD", "MKD", "PWD", "LIST", "NLST",
    "SITE", "SYST", "STAT", "HELP", "NOOP", "AUTH", "ADAT", "PROT", "PBSZ", "CCC", "MIC", "CONF", "ENC", "FEAT",
    "OPTS", "EPRT", "EPSV", "LANG", "MDTM", "MLST", "MLSD", "SIZE", "CLNT", "XPWD", "XCWD", "XMKD", "XRMD", "XCUP",
    "MFMT", "HASH", "HOST",
];
/// RFC 5321 with RFC 3030, 3207, 4954 and 1985.
const SMTP: [&str; 20] = [
    "EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "RSET", "VRFY", "EXPN", "HELP", "NOOP", "QUIT", "AUTH", "STARTTLS",
    "BDAT", "ETRN", "TURN", "SEND", "SOML", "SAML",
];
/// RFC 9051 with RFC 2087, 2177, 2342, 2971, 4314, 4978, 5161, 5256 and 6851.
const IMAP: [&str; 42] = [
    "CAPABILITY",
    "NOOP",
    "LOGOUT",
    "STARTTLS",
    "AUTHENTICATE",
    "LOGIN",
    "ENABLE",
    "SELECT",
    "EXAMINE",
    "CREATE",
    "DELETE",
    "RENAME",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "LIST",
    "LSUB",
    "XLIST",
    "NAMESPACE",
    "STATUS",
    "APPEND",
    "IDLE",
    "CHECK",
    "CLOSE",
    "UNSELECT",
    "EXPUNGE",
    "SEARCH",
    "FETCH",
    "STORE",
    "COPY",
    "MOVE",
    "UID",
    "ID",
    "SORT",
    "THREAD",
    "COMPRESS",
    "GETQUOTA",
    "GETQUOTAROOT",
    "SETQUOTA",
    "GETACL",
    "SETACL",
    "MYRIGHTS",
    "NOTIFY",
];
/// RFC 1939 with RFC 2449, 2595 and 5034.
const POP: [&str; 15] = [
    "USER", "PASS", "APOP", "AUTH", "CAPA", "STLS", "STAT", "LIST", "RETR", "DELE", "NOOP", "RSET", "TOP", "UIDL",
    "QUIT",
];

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::Ftp, Kind::Smtp, Kind::Imap, Kind::Pop];

    /// Ports that hint at it.
    pub(super) fn ports(self) -> &'static [u16] {
        match self {
            Kind::Ftp => &[21],
            Kind::Smtp => &[25, 587, 465, 2525],
            Kind::Imap => &[143],
            Kind::Pop => &[110],
        }
    }

    fn verbs(self) -> &'static [&'static str] {
        match self {
            Kind::Ftp => &FTP,
            Kind::Smtp => &SMTP,
            Kind::Imap => &IMAP,
            Kind::Pop => &POP,
        }
    }

    fn verb(self, word: &[u8]) -> Option<&'static str> {
        self.verbs().iter().copied().find(|verb| verb.as_bytes().eq_ignore_ascii_case(word))
    }

    fn fields(self, fields: &mut Fields) -> &mut Commands {
        let place = match self {
            Kind::Ftp => &mut fields.ftp,
            Kind::Smtp => &mut fields.smtp,
            Kind::Imap => &mut fields.imap,
            Kind::Pop => &mut fields.pop,
        };
        place.get_or_insert_default()
    }
}

/// Whether bytes begin a greeting, or a command on a port that hints at its protocol; nothing where there are too few to
/// tell.
pub(super) fn begins(bytes: &[u8], hint: Option<Kind>) -> Option<bool> {
    let starts: [&[u8]; 10] =
        [b"220 ", b"220-", b"+OK ", b"+OK\r", b"* OK ", b"* PREAUTH ", b"* BYE ", b"EHLO ", b"HELO ", b"LHLO "];
    let mut open = false;
    for start in starts {
        match starts_with(bytes, start) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => open = true,
        }
    }
    if open {
        return None;
    }
    let Some(kind) = hint else { return Some(false) };
    match bytes.iter().position(|byte| !byte.is_ascii_alphanumeric()) {
        Some(end) if kind == Kind::Imap => {
            let word = bytes[end..].trim_ascii_start().split(u8::is_ascii_whitespace).next();
            Some(word.is_some_and(|word| kind.verb(word).is_some()))
        }
        Some(end) => Some(kind.verb(&bytes[..end]).is_some() || reply(bytes).is_some()),
        None if bytes.len() <= VERB => None,
        None => Some(false),
    }
}

/// The longest verb, or tag in front of one.
const VERB: usize = 16;
/// The longest line that is read; what is longer is no command.
const LINE: usize = 4096;

/// Reads both directions of a command protocol.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommandsReader {
    kind: Option<Kind>,
    hint: Option<Kind>,
    client: Option<End>,
    mail: Mail,
    /// Lines of the client's that had no reply yet: the reply to a request to send a mail is that to the last of them.
    unanswered: u32,
    /// A line of each direction is longer than any that is read, and goes on.
    long: [bool; 2],
}

/// Whether the client's lines are a mail (SMTP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mail {
    No,
    /// It asked to send one.
    Asked,
    /// It sends one, up to a line with a dot alone.
    Sends,
}

impl CommandsReader {
    pub(super) fn new(hint: Option<Kind>) -> CommandsReader {
        CommandsReader { kind: None, hint, client: None, mail: Mail::No, unanswered: 0, long: [false; 2] }
    }

    pub(super) fn read(&mut self, from: End, shown: Shown<'_>, context: &mut Context<'_>) -> Result<Step, Foreign> {
        let Shown::Bytes(bytes) = shown else {
            // A mail may have ended in the gap, or its text may go on behind it: text is no command, commands are lost.
            self.long[from as usize] = true;
            return Ok(Step::Took(1));
        };
        match tls::begins(bytes) {
            Some(true) => return Err(Foreign::Tls),
            None => return Ok(Step::Wants(bytes.len() + 1)),
            Some(false) => {}
        }
        let long = &mut self.long[from as usize];
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            if bytes.len() < LINE && !*long {
                return Ok(Step::Wants(bytes.len() + 1));
            }
            *long = true;
            return Ok(Step::Took(bytes.len() as u64));
        };
        let used = end as u64 + 1;
        if std::mem::take(long) {
            return Ok(Step::Took(used));
        }
        let line = bytes[..end].trim_ascii_end();
        let more = self.line(from, line, context);
        Ok(Step::Took(used.saturating_add(more)))
    }

    /// Reads a line; says how many bytes behind it are data.
    fn line(&mut self, from: End, line: &[u8], context: &mut Context<'_>) -> u64 {
        if self.client != Some(from) && self.reply(from, line, context) {
            return 0;
        }
        if self.client.is_some_and(|client| client != from) {
            return 0;
        }
        if self.mail == Mail::Sends {
            if line == b"." {
                self.mail = Mail::No;
                self.unanswered = 1;
            }
            return 0;
        }
        self.unanswered = self.unanswered.saturating_add(1);
        self.command(from, line, context)
    }

    /// Reads a line of the server's; false if it is none.
    fn reply(&mut self, from: End, line: &[u8], context: &mut Context<'_>) -> bool {
        let kind = match reply(line) {
            Some(Reply::Pop) => Some(Kind::Pop),
            Some(Reply::Imap) => Some(Kind::Imap),
            Some(Reply::Code(code)) => {
                // All lines of a reply but its last have a dash behind the code.
                let last = line.get(3) != Some(&b'-');
                if self.mail == Mail::Asked && code == *b"354" {
                    self.mail = Mail::Sends;
                } else if self.mail == Mail::Asked && last && self.unanswered <= 1 {
                    self.mail = Mail::No;
                }
                self.unanswered = self.unanswered.saturating_sub(u32::from(last));
                self.note_code(code, context.fields);
                let says = |word: &[u8]| line.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
                let told = if says(b"ftp") {
                    Some(Kind::Ftp)
                } else {
                    (says(b"smtp") || says(b"postfix")).then_some(Kind::Smtp)
                };
                let hint = self.hint.filter(|hint| matches!(hint, Kind::Ftp | Kind::Smtp));
                self.kind.or(hint).or(told)
            }
            None => return false,
        };
        if self.client.is_none() {
            self.client = Some(from.other());
            self.kind = self.kind.or(kind);
            // A greeting that may be of either is kept with the first command that tells.
            if let Some(kind) = self.kind {
                let text = context.fields.text(line, context.limits);
                kind.fields(context.fields).greeting = text;
            }
        }
        true
    }

    /// Notes what FTP answers to a command; in front of the first there is but the greeting.
    fn note_code(&self, code: [u8; 3], fields: &mut Fields) {
        if self.kind == Some(Kind::Ftp)
            && let Some(ftp) = fields.ftp.as_mut().filter(|ftp| ftp.count > 0)
        {
            ftp.code = Some(code.into_iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')));
        }
    }

    /// Reads a line of the client's; says how many bytes behind it are data.
    fn command(&mut self, from: End, line: &[u8], context: &mut Context<'_>) -> u64 {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let Some(first) = words.next() else { return 0 };
        let kinds = self.kind.or(self.hint).map_or(&[Kind::Smtp, Kind::Ftp][..], |kind| match kind {
            Kind::Ftp => &[Kind::Ftp],
            Kind::Smtp => &[Kind::Smtp],
            Kind::Imap => &[Kind::Imap],
            Kind::Pop => &[Kind::Pop],
        });
        let second = words.next();
        let word = |kind: Kind| if kind == Kind::Imap { second.unwrap_or_default() } else { first };
        let known = kinds.iter().find_map(|&kind| Some((kind, kind.verb(word(kind))?)));
        let literal = if self.kind == Some(Kind::Imap) { literal(line) } else { 0 };
        let Some((kind, verb)) = known else { return literal };
        self.kind = Some(kind);
        self.client = Some(from);
        let kept = context.fields.room(context.limits);
        let commands = kind.fields(context.fields);
        commands.count = commands.count.saturating_add(1);
        if kept {
            commands.commands.push(verb);
        }
        match (kind, verb) {
            (Kind::Smtp, "DATA") => self.mail = Mail::Asked,
            (Kind::Smtp, "BDAT") => return second.and_then(number).unwrap_or(0),
            _ => {}
        }
        literal
    }
}

/// What a line of a server begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    /// Three digits (FTP, SMTP).
    Code([u8; 3]),
    Pop,
    Imap,
}

fn reply(line: &[u8]) -> Option<Reply> {
    let code = line.first_chunk::<3>().filter(|code| code.iter().all(u8::is_ascii_digit));
    if let Some(code) = code.filter(|_| matches!(line.get(3), None | Some(b' ' | b'-'))) {
        return Some(Reply::Code(*code));
    }
    if line.starts_with(b"+OK") || line.starts_with(b"-ERR") {
        return Some(Reply::Pop);
    }
    line.starts_with(b"* ").then_some(Reply::Imap)
}

/// Bytes of the literal that an IMAP line ends with: `{12}` or `{12+}` (RFC 9051, section 4.3).
fn literal(line: &[u8]) -> u64 {
    let inner = line.strip_suffix(b"}").and_then(|line| Some(&line[memchr::memrchr(b'{', line)? + 1..]));
    inner.map(|inner| inner.strip_suffix(b"+").unwrap_or(inner)).and_then(number).unwrap_or(0)
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
