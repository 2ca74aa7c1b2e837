//! The keys of one dimension: texts, integers or dates.

use std::fmt;
use std::sync::Arc;

use cf::Calendar;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::pattern::dates::DateRange;

/// What one dimension of a pattern runs over. There is at least one key.
///
/// Cost: texts take memory as they are; ranges are formulas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "KeysForm", into = "KeysForm")]
pub struct Keys(KeysForm);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeysForm {
    Texts(Arc<[String]>),
    Numbers(Arc<[i64]>),
    Integers { start: i64, end: i64, step: i64 },
    Dates(DateRange),
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// A text as it was given.
    Text(&'a str),
    /// An integer.
    Integer(i64),
    /// A date and time.
    Date {
        /// Nanoseconds since 1970-01-01T00:00 of the calendar.
        instant: i128,
        /// The calendar that the range counts in.
        calendar: Calendar,
    },
}

impl Keys {
    /// Keys that are listed.
    ///
    /// # Errors
    /// No key at all, or one that is there twice.
    pub fn texts<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::checked(KeysForm::Texts(texts.into_iter().map(Into::into).collect()))
    }

    /// Integers that are listed.
    ///
    /// # Errors
    /// No key at all, or one that is there twice.
    pub fn listed_integers(numbers: impl IntoIterator<Item = i64>) -> Result<Self> {
        Self::checked(KeysForm::Numbers(numbers.into_iter().collect()))
    }

    /// The integers `start`, `start + step`, and so on, `end` included if it is met.
    ///
    /// # Errors
    /// A step of 0, or one that leads away from `end`.
    pub fn integers(start: i64, end: i64, step: i64) -> Result<Self> {
        Self::checked(KeysForm::Integers { start, end, step })
    }

    /// The dates of a range.
    pub fn dates(range: DateRange) -> Self {
        Self(KeysForm::Dates(range))
    }

    fn checked(form: KeysForm) -> Result<Self> {
        match &form {
            KeysForm::Texts(texts) => check_list(texts).map(|()| Self(form)),
            KeysForm::Numbers(numbers) => check_list(numbers).map(|()| Self(form)),
            KeysForm::Integers { start, end, step } => {
                let leads = *step != 0 && (start == end || (end > start) == (*step > 0));
                // One more than these steps must be a number.
                if leads && end.abs_diff(*start) / step.unsigned_abs() < u64::MAX {
                    return Ok(Self(form));
                }
                let message = format!("no integers lead from {start} to {end} by {step}");
                Err(invalid(message).mend("give a step that leads towards the end"))
            }
            KeysForm::Dates(_) => Ok(Self(form)),
        }
    }

    /// How many keys there are.
    pub fn count(&self) -> u64 {
        match &self.0 {
            KeysForm::Texts(texts) => texts.len() as u64,
            KeysForm::Numbers(numbers) => numbers.len() as u64,
            KeysForm::Integers { start, end, step } => {
                end.abs_diff(*start) / step.unsigned_abs() + 1
            }
            KeysForm::Dates(range) => range.count(),
        }
    }

    /// The key of this number, from 0; O(1).
    pub fn get(&self, number: u64) -> Option<Key<'_>> {
        if number >= self.count() {
            return None;
        }
        match &self.0 {
            KeysForm::Texts(texts) => texts.get(number as usize).map(|text| Key::Text(text)),
            KeysForm::Numbers(numbers) => numbers.get(number as usize).copied().map(Key::Integer),
            KeysForm::Integers { start, step, .. } => {
                let key = i128::from(*start) + i128::from(number) * i128::from(*step);
                i64::try_from(key).ok().map(Key::Integer)
            }
            KeysForm::Dates(range) => {
                range.get(number).map(|instant| Key::Date { instant, calendar: range.calendar() })
            }
        }
    }
}

impl TryFrom<KeysForm> for Keys {
    type Error = Error;

    fn try_from(form: KeysForm) -> Result<Self> {
        Self::checked(form)
    }
}

impl From<Keys> for KeysForm {
    fn from(keys: Keys) -> Self {
        keys.0
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Date { instant, calendar } => f.write_str(&calendar.instant_text(*instant)),
        }
    }
}

fn check_list<K: Ord + fmt::Display>(keys: &[K]) -> Result<()> {
    if keys.is_empty() {
        return Err(invalid("there are no keys").mend("give at least one"));
    }
    let mut sorted: Vec<&K> = keys.iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => {
            let error = invalid(format!("the key `{}` is given twice", twice[0]));
            Err(error.mend("name every key once"))
        }
        None => Ok(()),
    }
}

/// The error for a pattern that cannot be.
pub(crate) fn invalid(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
}

/// The advice for a word that nothing is called.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match known.iter().min_by_key(|it| strsim::damerau_levenshtein(word, it)) {
        Some(near) => format!("did you mean `{near}`? There are: {}", known.join(", ")),
        None => "there are no dimensions: leave it out".to_owned(),
    }
}
