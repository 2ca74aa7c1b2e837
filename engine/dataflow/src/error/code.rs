//! The table of error codes: what each means, and the exit code of a process that ends with it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A stable number for one way to fail; its meaning never changes.
///
/// The hundreds are the family: 1 recipe and plan, 2 input data, 3 code of the recipe, 4 store,
/// 5 launcher, 6 configuration and credentials, 7 verification, 9 a bug of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorCode(u16);

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal;)+) => {
        impl ErrorCode {
            $($(#[doc = $doc])+ pub const $name: Self = Self($number);)+

            /// Every code with the first line of its meaning, ascending.
            pub const ALL: &'static [(Self, &'static str)] =
                &[$((Self::$name, concat!($($doc),+))),+];
        }
    };
}

codes! {
    /// The recipe or an argument is not valid.
    INVALID_RECIPE = 100;
    /// Two transforms have one name.
    DUPLICATE_NAME = 101;
    /// The coder of a grouping key is not deterministic.
    KEY_NOT_DETERMINISTIC = 102;
    /// A side input or an output is used that was not declared.
    NOT_DECLARED = 103;
    /// The runner cannot run this plan.
    RUNNER_CANNOT = 104;
    /// The memory that was allowed does not suffice.
    MEMORY_TOO_SMALL = 105;
    /// The destination exists.
    DESTINATION_EXISTS = 106;
    /// A dimension is not known.
    UNKNOWN_DIMENSION = 107;
    /// A variable is not known.
    UNKNOWN_VARIABLE = 108;
    /// A chunk or shard shape is not valid.
    INVALID_CHUNKS = 109;
    /// A pattern matches no file.
    NOTHING_MATCHES = 110;
    /// A result was asked for that the run does not hold.
    NO_RESULT = 111;
    /// A side input does not have the shape that its view needs.
    VIEW_MISMATCH = 112;
    /// A driver and a worker were built from different pipelines.
    FINGERPRINT = 113;
    /// Collections of different windows are put together, or windows do not fit what reads them.
    WINDOWS_DIFFER = 114;
    /// A timestamp lies outside of what is allowed for it.
    TIME_OUT_OF_BOUNDS = 115;

    /// An input cannot be read.
    CANNOT_READ = 201;
    /// An input is damaged or cut short.
    CORRUPT = 202;
    /// An input has a format that is not known.
    UNKNOWN_FORMAT = 203;
    /// An input uses a feature that is not supported.
    UNSUPPORTED_FEATURE = 204;
    /// Inputs have different grids or shapes.
    GRIDS_DIFFER = 205;
    /// Inputs have different calendars or units that cannot be joined.
    TIMES_DIFFER = 206;
    /// Inputs pack their values differently.
    PACKINGS_DIFFER = 207;
    /// A variable is missing in some of the inputs.
    VARIABLE_MISSING = 208;
    /// Inputs overlap, repeat each other or run backwards.
    NOT_ASCENDING = 209;
    /// A variable without the concat dimension is not the same in all inputs.
    STATIC_DIFFERS = 210;
    /// A value cannot be decoded, or cannot be encoded without loss.
    NOT_REPRESENTABLE = 211;
    /// Encoded bytes do not decode to the element type.
    CODER = 212;
    /// Attributes are not the same in all inputs.
    ATTRIBUTES_DIFFER = 213;
    /// A chunk cannot be referred to as it lies in its file.
    NOT_REFERABLE = 214;

    /// A function of the recipe returned an error.
    USER_ERROR = 301;
    /// A function of the recipe panicked.
    USER_PANIC = 302;
    /// An assertion of a test does not hold.
    ASSERTION = 303;

    /// The store failed.
    STORE_FAILED = 401;
    /// The store has no such object.
    STORE_NOT_FOUND = 402;
    /// The store refused access.
    STORE_DENIED = 403;
    /// The store is full.
    STORE_FULL = 404;
    /// The run was stopped.
    CANCELLED = 501;
    /// The launcher refused to start workers.
    LAUNCH_REFUSED = 502;
    /// Workers do not start: there is no capacity, or something is set up wrongly.
    NOT_STARTING = 503;
    /// Workers end again and again without having done their work.
    WORKERS_LOST = 504;
    /// Workers need more memory than the most that may be given to them.
    WORKER_MEMORY = 505;
    /// The run has reached its limit of time or of cost.
    RUN_LIMIT = 506;
    /// Another process is at work on this run.
    LOCKED = 507;
    /// The place where workers run cannot be asked, or does not understand what is asked.
    LAUNCHER_FAILED = 508;
    /// The place where workers run does not allow what is asked.
    LAUNCHER_DENIED = 509;
    /// A job, a queue or a job definition does not exist.
    UNKNOWN_JOB = 510;
    /// A job has failed.
    JOB_FAILED = 511;

    /// A setting is not valid.
    CONFIGURATION = 601;
    /// Credentials are missing or were refused.
    CREDENTIALS = 602;

    /// A chunk that must exist is missing.
    CHUNK_MISSING = 701;
    /// A chunk does not decode, or is not the one that was written.
    CHUNK_CORRUPT = 702;
    /// Metadata is missing or contradicts itself.
    METADATA_BROKEN = 703;
    /// A store is not as the checks of its validation ask.
    VALIDATION_FAILED = 704;

    /// A bug in Levain.
    ENGINE_BUG = 901;
}

impl ErrorCode {
    /// The number of three digits.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The exit code of a process that ends with this error.
    pub const fn exit_code(self) -> u8 {
        match self.0 / 100 {
            _ if self.0 == Self::CANCELLED.0 || self.0 == Self::RUN_LIMIT.0 => 9,
            _ if self.0 == Self::LOCKED.0 => 8,
            1 => 4,
            4 | 5 => 6,
            6 => 5,
            7 => 7,
            9 => 101,
            _ => 1,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_never_repeat() {
        assert!(ErrorCode::ALL.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
