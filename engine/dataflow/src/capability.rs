//! What of the model a runner offers, and what a plan needs.
//!
//! A plan that needs more than its runner offers is refused before anything runs.

use std::fmt;

use crate::error::{Error, ErrorCode, ErrorKind, Result};

/// A part of the model that a runner offers or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// One element, once, where everything begins.
    Impulse,
    /// A DoFn on every element, with its whole life.
    ParDo,
    /// Several outputs of one ParDo.
    TaggedOutputs,
    /// Collections that are read as a whole.
    SideInputs,
    /// The values of each key together.
    GroupByKey,
    /// One value of those of each key, combined before and after the shuffle.
    Combine,
    /// Several collections as one.
    Flatten,
    /// Elements spread anew, and kept for whoever begins again.
    Reshuffle,
    /// Numbers of all that has committed, each counted once.
    Metrics,
    /// Callbacks once a bundle has committed.
    BundleFinalization,
    /// Timestamps and windows.
    Windows,
    /// State for each key.
    State,
    /// Timers in event time.
    EventTimers,
    /// Input without an end.
    UnboundedInput,
    /// Triggers other than the default one.
    Triggers,
    /// Timers in processing time.
    ProcessingTimers,
    /// DoFns that split the work on one element.
    SplittableDoFn,
}

impl Capability {
    /// All of them, in the order in which tables show them.
    pub const ALL: [Self; 17] = [
        Self::Impulse,
        Self::ParDo,
        Self::TaggedOutputs,
        Self::SideInputs,
        Self::GroupByKey,
        Self::Combine,
        Self::Flatten,
        Self::Reshuffle,
        Self::Metrics,
        Self::BundleFinalization,
        Self::Windows,
        Self::State,
        Self::EventTimers,
        Self::UnboundedInput,
        Self::Triggers,
        Self::ProcessingTimers,
        Self::SplittableDoFn,
    ];

    /// What it is called in errors and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Impulse => "impulse",
            Self::ParDo => "ParDo",
            Self::TaggedOutputs => "tagged outputs",
            Self::SideInputs => "side inputs",
            Self::GroupByKey => "GroupByKey",
            Self::Combine => "combine",
            Self::Flatten => "flatten",
            Self::Reshuffle => "reshuffle",
            Self::Metrics => "metrics",
            Self::BundleFinalization => "bundle finalization",
            Self::Windows => "windows",
            Self::State => "state",
            Self::EventTimers => "event-time timers",
            Self::UnboundedInput => "unbounded input",
            Self::Triggers => "triggers other than the default",
            Self::ProcessingTimers => "processing-time timers",
            Self::SplittableDoFn => "splittable DoFns",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u32);

impl Capabilities {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// What a bundle of this engine can do: the model for bounded input.
    ///
    /// A runner that runs every stage by a [`BundleProcessor`](crate::bundle::BundleProcessor), and
    /// every bundle once it commits no more, offers this.
    pub const BOUNDED: Self = Self::NONE
        .with(Capability::Impulse)
        .with(Capability::ParDo)
        .with(Capability::TaggedOutputs)
        .with(Capability::SideInputs)
        .with(Capability::GroupByKey)
        .with(Capability::Combine)
        .with(Capability::Flatten)
        .with(Capability::Reshuffle)
        .with(Capability::Metrics)
        .with(Capability::BundleFinalization)
        .with(Capability::Windows)
        .with(Capability::State)
        .with(Capability::EventTimers);

    /// These and one more.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | capability.bit())
    }

    /// These without one.
    #[must_use]
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !capability.bit())
    }

    /// Whether one is among these.
    pub const fn offers(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// Refuses what is not among these, in the name of a runner.
    ///
    /// # Errors
    /// E104, which names the runner and the capability.
    pub fn require(self, capability: Capability, runner: &str) -> Result<()> {
        if self.offers(capability) {
            return Ok(());
        }
        let message = format!("the runner `{runner}` does not offer {capability}");
        let error = Error::new(ErrorCode::RUNNER_CANNOT, ErrorKind::Unsupported, message);
        Err(error.mend("build the pipeline without it, or choose a runner that offers it"))
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offered = Capability::ALL.into_iter().filter(|&it| self.offers(it));
        f.debug_set().entries(offered.map(Capability::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_is_a_bit_of_its_own() {
        for capability in Capability::ALL {
            let alone = Capabilities::NONE.with(capability);
            let offered: Vec<_> =
                Capability::ALL.into_iter().filter(|&it| alone.offers(it)).collect();
            assert_eq!(offered, [capability]);
            assert_eq!(alone.without(capability), Capabilities::NONE);
        }
    }

    #[test]
    fn what_is_not_offered_is_refused_by_name() {
        Capabilities::BOUNDED.require(Capability::ParDo, "direct").expect("is offered");
        let error = Capabilities::BOUNDED
            .require(Capability::SplittableDoFn, "direct")
            .expect_err("is not offered");
        assert_eq!(error.message(), "the runner `direct` does not offer splittable DoFns");
    }
}
