//! Exports of a small made-up checkpoint, read back through the runtime's reader.

mod activations;

use super::*;
use crate::checkpoint::{Dense, Tensor};
use crate::map::Map;
use whit::format::{
    Description, Encoding, File, Golden, NormKind, NormPlace, Positions, Role, Slots, WideInputs,
};
use whit::kernels::Activation;
use whit::quant::row_to_f32;
use whit::sampler::Sampling;

fn go_on(_: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A decoder whose sizes are multiples of nothing, with learned positions, biases and its own head.
fn description() -> Description {
    Description {
        vocabulary: 37,
        width: 21,
        layers: 2,
        heads: 3,
        kv_heads: 1,
        head_width: 7,
        hidden: 45,
        context: 19,
        window: 0,
        rotary_width: 0,
        norm: NormKind::Layer,
        norm_place: NormPlace::Before,
        positions: Positions::Learned,
        activation: Activation::GeluTanh,
        gated: false,
        tied: false,
        final_norm: true,
        norm_bias: true,
        qkv_bias: true,
        out_bias: true,
        up_bias: true,
        down_bias: true,
        head_bias: true,
        int8_cache: false,
        wide_inputs: WideInputs::NONE,
        epsilon: 1e-5,
        attention_scale: 0.378,
        embedding_scale: 1.0,
        logit_scale: 1.0,
    }
}

/// The weight at `(row, col)` of the tensor of `role` in `layer`: within ±1, different everywhere.
fn weight(role: Role, layer: u16, row: usize, col: usize) -> f32 {
    let seed = (role as u32) << 24 ^ u32::from(layer) << 20 ^ (row as u32) << 10 ^ col as u32;
    let mixed = seed.wrapping_mul(0x9E37_79B1).rotate_left(13).wrapping_mul(0x85EB_CA6B);
    mixed as i32 as f32 / 2_147_483_648.0
}

fn checkpoint(description: Description) -> Checkpoint<'static> {
    let tensor = |(role, layer)| {
        let (rows, cols) = description.shape(role);
        let weights = (0..rows * cols).map(|i| weight(role, layer, i / cols, i % cols)).collect();
        Tensor {
            role,
            layer,
            source: format!("{}/{layer}", role.name()),
            rows: Box::new(Dense { cols, weights }),
        }
    };
    Checkpoint {
        architecture: description.into(),
        tensors: Slots::new(&description.into()).iter().map(tensor).collect(),
        tokenizer: b"tokenizer bytes".to_vec(),
        stop_tokens: vec![3, 36],
        metadata: vec![("source".into(), "made up".into()), ("name".into(), "small".into())],
    }
}

fn replace(checkpoint: &mut Checkpoint<'_>, index: usize, change: impl Fn(&mut Dense)) {
    let tensor = &mut checkpoint.tensors[index];
    let (rows, cols) = (tensor.rows.rows(), tensor.rows.cols());
    let mut dense = Dense { cols, weights: vec![0.0; rows * cols] };
    for (row, out) in dense.weights.chunks_exact_mut(cols).enumerate() {
        tensor.rows.read(row, out);
    }
    change(&mut dense);
    tensor.rows = Box::new(dense);
}

fn with(weights: Encoding) -> ExportOptions {
    ExportOptions { weights, ..ExportOptions::default() }
}

/// A folder for one test, and the output's path in it.
fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("model.whit");
    (folder, out)
}

fn names(folder: &tempfile::TempDir) -> Vec<std::ffi::OsString> {
    std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect()
}

/// The largest step of each row as the encoding's rules bound it: |x̂ − x| is at most half of it.
fn bound(encoding: Encoding, row: &[f32]) -> f32 {
    let absmax = row.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
    match encoding {
        Encoding::F32 => 0.0,
        Encoding::F16 => absmax / 1024.0,
        Encoding::I8 => absmax / 127.0,
        // The search may clip: the largest weight is off by a step at most in a group of these.
        Encoding::I4 { .. } => absmax / 2.0,
    }
}

#[test]
fn every_encoding_is_read_back() {
    let checkpoint = checkpoint(description());
    let group = |group| Encoding::I4 { group };
    for encoding in [Encoding::F32, Encoding::F16, Encoding::I8, group(16), group(32), group(128), group(0)] {
        let (_folder, out) = place();
        let options = ExportOptions { embedding: Some(encoding), ..with(encoding) };
        let report = export(&checkpoint, &options, &out, go_on).expect("exported").commit().expect("named");
        let bytes = Map::open(&out).expect("mapped");
        assert_eq!(bytes.len() as u64, report.bytes);
        let file = File::parse(&bytes).expect("parses");
        file.verify_payload().expect("the payload's checksum");
        let int8_cache = matches!(encoding, Encoding::I8 | Encoding::I4 { .. });
        assert_eq!(file.architecture, Description { int8_cache, ..description() }.into());
        assert_eq!(file.tokenizer, checkpoint.tokenizer);
        for tensor in &checkpoint.tensors {
            let (role, layer) = (tensor.role, usize::from(tensor.layer));
            let (rows, cols) = checkpoint.architecture.shape(role, tensor.layer);
            let encoding = if role.is_matrix() { encoding } else { Encoding::F32 };
            let matrix = file.tensors.matrix(role, layer).expect("the tensor is there");
            let (mut expected, mut found) = (vec![0.0; cols], vec![0.0; cols]);
            for row in 0..rows {
                tensor.rows.read(row, &mut expected);
                row_to_f32(&matrix, row, &mut found);
                let half = bound(encoding, &expected) * 0.5001;
                for (expected, found) in expected.iter().zip(&found) {
                    assert!((expected - found).abs() <= half, "{} row {row} {encoding:?}", tensor.source);
                }
            }
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let bytes = [(), ()].map(|()| {
        let (_folder, out) = place();
        let options = with(Encoding::I4 { group: 32 });
        let pending = export(&checkpoint(description()), &options, &out, go_on).expect("exported");
        pending.commit().expect("named");
        std::fs::read(&out).expect("readable")
    });
    assert!(bytes[0] == bytes[1]);
}

#[test]
fn all_tensors_with_bad_weights_are_named_and_nothing_is_left() {
    let mut checkpoint = checkpoint(description());
    replace(&mut checkpoint, 0, |dense| dense.weights[20 * 21 + 5] = f32::NAN);
    replace(&mut checkpoint, 7, |dense| dense.weights[2..5].fill(f32::INFINITY));
    let (folder, out) = place();
    std::fs::write(&out, "what was there").expect("written");
    let error = export(&checkpoint, &with(Encoding::I8), &out, go_on).expect_err("bad weights");
    let text = error.to_string();
    let ExportError::Weights(tensors) = error else { panic!("{text}") };
    let found: Vec<_> = tensors.iter().map(|t| (t.tensor.as_str(), t.count, t.first)).collect();
    let second = checkpoint.tensors[7].source.as_str();
    assert_eq!(found, [("embedding/0", 1, [20, 5]), (second, 3, [0, 2])]);
    assert!(text.contains("embedding/0") && text.contains(second), "{text}");
    assert_eq!(names(&folder), ["model.whit"]);
    assert_eq!(std::fs::read(&out).expect("readable"), b"what was there");
}

#[test]
fn weights_too_large_for_the_encoding_are_named() {
    for (encoding, most) in [(Encoding::F16, 65519.0), (Encoding::I8, 8e37), (Encoding::F32, f32::MAX)] {
        for (value, fits) in [(most, true), (most * 1.1, false)] {
            let mut checkpoint = checkpoint(description());
            replace(&mut checkpoint, 0, |dense| dense.weights[0] = -value);
            let (_folder, out) = place();
            let result = export(&checkpoint, &with(encoding), &out, go_on);
            assert_eq!(result.is_ok(), fits, "{encoding:?} {value}");
        }
    }
}

#[test]
fn a_matrix_too_wide_for_int4_is_named() {
    let wide = Description { layers: 1, hidden: 16_644, ..description() };
    let (folder, out) = place();
    let error =
        export(&checkpoint(wide), &with(Encoding::I4 { group: 32 }), &out, go_on).expect_err("too wide");
    let expected = "tensor `ffn.down/0`: int4 allows 16643 columns, found 16644; choose int8";
    assert_eq!(error.to_string(), expected);
    assert!(names(&folder).is_empty());
}

#[test]
fn tensors_out_of_place_shape_or_number_are_errors() {
    let (_folder, out) = place();
    let mut swapped = checkpoint(description());
    swapped.tensors.swap(2, 3);
    let mut misshapen = checkpoint(description());
    replace(&mut misshapen, 1, |dense| dense.cols *= 19);
    let mut missing = checkpoint(description());
    missing.tensors.pop();
    for (checkpoint, word) in [(swapped, "attention.norm.bias"), (misshapen, "shape"), (missing, "tensors")] {
        let error = export(&checkpoint, &with(Encoding::I8), &out, go_on).expect_err("an error");
        assert!(matches!(error, ExportError::Tensor { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn the_tables_say_how_the_file_was_made() {
    let (_folder, out) = place();
    let options = ExportOptions { sampling: Sampling::creative(), ..with(Encoding::I4 { group: 32 }) };
    export(&checkpoint(description()), &options, &out, go_on).expect("exported").commit().expect("named");
    let bytes = Map::open(&out).expect("mapped");
    let file = File::parse(&bytes).expect("parses");
    let metadata: Vec<_> = file.metadata.iter().collect();
    let converter = concat!("whit ", env!("CARGO_PKG_VERSION"));
    let weights = "int4, groups of 32; embedding int8";
    let expected = [("converter", converter), ("name", "small"), ("source", "made up"), ("weights", weights)];
    assert_eq!(metadata, expected);
    assert_eq!(*file.sampling.record(), Sampling::creative().to_bytes());
    assert_eq!(file.sampling.stop_tokens().map(|token| token.0).collect::<Vec<_>>(), [3, 36]);
    assert_eq!(file.sampling.stop_strings().count(), 0);
    assert!(file.golden.is_empty());
}

#[test]
fn a_stop_token_outside_of_the_vocabulary_is_an_error() {
    let mut checkpoint = checkpoint(description());
    checkpoint.stop_tokens = vec![37];
    let (_folder, out) = place();
    let error = export(&checkpoint, &with(Encoding::I8), &out, go_on).expect_err("an error");
    assert!(matches!(error, ExportError::Format(_)), "{error}");
}

#[test]
fn the_golden_transcript_is_put_in_before_the_file_has_its_name() {
    let (folder, out) = place();
    let golden = Some(GoldenShape { prompt: 2, output: 3 });
    let options = ExportOptions { golden, ..with(Encoding::I8) };
    let mut pending = export(&checkpoint(description()), &options, &out, go_on).expect("exported");
    {
        let bytes = Map::open(pending.path()).expect("mapped");
        let file = File::parse(&bytes).expect("the placeholder parses");
        assert_eq!((file.golden.prompt().len(), file.golden.output().len()), (2, 3));
    }
    let mut transcript = Golden::header(true, 2, 3, 0x1234_5678).to_vec();
    transcript.extend([5u32, 6, 7, 8, 36].into_iter().flat_map(u32::to_le_bytes));
    let mut outside = transcript.clone();
    outside[16] = 37;
    pending.set_golden(&outside).expect_err("a token outside of the vocabulary");
    let mut short = Golden::header(true, 2, 2, 0).to_vec();
    short.extend([0; 16]);
    pending.set_golden(&short).expect_err("another length");
    pending.set_golden(&transcript).expect("put in");
    assert!(!out.exists());
    pending.commit().expect("named");
    assert_eq!(names(&folder), ["model.whit"]);
    let bytes = Map::open(&out).expect("mapped");
    let file = File::parse(&bytes).expect("parses");
    file.verify_payload().expect("the payload's checksum");
    assert!(file.golden.int8_cache());
    assert_eq!(file.golden.logits_crc(), 0x1234_5678);
    let ids: Vec<u32> = file.golden.prompt().chain(file.golden.output()).map(|token| token.0).collect();
    assert_eq!(ids, [5, 6, 7, 8, 36]);
}

#[test]
fn a_transcript_longer_than_the_context_is_an_error() {
    let (folder, out) = place();
    let options =
        ExportOptions { golden: Some(GoldenShape { prompt: 10, output: 10 }), ..with(Encoding::I8) };
    export(&checkpoint(description()), &options, &out, go_on).expect_err("context 19");
    assert!(names(&folder).is_empty());
}

#[test]
fn dropping_the_file_removes_it() {
    let (folder, out) = place();
    drop(export(&checkpoint(description()), &with(Encoding::F16), &out, go_on).expect("exported"));
    assert!(names(&folder).is_empty());
}

#[test]
fn progress_ends_at_the_number_of_weights() {
    let (_folder, out) = place();
    let mut steps = Vec::new();
    let checkpoint = checkpoint(description());
    let note = |progress: Progress<'_>| {
        steps.push((progress.done, progress.total));
        ControlFlow::Continue(())
    };
    let _pending = export(&checkpoint, &with(Encoding::F32), &out, note).expect("exported");
    assert!(steps.is_sorted());
    let (done, total) = *steps.last().expect("steps");
    assert_eq!(done, total);
}

#[test]
fn breaking_off_leaves_nothing_behind() {
    let (folder, out) = place();
    let stop = |_: Progress<'_>| ControlFlow::Break(());
    let error = export(&checkpoint(description()), &with(Encoding::I8), &out, stop).expect_err("stopped");
    assert!(matches!(error, ExportError::Stopped), "{error}");
    assert!(names(&folder).is_empty());
}

#[test]
fn a_folder_that_is_not_there_is_an_error_with_the_path() {
    let (_folder, out) = place();
    let out = out.join("deeper.whit");
    let error = export(&checkpoint(description()), &with(Encoding::I8), &out, go_on).expect_err("no folder");
    assert!(error.to_string().contains("deeper.whit"), "{error}");
}
