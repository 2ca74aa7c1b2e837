//! Where the values of every variable of a grid come from.

use std::collections::{BTreeMap, BTreeSet};

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::check::{
    Checked, Lacking, Role, between, check_attributes, check_lacking, check_lengths, check_meaning,
    check_shape, check_values,
};
use crate::grid::FileGrid;
use crate::grid::agree::keys_of;
use crate::grid::join::Joined;
use crate::grid::sequence::Sequence;
use crate::options::{BakeOptions, StaticPolicy};
use crate::pattern::{CombineOp, FilePattern};
use crate::schema::{FilePlace, Schema, VariableSchema};
use crate::source::GridAxis;
use crate::tiling::{Lane, Segment};

/// Where the values of one variable come from.
#[derive(Debug)]
pub(crate) struct GridRole {
    /// The place to which those of segments are added.
    pub(crate) first: FilePlace,
    /// The dimensions along which its files follow each other; those that files lack come first.
    pub(crate) axes: Vec<GridAxis>,
    /// Whether some of its elements are in no file.
    pub(crate) has_holes: bool,
}

/// What was decided about a grid.
#[derive(Debug, Default)]
pub(crate) struct CheckedGrid {
    pub(crate) lanes: Vec<Lane>,
    /// The concat dimensions, each with its elements in the store.
    pub(crate) lengths: Vec<(String, u64)>,
    /// The variables along some of them.
    pub(crate) roles: BTreeMap<String, GridRole>,
}

impl CheckedGrid {
    /// The dimensions that a variable gets and its files do not have.
    pub(crate) fn repeated(&self, name: &str) -> Vec<String> {
        let axes = self.roles.get(name).into_iter().flat_map(|role| &role.axes);
        axes.filter(|axis| axis.is_repeated).map(|axis| self.lengths[axis.dim].0.clone()).collect()
    }

    /// Elements of the store along a concat dimension.
    pub(crate) fn length(&self, name: &str) -> Option<u64> {
        self.lengths.iter().find(|(known, _)| known == name).map(|(_, length)| *length)
    }

    fn lane(&mut self, lane: Lane) -> usize {
        let known = self.lanes.iter().position(|it| *it == lane);
        known.unwrap_or_else(|| {
            self.lanes.push(lane);
            self.lanes.len() - 1
        })
    }
}

/// Checks that all files of a grid can become one store.
///
/// # Errors
/// Files that are missing or contradict each other, where no policy decides.
pub(crate) fn check_grid(
    schema: &Schema,
    grid: &FileGrid,
    pattern: &FilePattern,
    options: &BakeOptions,
) -> Result<Checked> {
    if schema.files.len() != grid.file_count as usize {
        let message =
            format!("{} of {} files of the pattern are there", schema.files.len(), grid.file_count);
        let error = Error::new(ErrorCode::NOTHING_MATCHES, ErrorKind::NotFound, message);
        return Err(error.mend(
            "leave out keys that files lack; --missing-files fill fills what single files lack",
        ));
    }
    let grids = Grids { schema, grid, pattern, options };
    let mut checked = Checked::default();
    let mut variables: Vec<_> = schema.variables.iter().collect();
    variables.sort_by_key(|(_, variable)| variable.order);
    let mut present = Vec::new();
    for (name, variable) in variables {
        let cells = grids.cells_of(variable);
        if grids.check_presence(name, variable, &cells, &mut checked.notes)? {
            check_shape(schema, name, variable, (options.dim_order, &mut checked.notes))?;
            present.push((name, variable, cells));
        }
    }
    check_lengths(schema)?;
    check_attributes(schema, None, &schema.attributes, options)?;
    let mut sequences = Vec::new();
    let mut decided = CheckedGrid::default();
    for (number, dim) in grid.along.iter().enumerate() {
        let sequence = Sequence::new(schema, grid, number, (pattern, options), &mut checked.notes)?;
        decided.lengths.push((dim.name.clone(), sequence.length()));
        sequences.push(sequence);
    }
    for (name, variable, cells) in present {
        check_attributes(schema, Some((name, variable)), &variable.attributes, options)?;
        let found = Found { name, variable, cells };
        let role = grids
            .role(&found, &sequences, &mut decided, &mut checked.notes)
            .map_err(|error| error.at("variable", name))?;
        checked.roles.push((name.clone(), role));
    }
    checked.grid = Some(decided);
    Ok(checked)
}

/// The files of a grid, and what is asked for.
struct Grids<'a> {
    schema: &'a Schema,
    grid: &'a FileGrid,
    pattern: &'a FilePattern,
    options: &'a BakeOptions,
}

/// A variable, and the combinations of merge keys whose files have it, by their first files.
struct Found<'a> {
    name: &'a str,
    variable: &'a VariableSchema,
    cells: Vec<FilePlace>,
}

impl Grids<'_> {
    fn cells_of(&self, variable: &VariableSchema) -> Vec<FilePlace> {
        let places = self.schema.files.keys().filter(|&&it| variable.files.contains(it));
        let cells: BTreeSet<FilePlace> = places.map(|&it| self.grid.cell_start(it)).collect();
        cells.into_iter().collect()
    }

    /// Whether a variable is baked. Files with other merge keys need not have it.
    fn check_presence(
        &self,
        name: &str,
        variable: &VariableSchema,
        cells: &[FilePlace],
        notes: &mut Vec<String>,
    ) -> Result<bool> {
        let file_count = cells.len() * self.grid.files_per_cell() as usize;
        let is_lacking = |place: &&FilePlace| {
            cells.contains(&self.grid.cell_start(**place))
                && !variable.files.contains(**place)
                && !self.schema.holes.contains(*place)
        };
        let count = self.schema.files.keys().filter(is_lacking).count();
        if count == 0 {
            return Ok(true);
        }
        let first = self.schema.files.keys().find(is_lacking).copied();
        let lacking = Lacking { count, file_count, first };
        check_lacking(self.schema, name, variable, &lacking, self.options.presence, notes)
    }

    fn role(
        &self,
        found: &Found<'_>,
        sequences: &[Sequence],
        decided: &mut CheckedGrid,
        notes: &mut Vec<String>,
    ) -> Result<Role> {
        let dimensions = found.variable.dimensions.first();
        let along = |(axis, name): (usize, &String)| Some((axis, self.grid.along_of(name)?));
        let along: Vec<(usize, usize)> = dimensions.iter().enumerate().filter_map(along).collect();
        let dims: BTreeSet<usize> = along.iter().map(|(_, dim)| *dim).collect();
        if dims.len() < along.len() {
            let message =
                format!("`{}` has a concat dimension twice and cannot be joined", found.name);
            let error = Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
            return Err(error.mend("choose other variables with --vars"));
        }
        let lacked = self.grid.along.iter().enumerate();
        let lacked = lacked.filter(|(dim, it)| it.count > 1 && !dims.contains(dim));
        let lacked: Vec<usize> = lacked.map(|(dim, _)| dim).collect();
        let is_repeated = if along.is_empty() {
            let concat = self.grid.along.first().map(|dim| dim.name.as_str());
            let (schema, name, options) = (self.schema, found.name, self.options);
            match check_values(schema, name, found.variable, concat, options, notes)? {
                Role::Repeated => {
                    self.check_tiles(found, &dims, &lacked, notes)?;
                    true
                }
                role => return Ok(role),
            }
        } else {
            self.check_once(found, &along)?;
            let joined = along.iter().find_map(|&(_, dim)| Some((dim, sequences[dim].joined()?)));
            let differs = match joined {
                Some(joined) => self.check_rows(found, joined, &lacked).map(|()| false)?,
                None => self.check_tiles(found, &dims, &lacked, notes)?,
            };
            check_meaning(self.schema, found.variable, self.options.packing)?;
            differs
        };
        let repeated = if is_repeated { lacked.as_slice() } else { &[] };
        let role = self.lay(found, (&along, repeated), sequences, decided)?;
        decided.roles.insert(found.name.to_owned(), role);
        Ok(Role::Grid)
    }

    /// Refuses data that files of several merge keys have: only of coordinates is it known that
    /// they are the same.
    fn check_once(&self, found: &Found<'_>, along: &[(usize, usize)]) -> Result<()> {
        let dimensions = found.variable.dimensions.first();
        let is_axis = along.len() == 1 && dimensions.len() == 1 && dimensions[0] == found.name;
        let [first, other, ..] = found.cells.as_slice() else { return Ok(()) };
        if is_axis || found.variable.tiles.is_some() {
            return Ok(());
        }
        let message = format!(
            "the variable is in the files of two merge keys: {} and {}",
            keys_of(self.pattern, *first, |op| op == CombineOp::Merge),
            keys_of(self.pattern, *other, |op| op == CombineOp::Merge)
        );
        let of_cell = |cell: FilePlace| {
            let mut files = self.schema.files.keys();
            let own = |it: &&FilePlace| {
                self.grid.cell_start(**it) == cell && found.variable.files.contains(**it)
            };
            files.find(own).copied().unwrap_or(cell)
        };
        let (a, b) = (of_cell(*first), of_cell(*other));
        Err(between(self.schema, ErrorCode::GRIDS_DIFFER, message, a, b).mend(
            "keep it in the files of one key: drop or rename it in the others, or leave it out with \
             --vars",
        ))
    }

    /// The same where files have other elements, of which only those that several have are compared.
    fn check_rows(
        &self,
        found: &Found<'_>,
        (dim, joined): (usize, &Joined),
        lacked: &[usize],
    ) -> Result<()> {
        let dimensions = found.variable.dimensions.first();
        let is_axis = dimensions.len() == 1 && dimensions[0] == found.name;
        let is_compared = found.variable.tiles.is_some() && !is_axis;
        if !is_compared || self.options.statics == StaticPolicy::First {
            return Ok(());
        }
        let Some(rows) = &found.variable.rows else {
            let message = format!(
                "`{}` cannot be compared element by element between files that have other elements",
                found.name
            );
            let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
            return Err(error.mend("--static first takes that of the first file; or leave it out"));
        };
        let key = |place| (self.grid.cell_start(place), self.grid.along[dim].position(place));
        match joined.differing(rows, key) {
            Some([a, b]) => Err(self.differing(found.name, false, lacked, a, b)),
            None => Ok(()),
        }
    }

    /// Refuses a variable that differs between files that should have the same; whether it differs
    /// along dimensions that it lacks and gets them.
    fn check_tiles(
        &self,
        found: &Found<'_>,
        dims: &BTreeSet<usize>,
        lacked: &[usize],
        notes: &mut Vec<String>,
    ) -> Result<bool> {
        let Some(tiles) = &found.variable.tiles else { return Ok(false) };
        let statics = self.options.statics;
        let dimensions = found.variable.dimensions.first();
        let is_coordinate = dimensions.len() == 1 && dimensions[0] == found.name;
        let mut greatest: Option<f64> = None;
        for (tile, digest) in tiles {
            let Some([(a, _), (b, _)]) = digest.conflict() else { continue };
            let spread = found.variable.tile_spreads.as_ref().and_then(|it| it.get(tile));
            let difference = match statics {
                StaticPolicy::First => return Ok(false),
                StaticPolicy::Close(tolerance) => spread.and_then(|it| it.within(tolerance)),
                _ => None,
            };
            let Some(difference) = difference else {
                return Err(self.differing(found.name, is_coordinate, lacked, a, b));
            };
            greatest = Some(greatest.unwrap_or(0.0).max(difference));
        }
        notes.extend(greatest.map(|difference| {
            let name = found.name;
            format!("{name} differs by up to {difference:e} between files; the first is taken")
        }));
        if statics != StaticPolicy::Concat || lacked.is_empty() {
            return Ok(false);
        }
        // Tiles are then those of all concat dimensions, not only of its own.
        let mut own: BTreeMap<u32, (FilePlace, u128)> = BTreeMap::new();
        for (tile, digest) in tiles {
            let key = dims.iter().map(|&dim| self.grid.along[dim].offset(*tile)).sum();
            let here = (digest.first_file(), *digest.first());
            let known = own.entry(key).or_insert(here);
            if known.1 != here.1 {
                if is_coordinate {
                    return Err(self.differing(found.name, true, lacked, known.0, here.0));
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn differing(
        &self,
        name: &str,
        is_coordinate: bool,
        lacked: &[usize],
        a: FilePlace,
        b: FilePlace,
    ) -> Error {
        if is_coordinate {
            let message = format!("the files are on different grids: `{name}` differs");
            return between(self.schema, ErrorCode::GRIDS_DIFFER, message, a, b)
                .mend("bake each grid into a store of its own");
        }
        if self.grid.cell_start(a) != self.grid.cell_start(b) {
            let message = format!("`{name}` differs between the files of merge keys");
            return between(self.schema, ErrorCode::STATIC_DIFFERS, message, a, b).mend(
                "--static first keeps the one of the first file; or leave it out with --vars",
            );
        }
        let lacked: Vec<&str> =
            lacked.iter().map(|&dim| self.grid.along[dim].name.as_str()).collect();
        let lacked = lacked.join("`, `");
        let message =
            format!("`{name}` does not have the dimension `{lacked}` and differs between files");
        let mend = format!(
            "--static first keeps the one of the first file, --static concat gives it `{lacked}`"
        );
        between(self.schema, ErrorCode::STATIC_DIFFERS, message, a, b).mend(mend)
    }

    /// Which files a variable is read from, element by element.
    fn lay(
        &self,
        found: &Found<'_>,
        (along, repeated): (&[(usize, usize)], &[usize]),
        sequences: &[Sequence],
        decided: &mut CheckedGrid,
    ) -> Result<GridRole> {
        let is_joined = along.iter().any(|&(_, dim)| sequences[dim].joined().is_some());
        // Elements that only some merge keys have are put together where that is a sum of places.
        let is_shared = is_joined && found.cells.len() > 1 && along.len() == 1;
        let first = found.variable.order.0;
        let own_cell = [self.grid.cell_start(first)];
        let cells = if is_shared { found.cells.as_slice() } else { &own_cell };
        let own = along.iter().map(|&(_, dim)| dim).chain(repeated.iter().copied());
        let mut base: FilePlace =
            first - own.map(|dim| self.grid.along[dim].offset(first)).sum::<u32>();
        if is_shared {
            base -= self.grid.cell_start(first);
        }
        if let ([(axis, dim)], true) = (along, repeated.is_empty() && !is_joined)
            && let Some(lane) = self.lane_around_holes(found, *dim, &sequences[*dim].lane(cells))
        {
            let has_holes = lane.has_holes();
            let axes =
                GridAxis { axis: *axis, dim: *dim, lane: decided.lane(lane), is_repeated: false };
            return Ok(GridRole { first: 0, axes: vec![axes], has_holes });
        }
        let mut has_holes = false;
        let repeated_axes = repeated.iter().enumerate().map(|(axis, &dim)| (axis, dim, true));
        let own_axes = along.iter().map(|&(axis, dim)| (axis + repeated.len(), dim, false));
        let mut axes = Vec::new();
        for (axis, dim, is_repeated) in repeated_axes.chain(own_axes) {
            let lane = sequences[dim].lane(cells);
            has_holes |= lane.has_holes();
            axes.push(GridAxis { axis, dim, lane: decided.lane(lane), is_repeated });
        }
        if has_holes && found.cells.len() > 1 && !is_shared {
            let message = format!(
                "`{}` lies along several dimensions, and only the files of all merge keys together \
                 have all of it",
                found.name
            );
            let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
            return Err(error.mend("say --join inner, or leave it out with --vars"));
        }
        let file_count = found.cells.len() * self.grid.files_per_cell() as usize;
        let is_lacking = (found.variable.file_count as usize) < file_count;
        if is_lacking {
            self.check_fillable(found, along, base)?;
        }
        Ok(GridRole { first: base, axes, has_holes: has_holes || is_lacking })
    }

    /// The elements of a variable along one dimension, each from the first file of its key that has
    /// it, where files are missing; places are those of files then.
    fn lane_around_holes(&self, found: &Found<'_>, dim: usize, lane: &Lane) -> Option<Lane> {
        let has = |place: &&FilePlace| found.variable.files.contains(**place);
        if self.schema.holes.is_empty() {
            return None;
        }
        let along = &self.grid.along[dim];
        let around = |segment: &Segment| {
            let position = segment.file? / along.stride;
            let mut files = self.schema.files.keys().filter(has);
            files.find(|place| along.position(**place) == position).copied()
        };
        let segments = lane.0.iter().map(|it| Segment { file: around(it), ..*it });
        Some(Lane(segments.collect()))
    }

    /// Refuses to fill what another file has.
    fn check_fillable(
        &self,
        found: &Found<'_>,
        along: &[(usize, usize)],
        base: FilePlace,
    ) -> Result<()> {
        let lacks_some = self.grid.along.iter().filter(|dim| dim.count > 1).count() > along.len();
        if !lacks_some && found.cells.len() == 1 {
            return Ok(());
        }
        let reads = |place: &FilePlace| {
            let own = along.iter().map(|&(_, dim)| self.grid.along[dim].offset(*place));
            base + own.sum::<u32>() == *place
        };
        let mut read = self.schema.files.keys().filter(|place| reads(place));
        let Some(place) = read.find(|&&place| !found.variable.files.contains(place)) else {
            return Ok(());
        };
        let message = "the file lacks a variable that others have for the same elements";
        let error = Error::new(ErrorCode::VARIABLE_MISSING, ErrorKind::Conflict, message);
        Err(error
            .at("file", self.schema.location(*place))
            .mend("leave it out with --missing-vars intersection or --vars"))
    }
}
