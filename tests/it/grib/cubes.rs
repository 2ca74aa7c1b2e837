//! Messages as hypercubes: which are one variable, with which dimensions, and which are missing.

use array::{DatasetSource, Region};
use grib::{GribFile, Hole};

use super::reading::{Folder, numbers, read};
use super::samples::{Message, PLAIN, PLAIN_1};

fn opened(messages: &[Vec<u8>]) -> GribFile {
    Folder::new().open(&messages.concat()).expect("a file")
}

fn edition_2(messages: &[Message]) -> GribFile {
    opened(&messages.iter().map(Message::edition_2).collect::<Vec<_>>())
}

#[track_caller]
fn check(file: &GribFile, name: &str, dimensions: &[&str], shape: &[u64]) {
    let variable = file.dataset().expect_variable(name).expect("a variable");
    assert_eq!((&*variable.dimensions, &*variable.shape), (&*owned(dimensions), shape));
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn both_editions_hold_the_values_that_were_written() {
    for gap in [0, 4] {
        let message = Message { gap, ..PLAIN };
        let file = edition_2(&[message]);
        check(&file, "t", &["time", "latitude", "longitude"], &[1, 2, 3]);
        assert_same(&numbers(&file, "t"), &message.values());
        let message = Message { gap, ..PLAIN_1 };
        let file = opened(&[message.edition_1()]);
        check(&file, "t", &["time", "latitude", "longitude"], &[1, 2, 3]);
        assert_same(&numbers(&file, "t"), &message.values());
        assert_eq!(numbers(&file, "latitude"), [41.0, 40.0]);
        assert_eq!(numbers(&file, "longitude"), [10.0, 11.0, 12.0]);
        assert_eq!(numbers(&file, "isobaricInhPa"), [850.0]);
        // 2024-01-15T06:00:00Z.
        assert_eq!(numbers(&file, "time"), [1_705_298_400.0]);
        assert_eq!(numbers(&file, "valid_time"), [1_705_298_400.0]);
    }
}

#[track_caller]
fn assert_same(found: &[f64], wanted: &[f64]) {
    let bits = |values: &[f64]| values.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(found), bits(wanted), "{found:?}, not {wanted:?}");
}

#[test]
fn messages_in_any_order_are_one_hypercube() {
    let mut messages = Vec::new();
    for (m, member) in [Some(2), Some(1)].into_iter().enumerate() {
        for (t, day) in [16, 15].into_iter().enumerate() {
            for (s, step) in [6, 0, 12].into_iter().enumerate() {
                for (l, level) in [500, 850].into_iter().enumerate() {
                    let base = (((m * 2 + t) * 3 + s) * 2 + l) as u16 * 10;
                    let date = [2024, 1, day, 6];
                    messages.push(Message { date, step, level, member, base, ..PLAIN });
                }
            }
        }
    }
    let file = edition_2(&messages);
    let dimensions = ["number", "time", "step", "isobaricInhPa", "latitude", "longitude"];
    check(&file, "t", &dimensions, &[2, 2, 3, 2, 2, 3]);
    assert_eq!(numbers(&file, "number"), [1.0, 2.0]);
    assert_eq!(numbers(&file, "step"), [0.0, 21_600.0, 43_200.0]);
    assert_eq!(numbers(&file, "isobaricInhPa"), [850.0, 500.0]);
    let first_points: Vec<f64> = numbers(&file, "t").into_iter().step_by(6).collect();
    // Member 1, day 15, step 0, 850 hPa is the last but one of that day; and so on.
    assert_eq!(first_points[0], 210.0);
    assert_eq!(first_points.len(), 24);
    let valid_times = numbers(&file, "valid_time");
    assert_eq!(valid_times[1] - valid_times[0], 21_600.0);
    let mut sorted = first_points.clone();
    sorted.sort_by(f64::total_cmp);
    let all: Vec<f64> = (0..24).map(|n| f64::from(n) * 10.0).collect();
    assert_eq!(sorted, all);
    for (place, &value) in first_points.iter().enumerate() {
        let message = messages[(value / 10.0) as usize];
        let index = [place / 12, place / 6 % 2, place / 2 % 3, place % 2];
        assert_eq!(usize::from(message.member.expect("a member")) - 1, index[0]);
        assert_eq!(usize::from(message.date[2]) - 15, index[1]);
        assert_eq!(usize::from(message.step) / 6, index[2]);
        assert_eq!(message.level, [850, 500][index[3]]);
    }
}

#[test]
fn places_without_a_message_are_nan_and_listed() {
    let at = |level, step| Message { level, step, ..PLAIN };
    let file = edition_2(&[at(850, 0), at(850, 6), at(500, 6)]);
    check(
        &file,
        "t",
        &["time", "step", "isobaricInhPa", "latitude", "longitude"],
        &[1, 2, 2, 2, 3],
    );
    assert_eq!(file.holes("t").collect::<Vec<_>>(), [Hole { index: vec![0, 0, 1] }]);
    let warning = &file.dataset().warnings[0];
    assert!(warning.contains("`t` has no message at 1 of 4 places"), "{warning}");
    let values = numbers(&file, "t");
    let missing: Vec<usize> = (0..24).filter(|&place| values[place].is_nan()).collect();
    assert_eq!(missing, [6, 7, 8, 9, 10, 11]);
}

#[test]
fn two_messages_for_one_place_refuse_the_variable_by_their_offsets() {
    let other = Message { parameter: [2, 2], ..PLAIN };
    let file = edition_2(&[PLAIN, other, PLAIN]);
    let length = PLAIN.edition_2().len();
    assert!(file.dataset().variable("t").is_none());
    check(&file, "u", &["time", "latitude", "longitude"], &[1, 2, 3]);
    let error = file.array("t").expect_err("two of one");
    let words = format!("bytes 0 and {} both hold `t`", 2 * length);
    assert!(error.message().contains(&words), "{error}");
    assert!(file.dataset().warnings.iter().any(|it| it.contains("`t` is left out")));
}

#[test]
fn axes_that_differ_get_names_of_their_own() {
    let u = |level| Message { parameter: [2, 2], level, ..PLAIN };
    let file = edition_2(&[PLAIN, u(850), u(500), u(300)]);
    check(&file, "u", &["time", "isobaricInhPa", "latitude", "longitude"], &[1, 3, 2, 3]);
    check(&file, "t", &["time", "latitude", "longitude"], &[1, 2, 3]);
    assert_eq!(numbers(&file, "isobaricInhPa"), [850.0, 500.0, 300.0]);
    assert_eq!(numbers(&file, "isobaricInhPa_1"), [850.0]);
    let t = file.dataset().variable("t").expect("a variable");
    assert_eq!(t.attributes.text("coordinates"), Some("valid_time step isobaricInhPa_1"));
}

#[test]
fn grids_that_differ_make_variables_of_their_own() {
    let wide = Message { size: [4, 2], ..PLAIN };
    let file = edition_2(&[PLAIN, wide]);
    check(&file, "t_grid1", &["time", "latitude", "longitude_1"], &[1, 2, 3]);
    check(&file, "t_grid2", &["time", "latitude", "longitude"], &[1, 2, 4]);
    assert_eq!(numbers(&file, "t_grid2"), wide.values());
}

#[test]
fn rows_run_alike_whatever_the_order_of_the_file() {
    for flags in (0..16).map(|bits| bits << 4) {
        let message = Message { order: flags, base: 0, ..PLAIN };
        let file = edition_2(&[message]);
        let (latitudes, longitudes) = (numbers(&file, "latitude"), numbers(&file, "longitude"));
        let mut places: Vec<(f64, f64)> = Vec::new();
        let (ni, nj) = (3, 2);
        for place in 0..6 {
            let is_by_columns = flags & 0x20 != 0;
            let line = if is_by_columns { nj } else { ni };
            let (outer, mut inner) = (place / line, place % line);
            if flags & 0x10 != 0 && outer % 2 == 1 {
                inner = line - 1 - inner;
            }
            let (j, i) = if is_by_columns { (inner, outer) } else { (outer, inner) };
            let latitude = if flags & 0x40 != 0 { 40 + j } else { 41 - j };
            let longitude = if flags & 0x80 != 0 { 12 - i } else { 10 + i };
            places.push((latitude as f64, longitude as f64));
        }
        let values = numbers(&file, "t");
        for (row, latitude) in latitudes.iter().enumerate() {
            for (column, longitude) in longitudes.iter().enumerate() {
                let wanted = places.iter().position(|place| *place == (*latitude, *longitude));
                let value = values[row * 3 + column];
                assert_eq!(Some(value as usize), wanted, "order {flags:#010b}");
            }
        }
    }
}

#[test]
fn unknown_parameters_are_called_by_their_numbers() {
    let file = edition_2(&[Message { parameter: [77, 200], ..PLAIN }]);
    check(&file, "param_0_77_200", &["time", "latitude", "longitude"], &[1, 2, 3]);
    let file = opened(&[Message { parameter: [199, 250], ..PLAIN_1 }.edition_1()]);
    check(&file, "param_t199_250", &["time", "latitude", "longitude"], &[1, 2, 3]);
}

#[test]
fn editions_mix_and_headings_are_passed_over() {
    let heading = b"\x01\r\r\n001\r\r\nHTXA50 KWBC 180000\r\r\n".to_vec();
    let later = Message { step: 6, ..PLAIN_1 };
    let file = opened(&[heading.clone(), PLAIN.edition_2(), heading, later.edition_1()]);
    // One parameter by two codes: variables that are told apart.
    assert_eq!(file.field_count(), 2);
    check(&file, "t_0_0_0", &["time", "latitude", "longitude"], &[1, 2, 3]);
    check(&file, "t_128_130", &["time", "step", "latitude", "longitude"], &[1, 1, 2, 3]);
}

#[test]
fn a_message_is_a_chunk_and_regions_are_cut_out_of_it() {
    let at = |level, base| Message { level, base, ..PLAIN };
    let file = edition_2(&[at(850, 0), at(500, 10), at(300, 20)]);
    let source = file.array("t").expect("an array");
    let facts = source.facts();
    assert_eq!(facts.grid.largest_chunk(), [1, 1, 2, 3]);
    assert!(!facts.is_random_access);
    assert_eq!(facts.codecs, ["grid_simple"]);
    assert_eq!(facts.encoded_ratio, 0.5);
    let whole = read(&file, "t").expect("elements");
    let part = Region::new([0..1, 1..3, 1..2, 0..2]);
    let cut = source.read(&part).expect("a part");
    assert_eq!(cut, whole.slice(&part).expect("within"));
    assert_eq!(
        source.read(&Region::new([0..1, 2..2, 0..2, 0..3])).expect("none").element_count(),
        0
    );
    assert!(source.fetch(&[Region::new([0..1, 0..4, 0..2, 0..3])]).is_err());
}
