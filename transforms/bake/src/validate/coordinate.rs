//! Reads a coordinate chunk by chunk and says where its order breaks.

use array::{DatasetSource, Region, Variable};
use cf::{Ascent, AscentBreak, Packing};
use dataflow::error::Result;

/// Elements that are read together where they lie in one piece.
const PIECE: u64 = 1 << 16;

/// What is wrong with the order of a variable of one dimension, in a sentence.
///
/// Memory: one chunk.
pub(super) fn disorder(source: &dyn DatasetSource, variable: &Variable) -> Result<Option<String>> {
    let array = source.array(&variable.name)?;
    let packing = Packing::parse(&variable.attributes, variable.dtype)?;
    let length = variable.shape.first().copied().unwrap_or(0);
    let chunk = variable.storage.chunk_shape.as_ref().and_then(|shape| shape.first().copied());
    let step = chunk.unwrap_or(PIECE).max(1);
    let mut ascent = Ascent::default();
    let mut start = 0;
    while start < length && ascent.broken().is_none() {
        let stop = length.min(start + step);
        ascent.push(&array.read(&Region::at(&[start], &[stop - start]))?, &packing)?;
        start = stop;
    }
    let Some((place, why)) = ascent.broken() else { return Ok(None) };
    let from = place.saturating_sub(1);
    let chunk = array.read(&Region::at(&[from], &[place + 1 - from]))?;
    let value = |at: u64| chunk.scalar(at).map(|it| shown(variable, &it.to_string()));
    let own = value(place - from)?;
    Ok(Some(match why {
        AscentBreak::Missing => format!("element {place} is missing"),
        AscentBreak::Repeated => format!("element {place} is {own}, as the one before it"),
        AscentBreak::Turned => {
            let before = value(0)?;
            format!("element {place} is {own} after {before}, against the order of those before")
        }
    }))
}

fn shown(variable: &Variable, number: &str) -> String {
    match variable.attributes.text("units").filter(|units| units.contains("since")) {
        Some(units) => format!("{number} ({units})"),
        None => number.to_owned(),
    }
}
