//! The quantizers against the published examples: rounding, halves, symmetric int8 and int4, groups, clipping.
//!
//! Examples whose values are those of absmax / 7 bound int4 from above: the file's int4 searches its steps and must
//! not be worse.

use serde_json::Value;
use whit::quant::{pack_block_i4, pack_block_i8, pack_f16, round_clamped, row_to_f32};
use whit::tensor::{LANES, MAX_COLS_I8, Matrix, MatrixF16, MatrixI4, MatrixI8};
use whit_tests::examples::example;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(|number| number.as_f64().expect("a number")).collect()
}

fn floats(value: &Value) -> Vec<f32> {
    numbers(value).iter().map(|&number| number as f32).collect()
}

fn mean_squared_error(weights: &[f32], back: &[f32]) -> f64 {
    let sum: f64 = weights.iter().zip(back).map(|(w, b)| f64::from(w - b).powi(2)).sum();
    sum / weights.len() as f64
}

fn assert_near(id: &str, got: &[f32], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{id}");
    for (got, expected) in got.iter().zip(expected) {
        assert!(
            (f64::from(*got) - expected).abs() <= 1e-6 * expected.abs().max(1.0),
            "{id}: {got} {expected}"
        );
    }
}

/// Scales, integers and values of int8 rows of `cols`.
fn int8(rows: &[f32], cols: usize) -> (Vec<f32>, Vec<f64>, Vec<f32>) {
    let mut scale = [0.0; LANES];
    let mut data = vec![0; MatrixI8::data_len(LANES, cols)];
    pack_block_i8(rows, cols, &mut scale, &mut data);
    let n = rows.len() / cols;
    let matrix = Matrix::I8(MatrixI8::new(LANES, cols, &scale, &data).expect("the block fits"));
    let mut back = vec![0.0; rows.len()];
    for (row, back) in back.chunks_exact_mut(cols).enumerate() {
        row_to_f32(&matrix, row, back);
    }
    let q = |i: usize| f64::from(data[i % cols / 4 * 64 + i / cols * 4 + i % cols % 4]);
    (scale[..n].to_vec(), (0..rows.len()).map(q).collect(), back)
}

/// Values of int4 rows of `cols`, each row one group.
fn int4(rows: &[f32], cols: usize) -> Vec<f32> {
    let mut scale = [0.0; LANES];
    let mut data = vec![0; MatrixI4::data_len(LANES, cols)];
    pack_block_i4(rows, cols, 0, &mut scale, &mut [], &mut data);
    let matrix = Matrix::I4(MatrixI4::new(LANES, cols, 0, &scale, &[], &data).expect("the block fits"));
    let mut back = vec![0.0; rows.len()];
    for (row, back) in back.chunks_exact_mut(cols).enumerate() {
        row_to_f32(&matrix, row, back);
    }
    back
}

#[test]
fn rounding_is_half_to_even() {
    let Some(example) = example("rounding-1") else { return };
    let rounded: Vec<f64> =
        floats(&example["inputs"]["x"]).iter().map(|&x| f64::from(round_clamped(x, 127))).collect();
    assert_eq!(rounded, numbers(&example["expected"]["half_even"]));
}

#[test]
fn halves_round_to_nearest_even() {
    let Some(example) = example("f16-1") else { return };
    let x = floats(&example["inputs"]["x"]);
    let mut bits = vec![0; x.len()];
    pack_f16(&x, &mut bits);
    let matrix = Matrix::F16(MatrixF16::new(1, x.len(), &bits).expect("one row"));
    let mut back = vec![0.0; x.len()];
    row_to_f32(&matrix, 0, &mut back);
    assert_eq!(back, floats(&example["expected"]["rounded"]));
}

#[test]
fn int8_is_absmax_over_127() {
    let Some(example) = example("symmetric-1") else { return };
    let x = floats(&example["inputs"]["x"]);
    let (scale, q, back) = int8(&x, x.len());
    assert_near("symmetric-1", &scale, &[example["inputs"]["scale"].as_f64().expect("a scale")]);
    assert_eq!(q, numbers(&example["expected"]["q"]));
    assert_near("symmetric-1", &back, &numbers(&example["expected"]["dequantized"]));
}

#[test]
fn int8_rows_are_the_groups_of_an_example() {
    let Some(example) = example("group-3") else { return };
    let (scale, q, back) = int8(&floats(&example["inputs"]["w"]), 4);
    assert_near("group-3", &scale, &numbers(&example["expected"]["scales"]));
    assert_eq!(q, numbers(&example["expected"]["q"]));
    assert_near("group-3", &back, &numbers(&example["expected"]["dequantized"]));
}

#[test]
fn zeros_come_back_as_zeros() {
    let Some(example) = example("symmetric-3") else { return };
    let x = floats(&example["inputs"]["x"]);
    let expected = floats(&example["expected"]["dequantized"]);
    assert_eq!(int8(&x, x.len()).2, expected);
    assert_eq!(int4(&x, x.len()), expected);
}

#[test]
fn int4_is_never_worse_than_absmax_over_7() {
    for (id, weights, cols) in [("symmetric-2", "x", 9), ("group-1", "w", 4), ("group-2", "w", 8)] {
        let Some(example) = example(id) else { return };
        let weights = floats(&example["inputs"][weights]);
        let found = mean_squared_error(&weights, &int4(&weights, cols));
        let bound = example["expected"]["mse"].as_f64().expect("an error");
        assert!(found <= bound, "{id}: {found} instead of {bound}");
    }
}

#[test]
fn int4_clips_where_that_lowers_the_error() {
    let Some(example) = example("calibrate-3") else { return };
    let weights: Vec<f32> = (0..=100).map(|k| ((k as f32 - 50.0) / 50.0).powi(3)).collect();
    let found = mean_squared_error(&weights, &int4(&weights, 101));
    let bound = example["expected"]["mse"].as_f64().expect("an error");
    assert!(found <= bound, "{found} instead of {bound}");
}

#[test]
fn int8_rows_are_as_wide_as_i32_allows() {
    let Some(example) = example("int-accumulator-1") else { return };
    let products = numbers(&example["inputs"]["max_abs_product"]);
    let terms = numbers(&example["expected"]["max_terms_i32"]);
    let at = products.iter().position(|&product| product == 128.0 * 128.0).expect("int8 times int8");
    assert_eq!(MAX_COLS_I8 as f64, terms[at]);
}
