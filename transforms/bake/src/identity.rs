//! Which plans write the same store, so that one run can go on with what another has written.

use dataflow::error::{Error, Result};

use crate::open::SourceVersion;
use crate::plan::{BakePlan, SourceFile};

impl BakePlan {
    /// Whether another plan writes the same objects: all is the same but how arrays are copied,
    /// which depends on memory and threads and changes nothing that is written, and when sources
    /// were scanned.
    ///
    /// # Errors
    /// A plan that has no JSON: a bug of ours.
    pub fn same_store_as(&self, other: &Self) -> Result<bool> {
        Ok(self.identity()? == other.identity()?)
    }

    /// Whether another plan writes the same store, but for sources that were changed since.
    ///
    /// # Errors
    /// A plan that has no JSON: a bug of ours.
    pub fn same_but_for_sources(&self, other: &Self) -> Result<bool> {
        let unversioned = |plan: &Self| {
            let mut plan = plan.clone();
            let below = plan.groups.iter_mut().flat_map(|group| &mut group.plan.files);
            for file in plan.files.iter_mut().chain(below) {
                file.version = SourceVersion::default();
            }
            plan.identity()
        };
        Ok(unversioned(self)? == unversioned(other)?)
    }

    /// The files that may not be what they were for another plan of the same files: versions tell,
    /// and of a source of many objects none does.
    pub fn changed_since<'a>(&'a self, earlier: &'a Self) -> impl Iterator<Item = &'a str> {
        let files = |plan: &'a Self| plan.tree().flat_map(|(_, plan)| &plan.files);
        let is_changed = |(now, then): &(&SourceFile, &SourceFile)| {
            !now.version.is_same(&then.version) || now.version.looked_at_ms != 0
        };
        let pairs = files(self).zip(files(earlier)).filter(is_changed);
        pairs.map(|(now, _)| now.location.as_str())
    }

    /// Takes over when another plan of the same store has looked at the sources: what that one has
    /// written is of these, and so is the rest.
    pub fn look_as(&mut self, earlier: &Self) {
        let files = |plan: &Self| -> Vec<i64> {
            let all = plan.tree().flat_map(|(_, plan)| &plan.files);
            all.map(|file| file.version.looked_at_ms).collect()
        };
        let below = self.groups.iter_mut().flat_map(|group| &mut group.plan.files);
        for (file, looked_at_ms) in self.files.iter_mut().chain(below).zip(files(earlier)) {
            file.version.looked_at_ms = looked_at_ms;
        }
    }

    /// The plan as JSON, without the copies.
    fn identity(&self) -> Result<serde_json::Value> {
        let json = serde_json::to_value(self);
        let mut json =
            json.map_err(|why| Error::internal(format!("the plan has no JSON: {why}")))?;
        without_circumstances(&mut json);
        let groups = json.get_mut("groups").and_then(serde_json::Value::as_array_mut);
        for plan in groups.into_iter().flatten().filter_map(|group| group.get_mut("plan")) {
            without_circumstances(plan);
        }
        Ok(json)
    }
}

/// Leaves what decides on the objects: neither how arrays are copied, nor when a source was scanned.
fn without_circumstances(plan: &mut serde_json::Value) {
    let mut each =
        |list: &str, change: &dyn Fn(&mut serde_json::Map<String, serde_json::Value>)| {
            let items = plan.get_mut(list).and_then(serde_json::Value::as_array_mut);
            items
                .into_iter()
                .flatten()
                .filter_map(serde_json::Value::as_object_mut)
                .for_each(change);
        };
    each("variables", &|variable| drop(variable.remove("copy")));
    each("files", &|file| {
        if let Some(version) = file.get_mut("version").and_then(|it| it.as_object_mut()) {
            version.remove("looked_at_ms");
        }
    });
}
