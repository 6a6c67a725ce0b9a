//! The time zone of times that are civil text.

use std::str::FromStr;

use jiff::tz::{self, TimeZone};

use super::switches::nearest;
use crate::error::{Error, Result};

/// A time zone of the IANA database, which comes along; UTC unless said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Zone {
        Zone(TimeZone::UTC)
    }
}

impl Zone {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// A time since 1970, in microseconds, as its clocks show it: by so much later or earlier than in UTC. In an hour that
    /// they show twice, two times are one.
    pub(super) fn local(&self, micros: i64) -> i64 {
        // Every time of 64 bits of nanoseconds is one.
        let Ok(time) = jiff::Timestamp::from_microsecond(micros) else { return micros };
        micros + i64::from(self.0.to_offset(time).seconds()) * 1_000_000
    }
}

impl FromStr for Zone {
    type Err = Error;
    fn from_str(name: &str) -> Result<Zone> {
        TimeZone::get(name).map(Zone).map_err(|_| {
            let names: Vec<_> = tz::db().available().map(|name| name.to_string()).collect();
            // Who names a city alone means the zone of it.
            let city = |zone: &&str| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name));
            let mut names = names.iter().map(String::as_str);
            let near = names.clone().find(city).or_else(|| nearest(name, &mut names));
            let near = near.map_or_else(
                || "names are such as `Europe/Berlin`".to_owned(),
                |near| format!("the nearest is `{near}`"),
            );
            Error::config(format!("there is no time zone `{name}`; {near}, as the IANA database has them"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn clocks_are_ahead_or_behind_by_the_season() {
        let hours = |name: &str, time: &str| {
            let micros = time.parse::<jiff::Timestamp>().unwrap().as_microsecond();
            (name.parse::<Zone>().unwrap().local(micros) - micros) as f64 / HOUR as f64
        };
        assert_eq!(hours("Europe/Berlin", "2023-01-15T12:00:00Z"), 1.0);
        assert_eq!(hours("Europe/Berlin", "2023-07-15T12:00:00Z"), 2.0);
        assert_eq!(hours("America/Moncton", "2017-07-05T12:00:00Z"), -3.0);
        assert_eq!(hours("Asia/Kathmandu", "2023-07-15T12:00:00Z"), 5.75);
        assert_eq!(hours("UTC", "2023-07-15T12:00:00Z"), 0.0);
        // The hour from 2 to 3 comes twice.
        assert_eq!(hours("Europe/Berlin", "2023-10-29T00:59:59Z"), 2.0);
        assert_eq!(hours("Europe/Berlin", "2023-10-29T01:00:00Z"), 1.0);
    }

    #[test]
    fn any_time_of_a_capture_is_one() {
        for name in ["Pacific/Apia", "Pacific/Kiritimati", "UTC"] {
            let zone: Zone = name.parse().unwrap();
            for micros in [i64::MIN / 1000, 0, i64::MAX / 1000] {
                assert!((zone.local(micros) - micros).abs() < 24 * HOUR, "{name} {micros}");
            }
        }
    }

    #[test]
    fn a_wrong_name_is_told_the_nearest() {
        for (wrong, near) in [
            ("Europe/Belrin", "is `Europe/Berlin`"),
            ("Moncton", "is `America/Moncton`"),
            ("", "are such as"),
            ("1 Oak St", "are such as"),
        ] {
            let said = wrong.parse::<Zone>().unwrap_err().to_string();
            assert!(said.contains(near) && said.contains("no time zone"), "{wrong}: {said}");
        }
        assert_eq!("europe/berlin".parse::<Zone>().unwrap().name(), "Europe/Berlin");
        assert_eq!(Zone::default().name(), "UTC");
    }
}
