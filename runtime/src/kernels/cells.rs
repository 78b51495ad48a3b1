//! What recurrent cells do with the products of one step, element by element: plain Rust that a backend inlines
//! through `enter`, as the operations in [`lanes`](super::lanes). `ARITHMETIC.md` is the text of what stands here.
//!
//! σ and tanh are those of [`Gates`]. `input` is W·x + b and `state` U·h, both `[gates × hidden]`, gate after gate; the sums are taken here. Sixteen
//! elements are taken into arrays before any is stored, and every function runs over one array in a loop of its own: over
//! the slices themselves, or with `array::map`, compilers made scalars of half of it, and a step of an LSTM of 2 × 128 took
//! 8.5 or 9.3 µs instead of 5.8.

use super::lanes::Lanes;
use crate::math::{relu, sigmoid, table_sigmoid, table_tanh, tanh};
use crate::tensor::LANES;

/// How σ and tanh of a cell's gates are computed.
pub trait Gates {
    /// 1 / (1 + e^−x).
    fn sigmoid(x: f32) -> f32;
    /// tanh x.
    fn tanh(x: f32) -> f32;
}

/// To the last bits of an f32.
pub struct Precise;

impl Gates for Precise {
    #[inline(always)]
    fn sigmoid(x: f32) -> f32 {
        sigmoid(x)
    }

    #[inline(always)]
    fn tanh(x: f32) -> f32 {
        tanh(x)
    }
}

/// From a table: where the state is rounded to 8 bits.
pub struct Table;

impl Gates for Table {
    #[inline(always)]
    fn sigmoid(x: f32) -> f32 {
        table_sigmoid(x)
    }

    #[inline(always)]
    fn tanh(x: f32) -> f32 {
        table_tanh(x)
    }
}

/// Up to sixteen elements of `x` from `start` on, of which there are `left`; zeros beyond.
#[inline(always)]
fn take(x: &[f32], start: usize, left: usize) -> Lanes {
    let x = &x[start..][..left.min(LANES)];
    if let Some(whole) = x.first_chunk() {
        return *whole;
    }
    let mut values = [0.0; LANES];
    values[..x.len()].copy_from_slice(x);
    values
}

inlined_for_features! {
    /// f of each.
    fn each(mut x: Lanes, f: impl Fn(f32) -> f32) -> Lanes {
        for l in 0..LANES {
            x[l] = f(x[l]);
        }
        x
    }
}

/// f of each pair.
#[inline(always)]
fn both(mut x: Lanes, y: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
    for l in 0..LANES {
        x[l] = f(x[l], y[l]);
    }
    x
}

/// As many of `values` as there is room for.
#[inline(always)]
fn put(values: Lanes, out: &mut [f32]) {
    if let Some(whole) = out.first_chunk_mut() {
        *whole = values;
    } else {
        let len = out.len();
        out.copy_from_slice(&values[..len]);
    }
}

inlined_for_features! {
    /// Sixteen elements of gate `gate` from `start` on, those of both products added.
    fn sum(input: &[f32], state: &[f32], gate: usize, hidden: usize, start: usize) -> Lanes {
        let (at, left) = (gate * hidden + start, hidden - start);
        let (x, u) = (take(input, at, left), take(state, at, left));
        both(x, u, |x, u| x + u)
    }
}

/// Long short-term memory, gates i, f, g, o: `c = f · c + i · g` and `h = o · tanh(c)`, with σ of the gates but g,
/// whose tanh is taken.
#[inline(always)]
pub fn lstm<G: Gates>(input: &[f32], state: &[f32], c: &mut [f32], h: &mut [f32]) {
    let hidden = c.len();
    let h = &mut h[..hidden];
    for start in (0..hidden).step_by(LANES) {
        let i = each(sum(input, state, 0, hidden, start), G::sigmoid);
        let f = each(sum(input, state, 1, hidden, start), G::sigmoid);
        let g = each(sum(input, state, 2, hidden, start), G::tanh);
        let before = take(c, start, hidden - start);
        let after = both(both(f, before, |f, c| f * c), both(i, g, |i, g| i * g), |old, new| old + new);
        let o = each(sum(input, state, 3, hidden, start), G::sigmoid);
        let bounded = each(after, G::tanh);
        put(after, &mut c[start..]);
        put(both(o, bounded, |o, c| o * c), &mut h[start..]);
    }
}

/// GRU, gates z, r, n, reset after the product: `n = tanh(x_n + r · (u_n + bias))` and `h = (1 − z) · n + z · h`.
///
/// `bias` is that of the candidate's product with the state; empty for none.
#[inline(always)]
pub fn gru_reset_after<G: Gates>(input: &[f32], state: &mut [f32], bias: &[f32], h: &mut [f32]) {
    let hidden = h.len();
    for (u, bias) in state[2 * hidden..].iter_mut().zip(bias) {
        *u += bias;
    }
    for start in (0..hidden).step_by(LANES) {
        let left = hidden - start;
        let z = each(sum(input, state, 0, hidden, start), G::sigmoid);
        let r = each(sum(input, state, 1, hidden, start), G::sigmoid);
        let (x, u) = (take(input, 2 * hidden + start, left), take(state, 2 * hidden + start, left));
        let candidate = both(x, both(r, u, |r, u| r * u), |x, u| x + u);
        put(renewed::<G>(z, candidate, take(h, start, left)), &mut h[start..]);
    }
}

/// `(1 − z) · tanh(candidate) + z · h`.
#[inline(always)]
fn renewed<G: Gates>(z: Lanes, candidate: Lanes, h: Lanes) -> Lanes {
    let new = both(each(candidate, G::tanh), z, |n, z| (1.0 - z) * n);
    both(new, both(z, h, |z, h| z * h), |new, old| new + old)
}

/// The first half of a GRU that resets before the product: `state`, `[2 × hidden]`, becomes z, and
/// `reset = r · h`.
#[inline(always)]
pub fn gru_reset<G: Gates>(input: &[f32], state: &mut [f32], h: &[f32], reset: &mut [f32]) {
    let hidden = h.len();
    let reset = &mut reset[..hidden];
    for start in (0..hidden).step_by(LANES) {
        let z = each(sum(input, state, 0, hidden, start), G::sigmoid);
        let r = each(sum(input, state, 1, hidden, start), G::sigmoid);
        let h = take(h, start, hidden - start);
        put(z, &mut state[start..hidden]);
        put(both(r, h, |r, h| r * h), &mut reset[start..]);
    }
}

/// The second half, with `candidate` = U·reset: `n = tanh(x_n + candidate)` and `h = (1 − z) · n + z · h`.
#[inline(always)]
pub fn gru_renew<G: Gates>(input: &[f32], z: &[f32], candidate: &[f32], h: &mut [f32]) {
    let hidden = h.len();
    for start in (0..hidden).step_by(LANES) {
        let left = hidden - start;
        let (x, u) = (take(input, 2 * hidden + start, left), take(candidate, start, left));
        let candidate: Lanes = both(x, u, |x, u| x + u);
        put(renewed::<G>(take(z, start, left), candidate, take(h, start, left)), &mut h[start..]);
    }
}

/// `h = tanh(x + u)`.
#[inline(always)]
pub fn elman_tanh<G: Gates>(input: &[f32], state: &[f32], h: &mut [f32]) {
    let hidden = h.len();
    for start in (0..hidden).step_by(LANES) {
        put(each(sum(input, state, 0, hidden, start), G::tanh), &mut h[start..]);
    }
}

/// `h = max(x + u, 0)`.
#[inline(always)]
pub fn elman_relu(input: &[f32], state: &[f32], h: &mut [f32]) {
    let hidden = h.len();
    for start in (0..hidden).step_by(LANES) {
        put(each(sum(input, state, 0, hidden, start), relu), &mut h[start..]);
    }
}
