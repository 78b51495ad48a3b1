//! What the loops ask of WebAssembly's vectors.
#![allow(unsafe_code, reason = "vectors and the arrays of their bytes are the same")]

use super::Multiply;
use crate::tensor::LANES;
use core::arch::wasm32::*;
use core::mem::transmute;

pub(in crate::kernels) type I8x16 = v128;
pub(in crate::kernels) type I32x4 = v128;

/// Group scales of 16 rows, each twice.
pub(in crate::kernels) type Scales = [v128; 4];

/// The lower nibbles and the upper ones.
#[inline(always)]
pub(super) fn nibbles<K: Multiply>(_: K, packed: I8x16) -> [I8x16; 2] {
    let mask = u8x16_splat(15);
    [v128_and(packed, mask), v128_and(u16x8_shr(packed, 4), mask)]
}

/// Scales as they are packed.
#[inline(always)]
pub(super) fn packed_scales<K: Multiply>(_: K, scales: &[i8; LANES]) -> Scales {
    // SAFETY: as many bytes, plain numbers both.
    let scales: v128 = unsafe { transmute(*scales) };
    let (low, high) = (i16x8_extend_low_i8x16(scales), i16x8_extend_high_i8x16(scales));
    [
        i16x8_shuffle::<0, 0, 1, 1, 2, 2, 3, 3>(low, low),
        i16x8_shuffle::<4, 4, 5, 5, 6, 6, 7, 7>(low, low),
        i16x8_shuffle::<0, 0, 1, 1, 2, 2, 3, 3>(high, high),
        i16x8_shuffle::<4, 4, 5, 5, 6, 6, 7, 7>(high, high),
    ]
}
