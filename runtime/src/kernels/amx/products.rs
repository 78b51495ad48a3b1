//! The loops around the tiles: two row blocks of int8 weights, or the two digits of one of int4, meet all tokens before
//! the next are read.
//!
//! What is left to wait for is memory: with 768 columns and all operands in caches 12 steps take 406 ns, storing,
//! reading and scaling their sums 80, and writing the results 110, or 475 where the results of all tokens do not fit
//! the second-level cache. Fetching the lines of the results before their sums were there won 5 % at most; finishing
//! a tile while the next is multiplied lost 10 % (the two buffers of sums lie 4 KiB apart, so that loads of one seem
//! to hit stores of the other).
#![allow(unsafe_code, reason = "the tile registers are this module's; vector loads and stores")]

use super::tiles::{Second, Sums, Tiles, Weights};
use super::unpack::{Digits, STRETCH};
use crate::kernels::avx512::for_avx512;
use crate::kernels::scalar::finish;
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8};
use core::arch::x86_64::*;
use core::ops::Range;

for_avx512! {
    /// See [`Kernels::matmul_i8`](crate::kernels::Kernels::matmul_i8); at least one column and one token.
    ///
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
            let packed = pair.map(|block| matrix.block(block).as_chunks());
            for (copy, (_, rest)) in rest.iter_mut().zip(packed) {
                copy[..rest.len()].copy_from_slice(rest);
            }
            let weights = Weights {
                whole: packed.map(|(whole, _)| whole),
                rest: (!packed[0].1.is_empty()).then_some(rest.each_ref()),
                second: Second::Signed,
                next: matrix.block(pair[1]).as_ptr_range().end.cast(),
            };
            over_tokens(&tiles, x, 0, &weights, &mut sums, |tokens, sums| {
                for (&block, sums) in pair.iter().zip(sums).take(count) {
                    let row_scale = *matrix.block_scale(block);
                    let scales = &x.scales()[tokens.clone()];
                    let outs = out.blocks(tokens.clone(), block);
                    for ((sums, out), &scale) in sums.iter().zip(outs).zip(scales) {
                        finish(*sums, &row_scale, scale, out);
                    }
                }
            });
        }
    }

    /// See [`Kernels::matmul_i4`](crate::kernels::Kernels::matmul_i4); at least one column and one token.
    ///
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
            let row_scale = *matrix.block_scale(block);
            for start in (0..cols).step_by(stretch) {
                let end = cols.min(start + stretch);
                let weights = Weights {
                    whole: digits.unpack(matrix, block, start..end),
                    rest: None,
                    second: Second::Unsigned,
                    next: matrix.block(block).as_ptr().wrapping_add(end.div_ceil(8) * 64),
                };
                over_tokens(&tiles, x, start, &weights, &mut sums, |tokens, [high, low]| {
                    let scales = &x.scales()[tokens.clone()];
                    let outs = out.blocks(tokens, block);
                    for (((high, low), out), &scale) in high.iter().zip(low).zip(outs).zip(scales) {
                        // Between stretches the exact sums wait in the output, as bits.
                        let before = if start == 0 { [0; LANES] } else { out.map(|sum| sum.to_bits() as i32) };
                        let sums = combined(high, low, &before);
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

    /// `256 · high + low + before`. Left to the compiler, it came out in vectors of four.
    #[inline]
    fn combined(high: &[i32; LANES], low: &[i32; LANES], before: &[i32; LANES]) -> [i32; LANES] {
        let mut sums = [0; LANES];
        // SAFETY: the arrays have 64 bytes; loads and stores need no alignment.
        unsafe {
            let load = |values: &[i32; LANES]| _mm512_loadu_si512(values.as_ptr().cast());
            let digits = _mm512_add_epi32(_mm512_slli_epi32::<8>(load(high)), load(low));
            _mm512_storeu_si512(sums.as_mut_ptr().cast(), _mm512_add_epi32(digits, load(before)));
        }
        sums
    }
}

/// Multiplies all tokens' columns from `column` on by `weights` and hands each tile's tokens and their sums, of both rows
/// of tiles, to `store`.
///
/// The last tiles start earlier if that makes them whole; the tokens they repeat are not handed out again.
#[inline(always)]
fn over_tokens(
    tiles: &Tiles,
    x: &Activations<'_>,
    column: usize,
    weights: &Weights<'_>,
    sums: &mut Sums,
    mut store: impl FnMut(Range<usize>, [&[[i32; LANES]]; 2]),
) {
    let tokens = x.tokens();
    let start = |first: usize| first.min(tokens - tiles.tokens());
    for (index, first) in (0..tokens).step_by(2 * LANES).enumerate() {
        let starts = [start(first), start(first + LANES)];
        if first + LANES < tokens {
            tiles.multiply(x, starts, column, weights, index, sums);
        } else {
            tiles.multiply(x, [starts[0]], column, weights, index, sums);
        }
        for (tile, start) in starts.into_iter().enumerate() {
            let own = first + tile * LANES..tokens.min(first + (tile + 1) * LANES);
            if !own.is_empty() {
                let rows = own.start - start..own.end - start;
                store(own, sums.0[tile].each_ref().map(|sums| &sums[rows.clone()]));
            }
        }
    }
}
