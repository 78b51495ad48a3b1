//! Every choice of the model description computes what an independent f64 implementation computes.

use whit::format::Description;
use whit::{AlignedBytes, CacheKind, Model, SessionOptions, Token};
use whit_tests::oracle;
use whit_tests::synthetic::{Random, architectures, awkward, encodings, model, wide_encodings};

const SEED: u64 = 4;

/// Root mean square of the logits' differences from the oracle's over some tokens, relative to that of the logits.
fn deviation(bytes: &[u8], cache: CacheKind, count: usize) -> f64 {
    let model = Model::parse(bytes).expect("the writer's files parse");
    let description = model.architecture().transformer().expect("one");
    let mut random = Random(SEED);
    let ids: Vec<u32> = (0..count).map(|_| random.below(description.vocabulary as usize) as u32).collect();
    let expected = oracle::logits(description, &model.file().tensors, &ids);

    let options = SessionOptions { cache, batch: 16, ..model.options(count) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("fits");
    let tokens: Vec<Token> = ids.into_iter().map(Token).collect();
    let (mut difference, mut size) = (0.0, 0.0);
    session
        .feed_each(&tokens, |i, logits| {
            for (got, want) in logits.iter().zip(&expected[i]) {
                difference += (f64::from(*got) - want).powi(2);
                size += want * want;
            }
        })
        .expect("fits");
    (difference / size).sqrt()
}

#[test]
fn float_weights_and_cache_agree_to_float_precision() {
    for (name, description) in architectures() {
        for (encoding, encodings) in encodings().into_iter().take(2) {
            let off = deviation(&model(description, encodings, SEED), CacheKind::F32, 50);

            assert!(off < 1e-6, "{name}, {encoding}: off by {off:e}");
        }
    }
}

/// The oracle computes with the quantized weights in f64, so what is left is the rounding of activations to int8:
/// each of the nine vectors on the way adds a relative error of about absmax / rms / (127 · √12) ≈ 0.6 %.
#[test]
fn quantized_models_differ_only_by_the_rounding_of_activations() {
    for (name, description) in architectures() {
        for (encoding, encodings) in encodings().into_iter().skip(2) {
            let off = deviation(&model(description, encodings, SEED), CacheKind::F32, 50);

            assert!(off < 0.025, "{name}, {encoding}: off by {off}");
        }
    }
}

/// The same with steps 256 times as fine.
#[test]
fn activations_of_16_bits_leave_a_256th_of_that() {
    for (name, description) in architectures() {
        for (encoding, encodings) in wide_encodings().into_iter().take(2) {
            let off = deviation(&model(description, encodings, SEED), CacheKind::F32, 50);

            assert!(off < 0.025 / 256.0, "{name}, {encoding}: off by {off:e}");
        }
    }
}

#[test]
fn an_int8_cache_adds_only_the_rounding_of_keys_and_values() {
    for (name, description) in architectures() {
        let bytes = model(description, encodings()[0].1, SEED);
        let off = deviation(&bytes, CacheKind::I8, 50);

        assert!(off < 0.01, "{name}: off by {off}");
        assert!(off > 0.0, "{name}: the cache was not used");
    }
}

/// Attention takes positions in spans of 256: 600 are two and a part of a third, and the windows end within a span,
/// beyond one, and not at all.
#[test]
fn attention_over_several_spans_is_the_oracle_s() {
    for window in [20, 300, 0] {
        let description = Description { context: 600, layers: 1, window, ..awkward() };
        let bytes = model(description, encodings()[0].1, SEED);
        let [float, int8] = [CacheKind::F32, CacheKind::I8].map(|cache| deviation(&bytes, cache, 600));

        assert!(float < 1e-6, "window {window}: off by {float:e}");
        assert!(int8 > 0.0 && int8 < 0.01, "window {window}, int8 cache: off by {int8}");
    }
}
