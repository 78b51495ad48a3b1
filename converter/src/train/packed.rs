//! The right factor of a product in the order in which it is read.

use super::pool::Buffer;
use super::simd::arch;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Vectors in a panel's row: 8 rows × 3 vectors of sums fill 24 of 32 registers.
pub(super) const VECTORS: usize = 3;

/// The right factor of a product, `[depth, cols]`: panels of up to three vectors of columns, `[depth][vectors]` each,
/// filled up with zeros.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub(super) data: Buffer,
    pub(super) depth: usize,
    pub(super) cols: usize,
}

impl Packed {
    /// Packs `source`, `[depth][stride]`, of which the first `cols` columns are meant.
    pub(super) fn pack_rows(&mut self, source: &[f32], stride: usize, depth: usize, cols: usize) {
        let source = |k: usize, panel: &mut [f32], from: Range<usize>| {
            let (own, rest) = panel.split_at_mut(from.len());
            own.copy_from_slice(&source[k * stride..][from]);
            rest.fill(0.0);
        };
        self.pack(depth, cols, source);
    }

    /// Packs the transpose of `source`, `[cols][stride]`, of which the first `depth` columns are meant.
    pub(super) fn pack_columns(&mut self, source: &[f32], stride: usize, depth: usize, cols: usize) {
        let source = |k: usize, panel: &mut [f32], from: Range<usize>| {
            let (own, rest) = panel.split_at_mut(from.len());
            let mut at = from.start * stride + k;
            for value in own {
                *value = source[at];
                at += stride;
            }
            rest.fill(0.0);
        };
        self.pack(depth, cols, source);
    }

    fn pack(&mut self, depth: usize, cols: usize, fill: impl Fn(usize, &mut [f32], Range<usize>)) {
        let lanes = arch().dispatch(Lanes);
        let len = cols.div_ceil(lanes) * lanes * depth;
        if self.data.len() != len {
            self.data = Buffer::zeros(len);
        }
        (self.depth, self.cols) = (depth, cols);
        for (first, vectors) in panels(cols.div_ceil(lanes)) {
            let from = first * lanes..cols.min((first + vectors) * lanes);
            let panel = &mut self.data[first * lanes * depth..][..vectors * lanes * depth];
            for (k, row) in panel.chunks_exact_mut(vectors * lanes).enumerate() {
                fill(k, row, from.clone());
            }
        }
    }
}

/// Elements of a vector.
struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// First vector and number of vectors of each panel; a rest of four makes two twos, of which each keeps the
/// multipliers busy where a one does not.
pub(super) fn panels(vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let count = match vectors - first {
            0 => return None,
            4 => 2,
            rest => rest.min(VECTORS),
        };
        first += count;
        Some((first - count, count))
    })
}
