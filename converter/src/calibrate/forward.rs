//! The model in f32 over all calibration texts at once, one matrix after the other in the order of the file: of the
//! weights, one matrix is in memory at a time.

use super::{Calibration, Feedback};
use crate::checkpoint::Checkpoint;
use std::ops::Range;
use whit::format::{Description, Encoding, NormKind, NormPlace, Positions, Role, Slots};
use whit::kernels::{Backend, Kernels, WithKernels, lanes};
use whit::math;
use whit::parallel::Columns;
use whit::tensor::{MatrixF32, padded_rows};

/// A pass that has come as far as the inputs of one projection.
pub(crate) struct Forward<'c> {
    checkpoint: &'c Checkpoint<'c>,
    description: Description,
    /// Where each text lies among the tokens.
    texts: Vec<Range<usize>>,
    /// `[tokens][width]`.
    residual: Vec<f32>,
    /// What the next projection multiplies with, `[tokens][its columns]`.
    inputs: Vec<f32>,
}

impl<'c> Forward<'c> {
    /// Embeds the texts.
    pub(crate) fn new(
        checkpoint: &'c Checkpoint<'c>,
        description: Description,
        calibration: &Calibration,
    ) -> Self {
        let mut start = 0;
        let range = |text: &Vec<u32>| {
            start += text.len();
            start - text.len()..start
        };
        let texts: Vec<_> = calibration.texts.iter().map(range).collect();
        let mut this = Self { checkpoint, description, texts, residual: Vec::new(), inputs: Vec::new() };
        for text in &calibration.texts {
            for (position, &token) in text.iter().enumerate() {
                this.embed(token, position);
            }
        }
        this
    }

    /// How the errors of the projection of `role` in `layer` are passed on, if it is one and is stored as integers.
    /// To be asked for all tensors, in the order of the file: the pass goes on with it.
    pub(crate) fn feedback(&mut self, role: Role, layer: u16, encoding: Encoding) -> Option<Feedback> {
        match role {
            Role::Qkv => {
                if let Some(before) = layer.checked_sub(1) {
                    self.add_half(Role::FfnDown, Role::FfnDownBias, Role::FfnNorm, before);
                }
                self.norm_before(Role::AttentionNorm, layer);
            }
            Role::AttentionOut => self.attention(layer),
            Role::FfnUp => {
                self.add_half(Role::AttentionOut, Role::AttentionOutBias, Role::AttentionNorm, layer);
                self.norm_before(Role::FfnNorm, layer);
            }
            Role::FfnDown => self.activation(layer),
            _ => return None,
        }
        let cols = self.description.shape(role).1;
        let integers = matches!(encoding, Encoding::I8 | Encoding::I4 { .. });
        integers.then(|| Feedback::new(&self.inputs, cols))
    }

    /// The residual stream after the last layer, `[tokens][width]`.
    #[cfg(test)]
    pub(super) fn finish(mut self) -> Vec<f32> {
        let last = self.description.layers as u16 - 1;
        self.add_half(Role::FfnDown, Role::FfnDownBias, Role::FfnNorm, last);
        self.residual
    }

    /// All of a tensor in f32; empty if the model has none.
    fn tensor(&self, role: Role, layer: u16) -> Vec<f32> {
        let slots = Slots::new(&self.checkpoint.architecture);
        let Some(at) = slots.iter().position(|slot| slot == (role, layer)) else { return Vec::new() };
        let rows = &self.checkpoint.tensors[at].rows;
        let mut weights = vec![0.0; rows.rows() * rows.cols()];
        rows.read_block(0, &mut weights);
        weights
    }

    fn embed(&mut self, token: u32, position: usize) {
        let width = self.description.width as usize;
        let mut x = vec![0.0; width];
        let row = |role, row, out: &mut [f32]| {
            let tensors = &self.checkpoint.tensors;
            if let Some(tensor) = tensors.iter().find(|tensor| tensor.role == role) {
                tensor.rows.read(row, out);
            }
        };
        row(Role::Embedding, token as usize, &mut x);
        lanes::scale(&mut x, self.description.embedding_scale);
        let mut learned = vec![0.0; width];
        row(Role::Positions, position, &mut learned);
        lanes::add(&mut x, &learned);
        self.residual.extend(x);
    }

    /// Weight × inputs + bias, `[tokens][rows]`.
    fn product(&self, role: Role, bias: Role, layer: u16) -> Vec<f32> {
        let (rows, cols) = self.description.shape(role);
        let (weights, bias) = (self.tensor(role, layer), self.tensor(bias, layer));
        let matrix = MatrixF32::new(rows, cols, &weights).expect("export compared the shapes");
        let (tokens, stride) = (self.inputs.len() / cols, padded_rows(rows));
        let mut padded = vec![0.0; tokens * stride];
        let out = Columns::new(&mut padded, tokens, stride);
        Backend::detect().run(Product { matrix, x: &self.inputs, blocks: 0..stride / 16, out });
        let mut out = Vec::with_capacity(tokens * rows);
        for row in padded.chunks_exact_mut(stride) {
            lanes::add(row, &bias);
            out.extend_from_slice(&row[..rows]);
        }
        out
    }

    /// Adds a half block's output to the residual stream, and norms that where norms come after.
    fn add_half(&mut self, role: Role, bias: Role, norm: Role, layer: u16) {
        let out = self.product(role, bias, layer);
        lanes::add(&mut self.residual, &out);
        if self.description.norm_place == NormPlace::After {
            self.residual = self.norm(norm, layer);
        }
    }

    fn norm_before(&mut self, role: Role, layer: u16) {
        self.inputs = match self.description.norm_place {
            NormPlace::Before => self.norm(role, layer),
            NormPlace::After => self.residual.clone(),
        };
    }

    /// The norm of every token of the residual stream.
    fn norm(&self, role: Role, layer: u16) -> Vec<f32> {
        let bias = if role == Role::AttentionNorm { Role::AttentionNormBias } else { Role::FfnNormBias };
        let (weight, bias) = (self.tensor(role, layer), self.tensor(bias, layer));
        let Description { width, norm, epsilon, .. } = self.description;
        let mut normed = vec![0.0; self.residual.len()];
        let rows = self.residual.chunks_exact(width as usize).zip(normed.chunks_exact_mut(width as usize));
        for (x, out) in rows {
            match norm {
                NormKind::Rms => {
                    lanes::rms_norm(x, &weight, epsilon, out);
                    lanes::add(out, &bias);
                }
                NormKind::Layer => lanes::layer_norm(x, &weight, &bias, epsilon, out),
            }
        }
        normed
    }

    /// From the inputs of the query, key and value projections to those of the output projection.
    fn attention(&mut self, layer: u16) {
        let mut qkv = self.product(Role::Qkv, Role::QkvBias, layer);
        let description = &self.description;
        let stride = description.shape(Role::Qkv).0;
        let frequencies = self.tensor(Role::RotaryFrequencies, 0);
        self.inputs = vec![0.0; qkv.len() / stride * description.query_width()];
        for text in &self.texts {
            let qkv = &mut qkv[text.start * stride..text.end * stride];
            for (position, token) in qkv.chunks_exact_mut(stride).enumerate() {
                rotate(description, &frequencies, position, token);
            }
            let out = text.start * description.query_width()..text.end * description.query_width();
            attend(description, qkv, &mut self.inputs[out]);
        }
    }

    /// From the inputs of the up projection to those of the down projection.
    fn activation(&mut self, layer: u16) {
        let mut up = self.product(Role::FfnUp, Role::FfnUpBias, layer);
        let description = &self.description;
        let (stride, hidden) = (description.shape(Role::FfnUp).0, description.hidden as usize);
        self.inputs.clear();
        for row in up.chunks_exact_mut(stride) {
            let (first, second) = row.split_at_mut(hidden);
            if description.gated {
                lanes::activate_gated(description.activation, first, second);
            } else {
                lanes::activate(description.activation, first);
            }
            self.inputs.extend_from_slice(first);
        }
    }
}

/// One matrix product on the fastest backend.
struct Product<'a> {
    matrix: MatrixF32<'a>,
    x: &'a [f32],
    blocks: Range<usize>,
    out: Columns<'a>,
}

impl WithKernels for Product<'_> {
    type Output = ();

    fn call<K: Kernels>(mut self, kernels: K) {
        kernels.matmul_f32(&self.matrix, self.x, self.matrix.cols(), self.blocks, &mut self.out);
    }
}

/// Rotates the queries and keys of one token, `[query, key, value]`.
fn rotate(description: &Description, frequencies: &[f32], position: usize, token: &mut [f32]) {
    let Positions::Rotary(pairing) = description.positions else { return };
    let angles: Vec<_> =
        frequencies.iter().map(|frequency| math::sin_cos(position as f32 * frequency)).collect();
    let (sin, cos): (Vec<f32>, Vec<f32>) = angles.into_iter().unzip();
    let rotated = description.query_width() + description.kv_width();
    for head in token[..rotated].chunks_exact_mut(description.head_width as usize) {
        lanes::rotate_head(&mut head[..2 * cos.len()], &cos, &sin, pairing);
    }
}

/// Attention within one text: `qkv` is `[tokens][query, key, value]`, `out` `[tokens][query]`.
fn attend(description: &Description, qkv: &[f32], out: &mut [f32]) {
    let width = description.head_width as usize;
    let (query_width, kv_width) = (description.query_width(), description.kv_width());
    let stride = query_width + 2 * kv_width;
    let group = (description.heads / description.kv_heads) as usize;
    let part = |token: usize, at: usize| &qkv[token * stride + at..][..width];
    for (token, out) in out.chunks_exact_mut(query_width).enumerate() {
        let first = match description.window as usize {
            0 => 0,
            window => (token + 1).saturating_sub(window),
        };
        for (head, out) in out.chunks_exact_mut(width).enumerate() {
            let at = query_width + head / group * width;
            let score =
                |key: usize| description.attention_scale * dot(part(token, head * width), part(key, at));
            let scores: Vec<f32> = (first..=token).map(score).collect();
            let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let weights: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
            let sum: f32 = weights.iter().sum();
            for (weight, key) in weights.iter().zip(first..) {
                for (out, value) in out.iter_mut().zip(part(key, at + kv_width)) {
                    *out += weight / sum * value;
                }
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
