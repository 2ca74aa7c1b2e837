//! One object, opened for reading ranges of it.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use dataflow::error::{ErrorKind, Result};

use crate::failure::out_of_range;
use crate::location::Location;
use crate::objects::{Edge, ObjectFacts, Objects};
use crate::options::StoreOptions;
use crate::pending::Pending;

/// One object of known size; cheap to clone, read by many threads at once.
#[derive(Clone)]
pub struct ObjectFile {
    objects: Objects,
    location: Location,
    facts: ObjectFacts,
}

impl ObjectFile {
    /// Opens the object at `location`; costs one request.
    ///
    /// # Errors
    /// No such object, or a store that fails.
    pub fn open(location: &Location, options: &StoreOptions) -> Result<Self> {
        let objects = Objects::open(location, options)?;
        let facts = match objects.facts("") {
            // A URL that is signed for GET refuses HEAD.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let size_bytes = objects.edge("", Edge::First(1)).wait().ok().flatten();
                let size_bytes = size_bytes.ok_or(error)?.size_bytes;
                ObjectFacts { key: String::new(), size_bytes, etag: None, last_modified_ms: 0 }
            }
            other => other?,
        };
        Ok(Self { objects, location: location.clone(), facts })
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
        self.objects.fetch("", ranges)
    }
}

impl fmt::Debug for ObjectFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectFile({}, {} bytes)", self.location, self.facts.size_bytes)
    }
}
