//! Square root, correctly rounded everywhere: the hardware instruction where there is one, else integer arithmetic.
//!
//! IEEE 754 fixes every bit of a square root, so the two forms agree; the software form is compiled and tested on every
//! target.
#![allow(unsafe_code, reason = "the one instruction that `core` offers only as an intrinsic, or not at all")]

/// √x, correctly rounded (error at most ½ ULP, half to even).
///
/// `sqrt(±0) = ±0`, `sqrt(∞) = ∞`; other negative inputs give NaN.
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    hardware::sqrt(x)
}

/// 1 / √x: the square root and the quotient each rounded once. Error at most 1.5 ULP.
///
/// `rsqrt(±0) = ±∞`, `rsqrt(∞) = 0`; other negative inputs give NaN.
#[inline(always)]
pub fn rsqrt(x: f32) -> f32 {
    1.0 / sqrt(x)
}

#[cfg(all(any(target_arch = "x86_64", target_arch = "x86"), target_feature = "sse"))]
mod hardware {
    #[cfg(target_arch = "x86")]
    use core::arch::x86::{_mm_cvtss_f32, _mm_set_ss, _mm_sqrt_ss};
    #[cfg(target_arch = "x86_64")]
    use core::arch::x86_64::{_mm_cvtss_f32, _mm_set_ss, _mm_sqrt_ss};

    #[inline(always)]
    pub(super) fn sqrt(x: f32) -> f32 {
        // SAFETY: the `cfg` of this module establishes that the target has SSE.
        unsafe { _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))) }
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod hardware {
    use core::arch::aarch64::{vdup_n_f32, vget_lane_f32, vsqrt_f32};

    #[inline(always)]
    pub(super) fn sqrt(x: f32) -> f32 {
        // SAFETY: the `cfg` of this module establishes that the target has NEON.
        unsafe { vget_lane_f32::<0>(vsqrt_f32(vdup_n_f32(x))) }
    }
}

#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
mod hardware {
    #[inline(always)]
    pub(super) fn sqrt(x: f32) -> f32 {
        let mut bits = x.to_bits();
        // Through a core register: naming a floating-point operand asks for a feature that bare-metal targets have but
        // do not declare.
        // SAFETY: the hard-float ABI implies a VFP unit, all of which have these instructions; they touch two registers.
        unsafe {
            core::arch::asm!(
                "vmov s0, {bits}",
                "vsqrt.f32 s0, s0",
                "vmov {bits}, s0",
                bits = inout(reg) bits,
                out("s0") _,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        f32::from_bits(bits)
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod hardware {
    use core::arch::wasm32::{f32x4_extract_lane, f32x4_splat, f32x4_sqrt};

    #[inline(always)]
    pub(super) fn sqrt(x: f32) -> f32 {
        f32x4_extract_lane::<0>(f32x4_sqrt(f32x4_splat(x)))
    }
}

#[cfg(not(any(
    all(any(target_arch = "x86_64", target_arch = "x86"), target_feature = "sse"),
    all(target_arch = "aarch64", target_feature = "neon"),
    all(target_arch = "arm", target_abi = "eabihf"),
    all(target_arch = "wasm32", target_feature = "simd128"),
)))]
mod hardware {
    pub(super) use super::sqrt_soft as sqrt;
}

/// The definition of [`sqrt`] in 32-bit integers: the same bits on a core without a square root instruction.
pub fn sqrt_soft(x: f32) -> f32 {
    let bits = x.to_bits();
    if bits & 0x7fff_ffff == 0 || bits == f32::INFINITY.to_bits() {
        return x;
    }
    if bits > f32::INFINITY.to_bits() {
        return f32::NAN;
    }
    // x = mantissa / 2^23 · 2^exponent with 2^23 <= mantissa < 2^24, also for subnormals.
    let shift = bits.leading_zeros().saturating_sub(8);
    let (mantissa, exponent) = if shift > 0 {
        (bits << shift, -126 - shift as i32)
    } else {
        (bits & 0x007f_ffff | 0x0080_0000, (bits >> 23) as i32 - 127)
    };
    // The power of two that is left has to be even.
    let odd = exponent & 1;
    let root = root_25_bits(mantissa << odd);
    // The root has 24 bits and one more to round by. It cannot be a tie: the square of an odd root is odd.
    let exponent_below = ((exponent - odd) / 2 + 127 - 1) as u32;
    f32::from_bits((exponent_below << 23) + ((root + 1) >> 1))
}

/// ⌊√(value · 2^25)⌋ for 2^23 ≤ value < 2^25, one binary digit at a time: 25 steps of shift, compare and subtract.
fn root_25_bits(value: u32) -> u32 {
    let (mut root, mut remainder) = (0, 2 * value);
    for position in (0..25).rev() {
        // The remainder is kept scaled so that a digit d at `position` takes (2 root + d) · d off it.
        let digit = 1 << position;
        let taken = 2 * root + digit;
        if taken <= remainder {
            remainder -= taken;
            root += digit;
        }
        remainder *= 2;
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::sweep::{inputs, max_ulp};

    #[test]
    fn both_forms_have_the_bits_of_the_correctly_rounded_root() {
        for bits in inputs() {
            let x = f32::from_bits(bits);
            // Rounding the f64 root again is innocuous: f64 has more than 2 · 24 + 2 bits.
            let want = f64::from(x).sqrt() as f32;
            for got in [sqrt(x), sqrt_soft(x)] {
                assert!(
                    got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()),
                    "{x:e} {got:e} {want:e}"
                );
            }
        }
    }

    #[test]
    fn sqrt_edges() {
        for root in [sqrt, sqrt_soft] {
            assert_eq!(root(0.0).to_bits(), 0);
            assert_eq!(root(-0.0).to_bits(), 1 << 31);
            assert_eq!(root(f32::INFINITY), f32::INFINITY);
            assert!(
                root(f32::NEG_INFINITY).is_nan()
                    && root(-f32::from_bits(1)).is_nan()
                    && root(f32::NAN).is_nan()
            );
            assert_eq!(root(f32::from_bits(2)), f32::from_bits(0x1a80_0000));
            assert_eq!(root(4.0), 2.0);
        }
    }

    #[test]
    fn rsqrt_error_is_within_the_documented_bound() {
        assert!(max_ulp("rsqrt", rsqrt, |x| 1.0 / x.sqrt()) <= 1.5);
    }

    #[test]
    fn rsqrt_edges() {
        assert_eq!(rsqrt(0.0), f32::INFINITY);
        assert_eq!(rsqrt(-0.0), f32::NEG_INFINITY);
        assert_eq!(rsqrt(f32::INFINITY).to_bits(), 0);
        assert!(rsqrt(-1.0).is_nan() && rsqrt(f32::NAN).is_nan());
        assert_eq!(rsqrt(4.0), 0.5);
    }
}
