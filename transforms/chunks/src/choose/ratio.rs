//! Chunks of about a size, with a ratio of their numbers along the dimensions.
//!
//! Source: dynamic-chunks, <https://github.com/jbusecke/dynamic_chunks>, which feedstocks use.

use super::normalize::ArraySize;

/// What is asked for: a size, and a ratio of numbers of chunks.
#[derive(Debug, Clone)]
pub struct RatioSizing<'a> {
    /// Elements of every dimension.
    pub lengths: &'a [u64],
    /// The arrays that are cut; the largest chunk of them counts.
    pub arrays: &'a [ArraySize],
    /// Bytes that are wanted.
    pub target_bytes: u64,
    /// How many times as many chunks along a dimension as along others; `None` for one chunk.
    pub ratios: &'a [Option<u64>],
    /// By which part of the target a chunk may differ from it.
    pub tolerance: f64,
}

/// More combinations than this are not looked at.
const COMBINATIONS_MAX: usize = 1 << 20;

impl RatioSizing<'_> {
    fn bytes(&self, chunks: &[u64]) -> u64 {
        let bytes = |array: &ArraySize| {
            let lengths = array.dimensions.iter().map(|&d| chunks[d].min(self.lengths[d]));
            lengths.fold(array.item_bytes, u64::saturating_mul)
        };
        self.arrays.iter().map(bytes).max().unwrap_or(0)
    }

    fn distance(&self, chunks: &[u64]) -> u64 {
        self.bytes(chunks).abs_diff(self.target_bytes)
    }

    /// Chunks that are as large as the ratio allows, divided by `scale`.
    fn scaled(&self, scale: u64) -> Vec<u64> {
        let scaled = |(&length, ratio): (&u64, &Option<u64>)| match ratio {
            None => length,
            Some(ratio) => {
                let chunk = length as f64 / (*ratio).max(1) as f64 / scale as f64;
                (chunk.round_ties_even() as u64).max(1)
            }
        };
        self.lengths.iter().zip(self.ratios).map(scaled).collect()
    }
}

/// Chunks that divide every dimension evenly, of a size within the tolerance, whose numbers are
/// nearest to the ratio; `None` if no size is within it, or more than a million would have to be
/// looked at.
///
/// Ratios are compared as directions. Cost: the product of the numbers of divisors.
pub fn even_divisor_chunks(sizing: &RatioSizing<'_>) -> Option<Vec<u64>> {
    let divisors = |(&length, ratio): (&u64, &Option<u64>)| match ratio {
        None => vec![length],
        Some(_) => divisors(length),
    };
    let choices: Vec<Vec<u64>> = sizing.lengths.iter().zip(sizing.ratios).map(divisors).collect();
    let total = choices.iter().try_fold(1usize, |n, it| n.checked_mul(it.len()))?;
    if total > COMBINATIONS_MAX {
        return None;
    }
    let wanted: Vec<f64> = sizing.ratios.iter().flatten().map(|&ratio| ratio as f64).collect();
    let wanted = direction(&wanted);
    let tolerance = sizing.tolerance * sizing.target_bytes as f64;
    let mut best: Option<(f64, Vec<u64>)> = None;
    for mut place in 0..total {
        let mut chunks = vec![0; choices.len()];
        for (chunk, choices) in chunks.iter_mut().zip(&choices).rev() {
            *chunk = choices[place % choices.len()];
            place /= choices.len();
        }
        if sizing.distance(&chunks) as f64 >= tolerance {
            continue;
        }
        let cut = sizing.lengths.iter().zip(&chunks).zip(sizing.ratios);
        let counts = cut.filter(|(_, ratio)| ratio.is_some());
        let counts: Vec<f64> = counts.map(|((&n, &chunk), _)| n as f64 / chunk as f64).collect();
        let counts = direction(&counts);
        let apart = counts.iter().zip(&wanted).map(|(a, b)| (b - a) * (b - a));
        let apart = apart.sum::<f64>().sqrt();
        if best.as_ref().is_none_or(|(least, _)| apart < *least) {
            best = Some((apart, chunks));
        }
    }
    best.map(|(_, chunks)| chunks)
}

/// Chunks of the ratio, all divided by one number so that their size is nearest to the target;
/// `None` if that is not within the tolerance.
///
/// Cost: O(log(longest dimension)).
pub fn scaled_ratio_chunks(sizing: &RatioSizing<'_>) -> Option<Vec<u64>> {
    let (chunks, bytes) = nearest_scaled(sizing);
    let target = sizing.target_bytes as f64;
    let (least, most) = (target * (1.0 - sizing.tolerance), target * (1.0 + sizing.tolerance));
    (bytes as f64 >= least && bytes as f64 <= most).then_some(chunks)
}

/// The chunks of [`scaled_ratio_chunks`] with their bytes, however far these are.
pub(super) fn nearest_scaled(sizing: &RatioSizing<'_>) -> (Vec<u64>, u64) {
    let last = sizing.scaled(1).into_iter().max().unwrap_or(1).max(1);
    // A greater scale gives no greater chunk, so that those of a size are one range.
    let first_at_most = |bytes: u64| {
        let (mut low, mut high) = (1, last);
        while low < high {
            let middle = low + (high - low) / 2;
            if sizing.bytes(&sizing.scaled(middle)) <= bytes {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    };
    let below = first_at_most(sizing.target_bytes);
    let above = first_at_most(sizing.bytes(&sizing.scaled(below.saturating_sub(1).max(1))));
    let scale = [above, below].into_iter().min_by_key(|&it| sizing.distance(&sizing.scaled(it)));
    let chunks = sizing.scaled(scale.unwrap_or(1));
    let bytes = sizing.bytes(&chunks);
    (chunks, bytes)
}

/// A vector of length 1.
fn direction(vector: &[f64]) -> Vec<f64> {
    let length = vector.iter().map(|it| it * it).sum::<f64>().sqrt();
    vector.iter().map(|it| it / length).collect()
}

/// All divisors, the greatest first.
fn divisors(number: u64) -> Vec<u64> {
    let small = (1u64..).take_while(|it| it * it <= number).filter(|it| number.is_multiple_of(*it));
    let small: Vec<u64> = small.collect();
    let large = small.iter().map(|it| number / it);
    let mut all: Vec<u64> = large.chain(small.iter().rev().copied()).collect();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::byte_size::parse_bytes;
    use crate::choose::normalize::tests::arrays_of;
    use crate::golden::cases;

    /// The chunks as dynamic-chunks gives them; `None` is an error.
    fn answer(input: &Value) -> Option<Value> {
        let sizes = input["dim_sizes"].as_object().expect("dimensions");
        let names: Vec<&String> = sizes.keys().collect();
        let lengths: Vec<u64> = sizes.values().filter_map(Value::as_u64).collect();
        let asked = input["target_chunks_aspect_ratio"].as_object().expect("ratios");
        let may_be_extra = input["allow_extra_dims"].as_bool()?;
        if asked.keys().any(|name| !names.contains(&name)) && !may_be_extra {
            return None;
        }
        let ratio = |name: &&String| {
            let ratio = asked.get(*name).unwrap_or(&input["default_ratio"]).as_i64()?;
            match ratio {
                -1 => Some(None),
                ratio if ratio >= 1 => Some(Some(ratio.cast_unsigned())),
                _ => None,
            }
        };
        let ratios: Vec<Option<u64>> = names.iter().map(ratio).collect::<Option<_>>()?;
        let target = match &input["target_chunk_size"] {
            Value::String(text) => parse_bytes(text).ok()?,
            number => number.as_i64()?,
        };
        let sizing = RatioSizing {
            lengths: &lengths,
            arrays: &arrays_of(input),
            target_bytes: u64::try_from(target).ok()?,
            ratios: &ratios,
            tolerance: input["size_tolerance"].as_f64()?,
        };
        let chunks = match input["algorithm"].as_str()? {
            "even_divisor" => even_divisor_chunks(&sizing)?,
            _ => scaled_ratio_chunks(&sizing)?,
        };
        let chunks = names.into_iter().cloned().zip(chunks.into_iter().map(|it| json!(it)));
        Some(Value::Object(chunks.collect::<Map<_, _>>()))
    }

    #[test]
    fn golden_dynamic_chunks() {
        let mut passed = 0;
        for case in cases("dynamic_chunks.json") {
            assert_eq!(answer(&case["input"]).as_ref(), case.get("expected"), "{case}");
            passed += 1;
        }
        assert!(passed == 0 || passed == 120, "{passed} of 120 passed");
    }

    #[test]
    fn divisors_come_in_order() {
        assert_eq!(divisors(12), [12, 6, 4, 3, 2, 1]);
        assert_eq!(divisors(9), [9, 3, 1]);
        assert_eq!(divisors(1), [1]);
    }
}
