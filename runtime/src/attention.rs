//! Grouped-query attention over the cache (Vaswani et al. 2017; Ainslie et al. 2023), some queries at a time (of one
//! key/value head, or one token's of several), and of the cache one span of positions at a time under a running softmax
//! (Milakov and Gimelshein 2018; Dao et al. 2022): nothing here grows with the context.
//!
//! With an int8 cache, scores and value sums are the runtime's own int8 matrix product: a span's keys are a matrix of
//! positions × head, its values one of head × positions, and each query's weights are two int8 digits.
#![allow(unsafe_code, reason = "workers take disjoint heads, tokens, scratch memory and columns")]

use crate::cache::{Cache, SharedCache, Side};
use crate::format::Description;
use crate::kernels::Kernels;
use crate::kernels::lanes::{self, Softmax};
use crate::layout::{Layout, Quantized};
use crate::ops::{SharedQuantized, worth_elements};
use crate::parallel::{Columns, Shared, Workers, over_units, share, worth};
use crate::tensor::{ActivationShape, LANES, padded_rows};
use core::ops::Range;

/// Positions in a span. Spans start at multiples of it, so that what a query sums up, and in which order, does not
/// depend on the tokens beside it. It decides bits: `ARITHMETIC.md` names it.
pub(crate) const SPAN: usize = 256;

/// Most queries that are worked on together.
pub(crate) const QUERIES: usize = 32;

/// Memory in which attention works, for all workers.
#[derive(Debug)]
pub(crate) struct Scratch<'a> {
    pub(crate) scores: &'a mut [f32],
    pub(crate) queries: Quantized<'a>,
    pub(crate) weights: Quantized<'a>,
    pub(crate) values: &'a mut [f32],
    /// Row scales of a matrix without any.
    pub(crate) ones: &'a mut [f32],
}

/// One chunk of tokens in one layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk<'a> {
    pub(crate) layer: usize,
    /// Position of the chunk's first token.
    pub(crate) position: usize,
    pub(crate) tokens: usize,
    /// Rotated and scaled queries, rotated keys, values: `[tokens][stride]`.
    pub(crate) qkv: &'a [f32],
    pub(crate) stride: usize,
}

/// What one worker works in.
struct Workplace<'a> {
    scores: &'a mut [f32],
    span: usize,
    queries: Quantized<'a>,
    weights: Quantized<'a>,
    values: &'a mut [f32],
    ones: &'a [f32],
}

/// Puts the chunk's keys and values into the cache and writes every token's attention output (all query heads) to
/// `out`, `[tokens][out_stride]`.
pub(crate) fn attend<K: Kernels>(
    kernels: K,
    workers: &dyn Workers,
    description: &Description,
    layout: &Layout,
    cache: &mut Cache<'_>,
    scratch: &mut Scratch<'_>,
    chunk: Chunk<'_>,
    out: &mut [f32],
    out_stride: usize,
) {
    let plan = Plan::new(description, layout, chunk);
    plan.store(kernels, workers, &cache.share());
    let (cache, places) = (&*cache, Workplaces::new(scratch, layout));
    let out = Columns::new(out, chunk.tokens, out_stride);
    let most = worth(workers, plan.work()).min(layout.options.workers).min(workers.count()).max(1);
    let units = plan.units(most);
    over_units(workers, most, units, |worker, unit| {
        // SAFETY: each worker has its own number, and is done with a unit before the next.
        let mut place = unsafe { places.of(worker) };
        plan.each(unit, units, |queries| {
            // SAFETY: these tokens' columns belong to these queries alone, and no other worker has any of them.
            let out = unsafe { out.tokens_part(queries.tokens.clone()) };
            // SAFETY: as above.
            let mut out = unsafe { out.part(queries.columns()) };
            queries.attend(kernels, cache, &mut place, &mut out);
        });
    });
}

/// What every worker knows about the attention of a chunk.
#[derive(Clone, Copy)]
struct Plan<'a> {
    chunk: Chunk<'a>,
    kv_heads: usize,
    /// Queries that share a key/value head.
    group: usize,
    /// Width of a head.
    width: usize,
    /// Positions that a token sees, 0 for all.
    window: usize,
    /// Tokens worked on together.
    tile: usize,
    /// Queries of a token and key/value head worked on together.
    members: usize,
    /// Key/value heads worked on together.
    heads: usize,
}

impl<'a> Plan<'a> {
    fn new(description: &Description, layout: &Layout, chunk: Chunk<'a>) -> Self {
        let kv_heads = description.kv_heads as usize;
        let group = description.heads as usize / kv_heads;
        let tile = (layout.queries / group).max(1);
        Self {
            chunk,
            kv_heads,
            group,
            width: description.head_width as usize,
            window: description.window as usize,
            tile,
            members: group.min(layout.queries),
            heads: layout.queries / (group * chunk.tokens.min(tile)),
        }
    }

    /// Puts the chunk's keys and values into the cache.
    fn store<K: Kernels>(&self, kernels: K, workers: &dyn Workers, cache: &SharedCache<'_>) {
        let (chunk, width, kv_heads) = (self.chunk, self.width, self.kv_heads);
        let units = 2 * kv_heads;
        let most = worth_elements(workers, units * width * chunk.tokens);
        over_units(workers, most, units, |_, unit| {
            let side = if unit < kv_heads { Side::Keys } else { Side::Values };
            // SAFETY: each unit is another head or side, and one worker's alone.
            let mut side = unsafe { cache.side(chunk.layer * kv_heads + unit % kv_heads, side) };
            let at = (kv_heads * self.group + unit) * width;
            for token in 0..chunk.tokens {
                let x = &chunk.qkv[token * chunk.stride + at..][..width];
                side.store(kernels, chunk.position + token, x);
            }
        });
    }

    /// Tiles of tokens in the chunk.
    fn tiles(&self) -> usize {
        self.chunk.tokens.div_ceil(self.tile)
    }

    /// Multiplications in the products with all keys and values, roughly.
    fn work(&self) -> usize {
        let (chunk, heads) = (self.chunk, self.kv_heads * self.group);
        (3 * self.width * heads).saturating_mul(chunk.tokens).saturating_mul(chunk.position + chunk.tokens)
    }

    /// In how many units `workers` share out the work: tiles of each key/value head, or of a single tile its queries.
    fn units(&self, workers: usize) -> usize {
        if self.tiles() > 1 { self.tiles() * self.kv_heads } else { workers.min(self.group * self.kv_heads) }
    }

    /// The queries of unit `unit` of `units`. Of tiles in order of their tokens: who takes the first, which see least,
    /// is free the sooner for others.
    fn each(&self, unit: usize, units: usize, mut visit: impl FnMut(&Queries<'a>)) {
        let (tokens, group, kv_heads) = (self.chunk.tokens, self.group, self.kv_heads);
        if self.tiles() > 1 {
            let first = unit / kv_heads * self.tile;
            return self.members(first..tokens.min(first + self.tile), unit % kv_heads, 0..group, &mut visit);
        }
        let own = share(kv_heads * group, unit, units);
        let mut next = own.start;
        while next < own.end {
            let (kv_head, member) = (next / group, next % group);
            // Whole key/value heads together: what one head's steps wait for, the others' fill.
            let whole = if member == 0 { ((own.end - next) / group).min(self.heads) } else { 0 };
            if whole > 0 {
                visit(&Queries {
                    plan: *self,
                    tokens: 0..tokens,
                    kv_heads: kv_head..kv_head + whole,
                    members: 0..group,
                });
                next += whole * group;
            } else {
                let members = member..group.min(member + own.end - next);
                next += members.len();
                self.members(0..tokens, kv_head, members, &mut visit);
            }
        }
    }

    /// Those queries of one key/value head, as many at a time as are worked on together.
    fn members(
        &self,
        tokens: Range<usize>,
        kv_head: usize,
        members: Range<usize>,
        visit: &mut impl FnMut(&Queries<'a>),
    ) {
        for first in members.clone().step_by(self.members) {
            let members = first..members.end.min(first + self.members);
            visit(&Queries { plan: *self, tokens: tokens.clone(), kv_heads: kv_head..kv_head + 1, members });
        }
    }
}

/// Queries of some tokens that share one key/value head, or all of some tokens that share one of several.
struct Queries<'a> {
    plan: Plan<'a>,
    tokens: Range<usize>,
    kv_heads: Range<usize>,
    /// Which of the queries that share a head.
    members: Range<usize>,
}

/// One of them.
struct Query {
    /// Which of them.
    number: usize,
    /// Its key/value head in the cache.
    head: usize,
    /// Which of their tokens.
    token: usize,
    columns: Range<usize>,
}

impl<'a> Queries<'a> {
    /// The heads' numbers in the cache, each with its queries' numbers.
    fn heads(&self) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        let (first, each) =
            (self.plan.chunk.layer * self.plan.kv_heads + self.kv_heads.start, self.of_head());
        (0..self.kv_heads.len()).map(move |head| (first + head, head * each..(head + 1) * each))
    }

    /// Queries of each head.
    fn of_head(&self) -> usize {
        self.tokens.len() * self.members.len()
    }

    fn count(&self) -> usize {
        self.kv_heads.len() * self.of_head()
    }

    /// Columns of all these queries, and of their outputs.
    fn columns(&self) -> Range<usize> {
        let (group, width) = (self.plan.group, self.plan.width);
        let start = (self.kv_heads.start * group + self.members.start) * width;
        let end = ((self.kv_heads.end - 1) * group + self.members.end) * width;
        start..end
    }

    /// Each query, in order of its number.
    fn iter(&self) -> impl Iterator<Item = Query> + use<> {
        let (tokens, members, width) = (self.tokens.len(), self.members.len(), self.plan.width);
        let group = self.plan.group * width;
        let mut head = self.plan.chunk.layer * self.plan.kv_heads + self.kv_heads.start;
        let (mut token, mut member, mut at) = (0, 0, self.columns().start);
        // Counted on: divisions by the number of members were 4 % of a token of stories260K.
        (0..self.count()).map(move |number| {
            if member == members {
                (token, member) = (token + 1, 0);
                if token == tokens {
                    (token, head, at) = (0, head + 1, at + group);
                }
            }
            let column = at + member * width;
            member += 1;
            Query { number, head, token, columns: column..column + width }
        })
    }

    fn elements(&self, query: &Query) -> &'a [f32] {
        let chunk = self.plan.chunk;
        &chunk.qkv[(self.tokens.start + query.token) * chunk.stride..][query.columns.clone()]
    }

    /// The positions that `token` sees.
    fn seen(&self, token: usize) -> Range<usize> {
        let end = self.plan.chunk.position + self.tokens.start + token + 1;
        let start = if self.plan.window == 0 { 0 } else { end.saturating_sub(self.plan.window) };
        start..end
    }

    /// Those queries that see anything of `span`, with what they see of it.
    fn seeing(&self, span: Range<usize>) -> impl Iterator<Item = (Query, Range<usize>)> {
        self.iter().filter_map(move |query| {
            let seen = self.seen(query.token);
            let seen = seen.start.max(span.start)..seen.end.min(span.end);
            (!seen.is_empty()).then_some((query, seen))
        })
    }

    fn attend<K: Kernels>(
        &self,
        kernels: K,
        cache: &Cache<'_>,
        place: &mut Workplace<'_>,
        out: &mut Columns<'_>,
    ) {
        let quantized = cache.is_i8();
        for query in self.iter() {
            out.token(query.token, query.columns.clone()).fill(0.0);
            if quantized {
                let shape = ActivationShape { tokens: self.count(), cols: self.plan.width };
                kernels.quantize(self.elements(&query), query.number, &mut place.queries.activations(shape));
            }
        }
        // Only as many as there are queries: all 32 take longer to write than 64 positions take to weigh.
        let mut softmax = heapless::Vec::<Softmax, QUERIES>::new();
        softmax.resize(self.count(), Softmax::EMPTY).expect("a layout has at most QUERIES together");
        let (start, end) = (self.seen(0).start, self.seen(self.tokens.len() - 1).end);
        for span in start / SPAN..end.div_ceil(SPAN) {
            let span = start.max(span * SPAN)..end.min((span + 1) * SPAN);
            if quantized {
                self.span_i8(kernels, cache, span, place, &mut softmax, out);
            } else {
                self.span_f32(kernels, cache, span, place, &mut softmax, out);
            }
        }
        // One call for all queries: a head of 8 is an instruction.
        kernels.enter(
            #[inline(always)]
            || {
                for Query { number, token, columns, .. } in self.iter() {
                    lanes::scale(out.token(token, columns), 1.0 / softmax[number].sum);
                }
            },
        );
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
        for (query, seen) in self.seeing(span) {
            let head = cache.head_f32(query.head);
            let first = seen.start / LANES;
            kernels.scores_f32(self.elements(&query), head.keys(first, seen.end - 1), place.scores);
            let scores = &mut place.scores[seen.start - first * LANES..][..seen.len()];
            let out = out.token(query.token, query.columns);
            kernels.attend_f32(scores, head.values(seen), &mut softmax[query.number], out);
        }
    }

    /// Each step for all heads before the next step: within a head every step waits for the one before.
    fn span_i8<K: Kernels>(
        &self,
        kernels: K,
        cache: &Cache<'_>,
        span: Range<usize>,
        place: &mut Workplace<'_>,
        softmax: &mut [Softmax],
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
        for (Query { number, head, .. }, seen) in self.seeing(span.clone()) {
            let skip = seen.start - positions.start;
            let scores = scores.token(number, skip..skip + seen.len());
            let scales = cache.head_i8(head).value_scales(seen);
            kernels.weights_i8(scores, scales, &mut softmax[number], skip, number, &mut weights);
        }

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
        kernels.enter(
            #[inline(always)]
            || {
                for (Query { number, token, columns, .. }, _) in self.seeing(span) {
                    let (high, low) = place.values[2 * number * stride..][..2 * stride].split_at(stride);
                    let correction = softmax[number].correction;
                    for ((out, high), low) in out.token(token, columns).iter_mut().zip(high).zip(low) {
                        *out = *out * correction + (high + low);
                    }
                }
            },
        );
    }
}

/// The scratch memory of all workers.
struct Workplaces<'a> {
    scores: Shared<'a, f32>,
    span: usize,
    queries: SharedQuantized<'a>,
    weights: SharedQuantized<'a>,
    values: Shared<'a, f32>,
    ones: &'a [f32],
    /// Scores, queries and sums of values of one worker.
    lengths: [usize; 3],
}

impl<'a> Workplaces<'a> {
    fn new(scratch: &'a mut Scratch<'_>, layout: &Layout) -> Self {
        let values = scratch.values.len() / layout.options.workers;
        // An f32 cache needs no quantized vectors, and its layout has none.
        let queries = scratch.queries.totals.len() / layout.options.workers;
        scratch.ones.fill(1.0);
        Self {
            scores: Shared::new(scratch.scores),
            span: layout.span,
            queries: SharedQuantized::new(&mut scratch.queries, layout.query_shape.cols),
            weights: SharedQuantized::new(&mut scratch.weights, layout.weight_shape.cols),
            values: Shared::new(scratch.values),
            ones: scratch.ones,
            lengths: [layout.scores_len(), queries, values],
        }
    }

    /// The memory of worker `worker`.
    ///
    /// # Safety
    /// - No two live at once for the same worker.
    unsafe fn of(&self, worker: usize) -> Workplace<'_> {
        let own = |len: usize| worker * len..(worker + 1) * len;
        // SAFETY: the parts of different workers do not overlap; the contract excludes the same worker twice.
        unsafe {
            Workplace {
                scores: self.scores.part(own(self.lengths[0])),
                span: self.span,
                queries: self.queries.tokens(own(self.lengths[1])),
                weights: self.weights.tokens(own(2 * self.lengths[1])),
                values: self.values.part(own(self.lengths[2])),
                ones: self.ones,
            }
        }
    }
}
