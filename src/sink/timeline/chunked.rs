//! The folder of tcp_data_loader_streaming.py, version 2.0: packets as CSV, flows in files of several, an index, and totals.
//!
//! Flows are written as they end. Only totals of hosts stay in memory; the times of packets, of which the bins are, are read from
//! the folder itself when there are no more.

use std::io::BufReader;
use std::path::Path;

use csv::ReaderBuilder;

use super::flows::{short, whole};
use super::json::Json;
use super::manifest::plain;
use super::totals::{Bins, Totals};
use super::{About, are_timelines};
use crate::capture::civil_from_days;
use crate::error::{Error, Result};
use crate::sink::folder::{AtomicFolder, Part};
use crate::time::Timestamp;
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
    row: Vec<u8>,
    /// The file that takes flows.
    open: Option<Part>,
    flows: Json,
    index: Part,
    entries: Json,
    totals: Totals,
    /// Flows, and files of them.
    flows_written: u64,
    files: u64,
}

/// Bytes that are gathered before they are written.
const GATHER: usize = 256 << 10;

impl Chunked {
    /// Starts the folder at `path`, in place of a timeline if `replaces`, with up to `flows_per_file` (at least 1) flows in a file.
    ///
    /// # Errors
    /// As [`AtomicFolder::create`].
    pub fn create(path: &Path, replaces: bool, flows_per_file: usize, about: About) -> Result<Chunked> {
        let folder = AtomicFolder::create(path, replaces, are_timelines)?;
        let index = folder.file("flows/flows_index.json")?;
        let mut entries = Json::default();
        entries.open(b'[');
        Ok(Chunked {
            folder: Some(folder),
            about,
            flows_per_file: flows_per_file.max(1),
            packets: None,
            row: Vec::new(),
            open: None,
            flows: Json::default(),
            index,
            entries,
            totals: Totals::default(),
            flows_written: 0,
            files: 0,
        })
    }

    fn folder(&self) -> Result<&AtomicFolder> {
        self.folder.as_ref().ok_or_else(|| Error::sink("the timeline is finished"))
    }

    fn close_flows(&mut self) -> Result<()> {
        let Some(mut file) = self.open.take() else { return Ok(()) };
        self.flows.close(b']');
        file.append(&self.flows.take())?;
        file.close()
    }

    fn write(&self, name: &str, write: impl FnOnce(&mut Json)) -> Result<()> {
        let mut json = Json::default();
        write(&mut json);
        let mut file = self.folder()?.file(name)?;
        file.append(&json.take())?;
        file.close()
    }

    /// Counts the packets that were written by time.
    fn bins(&self, times: (i64, i64)) -> Result<Bins> {
        let mut bins = Bins::new(times);
        let file = BufReader::with_capacity(GATHER, self.folder()?.read(PACKETS)?);
        let mut rows = ReaderBuilder::new().from_reader(file);
        for row in rows.byte_records() {
            let row = row.map_err(Error::sink)?;
            let time = row.get(0).and_then(|cell| std::str::from_utf8(cell).ok()).and_then(|cell| cell.parse().ok());
            let time = time.ok_or_else(|| Error::sink("packets.csv was changed while it was written"))?;
            // The original counts no packet of the last time.
            match self.about.mode {
                Mode::Correct if time == times.1 => bins.add_last(),
                _ => bins.add(time),
            }
        }
        Ok(bins)
    }

    fn manifest(&self, json: &mut Json, hosts: usize) {
        let About { created, sources, choice, context, .. } = &self.about;
        let minutes = |time: Option<i64>| time.filter(|&us| us != 0).map(|us| us.div_euclid(60_000_000));
        let (start, end) = self.totals.times.unwrap_or_default();
        json.open(b'{');
        json.text("version", "2.0");
        json.text("format", "chunked");
        json.text("created", &iso(*created));
        json.text_or_null(
            "source_file",
            match &sources[..] {
                [source] => Some(source),
                _ => None,
            },
        );
        strings(json, "source_files", sources);
        json.int("total_packets", self.totals.packets);
        json.int("tcp_packets", self.totals.tcp);
        json.int("unique_ips", hosts);
        json.int("total_flows", self.flows_written);
        json.int("flows_per_chunk", self.flows_per_file);
        json.int("total_chunks", self.files);
        json.key("time_range");
        json.open(b'{');
        json.int("start", start);
        json.int("end", end);
        json.int("duration", i128::from(end) - i128::from(start));
        json.close(b'}');
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
        json.key("attack_context");
        match context {
            Some(context) => {
                json.open(b'{');
                json.text("type", context);
                json.text("source", "attack_timearcs_selection");
                json.close(b'}');
            }
            None => json.null(),
        }
        json.key("filter_applied");
        json.open(b'{');
        match &choice.hosts {
            Some(hosts) => strings(json, "ips", hosts),
            None => json.text_or_null("ips", None),
        }
        json.int_or_null("time_start_us", choice.from);
        json.int_or_null("time_end_us", choice.to);
        json.int_or_null("time_start_minutes", minutes(choice.from));
        json.int_or_null("time_end_minutes", minutes(choice.to));
        json.close(b'}');
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
        if self.packets.is_none() {
            let mut file = self.folder()?.file(PACKETS)?;
            file.append(HEADER)?;
            self.packets = Some(file);
        }
        self.row.clear();
        row(packet, hosts, &mut self.row);
        match &mut self.packets {
            Some(file) => file.append(&self.row),
            None => Ok(()),
        }
    }

    fn flow(&mut self, flow: &Flow, hosts: &Hosts) -> Result<()> {
        let in_file = usize::try_from(self.flows_written % self.flows_per_file as u64).unwrap_or(0);
        if in_file == 0 {
            self.close_flows()?;
            self.open = Some(self.folder()?.file(&format!("flows/{}", chunk(self.files)))?);
            self.flows.open(b'[');
            self.files += 1;
        }
        self.flows.item();
        let Chunked { flows, open, about, .. } = self;
        whole(flows, flow, hosts, about.mode, &mut |json| match open {
            Some(file) if json.waiting() >= GATHER => file.append(&json.take()),
            _ => Ok(()),
        })?;
        self.entries.item();
        short(&mut self.entries, flow, hosts, &chunk(self.files - 1), in_file);
        if self.entries.waiting() >= GATHER {
            self.index.append(&self.entries.take())?;
        }
        self.flows_written += 1;
        Ok(())
    }

    /// Makes the folder visible.
    fn finish(&mut self, hosts: &Hosts) -> Result<()> {
        self.close_flows()?;
        self.entries.close(b']');
        self.index.append(&self.entries.take())?;
        self.index.flush()?;
        if let Some(file) = self.packets.take() {
            file.close()?;
        }
        let names = self.totals.names(hosts);
        self.write(HOSTS, |json| self.totals.write_hosts(json, hosts))?;
        self.write(FLAGS, |json| self.totals.write_flags(json))?;
        self.write(NAMES, |json| {
            json.open(b'[');
            for name in &names {
                json.item();
                json.string(name);
            }
            json.close(b']');
        })?;
        let bins = self.totals.times.map(|times| self.bins(times)).transpose()?;
        self.write(BINS, |json| {
            json.open(b'[');
            if let Some(bins) = bins {
                bins.write(json, self.totals.packets);
            }
            json.close(b']');
        })?;
        self.write("manifest.json", |json| self.manifest(json, names.len()))?;
        self.folder.take().map_or(Ok(()), AtomicFolder::commit)
    }
}

const HEADER: &[u8] = b"timestamp,src_ip,dst_ip,src_port,dst_port,flags,flag_type,seq_num,ack_num,length,protocol\n";

/// A row of packets.csv.
fn row(packet: &Packet, hosts: &Hosts, out: &mut Vec<u8>) {
    let number = |n: i64, out: &mut Vec<u8>| {
        out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
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
        out.extend_from_slice(itoa::Buffer::new().format(protocol).as_bytes());
    }
    out.push(b'\n');
}

/// A cell, in quotes if it needs them.
fn cell(text: &str, out: &mut Vec<u8>) {
    if !text.contains([',', '"', '\r', '\n']) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

fn chunk(number: u64) -> String {
    format!("chunk_{number:05}.json")
}

fn strings(json: &mut Json, name: &str, list: &[String]) {
    json.key(name);
    json.open(b'[');
    for text in list {
        json.item();
        json.string(text);
    }
    json.close(b']');
}

/// A time as Python's `isoformat` has it, without a zone: microseconds where there are some.
fn iso(time: Timestamp) -> String {
    let (seconds, us) = (time.seconds(), time.ns().rem_euclid(1_000_000_000) / 1000);
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = if us > 0 { format!(".{us:06}") } else { String::new() };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_making_is_as_python_has_it() {
        assert_eq!(iso(Timestamp(1_700_000_000_000_000_000)), "2023-11-14T22:13:20");
        assert_eq!(iso(Timestamp(1_700_000_000_000_042_999)), "2023-11-14T22:13:20.000042");
        assert_eq!(iso(Timestamp(-1)), "1969-12-31T23:59:59.999999");
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
