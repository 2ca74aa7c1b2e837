//! What a write leaves behind: names, bytes, manifests; what it refuses and replaces.

use std::time::Duration;

use dataflow::error::{Error, ErrorCode};
use dataflow::prelude::{FixedWindows, Timestamp, WindowInto, WithTimestamps};
use objects::{Fault, Faults};

use super::*;
use crate::{Manifest, MatchManifest, ReadText, WriteArrow, WriteDynamic, WriteText, WrittenFiles};

fn words(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("word {n}")).collect()
}

fn write(write: WriteText, lines: &[String]) -> Result<Vec<WrittenFiles>> {
    run(|p| create(p, lines).apply(write))
}

fn names(base: &str, store: &StoreOptions) -> Vec<String> {
    objects_in(base, store).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn shards_are_named_counted_and_summed() {
    everywhere("names", |base, store| {
        let to = WriteText::to(format!("{base}/part")).with_store_options(store.clone());
        let written = write(to.with_num_shards(3), &words(100)).expect("writes");
        let want = [
            ".part.manifest.json",
            "part-00000-of-00003.txt",
            "part-00001-of-00003.txt",
            "part-00002-of-00003.txt",
        ];
        let files = objects_in(base, store);
        // Stores in a file system list names that begin with a dot as others do.
        assert_eq!(names(base, store), want);
        let manifest = &written[0].manifest;
        let read = Manifest::read(&format!("{base}/part"), store).expect("reads");
        assert_eq!(read.as_ref(), Some(manifest));
        assert_eq!(manifest.shards.len(), 3);
        for (shard, (name, bytes)) in manifest.shards.iter().zip(&files[1..]) {
            assert_eq!((&shard.name, shard.size_bytes), (name, bytes.len() as u64));
            assert_eq!(shard.crc32c, format!("{:08x}", crc32c::crc32c(bytes)));
            let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
            assert_eq!(lines.len() as u64, shard.record_count);
            assert!(lines.is_sorted() && !lines.is_empty());
        }
    });
}

#[test]
fn the_same_elements_give_the_same_bytes() {
    let mut lines = words(500);
    for (name, compression) in ["a", "b", "c", "d"].into_iter().zip(COMPRESSIONS) {
        let base = |n: usize| format!("memory://tabular-same-{name}-{n}");
        for n in 0..2 {
            let to = WriteText::to(format!("{}/part", base(n))).with_compression(compression);
            write(to, &lines).expect("writes");
            lines.reverse();
        }
        let store = StoreOptions::default();
        assert!(objects_in(&base(0), &store) == objects_in(&base(1), &store), "{compression}");
        assert_eq!(objects_in(&base(0), &store).len(), 9);
    }
}

#[test]
fn nothing_is_written_as_empty_shards() {
    let base = "memory://tabular-empty/part";
    let written = write(WriteText::to(base).with_num_shards(2), &[]).expect("writes");
    assert_eq!((written[0].manifest.record_count, written[0].manifest.shards.len()), (0, 2));
    assert_eq!(run(|p| p.apply(ReadText::new().from(format!("{base}-*")))), Ok(vec![]));
    let tables = WriteArrow::to("memory://tabular-empty/table", table(0, 1).schema());
    run(|p| create(p, &[]).apply(tables.with_num_shards(2))).expect("writes");
    let read = run(|p| p.apply(crate::ReadArrow::new().from("memory://tabular-empty/table-*")));
    assert_eq!(read, Ok(vec![]));
}

#[track_caller]
fn check_exists(error: &Error) {
    assert_eq!(error.code(), ErrorCode::DESTINATION_EXISTS, "{error}");
    assert!(error.advice().is_some_and(|mend| mend.contains("with_overwrite")), "{error}");
}

#[test]
fn what_exists_is_refused_or_replaced_whole() {
    everywhere("exists", |base, store| {
        let to = || WriteText::to(format!("{base}/part")).with_store_options(store.clone());
        write(to().with_num_shards(5), &words(50)).expect("writes");
        let objects = Objects::open(&Location::parse(base).expect("one"), store).expect("opens");
        objects.put("part-of-a-story.txt", "kept".into()).wait().expect("writes");
        let before = objects_in(base, store);
        check_exists(&write(to().with_num_shards(2), &words(3)).expect_err("exists"));
        assert!(objects_in(base, store) == before, "a refusal changes nothing");
        // Fewer shards, of another suffix: none of the old ones stays.
        let gzip = to().with_num_shards(2).with_compression(Compression::Gzip).with_overwrite();
        write(gzip, &words(3)).expect("replaces");
        let want = [
            ".part.manifest.json",
            "part-00000-of-00002.txt.gz",
            "part-00001-of-00002.txt.gz",
            "part-of-a-story.txt",
        ];
        assert_eq!(names(base, store), want);
        // Shards without a manifest are what a run leaves that failed.
        objects.delete(".part.manifest.json").expect("deletes");
        let again = to().with_num_shards(2).with_compression(Compression::Gzip);
        check_exists(&write(again.clone(), &words(3)).expect_err("exists"));
        write(again.with_overwrite(), &words(3)).expect("replaces");
    });
}

#[test]
fn without_its_manifest_a_write_is_not_there() {
    // The last put is that of the manifest.
    let faults = Faults::at_put(3, Fault::Full);
    let store = StoreOptions::default().with_faults(faults);
    let base = "memory://tabular-unfinished/part";
    let to = WriteText::to(base).with_num_shards(2).with_store_options(store);
    let error = write(to, &words(10)).expect_err("the store is full");
    assert_eq!(error.code(), ErrorCode::STORE_FULL, "{error}");
    assert_eq!(Manifest::read(base, &StoreOptions::default()), Ok(None));
    run(|p| p.apply(MatchManifest::of(base))).expect_err("no manifest");
}

#[test]
fn a_shard_that_cannot_be_written_is_not_there() {
    let base = "memory://tabular-half";
    let lines = ["fine".to_owned(), "two\nlines".to_owned()];
    let to = WriteText::to(format!("{base}/part")).with_num_shards(1);
    let error = write(to, &lines).expect_err("an element cannot be written");
    assert_eq!(error.code(), ErrorCode::NOT_REPRESENTABLE, "{error}");
    assert_eq!(error.place("file"), Some("memory://tabular-half/part-00000-of-00001.txt"));
    assert!(objects_in(base, &StoreOptions::default()).is_empty());
    write(WriteText::to("memory://tabular-cr/part"), &["ends \r".to_owned()]).expect_err("CR");
    let other = WriteArrow::to("memory://tabular-other/part", table(0, 1).schema());
    let project = Table(table(0, 1).project(&[0]).expect("a column"));
    let error = run(|p| create(p, &[project]).apply(other)).expect_err("another schema");
    assert!(error.message().contains("a table of n Int64 not null where"), "{error}");
}

#[test]
fn a_destination_without_a_name_is_refused() {
    let error = write(WriteText::to("memory://tabular-folder/"), &words(1)).expect_err("a folder");
    assert!(error.advice().is_some_and(|mend| mend.contains("part")), "{error}");
}

#[test]
fn elements_choose_their_destinations() {
    everywhere("dynamic", |base, store| {
        let files = WriteText::to(base).with_num_shards(2).with_store_options(store.clone());
        let dynamic = WriteDynamic::via(
            |n: &i64| format!("{}/{}", ["even", "odd"][(n % 2) as usize], n / 100),
            |n: i64| n.to_string(),
            files,
        );
        let written = run(|p| create(p, &(0..300).collect::<Vec<i64>>()).apply(dynamic));
        let mut written = written.expect("writes");
        written.sort_by(|a, b| a.destination.cmp(&b.destination));
        let want = ["even/0", "even/1", "even/2", "odd/0", "odd/1", "odd/2"];
        let got: Vec<&str> = written.iter().map(|it| &it.destination[base.len() + 1..]).collect();
        assert_eq!(got, want);
        assert!(written.iter().all(|it| it.manifest.record_count == 50));
        assert_eq!(names(base, store).len(), 6 * 3);
        let odd = format!("{base}/odd/2");
        let read = ReadText::new().with_store_options(store.clone());
        let files = MatchManifest::of(odd).with_store_options(store.clone());
        let mut lines = run(|p| p.apply(files).apply(read)).expect("reads");
        lines.sort();
        assert_eq!(lines, (100..150).map(|n| (2 * n + 1).to_string()).collect::<Vec<_>>());
    });
}

#[test]
fn elements_in_windows_are_written_to_the_same_files() {
    let windowed = |p: &Pipeline| {
        let timed = WithTimestamps::of(|word: &String| Timestamp::from_millis(word.len() as i64));
        create(p, &words(120))
            .apply(timed)
            .apply(WindowInto::of(FixedWindows::of(Duration::from_millis(1))))
    };
    let to =
        |name: &str| WriteText::to(format!("memory://tabular-windows/{name}")).with_num_shards(2);
    let written = run(|p| windowed(p).apply(to("fixed"))).expect("writes");
    assert_eq!((written.len(), written[0].manifest.record_count), (1, 120));
    let written = run(|p| windowed(p).apply(to("keyed").by(|_| "one".to_owned()))).expect("writes");
    assert_eq!((written.len(), written[0].manifest.record_count), (1, 120));
}

#[test]
fn a_key_that_leaves_its_folder_is_refused() {
    let by = |key: &'static str| {
        let files = WriteText::to("memory://tabular-keys/out");
        run(|p| create(p, &words(1)).apply(files.by(move |_: &String| key.to_owned())))
    };
    for key in ["", "../up", "a//b"] {
        assert_eq!(by(key).expect_err(key).code(), ErrorCode::INVALID_RECIPE);
    }
    by("plain").expect("a name");
    let none = WriteText::to("memory://tabular-keys/none").by(|word: &String| word.clone());
    assert_eq!(run(|p| create(p, &[]).apply(none)), Ok(vec![]));
}
