//! The files of a grid along one of its concat dimensions, as if they were a list.

use std::collections::BTreeMap;

use crate::grid::FileGrid;
use crate::options::{BakeOptions, StaticPolicy};
use crate::schema::{AxisPoint, AxisSummary, FilePlace, FileSummary, Schema};

/// Of every combination of keys of merge dimensions, by its first file, and every key along one
/// concat dimension: the first file, and the first one that does not have the same elements.
#[derive(Debug, Default)]
pub(super) struct Projection {
    pub(super) rows: BTreeMap<(FilePlace, u32), Row>,
}

/// The files of one key along one concat dimension.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// The file that stands for all: the first, if possible one with a coordinate.
    pub(super) first: FilePlace,
    /// The first file that has other elements than that.
    pub(super) other: Option<FilePlace>,
}

impl Projection {
    /// Projects all files on this concat dimension of the grid.
    pub(super) fn new(schema: &Schema, grid: &FileGrid, dim: usize, options: &BakeOptions) -> Self {
        let mut projection = Self::default();
        for &place in schema.files.keys() {
            let key = (grid.cell_start(place), grid.along[dim].position(place));
            let row = projection.rows.entry(key).or_insert(Row { first: place, other: None });
            let (first, own) = (&schema.files[&row.first], &schema.files[&place]);
            if row.other.is_none() && !has_same_elements(first, own, dim, options) {
                row.other = Some(place);
            }
            if first.along(dim).1.is_none() && own.along(dim).1.is_some() {
                row.first = place;
            }
        }
        projection
    }

    /// The files with these keys of the merge dimensions as a list along the dimension: their
    /// places are the numbers of their keys.
    pub(super) fn list(&self, schema: &Schema, cell: FilePlace, dim: usize) -> Schema {
        let rows = self.rows.range((cell, 0)..=(cell, u32::MAX));
        let files = rows.map(|((_, position), row)| {
            let file = &schema.files[&row.first];
            let (length, axis) = file.along(dim);
            let summary = FileSummary {
                location: file.location.clone(),
                version: file.version,
                concat_length: length,
                axis: axis.cloned(),
                further: Vec::new(),
            };
            (*position, summary)
        });
        Schema { files: files.collect(), ..Schema::default() }
    }
}

/// Whether two files have the same elements along a dimension, as far as their coordinates say.
pub(super) fn has_same_elements(
    a: &FileSummary,
    b: &FileSummary,
    dim: usize,
    options: &BakeOptions,
) -> bool {
    let ((a_length, a), (b_length, b)) = (a.along(dim), b.along(dim));
    let is_same = match (a, b) {
        (Some(a), Some(b)) => {
            a.calendar == b.calendar && (a.digest == b.digest || is_close(a, b, options))
        }
        // Elements of files without the coordinate are taken by their places.
        _ => true,
    };
    a_length == b_length && is_same
}

/// Whether numbers differ by no more than is allowed for coordinates.
fn is_close(a: &AxisSummary, b: &AxisSummary, options: &BakeOptions) -> bool {
    let StaticPolicy::Close(tolerance) = options.statics else { return false };
    let is_near = |(a, b): (&AxisPoint, &AxisPoint)| match (a, b) {
        (AxisPoint::Number(a), AxisPoint::Number(b)) => {
            (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0)
        }
        _ => a == b,
    };
    !a.values.is_empty()
        && a.values.len() == b.values.len()
        && a.missing_at == b.missing_at
        && a.values.iter().zip(&b.values).all(is_near)
}
