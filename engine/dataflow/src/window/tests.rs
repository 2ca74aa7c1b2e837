use std::time::Duration;

use super::*;
use crate::coder::{Coder as _, Context};
use crate::element::Element as _;
use crate::time::Timestamp;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[track_caller]
fn check(window_fn: &dyn WindowFn, timestamp: i64, want: &[(i64, i64)]) {
    let mut windows = Vec::new();
    window_fn.assign(Timestamp::from_millis(timestamp), &mut windows);
    let want: Vec<Window> =
        want.iter().map(|&(start, end)| Window::of_millis(start, end)).collect();
    assert_eq!(windows, want);
}

#[test]
fn fixed_windows_floor_negative_times_too() {
    let five = FixedWindows::of(ms(5));
    check(&five, 0, &[(0, 5)]);
    check(&five, 4, &[(0, 5)]);
    check(&five, 5, &[(5, 10)]);
    check(&five, -1, &[(-5, 0)]);
    check(&five, -5, &[(-5, 0)]);
    check(&five.with_offset(ms(2)), 1, &[(-3, 2)]);
    check(&five.with_offset(ms(7)), 7, &[(7, 12)]);
}

#[test]
fn sliding_windows_hold_their_times() {
    let sliding = SlidingWindows::of(ms(5), ms(3));
    check(&sliding, 1, &[(-3, 2), (0, 5)]);
    check(&sliding, 4, &[(0, 5), (3, 8)]);
    check(&sliding, 3, &[(0, 5), (3, 8)]);
    check(&sliding, 2, &[(0, 5)]);
    check(&SlidingWindows::of(ms(6), ms(3)), 0, &[(-3, 3), (0, 6)]);
    check(&SlidingWindows::of(ms(3), ms(5)), 4, &[(3, 6)]);
}

#[test]
fn the_ends_of_time_have_windows() {
    let five = FixedWindows::of(ms(5));
    for timestamp in [Timestamp::MIN, Timestamp::MAX] {
        let mut windows = Vec::new();
        five.assign(timestamp, &mut windows);
        assert_eq!(windows.len(), 1, "{timestamp}");
    }
}

#[test]
fn sessions_merge_when_they_intersect() {
    let sessions = Sessions::with_gap(ms(4));
    check(&sessions, 1, &[(1, 5)]);
    let merge = |a: (i64, i64), b: (i64, i64)| {
        sessions.merge(Window::of_millis(a.0, a.1), Window::of_millis(b.0, b.1))
    };
    assert_eq!(merge((1, 5), (4, 8)), Some(Window::of_millis(1, 8)));
    assert_eq!(merge((1, 8), (2, 6)), Some(Window::of_millis(1, 8)));
    assert_eq!(merge((0, 5), (5, 10)), None);
}

#[test]
fn stamps_travel_whole_and_compare_as_times_do() {
    let windows = [
        Window::Global,
        Window::of_millis(-5, 0),
        Window::of_millis(-5, 3),
        Window::of_millis(0, 5),
    ];
    let mut encoded = Vec::new();
    for window in windows {
        for (millis, pane) in [(-1, PaneInfo::NoFiring), (0, PaneInfo::OnTime)] {
            let stamp = Stamp { timestamp: Timestamp::from_millis(millis), window, pane };
            let mut bytes = Vec::new();
            encode_stamp(stamp, &mut bytes);
            assert_eq!(bytes.len(), STAMP_BYTES);
            assert_eq!(decode_stamp(&mut bytes.as_slice()).expect("a stamp"), stamp);
            encoded.push(bytes);
        }
    }
    assert!(encoded.is_sorted());
    assert!(decode_stamp(&mut &encoded[0][..STAMP_BYTES - 1]).is_err(), "cut short");
}

#[test]
fn windows_and_timestamps_are_elements() {
    for context in [Context::Nested, Context::Outer] {
        let pair = (Window::of_millis(3, 7), Timestamp::from_millis(-2));
        let mut bytes = Vec::new();
        let coder = <(Window, Timestamp)>::coder();
        coder.encode(&pair, context, &mut bytes).expect("encodes");
        assert_eq!(coder.decode(context, &mut bytes.as_slice()).expect("decodes"), pair);
    }
}

#[test]
fn a_side_input_is_found_at_the_end_of_the_main_window() {
    let windowing =
        |window_fn: std::sync::Arc<dyn WindowFn>| Windowing { window_fn, ..Windowing::default() };
    let main = Window::of_millis(10, 15);
    let fixed = windowing(std::sync::Arc::new(FixedWindows::of(ms(7))));
    assert_eq!(fixed.side_window(main), Window::of_millis(14, 21));
    let sliding = windowing(std::sync::Arc::new(SlidingWindows::of(ms(6), ms(3))));
    assert_eq!(sliding.side_window(main), Window::of_millis(9, 15));
    assert_eq!(Windowing::default().side_window(main), Window::Global);
}
