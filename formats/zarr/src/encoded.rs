//! The chunks of an array as they lie in the store, and its codecs in the words of numcodecs.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use array::{
    ByteRange, ChunkLocation, CodecParameter, EncodedChunk, EncodedChunks, EncodedFacts,
    FetchedChunks, NamedCodec, not_encoded,
};
use dataflow::error::{Error, ErrorKind, Result};
use objects::ObjectFacts;

use crate::codec::{BloscCname, BloscShuffle};
use crate::element::{Wire, v2_name};
use crate::filter::{Change, Filter, Lane};
use crate::header::Header;
use crate::read::{Bodies, Wanted, ZarrArray};
use crate::step::{Checksum, Step};

/// The chunks of an array; those of shards by their place in the shard.
#[derive(Debug)]
pub(crate) struct ZarrChunks {
    array: Arc<ZarrArray>,
    facts: EncodedFacts,
    /// What lies below the array, by key; `None` where the store does not list.
    listed: OnceLock<Option<Vec<ObjectFacts>>>,
}

impl ZarrChunks {
    /// The chunks of an array.
    ///
    /// # Errors
    /// Texts, and elements that do not lie in C order.
    pub(crate) fn new(array: &Arc<ZarrArray>) -> Result<Self> {
        let facts = array.header.encoded()?;
        Ok(Self { array: Arc::clone(array), facts, listed: OnceLock::new() })
    }

    /// Length of the object of a unit; `None` if it is not there.
    fn object_bytes(&self, key: &str) -> Result<Option<u64>> {
        let listed = match self.listed.get() {
            Some(listed) => listed,
            None => {
                let listed = match self.array.objects.list(&self.array.path) {
                    Ok(listed) => Some(listed),
                    Err(error) if error.kind() == ErrorKind::Unsupported => None,
                    Err(error) => return Err(error),
                };
                self.listed.get_or_init(|| listed)
            }
        };
        let Some(listed) = listed else {
            return match self.array.objects.facts(key) {
                Ok(facts) => Ok(Some(facts.size_bytes)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            };
        };
        let place = listed.binary_search_by(|facts| facts.key.as_str().cmp(key));
        Ok(place.ok().map(|place| listed[place].size_bytes))
    }

    fn check(&self, index: &[u64]) -> Result<()> {
        let counts = self.facts.grid().counts();
        if index.len() == counts.len() && index.iter().zip(&counts).all(|(i, n)| i < n) {
            return Ok(());
        }
        Err(Error::internal(format!("`{}` has no chunk {index:?}", self.array.name)))
    }

    fn unit_of(&self, index: &[u64]) -> Vec<u64> {
        let sharding = self.array.header.sharding.as_ref();
        sharding.map_or_else(|| index.to_vec(), |sharding| sharding.shard_of(index))
    }
}

impl Header {
    /// How chunks are encoded; those of shards, where there are shards.
    ///
    /// # Errors
    /// Texts, and elements that do not lie in C order.
    pub(crate) fn encoded(&self) -> Result<EncodedFacts> {
        let chain = &self.chain;
        let Wire::Fixed { swap_bytes, .. } = chain.element.wire else {
            return Err(not_encoded("texts have no codec that all readers have"));
        };
        if chain.order.is_some() {
            return Err(not_encoded("elements do not lie in C order"));
        }
        Ok(EncodedFacts {
            dtype: chain.element.dtype,
            is_big_endian: swap_bytes > 1,
            shape: self.shape.clone(),
            chunk_shape: chain.shape.clone(),
            codecs: chain.steps.iter().map(Step::named).collect(),
            fill: self.fill_or_zero(),
        })
    }
}

impl EncodedChunks for ZarrChunks {
    fn facts(&self) -> &EncodedFacts {
        &self.facts
    }

    fn location(&self, index: &[u64]) -> Result<Option<ChunkLocation>> {
        self.check(index)?;
        let array = &self.array;
        let unit = self.unit_of(index);
        let key = array.key(&unit);
        let range = match &array.header.sharding {
            None => self.object_bytes(&key)?.map(|bytes| 0..bytes),
            Some(sharding) => {
                let linear = array.units.linear_index(&unit);
                let known = array.indices.get(linear);
                let shard = match known {
                    Some(shard) => Some(shard),
                    None => match array.objects.edge(&key, sharding.index_edge()).wait()? {
                        None => None,
                        Some(edge) => {
                            let shard = sharding.index_of(&edge);
                            let shard = shard.map_err(|why| array.damaged_shard(&unit, &why))?;
                            let shard = Arc::new(shard);
                            array.indices.put(linear, Arc::clone(&shard));
                            Some(shard)
                        }
                    },
                };
                shard.and_then(|shard| shard.range(sharding.place_of(index)))
            }
        };
        Ok(range.map(|range| {
            let url = array.objects.root().join(&key).to_string();
            let range = ByteRange { url, offset: range.start, length: range.end - range.start };
            ChunkLocation { range, left_out: 0 }
        }))
    }

    fn fetch_encoded(&self, chunks: &[Vec<u64>]) -> Result<Box<dyn FetchedChunks>> {
        chunks.iter().try_for_each(|index| self.check(index))?;
        // Chunks of one unit come together, one that is asked for twice once.
        let mut units: BTreeMap<Vec<u64>, BTreeMap<&[u64], Vec<usize>>> = BTreeMap::new();
        for (place, chunk) in chunks.iter().enumerate() {
            let unit = units.entry(self.unit_of(chunk)).or_default();
            unit.entry(chunk).or_default().push(place);
        }
        let units = units.into_iter().map(|(unit, wanted)| {
            let wanted = wanted.into_iter();
            let wanted: Vec<Wanted> =
                wanted.map(|(chunk, regions)| Wanted { chunk: chunk.to_vec(), regions }).collect();
            let own: Vec<Vec<u64>> = wanted.iter().map(|wanted| wanted.chunk.clone()).collect();
            let bodies = self.array.fetch_chunks(&unit, &own);
            (unit, wanted, bodies)
        });
        let (array, count) = (Arc::clone(&self.array), chunks.len());
        Ok(Box::new(Coming { units: units.collect(), array, count }))
    }
}

/// Chunks of several units that are on their way.
struct Coming {
    array: Arc<ZarrArray>,
    /// How many chunks were asked for.
    count: usize,
    /// Of every unit, its chunks with their places among those that were asked for.
    units: Vec<(Vec<u64>, Vec<Wanted>, Bodies)>,
}

impl FetchedChunks for Coming {
    fn wait(self: Box<Self>) -> Result<Vec<Option<EncodedChunk>>> {
        let mut found = vec![None; self.count];
        for (unit, wanted, bodies) in self.units {
            let bodies = self.array.wait(&unit, &wanted, bodies)?;
            for (wanted, body) in wanted.iter().zip(bodies) {
                let chunk = body.map(|body| EncodedChunk { bytes: body.bytes, left_out: 0 });
                wanted.regions.iter().for_each(|&place| found[place].clone_from(&chunk));
            }
        }
        Ok(found)
    }
}

impl Step {
    /// The codec in the words of numcodecs.
    fn named(&self) -> NamedCodec {
        let level = |id: &str, level: u8| NamedCodec::new(id).with("level", i64::from(level));
        match self {
            Self::Filter(filter) => filter.named(),
            Self::Blosc { cname, level, shuffle, .. } => NamedCodec::new("blosc")
                .with("cname", BloscCname::name(*cname))
                .with("clevel", i64::from(*level))
                .with("shuffle", number_of(*shuffle))
                .with("blocksize", 0),
            Self::Zstd { level, has_checksum } => NamedCodec::new("zstd")
                .with("level", i64::from(*level))
                .with("checksum", *has_checksum),
            Self::Gzip { level: own } => level("gzip", *own),
            Self::Zlib { level: own } => level("zlib", *own),
            Self::Bz2 { level: own } => level("bz2", *own),
            Self::Lzma { is_alone } => {
                NamedCodec::new("lzma").with("format", if *is_alone { 2 } else { 1 })
            }
            Self::Lz4 => NamedCodec::new("lz4"),
            Self::Checksum { kind, is_first } => {
                let (id, is_usually_first) = match kind {
                    Checksum::Crc32c => ("crc32c", false),
                    Checksum::Fletcher32 => ("fletcher32", false),
                    Checksum::Crc32 => ("crc32", true),
                    Checksum::Adler32 => ("adler32", true),
                };
                let codec = NamedCodec::new(id);
                match *is_first == is_usually_first {
                    true => codec,
                    false => codec.with("location", if *is_first { "start" } else { "end" }),
                }
            }
            Self::Shuffle { item_bytes } => {
                NamedCodec::new("shuffle").with("elementsize", *item_bytes as i64)
            }
        }
    }
}

impl Filter {
    fn named(&self) -> NamedCodec {
        let typed = |codec: NamedCodec| {
            codec.with("dtype", &*name_of(self.plain)).with("astype", &*name_of(self.stored))
        };
        match self.change {
            Change::Delta => typed(NamedCodec::new("delta")),
            Change::ScaleOffset { scale, offset } => typed(
                NamedCodec::new("fixedscaleoffset")
                    .with("scale", CodecParameter::Float(scale))
                    .with("offset", CodecParameter::Float(offset)),
            ),
            Change::Quantize { digits } => {
                typed(NamedCodec::new("quantize").with("digits", i64::from(digits)))
            }
            Change::BitRound { keep_bits } => {
                NamedCodec::new("bitround").with("keepbits", i64::from(keep_bits))
            }
            Change::AsType => NamedCodec::new("astype")
                .with("encode_dtype", &*name_of(self.stored))
                .with("decode_dtype", &*name_of(self.plain)),
        }
    }
}

/// How numbers lie, as version 2 writes it: `<f4`, `>i2`.
fn name_of(lane: Lane) -> String {
    let name = v2_name(lane.dtype);
    if lane.swap_bytes > 1 { name.replacen('<', ">", 1) } else { name }
}

/// The shuffle of Blosc as numcodecs counts it.
fn number_of(shuffle: BloscShuffle) -> i64 {
    match shuffle {
        BloscShuffle::None => 0,
        BloscShuffle::Bytes => 1,
        BloscShuffle::Bits => 2,
    }
}
