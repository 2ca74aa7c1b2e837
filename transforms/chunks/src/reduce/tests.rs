//! Reductions against what NumPy 2.4 and xarray 2026.9 make of the same arrays.

use array::{Chunk, DType, DatasetChunk, Key, Native, Sizes, VariableChunk};
use dataflow::combine::CombineFn;
use dataflow::error::ErrorCode;
use dataflow::prelude::{CombinePerKey, Create, PCollection, PTransform, Pipeline};
use dataflow::testing::{ReferenceRunner, map};

use crate::keyed::Chunks;
use crate::keyed_runs::{Keyed, chunks, cut, run_on};
use crate::reduce::{
    Boundary, Coarsen, Fanout, Groups, PerElement, Reduce, ReduceFn, Reducer, Reduction,
    WindowMethod, coarsen_chunk,
};

const NAN: f32 = f32::NAN;

fn variable<T: Native>(name: &str, dims: &[&str], shape: &[u64], values: &[T]) -> VariableChunk {
    let elements = Chunk::of(shape, values).expect("as many as the shape");
    VariableChunk::new(name, dims.iter().copied(), elements).expect("named")
}

fn dataset(variables: Vec<VariableChunk>) -> DatasetChunk {
    DatasetChunk::new(variables).expect("lengths agree")
}

/// `a(t, x)` with NaN in it, all of them at `x = 1` and at `t = 4, x = 2`.
fn holed() -> DatasetChunk {
    let values =
        [[1.5, NAN, -2.0], [4.0, NAN, -2.0], [NAN, NAN, 7.25], [-3.0, NAN, 0.5], [4.0, NAN, NAN]];
    dataset(vec![variable("a", &["t", "x"], &[5, 3], values.as_flattened())])
}

fn run<X>(input: Keyed, transform: X) -> Keyed
where
    X: PTransform<PCollection<(Key, DatasetChunk)>, Output = PCollection<(Key, DatasetChunk)>>,
{
    run_on(None, input, transform).expect("runs")
}

fn values<T: Native>(chunk: &DatasetChunk, name: &str) -> Vec<T> {
    chunk.variable(name).expect("there").elements().values().expect("of this type")
}

/// Reduces `a` over `t` in chunks of every length; the result has the bits of `want`.
#[track_caller]
fn check<T: Native + std::fmt::Debug>(reduction: Reduction, want: &[T]) {
    let bits = |values: &[T]| {
        let mut bytes = Vec::new();
        values.iter().for_each(|value| value.push_le(&mut bytes));
        bytes
    };
    for length in 1..=5 {
        let at = Chunks::of([("t", length), ("x", 2)]).expect("chunks");
        let found = run(cut(&holed(), &at), Reduce::with(reduction).over(["t"]));
        let keys: Vec<Key> = found.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(keys, [Key::new([("x", 0)]), Key::new([("x", 2)])]);
        let got: Vec<T> = found.iter().flat_map(|(_, chunk)| values::<T>(chunk, "a")).collect();
        assert_eq!(bits(&got), bits(want), "{got:?} instead of {want:?}");
    }
}

#[test]
fn floats_are_reduced_as_numpy_does_without_nan() {
    check(Reduction::sum(), &[6.5f32, 0.0, 3.75]);
    check(Reduction::mean(), &[1.625f64, f64::NAN, 0.9375]);
    check(Reduction::var(), &[8.171_875_f32, NAN, 14.324_219]);
    check(Reduction::std(), &[2.858_649_3_f32, NAN, 3.784_735]);
    check(Reduction::std().with_ddof(1), &[3.300_883_8_f32, NAN, 4.370_235_4]);
    check(Reduction::min(), &[-3.0f32, NAN, -2.0]);
    check(Reduction::max(), &[4.0f32, NAN, 7.25]);
    check(Reduction::count(), &[4i64, 0, 4]);
    check(Reduction::first(), &[1.5f32, NAN, -2.0]);
    check(Reduction::last(), &[4.0f32, NAN, 0.5]);
    check(Reduction::arg_min().with_missing_index(-1), &[3i64, -1, 0]);
    check(Reduction::arg_max().with_missing_index(-1), &[1i64, -1, 2]);
    check(Reduction::mean().with_dtype(DType::Float32), &[1.625f32, NAN, 0.9375]);
}

#[test]
fn a_nan_that_is_not_skipped_is_the_result() {
    for reduction in [
        Reduction::sum(),
        Reduction::mean(),
        Reduction::var(),
        Reduction::std(),
        Reduction::min(),
        Reduction::max(),
    ] {
        check(reduction.with_skipna(false), &[NAN; 3]);
    }
    check(Reduction::count().with_skipna(false), &[4i64, 0, 4]);
    check(Reduction::first().with_skipna(false), &[1.5f32, NAN, -2.0]);
    check(Reduction::last().with_skipna(false), &[4.0f32, NAN, NAN]);
    check(Reduction::arg_min().with_skipna(false), &[2i64, 0, 4]);
    check(Reduction::arg_max().with_skipna(false), &[2i64, 0, 4]);
}

#[test]
fn integers_are_summed_exactly_or_refused() {
    let large = 1i64 << 62;
    let whole =
        dataset(vec![variable("a", &["t", "x"], &[3, 2], &[large, 1, large, -5, -large, 3])]);
    let reduce = |reduction: Reduction, from: usize| {
        let mut pieces = cut(&whole, &chunks("t=1"));
        pieces.drain(..from);
        let reduce = Reduce::with(reduction).over(["t"]);
        run_on(None, pieces, reduce).map(|found| found[0].1.clone())
    };
    let sum = reduce(Reduction::sum(), 0).expect("it fits");
    assert_eq!(values::<i64>(&sum, "a"), [large, -1]);
    let mean = reduce(Reduction::mean(), 0).expect("it fits");
    assert_eq!(values::<f64>(&mean, "a"), [large as f64 / 3.0, -1.0 / 3.0]);
    let least = reduce(Reduction::arg_min(), 0).expect("it fits");
    assert_eq!(values::<i64>(&least, "a"), [2, 1]);
    let twice = dataset(vec![variable("a", &["t"], &[2], &[large, large])]);
    let over = || Reduce::with(Reduction::sum()).over(["t"]);
    let error = run_on(None, cut(&twice, &chunks("t=1")), over());
    let error = error.expect_err("no 64 bits hold it");
    assert_eq!(error.code(), ErrorCode::NOT_REPRESENTABLE, "{error}");
    assert_eq!(error.place("variable"), Some("a"));
    let wide = Reduce::with(Reduction::sum().with_dtype(DType::Float64)).over(["t"]);
    assert_eq!(values::<f64>(&run(cut(&twice, &chunks("t=1")), wide)[0].1, "a"), [2f64.powi(63)]);
}

#[test]
fn several_dimensions_are_reduced_together() {
    let counted: Vec<f32> = (0..24u8).map(f32::from).collect();
    let whole = dataset(vec![variable("a", &["x", "y", "z"], &[2, 3, 4], &counted)]);
    for at in ["x=1,y=-1,z=-1", "x=2,y=2,z=3", "x=1,y=1,z=1"] {
        let reduce = |reduction: Reduction| {
            let found = run(cut(&whole, &chunks(at)), Reduce::with(reduction).over(["x", "z"]));
            found.iter().flat_map(|(_, chunk)| values::<f32>(chunk, "a")).collect::<Vec<f32>>()
        };
        assert_eq!(reduce(Reduction::mean().with_skipna(false)), [7.5, 11.5, 15.5]);
        assert_eq!(reduce(Reduction::sum()), [60.0, 92.0, 124.0]);
        assert_eq!(reduce(Reduction::std()), [6.103_277_7; 3]);
    }
    let places = Reduce::with(Reduction::arg_max()).over(["x", "z"]);
    let error = run_on(None, cut(&whole, &chunks("x=1")), places);
    assert!(error.expect_err("two dimensions").to_string().contains("2 dimensions"));
}

#[test]
fn what_is_not_reduced_is_kept_and_must_be_the_same() {
    let whole = |area: [i16; 2]| {
        dataset(vec![
            variable("a", &["t", "x"], &[2, 2], &[1i32, 2, 3, 4]),
            variable("area", &["x"], &[2], &area),
            variable("t", &["t"], &[2], &[0i64, 6]).into_coordinate(),
            variable("x", &["x"], &[2], &[0.5f64, 1.5]).into_coordinate(),
        ])
    };
    let pieces = cut(&whole([7, 8]), &chunks("t=1"));
    let found = run(pieces.clone(), Reduce::with(Reduction::sum()).over(["t"]));
    let names: Vec<&str> = found[0].1.variables().iter().map(VariableChunk::name).collect();
    assert_eq!(names, ["a", "area", "x"]);
    assert_eq!(values::<i64>(&found[0].1, "a"), [4, 6]);
    assert_eq!(values::<i16>(&found[0].1, "area"), [7, 8]);
    let differing = vec![pieces[0].clone(), cut(&whole([7, 9]), &chunks("t=1"))[1].clone()];
    let error = run_on(None, differing, Reduce::with(Reduction::sum()).over(["t"]));
    assert_eq!(error.expect_err("areas differ").code(), ErrorCode::STATIC_DIFFERS);
}

#[test]
fn texts_are_refused_by_name() {
    let texts = Chunk::of_texts([2], &["a", "b"]).expect("two");
    let whole = dataset(vec![VariableChunk::new("name", ["t"], texts).expect("named")]);
    let reduce = Reduce::with(Reduction::max()).over(["t"]);
    let error = run_on(None, cut(&whole, &chunks("t=1")), reduce);
    let error = error.expect_err("texts are no numbers");
    assert_eq!(
        (error.code(), error.place("variable")),
        (ErrorCode::UNSUPPORTED_FEATURE, Some("name"))
    );
}

#[test]
fn a_chunk_that_comes_twice_does_not_count_twice() {
    let pieces = cut(&holed(), &chunks("t=2"));
    let twice = [pieces.clone(), pieces].concat();
    let error = run_on(None, twice, Reduce::with(Reduction::mean()).over(["t"]));
    assert_eq!(error.expect_err("they count twice").code(), ErrorCode::NOT_ASCENDING);
}

/// Values whose sum depends on the order in which they are added.
fn rough(count: u64) -> DatasetChunk {
    let mut state = 7u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as f64 - 1e9) * 10f64.powi((state % 17) as i32 - 8)
    };
    let values: Vec<f64> = (0..count * 3).map(|_| next()).collect();
    dataset(vec![variable("a", &["t", "x"], &[count, 3], &values)])
}

#[test]
fn sums_have_the_same_bits_however_they_are_run() {
    let whole = rough(60);
    let sizes = Sizes::of([("t", 60), ("x", 3)]);
    let (at, dims) = (chunks("t=1"), ["t"]);
    let fanout = Fanout::new(&sizes, &at, &dims, 1 << 30).expect("known");
    assert_eq!(fanout.bins(), [4, 4, 4]);
    for reduction in [Reduction::sum(), Reduction::mean(), Reduction::var()] {
        for reduce in [
            Reduce::with(reduction).over(dims),
            Reduce::with(reduction).over(dims).with_fanout(fanout.clone()),
        ] {
            let want = run(cut(&whole, &at), reduce.clone());
            for seed in 0..8 {
                let got = run_on(Some(seed), cut(&whole, &at), reduce.clone());
                assert_eq!(got.expect("runs"), want);
            }
        }
        // In steps it is the same but for rounding.
        let [plain, stepped] = [None, Some(fanout.clone())].map(|fanout| {
            let reduce = Reduce::with(reduction).over(dims);
            let reduce = match fanout {
                Some(fanout) => reduce.with_fanout(fanout),
                None => reduce,
            };
            values::<f64>(&run(cut(&whole, &at), reduce)[0].1, "a")
        });
        for (a, b) in plain.iter().zip(&stepped) {
            assert!((a - b).abs() <= 1e-9 * a.abs().max(b.abs()), "{a} and {b}");
        }
    }
}

#[test]
fn months_and_hours_have_a_mean_each() {
    let count = 48u64;
    let counted: Vec<f32> = (0..count * 2).map(|it| it as f32).collect();
    let whole = dataset(vec![
        variable("a", &["t", "x"], &[count, 2], &counted),
        variable("t", &["t"], &[count], &(0..count).collect::<Vec<u64>>()).into_coordinate(),
    ]);
    let (months, hours) = ((0..count).map(|it| it / 24), (0..count).map(|it| it % 4));
    let groups = Groups::along("t", "month", months).and_then(|it| it.with("hour", hours));
    let groups = groups.expect("one label each");
    for at in ["t=1", "t=5", "t=-1,x=1"] {
        let climatology = Reduce::with(Reduction::mean()).by(groups.clone());
        let found = run(cut(&whole, &chunks(at)), climatology);
        let chunk_count = if at.contains('x') { 16 } else { 8 };
        assert_eq!(found.len(), chunk_count);
        for (key, chunk) in &found {
            let label = |name: &str| key.offset(name).expect("a label");
            assert_eq!(chunk.sizes().dimensions().collect::<Vec<_>>(), ["month", "hour", "x"]);
            // The six times of this hour in this month lie four apart.
            let first = label("month") * 24 + label("hour");
            let mean = (first * 2 + 20 + key.offset("x").unwrap_or(0)) as f64;
            let length = chunk.length("x").expect("it is kept");
            let want: Vec<f64> = (0..length).map(|it| mean + it as f64).collect();
            assert_eq!(values::<f64>(chunk, "a"), want);
        }
    }
    let few = Groups::along("t", "month", [0; 5]).expect("labels");
    let error = run_on(None, cut(&whole, &chunks("t=6")), Reduce::with(Reduction::mean()).by(few));
    assert_eq!(error.expect_err("too few labels").code(), ErrorCode::INVALID_RECIPE);
    assert!(Groups::along("t", "t", [0]).is_err());
    assert!(Groups::along("t", "a", [0]).expect("labels").with("b", [0, 1]).is_err());
}

/// The least and the greatest value.
#[derive(Clone)]
struct Ends;

impl CombineFn for Ends {
    type In = f64;
    type Acc = Vec<f64>;
    type Out = Vec<f64>;

    fn create(&self) -> Vec<f64> {
        Vec::new()
    }

    fn add(&self, ends: &mut Vec<f64>, value: f64) {
        self.merge(ends, vec![value, value]);
    }

    fn merge(&self, ends: &mut Vec<f64>, other: Vec<f64>) {
        match (&mut ends[..], &other[..]) {
            ([least, greatest], [low, high]) => {
                *least = least.min(*low);
                *greatest = greatest.max(*high);
            }
            ([], _) => *ends = other,
            _ => {}
        }
    }

    fn extract(&self, ends: Vec<f64>) -> Vec<f64> {
        ends
    }
}

#[test]
fn any_combine_function_of_floats_reduces() {
    for length in [1, 2, 5] {
        let at = Chunks::of([("t", length)]).expect("chunks");
        let reduce = Reduce::with(PerElement::of(Ends, "end", 2)).over(["t"]);
        let found = run(cut(&holed(), &at), reduce);
        let (key, chunk) = &found[0];
        assert_eq!((key, found.len()), (&Key::default(), 1));
        assert_eq!(chunk.sizes(), Sizes::of([("end", 2), ("x", 3)]));
        let got = values::<f64>(chunk, "a");
        assert!(got[1].is_nan() && got[4].is_nan());
        assert_eq!([got[0], got[2], got[3], got[5]], [-3.0, -2.0, 4.0, 7.25]);
    }
}

#[test]
fn chunks_under_keys_of_ones_own_are_combined_per_key() {
    let whole = holed();
    let pipeline = Pipeline::new();
    let chunks = pipeline.apply(Create::of(cut(&whole, &chunks("t=1"))));
    let by_parity = chunks.apply(map(|(key, chunk): (Key, DatasetChunk)| {
        (key.offset("t").unwrap_or(0) % 2, (key, chunk))
    }));
    let greatest =
        by_parity.apply(CombinePerKey::of(ReduceFn::of(Reduction::max(), [""; 0]))).collect();
    let report = pipeline.run(&ReferenceRunner).expect("runs");
    let mut found: Vec<(u64, DatasetChunk)> =
        report.get(&greatest).expect("there").iter().collect();
    found.sort_by_key(|it| it.0);
    let odd = values::<f32>(&found[1].1, "a");
    assert_eq!(found[0].1.sizes(), Sizes::of([("t", 1), ("x", 3)]));
    assert_eq!((values::<f32>(&found[0].1, "a")[2], odd[0], odd[2]), (7.25, 4.0, 0.5));
}

fn grid() -> DatasetChunk {
    let counted: Vec<f32> = (0..35u8).map(f32::from).collect();
    dataset(vec![
        variable("a", &["t", "x"], &[7, 5], &counted),
        variable("t", &["t"], &[7], &[0i64, 6, 12, 18, 24, 30, 36]).into_coordinate(),
        variable("x", &["x"], &[5], &[0.0f64, 0.5, 1.0, 1.5, 2.0]).into_coordinate(),
    ])
}

#[track_caller]
fn check_coarse(method: WindowMethod, boundary: Boundary, want: &[f32]) {
    let windows = [("t", 3), ("x", 2)];
    let coarse = coarsen_chunk(&grid(), windows, method, boundary).expect("it can");
    assert_eq!(values::<f32>(&coarse, "a"), want);
    let sizes = Sizes::of([("t", 7), ("x", 5)]);
    for at in ["t=3,x=2", "t=6,x=4", "t=2,x=3", "t=7,x=1", "t=4,x=-1"] {
        let transform =
            Coarsen::new(sizes.clone(), &chunks(at), windows, method, boundary).expect("it can");
        let at_coarse = transform.chunks().clone();
        let coarse_sizes = transform.sizes().clone();
        assert_eq!(coarse.sizes(), coarse_sizes);
        let found = run(cut(&grid(), &chunks(at)), transform);
        let mut wanted = cut(&coarse, &at_coarse);
        wanted.sort_by(|(a, _), (b, _)| a.cmp(b));
        assert_eq!(found, wanted, "{at}");
    }
}

#[test]
fn windows_become_one_element_each_as_xarray_makes_them() {
    use Boundary::{Pad, Trim};
    check_coarse(WindowMethod::Mean, Trim, &[5.5, 7.5, 20.5, 22.5]);
    check_coarse(WindowMethod::Max, Trim, &[11.0, 13.0, 26.0, 28.0]);
    check_coarse(WindowMethod::Min, Trim, &[0.0, 2.0, 15.0, 17.0]);
    check_coarse(WindowMethod::Sum, Trim, &[33.0, 45.0, 123.0, 135.0]);
    check_coarse(WindowMethod::Mean, Pad, &[5.5, 7.5, 9.0, 20.5, 22.5, 24.0, 30.5, 32.5, 34.0]);
    check_coarse(WindowMethod::Max, Pad, &[11.0, 13.0, 14.0, 26.0, 28.0, 29.0, 31.0, 33.0, 34.0]);
    check_coarse(WindowMethod::Sum, Pad, &[33.0, 45.0, 27.0, 123.0, 135.0, 72.0, 61.0, 65.0, 34.0]);
    check_coarse(WindowMethod::Nearest, Trim, &[0.0, 2.0, 15.0, 17.0]);
    let coarse =
        coarsen_chunk(&grid(), [("t", 3), ("x", 2)], WindowMethod::Max, Pad).expect("it can");
    assert_eq!(values::<f64>(&coarse, "t"), [6.0, 24.0, 36.0]);
    assert_eq!(values::<f64>(&coarse, "x"), [0.25, 1.25, 2.0]);
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    let sizes = Sizes::of([("t", 7), ("x", 5)]);
    let coarsen = |windows: [(&str, u64); 1], boundary| {
        Coarsen::new(sizes.clone(), &Chunks::default(), windows, WindowMethod::Mean, boundary)
    };
    assert!(coarsen([("t", 7)], Boundary::Exact).is_ok());
    assert!(coarsen([("t", 3)], Boundary::Exact).is_err());
    assert!(coarsen([("t", 0)], Boundary::Trim).is_err());
    assert!(coarsen([("t", 8)], Boundary::Trim).is_err());
    assert!(coarsen([("y", 2)], Boundary::Trim).is_err());
}

#[test]
fn what_depends_on_order_says_so() {
    use dataflow::combine::Accuracy;
    let is_exact = |reduction: Reduction| reduction.accuracy() == Accuracy::Exact;
    assert!(is_exact(Reduction::min()) && is_exact(Reduction::count()));
    assert!(!is_exact(Reduction::sum()) && !is_exact(Reduction::var()));
    let facts = ReduceFn::of(Reduction::mean(), ["t"]).facts();
    assert_ne!(facts.accuracy, Accuracy::Exact);
}
