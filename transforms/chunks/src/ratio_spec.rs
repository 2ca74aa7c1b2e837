//! What users say about numbers of chunks: `time=10,lat=1,lon=1`.

use std::fmt;
use std::str::FromStr;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// How many times as many chunks there are along one dimension as along others.
///
/// ```
/// use chunks::ChunkRatio;
/// let ratio: ChunkRatio = "time=10,lat=1,lon=-1".parse()?;
/// assert_eq!((ratio.get("time"), ratio.get("lon")), (Some(10), None));
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChunkRatio(Vec<(String, Option<u64>)>);

impl ChunkRatio {
    /// The part of a dimension in the ratio; `None` where it is not cut.
    pub fn get(&self, dimension: &str) -> Option<u64> {
        self.0.iter().find(|(name, _)| name == dimension)?.1
    }

    /// The dimensions that are named.
    pub fn dimensions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// What was asked for dimensions that `has` knows.
    #[must_use]
    pub fn with_only(mut self, has: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|(name, _)| has(name));
        self
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for ChunkRatio {
    type Err = Error;

    /// Reads `dimension=number` pairs; -1 is a dimension that is not cut.
    ///
    /// # Errors
    /// Another form, a number that is not at least 1, or a dimension that is named twice.
    fn from_str(text: &str) -> Result<Self> {
        let mut ratios: Vec<(String, Option<u64>)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let pair = part.rsplit_once('=').map(|(name, ratio)| (name.trim(), ratio.trim()));
            let ratio = pair.and_then(|(name, ratio)| match ratio.parse::<i64>() {
                Ok(-1) => Some((name.to_owned(), None)),
                Ok(ratio) if ratio > 0 => Some((name.to_owned(), Some(ratio.cast_unsigned()))),
                _ => None,
            });
            let refuse = |message: String| {
                Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
                    .mend("write for example `time=10,lat=1,lon=-1`: numbers of chunks, -1 for one")
            };
            let ratio = ratio.ok_or_else(|| refuse(format!("`{part}` is no number of chunks")))?;
            if ratios.iter().any(|(known, _)| *known == ratio.0) {
                return Err(refuse(format!("dimension `{}` is named twice", ratio.0)));
            }
            ratios.push(ratio);
        }
        Ok(Self(ratios))
    }
}

impl fmt::Display for ChunkRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.iter().map(|(name, ratio)| match ratio {
            Some(ratio) => format!("{name}={ratio}"),
            None => format!("{name}=-1"),
        });
        f.write_str(&parts.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_numbers_from_one() {
        let shown = |text: &str| text.parse::<ChunkRatio>().ok().map(|ratio| ratio.to_string());
        assert_eq!(shown("time=10, lat=-1").as_deref(), Some("time=10,lat=-1"));
        for text in ["time", "time=0", "time=1.5", "time=-2", "a=1,a=2"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
