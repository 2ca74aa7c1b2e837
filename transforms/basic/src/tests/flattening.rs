//! Beam's cases of Flatten: `FlattenTest`, rows FL of the table in the specification.

use dataflow::prelude::{
    Create, DoFn, Flatten, GroupByKey, Iterable, PCollection, PCollectionList, PCollectionView,
    ParDo, Pipeline, ProcessContext, Reshuffle, Result,
};

use super::{check, numbers};
use crate::{Keys, Map};

fn tens(collection: &PCollection<i64>) -> PCollection<i64> {
    collection.apply(Map::of(|n: i64| n * 10))
}

#[test]
fn fl1_several_one_and_none() {
    let few = numbers(&[1, 2]);
    let more = few.pipeline().apply(Create::of([3, 4]));
    check(&PCollectionList::of(&few, [more]).apply(Flatten), &[1, 2, 3, 4]);
    check(&PCollectionList::of(&few, []).apply(Flatten), &[1, 2]);
    let none = PCollectionList::<i64>::empty(few.pipeline()).apply(Flatten);
    check(&none, &[]);
    check(&tens(&none), &[]);
}

#[test]
fn fl2_the_same_collection_twice() {
    let few = numbers(&[1, 2]);
    check(&PCollectionList::of(&few, [few.clone()]).apply(Flatten), &[1, 1, 2, 2]);
}

#[test]
fn fl3_nulls_and_values_before_and_after_a_grouping() {
    let plain = numbers(&[1, 2]).apply(Map::of(Some));
    let nullable = plain.pipeline().apply(Create::of([None, Some(2i64)]));
    let all = PCollectionList::of(&plain, [nullable]).apply(Flatten);
    check(&all, &[None, Some(1), Some(2), Some(2)]);
    let groups = all.apply(Map::of(|n: Option<i64>| (n, ()))).apply(GroupByKey);
    let counts = groups.apply(Map::of(|(n, each): (Option<i64>, Iterable<()>)| (n, each.len())));
    check(&counts, &[(None, 1), (Some(1), 1), (Some(2), 2)]);
    let keys = counts.apply(Keys);
    check(
        &PCollectionList::of(&keys, [plain]).apply(Flatten),
        &[None, Some(1), Some(1), Some(2), Some(2)],
    );
}

/// Puts out the sum of a side input.
#[derive(Clone)]
struct SumOf(PCollectionView<Iterable<i64>>);

impl DoFn for SumOf {
    type In = i64;
    type Out = (i64, i64);

    fn process(&mut self, n: i64, ctx: &mut ProcessContext<'_, (i64, i64)>) -> Result<()> {
        let sum = ctx.side(&self.0)?.iter().sum();
        ctx.output((n, sum))
    }
}

#[test]
fn fl4_a_flatten_as_side_input() {
    let few = numbers(&[1, 2]);
    let all = PCollectionList::of(&few, [tens(&few)]).apply(Flatten).as_iterable_view();
    check(&few.apply(ParDo::of(SumOf(all)).with_side(&all)), &[(1, 33), (2, 33)]);
    let none = PCollectionList::empty(few.pipeline()).apply(Flatten).as_iterable_view();
    check(&few.apply(ParDo::of(SumOf(none)).with_side(&none)), &[(1, 0), (2, 0)]);
}

#[test]
fn fl5_fused_and_shuffled_producers_several_consumers_and_a_grouping() {
    let few = Pipeline::new().apply(Create::of([1i64, 2]));
    let all = PCollectionList::of(&few, [tens(&few).apply(Reshuffle), few.clone()]);
    let all = all.apply(Flatten);
    check(&tens(&all), &[10, 10, 20, 20, 100, 200]);
    let groups = all.apply(Map::of(|n: i64| (n % 5, n))).apply(GroupByKey);
    let sums =
        groups.apply(Map::of(|(rest, all): (i64, Iterable<i64>)| (rest, all.iter().sum::<i64>())));
    check(&sums, &[(0, 30), (1, 2), (2, 4)]);
}
