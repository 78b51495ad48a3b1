//! int8 weights: straight from the file for one token, or few; tiles for more.

use super::{Multiply, NONE, quarters, sixteen, to_array};
use crate::kernels::blocked::{Quads, Step, Tile, Weights, in_parts};
use crate::kernels::scalar::finish;
use crate::parallel::Columns;
use crate::tensor::{Activations, BlockI8, LANES, MatrixI8};
use core::ops::Range;

/// int8 weights × one token.
#[inline(always)]
pub(in crate::kernels) fn vector_i8<K: Multiply>(
    kernels: K,
    matrix: &MatrixI8<'_>,
    x: &Activations<'_>,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    let (x, scale) = ([x.data().as_chunks().0], x.scales()[0]);
    let out = out.token(0, blocks.start * LANES..blocks.end * LANES).as_chunks_mut().0;
    for (block, out) in matrix.some_blocks(blocks).zip(out) {
        let [sums] = products_i8(kernels, [steps_of(block.data)], 0, &x);
        finish(to_array(kernels.bytes(&sums)), block.scale, scale, out);
    }
}

/// int8 weights × few tokens, `P` at a time.
#[inline(always)]
pub(in crate::kernels) fn few_i8<K: Multiply, const P: usize>(
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
        // The two digits of one vector.
        if P > 2 && token + 2 <= x.tokens() {
            some_i8::<K, 2>(kernels, block, number, x, token, out);
            token += 2;
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
    let (weights, whole) = (weights.first(steps), steps / 4);
    let mut fours: [&[[[i8; 4]; 4]]; P] = [&[]; P];
    for p in 0..P {
        fours[p] = &x[p].as_chunks().0[..whole];
    }
    let mut sums = [kernels.no_bytes(); P];
    for four in 0..whole {
        let columns = fours.map(
            #[inline(always)]
            |x| kernels.columns(sixteen(&x[four])),
        );
        kernels.add_bytes(&mut sums, weights.four(four, r).map(quarters), &columns);
    }
    if !steps.is_multiple_of(4) {
        let columns = x.map(
            #[inline(always)]
            |x| kernels.columns(sixteen(&x.as_chunks().0[whole])),
        );
        let mut last = [&NONE; 4];
        for (i, last) in last.iter_mut().enumerate() {
            if 4 * whole + i < steps {
                *last = weights.at(4 * whole + i, r);
            }
        }
        kernels.add_bytes(&mut sums, last.map(quarters), &columns);
    }
    sums
}

/// A tile of int8 weights in parts of one row block × `P` tokens.
#[inline(always)]
pub(in crate::kernels) fn tile_i8<
    K: Multiply,
    W: Weights<R>,
    const R: usize,
    const T: usize,
    const P: usize,
>(
    kernels: K,
    weights: W,
    tile: &mut Tile<'_, '_, '_, R, T>,
) {
    in_parts(
        &tile.quads(weights.steps()),
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
