//! Reading files by splits, whatever their format.
//!
//! A [`FileFormat`] says how a file is cut into splits and how a split is read; [`ReadFiles`] is
//! the transform of every format. A format of your own needs nothing but that trait.

mod blocks;
mod files;
mod format;

pub(crate) use blocks::BlockReader;
pub use files::{ReadFiles, ReadFrom};
pub use format::{FileFormat, FileSplit};
