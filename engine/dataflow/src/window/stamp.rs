//! The stamp of an element, and the stamps of a batch.

use crate::time::Timestamp;
use crate::window::Window;

/// Which result of a grouping an element belongs to.
///
/// Bounded input with the default trigger gives each group once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum PaneInfo {
    /// No grouping has come before.
    #[default]
    NoFiring,
    /// The first, last and only result of its key and window.
    OnTime,
}

/// Where an element stands: when, in which window, after which grouping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The point in event time.
    pub timestamp: Timestamp,
    /// The window.
    pub window: Window,
    /// The pane.
    pub pane: PaneInfo,
}

impl Stamp {
    /// What elements have that were given nothing.
    pub const EARLIEST: Self =
        Self { timestamp: Timestamp::MIN, window: Window::Global, pane: PaneInfo::NoFiring };

    /// The stamp of a group of this window, where nothing else decides its time.
    pub const fn end_of(window: Window) -> Self {
        Self { timestamp: window.max_timestamp(), window, pane: PaneInfo::OnTime }
    }
}

/// The stamps of the elements of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Times {
    /// All have this one.
    Same(Stamp),
    /// Each has its own, in the order of the elements.
    Each(Vec<Stamp>),
}

impl Times {
    /// The stamp of the element at this place.
    ///
    /// # Panics
    /// If each element has its own and there are fewer.
    #[inline]
    pub fn get(&self, place: usize) -> Stamp {
        match self {
            Self::Same(stamp) => *stamp,
            Self::Each(stamps) => stamps[place],
        }
    }

    /// Forgets the stamps of elements that are gone.
    #[inline]
    pub fn clear(&mut self) {
        if let Self::Each(stamps) = self {
            stamps.clear();
        }
    }

    /// Gives each of `count` elements that have the same stamp a stamp of its own.
    pub fn make_each(&mut self, count: usize) {
        if let Self::Same(same) = self {
            *self = Self::Each(vec![*same; count]);
        }
    }

    /// Adds the stamp of an element that comes after `count` others.
    pub fn push(&mut self, stamp: Stamp, count: usize) {
        match self {
            Self::Same(same) if *same == stamp => return,
            Self::Same(same) if count == 0 => {
                *same = stamp;
                return;
            }
            _ => self.make_each(count),
        }
        if let Self::Each(stamps) = self {
            stamps.push(stamp);
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::Same(Stamp::EARLIEST)
    }
}
