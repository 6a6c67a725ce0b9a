//! As much of HTTP as a page or a scraper on this machine needs: GET and HEAD, one request a connection.
//!
//! It listens on a loopback address alone, and answers only requests that name it as their host, or none in HTTP/1.0: a page from elsewhere
//! whose name was made to lead here names another. Heads, connections and waiting are bounded. A long answer is written as it is made, in pieces, so a slow
//! reader costs a piece and not the whole; and who connects and asks nothing, or has read one answer for a minute, makes room for who asks.
//! Where there is no room, that is the answer.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The longest head of a request, in bytes.
const MOST_HEAD: usize = 16 << 10;
/// Headers that a browser may send.
const MOST_HEADERS: usize = 64;
/// Connections at once. One more takes the place of the oldest that is owed nothing, or of one that has been answered for [`LONG`];
/// else it is told so.
const MOST_CONNECTIONS: usize = 64;
/// Connections at once that are told so; more are closed.
const MOST_REFUSALS: usize = 16;
/// Bytes of a piece of an answer.
const PIECE: usize = 64 << 10;
/// How long a head may take, and a piece of an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer may take where others wait for its place.
const LONG: Duration = Duration::from_secs(60);
/// How long the head may take of who is told that there is no room.
const HURRY: Duration = Duration::from_secs(1);

/// What the page may do: nothing that is not from here.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Has an answer to each path.
pub(crate) trait Site: Send + Sync + 'static {
    /// What is under a path; path and query are not decoded.
    fn answer(&self, path: &str, query: &str) -> Answer<'_>;
}

impl<F: Fn(&str, &str) -> Answer<'static> + Send + Sync + 'static> Site for F {
    fn answer(&self, path: &str, query: &str) -> Answer<'_> {
        self(path, query)
    }
}

/// An answer.
pub(crate) struct Answer<'s> {
    pub(crate) status: Status,
    /// Media type of the body.
    pub(crate) kind: &'static str,
    pub(crate) body: Body<'s>,
    /// The name under which a browser is to save it.
    pub(crate) save_as: Option<&'static str>,
}

/// What writes a body.
type Writer<'s> = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + 's>;

/// The body of an answer.
pub(crate) enum Body<'s> {
    /// Short, and there.
    Text(Cow<'s, str>),
    /// Made while it is sent, and not at all where only the head was asked for.
    Written(Writer<'s>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    MisdirectedRequest,
    HeadTooLarge,
    Unavailable,
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
            Status::Unavailable => "503 Service Unavailable",
        }
    }
}

impl<'s> Answer<'s> {
    pub(crate) fn ok(kind: &'static str, body: impl Into<Cow<'s, str>>) -> Answer<'s> {
        Answer { status: Status::Ok, kind, body: Body::Text(body.into()), save_as: None }
    }

    pub(crate) fn written(kind: &'static str, body: impl FnOnce(&mut dyn Write) -> io::Result<()> + 's) -> Answer<'s> {
        Answer { status: Status::Ok, kind, body: Body::Written(Box::new(body)), save_as: None }
    }

    /// No, and why.
    pub(crate) fn no(status: Status, why: &str) -> Answer<'s> {
        let body = format!("{}: {why}\n", status.line());
        Answer { status, kind: "text/plain; charset=utf-8", body: Body::Text(body.into()), save_as: None }
    }
}

/// A server that has its port.
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    /// [`LONG`], but in tests.
    long: Duration,
}

impl Server {
    /// Takes a port of a loopback address; 0 takes one that is free.
    ///
    /// # Errors
    /// The address is not of the loopback, which is an error of the kind [`io::ErrorKind::InvalidInput`]; its port is taken.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Server> {
        if !address.ip().is_loopback() {
            let why = "only addresses of this machine itself are listened on, 127.0.0.1 or [::1]; whoever is elsewhere needs a proxy";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        Ok(Server { listener, address, long: LONG })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the process ends.
    pub(crate) fn run(self, site: impl Site) {
        let (site, open) = (Arc::new(site), Arc::new(Open::default()));
        let [running, refusing] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        for stream in self.listener.incoming() {
            let Ok(stream) = stream else {
                // Out of descriptors, say: others will be closed.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            let guard = Running::new(&running);
            if guard.before >= MOST_CONNECTIONS && !open.make_room(self.long) {
                drop(guard);
                refuse(stream, &refusing);
                continue;
            }
            let (site, open, address) = (Arc::clone(&site), Arc::clone(&open), self.address);
            let stream = Arc::new(stream);
            // Before the next is accepted, which may need its place.
            open.enter(&stream);
            let work = move || {
                // Whoever went away needs no answer.
                let _ = serve(&stream, address, &*site, &open);
                open.leave(&stream);
                drop(guard);
            };
            // Without a thread, the connection closes when it is the oldest.
            let _ = thread::Builder::new().name("request".into()).spawn(work);
        }
    }
}

/// Tells a connection that there is no room, or closes it where many are told so.
fn refuse(stream: TcpStream, refusing: &Arc<AtomicUsize>) {
    let guard = Running::new(refusing);
    if guard.before >= MOST_REFUSALS {
        return;
    }
    let work = move || {
        let why = "as many are being answered as may be; try again";
        // An answer in front of the request would be lost with what is not read.
        if head(&stream, HURRY).is_ok() {
            let _ = respond(&stream, Answer::no(Status::Unavailable, why), "GET", true);
        }
        drop(guard);
    };
    let _ = thread::Builder::new().name("refusal".into()).spawn(work);
}

/// Connections by what they are owed, each kind the oldest first.
#[derive(Default)]
struct Open(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    /// Their request has not come, or their answer has gone.
    idle: VecDeque<Arc<TcpStream>>,
    /// They are being answered, since when.
    busy: VecDeque<(Instant, Arc<TcpStream>)>,
}

impl Lists {
    fn leave(&mut self, stream: &Arc<TcpStream>) {
        self.idle.retain(|other| !Arc::ptr_eq(other, stream));
        self.busy.retain(|(_, other)| !Arc::ptr_eq(other, stream));
    }
}

impl Open {
    fn with<T>(&self, act: impl FnOnce(&mut Lists) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// It is owed nothing, from now on.
    fn enter(&self, stream: &Arc<TcpStream>) {
        self.with(|lists| {
            lists.leave(stream);
            lists.idle.push_back(Arc::clone(stream));
        });
    }

    /// It is being answered, from now on.
    fn answer(&self, stream: &Arc<TcpStream>) {
        self.with(|lists| {
            lists.leave(stream);
            lists.busy.push_back((Instant::now(), Arc::clone(stream)));
        });
    }

    fn leave(&self, stream: &Arc<TcpStream>) {
        self.with(|lists| lists.leave(stream));
    }

    /// Ends the oldest that is owed nothing, or else that which has been answered for longest, if that is long; false where there is
    /// neither.
    fn make_room(&self, long: Duration) -> bool {
        let gone = self.with(|lists| {
            let is_long = lists.busy.front().is_some_and(|(since, _)| since.elapsed() >= long);
            let idle = lists.idle.pop_front();
            idle.or_else(|| if is_long { lists.busy.pop_front().map(|(_, stream)| stream) } else { None })
        });
        // Its thread reads the end or fails to write, and goes.
        gone.map(|stream| stream.shutdown(Shutdown::Both)).is_some()
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

fn serve(stream: &Arc<TcpStream>, address: SocketAddr, site: &impl Site, open: &Open) -> io::Result<()> {
    let head = head(stream, PATIENCE)?;
    open.answer(stream);
    answer(stream, address, site, head.as_deref())?;
    stream.shutdown(Shutdown::Write)?;
    open.enter(stream);
    // What a closed connection has not read makes a reset, which may overtake the answer.
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut rest = [0; 4096];
    for _ in 0..16 {
        if (&**stream).read(&mut rest)? == 0 {
            break;
        }
    }
    Ok(())
}

/// Answers a head; nothing is one that is too long.
fn answer(stream: &TcpStream, address: SocketAddr, site: &impl Site, head: Option<&[u8]>) -> io::Result<()> {
    let Some(head) = head else {
        return respond(stream, Answer::no(Status::HeadTooLarge, "the head is too long"), "GET", true);
    };
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let complete = request.parse(head).is_ok_and(|status| status.is_complete());
    let (Some(method), Some(target), true) = (request.method, request.path, complete) else {
        return respond(stream, Answer::no(Status::BadRequest, "this is no request"), "GET", true);
    };
    let mut hosts = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    let (host, other) = (hosts.next().map(|header| header.value), hosts.next());
    let said = match (host, method) {
        // HTTP/1.0 has no such header. A browser, which alone can be led here from elsewhere, always sends it.
        (None, _) if request.version != Some(0) => Answer::no(Status::BadRequest, "it names no host"),
        (Some(_), _) if other.is_some() => Answer::no(Status::BadRequest, "it names several hosts"),
        (Some(host), _) if !is_ours(host, address) => {
            Answer::no(Status::MisdirectedRequest, "the host is not this one")
        }
        (_, method) => answer_to(method, target, site),
    };
    respond(stream, said, method, request.version != Some(0))
}

fn answer_to<'s>(method: &str, target: &str, site: &'s impl Site) -> Answer<'s> {
    match method {
        "GET" | "HEAD" => {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            site.answer(path, query)
        }
        _ => Answer::no(Status::MethodNotAllowed, "only GET and HEAD"),
    }
}

fn is_ours(host: &[u8], address: SocketAddr) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => (name, port),
        _ => (host, "80"),
    };
    let own = match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    // What parses as a number may have a sign in front.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    (name == own || name.eq_ignore_ascii_case("localhost")) && digits && port.parse() == Ok(address.port())
}

/// The head of a request, to its empty line; nothing if it is too long.
fn head(mut stream: &TcpStream, patience: Duration) -> io::Result<Option<Vec<u8>>> {
    let until = Instant::now() + patience;
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
        let end = memchr::memmem::find(&head[from..], b"\r\n\r\n").map(|at| from + at + 4);
        let length = end.unwrap_or(head.len());
        if end.is_some() || length > MOST_HEAD {
            return Ok((length <= MOST_HEAD).then_some(head));
        }
    }
}

/// Sends an answer. `pieces` says that the other side knows HTTP/1.1, and so an answer whose length is told piece by piece; to others the end
/// of the connection is its end.
fn respond(stream: &TcpStream, answer: Answer<'_>, method: &str, pieces: bool) -> io::Result<()> {
    let length = match &answer.body {
        Body::Text(text) => format!("Content-Length: {}\r\n", text.len()),
        Body::Written(_) if pieces => "Transfer-Encoding: chunked\r\n".into(),
        Body::Written(_) => String::new(),
    };
    let mut head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\n{length}Connection: close\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n",
        answer.status.line(),
        answer.kind,
    );
    if answer.status == Status::MethodNotAllowed {
        head += "Allow: GET, HEAD\r\n";
    }
    if let Some(name) = answer.save_as {
        head += &format!("Content-Disposition: attachment; filename=\"{name}\"\r\n");
    }
    send(stream, (head + "\r\n").as_bytes())?;
    match answer.body {
        _ if method == "HEAD" => Ok(()),
        Body::Text(text) => send(stream, text.as_bytes()),
        Body::Written(write) => {
            let mut body = Pieces { stream, piece: Vec::with_capacity(PIECE), counted: pieces };
            write(&mut body)?;
            body.finish()
        }
    }
}

/// Sends a piece, to whom takes it in time: also to take it byte by byte holds a place.
fn send(mut stream: &TcpStream, mut piece: &[u8]) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    while !piece.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(piece) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => piece = &piece[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A body under way: what is written to it leaves in pieces.
struct Pieces<'s> {
    stream: &'s TcpStream,
    piece: Vec<u8>,
    /// Each piece has its length in front.
    counted: bool,
}

impl Pieces<'_> {
    fn send(&mut self) -> io::Result<()> {
        // A piece without bytes would be the last.
        if self.piece.is_empty() {
            return Ok(());
        }
        if self.counted {
            send(self.stream, format!("{:x}\r\n", self.piece.len()).as_bytes())?;
            self.piece.extend_from_slice(b"\r\n");
        }
        send(self.stream, &self.piece)?;
        self.piece.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.send()?;
        if self.counted { send(self.stream, b"0\r\n\r\n") } else { Ok(()) }
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() >= PIECE - 2 {
            self.send()?;
        }
        let n = bytes.len().min(PIECE - 2 - self.piece.len());
        self.piece.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn only_names_of_this_machine_and_this_port_are_ours() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let ours = address("127.0.0.1:80");
        for host in ["127.0.0.1:80", "localhost:80", "LocalHost:80", "localhost", "127.0.0.1"] {
            assert!(is_ours(host.as_bytes(), ours), "{host}");
        }
        for host in
            ["", "evil.example:80", "localhost:81", "127.0.0.1.evil.example:80", "[::1]:80", "localhost:+80", ":80"]
        {
            assert!(!is_ours(host.as_bytes(), ours), "{host}");
        }
        assert!(!is_ours(b"localhost", address("127.0.0.1:8080")));
        assert!(!is_ours(b"\xff:80", ours));
        assert!(is_ours(b"[::1]:9184", address("[::1]:9184")) && is_ours(b"[::1]", address("[::1]:80")));
        assert!(!is_ours(b"127.0.0.1:9184", address("[::1]:9184")));
    }

    #[test]
    fn addresses_that_others_reach_are_refused() {
        for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0", "[2001:db8::1]:0"] {
            let refused = Server::bind(address.parse().unwrap()).err().unwrap();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{address}: {refused}");
        }
    }

    /// A site of one long answer, which counts how often it is made.
    struct Long(Arc<AtomicUsize>);

    impl Site for Long {
        fn answer(&self, _: &str, _: &str) -> Answer<'_> {
            Answer::written("text/plain", |out| {
                self.0.fetch_add(1, Ordering::SeqCst);
                (0..200_000u32).try_for_each(|n| out.write_all(&n.to_le_bytes()))
            })
        }
    }

    /// Who reads an answer that does not end keeps others out for so long and no longer, and they are told.
    #[test]
    fn who_reads_slowly_makes_room_in_time_and_until_then_others_are_told() {
        let mut server = Server::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        server.long = Duration::from_secs(3);
        let port = server.address().port();
        let site = |path: &str, _: &str| match path {
            "/short" => Answer::ok("text/plain", "short"),
            _ => Answer::written("text/plain", |out| {
                loop {
                    out.write_all(&[0; 4096])?;
                }
            }),
        };
        thread::spawn(move || server.run(site));
        let began = Instant::now();
        let slow: Vec<_> = (0..MOST_CONNECTIONS)
            .map(|_| {
                let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
                write!(stream, "GET /long HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n").unwrap();
                // Its answer has begun, so it is owed one.
                stream.read_exact(&mut [0; 9]).unwrap();
                stream
            })
            .collect();
        let first = says(port, "GET /short HTTP/1.1");
        if began.elapsed() < Duration::from_secs(3) {
            assert!(first.starts_with(b"HTTP/1.1 503 Service Unavailable\r\n"), "{}", String::from_utf8_lossy(&first));
            assert!(first.ends_with(b"try again\n"));
        }
        thread::sleep(Duration::from_secs(3));
        let second = says(port, "GET /short HTTP/1.1");
        assert!(second.starts_with(b"HTTP/1.1 200 OK\r\n") && second.ends_with(b"short"));
        assert!(began.elapsed() < PATIENCE, "none was ended for not reading at all");
        drop(slow);
    }

    #[test]
    fn another_host_is_refused_and_none_is_one_of_http_1_0() {
        let (port, _) = long();
        let own = format!("Host: localhost:{port}\r\n");
        let foreign = format!("Host: evil.example:{port}\r\n");
        let cases = [
            ("HTTP/1.0", String::new(), "200 OK"),
            ("HTTP/1.0", own.clone(), "200 OK"),
            ("HTTP/1.0", foreign.clone(), "421 Misdirected Request"),
            ("HTTP/1.0", "Host:\r\n".into(), "421 Misdirected Request"),
            ("HTTP/1.0", [own.as_str(), &foreign].concat(), "400 Bad Request"),
            ("HTTP/1.1", String::new(), "400 Bad Request"),
            ("HTTP/1.1", own.clone(), "200 OK"),
            ("HTTP/1.1", foreign.clone(), "421 Misdirected Request"),
            ("HTTP/1.1", own.repeat(2), "400 Bad Request"),
        ];
        for (version, headers, expected) in cases {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            write!(stream, "HEAD / {version}\r\n{headers}\r\n").unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).unwrap();
            assert!(said.starts_with(&format!("HTTP/1.1 {expected}\r\n")), "{version} {headers:?}: {said}");
        }
    }

    fn long() -> (u16, Arc<AtomicUsize>) {
        let (server, made) = (Server::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap(), Arc::new(AtomicUsize::new(0)));
        let (port, site) = (server.address().port(), Long(Arc::clone(&made)));
        thread::spawn(move || server.run(site));
        (port, made)
    }

    fn says(port: u16, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        write!(stream, "{request}\r\nHost: localhost:{port}\r\n\r\n").unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        said
    }

    #[test]
    fn a_long_answer_comes_whole_in_pieces_and_is_not_made_for_its_head_alone() {
        let (port, made) = long();
        let head = says(port, "HEAD / HTTP/1.1");
        assert!(head.ends_with(b"\r\n\r\n"));
        assert_eq!(made.load(Ordering::SeqCst), 0);
        let said = says(port, "GET / HTTP/1.1");
        assert_eq!(said[..head.len()], head);
        let (mut rest, mut body) = (&said[head.len()..], Vec::new());
        loop {
            let end = memchr::memmem::find(rest, b"\r\n").unwrap();
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            assert!(length <= PIECE);
            let piece = &rest[end + 2..];
            body.extend_from_slice(&piece[..length]);
            assert_eq!(&piece[length..length + 2], b"\r\n");
            rest = &piece[length + 2..];
            if length == 0 {
                break;
            }
        }
        let expected: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        assert!(rest.is_empty() && body == expected);
        // Who knows no pieces reads to the end.
        let old = says(port, "GET / HTTP/1.0");
        assert!(old.ends_with(&expected) && !old.windows(7).any(|text| text == b"chunked"));
        assert_eq!(made.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_head_may_be_as_long_as_it_may_and_not_a_byte_longer() {
        let (port, _) = long();
        let rest = format!("HEAD / HTTP/1.1\r\nX: \r\nHost: localhost:{port}\r\n\r\n").len();
        for (length, status) in [(MOST_HEAD, "200"), (MOST_HEAD + 1, "431"), (MOST_HEAD + 3000, "431")] {
            let head = says(port, &format!("HEAD / HTTP/1.1\r\nX: {}", "x".repeat(length - rest)));
            assert!(head.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{length}");
        }
    }

    #[test]
    fn who_connects_and_asks_nothing_makes_room_for_who_does() {
        let (port, made) = long();
        let silent: Vec<_> = (0..2 * MOST_CONNECTIONS)
            .map(|n| {
                let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
                // Half a head is no request either.
                stream.write_all(&b"GET / HTTP/1.1\r\n"[..n % 17]).unwrap();
                stream
            })
            .collect();
        let began = Instant::now();
        for _ in 0..5 {
            assert!(says(port, "GET / HTTP/1.1").starts_with(b"HTTP/1.1 200 OK\r\n"));
        }
        assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
        assert_eq!(made.load(Ordering::SeqCst), 5);
        drop(silent);
    }
}
