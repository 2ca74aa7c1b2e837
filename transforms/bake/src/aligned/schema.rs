//! What files say, as if all had the elements of the store along dimensions that are joined.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::aligned::AlignedDim;
use crate::check::between;
use crate::options::{BakeOptions, JoinPolicy, StaticPolicy};
use crate::schema::{FilePlace, KnownAxes, Schema, VariableSchema};

/// The dimensions that are joined, and what files say once they are.
#[derive(Debug)]
pub(crate) struct Aligned {
    pub(crate) dims: Vec<AlignedDim>,
    pub(crate) schema: Schema,
    pub(crate) notes: Vec<String>,
}

/// Whether a variable lies along one of these dimensions.
pub(crate) fn is_aligned(dims: &[AlignedDim], dimensions: &[String]) -> bool {
    dims.iter().any(|dim| dimensions.contains(&dim.name))
}

/// Joins the dimensions along which no file follows another and of which files have other elements,
/// if a policy asks for it; `None` where there is none.
///
/// # Errors
/// Coordinates by which elements cannot be told apart, and variables of which it cannot be said
/// where they are missing.
pub(crate) fn align(schema: &Schema, options: &BakeOptions) -> Result<Option<Aligned>> {
    if options.join == JoinPolicy::Error {
        return Ok(None);
    }
    let mut aligned: Option<Aligned> = None;
    for (name, known) in &schema.coordinates {
        if known.axes().len() < 2 || is_close(schema, name, options) {
            continue;
        }
        let dim = joined(schema, name, known, options.join);
        let dim = dim.map_err(|error| named(schema, error, name, known))?;
        let into = aligned.get_or_insert_with(|| Aligned {
            dims: Vec::new(),
            schema: schema.clone(),
            notes: Vec::new(),
        });
        for (name, variable) in &mut into.schema.variables {
            align_variable(schema, name, variable, &dim)
                .map_err(|error| error.at("variable", name).at("dimension", &dim.name))?;
        }
        let (length, way_count) = (dim.length(), known.axes().len());
        if let Some(lengths) = into.schema.dimensions.get_mut(name) {
            lengths.settle(length);
        }
        into.notes.push(format!(
            "the files have {way_count} different `{name}`: joined ({}) to {length}",
            options.join
        ));
        into.dims.push(dim);
    }
    Ok(aligned)
}

/// Whether the coordinates of all files are one, up to what is allowed.
fn is_close(schema: &Schema, name: &str, options: &BakeOptions) -> bool {
    let spread = schema.variables.get(name).and_then(|it| it.spread.as_ref());
    match (options.statics, spread) {
        (StaticPolicy::Close(tolerance), Some(spread)) => spread.within(tolerance).is_some(),
        _ => false,
    }
}

fn joined(schema: &Schema, name: &str, known: &KnownAxes, join: JoinPolicy) -> Result<AlignedDim> {
    let variable = schema.variables.get(name);
    let variable = variable.ok_or_else(|| Error::internal(format!("`{name}` has no schema")))?;
    let lengths = schema.dimensions.get(name);
    let is_known = lengths.is_some_and(|it| it.count() as usize == known.file_count());
    let is_plain = variable.dtype.conflict().is_none()
        && variable.packing.conflict().is_none()
        && !variable.packing.first().is_scaled()
        && variable.time.conflict().is_none()
        && variable.time.first().is_none();
    if is_known && is_plain {
        return AlignedDim::new(name, *variable.dtype.first(), known, join);
    }
    let message = format!(
        "the files are on different grids, and `{name}` is not a coordinate of unpacked numbers of \
         one type in all of them, by which they could be joined"
    );
    let error = Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
    Err(error.mend("bake each grid into a store of its own, or cast the coordinate first"))
}

/// Adds the dimension, and two files that differ.
fn named(schema: &Schema, error: Error, name: &str, known: &KnownAxes) -> Error {
    let mut firsts: Vec<FilePlace> = schema.files.keys().copied().collect();
    let mut seen = Vec::new();
    firsts.retain(|&file| {
        let way = known.axes().iter().position(|(_, files)| files.contains(file));
        let is_new = way.is_some_and(|way| !seen.contains(&way));
        seen.extend(way.filter(|_| is_new));
        is_new
    });
    let error = error.at("dimension", name);
    let files = firsts.into_iter().zip(["file 1", "file 2"]);
    files.fold(error, |error, (file, role)| error.at(role, schema.location(file)))
}

/// What files say of a variable, once they have all elements.
fn align_variable(
    schema: &Schema,
    name: &str,
    variable: &mut VariableSchema,
    dim: &AlignedDim,
) -> Result<()> {
    if !variable.dimensions.first().contains(&dim.name) {
        return Ok(());
    }
    variable.encoding.settle(None);
    if *variable.dimensions.first() == [name] {
        if let Some(digest) = &mut variable.digest {
            digest.settle(0);
        }
        (variable.spread, variable.tiles, variable.tile_spreads) = (None, None, None);
        return Ok(());
    }
    let own: Vec<FilePlace> =
        schema.files.keys().copied().filter(|&file| variable.files.contains(file)).collect();
    let way = |file: &FilePlace| dim.way(*file);
    let first = own.first().and_then(way);
    let other = own.iter().find(|&file| way(file) != first);
    if let (Some(a), Some(&b)) = (own.first(), other)
        && (variable.digest.is_some() || variable.tiles.is_some())
    {
        let message = format!(
            "`{name}` should be the same in these files, and they have other elements of `{}`",
            dim.name
        );
        let error = between(schema, ErrorCode::STATIC_DIFFERS, message, *a, b);
        return Err(error.mend("leave it out with --vars or a step `drop`"));
    }
    let lacks = |file: &&FilePlace| dim.lane(**file).is_some_and(crate::tiling::Lane::has_holes);
    let Some(file) = own.iter().find(lacks) else { return Ok(()) };
    let says_missing = says_missing(variable);
    if says_missing && variable.time.first().is_none() {
        return Ok(());
    }
    let stored = variable.dtype.first();
    let message =
        format!("elements of {stored} cannot say that they are missing along `{}`", dim.name);
    let error = Error::new(ErrorCode::VARIABLE_MISSING, ErrorKind::Conflict, message);
    Err(error.at("source", schema.location(*file)).mend(
        "say --join inner, cast it to a float with a step `cast`, or leave it out with --vars",
    ))
}

/// Whether an element can say that it is missing, in every file.
fn says_missing(variable: &VariableSchema) -> bool {
    let in_all = |name: &str| {
        variable.attributes.get(name).is_some_and(|it| it.count() == variable.file_count)
    };
    let of_type = || variable.dtype.first().is_float() && variable.dtype.conflict().is_none();
    in_all("_FillValue") || in_all("missing_value") || of_type()
}
