//! A Zarr store that grows along one dimension.
//!
//! Units are written under their final keys, then the metadata of the arrays, and last the one
//! object that holds the consolidated copy: a reader of that copy sees the old lengths or the new.

use std::collections::BTreeMap;
use std::sync::Arc;

use array::{ArrayBuffer, ArraySink, Dataset, DatasetSource as _, GroupPath, Variable};
use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, Objects};
use serde_json::{Map, Value};

use crate::header::Header;
use crate::json;
use crate::layout::ZarrFormat;
use crate::metadata::json_of_attributes;
use crate::shard::Sharding;
use crate::source::ZarrSource;
use crate::store::{ArrayNode, Hierarchy};
use crate::write::ZarrWriter;

/// A Zarr store of which all arrays with one dimension get longer along it.
///
/// Arrays keep their types, chunks, shards, codecs, keys and attributes; nothing is written but
/// the units that callers write and, by [`ZarrAppend::finish`], the lengths.
#[derive(Debug)]
pub struct ZarrAppend {
    objects: Objects,
    format: ZarrFormat,
    /// The root document as it was found, with the consolidated copy.
    root: Bytes,
    dataset: Dataset,
    length: u64,
    arrays: BTreeMap<String, GrowingArray>,
    /// Arrays without the dimension.
    others: BTreeMap<String, Header>,
}

#[derive(Debug)]
struct GrowingArray {
    axis: usize,
    writer: Arc<ZarrWriter>,
}

impl ZarrAppend {
    /// Checks that the arrays of a store with `dimension` can be written with `length` elements
    /// along it; writes nothing.
    ///
    /// Memory: one chunk of an array, encoded to see that it can be.
    ///
    /// # Errors
    /// A store without a consolidated copy, whose arrays cannot change at once; an array that
    /// cannot be read, that has the dimension twice, or whose codecs are only read; fewer elements
    /// than there are.
    pub fn open(source: &ZarrSource, dimension: &str, length: u64) -> Result<Self> {
        let objects = source.objects.clone();
        let (format, root) = consolidated_root(&objects)?;
        let mut dataset = source.dataset().clone();
        let (mut arrays, mut others) = (BTreeMap::new(), BTreeMap::new());
        for array in source.all_arrays() {
            let array = array?;
            let variable = dataset.expect_variable(&array.name)?;
            let axes = variable.dimensions.iter().enumerate().filter(|(_, it)| *it == dimension);
            let axes: Vec<usize> = axes.map(|(axis, _)| axis).collect();
            let axis = match axes.as_slice() {
                [] => {
                    others.insert(array.name.clone(), array.header.clone());
                    continue;
                }
                [axis] => *axis,
                _ => {
                    let message = format!("`{}` has the dimension `{dimension}` twice", array.name);
                    return Err(unsupported(&message).at("store", objects.root()));
                }
            };
            if array.header.shape[axis] > length {
                return Err(Error::internal(format!("`{}` would get shorter", array.name)));
            }
            let mut header = array.header.clone();
            header.shape[axis] = length;
            check_written(&header)
                .map_err(|error| error.at("store", objects.root()).at("variable", &array.name))?;
            let writer = Arc::new(ZarrWriter::new(&objects, &array.path, header));
            arrays.insert(array.name.clone(), GrowingArray { axis, writer });
        }
        for variable in &mut dataset.variables {
            if let Some(GrowingArray { axis, .. }) = arrays.get(&variable.name) {
                variable.shape[*axis] = length;
            }
        }
        for known in dataset.dimensions.iter_mut().filter(|known| known.name == dimension) {
            known.length = length;
        }
        Ok(Self { objects, format, root, dataset, length, arrays, others })
    }

    /// The store as it will be read once the append is finished.
    ///
    /// Nothing is read for it.
    ///
    /// # Errors
    /// Attributes of the store that are no JSON.
    pub fn unfinished(&self) -> Result<ZarrSource> {
        let node = |variable: &Variable| {
            let name = variable.name.clone();
            let growing = self.arrays.get(&name).map(|array| array.writer.header());
            let header = growing.or_else(|| self.others.get(&name))?.clone();
            Some(ArrayNode { path: name.clone(), name, header: Ok(header) })
        };
        let hierarchy = Hierarchy {
            attributes: json_of_attributes(&self.dataset.attributes)?,
            arrays: self.dataset.variables.iter().filter_map(node).collect(),
            groups: self.dataset.groups.clone(),
        };
        Ok(ZarrSource::of_hierarchy(self.objects.clone(), &GroupPath::default(), hierarchy))
    }

    /// Where the store lies.
    pub fn location(&self) -> &Location {
        self.objects.root()
    }

    /// What the store will hold.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// CRC-32C of the root document as it was found: another one is another store.
    pub fn root_crc32c(&self) -> u32 {
        crc32c::crc32c(&self.root)
    }

    /// The array of a variable, at its new length.
    ///
    /// # Errors
    /// No such variable, or one without the dimension.
    pub fn array(&self, variable: &str) -> Result<Arc<dyn ArraySink>> {
        match self.arrays.get(variable) {
            Some(array) => Ok(Arc::<ZarrWriter>::clone(&array.writer)),
            None => {
                self.dataset.expect_variable(variable)?;
                Err(Error::internal(format!("the variable `{variable}` does not grow")))
            }
        }
    }

    /// The key of the object of a unit, from the root of the store.
    ///
    /// # Errors
    /// No such variable, or one without the dimension.
    pub fn unit_key(&self, variable: &str, index: &[u64]) -> Result<String> {
        match self.arrays.get(variable) {
            Some(array) => Ok(array.writer.key(index)),
            None => Err(Error::internal(format!("the variable `{variable}` does not grow"))),
        }
    }

    /// Writes the new lengths: those of all arrays, waits for them, and then the root document
    /// with the consolidated copy. With that the new elements are there.
    ///
    /// # Errors
    /// A store that fails, or that somebody else has changed meanwhile; unless it was the last
    /// write that failed, readers of the consolidated copy see the old elements and no others.
    pub fn finish(&self) -> Result<()> {
        self.check_unchanged()?;
        let mut root = json::parse(&self.root)?;
        let (document_name, root_key) = match self.format {
            ZarrFormat::V2 => (".zarray", ".zmetadata"),
            ZarrFormat::V3 => ("zarr.json", "zarr.json"),
        };
        let keys = self.arrays.keys().map(|name| (format!("{name}/{document_name}"), None));
        let stored = self.objects.fetch_many(keys.collect()).wait()?;
        let nodes = nodes_of(&mut root, self.format).ok_or_else(|| self.no_node("any array"))?;
        let mut written = Vec::new();
        for ((name, array), stored) in self.arrays.iter().zip(stored) {
            let key = format!("{name}/{document_name}");
            let node_key = if self.format == ZarrFormat::V2 { &key } else { name };
            let node = nodes.get_mut(node_key).ok_or_else(|| self.no_node(name))?;
            // What an earlier append, cut short, has left there may have another length.
            let mut document = match &stored {
                Some(text) => json::parse(text)?,
                None => node.clone(),
            };
            for document in [&mut document, node] {
                let shape = document.get_mut("shape").and_then(|it| it.get_mut(array.axis));
                *shape.ok_or_else(|| self.no_node(name))? = Value::from(self.length);
            }
            written.push(self.objects.put(&key, Bytes::from(json::print(&document))));
        }
        written.into_iter().try_for_each(objects::Pending::wait)?;
        self.objects.put(root_key, Bytes::from(json::print(&root))).wait()
    }

    /// Refuses a store whose root document is not what it was.
    ///
    /// # Errors
    /// A store that fails, or that somebody else has changed meanwhile.
    pub fn check_unchanged(&self) -> Result<()> {
        let (_, root) = consolidated_root(&self.objects)?;
        if root == self.root {
            return Ok(());
        }
        let message = "the store has changed while it was written to";
        let error = Error::new(ErrorCode::CANNOT_READ, ErrorKind::Conflict, message);
        let error = error.at("store", self.objects.root());
        Err(error.mend("write again when nobody else writes the store"))
    }

    fn no_node(&self, name: &str) -> Error {
        let message = format!("the consolidated metadata do not describe {name}");
        Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message)
            .at("store", self.objects.root())
            .mend("consolidate the metadata of the store anew")
    }
}

/// The nodes of the consolidated copy, by their keys.
fn nodes_of(root: &mut Value, format: ZarrFormat) -> Option<&mut Map<String, Value>> {
    match format {
        ZarrFormat::V2 => root.get_mut("metadata")?.as_object_mut(),
        ZarrFormat::V3 => {
            root.get_mut("consolidated_metadata")?.get_mut("metadata")?.as_object_mut()
        }
    }
}

/// The root document that holds the consolidated copy, and its format.
fn consolidated_root(objects: &Objects) -> Result<(ZarrFormat, Bytes)> {
    for (key, format) in [("zarr.json", ZarrFormat::V3), (".zmetadata", ZarrFormat::V2)] {
        let Some(root) = objects.try_get(key)? else { continue };
        let mut parsed =
            json::parse(&root).map_err(|error| error.at("object", objects.root().join(key)))?;
        if nodes_of(&mut parsed, format).is_some() {
            return Ok((format, root));
        }
        // A store of version 3 is one, whatever of version 2 lies beside.
        break;
    }
    let message = "the store has no consolidated metadata, which alone can change at once";
    let error = unsupported(message).at("store", objects.root());
    Err(error.mend("consolidate its metadata first: `zarr.consolidate_metadata` of zarr-python"))
}

/// Refuses an array whose chunks can be read and not written.
fn check_written(header: &Header) -> Result<()> {
    let is_other_index = |it: &Sharding| it.is_index_first || !it.has_checksum;
    let why = if header.sharding.as_ref().is_some_and(is_other_index) {
        "the index of its shards is not at the end, with a checksum".to_owned()
    } else {
        let padding = header.chain.padding(&header.fill_or_zero());
        let chunk = ArrayBuffer::filled(&header.chain.shape, &padding).freeze()?;
        match header.chain.encode(chunk.payload()) {
            Ok(_) => return Ok(()),
            Err(error) => error.message().to_owned(),
        }
    };
    let message = format!("the encoding of an array can be read and not be written: {why}");
    Err(unsupported(&message)
        .mend("write the store anew with `levain rechunk`, and append to that"))
}

fn unsupported(message: &str) -> Error {
    Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message)
}
