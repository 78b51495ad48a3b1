//! e^x for x ≤ 0 in integers, for cores without an FPU: the operations of [`math::exp_nonpositive`] with the same roundings, some
//! 250 instructions where functions for each take 950.
//!
//! With x = −n ln 2 + r, polynomials of r have terms whose exponents are known: every sum here is one of integers, and a mantissa is
//! rounded where it has to be. In comments, a number `m` of 32 bits `at e` is m · 2^(e − 32). Done here for x from −64 to −2⁻⁹ where
//! r is not near zero and no sum is a tie, all but one in thirty; the rest as `math` has it.

use super::{SIGN, high, product};
use crate::math;

/// 1 ÷ ln 2, at 1.
const LOG2_E: u32 = mantissa(math::exp::LOG2_E);
/// The upper part of ln 2, in steps of 2⁻²⁵.
const LN2_HIGH: u32 = (math::exp::LN2_HI * (1 << 25) as f32) as u32;
/// Largest n: |x| < 64.
const MOST: usize = 92;

/// n times the lower part of ln 2, rounded, in steps of 2⁻⁴³.
static LOW: [u32; MOST + 1] = {
    let mut low = [0; MOST + 1];
    let mut n = 0;
    while n <= MOST {
        let product = n as f32 * math::exp::LN2_LO;
        low[n] = (product * (1_u64 << 43) as f32) as u32;
        n += 1;
    }
    low
};

/// The mantissa of a constant, its highest bit set.
const fn mantissa(x: f32) -> u32 {
    x.to_bits() << 8 | SIGN
}

/// [`math::exp_nonpositive`].
#[inline(never)]
pub(super) fn exp_nonpositive(x: f32) -> f32 {
    match in_integers(x.to_bits()) {
        Some(bits) => f32::from_bits(bits),
        None => math::exp_nonpositive(x),
    }
}

#[inline(always)]
fn in_integers(x: u32) -> Option<u32> {
    let exponent = x << 1 >> 24;
    if exponent.wrapping_sub(127 - 9) > 14 {
        return None;
    }
    let x = x << 8 | SIGN;
    let (n, is_negative, (u, s)) = if exponent < 125 {
        (0, true, (x, 125 - exponent))
    } else {
        // In steps of 2⁻²⁵, as ln 2 is: the difference is exact.
        let x = x >> (133 - exponent);
        let turns = high(x, LOG2_E).wrapping_add(1 << 23);
        // The definition rounds it first, by 2⁻¹⁸ at most.
        if turns.wrapping_add(64) << 8 < 128 << 8 {
            return None;
        }
        let n = turns >> 24;
        let u = (n * LN2_HIGH).wrapping_sub(x).cast_signed();
        (n, u < 0, normalized(u.unsigned_abs() << 8)?)
    };
    let low = LOW[n as usize % LOW.len()];
    // u at −s − 1, and r.
    let r = rounded::<8>(sum(is_negative, u, low >> (10 - s)), n == 0)?;
    if r >> 31 == 0 {
        return None;
    }
    // A product's last seven bits are zeros.
    let is_exact = s < 4;
    let p = rounded::<8>(
        sum(is_negative, mantissa(math::exp::P5), product(mantissa(math::exp::P6), r)? >> (4 + s)),
        is_exact,
    )?;
    let p = rounded::<8>(sum(is_negative, mantissa(math::exp::P4), product(p, r)? >> (3 + s)), is_exact)?;
    let p = rounded::<8>(sum(is_negative, mantissa(math::exp::P3), product(p, r)? >> (3 + s)), is_exact)?;
    let p = to_24_bits(sum(is_negative, mantissa(math::exp::P2) >> 1, product(p, r)? >> (3 + s)), is_exact)?;

    // r² · p at −12 + k, plus the lower part at −11 + d.
    let (r2, r2_shift) = shifted_once(product(r, r)?);
    let (p, p_shift) = shifted_once(p);
    let k = 10 - (2 * s + r2_shift + p_shift).cast_signed();
    let d = if n == 0 { k } else { k.max(0) };
    let t = (product(r2, p)? >> (d - k + 1)) + (low >> (d & 31));
    let t = match t >> 25 {
        16.. => to_24_bits(t, n == 0 || d == 0)?,
        8.. => rounded::<5>(t, d == 0)?,
        4.. => rounded::<4>(t, d == 0)?,
        _ => return None,
    };
    let by = (11 - d).cast_unsigned() - s;
    let q = to_24_bits(sum(is_negative, u >> 1, t >> by), t << (32 - by) == 0)?;
    let y = sum(is_negative, SIGN, q >> (1 + s));
    let is_exact = q << (31 - s) == 0;
    // What is one or more has the next exponent.
    let (y, exponent) = if y >> 31 == 0 {
        (rounded::<7>(y, is_exact)? >> 7, 125 - n)
    } else {
        (rounded::<8>(y, is_exact)? >> 8, 126 - n)
    };
    Some((exponent << 23) + y)
}

/// a + b, or a − b.
#[inline(always)]
fn sum(is_negative: bool, a: u32, b: u32) -> u32 {
    if is_negative { a - b } else { a.wrapping_add(b) }
}

/// Shifted until the highest bit is set, by 7 at most, and by how much.
#[inline(always)]
fn normalized(x: u32) -> Option<(u32, u32)> {
    let shifted = |by: u32, (x, s): (u32, u32)| if x >> (32 - by) == 0 { (x << by, s + by) } else { (x, s) };
    let (x, s) = shifted(1, shifted(2, shifted(4, (x, 0))));
    (x >> 31 != 0).then_some((x, s))
}

#[inline(always)]
fn shifted_once(x: u32) -> (u32, u32) {
    if x >> 31 == 0 { (x << 1, 1) } else { (x, 0) }
}

/// `x` without its last `BITS`, rounded to even; none if it is a tie and not exact, for then it is none.
#[inline(always)]
fn rounded<const BITS: u32>(x: u32, is_exact: bool) -> Option<u32> {
    if !is_exact && x << (32 - BITS) == SIGN {
        return None;
    }
    let half = (1 << (BITS - 1)) - 1 + (x >> BITS & 1);
    Some(x.wrapping_add(half) >> BITS << BITS)
}

/// `x`, of whose three highest bits one is set, rounded to 24 bits from that on.
#[inline(always)]
fn to_24_bits(x: u32, is_exact: bool) -> Option<u32> {
    match x >> 29 {
        4.. => rounded::<8>(x, is_exact),
        2.. => rounded::<7>(x, is_exact),
        1 => rounded::<6>(x, is_exact),
        0 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::sweep::inputs;

    #[test]
    fn exponentials_are_those_of_the_definition() {
        for bits in inputs().map(|bits| bits | SIGN) {
            let (x, found) = (f32::from_bits(bits), in_integers(bits).map(f32::from_bits));
            let expected = math::exp_nonpositive(x);
            let same = found.is_none_or(|found| found.to_bits() == expected.to_bits());
            assert!(same, "e^{x:e} is {expected:e}, not {found:?}");
        }
    }

    #[test]
    fn most_are_done_here() {
        let elsewhere = (1..=16_000).filter(|&i| in_integers((i as f32 / -1000.0).to_bits()).is_none());
        let elsewhere = elsewhere.count();
        assert!((1..800).contains(&elsewhere), "{elsewhere} of 16,000");
    }
}
