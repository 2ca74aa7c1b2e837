//! Parts of instants as labels: months, hours, seasons, by which elements are grouped.

use array::error::{Error, ErrorCode, ErrorKind, Result};

use crate::civil::CivilTime;
use crate::instants::Instants;

/// A part of a date or a time of day that comes again and again.
///
/// Source: xarray, "Datetime components", <https://docs.xarray.dev/en/stable/user-guide/time-series.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimePart {
    /// Twelve, from January on.
    Month,
    /// Four: December to February, March to May, June to August, September to November.
    Season,
    /// Up to 366, from the first of January on.
    DayOfYear,
    /// Up to 31, from the first of the month on.
    Day,
    /// 24, from midnight on.
    Hour,
}

impl TimePart {
    /// How many labels there are at the most.
    pub fn label_count(self) -> u64 {
        match self {
            Self::Month => 12,
            Self::Season => 4,
            Self::DayOfYear => 366,
            Self::Day => 31,
            Self::Hour => 24,
        }
    }
}

impl Instants {
    /// The label of every instant, counted from zero: 0 is January, the first day, midnight.
    ///
    /// # Errors
    /// An instant that is missing.
    pub fn labels(&self, part: TimePart) -> Result<Vec<u64>> {
        let calendar = self.calendar();
        let label = |(place, instant): (usize, &Option<i128>)| {
            let Some(instant) = *instant else {
                let message = format!("the time at index {place} is missing");
                let error =
                    Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message);
                return Err(error.mend("drop elements without a time before they are grouped"));
            };
            if part == TimePart::DayOfYear {
                return Ok(u64::from(calendar.day_of_year(instant)?) - 1);
            }
            let CivilTime { month, day, hour, .. } = calendar.civil(instant)?;
            Ok(u64::from(match part {
                TimePart::Season => month % 12 / 3,
                TimePart::Day => day - 1,
                TimePart::Hour => hour,
                _ => month - 1,
            }))
        };
        self.nanoseconds().iter().enumerate().map(label).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Calendar;

    #[track_caller]
    fn check(calendar: Calendar, part: TimePart, times: &[&str], want: &[u64]) {
        let instants = times.iter().map(|time| calendar.parse_instant(time).map(Some));
        let instants: Vec<Option<i128>> = instants.collect::<Result<_>>().expect("dates");
        let instants = Instants::new(calendar, instants).expect("near");
        let labels = instants.labels(part).expect("none is missing");
        assert_eq!(labels, want);
        assert!(labels.iter().all(|&label| label < part.label_count()));
    }

    #[test]
    fn labels_count_from_zero() {
        use TimePart::{Day, DayOfYear, Hour, Month, Season};
        let year = ["2001-01-01", "2001-02-28T23:59", "2001-03-01", "2001-08-31", "2001-12-31T12"];
        check(Calendar::Standard, Month, &year, &[0, 1, 2, 7, 11]);
        check(Calendar::Standard, Season, &year, &[0, 0, 1, 2, 0]);
        check(Calendar::Standard, Day, &year, &[0, 27, 0, 30, 30]);
        check(Calendar::Standard, Hour, &year, &[0, 23, 0, 0, 12]);
        check(Calendar::Standard, DayOfYear, &year, &[0, 58, 59, 242, 364]);
        check(Calendar::Days360, DayOfYear, &["2001-02-30", "2001-12-30"], &[59, 359]);
    }

    #[test]
    fn a_time_that_is_missing_has_no_label() {
        let instants = Instants::new(Calendar::Standard, vec![Some(0), None]).expect("near");
        let error = instants.labels(TimePart::Month).expect_err("the second is missing");
        assert!(error.message().contains("index 1"), "{error}");
    }
}
