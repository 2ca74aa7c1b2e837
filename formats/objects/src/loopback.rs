//! A server on loopback for tests: it answers as a test says, and counts what it sees.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A request as the server has seen it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Its number, from zero.
    pub(crate) place: usize,
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    headers: BTreeMap<String, String>,
    /// What was sent, as text.
    pub(crate) body: String,
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Bytes of the body after which the connection breaks.
    pub(crate) breaks_after: Option<usize>,
}

#[derive(Debug, Default)]
struct Counts {
    seen: Vec<Seen>,
    in_flight: usize,
    most_in_flight: usize,
}

/// The server; its threads end with the process.
#[derive(Clone)]
pub(crate) struct Loopback {
    address: String,
    counts: Arc<(Mutex<Counts>, Condvar)>,
}

impl Loopback {
    pub(crate) fn start(answer: impl Fn(&Self, &Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let server = Self { address, counts: Arc::default() };
        let (own, answer) = (server.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (own, answer) = (own.clone(), Arc::clone(&answer));
                // A client that has gone needs no answer.
                std::thread::spawn(move || drop(own.serve(stream, answer.as_ref())));
            }
        });
        server
    }

    /// Host and port.
    pub(crate) fn host(&self) -> &str {
        &self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The requests that were seen so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.counts().seen.clone()
    }

    /// The most requests that were in flight at once.
    pub(crate) fn most_in_flight(&self) -> usize {
        self.counts().most_in_flight
    }

    /// Holds an answer back until so many requests are in flight, or for a while: what must not
    /// come is not waited for.
    pub(crate) fn wait_for_in_flight(&self, count: usize) {
        let (_, changed) = &*self.counts;
        let waited = changed.wait_timeout_while(self.counts(), Duration::from_millis(500), |it| {
            it.in_flight < count
        });
        drop(waited);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(
        &self,
        mut stream: TcpStream,
        answer: &(impl Fn(&Self, &Seen) -> Answer + ?Sized),
    ) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let lines = reader.by_ref().lines();
        let head: Vec<String> =
            lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let mut words = head.first().map_or("", String::as_str).split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let headers = head.iter().skip(1).filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        let headers: BTreeMap<String, String> = headers.collect();
        let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let seen = {
            let mut counts = self.counts();
            let seen = Seen {
                place: counts.seen.len(),
                method: method.to_owned(),
                target: target.to_owned(),
                headers,
                body: String::from_utf8_lossy(&body).into_owned(),
            };
            counts.seen.push(seen.clone());
            counts.in_flight += 1;
            counts.most_in_flight = counts.most_in_flight.max(counts.in_flight);
            seen
        };
        self.counts.1.notify_all();
        let answer = answer(self, &seen);
        let (status, length) = (answer.status, answer.body.len());
        write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n")?;
        for (name, value) in &answer.headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        // Before the last byte, after which the client may begin the next request.
        self.counts().in_flight -= 1;
        self.counts.1.notify_all();
        stream.write_all(b"\r\n")?;
        let body = &answer.body[..answer.breaks_after.unwrap_or(length).min(length)];
        if seen.method == "HEAD" { Ok(()) } else { stream.write_all(body) }
    }
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first byte that a range asks for, and the last one if it is named.
    pub(crate) fn range(&self) -> Option<(usize, Option<usize>)> {
        let (from, to) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((from.parse().ok()?, to.parse().ok()))
    }
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A file, or the range of it that was asked for.
    pub(crate) fn file(seen: &Seen, body: &[u8]) -> Self {
        match seen.range() {
            None => Self { body: body.to_vec(), ..Self::status(200) },
            Some((from, _)) if from >= body.len() => Self::status(416),
            Some((from, to)) => {
                let last = to.unwrap_or(usize::MAX).min(body.len() - 1);
                let range = format!("bytes {from}-{last}/{}", body.len());
                let part = Self { body: body[from..=last].to_vec(), ..Self::status(206) };
                part.with("Content-Range", range)
            }
        }
    }
}
