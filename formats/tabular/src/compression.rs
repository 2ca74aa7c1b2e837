//! Streams of bytes, compressed: recognised by how they begin, not by what they are called.

use std::fmt;
use std::io::{self, BufRead, Read, Write};

use bzip2::bufread::MultiBzDecoder;
use bzip2::write::BzEncoder;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

/// How a file of text, CSV or JSON lines is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    Uncompressed,
    /// gzip, also of several members.
    Gzip,
    /// Zstandard, also of several frames.
    Zstd,
    /// bzip2, also of several streams.
    Bzip2,
}

/// The bytes that tell compressions apart.
pub(crate) const MAGIC_BYTES: u64 = 10;

impl Compression {
    /// The compression of a file that begins with these bytes.
    ///
    /// Source: RFC 1952 (gzip), RFC 8878 (Zstandard, and its skippable frames), and for bzip2 the
    /// mark of its first block or of its end, because a text may begin with `BZh9`.
    pub fn of(head: &[u8]) -> Self {
        let bzip2_marks: [&[u8]; 2] = [b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"];
        match head {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', mark @ ..]
                if bzip2_marks.iter().any(|whole| mark.starts_with(whole)) =>
            {
                Self::Bzip2
            }
            _ => Self::Uncompressed,
        }
    }

    /// The suffix of the names of such files, with its dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Uncompressed => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::Bzip2 => ".bz2",
        }
    }

    /// What a compressed stream says.
    pub(crate) fn decoder<R>(self, stream: R) -> io::Result<Box<dyn Read>>
    where
        R: BufRead + 'static,
    {
        Ok(match self {
            Self::Uncompressed => Box::new(stream),
            Self::Gzip => Box::new(MultiGzDecoder::new(stream)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(stream)?),
            Self::Bzip2 => Box::new(MultiBzDecoder::new(stream)),
        })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uncompressed => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
        })
    }
}

/// Compresses what is written; equal input gives equal bytes: no time and no name is kept.
pub(crate) enum Encoder<W: Write> {
    Uncompressed(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
    Bzip2(BzEncoder<W>),
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(compression: Compression, out: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::Uncompressed => Self::Uncompressed(out),
            Compression::Gzip => Self::Gzip(GzEncoder::new(out, flate2::Compression::default())),
            Compression::Zstd => {
                Self::Zstd(zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?)
            }
            Compression::Bzip2 => Self::Bzip2(BzEncoder::new(out, bzip2::Compression::default())),
        })
    }

    /// Ends the stream and gives back what it was written to.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::Uncompressed(out) => Ok(out),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Bzip2(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Uncompressed(out) => out.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Bzip2(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_is_recognised_and_read_again() {
        for compression in [Compression::Gzip, Compression::Zstd, Compression::Bzip2] {
            for text in ["", "a", &"many words ".repeat(10_000)] {
                let mut encoder = Encoder::new(compression, Vec::new()).expect("begins");
                encoder.write_all(text.as_bytes()).expect("takes");
                let mut bytes = encoder.finish().expect("ends");
                assert_eq!(Compression::of(&bytes), compression, "{text:.9}");
                // Files that were put one after the other are one file.
                bytes.extend(bytes.clone());
                let mut decoder = compression.decoder(io::Cursor::new(bytes)).expect("begins");
                let mut back = String::new();
                decoder.read_to_string(&mut back).expect("reads");
                assert!(back == text.repeat(2), "{compression}");
            }
        }
    }

    #[test]
    fn text_is_no_compression() {
        for text in ["", "B", "BZh9", "BZh9 is a mark", "\u{1f}\u{8b}", "(", "P*M"] {
            assert_eq!(Compression::of(text.as_bytes()), Compression::Uncompressed, "{text}");
        }
    }
}
