//! Rows looked up by token, of parameters and of values, and learned rows added by position.

use super::add_to;
use crate::train::gradients::GradientId::{TiedRows, Whole};
use crate::train::parameters::ParameterId;
use crate::train::pool::{Buffer, Pool};
use crate::train::tape::{Operation, Tape, Tensor, Var};

struct Embedding {
    table: ParameterId,
    tokens: Vec<u32>,
}

/// The rows of `table` for `tokens`, `[tokens, width]`.
///
/// # Panics
/// If a token is not in the table.
pub(in crate::train) fn embed(tape: &mut Tape<'_>, table: ParameterId, tokens: Vec<u32>) -> Var {
    let width = tape.weights.shape(table)[1];
    let mut out = tape.pool.take(tokens.len() * width);
    let rows = tape.weights.values(table);
    for (&token, out) in tokens.iter().zip(out.chunks_exact_mut(width)) {
        out.copy_from_slice(&rows[token as usize * width..][..width]);
    }
    let value = Tensor { rows: tokens.len(), cols: width, data: out };
    tape.push(value, Embedding { table, tokens })
}

impl Operation for Embedding {
    fn backward(self: Box<Self>, tape: &mut Tape<'_>, gradient: Buffer) {
        let width = tape.weights.shape(self.table)[1];
        let part = if tape.weights.is_tied(self.table) { TiedRows } else { Whole(self.table) };
        tape.add_parameter_gradient(part, |sum| {
            for (&token, gradient) in self.tokens.iter().zip(gradient.chunks_exact(width)) {
                add_to(&mut sum[token as usize * width..][..width], gradient);
            }
        });
        tape.pool.give(gradient);
    }

    fn discard(self: Box<Self>, _: &mut Pool) {}
}

struct Gather {
    x: Var,
    tokens: Vec<u32>,
}

/// Rows of `x` by token: with all tokens' rows in `x`, what comes of a token is computed once, however often it occurs.
///
/// # Panics
/// If a token has no row.
pub(in crate::train) fn gather(tape: &mut Tape<'_>, x: Var, tokens: Vec<u32>) -> Var {
    let cols = tape.value(x).cols;
    let mut out = tape.pool.take(tokens.len() * cols);
    let data = &tape.value(x).data;
    for (&token, out) in tokens.iter().zip(out.chunks_exact_mut(cols)) {
        out.copy_from_slice(&data[token as usize * cols..][..cols]);
    }
    tape.push(Tensor { rows: tokens.len(), cols, data: out }, Gather { x, tokens })
}

impl Operation for Gather {
    fn backward(self: Box<Self>, tape: &mut Tape<'_>, gradient: Buffer) {
        let Tensor { rows, cols, .. } = *tape.value(self.x);
        let mut of_x = tape.pool.zeros(rows * cols);
        for (&token, gradient) in self.tokens.iter().zip(gradient.chunks_exact(cols)) {
            add_to(&mut of_x[token as usize * cols..][..cols], gradient);
        }
        tape.add_gradient(self.x, of_x);
        tape.pool.give(gradient);
    }

    fn discard(self: Box<Self>, _: &mut Pool) {}
}

struct Positions {
    x: Var,
    table: ParameterId,
    time: usize,
}

/// `x` with the first `time` rows of `table` added to every `time` of its rows.
///
/// # Panics
/// If there are fewer rows than that.
pub(in crate::train) fn embed_positions(tape: &mut Tape<'_>, x: Var, table: ParameterId, time: usize) -> Var {
    let Tensor { rows, cols, data } = tape.value(x);
    let (rows, cols) = (*rows, *cols);
    let mut out = tape.pool.take(data.len());
    out.copy_from_slice(&tape.value(x).data);
    let positions = &tape.weights.values(table)[..time * cols];
    for sequence in out.chunks_exact_mut(time * cols) {
        add_to(sequence, positions);
    }
    tape.push(Tensor { rows, cols, data: out }, Positions { x, table, time })
}

impl Operation for Positions {
    fn backward(self: Box<Self>, tape: &mut Tape<'_>, gradient: Buffer) {
        let used = self.time * tape.weights.shape(self.table)[1];
        tape.add_parameter_gradient(Whole(self.table), |sum| {
            for gradient in gradient.chunks_exact(used) {
                add_to(&mut sum[..used], gradient);
            }
        });
        tape.add_gradient(self.x, gradient);
    }

    fn discard(self: Box<Self>, _: &mut Pool) {}
}
