//! References as one JSON object, as kerchunk writes them.
//!
//! Source: kerchunk, "References specification", version 1,
//! <https://fsspec.github.io/kerchunk/spec.html>.

use std::io::Write;

use array::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use objects::{ObjectWriter, Objects};
use serde_json::{Value, json};

use crate::reference::Entry;
use crate::set::{ReferenceSet, WrittenReferences};

/// Marks a value that is not text.
pub(crate) const BASE64: &str = "base64:";

/// Writes a set as kerchunk's JSON, without templates, to the object at `key`.
///
/// The object is visible when all of it is there. Readers hold all references in memory: for many
/// of them there is [`write_parquet`](crate::write_parquet). The versions of objects are not
/// written: the format has no place for them. Memory: one entry, and what an [`ObjectWriter`] takes.
///
/// # Errors
/// An entry that cannot be made, or a store that fails.
pub fn write_json(
    set: &dyn ReferenceSet,
    objects: &Objects,
    key: &str,
) -> Result<WrittenReferences> {
    let mut written = WrittenReferences { object_count: 1, ..Default::default() };
    let mut out = Lines { writer: objects.writer(key)?, bytes: 0, has_any: false };
    out.push("{\"version\":1,\"refs\":{")?;
    for (key, document) in set.documents() {
        out.pair(key, &json!(document))?;
    }
    let metadata = metadata_of(set);
    let consolidated = format!("{{\"metadata\":{metadata},\"zarr_consolidated_format\":1}}");
    out.pair(".zmetadata", &json!(consolidated))?;
    for (place, array) in set.arrays().iter().enumerate() {
        for linear in 0..array.grid.chunk_count() {
            let index = array.grid.index_of(linear);
            let entry = set.entry(place, &index)?;
            written.count(&entry);
            let value = match entry {
                Entry::Absent(_) => continue,
                Entry::Inline(bytes) => json!(format!("{BASE64}{}", STANDARD.encode(&bytes))),
                Entry::Range(it) => json!([it.object.url, it.offset, it.length]),
            };
            out.pair(&format!("{}/{}", array.name, array.key(&index)), &value)?;
        }
    }
    out.push("\n}}\n")?;
    written.written_bytes = out.bytes;
    out.writer.finish()?;
    Ok(written)
}

/// All documents of a set, by key: the text of a JSON object.
///
/// They are put together as texts: Python writes numbers into them that JSON does not have.
pub(crate) fn metadata_of(set: &dyn ReferenceSet) -> String {
    let documents = set.documents().iter();
    let pairs = documents.map(|(key, document)| format!("{}:{document}", json!(key)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

struct Lines {
    writer: ObjectWriter,
    bytes: u64,
    has_any: bool,
}

impl Lines {
    fn pair(&mut self, key: &str, value: &Value) -> Result<()> {
        let comma = if std::mem::replace(&mut self.has_any, true) { "," } else { "" };
        self.push(&format!("{comma}\n{}:{value}", json!(key)))
    }

    fn push(&mut self, text: &str) -> Result<()> {
        self.bytes += text.len() as u64;
        self.writer.write_all(text.as_bytes()).map_err(Error::from)
    }
}
