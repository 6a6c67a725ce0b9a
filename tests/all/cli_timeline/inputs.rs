//! What `timeline` reads: tables and captures, told apart by what is in them, and rows that are none.

use std::path::Path;
use std::process::Stdio;

use crate::command::{Ran, command, run};
use crate::flows::{pcap, segment};
use crate::model::flows::{SYN, Sent};
use crate::run::{file, gzip, zstd};
use crate::traffic::START;

use super::{packets, timeline};

/// Tables and folders whose lines or quotes do not end are not held whole, and are told of.
#[test]
fn what_has_no_end_is_refused_early() {
    let dir = tempfile::tempdir().unwrap();
    let header = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length\n";
    let row = "1700000000000000,a,b,1,2,2,60\n";
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    let many = 3 << 20;
    for (text, code, kept) in [
        ([header, row, &"7".repeat(many)].concat(), 3, "in line 3; 1 packet before it kept"),
        ([header, row, row, "1,\"", &"a\n".repeat(many / 2)].concat(), 3, "in line 4; 2 packets before it kept"),
        ("7".repeat(many), 1, "the header cannot be read"),
    ] {
        let table = file(dir.path(), "t.csv", text.as_bytes());
        let ran = timeline(&[table.to_str().unwrap(), "-o", out, "--force"]);
        assert_eq!(ran.code, Some(code), "{}", ran.said);
        assert!(ran.said.contains("longer than 1 MiB") && ran.said.contains(kept), "{}", ran.said);
    }
    let packets = Path::new(out).join("packets.csv");
    let begin = std::fs::metadata(&packets).unwrap().len();
    let text = std::fs::read_to_string(&packets).unwrap() + &"7".repeat(many);
    std::fs::write(&packets, text).unwrap();
    let said = format!("the line that begins at byte {begin} is longer than 1 MiB");
    let page = dir.path().join("page.html");
    let ran = run(["view", "-q", out, "--save", page.to_str().unwrap()]);
    assert!(ran.code == Some(1) && ran.said.contains("packets.csv") && ran.said.contains(&said), "{}", ran.said);
    let ran = timeline(&["--check", out]);
    assert!(ran.code == Some(3) && ran.out.contains(&said), "{}", ran.out);
}

/// A quote that is open where a table ends takes no rows into its cell.
#[test]
fn a_quote_without_end_is_told_and_what_is_before_it_kept() {
    let dir = tempfile::tempdir().unwrap();
    let header = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length\n";
    let row = |n: u64| format!("{},a,b,1,2,16,60\n", 1_700_000_000_000_000 + n);
    let rows: String = (1..100).map(row).collect();
    let table = [header, &row(0), "1700000000000001,b,\"a,2,1,16,60\n", &rows].concat();
    let table = file(dir.path(), "t.csv", table.as_bytes());
    let out = dir.path().join("out");
    for mode in ["correct", "original"] {
        let ran = timeline(&[table.to_str().unwrap(), "-o", out.to_str().unwrap(), "--force", "--mode", mode]);
        let said = "the row ends with the table; a line or a quote has no end, in line 3; 1 packet before it kept";
        assert!(ran.code == Some(3) && ran.said.contains(said), "{mode}: {}", ran.said);
        assert!(ran.said.lines().all(|line| line.len() < 400), "{}", ran.said);
    }
    let long = format!("{header}1700000000000001,\"{}\",a,2,1,16,60\n", "x,".repeat(1000));
    let long = file(dir.path(), "long.csv", long.as_bytes());
    let ran = timeline(&[long.to_str().unwrap(), "-o", out.to_str().unwrap(), "--force"]);
    assert!(ran.code == Some(1) && ran.said.contains("long.csv, line 2: the host \"x,x,"), "{}", ran.said);
    assert!(ran.said.lines().all(|line| line.len() < 400), "{}", ran.said);
}

/// The closing line counts hosts as the manifest does: those of packets that were chosen.
#[test]
fn hosts_that_were_not_chosen_are_not_counted() {
    let dir = tempfile::tempdir().unwrap();
    let header = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length,protocol\n";
    let table = format!("{header}1700000000000000,a,b,1,2,16,60,6\n1700000000000001,c,b,1,2,16,60,6\n");
    let table = file(dir.path(), "t.csv", table.as_bytes());
    let out = dir.path().join("out");
    for options in [&["--hosts", "a"][..], &["--max-records", "1"], &["--hosts", "a", "--layout", "all"]] {
        for mode in ["correct", "original"] {
            let base = [table.to_str().unwrap(), "-o", out.to_str().unwrap(), "--force", "--mode", mode];
            let ran = timeline(&[&base, options].concat());
            assert!(ran.code == Some(0) && ran.said.contains("of 2 hosts in 1 flow"), "{}", ran.said);
        }
    }
}

/// A time of 0 is of any unit: the next tells it. And a table does not change it on its way.
#[test]
fn the_unit_of_times_is_that_of_the_first_but_0_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let header = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length,protocol\n";
    let table = |name: &str, times: &[i64]| {
        let rows: String = times.iter().map(|time| format!("{time},a,b,1,2,16,60,6\n")).collect();
        file(dir.path(), name, [header, &rows].concat().as_bytes())
    };
    let out = dir.path().join("out");
    let run = |table: &Path, mode: &str| {
        timeline(&[table.to_str().unwrap(), "-o", out.to_str().unwrap(), "--force", "--mode", mode])
    };
    let seconds = table("z.csv", &[0, 0, 1_700_000_000]);
    let ran = run(&seconds, "correct");
    assert!(
        ran.code == Some(1) && ran.said.contains("line 4: column timestamp: 1700000000 looks like seconds"),
        "{ran:?}"
    );
    let ran = run(&seconds, "original");
    assert!(ran.code == Some(3) && ran.said.contains("line 4 is the first"), "{ran:?}");
    let changes = table("late.csv", &[1_700_000_000_000_000, 1_700_000_000, 1_700_000_001]);
    let said = "late.csv: 2 rows have a time that is clearly not in microseconds, as the first is: taken as it is; line 3 is the \
                first: timestamp 1700000000\n";
    for mode in ["correct", "original"] {
        let ran = run(&changes, mode);
        assert!(ran.code == Some(3) && ran.said.contains(said), "{ran:?}");
        assert!(ran.said.contains("3 packets, 3 of TCP"), "{ran:?}");
    }
    for times in [&[0, 1000][..], &[0, 0], &[5, 300_000_000], &[1_700_000_000_000_000, 0, 5, 1_700_000_000_000_001]] {
        let ran = run(&table("fine.csv", times), "correct");
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}

/// packets.csv is there, as the manifest says, with its header alone.
#[test]
fn without_packets_packets_csv_has_a_header() {
    let dir = tempfile::tempdir().unwrap();
    let header = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length\n";
    let table = file(dir.path(), "t.csv", header.as_bytes());
    let [out, again] = ["out", "again"].map(|name| dir.path().join(name));
    let ran = timeline(&[table.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let packets = out.join("packets.csv");
    let text = std::fs::read_to_string(&packets).unwrap();
    assert!(
        text.starts_with("timestamp,src_ip,") && text.ends_with(",seg_len\n") && text.lines().count() == 1,
        "{text}"
    );
    assert_eq!(timeline(&["--check", out.to_str().unwrap()]).code, Some(0));
    let page = dir.path().join("page.html");
    assert_eq!(run(["view", "-q", out.to_str().unwrap(), "--save", page.to_str().unwrap()]).code, Some(0));
    let ran = timeline(&[packets.to_str().unwrap(), "-o", again.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!(std::fs::read_to_string(again.join("packets.csv")).unwrap(), text);
}

#[test]
fn a_name_that_viewers_cannot_read_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let table = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length\n1700000000000000,\"a,b\",c,1,2,2,60\n";
    let table = file(dir.path(), "t.csv", table.as_bytes());
    let out = dir.path().join("out");
    let ran = timeline(&[table.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains("\"a,b\"") && ran.said.contains("--ip-map"), "{}", ran.said);
    for layout in ["2.0", "3.3+5.0", "all"] {
        let ran = timeline(&[table.to_str().unwrap(), "-o", out.to_str().unwrap(), "--layout", layout]);
        let said =
            "t.csv, line 2: the host \"a,b\" cannot be written, for viewers know no quotes; give it another name";
        assert!(ran.code == Some(1) && ran.said.contains(said), "{layout}: {}", ran.said);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left");
}

/// What no packet can be is left out of a correct timeline, and taken by the original's.
#[test]
fn rows_that_no_packet_can_be_of_are_left_out_by_reason() {
    let dir = tempfile::tempdir().unwrap();
    let header = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length,seg_len";
    let rows = [
        "1700000000000000,a,b,1,2,2,60,0",
        "1700000000000001,a,b,70000,2,2,60,0",
        "1700000000000002,c,b,1,-80,2,60,0",
        "1700000000000003,a,b,1,2,70000,60,0",
        "1700000000000004,a,b,1,2,-2,60,0",
        "1700000000000005,a,b,1,2,2,-60,0",
        "1700000000000006,a,b,1,2,2,60,-1",
        "-5,a,b,1,2,2,60,0",
        "9007199254740993,a,b,1,2,2,60,0",
        "1700000000000007,a,b,1,2,2",
        "1700000000000008,a,b,1,2,16,60,",
        "1700000000000009,a,b,65535,0,4095,4294967295,4294967295",
    ];
    let table = file(dir.path(), "t.csv", format!("{header}\n{}\n", rows.join("\n")).as_bytes());
    let out = dir.path().join("out");
    let [table, out] = [&table, &out].map(|path| path.to_str().unwrap());
    let ran = timeline(&[table, "-o", out]);
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    for said in [
        "t.csv: 2 rows have a port that is not 0 to 65535: left out; line 3 is the first: src_port 70000\n",
        "t.csv: 2 rows have flags that are not 0 to 4095: left out; line 5 is the first: flags 70000\n",
        "t.csv: 2 rows have a length that is not 0 to 4294967295, or a longer payload: left out; line 7 is the first: length -60\n",
        "t.csv: 2 rows have a time before 1970 or beyond 2^53 microseconds: left out; line 9 is the first: timestamp -5\n",
        "t.csv: 1 row has fewer cells than the header: left out; line 11: 6 of 8 cells\n",
        "12 rows = 3 packets + left out: 2 bad port, 2 bad flags, 2 bad length, 2 bad time, 1 short row\n",
        "3 packets, 3 of TCP, of 2 hosts in 2 flows",
    ] {
        assert!(ran.said.contains(said), "{said}: {}", ran.said);
    }
    for layout in ["2.0", "all"] {
        let ran = timeline(&[table, "-o", out, "--force", "--layout", layout]);
        assert_eq!(ran.code, Some(3), "{}", ran.said);
        let checked = timeline(&["--check", out]);
        assert_eq!(checked.code, Some(0), "{}", checked.out);
    }
    let ran = timeline(&[table, "-o", out, "--force", "--mode", "original"]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.said.contains("12 packets") && !ran.said.contains("left out"), "{}", ran.said);
}

/// What standard input is, is told by as much of it as it takes, and nothing of it is lost.
#[test]
fn a_packed_stream_is_known_by_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    // Too much for one read, and nothing that packs well.
    let mixed = |n: u32| n.wrapping_mul(0x9e37_79b9) ^ n.wrapping_mul(0x85eb_ca6b) >> 13;
    let sent: Vec<Sent> = (0..5000).map(|n| segment(START + i64::from(n), true, SYN, mixed(n), mixed(!n), 0)).collect();
    let capture = pcap(&sent);
    let mut table = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length,seq_num\n".to_owned();
    (0..5000).for_each(|n| table += &format!("1700000000000000,a,b,1,2,2,60,{}\n", mixed(n)));
    for (what, bytes) in [("capture", &capture[..]), ("table", table.as_bytes())] {
        for packed in [gzip(bytes), zstd(bytes), bytes.to_vec()] {
            assert!(packed.len() > 3 * 8192, "{}", packed.len());
            let mut run = command(["timeline", "-", "-o", "out", "--force"]);
            run.current_dir(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = run.spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            for part in [&packed[..11], &packed[11..9000], &packed[9000..]] {
                std::io::Write::write_all(&mut stdin, part).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            drop(stdin);
            let ran = Ran::of(child.wait_with_output().unwrap());
            assert!(ran.code == Some(0) && ran.said.contains("5,000 packets, 5,000 of TCP"), "{what}: {}", ran.said);
        }
    }
}

/// What cannot be unpacked far enough to tell a table from a capture is damaged, and no table.
#[test]
fn a_damaged_packed_capture_is_called_one() {
    let dir = tempfile::tempdir().unwrap();
    let capture = pcap(&packets());
    let mut spoiled = gzip(&capture);
    spoiled[10] ^= 0xff;
    let [gz, zst] = [gzip(&capture), zstd(&capture)];
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    for (name, bytes, status, what) in [
        ("head.pcap.gz", &gz[..12], "truncated", "the gzip stream is cut"),
        ("cut.pcap.gz", &gz[..gz.len() / 2], "truncated", "the gzip stream is cut"),
        ("spoiled.pcap.gz", &spoiled, "corrupt", "the gzip stream is damaged"),
        ("head.pcap.zst", &zst[..7], "truncated", "the zstd stream is cut"),
        ("cut.pcap.zst", &zst[..zst.len() - 9], "truncated", "the zstd stream is cut"),
    ] {
        let capture = file(dir.path(), name, bytes);
        let capture = capture.to_str().unwrap();
        let page = dir.path().join("page.html");
        for arguments in [
            &["timeline", capture, "-o", out, "--force"][..],
            &["buckets", capture],
            &["view", capture, "--save", page.to_str().unwrap()],
        ] {
            let ran = run(arguments);
            let told = ran.said.lines().any(|line| {
                let at =
                    line.split_once(" at byte ").is_some_and(|(_, at)| at.starts_with(|c: char| c.is_ascii_digit()));
                line.starts_with(&format!("{capture}: {status}")) && at && line.contains(what)
            });
            assert!(told && matches!(ran.code, Some(1 | 3)), "{arguments:?}: {ran:?}");
            assert!(!ran.said.contains("columns") && !ran.said.contains("header"), "{arguments:?}: {}", ran.said);
        }
    }
}

#[test]
fn a_table_without_protocols_is_of_tcp() {
    let dir = tempfile::tempdir().unwrap();
    let table = "timestamp,src_ip,dst_ip,src_port,dst_port,flags,length\n1700000000000000,a,b,1,2,2,60\n";
    let table = file(dir.path(), "t.csv", table.as_bytes());
    let out = dir.path().join("out");
    let ran = timeline(&[table.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert!(ran.code == Some(0) && ran.said.contains("1 of TCP") && ran.said.contains("1 flow"), "{}", ran.said);
}

/// A table may lack columns that flows have; and what flows have alone is told of.
#[test]
fn packets_of_a_table_without_numbers_are_those_of_flows() {
    let dir = tempfile::tempdir().unwrap();
    let capture = file(dir.path(), "a.pcap", &pcap(&packets()));
    let out = dir.path().join("out");
    timeline(&[capture.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    let table = out.join("packets.csv");
    let text = std::fs::read_to_string(&table).unwrap();
    let page = dir.path().join("page.html");
    let shown = |text: &str| {
        std::fs::write(&table, text).unwrap();
        run(["view", out.to_str().unwrap(), "--save", page.to_str().unwrap()])
    };
    let without = |gone: &[usize]| -> String {
        let row = |line: &str| {
            let cells = line.split(',').enumerate().filter(|(at, _)| !gone.contains(at));
            cells.map(|(_, cell)| cell).collect::<Vec<_>>().join(",") + "\n"
        };
        text.lines().map(row).collect()
    };
    for gone in [&[][..], &[7], &[8], &[7, 8]] {
        let ran = shown(&without(gone));
        assert!(ran.code == Some(0) && ran.said.contains("9 packets"), "{gone:?}: {ran:?}");
    }
    let ran = shown(&text.replacen(",101,501,", ",101,502,", 1));
    assert!(ran.code == Some(3) && ran.said.contains("1 packet of flows not among those of packets.csv"), "{ran:?}");
}

/// Of a folder captures are read; who has tables in it is told the way.
#[test]
fn tables_in_a_folder_are_left_out_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let two = dir.path().join("two");
    std::fs::create_dir(&two).unwrap();
    file(&two, "a.csv", b"timestamp,src_ip,dst_ip,src_port,dst_port,flags,length\n1700000000000000,a,b,1,2,2,60\n");
    file(&two, "b.txt", b"notes, and more\n");
    let out = dir.path().join("out");
    let ran = timeline(&[two.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert!(ran.code == Some(1) && !out.exists(), "{ran:?}");
    let way = "a.csv: is not a capture; it is left out; of a folder captures alone are read, so name tables one by one";
    assert!(ran.said.contains(way) && ran.said.matches("name tables").count() == 1, "{}", ran.said);
}
