//! The published worked examples that the runtime's own operations can be driven with.
//!
//! In other files: recurrent cells, `seeds_recurrent.rs`; the sampler's, `sampler_golden.rs`; the quantizers', `quant_golden.rs`; those of whole models and
//! tokenizers, `seeds_models.rs`; energy's, `energy_golden.rs`; merges that are learned, `merges_golden.rs`. Areas that have nothing to drive here, and why:
//! - `attention.additive`, `attention.linear_causal`, `position.sinusoidal`, `.wavelength`, `.shift`, `.alibi`,
//!   `.t5_bucket`, `activation.gate`, `moe.*`, `adapter.*`, `crf.*`, `head.*`, `linear.conv1d_pool`,
//!   `norm.batch_fold`, `decode.beam*`, `.contrastive*`, `.speculative`, `adaptive.*`: no such operation in the runtime;
//! - `attention.memory`, `.cost`, `.connections`, `roofline.*`, `size.ratio*`, `.sparse`, `.n_of_m`: arithmetic
//!   about models, not in them; `size.weights` counts scales of other widths than the file's;
//! - `quant.affine*`, `.fake_quant`, `.calibrate_percentile`, `.calibrate_running`, `.codebook*`, `.kmeans_1d`, `.qat_step`:
//!   the file knows symmetric scales only, and nothing is trained;
//! - `linear.perceptron*`, `.xor`: steps, which no model here has;
//! - `tokenizer.wordpiece*`, `.unigram`, `.longest_match`, `.whitespace`, `.contractions`, `.word_ids`,
//!   `.pre_tokenize`, `.vocab_choice`: kinds of tokenizer that the file does not have; `.round_trip` shows a fault;
//! - `lm.*`, `metric.*`, `loss.*`, `embedding.*`, `fairness.*`, `factor.*`, `prune.*`, `train.*`, `data.*`: measures and
//!   training, which are the converter's.

use serde_json::Value;
use whit::kernels::softmax::Softmax;
use whit::kernels::{Activation, Kernels, Pairing, Scalar, lanes};
use whit::math;
use whit::parallel::Columns;
use whit::quant::pack_block_i8;
use whit::tensor::{ActivationShape, ActivationsMut, LANES, MatrixF32, MatrixI8};
use whit_tests::examples::{assert_expected, assert_near, examples, list, matrix, number, vector};

/// Softmax as attention computes it, in one span.
fn softmax(scores: &[f32]) -> Vec<f32> {
    softmax_in_spans(scores, scores.len().max(1))
}

/// Softmax as attention computes it, `span` scores at a time.
fn softmax_in_spans(scores: &[f32], span: usize) -> Vec<f32> {
    let mut softmax = Softmax::EMPTY;
    let mut weights: Vec<f32> = vec![];
    for scores in scores.chunks(span) {
        let mut scores = scores.to_vec();
        softmax.extend(&mut scores);
        lanes::scale(&mut weights, softmax.correction);
        weights.extend(scores);
    }
    lanes::scale(&mut weights, 1.0 / softmax.sum);
    weights
}

/// A matrix of one row × a vector.
fn dot(row: &[f32], x: &[f32]) -> f32 {
    let mut out = [0.0; LANES];
    let matrix = MatrixF32::new(1, x.len(), row).expect("both have the same length");
    Scalar.matmul_f32(&matrix, x, x.len(), 0..1, &mut Columns::new(&mut out, 1, LANES));
    out[0]
}

/// Scores of `query` against all `keys`, by way of the cache's blocks of 16 positions.
fn scores(query: &[f32], keys: &[Vec<f32>], scale: f32) -> Vec<f32> {
    let blocks = keys.len().div_ceil(LANES);
    let mut packed = vec![0.0; blocks * query.len() * LANES];
    for (position, key) in keys.iter().enumerate() {
        for (d, &number) in key.iter().enumerate() {
            packed[(position / LANES * query.len() + d) * LANES + position % LANES] = number;
        }
    }
    let mut query = query.to_vec();
    lanes::scale(&mut query, scale);
    let mut out = vec![0.0; blocks * LANES];
    lanes::scores_f32(&query, &packed, &mut out);
    out.truncate(keys.len());
    out
}

/// softmax(scores) · values.
fn attend(scores: &[f32], values: &[Vec<f32>]) -> Vec<f32> {
    let (values, mut out) = (&values[..scores.len()], vec![0.0; values[0].len()]);
    let mut softmax = Softmax::EMPTY;
    lanes::attend_f32(&mut scores.to_vec(), &values.concat(), &mut softmax, &mut out);
    lanes::scale(&mut out, 1.0 / softmax.sum);
    out
}

/// The f32 product of `weights`, `[outputs][inputs]`, and `x`.
fn product(weights: &[Vec<f32>], x: &[f32]) -> Vec<f32> {
    let flat = weights.concat();
    let matrix = MatrixF32::new(weights.len(), x.len(), &flat).expect("whole rows");
    let blocks = weights.len().div_ceil(LANES);
    let mut out = vec![0.0; blocks * LANES];
    lanes::matmul_f32(&matrix, x, x.len(), 0..blocks, &mut Columns::new(&mut out, 1, blocks * LANES));
    out.truncate(weights.len());
    out
}

fn affine(weights: &Value, x: &[f32], bias: &Value) -> Vec<f32> {
    let mut out = product(&matrix(weights), x);
    lanes::add(&mut out, &vector(bias));
    out
}

#[test]
fn softmax_of_scores() {
    let Some(plain) = examples("softmax") else { return };
    for example in plain {
        assert_expected(&example, "probs", &softmax(&vector(&example["inputs"]["logits"])));
    }
    for example in examples("attention.online_softmax").expect("the data is there") {
        for span in 1..=3 {
            let probabilities = softmax_in_spans(&vector(&example["inputs"]["scores"]), span);
            assert_expected(&example, "probs", &probabilities);
        }
    }
}

#[test]
fn scores_and_weights_of_attention() {
    for area in ["attention.full", "attention.weights"] {
        let Some(examples) = examples(area) else { return };
        for example in examples {
            let (inputs, expected) = (&example["inputs"], &example["expected"]);
            let keys = matrix(&inputs["k"]);
            for (i, query) in matrix(&inputs["q"]).iter().enumerate() {
                let scores = scores(query, &keys, number(&inputs["scale"]) as f32);
                assert_near(&example, "weights", &softmax(&scores), &expected["weights"][i]);
                if !expected["scores"].is_null() {
                    assert_near(&example, "scores", &scores, &expected["scores"][i]);
                }
                if !inputs["v"].is_null() {
                    let out = attend(&scores, &matrix(&inputs["v"]));
                    assert_near(&example, "output", &out, &expected["output"][i]);
                }
            }
        }
    }
}

#[test]
fn attention_from_given_scores_causal_and_not() {
    let Some(examples) = examples("attention.from_scores") else { return };
    for example in examples {
        let inputs = &example["inputs"];
        let causal = inputs["causal"].as_bool().expect("a choice");
        for (i, mut scores) in matrix(&inputs["scores"]).into_iter().enumerate() {
            lanes::scale(&mut scores, number(&inputs["scale"]) as f32);
            // The runtime never computes the scores of later positions.
            scores.truncate(if causal { i + 1 } else { scores.len() });
            let out = attend(&scores, &matrix(&inputs["v"]));
            assert_near(&example, "output", &out, &example["expected"]["output"][i]);
        }
    }
}

#[test]
fn dot_products_and_luong_attention() {
    let Some(dots) = examples("attention.dot") else { return };
    for example in dots {
        let pairs = list(&example["inputs"]["pairs"]).iter();
        let dots: Vec<_> = pairs.map(|pair| dot(&vector(&pair[0]), &vector(&pair[1]))).collect();
        assert_expected(&example, "dots", &dots);
    }
    for area in ["attention.luong_dot", "attention.luong_general"] {
        for example in examples(area).expect("the data is there") {
            let inputs = &example["inputs"];
            let (state, annotations) = (vector(&inputs["state"]), matrix(&inputs["annotations"]));
            let keys = match &inputs["W"] {
                Value::Null => annotations.clone(),
                weights => annotations.iter().map(|h| product(&matrix(weights), h)).collect(),
            };
            let scores = scores(&state, &keys, 1.0);
            assert_expected(&example, "scores", &scores);
            assert_expected(&example, "weights", &softmax(&scores));
            assert_expected(&example, "context", &attend(&scores, &annotations));
        }
    }
}

#[test]
fn multi_head_attention_causal_crossing_and_neither() {
    let Some(examples) = examples("attention.multi_head") else { return };
    for example in examples {
        let inputs = &example["inputs"];
        let project = |name: &str, x: &[Vec<f32>]| -> Vec<Vec<f32>> {
            x.iter().map(|x| product(&matrix(&inputs[name]), x)).collect()
        };
        let x = matrix(&inputs["x"]);
        let memory = if inputs["memory"].is_null() { x.clone() } else { matrix(&inputs["memory"]) };
        let (queries, keys, values) = (project("wq", &x), project("wk", &memory), project("wv", &memory));
        let width = x[0].len() / number(&inputs["heads"]) as usize;
        let causal = inputs["causal"].as_bool().expect("a choice");
        let mut heads = vec![Vec::new(); x.len()];
        for at in (0..x[0].len()).step_by(width) {
            let part = |rows: &[Vec<f32>]| -> Vec<Vec<f32>> {
                rows.iter().map(|row| row[at..at + width].to_vec()).collect()
            };
            let (keys, values) = (part(&keys), part(&values));
            for (i, query) in part(&queries).iter().enumerate() {
                let seen = if causal { i + 1 } else { keys.len() };
                let scores = scores(query, &keys[..seen], 1.0 / (width as f32).sqrt());
                heads[i].extend(attend(&scores, &values));
            }
        }
        for (out, expected) in project("wo", &heads).iter().zip(list(&example["expected"]["output"])) {
            assert_near(&example, "output", out, expected);
        }
    }
}

/// Cosines and sines of `position` for the pairs of a head of `width`.
fn angles(width: usize, base: f64, position: f32) -> (Vec<f32>, Vec<f32>) {
    let frequency = |i: usize| base.powf(-2.0 * i as f64 / width as f64) as f32;
    (0..width / 2).map(|i| math::sin_cos(position * frequency(i))).map(|(sin, cos)| (cos, sin)).unzip()
}

fn rotated(x: &[f32], base: f64, position: f32, pairing: Pairing) -> Vec<f32> {
    let (mut x, (cos, sin)) = (x.to_vec(), angles(x.len(), base, position));
    lanes::rotate_head(&mut x, &cos, &sin, pairing);
    x
}

#[test]
fn rotary_positions_in_both_pairings() {
    let (Some(vectors), Some(scores)) = (examples("position.rope_vector"), examples("position.rope")) else {
        return;
    };
    for example in vectors {
        let inputs = &example["inputs"];
        let (x, base) = (vector(&inputs["x"]), number(&inputs["base"]));
        for (name, pairing) in [("interleaved", Pairing::Interleaved), ("half_split", Pairing::HalfSplit)] {
            let found = rotated(&x, base, number(&inputs["position"]) as f32, pairing);
            assert_expected(&example, name, &found);
        }
    }
    for example in scores {
        let inputs = &example["inputs"];
        let turn = |name: &str, position: &Value| {
            let (x, base) = (vector(&inputs[name]), number(&inputs["base"]));
            rotated(&x, base, number(position) as f32, Pairing::Interleaved)
        };
        let pairs = list(&inputs["positions"]).iter();
        let found: Vec<_> = pairs.map(|pair| dot(&turn("q", &pair[0]), &turn("k", &pair[1]))).collect();
        assert_expected(&example, "scores", &found);
        assert_expected(&example, "q_at_5", &turn("q", &Value::from(5)));
    }
}

#[test]
fn norms() {
    let (Some(layer), Some(rms)) = (examples("norm.layer"), examples("norm.rms")) else { return };
    for example in layer.into_iter().chain(rms) {
        let inputs = &example["inputs"];
        let (x, gamma) = (vector(&inputs["x"]), vector(&inputs["gamma"]));
        let (epsilon, mut out) = (number(&inputs["eps"]) as f32, vec![0.0; x.len()]);
        match &inputs["beta"] {
            Value::Null => lanes::rms_norm(&x, &gamma, epsilon, &mut out),
            beta => lanes::layer_norm(&x, &gamma, &vector(beta), epsilon, &mut out),
        }
        assert_expected(&example, "y", &out);
    }
}

#[test]
fn activations() {
    let Some(all) = examples("activation") else { return };
    let sigmoids = examples("activation.sigmoid").expect("the data is there");
    type Function = fn(f32) -> f32;
    let functions: [(&str, Function); 6] = [
        ("relu", math::relu),
        ("sigmoid", math::sigmoid),
        ("tanh", math::tanh),
        ("silu", math::silu),
        ("gelu_erf", math::gelu_erf),
        ("gelu_tanh", math::gelu_tanh),
    ];
    for (name, function) in functions {
        let found: Vec<_> = vector(&all[0]["inputs"]["x"]).into_iter().map(function).collect();
        assert_expected(&all[0], name, &found);
    }
    for example in sigmoids {
        let found: Vec<_> = vector(&example["inputs"]["x"]).into_iter().map(math::sigmoid).collect();
        assert_expected(&example, "y", &found);
    }
    for example in examples("activation.relu").expect("the data is there") {
        let [mut u, mut v] = ["u", "v"].map(|name| vector(&example["inputs"][name]));
        let mut sum = u.clone();
        lanes::add(&mut sum, &v);
        [&mut sum, &mut u, &mut v].into_iter().for_each(|x| lanes::activate(Activation::Relu, x));
        assert_expected(&example, "relu_of_sum", &sum);
        lanes::add(&mut u, &v);
        assert_expected(&example, "sum_of_relu", &u);
    }
}

#[test]
fn products_feed_forward_and_gate() {
    let Some(gemv) = examples("linear.gemv") else { return };
    for example in gemv {
        let inputs = &example["inputs"];
        assert_expected(&example, "y", &affine(&inputs["w"], &vector(&inputs["x"]), &inputs["b"]));
    }
    for example in examples("linear.ffn").expect("the data is there") {
        let inputs = &example["inputs"];
        let mut hidden = affine(&inputs["w1"], &vector(&inputs["x"]), &inputs["b1"]);
        lanes::activate(Activation::Relu, &mut hidden);
        assert_expected(&example, "hidden", &hidden);
        assert_expected(&example, "y", &affine(&inputs["w2"], &hidden, &inputs["b2"]));
    }
    for example in examples("linear.hadamard").expect("the data is there") {
        // All numbers are positive: the gate's ReLU leaves them.
        let [mut gate, up] = ["a", "b"].map(|name| vector(&example["inputs"][name]));
        lanes::activate_gated(Activation::Relu, &mut gate, &up);
        assert_expected(&example, "y", &gate);
    }
}

#[test]
fn an_integer_product_is_the_real_one_within_half_a_step_of_each_factor() {
    let Some(examples) = examples("quant.int_matvec") else { return };
    for example in examples {
        let inputs = &example["inputs"];
        let (weights, x) = (matrix(&inputs["w"]), vector(&inputs["x"]));
        let (rows, cols) = (weights.len(), x.len());
        let (mut scale, mut data) = ([0.0; LANES], vec![0; MatrixI8::data_len(rows, cols)]);
        pack_block_i8(&weights.concat(), cols, &mut scale, &mut data);
        let shape = ActivationShape { tokens: 1, cols };
        let (mut q, mut sums) = (vec![0; shape.data_len()], vec![0; shape.sums_len()]);
        let (mut totals, mut steps) = ([0], [0.0]);
        let mut quantized =
            ActivationsMut::new(shape, &mut q, &mut sums, &mut totals, &mut steps).expect("fits");
        lanes::quantize(&x, 0, &mut quantized);
        let mut out = [0.0; LANES];
        let packed = MatrixI8::new(rows, cols, &scale, &data).expect("fits");
        Scalar.matmul_i8(&packed, &quantized.as_activations(), 0..1, &mut Columns::new(&mut out, 1, LANES));
        lanes::add(&mut out, &vector(&inputs["bias"]));
        for ((row, found), expected) in weights.iter().zip(out).zip(list(&example["expected"]["real"])) {
            let (largest, most) = (row.iter().fold(0.0f32, |m, w| m.max(w.abs())), 1.6);
            let bound: f32 =
                row.iter().zip(&x).map(|(w, x)| w.abs() * most + x.abs() * largest).sum::<f32>() / 254.0;
            assert!(
                (f64::from(found) - number(expected)).abs() <= f64::from(bound * 1.01),
                "{found} {expected}"
            );
        }
    }
}
