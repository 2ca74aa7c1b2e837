//! How payloads of a job travel from one worker to another.

use dataflow::options::RunOptions;

/// The most bytes of an element that has its payload with it.
///
/// A runner hands an element to a worker in one message, and no runner takes messages of 2 GiB; 64 MiB
/// are left for what stands around the element.
const ELEMENT_LIMIT_BYTES: u64 = (2 << 30) - (64 << 20);

/// How payloads travel: large bytes that one transform makes, and a later one needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PayloadWay {
    /// Through a store that all workers reach; the shuffle of the runner carries where they lie.
    #[default]
    Store,
    /// Through the shuffle of the runner, in elements.
    Shuffle,
}

impl PayloadWay {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Shuffle => "shuffle",
        }
    }

    /// The options of a run, or of a worker of one, whose payloads travel so.
    pub fn applied(self, options: &RunOptions) -> RunOptions {
        match self {
            Self::Store => options.clone(),
            Self::Shuffle => options.clone().with_payloads_in_elements(ELEMENT_LIMIT_BYTES),
        }
    }
}
