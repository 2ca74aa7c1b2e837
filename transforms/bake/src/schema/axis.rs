//! The concat coordinate of one file, in few numbers.

use cf::{Calendar, Instants};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// One value of a coordinate, so that values of different files can be compared.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub(crate) enum AxisPoint {
    /// Nanoseconds since 1970 in the calendar of the axis.
    Instant(i128),
    /// Anything else that is counted.
    Number(f64),
}

/// Where the concat coordinate of a file begins and ends, and how it goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AxisSummary {
    /// The calendar, if it counts time.
    pub(crate) calendar: Option<Calendar>,
    /// The first value.
    pub(crate) first: AxisPoint,
    /// The last value.
    pub(crate) last: AxisPoint,
    /// The difference between neighbours, where it is always the same.
    pub(crate) step: Option<AxisPoint>,
    /// The first place at which the values do not go on in the direction of the first two.
    pub(crate) turns_at: Option<u64>,
    /// The first place without a value.
    pub(crate) missing_at: Option<u64>,
    /// The digest of all values, by which files are told apart.
    pub(crate) digest: u128,
    /// All values, where it was asked for them.
    pub(crate) values: Vec<AxisPoint>,
}

impl AxisPoint {
    /// The value as a user would write it.
    pub(crate) fn text(self, calendar: Option<Calendar>) -> String {
        match (self, calendar) {
            (Self::Instant(instant), Some(calendar)) => calendar.instant_text(instant),
            (Self::Instant(instant), None) => instant.to_string(),
            (Self::Number(number), _) => number.to_string(),
        }
    }

    fn minus(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Instant(a), Self::Instant(b)) => Some(Self::Instant(a - b)),
            (Self::Number(a), Self::Number(b)) => Some(Self::Number(a - b)),
            _ => None,
        }
    }

    fn hash_into(self, hasher: &mut Xxh3) {
        match self {
            Self::Instant(instant) => hasher.update(&instant.to_le_bytes()),
            // Both zeros are one value.
            Self::Number(number) => hasher.update(&(number + 0.0).to_le_bytes()),
        }
    }

    fn is_positive(self) -> bool {
        self > self.zero()
    }

    fn is_zero(self) -> bool {
        self == self.zero()
    }

    fn zero(self) -> Self {
        match self {
            Self::Instant(_) => Self::Instant(0),
            Self::Number(_) => Self::Number(0.0),
        }
    }

    /// Whether a step of this length and one of `other` are the same, up to rounding.
    pub(crate) fn is_about(self, other: Self) -> bool {
        match (self, other) {
            (Self::Instant(a), Self::Instant(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
            _ => false,
        }
    }

    /// Whether a step is shorter than another, whatever their direction.
    pub(crate) fn is_shorter_than(self, other: Self) -> bool {
        match (self, other) {
            (Self::Instant(a), Self::Instant(b)) => a.unsigned_abs() < b.unsigned_abs(),
            (Self::Number(a), Self::Number(b)) => a.abs() < b.abs(),
            _ => false,
        }
    }

    /// Whether a step is so many times `other`, up to rounding.
    pub(crate) fn is_multiple_of(self, other: Self) -> bool {
        match (self, other) {
            (Self::Instant(a), Self::Instant(b)) => b != 0 && a % b == 0,
            (Self::Number(a), Self::Number(b)) => {
                Self::Number(a).is_about(Self::Number((a / b).round() * b))
            }
            _ => false,
        }
    }

    /// The value so many steps later; `None` where times end.
    pub(crate) fn after(self, step: Self, count: u64) -> Option<Self> {
        match (self, step) {
            (Self::Instant(a), Self::Instant(step)) => {
                step.checked_mul(count.into())?.checked_add(a).map(Self::Instant)
            }
            (Self::Number(a), Self::Number(step)) => Some(Self::Number(a + step * count as f64)),
            _ => None,
        }
    }

    /// How many steps a distance is, to the nearest one.
    pub(crate) fn steps_in(self, distance: Self) -> Option<u64> {
        match (self, distance) {
            (Self::Instant(step), Self::Instant(it)) if step != 0 => u64::try_from(it / step).ok(),
            (Self::Number(step), Self::Number(it)) if step != 0.0 => {
                Some((it / step).round() as u64)
            }
            _ => None,
        }
    }

    /// From this value to a later one.
    pub(crate) fn distance_to(self, later: Self) -> Option<Self> {
        later.minus(self)
    }
}

impl AxisSummary {
    /// The summary of times; `None` if there is none.
    pub(crate) fn of_instants(instants: &Instants, keeps_values: bool) -> Option<Self> {
        let points = instants.nanoseconds().iter().map(|it| it.map(AxisPoint::Instant));
        Self::of(points, Some(instants.calendar()), keeps_values)
    }

    /// The summary of numbers; `None` if there is none.
    pub(crate) fn of_numbers(
        numbers: impl Iterator<Item = f64>,
        keeps_values: bool,
    ) -> Option<Self> {
        let points = numbers.map(|it| (!it.is_nan()).then_some(AxisPoint::Number(it)));
        Self::of(points, None, keeps_values)
    }

    /// The summary of values of a calendar or of none; `None` if there is none.
    pub(crate) fn of(
        points: impl Iterator<Item = Option<AxisPoint>>,
        calendar: Option<Calendar>,
        keeps_values: bool,
    ) -> Option<Self> {
        let mut summary: Option<Self> = None;
        let mut hasher = Xxh3::new();
        for (place, point) in points.enumerate() {
            point.map_or(AxisPoint::Number(f64::NAN), |it| it).hash_into(&mut hasher);
            let Some(point) = point else {
                let zero = AxisPoint::Number(f64::NAN);
                let summary = summary.get_or_insert(Self::new(zero, calendar));
                summary.missing_at.get_or_insert(place as u64);
                continue;
            };
            match &mut summary {
                None => summary = Some(Self::new(point, calendar)),
                Some(summary) => summary.push(place as u64, point),
            }
            if let Some(summary) = summary.as_mut().filter(|_| keeps_values) {
                summary.values.push(point);
            }
        }
        if let Some(summary) = &mut summary {
            summary.digest = hasher.digest128();
        }
        summary
    }

    fn new(first: AxisPoint, calendar: Option<Calendar>) -> Self {
        let (step, turns_at, missing_at, digest, values) = (None, None, None, 0, Vec::new());
        Self { calendar, first, last: first, step, turns_at, missing_at, digest, values }
    }

    fn push(&mut self, place: u64, point: AxisPoint) {
        let Some(step) = point.minus(self.last) else { return };
        if place == 1 {
            self.step = Some(step);
        }
        let is_ascending = self.is_ascending().unwrap_or_else(|| step.is_positive());
        if step.is_zero() || step.is_positive() != is_ascending {
            self.turns_at.get_or_insert(place);
        }
        if self.step.is_some_and(|known| !known.is_about(step)) {
            self.step = None;
        }
        self.last = point;
    }

    /// Whether the values grow; `None` for a single one.
    pub(crate) fn is_ascending(&self) -> Option<bool> {
        self.last.minus(self.first).filter(|it| !it.is_zero()).map(AxisPoint::is_positive)
    }
}
