use array::{Attributes, Chunk, DType, Scalar};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;
use serde_json::Value;

use super::{MISSING_TIME, TimeEncoding, TimeNumbers, declares_time, encode_times};
use crate::{Calendar, Instants, Packing, TimeSpan, TimeUnit, golden};

fn attributes(units: &str, calendar: Option<&str>) -> Attributes {
    let mut attributes = Attributes::default();
    attributes.set("units", units);
    if let Some(calendar) = calendar {
        attributes.set("calendar", calendar);
    }
    attributes
}

fn encoding(units: &str, calendar: Calendar) -> TimeEncoding {
    TimeEncoding::of_units(units, calendar).expect("units of time")
}

fn decode(encoding: &TimeEncoding, chunk: &Chunk) -> array::error::Result<Vec<Option<i128>>> {
    let plain = Packing::parse(&Attributes::default(), chunk.dtype()).expect("no attributes");
    encoding.decode(chunk, &plain).map(|instants| instants.nanoseconds().to_vec())
}

/// Units as they are written after being read.
#[track_caller]
fn check(units: &str, calendar: Calendar, want: &str) {
    let found = encoding(units, calendar);
    assert_eq!(found.units(), want);
    assert_eq!(encoding(want, calendar), found);
}

#[track_caller]
fn check_refused(units: &str, calendar: Calendar, want: &str) {
    let error = TimeEncoding::of_units(units, calendar).expect_err("no units of time");
    assert_eq!(error.message(), format!("units `{units}`: {want}"));
}

#[test]
fn units_of_real_files_are_read() {
    let standard = Calendar::Standard;
    check("seconds since 1970-1-1 0:00:00 0:00", standard, "seconds since 1970-01-01 00:00:00");
    check("seconds since 2006-01-24 23:15:00 0:00", standard, "seconds since 2006-01-24 23:15:00");
    check("minutes since 2019-05-08 04:00:00", standard, "minutes since 2019-05-08 04:00:00");
    check("days since 1859-12-01", Calendar::Days360, "days since 1859-12-01 00:00:00");
    check("days since 1900-1-1", Calendar::AllLeap, "days since 1900-01-01 00:00:00");
    check("hours since 1800-01-01", standard, "hours since 1800-01-01 00:00:00");
    check("hour since 0000-01-01 00:00:00", Calendar::NoLeap, "hours since 0000-01-01 00:00:00");
}

#[test]
fn every_spelling_of_a_unit_is_read() {
    let spellings = [
        ("nanoseconds nanosecond nanosecs nanosec nsecs nsec ns", "nanoseconds"),
        ("microseconds microsecond microsecs microsec usecs usec us", "microseconds"),
        ("milliseconds millisecond millisecs millisec msecs msec ms", "milliseconds"),
        ("seconds second secs sec s SECONDS", "seconds"),
        ("minutes minute mins min Min", "minutes"),
        ("hours hour hrs hr h H", "hours"),
        ("days day d D Days", "days"),
    ];
    for (words, name) in spellings {
        for word in words.split(' ') {
            let units = format!("{word} since 2000-01-01");
            check(&units, Calendar::Standard, &format!("{name} since 2000-01-01 00:00:00"));
        }
    }
}

#[test]
fn reference_dates_are_read_in_all_their_forms() {
    for (date, want) in [
        ("2000", "2000-01-01 00:00:00"),
        ("2000-2", "2000-02-01 00:00:00"),
        ("2000-1-1", "2000-01-01 00:00:00"),
        ("20000229", "2000-02-29 00:00:00"),
        ("1-1-1 00:00:0.0", "0001-01-01 00:00:00"),
        ("2000-01-01T06:30", "2000-01-01 06:30:00"),
        ("2000-01-01 6", "2000-01-01 06:00:00"),
        ("  2000-01-01   06:30:15 ", "2000-01-01 06:30:15"),
        ("2000-01-01 12:00:00.5", "2000-01-01 12:00:00.5"),
        ("2000-01-01 00:00:00.0000000010", "2000-01-01 00:00:00.000000001"),
        ("-4713-01-01 12:00", "-4713-01-01 12:00:00"),
        ("12000-01-01", "12000-01-01 00:00:00"),
    ] {
        let want = format!("days since {want}");
        check(&format!("days since {date}"), Calendar::Standard, &want);
    }
}

#[test]
fn time_zones_are_taken_off() {
    for (zone, want) in [
        ("Z", "06:30:00"),
        (" UTC", "06:30:00"),
        (" gmt", "06:30:00"),
        (" 0:00", "06:30:00"),
        (" 00", "06:30:00"),
        (" +05:30", "01:00:00"),
        ("+0530", "01:00:00"),
        (" +5", "01:30:00"),
        (" -6:00", "12:30:00"),
        ("-06", "12:30:00"),
    ] {
        let want = format!("days since 2000-01-01 {want}");
        check(&format!("days since 2000-01-01 06:30:00{zone}"), Calendar::Standard, &want);
    }
    check("days since 2000-01-01Z", Calendar::Standard, "days since 2000-01-01 00:00:00");
}

#[test]
fn months_and_common_years_have_a_length_in_one_calendar_each() {
    check("month since 2000-01-01", Calendar::Days360, "months since 2000-01-01 00:00:00");
    check("common_year since 2000-1-1", Calendar::NoLeap, "common_years since 2000-01-01 00:00:00");
    let months = encoding("months since 2000-01-01", Calendar::Days360);
    assert_eq!(months.unit(), TimeUnit::Months);
    let refused = "`months` have no one length in the standard calendar";
    check_refused("months since 2000-01-01", Calendar::Standard, refused);
    let refused = "`common_years` have no one length in the 360_day calendar";
    check_refused("common_years since 2000-01-01", Calendar::Days360, refused);
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let standard = Calendar::Standard;
    let years = "`years` have no one length that all readers take them to have";
    check_refused("years since 2000-01-01", standard, years);
    check_refused("weeks since 2000", standard, "`weeks` is no unit in which times are counted");
    check_refused("days", standard, "there is no `<unit> since <date>`");
    check_refused("days since", standard, "there is no `<unit> since <date>`");
    check_refused("since 2000-01-01", standard, "there is no `<unit> since <date>`");
    check_refused("days since foo", standard, "the reference date `foo` is no date");
    let year_zero = "there is no year 0 in the standard calendar (`0000-01-01`)";
    check_refused("hour since 0000-01-01 00:00:00", standard, year_zero);
    let leap_day = "there is no day 2000-02-29 in the noleap calendar";
    check_refused("days since 2000-02-29", Calendar::NoLeap, leap_day);
    for (date, reason) in [
        ("1999-12-31 23:59:60", "has no time of day that is one"),
        ("2000-01-01 24:00", "has no time of day that is one"),
        ("2000-01-01T", "has no time of day that is one"),
        (
            "2000-01-01 00:00:00 5:00",
            "has a time zone without a sign, which readers read differently",
        ),
        ("2000-01-01 00:00:00 EST", "ends with something that is no time zone"),
        ("2000-01-01 00:00:00 +24:00", "ends with something that is no time zone"),
        ("2000-01-01 00:00:00 +05:300", "ends with something that is no time zone"),
        ("2000-01-01 00:00:00 +5:00 or so", "ends with something that is no time zone"),
        ("2000-01-01 00:00:00.0000000001", "is finer than nanoseconds"),
        ("01-02-2000", "is no date"),
        ("2000-1-", "is no date"),
    ] {
        check_refused(
            &format!("days since {date}"),
            standard,
            &format!("the reference date `{date}` {reason}"),
        );
    }
}

#[test]
fn a_time_is_declared_as_xarray_has_it() {
    for (units, want) in [
        ("days since 2000-01-01", true),
        ("days since", true),
        ("days", false),
        ("hours from 1970-01-01", false),
    ] {
        assert_eq!(declares_time(&attributes(units, None)), want, "{units}");
    }
    assert!(!declares_time(&Attributes::default()));
}

#[track_caller]
fn check_decoded(units: &str, calendar: Calendar, chunk: &Chunk, want: &[Option<&str>]) {
    let found = decode(&encoding(units, calendar), chunk).expect("times");
    let texts: Vec<Option<String>> =
        found.iter().map(|it| it.map(|instant| calendar.instant_text(instant))).collect();
    assert_eq!(texts.iter().map(Option::as_deref).collect::<Vec<_>>(), want);
}

fn chunk<T: array::Native>(values: &[T]) -> Chunk {
    Chunk::of([values.len() as u64], values).expect("as many")
}

#[test]
fn integers_of_all_widths_are_exact() {
    let since = "seconds since 2000-01-01";
    let standard = Calendar::Standard;
    check_decoded(since, standard, &chunk(&[-1i8]), &[Some("1999-12-31T23:59:59")]);
    check_decoded(since, standard, &chunk(&[u16::MAX]), &[Some("2000-01-01T18:12:15")]);
    check_decoded(since, standard, &chunk(&[1i64 << 42]), &[Some("141368-07-18T02:25:04")]);
    let nanoseconds = "nanoseconds since 1970-01-01";
    check_decoded(
        nanoseconds,
        standard,
        &chunk(&[u64::MAX]),
        &[Some("2554-07-21T23:34:33.709551615")],
    );
}

#[test]
fn floats_are_rounded_as_xarray_and_cftime_round_them() {
    // The product 4.1 * 3.6e12 is 14 759 999 999 999.998.
    let hours = chunk(&[4.1f64]);
    let since = "hours since 1970-01-01";
    check_decoded(since, Calendar::Standard, &hours, &[Some("1970-01-01T04:05:59.999999999")]);
    check_decoded(since, Calendar::NoLeap, &hours, &[Some("1970-01-01T04:06:00")]);
    // One microsecond beside a whole second is that second, but not where units are finer.
    let seconds = chunk(&[0.999_999_4f64, 1.000_000_6, 1.000_002]);
    let second = Some("1970-01-01T00:00:01");
    let want = [second, second, Some("1970-01-01T00:00:01.000002")];
    check_decoded("seconds since 1970-01-01", Calendar::NoLeap, &seconds, &want);
    let milliseconds = chunk(&[999.999_4f64, -0.000_6]);
    let want = [Some("1970-01-01T00:00:00.999999"), Some("1969-12-31T23:59:59.999999")];
    check_decoded("ms since 1970-01-01", Calendar::NoLeap, &milliseconds, &want);
    let ties = chunk(&[0.5f64, 1.5, 2.5, -0.5]);
    let (nought, two) = (Some("1970-01-01T00:00:00"), Some("1970-01-01T00:00:00.000002"));
    let want = [nought, two, two, nought];
    check_decoded("microseconds since 1970-01-01", Calendar::NoLeap, &ties, &want);
}

#[test]
fn a_float_beyond_64_bits_of_nanoseconds_makes_all_of_its_chunk_nearest() {
    let found =
        decode(&encoding("hours since 1970-01-01", Calendar::Standard), &chunk(&[4.1, 3e6]));
    assert_eq!(found.expect("times")[0], Some(14_760_000_000_000));
}

#[test]
fn a_missing_time_is_nan_or_the_least_integer_or_what_the_packing_says() {
    let days = encoding("days since 1970-01-01", Calendar::NoLeap);
    assert_eq!(decode(&days, &chunk(&[f32::NAN, 0.0])).expect("times"), [None, Some(0)]);
    assert_eq!(decode(&days, &chunk(&[MISSING_TIME, 0])).expect("times"), [None, Some(0)]);
    let mut fills = Attributes::default();
    fills.set("_FillValue", Scalar::of(-1i64));
    fills.set("missing_value", Scalar::of(i64::MAX));
    let packing = Packing::parse(&fills, DType::Int64).expect("numbers");
    let found = days.decode(&chunk(&[-1, i64::MAX, 0]), &packing).expect("times");
    assert_eq!(found.nanoseconds(), [None, None, Some(0)]);
}

#[test]
fn packed_times_are_unpacked_first() {
    let mut packed = Attributes::default();
    packed.set("scale_factor", Scalar::of(0.5f64));
    packed.set("_FillValue", Scalar::of(-1i16));
    let packing = Packing::parse(&packed, DType::Int16).expect("numbers");
    let days = encoding("days since 1970-01-01", Calendar::Standard);
    let found = days.decode(&chunk(&[-1i16, 3]), &packing).expect("times");
    assert_eq!(found.nanoseconds(), [None, Some(36 * 3_600_000_000_000)]);
}

#[test]
fn times_without_end_or_out_of_reach_are_refused() {
    let days = encoding("days since 1970-01-01", Calendar::Standard);
    for value in [f64::INFINITY, 9.969_209_968_386_869e36, -1e9, 1e18] {
        let error = decode(&days, &chunk(&[0.0, value])).expect_err("not a time");
        assert_eq!(error.place("element"), Some("1"), "{value}");
        let want = format!("the time {value:?} days since 1970-01-01 00:00:00 is");
        assert_eq!(error.message(), want + " more than 292 271 years from 1970");
    }
    let error = decode(&days, &chunk(&[i64::MAX])).expect_err("not a time");
    assert_eq!(error.place("element"), Some("0"));
    let texts = Chunk::of_texts([1], &["1"]).expect("a text");
    assert!(decode(&days, &texts).is_err());
}

#[test]
fn an_instant_that_the_encoding_lacks_is_named() {
    let hours = encoding("hours since 2000-01-01", Calendar::Standard);
    let instants =
        decode(&encoding("minutes since 2000-01-01", Calendar::Standard), &chunk(&[60, 90]));
    let instants = Instants::new(Calendar::Standard, instants.expect("times")).expect("near");
    let error = hours.encode(&instants).expect_err("half an hour");
    assert_eq!(
        error.message(),
        "2000-01-01T01:30:00 cannot be written exactly as `hours since 2000-01-01 00:00:00`"
    );
    assert_eq!(error.place("element"), Some("1"));
}

#[test]
fn instants_of_another_calendar_are_not_encoded() {
    let instants = Instants::new(Calendar::NoLeap, vec![Some(0)]).expect("near");
    let error = encoding("days since 2000", Calendar::Standard).encode(&instants);
    assert_eq!(error.expect_err("two calendars").code(), array::error::ErrorCode::TIMES_DIFFER);
}

/// Cases that are read otherwise than the vectors have it, and why.
const DIFFERENT: [(&str, &str); 2] = [
    ("622e181b94ce", "cftime passes over the time zone `-6:00`, which xarray takes off elsewhere"),
    ("f8d18d99c822", "xarray rounds to microseconds if `hours` is written `h`, and else does not"),
];

#[track_caller]
fn check_golden(case: &Value) {
    let input = &case["input"];
    let dtype: DType = golden::text(&input["dtype"]).parse().expect("a known type");
    let raw = golden::chunk(dtype, input["values"].as_array().expect("a list"));
    let attributes = attributes(golden::text(&input["units"]), input["calendar"].as_str());
    let encoding = TimeEncoding::parse(&attributes);
    let found = encoding.as_ref().map(|encoding| decode(encoding, &raw));
    if case["error"].is_object() {
        // Some ask for 64-bit nanoseconds, which are not what instants are.
        let asks_for_numpy = input["use_cftime"] == false;
        assert!(asks_for_numpy || !matches!(found, Ok(Ok(_))), "{case}");
        return;
    }
    let expected = &case["expected"];
    let is_time = golden::text(&expected["kind"]) != "number";
    assert_eq!(declares_time(&attributes), is_time, "{case}");
    if !is_time {
        return;
    }
    let found = found.expect("units of time").expect("times");
    let is_exact = dtype.is_integer()
        || match golden::text(&expected["kind"]) {
            "cftime" => input["use_cftime"].is_null(),
            _ => input["time_unit"] == "ns",
        };
    for (place, instant) in found.iter().enumerate() {
        let Some((want, tolerance)) = golden_instant(expected, place) else {
            assert_eq!(*instant, None, "{case}");
            continue;
        };
        // Where instants are objects, cftime takes NaN for the reference date.
        let Some(instant) = instant else { continue };
        let tolerance = if is_exact { 0 } else { tolerance };
        assert!((instant - want).abs() <= tolerance, "{instant} at {place} of {case}");
    }
}

/// An instant of a case, and how far another may be from it that comes from a float.
fn golden_instant(expected: &Value, place: usize) -> Option<(i128, i128)> {
    let iso = expected["iso"][place].as_str()?;
    let Some(ticks) = expected["int64"][place].as_i64() else {
        let calendar = golden::text(&expected["calendar"]).parse().expect("a known calendar");
        let encoding = encoding(&format!("days since {iso}"), calendar);
        return Some((encoding.origin(), 1_000));
    };
    let unit = i128::from(golden::ticks(golden::text(&expected["unit"])));
    Some((i128::from(ticks) * unit, unit.max(1_000)))
}

#[test]
fn golden_cf_time_decode() {
    for case in golden::cases("cf_time_decode.json") {
        if DIFFERENT.iter().all(|(id, _)| case["id"] != *id) {
            check_golden(&case);
        }
    }
}

/// Cases whose numbers are not what the vectors have: xarray divides whole seconds by microseconds as
/// by 0, and writes infinities and "not a time". By the CF conventions, section 4.4, `microseconds
/// since 2000-01-01` says how many microseconds lie between; so these numbers are.
const NOT_ENCODED_SO: [&str; 3] = ["3124b15c0b74", "d3be8e138218", "e39a18e5c1f5"];

/// The instants of `input.times`, in nanoseconds.
fn golden_times(times: &Value) -> Instants {
    let name = times["calendar"].as_str().unwrap_or("proleptic_gregorian");
    let calendar: Calendar = name.parse().expect("a known calendar");
    let iso = times["iso"].as_array().expect("a list");
    let instant = |iso: &str| encoding(&format!("days since {iso}"), calendar).origin();
    let nanoseconds = iso.iter().map(|iso| iso.as_str().map(instant)).collect();
    Instants::new(calendar, nanoseconds).expect("near")
}

#[track_caller]
fn check_golden_encode(case: &Value) {
    let (input, expected) = (&case["input"], &case["expected"]);
    let times = golden_times(&input["times"]);
    let calendar = match input["calendar"].as_str() {
        Some(name) => name.parse().expect("a known calendar"),
        None => times.calendar(),
    };
    let numbers = golden::time_numbers(&input["dtype"]);
    let wanted = match input["units"].as_str() {
        Some(units) => TimeEncoding::of_units(units, calendar).map(Some),
        None => Ok(None),
    };
    let found = times
        .in_calendar(calendar)
        .and_then(|times| encode_times(&times, wanted?.as_ref(), numbers));
    if case["error"].is_object() {
        assert!(found.is_err(), "{case}");
        return;
    }
    let found = found.unwrap_or_else(|error| panic!("{error}\n{case}"));
    let want = attributes(golden::text(&expected["units"]), expected["calendar"].as_str());
    assert_eq!(found.encoding, TimeEncoding::parse(&want).expect("units"), "{case}");
    // xarray gives whole numbers as integers for another step to make floats of.
    let dtype = match numbers {
        TimeNumbers::Floats => DType::Float64,
        _ => golden::text(&expected["dtype"]).parse().expect("a known type"),
    };
    let want = golden::chunk(dtype, expected["values"].as_array().expect("a list"));
    if NOT_ENCODED_SO.iter().any(|id| case["id"] == *id) {
        let again = decode(&found.encoding, &found.numbers).expect("near");
        assert_eq!(again, golden_times(&input["times"]).nanoseconds(), "{case}");
    } else {
        assert_eq!(found.numbers.dtype(), want.dtype(), "{case}");
        let [found, want] = [&found.numbers, &want].map(golden::canonical);
        assert!(found.len() == want.len() && found.iter().zip(&want).all(is_same), "{case}");
    }
}

/// Whether two numbers are the same; floats within one unit in the last place, since xarray rounds
/// twice where it divides nanoseconds.
fn is_same((found, want): (&Scalar, &Scalar)) -> bool {
    match (found.dtype(), found.as_float(), want.as_float()) {
        (DType::Float64, Some(found), Some(want)) if !want.is_nan() => {
            (want.next_down()..=want.next_up()).contains(&found)
        }
        _ => found == want,
    }
}

#[test]
fn dates_of_numpy_are_dates_of_any_calendar_that_has_them() {
    let dates = |units: &str, calendar| {
        let instant = encoding(units, calendar).origin();
        Instants::new(calendar, vec![Some(instant), None]).expect("near")
    };
    let numpy = |date: &str| dates(&format!("days since {date}"), Calendar::ProlepticGregorian);
    let noon = numpy("2000-02-28 12:00:00").in_calendar(Calendar::NoLeap).expect("a date");
    assert_eq!(noon, dates("days since 2000-02-28 12:00:00", Calendar::NoLeap));
    assert!(numpy("2000-02-29").in_calendar(Calendar::NoLeap).is_err());
    assert!(noon.in_calendar(Calendar::Standard).is_err());
    let reform = numpy("1582-10-15").in_calendar(Calendar::Standard).expect("the first day");
    assert_eq!(reform, dates("days since 1582-10-15", Calendar::Standard));
    let early = numpy("1582-10-14").in_calendar(Calendar::Standard).expect_err("another day");
    let want = "1582-10-14T00:00:00, before 1582-10-15, is another day in standard";
    assert_eq!(early.message(), want);
}

#[test]
fn integers_from_far_away_are_refused_rather_than_wrapped() {
    let origin = "microseconds since 0001-01-01";
    let wanted = encoding(origin, Calendar::ProlepticGregorian);
    let fine = Instants::new(Calendar::ProlepticGregorian, vec![Some(1)]).expect("near");
    assert!(encode_times(&fine, Some(&wanted), TimeNumbers::Integers).is_err());
    let floats = encode_times(&fine, Some(&wanted), TimeNumbers::Either).expect("floats");
    assert_eq!(floats.numbers.dtype(), DType::Float64);
}

#[test]
fn golden_cf_time_encode() {
    golden::cases("cf_time_encode.json").iter().for_each(check_golden_encode);
}

fn calendars() -> impl Strategy<Value = Calendar> {
    select(vec![
        Calendar::Standard,
        Calendar::ProlepticGregorian,
        Calendar::Julian,
        Calendar::NoLeap,
        Calendar::AllLeap,
        Calendar::Days360,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn written_units_mean_the_same(
        calendar in calendars(),
        unit in select(&TimeUnit::REGULAR[..]),
        origin in -(1i128 << 72)..1i128 << 72,
    ) {
        let encoding = TimeEncoding::new(unit, origin, calendar);
        prop_assert_eq!(&TimeEncoding::of_units(&encoding.units(), calendar).expect("ours"), &encoding);
        let json = serde_json::to_string(&encoding).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<TimeEncoding>(&json).expect("ours"), encoding);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(days |months )?(since )?[-+:.0-9TZ \u{e9}]{0,20}", calendar in calendars()) {
        if let Ok(encoding) = TimeEncoding::of_units(&text, calendar) {
            prop_assert_eq!(&TimeEncoding::of_units(&encoding.units(), calendar).expect("ours"), &encoding);
        }
    }

    #[test]
    fn two_files_with_different_units_are_held_by_one_encoding(
        calendar in calendars(),
        units in (select(&TimeUnit::REGULAR[..4]), select(&TimeUnit::REGULAR[..4])),
        origins in (-2_000_000_000i64..2_000_000_000, -2_000_000_000i64..2_000_000_000),
        values in proptest::collection::vec(any::<(bool, i16)>(), 1..20),
    ) {
        let file = |unit, origin: i64| TimeEncoding::new(unit, i128::from(origin) * 1_000_000_000, calendar);
        let (first, second) = (file(units.0, origins.0), file(units.1, origins.1));
        let read = |of_first: bool| {
            let mine = values.iter().filter(|(is_first, _)| *is_first == of_first);
            let mine: Vec<i16> = mine.map(|(_, value)| *value).collect();
            let encoding = if of_first { &first } else { &second };
            let instants = decode(encoding, &chunk(&mine)).expect("times");
            Instants::new(calendar, instants).expect("near")
        };
        let both = [read(true), read(false)];
        let span = TimeSpan::of(&both[0]).merge(&TimeSpan::of(&both[1])).expect("one calendar");
        let chosen = span.choose(&first).expect("seconds hold all");
        for instants in both {
            let encoded = chosen.encode(&instants).expect("chosen to hold them");
            prop_assert_eq!(decode(&chosen, &chunk(&encoded)).expect("times"), instants.nanoseconds());
        }
    }

    #[test]
    fn floats_are_the_nearest_microsecond(value in -1e9f64..1e9, calendar in calendars()) {
        let seconds = encoding("seconds since 1500-01-01", calendar);
        let found = decode(&seconds, &chunk(&[value])).expect("near")[0].expect("present");
        let distance = (found - seconds.origin()) as f64 / 1e9;
        // One microsecond beside a whole second is that second.
        prop_assert!((distance - value).abs() <= 1.5e-6 && found % 1_000 == 0);
    }
}
