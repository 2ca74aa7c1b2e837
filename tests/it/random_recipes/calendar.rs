//! Calendars, counted day by day.

/// Which days there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Days {
    /// In the years at hand, all of these are the same: every fourth year has a leap day.
    Standard,
    Proleptic,
    Julian,
    NoLeap,
    AllLeap,
    Of360,
}

impl Days {
    pub(crate) const ALL: [Self; 6] =
        [Self::Standard, Self::Proleptic, Self::Julian, Self::NoLeap, Self::AllLeap, Self::Of360];

    /// What files call it.
    pub(crate) fn names(self) -> &'static [Option<&'static str>] {
        match self {
            Self::Standard => &[None, Some("standard"), Some("gregorian")],
            Self::Proleptic => &[Some("proleptic_gregorian")],
            Self::Julian => &[Some("julian")],
            Self::NoLeap => &[Some("noleap"), Some("365_day")],
            Self::AllLeap => &[Some("all_leap"), Some("366_day")],
            Self::Of360 => &[Some("360_day")],
        }
    }

    pub(crate) fn another(self) -> Self {
        if self == Self::Of360 { Self::NoLeap } else { Self::Of360 }
    }

    fn in_month(self, year: i64, month: i64) -> i64 {
        let is_leap = match self {
            Self::Of360 => return 30,
            Self::NoLeap => false,
            Self::AllLeap => true,
            // Between 1970 and 2030 no century but 2000 begins, which is a leap year in all.
            Self::Standard | Self::Proleptic | Self::Julian => year % 4 == 0,
        };
        match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn in_year(self, year: i64) -> i64 {
        (1..=12).map(|month| self.in_month(year, month)).sum()
    }

    /// Days from the first of 2000.
    pub(crate) fn since_2000(self, year: i64, month: i64, day: i64) -> i64 {
        let years: i64 = if year >= 2000 {
            (2000..year).map(|it| self.in_year(it)).sum()
        } else {
            -(year..2000).map(|it| self.in_year(it)).sum::<i64>()
        };
        years + (1..month).map(|it| self.in_month(year, it)).sum::<i64>() + day - 1
    }

    /// The date and time so many minutes from the first of 2000.
    pub(crate) fn text(self, minutes: i64) -> String {
        let (mut day, minute) = (minutes.div_euclid(1440), minutes.rem_euclid(1440));
        let (mut year, mut month) = (2000, 1);
        while day < 0 {
            year -= 1;
            day += self.in_year(year);
        }
        while day >= self.in_month(year, month) {
            day -= self.in_month(year, month);
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
        let (hour, minute) = (minute / 60, minute % 60);
        format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:00", day + 1)
    }
}
