//! What decides about variables that do not have the concat dimension.

use std::fmt;
use std::str::FromStr;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// What becomes of a variable without the concat dimension that is not the same in all files.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum StaticPolicy {
    /// It is refused.
    #[default]
    Identical,
    /// The one of the first file is taken.
    First,
    /// It gets the concat dimension, with the value of each file for all its elements.
    Concat,
    /// The one of the first file is taken if the numbers of no two files differ by more than this
    /// many times the larger of the two, or by more than this where both are less than 1.
    ///
    /// Coordinates are compared so, too: a grid that was rounded is the same grid.
    Close(f64),
}

impl FromStr for StaticPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let tolerance = |text: &str| text.parse().ok().filter(|it: &f64| *it >= 0.0);
        let known = match text {
            "identical" => Some(Self::Identical),
            "first" => Some(Self::First),
            "concat" => Some(Self::Concat),
            _ => text.strip_prefix("close:").and_then(tolerance).map(Self::Close),
        };
        known.ok_or_else(|| {
            let message = format!("there is no policy `{text}` for static variables");
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            error
                .mend("the policies are: identical, close:TOLERANCE (as close:1e-9), first, concat")
        })
    }
}

impl fmt::Display for StaticPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identical => f.write_str("identical"),
            Self::First => f.write_str("first"),
            Self::Concat => f.write_str("concat"),
            Self::Close(tolerance) => write!(f, "close:{tolerance:e}"),
        }
    }
}

impl From<StaticPolicy> for String {
    fn from(policy: StaticPolicy) -> Self {
        policy.to_string()
    }
}

impl TryFrom<String> for StaticPolicy {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}
