//! A fully connected layer in integers, with one factor per row.

use super::{Requantize, Weights};

/// `y = clamp(requantize(W x + bias) + zero point)`, per output.
#[derive(Clone, Copy, Debug)]
pub struct FullyConnected<'a> {
    /// `[outputs, inputs]`.
    pub weights: Weights<'a>,
    /// `[outputs]`: the bias, less the input's zero point times the row's sum of weights.
    pub bias: &'a [i32],
    /// `[outputs]` multipliers, see [`Requantize`].
    pub multipliers: &'a [i32],
    /// `[outputs]` shifts, see [`Requantize`].
    pub shifts: &'a [i32],
    /// The output's zero point.
    pub zero_point: i8,
    /// Least and largest output: the fused activation, or −128 and 127.
    pub range: [i8; 2],
}

impl FullyConnected<'_> {
    /// One vector. `sums` is scratch of at least `outputs` elements.
    ///
    /// # Panics
    /// If a length is not what the weights ask for.
    #[inline(always)]
    pub fn apply(&self, x: &[i8], sums: &mut [i32], out: &mut [i8]) {
        let rows = self.weights.rows();
        self.weights.multiply(x, self.bias, sums);
        let (multipliers, shifts) = (&self.multipliers[..rows], &self.shifts[..rows]);
        let [least, most] = self.range.map(i32::from);
        for (row, out) in out[..rows].iter_mut().enumerate() {
            let value = Requantize::new(multipliers[row], shifts[row]).apply(sums[row]);
            // `max` then `min`: a range that is empty in a damaged file is no panic.
            *out = value.saturating_add(i32::from(self.zero_point)).max(least).min(most) as i8;
        }
    }
}
