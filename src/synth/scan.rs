//! Scanners: which targets they probe, in which order, and what answers.

use super::Spec;
use super::frame::Host;
use super::talk::{Answer, SECOND};
use super::truth::ScanKind;
use super::world::{self, last};

/// Port that a scanner sends all its probes from, as fast scanners do.
pub(super) const PROBE_PORT: u16 = 61_000;
/// Port of the login that follows.
pub(super) const LOGIN_PORT: u16 = 61_001;
/// Packets of an FTP login.
pub(super) const LOGIN_PACKETS: u64 = 21;

const FTP: u16 = 21;
const SMB: u16 = 445;

/// One scanner on its way.
pub(super) struct Scan {
    pub(super) src: Host,
    pub(super) kind: ScanKind,
    targets: u64,
    /// Coprime to `targets`: steps of this size visit all of them.
    stride: u64,
    done: u64,
    /// The port of a horizontal scan.
    port: u16,
    /// Whether it comes back to what answers; empty segments are no login.
    returns: bool,
    /// Nanoseconds from one probe to the next.
    pub(super) gap: u64,
    /// Nanoseconds from the start of the traffic.
    pub(super) start: u64,
}

/// One probe.
pub(super) struct Probe {
    pub(super) target: Host,
    pub(super) port: u16,
    pub(super) answer: Answer,
    /// The scanner comes back to it.
    pub(super) login: bool,
}

impl Scan {
    /// The scanner of this number. It starts and ends within one hour.
    pub(super) fn new(spec: &Spec, number: u32) -> Scan {
        let targets = (spec.packets / 200).clamp(200, 20_000);
        let kind = if number.is_multiple_of(2) { ScanKind::Horizontal } else { ScanKind::Vertical };
        let hour = u64::from(number) * u64::from(spec.hours) / u64::from(spec.scanners.max(1));
        Scan {
            src: world::scanner(number),
            kind,
            targets,
            stride: if targets.is_multiple_of(7919) { 7907 } else { 7919 },
            done: 0,
            returns: !spec.min64,
            port: if number % 4 == 2 { SMB } else { FTP },
            gap: (600 * SECOND / targets).min(SECOND / 100),
            start: (hour * 3600 + 600 + u64::from(number) * 37 % 1800) * SECOND,
        }
    }

    pub(super) fn targets(&self) -> u64 {
        self.targets
    }

    /// Packets of all its conversations.
    pub(super) fn packets(self) -> u64 {
        let of = |probe: Probe| {
            let answered = match probe.answer {
                Answer::Nothing => 1,
                Answer::Reset => 2,
                Answer::Open => 3,
            };
            answered + if probe.login { LOGIN_PACKETS } else { 0 }
        };
        self.map(of).sum()
    }

    fn horizontal(&self, number: u64) -> Probe {
        let target = world::neighbour(number);
        let service = |last| target.ip == world::server(last, false).ip;
        let answer = match self.port {
            FTP if service(last::FTP) => Answer::Open,
            SMB if service(last::FILES) => Answer::Open,
            _ if number % 11 == 5 => Answer::Reset,
            _ => Answer::Nothing,
        };
        Probe { target, port: self.port, answer, login: self.returns && self.port == FTP && answer == Answer::Open }
    }

    fn vertical(&self, number: u64) -> Probe {
        let port = number as u16 + 1;
        let answer = if matches!(port, 80 | 443) { Answer::Open } else { Answer::Reset };
        Probe { target: world::server(last::WWW, false), port, answer, login: false }
    }
}

impl Iterator for Scan {
    type Item = Probe;

    fn next(&mut self) -> Option<Probe> {
        if self.done == self.targets {
            return None;
        }
        let number = self.done * self.stride % self.targets;
        self.done += 1;
        Some(match self.kind {
            ScanKind::Horizontal => self.horizontal(number),
            ScanKind::Vertical => self.vertical(number),
        })
    }
}
