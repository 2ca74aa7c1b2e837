//! A whole tree of groups, as a job: one file or store, written anew.

use ::bake::{BakePlan, SourceGroup, open_prepared};
use dataflow::error::Result;
use dataflow::runner::JobObserver;
use objects::Location;

use crate::job::bake::Bake;
use crate::job::memory::plan_within;
use crate::job::write::ScannedBake;

impl Bake {
    /// Reads headers and coordinates of all groups, and plans each variable; writes nothing.
    pub(super) fn scan_tree(
        &self,
        source: &Location,
        observer: &dyn JobObserver,
    ) -> Result<ScannedBake> {
        let root = open_prepared(source, 0, &self.options, &self.store)?;
        let readable = match self.keeps_going {
            true => SourceGroup::readable(&root, &self.options),
            false => SourceGroup::all(&root, &self.options).map(|all| (all, Vec::new())),
        };
        let (groups, unreadable) = readable.map_err(|error| error.at("source", source))?;
        let sources = std::slice::from_ref(source);
        let mut scanned = Vec::with_capacity(groups.len());
        for group in groups {
            // Of the one source only parts are left out.
            let own = self.clone().with_keep_going(false).with_options(group.options.clone());
            let schema = own.reduce(sources, &[], None, observer);
            let schema = schema.map_err(|error| match group.path.is_root() {
                true => error,
                false => error.at("group", &group.path),
            })?;
            scanned.push((group, schema));
        }
        let plan = plan_within(self.memory, self.machine(sources)?, |machine| {
            BakePlan::of_tree(scanned.clone(), &self.destination, &self.store, machine)
        })?;
        let plan = self.look_as_before(plan)?;
        let scanned = ScannedBake::new(self.clone(), sources.to_vec(), plan);
        Ok(scanned.with_unreadable(unreadable))
    }
}
