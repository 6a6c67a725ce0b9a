//! Folders of one version, or of several side by side: `DIR/v2.0`, `DIR/v3.3`, `DIR/v5.0`, which appear together.

use std::path::{Path, PathBuf};

use super::manifest::{is_plain, plain, shown};
use super::{About, Chunked, FlowList, Multires, are_timelines};
use crate::error::{ErrorKind, Result};
use crate::sink::folder::AtomicFolder;
use crate::views::timeline::{Apart, Flow, Host, Hosts, Mode, Packet, TimelineSink};

/// Which versions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// 2.0, into the folder itself.
    #[default]
    Chunked,
    /// 3.3 for packets and 5.0 for flows, each in a folder of its own.
    Resolutions,
    /// All three.
    All,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Packets.
    pub packets: u64,
    /// Those of TCP.
    pub tcp: u64,
    /// Hosts that packets named.
    pub hosts: usize,
    /// Those whose names have commas, quotes or ends of lines, which viewers of 2.0 do not read; of [`Mode::Original`] alone.
    pub odd_names: u64,
    /// Flows.
    pub flows: u64,
    /// Those of which nobody knows who began them; viewers of 2.0 hide them.
    pub without_initiator: u64,
    /// Packets of flows. `packets = in_flows + apart`.
    pub in_flows: u64,
    /// Those of them that came too late to be put in order; see [`Flow::behind`].
    pub behind: u64,
    /// Packets in no flow, by [`Apart`].
    pub apart: [u64; Apart::COUNT],
}

/// See the module.
pub struct Folders {
    /// Around several versions.
    around: Option<AtomicFolder>,
    sinks: Vec<Box<dyn TimelineSink>>,
    /// All hosts, when it is finished.
    hosts: Hosts,
    summary: Summary,
    mode: Mode,
    /// Whether names that are no cells are refused; the original writes them into 2.0.
    refuses: bool,
    /// Hosts that packets named, by number.
    seen: Vec<bool>,
    /// The first name that is no cell, where they are not refused.
    odd: Option<String>,
    swept: Vec<PathBuf>,
}

/// Names of folders by version.
pub const VERSIONS: [&str; 3] = ["v2.0", "v3.3", "v5.0"];

impl Folders {
    /// Starts the folder at `path`, in place of a timeline if `replaces`. Version 2.0 has up to `flows_per_file` (at least 1) flows in a
    /// file.
    ///
    /// # Errors
    /// As [`AtomicFolder::create`].
    pub fn create(
        path: &Path,
        replaces: bool,
        layout: Layout,
        flows_per_file: usize,
        about: &About,
    ) -> Result<Folders> {
        let (mut around, mut sinks): (_, Vec<Box<dyn TimelineSink>>) = (None, Vec::new());
        let swept;
        if layout == Layout::Chunked {
            let chunked = Chunked::create(path, replaces, flows_per_file, about.clone())?;
            swept = chunked.swept().to_vec();
            sinks.push(Box::new(chunked));
        } else {
            let folder = AtomicFolder::create(path, replaces, are_timelines)?;
            swept = folder.swept().to_vec();
            let [v2, v3, v5] = VERSIONS;
            if layout == Layout::All {
                sinks.push(Box::new(Chunked::inside(&folder, v2, flows_per_file, about.clone())?));
            }
            sinks.push(Box::new(Multires::inside(&folder, v3, about.clone())?));
            sinks.push(Box::new(FlowList::inside(&folder, v5, about.clone())?));
            around = Some(folder);
        }
        let refuses = layout != Layout::Chunked || about.mode == Mode::Correct;
        Ok(Folders {
            around,
            sinks,
            hosts: Hosts::default(),
            summary: Summary::default(),
            mode: about.mode,
            refuses,
            seen: Vec::new(),
            odd: None,
            swept,
        })
    }

    /// What killed processes had left of the folder, and is removed now.
    #[must_use]
    pub fn swept(&self) -> &[PathBuf] {
        &self.swept
    }

    /// The first of [`Summary::odd_names`], in quotes and not longer than is read at a glance.
    #[must_use]
    pub fn odd_name(&self) -> Option<&str> {
        self.odd.as_deref()
    }

    /// Looks at a host that a packet names for the first time.
    fn meet(&mut self, host: Host, hosts: &Hosts) -> Result<()> {
        let place = host as usize;
        if self.seen.get(place) == Some(&true) {
            return Ok(());
        }
        let name = hosts.name(host);
        if self.refuses {
            // Before it is forgotten which packet that was.
            plain(name)?;
        } else if !is_plain(name) {
            self.summary.odd_names += 1;
            self.odd.get_or_insert_with(|| shown(name));
        }
        self.seen.resize(self.seen.len().max(place + 1), false);
        self.seen[place] = true;
        self.summary.hosts += usize::from(!name.is_empty());
        Ok(())
    }

    /// Makes the folder visible, whole, once all packets and flows have been handed over.
    ///
    /// # Errors
    /// It cannot be written, or there are packets of which neither flows nor [`Summary::apart`] say what became; then nothing is visible.
    pub fn commit(mut self) -> Result<()> {
        let Summary { packets, in_flows, apart, .. } = self.summary;
        if packets != in_flows + apart.iter().sum::<u64>() {
            let what = format!("of {packets} packets of the timeline {in_flows} are in flows and {apart:?} in none");
            return Err(ErrorKind::Invariant(what).into());
        }
        let hosts = &self.hosts;
        self.sinks.iter_mut().try_for_each(|sink| sink.finish(hosts))?;
        self.around.map_or(Ok(()), AtomicFolder::commit)
    }

    /// What was handed over; complete when all was.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }
}

impl TimelineSink for Folders {
    fn packet(&mut self, packet: &Packet, hosts: &Hosts) -> Result<()> {
        self.meet(packet.src, hosts).and_then(|()| self.meet(packet.dst, hosts))?;
        self.summary.packets += 1;
        self.summary.tcp += u64::from(packet.protocol == Some(6));
        if let Some(why) = self.mode.apart(packet, hosts) {
            self.summary.apart[why as usize] += 1;
        }
        self.sinks.iter_mut().try_for_each(|sink| sink.packet(packet, hosts))
    }

    fn flow(&mut self, flow: &Flow, hosts: &Hosts) -> Result<()> {
        self.summary.flows += 1;
        self.summary.in_flows += flow.total_packets;
        self.summary.behind += flow.behind;
        self.summary.without_initiator += u64::from(flow.sides.is_none());
        self.sinks.iter_mut().try_for_each(|sink| sink.flow(flow, hosts))
    }

    /// Nothing is visible yet; [`Folders::commit`] makes it so.
    fn finish(&mut self, hosts: &Hosts) -> Result<()> {
        self.hosts = hosts.clone();
        Ok(())
    }
}
