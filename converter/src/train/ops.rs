//! The operations of the tape: each a few coarse loops and products, forward and backward.

mod activation;
mod attention;
mod dropout;
mod embedding;
mod gru;
mod linear;
mod loss;
mod lstm;
mod norm;
#[cfg(test)]
mod tests;

pub(super) use activation::activate;
pub(super) use attention::{Heads, Rotary, attend};
pub(super) use dropout::{add, dropout};
pub(super) use embedding::{embed, embed_positions, gather};
pub(super) use gru::gru;
pub(super) use linear::linear;
pub use loss::IGNORED;
pub(super) use loss::cross_entropy;
pub(super) use lstm::lstm;
pub(super) use norm::{Norm, norm};

use super::simd::vectorized;
use whit::kernels::lanes;

/// `sum += x`.
pub(super) fn add_to(sum: &mut [f32], x: &[f32]) {
    vectorized(
        #[inline(always)]
        || lanes::add(sum, x),
    );
}

/// Adds every row of `x`, `[rows][sums.len()]`, to `sums`.
fn add_rows(sums: &mut [f32], x: &[f32]) {
    vectorized(
        #[inline(always)]
        || {
            for row in x.chunks_exact(sums.len()) {
                lanes::add(sums, row);
            }
        },
    );
}
