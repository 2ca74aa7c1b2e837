//! Elements that fail do not end the run; what is not theirs does.

use dataflow::coder::{Coder, Context, decode_all};
use dataflow::prelude::{
    Create, DoFn, Element, Error, ErrorCode, ErrorKind, PCollection, PCollectionView, Pipeline,
    ProcessContext, Result, Tag,
};
use dataflow::testing::ReferenceRunner;

use super::{check, numbers, texts};
use crate::{Failed, Map, Outcomes, TryMap, TryParDo};

fn parse(text: &str) -> Result<i64> {
    assert!(!text.starts_with('!'), "a mark of exclamation");
    text.parse().map_err(|why: std::num::ParseIntError| {
        let cause = Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, why.to_string());
        Error::new(ErrorCode::USER_ERROR, ErrorKind::User, "no number")
            .at("file", "a.txt")
            .caused_by(cause)
    })
}

fn parsed<const N: usize>(lines: [&str; N]) -> Outcomes<String, i64> {
    Pipeline::new()
        .apply(Create::of(texts(lines)))
        .apply_named("Parse", TryMap::of(|text: String| parse(&text)))
}

/// The only element of a collection.
#[track_caller]
fn only<T: Element>(collection: &PCollection<T>) -> T {
    let collected = collection.collect();
    let report = collection.pipeline().run(&ReferenceRunner).expect("runs");
    let mut all: Vec<T> = report.get(&collected).expect("asked for").iter().collect();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn errors_and_panics_are_of_their_element_alone() {
    let outcomes = parsed(["1", "two", "!", "4"]);
    check(&outcomes.good, &[1, 4]);
    let failed = outcomes.failed.apply(Map::of(|failed: Failed<String>| {
        (failed.element, failed.error.code().number().into(), failed.error.message().to_owned())
    }));
    let panicked = "the function panicked: a mark of exclamation";
    check(
        &failed,
        &[
            ("two".to_owned(), 301u32, "no number".to_owned()),
            ("!".to_owned(), 302, panicked.to_owned()),
        ],
    );
}

#[test]
fn a_dead_letter_says_what_where_and_why() {
    let failed = only(&parsed(["two"]).failed);
    assert_eq!((failed.preview.as_str(), failed.step.as_str()), ("\"two\"", "Parse"));
    assert!(failed.recipe.contains("dead_letters.rs:"), "{}", failed.recipe);
    assert_eq!(failed.error.place("file"), Some("a.txt"));
    let cause = failed.error.cause().expect("it has a cause");
    assert_eq!(cause.message(), "invalid digit found in string");
    let recipe = &failed.recipe;
    let want = format!(
        "error[E301]: no number: invalid digit found in string\n  file     a.txt\n  \
         step     Parse\n  recipe   {recipe}\n  element  \"two\""
    );
    assert_eq!(failed.report().to_string(), want);
}

#[test]
fn a_dead_letter_travels_whole() {
    let failed = only(&parsed(["two"]).failed);
    let coder = <Failed<String>>::coder();
    for context in [Context::Outer, Context::Nested] {
        let mut bytes = Vec::new();
        coder.encode(&failed, context, &mut bytes).expect("can be encoded");
        assert_eq!(coder.decode(context, &mut &bytes[..]).expect("was encoded"), failed);
        assert!(coder.decode(context, &mut &bytes[..bytes.len() / 2]).is_err());
    }
    let mut bytes = Vec::new();
    coder.encode(&failed, Context::Outer, &mut bytes).expect("can be encoded");
    bytes.push(0);
    assert!(decode_all(&coder, &bytes).is_err());
}

const SIDE: Tag<String> = Tag::new("side");

/// Counts down from its element on both outputs, and fails at the end if it is odd.
#[derive(Clone)]
struct CountDown {
    factor: PCollectionView<i64>,
    kind: ErrorKind,
}

impl DoFn for CountDown {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        let factor = *ctx.side(&self.factor)?;
        for n in (0..element).rev() {
            ctx.output(n * factor)?;
            ctx.output_to(&SIDE, format!("{n} of {element}"))?;
        }
        ctx.count("processed", 1);
        if element % 2 == 0 {
            return Ok(());
        }
        Err(Error::new(ErrorCode::USER_ERROR, self.kind, "odd"))
    }
}

fn count_down(all: &PCollection<i64>, kind: ErrorKind) -> Outcomes<i64, i64> {
    let factor = all.pipeline().apply(Create::of([10i64])).as_singleton_view();
    let dofn = TryParDo::of(CountDown { factor, kind });
    all.apply(dofn.with_side(&factor).with_output(&SIDE))
}

#[test]
fn nothing_is_seen_of_what_a_failing_element_put_out() {
    let outcomes = count_down(&numbers(&[2, 3, 1, 0]), ErrorKind::User);
    check(&outcomes.good, &[10, 0]);
    check(&outcomes.get(&SIDE), &texts(["1 of 2", "0 of 2"]));
    check(&outcomes.failed.apply(Map::of(|failed: Failed<i64>| failed.element)), &[1, 3]);
}

#[test]
fn more_than_a_batch_is_withheld() {
    // Buffers hand over 1024 elements at once if they may.
    let outcomes = count_down(&numbers(&[3001, 3000]), ErrorKind::User);
    let sum = outcomes.good.apply(dataflow::prelude::CombineGlobally::of(crate::Sum::<i64>::new()));
    check(&sum, &[10 * 3000 * 2999 / 2]);
    check(&outcomes.failed.apply(Map::of(|failed: Failed<i64>| failed.element)), &[3001]);
}

#[test]
fn what_is_not_the_elements_ends_the_run() {
    for kind in [ErrorKind::Transient, ErrorKind::Cancelled, ErrorKind::Internal] {
        let all = numbers(&[2, 3]);
        count_down(&all, kind);
        let error = all.pipeline().run(&ReferenceRunner).expect_err("it goes through");
        assert_eq!((error.kind(), error.message()), (kind, "odd"));
    }
}

/// Puts out on a tag that nobody declared.
#[derive(Clone)]
struct Undeclared;

impl DoFn for Undeclared {
    type In = i64;
    type Out = i64;

    fn process(&mut self, _: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.output_to(&SIDE, String::new())
    }
}

#[test]
fn a_mistake_of_the_recipe_ends_the_run() {
    let all = numbers(&[2]);
    all.apply(TryParDo::of(Undeclared));
    let error = all.pipeline().run(&ReferenceRunner).expect_err("it is not declared");
    assert_eq!(error.code(), ErrorCode::NOT_DECLARED);
}

/// Counts the elements of a bundle, also those that fail.
#[derive(Clone, Default)]
struct CountBundle(i64);

impl DoFn for CountBundle {
    type In = i64;
    type Out = i64;

    fn setup(&mut self) -> Result<()> {
        self.0 = 100;
        Ok(())
    }

    fn start_bundle(&mut self) -> Result<()> {
        self.0 += 1000;
        Ok(())
    }

    fn process(&mut self, element: i64, _: &mut ProcessContext<'_, i64>) -> Result<()> {
        self.0 += 1;
        assert!(element != 0, "zero");
        Ok(())
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.output(self.0)
    }
}

#[test]
fn a_dofn_lives_on_after_an_element_that_panics() {
    let outcomes = numbers(&[0, 0, 0]).apply(TryParDo::of(CountBundle::default()));
    check(
        &outcomes.failed.apply(Map::of(|failed: Failed<i64>| failed.preview)),
        &texts(["0", "0", "0"]),
    );
    // However bundles are cut, each begins with 1100.
    let sum = outcomes.good.apply(Map::of(|n: i64| n % 1100));
    let sum = sum.apply(dataflow::prelude::CombineGlobally::of(crate::Sum::<i64>::new()));
    check(&sum, &[3]);
}
