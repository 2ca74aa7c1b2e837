//! Golden vectors of xarray-beam 0.11.5: means of chunks, and how many are merged at a time.

use array::{Chunk, DType, DatasetChunk, Key, VariableChunk};
use dataflow::prelude::{CombineGlobally, Create};
use dataflow::testing::{TestPipeline, assert_that};
use serde_json::{Value, json};

use crate::keyed::golden::{cases, chunks, named, number, numbers, sizes, texts};
use crate::reduce::function::floats;
use crate::reduce::{Fanout, Reduce, ReduceFn, Reduction, fanout_index};

#[test]
fn golden_xbeam_mean_fanout_bins() {
    for case in cases("xbeam_mean_fanout_bins") {
        let input = &case["input"];
        let chunks = chunks(&input["chunks"]).expect("chunks");
        let (dims, item_bytes) = (texts(&input["dims"]), number(&input["itemsize"]));
        let fanout = Fanout::new(&sizes(&input["sizes"]), &chunks, &dims, item_bytes);
        let fanout = fanout.expect("known dimensions");
        let got = json!({ "chunks_count": fanout.chunk_count(), "bins_per_stage": fanout.bins() });
        assert_eq!(got, case["expected"], "{case}");
    }
}

#[test]
fn golden_xbeam_fanout_index() {
    for case in cases("xbeam_fanout_index") {
        let input = &case["input"];
        let got = match input["index"].as_u64() {
            Some(index) => json!(fanout_index(index, &numbers(&input["bins_per_stage"]))),
            None => {
                let chunks = chunks(&input["chunks"]).expect("chunks");
                let fanout =
                    Fanout::new(&sizes(&input["sizes"]), &chunks, &texts(&input["dims"]), 8);
                let offsets = named(&input["key_offsets"]).map(|(name, it)| (name, number(it)));
                json!(fanout.expect("known dimensions").index_of(&Key::new(offsets)))
            }
        };
        assert_eq!(got, case["expected"], "{case}");
    }
}

/// A number, or the name of one that JSON has none for.
fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().expect("a name").parse().expect("a float"))
}

fn elements(dtype: DType, shape: [u64; 2], values: &[Value]) -> Chunk {
    let whole = || values.iter().map(|it| it.as_i64().expect("a whole number"));
    let elements = match dtype {
        DType::Int32 => {
            let values = whole().map(|it| i32::try_from(it).expect("it fits"));
            Chunk::of(shape, &values.collect::<Vec<i32>>())
        }
        DType::Int64 => Chunk::of(shape, &whole().collect::<Vec<i64>>()),
        _ => floats(dtype, values.iter().map(float))
            .and_then(|it| Chunk::new(dtype, shape, it.payload().clone())),
    };
    elements.expect("as many as the shape")
}

fn widened(chunk: &Chunk) -> Vec<f64> {
    let places = 0..chunk.element_count();
    places.map(|it| chunk.scalar(it).expect("there").as_float().expect("a number")).collect()
}

/// Means are summed in 64 bits here and in the type of the accumulator there.
fn check_close(got: &DatasetChunk, expected: &Value, case: &Value) {
    let elements = got.variable("a").expect("there").elements();
    assert_eq!(elements.dtype().to_string(), expected["dtype"], "{case}");
    let (input, accumulator) = (&case["input"]["dtype"], &case["input"]["acc_dtype"]);
    let epsilon = match accumulator.as_str().or(input.as_str()) {
        Some("float16") => 1e-3,
        Some("float32") => 1.2e-7,
        _ => 2.3e-16,
    };
    let rows = case["input"]["values"].as_array().expect("rows");
    let greatest = rows.iter().flat_map(|row| row.as_array().expect("a row")).map(float);
    // A sum is off by a few units of its greatest terms, and so is a mean.
    let limit =
        8.0 * epsilon * greatest.filter(|it| !it.is_nan()).fold(1.0, |a: f64, b| a.max(b.abs()));
    let want = expected["values"].as_array().expect("a list").iter().map(float);
    for (got, want) in widened(elements).into_iter().zip(want) {
        let is_close = (got - want).abs() <= limit || got.is_nan() && want.is_nan();
        assert!(is_close, "{got} instead of {want} in {case}");
    }
}

#[test]
fn golden_xbeam_mean_values() {
    for case in cases("xbeam_mean_values") {
        let input = &case["input"];
        let rows = input["values"].as_array().expect("rows");
        let dtype: DType = input["dtype"].as_str().expect("a name").parse().expect("a type");
        let width = rows[0].as_array().expect("a row").len() as u64;
        let step = usize::try_from(number(&input["chunk"])).expect("few");
        let pieces = rows.chunks(step).enumerate().map(|(place, rows)| {
            let values: Vec<Value> =
                rows.iter().flat_map(|row| row.as_array().expect("a row")).cloned().collect();
            let elements = elements(dtype, [rows.len() as u64, width], &values);
            let variable = VariableChunk::new("a", ["t", "x"], elements).expect("named");
            let key = Key::new([("t", (place * step) as u64), ("x", 0)]);
            (key, DatasetChunk::new(vec![variable]).expect("one"))
        });
        let pieces: Vec<(Key, DatasetChunk)> = pieces.collect();
        let mut mean = Reduction::mean().with_skipna(input["skipna"] == true);
        // The type that sums have there. Here they have 64 bits, which shows where nothing is counted.
        if let (Some(dtype), false) = (input["acc_dtype"].as_str(), input["skipna"] == true) {
            mean = mean.with_dtype(dtype.parse().expect("a type"));
        }
        let pipeline = TestPipeline::new();
        let pieces = pipeline.apply(Create::of(pieces));
        let combined = pieces.apply(CombineGlobally::of(ReduceFn::of(mean, ["t"])));
        let by_key = pieces.apply(Reduce::with(mean).over(["t"]));
        let (one, other) = (case.clone(), case.clone());
        assert_that(&combined).satisfies(move |found| {
            check_close(&found[0], &one["expected"], &one);
            Ok(())
        });
        assert_that(&by_key).satisfies(move |found| {
            assert_eq!(found[0].0, Key::new([("x", 0)]));
            check_close(&found[0].1, &other["expected"], &other);
            Ok(())
        });
        pipeline.run().expect("runs");
    }
}
