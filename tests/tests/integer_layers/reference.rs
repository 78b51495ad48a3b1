//! The integer LSTM once more, from its published formulas: i64, no packing, zero points subtracted where they stand.
//!
//! Shares nothing with the runtime but the parameters' meaning. It counts what tests want to have happened.

/// `multiplier · 2^(shift − 31)`.
pub(crate) type Factor = (i32, i32);

/// A layer as CMSIS-NN's vectors and TensorFlow Lite's graphs state it. Gates: input, forget, cell, output.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) inputs: usize,
    pub(crate) hidden: usize,
    /// `[hidden][inputs]` of each gate.
    pub(crate) input_weights: [Vec<i8>; 4],
    /// `[hidden][hidden]` of each gate.
    pub(crate) hidden_weights: [Vec<i8>; 4],
    pub(crate) bias: [Vec<i32>; 4],
    pub(crate) input_zero_point: i32,
    pub(crate) zero_point: i32,
    /// Of the product with the input and of the one with the hidden state.
    pub(crate) factors: [[Factor; 2]; 4],
    pub(crate) forget_to_cell: Factor,
    pub(crate) input_to_cell: Factor,
    pub(crate) output: Factor,
    pub(crate) cell_power: i32,
    /// 0 for none.
    pub(crate) cell_clip: i16,
}

/// What happened during some steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Gates that reached the least and the largest i16.
    pub(crate) saturated: [usize; 2],
    /// Cells that the clip changed, below and above.
    pub(crate) clipped: [usize; 2],
    /// Roundings of a positive and of a negative number in the middle between two integers.
    pub(crate) ties: [usize; 2],
    /// Intervals of the table that sigmoid read, for negative and for positive inputs; the last is beyond its end.
    pub(crate) sigmoid: [std::collections::BTreeSet<i64>; 2],
    /// The same for tanh.
    pub(crate) tanh: [std::collections::BTreeSet<i64>; 2],
}

/// What a stream remembers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) hidden: Vec<i8>,
    pub(crate) cell: Vec<i16>,
}

impl Layer {
    pub(crate) fn start(&self) -> State {
        State { hidden: vec![self.zero_point as i8; self.hidden], cell: vec![0; self.hidden] }
    }

    /// One step of one stream.
    pub(crate) fn step(&self, state: &mut State, x: &[i8], seen: &mut Seen) {
        let old = state.hidden.clone();
        for unit in 0..self.hidden {
            let gate = |gate: usize, seen: &mut Seen| self.gate(gate, unit, x, &old, seen);
            let [input, forget, cell, output] = [0, 1, 2, 3].map(|g| gate(g, seen));
            let (input, forget) = (sigmoid(input, seen), sigmoid(forget, seen));
            let (candidate, output) = (tanh(cell, 0, seen), sigmoid(output, seen));
            let kept = clamp16(requantize(forget * i64::from(state.cell[unit]), self.forget_to_cell, seen));
            let sum = clamp16(kept + requantize(input * candidate, self.input_to_cell, seen));
            let clip = if self.cell_clip == 0 { 32_768 } else { i64::from(self.cell_clip) };
            let clipped = sum.clamp(-clip, clip);
            seen.clipped[0] += usize::from(clipped > sum);
            seen.clipped[1] += usize::from(clipped < sum);
            state.cell[unit] = clipped as i16;
            let emitted = output * tanh(clipped, self.cell_power + 12, seen);
            let value = requantize(emitted, self.output, seen) + i64::from(self.zero_point);
            state.hidden[unit] = value.clamp(-128, 127) as i8;
        }
    }

    fn gate(&self, gate: usize, unit: usize, x: &[i8], hidden: &[i8], seen: &mut Seen) -> i64 {
        let row = |weights: &[i8], x: &[i8], zero_point: i32| -> i64 {
            let weights = &weights[unit * x.len()..][..x.len()];
            weights.iter().zip(x).map(|(&w, &x)| i64::from(w) * (i64::from(x) - i64::from(zero_point))).sum()
        };
        let input =
            row(&self.input_weights[gate], x, self.input_zero_point) + i64::from(self.bias[gate][unit]);
        let hidden = row(&self.hidden_weights[gate], hidden, self.zero_point);
        let [of_input, of_hidden] = self.factors[gate];
        let sum = clamp16(requantize(input, of_input, seen)) + requantize(hidden, of_hidden, seen);
        seen.saturated[0] += usize::from(sum < -32_768);
        seen.saturated[1] += usize::from(sum > 32_767);
        clamp16(sum)
    }
}

fn clamp16(value: i64) -> i64 {
    value.clamp(-32_768, 32_767)
}

/// gemmlowp's: shift left, multiply with rounding (ties up), shift right with rounding (ties away from zero).
pub(crate) fn requantize(value: i64, (multiplier, shift): Factor, seen: &mut Seen) -> i64 {
    let shifted = value << shift.max(0);
    let product = shifted * i64::from(multiplier);
    let high = (product + (1 << 30)).div_euclid(1 << 31);
    if shift >= 0 {
        return high;
    }
    let half = 1i64 << (-shift - 1);
    if high.rem_euclid(2 * half) == half {
        seen.ties[usize::from(high < 0)] += 1;
    }
    high.signum() * ((high.abs() + half) / (2 * half))
}

/// The published table: sigmoid(i/24) in 16 bits, less half of what interpolation is off in the middle.
fn table(i: i64) -> i64 {
    let sigmoid = |i: i64| 65_536.0 / (1.0 + (-(i as f64) / 24.0).exp());
    if i == 255 {
        return 65_535;
    }
    (sigmoid(i) - (sigmoid(i + 1) - 2.0 * sigmoid(i) + sigmoid(i - 1)) / 16.0).round() as i64
}

/// Interpolated, times 2^`bits`; 2^16 less one from the table's last element on.
fn between(index: i64, bits: u32, past_the_end: i64, seen: &mut [std::collections::BTreeSet<i64>; 2]) -> i64 {
    let (at, part) = (index.abs() >> bits, index.abs() & ((1 << bits) - 1));
    seen[usize::from(index >= 0)].insert(at.min(255));
    if at >= 255 {
        return past_the_end;
    }
    (table(at) << bits) + part * (table(at + 1) - table(at))
}

fn sigmoid(x: i64, seen: &mut Seen) -> i64 {
    let index = 3 * x;
    let value = between(index, 9, 0x7fff << 10, &mut seen.sigmoid);
    let value = if index >= 0 { value + 512 } else { (1 << 25) - value + 511 };
    value >> 10
}

fn tanh(x: i64, shift: i32, seen: &mut Seen) -> i64 {
    let index = if shift < 0 { (3 * x + (1 << (-shift - 1))) >> -shift } else { (3 * x) << shift };
    let value = between(index, 8, 0xffff << 8, &mut seen.tanh);
    let value = if index >= 0 { value - (1 << 23) + 128 } else { (1 << 23) - value + 127 };
    value >> 8
}
