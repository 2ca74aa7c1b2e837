//! Chance that a seed decides: the same names give the same draw, in whatever order they ask.

/// A seed, mixed with the names of whatever draws.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The draw of something of this name.
    pub(crate) fn of(self, name: &str) -> Self {
        Self(name.bytes().fold(mix(self.0), |state, byte| mix(state ^ u64::from(byte))))
    }

    /// The draw of something of this number.
    pub(crate) fn nth(self, number: u64) -> Self {
        Self(mix(self.0 ^ mix(number)))
    }

    /// Whether something happens that does in this share of cases.
    pub(crate) fn chance(self, share: f64) -> bool {
        // The upper 53 bits are a fraction that a double holds exactly.
        ((mix(self.0) >> 11) as f64) < share * (1u64 << 53) as f64
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(self, limit: u64) -> u64 {
        mix(self.0) % limit
    }
}

/// One step of SplitMix64.
///
/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept_and_repeat() {
        let draw = Draw::new(7).of("rule");
        let hits = |draw: Draw| (0..10_000).filter(|&n| draw.nth(n).chance(0.05)).count();
        assert!((400..600).contains(&hits(draw)), "{}", hits(draw));
        assert_eq!(hits(draw), hits(Draw::new(7).of("rule")));
        assert_ne!(Draw::new(7).below(1 << 60), Draw::new(8).below(1 << 60));
    }
}
