//! A remote file is read by ranges: headers when it is opened, a message when it is wanted.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use array::{DatasetSource, Region};
use grib::GribFile;
use objects::{Location, ObjectFile, StoreOptions};

use super::samples::{Message, PLAIN};

/// Serves bytes on loopback; its address, and the bytes that were sent.
fn serve(bytes: Vec<u8>) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let (sent, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(bytes));
    let counter = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (bytes, counter) = (Arc::clone(&bytes), Arc::clone(&counter));
            // A client that has gone needs no answer.
            std::thread::spawn(move || drop(answer(stream, &bytes, &counter)));
        }
    });
    (format!("http://{address}/many.grib"), sent)
}

fn answer(mut stream: TcpStream, bytes: &[u8], sent: &AtomicU64) -> std::io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines();
    let head: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let range = head.iter().find_map(|line| {
        let line = line.to_ascii_lowercase();
        let (from, to) = line.strip_prefix("range: bytes=")?.split_once('-')?;
        Some(from.parse::<usize>().ok()?..to.parse::<usize>().ok()? + 1)
    });
    let length = bytes.len();
    let (status, body, extra) = match range {
        Some(range) => {
            let extra =
                format!("Content-Range: bytes {}-{}/{length}\r\n", range.start, range.end - 1);
            ("206 Partial Content", &bytes[range], extra)
        }
        None => ("200 OK", bytes, String::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\
         Last-Modified: Tue, 01 Oct 2024 00:00:00 GMT\r\n{extra}\r\n",
        body.len()
    )?;
    if head.first().is_some_and(|line| line.starts_with("HEAD")) {
        return Ok(());
    }
    sent.fetch_add(body.len() as u64, Ordering::Relaxed);
    stream.write_all(body)
}

#[test]
fn only_headers_are_read_and_then_only_the_message_that_is_wanted() {
    let message = |step| Message { step, size: [400, 400], base: 0, ..PLAIN };
    let messages: Vec<Vec<u8>> = (0..20).map(|step| message(step).edition_2()).collect();
    let message_bytes = messages[0].len() as u64;
    let (url, sent) = serve(messages.concat());
    let location = Location::parse(&url).expect("an address");
    let file = ObjectFile::open(&location, &StoreOptions::default()).expect("it is served");
    let file = GribFile::open(file).expect("twenty messages");
    assert_eq!(file.field_count(), 20);
    let opened = sent.swap(0, Ordering::Relaxed);
    // A block for each message that is too long to read over, the first of each but a little.
    assert!(opened < 22 * (16 << 10), "{opened} bytes to open twenty of {message_bytes}");
    let source = file.array("t").expect("an array");
    let part = source.read(&Region::new([0..1, 7..8, 399..400, 398..400])).expect("two points");
    assert_eq!(
        part.scalar(1).expect("within").as_float(),
        Some(f64::from(400 * 400 - 1 - 65_536 * 2))
    );
    let read = sent.load(Ordering::Relaxed);
    assert!(read <= message_bytes, "{read} bytes for a message of {message_bytes}");
}
