//! The f32 operations of the runtime, once, in 16 virtual lanes.
//!
//! Every function is plain Rust that a backend inlines into a function compiled for its instruction set, so the
//! vector width changes the speed and never the bits: element `i` always goes to lane `i mod 16`, in order of
//! `i`, and the lanes are folded by one fixed tree. `ARITHMETIC.md` is the text of what stands here.

use super::softmax::{FixedSoftmax, Running, Softmax};
use crate::architecture::{Activation, Pairing};
use crate::math;
use crate::parallel::Columns;
use crate::quant::{WIDE_MAX, round_clamped, split_wide, widen_f16};
use crate::tensor::{ActivationsMut, LANES, MatrixF16, MatrixF32};
use core::convert::identity;
use core::ops::Range;

/// Sixteen lanes, one value each.
pub type Lanes = [f32; LANES];

inlined_for_features! {
    /// Sum of the lanes by the fixed tree 16 → 8 → 4 → 2 → 1, lane `l` with lane `l + half`.
    pub fn fold(lanes: Lanes) -> f32 {
        let a: [f32; 8] = core::array::from_fn(|l| lanes[l] + lanes[l + 8]);
        let b: [f32; 4] = core::array::from_fn(|l| a[l] + a[l + 4]);
        (b[0] + b[2]) + (b[1] + b[3])
    }
}

/// Every 16 values f(xᵢ), the last filled up with `rest`.
#[inline(always)]
fn each_sixteen(x: &[f32], rest: f32, f: impl Fn(f32) -> f32, mut add: impl FnMut(Lanes)) {
    let (chunks, last) = x.as_chunks::<LANES>();
    for chunk in chunks {
        add(chunk.map(&f));
    }
    if !last.is_empty() {
        let mut values = [rest; LANES];
        for (value, &x) in values.iter_mut().zip(last) {
            *value = f(x);
        }
        add(values);
    }
}

inlined_for_features! {
    /// Σ f(xᵢ) in 16 lanes.
    pub(super) fn sum_by(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
        let mut lanes = [0.0; LANES];
        // A lane is never −0, so the zeros beyond the last element change no bit.
        each_sixteen(
            x,
            0.0,
            f,
            #[inline(always)]
            |values| {
                for l in 0..LANES {
                    lanes[l] += values[l];
                }
            },
        );
        fold(lanes)
    }

    /// The largest element; −∞ for an empty slice. NaN is passed over.
    pub(super) fn max_by(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; LANES];
        each_sixteen(
            x,
            f32::NEG_INFINITY,
            f,
            #[inline(always)]
            |values| {
                for l in 0..LANES {
                    lanes[l] = larger(lanes[l], values[l]);
                }
            },
        );
        let a: [f32; 8] = core::array::from_fn(|l| larger(lanes[l], lanes[l + 8]));
        let b: [f32; 4] = core::array::from_fn(|l| larger(a[l], a[l + 4]));
        larger(larger(b[0], b[2]), larger(b[1], b[3]))
    }
}

/// The larger of the two; `a` if `b` is NaN.
#[inline(always)]
pub(super) fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// Rows that [`matmul_f32`] takes at a time, so that their additions need not wait for each other.
const ROWS: usize = 8;

/// Rows of the given blocks of `matrix` × vectors `x`, `[tokens][stride]`; rows beyond the last give 0.
#[inline(always)]
pub fn matmul_f32(
    matrix: &MatrixF32<'_>,
    x: &[f32],
    stride: usize,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    some_rows(
        matrix.rows(),
        #[inline(always)]
        |row| matrix.row(row.min(matrix.rows() - 1)),
        #[inline(always)]
        |weight: f32| weight,
        x,
        stride,
        blocks,
        out,
    );
}

/// As [`matmul_f32`], each weight widened exactly.
#[inline(always)]
pub fn matmul_f16(
    matrix: &MatrixF16<'_>,
    x: &[f32],
    stride: usize,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    some_rows(
        matrix.rows(),
        #[inline(always)]
        |row| matrix.row(row.min(matrix.rows() - 1)),
        widen_f16,
        x,
        stride,
        blocks,
        out,
    );
}

#[inline(always)]
fn some_rows<'m, W: Copy + Default + 'm>(
    rows: usize,
    row: impl Fn(usize) -> &'m [W],
    widen: impl Fn(W) -> f32 + Copy,
    x: &[f32],
    stride: usize,
    blocks: Range<usize>,
    out: &mut Columns<'_>,
) {
    for first in (blocks.start * LANES..blocks.end * LANES).step_by(ROWS) {
        let mut weights: [&[W]; ROWS] = [&[]; ROWS];
        for (r, weights) in weights.iter_mut().enumerate() {
            *weights = row(first + r);
        }
        for token in 0..out.tokens() {
            let sums = dots(weights, &x[token * stride..][..weights[0].len()], widen);
            let out = out.token(token, first..first + ROWS);
            out.copy_from_slice(&sums);
            if first + ROWS > rows {
                out[rows.saturating_sub(first)..].fill(0.0);
            }
        }
    }
}

/// Σ aᵢ · bᵢ for each of several `a`, all as long as `b`, in 16 lanes each.
#[inline(always)]
fn dots<W: Copy + Default>(a: [&[W]; ROWS], b: &[f32], widen: impl Fn(W) -> f32) -> [f32; ROWS] {
    let mut lanes = [[0.0; LANES]; ROWS];
    let chunks = b.len() / LANES;
    let b_chunks = b.as_chunks::<LANES>().0;
    let a_chunks = a.map(
        #[inline(always)]
        |a| &a.as_chunks::<LANES>().0[..chunks],
    );
    for i in 0..chunks {
        for r in 0..ROWS {
            for l in 0..LANES {
                lanes[r][l] += widen(a_chunks[r][i][l]) * b_chunks[i][l];
            }
        }
    }
    if b.len() > chunks * LANES {
        let b = last_chunk(b);
        for r in 0..ROWS {
            let a = last_chunk(a[r]);
            for l in 0..LANES {
                // The lanes beyond the last element add +0 to what is never −0: no bit changes.
                lanes[r][l] += widen(a[l]) * b[l];
            }
        }
    }
    lanes.map(fold)
}

/// The elements after the last whole 16, followed by zeros.
#[inline(always)]
fn last_chunk<T: Copy + Default>(x: &[T]) -> [T; LANES] {
    let mut last = [T::default(); LANES];
    let rest = x.len() % LANES;
    if let Some(window) = x.last_chunk::<LANES>() {
        // Copies of fixed lengths: a length that is known only here would be a call.
        let mut both = [T::default(); 2 * LANES];
        both[..LANES].copy_from_slice(window);
        last.copy_from_slice(&both[LANES - rest..][..LANES]);
    } else {
        last[..rest].copy_from_slice(x);
    }
    last
}

/// Scale of int8 steps for values up to `absmax`, and its inverse; both 0 where the values are too small to matter.
#[inline(always)]
pub(super) fn step_of(absmax: f32) -> (f32, f32) {
    if absmax < 1e-30 { (0.0, 0.0) } else { (absmax / 127.0, 127.0 / absmax) }
}

/// As [`step_of`], of steps for two digits.
#[inline(always)]
pub(super) fn wide_step_of(largest: f32) -> (f32, f32) {
    if largest < 1e-30 { (0.0, 0.0) } else { (largest / WIDE_MAX as f32, WIDE_MAX as f32 / largest) }
}

/// As [`quantize`], handing columns `16 i ..` to `put(i, values)` instead of packing them; returns the scale.
#[inline(always)]
pub fn quantize_each(x: &[f32], mut put: impl FnMut(usize, [i8; LANES])) -> f32 {
    let (scale, inverse) = step_of(max_by(x, f32::abs));
    let mut values = [0; 64];
    for start in (0..x.len()).step_by(64) {
        rounded(x, inverse, start, &mut values);
        let sixteens = (x.len() - start).div_ceil(LANES);
        for (i, &values) in values.as_chunks().0.iter().enumerate().take(sixteens) {
            put(start / LANES + i, values);
        }
    }
    scale
}

/// Quantizes `x` to int8 with one scale: absmax / 127, half to even.
#[inline(always)]
pub fn quantize(x: &[f32], token: usize, out: &mut ActivationsMut<'_>) {
    let (scale, inverse) = step_of(max_by(x, f32::abs));
    out.fill(
        token,
        [scale],
        #[inline(always)]
        |start, [values]| rounded(x, inverse, start, values),
    );
}

/// Quantizes `x` to two int8 digits of base 255 with one scale: absmax / [`WIDE_MAX`], half to even. They become tokens
/// `2 vector` (high, its steps 255 times as large) and `2 vector + 1` (low) of `out`.
#[inline(always)]
pub fn quantize_wide(x: &[f32], vector: usize, out: &mut ActivationsMut<'_>) {
    let (scale, inverse) = wide_step_of(max_by(x, f32::abs));
    out.fill(
        2 * vector,
        [scale * 255.0, scale],
        #[inline(always)]
        |start, digits| wide_digits(x, inverse, start, digits),
    );
}

/// The products of vectors of two digits: makes the first tokens of `out`, in the rows of `blocks`, the sums of each two.
#[inline(always)]
pub fn add_pairs(out: &mut Columns<'_>, blocks: Range<usize>) {
    for vector in 0..out.tokens() / 2 {
        for block in blocks.clone() {
            let [high, low] = [2 * vector, 2 * vector + 1].map(
                #[inline(always)]
                |token| *out.block(token, block),
            );
            // A vector's place is no later than its digits' own: theirs are read before they are overwritten.
            let sums = out.block(vector, block);
            for l in 0..LANES {
                sums[l] = high[l] + low[l];
            }
        }
    }
}

inlined_for_features! {
    /// Elements `start ..` of `x` in steps of 1 / `inverse`; 0 beyond the last.
    fn rounded(x: &[f32], inverse: f32, start: usize, out: &mut [i8; 64]) {
        let x = x.get(start..).unwrap_or_default();
        if let Some(x) = x.first_chunk::<64>() {
            for l in 0..64 {
                out[l] = round_clamped(x[l] * inverse, 127) as i8;
            }
        } else {
            *out = [0; 64];
            for (out, &x) in out.iter_mut().zip(x) {
                *out = round_clamped(x * inverse, 127) as i8;
            }
        }
    }
}

/// Root-mean-square norm (Zhang and Sennrich 2019): `x / sqrt(mean(x²) + epsilon) · weight`.
#[inline(always)]
pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let mean_square = sum_by(x, |v| v * v) / x.len() as f32;
    let inverse = 1.0 / math::sqrt(mean_square + epsilon);
    for ((out, &x), &w) in out.iter_mut().zip(x).zip(weight) {
        *out = (x * inverse) * w;
    }
}

/// Layer norm (Ba et al. 2016): `(x − mean) / sqrt(variance + epsilon) · weight + bias`; an empty `bias` is none.
#[inline(always)]
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    let mean = sum_by(x, identity) / x.len() as f32;
    let variance = sum_by(x, |v| (v - mean) * (v - mean)) / x.len() as f32;
    let inverse = 1.0 / math::sqrt(variance + epsilon);
    for ((out, &x), &w) in out.iter_mut().zip(x).zip(weight) {
        *out = ((x - mean) * inverse) * w;
    }
    add(out, bias);
}

/// `x += y` over the shorter of the two.
#[inline(always)]
pub fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// `x ·= factor`.
#[inline(always)]
pub fn scale(x: &mut [f32], factor: f32) {
    for x in x {
        *x *= factor;
    }
}

/// `x = f(x)`.
#[inline(always)]
pub fn activate(activation: Activation, x: &mut [f32]) {
    #[inline(always)]
    fn each(x: &mut [f32], f: impl Fn(f32) -> f32) {
        for x in x {
            *x = f(*x);
        }
    }
    match activation {
        Activation::Silu => each(x, math::silu),
        Activation::GeluErf => each(x, math::gelu_erf),
        Activation::GeluTanh => each(x, math::gelu_tanh),
        Activation::Relu => each(x, math::relu),
    }
}

/// `gate = f(gate) · up`.
#[inline(always)]
pub fn activate_gated(activation: Activation, gate: &mut [f32], up: &[f32]) {
    activate(activation, gate);
    multiply(gate, up);
}

/// `x ·= y` over the shorter of the two.
#[inline(always)]
pub fn multiply(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x *= y;
    }
}

/// Rotates the first `2 · cos.len()` elements of each head of `width` by the angles given as cosine and sine (Su et al.
/// 2021).
#[inline(always)]
pub fn rotate(heads: &mut [f32], width: usize, cos: &[f32], sin: &[f32], pairing: Pairing) {
    for head in heads.chunks_exact_mut(width.max(1)) {
        rotate_head(&mut head[..2 * cos.len()], cos, sin, pairing);
    }
}

/// As [`rotate`], of all elements of one head.
#[inline(always)]
pub fn rotate_head(head: &mut [f32], cos: &[f32], sin: &[f32], pairing: Pairing) {
    match pairing {
        Pairing::Interleaved => {
            for (pair, (&c, &s)) in head.as_chunks_mut::<2>().0.iter_mut().zip(cos.iter().zip(sin)) {
                let [a, b] = *pair;
                *pair = [a * c - b * s, a * s + b * c];
            }
        }
        Pairing::HalfSplit => {
            let (low, high) = head.split_at_mut(cos.len());
            for ((a, b), (&c, &s)) in low.iter_mut().zip(high).zip(cos.iter().zip(sin)) {
                (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
            }
        }
    }
}

/// Attention scores from an f32 cache: `out[p] = Σ_d q[d] · k[p][d]`, summed in order of `d`.
///
/// `keys` is `[positions / 16][q.len()][16]`, `out` has room for whole blocks.
#[inline(always)]
pub fn scores_f32(query: &[f32], keys: &[f32], out: &mut [f32]) {
    for (keys, out) in keys.chunks_exact(query.len() * LANES).zip(out.as_chunks_mut::<LANES>().0) {
        let mut lanes = [0.0; LANES];
        for (&q, k) in query.iter().zip(keys.as_chunks::<LANES>().0) {
            for l in 0..LANES {
                lanes[l] += q * k[l];
            }
        }
        *out = lanes;
    }
}

/// A span of attention from an f32 cache: `out[d] = out[d] · correction + Σ_p exp(scores[p] − max) · v[p][d]`, summed
/// in order of `p`.
///
/// `scores` is overwritten; `values` is `[scores.len()][out.len()]`.
#[inline(always)]
pub fn attend_f32(scores: &mut [f32], values: &[f32], softmax: &mut Softmax, out: &mut [f32]) {
    softmax.extend(scores);
    let width = out.len();
    for (chunk, out) in out.chunks_mut(LANES).enumerate() {
        let mut lanes = [0.0; LANES];
        let used = out.len();
        for (&weight, row) in scores.iter().zip(values.chunks_exact(width)) {
            let row = &row[chunk * LANES..][..used];
            if let Ok(row) = <&[f32; LANES]>::try_from(row) {
                for l in 0..LANES {
                    lanes[l] += weight * row[l];
                }
            } else {
                for (lane, v) in lanes.iter_mut().zip(row) {
                    *lane += weight * v;
                }
            }
        }
        for (out, lane) in out.iter_mut().zip(lanes) {
            *out = *out * softmax.correction + lane;
        }
    }
}

/// A span of attention from an int8 cache, for some queries: `out[q][d] = out[q][d] · correction[q] + (high + low)`.
///
/// `sums` are the products of both digits of each query's weights with the values, `[queries][2][padded head]`; `out`
/// is `[queries][head]`.
#[inline(always)]
pub fn add_values(sums: &[f32], softmax: &[FixedSoftmax], out: &mut [f32]) {
    let (width, stride) = (out.len() / softmax.len(), sums.len() / (2 * softmax.len()));
    for ((out, softmax), sums) in out.chunks_exact_mut(width).zip(softmax).zip(sums.chunks_exact(2 * stride))
    {
        let (high, low) = sums.split_at(stride);
        for ((out, high), low) in out.iter_mut().zip(high).zip(low) {
            *out = *out * softmax.correction + (high + low);
        }
    }
}

/// Divides what attention summed up for some queries by the sum of their weights: `out` is `[queries][head]`.
#[inline(always)]
pub fn normalize<M>(softmax: &[Running<M>], out: &mut [f32]) {
    let width = out.len() / softmax.len();
    for (out, softmax) in out.chunks_exact_mut(width).zip(softmax) {
        scale(out, 1.0 / softmax.sum);
    }
}

inlined_for_features! {
    /// Both digits of columns `start ..`, those after the last of `values` 0.
    fn wide_digits(values: &[f32], inverse: f32, start: usize, [high, low]: &mut [[i8; 64]; 2]) {
        let values = values.get(start..).unwrap_or_default();
        if let Some(values) = values.first_chunk::<64>() {
            for l in 0..64 {
                [high[l], low[l]] = split_wide(round_clamped(values[l] * inverse, WIDE_MAX));
            }
        } else {
            (*high, *low) = ([0; 64], [0; 64]);
            for ((high, low), value) in high.iter_mut().zip(low).zip(values) {
                [*high, *low] = split_wide(round_clamped(value * inverse, WIDE_MAX));
            }
        }
    }
}
