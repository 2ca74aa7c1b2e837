//! The elements of the store along one concat dimension of a grid.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::grid::FileGrid;
use crate::grid::agree::{keys_of, refuse};
use crate::grid::join::Joined;
use crate::grid::projection::{Projection, has_same_elements};
use crate::options::{BakeOptions, JoinPolicy, MissingFilePolicy};
use crate::order::{Order, Piece};
use crate::pattern::FilePattern;
use crate::schema::{FilePlace, Schema};
use crate::tiling::Lane;

/// The elements of the store along one concat dimension.
#[derive(Debug)]
pub(super) struct Sequence {
    stride: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// All merge keys have the same elements, in this order.
    Alike(Lane),
    /// They do not.
    Joined(Joined),
}

impl Sequence {
    /// Decides which elements there are, and in which order.
    ///
    /// # Errors
    /// Files that should hold the same elements and do not, where the policy does not decide;
    /// files that are not in order, overlap or leave gaps.
    pub(super) fn new(
        schema: &Schema,
        grid: &FileGrid,
        dim: usize,
        (pattern, options): (&FilePattern, &BakeOptions),
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let name = grid.along[dim].name.as_str();
        let options = &by_keys(options);
        if options.fills_gaps() {
            let message = "gaps between files that lie in a grid cannot be filled";
            let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
            return Err(error.at("dimension", name).mend("bake with --gaps report"));
        }
        let stride = grid.along[dim].stride;
        let projection = Projection::new(schema, grid, dim, options);
        if let Some((row, other)) =
            projection.rows.values().find_map(|row| Some((row.first, row.other?)))
        {
            let message =
                format!("files of one key of `{name}` do not have the same elements along it");
            return Err(refuse(schema, pattern, (dim, name), &[row, other], message).mend(
                "files of other concat keys must have the same elements: bake them apart, or \
                 correct their keys",
            ));
        }
        let differing = differing(schema, grid, dim, &projection, options);
        if differing.is_empty() {
            let cells = grid.cell_starts();
            let has_axis = |cell: &&u32| {
                let row = projection.rows.get(&(**cell, 0));
                row.is_some_and(|row| schema.files[&row.first].along(dim).1.is_some())
            };
            let cell = cells.iter().find(has_axis).copied().unwrap_or(0);
            let list = projection.list(schema, cell, dim);
            let order = match grid.is_as_given(dim, options) {
                true => Order::as_given(&list),
                false => Order::new(&list, name, options)?,
            };
            notes.extend(order.notes);
            let strided = |piece: &Piece| Piece { file: piece.file * stride, ..*piece };
            let pieces: Vec<Piece> = order.pieces.iter().map(strided).collect();
            return Ok(Self { stride, kind: Kind::Alike(Lane::from(pieces.as_slice())) });
        }
        let merged: Vec<&str> = grid.merged.iter().map(|dim| dim.name.as_str()).collect();
        let merged = merged.join("`, `");
        if options.join == JoinPolicy::Error {
            let message =
                format!("the files along `{merged}` do not have the same elements along `{name}`");
            return Err(refuse(schema, pattern, (dim, name), &differing, message).mend(
                "say which elements are taken: --join inner those that all have, outer those that \
                 any has (variables are filled where their file has none)",
            ));
        }
        let lists = grid.cell_starts().into_iter();
        let lists = lists.map(|cell| (cell, projection.list(schema, cell, dim))).collect();
        let joined = Joined::new(lists, name, options, notes)?;
        notes.push(format!(
            "the files along `{merged}` do not have the same elements along `{name}`: joined \
             ({}) to {} (first {} and {})",
            options.join,
            joined.length,
            keys_of(pattern, differing[0], |_| true),
            keys_of(pattern, differing[1], |_| true)
        ));
        Ok(Self { stride, kind: Kind::Joined(joined) })
    }

    /// The number of elements.
    pub(super) fn length(&self) -> u64 {
        match &self.kind {
            Kind::Alike(lane) => lane.length(),
            Kind::Joined(joined) => joined.length,
        }
    }

    /// The elements of each merge key, where these do not have the same.
    pub(super) fn joined(&self) -> Option<&Joined> {
        match &self.kind {
            Kind::Alike(_) => None,
            Kind::Joined(joined) => Some(joined),
        }
    }

    /// Where these combinations of merge keys have the elements.
    pub(super) fn lane(&self, cells: &[FilePlace]) -> Lane {
        match &self.kind {
            Kind::Alike(lane) => lane.clone(),
            Kind::Joined(joined) => joined.lane(cells, self.stride),
        }
    }
}

/// The options, where files that are missing are filled by their keys and leave no gap.
fn by_keys(options: &BakeOptions) -> BakeOptions {
    let missing_files = match options.missing_files {
        MissingFilePolicy::Fill => MissingFilePolicy::Skip,
        other => other,
    };
    BakeOptions { missing_files, ..options.clone() }
}

/// The files of all keys along the dimension at which not all merge keys have the same elements.
fn differing(
    schema: &Schema,
    grid: &FileGrid,
    dim: usize,
    projection: &Projection,
    options: &BakeOptions,
) -> Vec<FilePlace> {
    let cells = grid.cell_starts();
    let mut differing = Vec::new();
    for position in 0..grid.along[dim].count {
        let rows = cells.iter().filter_map(|&cell| projection.rows.get(&(cell, position)));
        let places: Vec<FilePlace> = rows.map(|row| row.first).collect();
        let files = || places.iter().map(|place| &schema.files[place]);
        let known = files().find(|file| file.along(dim).1.is_some()).or_else(|| files().next());
        let is_same = |known| files().all(|file| has_same_elements(known, file, dim, options));
        if !known.is_none_or(is_same) {
            differing.extend(places);
        }
    }
    differing
}
