//! Numbers in a section, by the octets that the manual on codes gives them.
//!
//! Octets are counted from 1. A section that is too short is damage, never a panic.

use array::error::Result;

use crate::fault::corrupt;

/// The bytes of a section and what it is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Octets<'a> {
    bytes: &'a [u8],
    section: &'static str,
}

impl<'a> Octets<'a> {
    /// A whole section, its length included.
    pub(crate) fn new(bytes: &'a [u8], section: &'static str) -> Self {
        Self { bytes, section }
    }

    /// The number of octets.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// So many bytes from an octet on.
    ///
    /// # Errors
    /// A section that ends before.
    pub(crate) fn bytes(&self, octet: usize, count: usize) -> Result<&'a [u8]> {
        let start = octet - 1;
        start.checked_add(count).and_then(|end| self.bytes.get(start..end)).ok_or_else(|| {
            let (section, length) = (self.section, self.bytes.len());
            corrupt(format!("{section} has {length} octets; octet {octet} begins {count} of them"))
        })
    }

    /// An unsigned number of up to eight octets.
    pub(crate) fn unsigned(&self, octet: usize, count: usize) -> Result<u64> {
        let bytes = self.bytes(octet, count)?;
        Ok(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// A number whose first bit is its sign.
    pub(crate) fn signed(&self, octet: usize, count: usize) -> Result<i64> {
        Ok(sign_and_magnitude(self.unsigned(octet, count)?, count * 8))
    }

    /// One octet.
    pub(crate) fn octet(&self, octet: usize) -> Result<u8> {
        Ok(self.bytes(octet, 1)?[0])
    }

    /// An unsigned number, unless all its bits are set, which says that it is missing.
    pub(crate) fn present(&self, octet: usize, count: usize) -> Result<Option<u64>> {
        let number = self.unsigned(octet, count)?;
        Ok((number != u64::MAX >> (64 - count * 8)).then_some(number))
    }

    /// A number with a sign, unless all its bits are set.
    pub(crate) fn present_signed(&self, octet: usize, count: usize) -> Result<Option<i64>> {
        Ok(self.present(octet, count)?.map(|number| sign_and_magnitude(number, count * 8)))
    }

    /// An IEEE float of four octets.
    pub(crate) fn ieee(&self, octet: usize) -> Result<f64> {
        Ok(f64::from(f32::from_bits(self.unsigned(octet, 4)? as u32)))
    }

    /// An IBM float of four octets.
    pub(crate) fn ibm(&self, octet: usize) -> Result<f64> {
        Ok(ibm_float(self.unsigned(octet, 4)? as u32))
    }
}

/// Takes the first of so many bits for the sign of the others.
pub(crate) fn sign_and_magnitude(number: u64, bits: usize) -> i64 {
    let sign = 1u64 << (bits - 1);
    let magnitude = (number & (sign - 1)) as i64;
    if number & sign == 0 { magnitude } else { -magnitude }
}

/// A float as System/360 wrote it: a sign, seven bits of exponent to base 16, 24 bits of fraction.
fn ibm_float(bits: u32) -> f64 {
    let magnitude = f64::from(bits & 0x00ff_ffff) * 16f64.powi((bits >> 24 & 0x7f) as i32 - 70);
    if bits >> 31 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_octets() {
        let section = Octets::new(&[1, 2, 0x80, 3, 0xff, 0xff], "section 9");
        assert_eq!(section.unsigned(1, 2), Ok(0x0102));
        assert_eq!(section.signed(3, 2), Ok(-3));
        assert_eq!(section.present(5, 2), Ok(None));
        assert_eq!(section.present(2, 1), Ok(Some(2)));
        let error = section.unsigned(6, 2).expect_err("one octet is left");
        assert!(error.message().contains("section 9 has 6 octets"), "{error}");
    }

    #[track_caller]
    fn check(bits: u32, want: f64) {
        assert_eq!(ibm_float(bits), want);
    }

    #[test]
    fn ibm_floats() {
        check(0x4110_0000, 1.0);
        check(0xc276_a000, -118.625);
        check(0, 0.0);
        check(0x4080_0000, 0.5);
    }
}
