//! As much of HTTP as one page on this machine needs: GET and HEAD, one request a connection.
//!
//! It listens on the loopback address alone, and answers only requests that name it as their host: a page from elsewhere whose name was
//! made to lead here does not. Heads, connections and waiting are bounded.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The longest head of a request, in bytes.
const MOST_HEAD: usize = 16 << 10;
/// Headers that a browser may send.
const MOST_HEADERS: usize = 64;
/// Requests that are under way at once; those beyond are closed without an answer.
const MOST_CONNECTIONS: usize = 64;
/// How long a head may take, and a piece of an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the page may do: nothing that is not from here.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An answer.
pub(super) struct Answer {
    pub(super) status: Status,
    /// Media type of the body.
    pub(super) kind: &'static str,
    pub(super) body: Vec<u8>,
    /// The name under which a browser is to save it.
    pub(super) save_as: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    MisdirectedRequest,
    HeadTooLarge,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::MisdirectedRequest => "421 Misdirected Request",
            Status::HeadTooLarge => "431 Request Header Fields Too Large",
        }
    }
}

impl Answer {
    pub(super) fn ok(kind: &'static str, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status: Status::Ok, kind, body: body.into(), save_as: None }
    }

    /// No, and why.
    pub(super) fn no(status: Status, why: &str) -> Answer {
        let body = format!("{}: {why}\n", status.line());
        Answer { status, kind: "text/plain; charset=utf-8", body: body.into(), save_as: None }
    }
}

/// A server that has its port.
pub(super) struct Server {
    listener: TcpListener,
    port: u16,
}

impl Server {
    /// Takes a port of the loopback address; 0 takes one that is free.
    pub(super) fn bind(port: u16) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = listener.local_addr()?.port();
        Ok(Server { listener, port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Answers until the process ends. `answer` gets the path and the query, which are not decoded.
    pub(super) fn run(self, answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) {
        let (answer, running) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        for stream in self.listener.incoming() {
            let Ok(stream) = stream else {
                // Out of descriptors, say: others will be closed.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            let (answer, guard) = (Arc::clone(&answer), Running::new(&running));
            if guard.before >= MOST_CONNECTIONS {
                continue;
            }
            let port = self.port;
            let work = move || {
                // Whoever went away needs no answer.
                let _ = serve(stream, port, &*answer);
                drop(guard);
            };
            // Without a thread, the connection closes.
            let _ = thread::Builder::new().name("request".into()).spawn(work);
        }
    }
}

/// Counts a request as long as it lasts.
struct Running {
    before: usize,
    all: Arc<AtomicUsize>,
}

impl Running {
    fn new(all: &Arc<AtomicUsize>) -> Running {
        Running { before: all.fetch_add(1, Ordering::Relaxed), all: Arc::clone(all) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

fn serve(mut stream: TcpStream, port: u16, answer: &(impl Fn(&str, &str) -> Answer + ?Sized)) -> io::Result<()> {
    let Some(head) = head(&mut stream)? else {
        return respond(stream, &Answer::no(Status::HeadTooLarge, "the head is too long"), false);
    };
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let complete = request.parse(&head).is_ok_and(|status| status.is_complete());
    let (Some(method), Some(target), true) = (request.method, request.path, complete) else {
        return respond(stream, &Answer::no(Status::BadRequest, "this is no request"), false);
    };
    let mut hosts = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    let (host, other) = (hosts.next().map(|header| header.value), hosts.next());
    let ours = host.is_some_and(|host| is_ours(host, port)) && other.is_none();
    let said = match method {
        _ if !ours => Answer::no(Status::MisdirectedRequest, "the host is not this one"),
        "GET" | "HEAD" => {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            answer(path, query)
        }
        _ => Answer::no(Status::MethodNotAllowed, "only GET and HEAD"),
    };
    respond(stream, &said, method == "HEAD")
}

fn is_ours(host: &[u8], port: u16) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let (name, named) = host.rsplit_once(':').unwrap_or((host, "80"));
    (name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost")) && named.parse() == Ok(port)
}

/// The head of a request, to its empty line; nothing if it is too long.
fn head(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let until = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let n = match stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let from = head.len().saturating_sub(3);
        head.extend_from_slice(&piece[..n]);
        if memchr::memmem::find(&head[from..], b"\r\n\r\n").is_some() {
            return Ok(Some(head));
        }
        if head.len() > MOST_HEAD {
            return Ok(None);
        }
    }
}

fn respond(mut stream: TcpStream, answer: &Answer, head_only: bool) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n",
        answer.status.line(),
        answer.kind,
        answer.body.len()
    );
    if answer.status == Status::MethodNotAllowed {
        head += "Allow: GET, HEAD\r\n";
    }
    if let Some(name) = answer.save_as {
        head += &format!("Content-Disposition: attachment; filename=\"{name}\"\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    if !head_only {
        stream.write_all(&answer.body)?;
    }
    stream.shutdown(Shutdown::Write)?;
    // What a closed connection has not read makes a reset, which may overtake the answer.
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut rest = [0; 4096];
    for _ in 0..16 {
        if stream.read(&mut rest)? == 0 {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_and_this_port_are_ours() {
        for host in ["127.0.0.1:80", "localhost:80", "LocalHost:80", "localhost", "127.0.0.1"] {
            assert!(is_ours(host.as_bytes(), 80), "{host}");
        }
        for host in
            ["", "evil.example:80", "localhost:81", "127.0.0.1.evil.example:80", "[::1]:80", "localhost:+80x", ":80"]
        {
            assert!(!is_ours(host.as_bytes(), 80), "{host}");
        }
        assert!(!is_ours(b"localhost", 8080));
        assert!(!is_ours(b"\xff:80", 80));
    }
}
