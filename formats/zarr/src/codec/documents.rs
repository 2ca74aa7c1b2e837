//! Codecs as metadata have them: by the ids of numcodecs in version 2, by name in version 3.
//!
//! What the specification of version 3 does not have takes the names that zarr-python gives to
//! codecs of numcodecs: `numcodecs.zlib`.

use array::DType;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Map, Value, json};

use super::blosc::shuffle_for;
use super::{BloscShuffle, Codec, CodecChain};
use crate::element::{v2_name, v3_codec};

/// What version 2 says of codecs.
#[derive(Debug)]
pub(crate) struct V2Codecs {
    /// `C` or `F`.
    pub(crate) order: &'static str,
    /// In the order of encoding, without the compressor.
    pub(crate) filters: Vec<Value>,
    pub(crate) compressor: Value,
}

impl CodecChain {
    /// The codecs in the metadata of version 2.
    ///
    /// # Errors
    /// An order of dimensions that version 2 does not have.
    pub(crate) fn v2(&self, dtype: DType, rank: usize) -> Result<V2Codecs> {
        let mut codecs = V2Codecs { order: "C", filters: Vec::new(), compressor: Value::Null };
        if dtype == DType::Text {
            codecs.filters.push(json!({ "id": "vlen-utf8" }));
        }
        let mut stored = dtype;
        for (place, codec) in self.codecs().iter().enumerate() {
            if let Codec::Transpose { order } = codec {
                check_reversed(order.as_deref(), rank)?;
                codecs.order = if rank > 1 { "F" } else { "C" };
                continue;
            }
            let (id, configuration) = codec.described(stored, ZarrName::Id);
            let mut object = Map::from_iter([("id".to_owned(), Value::from(id))]);
            object.extend(configuration);
            stored = codec.stored(stored);
            if codec.is_compressor() && place + 1 == self.codecs().len() {
                codecs.compressor = object.into();
            } else {
                codecs.filters.push(object.into());
            }
        }
        Ok(codecs)
    }

    /// The codecs in the metadata of version 3.
    pub(crate) fn v3(&self, dtype: DType, rank: usize) -> Vec<Value> {
        let (mut codecs, mut stored) = (Vec::new(), dtype);
        let (filters, others): (Vec<&Codec>, Vec<&Codec>) =
            self.codecs().iter().partition(|codec| codec.is_filter());
        let named = |codec: &Codec, stored| {
            let (name, configuration) = codec.described(stored, ZarrName::Name);
            match configuration.is_empty() && !name.starts_with("numcodecs.") {
                true => json!({ "name": name }),
                false => json!({ "name": name, "configuration": configuration }),
            }
        };
        for codec in filters {
            match codec {
                Codec::Transpose { order } => {
                    let order = order.clone().unwrap_or_else(|| (0..rank).rev().collect());
                    // Of one dimension there is no other order.
                    if rank > 1 {
                        let configuration = json!({ "order": order });
                        codecs.push(json!({ "name": "transpose", "configuration": configuration }));
                    }
                }
                filter => codecs.push(named(filter, stored)),
            }
            stored = codec.stored(stored);
        }
        codecs.push(v3_codec(stored));
        codecs.extend(others.into_iter().map(|codec| named(codec, stored)));
        codecs
    }
}

fn check_reversed(order: Option<&[usize]>, rank: usize) -> Result<()> {
    let is_reversed = order.is_none_or(|order| order.iter().copied().eq((0..rank).rev()));
    if is_reversed {
        return Ok(());
    }
    let message = format!("Zarr version 2 does not store dimensions in the order {order:?}");
    Err(Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
        .mend("write `transpose`, which reverses all of them, or version 3"))
}

/// Which names are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ZarrName {
    /// Those of version 2.
    Id,
    /// Those of version 3.
    Name,
}

impl Codec {
    /// The type of elements once the codec is applied to elements of `dtype`.
    fn stored(&self, dtype: DType) -> DType {
        match self {
            Self::Delta { astype } | Self::FixedScaleOffset { astype, .. } => {
                astype.unwrap_or(dtype)
            }
            _ => dtype,
        }
    }

    /// Name and configuration, for elements of `dtype`.
    fn described(&self, dtype: DType, names: ZarrName) -> (&'static str, Map<String, Value>) {
        let is_v3 = names == ZarrName::Name;
        let name = |core: &'static str, other: &'static str| if is_v3 { other } else { core };
        let item_bytes = dtype.item_bytes();
        let types = |more: Value| {
            let mut types = json!({
                "dtype": v2_name(dtype), "astype": v2_name(self.stored(dtype))
            });
            if let (Some(types), Value::Object(more)) = (types.as_object_mut(), more) {
                types.extend(more);
            }
            types
        };
        let (name, configuration) = match self {
            Self::Blosc { cname, level, shuffle } => {
                let (typesize, shuffle) = shuffle_for(item_bytes, *shuffle);
                let mut configuration = json!({ "cname": cname.name(), "clevel": level });
                if is_v3 {
                    configuration = json!({
                        "typesize": typesize, "cname": cname.name(), "clevel": level,
                        "shuffle": shuffle.name(), "blocksize": 0
                    });
                } else if let Some(configuration) = configuration.as_object_mut() {
                    configuration.insert("shuffle".to_owned(), number_of(shuffle).into());
                    configuration.insert("blocksize".to_owned(), 0.into());
                }
                ("blosc", configuration)
            }
            // Version 3 asks for it; of version 2, tensorstore and numcodecs before 0.13 refuse it.
            Self::Zstd { level, has_checksum } if is_v3 || *has_checksum => {
                ("zstd", json!({ "level": level, "checksum": has_checksum }))
            }
            Self::Zstd { level, .. } => ("zstd", json!({ "level": level })),
            Self::Gzip { level } => ("gzip", json!({ "level": level })),
            Self::Zlib { level } => (name("zlib", "numcodecs.zlib"), json!({ "level": level })),
            Self::Bz2 { level } => (name("bz2", "numcodecs.bz2"), json!({ "level": level })),
            Self::Lz4 => (name("lz4", "numcodecs.lz4"), json!({ "acceleration": 1 })),
            Self::Crc32c => ("crc32c", json!({})),
            Self::Fletcher32 => (name("fletcher32", "numcodecs.fletcher32"), json!({})),
            Self::Crc32 => (name("crc32", "numcodecs.crc32"), json!({})),
            Self::Adler32 => (name("adler32", "numcodecs.adler32"), json!({})),
            Self::Shuffle { item_bytes: given } => {
                // Longer elements than this are texts or records, which gain nothing.
                let own = item_bytes.filter(|&bytes| bytes <= 255).unwrap_or(1);
                let bytes = given.map_or(own, usize::from);
                (name("shuffle", "numcodecs.shuffle"), json!({ "elementsize": bytes }))
            }
            Self::Delta { .. } => (name("delta", "numcodecs.delta"), types(Value::Null)),
            Self::FixedScaleOffset { scale, offset, .. } => (
                name("fixedscaleoffset", "numcodecs.fixedscaleoffset"),
                types(json!({ "scale": scale, "offset": offset })),
            ),
            Self::Quantize { digits } => {
                (name("quantize", "numcodecs.quantize"), types(json!({ "digits": digits })))
            }
            Self::BitRound { keep_bits } => {
                (name("bitround", "numcodecs.bitround"), json!({ "keepbits": keep_bits }))
            }
            Self::Transpose { .. } | Self::None => ("", Value::Null),
        };
        let configuration = match configuration {
            Value::Object(configuration) => configuration,
            _ => Map::new(),
        };
        (name, configuration)
    }
}

/// The shuffle as numcodecs counts it.
fn number_of(shuffle: BloscShuffle) -> u8 {
    match shuffle {
        BloscShuffle::None => 0,
        BloscShuffle::Bytes => 1,
        BloscShuffle::Bits => 2,
    }
}
