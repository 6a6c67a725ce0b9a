//! `timeline`: packets in; a folder that viewers open out.

mod checking;
mod closing;

use std::fs::File;
use std::io::BufReader;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::ValueEnum;
use pcap_compactor::Timestamp;
use pcap_compactor::capture::{Input, beginning};
use pcap_compactor::decode::Tunnels;
use pcap_compactor::engine::Progress;
use pcap_compactor::engine::ledger::Amount;
use pcap_compactor::sink::timeline::{About, Folders, Layout, timeline_around};
use pcap_compactor::time;
use pcap_compactor::views::groups::Window;
use pcap_compactor::views::timeline::original::{Options, Original};
use pcap_compactor::views::timeline::table::{self, Names, TableReport};
use pcap_compactor::views::timeline::view::{Selection, TimelineJob};
use pcap_compactor::views::timeline::{Choice, Chosen, Correct, Machine, Mode, TimelineSink, correct};

use self::checking::check_folder;
use self::closing::{behind, closing, odd_names, rows_of, sum};
use super::progress::Bar;
use super::reading::{Reading, Sources};
use super::summary::{self, Sum, complaints};
use super::text::things;
use super::{Exit, Shared, Usage, interrupt, say, taken};

/// Arguments of `timeline`.
#[derive(clap::Args)]
#[command(mut_arg("inputs", |input| input.help(INPUTS)), mut_arg("by_sensor", |option| option.hide(true)), after_help = "\
A table of packets is CSV with the columns timestamp (microseconds since 1970), src_ip, dst_ip, src_port, dst_port, flags (decimal) \
and length, and maybe seq_num, ack_num, protocol and seg_len (bytes of payload); others are passed over. It may be inside gzip or zstd. \
Several are read as one stream, in their order. A row that no packet can be of (a port of 70000, say, or too few cells) is left out, counted \
and named. packets.csv of version 2.0 makes the same timeline as the capture that it is of; it has packets in the order in which they were \
captured, or stand in tables, whatever their times.

TCP packets with port 0 are in flows, too, but with --mode original. That mode does what tcp_data_loader_streaming.py of TimeArcs does, its mistakes \
included, byte for byte: a flow ends where a read chunk does, so its result depends on --read-rows. What it takes of a table that is refused or left out \
without it is told (exit code 3). docs/timeline-original.md has where it differs, which is little.

Examples:
  pcap-compactor timeline capture.pcap -o out                         # as TCP is; `pcap-compactor view out` shows it
  pcap-compactor timeline captures/ -o out --layout all               # for viewers of every version
  pcap-compactor timeline --check out/v2.0
  pcap-compactor timeline packets.csv --ip-map ips.json -o out --mode original
  pcap-compactor timeline day1.csv.gz day2.csv.gz -o out --mode original --flow-timeout 60
  pcap-compactor timeline packets.csv -o out --mode original --hosts 10.0.0.1,10.0.0.2 --attack-context 'port scan'
  pcap-compactor timeline packets.csv -o out --mode original --from 2009-11-03T09 --to 2009-11-03T10
  SOURCE_DATE_EPOCH=0 pcap-compactor timeline packets.csv -o out --mode original    # the same bytes every time")]
pub(crate) struct Args {
    #[command(flatten)]
    sources: Sources,
    /// The original's name for INPUT.
    #[arg(long, value_name = "FILE", num_args = 1.., hide = true)]
    data: Vec<PathBuf>,
    /// Addresses of a table's numbers: JSON such as {"10.0.0.1": 1}. Numbers that are not in it stay. Two addresses of one number are
    /// refused; with --mode original the last has it.
    #[arg(long, value_name = "FILE")]
    ip_map: Option<PathBuf>,

    /// Which state machine makes the flows: as TCP is, or as the original does it.
    #[arg(long, value_enum, default_value_t = ModeArg::Correct, help_heading = "Flows")]
    mode: ModeArg,
    /// A flow that is silent for longer than so many seconds is over; of --mode original, one that is for so many or longer where a read chunk
    /// ends.
    #[arg(long, value_name = "SECONDS", alias = "flow-timeout-seconds", default_value_t = 300, help_heading = "Flows")]
    flow_timeout: u32,
    /// How long a packet waits for those before it that come late, in milliseconds, so that a SYN captured before the FIN in front of it
    /// begins a flow behind it; at most 65,536 wait. Times are whole microseconds: packets of one stay as they came. Where later ones are of which flow is decided as they come, and they are counted; of
    /// --mode correct. Default: 10.
    #[arg(long, value_name = "MS", help_heading = "Flows")]
    reorder: Option<u32>,
    /// Packets that are looked at together, behind which flows that are over are ended; of --mode original. Default: 500000.
    #[arg(long, value_name = "N", alias = "chunk-read-size", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Flows")]
    read_rows: Option<u64>,

    /// Only packets from or to these addresses, as they are named in the timeline.
    #[arg(long, value_name = "A,B", alias = "filter-ips", help_heading = "Packets")]
    hosts: Option<String>,
    /// Only so many packets, the first of those that are chosen by time and host; 0 is all. The ledger of captures has the others as
    /// over a limit.
    #[arg(long, value_name = "N", help_heading = "Packets")]
    max_records: Option<u64>,
    /// The original's --from, in microseconds since 1970.
    #[arg(long, value_name = "US", hide = true, allow_negative_numbers = true, conflicts_with_all = ["from", "hour"])]
    filter_time_start: Option<i64>,
    /// The original's --to, in microseconds since 1970, which are included.
    #[arg(long, value_name = "US", hide = true, allow_negative_numbers = true, conflicts_with_all = ["to", "hour"])]
    filter_time_end: Option<i64>,

    /// The folder to write. It appears when it is whole.
    #[arg(
        long,
        short,
        value_name = "DIR",
        alias = "output-dir",
        required_unless_present = "check",
        help_heading = "Output"
    )]
    output: Option<PathBuf>,
    /// Which folders viewers open: of version 2.0; of 3.3 for packets and 5.0 for flows, as DIR/v3.3 and DIR/v5.0; or all three.
    #[arg(long, value_enum, default_value_t = LayoutArg::V2, help_heading = "Output")]
    layout: LayoutArg,
    /// Write nothing; say whether a folder of version 2.0, 3.3 or 5.0 is what viewers take, and what they would not show.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["output", "inputs", "root", "sensor", "by_sensor", "data", "hour", "from", "to", "ip_map",
        "mode", "flow_timeout", "reorder", "read_rows", "hosts", "max_records", "filter_time_start", "filter_time_end", "layout", "force",
        "flows_per_file", "attack_context", "created", "tunnels", "dedup", "filter", "no_pure_acks", "no_rst", "threads", "no_pin", "io"],
        help_heading = "Output")]
    check: Option<PathBuf>,
    /// Replace DIR if it is a timeline. A folder that holds anything else is never replaced.
    #[arg(long, help_heading = "Output")]
    force: bool,
    /// Flows in a file of version 2.0. Default: 200.
    #[arg(long, value_name = "N", alias = "chunk-size", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Output")]
    flows_per_file: Option<u32>,
    /// What the packets are thought to be of; the viewer shows it.
    #[arg(long, value_name = "TEXT", help_heading = "Output")]
    attack_context: Option<String>,
    /// The time of making, which the manifest tells. Default: SOURCE_DATE_EPOCH in seconds since 1970, or else now. UTC.
    #[arg(long, value_name = "TIME", value_parser = time::point, help_heading = "Output")]
    created: Option<Timestamp>,

    #[command(flatten)]
    reading: Reading,
}

const INPUTS: &str = "Captures (pcap, pcapng), folders of captures, or tables of packets (CSV), each by its own name, also inside gzip or zstd; or `-` for standard input";

/// The original's defaults.
const READ_ROWS: u64 = 500_000;
const FLOWS_PER_FILE: u32 = 200;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeArg {
    Correct,
    Original,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LayoutArg {
    #[value(name = "2.0")]
    V2,
    #[value(name = "3.3+5.0")]
    V3AndV5,
    All,
}

/// What inputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Captures,
    Tables,
}

pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    let Some(output) = &args.output else {
        return args.check.as_deref().map_or(Ok(Exit::Usage), |folder| check_folder(folder, shared));
    };
    has_a_name(output)?;
    is_in_no_timeline(output)?;
    refuse_idle_options(args)?;
    let sources = args.sources.with(&args.data);
    let range = sources.range()?;
    let choice = choice(args, range)?;
    let created = created(args)?;
    let names = args.ip_map.as_deref().map_or(Ok(Names::default()), |path| names(path, mode(args)))?;
    let (found, exit) = sources.find_or("timeline", range, shared, |skipped| of_a_table(&skipped.path))?;
    found.spare(vec![("--output", output.clone())], &[("--ip-map", args.ip_map.as_deref())])?;
    if found.units.iter().any(|unit| unit.sensor.is_some()) {
        return Err(Usage(
            "a timeline is of all sensors together; leave out --by-sensor, or choose one with --sensor".into(),
        )
        .into());
    }
    let total = found.bytes();
    let inputs: Vec<Input> = found.units.into_iter().flat_map(|unit| unit.inputs).collect();
    stay_outside(output, &inputs)?;
    let kind = kind(&inputs)?;
    let selection = match kind {
        Kind::Tables => refuse_options_of_captures(&args.reading).map(|()| None)?,
        Kind::Captures => Some(selection(args, &choice)?),
    };

    let about = About {
        created,
        sources: inputs.iter().map(|input| input.path().display().to_string()).collect(),
        choice: choice.clone(),
        context: args.attack_context.clone().filter(|context| !context.is_empty()),
        mode: mode(args),
    };
    let flows_per_file = usize::try_from(args.flows_per_file.unwrap_or(FLOWS_PER_FILE)).unwrap_or(usize::MAX);
    let progress = Arc::new(Progress::default());
    // Before anything is there that a signal could leave behind.
    interrupt::watch(&progress)?;
    let mut sink = Folders::create(output, args.force, layout(args), flows_per_file, &about)
        .map_err(|error| taken(error, "--force replaces it"))?;
    for left in sink.swept().iter().filter(|_| !shared.quiet) {
        say(&format!("{}: removed; a run that was killed had left it", left.display()));
    }
    let bar = Bar::show(&progress, move || total, shared.quiet);
    let began = Instant::now();
    let rows;
    let exit = match selection {
        None => {
            let reports = of_tables(args, &inputs, &names, choice, &progress, &mut sink)?;
            rows = rows_of(&reports);
            drop(bar);
            if reports.iter().all(|report| report.failed.is_some()) {
                tell(&reports);
                return Ok(Exit::Failed);
            }
            exit.max(tell(&reports))
        }
        Some(selection) => {
            let job = TimelineJob::new(selection).engine(args.reading.engine(&progress));
            let inputs = inputs.into_iter().map(pcap_compactor::Input::from).collect();
            let (report, outcome) = job.run(inputs, &mut *machine(args), &mut sink)?;
            drop(bar);
            let mut sum = Sum::default();
            sum.add(&report, &outcome, Amount::default());
            let exit = exit.max(complaints(&report, &outcome, shared.quiet));
            report.overlap().iter().filter(|_| !shared.quiet).for_each(|overlap| say(&overlap.to_string()));
            if sum.captures == 0 {
                bail!("none of the inputs is a capture that can be read");
            }
            let written = sink.summary();
            sink.commit()?;
            if !shared.quiet {
                summary::closing(&sum, began.elapsed(), "in the timeline", &closing(&written));
                say(&self::sum(&written));
                behind(&written).iter().for_each(|line| say(line));
            }
            return Ok(exit);
        }
    };
    let written = sink.summary();
    let odd = odd_names(&written, sink.odd_name());
    sink.commit()?;
    odd.iter().for_each(|line| say(line));
    let exit = if odd.is_some() { exit.max(Exit::Partial) } else { exit };
    if !shared.quiet {
        rows.iter().for_each(|rows| say(rows));
        say(&closing(&written));
        say(&sum(&written));
        behind(&written).iter().for_each(|line| say(line));
    }
    Ok(exit)
}

/// Makes a timeline of tables.
fn of_tables(
    args: &Args,
    inputs: &[Input],
    names: &Names,
    choice: Choice,
    progress: &Progress,
    sink: &mut dyn TimelineSink,
) -> anyhow::Result<Vec<TableReport>> {
    let reports = match mode(args) {
        Mode::Original => {
            let options = Options { choice, ..options(args) };
            table::run(inputs, names, Mode::Original, progress, &mut Original::new(options), sink)
        }
        Mode::Correct => {
            let mut machine = Chosen::new(choice, Correct::new(settings(args)));
            table::run(inputs, names, Mode::Correct, progress, &mut machine, sink)
        }
    };
    Ok(reports?)
}

/// The machine for captures, of which the view has chosen packets.
fn machine(args: &Args) -> Box<dyn Machine> {
    match mode(args) {
        Mode::Original => Box::new(Original::new(options(args))),
        Mode::Correct => Box::new(Correct::new(settings(args))),
    }
}

fn options(args: &Args) -> Options {
    Options {
        read_rows: args.read_rows.unwrap_or(READ_ROWS),
        timeout_seconds: args.flow_timeout,
        choice: Choice::default(),
    }
}

fn settings(args: &Args) -> correct::Settings {
    let usual = correct::Settings::default();
    correct::Settings {
        timeout: i64::from(args.flow_timeout) * 1_000_000,
        reorder: args.reorder.map_or(usual.reorder, |ms| i64::from(ms) * 1000),
        ..usual
    }
}

fn layout(args: &Args) -> Layout {
    match args.layout {
        LayoutArg::V2 => Layout::Chunked,
        LayoutArg::V3AndV5 => Layout::Resolutions,
        LayoutArg::All => Layout::All,
    }
}

/// Which packets of captures were asked for.
fn selection(args: &Args, choice: &Choice) -> Result<Selection, Usage> {
    if args.ip_map.is_some() {
        return Err(Usage("--ip-map is about tables of packets; captures have addresses".into()));
    }
    let address = |name: &String| {
        name.trim()
            .parse::<IpAddr>()
            .map_err(|_| Usage(format!("--hosts: {name} is no address, and captures have no other names")))
    };
    let hosts = choice.hosts.iter().flatten().map(address).collect::<Result<_, _>>()?;
    let ns = |us: i64| Timestamp(us.saturating_mul(1000));
    let clip = (choice.from.is_some() || choice.to.is_some()).then(|| Window {
        start: choice.from.map_or(Timestamp::MIN, ns),
        end: choice.to.map_or(Timestamp::MAX, |to| ns(to.saturating_add(1))),
    });
    Ok(Selection { clip, hosts, most: choice.most })
}

fn mode(args: &Args) -> Mode {
    match args.mode {
        ModeArg::Correct => Mode::Correct,
        ModeArg::Original => Mode::Original,
    }
}

/// Which packets were asked for.
fn choice(args: &Args, range: Option<Window>) -> Result<Choice, Usage> {
    // The first microsecond that does not begin before a time.
    let us = |time: Timestamp| time.ns().div_euclid(1000) + i64::from(time.ns().rem_euclid(1000) > 0);
    let range = range.unwrap_or(Window { start: Timestamp::MIN, end: Timestamp::MAX });
    let from = (range.start != Timestamp::MIN).then(|| us(range.start));
    let to = (range.end != Timestamp::MAX).then(|| us(range.end) - 1);
    let (from, to) = (args.filter_time_start.or(from), args.filter_time_end.or(to));
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Usage("no time lies between the two that were given; exchange them".into()));
    }
    if args.hosts.as_deref().is_some_and(|hosts| hosts.split(',').all(|host| host.trim().is_empty())) {
        return Err(Usage("--hosts names none; leave it out for all".into()));
    }
    Ok(Choice {
        hosts: args.hosts.as_deref().map(|hosts| hosts.split(',').map(str::to_owned).collect()),
        from,
        to,
        most: args.max_records.filter(|&most| most > 0),
    })
}

/// The time of making.
fn created(args: &Args) -> anyhow::Result<Timestamp> {
    if let Some(created) = args.created {
        return Ok(created);
    }
    if let Some(epoch) = std::env::var_os("SOURCE_DATE_EPOCH") {
        let seconds = epoch.to_str().and_then(|text| text.parse().ok());
        let wrong =
            || Usage("SOURCE_DATE_EPOCH is no number of seconds since 1970; correct it, or give --created".into());
        return Ok(Timestamp::from_seconds(seconds.ok_or_else(wrong)?));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970; give --created")?;
    Ok(Timestamp(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)))
}

/// The addresses of numbers. Of two with one number the original takes the last.
fn names(path: &Path, mode: Mode) -> anyhow::Result<Names> {
    let file = File::open(path).with_context(|| format!("{}: cannot open", path.display()))?;
    let names: Names = serde_json::from_reader(BufReader::new(file)).with_context(|| {
        format!("{}: cannot be read as a map of addresses, such as {{\"10.0.0.1\": 1}}", path.display())
    })?;
    if let (Mode::Correct, Some((number, [a, b]))) = (mode, names.clash()) {
        bail!("{}: {a} and {b} both have the number {number}; give each its own", path.display());
    }
    Ok(names)
}

/// Refuses places without a name of their own: the folder that is made goes into its place by that, and around it others lie.
fn has_a_name(output: &Path) -> Result<(), Usage> {
    match output.file_name() {
        Some(_) => Ok(()),
        None => {
            let (output, inside) = (output.display(), output.join("timeline"));
            let text = format!(
                "--output {output} would replace a folder that is in use; name one in it, such as {}",
                inside.display()
            );
            Err(Usage(text))
        }
    }
}

/// Refuses places inside a timeline, which would be none any more.
fn is_in_no_timeline(output: &Path) -> Result<(), Usage> {
    match timeline_around(output) {
        Some(around) => {
            let (output, around) = (output.display(), around.display());
            Err(Usage(format!("--output {output} lies in {around}, which is a timeline; name a place outside it")))
        }
        None => Ok(()),
    }
}

/// Refuses inputs inside the folder that is written: it would be replaced with them.
fn stay_outside(output: &Path, inputs: &[Input]) -> anyhow::Result<()> {
    let Ok(folder) = output.canonicalize() else { return Ok(()) };
    for input in inputs {
        if input.path().canonicalize().is_ok_and(|path| path.starts_with(&folder)) {
            let input = input.path().display();
            return Err(Usage(format!("{input} lies in --output, which would be replaced; name another folder")).into());
        }
    }
    Ok(())
}

/// What inputs are, by their content.
fn kind(inputs: &[Input]) -> anyhow::Result<Kind> {
    let mut known: Option<(Kind, &Input)> = None;
    let mut is_damaged = false;
    for input in inputs {
        let kind = match beginning(input) {
            Ok(Some(beginning)) if beginning.is_damaged && !has_a_line(&beginning.bytes) => {
                is_damaged = true;
                continue;
            }
            Ok(Some(beginning)) if beginning.bytes.is_empty() => continue,
            Ok(Some(beginning)) if is_text(&beginning.bytes) => Kind::Tables,
            // A pipe that has a name is a capture, as to other commands.
            Ok(_) => Kind::Captures,
            // Whoever reads it will say so.
            Err(_) => continue,
        };
        match known {
            Some((other, first)) if other != kind => {
                let (a, b) = (first.path().display(), input.path().display());
                let text = format!("{a} and {b} are not both captures or both tables; make a timeline of each");
                return Err(Usage(text).into());
            }
            _ => known = Some((kind, input)),
        }
    }
    // Who reads captures tells what is damaged, and where.
    let other = if is_damaged { Kind::Captures } else { Kind::Tables };
    Ok(known.map_or(other, |(kind, _)| kind))
}

/// The way out for a table that is left out because it lies in a folder; nothing for what is no table of packets.
fn of_a_table(path: &Path) -> Option<String> {
    let beginning = beginning(&Input::File(path.to_owned())).ok()??;
    let header = beginning.bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut cells = header.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let has_ends = cells.any(|cell| cell == b"src_ip") && cells.any(|cell| cell == b"dst_ip");
    (has_ends && is_text(&beginning.bytes))
        .then(|| "of a folder captures alone are read, so name tables one by one".into())
}

/// Whether there is a whole line of text, which tells what this is: less may be the begin of anything.
fn has_a_line(bytes: &[u8]) -> bool {
    bytes.iter().position(|&byte| byte == b'\n').is_some_and(|end| end > 0) && is_text(bytes)
}

/// Whether a file that begins so is text: its first line has no control characters. No capture begins like that.
fn is_text(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let is_whole = match std::str::from_utf8(line) {
        Ok(_) => true,
        // The last character is cut with the bytes.
        Err(error) => error.error_len().is_none() && line.len() == bytes.len(),
    };
    is_whole
        && !bytes.starts_with(b"\n\r\r\n")
        && line.iter().all(|&byte| !byte.is_ascii_control() || b"\t\r".contains(&byte))
}

/// Refuses options that would change nothing beside the others.
fn refuse_idle_options(args: &Args) -> Result<(), Usage> {
    let idle = [
        (
            args.read_rows.is_some() && args.mode == ModeArg::Correct,
            "--read-rows is of --mode original alone, whose flows end where a read chunk does; leave it out, or add --mode original",
        ),
        (
            args.reorder.is_some() && args.mode == ModeArg::Original,
            "--reorder is of --mode correct alone, for the original puts nothing in order; leave out one of the two",
        ),
        (
            args.flows_per_file.is_some() && args.layout == LayoutArg::V3AndV5,
            "--flows-per-file is about version 2.0, which --layout 3.3+5.0 does not write; leave it out, or take --layout all",
        ),
    ];
    idle.into_iter().find(|(is_idle, _)| *is_idle).map_or(Ok(()), |(_, why)| Err(Usage(why.into())))
}

/// Refuses options about frames, of which a table has none.
fn refuse_options_of_captures(reading: &Reading) -> Result<(), Usage> {
    let filter = &reading.filter;
    let given = [
        ("--dedup", reading.dedup > 0),
        ("--filter", !filter.text().is_empty()),
        ("--no-pure-acks", filter.no_pure_acks),
        ("--no-rst", filter.no_rst),
        ("--tunnels", reading.tunnels() == Tunnels::Outer),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => {
            Err(Usage(format!("{option} is about captures; of a table choose packets with --hosts, --from and --to")))
        }
        None => Ok(()),
    }
}

/// Says what was wrong with tables.
fn tell(reports: &[TableReport]) -> Exit {
    let mut exit = Exit::Ok;
    let mut complain = |line: String| {
        exit = Exit::Partial;
        say(&line);
    };
    for TableReport { path, packets, remarks, damage, failed, .. } in reports {
        let path = path.display();
        if let Some(error) = failed {
            complain(error.to_string());
        }
        for remark in remarks {
            complain(format!("{path}: {remark}"));
        }
        if let Some(damage) = damage {
            complain(format!("{path}: {damage}; {} before it kept", things(*packets, "packet")));
        }
    }
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_told_from_a_capture_by_its_first_line() {
        for text in ["timestamp,src_ip\n1,\0", "\u{feff}a,b", "a\tb\r\n", "x"] {
            assert!(is_text(text.as_bytes()), "{text:?}");
        }
        assert!(is_text(&"é".as_bytes()[..1]), "a character may be cut where the bytes are");
        let captures: [&[u8]; 5] =
            [b"\xd4\xc3\xb2\xa1\x02\0", b"\xa1\xb2\x3c\x4d\0\x02", b"\n\r\r\n\x1c\0", b"a\0b", b"\xe9\nb"];
        for bytes in captures {
            assert!(!is_text(bytes), "{bytes:?}");
        }
    }
}
