//! Reads regions of one array: fetches chunks whole, or the chunks of a shard by ranges.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use array::{
    ArrayBuffer, ArraySource, BoxCopy, Chunk, ChunkGrid, DType, EncodedChunks, Fetched, Placement,
    Region, Scalar, SourceFacts,
};
use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Objects, Pending};

use crate::chain::Elements;
use crate::encoded::ZarrChunks;
use crate::header::Header;
use crate::shard::{IndexCache, ShardIndex, Sharding};

/// An array of a store.
pub(crate) struct ZarrArray {
    pub(crate) name: String,
    pub(crate) objects: Objects,
    pub(crate) path: String,
    pub(crate) header: Header,
    /// Chunks, also those of shards.
    facts: SourceFacts,
    /// What is one object: shards, or chunks.
    pub(crate) units: ChunkGrid,
    pub(crate) indices: IndexCache,
}

impl fmt::Debug for ZarrArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZarrArray({} in {})", self.name, self.objects.root())
    }
}

impl ZarrArray {
    pub(crate) fn new(objects: &Objects, name: &str, path: String, header: Header) -> Self {
        let facts = SourceFacts {
            dtype: header.chain.element.dtype,
            grid: ChunkGrid::regular(&header.shape, &header.chain.shape),
            is_random_access: false,
            codecs: header.codec_names.clone(),
            encoded_ratio: 1.0,
            recode_bytes: 0,
            fill: header.fill_or_zero(),
        };
        Self {
            name: name.to_owned(),
            objects: objects.clone(),
            path,
            units: ChunkGrid::regular(&header.shape, header.unit_shape()),
            facts,
            header,
            indices: IndexCache::default(),
        }
    }

    /// The same array, where shards may be replaced while it is read: no index of one is kept.
    pub(crate) fn changing(&self) -> Self {
        let (objects, name, path) = (&self.objects, &self.name, self.path.clone());
        let array = Self::new(objects, name, path, self.header.clone());
        Self { indices: IndexCache::off(), ..array }
    }

    /// The key of the object of a unit.
    pub(crate) fn key(&self, unit: &[u64]) -> String {
        let key = self.header.keys.key(unit);
        if self.path.is_empty() { key } else { format!("{}/{key}", self.path) }
    }

    /// The error for a chunk whose bytes, which lie there in the object, are not what they should be.
    pub(crate) fn damaged_chunk(
        &self,
        chunk: &[u64],
        unit: &[u64],
        bytes: &Range<u64>,
        why: &str,
    ) -> Error {
        self.damaged("chunk", chunk, unit, why)
            .at("bytes", format!("{}..{}", bytes.start, bytes.end))
    }

    /// The error for a shard whose index is not what it should be.
    pub(crate) fn damaged_shard(&self, shard: &[u64], why: &str) -> Error {
        self.damaged("shard", shard, shard, why)
    }

    fn damaged(&self, role: &str, index: &[u64], unit: &[u64], why: &str) -> Error {
        let message = format!("the {role} {index:?} of `{}` does not decode: {why}", self.name);
        Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message)
            .at("variable", &self.name)
            .at(role, format!("{index:?}"))
            .at("object", self.objects.root().join(&self.key(unit)))
            .mend("the object was damaged or cut short; write it again")
    }

    /// Starts to fetch chunks of one unit, in their order.
    pub(crate) fn fetch_chunks(self: &Arc<Self>, unit: &[u64], chunks: &[Vec<u64>]) -> Bodies {
        let whole = || self.objects.fetch_many(vec![(self.key(unit), None)]);
        let Some(sharding) = &self.header.sharding else { return Bodies::Chunk(whole()) };
        let within = self.units.region(unit).shape();
        let counts =
            within.iter().zip(&self.header.chain.shape).map(|(n, chunk)| n.div_ceil(*chunk));
        if chunks.len() as u64 == counts.product::<u64>() {
            return Bodies::WholeShard(whole());
        }
        let places: Vec<usize> = chunks.iter().map(|chunk| sharding.place_of(chunk)).collect();
        let linear = self.units.linear_index(unit);
        if let Some(index) = self.indices.get(linear) {
            let bodies = self.objects.fetch(&self.key(unit), index.ranges(&places));
            return Bodies::Indexed { index, bodies };
        }
        let slot = Arc::new(OnceLock::new());
        let (array, filled, shard) = (Arc::clone(self), Arc::clone(&slot), unit.to_vec());
        let plan = move |edge| {
            let index = array.sharding()?.index_of(&edge);
            let index = Arc::new(index.map_err(|why| array.damaged_shard(&shard, &why))?);
            array.indices.put(linear, Arc::clone(&index));
            let ranges = index.ranges(&places);
            drop(filled.set(index));
            Ok(ranges)
        };
        let bodies = self.objects.fetch_indexed(&self.key(unit), sharding.index_edge(), plan);
        Bodies::Unindexed { slot, bodies }
    }

    fn sharding(&self) -> Result<&Sharding> {
        let missing = || Error::internal(format!("`{}` has no shards", self.name));
        self.header.sharding.as_ref().ok_or_else(missing)
    }

    /// Waits for chunks of one unit; `None` for one that was never written.
    ///
    /// # Errors
    /// A store that fails, or a shard whose index is damaged.
    pub(crate) fn wait(
        &self,
        unit: &[u64],
        chunks: &[Wanted],
        bodies: Bodies,
    ) -> Result<Vec<Option<Body>>> {
        let (index, bodies) = match bodies {
            Bodies::Chunk(body) => {
                let bodies = body.wait()?.into_iter();
                return Ok(bodies
                    .map(|body| body.map(|bytes| Body { offset: 0, bytes }))
                    .collect());
            }
            Bodies::WholeShard(shard) => match shard.wait()?.into_iter().next().flatten() {
                Some(shard) => return self.split_shard(unit, chunks, &shard),
                None => return Ok(vec![None; chunks.len()]),
            },
            Bodies::Indexed { index, bodies } => (index, bodies.wait()?),
            Bodies::Unindexed { slot, bodies } => match (bodies.wait()?, slot.get()) {
                (Some(bodies), Some(index)) => (Arc::clone(index), bodies),
                _ => return Ok(vec![None; chunks.len()]),
            },
        };
        let sharding = self.sharding()?;
        let mut bodies = bodies.into_iter();
        let body = |wanted: &Wanted| {
            let range = index.range(sharding.place_of(&wanted.chunk))?;
            Some(Body { offset: range.start, bytes: bodies.next()? })
        };
        Ok(chunks.iter().map(body).collect())
    }

    /// Cuts chunks out of a whole shard.
    fn split_shard(
        &self,
        unit: &[u64],
        chunks: &[Wanted],
        shard: &Bytes,
    ) -> Result<Vec<Option<Body>>> {
        let sharding = self.sharding()?;
        let index = sharding.index_in(shard).map_err(|why| self.damaged_shard(unit, &why))?;
        let body = |wanted: &Wanted| {
            let range = index.range(sharding.place_of(&wanted.chunk))?;
            let bytes = shard.slice(range.start as usize..range.end as usize);
            Some(Body { offset: range.start, bytes })
        };
        Ok(chunks.iter().map(body).collect())
    }

    /// The chunks that meet regions, by the unit in which they lie.
    fn wanted(&self, regions: &[Region]) -> BTreeMap<Vec<u64>, Vec<Wanted>> {
        let mut chunks: BTreeMap<Vec<u64>, Vec<usize>> = BTreeMap::new();
        for (place, region) in regions.iter().enumerate() {
            for chunk in self.facts.grid.chunks_meeting(region) {
                chunks.entry(chunk).or_default().push(place);
            }
        }
        let mut units: BTreeMap<Vec<u64>, Vec<Wanted>> = BTreeMap::new();
        for (chunk, regions) in chunks {
            let sharding = self.header.sharding.as_ref();
            let unit = sharding.map_or_else(|| chunk.clone(), |sharding| sharding.shard_of(&chunk));
            units.entry(unit).or_default().push(Wanted { chunk, regions });
        }
        units
    }
}

/// A chunk, and which of those that ask want it.
pub(crate) struct Wanted {
    pub(crate) chunk: Vec<u64>,
    pub(crate) regions: Vec<usize>,
}

/// An encoded chunk, and where in its object it begins.
#[derive(Clone)]
pub(crate) struct Body {
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
}

/// Chunks of one unit that are on their way.
pub(crate) enum Bodies {
    /// The unit is the chunk.
    Chunk(Pending<Vec<Option<Bytes>>>),
    /// All chunks of a shard are wanted, so it comes whole.
    WholeShard(Pending<Vec<Option<Bytes>>>),
    /// Ranges of a shard whose index is known.
    Indexed { index: Arc<ShardIndex>, bodies: Pending<Vec<Bytes>> },
    /// Ranges of a shard whose index comes before them; it is in the slot when they are there.
    Unindexed { slot: Arc<OnceLock<Arc<ShardIndex>>>, bodies: Pending<Option<Vec<Bytes>>> },
}

/// Reads an array; many of them may share it.
#[derive(Debug)]
pub(crate) struct ZarrReader(pub(crate) Arc<ZarrArray>);

impl ArraySource for ZarrReader {
    fn facts(&self) -> &SourceFacts {
        &self.0.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let array = &self.0;
        let whole = Region::whole(&array.header.shape);
        for region in regions {
            let is_within = region.rank() == whole.rank()
                && region.ranges().zip(whole.ranges()).all(|(part, all)| part.end <= all.end);
            if !is_within {
                let message = format!("{region} is not within {whole} of `{}`", array.name);
                return Err(Error::internal(message));
            }
        }
        let units = array.wanted(regions).into_iter().map(|(unit, wanted)| {
            let chunks: Vec<Vec<u64>> = wanted.iter().map(|wanted| wanted.chunk.clone()).collect();
            let bodies = array.fetch_chunks(&unit, &chunks);
            FetchedUnit { unit, wanted, bodies }
        });
        Ok(Box::new(FetchedRegions {
            units: units.collect(),
            array: Arc::clone(array),
            regions: regions.to_vec(),
        }))
    }

    fn encoded(&self) -> Result<Arc<dyn EncodedChunks>> {
        let chunks = ZarrChunks::new(&self.0);
        let at =
            |error: Error| error.at("variable", &self.0.name).at("store", self.0.objects.root());
        Ok(Arc::new(chunks.map_err(at)?))
    }
}

struct FetchedRegions {
    array: Arc<ZarrArray>,
    regions: Vec<Region>,
    units: Vec<FetchedUnit>,
}

struct FetchedUnit {
    unit: Vec<u64>,
    wanted: Vec<Wanted>,
    bodies: Bodies,
}

impl Fetched for FetchedRegions {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        let Self { array, regions, units } = *self;
        if places.len() != regions.len() {
            let message = format!("{} places for {} regions", places.len(), regions.len());
            return Err(Error::internal(message));
        }
        for (place, region) in places.iter().zip(&regions) {
            place.into.check(&place.at, &region.shape(), array.facts.dtype)?;
        }
        each_chunk(&array, units, |chunk, meeting, elements| {
            meeting.iter().try_for_each(|&place| {
                array.put(chunk, elements.as_ref(), &regions[place], &mut places[place])
            })
        })
    }

    fn into_chunks(self: Box<Self>, dtype: DType, regions: &[Region]) -> Result<Vec<Chunk>> {
        let Self { array, units, .. } = *self;
        let mut decoded: Vec<Option<Decoded>> = regions.iter().map(|_| None).collect();
        each_chunk(&array, units, |chunk, meeting, elements| {
            for &place in meeting {
                let region = &regions[place];
                if let Some(Elements::Fixed(bytes)) = &elements
                    && array.facts.grid.region(chunk) == *region
                    && region.shape() == array.header.chain.shape
                {
                    let whole = Chunk::new(dtype, region.shape(), bytes.clone())?;
                    decoded[place] = Some(Decoded::Whole(whole));
                    continue;
                }
                let new = || Decoded::Parts(ArrayBuffer::zeroed(dtype, &region.shape()));
                let Decoded::Parts(into) = decoded[place].get_or_insert_with(new) else {
                    return Err(Error::internal("a region has a chunk, and more of it"));
                };
                let mut placement = Placement { into, at: vec![0; region.rank()] };
                array.put(chunk, elements.as_ref(), region, &mut placement)?;
            }
            Ok(())
        })?;
        let chunks = decoded.into_iter().zip(regions).map(|(decoded, region)| match decoded {
            Some(Decoded::Whole(chunk)) => Ok(chunk),
            Some(Decoded::Parts(buffer)) => buffer.freeze(),
            None => ArrayBuffer::zeroed(dtype, &region.shape()).freeze(),
        });
        chunks.collect()
    }
}

/// A region as it comes.
enum Decoded {
    /// It is a chunk.
    Whole(Chunk),
    /// It has parts of chunks.
    Parts(ArrayBuffer),
}

/// Waits for all units, and decodes their chunks one after the other.
fn each_chunk(
    array: &ZarrArray,
    units: Vec<FetchedUnit>,
    mut visit: impl FnMut(&[u64], &[usize], Option<Elements>) -> Result<()>,
) -> Result<()> {
    for FetchedUnit { unit, wanted, bodies } in units {
        let bodies = array.wait(&unit, &wanted, bodies)?;
        for (Wanted { chunk, regions: meeting }, body) in wanted.iter().zip(bodies) {
            let decode = |Body { offset, bytes }| {
                let range = offset..offset + bytes.len() as u64;
                let elements = array.header.chain.decode(bytes);
                elements.map_err(|why| array.damaged_chunk(chunk, &unit, &range, &why))
            };
            visit(chunk, meeting, body.map(decode).transpose()?)?;
        }
    }
    Ok(())
}

impl ZarrArray {
    /// Copies what a chunk and a region share to the place of the region.
    fn put(
        &self,
        chunk: &[u64],
        elements: Option<&Elements>,
        region: &Region,
        place: &mut Placement<'_>,
    ) -> Result<()> {
        let chunk = self.facts.grid.region(chunk);
        let Some(shared) = chunk.intersection(region) else { return Ok(()) };
        let offsets = shared.offset_in(region);
        let target_start: Vec<u64> = place.at.iter().zip(offsets).map(|(at, n)| at + n).collect();
        let target_shape = place.into.shape().to_vec();
        let copy = BoxCopy {
            source_shape: &self.header.chain.shape,
            source_start: &shared.offset_in(&chunk),
            target_shape: &target_shape,
            target_start: &target_start,
            extent: &shared.shape(),
        };
        match elements {
            Some(elements) => elements.copy_into(place.into, &copy),
            None => {
                fill_box(place.into, &self.facts.fill, &copy);
                Ok(())
            }
        }
    }
}

fn fill_box(into: &mut ArrayBuffer, fill: &Scalar, copy: &BoxCopy<'_>) {
    let item_bytes = fill.bytes().len();
    if let Some(texts) = into.texts_mut() {
        let text = fill.as_text().unwrap_or_default();
        copy.for_each_run(|_, to, length| texts[to..to + length].fill(text.to_owned()));
    } else if let Some(bytes) = into.fixed_mut() {
        copy.for_each_run(|_, to, length| {
            let run = &mut bytes[to * item_bytes..(to + length) * item_bytes];
            run.chunks_exact_mut(item_bytes).for_each(|item| item.copy_from_slice(fill.bytes()));
        });
    }
}
