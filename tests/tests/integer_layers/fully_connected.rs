//! Fully connected layers with one factor per row, against straight i64.

use crate::made_up::{bytes, fold, pack};
use crate::reference::{Seen, requantize};
use whit::integer::{FullyConnected, Weights};
use whit::sampler::Random;

#[test]
fn factors_of_rows_and_tails_agree() {
    let mut random = Random::new(31);
    for (rows, cols) in [(1, 1), (5, 3), (16, 4), (17, 33), (10, 560)] {
        let weights = bytes(&mut random, rows * cols);
        let bias: Vec<i32> = (0..rows).map(|_| random.next_u32() as i32 >> 12).collect();
        let factors: Vec<(i32, i32)> =
            (0..rows).map(|row| ((1 << 30) + (random.next_u32() >> 2) as i32, -(row as i32 % 14))).collect();
        let (zero_point, input_zero_point, range) = (-7, 31, [-100, 90]);
        let packed = pack(&weights, cols);
        let layer = FullyConnected {
            weights: Weights::new(rows, cols, &packed).expect("fits"),
            bias: &fold(&bias, &weights, cols, input_zero_point),
            multipliers: &factors.iter().map(|factor| factor.0).collect::<Vec<_>>(),
            shifts: &factors.iter().map(|factor| factor.1).collect::<Vec<_>>(),
            zero_point,
            range,
        };
        let x = bytes(&mut random, cols);
        let (mut sums, mut out) = (vec![0; rows], vec![0; rows]);
        layer.apply(&x, &mut sums, &mut out);
        for row in 0..rows {
            let weights = &weights[row * cols..][..cols];
            let products = weights
                .iter()
                .zip(&x)
                .map(|(&w, &x)| i64::from(w) * (i64::from(x) - i64::from(input_zero_point)));
            let sum = products.sum::<i64>() + i64::from(bias[row]);
            let value = requantize(sum, factors[row], &mut Seen::default()) + i64::from(zero_point);
            let expected = value.clamp(i64::from(range[0]), i64::from(range[1]));
            assert_eq!(i64::from(out[row]), expected, "row {row} of {rows} × {cols}");
        }
    }
}
