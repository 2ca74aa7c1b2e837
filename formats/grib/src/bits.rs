//! Numbers of any width in a stream of bits, the most significant first.

use array::error::Result;

use crate::fault::corrupt;

/// A place in a stream of bits.
#[derive(Debug, Clone)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    /// The beginning of these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next number of up to 57 bits; zero bits are 0.
    ///
    /// # Errors
    /// Fewer bits than that.
    pub(crate) fn read(&mut self, width: u32) -> Result<u64> {
        let (start, end) = (self.at / 8, (self.at + width as usize).div_ceil(8));
        let Some(bytes) = self.bytes.get(start..end) else {
            let message = format!("packed values end after {} bytes", self.bytes.len());
            return Err(corrupt(message));
        };
        let number = bytes.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        self.at += width as usize;
        let behind = end * 8 - self.at;
        Ok(number >> behind & ((1u64 << width) - 1))
    }

    /// Goes on at the next whole byte.
    pub(crate) fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// What is left from the next whole byte on, as another stream.
    pub(crate) fn rest(&self) -> Self {
        let start = self.at.div_ceil(8).min(self.bytes.len());
        Self::new(&self.bytes[start..])
    }

    /// Passes over so many numbers of one width, to the next whole byte.
    ///
    /// # Errors
    /// Fewer bits than that.
    pub(crate) fn skip(&mut self, count: u64, width: u32) -> Result<()> {
        let bits = count.checked_mul(u64::from(width)).and_then(|bits| usize::try_from(bits).ok());
        let end =
            bits.and_then(|bits| self.at.checked_add(bits)).map(|end| end.next_multiple_of(8));
        match end.filter(|end| end / 8 <= self.bytes.len()) {
            Some(end) => {
                self.at = end;
                Ok(())
            }
            None => Err(corrupt(format!("{count} numbers of {width} bits are not there"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_may_change_and_cross_bytes() {
        let mut bits = Bits::new(&[0b1010_0110, 0b0111_1111, 0x12, 0x34]);
        let widths = [1, 3, 0, 7, 5];
        let got: Vec<u64> = widths.iter().map(|&w| bits.read(w).expect("there")).collect();
        assert_eq!(got, [1, 0b010, 0, 51, 31]);
        assert_eq!(bits.rest().read(16), Ok(0x1234));
        bits.skip(1, 9).expect("two bytes");
        assert!(bits.read(1).is_err());
    }
}
