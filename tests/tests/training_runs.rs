//! What is measured in training is what runs: a trained model's loss by the trainer's evaluation, rounded as for the
//! device, and by the runtime from the exported file.

use serde_json::{Map, Value, json};
use std::path::Path;
use whit::format::Encoding;
use whit::{AlignedBytes, CacheKind, SessionOptions, Token};
use whit_converter::export::ExportOptions;
use whit_converter::import::huggingface;
use whit_converter::train::{
    Batch, Cell, Config, Evaluator, Model, Quantization, Recurrent, Settings, Sizes, Trainer, Transformer,
};
use whit_tests::imported::file;

const VOCABULARY: u32 = 19;
const TIME: usize = 40;

/// Enough that rounding costs something.
const STEPS: usize = 60;

const SIZES: Sizes = Sizes {
    vocabulary: VOCABULARY,
    width: 48,
    layers: 2,
    heads: 4,
    kv_heads: 4,
    hidden: 80,
    context: TIME as u32,
    tied: false,
};

/// Every kind of model, and its `config.json`.
fn models() -> [(Config, Value); 4] {
    let llama = Sizes { kv_heads: 2, tied: true, ..SIZES };
    let recurrent = |cell| {
        Config::Recurrent(Recurrent {
            cell,
            vocabulary: VOCABULARY,
            embedding: 24,
            width: 48,
            layers: 2,
            tied: false,
        })
    };
    let sizes = json!({ "vocab_size": VOCABULARY, "input_size": 24, "hidden_size": 48, "num_layers": 2 });
    let named = |name: &str| {
        let mut sizes = sizes.clone();
        sizes["model_type"] = name.into();
        sizes
    };
    [
        (
            Config::Transformer(Transformer::llama(llama)),
            json!({
                "architectures": ["LlamaForCausalLM"], "vocab_size": VOCABULARY, "hidden_size": 48,
                "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                "intermediate_size": 80, "max_position_embeddings": TIME, "rms_norm_eps": 1e-5,
                "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": true,
            }),
        ),
        (
            Config::Transformer(Transformer::gpt2(SIZES)),
            json!({
                "architectures": ["GPT2LMHeadModel"], "vocab_size": VOCABULARY, "n_embd": 48, "n_layer": 2,
                "n_head": 4, "n_inner": 80, "n_positions": TIME, "tie_word_embeddings": false,
            }),
        ),
        (recurrent(Cell::Lstm), named("lstm")),
        (recurrent(Cell::Gru), named("gru")),
    ]
}

/// A text with some order in it.
fn text() -> Vec<u32> {
    (0..4000u32).map(|i| (i * i / 7 + i % 5) % VOCABULARY).collect()
}

/// Some steps with `quantization` in the loop.
fn trained(config: &Config, quantization: Quantization) -> Model {
    let mut trainer =
        Trainer::new(Model::new(config, 6).expect("taken"), Settings { quantization, ..Settings::default() });
    let text = text();
    let mut state = trainer.model().state(8);
    for step in 0..STEPS {
        let [tokens, targets] = [step, step + 1].map(|at| &text[at * 30..][..8 * TIME]);
        trainer.step(&Batch { tokens, targets, time: TIME }, &mut state, 1e-2).expect("fits");
    }
    trainer.into_model()
}

/// A Hugging Face directory.
fn write(directory: &Path, model: &Model, config: &Value) {
    let (mut header, mut numbers) = (Map::new(), Vec::new());
    for tensor in model.tensors() {
        let start = numbers.len();
        numbers.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes()));
        let entry = json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, numbers.len()] });
        header.insert(tensor.name, entry);
    }
    let header = Value::from(header).to_string().into_bytes();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &numbers].concat();
    std::fs::write(directory.join("model.safetensors"), bytes).expect("written");
    std::fs::write(directory.join("config.json"), config.to_string()).expect("written");
}

/// The pieces of the text, each of `TIME` tokens and the one after, in which losses are measured: of one alone, the last bits of
/// a few inputs would be as large as what int4 costs.
fn pieces(text: &[u32]) -> impl Iterator<Item = &[u32]> {
    (0..8).map(|piece| &text[piece * TIME..=(piece + 1) * TIME])
}

/// The mean of −ln p over the pieces, each from an empty state, by the runtime.
fn nats_of_file(bytes: &[u8], text: &[u32]) -> f64 {
    let model = whit::Model::parse(bytes).expect("parses");
    let options = SessionOptions { batch: 16, ..model.options(TIME) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("fits");
    let mut sum = 0.0;
    for piece in pieces(text) {
        let tokens: Vec<Token> = piece[..TIME].iter().copied().map(Token).collect();
        let add = |i: usize, logits: &[f32]| {
            let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
            sum += total.ln() - f64::from(logits[piece[i + 1] as usize]);
        };
        session.reset();
        session.feed_each(&tokens, add).expect("fits");
    }
    sum / (8 * TIME) as f64
}

#[test]
fn the_runtime_has_the_loss_that_was_measured_in_training() {
    let text = text();
    for (config, json) in models() {
        for quantization in [Quantization::NONE, Quantization::INT8, Quantization::INT4] {
            let model = trained(&config, quantization);
            let directory = tempfile::tempdir().expect("a folder");
            write(directory.path(), &model, &json);
            let checkpoint = huggingface::import(directory.path(), |_| Ok(Vec::new())).expect("imported");
            let options = ExportOptions { weights: quantization.weights, ..ExportOptions::default() };
            let runs = nats_of_file(&file(&checkpoint, &options), &text);

            let measure = |quantization| {
                let mut evaluator = Evaluator::new(&model, quantization, 1);
                let nats = pieces(&text).map(|piece| {
                    let batch = Batch { tokens: &piece[..TIME], targets: &piece[1..], time: TIME };
                    evaluator.nats(&batch, &mut model.state(1)).expect("fits")
                });
                nats.sum::<f64>() / (8 * TIME) as f64
            };
            let (measured, plain) = (measure(quantization), measure(Quantization::NONE));
            println!("{:?}: runs {runs:.6}, measured {measured:.6}, in f32 {plain:.6}", quantization.weights);
            // In f32 sums have another order. A last bit of an input may be a whole step of int8, and the runtime rounds
            // attention weights to two digits, which this does not.
            let bound = if quantization == Quantization::NONE { 1e-5 } else { 1e-3 };
            assert!((runs - measured).abs() < bound, "{config:?}");
            // Of what int4 costs, that is a small part.
            let is_int4 = matches!(quantization.weights, Encoding::I4 { .. });
            assert!(!is_int4 || (plain - measured).abs() > 4.0 * (runs - measured).abs(), "{config:?}");
            assert_eq!(quantization.cache == CacheKind::I8, quantization != Quantization::NONE);
        }
    }
}
