//! Messages: where they lie, and what their headers say.

mod edition1;
mod edition2;
mod grids;
mod product;
mod scan;
mod window;

pub(crate) use scan::{Scanned, scan};
