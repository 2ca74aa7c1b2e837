//! Codecs as users write them: a name, then parameters after colons.

use std::str::FromStr;

use array::DType;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use super::{BloscCname, BloscShuffle, Codec};

impl FromStr for Codec {
    type Err = Error;

    /// Reads `blosc-zstd:1`, `zstd:3`, `bitround:10`, `fixedscaleoffset:scale=10:offset=0`, `none`.
    ///
    /// A parameter is `name=value`; the first may be a value alone. What is left out is what
    /// numcodecs takes, but for Blosc and gzip.
    ///
    /// # Errors
    /// A codec or a parameter that is not known, or one out of range.
    fn from_str(text: &str) -> Result<Self> {
        let (name, rest) = text.split_once(':').map_or((text, None), |(n, rest)| (n, Some(rest)));
        let known = NAMES.contains(&name) || name.starts_with("blosc-");
        let mut words = Words::of(name, rest);
        let codec = words.codec(name).filter(|_| words.is_used_up());
        codec.ok_or_else(|| {
            let message = format!("there is no codec `{text}`");
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            match NAMES.iter().find(|it| **it == name) {
                Some(name) => error.mend(format!("it is written {}", form_of(name))),
                None if name == "lzma" => error.mend("lzma is only read; write zstd or bz2"),
                None if known => error.mend(format!("it is written {}", form_of("blosc"))),
                None => error.mend(
                    "codecs are blosc-zstd:0..9 (also blosc-lz4, blosc-lz4hc, blosc-zlib, \
                     blosc-blosclz, blosc-snappy), zstd:-7..22, gzip:0..9, zlib:0..9, bz2:1..9, \
                     lz4, shuffle, crc32c, fletcher32, crc32, adler32, delta, fixedscaleoffset, \
                     quantize, bitround, transpose, none, and several with a plus between them",
                ),
            }
        })
    }
}

const NAMES: [&str; 16] = [
    "transpose",
    "delta",
    "fixedscaleoffset",
    "quantize",
    "bitround",
    "shuffle",
    "zstd",
    "gzip",
    "zlib",
    "bz2",
    "lz4",
    "crc32c",
    "fletcher32",
    "crc32",
    "adler32",
    "none",
];

fn form_of(name: &str) -> &str {
    match name {
        "transpose" => "transpose, or transpose:2,0,1",
        "delta" => "delta, or delta:astype=int16",
        "fixedscaleoffset" => "fixedscaleoffset:scale=10:offset=0:astype=int16",
        "quantize" => "quantize:3, with digits",
        "bitround" => "bitround:10, with bits to keep",
        "shuffle" => "shuffle, or shuffle:4, with bytes of an element",
        "zstd" => "zstd:3, from -7 to 22, or zstd:3:checksum=true",
        "gzip" | "zlib" => "gzip:5 or zlib:5, from 0 to 9",
        "bz2" => "bz2:1, from 1 to 9",
        "blosc" => {
            "blosc-zstd:1, from 0 to 9, or blosc-zstd:1:shuffle=bitshuffle (noshuffle, shuffle); \
             inside may be blosclz, lz4, lz4hc, snappy, zlib or zstd"
        }
        plain => plain,
    }
}

/// Parameters that are not yet used.
struct Words<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Words<'a> {
    fn of(name: &str, text: Option<&'a str>) -> Self {
        let first = match name {
            "transpose" => "order",
            "delta" => "astype",
            "fixedscaleoffset" => "scale",
            "quantize" => "digits",
            "bitround" => "keepbits",
            "shuffle" => "elementsize",
            _ => "level",
        };
        let words = text.into_iter().flat_map(|text| text.split(':'));
        let words = words.enumerate().map(|(place, word)| match word.split_once('=') {
            Some(pair) => pair,
            None if place == 0 => (first, word),
            None => ("", word),
        });
        Self(words.collect())
    }

    fn is_used_up(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, name: &str) -> Option<&'a str> {
        let place = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(place).1)
    }

    /// The number under a name, or this one; `None` where it is out of range or none.
    fn number(&mut self, name: &str, fallback: i32, from: i32, to: i32) -> Option<i32> {
        let number = self.take(name).map_or(Some(fallback), |text| text.parse().ok())?;
        (from..=to).contains(&number).then_some(number)
    }

    fn level(&mut self, fallback: i32, from: i32) -> Option<u8> {
        self.number("level", fallback, from, 9).and_then(|level| u8::try_from(level).ok())
    }

    fn astype(&mut self) -> Option<Option<DType>> {
        match self.take("astype") {
            None => Some(None),
            Some(name) => name.parse().ok().map(Some),
        }
    }

    fn float(&mut self, name: &str) -> Option<f64> {
        self.take(name)?.parse().ok().filter(|float: &f64| float.is_finite())
    }

    fn codec(&mut self, name: &str) -> Option<Codec> {
        Some(match name {
            "none" => Codec::None,
            "transpose" => {
                let order = self.take("order").map(|order| order.split(',').map(str::parse));
                Codec::Transpose { order: order.map(Iterator::collect).transpose().ok()? }
            }
            "delta" => Codec::Delta { astype: self.astype()? },
            "fixedscaleoffset" => Codec::FixedScaleOffset {
                scale: self.float("scale").filter(|scale| *scale != 0.0)?,
                offset: self.float("offset")?,
                astype: self.astype()?,
            },
            "quantize" => Codec::Quantize { digits: self.take("digits")?.parse().ok()? },
            "bitround" => Codec::BitRound { keep_bits: self.take("keepbits")?.parse().ok()? },
            "shuffle" => {
                let bytes = self.take("elementsize").map(str::parse).transpose().ok()?;
                Codec::Shuffle {
                    item_bytes: bytes.map_or(Some(None), |it| (it > 0).then_some(Some(it)))?,
                }
            }
            "zstd" => Codec::Zstd {
                level: self.number("level", 3, -7, 22)?,
                has_checksum: self.take("checksum").map_or(Some(false), |it| it.parse().ok())?,
            },
            "gzip" => Codec::Gzip { level: self.level(5, 0)? },
            "zlib" => Codec::Zlib { level: self.level(1, 0)? },
            "bz2" => Codec::Bz2 { level: self.level(1, 1)? },
            "lz4" => Codec::Lz4,
            "crc32c" => Codec::Crc32c,
            "fletcher32" => Codec::Fletcher32,
            "crc32" => Codec::Crc32,
            "adler32" => Codec::Adler32,
            blosc => Codec::Blosc {
                cname: BloscCname::of_name(blosc.strip_prefix("blosc-")?)?,
                level: self.level(1, 0)?,
                shuffle: match self.take("shuffle") {
                    None => BloscShuffle::Bytes,
                    Some(name) => BloscShuffle::of_name(name)?,
                },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<&str>) {
        let shown = text.parse::<Codec>().ok().map(|codec| codec.to_string());
        assert_eq!(shown.as_deref(), want, "{text}");
    }

    #[test]
    fn codecs_have_names() {
        for text in [
            "blosc-zstd:1",
            "blosc-lz4hc:9:shuffle=bitshuffle",
            "zstd:-7",
            "zstd:3:checksum=true",
            "gzip:0",
            "zlib:5",
            "bz2:9",
            "lz4",
            "crc32c",
            "fletcher32",
            "shuffle:4",
            "delta:astype=int16",
            "fixedscaleoffset:scale=10:offset=-1.5:astype=uint8",
            "quantize:-2",
            "bitround:0",
            "transpose:2,0,1",
            "transpose",
            "none",
        ] {
            check(text, Some(text));
        }
        check("zstd", Some("zstd:3"));
        check("delta:int8", Some("delta:astype=int8"));
        check("fixedscaleoffset:10:offset=0", Some("fixedscaleoffset:scale=10:offset=0"));
    }

    #[test]
    fn what_is_no_codec_is_refused() {
        for text in [
            "",
            "zst",
            "gzip:10",
            "zstd:x",
            "zstd:3:4",
            "zstd:3:level=4",
            "blosc:1",
            "none:1",
            "blosc-zstd:-1",
            "bz2:0",
            "shuffle:0",
            "quantize",
            "bitround:-1",
            "fixedscaleoffset:scale=0:offset=1",
            "fixedscaleoffset:scale=1",
            "delta:astype=int7",
            "lz4:1",
        ] {
            check(text, None);
        }
        let error = "bitround".parse::<Codec>().expect_err("how many?");
        assert!(error.to_string().contains("bitround:10"), "{error}");
        let error = "lzma".parse::<Codec>().expect_err("only read");
        assert!(error.to_string().contains("only read"), "{error}");
    }
}
