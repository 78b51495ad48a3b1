//! Softmax and cross-entropy in one, with label smoothing (Szegedy et al. 2016).

use crate::train::simd::{largest, sum_by, vectorized};
use crate::train::tape::{Tape, Var};
use whit::math;

/// What a target is where there is none: it counts neither in the loss nor in its gradient.
pub const IGNORED: u32 = u32::MAX;

/// The sum over all rows of `logits`, `[rows, vocabulary]`, of the cross-entropy with `targets`, in nats. A share
/// `smoothing` of the target is spread evenly over all tokens.
///
/// Where the tape records, the logits are replaced by the gradient of `weight` times this loss.
pub(in crate::train) fn cross_entropy(
    tape: &mut Tape<'_>,
    logits: Var,
    targets: &[u32],
    smoothing: f32,
    weight: f32,
) -> f64 {
    let mut value = tape.take_value(logits);
    let mut sum = 0.0;
    let (data, cols) = (&mut value.data, value.cols);
    vectorized(
        #[inline(always)]
        || {
            for (row, &target) in data.chunks_exact_mut(cols).zip(targets) {
                if target == IGNORED {
                    row.fill(0.0);
                } else {
                    sum += f64::from(row_loss(row, target as usize, smoothing, weight));
                }
            }
        },
    );
    if tape.records() {
        tape.add_gradient(logits, value.data);
    } else {
        tape.pool.give(value.data);
    }
    sum
}

/// The loss of one row, which becomes its gradient.
#[inline(always)]
fn row_loss(row: &mut [f32], target: usize, smoothing: f32, weight: f32) -> f32 {
    let most = largest(row);
    let (count, at_target) = (row.len() as f32, row[target] - most);
    let mean = sum_by(
        row.len(),
        #[inline(always)]
        |i| row[i] - most,
    ) / count;
    for logit in row.iter_mut() {
        *logit = math::exp_nonpositive(*logit - most);
    }
    let sum = sum_by(
        row.len(),
        #[inline(always)]
        |i| row[i],
    );
    let (factor, spread) = (weight / sum, weight * smoothing / count);
    for probability in row.iter_mut() {
        *probability = *probability * factor - spread;
    }
    row[target] -= weight * (1.0 - smoothing);
    math::log(sum) - (1.0 - smoothing) * at_target - smoothing * mean
}
