use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

use super::TimeSpan;
use crate::{Calendar, Instants, TimeEncoding, golden};

const HOUR: i128 = 3_600_000_000_000;

fn span(instants: &[i128]) -> TimeSpan {
    let present = instants.iter().copied().map(Some).collect();
    TimeSpan::of(&Instants::new(Calendar::Standard, present).expect("near"))
}

/// What is chosen for instants, in nanoseconds since 1970, beside the units of a first file.
#[track_caller]
fn check(instants: &[i128], preferred: &str, want: &str) {
    let preferred = TimeEncoding::of_units(preferred, Calendar::Standard).expect("units");
    let chosen = span(instants).choose(&preferred).expect("one holds all");
    assert_eq!(chosen.units(), want);
    let all = instants.iter().copied().map(Some).collect();
    let all = Instants::new(Calendar::Standard, all).expect("near");
    assert!(chosen.encode(&all).is_ok());
}

#[test]
fn the_first_files_own_units_stay_where_they_hold_all() {
    let own = "seconds since 2019-01-01 00:00:00";
    check(&[0, HOUR, 25 * HOUR], own, own);
    check(&[], own, own);
    check(&[7], "nanoseconds since 1970-01-01", "nanoseconds since 1970-01-01 00:00:00");
    check(&[1 << 62], "nanoseconds since 1970-01-01", "nanoseconds since 1970-01-01 00:00:00");
}

#[test]
fn units_become_as_coarse_as_all_instants_allow() {
    check(&[0, HOUR], "days since 1970-01-01", "hours since 1970-01-01 00:00:00");
    check(&[0, HOUR / 4], "days since 1970-01-01", "minutes since 1970-01-01 00:00:00");
    check(&[0, HOUR, 1_000], "days since 1970-01-01", "microseconds since 1970-01-01 00:00:00");
    check(&[1], "hours since 1970-01-01", "nanoseconds since 1970-01-01 00:00:00");
}

#[test]
fn the_origin_moves_rather_than_the_unit() {
    check(&[12 * HOUR, 36 * HOUR], "days since 1970-01-01", "days since 1970-01-01 12:00:00");
    let half_past = "hours since 1970-01-01 00:30:00";
    check(&[24 * HOUR, 48 * HOUR], half_past, "days since 1970-01-02 00:00:00");
}

#[test]
fn origins_are_whole_seconds() {
    let half = "seconds since 1970-01-01 00:00:00.5";
    check(&[500_000_000, 1_500_000_000], half, "milliseconds since 1970-01-01 00:00:00");
}

#[test]
fn microseconds_far_from_their_origin_move_it() {
    let wanted = "microseconds since 2000-01-01 00:00:00";
    let there = 946_684_800 * 1_000_000_000;
    check(&[there, there + 1_000], "microseconds since 0001-01-01", wanted);
}

#[test]
fn what_is_fine_and_far_apart_at_once_is_refused() {
    let preferred = TimeEncoding::of_units("days since 1970-01-01", Calendar::Standard);
    let far = span(&[-9_300_000_000_000_000_001, 9_300_000_000_000_000_000]);
    let error = far.choose(&preferred.expect("units")).expect_err("no unit holds these");
    assert_eq!(
        error.message(),
        "no unit holds all times from 1675-04-18T02:39:59.999999999 \
         to 2264-09-14T21:20:00 exactly"
    );
}

#[test]
fn calendars_are_not_mixed() {
    let other = TimeSpan::of(&Instants::new(Calendar::NoLeap, vec![Some(0)]).expect("near"));
    let error = span(&[0]).merge(&other).expect_err("two calendars");
    assert_eq!(
        error.message(),
        "times of the standard and of the noleap calendar cannot be joined"
    );
    let noleap = TimeEncoding::of_units("days since 1970-01-01", Calendar::NoLeap).expect("units");
    assert!(span(&[0]).choose(&noleap).is_err());
}

#[test]
fn a_missing_instant_is_remembered() {
    let missing = TimeSpan::of(&Instants::new(Calendar::Standard, vec![None]).expect("near"));
    assert_eq!((missing.range(), missing.has_missing()), (None, true));
    let merged = span(&[3, 5]).merge(&missing).expect("one calendar");
    assert_eq!((merged.range(), merged.has_missing()), (Some((3, 5)), true));
}

/// xarray's unit, unless its origin has a fraction of a second, which ours never has.
#[track_caller]
fn check_golden(case: &Value) {
    let times = &case["input"]["times"];
    let iso = times["iso"].as_array().expect("a list");
    let expected = golden::text(&case["expected"]["units"]);
    let calendar: Calendar =
        golden::text(&case["expected"]["calendar"]).parse().expect("a known calendar");
    let read = |units: String| TimeEncoding::of_units(&units, calendar).expect("units");
    let instants =
        iso.iter().map(|it| it.as_str().map(|iso| read(format!("days since {iso}")).origin()));
    let instants = Instants::new(calendar, instants.collect()).expect("near");
    let preferred = read("days since 1970-01-01".to_owned());
    let chosen = TimeSpan::of(&instants).choose(&preferred).expect("one holds all");
    assert_eq!(chosen.unit(), read(expected.to_owned()).unit(), "{case}");
    assert!(chosen.encode(&instants).is_ok(), "{case}");
}

#[test]
fn golden_cf_infer_time_units() {
    golden::cases("cf_infer_time_units.json").iter().for_each(check_golden);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_is_that_of_the_sets_in_any_order(a: Vec<i32>, b: Vec<i32>, c: Vec<i32>) {
        let of = |values: &[i32]| span(&values.iter().copied().map(i128::from).collect::<Vec<_>>());
        let merged = |x: &TimeSpan, y: &TimeSpan| x.merge(y).expect("one calendar");
        let whole = of(&[a.clone(), b.clone(), c.clone()].concat());
        let (a, b, c) = (of(&a), of(&b), of(&c));
        prop_assert_eq!(&merged(&merged(&a, &b), &c), &whole);
        prop_assert_eq!(&merged(&a, &merged(&c, &b)), &whole);
    }

    #[test]
    fn what_is_chosen_holds_every_instant(values in proptest::collection::vec(any::<i64>(), 1..9), shift in 0u32..40) {
        let instants: Vec<i128> = values.iter().map(|value| i128::from(value >> shift << (shift / 2))).collect();
        let preferred = TimeEncoding::of_units("hours since 1970-01-01", Calendar::Standard);
        let chosen = span(&instants).choose(&preferred.expect("units")).expect("nanoseconds do");
        let all = instants.iter().copied().map(Some).collect();
        prop_assert!(chosen.encode(&Instants::new(Calendar::Standard, all).expect("near")).is_ok());
    }

    #[test]
    fn a_span_survives_serialisation(values: Vec<i64>) {
        let span = span(&values.iter().copied().map(i128::from).collect::<Vec<_>>());
        let json = serde_json::to_string(&span).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<TimeSpan>(&json).expect("ours"), span);
    }
}
