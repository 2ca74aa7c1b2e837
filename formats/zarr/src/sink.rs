//! A Zarr store that is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use array::{ArraySink, Dataset, GroupPath, Variable};
use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, Objects, StoreOptions};

use crate::codec::{Codec, CodecChain};
use crate::json;
use crate::layout::{VariableLayout, ZarrFormat, ZarrLayout};
use crate::metadata::{ArrayDocuments, json_of_attributes, root_documents};
use crate::source::ZarrSource;
use crate::store::{ArrayNode, Hierarchy};
use crate::write::ZarrWriter;

/// Blosc takes no more bytes at once.
const BLOSC_BYTES_MAX: u64 = i32::MAX as u64 - 16;

/// A Zarr store that is being written.
///
/// Arrays are written unit by unit, in any order, by many threads. Metadata are written by
/// [`ZarrSink::finish`], those of the root last: until then no reader opens the store.
#[derive(Debug)]
pub struct ZarrSink {
    objects: Objects,
    template: Dataset,
    format: ZarrFormat,
    arrays: BTreeMap<String, (ArrayDocuments, Arc<ZarrWriter>)>,
}

impl ZarrSink {
    /// Checks that `template` can be written in this layout; writes nothing.
    ///
    /// What lies at `location` is not looked at. In version 2 the attribute `_FillValue` of a
    /// variable becomes the fill value of its array. In version 3 it stays an attribute, and the
    /// fill value is that of the variable, else `_FillValue`, else NaN or zero.
    ///
    /// # Errors
    /// Chunks or shards that do not fit, names that no array can have, a `_FillValue` that is no
    /// element of its variable.
    pub fn create(
        location: &Location,
        template: &Dataset,
        layout: &ZarrLayout,
        options: &StoreOptions,
    ) -> Result<Self> {
        let objects = Objects::open(location, options)?;
        if let Some(name) = layout.variables.keys().find(|name| template.variable(name).is_none()) {
            template.expect_variable(name)?;
        }
        let mut arrays = BTreeMap::new();
        for variable in &template.variables {
            let own = layout.variables.get(&variable.name).cloned();
            let own = own.unwrap_or_else(|| one_chunk(variable, &layout.codecs));
            let described = check_variable(variable, template)
                .and_then(|()| check_layout(variable, &own, layout.format))
                .and_then(|()| ArrayDocuments::new(variable, &own, layout.format))
                .map_err(|error| error.at("variable", &variable.name))?;
            let writer = ZarrWriter::new(&objects, &variable.name, described.header.clone());
            arrays.insert(variable.name.clone(), (described, Arc::new(writer)));
        }
        Ok(Self { objects, template: template.clone(), format: layout.format, arrays })
    }

    /// Where the store will lie.
    pub fn location(&self) -> &Location {
        self.objects.root()
    }

    /// The array of a variable.
    ///
    /// # Errors
    /// No such variable.
    pub fn array(&self, variable: &str) -> Result<Arc<dyn ArraySink>> {
        match self.arrays.get(variable) {
            Some((_, writer)) => Ok(Arc::<ZarrWriter>::clone(writer)),
            None => {
                self.template.expect_variable(variable)?;
                Err(Error::internal(format!("the variable `{variable}` has no array")))
            }
        }
    }

    /// The key of the object of a unit, from the root of the store.
    ///
    /// # Errors
    /// No such variable.
    pub fn unit_key(&self, variable: &str, index: &[u64]) -> Result<String> {
        match self.arrays.get(variable) {
            Some((_, writer)) => Ok(writer.key(index)),
            None => Err(Error::internal(format!("the variable `{variable}` has no array"))),
        }
    }

    /// The store as it will be read once it is finished: what units are written so far, and fill
    /// values where none is.
    ///
    /// Nothing is read for it.
    ///
    /// # Errors
    /// Attributes of the template that are no JSON.
    pub fn unfinished(&self) -> Result<ZarrSource> {
        let node = |variable: &Variable| {
            let (documents, _) = self.arrays.get(&variable.name)?;
            let (name, header) = (variable.name.clone(), Ok(documents.header.clone()));
            Some(ArrayNode { path: name.clone(), name, header })
        };
        let hierarchy = Hierarchy {
            attributes: json_of_attributes(&self.template.attributes)?,
            arrays: self.template.variables.iter().filter_map(node).collect(),
            groups: Vec::new(),
        };
        Ok(ZarrSource::of_hierarchy(self.objects.clone(), &GroupPath::default(), hierarchy))
    }

    /// Writes the metadata of all arrays, waits for them, and then those of the root, the
    /// consolidated copy last. With that the store is there.
    ///
    /// # Errors
    /// A store that fails; unless it was the last write that failed, no reader opens the store.
    pub fn finish(&self) -> Result<()> {
        let arrays: Vec<(&str, &ArrayDocuments)> = self
            .template
            .variables
            .iter()
            .filter_map(|variable| {
                let (documents, _) = self.arrays.get(&variable.name)?;
                Some((variable.name.as_str(), documents))
            })
            .collect();
        let root = root_documents(&self.template, &arrays, self.format)?;
        let written: Vec<_> = arrays
            .iter()
            .flat_map(|(name, array)| {
                array.documents.iter().map(move |(key, document)| {
                    let text = Bytes::from(json::print(document));
                    self.objects.put(&format!("{name}/{key}"), text)
                })
            })
            .collect();
        written.into_iter().try_for_each(objects::Pending::wait)?;
        root.into_iter().try_for_each(|(key, text)| self.objects.put(key, text.into()).wait())
    }
}

fn one_chunk(variable: &Variable, codecs: &CodecChain) -> VariableLayout {
    let chunk_shape = variable.shape.iter().map(|&length| length.max(1)).collect();
    VariableLayout { chunk_shape, shard_shape: None, codecs: codecs.clone() }
}

fn check_variable(variable: &Variable, template: &Dataset) -> Result<()> {
    let name = &variable.name;
    let reserved = ["zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"];
    let is_dots = name.chars().all(|c| c == '.');
    if name.contains('/') || name.starts_with("__") || is_dots || reserved.contains(&name.as_str())
    {
        return Err(invalid(ErrorCode::INVALID_RECIPE, format!("no array can be called `{name}`"))
            .mend("rename the variable"));
    }
    if variable.dimensions.len() != variable.shape.len() {
        let message =
            format!("{:?} do not name the dimensions of {:?}", variable.dimensions, variable.shape);
        return Err(Error::internal(message));
    }
    for (dimension, &length) in variable.dimensions.iter().zip(&variable.shape) {
        let known = template.dimension(dimension).map(|dimension| dimension.length);
        if known.is_some_and(|known| known != length) {
            let message =
                format!("`{dimension}` has {length} elements, but {known:?} in the dataset");
            return Err(Error::internal(message));
        }
    }
    if variable.dtype == array::DType::Bytes(0) {
        let message = "elements without bytes cannot be written";
        return Err(Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message));
    }
    Ok(())
}

fn check_layout(variable: &Variable, layout: &VariableLayout, format: ZarrFormat) -> Result<()> {
    let VariableLayout { chunk_shape, shard_shape, codecs } = layout;
    let rank = variable.shape.len();
    codecs.check(variable.dtype, rank)?;
    for (what, shape) in [("chunk", Some(chunk_shape)), ("shard", shard_shape.as_ref())] {
        let Some(shape) = shape else { continue };
        if shape.len() != rank {
            let message = format!("a {what} of {shape:?} does not have {rank} dimensions");
            return Err(invalid(ErrorCode::INVALID_CHUNKS, message)
                .mend("give one length for each dimension"));
        }
        if let Some(place) = shape.iter().position(|&length| length == 0) {
            let dimension = &variable.dimensions[place];
            let message = format!("a {what} has no elements along `{dimension}`");
            return Err(invalid(ErrorCode::INVALID_CHUNKS, message)
                .mend("give a length of at least 1, or -1 for the whole dimension"));
        }
    }
    if let Some(shard_shape) = shard_shape {
        if format == ZarrFormat::V2 {
            return Err(invalid(ErrorCode::INVALID_CHUNKS, "Zarr version 2 has no shards")
                .mend("write version 3, or leave out the shards"));
        }
        for (dimension, (shard, chunk)) in
            variable.dimensions.iter().zip(shard_shape.iter().zip(chunk_shape))
        {
            if !shard.is_multiple_of(*chunk) {
                let message = format!(
                    "a shard of {shard} along `{dimension}` is no multiple of a chunk of {chunk}"
                );
                let (below, above) = (shard / chunk * chunk, shard.next_multiple_of(*chunk));
                let mend = if below == 0 {
                    format!("take {above}")
                } else {
                    format!("take {below} or {above}")
                };
                return Err(invalid(ErrorCode::INVALID_CHUNKS, message).mend(mend));
            }
        }
    }
    let item_bytes = variable.dtype.estimated_bytes();
    let chunk_bytes = chunk_shape.iter().try_fold(item_bytes, |bytes, &n| bytes.checked_mul(n));
    let is_blosc = |codec: &Codec| matches!(codec, Codec::Blosc { .. });
    if codecs.codecs().iter().any(is_blosc) && chunk_bytes.is_none_or(|b| b > BLOSC_BYTES_MAX) {
        let message =
            format!("a chunk of {chunk_shape:?} has more than the 2 GiB that Blosc takes");
        return Err(invalid(ErrorCode::INVALID_CHUNKS, message)
            .mend("choose smaller chunks, or another codec"));
    }
    Ok(())
}

fn invalid(code: ErrorCode, message: impl AsRef<str>) -> Error {
    Error::new(code, ErrorKind::InvalidInput, message)
}
