//! An array in memory that is being filled.

use bytes::Bytes;
use dataflow::error::{Error, Result};

use crate::chunk::Chunk;
use crate::copy::{BoxCopy, copy_box};
use crate::dtype::DType;
use crate::region::Region;
use crate::scalar::Scalar;

/// A box of elements that readers write into, and that becomes a [`Chunk`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayBuffer {
    dtype: DType,
    shape: Vec<u64>,
    cells: Cells,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cells {
    Fixed(Vec<u8>),
    Texts(Vec<String>),
}

impl ArrayBuffer {
    /// A buffer of zeros or empty texts.
    pub fn zeroed(dtype: DType, shape: &[u64]) -> Self {
        let count = shape.iter().product::<u64>() as usize;
        let cells = match dtype.item_bytes() {
            Some(item) => Cells::Fixed(vec![0; count * item]),
            None => Cells::Texts(vec![String::new(); count]),
        };
        Self { dtype, shape: shape.to_vec(), cells }
    }

    /// A buffer of one value.
    pub fn filled(shape: &[u64], value: &Scalar) -> Self {
        let mut buffer = Self::zeroed(value.dtype(), shape);
        match &mut buffer.cells {
            // Zeroed pages cost nothing until they are touched.
            Cells::Fixed(_) if value.bytes().iter().all(|&byte| byte == 0) => {}
            Cells::Fixed(bytes) => {
                bytes.chunks_exact_mut(value.bytes().len()).for_each(|cell| {
                    cell.copy_from_slice(value.bytes());
                });
            }
            Cells::Texts(texts) => texts.fill(value.as_text().unwrap_or_default().to_owned()),
        }
        buffer
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Elements along every dimension.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The bytes of fixed-size elements; `None` for texts.
    pub fn fixed_mut(&mut self) -> Option<&mut [u8]> {
        match &mut self.cells {
            Cells::Fixed(bytes) => Some(bytes),
            Cells::Texts(_) => None,
        }
    }

    /// The texts; `None` for fixed-size elements.
    pub fn texts_mut(&mut self) -> Option<&mut [String]> {
        match &mut self.cells {
            Cells::Fixed(_) => None,
            Cells::Texts(texts) => Some(texts),
        }
    }

    /// Copies the `part` of `chunk` to the place that begins at `origin`.
    ///
    /// # Errors
    /// Elements of another type, or a part that is not within the chunk or the buffer.
    pub fn write(&mut self, origin: &[u64], chunk: &Chunk, part: &Region) -> Result<()> {
        let extent = part.shape();
        self.check(origin, &extent, chunk.dtype())?;
        if part.ranges().zip(chunk.shape()).any(|(range, &length)| range.end > length) {
            let message = format!("region {part} is not within a chunk of {:?}", chunk.shape());
            return Err(Error::internal(message));
        }
        let copy = BoxCopy {
            source_shape: chunk.shape(),
            source_start: &part.start(),
            target_shape: &self.shape,
            target_start: origin,
            extent: &extent,
        };
        match (&mut self.cells, self.dtype.item_bytes()) {
            (Cells::Fixed(bytes), Some(item)) => copy_box(chunk.payload(), bytes, item, &copy),
            (Cells::Texts(texts), _) => {
                let source = chunk.texts()?;
                copy.for_each_run(|from, to, length| {
                    let runs = texts[to..to + length].iter_mut().zip(&source[from..from + length]);
                    runs.for_each(|(target, source)| (*source).clone_into(target));
                });
            }
            (Cells::Fixed(_), None) => return Err(Error::internal("texts in a fixed buffer")),
        }
        Ok(())
    }

    /// Whether every element is `value`.
    pub fn is_filled_with(&self, value: &Scalar) -> bool {
        match &self.cells {
            _ if value.dtype() != self.dtype => false,
            Cells::Fixed(bytes) => {
                let item = value.bytes();
                item.is_empty() || bytes.chunks_exact(item.len()).all(|it| it == item)
            }
            Cells::Texts(texts) => {
                let text = value.as_text().unwrap_or_default();
                texts.iter().all(|it| it == text)
            }
        }
    }

    /// Sets every element of the box of `extent` at `origin` to `value`.
    ///
    /// # Errors
    /// A value of another type, a box that is not within the buffer.
    pub fn fill(&mut self, origin: &[u64], extent: &[u64], value: &Scalar) -> Result<()> {
        self.check(origin, extent, value.dtype())?;
        let copy = BoxCopy {
            source_shape: extent,
            source_start: &vec![0; extent.len()],
            target_shape: &self.shape,
            target_start: origin,
            extent,
        };
        match &mut self.cells {
            Cells::Fixed(bytes) => {
                let item = value.bytes();
                copy.for_each_run(|_, to, length| {
                    let run = &mut bytes[to * item.len()..(to + length) * item.len()];
                    run.chunks_exact_mut(item.len().max(1)).for_each(|it| it.copy_from_slice(item));
                });
            }
            Cells::Texts(texts) => {
                let text = value.as_text().unwrap_or_default();
                copy.for_each_run(|_, to, length| texts[to..to + length].fill(text.to_owned()));
            }
        }
        Ok(())
    }

    /// Refuses a box of `extent` at `origin` that this buffer does not hold.
    ///
    /// # Errors
    /// Elements of another type, another rank, or a box that reaches outside.
    pub fn check(&self, origin: &[u64], extent: &[u64], dtype: DType) -> Result<()> {
        let ranks_agree = origin.len() == self.shape.len() && extent.len() == self.shape.len();
        let mut bounds = origin.iter().zip(extent).zip(&self.shape);
        if dtype == self.dtype && ranks_agree && bounds.all(|((start, n), end)| start + n <= *end) {
            return Ok(());
        }
        Err(Error::internal(format!(
            "{dtype} {extent:?} at {origin:?} does not fit a buffer of {} {:?}",
            self.dtype, self.shape
        )))
    }

    /// The finished chunk; fixed-size elements are not copied.
    ///
    /// # Errors
    /// A text of more than 4 GiB.
    pub fn freeze(self) -> Result<Chunk> {
        match self.cells {
            Cells::Fixed(bytes) => Chunk::new(self.dtype, self.shape, Bytes::from(bytes)),
            Cells::Texts(texts) => Chunk::of_texts(self.shape, &texts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_a_whole() {
        let whole = Chunk::of([2, 3], &[1i32, 2, 3, 4, 5, 6]).expect("six numbers");
        let mut buffer = ArrayBuffer::filled(&[2, 3], &Scalar::of(-1i32));
        for columns in [0..1, 1..3] {
            let part = Region::new([0..2, columns]);
            let piece = whole.slice(&part).expect("within");
            buffer.write(&part.start(), &piece, &Region::whole(piece.shape())).expect("fits");
        }
        assert_eq!(buffer.freeze().expect("numbers"), whole);
    }

    #[test]
    fn texts_are_cut_and_joined_as_numbers_are() {
        let whole = Chunk::of_texts([2, 2], &["a", "", "ccc", "ü"]).expect("four texts");
        let column = whole.slice(&Region::new([0..2, 1..2])).expect("within");
        assert_eq!(column.texts().expect("texts"), ["", "ü"]);
        assert_eq!(whole.scalar(3).expect("there"), Scalar::text("ü"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let chunk = Chunk::of([2], &[1i16, 2]).expect("two numbers");
        let mut buffer = ArrayBuffer::zeroed(DType::Int16, &[3]);
        assert!(buffer.write(&[2], &chunk, &Region::whole(&[2])).is_err());
        assert!(buffer.write(&[0], &chunk, &Region::whole(&[3])).is_err());
        assert!(
            ArrayBuffer::zeroed(DType::Int8, &[3])
                .write(&[0], &chunk, &Region::whole(&[2]))
                .is_err()
        );
        assert!(Chunk::new(DType::Float32, [3], Bytes::from_static(&[0; 11])).is_err());
    }
}
