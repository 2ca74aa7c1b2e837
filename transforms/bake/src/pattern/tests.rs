//! Patterns by what is asked of them, and by what they refuse.

use std::num::NonZeroU64;

use cf::Calendar;
use dataflow::error::Result;

use crate::pattern::{
    CombineDim, DateRange, DateStep, FilePattern, FileStarts, Key, Keys, QuerySecrets, Selection,
};

const fn n(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).expect("not zero")
}

fn integers(start: i64, end: i64) -> Keys {
    Keys::integers(start, end, 1).expect("integers")
}

fn range(start: &str, end: &str, step: &str) -> Result<DateRange> {
    DateRange::new(start, end, step.parse()?, None)
}

fn along_time(template: &str, keys: Keys) -> Result<FilePattern> {
    FilePattern::new(template.parse()?, [CombineDim::concat("time", keys)])
}

fn urls(pattern: &FilePattern) -> Vec<String> {
    pattern.items().map(|item| item.expect("has a URL").1).collect()
}

#[track_caller]
fn check_dates(template: &str, (start, end, step): (&str, &str, &str), want: &[&str]) {
    let keys = Keys::dates(range(start, end, step).expect("a range"));
    let pattern = along_time(template, keys).expect("a pattern");
    assert_eq!(urls(&pattern), want);
    assert_eq!(pattern.len(), want.len() as u64);
}

#[track_caller]
fn check_refused(got: Result<FilePattern>, words: &[&str]) {
    let error = got.expect_err("is refused").to_string();
    for word in words {
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn dates_are_written_as_the_template_says() {
    check_dates(
        "h/{time:%Y/%m/%d}-{time:%j}.nc",
        ("2020-02-28", "2020-03-01", "day"),
        &["h/2020/02/28-059.nc", "h/2020/02/29-060.nc", "h/2020/03/01-061.nc"],
    );
    check_dates(
        "h/{time:%y%b%-d%%}_{time:%H%M%S.%f}",
        ("1999-12-31T18:00", "2000-01-01T11:59", "6h"),
        &["h/99Dec31%_180000.000000", "h/00Jan1%_000000.000000", "h/00Jan1%_060000.000000"],
    );
    check_dates(
        "{time:%B%Y}",
        ("2019-11", "2020-02-01", "2 months"),
        &["November2019", "January2020"],
    );
    check_dates("{time:%Y}", ("1850", "2014-12-31", "100 years"), &["1850", "1950"]);
}

#[test]
fn a_range_of_months_ends_before_a_month_that_is_not_whole() {
    let count = |end| range("2019-12-15T06:00", end, "month").expect("a range").count();
    assert_eq!(count("2020-02-15T05:59"), 2);
    assert_eq!(count("2020-02-15T06:00"), 3);
}

#[test]
fn days_are_those_of_the_calendar() {
    let count = |calendar| {
        let step = "1 day".parse::<DateStep>().expect("a step");
        DateRange::new("2000-01-01", "2000-12-30", step, Some(calendar)).expect("dates").count()
    };
    assert_eq!(count(Calendar::Standard), 365);
    assert_eq!(count(Calendar::NoLeap), 364);
    assert_eq!(count(Calendar::Days360), 360);
}

#[test]
fn integers_have_widths_and_bases() {
    let file = |template: &str, start, step| {
        let keys = Keys::integers(start, start + 2 * step, step).expect("integers");
        urls(&along_time(template, keys).expect("a pattern"))
    };
    assert_eq!(file("f{time:04}.nc", 8, 1), ["f0008.nc", "f0009.nc", "f0010.nc"]);
    let listed = Keys::listed_integers([30, 7]).expect("integers");
    assert_eq!(urls(&along_time("{time:03}", listed).expect("a pattern")), ["030", "007"]);
    assert_eq!(file("f{time:03d}", 1, -1), ["f001", "f000", "f-01"]);
    assert_eq!(file("{{{time:x}}}{time}", 9, 1), ["{9}9", "{a}10", "{b}11"]);
    assert_eq!(file("{time:02X}{time:3}", 14, 1), ["0E 14", "0F 15", "10 16"]);
}

#[test]
fn the_last_dimension_is_the_fastest() {
    let dims = [
        CombineDim::merge("var", Keys::texts(["t", "q"]).expect("keys")),
        CombineDim::concat("time", integers(1, 3)),
    ];
    let pattern = FilePattern::new("{var}{time}".parse().expect("a template"), dims);
    let pattern = pattern.expect("a pattern");
    assert_eq!(urls(&pattern), ["t1", "t2", "t3", "q1", "q2", "q3"]);
    let index = pattern.index_of(&[("time", 2), ("var", 1)]).expect("is there");
    assert_eq!(pattern.number(&index).expect("is there"), 5);
    assert_eq!(pattern.index(5), Some(index.clone()));
    assert_eq!(pattern.key(&index, "var").expect("is there"), Key::Text("q"));
    assert_eq!(pattern.index(6), None);
    let misspelled = pattern.index_of(&[("tiem", 0), ("var", 0)]).expect_err("unknown");
    assert!(misspelled.to_string().contains("did you mean `time`?"), "{misspelled}");
    assert!(pattern.index_of(&[("time", 3), ("var", 0)]).is_err());
    assert!(pattern.index_of(&[("time", 0)]).is_err());
    let starts = FileStarts::new([10, 20, 30], 5).expect("fits");
    let located = index.located("time", &starts).expect("in files");
    assert_eq!(located.to_string(), "var file 1, time from 35");
    assert!(pattern.url(&located).is_err() && located.located("time", &starts).is_err());
}

/// As real archives are: 42 years of hours, and far more than could ever be listed.
#[test]
fn a_pattern_of_any_length_is_a_formula() {
    let hours = range("1979-01-01", "2020-12-31T23:00", "1 hour").expect("hours");
    let template = "s3://b/{time:%Y/%m/%d}/{time:%Y%m%d%H}.nc";
    let pattern = along_time(template, Keys::dates(hours)).expect("a pattern");
    assert_eq!(pattern.len(), 368_184);
    assert_eq!(pattern.url_at(368_183).expect("the last"), "s3://b/2020/12/31/2020123123.nc");
    let stored = serde_json::to_string(&pattern).expect("is stored");
    assert!(stored.len() < 400, "{stored}");
    let read: FilePattern = serde_json::from_str(&stored).expect("is read");
    assert_eq!(read, pattern);
    let dims = ["a", "b", "c"].map(|name| CombineDim::concat(name, integers(0, 999)));
    let many = FilePattern::new("{a:03}{b:03}{c:03}".parse().expect("a template"), dims);
    let many = many.expect("a pattern");
    assert_eq!(many.len(), 1_000_000_000);
    assert_eq!(many.url_at(123_456_789).expect("is there"), "123456789");
    assert_eq!(many.items().nth(2).expect("is there").expect("has a URL").1, "000000002");
    let huge = ["a", "b"].map(|name| CombineDim::concat(name, integers(0, i64::MAX)));
    check_refused(FilePattern::new("{a}{b}".parse().expect("a template"), huge), &["2^64"]);
}

#[test]
fn pruning_keeps_order_and_merge_keys() {
    let dims = [
        CombineDim::concat("time", integers(0, 9)),
        CombineDim::merge("var", Keys::texts(["t", "q"]).expect("keys")),
    ];
    let pattern = FilePattern::new("{time}{var}".parse().expect("a template"), dims);
    let pattern = pattern.expect("a pattern");
    assert_eq!(urls(&pattern.prune(Selection::First(n(2)))), ["0t", "0q", "1t", "1q"]);
    let every = pattern.prune(Selection::Every(n(4)));
    assert_eq!(urls(&every), ["0t", "0q", "4t", "4q", "8t", "8q"]);
    assert_eq!(urls(&every.prune(Selection::First(n(1)))), ["0t", "0q"]);
    assert_eq!(every.prune_dim("var", Selection::First(n(1))).expect("is there").len(), 3);
    assert!(pattern.prune_dim("vra", Selection::First(n(1))).is_err());
}

#[test]
fn a_sample_is_spread_distinct_and_the_same_for_a_seed() {
    let pattern = along_time("{time}", integers(0, 999_999)).expect("a pattern");
    let sample = |seed| urls(&pattern.prune(Selection::Sample { count: n(100), seed }));
    let numbers: Vec<u64> = sample(7).iter().map(|it| it.parse().expect("a number")).collect();
    let spread = numbers.iter().zip(0..).all(|(number, part)| number / 10_000 == part);
    assert!(spread && numbers.len() == 100, "{numbers:?}");
    assert_eq!(sample(7), sample(7));
    assert_ne!(sample(7), sample(8));
    let few = along_time("{time}", integers(0, 2)).expect("a pattern");
    assert_eq!(urls(&few.prune(Selection::Sample { count: n(9), seed: 1 })), ["0", "1", "2"]);
}

#[test]
fn files_are_listed_with_a_dimension_or_alone() {
    let listed = FilePattern::from_files(["b", "a", "c"], Some("time"), Some(n(3)));
    let listed = listed.expect("a list");
    assert_eq!(urls(&listed), ["b", "a", "c"]);
    assert_eq!(listed.concat_sequence_len("time").expect("is there"), Some(9));
    assert_eq!(urls(&listed.prune(Selection::Every(n(2)))), ["b", "c"]);
    let read = serde_json::to_string(&listed).and_then(|text| serde_json::from_str(&text));
    assert_eq!(listed, read.expect("is stored and read"));
    let alone = FilePattern::from_files(["fx.nc"], None, None).expect("one file");
    assert_eq!((alone.len(), alone.shape()), (1, [].as_slice()));
    assert_eq!(alone.index(0).map(|index| index.positions().len()), Some(0));
    assert_eq!(urls(&alone), ["fx.nc"]);
    check_refused(FilePattern::from_files(["a", "b"], None, None), &["no dimension joins"]);
    check_refused(FilePattern::from_files(["a", "a"], Some("t"), None), &["twice"]);
    check_refused(FilePattern::from_files(Vec::<String>::new(), Some("t"), None), &["empty"]);
}

#[test]
fn a_new_dimension_has_the_keys_as_its_values() {
    let days = Keys::dates(range("2020-01-01", "2020-01-02", "day").expect("days"));
    let dims = [CombineDim::expand("time", days)];
    let pattern = FilePattern::new("{time:%d}".parse().expect("a template"), dims);
    let pattern = pattern.expect("a pattern");
    let index = pattern.index(1).expect("is there");
    assert_eq!(pattern.key(&index, "time").expect("a key").to_string(), "2020-01-02T00:00:00");
    assert_eq!(pattern.concat_sequence_len("time").expect("is there"), Some(2));
    assert_eq!(pattern.concat_dims().collect::<Vec<_>>(), ["time"]);
    let length = CombineDim::expand("x", integers(0, 1)).with_nitems_per_file(n(2));
    assert!(length.is_err());
}

#[test]
fn secrets_reach_locations_alone() {
    let pattern = along_time("https://h/{time}.nc?a=1&token=old#x", integers(0, 1));
    let secrets = QuerySecrets::new([("token", "hush hush")]);
    let pattern = pattern.and_then(|it| it.with_secrets(secrets.clone())).expect("has a query");
    let url = secrets.add_to(&pattern.url_at(1).expect("is there")).expect("has a query");
    assert_eq!(url, "https://h/1.nc?a=1&token=hush+hush#x");
    let shown = [
        format!("{pattern:?} {secrets:?}"),
        serde_json::to_string(&pattern).expect("is stored"),
        format!("{0} {0:?}", pattern.location(1).expect("a place")),
        urls(&pattern).join(" "),
    ];
    assert!(shown.iter().all(|text| !text.contains("hush")), "{shown:?}");
    assert_ne!(pattern.location(1).expect("a place"), pattern.location(0).expect("a place"));
    // Pruned patterns are opened with the same secrets.
    let pruned = pattern.prune(Selection::First(n(1)));
    assert_eq!(pruned.location(0).expect("a place"), pattern.location(0).expect("a place"));
    let bucket =
        along_time("s3://b/{time}?x", integers(0, 1)).and_then(|it| it.with_secrets(secrets));
    check_refused(bucket, &["no query", "s3://b"]);
}

#[test]
fn bad_templates_are_refused() {
    let refused = |template: &str, words: &[&str]| {
        check_refused(along_time(template, integers(0, 1)), words);
    };
    refused("h/{tiem}.nc", &["E107", "`{tiem}`", "did you mean `time`?"]);
    refused("h/x.nc", &["`{time}`", "one URL"]);
    refused("h/{time", &["byte 2", "`{{`"]);
    refused("h/time}", &["byte 6"]);
    refused("h/{time{time}}", &["byte 2"]);
    refused("h/{}/{time}", &["names no dimension"]);
    refused("h/{0}", &["names no dimension"]);
    refused("h/{time.year}", &["names no dimension"]);
    refused("h/{time!r}", &["names no dimension"]);
    refused("h/{time:%Y}", &["a number, not a date", "field    time"]);
    refused("h/{time:>4}", &["`>4`"]);
    refused("h/{time:99999999999}", &["99999999999"]);
    refused("", &["empty"]);
    let days = || Keys::dates(range("2020-01-30", "2020-02-02", "day").expect("days"));
    check_refused(along_time("{time:%Q}", days()), &["`%Q`", "%Y"]);
    check_refused(along_time("{time}", days()), &["many ways"]);
    check_refused(along_time("{time:%Y%m}?k=hush", days()), &["one URL", "2020-01-31", "%Y%m"]);
    let words = Keys::texts(["a", "b"]).expect("keys");
    check_refused(along_time("{time:02}", words), &["is a text"]);
}

#[test]
fn bad_keys_are_refused() {
    let text = |error: Option<dataflow::error::Error>| error.expect("is refused").to_string();
    assert!(text(Keys::texts(["a", "b", "a"]).err()).contains("`a` is given twice"));
    assert!(text(Keys::texts(Vec::<String>::new()).err()).contains("no keys"));
    assert!(text(Keys::listed_integers([3, 1, 3]).err()).contains("`3` is given twice"));
    assert!(text(Keys::integers(0, 5, -1).err()).contains("from 0 to 5 by -1"));
    assert!(Keys::integers(i64::MIN, i64::MAX, 1).is_err() && Keys::integers(1, 2, 0).is_err());
    let all = Keys::integers(i64::MIN, i64::MAX, 2).expect("integers");
    assert_eq!(all.get(all.count() - 1), Some(Key::Integer(i64::MAX - 1)));
    assert!(text(range("2020-01-02", "2020-01-01", "day").err()).contains("before the start"));
    assert!(text(range("2020-02-30", "2020-03-01", "day").err()).contains("no day 2020-02-30"));
    assert!(text(range("2020-01-31", "2020-03-31", "month").err()).contains("a day 31"));
    assert!(text(range("1582-09-10", "1583-01-10", "month").err()).contains("a day 10"));
    assert!(text(range("2020", "2021", "mnth").err()).contains("did you mean `month`?"));
    assert!(text(range("2020", "2021", "0 days").err()).contains("nowhere"));
    let twice = [CombineDim::concat("t", integers(0, 1)), CombineDim::merge("t", integers(0, 1))];
    check_refused(FilePattern::new("{t}".parse().expect("a template"), twice), &["two dimensions"]);
}
