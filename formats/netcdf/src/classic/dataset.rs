//! A classic file in the words of the house.

use std::sync::Arc;

use array::error::Result;
use array::{Attributes, Dataset, Dimension, Scalar, Storage, Variable};

use super::cursor::Fault;
use super::header::{self, Attribute, Header, Kind};
use super::layout::{Layout, Slab};
use crate::element::Element;
use crate::fault::corrupt;
use crate::fill::default_fill;
use crate::flat::Flat;
use crate::opened::Opened;
use crate::sniff::Generation;
use crate::stored::{Layout as ArrayLayout, Parts};
use objects::FileBytes;

/// Bytes that are read at first; headers are rarely longer.
const HEAD_BYTES: u64 = 64 << 10;
/// No header is longer.
const MOST_HEADER_BYTES: u64 = 64 << 20;

/// Reads the header of a classic file.
///
/// # Errors
/// A header that is cut short or contradicts itself or the file.
pub(crate) fn open(bytes: &Arc<FileBytes>, generation: Generation) -> Result<Opened> {
    let header = read_header(bytes, generation)?;
    let layout = Layout::of(&header, bytes.length())?;
    let mut opened = Opened::new(match generation {
        Generation::Classic => "netCDF classic (CDF-1)",
        Generation::Offset64 => "netCDF 64-bit offset (CDF-2)",
        Generation::Data64 => "netCDF 64-bit data (CDF-5)",
    });
    let dataset = &mut opened.dataset;
    for (id, dimension) in header.dimensions.iter().enumerate() {
        let is_unlimited = layout.record_dimension == Some(id);
        let length = if is_unlimited { layout.record_count } else { dimension.length };
        dataset.dimensions.push(Dimension {
            name: dimension.name.value.clone(),
            length,
            is_unlimited,
        });
    }
    note_latin1(dataset, &header);
    dataset.attributes = attributes(&header.attributes);
    for (variable, slab) in header.variables.iter().zip(&layout.slabs) {
        let name = &variable.name.value;
        add_variable(&mut opened, bytes, variable, slab, layout.record_stride)
            .map_err(|error| error.at("variable", name))?;
    }
    Ok(opened)
}

fn read_header(bytes: &FileBytes, generation: Generation) -> Result<Header> {
    let mut length = HEAD_BYTES.min(bytes.length());
    loop {
        match header::parse(&bytes.read(0..length)?, generation, bytes.length()) {
            Ok(header) => return Ok(header),
            Err(Fault::Damaged(error)) => return Err(error),
            Err(Fault::Short(field)) if length >= bytes.length().min(MOST_HEADER_BYTES) => {
                let message = format!(
                    "the header is damaged: it ends after {length} bytes, inside of {field}"
                );
                return Err(corrupt(message));
            }
            Err(Fault::Short(_)) => length = (length * 4).min(bytes.length()),
        }
    }
}

fn attributes(attributes: &[Attribute]) -> Attributes {
    attributes
        .iter()
        .map(|attribute| (attribute.name.value.clone(), attribute.value.clone()))
        .collect()
}

fn note_latin1(dataset: &mut Dataset, header: &Header) {
    let names = header.dimensions.iter().map(|dimension| ("dimension", &dimension.name));
    let names = names.chain(header.variables.iter().map(|variable| ("variable", &variable.name)));
    for (what, name) in names.filter(|(_, name)| name.is_latin1) {
        let value = &name.value;
        dataset
            .warnings
            .push(format!("the name of {what} `{value}` is not UTF-8: read as latin-1"));
    }
    let of_file = header.attributes.iter().map(|attribute| ("the file".to_owned(), attribute));
    let of_variables = header.variables.iter().flat_map(|variable| {
        let owner = format!("variable `{}`", variable.name.value);
        variable.attributes.iter().map(move |attribute| (owner.clone(), attribute))
    });
    for (owner, attribute) in of_file.chain(of_variables) {
        if attribute.is_latin1 || attribute.name.is_latin1 {
            let name = &attribute.name.value;
            let text = format!("attribute `{name}` of {owner} is not UTF-8: read as latin-1");
            dataset.warnings.push(text);
        }
    }
}

fn add_variable(
    opened: &mut Opened,
    bytes: &Arc<FileBytes>,
    variable: &header::Variable,
    slab: &Slab,
    record_stride: u64,
) -> Result<()> {
    let name = variable.name.value.clone();
    let element = match variable.kind {
        Kind::Number(dtype) => Element::number(dtype, true),
        Kind::Char => Element::chars(&slab.shape)
            .ok_or_else(|| corrupt(format!("texts of {:?} characters are too long", slab.shape)))?,
    };
    let attributes = attributes(&variable.attributes);
    let unit = fill_unit(variable.kind, &attributes);
    let fill = element.scalar(&unit)?;
    let shape = element.visible(&slab.shape).to_vec();
    let names = variable.dimension_ids.iter().take(shape.len());
    let dimensions = names.map(|&id| opened.dataset.dimensions[id].name.clone()).collect();
    let flat = Flat {
        begin: variable.begin,
        // Records that follow each other without a gap are one piece.
        record_stride: slab
            .is_record
            .then_some(record_stride)
            .filter(|&stride| stride != slab.bytes),
        shape: slab.shape.clone(),
        unit_bytes: element.unit_bytes,
        swap_bytes: element.swap_bytes,
    };
    flat.check(bytes)?;
    let dtype = element.dtype;
    let parts = Parts {
        variable: name.clone(),
        shape: shape.clone(),
        extent: slab.shape.clone(),
        fill: fill.clone(),
        outside: unit,
        storage: Storage::default(),
        layout: ArrayLayout::Flat(flat),
        bytes: Arc::clone(bytes),
        element,
    };
    let (fill, storage) = (Some(fill), Storage::default());
    let variable = Variable { name, dimensions, shape, dtype, fill, attributes, storage };
    opened.add(variable, Ok(parts));
    Ok(())
}

/// What the C library writes where nothing is written: `_FillValue`, or the default of the type.
fn fill_unit(kind: Kind, attributes: &Attributes) -> Vec<u8> {
    match kind {
        Kind::Char => {
            let text = attributes.text("_FillValue").unwrap_or_default();
            vec![text.chars().next().and_then(|first| u8::try_from(first).ok()).unwrap_or(0)]
        }
        Kind::Number(dtype) => {
            let own = attributes.number("_FillValue").filter(|fill| fill.dtype() == dtype);
            own.map_or_else(|| default_fill(dtype), Scalar::clone).bytes().to_vec()
        }
    }
}
