//! Folders that `view` reads: of each version alike, damaged ones with the place of the damage, and none without bound.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::command::run;
use crate::flows::pcap;
use crate::run::file;

use super::{Served, column, mixed, small, timeline};

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
    for (version, said, lacks, other) in [
        ("v3.3", "12 packets, 0 flows", "it has no flows", "v5.0"),
        ("v5.0", "11 packets, 3 flows", "it has neither packets that are in no flow nor lengths", "v3.3"),
    ] {
        let folder = folder.join(version);
        let ran = save(&folder);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let beside = folder.with_file_name(other).display().to_string();
        let lacks = format!("{}: {lacks}, which would be in {beside}; view the folder around", folder.display());
        assert!(ran.said.contains(said) && ran.said.contains(&lacks), "{ran:?}");
        assert!(fs::read_to_string(&page).unwrap().contains(&lacks), "{lacks} is on the page");
    }
    assert!(!save(&folder).said.contains("which would be in"));
    // None of ours is beside it, by its name or at all.
    let alone = dir.path().join("alone");
    fs::rename(folder.join("v3.3"), &alone).unwrap();
    for (place, said) in [
        (alone.clone(), "it has no flows, which would be in a folder of version 5.0 beside it"),
        (folder.join("v5.0"), "nor lengths, which would be in a folder of version 3.3 beside it"),
    ] {
        let ran = save(&place);
        assert!(ran.said.contains(said) && !ran.said.contains(".."), "{ran:?}");
    }
    fs::rename(&alone, folder.join("v3.3")).unwrap();
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
