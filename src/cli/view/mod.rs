//! `view`: a timeline as a page, from a small server on this machine or in one file.

mod folder;
mod http;
mod page;
mod wire;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::bail;
use pcap_compactor::engine::Progress;
use pcap_compactor::sink::atomic::write_whole;
use pcap_compactor::sink::timeline::PARTS;
use pcap_compactor::views::timeline::view::Selection;
use pcap_compactor::views::timeline::{Correct, Scene, TimelineJob};
use pcap_compactor::{Engine, Input};

use super::progress::Bar;
use super::summary::{complaints, is_capture};
use super::text::{self, count, things};
use super::units::named;
use super::{Exit, Shared, Usage, interrupt, say};
use http::Server;
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
    /// A capture, a folder of captures, or a timeline folder of version 2.0.
    #[arg(value_name = "DIR|CAPTURE")]
    input: PathBuf,
    /// The port to listen on; 0: one that is free.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "save")]
    port: u16,
    /// Also open the page in a browser.
    #[arg(long, conflicts_with = "save")]
    open: bool,
    /// Write the page into one file, with all it shows, and do not serve it.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Packets that a saved page may hold; with more, it shows them in bins, and flows without their packets.
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    most_packets: usize,
}

/// Runs `view`.
pub(crate) fn run(args: &Args, shared: &Shared) -> anyhow::Result<Exit> {
    let progress = Arc::new(Progress::default());
    interrupt::watch(&progress)?;
    // Before what may take long, because the port may be taken.
    let server = if args.save.is_none() { Some(listen(args.port)?) } else { None };
    let mut scene = Scene::default();
    let exit = fill(args, &mut scene, &progress, shared)?;
    let packets = scene.levels().first().map_or(0, |level| level.rows.len());
    let said = format!(
        "{}, {}, {}",
        things(packets as u64, "packet"),
        things(scene.lines().len() as u64, "flow"),
        things(scene.hosts().len() as u64, "host")
    );
    let title = args.input.file_name().map_or_else(|| args.input.to_string_lossy(), |name| name.to_string_lossy());
    let page = Page::new(scene, title.into_owned(), args.most_packets);
    match (server, &args.save) {
        (Some(server), _) => serve(server, page, args.open, shared, &said),
        (None, Some(path)) => {
            write_whole(path, page.offline().as_bytes())?;
            if !shared.quiet {
                let out = if packets > args.most_packets {
                    let most = count(args.most_packets as u64);
                    format!("; more than {most}, so they are in bins, and flows without them (--most-packets)")
                } else {
                    String::new()
                };
                say(&format!("{}: {said}{out}", path.display()));
            }
            Ok(exit)
        }
        (None, None) => Ok(exit),
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
fn fill(args: &Args, scene: &mut Scene, progress: &Arc<Progress>, shared: &Shared) -> anyhow::Result<Exit> {
    let (input, save) = (args.input.as_path(), args.save.as_deref());
    // Where versions lie side by side, that with flows whole is read.
    let beside = input.join("v2.0");
    let folder = [input, &beside].into_iter().find(|folder| folder.join(folder::MANIFEST).is_file());
    match folder {
        Some(folder) => {
            outside(save, folder)?;
            folder::read(folder, scene).map(|()| Exit::Ok)
        }
        None => captures(input, save, scene, progress, shared),
    }
}

/// Makes a timeline of captures.
fn captures(
    input: &Path,
    save: Option<&Path>,
    scene: &mut Scene,
    progress: &Arc<Progress>,
    shared: &Shared,
) -> anyhow::Result<Exit> {
    let found = named(&[input.to_owned()], false);
    found.spare(save.map(|save| ("--save", save.to_owned())).into_iter().collect(), &[])?;
    let mut exit = Exit::Ok;
    for error in &found.failed {
        exit = Exit::Partial;
        say(&error.to_string());
    }
    let total = found.bytes();
    let inputs: Vec<_> = found.units.into_iter().flat_map(|unit| unit.inputs).map(Input::from).collect();
    if inputs.is_empty() {
        bail!("{}: no timeline folder, which has a {}, and no captures", input.display(), folder::MANIFEST);
    }
    let bar = Bar::show(progress, move || total, shared.quiet);
    let engine = Engine::builder().progress(Arc::clone(progress));
    let job = TimelineJob::new(Selection::default()).engine(engine);
    let (report, outcome) = job.run(inputs, &mut Correct::default(), scene)?;
    drop(bar);
    let exit = exit.max(complaints(&report, &outcome, shared.quiet));
    if !report.files.iter().any(|file| is_capture(&file.capture)) {
        bail!("{}: no timeline folder, and no capture that can be read", input.display());
    }
    Ok(exit)
}

fn listen(port: u16) -> anyhow::Result<Server> {
    Server::bind(port).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow::anyhow!("127.0.0.1:{port}: another program has this port; without --port a free one is taken")
        }
        _ => anyhow::anyhow!("127.0.0.1:{port}: cannot listen: {error}"),
    })
}

/// Serves until a signal comes.
fn serve(server: Server, page: Page, open: bool, shared: &Shared, said: &str) -> anyhow::Result<Exit> {
    let address = format!("http://127.0.0.1:{}/", server.port());
    thread::Builder::new()
        .name("server".into())
        .spawn(move || server.run(move |path, query| page.answer(path, query)))?;
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
    Err(pcap_compactor::Error::from(pcap_compactor::ErrorKind::Stopped).into())
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
