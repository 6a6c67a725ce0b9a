//! Packets as CSV, as two layouts have them: a header, no quotes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use pcap_compactor::capture::Pieces;
use pcap_compactor::views::timeline::{Hosts, Packet};
use pcap_compactor::{Error, ErrorKind};

use super::super::super::interrupt;
use super::regular;

/// The columns that are used, by place.
struct Columns {
    timestamp: usize,
    src: usize,
    dst: usize,
    src_port: usize,
    dst_port: usize,
    flags: usize,
    length: usize,
    flag_type: Option<usize>,
    seq: Option<usize>,
    ack: Option<usize>,
    protocol: Option<usize>,
}

impl Columns {
    fn of(header: &str) -> anyhow::Result<Columns> {
        let names: Vec<&str> = header.split(',').collect();
        let find = |name| names.iter().position(|&column| column == name);
        let need = |name| find(name).ok_or_else(|| anyhow!("there is no column {name}"));
        Ok(Columns {
            timestamp: need("timestamp")?,
            src: need("src_ip")?,
            dst: need("dst_ip")?,
            src_port: need("src_port")?,
            dst_port: need("dst_port")?,
            flags: need("flags")?,
            length: need("length")?,
            flag_type: find("flag_type"),
            seq: find("seq_num"),
            ack: find("ack_num"),
            protocol: find("protocol"),
        })
    }

    fn packet(&self, line: &str, hosts: &mut Hosts) -> anyhow::Result<Packet> {
        let fields: Vec<&str> = line.split(',').collect();
        let text = |at: usize| fields.get(at).copied().ok_or_else(|| anyhow!("it has only {} fields", fields.len()));
        let number = |at: usize, name: &str| -> anyhow::Result<i64> {
            let text = text(at)?;
            text.parse().map_err(|_| anyhow!("{name} {text:?} is no whole number of 64 bits"))
        };
        let optional = |at: Option<usize>, name| at.map_or(Ok(0), |at| number(at, name));
        let known = self.flag_type.map(text).transpose()?.is_none_or(|name| name != "INVALID");
        let flags = number(self.flags, "flags")?;
        let protocol = self.protocol.map(text).transpose()?.unwrap_or("6");
        Ok(Packet {
            time: number(self.timestamp, "timestamp")?,
            src_port: number(self.src_port, "src_port")?,
            dst_port: number(self.dst_port, "dst_port")?,
            flags: known.then_some(flags),
            seq: optional(self.seq, "seq_num")?,
            ack: optional(self.ack, "ack_num")?,
            length: number(self.length, "length")?,
            payload: None,
            protocol: protocol_number(protocol),
            src: hosts.number(text(self.src)?),
            dst: hosts.number(text(self.dst)?),
        })
    }
}

pub(super) fn protocol_number(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("tcp") { Some(6) } else { text.parse().ok() }
}

/// What a table came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Table {
    pub(super) packets: u64,
    /// It has no column of sequence numbers.
    pub(super) without_seq: bool,
    /// It has no column of acknowledgement numbers.
    pub(super) without_ack: bool,
}

/// Hands over every packet of a file.
///
/// # Errors
/// It cannot be read, or a line is no packet; or `each` fails.
pub(super) fn packets(
    path: &Path,
    hosts: &mut Hosts,
    each: &mut impl FnMut(Packet, &Hosts) -> anyhow::Result<()>,
) -> anyhow::Result<Table> {
    let mut columns = None;
    let mut packets = 0;
    let mut lines = Pieces::new(open(path)?);
    for number in 1u64.. {
        let here = || format!("{}: line {number}", path.display());
        let Some(line) = lines.line().with_context(here)? else { break };
        going_on(number)?;
        match &columns {
            None => columns = Some(Columns::of(line).with_context(here)?),
            Some(_) if line.is_empty() => {}
            Some(columns) => {
                packets += 1;
                let packet = columns.packet(line, hosts).with_context(here)?;
                each(packet, hosts).with_context(here)?;
            }
        }
    }
    let columns = columns.with_context(|| format!("{}: it is empty", path.display()))?;
    Ok(Table { packets, without_seq: columns.seq.is_none(), without_ack: columns.ack.is_none() })
}

/// Bytes of a line of flows: 256 MiB, some six million packets.
const LONGEST: u64 = 256 << 20;

/// Hands over every line of a file, which has at least one; errors get the place. A line may be [`LONGEST`].
pub(super) fn lines(path: &Path, mut each: impl FnMut(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut file = open(path)?;
    let mut line = String::new();
    let mut number = 0u64;
    loop {
        number += 1;
        let here = || format!("{}: line {number}", path.display());
        line.clear();
        let read = (&mut file).take(LONGEST).read_line(&mut line).with_context(here)?;
        going_on(number)?;
        if read == 0 {
            break;
        }
        let whole = (read as u64) < LONGEST || line.ends_with('\n');
        ensure!(whole, "{}: line {number} is longer than 256 MiB", path.display());
        each(line.trim_end_matches(['\r', '\n'])).with_context(here)?;
    }
    ensure!(number > 1, "{}: it is empty", path.display());
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    regular(path)?;
    let file = File::open(path).with_context(|| format!("{}: cannot open", path.display()))?;
    Ok(BufReader::with_capacity(1 << 18, file))
}

/// Ends a long file when a signal has come.
fn going_on(line: u64) -> anyhow::Result<()> {
    ensure!(!line.is_multiple_of(4096) || !interrupt::came(), Error::from(ErrorKind::Stopped));
    Ok(())
}
