//! Chunks of datasets as elements: the greatest payload is shared, the others are copied.

use bytes::Bytes;
use dataflow::Element;
use dataflow::coder::{
    Coder, CoderKind, Context, Preview, decode_varint, encode_varint, malformed, put_prefixed,
    take_prefixed,
};
use dataflow::error::Result;

use crate::chunk::Chunk;
use crate::dataset_chunk::{DatasetChunk, VariableChunk};
use crate::dtype::DType;

/// Encodes a [`DatasetChunk`]: first what describes all variables, then their payloads, the
/// greatest one last.
#[derive(Debug, Clone, Copy)]
pub struct DatasetChunkCoder;

impl Element for DatasetChunk {
    type Coder = DatasetChunkCoder;

    fn coder() -> Self::Coder {
        DatasetChunkCoder
    }

    fn heap_bytes(&self) -> usize {
        let of_variable = |variable: &VariableChunk| {
            let names = variable.name().len()
                + variable.dimensions().iter().map(String::len).sum::<usize>();
            size_of::<VariableChunk>() + names + variable.elements().heap_bytes()
        };
        self.variables().iter().map(of_variable).sum()
    }
}

/// What is written before the payloads.
struct Described {
    name: String,
    dimensions: Vec<String>,
    is_coordinate: bool,
    dtype: DType,
    shape: Vec<u64>,
    payload_bytes: usize,
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    encode_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn take_text(input: &mut &[u8]) -> Result<String> {
    let bytes = take_prefixed(Context::Nested, input, NAME)?;
    let text = str::from_utf8(bytes).map_err(|why| malformed(NAME, &why.to_string()))?;
    Ok(text.to_owned())
}

const NAME: &str = "dataset_chunk";

fn put_described(variable: &VariableChunk, out: &mut Vec<u8>) {
    put_text(variable.name(), out);
    out.push(u8::from(variable.is_coordinate()));
    put_text(&variable.elements().dtype().to_string(), out);
    encode_varint(variable.dimensions().len() as u64, out);
    for (dimension, &length) in variable.dimensions().iter().zip(variable.elements().shape()) {
        put_text(dimension, out);
        encode_varint(length, out);
    }
    encode_varint(variable.elements().payload().len() as u64, out);
}

fn take_described(input: &mut &[u8]) -> Result<Described> {
    let name = take_text(input)?;
    let (flag, rest) = input.split_first().ok_or_else(|| malformed(NAME, "it is cut short"))?;
    *input = rest;
    let dtype = take_text(input)?.parse()?;
    let rank = decode_varint(input)?;
    let (mut dimensions, mut shape) = (Vec::new(), Vec::new());
    for _ in 0..rank {
        dimensions.push(take_text(input)?);
        shape.push(decode_varint(input)?);
    }
    let payload_bytes = decode_varint(input)? as usize;
    Ok(Described { name, dimensions, is_coordinate: *flag != 0, dtype, shape, payload_bytes })
}

/// The place of the payload that is written last: the greatest, of equal ones the first.
fn last_place(payload_bytes: impl Iterator<Item = usize>) -> usize {
    let greatest =
        payload_bytes.enumerate().max_by_key(|&(place, bytes)| (bytes, usize::MAX - place));
    greatest.map_or(0, |(place, _)| place)
}

impl Coder<DatasetChunk> for DatasetChunkCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque(NAME.to_owned())
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &DatasetChunk, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |out| {
            let tail = self.encode_shared(value, out)?;
            out.extend_from_slice(&tail);
            Ok(())
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<DatasetChunk> {
        self.decode_shared(take_prefixed(context, input, NAME)?, Bytes::new())
    }

    fn preview(&self, value: &DatasetChunk, out: &mut Preview) {
        for (place, variable) in value.variables().iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let (name, elements) = (variable.name(), variable.elements());
            out.push_display(&format_args!(
                "{comma}{name} {} {:?}",
                elements.dtype(),
                elements.shape()
            ));
        }
    }

    fn encode_shared(&self, value: &DatasetChunk, out: &mut Vec<u8>) -> Result<Bytes> {
        let variables = value.variables();
        encode_varint(variables.len() as u64, out);
        variables.iter().for_each(|variable| put_described(variable, out));
        let payloads = || variables.iter().map(|variable| variable.elements().payload());
        let last = last_place(payloads().map(Bytes::len));
        for (place, payload) in payloads().enumerate() {
            if place != last {
                out.extend_from_slice(payload);
            }
        }
        Ok(payloads().nth(last).cloned().unwrap_or_default())
    }

    fn decode_shared(&self, head: &[u8], tail: Bytes) -> Result<DatasetChunk> {
        let mut rest = head;
        let count = decode_varint(&mut rest)?;
        let described = (0..count).map(|_| take_described(&mut rest));
        let described = described.collect::<Result<Vec<Described>>>()?;
        let last = last_place(described.iter().map(|it| it.payload_bytes));
        let mut payloads = Vec::with_capacity(described.len());
        for (place, it) in described.iter().enumerate() {
            let own = if place == last { 0 } else { it.payload_bytes };
            let (payload, after) = rest
                .split_at_checked(own)
                .ok_or_else(|| malformed(NAME, "a payload is cut short"))?;
            rest = after;
            payloads.push(Bytes::copy_from_slice(payload));
        }
        if let Some(payload) = payloads.get_mut(last) {
            *payload = match (rest.is_empty(), tail.is_empty()) {
                (true, _) => tail,
                (false, true) => Bytes::copy_from_slice(rest),
                (false, false) => Bytes::from([rest, &tail[..]].concat()),
            };
        }
        let variables = described.into_iter().zip(payloads).map(|(it, payload)| {
            let elements = Chunk::new(it.dtype, it.shape, payload)?;
            let variable = VariableChunk::new(it.name, it.dimensions, elements)?;
            Ok(if it.is_coordinate { variable.into_coordinate() } else { variable })
        });
        DatasetChunk::new(variables.collect::<Result<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> DatasetChunk {
        let variable = |name: &str, dimensions: &[&str], elements: Chunk| {
            VariableChunk::new(name, dimensions.iter().copied(), elements).expect("one name each")
        };
        let time = Chunk::of([2], &[0i64, 6]).expect("two");
        let wind = Chunk::of([2, 3], &[1.0f64, 2.0, 3.0, 4.0, 5.0, 6.0]).expect("six");
        let station = Chunk::of_texts([3], &["a", "", "cc"]).expect("three");
        let crs = Chunk::of::<i32>([], &[7]).expect("one");
        let variables = vec![
            variable("time", &["time"], time).into_coordinate(),
            variable("wind", &["time", "station"], wind),
            variable("station", &["station"], station).into_coordinate(),
            variable("crs", &[], crs),
        ];
        DatasetChunk::new(variables).expect("lengths agree")
    }

    #[test]
    fn the_greatest_payload_is_shared() {
        let chunk = chunk();
        let mut head = Vec::new();
        let tail = DatasetChunkCoder.encode_shared(&chunk, &mut head).expect("encodes");
        let wind = |chunk: &DatasetChunk| chunk.variables()[1].elements().payload().as_ptr();
        assert_eq!(tail.as_ptr(), wind(&chunk));
        let back = DatasetChunkCoder.decode_shared(&head, tail).expect("decodes");
        assert_eq!((wind(&back), &back), (wind(&chunk), &chunk));
    }

    #[test]
    fn chunks_come_back() {
        for chunk in [chunk(), DatasetChunk::default()] {
            for context in [Context::Nested, Context::Outer] {
                let mut bytes = Vec::new();
                DatasetChunkCoder.encode(&chunk, context, &mut bytes).expect("encodes");
                let mut input = &bytes[..];
                let back = DatasetChunkCoder.decode(context, &mut input).expect("decodes");
                assert_eq!((back, input.len()), (chunk.clone(), 0));
            }
        }
    }

    #[test]
    fn bytes_that_are_cut_short_are_refused() {
        let mut bytes = Vec::new();
        DatasetChunkCoder.encode(&chunk(), Context::Outer, &mut bytes).expect("encodes");
        for length in 0..bytes.len() {
            let mut input = &bytes[..length];
            assert!(DatasetChunkCoder.decode(Context::Outer, &mut input).is_err(), "{length}");
        }
    }
}
