//! What the loops ask of AArch64's vectors.
#![allow(
    unsafe_code,
    reason = "instructions without memory; vectors and the arrays of their bytes are the same"
)]

use super::Multiply;
use crate::tensor::LANES;
use core::arch::aarch64::*;
use core::mem::transmute;

pub(in crate::kernels) type I8x16 = int8x16_t;
pub(in crate::kernels) type I32x4 = int32x4_t;

/// Group scales of 16 rows.
pub(in crate::kernels) type Scales = [int16x8_t; 2];

/// The lower nibbles and the upper ones.
#[inline(always)]
pub(super) fn nibbles<K: Multiply>(_: K, packed: I8x16) -> [I8x16; 2] {
    // SAFETY: a value of `K` proves NEON; no memory is touched.
    unsafe {
        let high = vreinterpretq_s8_u8(vshrq_n_u8::<4>(vreinterpretq_u8_s8(packed)));
        [vandq_s8(packed, vdupq_n_s8(15)), high]
    }
}

/// Scales as they are packed.
#[inline(always)]
pub(super) fn packed_scales<K: Multiply>(_: K, scales: &[i8; LANES]) -> Scales {
    // SAFETY: as many bytes, plain numbers both; a value of `K` proves NEON.
    unsafe {
        let scales: int8x16_t = transmute(*scales);
        [vmovl_s8(vget_low_s8(scales)), vmovl_high_s8(scales)]
    }
}

/// Scales that `Tiles::group_scale` made.
#[inline(always)]
pub(super) fn unpacked_scales<K: Multiply>(_: K, scales: &[i32; LANES]) -> Scales {
    // SAFETY: as many bytes, plain numbers both; a value of `K` proves NEON.
    unsafe {
        let [a, b, c, d]: [int16x8_t; 4] = transmute(*scales);
        [vuzp1q_s16(a, b), vuzp1q_s16(c, d)]
    }
}
