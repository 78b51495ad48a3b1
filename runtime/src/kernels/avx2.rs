//! x86-64 with AVX2 (Haswell, Zen 1 and later): half of a 64-byte step of packed weights at a time.
//!
//! `vpmaddubsw` multiplies unsigned by signed bytes and adds two neighbours to an i16, with saturation that must
//! never happen:
//! - int8: `|w| · (x · sign w)`; a pair is at most 128 · 127 · 2 = 32 512 < 2¹⁵. (|−128| as an unsigned byte is 128;
//!   `x`, within ±127, can change its sign.)
//! - int4: `(q + 8) · x`; a pair is at most 15 · 127 · 2 = 3 810, so that eight steps may be added in i16 (30 480),
//!   modulo 2¹⁶ together with the excess `−8 Σ x` over the eight steps, which goes to the even i16 lane. There it
//!   leaves Σ q · x of its own 16 columns and −8 Σ x of the others' 16: at most 8 · 127 · 32 = 32 512.
#![allow(unsafe_code, reason = "vector loads and stores, and the calls that enter the instruction set")]

use super::Kernels;
use super::blocked::{self, Offsets, Quads, STRETCH, Step, Tile, Tiles, Weights};
use super::features::vector_backend;
use super::scalar::finish;
use super::sources::{Grouped, Packed};
use crate::parallel::Columns;
use crate::tensor::{Activations, BlockI8, LANES, MatrixI4, MatrixI8, Row};
use core::arch::x86_64::*;
use core::ops::Range;

/// Bytes from a group of int4 to those asked for with it, into the second-level cache and from there into the first, and from its
/// scales to theirs: see `avx512/stream.rs`. Here whole groups are asked for, as they lie in memory: asked for step by step, they
/// come a tenth later in files whose weights begin between two (`benches/README.md`). From a cache, or for int8, nothing was faster.
const FAR: usize = 1024;
const NEAR: usize = 256;
const AHEAD_SCALES: usize = 512;

vector_backend! {
    $ for_avx2, is_x86_feature_detected ["avx2" "f16c"];
    /// Proof that the CPU has AVX2.
    pub struct Avx2 = "avx2";
    tiles {
        const FLIP: u8 = 0;

        /// The i16 pair (s, s).
        #[inline(always)]
        fn group_scale(scale: i8) -> i32 {
            i32::from(i16::from(scale) as u16).wrapping_mul(0x1_0001)
        }
    }
    kernels {}
}

for_avx2! {
    fn matmul_i8(
        token: Avx2,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        if x.tokens() != 1 {
            return many_i8(token, matrix, x, blocks, out);
        }
        let row = x.row(0);
        let out = out.token(0, blocks.start * LANES..blocks.end * LANES).as_chunks_mut().0;
        for (block, out) in matrix.some_blocks(blocks).zip(out) {
            vector_i8(block, &row, out);
        }
    }

    fn matmul_i4(
        token: Avx2,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        if x.tokens() == 1 {
            let row = x.row(0);
            for block in blocks {
                match matrix.group() {
                    16 => vector_i4::<2>(matrix, &row, block, out),
                    _ => vector_i4::<4>(matrix, &row, block, out),
                }
            }
        } else {
            many_i4(token, matrix, x, blocks, out);
        }
    }

    /// Several tokens. Not inlined: one token needs none of this memory.
    #[inline(never)]
    fn many_i8(
        token: Avx2,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        blocked::matmul(token, Packed(matrix), x, blocks, out);
    }

    /// As [`many_i8`].
    #[inline(never)]
    fn many_i4(
        token: Avx2,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        match matrix.group() {
            16 => blocked::matmul(token, Grouped::<4>(matrix), x, blocks, out),
            _ => blocked::matmul(token, Grouped::<8>(matrix), x, blocks, out),
        }
    }

    /// One row block × one token, straight from the packed weights, which are read in the order in which they lie: on Zen 4 reading
    /// two blocks at a time takes 1.7 times as long from memory, twice as long from L3.
    #[inline]
    fn vector_i8(block: BlockI8<'_>, row: &Row<'_>, out: &mut [f32; LANES]) {
        let weights: &[[[i8; 32]; 2]] = block.data.as_chunks().0.as_chunks().0;
        let mut sums = [_mm256_setzero_si256(); 2];
        for (weights, x) in weights.iter().zip(row.data.as_chunks().0) {
            let x = broadcast(*x);
            for half in 0..2 {
                let w = load(&weights[half]);
                sums[half] = add_products(sums[half], w, _mm256_abs_epi8(w), x);
            }
        }
        finish(to_array(sums), block.scale, row.scale, out);
    }

    /// One row block × one token; groups of `S` steps of 8 columns.
    #[inline]
    fn vector_i4<const S: usize>(
        matrix: &MatrixI4<'_>,
        row: &Row<'_>,
        block: usize,
        out: &mut Columns<'_>,
    ) {
        let steps = matrix.steps();
        let x = &row.data.as_chunks::<4>().0.as_chunks::<2>().0[..steps];
        let weights: &[[[u8; 32]; 2]] = &matrix.block(block).as_chunks().0.as_chunks().0[..steps];
        let scales = matrix.block_group_scale(block).as_chunks::<LANES>().0;
        // Pieces of `S` steps that share a scale, and a line of scales, as powers of two.
        let shift = (matrix.group() / 8).trailing_zeros().wrapping_sub(S.trailing_zeros());
        let from_memory = matrix.from_memory();
        let each_line = (64 / LANES).unbounded_shl(shift).wrapping_sub(1);
        let mut sums = [_mm256_setzero_si256(); 2];
        let mut add = |piece: usize, products: [__m256i; 2]| {
            let scale = match matrix.group() {
                0 => [_mm256_set1_epi16(1); 2],
                _ => pairs(&scales[piece >> shift]),
            };
            for half in 0..2 {
                sums[half] =
                    _mm256_add_epi32(sums[half], _mm256_madd_epi16(products[half], scale[half]));
            }
        };
        let offset = |piece: usize| match S {
            2 => -8 * i32::from(row.sums[piece]),
            _ => -8 * (i32::from(row.sums[2 * piece]) + i32::from(row.sums[2 * piece + 1])),
        };
        let (full_weights, last_weights) = weights.as_chunks::<S>();
        let (full_x, last_x) = x.as_chunks::<S>();
        for (piece, (weights, x)) in full_weights.iter().zip(full_x).enumerate() {
            if from_memory {
                prefetch(weights);
            }
            if from_memory && piece & each_line == 0 {
                let scale = scales.as_ptr().wrapping_add(piece >> shift);
                _mm_prefetch::<_MM_HINT_T0>(scale.wrapping_byte_add(AHEAD_SCALES).cast());
            }
            add(piece, nibbles(weights, x, offset(piece)));
        }
        if !last_weights.is_empty() {
            let piece = full_weights.len();
            add(piece, nibbles(last_weights, last_x, offset(piece)));
        }
        finish(
            to_array(sums),
            matrix.block_scale(block),
            row.scale,
            out.block(0, block),
        );
    }

    /// Asks for the groups that lie [`FAR`] and [`NEAR`] bytes on, past the end of the row block and of the matrix: the file goes on
    /// with what is read next. Nothing is read where nothing is mapped.
    #[inline]
    fn prefetch<const S: usize>(group: &[[[u8; 32]; 2]; S]) {
        let whole = |ahead: usize| {
            let at = group.as_ptr().cast::<i8>();
            at.map_addr(|at| at.wrapping_add(ahead) & !(size_of_val(group) - 1))
        };
        for step in 0..S {
            _mm_prefetch::<_MM_HINT_T1>(whole(FAR).wrapping_add(64 * step));
            _mm_prefetch::<_MM_HINT_T0>(whole(NEAR).wrapping_add(64 * step));
        }
    }

    /// `offset + Σ w · x` over the steps of a group, as two i16 that add up to it.
    #[inline]
    fn nibbles(weights: &[[[u8; 32]; 2]], x: &[[[i8; 4]; 2]], offset: i32) -> [__m256i; 2] {
        let mask = _mm256_set1_epi8(15);
        let mut sums = [even(offset); 2];
        for (w, x) in weights.iter().zip(x) {
            let [x_low, x_high] = x.map(|x| broadcast(x));
            for half in 0..2 {
                let w = load(&w[half]);
                let low = _mm256_maddubs_epi16(_mm256_and_si256(w, mask), x_low);
                let high = _mm256_and_si256(_mm256_srli_epi16::<4>(w), mask);
                let high = _mm256_maddubs_epi16(high, x_high);
                sums[half] = _mm256_add_epi16(sums[half], _mm256_add_epi16(low, high));
            }
        }
        sums
    }

    /// A tile in parts of one row block × up to four tokens, which is what 16 registers hold.
    #[inline(never)]
    fn plain<W: Weights<R>, const R: usize, const T: usize>(
        _: Avx2,
        weights: W,
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        blocked::in_parts(
            &tile.quads(weights.steps()),
            tile,
            |r, x, sums| plain_part::<W, R, 4>(weights, r, x, sums),
            |r, x, sums| plain_part::<W, R, 1>(weights, r, x, sums),
        );
    }

    #[inline(never)]
    fn plain_part<W: Weights<R>, const R: usize, const P: usize>(
        weights: W,
        r: usize,
        x: &[Quads<'_>; P],
        sums: &mut [[i32; LANES]; P],
    ) {
        let mut acc = [[_mm256_setzero_si256(); 2]; P];
        let (steps, mut x) = (weights.steps(), *x);
        let weights = weights.first(steps);
        for p in 0..P {
            acc[p] = halves(&sums[p]);
            x[p] = &x[p][..steps];
        }
        for step in 0..steps {
            let w = halves(weights.at(step, r));
            let magnitude = [_mm256_abs_epi8(w[0]), _mm256_abs_epi8(w[1])];
            for p in 0..P {
                let x = broadcast(x[p][step]);
                for half in 0..2 {
                    acc[p][half] = add_products(acc[p][half], w[half], magnitude[half], x);
                }
            }
        }
        for p in 0..P {
            sums[p] = to_array(acc[p]);
        }
    }

    #[inline(never)]
    fn grouped<const R: usize, const T: usize, const Q: usize>(
        _: Avx2,
        weights: &[[[Step; R]; Q]],
        scales: &[[[i32; LANES]; R]],
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        let (x, offsets) = (tile.groups(weights.len()), tile.offsets::<Q>(weights.len()));
        let mut sums = tile.start();
        for r in 0..R {
            grouped_part(weights, scales, r, &offsets, &x, &mut sums[r]);
        }
        tile.end(&sums);
    }

    /// One row block. The sums of all groups wait in memory: eight i16 sums, two weights and the activations fill
    /// the registers.
    #[inline(never)]
    fn grouped_part<const R: usize, const T: usize, const Q: usize>(
        weights: &[[[Step; R]; Q]],
        scales: &[[[i32; LANES]; R]],
        r: usize,
        offsets: &Offsets<T>,
        x: &[&[[[i8; 4]; Q]]; T],
        sums: &mut [[i32; LANES]; T],
    ) {
        let (groups, mut x) = (weights.len().min(STRETCH / 16), *x);
        let scales = &scales[..groups];
        for x in &mut x {
            *x = &x[..groups];
        }
        for group in 0..groups {
            let mut products = [[_mm256_setzero_si256(); 2]; T];
            for t in 0..T {
                products[t] = [even(offsets[t][group]); 2];
            }
            for step in 0..Q {
                let w = halves(&weights[group][step][r]);
                for t in 0..T {
                    let x = broadcast(x[t][group][step]);
                    for half in 0..2 {
                        let pairs = _mm256_maddubs_epi16(w[half], x);
                        products[t][half] = _mm256_add_epi16(products[t][half], pairs);
                    }
                }
            }
            let scale = halves(&scales[group][r]);
            for t in 0..T {
                let mut sum = halves(&sums[t]);
                for half in 0..2 {
                    let scaled = _mm256_madd_epi16(products[t][half], scale[half]);
                    sum[half] = _mm256_add_epi32(sum[half], scaled);
                }
                sums[t] = to_array(sum);
            }
        }
    }

    /// `sum + Σ w · x` over four columns of each row; `magnitude` is |w|.
    #[inline]
    fn add_products(sum: __m256i, w: __m256i, magnitude: __m256i, x: __m256i) -> __m256i {
        let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, w));
        _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }

    /// `value`, modulo 2¹⁶, in the even i16 lanes.
    #[inline]
    fn even(value: i32) -> __m256i {
        _mm256_set1_epi32(value & 0xffff)
    }

    #[inline]
    fn broadcast(x: [i8; 4]) -> __m256i {
        _mm256_set1_epi32(i32::from_le_bytes(x.map(|x| x as u8)))
    }

    /// Each scale as the i16 pair (s, s).
    #[inline]
    fn pairs(scale: &[i8; LANES]) -> [__m256i; 2] {
        // SAFETY: the array has 16 bytes; the load needs no alignment.
        let scale = unsafe { _mm_loadu_si128(scale.as_ptr().cast()) };
        [_mm_unpacklo_epi8(scale, scale), _mm_unpackhi_epi8(scale, scale)].map(|s| _mm256_cvtepi8_epi16(s))
    }

    /// 64 bytes as two vectors.
    #[inline]
    fn halves<T: Copy, const N: usize>(values: &[T; N]) -> [__m256i; 2] {
        const { assert!(size_of::<[T; N]>() == 64) };
        let values = values.as_ptr().cast::<__m256i>();
        // SAFETY: the array has 64 bytes (just asserted); the loads need no alignment.
        unsafe { [_mm256_loadu_si256(values), _mm256_loadu_si256(values.add(1))] }
    }

    #[inline]
    fn load<T: Copy>(values: &[T; 32]) -> __m256i {
        const { assert!(size_of::<T>() == 1) };
        // SAFETY: the array has 32 bytes (just asserted); the load needs no alignment.
        unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
    }

    #[inline]
    fn to_array(vectors: [__m256i; 2]) -> [i32; LANES] {
        let mut values = [0; LANES];
        let to = values.as_mut_ptr().cast::<__m256i>();
        // SAFETY: the array has 64 bytes; the stores need no alignment.
        unsafe {
            _mm256_storeu_si256(to, vectors[0]);
            _mm256_storeu_si256(to.add(1), vectors[1]);
        }
        values
    }
}
