//! Reads the header of a classic file field by field, big endian.
//!
//! A field that reaches beyond the bytes at hand is not damage yet: more of the file may follow.
//! Counts are checked against the file before anything is allocated for them.

use array::error::Error;

use crate::fault::corrupt;
use crate::text::{self, Text};

/// Why a header cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// The bytes at hand end inside of this field.
    Short(String),
    /// What is written cannot be.
    Damaged(Error),
}

/// The result of reading a field.
pub(super) type Field<T> = Result<T, Fault>;

/// A place in a header.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes of the whole file.
    file_length: u64,
    /// Whether counts take eight bytes, as in CDF-5.
    is_wide: bool,
}

/// Damage, with the name of the field.
pub(super) fn damaged(message: impl AsRef<str>) -> Fault {
    Fault::Damaged(corrupt(format!("the header is damaged: {}", message.as_ref())))
}

impl<'a> Cursor<'a> {
    /// A cursor at `at`.
    pub(super) fn new(bytes: &'a [u8], at: usize, file_length: u64, is_wide: bool) -> Self {
        Self { bytes, at, file_length, is_wide }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.at as u64
    }

    /// The next bytes.
    pub(super) fn take(&mut self, count: u64, field: &str) -> Field<&'a [u8]> {
        let left = self.file_length.saturating_sub(self.position());
        if count > left {
            return Err(damaged(format!("{field} takes {count} bytes, the file has {left} more")));
        }
        let count = count as usize;
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        let taken = taken.ok_or_else(|| Fault::Short(field.to_owned()))?;
        self.at += count;
        Ok(taken)
    }

    /// The next bytes, and the padding to a multiple of four behind them.
    pub(super) fn take_padded(&mut self, count: u64, field: &str) -> Field<&'a [u8]> {
        let taken = self.take(count, field)?;
        let padding = count.wrapping_neg() % 4;
        // The last field of a header may lack its padding.
        let left = self.file_length.saturating_sub(self.position());
        self.take(padding.min(left), field)?;
        Ok(taken)
    }

    /// An unsigned number of four bytes.
    pub(super) fn u32(&mut self, field: &str) -> Field<u32> {
        let bytes = self.take(4, field)?;
        Ok(bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    /// An unsigned number of eight bytes.
    pub(super) fn u64(&mut self, field: &str) -> Field<u64> {
        let bytes = self.take(8, field)?;
        Ok(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// A length or a count, in the width of the generation; never negative.
    pub(super) fn count(&mut self, field: &str) -> Field<u64> {
        let number = if self.is_wide { self.u64(field)? } else { u64::from(self.u32(field)?) };
        if number > i64::MAX as u64 {
            return Err(damaged(format!("{field} is negative ({})", number.cast_signed())));
        }
        Ok(number)
    }

    /// A count of things that take at least `least_bytes` each.
    pub(super) fn count_of(&mut self, least_bytes: u64, field: &str) -> Field<u64> {
        let count = self.count(field)?;
        let left = self.file_length.saturating_sub(self.position());
        if count.checked_mul(least_bytes).is_some_and(|bytes| bytes <= left) {
            return Ok(count);
        }
        Err(damaged(format!("{field} is {count}, more than the {left} bytes that follow can hold")))
    }

    /// A name: its length, its bytes, padding. It ends before a zero byte, as the C library has it.
    pub(super) fn name(&mut self, field: &str) -> Field<Text> {
        let length = self.count(&format!("the length of {field}"))?;
        Ok(text::decode(text::until_zero(self.take_padded(length, field)?)))
    }
}
