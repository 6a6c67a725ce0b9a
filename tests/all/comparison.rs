//! Comparisons of dialects: which values differ, by how much, and which switches make them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use pcap_compactor::engine::Progress;
use pcap_compactor::filter::Filter;
use pcap_compactor::views::flows::Settings;
use pcap_compactor::views::flows::dialects::Dialect;
use pcap_compactor::views::flows::dialects::cic::{CIC, ENGELEN, Preset, dialect};
use pcap_compactor::views::flows::dialects::comparison::{Comparer, Comparison, Reason, Runs, Spread};
use pcap_compactor::{Engine, ErrorKind};
use serde_json::Value;

use crate::cic::{CAPTURES, Captured, SWITCHES, busy, cell, everything, ms, reference, rows, written};
use crate::command::{Ran, command, run};
use crate::flows::udp;
use crate::model::flows::Sent;
use crate::run::file;

fn comparer(captures: &[PathBuf], threads: usize) -> Comparer {
    Comparer::new(Engine::builder().threads(threads), Filter::default(), Settings::default(), captures)
}

fn compare(captures: &[PathBuf], first: &Dialect, second: &Dialect) -> Comparison {
    comparer(captures, 1).compare(first, second).expect("it can be read").0
}

fn of(name: &str) -> Dialect {
    name.parse().expect("there is such a dialect")
}

/// `cic` with switches set.
fn cic(set: &[(&str, &str)]) -> Dialect {
    let mut switches = CIC;
    set.iter().for_each(|(name, value)| switches.set(name, value).expect("there is such a switch"));
    dialect(Preset::Corrected, switches)
}

fn differing(comparison: &Comparison) -> BTreeSet<&str> {
    comparison.columns.iter().filter(|column| column.rows > 0).map(|column| column.names[0]).collect()
}

/// All reasons, and of how many values and rows.
fn reasons(comparison: &Comparison) -> BTreeMap<Vec<&'static str>, u64> {
    let columns = comparison.columns.iter().map(|column| &column.why);
    let mut sum = BTreeMap::new();
    for Reason { switches, values } in columns.chain(comparison.only_rows.iter().map(|lone| &lone.why)).flatten() {
        *sum.entry(switches.clone()).or_default() += values;
    }
    sum
}

/// Every difference has a reason, and the switches' sums are those of the reasons.
fn is_explained(comparison: &Comparison) {
    let sum = |why: &[Reason]| why.iter().map(|reason| reason.values).sum::<u64>();
    for column in &comparison.columns {
        assert_eq!(sum(&column.why), column.rows, "{column:?}");
    }
    for lone in &comparison.only_rows {
        assert_eq!(sum(&lone.why), lone.rows, "{lone:?}");
    }
    assert!(reasons(comparison).keys().all(|switches| !switches.is_empty()));
    for switch in &comparison.switches {
        let mut counted = [0, 0];
        for (switches, values) in reasons(comparison).iter().filter(|(switches, _)| switches.contains(&switch.name)) {
            counted[usize::from(switches.len() > 1)] += values;
        }
        assert_eq!([switch.alone, switch.with_others], counted, "{switch:?}");
    }
    assert_eq!(comparison.unreduced, 0);
}

#[test]
fn a_difference_of_one_switch_is_put_down_to_it() {
    let capture = Captured::new(&everything());
    for (name, value, columns) in SWITCHES {
        let comparison = compare(&capture.paths, &of("cic"), &cic(&[(name, value)]));
        is_explained(&comparison);
        if *name == "time" {
            // Another unit is no difference.
            assert_eq!((differing(&comparison), reasons(&comparison)), Default::default());
            continue;
        }
        assert_eq!(reasons(&comparison).keys().collect::<Vec<_>>(), [&vec![*name]], "{name}={value}");
        if *columns != ["rows"] {
            // Text of one number may differ: 0 and 0.0.
            let [ours, theirs] = [cic(&[]), cic(&[(name, value)])].map(|dialect| by_flow(&capture.paths, &dialect));
            let in_text = |column: &str| {
                let cells = ours.values().zip(theirs.values()).map(|rows| (cell(rows.0, column), cell(rows.1, column)));
                cells.into_iter().any(|(ours, theirs)| !same(ours, theirs))
            };
            let columns = columns.iter().copied().filter(|column| in_text(column) || *column == "Timestamp");
            assert_eq!(differing(&comparison), columns.collect(), "{name}={value}");
            assert!(comparison.only_rows.iter().all(|lone| lone.rows == 0), "{name}={value}");
        }
        assert_eq!(comparison.switches.len(), 1);
    }
}

/// By hand: 10 packets forward, 9 backward, 3 pauses. Without `gaps` there are 4 subflows; integers are rounded down.
#[test]
fn what_two_switches_make_together_is_put_down_to_both() {
    let capture = Captured::new(&busy());
    let comparison = compare(&capture.paths, &of("cic"), &cic(&[("subflow", "gaps"), ("division", "integer")]));
    is_explained(&comparison);
    let column = |name: &str| comparison.columns.iter().find(|column| column.names == [name, name]).unwrap();
    let why = |switches: &[&'static str]| vec![Reason { switches: switches.to_vec(), values: 1 }];
    let packets = column("Subflow Fwd Packets");
    assert_eq!((packets.rows, &packets.why), (1, &why(&["division", "subflow"])));
    let third = 0.5 / 3.0;
    let spread = Spread { values: 1, max: 0.5, median: 0.5, max_relative: third, median_relative: third };
    assert_eq!((packets.unit, packets.spread), ("packets", Some(spread)));
    // 9 / 3 is 3 whether rounded or not; 9 / 10 is rounded, whatever subflows are.
    assert_eq!(column("Subflow Bwd Packets").why, why(&["subflow"]));
    assert_eq!(column("Down/Up Ratio").why, why(&["division"]));
    assert_eq!(column("Total Fwd Packet").rows, 0);
    assert_eq!(comparison.switches.iter().map(|switch| switch.name).collect::<Vec<_>>(), ["division", "subflow"]);

    let few = comparer(&capture.paths, 1).most_runs(0);
    let (few, _) = few.compare(&of("cic"), &cic(&[("subflow", "gaps"), ("division", "integer")])).unwrap();
    assert_eq!((reasons(&few), few.unreduced > 0), (reasons(&comparison), true), "all there are, but not tried");
}

#[test]
fn what_a_switch_of_wa1kpcap_makes_is_put_down_to_it() {
    let capture = Captured::new(&everything());
    let original = of("wa1kpcap").set("summed_duration", "yes").and_then(|set| set.set("float_times", "yes")).unwrap();
    let comparison = compare(&capture.paths, &of("wa1kpcap"), &original);
    is_explained(&comparison);
    let duration = comparison.columns.iter().find(|column| column.names[0] == "feature.duration").unwrap();
    assert!(duration.why.iter().any(|reason| reason.switches == ["summed_duration"]), "{duration:?}");
    assert!(!compare(&capture.paths, &of("wa1kpcap"), &of("cic")).one_family);
}

#[test]
fn every_pair_of_the_family_is_explained_whatever_the_threads() {
    let capture = Captured::new(&everything());
    let family = [Preset::Corrected, Preset::Java, Preset::Engelen, Preset::Of2018, Preset::Of2017];
    for [first, second] in family.into_iter().flat_map(|first| family.map(|second| [first, second])) {
        let [ours, theirs] = [first, second].map(|preset| of(preset.name()));
        let comparison = compare(&capture.paths, &ours, &theirs);
        is_explained(&comparison);
        let layout: BTreeSet<_> = comparison
            .columns
            .iter()
            .filter(|column| column.why.iter().any(|reason| reason.switches.contains(&"layout")))
            .map(|column| column.names[0])
            .collect();
        // That of 2018 has another constant, and puts the greater address first.
        let expected =
            if (first == Preset::Of2018) != (second == Preset::Of2018) { &["Flow ID", "Label"][..] } else { &[] };
        assert_eq!(layout, expected.iter().copied().collect(), "{first:?} {second:?}");
        if first.switches() == second.switches() {
            assert!(differing(&comparison).is_empty() && comparison.rows > 10, "{first:?} {second:?}");
        } else {
            assert!(!differing(&comparison).is_empty());
        }
        if first == Preset::Corrected {
            assert_eq!(comparison, comparer(&capture.paths, 3).compare(&ours, &theirs).unwrap().0);
        }
    }
}

/// The row of a flow in text: its ends in no order, and when it began.
type Key = ([(String, String); 2], String, usize);

fn by_flow(captures: &[PathBuf], dialect: &Dialect) -> BTreeMap<Key, Vec<(String, String)>> {
    let mut found = BTreeMap::new();
    for row in rows(&written(captures, dialect, 1)) {
        let of = |name: &str| cell(&row, name).to_owned();
        let mut ends = [(of("Src IP"), of("Src Port")), (of("Dst IP"), of("Dst Port"))];
        ends.sort();
        let key = |number| (ends.clone(), of("Timestamp"), number);
        let number = (0..).find(|number| !found.contains_key(&key(*number))).expect("some number is free");
        found.insert(key(number), row);
    }
    found
}

fn same(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

/// Held against what is written as text: each value of the corrected program that the fork has not is there, and
/// with the switches that are its reason set one has the fork's.
#[test]
fn every_difference_of_the_fork_is_that_of_the_switches_that_are_named() {
    let Some(reference) = reference() else { return };
    let captures = CAPTURES.map(|name| reference.join(format!("pcap/{name}.pcap")));
    let mut named = BTreeSet::new();
    for captures in captures.chunks(1) {
        let comparison = compare(captures, &of("cic"), &of("cic-engelen"));
        is_explained(&comparison);
        let text = |set: &[&str]| {
            let theirs = ENGELEN.list();
            let value = |name: &&str| theirs.iter().find(|switch| switch.name == *name).expect("a switch").value;
            by_flow(captures, &cic(&set.iter().map(|name| (*name, value(name))).collect::<Vec<_>>()))
        };
        let sets = reasons(&comparison).into_keys();
        let tables: BTreeMap<Vec<&str>, _> = sets.map(|set| (set.clone(), text(&set))).collect();
        let (ours, theirs) = (text(&[]), by_flow(captures, &of("cic-engelen")));
        assert_eq!(ours.len() as u64, comparison.rows + comparison.only_rows[0].rows, "{captures:?}");
        assert_eq!(theirs.len() as u64, comparison.rows + comparison.only_rows[1].rows, "{captures:?}");
        let mut values = 0;
        for (key, row) in &ours {
            let Some(other) = theirs.get(key) else { continue };
            for (column, (name, value)) in comparison.columns.iter().zip(row) {
                let wanted = cell(other, name);
                if same(value, wanted) {
                    continue;
                }
                assert_eq!(column.names[0], name);
                let has = |table: &BTreeMap<_, _>| table.get(key).is_some_and(|row| same(cell(row, name), wanted));
                let brings = column.why.iter().any(|reason| has(&tables[&reason.switches]));
                assert!(brings, "{captures:?}: {key:?} {name}: {value}, {wanted}");
                values += 1;
            }
        }
        assert_eq!(values, comparison.columns.iter().map(|column| column.rows).sum::<u64>(), "{captures:?}");
        named.extend(reasons(&comparison).into_keys().flatten());
    }
    // Of the eleven switches, five have something to decide in one capture or other.
    assert_eq!(named, BTreeSet::from(["init_win_fwd", "length_source", "packets", "seg_size_min", "subflow"]));

    // As one, two of them have the same packets, so time goes back, and more is decided.
    let comparison = compare(&captures, &of("cic"), &of("cic-engelen"));
    is_explained(&comparison);
    named.extend(["duration", "idle_timeout", "order"]);
    assert_eq!(reasons(&comparison).into_keys().flatten().collect::<BTreeSet<_>>(), named);
}

/// The client is the greater address as text, and answers come, so all that has a direction differs.
#[test]
fn flows_of_other_programs_are_matched_by_their_packets() {
    let (low, high) = (([10, 0, 0, 1], 4000), ([9, 0, 0, 1], 53));
    let end = |(address, port): ([u8; 4], u16)| (std::net::IpAddr::from(address), port);
    let sent = |at, src, dst| Sent { src: end(src), dst: end(dst), ..udp(ms(at), 0) };
    let capture =
        Captured::new(&[sent(0, high, low), sent(1, low, high), sent(1500, high, low), sent(130_000, high, low)]);
    let comparison = compare(&capture.paths, &of("cic"), &of("nexus"));
    assert_eq!((comparison.rows, comparison.one_family, comparison.switches.len()), (1, false, 0));
    // The second flow of the one is no flow of its own in the other, which has no timeout.
    assert_eq!(comparison.only_rows.clone().map(|lone| (lone.rows, lone.why)), [(1, vec![]), (0, vec![])]);
    let column = |name: &str| comparison.columns.iter().find(|column| column.names[1] == name).unwrap();
    assert_eq!(
        (column("src_ip").names, column("src_ip").rows, column("src_ip").spread),
        (["Src IP", "src_ip"], 1, None)
    );
    assert_eq!((column("src_port").rows, column("src_port").spread), (1, None), "a port is a name");
    let duration = column("duration_seconds");
    assert_eq!((duration.unit, duration.spread.unwrap().max), ("µs", 128_500_000.0));
    let forward = column("forward_packets").spread.unwrap();
    assert_eq!((forward.max, forward.max_relative), (1.0, 0.5));
    assert!(comparison.columns.iter().all(|column| column.why.is_empty()));
    assert!(comparison.only_columns[1].contains(&"connection_state"));

    let alike = compare(&capture.paths, &of("nexus"), &of("wa1kpcap"));
    let column = |name: &str| alike.columns.iter().find(|column| column.names[0] == name).unwrap();
    assert_eq!([column("total_packets").rows, column("duration_seconds").rows, column("protocol").rows], [0; 3]);
}

/// NetFlow has whole milliseconds, so half of one is lost, and 0 and 1 where the others have a label.
#[test]
fn columns_of_netflow_are_compared_with_those_of_others() {
    let (low, high) = (([10, 0, 0, 1], 4000), ([9, 0, 0, 1], 53));
    let end = |(address, port): ([u8; 4], u16)| (std::net::IpAddr::from(address), port);
    let sent = |at, src, dst| Sent { src: end(src), dst: end(dst), ..udp(at, 0) };
    let half = (ms(1) - ms(0)) / 2;
    let capture = Captured::new(&[sent(ms(0), high, low), sent(ms(1), low, high), sent(ms(1500) + half, high, low)]);
    let comparison = compare(&capture.paths, &of("nf-v3"), &of("cic"));
    let differs: Vec<_> =
        comparison.columns.iter().filter(|column| column.rows > 0).map(|column| column.names).collect();
    let label = ["Attack", "Label"];
    assert_eq!(
        (comparison.rows, differs),
        (
            1,
            vec![
                ["FLOW_DURATION_MILLISECONDS", "Flow Duration"],
                ["SRC_TO_DST_IAT_MIN", "Fwd IAT Min"],
                ["SRC_TO_DST_IAT_MAX", "Fwd IAT Max"],
                ["SRC_TO_DST_IAT_AVG", "Fwd IAT Mean"],
                label,
            ]
        )
    );
    let duration = comparison.columns.iter().find(|column| column.names[1] == "Flow Duration").unwrap();
    assert_eq!((duration.unit, duration.spread.unwrap().max), ("ms", 0.5));
    assert!(comparison.only_columns[0].contains(&"Label"));
}

#[test]
fn more_rows_than_there_may_be_are_an_error() {
    let capture = Captured::new(&everything());
    let rows = rows(&written(&capture.paths, &of("cic"), 1)).len();
    let compare = |most| comparer(&capture.paths, 1).most_rows(most).compare(&of("cic"), &of("cic"));
    assert_eq!(compare(rows).unwrap().0.rows, rows as u64);
    let said = compare(rows - 1).unwrap_err().to_string();
    assert!(said.contains(&format!("cic has more than {} flows here", rows - 1)), "{said}");
}

#[test]
fn progress_is_that_of_all_runs_and_a_stop_ends_them() {
    let packets = everything();
    let capture = Captured::new(&packets);
    let (progress, runs) = (Arc::new(Progress::default()), Arc::new(Runs::default()));
    let comparer = |progress: &Arc<Progress>| {
        let engine = Engine::builder().progress(Arc::clone(progress));
        let comparer = Comparer::new(engine, Filter::default(), Settings::default(), &capture.paths);
        comparer.runs(Arc::clone(&runs))
    };
    let read = || progress.packets() / packets.len() as u64;
    assert_eq!(runs.expected(), 2);
    comparer(&progress).compare(&of("cic"), &of("cic")).unwrap();
    assert_eq!((runs.expected(), read()), (2, 2));
    let compared = comparer(&progress).compare(&of("cic"), &of("cic-2018")).unwrap().0;
    assert_eq!(runs.expected(), read());
    assert!(read() > 4 + compared.switches.len() as u64 / 2, "{}", read());
    let bytes = std::fs::metadata(&capture.paths[0]).unwrap().len();
    assert_eq!(progress.bytes(), bytes * runs.expected());

    progress.stop();
    let stopped = comparer(&progress).compare(&of("cic"), &of("cic")).unwrap_err();
    assert!(matches!(stopped.kind(), ErrorKind::Stopped), "{stopped}");
}

/// While it tries switches, with work left for seconds.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_command_at_once() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let packets: Vec<_> = (0..200_000).map(|n: u32| udp(ms((n / 10).into()), n % 20_000)).collect();
    let capture = Captured::new(&packets);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut comparing = command(["diff-dialects", "cic", "cic-2018", "--verbose"]);
        let comparing = comparing.args(&capture.paths).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut comparing = comparing.spawn().unwrap();
        let mut said = BufReader::new(comparing.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert_eq!(said.by_ref().filter(|line| line.contains("run begins")).take(3).count(), 3);
        let signalled = Command::new("kill").args([&format!("-{signal}"), &comparing.id().to_string()]).status();
        assert!(signalled.unwrap().success());
        let began = Instant::now();
        let rest: Vec<_> = said.collect();
        assert_eq!(comparing.wait().unwrap().code(), Some(code), "{rest:?}");
        // A run that has to be ended by force takes 3 s.
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert!(rest.last().is_some_and(|line| line.contains("stopped")), "{rest:?}");
        let mut out = String::new();
        comparing.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert_eq!(out, "");
    }
}

#[test]
fn the_command_tells_it_to_people_and_to_programs() {
    let capture = Captured::new(&everything());
    let path = capture.paths[0].to_str().unwrap();
    let diff = |words: &[&str]| run(["diff-dialects"].iter().chain(words));
    let people = diff(&["cic", "cic-2018", path]);
    assert_eq!((people.code, people.said.as_str()), (Some(0), ""), "{people:?}");
    let begins = [
        "cic against cic-2018, over 1 capture",
        "  in both ",
        "  in cic alone ",
        "  in cic-2018 alone ",
        "84 columns of both, ",
        "  Flow Bytes/s = Flow Byts/s (bytes/s) ",
        "  Label ",
        "  switch ",
        "  last_active_period ",
        "  layout ",
    ];
    for begin in begins {
        let found = people.out.lines().any(|line| line.starts_with(begin));
        assert_eq!(found, begin != "  last_active_period ", "{begin}: {}", people.out);
    }
    let programs = diff(&["cic", "cic-2018", path, "--format", "json", "--threads", "2"]);
    let said: Value = serde_json::from_str(&programs.out).unwrap();
    let expected = serde_json::to_value(compare(&capture.paths, &of("cic"), &of("cic-2018"))).unwrap();
    assert_eq!(said, expected);

    let none = diff(&["cic-java", "cic-java", path]);
    assert!(none.out.contains("\n84 columns of both, 0 of which differ\n"), "{none:?}");
    assert!(none.out.contains("No switch stands differently."), "{none:?}");
    let others = diff(&["cic", "nexus", path]);
    for line in
        ["so no switch tells why", "\n  cic ghosts: ", "\n  nexus arp: ARP is a flow of the hosts that it names; here "]
    {
        assert!(others.out.contains(line), "{line}: {}", others.out);
    }

    let dir = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(path).unwrap();
    let cut = file(dir.path(), "cut.pcap", &bytes[..bytes.len() - 1]);
    let broken = diff(&["cic", "cic-java", cut.to_str().unwrap()]);
    assert_eq!((broken.code, broken.said.matches("cut.pcap: truncated").count()), (Some(3), 1), "{broken:?}");
    let text = file(dir.path(), "text", b"this is text");
    for (words, code, said) in [
        (&["cic", "cic-java", "-"][..], 2, "-: can be read only once"),
        (&["cic", "cic-jav", path], 2, "`cic-java`"),
        (&["cic", "cic-java"], 2, "name at least one INPUT"),
        (&["cic", "cic-java", path, "--by-sensor"], 2, "leave out --by-sensor"),
        (&["cic", "cic-java", text.to_str().unwrap()], 1, "none of the inputs is a capture"),
        (
            &["cic", "cic-java", path, "--max-flows", "3"],
            1,
            "cic has more than 3 flows here, and rows are compared in memory; allow",
        ),
    ] {
        let ran = diff(words);
        assert!(ran.code == Some(code) && ran.said.contains(said) && ran.out.is_empty(), "{words:?}: {ran:?}");
    }
    let filtered = Ran::of(command(["diff-dialects", "cic", "cic-java", path, "--filter", "port 1"]).output().unwrap());
    assert!(filtered.out.contains("\n  in both     "), "{filtered:?}");
}
