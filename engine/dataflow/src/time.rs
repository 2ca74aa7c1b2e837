//! Points in event time.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in event time: milliseconds since 1970-01-01T00:00:00Z, as Beam counts them.
///
/// Arithmetic stays within [`Timestamp::MIN`] and [`Timestamp::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The limits are those of microseconds in 64 bits, rounded towards zero.
const LIMIT_MS: i64 = i64::MAX / 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Timestamp {
    /// Before everything: where elements stand that were given no time.
    pub const MIN: Self = Self(-LIMIT_MS);
    /// After everything.
    pub const MAX: Self = Self(LIMIT_MS);
    /// The last point of the global window: a day before the end of time.
    pub const END_OF_GLOBAL_WINDOW: Self = Self(LIMIT_MS - DAY_MS);

    /// The point of so many milliseconds, no earlier than `MIN` and no later than `MAX`.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < Self::MIN.0 {
            return Self::MIN;
        }
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }
}

/// Whole milliseconds of a duration, at most those between the limits of time.
pub(crate) fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).map_or(2 * LIMIT_MS, |millis| millis.min(2 * LIMIT_MS))
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis_of(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(millis_of(duration)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.write_str("the beginning of time"),
            Self::MAX => f.write_str("the end of time"),
            Self(millis) => {
                let (seconds, millis) = (millis.div_euclid(1000), millis.rem_euclid(1000));
                write!(f, "{seconds}.{millis:03} s")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stays_within_the_limits() {
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(Timestamp::MAX - day, Timestamp::END_OF_GLOBAL_WINDOW);
        assert_eq!(Timestamp::MAX + day, Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::MAX, Timestamp::MIN);
        assert_eq!(Timestamp::MIN.millis(), -9_223_372_036_854_775);
        assert_eq!((Timestamp::from_millis(-1) + Duration::from_millis(3)).millis(), 2);
    }
}
