use super::*;
use crate::credentials::Provider;
use crate::loopback::{Answer, Loopback};
use std::time::Duration;

fn access(home: &std::path::Path) -> AwsAccess {
    let home = home.to_str().expect("UTF-8").to_owned();
    AwsAccess(Arc::new(Provider::in_home(&home, Duration::from_millis(5))))
}

fn keys(home: &std::path::Path, id: &str) {
    std::fs::create_dir_all(home.join(".aws")).expect("a folder");
    let text = format!(
        "[default]\naws_access_key_id = {id}\naws_secret_access_key = s\nregion = eu-west-1\n"
    );
    std::fs::write(home.join(".aws/credentials"), text).expect("written");
}

fn request(server: &Loopback) -> AwsRequest {
    AwsRequest {
        service: "batch",
        region: "eu-west-1".to_owned(),
        url: server.url("v1/describejobs"),
        headers: vec![("content-type", "application/json".to_owned())],
        body: Bytes::from_static(br#"{"jobs":["nope"]}"#),
    }
}

#[test]
fn requests_are_signed_for_their_service() {
    let home = tempfile::tempdir().expect("a folder");
    keys(home.path(), "AKIDEXAMPLE");
    let server = Loopback::start(|_, _| Answer { body: b"{}".to_vec(), ..Answer::status(200) });
    let answer = access(home.path()).send(request(&server)).expect("an answer");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v1/describejobs"));
    assert_eq!(seen.body, r#"{"jobs":["nope"]}"#);
    let signature = seen.header("authorization").expect("signed");
    assert!(signature.contains("Credential=AKIDEXAMPLE/"), "{signature}");
    assert!(signature.contains("/eu-west-1/batch/aws4_request"), "{signature}");
    assert!(signature.contains("content-type"), "{signature}");
}

#[test]
fn a_service_that_was_not_reached_is_told_from_an_answer_that_was_lost() {
    let home = tempfile::tempdir().expect("a folder");
    keys(home.path(), "AKIDEXAMPLE");
    let access = access(home.path());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", closed.local_addr().expect("bound"));
    drop(closed);
    let server = Loopback::start(|_, _| Answer {
        body: b"{\"jobId\":".to_vec(),
        breaks_after: Some(3),
        ..Answer::status(200)
    });
    let nowhere = AwsRequest { url, ..request(&server) };
    let failed = access.send(nowhere).expect_err("nobody listens");
    assert!(matches!(failed, AwsFailure::NotReached(_)), "{failed:?}");
    let failed = access.send(request(&server)).expect_err("the answer breaks off");
    assert!(matches!(failed, AwsFailure::Lost(_)), "{failed:?}");
}

/// E47, E49: new keys in the file are found, however long it takes; nothing else is needed.
#[test]
fn keys_that_were_refused_are_waited_for() {
    let home = tempfile::tempdir().expect("a folder");
    keys(home.path(), "AKIDOLDOLDOLD");
    let server = Loopback::start(|_, seen| {
        let is_new = seen.header("authorization").is_some_and(|it| it.contains("AKIDNEWNEWNEW"));
        Answer::status(if is_new { 200 } else { 403 })
    });
    let access = access(home.path());
    let refused = access.send(request(&server)).expect("a refusal is an answer");
    assert_eq!(refused.status, 403);
    let error = access.renew(&refused, Duration::ZERO).expect_err("no others").to_string();
    assert!(error.contains(".aws/credentials:2"), "{error}");
    assert!(error.contains("AKID****DOLD") && !error.contains("AKIDOLDOLDOLD"), "{error}");
    let waiting = std::thread::spawn({
        let access = access.clone();
        move || access.renew(&refused, Duration::from_secs(60)).map(|()| access)
    });
    while access.pause().is_none() {
        std::thread::yield_now();
    }
    assert!(access.pause().is_some_and(|(_, text)| text.contains("write new keys to")));
    keys(home.path(), "AKIDNEWNEWNEW");
    let access = waiting.join().expect("no panic").expect("new keys");
    assert!(access.pause().is_none(), "the pause is over");
    assert_eq!(access.send(request(&server)).expect("an answer").status, 200);
    assert_eq!(access.facts().expect("facts").key, "AKID****WNEW");
    assert_eq!(access.region().as_deref(), Some("eu-west-1"));
}
