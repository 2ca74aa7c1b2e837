//! Files of merge dimensions that do not hold the same elements: refused with a table, or joined.

use levain::bake::{CombineDim, FilePattern, JoinPolicy};
use levain::dataflow::error::ErrorCode;

use super::{baked, field, joined, keys, names, pattern, q, refused, t};
use crate::baking::plain;
use crate::made::{Folder, Made, text};

/// Two variables, whose files of one key along time do not hold the same times.
fn put_ragged(folder: &Folder) -> FilePattern {
    for (key, times) in [(0, [0.0, 1.0, 2.0]), (1, [3.0, 4.0, 5.0])] {
        let bounds = |made: Made, times: &[f64]| {
            let ends = times.iter().flat_map(|&it| [it, it + 1.0]).collect::<Vec<f64>>();
            made.dimension("nv", 2).variable("time_bnds", "time nv", ends, &[])
        };
        let with_bounds = |name, times: &[f64], value: fn(f64, f64, f64) -> f32| {
            let mut made = field(name, times, &[5.0], value);
            made = bounds(made, times);
            made.attribute_of("time", "bounds", text("time_bnds"))
        };
        folder.put(&format!("t_{key}.nc"), &with_bounds("t", &times, t));
        // The first file of q begins a day later, the second ends a day later.
        let times = if key == 0 { &times[1..] } else { &[3.0, 4.0, 5.0, 6.0][..] };
        folder.put(&format!("q_{key}.nc"), &with_bounds("q", times, q));
    }
    let dims = [CombineDim::merge("var", names(&["t", "q"])), CombineDim::concat("time", keys(2))];
    pattern(folder, "{var}_{time}.nc", dims)
}

#[test]
fn files_of_a_merge_dimension_that_differ_are_refused_with_a_table() {
    let folder = Folder::new();
    let pattern = put_ragged(&folder);
    let words = [
        "`var`",
        "`time`",
        "--join",
        "key            length  first                last",
        "var=t, time=0  3       2000-01-01T00:00:00  2000-01-03T00:00:00",
        "var=q, time=0  2       2000-01-02T00:00:00  2000-01-03T00:00:00",
        "var=q, time=1  4       2000-01-04T00:00:00  2000-01-07T00:00:00",
        "t_0.nc",
        "q_1.nc",
    ];
    refused(&folder, pattern, plain(), ErrorCode::GRIDS_DIFFER, &words);
}

#[test]
fn an_inner_join_takes_the_times_that_all_have() {
    let folder = Folder::new();
    let pattern = put_ragged(&folder);
    let (store, warnings) = baked(&folder, pattern, joined(JoinPolicy::Inner));
    assert_eq!(store.values::<f64>("time"), [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(store.values::<f64>("time_bnds")[..4], [1.0, 2.0, 2.0, 3.0]);
    let corner = |name| store.values::<f32>(name).into_iter().step_by(2).collect::<Vec<f32>>();
    assert_eq!(corner("t"), [1050.0, 2050.0, 3050.0, 4050.0, 5050.0]);
    assert_eq!(corner("q"), [-1050.0, -2050.0, -3050.0, -4050.0, -5050.0]);
    assert!(warnings.iter().any(|it| it.contains("joined (inner) to 5")), "{warnings:?}");
}

#[test]
fn an_outer_join_takes_the_times_that_any_has_and_fills() {
    let folder = Folder::new();
    let pattern = put_ragged(&folder);
    let (store, _) = baked(&folder, pattern, joined(JoinPolicy::Outer));
    assert_eq!(store.values::<f64>("time"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(store.values::<f64>("time_bnds")[10..], [5.0, 6.0, 6.0, 7.0]);
    let corner = |name| store.decoded(name).into_iter().step_by(2).collect::<Vec<f64>>();
    let (t, q) = (corner("t"), corner("q"));
    assert_eq!(t[..6], [50.0, 1050.0, 2050.0, 3050.0, 4050.0, 5050.0]);
    assert_eq!(q[1..], [-1050.0, -2050.0, -3050.0, -4050.0, -5050.0, -6050.0]);
    assert!(t[6].is_nan() && q[0].is_nan(), "{t:?} {q:?}");
}

#[test]
fn a_variable_that_two_merge_keys_have_is_refused_by_name() {
    let folder = Folder::new();
    for var in ["a", "b"] {
        folder.put(&format!("{var}_0.nc"), &field("t", &[0.0], &[5.0], t));
    }
    let dims = [CombineDim::merge("var", names(&["a", "b"])), CombineDim::concat("time", keys(1))];
    let words = ["var=a and var=b", "variable t", "a_0.nc", "b_0.nc"];
    let all = pattern(&folder, "{var}_{time}.nc", dims);
    refused(&folder, all, plain(), ErrorCode::GRIDS_DIFFER, &words);
}
