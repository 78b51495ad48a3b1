//! What recurrent cells do with the products of one step, element by element: plain Rust that a backend inlines
//! through `enter`, as the operations in [`lanes`](super::lanes). `ARITHMETIC.md` is the text of what stands here.
//!
//! `input` is W·x + b and `state` U·h, both `[gates × hidden]`, gate after gate; the sums are taken here.

use crate::math::{relu, sigmoid, tanh};

/// Part `gate` of a vector of gates, each `hidden` long.
#[inline(always)]
fn gate(gates: &[f32], gate: usize, hidden: usize) -> &[f32] {
    &gates[gate * hidden..][..hidden]
}

/// Long short-term memory, gates i, f, g, o: `c = f · c + i · g` and `h = o · tanh(c)`, with σ of the gates but g,
/// whose tanh is taken.
#[inline(always)]
pub fn lstm(input: &[f32], state: &[f32], c: &mut [f32], h: &mut [f32]) {
    let hidden = c.len();
    let [xi, xf, xg, xo] = [0, 1, 2, 3].map(|i| gate(input, i, hidden));
    let [hi, hf, hg, ho] = [0, 1, 2, 3].map(|i| gate(state, i, hidden));
    let h = &mut h[..hidden];
    for l in 0..hidden {
        let (i, f) = (sigmoid(xi[l] + hi[l]), sigmoid(xf[l] + hf[l]));
        let (g, o) = (tanh(xg[l] + hg[l]), sigmoid(xo[l] + ho[l]));
        c[l] = f * c[l] + i * g;
        h[l] = o * tanh(c[l]);
    }
}

/// GRU, gates z, r, n, reset after the product: `n = tanh(x_n + r · (u_n + bias))` and `h = (1 − z) · n + z · h`.
///
/// `bias` is that of the candidate's product with the state; empty for none.
#[inline(always)]
pub fn gru_reset_after(input: &[f32], state: &mut [f32], bias: &[f32], h: &mut [f32]) {
    let hidden = h.len();
    for (u, bias) in state[2 * hidden..].iter_mut().zip(bias) {
        *u += bias;
    }
    let [xz, xr, xn] = [0, 1, 2].map(|i| gate(input, i, hidden));
    let [hz, hr, hn] = [0, 1, 2].map(|i| gate(state, i, hidden));
    for l in 0..hidden {
        let (z, r) = (sigmoid(xz[l] + hz[l]), sigmoid(xr[l] + hr[l]));
        let n = tanh(xn[l] + r * hn[l]);
        h[l] = (1.0 - z) * n + z * h[l];
    }
}

/// The first half of a GRU that resets before the product: `state`, `[2 × hidden]`, becomes z, and
/// `reset = r · h`.
#[inline(always)]
pub fn gru_reset(input: &[f32], state: &mut [f32], h: &[f32], reset: &mut [f32]) {
    let hidden = h.len();
    let [xz, xr] = [0, 1].map(|i| gate(input, i, hidden));
    let (hz, hr) = state.split_at_mut(hidden);
    let (hr, reset) = (&hr[..hidden], &mut reset[..hidden]);
    for l in 0..hidden {
        hz[l] = sigmoid(xz[l] + hz[l]);
        reset[l] = sigmoid(xr[l] + hr[l]) * h[l];
    }
}

/// The second half, with `candidate` = U·reset: `n = tanh(x_n + candidate)` and `h = (1 − z) · n + z · h`.
#[inline(always)]
pub fn gru_renew(input: &[f32], z: &[f32], candidate: &[f32], h: &mut [f32]) {
    let hidden = h.len();
    let (xn, z, candidate) = (gate(input, 2, hidden), &z[..hidden], &candidate[..hidden]);
    for l in 0..hidden {
        let n = tanh(xn[l] + candidate[l]);
        h[l] = (1.0 - z[l]) * n + z[l] * h[l];
    }
}

/// `h = tanh(x + u)`.
#[inline(always)]
pub fn elman_tanh(input: &[f32], state: &[f32], h: &mut [f32]) {
    for ((h, x), u) in h.iter_mut().zip(input).zip(state) {
        *h = tanh(x + u);
    }
}

/// `h = max(x + u, 0)`.
#[inline(always)]
pub fn elman_relu(input: &[f32], state: &[f32], h: &mut [f32]) {
    for ((h, x), u) in h.iter_mut().zip(input).zip(state) {
        *h = relu(x + u);
    }
}
