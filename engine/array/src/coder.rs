//! Chunks as elements: the header is copied, the payload shared.

use bytes::Bytes;
use dataflow::Element;
use dataflow::coder::{
    Coder, CoderKind, Context, Preview, decode_varint, encode_varint, malformed, put_prefixed,
    take_prefixed,
};
use dataflow::error::Result;

use crate::chunk::Chunk;

/// Encodes a [`Chunk`] as its type, its shape and its payload.
#[derive(Debug, Clone, Copy)]
pub struct ChunkCoder;

impl Element for Chunk {
    type Coder = ChunkCoder;

    fn coder() -> Self::Coder {
        ChunkCoder
    }

    fn heap_bytes(&self) -> usize {
        self.payload().len() + size_of_val(self.shape())
    }
}

fn put_header(chunk: &Chunk, out: &mut Vec<u8>) {
    let dtype = chunk.dtype().to_string();
    encode_varint(dtype.len() as u64, out);
    out.extend_from_slice(dtype.as_bytes());
    encode_varint(chunk.shape().len() as u64, out);
    chunk.shape().iter().for_each(|&length| encode_varint(length, out));
}

impl Coder<Chunk> for ChunkCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque("chunk".to_owned())
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &Chunk, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |out| {
            put_header(value, out);
            out.extend_from_slice(value.payload());
            Ok(())
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Chunk> {
        self.decode_shared(take_prefixed(context, input, "chunk")?, Bytes::new())
    }

    fn preview(&self, value: &Chunk, out: &mut Preview) {
        out.push_display(&format_args!("{} {:?}", value.dtype(), value.shape()));
    }

    fn encode_shared(&self, value: &Chunk, out: &mut Vec<u8>) -> Result<Bytes> {
        put_header(value, out);
        Ok(value.payload().clone())
    }

    fn decode_shared(&self, head: &[u8], tail: Bytes) -> Result<Chunk> {
        let mut rest = head;
        let dtype = take_prefixed(Context::Nested, &mut rest, "chunk")?;
        let dtype = str::from_utf8(dtype).map_err(|why| malformed("chunk", &why.to_string()))?;
        let rank = decode_varint(&mut rest)?;
        let shape = (0..rank).map(|_| decode_varint(&mut rest)).collect::<Result<Vec<_>>>()?;
        let payload = match (rest.is_empty(), tail.is_empty()) {
            (true, _) => tail,
            (false, true) => Bytes::copy_from_slice(rest),
            (false, false) => Bytes::from([rest, &tail[..]].concat()),
        };
        Chunk::new(dtype.parse()?, shape, payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_shared_not_copied() {
        let chunk = Chunk::of([2, 2], &[1.5f32, 2.5, 3.5, 4.5]).expect("four numbers");
        let mut head = Vec::new();
        let tail = ChunkCoder.encode_shared(&chunk, &mut head).expect("encodes");
        assert_eq!(tail.as_ptr(), chunk.payload().as_ptr());
        let back = ChunkCoder.decode_shared(&head, tail).expect("decodes");
        assert_eq!(back.payload().as_ptr(), chunk.payload().as_ptr());
        assert_eq!(back, chunk);
    }

    #[test]
    fn head_and_tail_are_the_encoding() {
        let chunk = Chunk::of_texts([3], &["a", "bb", ""]).expect("three texts");
        let (mut whole, mut head) = (Vec::new(), Vec::new());
        ChunkCoder.encode(&chunk, Context::Outer, &mut whole).expect("encodes");
        let tail = ChunkCoder.encode_shared(&chunk, &mut head).expect("encodes");
        assert_eq!([&head[..], &tail[..]].concat(), whole);
        let mut input = &whole[..];
        assert_eq!(ChunkCoder.decode(Context::Outer, &mut input).expect("decodes"), chunk);
    }
}
