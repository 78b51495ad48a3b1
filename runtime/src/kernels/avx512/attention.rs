//! Attention of one token over a span of one head, in one piece.
//!
//! Step by step, with quantized queries, scores and weights in memory that all heads share, finding and checking every
//! step's operands takes more instructions than the operands themselves where heads are narrow or the context is
//! short: a token of stories260K behind 64 others took 188 thousand so, and takes 129 thousand in one piece.
#![allow(unsafe_code, reason = "vector loads and stores")]

use super::floats::quantize_row;
use super::softmax::{Most, some_integers, steps, weigh};
use super::vectors::*;
use super::{broadcast, for_avx512, load as load_i32};
use crate::activations::RowMut;
use crate::attention::SPAN;
use crate::kernels::HeadSpan;
use crate::kernels::softmax::FixedSoftmax;
use crate::tensor::LANES;
use core::arch::x86_64::*;
use core::mem::MaybeUninit;

/// The widest head whose quantized query is one line.
const WIDEST: usize = LINE;

/// More queries than this are worth tiles, which read keys and values once for all of them.
const MOST: usize = 8;

/// Queries that are worked on together.
const PAIR: usize = 2;

/// Elements of a line.
const LINE: usize = 64;

/// Lines of a span's weights.
const LINES: usize = SPAN / LINE;

/// Whether [`attend_head`] takes these.
pub(super) fn takes(span: &HeadSpan<'_>) -> bool {
    span.width() <= WIDEST && span.queries.len() <= MOST * span.width() && span.positions() <= SPAN
}

/// What [`steps`] makes of 16 scores.
type Steps = [[i32; LANES]; 2];

/// Memory for one query.
struct Room {
    steps: [MaybeUninit<Steps>; SPAN / LANES],
    digits: [[MaybeUninit<[i8; LINE]>; LINES]; 2],
}

impl Room {
    const EMPTY: Self = Self {
        steps: [const { MaybeUninit::uninit() }; SPAN / LANES],
        digits: [const { [const { MaybeUninit::uninit() }; LINES] }; 2],
    };
}

/// What is kept of one query between two steps, for the lines of its span.
struct Query<'a> {
    /// Written by [`score`].
    steps: &'a mut [MaybeUninit<Steps>],
    most: Most,
    high: Digits<'a>,
    low: Digits<'a>,
}

impl<'a> Query<'a> {
    #[inline(always)]
    fn new(room: &'a mut Room, positions: usize) -> Self {
        let lines = positions.div_ceil(LINE);
        let [high, low] = &mut room.digits;
        Self {
            steps: &mut room.steps[..positions.div_ceil(LANES)],
            most: Most::none(),
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
    pub(super) fn attend_head(span: &HeadSpan<'_>, softmax: &mut [FixedSoftmax], out: &mut [f32]) {
        match softmax {
            [one] => attend([one], span, out),
            [one, other] => attend([one, other], span, out),
            _ => attend_pairs(span, softmax, out),
        }
    }

    /// Pair by pair. Not inlined: of one pair the loop takes 3 % of a token of stories260K.
    #[inline(never)]
    fn attend_pairs(span: &HeadSpan<'_>, softmax: &mut [FixedSoftmax], out: &mut [f32]) {
        let (len, mut span) = (PAIR * span.width(), *span);
        let (queries, out) = (span.queries.chunks(len), out.chunks_mut(len));
        for ((softmax, queries), out) in softmax.chunks_mut(PAIR).zip(queries).zip(out) {
            span.queries = queries;
            attend_head(&span, softmax, out);
            // Asked for once.
            span.next = 0;
        }
    }

    /// Every query's step before any query's next, for within a query each waits for the one before; keys and values are
    /// loaded once for all.
    #[inline]
    fn attend<const N: usize>(softmax: [&mut FixedSoftmax; N], span: &HeadSpan<'_>, out: &mut [f32]) {
        let mut rooms = [const { Room::EMPTY }; N];
        let mut queries = rooms.each_mut().map(|room| Query::new(room, span.positions()));
        score(span, &mut queries);
        let mut corrections = [_mm512_setzero_ps(); N];
        for (i, softmax) in softmax.into_iter().enumerate() {
            let Query { steps, most, high, low } = &mut queries[i];
            // SAFETY: arrays of 16 integers; loads need no alignment.
            let load = |steps: &[i32; LANES]| unsafe { _mm512_loadu_si512(steps.as_ptr().cast()) };
            weigh(*most, steps.len(), softmax, [high.row(), low.row()], |chunk| {
                // SAFETY: every block of keys has been scored, and has its steps.
                unsafe { steps[chunk].assume_init_ref() }.each_ref().map(load)
            });
            corrections[i] = _mm512_set1_ps(softmax.correction);
        }
        add_values(span, &queries, corrections, out);
    }

    /// The queries' products with all keys, as steps.
    #[inline]
    fn score<const N: usize>(span: &HeadSpan<'_>, queries: &mut [Query<'_>; N]) {
        let (mut starts, mut scales) = ([_mm512_setzero_si512(); N], [_mm512_setzero_ps(); N]);
        let mut x = [[[0; 4]; N]; LINE / 4];
        for (i, elements) in span.queries.chunks_exact(span.width()).enumerate().take(N) {
            let mut line = [[0; LINE]];
            let mut digits = Digits { data: &mut line, total: 0, scale: 0.0 };
            quantize_row(elements, digits.row());
            (starts[i], scales[i]) =
                (_mm512_set1_epi32(digits.total.wrapping_mul(-128)), _mm512_set1_ps(digits.scale));
            for (x, digits) in x.iter_mut().zip(digits.steps(LINE / 4)) {
                x[i] = *digits;
            }
        }
        let flip = _mm512_set1_epi8(-128);
        for (block, (weights, row_scale)) in span.keys.blocks().enumerate() {
            let mut sums = starts;
            for (weights, x) in weights.as_chunks::<64>().0.iter().zip(&x) {
                ask(weights, span.next);
                let weights = _mm512_xor_si512(load_i32(weights), flip);
                for i in 0..N {
                    sums[i] = _mm512_dpbusd_epi32(sums[i], weights, broadcast(x[i]));
                }
            }
            let (row_scale, logs) = (load(row_scale), &span.value_logs[block * LANES..]);
            let (lanes, logs) = (first(logs.len()), some_integers(logs));
            for (query, i) in queries.iter_mut().zip(0..N) {
                let scores = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[i]), _mm512_mul_ps(row_scale, scales[i]));
                let steps = steps(scores, logs, lanes, &mut query.most);
                let out = query.steps[block].as_mut_ptr().cast::<[i32; LANES]>();
                for (i, steps) in steps.into_iter().enumerate() {
                    // SAFETY: two arrays of 16 elements; the store needs no alignment.
                    unsafe { _mm512_storeu_si512(out.add(i).cast(), steps) };
                }
            }
        }
    }

    /// The products of both digits with all values, added to what the spans before left.
    #[inline]
    fn add_values<const N: usize>(
        span: &HeadSpan<'_>,
        queries: &[Query<'_>; N],
        corrections: [__m512; N],
        out: &mut [f32],
    ) {
        let (values, width) = (&span.values, span.width());
        let steps = values.steps();
        let x = queries.each_ref().map(|query| [query.high.steps(steps), query.low.steps(steps)]);
        for (block, (weights, row_scale)) in values.blocks().enumerate() {
            let weights = &weights.as_chunks::<64>().0[..steps];
            // Two steps at a time: each product waits for the one before it.
            let mut sums = [[[_mm512_setzero_si512(); 2]; N]; 2];
            for i in 0..N {
                sums[0][i] = [&queries[i].high, &queries[i].low]
                    .map(|digit| _mm512_set1_epi32(digit.total.wrapping_mul(-128)));
            }
            for step in 0..steps / 2 {
                ask(&weights[2 * step], span.next);
                ask(&weights[2 * step + 1], span.next);
                sums[0] = add_products(sums[0], &weights[2 * step], &x, 2 * step);
                sums[1] = add_products(sums[1], &weights[2 * step + 1], &x, 2 * step + 1);
            }
            if steps % 2 == 1 {
                sums[0] = add_products(sums[0], &weights[steps - 1], &x, steps - 1);
            }
            let row_scale = load(row_scale);
            for i in 0..N {
                let mut results = [_mm512_setzero_ps(); 2];
                for (digit, scale) in [queries[i].high.scale, queries[i].low.scale].into_iter().enumerate() {
                    let sum = _mm512_cvtepi32_ps(_mm512_add_epi32(sums[0][i][digit], sums[1][i][digit]));
                    results[digit] = _mm512_mul_ps(sum, _mm512_mul_ps(row_scale, _mm512_set1_ps(scale)));
                }
                let own = i * width + block * LANES..(i * width + block * LANES + LANES).min((i + 1) * width);
                let Some(out) = out.get_mut(own) else { return };
                let before = _mm512_mul_ps(sixteen(out, 0), corrections[i]);
                store(_mm512_add_ps(before, _mm512_add_ps(results[0], results[1])), out);
            }
        }
    }

    /// Asks for what lies `next` bytes from `line`, unless that is 0. In between, a core reads only as many lines at once as it
    /// can wait for in its first-level cache, and each head's are too few for hardware to notice where they go on.
    #[inline]
    fn ask(line: &[i8; 64], next: usize) {
        if next != 0 {
            _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().wrapping_add(next));
        }
    }

    /// `sums` of both digits' products of every query, and one step's more.
    #[inline]
    fn add_products<const N: usize>(
        mut sums: [[__m512i; 2]; N],
        weights: &[i8; 64],
        x: &[[&[[i8; 4]]; 2]; N],
        step: usize,
    ) -> [[__m512i; 2]; N] {
        let weights = _mm512_xor_si512(load_i32(weights), _mm512_set1_epi8(-128));
        for i in 0..N {
            for digit in 0..2 {
                sums[i][digit] = _mm512_dpbusd_epi32(sums[i][digit], weights, broadcast(x[i][digit][step]));
            }
        }
        sums
    }
}
