//! What is sent is what job servers accept, and comes back as what it was.

use std::collections::BTreeSet;
use std::time::Duration;

use dataflow::bundle::Part;
use dataflow::error::ErrorCode;
use dataflow::graph::{GroupPart, NodeId};
use dataflow::plan::{CompileOptions, StageGraph, compile};
use dataflow::prelude::*;
use dataflow::testing::{each, map};
use prost::Message as _;

use super::{Handler, Role, translate, urns, validate};
use crate::proto::pipeline::{
    CombinePayload, Environment, FixedWindowsPayload, FunctionSpec, PTransform, ParDoPayload,
    Pipeline as Proto, WindowIntoPayload, WindowingStrategy,
};
use crate::tests::Sum;

fn environment() -> Environment {
    Environment { urn: urns::EXTERNAL.to_owned(), ..Environment::default() }
}

/// A pipeline with one of everything.
fn recipe(factor: i64) -> StageGraph {
    let pipeline = Pipeline::new();
    let numbers = pipeline.apply(Create::of(0..10i64)).apply(Reshuffle);
    let all = numbers.as_iterable_view();
    let odd = Tag::<i64>::new("odd");
    let view = all;
    let split = each(move |n: i64, ctx| {
        ctx.side(&view)?;
        ctx.output((n % 3, n * factor))
    });
    let outputs = numbers.apply_named("Split", split.with_side(&all).with_output(&odd));
    let odd = outputs.get(&odd);
    let pairs = outputs.main.apply(WindowInto::of(FixedWindows::of(Duration::from_secs(10))));
    let sums = pairs.apply_named("Sum", CombinePerKey::of(Sum));
    sums.collect();
    let windowed = sums.as_iterable_view();
    let looked = map(|n: i64| n).with_side(&windowed);
    let windows = odd.apply(WindowInto::of(FixedWindows::of(Duration::from_secs(10))));
    let looked = windows.apply_named("Look", looked);
    PCollectionList::of(&windows, [looked]).apply(Flatten);
    pairs.apply(GroupByKey);
    compile(&pipeline, CompileOptions { fuse: false, lift: false }).expect("it compiles")
}

fn sent(graph: &StageGraph) -> Proto {
    let pipeline = translate(graph, environment()).expect("it translates");
    validate(&pipeline).expect("a job server accepts it");
    pipeline
}

/// The transform of this name.
fn named<'p>(pipeline: &'p Proto, name: &str) -> &'p PTransform {
    let components = pipeline.components.as_ref().expect("components");
    let found = components.transforms.values().find(|it| it.unique_name == name);
    found.unwrap_or_else(|| panic!("no transform is called {name}"))
}

fn spec_of(transform: &PTransform) -> &FunctionSpec {
    transform.spec.as_ref().expect("a primitive")
}

#[test]
fn transforms_are_those_that_runners_know() {
    let pipeline = sent(&recipe(1));
    let components = pipeline.components.as_ref().expect("components");
    let specs = components.transforms.values().filter_map(|it| it.spec.as_ref());
    let found: BTreeSet<&str> = specs.map(|spec| spec.urn.as_str()).collect();
    let known = [
        urns::IMPULSE,
        urns::PAR_DO,
        urns::FLATTEN,
        urns::GROUP_BY_KEY,
        urns::WINDOW_INTO,
        urns::PRECOMBINE,
        urns::MERGE_ACCUMULATORS,
        urns::EXTRACT_OUTPUTS,
        urns::RESHUFFLE,
    ];
    assert_eq!(found, known.into_iter().collect());
    for id in pipeline.root_transform_ids {
        let name = &components.transforms[&id].unique_name;
        assert!(!name.contains('/'), "`{name}` stands in a composite");
    }
}

#[test]
fn combines_are_lifted_and_group_with_standard_coders() {
    let pipeline = sent(&recipe(1));
    let components = pipeline.components.as_ref().expect("components");
    let group = named(&pipeline, "Sum/Group");
    assert_eq!(spec_of(group).urn, urns::GROUP_BY_KEY);
    let coder = |ids: &std::collections::BTreeMap<String, String>| {
        let id = ids.values().next().expect("one");
        components.pcollections[id].coder_id.clone()
    };
    assert_eq!(coder(&group.inputs), "kv<varint,varint>");
    assert_eq!(coder(&group.outputs), "kv<varint,iterable<varint>>");
    let payload = CombinePayload::decode(&spec_of(named(&pipeline, "Sum/Precombine")).payload[..]);
    let payload = payload.expect("a payload");
    assert!(components.coders.contains_key(&payload.accumulator_coder_id));
}

#[test]
fn windows_are_those_of_beam() {
    let pipeline = sent(&recipe(1));
    let components = pipeline.components.as_ref().expect("components");
    let is_fixed = |strategy: &&WindowingStrategy| {
        strategy.window_fn.as_ref().is_some_and(|it| it.urn == urns::FIXED_WINDOWS)
    };
    let fixed = components.windowing_strategies.values().find(is_fixed).expect("fixed windows");
    let payload = &fixed.window_fn.as_ref().expect("a function").payload;
    // What Beam's Python SDK sends for windows of ten seconds.
    assert_eq!(payload, b"\x0a\x02\x08\x0a\x12\x00");
    FixedWindowsPayload::decode(&payload[..]).expect("a payload");
    assert_eq!((fixed.merge_status, fixed.window_coder_id.as_str()), (1, "interval_window"));
}

/// What is sent for a recipe.
fn sent_for(recipe: impl FnOnce(&Pipeline)) -> Proto {
    let pipeline = Pipeline::new();
    recipe(&pipeline);
    sent(&compile(&pipeline, CompileOptions { fuse: false, lift: false }).expect("it compiles"))
}

fn only(ids: &std::collections::BTreeMap<String, String>) -> &str {
    assert_eq!(ids.len(), 1);
    ids.values().next().expect("one")
}

#[test]
fn what_a_runner_makes_is_taken_over_before_it_moves_it() {
    let pipeline = sent_for(|pipeline| {
        let impulse = pipeline.apply(Impulse);
        let view = impulse.as_iterable_view();
        let pairs = pipeline.apply(Create::of([(1i64, 2i64)]));
        let groups = pairs.apply(GroupByKey);
        groups.apply_named("Spread", Reshuffle);
        let look = each(move |_: (i64, Iterable<i64>), ctx: &mut ProcessContext<'_, i64>| {
            ctx.side(&view).map(drop)
        });
        groups.apply_named("Look", look.with_side(&impulse.as_iterable_view()));
    });
    let (taken, spread) = (named(&pipeline, "GroupByKey:taken"), named(&pipeline, "Spread/Spread"));
    assert_eq!(only(&taken.inputs), only(&named(&pipeline, "GroupByKey").outputs));
    assert_eq!(only(&spread.inputs), only(&taken.outputs), "it is moved behind what takes it over");
    let look = named(&pipeline, "Look");
    assert_eq!(look.inputs["in"], only(&taken.inputs), "functions read what the runner has made");
    assert_eq!(look.inputs["side0"], only(&named(&pipeline, "Impulse:taken").outputs));
}

#[test]
fn a_flatten_of_what_others_read_too_has_a_function_between() {
    let pipeline = sent_for(|pipeline| {
        let numbers = pipeline.apply(Create::of(0..10i64));
        let own = numbers.apply_named("Own", map(|n: i64| n));
        PCollectionList::of(&own, [numbers]).apply(Flatten);
    });
    let flatten = named(&pipeline, "Flatten");
    assert_eq!(flatten.inputs["0"], only(&named(&pipeline, "Own").outputs));
    assert_eq!(flatten.inputs["1"], only(&named(&pipeline, "Flatten:in1").outputs));
    let read = only(&named(&pipeline, "Flatten:in1").inputs);
    assert_eq!(read, named(&pipeline, "Own").inputs["in"]);
}

#[test]
fn keys_that_hold_an_iterable_are_bytes() {
    let pipeline = sent_for(|pipeline| {
        pipeline.apply(Create::of([(Some(vec![1i64]), 2i64)])).apply(GroupByKey);
    });
    let components = pipeline.components.as_ref().expect("components");
    let group = named(&pipeline, "GroupByKey");
    let coder = |id: &str| components.pcollections[id].coder_id.as_str();
    assert_eq!(coder(only(&group.inputs)), "kv<bytes,varint>");
    assert_eq!(coder(only(&group.outputs)), "kv<bytes,iterable<varint>>");
}

#[test]
fn a_pipeline_of_nothing_has_something() {
    let pipeline = sent_for(|_| {});
    assert_eq!(spec_of(named(&pipeline, "Nothing/Impulse")).urn, urns::IMPULSE);
    let payload = ParDoPayload::decode(&spec_of(named(&pipeline, "Nothing/Take")).payload[..]);
    let handler = Handler::read(payload.expect("a payload").do_fn.as_ref()).expect("ours");
    let nothing = compile(&Pipeline::new(), CompileOptions { fuse: false, lift: false });
    assert_eq!(handler.role(&nothing.expect("it compiles")).expect("known"), Role::Nothing);
}

#[test]
fn all_functions_announce_that_they_ask_for_callbacks() {
    let mut pipeline = sent(&recipe(1));
    super::announce_finalization(&mut pipeline).expect("it is whole");
    validate(&pipeline).expect("a job server accepts it");
    assert_eq!(pipeline.requirements, [urns::NEEDS_FINALIZATION]);
    let components = pipeline.components.expect("components");
    let specs = components.transforms.into_values().filter_map(|it| it.spec);
    let (functions, others): (Vec<_>, Vec<_>) = specs.partition(|it| it.urn == urns::PAR_DO);
    for function in functions {
        let payload = ParDoPayload::decode(&function.payload[..]).expect("a payload");
        assert!(payload.requests_finalization);
        Handler::read(payload.do_fn.as_ref()).expect("a function of ours");
    }
    let others: BTreeSet<&str> = others.iter().map(|it| it.urn.as_str()).collect();
    let runners = [urns::IMPULSE, urns::FLATTEN, urns::GROUP_BY_KEY, urns::RESHUFFLE];
    assert_eq!(others, runners.into_iter().collect());
}

#[test]
fn a_function_comes_back_as_what_it_was() {
    let graph = recipe(1);
    let pipeline = sent(&graph);
    let node = |name: &str| {
        let found = graph.graph().iter().find(|(_, node)| node.name == name);
        found.map(|(id, _)| id).expect("it is in the recipe")
    };
    let role = |spec: Option<FunctionSpec>| {
        let handler = Handler::read(spec.as_ref()).expect("a function of ours");
        handler.role(&graph).expect("of this pipeline")
    };
    let payload = ParDoPayload::decode(&spec_of(named(&pipeline, "Split")).payload[..]);
    let do_fn = payload.expect("a payload").do_fn;
    assert_eq!(role(do_fn), Role::Part(Part::Whole(node("Split"))));
    let payload = CombinePayload::decode(&spec_of(named(&pipeline, "Sum/Merge")).payload[..]);
    let combine_fn = payload.expect("a payload").combine_fn;
    assert_eq!(role(combine_fn), Role::Part(Part::Group(node("Sum"), GroupPart::Merge)));
    let window = WindowIntoPayload::decode(&spec_of(named(&pipeline, "WindowInto")).payload[..]);
    let window_fn = window.expect("a payload").window_fn;
    assert!(matches!(role(window_fn), Role::Part(Part::Whole(NodeId(_)))));
}

#[test]
fn a_function_of_another_recipe_is_refused_and_both_are_shown() {
    let (job, worker) = (recipe(1), recipe(2));
    // The factor is captured by a closure: only a declared parameter tells them apart.
    assert_eq!(job.fingerprint(), worker.fingerprint());
    let pipeline = Pipeline::new();
    pipeline.apply(Create::of([1i64]));
    let other = compile(&pipeline, CompileOptions { fuse: false, lift: false }).expect("compiles");
    let spec = Handler::spec(&job, Role::Part(Part::Whole(NodeId(1))));
    let handler = Handler::read(Some(&spec)).expect("ours");
    let error = handler.role(&other).expect_err("another recipe");
    assert_eq!(error.code(), ErrorCode::FINGERPRINT);
    assert_eq!(error.place("driver"), Some(job.fingerprint().to_string().as_str()));
    assert_eq!(error.place("worker"), Some(other.fingerprint().to_string().as_str()));
}

#[test]
fn the_same_recipe_is_the_same_message() {
    let bytes = || sent(&recipe(1)).encode_to_vec();
    assert_eq!(bytes(), bytes());
}

#[test]
fn every_rule_of_job_servers_is_checked() {
    let good = sent(&recipe(1));
    let check = |what: &str, break_it: fn(&mut Proto)| {
        let mut broken = good.clone();
        break_it(&mut broken);
        let error = validate(&broken).expect_err("a job server refuses it");
        assert!(error.message().contains(what), "{error}");
    };
    check("root transform", |it| it.root_transform_ids.push("nothing".to_owned()));
    check("coder `varint` is missing", |it| drop(parts(it).coders.remove("varint")));
    check("strategy", |it| parts(it).windowing_strategies.clear());
    check("environment", |it| parts(it).environments.clear());
    check("two transforms", |it| {
        parts(it).transforms.values_mut().for_each(|it| it.unique_name = "same".to_owned());
    });
    check("leaves something open", |it| {
        parts(it).windowing_strategies.values_mut().for_each(|it| it.closing_behavior = 0);
    });
    check("neither that it ends", |it| {
        parts(it).pcollections.values_mut().for_each(|it| it.is_bounded = 0);
    });
    check("is the runner's", |it| {
        parts(it).transforms.values_mut().for_each(|it| it.environment_id = "levain".to_owned());
    });
    check("side input `side0` is missing", |it| {
        parts(it).transforms.values_mut().for_each(|it| drop(it.inputs.remove("side0")));
    });
}

fn parts(pipeline: &mut Proto) -> &mut crate::proto::pipeline::Components {
    pipeline.components.as_mut().expect("components")
}
