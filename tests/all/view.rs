//! The command `view`: the server as a script asks it, and the page as a browser shows it.

mod browser;
mod folders;
mod made;
mod scan;
mod times;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::command::{Ran, command, run};
use crate::flows::{pcap, segment, udp};
use crate::model::SECOND;
use crate::model::flows::{ACK, FIN, RST, SYN, Sent};
use crate::run::file;
use crate::traffic;
use made::{Ends, Kind, Made, START};

/// A server that ends with the test.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(folder: &Path) -> Served {
        let mut view = command(["view".as_ref(), folder.as_os_str(), "-q".as_ref()]);
        let mut child = view.stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Served { child, url: url.trim().into() }
    }

    fn port(&self) -> &str {
        self.url.trim_start_matches("http://127.0.0.1:").trim_end_matches('/')
    }

    fn asked(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.port())).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// The answer to a request, head and body apart; a body in pieces is put together.
    fn says(&self, request: &str) -> (String, String) {
        let mut answer = String::new();
        self.asked(request).read_to_string(&mut answer).unwrap();
        let (head, mut rest) = answer.split_once("\r\n\r\n").unwrap();
        if !head.contains("\r\nTransfer-Encoding: chunked\r\n") || rest.is_empty() {
            return (head.into(), rest.into());
        }
        let mut body = String::new();
        loop {
            let (length, piece) = rest.split_once("\r\n").unwrap();
            let (piece, after) = piece.split_at(usize::from_str_radix(length, 16).unwrap());
            body += piece;
            rest = after.strip_prefix("\r\n").unwrap();
            if piece.is_empty() {
                assert_eq!(rest, "");
                return (head.into(), body);
            }
        }
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).1).unwrap()
    }

    fn get(&self, path: &str) -> (String, String) {
        self.says(&format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", self.port()))
    }

    fn status(&self, request: &str) -> u16 {
        let (head, _) = self.says(request);
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A conversation of each kind, and a packet that is in no flow.
fn small(folder: &Path) {
    let mut made = Made::default();
    let kinds = [(Kind::Graceful, 5), (Kind::Abortive, 2), (Kind::Open, 1), (Kind::Unanswered, 0)];
    for ((at, (kind, data)), client) in (0..).zip(kinds).zip(["10.0.0.1", "10.0.0.2", "fe80::1", "10.0.0.3"]) {
        let ends = Ends { client, client_port: 40_000, server: "192.0.2.1", server_port: 443 };
        made.talk(START + at * 1_000_000, 1000, &ends, kind, data);
    }
    made.lone(START + 9_000_000, "10.0.0.1", "10.0.0.2");
    made.write(folder);
}

#[test]
fn the_server_answers_its_own_paths_to_get_and_head_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let served = Served::start(dir.path());
    let host = format!("Host: 127.0.0.1:{}", served.port());
    for path in
        ["/", "/page.js", "/style.css", "/scene", "/bins?level=0&from=0&to=5", "/packets?flow=0", "/timeline.html"]
    {
        let (head, body) = served.get(path);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {head}");
        let length = format!("\r\nContent-Length: {}\r\n", body.len());
        assert!(head.contains(&length) || head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{path}: {head}");
        for line in [
            "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; ",
            "X-Content-Type-Options: nosniff",
            "Cache-Control: no-store",
            "Cross-Origin-Resource-Policy: same-origin",
        ] {
            assert!(head.contains(line), "{path}: {head}");
        }
        let (alone, nothing) = served.says(&format!("HEAD {path} HTTP/1.1\r\n{host}\r\n\r\n"));
        assert_eq!((alone, nothing.as_str()), (head, ""));
    }
    for path in [
        "/manifest.json",
        "/../manifest.json",
        "/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/flows/flows_index.json",
        "/page.js/",
        "/bins?level=99&from=0&to=1",
        "/packets?flow=4",
        "http://127.0.0.1/",
        "*",
    ] {
        assert_eq!(served.status(&format!("GET {path} HTTP/1.1\r\n{host}\r\n\r\n")), 404, "{path}");
    }
    for path in [
        "/bins",
        "/bins?level=0&from=-1&to=1",
        "/packets?flow=0&flow=1",
        "/packets?flow=x",
        "/packets?flow=99999999999999999999",
    ] {
        assert_eq!(served.status(&format!("GET {path} HTTP/1.1\r\n{host}\r\n\r\n")), 400, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let (head, _) = served.says(&format!("{method} / HTTP/1.1\r\n{host}\r\nContent-Length: 3\r\n\r\nabc"));
        assert!(head.starts_with("HTTP/1.1 405 ") && head.contains("\r\nAllow: GET, HEAD"), "{head}");
    }
}

#[test]
fn the_server_answers_nobody_who_calls_it_by_another_name_and_no_nonsense() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let served = Served::start(dir.path());
    let port = served.port();
    let with = |hosts: &str| served.status(&format!("GET /scene HTTP/1.1\r\n{hosts}\r\n"));
    assert_eq!(with(&format!("Host: localhost:{port}\r\n")), 200);
    for host in
        ["evil.example", "127.0.0.1", "localhost:1", "evil.example:PORT", "127.0.0.1.evil.example:PORT", "[::1]:PORT"]
    {
        assert_eq!(with(&format!("Host: {}\r\n", host.replace("PORT", port))), 421, "{host}");
    }
    assert_eq!(with(""), 400, "no host at all");
    assert_eq!(with(&format!("Host: localhost:{port}\r\nHost: evil.example\r\n")), 400, "two hosts");
    assert_eq!(served.status("\x16\x03\x01\r\n\r\n"), 400);
    assert_eq!(served.status(&format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(40_000))), 431);
    assert_eq!(with(&format!("Host: localhost:{port}\r\n")), 200, "it goes on");
}

#[cfg(unix)]
#[test]
fn the_server_stops_at_a_signal_and_says_when_its_port_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    for signal in ["-INT", "-TERM"] {
        let mut view = command(["view".as_ref(), dir.path().as_os_str()]);
        let mut child = view.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let ran = Ran::of(child.wait_with_output().unwrap());
        // That is how a server ends, so there is nothing to say.
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.said.lines().count() == 1 && ran.said.contains("Ctrl-C ends"), "{ran:?}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = run(["view".as_ref(), dir.path().as_os_str(), "--port".as_ref(), port.as_ref()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.said.contains(&format!("127.0.0.1:{port}: another program has this port")), "{ran:?}");
}

/// `-` is standard output, as everywhere.
#[test]
fn a_page_goes_to_standard_output_by_its_usual_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("t");
    fs::create_dir(&folder).unwrap();
    small(&folder);
    let mut written = command(["view", "t", "--save", "page.html"]);
    assert_eq!(Ran::of(written.current_dir(dir.path()).output().unwrap()).code, Some(0));
    let mut printed = command(["view", "t", "--save", "-"]);
    let ran = Ran::of(printed.current_dir(dir.path()).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.out == fs::read_to_string(dir.path().join("page.html")).unwrap());
    assert!(ran.said.contains(" packets, 4 flows, "), "{}", ran.said);
    assert!(!dir.path().join("-").exists());
}

#[test]
fn a_limit_of_a_saved_page_is_refused_of_a_server_with_the_reason() {
    let ran = run(["view", "nowhere.pcap", "--most-packets", "10"]);
    let said = "--most-packets is about a saved page, for the server shows all; leave it out, or add --save FILE";
    assert!(ran.code == Some(2) && ran.said.contains(said), "{ran:?}");
}

#[test]
fn a_saved_page_is_the_same_every_time_holds_what_it_may_and_asks_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let save = |name: &str, most: &str| {
        let path = dir.path().join(name);
        let ran = run([
            "view".as_ref(),
            dir.path().as_os_str(),
            "--save".as_ref(),
            path.as_os_str(),
            "--most-packets".as_ref(),
            most.as_ref(),
        ]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{ran:?}");
        (fs::read_to_string(path).unwrap(), ran.said)
    };
    let (page, said) = save("a.html", "100");
    assert_eq!(save("b.html", "100").0, page);
    assert!(said.contains("23 packets, 4 flows, 5 hosts") && !said.contains("most-packets"), "{said}");
    assert!(page.contains("default-src 'none'; script-src 'sha256-"));
    for outside in ["http://", "https://", "src=\"", "href=\"style", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    let data = |page: &str| -> Value {
        let (_, data) = page.split_once("id=\"data\">").unwrap();
        serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
    };
    assert!(data(&page)["packets"].is_object());
    let (page, said) = save("c.html", "10");
    assert!(said.contains("more than 10, so they are in bins, and flows without them"), "{said}");
    let data = data(&page);
    assert_eq!((&data["packets"], &data["listed"], &data["mostPackets"]), (&Value::Null, &Value::Null, &json!(10)));
    // Nor are they there as marks.
    let coarse = &data["scene"]["coarse"];
    assert!(coarse["level"].as_u64() > Some(0) && coarse["flow"].is_null(), "{coarse}");
}

/// The memory that a process has had at most, in bytes.
#[cfg(target_os = "linux")]
fn peak(process: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1000
}

#[cfg(target_os = "linux")]
#[test]
fn slow_readers_cost_what_is_under_way_and_heads_nothing() {
    let dir = tempfile::tempdir().unwrap();
    Made::office(120_000, 60_000_000, 1000).write(dir.path());
    let served = Served::start(dir.path());
    let host = format!("Host: 127.0.0.1:{}", served.port());
    let path = "/bins?level=0&from=0&to=99000000";
    let whole = served.get(path).1.len() as u64;
    assert!(whole > 4_000_000, "{whole}");
    let before = peak(&served.child);
    let readers: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut reader = served.asked(&format!("GET {path} HTTP/1.1\r\n{host}\r\n\r\n"));
            // The answer has begun, and goes no further than buffers do.
            reader.read_exact(&mut [0; 1000]).unwrap();
            reader
        })
        .collect();
    assert_eq!(served.status(&format!("HEAD {path} HTTP/1.1\r\n{host}\r\n\r\n")), 200);
    let more = peak(&served.child) - before;
    // A thread has some memory of its own, however little it writes.
    assert!(more < readers.len() as u64 * whole / 3, "{more} bytes more for {} readers of {whole}", readers.len());
}

#[test]
fn a_crowd_that_asks_nothing_keeps_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let served = Served::start(dir.path());
    let crowd: Vec<TcpStream> = (0..100).map(|n| served.asked(&"GET / HTTP/1.1\r\n"[..n % 9])).collect();
    let began = Instant::now();
    assert!(served.get("/scene").0.starts_with("HTTP/1.1 200 OK"));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(crowd);
}

/// What a capture has become, as a timeline folder beside it.
fn timeline(capture: &Path, out: &Path, layout: &str) {
    let arguments =
        ["timeline".as_ref(), capture.as_os_str(), "-q".as_ref(), "-o".as_ref(), out.as_os_str(), "--layout".as_ref()];
    let ran = run(arguments.into_iter().chain([layout.as_ref()]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

const PSH: u8 = 8;

/// A connection, a datagram, a host that refuses itself, and the middle of a connection.
fn mixed() -> Vec<Sent> {
    let at = |ms: i64| traffic::START + ms * SECOND / 1000;
    let mut packets = vec![
        segment(at(0), true, SYN, 100, 0, 0),
        segment(at(1), false, SYN | ACK, 500, 101, 0),
        segment(at(2), true, ACK, 101, 501, 0),
        segment(at(3), true, PSH | ACK, 101, 501, 40),
        // The same again, at the same time.
        segment(at(3), true, PSH | ACK, 101, 501, 40),
        udp(at(5), 2),
        segment(at(6), false, FIN | ACK, 501, 141, 0),
        segment(at(7), true, FIN | ACK, 141, 502, 0),
        segment(at(8), false, ACK, 502, 142, 0),
    ];
    let own = |one: Sent| Sent { src: (one.src.0, 41_000), dst: (one.src.0, 80), ..one };
    let back = |one: Sent| Sent { src: (one.dst.0, 80), dst: (one.dst.0, 41_000), ..one };
    packets.push(own(segment(at(20), true, SYN, 7, 0, 0)));
    packets.push(back(segment(at(21), false, RST | ACK, 0, 8, 0)));
    let late = segment(at(90_000), true, PSH | ACK, 3, 5, 10);
    packets.push(Sent { src: (late.src.0, 42_000), ..late });
    packets
}

#[test]
fn what_was_cut_or_left_out_is_on_the_page_and_in_the_saved_one() {
    let dir = tempfile::tempdir().unwrap();
    let captures = dir.path().join("captures");
    fs::create_dir(&captures).unwrap();
    let whole = pcap(&mixed());
    file(&captures, "a.pcap", &whole);
    let cut = file(&captures, "b.pcap", &whole[..whole.len() - 5]);
    file(&captures, "c.pcap.part", &whole);
    // A manifest that is none of a timeline makes no timeline of the folder.
    file(&captures, "manifest.json", b"{\"manifest_version\": 3}");
    let page = dir.path().join("page.html");
    let ran = run(["view".as_ref(), captures.as_os_str(), "--save".as_ref(), page.as_os_str()]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let saved = fs::read_to_string(page).unwrap();
    let (_, data) = saved.split_once("id=\"data\">").unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    let served = Served::start(&captures);
    let origin = &served.json("/scene")["origin"];
    assert_eq!(origin, &data["scene"]["origin"]);
    let warnings: Vec<&str> =
        origin["warnings"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let [part, damaged] = warnings[..] else { panic!("{warnings:?}") };
    assert!(part.contains("c.pcap.part") && part.contains("left out"), "{part}");
    assert!(damaged.starts_with(&format!("{}: truncated at byte ", cut.display())), "{damaged}");
    assert!(warnings.iter().all(|line| ran.said.contains(line)), "{ran:?}");
    assert_eq!(origin["summary"], "23 packets read from 2 files, all in the timeline");
    assert_eq!(origin["ledger"][0]["packets"], 23);
    let facts = origin["facts"].to_string();
    assert!(facts.contains("12 packets, complete") && facts.contains("11 packets, truncated"), "{facts}");
    assert!(facts.contains("manifest.json"), "{facts}");
}

/// A folder that somebody named by mistake may have thousands of files: a few are named, and what is wrong stands where it is seen.
#[test]
fn of_many_files_that_are_no_captures_a_few_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("etc");
    fs::create_dir(&folder).unwrap();
    for n in 0..40 {
        file(&folder, &format!("{n}.conf"), b"a = 1\n");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"a page of a manual").unwrap();
        file(&folder, &format!("{n}.7.gz"), &packed.finish().unwrap());
    }
    let page = dir.path().join("page.html");
    let ran = run(["view".as_ref(), folder.as_os_str(), "--save".as_ref(), page.as_os_str()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let lines: Vec<&str> = ran.said.lines().collect();
    assert!(lines.len() <= 13, "{ran:?}");
    assert_eq!(lines.iter().filter(|line| line.ends_with(" more like these")).count(), 2, "{ran:?}");
    assert!(lines.contains(&"and 35 more like these"), "{ran:?}");
    assert!(lines.last().unwrap().ends_with("/etc: no timeline folder, and no capture that can be read"), "{ran:?}");
    // Of few, all are.
    fs::read_dir(&folder).unwrap().skip(4).for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap());
    let ran = run(["view".as_ref(), folder.as_os_str(), "--save".as_ref(), page.as_os_str()]);
    assert!(!ran.said.contains(" more like these"), "{ran:?}");
}

/// A column of an answer; of numbers of 64 bits where they are that.
fn column(answer: &Value, name: &str) -> Vec<f64> {
    let (kind, text) = answer[name].as_object().unwrap().iter().next().unwrap();
    let bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
    match kind.as_str() {
        "f64" => bytes.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect(),
        "u32" => bytes.chunks_exact(4).map(|bytes| f64::from(u32::from_le_bytes(bytes.try_into().unwrap()))).collect(),
        "u8" => bytes.into_iter().map(f64::from).collect(),
        other => panic!("{other} is no kind of number"),
    }
}

#[test]
fn parts_of_the_time_have_all_packets_at_every_scale_and_each_once() {
    let dir = tempfile::tempdir().unwrap();
    Made::office(5_000, 60_000_000, 1).write(dir.path());
    let served = Served::start(dir.path());
    let get = |path: &str| served.json(path);
    let scene = get("/scene");
    let (packets, span) = (scene["packets"].as_u64().unwrap(), scene["span"].as_u64().unwrap());
    let levels = scene["levels"].as_array().unwrap();
    assert!(levels.len() > 2, "{levels:?}");
    for (level, shape) in levels.iter().enumerate() {
        let width = shape["width"].as_f64().unwrap();
        let part = span / 7 + 1;
        let mut seen = 0.0;
        for begin in (0..=span).step_by(part as usize) {
            let bins = get(&format!("/bins?level={level}&from={begin}&to={}", begin + part));
            let times = column(&bins, "time");
            assert!(times.iter().all(|&time| time + width > begin as f64 && time < (begin + part) as f64));
            let counts = if level == 0 { vec![1.0; times.len()] } else { column(&bins, "count") };
            // A bin that begins in the part before is in both.
            seen += times
                .iter()
                .zip(counts)
                .filter(|(time, _)| **time >= begin as f64)
                .map(|(_, count)| count)
                .sum::<f64>();
        }
        assert_eq!(seen, packets as f64, "level {level}");
    }
    let flows = &scene["flows"];
    let (listed, place) = (column(flows, "packets"), column(flows, "start").len() - 1);
    let one = get(&format!("/packets?flow={place}"));
    assert_eq!(column(&one, "time").len() as f64, listed[place]);
    assert_eq!(column(&one, "time")[0], column(flows, "start")[place]);
}
