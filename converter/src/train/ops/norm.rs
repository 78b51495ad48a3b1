//! RMS norm (Zhang and Sennrich 2019) and layer norm (Ba et al. 2016); forward, the runtime's own functions.

use super::add_rows;
use crate::train::gradients::GradientId::Whole;
use crate::train::parameters::ParameterId;
use crate::train::pool::{Buffer, Pool};
use crate::train::simd::{sum_by, vectorized};
use crate::train::tape::{Operation, Tape, Tensor, Var};
use whit::format::NormKind;
use whit::kernels::lanes;

/// A norm and its parameters.
#[derive(Clone, Copy, Debug)]
pub(in crate::train) struct Norm {
    pub(in crate::train) kind: NormKind,
    pub(in crate::train) epsilon: f32,
    pub(in crate::train) weight: ParameterId,
    pub(in crate::train) bias: Option<ParameterId>,
}

struct Normed {
    x: Var,
    norm: Norm,
}

/// The norm of every row of `x`.
pub(in crate::train) fn norm(tape: &mut Tape<'_>, x: Var, norm: Norm) -> Var {
    let (rows, cols) = (tape.value(x).rows, tape.value(x).cols);
    let mut out = tape.pool.take(rows * cols);
    let weight = tape.weights.values(norm.weight);
    let bias = norm.bias.map_or(&[][..], |bias| tape.weights.values(bias));
    let data = &tape.value(x).data;
    vectorized(
        #[inline(always)]
        || {
            for (x, out) in data.chunks_exact(cols).zip(out.chunks_exact_mut(cols)) {
                match norm.kind {
                    NormKind::Rms => {
                        lanes::rms_norm(x, weight, norm.epsilon, out);
                        lanes::add(out, bias);
                    }
                    NormKind::Layer => lanes::layer_norm(x, weight, bias, norm.epsilon, out),
                }
            }
        },
    );
    tape.push(Tensor { rows, cols, data: out }, Normed { x, norm })
}

impl Norm {
    /// What is subtracted from a row, and what the rest is multiplied with.
    #[inline(always)]
    fn shift_and_factor(&self, x: &[f32]) -> (f32, f32) {
        let count = x.len() as f32;
        let mean = match self.kind {
            NormKind::Rms => 0.0,
            NormKind::Layer => {
                sum_by(
                    x.len(),
                    #[inline(always)]
                    |i| x[i],
                ) / count
            }
        };
        let square = sum_by(
            x.len(),
            #[inline(always)]
            |i| (x[i] - mean) * (x[i] - mean),
        ) / count;
        (mean, 1.0 / whit::math::sqrt(square + self.epsilon))
    }

    /// The gradient of a row of inputs, from that of the outputs.
    ///
    /// With n = (x − shift) · factor and g = gradient · weight it is factor · (g − mean(g) − n · mean(g · n)), for the
    /// RMS norm without mean(g).
    #[inline(always)]
    fn row_backward(&self, x: &[f32], gradient: &[f32], weight: &[f32], out: &mut [f32], normed: &mut [f32]) {
        let cols = x.len();
        let (gradient, weight) = (&gradient[..cols], &weight[..cols]);
        let (out, normed) = (&mut out[..cols], &mut normed[..cols]);
        let (shift, factor) = self.shift_and_factor(x);
        for i in 0..cols {
            normed[i] = (x[i] - shift) * factor;
            out[i] = gradient[i] * weight[i];
        }
        let mean = match self.kind {
            NormKind::Rms => 0.0,
            NormKind::Layer => {
                sum_by(
                    cols,
                    #[inline(always)]
                    |i| out[i],
                ) / cols as f32
            }
        };
        let along = sum_by(
            cols,
            #[inline(always)]
            |i| out[i] * normed[i],
        ) / cols as f32;
        for i in 0..cols {
            out[i] = factor * (out[i] - mean - normed[i] * along);
            normed[i] *= gradient[i];
        }
    }
}

impl Operation for Normed {
    fn backward(self: Box<Self>, tape: &mut Tape<'_>, gradient: Buffer) {
        let norm = self.norm;
        let weight = tape.weights.values(norm.weight);
        let cols = weight.len();
        let mut of_x = tape.pool.take(gradient.len());
        // Row for row what is summed up for the weight: gradient · normed x.
        let mut of_weight = tape.pool.take(gradient.len());
        let data = &tape.value(self.x).data;
        vectorized(
            #[inline(always)]
            || {
                let outs = of_x.chunks_exact_mut(cols).zip(of_weight.chunks_exact_mut(cols));
                let ins = data.chunks_exact(cols).zip(gradient.chunks_exact(cols));
                for ((x, gradient), (out, normed)) in ins.zip(outs) {
                    norm.row_backward(x, gradient, weight, out, normed);
                }
            },
        );
        tape.add_parameter_gradient(Whole(norm.weight), |sum| add_rows(sum, &of_weight));
        if let Some(bias) = norm.bias {
            tape.add_parameter_gradient(Whole(bias), |sum| add_rows(sum, &gradient));
        }
        tape.add_gradient(self.x, of_x);
        tape.pool.give(of_weight);
        tape.pool.give(gradient);
    }

    fn discard(self: Box<Self>, _: &mut Pool) {}
}
