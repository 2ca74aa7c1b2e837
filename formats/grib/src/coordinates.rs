//! The coordinates of a hypercube, and what CF calls them.

use array::Attributes;

use crate::axes::{Axes, Axis, AxisId, AxisValues};
use crate::cube::{Cube, Surfaces};
use crate::grid::{Points, Shape};
use crate::levels::words;
use crate::packed_array::Index;

/// The dimension of grids without rows.
const VALUES: &str = "values";
/// Units of times, as peers have them.
const TIME_UNITS: &str = "seconds since 1970-01-01T00:00:00";

/// Which axes a hypercube has.
#[derive(Debug, Clone)]
pub(crate) struct CubeAxes {
    /// Members of an ensemble, if these are.
    pub(crate) number: Option<AxisId>,
    /// When forecasts begin.
    pub(crate) time: AxisId,
    /// How far they reach.
    pub(crate) step: AxisId,
    /// Levels.
    pub(crate) level: AxisId,
    /// Those of a message.
    pub(crate) inner: Vec<AxisId>,
}

impl CubeAxes {
    /// The axes along which messages lie, in the order of dimensions.
    pub(crate) fn outer(&self) -> impl Iterator<Item = AxisId> {
        [self.number, Some(self.time), Some(self.step), Some(self.level)].into_iter().flatten()
    }
}

/// The axes of a hypercube, added to those of the file.
///
/// A file of many keeps `time` as a dimension, `step` if it holds forecasts, and `number` if it
/// holds members of an ensemble, be there but one: files follow each other along them. Other axes
/// of one element become scalars.
pub(crate) fn axes_of(cube: &Cube, index: &Index, axes: &mut Axes) -> CubeAxes {
    let fields = || cube.cells.values().map(|&field| &index.fields[field]);
    let members: Option<Vec<i64>> = cube.members.iter().copied().collect();
    let number = members.map(|members| {
        let is_dimension = members.len() > 1 || fields().any(|field| field.is_ensemble);
        axes.add(axis("number", AxisValues::Integers(members), is_dimension))
    });
    let references = AxisValues::Integers(cube.references.clone());
    let time = axes.add(axis("time", references, true));
    let is_forecast = cube.steps.len() > 1 || fields().any(|field| field.is_forecast);
    let step = axes.add(axis("step", AxisValues::Integers(cube.steps.clone()), is_forecast));
    let level = axes.add(level_axis(cube, index));
    CubeAxes { number, time, step, level, inner: inner_axes(cube.key.grid, index, axes) }
}

fn axis(base: &str, values: AxisValues, is_dimension: bool) -> Axis {
    Axis { base: base.to_owned(), values, is_dimension, attributes: words_of(base) }
}

fn level_axis(cube: &Cube, index: &Index) -> Axis {
    let kind = &cube.key.level;
    let words = words(kind);
    let mut attributes = Attributes::default();
    let texts = [
        ("units", index.fields[cube.sample].level.units),
        ("positive", words.positive),
        ("standard_name", words.standard_name),
        ("long_name", words.long_name),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            attributes.set(name, text);
        }
    }
    let layer = |surfaces: &Surfaces| Some([surfaces.first, surfaces.second?]);
    let layers: Option<Vec<[f64; 2]>> = cube.levels.iter().map(layer).collect();
    let values = match layers {
        Some(layers) => AxisValues::Layers(layers),
        None => AxisValues::Floats(cube.levels.iter().map(|surfaces| surfaces.first).collect()),
    };
    Axis { base: kind.clone(), values, is_dimension: cube.levels.len() > 1, attributes }
}

fn inner_axes(grid: usize, index: &Index, axes: &mut Axes) -> Vec<AxisId> {
    let own = &index.grids[grid];
    let found = match (&own.points, own.shape) {
        (Points::Axes { latitudes, longitudes }, _) => vec![
            axis("latitude", AxisValues::Floats(latitudes.clone()), true),
            axis("longitude", AxisValues::Floats(longitudes.clone()), true),
        ],
        (_, Shape::Rows { ni, nj }) => {
            vec![axis("y", AxisValues::Unknown(nj), true), axis("x", AxisValues::Unknown(ni), true)]
        }
        (_, Shape::List { count }) => {
            vec![axis(VALUES, AxisValues::Points { grid, count }, true)]
        }
    };
    found.into_iter().map(|axis| axes.add(axis)).collect()
}

/// What CF calls a coordinate, and its units.
pub(crate) fn words_of(base: &str) -> Attributes {
    let words: &[(&str, &str)] = match base {
        "latitude" => {
            &[("units", "degrees_north"), ("standard_name", "latitude"), ("long_name", "latitude")]
        }
        "longitude" => {
            &[("units", "degrees_east"), ("standard_name", "longitude"), ("long_name", "longitude")]
        }
        "number" => &[
            ("units", "1"),
            ("standard_name", "realization"),
            ("long_name", "ensemble member numerical id"),
        ],
        "time" => &[
            ("units", TIME_UNITS),
            ("calendar", "proleptic_gregorian"),
            ("standard_name", "forecast_reference_time"),
            ("long_name", "initial time of forecast"),
        ],
        "step" => &[
            ("units", "seconds"),
            ("standard_name", "forecast_period"),
            ("long_name", "time since forecast_reference_time"),
        ],
        "valid_time" => &[
            ("units", TIME_UNITS),
            ("calendar", "proleptic_gregorian"),
            ("standard_name", "time"),
            ("long_name", "time"),
        ],
        _ => &[],
    };
    let mut attributes = Attributes::default();
    for (name, text) in words {
        attributes.set(*name, *text);
    }
    attributes
}
