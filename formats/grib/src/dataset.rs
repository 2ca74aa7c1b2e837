//! A dataset out of hypercubes: dimensions, coordinates, variables, and what to say of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use array::error::Result;
use array::{
    AttributeValue, Attributes, Chunk, DType, Dataset, Dimension, Scalar, Storage, Variable,
};

use crate::axes::{Axes, AxisId, AxisValues};
use crate::coordinates::{self, CubeAxes};
use crate::cube::{Cube, cubes};
use crate::field::Field;
use crate::grid::Points;
use crate::held::{Coordinate, PointsOf};
use crate::names::names;
use crate::packed_array::{Index, Parts, missing};

/// Holes of a variable that a warning names.
const HOLES_SHOWN: usize = 3;

/// An array of the dataset.
#[derive(Clone)]
pub(crate) enum StoredArray {
    /// In messages.
    Packed(Arc<Parts>),
    /// In memory.
    Held(Coordinate),
}

/// What a file is as a dataset.
#[derive(Default)]
pub(crate) struct Built {
    /// Dimensions, variables and attributes.
    pub(crate) dataset: Dataset,
    /// By the names of variables, those that were left out of the dataset among them.
    pub(crate) arrays: BTreeMap<String, Result<StoredArray>>,
    /// The names of latitude and longitude of grids that have them for every point.
    point_names: BTreeMap<usize, Vec<String>>,
}

/// Makes a dataset of the fields of a file.
///
/// # Errors
/// Coordinates that no chunk holds.
pub(crate) fn build(index: &Arc<Index>) -> Result<Built> {
    let found = cubes(&index.fields);
    let names = names(found.iter().map(|(key, _)| key));
    let mut axes = Axes::default();
    let mut variables: Vec<(String, Cube, CubeAxes)> = Vec::new();
    let mut built = Built::default();
    for (name, (_, cube)) in names.into_iter().zip(found) {
        match cube {
            Ok(cube) => {
                let own = coordinates::axes_of(&cube, index, &mut axes);
                variables.push((name, cube, own));
            }
            Err(error) => {
                let why = error.message();
                built.dataset.warnings.push(format!("variable `{name}` is left out: {why}"));
                built.arrays.insert(name.clone(), Err(error.at("variable", name)));
            }
        }
    }
    // In the order of the file.
    variables.sort_by_key(|(_, cube, _)| cube.cells.values().copied().min());
    let named: BTreeMap<AxisId, String> = axes.named().into_iter().collect();
    built.add_axes(&axes, &named)?;
    for (_, cube, own) in &variables {
        let dimensions: Vec<String> = own.inner.iter().map(|id| named[id].clone()).collect();
        built.add_points(cube.key.grid, &dimensions, index, &named);
    }
    let valid_times = built.add_valid_times(&axes, &named, &variables)?;
    for ((name, cube, own), valid_time) in variables.iter().zip(valid_times) {
        built.add_cube(name, cube, own, &valid_time, &named, &axes, index);
    }
    built.dataset.attributes = file_attributes(&index.fields);
    Ok(built)
}

fn file_attributes(fields: &[Field]) -> Attributes {
    let mut attributes = Attributes::default();
    attributes.set("Conventions", "CF-1.7");
    let Some(first) = fields.first() else { return attributes };
    if fields.iter().all(|field| field.edition == first.edition) {
        attributes.set("GRIB_edition", Scalar::of(i64::from(first.edition)));
    }
    if fields.iter().all(|field| field.centre == first.centre) {
        attributes.set("GRIB_centreNumber", Scalar::of(i64::from(first.centre)));
    }
    attributes
}

impl Built {
    fn add(&mut self, variable: Variable, array: StoredArray) {
        if self.arrays.contains_key(&variable.name) {
            let text = format!("a second variable called `{}` is left out", variable.name);
            return self.dataset.warnings.push(text);
        }
        self.arrays.insert(variable.name.clone(), Ok(array));
        self.dataset.variables.push(variable);
    }

    fn add_held(
        &mut self,
        name: &str,
        dimensions: Vec<String>,
        shape: Vec<u64>,
        values: Coordinate,
        (dtype, attributes): (DType, Attributes),
    ) {
        let (fill, storage, name) = (None, Storage::default(), name.to_owned());
        let variable = Variable { name, dimensions, shape, dtype, fill, attributes, storage };
        self.add(variable, StoredArray::Held(values));
    }

    fn add_dimension(&mut self, name: &str, length: u64, is_unlimited: bool) {
        if self.dataset.dimension(name).is_none() {
            let name = name.to_owned();
            self.dataset.dimensions.push(Dimension { name, length, is_unlimited });
        }
    }

    fn add_axes(&mut self, axes: &Axes, named: &BTreeMap<AxisId, String>) -> Result<()> {
        for (id, name) in named {
            let axis = axes.get(*id);
            let length = axis.values.len();
            let mut attributes = axis.attributes.clone();
            let (dimensions, shape) = if axis.is_dimension {
                self.add_dimension(name, length, axis.base == "time");
                (vec![name.clone()], vec![length])
            } else {
                (Vec::new(), Vec::new())
            };
            let floats = |values: &[f64]| Chunk::of(shape.clone(), values);
            match &axis.values {
                AxisValues::Unknown(_) | AxisValues::Points { .. } => {}
                AxisValues::Integers(values) => {
                    let chunk = Coordinate::Held(Chunk::of(shape.clone(), values)?);
                    self.add_held(name, dimensions, shape, chunk, (DType::Int64, attributes));
                }
                AxisValues::Floats(values) => {
                    let chunk = Coordinate::Held(floats(values)?);
                    self.add_held(name, dimensions, shape, chunk, (DType::Float64, attributes));
                }
                AxisValues::Layers(layers) => {
                    let bounds = format!("{name}_bounds");
                    attributes.set("bounds", bounds.as_str());
                    let tops: Vec<f64> = layers.iter().map(|layer| layer[0]).collect();
                    let chunk = Coordinate::Held(floats(&tops)?);
                    let kind = (DType::Float64, attributes);
                    self.add_held(name, dimensions.clone(), shape.clone(), chunk, kind);
                    self.add_dimension("bounds", 2, false);
                    let shape: Vec<u64> = shape.iter().copied().chain([2]).collect();
                    let dimensions = dimensions.into_iter().chain(["bounds".to_owned()]).collect();
                    let chunk = Coordinate::Held(Chunk::of(shape.clone(), layers.as_flattened())?);
                    let kind = (DType::Float64, Attributes::default());
                    self.add_held(&bounds, dimensions, shape, chunk, kind);
                }
            }
        }
        Ok(())
    }

    /// Adds latitude and longitude of the points of a grid along its dimensions, once.
    fn add_points(
        &mut self,
        grid: usize,
        dimensions: &[String],
        index: &Index,
        named: &BTreeMap<AxisId, String>,
    ) {
        let (shape, points) = match &index.grids[grid].points {
            Points::Reduced(rows) => {
                (vec![rows.point_count()], PointsOf::Reduced(Arc::new(rows.clone())))
            }
            Points::Projected(points) => {
                (points.shape().to_vec(), PointsOf::Projected(Arc::new(points.clone())))
            }
            Points::Axes { .. } | Points::Unknown => return,
        };
        if self.point_names.contains_key(&grid) {
            return;
        }
        let both = [
            ("latitude", Coordinate::Latitudes(points.clone())),
            ("longitude", Coordinate::Longitudes(points)),
        ];
        for (base, coordinate) in both {
            // Another grid may have taken the plain name.
            let mut ranks = 0..;
            let name = ranks.find_map(|rank| {
                let name = ranked(base, rank);
                (!named.values().any(|it| *it == name) && !self.arrays.contains_key(&name))
                    .then_some(name)
            });
            let name = name.unwrap_or_else(|| base.to_owned());
            self.point_names.entry(grid).or_default().push(name.clone());
            let kind = (DType::Float64, coordinates::words_of(base));
            self.add_held(&name, dimensions.to_vec(), shape.clone(), coordinate, kind);
        }
    }

    /// Adds the times that forecasts are for, once for each pair of times and steps; their names
    /// in the order of the variables.
    fn add_valid_times(
        &mut self,
        axes: &Axes,
        named: &BTreeMap<AxisId, String>,
        variables: &[(String, Cube, CubeAxes)],
    ) -> Result<Vec<String>> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        let pair = |own: &CubeAxes| (named[&own.time].as_str(), named[&own.step].as_str());
        for (_, cube, own) in variables {
            if pairs.contains(&pair(own)) {
                continue;
            }
            pairs.push(pair(own));
            let both = cube.references.iter();
            let values: Vec<i64> = both
                .flat_map(|reference| cube.steps.iter().map(move |step| reference + step))
                .collect();
            let (mut dimensions, mut shape) = (Vec::new(), Vec::new());
            for id in [own.time, own.step] {
                if axes.get(id).is_dimension {
                    dimensions.push(named[&id].clone());
                    shape.push(axes.get(id).values.len());
                }
            }
            let name = ranked("valid_time", pairs.len() - 1);
            let chunk = Coordinate::Held(Chunk::of(shape.clone(), &values)?);
            let kind = (DType::Int64, coordinates::words_of("valid_time"));
            self.add_held(&name, dimensions, shape, chunk, kind);
        }
        let place = |own| pairs.iter().position(|it| *it == pair(own)).unwrap_or_default();
        Ok(variables.iter().map(|(_, _, own)| ranked("valid_time", place(own))).collect())
    }

    #[expect(clippy::too_many_arguments, reason = "all that is known of a file, once")]
    fn add_cube(
        &mut self,
        name: &str,
        cube: &Cube,
        own: &CubeAxes,
        valid_time: &str,
        named: &BTreeMap<AxisId, String>,
        axes: &Axes,
        index: &Arc<Index>,
    ) {
        let (mut dimensions, mut shape) = (Vec::new(), Vec::new());
        let mut others = vec![valid_time.to_owned()];
        for id in own.outer() {
            let axis = axes.get(id);
            if axis.is_dimension {
                dimensions.push(named[&id].clone());
                shape.push(axis.values.len());
            } else {
                others.push(named[&id].clone());
            }
        }
        for id in &own.inner {
            dimensions.push(named[id].clone());
            shape.push(axes.get(*id).values.len());
        }
        others.extend(self.point_names.get(&cube.key.grid).into_iter().flatten().cloned());
        let is_wide = |field: &usize| index.fields[*field].packed.packing.is_wide();
        let is_double = cube.cells.values().any(is_wide);
        let dtype = if is_double { DType::Float64 } else { DType::Float32 };
        let parts = Arc::new(Parts {
            variable: name.to_owned(),
            index: Arc::clone(index),
            shape: shape.clone(),
            inner_rank: own.inner.len(),
            cells: cube.cells.clone(),
            dtype,
        });
        let storage = Storage {
            chunk_shape: Some(parts.chunk_shape()),
            shard_shape: None,
            codecs: parts.codecs(),
        };
        self.note_holes(&parts);
        let attributes = attributes(&index.fields[cube.sample], cube, index, &others);
        let variable = Variable {
            name: name.to_owned(),
            dimensions,
            shape,
            dtype,
            fill: Some(missing(dtype)),
            attributes,
            storage,
        };
        self.add(variable, StoredArray::Packed(parts));
    }

    fn note_holes(&mut self, parts: &Parts) {
        let (count, name) = (parts.place_count(), &parts.variable);
        let missing = count - parts.cells.len() as u64;
        if missing == 0 {
            return;
        }
        let shown = parts.holes().take(HOLES_SHOWN).map(|index| format!("{index:?}"));
        let shown: Vec<String> = shown.collect();
        let more = if missing > HOLES_SHOWN as u64 { ", ..." } else { "" };
        self.dataset.warnings.push(format!(
            "variable `{name}` has no message at {missing} of {count} places, which are NaN: {}{more}",
            shown.join(", ")
        ));
    }
}

fn ranked(base: &str, rank: usize) -> String {
    if rank == 0 { base.to_owned() } else { format!("{base}_{rank}") }
}

fn attributes(field: &Field, cube: &Cube, index: &Index, others: &[String]) -> Attributes {
    let mut attributes = Attributes::default();
    let parameter = &field.parameter;
    let texts = [
        ("long_name", parameter.name),
        ("units", parameter.units),
        ("standard_name", parameter.standard_name),
        ("GRIB_shortName", parameter.short_name),
        ("GRIB_parameter", Some(&*parameter.code)),
        ("GRIB_typeOfLevel", Some(&*cube.key.level)),
        ("GRIB_stepType", Some(cube.key.step)),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            attributes.set(name, text);
        }
    }
    if let Some(code) = cube.key.derived {
        attributes.set("GRIB_derivedForecast", Scalar::of(i64::from(code)));
    }
    for (name, value) in index.grids[field.grid].attributes.iter() {
        attributes.set(name, value.clone());
    }
    attributes.set("coordinates", AttributeValue::Text(others.join(" ")));
    attributes
}
