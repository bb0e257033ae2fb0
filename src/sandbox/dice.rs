//! Randomness that can be had again: a hash of what it is about, under a seed. No generator with a state, because then
//! the order in which requests arrive would decide what happens to them.

/// A number from `seed` and `parts`; equal input gives equal output on every machine and in every version.
///
/// FNV-1a over the parts, finished by SplitMix64 so that every bit depends on every byte. Not for secrets.
pub(super) fn roll(seed: u64, parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    for part in parts {
        part.bytes().for_each(&mut add);
        // Never part of UTF-8, so ("ab", "c") and ("a", "bc") differ.
        add(0xff);
    }
    let mut mixed = hash;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The same as a fraction in `0.0..1.0`.
pub(super) fn fraction(seed: u64, parts: &[&str]) -> f64 {
    // 53 bits: what an f64 holds exactly.
    (roll(seed, parts) >> 11) as f64 / (1_u64 << 53) as f64
}

/// One of `choices`, which must not be empty.
pub(super) fn pick<'a, T: ?Sized>(seed: u64, parts: &[&str], choices: &[&'a T]) -> &'a T {
    choices[(roll(seed, parts) % choices.len() as u64) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_input_rolls_equal_numbers_and_a_seed_changes_them() {
        assert_eq!(roll(7, &["create", "ann@example.com"]), roll(7, &["create", "ann@example.com"]));
        assert_ne!(roll(7, &["create", "ann@example.com"]), roll(8, &["create", "ann@example.com"]));
        assert_ne!(roll(7, &["ab", "c"]), roll(7, &["a", "bc"]));
    }

    #[test]
    fn the_numbers_of_similar_inputs_spread_evenly() {
        let below = (0..10_000).filter(|n| fraction(1, &[&format!("lead{n}@example.com")]) < 0.1).count();
        assert!((850..1150).contains(&below), "{below} of 10000 below 0.1");
    }
}
