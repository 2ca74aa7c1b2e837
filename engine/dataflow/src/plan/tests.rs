use std::collections::BTreeSet;

use crate::capability::{Capabilities, Capability};
use crate::combine::CombineFacts;
use crate::dofn::DoFnFacts;
use crate::plan::{CompileOptions, Fingerprint, compile};
use crate::prelude::*;

const FUSED: CompileOptions = CompileOptions { fuse: true, lift: true };
const PLAIN: CompileOptions = CompileOptions { fuse: false, lift: false };

#[derive(Clone, Default)]
struct Sum(CombineFacts);

impl CombineFn for Sum {
    type In = i64;
    type Acc = i64;
    type Out = i64;

    fn create(&self) -> i64 {
        0
    }

    fn add(&self, sum: &mut i64, value: i64) {
        *sum += value;
    }

    fn merge(&self, sum: &mut i64, other: i64) {
        *sum += other;
    }

    fn extract(&self, sum: i64) -> i64 {
        sum
    }

    fn facts(&self) -> CombineFacts {
        self.0.clone()
    }
}

/// Sums with accumulators of another type.
#[derive(Clone)]
struct SumInOptions;

impl CombineFn for SumInOptions {
    type In = i64;
    type Acc = Option<i64>;
    type Out = i64;

    fn create(&self) -> Option<i64> {
        None
    }

    fn add(&self, sum: &mut Option<i64>, value: i64) {
        *sum = Some(sum.unwrap_or(0) + value);
    }

    fn merge(&self, sum: &mut Option<i64>, other: Option<i64>) {
        *sum = Some(sum.unwrap_or(0) + other.unwrap_or(0));
    }

    fn extract(&self, sum: Option<i64>) -> i64 {
        sum.unwrap_or(0)
    }
}

/// Passes elements on.
#[derive(Clone, Default)]
struct Same(DoFnFacts);

impl DoFn for Same {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.output(element)
    }

    fn facts(&self) -> DoFnFacts {
        self.0.clone()
    }
}

/// Makes pairs of elements and themselves.
#[derive(Clone)]
struct Pair;

impl DoFn for Pair {
    type In = i64;
    type Out = (i64, i64);

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, (i64, i64)>) -> Result<()> {
        ctx.output((element, element))
    }
}

const ODD: Tag<i64> = Tag::new("odd");

fn root(pipeline: &Pipeline, name: &str) -> PCollection<i64> {
    pipeline.apply_named(&format!("{name}Impulse"), Impulse).apply_named(name, ParDo::of(Start))
}

/// Makes numbers of the impulse.
#[derive(Clone)]
struct Start;

impl DoFn for Start {
    type In = Vec<u8>;
    type Out = i64;

    fn process(&mut self, _: Vec<u8>, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        (0..3).try_for_each(|number| ctx.output(number))
    }
}

fn same(input: &PCollection<i64>, name: &str) -> PCollection<i64> {
    input.apply_named(name, ParDo::of(Same::default()))
}

fn with_side(
    input: &PCollection<i64>,
    name: &str,
    side: &PCollectionView<Iterable<i64>>,
) -> PCollection<i64> {
    input.apply_named(name, ParDo::of(Same::default()).with_side(side))
}

#[track_caller]
fn check(pipeline: &Pipeline, options: CompileOptions, want: &[&str]) {
    let plan = compile(pipeline, options).expect("compiles");
    assert_eq!(plan.explain().lines().collect::<Vec<_>>(), want);
}

#[test]
fn a_line_of_pardos_is_one_stage() {
    let pipeline = Pipeline::new();
    same(&same(&root(&pipeline, "A"), "B"), "C");
    check(&pipeline, FUSED, &["s000 AImpulse > A > B > C"]);
}

#[test]
fn unfused_every_transform_is_a_stage() {
    let pipeline = Pipeline::new();
    same(&root(&pipeline, "A"), "B");
    let want = [
        "s000 AImpulse -> e0 (bytes in turns)",
        "s001 e0 > A -> e1 (varint in turns)",
        "s002 e1 > B",
    ];
    check(&pipeline, PLAIN, &want);
}

#[test]
fn a_collection_that_is_read_twice_is_made_once() {
    let pipeline = Pipeline::new();
    let a = root(&pipeline, "A");
    same(&a, "B");
    same(&a, "C").collect();
    check(&pipeline, FUSED, &["s000 AImpulse > A > B > C -> e0 (varint in turns)"]);
}

#[test]
fn a_flatten_of_one_stage_is_fused() {
    let pipeline = Pipeline::new();
    let a = root(&pipeline, "A");
    let both = PCollectionList::of(&same(&a, "B"), [same(&a, "C")]).apply(Flatten);
    same(&both, "D");
    check(&pipeline, FUSED, &["s000 AImpulse > A > B > C > Flatten > D"]);
}

#[test]
fn a_flatten_of_a_collection_with_itself_is_fused() {
    let pipeline = Pipeline::new();
    let a = root(&pipeline, "A");
    PCollectionList::of(&a, [a.clone()]).apply(Flatten).collect();
    check(&pipeline, FUSED, &["s000 AImpulse > A > Flatten -> e0 (varint in turns)"]);
}

#[test]
fn a_flatten_across_stages_reads_them_all() {
    let pipeline = Pipeline::new();
    let (a, b) = (root(&pipeline, "A"), root(&pipeline, "B"));
    let all = PCollectionList::of(&a, [b, a.clone()]).apply(Flatten);
    same(&all, "C");
    let want = [
        "s000 AImpulse > A -> e0 (varint in turns)",
        "s001 BImpulse > B -> e1 (varint in turns)",
        "s002 e0 > e1 > e0 > Flatten > C",
    ];
    check(&pipeline, FUSED, &want);
}

#[test]
fn a_flatten_of_nothing_is_a_stage_without_input() {
    let pipeline = Pipeline::new();
    same(&PCollectionList::empty(&pipeline).apply(Flatten), "A");
    check(&pipeline, FUSED, &["s000 Flatten > A"]);
}

#[test]
fn a_side_input_of_another_stage_does_not_break_fusion() {
    let pipeline = Pipeline::new();
    let side = root(&pipeline, "A").as_iterable_view();
    with_side(&root(&pipeline, "B"), "C", &side);
    let want = ["s000 AImpulse > A -> e0 (varint in turns)", "s001 BImpulse > B > C [sides e0]"];
    check(&pipeline, FUSED, &want);
}

#[test]
fn a_side_input_of_the_own_stage_breaks_fusion() {
    let pipeline = Pipeline::new();
    let a = root(&pipeline, "A");
    let side = same(&a, "B").as_iterable_view();
    same(&with_side(&a, "C", &side), "D");
    let want = [
        "s000 AImpulse > A > B -> e0 (varint in turns), e1 (varint in turns)",
        "s001 e1 > C > D [sides e0]",
    ];
    check(&pipeline, FUSED, &want);
}

#[test]
fn a_side_input_from_behind_a_shuffle_breaks_fusion() {
    let pipeline = Pipeline::new();
    let a = root(&pipeline, "A");
    let side = a.apply(Reshuffle).as_iterable_view();
    with_side(&a, "B", &side);
    let want = [
        "s000 AImpulse > A -> e0 (varint in turns)",
        "s001 e0 > Reshuffle -> e1 (varint in turns)",
        "s002 e0 > B [sides e1]",
    ];
    check(&pipeline, FUSED, &want);
}

#[test]
fn two_stages_that_read_each_other_as_side_input_become_three() {
    let pipeline = Pipeline::new();
    let (a, b) = (root(&pipeline, "A"), root(&pipeline, "B"));
    let (side_a, side_b) = (a.as_iterable_view(), b.as_iterable_view());
    with_side(&a, "C", &side_b);
    with_side(&b, "D", &side_a);
    let want = [
        "s000 BImpulse > B -> e0 (varint in turns)",
        "s001 AImpulse > A > C [sides e0] -> e1 (varint in turns)",
        "s002 e0 > D [sides e1]",
    ];
    check(&pipeline, FUSED, &want);
}

#[test]
fn a_reshuffle_begins_a_stage() {
    let pipeline = Pipeline::new();
    same(&root(&pipeline, "A").apply(Reshuffle), "B");
    let want = ["s000 AImpulse > A -> e0 (varint in turns)", "s001 e0 > Reshuffle > B"];
    check(&pipeline, FUSED, &want);
}

#[test]
fn additional_outputs_are_fused_each_with_its_readers() {
    let pipeline = Pipeline::new();
    let split = ParDo::of(Same::default()).with_output(&ODD);
    let outputs = root(&pipeline, "A").apply_named("Split", split);
    same(&outputs.main, "B");
    same(&outputs.get(&ODD), "C").collect();
    check(&pipeline, FUSED, &["s000 AImpulse > A > Split > B > C -> e0 (varint in turns)"]);
}

#[test]
fn only_what_combines_is_lifted() {
    let pipeline = Pipeline::new();
    let pairs = root(&pipeline, "A").apply_named("Pair", ParDo::of(Pair));
    pairs.apply(GroupByKey);
    pairs.apply(CombinePerKey::of(Sum::default()));
    let stages = |how: &str| {
        let first = "s000 AImpulse > A > Pair -> e0 (by key for GroupByKey), \
                     e1 (by key for CombinePerKey";
        [format!("{first}{how})"), "s001 e0 > GroupByKey".into(), "s002 e1 > CombinePerKey".into()]
    };
    let lifted = stages(", combined before");
    check(&pipeline, FUSED, &lifted.each_ref().map(String::as_str));
    let unlifted = CompileOptions { lift: false, ..FUSED };
    check(&pipeline, unlifted, &stages("").each_ref().map(String::as_str));
}

/// Every stage waits for the two before it: a search that forgets where it was takes 2^60 steps.
#[test]
fn many_side_inputs_are_planned_quickly() {
    let pipeline = Pipeline::new();
    let mut sides = [root(&pipeline, "A"), root(&pipeline, "B")].map(|c| c.as_iterable_view());
    for index in 0..60 {
        let reader = ParDo::of(Same::default()).with_side(&sides[0]).with_side(&sides[1]);
        let read = root(&pipeline, &format!("C{index}")).apply_named(&format!("D{index}"), reader);
        sides = [sides[1], read.as_iterable_view()];
    }
    assert_eq!(compile(&pipeline, FUSED).expect("compiles").stages().len(), 62);
}

fn fingerprint(recipe: impl FnOnce(&PCollection<i64>)) -> Fingerprint {
    let pipeline = Pipeline::new();
    recipe(&root(&pipeline, "A"));
    let plans = [FUSED, PLAIN].map(|options| compile(&pipeline, options).expect("compiles"));
    assert_eq!(plans[0].fingerprint(), plans[1].fingerprint(), "options are not identity");
    *plans[0].fingerprint()
}

fn read_with_default(input: &PCollection<i64>, default: i64) {
    let side = input.as_singleton_view_or(default);
    input.apply_named("Read", ParDo::of(Same::default()).with_side(&side));
}

fn combine<C: CombineFn<In = i64>>(input: &PCollection<i64>, function: C) {
    input.apply_named("Pair", ParDo::of(Pair)).apply(CombinePerKey::of(function));
}

#[test]
fn a_fingerprint_does_not_see_recipe_lines() {
    let first = fingerprint(|input| drop(same(input, "B")));
    let second = fingerprint(|input| drop(same(input, "B")));
    assert_eq!(first, second);
    assert!(first.to_string().starts_with("fp1-"));
}

#[test]
fn a_fingerprint_sees_all_that_changes_results() {
    let do_fn = |input: &PCollection<i64>, facts: DoFnFacts| {
        input.apply_named("B", ParDo::of(Same(facts)));
    };
    let facts = DoFnFacts::default;
    let sum = |facts: CombineFacts| Sum(facts);
    let known = [
        fingerprint(|_| ()),
        fingerprint(|a| do_fn(a, facts())),
        fingerprint(|a| drop(same(a, "Other name"))),
        fingerprint(|a| do_fn(a, facts().with_parameters("limit 3"))),
        fingerprint(|a| do_fn(a, facts().with_parameters("limit 4"))),
        fingerprint(|a| do_fn(a, facts().with_version(1))),
        fingerprint(|a| drop(a.apply_named("B", ParDo::of(Pair)))),
        fingerprint(|a| drop(a.apply_named("B", ParDo::of(Same::default()).with_output(&ODD)))),
        fingerprint(|a| drop(same(&same(a, "B"), "C"))),
        fingerprint(|a| drop((same(a, "B"), same(a, "C")))),
        fingerprint(|a| drop(with_side(a, "B", &a.as_iterable_view()))),
        fingerprint(|a| read_with_default(a, 1)),
        fingerprint(|a| read_with_default(a, 2)),
        fingerprint(|a| drop(a.pipeline().apply(Create::of([1i64, 2])))),
        fingerprint(|a| drop(a.pipeline().apply(Create::of([1i64, 3])))),
        fingerprint(|a| drop(a.pipeline().apply(Create::of([true, false])))),
        fingerprint(|a| combine(a, Sum::default())),
        fingerprint(|a| combine(a, sum(CombineFacts::default().with_parameters("x")))),
        fingerprint(|a| combine(a, sum(CombineFacts::default().with_version(1)))),
        fingerprint(|a| combine(a, SumInOptions)),
    ];
    let unique: BTreeSet<Fingerprint> = known.into_iter().collect();
    assert_eq!(unique.len(), known.len(), "{known:#?}");
}

#[test]
fn a_fingerprint_does_not_see_how_a_plan_runs() {
    let working = DoFnFacts::default().with_working_bytes(1 << 30);
    let needy = fingerprint(|a| drop(a.apply_named("B", ParDo::of(Same(working)))));
    assert_eq!(needy, fingerprint(|a| drop(same(a, "B"))));
}

/// The nodes that a DOT text declares and those that its edges name; quotes and braces match.
fn read_dot(dot: &str) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let (mut declared, mut named) = (BTreeSet::new(), BTreeSet::new());
    let mut depth = 0usize;
    for line in dot.lines().map(str::trim) {
        let unescaped = line.replace("\\\\", "").replace("\\\"", "");
        assert!(unescaped.matches('"').count().is_multiple_of(2), "open quote: {line}");
        depth = depth + usize::from(line.ends_with('{')) - usize::from(line == "}");
        let statement = line.trim_end_matches(';');
        let statement = statement.split(" [").next().unwrap_or(statement);
        if let Some((from, to)) = statement.split_once(" -> ") {
            named.extend([from, to]);
        } else if line.contains(" [label=") {
            declared.insert(statement);
        }
    }
    assert_eq!(depth, 0, "braces match");
    (declared, named)
}

#[test]
fn a_plan_is_drawn_with_all_its_nodes() {
    let pipeline = Pipeline::new();
    let a = root(&pipeline, r#"says "a" \ b"#);
    let side = same(&a, "B").as_iterable_view();
    with_side(&a, "C", &side);
    let dot = compile(&pipeline, FUSED).expect("compiles").to_dot();
    let (declared, named) = read_dot(&dot);
    assert_eq!(declared.into_iter().collect::<Vec<_>>(), ["n0", "n1", "n2", "n3"]);
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["n0", "n1", "n2", "n3"]);
    assert!(dot.contains("n2 -> n3 [style=dashed];"), "side inputs are dashed: {dot}");
    assert!(dot.contains(r#"label="says \"a\" \\ b""#), "{dot}");
}

/// A runner without one capability refuses the plan by the name of the step that needs it.
#[track_caller]
fn check_refused(pipeline: &Pipeline, missing: Capability, step: &str) {
    let plan = compile(pipeline, FUSED).expect("compiles");
    plan.check_runnable("direct", Capabilities::BOUNDED).expect("is offered");
    let less = Capabilities::BOUNDED.without(missing);
    let error = plan.check_runnable("small", less).expect_err("is not offered");
    assert_eq!(error.code(), ErrorCode::RUNNER_CANNOT);
    assert_eq!(error.place("step"), Some(step));
    assert!(error.place("recipe").is_some_and(|at| at.contains("plan/tests.rs:")), "{error}");
    assert_eq!(error.message(), format!("the runner `small` does not offer {missing}"));
}

/// Keeps nothing and puts nothing out, but may.
#[derive(Clone)]
struct Keeps;

impl StatefulDoFn for Keeps {
    type Key = i64;
    type Value = i64;
    type Out = i64;

    fn process(&mut self, _: &i64, _: i64, _: &mut StatefulContext<'_, '_, i64>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_plan_that_needs_more_than_is_offered_is_refused() {
    let pipeline = Pipeline::new();
    let pairs = pipeline.apply(Create::of([(1i64, 2i64)]));
    pairs.apply(GroupByKey);
    check_refused(&pipeline, Capability::GroupByKey, "GroupByKey");
    pairs.apply_named("Keeps", StatefulParDo::of(Keeps));
    check_refused(&pipeline, Capability::State, "Keeps/Run");
}
