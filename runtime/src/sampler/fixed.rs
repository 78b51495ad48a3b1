//! Weights as integers: 2³⁰ is the best token. Their sums are exact, so they cannot depend on the order of adding.

/// Binary digits after the point of a weight.
pub(super) const FRACTION_BITS: u32 = 30;
pub(super) const ONE: u32 = 1 << FRACTION_BITS;

/// `round(fraction · 2³⁰)`, half to even, for a fraction of 0 to 1.
#[inline(always)]
pub(super) fn fixed(fraction: f32) -> u32 {
    // Adding 1.5 · 2²³ · step rounds to a multiple of step and leaves that multiple in the low bits: no conversion,
    // which compilers do one by one. The remainder of the coarse step is exact, and its multiples of 2⁻³⁰ are even
    // in number, so the fine step's half-to-even is that of the whole.
    const COARSE: f32 = 3072.0;
    const FINE: f32 = 1.5 / 128.0;
    let coarse = fraction + COARSE;
    let fine = (fraction - (coarse - COARSE)) + FINE;
    let low = fine.to_bits().wrapping_sub(FINE.to_bits());
    ((coarse.to_bits().wrapping_sub(COARSE.to_bits())) << 18).wrapping_add(low)
}

pub(super) fn sum(weights: &[u32]) -> u64 {
    weights.iter().map(|&weight| u64::from(weight)).sum()
}

/// `⌊total · factor / 2^bits⌋` without 128-bit arithmetic, for `total` ≤ 2⁶², `factor` ≤ 2^bits, `bits` ≤ 32.
pub(super) fn scaled(total: u64, factor: u32, bits: u32) -> u64 {
    let (high, low) = (total >> 32, total & 0xffff_ffff);
    let factor = u64::from(factor);
    // The high part's product is a multiple of 2^bits, so only the low part is rounded.
    ((high * factor) << (32 - bits)) + ((low * factor) >> bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::Random;

    #[test]
    fn weights_round_half_to_even() {
        let unit = 1.0 / ONE as f32;
        for (fraction, weight) in [(0.5, 0), (1.5, 2), (2.5, 2), (0.75, 1), (8_388_607.5, 8_388_608)] {
            assert_eq!(fixed(fraction * unit), weight, "{fraction}");
        }
        assert_eq!(fixed(1.0), ONE);
        let mut random = Random::new(8);
        for case in 0..100_000 {
            let fraction = random.next_f32() * 0.5f32.powi(case % 34);
            let exact = (f64::from(fraction) * f64::from(ONE)).round_ties_even();
            assert_eq!(f64::from(fixed(fraction)), exact, "{fraction}");
        }
        assert_eq!(fixed(0.0), 0);
    }

    #[test]
    fn scaling_equals_128_bit_arithmetic() {
        let mut random = Random::new(5);
        for case in 0..10_000 {
            let bits = if case % 2 == 0 { 30 } else { 32 };
            let total = (u64::from(random.next_u32()) << 30 | u64::from(random.next_u32())) >> (case % 61);
            let factor = random.next_u32() >> (32 - bits);
            let exact = (u128::from(total) * u128::from(factor)) >> bits;
            assert_eq!(u128::from(scaled(total, factor, bits)), exact, "{total} {factor} {bits}");
        }
        assert_eq!(scaled(1 << 62, u32::MAX, 32), (1 << 62) - (1 << 30));
        assert_eq!(scaled(1 << 62, ONE, 30), 1 << 62);
    }
}
