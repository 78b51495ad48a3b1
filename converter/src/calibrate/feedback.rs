//! Rounding one column after the other, each error made good by the columns still to come (OPTQ/GPTQ: Frantar et al.
//! 2023; the order and the Cholesky form are theirs).
//!
//! With inputs X, rounding W to Q loses ‖(W − Q) X‖². For one column that is rounded, the best change of the rest
//! follows from the inverse of X Xᵀ, of which U, the upper triangle with Uᵀ U = (X Xᵀ)⁻¹, holds all that is needed.

use std::ops::RangeInclusive;

/// What is added to the diagonal, as a share of its mean: directions that the text hardly has would otherwise take any
/// error (0.01 as in the paper; 0.1 was worse on stories260K).
const DAMPING: f64 = 0.01;

/// How errors of one matrix are passed on.
#[derive(Debug)]
pub(crate) struct Feedback {
    /// Columns in the order of rounding: those with the largest inputs first.
    order: Vec<usize>,
    /// U in that order, `[cols][cols]`, each row over its diagonal element.
    upper: Vec<f32>,
}

impl Feedback {
    /// For a matrix whose inputs are `inputs`, `[tokens][cols]`.
    pub(crate) fn new(inputs: &[f32], cols: usize) -> Self {
        let mut moments = moments(inputs, cols);
        let diagonal = |moments: &[f64], col: usize| moments[col * cols + col];
        let mean = (0..cols).map(|col| diagonal(&moments, col)).sum::<f64>() / cols as f64;
        for col in 0..cols {
            // Without any inputs the columns are independent, and rounding is the plain one.
            moments[col * cols + col] += if mean > 0.0 { DAMPING * mean } else { 1.0 };
        }
        let mut order: Vec<usize> = (0..cols).collect();
        order.sort_by(|&a, &b| diagonal(&moments, b).total_cmp(&diagonal(&moments, a)));
        let permuted: Vec<f64> = order
            .iter()
            .flat_map(|&a| order.iter().map(move |&b| (a, b)))
            .map(|(a, b)| moments[a * cols + b])
            .collect();
        let mut upper = inverse_of_upper(&upper_factor(permuted, cols), cols);
        for row in upper.chunks_exact_mut(cols).enumerate().map(|(at, row)| &mut row[at..]) {
            let diagonal = row[0];
            row.iter_mut().for_each(|element| *element /= diagonal);
        }
        Self { order, upper: upper.into_iter().map(|element| element as f32).collect() }
    }

    /// Rounds `row` to whole multiples, within `range`, of the steps of its columns; a step of 0 gives 0.
    pub(crate) fn round(
        &self,
        row: &[f32],
        step: impl Fn(usize) -> f32,
        range: RangeInclusive<f32>,
        out: &mut [i8],
    ) {
        let cols = self.order.len();
        let mut left: Vec<f32> = self.order.iter().map(|&col| row[col]).collect();
        for (at, &col) in self.order.iter().enumerate() {
            let step = step(col);
            let q = if step == 0.0 { 0.0 } else { (left[at] / step).round_ties_even() };
            let q = q.clamp(*range.start(), *range.end());
            out[col] = q as i8;
            let error = left[at] - q * step;
            for (left, share) in left[at..].iter_mut().zip(&self.upper[at * cols + at..(at + 1) * cols]) {
                *left -= error * share;
            }
        }
    }
}

/// Σ x xᵀ over the tokens, `[cols][cols]`.
fn moments(inputs: &[f32], cols: usize) -> Vec<f64> {
    let mut sums = vec![0.0f64; cols * cols];
    for x in inputs.chunks_exact(cols) {
        for (row, &a) in x.iter().enumerate() {
            let sums = &mut sums[row * cols..=row * cols + row];
            for (sum, &b) in sums.iter_mut().zip(x) {
                *sum += f64::from(a) * f64::from(b);
            }
        }
    }
    for row in 0..cols {
        for col in 0..row {
            sums[col * cols + row] = sums[row * cols + col];
        }
    }
    sums
}

/// The transpose of the upper triangle W with W Wᵀ = `matrix`, symmetric and positive definite: Cholesky from the last
/// column on. Transposed, all inner loops run along rows.
fn upper_factor(mut matrix: Vec<f64>, n: usize) -> Vec<f64> {
    for col in (0..n).rev() {
        let (above, own) = matrix.split_at_mut(col * n);
        let own = &mut own[..=col];
        let pivot = own[col].max(f64::MIN_POSITIVE).sqrt();
        own.iter_mut().for_each(|element| *element /= pivot);
        for (row, above) in above.chunks_exact_mut(n).enumerate() {
            let factor = own[row];
            for (above, own) in above[..=row].iter_mut().zip(&*own) {
                *above -= own * factor;
            }
        }
    }
    matrix
}

/// The inverse of an upper triangle that is given transposed, by back substitution.
fn inverse_of_upper(transposed: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; n * n];
    for row in (0..n).rev() {
        let (above, below) = inverse.split_at_mut((row + 1) * n);
        let own = &mut above[row * n..];
        own[row] = 1.0;
        for (k, other) in (row + 1..n).zip(below.chunks_exact(n)) {
            let factor = transposed[k * n + row];
            for (own, other) in own[k..].iter_mut().zip(&other[k..]) {
                *own -= factor * other;
            }
        }
        own.iter_mut().for_each(|element| *element /= transposed[row * n + row]);
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize, mut state: u32) -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state as i32 as f32 / 2_147_483_648.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// Inputs whose columns resemble each other, `[tokens][cols]`.
    fn inputs(tokens: usize, cols: usize) -> Vec<f32> {
        let (own, shared) = (noise(tokens * cols, 1), noise(tokens, 2));
        own.iter()
            .enumerate()
            .map(|(at, own)| 0.3 * own + shared[at / cols] * (1.0 + (at % cols) as f32))
            .collect()
    }

    #[test]
    fn the_factor_and_its_inverse_are_what_they_say() {
        let n = 7;
        let mut matrix = moments(&inputs(40, n), n);
        (0..n).for_each(|at| matrix[at * n + at] += 1.0);
        let upper = upper_factor(matrix.clone(), n);
        let inverse = inverse_of_upper(&upper, n);
        for row in 0..n {
            for col in 0..n {
                // The factor is zero below the diagonal.
                let own = |row: usize, k: usize| if k < row { 0.0 } else { upper[k * n + row] };
                let product: f64 = (0..n).map(|k| own(row, k) * own(col, k)).sum();
                let expected = matrix[row * n + col];
                assert!((product - expected).abs() < 1e-9 * matrix[0].max(matrix[n * n - 1]), "{row} {col}");
                let one: f64 = (0..n).map(|k| own(row, k) * inverse[k * n + col]).sum();
                assert!((one - f64::from(u8::from(row == col))).abs() < 1e-9, "{row} {col}: {one}");
            }
        }
    }

    #[test]
    fn outputs_on_the_calibration_inputs_lose_less_than_with_plain_rounding() {
        let (cols, tokens) = (24, 200);
        let inputs = inputs(tokens, cols);
        let feedback = Feedback::new(&inputs, cols);
        let step = 0.13;
        let (mut fed_back, mut plain) = (0.0, 0.0);
        for row in noise(20 * cols, 3).chunks_exact(cols) {
            let mut q = vec![0; cols];
            feedback.round(row, |_| step, -8.0..=7.0, &mut q);
            let lost = |q: &dyn Fn(usize) -> f32| -> f32 {
                let error =
                    |x: &[f32]| -> f32 { (0..cols).map(|col| (row[col] - q(col) * step) * x[col]).sum() };
                inputs.chunks_exact(cols).map(|x| error(x).powi(2)).sum()
            };
            fed_back += lost(&|col| f32::from(q[col]));
            plain += lost(&|col| (row[col] / step).round().clamp(-8.0, 7.0));
        }
        assert!(fed_back < 0.2 * plain, "{fed_back} {plain}");
    }

    #[test]
    fn without_inputs_rounding_is_plain_and_a_step_of_zero_gives_zero() {
        let feedback = Feedback::new(&[0.0; 12], 4);
        let mut q = [99; 4];
        feedback.round(&[0.26, -0.24, 5.0, -9.0], |col| [0.5, 0.5, 0.5, 0.0][col], -8.0..=7.0, &mut q);
        assert_eq!(q, [1, 0, 7, 0]);
    }
}
