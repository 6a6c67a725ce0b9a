//! Looks at captures, records and the disk from time to time, and what is said of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::health::Health;
use super::journal::Journal;
use super::keeper::Keeper;
use super::settings::Settings;
use crate::error::{ErrorKind, Result};

/// What looks.
pub(super) struct Looks {
    settings: Arc<Settings>,
    keeper: Keeper,
    health: Arc<Health>,
    /// Sensors of which it is known what stood there at the start.
    settled: BTreeSet<String>,
    shortage: Shortage,
}

impl Looks {
    /// The first one, at the room alone.
    ///
    /// # Errors
    /// One of the folders cannot be opened.
    pub(super) fn begin(settings: Arc<Settings>, health: Arc<Health>) -> Result<Looks> {
        let mut keeper = Keeper::new(Arc::clone(&settings));
        health.disk_free(keeper.free()?);
        Ok(Looks { settings, keeper, health, settled: BTreeSet::new(), shortage: Shortage::default() })
    }

    /// Takes other settings.
    pub(super) fn take(&mut self, settings: Arc<Settings>) {
        self.keeper = Keeper::new(Arc::clone(&settings));
        self.settings = settings;
    }

    /// Lets the keeper look. `is_told` says that lines have been told what stood there at the start.
    ///
    /// # Errors
    /// The journal is damaged. Everything else is said, and tried again.
    pub(super) fn look(&mut self, journal: &Journal, sensors: &[String], is_told: bool) -> Result<()> {
        let waits = self.waits(sensors, is_told);
        self.keeper.wait_for(waits);
        match self.keeper.look(journal, SystemTime::now()) {
            Ok(looked) => {
                self.health.disk_free(looked.free);
                self.health.removed_unread(looked.unread);
                self.health.removed_needed(looked.needed);
                self.health.kept_for_hours(usize::try_from(looked.kept_for_hours).unwrap_or(usize::MAX));
                match self.shortage.look(looked.free, self.settings.least_free, Instant::now()) {
                    Some(Said::Short(message)) => {
                        tracing::warn!("{message}");
                        self.health.trouble(message);
                    }
                    Some(Said::Over(message)) => tracing::info!("{message}"),
                    None => {}
                }
                for (path, bytes) in &looked.removed {
                    tracing::info!(path = %path.display(), bytes, "removed");
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::DamagedJournal { .. }) => return Err(error),
            Err(error) => {
                tracing::error!("{error}");
                self.health.trouble(error.to_string());
            }
        }
        Ok(())
    }

    /// Sensors of which files wait that may need captures of hours that are out. A line that does not work, for a full disk say, holds up no removal.
    fn waits(&mut self, sensors: &[String], is_told: bool) -> BTreeSet<String> {
        let (health, queue) = (&self.health, self.health.queues());
        if is_told {
            let is_settled = |sensor: &&String| queue.is_heard(sensor) || health.has_failed(sensor);
            self.settled.extend(sensors.iter().filter(is_settled).cloned());
        }
        let waits =
            |sensor: &&String| !self.settled.contains(*sensor) || queue.has_late(sensor) && !health.has_failed(sensor);
        sensors.iter().filter(waits).cloned().collect()
    }
}

/// How long until it is said again that too little is free; then twice as long each time.
const AGAIN: Duration = Duration::from_secs(60);

/// The longest time between two.
const LONGEST_AGAIN: Duration = Duration::from_secs(3600);

/// Whether too little is free, and when that is said again, and how long behind that the next time.
#[derive(Debug, Default)]
struct Shortage(Option<(Instant, Duration)>);

/// What there is to say.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Short(String),
    Over(String),
}

impl Shortage {
    fn look(&mut self, free: u64, least: u64, now: Instant) -> Option<Said> {
        match &mut self.0 {
            // Not on and off with every file that comes and goes.
            Some(_) if free >= least.saturating_add(least / 10) => {
                self.0 = None;
                Some(Said::Over(format!("{free} bytes are free again")))
            }
            Some((at, _)) if free >= least || now < *at => None,
            None if free >= least => None,
            short => {
                let wait = short.map_or(AGAIN, |(_, wait)| wait);
                *short = Some((now + wait, (wait * 2).min(LONGEST_AGAIN)));
                Some(Said::Short(format!("{free} bytes are free, less than {least}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_too_little_is_free_is_said_at_first_then_less_and_less_and_when_it_is_over() {
        let (began, mut shortage) = (Instant::now(), Shortage::default());
        let mut said = Vec::new();
        // Four hours of looks.
        for second in (0..4 * 3600).step_by(30) {
            let now = began + Duration::from_secs(second);
            // Around the bound it is neither over nor anew.
            let free = if second > 0 && second % 60 == 0 { 1010 } else { 999 };
            said.extend(shortage.look(free, 1000, now).map(|_| second));
        }
        assert_eq!(said, [0, 90, 210, 450, 930, 1890, 3810, 7410, 11_010]);
        let end = began + Duration::from_secs(4 * 3600);
        assert_eq!(shortage.look(1100, 1000, end), Some(Said::Over("1100 bytes are free again".into())));
        assert_eq!(shortage.look(1000, 1000, end), None);
        assert_eq!(shortage.look(0, 1000, end), Some(Said::Short("0 bytes are free, less than 1000".into())));
    }
}
