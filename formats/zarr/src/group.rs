//! A group in a store, which is written like a store of its own and then shown in the root.
//!
//! The one object that changes last holds the consolidated copy: a reader of that copy sees the
//! groups as they were or with the new one whole.

use array::{AttributeValue, GroupPath};
use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, Objects, StoreOptions};
use serde_json::{Map, Value, json};

use crate::attributes::json_of;
use crate::json;
use crate::layout::ZarrFormat;

/// A group that is to be part of a store.
#[derive(Debug)]
pub struct ZarrGroup {
    root: Objects,
    path: GroupPath,
    format: ZarrFormat,
}

impl ZarrGroup {
    /// The group at `path` in the store at `root`, which may not be there yet.
    ///
    /// # Errors
    /// A store of the other format, an array on the way to the group, or a store that fails.
    pub fn open(
        root: &Location,
        path: &GroupPath,
        format: ZarrFormat,
        options: &StoreOptions,
    ) -> Result<Self> {
        let group = Self { root: Objects::open(root, options)?, path: path.clone(), format };
        let other = match format {
            ZarrFormat::V2 => "zarr.json",
            ZarrFormat::V3 => ".zgroup",
        };
        let is_other = group.root.try_get(other)?.is_some();
        if is_other && group.root.try_get(group.root_key())?.is_none() {
            let message = "the store is of the other version of the Zarr format";
            return Err(group.refuse(message).mend("write the group in the format of the store"));
        }
        let root_path = std::iter::once(GroupPath::default());
        for on_the_way in root_path.chain(path.ancestry()) {
            if group.is_array(&on_the_way)? {
                let message = format!("`{on_the_way}` is an array, and no group can lie in it");
                return Err(group.refuse(&message).mend("choose another path for the group"));
            }
        }
        Ok(group)
    }

    /// Where the group lies: it is written as a store of its own.
    pub fn location(&self) -> Location {
        self.root.root().join(&self.path.to_string())
    }

    fn refuse(&self, message: &str) -> Error {
        Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
            .at("store", self.root.root())
    }

    /// The object at the root that says that there is a group.
    fn root_key(&self) -> &'static str {
        match self.format {
            ZarrFormat::V2 => ".zgroup",
            ZarrFormat::V3 => "zarr.json",
        }
    }

    fn is_array(&self, path: &GroupPath) -> Result<bool> {
        let is_root = path.is_root();
        let key = |name: &str| if is_root { name.to_owned() } else { format!("{path}/{name}") };
        Ok(match self.format {
            ZarrFormat::V2 => self.root.try_get(&key(".zarray"))?.is_some(),
            ZarrFormat::V3 => {
                let node = self.document(&key("zarr.json"))?;
                node.is_some_and(|node| node.get("node_type").is_some_and(|kind| kind == "array"))
            }
        })
    }

    fn document(&self, key: &str) -> Result<Option<Value>> {
        let parse = |text: Bytes| {
            json::parse(&text).map_err(|error| error.at("object", self.root.root().join(key)))
        };
        self.root.try_get(key)?.map(parse).transpose()
    }

    fn write(&self, key: &str, document: &Value) -> Result<()> {
        self.root.put(key, Bytes::from(json::print(document))).wait()
    }

    /// Shows the finished group in the root: groups on the way that are not there are made, and the
    /// consolidated copy gets all that the group has. A store without a copy stays without one.
    ///
    /// # Errors
    /// A group that is not finished, or a store that fails; unless it was the last write that
    /// failed, readers of the consolidated copy see what they saw before.
    pub fn show(&self) -> Result<()> {
        let nodes = match self.format {
            ZarrFormat::V2 => self.nodes_v2()?,
            ZarrFormat::V3 => self.nodes_v3()?,
        };
        self.change_root(|copy| {
            self.remove_from(copy);
            copy.extend(nodes);
        })
    }

    /// Sets an attribute of the group that holds this one, which is there once this one is shown:
    /// in its own document, and in the consolidated copy.
    ///
    /// # Errors
    /// A value that is no JSON, or a store that fails.
    pub fn set_holder_attribute(&self, name: &str, value: &AttributeValue) -> Result<()> {
        let value = json_of(value)?;
        let Some(holder) = self.path.parent() else { return Ok(()) };
        let own_key = match self.format {
            ZarrFormat::V2 => ".zattrs",
            ZarrFormat::V3 => "zarr.json",
        };
        let key = if holder.is_root() { own_key.to_owned() } else { format!("{holder}/{own_key}") };
        let is_v2 = self.format == ZarrFormat::V2;
        let set = |document: &mut Value| {
            let attributes = if is_v2 { Some(document) } else { document.get_mut("attributes") };
            if let Some(attributes) = attributes.and_then(Value::as_object_mut) {
                attributes.insert(name.to_owned(), value.clone());
            }
        };
        if let Some(mut document) = self.document(&key)? {
            set(&mut document);
            self.write(&key, &document)?;
        }
        if holder.is_root() && !is_v2 {
            return Ok(());
        }
        let node = if is_v2 { key } else { holder.to_string() };
        self.change_root(|copy| copy.get_mut(&node).into_iter().for_each(set))
    }

    /// Takes the group out of the consolidated copy, before its objects are removed.
    ///
    /// # Errors
    /// A store that fails.
    pub fn hide(&self) -> Result<()> {
        if self.root.try_get(self.root_key())?.is_none() {
            return Ok(());
        }
        self.change_root(|copy| self.remove_from(copy))
    }

    fn remove_from(&self, copy: &mut Map<String, Value>) {
        let path = self.path.to_string();
        let is_in = |key: &str| {
            key == path || key.strip_prefix(&path).is_some_and(|it| it.starts_with('/'))
        };
        copy.retain(|key, _| !is_in(key));
    }

    /// Changes the consolidated copy, where there is one, or where there is no root yet.
    fn change_root(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Result<()> {
        let (key, pointer, fresh) = match self.format {
            ZarrFormat::V2 => {
                let fresh = json!({ "metadata": {}, "zarr_consolidated_format": 1 });
                (".zmetadata", "/metadata", fresh)
            }
            ZarrFormat::V3 => {
                let copy = json!({ "kind": "inline", "must_understand": false, "metadata": {} });
                let fresh = json!({
                    "attributes": {}, "zarr_format": 3, "consolidated_metadata": copy,
                    "node_type": "group"
                });
                ("zarr.json", "/consolidated_metadata/metadata", fresh)
            }
        };
        let is_new = self.root.try_get(self.root_key())?.is_none();
        let mut document = match self.document(key)? {
            Some(document) => document,
            None if is_new => fresh,
            None => return Ok(()),
        };
        let Some(copy) = document.pointer_mut(pointer).and_then(Value::as_object_mut) else {
            return Ok(());
        };
        change(copy);
        if is_new && self.format == ZarrFormat::V2 {
            let group = json!({ "zarr_format": 2 });
            copy.insert(".zgroup".to_owned(), group.clone());
            copy.insert(".zattrs".to_owned(), json!({}));
            self.write(".zattrs", &json!({}))?;
            self.write(".zgroup", &group)?;
        }
        self.write(key, &document)
    }

    fn nodes_v3(&self) -> Result<Map<String, Value>> {
        let mut nodes = Map::new();
        for path in self.path.ancestry() {
            let key = format!("{path}/zarr.json");
            let mut document = self.document(&key)?;
            if path != self.path && document.is_none() {
                let made = json!({ "attributes": {}, "zarr_format": 3, "node_type": "group" });
                self.write(&key, &made)?;
                document = Some(made);
            }
            let mut document = document.ok_or_else(|| self.unfinished())?;
            let own = document.as_object_mut().ok_or_else(|| self.unfinished())?;
            let copy = own.shift_remove("consolidated_metadata");
            nodes.insert(path.to_string(), document);
            if path == self.path {
                let arrays = copy.as_ref().and_then(|copy| copy.get("metadata"));
                let arrays = arrays.and_then(Value::as_object).into_iter().flatten();
                nodes.extend(arrays.map(|(name, node)| (format!("{path}/{name}"), node.clone())));
            }
        }
        Ok(nodes)
    }

    fn nodes_v2(&self) -> Result<Map<String, Value>> {
        let mut nodes = Map::new();
        for path in self.path.ancestry().filter(|path| *path != self.path) {
            for (name, made) in [(".zgroup", json!({ "zarr_format": 2 })), (".zattrs", json!({}))] {
                let key = format!("{path}/{name}");
                let document = match self.document(&key)? {
                    Some(document) => document,
                    None => {
                        self.write(&key, &made)?;
                        made
                    }
                };
                nodes.insert(key, document);
            }
        }
        let own = self.document(&format!("{}/.zmetadata", self.path))?;
        let own = own.as_ref().and_then(|copy| copy.get("metadata")).and_then(Value::as_object);
        let own = own.ok_or_else(|| self.unfinished())?;
        nodes.extend(own.iter().map(|(key, node)| (format!("{}/{key}", self.path), node.clone())));
        Ok(nodes)
    }

    fn unfinished(&self) -> Error {
        Error::internal(format!("the group `{}` was not finished", self.path))
    }
}
