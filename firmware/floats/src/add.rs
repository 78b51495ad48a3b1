//! Sums. The smaller summand's mantissa, negative if the signs differ, is shifted and added to the larger as it is stored: while
//! the exponent stays what it was, that is the sum, and what is shifted out says how it is rounded.

use crate::{
    FRACTION, HIDDEN, INFINITY, NAN, QUIET, SIGN, exponent, is_nan, mantissa, rounded, shifted_right,
};

/// `a + b`, of bits.
#[inline(always)]
pub fn add(a: u32, b: u32) -> u32 {
    // Twice in the program, rather than moved from register to register.
    if a << 1 < b << 1 { sum(b, a) } else { sum(a, b) }
}

/// `a + b`, |a| ≥ |b|.
#[inline(always)]
fn sum(a: u32, b: u32) -> u32 {
    let distance = exponent(a).wrapping_sub(exponent(b));
    // Then a sum whose exponent is one more is finite.
    if exponent(a) >= 254 || exponent(b) == 0 {
        return add_rare(a, b);
    }
    if distance > 25 {
        return a;
    }
    let negate = (a ^ b).cast_signed() >> 31;
    let addend = (mantissa(b).cast_signed() ^ negate) - negate;
    let sum = a.wrapping_add((addend >> distance).cast_unsigned());
    // Below the last place, from the highest bit on.
    let rest = addend.cast_unsigned() << (31 - distance) << 1;
    if (sum ^ a) >> 23 == 0 {
        return if rest >> 31 == 0 { sum } else { sum + up(sum, rest) };
    }
    if negate == 0 {
        // Twice the last place: its bit goes to the rest.
        let power = (a & !FRACTION) + HIDDEN;
        let half = power + ((sum - power) >> 1);
        return half + up(half, (sum - power) << 31 | rest >> 1 | rest & 1);
    }
    if distance > 1 {
        // Half the last place, the highest bit of the rest. The larger summand has the exponent 3 at least.
        let twice = sum.wrapping_mul(2).wrapping_sub(a & !FRACTION) + (rest >> 31);
        return twice + up(twice, rest << 1);
    }
    cancelled(a, (mantissa(a) << distance) - mantissa(b), exponent(b))
}

/// 1 if a number with that `rest` below its last place is rounded up.
#[inline(always)]
fn up(x: u32, rest: u32) -> u32 {
    rest >> 31 & (u32::from(rest << 1 != 0) | x)
}

/// The exact `difference` < 2²⁴ with the sign of `a`; zero has none.
fn cancelled(a: u32, mut difference: u32, exponent: u32) -> u32 {
    if difference == 0 {
        return 0;
    }
    let mut below = exponent - 1;
    // Seldom many bits are gone, but all of them where a number is rounded to an integer by a sum with a large one.
    if difference >> 20 == 0 {
        while difference >> 16 == 0 && below >= 8 {
            (difference, below) = (difference << 8, below - 8);
        }
        if difference >> 20 == 0 && below >= 4 {
            (difference, below) = (difference << 4, below - 4);
        }
    }
    while difference < HIDDEN && below > 0 {
        (difference, below) = (difference << 1, below - 1);
    }
    a & SIGN | ((below << 23) + difference)
}

/// The sum of any two numbers, |a| ≥ |b|.
#[cold]
#[inline(never)]
pub(crate) fn add_rare(a: u32, b: u32) -> u32 {
    let (a, b) = if a << 1 < b << 1 { (b, a) } else { (a, b) };
    let differ = (a ^ b) & SIGN != 0;
    if is_nan(a) {
        return a | QUIET;
    }
    if exponent(a) == 255 {
        return if differ && b & !SIGN == INFINITY { NAN } else { a };
    }
    if b << 1 == 0 {
        return if a << 1 == 0 { a & b } else { a };
    }
    // Six bits of room, and one for the carry.
    let parts = |x: u32| match exponent(x) {
        0 => ((x & FRACTION) << 7, 1),
        e => (mantissa(x) << 7, e),
    };
    let ((a_mantissa, e), (b_mantissa, b_exponent)) = (parts(a), parts(b));
    let addend = match e - b_exponent {
        0 => b_mantissa,
        distance @ 1..=31 => shifted_right(b_mantissa, distance),
        _ => 1,
    };
    let sum = if differ { a_mantissa - addend } else { a_mantissa + addend };
    if sum == 0 {
        return 0;
    }
    let zeros = sum.leading_zeros();
    rounded(a & SIGN, sum << zeros, e as i32 + 1 - zeros as i32)
}
