//! What was answered before, for a store that shows its past once more.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write as _};
use std::net::TcpStream;

use crate::loopback::message::{Framing, Head, read_body};
use crate::operation::Operation;

/// Longer answers are not remembered.
const BODY_BYTES: usize = 1 << 20;
/// Answers that are remembered at the most.
const ANSWERS: usize = 100_000;

/// An answer, whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    head: Head,
    body: Vec<u8>,
}

/// The last answer to each request that changes nothing.
#[derive(Debug, Default)]
pub(crate) struct Past(BTreeMap<String, Answer>);

impl Past {
    /// What a request was answered the last time; nothing if it was not made before.
    pub(crate) fn of(&self, request: &Head) -> Option<Answer> {
        self.0.get(&name_of(request)).cloned()
    }

    /// Remembers an answer.
    pub(crate) fn keep(&mut self, request: &Head, answer: Answer) {
        if answer.body.len() <= BODY_BYTES && self.0.len() < ANSWERS {
            self.0.insert(name_of(request), answer);
        }
    }
}

/// Whether a request asks for something and changes nothing.
pub(crate) fn is_question(operation: &Operation) -> bool {
    matches!(operation.method.as_str(), "GET" | "HEAD")
}

impl Answer {
    /// Reads the body that follows a head.
    pub(crate) fn read(
        head: Head,
        framing: Framing,
        stream: &mut BufReader<TcpStream>,
    ) -> io::Result<Self> {
        let mut body = Vec::new();
        read_body(stream, framing, |piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(Self { head, body })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// Sends it, with the length of its body where there is one: the answer to HEAD has that of another.
    pub(crate) fn write(&self, client: &mut TcpStream, is_head: bool) -> io::Result<()> {
        let mut head = self.head.clone();
        if !is_head {
            let is_framing = |name: &str| {
                ["content-length", "transfer-encoding"]
                    .iter()
                    .any(|it| name.eq_ignore_ascii_case(it))
            };
            head.headers.retain(|(name, _)| !is_framing(name));
            head.headers.push(("content-length".to_owned(), self.body.len().to_string()));
        }
        head.write(client)?;
        client.write_all(&self.body)
    }
}

/// What tells a request from others: headers but for its range do not matter.
fn name_of(request: &Head) -> String {
    let (method, target) = request.request();
    format!("{method} {target} {}", request.header("range").unwrap_or_default())
}
