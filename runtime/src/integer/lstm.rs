//! One layer of long short-term memory in integers: int8 in and out, int16 gates and cell.

use super::{Requantize, Weights, saturate_i8, saturate_i16, sigmoid, tanh};
use crate::kernels::{Backend, Kernels, WithKernels};

/// The factors that bring a gate's two exact sums to Q3.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Of the product with the input.
    pub input: Requantize,
    /// Of the product with the hidden state.
    pub hidden: Requantize,
}

/// What a layer has besides weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LstmParameters {
    /// Input, forget, cell, output.
    pub gates: [Gate; 4],
    /// Factor of forget gate (Q0.15) × cell.
    pub forget_to_cell: Requantize,
    /// Factor of input gate × cell gate (both Q0.15).
    pub input_to_cell: Requantize,
    /// Factor of output gate × tanh of the cell (both Q0.15).
    pub output: Requantize,
    /// Zero point of the hidden state, which is the output.
    pub zero_point: i8,
    /// The cell's scale is 2 to this power: −27 to 0.
    pub cell_power: i32,
    /// Largest magnitude of the cell; 0 for all that an i16 has.
    pub cell_clip: i16,
}

/// A layer. Gates stand in the order input, forget, cell, output, `hidden` rows each.
#[derive(Clone, Copy, Debug)]
pub struct Lstm<'a> {
    /// `[4 hidden, inputs]`.
    pub input_weights: Weights<'a>,
    /// `[4 hidden, hidden]`.
    pub hidden_weights: Weights<'a>,
    /// `[4 hidden]`: the bias, less the input's zero point times the row's sum of input weights.
    pub input_bias: &'a [i32],
    /// `[4 hidden]`: the output's zero point times the row's sum of hidden weights, negated.
    pub hidden_bias: &'a [i32],
    /// Factors, zero point, scale and clip.
    pub parameters: LstmParameters,
}

/// What a layer remembers of one stream.
#[derive(Debug)]
pub struct LstmState<'s> {
    /// `[hidden]`, also the latest output.
    pub hidden: &'s mut [i8],
    /// `[hidden]`.
    pub cell: &'s mut [i16],
}

impl LstmState<'_> {
    /// Forgets everything: zero, which is the zero point in the hidden state.
    pub fn reset(&mut self, lstm: &Lstm<'_>) {
        self.hidden.fill(lstm.parameters.zero_point);
        self.cell.fill(0);
    }
}

/// Room for a layer's exact sums, `[4 hidden]` each or longer; what it holds between steps does not matter.
#[derive(Debug)]
pub struct Scratch<'s> {
    /// Products with the input.
    pub input: &'s mut [i32],
    /// Products with the hidden state.
    pub hidden: &'s mut [i32],
}

/// How the vectors of several streams lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `[steps][batch][width]`.
    TimeMajor,
    /// `[batch][steps][width]`.
    BatchMajor,
}

impl Order {
    /// Index of a vector.
    fn index(self, step: usize, stream: usize, steps: usize, batch: usize) -> usize {
        match self {
            Self::TimeMajor => step * batch + stream,
            Self::BatchMajor => stream * steps + step,
        }
    }
}

impl Lstm<'_> {
    /// Width of the hidden state, of the cell and of the output.
    pub fn hidden(&self) -> usize {
        self.hidden_weights.cols()
    }

    /// Advances some streams by as many steps as `input` has: several calls in a row are one call.
    ///
    /// `input` is `[.., inputs]` and `output` `[.., hidden]` in `order`; `states` are the streams'.
    ///
    /// # Panics
    /// If a length is not what the layer asks for.
    pub fn run(
        &self,
        backend: Backend,
        order: Order,
        states: &mut [LstmState<'_>],
        scratch: &mut Scratch<'_>,
        input: &[i8],
        output: &mut [i8],
    ) {
        struct Work<'w, 'a, 's, 't> {
            lstm: &'w Lstm<'a>,
            order: Order,
            states: &'w mut [LstmState<'s>],
            scratch: &'w mut Scratch<'t>,
            input: &'w [i8],
            output: &'w mut [i8],
        }
        impl WithKernels for Work<'_, '_, '_, '_> {
            type Output = ();
            fn call<K: Kernels>(self, kernels: K) {
                let Work { lstm, order, states, scratch, input, output } = self;
                let (inputs, hidden, batch) = (lstm.input_weights.cols(), lstm.hidden(), states.len());
                let steps = input.len() / (inputs * batch).max(1);
                for (stream, state) in states.iter_mut().enumerate() {
                    for step in 0..steps {
                        let at = order.index(step, stream, steps, batch);
                        kernels.enter(
                            #[inline(always)]
                            || lstm.step(&input[at * inputs..][..inputs], state, scratch),
                        );
                        output[at * hidden..][..hidden].copy_from_slice(state.hidden);
                    }
                }
            }
        }
        backend.run(Work { lstm: self, order, states, scratch, input, output });
    }

    /// Advances one stream by one step; the output is its new hidden state. All gates of all units read the old one.
    ///
    /// # Panics
    /// If a length is not what the layer asks for.
    #[inline(always)]
    pub(super) fn step(&self, x: &[i8], state: &mut LstmState<'_>, scratch: &mut Scratch<'_>) {
        self.input_weights.multiply(x, self.input_bias, scratch.input);
        self.hidden_weights.multiply(state.hidden, self.hidden_bias, scratch.hidden);
        let units = self.hidden();
        for unit in 0..units {
            let gate = |gate: usize| {
                let (row, factors) = (gate * units + unit, &self.parameters.gates[gate]);
                let input = saturate_i16(factors.input.apply(scratch.input[row]));
                let hidden = factors.hidden.apply(scratch.hidden[row]);
                saturate_i16(hidden.saturating_add(i32::from(input)))
            };
            let (admit, keep) = (sigmoid(gate(0)), sigmoid(gate(1)));
            let (candidate, emit) = (tanh(gate(2), 0), sigmoid(gate(3)));
            let cell = self.parameters.next_cell(state.cell[unit], keep, admit, candidate);
            state.cell[unit] = cell;
            state.hidden[unit] = self.parameters.emitted(cell, emit);
        }
    }
}

impl LstmParameters {
    /// The cell after a step: two roundings and two clamps, not one.
    #[inline(always)]
    fn next_cell(&self, cell: i16, keep: i16, admit: i16, candidate: i16) -> i16 {
        let kept = saturate_i16(self.forget_to_cell.apply(i32::from(keep) * i32::from(cell)));
        let added = self.input_to_cell.apply(i32::from(admit) * i32::from(candidate));
        let cell = saturate_i16(added.saturating_add(i32::from(kept)));
        if self.cell_clip > 0 { cell.clamp(-self.cell_clip, self.cell_clip) } else { cell }
    }

    /// The hidden state that a cell gives. tanh takes Q3.12: the cell times 2^(power + 12).
    #[inline(always)]
    fn emitted(&self, cell: i16, emit: i16) -> i8 {
        let product = i32::from(emit) * i32::from(tanh(cell, self.cell_power + 12));
        saturate_i8(self.output.apply(product).saturating_add(i32::from(self.zero_point)))
    }
}
