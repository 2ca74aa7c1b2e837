//! Politeness as servers see it.

use std::num::NonZeroUsize;

use dataflow::error::{Error, ErrorCode, ErrorKind};

use crate::file::ObjectFile;
use crate::location::Location;
use crate::loopback::{Answer, Loopback, Seen};
use crate::objects::Objects;
use crate::options::StoreOptions;
use crate::polite::HostLimits;
use crate::secrets::{HostSecret, SecretPlace, SecretSource};

const BODY: &[u8] = b"0123456789";

/// Limits under which a test need not wait.
fn quick() -> HostLimits {
    HostLimits::default().with_first_wait_ms(1)
}

fn polite(limits: HostLimits) -> StoreOptions {
    StoreOptions::default().with_host_limits(limits).with_retry_count(0)
}

fn open(url: &str, options: &StoreOptions) -> Objects {
    Objects::open(&Location::parse(url).expect("a location"), options).expect("opens")
}

fn get(url: &str, options: &StoreOptions) -> Result<bytes::Bytes, Error> {
    open(url, options).get("")
}

/// A server that answers what is read and nothing else, as a signed address does.
#[test]
fn an_address_that_is_signed_for_reading_tells_its_version_too() {
    let server = Loopback::start(|_, seen| match seen.method.as_str() {
        "GET" => Answer::file(seen, BODY).with("ETag", "\"a\""),
        _ => Answer::status(403),
    });
    let location = Location::parse(&server.url("x?sig=1")).expect("a location");
    let file = ObjectFile::open(&location, &polite(quick())).expect("opens");
    assert_eq!((file.size_bytes(), file.facts().etag.as_deref()), (10, Some("\"a\"")));
}

#[test]
fn no_more_requests_are_in_flight_than_allowed_whoever_sends_them() {
    let server = Loopback::start(|server, seen| {
        server.wait_for_in_flight(3);
        Answer::file(seen, BODY)
    });
    let limits = quick().with_max_in_flight(NonZeroUsize::new(3).expect("not zero"));
    let clients: Vec<_> = (0..12)
        .map(|client| {
            // A query makes another client of it, and a thread of its own asks.
            let (url, options) = (server.url(&format!("x?client={client}")), polite(limits));
            std::thread::spawn(move || {
                let store = open(&url, &options);
                let reads = (0..3).map(|_| (String::new(), None)).collect();
                store.fetch_many(reads).wait().expect("reads").len()
            })
        })
        .collect();
    let read: usize = clients.into_iter().map(|it| it.join().expect("no panic")).sum();
    assert_eq!((read, server.seen().len()), (36, 36));
    assert_eq!(server.most_in_flight(), 3);
}

#[test]
fn a_request_is_in_flight_until_its_answer_is_read() {
    let server = Loopback::start(|_, seen| Answer::file(seen, BODY));
    let limits = quick().with_max_in_flight(NonZeroUsize::MIN);
    let (url, options) = (server.url("x"), polite(limits));
    for _ in 0..5 {
        assert_eq!(get(&url, &options).expect("reads"), BODY);
        let error = open(&server.url(""), &options).fetch("gone", vec![40..50, 60..61]).wait();
        error.expect_err("there are ten bytes");
    }
    assert_eq!(server.most_in_flight(), 1);
}

#[test]
fn a_refused_request_is_sent_again_and_not_before_it_may_be() {
    let server = Loopback::start(|_, seen| match seen.place {
        0 => Answer::status(429).with("Retry-After", "1"),
        1 => Answer::status(503).with("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"),
        2 => Answer::status(503),
        _ => Answer::file(seen, BODY),
    });
    let began = std::time::Instant::now();
    assert_eq!(get(&server.url("x"), &polite(quick())).expect("at last"), BODY);
    assert_eq!(server.seen().len(), 4);
    // What was asked for is a lower bound; how long it takes at the most is no business of a test.
    assert!(began.elapsed() >= std::time::Duration::from_secs(1));
}

#[test]
fn a_host_that_refuses_does_not_slow_another() {
    let busy = Loopback::start(|_, _| Answer::status(429).with("Retry-After", "3600"));
    let idle = Loopback::start(|_, seen| Answer::file(seen, BODY));
    let options = polite(quick());
    let waiting = open(&busy.url("x"), &options).edge("", crate::objects::Edge::First(1));
    while busy.seen().is_empty() {
        std::thread::yield_now();
    }
    // An hour is not over when this ends.
    for _ in 0..20 {
        assert_eq!(get(&idle.url("x"), &options).expect("reads"), BODY);
    }
    assert_eq!((busy.seen().len(), idle.seen().len()), (1, 20));
    drop(waiting);
}

#[test]
fn throttling_fails_after_the_time_that_was_stated_and_says_what_to_do() {
    let server = Loopback::start(|_, _| Answer::status(429).with("Retry-After", "3600"));
    let limits = quick().with_throttle_wait_ms(30);
    let error = get(&server.url("x?sig=hidden"), &polite(limits)).expect_err("refused");
    assert_eq!((error.code(), error.is_transient()), (ErrorCode::STORE_FAILED, false));
    let text = error.to_string();
    assert!(text.contains("429") && text.contains("--max-throttle-wait"), "{text}");
    assert!(!text.contains("hidden"), "{text}");
    assert!(server.seen().len() >= 2, "it was asked once more at the end");
}

/// A secret in a file of its own.
fn secret(folder: &tempfile::TempDir, hosts: &[&str], value: &str) -> HostSecret {
    let file = folder.path().join("secret");
    std::fs::write(&file, value).expect("writes");
    HostSecret {
        hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        place: SecretPlace::Bearer,
        source: SecretSource::File(file),
    }
}

fn authorization(seen: &Seen) -> Option<&str> {
    seen.header("authorization")
}

#[test]
fn secrets_follow_redirects_to_their_own_hosts_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let foreign = Loopback::start(|_, seen| Answer::file(seen, BODY));
    let end = foreign.url("signed?sig=1");
    let second = Loopback::start(move |_, _| Answer::status(302).with("Location", end.clone()));
    let middle = second.url("moved");
    let first = Loopback::start(move |_, seen| match seen.target.as_str() {
        "/x" => Answer::status(301).with("Location", "/y"),
        _ => Answer::status(307).with("Location", middle.clone()),
    });
    let own = [first.host(), second.host()];
    let options = polite(quick()).with_secret(secret(&folder, &own, " hunter2\n"));
    assert_eq!(get(&first.url("x"), &options).expect("reads"), BODY);
    let told = |server: &Loopback| -> Vec<Option<String>> {
        server.seen().iter().map(|seen| authorization(seen).map(str::to_owned)).collect()
    };
    let bearer = Some("Bearer hunter2".to_owned());
    assert_eq!(told(&first), [bearer.clone(), bearer.clone()]);
    assert_eq!(told(&second), [bearer]);
    assert_eq!(told(&foreign), [None]);
    assert!(!format!("{options:?}").contains("hunter2"));
}

#[test]
fn the_user_of_a_url_is_told_to_its_own_host_only() {
    let foreign = Loopback::start(|_, seen| Answer::file(seen, BODY));
    let end = foreign.url("y");
    let server = Loopback::start(move |_, _| Answer::status(302).with("Location", end.clone()));
    let url = server.url("x").replace("://", "://me:p%40ss@");
    assert_eq!(get(&url, &polite(quick())).expect("reads"), BODY);
    assert_eq!(authorization(&server.seen()[0]), Some("Basic bWU6cEBzcw=="));
    assert_eq!(authorization(&foreign.seen()[0]), None);
}

#[test]
fn redirects_end_in_an_error_where_they_lead_nowhere() {
    let check = |place: &'static str, says: &str| {
        let server = Loopback::start(move |_, _| Answer::status(302).with("Location", place));
        let error = get(&server.url("x?sig=hidden"), &polite(quick())).expect_err("nowhere");
        let text = error.to_string();
        assert_eq!(error.code(), ErrorCode::STORE_DENIED, "{text}");
        assert!(text.contains(says) && !text.contains("hidden"), "{text}");
    };
    check("/x?sig=hidden", "in a circle, or too often");
    check("file:///etc/passwd", "no URL");
    check("http://[", "no URL");
}

#[test]
fn a_secret_that_has_ended_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    let renewed = file.clone();
    let server = Loopback::start(move |_, seen| match authorization(seen) {
        Some("Bearer old") => {
            std::fs::write(&renewed, "new").expect("writes");
            Answer::status(401)
        }
        Some("Bearer new") => Answer::file(seen, BODY),
        _ => Answer::status(401),
    });
    let options = polite(quick()).with_secret(secret(&folder, &[server.host()], "old"));
    assert_eq!(get(&server.url("x"), &options).expect("the new one"), BODY);
    assert_eq!(get(&server.url("x"), &options).expect("the new one"), BODY);
    assert_eq!(server.seen().len(), 3, "old, new, new");
    // One that stays refused is an error, not a circle.
    std::fs::write(&file, "wrong").expect("writes");
    let error = get(&server.url("y?q=1"), &options).expect_err("refused");
    assert_eq!(error.code(), ErrorCode::CREDENTIALS, "{error}");
    assert!(!error.to_string().contains("wrong"), "{error}");
}

#[test]
fn secrets_of_a_query_are_sent_and_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Loopback::start(|_, seen| {
        Answer { body: BODY.into(), ..Answer::status(404) }.with("X", seen.target.clone())
    });
    let mut own = secret(&folder, &[server.host()], "hunter2 &");
    own.place = SecretPlace::Query("appid".to_owned());
    let options = polite(quick()).with_secret(own);
    let error = get(&server.url("x?a=1&appid=old"), &options).expect_err("there is none");
    assert_eq!(server.seen()[0].target, "/x?a=1&appid=hunter2+%26");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn secrets_are_not_sent_in_the_open_nor_made_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |secret: HostSecret, says: &str| {
        let options = polite(quick()).with_secret(secret);
        let error = get("http://data.invalid/x", &options).expect_err("not sent");
        assert_eq!(error.code(), ErrorCode::CREDENTIALS, "{error}");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    };
    check(secret(&folder, &["data.invalid"], "hunter2"), "not sent without TLS");
    let server = Loopback::start(|_, seen| Answer::file(seen, BODY));
    let unset = HostSecret {
        hosts: vec![server.host().to_owned()],
        place: SecretPlace::Bearer,
        source: SecretSource::Variable("LEVAIN_TEST_NO_SUCH_SECRET".to_owned()),
    };
    let error = get(&server.url("x"), &polite(quick()).with_secret(unset)).expect_err("unset");
    assert!(error.to_string().contains("env:LEVAIN_TEST_NO_SUCH_SECRET is not set"), "{error}");
    assert!(server.seen().is_empty());
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error_with_its_name() {
    let check = |change: fn(Answer, usize) -> Answer, says: &str| {
        let server = Loopback::start(move |_, seen| change(Answer::file(seen, BODY), seen.place));
        let location = Location::parse(&server.url("dir/x.nc")).expect("a location");
        let file = ObjectFile::open(&location, &polite(quick())).expect("opens");
        assert_eq!(file.read(0..4).expect("is the same"), "0123");
        let error = file.read(0..4).expect_err("is another");
        assert_eq!((error.code(), error.kind()), (ErrorCode::CANNOT_READ, ErrorKind::Conflict));
        let text = error.to_string();
        assert!(text.contains("dir/x.nc") && text.contains(says), "{text}");
    };
    check(
        |answer, place| answer.with("ETag", if place < 2 { "\"a\"" } else { "\"b\"" }),
        "its tag was",
    );
    check(
        |answer, place| {
            let day = if place < 2 { "Tue, 01" } else { "Wed, 02" };
            answer.with("Last-Modified", format!("{day} Oct 2024 00:00:00 GMT"))
        },
        "written again",
    );
    check(
        |answer, place| {
            if place < 2 {
                return answer;
            }
            let headers = vec![("Content-Range", "bytes 0-3/11".to_owned())];
            Answer { headers, ..answer }
        },
        "had 10 bytes, and has 11",
    );
}
