//! The metadata of a store whose chunks others have encoded, and chunks that must be made anew.

use std::collections::BTreeMap;

use array::{
    ArrayBuffer, Chunk, CodecParameter, DType, Dataset, EncodedFacts, NamedCodec, Region, Scalar,
    Variable,
};
use bytes::Bytes;
use dataflow::error::{Error, Result};
use serde_json::{Map, Value, json};

use crate::codec::V2Codecs;
use crate::element::v2_name;
use crate::fill::masked_of;
use crate::json;
use crate::metadata::{ArrayDocuments, json_of_attributes};

/// Codecs that stand by themselves in the metadata of version 2, if they are the last ones.
const COMPRESSORS: [&str; 7] = ["blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"];

/// What a store of version 2 says of arrays whose chunks lie so, wherever they lie.
#[derive(Debug)]
pub struct ZarrDescription {
    template: Dataset,
    arrays: BTreeMap<String, ArrayDocuments>,
}

impl ZarrDescription {
    /// Describes a dataset; `encoded` says of every variable how its chunks are encoded. The fill
    /// value of an array is the `_FillValue` of the variable, as readers mask by it.
    ///
    /// # Errors
    /// A variable of which nothing is said, codecs that are not known, attributes that are no JSON.
    pub fn new(template: &Dataset, encoded: &BTreeMap<String, EncodedFacts>) -> Result<Self> {
        let described = template.variables.iter().map(|variable| {
            let name = &variable.name;
            let facts = encoded.get(name);
            let facts = facts.ok_or_else(|| Error::internal("nothing is said of its chunks"));
            let documents = facts.and_then(|facts| documents_of(variable, facts));
            Ok((name.clone(), documents.map_err(|error| error.at("variable", name))?))
        });
        Ok(Self { template: template.clone(), arrays: described.collect::<Result<_>>()? })
    }

    /// All documents with their keys from the root of the store: those of the root, then those of
    /// arrays in the order of the dataset.
    ///
    /// # Errors
    /// Attributes that are no JSON.
    pub fn documents(&self) -> Result<Vec<(String, String)>> {
        let attributes = Value::Object(json_of_attributes(&self.template.attributes)?);
        let mut documents = vec![
            (".zgroup".to_owned(), json::print(&json!({ "zarr_format": 2 }))),
            (".zattrs".to_owned(), json::print(&attributes)),
        ];
        for variable in &self.template.variables {
            let array = self.array(&variable.name)?;
            let own = array.documents.iter().rev();
            documents.extend(
                own.map(|(key, text)| (format!("{}/{key}", variable.name), json::print(text))),
            );
        }
        Ok(documents)
    }

    /// What readers take for the elements of a chunk that is not there; nothing where they may take
    /// anything.
    ///
    /// # Errors
    /// No such variable.
    pub fn fill(&self, variable: &str) -> Result<Option<&Scalar>> {
        Ok(self.array(variable)?.header.fill.as_ref())
    }

    /// Encodes a chunk as the metadata say; elements that lack at the edge are filled up.
    ///
    /// # Errors
    /// No such variable, elements of another type, a codec that fails or is only read.
    pub fn encode(&self, variable: &str, elements: &Chunk) -> Result<Bytes> {
        let header = &self.array(variable)?.header;
        let chain = &header.chain;
        if elements.shape() == chain.shape {
            return chain.encode(elements.payload());
        }
        let padding = chain.padding(&header.fill_or_zero());
        let mut whole = ArrayBuffer::filled(&chain.shape, &padding);
        let origin = vec![0; chain.shape.len()];
        whole.write(&origin, elements, &Region::whole(elements.shape()))?;
        chain.encode(whole.freeze()?.payload())
    }

    fn array(&self, variable: &str) -> Result<&ArrayDocuments> {
        let missing = || Error::internal(format!("`{variable}` is not described"));
        self.arrays.get(variable).ok_or_else(missing)
    }
}

fn documents_of(variable: &Variable, facts: &EncodedFacts) -> Result<ArrayDocuments> {
    let masked = masked_of(&variable.attributes, variable.dtype)?;
    let mut dtype = v2_name(facts.dtype);
    if facts.is_big_endian {
        dtype = dtype.replacen('<', ">", 1);
    }
    let mut filters: Vec<Value> = facts.codecs.iter().map(json_of_codec).collect();
    let is_compressor = |codec: &NamedCodec| COMPRESSORS.contains(&codec.id.as_str());
    let compressor = match facts.codecs.last() {
        Some(last) if is_compressor(last) => filters.pop().unwrap_or_default(),
        _ => Value::Null,
    };
    if facts.dtype == DType::Text {
        filters.insert(0, json!({ "id": "vlen-utf8" }));
    }
    let codecs = V2Codecs { order: "C", filters, compressor };
    ArrayDocuments::of_v2(variable, &facts.chunk_shape, &dtype, codecs, masked.as_ref())
}

fn json_of_codec(codec: &NamedCodec) -> Value {
    let mut object = Map::from_iter([("id".to_owned(), Value::from(codec.id.as_str()))]);
    for (name, value) in &codec.parameters {
        let value = match value {
            CodecParameter::Int(value) => Value::from(*value),
            CodecParameter::Float(value) => Value::from(*value),
            CodecParameter::Text(value) => Value::from(value.as_str()),
            CodecParameter::Bool(value) => Value::from(*value),
        };
        object.insert(name.clone(), value);
    }
    Value::Object(object)
}
