//! Bakes many files into one Zarr store.
//!
//! ```text
//!   FilePattern, or a list                          formulas from keys to URLs
//!        ▼
//!   locations ── ScanFiles ── CombineSchemas ──► Schema          what all files say, reduced
//!               as steps leave them                │ BakePlan::new  policies, one template, layouts
//!                                                  ▼
//!   WriteStore ◄───────────────────────────────  BakePlan       immutable, printable as JSON
//!      │ every unit once, a commit record for each
//!      ▼
//!   BakePlan::finish                              metadata last: now readers open the store
//! ```
//!
//! Scanning and writing are two jobs. Until the first unit is written everything can be refused;
//! until the metadata are written nothing can be read. Nothing here knows a runner. Modules stand
//! in reading order.

mod options;

mod pattern;

mod prepare;

mod table;

mod open;

mod files;
mod openers;

mod scan;
mod schema;
mod tiling;

mod aligned;
mod check;
mod gaps;

mod filled;
mod grid;
mod identity;
mod order;
mod plan;
mod template;
mod tree;

mod attributes;
mod joined_chunks;
mod recode;
mod source;
mod target_chunks;

mod append;

mod pyramid;

mod references;

mod commit;
mod feeds;
mod filling;
mod write;

mod chunks_to_zarr;

mod validate;

#[cfg(test)]
mod golden;

pub use aligned::AlignedDim;
pub use append::{Append, OpenAppend, StoreRegion, StoredTimes};
pub use attributes::CombineAttributes;
pub use chunks_to_zarr::ChunksToZarr;
pub use commit::{CommitRecord, read_commits, read_filled};
pub use files::OpenFiles;
pub use filled::FilledRun;
pub use filling::{FilledElements, FilledLog};
pub use open::{SourceVersion, open_dataset, open_prepared};
pub use options::{
    AttributePolicy, BakeOptions, BrokenMessagePolicy, DimOrderPolicy, GapPolicy, JoinPolicy,
    MissingFilePolicy, OverlapPolicy, PackingPolicy, PresencePolicy, Reading, StaticPolicy,
    VariableEncoding, VariableEncodings, WrittenAs, ZarrVersion,
};
pub use order::Piece;
pub use pattern::{
    CombineDim, CombineOp, DateRange, DateStep, FilePattern, FileStarts, Fragment, GroupKey, Index,
    IndexedPosition, Key, Keys, Place, Position, QuerySecrets, Resumption, Selection, UrlTemplate,
    combine_fragments, split_fragment,
};
pub use plan::{BakePlan, SourceFile, VariablePlan};
pub use prepare::{Bound, GivenAttribute, Step};
pub use pyramid::{Pyramid, PyramidLevel};
pub use recode::Recode;
pub use references::{References, Referred};
pub use scan::{CombineSchemas, ScanFiles, choose_concat};
pub use schema::{FileSet, Schema};
pub use source::{Assembly, GridAxis};
pub use target_chunks::{NamedDimensions, determine_target_chunks};
pub use tiling::{Lane, Segment};
pub use tree::{GroupPlan, SourceGroup};
pub use validate::{
    Check, CheckLevel, Checks, ValidateChunks, ValidationFinding, ValidationReport, check_metadata,
};
pub use write::{ArrayTotal, WriteStore};
