//! The transform that writes files of any format.

use dataflow::Element;
use dataflow::prelude::{Create, PCollection, PTransform};
use objects::StoreOptions;
use serde::{Deserialize, Serialize};

use super::dynamic::WriteDynamic;
use super::shards::{Addressed, Addressing, Target, write_shards};
use super::{FileSink, Manifest};

/// Shards unless something else is asked for.
const DEFAULT_SHARD_COUNT: u32 = 8;

/// Writes a collection as shards `prefix-00003-of-00010.suffix` and a manifest beside them.
///
/// See [`crate::write`] for what is promised. An element's shard follows from its encoding, and so
/// does its place within: a shard has the order of encodings, for strings that of their bytes.
/// Equal elements are in one shard.
///
/// Windows are left: an element that is in several is written once for each.
///
/// What is at the destination already is an error, unless [`WriteFiles::with_overwrite`] is asked
/// for. Memory: some 90 MiB a thread, and what the format needs; a longer shard is sorted on disk.
#[derive(Debug, Clone)]
pub struct WriteFiles<S> {
    pub(crate) sink: S,
    pub(crate) target: Target,
}

impl<S: FileSink> WriteFiles<S> {
    /// Writes files of this format; `prefix` is a path or URL and how names begin: `out/part`.
    ///
    /// In a [`WriteDynamic`] the prefix is the folder that destinations lie in.
    pub fn of(sink: S, prefix: impl Into<String>) -> Self {
        let target = Target {
            prefix: prefix.into(),
            suffix: None,
            shard_count: DEFAULT_SHARD_COUNT,
            is_overwriting: false,
            store: StoreOptions::default(),
            addressing: Addressing::Fixed,
        };
        Self { sink, target }
    }

    /// Sets the number of shards; 0 leaves it to us, which is 8.
    ///
    /// All shards are written, also empty ones. The number does not depend on the machine: it is
    /// part of what is written.
    #[must_use]
    pub fn with_num_shards(mut self, count: u32) -> Self {
        self.target.shard_count = if count == 0 { DEFAULT_SHARD_COUNT } else { count };
        self
    }

    /// Sets how names end, in place of what the format and its compression suggest.
    #[must_use]
    pub fn with_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.target.suffix = Some(suffix.into());
        self
    }

    /// Replaces what is at the destination: readers of the manifest see the old files, none, or the
    /// new ones.
    ///
    /// Deleted are the manifest, the shards that it lists, and all shards of this prefix and
    /// suffix, before the first new one is written. What a run deletes that then fails is gone.
    #[must_use]
    pub fn with_overwrite(mut self) -> Self {
        self.target.is_overwriting = true;
        self
    }

    /// Says how the store is reached.
    #[must_use]
    pub fn with_store_options(mut self, store: StoreOptions) -> Self {
        self.target.store = store;
        self
    }

    /// Changes the format.
    pub(crate) fn map(mut self, change: impl FnOnce(&mut S)) -> Self {
        change(&mut self.sink);
        self
    }

    /// Writes every element to the destination that `destination` names for it, below the prefix.
    #[must_use]
    pub fn by<F>(self, destination: F) -> WriteDynamic<S, F>
    where
        F: Fn(&S::In) -> String + Clone + Send + Sync + 'static,
    {
        WriteDynamic::of(self, destination)
    }
}

impl<S: FileSink> PTransform<PCollection<S::In>> for WriteFiles<S> {
    type Output = PCollection<WrittenFiles>;

    fn name(&self) -> String {
        self.sink.name().to_owned()
    }

    fn expand(self, input: PCollection<S::In>) -> Self::Output {
        // There is one destination, also of no elements.
        let destinations = input.pipeline().apply_named("Destination", Create::of([String::new()]));
        let address = |element: S::In| Addressed { key: String::new(), element };
        let records = input.apply_named("Assign", self.target.assign(address));
        write_shards(self.sink, self.target, &destinations, &records)
    }
}

/// A destination whose shards are all written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
#[non_exhaustive]
pub struct WrittenFiles {
    /// What the shards' names begin with, folder included.
    pub destination: String,
    /// The shards.
    pub manifest: Manifest,
}

impl WrittenFiles {
    pub(crate) fn new(destination: String, manifest: Manifest) -> Self {
        Self { destination, manifest }
    }
}
