//! Products of f32 matrices: the right factor packed into panels, once for as many products as share it.
//!
//! Every element is one chain of fused multiply-adds over the depth, in order, added to what stands there at the end:
//! its bits depend neither on the machine, nor on how rows are shared out.

use super::packed::{Packed, VECTORS, panels};
use super::simd::arch;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Rows that are worked on before the next ones: so many pages of `left` and `out` are at hand.
const BLOCK: usize = 64;

/// Elements in a cache line.
const LINE: usize = 16;

/// The left factor of a product.
#[derive(Clone, Copy)]
pub(super) enum Left<'a> {
    /// Element `[i][k]` stands at `i * stride + k`.
    Rows(&'a [f32], usize),
    /// Element `[i][k]` stands at `k * stride + i`.
    Columns(&'a [f32], usize),
}

/// `out = left × right`, or `out += left × right`.
pub(super) struct Product<'a> {
    pub(super) left: Left<'a>,
    /// Rows of `left` and of `out`.
    pub(super) rows: usize,
    pub(super) right: &'a Packed,
    /// Which rows of `right`; the left factor has as many columns, counted from 0.
    pub(super) depth: Range<usize>,
    /// How many of the first columns of `right`.
    pub(super) cols: usize,
    /// `[rows][stride]`.
    pub(super) out: &'a mut [f32],
    pub(super) stride: usize,
    pub(super) add: bool,
}

impl<'a> Product<'a> {
    /// With all of `right`, over what stands in `out`.
    pub(super) fn new(
        left: Left<'a>,
        rows: usize,
        right: &'a Packed,
        out: &'a mut [f32],
        stride: usize,
    ) -> Self {
        Self { left, rows, right, depth: 0..right.depth, cols: right.cols, out, stride, add: false }
    }

    /// Adds to what stands in `out`.
    pub(super) fn adding(self) -> Self {
        Self { add: true, ..self }
    }

    /// Computes it.
    pub(super) fn run(self) {
        arch().dispatch(self);
    }

    #[inline(always)]
    fn panel<S: Simd, const V: usize>(&mut self, simd: S, first: usize) {
        let lanes = S::F32_LANES;
        let panel = &self.right.data[first * lanes * self.right.depth..][..V * lanes * self.right.depth];
        let right = &S::as_simd_f32s(panel).0.as_chunks::<V>().0[self.depth.clone()];
        let mut row = 0;
        // Eight rows of sums fit into 32 registers, four into 16.
        while S::REGISTER_COUNT >= 32 && row + 8 <= self.rows {
            self.tile::<S, 8, V>(simd, row, first, right);
            row += 8;
        }
        while row + 4 <= self.rows {
            self.tile::<S, 4, V>(simd, row, first, right);
            row += 4;
        }
        while row < self.rows {
            self.tile::<S, 1, V>(simd, row, first, right);
            row += 1;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        first: usize,
        right: &[[S::f32s; V]],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        match self.left {
            Left::Rows(data, stride) => {
                let rows: [&[f32]; R] = std::array::from_fn(
                    #[inline(always)]
                    |r| &data[(row + r) * stride..][..right.len()],
                );
                for (k, right) in right.iter().enumerate() {
                    for r in 0..R {
                        accumulate(simd, &mut sums[r], rows[r][k], right);
                    }
                }
            }
            Left::Columns(data, stride) => {
                for (k, right) in right.iter().enumerate() {
                    let left: &[f32; R] = data[k * stride + row..].first_chunk().expect("R rows are left");
                    for r in 0..R {
                        accumulate(simd, &mut sums[r], left[r], right);
                    }
                }
            }
        }
        let at = first * S::F32_LANES;
        for (r, sums) in sums.into_iter().enumerate() {
            let out = &mut self.out[(row + r) * self.stride..][..self.cols];
            store(simd, sums, &mut out[at..], self.add);
        }
    }
}

#[inline(always)]
fn accumulate<S: Simd, const V: usize>(simd: S, sums: &mut [S::f32s; V], left: f32, right: &[S::f32s; V]) {
    let left = simd.splat_f32s(left);
    for v in 0..V {
        sums[v] = simd.mul_add_f32s(left, right[v], sums[v]);
    }
}

/// Puts `sums` into as much of `out` as there is.
#[inline(always)]
fn store<S: Simd, const V: usize>(simd: S, sums: [S::f32s; V], out: &mut [f32], add: bool) {
    let (whole, rest) = S::as_mut_simd_f32s(out);
    for v in 0..V {
        if let Some(out) = whole.get_mut(v) {
            *out = if add { simd.add_f32s(*out, sums[v]) } else { sums[v] };
        } else if v == whole.len() && !rest.is_empty() {
            let sum = if add { simd.add_f32s(simd.partial_load_f32s(rest), sums[v]) } else { sums[v] };
            simd.partial_store_f32s(rest, sum);
        }
    }
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (mut lines, depth) = (Vec::new(), self.depth.clone());
        let (rows, out) = (self.rows, std::mem::take(&mut self.out));
        let block = match self.left {
            Left::Rows(..) => BLOCK,
            Left::Columns(..) => LINE,
        };
        for row in (0..rows).step_by(block) {
            let count = block.min(rows - row);
            let left = match self.left {
                Left::Rows(data, stride) => Left::Rows(&data[row * stride..], stride),
                Left::Columns(data, stride) => {
                    beside(&data[row..], stride, depth.len(), count, &mut lines);
                    Left::Columns(&lines, count)
                }
            };
            let out = &mut out[row * self.stride..];
            Product { left, rows: count, out, depth: depth.clone(), ..self }.panels(simd);
        }
    }
}

/// Puts `count` columns of `data`, `[depth][stride]`, side by side. As they stand, each step of the depth is a line of
/// its own, and for strides of 4 kB all lines fall on one set of the first-level cache: that took half of the time of
/// such products.
#[inline(always)]
fn beside(data: &[f32], stride: usize, depth: usize, count: usize, lines: &mut Vec<f32>) {
    lines.clear();
    lines.reserve(count * depth);
    for k in 0..depth {
        let source = &data[k * stride..];
        match source.first_chunk::<LINE>() {
            Some(line) if count == LINE => lines.extend_from_slice(line),
            _ => lines.extend_from_slice(&source[..count]),
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn panels<S: Simd>(mut self, simd: S) {
        for (first, vectors) in panels(self.right.cols.div_ceil(S::F32_LANES)) {
            if first * S::F32_LANES >= self.cols {
                break;
            }
            match vectors {
                1 => self.panel::<S, 1>(simd, first),
                2 => self.panel::<S, 2>(simd, first),
                _ => self.panel::<S, VECTORS>(simd, first),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, seed: u32) -> Vec<f32> {
        let mut random = whit::sampler::Random::new(u64::from(seed));
        (0..len).map(|_| random.next_f32() - 0.5).collect()
    }

    /// One chain of fused multiply-adds for each element.
    fn reference(a: &[f32], b: &[f32], [m, k, n]: [usize; 3], out: &mut [f32], add: bool) {
        for i in 0..m {
            for j in 0..n {
                let sum = (0..k).fold(0.0f32, |sum, l| a[i * k + l].mul_add(b[l * n + j], sum));
                out[i * n + j] = if add { out[i * n + j] + sum } else { sum };
            }
        }
    }

    fn transposed(x: &[f32], rows: usize, cols: usize) -> Vec<f32> {
        (0..rows * cols).map(|i| x[i % rows * cols + i / rows]).collect()
    }

    #[test]
    fn every_form_and_remainder_is_the_chain_in_order_bit_for_bit() {
        // Row tiles of 8, 4 and 1; one to five vectors of columns and parts of one.
        for [m, k, n] in
            [[1, 1, 1], [8, 5, 48], [13, 17, 33], [21, 32, 65], [4, 3, 16], [7, 2, 70], [9, 64, 97]]
        {
            let (a, b, before) = (numbers(m * k, 1), numbers(k * n, 2), numbers(m * n, 3));
            let (at, bt) = (transposed(&a, m, k), transposed(&b, k, n));
            for add in [false, true] {
                let mut expected = before.clone();
                reference(&a, &b, [m, k, n], &mut expected, add);
                for left in [Left::Rows(&a, k), Left::Columns(&at, m)] {
                    for by_rows in [false, true] {
                        let mut packed = Packed::default();
                        if by_rows {
                            packed.pack_rows(&b, n, k, n);
                        } else {
                            packed.pack_columns(&bt, k, k, n);
                        }
                        let mut out = before.clone();
                        Product { add, ..Product::new(left, m, &packed, &mut out, n) }.run();
                        assert_eq!(out, expected, "{m} × {k} × {n}");
                    }
                }
            }
        }
    }

    #[test]
    fn part_of_the_depth_and_of_the_columns_can_be_asked_for() {
        let [m, k, n] = [9, 20, 70];
        let (a, b) = (numbers(m * 7, 4), numbers(k * n, 5));
        let mut packed = Packed::default();
        packed.pack_rows(&b, n, k, n);
        let (mut expected, mut out) = (vec![0.0; m * n], vec![9.0; m * n]);
        reference(&a, &b[6 * n..], [m, 7, n], &mut expected, false);
        Product { depth: 6..13, cols: 50, ..Product::new(Left::Rows(&a, 7), m, &packed, &mut out, n) }.run();
        for (out, expected) in out.chunks(n).zip(expected.chunks(n)) {
            assert_eq!(out[..50], expected[..50]);
            assert!(out[50..].iter().all(|&untouched| untouched == 9.0));
        }
    }
}
