use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::loopback::listen::listen;
use crate::loopback::message::{Framing, Head, read_body};
use crate::proxy::Proxy;

/// A server that keeps what is put, and gives it back; with the heads that it has seen.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    bodies: BTreeMap<String, Vec<u8>>,
    heads: Vec<Head>,
}

impl Store {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let Some(head) = Head::read(&mut reader)? else { return Ok(()) };
        let mut body = Vec::new();
        read_body(&mut reader, head.request_framing()?, |piece| body.write_all(piece))?;
        let (method, target) = head.request();
        let mut kept = self.0.lock().expect("a lock");
        let found = match method {
            "PUT" => {
                kept.bodies.insert(target.to_owned(), body);
                Vec::new()
            }
            _ => kept.bodies.get(target).cloned().unwrap_or_default(),
        };
        let is_chunked = target.contains("chunked");
        kept.heads.push(head.clone());
        let framing = if is_chunked {
            "transfer-encoding: chunked".to_owned()
        } else {
            format!("content-length: {}", found.len())
        };
        write!(stream, "HTTP/1.1 200 OK\r\n{framing}\r\netag: \"e\"\r\n\r\n")?;
        match method {
            "HEAD" => Ok(()),
            _ if is_chunked => {
                for piece in found.chunks(3) {
                    write!(stream, "{:x}\r\n", piece.len())?;
                    stream.write_all(piece)?;
                    write!(stream, "\r\n")?;
                }
                write!(stream, "0\r\n\r\n")
            }
            _ => stream.write_all(&found),
        }
    }

    fn has(&self, target: &str) -> bool {
        self.0.lock().expect("a lock").bodies.contains_key(target)
    }
}

/// A proxy with rules, in front of a store.
struct Faults {
    store: Store,
    address: SocketAddr,
}

/// A status, and as much of the body as came; nothing if the connection was closed.
type Got = Option<(u16, String)>;

impl Faults {
    fn start(seed: u64, rules: &Value) -> Self {
        let store = Store::default();
        let own = store.clone();
        let upstream = listen(0, move |stream| own.serve(stream)).expect("a port");
        let proxy = Proxy::new(&format!("http://{upstream}"), seed, &[]).expect("an address");
        let address = listen(0, move |stream| proxy.serve(stream)).expect("a port");
        let faults = Self { store, address };
        let body = json!({"rules": rules}).to_string();
        let got = faults.send("POST", "/_faults/rules", &[], &body);
        assert_eq!(got.map(|(status, _)| status), Some(200));
        faults
    }

    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Got {
        let mut stream = BufReader::new(TcpStream::connect(self.address).expect("it listens"));
        exchange(&mut stream, method, target, headers, body)
    }

    fn put(&self, target: &str) -> Got {
        self.send("PUT", target, &[("if-none-match", "*")], "body")
    }

    fn get(&self, target: &str) -> Got {
        self.send("GET", target, &[], "")
    }

    fn state(&self) -> Value {
        let (_, text) = self.get("/_faults/state").expect("an answer");
        serde_json::from_str(&text).expect("JSON")
    }
}

fn exchange(
    stream: &mut BufReader<TcpStream>,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Got {
    let length = body.len().to_string();
    let own = [("host", "bucket.example:1"), ("content-length", length.as_str())];
    let headers = own.iter().chain(headers);
    let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let start = format!("{method} {target} HTTP/1.1");
    Head { start, headers: headers.collect() }.write(stream.get_mut()).expect("a socket");
    stream.get_mut().write_all(body.as_bytes()).ok()?;
    let head = Head::read(stream).ok()??;
    let status = head.start.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
    let mut body = Vec::new();
    if method != "HEAD" {
        let framing = head.framing().expect("a framing");
        // What came before the connection was closed counts, too.
        match framing {
            Framing::Length(length) => {
                stream.take(length).read_to_end(&mut body).expect("a socket");
            }
            framing => drop(read_body(stream, framing, |piece| body.write_all(piece))),
        }
    }
    Some((status, String::from_utf8(body).expect("text")))
}

#[test]
fn what_no_rule_meets_goes_through_as_it_is() {
    let faults = Faults::start(0, &json!([]));
    assert_eq!(faults.put("/b/k"), Some((200, String::new())));
    assert_eq!(faults.get("/b/k"), Some((200, "body".to_owned())));
    assert_eq!(faults.send("HEAD", "/b/k", &[], ""), Some((200, String::new())));
    assert_eq!(faults.send("PUT", "/b/chunked", &[], "abcdefgh"), Some((200, String::new())));
    assert_eq!(faults.get("/b/chunked"), Some((200, "abcdefgh".to_owned())));
    let kept = faults.store.0.lock().expect("a lock");
    for head in &kept.heads {
        assert_eq!(head.header("host"), Some("bucket.example:1"), "a signature covers it");
    }
    assert_eq!(kept.heads[0].header("if-none-match"), Some("*"));
    drop(kept);
    let state = faults.state();
    let want = json!({"requests": 2, "forwarded": 2, "sentBytes": 12, "receivedBytes": 0});
    assert_eq!(state["operations"]["PutObject"], want);
    assert_eq!(state["operations"]["GetObject"]["receivedBytes"], 12);
}

#[track_caller]
fn check(mode: &str, want: Option<(u16, &str)>, is_done: bool) {
    let faults = Faults::start(0, &json!([{"mode": mode, "op": "PutObject", "times": 1}]));
    let got = faults.put("/b/k");
    assert_eq!(got.as_ref().map(|(status, _)| *status), want.map(|(status, _)| status));
    if let (Some((_, body)), Some((_, code))) = (&got, want) {
        assert!(body.contains(&format!("<Code>{code}</Code>")), "{body}");
    }
    assert_eq!(faults.store.has("/b/k"), is_done);
    assert_eq!(
        faults.put("/b/k"),
        Some((200, String::new())),
        "a rule applies as often as it says"
    );
    assert_eq!(faults.state()["faults"][mode], 1);
}

#[test]
fn each_mode_does_what_it_is_called() {
    check("after500", Some((500, "InternalError")), true);
    check("drop_after", None, true);
    check("drop_before", None, false);
    check("before500", Some((500, "InternalError")), false);
    check("conflict409", Some((409, "ConditionalRequestConflict")), false);
    check("slow_down", Some((503, "SlowDown")), false);
    check("expired_token", Some((400, "ExpiredToken")), false);
}

#[test]
fn a_stale_answer_is_the_one_before_once() {
    let rule = json!({"mode": "stale", "key": "k", "times_per_key": 1});
    let faults = Faults::start(0, &json!([rule]));
    faults.put("/b/k");
    let (status, body) = faults.get("/b/k").expect("an answer");
    assert!((status, body.contains("NoSuchKey")) == (404, true), "{status} {body}");
    assert_eq!(faults.get("/b/k"), Some((200, "body".to_owned())));
    faults.send("POST", "/_faults/rules", &[], &json!({ "rules": [rule] }).to_string());
    faults.send("PUT", "/b/k", &[], "another");
    let got = [faults.get("/b/k"), faults.get("/b/k")];
    assert_eq!(got, ["body", "another"].map(|body| Some((200, body.to_owned()))));
}

#[test]
fn keys_that_have_ended_are_refused_and_others_are_not() {
    let rule = json!({"mode": "expired_token", "unless_access_key": "NEW"});
    let faults = Faults::start(0, &json!([rule]));
    let put = |key: &str| {
        let signed =
            format!("AWS4-HMAC-SHA256 Credential={key}/20261127/us-east-1/s3/aws4_request");
        faults.send("PUT", "/b/k", &[("authorization", &signed)], "body").map(|(status, _)| status)
    };
    assert_eq!([put("OLD"), put("NEW")], [Some(400), Some(200)]);
}

#[test]
fn a_connection_is_used_again_after_a_refusal() {
    let faults = Faults::start(0, &json!([{"mode": "slow_down", "times": 1}]));
    let mut stream = BufReader::new(TcpStream::connect(faults.address).expect("it listens"));
    let mut put = || exchange(&mut stream, "PUT", "/b/k", &[], "body").map(|(status, _)| status);
    assert_eq!([put(), put()], [Some(503), Some(200)]);
}

#[test]
fn a_body_that_is_cut_is_shorter_than_it_says() {
    let rules = json!([{"mode": "truncate", "method": "GET", "times": 2}]);
    let faults = Faults::start(0, &rules);
    let long = "x".repeat(300_000);
    faults.send("PUT", "/b/k", &[], &long);
    let (status, body) = faults.get("/b/k").expect("an answer");
    assert_eq!(status, 200);
    assert!(!body.is_empty() && body.len() < long.len(), "{}", body.len());
    faults.send("PUT", "/b/chunked", &[], &long);
    assert_ne!(faults.get("/b/chunked"), Some((200, long.clone())));
    assert_eq!(faults.get("/b/k"), Some((200, long)));
}

#[test]
fn latencies_add_up() {
    let rules = json!([{"mode": "latency", "delay_s": 0.2}, {"mode": "latency", "delay_s": 0.1, "jitter_s": 0.001}]);
    let faults = Faults::start(0, &rules);
    let begin = std::time::Instant::now();
    assert_eq!(faults.get("/b/k"), Some((200, String::new())));
    assert!(begin.elapsed().as_millis() >= 300, "{:?}", begin.elapsed());
}

#[test]
fn rules_choose_by_operation_key_and_condition() {
    let rules = json!([
        {"mode": "conflict409", "create": true, "key": "*/c/*", "times_per_key": 1},
        {"mode": "slow_down", "op": "List*", "burst": 2, "times": 3},
        {"mode": "before500", "op": "UploadPart"},
    ]);
    let faults = Faults::start(0, &rules);
    let status = |got: Got| got.map(|(status, _)| status);
    let put = |target: &str| status(faults.put(target));
    assert_eq!(
        [put("/b/r/c/1"), put("/b/r/c/1"), put("/b/r/c/2")],
        [Some(409), Some(200), Some(409)]
    );
    assert_eq!(put("/b/r/d/1"), Some(200));
    assert_eq!(
        status(faults.send("PUT", "/b/r/c/3", &[], "body")),
        Some(200),
        "without a condition"
    );
    let lists: Vec<_> = (0..4).map(|_| status(faults.get("/b?list-type=2"))).collect();
    assert_eq!(lists, [Some(503), Some(503), Some(503), Some(200)]);
    assert_eq!(put("/b/k?partNumber=1&uploadId=u"), Some(500));
    let state = faults.state();
    assert_eq!((&state["rules"][0]["met"], &state["rules"][0]["applied"]), (&json!(3), &json!(2)));
}

#[test]
fn chance_depends_on_the_seed_and_not_on_the_order() {
    let hits = |seed: u64, keys: &mut dyn Iterator<Item = u32>| {
        let faults = Faults::start(seed, &json!([{"mode": "slow_down", "probability": 0.3}]));
        let hit =
            |key: &u32| faults.put(&format!("/b/{key}")).is_some_and(|(status, _)| status == 503);
        let mut hits: Vec<u32> = keys.filter(hit).collect();
        hits.sort_unstable();
        hits
    };
    let (forth, back) = (hits(1, &mut (0..100)), hits(1, &mut (0..100).rev()));
    assert_eq!(forth, back);
    assert!((15..45).contains(&forth.len()), "{}", forth.len());
    assert_ne!(forth, hits(2, &mut (0..100)));
}

#[test]
fn rules_that_are_not_understood_are_refused() {
    let faults = Faults::start(0, &json!([]));
    let got = faults.send("POST", "/_faults/rules", &[], "{\"rules\": [{\"mode\": \"x\"}]}");
    assert!(got.is_some_and(|(status, text)| status == 400 && text.contains("unknown variant")));
}
