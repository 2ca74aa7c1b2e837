//! Payloads in the run store: bytes that go around the shuffle.

use std::ops::Range;

use bytes::Bytes;
use dataflow::blob::{BlobStore, FetchedBlobs};
use dataflow::error::Result;
use objects::Pending;

use crate::store::{RunStore, keys};

/// Blobs as objects of the run. Every attempt writes the same bytes under one key.
#[derive(Debug)]
pub(crate) struct StorePayloads(RunStore);

impl StorePayloads {
    pub(crate) fn new(store: &RunStore) -> Self {
        Self(store.clone())
    }
}

impl BlobStore for StorePayloads {
    fn put(&self, key: &str, parts: &[Bytes]) -> Result<()> {
        self.0.put_pieces(&keys::payload(key), parts.to_vec())
    }

    fn fetch(&self, key: &str, ranges: &[Range<u64>]) -> Result<Box<dyn FetchedBlobs>> {
        Ok(Box::new(Fetching(self.0.fetch(&keys::payload(key), ranges.to_vec()))))
    }
}

struct Fetching(Pending<Vec<Bytes>>);

impl FetchedBlobs for Fetching {
    fn wait(self: Box<Self>) -> Result<Vec<Bytes>> {
        self.0.wait()
    }
}
