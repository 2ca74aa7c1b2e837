//! File patterns: which files there are, as a formula from keys to URLs.
//!
//! ```text
//!   CombineDim { name, op, keys }   several; concat, merge or expand
//!          │ outer product, the last dimension fastest
//!          ▼
//!        Index  ──── UrlTemplate ────►  URL  ──── secrets ────►  Location
//!          │ FileStarts: once the lengths of files are known
//!          ▼
//!   IndexedPosition                 elements, not files
//! ```
//!
//! Nothing is ever listed: a pattern of a thousand million files is as small as its keys, and its
//! n-th file costs the same as its first. Nothing here opens a file. Modules stand in reading
//! order.

mod keys;

mod dates;

mod dim;

mod index;

mod url_template;

mod secrets;

mod file_pattern;

mod checks;

mod hash_chain;

mod fragments;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

pub use dates::{DateRange, DateStep};
pub use dim::{CombineDim, CombineOp, Selection};
pub use file_pattern::FilePattern;
pub use fragments::{Fragment, GroupKey, combine_fragments, split_fragment};
pub use hash_chain::Resumption;
pub use index::{FileStarts, Index, IndexedPosition, Place, Position};
pub(crate) use keys::invalid;
pub use keys::{Key, Keys};
pub use secrets::QuerySecrets;
pub use url_template::UrlTemplate;
