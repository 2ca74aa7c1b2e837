//! What decides where files differ; the first word of each is the default.

use std::fmt;
use std::str::FromStr;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Defines a policy by the words that users write.
macro_rules! policy {
    (
        $(#[$about:meta])*
        $name:ident for $what:literal {
            $(#[$first_about:meta])* $first:ident = $first_word:literal,
            $($(#[$variant_about:meta])* $variant:ident = $word:literal,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub enum $name {
            $(#[$first_about])*
            #[default]
            #[serde(rename = $first_word)]
            $first,
            $($(#[$variant_about])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The words of this policy, the default first.
            pub const WORDS: &[&str] = &[$first_word $(, $word)*];
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                match text {
                    $first_word => Ok(Self::$first),
                    $($word => Ok(Self::$variant),)*
                    _ => Err(unknown(text, $what, Self::WORDS)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    Self::$first => $first_word,
                    $(Self::$variant => $word,)*
                })
            }
        }
    };
}

policy! {
    /// What is written of the files.
    WrittenAs for "what is written" {
        /// A Zarr store of copies.
        Zarr = "zarr",
        /// References to the chunks of the files, in the forms of kerchunk.
        Kerchunk = "kerchunk",
    }
}

policy! {
    /// What becomes of a variable that some files lack.
    PresencePolicy for "variables that some files lack" {
        /// It is refused.
        Error = "error",
        /// It is baked, with its fill value where a file lacks it; without the concat dimension,
        /// from the first file that has it.
        Union = "union",
        /// It is left out.
        Intersection = "intersection",
    }
}

policy! {
    /// What becomes of a variable that files pack, or type, differently.
    PackingPolicy for "packings that differ" {
        /// Its values are unpacked, as xarray does, into the least type that holds those of all
        /// files.
        Decode = "decode",
        /// Its values are packed anew with one scale and offset for all files, as fine as integers
        /// of the type of the files can; by how much values change is told.
        Repack = "repack",
        /// It is refused.
        Error = "error",
    }
}

policy! {
    /// What becomes of an attribute that files do not have alike.
    AttributePolicy for "attributes that differ" {
        /// It is left out.
        DropConflicts = "drop-conflicts",
        /// What the first file that has it says is taken.
        First = "first",
        /// Of an attribute of the files themselves, what all say is listed; of one of a variable,
        /// it is left out.
        List = "list",
        /// The same is left out, but of what files say of their extent, such as
        /// `time_coverage_start` and `geospatial_lat_max`, the least or the greatest is taken.
        Coverage = "coverage",
        /// It is refused.
        Error = "error",
    }
}

policy! {
    /// What becomes of files that are out of order or overlap along the concat dimension.
    OverlapPolicy for "files that overlap" {
        /// They are refused.
        Error = "error",
        /// Elements are put in order; values of the coordinate that stand twice are refused.
        Sort = "sort",
        /// The same; of elements that stand twice, that of the first file is taken.
        KeepFirst = "keep-first",
        /// The same; of elements that stand twice, that of the last file is taken.
        KeepLast = "keep-last",
    }
}

policy! {
    /// What becomes of variables whose dimensions stand in another order than in the first file.
    DimOrderPolicy for "dimensions in another order" {
        /// They are turned to that order.
        Transpose = "transpose",
        /// They are refused.
        Error = "error",
    }
}

policy! {
    /// What becomes of sources that are not there.
    MissingFilePolicy for "sources that are missing" {
        /// They are refused.
        Error = "error",
        /// They are left out, and named in the store: the attribute `missing_sources`.
        Skip = "skip",
        /// The same, and gaps are filled as [`GapPolicy::Fill`] does; in a grid of files, the elements
        /// of each file that is missing.
        Fill = "fill",
    }
}

policy! {
    /// What becomes of GRIB messages that are damaged.
    BrokenMessagePolicy for "broken messages" {
        /// The first of them is refused.
        Error = "error",
        /// They are left out, and named; what they hold is missing.
        Skip = "skip",
    }
}

policy! {
    /// What becomes of steps that are missing on an otherwise regular concat coordinate.
    GapPolicy for "gaps" {
        /// They are told.
        Report = "report",
        /// They are refused.
        Error = "error",
        /// The coordinate goes on through them, and variables are filled there; the store names
        /// them: the attribute `filled_steps`.
        Fill = "fill",
    }
}

policy! {
    /// What becomes of files of a merge dimension whose elements along a concat dimension differ,
    /// and of files on different grids: whose coordinates along a dimension along which none follows
    /// another differ.
    JoinPolicy for "files whose elements differ" {
        /// They are refused.
        Error = "error",
        /// Elements that all of them have are taken.
        Inner = "inner",
        /// Elements that any of them has are taken; variables of others are filled there.
        Outer = "outer",
    }
}

#[cold]
fn unknown(text: &str, what: &str, words: &[&str]) -> Error {
    let message = format!("there is no policy `{text}` for {what}");
    let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
    error.mend(format!("the policies are: {}", words.join(", ")))
}
