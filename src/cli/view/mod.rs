//! `view`: a timeline as a page, from a small server on this machine or in one file.

mod folder;
mod origin;
mod page;
mod wire;

use std::io::{BufWriter, ErrorKind, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use pcap_compactor::engine::Progress;
use pcap_compactor::sink::atomic::AtomicFile;
use pcap_compactor::sink::timeline::PARTS;
use pcap_compactor::views::timeline::view::Selection;
use pcap_compactor::views::timeline::{Correct, Scene, TimelineJob};
use pcap_compactor::{Engine, Input};

use super::http::Server;
use super::progress::Bar;
use super::summary::{findings, is_capture};
use super::text::{self, count, things};
use super::units::{named, weight};
use super::{Exit, Shared, Usage, interrupt, say};
use folder::Found;
use origin::Origin;
use page::Page;

/// Arguments of `view`.
#[derive(clap::Args)]
#[command(after_help = "\
The page shows hosts in rows, packets as marks over time, and flows with what each packet does in its connection. The server \
listens on 127.0.0.1 alone, which is this machine, all its users included; Ctrl-C ends it. The saved page needs no server and \
no network.

Examples:
  pcap-compactor view capture.pcap
  pcap-compactor view timeline/
  pcap-compactor view timeline/ --open
  pcap-compactor view timeline/ --save page.html")]
pub(crate) struct Args {
    /// A capture, a folder of captures, or a timeline folder: of version 2.0, or of 3.3 for packets and 5.0 for flows, as `timeline` writes them.
    #[arg(value_name = "DIR|CAPTURE")]
    input: PathBuf,
    /// The port to listen on; 0: one that is free.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "save")]
    port: u16,
    /// Also open the page in a browser.
    #[arg(long, conflicts_with = "save")]
    open: bool,
    /// Write the page into one file, with all it shows, and do not serve it; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Packets that a saved page may hold; with more, it shows them in bins, and flows without their packets. Of --save alone: the server
    /// shows all. Default: 200000.
    #[arg(long, value_name = "N")]
    most_packets: Option<usize>,
}

/// Packets that a saved page may hold, unless told otherwise.
const MOST_PACKETS: usize = 200_000;

/// Runs `view`.
pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    if args.most_packets.is_some() && args.save.is_none() {
        let text = "--most-packets is about a saved page, for the server shows all; leave it out, or add --save FILE";
        return Err(Usage(text.into()).into());
    }
    let most_packets = args.most_packets.unwrap_or(MOST_PACKETS);
    let progress = Arc::new(Progress::default());
    interrupt::watch(&progress)?;
    // Before what may take long, because the port may be taken.
    let server = if args.save.is_none() { Some(listen(args.port)?) } else { None };
    let mut scene = Scene::default();
    let (origin, exit) = fill(args, &mut scene, &progress, shared)?;
    let packets = scene.levels().first().map_or(0, |level| level.rows.len());
    let said = format!(
        "{}, {}, {}",
        things(packets as u64, "packet"),
        things(scene.lines().len() as u64, "flow"),
        things(scene.hosts().len() as u64, "host")
    );
    let title = args.input.file_name().map_or_else(|| args.input.to_string_lossy(), |name| name.to_string_lossy());
    let page = Page::new(scene, title.into_owned(), origin, most_packets);
    match (server, &args.save) {
        (Some(server), _) => serve(server, page, args.open, shared, &said).map(|()| exit),
        (None, Some(path)) if is_stdout(path) => {
            let mut out = BufWriter::with_capacity(1 << 16, super::stdout::lock()?);
            match page.offline(&mut out).and_then(|()| out.flush()) {
                // Whoever reads it has seen enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(exit),
                written => written.context("standard output: cannot write")?,
            }
            if !shared.quiet {
                say(&format!("{said}{}", beyond(packets, most_packets)));
            }
            Ok(exit)
        }
        (None, Some(path)) => {
            let mut file = AtomicFile::create(path)?;
            let written = page.offline(&mut file);
            written.with_context(|| format!("{}: cannot write", path.display()))?;
            file.commit()?;
            if !shared.quiet {
                say(&format!("{}: {said}{}", path.display(), beyond(packets, most_packets)));
            }
            Ok(exit)
        }
        (None, None) => Ok(exit),
    }
}

/// Whether a page goes to standard output.
fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What a page lacks that may hold `most` packets.
fn beyond(packets: usize, most: usize) -> String {
    let most_said = count(most as u64);
    match packets > most {
        true => format!("; more than {most_said}, so they are in bins, and flows without them (--most-packets)"),
        false => String::new(),
    }
}

/// Refuses a page that would take the place of a part of a timeline folder.
fn outside(page: Option<&Path>, folder: &Path) -> Result<(), Usage> {
    let place = page.and_then(|page| Some((page, page.canonicalize().ok()?)));
    let Some((page, place)) = place else { return Ok(()) };
    let inside = folder.canonicalize().ok().and_then(|folder| Some(place.strip_prefix(folder).ok()?.to_owned()));
    let part = inside.as_deref().and_then(|inside| inside.components().next());
    match part.is_some_and(|part| PARTS.iter().any(|name| part.as_os_str() == *name)) {
        true => {
            Err(Usage(format!("--save would take the place of an input: {}; give it another name", page.display())))
        }
        false => Ok(()),
    }
}

/// Fills a scene with what the input has: a timeline folder, or captures.
fn fill(args: &Args, scene: &mut Scene, progress: &Arc<Progress>, shared: &Shared) -> anyhow::Result<(Origin, Exit)> {
    let (input, save) = (args.input.as_path(), args.save.as_deref().filter(|save| !is_stdout(save)));
    let foreign = match folder::find(input)? {
        Found::Timeline(parts) => {
            parts.iter().try_for_each(|part| outside(save, &part.folder))?;
            let mut origin = folder::read(&parts, scene)?;
            let exit = if origin.warnings.is_empty() { Exit::Ok } else { Exit::Partial };
            // Nothing is wrong with it.
            origin.warnings.extend(folder::lacks(&parts));
            let origin = origin.tidy();
            origin.warnings.iter().for_each(|line| say(line));
            return Ok((origin, exit));
        }
        Found::Foreign(error) => Some(error),
        Found::Nothing => None,
    };
    let nothing =
        || anyhow!("{}: no timeline folder, which has a {}, and no captures", input.display(), folder::MANIFEST);
    captures(input, save, scene, progress, shared)?.ok_or_else(|| foreign.unwrap_or_else(nothing))
}

/// Makes a timeline of captures; nothing where there are none.
fn captures(
    input: &Path,
    save: Option<&Path>,
    scene: &mut Scene,
    progress: &Arc<Progress>,
    shared: &Shared,
) -> anyhow::Result<Option<(Origin, Exit)>> {
    let found = named(&[input.to_owned()], false);
    found.spare(save.map(|save| ("--save", save.to_owned())).into_iter().collect(), &[])?;
    let mut exit = Exit::Ok;
    let (mut warnings, mut left_out) = (Vec::new(), Vec::new());
    for error in &found.failed {
        exit = Exit::Partial;
        warnings.push(error.to_string());
    }
    for skipped in &found.skipped {
        exit = exit.max(weight(skipped));
        let lines = if weight(skipped) == Exit::Ok { &mut left_out } else { &mut warnings };
        lines.push(format!("{skipped}; it is left out"));
    }
    let total = found.bytes();
    let inputs: Vec<_> = found.units.into_iter().flat_map(|unit| unit.inputs).map(Input::from).collect();
    if inputs.is_empty() {
        say_few(&found.failed.iter().map(ToString::to_string).collect::<Vec<_>>());
        return Ok(None);
    }
    say_few(&warnings);
    if !shared.quiet {
        say_few(&left_out);
    }
    let bar = Bar::show(progress, move || total, shared.quiet);
    let engine = Engine::builder().progress(Arc::clone(progress));
    let job = TimelineJob::new(Selection::default()).engine(engine);
    let (report, outcome) = job.run(inputs, &mut Correct::default(), scene)?;
    drop(bar);
    let (lines, damage) = findings(&report, &outcome, shared.quiet);
    say_few(&lines);
    let exit = exit.max(damage);
    report.overlap().iter().filter(|_| !shared.quiet).for_each(|overlap| say(&overlap.to_string()));
    if !report.files.iter().any(|file| is_capture(&file.capture)) {
        bail!("{}: no timeline folder, and no capture that can be read", input.display());
    }
    warnings.extend(findings(&report, &outcome, false).0);
    Ok(Some((Origin::of_captures(warnings, &left_out, &report, &outcome), exit)))
}

/// Says the first of lines that are alike, and how many more there are: a folder that is none of captures has very many, and the page has
/// room for more of them.
fn say_few(lines: &[String]) {
    const FEW: usize = 5;
    lines.iter().take(FEW).for_each(|line| say(line));
    if lines.len() > FEW {
        say(&format!("and {} more like these", count((lines.len() - FEW) as u64)));
    }
}

fn listen(port: u16) -> anyhow::Result<Server> {
    Server::bind((Ipv4Addr::LOCALHOST, port).into()).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow::anyhow!("127.0.0.1:{port}: another program has this port; without --port a free one is taken")
        }
        _ => anyhow::anyhow!("127.0.0.1:{port}: cannot listen: {error}"),
    })
}

/// Serves until a signal comes, which is how a server ends.
fn serve(server: Server, page: Page, open: bool, shared: &Shared, said: &str) -> anyhow::Result<()> {
    let address = format!("http://127.0.0.1:{}/", server.address().port());
    thread::Builder::new().name("server".into()).spawn(move || server.run(page))?;
    if !shared.quiet {
        say(&format!("{said}; Ctrl-C ends"));
    }
    text::print(&format!("{address}\n"))?;
    if open {
        // Some browsers hold up whoever opened them.
        thread::Builder::new().name("browser".into()).spawn(move || {
            if !opened(&address) {
                say("no browser could be opened; open the address above in one");
            }
        })?;
    }
    while !interrupt::came() {
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Asks the system for a browser.
fn opened(address: &str) -> bool {
    let programs: &[&[&str]] = match () {
        () if cfg!(target_os = "macos") => &[&["open"]],
        () if cfg!(windows) => &[&["explorer"]],
        () => &[&["xdg-open"], &["gio", "open"]],
    };
    programs.iter().any(|program| {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}
