//! Finds the metadata documents of a store: by the consolidated copy, or by listing.

use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::Objects;
use serde_json::{Map, Value};

use crate::header::{Header, header_of_v2, header_of_v3};
use crate::json;

/// The documents of one group, or of one array that is a store by itself.
pub(crate) struct Hierarchy {
    pub(crate) attributes: Map<String, Value>,
    /// Arrays directly in the group, by name, in the order of the store.
    pub(crate) arrays: Vec<ArrayNode>,
    /// Groups directly in the group.
    pub(crate) groups: Vec<String>,
}

/// One array of a store.
pub(crate) struct ArrayNode {
    pub(crate) name: String,
    /// The key that its chunks lie below; empty for a store that is one array.
    pub(crate) path: String,
    /// What its metadata say, or why they say nothing.
    pub(crate) header: Result<Header>,
}

/// What a store holds at its root.
const ROOT_KEYS: [&str; 5] = ["zarr.json", ".zmetadata", ".zgroup", ".zarray", ".zattrs"];

/// Whether a store lies here.
pub(crate) fn is_store(objects: &Objects) -> Result<bool> {
    Ok(root_documents(objects)?[..4].iter().any(Option::is_some))
}

/// The documents of the root, in the order of their keys.
///
/// A bucket that may be read but not listed refuses what it does not have, so a refusal counts
/// only if there is nothing else.
fn root_documents(objects: &Objects) -> Result<Vec<Option<Bytes>>> {
    let pending = ROOT_KEYS.map(|key| objects.fetch_many(vec![(key.to_owned(), None)]));
    let mut refusal = None;
    let mut documents = Vec::new();
    for document in pending {
        documents.push(match document.wait() {
            Ok(found) => found.into_iter().next().flatten(),
            Err(error) if error.code() == ErrorCode::STORE_DENIED => {
                refusal.get_or_insert(error);
                None
            }
            Err(error) => return Err(error),
        });
    }
    match refusal {
        Some(refusal) if documents.iter().all(Option::is_none) => Err(refusal),
        _ => Ok(documents),
    }
}

/// Reads the metadata of a store.
///
/// # Errors
/// No store here, a root document that is broken, or a store that fails.
pub(crate) fn read_hierarchy(objects: &Objects) -> Result<Hierarchy> {
    let documents = root_documents(objects)?;
    let mut documents = ROOT_KEYS.iter().zip(documents).map(|(key, document)| {
        document.map(|document| parse_at(objects, key, &document)).transpose()
    });
    let mut next = || documents.next().transpose().map(Option::flatten);
    if let Some(root) = next()? {
        return read_v3(objects, &root);
    }
    let (consolidated, group, array, attributes) = (next()?, next()?, next()?, next()?);
    let attributes = attributes.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(metadata) = consolidated.as_ref().and_then(|document| document.get("metadata")) {
        let metadata = metadata.as_object().ok_or_else(|| no_object(objects, ".zmetadata"))?;
        return Ok(consolidated_v2(metadata, attributes));
    }
    match (array, group) {
        (Some(array), _) => Ok(single(objects, header_of_v2(&array, &attributes))),
        (None, Some(_)) => listed_v2(objects, attributes),
        (None, None) => Err(no_store(objects)),
    }
}

fn read_v3(objects: &Objects, root: &Value) -> Result<Hierarchy> {
    let object = |key: &str| root.get(key).and_then(Value::as_object);
    match root.get("node_type").and_then(Value::as_str) {
        Some("array") => return Ok(single(objects, header_of_v3(root))),
        Some("group") => {}
        _ => return Err(no_object(objects, "zarr.json")),
    }
    let attributes = object("attributes").cloned().unwrap_or_default();
    let consolidated = object("consolidated_metadata").and_then(|copy| copy.get("metadata"));
    let nodes: Vec<(String, Result<Value>)> = match consolidated.and_then(Value::as_object) {
        Some(nodes) => nodes.iter().map(|(name, node)| (name.clone(), Ok(node.clone()))).collect(),
        None => listed_documents(objects, "zarr.json")?,
    };
    let mut hierarchy = Hierarchy { attributes, arrays: Vec::new(), groups: Vec::new() };
    for (name, node) in nodes.into_iter().filter(|(name, _)| !name.contains('/')) {
        let is_group = |node: &Value| node.get("node_type").is_some_and(|kind| kind == "group");
        if node.as_ref().is_ok_and(is_group) {
            hierarchy.groups.push(name);
        } else {
            hierarchy.push(name, node.and_then(|node| header_of_v3(&node)));
        }
    }
    Ok(hierarchy)
}

fn consolidated_v2(metadata: &Map<String, Value>, fallback: Map<String, Value>) -> Hierarchy {
    let attributes_of = |key: &str| metadata.get(key).and_then(Value::as_object).cloned();
    let attributes = attributes_of(".zattrs").unwrap_or(fallback);
    let mut hierarchy = Hierarchy { attributes, arrays: Vec::new(), groups: Vec::new() };
    for (key, document) in metadata {
        let Some((name, kind)) = key.split_once('/') else { continue };
        match kind {
            ".zgroup" => hierarchy.groups.push(name.to_owned()),
            ".zarray" => {
                let attributes = attributes_of(&format!("{name}/.zattrs")).unwrap_or_default();
                hierarchy.push(name.to_owned(), header_of_v2(document, &attributes));
            }
            _ => {}
        }
    }
    hierarchy
}

fn listed_v2(objects: &Objects, attributes: Map<String, Value>) -> Result<Hierarchy> {
    let mut hierarchy = Hierarchy { attributes, arrays: Vec::new(), groups: Vec::new() };
    let arrays = listed_documents(objects, ".zarray")?;
    let reads = arrays.iter().map(|(name, _)| (format!("{name}/.zattrs"), None)).collect();
    let attributes = objects.fetch_many(reads).wait()?;
    for ((name, array), attributes) in arrays.into_iter().zip(attributes) {
        let key = format!("{name}/.zattrs");
        let attributes = attributes.map_or(Ok(Value::Null), |text| parse_at(objects, &key, &text));
        let header = array
            .and_then(|array| header_of_v2(&array, attributes?.as_object().unwrap_or(&Map::new())));
        hierarchy.push(name, header);
    }
    let groups = listed_documents(objects, ".zgroup")?;
    hierarchy.groups = groups.into_iter().map(|(name, _)| name).collect();
    Ok(hierarchy)
}

impl Hierarchy {
    fn push(&mut self, name: String, header: Result<Header>) {
        self.arrays.push(ArrayNode { path: name.clone(), name, header });
    }
}

/// The documents of this name in the folders of a store, with the names of the folders.
fn listed_documents(objects: &Objects, name: &str) -> Result<Vec<(String, Result<Value>)>> {
    let (folders, _) = objects.list_folder("").map_err(|error| {
        error.mend("a store without a consolidated copy is found by listing; consolidate it first")
    })?;
    let keys = folders.iter().map(|folder| format!("{folder}/{name}"));
    let documents = objects.fetch_many(keys.map(|key| (key, None)).collect()).wait()?;
    let found = folders.into_iter().zip(documents).filter_map(|(folder, document)| {
        let key = format!("{folder}/{name}");
        let parsed = parse_at(objects, &key, &document?);
        Some((folder, parsed))
    });
    Ok(found.collect())
}

fn single(objects: &Objects, header: Result<Header>) -> Hierarchy {
    let name = objects.root().file_name();
    let name = name.strip_suffix(".zarr").unwrap_or(name);
    let name = if name.is_empty() { "data" } else { name }.to_owned();
    let node = ArrayNode { name, path: String::new(), header };
    Hierarchy { attributes: Map::new(), arrays: vec![node], groups: Vec::new() }
}

fn parse_at(objects: &Objects, key: &str, document: &[u8]) -> Result<Value> {
    json::parse(document).map_err(|error| error.at("object", objects.root().join(key)))
}

fn no_object(objects: &Objects, key: &str) -> Error {
    Error::new(
        ErrorCode::CORRUPT,
        ErrorKind::Corrupt,
        "this describes neither a group nor an array",
    )
    .at("object", objects.root().join(key))
}

fn no_store(objects: &Objects) -> Error {
    let message = "there is no Zarr store here";
    Error::new(ErrorCode::UNKNOWN_FORMAT, ErrorKind::NotFound, message)
        .at("store", objects.root())
        .mend("a store has zarr.json, or .zgroup or .zmetadata; one that was not finished has none")
}
