//! What Blosc can be told.

/// A compressor inside of Blosc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum BloscCname {
    BloscLz,
    Lz4,
    Lz4hc,
    Snappy,
    Zlib,
    Zstd,
}

impl BloscCname {
    const NAMES: [(Self, &'static str); 6] = [
        (Self::BloscLz, "blosclz"),
        (Self::Lz4, "lz4"),
        (Self::Lz4hc, "lz4hc"),
        (Self::Snappy, "snappy"),
        (Self::Zlib, "zlib"),
        (Self::Zstd, "zstd"),
    ];

    /// The name in metadata.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(cname, _)| *cname == self).map_or("", |found| found.1)
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|found| found.0)
    }
}

/// How Blosc orders bytes before it compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BloscShuffle {
    /// As they are.
    None,
    /// First bytes of all elements, then second bytes...
    Bytes,
    /// First bits of all elements, then second bits...
    Bits,
}

impl BloscShuffle {
    const NAMES: [(Self, &'static str); 3] =
        [(Self::None, "noshuffle"), (Self::Bytes, "shuffle"), (Self::Bits, "bitshuffle")];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(shuffle, _)| *shuffle == self).map_or("", |found| found.1)
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|found| found.0)
    }
}

/// The size of an element and the shuffle that Blosc is told: single bytes and texts have no
/// order that could help, and elements longer than 255 bytes it does not know.
pub(super) fn shuffle_for(
    item_bytes: Option<usize>,
    shuffle: BloscShuffle,
) -> (usize, BloscShuffle) {
    match item_bytes {
        Some(bytes @ 2..=255) => (bytes, shuffle),
        _ => (1, BloscShuffle::None),
    }
}
