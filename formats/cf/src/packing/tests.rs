use array::{Attributes, Chunk, DType, Scalar};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use serde_json::Value;

use super::{Packing, Unpackable};
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
    assert_eq!(golden::canonical(&got), golden::canonical(&want), "{case}");
}

#[test]
fn golden_cf_mask_scale_decode() {
    golden::cases("cf_mask_scale_decode.json").iter().for_each(check_golden);
}

/// An encoding of xarray: names and values, the type of the elements among them.
fn encoding(described: &Value) -> (Attributes, Option<DType>) {
    let entries = described.as_object().expect("encodings have names");
    let number = |value: &Value| match value.as_i64() {
        Some(int) => Scalar::of(int),
        None => Scalar::of(golden::float(value)),
    };
    let attribute = |(name, value): (&String, &Value)| {
        let value = match value.as_str() {
            Some(text) if name == "_Unsigned" => text.into(),
            _ => number(value).into(),
        };
        (name.clone(), value)
    };
    let dtype = entries.get("dtype").map(|it| golden::text(it).parse().expect("a known type"));
    let attributes = entries.iter().filter(|(name, _)| *name != "dtype").map(attribute);
    (attributes.collect(), dtype)
}

#[track_caller]
fn check_golden_encode(case: &Value) {
    let (input, expected) = (&case["input"], &case["expected"]);
    let dtype: DType = golden::text(&input["dtype"]).parse().expect("a known type");
    let values = golden::chunk(dtype, input["values"].as_array().expect("a list"));
    let (attributes, stored) = encoding(&input["encoding"]);
    let packing = Packing::of_encoding(&attributes, stored, dtype);
    let packed = packing.as_ref().map(|packing| packing.encode(&values, Unpackable::Wrap));
    let is_undefined = |warning: &Value| golden::text(warning).starts_with("invalid value");
    let warned = expected["warned"].as_array();
    if case["error"].is_object() || warned.is_some_and(|it| it.iter().any(is_undefined)) {
        // What C does not define, xarray warns of; here it is refused.
        assert!(!matches!(packed, Ok(Ok(_))), "{case}");
        return;
    }
    let got = packed.expect("an encoding").unwrap_or_else(|error| panic!("{error}\n{case}"));
    let dtype = golden::text(&expected["dtype"]).parse().expect("a known type");
    let want = golden::chunk(dtype, expected["values"].as_array().expect("a list"));
    assert_eq!(got.dtype(), dtype, "{case}");
    assert_eq!(golden::canonical(&got), golden::canonical(&want), "{case}");
    let words = |attributes: &Attributes| -> Vec<String> {
        let word = |(name, value): (&str, &array::AttributeValue)| match value.as_number() {
            Some(number) => format!("{name} {:?}", number.as_float()),
            None => format!("{name} {value:?}"),
        };
        let mut words: Vec<String> = attributes.iter().map(word).collect();
        words.sort();
        words
    };
    let written = packing.expect("an encoding").attributes();
    assert_eq!(words(&written), words(&golden::attributes(&expected["attrs"])), "{case}");
}

#[test]
fn golden_cf_mask_scale_encode() {
    golden::cases("cf_mask_scale_encode.json").iter().for_each(check_golden_encode);
}

#[track_caller]
fn check_refused_value<const N: usize>(
    stored: DType,
    encoding: [(&str, Scalar); N],
    value: f64,
    want: &str,
) {
    let named = encoding.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
    let packing = Packing::of_encoding(&named.collect(), Some(stored), DType::Float64);
    let values = Chunk::of([1], &[value]).expect("one");
    let packed = packing.expect("an encoding").encode(&values, Unpackable::Refuse);
    assert_eq!(packed.expect_err("unpackable").message(), want);
}

#[test]
fn what_cannot_be_packed_is_refused_by_its_value() {
    let scaled = || [("scale_factor", Scalar::of(0.5)), ("_FillValue", Scalar::of(-128))];
    let want = "a value would be stored as 200.0, which is no int8";
    check_refused_value(DType::Int8, scaled(), 100.0, want);
    let want = "a value would be stored as -128.0, and read as missing";
    check_refused_value(DType::Int8, scaled(), -64.0, want);
    check_refused_value(DType::Int8, [], f64::NAN, "no int8 stands for a missing value");
    let want = "a value would be stored as inf, which is no int64";
    check_refused_value(DType::Int64, [], f64::INFINITY, want);
    let want = "a value would be stored as 1e300, which is no float32";
    check_refused_value(DType::Float32, [], 1e300, want);
    let want = "a value would be stored as -999.0, and read as missing";
    check_refused_value(DType::Float32, [("_FillValue", Scalar::of(-999))], -999.0, want);
}

#[test]
fn encodings_that_contradict_themselves_are_refused() {
    let of = |stored, encoding: &[(&str, Scalar)]| {
        let named = encoding.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into()));
        Packing::of_encoding(&named.collect(), Some(stored), DType::Float64)
    };
    let two = [("_FillValue", Scalar::of(-1)), ("missing_value", Scalar::of(-2))];
    assert!(of(DType::Int16, &two).is_err());
    assert!(of(DType::UInt8, &two[..1]).is_err());
    assert!(of(DType::Text, &[]).is_err());
    let unsigned = of(DType::Int8, &[("_FillValue", Scalar::of(255))]);
    assert!(unsigned.is_err(), "without `_Unsigned` there is no such element");
}

#[test]
fn unsigned_values_are_stored_in_signed_elements_and_read_again() {
    let mut encoding = Attributes::default();
    encoding.set("_Unsigned", "true");
    encoding.set("_FillValue", Scalar::of(255));
    let packing = Packing::of_encoding(&encoding, Some(DType::Int8), DType::Float64);
    let packing = packing.expect("an encoding");
    let values = Chunk::of([3], &[0.0, f64::NAN, 254.0]).expect("three");
    let stored = packing.encode(&values, Unpackable::Refuse).expect("in range");
    assert_eq!(stored.values::<i8>().expect("signed"), [0, -1, -2]);
    let again = Packing::parse(&packing.attributes(), DType::Int8).expect("attributes");
    let read = again.decode(&stored).expect("decodes").values::<f32>().expect("single");
    assert!(read[0] == 0.0 && read[1].is_nan() && read[2] == 254.0, "{read:?}");
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
    fn stored_elements_are_what_was_read(raw in -30_000i16.., scale in 1e-6f64..1e6, offset in -1e3f64..1e3) {
        let mut encoding = Attributes::default();
        for (name, value) in [("scale_factor", scale), ("add_offset", offset), ("_FillValue", -32_768.0)] {
            encoding.set(name, Scalar::of(value));
        }
        let packing = Packing::of_encoding(&encoding, Some(DType::Int16), DType::Float64).expect("an encoding");
        let stored = Chunk::of([2], &[raw, i16::MIN]).expect("two");
        let read = packing.decode(&stored).expect("decodes");
        prop_assert_eq!(packing.encode(&read, Unpackable::Refuse).expect("in range"), stored);
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
