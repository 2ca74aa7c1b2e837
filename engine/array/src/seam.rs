//! The seam between formats and everything that moves arrays: who reads, who writes.
//!
//! Formats implement these traits; the rechunk planner and its transforms know only them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use dataflow::error::{Error, Result};

use crate::buffer::ArrayBuffer;
use crate::chunk::Chunk;
use crate::dataset::Dataset;
use crate::dtype::DType;
use crate::encoded::{EncodedChunks, EncodedFacts, not_encoded};
use crate::grid::ChunkGrid;
use crate::group_path::GroupPath;
use crate::region::Region;
use crate::scalar::Scalar;

/// What a planner must know of a source before it reads.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceFacts {
    /// The type of the elements.
    pub dtype: DType,
    /// The units in which the source is read whole: its chunks.
    pub grid: ChunkGrid,
    /// Whether any region costs only its own bytes: nothing is compressed, nothing in shards.
    pub is_random_access: bool,
    /// Codecs, in the order of encoding, by the names of the format.
    pub codecs: Vec<String>,
    /// Stored bytes by decoded bytes, as far as is known; 1 where nothing is.
    pub encoded_ratio: f64,
    /// Bytes of each element that decoding takes besides the element and its place in the target:
    /// none, unless values are unpacked, times counted anew, or dimensions turned.
    pub recode_bytes: u64,
    /// What an element is that was never written.
    pub fill: Scalar,
}

/// Where the elements of a region go.
#[derive(Debug)]
pub struct Placement<'a> {
    /// The buffer that takes them; its type is that of the source.
    pub into: &'a mut ArrayBuffer,
    /// Where the region begins in the buffer.
    pub at: Vec<u64>,
}

/// An array that can be read, in two steps: fetching waits for a store, decoding computes.
///
/// What must hold: reading the same region twice gives the same elements; elements arrive little
/// endian; many threads may read at once.
pub trait ArraySource: fmt::Debug + Send + Sync {
    /// What is known before reading.
    fn facts(&self) -> &SourceFacts;

    /// Starts to fetch what the regions need, together, in few requests, and does not wait.
    ///
    /// Memory: the encoded chunks that meet the regions, until they are decoded.
    ///
    /// # Errors
    /// A region outside of the array.
    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>>;

    /// The chunks as they are encoded, for who copies them so or refers to them.
    ///
    /// # Errors
    /// Of the kind `Unsupported` if chunks cannot be taken as they are; the message says why.
    fn encoded(&self) -> Result<Arc<dyn EncodedChunks>> {
        Err(not_encoded("the source does not tell where its chunks lie"))
    }
}

/// Bytes that are on their way, and how to decode them.
pub trait Fetched: Send {
    /// Waits for the bytes and decodes every region into its place; one place for each region.
    ///
    /// Memory: one decoded chunk at a time, besides the buffers.
    ///
    /// # Errors
    /// Bytes that cannot be fetched or decoded. Buffers are then in an unspecified state.
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()>;

    /// Waits for the bytes and decodes every region, all of type `dtype`, into a chunk of its own.
    ///
    /// Regions that are chunks of the source need not be copied once they are decoded.
    ///
    /// # Errors
    /// Bytes that cannot be fetched or decoded.
    fn into_chunks(self: Box<Self>, dtype: DType, regions: &[Region]) -> Result<Vec<Chunk>> {
        let new = |region: &Region| ArrayBuffer::zeroed(dtype, &region.shape());
        let mut buffers: Vec<ArrayBuffer> = regions.iter().map(new).collect();
        let places = buffers.iter_mut().zip(regions);
        let places = places.map(|(into, region)| Placement { into, at: vec![0; region.rank()] });
        self.decode(&mut places.collect::<Vec<_>>())?;
        buffers.into_iter().map(ArrayBuffer::freeze).collect()
    }
}

impl dyn ArraySource + '_ {
    /// Reads one region, waiting for it.
    ///
    /// # Errors
    /// As [`ArraySource::fetch`] and [`Fetched::decode`].
    pub fn read(&self, region: &Region) -> Result<Chunk> {
        let mut into = ArrayBuffer::zeroed(self.facts().dtype, &region.shape());
        let at = vec![0; region.rank()];
        let fetched = self.fetch(std::slice::from_ref(region))?;
        fetched.decode(&mut [Placement { into: &mut into, at }])?;
        into.freeze()
    }
}

/// An opened file or store: what it holds, and its arrays.
pub trait DatasetSource: fmt::Debug + Send + Sync {
    /// Dimensions, variables and attributes.
    fn dataset(&self) -> &Dataset;

    /// The array of a variable.
    ///
    /// # Errors
    /// No such variable, or one that this reader cannot read; the error says which feature.
    fn array(&self, variable: &str) -> Result<Arc<dyn ArraySource>>;

    /// Variables that this reader cannot read, and why, whether or not the dataset can describe them.
    /// Of a source that does not tell them apart, its warnings speak of them.
    fn left_out(&self) -> Vec<(String, Error)> {
        Vec::new()
    }

    /// A group below this one, as a dataset of its own; sources that know no groups have none.
    ///
    /// # Errors
    /// No such group; the error names those that are there.
    fn group(&self, path: &GroupPath) -> Result<Arc<dyn DatasetSource>> {
        Err(path.not_found(&self.dataset().groups))
    }
}

/// What a planner must know of a sink before it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkFacts {
    /// The type of the elements.
    pub dtype: DType,
    /// The shape of the array.
    pub shape: Vec<u64>,
    /// Shape of a chunk, as readers fetch it.
    pub chunk_shape: Vec<u64>,
    /// The units in which the sink is written whole: its shards, or its chunks.
    pub units: ChunkGrid,
    /// Codecs, in the order of encoding, by the names of the format.
    pub codecs: Vec<String>,
    /// What an element is that was never written.
    pub fill: Scalar,
    /// Bytes that a unit takes which is written as a stream, besides the chunks that are put into it;
    /// `None` where units are written whole only.
    pub stream_bytes: Option<u64>,
}

/// What a sink says of a unit that it has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenUnit {
    /// Bytes of the object.
    pub encoded_bytes: u64,
    /// CRC-32C of the object.
    pub crc32c: u32,
}

/// An array that can be written, one whole unit at a time.
///
/// What must hold: writing a unit twice leaves the same object; equal elements give equal bytes;
/// a unit is visible whole or not at all; many threads may write different units at once.
pub trait ArraySink: fmt::Debug + Send + Sync {
    /// What is known before writing.
    fn facts(&self) -> &SinkFacts;

    /// Encodes the unit at `index` and starts to write it; `elements` has the shape of its region.
    ///
    /// Memory: the encoded unit, until it is written.
    ///
    /// # Errors
    /// Elements of another type or shape.
    fn write(&self, index: &[u64], elements: &Chunk) -> Result<Box<dyn Writing>>;

    /// How chunks are encoded, if it takes those that are encoded already.
    fn encoded(&self) -> Option<&EncodedFacts> {
        None
    }

    /// Starts to write the unit at `index`, made of chunks that are encoded as
    /// [`ArraySink::encoded`] says: those that meet its region, in C order; `None` for one of fill
    /// values.
    ///
    /// Memory: the bytes of the chunks, until they are written, and one decoded chunk a thread.
    ///
    /// # Errors
    /// A sink that takes none, other chunks than the unit has, chunks that do not decode.
    fn write_encoded(&self, index: &[u64], chunks: Vec<Option<Bytes>>) -> Result<Box<dyn Writing>> {
        drop(chunks);
        Err(Error::internal(format!("the unit {index:?} is written encoded, which cannot be")))
    }

    /// Begins to write the unit at `index` as a stream, chunk after chunk; the object is the one that
    /// [`ArraySink::write`] makes of the same elements, to the byte.
    ///
    /// Memory: [`SinkFacts::stream_bytes`], and encoded chunks that came before their turn.
    ///
    /// # Errors
    /// A sink whose units are written whole only, or a store that fails.
    fn stream(&self, index: &[u64]) -> Result<Box<dyn UnitStream + '_>> {
        Err(Error::internal(format!("the unit {index:?} is written as a stream, which cannot be")))
    }
}

/// A unit that is written chunk after chunk.
///
/// Chunks are named by their place in C order among those that meet the region of the unit, and stand
/// in it in that order, whatever order they come in: one that comes before its turn waits, encoded.
/// Many threads may put chunks at once. Nothing is visible before the end; of a stream that is dropped
/// nothing ever is.
pub trait UnitStream: Send + Sync {
    /// Encodes the chunk at `place`, and writes it as soon as all before it are written; `elements` has
    /// the shape of what the array has of the chunk.
    ///
    /// # Errors
    /// Elements of another type or shape, a place that has a chunk already, a store that fails.
    fn put(&self, place: u64, elements: &Chunk) -> Result<()>;

    /// The same for a chunk that is encoded as [`ArraySink::encoded`] says; `None` for one of fill
    /// values.
    ///
    /// Memory: one decoded chunk, to see that it decodes.
    ///
    /// # Errors
    /// A chunk that does not decode, and as for [`UnitStream::put`].
    fn put_encoded(&self, place: u64, chunk: Option<Bytes>) -> Result<()>;

    /// Makes the unit visible, waiting for it.
    ///
    /// # Errors
    /// Chunks that are missing, or a store that fails.
    fn finish(self: Box<Self>) -> Result<WrittenUnit>;
}

/// A unit that is on its way to the store.
pub trait Writing: Send {
    /// Bytes of the encoded unit, which are held until it is written.
    fn encoded_bytes(&self) -> u64;

    /// Waits until the unit is in the store.
    ///
    /// # Errors
    /// A store that fails.
    fn wait(self: Box<Self>) -> Result<WrittenUnit>;
}
