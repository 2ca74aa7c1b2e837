//! The chunks that a store has where nobody says anything: those of the first file.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

/// Which dimensions are named in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedDimensions {
    /// Those along which there is more than one chunk.
    Cut,
    /// All of them.
    All,
}

/// The length of a chunk along every dimension, as pangeo-forge determines it.
///
/// `lengths` are those of the dataset. `first_file` has, for each dimension along which files are
/// joined, its elements in the first file; a length that is `asked` for holds over it.
///
/// # Errors
/// A dimension along which files are joined, without a first file.
///
/// Source: pangeo-forge-recipes, `aggregation.determine_target_chunks`,
/// <https://pangeo-forge.readthedocs.io>.
pub fn determine_target_chunks(
    lengths: &[(String, u64)],
    first_file: &[(String, Option<u64>)],
    asked: &[(String, u64)],
    named: NamedDimensions,
) -> Result<Vec<(String, u64)>> {
    let mut chunks: Vec<(String, u64)> = Vec::new();
    for (name, length) in first_file {
        let length = length.ok_or_else(|| {
            let message = format!("no first file says how long `{name}` is in it");
            Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
                .mend(format!("give chunks a length along `{name}`, and the first file"))
        })?;
        chunks.push((name.clone(), length));
    }
    for (name, length) in lengths.iter().chain(asked) {
        if !chunks.iter().any(|(known, _)| known == name) {
            chunks.push((name.clone(), *length));
        }
    }
    for (name, length) in asked {
        if let Some(chunk) = chunks.iter_mut().find(|(known, _)| known == name) {
            chunk.1 = *length;
        }
    }
    let is_whole = |chunk: &(String, u64)| lengths.contains(chunk);
    chunks.retain(|chunk| named == NamedDimensions::All || !is_whole(chunk));
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use dataflow::testing::shared_file;
    use serde_json::{Map, Value, json};

    use super::*;

    fn pairs(value: &Value) -> Vec<(String, u64)> {
        let pairs = value.as_object().into_iter().flatten();
        pairs.map(|(name, it)| (name.clone(), it.as_u64().expect("a length"))).collect()
    }

    #[test]
    fn golden_pfr_determine_target_chunks() {
        let Some(path) = shared_file("golden/pfr_determine_target_chunks.json") else { return };
        let text = std::fs::read_to_string(path).expect("the file is there");
        let golden: Value = serde_json::from_str(&text).expect("vectors are JSON");
        let mut passed = 0;
        for case in golden["cases"].as_array().expect("there are cases") {
            let input = &case["input"];
            let first = input["schema_chunks"].as_object().expect("dimensions").iter();
            let first: Vec<_> = first.map(|(name, it)| (name.clone(), it["0"].as_u64())).collect();
            let named = match input["include_all_dims"] == true {
                true => NamedDimensions::All,
                false => NamedDimensions::Cut,
            };
            let asked = pairs(&input["specified_chunks"]);
            let got = determine_target_chunks(&pairs(&input["dims"]), &first, &asked, named).ok();
            let got = got.map(|it| {
                let pairs = it.into_iter().map(|(name, length)| (name, json!(length)));
                Value::Object(pairs.collect::<Map<_, _>>())
            });
            assert_eq!(got.as_ref(), case.get("expected"), "{case}");
            passed += 1;
        }
        assert_eq!(passed, 70);
    }
}
