//! Cuts an axis anew: chunks are split, joined, compared, and told to be regular.

use std::ops::Range;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::grid::Axis;

impl Axis {
    /// The chunk that holds an element, if the axis has that element.
    pub fn chunk_of(&self, element: u64) -> Option<u64> {
        let end = element.checked_add(1)?;
        (element < self.length()).then(|| self.chunks_meeting(&(element..end)).start)
    }

    /// The chunks that hold these elements, of which the axis has all.
    ///
    /// # Errors
    /// No elements, or more than there are.
    pub fn chunks_holding(&self, elements: &Range<u64>) -> Result<Range<u64>> {
        if elements.start < elements.end && elements.end <= self.length() {
            return Ok(self.chunks_meeting(elements));
        }
        let message = format!("{elements:?} are no elements of a dimension of {}", self.length());
        Err(invalid(message))
    }

    /// Cuts every chunk into so many; the last one of each takes what is left over.
    ///
    /// # Errors
    /// A chunk that is shorter than that, or no pieces at all.
    pub fn with_split_chunks(&self, pieces: u64) -> Result<Self> {
        let mut lengths = Vec::new();
        for chunk in self.chunks() {
            let length = chunk.end - chunk.start;
            let each = length.checked_div(pieces).unwrap_or(0);
            if each == 0 {
                let message = format!("a chunk of {length} cannot be cut into {pieces}");
                return Err(invalid(message));
            }
            lengths.extend((1..pieces).map(|_| each));
            lengths.push(length - each * (pieces - 1));
        }
        Ok(Self::of_lengths(lengths))
    }

    /// Joins every so many neighbours to one chunk; the last one may be of fewer.
    ///
    /// # Errors
    /// Chunks of no chunks.
    pub fn with_joined_chunks(&self, count: u64) -> Result<Self> {
        let step = usize::try_from(count).ok().filter(|&step| step > 0);
        let step = step.ok_or_else(|| invalid(format!("chunks of {count} chunks are none")))?;
        let starts = self.chunks().step_by(step).map(|chunk| chunk.start).collect::<Vec<_>>();
        let ends = starts.iter().skip(1).copied().chain([self.length()]);
        Ok(Self::of_lengths(starts.iter().zip(ends).map(|(start, end)| end - start)))
    }

    /// The chunks of another axis that one chunk of this one holds in part: two who write along the
    /// other axis would write each of them.
    ///
    /// # Errors
    /// Another length, or no such chunk.
    pub fn conflicts(&self, index: u64, other: &Self) -> Result<Vec<u64>> {
        if self.length() != other.length() {
            let message = format!(
                "dimensions of {} and of {} elements have no chunks in common",
                self.length(),
                other.length()
            );
            return Err(invalid(message));
        }
        if index >= self.chunk_count() {
            return Err(invalid(format!("there is no chunk {index} of {}", self.chunk_count())));
        }
        let own = self.chunk(index);
        let is_cut = |index: &u64| {
            let theirs = other.chunk(*index);
            theirs.start < own.start || theirs.end > own.end
        };
        Ok(other.chunks_meeting(&own).filter(is_cut).collect())
    }

    /// The one length that all chunks have, the last one of which may be shorter.
    ///
    /// # Errors
    /// Chunks of different lengths, or a last one that is longer.
    pub fn regular_length(&self) -> Result<u64> {
        let lengths = || self.chunks().map(|chunk| chunk.end - chunk.start);
        let first = lengths().next().unwrap_or_else(|| self.longest_chunk());
        let last = self.chunk_count().saturating_sub(1) as usize;
        let is_regular =
            |(place, length): (usize, u64)| length == first || place == last && length <= first;
        match lengths().enumerate().find(|it| !is_regular(*it)) {
            None => Ok(first),
            Some((place, length)) => {
                let message = format!("chunk {place} has {length} elements, the first has {first}");
                Err(invalid(message).mend("only the last chunk may differ, and be shorter"))
            }
        }
    }

    fn chunks(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        (0..self.chunk_count()).map(|index| self.chunk(index))
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use dataflow::testing::shared_file;
    use serde_json::{Value, json};

    use super::*;

    fn cases(name: &str) -> Vec<Value> {
        let Some(path) = shared_file(&format!("golden/{name}")) else { return Vec::new() };
        let text = std::fs::read_to_string(path).expect("the file is there");
        let golden: Value = serde_json::from_str(&text).expect("vectors are JSON");
        golden["cases"].as_array().expect("there are cases").clone()
    }

    fn lengths(value: &Value) -> Vec<u64> {
        let lengths = value.as_array().expect("lengths").iter();
        lengths.map(|length| length.as_u64().expect("a length")).collect()
    }

    fn lengths_of(axis: &Axis) -> Value {
        axis.chunks().map(|chunk| chunk.end - chunk.start).collect()
    }

    /// The answer as pangeo-forge gives it; `None` is an error. What is negative has no number here.
    fn answer(input: &Value) -> Option<Value> {
        let axis = || Axis::of_lengths(lengths(&input["chunks"]));
        let number = |key: &str| input[key].as_u64();
        Some(match input["op"].as_str()? {
            "array_index_to_chunk_index" => json!(axis().chunk_of(number("index")?)?),
            "chunk_index_to_array_slice" => {
                let index = number("index").filter(|index| *index < axis().chunk_count())?;
                let chunk = axis().chunk(index);
                json!([chunk.start, chunk.end])
            }
            "subset" => lengths_of(&axis().with_split_chunks(number("factor")?).ok()?),
            "consolidate" => lengths_of(&axis().with_joined_chunks(number("factor")?).ok()?),
            "chunk_conflicts" => {
                let other = Axis::of_lengths(lengths(&input["other_chunks"]));
                json!(axis().conflicts(number("index")?, &other).ok()?)
            }
            "from_uniform_grid" => {
                let (step, length) = (number("chunksize")?, number("dimsize")?);
                // A length of nothing is taken for 1 here, and refused there.
                (step > 0).then(|| lengths_of(&Axis::regular(length, step)))?
            }
            "array_slice_to_chunk_slice" => {
                // Steps are no part of a range here.
                let is_plain = input["step"].as_i64().is_none_or(|step| step == 1);
                let range = number("start").filter(|_| is_plain)?..number("stop")?;
                let chunks = axis().chunks_holding(&range).ok()?;
                json!([chunks.start, chunks.end])
            }
            other => panic!("no such operation: {other}"),
        })
    }

    #[test]
    fn golden_pfr_chunk_axis() {
        let mut passed = 0;
        for case in cases("pfr_chunk_axis.json") {
            let want = case.get("expected").cloned();
            assert_eq!(answer(&case["input"]), want, "{case}");
            passed += 1;
        }
        assert!(passed == 0 || passed == 206, "{passed} of 206 passed");
    }

    #[test]
    fn golden_xbeam_regular_chunks_from_lists() {
        let mut passed = 0;
        for case in cases("xbeam_regular_chunks_from_lists.json") {
            let chunks = case["input"]["dask_chunks"].as_object().expect("dimensions");
            let got: Option<Value> = chunks
                .iter()
                .map(|(name, chunks)| {
                    let length = Axis::of_lengths(lengths(chunks)).regular_length().ok()?;
                    Some((name.clone(), json!(length)))
                })
                .collect::<Option<serde_json::Map<_, _>>>()
                .map(Value::Object);
            assert_eq!(got.as_ref(), case.get("expected"), "{case}");
            passed += 1;
        }
        assert!(passed == 0 || passed == 58, "{passed} of 58 passed");
    }

    #[test]
    fn pieces_of_nothing_are_refused() {
        let axis = Axis::regular(10, 4);
        assert!(axis.with_split_chunks(0).is_err() && axis.with_joined_chunks(0).is_err());
        assert_eq!(axis.with_joined_chunks(2).expect("two"), Axis::of_lengths([8, 2]));
        assert_eq!(Axis::regular(0, 4).regular_length().ok(), Some(0));
    }
}
