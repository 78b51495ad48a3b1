//! The pass in f32 against the runtime, and what calibration changes in a file.

use super::*;
use crate::checkpoint::{Checkpoint, Dense, Tensor};
use crate::export::{ExportOptions, export};
use crate::map::Map;
use std::ops::ControlFlow;
use whit::format::{Description, Encoding, NormKind, NormPlace, Positions, Role, Slots, WideInputs};
use whit::kernels::{Activation, Pairing};
use whit::{CacheKind, Model, SessionOptions, Token};

/// Rotary positions over a part of a head, a window, grouped heads, a gate; no size a multiple of anything.
fn rotary() -> Description {
    Description {
        vocabulary: 41,
        width: 24,
        layers: 3,
        heads: 6,
        kv_heads: 3,
        head_width: 6,
        hidden: 37,
        context: 20,
        window: 7,
        rotary_width: 4,
        norm: NormKind::Rms,
        norm_place: NormPlace::Before,
        positions: Positions::Rotary(Pairing::HalfSplit),
        activation: Activation::Silu,
        gated: true,
        tied: false,
        final_norm: false,
        norm_bias: false,
        qkv_bias: false,
        out_bias: false,
        up_bias: false,
        down_bias: false,
        head_bias: false,
        int8_cache: false,
        wide_inputs: WideInputs::NONE,
        epsilon: 1e-5,
        attention_scale: 0.4,
        embedding_scale: 1.5,
        logit_scale: 1.0,
    }
}

/// Learned positions, layer norms after the halves, biases, no gate.
fn learned() -> Description {
    Description {
        norm: NormKind::Layer,
        norm_place: NormPlace::After,
        positions: Positions::Learned,
        rotary_width: 0,
        window: 0,
        activation: Activation::GeluTanh,
        gated: false,
        norm_bias: true,
        qkv_bias: true,
        out_bias: true,
        up_bias: true,
        down_bias: true,
        embedding_scale: 1.0,
        ..rotary()
    }
}

/// Numbers of deviation about 1 / √columns, so that activations neither grow nor vanish; rotary frequencies falling.
fn checkpoint(description: Description) -> Checkpoint<'static> {
    let mut state = 7u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state as i32 as f32 / 2_147_483_648.0
    };
    let mut tensor = |(role, layer): (Role, u16)| {
        let (rows, cols) = description.shape(role);
        let spread = if role.is_matrix() { (3.0 / cols as f32).sqrt() } else { 1.0 };
        let weights = match role {
            Role::RotaryFrequencies => (0..cols).map(|i| 0.5f32.powi(i as i32)).collect(),
            _ => (0..rows * cols).map(|_| spread * next()).collect(),
        };
        Tensor { role, layer, source: role.name().into(), rows: Box::new(Dense { cols, weights }) }
    };
    let tensors = Slots::new(&description.into()).iter().map(&mut tensor).collect();
    let (tokenizer, stop_tokens, metadata) = (Vec::new(), Vec::new(), Vec::new());
    let architecture = description.into();
    Checkpoint { architecture, tensors, tokenizer, stop_tokens, metadata }
}

fn texts() -> Calibration {
    Calibration { texts: vec![(0..13).map(|i| i * 17 % 41).collect(), (0..9).map(|i| i * 5 % 41).collect()] }
}

/// The logits of the runtime for every token of `text`, from a file with `options`.
fn logits(checkpoint: &Checkpoint<'_>, options: &ExportOptions, text: &[u32]) -> Vec<f32> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.whit");
    export(checkpoint, options, &path, |_| ControlFlow::Continue(()))
        .expect("exported")
        .commit()
        .expect("kept");
    let map = Map::open(&path).expect("mapped");
    let model = Model::parse(&map).expect("parsed");
    let options = SessionOptions { logits: 32, batch: 32, cache: CacheKind::F32, ..model.options(20) };
    let mut arena = whit::AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("made");
    let mut all = Vec::new();
    let tokens: Vec<_> = text.iter().map(|&id| Token(id)).collect();
    session.feed_each(&tokens, |_, logits| all.extend_from_slice(logits)).expect("fits");
    all
}

fn f32_options() -> ExportOptions {
    ExportOptions { weights: Encoding::F32, ..ExportOptions::default() }
}

#[test]
fn the_pass_computes_what_the_runtime_computes() {
    for description in [rotary(), learned()] {
        let checkpoint = checkpoint(description);
        let calibration = texts();
        let mut pass = Forward::new(&checkpoint, description, &calibration);
        for (role, layer) in Slots::new(&description.into()).iter() {
            pass.feedback(role, layer, Encoding::F32);
        }
        let residual = pass.finish();
        let width = description.width as usize;
        let head = &checkpoint.tensors.last().expect("tensors").rows;
        let mut found = Vec::new();
        for x in residual.chunks_exact(width) {
            for row in 0..head.rows() {
                let mut weights = vec![0.0; width];
                head.read(row, &mut weights);
                found.push(weights.iter().zip(x).map(|(w, x)| w * x).sum::<f32>());
            }
        }
        let expected: Vec<f32> =
            calibration.texts.iter().flat_map(|text| logits(&checkpoint, &f32_options(), text)).collect();
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(0.0f32, |most, logit| most.max(logit.abs()));
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!((found - expected).abs() < 1e-4 * largest, "logit {at}: {found}, expected {expected}");
        }
    }
}

/// Mean squared difference of the logits from those at f32, with and without calibration.
fn drift(weights: Encoding) -> [f64; 2] {
    let checkpoint = checkpoint(Description { layers: 1, ..rotary() });
    let text: Vec<u32> = (0..20).map(|i| i * 29 % 41).collect();
    let long = Calibration {
        texts: (0..60).map(|n| (0..20).map(|i| (i * 7 + n * 11 + i * n) % 41).collect()).collect(),
    };
    let expected = logits(&checkpoint, &f32_options(), &text);
    [Some(long), None].map(|calibration| {
        let embedding = Some(Encoding::F32);
        let options = ExportOptions { weights, embedding, calibration, ..ExportOptions::default() };
        let found = logits(&checkpoint, &options, &text);
        let squares = found.iter().zip(&expected).map(|(a, b)| f64::from(a - b).powi(2));
        squares.sum::<f64>() / expected.len() as f64
    })
}

#[test]
fn calibrated_weights_change_the_logits_less() {
    for weights in [Encoding::I4 { group: 16 }, Encoding::I4 { group: 0 }] {
        let [calibrated, plain] = drift(weights);
        assert!(calibrated < 0.9 * plain, "{weights:?}: {calibrated} {plain}");
    }
}
