//! Sixteen lanes as a vector: loads and stores of what fills one only in part, the reductions of [`lanes`], and the
//! exponential and the rounding that the operations in `floats` share.
//!
//! Two shortcuts in the exponential take fewer operations and round the same: `n · LN2_HI` is exact, so its difference
//! may be fused, and the scaling by 2ⁿ is one `vscalefps`, which rounds once.
//!
//! [`lanes`]: crate::kernels::lanes
#![allow(unsafe_code, reason = "vector loads and stores")]

use super::for_avx512;
use crate::activations::RowMut;
use crate::kernels::lanes::Lanes;
use crate::math::exp::{LN2_HI, LN2_LO, LOG2_E, LOWEST, P2, P3, P4, P5, P6};
use crate::math::round::SHIFT;
use crate::tensor::LANES;
use core::arch::x86_64::*;

/// 64 values as they are rounded: 16-bit integers, two vectors of 32.
pub(super) type Words = [__m512i; 2];

for_avx512! {
    /// [`math::exp_nonpositive`] of each lane.
    #[inline]
    pub(super) fn exp_nonpositive(x: __m512) -> __m512 {
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

    /// The largest magnitude; 0 for none. NaN is passed over.
    #[inline]
    pub(super) fn absmax(x: &[f32]) -> f32 {
        let mut lanes = [_mm512_setzero_ps(); 4];
        for start in (0..x.len()).step_by(64) {
            for i in 0..4 {
                lanes[i] = larger(lanes[i], _mm512_abs_ps(sixteen(x, start + LANES * i)));
            }
        }
        _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(lanes[0], lanes[1]), _mm512_max_ps(lanes[2], lanes[3])))
    }

    /// As [`absmax`], of one vector.
    #[inline]
    pub(super) fn absmax_of_16(x: __m512) -> f32 {
        _mm512_reduce_max_ps(larger(_mm512_setzero_ps(), _mm512_abs_ps(x)))
    }

    /// The larger of each two; `a` if `b` is NaN: `vmaxps` gives its second operand unless the first is larger.
    #[inline]
    pub(super) fn larger(a: __m512, b: __m512) -> __m512 {
        _mm512_max_ps(b, a)
    }

    /// Sum of the lanes by the tree of [`lanes::fold`].
    #[inline]
    pub(super) fn fold(lanes: __m512) -> f32 {
        let a = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps::<1>(lanes));
        let b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let c = _mm_add_ps(b, _mm_movehl_ps(b, b));
        _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)))
    }

    /// Each `x · inverse` as [`crate::quant::round_clamped`] rounds it.
    #[inline]
    pub(super) fn integers(x: __m512, inverse: f32, limit: f32) -> __m512i {
        // A NaN passes the first and becomes −limit in the second.
        let x = _mm512_min_ps(_mm512_set1_ps(limit), _mm512_mul_ps(x, _mm512_set1_ps(inverse)));
        _mm512_cvtps_epi32(_mm512_max_ps(x, _mm512_set1_ps(-limit)))
    }

    /// As [`integers`], in the order that packing leaves.
    #[inline]
    pub(super) fn rounded(x: &[__m512; 4], inverse: f32, limit: f32) -> Words {
        let mut values = [_mm512_setzero_si512(); 4];
        for i in 0..4 {
            values[i] = integers(x[i], inverse, limit);
        }
        [_mm512_packs_epi32(values[0], values[1]), _mm512_packs_epi32(values[2], values[3])]
    }

    /// Both digits of each value, as [`crate::quant::split_wide`] splits it.
    #[inline]
    pub(super) fn digits(values: Words) -> [__m512i; 2] {
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
    pub(super) fn bytes(a: __m512i, b: __m512i) -> __m512i {
        // Packing works in each 128 bits: of every 16 values, four lie in each.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_epi32(order, _mm512_packs_epi16(a, b))
    }

    /// Writes both digits of 64 values a line, of which the low one is worth `unit`.
    #[inline]
    pub(super) fn put_digits(rows: [RowMut<'_>; 2], unit: f32, mut values: impl FnMut(usize) -> Words) {
        let [mut high, mut low] = rows;
        let mut totals = [_mm512_setzero_si512(); 2];
        for line in 0..high.data.len() {
            let [digits_high, digits_low] = digits(values(line));
            totals[0] = put(&mut high, line, digits_high, totals[0]);
            totals[1] = put(&mut low, line, digits_low, totals[1]);
        }
        (*high.total, *low.total) = (_mm512_reduce_add_epi32(totals[0]), _mm512_reduce_add_epi32(totals[1]));
        (*high.scale, *low.scale) = (unit * 255.0, unit);
    }

    /// Writes a line of a row and returns `total` with its sums of four added.
    #[inline]
    pub(super) fn put(row: &mut RowMut<'_>, line: usize, values: __m512i, total: __m512i) -> __m512i {
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
    pub(super) fn sixteen(x: &[f32], start: usize) -> __m512 {
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
    pub(super) fn load(lanes: &Lanes) -> __m512 {
        // SAFETY: there are 16 elements; the load needs no alignment.
        unsafe { _mm512_loadu_ps(lanes.as_ptr()) }
    }

    /// Writes the first `out.len()` lanes, at most all.
    #[inline]
    pub(super) fn store(lanes: __m512, out: &mut [f32]) {
        match out.first_chunk_mut::<LANES>() {
            // SAFETY: there are 16 elements; the store needs no alignment.
            Some(out) => unsafe { _mm512_storeu_ps(out.as_mut_ptr(), lanes) },
            // SAFETY: the mask leaves only the elements of `out`.
            None => unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), first(out.len()), lanes) },
        }
    }

    /// The mask of the first `count` lanes, at most 16.
    #[inline]
    pub(super) fn first(count: usize) -> __mmask16 {
        ((1u32 << count.min(LANES)) - 1) as __mmask16
    }
}
