//! What was read of a file to open it, kept for the next time.
//!
//! It is the bytes themselves, by their places, and so holds for every format: a reader asks for
//! the same headers again, and gets them without a request. Of another version of the file it is
//! thrown away.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dataflow::error::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::cache::name::name_of;
use crate::cache::options::{CacheKeeps, CacheOptions};
use crate::location::Location;
use crate::objects::Objects;
use crate::options::StoreOptions;
use crate::version::ObjectVersion;

/// The version of the form.
const VERSION: u32 = 1;
/// The most that is kept of one file; what comes later is read anew every time.
const MOST_BYTES: u64 = 16 << 20;

/// The headers of one version of one file.
#[derive(Debug)]
pub(crate) struct Headers {
    objects: Objects,
    key: String,
    url: String,
    version: ObjectVersion,
    /// Whether there were some already.
    is_found: bool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    ranges: BTreeMap<u64, Bytes>,
    bytes: u64,
    /// Whether some were added that are not kept yet.
    is_new: bool,
}

/// The first line of the form; the bytes of the ranges follow it.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    v: u32,
    url: String,
    #[serde(flatten)]
    version: ObjectVersion,
    /// Starts and lengths, ascending by start.
    ranges: Vec<(u64, u64)>,
    crc32c: u32,
}

impl Headers {
    /// Those that are kept of this version; nothing where nothing is to be kept.
    ///
    /// # Errors
    /// A cache that cannot be read.
    pub(crate) fn open(
        origin: &Location,
        version: &ObjectVersion,
        cache: &CacheOptions,
        options: &StoreOptions,
    ) -> Result<Option<Self>> {
        if cache.keeps != CacheKeeps::Indexes || !version.is_told() {
            return Ok(None);
        }
        let objects = Objects::open(&cache.place, options)?;
        let key = format!("indexes/{}", name_of(origin));
        let kept = objects.try_get(&key).map_err(|error| error.at("cache", &cache.place))?;
        let known = kept.and_then(|kept| parse(&kept, version)).unwrap_or_default();
        Ok(Some(Self {
            objects,
            key,
            url: origin.to_string(),
            version: version.clone(),
            is_found: !known.ranges.is_empty(),
            known: Mutex::new(known),
        }))
    }

    /// Whether some were kept when the file was opened.
    pub(crate) fn is_found(&self) -> bool {
        self.is_found
    }

    /// The bytes of a range, if they are kept.
    pub(crate) fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        let known = self.known();
        let (start, bytes) = known.ranges.range(..=range.start).next_back()?;
        let (from, to) = (range.start - start, range.end.checked_sub(*start)?);
        let is_inside = from <= to && to <= bytes.len() as u64;
        is_inside.then(|| bytes.slice(from as usize..to as usize))
    }

    /// Keeps the bytes that begin at a place.
    pub(crate) fn add(&self, start: u64, bytes: &Bytes) {
        let mut known = self.known();
        let old = known.ranges.get(&start).map_or(0, |old| old.len() as u64);
        let length = bytes.len() as u64;
        if length <= old || known.bytes + length > MOST_BYTES {
            return;
        }
        // A copy, so that it does not hold on to a longer read.
        known.ranges.insert(start, Bytes::copy_from_slice(bytes));
        known.bytes += length - old;
        known.is_new = true;
    }

    /// Writes what was added, if something was.
    ///
    /// # Errors
    /// A cache that cannot be written.
    pub(crate) fn save(&self) -> Result<()> {
        let form = {
            let mut known = self.known();
            if !std::mem::take(&mut known.is_new) {
                return Ok(());
            }
            self.form(&known.ranges)?
        };
        let written = self.objects.put(&self.key, form).wait();
        written.map_err(|error| error.at("cache", self.objects.root()))
    }

    fn form(&self, ranges: &BTreeMap<u64, Bytes>) -> Result<Bytes> {
        let payload: Vec<u8> = ranges.values().flatten().copied().collect();
        let head = Head {
            v: VERSION,
            url: self.url.clone(),
            version: self.version.clone(),
            ranges: ranges.iter().map(|(start, bytes)| (*start, bytes.len() as u64)).collect(),
            crc32c: crc32c::crc32c(&payload),
        };
        let head = serde_json::to_vec(&head);
        let mut form = head.map_err(|why| Error::internal(format!("headers: {why}")))?;
        form.push(b'\n');
        form.extend(payload);
        Ok(form.into())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept, if it can be read and is of this version.
fn parse(kept: &Bytes, version: &ObjectVersion) -> Option<Known> {
    let end = kept.iter().position(|byte| *byte == b'\n')?;
    let head: Head = serde_json::from_slice(&kept[..end]).ok()?;
    let payload = kept.slice(end + 1..);
    let is_whole = head.v == VERSION && head.crc32c == crc32c::crc32c(&payload);
    if !is_whole || head.version.differs_from(version).is_some() {
        return None;
    }
    let (mut known, mut at) = (Known::default(), 0usize);
    for (start, length) in head.ranges {
        let end = at.checked_add(usize::try_from(length).ok()?)?;
        if end > payload.len() {
            return None;
        }
        known.ranges.insert(start, payload.slice(at..end));
        known.bytes += length;
        at = end;
    }
    Some(known)
}
