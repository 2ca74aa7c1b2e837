//! Beam's cases of combining: `CombineTest`, rows CO of the table in the specification.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dataflow::prelude::{
    CombineFn, CombineGlobally, CombinePerKey, Create, Element, GroupByKey, PCollection, Pipeline,
    Result,
};

use super::{check, numbers, texts};
use crate::{
    CombineGroupedValues, Count, Distinct, HotKeyFanout, Map, Max, Mean, OfField, Sample,
    SingleInputTupleCombineFn, Sum, ToList, ToSet, Top, TupleCombineFn, Values,
};

/// The values of `CombineTest`: a has 1, 1 and 4, b has 1 and 13.
fn table(pipeline: &Pipeline) -> PCollection<(String, i64)> {
    let pairs = [("a", 1), ("a", 1), ("a", 4), ("b", 1), ("b", 13)];
    pipeline.apply(Create::of(pairs.map(|(key, value)| (key.to_owned(), value))))
}

fn by_key<T: Clone>(a: T, b: T) -> [(String, T); 2] {
    [("a".to_owned(), a), ("b".to_owned(), b)]
}

/// The digits of all values, sorted: Beam's `TestCombineFn`.
#[derive(Clone)]
struct Digits;

impl CombineFn for Digits {
    type In = i64;
    type Acc = String;
    type Out = String;

    fn create(&self) -> String {
        String::new()
    }

    fn add(&self, digits: &mut String, value: i64) {
        digits.push_str(&value.to_string());
    }

    fn merge(&self, digits: &mut String, other: String) {
        digits.push_str(&other);
    }

    fn extract(&self, digits: String) -> String {
        let mut digits: Vec<char> = digits.chars().collect();
        digits.sort_unstable();
        digits.into_iter().collect()
    }
}

#[test]
fn co1_a_sum_and_a_text_of_digits() {
    let table = table(&Pipeline::new());
    check(&table.apply(Values).apply(CombineGlobally::of(Sum::<i64>::new())), &[20]);
    let [a, b] = texts(["114", "113"]);
    check(&table.apply(CombinePerKey::of(Digits)), &by_key(a, b));
}

#[test]
fn co2_sets_of_values() {
    let table = table(&Pipeline::new());
    let set = table.apply(Values).apply(CombineGlobally::of(ToSet::new()));
    check(&set, &[vec![1, 4, 13]]);
    check(&table.apply(CombinePerKey::of(ToSet::new())), &by_key(vec![1, 4], vec![1, 13]));
}

#[test]
fn co3_means() {
    let table = table(&Pipeline::new());
    let floats = table.apply(Map::of(|(key, value): (String, i64)| (key, value as f64)));
    check(&floats.apply(Values).apply(CombineGlobally::of(Mean)), &[4.0]);
    check(&floats.apply(CombinePerKey::of(Mean)), &by_key(2.0, 7.0));
}

#[test]
fn co4_nothing_is_combined() {
    let none = Pipeline::new().apply(Create::of(Vec::<(String, i64)>::new()));
    check(&none.apply(CombinePerKey::of(Sum::<i64>::new())), &[]);
    let values = none.apply(Values);
    check(&values.apply(CombineGlobally::of(Sum::<i64>::new())), &[0]);
    check(&values.apply(CombineGlobally::of(Sum::<i64>::new()).without_default()), &[]);
    check(&values.apply(Count::globally()), &[0]);
    check(&values.apply(Sample::any(3)), &[]);
    check(&values.apply(Distinct), &[]);
}

#[test]
fn co5_hot_keys_are_spread() {
    let copies = Pipeline::new().apply(Create::of(0..10i64));
    let table = [("a", 1), ("a", 1), ("a", 4), ("b", 1), ("b", 13)];
    let pairs = copies.apply(crate::FlatMap::of(move |_: i64| {
        table.map(|(key, value)| (key.to_owned(), f64::from(value)))
    }));
    for fanout in [0, 1, 5] {
        let means = pairs.apply(HotKeyFanout::of_all_keys(Mean, fanout));
        check(&means, &by_key(2.0, 7.0));
    }
    let means = pairs.apply(HotKeyFanout::of(Mean, |key: &String| u32::from(key == "a") * 3));
    check(&means, &by_key(2.0, 7.0));
}

#[test]
fn a_hot_key_is_spread_evenly_even_if_it_comes_every_second_time() {
    // Counts the parts: each is one value of the second level.
    #[derive(Clone)]
    struct Parts;

    impl CombineFn for Parts {
        type In = i64;
        type Acc = (u64, u64);
        type Out = (u64, u64);

        fn create(&self) -> (u64, u64) {
            (0, 0)
        }

        fn add(&self, (least, _): &mut (u64, u64), _: i64) {
            *least += 1;
        }

        fn merge(&self, (least, parts): &mut (u64, u64), other: (u64, u64)) {
            *least = if *parts == 0 { other.0 } else { other.0.min(*least) };
            *parts += 1;
        }

        fn extract(&self, parts: (u64, u64)) -> (u64, u64) {
            parts
        }
    }

    let pairs = numbers(&[0; 1]).apply(crate::FlatMap::of(|_: i64| (0..400).map(|n| (n % 2, n))));
    let spread = pairs.apply(HotKeyFanout::of(Parts, |key: &i64| if *key == 0 { 4 } else { 1 }));
    let least =
        spread.apply(Map::of(|(key, (least, parts)): (i64, (u64, u64))| (key, parts, least >= 45)));
    check(&least, &[(0, 4, true), (1, 1, true)]);
}

#[test]
fn co11_composed_functions_see_their_fields_and_nulls() {
    type Row = (Option<i64>, Option<String>);
    let rows: [Row; 4] =
        [(Some(1), Some("a".into())), (None, Some("b".into())), (Some(3), None), (None, None)];
    let composed = SingleInputTupleCombineFn::of((
        OfField::of(|row: &Row| row.0.unwrap_or(0), Sum::<i64>::new()),
        OfField::of(|row: &Row| row.1.clone(), Max::<Option<String>>::new()),
        OfField::of(|row: &Row| row.0, ToList::<Option<i64>>::new()),
    ));
    let pipeline = Pipeline::new();
    let all = pipeline.apply(Create::of(rows)).apply(CombineGlobally::of(composed));
    check(&all, &[(4, Some(Some("b".to_owned())), vec![None, None, Some(1), Some(3)])]);
}

#[test]
fn groups_are_combined_as_pairs_are() {
    let table = table(&Pipeline::new());
    let sums = table.apply(GroupByKey).apply(CombineGroupedValues::of(Sum::<i64>::new()));
    check(&sums, &by_key(6, 14));
}

#[test]
fn functions_with_a_short_name_by_key() {
    let table = table(&Pipeline::new());
    check(&table.apply(Count::globally()), &[5]);
    check(&table.apply(Count::per_key()), &by_key(3, 2));
    check(&table.apply(Top::largest_per_key(1)), &by_key(vec![4], vec![13]));
    check(&table.apply(Top::smallest_per_key(2)), &by_key(vec![1, 1], vec![1, 13]));
    check(
        &table.apply(Sample::fixed_size_per_key(9)).apply(Map::of(
            |(key, mut values): (String, Vec<i64>)| {
                values.sort_unstable();
                (key, values)
            },
        )),
        &by_key(vec![1, 1, 4], vec![1, 13]),
    );
}

#[test]
fn a_sample_has_the_size_that_was_asked_for() {
    let all = Pipeline::new().apply(Create::of(0..1000i64));
    let sizes = all.apply(Sample::fixed_size_globally(10)).apply(Map::of(|it: Vec<i64>| it.len()));
    check(&sizes, &[10]);
    check(&all.apply(Sample::any(7)).apply(Count::globally()), &[7]);
}

#[test]
fn samples_are_fair_and_seeds_choose_anew() {
    // Of 1000 numbers 100 are chosen by each of 100 seeds: each number is chosen about 10 times.
    let mut chosen = vec![0i32; 1000];
    for seed in 0..100 {
        let sample = Sample::fixed_size(100).with_seed(seed);
        super::combine_all(&sample, 0..1000i64).into_iter().for_each(|n| chosen[n as usize] += 1);
    }
    // Beyond six standard deviations of sqrt(100 * 0.1 * 0.9) = 3.
    assert!(chosen.iter().all(|count| (*count - 10).abs() <= 18), "{chosen:?}");
    // The halves: 5000 each, with a deviation of less than 50.
    let lower: i32 = chosen[..500].iter().sum();
    assert!((lower - 5000).abs() < 300, "{lower}");
}

#[test]
fn distinct_elements_remain_once() {
    check(&numbers(&[3, 1, 3, 2, 1]).apply(Distinct), &[1, 2, 3]);
    let words = Pipeline::new().apply(Create::of(texts(["b", "a", "cc", "bb", "a"])));
    let by_length = words.apply(Distinct::by(|word: &String| word.len() as u64));
    check(&by_length, &texts(["a", "bb"]));
}

/// Adds up, and counts how many instances were set up and torn down, and what was compacted.
#[derive(Clone, Default)]
struct Lives(Arc<[AtomicU64; 3]>);

impl Lives {
    fn counts(&self) -> [u64; 3] {
        [0, 1, 2].map(|place| self.0[place].load(Ordering::Relaxed))
    }

    fn note(&self, place: usize) {
        self.0[place].fetch_add(1, Ordering::Relaxed);
    }
}

impl CombineFn for Lives {
    type In = i64;
    type Acc = i64;
    type Out = i64;

    fn setup(&mut self) -> Result<()> {
        self.note(0);
        Ok(())
    }

    fn create(&self) -> i64 {
        0
    }

    fn add(&self, sum: &mut i64, value: i64) {
        *sum += value;
    }

    fn merge(&self, sum: &mut i64, other: i64) {
        *sum += other;
    }

    fn compact(&self, _: &mut i64) {
        self.note(1);
    }

    fn extract(&self, sum: i64) -> i64 {
        sum
    }

    fn teardown(&mut self) {
        self.note(2);
    }
}

#[track_caller]
fn check_lives<Out: Element + std::fmt::Debug>(
    apply: impl FnOnce(&PCollection<(String, i64)>, Lives) -> PCollection<Out>,
    want: &[Out],
) -> [u64; 3] {
    let lives = Lives::default();
    check(&apply(&table(&Pipeline::new()), lives.clone()), want);
    let [started, compacted, ended] = lives.counts();
    assert!(started > 0 && started == ended, "{started} were set up, {ended} torn down");
    [started, compacted, ended]
}

#[test]
fn functions_within_functions_live_with_them() {
    check_lives(
        |table, lives| {
            let field = OfField::of(|n: &i64| -n, lives.clone());
            table.apply(CombinePerKey::of(SingleInputTupleCombineFn::of((lives, field))))
        },
        &by_key((6, -6), (14, -14)),
    );
    check_lives(
        |table, lives| {
            let twice = table.apply(Map::of(|(key, n): (String, i64)| (key, (n, 2 * n))));
            twice.apply(CombinePerKey::of(TupleCombineFn::of((lives.clone(), lives))))
        },
        &by_key((6, 12), (14, 28)),
    );
    check_lives(
        |table, lives| table.apply(GroupByKey).apply(CombineGroupedValues::of(lives)),
        &by_key(6, 14),
    );
    let fanned = |table: &PCollection<(String, i64)>, lives| {
        table.apply(HotKeyFanout::of_all_keys(lives, 2))
    };
    let [_, compacted, _] = check_lives(fanned, &by_key(6, 14));
    // The parts of a hot key travel even where nothing is combined before the shuffle.
    assert!(compacted >= 2, "{compacted} accumulators were compacted");
}

#[test]
fn what_is_compacted_is_every_part_of_a_tuple() {
    let lives = Lives::default();
    let mut both = TupleCombineFn::of((lives.clone(), OfField::of(|n: &i64| -n, lives.clone())));
    both.setup().expect("nothing fails");
    both.compact(&mut both.create());
    both.teardown();
    assert_eq!(lives.counts(), [2, 2, 2]);
    let mut both = SingleInputTupleCombineFn::of((lives.clone(), lives.clone()));
    both.setup().expect("nothing fails");
    both.compact(&mut both.create());
    both.teardown();
    assert_eq!(lives.counts(), [4, 4, 4]);
}
