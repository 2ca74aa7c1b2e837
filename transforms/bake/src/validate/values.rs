//! What values say: the checks that read every chunk of the variables that they are about.

use array::{Chunk, Dataset, Variable};
use cf::Packing;
use dataflow::error::Result;

use super::check::{Check, Checks};
use super::metadata::of;
use super::report::ValidationFinding;

/// The checks of values of one dataset.
#[derive(Debug)]
pub(crate) struct ValueChecks<'a> {
    /// Each variable that some check is about, with these.
    variables: Vec<(&'a Variable, Packing, Vec<&'a Check>)>,
}

impl<'a> ValueChecks<'a> {
    /// Those among `checks` that are about values of this dataset.
    ///
    /// # Errors
    /// A variable whose packing cannot be read.
    pub(crate) fn new(checks: &'a Checks, dataset: &'a Dataset) -> Result<Self> {
        let mut variables = Vec::new();
        for variable in dataset.variables.iter().filter(|variable| is_numeric(variable)) {
            let own: Vec<&Check> = checks.iter().filter(|it| is_about(it, variable)).collect();
            if !own.is_empty() {
                let packing = Packing::parse(&variable.attributes, variable.dtype);
                let packing = packing.map_err(|error| error.at("variable", &variable.name))?;
                variables.push((variable, packing, own));
            }
        }
        Ok(Self { variables })
    }

    /// The variables of which chunks are read.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &'a Variable> {
        self.variables.iter().map(|(variable, ..)| *variable)
    }

    /// What is wrong with a chunk of a variable, without the files that feed it.
    ///
    /// Memory: 64 thousand elements. Cost: O(elements) for ranges; else up to the first that is
    /// there.
    ///
    /// # Errors
    /// Elements that cannot be unpacked.
    pub(crate) fn judge(
        &self,
        variable: &str,
        index: &[u64],
        chunk: &Chunk,
    ) -> Result<Vec<ValidationFinding>> {
        let mut found = Vec::new();
        let Some((_, packing, checks)) = self.variables.iter().find(|it| it.0.name == variable)
        else {
            return Ok(found);
        };
        for check in checks {
            let message = match check {
                Check::NoNanChunks { .. } => packing
                    .is_all_missing(chunk)?
                    .then(|| ("every element of the chunk is missing".to_owned(), NAN_MEND)),
                Check::Range { min, max, .. } => {
                    let extent = packing.extent(chunk)?;
                    let outside = extent.and_then(|extent| outside(extent, (*min, *max)));
                    outside.map(|message| (message, RANGE_MEND))
                }
                Check::Cf { .. } | Check::Monotonic { .. } | Check::Attributes { .. } => None,
            };
            if let Some((message, mend)) = message {
                found.push(ValidationFinding {
                    chunk: Some(index.to_vec()),
                    message,
                    mend: mend.to_owned(),
                    ..of(check, Some(variable))
                });
            }
        }
        Ok(found)
    }
}

const NAN_MEND: &str = "look at the files that feed it; where nothing is known there, ask for \
                        `warn:no-nan-chunks`, or name the variables that must be known";
const RANGE_MEND: &str = "look at the files that feed it and at their scale and fill values; a \
                          step `mask` takes such values out";

/// Whether elements are numbers.
pub(super) fn is_numeric(variable: &Variable) -> bool {
    variable.dtype.is_integer() || variable.dtype.is_float()
}

fn is_about(check: &Check, variable: &Variable) -> bool {
    match check {
        Check::NoNanChunks { vars, .. } if vars.is_empty() => {
            let says = |name| variable.attributes.get(name).is_some();
            variable.dtype.is_float() || says("_FillValue") || says("missing_value")
        }
        Check::NoNanChunks { vars, .. } | Check::Range { vars, .. } => {
            vars.contains(&variable.name)
        }
        Check::Cf { .. } | Check::Monotonic { .. } | Check::Attributes { .. } => false,
    }
}

fn outside((least, greatest): (f64, f64), bounds: (Option<f64>, Option<f64>)) -> Option<String> {
    let is_below = bounds.0.is_some_and(|min| least < min);
    let is_above = bounds.1.is_some_and(|max| greatest > max);
    if !is_below && !is_above {
        return None;
    }
    let allowed = match bounds {
        (Some(min), Some(max)) => format!("between {min} and {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => return None,
    };
    Some(format!("values lie between {least} and {greatest}, and should be {allowed}"))
}

#[cfg(test)]
mod tests {
    use array::{Attributes, DType, Scalar, Storage};

    use super::*;

    #[test]
    fn what_is_outside_or_missing_is_told_of_the_chunk() {
        let mut attributes = Attributes::default();
        attributes.set("_FillValue", Scalar::of(-1i16));
        attributes.set("scale_factor", Scalar::of(0.5));
        let variable = Variable {
            name: "t".to_owned(),
            dimensions: vec!["x".to_owned()],
            shape: vec![4],
            dtype: DType::Int16,
            fill: None,
            attributes,
            storage: Storage::default(),
        };
        let dataset = Dataset { variables: vec![variable], ..Dataset::default() };
        let asked = "no-nan-chunks,warn:range=t:0:10,range=t:-5:".parse().expect("checks");
        let checks = ValueChecks::new(&asked, &dataset).expect("a packing");
        let judge = |values: &[i16]| {
            let chunk = Chunk::of([values.len() as u64], values).expect("as many");
            let found = checks.judge("t", &[3], &chunk).expect("numbers");
            found.into_iter().map(|it| it.message).collect::<Vec<_>>()
        };
        assert_eq!(judge(&[0, 20, -1]), [""; 0]);
        assert_eq!(judge(&[-1, -1]), ["every element of the chunk is missing"]);
        let upper = "values lie between 1 and 10.5, and should be between 0 and 10";
        assert_eq!(judge(&[2, 21]), [upper]);
        let both = [
            "values lie between -6 and 1, and should be between 0 and 10",
            "values lie between -6 and 1, and should be at least -5",
        ];
        assert_eq!(judge(&[-12, 2]), both);
    }
}
