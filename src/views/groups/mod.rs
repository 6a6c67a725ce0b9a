//! Hourly flow groups: the main job.
//!
//! A packet's flow has a row in its worker (`row.rs`, one cache line). When a window closes, the worker settles the
//! direction of each flow and sorts its flows by group (`close.rs`); the merge walks the sorted flows of
//! all workers in one order, rolls them up into slices (`rollup.rs`), decides who scanned ([`crate::scan`]), and emits
//! groups, then scans. Nothing here depends on the order of packets: pieces, evidence, notes and fragments merge
//! commutatively, and every output is sorted by what it is.
//!
//! Promises: `accepted = kept + collapsed + out_of_window + late`, and what an earlier run has finished; output is a function of packets and configuration.

mod chain;
mod close;
mod fragments;
mod piece;
mod plan;
mod record;
mod rollup;
mod row;
mod shard;
pub mod tokens;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::AddAssign;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use close::Entry;
pub use plan::Windows;
pub use record::{Counts, GroupKey, GroupRecord, TcpFlags, Transport, Window};
pub use shard::Aside;

use crate::app::ftp::Ftp;
use crate::app::http::Http;
use crate::app::lexicon::Lexicon;
use crate::app::notes::Body;
use crate::app::smb::Smb;
use crate::app::{Enricher, Notes, Section};
use crate::config::{Config, Measure, ScanPolicy};
use crate::decode::packet::address;
use crate::engine::FileReport;
use crate::engine::ledger::{Amount, Intake, Outcome, balance};
use crate::engine::view::{Part, ShardView, View};
use crate::error::Result;
use crate::prefetch::prefetch_row;
use crate::scan::contacts;
use crate::scan::summary::{Gathering, ScanSummary};
use crate::scan::verdict::{self, Scanner, Verdict};
use crate::sink::Sink;
use crate::table::direction::Direction;
use crate::time::Timestamp;
use close::{Closed, ClosedWindow, EntryV4, EntryV6};
use plan::{Plan, Services};
use rollup::{Rollup, Slice, Store};
use tokens::{Bins, Tokens};

/// What the original's metrics count, by its names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupCounts {
    /// Groups emitted.
    pub groups_emitted: u64,
    /// Sources over a threshold.
    pub scan_candidates: u64,
    /// Scan summaries emitted.
    pub scans_collapsed: u64,
    /// Candidates that the forest spared.
    pub scan_outliers_kept: u64,
    /// Groups with an `http` section.
    pub http_enriched: u64,
    /// Groups with an `ftp` section.
    pub ftp_enriched: u64,
    /// Groups with an `smb` section.
    pub smb_enriched: u64,
    /// Groups whose tokens were sampled.
    pub sampling_applied: u64,
}

impl AddAssign for GroupCounts {
    fn add_assign(&mut self, other: GroupCounts) {
        self.groups_emitted += other.groups_emitted;
        self.scan_candidates += other.scan_candidates;
        self.scans_collapsed += other.scans_collapsed;
        self.scan_outliers_kept += other.scan_outliers_kept;
        self.http_enriched += other.http_enriched;
        self.ftp_enriched += other.ftp_enriched;
        self.smb_enriched += other.smb_enriched;
        self.sampling_applied += other.sampling_applied;
    }
}

/// What became of one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowTotals {
    /// The window.
    pub window: Window,
    /// Packets in records and packets collapsed.
    pub outcome: Outcome,
    /// Its share of the counts.
    pub counts: GroupCounts,
}

/// The groups view: hands its records to a sink.
pub struct Groups<'s> {
    plan: Arc<Plan>,
    config: Config,
    bins: Bins,
    sink: &'s mut dyn Sink,
    outcome: Outcome,
    counts: GroupCounts,
    /// Packets of windows that an earlier run has finished.
    done: Amount,
    /// Packets that no window takes, of files not yet reported.
    aside: BTreeMap<u32, Aside>,
    /// Files that were read, until all workers are behind them.
    files: BTreeMap<u32, FileReport>,
}

impl<'s> Groups<'s> {
    /// A view with the built-in enrichers.
    ///
    /// # Errors
    /// A value of `config` is out of its bounds.
    pub fn new(config: &Config, windows: Windows, sink: &'s mut dyn Sink) -> Result<Groups<'s>> {
        let lexicon = Lexicon::new(config.http_always_keep_lexicon.iter().map(String::as_str));
        let http = Http::new(lexicon, config.http_uri_token_budget as usize, config.iforest_random_state);
        Groups::with_enrichers(config, windows, vec![Arc::new(http), Arc::new(Ftp), Arc::new(Smb)], sink)
    }

    /// A view with enrichers of the caller's choice; the first one that names a service reads it.
    ///
    /// # Errors
    /// A value of `config` is out of its bounds.
    pub fn with_enrichers(
        config: &Config,
        windows: Windows,
        enrichers: Vec<Arc<dyn Enricher>>,
        sink: &'s mut dyn Sink,
    ) -> Result<Groups<'s>> {
        config.check()?;
        let idle = Timestamp::from_seconds(i64::try_from(config.idle_split_seconds).unwrap_or(i64::MAX)).ns();
        let plan = Plan {
            windows,
            done: BTreeSet::new(),
            idle,
            measure: config.bytes,
            services: Services::new(config, enrichers),
        };
        Ok(Groups {
            plan: Arc::new(plan),
            config: config.clone(),
            bins: Bins::new(config.count_log_base, config.duration_log_base)?,
            sink,
            outcome: Outcome::default(),
            counts: GroupCounts::default(),
            done: Amount::default(),
            aside: BTreeMap::new(),
            files: BTreeMap::new(),
        })
    }

    /// Leaves out packets of windows that an earlier run has finished; [`Groups::done`] counts them.
    #[must_use]
    pub fn without(mut self, done: BTreeSet<Window>) -> Groups<'s> {
        if let Some(plan) = Arc::get_mut(&mut self.plan) {
            plan.done = done;
        }
        self
    }

    /// Packets of windows that an earlier run has finished, so far.
    #[must_use]
    pub fn done(&self) -> Amount {
        self.done
    }

    /// What became of the accepted packets, so far.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The original's counts, so far.
    #[must_use]
    pub fn counts(&self) -> GroupCounts {
        self.counts
    }
}

impl View for Groups<'_> {
    fn shard(&self) -> Box<dyn ShardView> {
        Box::new(shard::Shard::new(Arc::clone(&self.plan)))
    }

    fn merge(&mut self, parts: Vec<Part>) -> Result<()> {
        let mut workers = Vec::new();
        let mut read_before = 0;
        let mut windows: BTreeMap<Window, Vec<(usize, ClosedWindow)>> = BTreeMap::new();
        for part in parts {
            let Ok(closed) = part.downcast::<Closed>() else { continue };
            let Closed { rows, extras, chains, windows: closed_windows, aside, read_before: before } = *closed;
            read_before = read_before.max(before);
            for (file, amounts) in aside {
                self.outcome.out_of_window += amounts.out_of_window;
                self.outcome.late += amounts.late;
                self.done += amounts.done;
                *self.aside.entry(file).or_default() += amounts;
            }
            for window in closed_windows {
                windows.entry(window.window).or_default().push((workers.len(), window));
            }
            workers.push(Store { rows, extras, chains });
        }
        // Of files that are behind all workers, all asides have come.
        let behind = self.files.extract_if(..read_before, |_, _| true).collect::<Vec<_>>();
        for (number, file) in behind {
            self.sink.on_file(&file, &self.aside.remove(&number).unwrap_or_default())?;
        }
        for (window, parts) in windows {
            let mut emission = Emission::new(self, window);
            emission.judge(&parts, &workers);
            let (mut v4, mut v6) = (Vec::new(), Vec::new());
            for (worker, part) in parts {
                v4.push((worker, part.v4));
                v6.push((worker, part.v6));
            }
            emission.groups(&v4, &mut workers)?;
            emission.groups(&v6, &mut workers)?;
            emission.finish()?;
        }
        Ok(())
    }

    fn file(&mut self, number: u32, report: &FileReport) -> Result<()> {
        self.files.insert(number, report.clone());
        Ok(())
    }

    fn finish(&mut self, intake: &Intake) -> Result<()> {
        let parts =
            [self.outcome.kept, self.outcome.collapsed, self.outcome.out_of_window, self.outcome.late, self.done];
        balance("the groups view", intake.accepted, &parts)
    }
}

/// The emission of one window.
struct Emission<'a, 's> {
    view: &'a mut Groups<'s>,
    window: Window,
    verdict: Verdict,
    /// Collapsed sources: where their scanners are in the verdict.
    scanners: HashMap<IpAddr, [Option<usize>; 3]>,
    /// Summaries under way, of the source whose groups go by.
    gathering: [Option<Gathering>; 3],
    summaries: Vec<ScanSummary>,
    /// The record that is filled in and handed to the sink.
    record: GroupRecord,
    totals: WindowTotals,
}

/// Entries whose rows and chains are brought into the cache together.
const BLOCK: usize = 64;

impl<'a, 's> Emission<'a, 's> {
    fn new(view: &'a mut Groups<'s>, window: Window) -> Self {
        let totals = WindowTotals { window, outcome: Outcome::default(), counts: GroupCounts::default() };
        let unspecified = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        let service = Arc::clone(view.plan.services.name(0));
        Emission {
            view,
            window,
            record: GroupRecord {
                key: GroupKey {
                    src_ip: unspecified,
                    dst_ip: unspecified,
                    dst_port: 0,
                    transport: Transport::Other,
                    service,
                },
                first_ts: Timestamp(0),
                last_ts: Timestamp(0),
                counts: Counts::default(),
                tcp_flags: TcpFlags::default(),
                tokens: Tokens::default(),
                section: None,
                window,
                flows: 0,
                direction: Direction::default(),
                amount: Amount::default(),
            },
            verdict: Verdict::default(),
            scanners: HashMap::new(),
            gathering: [None, None, None],
            summaries: Vec::new(),
            totals,
        }
    }

    /// Decides who scanned.
    fn judge(&mut self, parts: &[(usize, ClosedWindow)], workers: &[Store]) {
        let config = &self.view.config;
        let v4: Vec<&[EntryV4]> = parts.iter().map(|(_, part)| &part.v4[..]).collect();
        let v6: Vec<&[EntryV6]> = parts.iter().map(|(_, part)| &part.v6[..]).collect();
        let mut all = Vec::new();
        contacts::count(&v4, config.scan_policy, |contacts| verdict::is_candidate(contacts, config), &mut all);
        contacts::count(&v6, config.scan_policy, |contacts| verdict::is_candidate(contacts, config), &mut all);
        let ratio = |src: IpAddr, transport: Option<Transport>| {
            let (mut syn_only, mut flagged) = (0, 0);
            for (worker, part) in parts {
                let store = &workers[*worker];
                let mut add = |at: usize| {
                    let (a, b) = store.syn_only(at, part.window.start.0);
                    syn_only += a;
                    flagged += b;
                };
                of_source(&part.v4, src, transport).for_each(&mut add);
                of_source(&part.v6, src, transport).for_each(&mut add);
            }
            if flagged == 0 { 0.0 } else { syn_only as f64 / flagged as f64 }
        };
        self.verdict = verdict::decide(&all, &self.view.config, ratio);
        self.totals.counts.scan_candidates = self.verdict.candidates;
        self.totals.counts.scan_outliers_kept = self.verdict.spared;
        for (at, scanner) in self.verdict.scanners.iter().enumerate() {
            let slots = self.scanners.entry(scanner.src).or_default();
            for transport in Transport::ALL {
                if scanner.transport.is_none_or(|own| own == transport) {
                    slots[transport as usize] = Some(at);
                }
            }
        }
    }

    /// Walks the sorted flows of all workers in one order. Both directions of a pair of hosts are in one worker, so no
    /// group is in two.
    fn groups<E: Entry>(&mut self, parts: &[(usize, Vec<E>)], workers: &mut [Store]) -> Result<()> {
        let mut at = vec![0usize; parts.len()];
        let mut warm = vec![0usize; parts.len()];
        let mut source = None;
        let mut rollup = Rollup::default();
        let (idle, base) = (self.view.plan.idle, self.window.start.0);
        let everything = self.view.config.scan_policy == ScanPolicy::Original;
        loop {
            let heads = parts.iter().zip(&at).enumerate().filter_map(|(i, ((_, list), &at))| Some((*list.get(at)?, i)));
            let Some((head, part)) = heads.min() else { break };
            let (worker, list) = &parts[part];
            let store = &mut workers[*worker];
            let from = at[part];
            if from >= warm[part] {
                for ahead in list.iter().skip(from + BLOCK).take(BLOCK) {
                    prefetch_row(&store.rows, ahead.row());
                }
                warm[part] = from + BLOCK;
                rollup.warm(&list[from..list.len().min(from + BLOCK)], store);
            }
            let mut to = from + 1;
            while list.get(to).is_some_and(|next| next.same_group(&head)) {
                to += 1;
            }
            at[part] = to;
            if source != Some(head.src()) {
                source = Some(head.src());
                self.turn_to(address(head.src(), E::V6));
            }
            let flows = &list[from..to];
            self.turn_to_group(flows);
            let collapses = self.gathering[head.transport() as usize].is_some();
            rollup.slices(flows, store, base, idle, |slice| {
                let amount = self.amount(slice);
                if collapses && (everything || !slice.answered) {
                    self.collapse(head.transport(), slice, amount);
                    return Ok(());
                }
                self.emit(slice, amount)
            })?;
        }
        self.gather();
        Ok(())
    }

    /// Fills in the key of the group whose slices come next.
    #[inline]
    fn turn_to_group<E: Entry>(&mut self, flows: &[E]) {
        let Some(head) = flows.first() else { return };
        let transport = head.transport();
        let key = &mut self.record.key;
        key.src_ip = address(head.src(), E::V6);
        key.dst_ip = address(head.dst(), E::V6);
        key.dst_port = head.dst_port();
        key.transport = transport;
        let service = self.view.plan.services.name(head.dst_port());
        if !Arc::ptr_eq(service, &key.service) {
            key.service = Arc::clone(service);
        }
        if let Some(gathering) = &mut self.gathering[transport as usize] {
            gathering.contact(key.dst_ip, key.dst_port, flows.iter().any(Entry::answered));
        }
    }

    /// Puts a slice into its source's summary.
    fn collapse(&mut self, transport: Transport, slice: &Slice, amount: Amount) {
        if let Some(gathering) = &mut self.gathering[transport as usize] {
            gathering.collapse(amount, slice.bytes[0] + slice.bytes[1]);
            self.totals.outcome.collapsed += amount;
        }
    }

    /// The ledger's measures of a slice.
    #[inline]
    fn amount(&self, slice: &Slice) -> Amount {
        let bytes = slice.bytes[0] + slice.bytes[1];
        let (wire_bytes, captured_bytes) = match self.view.plan.measure {
            Measure::Wire => (bytes, slice.other),
            Measure::Captured => (slice.other, bytes),
        };
        Amount { packets: slice.packets[0] + slice.packets[1], wire_bytes, captured_bytes }
    }

    #[inline]
    fn emit(&mut self, slice: &mut Slice, amount: Amount) -> Result<()> {
        let [pkts_up, pkts_dn] = slice.packets;
        let [bytes_up, bytes_dn] = slice.bytes;
        let [syn, ack, rst, fin] = slice.flags;
        let section = slice.notes.take().and_then(|notes| self.section(*notes));
        let bins = &self.view.bins;
        let record = &mut self.record;
        record.first_ts = Timestamp(slice.first);
        record.last_ts = Timestamp(slice.last);
        record.counts = Counts { pkts_up, pkts_dn, bytes_up, bytes_dn };
        record.tcp_flags = TcpFlags { syn, ack, rst, fin };
        // Written where they stay: a struct built on the stack would be copied in wide words before it has left the store
        // buffer.
        let tokens = &mut record.tokens;
        tokens.pkts_up_bin = bins.count(pkts_up);
        tokens.pkts_dn_bin = bins.count(pkts_dn);
        tokens.bytes_up_bin = bins.count(bytes_up);
        tokens.bytes_dn_bin = bins.count(bytes_dn);
        tokens.dur_bin = bins.duration(slice.last.saturating_sub(slice.first));
        (tokens.syn_bin, tokens.ack_bin, tokens.rst_bin, tokens.fin_bin) = (syn, ack, rst, fin);
        record.section = section;
        record.flows = slice.flows;
        record.direction = slice.direction;
        record.amount = amount;
        self.totals.outcome.kept += amount;
        self.totals.counts.groups_emitted += 1;
        self.view.sink.on_group(record)
    }

    fn section(&mut self, notes: Notes) -> Option<Section> {
        if notes.is_empty() {
            return None;
        }
        let section = self.view.plan.services.enricher(self.record.key.dst_port)?.finish(notes)?;
        let counts = &mut self.totals.counts;
        match section.name {
            "http" => counts.http_enriched += 1,
            "ftp" => counts.ftp_enriched += 1,
            "smb" => counts.smb_enriched += 1,
            _ => {}
        }
        if let Body::Tokens { sampled: true, .. } = section.body {
            counts.sampling_applied += 1;
        }
        Some(section)
    }

    /// Turns to the next source: files the summaries of the one before, and starts those of this one.
    fn turn_to(&mut self, src: IpAddr) {
        if self.scanners.is_empty() {
            return;
        }
        self.gather();
        let Some(slots) = self.scanners.get(&src) else { return };
        for (transport, slot) in Transport::ALL.into_iter().zip(slots) {
            let Some(Scanner { syn_only_ratio, kind, forest, .. }) = slot.map(|at| self.verdict.scanners[at]) else {
                continue;
            };
            let summary = ScanSummary {
                src_ip: src,
                window: self.window,
                unique_dsts: 0,
                unique_ports: 0,
                syn_only_ratio,
                sample_targets: Vec::new(),
                transport,
                kind,
                forest,
                answered: 0,
                groups: 0,
                amount: Amount::default(),
                bytes: 0,
            };
            self.gathering[transport as usize] = Some(Gathering::new(summary, self.view.config.iforest_random_state));
        }
    }

    fn gather(&mut self) {
        for gathering in &mut self.gathering {
            // With all transports judged together, some may not have been used.
            self.summaries.extend(gathering.take().map(Gathering::finish).filter(|summary| summary.unique_dsts > 0));
        }
    }

    fn finish(mut self) -> Result<()> {
        for summary in &self.summaries {
            self.view.sink.on_scan(summary)?;
        }
        self.totals.counts.scans_collapsed = self.summaries.len() as u64;
        self.view.counts += self.totals.counts;
        self.view.outcome += self.totals.outcome;
        self.view.sink.on_window(&self.totals)
    }
}

/// The rows of one source's flows, of one transport or of all.
fn of_source<E: Entry>(list: &[E], src: IpAddr, transport: Option<Transport>) -> impl Iterator<Item = usize> {
    let bits = match src {
        IpAddr::V4(v4) if !E::V6 => Some(u128::from(v4.to_bits())),
        IpAddr::V6(v6) if E::V6 => Some(v6.to_bits()),
        _ => None,
    };
    let from = bits.map_or(list.len(), |bits| list.partition_point(|entry| entry.src() < bits));
    let own = move |entry: &&E| Some(entry.src()) == bits;
    list[from..]
        .iter()
        .take_while(own)
        .filter(move |entry| transport.is_none_or(|own| own == entry.transport()))
        .map(Entry::row)
}
