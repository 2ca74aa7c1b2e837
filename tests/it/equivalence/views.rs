//! Side inputs of every shape: Beam's own cases, by the names of its suite.

use std::fmt::Debug;
use std::time::Duration;

use levain::prelude::*;

use super::{Size, check, numbers, texts};

/// Puts out what a function makes of an element and the value of a view.
struct WithView<T: Element, V, Out> {
    view: PCollectionView<V>,
    function: fn(T, &V) -> Result<Out>,
}

impl<T: Element, V, Out> Clone for WithView<T, V, Out> {
    fn clone(&self) -> Self {
        Self { view: self.view, function: self.function }
    }
}

impl<T: Element, V: Send + Sync + 'static, Out: Element> DoFn for WithView<T, V, Out> {
    type In = T;
    type Out = Out;

    fn process(&mut self, element: T, ctx: &mut ProcessContext<'_, Out>) -> Result<()> {
        let value = ctx.side(&self.view)?;
        ctx.output((self.function)(element, &value)?)
    }
}

fn with_view<T: Element, V: Send + Sync + 'static, Out: Element>(
    elements: &PCollection<T>,
    view: PCollectionView<V>,
    function: fn(T, &V) -> Result<Out>,
) -> PCollection<Out> {
    elements.apply(ParDo::of(WithView { view, function }).with_side(&view))
}

fn letters(pipeline: &Pipeline) -> PCollection<String> {
    pipeline.apply(Create::of(texts(["x", "y"])))
}

fn keyed<const N: usize>(pairs: [(&str, i64); N]) -> [(String, i64); N] {
    pairs.map(|(key, value)| (key.to_owned(), value))
}

fn sorted<T: Ord>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort();
    values
}

#[test]
fn si1_a_singleton_is_given_to_every_element() {
    fn shown(letter: String, value: &i64) -> Result<String> {
        Ok(format!("{letter}{value}"))
    }
    check(
        Size::Tiny,
        |pipeline| {
            with_view(&letters(pipeline), numbers(pipeline, [47]).as_singleton_view(), shown)
        },
        texts(["x47", "y47"]),
    );
    check(
        Size::Tiny,
        |pipeline| {
            let view = numbers(pipeline, []).as_singleton_view_or(-1);
            with_view(&letters(pipeline), view, shown)
        },
        texts(["x-1", "y-1"]),
    );
    check(
        Size::Tiny,
        |pipeline| {
            let none = numbers(pipeline, []).apply(Map::of(Some));
            let view = none.as_singleton_view_or(None);
            with_view(&letters(pipeline), view, |letter, value| Ok((letter, *value)))
        },
        texts(["x", "y"]).map(|letter| (letter, None)),
    );
}

#[test]
fn si3_a_list_is_read_by_place_twice_and_by_two() {
    fn read(_: String, list: &ListView<i64>) -> Result<Vec<Option<i64>>> {
        let by_place = (0..=list.len()).map(|place| list.get(place)).collect::<Result<Vec<_>>>()?;
        let in_turn: Vec<Option<i64>> = list.iter().map(Some).chain([None]).collect();
        assert_eq!(by_place, in_turn);
        assert_eq!(in_turn, list.elements().iter().map(Some).chain([None]).collect::<Vec<_>>());
        Ok(sorted(by_place))
    }
    let some = vec![None, Some(11), Some(13), Some(17), Some(23)];
    for (values, want) in [(vec![11, 13, 17, 23], some), (vec![], vec![None])] {
        check(
            Size::Tiny,
            |pipeline| {
                let view = numbers(pipeline, values).as_list_view();
                let first = with_view(&letters(pipeline), view, read);
                let second = with_view(&letters(pipeline), view, read);
                PCollectionList::of(&first, [second]).apply(Flatten)
            },
            vec![want; 4],
        );
    }
}

#[test]
fn si4_a_map_is_looked_up_and_listed() {
    fn read(letter: String, map: &MapView<String, i64>) -> Result<String> {
        let entries = sorted(map.entries().iter());
        Ok(format!("{:?} of {} {entries:?}", map.get(&letter)?, map.len()))
    }
    let all = r#"2 [("x", 1), ("z", 3)]"#;
    let some = [format!("Some(1) of {all}"), format!("None of {all}")];
    let none = texts(["None of 0 []"; 2]);
    for (pairs, want) in [(keyed([("x", 1), ("z", 3)]).to_vec(), some), (vec![], none)] {
        check(
            Size::Tiny,
            |pipeline| {
                let view = pipeline.apply(Create::of(pairs)).as_map_view();
                with_view(&letters(pipeline), view, read)
            },
            want,
        );
    }
}

#[test]
fn si5_a_multimap_is_looked_up_and_listed() {
    fn read(letter: String, multimap: &MultimapView<String, i64>) -> Result<String> {
        let entries = sorted(multimap.entries().iter());
        let values = sorted(multimap.get(&letter)?.iter());
        Ok(format!("{letter} {values:?} of {} {entries:?}", multimap.len()))
    }
    let all = r#"3 [("x", 1), ("x", 2), ("z", 3)]"#;
    let some = [format!("x [1, 2] of {all}"), format!("y [] of {all}")];
    let none = texts(["x [] of 0 []", "y [] of 0 []"]);
    let pairs = keyed([("x", 1), ("z", 3), ("x", 2)]).to_vec();
    for (pairs, want) in [(pairs, some), (vec![], none)] {
        check(
            Size::Tiny,
            |pipeline| {
                let view = pipeline.apply(Create::of(pairs)).as_multimap_view();
                with_view(&letters(pipeline), view, read)
            },
            want,
        );
    }
}

#[test]
fn si6_what_a_function_does_with_values_no_other_sees() {
    fn push(_: String, list: &ListView<Vec<i64>>) -> Result<Vec<i64>> {
        let mut values = list.get(0)?.unwrap_or_default();
        values.push(9);
        Ok(values)
    }
    check(
        Size::Tiny,
        |pipeline| {
            let view = pipeline.apply(Create::of([vec![3i64, 1]])).as_list_view();
            with_view(&letters(pipeline), view, push)
        },
        [vec![3, 1, 9], vec![3, 1, 9]],
    );
}

#[test]
fn si10_an_element_in_many_windows_reads_in_each() {
    fn shown(name: String, value: &i64) -> Result<String> {
        Ok(format!("{name}:{value}"))
    }
    let timed = |pipeline: &Pipeline, name: &'static str| {
        let named = pipeline.apply_named(name, Create::of([("a".to_owned(), 1i64)]));
        named.apply(WithTimestamps::of(|_: &(String, i64)| Timestamp::from_millis(1)))
    };
    let sliding =
        || WindowInto::of(SlidingWindows::of(Duration::from_millis(5), Duration::from_millis(1)));
    for is_side_windowed in [false, true] {
        check(
            Size::Tiny,
            |pipeline| {
                let side = timed(pipeline, "Side");
                let side = if is_side_windowed { side.apply(sliding()) } else { side };
                let side = side.apply(Map::of(|(_, value): (String, i64)| value));
                let view = side.as_singleton_view_or(0);
                let main = timed(pipeline, "Main").apply(sliding());
                let main = main.apply(Map::of(|(name, _): (String, i64)| name));
                let read = with_view(&main, view, shown).apply(ReifyWindows);
                read.apply(Map::of(|(text, _, window): (String, Timestamp, Window)| {
                    format!("{text} {window}")
                }))
            },
            // A sliding window is looked up in the first of those that hold its last moment.
            (-3..=1).map(|start| {
                let window = Window::of_millis(start, start + 5);
                format!("a:1 {window}")
            }),
        );
    }
}

/// Adds two of three side inputs that are declared.
#[derive(Clone)]
struct AddTwo(PCollectionView<i64>, PCollectionView<i64>);

impl DoFn for AddTwo {
    type In = i64;
    type Out = i64;

    fn process(&mut self, n: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        let sum = n + *ctx.side(&self.0)? + *ctx.side(&self.1)?;
        ctx.output(sum)
    }
}

#[test]
fn si11_side_inputs_add_up_and_need_not_be_read() {
    check(
        Size::Tiny,
        |pipeline| {
            let [first, second, unread] =
                [1i64, 20, 300].map(|n| numbers(pipeline, [n]).as_singleton_view());
            let add = ParDo::of(AddTwo(first, second)).with_side(&first);
            numbers(pipeline, [4000]).apply(add.with_side(&second).with_side(&unread))
        },
        [4021],
    );
}

/// Every number with the sum of a list added.
fn shifted(numbers: &PCollection<i64>, by: &PCollection<i64>) -> PCollection<i64> {
    with_view(numbers, by.as_list_view(), |n, list| Ok(n + list.iter().sum::<i64>()))
}

#[test]
fn si12_side_inputs_depend_on_one_another() {
    check(
        Size::Tiny,
        |pipeline| {
            let all = numbers(pipeline, [1, 2, 3]);
            let doubled = all.apply(Map::of(|n: i64| 2 * n));
            // The sum 12 of the same source; then 42 of what was made with a side input.
            let by_source = shifted(&all, &doubled);
            let by_shifted = shifted(&doubled, &by_source);
            // What was grouped: 4 odd ones and 2 even ones.
            let pairs = all.apply(Map::of(|n: i64| (n % 2, n)));
            let groups = pairs.apply(GroupByKey).as_map_view();
            let by_group = with_view(&by_shifted, groups, |n, groups| {
                let odd = groups.get(&1)?.map_or(0, |values| values.iter().sum::<i64>());
                Ok(n + odd)
            });
            // A chain that reads its source again at its end.
            let negated = by_group.apply(Map::of(|n: i64| -n)).apply(Reshuffle);
            shifted(&negated, &all)
        },
        // 44, 46, 48; plus 4; negated; plus 6.
        [-42, -44, -46],
    );
}

#[test]
fn si13_values_that_are_lists_of_lists_are_kept() {
    check(
        Size::Tiny,
        |pipeline| {
            let lists = [vec![vec![1i64, 2], vec![]], vec![], vec![vec![3]]];
            let pairs = lists.into_iter().map(|list| ("x".to_owned(), list));
            let view = pipeline.apply(Create::of(pairs)).as_multimap_view();
            with_view(&letters(pipeline), view, |letter, lists: &MultimapView<_, Vec<Vec<i64>>>| {
                Ok(sorted(lists.get(&letter)?.iter()))
            })
        },
        [vec![vec![], vec![vec![1, 2], vec![]], vec![vec![3]]], vec![]],
    );
}

/// Runs in all ways, also where memory does not hold the view; the text of each number is long.
#[track_caller]
fn check_large<T: Element + Debug>(
    recipe: impl Fn(&PCollection<i64>, &PCollection<(i64, String)>) -> PCollection<T>,
    want: impl IntoIterator<Item = T>,
) {
    check(
        Size::Large,
        |pipeline| {
            let pairs = numbers(pipeline, 0..2000).apply(Map::of(|n: i64| (n, text(n))));
            recipe(&numbers(pipeline, [-1, 0, 777, 1999, 2000]), &pairs)
        },
        want,
    );
}

fn text(n: i64) -> String {
    format!("{n:0100}")
}

#[test]
fn a_map_larger_than_memory_is_looked_up() {
    check_large(
        |asked, pairs| with_view(asked, pairs.as_map_view(), |n, map| Ok((n, map.get(&n)?))),
        [-1, 0, 777, 1999, 2000].map(|n| (n, (0..2000).contains(&n).then(|| text(n)))),
    );
}

#[test]
fn a_multimap_larger_than_memory_is_looked_up() {
    check_large(
        |asked, pairs| {
            let by_rest = pairs.apply(Map::of(|(n, text): (i64, String)| (n % 800, text)));
            with_view(asked, by_rest.as_multimap_view(), |n, multimap| {
                Ok((n, sorted(multimap.get(&n)?.iter())))
            })
        },
        [
            (-1, vec![]),
            (0, [0, 800, 1600].map(text).to_vec()),
            (777, [777, 1577].map(text).to_vec()),
            (1999, vec![]),
            (2000, vec![]),
        ],
    );
}

#[test]
fn a_list_larger_than_memory_is_looked_up() {
    check_large(
        |asked, pairs| {
            with_view(asked, pairs.as_list_view(), |n, list| {
                let at_place = list.get(n.unsigned_abs())?;
                let is_in_order = at_place == list.iter().nth(n.unsigned_abs() as usize);
                let sum = list.iter().map(|(n, _)| n).sum::<i64>();
                Ok((n, at_place.is_some(), is_in_order, sum))
            })
        },
        [-1, 0, 777, 1999, 2000].map(|n| (n, n != 2000, true, 1_999_000)),
    );
}
