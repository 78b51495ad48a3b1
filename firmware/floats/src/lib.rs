//! f32 for cores without an FPU: what the compiler calls for `+`, `−`, `×`, `÷`, comparisons and conversions, with the bits of
//! IEEE 754 (to nearest, ties to even, subnormal numbers kept; a NaN gives a quiet NaN) and in fewer instructions than its own
//! library, whose weak symbols these replace in a program that links this crate.
//!
//! The functions here are plain integers, the same everywhere, and compared with the FPU of the host. RV32 runs them as they are.
//! For ARMv6-M, what is common is in assembly, and only the rest is left to them: `thumb` has no multiplier of 64 bits, eight
//! registers, and flags that compilers make little of.
#![cfg_attr(not(test), no_std)]

mod add;
pub mod check;
mod compare;
mod convert;
mod div;
mod mul;
#[cfg(all(target_arch = "riscv32", target_os = "none", not(target_feature = "f")))]
mod riscv;
#[cfg(test)]
mod tests;
#[cfg(all(target_arch = "arm", target_os = "none", target_abi = "eabi"))]
mod thumb;

pub use add::add;
pub use compare::{equal, less, less_or_equal, unordered};
pub use convert::{from_i32, from_u32, to_i32};
pub use div::div;
pub use mul::mul;

/// The sign.
const SIGN: u32 = 1 << 31;
/// The bit of a normal number's mantissa that is not stored.
const HIDDEN: u32 = 1 << 23;
/// The stored bits of a mantissa.
const FRACTION: u32 = HIDDEN - 1;
const INFINITY: u32 = 0xff << 23;
const NAN: u32 = INFINITY | QUIET;
/// What makes a NaN a quiet one.
const QUIET: u32 = 1 << 22;

/// The exponent as it is stored.
#[inline(always)]
fn exponent(x: u32) -> u32 {
    x << 1 >> 24
}

#[inline(always)]
fn is_nan(x: u32) -> bool {
    x << 1 > INFINITY << 1
}

/// The mantissa of a normal number.
#[inline(always)]
fn mantissa(x: u32) -> u32 {
    x & FRACTION | HIDDEN
}

/// Mantissa, its highest bit the hidden one, and exponent of a finite number that is not zero: subnormal ones are shifted.
fn normalized(x: u32) -> (u32, i32) {
    let e = exponent(x) as i32;
    if e > 0 {
        return (mantissa(x), e);
    }
    let shift = (x << 1).leading_zeros() - 7;
    ((x & FRACTION) << shift, 1 - shift as i32)
}

/// The number (−1)^sign · mantissa · 2^(e − 158), rounded: a mantissa of 32 bits, the highest of them set, the lowest standing
/// for what is below.
fn rounded(sign: u32, mantissa: u32, e: i32) -> u32 {
    if e >= 255 {
        return sign | INFINITY;
    }
    // A subnormal number has the exponent 1, without the hidden bit.
    let (mantissa, e) = match e {
        1.. => (mantissa, e.cast_unsigned()),
        -30..=0 => (shifted_right(mantissa, (1 - e).cast_unsigned()), 1),
        _ => (1, 1),
    };
    let up = (mantissa & 0xff) + (mantissa >> 8 & 1) > 0x80;
    // What rounding carries goes on into the exponent, and may make it infinity.
    sign | (((e - 1) << 23) + (mantissa >> 8) + u32::from(up))
}

/// `x` shifted by 1 to 31, the last bit set if any bit was lost.
#[inline(always)]
fn shifted_right(x: u32, by: u32) -> u32 {
    x >> by | u32::from(x << (32 - by) != 0)
}
