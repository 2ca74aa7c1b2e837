//! Tables baked as one-dimensional datasets.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{Field, Int32Type, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use levain::array::DType;

use crate::command::levain;
use crate::made::{Baked, Folder};

/// A Parquet file of these columns, so many rows a group.
fn parquet(columns: Vec<(&str, bool, ArrayRef)>, group_rows: usize) -> Vec<u8> {
    let field = |(name, is_nullable, array): &(&str, bool, ArrayRef)| {
        Field::new(*name, array.data_type().clone(), *is_nullable)
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).expect("columns of one length");
    let groups = WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(groups)).expect("a schema");
    writer.write(&batch).expect("rows");
    writer.into_inner().expect("a file")
}

fn array<T: arrow::array::Array + 'static>(array: T) -> ArrayRef {
    Arc::new(array)
}

/// Three stations' records, from this millisecond on.
fn records(start_ms: i64, length: i64) -> Vec<u8> {
    let rows = || 0..length;
    let time = TimestampMillisecondArray::from_iter_values(rows().map(|it| start_ms + it * 1000));
    let count = Int32Array::from_iter(rows().map(|it| (it % 3 != 1).then_some(it as i32)));
    let heat = Float64Array::from_iter(rows().map(|it| (it % 3 != 2).then_some(it as f64 / 2.0)));
    let name = StringArray::from_iter(rows().map(|it| (it % 4 != 3).then(|| format!("stå {it}"))));
    let is_wet = BooleanArray::from_iter(rows().map(|it| Some(it % 2 == 0)));
    let columns = vec![
        ("time", false, array(time.with_timezone("UTC"))),
        ("count", true, array(count)),
        ("heat", true, array(heat)),
        ("name", true, array(name)),
        ("is_wet", false, array(is_wet)),
    ];
    parquet(columns, 4)
}

#[test]
fn parquet_is_baked_row_group_by_row_group() {
    let folder = Folder::new();
    // A suffix says nothing.
    let files =
        [folder.put_bytes("a.nc", &records(0, 10)), folder.put_bytes("b", &records(10_000, 3))];
    let out = folder.text("out.zarr");
    levain(&["bake", &files[0], &files[1], &out, "--chunks", "index=5"]).check_done();
    let store = Baked::open(&out);
    assert_eq!(store.names(), ["time", "count", "heat", "name", "is_wet"]);
    let rows: Vec<i64> = (0..10).chain(0..3).collect();
    let want = |gap: i64, missing: i64| -> Vec<i64> {
        rows.iter().map(|&it| if it % 3 == gap { missing } else { it }).collect()
    };
    let count: Vec<i64> = store.values::<i32>("count").into_iter().map(i64::from).collect();
    assert_eq!(count, want(1, -2_147_483_647));
    let heat = store.values::<f64>("heat");
    let is_right = |(got, &row): (&f64, &i64)| {
        if row % 3 == 2 { got.is_nan() } else { *got == row as f64 / 2.0 }
    };
    assert!(heat.iter().zip(&rows).all(is_right), "{heat:?}");
    let names = rows.iter().map(|it| if it % 4 == 3 { String::new() } else { format!("stå {it}") });
    assert_eq!(store.texts("name"), names.collect::<Vec<_>>());
    let times: Vec<i64> = (0..13).map(|it| it * 1000).collect();
    assert_eq!(store.values::<i64>("time"), times);
    let time = store.dataset().variable("time").expect("is there").attributes.clone();
    assert_eq!(time.text("units"), Some("milliseconds since 1970-01-01"));
    let count = &store.dataset().variable("count").expect("is there").attributes;
    assert_eq!(count.number("_FillValue").and_then(|it| it.as_int()), Some(-2_147_483_647));
}

#[test]
fn a_column_that_may_have_nulls_and_has_none_is_one_without() {
    let folder = Folder::new();
    let rows = |count: Int64Array, is_wet: BooleanArray| {
        let heat = Float64Array::from(vec![0.5; count.len()]);
        let columns = vec![
            ("count", true, array(count)),
            ("is_wet", true, array(is_wet)),
            ("heat", true, array(heat)),
        ];
        parquet(columns, 2)
    };
    let large = (1 << 62) + 1;
    let none = rows(vec![1, large, 3].into(), vec![true, false, true].into());
    let files = [
        folder.put_bytes("none.parquet", &none),
        folder.put_bytes("some.parquet", &rows(vec![None, Some(4)].into(), vec![None; 2].into())),
    ];
    let out = folder.text("none.zarr");
    levain(&["bake", &files[0], &out]).check_done();
    let store = Baked::open(&out);
    assert_eq!(store.values::<i64>("count"), [1, large, 3]);
    assert_eq!(store.chunk("is_wet").dtype(), DType::Bool);
    for name in ["count", "is_wet"] {
        assert!(store.attributes(name).get("_FillValue").is_none(), "{name}");
    }
    // Beside a file with nulls, values are floats, as for pandas.
    let out = folder.text("both.zarr");
    levain(&["bake", &files[0], &files[1], &out]).check_done();
    let count = Baked::open(&out).decoded("count");
    assert_eq!((count[0], count[2], count[4]), (1.0, 3.0, 4.0));
    assert!(count[3].is_nan());
}

#[test]
fn the_index_of_pandas_labels_the_rows() {
    let folder = Folder::new();
    let numbers = |values: &[i64]| array(Int64Array::from(values.to_vec()));
    let columns = |levels: &[&'static str]| {
        let x = ("x", true, numbers(&[1, 2, 3]));
        let levels = levels.iter().map(|&it| (it, true, numbers(&[10, 20, 40])));
        std::iter::once(x).chain(levels).collect::<Vec<_>>()
    };
    let bake = |name: &str, levels: &[&'static str], more: &[&str]| {
        let file = folder.put_bytes(name, &parquet(columns(levels), 2));
        let out = folder.text(&format!("{name}.zarr"));
        levain(&[&["bake", &file, &out][..], more].concat()).check_done();
        Baked::open(&out)
    };
    for more in [&[][..], &["--row-column", "__index_level_0__"]] {
        let name = if more.is_empty() { "one" } else { "asked" };
        let store = bake(name, &["__index_level_0__"], more);
        assert_eq!(store.names(), ["x", "index"]);
        assert_eq!(store.values::<i64>("index"), [10, 20, 40]);
        assert_eq!(store.dataset().variable("x").expect("there").dimensions, ["index"]);
    }
    let store = bake("two", &["__index_level_0__", "__index_level_1__"], &[]);
    assert_eq!(store.names(), ["x", "level_0", "level_1"]);
    assert_eq!(store.dataset().variable("level_1").expect("there").dimensions, ["index"]);
    let store = bake("column", &["__index_level_0__"], &["--row-column", "x"]);
    assert_eq!(store.names(), ["x", "level_0"]);
}

#[test]
fn a_column_can_label_the_rows() {
    let folder = Folder::new();
    let files =
        [folder.put_bytes("late", &records(10_000, 3)), folder.put_bytes("early", &records(0, 10))];
    let out = folder.text("out.zarr");
    let flags = ["--row-column", "time", "--overlap", "sort"];
    levain(&[&["bake", &files[0], &files[1], &out][..], &flags].concat()).check_done();
    let store = Baked::open(&out);
    let heat = store.dataset().variable("heat").expect("is there");
    assert_eq!(heat.dimensions, ["time"]);
    assert_eq!(store.times("time")[12], "1970-01-01T00:00:12");
    assert!(store.times("time").is_sorted());
    // Rows that overlap are found, as steps of any file are.
    let twice = ["bake", &files[0], &files[0].replace("late", "early"), &folder.text("no.zarr")];
    let ran = levain(&[&twice[..], &["--row-column", "time"]].concat());
    ran.check_refused("E209", 1, &["time"]);
    let ran = levain(&["bake", &files[0], &folder.text("no.zarr"), "--row-column", "tme"]);
    ran.check_refused("E108", 4, &["`tme`", "heat"]);
    let recipe = "sources = ['early', 'late']\ndestination = 'r.zarr'\nrow-column = 'time'\n";
    let recipe = folder.put_bytes("recipe.toml", recipe.as_bytes());
    levain(&["bake", &recipe]).check_done();
    assert_eq!(Baked::open(&folder.text("r.zarr")).values::<f64>("heat").len(), 13);
}

#[test]
fn what_no_array_holds_is_left_out_and_named() {
    let folder = Folder::new();
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None]);
    let columns =
        vec![("n", false, array(Int64Array::from(vec![1, 2]))), ("lists", true, array(lists))];
    let file = folder.put_bytes("t.parquet", &parquet(columns, 8));
    let out = folder.text("out.zarr");
    let ran = levain(&["bake", &file, &out]);
    ran.check_done();
    assert!(ran.stderr.contains("column `lists` is left out"), "{}", ran.stderr);
    assert_eq!(Baked::open(&out).names(), ["n"]);
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None]);
    let alone = parquet(vec![("lists", true, array(lists))], 8);
    let alone = folder.put_bytes("alone.parquet", &alone);
    let words = ["no variable that can be read", "column `lists`", "arrays of numbers or texts"];
    levain(&["bake", &alone, &folder.text("no.zarr")]).check_refused("E204", 1, &words);
}

#[test]
fn csv_is_baked_by_the_types_of_all_its_rows() {
    let folder = Folder::new();
    let head = "when,n,x,code,ok,word\n";
    let text = format!(
        "{head}2000-01-01T00:00:00,1,2.5,007,true,\"a, b\"\n\
         2000-01-01T06:00:00.250,,,08,FALSE,\n"
    );
    let file = folder.put_bytes("t.csv", text.as_bytes());
    let out = folder.text("out.zarr");
    levain(&["bake", &file, &out]).check_done();
    let store = Baked::open(&out);
    assert_eq!(store.values::<i64>("n"), [1, -9_223_372_036_854_775_806]);
    assert!(store.values::<f64>("x")[0] == 2.5 && store.values::<f64>("x")[1].is_nan());
    assert_eq!(store.texts("code"), ["007", "08"]);
    assert_eq!(store.chunk("ok").dtype(), DType::Bool);
    assert_eq!(&store.chunk("ok").payload()[..], [1, 0]);
    assert_eq!(store.texts("word"), ["a, b", ""]);
    assert_eq!(store.values::<i64>("when"), [946_684_800_000, 946_706_400_250]);
    // Tabs, and a file that is compressed.
    use std::io::Write;
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zipped
        .write_all(text.replace(",\"a, b\"", ",\"ab\"").replace(',', "\t").as_bytes())
        .expect("fits");
    let file = folder.put_bytes("t.tsv.gz", &zipped.finish().expect("fits"));
    levain(&["bake", &file, &folder.text("tsv.zarr")]).check_done();
    assert_eq!(Baked::open(&folder.text("tsv.zarr")).texts("word"), ["ab", ""]);
}

#[test]
fn what_is_no_table_is_refused_with_its_place() {
    let folder = Folder::new();
    let check = |name: &str, bytes: &[u8], code: &str, words: &[&str]| {
        let file = folder.put_bytes(name, bytes);
        let ran = levain(&["bake", &file, &folder.text("out.zarr")]);
        ran.check_refused(code, 1, words);
        assert!(!folder.path("out.zarr").exists());
    };
    check("a.csv", b"a,b\n1,2\n3\n", "E202", &["a.csv", "line", "1 fields"]);
    check("b.csv", b"a,a\n1,2\n", "E202", &["two columns are called `a`"]);
    check("c.csv", b"1,2\n3,4\n", "E202", &["numbers in place of names"]);
    check("d.csv", b"<html>404</html>", "E203", &["HTML"]);
    check("e.csv", b"", "E203", &["empty"]);
    // Text of another name is no table.
    check("f.txt", b"a,b\n1,2\n", "E203", &["NAME.csv"]);
    let whole = records(0, 10);
    for part in 1..10 {
        check("g.parquet", &whole[..whole.len() * part / 10], "E202", &["g.parquet"]);
    }
}
