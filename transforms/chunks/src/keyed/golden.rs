//! Golden vectors of xarray-beam 0.11.5: what its functions on keyed chunks give for the same input.

use array::{Chunk, DatasetChunk, Key, Sizes, VariableChunk};
use dataflow::error::{ErrorCode, Result};
use dataflow::prelude::Create;
use dataflow::testing::{TestPipeline, assert_that, shared_file};
use serde_json::{Value, json};

use crate::keyed::{
    ChunkLengths, ChunkLimit, Chunks, DatasetKeys, MultistagePlan, Rechunk, RechunkOptions,
    RechunkStage, StagePlanner, consolidate_chunk_shape, consolidate_chunks,
    count_intermediate_chunks, count_io_operations, offsets_to_slices, rechunk_in_memory,
    split_chunks, stage_chunks,
};

/// The cases of a file, or none where the vectors do not lie beside the project.
pub(crate) fn cases(file: &str) -> Vec<Value> {
    let Some(path) = shared_file(&format!("golden/{file}.json")) else { return Vec::new() };
    let text = std::fs::read_to_string(path).expect("the file is there");
    let mut root: Value = serde_json::from_str(&text).expect("vectors are JSON");
    let cases = root["cases"].take().as_array().expect("vectors have cases").clone();
    assert_eq!(Some(cases.len() as u64), root["n_cases"].as_u64());
    cases
}

pub(crate) fn named(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().expect("a whole number")
}

pub(crate) fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

pub(crate) fn texts(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    value.as_array().expect("a list").iter().map(text).collect()
}

pub(crate) fn sizes(value: &Value) -> Sizes {
    Sizes::of(named(value).map(|(name, length)| (name, number(length))))
}

fn key(offsets: &Value, vars: &Value) -> Key {
    let key = Key::new(named(offsets).map(|(name, offset)| (name, number(offset))));
    if vars.is_null() { key } else { key.with_variables(texts(vars)) }
}

pub(crate) fn chunks(value: &Value) -> Result<Chunks> {
    named(value).try_fold(Chunks::default(), |chunks, (name, length)| match length.as_i64() {
        Some(length) => chunks.with(name, length),
        None => chunks.with_lengths(name, numbers(length)),
    })
}

/// A variable of these dimensions whose elements count on from `first`.
pub(crate) fn counted(
    name: &str,
    dimensions: &[String],
    sizes: &Sizes,
    first: i64,
) -> VariableChunk {
    let length = |name: &String| sizes.get(name).expect("a size");
    let shape: Vec<u64> = dimensions.iter().map(length).collect();
    let count = shape.iter().product::<u64>() as i64;
    let elements = Chunk::of(shape, &(first..first + count).collect::<Vec<i64>>());
    VariableChunk::new(name, dimensions.to_vec(), elements.expect("as many")).expect("named")
}

fn first_value(chunk: &DatasetChunk, variable: &str) -> i64 {
    let elements = chunk.variable(variable).expect("there").elements();
    elements.values::<i64>().expect("numbers")[0]
}

fn offsets_json(key: &Key) -> Value {
    Value::Object(key.offsets().map(|(name, offset)| (name.to_owned(), json!(offset))).collect())
}

fn vars_json(key: &Key) -> Value {
    key.variables().map_or(Value::Null, |names| names.collect())
}

fn key_json(key: &Key) -> Value {
    json!({ "offsets": offsets_json(key), "vars": vars_json(key) })
}

fn sizes_json(chunk: &DatasetChunk) -> Value {
    let sizes = chunk.sizes();
    Value::Object(sizes.iter().map(|(name, length)| (name.to_owned(), json!(length))).collect())
}

#[test]
fn golden_xbeam_expanded_chunks() {
    for case in cases("xbeam_expanded_chunks") {
        let sizes = sizes(&case["input"]["dim_sizes"]);
        let axes = chunks(&case["input"]["chunks"]).and_then(|chunks| chunks.axes(&sizes));
        let Ok(axes) = axes else {
            assert!(case["error"].is_object(), "{case}");
            continue;
        };
        for (name, axis) in axes {
            let pieces = (0..axis.chunk_count()).map(|chunk| axis.chunk(chunk));
            let (starts, lengths): (Vec<u64>, Vec<u64>) =
                pieces.map(|it| (it.start, it.end - it.start)).unzip();
            assert_eq!(json!(lengths), case["expected"]["expanded"][&name], "{case}");
            assert_eq!(json!(starts), case["expected"]["offsets"][&name], "{case}");
        }
    }
}

#[test]
fn golden_xbeam_offsets_to_slices() {
    for case in cases("xbeam_offsets_to_slices") {
        let input = &case["input"];
        let key = key(&input["offsets"], &Value::Null);
        let slices = offsets_to_slices(&key, &sizes(&input["sizes"]), &sizes(&input["base"]));
        match slices {
            Ok(slices) => {
                let slices = slices.into_iter().map(|(name, it)| (name, json!([it.start, it.end])));
                assert_eq!(Value::Object(slices.collect()), case["expected"], "{case}");
            }
            Err(error) => {
                // Python's slices may begin below zero, which counts from the end: a peer that is
                // given an offset before the base would read other elements.
                let is_below = error.code() == ErrorCode::INVALID_CHUNKS
                    && case["expected"]
                        .as_object()
                        .is_some_and(|it| it.values().any(|bounds| bounds[0].as_i64() < Some(0)));
                assert!(case["error"].is_object() || is_below, "{case}: {error}");
            }
        }
    }
}

#[test]
fn golden_xbeam_split_bounds() {
    for case in cases("xbeam_split_bounds") {
        let input = &case["input"];
        let (start, stop) = (input["start"].as_u64(), input["stop"].as_u64());
        let lengths = Chunks::of([("x", input["multiple"].as_i64().expect("a number"))]);
        let (Some(start), Some(stop), Ok(chunks)) = (start, stop, lengths) else {
            assert!(case["error"].is_object(), "{case}");
            continue;
        };
        let pieces = chunks.get("x").expect("named").cut(start..stop);
        let pieces: Vec<[u64; 2]> = pieces.into_iter().map(|it| [it.start, it.end]).collect();
        assert_eq!(json!(pieces), case["expected"], "{case}");
    }
}

#[test]
fn golden_xbeam_round_key() {
    for case in cases("xbeam_round_key") {
        let target = chunks(&case["input"]["target_chunks"]).expect("chunks");
        let rounded = target.round_key(&key(&case["input"]["offsets"], &Value::Null));
        assert_eq!(offsets_json(&rounded), case["expected"], "{case}");
    }
}

#[test]
fn golden_xbeam_split_chunks() {
    for case in cases("xbeam_split_chunks") {
        let input = &case["input"];
        let sizes = sizes(&input["sizes"]);
        let dimensions: Vec<String> = sizes.dimensions().map(str::to_owned).collect();
        let names = texts(&input["variables"]);
        let variable = |(place, name): (usize, &String)| {
            counted(name, &dimensions, &sizes, 1_000_000 * place as i64)
        };
        let variables = names.iter().enumerate().map(variable).collect();
        let chunk = DatasetChunk::new(variables).expect("lengths agree");
        let key = key(&input["key"]["offsets"], &input["key"]["vars"]);
        let target = chunks(&input["target_chunks"]).expect("chunks");
        let Ok(pieces) = split_chunks(&key, &chunk, &target) else {
            assert!(case["error"].is_object(), "{case}");
            continue;
        };
        let pieces = pieces.map(|piece| {
            let (key, chunk) = piece.expect("a piece");
            let first = first_value(&chunk, &names[0]);
            json!({ "key": key_json(&key), "sizes": sizes_json(&chunk), "first_value": first })
        });
        assert_eq!(pieces.collect::<Value>(), case["expected"], "{case}");
    }
}

#[test]
fn golden_xbeam_consolidate_keys() {
    let (mut passed, mut holes) = (0, 0);
    for case in cases("xbeam_consolidate_keys") {
        let input = case["input"]["chunks"].as_array().expect("chunks").iter().map(|chunk| {
            let sizes = sizes(&chunk["sizes"]);
            let dimensions: Vec<String> = sizes.dimensions().map(str::to_owned).collect();
            let key = key(&chunk["offsets"], &chunk["vars"]);
            let names = match key.variables() {
                Some(names) => names.map(str::to_owned).collect(),
                None => vec!["a".to_owned()],
            };
            let variables = names.iter().map(|name| counted(name, &dimensions, &sizes, 0));
            (key, DatasetChunk::new(variables.collect()).expect("lengths agree"))
        });
        match consolidate_chunks(input) {
            Ok(consolidated) => {
                let described = consolidated.iter().map(|(key, chunk)| {
                    let names: Vec<&str> = chunk.variables().iter().map(|it| it.name()).collect();
                    json!({ "key": key_json(key), "sizes": sizes_json(chunk), "variables": names })
                });
                assert_eq!(described.collect::<Value>(), case["expected"], "{case}");
                passed += 1;
            }
            Err(_) if case["error"].is_object() => passed += 1,
            Err(error) => {
                // The label records the peer's defect: it joins chunks over a hole.
                let label = case["label"].as_str().expect("a label");
                assert!(label.contains("not detected by xarray-beam"), "{case}: {error}");
                assert_eq!(error.code(), ErrorCode::CHUNK_MISSING);
                holes += 1;
            }
        }
    }
    assert!((passed, holes) == (98, 10) || passed == 0, "{passed} equal, {holes} holes refused");
}

#[test]
fn golden_xbeam_in_memory_rechunk() {
    for case in cases("xbeam_in_memory_rechunk") {
        let input = &case["input"];
        let (dimensions, full) = (texts(&input["dims"]), sizes(&input["full_sizes"]));
        let whole = DatasetChunk::new(vec![counted("a", &dimensions, &full, 0)]).expect("one");
        let pieces = input["chunks"].as_array().expect("chunks").iter().map(|piece| {
            let ranges = named(&piece["offsets"]).map(|(name, offset)| {
                let start = number(offset) - number(&input["origin"][name]);
                (name, start..start + number(&piece["sizes"][name]))
            });
            let ranges: Vec<_> = ranges.collect();
            (key(&piece["offsets"], &Value::Null), whole.slice(&ranges).expect("within"))
        });
        let target = chunks(&input["target_chunks"]).expect("chunks");
        let pieces = rechunk_in_memory(pieces, &target).expect("a full grid");
        let described = pieces.iter().map(|(key, chunk)| {
            let values = chunk.variables()[0].elements().values::<i64>().expect("numbers");
            json!({ "offsets": offsets_json(key), "sizes": sizes_json(chunk), "values": values })
        });
        assert_eq!(described.collect::<Value>(), case["expected"], "{case}");
    }
}

#[test]
fn golden_xbeam_dataset_keys() {
    for case in cases("xbeam_dataset_keys") {
        let input = &case["input"];
        let variables = named(&input["variables"]).map(|(name, it)| (name.to_owned(), texts(it)));
        let chunks = chunks(&input["chunks"]).expect("chunks");
        let keys = DatasetKeys::new(&sizes(&input["dim_sizes"]), &chunks, variables);
        let mut keys = keys.expect("known dimensions");
        if input["split_vars"] == true {
            keys = keys.with_split_variables();
        }
        let threshold = number(&input["shard_keys_threshold"]);
        let shard_count = keys.shard_count(threshold, number(&input["tasks_per_shard"]));
        let in_shards = keys.shards(shard_count).into_iter().flat_map(|it| keys.keys(it));
        let described = json!({
            "task_count": keys.count(),
            "sharded_dim": keys.sharded_dimension(),
            "shard_count": shard_count,
            "keys": in_shards.map(|key| key_json(&key)).collect::<Value>(),
        });
        assert_eq!(described, case["expected"], "{case}");
        let mut in_order: Vec<Key> = keys.iter().collect();
        let mut sharded: Vec<Key> =
            keys.shards(shard_count).into_iter().flat_map(|it| keys.keys(it)).collect();
        in_order.sort();
        sharded.sort();
        assert_eq!(in_order, sharded);
    }
}

#[test]
fn golden_xbeam_count_intermediate_chunks() {
    for case in cases("xbeam_count_intermediate_chunks") {
        let input = |name: &str| number(&case["input"][name]);
        let count =
            count_intermediate_chunks(input("source_chunk"), input("target_chunk"), input("size"));
        assert_eq!(json!(count), case["expected"], "{case}");
    }
}

#[test]
fn golden_xbeam_io_ops() {
    for case in cases("xbeam_io_ops") {
        let input = |name: &str| numbers(&case["input"][name]);
        let count = count_io_operations(&input("shape"), &input("in_chunks"), &input("out_chunks"));
        assert_eq!(json!(u64::try_from(count).expect("few")), case["expected"], "{case}");
    }
}

#[test]
fn golden_xbeam_consolidate_chunk_shape() {
    for case in cases("xbeam_consolidate_chunk_shape") {
        let input = &case["input"];
        let limit = |limit: &Value| match limit.as_i64() {
            None => ChunkLimit::Keep,
            Some(-1) => ChunkLimit::Whole,
            Some(limit) => ChunkLimit::UpTo(limit.cast_unsigned()),
        };
        let limits = input["chunk_limits"].as_array();
        let limits: Option<Vec<ChunkLimit>> = limits.map(|it| it.iter().map(limit).collect());
        let (shape, chunks) = (numbers(&input["shape"]), numbers(&input["chunks"]));
        let (item_bytes, max_bytes) = (number(&input["itemsize"]), number(&input["max_mem"]));
        let grown =
            consolidate_chunk_shape(&shape, &chunks, item_bytes, max_bytes, limits.as_deref());
        match grown {
            Ok(grown) => assert_eq!(json!(grown), case["expected"], "{case}"),
            Err(error) => assert!(case["error"].is_object(), "{case}: {error}"),
        }
    }
}

#[test]
fn golden_xbeam_stage_chunks() {
    let (mut passed, mut by_one) = (0, 0);
    for case in cases("xbeam_stage_chunks") {
        let input = &case["input"];
        let count = u32::try_from(number(&input["stage_count"])).expect("few");
        let got =
            stage_chunks(&numbers(&input["read_chunks"]), &numbers(&input["write_chunks"]), count);
        if json!(got) == case["expected"] {
            passed += 1;
            continue;
        }
        check_by_one(&json!(got), &case["expected"], &case);
        by_one += 1;
    }
    assert!(by_one * 20 <= passed, "{passed} equal, {by_one} by one");
}

/// Lengths that differ by one at the most, in a case that depends on the last bits of a logarithm.
#[track_caller]
fn check_by_one(got: &Value, want: &Value, case: &Value) {
    assert_eq!(case["ulp_sensitive"], true, "{got} instead of {want} in {case}");
    match (got.as_array(), want.as_array()) {
        (Some(got), Some(want)) => {
            assert_eq!(got.len(), want.len(), "{case}");
            got.iter().zip(want).for_each(|(got, want)| check_by_one(got, want, case));
        }
        _ => assert!(number(got).abs_diff(number(want)) <= 1, "{got} instead of {want} in {case}"),
    }
}

fn planned(input: &Value, min_bytes: u64) -> Result<MultistagePlan> {
    let planner = StagePlanner {
        item_bytes: number(&input["itemsize"]),
        min_bytes,
        max_bytes: number(&input["max_mem"]),
        consolidate_reads: input["consolidate_reads"] == true,
        consolidate_writes: input["consolidate_writes"] == true,
    };
    let chunks = |name: &str| numbers(&input[name]);
    planner.plan(&chunks("shape"), &chunks("source_chunks"), &chunks("target_chunks"))
}

fn stages_json(plan: &MultistagePlan) -> Value {
    plan.stages.iter().map(|it| json!([it.read, it.intermediate, it.write])).collect()
}

#[test]
fn golden_xbeam_single_stage_plan() {
    for case in cases("xbeam_single_stage_plan") {
        let least = number(&case["input"]["itemsize"]);
        let plan = planned(&case["input"], least).expect("a plan");
        assert_eq!(stages_json(&plan), json!([case["expected"]]), "{case}");
    }
}

#[test]
fn golden_xbeam_multistage_plan() {
    let (mut passed, mut by_one) = (0, 0);
    for case in cases("xbeam_multistage_plan") {
        let plan = match planned(&case["input"], number(&case["input"]["min_mem"])) {
            Ok(plan) => plan,
            Err(error) => {
                assert!(case["error"].is_object(), "{case}: {error}");
                passed += 1;
                continue;
            }
        };
        let expected = &case["expected"];
        let got =
            json!({ "plan": stages_json(&plan), "warned_excessive_io": plan.has_excessive_io });
        if got == *expected {
            passed += 1;
            continue;
        }
        check_by_one(&got["plan"], &expected["plan"], &case);
        by_one += 1;
    }
    assert!(by_one * 20 <= passed, "{passed} equal, {by_one} by one");
}

fn options(input: &Value) -> RechunkOptions {
    let options = RechunkOptions::of(number(&input["itemsize"]));
    let options = options.with_max_bytes(number(&input["max_mem"]));
    input["min_mem"].as_u64().map_or(options, |bytes| options.with_min_bytes(bytes))
}

fn rechunk(input: &Value) -> Result<Rechunk> {
    let (source, target) = (chunks(&input["source_chunks"])?, chunks(&input["target_chunks"])?);
    Rechunk::new(sizes(&input["dim_sizes"]), &source, &target, options(input))
}

fn lengths_json(lengths: &[(String, u64)]) -> Value {
    Value::Object(lengths.iter().map(|(name, length)| (name.clone(), json!(length))).collect())
}

#[test]
fn golden_xbeam_rechunk_transform_stages() {
    for case in cases("xbeam_rechunk_transform_stages") {
        let rechunk = match rechunk(&case["input"]) {
            Ok(rechunk) => rechunk,
            Err(error) => {
                assert!(case["error"].is_object(), "{case}: {error}");
                continue;
            }
        };
        let stage = |stage: &RechunkStage| {
            json!({
                "in": lengths_json(&stage.from), "out": lengths_json(&stage.to),
                "split": stage.is_split, "consolidate": stage.is_consolidated,
            })
        };
        let described = json!({
            "source_chunks": lengths_json(rechunk.source_chunks()),
            "target_chunks": lengths_json(rechunk.target_chunks()),
            "stages": rechunk.stages().iter().map(stage).collect::<Value>(),
        });
        assert_eq!(described, case["expected"], "{case}");
    }
}

#[test]
fn golden_xbeam_rechunk_end_to_end() {
    for case in cases("xbeam_rechunk_end_to_end") {
        let input = &case["input"];
        let sizes = sizes(&input["dim_sizes"]);
        let variables: Vec<(String, Vec<String>)> =
            named(&input["variables"]).map(|(name, it)| (name.to_owned(), texts(it))).collect();
        let source = chunks(&input["source_chunks"]).expect("chunks");
        let mut keys = DatasetKeys::new(&sizes, &source, variables.clone()).expect("known");
        if input["split_vars"] == true {
            keys = keys.with_split_variables();
        }
        let all = variables.iter().enumerate().map(|(place, (name, dimensions))| {
            counted(name, dimensions, &sizes, 1000 * place as i64)
        });
        let whole = DatasetChunk::new(all.collect()).expect("lengths agree");
        let chunk_of = |key: &Key| {
            let names: Option<Vec<&str>> = key.variables().map(Iterator::collect);
            let chunk = names.map_or(whole.clone(), |names| whole.select(&names).expect("there"));
            let ranges = key.offsets().map(|(name, offset)| {
                let axis = source.get(name).unwrap_or(&ChunkLengths::Whole);
                let end = axis.end_after(offset).unwrap_or(u64::MAX);
                (name, offset..end.min(sizes.get(name).expect("known")))
            });
            chunk.slice(&ranges.collect::<Vec<_>>()).expect("within")
        };
        let elements: Vec<(Key, DatasetChunk)> =
            keys.iter().map(|key| (key.clone(), chunk_of(&key))).collect();
        let wanted = case["expected"]["chunks"].clone();
        let pipeline = TestPipeline::new();
        let rechunk = rechunk(input).expect("a plan");
        let rechunked = pipeline.apply(Create::of(elements)).apply(rechunk);
        assert_that(&rechunked).satisfies(move |found| {
            let mut found: Vec<&(Key, DatasetChunk)> = found.iter().collect();
            found.sort_by_key(|(key, _)| (vars_json(key).to_string(), key.clone()));
            let described = found.into_iter().map(|(key, chunk)| {
                let first = first_value(chunk, chunk.variables()[0].name());
                json!({
                    "offsets": offsets_json(key), "vars": vars_json(key),
                    "sizes": sizes_json(chunk), "first": first,
                })
            });
            let described = described.collect::<Value>();
            if described == wanted { Ok(()) } else { Err(format!("{described}, not {wanted}")) }
        });
        pipeline.run().expect("runs");
    }
}
