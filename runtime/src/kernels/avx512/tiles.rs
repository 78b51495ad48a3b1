//! The tiles: `R` row blocks × `T` tokens over a stretch of columns, their sums in registers.
#![allow(unsafe_code, reason = "vector loads and stores, calls for the features and prefetching")]

use super::{Avx512, broadcast, for_avx512, load, pair_with_zero, to_array};
use crate::kernels::blocked::{GROUP, Source, Step, Tile, Unpacked, WIDEST, Weights};
use crate::kernels::sources::{step_i4, steps};
use crate::tensor::{LANES, MatrixI4};
use core::arch::x86_64::*;
use core::ops::Range;

/// int4 weights with group scales, straight from the file.
#[derive(Clone, Copy)]
pub(super) struct Nibbles<'m, 'a>(pub(super) &'m MatrixI4<'a>);

impl Source<Avx512> for Nibbles<'_, '_> {
    const WIDEST: usize = WIDEST / 2;

    fn cols(&self) -> usize {
        self.0.cols()
    }

    fn stretch(_: usize) -> usize {
        usize::MAX
    }

    fn row_scale(&self, block: usize) -> &[f32; LANES] {
        self.0.block_scale(block)
    }

    #[inline(always)]
    fn step(&self, block: usize, column: usize) -> Option<&Step> {
        step_i4(self.0, block, column)
    }

    #[inline(always)]
    fn unpack<const R: usize>(&self, _: usize, _: Range<usize>, _: &mut Unpacked) {}

    #[inline(always)]
    fn tile<const R: usize, const T: usize>(
        &self,
        _: Avx512,
        _: &Unpacked,
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        // SAFETY: the token proves every feature.
        unsafe { nibbles(self.0, tile) }
    }
}

/// Weights that are wanted next.
#[derive(Clone, Copy)]
struct Ahead {
    first: *const i8,
    step: usize,
}

impl Ahead {
    #[inline(always)]
    fn of(first: Option<&Step>) -> Self {
        static NOTHING: Step = [0; 64];
        // Without steps, so that loops have nothing to decide; where nothing is mapped, the core would look for it each time.
        let (first, step) = first.map_or((&NOTHING, 0), |first| (first, size_of::<Step>()));
        Self { first: first.as_ptr().cast(), step }
    }

    /// Asks for step `step`, past the end too: nothing is read where nothing is mapped. It waits in the second-level cache, for the
    /// first is full of what is in use.
    #[inline(always)]
    fn prefetch(self, step: usize) {
        // SAFETY: every core with AVX-512 has the instruction, which has no effect on what a program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(self.first.wrapping_add(step * self.step)) };
    }
}

/// Groups whose offsets are made at a time: as many as a vector has lanes.
const OFFSETS: usize = LANES;

for_avx512! {
    /// Weights of a byte.
    #[inline(never)]
    pub(super) fn plain<W: Weights<R>, const R: usize, const T: usize>(
        _: Avx512,
        weights: W,
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        let (steps, flip) = (weights.steps(), _mm512_set1_epi8(-128));
        let (weights, mut x) = (weights.first(steps), tile.quads(steps));
        for t in 0..T {
            x[t] = &x[t][..steps];
        }
        let ahead = Ahead::of(tile.ahead);
        accumulate(tile, |sums: &mut [[__m512i; T]; R]| {
            for step in 0..steps {
                ahead.prefetch(step);
                let mut w = [_mm512_setzero_si512(); R];
                for r in 0..R {
                    w[r] = load(weights.at(step, r));
                    if W::PACKED {
                        w[r] = _mm512_xor_si512(w[r], flip);
                    }
                }
                for t in 0..T {
                    let x = broadcast(x[t][step]);
                    for r in 0..R {
                        sums[r][t] = _mm512_dpbusd_epi32(sums[r][t], w[r], x);
                    }
                }
            }
        });
    }

    /// Nibbles of a byte each. Within a group the sum fits i16, so the low half of each i32 is all of it, and `vpdpwssd` by the
    /// pair (s, 0) multiplies and adds in one operation.
    #[inline(never)]
    pub(super) fn grouped<const R: usize, const T: usize, const Q: usize>(
        _: Avx512,
        weights: &[[[Step; R]; Q]],
        scales: &[[[i32; LANES]; R]],
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        let groups = weights.len();
        let (scales, mut x) = (&scales[..groups], tile.groups::<Q>(groups));
        let offsets = tile.offsets::<Q>(groups);
        for t in 0..T {
            x[t] = &x[t][..groups];
        }
        let ahead = Ahead::of(tile.ahead);
        accumulate(tile, |sums: &mut [[__m512i; T]; R]| {
            for group in 0..groups {
                let mut products = [[_mm512_setzero_si512(); T]; R];
                for t in 0..T {
                    let offset = _mm512_set1_epi32(offsets[t][group]);
                    for r in 0..R {
                        products[r][t] = offset;
                    }
                }
                for step in 0..Q {
                    ahead.prefetch(Q * group + step);
                    for t in 0..T {
                        let x = broadcast(x[t][group][step]);
                        for r in 0..R {
                            products[r][t] = _mm512_dpbusd_epi32(products[r][t], load(&weights[group][step][r]), x);
                        }
                    }
                }
                for r in 0..R {
                    let scale = load(&scales[group][r]);
                    for t in 0..T {
                        sums[r][t] = _mm512_dpwssd_epi32(sums[r][t], products[r][t], scale);
                    }
                }
            }
        });
    }

    /// As [`grouped`], of packed nibbles in groups of 2 steps of 8 columns, or of 4: wider groups are taken 32 columns at a time with
    /// the same scale.
    #[inline(never)]
    fn nibbles<const R: usize, const T: usize>(
        matrix: &MatrixI4<'_>,
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        let columns = steps(&tile.columns, 8);
        let (width, twos) = if matrix.group() == 16 { (2, 1) } else { (4, 2) };
        let (pairs, groups) = (columns.len(), columns.len().div_ceil(width));
        let mut weights: [&[Step]; R] = [&[]; R];
        let mut scales: [&[[i8; LANES]]; R] = [&[]; R];
        for r in 0..R {
            weights[r] = &matrix.block(tile.block() + r).as_chunks().0[columns.clone()];
            scales[r] = matrix.block_group_scale(tile.block() + r).as_chunks().0;
        }
        let shift = (matrix.group() / (8 * width)).trailing_zeros();
        let quads = tile.quads(2 * pairs);
        let mut x: [&[[[i8; 4]; 2]]; T] = [&[]; T];
        for t in 0..T {
            x[t] = &quads[t].as_chunks().0[..pairs];
        }
        let ahead = Ahead::of(tile.ahead);
        let (sums_of_x, low) = (tile.sums(), _mm512_set1_epi8(0x0f));
        accumulate(tile, |sums: &mut [[__m512i; T]; R]| {
            let mut offsets = [[0; OFFSETS]; T];
            for group in 0..groups {
                if group % OFFSETS == 0 {
                    for t in 0..T {
                        offsets[t] = offsets_of(twos, &sums_of_x[t][group * twos..]);
                    }
                }
                let mut products = [[_mm512_setzero_si512(); T]; R];
                for t in 0..T {
                    let offset = _mm512_set1_epi32(offsets[t][group % OFFSETS]);
                    for r in 0..R {
                        products[r][t] = offset;
                    }
                }
                for pair in group * width..pairs.min((group + 1) * width) {
                    ahead.prefetch(pair);
                    let mut w = [[_mm512_setzero_si512(); 2]; R];
                    for r in 0..R {
                        let packed = load(&weights[r][pair]);
                        let high = _mm512_srli_epi16::<4>(packed);
                        w[r] = [_mm512_and_si512(packed, low), _mm512_and_si512(high, low)];
                    }
                    for half in 0..2 {
                        for t in 0..T {
                            let x = broadcast(x[t][pair][half]);
                            for r in 0..R {
                                products[r][t] = _mm512_dpbusd_epi32(products[r][t], w[r][half], x);
                            }
                        }
                    }
                }
                for r in 0..R {
                    let scale = pair_with_zero(&scales[r][(columns.start / width + group) >> shift]);
                    for t in 0..T {
                        sums[r][t] = _mm512_dpwssd_epi32(sums[r][t], products[r][t], scale);
                    }
                }
            }
        });
    }

    /// −8 Σ x of each of the next groups, from sums of 16, of which a group has one or two.
    #[inline]
    fn offsets_of(each: usize, sums: &[i16]) -> [i32; OFFSETS] {
        let mask = ((1u64 << sums.len().min(OFFSETS * each)) - 1) as __mmask32;
        // SAFETY: the mask leaves only elements of `sums`.
        let mut sums = unsafe { _mm512_maskz_loadu_epi16(mask, sums.as_ptr()) };
        if each == 1 {
            sums = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(sums));
        }
        to_array(_mm512_madd_epi16(sums, _mm512_set1_epi16(-8)))
    }

    /// Starts the sums of a tile, has `products` added and writes them.
    #[inline]
    fn accumulate<P: FnOnce(&mut [[__m512i; T]; R]), const R: usize, const T: usize>(
        tile: &mut Tile<'_, '_, '_, R, T>,
        products: P,
    ) {
        let mut sums = [[_mm512_setzero_si512(); T]; R];
        for t in 0..T {
            let bias = _mm512_set1_epi32(tile.bias(t).unwrap_or(0));
            for r in 0..R {
                sums[r][t] = bias;
            }
        }
        products(&mut sums);
        // The others are what is left over.
        if R == GROUP && T > 1 { write::<P, R, T>(sums, tile) } else { write::<(), R, T>(sums, tile) }
    }

    /// Writes the sums of a tile, or after the last column the results, as `finish` computes them. What the columns before gave
    /// comes last, so that nothing waits for it. `For` tells apart what would otherwise be one function: called from one place
    /// it becomes a part of the tile, and sums stay in registers.
    #[inline]
    fn write<For, const R: usize, const T: usize>(
        mut sums: [[__m512i; T]; R],
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        let (row_scales, scales, last, is_first) = (tile.row_scales, tile.token_scales(), tile.last, tile.is_first());
        let out = tile.outs();
        if !is_first {
            for t in 0..T {
                for r in 0..R {
                    sums[r][t] = _mm512_add_epi32(sums[r][t], load(&out[t][r]));
                }
            }
        }
        if last {
            for r in 0..R {
                let row_scale = _mm512_castsi512_ps(load(row_scales[r]));
                for t in 0..T {
                    let scale = _mm512_mul_ps(row_scale, _mm512_set1_ps(scales[t]));
                    sums[r][t] = _mm512_castps_si512(_mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][t]), scale));
                }
            }
        }
        for (t, out) in out.into_iter().enumerate() {
            for r in 0..R {
                // SAFETY: the array has 64 bytes; the store needs no alignment.
                unsafe { _mm512_storeu_si512(out[r].as_mut_ptr().cast(), sums[r][t]) };
            }
        }
    }
}
