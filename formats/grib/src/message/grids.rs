//! The grids of a file, each once, however many messages have it.

use std::collections::BTreeMap;

use array::error::Result;
use bytes::Bytes;

use crate::fault::of_the_file;
use crate::grid::Grid;

/// The grids that were met.
#[derive(Debug, Default)]
pub(super) struct Grids {
    grids: Vec<Grid>,
    by_section: BTreeMap<(u8, Bytes), Result<usize>>,
}

impl Grids {
    /// The place of the grid that a section describes, which is parsed once.
    ///
    /// # Errors
    /// What `parse` fails with.
    pub(super) fn place(
        &mut self,
        edition: u8,
        section: &Bytes,
        parse: impl FnOnce() -> Result<Grid>,
    ) -> Result<usize> {
        if let Some(known) = self.by_section.get(&(edition, section.clone())) {
            return known.clone();
        }
        let place = of_the_file(parse())?.map(|grid| {
            // Both editions may describe one grid.
            self.grids.iter().position(|known| *known == grid).unwrap_or_else(|| {
                self.grids.push(grid);
                self.grids.len() - 1
            })
        });
        // A copy, so that the block that was read is not held by a section of it.
        let key = (edition, Bytes::copy_from_slice(section));
        self.by_section.insert(key, place.clone());
        place
    }

    /// The grid at a place.
    pub(super) fn get(&self, place: usize) -> &Grid {
        &self.grids[place]
    }

    /// All grids, in the order in which they were met.
    pub(super) fn into_all(self) -> Vec<Grid> {
        self.grids
    }
}
