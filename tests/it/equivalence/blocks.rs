//! Chunks of datasets under keys: split, consolidated, reduced, and mapped with halos.

use levain::array::{
    Chunk, DatasetChunk, DatasetSource as _, Key, MemoryDataset, Sizes, VariableChunk,
};
use levain::chunks::{
    Boundary, BoundaryMode, Chunks, Coarsen, ConsolidateVariables, DatasetToChunks, MapBlocks,
    MapOverlap, Rechunk, RechunkOptions, Reduce, Reduction, SplitVariables, Template, WindowMethod,
    coarsen_chunk, rechunk_in_memory, split_chunks,
};
use levain::prelude::*;

use super::{Size, check};

const SHAPE: [u64; 2] = [12, 7];

fn chunks(text: &str) -> Chunks {
    text.parse().expect("chunks")
}

/// `a(t, x)` with rough numbers, and `x` as a coordinate.
fn whole() -> DatasetChunk {
    let values: Vec<f64> = (0..84i32).map(|it| f64::from(it * it % 31) / 7.0).collect();
    let a = Chunk::of(SHAPE, &values).expect("as many");
    let x = Chunk::of([SHAPE[1]], &[0i64, 1, 2, 3, 4, 5, 6]).expect("seven");
    let a = VariableChunk::new("a", ["t", "x"], a).expect("named");
    let x = VariableChunk::new("x", ["x"], x).expect("named").into_coordinate();
    DatasetChunk::new(vec![a, x]).expect("lengths agree")
}

fn read(pipeline: &Pipeline, at: &str) -> PCollection<(Key, DatasetChunk)> {
    let source = MemoryDataset::new(&whole());
    pipeline.apply(DatasetToChunks::new(&source, chunks(at)).expect("chunks of the dataset"))
}

fn cut(whole: &DatasetChunk, at: &str) -> Vec<(Key, DatasetChunk)> {
    let pieces = split_chunks(&Key::default(), whole, &chunks(at)).expect("known dimensions");
    pieces.collect::<Result<_>>().expect("pieces")
}

fn template(at: &str) -> Template {
    let source = MemoryDataset::new(&whole());
    Template::of(source.dataset().clone(), chunks(at)).expect("chunks of the dataset")
}

#[test]
fn chunks_are_rechunked() {
    let (source, target) = (chunks("t=1,x=-1"), chunks("t=5,x=2"));
    let wanted = rechunk_in_memory(cut(&whole(), "t=1,x=-1"), &target).expect("a full grid");
    let sizes = Sizes::of([("t", SHAPE[0]), ("x", SHAPE[1])]);
    let options = RechunkOptions::of(8).with_max_bytes(200).with_min_bytes(40);
    let rechunk = Rechunk::new(sizes, &source, &target, options).expect("a plan");
    assert!(rechunk.stages().len() > 2);
    check(Size::Tiny, |pipeline| read(pipeline, "t=1,x=-1").apply(rechunk), wanted);
}

#[test]
fn variables_come_apart_and_together() {
    let recipe = |pipeline: &Pipeline| {
        let apart = read(pipeline, "t=5,x=-1").apply(SplitVariables);
        apart.apply(ConsolidateVariables::default())
    };
    check(Size::Tiny, recipe, cut(&whole(), "t=5,x=-1"));
}

#[test]
fn sums_of_chunks_have_the_same_bits() {
    let mean = |pipeline: &Pipeline| {
        read(pipeline, "t=1,x=4").apply(Reduce::with(Reduction::mean()).over(["t"]))
    };
    let all = whole();
    let values = all.variables()[0].elements().values::<f64>().expect("floats");
    // One chunk after the other along `t`, as the keys are ordered.
    let sums = (0..7).map(|x| (0..12).fold(0.0, |sum, t| sum + values[t * 7 + x]));
    let means: Vec<f64> = sums.map(|sum| sum / 12.0).collect();
    let means = Chunk::of([7], &means).expect("seven");
    let variables =
        vec![VariableChunk::new("a", ["x"], means).expect("named"), all.variables()[1].clone()];
    let wanted = DatasetChunk::new(variables).expect("lengths agree");
    check(Size::Tiny, mean, cut(&wanted, "x=4"));
}

#[test]
fn greatest_elements_are_combined_before_the_shuffle() {
    let recipe = |pipeline: &Pipeline| {
        let places = Reduce::with(Reduction::arg_max()).over(["t"]);
        read(pipeline, "t=5,x=-1").apply(places)
    };
    let all = whole();
    let values = all.variables()[0].elements().values::<f64>().expect("floats");
    let greatest = |x: usize| {
        let column = (0..12).map(|t| values[t * 7 + x]);
        let (place, _) = column
            .enumerate()
            .fold((0, f64::MIN), |best, it| if it.1 > best.1 { it } else { best });
        place as i64
    };
    let places = Chunk::of([7], &(0..7).map(greatest).collect::<Vec<i64>>()).expect("seven");
    let variables =
        vec![VariableChunk::new("a", ["x"], places).expect("named"), all.variables()[1].clone()];
    let wanted = DatasetChunk::new(variables).expect("lengths agree");
    check(Size::Tiny, recipe, [(Key::new([("x", 0)]), wanted)]);
}

#[test]
fn windows_and_blocks_and_halos() {
    fn halved(_: &Key, chunk: &DatasetChunk) -> Result<DatasetChunk> {
        coarsen_chunk(chunk, [("x", 2)], WindowMethod::Max, Boundary::Pad)
    }
    fn smoothed(_: &Key, block: &DatasetChunk) -> Result<DatasetChunk> {
        let a = block.expect_variable("a")?;
        let values = a.elements().values::<f64>()?;
        let width = a.elements().shape()[1] as usize;
        let rows = values.chunks_exact(width);
        let smooth = rows.flat_map(|row| {
            (0..width).map(|x| (row[x.saturating_sub(1)] + row[(x + 1).min(width - 1)]) / 2.0)
        });
        let elements = Chunk::of(a.elements().shape(), &smooth.collect::<Vec<f64>>())?;
        let others = block.variables().iter().skip(1).cloned();
        DatasetChunk::new(std::iter::once(a.with_elements(elements)?).chain(others).collect())
    }
    // At the ends, where the halo repeats them, the nearest elements are those of the whole.
    let smooth = smoothed(&Key::default(), &whole()).expect("smooths");
    let windows = [("t", 3), ("x", 2)];
    let coarse =
        coarsen_chunk(&smooth, windows, WindowMethod::Mean, Boundary::Pad).expect("it can");
    let wanted = halved(&Key::default(), &coarse).expect("halves");
    let recipe = |pipeline: &Pipeline| {
        let overlap = MapOverlap::new(&template("t=5,x=2"), smoothed);
        let overlap = overlap.along("x", 1, BoundaryMode::Nearest).expect("it fits");
        let sizes = Sizes::of([("t", SHAPE[0]), ("x", SHAPE[1])]);
        let at = chunks("t=5,x=2");
        let coarsen = Coarsen::new(sizes, &at, windows, WindowMethod::Mean, Boundary::Pad);
        let coarsen = coarsen.expect("it can");
        assert_eq!(coarsen.chunks().to_string(), "t=2,x=1");
        let coarse = read(pipeline, "t=5,x=2").apply(overlap).apply(coarsen);
        // Blocks of two are halved: cut again for that.
        let (from, to) = (chunks("t=2,x=1"), chunks("t=2,x=2"));
        let sizes = Sizes::of([("t", 4), ("x", 4)]);
        let rechunk = Rechunk::new(sizes, &from, &to, RechunkOptions::of(8)).expect("a plan");
        let dataset = MemoryDataset::new(
            &coarsen_chunk(&whole(), windows, WindowMethod::Mean, Boundary::Pad).expect("it can"),
        );
        let template = Template::of(dataset.dataset().clone(), to).expect("chunks");
        let halve = MapBlocks::new(&template, halved).expect("it is known");
        coarse.apply(rechunk).apply(halve)
    };
    check(Size::Tiny, recipe, cut(&wanted, "t=2,x=1"));
}
