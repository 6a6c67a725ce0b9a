//! The command, and what is in its folder.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use pcap_compactor::views::timeline::flags::{ACK, SYN};
use serde_json::Value;

use super::{HEADER, Place, SECOND, T, files, row, small, table};
use crate::command::{Ran, command};
use crate::csv::parse;
use crate::run::{gzip, zstd};

#[test]
fn names_are_kept_whatever_they_are_and_written_as_python_does() {
    let rows = ["\"say \"\"a\"\", b\"", "zoé 😀", "7", "3.0", "", "-1"].map(|name| row(T, name, "1", (1, 2), SYN));
    let place =
        Place::new(&[("in.csv", table(&rows).as_bytes()), ("map.json", br#"{"x": 1, "ten,\u00e9": 1, "three": 3}"#)]);
    let ran = place.run(&["in.csv", "--ip-map", "map.json"]);
    // Whoever shows or checks the folder refuses these.
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    let said =
        "2 hosts of a name with a comma, a quote or an end of line: as in the original, they are written as they are";
    assert!(ran.said.contains(said) && ran.said.contains(r#""say \"a\", b" is the first;"#), "{}", ran.said);
    let packets = place.text("out/packets.csv");
    let names: Vec<_> = parse(&packets).into_iter().skip(1).map(|row| [row[1].clone(), row[2].clone()]).collect();
    assert_eq!(
        names,
        ["say \"a\", b", "zoé 😀", "7", "three", "", "-1"].map(|name| [name.to_owned(), "ten,é".to_owned()])
    );
    assert!(packets.contains(&format!("\n{T},zoé 😀,\"ten,é\",1,2,2,SYN,1,0,60,6\n")), "{packets}");
    assert!(packets.contains(&format!("\n{T},\"say \"\"a\"\", b\",\"ten,é\",1,2,")), "{packets}");
    let names = place.text("out/ips/unique_ips.json");
    assert_eq!(
        names,
        "[\n  \"\",\n  \"-1\",\n  \"7\",\n  \"say \\\"a\\\", b\",\n  \"ten,\\u00e9\",\n  \"three\",\n  \"zo\\u00e9 \\ud83d\\ude00\"\n]"
    );
    // One has no address: it is among packets and hosts, and in no flow.
    assert_eq!(place.json("out/manifest.json")["total_flows"], 5);
    assert_eq!(place.json("out/ips/ip_stats.json")[""]["sent_packets"], 1);
    assert_eq!(place.json("out/flows/flows_index.json")[1]["key"], "ten,é:2-zoé 😀:1");
}

#[test]
fn several_files_are_one_stream_in_which_flows_go_on() {
    let [syn, ack] =
        [(T, SYN), (T + SECOND, ACK)].map(|(time, flags)| table(&[row(time, "a", "b", (4000, 80), flags)]));
    let place = Place::new(&[("1.csv", syn.as_bytes()), ("2.csv", ack.as_bytes())]);
    let ran = place.run(&["--data", "1.csv", "2.csv"]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let manifest = place.json("out/manifest.json");
    assert_eq!((&manifest["source_file"], &manifest["total_flows"]), (&Value::Null, &1.into()));
    assert_eq!(manifest["source_files"], serde_json::json!(["1.csv", "2.csv"]));
    assert_eq!(place.json("out/flows/flows_index.json")[0]["state"], "ongoing");

    let ran = place.run(&["2.csv", "none.csv", "1.csv", "--force"]);
    assert!(ran.code == Some(3) && ran.said.contains("none.csv: cannot open"), "{}", ran.said);
    assert_eq!(place.json("out/manifest.json")["total_packets"], 2);
}

#[test]
fn flows_are_shared_out_over_files_and_the_index_finds_them() {
    let rows: Vec<String> = (1..=5).map(|port| row(T + i64::from(port), "a", "b", (port, 80), SYN)).collect();
    let place = Place::new(&[("in.csv", table(&rows).as_bytes())]);
    assert_eq!(place.run(&["in.csv", "--flows-per-file", "2"]).code, Some(0));
    let index = place.json("out/flows/flows_index.json");
    let files: Vec<_> =
        index.as_array().unwrap().iter().map(|flow| (&flow["chunk_file"], &flow["chunk_index"])).collect();
    assert_eq!(files.len(), 5);
    for (flow, (file, at)) in index.as_array().unwrap().iter().zip(files) {
        let file = place.json(&format!("out/flows/{}", file.as_str().unwrap()));
        assert_eq!(file[usize::try_from(at.as_u64().unwrap()).unwrap()]["id"], flow["id"]);
    }
    assert_eq!(place.json("out/flows/chunk_00002.json").as_array().unwrap().len(), 1);
    let manifest = place.json("out/manifest.json");
    assert_eq!((&manifest["total_chunks"], &manifest["flows_per_chunk"]), (&3.into(), &2.into()));
}

#[test]
fn a_flow_of_many_packets_is_whole() {
    let rows: Vec<String> =
        (0..3000).map(|n| row(T + n, "a", "b", (4000, 80), if n == 0 { SYN } else { ACK })).collect();
    let place = Place::new(&[("in.csv", table(&rows).as_bytes())]);
    assert_eq!(place.run(&["in.csv"]).code, Some(0));
    let flow = &place.json("out/flows/chunk_00000.json")[0];
    let times = |packets: &Value| -> Vec<i64> {
        packets.as_array().unwrap().iter().map(|packet| packet["timestamp"].as_i64().unwrap()).collect()
    };
    assert_eq!(times(&flow["packets"]), (0..3000).map(|n| T + n).collect::<Vec<_>>());
    assert_eq!(flow["phases"]["dataTransfer"].as_array().unwrap().len(), 2998);
    assert!(place.text("out/flows/chunk_00000.json").len() > 4 * (256 << 10), "it is more than is gathered at once");
}

#[test]
fn a_table_is_read_alike_packed_piped_and_with_any_ends_of_lines() {
    let plain = small();
    let crlf = plain.replace('\n', "\r\n");
    let marked = format!("\u{feff}{plain}");
    let wide = plain.replace("length", "extra,length").replace(",60,6", ",x,60,6").replace("\n1", "\n\n1");
    let place = Place::new(&[
        ("plain.csv", plain.as_bytes()),
        ("packed.csv", &gzip(plain.as_bytes())),
        ("zstd", &zstd(plain.as_bytes())),
        ("crlf.csv", crlf.as_bytes()),
        ("marked.csv", marked.as_bytes()),
        ("wide.csv", wide.as_bytes()),
        ("cut.csv", plain.trim_end().as_bytes()),
    ]);
    let written = |ran: Ran| {
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        let files = files(&place.path("out"));
        fs::remove_dir_all(place.path("out")).unwrap();
        files.into_iter().filter(|(name, _)| name != Path::new("manifest.json")).collect::<Vec<_>>()
    };
    let expected = written(place.run(&["plain.csv"]));
    assert_eq!(expected.len(), 7);
    for name in ["packed.csv", "zstd", "crlf.csv", "marked.csv", "wide.csv", "cut.csv"] {
        assert_eq!(written(place.run(&[name])), expected, "{name}");
    }
    for bytes in [plain.as_bytes(), &gzip(plain.as_bytes())] {
        let mut command = command(["timeline", "-", "--mode", "original", "-o", "out"]);
        let command =
            command.current_dir(place.0.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        assert_eq!(written(Ran::of(child.wait_with_output().unwrap())), expected);
    }
}

#[test]
fn the_bytes_are_a_function_of_input_options_and_time_of_making() {
    let place = Place::new(&[("in.csv", small().as_bytes())]);
    let manifest = |arguments: &[&str], epoch: Option<&str>| {
        let mut command = command(["timeline", "in.csv", "--mode", "original", "-o", "out", "--force"]);
        command.args(arguments).current_dir(place.0.path()).env_remove("SOURCE_DATE_EPOCH");
        let ran = Ran::of(command.envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch))).output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        (place.json("out/manifest.json")["created"].clone(), place.text("out/manifest.json"))
    };
    let fixed = manifest(&["--created", "2023-10-19T13:05:09.25"], Some("0"));
    assert_eq!(fixed.0, "2023-10-19T13:05:09.250000");
    assert_eq!(manifest(&[], Some("1700000000")), manifest(&["--created", "1700000000"], None));
    assert_eq!(manifest(&[], Some("1700000000")).0, "2023-11-14T22:13:20");
    let now = manifest(&[], None).0;
    assert!(now.as_str().is_some_and(|now| now > "2024"), "{now}");
    let mut wrong = command(["timeline", "in.csv", "--mode", "original", "-o", "new"]);
    let ran = Ran::of(wrong.current_dir(place.0.path()).env("SOURCE_DATE_EPOCH", "soon").output().unwrap());
    assert!(ran.code == Some(2) && ran.said.contains("SOURCE_DATE_EPOCH"), "{}", ran.said);
}

#[test]
fn times_and_hosts_choose_packets_and_the_manifest_says_so() {
    let rows: Vec<String> =
        (0..4).map(|n| row(T + n * SECOND, "a", if n == 2 { "c" } else { "b" }, (4000, 80), ACK)).collect();
    let place = Place::new(&[("in.csv", table(&rows).as_bytes())]);
    let run = |arguments: &[&str]| {
        let ran = place.run(&[&["in.csv", "--force"], arguments].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        let manifest = place.json("out/manifest.json");
        (manifest["total_packets"].clone(), manifest["filter_applied"].clone())
    };
    let all = serde_json::json!({"ips": null, "time_start_us": null, "time_end_us": null, "time_start_minutes": null, "time_end_minutes": null});
    assert_eq!(run(&[]), (4.into(), all));
    // A range of ours ends before its end, one of the original's with it.
    let range = serde_json::json!({"ips": null, "time_start_us": T + 1, "time_end_us": T + 2 * SECOND - 1, "time_start_minutes": 28_333_333, "time_end_minutes": 28_333_333});
    assert_eq!(run(&["--from", "1700000000.0000005", "--to", "1700000002"]), (1.into(), range));
    assert_eq!(run(&["--filter-time-end", &(T + 2 * SECOND).to_string()]).0, 3);
    assert_eq!(run(&["--hosts", "c,x"]).0, 1);
    assert_eq!(run(&["--hosts", "c,x"]).1["ips"], serde_json::json!(["c", "x"]));
    assert_eq!(run(&["--max-records", "3"]).0, 3);
    assert_eq!(run(&["--max-records", "0"]).0, 4);
    let nobody = place.run(&["in.csv", "--force", "--hosts", "nobody"]);
    assert_eq!(nobody.code, Some(0), "{}", nobody.said);
    assert!(!place.path("out/packets.csv").exists());
    for (arguments, said) in [
        (&["--filter-time-start", "5", "--filter-time-end", "4"][..], "no time lies between"),
        (&["--filter", "tcp"], "--filter is about captures"),
    ] {
        let ran = place.run(&[&["in.csv", "--force"], arguments].concat());
        assert!(ran.code == Some(2) && ran.said.contains(said), "{}", ran.said);
    }
}

#[test]
fn without_packets_there_is_a_folder_that_says_so() {
    let place = Place::new(&[("in.csv", format!("{HEADER}\n").as_bytes())]);
    let ran = place.run(&["in.csv"]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let read = |name: &str| place.text(&format!("out/{name}"));
    assert_eq!(["indices/bins.json", "flows/flows_index.json", "ips/unique_ips.json"].map(read), ["[]"; 3]);
    assert_eq!(["ips/ip_stats.json", "ips/flag_stats.json"].map(read), ["{}"; 2]);
    assert!(!place.path("out/packets.csv").exists() && !place.path("out/flows/chunk_00000.json").exists());
    let manifest = place.json("out/manifest.json");
    assert_eq!(manifest["time_range"], serde_json::json!({"start": 0, "end": 0, "duration": 0}));
    assert_eq!((&manifest["total_packets"], &manifest["total_chunks"]), (&0.into(), &0.into()));
}

#[test]
fn packets_of_one_time_are_one_bin_and_those_of_the_last_time_are_in_none() {
    let bins = |times: &[i64]| {
        let rows: Vec<String> = times.iter().map(|&time| row(time, "a", "b", (1, 2), ACK)).collect();
        let place = Place::new(&[("in.csv", table(&rows).as_bytes())]);
        assert_eq!(place.run(&["in.csv"]).code, Some(0));
        let bins = place.json("out/indices/bins.json");
        bins.as_array()
            .unwrap()
            .iter()
            .map(|bin| ["start", "end", "count"].map(|key| bin[key].as_i64().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(bins(&[T, T]), [[T, T, 2]]);
    let two = bins(&[T, T + 99, T + 100, T + 1, T + 200, T + 200]);
    assert_eq!(
        (two.len(), two[0], two[49], two[50]),
        (100, [T, T + 2, 2], [T + 98, T + 100, 1], [T + 100, T + 102, 1])
    );
    assert_eq!((two[99], two.iter().map(|bin| bin[2]).sum::<i64>()), ([T + 198, T + 200, 0], 4));
    // Narrower than floats of that size lie apart, most bins are empty.
    let narrow = bins(&[T, T + 1, T + 2]);
    assert_eq!(narrow.iter().map(|bin| bin[2]).sum::<i64>(), 2);
    assert_eq!(bins(&[-200, -100, 0])[50], [-100, -98, 1]);
}
