//! Parameters made ready for one step: rounded as the runtime will store them, and packed for both directions.

use super::packed::Packed;
use super::parameters::{Parameter, ParameterId, Use};
use super::pool::Buffer;
use super::quantize::{Quantization, round_matrix};
use super::threads::for_each;
use whit::format::Encoding;

/// One parameter, ready.
#[derive(Debug, Default)]
struct Ready {
    /// What is multiplied with; empty where that is the parameter itself.
    rounded: Buffer,
    /// Where rounding cut off; empty for nowhere.
    cut: Vec<u64>,
    /// The transpose, for the forward pass.
    forward: Packed,
    /// As it is, for the gradient of the input.
    backward: Packed,
    rounds_inputs: bool,
}

/// The memory for all parameters of a model, kept from step to step.
#[derive(Debug)]
pub(super) struct WeightStore {
    ready: Vec<Ready>,
}

/// All parameters of a model, ready for as many shards as there are.
#[derive(Clone, Copy)]
pub(super) struct Weights<'p> {
    parameters: &'p [Parameter],
    ready: &'p [Ready],
    /// What they were made ready for.
    pub(super) quantization: Quantization,
}

impl WeightStore {
    /// Room for `count` parameters.
    pub(super) fn new(count: usize) -> Self {
        Self { ready: (0..count).map(|_| Ready::default()).collect() }
    }

    /// Rounds and packs; `gradients` says whether there will be a backward pass.
    pub(super) fn prepare(
        &mut self,
        parameters: &[Parameter],
        quantization: Quantization,
        gradients: bool,
        threads: usize,
    ) {
        for_each(threads, self.ready.iter_mut().zip(parameters), |(ready, parameter)| {
            ready.prepare(parameter, quantization, gradients);
        });
    }

    /// What was prepared last, of the same `parameters` and `quantization`.
    pub(super) fn weights<'p>(
        &'p self,
        parameters: &'p [Parameter],
        quantization: Quantization,
    ) -> Weights<'p> {
        Weights { parameters, ready: &self.ready, quantization }
    }

    /// Sets the gradients of parameter `id` to zero where rounding cut off.
    pub(super) fn cut(&self, id: ParameterId, gradient: &mut [f32]) {
        for (&bits, gradient) in self.ready[id.0].cut.iter().zip(gradient.chunks_mut(64)) {
            if bits != 0 {
                for (i, gradient) in gradient.iter_mut().enumerate() {
                    *gradient = if bits >> i & 1 == 1 { 0.0 } else { *gradient };
                }
            }
        }
    }
}

impl Ready {
    fn prepare(&mut self, parameter: &Parameter, quantization: Quantization, gradients: bool) {
        let encoding = match parameter.used_as {
            Use::Vector => Encoding::F32,
            Use::Product => quantization.weights,
            Use::Rows | Use::TiedRows | Use::Head => quantization.embedding,
        };
        let (rows, cols) = (parameter.rows, parameter.cols);
        if encoding == Encoding::F32 {
            (self.rounded, self.cut) = Default::default();
        } else {
            round_matrix(&parameter.values, cols, encoding, &mut self.rounded, &mut self.cut);
        }
        self.rounds_inputs = Quantization::rounds_inputs(encoding);
        if parameter.used_as.is_product() {
            let values = if self.rounded.is_empty() { &parameter.values[..] } else { &self.rounded };
            self.forward.pack_columns(values, cols, cols, rows);
            if gradients {
                self.backward.pack_rows(values, cols, rows, cols);
            }
        }
    }
}

impl<'p> Weights<'p> {
    /// What is multiplied with, `[rows][cols]`.
    pub(super) fn values(&self, id: ParameterId) -> &'p [f32] {
        let rounded = &self.ready[id.0].rounded;
        if rounded.is_empty() { &self.parameters[id.0].values } else { rounded }
    }

    /// `[rows, cols]`.
    pub(super) fn shape(&self, id: ParameterId) -> [usize; 2] {
        [self.parameters[id.0].rows, self.parameters[id.0].cols]
    }

    /// Whether its rows are looked up and it is multiplied with.
    pub(super) fn is_tied(&self, id: ParameterId) -> bool {
        self.parameters[id.0].used_as == Use::TiedRows
    }

    /// The transpose, packed.
    pub(super) fn forward(&self, id: ParameterId) -> &'p Packed {
        &self.ready[id.0].forward
    }

    /// The matrix, packed; only where a backward pass was announced.
    pub(super) fn backward(&self, id: ParameterId) -> &'p Packed {
        &self.ready[id.0].backward
    }

    /// Whether the inputs of products with it are rounded to int8.
    pub(super) fn rounds_inputs(&self, id: ParameterId) -> bool {
        self.ready[id.0].rounds_inputs
    }
}
