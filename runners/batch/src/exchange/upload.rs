//! Writes what a task has left as one object.

use std::io::Write;

use dataflow::error::{Error, Result};
use dataflow::shuffle::Exported;

use crate::store::RunStore;

/// Bytes that are read from disk and handed on at once.
const PIECE_BYTES: u64 = 4 << 20;

/// Writes an exported file as the object of `key`, in parts where it is long.
///
/// Memory: a piece, and what the writer has in flight.
///
/// # Errors
/// A store or a disk that fails; no object is there then, or a whole one that no commit names.
pub(crate) fn upload(store: &RunStore, key: &str, exported: &Exported) -> Result<()> {
    if exported.bytes() <= PIECE_BYTES {
        return store.put_pieces(key, vec![exported.read(0..exported.bytes())?]);
    }
    let mut writer = store.writer(key, exported.bytes())?;
    let mut at = 0;
    while at < exported.bytes() {
        let end = exported.bytes().min(at + PIECE_BYTES);
        let written = writer.write_all(&exported.read(at..end)?);
        written.map_err(|error| Error::from(error).at("object", store.root().join(key)))?;
        at = end;
    }
    writer.finish()
}
