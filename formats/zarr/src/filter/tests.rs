use array::{DType, Native};
use serde_json::json;

use super::*;

fn lane(dtype: DType) -> Lane {
    Lane { dtype, swap_bytes: 1 }
}

fn filter(name: &str, configuration: &Value, dtype: DType) -> Filter {
    Filter::of(name, configuration, lane(dtype)).expect("known")
}

fn bytes_of<T: Native>(numbers: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    numbers.iter().for_each(|number| number.push_le(&mut bytes));
    bytes
}

/// What is encoded are these numbers, and what is decoded of them those.
#[track_caller]
fn check<P: Native, S: Native>(filter: &Filter, plain: &[P], stored: &[S], back: &[P]) {
    let encoded = filter.encode(&bytes_of(plain)).expect("held");
    assert_eq!(encoded, bytes_of(stored));
    assert_eq!(filter.decode(&encoded.into()).expect("decodes"), bytes_of(back));
}

#[track_caller]
fn refused<P: Native>(filter: &Filter, plain: &[P], says: &str) {
    let error = filter.encode(&bytes_of(plain)).expect_err("not held");
    assert!(error.to_string().contains(says), "{error}");
}

/// The examples of the documentation of numcodecs.
#[test]
fn examples_of_numcodecs() {
    let delta = filter("delta", &json!({"dtype": "<i2", "astype": "|i1"}), DType::Int16);
    let (plain, stored) = ([100i16, 102, 104, 106], [100i8, 2, 2, 2]);
    check(&delta, &plain, &stored, &plain);
    let line: Vec<f64> = (0..10).map(|n| 1000.0 + f64::from(n) / 9.0).collect();
    let scale = json!({"scale": 10, "offset": 1000, "dtype": "<f8", "astype": "|u1"});
    let scaled = [0u8, 1, 2, 3, 4, 6, 7, 8, 9, 10];
    let back: Vec<f64> = scaled.iter().map(|&n| f64::from(n) / 10.0 + 1000.0).collect();
    check(&filter("fixedscaleoffset", &scale, DType::Float64), &line, &scaled, &back);
    let part: Vec<f64> = (0..10).map(|n| f64::from(n) / 9.0).collect();
    let rounded = [0.0, 0.125, 0.25, 0.3125, 0.4375, 0.5625, 0.6875, 0.75, 0.875, 1.0];
    let digits = json!({"digits": 1, "dtype": "<f8"});
    check(&filter("quantize", &digits, DType::Float64), &part, &rounded, &rounded);
}

#[test]
fn mantissas_are_rounded_to_even() {
    let round = filter("numcodecs.bitround", &json!({"keepbits": 2}), DType::Float32);
    let plain = [1.0f32, 1.1, 1.125, 1.375, -1.2, 3.4e38, 0.0, 1e-45];
    // The greatest number would become infinite, and stays what it is.
    let rounded = [1.0f32, 1.0, 1.0, 1.5, -1.25, 3.4e38, 0.0, 1e-45];
    check(&round, &plain, &rounded, &rounded);
}

#[test]
fn what_masks_comes_back_and_nothing_becomes_it() {
    let mut round = filter("bitround", &json!({"keepbits": 1}), DType::Float32);
    round.kept = vec![Scalar::of(-999.0f32), Scalar::of(2.0f32)];
    let kept = [-999.0f32, f32::NAN, f32::INFINITY, 2.1];
    let encoded = round.encode(&bytes_of(&kept)).expect("held");
    assert_eq!(encoded, bytes_of(&kept));
    let scale = json!({"scale": 10, "offset": 0, "dtype": "<f4", "astype": "<i2"});
    let mut scale = filter("fixedscaleoffset", &scale, DType::Float32);
    scale.kept = vec![Scalar::of(-999.0f32)];
    check(&scale, &[-999.0f32, 1.23], &[-9990i16, 12], &[-999.0f32, 1.2]);
    refused(&scale, &[-999.01f32], "-999.01");
    refused(&scale, &[f32::NAN], "NaN does not fit int16");
    refused(&scale, &[4000.0f32], "4000 does not fit int16");
}

#[test]
fn differences_that_do_not_fit_are_refused() {
    let delta = filter("delta", &json!({"dtype": "<i4", "astype": "|i1"}), DType::Int32);
    refused(&delta, &[1i32, 1000], "int32 do not come back from int8");
    let delta = filter("delta", &json!({"dtype": "<u8"}), DType::UInt64);
    let wrapped = [u64::MAX, 1];
    check(&delta, &wrapped, &[u64::MAX, 2], &wrapped);
}

#[test]
fn a_chunk_is_padded_with_what_the_filter_holds() {
    let scale = json!({"scale": 10, "offset": 5, "dtype": "<f4", "astype": "<i2"});
    let scale = filter("fixedscaleoffset", &scale, DType::Float32);
    assert_eq!(scale.padding(&Scalar::of(f32::NAN)), Scalar::of(5.0f32));
    assert_eq!(scale.padding(&Scalar::of(1.0f32)), Scalar::of(1.0f32));
}

#[test]
fn other_byte_orders_and_types() {
    let filter = Filter::of("astype", &json!({"encode_dtype": ">i2", "decode_dtype": "<f4"}), {
        lane(DType::Float32)
    });
    let filter = filter.expect("known");
    assert_eq!(filter.encode(&bytes_of(&[258.0f32])).expect("held"), [1, 2]);
    assert_eq!(filter.decode(&vec![1, 2].into()).expect("decodes"), bytes_of(&[258.0f32]));
    refused(&filter, &[0.5f32], "do not come back");
    assert!(filter.decode(&vec![1, 2, 3].into()).is_err());
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    for (name, configuration) in [
        ("delta", json!({"dtype": "|S4"})),
        ("delta", json!({"dtype": "<i2"})),
        ("fixedscaleoffset", json!({"scale": 0, "offset": 1})),
        ("fixedscaleoffset", json!({"offset": 1})),
        ("quantize", json!({"digits": 3, "dtype": "<i4"})),
        ("bitround", json!({})),
        ("astype", json!({"encode_dtype": "<c8", "decode_dtype": "<f4"})),
    ] {
        let error = Filter::of(name, &configuration, lane(DType::Float32)).expect_err("refused");
        assert!(error.message().contains(name) || error.message().contains("S4"), "{error}");
    }
}
