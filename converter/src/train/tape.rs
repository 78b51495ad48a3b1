//! Reverse-mode differentiation over a few coarse operations (Griewank and Walther 2008, chapter 3): each computes its
//! output at once, and from the gradient of the output those of its inputs and parameters.

use super::gradients::{GradientId, Gradients};
use super::pool::{Buffer, Pool};
use super::weights::Weights;

/// A matrix of f32, row-major.
#[derive(Debug, Default)]
pub(super) struct Tensor {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) data: Buffer,
}

/// The number of a value on its tape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Var(usize);

/// What turns the gradient of an output into gradients of inputs and parameters.
pub(super) trait Operation {
    /// Hands on `gradient`, that of the operation's output.
    fn backward(self: Box<Self>, tape: &mut Tape<'_>, gradient: Buffer);

    /// Gives back what was kept for a backward pass that does not come.
    fn discard(self: Box<Self>, pool: &mut Pool);
}

struct Node {
    value: Tensor,
    gradient: Option<Buffer>,
    operation: Option<Box<dyn Operation>>,
}

/// The gradients of the model, and whose turn it is to add to them.
#[derive(Clone, Copy)]
pub(super) struct Shard<'s> {
    pub(super) gradients: &'s Gradients,
    pub(super) index: usize,
}

/// The values of one shard, in the order in which they were computed.
pub(super) struct Tape<'s> {
    nodes: Vec<Node>,
    /// Buffers that are used again.
    pub(super) pool: &'s mut Pool,
    /// The parameters.
    pub(super) weights: Weights<'s>,
    /// Where gradients go; `None` computes values only.
    shard: Option<Shard<'s>>,
}

impl<'s> Tape<'s> {
    /// An empty tape.
    pub(super) fn new(pool: &'s mut Pool, weights: Weights<'s>, shard: Option<Shard<'s>>) -> Self {
        Self { nodes: Vec::new(), pool, weights, shard }
    }

    /// Whether there will be a backward pass.
    pub(super) fn records(&self) -> bool {
        self.shard.is_some()
    }

    /// Puts a value on the tape.
    pub(super) fn push(&mut self, value: Tensor, operation: impl Operation + 'static) -> Var {
        let operation: Box<dyn Operation> = Box::new(operation);
        let operation = if self.records() {
            Some(operation)
        } else {
            operation.discard(self.pool);
            None
        };
        self.nodes.push(Node { value, gradient: None, operation });
        Var(self.nodes.len() - 1)
    }

    /// The value of `var`.
    pub(super) fn value(&self, var: Var) -> &Tensor {
        &self.nodes[var.0].value
    }

    /// Takes the value of `var` off the tape: for whoever needs it last.
    pub(super) fn take_value(&mut self, var: Var) -> Tensor {
        std::mem::take(&mut self.nodes[var.0].value)
    }

    /// Adds to the gradient of `var`.
    pub(super) fn add_gradient(&mut self, var: Var, gradient: Buffer) {
        match &mut self.nodes[var.0].gradient {
            Some(sum) => {
                super::ops::add_to(sum, &gradient);
                self.pool.give(gradient);
            }
            none => *none = Some(gradient),
        }
    }

    /// Lets `add` add to the gradient of `part`, once in every backward pass.
    pub(super) fn add_parameter_gradient(&self, part: GradientId, add: impl FnOnce(&mut [f32])) {
        let shard = self.shard.expect("a backward pass has gradients");
        shard.gradients.add(part, shard.index, add);
    }

    /// Hands all gradients down the tape, back to the parameters.
    pub(super) fn backward(&mut self) {
        for at in (0..self.nodes.len()).rev() {
            let node = &mut self.nodes[at];
            if let (Some(operation), Some(gradient)) = (node.operation.take(), node.gradient.take()) {
                operation.backward(self, gradient);
            }
            let value = self.take_value(Var(at));
            self.pool.give(value.data);
        }
    }

    /// Gives all values back.
    pub(super) fn finish(self) {
        for node in self.nodes {
            self.pool.give(node.value.data);
            if let Some(gradient) = node.gradient {
                self.pool.give(gradient);
            }
        }
    }
}
