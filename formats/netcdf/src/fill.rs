//! What the C library gives for elements that were never written, by type.
//!
//! Source: `NC_FILL_*` of netCDF,
//! <https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html>.

use array::{DType, Scalar};

/// Of `NC_FILL_FLOAT` and `NC_FILL_DOUBLE`: 2 to the 122nd and a fraction.
const FILL_FLOAT: f64 = 9.969_209_968_386_869e36;

/// The default fill value of a type; zero bytes for characters, empty for texts.
pub fn default_fill(dtype: DType) -> Scalar {
    match dtype {
        DType::Int8 => Scalar::of(-127i8),
        DType::Int16 => Scalar::of(-32_767i16),
        DType::Int32 => Scalar::of(-2_147_483_647i32),
        DType::Int64 => Scalar::of(-9_223_372_036_854_775_806i64),
        DType::UInt8 => Scalar::of(u8::MAX),
        DType::UInt16 => Scalar::of(u16::MAX),
        DType::UInt32 => Scalar::of(u32::MAX),
        DType::UInt64 => Scalar::of(u64::MAX - 1),
        DType::Float32 => Scalar::of(FILL_FLOAT as f32),
        DType::Float64 => Scalar::of(FILL_FLOAT),
        other => Scalar::zero(other),
    }
}
