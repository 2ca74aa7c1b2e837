//! Which element a step works on: where it stands, what it looks like, and whether it is left out.
//!
//! A bundle that is run again element by element gives every step the same elements in the same
//! order, as long as functions are deterministic. So an element that fails is known by its place,
//! and can be passed over another time.

use std::collections::BTreeMap;

use crate::coder::{Coder, Preview};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind};
use crate::graph::NodeId;

/// Where an element stands among those that a node is given in a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ElementPlace {
    /// The node.
    pub node: NodeId,
    /// Elements of the input before those that have gone through this instance of the chain.
    pub start: u64,
    /// Elements that this instance was given before.
    pub ordinal: u64,
}

/// What an element looks like, shortened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The element.
    pub preview: String,
    /// Its key, where it is a pair or a group.
    pub key: Option<String>,
}

impl Shown {
    /// What `element` looks like.
    pub fn of<T: Element>(coder: &T::Coder, element: &T) -> Self {
        let mut preview = Preview::default();
        coder.preview(element, &mut preview);
        let key = preview.key().map(str::to_owned);
        Self { preview: preview.finish(), key }
    }
}

/// An element that a node works on, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// Where it stands; `None` if it is not it alone that decides.
    pub place: Option<ElementPlace>,
    /// What it looks like; `None` where that was not looked at.
    pub shown: Option<Shown>,
}

/// Elements of a bundle that are passed over, by what they look like.
#[derive(Debug, Clone, Default)]
pub struct LeftOut(BTreeMap<ElementPlace, String>);

impl LeftOut {
    /// Adds an element.
    pub fn insert(&mut self, place: ElementPlace, preview: String) {
        self.0.insert(place, preview);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the element at this place looks like the one that is left out there; `None` where
    /// none is.
    pub(super) fn is_same(
        &self,
        place: ElementPlace,
        shown: impl FnOnce() -> Shown,
    ) -> Option<bool> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&place).map(|preview| *preview == shown().preview)
    }

    /// The error of a bundle that is another one when it runs again.
    pub(super) fn missed() -> Error {
        let message = "an element that failed cannot be left out: when its bundle runs again, \
                       another one stands in its place";
        Error::new(ErrorCode::USER_ERROR, ErrorKind::User, message)
            .mend("make the functions before this step deterministic, or reshuffle after them")
    }
}
