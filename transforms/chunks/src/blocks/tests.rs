//! Functions on blocks, against the same functions on whole arrays.

use array::{Chunk, DType, DatasetChunk, DatasetSource as _, Key, MemoryDataset, VariableChunk};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::blocks::{BoundaryMode, MapBlocks, MapOverlap, Template};
use crate::keyed::Chunks;
use crate::keyed_runs::{Keyed, chunks, cut, run_on, sorted};
use crate::reduce::{Boundary, WindowMethod, coarsen_chunk};

fn sorted_pieces(whole: &DatasetChunk, at: &Chunks) -> Keyed {
    sorted(cut(whole, at))
}

/// `a(t, x)` with rough numbers, and `x` as a coordinate.
fn whole(t: u64, x: u64) -> DatasetChunk {
    let values: Vec<i64> = (0..(t * x) as i64).map(|it| it * it % 101).collect();
    let a = VariableChunk::new("a", ["t", "x"], Chunk::of([t, x], &values).expect("as many"));
    let places: Vec<i64> = (0..x as i64).map(|it| it * 10).collect();
    let places = VariableChunk::new("x", ["x"], Chunk::of([x], &places).expect("as many"));
    let variables = vec![a.expect("named"), places.expect("named").into_coordinate()];
    DatasetChunk::new(variables).expect("lengths agree")
}

fn template(whole: &DatasetChunk, at: &str) -> Template {
    let dataset = MemoryDataset::new(whole).dataset().clone();
    Template::of(dataset, chunks(at)).expect("chunks of the dataset")
}

fn numbers(chunk: &DatasetChunk) -> Vec<i64> {
    chunk.variable("a").expect("there").elements().values().expect("numbers")
}

fn with_numbers(chunk: &DatasetChunk, values: &[i64]) -> Result<DatasetChunk> {
    let a = chunk.expect_variable("a")?;
    let a = a.with_elements(Chunk::of(a.elements().shape(), values)?)?;
    let others = chunk.variables().iter().filter(|it| it.name() != "a").cloned();
    DatasetChunk::new(std::iter::once(a).chain(others).collect())
}

fn doubled(_: &Key, chunk: &DatasetChunk) -> Result<DatasetChunk> {
    with_numbers(chunk, &numbers(chunk).iter().map(|it| it * 2).collect::<Vec<_>>())
}

fn halved(_: &Key, chunk: &DatasetChunk) -> Result<DatasetChunk> {
    coarsen_chunk(chunk, [("t", 2)], WindowMethod::Mean, Boundary::Pad)
}

#[test]
fn blocks_that_keep_their_lengths() {
    let whole = whole(7, 5);
    for at in ["t=3,x=2", "t=7,x=-1", "t=1,x=5"] {
        let map = MapBlocks::new(&template(&whole, at), doubled).expect("it is known");
        assert_eq!(map.template().sizes(), whole.sizes());
        assert!(map.template().is_coordinate("x"));
        let found = run_on(None, sorted_pieces(&whole, &chunks(at)), map).expect("runs");
        let wanted = doubled(&Key::default(), &whole).expect("doubles");
        assert_eq!(found, sorted_pieces(&wanted, &chunks(at)));
    }
}

#[test]
fn blocks_that_change_in_one_ratio() {
    let whole = whole(10, 5);
    let map = MapBlocks::new(&template(&whole, "t=4,x=2"), halved).expect("it is known");
    let expected = map.template();
    assert_eq!(expected.sizes().get("t"), Some(5));
    assert_eq!(expected.dataset().variable("a").map(|it| it.dtype), Some(DType::Float64));
    let found = run_on(None, sorted_pieces(&whole, &chunks("t=4,x=2")), map).expect("runs");
    let wanted = halved(&Key::default(), &whole).expect("halves");
    assert_eq!(found, sorted_pieces(&wanted, &chunks("t=2,x=2")));
}

#[test]
fn dimensions_that_are_whole_may_come_and_go() {
    fn firsts(_: &Key, chunk: &DatasetChunk) -> Result<DatasetChunk> {
        let first = chunk.slice(&[("x", 0..1)])?;
        let elements = first.expect_variable("a")?.elements();
        let elements =
            Chunk::new(elements.dtype(), [elements.shape()[0], 1], elements.payload().clone())?;
        DatasetChunk::new(vec![VariableChunk::new("a", ["t", "rank"], elements)?])
    }
    let whole = whole(6, 4);
    let map = MapBlocks::new(&template(&whole, "t=4"), firsts).expect("it is known");
    assert_eq!(map.template().sizes().to_string(), "t=6,rank=1");
    let found = run_on(None, sorted_pieces(&whole, &chunks("t=4,x=-1")), map).expect("runs");
    let keys: Vec<String> = found.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(keys, ["Key{t=0}", "Key{t=4}"]);
    assert_eq!(found.iter().flat_map(|(_, it)| numbers(it)).count(), 6);
    let error = MapBlocks::new(&template(&whole, "t=4,x=2"), firsts).expect_err("x is cut");
    assert!(error.to_string().contains("keep `x`"), "{error}");
}

#[track_caller]
fn refused<F>(map: Result<MapBlocks<F>>, why: &str) {
    let error = map.map(|_| ()).expect_err("it must be refused");
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn what_cannot_be_inferred_is_refused() {
    let whole = whole(9, 4);
    refused(MapBlocks::new(&template(&whole, "t=4"), halved), "change unevenly");
    let failing = |_: &Key, _: &DatasetChunk| -> Result<DatasetChunk> {
        Err(Error::new(ErrorCode::USER_ERROR, ErrorKind::User, "zeros have no logarithm"))
    };
    refused(MapBlocks::new(&template(&whole, "t=4"), failing), "zeros have no logarithm");
    let other = template(&whole, "t=3");
    refused(MapBlocks::with_template(&template(&whole, "t=2"), other, failing), "keep `t`");
}

#[test]
fn a_result_that_is_not_what_was_inferred_is_named() {
    let whole = whole(4, 3);
    let moody = |key: &Key, chunk: &DatasetChunk| {
        if key.offset("t") == Some(2) { chunk.slice(&[("x", 0..2)]) } else { Ok(chunk.clone()) }
    };
    let template = template(&whole, "t=1");
    let map = MapBlocks::with_template(&template, template.clone(), moody).expect("the same");
    let error = run_on(None, sorted_pieces(&whole, &chunks("t=1,x=-1")), map);
    let error = error.expect_err("one is shorter");
    assert_eq!(error.code(), ErrorCode::GRIDS_DIFFER, "{error}");
    assert_eq!((error.place("variable"), error.place("chunk")), (Some("a"), Some("Key{t=2, x=0}")));
    let misled = MapBlocks::new(&template, doubled).expect("it is known");
    let error = run_on(None, sorted_pieces(&whole, &chunks("t=3,x=2")), misled);
    assert_eq!(error.expect_err("other chunks").code(), ErrorCode::GRIDS_DIFFER);
}

/// The elements at `index + distance` along an axis, of an array with two.
fn beyond(values: &[i64], shape: [i64; 2], at: [i64; 2], modes: [BoundaryMode; 2]) -> Option<i64> {
    let mut place = [0; 2];
    for axis in 0..2 {
        let (index, length) = (at[axis], shape[axis]);
        place[axis] = match modes[axis] {
            _ if (0..length).contains(&index) => index,
            BoundaryMode::None => return None,
            BoundaryMode::Constant(value) => return Some(value as i64),
            BoundaryMode::Nearest => index.clamp(0, length - 1),
            BoundaryMode::Periodic => index.rem_euclid(length),
            _ if index < 0 => -index - 1,
            _ => 2 * length - 1 - index,
        };
    }
    Some(values[(place[0] * shape[1] + place[1]) as usize])
}

/// The sum of all elements around each one that are there, each times a number of its own.
fn around(depth: [i64; 2], shape: [i64; 2], element: impl Fn([i64; 2]) -> Option<i64>) -> Vec<i64> {
    let mut sums = Vec::new();
    for t in 0..shape[0] {
        for x in 0..shape[1] {
            let mut sum = 0;
            for i in -depth[0]..=depth[0] {
                for j in -depth[1]..=depth[1] {
                    sum += element([t + i, x + j]).unwrap_or(0) * (10 * i + j + 100);
                }
            }
            sums.push(sum);
        }
    }
    sums
}

fn check_overlap(at: &str, depth: [i64; 2], modes: [BoundaryMode; 2]) {
    let whole = whole(7, 5);
    let (all, shape) = (numbers(&whole), [7, 5]);
    let wanted = around(depth, shape, |place| beyond(&all, shape, place, modes));
    let wanted = with_numbers(&whole, &wanted).expect("as many");
    // In a block what is not in it is not there: at the ends it is nothing, elsewhere it is cut off.
    let function = move |_: &Key, block: &DatasetChunk| {
        let shape = block.expect_variable("a")?.elements().shape();
        let shape = [shape[0] as i64, shape[1] as i64];
        let values = numbers(block);
        let nothing = [BoundaryMode::None; 2];
        with_numbers(block, &around(depth, shape, |place| beyond(&values, shape, place, nothing)))
    };
    let template = template(&whole, at);
    let map = || {
        let [t, x] = depth.map(|it| it.cast_unsigned());
        let map = MapOverlap::new(&template, function).along("t", t, modes[0]);
        map.and_then(|it| it.along("x", x, modes[1])).expect("it fits")
    };
    let wanted = sorted_pieces(&wanted, &chunks(at));
    for input in [at, "t=7,x=5", "t=2,x=2"] {
        let input = sorted_pieces(&whole, &chunks(input));
        let found = run_on(None, input.clone(), map()).expect("runs");
        assert_eq!(found, wanted, "{at} {depth:?} {modes:?}");
        let seed = depth[0].cast_unsigned();
        assert_eq!(run_on(Some(seed), input, map()).expect("runs"), wanted);
    }
}

#[test]
fn halos_are_as_if_there_were_one_block() {
    use BoundaryMode::{Constant, Nearest, None, Periodic, Reflect};
    for modes in [
        [None, None],
        [Reflect, Nearest],
        [Periodic, Periodic],
        [Constant(-3.0), Constant(-3.0)],
        [Periodic, Reflect],
        [Nearest, None],
    ] {
        for at in ["t=3,x=2", "t=1,x=1", "t=-1,x=-1"] {
            check_overlap(at, [1, 1], modes);
        }
        check_overlap("t=2,x=3", [3, 0], modes);
        check_overlap("t=2,x=1", [2, 4], modes);
    }
}

#[test]
fn halos_that_do_not_fit_are_refused() {
    let whole = whole(4, 3);
    let template = template(&whole, "t=2");
    let map = || MapOverlap::new(&template, doubled);
    assert!(map().along("t", 5, BoundaryMode::None).is_err());
    assert!(map().along("y", 1, BoundaryMode::None).is_err());
    let twice = map().along("t", 1, BoundaryMode::None).expect("it fits");
    assert!(twice.along("t", 1, BoundaryMode::None).is_err());
    let half = map().along("x", 1, BoundaryMode::Constant(0.5)).expect("it fits");
    let error = run_on(None, sorted_pieces(&whole, &chunks("t=2")), half);
    assert_eq!(error.expect_err("no whole number").code(), ErrorCode::NOT_REPRESENTABLE);
}

#[test]
fn neighbours_that_are_missing_are_noticed() {
    let whole = whole(6, 3);
    let template = template(&whole, "t=2");
    let mut pieces = sorted_pieces(&whole, &chunks("t=2"));
    pieces.pop();
    let map = MapOverlap::new(&template, doubled).along("t", 1, BoundaryMode::None);
    let error = run_on(None, pieces, map.expect("it fits"));
    assert_eq!(error.expect_err("the last is missing").code(), ErrorCode::CHUNK_MISSING);
}

#[test]
fn a_function_that_cuts_its_halo_off_is_refused() {
    let whole = whole(6, 3);
    let cutting = |_: &Key, block: &DatasetChunk| block.slice(&[("t", 0..1)]);
    let map =
        MapOverlap::new(&template(&whole, "t=2"), cutting).along("t", 1, BoundaryMode::Reflect);
    let error = run_on(None, sorted_pieces(&whole, &chunks("t=2")), map.expect("it fits"));
    let error = error.expect_err("lengths differ");
    assert!(error.to_string().contains("4 elements along `t`, its result 1"), "{error}");
}
