//! Writing into a store that is there, as a job: the files and the store are compared, and what
//! follows, or what is written anew, is planned.

use ::bake::{BakePlan, StoreRegion};
use array::DatasetSource as _;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::runner::JobObserver;
use zarr::ZarrSource;

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
        self.check_into_store("--append", Some(dimension))?;
        self.check_no_levels("--append")?;
        let (sources, missing) = self.expand_sources()?;
        self.check_destination(&sources)?;
        let concat = self.choose_concat(&sources)?;
        let schema = self.reduce(&sources, &[], concat, observer)?;
        let mut plan = plan_within(self.memory, self.machine(&sources)?, |machine| {
            let (places, options) = ((&sources[..], &self.destination), self.options.clone());
            BakePlan::for_append(&schema, dimension, places, options, &self.store, machine)
        })?;
        plan.note_missing(&missing);
        self.checks.check_against(&plan.template)?;
        let plan = self.look_as_before(plan)?;
        Ok(ScannedBake::new(self.clone(), sources, plan))
    }

    /// The same, for elements of the store that are written anew.
    pub(super) fn scan_region(
        &self,
        region: &StoreRegion,
        observer: &dyn JobObserver,
    ) -> Result<ScannedBake> {
        self.check_into_store("--region", region.dimension())?;
        self.check_no_checks()?;
        self.check_no_levels("--region")?;
        let (sources, missing) = self.expand_sources()?;
        self.check_destination(&sources)?;
        let concat = self.choose_concat(&sources)?;
        let Some(dimension) = &concat else {
            let message = "the files have no dimension along which a region could be found";
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            return Err(error.mend("name it: --region DIM=auto"));
        };
        let region = region.clone().along(dimension);
        let schema = self.reduce(&sources, &[], concat, observer)?;
        let mut plan = plan_within(self.memory, self.machine(&sources)?, |machine| {
            let (places, options) = ((&sources[..], &self.destination), self.options.clone());
            BakePlan::for_region(&schema, &region, places, options, &self.store, machine)
        })?;
        plan.note_missing(&missing);
        let plan = self.look_as_before(plan)?;
        Ok(ScannedBake::new(self.clone(), sources, plan))
    }

    /// Refuses checks of what readers see before it can be checked.
    fn check_no_checks(&self) -> Result<()> {
        if self.checks.is_empty() {
            return Ok(());
        }
        let message = "a region is seen while it is written: no check can keep it from readers";
        let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
        let mend = "leave out --validate, and check the store afterwards: levain verify --validate";
        Err(error.at("store", &self.destination).mend(mend))
    }

    /// Refuses a store that is a level of a pyramid, or holds one: the other levels would be of what
    /// was there before.
    fn check_no_levels(&self, flag: &str) -> Result<()> {
        let holders = [Some(self.group.clone()), self.group.parent()];
        for holder in holders.into_iter().flatten() {
            let place = match holder.is_root() {
                true => self.root.clone(),
                false => self.root.join(&holder.to_string()),
            };
            if !ZarrSource::exists(&place, &self.store)? {
                continue;
            }
            let source = ZarrSource::open(&place, &self.store)?;
            if source.dataset().attributes.get("multiscales").is_none() {
                continue;
            }
            let message = format!("the store is a pyramid, and {flag} writes no coarser levels");
            let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
            return Err(error.at("store", place).mend(
                "bake all files anew with --pyramid and --overwrite; or keep a store without levels \
                 to which is written, and bake the pyramid of that",
            ));
        }
        Ok(())
    }

    /// Refuses what cannot be asked for where a store is written to along a dimension.
    fn check_into_store(&self, flag: &str, dimension: Option<&str>) -> Result<()> {
        let concat = self.options.concat.as_deref();
        let other = concat.zip(dimension).filter(|(concat, dimension)| concat != dimension);
        let mistake = match other {
            _ if self.append.is_some() && self.region.is_some() => {
                Some("a store is appended to or written in place, not both".to_owned())
            }
            _ if self.pyramid.is_some() => Some("no pyramid is written into a store".to_owned()),
            _ if self.may_overwrite => {
                Some("a store is overwritten or written to, not both".to_owned())
            }
            Some((concat, dimension)) => Some(format!(
                "files follow each other along `{concat}` and are written along `{dimension}`"
            )),
            None => None,
        };
        if let Some(mistake) = mistake {
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, mistake);
            return Err(error.mend(format!(
                "leave out --overwrite, --concat and --pyramid where {flag} is given"
            )));
        }
        if self.options.pattern.as_ref().is_some_and(|it| it.dims().len() > 1) {
            let message =
                format!("{flag} takes files along one dimension, and the pattern has several");
            let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
            return Err(error.mend("bake the grid anew, or give a list of files"));
        }
        if self.options.fills_gaps() {
            let message = "gaps are filled in a new store, and not where one is written to";
            let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
            return Err(error.mend("say --gaps report or error"));
        }
        Ok(())
    }
}
