//! int4 weights: straight from the file for one token, or few; tiles of nibbles that were unpacked for more. Sums over
//! 32 columns (16 in groups of 16) fit i16, and each is scaled.
#![allow(
    unsafe_code,
    reason = "instructions without memory; vectors and the arrays of their bytes are the same"
)]

use super::{Multiply, NONE, Quarters, Sums, quarters, sixteen, sums_of, to_array};
use crate::kernels::blocked::{Offsets, STRETCH, Step, Tile};
use crate::kernels::scalar::finish;
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, Row};
use core::arch::aarch64::*;
use core::mem::transmute;
use core::ops::Range;

/// int4 weights × few tokens, see [`vector_i4`]. Each row block comes from memory once.
#[inline(always)]
pub(in crate::kernels) fn few_i4<K: Multiply, const H: usize, const EACH: bool>(
    kernels: K,
    matrix: &MatrixI4<'_>,
    x: &Activations<'_>,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    for block in blocks {
        for token in 0..x.tokens() {
            vector_i4::<K, H, EACH>(kernels, matrix, &x.row(token), token, block..block + 1, out);
        }
    }
}

/// int4 weights × one token, `H` (1 or 2) times 16 columns at a time; with `EACH` these are a group.
#[inline(always)]
pub(in crate::kernels) fn vector_i4<K: Multiply, const H: usize, const EACH: bool>(
    kernels: K,
    matrix: &MatrixI4<'_>,
    row: &Row<'_>,
    token: usize,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    let steps = matrix.steps();
    let whole = steps / (2 * H);
    let (x, last_x) = row.data.as_chunks().0.as_chunks().0.as_chunks::<H>().0.split_at(whole);
    let (x_sums, last_x_sums) = row.sums.as_chunks::<H>().0.split_at(whole);
    // Group widths are powers of two: how often one is twice 16 · H columns. A whole row is one group.
    let doublings = (matrix.group() / (16 * H)).checked_ilog2().unwrap_or(usize::BITS - 1);
    let out = out.token(token, blocks.start * LANES..blocks.end * LANES).as_chunks_mut().0;
    for (block, out) in matrix.some_blocks(blocks).zip(out) {
        let (weights, last) = block.data.as_chunks().0.split_at(2 * H * whole);
        let chunks = weights.as_chunks().0.as_chunks::<H>().0.iter().zip(x).zip(x_sums);
        let scales: &[[i8; LANES]] = block.group_scale.as_chunks().0;
        let scales = if EACH || !scales.is_empty() { scales } else { &[[1; LANES]] };
        let mut sums = sums_of(&[0; LANES]);
        if EACH {
            for (((weights, x), x_sums), scale) in chunks.zip(&scales[..whole]) {
                add_chunk(kernels, &mut sums, steps_of(weights), x, x_sums, scale);
            }
        } else {
            for (chunk, ((weights, x), x_sums)) in chunks.enumerate() {
                add_chunk(kernels, &mut sums, steps_of(weights), x, x_sums, &scales[chunk >> doublings]);
            }
        }
        if !last.is_empty() {
            let mut weights = [[&NONE; 2]; H];
            for (i, step) in weights.as_flattened_mut().iter_mut().enumerate() {
                *step = last.get(i).unwrap_or(&NONE);
            }
            add_chunk(kernels, &mut sums, weights, &last_x[0], &last_x_sums[0], &scales[whole >> doublings]);
        }
        finish(to_array(sums), block.scale, row.scale, out);
    }
}

/// The steps of `H` times 16 columns.
#[inline(always)]
fn steps_of<const H: usize>(weights: &[[Step; 2]; H]) -> [[&Step; 2]; H] {
    let mut steps = [[&NONE; 2]; H];
    for h in 0..H {
        steps[h] = weights[h].each_ref();
    }
    steps
}

/// Adds the products of `H` times 16 columns, all of one group.
#[inline(always)]
fn add_chunk<K: Multiply, const H: usize>(
    kernels: K,
    sums: &mut Sums,
    weights: [[&Step; 2]; H],
    x: &[[[i8; 4]; 4]; H],
    x_sums: &[i16; H],
    scale: &[i8; LANES],
) {
    // For each of its uses, of which a backend has one: it would take a register until the second.
    let offset = || match H {
        1 => kernels.offset(-8 * i32::from(x_sums[0])),
        _ => kernels.offset_of([x_sums[0], x_sums[H - 1]]),
    };
    let mut products = [kernels.no_nibbles(offset())];
    for h in 0..H {
        let nibbles = nibbles(kernels, weights[h]);
        kernels.add_nibbles(&mut products, nibbles, &[kernels.columns(sixteen(&x[h]))]);
    }
    kernels.add_scaled(sums, &products[0], offset(), widened(kernels, scale));
}

/// A tile of int4 weights in parts of one row block × `P` tokens.
#[inline(always)]
pub(in crate::kernels) fn tile_i4<
    K: Multiply,
    const R: usize,
    const T: usize,
    const Q: usize,
    const P: usize,
>(
    kernels: K,
    weights: &[[[Step; R]; Q]],
    scales: &[[[i32; LANES]; R]],
    tile: &mut Tile<'_, '_, '_, R, T>,
) {
    let (x, offsets) = (tile.groups(weights.len()), tile.offsets::<Q>(weights.len()));
    let mut sums = tile.start();
    for r in 0..R {
        let ((x, last_x), (offsets, last_offsets)) = (x.as_chunks(), offsets.as_chunks());
        let (sums, last_sums) = sums[r].as_chunks_mut::<P>();
        for ((x, offsets), sums) in x.iter().zip(offsets).zip(sums) {
            part_i4(kernels, weights, scales, r, offsets, x, sums);
        }
        let (x, offsets) = (last_x.as_chunks::<1>().0, last_offsets.as_chunks().0);
        for ((x, offsets), sums) in x.iter().zip(offsets).zip(last_sums.as_chunks_mut().0) {
            part_i4(kernels, weights, scales, r, offsets, x, sums);
        }
    }
    tile.end(&sums);
}

/// One row block × `P` tokens of a tile of int4 weights in groups of `Q` steps, a byte each. The sums of all groups wait
/// in memory: those of one, the weights and the activations fill the registers.
#[inline(always)]
fn part_i4<K: Multiply, const R: usize, const P: usize, const Q: usize>(
    kernels: K,
    weights: &[[[Step; R]; Q]],
    scales: &[[[i32; LANES]; R]],
    r: usize,
    offsets: &Offsets<P>,
    x: &[&[[[i8; 4]; Q]]; P],
    sums: &mut [[i32; LANES]; P],
) {
    let (groups, mut x) = (weights.len().min(STRETCH / 16), *x);
    let scales = &scales[..groups];
    for x in &mut x {
        *x = &x[..groups];
    }
    for group in 0..groups {
        let mut products = [kernels.no_nibbles(kernels.offset(0)); P];
        for p in 0..P {
            products[p] = kernels.no_nibbles(kernels.offset(offsets[p][group]));
        }
        for (four, weights) in weights[group].as_chunks::<4>().0.iter().enumerate() {
            let weights = weights.each_ref().map(
                #[inline(always)]
                |step| quarters(&step[r]),
            );
            let columns = x.map(
                #[inline(always)]
                |x| kernels.columns(sixteen(&x[group].as_chunks().0[four])),
            );
            kernels.add_nibbles(&mut products, weights, &columns);
        }
        let scale = narrowed(kernels, &scales[group][r]);
        for p in 0..P {
            let mut scaled = sums_of(&sums[p]);
            kernels.add_scaled(&mut scaled, &products[p], kernels.offset(offsets[p][group]), scale);
            sums[p] = to_array(scaled);
        }
    }
}

/// The nibbles (`q + 8`) of two steps, in the order of their columns.
#[inline(always)]
fn nibbles<K: Multiply>(_: K, steps: [&Step; 2]) -> [Quarters; 4] {
    let [a, b] = steps.map(quarters);
    let mut nibbles = [a, a, b, b];
    for i in 0..4 {
        // SAFETY: a value of `K` proves NEON; no memory is touched.
        unsafe {
            for (low, packed) in [(0, a), (2, b)] {
                nibbles[low][i] = vandq_s8(packed[i], vdupq_n_s8(15));
                nibbles[low + 1][i] = vreinterpretq_s8_u8(vshrq_n_u8::<4>(vreinterpretq_u8_s8(packed[i])));
            }
        }
    }
    nibbles
}

/// Scales as they are packed.
#[inline(always)]
fn widened<K: Multiply>(_: K, scales: &[i8; LANES]) -> [int16x8_t; 2] {
    // SAFETY: as many bytes, plain numbers both; a value of `K` proves NEON.
    unsafe {
        let scales: int8x16_t = transmute(*scales);
        [vmovl_s8(vget_low_s8(scales)), vmovl_high_s8(scales)]
    }
}

/// Scales that were widened for a tile.
#[inline(always)]
fn narrowed<K: Multiply>(_: K, scales: &[i32; LANES]) -> [int16x8_t; 2] {
    // SAFETY: as many bytes, plain numbers both; a value of `K` proves NEON.
    unsafe {
        let [a, b, c, d]: [int16x8_t; 4] = transmute(*scales);
        [vuzp1q_s16(a, b), vuzp1q_s16(c, d)]
    }
}
