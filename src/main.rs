//! The command line.
use std::path::PathBuf;
use pcap_compactor::sink::jsonl::{JsonLines, Lines};
use pcap_compactor::sink::digest::DigestLines;
use pcap_compactor::{Config, Input, Job, Engine};
fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let none = args[0] == "none";
    let threads: usize = args[1].parse().unwrap();
    let inputs = args.split_off(2).into_iter().map(|p| Input::file(PathBuf::from(p))).collect();
    let job = Job::new(Config::default()).engine(Engine::builder().threads(threads));
    let report = if none { job.run(inputs, &mut DigestLines::new(std::io::stdout())) } else {
        job.run(inputs, &mut JsonLines::new(std::io::stdout(), "standard output", Lines::default())) };
    match report { Ok(r) => for e in r.failed { eprintln!("{e}") }, Err(e) => { eprintln!("{e}"); std::process::exit(4) } }
}
