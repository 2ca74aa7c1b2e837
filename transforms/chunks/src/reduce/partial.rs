//! What a chunk becomes before it is merged with others.

use array::{Chunk, DType, DatasetChunk, Key, VariableChunk};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::Element;
use serde::{Deserialize, Serialize};

use crate::keyed::check_same;
use crate::reduce::cells::{AxisCells, Cells, strides};
use crate::reduce::groups::Groups;
use crate::reduce::reducer::{Positions, ReduceInput, Reducer};

/// A variable on its way to a result: what it will be called and how it will be shaped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
pub struct PartialVariable {
    name: String,
    dimensions: Vec<String>,
    shape: Vec<u64>,
    is_coordinate: bool,
    /// The type of the elements that are reduced; none if the variable is kept as it is.
    dtype: Option<DType>,
}

/// Each variable with the arrays from which its result follows.
pub type Partial = Vec<(PartialVariable, Vec<Chunk>)>;

/// What is reduced away: dimensions, and one of them by groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Over {
    pub(crate) dimensions: Vec<String>,
    pub(crate) groups: Option<Groups>,
}

impl Over {
    pub(crate) fn has(&self, dimension: &str) -> bool {
        self.dimensions.iter().any(|name| name == dimension)
    }

    /// The key of a result: without the dimensions that are reduced, with the labels of a group.
    pub(crate) fn key(&self, of: &Key, labels: &[u64]) -> Key {
        let kept = of.offsets().filter(|(name, _)| !self.has(name));
        let names = self.groups.iter().flat_map(Groups::names);
        let offsets = kept.chain(names.zip(labels.iter().copied()));
        let key = Key::new(offsets);
        match of.variables() {
            Some(names) => key.with_variables(names),
            None => key,
        }
    }

    /// The names and lengths that the axes of a variable have once it is reduced.
    fn shape_of(&self, variable: &VariableChunk) -> (Vec<String>, Vec<u64>) {
        let (mut dimensions, mut shape) = (Vec::new(), Vec::new());
        for (name, &length) in variable.dimensions().iter().zip(variable.elements().shape()) {
            let groups = self.groups.as_ref().filter(|groups| groups.dimension() == name);
            if let Some(groups) = groups {
                dimensions.extend(groups.names().map(str::to_owned));
                shape.extend(groups.names().map(|_| 1));
            } else if !self.has(name) {
                dimensions.push(name.clone());
                shape.push(length);
            }
        }
        (dimensions, shape)
    }
}

/// The partials of a chunk, one for each group that its elements belong to.
///
/// Coordinates along a dimension that is reduced are dropped. Data variables without any such
/// dimension are kept as they are.
pub(crate) fn partials<R: Reducer>(
    reducer: &R,
    over: &Over,
    key: &Key,
    chunk: &DatasetChunk,
) -> Result<Vec<(Key, Partial)>> {
    let Some(groups) = &over.groups else {
        return Ok(vec![(over.key(key, &[]), partial(reducer, over, key, chunk, None)?)]);
    };
    let dimension = groups.dimension();
    let Some(length) = chunk.length(dimension) else {
        let message = format!("chunks are grouped along `{dimension}`, which one lacks");
        let error = Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, message);
        let mend = format!("the dimensions of the chunk are: {}", chunk.sizes());
        return Err(error.at("chunk", key).mend(mend));
    };
    let start = key.offset(dimension).unwrap_or(0);
    let within = groups.within(start..start + length)?;
    let partials = within.iter().map(|(labels, chosen)| {
        let partial = partial(reducer, over, key, chunk, Some(chosen))?;
        Ok((over.key(key, labels), partial))
    });
    partials.collect()
}

fn partial<R: Reducer>(
    reducer: &R,
    over: &Over,
    key: &Key,
    chunk: &DatasetChunk,
    chosen: Option<&[u64]>,
) -> Result<Partial> {
    let mut partial = Partial::new();
    for variable in chunk.variables() {
        let is_reduced = variable.dimensions().iter().any(|name| over.has(name));
        if is_reduced && variable.is_coordinate() {
            continue;
        }
        let is_kept = variable.is_coordinate() || !(is_reduced || over.dimensions.is_empty());
        let (dimensions, shape) = over.shape_of(variable);
        let header = PartialVariable {
            name: variable.name().to_owned(),
            dimensions,
            shape,
            is_coordinate: variable.is_coordinate(),
            dtype: (!is_kept).then(|| variable.elements().dtype()),
        };
        let parts = if is_kept {
            Ok(vec![variable.elements().clone()])
        } else {
            reduced(reducer, over, key, variable, chosen)
        };
        let located = parts.map_err(|error| error.at("variable", variable.name()).at("chunk", key));
        partial.push((header, located?));
    }
    Ok(partial)
}

fn reduced<R: Reducer>(
    reducer: &R,
    over: &Over,
    key: &Key,
    variable: &VariableChunk,
    chosen: Option<&[u64]>,
) -> Result<Vec<Chunk>> {
    let grouped = over.groups.as_ref().map(Groups::dimension);
    let cells_of = |name: &String| match chosen {
        Some(chosen) if Some(name.as_str()) == grouped => AxisCells::Chosen(chosen),
        _ if over.has(name) => AxisCells::All,
        _ => AxisCells::Kept,
    };
    let axes: Vec<AxisCells<'_>> = variable.dimensions().iter().map(cells_of).collect();
    let shape = variable.elements().shape();
    let positions = match &over.dimensions[..] {
        _ if !reducer.needs_positions() => None,
        [dimension] => {
            let axis = variable.axis_of(dimension);
            let axis = axis.ok_or_else(|| Error::internal("a reduced variable has its axis"))?;
            let first = key.offset(dimension).unwrap_or(0);
            let (stride, length) = (strides(shape)[axis], shape[axis] as usize);
            Some(Positions { stride, length, first })
        }
        others => {
            let message = format!("a place is asked for along {} dimensions", others.len());
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            return Err(
                error.mend("reduce one dimension with `first`, `last`, `arg_min` and `arg_max`")
            );
        }
    };
    let cells = Cells::new(shape, &axes);
    reducer.start(&ReduceInput { elements: variable.elements(), cells: &cells, positions })
}

/// Merges a partial into another, which has the same variables.
pub(crate) fn merge<R: Reducer>(reducer: &R, into: &mut Partial, other: Partial) -> Result<()> {
    if into.is_empty() {
        *into = other;
        return Ok(());
    }
    if other.is_empty() {
        return Ok(());
    }
    if into.len() != other.len() || into.iter().zip(&other).any(|(a, b)| a.0 != b.0) {
        let described = |partial: &Partial| {
            let variables = partial.iter().map(|(it, _)| format!("{}{:?}", it.name, it.shape));
            variables.collect::<Vec<_>>().join(", ")
        };
        let message = format!(
            "chunks of {} and of {} are reduced together",
            described(into),
            described(&other)
        );
        return Err(Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message)
            .mend("cut all chunks alike along the dimensions that are kept"));
    }
    for ((header, parts), (_, others)) in into.iter_mut().zip(other) {
        match header.dtype {
            Some(dtype) => {
                let merged = reducer.merge(dtype, parts, &others);
                *parts = merged.map_err(|error| error.at("variable", &header.name))?;
            }
            None => check_same(&header.name, &Key::default(), &parts[0], &others[0])?,
        }
    }
    Ok(())
}

/// The results of a partial.
pub(crate) fn finish<R: Reducer>(reducer: &R, partial: Partial) -> Result<DatasetChunk> {
    let variables = partial.into_iter().map(|(header, parts)| {
        let PartialVariable { name, mut dimensions, mut shape, is_coordinate, dtype } = header;
        let elements = match dtype {
            None => parts[0].clone(),
            Some(dtype) => {
                let reduced = reducer.finish(dtype, &parts);
                let reduced = reduced.map_err(|error| error.at("variable", &name))?;
                if let Some((dimension, length)) = reduced.leading {
                    dimensions.insert(0, dimension);
                    shape.insert(0, length);
                }
                reduced.elements
            }
        };
        let elements = Chunk::new(elements.dtype(), shape, elements.payload().clone())?;
        let variable = VariableChunk::new(name, dimensions, elements)?;
        Ok(if is_coordinate { variable.into_coordinate() } else { variable })
    });
    DatasetChunk::new(variables.collect::<Result<_>>()?)
}

/// Bytes that a partial takes.
pub(crate) fn bytes_of(partial: &Partial) -> u64 {
    let parts = partial.iter().flat_map(|(_, parts)| parts);
    parts.map(|part| part.payload().len() as u64).sum()
}
