//! All codecs of a variable, in the order of encoding.

use std::fmt;
use std::str::FromStr;

use array::DType;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use super::Codec;
use crate::filter::Lane;

/// Codecs in the order of encoding: filters, then what makes bytes of bytes.
///
/// ```
/// use zarr::CodecChain;
/// let chain: CodecChain = "bitround:10+shuffle+zlib:5".parse()?;
/// assert_eq!(chain.codecs().len(), 3);
/// assert_eq!(chain.to_string(), "bitround:10+shuffle+zlib:5");
/// assert!("zstd+delta".parse::<CodecChain>().is_err());
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CodecChain(Vec<Codec>);

impl CodecChain {
    /// A chain of these codecs.
    ///
    /// # Errors
    /// A filter behind a codec of bytes, or a transposition that is not the first.
    pub fn new(codecs: impl IntoIterator<Item = Codec>) -> Result<Self> {
        let codecs: Vec<Codec> = codecs.into_iter().filter(|it| *it != Codec::None).collect();
        let mut has_bytes = false;
        for (place, codec) in codecs.iter().enumerate() {
            let is_late = codec.is_filter() && has_bytes;
            let is_transpose = matches!(codec, Codec::Transpose { .. });
            if is_late || is_transpose && place > 0 {
                let message = format!("`{codec}` cannot stand behind `{}`", codecs[place - 1]);
                let mend = "the order is: transpose; delta, fixedscaleoffset, quantize, bitround; \
                            shuffle, compressors, checksums";
                return Err(invalid(message).mend(mend));
            }
            has_bytes |= !codec.is_filter();
        }
        Ok(Self(codecs))
    }

    /// The codecs, in the order of encoding.
    pub fn codecs(&self) -> &[Codec] {
        &self.0
    }

    /// The first codec that works on elements, which not every variable can have.
    pub fn filter(&self) -> Option<&Codec> {
        self.0.iter().find(|codec| codec.is_filter())
    }

    /// Refuses codecs that elements of this type, or arrays of this rank, cannot have.
    ///
    /// # Errors
    /// The codec, and what it asks for.
    pub(crate) fn check(&self, dtype: DType, rank: usize) -> Result<()> {
        for codec in &self.0 {
            let is_number = dtype.is_float() || dtype.is_integer();
            let wants = match codec {
                Codec::Transpose { order: Some(order) } if !is_order(order, rank) => {
                    Some(format!("each of the {rank} dimensions once"))
                }
                Codec::Transpose { .. } if dtype == DType::Text => Some("no texts".to_owned()),
                Codec::Delta { astype } => {
                    let is_fine = dtype.is_integer() && astype.is_none_or(DType::is_integer);
                    (!is_fine).then(|| "integers".to_owned())
                }
                Codec::FixedScaleOffset { astype, .. } => {
                    let is_number = astype.is_none_or(|it| it.is_float() || it.is_integer());
                    (!(dtype.is_float() && is_number)).then(|| "floats".to_owned())
                }
                Codec::Quantize { .. } => (!dtype.is_float()).then(|| "floats".to_owned()),
                Codec::BitRound { keep_bits } => {
                    let bits = Lane { dtype, swap_bytes: 1 }.mantissa_bits();
                    let fits = dtype.is_float() && *keep_bits <= bits;
                    (!fits).then(|| format!("floats, and at most {bits} bits of these"))
                }
                Codec::Shuffle { item_bytes: Some(bytes) } => {
                    let item = dtype.item_bytes().unwrap_or(1);
                    let fits = is_number && item.is_multiple_of(usize::from(*bytes));
                    (!fits).then(|| format!("elements of a multiple of {bytes} bytes"))
                }
                _ => None,
            };
            if let Some(wants) = wants {
                let message = format!("`{codec}` asks for {wants}; these are {dtype}");
                return Err(invalid(message).mend("leave it out for this variable"));
            }
        }
        Ok(())
    }
}

fn is_order(order: &[usize], rank: usize) -> bool {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..rank)
}

impl Default for CodecChain {
    fn default() -> Self {
        Codec::default().into()
    }
}

impl From<Codec> for CodecChain {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::None => Self(Vec::new()),
            codec => Self(vec![codec]),
        }
    }
}

impl FromStr for CodecChain {
    type Err = Error;

    /// Reads codecs with a plus between them: `shuffle+zlib:5`, or `none`.
    ///
    /// # Errors
    /// A codec that is not known, a parameter out of range, or an order that is not possible.
    fn from_str(text: &str) -> Result<Self> {
        let codecs = text.split('+').map(|codec| codec.trim().parse());
        Self::new(codecs.collect::<Result<Vec<Codec>>>()?)
    }
}

impl fmt::Display for CodecChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let codecs: Vec<String> = self.0.iter().map(Codec::to_string).collect();
        f.write_str(&codecs.join("+"))
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
}
