//! Calendar dates of the proleptic Gregorian calendar, for the folder names of a sensor's hours.
//!
//! The arithmetic is Howard Hinnant's (`chrono-Compatible Low-Level Date Algorithms`): years start in March, so that
//! the leap day is the last one.

use crate::time::{NS_PER_SECOND, Timestamp};

const HOUR_NS: i64 = 3600 * NS_PER_SECOND;

/// Days from 1970-01-01 to a date; `None` if there is no such date, or the year is outside of 0 to 9999.
#[must_use]
pub fn days_from_civil(year: i64, month: u32, day: u32) -> Option<i64> {
    if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let (month, day) = (i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The date (year, month, day) that lies so many days from 1970-01-01.
///
/// Exact for every day that a [`Timestamp`] can hold.
#[must_use]
pub const fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month as u32, day as u32)
}

/// The folder of the UTC hour that holds `time`, relative to its sensor: `2023/10/19/13`.
#[must_use]
pub fn hour_folder(time: Timestamp) -> String {
    let hours = time.ns().div_euclid(HOUR_NS);
    let (year, month, day) = civil_from_days(hours.div_euclid(24));
    format!("{year:04}/{month:02}/{day:02}/{:02}", hours.rem_euclid(24))
}

/// Days of a month, which must be 1 to 12.
pub(super) const fn days_in(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_counts_one_more_and_comes_back() {
        let mut expected = days_from_civil(1800, 1, 1).unwrap();
        for year in 1800..2200 {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    assert_eq!(days_from_civil(year, month, day), Some(expected));
                    assert_eq!(civil_from_days(expected), (year, month, day));
                    expected += 1;
                }
            }
        }
        assert_eq!(days_from_civil(1970, 1, 1), Some(0));
        assert_eq!(days_from_civil(2023, 10, 19), Some(19_649));
    }

    #[test]
    fn dates_that_are_none_are_refused() {
        for (year, month, day) in
            [(2023, 2, 29), (1900, 2, 29), (2023, 13, 1), (2023, 0, 1), (2023, 4, 31), (2023, 4, 0)]
        {
            assert_eq!(days_from_civil(year, month, day), None, "{year}-{month}-{day}");
        }
        assert!(days_from_civil(2000, 2, 29).is_some());
        assert!(days_from_civil(10_000, 1, 1).is_none());
    }

    #[test]
    fn hours_have_folders_also_before_the_epoch() {
        assert_eq!(hour_folder(Timestamp::from_seconds(1_697_720_399)), "2023/10/19/12");
        assert_eq!(hour_folder(Timestamp::from_seconds(1_697_720_400)), "2023/10/19/13");
        assert_eq!(hour_folder(Timestamp(-1)), "1969/12/31/23");
        assert_eq!(hour_folder(Timestamp::MIN), "1677/09/21/00");
        assert_eq!(hour_folder(Timestamp::MAX), "2262/04/11/23");
    }
}
