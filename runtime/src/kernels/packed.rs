//! Cores with a multiplier of 32 bits and nothing wider (Cortex-M0 and M0+, RV32IM): two products of int4 in a multiplication.
//!
//! A word of weights, shifted and masked with 0x000f_000f, is a + 2¹⁶ b, two columns of a row as `q + 8`. Multiplied by
//! y + 2¹⁶ x, where x goes with a and y with b, it is, modulo 2³², a y + 2¹⁶ (a x + b y): the upper half is what is wanted.
//! Sums of such products over 32 columns keep the halves apart. The lower one is at most 16 · 15 · 127 = 30,480 in magnitude, so
//! that 2¹⁵ added to it makes it one that neither borrows nor carries; the upper one starts from −8 Σ x and ends as Σ q x, at
//! most 32 · 8 · 127 = 32,512, which an arithmetic shift takes out; on the way it may wrap. The word that is not shifted needs no
//! mask: what its product has too much of is a multiple of what the others' masks leave, and taken off their factors. These are
//! made once for all rows, 128 columns at a time.
//!
//! The idea is known for narrower numbers (MCU-MixQ, arXiv 2407.18267). int8 gains nothing from it: a product fills the half.

mod exp;
#[cfg_attr(target_arch = "arm", path = "packed/finish_thumb.rs")]
mod finish;
mod floats;
mod gates;
mod norm;
mod rounding;
#[cfg(not(target_arch = "arm"))]
#[path = "packed/plain.rs"]
mod rows;
#[cfg(target_arch = "arm")]
#[path = "packed/thumb.rs"]
mod rows;
mod stream;
#[cfg_attr(all(target_arch = "riscv32", target_feature = "m"), path = "packed/words_riscv.rs")]
mod words;

use super::lanes;
use super::scalar::Scalar;
use super::softmax::{self, FixedSoftmax, Running};
use super::{Activation, Kernels, Pairing};
use crate::parallel::Columns;
use crate::tensor::{Activations, ActivationsMut, LANES, MatrixI4, MatrixI8};
use core::ops::Range;
use finish::finish;
use rows::Int8;
use stream::Int4;

/// The backend of cores without anything better.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packed;

impl Kernels for Packed {
    const NAME: &'static str = "packed";

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
        if !blocks.clone().take(2).all(|block| is_aligned(matrix.block(block))) {
            return Scalar.matmul_i8(matrix, x, blocks, out);
        }
        let mut stream = Int8::new();
        for token in 0..x.tokens() {
            let row = x.row(token);
            for columns in stretches(matrix.cols(), Int8::MOST) {
                stream.write(&row, columns.clone());
                for block in blocks.clone() {
                    let weights: &[[u32; LANES]] = bytemuck::cast_slice(matrix.block(block));
                    let out = out.block(token, block);
                    stream.add_products(&weights[columns.start / 4..], sums(out, columns.start));
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
        if !blocks.clone().take(2).all(|block| is_aligned(matrix.block(block))) {
            return Scalar.matmul_i4(matrix, x, blocks, out);
        }
        let mut stream = Int4::EMPTY;
        for token in 0..x.tokens() {
            let row = x.row(token);
            for columns in stretches(matrix.cols(), Int4::most(matrix.group())) {
                stream.write(&row, &columns, matrix.group());
                let first_group = columns.start.checked_div(matrix.group());
                for block in blocks.clone() {
                    let weights: &[[u32; LANES]] = bytemuck::cast_slice(matrix.block(block));
                    let scales = matrix.block_group_scale(block).as_chunks().0;
                    let scales = first_group.map_or(&ONES[..], |first| &scales[first..]);
                    let out = out.block(token, block);
                    stream.add_products(&weights[columns.start / 8..], scales, sums(out, columns.start));
                    if columns.end == matrix.cols() {
                        finish(out, matrix.block_scale(block), row.scale);
                    }
                }
            }
        }
    }

    fn quantize(self, x: &[f32], token: usize, out: &mut ActivationsMut<'_>) {
        rounding::quantize(x, token, out);
    }

    fn quantize_wide(self, x: &[f32], vector: usize, out: &mut ActivationsMut<'_>) {
        rounding::quantize_wide(x, vector, out);
    }

    fn quantize_each(self, x: &[f32], put: impl FnMut(usize, [i8; LANES])) -> f32 {
        rounding::quantize_each(x, put)
    }

    fn rms_norm(self, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
        norm::rms_norm(x, weight, epsilon, out);
    }

    fn rotate(self, heads: &mut [f32], width: usize, cos: &[f32], sin: &[f32], pairing: Pairing) {
        floats::rotate(heads, width, cos, sin, pairing);
    }

    fn scale(self, x: &mut [f32], factor: f32) {
        floats::scale(x, factor);
    }

    fn activate_gated(self, activation: Activation, gate: &mut [f32], up: &[f32]) {
        self.activate(activation, gate);
        floats::multiply(gate, up);
    }

    fn add_values(self, sums: &[f32], softmax: &[FixedSoftmax], out: &mut [f32]) {
        floats::add_values(sums, softmax, out);
    }

    fn normalize<M>(self, softmax: &[Running<M>], out: &mut [f32]) {
        let width = out.len() / softmax.len();
        for (out, softmax) in out.chunks_exact_mut(width).zip(softmax) {
            floats::scale(out, 1.0 / softmax.sum);
        }
    }

    fn activate(self, activation: Activation, x: &mut [f32]) {
        match activation {
            Activation::Silu => x.iter_mut().for_each(|x| *x = gates::silu(*x)),
            _ => lanes::activate(activation, x),
        }
    }

    fn weights_i8(
        self,
        scores: &mut [f32],
        value_logs: &[i32],
        softmax: &mut FixedSoftmax,
        skip: usize,
        query: usize,
        out: &mut ActivationsMut<'_>,
    ) {
        softmax::weights_by(floats::whole_steps, scores, value_logs, softmax, skip, query, out);
    }
}

/// The group scales of rows that have none.
const ONES: [[i8; LANES]; 1] = [[1; LANES]];

/// Whether words can be read from it. Files are aligned; slices of bytes need not be. Of blocks, which are all as far apart,
/// the first two tell.
fn is_aligned<T>(bytes: &[T]) -> bool {
    bytes.as_ptr().cast::<u32>().is_aligned()
}

/// The columns of a matrix, at most `most` at a time; of one without columns none, once, so that its results are written.
fn stretches(cols: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..cols.max(1)).step_by(most).map(move |start| start..cols.min(start.saturating_add(most)))
}

/// The exact sums so far of the columns before `start`, kept where the results will be.
fn sums(out: &mut [f32; LANES], start: usize) -> &mut [i32; LANES] {
    let sums = bytemuck::cast_mut(out);
    if start == 0 {
        *sums = [0; LANES];
    }
    sums
}

/// The sign of a float, or the highest bit of a mantissa.
const SIGN: u32 = 1 << 31;

/// The product of mantissas, rounded to 24 bits from its highest on, which is one of the two upper ones; none if it may be a tie.
#[inline(always)]
fn product(a: u32, b: u32) -> Option<u32> {
    if a.wrapping_mul(b) == 0 { None } else { Some(words::nearest(high(a, b))) }
}

/// The upper half of a product.
#[inline(always)]
fn high(a: u32, b: u32) -> u32 {
    ((u64::from(a) * u64::from(b)) >> 32) as u32
}
