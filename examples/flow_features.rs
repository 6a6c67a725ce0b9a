//! A feature of your own for every flow: `cargo run --release --example flow_features -- CAPTURE...`
//!
//! It counts bursts: runs of packets of one direction that follow one another within a second. A feature has columns,
//! and makes a state for every flow, which is shown the flow's packets in packet time. Its columns stand behind those
//! of the table, in any format.

use std::process::ExitCode;
use std::sync::Arc;

use pcap_compactor::sink::flows::{FlowWriter, Form};
use pcap_compactor::sink::jsonl::Times;
use pcap_compactor::views::flows::columns::Kind;
use pcap_compactor::views::flows::{
    Cell, Cells, Columns, Feature, FeatureColumn, FeatureState, FlowJob, FlowPacket, Roles, Settings,
};
use pcap_compactor::{Engine, Input, Result, Timestamp};

/// The longest silence inside a burst, in nanoseconds.
const SILENCE: i64 = 1_000_000_000;

/// Bursts of each direction.
#[derive(Debug)]
struct Bursts;

impl Feature for Bursts {
    fn columns(&self) -> Vec<FeatureColumn> {
        let column = |name, about| FeatureColumn { name, kind: Kind::Integer, unit: "", about };
        vec![
            column("bursts_up", "bursts of packets from the client"),
            column("bursts_dn", "bursts of packets from the server"),
            column("longest_burst", "packets of the longest burst"),
        ]
    }

    fn start(&self) -> Box<dyn FeatureState> {
        Box::new(State::default())
    }
}

/// The bursts of one flow so far.
#[derive(Debug, Default)]
struct State {
    /// By end: low, high.
    bursts: [u64; 2],
    longest: u64,
    /// The burst that goes on: its end, its last packet, its length.
    current: Option<(bool, Timestamp, u64)>,
}

impl FeatureState for State {
    fn packet(&mut self, packet: &FlowPacket) {
        let length = match self.current {
            Some((from_high, last, length))
                if from_high == packet.from_high && packet.time.ns().saturating_sub(last.ns()) <= SILENCE =>
            {
                length + 1
            }
            _ => {
                self.bursts[usize::from(packet.from_high)] += 1;
                1
            }
        };
        self.longest = self.longest.max(length);
        self.current = Some((packet.from_high, packet.time, length));
    }

    fn finish(&self, Roles { client_high, .. }: Roles, cells: &mut Cells) {
        let [up, down] = if client_high { [1, 0] } else { [0, 1] };
        cells.extend([self.bursts[up], self.bursts[down], self.longest].map(Cell::Count));
    }
}

/// Whether all captures could be read to their ends; what is wrong with the others is said.
#[allow(clippy::print_stderr)]
fn run(captures: Vec<Input>) -> Result<bool> {
    let features: Vec<Arc<dyn Feature>> = vec![Arc::new(Bursts)];
    let columns = Columns::parse("src_ip,dst_ip,dst_port,pkts_up,pkts_dn,end_reason")?.with(&features);
    let settings = Settings { columns: columns.clone(), features, ..Settings::default() };
    let mut out = FlowWriter::new(std::io::stdout(), "standard output", Form::Csv, columns, Times::Seconds);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let report = FlowJob::new(settings).engine(Engine::builder().threads(threads)).run(captures, &mut out)?;
    for error in &report.failed {
        eprintln!("{error}");
    }
    let damaged = report.files.iter().filter_map(|file| Some((&file.path, file.capture.message.as_ref()?)));
    for (path, message) in damaged.clone() {
        eprintln!("{}: {message}", path.display());
    }
    Ok(report.failed.is_empty() && damaged.count() == 0)
}

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    let captures: Vec<Input> = std::env::args().skip(1).map(Input::file).collect();
    if captures.is_empty() {
        eprintln!("name at least one capture");
        return ExitCode::from(2);
    }
    match run(captures) {
        Ok(whole) => ExitCode::from(u8::from(!whole)),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
