//! A flow gone through once more, for whoever has its packets and wants to know whether they make what is said of it.

use std::ops::ControlFlow;

use super::connection::Connection;
use super::correct::{Course, ends, segment};
use super::original::{judge, walk};
use super::packets::End;
use super::verdict::Verdict;
use super::{Flow, Mode, Packet, Phase};

/// The states of one flow, with what they said of its packets: a byte each.
#[derive(Debug)]
pub(crate) struct Again {
    machine: Machine,
    verdicts: Vec<Verdict>,
    /// The handshake was broken off, behind which the original lists no packets.
    is_broken_off: bool,
}

#[derive(Debug)]
enum Machine {
    Correct { connection: Box<Connection>, course: Course, ends: [End; 2] },
    Original(Box<Flow>),
}

impl Again {
    /// A flow without packets.
    pub(crate) fn new(mode: Mode) -> Again {
        let machine = match mode {
            Mode::Correct => {
                Machine::Correct { connection: Box::default(), course: Course::default(), ends: [(0, 0); 2] }
            }
            Mode::Original => Machine::Original(Box::default()),
        };
        Again { machine, verdicts: Vec::new(), is_broken_off: false }
    }

    /// Takes its next packet, unless the machine would list it no more.
    pub(crate) fn take(&mut self, packet: &Packet) {
        if self.is_broken_off {
            return;
        }
        let verdict = match &mut self.machine {
            Machine::Correct { connection, course, ends: of_flow } => {
                let (ends, from) = ends(packet);
                *of_flow = ends;
                let verdict = connection.take(from, &segment(packet));
                course.add(from, verdict);
                verdict
            }
            Machine::Original(flow) => {
                let place = u32::try_from(self.verdicts.len()).unwrap_or(u32::MAX);
                match walk(flow, place, packet) {
                    ControlFlow::Continue(verdict) => verdict,
                    ControlFlow::Break(verdict) => {
                        self.is_broken_off = true;
                        verdict
                    }
                }
            }
        };
        self.verdicts.push(verdict);
    }

    /// How many packets it took.
    pub(crate) fn taken(&self) -> usize {
        self.verdicts.len()
    }

    /// What it came to, without what its packets alone tell, and the steps that they take: the place of each, and its name.
    pub(crate) fn end(self) -> (Flow, impl Fn(Phase) -> Vec<(usize, &'static str)>) {
        let flow = match self.machine {
            Machine::Correct { connection, course, ends } => course.end(&connection, &ends),
            Machine::Original(mut flow) => {
                judge(&mut flow);
                *flow
            }
        };
        let of = move |phase| {
            let verdicts = self.verdicts.iter().enumerate().filter(move |(_, verdict)| verdict.phase() == Some(phase));
            verdicts.map(|(place, verdict)| (place, verdict.name())).collect()
        };
        (flow, of)
    }
}
