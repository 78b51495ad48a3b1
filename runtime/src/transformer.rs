//! The forward pass of a decoder: embedding, blocks, output head, for a chunk of tokens at a time.

use crate::attention::{Chunk, Scratch, attend};
use crate::cache::Cache;
use crate::format::{Description, NormKind, NormPlace, Positions, Role, Tensors};
use crate::kernels::{Kernels, Pairing, lanes};
use crate::layout::{Layout, Parts, Quantized};
use crate::math;
use crate::ops::{Vectors, project};
use crate::parallel::Workers;
use crate::quant::row_to_f32;
use crate::tensor::Matrix;

/// Everything of a session that a forward pass changes, apart from the position.
#[derive(Debug)]
pub(crate) struct Buffers<'a> {
    pub(crate) cache: Cache<'a>,
    residual: &'a mut [f32],
    hidden: &'a mut [f32],
    projected: &'a mut [f32],
    out: &'a mut [f32],
    cos: &'a mut [f32],
    sin: &'a mut [f32],
    pub(crate) logits: &'a mut [f32],
    inputs: Quantized<'a>,
    scratch: Scratch<'a>,
}

impl<'a> Buffers<'a> {
    /// The history and the buffers of a session.
    pub(crate) fn new(description: &Description, layout: &Layout, parts: Parts<'a>) -> (&'a mut [u32], Self) {
        let head_width = description.head_width as usize;
        let buffers = Self {
            cache: Cache::new(layout, head_width, parts.numbers_i8, parts.numbers_f32, parts.scales),
            residual: parts.residual,
            hidden: parts.hidden,
            projected: parts.projected,
            out: parts.out,
            cos: parts.cos,
            sin: parts.sin,
            logits: parts.logits,
            inputs: parts.inputs,
            scratch: Scratch {
                scores: parts.scores,
                queries: parts.queries,
                weights: parts.weights,
                values: parts.values,
                ones: parts.ones,
            },
        };
        (parts.history, buffers)
    }

    /// Memory that holds nothing between two passes.
    pub(crate) fn workspace(&mut self) -> &mut [f32] {
        self.projected
    }
}

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
        self.embed(tokens, buffers);
        self.angles(buffers);
        for layer in 0..self.description.layers as usize {
            self.attention_half(layer, buffers);
            self.feed_forward_half(layer, buffers);
        }
    }

    /// Logits of `count` tokens from `first` on, to the front of `buffers.logits`, `[count][logits_stride]`.
    pub(crate) fn head(&self, first: usize, count: usize, buffers: &mut Buffers<'_>) {
        let width = self.layout.width;
        let stride = self.layout.hidden_stride;
        let residual = &buffers.residual[first * width..][..count * width];
        if self.description.final_norm {
            self.norm(Role::FinalNorm, Role::FinalNormBias, 0, residual, buffers.hidden);
        } else {
            copy_rows(residual, width, buffers.hidden, stride);
        }
        let role = if self.description.tied { Role::Embedding } else { Role::Head };
        let x = Vectors { data: buffers.hidden, tokens: count, stride };
        let bias = self.tensors.vector(Role::HeadBias, 0);
        let (logits, logits_stride) = (&mut *buffers.logits, self.layout.logits_stride);
        let matrix = self.matrix(role, 0);
        project(self.kernels, self.workers, &matrix, bias, x, &mut buffers.inputs, logits, logits_stride);
        if self.description.logit_scale != 1.0 {
            self.kernels.scale(&mut logits[..count * logits_stride], self.description.logit_scale);
        }
    }

    fn matrix(&self, role: Role, layer: usize) -> Matrix<'_> {
        self.tensors.matrix(role, layer).expect("the description asks for it, and parse found it")
    }

    fn embed(&self, tokens: &[u32], buffers: &mut Buffers<'_>) {
        let width = self.layout.width;
        let embedding = self.matrix(Role::Embedding, 0);
        let positions = self.tensors.matrix(Role::Positions, 0);
        for (i, (token, x)) in tokens.iter().zip(buffers.residual.chunks_exact_mut(width)).enumerate() {
            row_to_f32(&embedding, *token as usize, x);
            if self.description.embedding_scale != 1.0 {
                self.kernels.scale(x, self.description.embedding_scale);
            }
            if let Some(positions) = &positions {
                let row = &mut buffers.hidden[..width];
                row_to_f32(positions, self.position + i, row);
                self.kernels.add(x, row);
            }
        }
    }

    /// Cosines and sines of the chunk's positions, shared by all layers and heads.
    fn angles(&self, buffers: &mut Buffers<'_>) {
        let frequencies = self.tensors.vector(Role::RotaryFrequencies, 0);
        if frequencies.is_empty() {
            return;
        }
        let rows = buffers
            .cos
            .chunks_exact_mut(frequencies.len())
            .zip(buffers.sin.chunks_exact_mut(frequencies.len()));
        for (i, (cos, sin)) in rows.take(self.tokens).enumerate() {
            let position = (self.position + i) as f32;
            for ((cos, sin), frequency) in cos.iter_mut().zip(sin).zip(frequencies) {
                (*sin, *cos) = math::sin_cos(position * frequency);
            }
        }
    }

    fn attention_half(&self, layer: usize, buffers: &mut Buffers<'_>) {
        let stride = self.layout.projected_stride;
        self.norm_before(Role::AttentionNorm, Role::AttentionNormBias, layer, buffers);
        self.project(
            Role::Qkv,
            Role::QkvBias,
            layer,
            self.hidden(buffers.hidden),
            &mut buffers.inputs,
            buffers.projected,
            stride,
        );
        self.rotate(buffers);
        let chunk =
            Chunk { layer, position: self.position, tokens: self.tokens, qkv: buffers.projected, stride };
        attend(
            self.kernels,
            self.workers,
            self.description,
            self.layout,
            &mut buffers.cache,
            &mut buffers.scratch,
            chunk,
            buffers.hidden,
            self.layout.hidden_stride,
        );
        let x = self.hidden(buffers.hidden);
        self.project(
            Role::AttentionOut,
            Role::AttentionOutBias,
            layer,
            x,
            &mut buffers.inputs,
            buffers.out,
            self.layout.out_stride,
        );
        self.add_out(buffers);
        self.norm_after(Role::AttentionNorm, Role::AttentionNormBias, layer, buffers);
    }

    fn feed_forward_half(&self, layer: usize, buffers: &mut Buffers<'_>) {
        let stride = self.layout.projected_stride;
        self.norm_before(Role::FfnNorm, Role::FfnNormBias, layer, buffers);
        self.project(
            Role::FfnUp,
            Role::FfnUpBias,
            layer,
            self.hidden(buffers.hidden),
            &mut buffers.inputs,
            buffers.projected,
            stride,
        );
        self.activate(buffers.projected);
        let x = Vectors { data: buffers.projected, tokens: self.tokens, stride };
        self.project(
            Role::FfnDown,
            Role::FfnDownBias,
            layer,
            x,
            &mut buffers.inputs,
            buffers.out,
            self.layout.out_stride,
        );
        self.add_out(buffers);
        self.norm_after(Role::FfnNorm, Role::FfnNormBias, layer, buffers);
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
    fn rotate(&self, buffers: &mut Buffers<'_>) {
        let pairs = self.layout.rotary_pairs;
        let query_width = self.description.query_width();
        let rotated = query_width + self.description.kv_width();
        for token in 0..self.tokens {
            let row = &mut buffers.projected[token * self.layout.projected_stride..][..rotated];
            let cos = &buffers.cos[token * pairs..][..pairs];
            let sin = &buffers.sin[token * pairs..][..pairs];
            // One call for all heads: a head of 8 is a few instructions.
            self.kernels.enter(
                #[inline(always)]
                || {
                    if let Positions::Rotary(pairing) = self.description.positions {
                        rotate_heads(row, self.description.head_width as usize, cos, sin, pairing);
                    }
                    lanes::scale(&mut row[..query_width], self.description.attention_scale);
                },
            );
        }
    }

    fn activate(&self, projected: &mut [f32]) {
        let hidden = self.description.hidden as usize;
        for row in projected.chunks_exact_mut(self.layout.projected_stride).take(self.tokens) {
            let (first, second) = row.split_at_mut(hidden);
            if self.description.gated {
                self.kernels.activate_gated(self.description.activation, first, &second[..hidden]);
            } else {
                self.kernels.activate(self.description.activation, first);
            }
        }
    }

    fn add_out(&self, buffers: &mut Buffers<'_>) {
        let width = self.layout.width;
        let out = buffers.out.chunks_exact(self.layout.out_stride);
        for (x, out) in buffers.residual.chunks_exact_mut(width).zip(out).take(self.tokens) {
            self.kernels.add(x, &out[..width]);
        }
    }

    /// The input of a half block: the norm of the residual stream, or the stream itself where the norm comes after.
    fn norm_before(&self, weight: Role, bias: Role, layer: usize, buffers: &mut Buffers<'_>) {
        let width = self.layout.width;
        let residual = &buffers.residual[..self.tokens * width];
        match self.description.norm_place {
            NormPlace::Before => self.norm(weight, bias, layer, residual, buffers.hidden),
            NormPlace::After => copy_rows(residual, width, buffers.hidden, self.layout.hidden_stride),
        }
    }

    fn norm_after(&self, weight: Role, bias: Role, layer: usize, buffers: &mut Buffers<'_>) {
        if self.description.norm_place == NormPlace::After {
            let width = self.layout.width;
            let residual = &mut buffers.residual[..self.tokens * width];
            self.norm(weight, bias, layer, residual, buffers.hidden);
            copy_rows_back(buffers.hidden, self.layout.hidden_stride, residual, width);
        }
    }

    /// Norm of each row of `x`, `[rows][width]`, to `out`, `[rows][hidden_stride]`.
    fn norm(&self, weight: Role, bias: Role, layer: usize, x: &[f32], out: &mut [f32]) {
        let (weight, bias) = (self.tensors.vector(weight, layer), self.tensors.vector(bias, layer));
        let (width, epsilon) = (self.layout.width, self.description.epsilon);
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(self.layout.hidden_stride)) {
            let out = &mut out[..width];
            match self.description.norm {
                NormKind::Rms => {
                    self.kernels.rms_norm(x, weight, epsilon, out);
                    self.kernels.add(out, bias);
                }
                NormKind::Layer => self.kernels.layer_norm(x, weight, bias, epsilon, out),
            }
        }
    }
}

#[inline(always)]
fn rotate_heads(row: &mut [f32], width: usize, cos: &[f32], sin: &[f32], pairing: Pairing) {
    for head in row.chunks_exact_mut(width) {
        lanes::rotate(&mut head[..2 * cos.len()], cos, sin, pairing);
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
