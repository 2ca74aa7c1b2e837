mod combining;
mod dead_letters;
mod elements;
mod flattening;
mod joins;
mod mergeable;

use std::fmt::Debug;

use dataflow::prelude::{
    CombineFn, CombineGlobally, CombinePerKey, Create, Element, PCollection, Pipeline,
};
use dataflow::testing::ReferenceRunner;

use crate::{Count, Filter, FlatMap, Map, Max, Mean, Min, Sum};

/// Runs the pipeline; the elements of a collection must be `want` in any order.
#[track_caller]
fn check<T: Element + Debug>(collection: &PCollection<T>, want: &[T]) {
    let collected = collection.collect();
    let report = collection.pipeline().run(&ReferenceRunner).expect("runs");
    let sorted = |values: &mut dyn Iterator<Item = T>| {
        let mut texts: Vec<String> = values.map(|value| format!("{value:?}")).collect();
        texts.sort();
        texts
    };
    let got = sorted(&mut report.get(&collected).expect("asked for").iter());
    assert_eq!(got, sorted(&mut want.iter().cloned()));
}

fn texts<const N: usize>(values: [&str; N]) -> [String; N] {
    values.map(str::to_owned)
}

fn numbers(values: &[i64]) -> PCollection<i64> {
    Pipeline::new().apply(Create::of(values.to_vec()))
}

#[test]
fn closures_run_on_every_element() {
    check(&numbers(&[1, 2, 3]).apply(Map::of(|n: i64| n * 10)), &[10, 20, 30]);
    check(
        &numbers(&[1, 2, 3]).apply(FlatMap::of(|n: i64| vec![n; n as usize])),
        &[1, 2, 2, 3, 3, 3],
    );
    check(&numbers(&[1, 2, 3]).apply(Filter::by(|n: &i64| n % 2 == 1)), &[1, 3]);
}

#[test]
fn elements_are_counted() {
    check(&numbers(&[5, 7, 5]).apply(Count::per_element()), &[(5, 2), (7, 1)]);
}

#[track_caller]
fn check_combine<C: CombineFn<In = i64, Out: Ord + Debug>>(
    function: C,
    of_numbers: C::Out,
    of_none: C::Out,
) {
    check(
        &numbers(&[3, 1, 2]).apply(CombineGlobally::of(function.clone())),
        std::slice::from_ref(&of_numbers),
    );
    check(&numbers(&[]).apply(CombineGlobally::of(function.clone())), &[of_none]);
    let keyed = numbers(&[3, 1, 2]).apply(Map::of(|n: i64| ("k".to_owned(), n)));
    check(&keyed.apply(CombinePerKey::of(function)), &[("k".to_owned(), of_numbers)]);
}

#[test]
fn combine_functions_give_what_they_say() {
    check_combine(Sum::<i64>::new(), 6, 0);
    check_combine(Count::<i64>::new(), 3, 0);
    check_combine(Min::<i64>::new(), Some(1), None);
    check_combine(Max::<i64>::new(), Some(3), None);
}

#[test]
fn an_empty_collection_has_no_sum_without_default() {
    let sum = CombineGlobally::of(Sum::<i64>::new()).without_default();
    check(&numbers(&[]).apply(sum), &[]);
}

#[test]
fn the_mean_is_the_sum_by_the_count() {
    let mean = Mean;
    let mut left = mean.create();
    mean.add(&mut left, 1.0);
    let mut right = mean.create();
    mean.add(&mut right, 2.0);
    mean.add(&mut right, 6.0);
    mean.merge(&mut left, right);
    assert_eq!(mean.extract(left), 3.0);
}

/// What a function makes of these values, one after the other.
pub(crate) fn combine_all<C: CombineFn>(
    function: &C,
    values: impl IntoIterator<Item = C::In>,
) -> C::Out {
    let mut accumulator = function.create();
    values.into_iter().for_each(|value| function.add(&mut accumulator, value));
    function.extract(accumulator)
}
