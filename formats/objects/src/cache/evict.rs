//! Keeps a folder within its size.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use dataflow::error::Result;

use crate::cache::folder::remove_unused;
use crate::failure::io_failed;

/// Deletes copies until those that are left take no more than `size_bytes`, those first that were
/// not used for the longest time; not those in use, nor the one that was fetched last.
///
/// Cost: one look at every copy.
///
/// # Errors
/// A folder that cannot be listed or changed.
pub(super) fn evict(root: &Path, size_bytes: u64, newest: &Path) -> Result<()> {
    let content = root.join("content");
    let failed = |error: std::io::Error| io_failed("delete", content.display(), &error);
    let mut copies: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
    for found in fs::read_dir(&content).map_err(failed)? {
        let found = found.map_err(failed)?;
        // Another process may delete, too.
        let Ok(facts) = found.metadata() else { continue };
        let used = facts.modified().map_err(failed)?;
        copies.push((used, found.path(), facts.len()));
    }
    copies.sort_unstable();
    let mut total_bytes: u64 = copies.iter().map(|(_, _, length)| length).sum();
    for (_, path, length) in copies {
        if total_bytes <= size_bytes {
            break;
        }
        if path != newest && remove_unused(&path).map_err(failed)? {
            total_bytes -= length;
        }
    }
    Ok(())
}
