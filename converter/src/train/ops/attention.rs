//! Causal attention with grouped heads (Vaswani et al. 2017; Ainslie et al. 2023) and rotary positions (Su et al. 2021).
//!
//! Scores and their gradients are computed for blocks of queries, and only for the keys that those see.

use crate::train::gemm::{Left, Product};
use crate::train::packed::Packed;
use crate::train::pool::{Buffer, Pool};
use crate::train::quantize::round_rows;
use crate::train::simd::{dot, largest, sum_by, vectorized};
use crate::train::tape::{Operation, Tape, Tensor, Var};
use std::ops::Range;
use std::sync::Arc;
use whit::CacheKind;
use whit::kernels::{Pairing, lanes};
use whit::math;

/// Queries whose scores are one product.
const BLOCK: usize = 32;

/// The heads of an attention, and the sequences that it works on.
#[derive(Clone, Debug)]
pub(in crate::train) struct Heads {
    pub(in crate::train) heads: usize,
    pub(in crate::train) kv_heads: usize,
    /// Of one head.
    pub(in crate::train) width: usize,
    /// Tokens in each sequence.
    pub(in crate::train) time: usize,
    /// What scores are multiplied with.
    pub(in crate::train) scale: f32,
    pub(in crate::train) rotary: Option<Arc<Rotary>>,
}

/// Cosines and sines of all positions and pairs of a head, `[positions][pairs]`.
#[derive(Debug)]
pub(in crate::train) struct Rotary {
    pairing: Pairing,
    pairs: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotary {
    /// The angles of `positions` positions for `frequencies`, radians per position of each pair.
    pub(in crate::train) fn new(frequencies: &[f32], positions: usize, pairing: Pairing) -> Self {
        let angles = (0..positions).flat_map(|position| {
            frequencies.iter().map(move |frequency| math::sin_cos(position as f32 * frequency))
        });
        let (sin, cos) = angles.unzip();
        Self { pairing, pairs: frequencies.len(), cos, sin }
    }

    /// Turns `head`, at `position`; back, if `direction` is −1.
    #[inline(always)]
    fn rotate(&self, head: &mut [f32], position: usize, direction: f32, sines: &mut [f32]) {
        let own = position * self.pairs..(position + 1) * self.pairs;
        let sines = &mut sines[..self.pairs];
        for (signed, sin) in sines.iter_mut().zip(&self.sin[own.clone()]) {
            *signed = direction * sin;
        }
        lanes::rotate_head(&mut head[..2 * self.pairs], &self.cos[own], sines, self.pairing);
    }
}

impl Heads {
    fn query_width(&self) -> usize {
        self.heads * self.width
    }

    /// Width of queries, keys and values of one token.
    fn stride(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.width
    }

    /// Where key and value of a key/value head begin among a token's numbers.
    fn key_and_value(&self, kv_head: usize) -> [usize; 2] {
        [(self.heads + kv_head) * self.width, (self.heads + self.kv_heads + kv_head) * self.width]
    }

    /// The queries that share a key/value head.
    fn group(&self, kv_head: usize) -> Range<usize> {
        let group = self.heads / self.kv_heads;
        kv_head * group..(kv_head + 1) * group
    }

    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let time = self.time;
        (0..time).step_by(BLOCK).map(move |start| start..time.min(start + BLOCK))
    }

    /// Turns queries and keys of all tokens by their positions and scales the queries, or, `direction` −1, the same
    /// for their gradients.
    fn turn(&self, qkv: &mut [f32], direction: f32) {
        let (query_width, rotated) = (self.query_width(), (self.heads + self.kv_heads) * self.width);
        let mut sines = vec![0.0; self.width];
        vectorized(
            #[inline(always)]
            || {
                for (token, row) in qkv.chunks_exact_mut(self.stride()).enumerate() {
                    if let Some(rotary) = &self.rotary {
                        for head in row[..rotated].chunks_exact_mut(self.width) {
                            rotary.rotate(head, token % self.time, direction, &mut sines);
                        }
                    }
                    lanes::scale(&mut row[..query_width], self.scale);
                }
            },
        );
    }
}

struct Attention {
    qkv: Var,
    heads: Heads,
    /// Turned, scaled and where the cache is int8 rounded queries, keys and values.
    ready: Buffer,
    /// Softmax of the scores, `[sequences][heads][time][time]`; beyond the diagonal's block it is not written.
    weights: Buffer,
}

/// Attention of every sequence's queries over its keys up to their own position: `qkv` is `[sequences · time, query,
/// key, value widths]`, the result `[sequences · time, query width]`.
pub(in crate::train) fn attend(tape: &mut Tape<'_>, qkv: Var, heads: Heads) -> Var {
    let tokens = tape.value(qkv).rows;
    let mut ready = tape.pool.take(tokens * heads.stride());
    ready.copy_from_slice(&tape.value(qkv).data);
    heads.turn(&mut ready, 1.0);
    if tape.weights.quantization.cache == CacheKind::I8 {
        let mut rounded = tape.pool.take(ready.len());
        round_rows(&ready, heads.width, &mut rounded);
        tape.pool.give(std::mem::replace(&mut ready, rounded));
    }
    let mut weights = tape.pool.take(tokens * heads.heads * heads.time);
    let mut out = tape.pool.take(tokens * heads.query_width());
    let mut packed = tape.pool.take_packed();
    let sequences = ready.chunks_exact(heads.time * heads.stride());
    let outs = out.chunks_exact_mut(heads.time * heads.query_width());
    let all_weights = weights.chunks_exact_mut(heads.heads * heads.time * heads.time);
    for ((sequence, out), weights) in sequences.zip(outs).zip(all_weights) {
        forward(&heads, sequence, weights, out, &mut packed);
    }
    tape.pool.give_packed(packed);
    let value = Tensor { rows: tokens, cols: heads.query_width(), data: out };
    tape.push(value, Attention { qkv, heads, ready, weights })
}

/// One sequence.
fn forward(heads: &Heads, ready: &[f32], weights: &mut [f32], out: &mut [f32], packed: &mut Packed) {
    let (stride, query_width, time) = (heads.stride(), heads.query_width(), heads.time);
    for kv_head in 0..heads.kv_heads {
        let [key, value] = heads.key_and_value(kv_head);
        packed.pack_columns(&ready[key..], stride, heads.width, time);
        for head in heads.group(kv_head) {
            let weights = &mut weights[head * time * time..][..time * time];
            for block in heads.blocks() {
                let queries = Left::Rows(&ready[block.start * stride + head * heads.width..], stride);
                let scores = &mut weights[block.start * time..block.end * time];
                let product = Product::new(queries, block.len(), packed, scores, time);
                Product { cols: block.end, ..product }.run();
                softmax(scores, time, block);
            }
        }
        packed.pack_rows(&ready[value..], stride, time, heads.width);
        for head in heads.group(kv_head) {
            let weights = &weights[head * time * time..][..time * time];
            for block in heads.blocks() {
                let rows = Left::Rows(&weights[block.start * time..], time);
                let out = &mut out[block.start * query_width + head * heads.width..];
                let product = Product::new(rows, block.len(), packed, out, query_width);
                Product { depth: 0..block.end, ..product }.run();
            }
        }
    }
}

/// Softmax of each row of `scores` up to its own position; zeros from there to the end of the block.
fn softmax(scores: &mut [f32], time: usize, block: Range<usize>) {
    vectorized(
        #[inline(always)]
        || {
            for (row, query) in scores.chunks_exact_mut(time).zip(block.clone()) {
                let (seen, later) = row[..block.end].split_at_mut(query + 1);
                later.fill(0.0);
                let most = largest(seen);
                for score in seen.iter_mut() {
                    *score = math::exp_nonpositive(*score - most);
                }
                let sum = sum_by(
                    seen.len(),
                    #[inline(always)]
                    |i| seen[i],
                );
                lanes::scale(seen, 1.0 / sum);
            }
        },
    );
}

impl Operation for Attention {
    fn backward(self: Box<Self>, tape: &mut Tape<'_>, gradient: Buffer) {
        let heads = &self.heads;
        let time = heads.time;
        let mut of_qkv = tape.pool.zeros(self.ready.len());
        let mut scratch = Scratch {
            of_scores: tape.pool.take(time * time),
            keys: tape.pool.take_packed(),
            values: tape.pool.take_packed(),
            right: tape.pool.take_packed(),
        };
        let sequences = self.ready.chunks_exact(time * heads.stride());
        let gradients = gradient.chunks_exact(time * heads.query_width());
        let weights = self.weights.chunks_exact(heads.heads * time * time);
        let outs = of_qkv.chunks_exact_mut(time * heads.stride());
        for (((ready, gradient), weights), out) in sequences.zip(gradients).zip(weights).zip(outs) {
            backward(heads, ready, weights, gradient, out, &mut scratch);
        }
        heads.turn(&mut of_qkv, -1.0);
        tape.add_gradient(self.qkv, of_qkv);
        let Scratch { of_scores, keys, values, right } = scratch;
        tape.pool.give(of_scores);
        for packed in [keys, values, right] {
            tape.pool.give_packed(packed);
        }
        tape.pool.give(gradient);
        self.discard(tape.pool);
    }

    fn discard(self: Box<Self>, pool: &mut Pool) {
        pool.give(self.ready);
        pool.give(self.weights);
    }
}

struct Scratch {
    /// `[time][time]`
    of_scores: Buffer,
    keys: Packed,
    values: Packed,
    right: Packed,
}

/// One sequence: adds to the gradients of keys and values, writes those of queries, all in `out`.
fn backward(
    heads: &Heads,
    ready: &[f32],
    weights: &[f32],
    gradient: &[f32],
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let (stride, query_width, time, width) = (heads.stride(), heads.query_width(), heads.time, heads.width);
    for kv_head in 0..heads.kv_heads {
        let [key, value] = heads.key_and_value(kv_head);
        scratch.keys.pack_rows(&ready[key..], stride, time, width);
        scratch.values.pack_columns(&ready[value..], stride, width, time);
        for head in heads.group(kv_head) {
            let weights = &weights[head * time * time..][..time * time];
            let at = head * width;
            for block in heads.blocks() {
                let rows = Left::Rows(&gradient[block.start * query_width + at..], query_width);
                let of_scores = &mut scratch.of_scores[block.start * time..block.end * time];
                let product = Product::new(rows, block.len(), &scratch.values, of_scores, time);
                Product { cols: block.end, ..product }.run();
                softmax_backward(&weights[block.start * time..], of_scores, time, block.end);
                let rows = Left::Rows(of_scores, time);
                let of_queries = &mut out[block.start * stride + at..];
                let product = Product::new(rows, block.len(), &scratch.keys, of_queries, stride);
                Product { depth: 0..block.end, ..product }.run();
            }
            scratch.right.pack_rows(&ready[at..], stride, time, width);
            add_transposed(&scratch.of_scores, &scratch.right, heads, &mut out[key..]);
            scratch.right.pack_rows(&gradient[at..], query_width, time, width);
            add_transposed(weights, &scratch.right, heads, &mut out[value..]);
        }
    }
}

/// From the gradient of softmax weights, in `gradient`, to that of the scores, in its place.
fn softmax_backward(weights: &[f32], gradient: &mut [f32], time: usize, seen: usize) {
    vectorized(
        #[inline(always)]
        || {
            for (weights, gradient) in weights.chunks_exact(time).zip(gradient.chunks_exact_mut(time)) {
                let (weights, gradient) = (&weights[..seen], &mut gradient[..seen]);
                let along = dot(weights, gradient);
                for i in 0..seen {
                    gradient[i] = weights[i] * (gradient[i] - along);
                }
            }
        },
    );
}

/// `out += leftᵀ × right` for a lower triangle `left`, `[time][time]`: a block of keys, and the queries from there on.
fn add_transposed(left: &[f32], right: &Packed, heads: &Heads, out: &mut [f32]) {
    let (time, stride) = (heads.time, heads.stride());
    for block in heads.blocks() {
        let columns = Left::Columns(&left[block.start * time + block.start..], time);
        let product = Product::new(columns, block.len(), right, &mut out[block.start * stride..], stride);
        Product { depth: block.start..time, ..product }.adding().run();
    }
}
