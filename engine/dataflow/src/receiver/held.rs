//! Where elements are held back that are more than a batch: in memory under a reservation, then
//! encoded, and on disk where that is refused too.

use bytes::Bytes;

use crate::coder::{Coder, CoderKind, Context, Preview, put_prefixed, take_prefixed};
use crate::element::Element;
use crate::error::Result;
use crate::memory::{MemoryBudget, Reservation};
use crate::shuffle::{Iterable, RawValuesBuilder, Scratch};
use crate::window::{Stamp, decode_stamp, encode_stamp};

/// Room for what one buffer holds back.
pub(super) struct HeldBack {
    budget: MemoryBudget,
    scratch: Scratch,
    /// For elements that are not encoded yet.
    reservation: Reservation,
    encoded: Option<RawValuesBuilder>,
}

impl HeldBack {
    pub(super) fn new(budget: &MemoryBudget, scratch: &Scratch) -> Self {
        let reservation = budget.hold();
        Self { budget: budget.clone(), scratch: scratch.clone(), reservation, encoded: None }
    }

    /// Whether memory is granted for elements of so many bytes; else they are to be kept encoded.
    pub(super) fn is_granted(&mut self, bytes: u64) -> bool {
        // Growing in steps keeps the budget's lock out of the way of every element.
        bytes <= self.reservation.bytes() || self.reservation.try_resize(bytes + bytes / 2)
    }

    /// Keeps an element encoded.
    pub(super) fn keep<T: Element>(&mut self, element: &T, stamp: Stamp) -> Result<()> {
        let encoded =
            self.encoded.get_or_insert_with(|| RawValuesBuilder::new(&self.budget, &self.scratch));
        let mut head = Vec::new();
        encode_stamp(stamp, &mut head);
        let tail = T::coder().encode_shared(element, &mut head)?;
        encoded.push(&head, &tail)
    }

    /// Takes what is kept encoded, if anything is.
    pub(super) fn take<T: Element>(
        &mut self,
    ) -> Result<Option<impl Iterator<Item = Result<(T, Stamp)>> + use<T>>> {
        let Some(encoded) = self.encoded.take() else { return Ok(None) };
        let (parts, coder) = (Iterable::<Parts>::in_bundle(encoded.finish()?), T::coder());
        Ok(Some(parts.try_iter().map(move |parts| {
            let Parts { head, tail } = parts?;
            let mut head = &head[..];
            let stamp = decode_stamp(&mut head)?;
            Ok((coder.decode_shared(head, tail)?, stamp))
        })))
    }

    /// Forgets what is kept encoded, and gives all memory back.
    pub(super) fn clear(&mut self) {
        self.encoded = None;
        if self.reservation.bytes() > 0 {
            self.reservation.shrink(self.reservation.bytes());
        }
    }
}

/// The two parts of an encoding, of which the second is shared.
#[derive(Debug, Clone)]
struct Parts {
    head: Vec<u8>,
    tail: Bytes,
}

impl Element for Parts {
    type Coder = PartsCoder;

    fn coder() -> PartsCoder {
        PartsCoder
    }
}

#[derive(Debug, Clone, Copy)]
struct PartsCoder;

impl Coder<Parts> for PartsCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque("parts".to_owned())
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn encode(&self, value: &Parts, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |out| {
            out.extend_from_slice(&value.head);
            out.extend_from_slice(&value.tail);
            Ok(())
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Parts> {
        self.decode_shared(take_prefixed(context, input, "parts")?, Bytes::new())
    }

    fn preview(&self, value: &Parts, out: &mut Preview) {
        out.push_bytes(&value.head);
    }

    fn decode_shared(&self, head: &[u8], tail: Bytes) -> Result<Parts> {
        Ok(Parts { head: head.to_vec(), tail })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::receiver::{Batch, OutputBuffer, Receiver};
    use crate::time::Timestamp;

    /// Sums of values and of their times, and how many came.
    type Sums = Arc<Mutex<(u64, i64, u64)>>;

    struct Add(Sums);

    impl Receiver<(u64, Vec<u8>)> for Add {
        fn push(&mut self, batch: &mut Batch<(u64, Vec<u8>)>) -> Result<()> {
            let mut sums = self.0.lock().expect("no receiver panics");
            for (place, (value, payload)) in batch.values.drain(..).enumerate() {
                assert_eq!(payload.len(), 100);
                sums.0 += value;
                sums.1 += batch.times.get(place).timestamp.millis();
                sums.2 += 1;
            }
            Ok(())
        }

        fn finish(self: Box<Self>) -> Result<()> {
            Ok(())
        }
    }

    /// Puts out 10 elements, then holds back so many and keeps or drops them, then puts out 10 more.
    #[track_caller]
    fn check(budget: &MemoryBudget, count: u64, is_kept: bool, spills: Option<bool>) {
        let (sums, scratch) = (Sums::default(), Scratch::default());
        let mut buffer = OutputBuffer::new(Box::new(Add(Arc::clone(&sums))));
        let push = |buffer: &mut OutputBuffer<_>, value: u64| {
            let timestamp = Timestamp::from_millis(2 * value as i64);
            buffer.push_with((value, vec![7; 100]), Stamp { timestamp, ..Stamp::EARLIEST })
        };
        (0..10).try_for_each(|n| push(&mut buffer, n)).expect("there is room");
        buffer.hold(budget, &scratch);
        (10..10 + count).try_for_each(|n| push(&mut buffer, n)).expect("there is room");
        assert!(sums.lock().expect("no receiver panics").2 <= 10, "some were not held back");
        buffer.release(is_kept).expect("there is room");
        (10 + count..20 + count).try_for_each(|n| push(&mut buffer, n)).expect("there is room");
        buffer.finish().expect("nothing fails");
        let held = if is_kept { 0..0 } else { 10..10 + count };
        let sum = (0..20 + count).filter(|n| !held.contains(n)).sum::<u64>();
        let left = if is_kept { 20 + count } else { 20 };
        assert_eq!(*sums.lock().expect("no receiver panics"), (sum, 2 * sum as i64, left));
        assert!(spills.is_none_or(|spills| spills == (scratch.spilled_bytes() > 0)));
        assert!(budget.peak_bytes() <= budget.limit_bytes());
    }

    #[test]
    fn what_is_held_back_comes_once_or_not_at_all() {
        for is_kept in [true, false] {
            for count in [0, 5, 2000, 20_000] {
                check(&MemoryBudget::unlimited(), count, is_kept, Some(false));
                // What is dropped need not have reached the file.
                let spills = (is_kept || count < 10).then_some(count >= 2000);
                check(&MemoryBudget::new(64 << 10, 0), count, is_kept, spills);
            }
        }
    }
}
