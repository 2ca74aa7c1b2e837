//! Appends to a store: what is there already is skipped, what follows is written in the store's
//! own encoding, and all else is refused before anything is written.
//!
//! ```text
//!   Schema of the new files ─┐ elements   which elements follow those of the store
//!   the store's coordinate ──┘ variables  how each variable becomes what the store has
//!                                 │ plan   a BakePlan of units from the first partial one on
//!                                 ▼
//!   window: old elements of a partial unit, then new ones ──► units, written whole
//! ```
//!
//! A region of a store is written in the same way: between the old elements, where the coordinate
//! of the store has those of the files.
//!
//! Modules stand in reading order.

mod elements;
mod region;
mod times;
mod variables;

mod plan;
mod window;
mod window_chunks;

pub use plan::{Append, OpenAppend};
pub use region::StoreRegion;
pub use times::StoredTimes;
