//! Counts the elements of a collection on their way.

use crate::element::Element;
use crate::error::Result;
use crate::graph::{CollectionId, Env};
use crate::receiver::{Batch, Receiver};

/// Counts what passes, batch by batch, and tells when the bundle ends.
pub(super) struct Counted<T> {
    next: Box<dyn Receiver<T>>,
    of: CollectionId,
    count: u64,
    env: Env,
}

impl<T: Element> Counted<T> {
    pub(super) fn new(next: Box<dyn Receiver<T>>, of: CollectionId, env: &Env) -> Self {
        Self { next, of, count: 0, env: env.clone() }
    }
}

impl<T: Element> Receiver<T> for Counted<T> {
    fn push(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.count += batch.values.len() as u64;
        self.next.push(batch)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.env.add_elements(self.of, self.count);
        self.next.finish()
    }
}
