use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::faults::{Fault, Faults};
use crate::file::ObjectFile;

fn open(text: &str) -> Objects {
    let location = Location::parse(text).expect("a location");
    Objects::open(&location, &StoreOptions::default()).expect("opens")
}

/// Runs a test on every kind of store that can be written here.
#[track_caller]
fn check(name: &str, test: impl Fn(&Objects)) {
    test(&open(&format!("memory://objects-{name}/root")));
    let folder = tempfile::tempdir().expect("a folder");
    test(&open(&format!("file://{}/a/root", folder.path().display())));
    if let Some(store) = s3(name) {
        store.delete_all("").expect("deletes what an earlier run left");
        test(&store);
    }
}

/// A folder in the bucket of the emulator, where there is one.
fn s3(name: &str) -> Option<Objects> {
    let endpoint = dataflow::testing::s3_endpoint()?;
    let options = StoreOptions::default()
        .with_endpoint(endpoint)
        .with_setting("aws_access_key_id", "test")
        .with_setting("aws_secret_access_key", "test");
    let location = Location::parse(&format!("s3://levain-test/{name}")).expect("a location");
    Some(Objects::open(&location, &options).expect("opens"))
}

#[track_caller]
fn check_error<T>(result: Result<T>, code: ErrorCode, says: &str) {
    let error = result.err().expect("it must fail");
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn what_was_put_can_be_read_listed_and_deleted() {
    check("put", |store| {
        for key in ["b", "a/y", "a/x z", "a/deep/w"] {
            store.put(key, Bytes::from(key.to_owned())).wait().expect("writes");
        }
        store.put("b", Bytes::from_static(b"again")).wait().expect("replaces");
        assert_eq!(store.get("b").expect("there"), "again");
        let keys = |facts: Vec<ObjectFacts>| facts.into_iter().map(|f| f.key).collect::<Vec<_>>();
        assert_eq!(keys(store.list("").expect("lists")), ["a/deep/w", "a/x z", "a/y", "b"]);
        assert_eq!(keys(store.list("a/deep").expect("lists")), ["a/deep/w"]);
        let (folders, files) = store.list_folder("a").expect("lists");
        assert_eq!(
            (folders, keys(files)),
            (vec!["a/deep".to_owned()], vec!["a/x z".into(), "a/y".into()])
        );
        let facts = store.facts("a/y").expect("there");
        assert_eq!((facts.size_bytes, facts.key.as_str()), (3, "a/y"));
        assert!(facts.last_modified_ms > 1_600_000_000_000);
        store.delete("b").expect("deletes");
        store.delete("b").expect("is gone already");
        assert_eq!(store.delete_all("a").expect("deletes"), 3);
        assert_eq!(store.list("").expect("lists"), []);
    });
}

#[test]
fn missing_objects_are_told_apart() {
    check("missing", |store| {
        store.put("there", Bytes::from_static(b"0123")).wait().expect("writes");
        assert_eq!(store.try_get("none").expect("no error"), None);
        assert_eq!(store.edge("none", Edge::Last(3)).wait().expect("no error"), None);
        let reads = vec![
            ("none".to_owned(), None),
            ("there".to_owned(), Some(1..3)),
            ("none/below".to_owned(), Some(0..1)),
            ("there".to_owned(), None),
        ];
        let bodies = store.fetch_many(reads).wait().expect("reads");
        let want = [None, Some("12"), None, Some("0123")];
        assert_eq!(bodies, want.map(|body| body.map(Bytes::from_static_str)));
        for result in [store.get("none").map(drop), store.facts("none").map(drop)] {
            check_error(result, ErrorCode::STORE_NOT_FOUND, "none");
        }
        check_error(
            store.fetch("none", vec![0..1, 4..5]).wait(),
            ErrorCode::STORE_NOT_FOUND,
            "none",
        );
        assert_eq!(store.list("nowhere").expect("an empty listing"), []);
    });
}

trait FromStaticStr {
    fn from_static_str(text: &'static str) -> Self;
}

impl FromStaticStr for Bytes {
    fn from_static_str(text: &'static str) -> Self {
        Self::from_static(text.as_bytes())
    }
}

#[test]
fn a_file_has_nothing_below_it() {
    check("below", |store| {
        store.put("x.nc", Bytes::from_static(b"CDF")).wait().expect("writes");
        assert_eq!(store.try_get("x.nc/zarr.json").expect("no error"), None);
    });
}

#[test]
fn ranges_come_in_the_order_asked_for() {
    check("ranges", |store| {
        let body: Vec<u8> = (0..200u8).collect();
        store.put("k", body.into()).wait().expect("writes");
        let got = store.fetch("k", vec![190..200, 0..2, 5..5, 1..4]).wait().expect("reads");
        let want: [&[u8]; 4] =
            [&[190, 191, 192, 193, 194, 195, 196, 197, 198, 199], &[0, 1], &[], &[1, 2, 3]];
        assert_eq!(got, want);
    });
}

#[test]
fn an_edge_comes_with_the_size_of_the_whole() {
    check("edge", |store| {
        store.put("k", Bytes::from_static(b"0123456789")).wait().expect("writes");
        let edge = |edge| {
            let found = store.edge("k", edge).wait().expect("reads").expect("there");
            (found.bytes, found.size_bytes)
        };
        assert_eq!(edge(Edge::Last(3)), (Bytes::from_static(b"789"), 10));
        assert_eq!(edge(Edge::First(2)), (Bytes::from_static(b"01"), 10));
        assert_eq!(edge(Edge::Last(99)), (Bytes::from_static(b"0123456789"), 10));
        assert_eq!(edge(Edge::First(99)), (Bytes::from_static(b"0123456789"), 10));
    });
}

#[test]
fn an_object_can_say_itself_what_is_read() {
    check("indexed", |store| {
        store.put("k", Bytes::from_static(b"abcdef2")).wait().expect("writes");
        let fetch = |key| {
            store.fetch_indexed(key, Edge::Last(1), |edge| {
                let place = u64::from(edge.bytes[0] - b'0');
                Ok(vec![place..place + 2, 0..1])
            })
        };
        let got = fetch("k").wait().expect("reads").expect("there");
        assert_eq!(got, ["cd", "a"]);
        assert_eq!(fetch("none").wait().expect("no error"), None);
        let refused = store.fetch_indexed("k", Edge::Last(1), |_| Err(Error::internal("no index")));
        check_error(refused.wait(), ErrorCode::ENGINE_BUG, "no index");
    });
}

#[test]
fn a_range_beyond_the_end_names_both_numbers() {
    check("beyond", |store| {
        store.put("k", Bytes::from_static(b"0123456789")).wait().expect("writes");
        for range in [5..11, 10..11, 900..1001, 0..u64::MAX] {
            let end = range.end.to_string();
            let error = store.fetch("k", vec![range]).wait().expect_err("too far");
            let text = error.to_string();
            assert_eq!(error.code(), ErrorCode::CORRUPT, "{text}");
            assert!(text.contains(&end) && text.contains("there are 10"), "{text}");
        }
    });
}

#[test]
fn one_of_many_creators_wins() {
    check("create", |store| {
        for round in 0..20 {
            let key = format!("once/{round}");
            let makers = (0..8).map(|maker| {
                let (store, key) = (store.clone(), key.clone());
                std::thread::spawn(move || {
                    store.create(&key, format!("maker {maker}").into()).expect("no failure")
                })
            });
            let makers: Vec<_> = makers.collect();
            let won = makers.into_iter().map(|maker| maker.join().expect("no panic"));
            let winners: Vec<usize> =
                won.enumerate().filter_map(|(maker, won)| won.then_some(maker)).collect();
            assert_eq!(winners.len(), 1);
            assert_eq!(store.get(&key).expect("there"), format!("maker {}", winners[0]));
        }
    });
}

#[test]
fn writes_fail_as_asked_for() {
    let open = |name: &str, faults| {
        let location = Location::parse(&format!("memory://faults-{name}")).expect("a location");
        Objects::open(&location, &StoreOptions::default().with_faults(faults)).expect("opens")
    };
    let put = |store: &Objects| store.put("k", Bytes::new()).wait();
    let full = open("full", Faults::from_put(2, Fault::Full));
    put(&full).expect("the first");
    check_error(put(&full), ErrorCode::STORE_FULL, "memory://faults-full/k");
    check_error(full.create("k", Bytes::new()), ErrorCode::STORE_FULL, "k");
    let flaky = open("flaky", Faults::at_put(1, Fault::Transient));
    assert!(put(&flaky).expect_err("the first").is_transient());
    put(&flaky).expect("the second");
    check_error(
        put(&open("denied", Faults::at_put(1, Fault::Denied))),
        ErrorCode::STORE_DENIED,
        "k",
    );
}

#[test]
fn a_read_only_folder_refuses() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rights = std::fs::metadata(folder.path()).expect("there").permissions();
    rights.set_readonly(true);
    std::fs::set_permissions(folder.path(), rights).expect("ours");
    if std::fs::write(folder.path().join("probe"), "").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    let store = open(&folder.path().display().to_string());
    check_error(store.put("a/k", Bytes::new()).wait(), ErrorCode::STORE_DENIED, "cannot write");
}

#[test]
fn no_folder_and_no_remains_stay_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("x.zarr");
    let store = open(&root.display().to_string());
    store.put("a/b/c", Bytes::from_static(b"1")).wait().expect("writes");
    std::fs::write(root.join("a/b/d#1"), "half").expect("writes");
    assert_eq!(store.delete_all("").expect("deletes"), 1);
    assert!(!root.exists());
}

#[test]
fn names_that_no_store_has_are_refused() {
    check("names", |store| {
        check_error(store.try_get("a/../b"), ErrorCode::INVALID_RECIPE, "..");
        check_error(store.put("a//b", Bytes::new()).wait(), ErrorCode::INVALID_RECIPE, "a//b");
    });
}

#[test]
fn an_opened_object_knows_its_size() {
    check("file", |store| {
        store.put("k", Bytes::from_static(b"0123456789")).wait().expect("writes");
        let file = ObjectFile::open(&store.root().join("k"), &store.options).expect("opens");
        assert_eq!(file.size_bytes(), 10);
        assert_eq!(file.read(3..5).expect("reads"), "34");
        check_error(
            file.read(5..11),
            ErrorCode::CORRUPT,
            "up to 11 were asked for, but there are 10",
        );
        let none = ObjectFile::open(&store.root().join("none"), &store.options);
        check_error(none, ErrorCode::STORE_NOT_FOUND, "none");
    });
}

/// A server on loopback that answers `requests` requests, the first ones with `statuses`.
fn serve(statuses: &'static [&'static str], requests: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for place in 0..requests {
            let (mut stream, _) = listener.accept().expect("a client");
            answer(&mut stream, statuses.get(place).copied());
        }
    });
    format!("http://{address}")
}

fn answer(stream: &mut TcpStream, status: Option<&str>) {
    const BODY: &[u8] = b"0123456789";
    let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
    let head: Vec<String> = lines
        .by_ref()
        .map_while(Result::<_, std::io::Error>::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let range = head.iter().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned)
    });
    let (status, body, extra) = match (status, range) {
        (Some(status), _) => (status.to_owned(), &b""[..], String::new()),
        (None, Some(range)) => {
            let (from, to) = range.split_once('-').expect("a range");
            let (from, to): (usize, usize) =
                (from.parse().expect("a number"), to.parse().expect("a number"));
            let last = to.min(BODY.len() - 1);
            let extra = format!("Content-Range: bytes {from}-{last}/{}\r\n", BODY.len());
            ("206 Partial Content".to_owned(), &BODY[from..=last], extra)
        }
        (None, None) => ("200 OK".to_owned(), BODY, String::new()),
    };
    let length = body.len();
    let is_head = head[0].starts_with("HEAD");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\nLast-Modified: Tue, 01 Oct 2024 00:00:00 GMT\r\n{extra}\r\n"
    );
    stream.write_all(head.as_bytes()).expect("the client listens");
    if !is_head {
        stream.write_all(body).expect("the client listens");
    }
}

#[test]
fn http_is_read_with_retries_and_never_written() {
    let server = serve(&["503 Service Unavailable", "500 Oops"], 5);
    let location = Location::parse(&format!("{server}/dir/x.nc?token=hidden")).expect("a location");
    let file =
        ObjectFile::open(&location, &StoreOptions::default()).expect("opens at the third try");
    assert_eq!(file.read(2..4).expect("reads"), "23");
    let store = open(&server);
    check_error(store.put("k", Bytes::new()).wait(), ErrorCode::STORE_DENIED, "read only");
}

#[test]
fn answers_become_errors_without_secrets() {
    let get = |status: &'static [&'static str]| {
        let server = serve(status, 1);
        let options = StoreOptions::default().with_retry_count(0);
        let location = Location::parse(&format!("{server}/x?sig=hidden")).expect("a location");
        let error =
            Objects::open(&location, &options).expect("opens").get("").expect_err("refused");
        assert!(!error.to_string().contains("hidden"), "{error}");
        (error.code(), error.is_transient())
    };
    assert_eq!(get(&["404 Not Found"]), (ErrorCode::STORE_NOT_FOUND, false));
    assert_eq!(get(&["403 Forbidden"]), (ErrorCode::STORE_DENIED, false));
    assert_eq!(get(&["401 Unauthorized"]), (ErrorCode::CREDENTIALS, false));
    assert_eq!(get(&["503 Busy"]), (ErrorCode::STORE_FAILED, true));
}

#[test]
fn a_refused_connection_is_transient() {
    let address =
        TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let location = Location::parse(&format!("http://{address}/x")).expect("a location");
    let options = StoreOptions::default().with_retry_count(0);
    let error = Objects::open(&location, &options).expect("opens").get("").expect_err("refused");
    assert!(error.is_transient(), "{error}");
}

#[test]
fn settings_that_no_store_knows_are_refused() {
    let location = Location::parse("s3://b").expect("a location");
    let options = StoreOptions::default().with_setting("aws_colour", "blue");
    check_error(Objects::open(&location, &options), ErrorCode::CONFIGURATION, "aws_colour");
}

#[test]
fn a_long_object_goes_up_in_parts() {
    if let Some(store) = s3("parts") {
        let body = Bytes::from((0..70 << 20).map(|place| (place >> 12) as u8).collect::<Vec<u8>>());
        store.put("long", body.clone()).wait().expect("writes");
        assert!(store.get("long").expect("there") == body);
        store.delete_all("").expect("deletes");
    }
}

#[test]
fn an_object_of_many_parts_is_visible_when_it_is_finished() {
    let text: Vec<u8> =
        (0..20u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    check("writer", |store| {
        for length in [0, 1, 8 << 20, (8 << 20) + 1, text.len()] {
            store.put("long", Bytes::from_static(b"old")).wait().expect("writes");
            let mut writer = store.writer("long").expect("can be written");
            text[..length].chunks(700_001).for_each(|part| writer.write_all(part).expect("takes"));
            assert_eq!(store.get("long").expect("there"), "old", "{length}");
            writer.finish().expect("finishes");
            assert!(store.get("long").expect("there") == text[..length], "{length}");
        }
        let mut writer = store.writer("dropped").expect("can be written");
        writer.write_all(&text).expect("takes");
        drop(writer);
        let keys: Vec<_> = store.list("").expect("lists").into_iter().map(|f| f.key).collect();
        assert_eq!(keys, ["long"]);
    });
}

/// Requests of every kind, each by its name.
type Request = (&'static str, fn(&Objects) -> Result<()>);
const REQUESTS: [Request; 14] = [
    ("facts", |it| it.facts("k").map(drop)),
    ("get", |it| it.get("k").map(drop)),
    ("edge", |it| it.edge("k", Edge::Last(1)).wait().map(drop)),
    ("fetch", |it| it.fetch("k", std::iter::once(0..1).collect()).wait().map(drop)),
    ("stream", |it| {
        let object = it.object("k")?;
        Pending::start(async move { object.stream(0).await.map(drop) }).wait()
    }),
    ("put", |it| it.put("k", Bytes::from_static(b"x")).wait()),
    ("put in parts", |it| it.put_pieces("k", vec![Bytes::from(vec![0; 33 << 20]); 2]).wait()),
    ("writer", |it| {
        let mut writer = it.writer("k")?.in_parts()?;
        writer.write_all(b"x").map_err(Error::from)?;
        writer.finish()
    }),
    ("create", |it| it.create("k", Bytes::from_static(b"x")).map(drop)),
    ("list", |it| it.list("").map(drop)),
    ("list folder", |it| it.list_folder("").map(drop)),
    ("delete", |it| it.delete("k")),
    ("delete all", |it| it.delete_all("").map(drop)),
    ("sweep", |it| it.sweep("")),
];

/// What S3 says to a request that it takes.
fn taken(seen: &crate::loopback::Seen) -> crate::loopback::Answer {
    use crate::loopback::Answer;
    let text = |body: &str| Answer { body: body.as_bytes().to_vec(), ..Answer::status(200) };
    let has = |what: &str| seen.target.contains(what);
    let listed = "<Contents><Key>k</Key><Size>1</Size>\
                  <LastModified>2026-11-27T17:00:00.000Z</LastModified></Contents>";
    let answer = match seen.method.as_str() {
        "GET" if has("list-type=2") => {
            text(&format!("<ListBucketResult>{listed}</ListBucketResult>"))
        }
        "GET" if has("uploads") => text(
            "<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>u</UploadId></Upload>\
             </ListMultipartUploadsResult>",
        ),
        "GET" if seen.header("range").is_some() => {
            Answer { body: b"x".to_vec(), ..Answer::status(206) }
                .with("Content-Range", "bytes 0-0/1")
        }
        "GET" => text("x"),
        "POST" if has("uploads") => text(
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        ),
        "POST" if has("delete") => {
            text("<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>")
        }
        "POST" => {
            text("<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")
        }
        "DELETE" => Answer::status(204),
        _ => Answer::status(200),
    };
    answer.with("ETag", "\"e\"").with("Last-Modified", "Fri, 27 Nov 2026 17:00:00 GMT")
}

/// E47: whatever is asked of S3 waits for new keys when its own have ended, a question whose answer has no
/// words too, and is then done.
#[test]
fn every_request_waits_for_new_keys() {
    use crate::loopback::{Answer, Loopback};
    for (name, request) in REQUESTS {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join(".aws")).expect("a folder");
        let write = |id: &str| {
            let keys = format!("[default]\naws_access_key_id={id}\naws_secret_access_key=s\n");
            std::fs::write(home.path().join(".aws/credentials"), keys).expect("written");
        };
        write("OLD");
        let server = Loopback::start(|_, seen| {
            if seen.header("authorization").is_some_and(|it| it.contains("=NEW/")) {
                return taken(seen);
            }
            let ended = b"<Error><Code>ExpiredToken</Code></Error>".to_vec();
            Answer { body: ended, ..Answer::status(400) }
        });
        let home_text = home.path().to_str().expect("UTF-8");
        let ask_every = std::time::Duration::from_millis(5);
        let provider = Arc::new(crate::credentials::Provider::in_home(home_text, ask_every));
        let options =
            StoreOptions::default().with_endpoint(server.url("")).with_credential_grace_ms(600_000);
        let root = Location::parse("s3://b").expect("a location");
        let client = Client::new(&root, &options, &provider).expect("a store");
        let client = Arc::new(client);
        let prefix = String::new();
        let objects = Objects { client, root, prefix, options, not_after_ms: None };
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| request(&objects));
            while provider.pause().is_none() && !asked.is_finished() {
                std::thread::yield_now();
            }
            assert!(!asked.is_finished(), "{name} did not wait: {:?}", asked.join());
            write("NEW");
            asked.join().expect("no panic").unwrap_or_else(|error| panic!("{name}: {error}"));
        });
    }
}
