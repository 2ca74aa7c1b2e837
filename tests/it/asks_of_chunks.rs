//! What users of xarray-beam asked for, one test each, by the numbers of their list: rolling windows
//! and more than the mean.

use levain::array::{
    Chunk, DType, DatasetChunk, DatasetSource as _, Key, MemoryDataset, VariableChunk,
};
use levain::chunks::{
    BoundaryMode, Chunks, DatasetToChunks, Groups, MapOverlap, PerElement, Reduce, Reduction,
    Template,
};
use levain::prelude::{DirectRunner, PCollection, PTransform, Pipeline, Quantiles};

/// `rain(time, x)` in chunks of two steps, at six hours each.
fn rain(pipeline: &Pipeline) -> (PCollection<(Key, DatasetChunk)>, Template) {
    let drops: Vec<f32> = [1.0, 4.0, f32::NAN, 2.0, 8.0, 6.0, 3.0, 4.0, 5.0, f32::NAN].into();
    let drops = Chunk::of([5, 2], &drops).expect("ten");
    let drops = VariableChunk::new("rain", ["time", "x"], drops).expect("named");
    let source = MemoryDataset::new(&DatasetChunk::new(vec![drops]).expect("one variable"));
    let chunks: Chunks = "time=2,x=1".parse().expect("chunks");
    let template = Template::of(source.dataset().clone(), chunks.clone()).expect("chunks");
    (pipeline.apply(DatasetToChunks::new(&source, chunks).expect("chunks")), template)
}

/// What a transform makes of `rain`, by key.
fn of_rain<X>(transform: impl FnOnce(&Template) -> X) -> Vec<(Key, DatasetChunk)>
where
    X: PTransform<PCollection<(Key, DatasetChunk)>, Output = PCollection<(Key, DatasetChunk)>>,
{
    let pipeline = Pipeline::new();
    let (chunks, template) = rain(&pipeline);
    let made = chunks.apply(transform(&template)).collect();
    let report = pipeline.run(&DirectRunner::new()).expect("runs");
    let mut made: Vec<(Key, DatasetChunk)> = report.get(&made).expect("asked for").iter().collect();
    made.sort_by(|(a, _), (b, _)| a.cmp(b));
    made
}

fn floats(chunk: &DatasetChunk) -> Vec<f64> {
    let elements = chunk.variables()[0].elements();
    let places = 0..elements.element_count();
    places.map(|it| elements.scalar(it).expect("there").as_float().expect("a number")).collect()
}

#[test]
fn ask_26_a_rolling_window_sees_the_chunks_beside_it() {
    // The greatest of three steps, for every step, though chunks hold two.
    let rolling = |_: &Key, block: &DatasetChunk| {
        let variable = &block.variables()[0];
        let (values, width) = (floats(block), variable.elements().shape()[1] as usize);
        let window = |place: usize| {
            let steps = [place.checked_sub(width), Some(place), Some(place + width)];
            let steps = steps.into_iter().flatten().filter_map(|place| values.get(place));
            steps.fold(f32::NAN, |greatest, value| greatest.max(*value as f32))
        };
        let greatest: Vec<f32> = (0..values.len()).map(window).collect();
        let elements = Chunk::of(variable.elements().shape(), &greatest)?;
        DatasetChunk::new(vec![variable.with_elements(elements)?])
    };
    let rolled = of_rain(|template| {
        MapOverlap::new(template, rolling).along("time", 1, BoundaryMode::None).expect("it fits")
    });
    let first: Vec<f64> = rolled
        .iter()
        .filter(|it| it.0.offset("x") == Some(0))
        .flat_map(|it| floats(&it.1))
        .collect();
    assert_eq!(first, [1.0, 8.0, 8.0, 8.0, 5.0]);
    let second: Vec<f64> = rolled
        .iter()
        .filter(|it| it.0.offset("x") == Some(1))
        .flat_map(|it| floats(&it.1))
        .collect();
    assert_eq!(second, [4.0, 6.0, 6.0, 6.0, 4.0]);
}

#[test]
fn ask_27_more_than_the_mean_is_there() {
    let over_time = |reduction: Reduction| -> Vec<f64> {
        let reduced = of_rain(|_| Reduce::with(reduction).over(["time"]));
        reduced.iter().flat_map(|(_, chunk)| floats(chunk)).collect()
    };
    // What NumPy's `nansum`, `nanmean`, ... give along the first axis.
    assert_eq!(over_time(Reduction::sum()), [17.0, 16.0]);
    assert_eq!(over_time(Reduction::mean()), [4.25, 4.0]);
    assert_eq!(over_time(Reduction::var()), [6.6875, 2.0]);
    assert_eq!(
        over_time(Reduction::std().with_dtype(DType::Float64)),
        [6.6875f64.sqrt(), 2f64.sqrt()]
    );
    assert_eq!(over_time(Reduction::min()), [1.0, 2.0]);
    assert_eq!(over_time(Reduction::max()), [8.0, 6.0]);
    assert_eq!(over_time(Reduction::count()), [4.0, 4.0]);
    assert_eq!(over_time(Reduction::first()), [1.0, 4.0]);
    assert_eq!(over_time(Reduction::last()), [5.0, 4.0]);
    assert_eq!(over_time(Reduction::arg_min()), [0.0, 1.0]);
    assert_eq!(over_time(Reduction::arg_max()), [2.0, 2.0]);
    assert!(over_time(Reduction::sum().with_skipna(false)).iter().all(|it| it.is_nan()));

    let quantiles = of_rain(|_| {
        let quantiles = Quantiles::of([0.0, 0.5, 1.0]).expect("shares");
        Reduce::with(PerElement::of(quantiles, "quantile", 3)).over(["time", "x"])
    });
    let values = floats(&quantiles[0].1);
    assert_eq!((quantiles.len(), values[0], values[2]), (1, 1.0, 8.0));
    assert!((values[1] - 4.0).abs() <= 0.04, "{values:?}");

    // Six hours a step from midnight on: the fifth step is midnight again.
    let by_hour = of_rain(|_| {
        let hours = Groups::along("time", "hour", [0, 6, 12, 18, 0]).expect("one label each");
        Reduce::with(Reduction::mean()).by(hours)
    });
    let midnight: Vec<f64> = by_hour[..2].iter().flat_map(|(_, chunk)| floats(chunk)).collect();
    assert_eq!((by_hour.len(), midnight), (8, vec![3.0, 4.0]));
}
