//! What can be asked of a store, in words.

use std::fmt;
use std::str::FromStr;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// What follows when a check does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckLevel {
    /// It is recorded.
    Warn,
    /// The job fails, and a store that is being written does not become visible.
    #[default]
    Error,
}

impl CheckLevel {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    fn is_error(&self) -> bool {
        *self == Self::Error
    }
}

/// One thing that is asked of a store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "check", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Check {
    /// Metadata are as the CF conventions require, coordinates ascend or descend and have no
    /// missing values. What the conventions only recommend is a warning.
    Cf {
        /// What follows if it is not so.
        #[serde(default, skip_serializing_if = "CheckLevel::is_error")]
        level: CheckLevel,
    },
    /// Coordinates ascend or descend, without two that are the same.
    Monotonic {
        /// Variables of one dimension; none: all coordinates that count time.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        vars: Vec<String>,
        /// What follows if it is not so.
        #[serde(default, skip_serializing_if = "CheckLevel::is_error")]
        level: CheckLevel,
    },
    /// Every chunk has an element that is not missing.
    NoNanChunks {
        /// The variables; none: all of floats, and those that say what is missing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        vars: Vec<String>,
        /// What follows if it is not so.
        #[serde(default, skip_serializing_if = "CheckLevel::is_error")]
        level: CheckLevel,
    },
    /// Attributes are there, and are not empty.
    Attributes {
        /// Their names.
        names: Vec<String>,
        /// The variables that have them; none: the store itself.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        vars: Vec<String>,
        /// What follows if it is not so.
        #[serde(default, skip_serializing_if = "CheckLevel::is_error")]
        level: CheckLevel,
    },
    /// Values, unpacked, lie within bounds; what is missing does not count.
    Range {
        /// The variables.
        vars: Vec<String>,
        /// The least value that may be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        /// The greatest value that may be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
        /// What follows if it is not so.
        #[serde(default, skip_serializing_if = "CheckLevel::is_error")]
        level: CheckLevel,
    },
}

impl Check {
    /// The words of all checks.
    pub const WORDS: [&str; 5] = ["cf", "monotonic", "no-nan-chunks", "attributes", "range"];

    /// What follows if it does not hold.
    pub fn level(&self) -> CheckLevel {
        match self {
            Self::Cf { level }
            | Self::Monotonic { level, .. }
            | Self::NoNanChunks { level, .. }
            | Self::Attributes { level, .. }
            | Self::Range { level, .. } => *level,
        }
    }

    /// The word of this check.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Cf { .. } => "cf",
            Self::Monotonic { .. } => "monotonic",
            Self::NoNanChunks { .. } => "no-nan-chunks",
            Self::Attributes { .. } => "attributes",
            Self::Range { .. } => "range",
        }
    }

    /// Refuses a check that says nothing.
    fn checked(self) -> Result<Self> {
        let (about, mend) = match &self {
            Self::Attributes { names, .. } if names.is_empty() => {
                ("names no attribute", "write for example `attributes=title+institution`")
            }
            Self::Range { vars, .. } if vars.is_empty() => {
                ("names no variable", "write for example `range=t2m:150:350`")
            }
            Self::Range { min: None, max: None, .. } => {
                ("has no bound", "write for example `range=t2m:150:350`")
            }
            Self::Range { min: Some(min), max: Some(max), .. } if min > max => {
                ("has a minimum above its maximum", "write the minimum first")
            }
            _ => return Ok(self),
        };
        let message = format!("the check `{}` {about}", self.word());
        Err(Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message).mend(mend))
    }
}

/// As flags have it: `cf`, `warn:no-nan-chunks`, `monotonic=lat+lon`, `attributes=title+source`,
/// `attributes=units@t2m`, `range=t2m:150:350`, `range=rain:0:`.
impl FromStr for Check {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (level, rest) = match text.strip_prefix("warn:") {
            Some(rest) => (CheckLevel::Warn, rest),
            None => (CheckLevel::Error, text),
        };
        let (word, about) = rest.split_once('=').unwrap_or((rest, ""));
        let list = |text: &str| -> Vec<String> {
            text.split('+').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
        };
        let check = match word.trim() {
            "cf" if about.is_empty() => Self::Cf { level },
            "monotonic" => Self::Monotonic { vars: list(about), level },
            "no-nan-chunks" => Self::NoNanChunks { vars: list(about), level },
            "attributes" => {
                let (names, vars) = about.split_once('@').unwrap_or((about, ""));
                Self::Attributes { names: list(names), vars: list(vars), level }
            }
            "range" => {
                let mut parts = about.splitn(3, ':');
                let vars = list(parts.next().unwrap_or_default());
                let (min, max) = (bound(parts.next())?, bound(parts.next())?);
                Self::Range { vars, min, max, level }
            }
            word => {
                let message = format!("there is no check `{word}`");
                let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
                return Err(error.mend(format!("the checks are: {}", Self::WORDS.join(", "))));
            }
        };
        check.checked()
    }
}

fn bound(text: Option<&str>) -> Result<Option<f64>> {
    let Some(text) = text.map(str::trim).filter(|it| !it.is_empty()) else { return Ok(None) };
    match text.parse::<f64>() {
        Ok(bound) if !bound.is_nan() => Ok(Some(bound)),
        _ => {
            let message = format!("the bound `{text}` of a range is no number");
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            Err(error.mend("write for example `range=t2m:150:350`"))
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.level() == CheckLevel::Warn {
            f.write_str("warn:")?;
        }
        f.write_str(self.word())?;
        match self {
            Self::Cf { .. } => Ok(()),
            Self::Monotonic { vars, .. } | Self::NoNanChunks { vars, .. } if vars.is_empty() => {
                Ok(())
            }
            Self::Monotonic { vars, .. } | Self::NoNanChunks { vars, .. } => {
                write!(f, "={}", vars.join("+"))
            }
            Self::Attributes { names, vars, .. } if vars.is_empty() => {
                write!(f, "={}", names.join("+"))
            }
            Self::Attributes { names, vars, .. } => {
                write!(f, "={}@{}", names.join("+"), vars.join("+"))
            }
            Self::Range { vars, min, max, .. } => {
                let bound = |bound: &Option<f64>| bound.map_or(String::new(), |it| it.to_string());
                write!(f, "={}:{}:{}", vars.join("+"), bound(min), bound(max))
            }
        }
    }
}

/// All that is asked of a store; nothing, if nothing is asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checks(Vec<Check>);

impl Checks {
    /// These checks.
    ///
    /// # Errors
    /// One that says nothing: no attribute, no variable, no bound.
    pub fn new(checks: impl IntoIterator<Item = Check>) -> Result<Self> {
        checks.into_iter().map(Check::checked).collect::<Result<_>>().map(Self)
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The checks, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Check> {
        self.0.iter()
    }
}

/// Checks with commas between them.
impl FromStr for Checks {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.split(',').map(str::trim).map(str::parse).collect::<Result<_>>().map(Self)
    }
}

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_written_again() {
        let text = "cf,warn:monotonic,monotonic=lat+lon,no-nan-chunks=t,attributes=title+source,\
                    attributes=units@t+u,range=t:150.5:350,warn:range=rain:0:";
        let checks: Checks = text.parse().expect("checks");
        assert_eq!(checks.to_string(), text);
        let json = serde_json::to_string(&checks).expect("JSON");
        assert_eq!(serde_json::from_str::<Checks>(&json).expect("just written"), checks);
    }

    #[test]
    fn what_says_nothing_is_refused() {
        let refused =
            |text: &str| text.parse::<Checks>().expect_err("no check").message().to_owned();
        assert_eq!(refused("cf,monotone"), "there is no check `monotone`");
        assert_eq!(refused(""), "there is no check ``");
        assert_eq!(refused("attributes="), "the check `attributes` names no attribute");
        assert_eq!(refused("range=t"), "the check `range` has no bound");
        assert_eq!(refused("range=:1:2"), "the check `range` names no variable");
        assert_eq!(refused("range=t:2:1"), "the check `range` has a minimum above its maximum");
        assert_eq!(refused("range=t:a:1"), "the bound `a` of a range is no number");
    }
}
