//! An immutable piece of an array that can be shared.

use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::buffer::ArrayBuffer;
use crate::dtype::{DType, Native};
use crate::region::Region;
use crate::scalar::Scalar;

/// Elements of one type in one box, in C order; cheap to clone.
///
/// The payload of fixed-size types is their bytes, little endian. The payload of texts is, for
/// each, its length in bytes (four bytes, little endian) and then its UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    dtype: DType,
    shape: Vec<u64>,
    payload: Bytes,
}

impl Chunk {
    /// A chunk of this payload.
    ///
    /// # Errors
    /// A payload that is not exactly the elements of the shape.
    pub fn new(dtype: DType, shape: impl Into<Vec<u64>>, payload: Bytes) -> Result<Self> {
        let shape = shape.into();
        let chunk = Self { dtype, shape, payload };
        let fits = match dtype.item_bytes() {
            Some(item) => chunk.element_count() * item as u64 == chunk.payload.len() as u64,
            None => chunk.texts().is_ok(),
        };
        if fits { Ok(chunk) } else { Err(chunk.mismatch()) }
    }

    /// A chunk of these numbers.
    ///
    /// # Errors
    /// Not as many numbers as the shape has elements.
    pub fn of<T: Native>(shape: impl Into<Vec<u64>>, values: &[T]) -> Result<Self> {
        let mut payload = Vec::with_capacity(size_of_val(values));
        values.iter().for_each(|value| value.push_le(&mut payload));
        Self::new(T::DTYPE, shape, payload.into())
    }

    /// A chunk of these texts.
    ///
    /// # Errors
    /// Not as many texts as the shape has elements.
    pub fn of_texts<S: AsRef<str>>(shape: impl Into<Vec<u64>>, texts: &[S]) -> Result<Self> {
        let mut payload = Vec::new();
        for text in texts {
            let text = text.as_ref();
            let length = u32::try_from(text.len()).map_err(|_| {
                let message = format!("a text of {} bytes is too long", text.len());
                Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::Unsupported, message)
            })?;
            payload.extend_from_slice(&length.to_le_bytes());
            payload.extend_from_slice(text.as_bytes());
        }
        Self::new(DType::Text, shape, payload.into())
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Elements along every dimension.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The elements, as described at [`Chunk`].
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The number of elements.
    pub fn element_count(&self) -> u64 {
        self.shape.iter().product()
    }

    /// The numbers, copied.
    ///
    /// # Errors
    /// Elements of another type.
    pub fn values<T: Native>(&self) -> Result<Vec<T>> {
        if self.dtype != T::DTYPE {
            return Err(Error::internal(format!("{} was read as {}", self.dtype, T::DTYPE)));
        }
        Ok(self.payload.chunks_exact(size_of::<T>()).map(T::from_le_slice).collect())
    }

    /// The texts, borrowed.
    ///
    /// # Errors
    /// Elements of another type, or a payload that is not as many texts as there are elements.
    pub fn texts(&self) -> Result<Vec<&str>> {
        if self.dtype != DType::Text {
            return Err(Error::internal(format!("{} was read as texts", self.dtype)));
        }
        let mut rest = &self.payload[..];
        let mut texts = Vec::new();
        while !rest.is_empty() {
            let text = split_text(&mut rest).ok_or_else(|| self.mismatch())?;
            texts.push(text);
        }
        if texts.len() as u64 == self.element_count() { Ok(texts) } else { Err(self.mismatch()) }
    }

    /// The element at a place in C order.
    ///
    /// Cost: O(1), O(place) for texts.
    ///
    /// # Errors
    /// No such element.
    pub fn scalar(&self, place: u64) -> Result<Scalar> {
        let missing = || Error::internal(format!("element {place} of {}", self.element_count()));
        let place = usize::try_from(place).map_err(|_| missing())?;
        match self.dtype.item_bytes() {
            Some(item) => {
                let bytes = self.payload.get(place * item..(place + 1) * item);
                Scalar::new(self.dtype, bytes.ok_or_else(missing)?)
            }
            None => Ok(Scalar::text(*self.texts()?.get(place).ok_or_else(missing)?)),
        }
    }

    /// A copy of the elements in `region`, which is counted from the start of this chunk.
    ///
    /// # Errors
    /// A region that is not within this chunk.
    pub fn slice(&self, region: &Region) -> Result<Self> {
        let mut piece = ArrayBuffer::zeroed(self.dtype, &region.shape());
        piece.write(&vec![0; region.rank()], self, region)?;
        piece.freeze()
    }

    fn mismatch(&self) -> Error {
        let (dtype, shape, length) = (self.dtype, &self.shape, self.payload.len());
        let message = format!("{length} bytes are not the elements of {dtype} {shape:?}");
        Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message)
    }
}

fn split_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (text, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    str::from_utf8(text).ok()
}
