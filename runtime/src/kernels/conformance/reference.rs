//! Proof of the definition itself: `Scalar` and every other backend here against sums in i64 that know nothing of
//! packings but what the format says, up to the widest matrices at their extremes.

use super::{Fill, Random};
use crate::kernels::{Backend, Kernels, Scalar, WithKernels};
use crate::parallel::Columns;
use crate::tensor::{
    ActivationShape, ActivationsMut, LANES, MAX_COLS_I4, MAX_COLS_I8, MatrixI4, MatrixI8, padded_rows,
};
use std::vec::Vec;
use std::{format, vec};

/// Unpacked operands, row-major.
struct Plain {
    rows: usize,
    cols: usize,
    tokens: usize,
    weights: Vec<i32>,
    x: Vec<i8>,
}

impl Plain {
    fn new(rows: usize, cols: usize, tokens: usize, range: [i32; 2], fill: Fill) -> Self {
        let mut random = Random::new(64);
        let weights = (0..rows * cols).map(|i| fill.weight(i, range[0], range[1], &mut random)).collect();
        let x = (0..tokens * cols).map(|i| fill.activation(i, &mut random)).collect();
        Self { rows, cols, tokens, weights, x }
    }

    /// `Σ scale(row, col) · w · x`, which must fit i32.
    fn sum(&self, row: usize, token: usize, scale: impl Fn(usize, usize) -> i64) -> i32 {
        let weights = &self.weights[row * self.cols..][..self.cols];
        let x = &self.x[token * self.cols..][..self.cols];
        let sum =
            (0..self.cols).map(|k| scale(row, k) * i64::from(weights[k]) * i64::from(x[k])).sum::<i64>();
        i32::try_from(sum).expect("the sum fits i32: the bound holds")
    }

    /// Compares `matmul` with the sums; scales are 1, so that a result is the sum rounded to f32.
    fn check(
        &self,
        name: &str,
        scale: impl Fn(usize, usize) -> i64,
        matmul: impl Fn(&ActivationsMut<'_>, &mut Columns<'_>),
    ) {
        let shape = ActivationShape { tokens: self.tokens, cols: self.cols };
        let (mut data, mut sums) = (vec![0; shape.data_len()], vec![0; shape.sums_len()]);
        let (mut totals, mut scales) = (vec![0; self.tokens], vec![0.0; self.tokens]);
        let mut x = ActivationsMut::new(shape, &mut data, &mut sums, &mut totals, &mut scales)
            .expect("the lengths are its own");
        for token in 0..self.tokens {
            let values = &self.x[token * self.cols..][..self.cols];
            x.set(token, 1.0, |i| core::array::from_fn(|l| values.get(i * 16 + l).copied().unwrap_or(0)));
        }
        let stride = padded_rows(self.rows);
        let mut out = vec![f32::NAN; self.tokens * stride];
        matmul(&x, &mut Columns::new(&mut out, self.tokens, stride));
        for token in 0..self.tokens {
            for row in 0..self.rows {
                let expected = self.sum(row, token, &scale) as f32;
                assert_eq!(out[token * stride + row], expected, "{name}: row {row}, token {token}");
            }
        }
    }
}

struct Int8(Plain);

impl WithKernels for &Int8 {
    type Output = ();
    fn call<K: Kernels>(self, kernels: K) {
        let Plain { rows, cols, .. } = self.0;
        let mut data = vec![0; MatrixI8::data_len(rows, cols)];
        for row in 0..rows {
            for k in 0..cols {
                let at = ((row / 16 * cols.div_ceil(4) + k / 4) * 16 + row % 16) * 4 + k % 4;
                data[at] = self.0.weights[row * cols + k] as i8;
            }
        }
        let scale = vec![1.0; padded_rows(rows)];
        let matrix = MatrixI8::new(rows, cols, &scale, &data).expect("the lengths are its own");
        self.0.check(
            &format!("{} int8, {rows} × {cols}", K::NAME),
            |_, _| 1,
            |x, out| {
                kernels.matmul_i8(&matrix, &x.as_activations(), 0..padded_rows(rows) / LANES, out);
            },
        );
    }
}

struct Int4 {
    plain: Plain,
    group: usize,
    group_scale: Vec<i8>,
}

impl WithKernels for &Int4 {
    type Output = ();
    fn call<K: Kernels>(self, kernels: K) {
        let Plain { rows, cols, .. } = self.plain;
        let mut data = vec![0x88; MatrixI4::data_len(rows, cols)];
        for row in 0..rows {
            for k in 0..cols {
                let at = ((row / 16 * cols.div_ceil(8) + k / 8) * 16 + row % 16) * 4 + k % 4;
                let shift = if k % 8 < 4 { 0 } else { 4 };
                let nibble = (self.plain.weights[row * cols + k] + 8) as u8;
                data[at] = data[at] & !(15 << shift) | nibble << shift;
            }
        }
        let row_scale = vec![1.0; padded_rows(rows)];
        let (group, groups) = (self.group, cols.div_ceil(self.group.max(1)));
        let matrix = MatrixI4::new(rows, cols, group, &row_scale, &self.group_scale, &data)
            .expect("the lengths are its own");
        let scale = |row: usize, k: usize| match group {
            0 => 1,
            _ => i64::from(self.group_scale[(row / 16 * groups + k / group) * 16 + row % 16]),
        };
        self.plain.check(&format!("{} int4, {rows} × {cols}, group {group}", K::NAME), scale, |x, out| {
            kernels.matmul_i4(&matrix, &x.as_activations(), 0..padded_rows(rows) / LANES, out);
        });
    }
}

fn int8(rows: usize, cols: usize, tokens: usize, fill: Fill) {
    let case = Int8(Plain::new(rows, cols, tokens, [-128, 127], fill));
    Backend::available().for_each(|backend| backend.run(&case));
}

fn int4(rows: usize, cols: usize, tokens: usize, group: usize, fill: Fill) {
    let mut random = Random::new(4);
    let scales = MatrixI4::group_scale_len(rows, cols, group);
    let group_scale = (0..scales).map(|_| fill.weight(0, -127, 127, &mut random) as i8).collect();
    let case = Int4 { plain: Plain::new(rows, cols, tokens, [-8, 7], fill), group, group_scale };
    Backend::available().for_each(|backend| backend.run(&case));
}

#[test]
fn products_are_the_sums_they_stand_for() {
    for (rows, cols, tokens) in [(1, 1, 1), (17, 5, 1), (50, 172, 3), (33, 70, 9), (20, 600, 17)] {
        for fill in Fill::ALL {
            int8(rows, cols, tokens, fill);
            for group in [0, 16, 32, 64, 128] {
                int4(rows, cols, tokens, group, fill);
            }
        }
    }
}

#[test]
fn the_widest_int8_rows_are_exact_at_the_extremes() {
    for tokens in [1, 2] {
        for fill in [Fill::LeastGreatest, Fill::LeastLeast, Fill::GreatestGreatest] {
            int8(2, MAX_COLS_I8, tokens, fill);
        }
    }
}

#[test]
fn the_widest_int4_rows_are_exact_at_the_extremes() {
    for tokens in [1, 2, 16] {
        for group in [0, 16, 32, 64, 128] {
            for fill in [Fill::LeastGreatest, Fill::LeastLeast, Fill::GreatestGreatest] {
                int4(2, MAX_COLS_I4, tokens, group, fill);
            }
        }
    }
}

#[test]
fn two_digits_stand_for_a_vector_to_within_half_a_step() {
    let mut random = Random::new(2);
    for len in [1, 16, 63, 172] {
        let x: Vec<f32> = (0..len).map(|_| random.float()).collect();
        let shape = ActivationShape { tokens: 2, cols: len };
        let (mut data, mut sums) = (vec![0; shape.data_len()], vec![0; shape.sums_len()]);
        let (mut totals, mut scales) = ([0; 2], [0.0; 2]);
        let mut out = ActivationsMut::new(shape, &mut data, &mut sums, &mut totals, &mut scales)
            .expect("the lengths are its own");
        Scalar.quantize_wide(&x, 0, &mut out);
        let [high, low] = [0, 1].map(|token| out.as_activations().row(token));
        let absmax = x.iter().fold(0f32, |most, x| most.max(x.abs()));
        assert_eq!((high.scale, low.scale), (absmax / 32512.0 * 255.0, absmax / 32512.0));
        for (k, &x) in x.iter().enumerate() {
            let [high, low] = [&high, &low].map(|row| f64::from(row.data[k]) * f64::from(row.scale));
            // The step, 255 steps and the products with its inverse are rounded: 2⁻²⁴ of at most 32512 steps, thrice.
            let off = (high + low - f64::from(x)).abs() / f64::from(absmax) * 32512.0;
            assert!(off < 0.506, "{len}: {off} steps");
        }
    }
}
