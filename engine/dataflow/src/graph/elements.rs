//! What can be done with the elements of a collection without knowing their type.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;

use crate::coder::Coder as _;
use crate::element::Element;
use crate::error::Result;
use crate::graph::checked::Checked;
use crate::graph::counted::Counted;
use crate::graph::feed::Feed;
use crate::graph::spread::{Gather, KeepWindow, Spread};
use crate::graph::{CollectionId, Env, NodeId, Spreading};
use crate::receiver::{AnyReceiver, Batch, Discard, Joint, Receiver, Tee};
use crate::shuffle::{Record, RecordSink, Records};
use crate::window::{Stamp, Stamps, decode_stamp, encode_stamp, encode_window};

/// What can be done with the elements of a collection.
pub trait AnyElements: Send + Sync + fmt::Debug {
    /// One receiver that gives every element to all of `next`.
    fn tee(&self, next: Vec<AnyReceiver>) -> AnyReceiver;

    /// So many ways into one receiver.
    fn ways_into(&self, next: AnyReceiver, count: usize) -> Vec<AnyReceiver>;

    /// A receiver that counts the elements of a collection on their way to `next`.
    fn counted(&self, next: AnyReceiver, of: CollectionId, env: &Env) -> AnyReceiver;

    /// A receiver that sends every element through its coder on its way to `next`, and fails where
    /// the coder, or one of `readers`, does what it must not.
    fn checked(&self, next: AnyReceiver, readers: Vec<NodeId>, env: &Env) -> AnyReceiver;

    /// A receiver that encodes every element into a sink without keys, with its stamp where each
    /// has its own.
    fn write(&self, sink: Box<dyn RecordSink>, stamps: Stamps, env: &Env) -> AnyReceiver;

    /// A receiver that encodes every element into a sink, keyed by its window.
    fn write_by_window(&self, sink: Box<dyn RecordSink>, env: &Env) -> AnyReceiver;

    /// A receiver that makes of every element a pair `(i64, Bytes)` that foreign runners can move:
    /// a key, and stamp and encoding.
    fn spread(&self, spreading: Spreading, next: AnyReceiver) -> AnyReceiver;

    /// A receiver of what was spread and grouped, `(i64, Vec<Bytes>)`.
    fn gather(&self, next: AnyReceiver) -> AnyReceiver;

    /// A receiver that makes of every element a pair `(Window, Bytes)` without a window.
    fn keep_window(&self, next: AnyReceiver) -> AnyReceiver;

    /// Decodes records and pushes them into `next`, at most `limit` of them; whether more may come.
    ///
    /// # Errors
    /// Records that do not decode, or whatever fails downstream.
    fn read(
        &self,
        records: &mut dyn Records,
        stamps: Stamps,
        limit: usize,
        next: AnyReceiver,
        env: &Env,
    ) -> Result<bool>;

    /// Pushes the one element of an impulse, for collections of bytes.
    ///
    /// # Errors
    /// Whatever fails downstream.
    fn push_impulse(&self, next: AnyReceiver, env: &Env) -> Result<()>;
}

/// [`AnyElements`] of elements of type `T`.
pub struct ElementsOf<T>(PhantomData<fn() -> T>);

impl<T> ElementsOf<T> {
    /// The operations on elements of this type.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for ElementsOf<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for ElementsOf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ElementsOf")
    }
}

impl<T: Element> AnyElements for ElementsOf<T> {
    fn tee(&self, mut next: Vec<AnyReceiver>) -> AnyReceiver {
        match (next.len(), next.pop()) {
            (1, Some(only)) => only,
            (_, Some(last)) => {
                next.push(last);
                AnyReceiver::new::<T>(Tee(next.into_iter().map(AnyReceiver::typed).collect()))
            }
            (_, None) => AnyReceiver::new::<T>(Discard),
        }
    }

    fn ways_into(&self, next: AnyReceiver, count: usize) -> Vec<AnyReceiver> {
        Joint::ways_into(next.typed::<T>(), count).into_iter().map(AnyReceiver::new).collect()
    }

    fn counted(&self, next: AnyReceiver, of: CollectionId, env: &Env) -> AnyReceiver {
        AnyReceiver::new::<T>(Counted::new(next.typed::<T>(), of, env))
    }

    fn checked(&self, next: AnyReceiver, readers: Vec<NodeId>, env: &Env) -> AnyReceiver {
        AnyReceiver::new::<T>(Checked::new(next.typed::<T>(), readers, env))
    }

    fn write(&self, sink: Box<dyn RecordSink>, stamps: Stamps, env: &Env) -> AnyReceiver {
        let prefix = if stamps == Stamps::Each { Prefix::Stamp } else { Prefix::Nothing };
        AnyReceiver::new::<T>(WriteElements::<T>::new(sink, prefix, env))
    }

    fn write_by_window(&self, sink: Box<dyn RecordSink>, env: &Env) -> AnyReceiver {
        AnyReceiver::new::<T>(WriteElements::<T>::new(sink, Prefix::WindowAsKey, env))
    }

    fn spread(&self, spreading: Spreading, next: AnyReceiver) -> AnyReceiver {
        AnyReceiver::new::<T>(Spread::<T>::new(spreading, next.typed()))
    }

    fn gather(&self, next: AnyReceiver) -> AnyReceiver {
        AnyReceiver::new::<(i64, Vec<Bytes>)>(Gather::<T>::new(next.typed()))
    }

    fn keep_window(&self, next: AnyReceiver) -> AnyReceiver {
        AnyReceiver::new::<T>(KeepWindow::<T>::new(next.typed()))
    }

    fn read(
        &self,
        records: &mut dyn Records,
        stamps: Stamps,
        limit: usize,
        next: AnyReceiver,
        env: &Env,
    ) -> Result<bool> {
        let mut feed = Feed::new(next.typed::<T>(), env);
        let coder = T::coder();
        for _ in 0..env.skip() {
            records.advance()?;
        }
        for _ in 0..limit.min(env.span_limit()) {
            if !records.advance()? {
                feed.finish()?;
                return Ok(false);
            }
            let Record { mut head, tail, .. } = records.record();
            let stamp = match stamps {
                Stamps::Same(stamp) => stamp,
                Stamps::Each => decode_stamp(&mut head)?,
            };
            feed.push(coder.decode_shared(head, tail.clone())?, stamp)?;
        }
        feed.finish()?;
        Ok(env.reads_all())
    }

    fn push_impulse(&self, next: AnyReceiver, env: &Env) -> Result<()> {
        let mut feed = Feed::new(next.typed::<T>(), env);
        feed.push(T::coder().decode_shared(&[], Bytes::new())?, Stamp::EARLIEST)?;
        feed.finish()
    }
}

/// What is written of the stamp of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Nothing,
    Stamp,
    WindowAsKey,
}

struct WriteElements<T: Element> {
    coder: T::Coder,
    prefix: Prefix,
    key: Vec<u8>,
    head: Vec<u8>,
    sink: Box<dyn RecordSink>,
    env: Env,
}

impl<T: Element> WriteElements<T> {
    fn new(sink: Box<dyn RecordSink>, prefix: Prefix, env: &Env) -> Self {
        let (coder, key, head, env) = (T::coder(), Vec::new(), Vec::new(), env.clone());
        Self { coder, prefix, key, head, sink, env }
    }
}

impl<T: Element> Receiver<T> for WriteElements<T> {
    fn push(&mut self, batch: &mut Batch<T>) -> Result<()> {
        for (place, element) in batch.values.drain(..).enumerate() {
            self.head.clear();
            self.key.clear();
            match self.prefix {
                Prefix::Nothing => {}
                Prefix::Stamp => encode_stamp(batch.times.get(place), &mut self.head),
                Prefix::WindowAsKey => encode_window(batch.times.get(place).window, &mut self.key),
            }
            let tail = self.coder.encode_shared(&element, &mut self.head)?;
            self.sink.put(Record { key: &self.key, head: &self.head, tail: &tail })?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.env.leave_sink(self.sink);
        Ok(())
    }
}
