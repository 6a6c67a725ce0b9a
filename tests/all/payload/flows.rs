//! What the flows view says of payload.

use std::path::{Path, PathBuf};

use pcap_compactor::sink::Metrics;
use pcap_compactor::sink::flows::FlowSink;
use pcap_compactor::views::flows::{Columns, FlowCounts, FlowJob, FlowRecord, Settings};
use pcap_compactor::{Engine, Result};

use super::{Read, agrees_with_tshark};
use crate::corpus::corpus;
use crate::run::{PLAIN, Way, inputs};

fn settings() -> Settings {
    Settings { columns: Columns::parse("@default,@app").unwrap(), ..Settings::default() }
}

/// The flows of a run.
#[derive(Default)]
struct Seen(Vec<FlowRecord>);

impl FlowSink for Seen {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.0.push(flow.clone());
        Ok(())
    }

    fn on_metrics(&mut self, _: &Metrics<FlowCounts>) -> Result<()> {
        Ok(())
    }
}

fn flows(paths: &[PathBuf], settings: Settings, way: Way) -> Vec<FlowRecord> {
    let mut seen = Seen::default();
    let engine = Engine::builder().threads(way.threads).io(way.io);
    FlowJob::new(settings).engine(engine).run(inputs(paths), &mut seen).expect("the run ends well");
    seen.0
}

fn read(path: &Path) -> Read {
    let mut read = Read::default();
    for flow in flows(&[path.to_owned()], settings(), PLAIN) {
        let (a, b) = ((flow.src_ip, flow.src_port), (flow.dst_ip, flow.dst_port));
        let said = read.entry((a.min(b), a.max(b), flow.protocol)).or_default();
        said.extend(flow.app.map(|fields| *fields));
    }
    read
}

#[test]
fn flows_say_what_tshark_says() {
    let Some(corpus) = corpus() else { return };
    agrees_with_tshark(&corpus, read);
}
