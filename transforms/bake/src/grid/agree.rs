//! The table of files that do not hold the same elements although they should.

use dataflow::error::{Error, ErrorCode, ErrorKind};

use crate::pattern::{CombineOp, FilePattern};
use crate::schema::{FilePlace, Schema};

/// Rows of a table; more help nobody.
const ROWS_LIMIT: usize = 40;

/// Refuses files that differ along a concat dimension, with what each of them holds.
pub(super) fn refuse(
    schema: &Schema,
    pattern: &FilePattern,
    (dim, name): (usize, &str),
    places: &[FilePlace],
    message: String,
) -> Error {
    let error = Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
    error.at("dimension", name).at("files", table(schema, pattern, dim, places))
}

/// A line for each file: where it lies, its keys, its length, its first and its last element.
fn table(schema: &Schema, pattern: &FilePattern, dim: usize, places: &[FilePlace]) -> String {
    let head = ["file", "key", "length", "first", "last"].map(str::to_owned);
    let shown = places.iter().take(ROWS_LIMIT);
    let rows = shown.filter_map(|place| {
        let file = schema.files.get(place)?;
        let (length, axis) = file.along(dim);
        let ends = axis
            .filter(|_| length > 0)
            .map(|it| [it.first, it.last].map(|end| end.text(it.calendar)));
        let [first, last] = ends.unwrap_or_else(|| ["-", "-"].map(str::to_owned));
        let keys = keys_of(pattern, *place, |_| true);
        Some([file.location.clone(), keys, length.to_string(), first, last])
    });
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..5).filter_map(width).collect();
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    if places.len() > ROWS_LIMIT {
        lines.push(format!("and {} more", places.len() - ROWS_LIMIT));
    }
    lines.join("\n")
}

/// The key of a file along one dimension, as `time=2000-01-01`.
pub(super) fn key_of(pattern: &FilePattern, place: FilePlace, name: &str) -> String {
    let index = pattern.index(place.into());
    let key = index.and_then(|index| pattern.key(&index, name).ok().map(|key| key.to_string()));
    format!("{name}={}", key.unwrap_or_else(|| "?".to_owned()))
}

/// The keys of a file along some dimensions, as `var=t, time=2000-01-01`.
pub(super) fn keys_of(
    pattern: &FilePattern,
    place: FilePlace,
    is_shown: impl Fn(CombineOp) -> bool,
) -> String {
    let Some(index) = pattern.index(place.into()) else { return String::new() };
    let key = |name: &str| pattern.key(&index, name).map(|key| format!("{name}={key}"));
    let keys = pattern.dims().iter().filter(|dim| is_shown(dim.op()));
    let keys = keys.filter_map(|dim| key(dim.name()).ok());
    keys.collect::<Vec<_>>().join(", ")
}
