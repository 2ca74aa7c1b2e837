use objects::{Location, Objects, StoreOptions};
use proptest::prelude::*;

use super::*;

/// A file of these bytes, under a name of its own.
fn file(name: &str, bytes: &[u8]) -> ObjectFile {
    let (root, options) =
        (Location::parse("memory://lines").expect("one"), StoreOptions::default());
    let store = Objects::open(&root, &options).expect("opens");
    store.put(name, bytes.to_vec().into()).wait().expect("writes");
    ObjectFile::open(&root.join(name), &options).expect("there")
}

/// The offsets and bytes of the lines of some splits.
fn lines(file: &ObjectFile, rules: LineRules, splits: &[FileSplit]) -> Vec<(u64, Vec<u8>)> {
    let mut lines = Vec::new();
    for split in splits {
        let keep = &mut |line: Line<'_>| {
            lines.push((line.offset, line.bytes.to_vec()));
            Ok(())
        };
        rules.read(file, *split, keep).expect("reads");
    }
    lines
}

/// What lines are, said plainly: all but the last end with a line feed, which is no part of them.
fn plainly(text: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut at = 0;
    let pieces = text.split_inclusive(|byte| *byte == b'\n').map(|piece| {
        let line = piece.strip_suffix(b"\n").map_or(piece, |l| l.strip_suffix(b"\r").unwrap_or(l));
        let line = if at == 0 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        at += piece.len() as u64;
        (at - piece.len() as u64, line.to_vec())
    });
    pieces.collect()
}

#[track_caller]
fn check(name: &str, text: &[u8]) {
    let (file, rules) = (file(name, text), LineRules::default());
    let end = text.len() as u64;
    for cut in 0..=end {
        let splits = [FileSplit::part(0, cut), FileSplit::part(cut, end)];
        assert_eq!(lines(&file, rules, &splits), plainly(text), "cut at {cut}");
    }
    for split_bytes in 1..=end + 1 {
        let splits = rules.split(&file, split_bytes).expect("splits");
        assert_eq!(lines(&file, rules, &splits), plainly(text), "cut every {split_bytes}");
    }
    assert_eq!(lines(&file, rules, &[FileSplit::whole(end)]), plainly(text), "whole");
}

#[test]
fn wherever_a_file_is_cut_each_line_comes_once() {
    check("ends", b"one\ntwo\n\nfour\n");
    check("no-end", b"one\r\ntwo\r\r\n\r\n\rlast");
    check("mark", b"\xef\xbb\xbfmarked\n\xef\xbb\xbfnot at the start\n");
    check("only-ends", b"\n\n\r\n\n");
    check("one", b"a");
}

proptest! {
    #[test]
    fn wherever_any_file_is_cut_each_line_comes_once(
        text in "[ab\r\né\u{feff}]{0,24}",
        cuts in proptest::collection::vec(0u64..80, 0..5),
    ) {
        let end = text.len() as u64;
        let mut cuts: Vec<u64> = cuts.into_iter().map(|cut| cut.min(end)).chain([0, end]).collect();
        cuts.sort_unstable();
        let splits: Vec<_> =
            cuts.windows(2).map(|pair| FileSplit::part(pair[0], pair[1])).collect();
        let file = file("any", text.as_bytes());
        let got = lines(&file, LineRules::default(), &splits);
        prop_assert_eq!(got, plainly(text.as_bytes()));
    }
}

#[test]
fn headers_are_left_out_once() {
    let text = b"head\r\nsecond head\none\ntwo";
    let file = file("headers", text);
    for count in 0..6 {
        let rules = LineRules { skip_header_lines: count, ..LineRules::default() };
        let want: Vec<_> = plainly(text).into_iter().skip(count as usize).collect();
        for split_bytes in [1, 3, 100] {
            let splits = rules.split(&file, split_bytes).expect("splits");
            assert_eq!(lines(&file, rules, &splits), want, "{count} lines, {split_bytes} bytes");
        }
        let whole = FileSplit::whole(text.len() as u64);
        assert_eq!(lines(&file, rules, &[whole]), want, "{count} lines, whole");
    }
}

#[test]
fn blocks_are_seams_that_nobody_sees() {
    // Longer than two blocks, and a line that is longer than what is read beyond a range.
    let mut text = Vec::new();
    for n in 0..60_000 {
        text.extend_from_slice(format!("line {n} {}\n", "x".repeat(n % 97)).as_bytes());
    }
    text.extend_from_slice(&vec![b'y'; 300_000]);
    let (file, rules) = (file("blocks", &text), LineRules::default());
    let want = plainly(&text);
    for split_bytes in [1 << 20, (2 << 20) - 1, 1 << 30] {
        let splits = rules.split(&file, split_bytes).expect("splits");
        assert!(lines(&file, rules, &splits) == want, "cut every {split_bytes}");
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_where_it_begins() {
    let rules = LineRules { max_line_bytes: 4, ..LineRules::default() };
    let end_of = |text: &[u8]| {
        let file = file("long", text);
        rules.read(&file, FileSplit::part(0, text.len() as u64), &mut |_| Ok(()))
    };
    end_of(b"1234\n1234\r\n1234").expect("all fit");
    let error = end_of(b"1234\n12345\n").expect_err("one is too long");
    assert_eq!(error.place("byte"), Some("5"), "{error}");
    end_of(b"1234567\r\n").expect_err("too long");
}
