//! Files on different grids: refused, or joined by the values of their coordinates.

use levain::bake::{BakeOptions, JoinPolicy, WrittenAs};
use levain::dataflow::error::ErrorCode;
use levain::job::Bake;
use netcdf_writer::NcAttrValue;

use crate::baking::{baked, plain, refused};
use crate::made::{Folder, Made, text};

/// What `t` is at a time and a latitude.
fn t(time: f64, lat: f64) -> f32 {
    (time * 1000.0 + lat) as f32
}

/// A file of one or more times on these latitudes; `first` is the first time.
fn file(first: f64, times: usize, lat: &[f64]) -> Made {
    let times: Vec<f64> = (0..times).map(|it| first + it as f64).collect();
    let values: Vec<f32> =
        times.iter().flat_map(|&time| lat.iter().map(move |&lat| t(time, lat))).collect();
    let cells = |value: i16| vec![value; times.len() * lat.len()];
    Made::new()
        .dimension("time", times.len() as u64)
        .dimension("lat", lat.len() as u64)
        .variable("time", "time", times.clone(), &[("units", text("days since 2000-01-01"))])
        .variable("lat", "lat", lat.to_vec(), &[("units", text("degrees_north"))])
        .variable("t", "time lat", values, &[])
        .variable("q", "lat time", cells(7), &[("_FillValue", NcAttrValue::Shorts(vec![-1]))])
}

fn joined(join: JoinPolicy) -> BakeOptions {
    BakeOptions { join, chunks: "time=2,lat=3".parse().expect("chunks"), ..plain() }
}

#[track_caller]
fn check(files: &[(f64, usize, &[f64])], join: JoinPolicy, want: &[f64]) {
    let made: Vec<Made> =
        files.iter().map(|&(first, times, lat)| file(first, times, lat)).collect();
    let (_folder, store, warnings) = baked(&made, joined(join));
    assert_eq!(store.decoded("lat"), want);
    assert!(warnings.iter().any(|it| it.contains("`lat`: joined")), "{warnings:?}");
    let rows: Vec<(f64, &[f64])> = files
        .iter()
        .flat_map(|&(first, times, lat)| (0..times).map(move |it| (first + it as f64, lat)))
        .collect();
    let (got_t, got_q) = (store.decoded("t"), store.decoded("q"));
    for (row, &(time, own)) in rows.iter().enumerate() {
        for (column, lat) in want.iter().enumerate() {
            let got = (got_t[row * want.len() + column], got_q[column * rows.len() + row]);
            match own.contains(lat) {
                true => assert_eq!(got, (f64::from(t(time, *lat)), 7.0), "{time} {lat}"),
                false => assert!(got.0.is_nan() && got.1.is_nan(), "{time} {lat}: {got:?}"),
            }
        }
    }
}

#[test]
fn an_outer_join_has_the_latitudes_of_all_and_fills() {
    let files: [(f64, usize, &[f64]); 3] =
        [(0.0, 3, &[10.0, 20.0]), (3.0, 1, &[10.0, 20.0]), (4.0, 2, &[10.5, 20.0, 20.5, 40.0])];
    check(&files, JoinPolicy::Outer, &[10.0, 10.5, 20.0, 20.5, 40.0]);
    let falling: [(f64, usize, &[f64]); 2] =
        [(0.0, 1, &[30.0, 20.0]), (1.0, 1, &[40.0, 20.0, 5.0])];
    check(&falling, JoinPolicy::Outer, &[40.0, 30.0, 20.0, 5.0]);
}

#[test]
fn an_inner_join_has_the_latitudes_that_all_have() {
    let files: [(f64, usize, &[f64]); 2] =
        [(0.0, 3, &[0.0, 10.0, 20.0, 30.0]), (3.0, 2, &[10.0, 15.0, 30.0])];
    check(&files, JoinPolicy::Inner, &[10.0, 30.0]);
}

#[test]
fn by_default_files_on_different_grids_are_refused_and_the_mend_names_the_policy() {
    let same_length = [file(0.0, 1, &[10.0, 20.0]), file(1.0, 1, &[10.5, 20.5])];
    refused(&same_length, plain(), ErrorCode::GRIDS_DIFFER, &["`lat`", "--join outer"]);
    let other_length = [file(0.0, 1, &[10.0, 20.0]), file(1.0, 1, &[10.0])];
    refused(&other_length, plain(), ErrorCode::GRIDS_DIFFER, &["`lat`", "--join outer"]);
}

#[test]
fn what_cannot_be_joined_without_doubt_is_refused() {
    let outer = || joined(JoinPolicy::Outer);
    let rounded = [file(0.0, 1, &[10.0, 20.0]), file(1.0, 1, &[10.0, 20.0 + 1e-12])];
    let words = ["one value, rounded", "--static close:1e-9", "0.nc", "1.nc"];
    refused(&rounded, outer(), ErrorCode::GRIDS_DIFFER, &words);
    let turned = [file(0.0, 1, &[10.0, 20.0]), file(1.0, 1, &[20.0, 10.0])];
    refused(&turned, outer(), ErrorCode::GRIDS_DIFFER, &["falls in others"]);
    let apart = [file(0.0, 1, &[10.0]), file(1.0, 1, &[20.0])];
    let words = ["no element of `lat` is in all files"];
    refused(&apart, joined(JoinPolicy::Inner), ErrorCode::GRIDS_DIFFER, &words);
    let with = |add: fn(Made, &[f64]) -> Made| {
        let one = |first, lat: &[f64]| add(file(first, 1, lat), lat);
        [one(0.0, &[10.0, 20.0]), one(1.0, &[10.0, 30.0])]
    };
    // Integers without a value that says that there is none.
    let counts = with(|made, lat| made.variable("n", "time lat", vec![1; lat.len()], &[]));
    refused(&counts, outer(), ErrorCode::VARIABLE_MISSING, &["variable n", "--join inner", "0.nc"]);
    // The same bytes at other latitudes are not the same.
    let masks = with(|made, lat| made.variable("mask", "lat", vec![1.0; lat.len()], &[]));
    refused(&masks, outer(), ErrorCode::STATIC_DIFFERS, &["`mask`", "--vars"]);
    let bare = [file(0.0, 1, &[10.0, 20.0]), file(1.0, 1, &[10.0, 20.0, 30.0])];
    let references = BakeOptions { written_as: WrittenAs::Kerchunk, ..plain() };
    let references = BakeOptions { join: JoinPolicy::Outer, ..references };
    let folder = Folder::new();
    let bake = Bake::new(folder.put_all(&bare), &folder.text("refs.json")).expect("a destination");
    let error = bake.with_options(references).run().map(drop).expect_err("a refusal");
    assert_eq!(error.code(), ErrorCode::GRIDS_DIFFER, "{error}");
    assert!(error.to_string().contains("bake copies") && !folder.path("refs.json").exists());
}
