//! What a view makes does not depend on the views beside it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use pcap_compactor::engine::FileReport;
use pcap_compactor::engine::feed::{Feed, Next};
use pcap_compactor::engine::view::View;
use pcap_compactor::scan::summary::ScanSummary;
use pcap_compactor::sink::buckets::BucketSink;
use pcap_compactor::sink::flows::FlowSink;
use pcap_compactor::sink::{Metrics, Sink};
use pcap_compactor::views::buckets::{BucketCounts, Buckets, Row, Settings as BucketSettings};
use pcap_compactor::views::flows::dialects::Dialect;
use pcap_compactor::views::flows::{FlowCounts, FlowRecord, Flows, Settings as FlowSettings};
use pcap_compactor::views::groups::{GroupRecord, Groups, WindowTotals, Windows};
use pcap_compactor::{Config, Engine, Error, Result, Timestamp};
use proptest::prelude::*;

use crate::properties::cases;
use crate::run::{THREADS, file, inputs};
use crate::traffic::{Frame, frames, pcap};

/// Records as they come, as text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said(Vec<String>);

impl Sink for Said {
    fn on_group(&mut self, group: &GroupRecord) -> Result<()> {
        self.0.push(format!("{group:?}"));
        Ok(())
    }
    fn on_scan(&mut self, scan: &ScanSummary) -> Result<()> {
        self.0.push(format!("{scan:?}"));
        Ok(())
    }
    fn on_window(&mut self, totals: &WindowTotals) -> Result<()> {
        self.0.push(format!("{totals:?}"));
        Ok(())
    }
    fn on_metrics(&mut self, _: &Metrics) -> Result<()> {
        Ok(())
    }
}

impl FlowSink for Said {
    fn on_flow(&mut self, flow: &FlowRecord) -> Result<()> {
        self.0.push(format!("{:016x} {flow:?}", flow.flow_id()));
        Ok(())
    }
    fn on_metrics(&mut self, _: &Metrics<FlowCounts>) -> Result<()> {
        Ok(())
    }
}

impl BucketSink for Said {
    fn on_bucket(&mut self, row: &Row) -> Result<()> {
        self.0.push(format!("{row:?}"));
        Ok(())
    }
    fn on_metrics(&mut self, _: &Metrics<BucketCounts>) -> Result<()> {
        Ok(())
    }
}

/// Files one behind the other; each knows of the next as it comes.
struct Files(VecDeque<(PathBuf, Option<Timestamp>)>);

impl Feed for Files {
    fn next(&mut self) -> Result<Next> {
        Ok(self.0.pop_front().map_or(Next::End, |(path, next)| Next::File { path, next }))
    }
    fn read(&mut self, _: &Path, _: Option<FileReport>, failed: Option<Error>) -> Result<()> {
        failed.map_or(Ok(()), Err)
    }
}

const VIEWS: usize = 4;

/// What the views of a set say, in a run that ends or in one that does not.
fn said(paths: &[PathBuf], set: usize, threads: Option<usize>) -> [Said; VIEWS] {
    let mut said = [(); VIEWS].map(|()| Said::default());
    let [groups, flows, cic, buckets] = &mut said;
    let config = Config { window_seconds: 60, ..Config::default() };
    let dialect: Dialect = "cic".parse().unwrap();
    let mut groups = Groups::new(&config, Windows::tumbling(60, None), groups).unwrap();
    let mut flows = Flows::new(FlowSettings::default(), None, flows);
    let mut cic = Flows::new(dialect.settings(FlowSettings::default()), None, cic);
    let mut buckets = Buckets::new(BucketSettings::default(), buckets);
    let all: [&mut dyn View; VIEWS] = [&mut groups, &mut flows, &mut cic, &mut buckets];
    let mut views: Vec<&mut dyn View> =
        all.into_iter().enumerate().filter(|(nth, _)| set >> nth & 1 == 1).map(|(_, view)| view).collect();
    match threads {
        Some(threads) => {
            Engine::builder().threads(threads).build().run(inputs(paths), &mut views).unwrap();
        }
        None => {
            let files = paths.iter().map(|path| (path.clone(), None)).collect();
            Engine::builder().build().stream(&mut Files(files), &mut views).unwrap();
        }
    }
    drop(views);
    drop((groups, flows, cic, buckets));
    said
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn a_view_makes_beside_any_others_what_it_makes_alone(
        files in prop::collection::vec(frames(60), 1..4),
        threads in prop::sample::select(THREADS.iter().copied().map(Some).chain([None]).collect::<Vec<_>>()),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let write = |(n, frames): (usize, &Vec<Frame>)| file(dir.path(), &format!("{n}.pcap"), &pcap(frames));
        let paths: Vec<_> = files.iter().enumerate().map(write).collect();
        let alone: Vec<[Said; VIEWS]> = (0..VIEWS).map(|nth| said(&paths, 1 << nth, threads)).collect();
        for set in 1..1_usize << VIEWS {
            let together = said(&paths, set, threads);
            for nth in (0..VIEWS).filter(|nth| set >> nth & 1 == 1) {
                prop_assert_eq!(&together[nth], &alone[nth][nth], "view {} of the set {:b}", nth, set);
            }
        }
    }
}
