//! What a quantized weight means, both ways: rows of f32 to packed integers and scales, and back.
//!
//! Nothing here allocates: the converter hands in 16 rows at a time, the runtime reads single rows.

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

/// Writes row `row` of `matrix`, as f32, to `out` (`[cols]`).
///
/// # Panics
/// If `row` is not a row of the matrix.
pub fn row_to_f32(matrix: &Matrix<'_>, row: usize, out: &mut [f32]) {
    match matrix {
        Matrix::F32(matrix) => out.copy_from_slice(matrix.row(row)),
        Matrix::F16(matrix) => {
            for (out, &bits) in out.iter_mut().zip(matrix.row(row)) {
                *out = crate::kernels::lanes::widen_f16(bits);
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
