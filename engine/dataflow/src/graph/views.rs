//! The side inputs that are loaded, for all bundles of a run.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dofn::SideInputs;
use crate::error::Result;
use crate::memory::Reservation;
use crate::view::ViewId;

/// A side input whose type the graph has forgotten, and what it takes.
pub struct LoadedView {
    value: Arc<dyn Any + Send + Sync>,
    /// Given back when the view is released.
    _held: Option<Reservation>,
}

impl LoadedView {
    /// A value that is held under this reservation.
    pub fn new(value: Arc<dyn Any + Send + Sync>, held: Option<Reservation>) -> Self {
        Self { value, _held: held }
    }
}

impl std::fmt::Debug for LoadedView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedView").field("held", &self._held).finish_non_exhaustive()
    }
}

/// The side inputs that are loaded. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Views(Arc<Mutex<BTreeMap<ViewId, LoadedView>>>);

impl Views {
    /// Loads a view unless it is there; bundles look up others meanwhile.
    ///
    /// # Errors
    /// What `load` returns.
    pub fn load(&self, id: ViewId, load: impl FnOnce() -> Result<LoadedView>) -> Result<()> {
        if self.lock().contains_key(&id) {
            return Ok(());
        }
        let view = load()?;
        self.lock().insert(id, view);
        Ok(())
    }

    /// Forgets a view; its memory is free once the last bundle that uses it has ended.
    pub fn release(&self, id: ViewId) {
        self.lock().remove(&id);
    }

    pub(super) fn select(&self, ids: &[ViewId]) -> SideInputs {
        let loaded = self.lock();
        let found = ids.iter().filter_map(|id| Some((*id, Arc::clone(&loaded.get(id)?.value))));
        SideInputs(found.collect())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ViewId, LoadedView>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
