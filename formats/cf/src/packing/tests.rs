use array::{Attributes, Chunk, DType, Scalar};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use serde_json::Value;

use super::Packing;
use crate::golden;

fn packing<const N: usize>(stored: DType, attributes: [(&str, Scalar); N]) -> Packing {
    let named = attributes.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
    Packing::parse(&named.collect(), stored).expect("numbers")
}

#[track_caller]
fn check_golden(case: &Value) {
    let input = &case["input"];
    let stored: DType = golden::text(&input["dtype"]).parse().expect("a known type");
    let raw = golden::chunk(stored, input["values"].as_array().expect("a list"));
    let is_decoded = input["mask_and_scale"] == true;
    let attributes =
        if is_decoded { golden::attributes(&input["attrs"]) } else { Attributes::default() };
    let decoded = Packing::parse(&attributes, stored).and_then(|packing| packing.decode(&raw));
    if case["error"].is_object() {
        assert!(decoded.is_err(), "{case}");
        return;
    }
    let expected = &case["expected"];
    let dtype = golden::text(&expected["dtype"]).parse().expect("a known type");
    let want = golden::chunk(dtype, expected["values"].as_array().expect("a list"));
    let got = decoded.unwrap_or_else(|error| panic!("{error}\n{case}"));
    assert_eq!(got.dtype(), dtype, "{case}");
    assert_eq!(scalars(&got), scalars(&want), "{case}");
}

/// The elements with all NaNs the same.
fn scalars(chunk: &Chunk) -> Vec<Scalar> {
    let places = 0..chunk.element_count();
    places.map(|place| super::canonical(chunk.scalar(place).expect("within"))).collect()
}

#[test]
fn golden_cf_mask_scale_decode() {
    golden::cases("cf_mask_scale_decode.json").iter().for_each(check_golden);
}

#[track_caller]
fn check_difference(a: &Packing, b: &Packing, want: Option<&str>) {
    assert_eq!(a.difference(b).as_deref(), want);
    assert_eq!(a == b, want.is_none());
}

#[test]
fn packings_differ_in_words() {
    let a = packing(DType::Int16, [("scale_factor", Scalar::of(0.01f64))]);
    let b = packing(
        DType::Int16,
        [("scale_factor", Scalar::of(0.02f64)), ("add_offset", Scalar::of(100f64))],
    );
    check_difference(&a, &a, None);
    check_difference(
        &a,
        &b,
        Some(
            "scale_factor is 0.01 (float64) in one and 0.02 (float64) in another; \
             add_offset is absent in one and 100.0 (float64) in another",
        ),
    );
}

#[test]
fn a_fill_of_another_nan_or_type_is_the_same_fill() {
    let quiet = packing(DType::Float32, [("_FillValue", Scalar::of(f32::NAN))]);
    let other = packing(DType::Float32, [("_FillValue", Scalar::of(-f32::NAN))]);
    let wide = packing(DType::Float32, [("_FillValue", Scalar::of(f64::NAN))]);
    check_difference(&quiet, &other, None);
    check_difference(&quiet, &wide, None);
    let exact = packing(DType::Int16, [("_FillValue", Scalar::of(-999f64))]);
    check_difference(&exact, &packing(DType::Int16, [("_FillValue", Scalar::of(-999i16))]), None);
}

#[test]
fn fills_that_differ_are_another_packing() {
    let a = packing(DType::Float32, [("_FillValue", Scalar::of(-999f32))]);
    let b = packing(DType::Float32, [("_FillValue", Scalar::of(1e20f32))]);
    check_difference(
        &a,
        &b,
        Some("_FillValue is -999.0 (float32) in one and 1e20 (float32) in another"),
    );
}

#[test]
fn a_valid_range_is_a_minimum_and_a_maximum() {
    let mut range = Attributes::default();
    let bounds = vec![Scalar::of(-1i16), Scalar::of(5i16)];
    range.set("valid_range", array::AttributeValue::Numbers(bounds));
    let range = Packing::parse(&range, DType::Int16).expect("numbers");
    let pair = [("valid_min", Scalar::of(-1i16)), ("valid_max", Scalar::of(5i16))];
    check_difference(&range, &packing(DType::Int16, pair), None);
}

#[test]
fn a_factor_that_is_a_text_is_refused() {
    let mut attributes = Attributes::default();
    attributes.set("scale_factor", "0.01");
    let error = Packing::parse(&attributes, DType::Int16).expect_err("a text");
    assert_eq!(error.message(), "the attribute `scale_factor` should be a number and is `0.01`");
}

#[test]
fn a_fill_that_is_a_text_is_refused_for_numbers_alone() {
    let mut attributes = Attributes::default();
    attributes.set("_FillValue", "-");
    assert!(Packing::parse(&attributes, DType::Int16).is_err());
    let texts = Packing::parse(&attributes, DType::Text).expect("a text is a fill of texts");
    let chunk = Chunk::of_texts([2], &["-", "a"]).expect("two texts");
    assert_eq!(texts.decode(&chunk).expect("texts are not masked"), chunk);
}

#[test]
fn integers_scaled_out_of_their_range_are_refused() {
    let packing = packing(DType::Int32, [("scale_factor", Scalar::of(2i32))]);
    let chunk = |value: i32| Chunk::of([1], &[value]).expect("one number");
    let decoded = packing.decode(&chunk(-1 << 30)).expect("just fits");
    assert_eq!(decoded.values::<i32>().expect("integers"), [i32::MIN]);
    assert!(packing.decode(&chunk(1 << 30)).is_err());
}

#[test]
fn a_fill_of_nan_keeps_the_stored_float() {
    let attributes = [("_FillValue", Scalar::of(f32::NAN)), ("scale_factor", Scalar::of(0.1f64))];
    let packing = packing(DType::Float32, attributes);
    let decoded = packing.decode(&Chunk::of([1], &[3f32]).expect("one")).expect("decodes");
    assert_eq!(decoded.values::<f32>().expect("the stored type"), [(3f64 * 0.1) as f32]);
}

#[test]
fn a_fill_of_unsigned_integers_is_found_among_rounded_values() {
    let mut attributes = Attributes::default();
    attributes.set("_Unsigned", "true");
    attributes.set("_FillValue", Scalar::of(i32::MAX));
    attributes.set("scale_factor", Scalar::of(2f32));
    let packing = Packing::parse(&attributes, DType::Int32).expect("numbers");
    let decoded = packing.decode(&Chunk::of([2], &[i32::MAX, -1]).expect("two")).expect("decodes");
    let values = decoded.values::<f32>().expect("single");
    assert!(values[0].is_nan());
    assert_eq!(values[1], 2f32.powi(33));
}

#[test]
fn a_packing_survives_serialisation() {
    let attributes = [("_FillValue", Scalar::of(f32::NAN)), ("scale_factor", Scalar::of(0.1f64))];
    let packing = packing(DType::Float32, attributes);
    let text = serde_json::to_string(&packing).expect("JSON");
    assert_eq!(serde_json::from_str::<Packing>(&text).expect("just written"), packing);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_packed_stays_as_it_is(values: Vec<i64>) {
        let chunk = Chunk::of([values.len() as u64], &values).expect("as many");
        let packing = packing(DType::Int64, []);
        prop_assert_eq!(packing.decode(&chunk).expect("nothing to do"), chunk);
    }

    #[test]
    fn steps_are_rounded_as_in_the_narrow_type(raw: i16, scale in any::<f32>(), offset in any::<f32>()) {
        let factors = [("scale_factor", Scalar::of(scale)), ("add_offset", Scalar::of(offset))];
        let decoded = packing(DType::Int16, factors)
            .decode(&Chunk::of([1], &[raw]).expect("one"))
            .expect("decodes");
        let got = decoded.values::<f32>().expect("single")[0];
        let want = f32::from(raw) * scale + offset;
        prop_assert_eq!(got.to_bits() << 1, want.to_bits() << 1);
    }
}
