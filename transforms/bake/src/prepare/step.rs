//! The steps, and what each makes of the header of a file.

use std::collections::{BTreeMap, BTreeSet};

use array::{DType, Dataset, DatasetSource, Dimension, GroupPath, Scalar, Storage, Variable};
use cf::Packing;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::check::PACKING_ATTRIBUTES;
use crate::prepare::attribute::GivenAttribute;
use crate::prepare::key::NewCoordinate;
use crate::prepare::mapped::{Mapping, ValueMap};
use crate::prepare::source::Change;
use crate::prepare::subset::{Bound, range_of};

/// One change of every file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// Takes a group of the file in place of its root.
    Group {
        /// The names of groups on the way to it, with slashes between them.
        path: GroupPath,
    },
    /// Keeps these variables, and the coordinates of their dimensions.
    Select {
        /// Their names.
        vars: Vec<String>,
    },
    /// Leaves these variables out.
    Drop {
        /// Their names.
        vars: Vec<String>,
    },
    /// Gives variables and dimensions other names.
    Rename {
        /// The new name of each old one.
        names: BTreeMap<String, String>,
    },
    /// Keeps a part of a dimension: by places, or by the values of its coordinate.
    Subset {
        /// The dimension.
        dim: String,
        /// The first place that is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<u64>,
        /// The first place after those that are kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stop: Option<u64>,
        /// The least value that is kept: a number, or a date.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<Bound>,
        /// The greatest value that is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Bound>,
    },
    /// Gives every variable that is no coordinate a new first dimension of one element.
    Expand {
        /// The new dimension; a scalar variable of this name becomes its coordinate.
        dim: String,
        /// The coordinate, where there is no such variable.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<f64>,
    },
    /// Says of these variables that they are coordinates of all others that share their dimensions.
    SetCoords {
        /// Their names.
        vars: Vec<String>,
    },
    /// Unpacks these variables, multiplies them and adds to them.
    Scale {
        /// Their names.
        vars: Vec<String>,
        /// What they are multiplied by.
        #[serde(default = "one")]
        factor: f64,
        /// What is added then.
        #[serde(default)]
        offset: f64,
    },
    /// Unpacks these variables and makes NaN of some values.
    Mask {
        /// Their names.
        vars: Vec<String>,
        /// Values less than this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        below: Option<f64>,
        /// Values greater than this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        above: Option<f64>,
        /// Values equal to this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        equal: Option<f64>,
    },
    /// Unpacks these variables and gives them another type; what that cannot hold is an error.
    Cast {
        /// Their names.
        vars: Vec<String>,
        /// The type, by Zarr's name.
        dtype: DType,
    },
    /// Sets and drops attributes: of a variable, or of the file.
    Attributes {
        /// The variable.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        var: Option<String>,
        /// Attributes to be set.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        set: BTreeMap<String, GivenAttribute>,
        /// Attributes to be dropped.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        drop: Vec<String>,
    },
}

const fn one() -> f64 {
    1.0
}

impl Step {
    /// What this step makes of a file.
    ///
    /// # Errors
    /// A variable or dimension that the file does not have, a name that is taken, a coordinate that
    /// cannot be read.
    pub(super) fn change(&self, source: &dyn DatasetSource) -> Result<Change> {
        let mut change = Change::of(source.dataset());
        let dataset = source.dataset();
        match self {
            // The one that changes the source itself.
            Self::Group { .. } => {}
            Self::Select { vars } => {
                change.dataset =
                    crate::scan::select(dataset, vars, crate::options::PresencePolicy::Error)?;
            }
            Self::Drop { vars } => {
                expect_all(dataset, vars)?;
                change.dataset.variables.retain(|it| !vars.contains(&it.name));
                keep_used_dimensions(&mut change.dataset);
            }
            Self::Rename { names } => rename(dataset, names, &mut change)?,
            Self::Subset { dim, start, stop, min, max } => {
                let length = dataset.expect_dimension(dim)?.length;
                let places = start.unwrap_or(0)..stop.unwrap_or(length).min(length);
                let values = range_of(source, dim, min.as_ref(), max.as_ref())?;
                let kept = places.start.max(values.start)..places.end.min(values.end);
                subset(dim, kept, &mut change)?;
            }
            Self::Expand { dim, value } => {
                let value = value.map(|value| NewCoordinate::of(Scalar::of(value)));
                expand(dataset, dim, value, &mut change)?;
            }
            Self::SetCoords { vars } => {
                expect_all(dataset, vars)?;
                set_coords(&mut change.dataset, vars);
            }
            Self::Scale { vars, factor, offset } => {
                let map = ValueMap::Scale { factor: *factor, offset: *offset };
                map_values(dataset, vars, &map, &mut change)?;
            }
            Self::Mask { vars, below, above, equal } => {
                let map = ValueMap::Mask { below: *below, above: *above, equal: *equal };
                map_values(dataset, vars, &map, &mut change)?;
            }
            Self::Cast { vars, dtype } => {
                map_values(dataset, vars, &ValueMap::Cast(*dtype), &mut change)?;
            }
            Self::Attributes { var, set, drop } => {
                let attributes = match var {
                    Some(name) => &mut expect_mut(&mut change.dataset, name)?.attributes,
                    None => &mut change.dataset.attributes,
                };
                for name in drop {
                    attributes.remove(name);
                }
                set.iter().for_each(|(name, value)| attributes.set(name.clone(), value));
            }
        }
        Ok(change)
    }
}

fn expect_all(dataset: &Dataset, names: &[String]) -> Result<()> {
    names.iter().try_for_each(|name| dataset.expect_variable(name).map(drop))
}

fn expect_mut<'a>(dataset: &'a mut Dataset, name: &str) -> Result<&'a mut Variable> {
    dataset.expect_variable(name)?;
    let found = dataset.variables.iter_mut().find(|it| it.name == name);
    found.ok_or_else(|| Error::internal("a variable that was just there"))
}

fn keep_used_dimensions(dataset: &mut Dataset) {
    let used: BTreeSet<&String> = dataset.variables.iter().flat_map(|it| &it.dimensions).collect();
    let used: BTreeSet<String> = used.into_iter().cloned().collect();
    dataset.dimensions.retain(|it| used.contains(&it.name));
}

fn rename(dataset: &Dataset, names: &BTreeMap<String, String>, change: &mut Change) -> Result<()> {
    for (old, new) in names {
        if dataset.variable(old).is_none() && dataset.dimension(old).is_none() {
            dataset.expect_variable(old)?;
        }
        let is_taken = dataset.variable(new).is_some() || dataset.dimension(new).is_some();
        if is_taken && !names.contains_key(new) {
            let message = format!("`{old}` cannot become `{new}`: the file has that name already");
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            return Err(error.mend("choose another name, or rename that one, too"));
        }
    }
    let renamed = |name: &String| names.get(name).unwrap_or(name).clone();
    for dimension in &mut change.dataset.dimensions {
        dimension.name = renamed(&dimension.name);
    }
    for variable in &mut change.dataset.variables {
        let old = std::mem::take(&mut variable.name);
        variable.name = renamed(&old);
        variable.dimensions = variable.dimensions.iter().map(&renamed).collect();
        // Attributes name other variables.
        for attribute in ["coordinates", "bounds", "climatology", "grid_mapping"] {
            if let Some(text) = variable.attributes.text(attribute) {
                let words = text.split_whitespace().map(|word| renamed(&word.to_owned()));
                let words: Vec<String> = words.collect();
                variable.attributes.set(attribute, words.join(" ").as_str());
            }
        }
        change.names.insert(variable.name.clone(), old);
    }
    Ok(())
}

fn subset(dim: &str, kept: std::ops::Range<u64>, change: &mut Change) -> Result<()> {
    if kept.is_empty() {
        let message = format!("nothing of the dimension `{dim}` is kept");
        let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
        return Err(error.mend("choose bounds that some element lies between"));
    }
    for dimension in change.dataset.dimensions.iter_mut().filter(|it| it.name == dim) {
        dimension.length = kept.end - kept.start;
    }
    for variable in &mut change.dataset.variables {
        let mut shift = vec![0; variable.shape.len()];
        for (axis, _) in variable.dimensions.iter().enumerate().filter(|(_, it)| *it == dim) {
            shift[axis] = kept.start;
            variable.shape[axis] = kept.end - kept.start;
        }
        if variable.dimensions.iter().any(|it| it == dim) {
            change.mappings.insert(variable.name.clone(), Mapping::Shift(shift));
        }
    }
    Ok(())
}

/// Gives every variable that is no coordinate a new first dimension of one element.
///
/// # Errors
/// A name that is taken, or nothing that could become the coordinate.
pub(super) fn expand(
    dataset: &Dataset,
    dim: &str,
    value: Option<NewCoordinate>,
    change: &mut Change,
) -> Result<()> {
    let refuse = |message: String, mend: &str| {
        let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
        Err(error.mend(mend))
    };
    if dataset.dimension(dim).is_some() {
        return refuse(format!("the file has a dimension `{dim}` already"), "choose another name");
    }
    match (dataset.variable(dim), value) {
        (Some(scalar), None) if scalar.shape.is_empty() => {}
        (None, Some(NewCoordinate { value, attributes })) => {
            let coordinate = Variable {
                name: dim.to_owned(),
                dimensions: Vec::new(),
                shape: Vec::new(),
                dtype: value.dtype(),
                fill: None,
                attributes,
                storage: Storage::default(),
            };
            change.dataset.variables.insert(0, coordinate);
            change.constants.insert(dim.to_owned(), value);
        }
        (Some(_), _) => {
            return refuse(
                format!("`{dim}` is a variable that cannot become the new coordinate"),
                "expand along a scalar variable without a value, or along a new name with one",
            );
        }
        (None, None) => {
            return refuse(
                format!("the file has no scalar variable `{dim}`, and no value is given"),
                "give the step a `value`",
            );
        }
    }
    let coordinates: BTreeSet<String> =
        dataset.variables.iter().flat_map(|it| cf::related_variables(&it.attributes)).collect();
    for variable in &mut change.dataset.variables {
        let is_coordinate =
            variable.is_dimension_coordinate() || coordinates.contains(&variable.name);
        if variable.name != dim && is_coordinate {
            continue;
        }
        variable.dimensions.insert(0, dim.to_owned());
        variable.shape.insert(0, 1);
        if let Some(chunks) = &mut variable.storage.chunk_shape {
            chunks.insert(0, 1);
        }
        change.mappings.insert(variable.name.clone(), Mapping::Expand);
    }
    let dimension = Dimension { name: dim.to_owned(), length: 1, is_unlimited: true };
    change.dataset.dimensions.insert(0, dimension);
    Ok(())
}

fn set_coords(dataset: &mut Dataset, names: &[String]) {
    let coordinates: Vec<Variable> =
        dataset.variables.iter().filter(|it| names.contains(&it.name)).cloned().collect();
    for variable in dataset.variables.iter_mut().filter(|it| !names.contains(&it.name)) {
        let shares = |it: &&Variable| it.dimensions.iter().all(|d| variable.dimensions.contains(d));
        if variable.is_dimension_coordinate() {
            continue;
        }
        let known = variable.attributes.text("coordinates").unwrap_or_default().to_owned();
        let mut words: Vec<&str> = known.split_whitespace().collect();
        for coordinate in coordinates.iter().filter(shares) {
            if !words.contains(&coordinate.name.as_str()) {
                words.push(&coordinate.name);
            }
        }
        if !words.is_empty() {
            let words = words.join(" ");
            variable.attributes.set("coordinates", words.as_str());
        }
    }
}

fn map_values(
    dataset: &Dataset,
    names: &[String],
    map: &ValueMap,
    change: &mut Change,
) -> Result<()> {
    for name in names {
        let variable = dataset.expect_variable(name)?;
        let packing = Packing::parse(&variable.attributes, variable.dtype)
            .map_err(|error| error.at("variable", name))?;
        let decoded = packing.decoded_dtype().map_err(|error| error.at("variable", name))?;
        let dtype = map.dtype(decoded).ok_or_else(|| {
            let message = format!("elements of {decoded} are no numbers");
            Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
                .at("variable", name)
                .mend("leave the variable out of this step")
        })?;
        let changed = expect_mut(&mut change.dataset, name)?;
        changed.dtype = dtype;
        PACKING_ATTRIBUTES.iter().for_each(|it| drop(changed.attributes.remove(it)));
        changed.fill = Scalar::from_float(dtype, f64::NAN);
        if let Some(fill) = changed.fill.clone() {
            changed.attributes.set("_FillValue", fill);
        }
        let mapping = Mapping::Values { packing: Box::new(packing), map: map.clone(), dtype };
        change.mappings.insert(name.clone(), mapping);
    }
    Ok(())
}
