//! The chain that elements run through inside of a bundle: one virtual call a batch and step.

mod held;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::memory::MemoryBudget;
use crate::receiver::held::HeldBack;
use crate::shuffle::Scratch;
use crate::window::{Stamp, Times};

/// Elements that travel together, and where they stand in time.
///
/// Each element has a stamp: `times` says which. Whoever has pushed a batch forgets its times.
#[derive(Debug, Clone)]
pub struct Batch<T> {
    /// The elements.
    pub values: Vec<T>,
    /// Their times and windows.
    pub times: Times,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { values: Vec::new(), times: Times::default() }
    }
}

/// What comes next for the elements of a collection.
///
/// What must hold: a pushed batch has no values afterwards; after an error nothing more is pushed.
pub trait Receiver<T>: Send {
    /// Takes all elements of `batch`.
    ///
    /// # Errors
    /// Whatever fails from here on.
    fn push(&mut self, batch: &mut Batch<T>) -> Result<()>;

    /// Ends the bundle: nothing is pushed any more.
    ///
    /// # Errors
    /// Whatever fails from here on.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A receiver whose element type the graph has forgotten.
pub struct AnyReceiver(Box<dyn Any + Send>);

impl AnyReceiver {
    /// Forgets the type of the elements.
    pub fn new<T: Element>(receiver: impl Receiver<T> + 'static) -> Self {
        let receiver: Box<dyn Receiver<T>> = Box::new(receiver);
        Self(Box::new(receiver))
    }

    /// Remembers the type of the elements.
    ///
    /// # Panics
    /// If it is another type: edges are typed when they are built, so this is a bug.
    pub fn typed<T: Element>(self) -> Box<dyn Receiver<T>> {
        let receiver = self.0.downcast::<Box<dyn Receiver<T>>>();
        *receiver.expect("both ends of an edge have the type of its collection")
    }
}

impl fmt::Debug for AnyReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyReceiver")
    }
}

/// Elements on their way to a receiver: handed over when there are many or when they are large.
pub struct OutputBuffer<T> {
    batch: Batch<T>,
    heap_bytes: usize,
    /// The stamp of what is pushed next; that of all that is there, while the batch has only one.
    /// `None` where an element must bring its own.
    stamp: Option<Stamp>,
    /// Where held elements begin; while there are such, nothing is handed over.
    held: Option<Mark>,
    /// Room for held elements that are more than a batch; made when something is held.
    room: Option<Box<HeldBack>>,
    next: Box<dyn Receiver<T>>,
}

/// Elements of a buffer, and the bytes that they own.
#[derive(Debug, Clone, Copy)]
struct Mark {
    count: usize,
    heap_bytes: usize,
}

/// The most elements of a batch.
pub const BATCH_ELEMENTS: usize = 1024;
/// Bytes that the elements of a batch may own before it is handed over.
pub const BATCH_BYTES: usize = 256 << 10;

impl<T: Element> OutputBuffer<T> {
    /// An empty buffer in front of `next`.
    pub fn new(next: Box<dyn Receiver<T>>) -> Self {
        Self {
            batch: Batch::default(),
            heap_bytes: 0,
            stamp: Some(Stamp::EARLIEST),
            held: None,
            room: None,
            next,
        }
    }

    fn is_full(&self) -> bool {
        self.batch.values.len() >= BATCH_ELEMENTS || self.heap_bytes >= BATCH_BYTES
    }

    /// Holds back what is added from now on; what is more than a batch asks the budget for memory,
    /// and is spilled where that is refused.
    pub fn hold(&mut self, budget: &MemoryBudget, scratch: &Scratch) {
        self.room.get_or_insert_with(|| Box::new(HeldBack::new(budget, scratch)));
        self.held = Some(Mark { count: self.batch.values.len(), heap_bytes: self.heap_bytes });
    }

    /// Ends holding back: what was held goes on its way, or is dropped.
    ///
    /// # Errors
    /// Spilled elements that cannot be read, or whatever fails downstream.
    pub fn release(&mut self, is_kept: bool) -> Result<()> {
        let Some(mark) = self.held.take() else { return Ok(()) };
        if is_kept {
            self.push_encoded()?;
        } else {
            self.forget_from(mark);
        }
        if self.is_full() {
            self.flush()?;
        }
        if let Some(room) = &mut self.room {
            self.batch.values.shrink_to(BATCH_ELEMENTS);
            room.clear();
        }
        Ok(())
    }

    /// Pushes the held elements that were encoded.
    fn push_encoded(&mut self) -> Result<()> {
        let encoded = match &mut self.room {
            Some(room) => room.take::<T>()?,
            None => None,
        };
        for element in encoded.into_iter().flatten() {
            let (value, stamp) = element?;
            self.push_with(value, stamp)?;
        }
        Ok(())
    }

    /// Forgets the elements after a mark.
    fn forget_from(&mut self, mark: Mark) {
        self.batch.values.truncate(mark.count);
        if let Times::Each(stamps) = &mut self.batch.times {
            stamps.truncate(mark.count);
        }
        self.heap_bytes = mark.heap_bytes;
    }

    /// Finds room for held elements that are more than a batch.
    fn make_room(&mut self, mark: Mark) -> Result<()> {
        let Some(room) = &mut self.room else { return Ok(()) };
        // The tables grow to twice what they hold.
        let table =
            2 * (self.batch.values.len() - mark.count) * (size_of::<T>() + size_of::<Stamp>());
        if room.is_granted((table + self.heap_bytes - mark.heap_bytes) as u64) {
            return Ok(());
        }
        for (place, value) in self.batch.values.iter().enumerate().skip(mark.count) {
            room.keep(value, self.batch.times.get(place))?;
        }
        self.forget_from(mark);
        Ok(())
    }

    /// Sets the stamp of what is pushed from now on; what is still there keeps its own.
    pub fn set_stamp(&mut self, stamp: Option<Stamp>) {
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        match (self.batch.values.len(), stamp) {
            (0, Some(stamp)) => self.batch.times = Times::Same(stamp),
            (count, _) => self.batch.times.make_each(count),
        }
    }

    /// Adds an element with the stamp that was set.
    ///
    /// # Errors
    /// An element that must bring a stamp of its own, or whatever fails downstream.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<()> {
        if let Times::Each(stamps) = &mut self.batch.times {
            stamps.push(self.stamp.ok_or_else(without_stamp)?);
        }
        self.heap_bytes += value.heap_bytes();
        self.batch.values.push(value);
        if !self.is_full() {
            return Ok(());
        }
        match self.held {
            Some(mark) => self.make_room(mark),
            None => self.flush(),
        }
    }

    /// Adds an element with a stamp of its own.
    ///
    /// # Errors
    /// Whatever fails downstream.
    pub fn push_with(&mut self, value: T, stamp: Stamp) -> Result<()> {
        let usual = self.stamp;
        self.set_stamp(Some(stamp));
        let pushed = self.push(value);
        self.set_stamp(usual);
        pushed
    }

    /// Hands over what is there.
    ///
    /// # Errors
    /// Whatever fails downstream.
    pub fn flush(&mut self) -> Result<()> {
        if self.batch.values.is_empty() {
            return Ok(());
        }
        self.heap_bytes = 0;
        self.next.push(&mut self.batch)?;
        self.batch.times = match self.stamp {
            Some(stamp) => Times::Same(stamp),
            None => Times::Each(Vec::new()),
        };
        Ok(())
    }

    /// Hands over what is there and ends the bundle.
    ///
    /// # Errors
    /// Whatever fails downstream.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.next.finish()
    }
}

fn without_stamp() -> Error {
    let message = "an element without time and window is put out where there is no input element";
    Error::new(ErrorCode::WINDOWS_DIFFER, ErrorKind::InvalidInput, message)
        .mend("in `finish_bundle`, say both with `output_in`")
}

/// An [`OutputBuffer`] of an output whose type is known by its tag.
pub trait AnyBuffer: Send {
    /// The buffer itself.
    fn as_any(&mut self) -> &mut dyn Any;

    /// Sets the stamp of what is pushed from now on.
    fn set_stamp(&mut self, stamp: Option<Stamp>);

    /// Holds back what is added from now on.
    fn hold(&mut self, budget: &MemoryBudget, scratch: &Scratch);

    /// Ends holding back: what was held goes on its way, or is dropped.
    ///
    /// # Errors
    /// Whatever fails downstream.
    fn release(&mut self, is_kept: bool) -> Result<()>;

    /// Hands over what is there.
    ///
    /// # Errors
    /// Whatever fails downstream.
    fn flush(&mut self) -> Result<()>;

    /// Hands over what is there and ends the bundle.
    ///
    /// # Errors
    /// Whatever fails downstream.
    fn finish(self: Box<Self>) -> Result<()>;
}

impl<T: Element> AnyBuffer for OutputBuffer<T> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn set_stamp(&mut self, stamp: Option<Stamp>) {
        Self::set_stamp(self, stamp);
    }

    fn hold(&mut self, budget: &MemoryBudget, scratch: &Scratch) {
        Self::hold(self, budget, scratch);
    }

    fn release(&mut self, is_kept: bool) -> Result<()> {
        Self::release(self, is_kept)
    }

    fn flush(&mut self) -> Result<()> {
        Self::flush(self)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Self::finish(*self)
    }
}

impl<T> fmt::Debug for OutputBuffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputBuffer({} elements)", self.batch.values.len())
    }
}

/// The end of a collection that nothing consumes.
#[derive(Debug)]
pub struct Discard;

impl<T: Element> Receiver<T> for Discard {
    fn push(&mut self, batch: &mut Batch<T>) -> Result<()> {
        batch.values.clear();
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// Gives every element to several receivers.
pub struct Tee<T>(pub Vec<Box<dyn Receiver<T>>>);

impl<T: Element> Receiver<T> for Tee<T> {
    fn push(&mut self, batch: &mut Batch<T>) -> Result<()> {
        if let Some((last, others)) = self.0.split_last_mut() {
            for receiver in others {
                receiver.push(&mut batch.clone())?;
            }
            last.push(batch)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.0.into_iter().try_for_each(Receiver::finish)
    }
}

impl<T> fmt::Debug for Tee<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tee({})", self.0.len())
    }
}

/// One of several ways into the same receiver, which ends when all of them have ended.
pub struct Joint<T>(Arc<Mutex<Box<dyn Receiver<T>>>>);

impl<T: Element> Joint<T> {
    /// So many ways into `receiver`.
    pub fn ways_into(receiver: Box<dyn Receiver<T>>, count: usize) -> Vec<Self> {
        let shared = Arc::new(Mutex::new(receiver));
        (0..count).map(|_| Self(Arc::clone(&shared))).collect()
    }
}

impl<T: Element> Receiver<T> for Joint<T> {
    fn push(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(batch)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        match Arc::into_inner(self.0) {
            Some(receiver) => {
                receiver.into_inner().unwrap_or_else(PoisonError::into_inner).finish()
            }
            None => Ok(()),
        }
    }
}

impl<T> fmt::Debug for Joint<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Joint")
    }
}
