//! Options that every runner understands. None of them is part of a plan's identity.

use std::num::NonZeroUsize;
use std::path::PathBuf;

/// How a run divides its work and bounds its memory.
///
/// Whatever is chosen, the results are the same.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Bytes that may be held at once: shuffles, tables, side inputs and what DoFns declare.
    ///
    /// `None` sets no limit. It bounds what is accounted, not the process: whoever promises a
    /// resident size takes the runtime's own need off first.
    pub memory_bytes: Option<u64>,
    /// Partitions of each shuffle; `None` lets the runner choose.
    pub partition_count: Option<NonZeroUsize>,
    /// The most elements between `start_bundle` and `finish_bundle`; `None` sets no limit.
    pub bundle_elements: Option<NonZeroUsize>,
    /// The folder under which spilled data goes; `None` is the system's folder for such files.
    pub scratch_folder: Option<PathBuf>,
}

impl RunOptions {
    /// Sets the bytes that may be held at once.
    #[must_use]
    pub fn with_memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = Some(bytes);
        self
    }

    /// Sets the number of partitions of each shuffle.
    #[must_use]
    pub fn with_partition_count(mut self, count: NonZeroUsize) -> Self {
        self.partition_count = Some(count);
        self
    }

    /// Sets the most elements of a bundle.
    #[must_use]
    pub fn with_bundle_elements(mut self, count: NonZeroUsize) -> Self {
        self.bundle_elements = Some(count);
        self
    }

    /// Sets the folder under which spilled data goes.
    #[must_use]
    pub fn with_scratch_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.scratch_folder = Some(folder.into());
        self
    }
}
