//! Recurrent models from ONNX: the node tests of ONNX itself, a trained tagger with its recorded outputs, small graphs of
//! the usual forms, and what is refused.

use std::path::Path;
use whit::format::{Cell, Direction, Encoding, Normalization, Recurrent};
use whit::{AlignedBytes, Model, SessionOptions, Token};
use whit_converter::checkpoint::Checkpoint;
use whit_converter::import::{ImportError, onnx as importer};
use whit_tests::data::data;
use whit_tests::imported::{encoded, file};
use whit_tests::oracle::recurrent as oracle;
use whit_tests::synthetic::Random;
use whit_tests::{npz, onnx};

fn import(bytes: &[u8]) -> Result<Checkpoint<'static>, ImportError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, bytes).expect("written");
    importer::import(&path, |_| Ok(Vec::new()))
}

fn imported(bytes: &[u8]) -> AlignedBytes {
    file(&import(bytes).unwrap_or_else(|error| panic!("{error}")), &encoded(Encoding::F32, None))
}

/// What comes out for every token or frame.
fn outputs(bytes: &AlignedBytes, tokens: Option<&[u32]>, frames: &[f32]) -> Vec<f32> {
    let model = Model::parse(bytes).expect("parses");
    let recurrent = model.architecture().recurrent().expect("one");
    let count = tokens.map_or(frames.len() / recurrent.input as usize, <[u32]>::len);
    let options = SessionOptions { batch: count, logits: count, ..model.options(1) };
    let mut arena = AlignedBytes::zeroed(model.arena_size(&options).expect("possible"));
    let mut session = model.session(&mut arena, options).expect("fits");
    let mut found = Vec::new();
    let each = |_: usize, out: &[f32]| found.extend_from_slice(out);
    match tokens {
        Some(ids) => {
            session.feed_each(&ids.iter().map(|&id| Token(id)).collect::<Vec<_>>(), each).expect("they fit");
        }
        None => session.feed_frames(frames, each).expect("they fit"),
    }
    found
}

/// The model of a node test with its inputs but the first as constants; `None` where there is no data.
fn node_test(name: &str) -> Option<(Vec<u8>, onnx::Tensor, onnx::Tensor)> {
    let folder = data("models/onnx_node")?.join(format!("test_{name}"));
    let part = |kind: &str, i: usize| folder.join(format!("test_data_set_0/{kind}_{i}.pb"));
    let weights: Vec<_> = (1..).map_while(|i| std::fs::read(part("input", i)).ok()).collect();
    let model = std::fs::read(folder.join("model.onnx")).expect("the case has a model");
    // The last output is the last state.
    let outputs = (0..).map_while(|i| onnx::read(&part("output", i)));
    Some((
        onnx::with_constants(&model, &weights),
        onnx::read(&part("input", 0)).expect("an input"),
        outputs.last().expect("an output"),
    ))
}

#[test]
fn the_node_tests_of_lstm_gru_and_rnn() {
    let cases = [
        "gru_batchwise",
        "gru_defaults",
        "gru_seq_length",
        "gru_with_initial_bias",
        "lstm_batchwise",
        "lstm_defaults",
        "lstm_with_initial_bias",
        "rnn_seq_length",
        "simple_rnn_batchwise",
        "simple_rnn_defaults",
        "simple_rnn_with_initial_bias",
    ];
    for name in cases {
        let Some((model, x, expected)) = node_test(name) else { return };
        let bytes = imported(&model);
        let &[a, b, width] = &x.shape[..] else { panic!("three axes") };
        let by_batch = name.ends_with("batchwise");
        let (steps, batch) = if by_batch { (b, a) } else { (a, b) };
        let hidden = expected.values.len() / batch;
        for text in 0..batch {
            let at = |step: usize| if by_batch { text * steps + step } else { step * batch + text };
            let frames: Vec<f32> =
                (0..steps).flat_map(|step| x.values[at(step) * width..][..width].to_vec()).collect();
            let found = outputs(&bytes, None, &frames);
            let last = &found[(steps - 1) * hidden..];
            for (found, expected) in last.iter().zip(&expected.values[text * hidden..]) {
                assert!((found - expected).abs() < 1e-6, "{name}: {found}, not {expected}");
            }
        }
    }
    // The one cell that is not computed.
    let Some((model, _, _)) = node_test("lstm_with_peepholes") else { return };
    let error = import(&model).map(|_| ()).expect_err("no such cell").to_string();
    assert!(error.contains("peepholes"), "{error}");
}

/// Root mean square of the differences from the recorded outputs, relative to that of the outputs; and how many of the
/// positions give the other class.
fn deviation(bytes: &AlignedBytes, folder: &Path) -> (f64, f64, usize) {
    let read = |name: &str| npz::read(&folder.join("io.npz"), name).expect("an array");
    let (input, expected) = (read("input"), read("Add_26"));
    let (length, outputs_len) = (input.shape[1], expected.shape[2]);
    let (mut difference, mut size, mut largest, mut flipped) = (0.0, 0.0, 0.0f64, 0);
    let expected = expected.values.chunks(length * outputs_len);
    for (ids, expected) in input.values.chunks(length).zip(expected) {
        let ids: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
        let found = outputs(bytes, Some(&ids), &[]);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.chunks(outputs_len).zip(expected.chunks(outputs_len)) {
            for (&found, &expected) in found.iter().zip(expected) {
                largest = largest.max((f64::from(found) - expected).abs());
                difference += (f64::from(found) - expected).powi(2);
                size += expected * expected;
            }
            let positive = |class: f64| class > 0.0;
            flipped +=
                found.iter().zip(expected).filter(|(f, e)| positive(f64::from(**f)) != positive(**e)).count();
        }
    }
    ((difference / size).sqrt(), largest, flipped)
}

/// Sentence boundaries of bytes, by two LSTMs that read from both ends; trained, published with the tract project.
#[test]
fn a_trained_tagger_reproduces_its_recorded_outputs() {
    let Some(folder) = data("models/tract/byte_sb_bidi_lstm") else { return };
    let checkpoint = importer::import(&folder.join("model.onnx"), |_| Ok(Vec::new())).expect("imported");
    let recurrent = *checkpoint.architecture.recurrent().expect("one");
    assert_eq!((recurrent.vocabulary, recurrent.input, recurrent.head), (256, 32, 2));
    assert_eq!((recurrent.cell, recurrent.direction), (Cell::Lstm, Direction::Both));
    assert_eq!(recurrent.hidden[..3], [128, 64, 0]);
    // Found: 2e-7, 0.14 and 0.88 per cent.
    for (name, weights, embedding, bound) in [
        ("f32", Encoding::F32, None, 1e-6),
        ("int8", Encoding::I8, None, 0.003),
        ("int4, groups of 32", Encoding::I4 { group: 32 }, Some(Encoding::I8), 0.015),
    ] {
        let bytes = file(&checkpoint, &encoded(weights, embedding));
        let (off, largest, flipped) = deviation(&bytes, &folder);
        println!(
            "byte_sb_bidi_lstm, {name}: off by {off:.2e} of the outputs' size, at most {largest:.2e}; {flipped} signs differ"
        );
        assert!(off < bound, "{name}: off by {off:e}");
    }
}

/// The file's own description, through the independent reference.
fn assert_oracle_agrees(bytes: &AlignedBytes, tokens: Option<&[u32]>, frames: &[f32]) {
    let model = Model::parse(bytes).expect("parses");
    let recurrent = model.architecture().recurrent().expect("one");
    let tensors = &model.file().tensors;
    let vectors = match tokens {
        Some(ids) => oracle::embedded(recurrent, tensors, ids),
        None => frames
            .chunks(recurrent.input as usize)
            .map(|frame| frame.iter().map(|&x| x.into()).collect())
            .collect(),
    };
    let expected = oracle::outputs(recurrent, tensors, &vectors).concat();
    for (found, expected) in outputs(bytes, tokens, frames).iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-6, "{found}, not {expected}");
    }
}

#[test]
fn graphs_of_the_usual_forms_are_described() {
    let tagger = imported(&onnx::tagger());
    let described: &dyn Fn(&AlignedBytes) -> Recurrent =
        &|bytes| *Model::parse(bytes).expect("parses").architecture().recurrent().expect("one");
    let found = described(&tagger);
    assert_eq!((found.vocabulary, found.input, found.layers, found.head), (5, 4, 2, 2));
    assert_eq!((found.direction, found.normalization), (Direction::Both, Normalization::Softmax));
    assert_oracle_agrees(&tagger, Some(&[3, 1, 4, 1, 0, 2]), &[]);
    let gru = imported(&onnx::gru());
    let found = described(&gru);
    assert_eq!((found.vocabulary, found.input, found.layers, found.head), (0, 3, 1, 2));
    assert_eq!((found.cell, found.normalization), (Cell::GruResetAfter, Normalization::Sigmoid));
    let mut random = Random(1);
    let frames: Vec<f32> = (0..18).map(|_| random.uniform()).collect();
    assert_oracle_agrees(&gru, None, &frames);
}

#[test]
fn what_cannot_be_computed_is_refused_by_name() {
    let fails = |nodes: &[Vec<u8>]| -> String {
        let model = onnx::model(3, nodes, &onnx::gru_constants());
        import(&model).map(|_| ()).expect_err("refused").to_string()
    };
    for (attribute, expected) in [
        (onnx::real("clip", 1.0), "clip"),
        (onnx::text("direction", "sideways"), "sideways"),
        (onnx::text("direction", "bidirectional"), "shapes agree"),
        (onnx::int("hidden_size", 5), "shapes agree"),
    ] {
        let error = fails(&onnx::gru_nodes(&[attribute]));
        assert!(error.contains("node GRU") && error.contains(expected), "{error}");
    }
    for (at, node, expected) in [
        (2, onnx::node("Reshape", &["s", "w"], &["q"], &[]), "Reshape"),
        (2, onnx::node("Relu", &["s"], &["q"], &[]), "Relu"),
        (3, onnx::node("Gemm", &["q", "out", "bias"], &["g"], &[]), "vectors of 4"),
        (3, onnx::node("MatMul", &["q", "unknown"], &["g"], &[]), "MatMul"),
        (4, onnx::node("Softmax", &["g"], &["y"], &[onnx::int("axis", 0)]), "Softmax"),
        (1, onnx::node("Conv", &["t"], &["s"], &[]), "LSTM, GRU or RNN"),
    ] {
        let mut nodes = onnx::gru_nodes(&[]);
        nodes[at] = node;
        let error = fails(&nodes);
        assert!(error.contains(expected), "{error}");
    }
    let error = import(b"not a model").map(|_| ()).expect_err("refused").to_string();
    assert!(error.contains("model.onnx") && error.contains("ONNX model"), "{error}");
}

/// Whatever is changed, a file is refused or imported.
#[test]
fn damaged_files_are_refused_or_imported() {
    let mut random = Random(9);
    let mut taken = 0;
    for seed in [onnx::tagger(), onnx::gru()] {
        for len in (0..seed.len()).step_by(29) {
            let _ = import(&seed[..len]);
        }
        for _ in 0..250 {
            let mut bytes = seed.clone();
            for _ in 0..1 + random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] = [random.next_u64() as u8, 0, 0xff, bytes[at] ^ 1][random.below(4)];
            }
            if let Ok(checkpoint) = import(&bytes) {
                taken += 1;
                let folder = tempfile::tempdir().expect("a folder");
                whit_tests::hostile::export_all(&checkpoint, folder.path());
            }
        }
    }
    assert!(taken > 20, "{taken} were imported");
}
