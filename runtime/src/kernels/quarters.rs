//! What the AArch64 backends share: a 64-byte step of packed weights as four vectors of 4 rows × 4 columns, sums as
//! four vectors of 4 rows, and the loops around one token, or few, straight from the packed weights.
#![allow(unsafe_code, reason = "vectors and the arrays of their bytes are the same")]

use super::blocked::{Quads, Step};
use super::scalar::finish;
use super::sources::packed_i8;
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8, Row};
use core::arch::aarch64::*;
use core::mem::transmute;
use core::ops::Range;

/// Sums of 16 rows.
pub(super) type Sums = [int32x4_t; 4];

/// Steps of packed nibbles, 16 rows × 8 columns each.
pub(super) type Nibbles<'a> = &'a [[u8; 64]];

/// The activations of steps of 8 columns.
pub(super) type Eights<'a> = &'a [[[i8; 4]; 2]];

/// int8 weights × each of few tokens, `P` at a time: `several` and `one` add the products of a row block to the sums of
/// as many tokens.
#[inline(always)]
pub(super) fn vectors_i8<const P: usize>(
    matrix: &MatrixI8<'_>,
    x: &Activations<'_>,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
    several: impl Fn(&[Step], &[Quads<'_>; P], &mut [[i32; LANES]; P]),
    one: impl Fn(&[Step], &[Quads<'_>; 1], &mut [[i32; LANES]; 1]),
) {
    for block in blocks {
        let (mut token, tokens) = (0, x.tokens());
        while token + P <= tokens {
            token += vectors(matrix, x, block, token, out, &several);
        }
        while token < tokens {
            token += vectors(matrix, x, block, token, out, &one);
        }
    }
}

/// One row block × `P` tokens from `first` on.
#[inline(always)]
fn vectors<const P: usize>(
    matrix: &MatrixI8<'_>,
    x: &Activations<'_>,
    block: usize,
    first: usize,
    out: &mut Columns<'_>,
    add: impl Fn(&[Step], &[Quads<'_>; P], &mut [[i32; LANES]; P]),
) -> usize {
    let (mut quads, mut sums): ([Quads<'_>; P], _) = ([&[]; P], [[0; LANES]; P]);
    for p in 0..P {
        quads[p] = &x.row(first + p).data.as_chunks().0[..matrix.steps()];
    }
    add(packed_i8(matrix, block), &quads, &mut sums);
    for p in 0..P {
        finish(sums[p], matrix.block_scale(block), x.row(first + p).scale, out.block(first + p, block));
    }
    P
}

/// `R` row blocks of int4 weights × one token, `S` steps at a time: `add(sums, weights, x, offset, scale)` adds
/// `scale · (offset + Σ (q + 8) · x)`. Returns `R`.
#[inline(always)]
pub(super) fn vector_i4<const R: usize, const S: usize>(
    matrix: &MatrixI4<'_>,
    row: &Row<'_>,
    block: usize,
    out: &mut Columns<'_>,
    add: impl Fn(&mut Sums, Nibbles<'_>, Eights<'_>, i32, int8x16_t),
) -> usize {
    let steps = matrix.steps();
    let (whole_x, last_x) = row.data.as_chunks().0.as_chunks().0[..steps].as_chunks::<S>();
    let mut weights: [(&[[_; S]], Nibbles<'_>); R] = [(&[], &[]); R];
    let mut scales: [&[[i8; LANES]]; R] = [&[]; R];
    for r in 0..R {
        weights[r] = matrix.block(block + r).as_chunks().0[..steps].as_chunks();
        scales[r] = matrix.block_group_scale(block + r).as_chunks().0;
    }
    // Group widths are powers of two: how often one is twice S steps.
    let doublings = (matrix.group() / (8 * S)).checked_ilog2().unwrap_or_default();
    let scale = |r: usize, chunk: usize| sixteen(scales[r].get(chunk >> doublings).unwrap_or(&[1; LANES]));
    let offset =
        |chunk: usize| -8 * row.sums[chunk * S / 2..][..S / 2].iter().map(|&sum| i32::from(sum)).sum::<i32>();
    let mut sums = [zeros(); R];
    for (chunk, x) in whole_x.iter().enumerate() {
        let offset = offset(chunk);
        for r in 0..R {
            add(&mut sums[r], &weights[r].0[chunk], x, offset, scale(r, chunk));
        }
    }
    if !last_x.is_empty() {
        let chunk = whole_x.len();
        for r in 0..R {
            add(&mut sums[r], weights[r].1, last_x, offset(chunk), scale(r, chunk));
        }
    }
    for r in 0..R {
        finish(to_array(sums[r]), matrix.block_scale(block + r), row.scale, out.block(0, block + r));
    }
    R
}

/// No sums yet.
#[inline(always)]
pub(super) fn zeros() -> Sums {
    sums_of(&[0; LANES])
}

#[inline(always)]
pub(super) fn sums_of(values: &[i32; LANES]) -> Sums {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(*values) }
}

#[inline(always)]
pub(super) fn to_array(sums: Sums) -> [i32; LANES] {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(sums) }
}

/// A step: 4 rows × 4 columns each.
#[inline(always)]
pub(super) fn quarters(step: &Step) -> [int8x16_t; 4] {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(*step) }
}

#[inline(always)]
pub(super) fn sixteen(values: &[i8; LANES]) -> int8x16_t {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(*values) }
}

/// The activations of 16 columns.
#[inline(always)]
pub(super) fn sixteen_of(x: &[[i8; 4]; 4]) -> int8x16_t {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(*x) }
}

/// The activations of 4 columns, four times.
#[inline(always)]
pub(super) fn four_times(x: [i8; 4]) -> int8x16_t {
    sixteen_of(&[x; 4])
}
