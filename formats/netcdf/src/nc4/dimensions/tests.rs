use hdf5_reader::messages::dataspace::{DataspaceType, UNLIMITED};

use super::super::scan::{Below, Scale};
use super::*;
use crate::hdf5::{Header, Space};

fn dataset(name: &str, lengths: &[u64]) -> Dataset {
    Dataset {
        name: name.to_owned(),
        address: name.bytes().map(u64::from).sum(),
        header: Header::default(),
        space: Space {
            dimensions: lengths.to_vec(),
            greatest: lengths.to_vec(),
            kind: DataspaceType::Simple,
        },
        attributes: Vec::new(),
        scale: None,
        dimension_ids: None,
        scales: Vec::new(),
    }
}

fn unlimited(mut dataset: Dataset) -> Dataset {
    dataset.space.greatest[0] = UNLIMITED;
    dataset
}

fn scale(name: &str, lengths: &[u64], id: Option<i64>) -> Dataset {
    let scale = Some(Scale { id, is_dimension_only: false });
    Dataset { scale, ..dataset(name, lengths) }
}

fn along(name: &str, lengths: &[u64], scales: &[&str]) -> Dataset {
    let address = |scale: &&str| vec![dataset(scale, &[]).address];
    Dataset { scales: scales.iter().map(address).collect(), ..dataset(name, lengths) }
}

fn group(datasets: Vec<Dataset>, groups: Vec<(&str, Group)>) -> Group {
    let groups = groups.into_iter().map(|(name, group)| Below {
        name: name.to_owned(),
        address: 0,
        scanned: Some(group),
    });
    Group { datasets, groups: groups.collect(), ..Group::default() }
}

/// `want`: all dimensions with their lengths, then those of each dataset.
#[track_caller]
fn check(root: &Group, want_all: &[(&str, u64)], want: &[&[&str]]) {
    let got = dimensions(root, &[]);
    let all: Vec<(&str, u64)> = got.all.iter().map(|d| (d.name.as_str(), d.length)).collect();
    assert_eq!(all, want_all);
    let name = |&place: &usize| got.all[place].name.as_str();
    let of_dataset: Vec<Vec<&str>> =
        got.of_dataset.iter().map(|places| places.iter().map(name).collect()).collect();
    assert_eq!(of_dataset, want);
}

#[test]
fn axes_of_one_length_share_a_phony_dimension_but_not_within_a_dataset() {
    check(
        &group(vec![dataset("a", &[4, 3]), dataset("b", &[4, 4, 3])], Vec::new()),
        &[("phony_dim_0", 4), ("phony_dim_1", 3), ("phony_dim_2", 4)],
        &[&["phony_dim_0", "phony_dim_1"], &["phony_dim_0", "phony_dim_2", "phony_dim_1"]],
    );
}

#[test]
fn phony_dimensions_of_groups_below_are_counted_first() {
    let below =
        group(vec![dataset("x", &[7])], vec![("g", group(vec![dataset("y", &[8])], vec![]))]);
    check(
        &group(vec![dataset("a", &[4])], vec![("below", below)]),
        &[("phony_dim_2", 4)],
        &[&["phony_dim_2"]],
    );
}

#[test]
fn an_axis_without_a_scale_takes_a_dimension_of_its_length() {
    check(
        &group(vec![scale("x", &[3], None), dataset("a", &[3, 5])], Vec::new()),
        &[("x", 3), ("phony_dim_1", 5)],
        &[&["x"], &["x", "phony_dim_1"]],
    );
}

#[test]
fn scales_are_found_by_address_and_listed_by_id() {
    check(
        &group(
            vec![
                scale("x", &[3], Some(1)),
                scale("y", &[2], Some(0)),
                along("a", &[2, 3], &["y", "x"]),
            ],
            Vec::new(),
        ),
        &[("y", 2), ("x", 3)],
        &[&["x"], &["y"], &["y", "x"]],
    );
}

#[test]
fn stated_ids_decide_and_unknown_ones_are_ignored() {
    let stated = |name: &str, ids: &[i64]| Dataset {
        dimension_ids: Some(ids.to_vec()),
        ..dataset(name, &[3, 3])
    };
    check(
        &group(
            vec![
                scale("x", &[3], Some(4)),
                scale("y", &[3], Some(5)),
                stated("a", &[5, 4]),
                stated("b", &[9, 4]),
            ],
            Vec::new(),
        ),
        &[("x", 3), ("y", 3)],
        &[&["x"], &["y"], &["y", "x"], &["x", "y"]],
    );
}

#[test]
fn an_unlimited_dimension_is_as_long_as_the_longest_dataset_along_it() {
    let below = group(vec![unlimited(along("deep", &[9], &["t"]))], Vec::new());
    check(
        &group(
            vec![unlimited(scale("t", &[2], Some(0))), unlimited(along("a", &[5, 3], &["t"]))],
            vec![("below", below)],
        ),
        &[("t", 9), ("phony_dim_1", 3)],
        &[&["t"], &["t", "phony_dim_1"]],
    );
}

#[test]
fn links_to_one_scale_are_one_dimension() {
    check(
        &group(vec![scale("x", &[3], Some(0)), scale("x2", &[3], Some(0))], Vec::new()),
        &[("x2", 3)],
        &[&["x2"], &["x2"]],
    );
}

#[test]
fn groups_below_matter_for_phony_and_unlimited_dimensions_only() {
    let with = |dataset| group(vec![dataset], vec![("below", Group::default())]);
    assert!(needs_groups_below(&with(dataset("a", &[3]))));
    assert!(needs_groups_below(&with(unlimited(scale("t", &[3], None)))));
    assert!(!needs_groups_below(&with(scale("x", &[3], None))));
    assert!(!needs_groups_below(&with(along("a", &[3], &["x"]))));
    assert!(!needs_groups_below(&group(vec![dataset("a", &[3])], Vec::new())));
}
