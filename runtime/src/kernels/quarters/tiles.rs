//! Tiles of `blocked` for several tokens on AArch64: of int8 weights as they are packed, of nibbles that were unpacked.
//! Sums over 32 columns of those (16 in groups of 16) fit i16, and each is scaled.

use super::bytes::products_i8;
use super::{Multiply, quarters, sixteen, sums_of, to_array, vectors};
use crate::kernels::blocked::{Offsets, STRETCH, Tile, in_parts};
use crate::kernels::steps::{Quads, Step, Weights};
use crate::tensor::LANES;

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
        let scale = vectors::unpacked_scales(kernels, &scales[group][r]);
        for p in 0..P {
            let mut scaled = sums_of(&sums[p]);
            kernels.add_scaled(&mut scaled, &products[p], offsets[p][group], scale);
            sums[p] = to_array(scaled);
        }
    }
}
