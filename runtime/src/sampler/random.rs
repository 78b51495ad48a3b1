//! The one random generator: PCG-XSH-RR 64/32 (O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically
//! Good Algorithms for Random Number Generation", 2014).
//!
//! Part of the contract "same seed, same text": its numbers never change. It is not cryptographic. The stream is fixed
//! at 54, that of the author's demonstration program, so her published numbers test this generator as it is used.

const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
const INCREMENT: u64 = (54 << 1) | 1;

/// The generator's whole state, a value: copy it to snapshot it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The start of the sequence of `seed`: step from state 0, add the seed, step (`pcg32_srandom`).
    pub const fn new(seed: u64) -> Self {
        let mut random = Self { state: INCREMENT.wrapping_add(seed) };
        random.step();
        random
    }

    /// Continues where [`Self::state`] was taken; every value is a valid state.
    pub const fn from_state(state: u64) -> Self {
        Self { state }
    }

    /// What [`Self::from_state`] needs to continue.
    pub const fn state(self) -> u64 {
        self.state
    }

    /// The next number, uniform over all of `u32`.
    pub const fn next_u32(&mut self) -> u32 {
        let old = self.state;
        self.step();
        let xorshifted = (((old >> 18) ^ old) >> 27) as u32;
        xorshifted.rotate_right((old >> 59) as u32)
    }

    /// The next number's upper 24 bits over 2²⁴: uniform in `[0, 1)`, exact in f32, never 1.
    pub const fn next_f32(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    const fn step(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_numbers_of_seed_42_appear() {
        let mut random = Random::new(42);
        let published = [0xa15c_02b7, 0x7b47_f409, 0xba1d_3330, 0x83d2_f293, 0xbfa4_784b, 0xcbed_606e];
        assert_eq!([(); 6].map(|()| random.next_u32()), published);
    }

    #[test]
    fn a_fraction_is_the_upper_24_bits() {
        let mut random = Random::new(42);
        assert_eq!(random.next_f32(), 0x00a1_5c02 as f32 / 16_777_216.0);
        let mut bits = Random::new(3);
        let mut fractions = bits;
        for _ in 0..10_000 {
            let fraction = fractions.next_f32();
            assert_eq!((bits.next_u32() >> 8) as f32, fraction * 16_777_216.0);
            assert!((0.0..1.0).contains(&fraction));
        }
    }

    #[test]
    fn a_state_continues_the_sequence() {
        let mut random = Random::new(u64::MAX);
        random.next_u32();
        let mut restored = Random::from_state(random.state());
        assert_eq!([(); 9].map(|()| random.next_u32()), [(); 9].map(|()| restored.next_u32()));
    }
}
