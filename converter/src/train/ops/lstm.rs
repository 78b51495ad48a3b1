//! A layer of LSTM cells (Hochreiter and Schmidhuber 1997; Gers et al. 2000) over a sequence: gates i, f, g, o.

use crate::train::gemm::{Left, Product};
use crate::train::gradients::GradientId::Whole;
use crate::train::parameters::ParameterId;
use crate::train::pool::{Buffer, Pool};
use crate::train::quantize::round_rows;
use crate::train::simd::{each, lanes, load, save, vectorized};
use crate::train::tape::{Operation, Tape, Tensor, Var};
use whit::math;
use whit::tensor::LANES;

struct Lstm {
    gates: Var,
    weight: ParameterId,
    width: usize,
    /// Sequences side by side.
    batch: usize,
    /// The gates after their functions, `[time · batch][4 · width]`.
    activated: Buffer,
    /// What the recurrent matrix was multiplied with, `[time · batch][width]`.
    previous: Buffer,
    /// Cell states, the one before the first included, `[(time + 1) · batch][width]`.
    cells: Buffer,
}

/// The outputs of a layer, `[time · batch, width]`, and the state after the last step. `gates`, which is taken off the
/// tape, is what the inputs and biases contribute to all gates, `[time · batch, 4 · width]`; `state` is h and c before
/// the first step, `[batch][width]` each, and becomes those after the last. No gradient flows into earlier states.
pub(in crate::train) fn lstm(
    tape: &mut Tape<'_>,
    gates: Var,
    weight: ParameterId,
    state: [&mut [f32]; 2],
) -> Var {
    let width = tape.weights.shape(weight)[1];
    let Tensor { rows, data: mut activated, .. } = tape.take_value(gates);
    let [hidden, cell] = state;
    let batch = hidden.len() / width;
    let mut out = tape.pool.take(rows * width);
    let mut previous = tape.pool.take(rows * width);
    let mut cells = tape.pool.take((rows + batch) * width);
    cells[..cell.len()].copy_from_slice(cell);
    let (rounds, recurrent) = (tape.weights.rounds_inputs(weight), tape.weights.forward(weight));
    let step = batch * width;
    for t in 0..rows / batch {
        let before = if t == 0 { &*hidden } else { &out[(t - 1) * step..t * step] };
        let previous = &mut previous[t * step..][..step];
        if rounds {
            round_rows(before, width, previous);
        } else {
            previous.copy_from_slice(before);
        }
        let gates = &mut activated[4 * t * step..][..4 * step];
        Product::new(Left::Rows(previous, width), batch, recurrent, gates, 4 * width).adding().run();
        let (before, after) = cells[t * step..].split_at_mut(step);
        forward_step(width, gates, before, &mut after[..step], &mut out[t * step..][..step]);
    }
    cell.copy_from_slice(&cells[rows * width..]);
    hidden.copy_from_slice(&out[rows * width - step..]);
    let value = Tensor { rows, cols: width, data: out };
    tape.push(value, Lstm { gates, weight, width, batch, activated, previous, cells })
}

/// The four gates of a row.
#[inline(always)]
fn four(row: &mut [f32], width: usize) -> [&mut [f32]; 4] {
    let (first, second) = row.split_at_mut(2 * width);
    let ((i, f), (g, o)) = (first.split_at_mut(width), second.split_at_mut(width));
    [i, f, g, &mut o[..width]]
}

/// One step: `gates` become what their functions make of them.
fn forward_step(width: usize, gates: &mut [f32], before: &[f32], after: &mut [f32], out: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            let rows = gates.chunks_exact_mut(4 * width).zip(before.chunks_exact(width));
            let outs = after.chunks_exact_mut(width).zip(out.chunks_exact_mut(width));
            for ((gates, before), (after, out)) in rows.zip(outs) {
                let [i, f, g, o] = four(gates, width);
                for at in (0..width).step_by(LANES) {
                    let input = each(load(i, at), math::sigmoid);
                    let forget = each(load(f, at), math::sigmoid);
                    let candidate = each(load(g, at), math::tanh);
                    let output = each(load(o, at), math::sigmoid);
                    let before = load(before, at);
                    let cell = lanes(|l| forget[l] * before[l] + input[l] * candidate[l]);
                    save(after, at, cell);
                    save(out, at, lanes(|l| output[l] * math::tanh(cell[l])));
                    save(i, at, input);
                    save(f, at, forget);
                    save(g, at, candidate);
                    save(o, at, output);
                }
            }
        },
    );
}

/// One step back: `gates` become their gradients before their functions, `of_cell` the gradient of the cell state
/// before the step, from that after it.
fn backward_step(
    width: usize,
    gates: &mut [f32],
    before: &[f32],
    after: &[f32],
    of_out: &[f32],
    of_cell: &mut [f32],
) {
    vectorized(
        #[inline(always)]
        || {
            let rows = gates.chunks_exact_mut(4 * width).zip(of_out.chunks_exact(width));
            let cells = before.chunks_exact(width).zip(after.chunks_exact(width));
            for (((gates, of_out), (before, after)), of_cell) in
                rows.zip(cells).zip(of_cell.chunks_exact_mut(width))
            {
                let [i, f, g, o] = four(gates, width);
                for at in (0..width).step_by(LANES) {
                    let (input, forget) = (load(i, at), load(f, at));
                    let (candidate, output) = (load(g, at), load(o, at));
                    let (of_out, before) = (load(of_out, at), load(before, at));
                    let shown = each(load(after, at), math::tanh);
                    let of = load(of_cell, at);
                    let of = lanes(|l| of[l] + of_out[l] * output[l] * (1.0 - shown[l] * shown[l]));
                    save(i, at, lanes(|l| of[l] * candidate[l] * input[l] * (1.0 - input[l])));
                    save(f, at, lanes(|l| of[l] * before[l] * forget[l] * (1.0 - forget[l])));
                    save(g, at, lanes(|l| of[l] * input[l] * (1.0 - candidate[l] * candidate[l])));
                    save(o, at, lanes(|l| of_out[l] * shown[l] * output[l] * (1.0 - output[l])));
                    save(of_cell, at, lanes(|l| of[l] * forget[l]));
                }
            }
        },
    );
}

impl Operation for Lstm {
    fn backward(mut self: Box<Self>, tape: &mut Tape<'_>, mut gradient: Buffer) {
        let (width, batch) = (self.width, self.batch);
        let (step, rows) = (batch * width, gradient.len() / width);
        let mut of_cell = tape.pool.zeros(step);
        let recurrent = tape.weights.backward(self.weight);
        for t in (0..rows / batch).rev() {
            let gates = &mut self.activated[4 * t * step..][..4 * step];
            let (before, after) = self.cells[t * step..].split_at(step);
            backward_step(width, gates, before, &after[..step], &gradient[t * step..][..step], &mut of_cell);
            if t > 0 {
                let of_previous = &mut gradient[(t - 1) * step..t * step];
                let left = Left::Rows(gates, 4 * width);
                Product::new(left, batch, recurrent, of_previous, width).adding().run();
            }
        }
        let mut packed = tape.pool.take_packed();
        packed.pack_rows(&self.previous, width, rows, width);
        tape.add_parameter_gradient(Whole(self.weight), |sum| {
            let left = Left::Columns(&self.activated, 4 * width);
            Product::new(left, 4 * width, &packed, sum, width).adding().run();
        });
        tape.pool.give_packed(packed);
        let of_gates = std::mem::take(&mut self.activated);
        tape.add_gradient(self.gates, of_gates);
        tape.pool.give(of_cell);
        tape.pool.give(gradient);
        self.discard(tape.pool);
    }

    fn discard(self: Box<Self>, pool: &mut Pool) {
        for buffer in [self.activated, self.previous, self.cells] {
            pool.give(buffer);
        }
    }
}
