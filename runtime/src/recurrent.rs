//! The forward pass of a stack of recurrent layers: the products with a whole chunk's inputs at once, then step after
//! step the product with the state and the cell.
//!
//! Inputs and state are multiplied separately, each with its own scale where vectors are quantized: so what stands
//! beside a token in a chunk, and whether it came alone, changes no bit.

mod buffers;
mod cell;
mod layout;

pub(crate) use buffers::Buffers;
pub(crate) use layout::Layout;

use crate::format::{Direction, Normalization, Recurrent, Role, Tensors};
use crate::kernels::softmax::Softmax;
use crate::kernels::{Kernels, lanes};
use crate::layout::Quantized;
use crate::math;
use crate::ops::{Vectors, project};
use crate::parallel::Workers;
use crate::parts::ALL_RECURRENT;
use crate::quant::row_to_f32;
use crate::tensor::Matrix;
use cell::LayerCell;

/// What a chunk is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input<'i> {
    /// Ids of tokens.
    Tokens(&'i [u32]),
    /// Vectors `[tokens][input]`.
    Frames(&'i [f32]),
}

/// One forward pass over a chunk of tokens or frames.
pub(crate) struct Pass<'p, 'a, K> {
    pub(crate) kernels: K,
    pub(crate) workers: &'p dyn Workers,
    pub(crate) recurrent: &'p Recurrent,
    pub(crate) tensors: &'p Tensors<'a>,
    pub(crate) layout: &'p Layout,
    /// Tokens in the chunk, at most the layout's batch.
    pub(crate) tokens: usize,
}

impl<K: Kernels> Pass<'_, '_, K> {
    /// Runs a chunk through all layers; the last one's vectors stay in `buffers`.
    pub(crate) fn layers(&self, input: Input<'_>, buffers: &mut Buffers<'_>) {
        match input {
            Input::Tokens(tokens) => self.embed(tokens, buffers),
            Input::Frames(frames) if ALL_RECURRENT.is_there => self.copy_frames(frames, buffers),
            Input::Frames(_) => {}
        }
        for layer in 0..self.recurrent.layers as usize {
            self.multiply_inputs(layer, buffers);
            match self.recurrent.direction {
                _ if !ALL_RECURRENT.is_there => self.walk(layer, 0, 0..self.tokens, buffers),
                Direction::Forward => self.walk(layer, 0, 0..self.tokens, buffers),
                Direction::Reverse => self.walk(layer, 0, (0..self.tokens).rev(), buffers),
                Direction::Both => {
                    self.walk(layer, 0, 0..self.tokens, buffers);
                    self.walk(layer, 1, (0..self.tokens).rev(), buffers);
                }
            }
        }
    }

    /// Outputs of `count` tokens from `first` on, to the front of `buffers.outputs`, `[count][outputs_stride]`.
    pub(crate) fn head(&self, first: usize, count: usize, buffers: &mut Buffers<'_>) {
        let stride = self.layout.vector_stride;
        let data = &buffers.vectors[first * stride..][..count * stride];
        let x = Vectors { data, tokens: count, stride };
        self.outputs(x, &mut buffers.step.quantized, buffers.outputs);
    }

    /// The outputs after the last token read, from the last layer's state: only where sequences are read forward.
    pub(crate) fn head_of_state(&self, buffers: &mut Buffers<'_>) {
        let place = self.layout.place(self.recurrent.layers as usize - 1, 0);
        let (h, _) = place.of(buffers.state);
        let x = Vectors { data: h, tokens: 1, stride: h.len() };
        self.outputs(x, &mut buffers.step.quantized, buffers.outputs);
    }

    fn outputs(&self, x: Vectors<'_>, quantized: &mut Quantized<'_>, outputs: &mut [f32]) {
        let stride = self.layout.outputs_stride;
        let width = self.recurrent.outputs();
        if self.recurrent.head == 0 {
            for (x, out) in x.data.chunks_exact(x.stride).zip(outputs.chunks_exact_mut(stride)) {
                out[..width].copy_from_slice(&x[..width]);
            }
        } else {
            let role = if self.recurrent.tied { Role::Embedding } else { Role::Head };
            self.project(role, Role::HeadBias, 0, x, quantized, outputs, stride);
        }
        for out in outputs.chunks_exact_mut(stride).take(x.tokens) {
            let out = &mut out[..width];
            match self.recurrent.normalization {
                _ if !ALL_RECURRENT.is_there => {}
                Normalization::None => {}
                Normalization::Softmax => self.kernels.enter(
                    #[inline(always)]
                    || {
                        let mut softmax = Softmax::EMPTY;
                        softmax.extend(out);
                        lanes::scale(out, 1.0 / softmax.sum);
                    },
                ),
                Normalization::Sigmoid => self.kernels.enter(
                    #[inline(always)]
                    || out.iter_mut().for_each(|x| *x = math::sigmoid(*x)),
                ),
            }
        }
    }

    fn matrix(&self, role: Role, layer: usize) -> Matrix<'_> {
        self.tensors.matrix(role, layer).expect("the description asks for it, and parse found it")
    }

    fn project(
        &self,
        role: Role,
        bias: Role,
        layer: usize,
        x: Vectors<'_>,
        quantized: &mut Quantized<'_>,
        out: &mut [f32],
        stride: usize,
    ) {
        let bias = self.tensors.vector(bias, layer);
        let matrix = self.matrix(role, layer);
        project(self.kernels, self.workers, &matrix, bias, x, quantized, out, stride);
    }

    fn embed(&self, tokens: &[u32], buffers: &mut Buffers<'_>) {
        let embedding = self.matrix(Role::Embedding, 0);
        let width = self.recurrent.input as usize;
        for (&token, x) in tokens.iter().zip(buffers.vectors.chunks_exact_mut(self.layout.vector_stride)) {
            row_to_f32(&embedding, token as usize, &mut x[..width]);
        }
    }

    fn copy_frames(&self, frames: &[f32], buffers: &mut Buffers<'_>) {
        let width = self.recurrent.input as usize;
        let vectors = buffers.vectors.chunks_exact_mut(self.layout.vector_stride);
        for (frame, x) in frames.chunks_exact(width).zip(vectors) {
            x[..width].copy_from_slice(frame);
        }
    }

    /// The input projections of all tokens and directions of a layer: they need no state.
    fn multiply_inputs(&self, layer: usize, buffers: &mut Buffers<'_>) {
        let stride = self.layout.vector_stride;
        let x = Vectors { data: &*buffers.vectors, tokens: self.tokens, stride };
        let (gates, quantized) = (&mut *buffers.gates, &mut buffers.step.quantized);
        let (role, bias) = (Role::RecurrentInput, Role::RecurrentInputBias);
        self.project(role, bias, layer, x, quantized, gates, self.layout.gates_stride);
    }

    /// Reads the chunk in one direction, token after token, and writes the states where the inputs were: the products
    /// with those are done.
    fn walk(
        &self,
        layer: usize,
        direction: usize,
        tokens: impl Iterator<Item = usize>,
        buffers: &mut Buffers<'_>,
    ) {
        let gates_len = self.recurrent.cell.gates() * self.recurrent.hidden(layer);
        let width = self.recurrent.state(layer);
        let cell = self.cell(layer, direction);
        let (h, c) = self.layout.place(layer, direction).of(buffers.state);
        for token in tokens {
            let gates =
                &buffers.gates[token * self.layout.gates_stride..][direction * gates_len..][..gates_len];
            cell.step(gates, h, c, &mut buffers.step);
            let out = &mut buffers.vectors[token * self.layout.vector_stride..][direction * width..][..width];
            out.copy_from_slice(&h[..width]);
        }
    }

    /// The tensors of one direction of a layer, found once for all steps.
    fn cell(&self, layer: usize, direction: usize) -> LayerCell<'_, K> {
        let matrix = |roles: [Role; 2]| self.tensors.matrix(roles[direction], layer);
        let rare = |roles| if ALL_RECURRENT.is_there { matrix(roles) } else { None };
        let hidden = self.recurrent.hidden(layer);
        let bias = self.tensors.vector(Role::RecurrentCandidateBias, layer);
        LayerCell {
            kernels: self.kernels,
            workers: self.workers,
            cell: self.recurrent.cell,
            hidden,
            width: self.recurrent.state(layer),
            state: matrix([Role::RecurrentHidden, Role::RecurrentHiddenReverse])
                .expect("every layer has one, and parse found it"),
            candidate: rare([Role::RecurrentCandidate, Role::RecurrentCandidateReverse]),
            projection: rare([Role::RecurrentProjection, Role::RecurrentProjectionReverse]),
            bias: bias.chunks(hidden).nth(direction).unwrap_or_default(),
        }
    }
}
