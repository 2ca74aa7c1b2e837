//! What the system says of this process.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use xxhash_rust::xxh3::Xxh3;

use crate::job::memory::status_bytes;

/// Where Linux shows the program that this process runs, be its file replaced meanwhile.
const SELF: &str = "/proc/self/exe";

/// Ticks of the clock in which Linux tells the time of processors, in a second.
const TICKS: u64 = 100;

/// Milliseconds that all processors have spent on this process, where the system says it.
///
/// Source: proc(5), `/proc/pid/stat`, fields 14 and 15.
pub(crate) fn cpu_ms() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in brackets and may hold anything.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) * 1000 / TICKS)
}

/// The greatest resident memory so far, where the system says it.
pub(crate) fn peak_resident_bytes() -> Option<u64> {
    status_bytes("/proc/self/status", "VmHWM:")
}

/// The program that this process runs, by its version and the digest of its file; nothing where that
/// cannot be read.
///
/// Cost: reads the file once, at some gigabytes a second.
pub fn this_binary() -> Option<String> {
    let shown = PathBuf::from(SELF);
    let path = if shown.exists() { shown } else { std::env::current_exe().ok()? };
    let digest = digest_of(File::open(path).ok()?).ok()?;
    Some(format!("{} xxh3:{digest:032x}", env!("CARGO_PKG_VERSION")))
}

fn digest_of(mut file: impl Read) -> io::Result<u128> {
    let (mut digest, mut buffer) = (Xxh3::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.digest128()),
            length => digest.update(&buffer[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_program_is_known_by_version_and_digest() {
        let binary = super::this_binary().expect("it can be read");
        let (version, digest) = binary.split_once(" xxh3:").expect("a version and a digest");
        assert_eq!((version, digest.len()), (env!("CARGO_PKG_VERSION"), 32));
        assert_eq!(super::this_binary(), Some(binary), "it is the same each time");
        let digests = [&b"one"[..], b"two"].map(|bytes| super::digest_of(bytes).expect("bytes"));
        assert_ne!(digests[0], digests[1]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_knows_this_process() {
        assert!(super::cpu_ms().is_some());
        assert!(super::peak_resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
