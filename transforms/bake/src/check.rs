//! Refuses files that cannot become one store, naming two of them; nothing is written before.

use cf::{Calendar, Packing, TimeEncoding};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::gaps;
use crate::options::StaticPolicy;
use crate::schema::{AxisPoint, AxisSummary, FilePlace, FileSummary, Schema, VariableSchema};

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
}

/// The role of every variable, by name and in the order of the store; what was noticed.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) roles: Vec<(String, Role)>,
    pub(crate) notes: Vec<String>,
}

/// Checks that all files can become one store.
pub(crate) fn check(
    schema: &Schema,
    concat: Option<&str>,
    statics: StaticPolicy,
) -> Result<Checked> {
    let mut checked = Checked::default();
    let mut variables: Vec<_> = schema.variables.iter().collect();
    variables.sort_by_key(|(_, variable)| variable.order);
    for (name, variable) in &variables {
        check_presence(schema, name, variable)?;
        check_shape(schema, name, variable)?;
    }
    check_lengths(schema)?;
    for (name, variable) in variables {
        let role = check_values(schema, name, variable, concat, statics)
            .map_err(|error| error.at("variable", name))?;
        checked.roles.push((name.clone(), role));
    }
    let is_joined = checked.roles.iter().any(|(_, role)| !matches!(role, Role::Static(_)));
    if let Some(concat) = concat.filter(|_| is_joined) {
        checked.notes.extend(check_order(schema, concat)?);
    }
    Ok(checked)
}

fn check_presence(schema: &Schema, name: &str, variable: &VariableSchema) -> Result<()> {
    if variable.file_count as usize == schema.files.len() {
        return Ok(());
    }
    let lacking = schema.files.keys().find(|&&file| !variable.files.contains(file));
    let count = schema.files.len() - variable.file_count as usize;
    let message = format!("the variable is missing in {count} of {} files", schema.files.len());
    let error = Error::new(ErrorCode::VARIABLE_MISSING, ErrorKind::Conflict, message)
        .at("variable", name)
        .at("there in", schema.location(variable.order.0));
    let error = lacking.map_or(error.clone(), |&file| error.at("not in", schema.location(file)));
    Err(error.mend("leave out the files that lack it, or choose variables with --vars"))
}

fn check_shape(schema: &Schema, name: &str, variable: &VariableSchema) -> Result<()> {
    let Some([(a, first), (b, other)]) = variable.dimensions.conflict() else { return Ok(()) };
    let message = format!(
        "the dimensions of a variable differ: ({}) and ({})",
        first.join(", "),
        other.join(", ")
    );
    Err(between(schema, ErrorCode::GRIDS_DIFFER, message, a, b)
        .at("variable", name)
        .mend("bake files of one layout together, or choose other variables with --vars"))
}

fn check_lengths(schema: &Schema) -> Result<()> {
    for (name, dimension) in &schema.dimensions {
        if let Some([(a, first), (b, other)]) = dimension.conflict() {
            let message = format!("dimension `{name}` has {first} elements and {other} elements");
            return Err(between(schema, ErrorCode::GRIDS_DIFFER, message, a, b)
                .mend("only the concat dimension may differ in length; say which with --concat"));
        }
    }
    Ok(())
}

fn check_values(
    schema: &Schema,
    name: &str,
    variable: &VariableSchema,
    concat: Option<&str>,
    statics: StaticPolicy,
) -> Result<Role> {
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
        check_meaning(schema, variable)?;
        return Ok(Role::Along(axis));
    }
    let first = Role::Static(variable.order.0);
    let values = variable.digest.as_ref().and_then(|digest| digest.conflict());
    let values = values.map(|[(a, _), (b, _)]| Differing { a, b, how: "differs".to_owned() });
    let is_coordinate = dimensions.len() == 1 && dimensions[0] == name;
    if let Some(Differing { a, b, .. }) = values.as_ref().filter(|_| is_coordinate) {
        let message = format!("the files are on different grids: `{name}` differs");
        return Err(between(schema, ErrorCode::GRIDS_DIFFER, message, *a, *b)
            .mend("bake files of one grid together, each grid into a store of its own"));
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
        check_meaning(schema, variable)?;
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
fn check_meaning(schema: &Schema, variable: &VariableSchema) -> Result<()> {
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
    if let Some([(a, first), (b, other)]) = variable.packing.conflict() {
        let message = format!("the values are packed differently: {}", packings_text(first, other));
        return Err(between(schema, ErrorCode::PACKINGS_DIFFER, message, a, b)
            .mend("bake files of one packing together, or unpack them first"));
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

/// The concat coordinate must go on in one direction, from file to file; the notes are gaps.
fn check_order(schema: &Schema, concat: &str) -> Result<Vec<String>> {
    let present = schema.files.iter().filter(|(_, file)| file.concat_length > 0);
    let axes: Vec<(FilePlace, &FileSummary, &AxisSummary)> = present
        .clone()
        .filter_map(|(place, file)| Some((*place, file, file.axis.as_ref()?)))
        .collect();
    if axes.is_empty() && present.count() > 1 {
        return Ok(vec![format!(
            "`{concat}` has no coordinate that tells an order: \
             files follow each other as they were given"
        )]);
    }
    for (_, file, axis) in &axes {
        check_within(file, axis, concat)?;
    }
    let is_ascending = axes.iter().find_map(|(_, _, axis)| axis.is_ascending());
    let is_ascending =
        is_ascending.or_else(|| Some(axes.first()?.2.first < axes.last()?.2.first)).unwrap_or(true);
    for pair in axes.windows(2) {
        let [(a, _, before), (b, _, after)] = pair else { continue };
        check_between(schema, concat, is_ascending, (*a, before), (*b, after))?;
    }
    let axes: Vec<_> = axes.iter().map(|(place, _, axis)| (*place, *axis)).collect();
    Ok(gaps::note(schema, concat, &axes).into_iter().collect())
}

fn check_within(file: &FileSummary, axis: &AxisSummary, concat: &str) -> Result<()> {
    let (place, how) = match (axis.missing_at, axis.turns_at) {
        (Some(place), _) => (place, "has no value"),
        (None, Some(place)) => (place, "does not go on in one direction"),
        (None, None) => return Ok(()),
    };
    let message = format!("`{concat}` {how} at element {place}");
    let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, message);
    Err(error
        .at("variable", concat)
        .at("source", &file.location)
        .mend(format!("put the file in the order of `{concat}` first, each value once")))
}

fn check_between(
    schema: &Schema,
    concat: &str,
    is_ascending: bool,
    (a, before): (FilePlace, &AxisSummary),
    (b, after): (FilePlace, &AxisSummary),
) -> Result<()> {
    let goes_on = |earlier: AxisPoint, later: AxisPoint| {
        if is_ascending { earlier < later } else { earlier > later }
    };
    let runs_back = after.is_ascending().is_some_and(|it| it != is_ascending);
    if goes_on(before.last, after.first) && !runs_back {
        return Ok(());
    }
    let text = |point: AxisPoint| point.text(before.calendar);
    let (message, mend) = if runs_back {
        (
            format!("`{concat}` runs the other way in one of the files"),
            "turn that file round first".to_owned(),
        )
    } else if goes_on(after.last, before.first) {
        (
            format!(
                "the files are not in order: `{concat}` ends at {} and goes on at {}",
                text(before.last),
                text(after.first)
            ),
            format!("name the files in the order of `{concat}`"),
        )
    } else if before.last == after.first {
        (
            format!("two files hold the same `{concat}`: {}", text(after.first)),
            "leave one of the files out, or cut the overlap off first".to_owned(),
        )
    } else {
        (
            format!(
                "two files overlap: one holds `{concat}` up to {}, the next begins at {}",
                text(before.last),
                text(after.first)
            ),
            "leave one of the files out, or cut the overlap off first".to_owned(),
        )
    };
    Err(between(schema, ErrorCode::NOT_ASCENDING, message, a, b).mend(mend))
}

fn between(
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
