use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use proptest::prelude::{any, proptest};
use serde::{Deserialize, Serialize};

use super::{Cbor, Coder, Context, Preview, decode_all};
use crate::element::Element;

#[track_caller]
fn check<T: Element + PartialEq + Debug>(value: &T, nested: &[u8], outer: &[u8]) {
    let coder = T::coder();
    for (context, want) in [(Context::Nested, nested), (Context::Outer, outer)] {
        let mut bytes = Vec::new();
        coder.encode(value, context, &mut bytes).expect("encodes");
        assert_eq!(bytes, want, "{context:?}");
        let mut input = &bytes[..];
        assert_eq!(&coder.decode(context, &mut input).expect("decodes"), value);
        assert!(input.is_empty());
    }
    let mut head = Vec::new();
    let tail = coder.encode_shared(value, &mut head).expect("encodes");
    assert_eq!([&head[..], &tail[..]].concat(), outer);
    assert_eq!(&coder.decode_shared(&head, tail).expect("decodes"), value);
}

#[test]
fn integers_are_beam_varints() {
    check(&300i64, &[0xac, 0x02], &[0xac, 0x02]);
    check(
        &-1i64,
        &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
    );
    check(
        &-2i16,
        &[0xfe, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        &[0xfe, 255, 255, 255, 255, 255, 255, 255, 255, 1],
    );
}

#[test]
fn types_that_beam_lacks_say_their_length_when_nested() {
    check(&300u64, &[2, 0xac, 0x02], &[0xac, 0x02]);
    check(&(1i64, true, "a".to_owned()), &[4, 1, 1, 1, b'a'], &[1, 1, 1, b'a']);
    check(&(), &[0], &[]);
    check(&300usize, &[2, 0xac, 0x02], &[0xac, 0x02]);
    check(&1.5f32, &[4, 0x3f, 0xc0, 0, 0], &[0x3f, 0xc0, 0, 0]);
    check(&Bytes::from_static(b"ab"), &[2, b'a', b'b'], b"ab");
}

#[track_caller]
fn check_known<T: Element>(value: &T, kind: &str, is_deterministic: bool, shown: &str) {
    let coder = T::coder();
    let known = (coder.kind().to_string(), coder.is_deterministic());
    assert_eq!((known.0.as_str(), known.1), (kind, is_deterministic));
    let mut preview = Preview::default();
    coder.preview(value, &mut preview);
    assert_eq!(preview.finish(), shown);
}

#[test]
fn coders_say_what_they_are_and_show_values() {
    check_known(&true, "bool", true, "true");
    check_known(&-7i32, "varint", true, "-7");
    check_known(&7usize, "u64", true, "7");
    check_known(&1.5f32, "f32", false, "1.5");
    check_known(&1.5f64, "double", false, "1.5");
    check_known(&Bytes::from_static(b"ab"), "bytes", true, "\"ab\"");
}

#[test]
fn a_pair_ends_in_the_context_of_the_pair() {
    let pair = ("ab".to_owned(), b"cd".to_vec());
    check(&pair, &[2, b'a', b'b', 2, b'c', b'd'], &[2, b'a', b'b', b'c', b'd']);
}

#[test]
fn iterables_and_options_are_beam_ones() {
    check(&vec![1i64, 300], &[0, 0, 0, 2, 1, 0xac, 2], &[0, 0, 0, 2, 1, 0xac, 2]);
    check(&Some(300i64), &[1, 0xac, 2], &[1, 0xac, 2]);
    check(&None::<i64>, &[0], &[0]);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, derive::Element)]
#[element(crate = "crate")]
struct Reading {
    station: String,
    levels: Vec<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, derive::Element)]
#[element(crate = "crate")]
enum Unsteady {
    Value(f64),
    Names { by_code: BTreeMap<String, i64> },
}

fn reading() -> Reading {
    Reading { station: "C3".to_owned(), levels: vec![1, -2] }
}

#[test]
fn derived_coders_know_whether_they_are_deterministic() {
    assert!(Reading::coder().is_deterministic());
    assert!(!Unsteady::coder().is_deterministic());
    assert!(!Cbor::<BTreeMap<String, i64>>::coder().is_deterministic());
    assert!(reading().heap_bytes() >= 2 + 16);
}

#[test]
fn derived_elements_come_back_and_are_recognisable() {
    let mut bytes = Vec::new();
    Reading::coder().encode(&reading(), Context::Outer, &mut bytes).expect("encodes");
    assert_eq!(decode_all::<Reading, _>(&Reading::coder(), &bytes).expect("decodes"), reading());
    let mut preview = Preview::default();
    Reading::coder().preview(&reading(), &mut preview);
    assert_eq!(preview.finish(), r#"Reading{station="C3", levels=[1, -2]}"#);
}

#[track_caller]
fn refuses<T: Element + Debug>(bytes: &[u8], why: &str) {
    let error = decode_all::<T, _>(&T::coder(), bytes).expect_err("must not decode");
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn damaged_bytes_are_refused() {
    refuses::<bool>(&[2], "neither 0 nor 1");
    refuses::<i64>(&[0x80], "ends within it");
    refuses::<i64>(&[1, 1], "1 bytes follow");
    refuses::<i32>(&[0xff, 0xff, 0xff, 0xff, 0xff, 1], "out of range");
    refuses::<String>(&[0xff], "invalid utf-8");
    refuses::<Vec<i64>>(&[0x7f, 0xff, 0xff, 0xff, 1], "ends within it");
    refuses::<Reading>(&[0xff, 0], "cannot decode Reading");
}

#[test]
fn a_long_preview_is_cut_between_characters() {
    let mut preview = Preview::default();
    String::coder().preview(&"ü".repeat(1000), &mut preview);
    let text = preview.finish();
    assert!(text.len() <= Preview::LIMIT_BYTES + '…'.len_utf8() && text.ends_with('…'));
}

proptest! {
    #[test]
    fn what_is_encoded_comes_back(text: String, number: u64, flag: Option<bool>, bytes: Vec<u8>) {
        let value = ((text, number), (vec![flag; 3], Bytes::from(bytes)));
        let mut out = Vec::new();
        <((String, u64), (Vec<Option<bool>>, Bytes))>::coder()
            .encode(&value, Context::Nested, &mut out)?;
        let mut input = &out[..];
        let back = <((String, u64), (Vec<Option<bool>>, Bytes))>::coder()
            .decode(Context::Nested, &mut input)?;
        assert_eq!(back, value);
        assert!(input.is_empty());
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        never_panics::<(String, Vec<Option<u64>>)>(&bytes);
        never_panics::<Reading>(&bytes);
        never_panics::<(i32, bool, f32)>(&bytes);
    }
}

fn never_panics<T: Element>(bytes: &[u8]) {
    // What decodes must encode; what does not has given an error, not a panic.
    if let Ok(value) = decode_all::<T, _>(&T::coder(), bytes) {
        T::coder().encode(&value, Context::Nested, &mut Vec::new()).expect("encodes");
    }
}
