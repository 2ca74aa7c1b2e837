//! One object, opened for reading ranges of it.
//!
//! It is one version of the object: when another one is there, reading is an error. Its bytes come
//! from a copy where a cache keeps one.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use dataflow::error::{ErrorKind, Result};

use crate::cache::{CacheKeeps, CacheOptions, Headers, HeldCopy, copy};
use crate::failure::out_of_range;
use crate::location::Location;
use crate::objects::{ObjectFacts, Objects};
use crate::options::StoreOptions;
use crate::pending::Pending;
use crate::requests::Object;
use crate::version::ObjectVersion;

/// One object of known size; cheap to clone, read by many threads at once.
#[derive(Clone)]
pub struct ObjectFile {
    /// Where its bytes are read.
    objects: Objects,
    location: Location,
    facts: ObjectFacts,
    /// The version of what is read.
    version: Arc<ObjectVersion>,
    /// What holds the copy where it is, if one is read.
    _copy: Option<Arc<HeldCopy>>,
    headers: Option<Arc<Headers>>,
}

impl ObjectFile {
    /// Opens the object at `location`; costs one request.
    ///
    /// With a cache of files in the options, the whole object is fetched if no copy of this version
    /// is kept.
    ///
    /// # Errors
    /// No such object, or a store or a cache that fails.
    pub fn open(location: &Location, options: &StoreOptions) -> Result<Self> {
        let objects = Objects::open(location, options)?;
        let facts = match objects.facts("") {
            // A URL that is signed for GET refuses HEAD.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                objects.facts_of_first("").ok_or(error)?
            }
            other => other?,
        };
        let version = ObjectVersion::of_facts(&facts);
        let file = Self {
            objects,
            location: location.clone(),
            facts,
            version: Arc::new(version),
            _copy: None,
            headers: None,
        };
        match &options.cache {
            Some(cache) if location.is_remote() => file.cached(cache, options),
            _ => Ok(file),
        }
    }

    /// The same, as a cache keeps it.
    fn cached(mut self, cache: &CacheOptions, options: &StoreOptions) -> Result<Self> {
        let headers = Headers::open(&self.location, &self.version, cache, options)?;
        self.headers = headers.map(Arc::new);
        // What tells no version is read where it lies: a copy could be of any.
        if cache.keeps != CacheKeeps::Files || !self.version.is_told() {
            return Ok(self);
        }
        let copied = copy(&self.object()?, &self.version, cache, options)?;
        self.objects = Objects::open(&copied.location, options)?;
        // Nobody writes a copy anew; its time is when it was used last.
        let (etag, modified_ms) = (None, 0);
        self.version = Arc::new(ObjectVersion { etag, modified_ms, ..(*self.version).clone() });
        self._copy = copied.held.map(Arc::new);
        Ok(self)
    }

    fn object(&self) -> Result<Object> {
        let object = self.objects.object("")?;
        let version = Some(Arc::clone(&self.version));
        Ok(Object { shown: self.location.clone(), version, ..object })
    }

    /// Where the object lies.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The length of the object when it was opened.
    pub fn size_bytes(&self) -> u64 {
        self.facts.size_bytes
    }

    /// Size, tag and time of the object when it was opened.
    pub fn facts(&self) -> &ObjectFacts {
        &self.facts
    }

    /// Reads one range, waiting for it.
    ///
    /// # Errors
    /// A range that reaches beyond the end, or a store that fails.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let whole = self.fetch(vec![range]).wait()?;
        Ok(whole.into_iter().next().unwrap_or_default())
    }

    /// Starts to read ranges; the result has their order.
    ///
    /// Ranges that lie close together are read by one request; their bytes share its memory.
    pub fn fetch(&self, ranges: Vec<Range<u64>>) -> Pending<Vec<Bytes>> {
        let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
        if end > self.facts.size_bytes {
            return Pending::failed(out_of_range(&self.location, end, self.facts.size_bytes));
        }
        match self.object() {
            Ok(object) => Pending::start(async move { object.ranges(&ranges).await }),
            Err(error) => Pending::failed(error),
        }
    }

    /// Reads a part of the headers, waiting for it; the next time without a request, where a cache
    /// keeps them.
    ///
    /// # Errors
    /// Those of [`ObjectFile::read`].
    pub fn header(&self, range: Range<u64>) -> Result<Bytes> {
        if let Some(bytes) = self.kept(&range) {
            return Ok(bytes);
        }
        let start = range.start;
        let bytes = self.read(range)?;
        self.keep(start, &bytes);
        Ok(bytes)
    }

    /// The bytes of a range of the headers, if a cache keeps them.
    pub fn kept(&self, range: &Range<u64>) -> Option<Bytes> {
        self.headers.as_ref()?.get(range)
    }

    /// Keeps a part of the headers that was read, if a cache is to keep them.
    pub fn keep(&self, start: u64, bytes: &Bytes) {
        if let Some(headers) = &self.headers {
            headers.add(start, bytes);
        }
    }

    /// Whether a cache had headers of this version when the file was opened.
    pub fn has_kept(&self) -> bool {
        self.headers.as_ref().is_some_and(|headers| headers.is_found())
    }

    /// Writes the headers that were read since into the cache; nothing without one.
    ///
    /// # Errors
    /// A cache that cannot be written.
    pub fn save_kept(&self) -> Result<()> {
        self.headers.as_ref().map_or(Ok(()), |headers| headers.save())
    }
}

impl fmt::Debug for ObjectFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectFile({}, {} bytes)", self.location, self.facts.size_bytes)
    }
}
