//! Every operation's gradients against finite differences of its loss.

use super::*;
use crate::train::gradients::Gradients;
use crate::train::init::{Builder, Init};
use crate::train::parameters::{Parameter, ParameterId, Use};
use crate::train::pool::Pool;
use crate::train::quantize::Quantization;
use crate::train::random::Key;
use crate::train::tape::{Shard, Tape, Var};
use crate::train::weights::WeightStore;
use std::sync::Arc;
use whit::format::NormKind;
use whit::kernels::{Activation, Pairing};

/// Parameters, and how to come from them to logits.
struct Case<'c> {
    builder: Builder,
    rows: usize,
    forward: &'c dyn Fn(&mut Tape<'_>) -> Var,
}

impl Case<'_> {
    /// The loss, and of every parameter the gradient if it is asked for.
    fn loss(&self, parameters: &[Parameter], gradients: Option<&Gradients>) -> f64 {
        let mut store = WeightStore::new(parameters.len());
        store.prepare(parameters, Quantization::NONE, gradients.is_some(), 1);
        let mut pool = Pool::default();
        let weights = store.weights(parameters, Quantization::NONE);
        let mut tape =
            Tape::new(&mut pool, weights, gradients.map(|gradients| Shard { gradients, index: 0 }));
        let logits = (self.forward)(&mut tape);
        let cols = tape.value(logits).cols as u32;
        assert_eq!(tape.value(logits).rows, self.rows);
        // One row does not count.
        let target = |row| if row == 1 { IGNORED } else { (row * 7 + 1) % cols };
        let targets: Vec<u32> = (0..self.rows as u32).map(target).collect();
        let loss = cross_entropy(&mut tape, logits, &targets, 0.1, 1.0);
        if gradients.is_some() {
            tape.backward();
        }
        tape.finish();
        loss
    }

    /// Compares gradients with central differences. In f32 these are right to about 2e-7 of the loss over the width of
    /// the step, and to the third derivative times its square.
    fn check(mut self) {
        const STEP: f32 = 1e-2;
        let mut parameters = std::mem::take(&mut self.builder.parameters);
        let mut gradients = Gradients::new(&parameters);
        self.loss(&parameters, Some(&gradients));
        let found: Vec<Vec<f32>> = gradients.finish().map(|gradient| gradient.to_vec()).collect();
        for (at, found) in found.iter().enumerate() {
            let most = found.iter().fold(0.0f32, |most, g| most.max(g.abs()));
            assert!(most > 0.0, "{} has no gradient", parameters[at].name);
            for i in 0..found.len() {
                let value = parameters[at].values[i];
                let [above, below] = [STEP, -STEP].map(|step| {
                    parameters[at].values[i] = value + step;
                    self.loss(&parameters, None)
                });
                parameters[at].values[i] = value;
                let expected = ((above - below) / f64::from(2.0 * STEP)) as f32;
                let name = &parameters[at].name;
                let bound = 3e-3 * most + 2e-4;
                assert!((found[i] - expected).abs() <= bound, "{name}[{i}]: {}, not {expected}", found[i]);
            }
        }
    }
}

/// Normal numbers, of the size of activations.
const INIT: Init = Init::Normal(0.7);

/// A table of `rows` inputs.
fn table(builder: &mut Builder, rows: usize, cols: usize) -> ParameterId {
    builder.matrix("x", Use::Rows, [rows, cols], INIT)
}

fn all(tape: &mut Tape<'_>, table: ParameterId) -> Var {
    let rows = tape.weights.shape(table)[0] as u32;
    embed(tape, table, (0..rows).collect())
}

#[test]
fn linear_with_biases_and_residual() {
    let mut builder = Builder::new(1);
    let (x, y) = (table(&mut builder, 5, 9), builder.matrix("y", Use::Rows, [5, 6], INIT));
    let w = builder.matrix("w", Use::Product, [6, 9], INIT);
    let biases = [builder.vector("a", 6, INIT), builder.vector("b", 6, INIT)];
    let forward = |tape: &mut Tape<'_>| {
        let (x, y) = (all(tape, x), all(tape, y));
        linear(tape, x, w, &biases, Some(y))
    };
    Case { builder, rows: 5, forward: &forward }.check();
}

#[test]
fn embedding_with_repeated_tokens_positions_and_tied_head() {
    let mut builder = Builder::new(2);
    let tied = builder.matrix("tied", Use::TiedRows, [7, 5], INIT);
    let positions = builder.matrix("positions", Use::Rows, [3, 5], INIT);
    let forward = |tape: &mut Tape<'_>| {
        let x = embed(tape, tied, vec![3, 3, 1, 6, 0, 3, 2, 4, 5]);
        let x = embed_positions(tape, x, positions, 3);
        linear(tape, x, tied, &[], None)
    };
    Case { builder, rows: 9, forward: &forward }.check();
}

#[test]
fn gathered_rows() {
    let mut builder = Builder::new(10);
    let x = table(&mut builder, 3, 9);
    let forward = |tape: &mut Tape<'_>| {
        let x = all(tape, x);
        gather(tape, x, vec![2, 0, 2, 1, 2])
    };
    Case { builder, rows: 5, forward: &forward }.check();
}

#[test]
fn both_norms_with_and_without_bias() {
    for (kind, biased) in [(NormKind::Rms, false), (NormKind::Rms, true), (NormKind::Layer, true)] {
        let mut builder = Builder::new(3);
        let x = table(&mut builder, 4, 19);
        let weight = builder.vector("weight", 19, INIT);
        let bias = biased.then(|| builder.vector("bias", 19, INIT));
        let normed = Norm { kind, epsilon: 1e-5, weight, bias };
        let forward = |tape: &mut Tape<'_>| {
            let x = all(tape, x);
            norm(tape, x, normed)
        };
        Case { builder, rows: 4, forward: &forward }.check();
    }
}

#[test]
fn activations_gated_and_plain() {
    for activation in [Activation::Silu, Activation::GeluErf, Activation::GeluTanh, Activation::Relu] {
        for gated in [false, true] {
            let mut builder = Builder::new(4);
            let x = table(&mut builder, 4, 34);
            // A kink within the step would be no fault of the derivative.
            for value in builder.parameters[x.0].values.iter_mut().filter(|value| value.abs() < 0.02) {
                *value += 0.05;
            }
            let forward = |tape: &mut Tape<'_>| {
                let x = all(tape, x);
                activate(tape, x, activation, gated)
            };
            Case { builder, rows: 4, forward: &forward }.check();
        }
    }
}

#[test]
fn attention_with_groups_rotation_and_more_than_a_block_of_queries() {
    for (time, heads, kv_heads, rotary) in [(5, 2, 2, true), (4, 4, 2, true), (35, 2, 1, false)] {
        let width = 4;
        let mut builder = Builder::new(5);
        let sequences = if time > 32 { 1 } else { 2 };
        let x = table(&mut builder, sequences * time, (heads + 2 * kv_heads) * width);
        let pairing = if kv_heads == heads { Pairing::Interleaved } else { Pairing::HalfSplit };
        let rotary = rotary.then(|| Arc::new(Rotary::new(&[1.0, 0.1], time, pairing)));
        let heads = Heads { heads, kv_heads, width, time, scale: 0.5, rotary };
        let forward = |tape: &mut Tape<'_>| {
            let x = all(tape, x);
            attend(tape, x, heads.clone())
        };
        Case { builder, rows: sequences * time, forward: &forward }.check();
    }
}

#[test]
fn lstm_over_a_sequence_from_a_state() {
    let (time, batch, width) = (4, 3, 5);
    let mut builder = Builder::new(6);
    let gates = table(&mut builder, time * batch, 4 * width);
    let recurrent = builder.matrix("recurrent", Use::Product, [4 * width, width], INIT);
    let forward = |tape: &mut Tape<'_>| {
        let (mut hidden, mut cell) = (vec![0.3; batch * width], vec![-0.6; batch * width]);
        let gates = all(tape, gates);
        lstm(tape, gates, recurrent, [&mut hidden, &mut cell])
    };
    Case { builder, rows: time * batch, forward: &forward }.check();
}

#[test]
fn gru_over_a_sequence_from_a_state() {
    let (time, batch, width) = (4, 3, 5);
    let mut builder = Builder::new(7);
    let gates = table(&mut builder, time * batch, 3 * width);
    let recurrent = builder.matrix("recurrent", Use::Product, [3 * width, width], INIT);
    let bias = builder.vector("bias", 3 * width, INIT);
    let forward = |tape: &mut Tape<'_>| {
        let mut hidden = vec![0.3; batch * width];
        let gates = all(tape, gates);
        gru(tape, gates, recurrent, bias, &mut hidden)
    };
    Case { builder, rows: time * batch, forward: &forward }.check();
}

#[test]
fn sums() {
    let mut builder = Builder::new(8);
    let (x, y) = (table(&mut builder, 4, 9), builder.matrix("y", Use::Rows, [4, 9], INIT));
    let forward = |tape: &mut Tape<'_>| {
        let (x, y) = (all(tape, x), all(tape, y));
        add(tape, x, y)
    };
    Case { builder, rows: 4, forward: &forward }.check();
}

/// Nothing is dropped without a backward pass, so finite differences are no judge: every kept element and its gradient
/// are scaled by the same, and about as many as asked for are dropped.
#[test]
fn dropout_scales_what_it_keeps_and_its_gradient() {
    let mut builder = Builder::new(9);
    let x = builder.matrix("x", Use::Rows, [50, 40], Init::Constant(1.0));
    let mut store = WeightStore::new(1);
    store.prepare(&builder.parameters, Quantization::NONE, true, 1);
    let (mut pool, mut gradients) = (Pool::default(), Gradients::new(&builder.parameters));
    let weights = store.weights(&builder.parameters, Quantization::NONE);
    let mut tape = Tape::new(&mut pool, weights, Some(Shard { gradients: &gradients, index: 0 }));
    let x = all(&mut tape, x);
    let out = dropout(&mut tape, x, 0.25, Key::new(5));
    let dropped = tape.value(out).data.to_vec();
    let zeros = dropped.iter().filter(|&&value| value == 0.0).count();
    // Six standard deviations around 500.
    assert!(zeros.abs_diff(500) < 116, "{zeros}");
    assert!(dropped.iter().all(|&value| value == 0.0 || value == 1.0 / 0.75));
    let ones = crate::train::pool::Buffer::from(&[1.0; 2000][..]);
    tape.add_gradient(out, ones);
    tape.backward();
    tape.finish();
    let gradient = gradients.finish().next().expect("one parameter").to_vec();
    assert_eq!(gradient, dropped);
}
