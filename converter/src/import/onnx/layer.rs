//! The tensors and choices of one LSTM, GRU or RNN node.
//!
//! Specification: ONNX operators, LSTM, GRU and RNN, versions 7 to 22. Gates stand as i, o, f, c and z, r, h.

use super::graph::{Constant, Node};
use crate::import::recurrent::Layer;
use crate::import::rows::{Order, Stored};
use crate::map::Map;
use std::sync::Arc;
use whit::format::{Cell, Direction};

/// Which of the three it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lstm,
    Gru,
    Rnn,
}

impl Kind {
    pub(super) fn of(op: &str) -> Self {
        match op {
            "LSTM" => Self::Lstm,
            "GRU" => Self::Gru,
            _ => Self::Rnn,
        }
    }

    /// The activations that a direction has unless it says otherwise.
    fn activations(self) -> &'static [&'static str] {
        match self {
            Self::Lstm => &["sigmoid", "tanh", "tanh"],
            Self::Gru => &["sigmoid", "tanh"],
            Self::Rnn => &["tanh"],
        }
    }
}

/// A node's layer, of one direction or both.
#[derive(Clone, Debug)]
pub(super) struct Layers {
    pub(super) cell: Cell,
    pub(super) direction: Direction,
    pub(super) hidden: usize,
    /// Width of the vectors that it reads.
    pub(super) input: usize,
    weights: Constant,
    recurrence: Constant,
    pub(super) bias: Option<Constant>,
}

impl Layers {
    /// What is expected and what is found, if the node is not a layer that can be computed.
    pub(super) fn new(
        node: &Node,
        kind: Kind,
        [weights, recurrence, bias]: [Option<Constant>; 3],
    ) -> Result<Self, (String, String)> {
        let fail = |expected: &str, found: String| Err((expected.to_owned(), found));
        if let Some(name) =
            ["clip", "activation_alpha", "activation_beta"].into_iter().find(|name| node.has(name))
        {
            return fail("a cell without it", name.to_owned());
        }
        if node.int("input_forget", 0) != 0 {
            return fail("an input gate of its own", "input_forget".to_owned());
        }
        let direction = match node.text("direction") {
            "" | "forward" => Direction::Forward,
            "reverse" => Direction::Reverse,
            "bidirectional" => Direction::Both,
            other => return fail("a direction", other.to_owned()),
        };
        let directions = if direction == Direction::Both { 2 } else { 1 };
        let activations = node.texts("activations");
        let relu = kind == Kind::Rnn && activations.first().is_some_and(|name| name == "relu");
        let expected = if relu { &["relu"][..] } else { kind.activations() };
        if !activations.is_empty() && activations != expected.repeat(directions) {
            return fail("the cell's own activations", activations.join(", "));
        }
        let cell = match kind {
            Kind::Lstm => Cell::Lstm,
            Kind::Gru if node.int("linear_before_reset", 0) != 0 => Cell::GruResetAfter,
            Kind::Gru => Cell::GruResetBefore,
            Kind::Rnn if relu => Cell::Relu,
            Kind::Rnn => Cell::Tanh,
        };
        let (Some(weights), Some(recurrence)) = (weights, recurrence) else {
            return fail("constant weights", "none".to_owned());
        };
        let (&[_, rows, input], &[_, _, hidden]) = (&weights.dims[..], &recurrence.dims[..]) else {
            return fail("weights of three axes", format!("{:?} and {:?}", weights.dims, recurrence.dims));
        };
        let fits = weights.dims[0] == directions
            && rows == cell.gates().saturating_mul(hidden)
            && recurrence.dims == [directions, rows, hidden]
            && bias.as_ref().is_none_or(|bias| bias.dims == [directions, 2 * rows])
            && [0, hidden as i64].contains(&node.int("hidden_size", 0));
        if !fits {
            let shapes = format!("{:?} and {:?}", weights.dims, recurrence.dims);
            return fail("weights, recurrence and bias whose shapes agree", shapes);
        }
        Ok(Self { cell, direction, hidden, input, weights, recurrence, bias })
    }

    pub(super) fn directions(&self) -> usize {
        self.weights.dims[0]
    }

    pub(super) fn is_forward(&self) -> bool {
        self.direction == Direction::Forward
    }

    /// Width of the vectors that come out.
    pub(super) fn width(&self) -> usize {
        self.directions() * self.hidden
    }

    /// The tensors of one direction, its gates in the order of a `.whit` file; with zeros for a bias that is missing.
    pub(super) fn direction(&self, map: &Arc<Map>, direction: usize) -> Option<Layer> {
        let order: &[usize] = match self.cell {
            Cell::Lstm => &[0, 2, 3, 1],
            Cell::GruResetAfter | Cell::GruResetBefore => &[0, 1, 2],
            Cell::Tanh | Cell::Relu => &[0],
        };
        let (gates, hidden) = (order.len(), self.hidden);
        let parts = |tensor: &Constant, cols: usize| -> Option<Vec<Stored>> {
            let start = |gate: usize| (direction * gates + gate) * hidden * cols;
            order.iter().map(|&gate| tensor.part(map, start(gate), [hidden, cols], Order::Rows)).collect()
        };
        let bias = match &self.bias {
            Some(bias) => bias.numbers(map)?,
            None => vec![0.0; self.directions() * 2 * gates * hidden],
        };
        let biases = |half: usize| -> Vec<Vec<f32>> {
            let start = |gate: usize| ((direction * 2 + half) * gates + gate) * hidden;
            order.iter().map(|&gate| bias[start(gate)..][..hidden].to_vec()).collect()
        };
        Some(Layer {
            input: parts(&self.weights, self.input)?,
            state: parts(&self.recurrence, hidden)?,
            input_bias: biases(0),
            state_bias: biases(1),
            projection: None,
        })
    }
}
