//! What metadata and coordinates say: the checks that read no data.

use array::{AttributeValue, Attributes, Dataset, DatasetSource, Variable};
use cf::{declares_time, nonconformances};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use super::check::{Check, CheckLevel, Checks};
use super::coordinate::disorder;
use super::report::{ValidationFinding, ValidationReport};
use super::values::is_numeric;

/// Makes the checks of metadata and of coordinates, and adds to a report what they find.
///
/// Memory: one chunk of a coordinate. Cost: coordinates are read.
///
/// # Errors
/// A coordinate that cannot be read.
pub fn check_metadata(
    source: &dyn DatasetSource,
    checks: &Checks,
    report: &mut ValidationReport,
) -> Result<()> {
    for check in checks.iter() {
        match check {
            Check::Cf { level } => check_cf(source, (check, *level), report)?,
            Check::Monotonic { vars, .. } => {
                for variable in monotonic(source.dataset(), vars) {
                    check_order(source, variable, check, report)?;
                }
            }
            Check::Attributes { names, vars, .. } => {
                check_attributes(source.dataset(), (names, vars), check, report);
            }
            Check::NoNanChunks { .. } | Check::Range { .. } => {}
        }
    }
    Ok(())
}

impl Checks {
    /// Refuses checks that nothing can be made of in a store like this: of variables that are not
    /// there, are no numbers, or are no coordinates where these are asked for.
    ///
    /// # Errors
    /// The first of them.
    pub fn check_against(&self, dataset: &Dataset) -> Result<()> {
        for check in self.iter() {
            let refuse = |about: String| {
                let message = format!("the check `{check}` {about}");
                Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
            };
            let (vars, needs_numbers) = match check {
                Check::Cf { .. } => continue,
                Check::Attributes { vars, .. } => (vars, false),
                Check::NoNanChunks { vars, .. } | Check::Range { vars, .. } => (vars, true),
                Check::Monotonic { vars, .. } => (vars, true),
            };
            for name in vars {
                let known = dataset.expect_variable(name);
                let variable = known.map_err(|error| error.at("check", check))?;
                if needs_numbers && !is_numeric(variable) {
                    let about = format!("is about `{name}`, whose elements are {}", variable.dtype);
                    return Err(refuse(about).mend("name variables of numbers"));
                }
                if matches!(check, Check::Monotonic { .. }) && variable.dimensions.len() != 1 {
                    let about = format!("is about `{name}`, which has not one dimension");
                    return Err(refuse(about).mend("name coordinates of one dimension"));
                }
            }
            if matches!(check, Check::Monotonic { .. }) && monotonic(dataset, vars).next().is_none()
            {
                let about = "has nothing to look at: no coordinate counts time".to_owned();
                return Err(refuse(about).mend("name coordinates: `monotonic=lat+lon`"));
            }
        }
        Ok(())
    }
}

/// The coordinates that are named, or those that count time.
fn monotonic<'a>(dataset: &'a Dataset, names: &'a [String]) -> impl Iterator<Item = &'a Variable> {
    dataset.variables.iter().filter(move |variable| match names {
        [] => variable.is_dimension_coordinate() && declares_time(&variable.attributes),
        names => names.contains(&variable.name),
    })
}

fn check_cf(
    source: &dyn DatasetSource,
    (check, level): (&Check, CheckLevel),
    report: &mut ValidationReport,
) -> Result<()> {
    let dataset = source.dataset();
    for found in nonconformances(dataset) {
        let level = if found.is_required { level } else { CheckLevel::Warn };
        report.add(ValidationFinding {
            level,
            message: format!("{} (CF {})", found.message, found.section),
            mend: match found.is_required {
                true => "set it by a step `attributes`, or ask for `warn:cf`".to_owned(),
                false => "the conventions recommend it; a step sets or renames it".to_owned(),
            },
            ..of(check, found.variable.as_deref())
        });
    }
    let coordinates = dataset.variables.iter().filter(|it| it.is_dimension_coordinate());
    for variable in coordinates.filter(|variable| is_numeric(variable)) {
        check_order(source, variable, check, report)?;
    }
    Ok(())
}

fn check_order(
    source: &dyn DatasetSource,
    variable: &Variable,
    check: &Check,
    report: &mut ValidationReport,
) -> Result<()> {
    let disorder = disorder(source, variable);
    if let Some(why) = disorder.map_err(|error| error.at("variable", &variable.name))? {
        let section = if matches!(check, Check::Cf { .. }) { " (CF 1.3)" } else { "" };
        report.add(ValidationFinding {
            message: format!("`{}` does not ascend or descend: {why}{section}", variable.name),
            mend:
                "bake with `overlap = \"sort\"`, `keep-first` or `keep-last`, or mend the sources"
                    .to_owned(),
            ..of(check, Some(&variable.name))
        });
    }
    Ok(())
}

fn check_attributes(
    dataset: &Dataset,
    (names, vars): (&[String], &[String]),
    check: &Check,
    report: &mut ValidationReport,
) {
    let mut look = |attributes: &Attributes, variable: Option<&str>| {
        for name in names {
            let is_empty = |text: &str| text.trim().is_empty();
            let what = match attributes.get(name) {
                None => "is missing",
                Some(AttributeValue::Text(text)) if is_empty(text) => "is empty",
                Some(_) => continue,
            };
            let set = match variable {
                Some(variable) => format!("`var = \"{variable}\"`, `set = {{ {name} = \"...\" }}`"),
                None => format!("`set = {{ {name} = \"...\" }}`"),
            };
            report.add(ValidationFinding {
                message: format!("the attribute `{name}` {what}"),
                mend: format!("set it by a step `attributes` with {set}"),
                ..of(check, variable)
            });
        }
    };
    if vars.is_empty() {
        look(&dataset.attributes, None);
    }
    for variable in vars.iter().filter_map(|name| dataset.variable(name)) {
        look(&variable.attributes, Some(&variable.name));
    }
}

/// A finding of a check, of which nothing is said yet.
pub(super) fn of(check: &Check, variable: Option<&str>) -> ValidationFinding {
    ValidationFinding {
        check: check.word().to_owned(),
        level: check.level(),
        variable: variable.map(str::to_owned),
        chunk: None,
        message: String::new(),
        mend: String::new(),
        files: Vec::new(),
    }
}
