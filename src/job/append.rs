//! Appending, as a job: the files and the store are compared, and what follows is planned.

use ::bake::BakePlan;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::runner::JobObserver;

use crate::job::bake::Bake;
use crate::job::memory::plan_within;
use crate::job::write::ScannedBake;

impl Bake {
    /// Reads headers and coordinates of files and store, compares them, and plans what follows;
    /// writes nothing.
    pub(super) fn scan_append(
        &self,
        dimension: &str,
        observer: &dyn JobObserver,
    ) -> Result<ScannedBake> {
        let other = self.options.concat.as_deref().filter(|concat| *concat != dimension);
        let mistake = match other {
            _ if self.pyramid.is_some() => "no pyramid can be appended to".to_owned(),
            _ if self.may_overwrite => "a store is overwritten or appended to, not both".to_owned(),
            Some(concat) => {
                format!(
                    "files follow each other along `{concat}` and are appended along `{dimension}`"
                )
            }
            None => String::new(),
        };
        if !mistake.is_empty() {
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, mistake);
            return Err(
                error.mend("leave out --overwrite, --concat and --pyramid where --append is given")
            );
        }
        if self.options.pattern.as_ref().is_some_and(|it| it.dims().len() > 1) {
            let message = "an append takes files along one dimension, and the pattern has several";
            let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
            return Err(error.mend("bake the grid anew, or append a list of files"));
        }
        if self.options.fills_gaps() {
            let message = "gaps are filled in a new store, and not where one is appended to";
            let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
            return Err(error.mend("append with --gaps report or error"));
        }
        let (sources, missing) = self.expand_sources()?;
        self.check_destination(&sources)?;
        let concat = self.choose_concat(&sources)?;
        let schema = self.reduce(&sources, concat, observer)?;
        let mut plan = plan_within(self.memory, self.machine(&sources)?, |machine| {
            let (places, options) = ((&sources[..], &self.destination), self.options.clone());
            BakePlan::for_append(&schema, dimension, places, options, &self.store, machine)
        })?;
        plan.note_missing(&missing);
        let plan = self.look_as_before(plan)?;
        Ok(ScannedBake::new(self.clone(), sources, plan))
    }
}
