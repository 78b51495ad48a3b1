//! stories260K through the llama2.c importer and the exporter, read back by the runtime.

use whit::format::{Encoding, File, Role};
use whit::quant::row_to_f32;
use whit_converter::checkpoint::Checkpoint;
use whit_tests::imported::{encoded, file, stories260k};

/// The file that `checkpoint` becomes, all matrices encoded alike, handed to `read`.
fn exported<R>(checkpoint: &Checkpoint<'_>, encoding: Encoding, read: impl FnOnce(&File<'_>) -> R) -> R {
    let bytes = file(checkpoint, &encoded(encoding, Some(encoding)));
    read(&File::parse(&bytes).expect("parses"))
}

/// Calls `each` with every row of every weight matrix, before and after.
fn matrix_rows(checkpoint: &Checkpoint<'_>, file: &File<'_>, mut each: impl FnMut(&str, &[f32], &[f32])) {
    for tensor in checkpoint.tensors.iter().filter(|tensor| tensor.role.is_matrix()) {
        let matrix =
            file.tensors.matrix(tensor.role, usize::from(tensor.layer)).expect("the tensor is there");
        let cols = tensor.rows.cols();
        let (mut before, mut after) = (vec![0.0; cols], vec![0.0; cols]);
        for row in 0..tensor.rows.rows() {
            tensor.rows.read(row, &mut before);
            row_to_f32(&matrix, row, &mut after);
            each(&tensor.source, &before, &after);
        }
    }
}

fn absmax(weights: &[f32]) -> f32 {
    weights.iter().fold(0.0, |most, weight| weight.abs().max(most))
}

fn squared_error(before: &[f32], after: &[f32]) -> f64 {
    before.iter().zip(after).map(|(b, a)| f64::from(b - a).powi(2)).sum()
}

#[test]
fn the_header_says_what_the_model_is() {
    let Some(checkpoint) = stories260k() else { return };
    let model = *checkpoint.architecture.transformer().expect("one");
    assert_eq!((model.vocabulary, model.width, model.layers, model.hidden), (512, 64, 5, 172));
    assert_eq!((model.heads, model.kv_heads, model.head_width, model.context), (8, 4, 8, 512));
    assert!(model.tied && model.gated);
}

#[test]
fn f32_comes_back_exactly() {
    let Some(checkpoint) = stories260k() else { return };
    exported(&checkpoint, Encoding::F32, |file| {
        matrix_rows(&checkpoint, file, |source, before, after| assert_eq!(before, after, "{source}"));
        for tensor in checkpoint.tensors.iter().filter(|tensor| !tensor.role.is_matrix()) {
            let mut before = vec![0.0; tensor.rows.cols()];
            tensor.rows.read(0, &mut before);
            assert_eq!(
                file.tensors.vector(tensor.role, usize::from(tensor.layer)),
                before,
                "{}",
                tensor.source
            );
        }
        assert_eq!(file.tensors.vector(Role::RotaryFrequencies, 0), [1.0, 0.1, 0.01, 0.001]);
    });
}

#[test]
fn f16_and_int8_come_back_within_half_a_step() {
    let Some(checkpoint) = stories260k() else { return };
    // A half has 11 bits; below 2⁻¹⁴ its steps are 2⁻²⁴. A part in 2²⁰ for the arithmetic around an int8.
    let f16 = |_: &[f32], weight: f32| (weight.abs() / 2048.0).max(2f32.powi(-25));
    let int8 = |row: &[f32], weight: f32| absmax(row) / 254.0 + weight.abs() / 1_048_576.0;
    let check = |encoding, bound: &dyn Fn(&[f32], f32) -> f32| {
        exported(&checkpoint, encoding, |file| {
            matrix_rows(&checkpoint, file, |source, before, after| {
                for (&b, &a) in before.iter().zip(after) {
                    assert!((b - a).abs() <= bound(before, b), "{source}: {b} became {a}");
                }
            });
        });
    };
    check(Encoding::F16, &f16);
    check(Encoding::I8, &int8);
}

#[test]
fn int4_groups_of_32_beat_the_largest_weight_rule_by_a_twentieth() {
    let Some(checkpoint) = stories260k() else { return };
    let (mut ours, mut theirs) = (0.0, 0.0);
    exported(&checkpoint, Encoding::I4 { group: 32 }, |file| {
        matrix_rows(&checkpoint, file, |_, before, after| {
            ours += squared_error(before, after);
            theirs += squared_error(before, &q4_0(before));
        });
    });
    let ratio = (ours / theirs).sqrt();
    println!("rms error / that of Q4_0: {ratio:.4}");
    assert!(ratio < 0.95, "{ratio}");
}

/// What ggml's Q4_0 gives: the largest weight of 32 divided by −8 as an f16 step, 16 levels. A group at the end of a
/// row may be shorter here, as in `.whit` files.
fn q4_0(weights: &[f32]) -> Vec<f32> {
    let mut back = Vec::new();
    for weights in weights.chunks(32) {
        let largest = weights.iter().fold(0.0f32, |m, w| if w.abs() > m.abs() { *w } else { m });
        let step = largest / -8.0;
        let stored = half::f16::from_f32(step).to_f32();
        back.extend(weights.iter().map(|w| ((w / step + 8.5).floor().clamp(0.0, 15.0) - 8.0) * stored));
    }
    back
}
