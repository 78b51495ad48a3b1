//! Recurrent checkpoints with PyTorch's names compute in f32 what PyTorch's documentation says, whatever their authors
//! called the parts around the layers.

use serde_json::json;
use std::path::Path;
use whit::format::Encoding;
use whit::{AlignedBytes, Model, SessionOptions, Token};
use whit_converter::checkpoint::Checkpoint;
use whit_converter::import;
use whit_tests::checkpoints::recurrent::Torch;
use whit_tests::imported::{encoded, file, largest_difference};

const IDS: [u32; 9] = [3, 1, 4, 1, 5, 9, 2, 6, 10];

/// Every kind, variant and name, once.
fn models() -> Vec<(&'static str, Torch)> {
    vec![
        ("lstm", Torch::new("lstm", |_| ())),
        ("gru", Torch::new("gru", |_| ())),
        ("rnn", Torch::new("rnn", |_| ())),
        ("lstm without biases", Torch::new("lstm", |torch| torch.bias = false)),
        ("gru without biases", Torch::new("gru", |torch| torch.bias = false)),
        ("projected lstm", Torch::new("lstm", |torch| torch.projection = 4)),
        ("tagger", Torch::new("lstm", |torch| (torch.both, torch.outputs) = (true, 3))),
        ("gru tagger", Torch::new("gru", |torch| (torch.both, torch.outputs) = (true, 3))),
        ("projected tagger", Torch::new("lstm", |t| (t.both, t.projection, t.outputs) = (true, 4, 3))),
        ("other names", Torch::new("gru", |torch| torch.names = ["encoder", "rnn", "decoder"])),
        ("the layers alone", Torch::new("lstm", |t| (t.vocabulary, t.outputs, t.names[1]) = (0, 0, ""))),
        ("frames", Torch::new("lstm", |torch| (torch.vocabulary, torch.outputs) = (0, 7))),
    ]
}

fn import(folder: &Path) -> Result<Checkpoint<'static>, import::ImportError> {
    import::open(folder, None)
}

/// What the file computes, and what PyTorch would.
fn both_outputs(bytes: &AlignedBytes, torch: &Torch) -> (Vec<f32>, Vec<f64>) {
    let model = Model::parse(bytes).expect("parses");
    let options = SessionOptions { batch: IDS.len(), ..model.options(1) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("fits");
    let mut found = Vec::new();
    let each = |_: usize, out: &[f32]| found.extend_from_slice(out);
    let inputs = if torch.vocabulary > 0 {
        session.feed_each(&IDS.map(Token), each).expect("they fit");
        torch.embedded(&IDS)
    } else {
        let frames: Vec<f32> = (0..IDS.len() * torch.input).map(|i| (i as f32 * 0.7).sin()).collect();
        session.feed_frames(&frames, each).expect("they fit");
        frames.chunks(torch.input).map(|frame| frame.iter().map(|&x| x.into()).collect()).collect()
    };
    (found, torch.outputs(&inputs).concat())
}

#[test]
fn every_kind_computes_what_pytorch_documents() {
    for (name, torch) in models() {
        let folder = tempfile::tempdir().expect("a folder");
        torch.write(folder.path(), &torch.config());
        let checkpoint = import(folder.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let bytes = file(&checkpoint, &encoded(Encoding::F32, None));
        let (found, expected) = both_outputs(&bytes, &torch);
        let off = largest_difference(&found, expected.into_iter());
        assert!(off < 2e-6, "{name}: off by {off:e}");
    }
}

#[test]
fn what_is_missing_or_left_over_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let fails = |torch: &Torch, config: serde_json::Value| -> String {
        torch.write(folder.path(), &config);
        import(folder.path()).map(|_| ()).expect_err("a problem").to_string()
    };
    let whole = Torch::new("lstm", |_| ());
    let without = |name: &str| {
        let mut torch = whole.clone();
        torch.tensors.remove(name).expect("it is there");
        torch
    };
    let missing = fails(&without("lstm.weight_hh_l1"), whole.config());
    assert!(missing.contains("`model.lstm.weight_hh_l1`") && missing.contains("[24, 6]"), "{missing}");
    let unbiased = fails(&whole, {
        let mut config = whole.config();
        config["bias"] = json!(false);
        config
    });
    assert!(unbiased.contains("`lstm.bias_hh_l0`"), "{unbiased}");
    for (field, value, expected) in [
        ("hidden_size", json!(7), "shape [28, 5]"),
        ("num_layers", json!(17), "`num_layers`"),
        ("proj_size", json!(-1), "`proj_size`"),
        ("output", json!("argmax"), "`softmax`"),
        ("tie_word_embeddings", json!(true), "tied"),
        ("vocab_size", json!("many"), "`vocab_size`"),
    ] {
        let mut config = whole.config();
        config[field] = value;
        let error = fails(&whole, config);
        assert!(error.contains(expected), "{field}: {error}");
    }
    let gru = Torch::new("gru", |_| ());
    let mut projected = gru.config();
    projected["proj_size"] = json!(3);
    assert!(fails(&gru, projected).contains("only LSTMs"));
}
