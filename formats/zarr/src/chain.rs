//! All codecs of a chunk: from encoded bytes to elements, and back.

use array::{ArrayBuffer, BoxCopy, Scalar};
use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::element::{Element, Wire};
use crate::step::Step;

/// How one chunk is encoded; every chunk of an array has the same shape, also at the edge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chain {
    pub(crate) element: Element,
    /// Shape of the chunk as the array counts its dimensions.
    pub(crate) shape: Vec<u64>,
    /// The dimension of the array that is stored at each place; `None` for C order.
    pub(crate) order: Option<Vec<usize>>,
    /// In the order of encoding.
    pub(crate) steps: Vec<Step>,
}

/// The elements of a chunk: little endian, in C order.
#[derive(Debug)]
pub(crate) enum Elements {
    Fixed(Bytes),
    Texts(Vec<String>),
}

impl Chain {
    fn element_count(&self) -> usize {
        self.shape.iter().product::<u64>() as usize
    }

    /// The decoded length, where all elements have one.
    fn decoded_bytes(&self) -> Option<usize> {
        self.element.wire.item_bytes().map(|bytes| self.element_count() * bytes as usize)
    }

    /// The greatest length that each step decodes to, where elements have one.
    fn bounds(&self) -> Vec<Option<usize>> {
        let mut bound = self.decoded_bytes();
        let next = |step: &Step| {
            let encoded = bound.map(|bytes| step.encoded_bound(bytes));
            std::mem::replace(&mut bound, encoded)
        };
        self.steps.iter().map(next).collect()
    }

    /// Undoes all codecs.
    ///
    /// Memory: what is decoded, once or twice.
    ///
    /// # Errors
    /// The reason why these bytes are no chunk.
    pub(crate) fn decode(&self, encoded: Bytes) -> Result<Elements, String> {
        let decoded_bytes = self.decoded_bytes();
        let mut body = encoded;
        for (step, bound) in self.steps.iter().zip(self.bounds()).rev() {
            body = step.decode(&body, bound)?;
        }
        if decoded_bytes.is_some_and(|bytes| bytes != body.len()) {
            let want = decoded_bytes.unwrap_or_default();
            return Err(format!("it decodes to {} bytes instead of {want}", body.len()));
        }
        let elements = match self.element.wire {
            Wire::Fixed { swap_bytes, .. } => Elements::Fixed(swapped(body, swap_bytes)),
            Wire::VlenUtf8 => Elements::Texts(split_vlen(&body, self.element_count())?),
            Wire::Utf32 { char_count, is_big_endian } => {
                Elements::Texts(split_utf32(&body, char_count, is_big_endian)?)
            }
        };
        Ok(match &self.order {
            Some(order) => self.in_c_order(elements, order),
            None => elements,
        })
    }

    /// Applies all codecs to the payload of a whole chunk.
    ///
    /// # Errors
    /// A chain that is only read, elements that a filter does not hold, or a codec that fails.
    pub(crate) fn encode(&self, payload: &Bytes) -> Result<Bytes> {
        let mut body = match self.element.wire {
            // The payload has every text after its length, as the codec has; only the count is new.
            Wire::VlenUtf8 if self.order.is_none() => {
                let count = (self.element_count() as u32).to_le_bytes();
                Bytes::from([&count[..], payload].concat())
            }
            Wire::Fixed { item_bytes, swap_bytes } => {
                let ordered = match &self.order {
                    Some(order) => self.in_stored_order(payload, order, item_bytes),
                    None => payload.clone(),
                };
                swapped(ordered, swap_bytes)
            }
            _ => {
                let message = "texts of a fixed length, and texts in another order, are only read";
                let error =
                    Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
                return Err(error);
            }
        };
        for step in &self.steps {
            body = step.encode(&body)?.into();
        }
        Ok(body)
    }

    /// Moves elements to the order in which they are stored.
    fn in_stored_order(&self, payload: &Bytes, order: &[usize], item_bytes: usize) -> Bytes {
        let (stored, steps) = self.stored_places(order);
        let mut places =
            Places { shape: &stored, steps: &steps, index: vec![0; stored.len()], place: 0 };
        let mut moved = vec![0; payload.len()];
        for item in moved.chunks_exact_mut(item_bytes) {
            let start = places.next_place() * item_bytes;
            item.copy_from_slice(&payload[start..start + item_bytes]);
        }
        moved.into()
    }

    /// The shape in which elements are stored, and how far apart neighbours are in C order.
    fn stored_places(&self, order: &[usize]) -> (Vec<u64>, Vec<usize>) {
        let stored = order.iter().map(|&dimension| self.shape[dimension]).collect();
        let strides = strides(&self.shape);
        (stored, order.iter().map(|&dimension| strides[dimension]).collect())
    }

    /// An element that chunks at the edge are padded with: the fill value, unless a filter does not
    /// hold it.
    pub(crate) fn padding(&self, fill: &Scalar) -> Scalar {
        match self.steps.first() {
            Some(Step::Filter(filter)) => filter.padding(fill),
            _ => fill.clone(),
        }
    }

    /// Moves elements from the order in which they are stored.
    fn in_c_order(&self, elements: Elements, order: &[usize]) -> Elements {
        let (stored, steps) = self.stored_places(order);
        let mut places =
            Places { shape: &stored, steps: &steps, index: vec![0; stored.len()], place: 0 };
        match (elements, self.element.wire) {
            (Elements::Fixed(body), Wire::Fixed { item_bytes, .. }) => {
                let mut moved = vec![0; body.len()];
                for item in body.chunks_exact(item_bytes) {
                    let start = places.next_place() * item_bytes;
                    moved[start..start + item_bytes].copy_from_slice(item);
                }
                Elements::Fixed(moved.into())
            }
            (Elements::Texts(texts), _) => {
                let mut moved = vec![String::new(); texts.len()];
                texts.into_iter().for_each(|text| moved[places.next_place()] = text);
                Elements::Texts(moved)
            }
            (other, _) => other,
        }
    }
}

/// Places in C order of elements that are met in another order.
struct Places<'a> {
    shape: &'a [u64],
    steps: &'a [usize],
    index: Vec<u64>,
    place: usize,
}

impl Places<'_> {
    fn next_place(&mut self) -> usize {
        let place = self.place;
        for dimension in (0..self.shape.len()).rev() {
            self.index[dimension] += 1;
            self.place += self.steps[dimension];
            if self.index[dimension] < self.shape[dimension] {
                break;
            }
            self.place -= self.steps[dimension] * self.shape[dimension] as usize;
            self.index[dimension] = 0;
        }
        place
    }
}

fn strides(shape: &[u64]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for dimension in (1..shape.len()).rev() {
        strides[dimension - 1] = strides[dimension] * shape[dimension] as usize;
    }
    strides
}

fn swapped(body: Bytes, swap_bytes: usize) -> Bytes {
    if swap_bytes == 1 {
        return body;
    }
    let mut body = Vec::from(body);
    body.chunks_exact_mut(swap_bytes).for_each(<[u8]>::reverse);
    body.into()
}

fn split_vlen(body: &[u8], count: usize) -> Result<Vec<String>, String> {
    let cut_short = || format!("the texts end after {} bytes", body.len());
    let (stored, mut rest) = body.split_first_chunk::<4>().ok_or_else(cut_short)?;
    if u32::from_le_bytes(*stored) as usize != count {
        return Err(format!("it holds {} texts instead of {count}", u32::from_le_bytes(*stored)));
    }
    let mut texts = Vec::new();
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (text, after) = after.split_at_checked(length).ok_or_else(cut_short)?;
        texts.push(str::from_utf8(text).map_err(|why| why.to_string())?.to_owned());
        rest = after;
    }
    Ok(texts)
}

fn split_utf32(body: &[u8], char_count: usize, is_big: bool) -> Result<Vec<String>, String> {
    let code_point = |bytes: &[u8]| {
        let bytes = bytes.try_into().expect("chunks of four bytes");
        if is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    let text = |item: &[u8]| {
        let points = item.chunks_exact(4).map(code_point);
        let text: Option<String> = points.map(char::from_u32).collect();
        text.map(|text| text.trim_end_matches('\0').to_owned())
            .ok_or_else(|| "a code point is none".to_owned())
    };
    body.chunks_exact(char_count * 4).map(text).collect()
}

impl Elements {
    /// Copies a box of these elements, which have the shape of a chunk, into a buffer.
    ///
    /// # Errors
    /// A buffer of another type.
    pub(crate) fn copy_into(&self, into: &mut ArrayBuffer, copy: &BoxCopy<'_>) -> Result<()> {
        let item_bytes = into.dtype().item_bytes();
        match (self, item_bytes) {
            (Self::Fixed(body), Some(item_bytes)) => {
                let target = into.fixed_mut().ok_or_else(other_type)?;
                array::copy_box(body, target, item_bytes, copy);
            }
            (Self::Texts(texts), None) => {
                let target = into.texts_mut().ok_or_else(other_type)?;
                copy.for_each_run(|from, to, length| {
                    target[to..to + length].clone_from_slice(&texts[from..from + length]);
                });
            }
            _ => return Err(other_type()),
        }
        Ok(())
    }
}

fn other_type() -> Error {
    Error::internal("a chunk was decoded into a buffer of another type")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chain(dtype: &str, shape: &[u64], order: Option<Vec<usize>>) -> Chain {
        let element = Element::of_v2(&json!(dtype), true).expect("known");
        Chain { element, shape: shape.to_vec(), order, steps: Vec::new() }
    }

    #[track_caller]
    fn check_fixed(chain: &Chain, encoded: &[u8], want: &[u8]) {
        match chain.decode(Bytes::copy_from_slice(encoded)) {
            Ok(Elements::Fixed(got)) => assert_eq!(got, want),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check_texts(chain: &Chain, encoded: &[u8], want: Result<&[&str], &str>) {
        match (chain.decode(Bytes::copy_from_slice(encoded)), want) {
            (Ok(Elements::Texts(got)), Ok(want)) => assert_eq!(got, want),
            (Err(why), Err(says)) => assert!(why.contains(says), "{why}"),
            (got, _) => panic!("{got:?}"),
        }
    }

    #[test]
    fn big_endian_units_are_turned() {
        check_fixed(&chain(">i2", &[2], None), &[1, 2, 3, 4], &[2, 1, 4, 3]);
        check_fixed(
            &chain(">c8", &[1], None),
            &[1, 2, 3, 4, 5, 6, 7, 8],
            &[4, 3, 2, 1, 8, 7, 6, 5],
        );
    }

    #[test]
    fn other_orders_become_c_order() {
        // Stored as Fortran does: element (i, j) of a 2 x 3 chunk at i + 2 j.
        check_fixed(
            &chain("|u1", &[2, 3], Some(vec![1, 0])),
            &[0, 3, 1, 4, 2, 5],
            &[0, 1, 2, 3, 4, 5],
        );
        // Dimensions (2, 0, 1) of a 2 x 1 x 2 chunk.
        let cube = chain("|u1", &[2, 1, 2], Some(vec![2, 0, 1]));
        check_fixed(&cube, &[0, 2, 1, 3], &[0, 1, 2, 3]);
    }

    #[test]
    fn texts_of_both_kinds() {
        let vlen = [&[2, 0, 0, 0, 2, 0, 0, 0][..], "ü".as_bytes(), &[0, 0, 0, 0]].concat();
        check_texts(&chain("|O", &[2], None), &vlen, Ok(&["ü", ""]));
        let big = [0, 0, 0, b'a', 0, 0, 0, 0, 0, 1, 0xf6, 0, 0, 0, 0, b'b'];
        check_texts(&chain(">U2", &[2], None), &big, Ok(&["a", "😀b"]));
        check_texts(&chain("|O", &[3], None), &vlen, Err("2 texts instead of 3"));
        check_texts(&chain("|O", &[2], None), &vlen[..12], Err("end after 12 bytes"));
        check_texts(&chain("<U1", &[1], None), &[0xff; 4], Err("code point"));
        check_texts(&chain("<U1", &[2], None), &[0; 4], Err("4 bytes instead of 8"));
    }

    #[test]
    fn texts_are_encoded_as_they_are_decoded() {
        let texts = ["", "ü", "ccc"];
        let chunk = array::Chunk::of_texts([3], &texts).expect("three texts");
        let chain = chain("|O", &[3], None);
        let encoded = chain.encode(chunk.payload()).expect("encodes");
        check_texts(&chain, &encoded, Ok(&texts));
    }
}
