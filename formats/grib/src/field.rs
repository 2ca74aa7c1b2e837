//! What the header of a message says of the values that it holds, without them.

use std::ops::Range;

use crate::levels::Level;
use crate::parameters::Parameter;

/// One field of values: a message of edition 1, or one of the fields of a message of edition 2.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Where the message begins in the file.
    pub(crate) offset: u64,
    /// The edition.
    pub(crate) edition: u8,
    /// The centre that made it.
    pub(crate) centre: u16,
    /// What is measured.
    pub(crate) parameter: Parameter,
    /// On which level.
    pub(crate) level: Level,
    /// When the forecast begins, in seconds since 1970.
    pub(crate) reference: i64,
    /// For when it is.
    pub(crate) step: Step,
    /// The member of an ensemble.
    pub(crate) member: Option<i64>,
    /// Whether files of this kind hold members of an ensemble, be it one.
    pub(crate) is_ensemble: bool,
    /// Whether files of this kind hold forecasts, be it for now.
    pub(crate) is_forecast: bool,
    /// What was made out of all members: a code of table 4.7.
    pub(crate) derived: Option<u8>,
    /// Its place among the grids of the file.
    pub(crate) grid: usize,
    /// How the values lie in the file.
    pub(crate) packed: Packed,
}

/// The time that a field is for, in seconds after the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    /// Where it begins; its end if it is an instant.
    pub(crate) start: i64,
    /// Where it ends.
    pub(crate) end: i64,
    /// How values of the time between were combined: `instant`, `accum`, `avg`.
    pub(crate) kind: &'static str,
}

/// Packed values: where they lie and how they are packed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Packed {
    /// The number of points of the grid.
    pub(crate) point_count: u64,
    /// The number of packed values, where it is told: fewer than points where a bitmap says which
    /// are missing.
    pub(crate) value_count: Option<u64>,
    /// Where the bitmap lies.
    pub(crate) bitmap: Option<Range<u64>>,
    /// Where the values lie.
    pub(crate) data: Range<u64>,
    /// How they are packed.
    pub(crate) packing: Packing,
}

impl Packed {
    /// Bytes that are fetched to decode the values.
    pub(crate) fn encoded_bytes(&self) -> u64 {
        let length = |range: &Range<u64>| range.end - range.start;
        self.bitmap.as_ref().map_or(0, length) + length(&self.data)
    }
}

/// How values are packed: integers that a scale makes values of, or floats.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Packing {
    /// All of one width.
    Simple(Scale),
    /// In groups of one width each, differences of them perhaps.
    Complex(Scale, Box<Groups>),
    /// As edition 1 has groups.
    SecondOrder(Scale, SecondOrder),
    /// As CCSDS 121.0 compresses them.
    Ccsds(Scale, CcsdsOptions),
    /// As a picture: JPEG 2000.
    Jpeg2000(Scale),
    /// As a picture: PNG.
    Png(Scale),
    /// As floats of four or eight bytes.
    Ieee {
        /// Bytes of one.
        bytes: usize,
    },
}

impl Packing {
    /// The name that ecCodes gives as `packingType`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Simple(_) => "grid_simple",
            Self::Complex(_, groups) if groups.order > 0 => "grid_complex_spatial_differencing",
            Self::Complex(..) => "grid_complex",
            Self::SecondOrder(..) => "grid_second_order",
            Self::Ccsds(..) => "grid_ccsds",
            Self::Jpeg2000(_) => "grid_jpeg",
            Self::Png(_) => "grid_png",
            Self::Ieee { .. } => "grid_ieee",
        }
    }

    /// Bytes of each value that unpacking holds besides it.
    pub(crate) fn working_bytes(&self) -> u64 {
        match self {
            Self::Simple(_) | Self::Complex(..) | Self::Ieee { .. } => 0,
            Self::Ccsds(..) | Self::Png(_) => 4,
            Self::SecondOrder(..) => 8,
            // Pixels, and the coefficients that they are made of.
            Self::Jpeg2000(_) => 16,
        }
    }

    /// Whether the values need more than the 24 bits of a single float.
    pub(crate) fn is_wide(&self) -> bool {
        match self {
            Self::Simple(scale) | Self::Ccsds(scale, _) | Self::Png(scale) => scale.width > 24,
            Self::Ieee { bytes } => *bytes > 4,
            _ => false,
        }
    }
}

/// What makes a value of an integer: `(reference + integer * binary) * decimal`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    /// The value of the integer 0.
    pub(crate) reference: f64,
    /// The exponent of two.
    pub(crate) binary: i64,
    /// The exponent of ten that values were multiplied with.
    pub(crate) decimal: i64,
    /// Bits of an integer.
    pub(crate) width: u32,
}

/// How groups of complex packing lie: template 5.2 or 5.3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Groups {
    /// Kinds of values that stand for missing ones: none, one or two.
    pub(crate) missing: u8,
    /// The number of groups.
    pub(crate) count: u64,
    /// The least width of a group.
    pub(crate) width_reference: u64,
    /// Bits of what is added to it.
    pub(crate) width_bits: u32,
    /// The least length of a group.
    pub(crate) length_reference: u64,
    /// What a step of length is.
    pub(crate) length_increment: u64,
    /// The length of the last group.
    pub(crate) last_length: u64,
    /// Bits of the number of steps of length.
    pub(crate) length_bits: u32,
    /// The order of differences; 0 if there are none.
    pub(crate) order: u8,
    /// Octets of each first value.
    pub(crate) descriptor_octets: u32,
}

/// What octets 11 to 25 of the data of edition 1 say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SecondOrder {
    /// Bits of the first value of a group.
    pub(crate) first_bits: u32,
    /// The number of groups.
    pub(crate) group_count: u64,
    /// Bits of the width of a group.
    pub(crate) width_bits: u32,
    /// Bits of the length of a group.
    pub(crate) length_bits: u32,
    /// The order of differences.
    pub(crate) order: u8,
    /// Bits of each of the first values and of the bias.
    pub(crate) descriptor_bits: u32,
    /// Points of a row, if every second one runs backwards.
    pub(crate) backward_row: Option<u64>,
}

/// The parameters of CCSDS compression: template 5.42.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CcsdsOptions {
    /// Flags.
    pub(crate) flags: u8,
    /// Integers of a block.
    pub(crate) block_size: u32,
    /// Blocks between references.
    pub(crate) reference_interval: u32,
}
