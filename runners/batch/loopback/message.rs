//! Heads and bodies of HTTP/1.1 messages, both of requests and of answers.

use std::io::{self, BufRead, Read, Write};

/// The longest line and the most lines of a head that are believed.
const LINE_BYTES: u64 = 64 << 10;
const LINES: usize = 256;
const PIECE_BYTES: usize = 64 << 10;

/// The first line of a message, and its headers in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    /// `METHOD TARGET HTTP/1.1` of a request, `HTTP/1.1 STATUS REASON` of an answer.
    pub(crate) start: String,
    /// Names as they were sent.
    pub(crate) headers: Vec<(String, String)>,
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After a chunk of length 0.
    Chunked,
    /// With the connection.
    Close,
}

impl Head {
    /// Reads a head; nothing if the connection has ended before it.
    pub(crate) fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(start) = line(stream)? else { return Ok(None) };
        let mut headers = Vec::new();
        loop {
            let line = line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                return Ok(Some(Self { start, headers }));
            }
            let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
            headers.push((name.to_owned(), value.trim().to_owned()));
            if headers.len() > LINES {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    /// The value of the first header of this name, in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The access key that a request to AWS was signed with.
    pub(crate) fn access_key(&self) -> Option<&str> {
        let (_, rest) = self.header("authorization")?.split_once("Credential=")?;
        rest.split('/').next()
    }

    /// The method of a request and its target, path and query.
    pub(crate) fn request(&self) -> (&str, &str) {
        let mut words = self.start.split(' ');
        (words.next().unwrap_or(""), words.next().unwrap_or(""))
    }

    /// Where the body ends that follows a request.
    pub(crate) fn request_framing(&self) -> io::Result<Framing> {
        match self.framing()? {
            Framing::Close => Ok(Framing::Length(0)),
            framing => Ok(framing),
        }
    }

    /// Where the body ends, by the headers alone.
    pub(crate) fn framing(&self) -> io::Result<Framing> {
        let coding = self.header("transfer-encoding").unwrap_or("");
        if coding.to_ascii_lowercase().contains("chunked") {
            return Ok(Framing::Chunked);
        }
        let Some(length) = self.header("content-length") else { return Ok(Framing::Close) };
        length.parse().map(Framing::Length).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Whether whoever sent this closes the connection afterwards.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
            || (self.start.contains("HTTP/1.0"))
    }

    /// Lets a client go on that waits for leave to send its body.
    pub(crate) fn welcome(&self, stream: &mut impl Write) -> io::Result<()> {
        if self.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        Ok(())
    }

    /// Writes the head.
    pub(crate) fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        stream.write_all(text.as_bytes())
    }
}

/// Reads a body to its end and gives its pieces, without their framing, to `take`.
pub(crate) fn read_body(
    stream: &mut impl BufRead,
    framing: Framing,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    match framing {
        Framing::Length(length) => read_piece(stream, length, &mut take),
        Framing::Close => loop {
            let piece = stream.fill_buf()?;
            let length = piece.len();
            if length == 0 {
                return Ok(());
            }
            take(piece)?;
            stream.consume(length);
        },
        Framing::Chunked => loop {
            let size = line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let size = size.split(';').next().unwrap_or("").trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            if size == 0 {
                // Trailers, of which there are none in practice, end with an empty line.
                while line(stream)?.is_some_and(|trailer| !trailer.is_empty()) {}
                return Ok(());
            }
            read_piece(stream, size, &mut take)?;
            line(stream)?;
        },
    }
}

fn read_piece(
    stream: &mut impl BufRead,
    length: u64,
    take: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut left = length;
    let mut piece = vec![0; PIECE_BYTES.min(usize::try_from(length).unwrap_or(PIECE_BYTES))];
    while left > 0 {
        let wanted = piece.len().min(usize::try_from(left).unwrap_or(piece.len()));
        let read_count = stream.read(&mut piece[..wanted])?;
        if read_count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        take(&piece[..read_count])?;
        left -= read_count as u64;
    }
    Ok(())
}

/// A line without its end; nothing at the end of the stream.
fn line(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if stream.take(LINE_BYTES).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.pop() != Some(b'\n') {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).map(Some).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, want: &str) {
        let mut stream = message.as_bytes();
        let head = Head::read(&mut stream).expect("a head").expect("a message");
        let mut body = Vec::new();
        let take = |piece: &[u8]| body.write_all(piece);
        read_body(&mut stream, head.framing().expect("a framing"), take).expect("a body");
        assert_eq!(String::from_utf8(body).expect("text"), want);
    }

    #[test]
    fn bodies_end_where_their_framing_says() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", "abc");
        check("HTTP/1.1 200 OK\r\n\r\nabcd", "abcd");
        check(
            "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\nd",
            "abc",
        );
    }

    #[test]
    fn a_body_that_stops_short_is_an_error() {
        let mut stream = "ab".as_bytes();
        assert!(read_body(&mut stream, Framing::Length(3), |_| Ok(())).is_err());
    }
}
