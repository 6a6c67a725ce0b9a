//! What `timeline --check` says of folders, sound and not, and of what is none.

use std::path::Path;

use crate::flows::pcap;
use crate::run::file;

use super::{packets, timeline};

/// Bins that count too few are found, and what is wrong is told in JSON and briefly.
#[test]
fn a_check_finds_bins_that_count_nothing_and_is_brief() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let out = dir.path().join("out");
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    let change = |name: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(out.join(name)).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(out.join(name), text.replace(from, to)).unwrap();
    };
    change("indices/bins.json", "\"count\": 1", "\"count\": 0");
    change("ips/unique_ips.json", "10.0.0.2", "10.0.0.9");
    let ran = timeline(&["--check", out.to_str().unwrap()]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.out.contains("bins.json: 0 packets, of 9"), "{}", ran.out);
    assert!(ran.out.contains("unique_ips.json: it has not 10.0.0.2") && !ran.out.contains("String("), "{}", ran.out);
    assert!(ran.out.lines().all(|line| line.len() < 400), "{}", ran.out);
}

/// Packets that a list does not have may be of the last time, which bins of others do not count; but not any number of them.
#[test]
fn packets_of_the_last_time_excuse_no_more_than_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let out = dir.path().join("out");
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap(), "--layout", "all"]);
    let manifest = out.join("v5.0/manifest.json");
    let sound = std::fs::read_to_string(&manifest).unwrap();
    for packets in [10, 1009] {
        let text = sound.replace("\"total_packets\": 9", &format!("\"total_packets\": {packets}"));
        assert_ne!(text, sound);
        std::fs::write(&manifest, text).unwrap();
        let ran = timeline(&["--check", out.join("v5.0").to_str().unwrap()]);
        let said = format!("bins.json: 9 packets, of {packets};");
        assert!(ran.code == Some(3) && ran.out.contains(&said) && !ran.out.contains("no bin counts"), "{}", ran.out);
    }
    // As the original counts them, the last of all in no bin.
    std::fs::write(&manifest, &sound).unwrap();
    let bins = out.join("v5.0/indices/bins.json");
    let text = std::fs::read_to_string(&bins).unwrap();
    let (head, last) = text.rsplit_once("\"count\": 1").unwrap();
    std::fs::write(&bins, format!("{head}\"count\": 0{last}")).unwrap();
    let ran = timeline(&["--check", out.join("v5.0").to_str().unwrap()]);
    assert!(ran.code == Some(0) && ran.out.contains("1 packets of the last time, which no bin counts"), "{}", ran.out);
}

/// What is no file, or too long to be held, is not read.
#[cfg(unix)]
#[test]
fn a_check_reads_regular_files_of_sound_length() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let out = dir.path().join("out");
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    let (manifest, hosts) = (out.join("manifest.json"), out.join("ips/unique_ips.json"));
    let long = |path: &Path, length: u64| std::fs::File::create(path).unwrap().set_len(length).unwrap();
    let checked = || timeline(&["--check", out.to_str().unwrap()]);
    long(&hosts, (1 << 30) + 1);
    let ran = checked();
    assert!(ran.code == Some(3) && ran.out.contains("unique_ips.json: expected value"), "{ran:?}");
    std::fs::remove_file(&hosts).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &hosts).unwrap();
    let ran = checked();
    assert!(ran.code == Some(3) && ran.out.contains("unique_ips.json: is not a regular file"), "{ran:?}");
    long(&manifest, (16 << 20) + 1);
    let ran = checked();
    assert!(ran.code == Some(1) && ran.said.contains("it is longer than 16 MiB"), "{ran:?}");
    std::fs::remove_file(&manifest).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &manifest).unwrap();
    let ran = checked();
    assert!(ran.code == Some(1) && ran.said.contains("it is not a regular file"), "{ran:?}");
    std::fs::remove_file(&manifest).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&manifest).status().unwrap().success());
    let ran = checked();
    assert!(ran.code == Some(1) && ran.said.contains("it is not a regular file"), "{ran:?}");
}

/// What lies elsewhere is checked, and noted.
#[cfg(unix)]
#[test]
fn a_check_tells_of_links() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let [out, aside] = ["out", "aside"].map(|name| dir.path().join(name));
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    std::fs::create_dir(&aside).unwrap();
    for name in ["packets.csv", "flows", "manifest.json"] {
        std::fs::rename(out.join(name), aside.join(name)).unwrap();
        symlink(aside.join(name), out.join(name)).unwrap();
    }
    let ran = timeline(&["--check", out.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for name in ["packets.csv", "flows", "manifest.json"] {
        let said = format!("note: {name}: is a symbolic link; ");
        assert_eq!(ran.out.matches(&said).count(), 1, "{}", ran.out);
    }
    assert!(!ran.out.contains("is no part"), "{}", ran.out);
    std::fs::remove_file(aside.join("packets.csv")).unwrap();
    let ran = timeline(&["--check", out.to_str().unwrap()]);
    assert!(ran.code == Some(3) && ran.out.contains("packets.csv: No such file"), "{}", ran.out);
}

/// Of several versions each finding says which it is of, and what lies beside them is told.
#[test]
fn a_check_of_several_versions_names_them() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let out = dir.path().join("out");
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap(), "--layout", "all"]);
    let checked = || timeline(&["--check", out.to_str().unwrap()]);
    let ran = checked();
    assert!(ran.code == Some(0) && !ran.out.contains("is no version"), "{ran:?}");
    std::fs::write(out.join("v5.0/odd"), "").unwrap();
    std::fs::write(out.join("v3.3.zip"), "").unwrap();
    std::fs::create_dir(out.join("v6.0")).unwrap();
    std::fs::write(out.join("v2.0/ips/flag_stats.json"), "{}").unwrap();
    let ran = checked();
    assert_eq!(ran.code, Some(3));
    for said in
        ["v2.0/ips/flag_stats.json: ", "note: v5.0/odd: ", "note: v3.3.zip: it is no version", "note: v6.0: it is"]
    {
        assert!(ran.out.lines().any(|line| line.starts_with(said)), "{said}: {}", ran.out);
    }
}

/// What is no timeline is called what it is.
#[test]
fn a_check_of_something_else_says_what_it_is_and_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let [out, empty, other] = ["out", "empty", "other"].map(|name| dir.path().join(name));
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    [&empty, &other].into_iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    for name in ["a.txt", "b.txt", "c.txt", "d.txt"] {
        file(&other, name, b"");
    }
    let manifest = out.join("manifest.json");
    for (path, said) in [
        (&capture, "is a file, and --check is about folders; name the folder of a timeline".to_owned()),
        (
            &manifest,
            format!("is a file, and --check is about folders; name the folder of a timeline: {}", out.display()),
        ),
        (&empty, "is an empty folder, and no timeline; `pcap-compactor timeline CAPTURE -o DIR` makes one".into()),
        (&other, "is no timeline: it has no manifest.json, but a.txt, b.txt, c.txt and 1 more; `pcap-compactor".into()),
        (&dir.path().to_owned(), "is no timeline, and has no manifest.json; name a folder in it: out".into()),
        (&dir.path().join("none"), "No such file or directory (os error 2); name the folder of a timeline".into()),
    ] {
        let ran = timeline(&["--check", path.to_str().unwrap()]);
        let said = format!("{}: {said}", path.display());
        assert!(ran.code == Some(1) && ran.said.contains(&said), "{said}\n{}", ran.said);
    }
}
