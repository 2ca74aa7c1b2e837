use std::sync::{Arc, Mutex};
use std::time::Duration;

use objects::AwsAccess;
use serde_json::{Value, json};

use super::*;
use crate::launch::{JobId, Submitted};
use crate::loopback::{Answer, Loopback, Seen};

const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "s")];

pub(super) fn ok(body: &Value) -> Answer {
    Answer { body: body.to_string().into_bytes(), ..Answer::status(200) }
}

pub(super) fn refusal(status: u16, code: &str) -> Answer {
    let body = json!({ "message": format!("{code} happened") }).to_string().into_bytes();
    Answer { body, ..Answer::status(status) }.with("x-amzn-ErrorType", format!("{code}:http://x/"))
}

/// A service that answers as the test says, and patience that is short.
pub(super) fn stub(
    answer: impl Fn(&Seen, &Value) -> Answer + Send + Sync + 'static,
) -> (Loopback, BatchApi) {
    let server = Loopback::start(move |_, seen| {
        answer(seen, &serde_json::from_str(&seen.body).unwrap_or_default())
    });
    let api = open(&server, AwsAccess::of_variables(&KEYS), CallOptions::default());
    (server, api)
}

fn open(server: &Loopback, access: AwsAccess, options: CallOptions) -> BatchApi {
    let settings = BatchSettings {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(format!("http://{}", server.host())),
        requests_per_second: 1000.0,
        ..BatchSettings::default()
    };
    let backoff = (Duration::from_millis(1), Duration::from_millis(2));
    let options = CallOptions { backoff, patience: Duration::from_secs(10), ..options };
    BatchApi::with_access(access, &settings, options).expect("a region")
}

fn paths(server: &Loopback) -> Vec<String> {
    server.seen().into_iter().map(|seen| seen.target).collect()
}

#[test]
fn a_submission_is_sent_again_only_if_it_was_not_accepted() {
    let check = |answers: Vec<Answer>, want: Result<Submitted, &str>, requests: usize| {
        let answers = Mutex::new(answers.into_iter());
        let (server, api) = stub(move |_, _| {
            let next = answers.lock().expect("no panic").next();
            next.unwrap_or_else(|| ok(&json!({ "jobId": "j" })))
        });
        let got = api.submit(&json!({ "jobName": "n" }));
        match (&got, &want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want),
            (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{error}"),
            _ => panic!("{got:?}, not {want:?}"),
        }
        assert_eq!(paths(&server), vec!["/v1/submitjob"; requests]);
    };
    let submitted = || Ok(Submitted::As(JobId("j".to_owned())));
    check(vec![], submitted(), 1);
    check(vec![refusal(429, "TooManyRequestsException"); 3], submitted(), 4);
    check(vec![refusal(400, "ThrottlingException")], submitted(), 2);
    // The answer is lost, so that nobody knows.
    check(vec![refusal(500, "ServerException")], Ok(Submitted::Unknown), 1);
    check(vec![Answer::status(503)], Ok(Submitted::Unknown), 1);
    let half = Answer { breaks_after: Some(3), ..ok(&json!({ "jobId": "j" })) };
    check(vec![half], Ok(Submitted::Unknown), 1);
    check(vec![refusal(400, "ClientException")], Err("ClientException happened"), 1);
    check(vec![refusal(403, "AccessDeniedException")], Err("batch:SubmitJob is denied"), 1);
}

#[test]
fn what_only_reads_is_asked_again_until_it_is_answered() {
    let count = Mutex::new(0);
    let (server, api) = stub(move |_, _| {
        let mut count = count.lock().expect("no panic");
        *count += 1;
        match *count {
            1 => refusal(500, "ServerException"),
            2 => Answer { breaks_after: Some(1), ..ok(&json!({})) },
            3 => refusal(429, "TooManyRequestsException"),
            4 => ok(&Value::String("no object".to_owned())),
            _ => ok(&json!({ "jobs": [{ "jobId": "j" }] })),
        }
    });
    assert_eq!(api.describe_jobs(&["j"]).expect("at last"), []);
    assert_eq!(api.describe_jobs(&["j"]).expect("at last")[0].value.job_id, "j");
    assert_eq!(paths(&server).len(), 5);
}

/// D10, D69: what is missing is named with its effect and its mend.
#[test]
fn a_denied_action_is_named_with_its_mend() {
    let (_server, api) = stub(|_, _| refusal(403, "AccessDeniedException"));
    let error = api.describe_jobs(&["j"]).expect_err("denied").to_string();
    for word in ["error[E509]", "batch:DescribeJobs is denied", "levain infra policy --for driver"]
    {
        assert!(error.contains(word), "{word} in {error}");
    }
}

/// E47: keys that have ended are read again, and the call is made with the new ones.
#[test]
fn a_call_goes_on_with_new_keys_when_the_old_ones_have_ended() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join(".aws");
    std::fs::create_dir(&folder).expect("a folder");
    let file = Arc::new(folder.join("credentials"));
    let write = |file: &std::path::Path, id: &str| {
        let keys = format!("[default]\naws_access_key_id={id}\naws_secret_access_key=s\n");
        std::fs::write(file, keys).expect("written");
    };
    write(&file, "OLD");
    let own = Arc::clone(&file);
    let server = Loopback::start(move |_, seen| {
        if seen.header("authorization").is_some_and(|it| it.contains("=OLD/")) {
            write(&own, "NEW");
            return refusal(403, "ExpiredTokenException");
        }
        ok(&json!({ "jobs": [{ "jobId": "j" }] }))
    });
    let home = home.path().to_str().expect("UTF-8");
    let access = AwsAccess::of_variables(&[("HOME", home)]);
    let api = open(&server, access, CallOptions::default());
    assert_eq!(api.describe_jobs(&["j"]).expect("with new keys").len(), 1);
    assert_eq!(paths(&server).len(), 2);
}

/// E47: the same keys may be taken after all; when the wait is over, the run ends with E602, exit 5.
#[test]
fn a_call_waits_for_credentials_no_longer_than_it_may() {
    let expired = |times: usize| {
        let left = Mutex::new(times);
        Loopback::start(move |_, _| {
            let mut left = left.lock().expect("no panic");
            if *left == 0 {
                return ok(&json!({ "jobs": [{ "jobId": "j" }] }));
            }
            *left -= 1;
            refusal(403, "ExpiredTokenException")
        })
    };
    let ask = |server: &Loopback, grace: Duration| {
        let options = CallOptions::default().with_credential_grace(grace);
        let api = open(server, AwsAccess::of_variables(&KEYS), options);
        let answer = api.describe_jobs(&["j"]).map(|jobs| jobs.len());
        (answer, api.pause())
    };
    let (answer, pause) = ask(&expired(1), Duration::from_secs(60));
    assert_eq!((answer.expect("taken after all"), pause), (1, None));
    let server = expired(usize::MAX);
    let (answer, _) = ask(&server, Duration::ZERO);
    let error = answer.expect_err("they have ended");
    assert_eq!(error.code().exit_code(), 5, "{error}");
    assert_eq!(paths(&server).len(), 1);
    let (answer, _) = ask(&expired(usize::MAX), Duration::from_millis(50));
    assert!(answer.is_err());
}

/// E28: three refusals, three ways out.
#[test]
fn refused_keys_have_their_own_mends() {
    let check = |code: &'static str, message: &'static str, says: &str| {
        let (_server, api) = stub(move |_, _| {
            let body = json!({ "message": message }).to_string().into_bytes();
            Answer { body, ..Answer::status(403) }.with("x-amzn-ErrorType", code)
        });
        let error = api.describe_jobs(&["j"]).expect_err("refused").to_string();
        assert!(error.contains("error[E602]") && error.contains(says), "{error}");
    };
    check("UnrecognizedClientException", "invalid", "does not know this access key");
    check("InvalidSignatureException", "does not match", "secret does not belong");
    check("InvalidSignatureException", "Signature expired: 2026", "clock of this machine");
}

/// D39, D26: pages are put together, as many as there are; a token that repeats ends them.
#[test]
fn pages_are_read_to_their_end() {
    let (server, api) = stub(|_, body| {
        let from: usize = body["nextToken"].as_str().map_or(0, |it| it.parse().expect("ours"));
        let jobs: Vec<Value> =
            (from..2500.min(from + 1000)).map(|n| json!({ "jobId": n.to_string() })).collect();
        let next = (from + 1000 < 2500).then(|| (from + 1000).to_string());
        ok(&json!({ "jobSummaryList": jobs, "nextToken": next }))
    });
    let listing = Listing::InState { queue: "q", state: "RUNNING" };
    assert_eq!(api.list_jobs(&listing, usize::MAX).expect("listed").len(), 2500);
    assert_eq!(api.list_jobs(&listing, 10).expect("listed").len(), 10);
    assert_eq!(paths(&server).len(), 4);
    let (_, api) =
        stub(|_, _| ok(&json!({ "jobDefinitions": [{ "revision": 1 }], "nextToken": "again" })));
    assert_eq!(api.definitions(Some("d"), true).expect("an end").len(), 2);
}

#[test]
fn no_more_than_a_hundred_jobs_are_described_at_once() {
    let (server, api) = stub(|_, body| {
        let ids = body["jobs"].as_array().expect("ids");
        assert!(ids.len() <= 100, "{} ids", ids.len());
        ok(&json!({ "jobs": ids.iter().map(|id| json!({ "jobId": id })).collect::<Vec<_>>() }))
    });
    let ids: Vec<String> = (0..250).map(|n| n.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(api.describe_jobs(&ids).expect("described").len(), 250);
    assert_eq!(paths(&server).len(), 3);
}

/// D44: both calls, for any state; an older service is asked one by one.
#[test]
fn jobs_are_cancelled_and_terminated() {
    let (server, api) = stub(|_, body| ok(&json!({ "successful": body["jobs"], "errors": [] })));
    let ids: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    api.stop(&ids, "r").expect("stopped");
    let both = ["/v1/canceljobs"; 2].into_iter().chain(["/v1/terminatejobs"; 2]);
    assert_eq!(paths(&server), both.collect::<Vec<_>>());
    let (server, api) = stub(|seen, _| match seen.target.as_str() {
        "/v1/canceljobs" | "/v1/terminatejobs" => Answer::status(404),
        _ => ok(&json!({})),
    });
    api.stop(&["a", "b"], "r").expect("stopped");
    let (cancel, terminate) = (["/v1/canceljob"; 2], ["/v1/terminatejob"; 2]);
    let bulk = (["/v1/canceljobs"], ["/v1/terminatejobs"]);
    assert_eq!(paths(&server), [&bulk.0[..], &cancel, &bulk.1, &terminate].concat());
    // What one bulk call leaves is asked for by itself; to cancel need not be allowed.
    let (server, api) = stub(|seen, _| match seen.target.as_str() {
        "/v1/canceljobs" => refusal(403, "AccessDeniedException"),
        "/v1/terminatejobs" => {
            let left = json!([{ "job": "b", "code": "ThrottlingException", "message": "m" }]);
            ok(&json!({ "successful": ["a"], "errors": left }))
        }
        _ => ok(&json!({})),
    });
    api.stop(&["a", "b"], "r").expect("stopped");
    assert_eq!(server.seen().last().expect("requests").body, r#"{"jobId":"b","reason":"r"}"#);
}

/// D47, D48: 25 000 lines over pages, until a token leads to itself.
#[test]
fn logs_are_read_to_their_end() {
    let (server, api) = stub(|seen, body| {
        assert_eq!(seen.header("x-amz-target"), Some("Logs_20140328.GetLogEvents"));
        let token = body["nextToken"].as_str().map(str::to_owned);
        let at: usize = token.as_deref().map_or(0, |it| it[2..].parse().expect("ours"));
        let to = 25_000.min(at + 10_000);
        let event = |n: usize| json!({ "timestamp": n, "message": format!("line {n}"), "ingestionTime": n + 1 });
        ok(&json!({
            "events": (at..to).map(event).collect::<Vec<_>>(),
            "nextForwardToken": format!("f/{to}"),
            "nextBackwardToken": format!("b/{at}"),
        }))
    });
    let place = LogPlace { group: DEFAULT_LOG_GROUP.to_owned(), stream: "s".to_owned() };
    let mut lines = Vec::new();
    let is_there = api.read_log(&place, |line| {
        lines.push(line);
        Ok(())
    });
    assert!(is_there.expect("read"));
    assert_eq!((lines.len(), paths(&server).len()), (25_000, 4));
    let last = log_json(lines.last().expect("lines"));
    assert_eq!(
        last,
        json!({"message": "line 24999", "timestamp": 24_999, "ingestion_time": 25_000})
    );
}

/// D76: a stream that never came is no error; a group that is not there names the default.
#[test]
fn missing_logs_are_told_apart() {
    let missing = |what: &'static str| {
        move |_: &Seen, _: &Value| {
            let message = format!("The specified log {what} does not exist.");
            let body = json!({ "__type": "ResourceNotFoundException", "message": message });
            Answer { body: body.to_string().into_bytes(), ..Answer::status(400) }
        }
    };
    let place = LogPlace { group: "/mine".to_owned(), stream: "s".to_owned() };
    let (_, api) = stub(missing("stream"));
    assert!(!api.read_log(&place, |_| Ok(())).expect("nobody has written"));
    assert_eq!(api.last_lines(&place, 5).expect("nobody has written"), []);
    let (_, api) = stub(missing("group"));
    let error = api.last_lines(&place, 5).expect_err("no group").to_string();
    assert!(error.contains("no log group `/mine`") && error.contains("/aws/batch/job"), "{error}");
}

/// D16, D19, E07: what is there is used; nothing is registered unless that was asked for.
#[test]
fn definitions_are_found_or_registered_once() {
    let known = Arc::new(Mutex::new(Vec::<Value>::new()));
    let own = Arc::clone(&known);
    let (server, api) = stub(move |seen, body| {
        let mut known = own.lock().expect("no panic");
        if seen.target == "/v1/registerjobdefinition" {
            let mut new = body.clone();
            new["revision"] = (known.len() + 1).into();
            new["status"] = "ACTIVE".into();
            known.push(new.clone());
            return ok(&new);
        }
        ok(&json!({ "jobDefinitions": *known }))
    });
    let registered =
        |server: &Loopback| paths(server).iter().filter(|it| it.contains("register")).count();
    let mut settings = BatchSettings {
        image: Some("a".to_owned()),
        queue: vec!["q".to_owned()],
        ..BatchSettings::default()
    };
    let error = definition::definition_of(&settings, &api).expect_err("none is there").to_string();
    assert!(error.contains("levain batch jobdef ensure"), "{error}");
    assert_eq!(registered(&server), 0);
    let wanted = |settings: &BatchSettings| {
        DefinitionRequest::new(settings, Some("levain")).expect("a request").ensure(&api)
    };
    let first = wanted(&settings).expect("registered");
    assert!(matches!(first, Ensured::Registered(_, differences) if differences.is_empty()));
    assert!(matches!(wanted(&settings).expect("found"), Ensured::Found(_)));
    assert_eq!(registered(&server), 1);
    settings.image = Some("b".to_owned());
    let Ensured::Registered(found, differences) = wanted(&settings).expect("registered") else {
        panic!("another image is another revision");
    };
    assert_eq!(whole_name(&found.value), "levain:2");
    assert_eq!(differences, [("image".to_owned(), "a".to_owned(), "b".to_owned())]);
    // D11: one that is named is used without being looked at.
    let named = BatchSettings { job_definition: Some("mine:7".to_owned()), ..settings };
    let before = paths(&server).len();
    assert_eq!(definition::definition_of(&named, &api).expect("named"), "mine:7");
    assert_eq!(paths(&server).len(), before);
}

#[test]
fn nothing_is_waited_for_by_what_was_cancelled() {
    let server = Loopback::start(|_, _| refusal(429, "TooManyRequestsException"));
    let options = CallOptions::default().of_run();
    let cancel = options.cancel.clone();
    let api = open(&server, AwsAccess::of_variables(&KEYS), options);
    let asking = std::thread::spawn(move || api.describe_jobs(&["j"]).map(|_| ()));
    server.wait_for_in_flight(1);
    cancel.cancel();
    let error = asking.join().expect("no panic").expect_err("cancelled");
    assert_eq!(error.kind(), dataflow::error::ErrorKind::Cancelled);
}
