//! Cortex-M4, M7, and those M33 that have the DSP extension: two products in an instruction.
//!
//! Activations are widened once for all rows, 256 columns at a time, into a stream on the stack that the loops of
//! [`rows`] read from its beginning to its end; between two such stretches the exact sums wait in the output, as bits.
//! Only cores of which the target says that they have it: [`Dsp`] needs no other proof.
#![allow(unsafe_code, reason = "calls of functions written in assembly")]

mod rows;
mod stream;

use super::Kernels;
use super::scalar::result;
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8};
use core::ops::Range;
use stream::{Int4, Int8, STRETCH};

/// The backend of targets that have the DSP extension.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dsp;

/// A word of each of 16 rows: four columns of int8, or eight of int4.
type Step = [u32; LANES];

impl Kernels for Dsp {
    const NAME: &'static str = "dsp";

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
        let data = blocks.clone().take(2).all(|block| is_aligned(matrix.block(block)));
        if !(data && is_aligned(x.data())) {
            let weight =
                |block, lane, col: usize| i32::from(matrix.block(block)[col / 4 * 64 + lane * 4 + col % 4]);
            return anywhere(matrix.cols(), x, blocks, out, &weight, &|block| matrix.block_scale(block));
        }
        let mut stream = Int8::new();
        for token in 0..x.tokens() {
            let row = x.row(token);
            for columns in stretches(matrix.cols()) {
                stream.write(&row, columns.clone());
                for block in blocks.clone() {
                    let weights = &steps(matrix.block(block))[columns.start / 4..];
                    let out = out.block(token, block);
                    stream.add_products(weights, sums(out, columns.start));
                    if columns.end == matrix.cols() {
                        finish(out, matrix.block_scale(block), row.scale);
                    }
                }
            }
        }
    }

    fn matmul_i4(
        self,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        let data = blocks.clone().take(2).all(|block| is_aligned(matrix.block(block)));
        if !(data && is_aligned(x.data())) {
            let weight = |block, lane, col: usize| {
                let pair = matrix.block(block)[col / 8 * 64 + lane * 4 + col % 4];
                let weight = i32::from(if col & 4 == 0 { pair & 15 } else { pair >> 4 }) - 8;
                let scale = col.checked_div(matrix.group()).map(|group| group * LANES + lane);
                weight * scale.map_or(1, |at| i32::from(matrix.block_group_scale(block)[at]))
            };
            return anywhere(matrix.cols(), x, blocks, out, &weight, &|block| matrix.block_scale(block));
        }
        let mut stream = Int4::new();
        for token in 0..x.tokens() {
            let row = x.row(token);
            for columns in stretches(matrix.cols()) {
                stream.write(&row, columns.clone(), matrix.group());
                let first_group = columns.start.checked_div(matrix.group());
                for block in blocks.clone() {
                    let weights = &steps(matrix.block(block))[columns.start / 8..];
                    let scales = matrix.block_group_scale(block).as_chunks().0;
                    let scales = first_group.map_or(&ONES[..], |first| &scales[first..]);
                    let out = out.block(token, block);
                    stream.add_products(weights, scales, sums(out, columns.start));
                    if columns.end == matrix.cols() {
                        finish(out, matrix.block_scale(block), row.scale);
                    }
                }
            }
        }
    }
}

/// The same of weights or vectors that may lie anywhere, one product at a time, by `weight(block, lane, column)` with its group's
/// scale. The exact sums are those of [`scalar`](super::scalar), which for both encodings is five times the code, and a sum
/// that a damaged scale makes wrap does so here too.
#[cold]
#[inline(never)]
fn anywhere<'m>(
    cols: usize,
    x: &Activations<'_>,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
    weight: &dyn Fn(usize, usize, usize) -> i32,
    row_scale: &dyn Fn(usize) -> &'m [f32; LANES],
) {
    for block in blocks {
        let row_scale = row_scale(block);
        for token in 0..x.tokens() {
            let row = x.row(token);
            for (lane, out) in out.block(token, block).iter_mut().enumerate() {
                let products = row.data.iter().take(cols).enumerate();
                let sum = products.fold(0, |sum: i32, (col, &x)| {
                    sum.wrapping_add(weight(block, lane, col).wrapping_mul(i32::from(x)))
                });
                *out = result(sum, row_scale[lane], row.scale);
            }
        }
    }
}

/// The group scales of rows that have none: of whole units, and of the steps after them.
const ONES: [[i8; LANES]; 2] = [[1; LANES]; 2];

/// Whether words can be read from it. Files and arenas are aligned; slices of bytes need not be. Of blocks, which are all as
/// far apart, the first two tell.
fn is_aligned<T>(bytes: &[T]) -> bool {
    bytes.as_ptr().cast::<u32>().is_aligned()
}

/// Packed weights that are aligned, a step at a time.
fn steps<T: bytemuck::Pod>(weights: &[T]) -> &[Step] {
    bytemuck::cast_slice(weights)
}

/// The columns of a matrix, [`STRETCH`] at a time; of one without columns none, once, so that its results are written.
fn stretches(cols: usize) -> impl Iterator<Item = Range<usize>> {
    (0..cols.max(1)).step_by(STRETCH).map(move |start| start..cols.min(start + STRETCH))
}

/// The exact sums so far of the columns before `start`, kept where the results will be.
fn sums(out: &mut [f32; LANES], start: usize) -> &mut [i32; LANES] {
    let sums = bytemuck::cast_mut(out);
    if start == 0 {
        *sums = [0; LANES];
    }
    sums
}

/// Makes results of exact sums. Four to a turn: compilers that save space do not unroll loops.
fn finish(out: &mut [f32; LANES], row_scale: &[f32; LANES], token_scale: f32) {
    let result = |out: &mut f32, row_scale| *out = result(out.to_bits() as i32, row_scale, token_scale);
    for ([a, b, c, d], scale) in out.as_chunks_mut().0.iter_mut().zip(row_scale.as_chunks::<4>().0) {
        result(a, scale[0]);
        result(b, scale[1]);
        result(c, scale[2]);
        result(d, scale[3]);
    }
}
