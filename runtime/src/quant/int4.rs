//! int4 rows: `S[row] · s[row, group] · q`, with the steps `d = S · s` searched for least squared error.
//!
//! A step may be negative: −8…7 reaches further on one side, and the search decides on which. Sums run in f32 in a
//! fixed order, so the same weights give the same bytes on every machine. Groups of 32 come out 6 % (rms) below
//! ggml's Q4_0, which divides the largest weight by −8; the test measures it.
//!
//! All of it is inlined into its caller: one that is compiled for wide vectors, as the trainer, which does this in every
//! step, gets the search in these.

use super::{LEAST_ABSMAX, absmax, block_rows, round_clamped};
use crate::kernels::lanes::fold;
use crate::tensor::{LANES, MAX_COLS_I4, MatrixI4};

/// Steps tried for a group: its largest weight divided by these and their opposites.
///
/// The whole numbers below 6 find a group that lies on a grid already; 5.5 to 9.5 serve short groups (steps of 0.05
/// there lower the error by less than another 0.03 %), larger ones long groups, whose largest weight is worth
/// clipping.
const REACHES: [f32; 26] = [
    1.0, 2.0, 3.0, 4.0, 5.0, 5.5, 5.75, 6.0, 6.25, 6.5, 6.75, 7.0, 7.25, 7.5, 7.75, 8.0, 8.25, 8.5, 8.75,
    9.0, 9.5, 10.0, 11.0, 12.0, 14.0, 18.0,
];

/// A row's largest weight is 1 to 2 units, so its largest step is about 1 / 18 at least and the step of the group
/// scale 1 about 1 / (18 · 127): weights far below half of that become 0 whatever the scale.
const NEGLIGIBLE: f32 = 1.0 / 1_048_576.0;

/// Most groups in a row: groups of 16.
const MAX_GROUPS: usize = MAX_COLS_I4.div_ceil(16);

/// Quantizes 1 to 16 rows of `cols` weights into one packed block, `[cols / 8][16][4]` bytes.
///
/// `group` is the width of a group, or 0 for the whole row; `group_scale` is `[groups][16]`, empty for 0. Missing
/// rows get scales of 0, missing rows and columns the weight 0. A group scale is 0 only where all of the group's
/// weights are zeros or negligible beside the row's: ±1 with the right `q` is never worse. Weights must be within
/// ±[`MOST_WEIGHT`](super::MOST_WEIGHT).
///
/// # Panics
/// If `rows` is not 1 to 16 whole rows, a row is wider than [`MAX_COLS_I4`], `group` not a width that the format
/// knows, or an output not as long as a block.
#[inline(always)]
pub fn pack_block_i4(
    rows: &[f32],
    cols: usize,
    group: usize,
    row_scale: &mut [f32; LANES],
    group_scale: &mut [i8],
    out: &mut [u8],
) {
    assert!(MatrixI4::is_group(group) && cols <= MAX_COLS_I4, "a group and a width of the format");
    assert_eq!(group_scale.len(), MatrixI4::group_scale_len(LANES, cols, group), "scales of one block");
    assert_eq!(out.len(), cols.div_ceil(8) * 64, "one block");
    row_scale.fill(0.0);
    group_scale.fill(0);
    out.fill(0x88);
    for (lane, row) in block_rows(rows, cols).enumerate() {
        let Some(row) = Row::new(row, group) else { continue };
        let mut scales = [0; MAX_GROUPS];
        let scales = &mut scales[..row.groups().len()];
        let step = row.fit(scales);
        row_scale[lane] = step / row.unit;
        for (g, (weights, &scale)) in row.groups().zip(scales.iter()).enumerate() {
            if group != 0 {
                group_scale[g * LANES + lane] = scale;
            }
            pack(weights, row.inverse(step, scale), lane, &mut out[g * row.group * 8..]);
        }
    }
}

/// Packs digits that were rounded elsewhere, −8…7, of 1 to 16 rows of `cols` columns, as [`pack_block_i4`] packs those
/// that it rounds itself.
///
/// # Panics
/// If `digits` is not 1 to 16 whole rows, or `out` not as long as a block.
pub fn pack_digits_i4(digits: &[i8], cols: usize, out: &mut [u8]) {
    assert_eq!(out.len(), cols.div_ceil(8) * 64, "one block");
    out.fill(0x88);
    for (lane, row) in block_rows(digits, cols).enumerate() {
        for (col, &digit) in row.iter().enumerate() {
            put(out, lane, col, (digit + 8) as u8);
        }
    }
}

/// Writes one row's share of the columns that `out` starts with.
#[inline(always)]
fn pack(weights: &[f32], inverse: f32, lane: usize, out: &mut [u8]) {
    for (col, &weight) in weights.iter().enumerate() {
        put(out, lane, col, (nearest(weight * inverse) + 8.0) as u8);
    }
}

/// Writes a stored digit, 0…15.
#[inline(always)]
fn put(out: &mut [u8], lane: usize, col: usize, stored: u8) {
    let byte = &mut out[col / 8 * 64 + lane * 4 + col % 4];
    *byte = if col % 8 < 4 { *byte & 0xf0 | stored } else { *byte & 0x0f | stored << 4 };
}

/// One row that is not all zeros, and the power of two that brings it near 1: sums of squares then stay finite.
struct Row<'a> {
    weights: &'a [f32],
    group: usize,
    whole: bool,
    unit: f32,
}

impl<'a> Row<'a> {
    #[inline(always)]
    fn new(weights: &'a [f32], group: usize) -> Option<Self> {
        let absmax = absmax(weights);
        let exponent = (absmax.to_bits() >> 23).min(253);
        let unit = f32::from_bits((254 - exponent) << 23);
        let width = if group == 0 { weights.len() } else { group };
        (absmax >= LEAST_ABSMAX).then_some(Self { weights, group: width, whole: group == 0, unit })
    }

    #[inline(always)]
    fn groups(&self) -> impl ExactSizeIterator<Item = &'a [f32]> {
        self.weights.chunks(self.group)
    }

    /// What a weight is multiplied with to count in steps of `step · scale`; 0 for a group of zeros.
    #[inline(always)]
    fn inverse(&self, step: f32, scale: i8) -> f32 {
        if scale == 0 { 0.0 } else { self.unit / (step * f32::from(scale)) }
    }

    /// Chooses the group scales and gives the row's step, in units.
    ///
    /// Fitting the row's step to the chosen scales and choosing again was tried: it lowers the error by 0.003 %.
    #[inline(always)]
    fn fit(&self, scales: &mut [i8]) -> f32 {
        let mut steps = [0.0; MAX_GROUPS];
        for (step, weights) in steps.iter_mut().zip(self.groups()) {
            *step = search(weights, self.unit);
        }
        if self.whole {
            scales[0] = 1;
            return steps[0];
        }
        let row_step = absmax(&steps) / 127.0;
        for ((scale, weights), step) in scales.iter_mut().zip(self.groups()).zip(steps) {
            *scale = self.nearest_scale(weights, row_step, step);
        }
        row_step
    }

    /// The best of the three scales around `step / row_step`.
    #[inline(always)]
    fn nearest_scale(&self, weights: &[f32], row_step: f32, step: f32) -> i8 {
        if step == 0.0 {
            return 0;
        }
        let middle = round_clamped(step / row_step, 127);
        let (mut best, mut most) = (0, f32::NEG_INFINITY);
        for scale in ((middle - 1).max(-127)..=(middle + 1).min(127)).filter(|&scale| scale != 0) {
            let step = row_step * scale as f32;
            let gain = Fit::new(weights, 1.0 / step, self.unit).gain(step);
            if gain > most {
                (best, most) = (scale as i8, gain);
            }
        }
        best
    }
}

/// The step of least squared error for one group, in units; 0 where all weights are [`NEGLIGIBLE`].
#[inline(always)]
fn search(weights: &[f32], unit: f32) -> f32 {
    let largest = weights.iter().fold(0.0f32, |m, w| if w.abs() > m.abs() { *w } else { m }) * unit;
    if largest.abs() < NEGLIGIBLE {
        return 0.0;
    }
    let mut best = Fit::default();
    for reach in REACHES {
        for reach in [-reach, reach] {
            best = best.better(Fit::new(weights, reach / largest, unit));
        }
    }
    for _ in 0..2 {
        best = best.better(Fit::new(weights, best.square / best.dot, unit));
    }
    best.dot / best.square
}

/// What rounding a group to a grid leaves: with the best step for these `q`, `dot / square`, the squared error is
/// Σ w² − dot² / square.
#[derive(Clone, Copy, Default)]
struct Fit {
    /// Σ w · q.
    dot: f32,
    /// Σ q².
    square: f32,
}

impl Fit {
    /// Rounds the weights, in units, to whole steps of 1 / `inverse`.
    #[inline(always)]
    fn new(weights: &[f32], inverse: f32, unit: f32) -> Self {
        let (mut dots, mut squares) = ([0.0; LANES], [0.0; LANES]);
        let (chunks, rest) = weights.as_chunks::<LANES>();
        let mut last = [0.0; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for chunk in chunks.iter().chain((!rest.is_empty()).then_some(&last)) {
            for l in 0..LANES {
                let weight = chunk[l] * unit;
                let q = nearest(weight * inverse);
                dots[l] += weight * q;
                squares[l] += q * q;
            }
        }
        Self { dot: fold(dots), square: fold(squares) }
    }

    /// How much of Σ w² the step `step` explains.
    #[inline(always)]
    fn gain(&self, step: f32) -> f32 {
        step * (2.0 * self.dot - step * self.square)
    }

    /// The one that explains more at its own best step; the first where they are equal.
    #[inline(always)]
    fn better(self, other: Self) -> Self {
        if other.dot * other.dot * self.square.max(1.0) > self.dot * self.dot * other.square.max(1.0) {
            other
        } else {
            self
        }
    }
}

/// `x` rounded half to even, within −8…7.
#[inline(always)]
fn nearest(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    let x = if x > 7.0 { 7.0 } else { x };
    let x = if x > -8.0 { x } else { -8.0 };
    (x + MAGIC) - MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::{MOST_WEIGHT, row_to_f32};
    use crate::tensor::Matrix;
    use std::vec;
    use std::vec::Vec;

    /// One packed block.
    struct Block {
        row_scale: [f32; LANES],
        group_scale: Vec<i8>,
        data: Vec<u8>,
    }

    impl Block {
        fn pack(rows: &[f32], cols: usize, group: usize) -> Self {
            let mut row_scale = [f32::NAN; LANES];
            let mut group_scale = vec![99; MatrixI4::group_scale_len(LANES, cols, group)];
            let mut data = vec![0x12; MatrixI4::data_len(LANES, cols)];
            pack_block_i4(rows, cols, group, &mut row_scale, &mut group_scale, &mut data);
            Self { row_scale, group_scale, data }
        }

        fn unpack(&self, cols: usize, group: usize) -> Vec<f32> {
            let matrix = MatrixI4::new(LANES, cols, group, &self.row_scale, &self.group_scale, &self.data);
            let matrix = Matrix::I4(matrix.expect("the block fits"));
            let mut back = vec![f32::NAN; LANES * cols];
            for (row, back) in back.chunks_exact_mut(cols).enumerate() {
                row_to_f32(&matrix, row, back);
            }
            back
        }
    }

    fn round_trip(rows: &[f32], cols: usize, group: usize) -> Vec<f32> {
        Block::pack(rows, cols, group).unpack(cols, group)
    }

    /// Sums of twelve uniform numbers: close to the normal distribution.
    fn gaussian(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut uniform = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 16_777_216.0
        };
        (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
    }

    fn squared_error(weights: &[f32], back: &[f32]) -> f64 {
        weights.iter().zip(back).map(|(w, b)| f64::from(w - b) * f64::from(w - b)).sum()
    }

    /// What ggml's Q4_0 gives: the largest weight divided by −8 as an f16 step, 16 levels.
    fn q4_0(weights: &[f32]) -> Vec<f32> {
        let mut back = Vec::new();
        for weights in weights.chunks(32) {
            let largest = weights.iter().fold(0.0f32, |m, w| if w.abs() > m.abs() { *w } else { m });
            let step = half::f16::from_f32(largest / -8.0).to_f32();
            let q = |w: &f32| (w / (largest / -8.0) + 8.5).floor().clamp(0.0, 15.0) - 8.0;
            back.extend(weights.iter().map(|w| q(w) * step));
        }
        back
    }

    #[test]
    fn groups_of_32_beat_the_largest_weight_rule_by_a_twentieth() {
        let cols = 512;
        let rows = gaussian(LANES * cols, 1);
        let ours = squared_error(&rows, &round_trip(&rows, cols, 32));
        let theirs = squared_error(&rows, &q4_0(&rows));
        let ratio = (ours / theirs).sqrt();
        std::println!("rms error / that of Q4_0: {ratio:.4}");
        assert!(ratio < 0.95, "{ratio}");
    }

    #[test]
    fn shorter_groups_lower_the_error() {
        let cols = 512;
        let rows = gaussian(LANES * cols, 2);
        let errors = [16, 32, 64, 128, 0].map(|group| squared_error(&rows, &round_trip(&rows, cols, group)));
        assert!(errors.is_sorted(), "{errors:?}");
    }

    #[test]
    fn every_weight_takes_the_nearest_point_of_its_grid() {
        // Parts of a group and of a step of 8; groups of 16 in odd numbers; one row and all.
        for (cols, group) in [(1, 16), (7, 0), (33, 32), (48, 16), (130, 64), (200, 128), (129, 0)] {
            for n in [1, 16] {
                let rows = gaussian(n * cols, 5);
                let block = Block::pack(&rows, cols, group);
                let back = block.unpack(cols, group);
                for (i, (&weight, &back)) in rows.iter().zip(&back).enumerate() {
                    let (lane, col) = (i / cols, i % cols);
                    let scale = match group {
                        0 => 1,
                        group => block.group_scale[col / group * LANES + lane],
                    };
                    let step = block.row_scale[lane] * f32::from(scale);
                    let best = (-8..=7).map(|q| (weight - q as f32 * step).abs()).fold(f32::MAX, f32::min);
                    // A tie may fall to either side: a part in 2²⁰ of the weight.
                    let bound = best + weight.abs() / 1_048_576.0;
                    assert!(
                        (weight - back).abs() <= bound,
                        "row {lane}, column {col} of {cols}, group {group}"
                    );
                }
            }
        }
    }

    #[test]
    fn points_on_the_grid_are_exact() {
        // Group scales of both signs, one of them ±127, on a row scale that is a power of two; the groups' largest
        // q is −8, 7, 5 and −1.
        let reach: [&[i32]; 4] = [&[-8, 7, 3, 0], &[7, -2, 1, 6], &[5, -3, 2, 2], &[-1, 0, 1, 1]];
        let mut row = Vec::new();
        for (scale, qs) in [127, -40, 11, -1].into_iter().zip(reach) {
            row.extend(qs.iter().cycle().take(16).map(|q| (scale * q) as f32 / 1024.0));
        }
        assert_eq!(round_trip(&row, 64, 16)[..64], row);
        let whole: Vec<f32> = (-8..=7).map(|q| q as f32 * -0.75).collect();
        assert_eq!(round_trip(&whole, 16, 0)[..16], whole);
    }

    #[test]
    fn digits_are_packed_as_those_that_are_rounded_here() {
        // Parts of a step of 8, and one group's step of exactly 1: the weights are their digits.
        for cols in [3, 9, 16] {
            let digits: Vec<i8> =
                (0..3 * cols).map(|i| if i % cols == 0 { -8 } else { (i * 5 % 16) as i8 - 8 }).collect();
            let rows: Vec<f32> = digits.iter().map(|&digit| f32::from(digit)).collect();
            let block = Block::pack(&rows, cols, 0);
            assert_eq!(block.row_scale[..3], [1.0; 3]);
            let mut packed = vec![0x12; MatrixI4::data_len(LANES, cols)];
            pack_digits_i4(&digits, cols, &mut packed);
            assert_eq!(packed, block.data, "{cols} columns");
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        for group in [0, 16] {
            let block = Block::pack(&[0.0; 40], 40, group);
            assert_eq!(block.row_scale, [0.0; LANES]);
            assert!(block.group_scale.iter().all(|&scale| scale == 0));
            assert!(block.data.iter().all(|&byte| byte == 0x88));
        }
        // A group of zeros, and one of weights that are negligible, beside a group of ones.
        let mut row = vec![0.0; 48];
        row[16..32].fill(1.0);
        row[32..].fill(1e-20);
        let block = Block::pack(&row, 48, 16);
        let scales: Vec<i8> = block.group_scale.iter().step_by(LANES).copied().collect();
        assert_eq!((scales[0], scales[1].abs(), scales[2]), (0, 127, 0));
        let back = block.unpack(48, 16);
        assert!(back[..16].iter().chain(&back[32..]).all(|&weight| weight == 0.0));
    }

    #[test]
    fn missing_rows_and_columns_are_zeros() {
        let block = Block::pack(&[1.0; 9], 9, 16);
        assert_eq!(block.row_scale[1..], [0.0; 15]);
        let zero_weights = |byte: &u8| usize::from(byte & 15 == 8) + usize::from(byte >> 4 == 8);
        assert_eq!(block.data.iter().map(zero_weights).sum::<usize>(), 2 * 128 - 9);
    }

    #[test]
    fn a_large_and_a_small_group_share_a_row() {
        // 1 : 1000 is more than the 127 group scales reach: the small group takes ±1 and keeps its sign.
        let mut row = gaussian(32, 9);
        for weight in &mut row[16..] {
            *weight /= 1000.0;
        }
        let back = round_trip(&row, 32, 16);
        let zeros = squared_error(&row[16..], &[0.0; 16]);
        assert!(squared_error(&row[16..], &back[16..32]) <= zeros);
    }

    #[test]
    fn the_largest_and_least_weights_stay_finite() {
        for row in
            [[MOST_WEIGHT, -MOST_WEIGHT, 1e30, 0.0], [1e-30, -2e-30, 0.0, 1e-31], [1e-40, 0.0, 0.0, -1e-45]]
        {
            for group in [0, 16] {
                let back = round_trip(&row, 4, group);
                let largest = row.iter().fold(0.0f32, |most, w| most.max(w.abs()));
                for (weight, back) in row.iter().zip(&back) {
                    assert!((weight - back).abs() <= (largest / 8.0).max(LEAST_ABSMAX), "{row:?} {back}");
                }
            }
        }
    }
}
