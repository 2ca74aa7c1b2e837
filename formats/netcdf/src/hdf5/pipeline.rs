//! The filters of a dataset, and a chunk's way back through them.
//!
//! Shuffle, deflate and fletcher32 are what files use, and are decoded here, in two buffers that
//! change roles. Shuffling is undone only while elements are copied to where they belong, so that
//! no pass over the chunk is spent on it alone. Other filters go through the library.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use array::error::Result;
use array::{NamedCodec, not_encoded};
use flate2::Decompress;
use hdf5_reader::FilterRegistry;
use hdf5_reader::checksum::fletcher32;
use hdf5_reader::io::Cursor;
use hdf5_reader::messages::filter_pipeline::{self, FilterDescription};

use super::decoded::{Decoded, unshuffle};
use super::file::Hdf5;
use super::filters::{self, DEFLATE, FLETCHER32, SHUFFLE};
use super::guard::guarded;
use super::header::{Header, Kind};
use super::inflate::{MOST_EXPANSION, inflate};
use crate::fault::{corrupt, unsupported};

/// Bytes of the checksum behind a chunk.
const CHECKSUM_BYTES: usize = 4;
/// Filters that expand by more than deflate are those of constant chunks, which are not larger.
const ALWAYS_ALLOWED_BYTES: usize = 64 << 20;
/// Buffers of more bytes are not kept for the next chunk.
const KEPT_BYTES: usize = 64 << 20;

/// The filters of a dataset, in the order of encoding.
pub(crate) struct Pipeline {
    filters: Vec<FilterDescription>,
    registry: FilterRegistry,
    unit_bytes: usize,
}

/// Buffers for decoding one chunk at a time.
pub(super) struct Scratch {
    front: Vec<u8>,
    back: Vec<u8>,
    inflater: Decompress,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { front: Vec::new(), back: Vec::new(), inflater: Decompress::new(true) }
    }
}

/// Buffers that decoders take turns with: as many as ever decoded at once.
#[derive(Default)]
pub(crate) struct ScratchPool(Mutex<Vec<Scratch>>);

impl ScratchPool {
    /// Lends buffers to `work`.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let idle = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = idle().pop();
        let mut scratch = free.unwrap_or_default();
        let result = work(&mut scratch);
        if scratch.front.capacity().max(scratch.back.capacity()) <= KEPT_BYTES {
            idle().push(scratch);
        }
        result
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Pipeline {
    /// The filters that a header states, for elements of `unit_bytes` in chunks of `chunk_bytes`.
    ///
    /// # Errors
    /// A message that is damaged.
    pub(crate) fn read(
        file: &Hdf5,
        header: &Header,
        unit_bytes: usize,
        chunk_bytes: usize,
    ) -> Result<Self> {
        let filters = match header.find(file, Kind::Filters)? {
            None => Vec::new(),
            Some(body) => {
                let (offset, length) = (file.offset_bytes(), file.length_bytes());
                let mut cursor = Cursor::new(&body);
                guarded(|| filter_pipeline::parse(&mut cursor, offset, length, body.len()))?.filters
            }
        };
        // A filter may leave a checksum or a header behind for the next one.
        let registry = filters::registry(chunk_bytes.saturating_add(1024));
        Ok(Self { filters, registry, unit_bytes })
    }

    /// The names of the filters, in the order of encoding.
    pub(crate) fn names(&self) -> Vec<String> {
        self.filters.iter().map(|filter| filters::name(filter.id)).collect()
    }

    /// Refuses filters that cannot be undone.
    ///
    /// # Errors
    /// Such a filter, by its name.
    pub(crate) fn check(&self, variable: &str) -> Result<()> {
        let unknown = self.filters.iter().find(|filter| !filters::is_supported(filter.id));
        unknown.map_or(Ok(()), |filter| {
            let (name, id) = (filters::name(filter.id), filter.id);
            let number = if name == id.to_string() { String::new() } else { format!(" ({id})") };
            let message =
                format!("filter {name}{number} of variable `{variable}` is not supported");
            Err(unsupported(message)
                .mend("write the file again with deflate or zstd: `nccopy -d 4` or `h5repack`"))
        })
    }

    /// The filters in the words of numcodecs, for chunks of so many bytes.
    ///
    /// # Errors
    /// A filter that has none there, by its name, or that does there something else.
    pub(crate) fn codecs(&self, chunk_bytes: usize) -> Result<Vec<NamedCodec>> {
        // Bytes that a filter is given, as long as no compressor came before.
        let mut given = Some(chunk_bytes);
        let codecs = self.filters.iter().map(|filter| {
            let codec = filters::codec(filter, self.unit_bytes);
            let codec = codec.ok_or_else(|| {
                let name = filters::name(filter.id);
                not_encoded(format!("the filter {name} of HDF5 is no codec of Zarr"))
            })?;
            // HDF5 leaves the bytes of a last part of an element as they are, numcodecs refuses.
            let unit_bytes = filters::shuffled_bytes(filter, self.unit_bytes);
            let is_even = given.is_some_and(|bytes| bytes.is_multiple_of(unit_bytes));
            if filter.id == SHUFFLE && unit_bytes > 1 && !is_even {
                return Err(not_encoded("a checksum is shuffled, which Zarr does not do"));
            }
            given = match filter.id {
                SHUFFLE => given,
                FLETCHER32 => given.map(|bytes| bytes + CHECKSUM_BYTES),
                _ => None,
            };
            Ok(codec)
        });
        codecs.collect()
    }

    /// Decodes a chunk of `chunk_bytes` that was encoded without the filters of `mask`.
    ///
    /// # Errors
    /// A chunk that is damaged.
    pub(super) fn decode<'a>(
        &self,
        encoded: &'a [u8],
        mask: u32,
        chunk_bytes: usize,
        scratch: &'a mut Scratch,
    ) -> Result<Decoded<'a>> {
        let is_active = |place: usize| mask.checked_shr(place as u32).unwrap_or(0) & 1 == 0;
        let active: Vec<&FilterDescription> = (self.filters.iter().enumerate())
            .filter_map(|(place, filter)| is_active(place).then_some(filter))
            .collect();
        check_expansion(encoded.len(), chunk_bytes)?;
        // The chunk is in so many bytes of the front buffer; `None`: it is still as it was read.
        let mut in_front: Option<usize> = None;
        let mut as_read = encoded;
        let mut is_shuffled = false;
        for (place, filter) in active.iter().enumerate().rev() {
            let before = &active[..place];
            let Scratch { front, back, inflater } = &mut *scratch;
            let input = match in_front {
                Some(bytes) => &front[..bytes],
                None => as_read,
            };
            match filter.id {
                FLETCHER32 => {
                    let rest = verified(input)?;
                    match &mut in_front {
                        Some(bytes) => *bytes = rest,
                        None => as_read = &as_read[..rest],
                    }
                    continue;
                }
                SHUFFLE if place == 0 && self.shuffles_elements(filter) => {
                    is_shuffled = true;
                    continue;
                }
                SHUFFLE => {
                    back.resize(input.len().max(back.len()), 0);
                    unshuffle(input, width(filter, self.unit_bytes), &mut back[..input.len()]);
                    in_front = Some(input.len());
                }
                DEFLATE if before.iter().all(|f| [SHUFFLE, FLETCHER32].contains(&f.id)) => {
                    let sums = before.iter().filter(|filter| filter.id == FLETCHER32).count();
                    let most_bytes = chunk_bytes + sums * CHECKSUM_BYTES;
                    in_front = Some(inflate(inflater, input, back, most_bytes)?);
                }
                _ => {
                    let most = before.is_empty().then_some(chunk_bytes + 1);
                    let registry = &self.registry;
                    let bytes = guarded(|| {
                        registry.apply_with_limit(filter, input, self.unit_bytes, most)
                    })?;
                    in_front = Some(bytes.len());
                    *back = bytes;
                }
            }
            std::mem::swap(front, back);
        }
        let bytes = match in_front {
            Some(bytes) => &scratch.front[..bytes],
            None => as_read,
        };
        if bytes.len() != chunk_bytes {
            let found = bytes.len();
            return Err(corrupt(format!("it decodes to {found} bytes, not {chunk_bytes}")));
        }
        Ok(if is_shuffled { Decoded::Planes(bytes) } else { Decoded::Elements(bytes) })
    }

    /// Whether the filter shuffled elements as they are, so that undoing it can wait.
    fn shuffles_elements(&self, filter: &FilterDescription) -> bool {
        width(filter, self.unit_bytes) == self.unit_bytes && self.unit_bytes > 1
    }
}

fn width(filter: &FilterDescription, unit_bytes: usize) -> usize {
    filter.client_data.first().map_or(unit_bytes, |&bytes| bytes as usize)
}

/// The length of what stands before a checksum, which must be right.
fn verified(input: &[u8]) -> Result<usize> {
    let (body, stored) = input
        .split_last_chunk::<CHECKSUM_BYTES>()
        .ok_or_else(|| corrupt("fletcher32: there is no checksum"))?;
    let (stored, found) = (u32::from_le_bytes(*stored), fletcher32(body));
    // HDF5 before 1.6.3 wrote the bytes of each half in the other order, on little endian machines.
    let [a, b, c, d] = found.to_be_bytes();
    if stored == found || stored == u32::from_be_bytes([b, a, d, c]) {
        return Ok(body.len());
    }
    Err(corrupt(format!("fletcher32: the checksum is {found:#010x}, not {stored:#010x}")))
}

/// Refuses a chunk so large that no stream of these bytes can hold it, before room is made for it.
fn check_expansion(encoded_bytes: usize, chunk_bytes: usize) -> Result<()> {
    if chunk_bytes <= ALWAYS_ALLOWED_BYTES || chunk_bytes / MOST_EXPANSION <= encoded_bytes {
        return Ok(());
    }
    Err(corrupt(format!("{encoded_bytes} bytes cannot decode to {chunk_bytes}")))
}

#[cfg(test)]
mod tests;
