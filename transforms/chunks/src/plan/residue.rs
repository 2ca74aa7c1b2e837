//! Where the multiples of a number fall between the multiples of another.

/// The first `index` for which `index · step` leaves a rest of `least` to `most` by `modulus`.
///
/// `least <= most < modulus`. Nothing if no multiple ever does. Cost: O(log modulus), as Euclid's
/// algorithm, which it follows: where the multiples of `step` themselves jump over the interval, the
/// question is the same for `modulus` by `step`, and so for smaller numbers.
pub(super) fn first_index_within(step: u64, modulus: u64, least: u64, most: u64) -> Option<u64> {
    debug_assert!(least <= most && most < modulus, "{least}..={most} of {modulus}");
    if least == 0 {
        return Some(0);
    }
    let step = step % modulus;
    if step == 0 {
        return None;
    }
    let index = least.div_ceil(step);
    if u128::from(index) * u128::from(step) <= u128::from(most) {
        return Some(index);
    }
    // No multiple of the step lies in the interval, so neither end is one, and both leave a rest.
    let rounds = first_index_within(modulus % step, step, step - most % step, step - least % step)?;
    let total = u128::from(least) + u128::from(modulus) * u128::from(rounds);
    u64::try_from(total.div_ceil(u128::from(step))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_found_for_all_small_numbers() {
        for modulus in 1..14 {
            for step in 0..modulus * 2 {
                for (least, most) in (0..modulus).flat_map(|l| (l..modulus).map(move |m| (l, m))) {
                    let listed = (0..modulus)
                        .find(|index| (least..=most).contains(&(index * step % modulus)));
                    let got = first_index_within(step, modulus, least, most);
                    assert_eq!(got, listed, "{step} by {modulus} in {least}..={most}");
                }
            }
        }
    }
}
