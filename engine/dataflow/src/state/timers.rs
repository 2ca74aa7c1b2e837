//! Timers of one key and window.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::state::TimerFamily;
use crate::time::Timestamp;
use crate::window::Window;

/// A timer that has come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When it was set for.
    pub timestamp: Timestamp,
    family: &'static str,
    /// What tells it from others of its family.
    pub tag: String,
}

impl Timer {
    /// Whether it is of this family.
    pub fn is_of(&self, family: TimerFamily) -> bool {
        self.family == family.name()
    }
}

/// The timers that are set, by time.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<Timer>,
    by_name: BTreeMap<(&'static str, String), Timestamp>,
}

impl Timers {
    /// Sets a timer anew; the last time that is set is the one that counts.
    pub(super) fn set(
        &mut self,
        family: TimerFamily,
        tag: &str,
        timestamp: Timestamp,
        window: Window,
    ) -> Result<()> {
        if timestamp > window.max_timestamp() {
            let message =
                format!("a timer is set for {timestamp}, after the expiration of its window");
            let error = Error::new(ErrorCode::TIME_OUT_OF_BOUNDS, ErrorKind::InvalidInput, message);
            let error = error.at("timer", family.name()).at("window", window);
            return Err(
                error.mend("set it within the window, whose end `on_window_expiration` tells")
            );
        }
        self.clear(family, tag);
        self.by_name.insert((family.name(), tag.to_owned()), timestamp);
        self.by_time.insert(Timer { timestamp, family: family.name(), tag: tag.to_owned() });
        Ok(())
    }

    /// Forgets a timer, if it is set.
    pub(super) fn clear(&mut self, family: TimerFamily, tag: &str) {
        let name = (family.name(), tag.to_owned());
        if let Some(timestamp) = self.by_name.remove(&name) {
            self.by_time.remove(&Timer { timestamp, family: name.0, tag: name.1 });
        }
    }

    /// Takes the first timer that lies before `now`.
    pub(crate) fn take_before(&mut self, now: Timestamp) -> Option<Timer> {
        let first = self.by_time.first().filter(|timer| timer.timestamp < now)?.clone();
        self.by_time.remove(&first);
        self.by_name.remove(&(first.family, first.tag.clone()));
        Some(first)
    }
}
