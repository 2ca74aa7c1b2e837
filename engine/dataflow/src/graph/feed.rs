//! Feeds the root of a chain, batch by batch.

use std::time::{Duration, Instant};

use crate::element::Element;
use crate::error::Result;
use crate::graph::Env;
use crate::receiver::{BATCH_BYTES, BATCH_ELEMENTS, Batch, Receiver};
use crate::window::Stamp;

/// A batch that takes longer than this is followed by a smaller one.
///
/// So an element that is hours of work travels alone: it can be retried, named and counted alone.
const SLOW: Duration = Duration::from_millis(5);

/// Gathers elements into batches and pushes them into the first receiver of a chain.
///
/// The size of the batches changes nothing but how fast they run.
pub(super) struct Feed<'a, T> {
    next: Box<dyn Receiver<T>>,
    batch: Batch<T>,
    heap_bytes: usize,
    size: usize,
    env: &'a Env,
}

impl<'a, T: Element> Feed<'a, T> {
    pub(super) fn new(next: Box<dyn Receiver<T>>, env: &'a Env) -> Self {
        env.set_feeding(true);
        Self { next, batch: Batch::default(), heap_bytes: 0, size: 1, env }
    }

    /// Adds an element; it is pushed when the batch is full.
    pub(super) fn push(&mut self, element: T, stamp: Stamp) -> Result<()> {
        self.heap_bytes += element.heap_bytes();
        self.batch.times.push(stamp, self.batch.values.len());
        self.batch.values.push(element);
        if self.batch.values.len() >= self.size || self.heap_bytes >= BATCH_BYTES {
            return self.flush();
        }
        Ok(())
    }

    /// Counts an element of the input that is not pushed.
    pub(super) fn pass_over(&mut self) -> Result<()> {
        self.flush()?;
        self.env.begin_batch(1);
        self.env.end_batch();
        Ok(())
    }

    /// Pushes what is left and ends the chain.
    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.env.set_feeding(false);
        self.next.finish()
    }

    fn flush(&mut self) -> Result<()> {
        self.env.cancel.check()?;
        if self.batch.values.is_empty() {
            return Ok(());
        }
        self.env.begin_batch(self.batch.values.len());
        let began = Instant::now();
        self.next.push(&mut self.batch)?;
        self.batch.times.clear();
        self.env.end_batch();
        self.heap_bytes = 0;
        self.size = if self.env.notes_elements {
            // One by one, they come everywhere in the same order each time.
            1
        } else if began.elapsed() < SLOW {
            (self.size * 2).min(BATCH_ELEMENTS)
        } else {
            (self.size / 2).max(1)
        };
        Ok(())
    }
}
