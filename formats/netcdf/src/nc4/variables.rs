//! Makes a variable and its array of a dataset whose dimensions are known.

use std::sync::Arc;

use array::error::Result;
use array::{Attributes, Dimension, Scalar, Storage, Variable};
use bytes::Bytes;
use hdf5_reader::messages::dataspace::DataspaceType;

use super::scan::Dataset;
use crate::element::{Element, TextForm};
use crate::fault::{corrupt, of_the_file, unsupported};
use crate::fill::default_fill;
use crate::flat::Flat;
use crate::hdf5::{Chunked, Datatype, Hdf5, Kind, Pipeline, Place, TextHeap, fill_value, place};
use crate::stored::{Layout, Parts};

/// A variable, and its array or why that cannot be read.
pub(super) struct Made {
    pub(super) variable: Variable,
    pub(super) array: Result<Parts>,
}

/// Makes a variable along these dimensions.
///
/// # Errors
/// A dataset of which not even a variable can be made: a type that arrays cannot have, a layout
/// that is damaged or lies in other files.
pub(super) fn variable(
    file: &Arc<Hdf5>,
    heap: &Arc<TextHeap>,
    dataset: &Dataset,
    dimensions: &[&Dimension],
    attributes: Attributes,
) -> Result<Made> {
    let name = dataset.variable_name().to_owned();
    let body = dataset.header.find(file, Kind::Datatype)?;
    let datatype = Datatype::parse(file, &body.ok_or_else(|| corrupt("there is no datatype"))?)?;
    let stored_shape = stored_shape(dataset, dimensions)?;
    let element = element(&datatype, &stored_shape, heap)?;
    check_size(&stored_shape, &element)?;
    let own_fill = own_fill(file, dataset, &element)?;
    let unwritten = own_fill.clone().unwrap_or_else(|| vec![0; element.unit_bytes]);
    let fill = of_the_file(element.scalar(&unwritten))?;
    let fill = fill.unwrap_or_else(|_| Scalar::zero(element.dtype));
    let stored = stored(file, dataset, &name, &element, &unwritten)?;

    let shape = element.visible(&stored_shape).to_vec();
    let variable = Variable {
        dimensions: dimensions.iter().take(shape.len()).map(|d| d.name.clone()).collect(),
        shape: shape.clone(),
        dtype: element.dtype,
        fill: Some(fill.clone()),
        attributes,
        storage: stored.storage.clone(),
        name: name.clone(),
    };
    let array = stored.layout.map(|layout| Parts {
        variable: name,
        shape,
        extent: dataset.space.dimensions.clone(),
        fill,
        outside: outside(own_fill, &layout, &element),
        storage: stored.storage,
        layout,
        bytes: Arc::clone(&file.bytes),
        element,
    });
    Ok(Made { variable, array })
}

/// The shape of storage, with unlimited dimensions as long as they are for all variables.
fn stored_shape(dataset: &Dataset, dimensions: &[&Dimension]) -> Result<Vec<u64>> {
    let extent = &dataset.space.dimensions;
    if dataset.space.kind == DataspaceType::Null || extent.len() != dimensions.len() {
        return Err(unsupported("a dataset without elements (null dataspace) is not supported"));
    }
    let axes = extent.iter().zip(dimensions).enumerate();
    let lengths = axes.map(|(axis, (&length, dimension))| match dimension.is_unlimited {
        true => Ok(dimension.length.max(length)),
        false if dimension.length == length => Ok(length),
        false => {
            let Dimension { name, length: stated, .. } = dimension;
            Err(corrupt(format!(
                "axis {axis} has {length} elements, its dimension `{name}` {stated}"
            )))
        }
    });
    lengths.collect()
}

fn element(datatype: &Datatype, stored_shape: &[u64], heap: &Arc<TextHeap>) -> Result<Element> {
    Ok(match datatype {
        Datatype::Number { dtype, is_big_endian } => Element::number(*dtype, *is_big_endian),
        Datatype::Field { bytes: 1, .. } => Element::chars(stored_shape)
            .ok_or_else(|| corrupt(format!("texts of {stored_shape:?} characters are too long")))?,
        Datatype::Field { bytes, padding } => Element::text(*bytes, TextForm::Field(*padding)),
        Datatype::HeapText { bytes } => Element::text(*bytes, TextForm::Heap(Arc::clone(heap))),
        other => {
            let feature = other.refusal().unwrap_or_default();
            return Err(unsupported(format!("{feature} are not supported")));
        }
    })
}

/// Callers multiply shapes and sizes: what they get must fit 63 bits.
fn check_size(stored_shape: &[u64], element: &Element) -> Result<()> {
    let unit_bytes = (element.unit_bytes as u64).max(element.dtype.estimated_bytes());
    // Zeros do not help: products are not always taken in their order.
    let bytes = stored_shape.iter().try_fold(unit_bytes, |bytes, &n| bytes.checked_mul(n.max(1)));
    match bytes {
        Some(bytes) if bytes <= i64::MAX as u64 => Ok(()),
        _ => Err(corrupt(format!("an array of {stored_shape:?} elements cannot be counted"))),
    }
}

/// The fill value that the dataset states, as one stored element, little endian.
fn own_fill(file: &Hdf5, dataset: &Dataset, element: &Element) -> Result<Option<Vec<u8>>> {
    let fill = fill_value(file, &dataset.header)?;
    let fill = fill.filter(|fill| fill.len() == element.unit_bytes);
    Ok(fill.map(|mut fill| {
        if element.swap_bytes > 1 {
            fill.chunks_mut(element.swap_bytes).for_each(<[u8]>::reverse);
        }
        fill
    }))
}

/// What lies outside of the stored extent, as one stored element: HDF5 gives zeros where nothing
/// was ever stored, netCDF its own default beyond the end of what was.
fn outside(own_fill: Option<Vec<u8>>, layout: &Layout, element: &Element) -> Vec<u8> {
    own_fill.unwrap_or_else(|| match (layout, &element.texts) {
        (Layout::Nowhere, _) | (_, Some(_)) => vec![0; element.unit_bytes],
        _ => default_fill(element.dtype).bytes()[..element.unit_bytes].to_vec(),
    })
}

struct Stored {
    storage: Storage,
    layout: Result<Layout>,
}

fn stored(
    file: &Arc<Hdf5>,
    dataset: &Dataset,
    name: &str,
    element: &Element,
    unwritten: &[u8],
) -> Result<Stored> {
    let (extent, unit_bytes) = (&dataset.space.dimensions, element.unit_bytes);
    let bytes = extent.iter().product::<u64>() * unit_bytes as u64;
    let flat = |begin| Flat {
        begin,
        record_stride: None,
        shape: extent.clone(),
        unit_bytes,
        swap_bytes: element.swap_bytes,
    };
    let layout = match place(file, &dataset.header, &dataset.space, unit_bytes)? {
        Place::Nowhere => Layout::Nowhere,
        Place::Header(data) if (data.len() as u64) < bytes => {
            let held = data.len();
            return Err(corrupt(format!(
                "{held} bytes in the header, of {bytes} that elements take"
            )));
        }
        Place::Header(data) => Layout::Inline(flat(0), Bytes::from(data)),
        Place::Address(address) => Layout::Flat(flat(file.range(address, bytes)?.start)),
        Place::Chunks(index) => {
            let pipeline = Pipeline::read(file, &dataset.header, unit_bytes, index.chunk_bytes())?;
            let storage = Storage {
                chunk_shape: Some(element.visible(&index.chunk_shape()).to_vec()),
                shard_shape: None,
                codecs: pipeline.names(),
            };
            let layout = pipeline.check(name).map(|()| {
                let (swap_bytes, fill) = (element.swap_bytes, unwritten.to_vec());
                Layout::Chunked(Box::new(Chunked::new(
                    file, extent, index, pipeline, swap_bytes, fill,
                )))
            });
            return Ok(Stored { storage, layout });
        }
    };
    Ok(Stored { storage: Storage::default(), layout: Ok(layout) })
}
