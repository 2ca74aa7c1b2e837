//! The side inputs that are loaded, for all bundles of a run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dofn::SideInputs;
use crate::error::Result;
use crate::graph::Side;
use crate::memory::Reservation;
use crate::view::{AnyValue, SideInput, SideValue, ViewId, WindowedValues};
use crate::window::{Window, Windowing};

/// What DoFns see of a view in one window, and what it takes.
pub struct LoadedView {
    value: AnyValue,
    held: Option<Reservation>,
}

impl LoadedView {
    /// A value that is held under this reservation.
    pub fn new(value: AnyValue, held: Option<Reservation>) -> Self {
        Self { value, held }
    }
}

impl std::fmt::Debug for LoadedView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedView").field("held", &self.held).finish_non_exhaustive()
    }
}

/// A side input that is loaded.
#[derive(Debug)]
pub enum ViewLoad {
    /// One value for all windows.
    Whole(LoadedView),
    /// One value for each window of these, and what a window without elements gives.
    ByWindow(Windowing, BTreeMap<Window, LoadedView>, Result<LoadedView>),
}

struct Loaded {
    value: SideValue,
    /// Given back when the view is released.
    _held: Vec<Reservation>,
}

impl From<ViewLoad> for Loaded {
    fn from(load: ViewLoad) -> Self {
        let mut held = Vec::new();
        let mut take = |view: LoadedView| {
            held.extend(view.held);
            view.value
        };
        let value = match load {
            ViewLoad::Whole(view) => SideValue::Whole(take(view)),
            ViewLoad::ByWindow(windowing, views, nothing) => {
                let values = views.into_iter().map(|(window, view)| (window, take(view)));
                let values = values.collect();
                let nothing = nothing.map(take);
                SideValue::ByWindow(Arc::new(WindowedValues { windowing, values, nothing }))
            }
        };
        Self { value, _held: held }
    }
}

/// The side inputs that are loaded. Clones share them.
#[derive(Clone, Default)]
pub struct Views(Arc<Mutex<BTreeMap<ViewId, Loaded>>>);

impl Views {
    /// Loads a view unless it is there; bundles look up others meanwhile.
    ///
    /// # Errors
    /// What `load` returns.
    pub fn load(&self, id: ViewId, load: impl FnOnce() -> Result<ViewLoad>) -> Result<()> {
        if self.lock().contains_key(&id) {
            return Ok(());
        }
        let view = load()?;
        self.lock().insert(id, view.into());
        Ok(())
    }

    /// Forgets a view; its memory is free once the last bundle that uses it has ended.
    pub fn release(&self, id: ViewId) {
        self.lock().remove(&id);
    }

    pub(super) fn select(&self, sides: &[Side]) -> SideInputs {
        let loaded = self.lock();
        let found = sides.iter().filter_map(|side| {
            let (id, mapping) = (side.view, side.mapping.clone());
            Some(SideInput { id, value: loaded.get(&id)?.value.clone(), mapping })
        });
        SideInputs(found.collect())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ViewId, Loaded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Views {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.lock().keys()).finish()
    }
}
