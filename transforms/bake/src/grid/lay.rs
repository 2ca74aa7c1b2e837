//! What is scanned of a file because of where it lies in its grid.

use std::collections::BTreeSet;

use array::{ArraySource, Dataset, Region, Variable};
use cf::{Instants, Packing};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use xxhash_rust::xxh3::Xxh3;

use crate::grid::{FileGrid, GridDim};
use crate::options::{BakeOptions, JoinPolicy, StaticPolicy};
use crate::scan::digest_of;
use crate::schema::{FilePlace, VariableFindings};

/// Elements of a coordinate that is compared row by row; larger ones are data.
const ROW_ELEMENTS_LIMIT: u64 = 1 << 22;

/// How the file that is scanned lies among the others.
pub(crate) struct Lay<'a> {
    place: FilePlace,
    /// Dimensions along which files follow each other.
    pub(crate) concats: Vec<String>,
    /// All dimensions of a pattern.
    pattern: Option<FileGrid>,
    pub(crate) dataset: &'a Dataset,
    /// Variables that others name: coordinates, bounds, grid mappings; of a grid only.
    related: BTreeSet<String>,
}

impl<'a> Lay<'a> {
    pub(crate) fn new(
        place: FilePlace,
        pattern: Option<FileGrid>,
        concat: Option<&str>,
        dataset: &'a Dataset,
    ) -> Self {
        let concats = match &pattern {
            Some(grid) if grid.is_grid() => grid.along.iter().map(|dim| dim.name.clone()).collect(),
            _ => concat.map(str::to_owned).into_iter().collect(),
        };
        let is_grid = pattern.as_ref().is_some_and(FileGrid::is_grid);
        let variables = dataset.variables.iter().filter(|_| is_grid);
        let related = variables.flat_map(|it| cf::related_variables(&it.attributes)).collect();
        Self { place, concats, pattern, dataset, related }
    }

    /// Elements of the file along a concat dimension.
    ///
    /// # Errors
    /// A dimension that the file does not have, or another length than the pattern says.
    pub(crate) fn concat_length(&self, dataset: &Dataset, name: &str) -> Result<u64> {
        let is_scalar = dataset.variable(name).is_some_and(|it| it.shape.is_empty());
        if is_scalar && dataset.dimension(name).is_none() {
            let message = format!("`{name}` is a scalar variable and no dimension of the file");
            let error = Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, message);
            return Err(error.mend(format!("a step `expand` with `dim = \"{name}\"` makes it one")));
        }
        let length = dataset.expect_dimension(name)?.length;
        let dims = self.pattern.iter().flat_map(|grid| &grid.along);
        let mut asked = dims.filter(|dim| dim.name == name).filter_map(|dim| dim.nitems);
        match asked.find(|nitems| *nitems != length) {
            None => Ok(length),
            Some(nitems) => {
                let message = format!(
                    "the file has {length} elements along `{name}`, and the pattern says {nitems}"
                );
                let error = Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
                Err(error.mend("leave out the number of items of each file, or correct it"))
            }
        }
    }

    /// What files of a grid should have in common with this one: a variable that lacks a concat
    /// dimension, or a coordinate that files of several merge keys have.
    ///
    /// Where values that differ give a variable more dimensions, only files with other merge keys
    /// should.
    pub(crate) fn shared(&self, variable: &Variable, options: &BakeOptions) -> Option<Shared> {
        let grid = self.pattern.as_ref().filter(|grid| grid.is_grid())?;
        let has = |dim: &&GridDim| variable.axis_of(&dim.name).is_some();
        let is_concat = options.statics == StaticPolicy::Concat;
        let lacks_some = grid.along.iter().any(|dim| dim.count > 1 && !has(&dim));
        let is_related =
            variable.is_dimension_coordinate() || self.related.contains(&variable.name);
        let own: Vec<&GridDim> = grid.along.iter().filter(has).collect();
        let is_shared = match own.is_empty() {
            false => lacks_some || grid.cell_count() > 1 && is_related,
            true => is_concat,
        };
        if !is_shared {
            return None;
        }
        let dims = grid.along.iter().filter(|dim| is_concat || has(dim));
        let tile = dims.map(|dim| dim.offset(self.place)).sum();
        let is_joined = options.join != JoinPolicy::Error && grid.cell_count() > 1;
        let axis = match own.as_slice() {
            [only] if is_joined && variable.element_count() <= ROW_ELEMENTS_LIMIT => {
                variable.axis_of(&only.name)
            }
            _ => None,
        };
        Some(Shared { tile, axis })
    }
}

/// What a variable of one file should have in common with those of other files.
pub(crate) struct Shared {
    /// The place of the first of the files that should hold the same elements.
    tile: u32,
    /// The dimension along which single elements are compared, where files may have others.
    axis: Option<usize>,
}

impl Shared {
    /// Finds the digest of all elements, and of the rows of each element along the axis. Times are
    /// the same if they mean the same; other elements, if they are packed alike, too.
    ///
    /// # Errors
    /// An array that cannot be read.
    pub(crate) fn find(
        &self,
        variable: &Variable,
        array: &dyn ArraySource,
        instants: Option<&Instants>,
        found: &mut VariableFindings,
    ) -> Result<()> {
        let shape = &variable.shape;
        let packing = Packing::parse(&variable.attributes, variable.dtype).ok();
        let meaning = format!("{:?}", packing.filter(|_| instants.is_none()));
        let mut hasher = Xxh3::new();
        hasher.update(meaning.as_bytes());
        match instants {
            Some(instants) => instants.nanoseconds().iter().for_each(|it| hash(&mut hasher, *it)),
            None => hasher.update(&digest_of(array)?.to_le_bytes()),
        }
        found.tile = Some((self.tile, hasher.digest128()));
        let Some(axis) = self.axis else { return Ok(()) };
        let mut row = Xxh3::new();
        row.update(meaning.as_bytes());
        let mut rows = vec![row; shape[axis] as usize];
        if let Some(instants) = instants {
            let inner: u64 = shape[axis + 1..].iter().product();
            for (place, instant) in (0u64..).zip(instants.nanoseconds()) {
                let row = place / inner.max(1) % shape[axis];
                hash(&mut rows[row as usize], *instant);
            }
        } else {
            let chunk = array.read(&Region::whole(shape))?;
            for (row, hasher) in (0..shape[axis]).zip(&mut rows) {
                let ranges = shape.iter().enumerate();
                let ranges = ranges.map(|(it, &length)| match it == axis {
                    true => row..row + 1,
                    false => 0..length,
                });
                hasher.update(chunk.slice(&Region::new(ranges))?.payload());
            }
        }
        found.rows = Some(rows.iter().map(Xxh3::digest).collect());
        Ok(())
    }
}

fn hash(hasher: &mut Xxh3, instant: Option<i128>) {
    hasher.update(&instant.unwrap_or(i128::MIN).to_le_bytes());
}
