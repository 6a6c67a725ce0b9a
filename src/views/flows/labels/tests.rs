use std::net::IpAddr;

use proptest::prelude::*;

use super::rule::Subject;
use super::*;
use crate::time::NS_PER_SECOND;

const RULES: &str = r#"
zone = "America/Moncton"
default = "BENIGN"

[[rule]]
label = "DoS Hulk"
from = "2017-07-05T10:43"
to = 2017-07-05T11:00:00-03:00
src = "172.16.0.1"
dst = ["192.168.10.0/24", "2001:db8::/32"]
dst_port = [80, "8000-8010"]
protocol = "tcp"
direction = "forward"

[[rule]]
label = "Scan"
src = "172.16.0.0/16"
priority = -1
"#;

/// 10:43 in Moncton, in summer: three hours behind UTC.
const AT: i64 = 1_499_262_180;

fn subject(src: &str, src_port: u16, dst: &str, dst_port: u16, protocol: u8, seconds: i64) -> Subject {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let first = seconds * NS_PER_SECOND;
    Subject { src: (address(src), src_port), dst: (address(dst), dst_port), protocol, first }
}

/// The label of a subject.
fn of(labels: &Labels, subject: &Subject) -> Option<String> {
    labels.label_of(subject).map(|label| label.to_string())
}

#[test]
fn rules_are_asked_in_order_of_priority_and_of_all_they_say() {
    let labels = Labels::from_toml(RULES).unwrap();
    let (attacker, web) = ("172.16.0.1", "192.168.10.50");
    let label = |flow: Subject| of(&labels, &flow).unwrap();
    assert_eq!(label(subject(attacker, 40_000, web, 80, 6, AT)), "DoS Hulk");
    assert_eq!(label(subject(attacker, 40_000, web, 8005, 6, AT + 1019)), "DoS Hulk");
    // One thing is another each time.
    for other in [
        subject(attacker, 40_000, web, 80, 6, AT - 1),
        subject(attacker, 40_000, web, 80, 6, AT + 1020),
        subject("172.16.0.2", 40_000, web, 80, 6, AT),
        subject(attacker, 40_000, "192.168.11.1", 80, 6, AT),
        subject(attacker, 40_000, web, 8011, 6, AT),
        subject(attacker, 40_000, web, 80, 17, AT),
        subject(web, 80, attacker, 40_000, 6, AT),
    ] {
        assert_eq!(label(other), "Scan", "{other:?}");
    }
    assert_eq!(label(subject("10.0.0.1", 1, "10.0.0.2", 2, 6, AT)), "BENIGN");
}

#[test]
fn the_report_tells_what_was_missed_hidden_and_idle() {
    let rules = r#"
        attackers = "10.0.0.0/8"
        [[rule]]
        label = "a"
        from = 1000
        to = 2000
        dst_port = 80
        priority = 1
        [[rule]]
        label = "b"
        dst_port = "1-100"
        protocol = 6
        from = 0
        to = 5000
        [[rule]]
        label = "c"
        protocol = 132
    "#;
    let labels = Labels::from_toml(rules).unwrap();
    let flow = |src: &str, port, at| subject(src, 30_000, "9.9.9.9", port, 6, at);
    for (src, port, at, label) in [
        ("10.0.0.1", 80, 1500, Some("a")),
        ("10.0.0.1", 80, 2500, Some("b")),
        ("10.0.0.1", 90, 1500, Some("b")),
        ("10.0.0.7", 443, 1500, None),
        ("11.0.0.7", 443, 1500, None),
    ] {
        assert_eq!(of(&labels, &flow(src, port, at)).as_deref(), label);
    }
    let report = labels.report();
    assert_eq!(report.labels, [("a".into(), 1), ("b".into(), 2)]);
    assert_eq!((report.unmatched, report.of_attackers), (2, 1));
    assert_eq!(report.examples, ["10.0.0.7 30000 to 9.9.9.9 443, protocol 6, at 1500.000000000"]);
    assert_eq!(report.idle, [Idle { line: 15, label: "c".to_owned() }]);
    assert_eq!(report.overlaps, [Overlap { line: 3, hidden: 9, flows: 1 }]);
    assert_eq!(report.offset, None);
}

#[test]
fn a_clock_that_is_off_is_told() {
    let labels = Labels::from_toml("[[rule]]\nlabel = \"a\"\nfrom = 100000\nto = 100600\ndst_port = 80").unwrap();
    for n in 0..10 {
        // All but one began three hours early.
        let at = if n == 0 { 100_000 } else { 100_000 - 3 * 3600 + n * 50 };
        let _ = of(&labels, &subject("1.1.1.1", 1, "2.2.2.2", 80, 6, at));
    }
    let minutes = 180;
    assert_eq!(labels.report().offset, Some(Offset { minutes, matches: 9, now: 1 }));
}

/// A window without an end has more flows the further the clock is moved, whatever it shows.
#[test]
fn windows_that_are_open_say_nothing_of_the_clock() {
    for window in ["from = 100000", "to = 100000", ""] {
        let labels = Labels::from_toml(&format!("[[rule]]\nlabel = \"a\"\n{window}")).unwrap();
        for n in 0..100 {
            let _ = of(&labels, &subject("1.1.1.1", 1, "2.2.2.2", 80, 6, 97_000 + n * 60));
        }
        assert_eq!(labels.report().offset, None, "{window}");
    }
}

#[test]
fn two_hosts_of_which_either_could_be_the_server_have_two_ways_out() {
    let hosts = |rest: &str| {
        let rule = |label: &str, src: &str| format!("[[rule]]\nlabel = \"{label}\"\nsrc = \"{src}\"\n{rest}\n");
        Labels::from_toml(&(rule("a", "10.0.0.1") + &rule("b", "10.0.0.2")))
    };
    let said = hosts("").unwrap_err().to_string();
    assert!(said.contains("`priority`, or both `direction = \"forward\"`"), "{said}");
    assert!(hosts("direction = \"forward\"").is_ok());
    // Where both have one source it is no way out.
    let one = "[[rule]]\nlabel = \"a\"\n[[rule]]\nlabel = \"b\"\nsrc = \"10.0.0.1\"";
    let said = Labels::from_toml(one).unwrap_err().to_string();
    assert!(said.contains("`priority`") && !said.contains("forward"), "{said}");
}

#[test]
fn rules_at_different_times_are_not_compared() {
    let rules = |length: i64| {
        let rule = |n: i64| format!("[[rule]]\nlabel = \"{n}\"\nfrom = {}\nto = {}\n", n * 10, n * 10 + length);
        file::read(&(0..100).rev().map(rule).collect::<String>()).unwrap().rules
    };
    assert_eq!(rule::overlapping(&rules(10)).count(), 0);
    assert_eq!(rule::overlapping(&rules(11)).count(), 99, "each with the next");
}

#[test]
fn only_rules_of_its_hosts_are_asked_about_a_flow() {
    let rule = |n: i64, ends: &str| format!("[[rule]]\nlabel = \"{n}\"\npriority = {n}\n{ends}\n");
    let ends = [
        "src = \"10.0.0.1\"",
        "src = [\"10.0.0.2\", \"10.0.0.1\"]",
        "dst = \"10.0.0.2\"",
        "src = \"10.0.0.0/24\"\ndst = \"10.0.0.3\"",
        "src = [\"10.0.0.4\", \"10.0.0.0/24\"]",
        "dst_port = 80",
    ];
    let text: String = (0..).zip(ends).map(|(n, ends)| rule(-n, ends)).collect();
    let labels = Labels::from_toml(&text).unwrap();
    let places = |src, dst| labels.hosts.places(&subject(src, 1, dst, 80, 6, 0));
    assert_eq!(places("10.0.0.1", "10.0.0.2"), [0, 1, 2, 4, 5]);
    assert_eq!(places("10.0.0.3", "10.0.0.9"), [3, 4, 5]);
    assert_eq!(places("9.9.9.9", "8.8.8.8"), [4, 5]);
}

#[test]
fn mistakes_have_a_place_and_a_way_out() {
    let rule = |rest: &str| format!("[[rule]]\nlabel = \"a\"\n{rest}\n");
    for (text, place, says) in [
        ("[[rule]]\nsrc = \"1.1.1.1\"".to_owned(), "line 1, column 1", "no `label`"),
        (rule("src = \"10.0.0.0/33\""), "line 3, column 7", "10.0.0.0/33"),
        (rule("src = [\"1.1.1.1\", \"10.0.0.1/8\"]"), "line 3, column 19", "10.0.0.0/8"),
        (rule("src = []"), "line 3, column 7", "leave it out"),
        (rule("sorce = 1"), "line 3, column 1", "src"),
        (rule("dst_port = [80, 70000]"), "line 3, column 17", "0 to 65535"),
        (rule("dst_port = \"90-80\""), "line 3, column 12", "before it begins"),
        (rule("protocol = \"tpc\""), "line 3, column 12", "tpc"),
        (rule("direction = \"back\""), "line 3, column 13", "forward"),
        (rule("from = \"yesterday\""), "line 3, column 8", "yesterday"),
        (rule("from = 10\nto = 10"), "line 4, column 6", "not after"),
        (rule("priority = 1.5"), "line 3, column 12", "integer"),
        ("zone = \"Mars/Base\"".to_owned(), "line 1, column 8", "Mars/Base"),
        ("zone = \"Europe/Berlin\"\n".to_owned() + &rule("from = \"2017-10-29T02:30\""), "line 4, column 8", "offset"),
        ("[[rule]]\nlabel = \"\"".to_owned(), "line 2, column 9", "the label is empty"),
        ("default = \"\"".to_owned(), "line 1, column 11", "the label is empty"),
        ("default = 1".to_owned(), "line 1, column 11", "this is integer, not text"),
        (rule("src = \"\""), "line 3, column 7", "`` is no address"),
        (rule("dst_port = \"\""), "line 3, column 12", "no port"),
        ("zone = \"\"".to_owned(), "line 1, column 8", "no time zone"),
        ("rule = 1".to_owned(), "line 1, column 8", "[[rule]]"),
        ("[[rule]\n".to_owned(), "line 1", ""),
        (rule("dst_port = 80") + "[[rule]]\nlabel = \"b\"\nsrc_port = [80, 90]", "line 4, column 1", "line 1"),
    ] {
        let error = Labels::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains(says), "{text}\n{error}");
    }
    // What cannot meet, or says the same, or has its order, is no mistake.
    for rest in
        ["label = \"b\"\ndst_port = 81\ndirection = \"forward\"", "label = \"a\"", "label = \"b\"\npriority = 1"]
    {
        let text = rule("dst_port = 80\ndirection = \"forward\"") + "[[rule]]\n" + rest;
        assert!(Labels::from_toml(&text).is_ok(), "{text}");
    }
}

/// One of few, so that things meet.
fn few<T: Clone + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = Option<T>> {
    prop::option::of(prop::sample::select(all))
}

fn any_rule() -> impl Strategy<Value = String> {
    let nets = || few(&["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "11.0.0.0/8"]);
    let ports = || few(&["80", "80-90", "85-100", "443"]);
    let times = few(&[[0, 10], [5, 15], [10, 20]]);
    (nets(), nets(), ports(), ports(), times, few(&["tcp", "udp"]), any::<bool>(), 0..2, "[ab]").prop_map(
        |(src, dst, src_port, dst_port, times, protocol, forward, priority, label)| {
            let line =
                |key: &str, value: Option<&str>| value.map_or(String::new(), |value| format!("{key} = \"{value}\"\n"));
            let times = times.map_or(String::new(), |[from, to]| format!("from = {from}\nto = {to}\n"));
            let direction = line("direction", forward.then_some("forward"));
            let ends = line("src", src) + &line("dst", dst) + &line("src_port", src_port) + &line("dst_port", dst_port);
            format!(
                "[[rule]]\nlabel = \"{label}\"\npriority = {priority}\n{times}{ends}{}{direction}",
                line("protocol", protocol)
            )
        },
    )
}

fn any_subject() -> impl Strategy<Value = Subject> {
    let address = || prop::sample::select(&["10.1.2.3", "10.1.9.9", "10.2.0.0", "11.0.0.1", "12.0.0.1"][..]);
    let port = || prop::sample::select(&[80, 85, 90, 100, 443, 1][..]);
    (address(), port(), address(), port(), prop::sample::select(&[6, 17][..]), 0..25_i64)
        .prop_map(|(src, from, dst, to, protocol, at)| subject(src, from, dst, to, protocol, at))
}

proptest! {
    /// Rules that are taken never leave a flow to the order of the file: no two of one priority that disagree match it.
    #[test]
    fn what_is_taken_is_decided(rules in prop::collection::vec(any_rule(), 1..5), flows in prop::collection::vec(any_subject(), 1..60)) {
        let Ok(labels) = Labels::from_toml(&rules.concat()) else { return Ok(()) };
        for flow in &flows {
            let matching: Vec<_> =
                labels.rules.iter().filter(|rule| rule.is_about(flow) && rule.window.contains(&flow.first)).collect();
            let greatest = matching.iter().map(|rule| rule.priority).max();
            let mut of_it: Vec<_> = matching.iter().filter(|rule| Some(rule.priority) == greatest).map(|rule| &rule.label).collect();
            of_it.dedup();
            prop_assert!(of_it.len() < 2, "{flow:?}");
            prop_assert_eq!(of(&labels, flow), of_it.first().map(ToString::to_string));
        }
    }

    /// As if each were compared with each.
    #[test]
    fn what_is_undecided_is_found_whatever_the_times(rules in prop::collection::vec(any_rule(), 1..7)) {
        let mut rules = file::read(&rules.concat()).unwrap().rules;
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
        let is = |a: &Rule, b: &Rule| a.at < b.at && a.priority == b.priority && a.label != b.label && a.meets(b);
        let found = rule::undecided(&rules);
        prop_assert_eq!(found.is_some(), rules.iter().any(|a| rules.iter().any(|b| is(a, b))));
        prop_assert!(found.is_none_or(|[a, b]| is(a, b)));
    }

    #[test]
    fn lines_and_columns_are_those_of_the_text_in_front(text in "[a\u{e4}\n]{0,40}", at in 0..100_usize) {
        let before = &text[..text.floor_char_boundary(at.min(text.len()))];
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        let lines = file::Lines::of(&text);
        prop_assert_eq!(lines.position(at), (before.matches('\n').count() + 1, column));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let _ = Labels::from_toml(&text);
    }
}
