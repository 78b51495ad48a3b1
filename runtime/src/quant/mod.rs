//! What a quantized weight means, both ways: rows of f32 to packed integers and scales, and back.
//!
//! Nothing here allocates: the converter hands in 16 rows at a time, the runtime reads single rows. Choosing scales
//! is offline work; that it stands beside the reading keeps one meaning of a packed byte.

mod int4;
mod int8;

pub use int4::{pack_block_i4, pack_digits_i4};
pub use int8::{pack_block_i8, pack_digits_i8};

use crate::tensor::{LANES, Matrix, MatrixI4, MatrixI8};

/// Largest magnitude of a two-digit activation: 127 · 255 + 127.
pub const WIDE_MAX: i32 = 127 * 256;

/// `x` rounded half to even and clamped to ±`limit` (at most 2²²); NaN and infinities give some value within.
#[inline(always)]
pub fn round_clamped(x: f32, limit: i32) -> i32 {
    // Adding 1.5 · 2²³ leaves the rounded integer in the low bits of the sum, by the adder's own rounding.
    const MAGIC: f32 = 12_582_912.0;
    let limit_f = limit as f32;
    let x = if x > limit_f { limit_f } else { x };
    let x = if x > -limit_f { x } else { -limit_f };
    ((x + MAGIC).to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32)
}

/// `value` (within ±[`WIDE_MAX`]) as `[high, low]` with `value = 255 · high + low`, both within ±127.
#[inline(always)]
pub fn split_wide(value: i32) -> [i8; 2] {
    let high = (value * 257 + (1 << 15)) >> 16;
    [high as i8, (value - 255 * high) as i8]
}

/// Rows whose largest magnitude is below this become zeros: the inverse of their scale would not be finite.
pub const LEAST_ABSMAX: f32 = 1e-30;

/// Largest magnitude that int8 and int4 rows take, 2¹²⁶: what comes back, a little more at most, is then finite.
pub const MOST_WEIGHT: f32 = f32::from_bits((126 + 127) << 23);

/// `weights` as IEEE binary16 bits, rounded half to even; magnitudes from 65520 on become infinite.
///
/// # Panics
/// If the lengths differ.
pub fn pack_f16(weights: &[f32], out: &mut [u16]) {
    assert_eq!(weights.len(), out.len(), "one half for each weight");
    for (out, &weight) in out.iter_mut().zip(weights) {
        *out = half::f16::from_f32(weight).to_bits();
    }
}

/// Largest magnitude of `weights`; 0 for none.
#[inline(always)]
fn absmax(weights: &[f32]) -> f32 {
    weights.iter().fold(0.0, |most, weight| if weight.abs() > most { weight.abs() } else { most })
}

/// The rows of one block, 1 to [`LANES`], of `cols` weights each.
#[inline(always)]
fn block_rows<T>(rows: &[T], cols: usize) -> impl Iterator<Item = &[T]> {
    assert!(cols > 0 && rows.len().is_multiple_of(cols), "whole rows");
    assert!((1..=LANES).contains(&(rows.len() / cols)), "1 to 16 rows");
    rows.chunks_exact(cols)
}

/// The f32 with the value of binary16 `bits`, by integer operations and one exact multiplication.
#[inline(always)]
pub fn widen_f16(bits: u16) -> f32 {
    const REBIAS: f32 = f32::from_bits((254 - 15) << 23);
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let value = f32::from_bits(magnitude) * REBIAS;
    let infinite = magnitude >= 0x7c00 << 13;
    let magnitude = if infinite { magnitude | 0x7f80_0000 } else { value.to_bits() };
    f32::from_bits(sign | magnitude)
}

/// Writes row `row` of `matrix`, as f32, to `out` (`[cols]`).
///
/// # Panics
/// If `row` is not a row of the matrix.
pub fn row_to_f32(matrix: &Matrix<'_>, row: usize, out: &mut [f32]) {
    match matrix {
        Matrix::F32(matrix) => out.copy_from_slice(matrix.row(row)),
        Matrix::F16(matrix) => {
            for (out, &bits) in out.iter_mut().zip(matrix.row(row)) {
                *out = widen_f16(bits);
            }
        }
        Matrix::I8(matrix) => row_i8(matrix, row, out),
        Matrix::I4(matrix) => row_i4(matrix, row, out),
    }
}

fn row_i8(matrix: &MatrixI8<'_>, row: usize, out: &mut [f32]) {
    let (block, lane) = (row / LANES, row % LANES);
    let scale = matrix.block_scale(block)[lane];
    let weights = matrix.block(block);
    for (col, out) in out.iter_mut().enumerate() {
        *out = f32::from(weights[col / 4 * 64 + lane * 4 + col % 4]) * scale;
    }
}

fn row_i4(matrix: &MatrixI4<'_>, row: usize, out: &mut [f32]) {
    let (block, lane) = (row / LANES, row % LANES);
    let scale = matrix.block_scale(block)[lane];
    let group_scale = matrix.block_group_scale(block);
    let weights = matrix.block(block);
    for (col, out) in out.iter_mut().enumerate() {
        let byte = weights[col / 8 * 64 + lane * 4 + col % 4];
        let q = i32::from(if col % 8 < 4 { byte & 15 } else { byte >> 4 }) - 8;
        let s = match matrix.group() {
            0 => 1,
            group => i32::from(group_scale[col / group * LANES + lane]),
        };
        *out = (s * q) as f32 * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::MatrixF16;

    #[test]
    fn halves_are_rounded_to_even_and_read_back_exactly() {
        let weights = [0.1, 65504.0, 1.0 / 3.0, 6e-8, 2049.0, -2051.0, 0.0];
        let rounded = [0.099_975_586, 65504.0, 0.333_251_95, 5.960_464_5e-8, 2048.0, -2052.0, 0.0];
        let mut bits = [0; 7];
        pack_f16(&weights, &mut bits);
        let mut back = [0.0; 7];
        row_to_f32(&Matrix::F16(MatrixF16::new(1, 7, &bits).expect("fits")), 0, &mut back);
        assert_eq!(back, rounded);
    }

    #[test]
    fn rounding_is_half_to_even_and_clamped() {
        let cases =
            [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (-2.5, -2), (126.5, 126), (400.0, 127)];
        for (x, rounded) in cases {
            assert_eq!(round_clamped(x, 127), rounded, "{x}");
        }
        assert_eq!(round_clamped(f32::NEG_INFINITY, 127), -127);
        assert!((-127..=127).contains(&round_clamped(f32::NAN, 127)));
    }

    #[test]
    fn two_digits_stand_for_every_wide_value() {
        for value in -WIDE_MAX..=WIDE_MAX {
            let [high, low] = split_wide(value).map(i32::from);
            assert_eq!(255 * high + low, value);
            assert!(high.abs() <= 127 && low.abs() <= 127, "{value}");
        }
    }
}
