//! Files of a grid that are not there, where their elements are to be filled.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::grid::FileGrid;
use crate::open::SourceVersion;
use crate::options::{BakeOptions, MissingFilePolicy};
use crate::pattern::FilePattern;
use crate::schema::{FilePlace, FileSummary, FurtherAxis, Schema};

/// What files say, as if those that are missing were there without any variable; `None` where none
/// is missing or no policy asks for it.
///
/// How many elements a file has along a dimension, and which, another file of the same key says.
///
/// # Errors
/// A key of which no file is there.
pub(crate) fn complete(schema: &Schema, options: &BakeOptions) -> Result<Option<Schema>> {
    let grid = FileGrid::asked(options)?.filter(FileGrid::is_grid);
    let (Some(grid), Some(pattern)) = (grid, &options.pattern) else { return Ok(None) };
    let is_whole = schema.files.len() == grid.file_count as usize;
    if is_whole || options.missing_files != MissingFilePolicy::Fill {
        return Ok(None);
    }
    let mut completed = schema.clone();
    for place in (0..grid.file_count).filter(|place| !schema.files.contains_key(place)) {
        let along = (0..grid.along.len()).map(|dim| stand_in(schema, &grid, pattern, dim, place));
        let mut along = along.collect::<Result<Vec<_>>>()?.into_iter();
        let (concat_length, axis) = along.next().map(|it| (it.length, it.axis)).unwrap_or_default();
        let file = FileSummary {
            location: pattern.location(place.into())?.to_string(),
            version: SourceVersion::default(),
            concat_length,
            axis,
            further: along.collect(),
        };
        completed.files.insert(place, file);
        completed.holes.insert(place);
    }
    Ok(Some(completed))
}

/// What a file that is not there has along a dimension.
fn stand_in(
    schema: &Schema,
    grid: &FileGrid,
    pattern: &FilePattern,
    dim: usize,
    place: FilePlace,
) -> Result<FurtherAxis> {
    let position = grid.along[dim].position(place);
    let cell = grid.cell_start(place);
    let of_key = |it: &&FilePlace| grid.along[dim].position(**it) == position;
    // Files of other merge keys may have other elements.
    let own = schema.files.keys().filter(of_key).find(|it| grid.cell_start(**it) == cell);
    let Some(known) = own.or_else(|| schema.files.keys().find(of_key)) else {
        let name = &grid.along[dim].name;
        let key = super::agree::key_of(pattern, place, name);
        let message = format!("no file of {key} is there, so that nothing says what is missing");
        let error = Error::new(ErrorCode::NOTHING_MATCHES, ErrorKind::NotFound, message);
        return Err(error.at("dimension", name).mend("leave that key out of the pattern"));
    };
    let (length, axis) = schema.files[known].along(dim);
    Ok(FurtherAxis { length, axis: axis.cloned() })
}
