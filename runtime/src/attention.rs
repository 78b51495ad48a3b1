//! Grouped-query attention over the cache (Vaswani et al. 2017; Ainslie et al. 2023), some queries at a time (of one
//! key/value head, or one token's of several), and of the cache one span of positions at a time under a running softmax
//! (Milakov and Gimelshein 2018; Dao et al. 2022): nothing here grows with the context.
//!
//! With an int8 cache, scores and value sums are the runtime's own int8 matrix product: a span's keys are a matrix of
//! positions × head, its values one of head × positions, and each query's weights are two int8 digits.
#![allow(unsafe_code, reason = "workers take disjoint heads, tokens, scratch memory and columns")]

mod queries;
mod scratch;

use crate::cache::Cache;
use crate::format::Description;
use crate::kernels::softmax::{FixedSoftmax, Running, Softmax};
use crate::kernels::{HeadSpan, Kernels};
use crate::layout::Layout;
use crate::parallel::{Columns, Workers, count, over_units, worth};
use crate::tensor::{ActivationShape, LANES, padded_rows};
use core::ops::Range;
pub(crate) use queries::Chunk;
use queries::{Plan, Queries, Run};
pub(crate) use scratch::{Scratch, Workplace, Workplaces};

/// Positions in a span. Spans start at multiples of it, so that what a query sums up, and in which order, does not
/// depend on the tokens beside it. It decides bits: `ARITHMETIC.md` names it.
pub(crate) const SPAN: usize = 256;

/// Most queries that are worked on together.
pub(crate) const QUERIES: usize = 32;

/// Writes every token's attention output (all query heads) to `out`, `[tokens][out_stride]`. The chunk's keys and values
/// are in the cache.
pub(crate) fn attend<K: Kernels>(
    kernels: K,
    workers: &dyn Workers,
    description: &Description,
    layout: &Layout,
    cache: &Cache<'_>,
    scratch: &mut Scratch<'_>,
    chunk: Chunk<'_>,
    out: &mut [f32],
    out_stride: usize,
) {
    let plan = Plan::new(description, layout, chunk, description.kv_heads as usize);
    let places = Workplaces::new(scratch, layout);
    let out = Columns::new(out, chunk.tokens, out_stride);
    let most = worth(workers, attention_work(description, chunk.position, chunk.tokens))
        .min(layout.options.workers)
        .min(count(workers))
        .max(1);
    let units = plan.units(most);
    over_units(workers, most, units, &|worker, unit| {
        // SAFETY: each worker has its own number, and is done with a unit before the next.
        let mut place = unsafe { places.of(worker) };
        plan.each(unit, units, &mut |queries| {
            // SAFETY: these tokens' columns belong to these queries alone, and no other worker has any of them.
            let out = unsafe { out.tokens_part(queries.tokens.clone()) };
            // SAFETY: as above.
            let mut out = unsafe { out.part(queries.columns()) };
            queries.attend(kernels, cache, &mut place, &mut out);
        });
    });
}

/// Multiplications in the products of `tokens` from `position` on with all keys and values of a layer, roughly.
pub(crate) fn attention_work(description: &Description, position: usize, tokens: usize) -> usize {
    (3 * description.query_width()).saturating_mul(tokens).saturating_mul(position + tokens)
}

/// As [`attend`], of one token, some key/value heads and the queries that share them: `cache` has these heads and no others,
/// numbered from 0, for layer 0. `out` is what they give, the memory of one worker where they do it.
pub(crate) fn attend_heads<K: Kernels>(
    kernels: K,
    description: &Description,
    layout: &Layout,
    cache: &Cache<'_>,
    heads: usize,
    place: &mut Workplace<'_>,
    chunk: Chunk<'_>,
    out: &mut [f32],
) {
    let stride = out.len();
    let mut out = Columns::new(out, 1, stride);
    Plan::new(description, layout, chunk, heads).each(0, 1, &mut |queries| {
        queries.attend(kernels, cache, place, &mut out);
    });
}

impl Queries<'_> {
    fn attend<K: Kernels>(
        &self,
        kernels: K,
        cache: &Cache<'_>,
        place: &mut Workplace<'_>,
        out: &mut Columns<'_>,
    ) {
        for token in 0..self.tokens.len() {
            out.token(token, self.columns()).fill(0.0);
        }
        if !cache.is_i8() {
            let softmax = self.over_spans(Softmax::EMPTY, |span, softmax: &mut [Softmax]| {
                self.span_f32(kernels, cache, span, place, softmax, out);
            });
            return self.normalize(kernels, &softmax, out);
        }
        let mut quantized = false;
        let softmax = self.over_spans(FixedSoftmax::EMPTY, |span, softmax: &mut [FixedSoftmax]| {
            if !self.span_in_one_piece(kernels, cache, &span, place, softmax, out) {
                if !quantized {
                    self.quantize(kernels, place);
                    quantized = true;
                }
                self.span_i8(kernels, cache, span, place, softmax, out);
            }
        });
        self.normalize(kernels, &softmax, out);
    }

    /// Every query's softmax after all spans, of which `take_in` takes in one after the other.
    fn over_spans<M: Copy>(
        &self,
        empty: Running<M>,
        mut take_in: impl FnMut(Range<usize>, &mut [Running<M>]),
    ) -> heapless::Vec<Running<M>, QUERIES> {
        // Only as many as there are queries: all 32 take longer to write than 64 positions take to weigh.
        let mut softmax = heapless::Vec::new();
        softmax.resize(self.count(), empty).expect("a layout has at most QUERIES together");
        let (start, end) = (self.seen(0).start, self.seen(self.tokens.len() - 1).end);
        for span in start / SPAN..end.div_ceil(SPAN) {
            take_in(start.max(span * SPAN)..end.min((span + 1) * SPAN), &mut softmax);
        }
        softmax
    }

    fn normalize<K: Kernels, M>(&self, kernels: K, softmax: &[Running<M>], out: &mut Columns<'_>) {
        self.each(|Run { numbers, token, columns, .. }| {
            kernels.normalize(&softmax[numbers], out.token(token, columns));
        });
    }

    fn quantize<K: Kernels>(&self, kernels: K, place: &mut Workplace<'_>) {
        let shape = ActivationShape { tokens: self.count(), cols: self.plan.width };
        let mut activations = place.queries.activations(shape);
        self.each(|run| {
            for (query, number) in self.elements(&run).chunks_exact(self.plan.width).zip(run.numbers) {
                kernels.quantize(query, number, &mut activations);
            }
        });
    }

    /// One token's queries head by head, where the backend has that: whether it has.
    fn span_in_one_piece<K: Kernels>(
        &self,
        kernels: K,
        cache: &Cache<'_>,
        span: &Range<usize>,
        place: &Workplace<'_>,
        softmax: &mut [FixedSoftmax],
        out: &mut Columns<'_>,
    ) -> bool {
        // A window may begin within a block of keys.
        let mut taken = kernels.attends_heads() && self.tokens.len() == 1 && span.start.is_multiple_of(LANES);
        if !taken {
            return false;
        }
        self.each(|run| {
            if taken {
                let head = cache.head_i8(run.head);
                let span = HeadSpan {
                    queries: self.elements(&run),
                    keys: head.keys(span.clone()),
                    values: head.values(span.clone(), place.ones),
                    value_logs: head.value_logs(span.clone()),
                    next: head.next(),
                };
                let out = out.token(run.token, run.columns);
                taken = kernels.attend_head(&span, &mut softmax[run.numbers], out);
            }
        });
        taken
    }

    fn span_f32<K: Kernels>(
        &self,
        kernels: K,
        cache: &Cache<'_>,
        span: Range<usize>,
        place: &mut Workplace<'_>,
        softmax: &mut [Softmax],
        out: &mut Columns<'_>,
    ) {
        self.each_seeing(&span, |run, seen| {
            let head = cache.head_f32(run.head);
            let first = seen.start / LANES;
            let out = out.token(run.token, run.columns.clone()).chunks_exact_mut(self.plan.width);
            let queries = self.elements(&run).chunks_exact(self.plan.width);
            for ((number, query), out) in run.numbers.zip(queries).zip(out) {
                kernels.scores_f32(query, head.keys(first, seen.end - 1), place.scores);
                let scores = &mut place.scores[seen.start - first * LANES..][..seen.len()];
                kernels.attend_f32(scores, head.values(seen.clone()), &mut softmax[number], out);
            }
        });
    }

    /// Each step for all heads before the next step: within a head every step waits for the one before.
    fn span_i8<K: Kernels>(
        &self,
        kernels: K,
        cache: &Cache<'_>,
        span: Range<usize>,
        place: &mut Workplace<'_>,
        softmax: &mut [FixedSoftmax],
        out: &mut Columns<'_>,
    ) {
        let (count, width) = (self.count(), self.plan.width);
        // Blocks of keys begin at multiples of 16.
        let positions = span.start / LANES * LANES..span.end;
        let queries = place.queries.activations(ActivationShape { tokens: count, cols: width });
        let mut scores = Columns::new(place.scores, count, place.span);
        for (head, own) in self.heads() {
            let keys = cache.head_i8(head).keys(positions.clone());
            let queries = queries.as_activations().some(own.clone());
            // SAFETY: no two heads have a query in common.
            let mut scores = unsafe { scores.tokens_part(own) };
            kernels.matmul_i8(&keys, &queries, 0..keys.rows().div_ceil(LANES), &mut scores);
        }

        // Queries that see nothing of the span keep what weights are there; their sums are not read.
        let shape = ActivationShape { tokens: 2 * count, cols: positions.len() };
        let mut weights = place.weights.activations(shape);
        self.each_seeing(&span, |run, seen| {
            let skip = seen.start - positions.start;
            let logs = cache.head_i8(run.head).value_logs(seen);
            for number in run.numbers {
                let scores = scores.token(number, skip..skip + logs.len());
                kernels.weights_i8(scores, logs, &mut softmax[number], skip, number, &mut weights);
            }
        });

        let stride = padded_rows(width);
        let sums = Columns::new(place.values, 2 * count, stride);
        for (head, own) in self.heads() {
            let values = cache.head_i8(head).values(positions.clone(), place.ones);
            let own = 2 * own.start..2 * own.end;
            let weights = weights.as_activations().some(own.clone());
            // SAFETY: as above.
            let mut sums = unsafe { sums.tokens_part(own) };
            kernels.matmul_i8(&values, &weights, 0..stride / LANES, &mut sums);
        }
        self.each_seeing(&span, |Run { numbers, token, columns, .. }, _| {
            let sums = &place.values[2 * numbers.start * stride..2 * numbers.end * stride];
            kernels.add_values(sums, &softmax[numbers], out.token(token, columns));
        });
    }
}
