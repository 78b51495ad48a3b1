//! Grouped-query attention over the cache (Vaswani et al. 2017; Ainslie et al. 2023), one key/value head at a time.
//!
//! With an int8 cache, scores and value sums are the runtime's own int8 matrix product: keys are a matrix of
//! positions × head, values one of head × positions, and each query's softmax weights are two int8 digits. Nothing
//! of size positions × positions is ever held.
#![allow(unsafe_code, reason = "workers take disjoint heads, scratch memory and columns")]

use crate::cache::{Cache, HeadCache, HeadF32, HeadI8};
use crate::format::Description;
use crate::kernels::Kernels;
use crate::layout::{Layout, Quantized};
use crate::parallel::{Columns, Shared, Workers, share};
use crate::tensor::{ActivationShape, ActivationsMut, LANES, MatrixI8, padded_rows};
use core::ops::Range;

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
    scores_stride: usize,
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
    let kv_heads = description.kv_heads as usize;
    let group_width = description.query_width() / kv_heads;
    let count = workers.count().min(kv_heads).min(layout.options.workers).max(1);
    let cache = cache.share();
    let places = Workplaces::new(scratch, layout);
    let out = Columns::new(out, chunk.tokens, out_stride);
    let job = |worker: usize| {
        if worker >= count {
            return;
        }
        // SAFETY: each worker has its own number.
        let mut place = unsafe { places.of(worker) };
        for kv_head in share(kv_heads, worker, count) {
            // SAFETY: the shares of two workers do not overlap.
            let mut head = unsafe { cache.head(chunk.layer * kv_heads + kv_head) };
            // SAFETY: as above: these columns belong to this head's queries alone.
            let mut out = unsafe { out.part(kv_head * group_width..(kv_head + 1) * group_width) };
            attend_head(kernels, description, &mut head, &mut place, chunk, kv_head, &mut out);
        }
    };
    if count == 1 { job(0) } else { workers.run(&job) }
}

fn attend_head<K: Kernels>(
    kernels: K,
    description: &Description,
    head: &mut HeadCache<'_>,
    place: &mut Workplace<'_>,
    chunk: Chunk<'_>,
    kv_head: usize,
    out: &mut Columns<'_>,
) {
    let width = description.head_width as usize;
    let group = (description.heads / description.kv_heads) as usize;
    let keys_at = description.query_width() + kv_head * width;
    let values_at = keys_at + description.kv_width();
    for token in 0..chunk.tokens {
        let row = &chunk.qkv[token * chunk.stride..][..chunk.stride];
        let (key, value) = (&row[keys_at..][..width], &row[values_at..][..width]);
        kernels.enter(
            #[inline(always)]
            || head.store(chunk.position + token, key, value),
        );
    }
    let tile = place.scores.len() / place.scores_stride / group;
    for first in (0..chunk.tokens).step_by(tile) {
        let queries = Queries {
            chunk,
            tokens: first..chunk.tokens.min(first + tile),
            group,
            width,
            at: kv_head * group * width,
            window: description.window as usize,
        };
        match head {
            HeadCache::I8(head) => queries.attend_i8(kernels, head, place, out),
            HeadCache::F32(head) => queries.attend_f32(kernels, head, place, out),
        }
    }
}

/// The queries of some tokens that share one key/value head.
struct Queries<'a> {
    chunk: Chunk<'a>,
    tokens: Range<usize>,
    group: usize,
    width: usize,
    /// Column of the group's first query.
    at: usize,
    window: usize,
}

impl<'a> Queries<'a> {
    /// Each query with its number, its token and its first column.
    fn iter(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<'a> {
        let (group, width, at, first) = (self.group, self.width, self.at, self.tokens.start);
        (0..self.tokens.len() * group)
            .map(move |query| (query, first + query / group, at + query % group * width))
    }

    fn query(&self, token: usize, column: usize) -> &'a [f32] {
        &self.chunk.qkv[token * self.chunk.stride + column..][..self.width]
    }

    /// The positions that `token` sees.
    fn seen(&self, token: usize) -> Range<usize> {
        let end = self.chunk.position + token + 1;
        let start = if self.window == 0 { 0 } else { end.saturating_sub(self.window) };
        start..end
    }

    fn attend_f32<K: Kernels>(
        &self,
        kernels: K,
        head: &HeadF32<'_>,
        place: &mut Workplace<'_>,
        out: &mut Columns<'_>,
    ) {
        for (_, token, column) in self.iter() {
            let seen = self.seen(token);
            let first = seen.start / LANES;
            let scores = &mut place.scores[first * LANES..place.scores_stride];
            kernels.scores_f32(self.query(token, column), head.keys(first, seen.end - 1), scores);
            let scores = &mut scores[seen.start - first * LANES..][..seen.len()];
            kernels.attend_f32(scores, head.values(seen), out.token(token, column..column + self.width));
        }
    }

    fn attend_i8<K: Kernels>(
        &self,
        kernels: K,
        head: &HeadI8<'_>,
        place: &mut Workplace<'_>,
        out: &mut Columns<'_>,
    ) {
        let count = self.tokens.len() * self.group;
        let start = self.seen(self.tokens.start).start / LANES * LANES;
        let end = self.seen(self.tokens.end - 1).end;
        let mut queries = place.queries.activations(ActivationShape { tokens: count, cols: self.width });
        for (query, token, column) in self.iter() {
            kernels.quantize(self.query(token, column), query, &mut queries);
        }
        let keys = head.keys(end);
        let mut scores = Columns::new(place.scores, count, place.scores_stride);
        kernels.matmul_i8(&keys, &queries.as_activations(), start / LANES..end.div_ceil(LANES), &mut scores);

        let mut weights = place.weights.activations(ActivationShape { tokens: 2 * count, cols: end - start });
        for (query, token, _) in self.iter() {
            let seen = self.seen(token);
            let scores = &mut place.scores[query * place.scores_stride..][seen.clone()];
            kernels.weights_i8(
                scores,
                head.value_scales(seen.clone()),
                seen.start - start,
                query,
                &mut weights,
            );
        }
        let values = head.values(start..end, place.ones);
        self.sum_values(kernels, &values, &weights, place.values, out);
    }

    /// `out = Σ weight · value`, both digits of the weights.
    fn sum_values<K: Kernels>(
        &self,
        kernels: K,
        values: &MatrixI8<'_>,
        weights: &ActivationsMut<'_>,
        sums: &mut [f32],
        out: &mut Columns<'_>,
    ) {
        let (weights, stride) = (weights.as_activations(), padded_rows(self.width));
        let mut columns = Columns::new(sums, weights.tokens(), stride);
        kernels.matmul_i8(values, &weights, 0..stride / LANES, &mut columns);
        kernels.enter(
            #[inline(always)]
            || {
                for (query, token, column) in self.iter() {
                    let (high, low) = sums[2 * query * stride..][..2 * stride].split_at(stride);
                    let out = out.token(token, column..column + self.width);
                    for ((out, high), low) in out.iter_mut().zip(high).zip(low) {
                        *out = high + low;
                    }
                }
            },
        );
    }
}

/// The scratch memory of all workers.
struct Workplaces<'a> {
    scores: Shared<'a, f32>,
    scores_stride: usize,
    queries: SharedQuantized<'a>,
    weights: SharedQuantized<'a>,
    values: Shared<'a, f32>,
    ones: &'a [f32],
    lengths: [usize; 2],
}

impl<'a> Workplaces<'a> {
    fn new(scratch: &'a mut Scratch<'_>, layout: &Layout) -> Self {
        let i8_values = scratch.values.len() / layout.options.workers;
        scratch.ones.fill(1.0);
        Self {
            scores: Shared::new(scratch.scores),
            scores_stride: layout.scores_stride,
            queries: SharedQuantized::new(&mut scratch.queries, layout.query_shape),
            weights: SharedQuantized::new(&mut scratch.weights, layout.weight_shape),
            values: Shared::new(scratch.values),
            ones: scratch.ones,
            lengths: [layout.queries * layout.scores_stride, i8_values],
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
                scores_stride: self.scores_stride,
                queries: self.queries.of(worker),
                weights: self.weights.of(worker),
                values: self.values.part(own(self.lengths[1])),
                ones: self.ones,
            }
        }
    }
}

/// Memory for quantized vectors of all workers.
struct SharedQuantized<'a> {
    shape: ActivationShape,
    data: Shared<'a, i8>,
    sums: Shared<'a, i16>,
    totals: Shared<'a, i32>,
    scale: Shared<'a, f32>,
}

impl<'a> SharedQuantized<'a> {
    fn new(quantized: &'a mut Quantized<'_>, shape: ActivationShape) -> Self {
        // An f32 cache needs none, and its layout has none.
        let shape = if quantized.data.is_empty() { ActivationShape { tokens: 0, cols: 0 } } else { shape };
        Self {
            shape,
            data: Shared::new(quantized.data),
            sums: Shared::new(quantized.sums),
            totals: Shared::new(quantized.totals),
            scale: Shared::new(quantized.scale),
        }
    }

    /// # Safety
    /// - As [`Workplaces::of`].
    unsafe fn of(&self, worker: usize) -> Quantized<'_> {
        let own = |len: usize| worker * len..(worker + 1) * len;
        // SAFETY: the contract is the caller's.
        unsafe {
            Quantized {
                data: self.data.part(own(self.shape.data_len())),
                sums: self.sums.part(own(self.shape.sums_len())),
                totals: self.totals.part(own(self.shape.tokens)),
                scale: self.scale.part(own(self.shape.tokens)),
            }
        }
    }
}
