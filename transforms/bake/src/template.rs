//! The template of the store: what it will hold, and how that will lie.

use std::collections::BTreeMap;

use array::{AttributeValue, Attributes, DType, Dataset, Dimension, Scalar, Storage, Variable};
use cf::{MISSING_TIME, TimeEncoding};
use chunks::{ByteSize, ChunkSpec};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use zarr::{Codec, VariableLayout, ZarrFormat, ZarrLayout};

use crate::check::{Checked, Role, first_encoding, needs_new_times};
use crate::options::{BakeOptions, ZarrVersion};
use crate::schema::{Attribute, Schema, VariableSchema};

/// A coordinate is one chunk, unless it is larger than this.
const COORDINATE_CHUNK: ByteSize = ByteSize(64 << 20);

/// What the store will hold, which times are encoded anew, and which attributes are dropped.
pub(crate) struct Template {
    pub(crate) dataset: Dataset,
    pub(crate) encodings: BTreeMap<String, TimeEncoding>,
    pub(crate) dropped: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// Attributes that say how times are encoded; where that is chosen anew, they are written anew.
const TIME_ATTRIBUTES: [&str; 7] =
    ["units", "calendar", "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned"];

impl Template {
    pub(crate) fn new(schema: &Schema, checked: &Checked, concat: Option<&str>) -> Result<Self> {
        let encodings = choose_encodings(schema, checked)?;
        let concat_length: u64 = schema.files.values().map(|file| file.concat_length).sum();
        let length = |name: &str| match concat {
            Some(concat) if concat == name => concat_length,
            _ => schema.dimensions.get(name).map_or(0, |dimension| dimension.first().0),
        };
        let (mut dropped, mut notes) = (Vec::new(), Vec::new());
        let variables = checked.roles.iter().filter_map(|(name, role)| {
            let variable = schema.variables.get(name)?;
            let mut dimensions = variable.dimensions.first().clone();
            if *role == Role::Repeated {
                dimensions.insert(0, concat.unwrap_or_default().to_owned());
            }
            let encoding = encodings.get(name);
            let lost = |attribute: &str| {
                if encoding.is_none() || !TIME_ATTRIBUTES.contains(&attribute) {
                    dropped.push(format!("{name}:{attribute}"));
                }
            };
            let is_first = matches!(role, Role::Static(_));
            let attributes =
                common_attributes(&variable.attributes, variable.file_count, is_first, lost);
            let mut attributes = encoded_attributes(attributes, variable, encoding);
            let dtype = if encoding.is_some() { DType::Int64 } else { *variable.dtype.first() };
            notes.extend(drop_idle_fill(name, &mut attributes, dtype));
            Some(Variable {
                name: name.clone(),
                shape: dimensions.iter().map(|dimension| length(dimension)).collect(),
                dimensions,
                dtype,
                fill: if encoding.is_some() { None } else { variable.fill.first().clone() },
                attributes,
                storage: Storage::default(),
            })
        });
        let variables: Vec<Variable> = variables.collect();
        let lost = |attribute: &str| dropped.push(attribute.to_owned());
        let file_count = schema.files.len() as u32;
        let attributes = common_attributes(&schema.attributes, file_count, false, lost);
        let dimensions = dimensions_of(&variables);
        let (groups, warnings) = (Vec::new(), Vec::new());
        let dataset = Dataset { dimensions, variables, attributes, groups, warnings };
        Ok(Self { dataset, encodings, dropped, notes })
    }
}

fn dimensions_of(variables: &[Variable]) -> Vec<Dimension> {
    let mut dimensions: Vec<Dimension> = Vec::new();
    for variable in variables {
        for (name, &length) in variable.dimensions.iter().zip(&variable.shape) {
            if !dimensions.iter().any(|known| known.name == *name) {
                dimensions.push(Dimension { name: name.clone(), length, is_unlimited: false });
            }
        }
    }
    dimensions
}

/// The attributes that all files have and say alike, in the order of the first file.
///
/// Of a variable that is taken from the first file, `is_first`, what that file says is taken.
fn common_attributes(
    attributes: &BTreeMap<String, Attribute>,
    file_count: u32,
    is_first: bool,
    mut lost: impl FnMut(&str),
) -> Attributes {
    let mut common: Vec<(u32, &String, &AttributeValue)> = Vec::new();
    for (name, attribute) in attributes {
        let agree = attribute.conflict().is_none() && attribute.count() == file_count;
        let (order, value) = attribute.first();
        if agree || is_first && attribute.first_file() == 0 {
            common.push((*order, name, value));
        } else {
            lost(name);
        }
    }
    common.sort_by_key(|(order, ..)| *order);
    common.into_iter().map(|(_, name, value)| (name.clone(), value.clone())).collect()
}

/// Says in the attributes how times were encoded anew.
fn encoded_attributes(
    mut attributes: Attributes,
    variable: &VariableSchema,
    encoding: Option<&TimeEncoding>,
) -> Attributes {
    let Some(encoding) = encoding else { return attributes };
    for name in TIME_ATTRIBUTES {
        attributes.remove(name);
    }
    // Bounds without units follow those of their coordinate.
    let has_own_units = variable.attributes.contains_key("units");
    if has_own_units {
        attributes.set("units", encoding.units().as_str());
        attributes.set("calendar", encoding.calendar().name());
    }
    if let Some(Ok(span)) = &variable.span
        && span.has_missing()
    {
        attributes.set("_FillValue", Scalar::of(MISSING_TIME));
    }
    attributes
}

/// Drops a `_FillValue` that no element can be equal to, such as NaN where elements are integers:
/// it masks nothing, and a Zarr array cannot have it. The note says so.
fn drop_idle_fill(name: &str, attributes: &mut Attributes, dtype: DType) -> Option<String> {
    let fill = attributes.number("_FillValue")?;
    if !dtype.is_integer() || fill.cast(dtype).is_some() {
        return None;
    }
    let note = format!("{name}:_FillValue is {fill}, which no {dtype} can be; it is dropped");
    attributes.remove("_FillValue");
    Some(note)
}

/// One encoding for each variable whose times are encoded anew, the same for its bounds.
fn choose_encodings(schema: &Schema, checked: &Checked) -> Result<BTreeMap<String, TimeEncoding>> {
    let mut encodings = BTreeMap::new();
    for (name, role) in &checked.roles {
        let Some(variable) = schema.variables.get(name) else { continue };
        if matches!(role, Role::Static(_)) || encodings.contains_key(name) {
            continue;
        }
        let bounds =
            bounds_of(variable).and_then(|bounds| Some((bounds, schema.variables.get(bounds)?)));
        let is_needed = needs_new_times(variable)
            || bounds.is_some_and(|(_, it)| needs_new_times(it) && variable.span.is_some());
        let Some(Ok(own)) = variable.span.as_ref().filter(|_| is_needed) else { continue };
        let mut span = own.clone();
        if let Some((_, VariableSchema { span: Some(Ok(theirs)), .. })) = bounds {
            span = span.merge(theirs)?;
        }
        let chosen = first_encoding(variable).and_then(|preferred| span.choose(&preferred));
        let chosen = chosen.map_err(|error| error.at("variable", name))?;
        if let Some((bounds, _)) = bounds {
            encodings.insert(bounds.to_owned(), chosen.clone());
        }
        encodings.insert(name.clone(), chosen);
    }
    Ok(encodings)
}

fn bounds_of(variable: &VariableSchema) -> Option<&str> {
    let named = ["bounds", "climatology"].iter().find_map(|name| variable.attributes.get(*name));
    named.and_then(|attribute| attribute.first().1.as_text()).map(str::trim)
}

/// How every variable of the template will lie.
pub(crate) fn layout_of(template: &Dataset, options: &BakeOptions) -> Result<ZarrLayout> {
    for spec in [&options.chunks, &options.shards] {
        for dimension in spec.dimensions() {
            template.expect_dimension(dimension)?;
        }
    }
    let format = match options.zarr_format {
        ZarrVersion::V2 => ZarrFormat::V2,
        ZarrVersion::V3 => ZarrFormat::V3,
    };
    if format == ZarrFormat::V2 && !options.shards.is_empty() {
        let message = "Zarr version 2 has no shards";
        let error = Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message);
        return Err(error.mend("write version 3, or leave --shards out"));
    }
    let codec: Codec = options.codec.parse()?;
    let mut layout = ZarrLayout::new(format);
    layout.codec = codec;
    for variable in &template.variables {
        let (chunk_shape, shard_shape) = if is_coordinate(template, variable) {
            (ChunkSpec::default().chunk_shape(variable, COORDINATE_CHUNK), None)
        } else {
            let chunk_shape = options.chunks.chunk_shape(variable, options.chunk_size);
            let shard_shape = options.shards.shard_shape(variable, &chunk_shape)?;
            (chunk_shape, shard_shape)
        };
        let own = VariableLayout { chunk_shape, shard_shape, codec };
        layout = layout.with_variable(variable.name.clone(), own);
    }
    Ok(layout)
}

/// Whether a variable labels a dimension, or holds the bounds of one that does.
fn is_coordinate(template: &Dataset, variable: &Variable) -> bool {
    let is_bounds = |other: &&Variable| {
        other.is_dimension_coordinate()
            && ["bounds", "climatology"].iter().any(|name| {
                other.attributes.text(name).map(str::trim) == Some(variable.name.as_str())
            })
    };
    variable.is_dimension_coordinate() || template.variables.iter().any(|it| is_bounds(&it))
}
