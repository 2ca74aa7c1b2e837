//! Sources behind HTTP: addresses that are signed, and servers that show folders in their way.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::command::levain;
use crate::made::{Baked, Folder, counted, day};

/// How a server answers for what is no file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Absent {
    /// With a page that lists a folder, and 404 for what does not exist.
    Listed,
    /// With 403, as buckets do that may not be listed.
    Refused,
}

/// Serves the files of a folder on loopback, to those who know the query; its address.
pub(crate) fn serve(root: &Path, query: &'static str, absent: Absent) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let root = root.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let root = root.clone();
            // A client that has gone needs no answer.
            std::thread::spawn(move || drop(answer(stream, &root, query, absent)));
        }
    });
    format!("http://{address}")
}

/// Answers one request.
pub(crate) fn answer(
    mut stream: impl Read + Write,
    root: &Path,
    query: &str,
    absent: Absent,
) -> std::io::Result<()> {
    let lines = BufReader::new(&mut stream).lines();
    let head: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let mut words = head.first().map_or("", String::as_str).split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (path, asked) = target.split_once('?').unwrap_or((target, ""));
    let path: PathBuf = root.join(path.trim_matches('/'));
    let range = head.iter().find_map(|line| {
        let line = line.to_ascii_lowercase();
        let (from, to) = line.strip_prefix("range: bytes=")?.split_once('-')?;
        Some((from.parse::<usize>().ok()?, to.parse::<usize>().unwrap_or(usize::MAX - 1)))
    });
    let mut extra = String::new();
    let (status, body) = match (std::fs::read(&path), absent) {
        _ if asked != query => ("403 Forbidden", Vec::new()),
        (Ok(body), _) => match range {
            Some((from, to)) => {
                let end = body.len().min(to + 1);
                extra = format!("Content-Range: bytes {from}-{}/{}\r\n", end - 1, body.len());
                ("206 Partial Content", body[from..end].to_vec())
            }
            None => ("200 OK", body),
        },
        (Err(_), Absent::Listed) if path.is_dir() => ("200 OK", b"<html>a list</html>".to_vec()),
        (Err(_), Absent::Listed) => ("404 Not Found", Vec::new()),
        (Err(_), Absent::Refused) => ("403 Forbidden", Vec::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\
         Last-Modified: Tue, 01 Oct 2024 00:00:00 GMT\r\n{extra}\r\n",
        body.len()
    )?;
    if method == "HEAD" { Ok(()) } else { stream.write_all(&body) }
}

const DAYS: &str = "days since 2000-01-01";

#[test]
fn signed_addresses_are_read_and_never_shown() {
    let folder = Folder::new();
    folder.put("a.nc", &day(DAYS, &[0.0], 0.0));
    folder.put("b.nc", &day(DAYS, &[1.0], 6.0));
    let server = serve(folder.root(), "sig=hidden", Absent::Refused);
    let url = |name: &str| format!("{server}/{name}?sig=hidden");
    let out = folder.text("out.zarr");
    let ran = levain(&["bake", &url("a.nc"), &url("b.nc"), &out, "--output", "json"]);
    ran.check_done();
    assert_eq!(Baked::open(&out).values::<f32>("t2m"), counted(0.0, 12));
    assert!(ran.stdout.contains("sig=***") && !ran.stdout.contains("hidden"), "{}", ran.stdout);
    let twice = levain(&["bake", &url("a.nc"), &url("a.nc"), &folder.text("twice.zarr")]);
    twice.check_refused("E209", 1, &["given twice", "sig=***"]);
    assert!(!twice.stderr.contains("hidden"), "{}", twice.stderr);
}

#[test]
fn stores_are_found_behind_servers_that_list_or_refuse_folders() {
    let folder = Folder::new();
    let file = folder.put("a.nc", &day(DAYS, &[0.0], 0.0));
    levain(&["bake", &file, &folder.text("a.zarr"), "--progress", "none"]).check_done();
    for absent in [Absent::Listed, Absent::Refused] {
        let server = serve(folder.root(), "", absent);
        let source = format!("{server}/a.zarr");
        let out = folder.text("out.zarr");
        let ran = levain(&["rechunk", &source, &out, "--overwrite", "--chunks", "lat=1"]);
        ran.check_done();
        assert_eq!(Baked::open(&out).values::<f32>("t2m"), counted(0.0, 6), "{absent:?}");
        levain(&["inspect", &source]).check_done();
    }
}
