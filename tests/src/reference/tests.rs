//! The reference against numbers worked by hand and against a trained model's recorded logits.

use super::*;
use crate::checkpoints::{Dtype, Options, Shape, write, write_llama2c};
use crate::{data::data, npz};
use serde_json::json;

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }
}

#[test]
fn norms_give_the_values_worked_by_hand() {
    // Mean square of (3, 4) is 12.5.
    let root = 12.5_f64.sqrt();
    close(&llama::rms_norm(&[3.0, 4.0], &[1.0, 2.0], 0.0), &[3.0 / root, 8.0 / root]);
    // Mean 5, variance 4.
    close(&gpt2::layer_norm(&[3.0, 7.0], &[1.0, 2.0], &[0.5, 0.0], 0.0), &[-0.5, 2.0]);
}

#[test]
fn rotation_by_a_quarter_turn_swaps_the_halves() {
    let mut head = [1.0, 2.0, 3.0, 4.0];
    llama::rotate(&mut head, 1, &[std::f64::consts::FRAC_PI_2, 0.0]);
    close(&head, &[-3.0, 2.0, 1.0, 4.0]);
}

#[test]
fn rotary_scalings_keep_short_wavelengths_and_stretch_long_ones() {
    let plain = llama::frequencies(&json!({ "rope_theta": 16.0 }), 4);
    close(&plain, &[1.0, 0.25]);
    let linear = json!({ "rope_theta": 16.0, "rope_scaling": { "type": "linear", "factor": 2.0 } });
    close(&llama::frequencies(&linear, 4), &[0.5, 0.125]);
    // Wavelengths 6.3 and 25.1: below 40 / 4 kept, above 40 / 2 divided.
    let llama3 = json!({ "rope_theta": 16.0, "rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 2.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 40 } });
    close(&llama::frequencies(&llama3, 4), &[1.0, 0.25 / 8.0]);
}

#[test]
fn attention_with_equal_scores_averages_what_it_sees() {
    let attention = Attention { heads: 2, kv_heads: 1, head_width: 1, window: 2, scale: 1.0 };
    let queries = vec![vec![0.0, 0.0]; 3];
    let keys = vec![vec![1.0]; 3];
    let values = vec![vec![1.0], vec![3.0], vec![8.0]];
    let out = attention.apply(&queries, &keys, &values);
    assert_eq!(out, [[1.0, 1.0], [2.0, 2.0], [5.5, 5.5]]);
}

#[test]
fn activations_give_their_known_values() {
    for (name, at_one) in [
        ("silu", 0.731_058_578_630_004_9),
        ("gelu", 0.841_344_746_068_542_9),
        ("gelu_new", 0.841_191_990_608_276_8),
        ("relu", 1.0),
    ] {
        close(&[activate(name, 1.0), activate(name, 0.0)], &[at_one, 0.0]);
    }
}

#[test]
fn stories260k_written_as_hugging_face_has_the_recorded_logits() {
    let Some(bin) = data("llama2c/stories260K.bin") else { return };
    let Some(golden) = data("goldens/stories260K/greedy.npz") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    write_llama2c(&bin, directory.path()).expect("written");
    let tokens = npz::read(&golden, "token_ids").expect("token ids").values;
    let golden = npz::read(&golden, "logits").expect("logits").values;
    let tokens: Vec<u32> = tokens.iter().map(|&token| token as u32).collect();
    let logits = Reference::open(directory.path()).logits(&tokens);
    let largest = logits.iter().flatten().zip(&golden).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    // The recorded logits are f32 of a plain f32 program: largest logit about 20, 2^-24 relative per operation.
    assert!(largest < 1e-4, "logits differ by up to {largest}");
}

#[test]
fn a_gpt2_checkpoint_of_width_two_gives_finite_logits() {
    let Some(directory) = data("models/tiny_gpt2_lmbuddy") else { return };
    let logits = Reference::open(&directory).logits(&[20, 0, 7, 7]);
    assert_eq!((logits.len(), logits[0].len()), (4, 21));
    assert!(logits.iter().flatten().all(|logit| logit.is_finite()));
    assert_ne!(logits[2], logits[3], "the same token at another position must give other logits");
}

#[test]
fn storage_order_shards_and_prefixes_do_not_change_the_model() {
    let logits = |name: &str, options: &Options| {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path(), &Shape::named(name).expect("a known name"), options).expect("written");
        Reference::open(directory.path()).logits(&[3, 100, 0, 7])
    };
    for name in ["awkward-llama", "awkward-gpt2"] {
        let plain = logits(name, &Options::default());
        let other = Options { shards: 3, prefixed: false, conv1d: false, ..Options::default() };
        close(&plain.concat(), &logits(name, &other).concat());
        let spread = plain.concat().iter().fold(0.0_f64, |largest, logit| largest.max(logit.abs()));
        assert!((0.5..50.0).contains(&spread), "{name}: the largest logit is {spread}");
        assert_ne!(plain, logits(name, &Options { seed: 2, ..Options::default() }));
        assert_ne!(plain, logits(name, &Options { dtype: Dtype::Bf16, ..Options::default() }));
    }
}
