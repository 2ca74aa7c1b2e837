//! How much memory a long write takes: a process of its own writes to a server that keeps nothing.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Location, Objects, StoreOptions};

/// Names the server, to the process that writes.
const ENDPOINT: &str = "LEVAIN_TEST_LONG_WRITE";
const TEST: &str = "writer::tests::a_long_object_is_never_whole_in_memory";
const LENGTH: u64 = 2 << 30;
const MOST_RESIDENT: u64 = 256 << 20;

/// A server of S3 that takes parts and keeps none; its address, and the bytes that it was sent.
fn swallow() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let swallowed = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&swallowed);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            // A client that has gone needs no answer.
            std::thread::spawn(move || drop(serve(&stream, &counted)));
        }
    });
    (url, swallowed)
}

fn serve(mut stream: &TcpStream, counted: &AtomicU64) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_ascii_lowercase()),
            }
        }
        let length = head.iter().find_map(|line| line.strip_prefix("content-length:"));
        let length: u64 = length.map_or(Ok(0), |it| it.trim().parse()).unwrap_or(0);
        io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
        let target = head.first().map_or("", String::as_str);
        let body = match target {
            it if it.contains("partnumber=") => {
                counted.fetch_add(length, Ordering::Relaxed);
                ""
            }
            it if it.contains("?uploads") => {
                "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            }
            _ => "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>",
        };
        let length = body.len();
        write!(stream, "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: {length}\r\n\r\n{body}")?;
    }
}

/// Writes the object, and says how much memory this process has held at once.
fn write_long(endpoint: &str) {
    let options = StoreOptions::default()
        .with_endpoint(endpoint)
        .with_setting("aws_access_key_id", "test")
        .with_setting("aws_secret_access_key", "test");
    let root = Location::parse("s3://bucket").expect("a location");
    let mut writer = Objects::open(&root, &options).expect("a store").writer("long").expect("new");
    let piece = vec![7; 1 << 20];
    for _ in 0..LENGTH >> 20 {
        writer.write_all(&piece).expect("the server takes everything");
    }
    writer.finish().expect("the server takes everything");
    let status = std::fs::read_to_string("/proc/self/status").expect("a table");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    println!("peak at {} KiB", peak.trim().trim_end_matches(" kB"));
}

/// A41: two GiB, at most 256 MiB of which are in memory with all else.
#[test]
#[expect(clippy::disallowed_methods, reason = "the process that writes is told by its environment")]
fn a_long_object_is_never_whole_in_memory() {
    if let Ok(endpoint) = std::env::var(ENDPOINT) {
        write_long(&endpoint);
        return;
    }
    let (url, swallowed) = swallow();
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args([TEST, "--exact", "--nocapture"]).env(ENDPOINT, url);
    let output = command.output().expect("the process can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(swallowed.load(Ordering::Relaxed), LENGTH);
    let (_, said) = text.split_once("peak at ").expect("it says how much it has held");
    let peak: u64 = said.split(' ').next().and_then(|it| it.parse().ok()).expect("a number");
    assert!(peak << 10 < MOST_RESIDENT, "{} MiB were held at once", peak >> 10);
}
