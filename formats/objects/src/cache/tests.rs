//! The cache, as servers see it and as it lies in a folder.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dataflow::error::{ErrorCode, Result};
use tempfile::TempDir;

use crate::cache::{CacheKeeps, CacheOptions, cache_name};
use crate::file::ObjectFile;
use crate::location::Location;
use crate::loopback::{Answer, Loopback};
use crate::options::StoreOptions;
use crate::polite::HostLimits;

const BODY: &[u8] = b"0123456789";

fn cache_at(place: &Path) -> CacheOptions {
    CacheOptions::new(Location::parse(&place.display().to_string()).expect("a place"))
}

fn options(cache: CacheOptions) -> StoreOptions {
    let limits = HostLimits::default().with_first_wait_ms(1);
    StoreOptions::default().with_cache(cache).with_host_limits(limits).with_retry_count(2)
}

fn open(url: &str, options: &StoreOptions) -> Result<ObjectFile> {
    ObjectFile::open(&Location::parse(url).expect("a location"), options)
}

fn whole(url: &str, options: &StoreOptions) -> Bytes {
    let file = open(url, options).expect("opens");
    file.read(0..file.size_bytes()).expect("reads")
}

/// The bytes and the tag of a file.
type Served = Arc<Mutex<(Vec<u8>, String)>>;

/// A server of one file that can be written anew.
fn serve(body: &[u8], etag: &str) -> (Loopback, Served) {
    let file = Arc::new(Mutex::new((body.to_vec(), etag.to_owned())));
    let own = Arc::clone(&file);
    let server = Loopback::start(move |_, seen| {
        let (body, etag) = own.lock().expect("no panic").clone();
        Answer::file(seen, &body).with("ETag", etag)
    });
    (server, file)
}

fn methods(server: &Loopback) -> Vec<String> {
    server.seen().into_iter().map(|seen| seen.method).collect()
}

/// The files below a part of the cache.
fn files(folder: &TempDir, part: &str) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder.path().join(part)).expect("is there");
    let mut found: Vec<PathBuf> = found.map(|it| it.expect("is there").path()).collect();
    found.sort_unstable();
    found
}

#[test]
fn a_file_is_fetched_once_and_asked_for_its_version_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, file) = serve(BODY, "\"a\"");
    let options = options(cache_at(folder.path()));
    let url = server.url("dir/x.nc?token=hidden");
    for _ in 0..3 {
        assert_eq!(whole(&url, &options), BODY);
    }
    assert_eq!(methods(&server), ["HEAD", "GET", "HEAD", "HEAD"]);
    let name = cache_name(&server.url("dir/x.nc"));
    let entry = folder.path().join(format!("entries/{name}.json"));
    let text = std::fs::read_to_string(entry).expect("is there");
    assert!(text.contains("token=***") && !text.contains("hidden"), "{text}");
    assert!(files(&folder, "partial").is_empty());
    // Another version is fetched, and the old one is gone.
    *file.lock().expect("no panic") = (b"new".to_vec(), "\"b\"".to_owned());
    assert_eq!(whole(&url, &options), "new");
    assert_eq!(files(&folder, "content").len(), 1);
}

#[test]
fn a_store_keeps_files_as_well() {
    let (server, file) = serve(BODY, "\"a\"");
    let place = Location::parse("memory://cache-test/kept").expect("a place");
    let options = options(CacheOptions::new(place));
    for _ in 0..2 {
        assert_eq!(whole(&server.url("x"), &options), BODY);
    }
    assert_eq!(methods(&server), ["HEAD", "GET", "HEAD"]);
    *file.lock().expect("no panic") = (b"new".to_vec(), "\"b\"".to_owned());
    assert_eq!(whole(&server.url("x"), &options), "new");
}

#[test]
fn what_tells_no_version_is_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Loopback::start(|_, seen| Answer::file(seen, BODY));
    let options = options(cache_at(folder.path()));
    assert_eq!(whole(&server.url("x"), &options), BODY);
    assert_eq!(whole(&server.url("x"), &options), BODY);
    assert_eq!(methods(&server), ["HEAD", "GET", "HEAD", "GET"]);
}

#[test]
fn a_download_that_broke_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Loopback::start(|_, seen| {
        let answer = Answer::file(seen, BODY).with("ETag", "\"a\"");
        // Every answer breaks after three bytes, the first attempt for good after one of them.
        match seen.place {
            2 | 3 => Answer::status(404),
            _ => Answer { breaks_after: Some(3), ..answer },
        }
    });
    let mut options = options(cache_at(folder.path()));
    options.retry_count = 0;
    let url = server.url("x");
    open(&url, &options).expect_err("it breaks");
    assert!(files(&folder, "content").is_empty(), "nothing is there in part");
    let left =
        files(&folder, "partial").into_iter().find(|it| it.extension() != Some("json".as_ref()));
    let left = std::fs::read(left.expect("a part is left")).expect("reads");
    assert!(!left.is_empty() && BODY.starts_with(&left), "{left:?}");
    options.retry_count = 8;
    let asked_before = server.seen().len();
    while open(&url, &options).is_err() {}
    assert_eq!(whole(&url, &options), BODY);
    let ranges: Vec<usize> =
        server.seen()[asked_before..].iter().filter_map(|it| Some(it.range()?.0)).collect();
    assert_eq!(ranges.first(), Some(&left.len()), "{ranges:?}");
    assert!(ranges.is_sorted(), "{ranges:?}");
}

#[test]
fn a_part_of_another_version_is_thrown_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Loopback::start(|_, seen| {
        let is_old = seen.place < 2;
        let (body, etag): (&[u8], _) =
            if is_old { (BODY, "\"a\"") } else { (b"ABCDEFGHIJ", "\"b\"") };
        let answer = Answer::file(seen, body).with("ETag", etag);
        if is_old { Answer { breaks_after: Some(4), ..answer } } else { answer }
    });
    let mut options = options(cache_at(folder.path()));
    options.retry_count = 0;
    open(&server.url("x"), &options).expect_err("it breaks");
    assert_eq!(whole(&server.url("x"), &options), "ABCDEFGHIJ");
}

#[test]
fn a_file_that_changes_while_it_is_fetched_is_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Loopback::start(|_, seen| {
        let etag = if seen.method == "HEAD" { "\"a\"" } else { "\"b\"" };
        Answer::file(seen, BODY).with("ETag", etag)
    });
    let error = open(&server.url("x.nc"), &options(cache_at(folder.path()))).expect_err("changes");
    assert_eq!(error.code(), ErrorCode::CANNOT_READ);
    assert!(error.to_string().contains("x.nc"), "{error}");
    assert!(files(&folder, "content").is_empty());
    assert!(files(&folder, "entries").is_empty());
}

#[test]
fn servers_without_ranges_are_read_through_a_cache() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Loopback::start(|_, seen| {
        let answer = Answer { body: BODY.to_vec(), ..Answer::status(200) }.with("ETag", "\"a\"");
        // The first answer breaks, and what is left cannot be asked for.
        if seen.place == 1 { Answer { breaks_after: Some(4), ..answer } } else { answer }
    });
    let options = options(cache_at(folder.path()));
    let file = open(&server.url("x"), &options).expect("is fetched");
    assert_eq!(file.read(3..5).expect("reads"), "34");
}

#[test]
fn a_copy_that_was_harmed_is_fetched_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, _) = serve(b"a text of its own", "\"a\"");
    let options = options(cache_at(folder.path()));
    let text = whole(&server.url("x"), &options);
    let copy = files(&folder, "content").remove(0);
    std::fs::write(&copy, &text[..5]).expect("writes");
    assert_eq!(whole(&server.url("x"), &options), text);
    assert_eq!(methods(&server), ["HEAD", "GET", "HEAD", "GET"]);
    // As another process finds it: of the right length, with other bytes.
    let moved = tempfile::tempdir().expect("a folder");
    let cache = moved.path().join("cache");
    std::fs::rename(folder.path(), &cache).expect("moves");
    let copy = cache.join("content").join(copy.file_name().expect("a name"));
    std::fs::write(&copy, vec![b'x'; text.len()]).expect("writes");
    assert_eq!(whole(&server.url("x"), &super::tests::options(cache_at(&cache))), text);
}

#[test]
fn the_folder_is_kept_within_its_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Loopback::start(|_, seen| {
        let body = seen.target.repeat(10);
        Answer::file(seen, body.as_bytes()).with("ETag", "\"a\"")
    });
    let cache = cache_at(folder.path()).with_size_bytes(65).expect("a folder");
    let options = options(cache);
    let in_use = open(&server.url("a"), &options).expect("opens");
    for name in ["b", "c", "d", "e"] {
        whole(&server.url(name), &options);
        // Times of files are what the order of use is known by.
        let used = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        let copies = files(&folder, "content");
        let old = copies.iter().filter_map(|it| std::fs::File::open(it).ok());
        old.for_each(|file| file.set_modified(used).expect("ours"));
    }
    let total: u64 = files(&folder, "content")
        .iter()
        .map(|it| std::fs::metadata(it).expect("is there").len())
        .sum();
    assert_eq!(total, 60, "three files of twenty bytes");
    assert_eq!(in_use.read(0..2).expect("what is in use stays"), "/a");
    let size = CacheOptions::new(Location::parse("s3://b/x").expect("a place")).with_size_bytes(1);
    assert_eq!(size.expect_err("no folder").code(), ErrorCode::CONFIGURATION);
}

#[test]
fn many_that_want_one_file_fetch_it_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, _) = serve(&BODY.repeat(1000), "\"a\"");
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (url, options) = (server.url("x"), options(cache_at(folder.path())));
            std::thread::spawn(move || whole(&url, &options).len())
        })
        .collect();
    let lengths: Vec<usize> = readers.into_iter().map(|it| it.join().expect("no panic")).collect();
    assert_eq!(lengths, [10_000; 8]);
    assert_eq!(methods(&server).iter().filter(|it| *it == "GET").count(), 1);
}

#[test]
fn headers_are_kept_and_thrown_away_with_the_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, file) = serve(BODY, "\"a\"");
    let options = options(cache_at(folder.path()).with_keeps(CacheKeeps::Indexes));
    let read = || {
        let file = open(&server.url("x"), &options).expect("opens");
        let headers = (file.header(0..4).expect("reads"), file.header(6..8).expect("reads"));
        file.save_kept().expect("is kept");
        (headers, file.has_kept(), file.kept(&(1..3)), file.kept(&(2..7)))
    };
    let headers = (Bytes::from_static(b"0123"), Bytes::from_static(b"67"));
    assert_eq!(read(), (headers.clone(), false, Some("12".into()), None));
    assert_eq!(methods(&server), ["HEAD", "GET", "GET"]);
    assert_eq!(read(), (headers, true, Some("12".into()), None));
    assert_eq!(methods(&server)[3..], ["HEAD"]);
    *file.lock().expect("no panic") = (b"ABCDEFGHIJ".to_vec(), "\"b\"".to_owned());
    let (headers, is_found, ..) = read();
    assert_eq!((headers.0, is_found), ("ABCD".into(), false));
    // What is damaged is not believed.
    let kept = files(&folder, "indexes").remove(0);
    let mut form = std::fs::read(&kept).expect("reads");
    *form.last_mut().expect("has bytes") ^= 1;
    std::fs::write(&kept, form).expect("writes");
    assert!(!read().1);
}
