//! Refuses files that cannot become one store, naming two of them; nothing is written before.

use std::collections::BTreeMap;

use cf::{Calendar, Packing, TimeEncoding};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::filled::FilledRun;
use crate::grid::{CheckedGrid, FileGrid, check_grid};
use crate::options::{
    AttributePolicy, BakeOptions, DimOrderPolicy, PackingPolicy, PresencePolicy, StaticPolicy,
};
use crate::order::{Order, Piece};
use crate::schema::{Attribute, FilePlace, Schema, VariableSchema};
use crate::tiling::Lane;

/// Attributes that say how values are packed: they are one thing.
pub(crate) const PACKING_ATTRIBUTES: [&str; 8] = [
    "scale_factor",
    "add_offset",
    "_FillValue",
    "missing_value",
    "valid_min",
    "valid_max",
    "valid_range",
    "_Unsigned",
];

/// Where the values of a variable come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// From one file, where all have the same or the first is wanted.
    Static(FilePlace),
    /// From all files, along this dimension of the variable.
    Along(usize),
    /// From all files, each value for all elements of its file.
    Repeated,
    /// From the files of a grid, along one of its concat dimensions at least.
    Grid,
}

/// The role of every variable, by name and in the order of the store; how files follow each other;
/// what was noticed.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) roles: Vec<(String, Role)>,
    pub(crate) pieces: Vec<Piece>,
    /// Steps between pieces that are in no file.
    pub(crate) filled: Vec<FilledRun>,
    pub(crate) notes: Vec<String>,
    /// The dimension along which the files of a list follow each other.
    pub(crate) concat: Option<String>,
    /// What was decided about files that are more than a list.
    pub(crate) grid: Option<CheckedGrid>,
}

impl Checked {
    /// Whether some elements of a variable are in no file.
    pub(crate) fn has_holes(&self, schema: &Schema, name: &str, variable: &VariableSchema) -> bool {
        match self.grid.as_ref().and_then(|grid| grid.roles.get(name)) {
            Some(role) => role.has_holes,
            None => {
                let is_filled = !self.filled.is_empty() && !self.is_filled_axis(name);
                variable.has_holes(schema) || is_filled
            }
        }
    }

    /// Whether it is the coordinate that goes on where steps are missing.
    pub(crate) fn is_filled_axis(&self, name: &str) -> bool {
        !self.filled.is_empty() && self.concat.as_deref() == Some(name)
    }

    /// The elements of a list of files along the concat dimension.
    pub(crate) fn list(&self) -> Lane {
        Lane::of_list(&self.pieces, &self.filled)
    }
}

/// Checks that all files can become one store.
pub(crate) fn check(
    schema: &Schema,
    concat: Option<&str>,
    options: &BakeOptions,
) -> Result<Checked> {
    check_wanted(schema, options)?;
    check_steps(schema)?;
    let grid = FileGrid::asked(options)?;
    if let (Some(pattern), Some(grid)) = (&options.pattern, grid.as_ref().filter(|it| it.is_grid()))
    {
        return check_grid(schema, grid, pattern, options);
    }
    let mut checked = Checked::default();
    let mut variables: Vec<_> = schema.variables.iter().collect();
    variables.sort_by_key(|(_, variable)| variable.order);
    let mut present = Vec::new();
    for (name, variable) in variables {
        if check_presence(schema, name, variable, options.presence, &mut checked.notes)? {
            check_shape(schema, name, variable, (options.dim_order, &mut checked.notes))?;
            present.push((name, variable));
        }
    }
    check_lengths(schema)?;
    check_attributes(schema, None, &schema.attributes, options)?;
    for (name, variable) in present {
        check_attributes(schema, Some((name.as_str(), variable)), &variable.attributes, options)?;
        let role = check_values(schema, name, variable, concat, options, &mut checked.notes)
            .map_err(|error| error.at("variable", name))?;
        checked.roles.push((name.clone(), role));
    }
    let is_joined = checked.roles.iter().any(|(_, role)| !matches!(role, Role::Static(_)));
    let is_as_given = grid.is_some_and(|grid| grid.is_as_given(0, options));
    let order = match concat.filter(|_| is_joined && !is_as_given) {
        Some(concat) => Order::new(schema, concat, options)?,
        None => Order::as_given(schema),
    };
    checked.concat = concat.map(str::to_owned);
    checked.pieces = order.pieces;
    checked.filled = order.filled;
    checked.notes.extend(order.notes);
    Ok(checked)
}

/// A variable that no file has was misspelled.
fn check_wanted(schema: &Schema, options: &BakeOptions) -> Result<()> {
    let missing = options.variables.iter().find(|name| !schema.variables.contains_key(*name));
    let Some(name) = missing else { return Ok(()) };
    let message = format!("no file has a variable `{name}`");
    let error = Error::new(ErrorCode::UNKNOWN_VARIABLE, ErrorKind::InvalidInput, message);
    Err(error.mend("`levain inspect` shows what a file has"))
}

/// A step that changes nothing in any file names what was misspelled.
fn check_steps(schema: &Schema) -> Result<()> {
    let Some((step, name)) = schema.unknown.iter().flatten().next() else { return Ok(()) };
    let message = format!("no file has a variable `{name}`");
    let error = Error::new(ErrorCode::UNKNOWN_VARIABLE, ErrorKind::InvalidInput, message);
    Err(error.at("step", step).mend("`levain inspect` shows what a file has"))
}

/// Whether a variable is baked.
fn check_presence(
    schema: &Schema,
    name: &str,
    variable: &VariableSchema,
    policy: PresencePolicy,
    notes: &mut Vec<String>,
) -> Result<bool> {
    if variable.file_count as usize == schema.files.len() {
        return Ok(true);
    }
    let lacking = Lacking {
        count: schema.files.len() - variable.file_count as usize,
        file_count: schema.files.len(),
        first: schema.files.keys().find(|&&file| !variable.files.contains(file)).copied(),
    };
    check_lacking(schema, name, variable, &lacking, policy, notes)
}

/// Files that lack a variable: how many, of how many, and the first.
pub(crate) struct Lacking {
    pub(crate) count: usize,
    pub(crate) file_count: usize,
    pub(crate) first: Option<FilePlace>,
}

/// Whether a variable that some files lack is baked.
pub(crate) fn check_lacking(
    schema: &Schema,
    name: &str,
    variable: &VariableSchema,
    lacking: &Lacking,
    policy: PresencePolicy,
    notes: &mut Vec<String>,
) -> Result<bool> {
    let (count, all) = (lacking.count, lacking.file_count);
    let lacking = lacking.first.map_or("?", |file| schema.location(file));
    let how = match policy {
        PresencePolicy::Union => "is filled there",
        PresencePolicy::Intersection => "is left out",
        PresencePolicy::Error => {
            let message = format!("the variable is missing in {count} of {all} files");
            return Err(Error::new(ErrorCode::VARIABLE_MISSING, ErrorKind::Conflict, message)
                .at("variable", name)
                .at("there in", schema.location(variable.order.0))
                .at("not in", lacking)
                .mend(
                    "say what becomes of it: --missing-vars union fills it, intersection leaves it \
                     out; or choose variables with --vars",
                ));
        }
    };
    notes.push(format!("{name} is missing in {count} of {all} files and {how} (first {lacking})"));
    Ok(policy == PresencePolicy::Union)
}

/// Refuses attributes that differ, where that is asked for; packings and times are decided apart.
pub(crate) fn check_attributes(
    schema: &Schema,
    variable: Option<(&str, &VariableSchema)>,
    attributes: &BTreeMap<String, Attribute>,
    options: &BakeOptions,
) -> Result<()> {
    if options.attributes != AttributePolicy::Error {
        return Ok(());
    }
    let counts_time = variable.is_some_and(|(_, it)| it.time.first().is_some());
    let is_own = |name: &str| {
        // Calendars may have two names, and others are refused as such.
        let is_of_time = name == "units" || (counts_time && name == "calendar");
        !PACKING_ATTRIBUTES.contains(&name) && !is_of_time
    };
    let mut differing = attributes.iter().filter(|(name, _)| is_own(name));
    let found = differing.find_map(|(name, attribute)| Some((name, attribute.conflict()?)));
    let Some((name, [(a, _), (b, _)])) = found else { return Ok(()) };
    let message = format!("the attribute `{name}` differs");
    let error = between(schema, ErrorCode::ATTRIBUTES_DIFFER, message, a, b);
    let error = variable.map_or(error.clone(), |(name, _)| error.at("variable", name));
    Err(error.mend("--attrs drop-conflicts leaves it out, --attrs first keeps the first"))
}

/// The same dimensions in another order are turned, unless that is refused too; others are refused.
pub(crate) fn check_shape(
    schema: &Schema,
    name: &str,
    variable: &VariableSchema,
    (policy, notes): (DimOrderPolicy, &mut Vec<String>),
) -> Result<()> {
    let Some([(a, first), (b, other)]) = variable.dimensions.conflict() else { return Ok(()) };
    let has_another_order = variable.dimension_set.conflict().is_none();
    if has_another_order && policy == DimOrderPolicy::Transpose {
        notes.push(format!(
            "the dimensions of {name} are turned to ({}) where they are in another order (first in {})",
            first.join(", "),
            schema.location(b)
        ));
        return Ok(());
    }
    let message = format!(
        "the dimensions of a variable differ: ({}) and ({})",
        first.join(", "),
        other.join(", ")
    );
    let mend = match has_another_order {
        true => "--dim-order transpose turns them to the order of the first file",
        false => "bake files of one layout together, or choose other variables with --vars",
    };
    Err(between(schema, ErrorCode::GRIDS_DIFFER, message, a, b).at("variable", name).mend(mend))
}

/// Dimensions along which files do not follow each other have one length.
pub(crate) fn check_lengths(schema: &Schema) -> Result<()> {
    for (name, dimension) in &schema.dimensions {
        if let Some([(a, first), (b, other)]) = dimension.conflict() {
            let message = format!("dimension `{name}` has {first} elements and {other} elements");
            return Err(between(schema, ErrorCode::GRIDS_DIFFER, message, a, b).mend(
                "only the concat dimension may differ in length, say which with --concat; or \
                     join files by their coordinates with --join outer or inner",
            ));
        }
    }
    Ok(())
}

/// The role of a variable along one concat dimension at the most.
pub(crate) fn check_values(
    schema: &Schema,
    name: &str,
    variable: &VariableSchema,
    concat: Option<&str>,
    options: &BakeOptions,
    notes: &mut Vec<String>,
) -> Result<Role> {
    let statics = options.statics;
    let dimensions = variable.dimensions.first();
    let mut along = (0..dimensions.len()).filter(|&it| Some(dimensions[it].as_str()) == concat);
    if let Some(axis) = along.next() {
        if along.next().is_some() && schema.files.len() > 1 {
            let message = format!(
                "`{name}` has the dimension `{}` twice and cannot be joined",
                dimensions[axis]
            );
            return Err(
                refuse(ErrorCode::GRIDS_DIFFER, message).mend("choose other variables with --vars")
            );
        }
        check_meaning(schema, variable, options.packing)?;
        return Ok(Role::Along(axis));
    }
    let first = Role::Static(variable.order.0);
    let values = variable.digest.as_ref().and_then(|digest| digest.conflict());
    let values = values.map(|[(a, _), (b, _)]| Differing { a, b, how: "differs".to_owned() });
    let is_coordinate = dimensions.len() == 1 && dimensions[0] == name;
    let spread = match (statics, &variable.spread) {
        (StaticPolicy::Close(tolerance), Some(spread)) => spread.within(tolerance),
        _ => None,
    };
    let values = match spread.filter(|_| values.is_some()) {
        Some(difference) => {
            notes.push(format!(
                "{name} differs by up to {difference:e} between files; that of the first is taken"
            ));
            None
        }
        None => values,
    };
    if let Some(Differing { a, b, .. }) = values.as_ref().filter(|_| is_coordinate) {
        let message = format!("the files are on different grids: `{name}` differs");
        return Err(between(schema, ErrorCode::GRIDS_DIFFER, message, *a, *b).mend(
            "bake each grid into a store of its own, or join them: --join outer takes the \
                 elements of any, inner those of all; where it is one grid, rounded, \
                 --static close:1e-9 takes the first",
        ));
    }
    if statics == StaticPolicy::First {
        return Ok(first);
    }
    // Equal numbers that mean different things are different values.
    let Some(Differing { a, b, how }) = values.or_else(|| differing_meaning(variable)) else {
        check_packing_is_read(schema, variable)?;
        return check_units(schema, variable).map(|()| first);
    };
    let dimension = concat.unwrap_or("concat");
    if statics == StaticPolicy::Concat && concat.is_some() && !is_coordinate {
        check_meaning(schema, variable, options.packing)?;
        return Ok(Role::Repeated);
    }
    let message =
        format!("`{name}` does not have the dimension `{dimension}` and {how} between files");
    let mend = format!(
        "--static first keeps the one of the first file, \
         --static concat gives it the dimension `{dimension}`"
    );
    Err(between(schema, ErrorCode::STATIC_DIFFERS, message, a, b).mend(mend))
}

/// Two files in which a variable differs, and in what way.
struct Differing {
    a: FilePlace,
    b: FilePlace,
    how: String,
}

/// Two files in which the same numbers mean different things.
fn differing_meaning(variable: &VariableSchema) -> Option<Differing> {
    if let Some([(a, first), (b, other)]) = variable.time.conflict() {
        let how = format!("counts time as {} and as {}", time_text(first), time_text(other));
        return Some(Differing { a, b, how });
    }
    let [(a, first), (b, other)] = variable.packing.conflict()?;
    Some(Differing {
        a,
        b,
        how: format!("is packed differently ({})", packings_text(first, other)),
    })
}

/// The same numbers must mean the same in all files, or be times that can be encoded anew.
pub(crate) fn check_meaning(
    schema: &Schema,
    variable: &VariableSchema,
    packing: PackingPolicy,
) -> Result<()> {
    if let Some([(a, first), (b, other)]) = variable.calendars_differ() {
        let message = format!("times of the {first} and of the {other} calendar cannot be joined");
        return Err(between(schema, ErrorCode::TIMES_DIFFER, message, a, b)
            .mend("bake each calendar into a store of its own"));
    }
    if needs_new_times(variable) {
        return Ok(());
    }
    if let Some([(a, first), (b, other)]) = variable.time.conflict() {
        let message =
            format!("times cannot be joined: {} and {}", time_text(first), time_text(other));
        return Err(between(schema, ErrorCode::TIMES_DIFFER, message, a, b)
            .mend("bring all files to one unit and calendar first"));
    }
    let is_decoded = packing != PackingPolicy::Error && variable.decoded_dtype().is_some();
    if let Some([(a, first), (b, other)]) = variable.packing.conflict().filter(|_| !is_decoded) {
        let message = format!("the values are packed differently: {}", packings_text(first, other));
        return Err(between(schema, ErrorCode::PACKINGS_DIFFER, message, a, b)
            .mend("bake files of one packing together, or let --packing decode unpack them"));
    }
    check_packing_is_read(schema, variable)?;
    check_units(schema, variable)
}

fn time_text(time: &Option<(String, String)>) -> String {
    time.as_ref().map_or("no time".to_owned(), |(units, calendar)| {
        format!("`{units}` {calendar}").trim().to_owned()
    })
}

fn packings_text(first: &Packing, other: &Packing) -> String {
    first.difference(other).unwrap_or_else(|| "the packings differ".to_owned())
}

/// A packing that nobody can read must at least be written the same in all files.
fn check_packing_is_read(schema: &Schema, variable: &VariableSchema) -> Result<()> {
    let Some((file, why)) = &variable.mistake else { return Ok(()) };
    let differs = |name: &&&str| {
        let attribute = variable.attributes.get(**name);
        attribute.is_some_and(|it| it.conflict().is_some() || it.count() != variable.file_count)
    };
    let Some(name) = PACKING_ATTRIBUTES.iter().find(differs) else { return Ok(()) };
    let message = format!("`{name}` is not the same in all files, and {why}");
    Err(refuse(ErrorCode::PACKINGS_DIFFER, message)
        .at("source", schema.location(*file))
        .mend("correct the attribute, or bake files of one packing together"))
}

/// Other units are other values, even where the numbers agree.
fn check_units(schema: &Schema, variable: &VariableSchema) -> Result<()> {
    let Some(units) = variable.attributes.get("units") else { return Ok(()) };
    let Some([(a, (_, first)), (b, (_, other))]) = units.conflict() else { return Ok(()) };
    let text = |value: &array::AttributeValue| value.as_text().unwrap_or("no text").to_owned();
    let message = format!("the units differ: `{}` and `{}`", text(first), text(other));
    Err(between(schema, ErrorCode::TIMES_DIFFER, message, a, b)
        .mend("bring all files to one unit first"))
}

/// Whether a variable counts time in ways that differ, and all its times are known.
pub(crate) fn needs_new_times(variable: &VariableSchema) -> bool {
    let differs = variable.time.conflict().is_some() || variable.packing.conflict().is_some();
    differs && variable.time.first().is_some() && variable.span().is_some()
}

/// The encoding that the first file has, for files of this calendar.
pub(crate) fn first_encoding(variable: &VariableSchema) -> Result<TimeEncoding> {
    let (units, calendar) = variable.time.first().clone().unwrap_or_default();
    let calendar = if calendar.is_empty() { Calendar::Standard } else { calendar.parse()? };
    TimeEncoding::of_units(&units, calendar)
}

pub(crate) fn between(
    schema: &Schema,
    code: ErrorCode,
    message: impl AsRef<str>,
    a: FilePlace,
    b: FilePlace,
) -> Error {
    Error::new(code, ErrorKind::Conflict, message)
        .at("file 1", schema.location(a))
        .at("file 2", schema.location(b))
}

fn refuse(code: ErrorCode, message: impl AsRef<str>) -> Error {
    Error::new(code, ErrorKind::Conflict, message)
}
