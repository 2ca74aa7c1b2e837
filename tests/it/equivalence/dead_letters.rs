//! Elements that fail, and what they put out before they did.

use levain::prelude::*;

use super::{Size, check, numbers, texts};

/// Puts out every number below its element, then fails if the element is odd; panics at 13.
#[derive(Clone)]
struct CountUp;

impl DoFn for CountUp {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        (0..element).try_for_each(|n| ctx.output(n))?;
        assert!(element != 13, "thirteen");
        if element % 2 == 0 {
            return Ok(());
        }
        Err(Error::new(ErrorCode::USER_ERROR, ErrorKind::User, format!("{element} is odd")))
    }
}

#[test]
fn failing_elements_are_kept_and_leave_nothing_behind() {
    check(
        Size::Tiny,
        |pipeline| {
            let elements = numbers(pipeline, [2, 5, 13, 1024, 4001, 0]);
            let outcomes = elements.apply_named("CountUp", TryParDo::of(CountUp));
            let good = outcomes.good.apply(CombineGlobally::of(Sum::<i64>::new()));
            let good = good.apply(Map::of(|sum: i64| format!("sum {sum}")));
            let failed = outcomes.failed.apply(Map::of(|letter: Failed<i64>| {
                let Failed { element, error, preview, step, .. } = letter;
                format!("{element} {preview} {step} {} {}", error.code(), error.message())
            }));
            PCollectionList::of(&good, [failed]).apply(Flatten)
        },
        texts([
            // 0 + 1, and 0 + .. + 1023
            "sum 523777",
            "5 5 CountUp E301 5 is odd",
            "13 13 CountUp E302 the function panicked: thirteen",
            "4001 4001 CountUp E301 4001 is odd",
        ]),
    );
}

#[test]
fn an_element_may_put_out_more_than_memory_holds_before_it_fails() {
    check(
        Size::Large,
        |pipeline| {
            let elements = numbers(pipeline, [100_000, 100_001]);
            let outcomes = elements.apply(TryParDo::of(CountUp));
            let good = outcomes.good.apply(CombineGlobally::of(Sum::<i64>::new()));
            let failed = outcomes.failed.apply(Map::of(|letter: Failed<i64>| -letter.element));
            PCollectionList::of(&good, [failed]).apply(Flatten)
        },
        [100_000 * 99_999 / 2, -100_001],
    );
}

#[test]
fn letters_cross_stages_and_are_tried_again() {
    check(
        Size::Tiny,
        |pipeline| {
            let words = pipeline.apply(Create::of(texts(["1", "x2", "3", "y"])));
            let parse = |text: String| {
                let number = text.parse::<i64>();
                number.map_err(|why| {
                    Error::new(ErrorCode::USER_ERROR, ErrorKind::User, why.to_string())
                })
            };
            let first = words.apply(TryMap::of(parse));
            let again = first.failed.apply(Reshuffle).apply(Map::of(|letter: Failed<String>| {
                letter.element.trim_start_matches('x').to_owned()
            }));
            let second = again.apply(TryMap::of(parse));
            let lost = second.failed.apply(Map::of(|letter: Failed<String>| letter.element));
            let found = PCollectionList::of(&first.good, [second.good]).apply(Flatten);
            PCollectionList::of(&lost, [found.apply(ToStrings::elements())]).apply(Flatten)
        },
        texts(["1", "2", "3", "y"]),
    );
}

/// Puts out its element twice, and fails between the two if it is divisible by three.
#[derive(Clone)]
struct Twice;

impl DoFn for Twice {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.output(element)?;
        if element % 3 == 0 {
            return Err(Error::new(ErrorCode::USER_ERROR, ErrorKind::User, "divisible by three"));
        }
        ctx.output(element)
    }
}

#[test]
fn outputs_and_letters_keep_the_time_of_their_element() {
    check(
        Size::Tiny,
        |pipeline| {
            let at = |n: &i64| Timestamp::from_millis(*n / 10);
            let timed = numbers(pipeline, 0..60).apply(WithTimestamps::of(at));
            let outcomes = timed.apply(TryParDo::of(Twice));
            let letters = outcomes.failed.apply(Map::of(|letter: Failed<i64>| -letter.element));
            let all = PCollectionList::of(&outcomes.good, [letters]).apply(Flatten);
            all.apply(ReifyTimestamps)
                .apply(Map::of(|(n, time): (i64, Timestamp)| (n, time.millis())))
        },
        (0..60).flat_map(|n| {
            let shown = if n % 3 == 0 { vec![-n] } else { vec![n, n] };
            shown.into_iter().map(move |shown| (shown, n / 10))
        }),
    );
}
