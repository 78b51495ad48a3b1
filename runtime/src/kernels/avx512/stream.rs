//! One token: each weight is read once, in the order in which the weights lie in the file.
//!
//! Whatever fetches ahead follows one stream best. Zen 4, 110 MB of int8 from memory: 27 GB/s so, 22 with four row
//! blocks side by side. Sums of one row block wait for each other, so every fourth step adds to a sum of its own.
#![allow(unsafe_code, reason = "calls for the features and prefetching")]

use super::{broadcast, for_avx512, load, pair_with_zero, to_array};
use crate::kernels::scalar::finish;
use crate::parallel::Columns;
use crate::tensor::{LANES, MatrixI4, MatrixI8, Row};
use core::arch::x86_64::*;
use core::ops::Range;

/// Bytes from a step to the one that is asked for with it, into the second-level cache; and to the one that is asked for from
/// there into the first. With both, tokens from memory take 10 to 15 % less time than with the first at its best. What is in a
/// cache comes by itself: asked for far ahead as well, it comes 12 % later (15M). Other distances are in `benches/README.md`.
const FAR_I8: usize = 3072;
const FAR_I4: usize = 1024;
const NEAR: usize = 256;

/// Bytes from the scales of a group to those asked for with it, a line at a time: a second stream, too thin for the hardware to
/// run ahead of it. All lines of the next row block at once, before it, cost 1.1B 6 to 10 %.
const AHEAD_SCALES: usize = 512;

/// Sums of one row block.
const CHAINS: usize = 4;

for_avx512! {
    pub(super) fn stream_i8(matrix: &MatrixI8<'_>, row: &Row<'_>, blocks: Range<usize>, out: &mut Columns<'_>) {
        let x = &row.data.as_chunks().0[..matrix.steps()];
        let (x, last_x) = x.as_chunks::<CHAINS>();
        let start = _mm512_set1_epi32(row.total.wrapping_mul(-128));
        let (flip, from_memory) = (_mm512_set1_epi8(-128), matrix.from_memory());
        let out = out.token(0, blocks.start * LANES..blocks.end * LANES).as_chunks_mut().0;
        for (block, out) in matrix.some_blocks(blocks).zip(out) {
            let (weights, last) = block.data.as_chunks::<64>().0.as_chunks::<CHAINS>();
            let mut sums = [_mm512_setzero_si512(); CHAINS];
            sums[0] = start;
            for (weights, x) in weights.iter().zip(x) {
                for i in 0..CHAINS {
                    if from_memory {
                        prefetch::<_MM_HINT_T1, FAR_I8>(&weights[i]);
                    }
                    prefetch::<_MM_HINT_T0, NEAR>(&weights[i]);
                    sums[i] = _mm512_dpbusd_epi32(sums[i], _mm512_xor_si512(load(&weights[i]), flip), broadcast(x[i]));
                }
            }
            for (i, (weights, x)) in last.iter().zip(last_x).enumerate() {
                sums[i] = _mm512_dpbusd_epi32(sums[i], _mm512_xor_si512(load(weights), flip), broadcast(*x));
            }
            let sums = _mm512_add_epi32(_mm512_add_epi32(sums[0], sums[1]), _mm512_add_epi32(sums[2], sums[3]));
            finish(to_array(sums), block.scale, row.scale, out);
        }
    }

    /// `S` steps, or the whole row for 0, are scaled together, or a multiple of them.
    pub(super) fn stream_i4<const S: usize>(
        matrix: &MatrixI4<'_>,
        row: &Row<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        let x = &row.data.as_chunks::<4>().0.as_chunks::<2>().0[..matrix.steps()];
        let shift = (matrix.group() / 8).trailing_zeros() - S.trailing_zeros();
        let from_memory = matrix.from_memory();
        let out = out.token(0, blocks.start * LANES..blocks.end * LANES).as_chunks_mut().0;
        for (block, out) in matrix.some_blocks(blocks).zip(out) {
            let weights = block.data.as_chunks::<64>().0;
            let sums = match S {
                0 => nibbles(_mm512_set1_epi32(row.total.wrapping_mul(-8)), weights, x, from_memory),
                _ => pieces::<S>(weights, x, row.sums, block.group_scale, shift, from_memory),
            };
            finish(to_array(sums), block.scale, row.scale, out);
        }
    }

    /// The sums of pieces of `S` steps, the last of which may be shorter, each scaled as the group of 2^`shift` pieces that it is in.
    #[inline]
    fn pieces<const S: usize>(
        weights: &[[u8; 64]],
        x: &[[[i8; 4]; 2]],
        sums: &[i16],
        scales: &[i8],
        shift: u32,
        from_memory: bool,
    ) -> __m512i {
        let mut total = _mm512_setzero_si512();
        let each_line = ((64 / LANES) << shift) - 1;
        let (scales, offsets) = (scales.as_chunks().0, sums.chunks_exact(S / 2));
        let ((weights, last), (x, last_x)) = (weights.as_chunks::<S>(), x.as_chunks::<S>());
        for (piece, ((weights, x), sums)) in weights.iter().zip(x).zip(offsets.clone()).enumerate() {
            let Some(scale) = scales.get(piece >> shift) else { break };
            if from_memory && piece & each_line == 0 {
                prefetch::<_MM_HINT_T0, AHEAD_SCALES>(scale);
            }
            total = _mm512_dpwssd_epi32(total, nibbles(offset(sums), weights, x, from_memory), pair_with_zero(scale));
        }
        if let Some(sums) = offsets.clone().nth(weights.len())
            && let Some(scale) = scales.get(weights.len() >> shift)
        {
            total = _mm512_dpwssd_epi32(total, nibbles(offset(sums), last, last_x, from_memory), pair_with_zero(scale));
        }
        total
    }

    /// −8 Σ x of a piece, from its sums of 16, in every lane.
    #[inline]
    fn offset(sums: &[i16]) -> __m512i {
        match *sums {
            [low, high] => {
                let sums = _mm512_set1_epi32(bytemuck::cast([low, high]));
                _mm512_dpwssd_epi32(_mm512_setzero_si512(), sums, _mm512_set1_epi16(-8))
            }
            _ => _mm512_set1_epi32(-8 * sums.iter().map(|&sum| i32::from(sum)).sum::<i32>()),
        }
    }

    /// `start + Σ w · x`. The high nibbles stay where they are, which makes their sum 16 times too large: one shift at the end
    /// instead of one for every step.
    #[inline]
    fn nibbles(start: __m512i, weights: &[[u8; 64]], x: &[[[i8; 4]; 2]], from_memory: bool) -> __m512i {
        let (low_mask, high_mask) = (_mm512_set1_epi8(0x0f), _mm512_set1_epi8(0xf0u8 as i8));
        let (mut low, mut high) = (start, _mm512_setzero_si512());
        for (weights, x) in weights.iter().zip(x) {
            if from_memory {
                prefetch::<_MM_HINT_T1, FAR_I4>(weights);
                prefetch::<_MM_HINT_T0, NEAR>(weights);
            }
            let weights = load(weights);
            low = _mm512_dpbusd_epi32(low, _mm512_and_si512(weights, low_mask), broadcast(x[0]));
            high = _mm512_dpbusd_epi32(high, _mm512_and_si512(weights, high_mask), broadcast(x[1]));
        }
        _mm512_add_epi32(low, _mm512_srai_epi32::<4>(high))
    }

    /// Asks for what lies `AHEAD` bytes on, past the end of the row block and of the matrix: the file goes on with what is read
    /// next. Nothing is read where nothing is mapped.
    #[inline]
    fn prefetch<const HINT: i32, const AHEAD: usize>(from: &[impl Copy]) {
        _mm_prefetch::<HINT>(from.as_ptr().cast::<i8>().wrapping_add(AHEAD));
    }
}
