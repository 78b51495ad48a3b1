//! The definition of the integer matrix products, in plain loops: always compiled, always tested, and what runs
//! where nothing better is there.

use super::Kernels;
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8, Row};
use core::ops::Range;

/// The backend that every core has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scalar;

impl Kernels for Scalar {
    const NAME: &'static str = "scalar";

    fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    fn matmul_i8(
        self,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        each_block(x, blocks, out, |block, x| (block_i8(matrix, block, x), matrix.block_scale(block)));
    }

    fn matmul_i4(
        self,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        each_block(x, blocks, out, |block, x| (block_i4(matrix, block, x), matrix.block_scale(block)));
    }
}

/// Writes every block × token from the exact sums and row scales that `sums(block, vector)` gives.
fn each_block<'m>(
    x: &Activations<'_>,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
    sums: impl Fn(usize, &Row<'_>) -> ([i32; LANES], &'m [f32; LANES]),
) {
    for block in blocks {
        for token in 0..x.tokens() {
            let x = x.row(token);
            let (sums, row_scale) = sums(block, &x);
            finish(sums, row_scale, x.scale, out.block(token, block));
        }
    }
}

/// `(f32)sum · (row scale · token scale)`: the one way from an exact sum to a result.
#[inline(always)]
pub fn result(sum: i32, row_scale: f32, token_scale: f32) -> f32 {
    sum as f32 * (row_scale * token_scale)
}

/// The results of 16 rows.
#[inline(always)]
pub fn finish(sums: [i32; LANES], row_scale: &[f32; LANES], token_scale: f32, out: &mut [f32; LANES]) {
    // All lanes before any store: compilers then make vectors of them without asking whether `out` overlaps.
    let mut results = [0.0; LANES];
    for l in 0..LANES {
        results[l] = result(sums[l], row_scale[l], token_scale);
    }
    *out = results;
}

/// The four activations of step `step` (columns `4 step ..`).
fn quad<'a>(x: &Row<'a>, step: usize) -> &'a [i8] {
    &x.data[step * 4..][..4]
}

/// Exact row sums of one block × one token. They fit i32 for up to `MAX_COLS_I8` columns.
fn block_i8(matrix: &MatrixI8<'_>, block: usize, x: &Row<'_>) -> [i32; LANES] {
    let mut sums = [0i32; LANES];
    for (step, weights) in matrix.block(block).chunks_exact(64).enumerate() {
        let x = quad(x, step);
        for (sum, w) in sums.iter_mut().zip(weights.chunks_exact(4)) {
            for (&w, &x) in w.iter().zip(x) {
                *sum += i32::from(w) * i32::from(x);
            }
        }
    }
    sums
}

/// Exact row sums of one block × one token. They fit i32 for up to `MAX_COLS_I4` columns of valid scales; a
/// damaged scale of −128 may wrap, defined and harmless.
fn block_i4(matrix: &MatrixI4<'_>, block: usize, x: &Row<'_>) -> [i32; LANES] {
    let steps_per_group = if matrix.group() == 0 { usize::MAX } else { matrix.group() / 8 };
    let scales = matrix.block_group_scale(block);
    let mut sums = [0i32; LANES];
    for (group, weights) in matrix.block(block).chunks(steps_per_group.saturating_mul(64)).enumerate() {
        let mut products = [0i32; LANES];
        for (i, weights) in weights.chunks_exact(64).enumerate() {
            let step = group * steps_per_group.min(matrix.steps()) + i;
            let (low, high) = (quad(x, 2 * step), quad(x, 2 * step + 1));
            for (product, w) in products.iter_mut().zip(weights.chunks_exact(4)) {
                for j in 0..4 {
                    *product += (i32::from(w[j] & 15) - 8) * i32::from(low[j]);
                    *product += (i32::from(w[j] >> 4) - 8) * i32::from(high[j]);
                }
            }
        }
        for l in 0..LANES {
            let scale = if scales.is_empty() { 1 } else { i32::from(scales[group * LANES + l]) };
            sums[l] = sums[l].wrapping_add(products[l].wrapping_mul(scale));
        }
    }
    sums
}
