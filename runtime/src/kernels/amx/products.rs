//! The loops around the tiles: pairs of row blocks for int8, the two digits of one row block for int4, each with all
//! tokens before the next is read.
#![allow(unsafe_code, reason = "the tile registers are this function's")]

use super::tiles::{Second, Sums, Tiles, Weights};
use super::unpack::{Digits, STRETCH};
use crate::kernels::avx512::for_avx512;
use crate::kernels::scalar::finish;
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8};
use core::ops::Range;

for_avx512! {
    /// # Safety
    /// - As [`Tiles::configure`].
    pub(super) unsafe fn matmul_i8(
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        // SAFETY: the contract; the tiles go when this function ends, which calls nobody else that uses them.
        let tiles = unsafe { Tiles::configure(x.tokens().min(LANES)) };
        let (mut rest, mut sums) = ([[0; 1024]; 2], Sums::ZERO);
        for block in blocks.clone().step_by(2) {
            // A block without a partner is multiplied twice, and finished once.
            let count = 2.min(blocks.end - block);
            let pair = [block, block + count - 1];
            let tiles_of = pair.map(|block| matrix.block(block).as_chunks::<1024>());
            for (copy, (_, rest)) in rest.iter_mut().zip(tiles_of) {
                copy[..rest.len()].copy_from_slice(rest);
            }
            let weights = Weights {
                whole: tiles_of.map(|(whole, _)| whole),
                rest: (!tiles_of[0].1.is_empty()).then_some(rest.each_ref()),
            };
            over_tokens(&tiles, x, 0, weights, Second::Signed, &mut sums, |tokens, sums| {
                for r in 0..count {
                    let row_scale = *matrix.block_scale(pair[r]);
                    let outs = out.blocks(tokens.clone(), pair[r]);
                    for ((sums, out), &scale) in sums[r].iter().zip(outs).zip(&x.scales()[tokens.clone()]) {
                        finish(*sums, &row_scale, scale, out);
                    }
                }
            });
        }
    }

    /// # Safety
    /// - As [`Tiles::configure`].
    pub(super) unsafe fn matmul_i4(
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        // SAFETY: the contract; the tiles go when this function ends, which calls nobody else that uses them.
        let tiles = unsafe { Tiles::configure(x.tokens().min(LANES)) };
        let (mut digits, mut sums) = (Digits::new(), Sums::ZERO);
        let cols = matrix.cols();
        let stretch = cols.div_ceil(cols.div_ceil(STRETCH)).next_multiple_of(128);
        for block in blocks {
            for start in (0..cols).step_by(stretch) {
                let end = cols.min(start + stretch);
                let weights = Weights { whole: digits.unpack(matrix, block, start..end), rest: None };
                over_tokens(&tiles, x, start, weights, Second::Unsigned, &mut sums, |tokens, [high, low]| {
                    let row_scale = *matrix.block_scale(block);
                    let scales = &x.scales()[tokens.clone()];
                    let outs = out.blocks(tokens, block);
                    for (((high, low), out), &scale) in high.iter().zip(low).zip(outs).zip(scales) {
                        let mut sums = [0; LANES];
                        for l in 0..LANES {
                            let before = if start > 0 { out[l].to_bits() as i32 } else { 0 };
                            sums[l] = (high[l] << 8).wrapping_add(low[l]).wrapping_add(before);
                        }
                        if end == cols {
                            finish(sums, &row_scale, scale, out);
                        } else {
                            *out = sums.map(|sum| f32::from_bits(sum as u32));
                        }
                    }
                });
            }
        }
    }
}

/// Multiplies all tokens by `weights` and hands each tile's tokens and their sums, of both rows of tiles, to `store`.
///
/// The last tiles start earlier if that makes them whole; the tokens they repeat are not handed out again.
#[inline(always)]
fn over_tokens(
    tiles: &Tiles,
    x: &Activations<'_>,
    column: usize,
    weights: Weights<'_>,
    second: Second,
    sums: &mut Sums,
    mut store: impl FnMut(Range<usize>, [&[[i32; LANES]]; 2]),
) {
    let tokens = x.tokens();
    let start = |first: usize| first.min(tokens - tiles.tokens());
    for first in (0..tokens).step_by(2 * LANES) {
        let starts = [start(first), start(first + LANES)];
        if first + LANES < tokens {
            tiles.multiply(x, starts, column, weights, second, sums);
        } else {
            tiles.multiply(x, [starts[0]], column, weights, second, sums);
        }
        for tile in 0..2 {
            let own = first + tile * LANES..tokens.min(first + (tile + 1) * LANES);
            if !own.is_empty() {
                let rows = own.start - starts[tile]..own.end - starts[tile];
                store(own, sums.0[tile].each_ref().map(|sums| &sums[rows.clone()]));
            }
        }
    }
}
