//! Times that no clock should show: packets and flows are where they say, the axis names the moments it stands at, and memory is as for others.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use pcap_compactor::capture::{PcapLayout, PcapngWriter};
use serde_json::{Value, json};

use super::browser::node;
use super::made::{Ends, Kind, Made, START};
use super::{Served, column};
use crate::command::run;
use crate::flows::{frame, pcap, segment};
use crate::model::SECOND;
use crate::model::flows::{ACK, SYN, Sent};
use crate::run::file;

const YEAR: i64 = 365 * 86_400 * SECOND;

/// A page has all packets at every scale, from the first time to the last.
fn shows(path: &Path, times: &[i64]) {
    let served = Served::start(path);
    let scene = served.json("/scene");
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert_eq!(scene["first"], json!(first.to_string()), "{}", path.display());
    assert_eq!(scene["span"], json!(last.abs_diff(*first)), "{}", path.display());
    assert_eq!(scene["packets"], json!(times.len()), "{}", path.display());
    let levels = scene["levels"].as_array().unwrap();
    for level in 0..levels.len() {
        let bins = served.json(&format!("/bins?level={level}&from=0&to={}", u64::MAX));
        let time = column(&bins, "time");
        assert!(time.is_sorted() && time.len() <= times.len(), "{time:?}");
        let packets = if level == 0 { time.len() as f64 } else { column(&bins, "count").iter().sum() };
        assert_eq!(packets, times.len() as f64, "{}, level {level}", path.display());
    }
    let starts = column(&scene["flows"], "start");
    for (flow, start) in starts.iter().enumerate() {
        let of = served.json(&format!("/packets?flow={flow}"));
        assert_eq!(column(&of, "time")[0], *start, "{}, flow {flow}", path.display());
    }
    #[cfg(target_os = "linux")]
    assert!(super::peak(&served.child) < 200 << 20, "{}: {} bytes", path.display(), super::peak(&served.child));
    let page = path.with_extension("html");
    let ran = run(["view".as_ref(), path.as_os_str(), "-q".as_ref(), "--save".as_ref(), page.as_os_str()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(fs::metadata(&page).unwrap().len() < 1 << 20);
}

/// Packets of one connection at these nanoseconds.
fn packets(times: &[i64]) -> Vec<Sent> {
    let one = |(n, &time): (u32, &i64)| match n {
        0 => segment(time, true, SYN, 100, 0, 0),
        _ => segment(time, n % 2 == 0, ACK, 101 + n, 501 + n, 9),
    };
    (0..).zip(times).map(one).collect()
}

/// A capture whose times count from `offset` seconds after 1970, or before it.
fn pcapng(times: &[i64], offset: i64) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), false).unwrap();
    let layout = PcapLayout::default();
    let interface = writer.interface(layout.link, layout.snapshot, 9, offset).unwrap();
    for packet in packets(times) {
        let frame = frame(&packet);
        writer.packet(interface, packet.time.wrapping_sub(offset * SECOND) as u64, frame.len() as u32, &frame).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn captures_of_any_time_are_shown_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let microseconds = |times: &[i64]| times.iter().map(|time| time.div_euclid(1000)).collect::<Vec<_>>();
    let end = i64::from(u32::MAX) * SECOND;
    for (name, times) in [
        ("1970", vec![0, 1, 999, 1_000]),
        ("2106", vec![end - SECOND, end, end + 999_999_999]),
        ("both ends", vec![0, end, 1, end - 1]),
        ("decreasing", (0..2_000).rev().map(|n| n * 100 * SECOND).collect()),
        ("one moment", vec![77 * SECOND; 300]),
    ] {
        shows(&file(dir.path(), &format!("{name}.pcap"), &pcap(&packets(&times))), &microseconds(&times));
    }
    for (name, times, offset) in [
        ("before 1970", vec![-100 * YEAR, -100 * YEAR - 1, -1, 1], -101 * YEAR / SECOND),
        ("nanoseconds run out", vec![i64::MIN / SECOND * SECOND, -1, 0, i64::MAX], i64::MIN / SECOND),
    ] {
        shows(&file(dir.path(), &format!("{name}.pcapng"), &pcapng(&times, offset)), &microseconds(&times));
    }
}

#[test]
fn folders_of_any_time_are_shown_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    for (name, times) in [
        ("1970", vec![0, 1]),
        ("negative", vec![-1, -2_000_000_000_000]),
        ("2106", vec![4_294_967_295_000_000, 0]),
        ("beyond what a page counts", vec![1 << 53, (1 << 53) + 1, START]),
        ("all there is", vec![i64::MIN, i64::MAX - 8, -1, 0]),
    ] {
        let mut made = Made::default();
        let mut all = Vec::new();
        for (n, &time) in (1..).zip(&times) {
            let ends = Ends { client: "10.0.0.1", client_port: n, server: "192.0.2.1", server_port: 80 };
            made.talk(time, 1, &ends, Kind::Graceful, 3);
            all.extend(time..=time + 8);
            made.lone(time, "10.0.0.2", "10.0.0.1");
            all.push(time);
        }
        let folder = dir.path().join(name);
        made.write(&folder);
        shows(&folder, &all);
    }
}

/// What the page's clock writes at an axis, by the page's own text: where, what, and the whole time there.
const TICKS: &str = r#"
import { readFileSync } from "node:fs";
const [, path, list] = process.argv;
const { Clock } = await import(`data:text/javascript;base64,${readFileSync(path).toString("base64")}`);
const ticks = JSON.parse(list).map(([first, from, to]) => new Clock(first).ticks(from, to, 6));
console.log(JSON.stringify(ticks.map((ticks) => ticks.map(({ at, text }) => [at, text]))));
"#;

/// The first time of a page, what is seen of it, and names of moments, from there.
type Axis = (&'static str, f64, f64, &'static [(f64, &'static str)]);

#[test]
fn an_axis_names_the_moments_it_stands_at() {
    if node().is_none() {
        return;
    }
    let all = 18_446_744_073_709_551_615.0;
    let cases: [Axis; 9] = [
        ("0", 0.0, 9.0, &[(0.0, "00:00:00.000000"), (2.0, "00:00:00.000002")]),
        ("-1", -1.0, 8.0, &[(-1.0, "23:59:59.999998"), (1.0, "00:00:00.000000")]),
        ("-86400000000", 0.0, 400_000_000_000.0, &[(0.0, "1969-12-31"), (86_400_000_000.0, "1970-01-01")]),
        ("4294967295000000", 0.0, 1_000_000.0, &[(0.0, "06:28:15.0"), (200_000.0, "06:28:15.2")]),
        // One hour and a half behind midnight, at a number that a page does not count exactly.
        ("9007199254750993", 0.0, 7_200_000_000.0, &[(745_249_007.0, "00:00"), (2_545_249_007.0, "00:30")]),
        ("9223372036854775000", 0.0, 500_000_000.0, &[(65_225_000.0, "9223372036920000000 µs")]),
        ("-9223372036854775808", 0.0, 100.0, &[(8.0, "-9223372036854775800 µs")]),
        ("-62135596800000001", 0.0, 9e17, &[(62_135_596_800_000_001.0, "1970-01-01")]),
        ("-9223372036854775808", -all * 0.02, all * 1.02, &[(0.0, "")]),
    ];
    let asked: Vec<_> = cases.iter().map(|(first, from, to, _)| json!([first, from, to])).collect();
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/view/page/text.js");
    let mut node = Command::new("node");
    node.args(["--input-type=module", "-e", TICKS]).arg(text).arg(Value::from(asked).to_string());
    let out = node.stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let told: Vec<Vec<(f64, String)>> = serde_json::from_slice(&out.stdout).unwrap();
    for ((first, from, to, begins), ticks) in cases.into_iter().zip(told) {
        assert!(ticks.is_sorted_by(|a, b| a.0 < b.0) && (1..=8).contains(&ticks.len()), "{first}: {ticks:?}");
        assert!(ticks.iter().all(|(at, text)| (from..=to).contains(at) && !text.is_empty()), "{first}: {ticks:?}");
        for ((at, text), (is_at, is)) in begins.iter().zip(&ticks).filter(|((_, text), _)| !text.is_empty()) {
            assert_eq!((is_at, is.as_str()), (at, *text), "{first}: {ticks:?}");
        }
    }
}
