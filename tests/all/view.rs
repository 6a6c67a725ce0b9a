//! The command `view`: the server as a script asks it, and the page as a browser shows it.
//!
//! The page is tried in Chromium by tests/page/check.mjs. Where node or the browser is missing, that is said on standard error, and fails
//! where `CI` is set.

mod made;
mod times;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
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

fn reference() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("PCAP_COMPACTOR_CORPUS").map_or(beside, PathBuf::from).join("reference/timearcs");
    if folder.is_dir() {
        return Some(folder);
    }
    let missing = format!("no folders in {}: set PCAP_COMPACTOR_CORPUS", folder.display());
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    writeln!(std::io::stderr(), "LEFT OUT: folders of TimeArcs itself; {missing}").expect("standard error takes text");
    None
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
    assert_eq!(with(""), 421, "no host at all");
    assert_eq!(with(&format!("Host: localhost:{port}\r\nHost: evil.example\r\n")), 421, "two hosts");
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

#[test]
fn what_is_wrong_in_a_folder_is_named_with_its_place() {
    let complaint = |spoil: &dyn Fn(&Path)| {
        let dir = tempfile::tempdir().unwrap();
        small(dir.path());
        spoil(dir.path());
        let ran =
            run(["view".as_ref(), dir.path().as_os_str(), "--save".as_ref(), dir.path().join("page.html").as_os_str()]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(!dir.path().join("page.html").exists());
        ran.said
    };
    let edit = |file: &'static str, from: &'static str, to: &'static str| {
        complaint(&move |folder: &Path| {
            let path = folder.join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        })
    };
    let says = |said: String, parts: &[&str]| assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    let gone = |file: &'static str| complaint(&move |folder: &Path| fs::remove_file(folder.join(file)).unwrap());
    says(gone("manifest.json"), &["no timeline folder"]);
    says(gone("packets.csv"), &["packets.csv: cannot open"]);
    says(gone("flows/flows_index.json"), &["flows_index.json: cannot read"]);
    says(gone("flows/chunk_00000.json"), &["flows_index.json: flow 0 (flow_000001)", "chunk_00000.json: cannot read"]);
    says(
        edit("manifest.json", "\"2.0\"", "\"5.0\""),
        &["manifest.json: this is version 5.0", "only version 2.0", "can be viewed"],
    );
    says(edit("manifest.json", "{", "["), &["manifest.json", "line 1"]);
    says(edit("packets.csv", "src_port", "port"), &["packets.csv: line 1: there is no column src_port"]);
    says(
        edit("packets.csv", ",192.0.2.1,40000", ",192.0.2.1,forty"),
        &["packets.csv: line 2: src_port \"forty\" is no"],
    );
    says(edit("packets.csv", ",1000,0,74,6", ""), &["packets.csv: line 2: it has only 7 fields"]);
    let chunk = "flows/chunk_00000.json";
    says(edit(chunk, "\"closed\"", "\"shut\""), &["chunk_00000.json: [0] (flow_000001): state \"shut\""]);
    says(edit(chunk, "\"flow_000001\"", "\"flow_000009\""), &["chunk_00000.json: [0] is flow_000009", "flow_000001"]);
    says(edit(chunk, "\"phase\":\"fin\"", "\"phase\":\"nif\""), &["phases, Closing [0]: phase \"nif\""]);
    says(
        edit(chunk, "\"seq_num\":1000", "\"seq_num\":1001"),
        &["(flow_000001): phases, Establishment [0]: its packet is not among packets"],
    );
    let index = "flows/flows_index.json";
    says(edit(index, "chunk_00000.json", "../manifest.json"), &["flow 0", "is no file name"]);
    says(edit(index, "\"chunk_index\":0", "\"chunk_index\":7"), &["flow 0", "[7] is not there"]);
}

/// Damages files of a folder in many ways, one at a time: it is read or refused, and nothing else.
fn damage(folder: &Path, files: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("page.html");
    let mut seed = 7u64;
    let mut dice = |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % n
    };
    let (mut read, mut refused) = (0, 0);
    for file in files {
        let path = folder.join(file);
        let whole = fs::read(&path).unwrap();
        for turn in 0..40 {
            let mut bytes = whole.clone();
            let place = dice(bytes.len());
            match turn % 4 {
                0 => bytes.truncate(place),
                1 => bytes[place] = dice(256) as u8,
                // Digits become other digits, of all sizes.
                2 => bytes
                    .iter_mut()
                    .skip(place)
                    .filter(|byte| byte.is_ascii_digit())
                    .take(3)
                    .for_each(|byte| *byte = b'9'),
                _ => drop(bytes.splice(place..place, b"-99999999".iter().copied().take(dice(9) + 1))),
            }
            fs::write(&path, bytes).unwrap();
            let ran = run(["view".as_ref(), folder.as_os_str(), "--save".as_ref(), page.as_os_str()]);
            match ran.code {
                // What is not as many as the manifest says is partial.
                Some(0 | 3) => read += 1,
                Some(1) => refused += 1,
                _ => panic!("{file}, turn {turn}: {ran:?}"),
            }
        }
        fs::write(&path, whole).unwrap();
    }
    assert!(read > 10 && refused > 10, "{read} read, {refused} refused");
}

#[test]
fn a_damaged_folder_is_read_or_refused_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    damage(dir.path(), &["manifest.json", "packets.csv", "flows/flows_index.json", "flows/chunk_00000.json"]);
}

#[test]
fn a_damaged_folder_of_two_versions_is_read_or_refused_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&mixed()));
    let folder = dir.path().join("out");
    timeline(&capture, &folder, "3.3+5.0");
    let files = [
        "v3.3/manifest.json",
        "v3.3/resolutions/raw/index.json",
        "v3.3/resolutions/raw/chunk_000000.csv",
        "v5.0/manifest.json",
        "v5.0/indices/flow_list/index.json",
        "v5.0/indices/flow_list/10-0-0-1__9-0-0-1.csv",
    ];
    damage(&folder, &files);
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

/// Files that would fill the memory are refused before they are read, whatever they hold.
#[test]
fn json_beyond_its_bound_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("page.html");
    for (name, long, at_most) in [
        ("manifest.json", 17 << 20, "16.8 MB"),
        ("flows/flows_index.json", 10 << 30, "1.1 GB"),
        ("flows/chunk_00000.json", 10 << 30, "1.1 GB"),
    ] {
        let folder = dir.path().join("t");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        small(&folder);
        // A file of that size that takes no room.
        fs::OpenOptions::new().write(true).open(folder.join(name)).unwrap().set_len(long).unwrap();
        let ran = run(["view".as_ref(), folder.as_os_str(), "--save".as_ref(), page.as_os_str()]);
        let place = folder.join(name).display().to_string();
        let said = format!("{place}: it has ");
        let bound = format!("at most {at_most} are read at once; view the capture that the folder is of");
        assert!(ran.code == Some(1) && ran.said.contains(&said) && ran.said.contains(&bound), "{name}: {}", ran.said);
        assert!(!page.exists());
    }
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

/// What a page shows of packets and flows, by names, without what only version 2.0 has.
fn shown(scene: &Value, bins: &Value) -> (Vec<String>, Vec<String>) {
    let host = |number: &f64| scene["hosts"].get(*number as usize).map_or("", |name| name.as_str().unwrap()).to_owned();
    let names = |of: &Value, name: &str| -> Vec<String> { column(of, name).iter().map(host).collect() };
    let text = |of: &Value, name: &str| -> Vec<String> { column(of, name).iter().map(f64::to_string).collect() };
    let rows = |columns: Vec<Vec<String>>| -> Vec<String> {
        let mut rows: Vec<String> = (0..columns[0].len())
            .map(|row| columns.iter().map(|column| format!("{} ", column[row])).collect())
            .collect();
        rows.sort();
        rows
    };
    let numbers = |of: &Value, list: &[&str]| -> Vec<Vec<String>> { list.iter().map(|name| text(of, name)).collect() };
    let mut marks = numbers(bins, &["time", "class", "bytes", "flow"]);
    marks.extend([names(bins, "src"), names(bins, "dst")]);
    let flows = &scene["flows"];
    let list = ["number", "start", "end", "initiatorPort", "responderPort", "packets", "bytes", "ending", "known"];
    let mut lines = numbers(flows, &list);
    lines.extend([names(flows, "initiator"), names(flows, "responder")]);
    (rows(marks), rows(lines))
}

#[test]
fn versions_3_3_and_5_0_together_show_what_2_0_does() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&mixed()));
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    timeline(&capture, &old, "2.0");
    timeline(&capture, &new, "3.3+5.0");
    let all = "/bins?level=0&from=0&to=9000000000";
    let [old, new] = [old, new].map(|folder| {
        let served = Served::start(&folder);
        (served.json("/scene"), served.json(all), served.json("/packets?flow=0"))
    });
    assert_eq!(shown(&new.0, &new.1), shown(&old.0, &old.1));
    assert_eq!(new.0["packets"], 12);
    for name in ["time", "seq", "ack", "length", "flags", "class", "forward"] {
        assert_eq!(column(&new.2, name), column(&old.2, name), "{name}");
    }
    assert_eq!((&new.0["steps"], &new.0["origin"]["warnings"]), (&json!([]), &json!([])));
    assert_eq!([&old.0, &new.0].map(|scene| scene["origin"]["steps"].as_bool()), [Some(true), Some(false)]);
    let summary = new.0["origin"]["summary"].as_str().unwrap();
    assert!(summary.contains("version 3.3 and 5.0: 12 packets, 3 flows"), "{summary}");
}

#[test]
fn versions_3_3_and_5_0_are_shown_alone_and_what_is_wrong_in_them_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&mixed()));
    let folder = dir.path().join("out");
    timeline(&capture, &folder, "3.3+5.0");
    let page = dir.path().join("page.html");
    let save = |folder: &Path| run(["view".as_ref(), folder.as_os_str(), "--save".as_ref(), page.as_os_str()]);
    for (version, said) in [("v3.3", "12 packets, 0 flows"), ("v5.0", "11 packets, 3 flows")] {
        let ran = save(&folder.join(version));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.said.contains(said), "{ran:?}");
    }
    let edit = |file: &str, from: &str, to: &str, says: &[&str], code: i32| {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: {text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let ran = save(&folder);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(says.iter().all(|part| ran.said.contains(part)), "{ran:?}");
        fs::write(&path, text).unwrap();
    };
    let raw = "v3.3/resolutions/raw/chunk_000000.csv";
    edit("v3.3/manifest.json", "\"3.3\"", "\"3.1\"", &["this is version 3.1, format multires_packets"], 1);
    edit("v3.3/resolutions/raw/index.json", "chunk_000000.csv", "../x.csv", &["\"../x.csv\" is no file name"], 1);
    edit(raw, "flags,", "flag,", &["chunk_000000.csv: line 1: there is no column flags"], 1);
    edit(raw, ",PSH+ACK,", ",PSH+ACK,x", &["chunk_000000.csv: line 5: length \"x"], 1);
    let index = "v5.0/indices/flow_list/index.json";
    edit(index, "<->", "--", &["is not two hosts"], 1);
    edit(index, "\"file\": \"", "\"file\": \"../", &["is no file name"], 1);
    edit("v5.0/manifest.json", "\"total_flows\": 3", "\"total_flows\": 4", &["total_flows is 4, but 3 are there"], 3);
    let lists = fs::read_dir(folder.join("v5.0/indices/flow_list")).unwrap();
    let names = lists.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let list = names.filter(|name| name.ends_with(".csv")).min().unwrap();
    let list = format!("v5.0/indices/flow_list/{list}");
    edit(&list, "start_time", "start", &[".csv: line 1: the header is not"], 1);
    edit(&list, ",\"0:", ",\"x:", &[".csv: line 2: delta \"x\" is no whole number"], 1);
    // A packet that the table does not have.
    edit(&list, ",\"0:2:", ",\"0:3:", &["1 packet of flows not among the packets"], 3);
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

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null());
    command.output().is_ok_and(|out| out.status.success())
}

/// Says what is left out.
fn left_out(missing: &str) {
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    writeln!(std::io::stderr(), "LEFT OUT: the page; {missing}").expect("standard error takes text");
}

/// node; nothing, said aloud, where it is missing.
fn node() -> Option<()> {
    is_there("node").then_some(()).or_else(|| {
        left_out("there is no node");
        None
    })
}

/// node and Chromium; nothing, said aloud, where one is missing.
fn browser() -> Option<String> {
    node()?;
    let named = std::env::var("CHROMIUM").ok();
    let known = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"].map(str::to_owned);
    let browser = named.into_iter().chain(known).find(|program| is_there(program));
    if browser.is_none() {
        left_out("there is no Chromium; CHROMIUM may name one");
    }
    browser
}

/// Tries the page of a folder, with what flows_index.json says of the flow of most packets.
fn try_page(browser: &str, folder: &Path) {
    let read = |file: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(file)).unwrap()).unwrap() };
    let index = read("flows/flows_index.json");
    let lines = fs::read_to_string(folder.join("packets.csv")).unwrap_or_default();
    let mut hosts: Vec<&str> = lines.lines().skip(1).flat_map(|line| line.split(',').skip(1).take(2)).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let key = |flow: &Value| {
        let number = |name: &str| flow[name].as_i64().unwrap();
        (-number("totalPackets"), number("startTime"), flow["id"].as_str().unwrap().to_owned())
    };
    let flow = index.as_array().unwrap().iter().min_by_key(|flow| key(flow));
    let (mut sections, mut listed) = (json!({}), 0);
    if let Some(flow) = flow {
        let chunk = read(&format!("flows/{}", flow["chunk_file"].as_str().unwrap()));
        listed = chunk[flow["chunk_index"].as_u64().unwrap() as usize]["packets"].as_array().unwrap().len() as u64;
        let count = |name: &str| flow[name].as_u64().unwrap();
        let steps = [count("establishment_packets"), count("data_transfer_packets"), count("closing_packets")];
        sections = json!({"Handshake": steps[0], "Data": steps[1], "Close": steps[2]});
        let rest = listed - steps.iter().sum::<u64>();
        if rest > 0 {
            sections["No step"] = rest.into();
        }
    }
    let packets = lines.lines().count().saturating_sub(1);
    let thousands = |n: usize| if n < 1000 { n.to_string() } else { format!("{},{:03}", n / 1000, n % 1000) };
    let dir = tempfile::tempdir().unwrap();
    let limited = dir.path().join("limited.html");
    if packets > 500 {
        let save = [
            "view".as_ref(),
            folder.as_os_str(),
            "--save".as_ref(),
            limited.as_os_str(),
            "--most-packets=500".as_ref(),
        ];
        assert_eq!(run(save).code, Some(0));
    }
    let expected = json!({
        "limited": (packets > 500).then_some(limited),
        "packets": thousands(packets), "flows": thousands(index.as_array().unwrap().len()), "hosts": thousands(hosts.len()),
        "sections": sections, "listed": listed, "origin": "^A timeline folder of version 2.0: ",
    });
    let served = Served::start(folder);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/check.mjs");
    let saved = dir.path().join("saved page.html");
    let mut check = Command::new("node");
    check.arg(script).arg(browser).arg(&served.url).arg(saved).arg(expected.to_string()).stdin(Stdio::null());
    let out = check.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "{}: {}\n{}", folder.display(), text(&out.stderr), text(&out.stdout));
    let told: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(told["rows"].as_u64(), Some(listed.min(600)), "rows of the chosen flow");
}

#[test]
fn a_browser_shows_folders_of_the_original() {
    let (Some(browser), Some(reference)) = (browser(), reference()) else { return };
    for folder in ["out_default", "out_edge_input", "out_edge_hexflags", "out_idle_input"] {
        try_page(&browser, &reference.join(folder));
    }
}

#[test]
fn a_browser_shows_an_office_nothing_silence_of_centuries_and_names_that_would_be_markup() {
    let Some(browser) = browser() else { return };
    let dir = tempfile::tempdir().unwrap();
    let office = dir.path().join("office");
    Made::office(30_000, 600_000_000, 1).write(&office);
    try_page(&browser, &office);

    let empty = dir.path().join("empty");
    Made::default().write(&empty);
    try_page(&browser, &empty);

    let century = 100 * 365 * 86_400_000_000;
    for (name, times) in
        [("apart", [START - century, START + century]), ("extremes", [i64::MIN + 1, i64::MAX - 3_000_000])]
    {
        let mut made = Made::default();
        for (time, client) in times.into_iter().zip(["10.0.0.1", "10.0.0.2"]) {
            let ends = Ends { client, client_port: 1000, server: "192.0.2.1", server_port: 80 };
            made.talk(time, 100, &ends, Kind::Graceful, 4);
        }
        let folder = dir.path().join(name);
        made.write(&folder);
        try_page(&browser, &folder);
    }

    let hostile = dir.path().join("<b>hostile");
    let mut made = Made::default();
    let ends = Ends {
        client: "<img/src=x/onerror=boom=1>",
        client_port: 1,
        server: "</script><script>boom=1</script>\u{202e}",
        server_port: 2,
    };
    made.talk(START, 1000, &ends, Kind::Graceful, 3);
    made.write(&hostile);
    try_page(&browser, &hostile);
}

/// Says how long the first picture takes and how many frames a second are drawn: `cargo test --release --test all million -- --ignored --nocapture`.
/// Where `PAGE_FOLDER` names a folder, the scene is left there.
#[test]
#[ignore = "takes a minute, and tells times"]
fn a_million_packets_are_drawn_and_panned() {
    let Some(browser) = browser() else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("PAGE_FOLDER").map_or(dir.path().join("million"), PathBuf::from);
    if !folder.exists() {
        Made::office(1_000_000, 3_600_000_000, 100).write(&folder);
    }
    let served = Served::start(&folder);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/speed.mjs");
    let out = Command::new("node").arg(script).arg(browser).arg(&served.url).stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    writeln!(std::io::stderr(), "{}", String::from_utf8_lossy(&out.stdout).trim()).unwrap();
}
