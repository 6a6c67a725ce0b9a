//! What all shards of a groups view share: windows, services, enrichers.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::record::Window;
use crate::app::Enricher;
use crate::config::{Config, Measure};
use crate::time::{NS_PER_SECOND, Timestamp};

/// Which time ranges become windows.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    length: i64,
    clip: Option<Window>,
    single: bool,
}

impl Windows {
    /// Tumbling windows of `seconds` from the epoch, clipped to `clip`.
    #[must_use]
    pub fn tumbling(seconds: u64, clip: Option<Window>) -> Windows {
        let length = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(NS_PER_SECOND).max(1);
        Windows { length, clip, single: false }
    }

    /// Exactly one window.
    #[must_use]
    pub fn single(window: Window) -> Windows {
        Windows { length: i64::MAX, clip: Some(window), single: true }
    }

    /// For a time outside the range that was asked for, the first time behind it that is inside.
    #[must_use]
    pub fn next(&self, time: Timestamp) -> Option<Timestamp> {
        self.clip.map(|clip| clip.start).filter(|&start| time < start)
    }

    /// The window of a time; nothing outside the range that was asked for.
    #[must_use]
    pub fn of(&self, time: Timestamp) -> Option<Window> {
        if let Some(clip) = self.clip {
            if time < clip.start || time >= clip.end {
                return None;
            }
            if self.single {
                return Some(clip);
            }
        }
        // Wider than the times themselves, so that the first window of all ends where the second begins.
        let start = i128::from(time.0) - i128::from(time.0.rem_euclid(self.length));
        let end = Timestamp(i64::try_from(start + i128::from(self.length)).unwrap_or(i64::MAX));
        let start = Timestamp(i64::try_from(start).unwrap_or(i64::MIN));
        Some(match self.clip {
            Some(clip) => Window { start: start.max(clip.start), end: end.min(clip.end) },
            None => Window { start, end },
        })
    }
}

/// Services and enrichers by port.
pub(super) struct Services {
    names: Vec<Arc<str>>,
    by_port: Box<[u16; 65536]>,
    /// One bit a port: some enricher reads what is sent to it.
    read: Box<[u64; 1024]>,
    enrichers: Vec<Arc<dyn Enricher>>,
    /// Enricher by service, plus one.
    by_service: Vec<usize>,
}

impl Services {
    pub(super) fn new(config: &Config, enrichers: Vec<Arc<dyn Enricher>>) -> Services {
        let mut names: Vec<Arc<str>> = vec![config.unknown_service_label.as_str().into()];
        let mut by_port = vec![0u16; 65536];
        for (port, name) in &config.service_port_map {
            let known = names.iter().position(|known| **known == **name);
            let index = known.unwrap_or_else(|| {
                names.push(name.as_str().into());
                names.len() - 1
            });
            by_port[usize::from(port.0)] = index as u16;
        }
        let by_service: Vec<usize> = names
            .iter()
            .map(|name| enrichers.iter().position(|e| e.services().contains(&&**name)).map_or(0, |at| at + 1))
            .collect();
        let mut read = vec![0u64; 1024];
        for (port, &service) in by_port.iter().enumerate() {
            if service > 0 && by_service[usize::from(service)] > 0 {
                read[port / 64] |= 1 << (port % 64);
            }
        }
        let by_port = by_port.into_boxed_slice().try_into().expect("one entry a port");
        let read = read.into_boxed_slice().try_into().expect("one bit a port");
        Services { names, by_port, read, enrichers, by_service }
    }

    /// Whether the port is in the service map.
    #[inline]
    pub(super) fn knows(&self, port: u16) -> bool {
        self.by_port[usize::from(port)] != 0
    }

    /// The service of a port.
    #[inline]
    pub(super) fn name(&self, port: u16) -> &Arc<str> {
        &self.names[usize::from(self.by_port[usize::from(port)])]
    }

    /// Whether payload sent to this port is wanted.
    #[inline(always)]
    pub(super) fn reads(&self, port: u16) -> bool {
        self.read[usize::from(port >> 6)] >> (port & 63) & 1 != 0
    }

    /// The enricher of what is sent to a port.
    pub(super) fn enricher(&self, port: u16) -> Option<&dyn Enricher> {
        let at = self.by_service[usize::from(self.by_port[usize::from(port)])];
        Some(&**self.enrichers.get(at.checked_sub(1)?)?)
    }
}

/// Everything a shard needs to know.
pub(super) struct Plan {
    pub(super) windows: Windows,
    /// Windows that an earlier run has finished.
    pub(super) done: BTreeSet<Window>,
    /// Longest gap inside a slice, ns.
    pub(super) idle: i64,
    pub(super) measure: Measure,
    pub(super) services: Services,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_half_open_and_clipped() {
        let s = Timestamp::from_seconds;
        let clip = Window { start: s(3000), end: s(8000) };
        let windows = Windows::tumbling(3600, Some(clip));
        assert_eq!(windows.of(s(2999)), None);
        assert_eq!(windows.of(s(3000)), Some(Window { start: s(3000), end: s(3600) }));
        assert_eq!(windows.of(s(3600)), Some(Window { start: s(3600), end: s(7200) }));
        assert_eq!(windows.of(s(7999)), Some(Window { start: s(7200), end: s(8000) }));
        assert_eq!(windows.of(s(8000)), None);
        assert_eq!(Windows::single(clip).of(s(3600)), Some(clip));
    }
}
