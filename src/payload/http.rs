//! HTTP/1: requests and responses, pipelined ones included, and HTTP messages in datagrams (SSDP).
//!
//! Heads are read whole; bodies are skipped by their length (RFC 9112, section 6.3), so that the next message of the
//! connection is found behind them, also where part of a body was not captured. After a gap in a head, reading goes on at
//! the next segment that begins with a message.

use std::collections::VecDeque;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};

use super::fields::{Fields, Limits};
use super::protocol::{Context, Foreign};
use super::segment::End;
use super::stream::{Shown, Step};
use super::tls;

/// What HTTP messages say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Http {
    /// Requests in order, up to [`Limits::items`].
    pub requests: Vec<Request>,
    /// Responses in order, likewise.
    pub responses: Vec<Response>,
    /// All requests.
    pub request_count: u32,
    /// All responses.
    pub response_count: u32,
    /// Requests that were sent while an earlier one had no response yet.
    pub pipelined: u32,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Method.
    pub method: Option<String>,
    /// Request target.
    pub target: Option<String>,
    /// `Host` header.
    pub host: Option<String>,
    /// `User-Agent` header.
    pub user_agent: Option<String>,
    /// `Content-Type` header.
    pub content_type: Option<String>,
    /// `Content-Length` header, in bytes.
    pub content_length: Option<u64>,
}

/// A response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// `Content-Type` header.
    pub content_type: Option<String>,
    /// `Content-Length` header, in bytes.
    pub content_length: Option<u64>,
}

/// Methods that make a message HTTP without a look at the rest of its first line (IANA, HTTP Method Registry; Microsoft's
/// RPC over HTTP; SSDP).
const METHODS: [&[u8]; 32] = [
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
    b"TRACE ",
    b"PATCH ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
    b"UNLOCK ",
    b"REPORT ",
    b"SEARCH ",
    b"MERGE ",
    b"CHECKOUT ",
    b"CHECKIN ",
    b"MKACTIVITY ",
    b"VERSION-CONTROL ",
    b"BIND ",
    b"ACL ",
    b"M-SEARCH ",
    b"NOTIFY ",
    b"SUBSCRIBE ",
    b"UNSUBSCRIBE ",
    b"RPC_IN_DATA ",
    b"RPC_OUT_DATA ",
    b"CCM_POST ",
];
const RESPONSE: &[u8] = b"HTTP/1.";
const VERSION: &[u8] = b"HTTP/";

/// Headers read of one message; a message with more is taken for its first line alone.
const HEADERS: usize = 128;

/// The longest line between chunks: a size has at most 16 digits, and nobody sends long extensions.
const CHUNK_LINE: usize = 4096;

/// Outstanding requests that are remembered, for what their responses' bodies depend on.
const OUTSTANDING: usize = 1024;

/// Whether bytes begin an HTTP message; nothing where there are too few to tell.
pub(super) fn begins(bytes: &[u8]) -> Option<bool> {
    let mut open = false;
    for start in METHODS.iter().copied().chain([RESPONSE]) {
        let common = start.len().min(bytes.len());
        if start[..common] == bytes[..common] {
            if common == start.len() {
                return Some(true);
            }
            open = true;
        }
    }
    if open { None } else { Some(false) }
}

/// Reads both directions of an HTTP connection.
#[derive(Debug, Default)]
pub(super) struct HttpReader {
    sides: [Side; 2],
    /// Requests without a response, oldest first: what their method is.
    outstanding: VecDeque<Method>,
}

/// What of a method decides on the response's body (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Head,
    Connect,
    Other,
}

#[derive(Clone, Copy, Debug, Default)]
struct Side {
    at: Place,
    /// Bytes of a head that were searched for its end.
    searched: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    /// In front of a message, or in its head.
    #[default]
    Head,
    /// In front of a chunk's size.
    Chunk,
    /// In the lines behind the last chunk.
    Trailer,
    /// Somewhere: looks for a message at the start of segments.
    Lost,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Length(u64),
    Chunked,
    /// To the end of the connection.
    Rest,
}

impl HttpReader {
    pub(super) fn read(&mut self, from: End, shown: Shown<'_>, context: &mut Context<'_>) -> Result<Step, Foreign> {
        let side = &mut self.sides[from as usize];
        let bytes = match shown {
            Shown::Bytes(bytes) => bytes,
            Shown::Gap(rest) => {
                let in_head = matches!(side.at, Place::Head);
                *side = Side { at: Place::Lost, searched: 0 };
                if in_head {
                    self.cut_head(rest, context);
                }
                return Ok(Step::Took(1));
            }
        };
        match side.at {
            Place::Head | Place::Lost => self.head(from, bytes, context),
            Place::Chunk => {
                let Some(end) = memchr::memchr(b'\n', bytes) else { return Ok(side.wait(bytes)) };
                let size = &bytes[..end];
                let digits = size.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
                let size =
                    std::str::from_utf8(&size[..digits]).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
                match size {
                    None => Ok(side.lose(bytes)),
                    Some(0) => {
                        side.at = Place::Trailer;
                        Ok(Step::Took(end as u64 + 1))
                    }
                    Some(size) => Ok(Step::Took((end as u64 + 1).saturating_add(size).saturating_add(2))),
                }
            }
            Place::Trailer => match memchr::memchr(b'\n', bytes) {
                Some(end) => {
                    if bytes[..end].trim_ascii().is_empty() {
                        side.at = Place::Head;
                    }
                    Ok(Step::Took(end as u64 + 1))
                }
                None => Ok(side.wait(bytes)),
            },
        }
    }

    fn head(&mut self, from: End, bytes: &[u8], context: &mut Context<'_>) -> Result<Step, Foreign> {
        let side = &mut self.sides[from as usize];
        if side.searched == 0 {
            // Empty lines in front of a message are allowed (RFC 9112, section 2.2).
            let empty = bytes.iter().take_while(|&&byte| matches!(byte, b'\r' | b'\n')).count();
            if empty > 0 {
                return Ok(Step::Took(empty as u64));
            }
            match (begins(bytes), tls::begins(bytes)) {
                (Some(true), _) => side.at = Place::Head,
                (_, Some(true)) => return Err(Foreign::Tls),
                (None, _) | (_, None) => return Ok(Step::Wants(bytes.len() + 1)),
                _ => return Ok(side.lose(bytes)),
            }
        }
        let Some(end) = head_end(bytes, side.searched) else {
            side.searched = bytes.len();
            return Ok(Step::Wants(bytes.len() + 1));
        };
        side.searched = 0;
        let head = &bytes[..end];
        let Some((body, upgraded)) = self.message(head, context) else {
            return Ok(self.sides[from as usize].lose(bytes));
        };
        let side = &mut self.sides[from as usize];
        if upgraded {
            // Another protocol follows, both ways.
            self.sides = [Side { at: Place::Lost, searched: 0 }; 2];
            return Ok(Step::Took(end as u64));
        }
        Ok(match body {
            Body::Length(length) => Step::Took((end as u64).saturating_add(length)),
            Body::Rest => Step::Closed,
            Body::Chunked => {
                side.at = Place::Chunk;
                Step::Took(end as u64)
            }
        })
    }

    /// Reads a whole head; says how long its body is, and whether another protocol follows.
    fn message(&mut self, head: &[u8], context: &mut Context<'_>) -> Option<(Body, bool)> {
        if head.starts_with(RESPONSE) {
            let (status, facts) = note_response(head, context.fields, context.limits)?;
            if (100..200).contains(&status) {
                return Some((Body::Length(0), status == 101));
            }
            let method = self.outstanding.pop_front().unwrap_or(Method::Other);
            if method == Method::Connect && (200..300).contains(&status) {
                return Some((Body::Length(0), true));
            }
            let none = method == Method::Head || status == 204 || status == 304;
            return Some((if none { Body::Length(0) } else { facts.body(Body::Rest) }, false));
        }
        let (method, facts) = note_request(head, context.fields, context.limits, !self.outstanding.is_empty())?;
        if self.outstanding.len() < OUTSTANDING {
            self.outstanding.push_back(method);
        }
        Some((facts.body(Body::Length(0)), false))
    }

    /// A head without its end still has its first line, and the headers before the cut.
    fn cut_head(&mut self, head: &[u8], context: &mut Context<'_>) {
        if begins(head) == Some(true) {
            let lines = memchr::memrchr(b'\n', head).map_or(head.len(), |end| end + 1);
            let whole = [&head[..lines], b"\r\n"].concat();
            let _ = self.message(&whole, context);
        }
    }
}

impl Side {
    /// Waits for the end of a line between chunks.
    fn wait(&mut self, bytes: &[u8]) -> Step {
        if bytes.len() < CHUNK_LINE { Step::Wants(bytes.len() + 1) } else { self.lose(bytes) }
    }

    fn lose(&mut self, bytes: &[u8]) -> Step {
        *self = Side { at: Place::Lost, searched: 0 };
        Step::Took(bytes.len() as u64)
    }
}

/// Whether a datagram's first line is one of HTTP, and not of the protocols that share its methods.
pub(super) fn is_datagram(bytes: &[u8]) -> bool {
    bytes.starts_with(RESPONSE) || first_line(bytes).is_some()
}

/// Notes a datagram that is one HTTP message.
pub(super) fn note_datagram(bytes: &[u8], fields: &mut Fields, limits: &Limits) {
    let head = &bytes[..head_end(bytes, 0).unwrap_or(bytes.len())];
    if head.starts_with(RESPONSE) {
        let _ = note_response(head, fields, limits);
    } else {
        let _ = note_request(head, fields, limits, false);
    }
}

/// Where the empty line that ends a head is over. `searched` bytes have been searched before.
fn head_end(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    memchr::memchr_iter(b'\n', &bytes[from..]).map(|at| from + at).find_map(|at| match bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// What the headers say that somebody wants to know.
#[derive(Default)]
struct Facts<'b> {
    host: Option<&'b [u8]>,
    user_agent: Option<&'b [u8]>,
    content_type: Option<&'b [u8]>,
    content_length: Option<u64>,
    chunked: bool,
}

impl<'b> Facts<'b> {
    fn of(headers: &[Header<'b>]) -> Facts<'b> {
        let mut facts = Facts::default();
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let value = header.value.trim_ascii();
            if is("host") {
                facts.host = facts.host.or(Some(value));
            } else if is("user-agent") {
                facts.user_agent = facts.user_agent.or(Some(value));
            } else if is("content-type") {
                facts.content_type = facts.content_type.or(Some(value));
            } else if is("content-length") {
                facts.content_length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            } else if is("transfer-encoding") {
                facts.chunked = value.to_ascii_lowercase().ends_with(b"chunked");
            }
        }
        facts
    }

    fn body(&self, without_length: Body) -> Body {
        match (self.chunked, self.content_length) {
            (true, _) => Body::Chunked,
            (false, Some(length)) => Body::Length(length),
            (false, None) => without_length,
        }
    }
}

fn note_request<'b>(
    head: &'b [u8],
    fields: &mut Fields,
    limits: &Limits,
    pipelined: bool,
) -> Option<(Method, Facts<'b>)> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = lenient().parse_request(&mut request, head);
    let (method, target) = match (request.method, request.path) {
        (Some(method), Some(target)) if request.version.is_some() => (method.as_bytes(), target.as_bytes()),
        _ => first_line(head)?,
    };
    let facts = if matches!(parsed, Ok(Status::Complete(_))) { Facts::of(request.headers) } else { by_line(head) };
    let kept = fields.room(limits).then(|| {
        let mut text = |bytes: &[u8]| fields.text(bytes, limits);
        Request {
            method: text(method),
            target: text(target),
            host: facts.host.and_then(&mut text),
            user_agent: facts.user_agent.and_then(&mut text),
            content_type: facts.content_type.and_then(&mut text),
            content_length: facts.content_length,
        }
    });
    let http = fields.http.get_or_insert_default();
    http.request_count = http.request_count.saturating_add(1);
    http.pipelined = http.pipelined.saturating_add(u32::from(pipelined));
    http.requests.extend(kept);
    let method = match method {
        b"HEAD" => Method::Head,
        b"CONNECT" => Method::Connect,
        _ => Method::Other,
    };
    Some((method, facts))
}

fn note_response<'b>(head: &'b [u8], fields: &mut Fields, limits: &Limits) -> Option<(u16, Facts<'b>)> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = lenient().parse_response(&mut response, head);
    let status = match response.code {
        Some(status) => status,
        None => std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()?,
    };
    let facts = if matches!(parsed, Ok(Status::Complete(_))) { Facts::of(response.headers) } else { by_line(head) };
    let kept = fields.room(limits).then(|| {
        let content_type = facts.content_type.and_then(|bytes| fields.text(bytes, limits));
        Response { status, content_type, content_length: facts.content_length }
    });
    let http = fields.http.get_or_insert_default();
    http.response_count = http.response_count.saturating_add(1);
    http.responses.extend(kept);
    Some((status, facts))
}

fn lenient() -> ParserConfig {
    let mut config = ParserConfig::default();
    config
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .ignore_invalid_headers_in_responses(true)
        .ignore_invalid_headers_in_requests(true);
    config
}

/// Method and target of a first line that strict reading refuses, such as one with spaces or bytes above 127 in its target.
fn first_line(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = head.split(|&byte| byte == b'\n').next()?.trim_ascii_end();
    let (method, rest) = line.split_at_checked(memchr::memchr(b' ', line)?)?;
    let at = memchr::memrchr(b' ', rest)?;
    // The line may be cut in its version.
    let version = &rest[at + 1..];
    let http = version.starts_with(VERSION) || !version.is_empty() && VERSION.starts_with(version);
    http.then(|| (method, rest[..at].trim_ascii()))
}

/// Headers of a head that strict reading refuses, line by line.
fn by_line(head: &[u8]) -> Facts<'_> {
    let lines = head.split(|&byte| byte == b'\n').skip(1).take(HEADERS);
    let headers: Vec<Header<'_>> = lines
        .filter_map(|line| {
            let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
            Some(Header { name: std::str::from_utf8(name).ok()?.trim(), value: &value[1..] })
        })
        .collect();
    Facts::of(&headers)
}
