//! The page in Chromium, by tests/page/check.mjs. Where node or the browser is missing, that is said on standard error, and fails
//! where `CI` is set.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::made::{Ends, Kind, Made, START};
use crate::command::run;

use super::Served;

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
pub(super) fn node() -> Option<()> {
    is_there("node").then_some(()).or_else(|| {
        left_out("there is no node");
        None
    })
}

/// node and Chromium; nothing, said aloud, where one is missing.
pub(super) fn browser() -> Option<String> {
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
