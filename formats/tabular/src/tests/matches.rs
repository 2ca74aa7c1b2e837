//! Which files are found, and what it means that none is.

use dataflow::error::{ErrorCode, ErrorKind};

use super::*;
use crate::{EmptyMatchTreatment, FileMatch, MatchAll, MatchFiles, MatchManifest, ReadText};

fn text_files(name: &str) -> String {
    for file in ["a.txt", "b.txt", "deep/c.txt", ".hidden.txt"] {
        put(&format!("{name}/{file}"), format!("in {file}").as_bytes());
    }
    format!("memory://tabular-files/{name}")
}

fn names(files: Vec<FileMatch>) -> Vec<String> {
    let name = |file: FileMatch| file.location.rsplit('/').next().expect("a name").to_owned();
    let mut names: Vec<String> = files.into_iter().map(name).collect();
    names.sort();
    names
}

#[test]
fn patterns_match_files() {
    let base = text_files("patterns");
    let found = run(|p| p.apply(MatchFiles::of(format!("{base}/*.txt")))).expect("matches");
    assert!(found.iter().all(|file| file.size_bytes == 8 && file.last_modified_ms > 0));
    assert_eq!(names(found), ["a.txt", "b.txt"]);
    let deep = run(|p| p.apply(MatchFiles::of(format!("{base}/**/*.txt")))).expect("matches");
    assert_eq!(names(deep), ["a.txt", "b.txt", "c.txt"]);
    let patterns = [format!("{base}/a.*"), format!("{base}/?.txt"), format!("{base}/z*")];
    let all = run(|p| create(p, &patterns).apply(MatchAll::new())).expect("matches");
    assert_eq!(names(all), ["a.txt", "a.txt", "b.txt"]);
}

#[test]
fn matches_of_files_are_read() {
    let base = text_files("read");
    let patterns = [format!("{base}/a.txt"), format!("{base}/deep/*")];
    let read = |p: &Pipeline| create(p, &patterns).apply(MatchAll::new()).apply(ReadText::new());
    let mut lines = run(read).expect("reads");
    lines.sort();
    assert_eq!(lines, ["in a.txt", "in deep/c.txt"]);
}

#[track_caller]
fn check(pattern: &str, treatment: EmptyMatchTreatment, is_error: bool) {
    let files = MatchFiles::of(pattern).with_empty_match_treatment(treatment);
    let found = run(|p| p.apply(files));
    let all = MatchAll::new().with_empty_match_treatment(treatment);
    let found_all = run(|p| create(p, &[pattern.to_owned()]).apply(all));
    for found in [found, found_all] {
        match found {
            Ok(files) => assert!(files.is_empty() && !is_error, "{files:?}"),
            Err(error) => {
                assert!(is_error && error.code() == ErrorCode::NOTHING_MATCHES, "{error}");
            }
        }
    }
}

#[test]
fn no_match_is_what_the_treatment_says() {
    let (glob, name) = ("memory://tabular-files/no/*.txt", "memory://tabular-files/no/a.txt");
    check(glob, EmptyMatchTreatment::Allow, false);
    check(name, EmptyMatchTreatment::Allow, false);
    check(glob, EmptyMatchTreatment::Disallow, true);
    check(name, EmptyMatchTreatment::Disallow, true);
    check(glob, EmptyMatchTreatment::AllowIfWildcard, false);
    check(name, EmptyMatchTreatment::AllowIfWildcard, true);
    let read = ReadText::new().from(glob);
    run(|p| p.apply(read.clone())).expect_err("disallowed");
    let allowed = read.with_empty_match_treatment(EmptyMatchTreatment::Allow);
    assert_eq!(run(|p| p.apply(allowed)), Ok(vec![]));
}

#[test]
fn a_file_that_has_changed_is_not_read() {
    let place = put("changed.txt", b"before");
    let found = run(|p| p.apply(MatchFiles::of(place.clone()))).expect("matches");
    assert_eq!(run(|p| create(p, &found).apply(ReadText::new())), Ok(vec!["before".to_owned()]));
    put("changed.txt", b"after it");
    let error = run(|p| create(p, &found).apply(ReadText::new())).expect_err("changed");
    assert_eq!((error.kind(), error.place("file")), (ErrorKind::Conflict, Some(place.as_str())));
}

#[test]
fn a_manifest_that_is_missing_or_wrong_is_an_error() {
    let error = run(|p| p.apply(MatchManifest::of("memory://tabular-files/no/part")));
    assert_eq!(error.expect_err("no manifest").code(), ErrorCode::NOTHING_MATCHES);
    let base = "memory://tabular-files/listed/part";
    let write = crate::WriteText::to(base).with_num_shards(2);
    run(|p| create(p, &["a".to_owned()]).apply(write)).expect("writes");
    assert_eq!(run(|p| p.apply(MatchManifest::of(base))).expect("matches").len(), 2);
    put("listed/part-00001-of-00002.txt", b"something else");
    let error = run(|p| p.apply(MatchManifest::of(base))).expect_err("changed");
    assert!(error.message().contains("the file has 14"), "{error}");
}
