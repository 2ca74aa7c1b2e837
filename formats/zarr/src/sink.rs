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
use crate::metadata::{ArrayDocuments, GroupBelow, group_documents, json_of_attributes};
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
    /// Groups below, each after the one that holds it.
    groups: Vec<(GroupPath, Self)>,
}

impl ZarrSink {
    /// Checks that `template` can be written in this layout; writes nothing.
    ///
    /// What lies at `location` is not looked at. In version 2 the attribute `_FillValue` of a
    /// variable becomes the fill value of its array. In version 3 it stays an attribute, but for
    /// arrays of texts or bytes, and the fill value is that of the variable, else `_FillValue`, else NaN or
    /// zero.
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
        let (template, format, groups) = (template.clone(), layout.format, Vec::new());
        Ok(Self { objects, template, format, arrays, groups })
    }

    /// Adds a group below, which was created at its place in this store, after the one that holds
    /// it: the store is there when all its groups are.
    #[must_use]
    pub fn with_group(mut self, path: GroupPath, group: Self) -> Self {
        debug_assert_eq!(group.format, self.format, "a store has one format");
        self.groups.push((path, group));
        self
    }

    /// Where the store will lie.
    pub fn location(&self) -> &Location {
        self.objects.root()
    }

    /// The group of a variable that may be named by its path, and its name there.
    fn group_of<'a>(&'a self, variable: &'a str) -> (Option<&'a GroupPath>, &'a Self, &'a str) {
        let below = variable.rsplit_once('/').and_then(|(path, name)| {
            let (path, group) = self.groups.iter().find(|(it, _)| it.to_string() == path)?;
            Some((Some(path), group, name))
        });
        below.unwrap_or((None, self, variable))
    }

    /// The array of a variable; that of a group below is named by its path.
    ///
    /// # Errors
    /// No such variable.
    pub fn array(&self, variable: &str) -> Result<Arc<dyn ArraySink>> {
        if let (Some(_), group, name) = self.group_of(variable) {
            return group.array(name);
        }
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
        if let (Some(path), group, name) = self.group_of(variable) {
            return group.unit_key(name, index).map(|key| format!("{path}/{key}"));
        }
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

    /// Writes the metadata of all arrays, waits for them, then those of the groups below, and then
    /// those of the root, the consolidated copy last. With that the store is there.
    ///
    /// # Errors
    /// A store that fails; unless it was the last write that failed, no reader opens the store.
    pub fn finish(&self) -> Result<()> {
        let sinks = || self.groups.iter().map(|(_, group)| group).chain([self]);
        let mut written = Vec::new();
        for sink in sinks() {
            for (name, array) in sink.documents() {
                for (key, document) in &array.documents {
                    let text = Bytes::from(json::print(document));
                    written.push(sink.objects.put(&format!("{name}/{key}"), text));
                }
            }
        }
        written.into_iter().try_for_each(objects::Pending::wait)?;
        for (path, group) in self.groups.iter().rev() {
            group.write_group(&self.below(path))?;
        }
        self.write_group(&self.below(&GroupPath::default()))
    }

    /// The arrays of this group, in the order of the template.
    fn documents(&self) -> Vec<(&str, &ArrayDocuments)> {
        let named = self.template.variables.iter().filter_map(|variable| {
            let (documents, _) = self.arrays.get(&variable.name)?;
            Some((variable.name.as_str(), documents))
        });
        named.collect()
    }

    /// The groups below this one of them, by their paths from there.
    fn below(&self, holder: &GroupPath) -> Vec<GroupBelow<'_>> {
        let depth = holder.names().len();
        let is_below = |path: &GroupPath| {
            path.names().len() > depth && path.names().starts_with(holder.names())
        };
        let below = self.groups.iter().filter(|(path, _)| is_below(path));
        let below = below.map(|(path, group)| GroupBelow {
            path: path.names()[depth..].join("/"),
            dataset: &group.template,
            arrays: group.documents(),
        });
        below.collect()
    }

    fn write_group(&self, below: &[GroupBelow<'_>]) -> Result<()> {
        let own =
            GroupBelow { path: String::new(), dataset: &self.template, arrays: self.documents() };
        let documents = group_documents(&own, below, self.format)?;
        documents.into_iter().try_for_each(|(key, text)| self.objects.put(key, text.into()).wait())
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
