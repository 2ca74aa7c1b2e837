//! What travels between parts of transforms that a foreign runner puts together.

use std::fmt;
use std::sync::Arc;

use crate::coder::{Coder, CoderKind};
use crate::element::Element;
use crate::graph::{AnyElements, Collection, ElementsOf};

/// What can be done with the elements between two parts, and their coder.
#[derive(Clone)]
pub struct Shape {
    /// What can be done with them.
    pub elements: Arc<dyn AnyElements>,
    /// The coder.
    pub coder: CoderKind,
}

impl Shape {
    /// The shape of elements of type `T`.
    pub fn of<T: Element>() -> Self {
        Self { elements: Arc::new(ElementsOf::<T>::new()), coder: T::coder().kind() }
    }
}

impl From<&Collection> for Shape {
    fn from(collection: &Collection) -> Self {
        Self { elements: Arc::clone(&collection.elements), coder: collection.coder.clone() }
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shape({})", self.coder)
    }
}
