//! The service: requests in, answers out, and the thread that moves jobs on.

use std::io::{self, BufReader};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;
use crate::loopback::listen::listen;
use crate::loopback::message::{Head, read_body};
use crate::operations::{Called, find};
use crate::options::Options;
use crate::rules::Kind;
use crate::schedule::Scheduler;
use crate::world::World;
use crate::{control, identity, instance};

/// The longest body that is read.
const BODY_BYTES: usize = 4 << 20;

/// The emulator; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    world: OnceLock<Mutex<World>>,
    /// Told when a request may have given the scheduler something to do.
    changed: Condvar,
    has_ended: AtomicBool,
}

/// What goes back to a client.
enum Reply {
    Json {
        status: u16,
        kind: Option<&'static str>,
        body: Value,
    },
    Text {
        status: u16,
        kind: &'static str,
        body: String,
    },
    /// The connection is closed.
    Nothing,
}

impl Service {
    /// Begins to serve and to run jobs; the address.
    pub(crate) fn start(options: Options) -> io::Result<(Self, SocketAddr)> {
        let options = Arc::new(options);
        let inner = Inner {
            world: OnceLock::new(),
            changed: Condvar::new(),
            has_ended: AtomicBool::new(false),
        };
        let service = Self(Arc::new(inner));
        let own = service.clone();
        let address = listen(options.port, move |stream| own.serve(stream))?;
        let world = World::new(Arc::clone(&options), address.to_string());
        let world = world.map_err(|refusal| io::Error::other(refusal.message))?;
        drop(service.0.world.set(Mutex::new(world)));
        let own = service.clone();
        let tick = Duration::from_millis(options.tick_ms.max(1));
        std::thread::spawn(move || own.schedule(tick));
        Ok((service, address))
    }

    /// Kills all processes, and starts no more.
    pub(crate) fn end(&self) {
        let mut world = self.world();
        self.0.has_ended.store(true, Ordering::SeqCst);
        for job in world.jobs.all_mut() {
            job.run = None;
        }
    }

    fn schedule(&self, tick: Duration) {
        let mut scheduler = Scheduler::default();
        let mut world = self.world();
        while !self.0.has_ended.load(Ordering::SeqCst) {
            scheduler.tick(&mut world);
            let waited = self.0.changed.wait_timeout(world, tick);
            (world, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A request that comes in between listening and the world waits for it.
        self.0.world.wait().lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(head) = Head::read(&mut reader)? {
            head.welcome(&mut stream)?;
            let mut body = Vec::new();
            read_body(&mut reader, head.request_framing()?, |piece| {
                if body.len() + piece.len() > BODY_BYTES {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                body.extend_from_slice(piece);
                Ok(())
            })?;
            match self.reply(&head, &body) {
                Reply::Nothing => return stream.shutdown(Shutdown::Both),
                Reply::Json { status, kind, body } => {
                    let mut headers = vec![("content-type", "application/json")];
                    headers.extend(kind.map(|kind| ("x-amzn-ErrorType", kind)));
                    send(&mut stream, status, &headers, body.to_string().as_bytes())?;
                }
                Reply::Text { status, kind, body } => {
                    send(&mut stream, status, &[("content-type", kind)], body.as_bytes())?;
                }
            }
            if head.closes() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn reply(&self, head: &Head, body: &[u8]) -> Reply {
        let (method, target) = head.request();
        let path = target.split('?').next().unwrap_or(target);
        if path.starts_with("/_emu/imds/") {
            let text = instance::answer(&self.world(), path);
            let status = if text.is_some() { 200 } else { 404 };
            return Reply::Text { status, kind: "text/plain", body: text.unwrap_or_default() };
        }
        let is_query = identity::is_query(head);
        let fields = match if is_query { Ok(Map::new()) } else { parse(body) } {
            Ok(fields) => fields,
            Err(refusal) => return refused(&refusal, is_query),
        };
        let ask = Ask(&fields);
        if path.starts_with("/_emu/") {
            let answer = control::answer(&mut self.world(), path, ask);
            return replied(answer, is_query);
        }
        let found = if is_query {
            Ok((identity::NAME.to_owned(), Called::Query(body.to_vec())))
        } else {
            find(method, target, head.header("x-amz-target"))
        };
        let (name, operation) = match found {
            Ok(found) => found,
            Err(refusal) => {
                self.world().calls.entry("unknown".to_owned()).or_default().refused += 1;
                return refused(&refusal, is_query);
            }
        };
        let (answer, is_dropped) = self.call(&name, &operation, ask, head.access_key());
        let mut world = self.world();
        let call = world.calls.entry(name).or_default();
        match &answer {
            _ if is_dropped => call.dropped += 1,
            Ok(_) => call.answered += 1,
            Err(_) => call.refused += 1,
        }
        if is_dropped { Reply::Nothing } else { replied(answer, is_query) }
    }

    /// Does an operation as the faults allow; whether the connection is to be closed after it.
    fn call(
        &self,
        name: &str,
        operation: &Called,
        ask: Ask<'_>,
        access_key: Option<&str>,
    ) -> (Answer, bool) {
        let late = self.world().rules.on_operation(Kind::Latency, name);
        if let Some(rule) = late {
            wait(Duration::from_secs_f64(rule.delay_s.max(0.0)));
        }
        let mut world = self.world();
        if let Some(refusal) = fault(&mut world, name, access_key) {
            return (Err(refusal), false);
        }
        if world.rules.on_operation(Kind::DropBefore, name).is_some() {
            return (Ok(Value::Null), true);
        }
        if !world.take_token() {
            return (Err(throttled()), false);
        }
        let answer = match operation {
            Called::Operation(operation) => operation(&mut world, ask),
            Called::Tags(operation, arn) => operation(&mut world, arn, ask),
            Called::Query(query) => identity::answer(query).map(Value::String),
        };
        let is_dropped = world.rules.on_operation(Kind::DropAfter, name).is_some();
        drop(world);
        self.0.changed.notify_all();
        (answer, is_dropped)
    }
}

/// An answer as it goes back: of a query in XML, of all else in JSON.
fn replied(answer: Answer, is_query: bool) -> Reply {
    match answer {
        Ok(Value::String(body)) => Reply::Text { status: 200, kind: "text/xml", body },
        Ok(body) => Reply::Json { status: 200, kind: None, body },
        Err(refusal) => refused(&refusal, is_query),
    }
}

fn refused(refusal: &Refusal, is_query: bool) -> Reply {
    let Refusal { status, kind, message } = refusal;
    if is_query {
        return Reply::Text { status: *status, kind: "text/xml", body: identity::refused(refusal) };
    }
    let body = serde_json::json!({"message": message, "__type": kind});
    Reply::Json { status: *status, kind: Some(kind), body }
}

/// The error that a rule makes of an operation.
fn fault(world: &mut World, operation: &str, access_key: Option<&str>) -> Option<Refusal> {
    let expired = || {
        let message = "The security token included in the request is expired";
        Refusal::new(403, "ExpiredTokenException", message)
    };
    let denied = || {
        let message = format!("User is not authorized to perform: batch:{operation}");
        Refusal::new(403, "AccessDeniedException", message)
    };
    let failed = || Refusal::new(500, "ServerException", "Internal error");
    if world.rules.on_key(operation, access_key).is_some() {
        return Some(expired());
    }
    let mut rule = |kind| world.rules.on_operation(kind, operation).is_some();
    if rule(Kind::Denied) {
        Some(denied())
    } else if rule(Kind::Throttle) {
        Some(throttled())
    } else {
        rule(Kind::Server500).then(failed)
    }
}

fn throttled() -> Refusal {
    Refusal::new(429, "TooManyRequestsException", "Too Many Requests")
}

fn parse(body: &[u8]) -> Answer<Map<String, Value>> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body)
        .map_err(|error| Refusal::new(400, "SerializationException", format!("{error}")))
}

fn send(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<()> {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let length = ("content-length".to_owned(), body.len().to_string());
    let id = ("x-amzn-RequestId".to_owned(), "emulated".to_owned());
    let start = format!("HTTP/1.1 {status} {}", if status < 300 { "OK" } else { "Refused" });
    Head { start, headers: headers.chain([length, id]).collect() }.write(stream)?;
    io::Write::write_all(stream, body)
}

fn wait(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|it| !it.is_zero()) {
        std::thread::park_timeout(left);
    }
}
