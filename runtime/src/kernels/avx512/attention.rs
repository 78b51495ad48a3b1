//! Attention of one token over a span of one head, in one piece.
//!
//! Step by step, with quantized queries, scores and weights in memory that all heads share, finding and checking every
//! step's operands takes more instructions than the operands themselves where heads are narrow or the context is
//! short: a token of stories260K behind 64 others took 174 thousand so, and takes 118 thousand in one piece.
#![allow(unsafe_code, reason = "vector loads and stores")]

use super::floats::{put_digits, quantize_row, weigh};
use super::vectors::*;
use super::{broadcast, for_avx512, load as load_i32};
use crate::activations::RowMut;
use crate::attention::SPAN;
use crate::kernels::HeadSpan;
use crate::kernels::lanes::{self, Softmax};
use crate::tensor::LANES;
use core::arch::x86_64::*;

/// The widest head whose quantized query is one line.
const WIDEST: usize = 64;

/// More queries than this are worth tiles, which read keys and values once for all of them.
const MOST: usize = 2;

/// Lines of a span's weights.
const LINES: usize = SPAN / 64;

/// Whether [`attend_head`] takes these.
pub(super) fn takes(span: &HeadSpan<'_>) -> bool {
    span.width() <= WIDEST && span.queries.len() <= MOST * span.width() && span.positions() <= SPAN
}

/// A quantized vector of at most `64 N` elements.
struct Line<const N: usize> {
    data: [[i8; 64]; N],
    total: i32,
    scale: f32,
}

impl<const N: usize> Line<N> {
    const EMPTY: Self = Self { data: [[0; 64]; N], total: 0, scale: 0.0 };

    #[inline(always)]
    fn row(&mut self, lines: usize) -> RowMut<'_> {
        RowMut {
            data: &mut self.data[..lines],
            sums: &mut [],
            total: &mut self.total,
            scale: &mut self.scale,
        }
    }

    /// The columns of each step.
    #[inline(always)]
    fn steps(&self, steps: usize) -> &[[i8; 4]] {
        &self.data.as_flattened().as_chunks().0[..steps]
    }
}

for_avx512! {
    /// See [`Kernels::attend_head`](crate::kernels::Kernels::attend_head).
    pub(super) fn attend_head(span: &HeadSpan<'_>, softmax: &mut [Softmax], out: &mut [f32]) {
        let width = span.width();
        let mut scores = [0.0; SPAN];
        let (mut query, mut high, mut low) = (Line::<1>::EMPTY, Line::<LINES>::EMPTY, Line::<LINES>::EMPTY);
        let each = span.queries.chunks_exact(width).zip(softmax).zip(out.chunks_exact_mut(width));
        for ((elements, softmax), out) in each {
            quantize_row(elements, query.row(1));
            score(span, &query, &mut scores);
            weights(span, &mut scores, softmax, &mut high, &mut low);
            add_values(span, &high, &low, softmax.correction, out);
        }
    }

    /// The query's products with all keys, in whole blocks of 16.
    #[inline]
    fn score(span: &HeadSpan<'_>, query: &Line<1>, scores: &mut [f32; SPAN]) {
        let (x, flip) = (query.steps(span.keys.steps()), _mm512_set1_epi8(-128));
        let (start, scale) = (_mm512_set1_epi32(query.total.wrapping_mul(-128)), _mm512_set1_ps(query.scale));
        for ((weights, row_scale), scores) in span.keys.blocks().zip(scores.as_chunks_mut::<LANES>().0) {
            let mut sum = start;
            for (weights, x) in weights.as_chunks::<64>().0.iter().zip(x) {
                sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(load_i32(weights), flip), broadcast(*x));
            }
            let scale = _mm512_mul_ps(load(row_scale), scale);
            store(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale), scores);
        }
    }

    /// Both digits of the weights of all positions.
    #[inline]
    fn weights(
        span: &HeadSpan<'_>,
        scores: &mut [f32; SPAN],
        softmax: &mut Softmax,
        high: &mut Line<LINES>,
        low: &mut Line<LINES>,
    ) {
        let (positions, lines) = (span.positions(), span.positions().div_ceil(64));
        let (last, largest) = weigh(&mut scores[..positions], span.value_scales, softmax);
        // Whole vectors, zeros after the last weight: nothing below asks where that is.
        let chunks = scores.as_chunks_mut::<LANES>().0;
        let mut rest = last;
        for chunk in &mut chunks[positions / LANES..4 * lines] {
            store(rest, chunk);
            rest = _mm512_setzero_ps();
        }
        let chunks = &chunks.as_chunks::<4>().0[..lines];
        let step = lanes::wide_step_of(largest);
        put_digits([high.row(lines), low.row(lines)], step, |line| {
            let [a, b, c, d] = &chunks[line];
            [load(a), load(b), load(c), load(d)]
        });
    }

    /// The products of both digits with all values, added to what the spans before left.
    #[inline]
    fn add_values(
        span: &HeadSpan<'_>,
        high: &Line<LINES>,
        low: &Line<LINES>,
        correction: f32,
        out: &mut [f32],
    ) {
        let (values, correction) = (&span.values, _mm512_set1_ps(correction));
        let (high_x, low_x) = (high.steps(values.steps()), low.steps(values.steps()));
        for ((weights, row_scale), out) in values.blocks().zip(out.chunks_mut(LANES)) {
            let weights = weights.as_chunks::<64>().0;
            let mut sums = [
                [_mm512_set1_epi32(high.total.wrapping_mul(-128)), _mm512_set1_epi32(low.total.wrapping_mul(-128))],
                [_mm512_setzero_si512(); 2],
            ];
            // Two steps at a time: each product waits for the one before it.
            let ((weights, odd_weights), (high_x, odd_high), (low_x, odd_low)) =
                (weights.as_chunks::<2>(), high_x.as_chunks::<2>(), low_x.as_chunks::<2>());
            for ((weights, high_x), low_x) in weights.iter().zip(high_x).zip(low_x) {
                for i in 0..2 {
                    sums[i] = add_products(sums[i], &weights[i], high_x[i], low_x[i]);
                }
            }
            if let ([weights], [high_x], [low_x]) = (odd_weights, odd_high, odd_low) {
                sums[1] = add_products(sums[1], weights, *high_x, *low_x);
            }
            let row_scale = load(row_scale);
            let mut results = [_mm512_setzero_ps(); 2];
            for (i, digit) in [high, low].into_iter().enumerate() {
                let scale = _mm512_mul_ps(row_scale, _mm512_set1_ps(digit.scale));
                results[i] = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(sums[0][i], sums[1][i])), scale);
            }
            let before = _mm512_mul_ps(sixteen(out, 0), correction);
            store(_mm512_add_ps(before, _mm512_add_ps(results[0], results[1])), out);
        }
    }

    /// `sums` of both digits' products and one step's more.
    #[inline]
    fn add_products(sums: [__m512i; 2], weights: &[i8; 64], high: [i8; 4], low: [i8; 4]) -> [__m512i; 2] {
        let weights = _mm512_xor_si512(load_i32(weights), _mm512_set1_epi8(-128));
        [
            _mm512_dpbusd_epi32(sums[0], weights, broadcast(high)),
            _mm512_dpbusd_epi32(sums[1], weights, broadcast(low)),
        ]
    }
}
