//! Random bits by counter: number `i` of a key is a function of both, so it does not matter who asks for it, or when.

/// Where a sequence of random numbers belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(u64);

impl Key {
    /// The key of `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self(mix64(seed))
    }

    /// The key of part `part` of what this key is for: a step, a shard, an operation.
    pub(super) fn part(self, part: u64) -> Self {
        Self(mix64(self.0 ^ mix64(part)))
    }

    /// A seed for a generator of its own.
    pub(super) fn seed(self) -> u64 {
        self.0
    }

    /// Random bits number `i`: two rounds of C. Wellons' `lowbias32`, an integer hash of 32 bits that compilers make
    /// vectors of.
    #[inline(always)]
    pub(super) fn bits(self, i: u32) -> u32 {
        mix32(mix32(i ^ self.0 as u32) ^ (self.0 >> 32) as u32)
    }
}

/// The output function of SplitMix64 (Steele et al. 2014).
fn mix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[inline(always)]
fn mix32(x: u32) -> u32 {
    let x = (x ^ x >> 16).wrapping_mul(0x7feb_352d);
    let x = (x ^ x >> 15).wrapping_mul(0x846c_a68b);
    x ^ x >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_balanced_and_keys_differ() {
        let key = Key::new(1).part(2);
        for bit in 0..32 {
            let ones = (0..10_000).filter(|&i| key.bits(i) >> bit & 1 == 1).count();
            // Six standard deviations.
            assert!(ones.abs_diff(5_000) < 300, "bit {bit}: {ones}");
        }
        let other = Key::new(1).part(3);
        let same = (0..10_000).filter(|&i| (key.bits(i) ^ other.bits(i)) & 0xff == 0).count();
        assert!(same < 100, "{same}");
    }

    #[test]
    fn the_published_first_output_of_splitmix64_appears() {
        assert_eq!(mix64(0), 0xe220_a839_7b1d_cdaf);
    }
}
