//! Instants as dates and times of day, and back: what names of files are made of.

use array::error::Result;

use crate::calendar::{Calendar, Date};
use crate::instants::{NANOSECONDS_PER_DAY, is_near, too_far};
use crate::reference;

/// A date and a time of day in some calendar, by that calendar's own count of years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CivilTime {
    /// The year; negative before the first.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999 999 999.
    pub nanosecond: u32,
}

impl Calendar {
    /// The instant that a date such as `2000-01-31T12:00` names.
    ///
    /// Units are nanoseconds since 1970-01-01T00:00 of this calendar. Parts that are left out are
    /// the first: `2000` is its first day. A time zone is taken off.
    ///
    /// # Errors
    /// A text that is no date, a day that this calendar does not have, a year that is too far away.
    pub fn parse_instant(self, text: &str) -> Result<i128> {
        reference::parse(text, self)
    }

    /// The date and time of day of an instant, which is nanoseconds since 1970 of this calendar.
    ///
    /// # Errors
    /// An instant more than 292 271 years from 1970.
    pub fn civil(self, instant: i128) -> Result<CivilTime> {
        if !is_near(instant) {
            return Err(too_far(&self.instant_text(instant)));
        }
        let Date { year, month, day } = self.date(instant.div_euclid(NANOSECONDS_PER_DAY) as i64);
        let rest = instant.rem_euclid(NANOSECONDS_PER_DAY) as u64;
        let seconds = rest / 1_000_000_000;
        Ok(CivilTime {
            year,
            month,
            day,
            hour: (seconds / 3_600) as u8,
            minute: (seconds / 60 % 60) as u8,
            second: (seconds % 60) as u8,
            nanosecond: (rest % 1_000_000_000) as u32,
        })
    }

    /// The instant so many months after another, at the same day of the month and time of day.
    ///
    /// # Errors
    /// A month that does not have this day, or that is too far away.
    pub fn months_after(self, instant: i128, months: i64) -> Result<i128> {
        let start = self.civil(instant)?;
        // Without a year 0 the year before 1 is -1: months are counted in astronomical years.
        let has_no_zero = matches!(self, Self::Standard | Self::Julian);
        let astronomical = start.year + i64::from(has_no_zero && start.year < 0);
        let count = i128::from(astronomical) * 12 + i128::from(start.month - 1);
        let count = count + i128::from(months);
        let year = i64::try_from(count.div_euclid(12)).map_err(|_| {
            too_far(&format!("{months} months after {}", self.instant_text(instant)))
        })?;
        let year = year - i64::from(has_no_zero && year <= 0);
        let month = count.rem_euclid(12) as u8 + 1;
        let day = i128::from(self.day_number(Date { year, month, day: start.day })?);
        let instant = day * NANOSECONDS_PER_DAY + instant.rem_euclid(NANOSECONDS_PER_DAY);
        if is_near(instant) { Ok(instant) } else { Err(too_far(&self.instant_text(instant))) }
    }

    /// The day of the year of an instant, from 1.
    ///
    /// # Errors
    /// An instant more than 292 271 years from 1970.
    pub fn day_of_year(self, instant: i128) -> Result<u16> {
        let CivilTime { year, .. } = self.civil(instant)?;
        let first = self.day_number(Date { year, month: 1, day: 1 })?;
        let day = instant.div_euclid(NANOSECONDS_PER_DAY) as i64;
        Ok((day - first + 1) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(calendar: Calendar, start: &str, months: i64, want: &str) {
        let start = calendar.parse_instant(start).expect("a date");
        let after = calendar.months_after(start, months).expect("has this day");
        assert_eq!(calendar.instant_text(after), want);
    }

    #[test]
    fn months_are_counted_over_years_and_before_the_first() {
        check(Calendar::Standard, "2019-11-15T06:30", 3, "2020-02-15T06:30:00");
        check(Calendar::Standard, "2020-01-01", -13, "2018-12-01T00:00:00");
        check(Calendar::Days360, "2001-01-30", 1, "2001-02-30T00:00:00");
        check(Calendar::Standard, "-1-12-01", 1, "0001-01-01T00:00:00");
        check(Calendar::ProlepticGregorian, "0001-01-01", -1, "0000-12-01T00:00:00");
    }

    #[test]
    fn a_month_without_the_day_is_refused() {
        let start = Calendar::NoLeap.parse_instant("2020-01-29").expect("a date");
        assert!(Calendar::NoLeap.months_after(start, 1).is_err());
        assert!(Calendar::NoLeap.months_after(start, i64::MAX).is_err());
    }

    #[test]
    fn an_instant_has_a_date_and_a_day_of_the_year() {
        let instant = Calendar::Standard.parse_instant("2020-12-31T23:59:58.5").expect("a date");
        let want = CivilTime {
            year: 2020,
            month: 12,
            day: 31,
            hour: 23,
            minute: 59,
            second: 58,
            nanosecond: 500_000_000,
        };
        assert_eq!(Calendar::Standard.civil(instant).expect("near"), want);
        assert_eq!(Calendar::Standard.day_of_year(instant).expect("near"), 366);
        let before = Calendar::Days360.parse_instant("1969-12-30").expect("a date");
        assert_eq!(Calendar::Days360.day_of_year(before).expect("near"), 360);
    }
}
