//! The recurrent language model: embedding, layers, output head, under the names of PyTorch's modules.

use super::Drops;
use super::state::LayerState;
use crate::train::config::{Cell, Recurrent};
use crate::train::init::{Builder, Init};
use crate::train::ops;
use crate::train::parameters::{ParameterId, Use};
use crate::train::tape::{Tape, Var};

#[derive(Clone, Copy, Debug)]
struct Layer {
    input: ParameterId,
    recurrent: ParameterId,
    input_bias: ParameterId,
    recurrent_bias: ParameterId,
}

/// The graph of a recurrent language model.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    cell: Cell,
    embedding: ParameterId,
    layers: Vec<Layer>,
    head: ParameterId,
    head_bias: ParameterId,
}

impl Stack {
    /// Adds the parameters of `recurrent` to `builder`.
    ///
    /// They begin as PyTorch's do, uniform within 1 / √width and the embedding normal (a tied one with the deviation of
    /// the uniform head), but the forget gates open: with a bias of 1 (Jozefowicz et al. 2015).
    pub(super) fn new(recurrent: &Recurrent, builder: &mut Builder) -> Self {
        let Recurrent { cell, vocabulary, embedding, width, layers, tied } = *recurrent;
        let [vocabulary, embedding, width] = [vocabulary, embedding, width].map(|size| size as usize);
        let bound = 1.0 / (width as f32).sqrt();
        let (used_as, deviation) = if tied { (Use::TiedRows, bound / 3f32.sqrt()) } else { (Use::Rows, 1.0) };
        let rows = [vocabulary, embedding];
        let table = builder.matrix("embedding.weight", used_as, rows, Init::Normal(deviation));
        let layers = (0..layers)
            .map(|layer| {
                let input_width = if layer == 0 { embedding } else { width };
                Layer::new(builder, cell, layer, [input_width, width])
            })
            .collect();
        let head = if tied {
            table
        } else {
            builder.matrix("head.weight", Use::Head, [vocabulary, width], Init::Uniform(bound))
        };
        let head_bias = builder.vector("head.bias", vocabulary, Init::Constant(0.0));
        Self { cell, embedding: table, layers, head, head_bias }
    }

    /// Logits of `tokens`, all sequences' first, then all second ones and so on, from `state`, which goes on.
    pub(super) fn logits(
        &self,
        tape: &mut Tape<'_>,
        tokens: Vec<u32>,
        state: Vec<LayerState<'_>>,
        drops: &mut Drops,
    ) -> Var {
        let [vocabulary, _] = tape.weights.shape(self.embedding);
        let layers = self.layers.iter().enumerate().zip(state);
        // Where there are fewer kinds of tokens than tokens, the first layer's input product is one of all kinds: each
        // of its rows has the same bits, and of a quarter of a small model's work an eighth is left.
        let by_kind = drops.are_none(tape) && vocabulary < tokens.len();
        let mut x = if by_kind {
            ops::embed(tape, self.embedding, (0..vocabulary as u32).collect())
        } else {
            let x = ops::embed(tape, self.embedding, tokens.clone());
            drops.apply(tape, x)
        };
        for ((at, layer), state) in layers {
            let mut gates = layer.gates(tape, self.cell, x);
            if at == 0 && by_kind {
                gates = ops::gather(tape, gates, tokens.clone());
            }
            x = layer.steps(tape, self.cell, gates, state);
            x = drops.apply(tape, x);
        }
        ops::linear(tape, x, self.head, &[self.head_bias], None)
    }
}

impl Layer {
    fn new(builder: &mut Builder, cell: Cell, layer: u32, [input_width, width]: [usize; 2]) -> Self {
        let (module, gates) = match cell {
            Cell::Lstm => ("lstm", 4),
            Cell::Gru => ("gru", 3),
        };
        let uniform = Init::Uniform(1.0 / (width as f32).sqrt());
        let name = |kind: &str| format!("{module}.{kind}_l{layer}");
        let mut matrix =
            |kind, cols| builder.matrix(&name(kind), Use::Product, [gates * width, cols], uniform);
        let (input, recurrent) = (matrix("weight_ih", input_width), matrix("weight_hh", width));
        let [input_bias, recurrent_bias] =
            ["bias_ih", "bias_hh"].map(|kind| builder.vector(&name(kind), gates * width, uniform));
        if cell == Cell::Lstm {
            builder.parameters[input_bias.0].values[width..2 * width].fill(1.0);
            builder.parameters[recurrent_bias.0].values[width..2 * width].fill(0.0);
        }
        Self { input, recurrent, input_bias, recurrent_bias }
    }

    /// What the inputs `x` contribute to the gates.
    fn gates(&self, tape: &mut Tape<'_>, cell: Cell, x: Var) -> Var {
        let biases = match cell {
            Cell::Lstm => &[self.input_bias, self.recurrent_bias][..],
            // The other one belongs inside the reset gate.
            Cell::Gru => &[self.input_bias],
        };
        ops::linear(tape, x, self.input, biases, None)
    }

    fn steps(&self, tape: &mut Tape<'_>, cell: Cell, gates: Var, [hidden, cells]: LayerState<'_>) -> Var {
        match cell {
            Cell::Lstm => ops::lstm(tape, gates, self.recurrent, [hidden, cells]),
            Cell::Gru => ops::gru(tape, gates, self.recurrent, self.recurrent_bias, hidden),
        }
    }
}
