//! The forward pass of a decoder: embedding, blocks, output head, for a chunk of tokens at a time.
#![allow(unsafe_code, reason = "workers take disjoint tokens")]

mod buffers;
mod together;

use crate::architecture::Activation;
use crate::attention::{Chunk, attend};
use crate::cache::SharedCache;
use crate::format::{Description, NormKind, NormPlace, Positions, Role, Tensors};
use crate::kernels::Kernels;
use crate::layout::{Layout, Quantized};
use crate::math::{self, fixed::STEPS_PER_NAT};
use crate::ops::{Vectors, project, worth_elements};
use crate::parallel::{Inline, Workers, count, over_rows, over_shares};
use crate::parts::ALL_TRANSFORMERS;
use crate::quant::row_to_f32;
use crate::tensor::Matrix;
pub(crate) use buffers::Buffers;
use buffers::{Rows, SharedRows};
use core::ops::Range;

/// Tokens for each worker from which on each has its own: two tiles, below which a matrix is better shared by its rows.
const ENOUGH: usize = 32;

/// One forward pass over a chunk of tokens.
pub(crate) struct Pass<'p, 'a, K> {
    pub(crate) kernels: K,
    pub(crate) workers: &'p dyn Workers,
    pub(crate) description: &'p Description,
    pub(crate) tensors: &'p Tensors<'a>,
    pub(crate) layout: &'p Layout,
    /// Position of the chunk's first token.
    pub(crate) position: usize,
    /// Tokens in the chunk, at most the layout's batch.
    pub(crate) tokens: usize,
}

impl<K: Kernels> Pass<'_, '_, K> {
    /// Embeds `tokens` and runs them through all blocks; their residual stream stays in `buffers`.
    pub(crate) fn blocks(&self, tokens: &[u32], buffers: &mut Buffers<'_>) {
        let layers = self.description.layers as usize;
        if self.has_tokens_for_all() {
            return self.shared_blocks(tokens, buffers);
        }
        if self.together(tokens, buffers) {
            return;
        }
        self.embed(tokens, &mut buffers.rows);
        self.angles(&mut buffers.rows);
        for layer in 0..layers {
            self.before_attention(layer, &mut buffers.rows, &buffers.cache.share());
            self.attention(layer, buffers);
            self.after_attention(layer, &mut buffers.rows);
        }
    }

    /// Whether there are enough tokens for each worker to have its own; else every step is shared out by itself. So are the
    /// steps of models with 16-bit activations, whose products take the room of two tokens before they are one.
    fn has_tokens_for_all(&self) -> bool {
        let count = count(self.workers);
        count > 1 && self.tokens >= ENOUGH * count && !self.layout.has_wide_inputs()
    }

    /// As [`Pass::blocks`], each worker with tokens of its own.
    ///
    /// Only attention looks at other tokens. What stands between one and the next is one job: it needs the workers to
    /// wait for each other once, and what one has written it reads itself.
    fn shared_blocks(&self, tokens: &[u32], buffers: &mut Buffers<'_>) {
        let layers = self.description.layers as usize;
        let cache = buffers.cache.share();
        self.by_tokens(&mut buffers.rows, |pass, own, rows| {
            pass.embed(&tokens[own], rows);
            pass.angles(rows);
            pass.before_attention(0, rows, &cache);
        });
        for layer in 0..layers {
            self.attention(layer, buffers);
            let cache = buffers.cache.share();
            self.by_tokens(&mut buffers.rows, |pass, _, rows| {
                pass.after_attention(layer, rows);
                if layer + 1 < layers {
                    pass.before_attention(layer + 1, rows, &cache);
                }
            });
        }
    }

    /// Runs `job` for shares of the chunk's tokens, each on one worker.
    fn by_tokens(
        &self,
        rows: &mut Rows<'_>,
        job: impl Fn(&Pass<'_, '_, K>, Range<usize>, &mut Rows<'_>) + Sync,
    ) {
        let rows = SharedRows::new(self.layout, rows);
        over_shares(self.workers, count(self.workers), self.position, self.tokens, |own| {
            let (position, tokens) = (self.position + own.start, own.len());
            let pass = Pass { workers: &Inline, position, tokens, ..*self };
            // SAFETY: every token is in one share.
            let mut rows = unsafe { rows.tokens(own.clone()) };
            job(&pass, own, &mut rows);
        });
    }

    /// Logits of `count` tokens from `first` on, to the front of `buffers.logits`, `[count][logits_stride]`.
    pub(crate) fn head(&self, first: usize, count: usize, buffers: &mut Buffers<'_>) {
        let width = self.layout.width;
        let stride = self.layout.hidden_stride;
        let residual = &buffers.rows.residual[first * width..][..count * width];
        if !ALL_TRANSFORMERS.is_there || self.description.final_norm {
            self.norm(Role::FinalNorm, Role::FinalNormBias, 0, residual, buffers.rows.hidden);
        } else {
            copy_rows(residual, width, buffers.rows.hidden, stride);
        }
        let role = if self.description.tied { Role::Embedding } else { Role::Head };
        let x = Vectors { data: buffers.rows.hidden, tokens: count, stride };
        let bias = self.tensors.vector(Role::HeadBias, 0);
        let (logits, logits_stride) = (&mut *buffers.logits, self.layout.logits_stride);
        let matrix = self.matrix(role, 0);
        project(
            self.kernels,
            self.workers,
            &matrix,
            bias,
            x,
            &mut buffers.rows.inputs,
            logits,
            logits_stride,
        );
        if self.description.logit_scale != 1.0 {
            self.kernels.scale(&mut logits[..count * logits_stride], self.description.logit_scale);
        }
    }

    fn matrix(&self, role: Role, layer: usize) -> Matrix<'_> {
        self.tensors.matrix(role, layer).expect("the description asks for it, and parse found it")
    }

    fn embed(&self, tokens: &[u32], rows: &mut Rows<'_>) {
        let width = self.layout.width;
        let embedding = self.matrix(Role::Embedding, 0);
        let positions = self.tensors.matrix(Role::Positions, 0);
        let stride = self.layout.hidden_stride;
        let buffers = [(&mut *rows.residual, width), (&mut *rows.hidden, stride)];
        self.each_token(width, buffers, |i, [x, row]| {
            row_to_f32(&embedding, tokens[i] as usize, x);
            if self.description.embedding_scale != 1.0 {
                self.kernels.scale(x, self.description.embedding_scale);
            }
            if let (true, Some(positions)) = (ALL_TRANSFORMERS.is_there, &positions) {
                row_to_f32(positions, self.position + i, &mut row[..width]);
                self.kernels.add(x, &row[..width]);
            }
        });
    }

    /// Runs `job(token, its rows)` for every token of the chunk, shared out among the workers; `width` elements of
    /// each are worked on.
    fn each_token<const N: usize>(
        &self,
        width: usize,
        buffers: [(&mut [f32], usize); N],
        job: impl Fn(usize, [&mut [f32]; N]) + Sync,
    ) {
        let most = worth_elements(self.workers, self.tokens * width);
        over_rows(self.workers, most, self.tokens, buffers, job);
    }

    /// Cosines and sines of the chunk's positions, shared by all layers and heads.
    fn angles(&self, rows: &mut Rows<'_>) {
        let frequencies = self.tensors.vector(Role::RotaryFrequencies, 0);
        if frequencies.is_empty() {
            return;
        }
        let pairs = frequencies.len();
        let buffers = [(&mut *rows.cos, pairs), (&mut *rows.sin, pairs)];
        self.each_token(pairs, buffers, |i, [cos, sin]| {
            let position = (self.position + i) as f32;
            for ((cos, sin), frequency) in cos.iter_mut().zip(sin).zip(frequencies) {
                (*sin, *cos) = math::sin_cos(position * frequency);
            }
        });
    }

    /// Queries, keys and values of layer `layer`, rotated; keys and values go to the cache.
    fn before_attention(&self, layer: usize, rows: &mut Rows<'_>, cache: &SharedCache<'_>) {
        self.norm_before(Role::AttentionNorm, Role::AttentionNormBias, layer, rows);
        let x = self.hidden(rows.hidden);
        let stride = self.layout.projected_stride;
        self.project(Role::Qkv, Role::QkvBias, layer, x, &mut rows.inputs, rows.projected, stride);
        self.rotate(rows);
        self.store(layer, rows.projected, cache);
    }

    /// Puts the tokens' keys and values into the cache: each worker those of its own tokens, which it has just computed.
    fn store(&self, layer: usize, projected: &[f32], cache: &SharedCache<'_>) {
        let first = layer * self.description.kv_heads as usize;
        let (queries, keys) = (self.description.query_width(), self.description.kv_width());
        let most = worth_elements(self.workers, 2 * keys * self.tokens);
        over_shares(self.workers, most, self.position, self.tokens, |own| {
            for token in own {
                let row = &projected[token * self.layout.projected_stride..][queries..][..2 * keys];
                let (keys, values) = row.split_at(keys);
                // SAFETY: the 16 positions that this is one of are in one share of these tokens, and of the chunk's.
                unsafe { cache.store(self.kernels, first, self.position + token, keys, values) };
            }
        });
    }

    fn attention(&self, layer: usize, buffers: &mut Buffers<'_>) {
        let Buffers { cache, rows, scratch, .. } = buffers;
        let stride = self.layout.projected_stride;
        let chunk =
            Chunk { layer, position: self.position, tokens: self.tokens, qkv: rows.projected, stride };
        attend(
            self.kernels,
            self.workers,
            self.description,
            self.layout,
            cache,
            scratch,
            chunk,
            rows.hidden,
            self.layout.hidden_stride,
        );
    }

    /// The rest of layer `layer`.
    fn after_attention(&self, layer: usize, rows: &mut Rows<'_>) {
        let (wide, stride) = (self.layout.projected_stride, self.layout.out_stride);
        let x = self.hidden(rows.hidden);
        let [role, bias] = [Role::AttentionOut, Role::AttentionOutBias];
        self.project(role, bias, layer, x, &mut rows.inputs, rows.out, stride);
        self.add_out(rows);
        self.norm_after(Role::AttentionNorm, Role::AttentionNormBias, layer, rows);

        self.norm_before(Role::FfnNorm, Role::FfnNormBias, layer, rows);
        let x = self.hidden(rows.hidden);
        self.project(Role::FfnUp, Role::FfnUpBias, layer, x, &mut rows.inputs, rows.projected, wide);
        self.activate(rows.projected);
        let x = Vectors { data: rows.projected, tokens: self.tokens, stride: wide };
        self.project(Role::FfnDown, Role::FfnDownBias, layer, x, &mut rows.inputs, rows.out, stride);
        self.add_out(rows);
        self.norm_after(Role::FfnNorm, Role::FfnNormBias, layer, rows);
    }

    fn hidden<'h>(&self, hidden: &'h [f32]) -> Vectors<'h> {
        Vectors { data: hidden, tokens: self.tokens, stride: self.layout.hidden_stride }
    }

    fn project(
        &self,
        role: Role,
        bias: Role,
        layer: usize,
        x: Vectors<'_>,
        inputs: &mut Quantized<'_>,
        out: &mut [f32],
        stride: usize,
    ) {
        let bias = self.tensors.vector(bias, layer);
        project(self.kernels, self.workers, &self.matrix(role, layer), bias, x, inputs, out, stride);
    }

    /// Rotates queries and keys by their positions, and scales the queries.
    fn rotate(&self, rows: &mut Rows<'_>) {
        let query_width = self.description.query_width();
        let rotated = query_width + self.description.kv_width();
        let (cos, sin) = (&*rows.cos, &*rows.sin);
        let buffers = [(&mut *rows.projected, self.layout.projected_stride)];
        self.each_token(rotated, buffers, |token, [row]| {
            let row = &mut row[..rotated];
            self.rotate_heads(row, token, cos, sin);
            self.kernels.scale(&mut row[..query_width], self.query_factor());
        });
    }

    /// Rotates some heads of `token` by its position.
    fn rotate_heads(&self, heads: &mut [f32], token: usize, cos: &[f32], sin: &[f32]) {
        let pairs = self.layout.rotary_pairs;
        let (cos, sin) = (&cos[token * pairs..][..pairs], &sin[token * pairs..][..pairs]);
        if let Positions::Rotary(pairing) = self.description.positions {
            self.kernels.rotate(heads, self.description.head_width as usize, cos, sin, pairing);
        }
    }

    /// What queries are multiplied with.
    fn query_factor(&self) -> f32 {
        // The fixed-point softmax of an int8 cache wants scores in steps.
        let unit = if self.layout.options.cache.is_i8() { STEPS_PER_NAT } else { 1.0 };
        self.description.attention_scale * unit
    }

    fn activate(&self, projected: &mut [f32]) {
        let hidden = self.description.hidden as usize;
        self.each_token(2 * hidden, [(projected, self.layout.projected_stride)], |_, [row]| {
            let (first, second) = row.split_at_mut(hidden);
            if !ALL_TRANSFORMERS.is_there || self.description.gated {
                self.gate(first, &second[..hidden]);
            } else {
                self.kernels.activate(self.description.activation, first);
            }
        });
    }

    /// Activates `gate` and lets it weigh `up`.
    fn gate(&self, gate: &mut [f32], up: &[f32]) {
        let activation =
            if ALL_TRANSFORMERS.is_there { self.description.activation } else { Activation::Silu };
        self.kernels.activate_gated(activation, gate, up);
    }

    fn add_out(&self, rows: &mut Rows<'_>) {
        let width = self.layout.width;
        let (out, stride) = (&*rows.out, self.layout.out_stride);
        self.each_token(width, [(&mut *rows.residual, width)], |token, [x]| {
            self.kernels.add(x, &out[token * stride..][..width]);
        });
    }

    /// The input of a half block: the norm of the residual stream, or the stream itself where the norm comes after.
    fn norm_before(&self, weight: Role, bias: Role, layer: usize, rows: &mut Rows<'_>) {
        let width = self.layout.width;
        let residual = &rows.residual[..self.tokens * width];
        match self.description.norm_place {
            _ if !ALL_TRANSFORMERS.is_there => self.norm(weight, bias, layer, residual, rows.hidden),
            NormPlace::Before => self.norm(weight, bias, layer, residual, rows.hidden),
            NormPlace::After => copy_rows(residual, width, rows.hidden, self.layout.hidden_stride),
        }
    }

    fn norm_after(&self, weight: Role, bias: Role, layer: usize, rows: &mut Rows<'_>) {
        if ALL_TRANSFORMERS.is_there && self.description.norm_place == NormPlace::After {
            let width = self.layout.width;
            let residual = &mut rows.residual[..self.tokens * width];
            self.norm(weight, bias, layer, residual, rows.hidden);
            copy_rows_back(rows.hidden, self.layout.hidden_stride, residual, width);
        }
    }

    /// Norm of each row of `x`, `[rows][width]`, to `out`, `[rows][hidden_stride]`.
    fn norm(&self, weight: Role, bias: Role, layer: usize, x: &[f32], out: &mut [f32]) {
        let (weight, bias) = (self.tensors.vector(weight, layer), self.tensors.vector(bias, layer));
        let (width, epsilon) = (self.layout.width, self.description.epsilon);
        let (tokens, stride) = (x.len() / width, self.layout.hidden_stride);
        let most = worth_elements(self.workers, x.len());
        over_rows(self.workers, most, tokens, [(out, stride)], |token, [out]| {
            let (x, out) = (&x[token * width..][..width], &mut out[..width]);
            match self.description.norm {
                _ if !ALL_TRANSFORMERS.is_there => self.kernels.rms_norm(x, weight, epsilon, out),
                NormKind::Rms => {
                    self.kernels.rms_norm(x, weight, epsilon, out);
                    self.kernels.add(out, bias);
                }
                NormKind::Layer => self.kernels.layer_norm(x, weight, bias, epsilon, out),
            }
        });
    }
}

fn copy_rows(from: &[f32], width: usize, to: &mut [f32], stride: usize) {
    for (from, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(stride)) {
        to[..width].copy_from_slice(from);
    }
}

fn copy_rows_back(from: &[f32], stride: usize, to: &mut [f32], width: usize) {
    for (from, to) in from.chunks_exact(stride).zip(to.chunks_exact_mut(width)) {
        to.copy_from_slice(&from[..width]);
    }
}
