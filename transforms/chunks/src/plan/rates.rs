//! What stores and codecs do in a second, and what their requests cost: tables, not measurements of
//! this run.

use serde::{Deserialize, Serialize};

/// A store, as one core sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StoreProfile {
    /// Encoded bytes read in a second.
    pub read_bytes_per_second: f64,
    /// Encoded bytes written in a second.
    pub write_bytes_per_second: f64,
    /// Seconds of a core that reading an object or a range takes besides its bytes.
    pub get_seconds: f64,
    /// Seconds of a core that writing an object takes besides its bytes.
    pub put_seconds: f64,
    /// Price of reading an object or a range.
    pub get_usd: f64,
    /// Price of writing an object.
    pub put_usd: f64,
}

impl StoreProfile {
    /// A disk of this machine: about a gigabyte a second, opening a file costs little.
    pub const LOCAL_DISK: Self = Self {
        read_bytes_per_second: 1.0e9,
        write_bytes_per_second: 1.0e9,
        get_seconds: 5.0e-5,
        put_seconds: 2.0e-4,
        get_usd: 0.0,
        put_usd: 0.0,
    };

    /// S3 and its like: a request takes 30 ms (100 ms to write) and 32 are in flight; list prices.
    pub const OBJECT_STORE: Self = Self {
        read_bytes_per_second: 150e6,
        write_bytes_per_second: 100e6,
        get_seconds: 1.0e-3,
        put_seconds: 3.0e-3,
        get_usd: 0.4e-6,
        put_usd: 5e-6,
    };
}

/// A chain of codecs, as one core runs it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CodecRates {
    /// Decoded bytes by encoded bytes.
    pub ratio: f64,
    /// Decoded bytes encoded in a second.
    pub encode_bytes_per_second: f64,
    /// Decoded bytes that come out in a second.
    pub decode_bytes_per_second: f64,
}

impl CodecRates {
    /// A chain of which nothing is known.
    pub const UNKNOWN: Self = Self::of(1.6, 300.0, 900.0);
    /// Bytes as they lie in memory.
    pub const RAW: Self = Self::of(1.0, 28_000.0, 28_000.0);
    /// What cells of segments are compressed with.
    pub const LZ4: Self = Self::of(1.5, 900.0, 3000.0);

    /// A ratio, and megabytes a second of encoding and decoding.
    const fn of(ratio: f64, encode: f64, decode: f64) -> Self {
        Self { ratio, encode_bytes_per_second: encode * 1e6, decode_bytes_per_second: decode * 1e6 }
    }

    /// The rates of a chain of codecs, named as their formats name them, in the order of encoding.
    ///
    /// Of several the slowest, the compressor, decides; a shuffle before it makes it better. A name
    /// that is not in the table makes the chain an unknown one.
    ///
    /// Source: measured once on one core with 16-bit data packed in 32-bit floats, best of nine.
    pub fn of_codecs<Name: AsRef<str>>(codecs: &[Name]) -> Self {
        let mut is_shuffled = false;
        let mut rates = Self::RAW;
        for name in codecs {
            let name = name.as_ref().to_lowercase();
            match name.strip_prefix("numcodecs.").unwrap_or(&name) {
                "shuffle" | "bitshuffle" => is_shuffled = true,
                // Orders, sums and places of bytes cost next to nothing beside a compressor.
                "bytes" | "transpose" | "crc32" | "crc32c" | "adler32" | "fletcher32"
                | "checksum" | "sharding_indexed" | "vlen-utf8" | "vlen-bytes" => {}
                "blosc" => rates = Self::of(1.58, 607.0, 1820.0),
                "lz4" => rates = Self::of(1.49, 1940.0, 4790.0),
                "zstd" if is_shuffled => rates = Self::of(1.72, 600.0, 1390.0),
                "zstd" => rates = Self::of(1.41, 227.0, 1350.0),
                "gzip" | "zlib" | "deflate" if is_shuffled => rates = Self::of(1.73, 42.0, 333.0),
                "gzip" | "zlib" | "deflate" => rates = Self::of(1.29, 42.0, 142.0),
                _ => return Self::UNKNOWN,
            }
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(codecs: &[&str], ratio: f64, encode: f64, decode: f64) {
        assert_eq!(CodecRates::of_codecs(codecs), CodecRates::of(ratio, encode, decode));
    }

    #[test]
    fn chains_are_known_by_their_compressor() {
        check(&["bytes", "blosc"], 1.58, 607.0, 1820.0);
        check(&["bytes", "zstd", "crc32c"], 1.41, 227.0, 1350.0);
        check(&["bytes", "numcodecs.shuffle", "zstd"], 1.72, 600.0, 1390.0);
        check(&["shuffle", "deflate", "fletcher32"], 1.73, 42.0, 333.0);
        check(&[], 1.0, 28_000.0, 28_000.0);
        check(&["bytes", "pcodec"], 1.6, 300.0, 900.0);
    }
}
