//! Products with a weight matrix.

use super::{add_rows, add_to};
use crate::train::gemm::{Left, Product};
use crate::train::gradients::GradientId::Whole;
use crate::train::parameters::ParameterId;
use crate::train::pool::{Buffer, Pool};
use crate::train::quantize::round_rows;
use crate::train::tape::{Operation, Tape, Tensor, Var};

struct Linear {
    x: Var,
    /// `x` as it was multiplied, where it was rounded.
    rounded: Option<Buffer>,
    weight: ParameterId,
    biases: Vec<ParameterId>,
    residual: Option<Var>,
}

/// `residual + x × weightᵀ + biases`: `x` is `[rows, in]`, `weight` `[out, in]`. Where the runtime will round the
/// inputs of this product, so does this.
pub(in crate::train) fn linear(
    tape: &mut Tape<'_>,
    x: Var,
    weight: ParameterId,
    biases: &[ParameterId],
    residual: Option<Var>,
) -> Var {
    let weights = tape.weights;
    let ([out_width, in_width], rows) = (weights.shape(weight), tape.value(x).rows);
    let rounded = weights.rounds_inputs(weight).then(|| {
        let mut rounded = tape.pool.take(rows * in_width);
        round_rows(&tape.value(x).data, in_width, &mut rounded);
        rounded
    });
    let mut out = tape.pool.take(rows * out_width);
    match residual {
        Some(residual) => out.copy_from_slice(&tape.value(residual).data),
        None => out.fill(0.0),
    }
    for &bias in biases {
        for row in out.chunks_exact_mut(out_width) {
            add_to(row, weights.values(bias));
        }
    }
    let input = rounded.as_deref().unwrap_or(&tape.value(x).data);
    let left = Left::Rows(input, in_width);
    Product::new(left, rows, weights.forward(weight), &mut out, out_width).adding().run();
    let operation = Linear { x, rounded, weight, biases: biases.to_vec(), residual };
    tape.push(Tensor { rows, cols: out_width, data: out }, operation)
}

impl Operation for Linear {
    fn backward(self: Box<Self>, tape: &mut Tape<'_>, gradient: Buffer) {
        let weights = tape.weights;
        let [out_width, in_width] = weights.shape(self.weight);
        let rows = gradient.len() / out_width;
        let mut packed = tape.pool.take_packed();
        let input = self.rounded.as_deref().unwrap_or(&tape.value(self.x).data);
        packed.pack_rows(input, in_width, rows, in_width);
        tape.add_parameter_gradient(Whole(self.weight), |sum| {
            let left = Left::Columns(&gradient, out_width);
            Product::new(left, out_width, &packed, sum, in_width).adding().run();
        });
        tape.pool.give_packed(packed);
        for &bias in &self.biases {
            tape.add_parameter_gradient(Whole(bias), |sum| add_rows(sum, &gradient));
        }
        let mut of_x = tape.pool.take(rows * in_width);
        let left = Left::Rows(&gradient, out_width);
        Product::new(left, rows, weights.backward(self.weight), &mut of_x, in_width).run();
        tape.add_gradient(self.x, of_x);
        match self.residual {
            Some(residual) => tape.add_gradient(residual, gradient),
            None => tape.pool.give(gradient),
        }
        self.discard(tape.pool);
    }

    fn discard(self: Box<Self>, pool: &mut Pool) {
        if let Some(rounded) = self.rounded {
            pool.give(rounded);
        }
    }
}
