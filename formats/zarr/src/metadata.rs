//! The metadata documents of a store that is written, as xarray and zarr-python write them.

use array::{Attributes, DType, Dataset, Scalar, Variable};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Map, Value, json};

use crate::attributes::json_of;
use crate::codec::V2Codecs;
use crate::element::{v2_name, v3_name};
use crate::fill::{FILL_ATTRIBUTE, encode_fill_attribute, json_of_fill, masked_of};
use crate::header::{DIMENSIONS_ATTRIBUTE, Header, header_of_v2, header_of_v3};
use crate::json;
use crate::layout::{VariableLayout, ZarrFormat};

/// The documents of one array, and what they say.
#[derive(Debug)]
pub(crate) struct ArrayDocuments {
    /// Keys below the array, with their documents, in the order in which they are written.
    pub(crate) documents: Vec<(&'static str, Value)>,
    pub(crate) header: Header,
}

impl ArrayDocuments {
    /// Describes a variable.
    ///
    /// # Errors
    /// A `_FillValue` that the type does not hold, attributes that are no JSON.
    pub(crate) fn new(
        variable: &Variable,
        layout: &VariableLayout,
        format: ZarrFormat,
    ) -> Result<Self> {
        let masked = masked_of(&variable.attributes, variable.dtype)?;
        match format {
            ZarrFormat::V2 => Self::v2(variable, layout, masked.as_ref()),
            ZarrFormat::V3 => Self::v3(variable, layout, masked.as_ref()),
        }
    }

    fn v2(variable: &Variable, layout: &VariableLayout, masked: Option<&Scalar>) -> Result<Self> {
        let codecs = layout.codecs.v2(variable.dtype, variable.shape.len())?;
        Self::of_v2(variable, &layout.chunk_shape, &v2_name(variable.dtype), codecs, masked)
    }

    /// Describes a variable of version 2 whose elements and chunks lie so.
    ///
    /// # Errors
    /// As [`ArrayDocuments::new`], or codecs that are not known.
    pub(crate) fn of_v2(
        variable: &Variable,
        chunk_shape: &[u64],
        dtype: &str,
        codecs: V2Codecs,
        masked: Option<&Scalar>,
    ) -> Result<Self> {
        let mut attributes = json_of_attributes(&variable.attributes)?;
        attributes.insert(DIMENSIONS_ATTRIBUTE.to_owned(), variable.dimensions.as_slice().into());
        let V2Codecs { order, filters, compressor } = codecs;
        let filters = if filters.is_empty() { Value::Null } else { filters.into() };
        let array = json!({
            "shape": variable.shape,
            "chunks": chunk_shape,
            "dtype": dtype,
            "fill_value": masked.map_or(Value::Null, json_of_fill),
            "order": order,
            "filters": filters,
            "dimension_separator": ".",
            "compressor": compressor,
            "zarr_format": 2,
        });
        let header = header_of_v2(&array, &attributes)?;
        let documents = vec![(".zattrs", Value::Object(attributes)), (".zarray", array)];
        Ok(Self { documents, header })
    }

    fn v3(variable: &Variable, layout: &VariableLayout, masked: Option<&Scalar>) -> Result<Self> {
        let mut attributes = json_of_attributes(&variable.attributes)?;
        // xarray does not open a store of version 3 in which an array of texts has this attribute.
        let is_text = matches!(variable.dtype, DType::Bytes(_) | DType::Text);
        if let Some(masked) = masked.filter(|_| !is_text) {
            attributes.insert(FILL_ATTRIBUTE.to_owned(), encode_fill_attribute(masked));
        }
        let fill = variable.fill.as_ref().and_then(|fill| fill.cast(variable.dtype));
        let fill = fill.or_else(|| masked.cloned());
        let fill = fill.unwrap_or_else(|| default_fill(variable));
        let unit_shape = layout.shard_shape.as_ref().unwrap_or(&layout.chunk_shape);
        let mut array = json!({
            "shape": variable.shape,
            "data_type": v3_name(variable.dtype),
            "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": unit_shape } },
            "chunk_key_encoding": { "name": "default", "configuration": { "separator": "/" } },
            "fill_value": json_of_fill(&fill),
            "codecs": v3_codecs(variable, layout),
            "attributes": attributes,
            "dimension_names": variable.dimensions,
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        });
        if let Some(object) = array.as_object_mut().filter(|_| variable.dimensions.is_empty()) {
            object.shift_remove("dimension_names");
        }
        let header = header_of_v3(&array)?;
        Ok(Self { documents: vec![("zarr.json", array)], header })
    }
}

fn v3_codecs(variable: &Variable, layout: &VariableLayout) -> Value {
    let codecs = layout.codecs.v3(variable.dtype, variable.shape.len());
    if layout.shard_shape.is_none() {
        return Value::from(codecs);
    }
    json!([{
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": layout.chunk_shape,
            "codecs": codecs,
            "index_codecs": [
                { "name": "bytes", "configuration": { "endian": "little" } },
                { "name": "crc32c" }
            ],
            "index_location": "end"
        }
    }])
}

/// What xarray takes where nothing is said: NaN for floats, zero for all else.
fn default_fill(variable: &Variable) -> Scalar {
    Scalar::from_float(variable.dtype, f64::NAN).unwrap_or_else(|| Scalar::zero(variable.dtype))
}

/// A group with its arrays, and its path from a group that is described; that is empty for the
/// group itself.
pub(crate) struct GroupBelow<'a> {
    pub(crate) path: String,
    pub(crate) dataset: &'a Dataset,
    pub(crate) arrays: Vec<(&'a str, &'a ArrayDocuments)>,
}

impl GroupBelow<'_> {
    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}

/// The documents of a group, in the order in which they are written: the consolidated copy last,
/// which has all that lies below.
pub(crate) fn group_documents(
    own: &GroupBelow<'_>,
    below: &[GroupBelow<'_>],
    format: ZarrFormat,
) -> Result<Vec<(&'static str, String)>> {
    let mut copy = Map::new();
    for group in std::iter::once(own).chain(below) {
        let attributes = Value::Object(json_of_attributes(&group.dataset.attributes)?);
        match format {
            ZarrFormat::V2 => {
                copy.insert(group.key(".zgroup"), json!({ "zarr_format": 2 }));
                copy.insert(group.key(".zattrs"), attributes);
            }
            ZarrFormat::V3 if group.path.is_empty() => {}
            ZarrFormat::V3 => {
                let node = json!({
                    "attributes": attributes, "zarr_format": 3, "node_type": "group"
                });
                copy.insert(group.path.clone(), node);
            }
        }
        for (name, array) in &group.arrays {
            for (key, document) in &array.documents {
                let key = match format {
                    ZarrFormat::V2 => group.key(&format!("{name}/{key}")),
                    ZarrFormat::V3 => group.key(name),
                };
                copy.insert(key, document.clone());
            }
        }
    }
    let attributes = Value::Object(json_of_attributes(&own.dataset.attributes)?);
    Ok(match format {
        ZarrFormat::V2 => {
            let group = json!({ "zarr_format": 2 });
            let consolidated = json!({ "metadata": copy, "zarr_consolidated_format": 1 });
            let documents =
                [(".zattrs", attributes), (".zgroup", group), (".zmetadata", consolidated)];
            documents.map(|(key, document)| (key, json::print(&document))).to_vec()
        }
        ZarrFormat::V3 => {
            let root = json!({
                "attributes": attributes,
                "zarr_format": 3,
                "consolidated_metadata": {
                    "kind": "inline", "must_understand": false, "metadata": copy,
                },
                "node_type": "group",
            });
            vec![("zarr.json", json::print(&root))]
        }
    })
}

/// Attributes as JSON, without those that the format has a place of its own for.
pub(crate) fn json_of_attributes(attributes: &Attributes) -> Result<Map<String, Value>> {
    let own = [FILL_ATTRIBUTE, DIMENSIONS_ATTRIBUTE];
    let kept = attributes.iter().filter(|(name, _)| !own.contains(name));
    let pairs = kept.map(|(name, value)| {
        let value = json_of(value).map_err(|error| {
            let message = format!("the attribute `{name}` is no JSON");
            Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
                .caused_by(error)
        });
        Ok((name.to_owned(), value?))
    });
    pairs.collect()
}
