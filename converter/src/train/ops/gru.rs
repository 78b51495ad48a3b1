//! A layer of GRU cells (Cho et al. 2014) over a sequence, the reset gate behind the recurrent product as in cuDNN and
//! PyTorch: gates r, z, n.

use super::{add_rows, add_to};
use crate::train::gemm::{Left, Product};
use crate::train::gradients::GradientId::Whole;
use crate::train::parameters::ParameterId;
use crate::train::pool::{Buffer, Pool};
use crate::train::quantize::round_rows;
use crate::train::simd::{lanes, load, save, vectorized};
use crate::train::tape::{Operation, Tape, Tensor, Var};
use whit::math;
use whit::tensor::LANES;

struct Gru {
    gates: Var,
    weight: ParameterId,
    bias: ParameterId,
    width: usize,
    /// Sequences side by side.
    batch: usize,
    /// The gates after their functions, `[time · batch][3 · width]`.
    activated: Buffer,
    /// What the recurrent product contributed to them; its last third is read again.
    recurrent: Buffer,
    /// What the recurrent matrix was multiplied with, `[time · batch][width]`.
    previous: Buffer,
    /// Outputs, the state before the first step included, `[(time + 1) · batch][width]`.
    hidden: Buffer,
}

/// The outputs of a layer, `[time · batch, width]`. `gates`, which is taken off the tape, is what the inputs and their
/// bias contribute to all gates, `[time · batch, 3 · width]`; `bias` is added to the recurrent product; `state` is h
/// before the first step, `[batch][width]`, and becomes that after the last. No gradient flows into earlier states.
pub(in crate::train) fn gru(
    tape: &mut Tape<'_>,
    gates: Var,
    weight: ParameterId,
    bias: ParameterId,
    state: &mut [f32],
) -> Var {
    let width = tape.weights.shape(weight)[1];
    let Tensor { rows, data: mut activated, .. } = tape.take_value(gates);
    let (step, batch) = (state.len(), state.len() / width);
    let mut previous = tape.pool.take(rows * width);
    let mut recurrent = tape.pool.take(3 * rows * width);
    let mut hidden = tape.pool.take(rows * width + step);
    hidden[..step].copy_from_slice(state);
    let (rounds, matrix) = (tape.weights.rounds_inputs(weight), tape.weights.forward(weight));
    for t in 0..rows / batch {
        let (before, after) = hidden[t * step..].split_at_mut(step);
        let previous = &mut previous[t * step..][..step];
        if rounds {
            round_rows(before, width, previous);
        } else {
            previous.copy_from_slice(before);
        }
        let recurrent = &mut recurrent[3 * t * step..][..3 * step];
        for row in recurrent.chunks_exact_mut(3 * width) {
            row.copy_from_slice(tape.weights.values(bias));
        }
        Product::new(Left::Rows(previous, width), batch, matrix, recurrent, 3 * width).adding().run();
        let gates = &mut activated[3 * t * step..][..3 * step];
        forward_step(width, gates, recurrent, before, &mut after[..step]);
    }
    state.copy_from_slice(&hidden[rows * width..]);
    let out = tape.pool.copy(&hidden[step..]);
    let value = Tensor { rows, cols: width, data: out };
    tape.push(value, Gru { gates, weight, bias, width, batch, activated, recurrent, previous, hidden })
}

/// The three gates of a row.
#[inline(always)]
fn three(row: &mut [f32], width: usize) -> [&mut [f32]; 3] {
    let (r, rest) = row.split_at_mut(width);
    let (z, n) = rest.split_at_mut(width);
    [r, z, &mut n[..width]]
}

/// One step: `gates` become what their functions make of them.
fn forward_step(width: usize, gates: &mut [f32], recurrent: &[f32], before: &[f32], after: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            let gates = gates.chunks_exact_mut(3 * width).zip(recurrent.chunks_exact(3 * width));
            let states = before.chunks_exact(width).zip(after.chunks_exact_mut(width));
            for ((gates, recurrent), (before, after)) in gates.zip(states) {
                let [r, z, n] = three(gates, width);
                let (of_r, of_z, of_n) =
                    (&recurrent[..width], &recurrent[width..2 * width], &recurrent[2 * width..]);
                for at in (0..width).step_by(LANES) {
                    let (a, b, c) = (load(of_r, at), load(of_z, at), load(of_n, at));
                    let (reset, keep, new) = (load(r, at), load(z, at), load(n, at));
                    let reset = lanes(|l| math::sigmoid(reset[l] + a[l]));
                    let keep = lanes(|l| math::sigmoid(keep[l] + b[l]));
                    let new = lanes(|l| math::tanh(new[l] + reset[l] * c[l]));
                    let before = load(before, at);
                    save(after, at, lanes(|l| (1.0 - keep[l]) * new[l] + keep[l] * before[l]));
                    save(r, at, reset);
                    save(z, at, keep);
                    save(n, at, new);
                }
            }
        },
    );
}

/// One step back: `gates` become their gradients before their functions, `recurrent` the gradients of the recurrent
/// product, `of_state` that of the state before the step as far as it is kept, from that of the state after it.
fn backward_step(
    width: usize,
    gates: &mut [f32],
    recurrent: &mut [f32],
    before: &[f32],
    of_state: &mut [f32],
) {
    vectorized(
        #[inline(always)]
        || {
            let gates = gates.chunks_exact_mut(3 * width).zip(recurrent.chunks_exact_mut(3 * width));
            let states = before.chunks_exact(width).zip(of_state.chunks_exact_mut(width));
            for ((gates, recurrent), (before, of_state)) in gates.zip(states) {
                let [r, z, n] = three(gates, width);
                let [to_r, to_z, to_n] = three(recurrent, width);
                for at in (0..width).step_by(LANES) {
                    let (reset, keep, new) = (load(r, at), load(z, at), load(n, at));
                    let (of, before, product) = (load(of_state, at), load(before, at), load(to_n, at));
                    let of_new = lanes(|l| of[l] * (1.0 - keep[l]) * (1.0 - new[l] * new[l]));
                    let of_reset = lanes(|l| of_new[l] * product[l] * reset[l] * (1.0 - reset[l]));
                    let of_keep = lanes(|l| of[l] * (before[l] - new[l]) * keep[l] * (1.0 - keep[l]));
                    for (gate, of) in [(&mut *r, of_reset), (z, of_keep), (n, of_new)] {
                        save(gate, at, of);
                    }
                    save(to_r, at, of_reset);
                    save(to_z, at, of_keep);
                    save(to_n, at, lanes(|l| of_new[l] * reset[l]));
                    save(of_state, at, lanes(|l| of[l] * keep[l]));
                }
            }
        },
    );
}

impl Operation for Gru {
    fn backward(mut self: Box<Self>, tape: &mut Tape<'_>, gradient: Buffer) {
        let (width, step) = (self.width, self.batch * self.width);
        let rows = gradient.len() / width;
        let mut of_state = tape.pool.zeros(step);
        let matrix = tape.weights.backward(self.weight);
        for t in (0..rows / self.batch).rev() {
            add_to(&mut of_state, &gradient[t * step..][..step]);
            let gates = &mut self.activated[3 * t * step..][..3 * step];
            let recurrent = &mut self.recurrent[3 * t * step..][..3 * step];
            backward_step(width, gates, recurrent, &self.hidden[t * step..][..step], &mut of_state);
            let left = Left::Rows(recurrent, 3 * width);
            Product::new(left, self.batch, matrix, &mut of_state, width).adding().run();
        }
        let mut packed = tape.pool.take_packed();
        packed.pack_rows(&self.previous, width, rows, width);
        tape.add_parameter_gradient(Whole(self.weight), |sum| {
            let left = Left::Columns(&self.recurrent, 3 * width);
            Product::new(left, 3 * width, &packed, sum, width).adding().run();
        });
        tape.pool.give_packed(packed);
        tape.add_parameter_gradient(Whole(self.bias), |sum| add_rows(sum, &self.recurrent));
        let of_gates = std::mem::take(&mut self.activated);
        tape.add_gradient(self.gates, of_gates);
        tape.pool.give(of_state);
        tape.pool.give(gradient);
        self.discard(tape.pool);
    }

    fn discard(self: Box<Self>, pool: &mut Pool) {
        for buffer in [self.activated, self.recurrent, self.previous, self.hidden] {
            pool.give(buffer);
        }
    }
}
