//! Input that is no plain file at rest: pipes, files that shrink, files that may not be read.
#![cfg(unix)]

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use crate::command::{Ran, command, fifo, run};
use crate::run::{balances, number};

/// A made capture, and what a run over it says.
fn capture(folder: &Path, packets: u64) -> (PathBuf, Ran) {
    let path = folder.join("made.pcap");
    let ran = run([Path::new("synth"), &path, Path::new("--packets"), Path::new(&packets.to_string())]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let ran = run([Path::new("compact"), &path]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    (path, ran)
}

#[test]
fn a_pipe_is_read_as_the_file_that_goes_through_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, plain) = capture(folder.path(), 20_000);
    let bytes = fs::read(path).unwrap();
    let pipe = fifo(folder.path());
    for packed in [bytes.clone(), crate::run::zstd(&bytes)] {
        for threads in ["1", "3"] {
            let writer = thread::spawn({
                let (pipe, packed) = (pipe.clone(), packed.clone());
                move || fs::write(pipe, packed).unwrap()
            });
            let ran = run([Path::new("compact"), &pipe, Path::new("--threads"), Path::new(threads)]);
            writer.join().unwrap();
            assert_eq!(ran.code, Some(0), "{}", ran.said);
            assert!(ran.records() == plain.records());
            assert_eq!(ran.metrics()["ledger"], plain.metrics()["ledger"]);
        }
    }
    // Standard input is one more.
    let mut child = command(["compact", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let ran = Ran::of(child.wait_with_output().unwrap());
    writer.join().unwrap();
    assert_eq!((ran.code, ran.metrics()["ledger"].clone()), (Some(0), plain.metrics()["ledger"].clone()));
}

#[test]
fn a_pipe_in_a_folder_is_left_out_and_named_for_nobody_may_be_writing_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_, plain) = capture(folder.path(), 2_000);
    let pipe = fifo(folder.path());
    let ran = run([Path::new("compact"), folder.path()]);
    assert_eq!((ran.code, &ran.out), (Some(3), &plain.out));
    assert!(ran.said.contains(&format!("{}: is not a regular file; it is left out", pipe.display())), "{}", ran.said);
}

/// Starts a run over a file and a pipe, shrinks the file when it has been opened, and lets the run go on.
fn shrinking(io: &str, threads: &str) -> (u64, Ran) {
    let folder = tempfile::tempdir().unwrap();
    let (path, plain) = capture(folder.path(), 20_000);
    let pipe = fifo(folder.path());
    let mut child = command(["compact", "--io", io, "--threads", threads]);
    let child = child.args([&path, &pipe]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Files are opened in the order given, so whoever opens the pipe has opened the file.
    let mut writer = OpenOptions::new().write(true).open(&pipe).unwrap();
    // Not on the border of a page, behind what is read at once.
    File::options().write(true).open(&path).unwrap().set_len((1 << 20) + 1).unwrap();
    // An empty capture of the pipe's own.
    writer.write_all(&fs::read(&path).unwrap()[..24]).unwrap();
    drop(writer);
    (number(&plain.metrics()["ledger"]["read"]["packets"]), Ran::of(child.wait_with_output().unwrap()))
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_truncated_where_it_ends_now() {
    for (io, threads) in [("read", "1"), ("read", "2"), ("read", "4"), ("mmap", "1"), ("mmap", "4")] {
        if io == "mmap" && !cfg!(target_os = "linux") {
            continue;
        }
        let (packets, ran) = shrinking(io, threads);
        assert_eq!(ran.code, Some(3), "{}", ran.said);
        let metrics = ran.metrics();
        balances(&metrics);
        let read = number(&metrics["ledger"]["read"]["packets"]);
        assert!(read > 0 && read < packets, "{read} of {packets}");
        let files = metrics["files"].as_array().unwrap();
        assert_eq!(files.len(), 2, "the other input is read");
        let file = files.iter().find(|file| file["status"] != "complete").unwrap();
        assert_eq!(
            (&file["status"], &file["message"]),
            (&"truncated".into(), &"the file shrank while it was read".into())
        );
        assert!(ran.said.contains("made.pcap: truncated at byte"), "{}", ran.said);
    }
}

#[test]
fn a_file_that_may_not_be_read_is_named_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let (path, plain) = capture(folder.path(), 2_000);
    let secret = folder.path().join("secret.pcap");
    fs::copy(&path, &secret).unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o0)).unwrap();
    let runs = [vec![secret.clone(), path.clone()], vec![folder.path().to_owned()], vec![secret.clone()]];
    for (arguments, code) in runs.into_iter().zip([3, 3, 1]) {
        let mut command = command(["compact"]);
        command.args(&arguments);
        if File::open(&secret).is_ok() {
            // Whoever may read everything becomes somebody who may not.
            command.uid(65_534).gid(65_534);
        }
        let ran = match command.output() {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                // Past the harness, which shows nothing of a test that passes.
                let told =
                    "LEFT OUT: a test of an unreadable file; this user may read all, and no other run the binary";
                writeln!(std::io::stderr(), "{told}").unwrap();
                return;
            }
            output => Ran::of(output.unwrap()),
        };
        assert_eq!(ran.code, Some(code), "{}", ran.said);
        let told = format!("{}: cannot open: Permission denied", secret.display());
        assert!(ran.said.lines().any(|line| line.contains(&told)), "{}", ran.said);
        if code == 3 {
            assert!(ran.records() == plain.records());
        }
    }
}
