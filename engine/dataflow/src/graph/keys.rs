//! How the keys of a grouping become bytes: key, then window, then time, as far as each is needed.
//!
//! ```text
//! global windows                [key]
//! windows                       [key, self-delimiting][window]
//! windows, values by time       [key, self-delimiting][window][time]
//! ```
//!
//! What follows the key makes the records of a key ascend by window, so that windows merge as they
//! are read, and by time where that was asked for. It is no part of what finds the partition where
//! groups may reach over it.

use crate::coder::{Coder, Context, decode_all, malformed};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::Collection;
use crate::shuffle::EdgeOrder;
use crate::time::Timestamp;
use crate::window::{
    Stamp, Stamps, TIME_BYTES, TimestampCombiner, WINDOW_BYTES, Window, Windowing, decode_window,
    encode_time, encode_window,
};

/// How the records of one grouping are keyed, and what their groups are.
#[derive(Debug, Clone)]
pub struct KeyLayout {
    windowing: Windowing,
    stamps: Stamps,
    window_bytes: usize,
    time_bytes: usize,
    carries_times: bool,
}

impl KeyLayout {
    /// The layout of a grouping of `input`, whose values come by time if `is_by_time`.
    pub fn new(input: &Collection, is_by_time: bool) -> Self {
        let (windowing, stamps) = (input.windowing.clone(), input.stamps);
        let window_bytes = if windowing.is_global() { 0 } else { WINDOW_BYTES };
        let time_bytes = if is_by_time { TIME_BYTES } else { 0 };
        let ends_windows = windowing.timestamp_combiner == TimestampCombiner::EndOfWindow;
        let carries_times = stamps == Stamps::Each && !ends_windows;
        Self { windowing, stamps, window_bytes, time_bytes, carries_times }
    }

    /// How the shuffle orders such records.
    pub fn order(&self) -> EdgeOrder {
        let merged = if self.windowing.merges { WINDOW_BYTES } else { 0 };
        match merged + self.time_bytes {
            0 => EdgeOrder::ByKey,
            tail_bytes => EdgeOrder::ByKeyHead { tail_bytes },
        }
    }

    /// Whether records with different keys may be of one group.
    pub(super) fn reaches_over_keys(&self) -> bool {
        self.order() != EdgeOrder::ByKey
    }

    /// Whether every value is preceded by its time, as the times of groups need.
    pub fn carries_times(&self) -> bool {
        self.carries_times
    }

    /// The context in which keys are encoded.
    fn context(&self) -> Context {
        if self.tail_bytes() == 0 { Context::Outer } else { Context::Nested }
    }

    /// Bytes that follow the key.
    pub(super) fn tail_bytes(&self) -> usize {
        self.window_bytes + self.time_bytes
    }

    /// Those of them that are the time.
    pub(super) fn time_bytes(&self) -> usize {
        self.time_bytes
    }

    /// Appends the key of an element with this stamp.
    pub(super) fn encode<K, C: Coder<K>>(
        &self,
        coder: &C,
        key: &K,
        stamp: Stamp,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        coder.encode(key, self.context(), out)?;
        if self.window_bytes > 0 {
            encode_window(stamp.window, out);
        }
        if self.time_bytes > 0 {
            encode_time(stamp.timestamp, out);
        }
        Ok(())
    }

    /// The key of a record, and its window.
    pub(super) fn decode<K, C: Coder<K>>(&self, coder: &C, record: &[u8]) -> Result<(K, Window)> {
        let (key, window) = self.split(record)?;
        if self.context() == Context::Outer {
            return Ok((decode_all(coder, key)?, window));
        }
        let mut rest = key;
        let decoded = coder.decode(Context::Nested, &mut rest)?;
        match rest.len() {
            0 => Ok((decoded, window)),
            left => Err(malformed(coder.kind(), &format!("{left} bytes follow the key"))),
        }
    }

    /// The bytes of the key alone, and the window behind it.
    pub(super) fn split<'a>(&self, record: &'a [u8]) -> Result<(&'a [u8], Window)> {
        let cut = record.len().checked_sub(self.tail_bytes());
        let cut = cut.ok_or_else(|| malformed("key", "it is shorter than what follows it"))?;
        let (key, mut tail) = record.split_at(cut);
        let window =
            if self.window_bytes == 0 { Window::Global } else { decode_window(&mut tail)? };
        Ok((key, window))
    }

    /// The window that two windows of one key become, ascending.
    pub(super) fn merge(&self, current: Window, next: Window) -> Option<Window> {
        if current == next {
            return Some(current);
        }
        self.windowing.merges.then(|| self.windowing.window_fn.merge(current, next)).flatten()
    }

    /// The time of a group so far and of one more value, as one.
    pub(super) fn combine_times(&self, known: Option<Timestamp>, next: Timestamp) -> Timestamp {
        let Some(known) = known else { return next };
        match self.windowing.timestamp_combiner {
            TimestampCombiner::Latest => known.max(next),
            TimestampCombiner::Earliest | TimestampCombiner::EndOfWindow => known.min(next),
        }
    }

    /// The stamp of a group of this window; `time` is that of its values where they carry it.
    pub(super) fn stamp(&self, window: Window, time: Option<Timestamp>) -> Stamp {
        let end = Stamp::end_of(window);
        match (self.windowing.timestamp_combiner, time, self.stamps) {
            (TimestampCombiner::EndOfWindow, ..) => end,
            (_, Some(timestamp), _) => Stamp { timestamp, ..end },
            (_, None, Stamps::Same(same)) => Stamp { timestamp: same.timestamp, ..end },
            (_, None, Stamps::Each) => end,
        }
    }
}

/// What is wrong with keys of type `K`, if equal ones may have different bytes.
pub(crate) fn key_mistake<K: Element>(cannot_be: &str) -> Option<Error> {
    let coder = K::coder();
    if coder.is_deterministic() {
        return None;
    }
    let message = format!("keys of coder {} cannot be {cannot_be}", coder.kind());
    let error = Error::new(ErrorCode::KEY_NOT_DETERMINISTIC, ErrorKind::InvalidInput, message);
    Some(error.mend(
        "equal keys must have equal bytes: use integers, strings, or a type of such fields; \
         round floats to integers first",
    ))
}
