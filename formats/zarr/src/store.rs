//! Finds the metadata documents of a store: by the consolidated copy, or by listing.

use array::GroupPath;
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

/// Reads the metadata of a group of a store.
///
/// # Errors
/// No store here, no such group, a root document that is broken, or a store that fails.
pub(crate) fn read_hierarchy(objects: &Objects, group: &GroupPath) -> Result<Hierarchy> {
    let documents = root_documents(objects)?;
    let mut documents = ROOT_KEYS.iter().zip(documents).map(|(key, document)| {
        document.map(|document| parse_at(objects, key, &document)).transpose()
    });
    let mut next = || documents.next().transpose().map(Option::flatten);
    if let Some(root) = next()? {
        return read_v3(objects, &root, group);
    }
    let (consolidated, root_group, array, attributes) = (next()?, next()?, next()?, next()?);
    let attributes = attributes.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(metadata) = consolidated.as_ref().and_then(|document| document.get("metadata")) {
        let metadata = metadata.as_object().ok_or_else(|| no_object(objects, ".zmetadata"))?;
        return consolidated_v2(metadata, attributes, group);
    }
    match (array, root_group) {
        (Some(_), _) if !group.is_root() => Err(group.not_found(&[])),
        (Some(array), _) => Ok(single(objects, header_of_v2(&array, &attributes))),
        (None, Some(_)) => listed_v2(objects, attributes, group),
        (None, None) => Err(no_store(objects)),
    }
}

/// A name below a group, if this key is directly in it.
fn name_in<'a>(key: &'a str, group: &GroupPath) -> Option<&'a str> {
    let below = match group.is_root() {
        true => Some(key),
        false => key.strip_prefix(&group.to_string())?.strip_prefix('/'),
    };
    below.filter(|name| !name.is_empty() && !name.contains('/'))
}

/// A key below a group.
fn key_in(group: &GroupPath, name: &str) -> String {
    if group.is_root() { name.to_owned() } else { format!("{group}/{name}") }
}

fn read_v3(objects: &Objects, root: &Value, group: &GroupPath) -> Result<Hierarchy> {
    let object = |node: &Value, key: &str| node.get(key).and_then(Value::as_object).cloned();
    match root.get("node_type").and_then(Value::as_str) {
        Some("array") if !group.is_root() => return Err(group.not_found(&[])),
        Some("array") => return Ok(single(objects, header_of_v3(root))),
        Some("group") => {}
        _ => return Err(no_object(objects, "zarr.json")),
    }
    let consolidated = object(root, "consolidated_metadata");
    let consolidated = consolidated.as_ref().and_then(|copy| copy.get("metadata"));
    let is_group = |node: &Value| node.get("node_type").is_some_and(|kind| kind == "group");
    let own = match consolidated.and_then(Value::as_object) {
        _ if group.is_root() => Some(root.clone()),
        Some(nodes) => nodes.get(&group.to_string()).cloned(),
        None => document_at(objects, &key_in(group, "zarr.json"))?,
    };
    let nodes: Vec<(String, Result<Value>)> = match consolidated.and_then(Value::as_object) {
        Some(nodes) => nodes
            .iter()
            .filter_map(|(key, node)| Some((name_in(key, group)?.to_owned(), Ok(node.clone()))))
            .collect(),
        None => listed_documents(objects, group, "zarr.json")?,
    };
    let Some(own) = own.filter(is_group) else {
        let names = consolidated.and_then(Value::as_object).into_iter().flatten();
        let groups = names.filter(|(_, node)| is_group(node)).map(|(name, _)| name.clone());
        return Err(group.not_found(&groups.collect::<Vec<_>>()).at("store", objects.root()));
    };
    let attributes = object(&own, "attributes").unwrap_or_default();
    let mut hierarchy = Hierarchy { attributes, arrays: Vec::new(), groups: Vec::new() };
    for (name, node) in nodes {
        if node.as_ref().is_ok_and(is_group) {
            hierarchy.groups.push(name);
        } else {
            hierarchy.push(group, name, node.and_then(|node| header_of_v3(&node)));
        }
    }
    Ok(hierarchy)
}

fn consolidated_v2(
    metadata: &Map<String, Value>,
    fallback: Map<String, Value>,
    group: &GroupPath,
) -> Result<Hierarchy> {
    let attributes_of = |key: &str| metadata.get(key).and_then(Value::as_object).cloned();
    let nodes = metadata.keys().filter_map(|key| key.rsplit_once('/'));
    if !group.is_root() && !metadata.contains_key(&key_in(group, ".zgroup")) {
        let groups = nodes.filter(|(_, kind)| *kind == ".zgroup").map(|(name, _)| name.to_owned());
        return Err(group.not_found(&groups.collect::<Vec<_>>()));
    }
    let attributes = attributes_of(&key_in(group, ".zattrs"));
    let fallback = if group.is_root() { fallback } else { Map::new() };
    let attributes = attributes.unwrap_or(fallback);
    let mut hierarchy = Hierarchy { attributes, arrays: Vec::new(), groups: Vec::new() };
    for (path, kind) in nodes {
        let Some(name) = name_in(path, group) else { continue };
        match kind {
            ".zgroup" => hierarchy.groups.push(name.to_owned()),
            ".zarray" => {
                let attributes = attributes_of(&format!("{path}/.zattrs")).unwrap_or_default();
                let document = metadata.get(&format!("{path}/.zarray")).unwrap_or(&Value::Null);
                hierarchy.push(group, name.to_owned(), header_of_v2(document, &attributes));
            }
            _ => {}
        }
    }
    Ok(hierarchy)
}

fn listed_v2(
    objects: &Objects,
    attributes: Map<String, Value>,
    group: &GroupPath,
) -> Result<Hierarchy> {
    let attributes = if group.is_root() {
        attributes
    } else {
        if document_at(objects, &key_in(group, ".zgroup"))?.is_none() {
            return Err(group.not_found(&[]).at("store", objects.root()));
        }
        let own = document_at(objects, &key_in(group, ".zattrs"))?;
        own.as_ref().and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let mut hierarchy = Hierarchy { attributes, arrays: Vec::new(), groups: Vec::new() };
    let arrays = listed_documents(objects, group, ".zarray")?;
    let key_of = |name: &str| key_in(group, &format!("{name}/.zattrs"));
    let reads = arrays.iter().map(|(name, _)| (key_of(name), None)).collect();
    let attributes = objects.fetch_many(reads).wait()?;
    for ((name, array), attributes) in arrays.into_iter().zip(attributes) {
        let key = key_of(&name);
        let attributes = attributes.map_or(Ok(Value::Null), |text| parse_at(objects, &key, &text));
        let header = array
            .and_then(|array| header_of_v2(&array, attributes?.as_object().unwrap_or(&Map::new())));
        hierarchy.push(group, name, header);
    }
    let groups = listed_documents(objects, group, ".zgroup")?;
    hierarchy.groups = groups.into_iter().map(|(name, _)| name).collect();
    Ok(hierarchy)
}

fn document_at(objects: &Objects, key: &str) -> Result<Option<Value>> {
    objects.try_get(key)?.map(|text| parse_at(objects, key, &text)).transpose()
}

impl Hierarchy {
    fn push(&mut self, group: &GroupPath, name: String, header: Result<Header>) {
        self.arrays.push(ArrayNode { path: key_in(group, &name), name, header });
    }
}

/// The documents of this name in the folders of a group, with the names of the folders.
fn listed_documents(
    objects: &Objects,
    group: &GroupPath,
    name: &str,
) -> Result<Vec<(String, Result<Value>)>> {
    let (folders, _) = objects.list_folder(&group.to_string()).map_err(|error| {
        error.mend("a store without a consolidated copy is found by listing; consolidate it first")
    })?;
    let folder_name = |folder: &String| {
        let folder = folder.trim_end_matches('/');
        folder.rsplit('/').next().unwrap_or(folder).to_owned()
    };
    let folders: Vec<String> = folders.iter().map(folder_name).collect();
    let key_of = |folder: &str| key_in(group, &format!("{folder}/{name}"));
    let keys = folders.iter().map(|folder| (key_of(folder), None));
    let documents = objects.fetch_many(keys.collect()).wait()?;
    let found = folders.into_iter().zip(documents).filter_map(|(folder, document)| {
        let parsed = parse_at(objects, &key_of(&folder), &document?);
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
