//! Where the chunks of the variables of one file lie.

use std::sync::Arc;

use array::{ChunkGrid, EncodedFacts};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::memory::Reservation;
use objects::Location;
use r#virtual::Referent;

use crate::files::OpenFiles;
use crate::open::SourceVersion;
use crate::schema::FilePlace;

/// Bytes of what is kept of a chunk.
const CHUNK_BYTES: u64 = size_of::<Option<FoundChunk>>() as u64;
/// Bytes of an object that holds one chunk, about.
const OBJECT_BYTES: u64 = 160;
/// Bytes of what is kept of an array besides.
const ARRAY_BYTES: u64 = 1024;

/// One variable of one file, not decoded.
#[derive(Debug)]
pub(super) struct FoundArray {
    pub(super) facts: EncodedFacts,
    grid: ChunkGrid,
    /// By their place in the grid; nothing for those that were never written.
    chunks: Vec<Option<FoundChunk>>,
    objects: FoundObjects,
}

/// Where a chunk lies in its object.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundChunk {
    pub(super) offset: u64,
    pub(super) length: u64,
    /// As [`array::ChunkLocation::left_out`].
    pub(super) left_out: u32,
}

#[derive(Debug)]
enum FoundObjects {
    /// All chunks lie in one.
    One(Arc<Referent>),
    /// Each lies in one, by its place in the grid.
    Each(Vec<Option<Arc<Referent>>>),
}

/// What was found of a variable: its chunks, or why there are none that can be referred to.
pub(super) type Found = Result<FoundArray, String>;

impl FoundArray {
    /// Bytes that it takes in memory, about.
    fn held_bytes(&self) -> u64 {
        let chunks = self.chunks.len() as u64;
        let each = match self.objects {
            FoundObjects::One(_) => CHUNK_BYTES,
            FoundObjects::Each(_) => CHUNK_BYTES + OBJECT_BYTES,
        };
        ARRAY_BYTES + chunks * each
    }

    /// Where a chunk lies, and in what; nothing for one that was never written.
    pub(super) fn chunk(&self, index: &[u64]) -> Option<(FoundChunk, &Arc<Referent>)> {
        let linear = self.grid.linear_index(index) as usize;
        let chunk = (*self.chunks.get(linear)?)?;
        let object = match &self.objects {
            FoundObjects::One(object) => object,
            FoundObjects::Each(objects) => objects.get(linear)?.as_ref()?,
        };
        Some((chunk, object))
    }
}

/// Finds the chunks of variables of one file, in their order.
///
/// # Errors
/// A file that cannot be read or has changed, or a URL that references cannot hold.
pub(super) fn find(
    files: &OpenFiles,
    place: FilePlace,
    version: SourceVersion,
    variables: &[(String, Vec<String>)],
) -> Result<Vec<Found>> {
    let location = files.location(place);
    let file = files.get(place)?;
    let modified_ms = Some(version.modified_ms).filter(|&ms| ms != 0);
    let found = variables.iter().map(|(name, dimensions)| {
        let own = &file.dataset().expect_variable(name)?.dimensions;
        if own != dimensions {
            return Ok(Err(format!("its dimensions are ({})", own.join(", "))));
        }
        let encoded = match file.array(name)?.encoded() {
            Ok(encoded) => encoded,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                return Ok(Err(error.message().to_owned()));
            }
            Err(error) => return Err(error),
        };
        let facts = encoded.facts().clone();
        let grid = facts.grid();
        let count = grid.chunk_count();
        let (mut chunks, mut objects) = (Vec::new(), Vec::new());
        let mut last: Option<(String, Arc<Referent>)> = None;
        let mut is_one = true;
        for linear in 0..count {
            let Some(at) = encoded.location(&grid.index_of(linear))? else {
                chunks.push(None);
                objects.push(None);
                continue;
            };
            let (offset, length) = (at.range.offset, at.range.length);
            chunks.push(Some(FoundChunk { offset, length, left_out: at.left_out }));
            let object = match &last {
                Some((url, object)) if *url == at.range.url => Arc::clone(object),
                known => {
                    is_one &= known.is_none();
                    let url = reachable(&at.range.url)?;
                    let object = Arc::new(Referent { url, etag: None, modified_ms });
                    last = Some((at.range.url, Arc::clone(&object)));
                    object
                }
            };
            objects.push(Some(object));
        }
        let objects = match last {
            Some((_, object)) if is_one => FoundObjects::One(object),
            _ => FoundObjects::Each(objects),
        };
        Ok(Ok(FoundArray { facts, grid, chunks, objects }))
    });
    let found: Result<Vec<Found>> = found.collect();
    found.map_err(|error| error.at("source", location))
}

/// Accounts for what was found of a file.
///
/// # Errors
/// More references than the memory holds.
pub(super) fn account(found: &[Found], reservation: &mut Reservation) -> Result<()> {
    let more: u64 = found.iter().flatten().map(FoundArray::held_bytes).sum();
    if reservation.try_grow(more) {
        return Ok(());
    }
    let held = reservation.bytes();
    let message = format!("references take more than {} bytes of memory", held + more);
    let error = Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::InvalidInput, message);
    Err(error.mend("allow more with --mem, or refer to fewer files or variables"))
}

/// A URL as readers of references find the object: from the root of the file system, and without
/// secrets, which the location hides.
fn reachable(url: &str) -> Result<String> {
    let location = Location::parse(url)?;
    if let Some(path) = location.is_local_path() {
        let path = std::path::absolute(path).map_err(Error::from)?;
        return Ok(format!("file://{}", path.display()));
    }
    if url.contains("***") {
        let message = "a reference would need the secret in the URL of its source";
        let error = Error::new(ErrorCode::NOT_REFERABLE, ErrorKind::InvalidInput, message);
        return Err(error.at("url", url).mend("name the source without a secret, or bake copies"));
    }
    Ok(url.to_owned())
}
