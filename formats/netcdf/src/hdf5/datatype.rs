//! What one element of a dataset or an attribute is.
//!
//! Types are read from their bytes and only as far as an array can hold them. The bits that the
//! library does not look at (precision, exponent) decide whether a number is what it seems.

use array::DType;
use array::error::Result;

use super::file::Hdf5;
use crate::element::Padding;
use crate::fault::corrupt;

const CLASS_INTEGER: u8 = 0;
const CLASS_FLOAT: u8 = 1;
const CLASS_STRING: u8 = 3;
const CLASS_ENUM: u8 = 8;
const CLASS_VARIABLE_LENGTH: u8 = 9;

/// The type of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Datatype {
    /// A number; an enumeration is the number that it is stored as.
    Number {
        /// Its type.
        dtype: DType,
        /// Its byte order.
        is_big_endian: bool,
    },
    /// A text in a field of so many bytes, one for a character.
    Field {
        /// Bytes of the field.
        bytes: usize,
        /// What follows the text.
        padding: Padding,
    },
    /// A text in the global heap; an element is a reference of so many bytes.
    HeapText {
        /// Bytes of the reference.
        bytes: usize,
    },
    /// Object references, of any length: what `DIMENSION_LIST` is made of.
    ObjectLists {
        /// Bytes of the reference to each list.
        bytes: usize,
    },
    /// Anything else: bytes of an element, and what it is, for an error.
    Other {
        /// Bytes of one element.
        bytes: usize,
        /// For example "compound".
        feature: String,
    },
}

impl Datatype {
    /// Understands the body of a datatype message.
    ///
    /// # Errors
    /// A body that is cut short, elements of no bytes or of more than the file has.
    pub(crate) fn parse(file: &Hdf5, body: &[u8]) -> Result<Self> {
        let short = || corrupt("a datatype is cut short");
        let (head, properties) = body.split_first_chunk::<8>().ok_or_else(short)?;
        let class = head[0] & 0x0F;
        let bytes = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if bytes == 0 || bytes as u64 > file.bytes.length() {
            let length = file.bytes.length();
            return Err(corrupt(format!("elements of {bytes} bytes in a file of {length}")));
        }
        let reference_bytes = 8 + usize::from(file.offset_bytes());
        let other = |feature: &str| Self::Other { bytes, feature: feature.to_owned() };
        Ok(match class {
            CLASS_INTEGER => integer(bytes, head[1], properties.first_chunk().ok_or_else(short)?),
            CLASS_FLOAT => float(bytes, head[1], properties.first_chunk().ok_or_else(short)?),
            CLASS_STRING => Self::Field { bytes, padding: padding(head[1] & 0x0F) },
            // Of an enumeration of anything but integers, nothing is known.
            CLASS_ENUM if properties.first().is_some_and(|base| base & 0x0F == CLASS_INTEGER) => {
                Self::parse(file, properties)?
            }
            CLASS_ENUM => other("enumeration"),
            CLASS_VARIABLE_LENGTH if bytes != reference_bytes => {
                return Err(corrupt(format!("a reference to the heap has {bytes} bytes")));
            }
            CLASS_VARIABLE_LENGTH if head[1] & 0x0F == 1 => Self::HeapText { bytes },
            CLASS_VARIABLE_LENGTH if properties.first().is_some_and(|b| b & 0x0F == 7) => {
                Self::ObjectLists { bytes }
            }
            CLASS_VARIABLE_LENGTH => other("variable-length sequence"),
            2 => other("time"),
            4 => other("bitfield"),
            5 => other("opaque"),
            6 => other("compound"),
            7 => other("reference"),
            10 => other("array"),
            class => other(&format!("class {class}")),
        })
    }

    /// Bytes of one stored element.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Number { dtype, .. } => dtype.item_bytes().unwrap_or(1),
            Self::Field { bytes, .. }
            | Self::HeapText { bytes }
            | Self::ObjectLists { bytes }
            | Self::Other { bytes, .. } => *bytes,
        }
    }

    /// Why no array can hold elements of this type, if none can.
    pub(crate) fn refusal(&self) -> Option<String> {
        match self {
            Self::Other { feature, .. } => Some(format!("elements of type {feature}")),
            Self::ObjectLists { .. } => {
                Some("elements of type variable-length sequence".to_owned())
            }
            _ => None,
        }
    }
}

fn integer(bytes: usize, flags: u8, properties: &[u8; 4]) -> Datatype {
    let [offset, precision] =
        [[0, 1], [2, 3]].map(|[a, b]| u16::from_le_bytes([properties[a], properties[b]]));
    let dtype = match (bytes, flags & 0x08 != 0) {
        (1, true) => DType::Int8,
        (2, true) => DType::Int16,
        (4, true) => DType::Int32,
        (8, true) => DType::Int64,
        (1, false) => DType::UInt8,
        (2, false) => DType::UInt16,
        (4, false) => DType::UInt32,
        (8, false) => DType::UInt64,
        _ => return Datatype::Other { bytes, feature: format!("integer of {bytes} bytes") },
    };
    if offset != 0 || usize::from(precision) != bytes * 8 {
        let feature = format!("integer of {precision} bits in {bytes} bytes");
        return Datatype::Other { bytes, feature };
    }
    Datatype::Number { dtype, is_big_endian: flags & 0x01 != 0 }
}

fn float(bytes: usize, flags: u8, properties: &[u8; 12]) -> Datatype {
    // Offset, precision; place and width of exponent and fraction; bias.
    let ieee = |precision: u16, exponent: (u8, u8), fraction: u8, bias: u32| {
        let mut wanted = vec![0, 0];
        wanted.extend(precision.to_le_bytes());
        wanted.extend([exponent.0, exponent.1, 0, fraction]);
        wanted.extend(bias.to_le_bytes());
        wanted == properties
    };
    let dtype = match bytes {
        2 if ieee(16, (10, 5), 10, 15) => DType::Float16,
        4 if ieee(32, (23, 8), 23, 127) => DType::Float32,
        8 if ieee(64, (52, 11), 52, 1023) => DType::Float64,
        _ => {
            return Datatype::Other {
                bytes,
                feature: format!("float of {bytes} bytes, not IEEE 754"),
            };
        }
    };
    // Bit 6 together with bit 0 is the byte order of a VAX.
    match flags & 0x41 {
        0x00 => Datatype::Number { dtype, is_big_endian: false },
        0x01 => Datatype::Number { dtype, is_big_endian: true },
        _ => Datatype::Other { bytes, feature: "float in VAX byte order".to_owned() },
    }
}

fn padding(bits: u8) -> Padding {
    match bits {
        0 => Padding::ZeroTerminated,
        2 => Padding::Spaces,
        _ => Padding::Zeros,
    }
}
