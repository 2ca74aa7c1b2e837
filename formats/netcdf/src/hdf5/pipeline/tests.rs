use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::*;

const LZF: u16 = 32_000;
const ZSTD: u16 = 32_015;

fn pipeline(ids: &[u16], unit_bytes: usize) -> Pipeline {
    let filter = |&id: &u16| {
        let client_data = if id == SHUFFLE { vec![unit_bytes as u32] } else { Vec::new() };
        FilterDescription { id, name: None, client_data }
    };
    let filters = ids.iter().map(filter).collect();
    Pipeline { filters, registry: filters::registry(1 << 20), unit_bytes }
}

/// What a writer makes of a chunk, without the filters of `mask`.
fn encode(ids: &[u16], mask: u32, unit_bytes: usize, chunk: &[u8]) -> Vec<u8> {
    let mut bytes = chunk.to_vec();
    for (place, id) in ids.iter().enumerate().filter(|(place, _)| mask >> place & 1 == 0) {
        debug_assert!(place < 32, "masks have 32 bits");
        bytes = match *id {
            SHUFFLE => {
                let count = bytes.len() / unit_bytes;
                let shuffled = (0..unit_bytes)
                    .flat_map(|byte| (0..count).map(move |unit| unit * unit_bytes + byte))
                    .map(|at| bytes[at]);
                shuffled.chain(bytes[count * unit_bytes..].iter().copied()).collect()
            }
            DEFLATE => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
                encoder.write_all(&bytes).expect("a vector takes every byte");
                encoder.finish().expect("a vector takes every byte")
            }
            FLETCHER32 => {
                let sum = fletcher32(&bytes).to_le_bytes();
                [bytes, sum.to_vec()].concat()
            }
            ZSTD => zstd::encode_all(&bytes[..], 1).expect("a vector takes every byte"),
            _ => unreachable!("no test writes filter {id}"),
        };
    }
    bytes
}

fn decode(pipeline: &Pipeline, encoded: &[u8], mask: u32, chunk_bytes: usize) -> Result<Vec<u8>> {
    ScratchPool::default().with(|scratch| {
        let decoded = pipeline.decode(encoded, mask, chunk_bytes, scratch)?;
        let mut out = vec![0; chunk_bytes];
        decoded.copy(0, &mut out, pipeline.unit_bytes, 1);
        Ok(out)
    })
}

#[track_caller]
fn check(ids: &[u16], mask: u32, unit_bytes: usize, unit_count: usize) {
    let chunk: Vec<u8> = (0..unit_bytes * unit_count).map(|at| (at * at / 3) as u8).collect();
    let encoded = encode(ids, mask, unit_bytes, &chunk);
    let decoded = decode(&pipeline(ids, unit_bytes), &encoded, mask, chunk.len());
    assert_eq!(decoded.expect("it was just encoded"), chunk);
}

#[test]
fn filters_are_undone_in_any_order() {
    check(&[], 0, 4, 10);
    check(&[SHUFFLE], 0, 4, 10);
    check(&[DEFLATE], 0, 8, 33);
    check(&[SHUFFLE, DEFLATE], 0, 2, 100);
    check(&[SHUFFLE, DEFLATE, FLETCHER32], 0, 8, 21);
    check(&[FLETCHER32, SHUFFLE, DEFLATE], 0, 1, 21);
    check(&[DEFLATE, SHUFFLE, DEFLATE, FLETCHER32], 0, 4, 50);
    check(&[SHUFFLE, ZSTD], 0, 4, 50);
    check(&[SHUFFLE, DEFLATE], 0, 3, 7);
}

#[test]
fn a_checksum_over_an_odd_number_of_bytes_is_right() {
    check(&[FLETCHER32], 0, 1, 7);
    check(&[FLETCHER32], 0, 1, 1);
    check(&[DEFLATE, FLETCHER32], 0, 1, 721);
}

#[test]
fn filters_that_were_left_out_are_not_undone() {
    for mask in 0..8 {
        check(&[SHUFFLE, DEFLATE, FLETCHER32], mask, 4, 12);
    }
}

#[test]
fn elements_of_the_other_byte_order_are_turned_round() {
    for ids in [&[SHUFFLE, DEFLATE][..], &[DEFLATE]] {
        let chunk: Vec<u8> = [1i32, -2, 70_000].iter().flat_map(|n| n.to_be_bytes()).collect();
        let encoded = encode(ids, 0, 4, &chunk);
        let pipeline = pipeline(ids, 4);
        let mut out = vec![0; 8];
        ScratchPool::default().with(|scratch| {
            let decoded = pipeline.decode(&encoded, 0, 12, scratch).expect("just encoded");
            decoded.copy(1, &mut out, 4, 4);
        });
        assert_eq!(out, [(-2i32).to_le_bytes(), 70_000i32.to_le_bytes()].concat());
    }
}

#[test]
fn lzf_copies_what_it_wrote_before() {
    // Three literals, then a copy of six bytes from a distance of three, then one literal.
    let encoded = [2, b'a', b'b', b'c', 4 << 5, 2, 0, b'd'];
    let decoded = decode(&pipeline(&[LZF], 1), &encoded, 0, 10).expect("a sound stream");
    assert_eq!(decoded, b"abcabcabcd");
    for cut in 1..encoded.len() {
        assert!(decode(&pipeline(&[LZF], 1), &encoded[..cut], 0, 10).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_chunk_that_is_damaged_is_refused() {
    let chunk = [7u8; 4000];
    for ids in [&[DEFLATE][..], &[FLETCHER32], &[SHUFFLE, DEFLATE, FLETCHER32], &[ZSTD]] {
        let (encoded, pipeline) = (encode(ids, 0, 4, &chunk), pipeline(ids, 4));
        assert!(decode(&pipeline, &encoded[..encoded.len() / 2], 0, 4000).is_err(), "{ids:?} cut");
        assert!(decode(&pipeline, &encoded, 0, 3999).is_err(), "{ids:?} is too long");
        assert!(decode(&pipeline, &encoded, 0, 4001).is_err(), "{ids:?} is too short");
        assert!(decode(&pipeline, &[], 0, 4000).is_err(), "{ids:?} of nothing");
    }
}

#[test]
fn no_room_is_made_for_what_cannot_be() {
    let error = decode(&pipeline(&[DEFLATE], 1), &[0; 100], 0, u32::MAX as usize);
    assert!(error.expect_err("100 bytes").message().contains("cannot decode to"));
}

#[test]
fn a_filter_that_is_not_offered_is_refused_by_name() {
    for (id, want) in [
        (32_013, "filter zfp (32013) of variable `x` is not supported"),
        (32_026, "filter blosc2 (32026) of variable `x` is not supported"),
        (31_999, "filter 31999 of variable `x` is not supported"),
    ] {
        let error = pipeline(&[SHUFFLE, id], 4).check("x").expect_err("it is not supported");
        assert_eq!(error.message(), want);
    }
    assert!(pipeline(&[SHUFFLE, DEFLATE, FLETCHER32, LZF, ZSTD], 4).check("x").is_ok());
}
