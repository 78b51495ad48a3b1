//! A matrix of int8 weights without scales, in the packing of all matrices, and its exact products.

use crate::tensor::{LANES, MAX_COLS_I8, MatrixI8};

/// Columns that one step holds.
const STEP: usize = 4;

/// int8 weights, packed `[rows / 16][cols / 4][16][4]`; padding is 0.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    rows: usize,
    cols: usize,
    data: &'a [i8],
}

impl<'a> Weights<'a> {
    /// A matrix over `data` ([`MatrixI8::data_len`]), or `None` if its length does not fit or a row sum might not fit
    /// i32 (more than 131,071 columns: 128 · 128 · 131,071 < 2³¹).
    pub fn new(rows: usize, cols: usize, data: &'a [i8]) -> Option<Self> {
        let fits = cols <= MAX_COLS_I8 && data.len() == MatrixI8::data_len(rows, cols);
        fits.then_some(Self { rows, cols, data })
    }

    /// Rows (outputs), without padding.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns (inputs), without padding.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// `out[row] = bias[row] + Σ w · x`, exact but for the bias, which wraps.
    ///
    /// A plain loop over the packing: entered through a backend it becomes that backend's vectors. The products of
    /// [`Kernels`](crate::kernels::Kernels) would not do: they end in f32, which is exact to 1,024 columns only and
    /// costs a soft-float multiplication per row where there is no FPU, and some take no −128 among the inputs, which
    /// here is an ordinary value.
    #[inline(always)]
    pub(super) fn multiply(&self, x: &[i8], bias: &[i32], out: &mut [i32]) {
        let (out, bias) = (&mut out[..self.rows], &bias[..self.rows]);
        let block = self.cols.div_ceil(STEP) * STEP * LANES;
        let (quads, rest) = x[..self.cols].as_chunks::<STEP>();
        let mut last = [0; STEP];
        last[..rest.len()].copy_from_slice(rest);
        let blocks = self.data.chunks_exact(block.max(1));
        for ((out, bias), data) in out.chunks_mut(LANES).zip(bias.chunks(LANES)).zip(blocks) {
            let mut sums = Sums::default();
            let (steps, _) = data.as_chunks();
            for (step, x) in steps.iter().zip(quads) {
                accumulate(step, x, &mut sums);
            }
            if let (Some(step), false) = (steps.last(), rest.is_empty()) {
                accumulate(step, &last, &mut sums);
            }
            for ((out, bias), sums) in out.iter_mut().zip(bias).zip(sums.as_flattened().as_chunks::<STEP>().0)
            {
                *out = sums.iter().fold(*bias, |sum, &part| sum.wrapping_add(part));
            }
        }
    }
}

/// The sums of a block, `[16][4]` in quarters of four rows: one for every byte of a step, so that a step is vector products and
/// sums without a look across lanes. One for every row was slower: 1.0 instead of 5.3 GMAC/s with SSE2, 6.5 instead of
/// 13.4 with AVX2, 8.8 instead of 15.6 with AVX-512 (512 × 128 on a Xeon that was not idle).
type Sums = [[i32; LANES]; STEP];

/// Adds the products of one step.
#[inline(always)]
fn accumulate(step: &[i8; LANES * STEP], x: &[i8; STEP], sums: &mut Sums) {
    let x: [i16; LANES] = core::array::from_fn(|k| i16::from(x[k % STEP]));
    for (sums, w) in sums.iter_mut().zip(step.as_chunks::<LANES>().0) {
        for k in 0..LANES {
            // −128 · −128 is 2¹⁴: products of i16.
            sums[k] += i32::from(i16::from(w[k]) * x[k]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::pack_digits_i8;
    use std::vec;
    use std::vec::Vec;

    fn pack(rows: &[i8], cols: usize) -> Vec<i8> {
        let mut data = vec![0; MatrixI8::data_len(rows.len() / cols, cols)];
        for (rows, out) in rows.chunks(LANES * cols).zip(data.chunks_mut(cols.div_ceil(4) * 64)) {
            pack_digits_i8(rows, cols, out);
        }
        data
    }

    #[test]
    fn products_are_those_of_plain_rows() {
        // One row and column, parts of a step and a block, whole ones, one more.
        for rows in [1, 2, 15, 16, 17, 33] {
            for cols in [1, 2, 3, 4, 5, 7, 8, 31, 64] {
                let weights: Vec<i8> = (0..rows * cols).map(|i| (i * 89 + 7) as u8 as i8).collect();
                let x: Vec<i8> = (0..cols).map(|i| (i * 57 + 128) as u8 as i8).collect();
                let bias: Vec<i32> = (0..rows).map(|i| i as i32 * 1000 - 500).collect();
                let packed = pack(&weights, cols);
                let mut out = vec![0; rows];
                Weights::new(rows, cols, &packed).expect("fits").multiply(&x, &bias, &mut out);
                for (row, &out) in out.iter().enumerate() {
                    let sum: i64 =
                        (0..cols).map(|k| i64::from(weights[row * cols + k]) * i64::from(x[k])).sum();
                    assert_eq!(i64::from(out), i64::from(bias[row]) + sum, "row {row} of {rows} × {cols}");
                }
            }
        }
    }

    #[test]
    fn the_widest_row_of_extremes_fits() {
        let data = vec![-128; MatrixI8::data_len(1, MAX_COLS_I8)];
        let weights = Weights::new(1, MAX_COLS_I8, &data).expect("fits");
        let mut out = [0];
        weights.multiply(&vec![-128; MAX_COLS_I8], &[0], &mut out);
        assert_eq!(out, [128 * 128 * 131_071]);
        assert!(Weights::new(1, MAX_COLS_I8 + 1, &data).is_none());
        assert!(Weights::new(2, 4, &data[..63]).is_none());
    }
}
