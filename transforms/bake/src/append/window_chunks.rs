//! The encoded chunks of a window: old ones of the store around new ones of the files.

use std::sync::Arc;

use array::{ChunkLocation, EncodedChunk, EncodedChunks, EncodedFacts, FetchedChunks, not_encoded};
use dataflow::error::{Error, Result};

use super::window::Window;

/// Where the chunks of a window come from, where none is of two sources.
#[derive(Debug)]
pub(crate) struct WindowChunks {
    window: Window,
    old: Arc<dyn EncodedChunks>,
    new: Arc<dyn EncodedChunks>,
    facts: EncodedFacts,
}

impl WindowChunks {
    /// Puts the chunks of a store around new ones.
    ///
    /// # Errors
    /// New elements that begin or end within a chunk.
    pub(crate) fn new(
        window: &Window,
        old: Arc<dyn EncodedChunks>,
        new: Arc<dyn EncodedChunks>,
    ) -> Result<Self> {
        let chunk_shape = &old.facts().chunk_shape;
        if !window.is_of_chunks(chunk_shape) || *chunk_shape != new.facts().chunk_shape {
            return Err(not_encoded("new elements do not come in whole chunks of the store"));
        }
        let facts = EncodedFacts { shape: window.shape.clone(), ..old.facts().clone() };
        Ok(Self { window: window.clone(), old, new, facts })
    }

    /// The source of a chunk of the window, and its index there.
    fn of_source(&self, chunk: &[u64]) -> Result<(&Arc<dyn EncodedChunks>, Vec<u64>)> {
        let axis = self.window.axis;
        let length = self.facts.chunk_shape.get(axis).copied().unwrap_or(1).max(1);
        let missing = || Error::internal(format!("a window has no chunk {chunk:?}"));
        let place = *chunk.get(axis).ok_or_else(missing)?;
        let mut own = chunk.to_vec();
        let new = self.window.new_elements();
        Ok(if new.contains(&(place * length)) {
            own[axis] = place - new.start / length;
            (&self.new, own)
        } else {
            own[axis] = place + self.window.start / length;
            (&self.old, own)
        })
    }
}

impl EncodedChunks for WindowChunks {
    fn facts(&self) -> &EncodedFacts {
        &self.facts
    }

    fn location(&self, index: &[u64]) -> Result<Option<ChunkLocation>> {
        let (source, own) = self.of_source(index)?;
        source.location(&own)
    }

    fn fetch_encoded(&self, chunks: &[Vec<u64>]) -> Result<Box<dyn FetchedChunks>> {
        let (mut old, mut new) = (Wanted::default(), Wanted::default());
        for (place, chunk) in chunks.iter().enumerate() {
            let (source, own) = self.of_source(chunk)?;
            let wanted = if Arc::ptr_eq(source, &self.new) { &mut new } else { &mut old };
            wanted.chunks.push(own);
            wanted.places.push(place);
        }
        let mut parts = Vec::new();
        for (source, wanted) in [(&self.old, old), (&self.new, new)] {
            if !wanted.chunks.is_empty() {
                parts.push((source.fetch_encoded(&wanted.chunks)?, wanted.places));
            }
        }
        Ok(Box::new(Coming { parts, count: chunks.len() }))
    }
}

/// Chunks of one source, and their places among all that are asked for.
#[derive(Default)]
struct Wanted {
    chunks: Vec<Vec<u64>>,
    places: Vec<usize>,
}

/// Chunks of both sources that are on their way.
struct Coming {
    parts: Vec<(Box<dyn FetchedChunks>, Vec<usize>)>,
    count: usize,
}

impl FetchedChunks for Coming {
    fn wait(self: Box<Self>) -> Result<Vec<Option<EncodedChunk>>> {
        let mut found = vec![None; self.count];
        for (fetched, places) in self.parts {
            for (place, chunk) in places.into_iter().zip(fetched.wait()?) {
                found[place] = chunk;
            }
        }
        Ok(found)
    }
}
