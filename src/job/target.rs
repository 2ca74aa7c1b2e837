//! The store that a run writes: a new one, one that gets longer, or one that stays as long.

use std::collections::BTreeMap;
use std::sync::Arc;

use chunks::PlannedCopy;
use dataflow::error::Result;
use zarr::{ZarrAppend, ZarrSink, ZarrSource};

/// A store that is open for writing.
#[derive(Debug)]
pub(crate) enum Target {
    New(Arc<ZarrSink>),
    Longer(Box<ZarrAppend>),
    /// It is written in place.
    Same(Box<ZarrAppend>),
}

/// A target with the copies into it.
#[derive(Debug)]
pub(crate) struct OpenTarget {
    pub(crate) target: Target,
    pub(crate) copies: Vec<PlannedCopy>,
    /// What is added to the index of a unit of a copy to get that in its array, where that is not
    /// nothing.
    pub(crate) unit_offsets: BTreeMap<String, Vec<u64>>,
}

impl Target {
    /// Writes the metadata; with the last object of them the store is there, or is longer. Those of
    /// a store that is written in place stay as they are.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn finish(&self) -> Result<()> {
        match self {
            Self::New(sink) => sink.finish(),
            Self::Longer(append) => append.finish(),
            Self::Same(store) => store.check_unchanged(),
        }
    }

    /// The store as it will be read once it is finished.
    ///
    /// # Errors
    /// Attributes that are no JSON.
    pub(crate) fn unfinished(&self) -> Result<ZarrSource> {
        match self {
            Self::New(sink) => sink.unfinished(),
            Self::Longer(append) | Self::Same(append) => append.unfinished(),
        }
    }

    /// The key of the object of a unit, by its index in its array.
    ///
    /// # Errors
    /// A variable that is not written.
    pub(crate) fn unit_key(&self, variable: &str, index: &[u64]) -> Result<String> {
        match self {
            Self::New(sink) => sink.unit_key(variable, index),
            Self::Longer(append) | Self::Same(append) => append.unit_key(variable, index),
        }
    }
}
