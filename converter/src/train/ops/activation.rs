//! The element-wise functions of the feed-forward block, gated and plain: the runtime's own, and their derivatives.

use crate::train::pool::{Buffer, Pool};
use crate::train::simd::vectorized;
use crate::train::tape::{Operation, Tape, Tensor, Var};
use whit::kernels::{Activation, lanes};
use whit::math;

struct Activated {
    x: Var,
    activation: Activation,
    gated: bool,
}

/// f(x), or where `gated` f(first half of each row) · second half.
pub(in crate::train) fn activate(tape: &mut Tape<'_>, x: Var, activation: Activation, gated: bool) -> Var {
    let Tensor { rows, cols, .. } = *tape.value(x);
    let width = if gated { cols / 2 } else { cols };
    let mut out = tape.pool.take(rows * width);
    let data = &tape.value(x).data;
    vectorized(
        #[inline(always)]
        || {
            for (x, out) in data.chunks_exact(cols).zip(out.chunks_exact_mut(width)) {
                out.copy_from_slice(&x[..width]);
                if gated {
                    lanes::activate_gated(activation, out, &x[width..]);
                } else {
                    lanes::activate(activation, out);
                }
            }
        },
    );
    tape.push(Tensor { rows, cols: width, data: out }, Activated { x, activation, gated })
}

impl Operation for Activated {
    fn backward(self: Box<Self>, tape: &mut Tape<'_>, gradient: Buffer) {
        let Tensor { rows, cols, .. } = *tape.value(self.x);
        let mut of_x = tape.pool.take(rows * cols);
        let data = &tape.value(self.x).data;
        let (activation, gated) = (self.activation, self.gated);
        vectorized(
            #[inline(always)]
            || match activation {
                Activation::Silu => rows_backward(silu, gated, cols, data, &gradient, &mut of_x),
                Activation::GeluErf => rows_backward(gelu_erf, gated, cols, data, &gradient, &mut of_x),
                Activation::GeluTanh => rows_backward(gelu_tanh, gated, cols, data, &gradient, &mut of_x),
                Activation::Relu => rows_backward(relu, gated, cols, data, &gradient, &mut of_x),
            },
        );
        tape.add_gradient(self.x, of_x);
        tape.pool.give(gradient);
    }

    fn discard(self: Box<Self>, _: &mut Pool) {}
}

/// `f` gives the function's value and its derivative.
#[inline(always)]
fn rows_backward(
    f: impl Fn(f32) -> [f32; 2],
    gated: bool,
    cols: usize,
    x: &[f32],
    gradient: &[f32],
    out: &mut [f32],
) {
    let width = if gated { cols / 2 } else { cols };
    let rows = x.chunks_exact(cols).zip(gradient.chunks_exact(width)).zip(out.chunks_exact_mut(cols));
    for ((x, gradient), out) in rows {
        let (gate, up) = x.split_at(width);
        let (of_gate, of_up) = out.split_at_mut(width);
        if gated {
            for i in 0..width {
                let [value, slope] = f(gate[i]);
                of_gate[i] = gradient[i] * up[i] * slope;
                of_up[i] = gradient[i] * value;
            }
        } else {
            for i in 0..width {
                of_gate[i] = gradient[i] * f(gate[i])[1];
            }
        }
    }
}

#[inline(always)]
fn silu(x: f32) -> [f32; 2] {
    let s = math::sigmoid(x);
    [x * s, s + x * s * (1.0 - s)]
}

/// As the runtime writes it: x · σ(u) with u = x · (linear + cubic · x²).
#[inline(always)]
fn gelu_tanh(x: f32) -> [f32; 2] {
    const LINEAR: f32 = 1.595_769;
    const CUBIC: f32 = 0.071_354_814;
    let square = x * x;
    let s = math::sigmoid(x * (LINEAR + CUBIC * square));
    [x * s, s + x * s * (1.0 - s) * (LINEAR + 3.0 * CUBIC * square)]
}

/// x · Φ(x); the derivative is Φ(x) + x · φ(x).
#[inline(always)]
fn gelu_erf(x: f32) -> [f32; 2] {
    const HALF_ROOT: f32 = std::f32::consts::FRAC_1_SQRT_2;
    /// 1 / √(2 π)
    const DENSITY: f32 = 0.398_942_3;
    let cumulative = 0.5 + 0.5 * math::erf(x * HALF_ROOT);
    let density = DENSITY * math::exp_nonpositive(-0.5 * x * x);
    [x * cumulative, cumulative + x * density]
}

#[inline(always)]
fn relu(x: f32) -> [f32; 2] {
    if x > 0.0 { [x, 1.0] } else { [0.0, 0.0] }
}
