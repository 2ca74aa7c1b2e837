//! Whether a part of an array may be written: whole units, and the labels that belong there.

use std::ops::Range;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

/// Refuses elements of a dimension that are not whole units, which two writers could share.
///
/// `unit` is the length of a chunk or shard, `length` that of the dimension; the last unit may be
/// shorter.
///
/// # Errors
/// The side that cuts a unit.
///
/// Source: xarray-beam, `validate_zarr_chunk`, <https://xarray-beam.readthedocs.io>.
pub fn check_whole_units(elements: &Range<u64>, unit: u64, length: u64) -> Result<()> {
    let unit = unit.max(1);
    let why = if !elements.start.is_multiple_of(unit) {
        format!("they begin within a unit of {unit}")
    } else if elements.end != length && !(elements.end - elements.start).is_multiple_of(unit) {
        format!("they end within a unit of {unit}")
    } else {
        return Ok(());
    };
    let message = format!("elements {elements:?} of {length} are no whole units: {why}");
    Err(Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
        .mend("consolidate or rechunk before, so that each unit has one writer"))
}

/// Refuses labels that are not those of the template at these elements.
///
/// `template` has the labels of the whole dimension, if it has any.
///
/// # Errors
/// Labels where the template has none, or others than it has.
pub fn check_labels<T: PartialEq>(
    template: Option<&[T]>,
    elements: &Range<u64>,
    labels: &[T],
) -> Result<()> {
    let message = match template {
        None => "labels where the template has none".to_owned(),
        Some(template) => {
            let whole = template.len();
            let range = (elements.start as usize).min(whole)..(elements.end as usize).min(whole);
            if template[range] == *labels {
                return Ok(());
            }
            format!("the labels of elements {elements:?} are not those of the template")
        }
    };
    Err(Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
        .mend("make the template of what is written, or leave the labels out"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::golden::cases;

    fn check(input: &Value) -> Result<()> {
        let template = &input["template"];
        let number = |value: &Value| value.as_u64();
        let labels = |value: &Value| -> Option<Vec<i64>> {
            value.as_array().map(|all| all.iter().filter_map(Value::as_i64).collect())
        };
        let elements = |name: &String| {
            let start = number(&input["key_offsets"][name]).unwrap_or(0);
            start..start + number(&input["chunk"]["sizes"][name]).expect("a size")
        };
        for (name, own) in input["chunk"]["index_coords"].as_object().expect("labels") {
            let whole = labels(&template["index_coords"][name]);
            let own = labels(own).unwrap_or_default();
            check_labels(whole.as_deref(), &elements(name), &own)?;
        }
        let units = [&input["zarr_shards"], &input["zarr_chunks"]];
        let Some(units) = units.into_iter().find(|it| !it.is_null()) else { return Ok(()) };
        for name in input["key_offsets"].as_object().expect("offsets").keys() {
            let length = number(&template["dim_sizes"][name]).expect("a length");
            // -1 is the whole dimension.
            let Some(unit) = units[name].as_i64() else { continue };
            let unit = u64::try_from(unit).unwrap_or(length);
            check_whole_units(&elements(name), unit, length)?;
        }
        Ok(())
    }

    #[test]
    fn golden_xbeam_validate_zarr_chunk() {
        let mut passed = 0;
        for case in cases("xbeam_validate_zarr_chunk.json") {
            assert_eq!(check(&case["input"]).is_ok(), case.get("error").is_none(), "{case}");
            passed += 1;
        }
        assert!(passed == 0 || passed == 95, "{passed} of 95 passed");
    }
}
