use proptest::prelude::{ProptestConfig, Strategy, prop_assert_eq, prop_assert_ne, proptest};
use proptest::sample::select;

use super::{Calendar, Date};

const ALL: [Calendar; 6] = [
    Calendar::Standard,
    Calendar::ProlepticGregorian,
    Calendar::Julian,
    Calendar::NoLeap,
    Calendar::AllLeap,
    Calendar::Days360,
];

/// A day and its number, both ways.
#[track_caller]
fn check(calendar: Calendar, (year, month, day): (i64, u8, u8), number: i64) {
    let date = Date { year, month, day };
    assert_eq!(calendar.day_number(date).expect("a day of the calendar"), number);
    assert_eq!(calendar.date(number), date);
}

#[track_caller]
fn check_refused(calendar: Calendar, (year, month, day): (i64, u8, u8)) {
    let found = calendar.day_number(Date { year, month, day });
    assert!(found.is_err(), "{year}-{month}-{day} is {found:?} in {calendar}");
}

#[test]
fn every_calendar_counts_from_1970() {
    for calendar in ALL {
        check(calendar, (1970, 1, 1), 0);
    }
}

#[test]
fn thirty_years_have_each_calendars_days() {
    check(Calendar::Standard, (2000, 1, 1), 30 * 365 + 7);
    check(Calendar::ProlepticGregorian, (2000, 1, 1), 30 * 365 + 7);
    check(Calendar::Julian, (2000, 1, 1), 30 * 365 + 7);
    check(Calendar::NoLeap, (2000, 1, 1), 30 * 365);
    check(Calendar::AllLeap, (2000, 1, 1), 30 * 366);
    check(Calendar::Days360, (2000, 1, 1), 30 * 360);
}

#[test]
fn leap_days_are_where_the_rules_put_them() {
    check(Calendar::Standard, (2000, 2, 29), 30 * 365 + 7 + 59);
    check(Calendar::AllLeap, (2001, 2, 29), 31 * 366 + 59);
    check(Calendar::Days360, (2000, 2, 30), 30 * 360 + 59);
    check_refused(Calendar::Standard, (1900, 2, 29));
    check_refused(Calendar::NoLeap, (2000, 2, 29));
    check_refused(Calendar::NoLeap, (2000, 2, 30));
    check_refused(Calendar::Days360, (2000, 1, 31));
    check_refused(Calendar::AllLeap, (2000, 4, 31));
    // 1900 - 1970 = -70 years with 17 leap days, counted back from 1970, and February is yet to end.
    check(Calendar::Julian, (1900, 2, 29), -(70 * 365 + 18) + 59);
}

/// Julian day numbers of astronomy: 2 440 588 is 1970-01-01, 2 299 161 is 1582-10-15, 0 is
/// 1 January 4713 BC.
#[test]
fn the_standard_calendar_leaves_out_ten_days() {
    check(Calendar::Standard, (1582, 10, 15), 2_299_161 - 2_440_588);
    check(Calendar::Standard, (1582, 10, 4), 2_299_160 - 2_440_588);
    check(Calendar::Standard, (-4713, 1, 1), -2_440_588);
    check(Calendar::ProlepticGregorian, (1582, 10, 14), 2_299_160 - 2_440_588);
    for day in 5..15 {
        check_refused(Calendar::Standard, (1582, 10, day));
    }
}

#[test]
fn year_zero_is_there_where_the_calendar_has_one() {
    check(Calendar::ProlepticGregorian, (0, 1, 1), -719_528);
    check(Calendar::ProlepticGregorian, (-1, 12, 31), -719_529);
    check(Calendar::NoLeap, (0, 1, 1), -1970 * 365);
    check(Calendar::NoLeap, (-1, 12, 31), -1970 * 365 - 1);
    check(Calendar::AllLeap, (0, 2, 29), -1970 * 366 + 59);
    check(Calendar::Days360, (-1, 12, 30), -1970 * 360 - 1);
    check_refused(Calendar::Standard, (0, 1, 1));
    check_refused(Calendar::Julian, (0, 1, 1));
    // Year -1 is a leap year of the Julian rules and ends the day before year 1.
    check(Calendar::Standard, (1, 1, 1), 1_721_424 - 2_440_588);
    check(Calendar::Standard, (-1, 12, 31), 1_721_423 - 2_440_588);
    check(Calendar::Standard, (-1, 2, 29), 1_721_058 + 59 - 2_440_588);
}

#[test]
fn what_is_no_day_at_all_is_refused() {
    for calendar in ALL {
        for date in [(2000, 0, 1), (2000, 13, 1), (2000, 1, 0), (2000, 1, 32), (i64::MAX, 1, 1)] {
            check_refused(calendar, date);
        }
    }
}

#[track_caller]
fn check_name(text: &str, want: Result<Calendar, &str>) {
    let found = text.parse::<Calendar>();
    assert_eq!(found.as_ref().map_err(|error| error.message()), want.as_ref().map_err(|it| *it));
}

#[test]
fn names_of_one_calendar_are_one_value() {
    check_name("gregorian", Ok(Calendar::Standard));
    check_name("Standard", Ok(Calendar::Standard));
    check_name("NOLEAP", Ok(Calendar::NoLeap));
    check_name("365_day", Ok(Calendar::NoLeap));
    check_name("366_day", Ok(Calendar::AllLeap));
    check_name("360_day", Ok(Calendar::Days360));
    for calendar in ALL {
        check_name(calendar.name(), Ok(calendar));
    }
}

#[test]
fn other_calendars_are_refused_by_name() {
    check_name("none", Err("the calendar `none` has no dates"));
    check_name("UTC", Err("the calendar `UTC` counts leap seconds, which is not read"));
    check_name("tai", Err("the calendar `tai` counts leap seconds, which is not read"));
    check_name("", Err("no calendar is called ``"));
}

fn calendars() -> impl Strategy<Value = Calendar> {
    select(&ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_come_back(calendar in calendars(), number in -120_000_000i64..120_000_000) {
        let date = calendar.date(number);
        prop_assert_eq!(calendar.day_number(date).expect("a day"), number);
    }

    #[test]
    fn the_next_number_is_the_next_day(calendar in calendars(), number in -1_100_000i64..1_100_000) {
        let (today, tomorrow) = (calendar.date(number), calendar.date(number + 1));
        let is_gap = today.year == 1582 && tomorrow.day == 15;
        let first = Date { day: 1, ..tomorrow };
        match (today.month == tomorrow.month, today.year == tomorrow.year) {
            (true, _) if calendar == Calendar::Standard && is_gap && today.day == 4 => {}
            (true, same_year) => {
                prop_assert_eq!((same_year, today.day + 1), (true, tomorrow.day));
            }
            (false, true) => prop_assert_eq!(Date { month: today.month + 1, ..first }, tomorrow),
            (false, false) => {
                prop_assert_eq!((today.month, today.day >= 30), (12, true));
                prop_assert_eq!((tomorrow.month, tomorrow.day), (1, 1));
                prop_assert_ne!(tomorrow.year, today.year);
                prop_assert_eq!(today.year + if tomorrow.year == 1 && today.year == -1 { 2 } else { 1 }, tomorrow.year);
            }
        }
    }
}
