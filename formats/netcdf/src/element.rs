//! How one element lies in a file, and what readers of the array see of it.

use std::sync::Arc;

use array::error::Result;
use array::{DType, Scalar};

use crate::hdf5::TextHeap;
use crate::text;

/// The element of a stored array.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    /// What readers see.
    pub(crate) dtype: DType,
    /// Bytes of one stored element; one for characters, however many are joined.
    pub(crate) unit_bytes: usize,
    /// Bytes of the numbers that must be turned round; 1 if none.
    pub(crate) swap_bytes: usize,
    /// Length of the last stored dimension, where it holds the characters of one text.
    pub(crate) joined: Option<u64>,
    /// How texts of any length are found; `None` for anything else.
    pub(crate) texts: Option<TextForm>,
}

/// How a text of any length is stored.
#[derive(Debug, Clone)]
pub(crate) enum TextForm {
    /// In place, in a field of one length.
    Field(Padding),
    /// In the global heap; a reference lies in its place.
    Heap(Arc<TextHeap>),
}

/// What follows a text in a field that is longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    /// One zero byte, then anything.
    ZeroTerminated,
    /// Zero bytes.
    Zeros,
    /// Spaces, which are kept: the C library hands them out.
    Spaces,
}

impl Element {
    /// Numbers of this type.
    pub(crate) fn number(dtype: DType, is_big_endian: bool) -> Self {
        Self {
            dtype,
            unit_bytes: dtype.item_bytes().unwrap_or(1),
            swap_bytes: if is_big_endian { dtype.swap_bytes() } else { 1 },
            joined: None,
            texts: None,
        }
    }

    /// Characters; those of the last dimension of `stored_shape`, if there is one, are joined.
    pub(crate) fn chars(stored_shape: &[u64]) -> Option<Self> {
        let joined = stored_shape.last().copied();
        // There is no text of no bytes: one that is empty is a single zero byte.
        let length = u32::try_from(joined.unwrap_or(1).max(1)).ok()?;
        Some(Self { joined, ..Self::number(DType::Bytes(length), false) }.of_unit(1))
    }

    /// Texts that are stored in `unit_bytes` each.
    pub(crate) fn text(unit_bytes: usize, form: TextForm) -> Self {
        Self { texts: Some(form), ..Self::number(DType::Text, false) }.of_unit(unit_bytes)
    }

    fn of_unit(self, unit_bytes: usize) -> Self {
        Self { unit_bytes, ..self }
    }

    /// The shape that readers see of an array that is stored in this one.
    pub(crate) fn visible<'a>(&self, stored: &'a [u64]) -> &'a [u64] {
        &stored[..stored.len() - usize::from(self.joined.is_some())]
    }

    /// One stored element (little endian) as readers see it.
    pub(crate) fn scalar(&self, unit: &[u8]) -> Result<Scalar> {
        match &self.texts {
            Some(form) => Ok(Scalar::text(form.text(unit)?)),
            None => {
                let repeats = self.dtype.item_bytes().unwrap_or(1) / self.unit_bytes.max(1);
                Scalar::new(self.dtype, unit.repeat(repeats))
            }
        }
    }
}

impl TextForm {
    /// The text that one stored element holds or refers to.
    pub(crate) fn text(&self, unit: &[u8]) -> Result<String> {
        match self {
            Self::Field(padding) => Ok(text::decode(padding.strip(unit)).value),
            Self::Heap(heap) => Ok(text::decode(text::until_zero(&heap.resolve(unit)?)).value),
        }
    }
}

impl Padding {
    /// The field without what follows the text.
    pub(crate) fn strip(self, field: &[u8]) -> &[u8] {
        match self {
            Self::ZeroTerminated => text::until_zero(field),
            Self::Zeros => text::without_padding(field),
            Self::Spaces => field,
        }
    }
}
