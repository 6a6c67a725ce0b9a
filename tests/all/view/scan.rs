//! Captures of so many hosts that there is no row for each.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::browser::browser;
use super::{Served, column};
use crate::command::run;
use crate::flows::{pcap, segment};
use crate::model::SECOND;
use crate::model::flows::{SYN, Sent};
use crate::run::file;
use crate::traffic;

/// So many hosts in a minute.
const HOSTS: u32 = 120_000;

fn scan() -> Vec<Sent> {
    let one = |n: u32| {
        let time = traffic::START + i64::from(n) * 60 * SECOND / i64::from(HOSTS);
        let target = Ipv4Addr::from_bits(Ipv4Addr::new(11, 0, 0, 0).to_bits() + n * 7919 % HOSTS);
        Sent { dst: (target.into(), 80), ..segment(time, true, SYN, 1000, 0, 0) }
    };
    (0..HOSTS).map(one).collect()
}

#[test]
fn a_page_asks_for_the_packets_of_hosts_that_bins_do_not_tell_apart() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&file(dir.path(), "scan.pcap", &pcap(&scan())));
    let scene = served.json("/scene");
    assert_eq!((&scene["told"], &scene["busy"]), (&"busy".into(), &1.into()));
    let levels = scene["levels"].as_array().unwrap();
    // What comes first is short, and has all packets.
    let coarse = &scene["coarse"];
    assert!(coarse["level"].as_u64().unwrap() > 0 && column(coarse, "time").len() <= 100_000);
    assert_eq!(column(coarse, "count").iter().sum::<f64>(), f64::from(HOSTS));
    let names = scene["hosts"].as_array().unwrap();
    let host = names.iter().position(|name| name == "11.0.0.77").unwrap();
    let at = (0..HOSTS).find(|n| n * 7919 % HOSTS == 77).unwrap() as f64 * 60e6 / f64::from(HOSTS);
    for (level, shape) in levels.iter().enumerate() {
        let width = shape["width"].as_f64().unwrap();
        let bins = served.json(&format!("/bins?level={level}&from=0&to={}&hosts={host}", u64::MAX));
        assert_eq!(column(&bins, "time"), [(at / width).floor() * width], "level {level}");
        assert_eq!((column(&bins, "count"), column(&bins, "dst")), (vec![1.0], vec![host as f64]));
    }
    for wrong in ["", "x", "120001", "1,,2"] {
        let (head, _) = served.get(&format!("/bins?level=0&from=0&to=1&hosts={wrong}"));
        assert!(head.starts_with("HTTP/1.1 400 "), "{wrong}: {head}");
    }
}

#[test]
fn a_browser_shows_a_scan_over_time_and_finds_each_of_its_hosts() {
    let Some(browser) = browser() else { return };
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "scan.pcap", &pcap(&scan()));
    let [saved, limited] = [("saved.html", "200000"), ("limited.html", "100000")].map(|(name, most)| {
        let page = dir.path().join(name);
        let save = ["view".as_ref(), capture.as_os_str(), "--save".as_ref(), page.as_os_str()];
        assert_eq!(run(save.into_iter().chain(["--most-packets".as_ref(), most.as_ref()])).code, Some(0));
        page
    });
    let served = Served::start(&capture);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/scan.mjs");
    let mut check = Command::new("node");
    check.arg(script).arg(browser).arg(&served.url).args([saved, limited]).arg(HOSTS.to_string()).stdin(Stdio::null());
    let out = check.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
