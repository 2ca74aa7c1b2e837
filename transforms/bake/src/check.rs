//! Refuses files that cannot become one store, naming two of them; nothing is written before.

use cf::{Calendar, TimeEncoding};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::options::StaticPolicy;
use crate::schema::{AxisPoint, AxisSummary, FilePlace, FileSummary, Schema, VariableSchema};

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
    if let Some(concat) = concat {
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
    Err(between(schema, ErrorCode::GRIDS_DIFFER, message, a, b).at("variable", name))
}

fn check_lengths(schema: &Schema) -> Result<()> {
    for (name, dimension) in &schema.dimensions {
        if let Some([(a, (first, _)), (b, (other, _))]) = dimension.conflict()
            && first != other
        {
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
    let along = concat.and_then(|concat| dimensions.iter().position(|it| it == concat));
    if let Some(axis) = along {
        check_meaning(schema, variable)?;
        return Ok(Role::Along(axis));
    }
    let first = Role::Static(variable.order.0);
    let Some(conflict) = variable.digest.as_ref().and_then(|digest| digest.conflict()) else {
        let is_same = variable.packing.conflict().is_none() && variable.time.conflict().is_none();
        return match (is_same, statics) {
            (true, _) | (false, StaticPolicy::First) => Ok(first),
            // Equal numbers that mean different things are different values.
            (false, _) => check_meaning(schema, variable).map(|()| first),
        };
    };
    let [(a, _), (b, _)] = conflict;
    let is_coordinate = dimensions.len() == 1 && dimensions[0] == name;
    match statics {
        _ if is_coordinate => {
            let message = format!("the files are on different grids: `{name}` differs");
            Err(between(schema, ErrorCode::GRIDS_DIFFER, message, a, b)
                .mend("bake files of one grid together, each grid into a store of its own"))
        }
        StaticPolicy::First => Ok(first),
        StaticPolicy::Concat if concat.is_some() => {
            check_meaning(schema, variable)?;
            Ok(Role::Repeated)
        }
        StaticPolicy::Identical | StaticPolicy::Concat => {
            let dimension = concat.unwrap_or("concat");
            let message = format!(
                "`{name}` does not have the dimension `{dimension}` and differs between files"
            );
            let mend = format!(
                "--static first keeps the one of the first file, \
                 --static concat gives it the dimension `{dimension}`"
            );
            Err(between(schema, ErrorCode::STATIC_DIFFERS, message, a, b).mend(mend))
        }
    }
}

/// The same numbers must mean the same in all files, or be times that can be encoded anew.
fn check_meaning(schema: &Schema, variable: &VariableSchema) -> Result<()> {
    if let Some(Err(why)) = &variable.span {
        let [(a, _), (b, _)] = match variable.time.conflict() {
            Some(conflict) => conflict,
            None => return Err(refuse(ErrorCode::TIMES_DIFFER, why)),
        };
        return Err(between(schema, ErrorCode::TIMES_DIFFER, why.clone(), a, b)
            .mend("bake each calendar into a store of its own"));
    }
    if needs_new_times(variable) {
        return Ok(());
    }
    if let Some([(a, first), (b, other)]) = variable.time.conflict() {
        let text = |time: &Option<(String, String)>| {
            time.as_ref().map_or("no time".to_owned(), |(units, calendar)| {
                format!("`{units}` {calendar}").trim().to_owned()
            })
        };
        let message = format!("times cannot be joined: {} and {}", text(first), text(other));
        return Err(between(schema, ErrorCode::TIMES_DIFFER, message, a, b));
    }
    if let Some([(a, first), (b, other)]) = variable.packing.conflict() {
        let how = first.difference(other).unwrap_or_else(|| "the packings differ".to_owned());
        let message = format!("the values are packed differently: {how}");
        return Err(between(schema, ErrorCode::PACKINGS_DIFFER, message, a, b)
            .mend("bake files of one packing together, or unpack them first"));
    }
    check_units(schema, variable)
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
    differs && variable.time.first().is_some() && matches!(variable.span, Some(Ok(_)))
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
    let axes: Vec<(FilePlace, &FileSummary, &AxisSummary)> =
        present.filter_map(|(place, file)| Some((*place, file, file.axis.as_ref()?))).collect();
    if axes.is_empty() && schema.files.len() > 1 {
        return Ok(vec![format!(
            "`{concat}` has no coordinate: files follow each other as they were given"
        )]);
    }
    for (_, file, axis) in &axes {
        check_within(file, axis, concat)?;
    }
    let is_ascending = axes.iter().find_map(|(_, _, axis)| axis.is_ascending());
    let is_ascending =
        is_ascending.or_else(|| Some(axes.first()?.2.first < axes.last()?.2.first)).unwrap_or(true);
    let mut gaps = Gaps::default();
    for pair in axes.windows(2) {
        let [(a, _, before), (b, _, after)] = pair else { continue };
        check_between(schema, concat, is_ascending, (*a, before), (*b, after))?;
        gaps.look(schema, (*a, before), (*b, after));
    }
    Ok(gaps.note(concat).into_iter().collect())
}

fn check_within(file: &FileSummary, axis: &AxisSummary, concat: &str) -> Result<()> {
    let (place, how) = match (axis.missing_at, axis.turns_at) {
        (Some(place), _) => (place, "has no value"),
        (None, Some(place)) => (place, "does not go on in one direction"),
        (None, None) => return Ok(()),
    };
    let message = format!("`{concat}` {how} at element {place}");
    let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, message);
    Err(error.at("variable", concat).at("source", &file.location))
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

/// Steps that are missing on an axis that is otherwise regular.
#[derive(Default)]
struct Gaps {
    count: u64,
    first: Option<String>,
}

impl Gaps {
    fn look(
        &mut self,
        schema: &Schema,
        (a, before): (FilePlace, &AxisSummary),
        (b, after): (FilePlace, &AxisSummary),
    ) {
        let Some(step) = before.step.or(after.step) else { return };
        let is_regular = [before, after].iter().all(|axis| {
            axis.is_ascending().is_none() || axis.step.is_some_and(|own| own.is_about(step))
        });
        let jump = before.last.distance_to(after.first);
        if !is_regular || jump.is_none_or(|jump| jump.is_about(step)) {
            return;
        }
        self.count += 1;
        self.first.get_or_insert_with(|| {
            format!(
                "from {} in {} to {} in {}",
                before.last.text(before.calendar),
                schema.location(a),
                after.first.text(after.calendar),
                schema.location(b)
            )
        });
    }

    fn note(self, concat: &str) -> Option<String> {
        let first = self.first?;
        Some(match self.count {
            1 => format!("`{concat}` has a gap: {first}"),
            count => format!("`{concat}` has {count} gaps, the first {first}"),
        })
    }
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
