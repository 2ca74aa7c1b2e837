//! The encoded chunks of many files, seen as those of one array.

use std::collections::BTreeMap;
use std::sync::Arc;

use array::{
    ChunkLocation, EncodedChunk, EncodedChunks, EncodedFacts, FetchedChunks, Region, not_encoded,
};
use dataflow::error::{Error, Result};

use crate::schema::FilePlace;
use crate::source::Parts;

/// The chunks of a variable of which every file holds whole ones, all encoded alike.
#[derive(Debug)]
pub(crate) struct JoinedChunks {
    parts: Arc<Parts>,
    facts: EncodedFacts,
}

impl JoinedChunks {
    /// The chunks of these files, which were compared when they were scanned.
    ///
    /// # Errors
    /// A first file that cannot be read, or whose chunks cannot be taken as they are.
    pub(crate) fn new(parts: &Arc<Parts>, shape: &[u64]) -> Result<Self> {
        let first = parts.present_file().ok_or_else(|| not_encoded("no file has the variable"))?;
        let encoded = parts.array(first)?.encoded()?;
        let facts = EncodedFacts { shape: shape.to_vec(), ..encoded.facts().clone() };
        Ok(Self { parts: Arc::clone(parts), facts })
    }

    /// The file that has a chunk, and its index there.
    fn place(&self, index: &[u64]) -> Result<(FilePlace, Vec<u64>)> {
        let region: Region = self.facts.grid().region(index);
        let parts = self.parts.tiling().parts(&region);
        let [part] = parts.as_slice() else {
            return Err(Error::internal(format!("{region} lies in {} files", parts.len())));
        };
        let file = part.file.ok_or_else(|| Error::internal("a hole has no chunk"))?;
        let starts = part.region.start().into_iter().zip(&self.facts.chunk_shape);
        Ok((file, starts.map(|(start, &length)| start / length.max(1)).collect()))
    }

    fn chunks_of(&self, file: FilePlace) -> Result<Arc<dyn EncodedChunks>> {
        let encoded = self.parts.array(file)?.encoded()?;
        if encoded.facts().signature() == self.facts.signature() {
            return Ok(encoded);
        }
        Err(self.parts.changed(&format!(
            "its chunks are {}, they were {}",
            encoded.facts().signature(),
            self.facts.signature()
        )))
    }
}

impl EncodedChunks for JoinedChunks {
    fn facts(&self) -> &EncodedFacts {
        &self.facts
    }

    fn location(&self, index: &[u64]) -> Result<Option<ChunkLocation>> {
        let (file, index) = self.place(index)?;
        self.chunks_of(file)?.location(&index)
    }

    fn fetch_encoded(&self, chunks: &[Vec<u64>]) -> Result<Box<dyn FetchedChunks>> {
        let mut files: BTreeMap<FilePlace, (Vec<usize>, Vec<Vec<u64>>)> = BTreeMap::new();
        for (place, chunk) in chunks.iter().enumerate() {
            let (file, index) = self.place(chunk)?;
            let (places, indices) = files.entry(file).or_default();
            places.push(place);
            indices.push(index);
        }
        let fetch = |(file, (places, indices)): (FilePlace, (Vec<usize>, Vec<Vec<u64>>))| {
            let fetched = self.chunks_of(file).and_then(|chunks| chunks.fetch_encoded(&indices));
            let fetched = fetched.map_err(|error| self.parts.of_file(error, file))?;
            Ok((file, places, fetched))
        };
        let files = files.into_iter().map(fetch).collect::<Result<_>>()?;
        Ok(Box::new(Coming { parts: Arc::clone(&self.parts), files, count: chunks.len() }))
    }
}

/// Chunks of several files that are on their way, each with its place among all.
struct Coming {
    parts: Arc<Parts>,
    files: Vec<(FilePlace, Vec<usize>, Box<dyn FetchedChunks>)>,
    count: usize,
}

impl FetchedChunks for Coming {
    fn wait(self: Box<Self>) -> Result<Vec<Option<EncodedChunk>>> {
        let mut all = vec![None; self.count];
        for (file, places, fetched) in self.files {
            let chunks = fetched.wait().map_err(|error| self.parts.of_file(error, file))?;
            for (place, chunk) in places.into_iter().zip(chunks) {
                all[place] = chunk;
            }
        }
        Ok(all)
    }
}
