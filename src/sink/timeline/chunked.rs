//! The folder of tcp_data_loader_streaming.py, version 2.0: packets as CSV, flows in files of several, an index, and totals.
//!
//! Flows are written as they end. Only totals of hosts stay in memory; the times of packets, of which the bins are, wait in a
//! temporary file. So does the index, which lists flows in the order of their starts; the original's has them as they ended.

use std::path::{Path, PathBuf};

use super::flows::{Packets, short, whole};
use super::json::{Json, integer};
use super::manifest::{choice_and, finished, is_plain, iso, items, plain, source, strings, time_range, write};
use super::times::Times;
use super::totals::{Bins, Totals};
use super::{About, are_timelines};
use crate::error::Result;
use crate::sink::folder::{AtomicFolder, Part};
use crate::sink::scratch::Scratch;
use crate::sink::sorted::{Record, Sorted};
use crate::views::timeline::flags::flag_type;
use crate::views::timeline::{Flow, Hosts, Mode, Packet, TimelineSink};

/// Writes the folder.
#[derive(Debug)]
pub struct Chunked {
    /// Nothing when it is visible.
    folder: Option<AtomicFolder>,
    about: About,
    flows_per_file: usize,
    packets: Option<Part>,
    /// Rows of packets that wait to be written.
    rows: Vec<u8>,
    times: Option<Times>,
    /// The file that takes flows, and its name.
    open: Option<Part>,
    name: String,
    flows: Json,
    laid_out: Packets,
    index: Part,
    entries: Json,
    /// Entries that wait to be put in order.
    ordered: Option<Sorted<Entry>>,
    totals: Totals,
    /// Flows, and files of them.
    flows_written: u64,
    files: u64,
}

/// What the index has of a flow; in the order in which it has them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    start: i64,
    key: Box<str>,
    number: u64,
    text: Vec<u8>,
}

impl Record for Entry {
    type Before = ();

    fn write(&self, (): &mut (), out: &mut Vec<u8>) {
        for n in [self.start as u64, self.number, self.key.len() as u64] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(&self.text);
    }

    fn read((): &mut (), bytes: &mut &[u8]) -> Entry {
        let mut number = || {
            let (first, rest) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
            *bytes = rest;
            u64::from_le_bytes(*first)
        };
        let [start, number, length] = [(); 3].map(|()| number());
        let (key, text) = bytes.split_at_checked(length as usize).unwrap_or_default();
        let key = String::from_utf8_lossy(key).into();
        *bytes = &[];
        Entry { start: start as i64, key, number, text: text.to_vec() }
    }

    fn beside(&self) -> usize {
        self.key.len() + self.text.len()
    }
}

/// Bytes that are gathered before they are written.
const GATHER: usize = 128 << 10;

impl Chunked {
    /// Starts the folder at `path`, in place of a timeline if `replaces`, with up to `flows_per_file` (at least 1) flows in a file.
    ///
    /// # Errors
    /// As [`AtomicFolder::create`].
    pub fn create(path: &Path, replaces: bool, flows_per_file: usize, about: About) -> Result<Chunked> {
        Chunked::fill(AtomicFolder::create(path, replaces, are_timelines)?, flows_per_file, about)
    }

    /// As [`Chunked::create`], in a folder of another that is under way.
    pub(super) fn inside(around: &AtomicFolder, name: &str, flows_per_file: usize, about: About) -> Result<Chunked> {
        Chunked::fill(around.inside(name, are_timelines)?, flows_per_file, about)
    }

    fn fill(folder: AtomicFolder, flows_per_file: usize, about: About) -> Result<Chunked> {
        let scratch = Scratch::beside(&folder);
        let index = folder.file("flows/flows_index.json")?;
        let mut entries = Json::default();
        entries.open(b'[');
        Ok(Chunked {
            folder: Some(folder),
            flows_per_file: flows_per_file.max(1),
            packets: None,
            rows: Vec::new(),
            times: Some(Times::new(scratch.clone())),
            open: None,
            name: String::new(),
            flows: Json::default(),
            laid_out: Packets::default(),
            index,
            entries,
            ordered: (about.mode == Mode::Correct).then(|| Sorted::new(scratch)),
            about,
            totals: Totals::default(),
            flows_written: 0,
            files: 0,
        })
    }

    /// What killed processes had left of the folder, and is removed now.
    #[must_use]
    pub fn swept(&self) -> &[PathBuf] {
        self.folder.as_ref().map_or(&[], AtomicFolder::swept)
    }

    fn folder(&self) -> Result<&AtomicFolder> {
        self.folder.as_ref().ok_or_else(finished)
    }

    fn close_flows(&mut self) -> Result<()> {
        let Some(mut file) = self.open.take() else { return Ok(()) };
        self.flows.close(b']');
        self.flows.hand_on(|text| file.append(text))?;
        file.close()
    }

    /// Begins packets.csv with its header, once.
    fn begin_rows(&mut self) -> Result<()> {
        if self.packets.is_none() {
            self.packets = Some(self.folder()?.file(PACKETS)?);
            self.rows.extend_from_slice(HEADER);
            self.rows.extend_from_slice(if self.about.mode == Mode::Correct { b",seg_len\n" } else { b"\n" });
        }
        Ok(())
    }

    fn write_rows(&mut self) -> Result<()> {
        if let Some(file) = &mut self.packets {
            file.append(&self.rows)?;
        }
        self.rows.clear();
        Ok(())
    }

    /// Counts the packets by time.
    fn bins(&self, times: Times, (first, last): (i64, i64)) -> Result<Bins> {
        let mut bins = Bins::new((first, last));
        // The original counts no packet of the last time.
        times.each(|time| match self.about.mode {
            Mode::Correct if time == last => bins.add_last(),
            _ => bins.add(time),
        })?;
        Ok(bins)
    }

    fn manifest(&self, json: &mut Json, hosts: usize) {
        let About { created, sources, choice, .. } = &self.about;
        let minutes = |time: Option<i64>| time.filter(|&us| us != 0).map(|us| us.div_euclid(60_000_000));
        json.open(b'{');
        json.text("version", "2.0");
        json.text("format", "chunked");
        json.text("created", &iso(*created));
        source(json, &self.about);
        strings(json, "source_files", sources.iter().map(String::as_str));
        json.int("total_packets", self.totals.packets);
        json.int("tcp_packets", self.totals.tcp);
        json.int("unique_ips", hosts);
        json.int("total_flows", self.flows_written);
        json.int("flows_per_chunk", self.flows_per_file);
        json.int("total_chunks", self.files);
        time_range(json, self.totals.times.unwrap_or_default());
        json.key("structure");
        json.open(b'{');
        json.text("packets", PACKETS);
        json.text("flows_index", "flows/flows_index.json");
        json.text("flow_chunks", "flows/chunk_*.json");
        json.text("time_bins", BINS);
        json.text("ip_stats", HOSTS);
        json.text("flag_stats", FLAGS);
        json.text("unique_ips", NAMES);
        json.close(b'}');
        choice_and(json, &self.about, |json| {
            json.int_or_null("time_start_minutes", minutes(choice.from));
            json.int_or_null("time_end_minutes", minutes(choice.to));
        });
        json.close(b'}');
    }
}

const PACKETS: &str = "packets.csv";
const HOSTS: &str = "ips/ip_stats.json";
const FLAGS: &str = "ips/flag_stats.json";
const NAMES: &str = "ips/unique_ips.json";
const BINS: &str = "indices/bins.json";

impl TimelineSink for Chunked {
    fn packet(&mut self, packet: &Packet, hosts: &Hosts) -> Result<()> {
        if self.about.mode == Mode::Correct {
            // Viewers part cells at each comma.
            plain(hosts.name(packet.src)).and(plain(hosts.name(packet.dst)))?;
        }
        self.totals.add(packet);
        self.times.as_mut().ok_or_else(finished)?.push(packet.time)?;
        self.begin_rows()?;
        row(packet, hosts, self.about.mode, &mut self.rows);
        if self.rows.len() >= GATHER { self.write_rows() } else { Ok(()) }
    }

    fn flow(&mut self, flow: &Flow, hosts: &Hosts) -> Result<()> {
        let in_file = usize::try_from(self.flows_written % self.flows_per_file as u64).unwrap_or(0);
        if in_file == 0 {
            self.close_flows()?;
            self.name = format!("chunk_{:05}.json", self.files);
            self.open = Some(self.folder()?.file(&format!("flows/{}", self.name))?);
            self.flows.open(b'[');
            self.files += 1;
        }
        self.flows.item();
        let Chunked { flows, laid_out, open, about, .. } = self;
        whole(flows, flow, hosts, about.mode, laid_out, &mut |json| match open {
            Some(file) if json.waiting() >= GATHER => json.hand_on(|text| file.append(text)),
            _ => Ok(()),
        })?;
        self.entries.item();
        short(&mut self.entries, flow, hosts, &self.name, in_file);
        self.flows_written += 1;
        match &mut self.ordered {
            Some(ordered) => self.entries.hand_on(|text| {
                // Without what parts it from the one before.
                let from = text.iter().position(|&byte| byte == b'{').unwrap_or(0);
                let (start, key, number) = (flow.start, flow.key.as_str().into(), flow.number);
                ordered.push(Entry { start, key, number, text: text[from..].to_vec() })
            }),
            None if self.entries.waiting() >= GATHER => self.entries.hand_on(|text| self.index.append(text)),
            None => Ok(()),
        }
    }

    /// Makes the folder visible.
    fn finish(&mut self, hosts: &Hosts) -> Result<()> {
        self.close_flows()?;
        if let Some(ordered) = self.ordered.take() {
            self.entries = Json::default();
            self.entries.open(b'[');
            ordered.each(|entry| {
                self.entries.item();
                self.entries.laid_out().extend_from_slice(&entry.text);
                if self.entries.waiting() >= GATHER {
                    self.entries.hand_on(|text| self.index.append(text))?;
                }
                Ok(())
            })?;
        }
        self.entries.close(b']');
        self.entries.hand_on(|text| self.index.append(text))?;
        self.index.flush()?;
        if self.about.mode == Mode::Correct {
            // The original writes none of no packets.
            self.begin_rows()?;
        }
        self.write_rows()?;
        if let Some(file) = self.packets.take() {
            file.close()?;
        }
        let names = self.totals.names(hosts);
        let times = self.times.take().ok_or_else(finished)?;
        let bins = self.totals.times.map(|range| self.bins(times, range)).transpose()?;
        if self.about.mode == Mode::Correct {
            self.totals.sort(hosts);
        }
        let folder = self.folder.take().ok_or_else(finished)?;
        write(&folder, HOSTS, |json| self.totals.write_hosts(json, hosts))?;
        write(&folder, FLAGS, |json| self.totals.write_flags(json))?;
        write(&folder, NAMES, |json| items(json, names.iter().copied()))?;
        write(&folder, BINS, |json| {
            json.open(b'[');
            if let Some(bins) = bins {
                bins.write(json, self.totals.packets);
            }
            json.close(b']');
        })?;
        write(&folder, "manifest.json", |json| self.manifest(json, names.len()))?;
        folder.commit()
    }
}

const HEADER: &[u8] = b"timestamp,src_ip,dst_ip,src_port,dst_port,flags,flag_type,seq_num,ack_num,length,protocol";

/// A row of packets.csv. What the original does not write stands behind what it does: viewers know columns by their names.
fn row(packet: &Packet, hosts: &Hosts, mode: Mode, out: &mut Vec<u8>) {
    let number = |n: i64, out: &mut Vec<u8>| {
        integer(n, out);
        out.push(b',');
    };
    number(packet.time, out);
    for host in [packet.src, packet.dst] {
        cell(hosts.name(host), out);
        out.push(b',');
    }
    for n in [packet.src_port, packet.dst_port, packet.flags.unwrap_or(0)] {
        number(n, out);
    }
    out.extend_from_slice(flag_type(packet.flags).as_bytes());
    out.push(b',');
    for n in [packet.seq, packet.ack, packet.length] {
        number(n, out);
    }
    if let Some(protocol) = packet.protocol {
        integer(protocol, out);
    }
    if mode == Mode::Correct {
        out.push(b',');
        if let Some(payload) = packet.payload {
            integer(payload.into(), out);
        }
    }
    out.push(b'\n');
}

/// A cell, in quotes if it needs them.
fn cell(text: &str, out: &mut Vec<u8>) {
    if is_plain(text) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_and_is_in_the_order_of_start_and_then_of_text() {
        let entry = |start, key: &str, number| Entry { start, key: key.into(), number, text: b"{}".to_vec() };
        let all =
            [entry(i64::MIN, "b", 3), entry(-1, "", 2), entry(7, "a:1-b:2", 9), entry(7, "b", 1), entry(7, "b", 4)];
        assert!(all.is_sorted());
        for entry in all {
            let mut bytes = Vec::new();
            entry.write(&mut (), &mut bytes);
            let mut rest = &bytes[..];
            assert_eq!((Entry::read(&mut (), &mut rest), rest), (entry, &[][..]));
        }
    }

    #[test]
    fn a_cell_is_quoted_where_it_has_to_be() {
        let quoted = |text: &str| {
            let mut out = Vec::new();
            cell(text, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            ["", "a b", "a,b", "say \"a\"", "a\nb"].map(quoted),
            ["", "a b", "\"a,b\"", "\"say \"\"a\"\"\"", "\"a\nb\""]
        );
    }
}
