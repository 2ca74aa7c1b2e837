//! Lists, logs and tags: page by page, and what they leave out.

use serde_json::{Value, json};

use super::client::Emulator;

fn names(answer: &Value) -> Vec<String> {
    let jobs = answer["jobSummaryList"].as_array().expect("a list").iter();
    jobs.map(|it| it["jobName"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_list_is_of_running_jobs_unless_it_says_otherwise() {
    let emulator = Emulator::start(&[]);
    let done = emulator.submit("done", &json!({}));
    let running = emulator.script("running", "sleep 30", &json!({}));
    emulator.ended(&done);
    emulator.status(&running, "RUNNING");
    let list = |more: Value| {
        let mut body = json!({"jobQueue": "q"});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        names(&emulator.must("ListJobs", &body))
    };
    assert_eq!(list(json!({})), ["running"]);
    assert_eq!(list(json!({"jobStatus": "SUCCEEDED"})), ["done"]);
    let by = |name: &str, value: &str| json!({"filters": [{"name": name, "values": [value]}]});
    assert_eq!(list(by("JOB_NAME", "DO*")), ["done"]);
    assert_eq!(list(by("JOB_NAME", "do")), [""; 0]);
    assert_eq!(list(by("JOB_DEFINITION", "jd")), ["running", "done"], "the newest first");
}

#[test]
fn long_lists_come_in_pages() {
    let emulator = Emulator::start(&["--slots", "1"]);
    emulator.faults(&json!([{"kind": "stuck"}]));
    let id = emulator.submit("array", &json!({"arrayProperties": {"size": 25}}));
    emulator.until(&id, |job| job["arrayProperties"]["statusSummary"]["RUNNABLE"] == 25);
    let mut token = Value::Null;
    let mut indexes = Vec::new();
    for want in [10, 10, 5] {
        let body = json!({"arrayJobId": id, "jobStatus": "RUNNABLE", "maxResults": 10, "nextToken": token});
        let page = emulator.must("ListJobs", &body);
        let jobs = page["jobSummaryList"].as_array().expect("a list");
        assert_eq!(jobs.len(), want);
        indexes.extend(jobs.iter().filter_map(|it| it["arrayProperties"]["index"].as_u64()));
        token = page["nextToken"].clone();
    }
    assert_eq!(token, Value::Null);
    assert_eq!(indexes, (0..25).collect::<Vec<_>>());
}

#[test]
fn logs_come_in_pages_and_end_with_the_same_token() {
    let emulator = Emulator::start(&[]);
    let job = emulator.ended(&emulator.script("log", "seq 1 25", &json!({})));
    let stream = job["container"]["logStreamName"].clone();
    emulator.until(job["jobId"].as_str().expect("an id"), |job| emulator.lines(job).len() == 25);
    let mut token = Value::Null;
    let mut seen = Vec::new();
    loop {
        let body = json!({"logStreamName": stream, "limit": 10, "startFromHead": true, "nextToken": token});
        let (_, page) = emulator.logs(&body).expect("an answer");
        let events = page["events"].as_array().expect("events");
        seen.extend(events.iter().filter_map(|it| it["message"].as_str()).map(str::to_owned));
        if page["nextForwardToken"] == token {
            break;
        }
        token = page["nextForwardToken"].clone();
    }
    assert_eq!(seen, (1..=25).map(|n| n.to_string()).collect::<Vec<_>>());
    let (_, last) =
        emulator.logs(&json!({"logStreamName": stream, "limit": 2})).expect("an answer");
    assert_eq!(last["events"][1]["message"], "25");
    let (status, answer) = emulator.logs(&json!({"logStreamName": "none"})).expect("an answer");
    assert_eq!((status, &answer["__type"]), (400, &json!("ResourceNotFoundException")));
}

#[test]
fn tags_are_kept_and_changed() {
    let emulator = Emulator::start(&[]);
    let id = emulator.submit("tagged", &json!({"tags": {"run": "1"}}));
    let path = format!("/v1/tags/arn%3Aaws%3Abatch%3Aus-east-1%3A123456789012%3Ajob%2F{id}");
    let send = |method: &str, query: &str, body: &str| {
        emulator.send(method, &format!("{path}{query}"), &[], body).expect("an answer")
    };
    assert_eq!(send("GET", "", ""), (200, json!({"tags": {"run": "1"}})));
    assert_eq!(send("POST", "", "{\"tags\": {\"a b\": \"2\"}}").0, 200);
    assert_eq!(send("DELETE", "?tagKeys=run", "").0, 200);
    assert_eq!(send("GET", "", ""), (200, json!({"tags": {"a b": "2"}})));
    assert_eq!(emulator.job(&id)["tags"], json!({"a b": "2"}));
}
