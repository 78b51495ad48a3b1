//! What the AArch64 backends share: a 64-byte step of packed weights as four vectors of 4 rows × 4 columns, and the
//! loops around it. A backend brings only the multiplications of 16 rows × 16 columns.
//!
//! One token, or few, meet the weights as they are packed; for more, `blocked` unpacks nibbles once for all tokens.
//! Everything is inlined into functions compiled for the backend's features, so that sums stay in registers.
#![allow(unsafe_code, reason = "vectors and the arrays of their bytes are the same")]

use super::blocked::{Offsets, Quads, STRETCH, Step, Tile, Weights, in_parts};
use super::scalar::finish;
use crate::parallel::Columns;
use crate::tensor::{Activations, BlockI8, LANES, MatrixI4, MatrixI8, Row};
use core::arch::aarch64::*;
#[cfg(any(feature = "peak", test))]
use core::hint::black_box;
use core::mem::transmute;
use core::ops::Range;

/// Sums of 16 rows.
pub(super) type Sums = [int32x4_t; 4];

/// Weights of 16 rows × 4 columns.
pub(super) type Quarters = [int8x16_t; 4];

/// Columns of a step that is not there.
const NONE: Step = [0; 64];

/// The multiplications of a backend. A value proves that the CPU has its features; all methods must be
/// `#[inline(always)]`, to be compiled for them.
pub(super) trait Multiply: Copy {
    /// 16 columns of activations, as the multiplications take them.
    type Columns: Copy;
    /// Running sums of int8 products, of 16 rows.
    type Bytes: Copy;
    /// Running sums of products with nibbles (`q + 8`), of 16 rows and up to 32 columns.
    type Nibbles: Copy;

    /// 16 columns, loaded.
    fn columns(self, x: int8x16_t) -> Self::Columns;

    /// No products yet.
    fn no_bytes(self) -> Self::Bytes;

    /// Adds the products of 16 columns with each of `P` tokens.
    fn add_bytes<const P: usize>(
        self,
        sums: &mut [Self::Bytes; P],
        weights: [Quarters; 4],
        x: &[Self::Columns; P],
    );

    /// What [`Multiply::add_bytes`] has summed up.
    fn bytes(self, sums: &Self::Bytes) -> Sums;

    /// No products yet, but `offset` if the sums can hold it.
    fn no_nibbles(self, offset: i32) -> Self::Nibbles;

    /// Adds the products of 16 columns with each of `P` tokens.
    fn add_nibbles<const P: usize>(
        self,
        sums: &mut [Self::Nibbles; P],
        weights: [Quarters; 4],
        x: &[Self::Columns; P],
    );

    /// Adds the scale of each row times what [`Multiply::add_nibbles`] has summed up, and the offset; with that it fits
    /// i16.
    fn add_scaled(self, sums: &mut Sums, nibbles: &Self::Nibbles, offset: i32, scales: [int16x8_t; 2]);
}

/// int8 weights × one token.
#[inline(always)]
pub(super) fn vector_i8<K: Multiply>(
    kernels: K,
    matrix: &MatrixI8<'_>,
    row: &Row<'_>,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    let x = [row.data.as_chunks().0];
    let out = out.token(0, blocks.start * LANES..blocks.end * LANES).as_chunks_mut().0;
    for (block, out) in matrix.some_blocks(blocks).zip(out) {
        let [sums] = products_i8(kernels, [steps_of(block.data)], 0, &x);
        finish(to_array(kernels.bytes(&sums)), block.scale, row.scale, out);
    }
}

/// int8 weights × few tokens, `P` at a time.
#[inline(always)]
pub(super) fn few_i8<K: Multiply, const P: usize>(
    kernels: K,
    matrix: &MatrixI8<'_>,
    x: &Activations<'_>,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    for (block, number) in matrix.some_blocks(blocks.clone()).zip(blocks) {
        let mut token = 0;
        while token + P <= x.tokens() {
            some_i8::<K, P>(kernels, block, number, x, token, out);
            token += P;
        }
        for token in token..x.tokens() {
            some_i8::<K, 1>(kernels, block, number, x, token, out);
        }
    }
}

/// Row block `number` × `P` tokens.
#[inline(always)]
fn some_i8<K: Multiply, const P: usize>(
    kernels: K,
    block: BlockI8<'_>,
    number: usize,
    x: &Activations<'_>,
    token: usize,
    out: &mut Columns<'_>,
) {
    let mut quads: [Quads<'_>; P] = [&[]; P];
    for p in 0..P {
        quads[p] = x.row(token + p).data.as_chunks().0;
    }
    let sums = products_i8(kernels, [steps_of(block.data)], 0, &quads);
    for p in 0..P {
        let sums = to_array(kernels.bytes(&sums[p]));
        finish(sums, block.scale, x.scales()[token + p], out.block(token + p, number));
    }
}

#[inline(always)]
fn steps_of(weights: &[i8]) -> &[Step] {
    bytemuck::cast_slice::<i8, u8>(weights).as_chunks().0
}

/// The products of row block `r` × `P` tokens, which end with a whole 16 columns.
#[inline(always)]
fn products_i8<K: Multiply, W: Weights<R>, const R: usize, const P: usize>(
    kernels: K,
    weights: W,
    r: usize,
    x: &[Quads<'_>; P],
) -> [K::Bytes; P] {
    let steps = weights.steps();
    let weights = weights.first(steps);
    let mut fours: [&[[[i8; 4]; 4]]; P] = [&[]; P];
    for p in 0..P {
        fours[p] = &x[p].as_chunks().0[..steps.div_ceil(4)];
    }
    let mut sums = [kernels.no_bytes(); P];
    for four in 0..steps / 4 {
        let columns = fours.map(
            #[inline(always)]
            |x| kernels.columns(sixteen(&x[four])),
        );
        kernels.add_bytes(&mut sums, weights.four(four, r).map(quarters), &columns);
    }
    if !steps.is_multiple_of(4) {
        let columns = fours.map(
            #[inline(always)]
            |x| kernels.columns(sixteen(&x[steps / 4])),
        );
        let mut last = [&NONE; 4];
        for step in steps / 4 * 4..steps {
            last[step % 4] = weights.at(step, r);
        }
        kernels.add_bytes(&mut sums, last.map(quarters), &columns);
    }
    sums
}

/// A tile of int8 weights in parts of one row block × `P` tokens.
#[inline(always)]
pub(super) fn tile_i8<K: Multiply, W: Weights<R>, const R: usize, const T: usize, const P: usize>(
    kernels: K,
    weights: W,
    x: &[Quads<'_>; T],
    tile: &mut Tile<'_, '_, '_, R, T>,
) {
    in_parts(
        x,
        tile,
        #[inline(always)]
        |r, x: &[Quads<'_>; P], sums| part_i8(kernels, weights, r, x, sums),
        #[inline(always)]
        |r, x, sums| part_i8(kernels, weights, r, x, sums),
    );
}

#[inline(always)]
fn part_i8<K: Multiply, W: Weights<R>, const R: usize, const P: usize>(
    kernels: K,
    weights: W,
    r: usize,
    x: &[Quads<'_>; P],
    sums: &mut [[i32; LANES]; P],
) {
    let products = products_i8(kernels, weights, r, x);
    for p in 0..P {
        let products = to_array(kernels.bytes(&products[p]));
        for l in 0..LANES {
            sums[p][l] = sums[p][l].wrapping_add(products[l]);
        }
    }
}

/// int4 weights × few tokens, `H` (1 or 2) times 16 columns at a time. Each row block comes from memory once.
#[inline(always)]
pub(super) fn few_i4<K: Multiply, const H: usize>(
    kernels: K,
    matrix: &MatrixI4<'_>,
    x: &Activations<'_>,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    for block in blocks {
        for token in 0..x.tokens() {
            vector_i4::<K, H>(kernels, matrix, &x.row(token), token, block..block + 1, out);
        }
    }
}

/// int4 weights × one token, `H` (1 or 2) times 16 columns at a time.
#[inline(always)]
pub(super) fn vector_i4<K: Multiply, const H: usize>(
    kernels: K,
    matrix: &MatrixI4<'_>,
    row: &Row<'_>,
    token: usize,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    let steps = matrix.steps();
    let (x, _) = row.data.as_chunks::<4>().0.as_chunks::<4>();
    let whole = &x.as_chunks::<H>().0[..steps / (2 * H)];
    let offsets = &row.sums.as_chunks::<H>().0[..steps.div_ceil(2 * H)];
    // Group widths are powers of two: how often one is twice 16 · H columns.
    let doublings = (matrix.group() / (16 * H)).checked_ilog2().unwrap_or_default();
    let out = out.token(token, blocks.start * LANES..blocks.end * LANES).as_chunks_mut().0;
    for (block, out) in matrix.some_blocks(blocks).zip(out) {
        let weights: &[Step] = block.data.as_chunks().0;
        let scales = block.group_scale.as_chunks().0;
        let mut sums = sums_of(&[0; LANES]);
        let chunks = whole.iter().zip(weights.as_chunks().0.as_chunks::<H>().0).zip(offsets);
        for (chunk, ((x, weights), offset)) in chunks.enumerate() {
            let offset = offset_of(offset);
            let mut products = [kernels.no_nibbles(offset)];
            add_two_steps(kernels, &mut products, weights[0].each_ref(), &x[0]);
            if H == 2 {
                add_two_steps(kernels, &mut products, weights[H - 1].each_ref(), &x[H - 1]);
            }
            kernels.add_scaled(
                &mut sums,
                &products[0],
                offset,
                widened(kernels, scales.get(chunk >> doublings)),
            );
        }
        if let Some(offset) = offsets.get(whole.len()) {
            let offset = offset_of(offset);
            let mut products = [kernels.no_nibbles(offset)];
            let (weights, x) = (&weights[2 * H * whole.len()..], &x[H * whole.len()..]);
            for (weights, x) in weights.chunks(2).zip(x) {
                let steps = [&weights[0], weights.get(1).unwrap_or(&NONE)];
                add_two_steps(kernels, &mut products, steps, x);
            }
            let scale = widened(kernels, scales.get(whole.len() >> doublings));
            kernels.add_scaled(&mut sums, &products[0], offset, scale);
        }
        finish(to_array(sums), block.scale, row.scale, out);
    }
}

/// Adds the products of two steps of nibbles with 16 columns.
#[inline(always)]
fn add_two_steps<K: Multiply>(kernels: K, sums: &mut [K::Nibbles; 1], steps: [&Step; 2], x: &[[i8; 4]; 4]) {
    kernels.add_nibbles(sums, nibbles(kernels, steps), &[kernels.columns(sixteen(x))]);
}

/// A tile of int4 weights in parts of one row block × `P` tokens.
#[inline(always)]
pub(super) fn tile_i4<K: Multiply, const R: usize, const T: usize, const Q: usize, const P: usize>(
    kernels: K,
    weights: &[[[Step; R]; Q]],
    scales: &[[[i32; LANES]; R]],
    offsets: &Offsets<T>,
    x: &[&[[[i8; 4]; Q]]; T],
    tile: &mut Tile<'_, '_, '_, R, T>,
) {
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
        let mut products = [kernels.no_nibbles(0); P];
        for p in 0..P {
            products[p] = kernels.no_nibbles(offsets[p][group]);
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
            kernels.add_scaled(&mut scaled, &products[p], offsets[p][group], scale);
            sums[p] = to_array(scaled);
        }
    }
}

/// Multiplies registers without memory, `P` tokens at a time.
#[cfg(any(feature = "peak", test))]
#[inline(always)]
pub(super) fn multiply_registers<K: Multiply, const P: usize>(kernels: K, turns: usize) {
    let mut sums = [kernels.no_bytes(); P];
    let weights = black_box([quarters(&[3; 64]); 4]);
    for _ in 0..turns {
        // The compiler may not see that all turns are the same.
        let x = kernels.columns(sixteen(&black_box([[5; 4]; 4])));
        kernels.add_bytes(&mut sums, weights, &[x; P]);
    }
    black_box(sums);
}

/// What takes the excess of `q + 8` off: `−8 Σ x`.
#[inline(always)]
fn offset_of(sums: &[i16]) -> i32 {
    -8 * sums
        .iter()
        .map(
            #[inline(always)]
            |&sum| i32::from(sum),
        )
        .sum::<i32>()
}

#[inline(always)]
pub(super) fn sums_of(values: &[i32; LANES]) -> Sums {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(*values) }
}

#[inline(always)]
fn to_array(sums: Sums) -> [i32; LANES] {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(sums) }
}

/// A step: 4 rows × 4 columns each.
#[inline(always)]
fn quarters(step: &Step) -> Quarters {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(*step) }
}

/// The activations of 16 columns.
#[inline(always)]
pub(super) fn sixteen(x: &[[i8; 4]; 4]) -> int8x16_t {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(*x) }
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

/// Scales as they are packed, or 1 where there are none.
#[inline(always)]
fn widened<K: Multiply>(_: K, scales: Option<&[i8; LANES]>) -> [int16x8_t; 2] {
    // SAFETY: as many bytes, plain numbers both; a value of `K` proves NEON.
    unsafe {
        let scales: int8x16_t = transmute(*scales.unwrap_or(&[1; LANES]));
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
