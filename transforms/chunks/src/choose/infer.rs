//! The chunks of a dimension that a step has made longer or shorter.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

/// The length of a chunk once every chunk of a dimension was changed alike, so that its `old_length`
/// elements in chunks of `old_chunk` became `new_length`.
///
/// There are as many chunks as before, and all of one length.
///
/// # Errors
/// A last chunk that was shorter, or a new length that so many chunks do not fill.
///
/// Source: xarray-beam, `Dataset.map_blocks`, <https://xarray-beam.readthedocs.io>.
pub fn infer_chunk_length(old_length: u64, old_chunk: u64, new_length: u64) -> Result<u64> {
    if old_length == new_length {
        return Ok(old_chunk);
    }
    let count = old_length.checked_div(old_chunk).unwrap_or(0);
    let why = if count == 0 || !old_length.is_multiple_of(old_chunk) {
        format!("chunks of {old_chunk} do not divide {old_length} elements evenly")
    } else if !new_length.is_multiple_of(count) {
        format!("{count} chunks do not divide {new_length} elements evenly")
    } else {
        return Ok(new_length / count);
    };
    let message =
        format!("no chunks follow from a length of {old_length} that became {new_length}");
    Err(Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
        .at("because", why)
        .mend("say what chunks the result has"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::golden::cases;

    #[test]
    fn golden_xbeam_infer_new_chunks() {
        let mut passed = 0;
        for case in cases("xbeam_infer_new_chunks.json") {
            let lengths = |key: &str, name: &str| case["input"][key][name].as_u64();
            let sizes = case["input"]["new_sizes"].as_object().expect("dimensions");
            let new_chunk = |(name, length): (&String, &Value)| {
                let length = length.as_u64().expect("a length");
                let chunk = match lengths("old_sizes", name).zip(lengths("old_chunks", name)) {
                    // A new dimension is one chunk.
                    None => length,
                    Some((old, chunk)) => infer_chunk_length(old, chunk, length).ok()?,
                };
                Some((name.clone(), json!(chunk)))
            };
            let got: Option<Map<_, _>> = sizes.iter().map(new_chunk).collect();
            assert_eq!(got.map(Value::Object).as_ref(), case.get("expected"), "{case}");
            passed += 1;
        }
        assert!(passed == 0 || passed == 74, "{passed} of 74 passed");
    }

    #[test]
    fn nothing_divides_by_nothing() {
        assert!(infer_chunk_length(0, 0, 5).is_err());
        assert_eq!(infer_chunk_length(5, 0, 5).ok(), Some(0));
    }
}
