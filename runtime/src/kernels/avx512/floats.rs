//! The f32 operations that a token of a small model waits for, on whole vectors: the bits of [`lanes`], which says
//! what they mean, without its arrays in memory and loops over what the last vector does not fill.
//!
//! Elements beyond the last are masked off; what they leave in a lane (0, or nothing) is what they are in [`lanes`].
//! Two shortcuts take fewer operations and round the same: `n · LN2_HI` is exact, so its difference may be fused, and
//! the scaling by 2ⁿ is one `vscalefps`, which rounds once.
#![allow(unsafe_code, reason = "vector loads and stores")]

use super::for_avx512;
use crate::activations::RowMut;
use crate::kernels::lanes::{self, Lanes, Softmax};
use crate::math::activation::SILU_LOWEST;
use crate::math::exp::{LN2_HI, LN2_LO, LOG2_E, LOWEST, P2, P3, P4, P5, P6};
use crate::math::{self, round::SHIFT};
use crate::quant::WIDE_MAX;
use crate::tensor::{ActivationsMut, LANES};
use core::arch::x86_64::*;

/// The digits of 64 weights as they are computed: 16-bit integers, two vectors of 32.
type Words = [__m512i; 2];

for_avx512! {
    /// See [`lanes::quantize`].
    pub(super) fn quantize(x: &[f32], token: usize, out: &mut ActivationsMut<'_>) {
        let [mut row] = out.rows_mut(token);
        if let (0..=LANES, [line], []) = (x.len(), &mut *row.data, &*row.sums) {
            (*row.total, *row.scale) = quantize_sixteen(x, line);
            return;
        }
        let (scale, inverse) = lanes::step_of(absmax(x));
        let mut total = _mm512_setzero_si512();
        for line in 0..row.data.len() {
            let mut x16 = [_mm512_setzero_ps(); 4];
            for i in 0..4 {
                x16[i] = sixteen(x, 64 * line + LANES * i);
            }
            let [a, b] = rounded(&x16, inverse, 127.0);
            total = put(&mut row, line, bytes(a, b), total);
        }
        *row.total = _mm512_reduce_add_epi32(total);
        *row.scale = scale;
    }

    /// [`quantize`] of at most 16 elements, a small head's: half the operations. Returns their sum and the scale.
    #[inline]
    fn quantize_sixteen(x: &[f32], line: &mut [i8; 64]) -> (i32, f32) {
        let x = sixteen(x, 0);
        let absmax = _mm512_reduce_max_ps(larger(_mm512_setzero_ps(), _mm512_abs_ps(x)));
        let (scale, inverse) = lanes::step_of(absmax);
        let values = _mm512_cvtepi32_epi8(integers(x, inverse, 127.0));
        // SAFETY: the array has 64 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), _mm512_zextsi128_si512(values)) };
        let fours = _mm_dpbusd_epi32(_mm_setzero_si128(), _mm_set1_epi8(1), values);
        let eights = _mm_add_epi32(fours, _mm_shuffle_epi32::<0b10_11_00_01>(fours));
        let sum = _mm_add_epi32(eights, _mm_shuffle_epi32::<0b01_00_11_10>(eights));
        (_mm_cvtsi128_si32(sum), scale)
    }

    /// See [`lanes::quantize_each`].
    #[inline]
    pub(super) fn quantize_each(x: &[f32], mut put: impl FnMut(usize, [i8; LANES])) -> f32 {
        let (scale, inverse) = lanes::step_of(absmax(x));
        for chunk in 0..x.len().div_ceil(LANES) {
            let values = _mm512_cvtepi32_epi8(integers(sixteen(x, LANES * chunk), inverse, 127.0));
            let mut sixteen = [0; LANES];
            // SAFETY: the array has 16 bytes; the store needs no alignment.
            unsafe { _mm_storeu_si128(sixteen.as_mut_ptr().cast(), values) };
            put(chunk, sixteen);
        }
        scale
    }

    /// See [`lanes::rms_norm`].
    pub(super) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
        let mut squares = _mm512_setzero_ps();
        for start in (0..x.len()).step_by(LANES) {
            let x = sixteen(x, start);
            squares = _mm512_add_ps(squares, _mm512_mul_ps(x, x));
        }
        let inverse = 1.0 / math::sqrt(fold(squares) / x.len() as f32 + epsilon);
        let inverse = _mm512_set1_ps(inverse);
        for (chunk, out) in out.chunks_mut(LANES).enumerate() {
            let (x, weight) = (sixteen(x, LANES * chunk), sixteen(weight, LANES * chunk));
            store(_mm512_mul_ps(_mm512_mul_ps(x, inverse), weight), out);
        }
    }

    /// `gate = silu(gate) · up`: see [`lanes::activate_gated`] and [`math::silu`].
    pub(super) fn silu_gated(gate: &mut [f32], up: &[f32]) {
        let (one, sign) = (_mm512_set1_ps(1.0), _mm512_set1_ps(-0.0));
        for (chunk, gate) in gate.chunks_mut(LANES).enumerate() {
            let x = _mm512_max_ps(_mm512_set1_ps(SILU_LOWEST), sixteen(gate, 0));
            let e = exp_nonpositive(_mm512_or_ps(x, sign));
            let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_setzero_ps());
            let numerator = _mm512_mask_mov_ps(one, negative, e);
            let sigmoid = _mm512_div_ps(numerator, _mm512_add_ps(one, e));
            store(_mm512_mul_ps(_mm512_mul_ps(x, sigmoid), sixteen(up, LANES * chunk)), gate);
        }
    }

    /// See [`lanes::weights_i8`].
    pub(super) fn weights_i8(
        scores: &mut [f32],
        value_scale: &[f32],
        softmax: &mut Softmax,
        skip: usize,
        query: usize,
        out: &mut ActivationsMut<'_>,
    ) {
        let (last, largest) = weigh(scores, value_scale, softmax);
        let (scale, inverse) = lanes::wide_step_of(largest);
        if skip != 0 {
            store(last, scores.as_chunks_mut::<LANES>().1);
        }
        let [mut high, mut low] = out.rows_mut(2 * query);
        let mut totals = [_mm512_setzero_si512(); 2];
        for line in 0..high.data.len() {
            let mut weights = [_mm512_setzero_ps(); 4];
            for i in 0..4 {
                weights[i] = weights_at(scores, last, skip, 64 * line + LANES * i);
            }
            let [digits_high, digits_low] = digits(rounded(&weights, inverse, WIDE_MAX as f32));
            totals[0] = put(&mut high, line, digits_high, totals[0]);
            totals[1] = put(&mut low, line, digits_low, totals[1]);
        }
        (*high.total, *low.total) = (_mm512_reduce_add_epi32(totals[0]), _mm512_reduce_add_epi32(totals[1]));
        (*high.scale, *low.scale) = (scale * 255.0, scale);
    }

    /// Makes weights of the scores, and returns those after the last whole 16, which it does not store: a load that
    /// waits for a masked store takes long; and the largest.
    #[inline]
    fn weigh(scores: &mut [f32], value_scale: &[f32], softmax: &mut Softmax) -> (__m512, f32) {
        let max = _mm512_set1_ps(softmax.raise(most(scores)));
        let (chunks, rest) = scores.as_chunks_mut::<LANES>();
        let (scales, rest_scales) = value_scale.as_chunks::<LANES>();
        let (mut sums, mut largest) = (_mm512_setzero_ps(), _mm512_set1_ps(f32::NEG_INFINITY));
        for (chunk, scales) in chunks.iter_mut().zip(scales) {
            let exp = exp_nonpositive(_mm512_sub_ps(load(chunk), max));
            sums = _mm512_add_ps(sums, exp);
            let weights = _mm512_mul_ps(exp, load(scales));
            largest = larger(largest, weights);
            store(weights, chunk);
        }
        let mut last = _mm512_setzero_ps();
        if !rest.is_empty() {
            let exp = exp_nonpositive(_mm512_sub_ps(sixteen(rest, 0), max));
            let exp = _mm512_maskz_mov_ps(first(rest.len()), exp);
            sums = _mm512_add_ps(sums, exp);
            last = _mm512_mul_ps(exp, sixteen(rest_scales, 0));
            largest = larger(largest, last);
        }
        softmax.add(fold(sums));
        (last, _mm512_reduce_max_ps(largest))
    }

    /// The weights of 16 columns, 0 before column `skip` and after the last. Without `skip`, `last` are those after the
    /// last whole 16.
    #[inline]
    fn weights_at(scores: &[f32], last: __m512, skip: usize, column: usize) -> __m512 {
        if skip == 0 {
            let chunks = scores.as_chunks::<LANES>().0;
            return match chunks.get(column / LANES) {
                Some(chunk) => load(chunk),
                None if column / LANES == chunks.len() => last,
                None => _mm512_setzero_ps(),
            };
        }
        let before = skip.saturating_sub(column);
        if before >= LANES {
            return _mm512_setzero_ps();
        }
        // The lanes before `skip` are those that the shifted mask leaves out.
        let values = sixteen(scores, (column + before).saturating_sub(skip));
        let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let from = _mm512_sub_epi32(lanes, _mm512_set1_epi32(before as i32));
        _mm512_maskz_permutexvar_ps(!first(before), from, values)
    }

    /// [`math::exp_nonpositive`] of each lane.
    #[inline]
    fn exp_nonpositive(x: __m512) -> __m512 {
        let shift = _mm512_set1_ps(SHIFT);
        let x = _mm512_max_ps(_mm512_set1_ps(LOWEST), x);
        let n = _mm512_sub_ps(_mm512_add_ps(_mm512_mul_ps(x, _mm512_set1_ps(LOG2_E)), shift), shift);
        let exact = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN2_HI), x);
        let low = _mm512_mul_ps(n, _mm512_set1_ps(LN2_LO));
        let r = _mm512_sub_ps(exact, low);
        let mut p = _mm512_set1_ps(P6);
        for term in [P5, P4, P3, P2] {
            p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(term));
        }
        let square = _mm512_mul_ps(_mm512_mul_ps(r, r), p);
        let q = _mm512_add_ps(exact, _mm512_sub_ps(square, low));
        _mm512_scalef_ps(_mm512_add_ps(_mm512_set1_ps(1.0), q), n)
    }

    /// The largest of the elements; −∞ for none. NaN is passed over.
    #[inline]
    fn most(x: &[f32]) -> f32 {
        let none = _mm512_set1_ps(f32::NEG_INFINITY);
        let mut lanes = [none; 4];
        let (lines, rest) = x.as_chunks::<64>();
        for line in lines {
            for i in 0..4 {
                lanes[i] = larger(lanes[i], sixteen(line, LANES * i));
            }
        }
        let (chunks, rest) = rest.as_chunks::<LANES>();
        for i in 0..chunks.len() {
            lanes[i] = larger(lanes[i], load(&chunks[i]));
        }
        let last = _mm512_mask_mov_ps(none, first(rest.len()), sixteen(rest, 0));
        lanes[3] = larger(lanes[3], last);
        _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(lanes[0], lanes[1]), _mm512_max_ps(lanes[2], lanes[3])))
    }

    /// The largest magnitude; 0 for none. NaN is passed over.
    #[inline]
    fn absmax(x: &[f32]) -> f32 {
        let mut lanes = [_mm512_setzero_ps(); 4];
        for start in (0..x.len()).step_by(64) {
            for i in 0..4 {
                lanes[i] = larger(lanes[i], _mm512_abs_ps(sixteen(x, start + LANES * i)));
            }
        }
        _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(lanes[0], lanes[1]), _mm512_max_ps(lanes[2], lanes[3])))
    }

    /// The larger of each two; `a` if `b` is NaN: `vmaxps` gives its second operand unless the first is larger.
    #[inline]
    fn larger(a: __m512, b: __m512) -> __m512 {
        _mm512_max_ps(b, a)
    }

    /// Sum of the lanes by the tree of [`lanes::fold`].
    #[inline]
    fn fold(lanes: __m512) -> f32 {
        let a = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps::<1>(lanes));
        let b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let c = _mm_add_ps(b, _mm_movehl_ps(b, b));
        _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)))
    }

    /// Each `x · inverse` as [`crate::quant::round_clamped`] rounds it.
    #[inline]
    fn integers(x: __m512, inverse: f32, limit: f32) -> __m512i {
        // A NaN passes the first and becomes −limit in the second.
        let x = _mm512_min_ps(_mm512_set1_ps(limit), _mm512_mul_ps(x, _mm512_set1_ps(inverse)));
        _mm512_cvtps_epi32(_mm512_max_ps(x, _mm512_set1_ps(-limit)))
    }

    /// As [`integers`], in the order that packing leaves.
    #[inline]
    fn rounded(x: &[__m512; 4], inverse: f32, limit: f32) -> Words {
        let mut values = [_mm512_setzero_si512(); 4];
        for i in 0..4 {
            values[i] = integers(x[i], inverse, limit);
        }
        [_mm512_packs_epi32(values[0], values[1]), _mm512_packs_epi32(values[2], values[3])]
    }

    /// Both digits of each value, as [`crate::quant::split_wide`] splits it.
    #[inline]
    fn digits(values: Words) -> [__m512i; 2] {
        let (mut high, mut low) = (values, values);
        for i in 0..2 {
            // (257 v + 2¹⁵) >> 16 without its products: ⌊(v + ⌊v / 256⌋ + 128) / 256⌋, at most 32 767 before the shift.
            let rest = _mm512_add_epi16(_mm512_srai_epi16::<8>(values[i]), _mm512_set1_epi16(128));
            high[i] = _mm512_srai_epi16::<8>(_mm512_add_epi16(values[i], rest));
            let product = _mm512_sub_epi16(_mm512_slli_epi16::<8>(high[i]), high[i]);
            low[i] = _mm512_sub_epi16(values[i], product);
        }
        [bytes(high[0], high[1]), bytes(low[0], low[1])]
    }

    /// The bytes of [`Words`], in order.
    #[inline]
    fn bytes(a: __m512i, b: __m512i) -> __m512i {
        // Packing works in each 128 bits: of every 16 values, four lie in each.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_epi32(order, _mm512_packs_epi16(a, b))
    }

    /// Writes a line of a row and returns `total` with its sums of four added.
    #[inline]
    fn put(row: &mut RowMut<'_>, line: usize, values: __m512i, total: __m512i) -> __m512i {
        let ones = _mm512_set1_epi8(1);
        // SAFETY: the array has 64 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(row.data[line].as_mut_ptr().cast(), values) };
        if let Some(sums) = row.sums.get_mut(line) {
            let fours = _mm512_dpbusd_epi32(_mm512_setzero_si512(), ones, values);
            let eights = _mm512_add_epi32(fours, _mm512_shuffle_epi32::<0b10_11_00_01>(fours));
            let sixteens = _mm512_add_epi32(eights, _mm512_shuffle_epi32::<0b01_00_11_10>(eights));
            let firsts = _mm512_maskz_compress_epi32(0x1111, sixteens);
            let words = _mm_cvtepi32_epi16(_mm512_castsi512_si128(firsts));
            // SAFETY: the array has 8 bytes; the store needs no alignment.
            unsafe { _mm_storel_epi64(sums.as_mut_ptr().cast(), words) };
        }
        _mm512_dpbusd_epi32(total, ones, values)
    }

    /// The elements of `x` from `start` on, 0 beyond the last.
    #[inline]
    fn sixteen(x: &[f32], start: usize) -> __m512 {
        let x = x.get(start..).unwrap_or_default();
        match (x.first_chunk(), x.len()) {
            (Some(chunk), _) => load(chunk),
            // Where nothing is mapped even a load of no element takes hundreds of cycles.
            (None, 0) => _mm512_setzero_ps(),
            // A head of 8, just computed: a longer load would wait until that is in the cache.
            // SAFETY: there are 8 elements; the load needs no alignment.
            (None, 8) => unsafe { _mm512_zextps256_ps512(_mm256_loadu_ps(x.as_ptr())) },
            // SAFETY: the mask leaves only the elements of `x`.
            (None, len) => unsafe { _mm512_maskz_loadu_ps(first(len), x.as_ptr()) },
        }
    }

    #[inline]
    fn load(lanes: &Lanes) -> __m512 {
        // SAFETY: there are 16 elements; the load needs no alignment.
        unsafe { _mm512_loadu_ps(lanes.as_ptr()) }
    }

    /// Writes the first `out.len()` lanes, at most all.
    #[inline]
    fn store(lanes: __m512, out: &mut [f32]) {
        match out.first_chunk_mut::<LANES>() {
            // SAFETY: there are 16 elements; the store needs no alignment.
            Some(out) => unsafe { _mm512_storeu_ps(out.as_mut_ptr(), lanes) },
            // SAFETY: the mask leaves only the elements of `out`.
            None => unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), first(out.len()), lanes) },
        }
    }

    /// The mask of the first `count` lanes, at most 16.
    #[inline]
    fn first(count: usize) -> __mmask16 {
        ((1u32 << count.min(LANES)) - 1) as __mmask16
    }
}
