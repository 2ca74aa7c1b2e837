//! The proxy: a request goes to the server and its answer back, unless a rule says otherwise.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::control::State;
use crate::loopback::message::{Framing, Head, read_body};
use crate::operation::Operation;
use crate::past::{Answer, is_question};
use crate::rules::{Mode, Refusal, Rule, Rules};

/// The longest body that the control plane reads.
const CONTROL_BYTES: usize = 1 << 20;

/// Headers between two neighbours; each connection has its own.
const OWN_HEADERS: [&str; 4] = ["connection", "keep-alive", "expect", "proxy-connection"];

/// The proxy; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    /// Host and port of the server.
    upstream: String,
    state: Arc<Mutex<State>>,
}

/// Whether a connection to a client goes on after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Goes,
    Ends,
}

impl Proxy {
    pub(crate) fn new(upstream: &str, seed: u64, rules: &[String]) -> io::Result<Self> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        let Some(host) = upstream.strip_prefix("http://") else {
            return Err(invalid(format!("{upstream} does not begin with http://")));
        };
        let parse = |text: &String| {
            serde_json::from_str(text).map_err(|error| invalid(format!("rule {text}: {error}")))
        };
        let rules: Vec<Rule> = rules.iter().map(parse).collect::<io::Result<_>>()?;
        let state = Arc::new(Mutex::new(State::new(Rules::new(seed, rules))));
        Ok(Self { upstream: host.trim_end_matches('/').to_owned(), state })
    }

    /// Serves a client until it goes, or until a rule closes the connection.
    pub(crate) fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        while let Some(head) = Head::read(&mut reader)? {
            head.welcome(&mut client)?;
            let path = head.request().1.to_owned();
            let then = if path.starts_with("/_faults/") {
                self.control(&path, &head, &mut reader, &mut client)?
            } else {
                self.pass(&head, &mut reader, &mut client)?
            };
            if then == Then::Ends || head.closes() {
                return client.shutdown(Shutdown::Both);
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn control(
        &self,
        path: &str,
        head: &Head,
        reader: &mut BufReader<TcpStream>,
        client: &mut TcpStream,
    ) -> io::Result<Then> {
        let mut body = Vec::new();
        read_body(reader, head.request_framing()?, |piece| {
            if body.len() + piece.len() > CONTROL_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
            body.extend_from_slice(piece);
            Ok(())
        })?;
        let (status, answer): (u16, Value) = self.state().answer(path, &body);
        answer_with(client, status, "application/json", answer.to_string().as_bytes())?;
        Ok(Then::Goes)
    }

    /// Does with a request what its fate is.
    fn pass(
        &self,
        head: &Head,
        reader: &mut BufReader<TcpStream>,
        client: &mut TcpStream,
    ) -> io::Result<Then> {
        let operation = Operation::of(head);
        let fate = self.state().fate(&operation);
        wait(Duration::from_secs_f64(fate.delay_s));
        if let Some(refusal) = &fate.refusal {
            read_body(reader, head.request_framing()?, |_| Ok(()))?;
            tell(client, refusal, operation.method == "HEAD")?;
            return Ok(Then::Goes);
        }
        match fate.mode {
            Some(Mode::DropBefore) => return Ok(Then::Ends),
            Some(mode) if refusal(mode).is_some_and(|(is_after, ..)| !is_after) => {
                read_body(reader, head.request_framing()?, |_| Ok(()))?;
                refuse(client, mode)?;
                return Ok(Then::Goes);
            }
            Some(Mode::Stale) if is_question(&operation) => {
                let past = self.state().past.of(head);
                // A list that nobody has asked for before has no past that is known.
                if past.is_some() || !operation.key.is_empty() {
                    read_body(reader, head.request_framing()?, |_| Ok(()))?;
                    return show_past(client, past, operation.method == "HEAD");
                }
            }
            _ => {}
        }
        let (mut server, answer, sent) = self.ask(head, reader)?;
        let has_body = operation.method != "HEAD"
            && ![" 204", " 304"].iter().any(|status| answer.start.contains(status));
        let framing = if has_body { answer.framing()? } else { Framing::Length(0) };
        match fate.mode {
            Some(mode @ (Mode::After500 | Mode::DropAfter)) => {
                // Only what the server has answered whole is done beyond doubt.
                let mut received = 0;
                read_body(&mut server, framing, |piece| {
                    received += piece.len() as u64;
                    Ok(())
                })?;
                self.state().forwarded(&operation, sent, received);
                if mode == Mode::DropAfter {
                    return Ok(Then::Ends);
                }
                refuse(client, mode)?;
                Ok(Then::Goes)
            }
            None | Some(Mode::Stale) if is_question(&operation) && self.state().remembers() => {
                let answer = Answer::read(forwarded(&answer), framing, &mut server)?;
                // Kept and counted first: whoever has an answer may ask for both at once.
                let mut state = self.state();
                state.forwarded(&operation, sent, answer.bytes());
                state.past.keep(head, answer.clone());
                drop(state);
                answer.write(client, operation.method == "HEAD")?;
                Ok(Then::Goes)
            }
            mode => {
                let is_cut = mode == Some(Mode::Truncate);
                self.pass_back((&operation, sent), (&answer, framing, is_cut), &mut server, client)
            }
        }
    }

    /// Passes an answer back, and counts it: before, where its length is known, since whoever has it may ask
    /// for the counts at once.
    fn pass_back(
        &self,
        (operation, sent): (&Operation, u64),
        (answer, framing, is_cut): (&Head, Framing, bool),
        server: &mut BufReader<TcpStream>,
        client: &mut TcpStream,
    ) -> io::Result<Then> {
        let known = match framing {
            Framing::Length(length) if !is_cut => Some(length),
            _ => None,
        };
        if let Some(length) = known {
            self.state().forwarded(operation, sent, length);
        }
        let (received, then) = answer_on(answer, framing, is_cut, server, client)?;
        if known.is_none() {
            self.state().forwarded(operation, sent, received);
        }
        Ok(then)
    }

    /// Passes a request on: the server, the head of its answer, and the bytes that were sent.
    fn ask(
        &self,
        head: &Head,
        reader: &mut BufReader<TcpStream>,
    ) -> io::Result<(BufReader<TcpStream>, Head, u64)> {
        let mut sent = 0;
        let mut server = TcpStream::connect(&self.upstream)?;
        server.set_nodelay(true)?;
        forwarded(head).write(&mut server)?;
        let framing = head.request_framing()?;
        copy(reader, &mut server, framing, &mut |length| {
            sent += length;
            true
        })?;
        let mut server = BufReader::new(server);
        let mut answer = Head::read(&mut server)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        // A server that saw `Expect` may say 100 first, although it was not passed on.
        while answer.start.contains(" 100 ") {
            answer = Head::read(&mut server)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        Ok((server, answer, sent))
    }
}

/// Tells what was answered before, or that nothing was there.
fn show_past(client: &mut TcpStream, past: Option<Answer>, is_head: bool) -> io::Result<Then> {
    match past {
        Some(past) => past.write(client, is_head)?,
        None if is_head => answer_with(client, 404, "application/xml", b"")?,
        None => answer_with(client, 404, "application/xml", &error_body("NoSuchKey"))?,
    }
    Ok(Then::Goes)
}

/// Passes an answer on, half of its body if it is cut; the bytes that were passed on.
fn answer_on(
    answer: &Head,
    framing: Framing,
    is_cut: bool,
    server: &mut BufReader<TcpStream>,
    client: &mut TcpStream,
) -> io::Result<(u64, Then)> {
    forwarded(answer).write(client)?;
    let limit = match framing {
        Framing::Length(length) if is_cut => length / 2,
        _ if is_cut => 0,
        _ => u64::MAX,
    };
    let mut received = 0;
    copy(server, client, framing, &mut |length| {
        received += length;
        received <= limit
    })?;
    // Only the end of the connection tells where such a body ends.
    let ends = framing == Framing::Close || received > limit;
    Ok((received, if ends { Then::Ends } else { Then::Goes }))
}

/// The message as it goes on: all but what is between two neighbours.
fn forwarded(head: &Head) -> Head {
    let is_own = |name: &String| OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own));
    let mut headers: Vec<_> =
        head.headers.iter().filter(|(name, _)| !is_own(name)).cloned().collect();
    let is_request = !head.start.starts_with("HTTP/");
    if is_request {
        // The server is asked once a connection: one that it has closed meanwhile looks like a fault.
        headers.push(("connection".to_owned(), "close".to_owned()));
    }
    let start = head.start.replacen("HTTP/1.0", "HTTP/1.1", 1);
    Head { start, headers }
}

/// Copies a body with its framing as long as `goes_on`, which is told the length of each piece.
fn copy(
    from: &mut BufReader<TcpStream>,
    to: &mut TcpStream,
    framing: Framing,
    goes_on: &mut dyn FnMut(u64) -> bool,
) -> io::Result<()> {
    let mut is_cut = false;
    read_body(from, framing, |piece| {
        if is_cut {
            return Ok(());
        }
        is_cut = !goes_on(piece.len() as u64);
        let piece = if is_cut { &piece[..piece.len() / 2] } else { piece };
        if framing == Framing::Chunked {
            write!(to, "{:x}\r\n", piece.len())?;
            to.write_all(piece)?;
            return to.write_all(b"\r\n");
        }
        to.write_all(piece)
    })?;
    if framing == Framing::Chunked && !is_cut { to.write_all(b"0\r\n\r\n") } else { Ok(()) }
}

/// Whether the server hears of a request that is refused so, the status, and the code of S3.
fn refusal(mode: Mode) -> Option<(bool, u16, &'static str)> {
    match mode {
        Mode::After500 => Some((true, 500, "InternalError")),
        Mode::Before500 => Some((false, 500, "InternalError")),
        Mode::Conflict409 => Some((false, 409, "ConditionalRequestConflict")),
        Mode::SlowDown => Some((false, 503, "SlowDown")),
        Mode::ExpiredToken => Some((false, 400, "ExpiredToken")),
        Mode::DropAfter | Mode::DropBefore | Mode::Truncate | Mode::Stale => None,
        Mode::Latency | Mode::Refuse => None,
    }
}

fn refuse(client: &mut TcpStream, mode: Mode) -> io::Result<()> {
    let Some((_, status, code)) = refusal(mode) else { return Ok(()) };
    answer_with(client, status, "application/xml", &error_body(code))
}

/// An error of S3.
fn error_body(code: &str) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>made by a \
         rule</Message><RequestId>0</RequestId></Error>"
    );
    body.into_bytes()
}

/// Tells what a rule says.
fn tell(client: &mut TcpStream, refusal: &Refusal, is_head: bool) -> io::Result<()> {
    let Refusal { status, code, region } = refusal;
    let body = format!("<Error><Code>{code}</Code><Message>made by a rule</Message></Error>");
    let body = if is_head { "" } else { body.as_str() };
    let mut headers = vec![
        ("content-type".to_owned(), "application/xml".to_owned()),
        ("content-length".to_owned(), body.len().to_string()),
    ];
    headers.extend(region.iter().map(|it| ("x-amz-bucket-region".to_owned(), it.clone())));
    Head { start: format!("HTTP/1.1 {status} Refused"), headers }.write(client)?;
    client.write_all(body.as_bytes())
}

fn answer_with(client: &mut TcpStream, status: u16, kind: &str, body: &[u8]) -> io::Result<()> {
    let headers = [("content-type", kind), ("content-length", &body.len().to_string())];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let start = format!("HTTP/1.1 {status} {}", if status < 300 { "OK" } else { "Refused" });
    Head { start, headers: headers.to_vec() }.write(client)?;
    client.write_all(body)
}

fn wait(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|it| !it.is_zero()) {
        std::thread::park_timeout(left);
    }
}
