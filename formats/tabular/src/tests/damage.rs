//! Damaged and wrong input: a clear error with file and place, never a panic.

use std::fmt::Debug;

use dataflow::error::{Error, ErrorCode, ErrorKind};

use super::*;
use crate::csv_rows::CsvDialect;
use crate::read::{FileFormat, ReadFiles};
use crate::{
    ArrowCompression, ReadArrow, ReadCsv, ReadCsvTables, ReadJson, ReadParquet, ReadText,
    WriteArrow, WriteParquet,
};

fn fails<F: FileFormat<Out: Debug>>(name: &str, bytes: &[u8], read: ReadFiles<F>) -> Error {
    let place = put(name, bytes);
    let error = run(|p| p.apply(read.from(place.clone()))).expect_err("damaged");
    assert_eq!(error.place("file"), Some(place.as_str()), "{error}");
    assert!(error.advice().is_some(), "{error}");
    error
}

#[track_caller]
fn check(error: &Error, says: &str, places: &[(&str, &str)]) {
    assert_eq!((error.code(), error.kind()), (ErrorCode::CORRUPT, ErrorKind::Corrupt), "{error}");
    assert!(error.message().contains(says), "{error}");
    for (role, place) in places {
        assert_eq!(error.place(role), Some(*place), "{role} in {error}");
    }
}

#[test]
fn text_that_is_no_utf8_names_line_and_byte() {
    let bytes = b"good\nbad \xff\xfe here\n";
    let error = fails("bad.txt", bytes, ReadText::new());
    check(&error, "it goes on with ff fe", &[("byte", "9"), ("line", "2")]);
    let place = put("bytes.txt", bytes);
    let lines = run(|p| p.apply(ReadText::new().as_bytes().from(place))).expect("any bytes");
    assert_eq!(lines, [b"good".to_vec(), b"bad \xff\xfe here".to_vec()]);
    // In a later split the line is not known, the byte is.
    let error = fails("bad.txt", bytes, ReadText::new().with_split_bytes(3));
    check(&error, "no UTF-8", &[("byte", "9")]);
}

#[test]
fn compressed_text_that_is_cut_short_or_damaged_is_an_error() {
    let text: String = (0..5000).map(|n| format!("line {}\n", n * 7919 % 5000)).collect();
    for compression in [Compression::Gzip, Compression::Zstd, Compression::Bzip2] {
        let whole = compressed(compression, text.as_bytes());
        for tenth in 1..10 {
            let cut = whole.len() * tenth / 10;
            let error = fails("cut", &whole[..cut], ReadText::new());
            check(&error, "cannot read on", &[]);
            assert!(error.place("byte").is_some(), "{error}");
        }
        let error = fails("cut", &whole[..whole.len() - 1], ReadText::new());
        check(&error, "cannot read on", &[]);
        let error = fails("tail", &[&whole[..], b"garbage"].concat(), ReadText::new());
        check(&error, "cannot read on", &[]);
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 0x55;
        let place = put("flipped", &flipped);
        match run(|p| p.apply(ReadText::new().from(place))) {
            // Zstandard is written without a checksum: what decodes is not known to be wrong.
            Ok(_) => assert_eq!(compression, Compression::Zstd),
            Err(error) => assert_eq!(error.code(), ErrorCode::CORRUPT, "{error}"),
        }
    }
}

#[test]
fn rows_of_csv_that_do_not_fit_name_their_line() {
    let ragged = b"shop,cents,weight\na,1,\nb,2\n";
    let error = fails("ragged.csv", ragged, ReadCsv::<Sale>::new());
    check(&error, "has 2 fields, those before have 3", &[("line", "3"), ("byte", "23")]);
    let wrong = b"shop,cents,weight\n\"a\nb\",1,\nb,many,\n";
    let error = fails("wrong.csv", wrong, ReadCsv::<Sale>::new());
    check(&error, "a row is no Sale: invalid digit found in string, in field 2", &[("line", "4")]);
    let error = fails("header.csv", b"shop,pounds\na,1\n", ReadCsv::<Sale>::new());
    check(&error, "missing field `cents`", &[("line", "2")]);
    let error = fails("latin1.csv", b"shop,cents,weight\na,1,\n\xe9,1,\n", ReadCsv::<Sale>::new());
    check(&error, "no UTF-8", &[("line", "3")]);
    let open = [b"shop,cents,weight\n\"".to_vec(), vec![b'x'; 400_000]].concat();
    let error = fails("open.csv", &open, ReadCsv::<Sale>::new().with_max_row_bytes(1000));
    check(&error, "longer than 1000 bytes", &[]);
}

#[test]
fn rows_that_do_not_fit_a_schema_name_their_line() {
    let read = || ReadCsvTables::new(table(0, 1).schema());
    let error = fails("a.csv", b"n,name,half\n1,a,0\n2,b\n", read());
    check(&error, "expected 3 got 2", &[("row", "3")]);
    let error = fails("b.csv", b"n,name,half\n1,a,0\nx,b,1\n", read());
    check(&error, "'x' as type 'Int64'", &[("row", "3")]);
    let error = fails("c.csv", b"n,half,name\n1,0,a\n", read());
    check(&error, "expected \"name\" but found \"half\"", &[]);
    let error = fails("d.csv", b"n,name,half\n,a,0\n", read());
    check(&error, "'n' is declared as non-nullable", &[("row", "one of 2 to 8193")]);
    let store = StoreOptions::default();
    let place = put("e.csv", b"a,b\n1,2\n3\n");
    let error = crate::infer_csv_schema(&place, CsvDialect::default(), 10, &store);
    let error = error.expect_err("ragged");
    assert_eq!(error.place("file"), Some(place.as_str()), "{error}");
}

#[test]
fn a_line_that_is_no_json_names_byte_and_column() {
    let text = b"{\"shop\":\"a\",\"cents\":1,\"weight\":null}\n\n{\"shop\":\"b\",\"cents\":}\n";
    let error = fails("bad.jsonl", text, ReadJson::<Sale>::new());
    check(&error, "no Sale: expected value", &[("line", "3"), ("byte", "38"), ("column", "21")]);
    let error = fails("bad.jsonl", text, ReadJson::<Sale>::new().with_split_bytes(20));
    check(&error, "expected value", &[("byte", "38"), ("column", "21")]);
    let error = fails("type.jsonl", b"{\"shop\":1}", ReadJson::<Sale>::new());
    check(&error, "invalid type: integer `1`, expected a string", &[("line", "1")]);
}

/// The bytes of the only shard of a write.
fn shard(base: &str) -> Vec<u8> {
    objects_in(base, &StoreOptions::default()).pop().expect("a shard").1
}

#[track_caller]
fn check_damage<F: FileFormat<Out = Table>>(name: &str, whole: &[u8], read: &ReadFiles<F>) {
    for tenth in 1..10 {
        let error = fails(name, &whole[..whole.len() * tenth / 10], read.clone());
        check(&error, "", &[]);
    }
    // Whatever byte is wrong: an error of the file, or a table, but no panic.
    let (mut error_count, step) = (0, whole.len() / 120 + 1);
    for at in (0..whole.len()).step_by(step) {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0xff;
        let place = put(name, &bytes);
        if let Err(error) = run(|p| p.apply(read.clone().from(place.clone()))) {
            let is_of_file = error.place("file") == Some(place.as_str());
            assert!(is_of_file && error.code().number() / 100 == 2, "byte {at}: {error}");
            error_count += 1;
        }
    }
    assert!(error_count > 10, "{error_count} errors");
}

#[test]
fn damaged_parquet_is_an_error() {
    let base = "memory://tabular-damage-parquet";
    let write = WriteParquet::to(format!("{base}/out"), table(0, 1).schema()).with_num_shards(1);
    run(|p| create(p, &[table(0, 100)]).apply(write)).expect("writes");
    check_damage("damaged.parquet", &shard(base), &ReadParquet::new());
}

#[test]
fn damaged_arrow_is_an_error() {
    let base = "memory://tabular-damage-arrow";
    let write = WriteArrow::to(format!("{base}/out"), table(0, 1).schema()).with_num_shards(1);
    run(|p| create(p, &[table(0, 100), table(100, 50)]).apply(write)).expect("writes");
    check_damage("damaged.arrow", &shard(base), &ReadArrow::new());
    for compression in [ArrowCompression::Lz4, ArrowCompression::Zstd] {
        let base = format!("memory://tabular-damage-{compression:?}");
        let write = WriteArrow::to(format!("{base}/out"), table(0, 1).schema()).with_num_shards(1);
        let tables = [table(0, 3000)];
        run(|p| create(p, &tables).apply(write.with_compression(compression))).expect("writes");
        check_damage("damaged.arrow", &shard(&base), &ReadArrow::new());
    }
    let error = fails("text.arrow", b"no arrow in here", ReadArrow::new());
    assert_eq!(error.code(), ErrorCode::UNKNOWN_FORMAT, "{error}");
}
