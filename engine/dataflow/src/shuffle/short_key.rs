//! The first bytes of a key in two numbers that compare as keys do.

use xxhash_rust::xxh3::xxh3_64;

/// The first bytes of a key, zeroes behind them, and its length as far as it matters.
///
/// It compares as the key does, but for long keys that begin alike: those are equal here.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShortKey {
    first: u64,
    /// Ends in the length, so that keys which differ in zeroes at their ends differ.
    second: u64,
}

const WHOLE_BYTES: usize = 15;
const LONG: u64 = 16;

impl ShortKey {
    #[inline]
    pub(crate) fn of(key: &[u8]) -> Self {
        if let Some(&first) = key.first_chunk::<8>() {
            let first = u64::from_be_bytes(first);
            let rest = &key[8..];
            if let Some(&seven) = rest.first_chunk::<7>() {
                let length = if rest.len() == 7 { WHOLE_BYTES as u64 } else { LONG };
                return Self { first, second: number(&seven) << 8 | length };
            }
            return Self { first, second: number(rest) << 8 | key.len() as u64 };
        }
        Self { first: number(key) << 8, second: key.len() as u64 }
    }

    /// Whether this says all of the key.
    #[inline]
    pub(crate) fn is_whole(self) -> bool {
        self.second & 0xff != LONG
    }

    /// A hash of the key that this was made of.
    #[inline]
    pub(crate) fn hash_of(self, key: &[u8]) -> ShortHash {
        if !self.is_whole() {
            return ShortHash((xxh3_64(key) >> 32) as u32);
        }
        // Digits of pi; both halves of the product depend on all bits.
        let left = u128::from(self.first ^ 0x243f_6a88_85a3_08d3);
        let product = left * u128::from(self.second ^ 0x1319_8a2e_0370_7344);
        let folded = (product >> 64) as u64 ^ product as u64;
        ShortHash((folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32)
    }
}

/// A hash of a key, which does not depend on what finds the partition of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShortHash(u32);

impl ShortHash {
    pub(crate) const ZERO: Self = Self(0);

    /// All bits of it are as good as any.
    #[inline]
    pub(crate) fn bits(self) -> u32 {
        self.0
    }
}

/// The first seven bytes as a number, zeroes behind them.
///
/// Both ends are read at once and overlap: lengths that vary cost no branch for each byte.
#[inline]
fn number(bytes: &[u8]) -> u64 {
    let bytes = &bytes[..bytes.len().min(7)];
    let length = bytes.len();
    let bits = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        u64::from(first) | u64::from(last) << (8 * (length - 4))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u16::from_le_bytes(*first), u16::from_le_bytes(*last));
        u64::from(first) | u64::from(last) << (8 * (length - 2))
    } else {
        bytes.first().copied().map_or(0, u64::from)
    };
    bits.swap_bytes() >> 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_compares_as_keys_do() {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for length in 0..20 {
            for last in [0, 1, 255] {
                for other in [0, 255] {
                    let mut key = vec![other; length];
                    key.push(last);
                    keys.push(key);
                    keys.push(vec![other; length]);
                }
            }
        }
        for a in &keys {
            for b in &keys {
                let (short_a, short_b) = (ShortKey::of(a), ShortKey::of(b));
                let is_decided = short_a != short_b || short_a.is_whole();
                assert!(!is_decided || short_a.cmp(&short_b) == a.cmp(b), "{a:?} {b:?}");
                assert_eq!(short_a.is_whole(), a.len() < 16, "{a:?}");
            }
        }
    }
}
