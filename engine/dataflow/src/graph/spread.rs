//! Elements as bytes among elements of another type: what a foreign runner is given to spread anew,
//! to look up by window, or to hand back as a result.
//!
//! Runners know neither our stamps nor our windows, and some lose the pane of what they move. So an
//! element that must come back as it was travels as bytes: its stamp, then its encoding.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::coder::{Coder, Context};
use crate::element::Element;
use crate::error::Result;
use crate::receiver::{Batch, OutputBuffer, Receiver};
use crate::window::{STAMP_BYTES, Stamp, Window, decode_stamp, encode_stamp};

/// How elements find the key under which they travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spreading {
    /// One after the other, so that every key gets as many.
    InTurns,
    /// By what they are, so that another attempt gives each the same key.
    ByContent,
}

/// Keys of what is spread in turns: far more than there are threads, far fewer than elements.
const TURN_COUNT: u64 = 1024;
/// Keys of what is spread by content.
const SHARD_COUNT: u64 = 16;

/// Makes of every element a pair of a key and its bytes, without a window.
pub(super) struct Spread<T: Element> {
    coder: T::Coder,
    spreading: Spreading,
    turn: Option<u64>,
    out: OutputBuffer<(i64, Bytes)>,
}

impl<T: Element> Spread<T> {
    pub(super) fn new(spreading: Spreading, next: Box<dyn Receiver<(i64, Bytes)>>) -> Self {
        Self { coder: T::coder(), spreading, turn: None, out: OutputBuffer::new(next) }
    }

    fn key(&mut self, bytes: &[u8]) -> i64 {
        let key = match (self.spreading, self.turn) {
            (Spreading::ByContent, _) => xxh3_64(bytes) % SHARD_COUNT,
            (Spreading::InTurns, Some(turn)) => (turn + 1) % TURN_COUNT,
            // Bundles begin at different keys.
            (Spreading::InTurns, None) => xxh3_64(bytes) % TURN_COUNT,
        };
        self.turn = Some(key);
        key as i64
    }
}

impl<T: Element> Receiver<T> for Spread<T> {
    fn push(&mut self, batch: &mut Batch<T>) -> Result<()> {
        for (place, element) in batch.values.drain(..).enumerate() {
            let mut bytes = Vec::new();
            encode_stamp(batch.times.get(place), &mut bytes);
            self.coder.encode(&element, Context::Outer, &mut bytes)?;
            let key = self.key(&bytes);
            self.out.push((key, bytes.into()))?;
        }
        self.out.flush()
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.out.finish()
    }
}

/// Makes elements of the bytes that [`Spread`] has made of them, grouped by key.
pub(super) struct Gather<T: Element> {
    coder: T::Coder,
    out: OutputBuffer<T>,
}

impl<T: Element> Gather<T> {
    pub(super) fn new(next: Box<dyn Receiver<T>>) -> Self {
        Self { coder: T::coder(), out: OutputBuffer::new(next) }
    }
}

impl<T: Element> Receiver<(i64, Vec<Bytes>)> for Gather<T> {
    fn push(&mut self, batch: &mut Batch<(i64, Vec<Bytes>)>) -> Result<()> {
        for bytes in batch.values.drain(..).flat_map(|(_, values)| values) {
            let stamp = decode_stamp(&mut &bytes[..])?;
            // Where head and tail parted is not known any more: all of it is head.
            let element = self.coder.decode_shared(&bytes[STAMP_BYTES..], Bytes::new())?;
            self.out.push_with(element, stamp)?;
        }
        self.out.flush()
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.out.finish()
    }
}

/// Makes of every element a pair of its window and its bytes, without a window.
pub(super) struct KeepWindow<T: Element> {
    coder: T::Coder,
    out: OutputBuffer<(Window, Bytes)>,
}

impl<T: Element> KeepWindow<T> {
    pub(super) fn new(next: Box<dyn Receiver<(Window, Bytes)>>) -> Self {
        let mut out = OutputBuffer::new(next);
        out.set_stamp(Some(Stamp::EARLIEST));
        Self { coder: T::coder(), out }
    }
}

impl<T: Element> Receiver<T> for KeepWindow<T> {
    fn push(&mut self, batch: &mut Batch<T>) -> Result<()> {
        for (place, element) in batch.values.drain(..).enumerate() {
            let mut bytes = Vec::new();
            self.coder.encode(&element, Context::Outer, &mut bytes)?;
            self.out.push((batch.times.get(place).window, bytes.into()))?;
        }
        self.out.flush()
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.out.finish()
    }
}
