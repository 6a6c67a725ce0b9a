//! The fields as flat columns: one table for every way of writing them.
//!
//! Lists of one kind of thing go together by position: the third `http_host` is that of the third `http_method`. An element
//! that is not there is null.

use std::borrow::Cow;

use serde::ser::{Serialize, Serializer};

use super::commands::Commands;
use super::dns::{Dns, Lookup};
use super::fields::Fields;
use super::http::{Http, Request, Response};
use super::tls::{Certificate, ClientHello, Tls, version_name};
use crate::Timestamp;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What its cells hold, where they hold anything.
    pub kind: Kind,
    /// The unit of its numbers; empty if they have none.
    pub unit: &'static str,
    /// What it says.
    pub about: &'static str,
    /// A flow's cell.
    pub cell: fn(&Fields) -> Cell<'_>,
}

/// What the cells of a column hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Yes or no.
    Flag,
    /// A number.
    Number,
    /// Text.
    Text,
    /// Numbers, by position.
    Numbers,
    /// Texts, by position.
    Texts,
    /// Points in time, by position.
    Times,
    /// Lists of texts, by position.
    TextLists,
}

/// What a cell holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'f> {
    /// Nothing.
    Absent,
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(i64),
    /// Text.
    Text(Cow<'f, str>),
    /// A point in time.
    Time(Timestamp),
    /// Several, by position.
    List(Vec<Cell<'f>>),
}

impl Cell<'_> {
    /// Whether it holds nothing; an empty list holds nothing.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        match self {
            Cell::Absent => true,
            Cell::List(list) => list.is_empty(),
            _ => false,
        }
    }
}

/// Times are written as seconds with nine decimals, in quotes.
impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Absent => serializer.serialize_none(),
            Cell::Flag(flag) => serializer.serialize_bool(*flag),
            Cell::Number(number) => serializer.serialize_i64(*number),
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Time(time) => serializer.collect_str(time),
            Cell::List(list) => serializer.collect_seq(list),
        }
    }
}

impl<'f, T: Into<Cell<'f>>> From<Option<T>> for Cell<'f> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Absent, Into::into)
    }
}

impl<'f> From<&'f String> for Cell<'f> {
    fn from(text: &'f String) -> Self {
        Cell::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Cell::Text(Cow::Owned(text))
    }
}

impl From<&'static str> for Cell<'_> {
    fn from(text: &'static str) -> Self {
        Cell::Text(Cow::Borrowed(text))
    }
}

impl From<bool> for Cell<'_> {
    fn from(flag: bool) -> Self {
        Cell::Flag(flag)
    }
}

impl From<Timestamp> for Cell<'_> {
    fn from(time: Timestamp) -> Self {
        Cell::Time(time)
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl From<$number> for Cell<'_> {
            fn from(number: $number) -> Self {
                Cell::Number(i64::from(number))
            }
        }
    )*};
}
numbers!(u8, u16, u32, i64);

impl From<u64> for Cell<'_> {
    fn from(number: u64) -> Self {
        Cell::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

fn list<'f, T: Into<Cell<'f>>>(items: impl IntoIterator<Item = T>) -> Cell<'f> {
    Cell::List(items.into_iter().map(Into::into).collect())
}

fn tls<'f, T: Into<Cell<'f>>>(fields: &'f Fields, cell: impl FnOnce(&'f Tls) -> T) -> Cell<'f> {
    fields.tls.as_deref().map(cell).into()
}

fn offered(fields: &Fields, values: impl FnOnce(&ClientHello) -> &[u16]) -> Cell<'_> {
    let hello = fields.tls.as_deref().and_then(|tls| tls.offered.as_deref());
    hello.map_or(Cell::Absent, |hello| list(values(hello).iter().copied()))
}

fn certificates<'f, T: Into<Cell<'f>>>(fields: &'f Fields, cell: impl Fn(&'f Certificate) -> T) -> Cell<'f> {
    tls(fields, |tls| list(tls.certificates.iter().map(cell)))
}

fn http<'f, T: Into<Cell<'f>>>(fields: &'f Fields, cell: impl FnOnce(&'f Http) -> T) -> Cell<'f> {
    fields.http.as_deref().map(cell).into()
}

fn requests<'f, T: Into<Cell<'f>>>(fields: &'f Fields, cell: impl Fn(&'f Request) -> T) -> Cell<'f> {
    http(fields, |http| list(http.requests.iter().map(cell)))
}

fn responses<'f, T: Into<Cell<'f>>>(fields: &'f Fields, cell: impl Fn(&'f Response) -> T) -> Cell<'f> {
    http(fields, |http| list(http.responses.iter().map(cell)))
}

fn dns<'f, T: Into<Cell<'f>>>(fields: &'f Fields, cell: impl FnOnce(&'f Dns) -> T) -> Cell<'f> {
    fields.dns.as_deref().map(cell).into()
}

fn lookups<'f, T: Into<Cell<'f>>>(fields: &'f Fields, cell: impl Fn(&'f Lookup) -> T) -> Cell<'f> {
    dns(fields, |dns| list(dns.lookups.iter().map(cell)))
}

fn commands(commands: &Option<Box<Commands>>) -> Cell<'_> {
    commands.as_deref().map(|commands| list(commands.commands.iter().copied())).into()
}

fn greeting(commands: &Option<Box<Commands>>) -> Cell<'_> {
    commands.as_deref().and_then(|commands| commands.greeting.as_ref()).into()
}

const fn column(name: &'static str, kind: Kind, about: &'static str, cell: fn(&Fields) -> Cell<'_>) -> Column {
    Column { name, kind, unit: "", about, cell }
}

/// As [`column`], of numbers with a unit.
const fn measured(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    about: &'static str,
    cell: fn(&Fields) -> Cell<'_>,
) -> Column {
    Column { unit, ..column(name, kind, about, cell) }
}

use Kind::{Flag, Number, Numbers, Text, TextLists, Texts, Times};

/// All columns, in the order in which they are written.
pub const COLUMNS: &[Column] = &[
    column("app", Texts, "protocols found, outermost first", |f| list(f.apps())),
    column("app_gaps", Number, "places where TCP payload was missing", |f| (f.gaps > 0).then_some(f.gaps).into()),
    column("app_left_out", Number, "things found but not kept, for want of room", |f| {
        (f.left_out > 0).then_some(f.left_out).into()
    }),
    column("tls_version", Text, "version that the server chose", |f| tls(f, |t| t.version.map(version_name))),
    column("tls_cipher", Number, "cipher suite that the server chose", |f| tls(f, |t| t.cipher)),
    column("tls_alpn", Text, "application protocol that the server chose", |f| tls(f, |t| t.alpn.as_ref())),
    column("tls_group", Number, "group of the server's key share", |f| tls(f, |t| t.group)),
    column("tls_server_extensions", Numbers, "extension types of the server hello", |f| {
        tls(f, |t| list(t.server_extensions.iter().copied()))
    }),
    column("tls_sni", Text, "name that the client asked for, of TLS, DTLS and QUIC", |f| tls(f, |t| t.sni.as_ref())),
    column("tls_client_version", Text, "highest version that the client offered", |f| {
        tls(f, |t| t.client_version.map(version_name))
    }),
    column("tls_alpn_offered", Texts, "application protocols that the client offered", |f| {
        tls(f, |t| list(&t.alpn_offered))
    }),
    column("tls_ciphers", Numbers, "cipher suites that the client offered", |f| offered(f, |hello| &hello.ciphers)),
    column("tls_extensions", Numbers, "extension types of the client hello", |f| offered(f, |hello| &hello.extensions)),
    column("tls_groups", Numbers, "groups that the client offered", |f| offered(f, |hello| &hello.groups)),
    column("tls_signature_algorithms", Numbers, "signature algorithms that the client offered", |f| {
        offered(f, |hello| &hello.signature_algorithms)
    }),
    column("tls_ja3", Text, "JA3 of the client hello", |f| tls(f, |t| t.ja3.as_ref())),
    column("tls_ja3s", Text, "JA3S of the server hello", |f| tls(f, |t| t.ja3s.as_ref())),
    column("tls_ja4", Text, "JA4 of the client hello", |f| tls(f, |t| t.ja4.as_ref())),
    column("tls_hello_retry", Flag, "the server asked for a second client hello", |f| tls(f, |t| t.hello_retry)),
    column("tls_resumed", Flag, "the session is an earlier one", |f| tls(f, |t| t.resumed)),
    column("tls_cert_subject", Texts, "subjects of the server's certificates, its own first", |f| {
        certificates(f, |c| c.subject.as_ref())
    }),
    column("tls_cert_issuer", Texts, "their issuers", |f| certificates(f, |c| c.issuer.as_ref())),
    column("tls_cert_serial", Texts, "their serial numbers, hexadecimal", |f| certificates(f, |c| c.serial.as_ref())),
    column("tls_cert_not_before", Times, "when they become valid", |f| certificates(f, |c| c.not_before)),
    column("tls_cert_not_after", Times, "when they stop being valid", |f| certificates(f, |c| c.not_after)),
    column("tls_cert_san", TextLists, "subject alternative names of each", |f| certificates(f, |c| list(&c.names))),
    column("tls_cert_key_type", Texts, "algorithms of their public keys", |f| certificates(f, |c| c.key_type.as_ref())),
    measured("tls_cert_key_bits", Numbers, "bits", "sizes of their public keys", |f| certificates(f, |c| c.key_bits)),
    column("tls_cert_signature", Texts, "algorithms of their signatures", |f| {
        certificates(f, |c| c.signature.as_ref())
    }),
    column("tls_cert_sha256", Texts, "SHA-256 of their DER forms", |f| certificates(f, |c| &c.sha256)),
    column("tls_certs_unread", Number, "certificates that could not be read whole", |f| {
        tls(f, |t| (t.unread_certificates > 0).then_some(t.unread_certificates))
    }),
    column("tls_client_cert_subject", Texts, "subjects of the client's certificates", |f| {
        tls(f, |t| list(t.client_certificates.iter().map(|c| c.subject.as_ref())))
    }),
    column("tls_client_cert_sha256", Texts, "SHA-256 of their DER forms", |f| {
        tls(f, |t| list(t.client_certificates.iter().map(|c| &c.sha256)))
    }),
    column("http_requests", Number, "requests", |f| http(f, |h| h.request_count)),
    column("http_responses", Number, "responses", |f| http(f, |h| h.response_count)),
    column("http_pipelined", Number, "requests sent before an earlier one was answered", |f| http(f, |h| h.pipelined)),
    column("http_method", Texts, "methods of the requests", |f| requests(f, |r| r.method.as_ref())),
    column("http_host", Texts, "their hosts", |f| requests(f, |r| r.host.as_ref())),
    column("http_target", Texts, "their targets", |f| requests(f, |r| r.target.as_ref())),
    column("http_user_agent", Texts, "their user agents", |f| requests(f, |r| r.user_agent.as_ref())),
    column("http_request_content_type", Texts, "their content types", |f| requests(f, |r| r.content_type.as_ref())),
    measured("http_request_content_length", Numbers, "bytes", "their content lengths", |f| {
        requests(f, |r| r.content_length)
    }),
    column("http_status", Numbers, "status codes of the responses", |f| responses(f, |r| r.status)),
    column("http_content_type", Texts, "content types of the responses", |f| responses(f, |r| r.content_type.as_ref())),
    measured("http_content_length", Numbers, "bytes", "content lengths of the responses", |f| {
        responses(f, |r| r.content_length)
    }),
    column("dns_queries", Number, "query messages", |f| dns(f, |d| d.queries)),
    column("dns_responses", Number, "response messages", |f| dns(f, |d| d.responses)),
    column("dns_name", Texts, "names asked for or announced", |f| lookups(f, |l| &l.name)),
    column("dns_type", Numbers, "types asked for", |f| lookups(f, |l| l.kind)),
    column("dns_rcode", Numbers, "response codes", |f| lookups(f, |l| l.rcode)),
    column("dns_answers", TextLists, "data of the answers to each", |f| lookups(f, |l| list(&l.answers))),
    measured("dns_ttl", Numbers, "s", "lowest time to live of the answers to each", |f| lookups(f, |l| l.ttl)),
    measured("dns_latency_ns", Numbers, "ns", "from query to response", |f| lookups(f, |l| l.latency)),
    column("quic_version", Text, "version", |f| f.quic.as_deref().map(|quic| quic.version.name()).into()),
    column("ssh_client", Text, "identification of the client", |f| {
        f.ssh.as_deref().and_then(|ssh| ssh.client.as_ref()).into()
    }),
    column("ssh_server", Text, "identification of the server", |f| {
        f.ssh.as_deref().and_then(|ssh| ssh.server.as_ref()).into()
    }),
    column("ftp_greeting", Text, "first line of the FTP server", |f| greeting(&f.ftp)),
    column("ftp_commands", Texts, "commands of the FTP client", |f| commands(&f.ftp)),
    column("smtp_greeting", Text, "first line of the SMTP server", |f| greeting(&f.smtp)),
    column("smtp_commands", Texts, "commands of the SMTP client", |f| commands(&f.smtp)),
    column("imap_greeting", Text, "first line of the IMAP server", |f| greeting(&f.imap)),
    column("imap_commands", Texts, "commands of the IMAP client", |f| commands(&f.imap)),
    column("pop_greeting", Text, "first line of the POP3 server", |f| greeting(&f.pop)),
    column("pop_commands", Texts, "commands of the POP3 client", |f| commands(&f.pop)),
    column("icmp_types", Numbers, "types of the ICMP or ICMPv6 messages", |f| {
        f.icmp.as_deref().map(|icmp| list(icmp.kinds.iter().map(|kind| kind.0))).into()
    }),
    column("icmp_codes", Numbers, "their codes", |f| {
        f.icmp.as_deref().map(|icmp| list(icmp.kinds.iter().map(|kind| kind.1))).into()
    }),
    column("icmp_counts", Numbers, "messages of each type and code", |f| {
        f.icmp.as_deref().map(|icmp| list(icmp.kinds.iter().map(|kind| kind.2))).into()
    }),
    column("sctp_chunks", Numbers, "types of the SCTP chunks", |f| {
        f.sctp.as_deref().map(|sctp| list(sctp.chunks.iter().map(|chunk| chunk.0))).into()
    }),
    column("sctp_counts", Numbers, "chunks of each type", |f| {
        f.sctp.as_deref().map(|sctp| list(sctp.chunks.iter().map(|chunk| chunk.1))).into()
    }),
];
