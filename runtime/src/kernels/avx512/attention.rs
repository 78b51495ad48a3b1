//! Attention of one token over a span of one head, in one piece.
//!
//! Step by step, with quantized queries, scores and weights in memory that all heads share, finding and checking every
//! step's operands takes more instructions than the operands themselves where heads are narrow or the context is
//! short: a token of stories260K behind 64 others took 188 thousand so, and takes 132 thousand since it is in one piece.
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
use core::mem::MaybeUninit;

/// The widest head whose quantized query is one line.
const WIDEST: usize = LINE;

/// More queries than this are worth tiles, which read keys and values once for all of them.
const MOST: usize = 2;

/// Elements of a line.
const LINE: usize = 64;

/// Lines of a span's weights.
const LINES: usize = SPAN / LINE;

/// Whether [`attend_head`] takes these.
pub(super) fn takes(span: &HeadSpan<'_>) -> bool {
    span.width() <= WIDEST && span.queries.len() <= MOST * span.width() && span.positions() <= SPAN
}

/// Memory for one query.
struct Room {
    scores: [MaybeUninit<[[f32; LANES]; LINE / LANES]>; LINES],
    digits: [[MaybeUninit<[i8; LINE]>; LINES]; 2],
}

impl Room {
    const EMPTY: Self = Self {
        scores: [const { MaybeUninit::uninit() }; LINES],
        digits: [const { [const { MaybeUninit::uninit() }; LINES] }; 2],
    };
}

/// What is kept of one query between two steps, for the lines of its span.
struct Query<'a> {
    /// Scores, then weights.
    scores: &'a mut [[[f32; LANES]; LINE / LANES]],
    high: Digits<'a>,
    low: Digits<'a>,
}

impl<'a> Query<'a> {
    #[inline(always)]
    fn new(room: &'a mut Room, lines: usize) -> Self {
        let [high, low] = &mut room.digits;
        Self {
            scores: zeroed(&mut room.scores[..lines]),
            high: Digits::new(&mut high[..lines]),
            low: Digits::new(&mut low[..lines]),
        }
    }
}

/// A quantized vector.
struct Digits<'a> {
    data: &'a mut [[i8; LINE]],
    total: i32,
    scale: f32,
}

impl<'a> Digits<'a> {
    #[inline(always)]
    fn new(room: &'a mut [MaybeUninit<[i8; LINE]>]) -> Self {
        Self { data: zeroed(room), total: 0, scale: 0.0 }
    }

    #[inline(always)]
    fn row(&mut self) -> RowMut<'_> {
        RowMut { data: self.data, sums: &mut [], total: &mut self.total, scale: &mut self.scale }
    }

    /// The columns of each step.
    #[inline(always)]
    fn steps(&self, steps: usize) -> &[[i8; 4]] {
        &self.data.as_flattened().as_chunks().0[..steps]
    }
}

/// Writes zeros only where something will be read: in memory for a whole span they take 3 % of a token's time.
#[inline(always)]
fn zeroed<T: bytemuck::Zeroable>(room: &mut [MaybeUninit<T>]) -> &mut [T] {
    for element in &mut *room {
        element.write(T::zeroed());
    }
    // SAFETY: all are written.
    unsafe { room.assume_init_mut() }
}

for_avx512! {
    /// See [`Kernels::attend_head`](crate::kernels::Kernels::attend_head).
    pub(super) fn attend_head(span: &HeadSpan<'_>, softmax: &mut [Softmax], out: &mut [f32]) {
        let (width, lines) = (span.width(), span.positions().div_ceil(LINE));
        let [mut first, mut second] = [Room::EMPTY; MOST];
        let mut queries = [Query::new(&mut first, lines), Query::new(&mut second, lines)];
        // Every query's step before any query's next, for within a query each waits for the one before.
        for (elements, query) in span.queries.chunks_exact(width).zip(&mut queries) {
            score(span, elements, query.scores);
        }
        for (softmax, query) in softmax.iter_mut().zip(&mut queries) {
            weights(span, softmax, query);
        }
        for ((out, softmax), query) in out.chunks_exact_mut(width).zip(softmax).zip(&queries) {
            add_values(span, query, softmax.correction, out);
        }
    }

    /// A query's products with all keys, in whole blocks of 16.
    #[inline]
    fn score(span: &HeadSpan<'_>, query: &[f32], scores: &mut [[[f32; LANES]; LINE / LANES]]) {
        let mut line = [[0; LINE]];
        let mut x = Digits { data: &mut line, total: 0, scale: 0.0 };
        quantize_row(query, x.row());
        let (start, scale) = (_mm512_set1_epi32(x.total.wrapping_mul(-128)), _mm512_set1_ps(x.scale));
        let (x, flip) = (x.steps(span.keys.steps()), _mm512_set1_epi8(-128));
        for ((weights, row_scale), scores) in span.keys.blocks().zip(scores.as_flattened_mut()) {
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
    fn weights(span: &HeadSpan<'_>, softmax: &mut Softmax, query: &mut Query<'_>) {
        let positions = span.positions();
        let scores = query.scores.as_flattened_mut();
        let (last, largest) =
            weigh(&mut scores.as_flattened_mut()[..positions], span.value_scales, softmax);
        // Whole vectors, zeros after the last weight: nothing below asks where that is.
        let mut rest = last;
        for chunk in &mut scores[positions / LANES..] {
            store(rest, chunk);
            rest = _mm512_setzero_ps();
        }
        let step = lanes::wide_step_of(largest);
        put_digits([query.high.row(), query.low.row()], step, |line| {
            let [a, b, c, d] = &query.scores[line];
            [load(a), load(b), load(c), load(d)]
        });
    }

    /// The products of both digits with all values, added to what the spans before left.
    #[inline]
    fn add_values(span: &HeadSpan<'_>, query: &Query<'_>, correction: f32, out: &mut [f32]) {
        let Query { high, low, .. } = query;
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
