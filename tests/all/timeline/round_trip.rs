//! packets.csv of version 2.0 makes the timeline that its capture made.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pcap_compactor::capture::Input as Table;
use pcap_compactor::engine::Progress;
use pcap_compactor::sink::timeline::{About, Chunked};
use pcap_compactor::views::timeline::table::{self, Names, TableReport};
use pcap_compactor::views::timeline::{Choice, Chosen, Correct, Mode, TimelineJob, view};
use pcap_compactor::{Input, Timestamp};
use walkdir::WalkDir;

use super::{ACK, PSH, SYN};
use crate::corpus::corpus;
use crate::flows::{pcap, segment, udp};
use crate::run::file;
use crate::traffic::START;

fn sink(folder: &Path) -> Chunked {
    let about = About {
        created: Timestamp(0),
        sources: Vec::new(),
        choice: Choice::default(),
        context: None,
        mode: Mode::Correct,
    };
    Chunked::create(folder, false, 200, about).unwrap()
}

/// All files of a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| (entry.path().strip_prefix(folder).unwrap().to_owned(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// The timeline of a capture, and that of its packets.csv, with what was wrong with that.
fn there_and_back(capture: &Path) -> Option<[BTreeMap<PathBuf, Vec<u8>>; 2]> {
    let around = tempfile::tempdir().unwrap();
    let [there, back] = ["there", "back"].map(|name| around.path().join(name));
    TimelineJob::new(view::Selection::default())
        .run(vec![Input::file(capture)], &mut Correct::default(), &mut sink(&there))
        .unwrap();
    let packets = there.join("packets.csv");
    if !packets.exists() {
        return None;
    }
    let mut machine = Chosen::new(Choice::default(), Correct::default());
    let (names, progress) = (Names::default(), Progress::default());
    let inputs = [Table::File(packets)];
    let reports =
        table::run(&inputs, &names, Mode::Correct, &progress, &mut machine, &mut sink(&back)).expect("it is a table");
    let TableReport { remarks, damage, failed, .. } = &reports[0];
    assert!(remarks.is_empty() && damage.is_none() && failed.is_none(), "{}: {reports:?}", capture.display());
    Some([files(&there), files(&back)])
}

#[test]
fn repeated_segments_are_known_by_their_payload() {
    let dir = tempfile::tempdir().unwrap();
    let at = |ms: i64| START + ms * 1_000_000;
    let sent = [
        segment(at(0), true, SYN as u8, 100, 0, 0),
        segment(at(1), false, (SYN | ACK) as u8, 500, 101, 0),
        segment(at(2), true, ACK as u8, 101, 501, 0),
        segment(at(3), true, (PSH | ACK) as u8, 101, 501, 40),
        segment(at(4), true, (PSH | ACK) as u8, 101, 501, 40),
        udp(at(5), 2),
        segment(at(6), false, ACK as u8, 501, 141, 0),
    ];
    let capture = file(dir.path(), "a.pcap", &pcap(&sent));
    let [there, back] = there_and_back(&capture).unwrap();
    assert!(there == back, "{:?}", there.keys().filter(|name| there.get(*name) != back.get(*name)).collect::<Vec<_>>());
    let text = String::from_utf8(there[Path::new("packets.csv")].clone()).unwrap();
    let cells: Vec<_> = text.lines().map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!(cells, ["seg_len", "0", "0", "0", "40", "40", "", "0"]);
    let flows = String::from_utf8(there[Path::new("flows/chunk_00000.json")].clone()).unwrap();
    assert!(flows.contains("\"retransmission\": 1"), "{flows}");
}

#[test]
fn captures_of_the_corpus_come_back() {
    let Some(corpus) = corpus() else { return };
    let (mut unequal, mut equal) = (Vec::new(), 0);
    for (name, path) in &corpus.captures {
        match there_and_back(path) {
            Some([there, back]) if there != back => unequal.push(name.as_str()),
            Some(_) => equal += 1,
            None => {}
        }
    }
    assert_eq!(unequal, [""; 0]);
    assert!(equal * 100 >= corpus.captures.len() * 80, "most have packets: {equal}");
}
