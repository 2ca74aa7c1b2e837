//! The sources of a bake that can be read, and what they say.

use ::bake::{CombineOp, Schema, open_prepared};
use dataflow::error::{Error, Result};
use dataflow::runner::JobObserver;
use objects::Location;

use crate::job::bake::Bake;

/// What is left of the sources where some cannot be read.
pub(super) struct Readable {
    pub(super) sources: Vec<Location>,
    pub(super) concat: Option<String>,
    pub(super) schema: Schema,
    /// Those that are left out, in their order, and why.
    pub(super) unreadable: Vec<(Location, Error)>,
}

impl Bake {
    /// Scans the sources; those that cannot be read are left out where that is asked for, and the
    /// others are then scanned again, as if they were all. Those of them that are `missing` are not
    /// looked at.
    ///
    /// # Errors
    /// A source that cannot be read and may not be left out; none that can be.
    pub(super) fn read(
        &self,
        mut sources: Vec<Location>,
        missing: &[Location],
        observer: &dyn JobObserver,
    ) -> Result<Readable> {
        let mut unreadable = Vec::new();
        loop {
            let concat = match self.choose_concat(&sources) {
                Err(_) if self.may_leave_out() => {
                    self.choose_concat(&self.first_open(&sources)?)?
                }
                chosen => chosen?,
            };
            let schema = self.reduce(&sources, missing, concat.clone(), observer)?;
            let failed: Vec<(u32, Error)> =
                schema.unreadable().map(|(place, why)| (place, why.clone())).collect();
            if failed.is_empty() {
                unreadable.sort_by_key(|(place, ..): &(u32, _, _)| *place);
                let unreadable = unreadable.into_iter().map(|(_, location, why)| (location, why));
                return Ok(Readable { sources, concat, schema, unreadable: unreadable.collect() });
            }
            if failed.len() == sources.len() {
                let (_, why) = failed.into_iter().next().expect("some have failed");
                return Err(why.context("no source can be read"));
            }
            for (place, why) in failed.into_iter().rev() {
                unreadable.push((place, sources.remove(place as usize), why));
            }
        }
    }

    /// Whether a source may be left out: of a grid none may.
    pub(super) fn may_leave_out(&self) -> bool {
        let is_list = self.options.pattern.as_ref().is_none_or(|pattern| {
            pattern.dims().iter().all(|dim| dim.op() == CombineOp::Concat)
                && pattern.dims().len() < 2
        });
        self.keeps_going && is_list
    }

    /// The first source that can be opened, beside which others stand for their number.
    fn first_open(&self, sources: &[Location]) -> Result<Vec<Location>> {
        let mut first_error = None;
        for (place, source) in sources.iter().enumerate() {
            match open_prepared(source, 0, &self.options, &self.store) {
                Ok(_) => return Ok(sources[place..].to_vec()),
                Err(why) => drop(first_error.get_or_insert(why)),
            }
        }
        Err(first_error.unwrap_or_else(|| Error::internal("there is no source")))
    }
}
