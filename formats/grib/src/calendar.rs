//! Dates of messages as seconds since 1970, and the units in which they count forecasts.

use array::error::Result;

use crate::fault::{corrupt, unsupported};

const SECONDS_PER_DAY: i64 = 86_400;

/// A moment as the parts that messages write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The year.
    pub(crate) year: i64,
    /// The month, from 1.
    pub(crate) month: i64,
    /// The day, from 1.
    pub(crate) day: i64,
    /// Seconds since the beginning of the day.
    pub(crate) second: i64,
}

impl Moment {
    /// Checks the parts.
    ///
    /// # Errors
    /// A month or a day that there is not, or an hour beyond the day.
    pub(crate) fn new(date: [i64; 3], time: [i64; 3]) -> Result<Self> {
        let [year, month, day] = date;
        let [hour, minute, second] = time;
        let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
        let is_time = (0..=24).contains(&hour) && (0..60).contains(&minute) && second < 62;
        if is_date && is_time {
            return Ok(Self { year, month, day, second: hour * 3600 + minute * 60 + second });
        }
        let text = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
        Err(corrupt(format!("there is no date {text}")))
    }

    /// Seconds since 1970-01-01 in the proleptic Gregorian calendar.
    pub(crate) fn seconds(self) -> i64 {
        days_since_1970(self.year, self.month, self.day) * SECONDS_PER_DAY + self.second
    }

    /// The same day of another month, or its last day.
    fn after_months(self, months: i64) -> Self {
        let month = self.year * 12 + self.month - 1 + months;
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        let length = days_since_1970(next.0, next.1, 1) - days_since_1970(year, month, 1);
        Self { year, month, day: self.day.min(length), second: self.second }
    }
}

/// Days from 1970-01-01 to a date.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`,
/// <https://howardhinnant.github.io/date_algorithms.html>.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// A unit of time of a forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    /// So many seconds.
    Seconds(i64),
    /// So many months, which differ in length.
    Months(i64),
}

impl TimeUnit {
    /// The unit of code table 4.4 of edition 2, and of table 4 of edition 1 where they agree.
    ///
    /// # Errors
    /// A code that is not in the table.
    pub(crate) fn of_edition_2(code: u8) -> Result<Self> {
        Ok(match code {
            0 => Self::Seconds(60),
            1 => Self::Seconds(3600),
            2 => Self::Seconds(SECONDS_PER_DAY),
            3 => Self::Months(1),
            4 => Self::Months(12),
            5 => Self::Months(120),
            6 => Self::Months(360),
            7 => Self::Months(1200),
            10 => Self::Seconds(3 * 3600),
            11 => Self::Seconds(6 * 3600),
            12 => Self::Seconds(12 * 3600),
            13 => Self::Seconds(1),
            other => return Err(unsupported(format!("the unit of time {other}"))),
        })
    }

    /// The unit of table 4 of edition 1.
    ///
    /// # Errors
    /// A code that is not in the table.
    pub(crate) fn of_edition_1(code: u8) -> Result<Self> {
        match code {
            13 => Ok(Self::Seconds(900)),
            14 => Ok(Self::Seconds(1800)),
            254 => Ok(Self::Seconds(1)),
            other => Self::of_edition_2(other),
        }
    }

    /// Seconds of so many units, counted from a moment.
    pub(crate) fn seconds(self, count: i64, from: Moment) -> i64 {
        match self {
            Self::Seconds(unit) => count.saturating_mul(unit),
            Self::Months(unit) => {
                // Far more than any calendar needs, and far from the end of the integers.
                let months = count.saturating_mul(unit).clamp(-1_000_000, 1_000_000);
                from.after_months(months).seconds() - from.seconds()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(date: [i64; 3]) -> Moment {
        Moment::new(date, [6, 30, 0]).expect("a date")
    }

    #[test]
    fn dates_are_seconds_since_1970() {
        assert_eq!(moment([1970, 1, 1]).seconds(), 23_400);
        assert_eq!(moment([2000, 2, 29]).seconds(), 951_805_800);
        assert_eq!(moment([1900, 3, 1]).seconds(), -2_203_867_800);
    }

    #[test]
    fn months_have_their_own_lengths() {
        let day = 86_400;
        assert_eq!(TimeUnit::Months(1).seconds(1, moment([2024, 1, 31])), 29 * day);
        assert_eq!(TimeUnit::Months(12).seconds(1, moment([2023, 3, 1])), 366 * day);
        assert_eq!(TimeUnit::Months(1).seconds(-2, moment([2024, 1, 1])), -61 * day);
        assert_eq!(TimeUnit::Seconds(3600).seconds(6, moment([2024, 1, 1])), 21_600);
    }

    #[test]
    fn dates_that_are_none_are_refused() {
        assert!(Moment::new([2024, 13, 1], [0; 3]).is_err());
        assert!(Moment::new([2024, 1, 0], [0; 3]).is_err());
        assert!(Moment::new([2024, 1, 1], [25, 0, 0]).is_err());
    }
}
